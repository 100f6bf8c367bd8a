
/*
 * The catalogue of refusals: status, key and texts of every answer that is
 * not a success.
 */


#ifndef _NGX_HTTP_JELOU_ERROR_H_INCLUDED_
#define _NGX_HTTP_JELOU_ERROR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * What a step of a request returns instead of NGX_OK or NGX_ERROR when it
 * refuses the request.  The order is that of the catalogue in error.c.
 */
typedef enum {
    NGX_HTTP_JELOU_NOT_FOUND = 1,
    NGX_HTTP_JELOU_METHOD_NOT_ALLOWED,
    NGX_HTTP_JELOU_SIGNATURE_MISSING,
    NGX_HTTP_JELOU_SIGNATURE_MALFORMED,
    NGX_HTTP_JELOU_SIGNATURE_MISMATCH,
    NGX_HTTP_JELOU_UNSUPPORTED_MEDIA_TYPE,
    NGX_HTTP_JELOU_PAYLOAD_TOO_LARGE,
    NGX_HTTP_JELOU_INVALID_JSON,
    NGX_HTTP_JELOU_INVALID_EVENT,
    NGX_HTTP_JELOU_TYPE_NOT_ALLOWED,
    NGX_HTTP_JELOU_STALE_EVENT,
    NGX_HTTP_JELOU_MESSAGE_ID_REUSED,
    NGX_HTTP_JELOU_DUPLICATE_IN_FLIGHT,
    NGX_HTTP_JELOU_UPSTREAM_FAILED,
    NGX_HTTP_JELOU_UPSTREAM_REJECTED,
    NGX_HTTP_JELOU_UPSTREAM_SECRET_MISSING,
    NGX_HTTP_JELOU_UPSTREAM_SIGNATURE_REFUSED,
    NGX_HTTP_JELOU_INTERNAL_ERROR,

    NGX_HTTP_JELOU_NERRORS
} ngx_http_jelou_refusal_e;


/* the statuses that the catalogue knows a key of */

#define NGX_HTTP_JELOU_NSTATUSES  24

/* what ngx_http_jelou_error_number() returns is from 1 and below this */

#define NGX_HTTP_JELOU_NNUMBERS                                               \
    (NGX_HTTP_JELOU_NERRORS + NGX_HTTP_JELOU_NSTATUSES)


typedef struct {
    ngx_uint_t   status;
    ngx_uint_t   level;         /* of the log line, NGX_LOG_WARN … */
    ngx_str_t    key;           /* "INVALID_EVENT" */
    ngx_str_t    result;        /* "invalid_event", for $jelou_result */
    ngx_str_t    status_line;   /* "422 Unprocessable Entity" */
    ngx_str_t    body;          /* the whole answer, a JSON object */
    ngx_str_t    header;        /* a header field that the answer needs, */
    ngx_str_t    value;         /*   or empty */
} ngx_http_jelou_error_t;


/* Returns the catalogue's entry for a refusal.  Static, never freed. */
const ngx_http_jelou_error_t *ngx_http_jelou_error(ngx_uint_t refusal);

/*
 * The entry for a status that nginx itself refused a request with, for
 * instance 403, 413 or 429; every 5xx becomes 500.  What the catalogue does
 * not have is composed in the pool.  Returns NULL if memory ran out.
 */
const ngx_http_jelou_error_t *ngx_http_jelou_error_by_status(ngx_pool_t *pool,
    ngx_uint_t status);

/*
 * UPSTREAM_REJECTED with the 4xx status of the upstream's answer, composed in
 * the pool.  Returns NULL if memory ran out.
 */
const ngx_http_jelou_error_t *ngx_http_jelou_error_rejected(ngx_pool_t *pool,
    ngx_uint_t status);

/*
 * A number for the result of an entry, also of one that was composed: two
 * entries have the same one if they have the same result.
 */
ngx_uint_t ngx_http_jelou_error_number(const ngx_http_jelou_error_t *error);

/* The result with that number; empty if there is none.  Static. */
const ngx_str_t *ngx_http_jelou_error_result(ngx_uint_t number);


#endif /* _NGX_HTTP_JELOU_ERROR_H_INCLUDED_ */
