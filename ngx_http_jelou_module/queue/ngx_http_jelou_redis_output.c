
/*
 * What a connection sends: commands are gathered in blocks, and those of a turn
 * of the event loop go out together.
 */


#include "ngx_http_jelou_redis_conn.h"


/* what commands are gathered in; a longer one has a block of its own */

#define NGX_HTTP_JELOU_REDIS_BLOCK  (16 * 1024)


/* a block, with the link that it is sent by */

typedef struct {
    ngx_chain_t  link;
    ngx_buf_t    buf;
} ngx_http_jelou_redis_block_t;


static u_char *ngx_http_jelou_redis_conn_reserve(
    ngx_http_jelou_redis_conn_t *conn, size_t len);


ngx_int_t
ngx_http_jelou_redis_conn_add(ngx_http_jelou_redis_conn_t *conn,
    ngx_str_t *text)
{
    u_char    *p;
    uint64_t   number;

    p = ngx_http_jelou_redis_conn_reserve(conn, text->len);

    if (p == NULL
        || ngx_http_jelou_redis_pipeline_add(&conn->pipeline, NULL, &number,
                                             &conn->target->log)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    conn->last->buf->last = ngx_cpymem(p, text->data, text->len);

    return NGX_OK;
}


/* Room at the end of what is to be sent. */

static u_char *
ngx_http_jelou_redis_conn_reserve(ngx_http_jelou_redis_conn_t *conn,
    size_t len)
{
    size_t                         size;
    ngx_buf_t                     *b;
    ngx_http_jelou_redis_block_t  *block;

    if (conn->out) {
        b = conn->last->buf;

        if ((size_t) (b->end - b->last) >= len) {
            return b->last;
        }
    }

    if (conn->spare && len <= NGX_HTTP_JELOU_REDIS_BLOCK) {
        block = (ngx_http_jelou_redis_block_t *) conn->spare;
        conn->spare = NULL;

    } else {
        size = ngx_max(len, NGX_HTTP_JELOU_REDIS_BLOCK);

        block = ngx_alloc(sizeof(ngx_http_jelou_redis_block_t) + size,
                          &conn->target->log);
        if (block == NULL) {
            return NULL;
        }

        ngx_memzero(block, sizeof(ngx_http_jelou_redis_block_t));

        block->link.buf = &block->buf;
        block->buf.start = (u_char *) block
                           + sizeof(ngx_http_jelou_redis_block_t);
        block->buf.end = block->buf.start + size;
        block->buf.temporary = 1;
    }

    block->buf.pos = block->buf.start;
    block->buf.last = block->buf.start;
    block->link.next = NULL;

    if (conn->out) {
        conn->last->next = &block->link;

    } else {
        conn->out = &block->link;
    }

    conn->last = &block->link;

    return block->buf.last;
}


ngx_int_t
ngx_http_jelou_redis_conn_put(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd)
{
    u_char            *p;
    ngx_connection_t  *c;

    static ngx_str_t  asking = ngx_string("*1" CRLF "$6" CRLF "ASKING" CRLF);

    if (cmd->asking) {
        cmd->asking = 0;

        if (ngx_http_jelou_redis_conn_add(conn, &asking) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    p = ngx_http_jelou_redis_conn_reserve(conn,
                 ngx_http_jelou_redis_pieces_len(cmd->pieces, cmd->npieces));

    if (p == NULL
        || ngx_http_jelou_redis_pipeline_add(&conn->pipeline, cmd,
                                             &cmd->number, &conn->target->log)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    conn->last->buf->last = ngx_http_jelou_redis_pieces_write(p, cmd->pieces,
                                                              cmd->npieces);
    cmd->conn = conn;
    cmd->server = conn->name;

    c = conn->peer.connection;

    c->idle = 0;
    c->read->cancelable = 0;

    if (!c->read->timer_set) {
        ngx_add_timer(c->read, conn->target->settings->read_timeout);
    }

    ngx_post_event(&conn->flush, &ngx_posted_events);

    return NGX_OK;
}


void
ngx_http_jelou_redis_conn_flush(ngx_event_t *ev)
{
    ngx_http_jelou_redis_conn_t  *conn;

    conn = ev->data;

    if (conn->out && ngx_http_jelou_redis_conn_send(conn) != NGX_OK) {
        ngx_http_jelou_redis_conn_fail(conn, 0, "sending to redis failed",
                                       NULL);
    }
}


ngx_int_t
ngx_http_jelou_redis_conn_send(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_chain_t       *cl, *rest;
    ngx_connection_t  *c;

    c = conn->peer.connection;

    if (conn->out == NULL || !c->write->ready) {
        return NGX_OK;
    }

    rest = c->send_chain(c, conn->out, 0);

    if (rest == NGX_CHAIN_ERROR) {
        return NGX_ERROR;
    }

    while (conn->out != rest) {
        cl = conn->out;
        conn->out = cl->next;

        if (conn->spare == NULL
            && cl->buf->end - cl->buf->start == NGX_HTTP_JELOU_REDIS_BLOCK)
        {
            conn->spare = cl;

        } else {
            ngx_free(cl);
        }
    }

    return ngx_handle_write_event(c->write, 0);
}
