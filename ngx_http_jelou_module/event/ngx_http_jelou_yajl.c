
/*
 * JSON, over yajl: a whole body is read in one call, in memory that is bounded
 * by its length, and refused if it is not JSON as RFC 8259 has it.
 */


#include "ngx_http_jelou_yajl.h"
#include "ngx_http_jelou_pages.h"
#include "ngx_http_jelou_text.h"

#include <setjmp.h>


/*
 * What yajl allocates for one body of n bytes, with a parser that is given
 * the whole body in one call and nests at most 33 deep: the handle, the
 * lexer, the state stack and two buffer heads, less than 1 KB; a buffer to
 * decode strings in and one for a token that the body's end cuts off, each
 * doubled from 2 KB until it is larger than the token.  A buffer that grows
 * is always the last that was allocated, so it grows in place.
 */

#define NGX_HTTP_JELOU_YAJL_FIXED   (1024 + 2 * 2048)

#define ngx_http_jelou_yajl_size(n)                                           \
    (NGX_HTTP_JELOU_YAJL_FIXED + 4 * ((size_t) (n) + 1))

/*
 * Enough for bodies of 126 KB; larger ones get pages of their own.  What is not
 * touched is no memory of the system's.
 */

#define NGX_HTTP_JELOU_ARENA        (512 * 1024)


typedef struct {
    u_char         *start;
    u_char         *pos;
    u_char         *end;
    u_char         *block;     /* the last, it can grow */
    jmp_buf         full;      /* where it goes on if there is no room */
} ngx_http_jelou_arena_t;


static ngx_int_t ngx_http_jelou_yajl_guarded(ngx_http_jelou_yajl_t *yajl,
    const yajl_callbacks *callbacks, void *data,
    ngx_http_jelou_arena_t *arena, ngx_log_t *log);
static ngx_int_t ngx_http_jelou_yajl_run(ngx_http_jelou_yajl_t *yajl,
    const yajl_callbacks *callbacks, void *data,
    ngx_http_jelou_arena_t *arena);
static void *ngx_http_jelou_yajl_malloc(void *data, size_t size);
static void *ngx_http_jelou_yajl_realloc(void *data, void *block, size_t size);
static void ngx_http_jelou_yajl_free(void *data, void *block);


/* scratch memory of one call: a worker parses one body at a time */

static u_char  ngx_http_jelou_arena[NGX_HTTP_JELOU_ARENA];


ngx_int_t
ngx_http_jelou_yajl_parse(ngx_http_jelou_yajl_t *yajl,
    const yajl_callbacks *callbacks, void *data, ngx_log_t *log)
{
    size_t                   size;
    u_char                  *p, *used;
    ngx_int_t                rc;
    ngx_http_jelou_arena_t   arena;
    ngx_http_jelou_pages_t   pages;

    yajl->depth = 0;
    yajl->end = yajl->body.data;
    yajl->reason = NULL;

    p = ngx_http_jelou_text_check(yajl->body.data,
                                  yajl->body.data + yajl->body.len);
    if (p) {
        yajl->offset = p - yajl->body.data;
        yajl->reason = "malformed UTF-8 or a control character";
        return NGX_DECLINED;
    }

    size = ngx_http_jelou_yajl_size(yajl->body.len);
    pages.data = NULL;

    if (size > NGX_HTTP_JELOU_ARENA
        && ngx_http_jelou_pages_alloc(&pages, size, log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    arena.start = pages.data ? pages.data : ngx_http_jelou_arena;
    arena.pos = arena.start;
    arena.end = arena.start + size;
    arena.block = NULL;

    rc = ngx_http_jelou_yajl_guarded(yajl, callbacks, data, &arena, log);

    /* of the last block, no more than a token has been written to */

    used = arena.pos;

    if (arena.block && (size_t) (used - arena.block) > yajl->body.len + 1) {
        used = arena.block + yajl->body.len + 1;
    }

    if (pages.data) {
        pages.used = used - arena.start;
        ngx_http_jelou_pages_free(&pages);

    } else {
        ngx_explicit_memzero(arena.start, used - arena.start);
    }

    return rc;
}


/*
 * yajl does not look at what its allocator returns.  That there is no room
 * cannot be, see ngx_http_jelou_yajl_size(); if it is all the same, yajl is
 * left where it is, and with it this body alone: all that yajl has is in the
 * arena.
 */

static ngx_int_t
ngx_http_jelou_yajl_guarded(ngx_http_jelou_yajl_t *yajl,
    const yajl_callbacks *callbacks, void *data,
    ngx_http_jelou_arena_t *arena, ngx_log_t *log)
{
    if (setjmp(arena->full)) {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "yajl wants more than %uz bytes for a body of %uz",
                      (size_t) (arena->end - arena->start), yajl->body.len);
        return NGX_ERROR;
    }

    return ngx_http_jelou_yajl_run(yajl, callbacks, data, arena);
}


static ngx_int_t
ngx_http_jelou_yajl_run(ngx_http_jelou_yajl_t *yajl,
    const yajl_callbacks *callbacks, void *data,
    ngx_http_jelou_arena_t *arena)
{
    u_char            *p, *last;
    yajl_status        status;
    yajl_alloc_funcs   funcs;

    funcs.malloc = ngx_http_jelou_yajl_malloc;
    funcs.realloc = ngx_http_jelou_yajl_realloc;
    funcs.free = ngx_http_jelou_yajl_free;
    funcs.ctx = arena;

    /* never freed: the arena is */

    yajl->handle = yajl_alloc(callbacks, &funcs, data);

    /* the text has been checked, and more strictly */

    yajl_config(yajl->handle, yajl_dont_validate_strings, 1);

    status = yajl_parse(yajl->handle, yajl->body.data, yajl->body.len);

    if (status == yajl_status_ok) {
        yajl->offset = yajl->body.len;
        status = yajl_complete_parse(yajl->handle);

    } else {
        yajl->offset = yajl_get_bytes_consumed(yajl->handle);
    }

    if (status != yajl_status_ok) {

        if (yajl->reason == NULL) {
            yajl->reason = "not JSON";
        }

        return NGX_DECLINED;
    }

    /* yajl does not see a token that begins behind the root and never ends */

    last = yajl->body.data + yajl->body.len;

    for (p = yajl->end; p < last; p++) {

        if (*p != ' ' && *p != '\t' && *p != '\n' && *p != '\r') {
            yajl->offset = p - yajl->body.data;
            yajl->reason = "not JSON";
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static void *
ngx_http_jelou_yajl_malloc(void *data, size_t size)
{
    ngx_http_jelou_arena_t  *arena = data;

    u_char  *p;

    p = ngx_align_ptr(arena->pos, 16);

    if (size > (size_t) (arena->end - p)) {
        longjmp(arena->full, 1);
    }

    arena->pos = p + size;
    arena->block = p;

    return p;
}


static void *
ngx_http_jelou_yajl_realloc(void *data, void *block, size_t size)
{
    ngx_http_jelou_arena_t  *arena = data;

    if (block) {

        if (block != arena->block) {
            longjmp(arena->full, 1);
        }

        arena->pos = block;
    }

    return ngx_http_jelou_yajl_malloc(data, size);
}


static void
ngx_http_jelou_yajl_free(void *data, void *block)
{
    /* the arena is dropped as a whole */
}


/*
 * yajl hands strings over as they are in the body, or decoded copies; of those
 * the token is looked for, since yajl does not decode lone surrogates.  It ends
 * before the quote that yajl has read last.  The opening quote is the first
 * behind that of the value's key, if this is a value and the key has no
 * escapes; looking back from the end, it is the first that no backslash
 * precedes.
 */

void
ngx_http_jelou_yajl_token(ngx_http_jelou_yajl_t *yajl,
    const unsigned char *key, ngx_str_t *token)
{
    u_char  *p, *last;

    last = yajl->body.data + yajl_get_bytes_consumed(yajl->handle) - 1;

    if (key && ngx_http_jelou_yajl_as_is(yajl, key)) {
        for (p = (u_char *) key + 1; *p != '"'; p++) { /* void */ }

    } else {
        for (p = last - 1; *p != '"' || p[-1] == '\\'; p--) { /* void */ }
    }

    token->data = p + 1;
    token->len = last - token->data;
}
