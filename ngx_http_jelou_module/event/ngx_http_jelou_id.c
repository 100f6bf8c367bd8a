
/*
 * Identifiers that the module makes, of OpenSSL's randomness.
 */


#include "ngx_http_jelou_id.h"

#include <openssl/err.h>
#include <openssl/rand.h>


ngx_int_t
ngx_http_jelou_id_random(u_char *random, size_t len, ngx_log_t *log)
{
    if (RAND_bytes(random, (int) len) == 1) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_CRIT, log, 0, "jelou: RAND_bytes() failed");
    ERR_clear_error();

    return NGX_ERROR;
}


ngx_int_t
ngx_http_jelou_id_message(ngx_pool_t *pool, ngx_http_jelou_value_t *value,
    u_char *random)
{
    u_char  *p;

    p = ngx_pnalloc(pool, sizeof("msg_") - 1 + 2 * NGX_HTTP_JELOU_RANDOM_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value->data = p;

    p = ngx_cpymem(p, "msg_", sizeof("msg_") - 1);
    p = ngx_hex_dump(p, random, NGX_HTTP_JELOU_RANDOM_LEN);

    value->len = (uint32_t) (p - value->data);
    value->type = NGX_HTTP_JELOU_STRING;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_id_uuid(ngx_pool_t *pool, ngx_http_jelou_value_t *value)
{
    u_char      *p, random[16];
    ngx_uint_t   i;

    p = ngx_pnalloc(pool, NGX_HTTP_JELOU_UUID_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_jelou_id_random(random, sizeof(random), pool->log) != NGX_OK) {
        return NGX_ERROR;
    }

    random[6] = (u_char) (0x40 | (random[6] & 0x0f));    /* the version */
    random[8] = (u_char) (0x80 | (random[8] & 0x3f));    /* the variant */

    value->data = p;
    value->len = NGX_HTTP_JELOU_UUID_LEN;
    value->type = NGX_HTTP_JELOU_STRING;

    for (i = 0; i < sizeof(random); i++) {

        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *p++ = '-';
        }

        p = ngx_hex_dump(p, &random[i], 1);
    }

    return NGX_OK;
}
