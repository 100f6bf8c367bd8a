
/*
 * Signing secrets: where they come from, and which one holds.
 */


#ifndef _NGX_HTTP_JELOU_SECRET_H_INCLUDED_
#define _NGX_HTTP_JELOU_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_jelou_signature.h"


/* a secret of fewer bytes is warned of */

#define NGX_HTTP_JELOU_SECRET_SHORT  16

#define ngx_http_jelou_space(ch)                                              \
    ((ch) == ' ' || ((ch) >= '\t' && (ch) <= '\r'))


typedef struct {
    ngx_http_jelou_key_t        *key;        /* NULL: value has variables */
    ngx_http_complex_value_t    *value;
    ngx_uint_t                   place;      /* in the directive, or the line
                                                in the file, from 1 */
    unsigned                     in_file:1;
} ngx_http_jelou_secret_t;


/* the secrets of a project, which has them in a file */

typedef struct {
    ngx_str_node_t               sn;         /* found by the project's id */
    ngx_array_t                  secrets;    /* of ngx_http_jelou_secret_t */
} ngx_http_jelou_project_t;


/* the secrets of one level of the configuration */

typedef struct {
    ngx_array_t                  secrets;    /* of ngx_http_jelou_secret_t, for
                                                projects that have no own */

    ngx_rbtree_t                 projects;   /* of ngx_http_jelou_project_t */
    ngx_rbtree_node_t            sentinel;

    ngx_http_jelou_key_t        *dummy;      /* a key of random bytes, */
    u_char                       random[32]; /*   and these bytes */
    ngx_uint_t                   most;       /* the most that any body is
                                                tried with */

    unsigned                     directive:1;
    unsigned                     has_projects:1;
} ngx_http_jelou_secrets_t;


/* Creates an empty set in the pool of the configuration, or returns NULL. */
ngx_http_jelou_secrets_t *ngx_http_jelou_secrets_create(ngx_conf_t *cf);

/*
 * Adds one value of the directive of that name, the place-th, from 1.  A
 * constant becomes a key at once and is wiped from memory with the
 * configuration.  Returns NGX_CONF_OK, or NGX_CONF_ERROR with a log line that
 * does not show the value.
 */
char *ngx_http_jelou_secrets_add(ngx_conf_t *cf,
    ngx_http_jelou_secrets_t *secrets, ngx_str_t *value, const char *directive,
    ngx_uint_t place);

/*
 * Adds the secrets of a file, for the directive of that name: "secret" or
 * "project_id secret" a line.  Returns NGX_CONF_OK, or NGX_CONF_ERROR with a
 * log line that names the file and its line.
 */
char *ngx_http_jelou_secrets_read(ngx_conf_t *cf,
    ngx_http_jelou_secrets_t *secrets, ngx_str_t *file, const char *directive);

/*
 * Reads a file that has secrets, for the directive of that name.  Returns its
 * bytes, which the caller wipes and frees with ngx_free(), and their number, or
 * NULL with a log line.
 */
u_char *ngx_http_jelou_secret_load(ngx_conf_t *cf, ngx_str_t *name,
    const char *directive, size_t *len);

/*
 * Compiles a directive's value, which may have variables.  Returns NULL, with a
 * log line, if it cannot be, or if memory ran out.
 */
ngx_http_complex_value_t *ngx_http_jelou_complex_value(ngx_conf_t *cf,
    ngx_str_t *value);

/*
 * Makes a key of a secret.  With the configuration it is freed, and the bytes
 * of the other text are wiped, which may be empty.  Returns NULL if memory ran
 * out or, with a log line, if OpenSSL fails.
 */
ngx_http_jelou_key_t *ngx_http_jelou_secret_key(ngx_conf_t *cf,
    ngx_str_t *value, ngx_str_t *wiped);

/*
 * Makes the key that is worked with where there is no secret, to take the time
 * of one.  Returns NGX_CONF_OK, or NGX_CONF_ERROR with a log line.
 */
char *ngx_http_jelou_secret_dummy(ngx_conf_t *cf,
    ngx_http_jelou_secrets_t *secrets);

/*
 * Looks for a secret with which the body, a chain of buffers in memory, has
 * that digest.  If there are projects, project is the body's project id, or
 * empty.  Returns NGX_OK and the secret; NGX_DECLINED if there is none, after
 * the same work for any project; NGX_ERROR, with a log line, if that could
 * not be found out.
 */
ngx_int_t ngx_http_jelou_secrets_verify(ngx_http_request_t *r,
    ngx_http_jelou_secrets_t *secrets, ngx_str_t *project, ngx_chain_t *body,
    u_char *digest, ngx_http_jelou_secret_t **secret);

/*
 * Computes the digest of the body, likewise, with the secret that signs for a
 * project, which may be empty: the last one of its own, or of those for
 * projects that have no own.  Returns NGX_OK; NGX_DECLINED if there is none, or
 * if its value is empty; NGX_ERROR, with a log line.
 */
ngx_int_t ngx_http_jelou_secrets_sign(ngx_http_request_t *r,
    ngx_http_jelou_secrets_t *secrets, ngx_str_t *project, ngx_chain_t *body,
    u_char *digest);


#endif /* _NGX_HTTP_JELOU_SECRET_H_INCLUDED_ */
