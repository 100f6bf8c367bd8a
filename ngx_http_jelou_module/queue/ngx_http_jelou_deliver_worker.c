
/*
 * The streams of a worker: what they begin with, and how they learn that nginx
 * is about to exit.
 */


#include "ngx_http_jelou_queue_status.h"
#include "ngx_http_jelou_id.h"


/* between the first tries of a worker's streams */

#define NGX_HTTP_JELOU_DELIVER_STAGGER  50

#define NGX_HTTP_JELOU_DELIVER_STATE    "jelou-deliver:"


static ngx_int_t ngx_http_jelou_deliver_create(ngx_cycle_t *cycle,
    ngx_http_jelou_deliver_main_conf_t *dmcf,
    ngx_http_jelou_deliver_loc_conf_t *conf, ngx_str_t *name);
static ngx_int_t ngx_http_jelou_deliver_names(ngx_cycle_t *cycle,
    ngx_http_jelou_deliver_stream_t *s);
static ngx_int_t ngx_http_jelou_deliver_keys(ngx_cycle_t *cycle,
    ngx_http_jelou_deliver_stream_t *s);
static ngx_int_t ngx_http_jelou_deliver_watch(ngx_cycle_t *cycle);
static void ngx_http_jelou_deliver_exit_handler(ngx_event_t *ev);


static ngx_array_t  *ngx_http_jelou_deliver_streams;   /* of stream_t * */


ngx_int_t
ngx_http_jelou_deliver_init_process(ngx_cycle_t *cycle)
{
    ngx_str_t                           *name;
    ngx_uint_t                           i, j;
    ngx_http_jelou_deliver_loc_conf_t  **location;
    ngx_http_jelou_deliver_main_conf_t  *dmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    dmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_jelou_deliver_module);

    if (dmcf == NULL || dmcf->locations.nelts == 0) {
        return NGX_OK;
    }

    ngx_http_jelou_deliver_streams = ngx_array_create(cycle->pool, 4,
                                 sizeof(ngx_http_jelou_deliver_stream_t *));

    if (ngx_http_jelou_deliver_streams == NULL
        || ngx_http_jelou_deliver_request_init(cycle) != NGX_OK
        || ngx_http_jelou_deliver_watch(cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    location = dmcf->locations.elts;

    for (i = 0; i < dmcf->locations.nelts; i++) {
        name = location[i]->streams.elts;

        for (j = 0; j < location[i]->streams.nelts; j++) {

            if (ngx_http_jelou_deliver_create(cycle, dmcf, location[i],
                                              &name[j])
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* Workers begin with different streams, so that each gets some. */

static ngx_int_t
ngx_http_jelou_deliver_create(ngx_cycle_t *cycle,
    ngx_http_jelou_deliver_main_conf_t *dmcf,
    ngx_http_jelou_deliver_loc_conf_t *conf, ngx_str_t *name)
{
    ngx_uint_t                         turn;
    ngx_core_conf_t                   *ccf;
    ngx_http_jelou_deliver_stream_t   *s, **p;

    s = ngx_pcalloc(cycle->pool, sizeof(ngx_http_jelou_deliver_stream_t));
    p = ngx_array_push(ngx_http_jelou_deliver_streams);

    if (s == NULL || p == NULL) {
        return NGX_ERROR;
    }

    *p = s;

    s->conf = conf;
    s->dmcf = dmcf;
    s->name = *name;
    s->number = ngx_http_jelou_deliver_streams->nelts - 1;

    s->target = ngx_http_jelou_redis_target(&conf->settings, conf->upstream);
    s->blocking = ngx_http_jelou_redis_target_create(&conf->blocking,
                                                     conf->upstream);
    s->acks = ngx_array_create(cycle->pool, 64,
                               sizeof(ngx_http_jelou_deliver_ack_t));
    s->acking = ngx_array_create(cycle->pool, 64,
                                 sizeof(ngx_http_jelou_deliver_ack_t));

    if (s->target == NULL || s->blocking == NULL || s->acks == NULL
        || s->acking == NULL
        || ngx_http_jelou_deliver_names(cycle, s) != NGX_OK
        || ngx_http_jelou_deliver_keys(cycle, s) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&s->cursor, "0-0");
    s->status = ngx_http_jelou_queue_delivery(s);

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    turn = (s->number + ngx_worker)
           % (ngx_uint_t) ngx_max(ccf->worker_processes, 1);

    ngx_http_jelou_deliver_start(s, 1 + turn * NGX_HTTP_JELOU_DELIVER_STAGGER);

    return NGX_OK;
}


/*
 * A lease is of one process.  So is a consumer of "order none": what an old
 * worker has in hand after a reload is never taken for what the new one in its
 * place has.  It is deleted when the process exits.
 */

static ngx_int_t
ngx_http_jelou_deliver_names(ngx_cycle_t *cycle,
    ngx_http_jelou_deliver_stream_t *s)
{
    u_char  random[NGX_HTTP_JELOU_RANDOM_LEN], *p;

    p = ngx_pnalloc(cycle->pool,
                    2 * (cycle->hostname.len + 4 * NGX_INT64_LEN)
                    + 2 * sizeof(random));

    if (p == NULL || ngx_http_jelou_id_random(random, sizeof(random),
                                                cycle->log) != NGX_OK) {
        return NGX_ERROR;
    }

    s->owner.data = p;
    p = ngx_sprintf(p, "%V:%P:", &cycle->hostname, ngx_pid);
    p = ngx_hex_dump(p, random, 8);
    s->owner.len = p - s->owner.data;

    if (s->conf->order == NGX_HTTP_JELOU_DELIVER_ROOM) {
        ngx_str_set(&s->consumer, NGX_HTTP_JELOU_DELIVER_CONSUMER);
        return NGX_OK;
    }

    s->consumer.data = p;
    p = ngx_sprintf(p, NGX_HTTP_JELOU_DELIVER_CONSUMER ":%V", &s->owner);
    s->consumer.len = p - s->consumer.data;

    return NGX_OK;
}


/* In a cluster, the hash is where the stream is; so are dead letters, if the
   operator has not named another place. */

static ngx_int_t
ngx_http_jelou_deliver_keys(ngx_cycle_t *cycle,
    ngx_http_jelou_deliver_stream_t *s)
{
    u_char      *p;
    const char  *open, *close;

    open = "";
    close = "";

    if (ngx_http_jelou_redis_tag(&s->name) == NGX_DECLINED) {
        open = "{";
        close = "}";
    }

    p = ngx_pnalloc(cycle->pool, 2 * (s->name.len + 2) + s->conf->group.len
                    + sizeof(NGX_HTTP_JELOU_DELIVER_STATE ":" ":dead"));
    if (p == NULL) {
        return NGX_ERROR;
    }

    s->hash.data = p;
    p = ngx_sprintf(p, NGX_HTTP_JELOU_DELIVER_STATE "%s%V%s:%V",
                    open, &s->name, close, &s->conf->group);
    s->hash.len = p - s->hash.data;

    if (s->conf->dead.len) {
        s->dead = s->conf->dead;
        return NGX_OK;
    }

    s->dead.data = p;
    p = ngx_sprintf(p, "%s%V%s:dead", open, &s->name, close);
    s->dead.len = p - s->dead.data;

    return NGX_OK;
}


/* nginx tells idle connections when it is about to exit. */

static ngx_int_t
ngx_http_jelou_deliver_watch(ngx_cycle_t *cycle)
{
    ngx_connection_t  *c;

    c = ngx_http_jelou_deliver_connection(cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->idle = 1;
    c->read->handler = ngx_http_jelou_deliver_exit_handler;
    c->read->log = cycle->log;
    c->write->log = cycle->log;
    c->log = cycle->log;

    return NGX_OK;
}


static void
ngx_http_jelou_deliver_exit_handler(ngx_event_t *ev)
{
    ngx_uint_t                         i;
    ngx_connection_t                  *c;
    ngx_http_jelou_deliver_stream_t  **s;

    c = ev->data;

    ngx_close_connection(c);

    s = ngx_http_jelou_deliver_streams->elts;

    for (i = 0; i < ngx_http_jelou_deliver_streams->nelts; i++) {
        ngx_http_jelou_deliver_stop(s[i]);
    }
}


ngx_uint_t
ngx_http_jelou_deliver_owned(void)
{
    ngx_uint_t                         i, n;
    ngx_http_jelou_deliver_stream_t  **s;

    s = ngx_http_jelou_deliver_streams->elts;
    n = 0;

    for (i = 0; i < ngx_http_jelou_deliver_streams->nelts; i++) {
        n += s[i]->owned;
    }

    return n;
}
