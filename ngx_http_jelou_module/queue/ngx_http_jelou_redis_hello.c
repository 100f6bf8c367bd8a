
/*
 * What is sent first on a connection, and answered before anything else is.
 */


#include "ngx_http_jelou_queue_status.h"


static void ngx_http_jelou_redis_hello_refused(
    ngx_http_jelou_redis_conn_t *conn, ngx_str_t *cause);


ngx_int_t
ngx_http_jelou_redis_hello(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_uint_t                        i;
    ngx_http_jelou_redis_settings_t  *settings;

    settings = conn->target->settings;

    for (i = settings->nhello; i; i--) {
        if (ngx_http_jelou_redis_conn_add(conn, &settings->hello[i - 1])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    conn->hello = settings->nhello;

    return NGX_OK;
}


/*
 * Without AUTH and SELECT there is no use in the connection; without the script
 * there is, for it can be sent later.
 */

ngx_int_t
ngx_http_jelou_redis_greeted(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_reply_t *reply)
{
    ngx_str_t  cause;

    if (reply->odd
        || (reply->type != REDIS_REPLY_STATUS
            && reply->type != REDIS_REPLY_ERROR
            && (reply->type != REDIS_REPLY_STRING || conn->hello > 1)))
    {
        return NGX_DECLINED;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_http_jelou_redis_reply_cause(reply, &cause);

        if (conn->hello > 1 || ngx_strncmp(cause.data, "NOAUTH", 6) == 0
            || ngx_strncmp(cause.data, "LOADING", 7) == 0)
        {
            ngx_http_jelou_redis_hello_refused(conn, &cause);
            ngx_http_jelou_redis_conn_close(conn, NGX_HTTP_JELOU_REDIS_LOST,
                                            0);
            return NGX_OK;
        }
    }

    if (--conn->hello == 0) {
        conn->ready = 1;
        ngx_http_jelou_queue_opened(conn);

        ngx_del_timer(conn->peer.connection->read);

        ngx_http_jelou_redis_target_ready(conn);
    }

    return NGX_OK;
}


/* Names the command, the first word of its text, and never what follows. */

static void
ngx_http_jelou_redis_hello_refused(ngx_http_jelou_redis_conn_t *conn,
    ngx_str_t *cause)
{
    u_char     *p, *last, what[64];
    ngx_str_t   detail;

    p = conn->target->settings->hello[conn->hello - 1].data;

    /* "*2", "$4", "AUTH" */

    p = (u_char *) ngx_strchr(p, LF) + 1;
    p = (u_char *) ngx_strchr(p, LF) + 1;
    last = (u_char *) ngx_strchr(p, CR);

    detail.data = what;
    detail.len = ngx_snprintf(what, sizeof(what), "%*s: %V",
                              (size_t) (last - p), p, cause)
                 - what;

    (void) ngx_http_jelou_redis_log(conn->target, &conn->name,
                                    &conn->target->log, 0, "redis refused ",
                                    &detail);
}
