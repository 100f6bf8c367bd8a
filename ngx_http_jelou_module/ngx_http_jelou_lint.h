
/*
 * What stands around an endpoint in the configuration, and does not go with it.
 */


#ifndef _NGX_HTTP_JELOU_LINT_H_INCLUDED_
#define _NGX_HTTP_JELOU_LINT_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * Looks at a location whose modules have merged their configuration, and which
 * events go through: an answer from a cache delivers nothing.  The directive
 * and its place are for the log line.  Returns NGX_CONF_OK, or NGX_CONF_ERROR
 * with one.
 */
char *ngx_http_jelou_lint_cache(ngx_conf_t *cf, const char *directive,
    ngx_http_jelou_place_t *place);

/*
 * What a module passes requests on with in this location, or NULL if it passes
 * none on.
 */
ngx_http_upstream_conf_t *ngx_http_jelou_lint_upstream(ngx_conf_t *cf,
    ngx_module_t *module);

/*
 * Notes that this location is an endpoint, for the function below.  Returns
 * NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_lint_add(ngx_conf_t *cf);

/*
 * Looks at all endpoints when all locations and servers are known, and warns of
 * error pages that may let an event past the verification, and of each
 * "jelou_secret off" that others than this machine can reach.
 */
void ngx_http_jelou_lint_endpoints(ngx_conf_t *cf);

/* Warns of the latter, at one endpoint. */
void ngx_http_jelou_lint_open(ngx_conf_t *cf, ngx_http_jelou_endpoint_at_t *at);

/*
 * Looks at the location of an endpoint, whose modules have merged their
 * configuration: what is signed for the upstream is what has to be sent.
 * Returns NGX_CONF_OK, or NGX_CONF_ERROR with a log line.
 */
char *ngx_http_jelou_lint_send(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *jlcf);


#endif /* _NGX_HTTP_JELOU_LINT_H_INCLUDED_ */
