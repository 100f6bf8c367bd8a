
/*
 * The directives of the queue in a build without hiredis: each says why it is
 * not there.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


static char *ngx_http_jelou_redis_none(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#define ngx_http_jelou_redis_no(name)                                         \
    { ngx_string(name),                                                       \
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_ANY,    \
      ngx_http_jelou_redis_none, 0, 0, NULL }


static ngx_command_t  ngx_http_jelou_redis_commands[] = {
    ngx_http_jelou_redis_no("jelou_redis_pass"),
    ngx_http_jelou_redis_no("jelou_redis_stream"),
    ngx_http_jelou_redis_no("jelou_redis_dedup"),
    ngx_http_jelou_redis_no("jelou_redis_auth_file"),
    ngx_http_jelou_redis_no("jelou_redis_db"),
    ngx_http_jelou_redis_no("jelou_redis_connect_timeout"),
    ngx_http_jelou_redis_no("jelou_redis_send_timeout"),
    ngx_http_jelou_redis_no("jelou_redis_read_timeout"),
    ngx_http_jelou_redis_no("jelou_redis_buffer_size"),
    ngx_http_jelou_redis_no("jelou_redis_next_upstream"),
    ngx_http_jelou_redis_no("jelou_redis_next_upstream_tries"),
    ngx_http_jelou_redis_no("jelou_redis_next_upstream_timeout"),
    ngx_null_command
};


static ngx_http_module_t  ngx_http_jelou_redis_module_ctx = {
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
};


ngx_module_t  ngx_http_jelou_redis_module = {
    NGX_MODULE_V1,
    &ngx_http_jelou_redis_module_ctx,      /* module context */
    ngx_http_jelou_redis_commands,         /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_jelou_redis_none(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" needs a build with the hiredis library, which "
                       "was not there when nginx was configured", &cmd->name);

    return NGX_CONF_ERROR;
}
