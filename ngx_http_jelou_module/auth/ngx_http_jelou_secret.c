
/*
 * Signing secrets: those of a directive, and which one holds.
 */


#include "ngx_http_jelou_secret.h"
#include "ngx_http_jelou_id.h"

#include <openssl/crypto.h>


/* a secret in the memory of a configuration, to be forgotten with it */

typedef struct {
    ngx_http_jelou_key_t        *key;
    ngx_str_t                    value;
} ngx_http_jelou_known_t;


static ngx_int_t ngx_http_jelou_secret_valid(ngx_conf_t *cf, ngx_str_t *value,
    const char *directive);
static void ngx_http_jelou_secret_forget(void *data);
static ngx_array_t *ngx_http_jelou_secret_find(
    ngx_http_jelou_secrets_t *secrets, ngx_str_t *project);
static ngx_int_t ngx_http_jelou_secret_digest(ngx_http_request_t *r,
    ngx_http_jelou_secrets_t *secrets, ngx_http_jelou_secret_t *secret,
    ngx_chain_t *body, u_char *digest);


ngx_http_jelou_secrets_t *
ngx_http_jelou_secrets_create(ngx_conf_t *cf)
{
    ngx_http_jelou_secrets_t  *secrets;

    secrets = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_secrets_t));
    if (secrets == NULL) {
        return NULL;
    }

    if (ngx_array_init(&secrets->secrets, cf->pool, 2,
                       sizeof(ngx_http_jelou_secret_t))
        != NGX_OK)
    {
        return NULL;
    }

    ngx_rbtree_init(&secrets->projects, &secrets->sentinel,
                    ngx_str_rbtree_insert_value);

    return secrets;
}


char *
ngx_http_jelou_secrets_add(ngx_conf_t *cf, ngx_http_jelou_secrets_t *secrets,
    ngx_str_t *value, const char *directive, ngx_uint_t place)
{
    ngx_http_jelou_secret_t  *secret;

    if (ngx_http_jelou_secret_valid(cf, value, directive) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    secret = ngx_array_push(&secrets->secrets);
    if (secret == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(secret, sizeof(ngx_http_jelou_secret_t));

    secret->place = place;

    secrets->directive = 1;
    secrets->most = ngx_max(secrets->most, secrets->secrets.nelts);

    if (ngx_http_script_variables_count(value) == 0) {

        if (value->len < NGX_HTTP_JELOU_SECRET_SHORT) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "a secret in \"%s\" directive has fewer than "
                               "%d bytes", directive,
                               NGX_HTTP_JELOU_SECRET_SHORT);
        }

        secret->key = ngx_http_jelou_secret_key(cf, value, value);

        return secret->key ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    secret->value = ngx_http_jelou_complex_value(cf, value);
    if (secret->value == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_jelou_secret_dummy(cf, secrets);
}


ngx_http_complex_value_t *
ngx_http_jelou_complex_value(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (cv == NULL) {
        return NULL;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    return ngx_http_compile_complex_value(&ccv) == NGX_OK ? cv : NULL;
}


static ngx_int_t
ngx_http_jelou_secret_valid(ngx_conf_t *cf, ngx_str_t *value,
    const char *directive)
{
    ngx_uint_t  i;

    if (value->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty secret in \"%s\" directive", directive);
        return NGX_ERROR;
    }

    if (ngx_http_jelou_space(value->data[0])
        || ngx_http_jelou_space(value->data[value->len - 1]))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a secret in \"%s\" directive begins or ends "
                           "with white space", directive);
        return NGX_ERROR;
    }

    /* what would be a secret, and another one than is meant */

    if (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"off\" is no secret: in \"%s\" directive it "
                           "stands alone", directive);
        return NGX_ERROR;
    }

    for (i = 0; i + 1 < value->len; i++) {

        if (value->data[i] == '$'
            && value->data[i + 1] >= '1' && value->data[i + 1] <= '9')
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"$\" and a digit in a secret in "
                               "\"%s\" directive are what a regular "
                               "expression has captured, not a part of the "
                               "secret", directive);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_http_jelou_key_t *
ngx_http_jelou_secret_key(ngx_conf_t *cf, ngx_str_t *value, ngx_str_t *wiped)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_jelou_known_t  *known;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_http_jelou_known_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_jelou_secret_forget;

    known = cln->data;
    known->key = ngx_http_jelou_key_create(value->data, value->len, cf->log);
    known->value = *wiped;

    return known->key;
}


static void
ngx_http_jelou_secret_forget(void *data)
{
    ngx_http_jelou_known_t  *known = data;

    ngx_http_jelou_key_free(known->key);
    OPENSSL_cleanse(known->value.data, known->value.len);
}


char *
ngx_http_jelou_secret_dummy(ngx_conf_t *cf, ngx_http_jelou_secrets_t *secrets)
{
    ngx_str_t  random;

    if (secrets->dummy) {
        return NGX_CONF_OK;
    }

    if (ngx_http_jelou_id_random(secrets->random, sizeof(secrets->random),
                                 cf->log)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    random.data = secrets->random;
    random.len = sizeof(secrets->random);

    secrets->dummy = ngx_http_jelou_secret_key(cf, &random, &random);

    return secrets->dummy ? NGX_CONF_OK : NGX_CONF_ERROR;
}


ngx_int_t
ngx_http_jelou_secrets_verify(ngx_http_request_t *r,
    ngx_http_jelou_secrets_t *secrets, ngx_str_t *project, ngx_chain_t *body,
    u_char *digest, ngx_http_jelou_secret_t **secret)
{
    u_char                    expected[NGX_HTTP_JELOU_DIGEST_LEN];
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_array_t              *own;
    ngx_http_jelou_secret_t  *s;

    own = ngx_http_jelou_secret_find(secrets, project);

    s = own->elts;
    rc = NGX_DECLINED;

    for (i = 0; i < own->nelts && rc == NGX_DECLINED; i++) {
        rc = ngx_http_jelou_secret_digest(r, secrets, &s[i], body, expected);

        if (rc == NGX_OK) {

            if (ngx_http_jelou_digest_equal(expected, digest)) {
                *secret = &s[i];

            } else {
                rc = NGX_DECLINED;
            }
        }
    }

    /*
     * nobody shall learn from the time which projects there are, or which of
     * them have two secrets
     */

    for ( /* void */ ; secrets->dummy && i < secrets->most
                       && rc == NGX_DECLINED; i++)
    {
        rc = ngx_http_jelou_hmac(secrets->dummy, body, expected,
                                 r->connection->log);

        if (rc == NGX_OK) {
            (void) ngx_http_jelou_digest_equal(expected, digest);
            rc = NGX_DECLINED;
        }
    }

    OPENSSL_cleanse(expected, NGX_HTTP_JELOU_DIGEST_LEN);

    return rc;
}


ngx_int_t
ngx_http_jelou_secrets_sign(ngx_http_request_t *r,
    ngx_http_jelou_secrets_t *secrets, ngx_str_t *project, ngx_chain_t *body,
    u_char *digest)
{
    ngx_array_t              *own;
    ngx_http_jelou_secret_t  *secret;

    own = ngx_http_jelou_secret_find(secrets, project);

    if (own->nelts == 0) {
        return NGX_DECLINED;
    }

    secret = own->elts;

    return ngx_http_jelou_secret_digest(r, secrets, &secret[own->nelts - 1],
                                        body, digest);
}


static ngx_array_t *
ngx_http_jelou_secret_find(ngx_http_jelou_secrets_t *secrets,
    ngx_str_t *project)
{
    uint32_t                   hash;
    ngx_http_jelou_project_t  *p;

    hash = ngx_murmur_hash2(project->data, project->len);

    p = (ngx_http_jelou_project_t *) ngx_str_rbtree_lookup(&secrets->projects,
                                                           project, hash);
    if (p) {
        return &p->secrets;
    }

    return &secrets->secrets;
}


/*
 * NGX_DECLINED: there is no such secret.  A value with variables that is
 * empty is none, or anybody could sign; it takes as long as another.
 */

static ngx_int_t
ngx_http_jelou_secret_digest(ngx_http_request_t *r,
    ngx_http_jelou_secrets_t *secrets, ngx_http_jelou_secret_t *secret,
    ngx_chain_t *body, u_char *digest)
{
    ngx_int_t              rc;
    ngx_str_t              value;
    ngx_uint_t             none;
    ngx_http_jelou_key_t  *key;

    if (secret->key) {
        return ngx_http_jelou_hmac(secret->key, body, digest,
                                   r->connection->log);
    }

    if (ngx_http_complex_value(r, secret->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    none = (value.len == 0);

    if (none) {
        value.data = secrets->random;
        value.len = sizeof(secrets->random);
    }

    key = ngx_http_jelou_key_create(value.data, value.len, r->connection->log);
    if (key == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_jelou_hmac(key, body, digest, r->connection->log);

    ngx_http_jelou_key_free(key);

    return rc == NGX_OK && none ? NGX_DECLINED : rc;
}
