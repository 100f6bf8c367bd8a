
/*
 * The directives' functions, which the table in ngx_http_jelou_module.c names.
 * Each returns NGX_CONF_OK, or a text or NGX_CONF_ERROR as nginx wants it.  And
 * what a location takes over afterwards.
 */


#ifndef _NGX_HTTP_JELOU_CONF_H_INCLUDED_
#define _NGX_HTTP_JELOU_CONF_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/* the most that any time may be set to */

#define NGX_HTTP_JELOU_DAYS      365
#define NGX_HTTP_JELOU_TIME_MAX  (NGX_HTTP_JELOU_DAYS * 24 * 60 * 60)
#define NGX_HTTP_JELOU_TOO_LONG                                               \
    "takes no time of more than " ngx_value(NGX_HTTP_JELOU_DAYS) " days"


char *ngx_http_jelou_set_endpoint(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_secret_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_upstream_secret(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_jelou_set_upstream_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_status_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_dedup(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_types(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_schemes(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_tolerance(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_enum(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_set_fixed(ngx_conf_t *cf, void *post, void *data);
char *ngx_http_jelou_check_dedup_wait(ngx_conf_t *cf, void *post,
    void *data);

/*
 * The module's merge_loc_conf.  Returns NGX_CONF_OK, or NGX_CONF_ERROR with a
 * log line that names the directive and its place.
 */
char *ngx_http_jelou_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


#endif /* _NGX_HTTP_JELOU_CONF_H_INCLUDED_ */
