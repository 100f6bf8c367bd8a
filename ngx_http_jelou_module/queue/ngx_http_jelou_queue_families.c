
/*
 * What the pages have of the queue and of deliveries, as tables.
 */


#include "ngx_http_jelou_queue_families.h"


static ngx_int_t ngx_http_jelou_read_counters(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);
static ngx_int_t ngx_http_jelou_read_number(ngx_http_jelou_view_t *view,
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

static const ngx_str_t
    ngx_http_jelou_queue_reply_names[NGX_HTTP_JELOU_NBUCKETS] =
{
    ngx_string("0.0001"), ngx_string("0.00025"), ngx_string("0.0005"),
    ngx_string("0.001"), ngx_string("0.0025"), ngx_string("0.005"),
    ngx_string("0.01"), ngx_string("0.025"), ngx_string("0.05"),
    ngx_string("0.1"), ngx_string("0.5"), ngx_string("1"), ngx_string("5"),
    ngx_string("+Inf")
};

static const ngx_str_t
    ngx_http_jelou_queue_delivery_names[NGX_HTTP_JELOU_NBUCKETS] =
{
    ngx_string("0.01"), ngx_string("0.05"), ngx_string("0.1"),
    ngx_string("0.5"), ngx_string("1"), ngx_string("5"), ngx_string("15"),
    ngx_string("60"), ngx_string("300"), ngx_string("1800"),
    ngx_string("7200"), ngx_string("28800"), ngx_string("86400"),
    ngx_string("+Inf")
};


#define ngx_http_jelou_no  ngx_null_string


static const ngx_http_jelou_metric_t  ngx_http_jelou_queue_family[] = {

    { ngx_string("nginx_jelou_queue_connections"),
      ngx_string("Connections to Redis that are ready."),
      ngx_string("tls"), ngx_string("connections"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_CONNECTIONS, NULL,
      0 },

    { ngx_string("nginx_jelou_queue_in_flight"),
      ngx_string("Events whose reply from Redis is waited for."),
      ngx_http_jelou_no, ngx_string("in_flight"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_IN_FLIGHT, NULL,
      0 },

    { ngx_string("nginx_jelou_queue_events_total"),
      ngx_string("Events for the queue, by what became of them."),
      ngx_string("result"), ngx_string("events"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_EVENTS, NULL, 0 },

    { ngx_string("nginx_jelou_queue_reply_seconds"),
      ngx_string("From the hand-over of an event to the reply of Redis."),
      ngx_http_jelou_no, ngx_string("reply"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_HISTOGRAM,
      NGX_HTTP_JELOU_TIMES, NULL,
      offsetof(ngx_http_jelou_of_queue_t, reply),
      ngx_http_jelou_queue_reply_names, 0 },

    { ngx_string("nginx_jelou_queue_redirections_total"),
      ngx_string("Redirections of a cluster that were followed."),
      ngx_string("kind"), ngx_string("redirections"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_REDIRECTIONS,
      NULL, 0 },

    { ngx_string("nginx_jelou_queue_retries_total"),
      ngx_string("Commands that were sent once more, by the reason."),
      ngx_string("reason"), ngx_string("retries"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_RETRIES, NULL, 0 },

    { ngx_string("nginx_jelou_queue_connects_total"),
      ngx_string("Connections to Redis that were opened, or could not be."),
      ngx_string("result"), ngx_string("connects"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_CONNECTS, NULL,
      0 },

    { ngx_string("nginx_jelou_queue_dropped_entries_total"),
      ngx_string("Entries that maxlen has dropped."),
      ngx_http_jelou_no, ngx_string("dropped"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_DROPPED, NULL, 0 },

    { ngx_string("nginx_jelou_queue_unlisted_events_total"),
      ngx_string("Events of streams for which there is no row."),
      ngx_http_jelou_no, ngx_string("unlisted"),
      NGX_HTTP_JELOU_OF_QUEUE, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_counters, NGX_HTTP_JELOU_QUEUE_OF_UNLISTED, NULL,
      0 },

    { ngx_string("nginx_jelou_stream_entries"),
      ngx_string("Entries in the stream, read or not."),
      ngx_http_jelou_no, ngx_string("entries"),
      NGX_HTTP_JELOU_OF_STREAM, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_number, NGX_HTTP_JELOU_STREAM_LENGTH, NULL, 0 },

    { ngx_string("nginx_jelou_group_pending"),
      ngx_string("Entries that the group has read and not acknowledged."),
      ngx_http_jelou_no, ngx_string("pending"),
      NGX_HTTP_JELOU_OF_GROUP, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_number, NGX_HTTP_JELOU_GROUP_PENDING, NULL, 0 },

    { ngx_string("nginx_jelou_group_lag"),
      ngx_string("Entries that the group has not read yet."),
      ngx_http_jelou_no, ngx_string("lag"),
      NGX_HTTP_JELOU_OF_GROUP, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_number, NGX_HTTP_JELOU_GROUP_LAG, NULL, 0 },

    { ngx_string("nginx_jelou_group_oldest_seconds"),
      ngx_string("The age of the oldest entry that is not acknowledged."),
      ngx_http_jelou_no, ngx_string("oldest"),
      NGX_HTTP_JELOU_OF_GROUP, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_number, NGX_HTTP_JELOU_GROUP_OLDEST, NULL, 1 },

    { ngx_string("nginx_jelou_delivered_events_total"),
      ngx_string("Events that the application has taken."),
      ngx_http_jelou_no, ngx_string("delivered"),
      NGX_HTTP_JELOU_OF_DELIVERY, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_number, NGX_HTTP_JELOU_DELIVERY_DELIVERED, NULL,
      0 },

    { ngx_string("nginx_jelou_delivery_retries_total"),
      ngx_string("Attempts after which an event is delivered again."),
      ngx_http_jelou_no, ngx_string("retried"),
      NGX_HTTP_JELOU_OF_DELIVERY, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_number, NGX_HTTP_JELOU_DELIVERY_RETRIED, NULL, 0 },

    { ngx_string("nginx_jelou_dead_letters_total"),
      ngx_string("Events that became dead letters, by the reason."),
      ngx_string("reason"), ngx_string("dead"),
      NGX_HTTP_JELOU_OF_DELIVERY, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_dead, 0, NULL, 0 },

    { ngx_string("nginx_jelou_delivery_seconds"),
      ngx_string("From the receipt of an event to the application's 2xx."),
      ngx_http_jelou_no, ngx_string("times"),
      NGX_HTTP_JELOU_OF_DELIVERY, NGX_HTTP_JELOU_HISTOGRAM,
      NGX_HTTP_JELOU_TIMES, NULL,
      offsetof(ngx_http_jelou_of_row_t, times),
      ngx_http_jelou_queue_delivery_names, 0 },

    { ngx_string("nginx_jelou_delivery_owned"),
      ngx_string("Whether a worker, of any machine, has the stream."),
      ngx_http_jelou_no, ngx_string("owned"),
      NGX_HTTP_JELOU_OF_DELIVERY, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_FLAG,
      ngx_http_jelou_read_number, NGX_HTTP_JELOU_DELIVERY_OWNED, NULL, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("owner"),
      NGX_HTTP_JELOU_OF_DELIVERY, 0, NGX_HTTP_JELOU_TEXT,
      ngx_http_jelou_read_owner, 0, NULL, 0 },

    { ngx_string("nginx_jelou_delivery_paused"),
      ngx_string("Whether the delivery is paused."),
      ngx_http_jelou_no, ngx_string("paused"),
      NGX_HTTP_JELOU_OF_DELIVERY, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_FLAG,
      ngx_http_jelou_read_number, NGX_HTTP_JELOU_DELIVERY_PAUSED, NULL, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_http_jelou_no, 0, 0, 0, NULL, 0, NULL, 0 }
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
ngx_http_jelou_read_number(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_row_t  *of;

    if (n) {
        return NGX_DONE;
    }

    of = view->data;

    if (of->numbers[metric->data] < 0) {
        return NGX_DECLINED;
    }

    row->value = of->numbers[metric->data];

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
