
/*
 * No event is delivered twice: what makes an event the same, and what becomes
 * of one that was seen before.
 */


#include "ngx_http_jelou_idempotency.h"
#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_id.h"
#include "ngx_http_jelou_request.h"


/* how often the end of another try is looked for, in ms */

#define NGX_HTTP_JELOU_WAIT_MIN  10
#define NGX_HTTP_JELOU_WAIT_MAX  320


static ngx_int_t ngx_http_jelou_idempotency_look(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_uint_t ngx_http_jelou_may_wait(ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_wait_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_idempotency_text(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_complex_value_t *value,
    ngx_str_t *text);
static u_char *ngx_http_jelou_idempotency_part(u_char *p, ngx_str_t *part);
static ngx_int_t ngx_http_jelou_idempotency_ids(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_str_t *ids);


static ngx_uint_t  ngx_http_jelou_nwaiting;      /* of this worker */


ngx_int_t
ngx_http_jelou_idempotency(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->conf->dedup_zone == NULL) {
        return NGX_OK;
    }

    rc = ngx_http_jelou_idempotency_look(r, ctx);

    if (rc != NGX_AGAIN && ctx->waiting) {
        (*ctx->waiting)--;
        ctx->waiting = NULL;
    }

    return rc;
}


static ngx_int_t
ngx_http_jelou_idempotency_look(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    u_char                        key[NGX_HTTP_JELOU_KEY_LEN];
    ngx_int_t                     rc;
    ngx_http_jelou_event_t       *event;
    ngx_http_jelou_dedup_zone_t  *zone;

    event = &ctx->event;
    zone = ctx->conf->dedup_zone->data;

    if (ngx_http_jelou_idempotency_digest(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_jelou_idempotency_key(r, ctx, ctx->conf->dedup_key, key);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    switch (ngx_http_jelou_dedup_begin(zone, &ctx->attempt, key, event->digest,
                                       event->random, r->connection->log))
    {
    case NGX_HTTP_JELOU_DEDUP_NEW:
        return NGX_OK;

    case NGX_HTTP_JELOU_DEDUP_DONE:
        return ngx_http_jelou_idempotency_replay(ctx) == NGX_OK ? NGX_DONE
                                                               : NGX_ERROR;

    case NGX_HTTP_JELOU_DEDUP_IN_PROGRESS:
        return ngx_http_jelou_may_wait(ctx)
               ? NGX_AGAIN : NGX_HTTP_JELOU_DUPLICATE_IN_FLIGHT;

    case NGX_HTTP_JELOU_DEDUP_REUSED:
        return NGX_HTTP_JELOU_MESSAGE_ID_REUSED;

    default: /* NGX_HTTP_JELOU_DEDUP_FULL, which has been logged */
        ctx->quiet = 1;
        return NGX_ERROR;
    }
}


/* Waiting requests are bounded: they hold connections that others need. */

static ngx_uint_t
ngx_http_jelou_may_wait(ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->waiting) {
        return (ngx_msec_int_t) (ctx->wait_until - ngx_current_msec) > 0;
    }

    if (ctx->conf->dedup_wait == 0
        || ngx_http_jelou_nwaiting >= ngx_cycle->connection_n / 4)
    {
        return 0;
    }

    ngx_http_jelou_nwaiting++;

    ctx->waiting = &ngx_http_jelou_nwaiting;
    ctx->wait_until = ngx_current_msec + ctx->conf->dedup_wait;
    ctx->wait_step = NGX_HTTP_JELOU_WAIT_MIN;

    return 1;
}


/* As limit_req delays a request, but in the content phase. */

void
ngx_http_jelou_wait(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_event_handler_pt handler)
{
    ngx_msec_t         left;
    ngx_connection_t  *c;

    c = r->connection;

    left = ctx->wait_until - ngx_current_msec;
    left = ngx_min(left, ctx->wait_step);

    ctx->wait_step = ngx_min(2 * ctx->wait_step, NGX_HTTP_JELOU_WAIT_MAX);
    ctx->wait_handler = handler;

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_jelou_wait_handler;

    c->write->delayed = 1;
    ngx_add_timer(c->write, left);
}


static void
ngx_http_jelou_wait_handler(ngx_http_request_t *r)
{
    ngx_connection_t      *c;
    ngx_http_jelou_ctx_t  *ctx;

    c = r->connection;

    if (c->write->delayed) {

        if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        }

        return;
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    ctx = ngx_http_get_module_ctx(r, ngx_http_jelou_module);

    ctx->wait_handler(r);
}


ngx_int_t
ngx_http_jelou_idempotency_digest(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->has_digest) {
        return NGX_OK;
    }

    if (ngx_http_jelou_request_text(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_jelou_sha256(&ctx->event.body, ctx->event.digest,
                              r->connection->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->has_digest = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_idempotency_replay(ngx_http_jelou_ctx_t *ctx)
{
    ngx_http_jelou_event_t  *event;

    event = &ctx->event;

    ctx->replayed = 1;

    if (!ctx->conf->schema.endpoint->names_message) {
        return NGX_OK;
    }

    return ngx_http_jelou_id_message(event->pool,
                                     &event->values[NGX_HTTP_JELOU_MESSAGE_ID],
                                     event->random);
}


ngx_int_t
ngx_http_jelou_idempotency_key(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_complex_value_t *value, u_char *key)
{
    ngx_int_t  rc;
    ngx_str_t  text;

    rc = ngx_http_jelou_idempotency_text(r, ctx, value, &text);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_jelou_sha256(&text, key, r->connection->log);
}


/*
 * By default the endpoint, the project, the room (or the bot) and the message
 * ids; of an event without an id, its body.  Each part has its length before
 * it, so that no two lists of parts are the same text.
 */

static ngx_int_t
ngx_http_jelou_idempotency_text(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_complex_value_t *value,
    ngx_str_t *text)
{
    u_char                  *p;
    size_t                   len;
    ngx_str_t                part[4];
    ngx_uint_t               i, slot;
    ngx_http_jelou_value_t  *values;

    if (value) {

        if (ngx_http_complex_value(r, value, text) != NGX_OK) {
            return NGX_ERROR;
        }

        return text->len ? NGX_OK : NGX_DECLINED;
    }

    values = ctx->event.values;
    ngx_memzero(part, sizeof(part));

    slot = values[NGX_HTTP_JELOU_ROOM_ID].type ? NGX_HTTP_JELOU_ROOM_ID
                                               : NGX_HTTP_JELOU_BOT_ID;

    part[0] = ctx->conf->schema.endpoint->name;

    if (ngx_http_jelou_value_decode(r->pool,
                                    &values[NGX_HTTP_JELOU_PROJECT_ID],
                                    &part[1])
        != NGX_OK
        || ngx_http_jelou_value_decode(r->pool, &values[slot], &part[2])
           != NGX_OK
        || ngx_http_jelou_idempotency_ids(r, ctx, &part[3]) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (len = 0, i = 0; i < 4; i++) {
        len += sizeof(uint32_t) + part[i].len;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;
    text->len = len;

    for (i = 0; i < 4; i++) {
        p = ngx_http_jelou_idempotency_part(p, &part[i]);
    }

    return NGX_OK;
}


static u_char *
ngx_http_jelou_idempotency_part(u_char *p, ngx_str_t *part)
{
    uint32_t  len;

    len = (uint32_t) part->len;

    p = ngx_cpymem(p, &len, sizeof(uint32_t));

    if (part->len == 0) {
        return p;                       /* it may have no address */
    }

    return ngx_cpymem(p, part->data, part->len);
}


static ngx_int_t
ngx_http_jelou_idempotency_ids(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_str_t *ids)
{
    ngx_http_jelou_event_t        *event;
    const ngx_http_jelou_piece_t  *pieces;

    event = &ctx->event;

    if (event->kind->identity) {
        ids->data = event->digest;
        ids->len = sizeof(event->digest);
        return NGX_OK;
    }

    pieces = event->kind->item_ids;

    if (pieces == NULL) {
        return ngx_http_jelou_value_decode(r->pool,
                                     &event->values[NGX_HTTP_JELOU_MESSAGE_ID],
                                     ids);
    }

    /* UUIDs, which have one length and no commas */

    ids->len = ngx_http_jelou_pieces_length(pieces, event,
                                            &ctx->conf->schema);
    ids->data = ngx_pnalloc(r->pool, ids->len);

    if (ids->data == NULL) {
        return NGX_ERROR;
    }

    ids->len = ngx_http_jelou_pieces_write(ids->data, pieces, event,
                                           &ctx->conf->schema)
               - ids->data;

    return NGX_OK;
}
