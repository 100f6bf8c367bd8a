
/*
 * The views of the queue, its streams, their groups and deliveries.
 */


#ifndef _NGX_HTTP_JELOU_QUEUE_FAMILIES_H_INCLUDED_
#define _NGX_HTTP_JELOU_QUEUE_FAMILIES_H_INCLUDED_


#include "ngx_http_jelou_queue_status.h"


enum {
    NGX_HTTP_JELOU_OF_QUEUE = 0,
    NGX_HTTP_JELOU_OF_STREAM,
    NGX_HTTP_JELOU_OF_GROUP,
    NGX_HTTP_JELOU_OF_DELIVERY
};


/* numbers of the queue: the counters, and what its workers have together */

enum {
    NGX_HTTP_JELOU_QUEUE_PLAIN = NGX_HTTP_JELOU_QUEUE_NCOUNTERS,
    NGX_HTTP_JELOU_QUEUE_TLS,
    NGX_HTTP_JELOU_QUEUE_IN_FLIGHT,

    NGX_HTTP_JELOU_QUEUE_NNUMBERS
};


typedef struct {
    ngx_uint_t                        numbers[NGX_HTTP_JELOU_QUEUE_NNUMBERS];
    ngx_http_jelou_histogram_t        reply;
} ngx_http_jelou_of_queue_t;


/* numbers of a stream, a group or a delivery; -1: not known */

enum {
    NGX_HTTP_JELOU_STREAM_LENGTH = 0,

    NGX_HTTP_JELOU_GROUP_PENDING = 0,
    NGX_HTTP_JELOU_GROUP_LAG,
    NGX_HTTP_JELOU_GROUP_OLDEST,

    NGX_HTTP_JELOU_DELIVERY_DELIVERED = 0,
    NGX_HTTP_JELOU_DELIVERY_RETRIED,
    NGX_HTTP_JELOU_DELIVERY_OWNED,
    NGX_HTTP_JELOU_DELIVERY_PAUSED,

    NGX_HTTP_JELOU_NNUMBERS_OF = 4
};


typedef struct {
    int64_t                           numbers[NGX_HTTP_JELOU_NNUMBERS_OF];
    ngx_atomic_t                      dead[NGX_HTTP_JELOU_DELIVER_NREASONS];
    ngx_http_jelou_histogram_t        times;
    ngx_str_t                         owner;
} ngx_http_jelou_of_row_t;


/* Adds them.  Returns as snapshot() of a part does. */
ngx_int_t ngx_http_jelou_queue_snapshot(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s);


#endif /* _NGX_HTTP_JELOU_QUEUE_FAMILIES_H_INCLUDED_ */
