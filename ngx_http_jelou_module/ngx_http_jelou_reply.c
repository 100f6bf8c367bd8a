
/*
 * The filters: whose answer goes out.
 *
 * They are the first ones of the chain, so that all other filters have the
 * answer that the sender gets.  Who answers is in the context.  What a content
 * handler answers is held back until it is complete: only then is it known that
 * the event was taken, and nothing has to be taken back if an upstream closes
 * half-way.
 */


#include "ngx_http_jelou_reply.h"
#include "ngx_http_jelou_answer.h"
#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_upstream.h"


static ngx_int_t ngx_http_jelou_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_jelou_by_who(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_nginx_error(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_handler_answer(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_hold_answer(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_expect(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_pass_answer(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_page_answer(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_page_passes(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_keep_retry_after(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_held(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_replace(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_uint_t status);
static ngx_int_t ngx_http_jelou_send_header(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_uint_t status);
static ngx_int_t ngx_http_jelou_send_body(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

#if (nginx_version >= 1029000)
static ngx_int_t ngx_http_jelou_early_hints_filter(ngx_http_request_t *r);
#endif


/* how long an answer may take that is not an upstream's, in ms */

#define NGX_HTTP_JELOU_HELD_TIME  60000

/* the status with which the handler has failed, if it is known */

#define ngx_http_jelou_failed(ctx)                                            \
    ((ctx)->failed ? (ctx)->failed : NGX_HTTP_BAD_GATEWAY)


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;

#if (nginx_version >= 1029000)
static ngx_http_output_header_filter_pt  ngx_http_next_early_hints_filter;
#endif


ngx_int_t
ngx_http_jelou_reply_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_jelou_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_jelou_body_filter;

#if (nginx_version >= 1029000)
    ngx_http_next_early_hints_filter = ngx_http_top_early_hints_filter;
    ngx_http_top_early_hints_filter = ngx_http_jelou_early_hints_filter;
#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_header_filter(ngx_http_request_t *r)
{
    ngx_http_jelou_ctx_t       *ctx;
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_jelou_ctx(r);

    if (ctx == NULL && r->err_status >= NGX_HTTP_BAD_REQUEST) {

        /* an error before the first phase of the location: its length */

        jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

        if (jlcf->schema.endpoint) {
            ctx = ngx_http_jelou_ctx_create(r, jlcf);
            if (ctx == NULL) {
                return NGX_ERROR;
            }
        }
    }

    if (ctx == NULL || ctx->conf == NULL) {
        return ngx_http_next_header_filter(r);
    }

    /* a filter behind this one has given our answer up, and it stays true */

    if (ctx->delivered) {
        return ngx_http_jelou_replace(r, ctx, NGX_HTTP_OK);
    }

    return ngx_http_jelou_by_who(r, ctx);
}


static ngx_int_t
ngx_http_jelou_by_who(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    switch (ctx->who) {

    case NGX_HTTP_JELOU_BY_UNKNOWN:

        if (r->err_status < NGX_HTTP_BAD_REQUEST) {

            /* "return 200", for instance; an endpoint is no resource */

            r->disable_not_modified = 1;

            return ngx_http_next_header_filter(r);
        }

        return ngx_http_jelou_nginx_error(r, ctx);

    case NGX_HTTP_JELOU_BY_MODULE:
    case NGX_HTTP_JELOU_BY_NGINX:

        if (r->err_status && r->err_status < NGX_HTTP_BAD_REQUEST) {

            /* error_page sends the sender elsewhere */

            return ngx_http_jelou_page_passes(r, ctx);
        }

        return ngx_http_jelou_replace(r, ctx, ctx->error->status);

    case NGX_HTTP_JELOU_BY_HANDLER:
        return ngx_http_jelou_handler_answer(r, ctx);

    default: /* NGX_HTTP_JELOU_BY_PAGE */
        return ngx_http_jelou_page_answer(r, ctx);
    }
}


/* nginx has refused the request before it was an event. */

static ngx_int_t
ngx_http_jelou_nginx_error(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (r->err_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE && !ctx->reading) {

        /* nginx looks at the length first, we look at it last */

        if (r->internal) {
            ngx_http_jelou_restore_post(r);
        }

        rc = ngx_http_jelou_request_path(r, ctx);

        if (rc == NGX_OK) {
            rc = ngx_http_jelou_request_header(r, ctx->conf, ctx->digest);
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc != NGX_OK) {
            (void) ngx_http_jelou_refuse(r, ctx, rc);
        }
    }

    if (ctx->error == NULL) {
        ctx->error = ngx_http_jelou_error_by_status(r->pool, r->err_status);

        if (ctx->error == NULL) {
            return NGX_ERROR;
        }
    }

    ctx->who = NGX_HTTP_JELOU_BY_NGINX;
    ctx->state = NGX_HTTP_JELOU_REFUSED;

    return ngx_http_jelou_replace(r, ctx, r->err_status);
}


/*
 * The answer of the handler that was to take the event, or nginx's word on its
 * failure.
 */

static ngx_int_t
ngx_http_jelou_handler_answer(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_uint_t  status;

    status = r->headers_out.status;

    if (r->err_status && r->err_status < NGX_HTTP_BAD_REQUEST && ctx->failed) {

        /* error_page sends the sender elsewhere */

        return ngx_http_jelou_page_passes(r, ctx);
    }

    ngx_http_jelou_keep_retry_after(r, ctx);

#if (NGX_HTTP_CACHE)

    if (r->cached) {

        /* what was said of another event */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "jelou: an answer from a cache does not say that "
                      "the event was taken");

        status = NGX_HTTP_BAD_GATEWAY;
    }

#endif

    if (r->filter_finalize && ctx->answer == NGX_HTTP_JELOU_ANSWER_PASSED) {

        /* the status is a filter's, which has refused the handler's answer */

        status = NGX_HTTP_BAD_GATEWAY;
    }

    if (ctx->conf->reply == NGX_HTTP_JELOU_REPLY_UPSTREAM && ctx->error == NULL
        && status >= NGX_HTTP_OK && status < NGX_HTTP_SPECIAL_RESPONSE)
    {
        return ngx_http_jelou_pass_answer(r, ctx);
    }

    if (r->err_status || ctx->error) {
        return ngx_http_jelou_replace(r, ctx, status);
    }

    ctx->status = status;

    return ngx_http_jelou_hold_answer(r, ctx);
}


/* What the sender is told is known when the answer is complete. */

static ngx_int_t
ngx_http_jelou_hold_answer(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    ngx_http_jelou_expect(r, ctx);

    ctx->answer = NGX_HTTP_JELOU_ANSWER_HELD;
    ctx->held_until = ngx_current_msec
                      + (u ? u->conf->read_timeout : NGX_HTTP_JELOU_HELD_TIME);

    ngx_http_jelou_watch_upstream(r, ctx);

    /* an upstream that speaks no HTTP/1.0 makes the client's request 0.9 */

    r->http_version = ctx->http_version;

    if (u) {

        /* nor does a 101 open a tunnel to the client */

        u->upgrade = 0;
    }

    return NGX_OK;
}


/* how much of a body is to come; 204 and 304 have none, whatever they say */

static void
ngx_http_jelou_expect(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ctx->left = r->headers_out.content_length_n;

    ctx->announced = ctx->left > 0
                     && r->headers_out.status != NGX_HTTP_NO_CONTENT
                     && r->headers_out.status != NGX_HTTP_NOT_MODIFIED;
}


static ngx_int_t
ngx_http_jelou_pass_answer(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_int_t  rc;

    ngx_http_jelou_expect(r, ctx);

    ctx->answer = NGX_HTTP_JELOU_ANSWER_PASSED;

    ngx_http_jelou_watch_upstream(r, ctx);

    rc = ngx_http_next_header_filter(r);

    if (rc != NGX_ERROR && r->header_only
        && (r->upstream == NULL || r->upstream->cleanup == NULL))
    {
        /* no body will follow, and no upstream says that this was all */

        ngx_http_jelou_delivered(r, ctx);
    }

    return rc;
}


static ngx_int_t
ngx_http_jelou_page_answer(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->probe && r->expect_tested
        && r->err_status >= NGX_HTTP_BAD_REQUEST)
    {
        /* nginx has an error in the place of the page */

        return ngx_http_jelou_replace(r, ctx, ngx_http_jelou_failed(ctx));
    }

    return ngx_http_jelou_page_passes(r, ctx);
}


/*
 * The operator's page goes out as it is.  It is not what was to take the event,
 * whatever its status is.
 */

static ngx_int_t
ngx_http_jelou_page_passes(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ctx->who = NGX_HTTP_JELOU_BY_PAGE;
    ctx->answer = NGX_HTTP_JELOU_ANSWER_NONE;

    if (ngx_http_jelou_not_delivered(r, ctx, ngx_http_jelou_failed(ctx))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


static void
ngx_http_jelou_keep_retry_after(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash
                && h[i].key.len == sizeof("Retry-After") - 1
                && ngx_strncasecmp(h[i].key.data, (u_char *) "Retry-After",
                                   sizeof("Retry-After") - 1)
                   == 0)
            {
                ctx->retry_after = h[i].value;
                return;
            }
        }
    }
}


static ngx_int_t
ngx_http_jelou_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_uint_t             last;
    ngx_chain_t           *cl;
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);

    if (ctx == NULL || in == NULL || r != r->main
        || ctx->answer == NGX_HTTP_JELOU_ANSWER_NONE
        || ctx->answer == NGX_HTTP_JELOU_ANSWER_SENT)
    {
        return ngx_http_next_body_filter(r, in);
    }

    last = 0;

    for (cl = in; cl; cl = cl->next) {
        last |= cl->buf->last_buf;
        ctx->left -= ngx_buf_size(cl->buf);
    }

    if (ctx->answer == NGX_HTTP_JELOU_ANSWER_PASSED) {

        if (last) {
            ngx_http_jelou_upstream_ended(r, ctx, NGX_OK);

            if (ngx_http_jelou_cut_off(ctx)) {

                /* the sender sees it as well, also where no length is told */

                return NGX_ERROR;
            }
        }

        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (!last && !ctx->interrupted) {
        return ngx_http_jelou_held(r, ctx);
    }

    if (ngx_http_jelou_cut_off(ctx)) {
        ctx->status = NGX_HTTP_BAD_GATEWAY;
    }

    if (ctx->answer == NGX_HTTP_JELOU_ANSWER_HELD
        && ngx_http_jelou_send_header(r, ctx, ctx->status) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    return ngx_http_jelou_send_body(r, ctx);
}


/*
 * More of an answer is to come.  One that never ends is no answer: it has the
 * time that nginx waits for a piece of it.
 */

static ngx_int_t
ngx_http_jelou_held(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->answer != NGX_HTTP_JELOU_ANSWER_HELD
        || (ngx_msec_int_t) (ctx->held_until - ngx_current_msec) > 0)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, NGX_ETIMEDOUT,
                  "jelou: the content handler's answer has no end");

    ngx_http_jelou_break_off(r, ctx);

    return NGX_ERROR;
}


void
ngx_http_jelou_break_off(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ctx->keepalive = 0;

    if (ngx_http_jelou_send_header(r, ctx, NGX_HTTP_BAD_GATEWAY) != NGX_ERROR) {
        (void) ngx_http_jelou_send_body(r, ctx);
    }
}


/* Answers in the place of what nginx or a content handler sends at once. */

static ngx_int_t
ngx_http_jelou_replace(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_uint_t status)
{
    ctx->answer = NGX_HTTP_JELOU_ANSWER_REPLACED;

    return ngx_http_jelou_send_header(r, ctx, status);
}


static ngx_int_t
ngx_http_jelou_send_header(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_uint_t status)
{
    if (ngx_http_jelou_answer(r, ctx, status) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_jelou_send_body(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_chain_t   out;

    /* from here on, what comes is that of the filters behind this one */

    ctx->answer = NGX_HTTP_JELOU_ANSWER_SENT;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->memory = 1;
    b->pos = ctx->reply.data;
    b->last = ctx->reply.data + ctx->reply.len;
    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


ngx_int_t
ngx_http_jelou_reply(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_int_t  rc;

    rc = ngx_http_jelou_send_header(r, ctx, status);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_jelou_send_body(r, ctx);
}


#if (nginx_version >= 1029000)

/* An application's 103 says something of an answer that nobody will see. */

static ngx_int_t
ngx_http_jelou_early_hints_filter(ngx_http_request_t *r)
{
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_jelou_ctx(r);

    if (ctx && ctx->conf) {
        return NGX_OK;
    }

    return ngx_http_next_early_hints_filter(r);
}

#endif
