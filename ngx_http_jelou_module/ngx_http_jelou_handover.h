
/*
 * The event on its way to a content handler: hand-over, redirects, the end of
 * an upstream.
 */


#ifndef _NGX_HTTP_JELOU_HANDOVER_H_INCLUDED_
#define _NGX_HTTP_JELOU_HANDOVER_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * Hands an accepted event to the content handler, which is the one that is to
 * take it from here on; without a handler, the module takes it.  Returns what a
 * content handler returns.
 */
ngx_int_t ngx_http_jelou_hand_over(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_handler_pt next);

/*
 * A redirect has led a request whose answer was decided to an endpoint.  An
 * accepted event goes to this endpoint's content handler; whatever was refused
 * stays refused.  Returns what a content handler returns.
 */
ngx_int_t ngx_http_jelou_take_over(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * The content handler that the event was handed to, and that has no answer of
 * its own, says what became of it: 200 if it has taken the event, otherwise the
 * status that nginx ends the request with.  Returns what
 * ngx_http_finalize_request() takes.
 */
ngx_int_t ngx_http_jelou_handler_answers(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_uint_t status);

/*
 * Adds the handlers of the phases in which a request comes to a location.
 * Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_handover_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_JELOU_HANDOVER_H_INCLUDED_ */
