
/*
 * What stands in the way of an event that nginx signs, from an application that
 * does not: who can send it, and what changes it afterwards.
 */


#include "ngx_http_jelou_lint.h"
#include "ngx_http_jelou_text.h"


typedef struct {
    ngx_str_t      name;
    char        *(*set)(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
    ngx_uint_t   (*changes)(void *value);
} ngx_http_jelou_change_t;


static ngx_str_t *ngx_http_jelou_lint_changes(ngx_conf_t *cf,
    ngx_module_t *module);
static ngx_uint_t ngx_http_jelou_lint_is_off(void *value);
static ngx_uint_t ngx_http_jelou_lint_is_set(void *value);
static ngx_uint_t ngx_http_jelou_lint_signs(void *value);
static ngx_str_t *ngx_http_jelou_lint_listens(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *server);
static ngx_uint_t ngx_http_jelou_lint_serves(ngx_http_conf_addr_t *addr,
    ngx_http_core_srv_conf_t *server);
static ngx_uint_t ngx_http_jelou_lint_local(struct sockaddr *sockaddr);


#define ngx_http_jelou_lint_flag(name)                                        \
    { ngx_string(name), ngx_conf_set_flag_slot, ngx_http_jelou_lint_is_off }

#define ngx_http_jelou_lint_header(name)                                      \
    { ngx_string(name), ngx_conf_set_keyval_slot, ngx_http_jelou_lint_signs }


static ngx_http_jelou_change_t  ngx_http_jelou_lint_table[] = {
    ngx_http_jelou_lint_flag("proxy_pass_request_body"),
    ngx_http_jelou_lint_flag("proxy_pass_request_headers"),
    ngx_http_jelou_lint_flag("fastcgi_pass_request_body"),
    ngx_http_jelou_lint_flag("fastcgi_pass_request_headers"),
    ngx_http_jelou_lint_flag("uwsgi_pass_request_body"),
    ngx_http_jelou_lint_flag("uwsgi_pass_request_headers"),
    ngx_http_jelou_lint_flag("scgi_pass_request_body"),
    ngx_http_jelou_lint_flag("scgi_pass_request_headers"),
    ngx_http_jelou_lint_header("proxy_set_header"),
    ngx_http_jelou_lint_header("grpc_set_header"),
    { ngx_string("proxy_set_body"), ngx_conf_set_str_slot,
      ngx_http_jelou_lint_is_set },
    { ngx_null_string, NULL, NULL }
};


char *
ngx_http_jelou_lint_send(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *jlcf)
{
    ngx_str_t                 *name;
    ngx_uint_t                 i, known;
    ngx_module_t             **module;
    ngx_http_upstream_conf_t  *u;

    if (jlcf->upstream_secrets == NULL || jlcf->next == NULL) {
        return NGX_CONF_OK;
    }

    module = cf->cycle->modules;
    known = 0;

    for (i = 0; module[i]; i++) {
        u = ngx_http_jelou_lint_upstream(cf, module[i]);
        known |= (u && u->upstream);
    }

    for (i = 0; module[i]; i++) {
        u = ngx_http_jelou_lint_upstream(cf, module[i]);

        /*
         * of all modules, the one that this location passes requests to; an
         * address with variables is none, and then it may be any of them
         */

        if (u == NULL || (known && u->upstream == NULL)) {
            continue;
        }

        name = ngx_http_jelou_lint_changes(cf, module[i]);

        if (name) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"%V\" changes what \"jelou_endpoint %V\" has "
                          "signed for the upstream, in %s:%ui",
                          name, &jlcf->schema.endpoint->name,
                          jlcf->endpoint_place.file,
                          jlcf->endpoint_place.line);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* The directive that changes what is sent, or NULL. */

static ngx_str_t *
ngx_http_jelou_lint_changes(ngx_conf_t *cf, ngx_module_t *module)
{
    u_char                   *conf;
    ngx_command_t            *cmd;
    ngx_http_conf_ctx_t      *ctx;
    ngx_http_jelou_change_t  *change;

    ctx = cf->ctx;
    conf = ctx->loc_conf[module->ctx_index];

    for (cmd = module->commands; cmd->name.len; cmd++) {

        for (change = ngx_http_jelou_lint_table; change->set; change++) {

            if (cmd->set == change->set
                && ngx_http_jelou_same(&cmd->name, &change->name)
                && change->changes(conf + cmd->offset))
            {
                return &change->name;
            }
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_jelou_lint_is_off(void *value)
{
    ngx_flag_t *flag = value;

    return *flag == 0;
}


static ngx_uint_t
ngx_http_jelou_lint_is_set(void *value)
{
    ngx_str_t *string = value;

    return string->data != NULL;
}


/* A header that takes the place of the signature, and is not the same. */

static ngx_uint_t
ngx_http_jelou_lint_signs(void *value)
{
    ngx_uint_t     i;
    ngx_array_t   *headers;
    ngx_keyval_t  *header;

    static ngx_str_t  name = ngx_string("X-Jelou-Signature");
    static ngx_str_t  same = ngx_string("$http_x_jelou_signature");

    headers = *(ngx_array_t **) value;

    if (headers == NULL || headers == NGX_CONF_UNSET_PTR) {
        return 0;
    }

    header = headers->elts;

    for (i = 0; i < headers->nelts; i++) {

        if (header[i].key.len == name.len
            && ngx_strncasecmp(header[i].key.data, name.data, name.len) == 0
            && (header[i].value.len != same.len
                || ngx_strncasecmp(header[i].value.data, same.data, same.len)
                   != 0))
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_jelou_lint_open(ngx_conf_t *cf, ngx_http_jelou_endpoint_at_t *at)
{
    ngx_str_t                  *address;
    ngx_http_jelou_loc_conf_t  *jlcf;

    jlcf = at->location->loc_conf[ngx_http_jelou_module.ctx_index];

    if (!jlcf->secret_off || jlcf->access == NGX_HTTP_JELOU_ACCESS_ELSEWHERE) {
        return;
    }

    address = ngx_http_jelou_lint_listens(cf, at->server);

    if (address) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"jelou_endpoint %V\" takes unsigned events, and its "
                      "server listens on %V, beyond this machine: say "
                      "\"jelou_access elsewhere\" if something else checks "
                      "who may send, see \"jelou_secret off\" in %s:%ui",
                      &jlcf->schema.endpoint->name, address,
                      jlcf->secret_place.file, jlcf->secret_place.line);
    }
}


/* An address of the server that others than this machine can reach, or NULL. */

static ngx_str_t *
ngx_http_jelou_lint_listens(ngx_conf_t *cf, ngx_http_core_srv_conf_t *server)
{
    ngx_uint_t                  i, n;
    ngx_http_conf_addr_t       *addr;
    ngx_http_conf_port_t       *port;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {
        addr = port[i].addrs.elts;

        for (n = 0; n < port[i].addrs.nelts; n++) {

            if (ngx_http_jelou_lint_serves(&addr[n], server)
                && !ngx_http_jelou_lint_local(addr[n].opt.sockaddr))
            {
                return &addr[n].opt.addr_text;
            }
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_jelou_lint_serves(ngx_http_conf_addr_t *addr,
    ngx_http_core_srv_conf_t *server)
{
    ngx_uint_t                  i;
    ngx_http_core_srv_conf_t  **servers;

    servers = addr->servers.elts;

    for (i = 0; i < addr->servers.nelts; i++) {
        if (servers[i] == server) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_jelou_lint_local(struct sockaddr *sockaddr)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sockaddr;

        return (ntohl(sin->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;

#if (NGX_HAVE_INET6)

    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sockaddr;

        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);

#endif

    default: /* AF_UNIX */
        return 1;
    }
}
