
/*
 * What stands around an endpoint in the configuration, and does not go with it.
 */


#include "ngx_http_jelou_lint.h"


#if (NGX_HTTP_CACHE)

static ngx_http_upstream_conf_t *ngx_http_jelou_lint_upstream(ngx_conf_t *cf,
    ngx_module_t *module);


/*
 * The configuration of another module is its own.  But its table of directives
 * says where this one's value is, which is a member of nginx's own structure.
 */

static ngx_str_t  ngx_http_jelou_cache_methods[] = {
    ngx_string("proxy_cache_methods"),
    ngx_string("fastcgi_cache_methods"),
    ngx_string("uwsgi_cache_methods"),
    ngx_string("scgi_cache_methods"),
    ngx_null_string
};


char *
ngx_http_jelou_lint_cache(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *jlcf)
{
    ngx_uint_t                 i;
    ngx_http_upstream_conf_t  *u;

    for (i = 0; cf->cycle->modules[i]; i++) {
        u = ngx_http_jelou_lint_upstream(cf, cf->cycle->modules[i]);

        /* of all modules, the one that this location passes requests to */

        if (u == NULL || u->upstream == NULL) {
            continue;
        }

        /* an event is a POST, which is not cached unless it is asked for */

        if (u->cache && (u->cache_methods & NGX_HTTP_POST)) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"jelou_endpoint %V\" takes answers to POST from a "
                          "cache, which deliver nothing, in %s:%ui",
                          &jlcf->schema.endpoint->name,
                          jlcf->endpoint_place.file,
                          jlcf->endpoint_place.line);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_http_upstream_conf_t *
ngx_http_jelou_lint_upstream(ngx_conf_t *cf, ngx_module_t *module)
{
    u_char               *conf;
    ngx_str_t            *name;
    ngx_command_t        *cmd;
    ngx_http_conf_ctx_t  *ctx;

    if (module->type != NGX_HTTP_MODULE || module->commands == NULL) {
        return NULL;
    }

    ctx = cf->ctx;
    conf = ctx->loc_conf[module->ctx_index];

    for (cmd = module->commands; cmd->name.len; cmd++) {

        if (cmd->set != ngx_conf_set_bitmask_slot) {
            continue;
        }

        for (name = ngx_http_jelou_cache_methods; name->len; name++) {

            if (cmd->name.len == name->len
                && ngx_memcmp(cmd->name.data, name->data, name->len) == 0)
            {
                return (ngx_http_upstream_conf_t *)
                       (conf + cmd->offset
                        - offsetof(ngx_http_upstream_conf_t, cache_methods));
            }
        }
    }

    return NULL;
}

#else

char *
ngx_http_jelou_lint_cache(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *jlcf)
{
    return NGX_CONF_OK;
}

#endif
