
/*
 * What is logged of servers: once a second for a cause and a server.
 */


#include "ngx_http_jelou_redis_conn.h"


static ngx_http_jelou_redis_said_t *ngx_http_jelou_redis_said(
    ngx_http_jelou_redis_target_t *target, uint32_t hash);


ngx_int_t
ngx_http_jelou_redis_log(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *server, ngx_log_t *log, ngx_err_t err, const char *what,
    ngx_str_t *detail)
{
    u_char                       *p, *last, text[NGX_MAX_ERROR_STR / 4];
    uint32_t                      hash;
    ngx_str_t                     none;
    ngx_http_jelou_redis_said_t  *said;

    ngx_str_null(&none);

    detail = detail ? detail : &none;
    server = server ? server : &none;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, (u_char *) what, ngx_strlen(what));
    ngx_crc32_update(&hash, detail->data, detail->len);
    ngx_crc32_update(&hash, server->data, server->len);
    ngx_crc32_final(hash);

    said = ngx_http_jelou_redis_said(target, hash);

    if (said->hash != hash) {
        said->hash = hash;
        said->more = 0;

    } else if (said->sec == ngx_time()) {
        said->more++;
        return NGX_DECLINED;
    }

    said->sec = ngx_time();

    /* the log of a request says what request it is, ours which server */

    p = last = text;

    if (said->more) {
        last = ngx_snprintf(p, sizeof(text), ", %ui more before", said->more);
    }

    if (log != &target->log && server->len) {
        last = ngx_snprintf(last, text + sizeof(text) - last,
                            ", upstream: \"redis://%V\"", server);
    }

    target->log.data = server->len ? server : NULL;

    ngx_log_error(NGX_LOG_ERR, log, err, "jelou: %s%V%*s",
                  what, detail, (size_t) (last - p), p);

    target->log.data = NULL;
    said->more = 0;

    return NGX_OK;
}


/* The cause's, or the one that was logged the longest time ago */

static ngx_http_jelou_redis_said_t *
ngx_http_jelou_redis_said(ngx_http_jelou_redis_target_t *target, uint32_t hash)
{
    ngx_uint_t                    i;
    ngx_http_jelou_redis_said_t  *said, *s;

    said = &target->said[0];

    for (i = 0; i < NGX_HTTP_JELOU_REDIS_NCAUSES; i++) {
        s = &target->said[i];

        if (s->hash == hash) {
            return s;
        }

        if (s->sec < said->sec) {
            said = s;
        }
    }

    return said;
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
