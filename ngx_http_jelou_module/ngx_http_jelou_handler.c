
/*
 * The corridor: every step of a request, in order.
 */


#include "ngx_http_jelou_handler.h"
#include "ngx_http_jelou_forward.h"
#include "ngx_http_jelou_idempotency.h"
#include "ngx_http_jelou_reply.h"
#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_status.h"


/* a step lets the request on with NGX_OK; anything else ends its way */

typedef ngx_int_t (*ngx_http_jelou_step_pt)(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);


static void ngx_http_jelou_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_redirected(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_verify(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_allow_types(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_allow_time(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_hand_over(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_handler_pt next);
static ngx_int_t ngx_http_jelou_refuse(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_int_t rc);
static void ngx_http_jelou_log_refusal(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);


static ngx_http_jelou_step_pt  ngx_http_jelou_steps[] = {
    ngx_http_jelou_request_body,
    ngx_http_jelou_verify,
    ngx_http_jelou_request_event,
    ngx_http_jelou_allow_types,
    ngx_http_jelou_allow_time,
    ngx_http_jelou_idempotency,
    ngx_http_jelou_forward,
    NULL
};


ngx_int_t
ngx_http_jelou_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_jelou_ctx_t       *ctx;
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (r != r->main) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "jelou: an endpoint does not serve subrequests");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_http_jelou_ctx(r);

    if (ctx) {
        return ngx_http_jelou_redirected(r, ctx);
    }

    jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

    ctx = ngx_http_jelou_ctx_create(r, jlcf);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_jelou_request_path(r, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_request_header(r, jlcf, ctx->digest);
    }

    if (rc != NGX_OK) {
        return ngx_http_jelou_refuse(r, ctx, rc);
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_jelou_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_jelou_body_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_http_jelou_ctx_t    *ctx;
    ngx_http_jelou_step_pt  *step;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);
    ctx->began = ngx_http_jelou_status_clock(r);
    rc = NGX_ERROR;

    for (step = ngx_http_jelou_steps; *step; step++) {
        rc = (*step)(r, ctx);

        if (rc != NGX_OK) {
            break;
        }
    }

    ctx->decided = ngx_http_jelou_status_clock(r);

    if (rc == NGX_OK) {
        ctx->state = NGX_HTTP_JELOU_ACCEPTED;
        rc = ngx_http_jelou_hand_over(r, ctx, ctx->conf->next);

    } else if (rc == NGX_DONE) {
        ctx->state = NGX_HTTP_JELOU_ACCEPTED;
        rc = ngx_http_jelou_reply(r, ctx);

    } else {
        rc = ngx_http_jelou_refuse(r, ctx, rc);
    }

    ngx_http_finalize_request(r, rc);
}


/*
 * An internal redirect has brought the request to an endpoint once more, by
 * error_page for instance.  Its body may have been replaced, so that it must
 * not be verified again; nor must a refused one get further than before.
 */

static ngx_int_t
ngx_http_jelou_redirected(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_http_jelou_loc_conf_t  *jlcf;

    ngx_http_set_ctx(r, ctx, ngx_http_jelou_module);

    /* the event stays what it was, only its next handler is another one */

    if (ctx->state == NGX_HTTP_JELOU_ACCEPTED && !ctx->refused) {
        jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);
        return ngx_http_jelou_hand_over(r, ctx, jlcf->next);
    }

    if (ctx->error) {
        return ctx->error->status;
    }

    return r->err_status ? r->err_status : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_jelou_verify(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_str_t                  project;
    ngx_http_jelou_secrets_t  *secrets;

    secrets = ctx->conf->secrets;

    if (secrets) {
        ctx->state = NGX_HTTP_JELOU_VERIFYING;

        ngx_str_null(&project);

        if (secrets->buckets
            && ngx_http_jelou_request_project(r, ctx, &project) != NGX_OK)
        {
            return NGX_ERROR;
        }

        rc = ngx_http_jelou_secrets_verify(r, secrets, &project, ctx->body,
                                           ctx->digest, &ctx->secret);

        if (rc == NGX_DECLINED) {
            return NGX_HTTP_JELOU_SIGNATURE_MISMATCH;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx->state = NGX_HTTP_JELOU_VERIFIED;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_allow_types(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->event.types & ~ctx->conf->allowed) {
        return NGX_HTTP_JELOU_TYPE_NOT_ALLOWED;
    }

    return NGX_OK;
}


/* A signed event may be sent again by whoever has seen it, but not for long. */

static ngx_int_t
ngx_http_jelou_allow_time(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    off_t                    age;
    ngx_http_jelou_value_t  *v;

    v = &ctx->event.values[NGX_HTTP_JELOU_TIMESTAMP];

    if (ctx->conf->tolerance == 0 || v->type == NGX_HTTP_JELOU_ABSENT) {
        return NGX_OK;
    }

    age = (off_t) ctx->event.received_sec * 1000 + ctx->event.received
          - ngx_atoof(v->data, v->len);

    if (age > (off_t) ctx->conf->tolerance
        || -age > (off_t) ctx->conf->tolerance)
    {
        return NGX_HTTP_JELOU_STALE_EVENT;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_hand_over(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_handler_pt next)
{
    ngx_int_t  rc;

    /* what another handler has said before this one */

    ctx->queued = 0;
    ctx->quiet = 0;

    if (next && !ctx->replayed) {
        ctx->handed = 1;
        rc = next(r);

        /* the request cannot have ended: this call is part of it */

        ngx_http_jelou_request_done(ctx);

        return rc;
    }

    return ngx_http_jelou_reply(r, ctx);
}


/* An error is never a verdict: whatever is not a refusal is a 500. */

static ngx_int_t
ngx_http_jelou_refuse(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_int_t rc)
{
    if (rc <= 0 || rc >= NGX_HTTP_JELOU_NERRORS) {
        rc = NGX_HTTP_JELOU_INTERNAL_ERROR;
    }

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

    ngx_log_error(ctx->error->level, log, 0, "jelou refused a request: %V",
                  &ctx->error->key);
}
