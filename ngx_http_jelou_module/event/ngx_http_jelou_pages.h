
/*
 * Large blocks, in pages of their own.
 */


#ifndef _NGX_HTTP_JELOU_PAGES_H_INCLUDED_
#define _NGX_HTTP_JELOU_PAGES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* what is large: glibc gives the end of its heap back at 128 KB already */

#define NGX_HTTP_JELOU_LARGE  (32 * 1024)


typedef struct {
    u_char     *data;           /* NULL: there is none any more */
    size_t      size;
    size_t      used;           /* what may have been written to: all of it,
                                   if the owner does not know better */
    ngx_log_t  *log;
} ngx_http_jelou_pages_t;


/*
 * Takes a block of at least size bytes, whose contents are undefined.  The log
 * must last until it is freed.  Returns NGX_OK, or NGX_ERROR with a log line.
 */
ngx_int_t ngx_http_jelou_pages_alloc(ngx_http_jelou_pages_t *pages,
    size_t size, ngx_log_t *log);

/*
 * Gives a block back, wiped if it is kept for the next body; once, however
 * often it is called.  NULL is none.
 */
void ngx_http_jelou_pages_free(void *pages);

/*
 * Allocates size bytes that last as long as the pool.  If they are many, they
 * are in pages, and *pages, if it is asked for, frees them before.  Returns
 * NULL if memory ran out.
 */
void *ngx_http_jelou_pages_palloc(ngx_pool_t *pool, size_t size,
    ngx_http_jelou_pages_t **pages);


#endif /* _NGX_HTTP_JELOU_PAGES_H_INCLUDED_ */
