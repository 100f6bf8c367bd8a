
/*
 * The groups of servers: those of the configuration, and addresses that
 * variables have made.
 */


#include "ngx_http_jelou_redis_conn.h"


#define NGX_HTTP_JELOU_REDIS_PORT     6379

/* so many addresses a worker remembers: they are the operator's, not a
   sender's, who could fill the memory */

#define NGX_HTTP_JELOU_REDIS_NGROUPS  256


typedef struct {
    ngx_queue_t                    queue;
    ngx_http_upstream_srv_conf_t   uscf;
} ngx_http_jelou_redis_group_t;


static ngx_http_upstream_srv_conf_t *ngx_http_jelou_redis_group_add(
    ngx_http_jelou_redis_settings_t *settings, ngx_str_t *name);
static void ngx_http_jelou_redis_group_cleanup(void *data);
static ngx_int_t ngx_http_jelou_redis_group_init(
    ngx_http_jelou_redis_group_t *group, ngx_pool_t *pool, ngx_str_t *name,
    ngx_resolver_t *resolver);


ngx_http_upstream_srv_conf_t *
ngx_http_jelou_redis_group(ngx_http_jelou_redis_settings_t *settings,
    ngx_str_t *name)
{
    ngx_uint_t                       i;
    ngx_queue_t                     *q;
    ngx_http_jelou_redis_group_t    *group;
    ngx_http_upstream_srv_conf_t   **uscfp;
    ngx_http_upstream_main_conf_t   *umcf;

    umcf = settings->ctx->main_conf[ngx_http_upstream_module.ctx_index];
    uscfp = umcf->upstreams.elts;

    for (i = 0; i < umcf->upstreams.nelts; i++) {

        if (uscfp[i]->host.len == name->len
            && (uscfp[i]->flags & NGX_HTTP_UPSTREAM_CREATE)
            && ngx_strncasecmp(uscfp[i]->host.data, name->data, name->len)
               == 0)
        {
            return uscfp[i];
        }
    }

    for (q = ngx_queue_head(&settings->groups);
         q != ngx_queue_sentinel(&settings->groups);
         q = ngx_queue_next(q))
    {
        group = ngx_queue_data(q, ngx_http_jelou_redis_group_t, queue);

        if (ngx_http_jelou_same(&group->uscf.host, name)) {
            return &group->uscf;
        }
    }

    return ngx_http_jelou_redis_group_add(settings, name);
}


static ngx_http_upstream_srv_conf_t *
ngx_http_jelou_redis_group_add(ngx_http_jelou_redis_settings_t *settings,
    ngx_str_t *name)
{
    ngx_pool_t                    *pool;
    ngx_pool_cleanup_t            *cln;
    ngx_http_jelou_redis_group_t  *group;

    if (name->len == 0 || settings->ngroups == NGX_HTTP_JELOU_REDIS_NGROUPS) {
        return NULL;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    group = ngx_pcalloc(pool, sizeof(ngx_http_jelou_redis_group_t));

    cln = group && ngx_http_jelou_redis_group_init(group, pool, name,
                                                   settings->resolver)
                   == NGX_OK
          ? ngx_pool_cleanup_add(ngx_cycle->pool, 0) : NULL;

    if (cln == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    cln->handler = ngx_http_jelou_redis_group_cleanup;
    cln->data = pool;

    ngx_queue_insert_tail(&settings->groups, &group->queue);
    settings->ngroups++;

    return &group->uscf;
}


static void
ngx_http_jelou_redis_group_cleanup(void *data)
{
    ngx_destroy_pool(data);
}


/* One server, as "server ADDRESS;" in a group would have it; or a name. */

static ngx_int_t
ngx_http_jelou_redis_group_init(ngx_http_jelou_redis_group_t *group,
    ngx_pool_t *pool, ngx_str_t *name, ngx_resolver_t *resolver)
{
    ngx_url_t                    u;
    ngx_conf_t                   cf;
    ngx_array_t                 *servers;
    ngx_http_upstream_server_t  *server;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.len = name->len;
    u.url.data = ngx_pstrdup(pool, name);
    u.default_port = NGX_HTTP_JELOU_REDIS_PORT;
    u.no_resolve = 1;

    servers = ngx_array_create(pool, 1, sizeof(ngx_http_upstream_server_t));

    if (u.url.data == NULL || servers == NULL
        || ngx_parse_url(pool, &u) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (u.naddrs == 0) {

        /* a host name: its addresses are asked for when they are needed */

        group->uscf.host = u.url;
        group->uscf.port = u.port;

        return resolver && resolver->connections.nelts && u.host.len
               ? NGX_OK : NGX_ERROR;
    }

    server = ngx_array_push(servers);

    ngx_memzero(server, sizeof(ngx_http_upstream_server_t));

    server->name = u.url;
    server->addrs = u.addrs;
    server->naddrs = u.naddrs;
    server->weight = 1;

    group->uscf.host = u.url;
    group->uscf.servers = servers;

    ngx_memzero(&cf, sizeof(ngx_conf_t));

    cf.pool = pool;
    cf.log = ngx_cycle->log;

    return ngx_http_upstream_init_round_robin(&cf, &group->uscf);
}
