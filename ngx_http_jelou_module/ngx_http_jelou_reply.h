
/*
 * The contract's answers, through a header and a body filter.
 */


#ifndef _NGX_HTTP_JELOU_REPLY_H_INCLUDED_
#define _NGX_HTTP_JELOU_REPLY_H_INCLUDED_


#include "ngx_http_jelou_module.h"


/* Puts the filters into nginx's chains. */
ngx_int_t ngx_http_jelou_reply_init(ngx_conf_t *cf);

/*
 * Sends the answer to an accepted request for which no other content handler
 * is there.  Returns what ngx_http_finalize_request() takes.
 */
ngx_int_t ngx_http_jelou_reply(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Sends the answer to an accepted request whose handler has no words of its
 * own: 200 is a success, a replay if ctx->replayed is set; 4xx and 5xx are as
 * an upstream's, unless ctx->error has the refusal.  Returns what
 * ngx_http_finalize_request() takes.
 */
ngx_int_t ngx_http_jelou_answer(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_uint_t status);

/*
 * Adds a header field to the answer, by reference.  Returns NGX_OK, or
 * NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_add_header(ngx_http_request_t *r,
    const ngx_str_t *key, const ngx_str_t *value);


#endif /* _NGX_HTTP_JELOU_REPLY_H_INCLUDED_ */
