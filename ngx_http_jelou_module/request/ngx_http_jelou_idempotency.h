
/*
 * No event is delivered twice: what makes an event the same, and what becomes
 * of one that was seen before.
 */


#ifndef _NGX_HTTP_JELOU_IDEMPOTENCY_H_INCLUDED_
#define _NGX_HTTP_JELOU_IDEMPOTENCY_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * Notes that the event is in progress.  Returns NGX_OK if it is to be
 * forwarded, NGX_DONE if it was delivered before, NGX_AGAIN if the end of
 * another try is worth waiting for, a refusal, or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_idempotency(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Calls the handler after a short time, in which the sender may leave: then the
 * request ends.
 */
void ngx_http_jelou_wait(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_event_handler_pt handler);

/*
 * Computes the SHA-256 of the body as received into ctx->event.digest, once,
 * however often it is asked for.  Returns NGX_OK, or NGX_ERROR with a log
 * line.
 */
ngx_int_t ngx_http_jelou_idempotency_digest(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Computes what the event is known by into key, which has room for
 * NGX_HTTP_JELOU_KEY_LEN bytes: the SHA-256 of the value's text or, if there
 * is no value, of the endpoint and the ids; the digest is there before.
 * Returns NGX_OK, NGX_DECLINED if the text is empty, or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_idempotency_key(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_complex_value_t *value, u_char *key);

/*
 * Makes the event one that was delivered before: the answer names the message
 * id that the first one named, if it is ours.  Returns NGX_OK, or NGX_ERROR if
 * memory ran out.
 */
ngx_int_t ngx_http_jelou_idempotency_replay(ngx_http_jelou_ctx_t *ctx);


#endif /* _NGX_HTTP_JELOU_IDEMPOTENCY_H_INCLUDED_ */
