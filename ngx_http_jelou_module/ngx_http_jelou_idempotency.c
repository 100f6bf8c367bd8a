
/*
 * No event is delivered twice: what makes an event the same, and what becomes
 * of one that was seen before.
 */


#include "ngx_http_jelou_idempotency.h"
#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_id.h"
#include "ngx_http_jelou_request.h"


static ngx_int_t ngx_http_jelou_idempotency_text(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_complex_value_t *value,
    ngx_str_t *text);
static u_char *ngx_http_jelou_idempotency_part(u_char *p, ngx_str_t *part);
static ngx_int_t ngx_http_jelou_idempotency_ids(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_str_t *ids);


ngx_int_t
ngx_http_jelou_idempotency(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    u_char                        key[NGX_HTTP_JELOU_KEY_LEN];
    ngx_int_t                     rc;
    ngx_http_jelou_event_t       *event;
    ngx_http_jelou_dedup_zone_t  *zone;

    if (ctx->conf->dedup_zone == NULL) {
        return NGX_OK;
    }

    event = &ctx->event;
    zone = ctx->conf->dedup_zone->data;

    if (ngx_http_jelou_idempotency_digest(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_jelou_idempotency_key(r, ctx, ctx->conf->dedup_key, key);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    switch (ngx_http_jelou_dedup_begin(zone, &ctx->flight, key, event->digest,
                                       event->random, r->connection->log))
    {
    case NGX_HTTP_JELOU_DEDUP_NEW:
        return NGX_OK;

    case NGX_HTTP_JELOU_DEDUP_DONE:
        return ngx_http_jelou_idempotency_replay(ctx) == NGX_OK ? NGX_DONE
                                                               : NGX_ERROR;

    case NGX_HTTP_JELOU_DEDUP_IN_FLIGHT:
        return NGX_HTTP_JELOU_DUPLICATE_IN_FLIGHT;

    case NGX_HTTP_JELOU_DEDUP_REUSED:
        return NGX_HTTP_JELOU_MESSAGE_ID_REUSED;

    default: /* NGX_HTTP_JELOU_DEDUP_FULL, which has been logged */
        ctx->quiet = 1;
        return NGX_ERROR;
    }
}


ngx_int_t
ngx_http_jelou_idempotency_digest(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    ngx_buf_t    buf;
    ngx_chain_t  link;

    if (ctx->has_digest) {
        return NGX_OK;
    }

    if (ngx_http_jelou_request_text(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&buf, sizeof(ngx_buf_t));

    buf.pos = ctx->event.body.data;
    buf.last = buf.pos + ctx->event.body.len;

    link.buf = &buf;
    link.next = NULL;

    if (ngx_http_jelou_sha256(&link, ctx->event.digest, r->connection->log)
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
    ngx_int_t    rc;
    ngx_str_t    text;
    ngx_buf_t    buf;
    ngx_chain_t  link;

    rc = ngx_http_jelou_idempotency_text(r, ctx, value, &text);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&buf, sizeof(ngx_buf_t));

    buf.pos = text.data;
    buf.last = text.data + text.len;

    link.buf = &buf;
    link.next = NULL;

    return ngx_http_jelou_sha256(&link, key, r->connection->log);
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
