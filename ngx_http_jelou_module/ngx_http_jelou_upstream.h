
/*
 * The end of the upstream that has the event.
 */


#ifndef _NGX_HTTP_JELOU_UPSTREAM_H_INCLUDED_
#define _NGX_HTTP_JELOU_UPSTREAM_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/* an answer that is shorter than it says */

#define ngx_http_jelou_cut_off(ctx)  ((ctx)->announced && (ctx)->left > 0)


/*
 * Sees to it that the end of the upstream, if one has the request, is known.
 */
void ngx_http_jelou_watch_upstream(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * The answer has ended.  rc is nginx's: NGX_OK if it is complete.
 */
void ngx_http_jelou_upstream_ended(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_int_t rc);


#endif /* _NGX_HTTP_JELOU_UPSTREAM_H_INCLUDED_ */
