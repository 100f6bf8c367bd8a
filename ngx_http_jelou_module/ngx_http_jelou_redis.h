
/*
 * What the files of the queue share: the configuration of a location and the
 * state of a request.
 */


#ifndef _NGX_HTTP_JELOU_REDIS_H_INCLUDED_
#define _NGX_HTTP_JELOU_REDIS_H_INCLUDED_


#include "ngx_http_jelou_module.h"
#include "ngx_http_jelou_redis_reply.h"


#define NGX_HTTP_JELOU_REDIS_NFIELDS  3

/* the script's eight words, MAXLEN's three, "*", and the fields of the entry */

#define NGX_HTTP_JELOU_REDIS_NARGS                                            \
    (8 + 3 + 1 + 2 * (2 + NGX_HTTP_JELOU_REDIS_NFIELDS))

#define NGX_HTTP_JELOU_REDIS_SHA_LEN  40     /* of a SHA-1, in hex */


typedef struct {
    u_char                        sha[NGX_HTTP_JELOU_REDIS_SHA_LEN];
    ngx_int_t                     fields[NGX_HTTP_JELOU_REDIS_NFIELDS];
                                             /* indices of variables */
    ngx_array_t                   passes;    /* of loc_conf *, merged */
    unsigned                      ready:1;   /* the fields are set */
} ngx_http_jelou_redis_main_conf_t;


typedef struct {
    ngx_http_upstream_conf_t      upstream;
    ngx_http_upstream_conf_t      elsewhere; /* the same after a reply that
                                                means: not here */

    ngx_http_complex_value_t     *stream;
    ngx_str_t                     maxlen;    /* empty: no limit */
    time_t                        dedup;     /* seconds; 0: off */
    ngx_str_t                     ttl;       /* the same as text */
    ngx_http_complex_value_t     *dedup_key; /* NULL: the default */

    ngx_int_t                     db;
    ngx_str_t                     auth;      /* the command, or empty */
    ngx_str_t                     before;    /* what goes before a command */
    ngx_uint_t                    nbefore;   /* and the replies to it */

    ngx_http_jelou_place_t        pass_place;
    ngx_http_jelou_place_t        stream_place;
    ngx_http_jelou_place_t        dedup_place;

    unsigned                      auth_set:1;
} ngx_http_jelou_redis_loc_conf_t;


typedef struct {
    ngx_http_request_t               *request;
    ngx_http_jelou_ctx_t             *jelou;
    ngx_http_jelou_redis_loc_conf_t  *conf;

    int                               argc;
    const char                       *argv[NGX_HTTP_JELOU_REDIS_NARGS];
    size_t                            argvlen[NGX_HTTP_JELOU_REDIS_NARGS];

    ngx_http_jelou_redis_reply_t      reply;

    u_char                            key[2 * NGX_HTTP_JELOU_KEY_LEN];
    u_char                            digest[2 * NGX_HTTP_JELOU_DIGEST_LEN];
    u_char                            random[2 * NGX_HTTP_JELOU_RANDOM_LEN];
    u_char                            received[NGX_INT64_LEN];

    unsigned                          script:1;  /* not XADD alone */
    unsigned                          eval:1;    /* all of it is sent */
} ngx_http_jelou_redis_ctx_t;


extern ngx_module_t  ngx_http_jelou_redis_module;


/* The content handler: appends the event of an endpoint to its stream. */
ngx_int_t ngx_http_jelou_redis_handler(ngx_http_request_t *r);

/*
 * Gathers the words of the command that appends the request's event: our
 * script's, by its SHA-1, or XADD's.  They stay where they are.  Returns
 * NGX_OK, or NGX_ERROR with a log line.
 */
ngx_int_t ngx_http_jelou_redis_command(ngx_http_jelou_redis_ctx_t *ctx);

/* Takes the script itself in the place of its SHA-1. */
void ngx_http_jelou_redis_command_eval(ngx_http_jelou_redis_ctx_t *ctx);

/*
 * Makes of the words what Redis reads.  The buffer lasts as long as the
 * request.  Returns NULL if memory ran out.
 */
ngx_buf_t *ngx_http_jelou_redis_command_buf(ngx_http_jelou_redis_ctx_t *ctx);

/*
 * Appends a command of the configuration, "AUTH user password" for instance, to
 * *command, allocated in the pool and wiped with it.  Returns NGX_OK, or
 * NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_redis_command_add(ngx_pool_t *pool,
    ngx_str_t *command, ngx_uint_t nwords, ngx_str_t *words);

/* Prepares what the commands of all requests have in common. */
ngx_int_t ngx_http_jelou_redis_command_init(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf);

/*
 * Tells where a key has its stream's hash tag, so that both are in one slot of
 * a cluster: returns NGX_OK if the name itself has a tag, NGX_DECLINED if the
 * name has to become one, between braces, and NGX_ERROR if no key can be in
 * its slot.
 */
ngx_int_t ngx_http_jelou_redis_tag(ngx_str_t *stream);


#endif /* _NGX_HTTP_JELOU_REDIS_H_INCLUDED_ */
