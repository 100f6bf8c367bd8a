
/*
 * Counting, for all workers: words in shared memory that are added to.  Gauges
 * are of a worker, so that what one leaves that is killed can be told.
 */


#include "ngx_http_jelou_queue_status.h"


static ngx_http_jelou_queue_worker_t *ngx_http_jelou_queue_worker(void);


ngx_http_jelou_queue_sh_t             *ngx_http_jelou_queue_sh;
ngx_slab_pool_t                       *ngx_http_jelou_queue_pool;

static ngx_http_jelou_queue_worker_t  *ngx_http_jelou_queue_me;


/* what an event's command comes to, by the reply, and without one */

static ngx_uint_t  ngx_http_jelou_queue_outcomes[] = {
    NGX_HTTP_JELOU_QUEUE_APPENDED,
    NGX_HTTP_JELOU_QUEUE_REPEATED,
    NGX_HTTP_JELOU_QUEUE_REUSED,
    NGX_HTTP_JELOU_QUEUE_FULL,
    NGX_HTTP_JELOU_QUEUE_DENIED,             /* NOSCRIPT, twice */
    NGX_HTTP_JELOU_QUEUE_DENIED
};

static ngx_uint_t  ngx_http_jelou_queue_results[] = {
    NGX_HTTP_JELOU_QUEUE_MALFORMED,          /* a reply, but none of ours */
    NGX_HTTP_JELOU_QUEUE_NO_SERVER,
    NGX_HTTP_JELOU_QUEUE_UNREACHABLE,
    NGX_HTTP_JELOU_QUEUE_LOST,
    NGX_HTTP_JELOU_QUEUE_TIMED_OUT
};


ngx_int_t
ngx_http_jelou_queue_init_process(ngx_cycle_t *cycle)
{
    ngx_http_jelou_main_conf_t        *jmcf;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    jmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_jelou_module);
    rmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_jelou_redis_module);

    if (jmcf == NULL || rmcf->passes.nelts == 0) {
        return NGX_OK;
    }

    ngx_http_jelou_queue_sh = ngx_http_jelou_status_part(jmcf,
                                                &ngx_http_jelou_queue_part,
                                                &ngx_http_jelou_queue_pool);

    if (ngx_http_jelou_queue_sh) {
        ngx_http_jelou_queue_me = ngx_http_jelou_queue_worker();
    }

    return NGX_OK;
}


/*
 * A row that is free, or whose worker is no more.  With more workers than rows,
 * the others share one, and what they count there may be a little wrong.
 */

static ngx_http_jelou_queue_worker_t *
ngx_http_jelou_queue_worker(void)
{
    ngx_uint_t                      i;
    ngx_atomic_uint_t               pid;
    ngx_http_jelou_queue_worker_t  *w;

    for (i = 0; i < NGX_HTTP_JELOU_QUEUE_ROWS; i++) {
        w = &ngx_http_jelou_queue_sh->workers[i];
        pid = w->pid;

        if (pid && pid != (ngx_atomic_uint_t) ngx_pid
            && (kill((ngx_pid_t) pid, 0) == 0 || ngx_errno != NGX_ESRCH))
        {
            continue;
        }

        if (ngx_atomic_cmp_set(&w->pid, pid, (ngx_atomic_uint_t) ngx_pid)) {
            w->connections[0] = 0;
            w->connections[1] = 0;
            w->in_flight = 0;

            return w;
        }
    }

    return &ngx_http_jelou_queue_sh->workers[NGX_HTTP_JELOU_QUEUE_ROWS - 1];
}


void
ngx_http_jelou_queue_begun(void)
{
    if (ngx_http_jelou_queue_sh) {
        ngx_http_jelou_queue_me->in_flight++;
    }
}


void
ngx_http_jelou_queue_abandoned(void)
{
    if (ngx_http_jelou_queue_sh) {
        ngx_http_jelou_queue_me->in_flight--;
        ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_ABANDONED);
    }
}


/* The clock is read once, for the endpoint's counters as well. */

void
ngx_http_jelou_queue_ended(ngx_http_jelou_redis_ctx_t *ctx,
    ngx_http_jelou_redis_result_e result, ngx_int_t rc)
{
    ngx_uint_t                  what;
    ngx_http_jelou_queue_sh_t  *sh;

    sh = ngx_http_jelou_queue_sh;

    if (sh == NULL) {
        return;
    }

    ngx_http_jelou_queue_me->in_flight--;

    if (result == NGX_HTTP_JELOU_REDIS_REPLIED && rc == NGX_OK) {
        what = ngx_http_jelou_queue_outcomes[ctx->outcome.result];

        ngx_http_jelou_status_answered(ctx->request, ctx->jelou);
        ngx_http_jelou_status_time(&sh->reply,
                                   ngx_http_jelou_queue_reply_bounds,
                                   ctx->jelou->answered - ctx->jelou->decided);

        if (ctx->outcome.dropped) {
            ngx_http_jelou_add(&sh->counters[NGX_HTTP_JELOU_QUEUE_DROPPED],
                               ctx->outcome.dropped);
        }

        if (ctx->conf->stream->lengths || ctx->conf->pass) {
            ngx_http_jelou_queue_seen(ctx->group, &ctx->cmd.key);
        }

    } else {
        what = ngx_http_jelou_queue_results[result];
    }

    ngx_http_jelou_queue_count(what);
}


#if (NGX_HTTP_SSL)
#define ngx_http_jelou_queue_tls(conn)                                        \
    ((conn)->target->settings->ssl ? 1 : 0)
#else
#define ngx_http_jelou_queue_tls(conn)  0
#endif


void
ngx_http_jelou_queue_opened(ngx_http_jelou_redis_conn_t *conn)
{
    if (ngx_http_jelou_queue_sh) {
        ngx_http_jelou_queue_me->connections[ngx_http_jelou_queue_tls(conn)]++;
        ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_CONNECTED);
    }
}


void
ngx_http_jelou_queue_closed(ngx_http_jelou_redis_conn_t *conn)
{
    if (ngx_http_jelou_queue_sh == NULL) {
        return;
    }

    if (conn->ready) {
        ngx_http_jelou_queue_me->connections[ngx_http_jelou_queue_tls(conn)]--;

    } else {
        ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_FAILED);
    }
}


/* An entry of somebody else's does not say when it was received. */

void
ngx_http_jelou_queue_delivered(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e, uint64_t now)
{
    uint64_t                          received;
    ngx_http_jelou_queue_delivery_t  *row;

    row = s->status;

    if (row == NULL) {
        return;
    }

    received = e->received ? e->received : e->ms;

    ngx_http_jelou_add(&row->delivered, 1);
    ngx_http_jelou_status_time(&row->times,
                               ngx_http_jelou_queue_delivery_bounds,
                               now > received ? (now - received) * 1000000
                                              : 0);
}


void
ngx_http_jelou_queue_retried(ngx_http_jelou_deliver_stream_t *s)
{
    if (s->status) {
        ngx_http_jelou_add(&s->status->retried, 1);
    }
}


void
ngx_http_jelou_queue_dead(ngx_http_jelou_deliver_stream_t *s,
    ngx_uint_t reason)
{
    if (s->status) {
        ngx_http_jelou_add(&s->status->dead[reason], 1);
    }
}
