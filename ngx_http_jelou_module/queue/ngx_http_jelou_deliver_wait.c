
/*
 * What waits for an entry to come, over a connection of its own.
 */


#include "ngx_http_jelou_deliver.h"


#define NGX_HTTP_JELOU_DELIVER_NWORDS  12


typedef struct {
    ngx_http_jelou_redis_cmd_t        cmd;
    ngx_http_jelou_redis_piece_t      pieces[NGX_HTTP_JELOU_DELIVER_NWORDS + 1];
    ngx_http_jelou_deliver_stream_t  *stream;
    ngx_http_jelou_deliver_cmd_pt     handler;
    u_char                            count[sizeof("*" CRLF) + NGX_INT_T_LEN];
    u_char                            block[NGX_INT_T_LEN];
    u_char                            last[NGX_HTTP_JELOU_DELIVER_ID_LEN];
} ngx_http_jelou_deliver_bell_t;


static ngx_uint_t ngx_http_jelou_deliver_wait_words(
    ngx_http_jelou_deliver_bell_t *b, ngx_str_t *words);
static ngx_int_t ngx_http_jelou_deliver_rung(ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_result_e result,
    ngx_http_jelou_redis_reply_t *reply);


ngx_int_t
ngx_http_jelou_deliver_wait(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_cmd_pt handler)
{
    ngx_uint_t                      i, n;
    ngx_str_t                       words[NGX_HTTP_JELOU_DELIVER_NWORDS];
    ngx_http_jelou_deliver_bell_t  *b;

    b = ngx_calloc(sizeof(ngx_http_jelou_deliver_bell_t), ngx_cycle->log);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->stream = s;
    b->handler = handler;

    n = ngx_http_jelou_deliver_wait_words(b, words);

    b->pieces[0].data = b->count;
    b->pieces[0].len = ngx_sprintf(b->count, "*%ui" CRLF, n) - b->count;
    b->pieces[0].raw = 1;

    for (i = 0; i < n; i++) {
        b->pieces[i + 1].data = words[i].data;
        b->pieces[i + 1].len = words[i].len;
    }

    b->cmd.pieces = b->pieces;
    b->cmd.npieces = n + 1;
    b->cmd.handler = ngx_http_jelou_deliver_rung;
    b->cmd.data = b;
    b->cmd.key = s->name;
    b->cmd.tree = 1;

    if (ngx_http_jelou_redis_send(s->blocking, &b->cmd) != NGX_OK) {
        ngx_free(b);
        return NGX_ERROR;
    }

    s->bell = &b->cmd;

    return NGX_OK;
}


/*
 * With a lease, nobody else reads, so that looking at the stream is enough.
 * Without one, the entry is taken at once, so that one worker only wakes up.
 * What changes later is copied: the command may be written later.
 */

static ngx_uint_t
ngx_http_jelou_deliver_wait_words(ngx_http_jelou_deliver_bell_t *b,
    ngx_str_t *words)
{
    ngx_str_t                        *w;
    ngx_http_jelou_deliver_stream_t  *s;

    s = b->stream;
    w = words;

    if (ngx_http_jelou_deliver_leased(s)) {
        ngx_str_set(w, "XREAD");
        w++;

    } else {
        ngx_str_set(w, "XREADGROUP");
        w++;
        ngx_str_set(w, "GROUP");
        w++;
        *w++ = s->conf->group;
        *w++ = s->consumer;
    }

    ngx_str_set(w, "COUNT");
    w++;
    ngx_str_set(w, "1");
    w++;
    ngx_str_set(w, "BLOCK");
    w++;

    w->data = b->block;
    w->len = ngx_sprintf(b->block, "%i", NGX_HTTP_JELOU_DELIVER_BLOCK)
             - b->block;
    w++;

    ngx_str_set(w, "STREAMS");
    w++;
    *w++ = s->name;

    if (ngx_http_jelou_deliver_leased(s)) {
        ngx_memcpy(b->last, s->last.data, s->last.len);
        w->data = b->last;
        w->len = s->last.len;
        w++;

    } else {
        ngx_str_set(w, ">");
        w++;
    }

    return w - words;
}


static ngx_int_t
ngx_http_jelou_deliver_rung(ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_result_e result, ngx_http_jelou_redis_reply_t *reply)
{
    redisReply                       *tree;
    ngx_http_jelou_deliver_bell_t    *b;
    ngx_http_jelou_deliver_stream_t  *s;

    b = cmd->data;
    s = b->stream;
    s->bell = NULL;

    tree = NULL;

    if (result == NGX_HTTP_JELOU_REDIS_REPLIED) {
        tree = reply->tree;
    }

    if (tree == NULL || (tree->type != REDIS_REPLY_ARRAY
                         && tree->type != REDIS_REPLY_NIL))
    {
        tree = NULL;
        ngx_http_jelou_deliver_failed(s, result, reply);
    }

    b->handler(s, NULL, NULL, tree);

    ngx_free(b);

    return NGX_OK;
}


/* Its connection is closed, as nginx closes an idle one. */

void
ngx_http_jelou_deliver_wait_end(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_connection_t             *c;
    ngx_http_jelou_redis_conn_t  *conn;

    if (s->bell == NULL) {
        return;
    }

    conn = s->bell->conn;

    if (conn == NULL) {
        ngx_http_jelou_redis_cancel(s->bell);
        ngx_free(s->bell->data);
        s->bell = NULL;
        return;
    }

    c = conn->peer.connection;

    c->close = 1;
    c->read->handler(c->read);
}
