
/*
 * The client's request: what its header must say, and its body in memory.
 */


#ifndef _NGX_HTTP_JELOU_REQUEST_H_INCLUDED_
#define _NGX_HTTP_JELOU_REQUEST_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * Takes the identifier that the endpoint's path has, of the room or the bot,
 * into the event.  Returns NGX_OK, NGX_HTTP_JELOU_NOT_FOUND or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_request_path(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Checks what can be told before the body is read: the method, the signature
 * header and the content type.  Returns NGX_OK, with the signature's digest
 * in digest if there was one, or a refusal.
 */
ngx_int_t ngx_http_jelou_request_header(ngx_http_request_t *r,
    ngx_http_jelou_loc_conf_t *jlcf, u_char *digest);

/*
 * Makes a POST of the request, for that is what an event is sent by, whatever a
 * redirect has made of it; and takes away its conditions and ranges, which an
 * event does not have.
 */
void ngx_http_jelou_make_post(ngx_http_request_t *r);

/* Makes a POST again of what was one until a redirect to a URI. */
void ngx_http_jelou_restore_post(ngx_http_request_t *r);

/*
 * Whether the body is over client_max_body_size where a redirect has led to, or
 * was where it came from: then nginx has thrown it away.
 */
ngx_uint_t ngx_http_jelou_request_discarded(ngx_http_request_t *r);

/*
 * Makes ctx->body of the request body that nginx has read: nginx's own
 * buffers, or a copy if they are in a file.  Returns NGX_OK, a refusal or
 * NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_request_body(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Makes event.body of it, in one block, unless it is there.  Returns NGX_OK, or
 * NGX_ERROR with a log line.
 */
ngx_int_t ngx_http_jelou_request_text(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Frees a large copy of a body that has been forwarded in another form:
 * whoever wants the text again asks for it.
 */
void ngx_http_jelou_request_done(ngx_http_jelou_ctx_t *ctx);

/*
 * Looks for the project that the body names, and for nothing else in it.
 * Returns NGX_OK, with an empty text if there is none, or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_request_project(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_str_t *text);

/*
 * The project of an event that is verified and valid; empty if it has none.
 * Returns NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_request_proven(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_str_t *project);

/*
 * Parses and checks the event, once, however often it is asked for.  Returns
 * NGX_OK, a refusal or NGX_ERROR, which stays a secret until the signature
 * has been verified.
 */
ngx_int_t ngx_http_jelou_request_event(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);


#endif /* _NGX_HTTP_JELOU_REQUEST_H_INCLUDED_ */
