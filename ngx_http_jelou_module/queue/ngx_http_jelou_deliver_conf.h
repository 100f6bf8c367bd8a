
/*
 * The directives of the deliverer: what each sets, and what they become; and
 * its variables.
 */


#ifndef _NGX_HTTP_JELOU_DELIVER_CONF_H_INCLUDED_
#define _NGX_HTTP_JELOU_DELIVER_CONF_H_INCLUDED_


#include "ngx_http_jelou_deliver.h"


extern ngx_conf_enum_t  ngx_http_jelou_deliver_orders[];


/* The setters of the directives that have one of their own */

char *ngx_http_jelou_deliver_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_deliver_set_number(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_jelou_deliver_set_retry(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* The callbacks of the module's context */

ngx_int_t ngx_http_jelou_deliver_postconfiguration(ngx_conf_t *cf);
void *ngx_http_jelou_deliver_create_main_conf(ngx_conf_t *cf);
void *ngx_http_jelou_deliver_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_jelou_deliver_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/* ngx_http_jelou_deliver_variable.c */

ngx_int_t ngx_http_jelou_deliver_variables_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_JELOU_DELIVER_CONF_H_INCLUDED_ */
