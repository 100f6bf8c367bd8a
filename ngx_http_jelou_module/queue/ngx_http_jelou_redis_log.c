
/*
 * What is logged of servers: once a second for a cause and a server.
 */


#include "ngx_http_jelou_redis_conn.h"


static ngx_http_jelou_redis_logged_t *ngx_http_jelou_redis_logged(
    ngx_http_jelou_redis_target_t *target, uint32_t hash);


ngx_int_t
ngx_http_jelou_redis_log(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *server, ngx_log_t *log, ngx_err_t err, const char *what,
    ngx_str_t *detail)
{
    u_char                         *p, *last, text[NGX_MAX_ERROR_STR / 4];
    uint32_t                        hash;
    ngx_str_t                       none;
    ngx_http_jelou_redis_logged_t  *cause;

    ngx_str_null(&none);

    detail = detail ? detail : &none;
    server = server ? server : &none;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, (u_char *) what, ngx_strlen(what));
    ngx_crc32_update(&hash, detail->data, detail->len);
    ngx_crc32_update(&hash, server->data, server->len);
    ngx_crc32_final(hash);

    cause = ngx_http_jelou_redis_logged(target, hash);

    if (cause->hash != hash) {
        cause->hash = hash;
        cause->more = 0;

    } else if (cause->sec == ngx_time()) {
        cause->more++;
        return NGX_DECLINED;
    }

    cause->sec = ngx_time();

    /* the log of a request says what request it is, ours which server */

    p = last = text;

    if (cause->more) {
        last = ngx_snprintf(p, sizeof(text), ", %ui more before", cause->more);
    }

    if (log != &target->log && server->len) {
        last = ngx_snprintf(last, text + sizeof(text) - last,
                            ", upstream: \"redis://%V\"", server);
    }

    target->log.data = server->len ? server : NULL;

    ngx_log_error(NGX_LOG_ERR, log, err, "jelou: %s%V%*s",
                  what, detail, (size_t) (last - p), p);

    target->log.data = NULL;
    cause->more = 0;

    return NGX_OK;
}


/* The cause's, or the one that was logged the longest time ago */

static ngx_http_jelou_redis_logged_t *
ngx_http_jelou_redis_logged(ngx_http_jelou_redis_target_t *target,
    uint32_t hash)
{
    ngx_uint_t                      i;
    ngx_http_jelou_redis_logged_t  *cause, *s;

    cause = &target->logged[0];

    for (i = 0; i < NGX_HTTP_JELOU_REDIS_NCAUSES; i++) {
        s = &target->logged[i];

        if (s->hash == hash) {
            return s;
        }

        if (s->sec < cause->sec) {
            cause = s;
        }
    }

    return cause;
}


u_char *
ngx_http_jelou_redis_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_str_t  *server = log->data;

    if (server == NULL) {
        return buf;
    }

    return ngx_snprintf(buf, len, ", upstream: \"redis://%V\"", server);
}
