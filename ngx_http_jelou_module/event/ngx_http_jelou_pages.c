
/*
 * Large blocks, in pages of their own.
 *
 * Of a large block that malloc() gives for a moment, glibc keeps all the size
 * from then on, and nginx's buffers with it; or it gives the pages back and
 * takes them again each time.  Each has to be cleared and mapped, which takes
 * as long as to hash its bytes: so that a worker keeps blocks for the next
 * bodies while these come, and none when they do not.
 */


#include "ngx_http_jelou_pages.h"


/* how many, of how many bytes in all, and for how many ms without any use */

#define NGX_HTTP_JELOU_KEPT_BLOCKS  32
#define NGX_HTTP_JELOU_KEPT_BYTES   (16 * 1024 * 1024)
#define NGX_HTTP_JELOU_KEPT_TIME    1000


typedef struct {
    u_char     *data;
    size_t      size;
} ngx_http_jelou_block_t;


static void ngx_http_jelou_pages_protect(u_char *data, size_t size,
    ngx_uint_t off, ngx_log_t *log);
static void ngx_http_jelou_pages_drop(ngx_uint_t i);
static void ngx_http_jelou_pages_watch(void);
static void ngx_http_jelou_pages_idle(ngx_event_t *ev);
static void ngx_http_jelou_pages_unmap(u_char *data, size_t size,
    ngx_log_t *log);


/* a worker's, the oldest first */

static ngx_http_jelou_block_t  ngx_http_jelou_kept[NGX_HTTP_JELOU_KEPT_BLOCKS];
static ngx_uint_t              ngx_http_jelou_nkept;
static size_t                  ngx_http_jelou_kept_bytes;

static ngx_event_t             ngx_http_jelou_kept_event;
static ngx_uint_t              ngx_http_jelou_kept_used;  /* since it was set */


ngx_int_t
ngx_http_jelou_pages_alloc(ngx_http_jelou_pages_t *pages, size_t size,
    ngx_log_t *log)
{
    ngx_uint_t               i;
    ngx_http_jelou_block_t  *kept, *best;

    size = ngx_align(size, ngx_pagesize);
    best = NULL;

    /* the smallest that is large enough, and not much too large */

    for (i = 0; i < ngx_http_jelou_nkept; i++) {
        kept = &ngx_http_jelou_kept[i];

        if (kept->size >= size && kept->size / 2 <= size
            && (best == NULL || kept->size < best->size))
        {
            best = kept;
        }
    }

    pages->log = log;

    if (best) {
        pages->data = best->data;
        pages->size = best->size;
        pages->used = best->size;

        ngx_http_jelou_pages_drop(best - ngx_http_jelou_kept);
        ngx_http_jelou_pages_protect(pages->data, pages->size, 0, log);

        return NGX_OK;
    }

    pages->size = size;
    pages->used = size;
    pages->data = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_PRIVATE,
                       -1, 0);

    if (pages->data == MAP_FAILED) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno, "mmap(%uz) failed", size);
        pages->data = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_jelou_pages_free(void *data)
{
    ngx_http_jelou_pages_t *pages = data;

    ngx_http_jelou_block_t  *kept;

    if (pages == NULL || pages->data == NULL) {
        return;
    }

    if (pages->size > NGX_HTTP_JELOU_KEPT_BYTES) {
        ngx_http_jelou_pages_unmap(pages->data, pages->size, pages->log);
        pages->data = NULL;
        return;
    }

    while (ngx_http_jelou_nkept == NGX_HTTP_JELOU_KEPT_BLOCKS
           || ngx_http_jelou_kept_bytes
              > NGX_HTTP_JELOU_KEPT_BYTES - pages->size)
    {
        kept = &ngx_http_jelou_kept[0];

        ngx_http_jelou_pages_unmap(kept->data, kept->size, pages->log);
        ngx_http_jelou_pages_drop(0);
    }

    /* what people wrote does not wait in memory for the next request */

    ngx_explicit_memzero(pages->data, pages->used);
    ngx_http_jelou_pages_protect(pages->data, pages->size, 1, pages->log);

    kept = &ngx_http_jelou_kept[ngx_http_jelou_nkept++];

    kept->data = pages->data;
    kept->size = pages->size;

    ngx_http_jelou_kept_bytes += pages->size;

    pages->data = NULL;

    ngx_http_jelou_kept_used = 1;

    if (!ngx_http_jelou_kept_event.timer_set) {
        ngx_http_jelou_pages_watch();
    }
}


/*
 * In a build that looks for errors, whoever uses a block that has been freed
 * is found out: a block that is kept can be neither read nor written.
 */

static void
ngx_http_jelou_pages_protect(u_char *data, size_t size, ngx_uint_t off,
    ngx_log_t *log)
{
#ifdef NGX_DEBUG_PALLOC
    if (mprotect(data, size, off ? PROT_NONE : PROT_READ|PROT_WRITE) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      "mprotect(%p, %uz) failed", data, size);
    }
#endif
}


/* Takes a block from those that are kept. */

static void
ngx_http_jelou_pages_drop(ngx_uint_t i)
{
    ngx_http_jelou_kept_bytes -= ngx_http_jelou_kept[i].size;
    ngx_http_jelou_nkept--;

    ngx_memmove(&ngx_http_jelou_kept[i], &ngx_http_jelou_kept[i + 1],
                (ngx_http_jelou_nkept - i) * sizeof(ngx_http_jelou_block_t));
}


static void
ngx_http_jelou_pages_watch(void)
{
    ngx_event_t  *ev;

    static ngx_connection_t  dummy;      /* a timer's log has its number */

    dummy.fd = (ngx_socket_t) -1;

    ev = &ngx_http_jelou_kept_event;

    ev->handler = ngx_http_jelou_pages_idle;
    ev->data = &dummy;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, NGX_HTTP_JELOU_KEPT_TIME);
}


static void
ngx_http_jelou_pages_idle(ngx_event_t *ev)
{
    ngx_http_jelou_block_t  *kept;

    if (ngx_http_jelou_kept_used) {
        ngx_http_jelou_kept_used = 0;
        ngx_http_jelou_pages_watch();
        return;
    }

    while (ngx_http_jelou_nkept) {
        kept = &ngx_http_jelou_kept[ngx_http_jelou_nkept - 1];

        ngx_http_jelou_pages_unmap(kept->data, kept->size, ev->log);
        ngx_http_jelou_pages_drop(ngx_http_jelou_nkept - 1);
    }
}


static void
ngx_http_jelou_pages_unmap(u_char *data, size_t size, ngx_log_t *log)
{
    if (munmap(data, size) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno, "munmap(%p, %uz) failed",
                      data, size);
    }
}


void *
ngx_http_jelou_pages_palloc(ngx_pool_t *pool, size_t size,
    ngx_http_jelou_pages_t **pages)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_jelou_pages_t  *p;

    if (size < NGX_HTTP_JELOU_LARGE) {
        return ngx_palloc(pool, size);
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_jelou_pages_t));
    if (cln == NULL) {
        return NULL;
    }

    p = cln->data;

    if (ngx_http_jelou_pages_alloc(p, size, pool->log) != NGX_OK) {
        return NULL;
    }

    cln->handler = ngx_http_jelou_pages_free;

    if (pages) {
        *pages = p;
    }

    return p->data;
}
