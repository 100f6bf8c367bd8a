
/*
 * What the pages have of the queue and of deliveries, as tables.
 */


#include "ngx_http_jelou_queue_families.h"


static ngx_int_t ngx_http_jelou_read_counters(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);
static ngx_int_t ngx_http_jelou_read_dead(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);
static ngx_int_t ngx_http_jelou_read_owner(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);


/* a number, by what a row is called; those of one metric are neighbours */

typedef struct {
    ngx_uint_t                        first;
    ngx_str_t                         names[NGX_HTTP_JELOU_QUEUE_MOVED + 1];
} ngx_http_jelou_queue_counters_t;


enum {
    NGX_HTTP_JELOU_QUEUE_OF_EVENTS = 0,
    NGX_HTTP_JELOU_QUEUE_OF_REDIRECTIONS,
    NGX_HTTP_JELOU_QUEUE_OF_RETRIES,
    NGX_HTTP_JELOU_QUEUE_OF_CONNECTS,
    NGX_HTTP_JELOU_QUEUE_OF_DROPPED,
    NGX_HTTP_JELOU_QUEUE_OF_UNLISTED,
    NGX_HTTP_JELOU_QUEUE_OF_CONNECTIONS,
    NGX_HTTP_JELOU_QUEUE_OF_IN_FLIGHT
};


static const ngx_http_jelou_queue_counters_t  ngx_http_jelou_queue_rows[] = {

    { NGX_HTTP_JELOU_QUEUE_APPENDED,
      { ngx_string("appended"), ngx_string("repeated"), ngx_string("reused"),
        ngx_string("full"), ngx_string("denied"), ngx_string("malformed"),
        ngx_string("no_server"), ngx_string("unreachable"),
        ngx_string("lost"), ngx_string("timed_out"), ngx_string("busy"),
        ngx_string("abandoned"), ngx_null_string } },

    { NGX_HTTP_JELOU_QUEUE_MOVED,
      { ngx_string("moved"), ngx_string("ask"), ngx_string("tryagain"),
        ngx_null_string } },

    { NGX_HTTP_JELOU_QUEUE_ELSEWHERE,
      { ngx_string("elsewhere"), ngx_string("lost"), ngx_null_string } },

    { NGX_HTTP_JELOU_QUEUE_CONNECTED,
      { ngx_string("ready"), ngx_string("failed"), ngx_null_string } },

    { NGX_HTTP_JELOU_QUEUE_DROPPED, { ngx_string("all"), ngx_null_string } },

    { NGX_HTTP_JELOU_QUEUE_UNLISTED, { ngx_string("all"), ngx_null_string } },

    { NGX_HTTP_JELOU_QUEUE_PLAIN,
      { ngx_string("off"), ngx_string("on"), ngx_null_string } },

    { NGX_HTTP_JELOU_QUEUE_IN_FLIGHT, { ngx_string("all"), ngx_null_string } }
};


const uint64_t  ngx_http_jelou_queue_reply_bounds[NGX_HTTP_JELOU_NBOUNDS] = {

    /* 100 us to 5 s */

    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000,
    50000000, 100000000, 500000000, 1000000000, 5000000000
};

const uint64_t  ngx_http_jelou_queue_delivery_bounds[NGX_HTTP_JELOU_NBOUNDS] =
{
    /* 10 ms to a day */

    10000000, 50000000, 100000000, 500000000, 1000000000, 5000000000,
    15000000000, 60000000000, 300000000000, 1800000000000, 7200000000000,
    28800000000000, 86400000000000
};

#define ngx_http_jelou_row_at(number)                                         \
    (offsetof(ngx_http_jelou_of_row_t, numbers)                               \
     + NGX_HTTP_JELOU_##number * sizeof(int64_t))


static const ngx_http_jelou_metric_t  ngx_http_jelou_queue_family[] = {
    ngx_http_jelou_metric("nginx_jelou_queue_connections",
        "Connections to Redis that are ready.",
        "tls", "connections", QUEUE, GAUGE, SUM,
        ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_CONNECTIONS),

    ngx_http_jelou_metric("nginx_jelou_queue_in_flight",
        "Events whose reply from Redis is waited for.",
        "", "in_flight", QUEUE, GAUGE, SUM,
        ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_IN_FLIGHT),

    ngx_http_jelou_metric("nginx_jelou_queue_events_total",
        "Events for the queue, by what became of them.",
        "result", "events", QUEUE, COUNTER, ROWS,
        ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_EVENTS),

    ngx_http_jelou_histogram("nginx_jelou_queue_reply_seconds",
        "From the hand-over of an event to the reply of Redis.",
        "reply", QUEUE, offsetof(ngx_http_jelou_of_queue_t, reply),
        ngx_http_jelou_queue_reply_bounds),

    ngx_http_jelou_metric("nginx_jelou_queue_redirections_total",
        "Redirections of a cluster that were followed.",
        "kind", "redirections", QUEUE, COUNTER, ROWS,
        ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_REDIRECTIONS),

    ngx_http_jelou_metric("nginx_jelou_queue_retries_total",
        "Commands that were sent once more, by the reason.",
        "reason", "retries", QUEUE, COUNTER, ROWS,
        ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_RETRIES),

    ngx_http_jelou_metric("nginx_jelou_queue_connects_total",
        "Connections to Redis that were opened, or could not be.",
        "result", "connects", QUEUE, COUNTER, ROWS,
        ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_CONNECTS),

    ngx_http_jelou_metric("nginx_jelou_queue_dropped_entries_total",
        "Entries that maxlen has dropped.",
        "", "dropped", QUEUE, COUNTER, SUM,
        ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_DROPPED),

    ngx_http_jelou_metric("nginx_jelou_queue_unlisted_events_total",
        "Events of streams for which there is no row.",
        "", "unlisted", QUEUE, COUNTER, SUM,
        ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_UNLISTED),

    ngx_http_jelou_metric("nginx_jelou_stream_entries",
        "Entries in the stream, read or not.",
        "", "entries", STREAM, GAUGE, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_row_at(STREAM_LENGTH)),

    ngx_http_jelou_metric("nginx_jelou_group_pending",
        "Entries that the group has read and not acknowledged.",
        "", "pending", GROUP, GAUGE, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_row_at(GROUP_PENDING)),

    ngx_http_jelou_metric("nginx_jelou_group_lag",
        "Entries that the group has not read yet.",
        "", "lag", GROUP, GAUGE, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_row_at(GROUP_LAG)),

    ngx_http_jelou_metric("nginx_jelou_group_oldest_seconds",
        "The age of the oldest entry that is not acknowledged.",
        "", "oldest", GROUP, SECONDS, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_row_at(GROUP_OLDEST)),

    ngx_http_jelou_metric("nginx_jelou_delivered_events_total",
        "Events that the application has taken.",
        "", "delivered", DELIVERY, COUNTER, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_row_at(DELIVERY_DELIVERED)),

    ngx_http_jelou_metric("nginx_jelou_delivery_retries_total",
        "Attempts after which an event is delivered again.",
        "", "retried", DELIVERY, COUNTER, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_row_at(DELIVERY_RETRIED)),

    ngx_http_jelou_metric("nginx_jelou_dead_letters_total",
        "Events that became dead letters, by the reason.",
        "reason", "dead", DELIVERY, COUNTER, ROWS,
        ngx_http_jelou_read_dead, 0),

    ngx_http_jelou_histogram("nginx_jelou_delivery_seconds",
        "From the receipt of an event to the application's 2xx.",
        "times", DELIVERY, offsetof(ngx_http_jelou_of_row_t, times),
        ngx_http_jelou_queue_delivery_bounds),

    ngx_http_jelou_metric("nginx_jelou_delivery_owned",
        "Whether a worker, of any machine, has the stream.",
        "", "owned", DELIVERY, GAUGE, FLAG,
        ngx_http_jelou_read_number, ngx_http_jelou_row_at(DELIVERY_OWNED)),

    ngx_http_jelou_member("owner", DELIVERY, TEXT,
        ngx_http_jelou_read_owner, 0),

    ngx_http_jelou_metric("nginx_jelou_delivery_paused",
        "Whether the delivery is paused.",
        "", "paused", DELIVERY, GAUGE, FLAG,
        ngx_http_jelou_read_number, ngx_http_jelou_row_at(DELIVERY_PAUSED)),

    ngx_http_jelou_metric("", "", "", "", QUEUE, COUNTER, SUM, NULL, 0)
};


static const ngx_http_jelou_scope_t  ngx_http_jelou_queue_scopes[] = {
    { "queue", NGX_HTTP_JELOU_ALONE, { NULL, NULL, NULL } },
    { "streams", NGX_HTTP_JELOU_LISTED, { "queue", "stream", NULL } },
    { "groups", NGX_HTTP_JELOU_LISTED, { "queue", "stream", "group" } },
    { "deliveries", NGX_HTTP_JELOU_LISTED, { "queue", "stream", "group" } }
};


const ngx_http_jelou_part_t  ngx_http_jelou_queue_part = {
    4,
    ngx_http_jelou_queue_scopes,
    ngx_http_jelou_queue_family,
    sizeof(ngx_http_jelou_queue_sh_t),
    ngx_http_jelou_queue_snapshot
};


static ngx_int_t
ngx_http_jelou_read_counters(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_queue_t              *of;
    const ngx_http_jelou_queue_counters_t  *c;

    of = view->data;
    c = &ngx_http_jelou_queue_rows[metric->data];

    if (c->names[n].len == 0) {
        return NGX_DONE;
    }

    row->label = c->names[n];
    row->value = of->numbers[c->first + n];

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_dead(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_row_t  *of;

    if (n == NGX_HTTP_JELOU_DELIVER_NREASONS) {
        return NGX_DONE;
    }

    of = view->data;
    row->label = ngx_http_jelou_deliver_reasons[n];
    row->value = of->dead[n];

    return row->label.len ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_jelou_read_owner(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_row_t  *of;

    if (n) {
        return NGX_DONE;
    }

    of = view->data;
    row->label = of->owner;
    row->value = 1;

    return of->owner.len ? NGX_OK : NGX_DECLINED;
}
