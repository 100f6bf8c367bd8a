
/*
 * What the files of the queue share: the configuration of a location, and an
 * event on its way.
 */


#ifndef _NGX_HTTP_JELOU_REDIS_H_INCLUDED_
#define _NGX_HTTP_JELOU_REDIS_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"
#include "ngx_http_jelou_redis_conn.h"
#include "ngx_http_jelou_redis_outcome.h"


/* the indexed variables among an entry's fields */

#define NGX_HTTP_JELOU_REDIS_NVARIABLES  5

/* an entry's fields: two that are constant in a location, received_at, event */

#define NGX_HTTP_JELOU_REDIS_NFIELDS                                          \
    (NGX_HTTP_JELOU_REDIS_NVARIABLES + 4)

/*
 * of the script: its beginning, stream, key, value, what is constant, fields;
 * of XADD: its beginning, stream, "*", and fields with their names
 */

#define NGX_HTTP_JELOU_REDIS_NPIECES     (3 + 2 * NGX_HTTP_JELOU_REDIS_NFIELDS)

#define NGX_HTTP_JELOU_REDIS_SHA_LEN     40  /* of a SHA-1, in hex */

/* a body's SHA-256 and random bytes, in hex, and a space */

#define NGX_HTTP_JELOU_REDIS_VALUE_LEN                                        \
    (2 * NGX_HTTP_JELOU_DIGEST_LEN + 1 + 2 * NGX_HTTP_JELOU_RANDOM_LEN)


typedef struct {
    ngx_array_t                   passes;    /* of loc_conf *, merged */
    ngx_array_t                   settings;  /* of settings_t *, different */

    ngx_int_t                     fields[NGX_HTTP_JELOU_REDIS_NVARIABLES];
                                             /* indices of variables */
    ngx_str_t                     load;      /* SCRIPT LOAD */
    ngx_str_t                     begin[2];  /* of the script's command, with
                                                one key, and with two */
    ngx_str_t                     eval[2];   /* with the script itself */
    unsigned                      ready:1;   /* the fields are set */
} ngx_http_jelou_redis_main_conf_t;


typedef struct {
    ngx_http_upstream_srv_conf_t     *upstream;
    ngx_http_complex_value_t         *pass;      /* instead, if it varies */
    ngx_http_jelou_redis_settings_t  *settings;

    ngx_http_complex_value_t     *stream;
    ngx_uint_t                    limit;     /* refuse beyond; 0: no limit */
    ngx_uint_t                    maxlen;    /* drop beyond; 0: no limit */
    time_t                        dedup;     /* seconds; 0: off */
    ngx_http_complex_value_t     *dedup_key; /* NULL: the default */
    ngx_str_t                     fixed;     /* the script's constant words, */
    ngx_str_t                     trims;     /*   and with maxlen */
    ngx_str_t                     format;

    ngx_msec_t                    connect_timeout;
    ngx_msec_t                    read_timeout;
    ngx_int_t                     pending;
    ngx_int_t                     db;
    ngx_str_t                     auth;      /* the command, or empty */
    ngx_str_t                     sentinel;  /* the primary's name, or empty */
    ngx_str_t                     sentinel_auth; /* their command, or empty */
    ngx_resolver_t               *resolver;
    ngx_msec_t                    resolver_timeout;

#if (NGX_HTTP_SSL)
    ngx_flag_t                    ssl;
    ngx_flag_t                    ssl_session_reuse;
    ngx_flag_t                    ssl_server_name;
    ngx_flag_t                    ssl_verify;
    ngx_uint_t                    ssl_protocols;
    ngx_uint_t                    ssl_verify_depth;
    ngx_str_t                     ssl_ciphers;
    ngx_str_t                     ssl_name;
    ngx_str_t                     ssl_trusted_certificate;
    ngx_str_t                     ssl_crl;
    ngx_str_t                     ssl_certificate;
    ngx_str_t                     ssl_certificate_key;
    ngx_array_t                  *ssl_passwords;
#endif

    ngx_http_jelou_place_t        pass_place;
    ngx_http_jelou_place_t        stream_place;
    ngx_http_jelou_place_t        dedup_place;
} ngx_http_jelou_redis_loc_conf_t;


typedef struct {
    ngx_http_request_t               *request;
    ngx_http_jelou_ctx_t             *jelou;
    ngx_http_jelou_redis_loc_conf_t  *conf;
    ngx_http_jelou_redis_target_t    *target;
    ngx_http_upstream_srv_conf_t     *group;

    ngx_http_jelou_redis_cmd_t        cmd;
    ngx_http_jelou_redis_piece_t      pieces[NGX_HTTP_JELOU_REDIS_NPIECES];

    ngx_http_jelou_redis_outcome_t    outcome;

    ngx_http_cleanup_t               *cleanup;
    ngx_msec_t                        start;

    u_char                            value[NGX_HTTP_JELOU_REDIS_VALUE_LEN];
    u_char                            received[NGX_INT64_LEN];

    unsigned                          eval:1;    /* all of it is sent */
} ngx_http_jelou_redis_ctx_t;


extern ngx_module_t  ngx_http_jelou_redis_module;


/* The content handler: appends the event of an endpoint to its stream. */
ngx_int_t ngx_http_jelou_redis_handler(ngx_http_request_t *r);

/*
 * Gathers the pieces of the command that appends the request's event: our
 * script's, by its SHA-1, or XADD's.  Returns NGX_OK, or NGX_ERROR with a log
 * line.
 */
ngx_int_t ngx_http_jelou_redis_command(ngx_http_jelou_redis_ctx_t *ctx);

/* Takes the script itself in the place of its SHA-1. */
void ngx_http_jelou_redis_command_eval(ngx_http_jelou_redis_ctx_t *ctx);

/* Prepares what the commands of all requests have in common. */
ngx_int_t ngx_http_jelou_redis_command_init(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf);

/* Prepares the script, and what calls it. */
ngx_int_t ngx_http_jelou_redis_script_init(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf);

/*
 * What loads a script, and what calls it in a command: by its SHA-1, and as it
 * is.  Returns NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_redis_script_texts(ngx_pool_t *pool, ngx_str_t *lua,
    ngx_str_t *load, ngx_str_t *evalsha, ngx_str_t *eval);

/* Prepares what those of a location have. */
ngx_int_t ngx_http_jelou_redis_command_fixed(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf);

/*
 * Tells where a key has its stream's hash tag, so that both are in one slot of
 * a cluster: returns NGX_OK if the name itself has a tag, NGX_DECLINED if the
 * name has to become one, between braces, and NGX_ERROR if no key can be in
 * its slot.
 */
ngx_int_t ngx_http_jelou_redis_tag(ngx_str_t *stream);


#endif /* _NGX_HTTP_JELOU_REDIS_H_INCLUDED_ */
