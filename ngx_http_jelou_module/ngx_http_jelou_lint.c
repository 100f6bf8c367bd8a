
/*
 * What stands around an endpoint in the configuration, and does not go with it.
 */


#include "ngx_http_jelou_lint.h"
#include "ngx_http_jelou_text.h"


static void ngx_http_jelou_lint_pages(ngx_conf_t *cf,
    ngx_http_jelou_endpoint_at_t *at);
static void ngx_http_jelou_lint_page(ngx_conf_t *cf,
    ngx_http_jelou_endpoint_at_t *at, ngx_str_t *uri);
static ngx_http_core_loc_conf_t *ngx_http_jelou_lint_find(
    ngx_http_core_srv_conf_t *server, ngx_str_t *uri);
static ngx_http_core_loc_conf_t *ngx_http_jelou_lint_find_static(
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri);


/*
 * The configuration of another module is its own.  But its table of directives
 * says where a value is, of a type that the function says which sets it; and
 * the first of these directives, where nginx's own structure is.
 */

static ngx_str_t  ngx_http_jelou_lint_timeouts[] = {
    ngx_string("proxy_connect_timeout"),
    ngx_string("fastcgi_connect_timeout"),
    ngx_string("uwsgi_connect_timeout"),
    ngx_string("scgi_connect_timeout"),
    ngx_string("grpc_connect_timeout"),
    ngx_null_string
};


ngx_http_upstream_conf_t *
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

        if (cmd->set != ngx_conf_set_msec_slot) {
            continue;
        }

        for (name = ngx_http_jelou_lint_timeouts; name->len; name++) {

            if (ngx_http_jelou_same(&cmd->name, name)) {
                return (ngx_http_upstream_conf_t *)
                       (conf + cmd->offset
                        - offsetof(ngx_http_upstream_conf_t, connect_timeout));
            }
        }
    }

    return NULL;
}


char *
ngx_http_jelou_lint_cache(ngx_conf_t *cf, const char *directive,
    ngx_http_jelou_place_t *place)
{
#if (NGX_HTTP_CACHE)
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
                          "\"%s\" takes answers to POST from a cache, which "
                          "deliver nothing, in %s:%ui",
                          directive, place->file, place->line);
            return NGX_CONF_ERROR;
        }
    }

#endif

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_jelou_lint_add(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t      *clcf;
    ngx_http_jelou_main_conf_t    *jmcf;
    ngx_http_jelou_endpoint_at_t  *at;

    jmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* an "if" has the error pages of its location */

    if (clcf->noname) {
        return NGX_OK;
    }

    at = ngx_array_push(&jmcf->endpoints);
    if (at == NULL) {
        return NGX_ERROR;
    }

    at->server = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);
    at->location = clcf;

    return NGX_OK;
}


void
ngx_http_jelou_lint_endpoints(ngx_conf_t *cf)
{
    ngx_uint_t                     i;
    ngx_http_jelou_main_conf_t    *jmcf;
    ngx_http_jelou_endpoint_at_t  *at;

    jmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_module);

    at = jmcf->endpoints.elts;

    for (i = 0; i < jmcf->endpoints.nelts; i++) {
        ngx_http_jelou_lint_pages(cf, &at[i]);
        ngx_http_jelou_lint_open(cf, &at[i]);
    }
}


static void
ngx_http_jelou_lint_pages(ngx_conf_t *cf, ngx_http_jelou_endpoint_at_t *at)
{
    ngx_uint_t            n;
    ngx_array_t          *pages;
    ngx_http_err_page_t  *page;

    pages = at->location->error_pages;

    if (pages == NULL) {
        return;
    }

    page = pages->elts;

    for (n = 0; n < pages->nelts; n++) {

        /* without "=", whatever the page answers is an error */

        if (page[n].overwrite == -1 || page[n].value.lengths) {
            continue;
        }

        /* a page that is for several statuses */

        if (n && page[n].value.value.data == page[n - 1].value.value.data) {
            continue;
        }

        ngx_http_jelou_lint_page(cf, at, &page[n].value.value);
    }
}


/*
 * What is refused before it has been verified (by limit_req, for instance) has
 * its body when it gets to the page.
 */

static void
ngx_http_jelou_lint_page(ngx_conf_t *cf, ngx_http_jelou_endpoint_at_t *at,
    ngx_str_t *uri)
{
    ngx_http_core_loc_conf_t   *target;
    ngx_http_jelou_loc_conf_t  *jlcf, *tjlcf;

    target = ngx_http_jelou_lint_find(at->server, uri);

    if (target == NULL || target->handler == NULL) {
        return;
    }

    jlcf = at->location->loc_conf[ngx_http_jelou_module.ctx_index];
    tjlcf = target->loc_conf[ngx_http_jelou_module.ctx_index];

    if ((tjlcf->schema.endpoint && (!tjlcf->secret_off || jlcf->secret_off))
        || tjlcf->status != NGX_CONF_UNSET_UINT)
    {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                  "\"error_page\" of \"jelou_endpoint %V\" leads with \"=\" to "
                  "\"%V\", which passes requests on and is no %sendpoint: it "
                  "may get what is not verified, and its success is the "
                  "sender's, in %s:%ui",
                  &jlcf->schema.endpoint->name, uri,
                  tjlcf->schema.endpoint ? "signed " : "",
                  jlcf->endpoint_place.file, jlcf->endpoint_place.line);
}


/* The location, if it is certain: regular expressions are not tried. */

static ngx_http_core_loc_conf_t *
ngx_http_jelou_lint_find(ngx_http_core_srv_conf_t *server, ngx_str_t *uri)
{
    ngx_http_core_loc_conf_t  **named;

    if (uri->len && uri->data[0] == '@') {

        for (named = server->named_locations; named && *named; named++) {

            if (ngx_http_jelou_same(&(*named)->name, uri)) {
                return *named;
            }
        }

        return NULL;
    }

    return ngx_http_jelou_lint_find_static(
               server->ctx->loc_conf[ngx_http_core_module.ctx_index], uri);
}


/* As nginx finds it, in a tree of trees, where the name is all of the URI. */

static ngx_http_core_loc_conf_t *
ngx_http_jelou_lint_find_static(ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri)
{
    size_t                          len, n;
    u_char                         *name;
    ngx_int_t                       rc;
    ngx_http_location_tree_node_t  *node;

    name = uri->data;
    len = uri->len;

    node = clcf->static_locations;

    while (node) {
        n = node->len;

        rc = ngx_filename_cmp(name, node->name, ngx_min(len, n));

        if (rc == 0 && len == n) {
            break;
        }

        if (rc == 0 && len > n && node->inclusive) {
            node = node->tree;
            name += n;
            len -= n;

        } else if (rc > 0 || (rc == 0 && len > n)) {
            node = node->right;

        } else {
            node = node->left;
        }
    }

    if (node == NULL || node->exact) {
        return node ? node->exact : NULL;
    }

#if (NGX_PCRE)

    if (clcf->regex_locations && !node->inclusive->noregex) {
        return NULL;
    }

#endif

    return node->inclusive;
}
