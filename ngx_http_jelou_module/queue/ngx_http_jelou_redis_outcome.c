
/*
 * What the reply to an event's command means.
 */


#include "ngx_http_jelou_redis_outcome.h"


static ngx_int_t ngx_http_jelou_redis_appended(
    ngx_http_jelou_redis_outcome_t *outcome, u_char *p, u_char *last);
static ngx_int_t ngx_http_jelou_redis_same(
    ngx_http_jelou_redis_outcome_t *outcome, u_char *p, u_char *last);
static u_char *ngx_http_jelou_redis_skip_digits(u_char *p, u_char *last);


ngx_int_t
ngx_http_jelou_redis_outcome(ngx_http_jelou_redis_outcome_t *outcome,
    ngx_http_jelou_redis_reply_t *reply)
{
    u_char     *p, *last;
    ngx_str_t   cause;

    if (reply->odd) {
        return NGX_DECLINED;
    }

    if (reply->type == REDIS_REPLY_ERROR) {

        ngx_http_jelou_redis_reply_cause(reply, &cause);

        outcome->result = outcome->script
                          && cause.len == sizeof("NOSCRIPT") - 1
                          && ngx_memcmp(cause.data, "NOSCRIPT", cause.len) == 0
                          ? NGX_HTTP_JELOU_REDIS_NOSCRIPT
                          : NGX_HTTP_JELOU_REDIS_DENIED;

        return NGX_OK;
    }

    if (reply->type != REDIS_REPLY_STRING || reply->len == 0
        || reply->len > NGX_HTTP_JELOU_REDIS_TEXT)
    {
        return NGX_DECLINED;
    }

    p = reply->text;
    last = p + reply->len;

    switch (*p) {

    case '=':
        outcome->result = NGX_HTTP_JELOU_REDIS_SAME;
        return outcome->key ? ngx_http_jelou_redis_same(outcome, p + 1, last)
                            : NGX_DECLINED;

    case '!':
        outcome->result = NGX_HTTP_JELOU_REDIS_OTHER;
        return outcome->key && reply->len == 1 ? NGX_OK : NGX_DECLINED;

    case '#':
        outcome->result = NGX_HTTP_JELOU_REDIS_FULL;
        return outcome->limit && reply->len == 1 ? NGX_OK : NGX_DECLINED;

    default:
        outcome->result = NGX_HTTP_JELOU_REDIS_APPENDED;
        return ngx_http_jelou_redis_appended(outcome, p, last);
    }
}


/*
 * An entry's id, which is milliseconds and a number in them; and how many
 * entries were dropped, if any were
 */

static ngx_int_t
ngx_http_jelou_redis_appended(ngx_http_jelou_redis_outcome_t *outcome,
    u_char *p, u_char *last)
{
    u_char     *start;
    ngx_int_t   dropped;

    start = p;
    p = ngx_http_jelou_redis_skip_digits(p, last);

    if (p == start || p == last || *p++ != '-') {
        return NGX_DECLINED;
    }

    start = p;
    p = ngx_http_jelou_redis_skip_digits(p, last);

    if (p == start) {
        return NGX_DECLINED;
    }

    if (p == last) {
        return NGX_OK;
    }

    if (!outcome->maxlen || *p++ != ' ') {
        return NGX_DECLINED;
    }

    dropped = ngx_atoi(p, last - p);

    if (dropped == NGX_ERROR) {
        return NGX_DECLINED;
    }

    outcome->dropped = dropped;

    return NGX_OK;
}


static u_char *
ngx_http_jelou_redis_skip_digits(u_char *p, u_char *last)
{
    while (p < last && *p >= '0' && *p <= '9') { p++; }

    return p;
}


/*
 * What has been stored behind the SHA-256: random bytes in hex, if there are
 * any; an older version has stored the entry's id before them.
 */

static ngx_int_t
ngx_http_jelou_redis_same(ngx_http_jelou_redis_outcome_t *outcome, u_char *p,
    u_char *last)
{
    ngx_int_t   n;
    ngx_uint_t  i;

    if (!outcome->random) {
        return NGX_OK;
    }

    if (last - p < 2 * NGX_HTTP_JELOU_RANDOM_LEN) {
        return NGX_DECLINED;
    }

    p = last - 2 * NGX_HTTP_JELOU_RANDOM_LEN;

    for (i = 0; i < NGX_HTTP_JELOU_RANDOM_LEN; i++) {
        n = ngx_hextoi(p, 2);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        outcome->stored[i] = (u_char) n;
        p += 2;
    }

    return NGX_OK;
}
