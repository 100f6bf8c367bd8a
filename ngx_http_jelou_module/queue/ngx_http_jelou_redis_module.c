
/*
 * The module of the queue, and the table of its directives.  In a build
 * without hiredis, each of them says why it is not there.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#if (NGX_HTTP_JELOU_HIREDIS)

#include "ngx_http_jelou_redis_conf.h"
#include "ngx_http_jelou_queue_status.h"

#define ngx_http_jelou_redis_directive(name, type, set, offset)               \
    { ngx_string(name), type, set, NGX_HTTP_LOC_CONF_OFFSET, offset, NULL }

#define ngx_http_jelou_redis_at(field)                                        \
    offsetof(ngx_http_jelou_redis_loc_conf_t, field)

#else

static char *ngx_http_jelou_redis_none(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

#define ngx_http_jelou_redis_directive(name, type, set, offset)               \
    { ngx_string(name),                                                       \
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_ANY,    \
      ngx_http_jelou_redis_none, 0, 0, NULL }

#endif


#define NGX_HTTP_JELOU_REDIS_ANYWHERE                                         \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)

#define ngx_http_jelou_redis_gone(name, instead)                              \
    { ngx_string(name), NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_ANY,           \
      ngx_http_jelou_redis_refuse, 0, 0, instead }


static char *ngx_http_jelou_redis_refuse(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_jelou_redis_commands[] = {

    ngx_http_jelou_redis_directive("jelou_redis_pass",
        NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
        ngx_http_jelou_redis_set_pass, 0),

    ngx_http_jelou_redis_directive("jelou_redis_stream",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE12,
        ngx_http_jelou_redis_set_stream, 0),

    ngx_http_jelou_redis_directive("jelou_redis_dedup",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE12,
        ngx_http_jelou_redis_set_dedup, 0),

    ngx_http_jelou_redis_directive("jelou_redis_auth_file",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_http_jelou_redis_set_auth_file, ngx_http_jelou_redis_at(auth)),

    ngx_http_jelou_redis_directive("jelou_redis_db",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_http_jelou_redis_set_number, ngx_http_jelou_redis_at(db)),

    ngx_http_jelou_redis_directive("jelou_redis_pending",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_http_jelou_redis_set_number,
        ngx_http_jelou_redis_at(pending)),

    ngx_http_jelou_redis_directive("jelou_redis_sentinel",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ngx_http_jelou_redis_at(sentinel)),

    ngx_http_jelou_redis_directive("jelou_redis_sentinel_auth_file",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_http_jelou_redis_set_auth_file,
        ngx_http_jelou_redis_at(sentinel_auth)),

    ngx_http_jelou_redis_directive("jelou_redis_connect_timeout",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot, ngx_http_jelou_redis_at(connect_timeout)),

    ngx_http_jelou_redis_directive("jelou_redis_read_timeout",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_msec_slot, ngx_http_jelou_redis_at(read_timeout)),

#if (NGX_HTTP_SSL)

    ngx_http_jelou_redis_directive("jelou_redis_ssl",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, ngx_http_jelou_redis_at(ssl)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_session_reuse",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, ngx_http_jelou_redis_at(ssl_session_reuse)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_protocols",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_1MORE,
        ngx_http_jelou_redis_set_ssl_protocols, 0),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_ciphers",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ngx_http_jelou_redis_at(ssl_ciphers)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_name",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ngx_http_jelou_redis_at(ssl_name)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_server_name",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, ngx_http_jelou_redis_at(ssl_server_name)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_verify",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_FLAG,
        ngx_conf_set_flag_slot, ngx_http_jelou_redis_at(ssl_verify)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_verify_depth",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_num_slot, ngx_http_jelou_redis_at(ssl_verify_depth)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_trusted_certificate",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_str_slot,
        ngx_http_jelou_redis_at(ssl_trusted_certificate)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_crl",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ngx_http_jelou_redis_at(ssl_crl)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_certificate",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ngx_http_jelou_redis_at(ssl_certificate)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_certificate_key",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_conf_set_str_slot, ngx_http_jelou_redis_at(ssl_certificate_key)),

    ngx_http_jelou_redis_directive("jelou_redis_ssl_password_file",
        NGX_HTTP_JELOU_REDIS_ANYWHERE|NGX_CONF_TAKE1,
        ngx_http_jelou_redis_set_ssl_password_file, 0),

#endif

    /* those of versions that had one connection for each event */

    ngx_http_jelou_redis_gone("jelou_redis_send_timeout",
        "the time of \"jelou_redis_read_timeout\" begins when a command is "
        "written"),

    ngx_http_jelou_redis_gone("jelou_redis_buffer_size",
        "replies are short, remove it"),

    ngx_http_jelou_redis_gone("jelou_redis_next_upstream",
        "a server that refuses an event for all is always followed by the "
        "next one, remove it"),

    ngx_http_jelou_redis_gone("jelou_redis_next_upstream_tries",
        "each server of the group is asked once, remove it"),

    ngx_http_jelou_redis_gone("jelou_redis_next_upstream_timeout",
        "use \"jelou_redis_connect_timeout\" and "
        "\"jelou_redis_read_timeout\""),

    ngx_null_command
};


static ngx_http_module_t  ngx_http_jelou_redis_module_ctx = {
    NULL,                                  /* preconfiguration */

#if (NGX_HTTP_JELOU_HIREDIS)
    ngx_http_jelou_redis_postconfiguration, /* postconfiguration */

    ngx_http_jelou_redis_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_jelou_redis_create_loc_conf,  /* create location configuration */
    ngx_http_jelou_redis_merge_loc_conf    /* merge location configuration */
#else
    NULL, NULL, NULL, NULL, NULL, NULL, NULL
#endif
};


ngx_module_t  ngx_http_jelou_redis_module = {
    NGX_MODULE_V1,
    &ngx_http_jelou_redis_module_ctx,      /* module context */
    ngx_http_jelou_redis_commands,         /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
#if (NGX_HTTP_JELOU_HIREDIS)
    ngx_http_jelou_queue_init_process,     /* init process */
#else
    NULL,                                  /* init process */
#endif
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_jelou_redis_refuse(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is no longer there: %s", &cmd->name,
                       (char *) cmd->post);

    return NGX_CONF_ERROR;
}


#if !(NGX_HTTP_JELOU_HIREDIS)

static char *
ngx_http_jelou_redis_none(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" needs a build with the hiredis library, which "
                       "was not there when nginx was configured", &cmd->name);

    return NGX_CONF_ERROR;
}

#endif
