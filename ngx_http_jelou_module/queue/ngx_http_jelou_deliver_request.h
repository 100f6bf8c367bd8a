
/*
 * An ordinary request of nginx's that no client has sent: it goes through the
 * phases of a location, and to its content handler, as any other does.
 *
 * Its connection is one of nginx's own, set up as an accepted one, whose socket
 * nobody reads or writes: all such connections of a worker share it.  A real
 * pair of sockets for each request was tried as well; docs/development.md has
 * what both cost.
 */


#ifndef _NGX_HTTP_JELOU_DELIVER_REQUEST_H_INCLUDED_
#define _NGX_HTTP_JELOU_DELIVER_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* the fields that a request has, in this order */

typedef enum {
    NGX_HTTP_JELOU_DELIVER_TYPE = 0,         /* Content-Type */
    NGX_HTTP_JELOU_DELIVER_LENGTH,           /* Content-Length */
    NGX_HTTP_JELOU_DELIVER_ID,               /* X-Jelou-Delivery-Id */
    NGX_HTTP_JELOU_DELIVER_ATTEMPT,          /* X-Jelou-Delivery-Attempt */
    NGX_HTTP_JELOU_DELIVER_RECEIVED,         /* X-Jelou-Received-At */
    NGX_HTTP_JELOU_DELIVER_SIGNATURE,        /* X-Jelou-Signature */
    NGX_HTTP_JELOU_DELIVER_NFIELDS
} ngx_http_jelou_deliver_field_e;


typedef struct ngx_http_jelou_deliver_s  ngx_http_jelou_deliver_t;

/*
 * Called when a request has ended, been logged and freed.  No other request
 * may be begun from within it.
 */
typedef void (*ngx_http_jelou_deliver_pt)(ngx_http_jelou_deliver_t *d);

/*
 * Called with the request that is about to begin, of which variables can be
 * asked already, to set the fields that depend on it.  It begins only if this
 * returns NGX_OK.
 */
typedef ngx_int_t (*ngx_http_jelou_deliver_prepare_pt)(ngx_http_request_t *r,
    ngx_http_jelou_deliver_t *d);


struct ngx_http_jelou_deliver_s {

    /* the caller's, who keeps them until the handler is called */

    ngx_http_conf_ctx_t        *location;
    ngx_str_t                   uri;
    ngx_str_t                   body;
    ngx_str_t                   fields[NGX_HTTP_JELOU_DELIVER_NFIELDS];
                                             /* an empty one is not sent */
    ngx_str_t                   project;     /* of the event, or empty */
    ngx_http_jelou_deliver_prepare_pt  prepare;  /* or NULL */
    ngx_http_jelou_deliver_pt   handler;
    void                       *data;

    /* what has come of it */

    ngx_uint_t                  status;      /* of the answer; 0: none */
    time_t                      retry_after; /* its field, in seconds, or -1 */
    off_t                       left;        /* bytes of it that are to come,
                                                if it has a length */
    unsigned                    whole:1;     /* the answer has come to its
                                                end */
    unsigned                    refused:1;   /* it is nginx's own, not the
                                                application's */
};


/* Opens what requests of this worker share.  Returns NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_jelou_deliver_request_init(ngx_cycle_t *cycle);

void ngx_http_jelou_deliver_request_exit(ngx_cycle_t *cycle);

/* A connection of nginx's with the shared socket; NULL: there is none left. */
ngx_connection_t *ngx_http_jelou_deliver_connection(ngx_log_t *log);

/*
 * Begins a request.  Returns NGX_OK, and its handler will be called, at the
 * earliest before this call returns; NGX_ERROR, with a log line, if there is
 * no connection or no memory for it; or what its prepare() has returned.
 */
ngx_int_t ngx_http_jelou_deliver_request(ngx_http_jelou_deliver_t *d);

/* The delivery that a request, or a subrequest of it, is; or NULL. */
ngx_http_jelou_deliver_t *ngx_http_jelou_deliver_get(ngx_http_request_t *r);

/* Puts the filters that learn the outcome before all others. */
void ngx_http_jelou_deliver_filters(void);


#endif /* _NGX_HTTP_JELOU_DELIVER_REQUEST_H_INCLUDED_ */
