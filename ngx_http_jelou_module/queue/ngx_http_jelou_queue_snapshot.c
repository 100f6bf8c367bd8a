
/*
 * A copy of what was counted, for a page.
 */


#include "ngx_http_jelou_queue_families.h"


static ngx_int_t ngx_http_jelou_queue_snapshot_queue(
    ngx_http_jelou_snapshot_t *s);
static ngx_int_t ngx_http_jelou_queue_snapshot_streams(
    ngx_http_jelou_snapshot_t *s);
static ngx_int_t ngx_http_jelou_queue_snapshot_groups(
    ngx_http_jelou_snapshot_t *s, ngx_uint_t stream);
static ngx_int_t ngx_http_jelou_queue_snapshot_deliveries(
    ngx_http_jelou_snapshot_t *s);
static ngx_http_jelou_view_t *ngx_http_jelou_queue_view(
    ngx_http_jelou_snapshot_t *s, ngx_uint_t scope,
    ngx_http_jelou_queue_names_t *names, ngx_str_t *group);


/* Redis is asked by the way: the page has what it said last. */

ngx_int_t
ngx_http_jelou_queue_snapshot(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s)
{
    ngx_int_t                   rc;
    ngx_http_jelou_queue_sh_t  *sh;

    sh = ngx_http_jelou_queue_sh;

    if (sh == NULL) {
        return NGX_DECLINED;
    }

    sh->read = ngx_time();

    ngx_http_jelou_queue_seen_all((ngx_cycle_t *) ngx_cycle);
    ngx_http_jelou_queue_ask((ngx_cycle_t *) ngx_cycle);

    if (ngx_http_jelou_queue_snapshot_queue(s) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_shmtx_lock(&ngx_http_jelou_queue_pool->mutex);

    rc = ngx_http_jelou_queue_snapshot_streams(s);

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_queue_snapshot_deliveries(s);
    }

    ngx_shmtx_unlock(&ngx_http_jelou_queue_pool->mutex);

    return rc;
}


/* Of a worker that was killed, connections are closed. */

static ngx_int_t
ngx_http_jelou_queue_snapshot_queue(ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t                      i;
    ngx_http_jelou_view_t          *view;
    ngx_http_jelou_of_queue_t      *of;
    ngx_http_jelou_queue_sh_t      *sh;
    ngx_http_jelou_queue_worker_t  *w;

    sh = ngx_http_jelou_queue_sh;

    view = ngx_http_jelou_snapshot_add(s, NGX_HTTP_JELOU_OF_QUEUE,
                                       sizeof(ngx_http_jelou_of_queue_t));
    if (view == NULL) {
        return NGX_ERROR;
    }

    of = view->data;

    for (i = 0; i < NGX_HTTP_JELOU_QUEUE_NCOUNTERS; i++) {
        of->numbers[i] = sh->counters[i];
    }

    of->reply = sh->reply;

    for (i = 0; i < NGX_HTTP_JELOU_QUEUE_ROWS; i++) {
        w = &sh->workers[i];

        if (w->pid
            && (kill((ngx_pid_t) w->pid, 0) == 0 || ngx_errno != NGX_ESRCH))
        {
            of->numbers[NGX_HTTP_JELOU_QUEUE_PLAIN] += w->connections[0];
            of->numbers[NGX_HTTP_JELOU_QUEUE_TLS] += w->connections[1];
            of->numbers[NGX_HTTP_JELOU_QUEUE_IN_FLIGHT] += w->in_flight;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_queue_snapshot_streams(ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t                      i, known;
    ngx_http_jelou_view_t          *view;
    ngx_http_jelou_of_row_t        *of;
    ngx_http_jelou_queue_stream_t  *row;

    for (i = 0; i < NGX_HTTP_JELOU_QUEUE_ROWS; i++) {
        row = &ngx_http_jelou_queue_sh->streams[i];

        if (row->hash == 0
            || ngx_time() - (time_t) row->seen > NGX_HTTP_JELOU_QUEUE_SHOWN)
        {
            continue;
        }

        view = ngx_http_jelou_queue_view(s, NGX_HTTP_JELOU_OF_STREAM,
                                         &row->names, NULL);
        if (view == NULL) {
            return NGX_ERROR;
        }

        known = row->answered
                && ngx_current_msec - row->answered
                   < NGX_HTTP_JELOU_QUEUE_KNOWN;

        of = view->data;
        of->numbers[NGX_HTTP_JELOU_STREAM_LENGTH] =
                                          known ? (int64_t) row->length : -1;

        if (known && ngx_http_jelou_queue_snapshot_groups(s, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_queue_snapshot_groups(ngx_http_jelou_snapshot_t *s,
    ngx_uint_t stream)
{
    ngx_uint_t                      i;
    ngx_http_jelou_view_t          *view;
    ngx_http_jelou_of_row_t        *of;
    ngx_http_jelou_queue_sh_t      *sh;
    ngx_http_jelou_queue_group_t   *group;

    sh = ngx_http_jelou_queue_sh;

    for (i = 0; i < NGX_HTTP_JELOU_QUEUE_ROWS; i++) {
        group = &sh->groups[i];

        if (group->stream != stream + 1) {
            continue;
        }

        view = ngx_http_jelou_queue_view(s, NGX_HTTP_JELOU_OF_GROUP,
                                         &sh->streams[stream].names,
                                         &group->name);
        if (view == NULL) {
            return NGX_ERROR;
        }

        of = view->data;
        of->numbers[NGX_HTTP_JELOU_GROUP_PENDING] = group->pending;
        of->numbers[NGX_HTTP_JELOU_GROUP_LAG] = group->lag;

        /* with nothing to be acknowledged, nothing is old */

        of->numbers[NGX_HTTP_JELOU_GROUP_OLDEST] =
                                group->oldest > 0 ? group->oldest * 1000000
                                                  : 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_queue_snapshot_deliveries(ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t                        i, known;
    ngx_http_jelou_view_t            *view;
    ngx_http_jelou_of_row_t          *of;
    ngx_http_jelou_queue_delivery_t  *row;

    for (row = ngx_http_jelou_queue_sh->deliveries; row; row = row->next) {

        if (ngx_time() - (time_t) row->seen > NGX_HTTP_JELOU_QUEUE_SHOWN) {
            continue;
        }

        view = ngx_http_jelou_queue_view(s, NGX_HTTP_JELOU_OF_DELIVERY,
                                         &row->names, &row->names.group);
        if (view == NULL) {
            return NGX_ERROR;
        }

        known = row->answered
                && ngx_current_msec - row->answered
                   < NGX_HTTP_JELOU_QUEUE_KNOWN;

        of = view->data;
        of->numbers[NGX_HTTP_JELOU_DELIVERY_DELIVERED] = row->delivered;
        of->numbers[NGX_HTTP_JELOU_DELIVERY_RETRIED] = row->retried;
        of->numbers[NGX_HTTP_JELOU_DELIVERY_OWNED] =
                           known && row->leased ? row->owner.len != 0 : -1;
        of->numbers[NGX_HTTP_JELOU_DELIVERY_PAUSED] =
                                        known ? (int64_t) row->paused : -1;

        for (i = 0; i < NGX_HTTP_JELOU_DELIVER_NREASONS; i++) {
            of->dead[i] = row->dead[i];
        }

        of->times = row->times;

        if (known && row->leased && row->owner.len) {
            of->owner.len = row->owner.len;
            of->owner.data = ngx_pstrdup(s->pool, &row->owner);

            if (of->owner.data == NULL) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* The names are copied: they may go when the lock is given back. */

static ngx_http_jelou_view_t *
ngx_http_jelou_queue_view(ngx_http_jelou_snapshot_t *s, ngx_uint_t scope,
    ngx_http_jelou_queue_names_t *names, ngx_str_t *group)
{
    ngx_str_t              *from[NGX_HTTP_JELOU_NLABELS];
    ngx_uint_t              i;
    ngx_http_jelou_view_t  *view;

    view = ngx_http_jelou_snapshot_add(s, scope,
                                       sizeof(ngx_http_jelou_of_row_t));
    if (view == NULL) {
        return NULL;
    }

    from[0] = &names->queue;
    from[1] = &names->stream;
    from[2] = group;

    for (i = 0; i < NGX_HTTP_JELOU_NLABELS && from[i]; i++) {
        view->labels[i].len = from[i]->len;
        view->labels[i].data = ngx_pstrdup(s->pool, from[i]);

        if (view->labels[i].data == NULL) {
            return NULL;
        }
    }

    return view;
}
