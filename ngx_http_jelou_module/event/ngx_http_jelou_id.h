
/*
 * Identifiers that the module makes, of OpenSSL's randomness.
 */


#ifndef _NGX_HTTP_JELOU_ID_H_INCLUDED_
#define _NGX_HTTP_JELOU_ID_H_INCLUDED_


#include "ngx_http_jelou_parse.h"


#define NGX_HTTP_JELOU_UUID_LEN                                               \
    (sizeof("00000000-0000-4000-8000-000000000000") - 1)


/*
 * Fills random with what nobody can foretell.  Returns NGX_OK, or NGX_ERROR
 * with a log line.
 */
ngx_int_t ngx_http_jelou_id_random(u_char *random, size_t len, ngx_log_t *log);

/*
 * Makes the value a message id: "msg_" and the NGX_HTTP_JELOU_RANDOM_LEN
 * bytes of random in hex.  It is allocated in the pool.  Returns NGX_OK, or
 * NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_id_message(ngx_pool_t *pool,
    ngx_http_jelou_value_t *value, u_char *random);

/*
 * Makes the value a UUID of version 4 (RFC 9562, section 5.4), allocated in
 * the pool.  Returns NGX_OK, or NGX_ERROR with a log line.
 */
ngx_int_t ngx_http_jelou_id_uuid(ngx_pool_t *pool,
    ngx_http_jelou_value_t *value);


#endif /* _NGX_HTTP_JELOU_ID_H_INCLUDED_ */
