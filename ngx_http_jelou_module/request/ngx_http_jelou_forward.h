
/*
 * The body that goes on in the place of the client's, and its header fields.
 */


#ifndef _NGX_HTTP_JELOU_FORWARD_H_INCLUDED_
#define _NGX_HTTP_JELOU_FORWARD_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * Puts the event in the place of the request body, in the configured format,
 * for the content handler that comes next, and signs it if that is configured.
 * Returns NGX_OK, a refusal or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_forward(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Registers the variables of nginx's that hold something of the body, to be
 * forgotten when it is replaced.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_forward_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_JELOU_FORWARD_H_INCLUDED_ */
