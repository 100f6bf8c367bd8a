
/*
 * Commands that wait: for a server, for a connection, or for a slot that moves.
 */


#include "ngx_http_jelou_redis_conn.h"


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


void
ngx_http_jelou_redis_waiting_flush(ngx_http_jelou_redis_target_t *target,
    ngx_queue_t *queue, ngx_http_jelou_redis_conn_t *conn)
{
    ngx_int_t                     rc;
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

        rc = conn && !conn->closed ? ngx_http_jelou_redis_put_to(conn, cmd)
                                   : ngx_http_jelou_redis_put(target, cmd);

        if (rc != NGX_OK) {
            (void) cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_UNREACHABLE, NULL);
        }
    }
}


void
ngx_http_jelou_redis_again(ngx_event_t *ev)
{
    ngx_http_jelou_redis_target_t  *target;

    target = ev->data;

    ngx_http_jelou_redis_waiting_flush(target, &target->later, NULL);
}


/* Those that come while these are told are of another walk. */

void
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
