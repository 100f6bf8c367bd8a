
/*
 * What stands in the way of an event that nginx signs, from an application that
 * does not: who can send it, and what changes it afterwards.
 */


#ifndef _NGX_HTTP_JELOU_LINT_SEND_H_INCLUDED_
#define _NGX_HTTP_JELOU_LINT_SEND_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * Looks at the location of an endpoint, whose modules have merged their
 * configuration: what is signed for the upstream is what has to be sent.
 * Returns NGX_CONF_OK, or NGX_CONF_ERROR with a log line.
 */
char *ngx_http_jelou_lint_send(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *jlcf);

/*
 * Looks at where the servers listen, when all of them are known, and warns of
 * each "jelou_secret off" that others than this machine can reach.
 */
void ngx_http_jelou_lint_open(ngx_conf_t *cf);


#endif /* _NGX_HTTP_JELOU_LINT_SEND_H_INCLUDED_ */
