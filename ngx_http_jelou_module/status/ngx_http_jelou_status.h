
/*
 * Counters of all endpoints, in shared memory.
 */


#ifndef _NGX_HTTP_JELOU_STATUS_H_INCLUDED_
#define _NGX_HTTP_JELOU_STATUS_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"
#include "ngx_http_jelou_names.h"
#include "ngx_http_jelou_result.h"


/* variants, 32 at most, and conversation events */

#define NGX_HTTP_JELOU_NTYPES    36

/* modules above this one that have something to tell */

#define NGX_HTTP_JELOU_NPARTS    1

/* the bounds of a histogram, and one bucket more for what is above them */

#define NGX_HTTP_JELOU_NBOUNDS   13
#define NGX_HTTP_JELOU_NBUCKETS  (NGX_HTTP_JELOU_NBOUNDS + 1)


enum {
    NGX_HTTP_JELOU_TIME_PROCESSING = 0,
    NGX_HTTP_JELOU_TIME_UPSTREAM,

    NGX_HTTP_JELOU_NTIMES
};


enum {
    NGX_HTTP_JELOU_BYTES_BODY = 0,
    NGX_HTTP_JELOU_BYTES_EVENT,

    NGX_HTTP_JELOU_NBYTES
};


typedef struct {
    ngx_atomic_t                  buckets[NGX_HTTP_JELOU_NBUCKETS];
    ngx_atomic_t                  sum;       /* ns */
} ngx_http_jelou_histogram_t;


/* of an endpoint */

typedef struct {
    ngx_atomic_t                  results[NGX_HTTP_JELOU_NRESULTS];
    ngx_atomic_t                  types[NGX_HTTP_JELOU_NTYPES];
    ngx_atomic_t                  bytes[NGX_HTTP_JELOU_NBYTES];
    ngx_atomic_t                  others;    /* matches without a row */
    ngx_http_jelou_histogram_t    times[NGX_HTTP_JELOU_NTIMES];
} ngx_http_jelou_counters_t;


/* how often a secret has matched: a row of an open hash table */

typedef struct {
    ngx_atomic_t                  key;       /* 0: the row is free */
    ngx_atomic_t                  count;
} ngx_http_jelou_match_t;


/* of the module, and of those above it that have something to tell */

typedef struct {
    time_t                        since;
    void                         *parts[NGX_HTTP_JELOU_NPARTS];
    ngx_uint_t                    nmatches;
    ngx_http_jelou_match_t       *matches;
    ngx_http_jelou_names_t        names;     /* of conversation events */
    ngx_http_jelou_counters_t     endpoints[1];  /* as many as there are */
} ngx_http_jelou_status_sh_t;


typedef struct {
    ngx_http_jelou_status_sh_t   *sh;
    ngx_shmtx_t                  *mutex;     /* for new names */
    ngx_uint_t                    secrets;   /* at most so many rows */
    ngx_array_t                  *parts;     /* of part_t * */
} ngx_http_jelou_status_zone_t;


typedef struct ngx_http_jelou_part_s  ngx_http_jelou_part_t;


#define ngx_http_jelou_status_sh(jmcf)                                        \
    (((ngx_http_jelou_status_zone_t *) (jmcf)->status_zone->data)->sh)

#define ngx_http_jelou_add(counter, n)                                        \
    (void) ngx_atomic_fetch_add(counter, (ngx_atomic_int_t) (n))


/* bounds of both histograms, in ns, in ascending order */
extern const uint64_t
    ngx_http_jelou_bounds[NGX_HTTP_JELOU_NTIMES][NGX_HTTP_JELOU_NBOUNDS];


/* The tag of the shared memory, see ngx_http_jelou_dedup_tag. */
extern ngx_uint_t  ngx_http_jelou_status_tag;

/* The shared memory's init handler: a reload keeps what was counted. */
ngx_int_t ngx_http_jelou_status_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);

/*
 * Adds the handler of the log phase that counts requests.  A request whose
 * worker is killed is not counted.  Returns NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_status_init(ngx_conf_t *cf);

/* The time in ns, for differences, or 0 if nothing is counted. */
uint64_t ngx_http_jelou_status_clock(ngx_http_request_t *r);

/* Adds a time, in ns, to a histogram that has these bounds. */
void ngx_http_jelou_status_time(ngx_http_jelou_histogram_t *h,
    const uint64_t *bounds, uint64_t time);

/*
 * Adds a part to the pages, when the configuration has been read.  Returns
 * NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_status_add(ngx_conf_t *cf,
    const ngx_http_jelou_part_t *part);

/*
 * The shared memory of a part, zeroed at first, and the pool that it is in;
 * NULL if nothing is counted.
 */
void *ngx_http_jelou_status_part(ngx_http_jelou_main_conf_t *jmcf,
    const ngx_http_jelou_part_t *part, ngx_slab_pool_t **shpool);

/* Notes that the next handler's answer is there; the first time counts. */
void ngx_http_jelou_status_answered(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);

/* How many endpoints the schema has. */
ngx_uint_t ngx_http_jelou_status_endpoints(void);

/*
 * What stands in the key of a row: an endpoint's number, the secret's place,
 * and whether that has to be told from one in the directive.
 */
void ngx_http_jelou_status_match(ngx_http_jelou_match_t *match,
    ngx_uint_t *endpoint, ngx_uint_t *place, ngx_uint_t *in_file);


#endif /* _NGX_HTTP_JELOU_STATUS_H_INCLUDED_ */
