
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
char *ngx_http_jelou_redis_set_db(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_redis_set_pending(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* The callbacks of the module's context */

ngx_int_t ngx_http_jelou_redis_postconfiguration(ngx_conf_t *cf);
void *ngx_http_jelou_redis_create_main_conf(ngx_conf_t *cf);
void *ngx_http_jelou_redis_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_jelou_redis_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


#endif /* _NGX_HTTP_JELOU_REDIS_CONF_H_INCLUDED_ */
