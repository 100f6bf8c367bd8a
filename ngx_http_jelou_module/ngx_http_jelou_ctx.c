
/*
 * The context of a request: found again after a redirect, and told of it.
 */


#include "ngx_http_jelou_ctx.h"
#include "ngx_http_jelou_dedup.h"


static ngx_http_jelou_ctx_t *ngx_http_jelou_ctx_find(ngx_http_request_t *r);
static void ngx_http_jelou_ctx_redirected(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static const ngx_http_jelou_error_t *ngx_http_jelou_ctx_unread(
    ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_ctx_cleanup(void *data);


/*
 * Contexts are cleared by redirects, and by a filter that gives an answer up
 * (ngx_http_filter_finalize_request).  Clean-ups are not, and of the two only
 * a redirect counts as a change of the URI.
 */

ngx_http_jelou_ctx_t *
ngx_http_jelou_ctx(ngx_http_request_t *r)
{
    ngx_http_jelou_ctx_t  *ctx;

    r = r->main;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);

    if (ctx || !(r->internal || r->filter_finalize)) {
        return ctx;
    }

    ctx = ngx_http_jelou_ctx_find(r);

    if (ctx == NULL) {
        return NULL;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_jelou_module);

    if (ctx->uri_changes != r->uri_changes && !r->post_action) {
        ctx->uri_changes = r->uri_changes;
        ngx_http_jelou_ctx_redirected(r, ctx);
    }

    return ctx;
}


static ngx_http_jelou_ctx_t *
ngx_http_jelou_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_jelou_ctx_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/*
 * Where the upstream has named the location (X-Accel-Redirect), this location
 * speaks for it.  All other redirects of a request whose answer was decided are
 * those of error_page: from here on, a page of the operator's answers, unless
 * it is an endpoint, whose handler takes over.
 */

static void
ngx_http_jelou_ctx_redirected(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    switch (ctx->who) {

    case NGX_HTTP_JELOU_BY_UNKNOWN:

        if (ctx->reading) {
            ctx->error = ngx_http_jelou_ctx_unread(r, ctx);

        } else if (r->err_status < NGX_HTTP_BAD_REQUEST) {

            /* nothing was decided: try_files, for instance */

            ctx->conf = NULL;
            return;

        } else {
            ctx->error = ngx_http_jelou_error_by_status(r->pool,
                                                        r->err_status);
        }

        if (ctx->error == NULL) {
            ctx->error = ngx_http_jelou_error(NGX_HTTP_JELOU_INTERNAL_ERROR);
        }

        break;

    case NGX_HTTP_JELOU_BY_HANDLER:

        if (ctx->named) {
            ctx->named = 0;
            ctx->delegated = 1;
            return;
        }

        /* what the application has said is not the page's */

        ngx_http_clean_header(r);

        break;

    default:
        break;
    }

    ctx->who = NGX_HTTP_JELOU_BY_PAGE;
    ctx->delegated = 0;
    ctx->probe = 0;
}


/*
 * The body could not be read, and "error_page CODE = page" has made nginx
 * forget why: its own test of the size is repeated.
 */

static const ngx_http_jelou_error_t *
ngx_http_jelou_ctx_unread(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_uint_t                status;
    ngx_http_request_body_t  *rb;

    rb = r->request_body;
    status = r->err_status;

    if (status < NGX_HTTP_BAD_REQUEST) {
        status = NGX_HTTP_BAD_REQUEST;

        if (rb && ctx->max_body
            && (rb->received > ctx->max_body
                || (rb->chunked
                    && ctx->max_body - r->headers_in.content_length_n
                       < rb->chunked->size)
#if (NGX_HTTP_V3)
                || (r->v3_parse
                    && (uint64_t) (ctx->max_body - rb->received)
                       < r->v3_parse->body.length)
#endif
               ))
        {
            status = NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
        }
    }

    return ngx_http_jelou_error_by_status(r->pool, status);
}


ngx_http_jelou_ctx_t *
ngx_http_jelou_ctx_create(ngx_http_request_t *r,
    ngx_http_jelou_loc_conf_t *jlcf)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_jelou_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_jelou_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_jelou_ctx_cleanup;

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_jelou_ctx_t));

    ctx->conf = jlcf;
    ctx->http_version = r->http_version;
    ctx->uri_changes = r->uri_changes;

    ngx_http_set_ctx(r, ctx, ngx_http_jelou_module);

    return ctx;
}


static void
ngx_http_jelou_ctx_cleanup(void *data)
{
    ngx_http_jelou_ctx_t  *ctx = data;

    /*
     * the context is found by this handler, and freed with the pool; an event
     * that was not delivered until now is not being delivered any more
     */

    ngx_http_jelou_dedup_cancel(&ctx->attempt);

    if (ctx->waiting) {
        (*ctx->waiting)--;
    }
}


void
ngx_http_jelou_here(ngx_conf_t *cf, ngx_http_jelou_place_t *place)
{
    place->file = cf->conf_file->file.name.data;
    place->line = cf->conf_file->line;
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
