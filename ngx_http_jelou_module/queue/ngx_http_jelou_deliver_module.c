
/*
 * The module of the deliverer, and the table of its directives.  In a build
 * without hiredis, each of them says why it is not there.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#if (NGX_HTTP_JELOU_HIREDIS)

#include "ngx_http_jelou_deliver_conf.h"

#define ngx_http_jelou_deliver_directive(name, type, set, offset, post)       \
    { ngx_string(name), type, set, NGX_HTTP_LOC_CONF_OFFSET, offset, post }

#define ngx_http_jelou_deliver_at(field)                                      \
    offsetof(ngx_http_jelou_deliver_loc_conf_t, field)

#else

static char *ngx_http_jelou_deliver_none(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

#define ngx_http_jelou_deliver_directive(name, type, set, offset, post)       \
    { ngx_string(name),                                                       \
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_ANY,    \
      ngx_http_jelou_deliver_none, 0, 0, NULL }

#endif


#define NGX_HTTP_JELOU_DELIVER_ANYWHERE                                       \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)


static ngx_command_t  ngx_http_jelou_deliver_commands[] = {

    ngx_http_jelou_deliver_directive("jelou_deliver",
        NGX_HTTP_LOC_CONF|NGX_CONF_2MORE,
        ngx_http_jelou_deliver_set, 0, NULL),

    ngx_http_jelou_deliver_directive("jelou_deliver_order",
        NGX_HTTP_JELOU_DELIVER_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_enum_slot, ngx_http_jelou_deliver_at(order),
        &ngx_http_jelou_deliver_orders),

    ngx_http_jelou_deliver_directive("jelou_deliver_parallel",
        NGX_HTTP_JELOU_DELIVER_ANYWHERE|NGX_CONF_TAKE1,
        ngx_http_jelou_deliver_set_number,
        ngx_http_jelou_deliver_at(parallel), NULL),

    ngx_http_jelou_deliver_directive("jelou_deliver_window",
        NGX_HTTP_JELOU_DELIVER_ANYWHERE|NGX_CONF_TAKE1,
        ngx_http_jelou_deliver_set_number,
        ngx_http_jelou_deliver_at(window), NULL),

    ngx_http_jelou_deliver_directive("jelou_deliver_retry",
        NGX_HTTP_JELOU_DELIVER_ANYWHERE|NGX_CONF_TAKE123,
        ngx_http_jelou_deliver_set_retry, 0, NULL),

    ngx_http_jelou_deliver_directive("jelou_deliver_dead",
        NGX_HTTP_JELOU_DELIVER_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ngx_http_jelou_deliver_at(dead), NULL),

    ngx_http_jelou_deliver_directive("jelou_deliver_delete",
        NGX_HTTP_JELOU_DELIVER_ANYWHERE|NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, ngx_http_jelou_deliver_at(remove), NULL),

    ngx_null_command
};


static ngx_http_module_t  ngx_http_jelou_deliver_module_ctx = {

#if (NGX_HTTP_JELOU_HIREDIS)
    ngx_http_jelou_deliver_variables_add,  /* preconfiguration */
    ngx_http_jelou_deliver_postconfiguration, /* postconfiguration */

    ngx_http_jelou_deliver_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_jelou_deliver_create_loc_conf, /* create location configuration */
    ngx_http_jelou_deliver_merge_loc_conf  /* merge location configuration */
#else
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
#endif
};


ngx_module_t  ngx_http_jelou_deliver_module = {
    NGX_MODULE_V1,
    &ngx_http_jelou_deliver_module_ctx,    /* module context */
    ngx_http_jelou_deliver_commands,       /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
#if (NGX_HTTP_JELOU_HIREDIS)
    ngx_http_jelou_deliver_init_process,   /* init process */
#else
    NULL,                                  /* init process */
#endif
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
#if (NGX_HTTP_JELOU_HIREDIS)
    ngx_http_jelou_deliver_request_exit,   /* exit process */
#else
    NULL,                                  /* exit process */
#endif
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


#if !(NGX_HTTP_JELOU_HIREDIS)

static char *
ngx_http_jelou_deliver_none(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" needs a build with the hiredis library, which "
                       "was not there when nginx was configured", &cmd->name);

    return NGX_CONF_ERROR;
}

#endif
