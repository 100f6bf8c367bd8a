
/*
 * X-Jelou-Signature: HMAC-SHA256 over OpenSSL.
 */


#ifndef _NGX_HTTP_JELOU_SIGNATURE_H_INCLUDED_
#define _NGX_HTTP_JELOU_SIGNATURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>


#define NGX_HTTP_JELOU_DIGEST_LEN     32
#define NGX_HTTP_JELOU_SIGNATURE_LEN                                          \
    (sizeof("sha256=") - 1 + 2 * NGX_HTTP_JELOU_DIGEST_LEN)


/*
 * An HMAC-SHA256 with its key: what follows a key is the same for each body.
 * One call at a time uses it.
 */
typedef EVP_MAC_CTX  ngx_http_jelou_key_t;


/*
 * Makes a key of the len bytes at data, which may be forgotten afterwards.
 * Returns NULL, with a log line, if OpenSSL fails.  The caller frees it.
 */
ngx_http_jelou_key_t *ngx_http_jelou_key_create(u_char *data, size_t len,
    ngx_log_t *log);

/* Frees a key and wipes it from memory. */
void ngx_http_jelou_key_free(ngx_http_jelou_key_t *key);

/*
 * Computes the HMAC of the body, given as a chain of buffers in memory, into
 * digest, which has room for NGX_HTTP_JELOU_DIGEST_LEN bytes.  Returns
 * NGX_OK, or NGX_ERROR with a log line; then the digest has no meaning.
 */
ngx_int_t ngx_http_jelou_hmac(ngx_http_jelou_key_t *key, ngx_chain_t *body,
    u_char *digest, ngx_log_t *log);

/*
 * Computes the SHA-256 of a text, likewise, into digest.  Returns NGX_OK, or
 * NGX_ERROR with a log line.
 */
ngx_int_t ngx_http_jelou_sha256(ngx_str_t *text, u_char *digest,
    ngx_log_t *log);

/*
 * Reads the header's value: "sha256=" and 64 hex digits of either case, and
 * nothing else.  Returns NGX_OK and the digest, or NGX_DECLINED.
 */
ngx_int_t ngx_http_jelou_signature_parse(ngx_str_t *value, u_char *digest);

/*
 * Writes the header's value for a digest, NGX_HTTP_JELOU_SIGNATURE_LEN bytes.
 */
void ngx_http_jelou_signature_write(u_char *dst, u_char *digest);

/* Returns 1 if the digests are equal, in a time that does not tell where. */
ngx_uint_t ngx_http_jelou_digest_equal(u_char *one, u_char *two);


#endif /* _NGX_HTTP_JELOU_SIGNATURE_H_INCLUDED_ */
