
/*
 * What waits for an entry to come, over a connection of its own.
 */


#include "ngx_http_jelou_deliver.h"


/* the words before the stream's name */

#define NGX_HTTP_JELOU_DELIVER_BELL                                           \
    "$5" CRLF "COUNT" CRLF "$1" CRLF "1" CRLF "$5" CRLF "BLOCK" CRLF          \
    "$5" CRLF ngx_value(NGX_HTTP_JELOU_DELIVER_BLOCK) CRLF                    \
    "$7" CRLF "STREAMS" CRLF


typedef struct {
    ngx_http_jelou_redis_cmd_t        cmd;
    ngx_http_jelou_redis_piece_t      pieces[6];
    ngx_http_jelou_deliver_stream_t  *stream;
    ngx_http_jelou_deliver_cmd_pt     handler;
    u_char                            last[NGX_HTTP_JELOU_DELIVER_ID_LEN];
} ngx_http_jelou_deliver_bell_t;


static ngx_http_jelou_redis_piece_t *ngx_http_jelou_deliver_wait_pieces(
    ngx_http_jelou_deliver_bell_t *b);
static ngx_int_t ngx_http_jelou_deliver_rung(ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_result_e result,
    ngx_http_jelou_redis_reply_t *reply);


static ngx_str_t  ngx_http_jelou_deliver_xread =
    ngx_string("*8" CRLF "$5" CRLF "XREAD" CRLF NGX_HTTP_JELOU_DELIVER_BELL);
static ngx_str_t  ngx_http_jelou_deliver_xreadgroup =
    ngx_string("*11" CRLF "$10" CRLF "XREADGROUP" CRLF "$5" CRLF "GROUP" CRLF);
static ngx_str_t  ngx_http_jelou_deliver_streams =
    ngx_string(NGX_HTTP_JELOU_DELIVER_BELL);
static ngx_str_t  ngx_http_jelou_deliver_new = ngx_string(">");


ngx_int_t
ngx_http_jelou_deliver_wait(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_cmd_pt handler)
{
    ngx_http_jelou_deliver_bell_t  *b;

    b = ngx_calloc(sizeof(ngx_http_jelou_deliver_bell_t), ngx_cycle->log);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->stream = s;
    b->handler = handler;

    b->cmd.pieces = b->pieces;
    b->cmd.npieces = ngx_http_jelou_deliver_wait_pieces(b) - b->pieces;
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

static ngx_http_jelou_redis_piece_t *
ngx_http_jelou_deliver_wait_pieces(ngx_http_jelou_deliver_bell_t *b)
{
    ngx_str_t                         last;
    ngx_http_jelou_redis_piece_t     *p;
    ngx_http_jelou_deliver_stream_t  *s;

    s = b->stream;
    p = b->pieces;

    if (ngx_http_jelou_deliver_leased(s)) {
        last.data = b->last;
        last.len = s->last.len;
        ngx_memcpy(b->last, s->last.data, s->last.len);

        p = ngx_http_jelou_redis_piece(p, &ngx_http_jelou_deliver_xread, 1);
        p = ngx_http_jelou_redis_piece(p, &s->name, 0);

        return ngx_http_jelou_redis_piece(p, &last, 0);
    }

    p = ngx_http_jelou_redis_piece(p, &ngx_http_jelou_deliver_xreadgroup, 1);
    p = ngx_http_jelou_redis_piece(p, &s->conf->group, 0);
    p = ngx_http_jelou_redis_piece(p, &s->consumer, 0);
    p = ngx_http_jelou_redis_piece(p, &ngx_http_jelou_deliver_streams, 1);
    p = ngx_http_jelou_redis_piece(p, &s->name, 0);

    return ngx_http_jelou_redis_piece(p, &ngx_http_jelou_deliver_new, 0);
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
