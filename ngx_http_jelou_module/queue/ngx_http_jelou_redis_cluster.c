
/*
 * A cluster: who has a slot is learned from redirections, and remembered until
 * the next one.
 */


#include "ngx_http_jelou_redis_conn.h"


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
static ngx_int_t ngx_http_jelou_redis_address(
    ngx_http_jelou_redis_conn_t *conn, u_char *p, u_char *last,
    ngx_sockaddr_t *sockaddr, socklen_t *socklen);
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
    size_t   len;
    u_char  *p, *last;

    if (cmd->key.len == 0) {
        return NGX_DECLINED;
    }

    if (reply->tree) {
        p = (u_char *) reply->tree->str;
        len = reply->tree->len;

    } else {
        p = reply->text;
        len = reply->len;
    }

    if (len > NGX_HTTP_JELOU_REDIS_TEXT) {
        len = NGX_HTTP_JELOU_REDIS_TEXT;
    }

    last = p + len;

    if (len >= 8 && ngx_memcmp(p, "TRYAGAIN", 8) == 0) {
        return ngx_http_jelou_redis_later(conn->target, cmd);
    }

    if (len > 6 && ngx_memcmp(p, "MOVED ", 6) == 0) {
        return ngx_http_jelou_redis_moved(conn, cmd, p + 6, last, 0);
    }

    if (len > 4 && ngx_memcmp(p, "ASK ", 4) == 0) {
        return ngx_http_jelou_redis_moved(conn, cmd, p + 4, last, 1);
    }

    return NGX_DECLINED;
}


/* A slot that moves is asked for once only: next time it may be there. */

static ngx_int_t
ngx_http_jelou_redis_moved(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd, u_char *p, u_char *last,
    ngx_uint_t asking)
{
    u_char                         *space, text[NGX_SOCKADDR_STRLEN];
    socklen_t                       socklen;
    ngx_str_t                       name;
    ngx_sockaddr_t                  sockaddr;
    ngx_http_jelou_redis_conn_t    *to;
    ngx_http_jelou_redis_target_t  *target;

    target = conn->target;
    space = ngx_strlchr(p, last, ' ');

    if (space == NULL || cmd->redirects++ == NGX_HTTP_JELOU_REDIS_REDIRECTS
        || ngx_http_jelou_redis_address(conn, space + 1, last, &sockaddr,
                                        &socklen)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (target->slots == NULL) {
        target->slots = ngx_pcalloc(ngx_cycle->pool,
                                    NGX_HTTP_JELOU_REDIS_NSLOTS
                                    * sizeof(ngx_http_jelou_redis_conn_t *));
        if (target->slots == NULL) {
            return NGX_DECLINED;
        }
    }

    to = ngx_http_jelou_redis_find(target, &sockaddr.sockaddr, socklen);

    if (to == NULL) {
        name.data = text;
        name.len = ngx_sock_ntop(&sockaddr.sockaddr, socklen, text,
                                 NGX_SOCKADDR_STRLEN, 1);

        to = ngx_http_jelou_redis_conn_open(target, &sockaddr.sockaddr,
                                            socklen, &name);
        if (to == NULL) {
            return NGX_DECLINED;
        }
    }

    cmd->asking = asking;

    if (!asking) {
        target->slots[ngx_http_jelou_redis_hash(&cmd->key)] = to;
    }

    return to->ready ? ngx_http_jelou_redis_conn_put(to, cmd)
                     : ngx_http_jelou_redis_wait(target, &to->waiting, cmd);
}


/* "127.0.0.1:6379", "::1:6379", ":6379" for another port of the same server */

static ngx_int_t
ngx_http_jelou_redis_address(ngx_http_jelou_redis_conn_t *conn, u_char *p,
    u_char *last, ngx_sockaddr_t *sockaddr, socklen_t *socklen)
{
    u_char               *colon;
    in_addr_t             addr;
    ngx_int_t             port;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    for (colon = last; colon > p && *(colon - 1) != ':'; colon--) { /* void */ }

    port = ngx_atoi(colon, last - colon);

    if (colon == p || port < 1 || port > 65535) {
        return NGX_ERROR;
    }

    colon--;

    ngx_memzero(sockaddr, sizeof(ngx_sockaddr_t));

    if (colon == p) {
        ngx_memcpy(sockaddr, conn->peer.sockaddr, conn->peer.socklen);
        *socklen = conn->peer.socklen;

        ngx_inet_set_port(&sockaddr->sockaddr, (in_port_t) port);
        return NGX_OK;
    }

    addr = ngx_inet_addr(p, colon - p);

    if (addr != INADDR_NONE) {
        sin = &sockaddr->sockaddr_in;

        sin->sin_family = AF_INET;
        sin->sin_addr.s_addr = addr;
        sin->sin_port = htons((in_port_t) port);

        *socklen = sizeof(struct sockaddr_in);
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)

    sin6 = &sockaddr->sockaddr_in6;

    if (ngx_inet6_addr(p, colon - p, sin6->sin6_addr.s6_addr) == NGX_OK) {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons((in_port_t) port);

        *socklen = sizeof(struct sockaddr_in6);
        return NGX_OK;
    }

#endif

    return NGX_ERROR;
}


/* The keys of a script are on two servers, while their slot moves. */

static ngx_int_t
ngx_http_jelou_redis_later(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd)
{
    if (ngx_current_msec - cmd->since > target->settings->read_timeout
        || ngx_http_jelou_redis_wait(target, &target->later, cmd) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (!target->again.timer_set) {
        ngx_add_timer(&target->again, NGX_HTTP_JELOU_REDIS_AGAIN);
    }

    return NGX_OK;
}
