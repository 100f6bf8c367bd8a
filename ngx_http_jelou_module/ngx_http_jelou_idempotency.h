
/*
 * No event is delivered twice: what makes an event the same, and what becomes
 * of one that was seen before.
 */


#ifndef _NGX_HTTP_JELOU_IDEMPOTENCY_H_INCLUDED_
#define _NGX_HTTP_JELOU_IDEMPOTENCY_H_INCLUDED_


#include "ngx_http_jelou_module.h"


/*
 * Puts the event in flight.  Returns NGX_OK if it is to be forwarded, NGX_DONE
 * if it was delivered before, a refusal, or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_idempotency(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);


#endif /* _NGX_HTTP_JELOU_IDEMPOTENCY_H_INCLUDED_ */
