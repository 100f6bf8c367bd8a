
/*
 * X-Jelou-Signature: HMAC-SHA256 over OpenSSL.
 */


#include "ngx_http_jelou_signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>


static ngx_uint_t ngx_http_jelou_key_restarts(ngx_http_jelou_key_t *key);
static void ngx_http_jelou_signature_error(ngx_log_t *log, const char *what);


/* the values of hex digits of either case, 0x80 for what is none */

#define NGX_HTTP_JELOU_NONE8  0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80
#define NGX_HTTP_JELOU_NONE16 NGX_HTTP_JELOU_NONE8, NGX_HTTP_JELOU_NONE8
#define NGX_HTTP_JELOU_NONE64 NGX_HTTP_JELOU_NONE16, NGX_HTTP_JELOU_NONE16,   \
                              NGX_HTTP_JELOU_NONE16, NGX_HTTP_JELOU_NONE16

static const u_char  ngx_http_jelou_hex[256] = {
    NGX_HTTP_JELOU_NONE16, NGX_HTTP_JELOU_NONE16, NGX_HTTP_JELOU_NONE16,
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
    0x80, 10, 11, 12, 13, 14, 15, 0x80, NGX_HTTP_JELOU_NONE8,
    NGX_HTTP_JELOU_NONE16,
    0x80, 10, 11, 12, 13, 14, 15, 0x80, NGX_HTTP_JELOU_NONE8,
    NGX_HTTP_JELOU_NONE16,
    NGX_HTTP_JELOU_NONE64, NGX_HTTP_JELOU_NONE64
};


/* a context can be used again, and need not be duplicated for each body */

static ngx_uint_t  ngx_http_jelou_restarts;


ngx_http_jelou_key_t *
ngx_http_jelou_key_create(u_char *data, size_t len, ngx_log_t *log)
{
    OSSL_PARAM    params[2];
    EVP_MAC_CTX  *key;

    static EVP_MAC  *mac;

    if (mac == NULL) {
        mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

        if (mac == NULL) {
            ngx_http_jelou_signature_error(log, "EVP_MAC_fetch()");
            return NULL;
        }
    }

    key = EVP_MAC_CTX_new(mac);

    if (key == NULL) {
        ngx_http_jelou_signature_error(log, "EVP_MAC_CTX_new()");
        return NULL;
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (EVP_MAC_init(key, data, len, params) != 1) {
        ngx_http_jelou_signature_error(log, "EVP_MAC_init()");
        EVP_MAC_CTX_free(key);
        return NULL;
    }

    if (!ngx_http_jelou_restarts) {
        ngx_http_jelou_restarts = ngx_http_jelou_key_restarts(key);
    }

    return key;
}


/*
 * Since a release of OpenSSL 3.0, EVP_MAC_init() without a key begins a new
 * HMAC with the key that is there; before, it does nothing and succeeds.
 */

static ngx_uint_t
ngx_http_jelou_key_restarts(ngx_http_jelou_key_t *key)
{
    u_char        first[NGX_HTTP_JELOU_DIGEST_LEN];
    u_char        second[NGX_HTTP_JELOU_DIGEST_LEN];
    size_t        len;
    ngx_uint_t    restarts;
    EVP_MAC_CTX  *ctx;

    ctx = EVP_MAC_CTX_dup(key);

    restarts = ctx
               && EVP_MAC_update(ctx, (u_char *) "", 1)
               && EVP_MAC_final(ctx, first, &len, sizeof(first))
               && EVP_MAC_init(ctx, NULL, 0, NULL)
               && EVP_MAC_update(ctx, (u_char *) "", 1)
               && EVP_MAC_final(ctx, second, &len, sizeof(second))
               && ngx_http_jelou_digest_equal(first, second);

    EVP_MAC_CTX_free(ctx);
    ERR_clear_error();

    return restarts;
}


void
ngx_http_jelou_key_free(ngx_http_jelou_key_t *key)
{
    /* HMAC contexts are cleansed by OpenSSL when they are freed */

    EVP_MAC_CTX_free(key);
}


ngx_int_t
ngx_http_jelou_hmac(ngx_http_jelou_key_t *key, ngx_chain_t *body,
    u_char *digest, ngx_log_t *log)
{
    int           ok;
    size_t        len;
    ngx_chain_t  *cl;
    EVP_MAC_CTX  *ctx;

    if (ngx_http_jelou_restarts) {
        ctx = key;
        ok = EVP_MAC_init(ctx, NULL, 0, NULL);

    } else {
        ctx = EVP_MAC_CTX_dup(key);
        ok = (ctx != NULL);
    }

    for (cl = body; cl && ok; cl = cl->next) {
        ok = EVP_MAC_update(ctx, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    ok = ok && EVP_MAC_final(ctx, digest, &len, NGX_HTTP_JELOU_DIGEST_LEN)
         && len == NGX_HTTP_JELOU_DIGEST_LEN;

    if (ctx != key) {
        EVP_MAC_CTX_free(ctx);
    }

    if (!ok) {
        ngx_http_jelou_signature_error(log, "HMAC");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_sha256(ngx_str_t *text, u_char *digest, ngx_log_t *log)
{
    /* one for all calls of a worker, fetched by the first */

    static EVP_MD      *md;
    static EVP_MD_CTX  *ctx;

    if (md == NULL) {
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
    }

    if (ctx == NULL) {
        ctx = EVP_MD_CTX_new();
    }

    if (md == NULL || ctx == NULL
        || !EVP_DigestInit_ex2(ctx, md, NULL)
        || !EVP_DigestUpdate(ctx, text->data, text->len)
        || !EVP_DigestFinal_ex(ctx, digest, NULL))
    {
        ngx_http_jelou_signature_error(log, "SHA-256");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_signature_parse(ngx_str_t *value, u_char *digest)
{
    u_char      *p, high, low, bad;
    ngx_uint_t   i;

    if (value->len != NGX_HTTP_JELOU_SIGNATURE_LEN
        || ngx_memcmp(value->data, "sha256=", sizeof("sha256=") - 1) != 0)
    {
        return NGX_DECLINED;
    }

    p = value->data + sizeof("sha256=") - 1;
    bad = 0;

    for (i = 0; i < NGX_HTTP_JELOU_DIGEST_LEN; i++) {
        high = ngx_http_jelou_hex[*p++];
        low = ngx_http_jelou_hex[*p++];

        bad |= high | low;
        digest[i] = (u_char) (high << 4 | (low & 0x0f));
    }

    return bad & 0x80 ? NGX_DECLINED : NGX_OK;
}


void
ngx_http_jelou_signature_write(u_char *dst, u_char *digest)
{
    dst = ngx_cpymem(dst, "sha256=", sizeof("sha256=") - 1);
    (void) ngx_hex_dump(dst, digest, NGX_HTTP_JELOU_DIGEST_LEN);
}


ngx_uint_t
ngx_http_jelou_digest_equal(u_char *one, u_char *two)
{
    return CRYPTO_memcmp(one, two, NGX_HTTP_JELOU_DIGEST_LEN) == 0;
}


static void
ngx_http_jelou_signature_error(ngx_log_t *log, const char *what)
{
    const char  *reason;

    /* a reason is a text of OpenSSL's own: no input can be in it */

    reason = ERR_reason_error_string(ERR_peek_error());

    ngx_log_error(NGX_LOG_CRIT, log, 0, "jelou: %s failed: %s", what,
                  reason ? reason : "no reason given");

    ERR_clear_error();
}
