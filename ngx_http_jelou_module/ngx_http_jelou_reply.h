
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


#endif /* _NGX_HTTP_JELOU_REPLY_H_INCLUDED_ */
