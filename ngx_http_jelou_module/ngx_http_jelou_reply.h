
/*
 * What the sender is answered: the filters, and the answers of the module's
 * own.
 */


#ifndef _NGX_HTTP_JELOU_REPLY_H_INCLUDED_
#define _NGX_HTTP_JELOU_REPLY_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/* Installs the filters.  Returns NGX_OK. */
ngx_int_t ngx_http_jelou_reply_init(ngx_conf_t *cf);

/*
 * Answers an accepted event by itself, with a content handler's verdict: a 2xx
 * status is a success, any other one an error, and ctx->error, if it is set,
 * is the answer whatever the status is.  Returns what a content handler
 * returns, NGX_ERROR or a status for ngx_http_finalize_request() among it.
 */
ngx_int_t ngx_http_jelou_reply(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_uint_t status);

/*
 * Says that there is no answer, before nginx closes the connection.
 */
void ngx_http_jelou_break_off(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx);


#endif /* _NGX_HTTP_JELOU_REPLY_H_INCLUDED_ */
