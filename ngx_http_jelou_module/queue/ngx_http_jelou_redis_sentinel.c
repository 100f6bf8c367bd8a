
/*
 * Sentinels name the server that takes commands: no other one gets any,
 * whatever it says of itself.  They are asked when there is none, and now and
 * then.
 */


#include "ngx_http_jelou_redis_conn.h"


static ngx_int_t ngx_http_jelou_redis_sentinel_handler(
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result,
    ngx_http_jelou_redis_reply_t *reply);
static void ngx_http_jelou_redis_sentinel_done(
    ngx_http_jelou_redis_target_t *target, ngx_int_t rc);
static ngx_int_t ngx_http_jelou_redis_sentinel_reply(
    ngx_http_jelou_redis_target_t *target, ngx_http_jelou_redis_reply_t *reply);
static void ngx_http_jelou_redis_sentinel_resolved(void *data,
    ngx_resolver_addr_t *addrs, ngx_uint_t naddrs);
static ngx_int_t ngx_http_jelou_redis_sentinel_use(
    ngx_http_jelou_redis_target_t *target, struct sockaddr *sockaddr,
    socklen_t socklen);


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
    target->result = result;

    ngx_http_jelou_redis_sentinel_done(target,
        result == NGX_HTTP_JELOU_REDIS_REPLIED
        ? ngx_http_jelou_redis_sentinel_reply(target, reply) : NGX_ERROR);

    return NGX_OK;
}


/* NGX_AGAIN: it is not known yet */

static void
ngx_http_jelou_redis_sentinel_done(ngx_http_jelou_redis_target_t *target,
    ngx_int_t rc)
{
    if (rc == NGX_AGAIN) {
        return;
    }

    target->asking = 0;

    /* who has taken commands goes on with them */

    if (rc != NGX_OK && target->current == NULL && target->candidate == NULL) {
        ngx_http_jelou_redis_target_fail(target);
    }

    if (target->current && !target->poll.timer_set) {
        ngx_add_timer(&target->poll, NGX_HTTP_JELOU_REDIS_POLL);
    }
}


/* A host, which is an address or a name, and a port */

static ngx_int_t
ngx_http_jelou_redis_sentinel_reply(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_reply_t *reply)
{
    socklen_t        socklen;
    ngx_int_t        port;
    ngx_str_t        host;
    redisReply      *tree, **words;
    ngx_sockaddr_t   sockaddr;

    tree = reply->tree;

    if (tree == NULL || tree->type != REDIS_REPLY_ARRAY || tree->elements != 2
        || tree->element[0]->type != REDIS_REPLY_STRING
        || tree->element[1]->type != REDIS_REPLY_STRING)
    {
        goto none;
    }

    words = tree->element;

    host.data = (u_char *) words[0]->str;
    host.len = words[0]->len;

    port = ngx_atoi((u_char *) words[1]->str, words[1]->len);

    if (host.len == 0 || port < 1 || port > 65535) {
        goto none;
    }

    if (ngx_http_jelou_redis_address(&host, (in_port_t) port, &sockaddr,
                                     &socklen)
        == NGX_OK)
    {
        return ngx_http_jelou_redis_sentinel_use(target, &sockaddr.sockaddr,
                                                 socklen);
    }

    target->port = (in_port_t) port;

    return ngx_http_jelou_redis_resolve(target, &host,
                                        ngx_http_jelou_redis_sentinel_resolved,
                                        target)
           == NGX_OK ? NGX_AGAIN : NGX_ERROR;

none:

    (void) ngx_http_jelou_redis_log(target, NULL, &target->log, 0,
                                    "the sentinels name no server", NULL);
    return NGX_ERROR;
}


static void
ngx_http_jelou_redis_sentinel_resolved(void *data, ngx_resolver_addr_t *addrs,
    ngx_uint_t naddrs)
{
    ngx_http_jelou_redis_target_t *target = data;

    ngx_int_t       rc;
    ngx_sockaddr_t  sockaddr;

    rc = NGX_ERROR;

    if (naddrs) {
        ngx_memcpy(&sockaddr, addrs[0].sockaddr, addrs[0].socklen);
        ngx_inet_set_port(&sockaddr.sockaddr, target->port);

        rc = ngx_http_jelou_redis_sentinel_use(target, &sockaddr.sockaddr,
                                               addrs[0].socklen);
    }

    ngx_http_jelou_redis_sentinel_done(target, rc);
}


static ngx_int_t
ngx_http_jelou_redis_sentinel_use(ngx_http_jelou_redis_target_t *target,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    ngx_http_jelou_redis_conn_t  *conn;

    conn = ngx_http_jelou_redis_find(target, sockaddr, socklen);

    if (conn && conn == target->current) {
        return NGX_OK;
    }

    /* another one is named: from now on, nobody else gets anything */

    target->current = NULL;

    conn = ngx_http_jelou_redis_reach(target, sockaddr, socklen);
    if (conn == NULL) {
        return NGX_ERROR;
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
