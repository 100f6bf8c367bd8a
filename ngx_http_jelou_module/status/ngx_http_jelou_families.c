
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
    ngx_uint_t                        counts[NGX_HTTP_JELOU_NZONE];
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
static ngx_int_t ngx_http_jelou_read_zone(ngx_http_jelou_view_t *view,
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


#define ngx_http_jelou_no  ngx_null_string

#define ngx_http_jelou_times_at(which)                                        \
    (offsetof(ngx_http_jelou_of_endpoint_t, counters)                         \
     + offsetof(ngx_http_jelou_counters_t, times)                             \
     + NGX_HTTP_JELOU_TIME_##which * sizeof(ngx_http_jelou_histogram_t))


/* ngx_http_jelou_bounds as both pages have them, and what is above them */

static const ngx_str_t
    ngx_http_jelou_bound_names[NGX_HTTP_JELOU_NTIMES][NGX_HTTP_JELOU_NBUCKETS] =
{
    { ngx_string("0.00001"), ngx_string("0.000025"), ngx_string("0.00005"),
      ngx_string("0.0001"), ngx_string("0.00025"), ngx_string("0.0005"),
      ngx_string("0.001"), ngx_string("0.0025"), ngx_string("0.005"),
      ngx_string("0.01"), ngx_string("0.025"), ngx_string("0.05"),
      ngx_string("0.1"), ngx_string("+Inf") },

    { ngx_string("0.001"), ngx_string("0.0025"), ngx_string("0.005"),
      ngx_string("0.01"), ngx_string("0.025"), ngx_string("0.05"),
      ngx_string("0.1"), ngx_string("0.25"), ngx_string("0.5"),
      ngx_string("1"), ngx_string("2.5"), ngx_string("5"),
      ngx_string("10"), ngx_string("+Inf") }
};


/* the order is that of both pages */

static const ngx_http_jelou_metric_t  ngx_http_jelou_family[] = {

    { ngx_string("nginx_jelou_requests_total"),
      ngx_string("Requests to endpoints, by what became of them."),
      ngx_string("result"), ngx_http_jelou_no,
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, 0,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ANY, NULL, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("requests"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ANY, NULL, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("accepted"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ACCEPTED, NULL, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("duplicates"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_DUPLICATE, NULL, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("refusals"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_REFUSAL, NULL, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("failures"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_FAILURE, NULL, 0 },

    { ngx_string("nginx_jelou_accepted_messages_total"),
      ngx_string("Accepted requests that have a message of this type."),
      ngx_string("type"), ngx_string("types"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_type, 0, NULL, 0 },

    { ngx_string("nginx_jelou_conversation_events_total"),
      ngx_string("Accepted conversation events, by name."),
      ngx_string("event"), ngx_string("conversation_events"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_name, 0, NULL, 0 },

    { ngx_string("nginx_jelou_request_body_bytes_total"),
      ngx_string("Bytes of request bodies that were read in full."),
      ngx_http_jelou_no, ngx_string("body_bytes"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_bytes, NGX_HTTP_JELOU_BYTES_BODY, NULL, 0 },

    { ngx_string("nginx_jelou_event_bytes_total"),
      ngx_string("Bytes of events that were handed to the content handler."),
      ngx_http_jelou_no, ngx_string("event_bytes"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_bytes, NGX_HTTP_JELOU_BYTES_EVENT, NULL, 0 },

    { ngx_string("nginx_jelou_secret_matches_total"),
      ngx_string("Signatures that were right, by the secret's place."),
      ngx_string("secret"), ngx_string("secrets"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_secret, 0, NULL, 0 },

    { ngx_string("nginx_jelou_processing_seconds"),
      ngx_string("The module's own time, from the whole body to the hand-over "
                 "or the refusal."),
      ngx_http_jelou_no, ngx_string("processing"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_HISTOGRAM,
      NGX_HTTP_JELOU_TIMES, NULL,
      ngx_http_jelou_times_at(PROCESSING),
      ngx_http_jelou_bound_names[NGX_HTTP_JELOU_TIME_PROCESSING], 0 },

    { ngx_string("nginx_jelou_upstream_seconds"),
      ngx_string("From the hand-over to the end of the content handler's "
                 "answer."),
      ngx_http_jelou_no, ngx_string("upstream"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_HISTOGRAM,
      NGX_HTTP_JELOU_TIMES, NULL,
      ngx_http_jelou_times_at(UPSTREAM),
      ngx_http_jelou_bound_names[NGX_HTTP_JELOU_TIME_UPSTREAM], 0 },

    { ngx_string("nginx_jelou_dedup_entries"),
      ngx_string("Messages that the zone remembers, those in flight too."),
      ngx_http_jelou_no, ngx_string("entries"),
      NGX_HTTP_JELOU_OF_ZONE, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_zone, NGX_HTTP_JELOU_ZONE_ENTRIES, NULL, 0 },

    { ngx_string("nginx_jelou_dedup_in_flight"),
      ngx_string("Messages that are being delivered."),
      ngx_http_jelou_no, ngx_string("in_flight"),
      NGX_HTTP_JELOU_OF_ZONE, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_zone, NGX_HTTP_JELOU_ZONE_IN_FLIGHT, NULL, 0 },

    { ngx_string("nginx_jelou_dedup_capacity"),
      ngx_string("Messages that the zone has room for."),
      ngx_http_jelou_no, ngx_string("capacity"),
      NGX_HTTP_JELOU_OF_ZONE, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_zone, NGX_HTTP_JELOU_ZONE_CAPACITY, NULL, 0 },

    { ngx_string("nginx_jelou_dedup_evictions_total"),
      ngx_string("Messages that were forgotten before their time, for want of "
                 "room."),
      ngx_http_jelou_no, ngx_string("evictions"),
      NGX_HTTP_JELOU_OF_ZONE, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_zone, NGX_HTTP_JELOU_ZONE_EVICTIONS, NULL, 0 },

    { ngx_string("nginx_jelou_info"),
      ngx_string("Always 1; the versions of the module and of nginx."),
      ngx_string("nginx"), ngx_http_jelou_no,
      NGX_HTTP_JELOU_OF_MODULE, NGX_HTTP_JELOU_GAUGE, 0,
      ngx_http_jelou_read_info, 0, NULL, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_http_jelou_no, 0, 0, 0, NULL, 0, NULL, 0 }
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
ngx_http_jelou_read_zone(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_http_jelou_of_zone_t  *of;

    of = view->data;
    row->value = of->counts[metric->data];

    return n ? NGX_DONE : NGX_OK;
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
