
/*
 * What a location and a request carry, for all that works on a request.
 */


#ifndef _NGX_HTTP_JELOU_CTX_H_INCLUDED_
#define _NGX_HTTP_JELOU_CTX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_jelou_dedup.h"
#include "ngx_http_jelou_error.h"
#include "ngx_http_jelou_pages.h"
#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_secret.h"


#define NGX_HTTP_JELOU_VERSION         "1.0.0"


#define NGX_HTTP_JELOU_FORMAT_EVENT    0
#define NGX_HTTP_JELOU_FORMAT_RAW      1
#define NGX_HTTP_JELOU_FORMAT_CLOUD    2

#define NGX_HTTP_JELOU_REPLY_CONTRACT  0
#define NGX_HTTP_JELOU_REPLY_UPSTREAM  1

#define NGX_HTTP_JELOU_ACCESS_NONE       0
#define NGX_HTTP_JELOU_ACCESS_ELSEWHERE  1

#define NGX_HTTP_JELOU_STATUS_JSON        0
#define NGX_HTTP_JELOU_STATUS_PROMETHEUS  1


/* the variables that are forgotten when the body is replaced */

#define NGX_HTTP_JELOU_NSTALE          7


typedef struct {
    ngx_int_t                    stale[NGX_HTTP_JELOU_NSTALE];  /* indices */

    ngx_shm_zone_t              *status_zone;    /* NULL: nothing is counted */
    ngx_array_t                  dedup_zones;    /* of ngx_shm_zone_t *, all
                                                    that are declared */
    ngx_array_t                  parts;          /* of what status pages
                                                    show, see metrics.h */
    ngx_array_t                  endpoints;      /* of where they are */
} ngx_http_jelou_main_conf_t;


typedef struct {
    ngx_http_core_srv_conf_t    *server;
    ngx_http_core_loc_conf_t    *location;
} ngx_http_jelou_endpoint_at_t;


typedef struct {
    u_char                      *file;
    ngx_uint_t                   line;
} ngx_http_jelou_place_t;


typedef struct {
    ngx_http_jelou_schema_t      schema;     /* endpoint NULL: off */

    ngx_http_handler_pt          next;       /* the location's own handler */
    ngx_http_jelou_secrets_t    *secrets;    /* NULL: nothing is signed here */
    ngx_http_jelou_secrets_t    *inherited;  /* the same, or what "off" leaves
                                                out here, and not within */
    ngx_array_t                 *types;      /* of ngx_str_t, as written */
    uint32_t                     allowed;    /* the bits of the types */
    ngx_uint_t                   access;     /* who looks at who sends: said,
                                                and not checked */

    ngx_str_t                    fixed[NGX_HTTP_JELOU_NFIXED];
    ngx_flag_t                   strict;
    ngx_uint_t                   conversation_events;
    ngx_uint_t                   text;
    ngx_array_t                 *schemes;    /* of ngx_str_t; NULL: defaults */
    ngx_msec_t                   tolerance;  /* of timestamps, ms; 0: off */
    ngx_msec_t                   future;     /* of those that are to come */
    ngx_uint_t                   format;
    ngx_uint_t                   reply;

    ngx_http_jelou_secrets_t    *upstream_secrets;  /* NULL: off */

    ngx_shm_zone_t              *dedup_zone;     /* NULL: off */
    ngx_http_complex_value_t    *dedup_key;      /* NULL: the default */
    ngx_msec_t                   dedup_wait;     /* 0: no waiting */

    ngx_uint_t                   status;     /* which page, if it is one */

    ngx_http_jelou_place_t       endpoint_place;
    ngx_http_jelou_place_t       secret_place;
    ngx_http_jelou_place_t       types_place;
    ngx_http_jelou_place_t       dedup_place;
    ngx_http_jelou_place_t       status_place;

    unsigned                     endpoint_set:1;
    unsigned                     secret_set:1;
    unsigned                     secret_file_set:1;
    unsigned                     secret_off:1;
    unsigned                     upstream_secret_set:1;
    unsigned                     upstream_file_set:1;
} ngx_http_jelou_loc_conf_t;


/* who answers a request: set where it is decided, never guessed afterwards */

typedef enum {
    NGX_HTTP_JELOU_BY_UNKNOWN = 0,            /* that is not decided yet */
    NGX_HTTP_JELOU_BY_MODULE,                /* a refusal, a replay, an endpoint
                                                without a content handler */
    NGX_HTTP_JELOU_BY_NGINX,                 /* an error before the event */
    NGX_HTTP_JELOU_BY_HANDLER,               /* that is to take the event */
    NGX_HTTP_JELOU_BY_PAGE                   /* of the operator's: error_page */
} ngx_http_jelou_who_e;


/* what becomes of the bytes that come to the filters */

typedef enum {
    NGX_HTTP_JELOU_ANSWER_NONE = 0,          /* they are not ours */
    NGX_HTTP_JELOU_ANSWER_HELD,              /* they are dropped, and judged at
                                                their end */
    NGX_HTTP_JELOU_ANSWER_PASSED,            /* they go out as they are */
    NGX_HTTP_JELOU_ANSWER_REPLACED,          /* our body goes out for them */
    NGX_HTTP_JELOU_ANSWER_SENT               /* it has gone out */
} ngx_http_jelou_answer_e;


typedef enum {
    NGX_HTTP_JELOU_CHECKING = 0,             /* nothing is proven yet */
    NGX_HTTP_JELOU_VERIFYING,                /* a secret is being chosen */
    NGX_HTTP_JELOU_VERIFIED,                 /* the signature is right */
    NGX_HTTP_JELOU_ACCEPTED,                 /* so is the event */
    NGX_HTTP_JELOU_REFUSED
} ngx_http_jelou_state_e;


typedef struct {
    ngx_http_jelou_loc_conf_t    *conf;      /* of the endpoint */
    ngx_http_jelou_event_t        event;

    u_char                        digest[NGX_HTTP_JELOU_DIGEST_LEN];
    ngx_chain_t                  *received;  /* the body, as nginx has it, */
    ngx_chain_t                  *body;      /*   and in memory: the same, */
    ngx_chain_t                   single;    /*   or a copy */
    ngx_buf_t                     buf;
    ngx_http_jelou_pages_t       *copy;      /* NULL: there is no large one */
    ngx_int_t                     checked;   /* what checking the event gave */
    ngx_str_t                     forwarded;
    ngx_http_jelou_secret_t      *secret;    /* that matched */
    ngx_http_jelou_attempt_t      attempt;

    const ngx_http_jelou_error_t *error;     /* why it is no success */
    ngx_uint_t                    status;    /* of the handler's answer */
    ngx_uint_t                    failed;    /* the error that it ended with */
    void                        (*finalize)(ngx_http_request_t *r,
                                            ngx_int_t rc);
                                             /* the upstream's own */
    ngx_http_handler_pt           delegate;  /* of the named location */
    ngx_str_t                     retry_after;
    ngx_uint_t                    http_version;  /* the client's */
    ngx_uint_t                    uri_changes;  /* after the last redirect */
    off_t                         max_body;  /* client_max_body_size */
    ngx_str_t                     reply;     /* the answer's body */

    off_t                         left;      /* of the handler's body */
    ngx_msec_t                    held_until;  /* the answer's end */
    ngx_msec_t                    wait_until;  /* for the first try */
    ngx_msec_t                    wait_step;
    ngx_http_event_handler_pt     wait_handler;
    ngx_uint_t                   *waiting;   /* among so many; NULL: it does
                                                not wait */

    uint64_t                      began;     /* times in ns, or 0: the body
                                                was there, */
    uint64_t                      decided;   /*   the event was judged, */
    uint64_t                      answered;  /*   the upstream's answer was
                                                there */

    unsigned                      state:3;   /* ngx_http_jelou_state_e */
    unsigned                      who:3;     /* ngx_http_jelou_who_e */
    unsigned                      answer:3;  /* ngx_http_jelou_answer_e */

    unsigned                      reading:1; /* the body is being read */
    unsigned                      has_body:1;
    unsigned                      has_event:1;
    unsigned                      keepalive:1;
    unsigned                      replayed:1;  /* delivered before */
    unsigned                      quiet:1;     /* has been logged */
    unsigned                      has_digest:1;

    unsigned                      handed:1;    /* to the next handler */
    unsigned                      delivered:1; /* which has taken it */
    unsigned                      named:1;     /* it has named a location, */
    unsigned                      delegated:1; /*   which speaks for it */
    unsigned                      interrupted:1;  /* its answer is cut off */
    unsigned                      announced:1; /* its answer has a length */
    unsigned                      probe:1;     /* expect_tested is an error's */
} ngx_http_jelou_ctx_t;


extern ngx_module_t  ngx_http_jelou_module;


/*
 * Returns the context of a request, or of the main request of a subrequest;
 * NULL if there is none.  It is found again after a redirect, which is taken
 * account of then.
 */
ngx_http_jelou_ctx_t *ngx_http_jelou_ctx(ngx_http_request_t *r);

/*
 * Creates the context of a request, that lives as long as its pool.  Returns
 * NULL if memory ran out.
 */
ngx_http_jelou_ctx_t *ngx_http_jelou_ctx_create(ngx_http_request_t *r,
    ngx_http_jelou_loc_conf_t *jlcf);

/* Notes where in the configuration a directive stands. */
void ngx_http_jelou_here(ngx_conf_t *cf, ngx_http_jelou_place_t *place);

/*
 * Adds a field to the answer's header; key and value stay where they are.
 * Returns NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_add_header(ngx_http_request_t *r,
    const ngx_str_t *key, const ngx_str_t *value);


#endif /* _NGX_HTTP_JELOU_CTX_H_INCLUDED_ */
