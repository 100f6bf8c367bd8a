
/*
 * JSON, over yajl: a whole body is read in one call, in memory that is bounded
 * by its length, and refused if it is not JSON as RFC 8259 has it.
 */


#ifndef _NGX_HTTP_JELOU_YAJL_H_INCLUDED_
#define _NGX_HTTP_JELOU_YAJL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <yajl/yajl_parse.h>


/* objects and arrays that are open at the same time */

#define NGX_HTTP_JELOU_MAX_DEPTH  32

/* what yajl's memory is sized from */

#define NGX_HTTP_JELOU_MAX_BODY   (1024 * 1024 * 1024)


typedef struct {
    ngx_str_t       body;

    yajl_handle     handle;
    ngx_uint_t      depth;      /* of what is open */
    u_char         *end;        /* of the root */

    size_t          offset;     /* of the first byte that is not JSON, */
    const char     *reason;     /*   and why not */
} ngx_http_jelou_yajl_t;


/*
 * Reads yajl->body.  Each callback gets data; those that begin an object or an
 * array begin with ngx_http_jelou_yajl_open(), those that end one with
 * ngx_http_jelou_yajl_close().  One that returns 0 ends the reading, and may
 * set the reason.  Returns NGX_OK; NGX_DECLINED with offset and reason;
 * NGX_ERROR, with a log line, if memory ran out.
 */
ngx_int_t ngx_http_jelou_yajl_parse(ngx_http_jelou_yajl_t *yajl,
    const yajl_callbacks *callbacks, void *data, ngx_log_t *log);

/*
 * Sets *token to what stands between the quotes in the body, of the string that
 * a callback has just got as a decoded copy.  If the string is a value, key is
 * the end of its key as the callback got that, and else NULL.
 */
void ngx_http_jelou_yajl_token(ngx_http_jelou_yajl_t *yajl,
    const unsigned char *key, ngx_str_t *token);


/* Whether text that a callback has got stands in the body as it is. */

static ngx_inline ngx_uint_t
ngx_http_jelou_yajl_as_is(ngx_http_jelou_yajl_t *yajl,
    const unsigned char *text)
{
    return (size_t) (text - yajl->body.data) <= yajl->body.len;
}


/* Returns 0 if what begins is nested too deep. */

static ngx_inline int
ngx_http_jelou_yajl_open(ngx_http_jelou_yajl_t *yajl)
{
    if (yajl->depth == NGX_HTTP_JELOU_MAX_DEPTH) {
        yajl->reason = "nested too deep";
        return 0;
    }

    yajl->depth++;

    return 1;
}


static ngx_inline void
ngx_http_jelou_yajl_close(ngx_http_jelou_yajl_t *yajl)
{
    if (--yajl->depth == 0) {
        yajl->end = yajl->body.data + yajl_get_bytes_consumed(yajl->handle);
    }
}


#endif /* _NGX_HTTP_JELOU_YAJL_H_INCLUDED_ */
