
/*
 * Calls of the deliverer's script, and what becomes of their replies.
 */


#include "ngx_http_jelou_deliver.h"


/* the words of a call: those that each one begins with, and its own */

#define NGX_HTTP_JELOU_DELIVER_NPIECES  (8 + NGX_HTTP_JELOU_REDIS_WORDS)


struct ngx_http_jelou_deliver_cmd_s {
    ngx_http_jelou_redis_cmd_t        cmd;
    ngx_http_jelou_redis_piece_t      pieces[3];
    ngx_http_jelou_deliver_stream_t  *stream;
    ngx_http_jelou_deliver_cmd_pt     handler;
    void                             *data;
    u_char                            count[sizeof("*" CRLF) + NGX_INT_T_LEN];
    unsigned                          eval:1;
};


static ngx_http_jelou_redis_piece_t *ngx_http_jelou_deliver_call_begin(
    ngx_http_jelou_deliver_stream_t *s, const char *operation,
    ngx_http_jelou_redis_piece_t *p);
static void ngx_http_jelou_deliver_unsent(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_cmd_pt handler, void *data);
static void ngx_http_jelou_deliver_call_pieces(
    ngx_http_jelou_deliver_stream_t *s, ngx_http_jelou_redis_piece_t *pieces,
    ngx_uint_t npieces, ngx_uint_t nwords,
    ngx_http_jelou_deliver_cmd_pt handler, void *data);
static ngx_int_t ngx_http_jelou_deliver_send(ngx_http_jelou_deliver_cmd_t *c);
static ngx_int_t ngx_http_jelou_deliver_replied(
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result,
    ngx_http_jelou_redis_reply_t *reply);
static ngx_int_t ngx_http_jelou_deliver_is(ngx_str_t *cause, const char *word);


void
ngx_http_jelou_deliver_call(ngx_http_jelou_deliver_stream_t *s,
    const char *operation, ngx_uint_t nwords, ngx_str_t *words,
    ngx_http_jelou_deliver_cmd_pt handler, void *data)
{
    ngx_uint_t                     i, n;
    ngx_http_jelou_redis_piece_t  *p, pieces[NGX_HTTP_JELOU_DELIVER_NPIECES];

    p = ngx_http_jelou_deliver_call_begin(s, operation, pieces);

    for (i = 0; i < nwords; i++) {
        p = ngx_http_jelou_redis_piece(p, &words[i], 0);
    }

    n = p - pieces;

    ngx_http_jelou_deliver_call_pieces(s, pieces, n, n, handler, data);
}


void
ngx_http_jelou_deliver_call_text(ngx_http_jelou_deliver_stream_t *s,
    const char *operation, ngx_uint_t nwords, ngx_str_t *text,
    ngx_http_jelou_deliver_cmd_pt handler, void *data)
{
    ngx_uint_t                     n;
    ngx_http_jelou_redis_piece_t  *p, pieces[NGX_HTTP_JELOU_DELIVER_NPIECES];

    p = ngx_http_jelou_deliver_call_begin(s, operation, pieces);
    n = p - pieces;

    (void) ngx_http_jelou_redis_piece(p, text, 1);

    ngx_http_jelou_deliver_call_pieces(s, pieces, n + 1, n + nwords, handler,
                                       data);
}


/* The number of keys, the keys, and what each operation is told. */

static ngx_http_jelou_redis_piece_t *
ngx_http_jelou_deliver_call_begin(ngx_http_jelou_deliver_stream_t *s,
    const char *operation, ngx_http_jelou_redis_piece_t *p)
{
    ngx_str_t   name, nkeys;
    ngx_uint_t  dead;

    name.data = (u_char *) operation;
    name.len = ngx_strlen(operation);

    dead = (ngx_strcmp(operation, "dead") == 0);

    nkeys.data = (u_char *) (dead ? "3" : "2");
    nkeys.len = 1;

    p = ngx_http_jelou_redis_piece(p, &nkeys, 0);
    p = ngx_http_jelou_redis_piece(p, &s->name, 0);
    p = ngx_http_jelou_redis_piece(p, &s->hash, 0);

    if (dead) {
        p = ngx_http_jelou_redis_piece(p, &s->dead, 0);
    }

    p = ngx_http_jelou_redis_piece(p, &name, 0);
    p = ngx_http_jelou_redis_piece(p, &s->conf->group, 0);
    p = ngx_http_jelou_redis_piece(p, &s->owner, 0);

    return ngx_http_jelou_redis_piece(p, &s->fence, 0);
}


static void
ngx_http_jelou_deliver_call_pieces(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_redis_piece_t *pieces, ngx_uint_t npieces,
    ngx_uint_t nwords, ngx_http_jelou_deliver_cmd_pt handler, void *data)
{
    u_char                        *p;
    size_t                         len;
    ngx_str_t                      text;
    ngx_http_jelou_deliver_cmd_t  *c;

    len = ngx_http_jelou_redis_pieces_len(pieces, npieces);

    c = ngx_alloc(sizeof(ngx_http_jelou_deliver_cmd_t) + len, ngx_cycle->log);
    if (c == NULL) {
        ngx_http_jelou_deliver_unsent(s, handler, data);
        return;
    }

    c->stream = s;
    c->handler = handler;
    c->data = data;
    c->eval = 0;

    text.data = c->count;
    text.len = ngx_sprintf(c->count, "*%ui" CRLF, 2 + nwords) - c->count;

    (void) ngx_http_jelou_redis_piece(&c->pieces[0], &text, 1);
    (void) ngx_http_jelou_redis_piece(&c->pieces[1], &s->dmcf->evalsha, 1);

    p = (u_char *) c + sizeof(ngx_http_jelou_deliver_cmd_t);

    text.data = p;
    text.len = ngx_http_jelou_redis_pieces_write(p, pieces, npieces) - p;

    (void) ngx_http_jelou_redis_piece(&c->pieces[2], &text, 1);

    if (ngx_http_jelou_deliver_send(c) != NGX_OK) {
        ngx_free(c);
        ngx_http_jelou_deliver_unsent(s, handler, data);
    }
}


static void
ngx_http_jelou_deliver_unsent(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_cmd_pt handler, void *data)
{
    if (handler) {
        handler(s, data, NULL, NULL);
    }
}


u_char *
ngx_http_jelou_deliver_word(u_char *p, u_char *data, size_t len)
{
    return ngx_sprintf(p, "$%uz" CRLF "%*s" CRLF, len, len, data);
}


/* Each operation can be done twice: what is read twice is claimed. */

static ngx_int_t
ngx_http_jelou_deliver_send(ngx_http_jelou_deliver_cmd_t *c)
{
    ngx_http_jelou_redis_cmd_t  *cmd;

    cmd = &c->cmd;

    ngx_memzero(cmd, sizeof(ngx_http_jelou_redis_cmd_t));

    cmd->pieces = c->pieces;
    cmd->npieces = 3;
    cmd->handler = ngx_http_jelou_deliver_replied;
    cmd->data = c;
    cmd->key = c->stream->name;
    cmd->tree = 1;

    return ngx_http_jelou_redis_send(c->stream->target, cmd) == NGX_OK
           ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_jelou_deliver_replied(ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_result_e result, ngx_http_jelou_redis_reply_t *reply)
{
    ngx_str_t                         cause;
    const char                       *word;
    redisReply                       *tree;
    ngx_http_jelou_deliver_cmd_t     *c;
    ngx_http_jelou_deliver_stream_t  *s;

    c = cmd->data;
    s = c->stream;
    word = NULL;
    tree = NULL;

    if (result == NGX_HTTP_JELOU_REDIS_REPLIED && reply->tree) {
        tree = reply->tree;

        if (tree->type == REDIS_REPLY_ERROR && !c->eval) {
            ngx_http_jelou_redis_reply_cause(reply, &cause);

            if (ngx_http_jelou_deliver_is(&cause, "NOSCRIPT")) {
                c->eval = 1;
                (void) ngx_http_jelou_redis_piece(&c->pieces[1],
                                                  &s->dmcf->eval, 1);

                if (ngx_http_jelou_deliver_send(c) == NGX_OK) {
                    return NGX_OK;
                }
            }
        }

        if (tree->type == REDIS_REPLY_ARRAY && tree->elements
            && tree->element[0]->type == REDIS_REPLY_STRING)
        {
            word = tree->element[0]->str;
        }
    }

    if (word && ngx_strcmp(word, "lost") == 0) {

        /* this may be said of an older lease: asking for it tells */

        ngx_http_jelou_deliver_ask(s);
        word = NULL;

    } else
    if (word == NULL) {
        ngx_http_jelou_deliver_failed(s, result, reply);
    }

    if (c->handler) {
        c->handler(s, c->data, word, word ? tree : NULL);
    }

    ngx_free(c);

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_deliver_is(ngx_str_t *cause, const char *word)
{
    return cause->len == ngx_strlen(word)
           && ngx_memcmp(cause->data, word, cause->len) == 0;
}


/*
 * That a server is not there is logged where it is connected to.  A group that
 * is not there any more is made again.
 */

void
ngx_http_jelou_deliver_failed(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_redis_result_e result, ngx_http_jelou_redis_reply_t *reply)
{
    ngx_str_t  cause;

    s->failed = ngx_current_msec;

    switch (result) {

    case NGX_HTTP_JELOU_REDIS_REPLIED:

        if (reply->type != REDIS_REPLY_ERROR) {
            ngx_http_jelou_deliver_log(s, "redis has answered something else",
                                       NULL);
            return;
        }

        ngx_http_jelou_redis_reply_cause(reply, &cause);
        break;

    case NGX_HTTP_JELOU_REDIS_REFUSED:
        ngx_str_set(&cause, "no server takes it");
        break;

    default:
        return;
    }

    if (ngx_http_jelou_deliver_is(&cause, "NOGROUP")) {
        ngx_http_jelou_deliver_lose(s);
    }

    ngx_http_jelou_deliver_log(s, "redis refused to deliver: ", &cause);
}


void
ngx_http_jelou_deliver_log(ngx_http_jelou_deliver_stream_t *s,
    const char *what, ngx_str_t *detail)
{
    uint32_t   hash;
    ngx_str_t  none;

    ngx_str_null(&none);
    detail = detail ? detail : &none;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, (u_char *) what, ngx_strlen(what));
    ngx_crc32_update(&hash, detail->data, detail->len);
    ngx_crc32_final(hash);

    if (hash == s->logged
        && ngx_time() - s->logged_at < NGX_HTTP_JELOU_DELIVER_LOG)
    {
        return;
    }

    s->logged = hash;
    s->logged_at = ngx_time();

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "jelou: %s%V, stream: \"%V\", group: \"%V\"",
                  what, detail, &s->name, &s->conf->group);
}
