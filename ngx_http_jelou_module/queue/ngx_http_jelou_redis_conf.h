
/*
 * The directives of the queue: what each sets, and what they become.
 */


#ifndef _NGX_HTTP_JELOU_REDIS_CONF_H_INCLUDED_
#define _NGX_HTTP_JELOU_REDIS_CONF_H_INCLUDED_


#include "ngx_http_jelou_redis.h"


/* The setters of the directives that have one of their own */

char *ngx_http_jelou_redis_set_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_redis_set_stream(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_redis_set_dedup(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_redis_set_auth_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_redis_set_number(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* Logs what a value is not, and returns NGX_CONF_ERROR. */
char *ngx_http_jelou_redis_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *what, ngx_str_t *value);

#if (NGX_HTTP_SSL)

char *ngx_http_jelou_redis_set_ssl_protocols(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_jelou_redis_set_ssl_password_file(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* What the directives of TLS have in common with each other */

void ngx_http_jelou_redis_ssl_unset(ngx_http_jelou_redis_loc_conf_t *conf);
char *ngx_http_jelou_redis_ssl_merge(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *prev,
    ngx_http_jelou_redis_loc_conf_t *conf);
ngx_uint_t ngx_http_jelou_redis_ssl_alike(
    ngx_http_jelou_redis_loc_conf_t *one,
    ngx_http_jelou_redis_loc_conf_t *two);

/* Makes the context of TLS.  Returns NGX_OK, or NGX_ERROR with a log line. */
ngx_int_t ngx_http_jelou_redis_ssl_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_settings_t *settings,
    ngx_http_jelou_redis_loc_conf_t *conf);

#endif

/* The callbacks of the module's context */

ngx_int_t ngx_http_jelou_redis_postconfiguration(ngx_conf_t *cf);
void *ngx_http_jelou_redis_create_main_conf(ngx_conf_t *cf);
void *ngx_http_jelou_redis_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_jelou_redis_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


#endif /* _NGX_HTTP_JELOU_REDIS_CONF_H_INCLUDED_ */
