
/*
 * What is counted of the queue and of deliveries, in the status zone; nothing
 * where there is none.
 */


#ifndef _NGX_HTTP_JELOU_QUEUE_STATUS_H_INCLUDED_
#define _NGX_HTTP_JELOU_QUEUE_STATUS_H_INCLUDED_


#include "ngx_http_jelou_deliver.h"
#include "ngx_http_jelou_metrics.h"


/* rows of each kind: streams, groups of them, deliveries, workers */

#define NGX_HTTP_JELOU_QUEUE_ROWS    64

/* the names of a row together, in bytes */

#define NGX_HTTP_JELOU_QUEUE_TEXT    512

/* a stream that no event had for so long is shown no more, in seconds */

#define NGX_HTTP_JELOU_QUEUE_SHOWN   3600

/* Redis is asked so often, ms, while a page is read so often, seconds */

#define NGX_HTTP_JELOU_QUEUE_ASK     5000
#define NGX_HTTP_JELOU_QUEUE_READ    65

/* what is longer ago is not known, ms */

#define NGX_HTTP_JELOU_QUEUE_KNOWN   12000


/* counters: those of events first, by what became of them */

enum {
    NGX_HTTP_JELOU_QUEUE_APPENDED = 0,
    NGX_HTTP_JELOU_QUEUE_REPEATED,
    NGX_HTTP_JELOU_QUEUE_REUSED,
    NGX_HTTP_JELOU_QUEUE_FULL,
    NGX_HTTP_JELOU_QUEUE_DENIED,
    NGX_HTTP_JELOU_QUEUE_MALFORMED,
    NGX_HTTP_JELOU_QUEUE_NO_SERVER,
    NGX_HTTP_JELOU_QUEUE_UNREACHABLE,
    NGX_HTTP_JELOU_QUEUE_LOST,
    NGX_HTTP_JELOU_QUEUE_TIMED_OUT,
    NGX_HTTP_JELOU_QUEUE_BUSY,
    NGX_HTTP_JELOU_QUEUE_ABANDONED,

    NGX_HTTP_JELOU_QUEUE_MOVED,
    NGX_HTTP_JELOU_QUEUE_ASKED,
    NGX_HTTP_JELOU_QUEUE_TRYAGAIN,

    NGX_HTTP_JELOU_QUEUE_ELSEWHERE,
    NGX_HTTP_JELOU_QUEUE_RESENT,

    NGX_HTTP_JELOU_QUEUE_CONNECTED,
    NGX_HTTP_JELOU_QUEUE_FAILED,

    NGX_HTTP_JELOU_QUEUE_DROPPED,
    NGX_HTTP_JELOU_QUEUE_UNLISTED,

    NGX_HTTP_JELOU_QUEUE_NCOUNTERS
};


/* gauges of a worker, who is the only one to write them */

typedef struct {
    ngx_atomic_t                  pid;       /* 0: free */
    ngx_atomic_t                  connections[2];    /* without TLS, with */
    ngx_atomic_t                  in_flight;
} ngx_http_jelou_queue_worker_t;


/* the server or upstream, the stream, and of a delivery group and hash */

typedef struct {
    ngx_str_t                     queue;
    ngx_str_t                     stream;
    ngx_str_t                     group;
    ngx_str_t                     hash;
} ngx_http_jelou_queue_names_t;


typedef struct {
    ngx_atomic_t                  hash;      /* of its names, 0: free */
    ngx_atomic_t                  seen;      /* in use, a time in seconds */
    ngx_atomic_t                  answered;  /* ms, 0: never */
    ngx_uint_t                    length;
    ngx_http_jelou_queue_names_t  names;
} ngx_http_jelou_queue_stream_t;


typedef struct {
    ngx_uint_t                    stream;    /* its row, from 1 on; 0: free */
    ngx_str_t                     name;
    ngx_uint_t                    pending;
    ngx_int_t                     lag;       /* -1: not known */
    int64_t                       oldest;    /* ms, -1: there is none */
} ngx_http_jelou_queue_group_t;


typedef struct ngx_http_jelou_queue_delivery_s  ngx_http_jelou_queue_delivery_t;

struct ngx_http_jelou_queue_delivery_s {
    ngx_http_jelou_queue_delivery_t  *next;
    ngx_http_jelou_queue_names_t  names;
    ngx_atomic_t                  seen;
    ngx_atomic_t                  answered;
    ngx_atomic_t                  delivered;
    ngx_atomic_t                  retried;
    ngx_atomic_t                  dead[NGX_HTTP_JELOU_DELIVER_NREASONS];
    ngx_http_jelou_histogram_t    times;
    ngx_uint_t                    leased;
    ngx_uint_t                    paused;
    ngx_str_t                     owner;     /* data in the row; empty: nobody
                                                has it */
    u_char                        text[NGX_HTTP_JELOU_QUEUE_TEXT / 4];
};


typedef struct {
    ngx_atomic_t                     counters[NGX_HTTP_JELOU_QUEUE_NCOUNTERS];
    ngx_http_jelou_histogram_t       reply;
    ngx_atomic_t                     read;   /* a page, a time in seconds */
    ngx_atomic_t                     asked;  /* Redis was, ms */
    ngx_http_jelou_queue_worker_t    workers[NGX_HTTP_JELOU_QUEUE_ROWS];
    ngx_http_jelou_queue_stream_t    streams[NGX_HTTP_JELOU_QUEUE_ROWS];
    ngx_http_jelou_queue_group_t     groups[NGX_HTTP_JELOU_QUEUE_ROWS];
    ngx_http_jelou_queue_delivery_t *deliveries;
    ngx_uint_t                       ndeliveries;
} ngx_http_jelou_queue_sh_t;


/* of this worker; NULL: nothing is counted */

extern ngx_http_jelou_queue_sh_t      *ngx_http_jelou_queue_sh;
extern ngx_slab_pool_t                *ngx_http_jelou_queue_pool;

extern const ngx_http_jelou_part_t     ngx_http_jelou_queue_part;

extern const uint64_t  ngx_http_jelou_queue_reply_bounds[];
extern const uint64_t  ngx_http_jelou_queue_delivery_bounds[];


#define ngx_http_jelou_queue_count(what)                                      \
    do {                                                                      \
        if (ngx_http_jelou_queue_sh) {                                        \
            ngx_http_jelou_add(&ngx_http_jelou_queue_sh->counters[what], 1);  \
        }                                                                     \
    } while (0)


/* ngx_http_jelou_queue_status.c: counting */

/* Adds the part of the queue to the status zone, where there is a queue. */
ngx_int_t ngx_http_jelou_queue_add(ngx_conf_t *cf);

/* Of a worker that begins. */
ngx_int_t ngx_http_jelou_queue_init_process(ngx_cycle_t *cycle);

/* An event's command is on its way. */
void ngx_http_jelou_queue_begun(void);

/* It is no more: the sender has gone. */
void ngx_http_jelou_queue_abandoned(void);

/* It has ended; NGX_DECLINED says that its reply was none. */
void ngx_http_jelou_queue_ended(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_http_jelou_redis_result_e result, ngx_int_t rc);

/* A connection is ready; one is closed, that may never have been. */
void ngx_http_jelou_queue_opened(ngx_http_jelou_redis_conn_t *conn);
void ngx_http_jelou_queue_closed(ngx_http_jelou_redis_conn_t *conn);

/* What became of an attempt to deliver an entry. */
void ngx_http_jelou_queue_delivered(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e, uint64_t now);
void ngx_http_jelou_queue_retried(ngx_http_jelou_deliver_stream_t *s);
void ngx_http_jelou_queue_dead(ngx_http_jelou_deliver_stream_t *s,
    ngx_uint_t reason);


/* ngx_http_jelou_queue_rows.c: streams and deliveries by their names */

/* The name of a group of servers, as pages show it, in a buffer. */
void ngx_http_jelou_queue_name(ngx_http_upstream_srv_conf_t *uscf,
    ngx_str_t *name, u_char *buf);

#define NGX_HTTP_JELOU_QUEUE_NAME_LEN  256

/* A stream is in use. */
void ngx_http_jelou_queue_seen(ngx_http_upstream_srv_conf_t *uscf,
    ngx_str_t *stream);

/* Frees the groups of a stream's row, counted from 1; the zone is locked. */
void ngx_http_jelou_queue_groups_free(ngx_uint_t stream);

/* A delivery of this worker finds its row, or makes it. */
ngx_http_jelou_queue_delivery_t *ngx_http_jelou_queue_delivery(
    ngx_http_jelou_deliver_stream_t *s);

/* Those of the configuration are in use. */
void ngx_http_jelou_queue_seen_all(ngx_cycle_t *cycle);


/* ngx_http_jelou_queue_ask.c */

/* Asks Redis for what is shown, if nobody has asked a moment ago. */
void ngx_http_jelou_queue_ask(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_JELOU_QUEUE_STATUS_H_INCLUDED_ */
