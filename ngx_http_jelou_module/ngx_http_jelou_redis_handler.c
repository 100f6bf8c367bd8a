
/*
 * The content handler: one command to Redis and its reply, through nginx's own
 * upstream machinery.
 */


#include "ngx_http_jelou_redis.h"
#include "ngx_http_jelou_handover.h"
#include "ngx_http_jelou_idempotency.h"


static ngx_int_t ngx_http_jelou_redis_create_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_redis_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_redis_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_redis_appended(ngx_http_request_t *r,
    ngx_http_jelou_redis_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_redis_refused(ngx_http_request_t *r,
    ngx_http_jelou_redis_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_redis_eval(ngx_http_request_t *r,
    ngx_http_jelou_redis_ctx_t *ctx);
static void ngx_http_jelou_redis_eval_handler(ngx_http_request_t *r,
    ngx_http_upstream_t *u);
static ngx_int_t ngx_http_jelou_redis_eval_send(ngx_http_request_t *r,
    ngx_http_upstream_t *u, ngx_chain_t *out);
static void ngx_http_jelou_redis_idle_handler(ngx_http_request_t *r,
    ngx_http_upstream_t *u);
static ngx_int_t ngx_http_jelou_redis_filter_init(void *data);
static ngx_int_t ngx_http_jelou_redis_filter(void *data, ssize_t bytes);
static void ngx_http_jelou_redis_abort_request(ngx_http_request_t *r);
static void ngx_http_jelou_redis_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc);
static void ngx_http_jelou_redis_cleanup(void *data);


ngx_int_t
ngx_http_jelou_redis_handler(ngx_http_request_t *r)
{
    ngx_http_upstream_t              *u;
    ngx_pool_cleanup_t               *cln;
    ngx_http_jelou_redis_ctx_t       *ctx;
    ngx_http_jelou_redis_loc_conf_t  *rlcf;

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_redis_module);

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_jelou_redis_ctx_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_jelou_redis_ctx_t));

    cln->handler = ngx_http_jelou_redis_cleanup;

    ctx->request = r;
    ctx->jelou = ngx_http_jelou_ctx(r);
    ctx->conf = rlcf;

    ngx_http_set_ctx(r, ctx, ngx_http_jelou_redis_module);

    ctx->jelou->queued = 1;

    u = r->upstream;

    ngx_str_set(&u->schema, "redis://");
    u->output.tag = (ngx_buf_tag_t) &ngx_http_jelou_redis_module;

    u->conf = &rlcf->upstream;

    u->create_request = ngx_http_jelou_redis_create_request;
    u->reinit_request = ngx_http_jelou_redis_reinit_request;
    u->process_header = ngx_http_jelou_redis_process_header;
    u->abort_request = ngx_http_jelou_redis_abort_request;
    u->finalize_request = ngx_http_jelou_redis_finalize_request;

    u->input_filter_init = ngx_http_jelou_redis_filter_init;
    u->input_filter = ngx_http_jelou_redis_filter;
    u->input_filter_ctx = ctx;

    r->main->count++;

    ngx_http_upstream_init(r);

    return NGX_DONE;
}


/*
 * What goes before the command does so on every connection, a kept one as
 * well: which user and database it has been given is not known, and other
 * locations may share it.
 */

static ngx_int_t
ngx_http_jelou_redis_create_request(ngx_http_request_t *r)
{
    ngx_buf_t                   *b;
    ngx_chain_t                 *cl, **ll;
    ngx_http_jelou_redis_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_redis_module);

    if (ngx_http_jelou_redis_command(ctx) != NGX_OK
        || ngx_http_jelou_redis_reinit_request(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ll = &r->upstream->request_bufs;

    if (ctx->conf->nbefore) {
        b = ngx_calloc_buf(r->pool);
        cl = ngx_alloc_chain_link(r->pool);

        if (b == NULL || cl == NULL) {
            return NGX_ERROR;
        }

        b->start = ctx->conf->before.data;
        b->pos = b->start;
        b->last = b->start + ctx->conf->before.len;
        b->end = b->last;
        b->memory = 1;

        cl->buf = b;
        *ll = cl;
        ll = &cl->next;
    }

    b = ngx_http_jelou_redis_command_buf(ctx);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = b;
    cl->next = NULL;
    *ll = cl;

    return NGX_OK;
}


/* Another connection: its replies are read from the first one on. */

static ngx_int_t
ngx_http_jelou_redis_reinit_request(ngx_http_request_t *r)
{
    ngx_http_jelou_redis_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_redis_module);

    r->upstream->conf = &ctx->conf->upstream;

    ctx->eval = 0;

    ngx_http_jelou_redis_reply_free(&ctx->reply);

    return ngx_http_jelou_redis_reply_init(&ctx->reply, ctx->conf->nbefore,
                        ctx->script,
                        ctx->jelou->conf->schema.endpoint->names_message);
}


static ngx_int_t
ngx_http_jelou_redis_process_header(ngx_http_request_t *r)
{
    size_t                       len;
    u_char                      *data;
    ngx_int_t                    rc;
    ngx_http_upstream_t         *u;
    ngx_http_jelou_redis_ctx_t  *ctx;

    u = r->upstream;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_redis_module);

    data = u->buffer.pos;
    len = u->buffer.last - u->buffer.pos;

    u->buffer.pos = u->buffer.last;

    rc = ngx_http_jelou_redis_reply_read(&ctx->reply, data, len);

    if (rc == NGX_AGAIN || rc == NGX_ERROR) {
        return rc;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "jelou: a malformed reply from redis");
        ctx->jelou->quiet = 1;

        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    switch (ctx->reply.outcome) {

    case NGX_HTTP_JELOU_REDIS_NOSCRIPT:
        if (!ctx->eval) {
            return ngx_http_jelou_redis_eval(r, ctx);
        }

        return ngx_http_jelou_redis_refused(r, ctx);

    case NGX_HTTP_JELOU_REDIS_REFUSED:
        return ngx_http_jelou_redis_refused(r, ctx);

    default:
        return ngx_http_jelou_redis_appended(r, ctx);
    }
}


/* The event is in the stream, since now or before, or another one is. */

static ngx_int_t
ngx_http_jelou_redis_appended(ngx_http_request_t *r,
    ngx_http_jelou_redis_ctx_t *ctx)
{
    ngx_uint_t            status;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    status = NGX_HTTP_OK;

    if (ctx->reply.outcome == NGX_HTTP_JELOU_REDIS_SAME) {

        if (ctx->reply.random) {
            ngx_memcpy(ctx->jelou->event.random, ctx->reply.stored,
                       NGX_HTTP_JELOU_RANDOM_LEN);
        }

        if (ngx_http_jelou_idempotency_replay(ctx->jelou) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ctx->reply.outcome == NGX_HTTP_JELOU_REDIS_OTHER) {
        status = ngx_http_jelou_handler_refuses(r, ctx->jelou,
                                          NGX_HTTP_JELOU_MESSAGE_ID_REUSED);
    }

    u->headers_in.status_n = status;
    u->headers_in.content_length_n = 0;
    u->state->status = status;

    /* the reply is complete, and nothing is behind it */

    u->keepalive = 1;

    return NGX_OK;
}


/*
 * An error says that the command was not executed, so that another server may
 * be asked even though the request is a POST that has been sent.
 */

static ngx_int_t
ngx_http_jelou_redis_refused(ngx_http_request_t *r,
    ngx_http_jelou_redis_ctx_t *ctx)
{
    const char  *what;

    if (ctx->reply.failed == ctx->reply.before) {
        what = ctx->script ? "the script" : "XADD";

    } else if (ctx->reply.failed == 0 && ctx->conf->auth.len) {
        what = "AUTH";

    } else {
        what = "SELECT";
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "jelou: redis refused %s: %V", what, &ctx->reply.cause);

    ctx->jelou->quiet = 1;

    if (ctx->reply.elsewhere) {
        r->upstream->conf = &ctx->conf->elsewhere;
    }

    return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}


/*
 * The server does not know the script: it is new, or its scripts were flushed.
 * The script itself follows on the same connection, and is known from then on.
 */

static ngx_int_t
ngx_http_jelou_redis_eval(ngx_http_request_t *r,
    ngx_http_jelou_redis_ctx_t *ctx)
{
    ngx_chain_t           out;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    ngx_http_jelou_redis_reply_free(&ctx->reply);

    if (ngx_http_jelou_redis_reply_init(&ctx->reply, 0, 1,
                           ctx->jelou->conf->schema.endpoint->names_message)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->eval = 1;

    ngx_http_jelou_redis_command_eval(ctx);

    out.buf = ngx_http_jelou_redis_command_buf(ctx);
    out.next = NULL;

    if (out.buf == NULL) {
        return NGX_ERROR;
    }

    /* from here on the time is that of another command */

    ngx_add_timer(u->peer.connection->read, u->conf->read_timeout);

    return ngx_http_jelou_redis_eval_send(r, u, &out);
}


static void
ngx_http_jelou_redis_eval_handler(ngx_http_request_t *r,
    ngx_http_upstream_t *u)
{
    /* if it fails, the reader will find the connection at its end */

    (void) ngx_http_jelou_redis_eval_send(r, u, NULL);
}


/*
 * Sends what is left, and returns NGX_AGAIN: there is a reply to wait for, as
 * long as the read timeout lasts.
 */

static ngx_int_t
ngx_http_jelou_redis_eval_send(ngx_http_request_t *r, ngx_http_upstream_t *u,
    ngx_chain_t *out)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = u->peer.connection;

    c->log->action = "sending request to upstream";

    rc = ngx_output_chain(&u->output, out);

    c->log->action = "reading response header from upstream";

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    u->write_event_handler = (rc == NGX_AGAIN)
                             ? ngx_http_jelou_redis_eval_handler
                             : ngx_http_jelou_redis_idle_handler;

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


static void
ngx_http_jelou_redis_idle_handler(ngx_http_request_t *r,
    ngx_http_upstream_t *u)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "jelou redis: nothing to send");
}


static ngx_int_t
ngx_http_jelou_redis_filter_init(void *data)
{
    ngx_http_jelou_redis_ctx_t *ctx = data;

    /* the reply was all in the "header" */

    ctx->request->upstream->length = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_redis_filter(void *data, ssize_t bytes)
{
    return NGX_ERROR;
}


static void
ngx_http_jelou_redis_abort_request(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "abort jelou redis request");
}


static void
ngx_http_jelou_redis_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "finalize jelou redis request: %i", rc);
}


static void
ngx_http_jelou_redis_cleanup(void *data)
{
    ngx_http_jelou_redis_ctx_t *ctx = data;

    ngx_http_jelou_redis_reply_free(&ctx->reply);
}
