
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
 * Adds a header field to the answer, by reference.  Returns NGX_OK, or
 * NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_add_header(ngx_http_request_t *r,
    const ngx_str_t *key, const ngx_str_t *value);


#endif /* _NGX_HTTP_JELOU_REPLY_H_INCLUDED_ */
