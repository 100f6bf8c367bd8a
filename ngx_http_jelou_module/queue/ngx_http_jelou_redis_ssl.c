
/*
 * TLS to Redis, by nginx's own.
 */


#include "ngx_http_jelou_redis_conn.h"


#if (NGX_HTTP_SSL)


static void ngx_http_jelou_redis_ssl_handler(ngx_connection_t *c);
static ngx_int_t ngx_http_jelou_redis_ssl_name(
    ngx_http_jelou_redis_conn_t *conn, ngx_str_t *name);
static ngx_int_t ngx_http_jelou_redis_ssl_verify(
    ngx_http_jelou_redis_conn_t *conn);
static void ngx_http_jelou_redis_ssl_save(ngx_connection_t *c);


void
ngx_http_jelou_redis_ssl_handshake(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_int_t                         rc;
    ngx_str_t                         name;
    ngx_connection_t                 *c;
    ngx_http_jelou_redis_settings_t  *settings;

    c = conn->peer.connection;
    settings = conn->target->settings;

    if (ngx_ssl_create_connection(settings->ssl, c, NGX_SSL_CLIENT) != NGX_OK
        || (settings->ssl_server_name
            && ngx_http_jelou_redis_ssl_name(conn, &name) != NGX_OK))
    {
        ngx_http_jelou_redis_conn_fail(conn, 0, "TLS to redis failed", NULL);
        return;
    }

    if (settings->ssl_session_reuse) {
        c->ssl->save_session = ngx_http_jelou_redis_ssl_save;

        if (conn->target->session
            && ngx_ssl_set_session(c, conn->target->session) != NGX_OK)
        {
            ngx_http_jelou_redis_conn_fail(conn, 0, "TLS to redis failed",
                                           NULL);
            return;
        }
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_http_jelou_redis_ssl_handler;
        return;
    }

    ngx_http_jelou_redis_ssl_handler(c);
}


static void
ngx_http_jelou_redis_ssl_handler(ngx_connection_t *c)
{
    ngx_http_jelou_redis_conn_t  *conn;

    conn = c->data;

    if (c->ssl->handshaked) {

        if (conn->target->settings->ssl_verify
            && ngx_http_jelou_redis_ssl_verify(conn) != NGX_OK)
        {
            return;
        }

        ngx_http_jelou_redis_conn_listen(conn);
        ngx_http_jelou_redis_conn_begin(conn);
        return;
    }

    if (c->read->timedout || c->write->timedout) {
        ngx_http_jelou_redis_conn_late(conn);
        return;
    }

    ngx_http_jelou_redis_conn_fail(conn, 0, "TLS handshake with redis failed",
                                   NULL);
}


/* By default that of the group, as proxy_pass has it; without a port. */

static ngx_int_t
ngx_http_jelou_redis_ssl_name(ngx_http_jelou_redis_conn_t *conn,
    ngx_str_t *name)
{
    u_char     *p, *host;
    ngx_str_t  *from;

    from = conn->target->settings->ssl_name.len
           ? &conn->target->settings->ssl_name : &conn->target->uscf->host;

    host = ngx_pnalloc(conn->pool, from->len + 1);
    if (host == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(host, from->data, from->len + 1);

    p = (u_char *) strrchr((char *) host, ':');

    if (p && *host != '[' && strchr((char *) host, ':') == (char *) p) {
        *p = '\0';
    }

    name->data = host;
    name->len = ngx_strlen(host);

    /* an address is no name (RFC 6066, section 3) */

    if (!conn->target->settings->ssl_server_name || name->len == 0
        || *host == '[' || ngx_inet_addr(host, name->len) != INADDR_NONE)
    {
        return NGX_OK;
    }

    return SSL_set_tlsext_host_name(conn->peer.connection->ssl->connection,
                                    (char *) host)
           ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_jelou_redis_ssl_verify(ngx_http_jelou_redis_conn_t *conn)
{
    long               rc;
    ngx_str_t          name, reason;
    ngx_connection_t  *c;

    c = conn->peer.connection;

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        reason.data = (u_char *) X509_verify_cert_error_string(rc);
        reason.len = ngx_strlen(reason.data);

        ngx_http_jelou_redis_conn_fail(conn, 0, "redis has a certificate that "
                                       "is not trusted: ", &reason);
        return NGX_ERROR;
    }

    if (ngx_http_jelou_redis_ssl_name(conn, &name) != NGX_OK
        || ngx_ssl_check_host(c, &name) != NGX_OK)
    {
        ngx_http_jelou_redis_conn_fail(conn, 0, "redis has a certificate for "
                                       "another name than ", &name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_jelou_redis_ssl_save(ngx_connection_t *c)
{
    ngx_ssl_session_t            *session;
    ngx_http_jelou_redis_conn_t  *conn;

    conn = c->data;

    session = ngx_ssl_get_session(c);

    if (session == NULL) {
        return;
    }

    if (conn->target->session) {
        ngx_ssl_free_session(conn->target->session);
    }

    conn->target->session = session;
}


#endif
