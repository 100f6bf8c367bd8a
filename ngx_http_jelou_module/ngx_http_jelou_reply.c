
/*
 * The contract's answers, through a header and a body filter.
 *
 * What the location itself answers (a refusal of ours, an error of nginx's)
 * is replaced at once.  An answer of the next content handler is held back
 * until it is complete: only then is it known that the event was taken, and
 * nothing has to be taken back if the upstream closes half-way.
 */


#include "ngx_http_jelou_reply.h"
#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_status.h"


static ngx_int_t ngx_http_jelou_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_jelou_own_error(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_upstream_answer(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_upstream_finalize(ngx_http_request_t *r,
    ngx_int_t rc);
static void ngx_http_jelou_delivered(ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_keep_retry_after(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_outcome(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_success(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_failure(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_set_body(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_set_violations(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_set_headers(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_send_body(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_jelou_reply_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_jelou_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_jelou_body_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_header_filter(ngx_http_request_t *r)
{
    ngx_uint_t                  accel;
    ngx_http_jelou_ctx_t       *ctx;
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

    ctx = ngx_http_jelou_ctx(r);

    if (jlcf->schema.endpoint == NULL) {

        /*
         * a location that error_page leads to answers for itself, while one
         * that X-Accel-Redirect names answers for the upstream
         */

        accel = r->upstream && r->upstream->headers_in.x_accel_redirect;

        if (ctx == NULL || ctx->state != NGX_HTTP_JELOU_ACCEPTED
            || ctx->replace || r->error_page || (r->err_status && !accel))
        {
            return ngx_http_next_header_filter(r);
        }
    }

    if (r->err_status >= NGX_HTTP_BAD_REQUEST) {

        if (ctx == NULL) {
            ctx = ngx_http_jelou_ctx_create(r, jlcf);
            if (ctx == NULL) {
                return NGX_ERROR;
            }
        }

        return ngx_http_jelou_own_error(r, ctx);
    }

    /* without a context, somebody else answers: "return 200", for instance */

    if (ctx == NULL || ctx->state != NGX_HTTP_JELOU_ACCEPTED || ctx->replace
        || r->err_status)
    {
        return ngx_http_next_header_filter(r);
    }

    ngx_http_set_ctx(r, ctx, ngx_http_jelou_module);

    return ngx_http_jelou_upstream_answer(r, ctx);
}


/* nginx sends one of its error pages, because of us or for its own reasons */

static ngx_int_t
ngx_http_jelou_own_error(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    u_char     digest[NGX_HTTP_JELOU_DIGEST_LEN];
    ngx_int_t  rc;

    ngx_http_set_ctx(r, ctx, ngx_http_jelou_module);

    if (ctx->state == NGX_HTTP_JELOU_ACCEPTED) {
        ctx->status = r->err_status;
        return ngx_http_jelou_outcome(r, ctx);
    }

    if (ctx->error == NULL && !r->internal
        && r->err_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE)
    {
        /*
         * nginx looks at the length first, we look at it last; error_page has
         * made a GET of the request
         */

        rc = ngx_http_jelou_request_header(r, ctx->conf, digest);

        if (rc != NGX_OK) {
            ctx->error = ngx_http_jelou_error(rc);

            ngx_log_error(ctx->error->level, r->connection->log, 0,
                          "jelou refused a request: %V", &ctx->error->key);
        }
    }

    if (ctx->error == NULL) {
        ctx->error = ngx_http_jelou_error_by_status(r->pool, r->err_status);

        if (ctx->error == NULL) {
            return NGX_ERROR;
        }
    }

    ctx->state = NGX_HTTP_JELOU_REFUSED;

    return ngx_http_jelou_failure(r, ctx);
}


static ngx_int_t
ngx_http_jelou_upstream_answer(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    ngx_uint_t  status;

    status = r->headers_out.status;

    if (r->upstream) {
        ctx->finalize = r->upstream->finalize_request;
        r->upstream->finalize_request = ngx_http_jelou_upstream_finalize;
    }

    if (ctx->conf->reply == NGX_HTTP_JELOU_REPLY_UPSTREAM && !ctx->queued
        && status >= NGX_HTTP_OK && status < NGX_HTTP_SPECIAL_RESPONSE)
    {
        ctx->passing = 1;
        return ngx_http_next_header_filter(r);
    }

    ctx->status = status;
    ctx->replace = 1;
    ctx->postponed = 1;

    ngx_http_jelou_keep_retry_after(r, ctx);

    /* an upstream that speaks no HTTP/1.0 makes the client's request 0.9 */

    r->http_version = ctx->http_version;

    if (r->upstream) {

        /* nor does a 101 open a tunnel to the client */

        r->upstream->upgrade = 0;
    }

    return NGX_OK;
}


/*
 * The upstream's answer is at its end, good or bad.  One that nginx cannot
 * read on, for instance for a broken chunk, ends with the connection and no
 * call of a filter: this is the last chance to tell the sender.
 */

static void
ngx_http_jelou_upstream_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);

    ctx->finalize(r, rc);

    if (rc != NGX_OK) {
        ngx_http_jelou_dedup_cancel(&ctx->flight);

        if (ctx->passing && !ctx->delivered && !r->connection->error) {
            ctx->error = ngx_http_jelou_error(NGX_HTTP_JELOU_UPSTREAM_FAILED);
        }
    }

    if (rc != NGX_ERROR || ctx->passing || ctx->sent || r->connection->error) {
        return;
    }

    ctx->keepalive = 0;
    ctx->status = NGX_HTTP_BAD_GATEWAY;

    if (ngx_http_jelou_outcome(r, ctx) != NGX_ERROR) {
        (void) ngx_http_jelou_send_body(r, ctx);
    }
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

    if (ctx == NULL || in == NULL || r != r->main) {
        return ngx_http_next_body_filter(r, in);
    }

    if (ctx->passing) {

        for (cl = in; cl; cl = cl->next) {
            if (cl->buf->last_buf) {
                ngx_http_jelou_status_answered(r, ctx);
                ngx_http_jelou_delivered(ctx);
            }
        }
    }

    if (!ctx->replace) {
        return ngx_http_next_body_filter(r, in);
    }

    last = 0;

    for (cl = in; cl; cl = cl->next) {
        last |= cl->buf->last_buf;

        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->sent) {
        return NGX_OK;
    }

    if (ctx->postponed) {

        if (!last) {

            /*
             * the upstream module has given up if it is at its end and
             * still sends no last buffer
             */

            if (r->upstream == NULL || r->upstream->cleanup) {
                return NGX_OK;
            }

            ctx->status = NGX_HTTP_BAD_GATEWAY;
        }

        if (ngx_http_jelou_outcome(r, ctx) == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return ngx_http_jelou_send_body(r, ctx);
}


/* The content handler's verdict on an accepted event. */

static ngx_int_t
ngx_http_jelou_outcome(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_uint_t  status;

    status = ctx->status;

    ngx_http_jelou_status_answered(r, ctx);

    /* no byte of the upstream's header goes out */

    ngx_http_clean_header(r);

    if (status >= NGX_HTTP_OK && status < NGX_HTTP_SPECIAL_RESPONSE) {
        return ngx_http_jelou_success(r, ctx);
    }

    if (ctx->refused) {
        return ngx_http_jelou_failure(r, ctx);
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
                      "jelou: %V: status %ui from the content handler",
                      &ctx->error->key, status);
    }

    if (ctx->retry_after.len) {

        static ngx_str_t  retry_after = ngx_string("Retry-After");

        if (ngx_http_jelou_add_header(r, &retry_after, &ctx->retry_after)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_jelou_failure(r, ctx);
}


static void
ngx_http_jelou_delivered(ngx_http_jelou_ctx_t *ctx)
{
    ctx->delivered = 1;

    ngx_http_jelou_dedup_done(&ctx->flight, ctx->event.random);
}


static ngx_int_t
ngx_http_jelou_success(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    size_t                         len;
    u_char                        *p;
    const ngx_http_jelou_piece_t  *pieces;

    ngx_http_jelou_delivered(ctx);

    if (ctx->replayed) {

        static ngx_str_t  key = ngx_string("Idempotent-Replayed");
        static ngx_str_t  value = ngx_string("true");

        if (ngx_http_jelou_add_header(r, &key, &value) != NGX_OK) {
            return NGX_ERROR;
        }
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

    ngx_http_jelou_set_headers(r, ctx);

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_jelou_failure(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    const ngx_http_jelou_error_t  *error;

    error = ctx->error;

    /* before the sender can see the answer, and send the event once more */

    ngx_http_jelou_dedup_cancel(&ctx->flight);

    if (ngx_http_jelou_set_body(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_out.status = error->status;
    r->headers_out.status_line = error->status_line;

    if (r->err_status) {
        r->err_status = error->status;   /* for the log and $status */
    }

    if (error->header.len
        && ngx_http_jelou_add_header(r, &error->header, &error->value)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_jelou_set_headers(r, ctx);

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_jelou_set_body(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->event.nviolations
        && ctx->error == ngx_http_jelou_error(NGX_HTTP_JELOU_INVALID_EVENT))
    {
        return ngx_http_jelou_set_violations(r, ctx);
    }

    ctx->reply = ctx->error->body;

    return NGX_OK;
}


/* The Error object with a member more: what is wrong at which pointer. */

static ngx_int_t
ngx_http_jelou_set_violations(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
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
ngx_http_jelou_set_headers(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ctx->replace = 1;

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


ngx_int_t
ngx_http_jelou_add_header(ngx_http_request_t *r, const ngx_str_t *key,
    const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key = *key;
    h->value = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_send_body(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_chain_t   out;

    ctx->sent = 1;

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
ngx_http_jelou_reply(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->status = NGX_HTTP_OK;

    rc = ngx_http_jelou_outcome(r, ctx);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    return ngx_http_jelou_send_body(r, ctx);
}


ngx_int_t
ngx_http_jelou_answer(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_uint_t status)
{
    if (ctx->error) {
        ctx->refused = 1;
        status = ctx->error->status;
    }

    /* nginx's own page is ours, or the location's error_page */

    return status == NGX_HTTP_OK ? ngx_http_jelou_reply(r, ctx)
                                 : (ngx_int_t) status;
}
