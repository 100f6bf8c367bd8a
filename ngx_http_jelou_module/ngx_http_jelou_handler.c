
/*
 * The way of a request, in order.
 */


#include "ngx_http_jelou_handler.h"
#include "ngx_http_jelou_answer.h"
#include "ngx_http_jelou_forward.h"
#include "ngx_http_jelou_handover.h"
#include "ngx_http_jelou_idempotency.h"
#include "ngx_http_jelou_reply.h"
#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_status.h"


static ngx_int_t ngx_http_jelou_begin(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_judge(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_deliver(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_verify(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_allow_types(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_allow_time(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);


ngx_int_t
ngx_http_jelou_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_jelou_ctx_t       *ctx;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (r != r->main || r->post_action) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "jelou: an endpoint does not serve %s",
                      r->post_action ? "post_action" : "subrequests");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_http_jelou_ctx(r);
    jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

    if (ctx == NULL) {
        ctx = ngx_http_jelou_ctx_create(r, jlcf);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ctx->uri_changes = r->uri_changes;

    if (ngx_http_jelou_begin(r, ctx) != NGX_OK) {
        return ngx_http_jelou_take_over(r, ctx);
    }

    ctx->conf = jlcf;

    if (r->internal) {
        ngx_http_jelou_restore_post(r);
    }

    rc = ngx_http_jelou_request_path(r, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_request_header(r, jlcf, ctx->digest);
    }

    if (rc != NGX_OK) {
        return ngx_http_jelou_refuse(r, ctx, rc);
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ctx->max_body = clcf->client_max_body_size;
    ctx->reading = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_jelou_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


/*
 * Returns NGX_OK if nothing of the request has been decided yet, otherwise
 * NGX_DECLINED.
 */

static ngx_int_t
ngx_http_jelou_begin(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->who == NGX_HTTP_JELOU_BY_UNKNOWN) {

        if (ngx_http_jelou_request_discarded(r)) {
            ctx->error = ngx_http_jelou_error(NGX_HTTP_JELOU_PAYLOAD_TOO_LARGE);
            return NGX_DECLINED;
        }

        return NGX_OK;
    }

    if (ctx->who == NGX_HTTP_JELOU_BY_PAGE && !ctx->reading
        && ctx->state == NGX_HTTP_JELOU_CHECKING
        && !ngx_http_jelou_request_discarded(r))
    {
        /*
         * another endpoint's location has been left before the event was
         * looked at, because of a limit for instance
         */

        ctx->who = NGX_HTTP_JELOU_BY_UNKNOWN;
        ctx->error = NULL;

        return NGX_OK;
    }

    return NGX_DECLINED;
}


static void
ngx_http_jelou_body_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);

    ctx->reading = 0;
    ctx->began = ngx_http_jelou_status_clock(r);

    rc = ngx_http_jelou_judge(r, ctx);

    if (rc != NGX_OK) {
        ctx->decided = ngx_http_jelou_status_clock(r);
        ngx_http_finalize_request(r, ngx_http_jelou_refuse(r, ctx, rc));
        return;
    }

    ngx_http_jelou_deliver(r);
}


/* Returns NGX_OK if the event may be delivered, a refusal or NGX_ERROR. */

static ngx_int_t
ngx_http_jelou_judge(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_jelou_request_body(r, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_verify(r, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_request_event(r, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_allow_types(r, ctx);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_allow_time(r, ctx);
    }

    return rc;
}


/* Called again as long as another try to deliver the event is in progress. */

static void
ngx_http_jelou_deliver(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);

    if (ctx->waiting) {

        /* the time of the wait is not the module's own */

        ctx->began += ngx_http_jelou_status_clock(r) - ctx->decided;
    }

    rc = ngx_http_jelou_idempotency(r, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_forward(r, ctx);
    }

    ctx->decided = ngx_http_jelou_status_clock(r);

    if (rc == NGX_AGAIN) {
        ngx_http_jelou_wait(r, ctx, ngx_http_jelou_deliver);
        return;
    }

    if (rc == NGX_OK || rc == NGX_DONE) {
        ctx->state = NGX_HTTP_JELOU_ACCEPTED;
        rc = ngx_http_jelou_hand_over(r, ctx, ctx->conf->next);

    } else {
        rc = ngx_http_jelou_refuse(r, ctx, rc);
    }

    ngx_http_finalize_request(r, rc);
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

        if (secrets->has_projects
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
        || -age > (off_t) ctx->conf->future)
    {
        return NGX_HTTP_JELOU_STALE_EVENT;
    }

    return NGX_OK;
}
