
/*
 * The way through a group, from one server to the next one.
 *
 * The group's own peer.get() and peer.free() are asked, for one server after
 * the other, as nginx's upstream does it; that is a walk.  They want a request
 * of HTTP, which a walk has one of its own of: an event's may end before.
 * What a server answers to commands is never said to peer.free(), only whether
 * it could be connected to, and has answered what is sent first.
 */


#include "ngx_http_jelou_redis_conn.h"


static void ngx_http_jelou_redis_walk_resolved(void *data,
    ngx_resolver_addr_t *addrs, ngx_uint_t naddrs);
static ngx_http_request_t *ngx_http_jelou_redis_walk_request(
    ngx_http_jelou_redis_target_t *target, ngx_pool_t *pool);
static ngx_int_t ngx_http_jelou_redis_walk_lists(ngx_http_request_t *r,
    ngx_http_upstream_t *u);


/* The next server: NGX_DECLINED if there is none any more. */

ngx_int_t
ngx_http_jelou_redis_walk(ngx_http_jelou_redis_target_t *target)
{
    ngx_int_t                     rc;
    ngx_peer_connection_t        *pc;
    ngx_http_jelou_redis_conn_t  *conn;

    if (target->walk == NULL
        && ngx_http_jelou_redis_walk_begin(target, NULL) != NGX_OK)
    {
        return NGX_ERROR;
    }

    pc = &target->walk->upstream->peer;

    while (pc->tries) {

        rc = pc->get(pc, pc->data);

        if (rc != NGX_OK) {

            if (target->result == NGX_HTTP_JELOU_REDIS_REPLIED) {
                (void) ngx_http_jelou_redis_log(target, pc->name, &target->log,
                                                0, "no live redis", NULL);
            }

            return NGX_DECLINED;
        }

        conn = ngx_http_jelou_redis_find(target, pc->sockaddr, pc->socklen);

        if (conn && !conn->ready) {
            target->candidate = conn;
            return NGX_OK;
        }

        if (conn) {
            pc->free(pc, pc->data, 0);

            if (conn->refused != target->serial) {
                ngx_http_jelou_redis_target_current(target, conn);
                return NGX_OK;
            }

            continue;
        }

        conn = ngx_http_jelou_redis_conn_open(target, pc->sockaddr,
                                              pc->socklen, pc->name);
        if (conn) {
            target->candidate = conn;
            return NGX_OK;
        }

        target->result = NGX_HTTP_JELOU_REDIS_UNREACHABLE;
        pc->free(pc, pc->data, NGX_PEER_FAILED);
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_jelou_redis_walk_begin(ngx_http_jelou_redis_target_t *target,
    ngx_http_upstream_resolved_t *resolved)
{
    ngx_int_t            rc;
    ngx_pool_t          *pool;
    ngx_http_request_t  *r;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, &target->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    r = ngx_http_jelou_redis_walk_request(target, pool);

    if (r == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    rc = resolved ? ngx_http_upstream_create_round_robin_peer(r, resolved)
                  : target->uscf->peer.init(r, target->uscf);

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    target->walk = r;
    target->serial++;
    target->nservers = r->upstream->peer.tries;
    target->result = NGX_HTTP_JELOU_REDIS_REPLIED;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_redis_walk_resolve(ngx_http_jelou_redis_target_t *target)
{
    u_char     *colon;
    ngx_int_t   rc;
    ngx_str_t   host;

    if (target->resolving) {
        return NGX_OK;
    }

    host = target->uscf->host;

    colon = ngx_strlchr(host.data, host.data + host.len, ':');

    if (colon) {
        host.len = colon - host.data;
    }

    /* the handler may be called from within */

    target->resolving = 1;

    rc = ngx_http_jelou_redis_resolve(target, &host,
                                      ngx_http_jelou_redis_walk_resolved,
                                      target);
    if (rc != NGX_OK) {
        target->resolving = 0;
        target->result = NGX_HTTP_JELOU_REDIS_UNREACHABLE;
    }

    return rc;
}


static void
ngx_http_jelou_redis_walk_resolved(void *data, ngx_resolver_addr_t *addrs,
    ngx_uint_t naddrs)
{
    ngx_http_jelou_redis_target_t *target = data;

    ngx_http_upstream_resolved_t  resolved;

    target->resolving = 0;

    ngx_memzero(&resolved, sizeof(ngx_http_upstream_resolved_t));

    resolved.host = target->uscf->host;
    resolved.port = target->uscf->port;
    resolved.addrs = addrs;
    resolved.naddrs = naddrs;

    if (naddrs == 0) {
        target->result = NGX_HTTP_JELOU_REDIS_UNREACHABLE;

    } else if (ngx_http_jelou_redis_walk_begin(target, &resolved) == NGX_OK
               && ngx_http_jelou_redis_walk(target) == NGX_OK)
    {
        return;
    }

    ngx_http_jelou_redis_target_fail(target);
}


/* What nginx's balancers look at in a request: nobody has sent it. */

static ngx_http_request_t *
ngx_http_jelou_redis_walk_request(ngx_http_jelou_redis_target_t *target,
    ngx_pool_t *pool)
{
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_conf_ctx_t  *ctx;
    ngx_http_upstream_t  *u;

    static struct sockaddr  sockaddr;

    ctx = target->settings->ctx;

    r = ngx_pcalloc(pool, sizeof(ngx_http_request_t));
    c = ngx_pcalloc(pool, sizeof(ngx_connection_t));
    u = ngx_pcalloc(pool, sizeof(ngx_http_upstream_t));

    if (r == NULL || c == NULL || u == NULL) {
        return NULL;
    }

    c->fd = (ngx_socket_t) -1;
    c->pool = pool;
    c->log = &target->log;
    c->sockaddr = &sockaddr;
    c->socklen = sizeof(sockaddr);
    c->data = r;

    u->upstream = target->uscf;
    u->peer.log = &target->log;

    r->signature = NGX_HTTP_MODULE;
    r->connection = c;
    r->pool = pool;
    r->main = r;
    r->count = 1;
    r->upstream = u;
    r->main_conf = ctx->main_conf;
    r->srv_conf = ctx->srv_conf;
    r->loc_conf = ctx->loc_conf;

    return ngx_http_jelou_redis_walk_lists(r, u) == NGX_OK ? r : NULL;
}


static ngx_int_t
ngx_http_jelou_redis_walk_lists(ngx_http_request_t *r, ngx_http_upstream_t *u)
{
    ngx_pool_t                 *pool;
    ngx_http_core_main_conf_t  *cmcf;

    pool = r->pool;
    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    u->state = ngx_pcalloc(pool, sizeof(ngx_http_upstream_state_t));
    u->conf = ngx_pcalloc(pool, sizeof(ngx_http_upstream_conf_t));

    r->ctx = ngx_pcalloc(pool, sizeof(void *) * ngx_http_max_module);
    r->variables = ngx_pcalloc(pool, (cmcf->variables.nelts + 1)
                                     * sizeof(ngx_http_variable_value_t));

    if (u->state == NULL || u->conf == NULL || r->ctx == NULL
        || r->variables == NULL
        || ngx_list_init(&r->headers_in.headers, pool, 1,
                         sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_list_init(&r->headers_out.headers, pool, 1,
                         sizeof(ngx_table_elt_t));
}


void
ngx_http_jelou_redis_walk_end(ngx_http_jelou_redis_target_t *target)
{
    if (target->walk) {
        ngx_destroy_pool(target->walk->pool);
        target->walk = NULL;
    }
}
