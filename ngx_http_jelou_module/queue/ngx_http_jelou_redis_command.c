
/*
 * Event to command: the names of the keys, and the fields of an entry.
 */


#include "ngx_http_jelou_redis.h"
#include "ngx_http_jelou_id.h"
#include "ngx_http_jelou_idempotency.h"


#define NGX_HTTP_JELOU_REDIS_KEY  "jelou-id:"

/* of so many events, one trims the stream */

#define NGX_HTTP_JELOU_REDIS_TRIM    16

/* as nginx makes $request_id, but for many requests at once */

#define NGX_HTTP_JELOU_REDIS_ID_LEN  16
#define NGX_HTTP_JELOU_REDIS_NIDS    64

#define NGX_HTTP_JELOU_REDIS_REQUEST_ID                                       \
    (NGX_HTTP_JELOU_REDIS_NVARIABLES - 1)

/* an entry's fields that a variable has; the script has their names, too */

typedef struct {
    ngx_str_t  name;                         /* as Redis reads it */
    ngx_str_t  variable;
} ngx_http_jelou_redis_field_t;


static ngx_int_t ngx_http_jelou_redis_fixed(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf, ngx_uint_t keep, ngx_str_t *text);
static void ngx_http_jelou_redis_raw(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_str_t *text);
static void ngx_http_jelou_redis_word(ngx_http_jelou_redis_ctx_t *ctx,
    u_char *data, size_t len);
static void ngx_http_jelou_redis_field(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_str_t *name, u_char *data, size_t len);
static ngx_int_t ngx_http_jelou_redis_script(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_str_t *stream);
static void ngx_http_jelou_redis_value(ngx_http_jelou_redis_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_redis_key(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_str_t *stream, ngx_str_t *key);
static ngx_int_t ngx_http_jelou_redis_entry(ngx_http_jelou_redis_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_redis_request_id(
    ngx_http_jelou_redis_ctx_t *ctx, ngx_http_variable_value_t *v);


/* the order is that of the script's parameters */

static ngx_http_jelou_redis_field_t
    ngx_http_jelou_redis_fields[NGX_HTTP_JELOU_REDIS_NVARIABLES] =
{
    { ngx_string("$10" CRLF "event_type" CRLF),
      ngx_string("jelou_event_type") },
    { ngx_string("$10" CRLF "message_id" CRLF),
      ngx_string("jelou_message_id") },
    { ngx_string("$7" CRLF "room_id" CRLF), ngx_string("jelou_room_id") },
    { ngx_string("$10" CRLF "project_id" CRLF),
      ngx_string("jelou_project_id") },
    { ngx_string("$10" CRLF "request_id" CRLF), ngx_string("request_id") }
};

static ngx_str_t  ngx_http_jelou_redis_xadd =
    ngx_string("*21" CRLF "$4" CRLF "XADD" CRLF);
static ngx_str_t  ngx_http_jelou_redis_event =
    ngx_string("$1" CRLF "*" CRLF "$5" CRLF "event" CRLF);
static ngx_str_t  ngx_http_jelou_redis_received =
    ngx_string("$11" CRLF "received_at" CRLF);
static ngx_str_t  ngx_http_jelou_redis_endpoint =
    ngx_string("$8" CRLF "endpoint" CRLF);
static ngx_str_t  ngx_http_jelou_redis_format =
    ngx_string("$6" CRLF "format" CRLF);


ngx_int_t
ngx_http_jelou_redis_command_init(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_JELOU_REDIS_NVARIABLES; i++) {

        rmcf->fields[i] = ngx_http_get_variable_index(cf,
                                      &ngx_http_jelou_redis_fields[i].variable);

        if (rmcf->fields[i] == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return ngx_http_jelou_redis_script_init(cf, rmcf);
}


/* What does not differ among the events of a location. */

ngx_int_t
ngx_http_jelou_redis_command_fixed(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf)
{
    ngx_http_jelou_loc_conf_t  *jlcf;

    static const ngx_str_t  formats[] = {
        ngx_string("event"), ngx_string("raw"), ngx_string("cloudevents")
    };

    jlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_jelou_module);

    conf->format = formats[jlcf->format];

    if (ngx_http_jelou_redis_fixed(cf, conf, 0, &conf->fixed) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_jelou_redis_fixed(cf, conf, conf->maxlen, &conf->trims);
}


static ngx_int_t
ngx_http_jelou_redis_fixed(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf, ngx_uint_t keep, ngx_str_t *text)
{
    u_char                        *p;
    u_char                         ttl[NGX_INT_T_LEN], limit[NGX_INT_T_LEN],
                                   maxlen[NGX_INT_T_LEN];
    ngx_http_jelou_loc_conf_t     *jlcf;
    ngx_http_jelou_redis_piece_t   pieces[5];

    jlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_jelou_module);

    ngx_memzero(pieces, sizeof(pieces));

    pieces[0].data = ttl;
    pieces[0].len = ngx_sprintf(ttl, "%T", conf->dedup) - ttl;

    if (conf->limit) {
        pieces[1].data = limit;
        pieces[1].len = ngx_sprintf(limit, "%ui", conf->limit) - limit;
    }

    if (keep) {
        pieces[2].data = maxlen;
        pieces[2].len = ngx_sprintf(maxlen, "%ui", keep) - maxlen;
    }

    pieces[3].data = jlcf->schema.endpoint->name.data;
    pieces[3].len = jlcf->schema.endpoint->name.len;

    pieces[4].data = conf->format.data;
    pieces[4].len = conf->format.len;

    p = ngx_pnalloc(cf->pool, ngx_http_jelou_redis_pieces_len(pieces, 5));
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;
    text->len = ngx_http_jelou_redis_pieces_write(p, pieces, 5) - p;

    return NGX_OK;
}


static void
ngx_http_jelou_redis_raw(ngx_http_jelou_redis_ctx_t *ctx, ngx_str_t *text)
{
    ngx_http_jelou_redis_piece_t  *piece;

    piece = &ctx->pieces[ctx->cmd.npieces++];

    piece->data = text->data;
    piece->len = text->len;
    piece->raw = 1;
}


static void
ngx_http_jelou_redis_word(ngx_http_jelou_redis_ctx_t *ctx, u_char *data,
    size_t len)
{
    ngx_http_jelou_redis_piece_t  *piece;

    piece = &ctx->pieces[ctx->cmd.npieces++];

    piece->data = data;
    piece->len = len;
    piece->raw = 0;
}


/* The script has the names. */

static void
ngx_http_jelou_redis_field(ngx_http_jelou_redis_ctx_t *ctx, ngx_str_t *name,
    u_char *data, size_t len)
{
    if (!ctx->outcome.script) {
        ngx_http_jelou_redis_raw(ctx, name);
    }

    ngx_http_jelou_redis_word(ctx, data, len);
}


ngx_int_t
ngx_http_jelou_redis_command(ngx_http_jelou_redis_ctx_t *ctx)
{
    ngx_str_t            stream;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_complex_value(r, ctx->conf->stream, &stream) != NGX_OK) {
        return NGX_ERROR;
    }

    if (stream.len == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "jelou: the name of the stream is empty");
        ctx->jelou->quiet = 1;
        return NGX_ERROR;
    }

    ctx->cmd.pieces = ctx->pieces;
    ctx->cmd.key = stream;

    if (ngx_http_jelou_redis_script(ctx, &stream) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_jelou_redis_entry(ctx);
}


/* The script's beginning, or XADD's. */

static ngx_int_t
ngx_http_jelou_redis_script(ngx_http_jelou_redis_ctx_t *ctx, ngx_str_t *stream)
{
    ngx_int_t                          rc;
    ngx_str_t                          key;
    ngx_http_jelou_redis_outcome_t    *outcome;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    ngx_str_null(&key);

    rc = ngx_http_jelou_redis_key(ctx, stream, &key);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    outcome = &ctx->outcome;

    outcome->key = (rc == NGX_OK);
    outcome->limit = (ctx->conf->limit != 0);
    outcome->maxlen = (ctx->conf->maxlen != 0);
    outcome->script = (outcome->key || outcome->limit || outcome->maxlen);

    if (!outcome->script) {
        ngx_http_jelou_redis_raw(ctx, &ngx_http_jelou_redis_xadd);
        ngx_http_jelou_redis_word(ctx, stream->data, stream->len);
        return NGX_OK;
    }

    rmcf = ngx_http_get_module_main_conf(ctx->request,
                                         ngx_http_jelou_redis_module);

    ngx_http_jelou_redis_raw(ctx, &rmcf->begin[outcome->key]);
    ngx_http_jelou_redis_word(ctx, stream->data, stream->len);

    if (outcome->key) {
        ngx_http_jelou_redis_word(ctx, key.data, key.len);

        /* a copy of the command is a replay of the event */

        ctx->cmd.repeat = 1;
    }

    ngx_http_jelou_redis_value(ctx);

    return NGX_OK;
}


/* The key's value, if there is a key, and what a location's have in common. */

static void
ngx_http_jelou_redis_value(ngx_http_jelou_redis_ctx_t *ctx)
{
    u_char                  *p;
    ngx_uint_t               trims;
    ngx_http_jelou_event_t  *event;

    event = &ctx->jelou->event;
    p = ctx->value;

    if (ctx->outcome.key) {
        p = ngx_hex_dump(p, event->digest, sizeof(event->digest));

        if (ctx->jelou->conf->schema.endpoint->names_message) {
            *p++ = ' ';
            p = ngx_hex_dump(p, event->random, sizeof(event->random));
            ctx->outcome.random = 1;
        }
    }

    ngx_http_jelou_redis_word(ctx, ctx->value, p - ctx->value);

    /* Redis trims by a hundred entries or so: each event would ask in vain */

    trims = ctx->outcome.maxlen
            && ngx_random() % NGX_HTTP_JELOU_REDIS_TRIM == 0;

    ngx_http_jelou_redis_raw(ctx, trims ? &ctx->conf->trims
                                        : &ctx->conf->fixed);
}


/*
 * The stream's name is part of the key: what is known of one stream is not
 * known of another one.  A prefix without braces does not change the tag.
 * NGX_DECLINED: the event is not looked for.
 */

static ngx_int_t
ngx_http_jelou_redis_key(ngx_http_jelou_redis_ctx_t *ctx, ngx_str_t *stream,
    ngx_str_t *key)
{
    u_char               digest[NGX_HTTP_JELOU_KEY_LEN], *p;
    ngx_int_t            rc, tag;
    ngx_http_request_t  *r;

    if (ctx->conf->dedup == 0) {
        return NGX_DECLINED;
    }

    r = ctx->request;

    tag = ngx_http_jelou_redis_tag(stream);

    if (tag == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "jelou: the name of the stream has braces that leave it "
                      "without a hash tag");
        ctx->jelou->quiet = 1;
        return NGX_ERROR;
    }

    if (ngx_http_jelou_idempotency_digest(r, ctx->jelou) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_jelou_idempotency_key(r, ctx->jelou, ctx->conf->dedup_key,
                                        digest);
    if (rc != NGX_OK) {
        return rc;
    }

    p = ngx_pnalloc(r->pool, sizeof(NGX_HTTP_JELOU_REDIS_KEY "{}:") - 1
                             + stream->len + 2 * NGX_HTTP_JELOU_KEY_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    key->data = p;

    p = ngx_cpymem(p, NGX_HTTP_JELOU_REDIS_KEY,
                   sizeof(NGX_HTTP_JELOU_REDIS_KEY) - 1);

    if (tag == NGX_DECLINED) {
        *p++ = '{';
    }

    p = ngx_cpymem(p, stream->data, stream->len);

    if (tag == NGX_DECLINED) {
        *p++ = '}';
    }

    *p++ = ':';
    p = ngx_hex_dump(p, digest, NGX_HTTP_JELOU_KEY_LEN);

    key->len = p - key->data;

    return NGX_OK;
}


/*
 * A tag is what stands between the first "{" and the first "}" behind it, if
 * it is not empty; without one, the slot is that of the whole name.
 */

ngx_int_t
ngx_http_jelou_redis_tag(ngx_str_t *stream)
{
    u_char  *open, *close, *last;

    last = stream->data + stream->len;

    open = ngx_strlchr(stream->data, last, '{');
    close = open ? ngx_strlchr(open, last, '}') : NULL;

    if (close && close > open + 1) {
        return NGX_OK;
    }

    return ngx_strlchr(stream->data, last, '}') ? NGX_ERROR : NGX_DECLINED;
}


/* The fields of the entry: one that an event lacks is empty. */

static ngx_int_t
ngx_http_jelou_redis_entry(ngx_http_jelou_redis_ctx_t *ctx)
{
    u_char                            *last;
    ngx_uint_t                         i;
    ngx_http_jelou_event_t            *event;
    ngx_http_jelou_schema_t           *schema;
    ngx_http_variable_value_t         *v;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_get_module_main_conf(ctx->request,
                                         ngx_http_jelou_redis_module);

    v = &ctx->request->variables[
                               rmcf->fields[NGX_HTTP_JELOU_REDIS_REQUEST_ID]];

    if (!v->valid && ngx_http_jelou_redis_request_id(ctx, v) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_jelou_redis_field(ctx, &ngx_http_jelou_redis_event,
                               ctx->jelou->forwarded.data,
                               ctx->jelou->forwarded.len);

    for (i = 0; i < NGX_HTTP_JELOU_REDIS_NVARIABLES; i++) {
        v = ngx_http_get_flushed_variable(ctx->request, rmcf->fields[i]);

        if (v == NULL || v->not_found) {
            return NGX_ERROR;
        }

        ngx_http_jelou_redis_field(ctx, &ngx_http_jelou_redis_fields[i].name,
                                   v->data, v->len);
    }

    event = &ctx->jelou->event;

    last = ngx_sprintf(ctx->received, "%L",
                       (int64_t) event->received_sec * 1000
                       + (int64_t) event->received);

    ngx_http_jelou_redis_field(ctx, &ngx_http_jelou_redis_received,
                               ctx->received, last - ctx->received);

    if (!ctx->outcome.script) {
        schema = &ctx->jelou->conf->schema;

        ngx_http_jelou_redis_field(ctx, &ngx_http_jelou_redis_endpoint,
                                   schema->endpoint->name.data,
                                   schema->endpoint->name.len);
        ngx_http_jelou_redis_field(ctx, &ngx_http_jelou_redis_format,
                                   ctx->conf->format.data,
                                   ctx->conf->format.len);
    }

    return NGX_OK;
}


/*
 * $request_id, if nobody has asked for it before: everybody who does later has
 * this one.  Sixteen random bytes for each request alone would be a tenth of
 * the time that an event takes.
 */

static ngx_int_t
ngx_http_jelou_redis_request_id(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_http_variable_value_t *v)
{
    u_char  *id;

    static u_char      ids[NGX_HTTP_JELOU_REDIS_NIDS]
                          [NGX_HTTP_JELOU_REDIS_ID_LEN];
    static ngx_uint_t  left;

    id = ngx_pnalloc(ctx->request->pool, 2 * NGX_HTTP_JELOU_REDIS_ID_LEN);
    if (id == NULL) {
        return NGX_ERROR;
    }

    if (left == 0) {

        if (ngx_http_jelou_id_random((u_char *) ids, sizeof(ids),
                                     ctx->request->connection->log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        left = NGX_HTTP_JELOU_REDIS_NIDS;
    }

    (void) ngx_hex_dump(id, ids[--left], NGX_HTTP_JELOU_REDIS_ID_LEN);

    v->data = id;
    v->len = 2 * NGX_HTTP_JELOU_REDIS_ID_LEN;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
