
/*
 * What the pages have of endpoints and zones.
 */


#include "ngx_http_jelou_metrics.h"
#include "ngx_http_jelou_rule.h"


enum {
    NGX_HTTP_JELOU_OF_ENDPOINT = 0,
    NGX_HTTP_JELOU_OF_ZONE,
    NGX_HTTP_JELOU_OF_MODULE
};


enum {
    NGX_HTTP_JELOU_ZONE_ENTRIES = 0,
    NGX_HTTP_JELOU_ZONE_IN_FLIGHT,
    NGX_HTTP_JELOU_ZONE_CAPACITY,
    NGX_HTTP_JELOU_ZONE_EVICTIONS,

    NGX_HTTP_JELOU_NZONE
};


typedef struct {
    const ngx_http_jelou_endpoint_t  *endpoint;
    ngx_uint_t                        index;
    ngx_http_jelou_counters_t         counters;
    ngx_http_jelou_names_t            names;
    ngx_http_jelou_match_t           *matches;
    ngx_uint_t                        nmatches;
} ngx_http_jelou_of_endpoint_t;


typedef struct {
    int64_t                           counts[NGX_HTTP_JELOU_NZONE];
} ngx_http_jelou_of_zone_t;


static ngx_int_t ngx_http_jelou_read_result(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);
static ngx_int_t ngx_http_jelou_read_type(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);
static ngx_int_t ngx_http_jelou_read_name(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);
static ngx_int_t ngx_http_jelou_read_bytes(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);
static ngx_int_t ngx_http_jelou_read_secret(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);
static ngx_int_t ngx_http_jelou_read_info(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);

static ngx_int_t ngx_http_jelou_snapshot(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s);
static ngx_int_t ngx_http_jelou_snapshot_endpoint(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s, ngx_uint_t i);
static ngx_int_t ngx_http_jelou_snapshot_secrets(ngx_http_request_t *r,
    ngx_http_jelou_status_sh_t *sh, ngx_http_jelou_of_endpoint_t *of);
static int ngx_libc_cdecl ngx_http_jelou_compare_matches(const void *one,
    const void *two);
static ngx_int_t ngx_http_jelou_snapshot_zones(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s);


#define ngx_http_jelou_zone_at(number)                                        \
    (offsetof(ngx_http_jelou_of_zone_t, counts)                               \
     + NGX_HTTP_JELOU_ZONE_##number * sizeof(int64_t))

#define ngx_http_jelou_times_at(which)                                        \
    (offsetof(ngx_http_jelou_of_endpoint_t, counters)                         \
     + offsetof(ngx_http_jelou_counters_t, times)                             \
     + NGX_HTTP_JELOU_TIME_##which * sizeof(ngx_http_jelou_histogram_t))


/* the order is that of both pages */

static const ngx_http_jelou_metric_t  ngx_http_jelou_family[] = {
    ngx_http_jelou_metric("nginx_jelou_requests_total",
        "Requests to endpoints, by what became of them.",
        "result", "", ENDPOINT, COUNTER, SUM,
        ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ANY),

    ngx_http_jelou_member("requests", ENDPOINT, SUM,
        ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ANY),

    ngx_http_jelou_member("accepted", ENDPOINT, SUM,
        ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ACCEPTED),

    ngx_http_jelou_member("duplicates", ENDPOINT, SUM,
        ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_DUPLICATE),

    ngx_http_jelou_member("refusals", ENDPOINT, ROWS,
        ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_REFUSAL),

    ngx_http_jelou_member("failures", ENDPOINT, ROWS,
        ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_FAILURE),

    ngx_http_jelou_metric("nginx_jelou_accepted_messages_total",
        "Accepted requests that have a message of this type.",
        "type", "types", ENDPOINT, COUNTER, ROWS,
        ngx_http_jelou_read_type, 0),

    ngx_http_jelou_metric("nginx_jelou_conversation_events_total",
        "Accepted conversation events, by name.",
        "event", "conversation_events", ENDPOINT, COUNTER, ROWS,
        ngx_http_jelou_read_name, 0),

    ngx_http_jelou_metric("nginx_jelou_request_body_bytes_total",
        "Bytes of request bodies that were read in full.",
        "", "body_bytes", ENDPOINT, COUNTER, SUM,
        ngx_http_jelou_read_bytes, NGX_HTTP_JELOU_BYTES_BODY),

    ngx_http_jelou_metric("nginx_jelou_event_bytes_total",
        "Bytes of events that were handed to the content handler.",
        "", "event_bytes", ENDPOINT, COUNTER, SUM,
        ngx_http_jelou_read_bytes, NGX_HTTP_JELOU_BYTES_EVENT),

    ngx_http_jelou_metric("nginx_jelou_secret_matches_total",
        "Signatures that were right, by the secret's place.",
        "secret", "secrets", ENDPOINT, COUNTER, ROWS,
        ngx_http_jelou_read_secret, 0),

    ngx_http_jelou_histogram("nginx_jelou_processing_seconds",
        "The module's own time, from the whole body to the hand-over "
        "or the refusal.",
        "processing", ENDPOINT, ngx_http_jelou_times_at(PROCESSING),
        ngx_http_jelou_bounds[NGX_HTTP_JELOU_TIME_PROCESSING]),

    ngx_http_jelou_histogram("nginx_jelou_upstream_seconds",
        "From the hand-over to the end of the content handler's "
        "answer.",
        "upstream", ENDPOINT, ngx_http_jelou_times_at(UPSTREAM),
        ngx_http_jelou_bounds[NGX_HTTP_JELOU_TIME_UPSTREAM]),

    ngx_http_jelou_metric("nginx_jelou_dedup_entries",
        "Messages that the zone remembers, those in flight too.",
        "", "entries", ZONE, GAUGE, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_zone_at(ENTRIES)),

    ngx_http_jelou_metric("nginx_jelou_dedup_in_flight",
        "Messages that are being delivered.",
        "", "in_flight", ZONE, GAUGE, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_zone_at(IN_FLIGHT)),

    ngx_http_jelou_metric("nginx_jelou_dedup_capacity",
        "Messages that the zone has room for.",
        "", "capacity", ZONE, GAUGE, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_zone_at(CAPACITY)),

    ngx_http_jelou_metric("nginx_jelou_dedup_evictions_total",
        "Messages that were forgotten before their time, for want of "
        "room.",
        "", "evictions", ZONE, COUNTER, SUM,
        ngx_http_jelou_read_number, ngx_http_jelou_zone_at(EVICTIONS)),

    ngx_http_jelou_metric("nginx_jelou_info",
        "Always 1; the versions of the module and of nginx.",
        "nginx", "", MODULE, GAUGE, SUM,
        ngx_http_jelou_read_info, 0),

    ngx_http_jelou_metric("", "", "", "", ENDPOINT, COUNTER, SUM, NULL, 0)
};


static const ngx_http_jelou_scope_t  ngx_http_jelou_scopes[] = {
    { "endpoints", NGX_HTTP_JELOU_NAMED, { "endpoint", NULL, NULL } },
    { "dedup", NGX_HTTP_JELOU_NAMED, { "zone", NULL, NULL } },
    { NULL, NGX_HTTP_JELOU_ALONE, { "version", NULL, NULL } }
};


const ngx_http_jelou_part_t  ngx_http_jelou_families = {
    3,
    ngx_http_jelou_scopes,
    ngx_http_jelou_family,
    0,
    ngx_http_jelou_snapshot
};


static ngx_int_t
ngx_http_jelou_snapshot(ngx_http_request_t *r, ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t              i;
    ngx_http_jelou_view_t  *view;

    for (i = 0; ngx_http_jelou_endpoints[i].name.len; i++) {
        if (ngx_http_jelou_snapshot_endpoint(r, s, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_http_jelou_snapshot_zones(r, s) != NGX_OK) {
        return NGX_ERROR;
    }

    view = ngx_http_jelou_snapshot_add(s, NGX_HTTP_JELOU_OF_MODULE, 1);
    if (view == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&view->labels[0], NGX_HTTP_JELOU_VERSION);

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_snapshot_endpoint(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s, ngx_uint_t i)
{
    ngx_http_jelou_view_t         *view;
    ngx_http_jelou_main_conf_t    *jmcf;
    ngx_http_jelou_status_sh_t    *sh;
    ngx_http_jelou_of_endpoint_t  *of;

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);
    sh = ngx_http_jelou_status_sh(jmcf);

    view = ngx_http_jelou_snapshot_add(s, NGX_HTTP_JELOU_OF_ENDPOINT,
                                       sizeof(ngx_http_jelou_of_endpoint_t));
    if (view == NULL) {
        return NGX_ERROR;
    }

    of = view->data;

    of->endpoint = &ngx_http_jelou_endpoints[i];
    of->index = i;
    view->labels[0] = of->endpoint->name;

    ngx_memcpy(&of->counters, &sh->endpoints[i],
               sizeof(ngx_http_jelou_counters_t));

    if (of->endpoint->conversation) {
        ngx_http_jelou_names_copy(&of->names, &sh->names);
    }

    return ngx_http_jelou_snapshot_secrets(r, sh, of);
}


/* The endpoint's rows, in the order of the secrets. */

static ngx_int_t
ngx_http_jelou_snapshot_secrets(ngx_http_request_t *r,
    ngx_http_jelou_status_sh_t *sh, ngx_http_jelou_of_endpoint_t *of)
{
    ngx_uint_t               i, endpoint, place, in_file;
    ngx_array_t              rows;
    ngx_http_jelou_match_t  *match;

    if (ngx_array_init(&rows, r->pool, 4, sizeof(ngx_http_jelou_match_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < sh->nmatches; i++) {

        if (sh->matches[i].count == 0) {
            continue;
        }

        ngx_http_jelou_status_match(&sh->matches[i], &endpoint, &place,
                                    &in_file);

        if (endpoint != of->index) {
            continue;
        }

        match = ngx_array_push(&rows);
        if (match == NULL) {
            return NGX_ERROR;
        }

        *match = sh->matches[i];
    }

    of->matches = rows.elts;
    of->nmatches = rows.nelts;

    ngx_qsort(rows.elts, rows.nelts, sizeof(ngx_http_jelou_match_t),
              ngx_http_jelou_compare_matches);

    return NGX_OK;
}


static int ngx_libc_cdecl
ngx_http_jelou_compare_matches(const void *one, const void *two)
{
    ngx_atomic_uint_t  a, b;

    a = ((const ngx_http_jelou_match_t *) one)->key;
    b = ((const ngx_http_jelou_match_t *) two)->key;

    return a < b ? -1 : a > b;
}


static ngx_int_t
ngx_http_jelou_snapshot_zones(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t                       i;
    ngx_shm_zone_t                 **shm_zone;
    ngx_http_jelou_view_t           *view;
    ngx_http_jelou_of_zone_t        *of;
    ngx_http_jelou_main_conf_t      *jmcf;
    ngx_http_jelou_dedup_zone_t     *zone;
    ngx_http_jelou_dedup_counts_t    counts;

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);

    shm_zone = jmcf->dedup_zones.elts;

    for (i = 0; i < jmcf->dedup_zones.nelts; i++) {
        zone = shm_zone[i]->data;

        view = ngx_http_jelou_snapshot_add(s, NGX_HTTP_JELOU_OF_ZONE,
                                           sizeof(ngx_http_jelou_of_zone_t));
        if (view == NULL) {
            return NGX_ERROR;
        }

        of = view->data;
        view->labels[0] = zone->name;

        ngx_http_jelou_dedup_counts(zone, &counts);

        of->counts[NGX_HTTP_JELOU_ZONE_ENTRIES] = counts.entries;
        of->counts[NGX_HTTP_JELOU_ZONE_IN_FLIGHT] = counts.in_flight;
        of->counts[NGX_HTTP_JELOU_ZONE_CAPACITY] = zone->capacity;
        of->counts[NGX_HTTP_JELOU_ZONE_EVICTIONS] = counts.evictions;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_result(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_endpoint_t  *of;

    of = view->data;

    if (n == NGX_HTTP_JELOU_NRESULTS) {
        return NGX_DONE;
    }

    row->label = *ngx_http_jelou_result_name(n);

    if (row->label.len == 0
        || (metric->data != NGX_HTTP_JELOU_CLASS_ANY
            && metric->data != ngx_http_jelou_result_class(n)))
    {
        return NGX_DECLINED;
    }

    row->value = of->counters.results[n];

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_type(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_endpoint_t     *of;
    const ngx_http_jelou_endpoint_t  *e;

    of = view->data;
    e = of->endpoint;

    if (n < e->nvariants) {
        row->label = e->variants[n].type;

    } else if (e->conversation
               && ngx_http_jelou_conversations[n - e->nvariants].len)
    {
        row->label = ngx_http_jelou_conversations[n - e->nvariants];

    } else {
        return NGX_DONE;
    }

    row->value = of->counters.types[n];

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_name(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_endpoint_t  *of = view->data;

    return ngx_http_jelou_names_row(&of->names, n, &row->label, &row->value);
}


static ngx_int_t
ngx_http_jelou_read_bytes(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_endpoint_t  *of;

    of = view->data;
    row->value = of->counters.bytes[metric->data];

    return n ? NGX_DONE : NGX_OK;
}


/* as $jelou_secret_id has them, and those that had no room */

static ngx_int_t
ngx_http_jelou_read_secret(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_uint_t                     endpoint, place, in_file;
    ngx_http_jelou_of_endpoint_t  *of;

    of = view->data;

    if (n > of->nmatches) {
        return NGX_DONE;
    }

    if (n == of->nmatches) {
        ngx_str_set(&row->label, "other");
        row->value = of->counters.others;

        return row->value ? NGX_OK : NGX_DECLINED;
    }

    ngx_http_jelou_status_match(&of->matches[n], &endpoint, &place,
                                &in_file);

    row->label.data = row->buf;
    row->label.len = ngx_sprintf(row->buf, "%s%ui", in_file ? "file:" : "",
                                 place)
                     - row->buf;
    row->value = of->matches[n].count;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_info(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_str_set(&row->label, NGINX_VERSION);
    row->value = 1;

    return n ? NGX_DONE : NGX_OK;
}
