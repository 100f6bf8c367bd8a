
/*
 * The contract's answers.
 */


#include "ngx_http_jelou_answer.h"
#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_status.h"


static void ngx_http_jelou_log_refusal(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_signature_refused(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_answer_success(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_answer_error(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_answer_violations(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_answer_headers(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);


static const ngx_str_t  ngx_http_jelou_retry_after =
    ngx_string("Retry-After");
static const ngx_str_t  ngx_http_jelou_replayed =
    ngx_string("Idempotent-Replayed");
static const ngx_str_t  ngx_http_jelou_true = ngx_string("true");


ngx_int_t
ngx_http_jelou_refuse(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_int_t rc)
{
    if (rc <= 0 || rc >= NGX_HTTP_JELOU_NERRORS) {
        rc = NGX_HTTP_JELOU_INTERNAL_ERROR;
    }

    ctx->who = NGX_HTTP_JELOU_BY_MODULE;
    ctx->state = NGX_HTTP_JELOU_REFUSED;
    ctx->error = ngx_http_jelou_error(rc);

    if (!ctx->quiet) {
        ngx_http_jelou_log_refusal(r, ctx);
    }

    return ctx->error->status;
}


static void
ngx_http_jelou_log_refusal(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_log_t                   *log;
    ngx_str_t                    project;
    ngx_http_jelou_event_t      *event;
    ngx_http_jelou_violation_t  *v;

    log = r->connection->log;
    event = &ctx->event;

    if (ctx->error == ngx_http_jelou_error(NGX_HTTP_JELOU_INVALID_JSON)) {
        ngx_log_error(ctx->error->level, log, 0,
                      "jelou refused a request: %V: %s at byte %uz of %uz",
                      &ctx->error->key, event->reason, event->offset,
                      event->body.len);
        return;
    }

    if (event->nviolations
        && ctx->error == ngx_http_jelou_error(NGX_HTTP_JELOU_INVALID_EVENT))
    {
        v = &event->violations[0];

        ngx_log_error(ctx->error->level, log, 0,
                      "jelou refused a request: %V: %ui violation%s, the first "
                      "at \"%V\": %V",
                      &ctx->error->key, event->nviolations,
                      event->nviolations == 1 ? "" : "s",
                      &v->pointer, &v->message);
        return;
    }

    if (ctx->error
            == ngx_http_jelou_error(NGX_HTTP_JELOU_UPSTREAM_SECRET_MISSING)
        && ngx_http_jelou_request_proven(r, ctx, &project) == NGX_OK)
    {
        ngx_log_error(ctx->error->level, log, 0,
                      "jelou refused a request: %V: of project \"%V\"",
                      &ctx->error->key, &project);
        return;
    }

    ngx_log_error(ctx->error->level, log, 0, "jelou refused a request: %V",
                  &ctx->error->key);
}


ngx_int_t
ngx_http_jelou_answer(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_uint_t status)
{
    if (ctx->who == NGX_HTTP_JELOU_BY_HANDLER
        || ctx->who == NGX_HTTP_JELOU_BY_PAGE)
    {
        /* no byte of anybody else's header goes out */

        ngx_http_clean_header(r);
    }

    if (ctx->error == NULL && status >= NGX_HTTP_OK
        && status < NGX_HTTP_SPECIAL_RESPONSE)
    {
        ngx_http_jelou_delivered(r, ctx);
        return ngx_http_jelou_answer_success(r, ctx);
    }

    if (ngx_http_jelou_not_delivered(r, ctx, status) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_jelou_answer_error(r, ctx);
}


void
ngx_http_jelou_delivered(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_http_jelou_status_answered(r, ctx);

    ctx->delivered = 1;

    ngx_http_jelou_dedup_done(&ctx->attempt, ctx->event.random);
}


ngx_int_t
ngx_http_jelou_not_delivered(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_http_jelou_status_answered(r, ctx);

    /* before the sender can see the answer, and send the event once more */

    ngx_http_jelou_dedup_cancel(&ctx->attempt);

    if (ctx->error) {
        return NGX_OK;
    }

    if (status == NGX_HTTP_UNAUTHORIZED && ctx->conf->upstream_secrets) {
        return ngx_http_jelou_signature_refused(r, ctx);
    }

    if (status >= NGX_HTTP_BAD_REQUEST
        && status < NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        ctx->error = ngx_http_jelou_error_rejected(r->pool, status);

        if (ctx->error == NULL) {
            return NGX_ERROR;
        }

    } else {
        ctx->error = ngx_http_jelou_error(NGX_HTTP_JELOU_UPSTREAM_FAILED);
    }

    if (!ctx->quiet) {
        ngx_log_error(ctx->error->level, r->connection->log, 0,
                      "jelou: %V: status %ui from the content handler%s",
                      &ctx->error->key, status,
                      ctx->who == NGX_HTTP_JELOU_BY_PAGE
                      ? ", and an error page answers" : "");
    }

    return NGX_OK;
}


/*
 * A 401 is no word on the event, nor on who has sent it: the secret that is
 * configured here is not the one that is configured there.
 */

static ngx_int_t
ngx_http_jelou_signature_refused(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    ngx_str_t  project;

    if (ngx_http_jelou_request_proven(r, ctx, &project) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->error = ngx_http_jelou_error(
                                   NGX_HTTP_JELOU_UPSTREAM_SIGNATURE_REFUSED);

    ngx_log_error(ctx->error->level, r->connection->log, 0,
                  "jelou: %V: status 401 from the content handler, which has "
                  "another secret of project \"%V\"",
                  &ctx->error->key, &project);

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_answer_success(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    size_t                         len;
    u_char                        *p;
    const ngx_http_jelou_piece_t  *pieces;

    if (ctx->replayed
        && ngx_http_jelou_add_header(r, &ngx_http_jelou_replayed,
                                     &ngx_http_jelou_true)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    pieces = ctx->event.kind->answer;

    len = ngx_http_jelou_pieces_length(pieces, &ctx->event,
                                       &ctx->conf->schema);

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->reply.data = p;
    ctx->reply.len = ngx_http_jelou_pieces_write(p, pieces, &ctx->event,
                                                 &ctx->conf->schema)
                     - p;

    r->headers_out.status = NGX_HTTP_OK;
    r->err_status = 0;

    ngx_http_jelou_answer_headers(r, ctx);

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_answer_error(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    const ngx_http_jelou_error_t  *error;

    error = ctx->error;
    ctx->reply = error->body;

    if (ctx->event.nviolations
        && error == ngx_http_jelou_error(NGX_HTTP_JELOU_INVALID_EVENT)
        && ngx_http_jelou_answer_violations(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    r->headers_out.status = error->status;
    r->headers_out.status_line = error->status_line;

    if (r->err_status) {
        r->err_status = error->status;   /* for the log and $status */
    }

    if ((error->header.len
         && ngx_http_jelou_add_header(r, &error->header, &error->value)
            != NGX_OK)
        || (ctx->retry_after.len
            && ngx_http_jelou_add_header(r, &ngx_http_jelou_retry_after,
                                         &ctx->retry_after)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    ngx_http_jelou_answer_headers(r, ctx);

    return NGX_OK;
}


/* The Error object with a member more: what is wrong at which pointer. */

static ngx_int_t
ngx_http_jelou_answer_violations(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    u_char                      *p;
    size_t                       len;
    ngx_uint_t                   i, n;
    const ngx_str_t             *body;
    ngx_http_jelou_violation_t  *v;

    body = &ctx->error->body;
    v = ctx->event.violations;
    n = ctx->event.nviolations;

    len = body->len + sizeof(",\"validationError\":{}") - 1;

    for (i = 0; i < n; i++) {
        len += sizeof(",\"\":\"\"") - 1 + v[i].pointer.len + v[i].message.len;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->reply.data = p;

    p = ngx_sprintf(p, "%*s,\"validationError\":{", body->len - 1, body->data);

    for (i = 0; i < n; i++) {
        p = ngx_sprintf(p, "%s\"%V\":\"%V\"", i ? "," : "", &v[i].pointer,
                        &v[i].message);
    }

    *p++ = '}';
    *p++ = '}';

    ctx->reply.len = p - ctx->reply.data;

    return NGX_OK;
}


/* What all our answers have in common. */

static void
ngx_http_jelou_answer_headers(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->has_body) {

        /*
         * nginx gives connections up after some errors in case the request
         * was not read to its end, but this one was
         */

        r->keepalive = ctx->keepalive;
    }

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    ngx_str_null(&r->headers_out.charset);

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    r->headers_out.content_length_n = ctx->reply.len;

    r->expect_trailers = 0;
    r->disable_not_modified = 1;
}
