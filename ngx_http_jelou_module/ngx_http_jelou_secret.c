
/*
 * Where signing secrets come from.
 */


#include "ngx_http_jelou_secret.h"

#include <openssl/crypto.h>


#define NGX_HTTP_JELOU_SECRET_SHORT  16


static void ngx_http_jelou_secret_forget(void *data);
static ngx_int_t ngx_http_jelou_secret_digest(ngx_http_request_t *r,
    ngx_http_jelou_secret_t *secret, ngx_chain_t *body, u_char *digest);


ngx_http_jelou_secrets_t *
ngx_http_jelou_secrets_create(ngx_conf_t *cf)
{
    ngx_http_jelou_secrets_t  *secrets;

    secrets = ngx_palloc(cf->pool, sizeof(ngx_http_jelou_secrets_t));
    if (secrets == NULL) {
        return NULL;
    }

    if (ngx_array_init(&secrets->secrets, cf->pool, 2,
                       sizeof(ngx_http_jelou_secret_t))
        != NGX_OK)
    {
        return NULL;
    }

    return secrets;
}


typedef struct {
    ngx_http_jelou_key_t  *key;
    ngx_str_t              value;
} ngx_http_jelou_known_t;


char *
ngx_http_jelou_secrets_add(ngx_conf_t *cf, ngx_http_jelou_secrets_t *secrets,
    ngx_str_t *value)
{
    ngx_pool_cleanup_t                *cln;
    ngx_http_jelou_known_t            *known;
    ngx_http_jelou_secret_t           *secret;
    ngx_http_compile_complex_value_t   ccv;

    if (value->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty secret in \"jelou_secret\" directive");
        return NGX_CONF_ERROR;
    }

    if (ngx_strchr(" \t\n\v\f\r", value->data[0])
        || ngx_strchr(" \t\n\v\f\r", value->data[value->len - 1]))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a secret in \"jelou_secret\" directive "
                           "begins or ends with white space");
        return NGX_CONF_ERROR;
    }

    secret = ngx_array_push(&secrets->secrets);
    if (secret == NULL) {
        return NGX_CONF_ERROR;
    }

    secret->key = NULL;
    secret->value = NULL;

    if (ngx_http_script_variables_count(value)) {

        secret->value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
        if (secret->value == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

        ccv.cf = cf;
        ccv.value = value;
        ccv.complex_value = secret->value;

        if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    if (value->len < NGX_HTTP_JELOU_SECRET_SHORT) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "a secret in \"jelou_secret\" directive "
                           "has fewer than %d bytes",
                           NGX_HTTP_JELOU_SECRET_SHORT);
    }

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_jelou_known_t));
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    secret->key = ngx_http_jelou_key_create(value->data, value->len, cf->log);

    known = cln->data;
    known->key = secret->key;
    known->value = *value;

    cln->handler = ngx_http_jelou_secret_forget;

    return secret->key ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static void
ngx_http_jelou_secret_forget(void *data)
{
    ngx_http_jelou_known_t  *known = data;

    ngx_http_jelou_key_free(known->key);
    OPENSSL_cleanse(known->value.data, known->value.len);
}


ngx_int_t
ngx_http_jelou_secrets_verify(ngx_http_request_t *r,
    ngx_http_jelou_secrets_t *secrets, ngx_chain_t *body, u_char *digest)
{
    u_char                    expected[NGX_HTTP_JELOU_DIGEST_LEN];
    ngx_int_t                 rc;
    ngx_uint_t                i, equal;
    ngx_http_jelou_secret_t  *secret;

    secret = secrets->secrets.elts;
    rc = NGX_DECLINED;

    for (i = 0; i < secrets->secrets.nelts && rc == NGX_DECLINED; i++) {

        rc = ngx_http_jelou_secret_digest(r, &secret[i], body, expected);

        if (rc == NGX_OK) {
            equal = ngx_http_jelou_digest_equal(expected, digest);
            rc = equal ? NGX_OK : NGX_DECLINED;
        }
    }

    OPENSSL_cleanse(expected, NGX_HTTP_JELOU_DIGEST_LEN);

    return rc;
}


/*
 * NGX_DECLINED: there is no such secret.  A value with variables that is
 * empty is none, or anybody could sign.
 */

static ngx_int_t
ngx_http_jelou_secret_digest(ngx_http_request_t *r,
    ngx_http_jelou_secret_t *secret, ngx_chain_t *body, u_char *digest)
{
    ngx_int_t              rc;
    ngx_str_t              value;
    ngx_http_jelou_key_t  *key;

    if (secret->key) {
        return ngx_http_jelou_hmac(secret->key, body, digest,
                                   r->connection->log);
    }

    if (ngx_http_complex_value(r, secret->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len == 0) {
        return NGX_DECLINED;
    }

    key = ngx_http_jelou_key_create(value.data, value.len, r->connection->log);
    if (key == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_jelou_hmac(key, body, digest, r->connection->log);

    ngx_http_jelou_key_free(key);

    return rc;
}
