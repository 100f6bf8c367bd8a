
/*
 * The pages that show the counters: JSON, and what Prometheus reads.
 */


#ifndef _NGX_HTTP_JELOU_METRICS_H_INCLUDED_
#define _NGX_HTTP_JELOU_METRICS_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/*
 * The content handler of a status page.  Returns what
 * ngx_http_finalize_request() takes.
 */
ngx_int_t ngx_http_jelou_metrics_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_JELOU_METRICS_H_INCLUDED_ */
