
/*
 * What became of a request: one result for each, the same in $jelou_result
 * and in the counters.
 */


#ifndef _NGX_HTTP_JELOU_RESULT_H_INCLUDED_
#define _NGX_HTTP_JELOU_RESULT_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"


/* between DUPLICATE and CLIENT_CLOSED are the errors, by their numbers */

#define NGX_HTTP_JELOU_RESULT_NONE       0
#define NGX_HTTP_JELOU_RESULT_ACCEPTED   1
#define NGX_HTTP_JELOU_RESULT_DUPLICATE  2
#define NGX_HTTP_JELOU_RESULT_CLIENT_CLOSED                                   \
    (NGX_HTTP_JELOU_RESULT_DUPLICATE + NGX_HTTP_JELOU_NNUMBERS)

#define NGX_HTTP_JELOU_NRESULTS  (NGX_HTTP_JELOU_RESULT_CLIENT_CLOSED + 1)

#define ngx_http_jelou_result_of(number)                                      \
    (NGX_HTTP_JELOU_RESULT_DUPLICATE + (number))


typedef enum {
    NGX_HTTP_JELOU_CLASS_ANY = 0,
    NGX_HTTP_JELOU_CLASS_ACCEPTED,
    NGX_HTTP_JELOU_CLASS_DUPLICATE,
    NGX_HTTP_JELOU_CLASS_REFUSAL,            /* nobody is to blame but the
                                                sender */
    NGX_HTTP_JELOU_CLASS_FAILURE
} ngx_http_jelou_class_e;


/*
 * The result of a main request, of any location, as far as it is known: NONE
 * if it is not known yet, or if the module has no part in the answer.
 */
ngx_uint_t ngx_http_jelou_result(ngx_http_request_t *r);

/*
 * The request has ended: what is undecided now is decided.
 */
void ngx_http_jelou_result_conclude(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/*
 * Its name, "invalid_event" for instance; empty for NONE, and for numbers that
 * are no result.  Static.
 */
const ngx_str_t *ngx_http_jelou_result_name(ngx_uint_t result);

/* Its class, never ANY. */
ngx_http_jelou_class_e ngx_http_jelou_result_class(ngx_uint_t result);


#endif /* _NGX_HTTP_JELOU_RESULT_H_INCLUDED_ */
