
/*
 * Addresses and host names: what a variable, a cluster or a Sentinel says of a
 * server.  Names are nginx's resolver's, which remembers them as long as they
 * are valid; a name is asked for when a connection is opened.
 */


#include "ngx_http_jelou_redis_conn.h"


/* a name that is asked for; the text is behind it */

typedef struct {
    ngx_http_jelou_redis_target_t     *target;
    ngx_http_jelou_redis_resolved_pt   handler;
    void                              *data;
    ngx_str_t                          host;
} ngx_http_jelou_redis_question_t;


/* a server of a cluster, and the commands that wait for its address */

typedef struct {
    ngx_queue_t                        queue;    /* in target->names */
    ngx_http_jelou_redis_target_t     *target;
    ngx_queue_t                        waiting;
    in_port_t                          port;
    ngx_str_t                          name;     /* "host:port" */
} ngx_http_jelou_redis_name_t;


static void ngx_http_jelou_redis_resolve_handler(ngx_resolver_ctx_t *ctx);
static ngx_http_jelou_redis_conn_t *ngx_http_jelou_redis_name_conn(
    ngx_http_jelou_redis_target_t *target, ngx_str_t *name);
static ngx_http_jelou_redis_name_t *ngx_http_jelou_redis_name_find(
    ngx_http_jelou_redis_target_t *target, ngx_str_t *name);
static ngx_http_jelou_redis_name_t *ngx_http_jelou_redis_name_add(
    ngx_http_jelou_redis_target_t *target, ngx_str_t *name, in_port_t port);
static void ngx_http_jelou_redis_name_resolved(void *data,
    ngx_resolver_addr_t *addrs, ngx_uint_t naddrs);
static void ngx_http_jelou_redis_name_done(ngx_http_jelou_redis_name_t *n,
    ngx_http_jelou_redis_conn_t *conn);


ngx_int_t
ngx_http_jelou_redis_address(ngx_str_t *host, in_port_t port,
    ngx_sockaddr_t *sockaddr, socklen_t *socklen)
{
    in_addr_t             addr;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    ngx_memzero(sockaddr, sizeof(ngx_sockaddr_t));

    addr = ngx_inet_addr(host->data, host->len);

    if (addr != INADDR_NONE) {
        sin = &sockaddr->sockaddr_in;

        sin->sin_family = AF_INET;
        sin->sin_addr.s_addr = addr;
        sin->sin_port = htons(port);

        *socklen = sizeof(struct sockaddr_in);
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)

    sin6 = &sockaddr->sockaddr_in6;

    if (ngx_inet6_addr(host->data, host->len, sin6->sin6_addr.s6_addr)
        == NGX_OK)
    {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons(port);

        *socklen = sizeof(struct sockaddr_in6);
        return NGX_OK;
    }

#endif

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_jelou_redis_resolve(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *host, ngx_http_jelou_redis_resolved_pt handler, void *data)
{
    ngx_resolver_ctx_t               *ctx;
    ngx_http_jelou_redis_question_t  *q;
    ngx_http_jelou_redis_settings_t  *settings;

    settings = target->settings;

    ctx = settings->resolver ? ngx_resolve_start(settings->resolver, NULL)
                             : NGX_NO_RESOLVER;

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx == NGX_NO_RESOLVER) {
        (void) ngx_http_jelou_redis_log(target, NULL, &target->log, 0,
                                        "there is no \"resolver\" for the "
                                        "name of a redis server: ", host);
        return NGX_ERROR;
    }

    q = ngx_alloc(sizeof(ngx_http_jelou_redis_question_t) + host->len,
                  &target->log);
    if (q == NULL) {
        ngx_resolve_name_done(ctx);
        return NGX_ERROR;
    }

    q->target = target;
    q->handler = handler;
    q->data = data;
    q->host.len = host->len;
    q->host.data = (u_char *) q + sizeof(ngx_http_jelou_redis_question_t);

    ngx_memcpy(q->host.data, host->data, host->len);

    ctx->name = q->host;
    ctx->handler = ngx_http_jelou_redis_resolve_handler;
    ctx->data = q;

    /* senders wait: as long as for a connection */

    ctx->timeout = ngx_min(settings->resolver_timeout,
                           settings->connect_timeout);

    if (ngx_resolve_name(ctx) != NGX_OK) {
        ngx_free(q);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_jelou_redis_resolve_handler(ngx_resolver_ctx_t *ctx)
{
    ngx_uint_t                        naddrs;
    ngx_http_jelou_redis_question_t  *q;

    q = ctx->data;
    naddrs = ctx->state ? 0 : ctx->naddrs;

    if (naddrs == 0) {
        (void) ngx_http_jelou_redis_log(q->target, NULL, &q->target->log, 0,
                                        "the name of a redis server is not "
                                        "resolved: ", &q->host);
    }

    q->handler(q->data, ctx->addrs, naddrs);

    ngx_resolve_name_done(ctx);
    ngx_free(q);
}


ngx_int_t
ngx_http_jelou_redis_name(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_str_t *host, in_port_t port)
{
    u_char                       *p;
    ngx_str_t                     name;
    ngx_uint_t                    asked;
    ngx_http_jelou_redis_conn_t  *to;
    ngx_http_jelou_redis_name_t  *n;

    u_char  text[NGX_HTTP_JELOU_REDIS_TEXT + sizeof(":65535")];

    if (host->len > NGX_HTTP_JELOU_REDIS_TEXT) {
        return NGX_DECLINED;
    }

    p = ngx_sprintf(text, "%V:%ui", host, (ngx_uint_t) port);

    name.data = text;
    name.len = p - text;

    to = ngx_http_jelou_redis_name_conn(target, &name);

    if (to) {
        return ngx_http_jelou_redis_follow(target, to, cmd);
    }

    n = ngx_http_jelou_redis_name_find(target, &name);
    asked = (n != NULL);

    if (n == NULL) {
        n = ngx_http_jelou_redis_name_add(target, &name, port);
        if (n == NULL) {
            return NGX_DECLINED;
        }
    }

    if (ngx_http_jelou_redis_wait(target, &n->waiting, cmd) != NGX_OK) {

        if (!asked) {
            ngx_http_jelou_redis_name_done(n, NULL);
        }

        return NGX_DECLINED;
    }

    if (!asked
        && ngx_http_jelou_redis_resolve(target, host,
                                        ngx_http_jelou_redis_name_resolved, n)
           != NGX_OK)
    {
        ngx_http_jelou_redis_name_done(n, NULL);
    }

    return NGX_OK;
}


/* The connection that has been opened for a name, or NULL */

static ngx_http_jelou_redis_conn_t *
ngx_http_jelou_redis_name_conn(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *name)
{
    ngx_queue_t                  *q;
    ngx_http_jelou_redis_conn_t  *conn;

    for (q = ngx_queue_head(&target->conns);
         q != ngx_queue_sentinel(&target->conns);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_http_jelou_redis_conn_t, queue);

        if (ngx_http_jelou_same(&conn->host, name)) {
            return conn;
        }
    }

    return NULL;
}


static ngx_http_jelou_redis_name_t *
ngx_http_jelou_redis_name_find(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *name)
{
    ngx_queue_t                  *q;
    ngx_http_jelou_redis_name_t  *n;

    for (q = ngx_queue_head(&target->names);
         q != ngx_queue_sentinel(&target->names);
         q = ngx_queue_next(q))
    {
        n = ngx_queue_data(q, ngx_http_jelou_redis_name_t, queue);

        if (ngx_http_jelou_same(&n->name, name)) {
            return n;
        }
    }

    return NULL;
}


static ngx_http_jelou_redis_name_t *
ngx_http_jelou_redis_name_add(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *name, in_port_t port)
{
    ngx_http_jelou_redis_name_t  *n;

    n = ngx_alloc(sizeof(ngx_http_jelou_redis_name_t) + name->len,
                  &target->log);
    if (n == NULL) {
        return NULL;
    }

    n->target = target;
    n->port = port;
    n->name.len = name->len;
    n->name.data = (u_char *) n + sizeof(ngx_http_jelou_redis_name_t);

    ngx_memcpy(n->name.data, name->data, name->len);

    ngx_queue_init(&n->waiting);
    ngx_queue_insert_tail(&target->names, &n->queue);

    return n;
}


static void
ngx_http_jelou_redis_name_resolved(void *data, ngx_resolver_addr_t *addrs,
    ngx_uint_t naddrs)
{
    ngx_http_jelou_redis_name_t *n = data;

    ngx_sockaddr_t                sockaddr;
    ngx_http_jelou_redis_conn_t  *conn;

    conn = NULL;

    if (naddrs) {
        ngx_memcpy(&sockaddr, addrs[0].sockaddr, addrs[0].socklen);
        ngx_inet_set_port(&sockaddr.sockaddr, n->port);

        conn = ngx_http_jelou_redis_reach(n->target, &sockaddr.sockaddr,
                                          addrs[0].socklen);
    }

    if (conn) {
        conn->host.data = ngx_pstrdup(conn->pool, &n->name);
        conn->host.len = conn->host.data ? n->name.len : 0;
    }

    ngx_http_jelou_redis_name_done(n, conn);
}


/* Without a connection, those that wait for it have waited in vain. */

static void
ngx_http_jelou_redis_name_done(ngx_http_jelou_redis_name_t *n,
    ngx_http_jelou_redis_conn_t *conn)
{
    ngx_queue_t                    *q;
    ngx_http_jelou_redis_cmd_t     *cmd;
    ngx_http_jelou_redis_target_t  *target;

    target = n->target;

    /* a handler may send the next command, which asks anew */

    ngx_queue_remove(&n->queue);

    while (!ngx_queue_empty(&n->waiting)) {

        q = ngx_queue_head(&n->waiting);
        cmd = ngx_queue_data(q, ngx_http_jelou_redis_cmd_t, queue);

        ngx_http_jelou_redis_cancel(cmd);

        if (conn == NULL
            || ngx_http_jelou_redis_follow(target, conn, cmd) != NGX_OK)
        {
            (void) cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_UNREACHABLE, NULL);
        }
    }

    ngx_free(n);
}
