
/*
 * What became of a request: one result for each, the same in $jelou_result
 * and in the counters.
 */


#include "ngx_http_jelou_result.h"


static ngx_uint_t ngx_http_jelou_result_closed(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);


ngx_uint_t
ngx_http_jelou_result(ngx_http_request_t *r)
{
    ngx_uint_t                  number;
    ngx_http_jelou_ctx_t       *ctx;
    ngx_http_jelou_loc_conf_t  *jlcf;

    ctx = ngx_http_jelou_ctx(r);

    if (ctx == NULL) {
        jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

        return jlcf->schema.endpoint && ngx_http_jelou_result_closed(r, NULL)
               ? NGX_HTTP_JELOU_RESULT_CLIENT_CLOSED
               : NGX_HTTP_JELOU_RESULT_NONE;
    }

    if (ctx->conf == NULL) {
        return NGX_HTTP_JELOU_RESULT_NONE;
    }

    if (ctx->delivered) {
        return ctx->replayed ? NGX_HTTP_JELOU_RESULT_DUPLICATE
                             : NGX_HTTP_JELOU_RESULT_ACCEPTED;
    }

    if (ctx->error) {
        number = ngx_http_jelou_error_number(ctx->error);
        return ngx_http_jelou_result_of(number);
    }

    if (ngx_http_jelou_result_closed(r, ctx)) {
        return NGX_HTTP_JELOU_RESULT_CLIENT_CLOSED;
    }

    if (ctx->state != NGX_HTTP_JELOU_ACCEPTED) {
        return NGX_HTTP_JELOU_RESULT_NONE;
    }

    /* to the handler an accepted event, to an error page one that failed */

    if (ctx->who == NGX_HTTP_JELOU_BY_PAGE) {
        number = ctx->failed >= NGX_HTTP_BAD_REQUEST
                 && ctx->failed < NGX_HTTP_INTERNAL_SERVER_ERROR
                 ? NGX_HTTP_JELOU_UPSTREAM_REJECTED
                 : NGX_HTTP_JELOU_UPSTREAM_FAILED;

        return ngx_http_jelou_result_of(number);
    }

    return NGX_HTTP_JELOU_RESULT_ACCEPTED;
}


void
ngx_http_jelou_result_conclude(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->conf == NULL || ctx->delivered || ctx->error
        || ngx_http_jelou_result_closed(r, ctx))
    {
        return;
    }

    if (ctx->state == NGX_HTTP_JELOU_ACCEPTED) {
        ctx->error = ngx_http_jelou_error(NGX_HTTP_JELOU_UPSTREAM_FAILED);

    } else if (!r->header_sent) {

        /* nginx was told to close the connection instead of an answer */

        ctx->error = ngx_http_jelou_error(NGX_HTTP_JELOU_INTERNAL_ERROR);
    }
}


/*
 * The connection ended, or nginx has given it up, before the handler had said
 * anything.
 */

static ngx_uint_t
ngx_http_jelou_result_closed(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    if (r->header_sent
        && (ctx == NULL || ctx->answer != NGX_HTTP_JELOU_ANSWER_PASSED))
    {
        return 0;
    }

    return r->connection->error || r->connection->timedout
           || r->headers_out.status == NGX_HTTP_CLIENT_CLOSED_REQUEST
           || r->headers_out.status == NGX_HTTP_REQUEST_TIME_OUT;
}


const ngx_str_t *
ngx_http_jelou_result_name(ngx_uint_t result)
{
    static const ngx_str_t  none = ngx_null_string;
    static const ngx_str_t  accepted = ngx_string("accepted");
    static const ngx_str_t  duplicate = ngx_string("duplicate");
    static const ngx_str_t  closed = ngx_string("client_closed");

    switch (result) {

    case NGX_HTTP_JELOU_RESULT_NONE:
        return &none;

    case NGX_HTTP_JELOU_RESULT_ACCEPTED:
        return &accepted;

    case NGX_HTTP_JELOU_RESULT_DUPLICATE:
        return &duplicate;

    case NGX_HTTP_JELOU_RESULT_CLIENT_CLOSED:
        return &closed;

    default:
        return ngx_http_jelou_error_result(result
                                           - NGX_HTTP_JELOU_RESULT_DUPLICATE);
    }
}


ngx_http_jelou_class_e
ngx_http_jelou_result_class(ngx_uint_t result)
{
    switch (result) {

    case NGX_HTTP_JELOU_RESULT_ACCEPTED:
        return NGX_HTTP_JELOU_CLASS_ACCEPTED;

    case NGX_HTTP_JELOU_RESULT_DUPLICATE:
        return NGX_HTTP_JELOU_CLASS_DUPLICATE;

    case ngx_http_jelou_result_of(NGX_HTTP_JELOU_UPSTREAM_FAILED):
    case ngx_http_jelou_result_of(NGX_HTTP_JELOU_UPSTREAM_REJECTED):
    case ngx_http_jelou_result_of(NGX_HTTP_JELOU_UPSTREAM_SECRET_MISSING):
    case ngx_http_jelou_result_of(NGX_HTTP_JELOU_UPSTREAM_SIGNATURE_REFUSED):
    case ngx_http_jelou_result_of(NGX_HTTP_JELOU_INTERNAL_ERROR):
    case NGX_HTTP_JELOU_RESULT_CLIENT_CLOSED:
        return NGX_HTTP_JELOU_CLASS_FAILURE;

    default:
        return NGX_HTTP_JELOU_CLASS_REFUSAL;
    }
}
