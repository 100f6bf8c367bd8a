
/*
 * Message ids seen, in shared memory.
 */


#ifndef _NGX_HTTP_JELOU_DEDUP_H_INCLUDED_
#define _NGX_HTTP_JELOU_DEDUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_jelou_parse.h"


#define NGX_HTTP_JELOU_KEY_LEN        32     /* of a SHA-256 */

/*
 * How long an entry may be in progress, in seconds, if the worker that made it
 * is not seen to be dead before.
 */
#define NGX_HTTP_JELOU_FLIGHT_TIME    600


typedef struct {
    ngx_rbtree_t                  rbtree;
    ngx_rbtree_node_t             sentinel;
    ngx_queue_t                   done;      /* the oldest is the last */
    ngx_queue_t                   pending;   /* likewise */
    ngx_uint_t                    entries;
    ngx_uint_t                    in_flight;
    ngx_uint_t                    evictions;
    time_t                        logged;    /* that the zone is full */
} ngx_http_jelou_dedup_sh_t;


typedef struct {
    ngx_http_jelou_dedup_sh_t    *sh;
    ngx_slab_pool_t              *shpool;
    time_t                        ttl;       /* of done entries, seconds */
    ngx_uint_t                    capacity;  /* entries that it has room for */
    ngx_str_t                     name;
} ngx_http_jelou_dedup_zone_t;


typedef struct {
    ngx_uint_t                    entries;
    ngx_uint_t                    in_flight;
    ngx_uint_t                    evictions;
} ngx_http_jelou_dedup_counts_t;


/* an entry that this worker has put in progress */

typedef struct {
    ngx_http_jelou_dedup_zone_t  *zone;      /* NULL: none */
    u_char                        key[NGX_HTTP_JELOU_KEY_LEN];
    time_t                        expires;
} ngx_http_jelou_attempt_t;


typedef enum {
    NGX_HTTP_JELOU_DEDUP_NEW = 0,            /* in progress now */
    NGX_HTTP_JELOU_DEDUP_DONE,               /* delivered before */
    NGX_HTTP_JELOU_DEDUP_IN_PROGRESS,          /* somebody else delivers it */
    NGX_HTTP_JELOU_DEDUP_REUSED,             /* it was another body */
    NGX_HTTP_JELOU_DEDUP_FULL                /* nothing can be evicted */
} ngx_http_jelou_dedup_e;


/*
 * The tag of the shared memory: its address.  Each kind of zone has one of its
 * own, so that a reload never takes the memory of one kind for another's.
 */
extern ngx_uint_t  ngx_http_jelou_dedup_tag;

/* The shared memory's init handler: history survives a reload. */
ngx_int_t ngx_http_jelou_dedup_init_zone(ngx_shm_zone_t *shm_zone, void *data);

/*
 * Looks for the key and puts it in progress if it is new, in one critical
 * section.  The body is known by its SHA-256.  Returns what was found.  After
 * NEW, attempt is to be given to one of the two functions below; after DONE,
 * random is what the first delivery has stored.
 */
ngx_http_jelou_dedup_e ngx_http_jelou_dedup_begin(
    ngx_http_jelou_dedup_zone_t *zone, ngx_http_jelou_attempt_t *attempt,
    u_char *key, u_char *body, u_char *random, ngx_log_t *log);

/*
 * Ends an attempt that was a success; random is stored with it.  Does nothing
 * if there is none.
 */
void ngx_http_jelou_dedup_done(ngx_http_jelou_attempt_t *attempt,
    u_char *random);

/* Ends one that was none, so that the sender's retry is delivered. */
void ngx_http_jelou_dedup_cancel(ngx_http_jelou_attempt_t *attempt);

/*
 * Copies the zone's counts.  What workers that have died left in progress is
 * given back before.
 */
void ngx_http_jelou_dedup_counts(ngx_http_jelou_dedup_zone_t *zone,
    ngx_http_jelou_dedup_counts_t *counts);


#endif /* _NGX_HTTP_JELOU_DEDUP_H_INCLUDED_ */
