
/*
 * The end of the upstream that has the event: what it has answered counts when
 * it is complete.
 *
 * Nginx says by the way in which it ends an upstream what has become of it.
 */


#include "ngx_http_jelou_upstream.h"
#include "ngx_http_jelou_answer.h"
#include "ngx_http_jelou_reply.h"


static void ngx_http_jelou_upstream_finalize(ngx_http_request_t *r,
    ngx_int_t rc);


/* a finished upstream stays in its place, without a clean-up */

void
ngx_http_jelou_watch_upstream(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u && u->cleanup
        && u->finalize_request != ngx_http_jelou_upstream_finalize)
    {
        ctx->finalize = u->finalize_request;
        u->finalize_request = ngx_http_jelou_upstream_finalize;
    }
}


static void
ngx_http_jelou_upstream_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_jelou_ctx(r);

    ctx->finalize(r, rc);

    if (rc == NGX_DECLINED && ctx->who == NGX_HTTP_JELOU_BY_HANDLER) {

        /* the upstream has named a location */

        ctx->named = 1;
        return;
    }

    ngx_http_jelou_upstream_ended(r, ctx, rc);
}


void
ngx_http_jelou_upstream_ended(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_int_t rc)
{
    if (ctx->who != NGX_HTTP_JELOU_BY_HANDLER) {

        /* a page stands in the place of what comes still */

        return;
    }

    if (rc >= NGX_HTTP_BAD_REQUEST) {
        ctx->failed = rc;
    }

    if (ctx->answer == NGX_HTTP_JELOU_ANSWER_PASSED) {

        if (rc == NGX_OK && !ngx_http_jelou_cut_off(ctx)) {
            ngx_http_jelou_delivered(r, ctx);

        } else if (!ctx->delivered && !r->connection->error) {
            ctx->quiet = 1;
            (void) ngx_http_jelou_not_delivered(r, ctx, NGX_HTTP_BAD_GATEWAY);
        }

        return;
    }

    if (ctx->answer != NGX_HTTP_JELOU_ANSWER_HELD || rc == NGX_OK) {
        return;
    }

    ctx->status = NGX_HTTP_BAD_GATEWAY;
    ctx->interrupted = 1;

    if (rc != NGX_ERROR || r->connection->error) {

        /* nginx flushes what it has, or the connection has ended */

        return;
    }

    /*
     * What nginx cannot read on, for instance a broken chunk, ends with the
     * connection and no call of a filter: the last chance to tell the sender.
     */

    ngx_http_jelou_break_off(r, ctx);
}
