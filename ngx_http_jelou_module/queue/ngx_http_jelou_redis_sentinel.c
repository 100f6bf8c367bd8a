
/*
 * Sentinels name the server that takes commands: no other one gets any, whatever
 * it says of itself.  They are asked when there is none, and now and then.
 */


#include "ngx_http_jelou_redis_conn.h"


static ngx_int_t ngx_http_jelou_redis_sentinel_handler(
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result,
    ngx_http_jelou_redis_reply_t *reply);
static ngx_int_t ngx_http_jelou_redis_sentinel_server(
    ngx_http_jelou_redis_target_t *target, ngx_http_jelou_redis_reply_t *reply);
static ngx_int_t ngx_http_jelou_redis_sentinel_address(
    redisReply *host, redisReply *port, ngx_sockaddr_t *sockaddr,
    socklen_t *socklen);


ngx_int_t
ngx_http_jelou_redis_sentinel_ask(ngx_http_jelou_redis_target_t *target)
{
    if (target->asking) {
        return NGX_OK;
    }

    ngx_memzero(&target->ask, sizeof(ngx_http_jelou_redis_cmd_t));

    target->question.data = target->settings->sentinel.data;
    target->question.len = target->settings->sentinel.len;
    target->question.raw = 1;

    target->ask.pieces = &target->question;
    target->ask.npieces = 1;
    target->ask.handler = ngx_http_jelou_redis_sentinel_handler;
    target->ask.data = target;
    target->ask.repeat = 1;
    target->ask.tree = 1;

    if (ngx_http_jelou_redis_send(target->sentinel, &target->ask) != NGX_OK) {
        return NGX_ERROR;
    }

    target->asking = 1;

    return NGX_OK;
}


void
ngx_http_jelou_redis_sentinel_poll(ngx_event_t *ev)
{
    ngx_http_jelou_redis_target_t  *target;

    target = ev->data;

    /* without a server, the next command asks */

    if (target->current && !ngx_exiting) {
        (void) ngx_http_jelou_redis_sentinel_ask(target);
    }
}


static ngx_int_t
ngx_http_jelou_redis_sentinel_handler(ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_result_e result, ngx_http_jelou_redis_reply_t *reply)
{
    ngx_http_jelou_redis_target_t  *target;

    target = cmd->data;
    target->asking = 0;

    if (result != NGX_HTTP_JELOU_REDIS_REPLIED
        || ngx_http_jelou_redis_sentinel_server(target, reply) != NGX_OK)
    {
        /* who has taken commands goes on with them */

        if (target->current == NULL && target->candidate == NULL) {
            target->result = result;
            ngx_http_jelou_redis_target_fail(target);
        }
    }

    if (target->current && !target->poll.timer_set) {
        ngx_add_timer(&target->poll, NGX_HTTP_JELOU_REDIS_POLL);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_redis_sentinel_server(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_reply_t *reply)
{
    u_char                        text[NGX_SOCKADDR_STRLEN];
    socklen_t                     socklen;
    ngx_str_t                     name;
    redisReply                   *tree;
    ngx_sockaddr_t                sockaddr;
    ngx_http_jelou_redis_conn_t  *conn;

    tree = reply->tree;

    if (tree == NULL || tree->type != REDIS_REPLY_ARRAY || tree->elements != 2
        || ngx_http_jelou_redis_sentinel_address(tree->element[0],
                                                 tree->element[1], &sockaddr,
                                                 &socklen)
           != NGX_OK)
    {
        (void) ngx_http_jelou_redis_say(target, NULL, &target->log, 0,
                                        "the sentinels name no server", NULL);
        return NGX_ERROR;
    }

    conn = ngx_http_jelou_redis_find(target, &sockaddr.sockaddr, socklen);

    if (conn && conn == target->current) {
        return NGX_OK;
    }

    /* another one is named: from now on, nobody else gets anything */

    target->current = NULL;

    if (conn == NULL) {
        name.data = text;
        name.len = ngx_sock_ntop(&sockaddr.sockaddr, socklen, text,
                                 NGX_SOCKADDR_STRLEN, 1);

        conn = ngx_http_jelou_redis_conn_open(target, &sockaddr.sockaddr,
                                              socklen, &name);
        if (conn == NULL) {
            return NGX_ERROR;
        }
    }

    if (!conn->ready) {
        target->candidate = conn;
        return NGX_OK;
    }

    if (conn->refused == target->serial && target->serial) {
        return NGX_ERROR;
    }

    ngx_http_jelou_redis_target_current(target, conn);

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_redis_sentinel_address(redisReply *host, redisReply *port,
    ngx_sockaddr_t *sockaddr, socklen_t *socklen)
{
    in_addr_t             addr;
    ngx_int_t             n;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    if (host->type != REDIS_REPLY_STRING || port->type != REDIS_REPLY_STRING) {
        return NGX_ERROR;
    }

    n = ngx_atoi((u_char *) port->str, (size_t) port->len);

    if (n < 1 || n > 65535) {
        return NGX_ERROR;
    }

    ngx_memzero(sockaddr, sizeof(ngx_sockaddr_t));

    addr = ngx_inet_addr((u_char *) host->str, (size_t) host->len);

    if (addr != INADDR_NONE) {
        sin = &sockaddr->sockaddr_in;

        sin->sin_family = AF_INET;
        sin->sin_addr.s_addr = addr;
        sin->sin_port = htons((in_port_t) n);

        *socklen = sizeof(struct sockaddr_in);
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)

    sin6 = &sockaddr->sockaddr_in6;

    if (ngx_inet6_addr((u_char *) host->str, (size_t) host->len,
                       sin6->sin6_addr.s6_addr)
        == NGX_OK)
    {
        sin6->sin6_family = AF_INET6;
        sin6->sin6_port = htons((in_port_t) n);

        *socklen = sizeof(struct sockaddr_in6);
        return NGX_OK;
    }

#endif

    return NGX_ERROR;
}
