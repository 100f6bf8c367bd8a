
/*
 * One connection: how it begins and ends, replies in, and its time-outs.
 */


#include "ngx_http_jelou_queue_status.h"


#define NGX_HTTP_JELOU_REDIS_READ   (16 * 1024)


static ngx_int_t ngx_http_jelou_redis_conn_init(
    ngx_http_jelou_redis_conn_t *conn, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name);
static ngx_int_t ngx_http_jelou_redis_conn_connect(
    ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_write_handler(ngx_event_t *wev);
static void ngx_http_jelou_redis_read_handler(ngx_event_t *rev);
static void ngx_http_jelou_redis_conn_connected(
    ngx_http_jelou_redis_conn_t *conn);
static ngx_int_t ngx_http_jelou_redis_conn_test(ngx_connection_t *c,
    ngx_err_t *err);
static void ngx_http_jelou_redis_conn_read(ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_conn_ended(ngx_http_jelou_redis_conn_t *conn,
    ngx_err_t err);
static ngx_int_t ngx_http_jelou_redis_conn_replies(
    ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_conn_rest(ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_conn_timeout(
    ngx_http_jelou_redis_conn_t *conn);
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
    conn->flush.handler = ngx_http_jelou_redis_conn_flush;
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
        (void) ngx_http_jelou_redis_log(conn->target, &conn->name,
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
    if (ngx_http_jelou_redis_hello(conn) != NGX_OK
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
        ngx_http_jelou_redis_conn_ended(conn, n ? ngx_socket_errno : 0);
        return;
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST, 0);
        return;
    }

    ngx_http_jelou_redis_conn_rest(conn);
}


static void
ngx_http_jelou_redis_conn_ended(ngx_http_jelou_redis_conn_t *conn,
    ngx_err_t err)
{
    if (conn->ready && ngx_http_jelou_redis_in_flight(&conn->pipeline) == 0) {

        /* nobody is waiting for it */

        ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST, 0);
        return;
    }

    ngx_http_jelou_redis_conn_fail(conn, err, "redis has closed the connection",
                                   NULL);
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
            rc = ngx_http_jelou_redis_greeted(conn, reply);

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
    (void) ngx_http_jelou_redis_log(conn->target, &conn->name,
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
    (void) ngx_http_jelou_redis_log(conn->target, &conn->name,
                                    &conn->target->log, err, what, detail);

    ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST, 1);
}


void
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
