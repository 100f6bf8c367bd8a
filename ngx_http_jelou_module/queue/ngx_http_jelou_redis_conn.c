
/*
 * One connection: bytes out, replies in, and its time-outs.
 */


#include "ngx_http_jelou_queue_status.h"


/* what commands are gathered in; a longer one has a block of its own */

#define NGX_HTTP_JELOU_REDIS_BLOCK  (16 * 1024)

#define NGX_HTTP_JELOU_REDIS_READ   (16 * 1024)


/* a block, with the link that it is sent by */

typedef struct {
    ngx_chain_t  link;
    ngx_buf_t    buf;
} ngx_http_jelou_redis_block_t;


static ngx_int_t ngx_http_jelou_redis_conn_init(
    ngx_http_jelou_redis_conn_t *conn, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name);
static ngx_int_t ngx_http_jelou_redis_conn_connect(
    ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_write_handler(ngx_event_t *wev);
static void ngx_http_jelou_redis_read_handler(ngx_event_t *rev);
static void ngx_http_jelou_redis_flush_handler(ngx_event_t *ev);
static void ngx_http_jelou_redis_conn_connected(
    ngx_http_jelou_redis_conn_t *conn);
static ngx_int_t ngx_http_jelou_redis_conn_test(ngx_connection_t *c,
    ngx_err_t *err);
static ngx_int_t ngx_http_jelou_redis_conn_hello(
    ngx_http_jelou_redis_conn_t *conn);
static ngx_int_t ngx_http_jelou_redis_conn_add(
    ngx_http_jelou_redis_conn_t *conn, ngx_str_t *text);
static u_char *ngx_http_jelou_redis_conn_reserve(
    ngx_http_jelou_redis_conn_t *conn, size_t len);
static ngx_int_t ngx_http_jelou_redis_conn_send(
    ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_conn_read(ngx_http_jelou_redis_conn_t *conn);
static ngx_int_t ngx_http_jelou_redis_conn_replies(
    ngx_http_jelou_redis_conn_t *conn);
static ngx_int_t ngx_http_jelou_redis_conn_greeted(
    ngx_http_jelou_redis_conn_t *conn, ngx_http_jelou_redis_reply_t *reply);
static void ngx_http_jelou_redis_conn_rest(ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_conn_timeout(
    ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_conn_close(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_result_e result, ngx_uint_t blame);
static void ngx_http_jelou_redis_conn_free(ngx_http_jelou_redis_conn_t *conn);


ngx_http_jelou_redis_conn_t *
ngx_http_jelou_redis_conn_open(ngx_http_jelou_redis_target_t *target,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name)
{
    ngx_pool_t                   *pool;
    ngx_http_jelou_redis_conn_t  *conn;

    pool = ngx_create_pool(1024, &target->log);
    if (pool == NULL) {
        return NULL;
    }

    conn = ngx_pcalloc(pool, sizeof(ngx_http_jelou_redis_conn_t));
    if (conn == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    conn->pool = pool;
    conn->target = target;

    ngx_queue_init(&conn->waiting);

    if (ngx_http_jelou_redis_conn_init(conn, sockaddr, socklen, name) != NGX_OK
        || ngx_http_jelou_redis_conn_connect(conn) != NGX_OK)
    {
        ngx_http_jelou_redis_conn_free(conn);
        return NULL;
    }

    ngx_queue_insert_tail(&target->conns, &conn->queue);

    return conn;
}


static ngx_int_t
ngx_http_jelou_redis_conn_init(ngx_http_jelou_redis_conn_t *conn,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name)
{
    ngx_log_t              *log;
    ngx_peer_connection_t  *peer;

    log = &conn->target->log;
    peer = &conn->peer;

    /* an address may go away while its connection is there */

    peer->sockaddr = ngx_pnalloc(conn->pool, socklen);
    conn->name.data = ngx_pstrdup(conn->pool, name);

    if (peer->sockaddr == NULL || conn->name.data == NULL
        || ngx_http_jelou_redis_pipeline_init(&conn->pipeline, log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(peer->sockaddr, sockaddr, socklen);
    conn->name.len = name->len;

    peer->socklen = socklen;
    peer->name = &conn->name;
    peer->get = ngx_event_get_peer;
    peer->log = log;
    peer->log_error = NGX_ERROR_INFO;

    conn->flush.data = conn;
    conn->flush.handler = ngx_http_jelou_redis_flush_handler;
    conn->flush.log = log;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_redis_conn_connect(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    ngx_set_errno(0);

    rc = ngx_event_connect_peer(&conn->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        (void) ngx_http_jelou_redis_say(conn->target, &conn->name,
                                        &conn->target->log, ngx_socket_errno,
                                        "connect() to redis failed", NULL);
        ngx_http_jelou_queue_closed(conn);
        return NGX_ERROR;
    }

    c = conn->peer.connection;

    c->data = conn;
    c->pool = conn->pool;

    ngx_http_jelou_redis_conn_listen(conn);

    ngx_add_timer(c->read, conn->target->settings->connect_timeout);

    if (rc == NGX_OK) {
        ngx_post_event(c->write, &ngx_posted_events);
    }

    return NGX_OK;
}


void
ngx_http_jelou_redis_conn_listen(ngx_http_jelou_redis_conn_t *conn)
{
    conn->peer.connection->read->handler = ngx_http_jelou_redis_read_handler;
    conn->peer.connection->write->handler = ngx_http_jelou_redis_write_handler;
}


static void
ngx_http_jelou_redis_write_handler(ngx_event_t *wev)
{
    ngx_connection_t             *c;
    ngx_http_jelou_redis_conn_t  *conn;

    c = wev->data;
    conn = c->data;

    if (!conn->connected) {
        ngx_http_jelou_redis_conn_connected(conn);
        return;
    }

    if (conn->out && ngx_http_jelou_redis_conn_send(conn) != NGX_OK) {
        ngx_http_jelou_redis_conn_fail(conn, 0, "sending to redis failed",
                                       NULL);
    }
}


static void
ngx_http_jelou_redis_conn_connected(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_err_t          err;
    ngx_connection_t  *c;

    c = conn->peer.connection;

    if (ngx_http_jelou_redis_conn_test(c, &err) != NGX_OK) {
        ngx_http_jelou_redis_conn_fail(conn, err, "connect() to redis failed",
                                       NULL);
        return;
    }

    conn->connected = 1;

    if (conn->peer.sockaddr->sa_family != AF_UNIX
        && ngx_tcp_nodelay(c) != NGX_OK)
    {
        ngx_http_jelou_redis_conn_fail(conn, 0, "TCP_NODELAY failed", NULL);
        return;
    }

#if (NGX_HTTP_SSL)

    if (conn->target->settings->ssl) {
        ngx_http_jelou_redis_ssl_handshake(conn);
        return;
    }

#endif

    ngx_http_jelou_redis_conn_begin(conn);
}


void
ngx_http_jelou_redis_conn_begin(ngx_http_jelou_redis_conn_t *conn)
{
    if (ngx_http_jelou_redis_conn_hello(conn) != NGX_OK
        || ngx_http_jelou_redis_conn_send(conn) != NGX_OK)
    {
        ngx_http_jelou_redis_conn_fail(conn, 0, "sending to redis failed",
                                       NULL);
    }
}


static ngx_int_t
ngx_http_jelou_redis_conn_test(ngx_connection_t *c, ngx_err_t *err)
{
    int        value;
    socklen_t  len;

    value = 0;
    len = sizeof(int);

    /*
     * BSDs and Linux return 0 and set a pending error in err
     */

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &value, &len) == -1) {
        value = ngx_socket_errno;
    }

    *err = value;

    return value ? NGX_ERROR : NGX_OK;
}


/* What is answered before anything else is sent. */

static ngx_int_t
ngx_http_jelou_redis_conn_hello(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_str_t                        *text[3];
    ngx_uint_t                        i;
    ngx_http_jelou_redis_settings_t  *settings;

    settings = conn->target->settings;

    text[0] = &settings->auth;
    text[1] = &settings->select;
    text[2] = &settings->script;

    for (i = 0; i < 3; i++) {

        if (text[i]->len == 0) {
            continue;
        }

        if (ngx_http_jelou_redis_conn_add(conn, text[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        conn->hello++;
    }

    return NGX_OK;
}


/* A command as it is, whose reply is nobody's. */

static ngx_int_t
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


static void
ngx_http_jelou_redis_flush_handler(ngx_event_t *ev)
{
    ngx_http_jelou_redis_conn_t  *conn;

    conn = ev->data;

    if (conn->out && ngx_http_jelou_redis_conn_send(conn) != NGX_OK) {
        ngx_http_jelou_redis_conn_fail(conn, 0, "sending to redis failed",
                                       NULL);
    }
}


static ngx_int_t
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


static void
ngx_http_jelou_redis_read_handler(ngx_event_t *rev)
{
    ngx_connection_t             *c;
    ngx_http_jelou_redis_conn_t  *conn;

    c = rev->data;
    conn = c->data;

    if (c->close) {

        /* nginx is about to exit, and this connection idle or out of time */

        ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST, 0);
        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;
        ngx_http_jelou_redis_conn_timeout(conn);
        return;
    }

    if (!conn->connected) {
        ngx_http_jelou_redis_conn_connected(conn);
        return;
    }

    ngx_http_jelou_redis_conn_read(conn);
}


static void
ngx_http_jelou_redis_conn_read(ngx_http_jelou_redis_conn_t *conn)
{
    ssize_t            n;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    static u_char  buffer[NGX_HTTP_JELOU_REDIS_READ];

    c = conn->peer.connection;
    rc = NGX_AGAIN;

    conn->busy = 1;

    do {
        n = c->recv(c, buffer, sizeof(buffer));

        if (n <= 0) {
            break;
        }

        rc = ngx_http_jelou_redis_reader_feed(&conn->pipeline.reader, buffer,
                                              n);
        if (rc == NGX_OK) {
            rc = ngx_http_jelou_redis_conn_replies(conn);
        }

    } while (rc == NGX_AGAIN && !conn->closed && c->read->ready);

    conn->busy = 0;

    if (conn->closed) {
        ngx_http_jelou_redis_conn_free(conn);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_jelou_redis_conn_fail(conn, 0, "a malformed reply from redis",
                                       NULL);
        return;
    }

    if (rc == NGX_ERROR) {
        ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST, 0);
        return;
    }

    if (n == 0 || n == NGX_ERROR) {

        if (conn->ready
            && ngx_http_jelou_redis_in_flight(&conn->pipeline) == 0)
        {
            /* nobody is waiting for it */

            ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST,
                                            0);
            return;
        }

        ngx_http_jelou_redis_conn_fail(conn, n ? ngx_socket_errno : 0,
                                       "redis has closed the connection",
                                       NULL);
        return;
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST, 0);
        return;
    }

    ngx_http_jelou_redis_conn_rest(conn);
}


/* NGX_AGAIN: all that is there has been read, or the connection is closed */

static ngx_int_t
ngx_http_jelou_redis_conn_replies(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_int_t                      rc;
    ngx_http_jelou_redis_cmd_t    *cmd;
    ngx_http_jelou_redis_reply_t  *reply;

    reply = &conn->pipeline.reader.reply;

    for ( ;; ) {
        rc = ngx_http_jelou_redis_pipeline_next(&conn->pipeline, &cmd);

        if (rc != NGX_OK) {
            return rc;
        }

        if (!conn->ready) {
            rc = ngx_http_jelou_redis_conn_greeted(conn, reply);

        } else {

            if (cmd) {
                cmd->conn = NULL;
            }

            rc = ngx_http_jelou_redis_target_reply(conn, cmd, reply);
        }

        if (conn->closed) {
            return NGX_AGAIN;
        }

        if (rc != NGX_OK) {
            return NGX_DECLINED;
        }
    }
}


/*
 * A reply to what is sent first.  Without AUTH and SELECT there is no use in
 * the connection; without the script there is, for it can be sent later.
 */

static ngx_int_t
ngx_http_jelou_redis_conn_greeted(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_reply_t *reply)
{
    char                             *what;
    ngx_str_t                         cause;
    ngx_http_jelou_redis_settings_t  *settings;

    settings = conn->target->settings;

    if (conn->hello == 3 || (conn->hello == 2 && settings->select.len == 0)) {
        what = "redis refused AUTH: ";

    } else if (conn->hello == 2) {
        what = "redis refused SELECT: ";

    } else {
        what = "redis refused SCRIPT: ";
    }

    if (reply->odd
        || (reply->type != REDIS_REPLY_STATUS && reply->type != REDIS_REPLY_ERROR
            && (reply->type != REDIS_REPLY_STRING || conn->hello > 1)))
    {
        return NGX_DECLINED;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_jelou_redis_reply_cause(reply, &cause);

        if (conn->hello > 1 || ngx_strncmp(cause.data, "NOAUTH", 6) == 0
            || ngx_strncmp(cause.data, "LOADING", 7) == 0)
        {
            (void) ngx_http_jelou_redis_say(conn->target, &conn->name,
                                            &conn->target->log, 0, what,
                                            &cause);
            ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST,
                                            0);
            return NGX_OK;
        }
    }

    if (--conn->hello == 0) {
        conn->ready = 1;
        ngx_http_jelou_queue_opened(conn);

        ngx_del_timer(conn->peer.connection->read);

        ngx_http_jelou_redis_target_ready(conn);
    }

    return NGX_OK;
}


/* With nothing in flight, it must not keep nginx from exiting. */

static void
ngx_http_jelou_redis_conn_rest(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_connection_t  *c;

    if (!conn->ready || ngx_http_jelou_redis_in_flight(&conn->pipeline)) {
        return;
    }

    if (ngx_exiting) {
        ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST, 0);
        return;
    }

    c = conn->peer.connection;

    c->idle = 1;
    c->read->cancelable = 1;
}


/*
 * The timer runs since some command: whether the oldest one is out of time, is
 * seen when it ends.
 */

static void
ngx_http_jelou_redis_conn_timeout(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_msec_int_t     left;
    ngx_connection_t  *c;

    c = conn->peer.connection;

    if (conn->ready) {

        if (ngx_http_jelou_redis_in_flight(&conn->pipeline) == 0) {
            return;
        }

        left = (ngx_msec_int_t)
               (ngx_http_jelou_redis_pipeline_since(&conn->pipeline)
                + conn->target->settings->read_timeout - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(c->read, left);
            return;
        }
    }

    ngx_http_jelou_redis_conn_late(conn);
}


void
ngx_http_jelou_redis_conn_late(ngx_http_jelou_redis_conn_t *conn)
{
    (void) ngx_http_jelou_redis_say(conn->target, &conn->name,
                                    &conn->target->log, NGX_ETIMEDOUT,
                                    conn->ready ? "redis does not answer"
                                    : "redis does not answer to a connection",
                                    NULL);

    ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_TIMED_OUT, 1);
}


void
ngx_http_jelou_redis_conn_fail(ngx_http_jelou_redis_conn_t *conn,
    ngx_err_t err, const char *what, ngx_str_t *detail)
{
    (void) ngx_http_jelou_redis_say(conn->target, &conn->name,
                                    &conn->target->log, err, what, detail);

    ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST, 1);
}


static void
ngx_http_jelou_redis_conn_close(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_result_e result, ngx_uint_t blame)
{
    conn->closed = 1;
    ngx_http_jelou_queue_closed(conn);

    ngx_queue_remove(&conn->queue);

    if (conn->flush.posted) {
        ngx_delete_posted_event(&conn->flush);
    }

#if (NGX_HTTP_SSL)

    if (conn->peer.connection->ssl) {

        /* what Redis would answer to that is nobody's */

        conn->peer.connection->ssl->no_wait_shutdown = 1;
        conn->peer.connection->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(conn->peer.connection);
    }

#endif

    /* the pool is freed with what is in it, after the last look at it */

    ngx_close_connection(conn->peer.connection);
    conn->peer.connection = NULL;

    ngx_http_jelou_redis_target_closed(conn, result, blame);

    if (!conn->busy) {
        ngx_http_jelou_redis_conn_free(conn);
    }
}


static void
ngx_http_jelou_redis_conn_free(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_chain_t  *cl;

    ngx_http_jelou_redis_pipeline_free(&conn->pipeline);

    while (conn->out) {
        cl = conn->out;
        conn->out = cl->next;
        ngx_free(cl);
    }

    if (conn->spare) {
        ngx_free(conn->spare);
    }

    ngx_destroy_pool(conn->pool);
}
