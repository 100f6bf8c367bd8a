
/*
 * The content handler: an event becomes a command, and its reply the answer.
 */


#include "ngx_http_jelou_queue_status.h"
#include "ngx_http_jelou_idempotency.h"
#include "ngx_http_jelou_answer.h"
#include "ngx_http_jelou_handover.h"


static ngx_http_jelou_redis_target_t *ngx_http_jelou_redis_choose(
    ngx_http_jelou_redis_ctx_t *ctx);
static void ngx_http_jelou_redis_cleanup(void *data);
static ngx_int_t ngx_http_jelou_redis_reply_handler(
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result,
    ngx_http_jelou_redis_reply_t *reply);
static ngx_int_t ngx_http_jelou_redis_replied(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_http_jelou_redis_reply_t *reply, ngx_uint_t *status);
static ngx_int_t ngx_http_jelou_redis_fail(ngx_http_jelou_redis_ctx_t *ctx,
    const char *what, ngx_str_t *detail);
static ngx_int_t ngx_http_jelou_redis_answer(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_uint_t status);
static ngx_int_t ngx_http_jelou_redis_state(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_uint_t status);


/* how long a sender is asked to wait, in seconds */

static ngx_str_t  ngx_http_jelou_redis_retry = ngx_string("1");
static ngx_str_t  ngx_http_jelou_redis_retry_full = ngx_string("10");


ngx_int_t
ngx_http_jelou_redis_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_cleanup_t          *cln;
    ngx_http_jelou_redis_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_jelou_redis_ctx_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (ctx == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ctx->jelou = ngx_http_jelou_ctx(r);
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_redis_module);
    ctx->start = ngx_current_msec;
    ctx->cleanup = cln;

    ctx->target = ngx_http_jelou_redis_choose(ctx);

    if (ctx->target == NULL || ngx_http_jelou_redis_command(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->cmd.handler = ngx_http_jelou_redis_reply_handler;
    ctx->cmd.data = ctx;

    rc = ngx_http_jelou_redis_send(ctx->target, &ctx->cmd);

    if (rc == NGX_BUSY) {
        ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_BUSY);

        return ngx_http_jelou_redis_answer(ctx,
                   ngx_http_jelou_redis_fail(ctx, "too many commands wait for "
                                             "redis", NULL));
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_jelou_queue_begun();

    cln->handler = ngx_http_jelou_redis_cleanup;
    cln->data = ctx;

    r->main->count++;

    return NGX_DONE;
}


static ngx_http_jelou_redis_target_t *
ngx_http_jelou_redis_choose(ngx_http_jelou_redis_ctx_t *ctx)
{
    ngx_str_t                      name;
    ngx_http_request_t            *r;
    ngx_http_upstream_srv_conf_t  *uscf;

    r = ctx->request;
    uscf = ctx->conf->upstream;

    if (uscf == NULL) {

        if (ngx_http_complex_value(r, ctx->conf->pass, &name) != NGX_OK) {
            return NULL;
        }

        uscf = ngx_http_jelou_redis_group(ctx->conf->settings, &name);

        if (uscf == NULL) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "jelou: \"jelou_redis_pass\" has become \"%V\", "
                          "which is no upstream and no address, nor a name "
                          "that a \"resolver\" is there for", &name);
            ctx->jelou->quiet = 1;
            return NULL;
        }
    }

    ctx->group = uscf;

    return ngx_http_jelou_redis_target(ctx->conf->settings, uscf);
}


/* The request ends before its reply is there: the sender will come again. */

static void
ngx_http_jelou_redis_cleanup(void *data)
{
    ngx_http_jelou_redis_ctx_t *ctx = data;

    ngx_http_jelou_redis_cancel(&ctx->cmd);
    ngx_http_jelou_queue_abandoned();
}


static ngx_int_t
ngx_http_jelou_redis_reply_handler(ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_result_e result, ngx_http_jelou_redis_reply_t *reply)
{
    ngx_int_t                    rc;
    ngx_uint_t                   status;
    ngx_connection_t            *c;
    ngx_http_request_t          *r;
    ngx_http_jelou_redis_ctx_t  *ctx;

    ctx = cmd->data;
    r = ctx->request;
    c = r->connection;

    rc = NGX_OK;
    status = NGX_HTTP_BAD_GATEWAY;

    switch (result) {

    case NGX_HTTP_JELOU_REDIS_REPLIED:
        rc = ngx_http_jelou_redis_replied(ctx, reply, &status);

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        break;

    case NGX_HTTP_JELOU_REDIS_TIMED_OUT:
        status = NGX_HTTP_GATEWAY_TIME_OUT;
        break;

    default: /* REFUSED, UNREACHABLE, LOST */
        break;
    }

    ngx_http_jelou_queue_ended(ctx, result, rc);

    /* what became of a connection has been logged */

    ctx->jelou->quiet = 1;
    ctx->cleanup->handler = NULL;

    ngx_http_finalize_request(r, ngx_http_jelou_redis_answer(ctx, status));
    ngx_http_run_posted_requests(c);

    return rc;
}


/* NGX_AGAIN: the answer is not known yet */

static ngx_int_t
ngx_http_jelou_redis_replied(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_http_jelou_redis_reply_t *reply, ngx_uint_t *status)
{
    ngx_str_t  cause;

    if (ngx_http_jelou_redis_outcome(&ctx->outcome, reply) != NGX_OK) {
        return NGX_DECLINED;
    }

    switch (ctx->outcome.result) {

    case NGX_HTTP_JELOU_REDIS_APPENDED:
        *status = NGX_HTTP_OK;
        break;

    case NGX_HTTP_JELOU_REDIS_SAME:

        if (ctx->outcome.random) {
            ngx_memcpy(ctx->jelou->event.random, ctx->outcome.stored,
                       NGX_HTTP_JELOU_RANDOM_LEN);
        }

        *status = ngx_http_jelou_idempotency_replay(ctx->jelou) == NGX_OK
                  ? NGX_HTTP_OK : NGX_HTTP_INTERNAL_SERVER_ERROR;
        break;

    case NGX_HTTP_JELOU_REDIS_OTHER:
        *status = ngx_http_jelou_refuse(ctx->request, ctx->jelou,
                                        NGX_HTTP_JELOU_MESSAGE_ID_REUSED);
        break;

    case NGX_HTTP_JELOU_REDIS_FULL:
        *status = ngx_http_jelou_redis_fail(ctx, "the stream is full", NULL);
        ctx->jelou->retry_after = ngx_http_jelou_redis_retry_full;
        break;

    case NGX_HTTP_JELOU_REDIS_NOSCRIPT:

        /* it is known once the script itself was sent */

        if (!ctx->eval) {
            ngx_http_jelou_redis_command_eval(ctx);

            if (ngx_http_jelou_redis_send(ctx->target, &ctx->cmd) == NGX_OK) {
                return NGX_AGAIN;
            }
        }

        /* fall through */

    default: /* NGX_HTTP_JELOU_REDIS_DENIED */
        ngx_http_jelou_redis_reply_cause(reply, &cause);
        (void) ngx_http_jelou_redis_fail(ctx, ctx->outcome.script
                                              ? "redis refused the script: "
                                              : "redis refused XADD: ",
                                         &cause);
        break;
    }

    return NGX_OK;
}


/* Logs, and returns what the sender is told for now. */

static ngx_int_t
ngx_http_jelou_redis_fail(ngx_http_jelou_redis_ctx_t *ctx, const char *what,
    ngx_str_t *detail)
{
    (void) ngx_http_jelou_redis_log(ctx->target, &ctx->cmd.server,
                                    ctx->request->connection->log, 0, what,
                                    detail);
    ctx->jelou->quiet = 1;

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}


static ngx_int_t
ngx_http_jelou_redis_answer(ngx_http_jelou_redis_ctx_t *ctx, ngx_uint_t status)
{
    if (ngx_http_jelou_redis_state(ctx, status) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status >= NGX_HTTP_INTERNAL_SERVER_ERROR
        && ctx->jelou->retry_after.len == 0)
    {
        ctx->jelou->retry_after = ngx_http_jelou_redis_retry;
    }

    return ngx_http_jelou_handler_answers(ctx->request, ctx->jelou, status);
}


/* For $upstream_addr, $upstream_status and $upstream_response_time */

static ngx_int_t
ngx_http_jelou_redis_state(ngx_http_jelou_redis_ctx_t *ctx, ngx_uint_t status)
{
    u_char                     *p;
    ngx_str_t                  *peer;
    ngx_http_request_t         *r;
    ngx_http_upstream_state_t  *state;

    r = ctx->request;

    if (r->upstream_states == NULL) {
        r->upstream_states = ngx_array_create(r->pool, 1,
                                            sizeof(ngx_http_upstream_state_t));
        if (r->upstream_states == NULL) {
            return NGX_ERROR;
        }
    }

    state = ngx_array_push(r->upstream_states);
    peer = ngx_palloc(r->pool, sizeof(ngx_str_t) + ctx->cmd.server.len);

    if (state == NULL || peer == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) peer + sizeof(ngx_str_t);

    peer->data = p;
    peer->len = ctx->cmd.server.len;

    if (peer->len) {
        ngx_memcpy(p, ctx->cmd.server.data, peer->len);

    } else {
        *peer = ctx->group->host;
    }

    ngx_memzero(state, sizeof(ngx_http_upstream_state_t));

    state->status = status;
    state->connect_time = (ngx_msec_t) -1;
    state->header_time = (ngx_msec_t) -1;
    state->response_time = ngx_current_msec - ctx->start;
    state->peer = peer;

    return NGX_OK;
}
