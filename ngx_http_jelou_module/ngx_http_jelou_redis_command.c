
/*
 * Event to command: the script, the names of the keys, and the fields of an
 * entry.
 */


#include "ngx_http_jelou_redis.h"
#include "ngx_http_jelou_idempotency.h"

#include <ngx_sha1.h>
#include <openssl/crypto.h>


#define NGX_HTTP_JELOU_REDIS_KEY  "jelou-id:"

/* an entry's fields that a variable has; the script has their names, too */

typedef struct {
    ngx_str_t  name;
    ngx_str_t  variable;
} ngx_http_jelou_redis_field_t;


static void ngx_http_jelou_redis_word(ngx_http_jelou_redis_ctx_t *ctx,
    const void *data, size_t len);
static ngx_int_t ngx_http_jelou_redis_script(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_str_t *stream);
static ngx_int_t ngx_http_jelou_redis_key(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_str_t *stream, ngx_str_t *key);
static ngx_int_t ngx_http_jelou_redis_entry(ngx_http_jelou_redis_ctx_t *ctx);
static void ngx_http_jelou_redis_field(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_str_t *name, const void *data, size_t len);
static void ngx_http_jelou_redis_command_free(void *data);
static void ngx_http_jelou_redis_command_wipe(void *data);


#define ngx_http_jelou_redis_literal(ctx, text)                               \
    ngx_http_jelou_redis_word(ctx, text, sizeof(text) - 1)


/*
 * Looks for the key; if it is not there, appends the entry and sets the key,
 * so that there is never the one without the other.  Errors are returned as
 * Redis has them: an error that is raised would begin with other words,
 * depending on the version.
 *
 * KEYS  the stream, the key
 * ARGV  the body's SHA-256, the key's time to live, the random bytes of the
 *       message id, MAXLEN or nothing, and the values of the fields
 *
 * Returns 0 and the entry's id, 1 and the key's value, or 2 and nothing.
 */

static const char  ngx_http_jelou_redis_lua[] =
    "local seen = redis.pcall('GET', KEYS[2])\n"
    "if type(seen) == 'table' then return seen end\n"
    "if seen then\n"
    "  if string.sub(seen, 1, 64) ~= ARGV[1] then return {2, ''} end\n"
    "  return {1, seen}\n"
    "end\n"
    "local add = {'XADD', KEYS[1]}\n"
    "if ARGV[4] ~= '' then\n"
    "  add = {'XADD', KEYS[1], 'MAXLEN', '~', ARGV[4]}\n"
    "end\n"
    "add[#add + 1] = '*'\n"
    "local names = {'event', 'event_type', 'message_id', 'room_id',\n"
    "               'received_at'}\n"
    "for i, name in ipairs(names) do\n"
    "  add[#add + 1] = name\n"
    "  add[#add + 1] = ARGV[4 + i]\n"
    "end\n"
    "local id = redis.pcall(unpack(add))\n"
    "if type(id) == 'table' then return id end\n"
    "local set = redis.pcall('SET', KEYS[2],\n"
    "                        ARGV[1] .. ' ' .. id .. ' ' .. ARGV[3],\n"
    "                        'EX', ARGV[2])\n"
    "if set.err then\n"
    "  redis.pcall('XDEL', KEYS[1], id)\n"
    "  return set\n"
    "end\n"
    "return {0, id}\n";


static ngx_http_jelou_redis_field_t
    ngx_http_jelou_redis_fields[NGX_HTTP_JELOU_REDIS_NFIELDS] =
{
    { ngx_string("event_type"), ngx_string("jelou_event_type") },
    { ngx_string("message_id"), ngx_string("jelou_message_id") },
    { ngx_string("room_id"), ngx_string("jelou_room_id") }
};


ngx_int_t
ngx_http_jelou_redis_command_init(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf)
{
    u_char       sha[20];
    ngx_uint_t   i;
    ngx_sha1_t   sha1;

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, ngx_http_jelou_redis_lua,
                    sizeof(ngx_http_jelou_redis_lua) - 1);
    ngx_sha1_final(sha, &sha1);

    (void) ngx_hex_dump(rmcf->sha, sha, sizeof(sha));

    for (i = 0; i < NGX_HTTP_JELOU_REDIS_NFIELDS; i++) {

        rmcf->fields[i] = ngx_http_get_variable_index(cf,
                                      &ngx_http_jelou_redis_fields[i].variable);

        if (rmcf->fields[i] == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_jelou_redis_word(ngx_http_jelou_redis_ctx_t *ctx, const void *data,
    size_t len)
{
    ctx->argv[ctx->argc] = data;
    ctx->argvlen[ctx->argc++] = len;
}


ngx_int_t
ngx_http_jelou_redis_command(ngx_http_jelou_redis_ctx_t *ctx)
{
    ngx_int_t            rc;
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

    rc = NGX_DECLINED;

    if (ctx->conf->dedup) {
        rc = ngx_http_jelou_redis_script(ctx, &stream);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (rc == NGX_DECLINED) {
        ngx_http_jelou_redis_literal(ctx, "XADD");
        ngx_http_jelou_redis_word(ctx, stream.data, stream.len);
    }

    return ngx_http_jelou_redis_entry(ctx);
}


/* NGX_DECLINED: the configured key is empty, this event is not looked for */

static ngx_int_t
ngx_http_jelou_redis_script(ngx_http_jelou_redis_ctx_t *ctx, ngx_str_t *stream)
{
    ngx_int_t                          rc;
    ngx_str_t                          key;
    ngx_http_jelou_event_t            *event;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    rc = ngx_http_jelou_redis_key(ctx, stream, &key);

    if (rc != NGX_OK) {
        return rc;
    }

    rmcf = ngx_http_get_module_main_conf(ctx->request,
                                         ngx_http_jelou_redis_module);
    event = &ctx->jelou->event;

    ngx_http_jelou_redis_literal(ctx, "EVALSHA");
    ngx_http_jelou_redis_word(ctx, rmcf->sha, sizeof(rmcf->sha));
    ngx_http_jelou_redis_literal(ctx, "2");
    ngx_http_jelou_redis_word(ctx, stream->data, stream->len);
    ngx_http_jelou_redis_word(ctx, key.data, key.len);

    (void) ngx_hex_dump(ctx->digest, event->digest, sizeof(event->digest));

    ngx_http_jelou_redis_word(ctx, ctx->digest, sizeof(ctx->digest));
    ngx_http_jelou_redis_word(ctx, ctx->conf->ttl.data, ctx->conf->ttl.len);

    if (ctx->jelou->conf->schema.endpoint->names_message) {
        (void) ngx_hex_dump(ctx->random, event->random, sizeof(event->random));
        ngx_http_jelou_redis_word(ctx, ctx->random, sizeof(ctx->random));

    } else {
        ngx_http_jelou_redis_literal(ctx, "");
    }

    ctx->script = 1;

    return NGX_OK;
}


/*
 * The stream's name is part of the key: what is known of one stream is not
 * known of another one.  A prefix without braces does not change the tag.
 */

static ngx_int_t
ngx_http_jelou_redis_key(ngx_http_jelou_redis_ctx_t *ctx, ngx_str_t *stream,
    ngx_str_t *key)
{
    u_char               digest[NGX_HTTP_JELOU_KEY_LEN], *p;
    ngx_int_t            rc, tag;
    ngx_http_request_t  *r;

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


/*
 * What follows the stream in XADD, or the parameters of the script that say so.
 * A field that an event lacks is empty.
 */

static ngx_int_t
ngx_http_jelou_redis_entry(ngx_http_jelou_redis_ctx_t *ctx)
{
    u_char                            *last;
    ngx_uint_t                         i;
    ngx_http_jelou_event_t            *event;
    ngx_http_variable_value_t         *v;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    static ngx_str_t  event_name = ngx_string("event");
    static ngx_str_t  received_name = ngx_string("received_at");

    rmcf = ngx_http_get_module_main_conf(ctx->request,
                                         ngx_http_jelou_redis_module);

    if (ctx->script) {
        ngx_http_jelou_redis_word(ctx, ctx->conf->maxlen.data,
                                  ctx->conf->maxlen.len);

    } else {

        if (ctx->conf->maxlen.len) {
            ngx_http_jelou_redis_literal(ctx, "MAXLEN");
            ngx_http_jelou_redis_literal(ctx, "~");
            ngx_http_jelou_redis_word(ctx, ctx->conf->maxlen.data,
                                      ctx->conf->maxlen.len);
        }

        ngx_http_jelou_redis_literal(ctx, "*");
    }

    ngx_http_jelou_redis_field(ctx, &event_name, ctx->jelou->forwarded.data,
                               ctx->jelou->forwarded.len);

    for (i = 0; i < NGX_HTTP_JELOU_REDIS_NFIELDS; i++) {
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

    ngx_http_jelou_redis_field(ctx, &received_name, ctx->received,
                               last - ctx->received);

    return NGX_OK;
}


/* The script has the names. */

static void
ngx_http_jelou_redis_field(ngx_http_jelou_redis_ctx_t *ctx, ngx_str_t *name,
    const void *data, size_t len)
{
    if (!ctx->script) {
        ngx_http_jelou_redis_word(ctx, name->data, name->len);
    }

    ngx_http_jelou_redis_word(ctx, data, len);
}


void
ngx_http_jelou_redis_command_eval(ngx_http_jelou_redis_ctx_t *ctx)
{
    ctx->argv[0] = "EVAL";
    ctx->argvlen[0] = sizeof("EVAL") - 1;

    ctx->argv[1] = ngx_http_jelou_redis_lua;
    ctx->argvlen[1] = sizeof(ngx_http_jelou_redis_lua) - 1;
}


/* The command is hiredis' own memory: it goes with the request, uncopied. */

ngx_buf_t *
ngx_http_jelou_redis_command_buf(ngx_http_jelou_redis_ctx_t *ctx)
{
    char                *text;
    ssize_t              len;
    ngx_buf_t           *b;
    ngx_pool_cleanup_t  *cln;

    b = ngx_calloc_buf(ctx->request->pool);
    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);

    if (b == NULL || cln == NULL) {
        return NULL;
    }

    len = redisFormatCommandArgv(&text, ctx->argc, ctx->argv, ctx->argvlen);

    if (len < 0) {
        return NULL;
    }

    cln->handler = ngx_http_jelou_redis_command_free;
    cln->data = text;

    b->start = (u_char *) text;
    b->pos = b->start;
    b->last = b->start + len;
    b->end = b->last;
    b->temporary = 1;

    return b;
}


static void
ngx_http_jelou_redis_command_free(void *data)
{
    redisFreeCommand(data);
}


ngx_int_t
ngx_http_jelou_redis_command_add(ngx_pool_t *pool, ngx_str_t *command,
    ngx_uint_t nwords, ngx_str_t *words)
{
    char                *text;
    size_t               argvlen[3];
    u_char              *p;
    ssize_t              len;
    ngx_str_t           *whole;
    ngx_uint_t           i;
    const char          *argv[3];
    ngx_pool_cleanup_t  *cln;

    for (i = 0; i < nwords; i++) {
        argv[i] = (char *) words[i].data;
        argvlen[i] = words[i].len;
    }

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_str_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    len = redisFormatCommandArgv(&text, (int) nwords, argv, argvlen);

    if (len < 0) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(pool, command->len + len);

    if (p) {
        if (command->len) {
            ngx_memcpy(p, command->data, command->len);
        }

        ngx_memcpy(p + command->len, text, len);

        command->data = p;
        command->len += len;

        whole = cln->data;
        *whole = *command;

        cln->handler = ngx_http_jelou_redis_command_wipe;
    }

    OPENSSL_cleanse(text, len);
    redisFreeCommand(text);

    return p ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_jelou_redis_command_wipe(void *data)
{
    ngx_str_t  *command = data;

    OPENSSL_cleanse(command->data, command->len);
}
