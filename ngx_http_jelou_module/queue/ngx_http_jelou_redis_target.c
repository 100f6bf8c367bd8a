
/*
 * Which server takes a command: the one that took the last one, until it is
 * gone or says that it cannot; then the next one of the group.
 *
 * The group's own peer.get() and peer.free() are asked, for one server after
 * the other, as nginx's upstream does it; that is a walk.  They want a request
 * of HTTP, which a walk has one of its own of: an event's may end before.
 * What a server answers to commands is never said to peer.free(), only whether
 * it could be connected to, and has answered what is sent first.
 */


#include "ngx_http_jelou_queue_status.h"


static void ngx_http_jelou_redis_target_cleanup(void *data);
static void ngx_http_jelou_redis_repeat(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result);
static void ngx_http_jelou_redis_waiting_flush(
    ngx_http_jelou_redis_target_t *target, ngx_queue_t *queue);
static void ngx_http_jelou_redis_again_handler(ngx_event_t *ev);
static void ngx_http_jelou_redis_waiting_fail(
    ngx_http_jelou_redis_target_t *target);
static void ngx_http_jelou_redis_next_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_jelou_redis_next(
    ngx_http_jelou_redis_target_t *target);
static ngx_int_t ngx_http_jelou_redis_walk_begin(
    ngx_http_jelou_redis_target_t *target);
static ngx_http_request_t *ngx_http_jelou_redis_walk_request(
    ngx_http_jelou_redis_target_t *target, ngx_pool_t *pool);
static void ngx_http_jelou_redis_walk_end(
    ngx_http_jelou_redis_target_t *target);
static ngx_uint_t ngx_http_jelou_redis_elsewhere(
    ngx_http_jelou_redis_reply_t *reply);
static ngx_int_t ngx_http_jelou_redis_go_elsewhere(
    ngx_http_jelou_redis_conn_t *conn, ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_reply_t *reply);
static u_char *ngx_http_jelou_redis_log_error(ngx_log_t *log, u_char *buf,
    size_t len);


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

    target->next.data = target;
    target->next.handler = ngx_http_jelou_redis_next_handler;
    target->next.log = &target->log;

    target->poll.data = target;
    target->poll.handler = ngx_http_jelou_redis_sentinel_poll;
    target->poll.log = &target->log;
    target->poll.cancelable = 1;

    if (settings->sentinel.len) {
        target->sentinel = ngx_http_jelou_redis_target_create(
                                                settings->sentinels, uscf);
        if (target->sentinel == NULL) {
            return NULL;
        }
    }

    target->again.data = target;
    target->again.handler = ngx_http_jelou_redis_again_handler;
    target->again.log = &target->log;

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

    if (conn && conn->ready) {

        if (ngx_http_jelou_redis_in_flight(&conn->pipeline)
            >= target->settings->pending)
        {
            return NGX_BUSY;
        }

        return ngx_http_jelou_redis_conn_put(conn, cmd);
    }

    if (conn) {
        return ngx_http_jelou_redis_wait(target, &conn->waiting, cmd);
    }

    rc = ngx_http_jelou_redis_wait(target, &target->waiting, cmd);

    if (rc == NGX_OK && target->candidate == NULL) {
        ngx_post_event(&target->next, &ngx_posted_events);
    }

    return rc;
}


ngx_int_t
ngx_http_jelou_redis_wait(ngx_http_jelou_redis_target_t *target,
    ngx_queue_t *queue, ngx_http_jelou_redis_cmd_t *cmd)
{
    if (target->nwaiting >= target->settings->pending) {
        return NGX_BUSY;
    }

    ngx_str_null(&cmd->server);
    ngx_queue_insert_tail(queue, &cmd->queue);
    cmd->waiting = 1;
    target->nwaiting++;

    return NGX_OK;
}


void
ngx_http_jelou_redis_cancel(ngx_http_jelou_redis_cmd_t *cmd)
{
    ngx_http_jelou_redis_conn_t    *conn;
    ngx_http_jelou_redis_target_t  *target;

    if (cmd->waiting) {
        target = cmd->owner;

        ngx_queue_remove(&cmd->queue);
        cmd->waiting = 0;
        target->nwaiting--;
        return;
    }

    if (cmd->conn) {
        conn = cmd->conn;

        ngx_http_jelou_redis_pipeline_forget(&conn->pipeline, cmd->number);
        cmd->conn = NULL;
    }
}


/* Those that go back into the queue while it is flushed stay there. */

static void
ngx_http_jelou_redis_waiting_flush(ngx_http_jelou_redis_target_t *target,
    ngx_queue_t *queue)
{
    ngx_queue_t                  *q, flushed;
    ngx_http_jelou_redis_cmd_t   *cmd;

    if (ngx_queue_empty(queue)) {
        return;
    }

    ngx_queue_init(&flushed);
    ngx_queue_add(&flushed, queue);
    ngx_queue_init(queue);

    while (!ngx_queue_empty(&flushed)) {

        q = ngx_queue_head(&flushed);
        cmd = ngx_queue_data(q, ngx_http_jelou_redis_cmd_t, queue);

        ngx_http_jelou_redis_cancel(cmd);

        if (ngx_http_jelou_redis_put(target, cmd) != NGX_OK) {
            (void) cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_UNREACHABLE, NULL);
        }
    }
}


static void
ngx_http_jelou_redis_again_handler(ngx_event_t *ev)
{
    ngx_http_jelou_redis_target_t  *target;

    target = ev->data;

    ngx_http_jelou_redis_waiting_flush(target, &target->later);
}


/* Those that come while these are told are of another walk. */

static void
ngx_http_jelou_redis_waiting_fail(ngx_http_jelou_redis_target_t *target)
{
    ngx_queue_t                    *q, failed;
    ngx_http_jelou_redis_cmd_t     *cmd;
    ngx_http_jelou_redis_result_e   result;

    if (ngx_queue_empty(&target->waiting)) {
        return;
    }

    ngx_queue_init(&failed);
    ngx_queue_add(&failed, &target->waiting);
    ngx_queue_init(&target->waiting);

    while (!ngx_queue_empty(&failed)) {

        q = ngx_queue_head(&failed);
        cmd = ngx_queue_data(q, ngx_http_jelou_redis_cmd_t, queue);

        ngx_http_jelou_redis_cancel(cmd);

        if (cmd->tries) {
            result = NGX_HTTP_JELOU_REDIS_REFUSED;

        } else if (target->result == NGX_HTTP_JELOU_REDIS_TIMED_OUT) {
            result = NGX_HTTP_JELOU_REDIS_TIMED_OUT;

        } else {
            result = cmd->repeated ? NGX_HTTP_JELOU_REDIS_LOST
                                   : NGX_HTTP_JELOU_REDIS_UNREACHABLE;
        }

        (void) cmd->handler(cmd, result, NULL);
    }
}


static void
ngx_http_jelou_redis_next_handler(ngx_event_t *ev)
{
    ngx_http_jelou_redis_target_t  *target;

    target = ev->data;

    if (target->current || target->candidate
        || ngx_queue_empty(&target->waiting))
    {
        return;
    }

    if ((target->sentinel ? ngx_http_jelou_redis_sentinel_ask(target)
                          : ngx_http_jelou_redis_next(target))
        != NGX_OK)
    {
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

    ngx_http_jelou_redis_waiting_flush(target, &target->waiting);
}


/* The next server: NGX_DECLINED if there is none any more. */

static ngx_int_t
ngx_http_jelou_redis_next(ngx_http_jelou_redis_target_t *target)
{
    ngx_int_t                     rc;
    ngx_peer_connection_t        *pc;
    ngx_http_jelou_redis_conn_t  *conn;

    if (target->walk == NULL
        && ngx_http_jelou_redis_walk_begin(target) != NGX_OK)
    {
        return NGX_ERROR;
    }

    pc = &target->walk->upstream->peer;

    while (pc->tries) {

        rc = pc->get(pc, pc->data);

        if (rc != NGX_OK) {

            if (target->result == NGX_HTTP_JELOU_REDIS_REPLIED) {
                (void) ngx_http_jelou_redis_say(target, pc->name, &target->log,
                                                0, "no live redis", NULL);
            }

            return NGX_DECLINED;
        }

        conn = ngx_http_jelou_redis_find(target, pc->sockaddr, pc->socklen);

        if (conn && !conn->ready) {
            target->candidate = conn;
            return NGX_OK;
        }

        if (conn) {
            pc->free(pc, pc->data, 0);

            if (conn->refused != target->serial) {
                ngx_http_jelou_redis_target_current(target, conn);
                return NGX_OK;
            }

            continue;
        }

        conn = ngx_http_jelou_redis_conn_open(target, pc->sockaddr,
                                              pc->socklen, pc->name);
        if (conn) {
            target->candidate = conn;
            return NGX_OK;
        }

        target->result = NGX_HTTP_JELOU_REDIS_UNREACHABLE;
        pc->free(pc, pc->data, NGX_PEER_FAILED);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_jelou_redis_walk_begin(ngx_http_jelou_redis_target_t *target)
{
    ngx_pool_t          *pool;
    ngx_http_request_t  *r;

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, &target->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    r = ngx_http_jelou_redis_walk_request(target, pool);

    if (r == NULL || target->uscf->peer.init(r, target->uscf) != NGX_OK) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    target->walk = r;
    target->serial++;
    target->nservers = r->upstream->peer.tries;
    target->result = NGX_HTTP_JELOU_REDIS_REPLIED;

    return NGX_OK;
}


/* What nginx's balancers look at in a request: nobody has sent it. */

static ngx_http_request_t *
ngx_http_jelou_redis_walk_request(ngx_http_jelou_redis_target_t *target,
    ngx_pool_t *pool)
{
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_conf_ctx_t        *ctx;
    ngx_http_upstream_t        *u;
    ngx_http_core_main_conf_t  *cmcf;

    static struct sockaddr  sockaddr;

    ctx = target->settings->ctx;
    cmcf = ctx->main_conf[ngx_http_core_module.ctx_index];

    r = ngx_pcalloc(pool, sizeof(ngx_http_request_t));
    c = ngx_pcalloc(pool, sizeof(ngx_connection_t));
    u = ngx_pcalloc(pool, sizeof(ngx_http_upstream_t));

    if (r == NULL || c == NULL || u == NULL) {
        return NULL;
    }

    c->fd = (ngx_socket_t) -1;
    c->pool = pool;
    c->log = &target->log;
    c->sockaddr = &sockaddr;
    c->socklen = sizeof(sockaddr);
    c->data = r;

    u->state = ngx_pcalloc(pool, sizeof(ngx_http_upstream_state_t));
    u->conf = ngx_pcalloc(pool, sizeof(ngx_http_upstream_conf_t));
    u->upstream = target->uscf;
    u->peer.log = &target->log;

    r->signature = NGX_HTTP_MODULE;
    r->connection = c;
    r->pool = pool;
    r->main = r;
    r->count = 1;
    r->upstream = u;
    r->main_conf = ctx->main_conf;
    r->srv_conf = ctx->srv_conf;
    r->loc_conf = ctx->loc_conf;
    r->ctx = ngx_pcalloc(pool, sizeof(void *) * ngx_http_max_module);
    r->variables = ngx_pcalloc(pool, (cmcf->variables.nelts + 1)
                                     * sizeof(ngx_http_variable_value_t));

    if (u->state == NULL || u->conf == NULL || r->ctx == NULL
        || r->variables == NULL
        || ngx_list_init(&r->headers_in.headers, pool, 1,
                         sizeof(ngx_table_elt_t))
           != NGX_OK
        || ngx_list_init(&r->headers_out.headers, pool, 1,
                         sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NULL;
    }

    return r;
}


static void
ngx_http_jelou_redis_walk_end(ngx_http_jelou_redis_target_t *target)
{
    if (target->walk) {
        ngx_destroy_pool(target->walk->pool);
        target->walk = NULL;
    }
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

    ngx_http_jelou_redis_waiting_flush(target, &conn->waiting);
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

        if (ngx_http_jelou_redis_put(target, cmd) == NGX_OK) {
            ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_RESENT);
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

        if (word->len == cause.len
            && ngx_memcmp(word->data, cause.data, cause.len) == 0)
        {
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

        (void) ngx_http_jelou_redis_say(target, &conn->name, &target->log, 0,
                                        "redis takes no commands: ", &cause);

        if (target->sentinel) {
            target->serial++;
            target->nservers = 1;

        } else if (target->walk == NULL
                   && ngx_http_jelou_redis_walk_begin(target) != NGX_OK)
        {
            target->nservers = 0;
        }

        conn->refused = target->serial;
    }

    if (cmd == NULL) {
        return NGX_OK;
    }

    ngx_http_jelou_redis_forget(target, NULL, cmd);

    if (cmd->tries++ < target->nservers
        && ngx_http_jelou_redis_put(target, cmd) == NGX_OK)
    {
        ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_ELSEWHERE);
        return NGX_OK;
    }

    (void) cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_REFUSED, NULL);

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_redis_say(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *server, ngx_log_t *log, ngx_err_t err, const char *what,
    ngx_str_t *detail)
{
    u_char                       *p, *last, text[NGX_MAX_ERROR_STR / 4];
    uint32_t                      hash;
    ngx_str_t                     none;
    ngx_uint_t                    i;
    ngx_http_jelou_redis_said_t  *said, *s;

    ngx_str_null(&none);

    detail = detail ? detail : &none;
    server = server ? server : &none;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, (u_char *) what, ngx_strlen(what));
    ngx_crc32_update(&hash, detail->data, detail->len);
    ngx_crc32_update(&hash, server->data, server->len);
    ngx_crc32_final(hash);

    said = &target->said[0];

    for (i = 0; i < NGX_HTTP_JELOU_REDIS_NCAUSES; i++) {
        s = &target->said[i];

        if (s->hash == hash) {
            said = s;
            break;
        }

        if (s->sec < said->sec) {
            said = s;
        }
    }

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


static u_char *
ngx_http_jelou_redis_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_str_t  *server = log->data;

    if (server == NULL) {
        return buf;
    }

    return ngx_snprintf(buf, len, ", upstream: \"redis://%V\"", server);
}
