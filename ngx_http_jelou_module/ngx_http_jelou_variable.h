
/*
 * The variables: $jelou_event_type and so on.
 */


#ifndef _NGX_HTTP_JELOU_VARIABLE_H_INCLUDED_
#define _NGX_HTTP_JELOU_VARIABLE_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/* Adds the variables to the configuration.  Returns NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_jelou_variables_add(ngx_conf_t *cf);


#endif /* _NGX_HTTP_JELOU_VARIABLE_H_INCLUDED_ */
