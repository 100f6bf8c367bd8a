
/*
 * The way of a request: every step, in order.
 */


#ifndef _NGX_HTTP_JELOU_HANDLER_H_INCLUDED_
#define _NGX_HTTP_JELOU_HANDLER_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * The content handler of an endpoint.  Returns NGX_DONE, or a status for
 * ngx_http_finalize_request().
 */
ngx_int_t ngx_http_jelou_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_JELOU_HANDLER_H_INCLUDED_ */
