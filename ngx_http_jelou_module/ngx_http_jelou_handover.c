
/*
 * The event on its way to a content handler.
 *
 * Who answers is decided here: at the hand-over, and wherever a redirect leads
 * the request.  Nginx says that an upstream has named the location of a
 * redirect (X-Accel-Redirect) by the way in which it ends this upstream.
 */


#include "ngx_http_jelou_handover.h"
#include "ngx_http_jelou_reply.h"
#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_upstream.h"


static ngx_int_t ngx_http_jelou_enter_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_page_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_delegate_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_delegated_content(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_call(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_handler_pt handler);


ngx_int_t
ngx_http_jelou_handover_init(ngx_conf_t *cf)
{
    ngx_uint_t                  i;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    static const struct {
        ngx_uint_t           phase;
        ngx_http_handler_pt  handler;
    } handlers[] = {
        { NGX_HTTP_SERVER_REWRITE_PHASE, ngx_http_jelou_enter_handler },
        { NGX_HTTP_REWRITE_PHASE, ngx_http_jelou_enter_handler },
        { NGX_HTTP_PREACCESS_PHASE, ngx_http_jelou_page_handler },
        { NGX_HTTP_PRECONTENT_PHASE, ngx_http_jelou_delegate_handler }
    };

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {

        h = ngx_array_push(&cmcf->phases[handlers[i].phase].handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = handlers[i].handler;
    }

    return NGX_OK;
}


/*
 * The first thing that happens to a request in a location, before any other
 * module can answer it.
 */

static ngx_int_t
ngx_http_jelou_enter_handler(ngx_http_request_t *r)
{
    ngx_http_jelou_ctx_t       *ctx;
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (r != r->main) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_jelou_ctx(r);
    jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

    if (ctx == NULL) {

        if (jlcf->schema.endpoint
            && ngx_http_jelou_ctx_create(r, jlcf) == NULL)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_DECLINED;
    }

    if (r->filter_finalize && ctx->answer == NGX_HTTP_JELOU_ANSWER_SENT) {

        /* a filter has refused the module's answer, and it stays the answer */

        return ngx_http_jelou_reply(r, ctx, ctx->delivered
                                            ? NGX_HTTP_OK : ctx->error->status);
    }

    /* a rewrite or a redirect has led here, and nothing is decided yet */

    if (ctx->who == NGX_HTTP_JELOU_BY_UNKNOWN) {
        ctx->conf = jlcf->schema.endpoint ? jlcf : NULL;
    }

    return NGX_DECLINED;
}


/*
 * An error of nginx's in the place of the operator's page looks like the page:
 * both have r->err_status.  But an error of nginx's always sets this flag,
 * which has no other use once the body was read or if nobody waits for a 100.
 * What the location's own "return" says comes before this phase: it is the
 * operator's.
 */

static ngx_int_t
ngx_http_jelou_page_handler(ngx_http_request_t *r)
{
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);

    if (r == r->main && ctx && ctx->who == NGX_HTTP_JELOU_BY_PAGE
        && (r->request_body || r->headers_in.expect == NULL))
    {
        r->expect_tested = 0;
        ctx->probe = 1;
    }

    return NGX_DECLINED;
}


/*
 * The last that happens to a request before the location's handler.  One that the
 * upstream has named and that is no endpoint may have an upstream of its own, whose
 * end has to be known as well.
 */

static ngx_int_t
ngx_http_jelou_delegate_handler(ngx_http_request_t *r)
{
    ngx_http_jelou_ctx_t       *ctx;
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (r != r->main || r->content_handler == NULL) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);

    if (ctx == NULL) {
        return NGX_DECLINED;
    }

    if (r->filter_finalize && ctx->answer == NGX_HTTP_JELOU_ANSWER_PASSED) {

        /*
         * a filter has refused the handler's answer, and as soon as it returns
         * nginx gives the connection up: another handler would be too late
         */

        ctx->who = NGX_HTTP_JELOU_BY_HANDLER;

        ngx_http_finalize_request(r,
                                  ngx_http_jelou_reply(r, ctx, ctx->delivered
                                         ? NGX_HTTP_OK : NGX_HTTP_BAD_GATEWAY));
        return NGX_DONE;
    }

    if (ctx->who != NGX_HTTP_JELOU_BY_HANDLER || !ctx->delegated) {
        return NGX_DECLINED;
    }

    jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

    if (jlcf->schema.endpoint == NULL) {
        ctx->delegate = r->content_handler;
        r->content_handler = ngx_http_jelou_delegated_content;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_jelou_delegated_content(ngx_http_request_t *r)
{
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_jelou_ctx(r);

    return ngx_http_jelou_call(r, ctx, ctx->delegate);
}


ngx_int_t
ngx_http_jelou_hand_over(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_handler_pt next)
{
    ngx_int_t  rc;

    /* what another handler has said before this one */

    ctx->error = NULL;
    ctx->failed = 0;
    ctx->quiet = 0;
    ctx->named = 0;
    ctx->delegated = 0;
    ctx->interrupted = 0;
    ctx->answer = NGX_HTTP_JELOU_ANSWER_NONE;
    ngx_str_null(&ctx->retry_after);

    if (next == NULL || ctx->replayed) {
        ctx->who = NGX_HTTP_JELOU_BY_MODULE;
        return ngx_http_jelou_reply(r, ctx, NGX_HTTP_OK);
    }

    ctx->who = NGX_HTTP_JELOU_BY_HANDLER;
    ctx->handed = 1;

    /* it answers with a status of its own, and from here on this is nginx's */

    r->err_status = 0;

    ngx_http_jelou_make_post(r);

    rc = ngx_http_jelou_call(r, ctx, next);

    /* the request cannot have ended: this call is part of it */

    ngx_http_jelou_request_done(ctx);

    return rc;
}


ngx_int_t
ngx_http_jelou_take_over(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (ctx->delivered) {
        return ngx_http_jelou_reply(r, ctx, NGX_HTTP_OK);
    }

    if (ctx->state == NGX_HTTP_JELOU_ACCEPTED) {

        /* what the one before has said is not this one's answer */

        ngx_http_clean_header(r);

        jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);
        return ngx_http_jelou_hand_over(r, ctx, jlcf->next);
    }

    if (ctx->error == NULL) {
        ctx->error = ngx_http_jelou_error(NGX_HTTP_JELOU_INTERNAL_ERROR);
    }

    ctx->who = NGX_HTTP_JELOU_BY_MODULE;

    return ctx->error->status;
}


ngx_int_t
ngx_http_jelou_handler_answers(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_uint_t status)
{
    if (status == NGX_HTTP_OK) {
        return ngx_http_jelou_reply(r, ctx, status);
    }

    ctx->failed = status;

    return status;
}


static ngx_int_t
ngx_http_jelou_call(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_handler_pt handler)
{
    ngx_int_t             rc;
    ngx_http_upstream_t  *u;

    rc = handler(r);

    if (rc >= NGX_HTTP_BAD_REQUEST) {
        ctx->failed = rc;
    }

    ngx_http_jelou_watch_upstream(r, ctx);

    u = r->upstream;

    if (u && u->cleanup && !u->header_sent && ctx->attempt.zone
        && ctx->who == NGX_HTTP_JELOU_BY_HANDLER)
    {
        /*
         * as with proxy_ignore_client_abort: the outcome is remembered, and
         * the sender that has left comes back to ask for it
         */

        r->read_event_handler = ngx_http_block_reading;
        r->write_event_handler = ngx_http_request_empty_handler;
    }

    return rc;
}
