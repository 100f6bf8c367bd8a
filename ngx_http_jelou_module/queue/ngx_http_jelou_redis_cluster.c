
/*
 * A cluster: who has a slot is learned from redirections, and remembered until
 * the next one.
 */


#include "ngx_http_jelou_queue_status.h"


#define NGX_HTTP_JELOU_REDIS_NSLOTS     16384

/* so often a command may be sent elsewhere; a cluster that is well says it
   once, and once more while a slot moves */

#define NGX_HTTP_JELOU_REDIS_REDIRECTS  8

/* how long the keys of a slot that moves are waited for, ms */

#define NGX_HTTP_JELOU_REDIS_AGAIN      20


static ngx_uint_t ngx_http_jelou_redis_hash(ngx_str_t *key);
static ngx_int_t ngx_http_jelou_redis_moved(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd, u_char *p, u_char *last,
    ngx_uint_t asking);
static ngx_int_t ngx_http_jelou_redis_slots(
    ngx_http_jelou_redis_target_t *target);
static ngx_int_t ngx_http_jelou_redis_later(
    ngx_http_jelou_redis_target_t *target, ngx_http_jelou_redis_cmd_t *cmd);


ngx_http_jelou_redis_conn_t *
ngx_http_jelou_redis_slot(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd)
{
    return cmd->key.len ? target->slots[ngx_http_jelou_redis_hash(&cmd->key)]
                        : NULL;
}


/* CRC16 of what stands in the first braces, if anything does, or of all */

static ngx_uint_t
ngx_http_jelou_redis_hash(ngx_str_t *key)
{
    u_char      *p, *last, *open, *close;
    uint32_t     crc;
    ngx_uint_t   i;

    p = key->data;
    last = p + key->len;

    open = ngx_strlchr(p, last, '{');
    close = open ? ngx_strlchr(open, last, '}') : NULL;

    if (close && close > open + 1) {
        p = open + 1;
        last = close;
    }

    for (crc = 0; p < last; p++) {
        crc ^= (uint32_t) *p << 8;

        for (i = 0; i < 8; i++) {
            crc = (crc << 1) ^ (crc & 0x8000 ? 0x11021 : 0);
        }
    }

    return crc % NGX_HTTP_JELOU_REDIS_NSLOTS;
}


void
ngx_http_jelou_redis_forget(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_conn_t *conn, ngx_http_jelou_redis_cmd_t *cmd)
{
    ngx_uint_t  i;

    if (target->slots == NULL) {
        return;
    }

    if (conn == NULL) {
        target->slots[ngx_http_jelou_redis_hash(&cmd->key)] = NULL;
        return;
    }

    for (i = 0; i < NGX_HTTP_JELOU_REDIS_NSLOTS; i++) {
        if (target->slots[i] == conn) {
            target->slots[i] = NULL;
        }
    }
}


/* "MOVED slot address", "ASK slot address", "TRYAGAIN" */

ngx_int_t
ngx_http_jelou_redis_redirect(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_reply_t *reply)
{
    u_char     *p, *last;
    ngx_str_t   text;

    if (cmd->key.len == 0) {
        return NGX_DECLINED;
    }

    ngx_http_jelou_redis_reply_text(reply, &text);

    p = text.data;
    last = p + text.len;

    if (text.len >= 8 && ngx_memcmp(p, "TRYAGAIN", 8) == 0) {
        return ngx_http_jelou_redis_later(conn->target, cmd);
    }

    if (text.len > 6 && ngx_memcmp(p, "MOVED ", 6) == 0) {
        return ngx_http_jelou_redis_moved(conn, cmd, p + 6, last, 0);
    }

    if (text.len > 4 && ngx_memcmp(p, "ASK ", 4) == 0) {
        return ngx_http_jelou_redis_moved(conn, cmd, p + 4, last, 1);
    }

    return NGX_DECLINED;
}


/* "slot 127.0.0.1:6379", "slot ::1:6379", "slot name:6379", "slot :6379" */

static ngx_int_t
ngx_http_jelou_redis_moved(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd, u_char *p, u_char *last,
    ngx_uint_t asking)
{
    u_char                         *colon;
    socklen_t                       socklen;
    ngx_int_t                       port;
    ngx_str_t                       host;
    ngx_sockaddr_t                  sockaddr;
    ngx_http_jelou_redis_conn_t    *to;
    ngx_http_jelou_redis_target_t  *target;

    target = conn->target;
    p = ngx_strlchr(p, last, ' ');

    if (p == NULL || cmd->redirects++ == NGX_HTTP_JELOU_REDIS_REDIRECTS) {
        return NGX_DECLINED;
    }

    host.data = p + 1;

    for (colon = last; colon > host.data && *(colon - 1) != ':'; colon--) {
        /* void */
    }

    port = ngx_atoi(colon, last - colon);

    if (colon == host.data || port < 1 || port > 65535
        || ngx_http_jelou_redis_slots(target) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    host.len = colon - 1 - host.data;
    cmd->asking = asking;

    if (host.len == 0) {

        /* another port of the same server */

        ngx_memcpy(&sockaddr, conn->peer.sockaddr, conn->peer.socklen);
        socklen = conn->peer.socklen;

        ngx_inet_set_port(&sockaddr.sockaddr, (in_port_t) port);

    } else if (ngx_http_jelou_redis_address(&host, (in_port_t) port, &sockaddr,
                                            &socklen)
               != NGX_OK)
    {
        return ngx_http_jelou_redis_name(target, cmd, &host, (in_port_t) port);
    }

    to = ngx_http_jelou_redis_reach(target, &sockaddr.sockaddr, socklen);

    return to ? ngx_http_jelou_redis_follow(target, to, cmd) : NGX_DECLINED;
}


static ngx_int_t
ngx_http_jelou_redis_slots(ngx_http_jelou_redis_target_t *target)
{
    if (target->slots == NULL) {
        target->slots = ngx_pcalloc(ngx_cycle->pool,
                                    NGX_HTTP_JELOU_REDIS_NSLOTS
                                    * sizeof(ngx_http_jelou_redis_conn_t *));
    }

    return target->slots ? NGX_OK : NGX_ERROR;
}


/* A slot that moves is asked for once only: next time it may be there. */

ngx_int_t
ngx_http_jelou_redis_follow(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_conn_t *to, ngx_http_jelou_redis_cmd_t *cmd)
{
    ngx_http_jelou_queue_count(cmd->asking ? NGX_HTTP_JELOU_QUEUE_ASKED
                                           : NGX_HTTP_JELOU_QUEUE_MOVED);

    if (!cmd->asking) {
        target->slots[ngx_http_jelou_redis_hash(&cmd->key)] = to;
    }

    return ngx_http_jelou_redis_put_to(to, cmd);
}


/*
 * The keys of a script are on two servers, while their slot moves.  The one
 * that it comes from says where it goes to each time: that is no loop, and
 * ends with the time.
 */

static ngx_int_t
ngx_http_jelou_redis_later(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd)
{
    if (ngx_current_msec - cmd->since > target->settings->read_timeout
        || ngx_http_jelou_redis_wait(target, &target->later, cmd) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_TRYAGAIN);

    cmd->redirects = 0;

    if (!target->again.timer_set) {
        ngx_add_timer(&target->again, NGX_HTTP_JELOU_REDIS_AGAIN);
    }

    return NGX_OK;
}
