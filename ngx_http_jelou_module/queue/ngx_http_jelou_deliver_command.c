
/*
 * Calls of the deliverer's script, and what becomes of their replies.
 */


#include "ngx_http_jelou_deliver.h"


/* the words that each call of the script begins with */

#define NGX_HTTP_JELOU_DELIVER_NFIXED  4


struct ngx_http_jelou_deliver_cmd_s {
    ngx_http_jelou_redis_cmd_t        cmd;
    ngx_http_jelou_redis_piece_t      pieces[3];
    ngx_http_jelou_deliver_stream_t  *stream;
    ngx_http_jelou_deliver_cmd_pt     handler;
    void                             *data;
    u_char                            count[sizeof("*" CRLF) + NGX_INT_T_LEN];
    unsigned                          eval:1;
};


static void ngx_http_jelou_deliver_unsent(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_cmd_pt handler, void *data);
static ngx_http_jelou_deliver_cmd_t *ngx_http_jelou_deliver_cmd(
    ngx_http_jelou_deliver_stream_t *s, ngx_uint_t nwords, size_t len);
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
    u_char                        *p;
    ngx_str_t                      text;
    ngx_uint_t                     i;
    ngx_http_jelou_redis_piece_t   pieces[8];

    for (i = 0; i < nwords; i++) {
        ngx_http_jelou_redis_word(&pieces[i], words[i].data, words[i].len);
    }

    p = ngx_alloc(ngx_http_jelou_redis_pieces_len(pieces, nwords) + 1,
                  ngx_cycle->log);
    if (p == NULL) {
        ngx_http_jelou_deliver_unsent(s, handler, data);
        return;
    }

    text.data = p;
    text.len = ngx_http_jelou_redis_pieces_write(p, pieces, nwords) - p;

    ngx_http_jelou_deliver_call_text(s, operation, nwords, &text, handler,
                                     data);
    ngx_free(p);
}


void
ngx_http_jelou_deliver_call_text(ngx_http_jelou_deliver_stream_t *s,
    const char *operation, ngx_uint_t nwords, ngx_str_t *text,
    ngx_http_jelou_deliver_cmd_pt handler, void *data)
{
    size_t                         len;
    u_char                        *p;
    ngx_uint_t                     n, dead;
    ngx_http_jelou_deliver_cmd_t  *c;
    ngx_http_jelou_redis_piece_t   pieces[4 + NGX_HTTP_JELOU_DELIVER_NFIXED];

    dead = (ngx_strcmp(operation, "dead") == 0);
    n = 0;

    ngx_http_jelou_redis_word(&pieces[n++], (u_char *) (dead ? "3" : "2"), 1);
    ngx_http_jelou_redis_word(&pieces[n++], s->name.data, s->name.len);
    ngx_http_jelou_redis_word(&pieces[n++], s->hash.data, s->hash.len);

    if (dead) {
        ngx_http_jelou_redis_word(&pieces[n++], s->dead.data, s->dead.len);
    }

    ngx_http_jelou_redis_word(&pieces[n++], (u_char *) operation,
                              ngx_strlen(operation));
    ngx_http_jelou_redis_word(&pieces[n++], s->conf->group.data,
                              s->conf->group.len);
    ngx_http_jelou_redis_word(&pieces[n++], s->owner.data, s->owner.len);
    ngx_http_jelou_redis_word(&pieces[n++], s->fence.data, s->fence.len);

    len = ngx_http_jelou_redis_pieces_len(pieces, n) + text->len;

    c = ngx_http_jelou_deliver_cmd(s, 2 + n + nwords, len);
    if (c == NULL) {
        ngx_http_jelou_deliver_unsent(s, handler, data);
        return;
    }

    p = ngx_http_jelou_redis_pieces_write(c->pieces[2].data, pieces, n);
    ngx_memcpy(p, text->data, text->len);

    c->handler = handler;
    c->data = data;

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


static ngx_http_jelou_deliver_cmd_t *
ngx_http_jelou_deliver_cmd(ngx_http_jelou_deliver_stream_t *s,
    ngx_uint_t nwords, size_t len)
{
    ngx_http_jelou_deliver_cmd_t  *c;

    c = ngx_alloc(sizeof(ngx_http_jelou_deliver_cmd_t) + len, ngx_cycle->log);
    if (c == NULL) {
        return NULL;
    }

    ngx_memzero(c, sizeof(ngx_http_jelou_deliver_cmd_t));

    c->stream = s;

    ngx_http_jelou_redis_raw(&c->pieces[0], c->count,
                      ngx_sprintf(c->count, "*%ui" CRLF, nwords) - c->count);
    ngx_http_jelou_redis_raw(&c->pieces[1], s->dmcf->evalsha.data,
                             s->dmcf->evalsha.len);
    ngx_http_jelou_redis_raw(&c->pieces[2], (u_char *) c
                                  + sizeof(ngx_http_jelou_deliver_cmd_t), len);

    return c;
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
                c->pieces[1].data = s->dmcf->eval.data;
                c->pieces[1].len = s->dmcf->eval.len;

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
