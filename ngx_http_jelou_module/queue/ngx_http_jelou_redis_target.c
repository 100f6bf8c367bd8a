
/*
 * Which server takes a command: the one that took the last one, until it is
 * gone or says that it cannot; then the next one of the group.
 */


#include "ngx_http_jelou_queue_status.h"


static void ngx_http_jelou_redis_target_cleanup(void *data);
static void ngx_http_jelou_redis_repeat(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result);
static void ngx_http_jelou_redis_next_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_jelou_redis_elsewhere(
    ngx_http_jelou_redis_reply_t *reply);
static ngx_int_t ngx_http_jelou_redis_go_elsewhere(
    ngx_http_jelou_redis_conn_t *conn, ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_reply_t *reply);


/* errors of a server that has done nothing, while another one might */

static ngx_str_t  ngx_http_jelou_redis_elsewhere_causes[] = {
    ngx_string("READONLY"),
    ngx_string("LOADING"),
    ngx_string("MASTERDOWN"),
    ngx_string("CLUSTERDOWN"),
    ngx_string("NOREPLICAS"),
    ngx_null_string
};


ngx_http_jelou_redis_target_t *
ngx_http_jelou_redis_target(ngx_http_jelou_redis_settings_t *settings,
    ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_queue_t                    *q;
    ngx_http_jelou_redis_target_t  *target;

    for (q = ngx_queue_head(&settings->targets);
         q != ngx_queue_sentinel(&settings->targets);
         q = ngx_queue_next(q))
    {
        target = ngx_queue_data(q, ngx_http_jelou_redis_target_t, queue);

        if (target->uscf == uscf) {
            return target;
        }
    }

    target = ngx_http_jelou_redis_target_create(settings, uscf);

    if (target) {
        ngx_queue_insert_tail(&settings->targets, &target->queue);
    }

    return target;
}


ngx_http_jelou_redis_target_t *
ngx_http_jelou_redis_target_create(ngx_http_jelou_redis_settings_t *settings,
    ngx_http_upstream_srv_conf_t *uscf)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_jelou_redis_target_t  *target;

    cln = ngx_pool_cleanup_add(ngx_cycle->pool,
                               sizeof(ngx_http_jelou_redis_target_t));
    if (cln == NULL) {
        return NULL;
    }

    target = cln->data;
    ngx_memzero(target, sizeof(ngx_http_jelou_redis_target_t));

    cln->handler = ngx_http_jelou_redis_target_cleanup;

    target->settings = settings;
    target->uscf = uscf;

    ngx_queue_init(&target->conns);
    ngx_queue_init(&target->waiting);
    ngx_queue_init(&target->later);
    ngx_queue_init(&target->names);

    /*
     * what nginx itself logs of each attempt, at the level "info", is once a
     * second at the level "error"
     */

    target->log = ngx_cycle->new_log;
    target->log.handler = ngx_http_jelou_redis_log_error;
    target->log.data = NULL;

    if (target->log.log_level >= NGX_LOG_INFO
        && target->log.log_level <= NGX_LOG_DEBUG)
    {
        target->log.log_level = NGX_LOG_NOTICE;
    }

    ngx_http_jelou_redis_event(&target->next,
                               ngx_http_jelou_redis_next_handler, target,
                               &target->log);
    ngx_http_jelou_redis_event(&target->again, ngx_http_jelou_redis_again,
                               target, &target->log);
    ngx_http_jelou_redis_event(&target->poll,
                               ngx_http_jelou_redis_sentinel_poll, target,
                               &target->log);
    target->poll.cancelable = 1;

    if (settings->sentinel.len) {
        target->sentinel = ngx_http_jelou_redis_target_create(
                                                settings->sentinels, uscf);
        if (target->sentinel == NULL) {
            return NULL;
        }
    }

    return target;
}


/* The worker exits; its connections have been closed. */

static void
ngx_http_jelou_redis_target_cleanup(void *data)
{
    ngx_http_jelou_redis_target_t *target = data;

    ngx_http_jelou_redis_walk_end(target);

#if (NGX_HTTP_SSL)

    if (target->session) {
        ngx_ssl_free_session(target->session);
    }

#endif
}


ngx_int_t
ngx_http_jelou_redis_send(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd)
{
    cmd->owner = target;
    cmd->since = ngx_current_msec;

    return ngx_http_jelou_redis_put(target, cmd);
}


ngx_int_t
ngx_http_jelou_redis_put(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd)
{
    ngx_int_t                     rc;
    ngx_http_jelou_redis_conn_t  *conn;

    conn = target->slots ? ngx_http_jelou_redis_slot(target, cmd) : NULL;

    if (conn == NULL) {
        conn = target->current;
    }

    if (conn) {
        return ngx_http_jelou_redis_put_to(conn, cmd);
    }

    rc = ngx_http_jelou_redis_wait(target, &target->waiting, cmd);

    if (rc == NGX_OK && target->candidate == NULL) {
        ngx_post_event(&target->next, &ngx_posted_events);
    }

    return rc;
}


ngx_int_t
ngx_http_jelou_redis_put_to(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd)
{
    ngx_http_jelou_redis_target_t  *target;

    target = conn->target;

    if (!conn->ready) {
        return ngx_http_jelou_redis_wait(target, &conn->waiting, cmd);
    }

    if (ngx_http_jelou_redis_in_flight(&conn->pipeline)
        >= target->settings->pending)
    {
        return NGX_BUSY;
    }

    if (ngx_http_jelou_redis_conn_put(conn, cmd) != NGX_OK) {
        return NGX_ERROR;
    }

    if (cmd->resend) {
        ngx_http_jelou_queue_count(cmd->resend);
        cmd->resend = 0;
    }

    return NGX_OK;
}


static void
ngx_http_jelou_redis_next_handler(ngx_event_t *ev)
{
    ngx_int_t                       rc;
    ngx_http_jelou_redis_target_t  *target;

    target = ev->data;

    if (target->current || target->candidate
        || ngx_queue_empty(&target->waiting))
    {
        return;
    }

    if (target->sentinel) {
        rc = ngx_http_jelou_redis_sentinel_ask(target);

    } else if (target->walk == NULL
               && ngx_http_jelou_redis_named(target->uscf))
    {
        rc = ngx_http_jelou_redis_walk_resolve(target);

    } else {
        rc = ngx_http_jelou_redis_walk(target);
    }

    if (rc != NGX_OK) {
        ngx_http_jelou_redis_target_fail(target);
    }
}


void
ngx_http_jelou_redis_target_fail(ngx_http_jelou_redis_target_t *target)
{
    ngx_http_jelou_redis_walk_end(target);

    /* who has refused these commands may take the next ones */

    target->serial++;

    ngx_http_jelou_redis_waiting_fail(target);
}


void
ngx_http_jelou_redis_target_current(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_conn_t *conn)
{
    target->candidate = NULL;
    target->current = conn;

    if (target->sentinel && !target->poll.timer_set) {
        ngx_add_timer(&target->poll, NGX_HTTP_JELOU_REDIS_POLL);
    }

    ngx_http_jelou_redis_waiting_flush(target, &target->waiting, NULL);
}


ngx_http_jelou_redis_conn_t *
ngx_http_jelou_redis_find(ngx_http_jelou_redis_target_t *target,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    ngx_queue_t                  *q;
    ngx_http_jelou_redis_conn_t  *conn;

    for (q = ngx_queue_head(&target->conns);
         q != ngx_queue_sentinel(&target->conns);
         q = ngx_queue_next(q))
    {
        conn = ngx_queue_data(q, ngx_http_jelou_redis_conn_t, queue);

        if (ngx_cmp_sockaddr(conn->peer.sockaddr, conn->peer.socklen,
                             sockaddr, socklen, 1)
            == NGX_OK)
        {
            return conn;
        }
    }

    return NULL;
}


ngx_http_jelou_redis_conn_t *
ngx_http_jelou_redis_reach(ngx_http_jelou_redis_target_t *target,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    u_char                        text[NGX_SOCKADDR_STRLEN];
    ngx_str_t                     name;
    ngx_http_jelou_redis_conn_t  *conn;

    conn = ngx_http_jelou_redis_find(target, sockaddr, socklen);

    if (conn) {
        return conn;
    }

    name.data = text;
    name.len = ngx_sock_ntop(sockaddr, socklen, text, NGX_SOCKADDR_STRLEN, 1);

    return ngx_http_jelou_redis_conn_open(target, sockaddr, socklen, &name);
}


void
ngx_http_jelou_redis_target_ready(ngx_http_jelou_redis_conn_t *conn)
{
    ngx_peer_connection_t          *pc;
    ngx_http_jelou_redis_target_t  *target;

    target = conn->target;

    if (target->candidate == conn) {

        if (target->walk) {
            pc = &target->walk->upstream->peer;
            pc->free(pc, pc->data, 0);
        }

        ngx_http_jelou_redis_target_current(target, conn);
    }

    ngx_http_jelou_redis_waiting_flush(target, &conn->waiting, conn);
}


void
ngx_http_jelou_redis_target_closed(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_result_e result, ngx_uint_t blame)
{
    ngx_queue_t                    *q;
    ngx_peer_connection_t          *pc;
    ngx_http_jelou_redis_cmd_t     *cmd;
    ngx_http_jelou_redis_target_t  *target;

    target = conn->target;

    ngx_http_jelou_redis_forget(target, conn, NULL);

    if (target->current == conn) {
        target->current = NULL;

        /* the server was taken, so that the walk has come to its end */

        ngx_http_jelou_redis_walk_end(target);

    } else if (target->candidate == conn) {
        target->candidate = NULL;
        target->result = result;

        if (target->walk) {
            pc = &target->walk->upstream->peer;
            pc->free(pc, pc->data, blame ? NGX_PEER_FAILED : 0);

            ngx_post_event(&target->next, &ngx_posted_events);

        } else {

            /* the Sentinels have no other one so far */

            ngx_http_jelou_redis_target_fail(target);
        }
    }

    while (ngx_http_jelou_redis_pipeline_drop(&conn->pipeline, &cmd)
           == NGX_OK)
    {
        if (cmd) {
            cmd->conn = NULL;
            ngx_http_jelou_redis_repeat(target, cmd, result);
        }
    }

    /* a cluster's server that cannot be reached: there is no other one */

    while (!ngx_queue_empty(&conn->waiting)) {

        q = ngx_queue_head(&conn->waiting);
        cmd = ngx_queue_data(q, ngx_http_jelou_redis_cmd_t, queue);

        ngx_http_jelou_redis_cancel(cmd);

        (void) cmd->handler(cmd, result == NGX_HTTP_JELOU_REDIS_TIMED_OUT
                                 ? NGX_HTTP_JELOU_REDIS_TIMED_OUT
                                 : NGX_HTTP_JELOU_REDIS_UNREACHABLE, NULL);
    }
}


/* It may have been executed: once more, if that does no harm, and once only. */

static void
ngx_http_jelou_redis_repeat(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result)
{
    if (cmd->repeat && !cmd->repeated) {
        cmd->repeated = 1;
        cmd->resend = NGX_HTTP_JELOU_QUEUE_RESENT;

        if (ngx_http_jelou_redis_put(target, cmd) == NGX_OK) {
            return;
        }
    }

    (void) cmd->handler(cmd, result, NULL);
}


ngx_int_t
ngx_http_jelou_redis_target_reply(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_reply_t *reply)
{
    ngx_http_jelou_redis_target_t  *target;

    target = conn->target;

    if (cmd && reply->type == REDIS_REPLY_ERROR
        && ngx_http_jelou_redis_redirect(conn, cmd, reply) == NGX_OK)
    {
        return NGX_OK;
    }

    if (ngx_http_jelou_redis_elsewhere(reply)) {
        return ngx_http_jelou_redis_go_elsewhere(conn, cmd, reply);
    }

    if (target->current == conn) {
        ngx_http_jelou_redis_walk_end(target);
    }

    return cmd ? cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_REPLIED, reply)
               : NGX_OK;
}


static ngx_uint_t
ngx_http_jelou_redis_elsewhere(ngx_http_jelou_redis_reply_t *reply)
{
    ngx_str_t  cause, *word;

    if (reply->type != REDIS_REPLY_ERROR) {
        return 0;
    }

    ngx_http_jelou_redis_reply_cause(reply, &cause);

    for (word = ngx_http_jelou_redis_elsewhere_causes; word->len; word++) {

        if (ngx_http_jelou_same(word, &cause)) {
            return 1;
        }
    }

    return 0;
}


/*
 * The command was not executed.  Of many in flight, the first one to come back
 * sets the walk going; each goes to a server once.
 */

static ngx_int_t
ngx_http_jelou_redis_go_elsewhere(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_reply_t *reply)
{
    ngx_str_t                       cause;
    ngx_http_jelou_redis_target_t  *target;

    target = conn->target;

    ngx_http_jelou_redis_reply_cause(reply, &cause);

    if (target->current == conn) {
        target->current = NULL;

        (void) ngx_http_jelou_redis_log(target, &conn->name, &target->log, 0,
                                        "redis takes no commands: ", &cause);

        if (target->sentinel || ngx_http_jelou_redis_named(target->uscf)) {
            target->serial++;
            target->nservers = 1;

        } else if (target->walk == NULL
                   && ngx_http_jelou_redis_walk_begin(target, NULL) != NGX_OK)
        {
            target->nservers = 0;
        }

        conn->refused = target->serial;
    }

    if (cmd == NULL) {
        return NGX_OK;
    }

    ngx_http_jelou_redis_forget(target, NULL, cmd);
    cmd->resend = NGX_HTTP_JELOU_QUEUE_ELSEWHERE;

    if (cmd->tries++ < target->nservers
        && ngx_http_jelou_redis_put(target, cmd) == NGX_OK)
    {
        return NGX_OK;
    }

    (void) cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_REFUSED, NULL);

    return NGX_OK;
}
