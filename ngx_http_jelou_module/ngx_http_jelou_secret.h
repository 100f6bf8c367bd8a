
/*
 * Where signing secrets come from.
 */


#ifndef _NGX_HTTP_JELOU_SECRET_H_INCLUDED_
#define _NGX_HTTP_JELOU_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_jelou_signature.h"


/* the secrets of one level of the configuration */

typedef struct {
    ngx_array_t   secrets;               /* of ngx_http_jelou_secret_t */
} ngx_http_jelou_secrets_t;


typedef struct {
    ngx_http_jelou_key_t      *key;      /* NULL: value has variables */
    ngx_http_complex_value_t  *value;
} ngx_http_jelou_secret_t;


/* Creates an empty set in the pool of the configuration, or returns NULL. */
ngx_http_jelou_secrets_t *ngx_http_jelou_secrets_create(ngx_conf_t *cf);

/*
 * Adds one value of jelou_secret.  A constant becomes a key at once and is
 * wiped from memory with the configuration.  Returns NGX_CONF_OK, or
 * NGX_CONF_ERROR with a log line that does not show the value.
 */
char *ngx_http_jelou_secrets_add(ngx_conf_t *cf,
    ngx_http_jelou_secrets_t *secrets, ngx_str_t *value);

/*
 * Looks for a secret with which the body, a chain of buffers in memory, has
 * that digest.  Returns NGX_OK; NGX_DECLINED if there is none; NGX_ERROR,
 * with a log line, if that could not be found out.
 */
ngx_int_t ngx_http_jelou_secrets_verify(ngx_http_request_t *r,
    ngx_http_jelou_secrets_t *secrets, ngx_chain_t *body, u_char *digest);


#endif /* _NGX_HTTP_JELOU_SECRET_H_INCLUDED_ */
