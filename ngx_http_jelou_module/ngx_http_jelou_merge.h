
/*
 * A location's configuration, after what is around it.
 */


#ifndef _NGX_HTTP_JELOU_MERGE_H_INCLUDED_
#define _NGX_HTTP_JELOU_MERGE_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * The module's merge_loc_conf.  Returns NGX_CONF_OK, or NGX_CONF_ERROR with a
 * log line that names the directive and its place.
 */
char *ngx_http_jelou_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


#endif /* _NGX_HTTP_JELOU_MERGE_H_INCLUDED_ */
