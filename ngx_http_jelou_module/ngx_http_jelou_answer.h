
/*
 * The contract's answers: their status, header and body.
 */


#ifndef _NGX_HTTP_JELOU_ANSWER_H_INCLUDED_
#define _NGX_HTTP_JELOU_ANSWER_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * Refuses a request, with a log line, unless its cause has been logged.  An
 * error is never a verdict: whatever rc is no refusal becomes a 500.  Returns
 * the status.
 */
ngx_int_t ngx_http_jelou_refuse(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_int_t rc);

/*
 * Puts the answer to a content handler's status into r->headers_out and
 * ctx->reply, and remembers a success; ctx->error, if it is set, is the answer
 * whatever the status is.  Returns NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_answer(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_uint_t status);

/*
 * Notes that the handler has taken the event: this is remembered, and the only
 * thing by which the event counts as delivered.
 */
void ngx_http_jelou_delivered(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Notes that nobody has taken the event, and why, with a log line: its
 * repetition is delivered.  Returns NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_not_delivered(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_uint_t status);


#endif /* _NGX_HTTP_JELOU_ANSWER_H_INCLUDED_ */
