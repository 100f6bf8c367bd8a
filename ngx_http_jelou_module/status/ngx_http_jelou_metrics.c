
/*
 * The pages that show the counters: JSON, and what Prometheus reads.
 *
 * One table says what there is.  Both pages are written from a copy of the
 * counters, twice: first to know the length.
 */


#include "ngx_http_jelou_metrics.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_status.h"
#include "ngx_http_jelou_text.h"


/* what a metric is of; each has a list of views */

typedef enum {
    NGX_HTTP_JELOU_OF_ENDPOINT = 0,
    NGX_HTTP_JELOU_OF_ZONE,
    NGX_HTTP_JELOU_OF_MODULE,

    NGX_HTTP_JELOU_NSCOPES
} ngx_http_jelou_scope_e;


typedef enum {
    NGX_HTTP_JELOU_COUNTER = 0,
    NGX_HTTP_JELOU_GAUGE,
    NGX_HTTP_JELOU_HISTOGRAM
} ngx_http_jelou_metric_e;


/* what a member of the JSON page has */

typedef enum {
    NGX_HTTP_JELOU_SUM = 0,                  /* of the rows */
    NGX_HTTP_JELOU_ROWS,                     /* an object of all rows */
    NGX_HTTP_JELOU_TIMES                     /* a histogram's object */
} ngx_http_jelou_form_e;


enum {
    NGX_HTTP_JELOU_ZONE_ENTRIES = 0,
    NGX_HTTP_JELOU_ZONE_IN_FLIGHT,
    NGX_HTTP_JELOU_ZONE_CAPACITY,
    NGX_HTTP_JELOU_ZONE_EVICTIONS,

    NGX_HTTP_JELOU_NZONE
};


/* the copy of what there is of one endpoint, or one zone, or the module */

typedef struct {
    ngx_str_t                         name;
    const ngx_http_jelou_endpoint_t  *endpoint;
    ngx_uint_t                        index;
    ngx_http_jelou_counters_t         counters;
    ngx_http_jelou_names_t            names;
    ngx_http_jelou_match_t           *matches;
    ngx_uint_t                        nmatches;
    ngx_uint_t                        zone[NGX_HTTP_JELOU_NZONE];
} ngx_http_jelou_view_t;


typedef struct {
    ngx_array_t                       views[NGX_HTTP_JELOU_NSCOPES];
    time_t                            since;
    time_t                            sec;
    ngx_msec_t                        msec;
} ngx_http_jelou_snapshot_t;


/* a buffer that is filled, or only measured if there is none */

typedef struct {
    u_char                           *pos;
    u_char                           *last;
    size_t                            len;
} ngx_http_jelou_page_t;


typedef struct {
    ngx_str_t                         label;
    uint64_t                          value;
    u_char                            buf[sizeof("file:") + NGX_INT_T_LEN];
} ngx_http_jelou_row_t;


typedef struct ngx_http_jelou_metric_s  ngx_http_jelou_metric_t;

/* NGX_OK and the n-th row, NGX_DECLINED to skip it, NGX_DONE after the last */
typedef ngx_int_t (*ngx_http_jelou_read_pt)(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);

struct ngx_http_jelou_metric_s {
    ngx_str_t                         name;      /* Prometheus', or empty */
    ngx_str_t                         help;
    ngx_str_t                         label;     /* of the rows, or empty */
    ngx_str_t                         member;    /* JSON's, or empty */
    uint8_t                           scope;
    uint8_t                           type;
    uint8_t                           form;
    ngx_http_jelou_read_pt            read;      /* of histograms NULL */
    ngx_uint_t                        data;      /* for read, or which one */
};


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
static ngx_int_t ngx_http_jelou_snapshot_endpoints(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s);
static ngx_int_t ngx_http_jelou_snapshot_secrets(ngx_http_request_t *r,
    ngx_http_jelou_status_sh_t *sh, ngx_http_jelou_view_t *view);
static int ngx_libc_cdecl ngx_http_jelou_compare_matches(const void *one,
    const void *two);
static ngx_int_t ngx_http_jelou_snapshot_zones(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s);
static ngx_http_jelou_view_t *ngx_http_jelou_snapshot_add(
    ngx_http_jelou_snapshot_t *s, ngx_uint_t scope, const ngx_str_t *name);

static void ngx_http_jelou_write_prometheus(ngx_http_jelou_page_t *page,
    ngx_http_jelou_snapshot_t *s);
static void ngx_http_jelou_write_samples(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view);
static void ngx_http_jelou_write_buckets(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view);
static void ngx_http_jelou_write_sample(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view,
    const char *suffix, const ngx_str_t *name, const ngx_str_t *label);
static void ngx_http_jelou_write_json(ngx_http_jelou_page_t *page,
    ngx_http_jelou_snapshot_t *s);
static void ngx_http_jelou_write_views(ngx_http_jelou_page_t *page,
    ngx_http_jelou_snapshot_t *s, ngx_uint_t scope, const char *name);
static void ngx_http_jelou_write_member(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view);
static void ngx_http_jelou_write_times(ngx_http_jelou_page_t *page,
    ngx_http_jelou_histogram_t *h, const ngx_str_t *bounds);

static void ngx_http_jelou_page_add(ngx_http_jelou_page_t *page,
    const u_char *data, size_t len);
static void ngx_http_jelou_page_text(ngx_http_jelou_page_t *page,
    const char *text);
static void ngx_http_jelou_page_escape(ngx_http_jelou_page_t *page,
    const ngx_str_t *text);
static void ngx_http_jelou_page_quote(ngx_http_jelou_page_t *page,
    const ngx_str_t *text);
static void ngx_http_jelou_page_number(ngx_http_jelou_page_t *page,
    uint64_t number);
static void ngx_http_jelou_page_seconds(ngx_http_jelou_page_t *page,
    uint64_t ns);
static ngx_int_t ngx_http_jelou_metrics_send(ngx_http_request_t *r,
    ngx_uint_t format, u_char *data, size_t len);


#define ngx_http_jelou_no  ngx_null_string


/* the order is that of both pages */

static const ngx_http_jelou_metric_t  ngx_http_jelou_metrics[] = {

    { ngx_string("nginx_jelou_requests_total"),
      ngx_string("Requests to endpoints, by what became of them."),
      ngx_string("result"), ngx_http_jelou_no,
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, 0,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ANY },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("requests"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ANY },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("accepted"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_ACCEPTED },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("duplicates"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_DUPLICATE },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("refusals"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_REFUSAL },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_string("failures"),
      NGX_HTTP_JELOU_OF_ENDPOINT, 0, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_result, NGX_HTTP_JELOU_CLASS_FAILURE },

    { ngx_string("nginx_jelou_accepted_messages_total"),
      ngx_string("Accepted requests that have a message of this type."),
      ngx_string("type"), ngx_string("types"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_type, 0 },

    { ngx_string("nginx_jelou_conversation_events_total"),
      ngx_string("Accepted conversation events, by name."),
      ngx_string("event"), ngx_string("conversation_events"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_name, 0 },

    { ngx_string("nginx_jelou_request_body_bytes_total"),
      ngx_string("Bytes of request bodies that were read in full."),
      ngx_http_jelou_no, ngx_string("body_bytes"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_bytes, NGX_HTTP_JELOU_BYTES_BODY },

    { ngx_string("nginx_jelou_event_bytes_total"),
      ngx_string("Bytes of events that were handed to the content handler."),
      ngx_http_jelou_no, ngx_string("event_bytes"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_bytes, NGX_HTTP_JELOU_BYTES_EVENT },

    { ngx_string("nginx_jelou_secret_matches_total"),
      ngx_string("Signatures that were right, by the secret's place."),
      ngx_string("secret"), ngx_string("secrets"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_ROWS,
      ngx_http_jelou_read_secret, 0 },

    { ngx_string("nginx_jelou_processing_seconds"),
      ngx_string("The module's own time, from the whole body to the hand-over "
                 "or the refusal."),
      ngx_http_jelou_no, ngx_string("processing"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_HISTOGRAM,
      NGX_HTTP_JELOU_TIMES, NULL, NGX_HTTP_JELOU_TIME_PROCESSING },

    { ngx_string("nginx_jelou_upstream_seconds"),
      ngx_string("From the hand-over to the end of the content handler's "
                 "answer."),
      ngx_http_jelou_no, ngx_string("upstream"),
      NGX_HTTP_JELOU_OF_ENDPOINT, NGX_HTTP_JELOU_HISTOGRAM,
      NGX_HTTP_JELOU_TIMES, NULL, NGX_HTTP_JELOU_TIME_UPSTREAM },

    { ngx_string("nginx_jelou_dedup_entries"),
      ngx_string("Messages that the zone remembers, those in flight too."),
      ngx_http_jelou_no, ngx_string("entries"),
      NGX_HTTP_JELOU_OF_ZONE, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_zone, NGX_HTTP_JELOU_ZONE_ENTRIES },

    { ngx_string("nginx_jelou_dedup_in_flight"),
      ngx_string("Messages that are being delivered."),
      ngx_http_jelou_no, ngx_string("in_flight"),
      NGX_HTTP_JELOU_OF_ZONE, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_zone, NGX_HTTP_JELOU_ZONE_IN_FLIGHT },

    { ngx_string("nginx_jelou_dedup_capacity"),
      ngx_string("Messages that the zone has room for."),
      ngx_http_jelou_no, ngx_string("capacity"),
      NGX_HTTP_JELOU_OF_ZONE, NGX_HTTP_JELOU_GAUGE, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_zone, NGX_HTTP_JELOU_ZONE_CAPACITY },

    { ngx_string("nginx_jelou_dedup_evictions_total"),
      ngx_string("Messages that were forgotten before their time, for want of "
                 "room."),
      ngx_http_jelou_no, ngx_string("evictions"),
      NGX_HTTP_JELOU_OF_ZONE, NGX_HTTP_JELOU_COUNTER, NGX_HTTP_JELOU_SUM,
      ngx_http_jelou_read_zone, NGX_HTTP_JELOU_ZONE_EVICTIONS },

    { ngx_string("nginx_jelou_info"),
      ngx_string("Always 1; the versions of the module and of nginx."),
      ngx_string("nginx"), ngx_http_jelou_no,
      NGX_HTTP_JELOU_OF_MODULE, NGX_HTTP_JELOU_GAUGE, 0,
      ngx_http_jelou_read_info, 0 },

    { ngx_http_jelou_no, ngx_http_jelou_no, ngx_http_jelou_no,
      ngx_http_jelou_no, 0, 0, 0, NULL, 0 }
};


/* the names of the views, and of the types */

static const char  *ngx_http_jelou_scope_labels[] = {
    "endpoint", "zone", "version"
};

static const char  *ngx_http_jelou_metric_types[] = {
    "counter", "gauge", "histogram"
};


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


ngx_int_t
ngx_http_jelou_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_jelou_page_t       page;
    ngx_http_jelou_loc_conf_t  *jlcf;
    ngx_http_jelou_snapshot_t   s;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_jelou_snapshot(r, &s) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

    ngx_memzero(&page, sizeof(ngx_http_jelou_page_t));

    for ( ;; ) {

        if (jlcf->status == NGX_HTTP_JELOU_STATUS_JSON) {
            ngx_http_jelou_write_json(&page, &s);

        } else {
            ngx_http_jelou_write_prometheus(&page, &s);
        }

        if (page.pos) {
            break;
        }

        page.pos = ngx_pnalloc(r->pool, page.len);
        if (page.pos == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        page.last = page.pos + page.len;
        page.len = 0;
    }

    return ngx_http_jelou_metrics_send(r, jlcf->status, page.pos - page.len,
                                       page.len);
}


static ngx_int_t
ngx_http_jelou_metrics_send(ngx_http_request_t *r, ngx_uint_t format,
    u_char *data, size_t len)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    static const ngx_str_t  key = ngx_string("Cache-Control");
    static const ngx_str_t  value = ngx_string("no-store");
    static const ngx_str_t  json = ngx_string("application/json");
    static const ngx_str_t  prometheus =
                        ngx_string("text/plain; version=0.0.4; charset=utf-8");

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = len;
    r->headers_out.content_type = format == NGX_HTTP_JELOU_STATUS_JSON
                                  ? json : prometheus;

    /* shorter than the type: so that no charset is added */

    r->headers_out.content_type_len = format == NGX_HTTP_JELOU_STATUS_JSON
                                      ? json.len : sizeof("text/plain") - 1;

    if (ngx_http_jelou_add_header(r, &key, &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->pos = data;
    b->last = data + len;
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* All numbers at one moment, or nearly so: nobody is made to wait. */

static ngx_int_t
ngx_http_jelou_snapshot(ngx_http_request_t *r, ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t   i;
    ngx_time_t  *tp;

    static const ngx_str_t  version = ngx_string(NGX_HTTP_JELOU_VERSION);

    tp = ngx_timeofday();

    s->sec = tp->sec;
    s->msec = tp->msec;

    for (i = 0; i < NGX_HTTP_JELOU_NSCOPES; i++) {

        if (ngx_array_init(&s->views[i], r->pool, 4,
                           sizeof(ngx_http_jelou_view_t))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_http_jelou_snapshot_endpoints(r, s) != NGX_OK
        || ngx_http_jelou_snapshot_zones(r, s) != NGX_OK
        || ngx_http_jelou_snapshot_add(s, NGX_HTTP_JELOU_OF_MODULE, &version)
           == NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_http_jelou_view_t *
ngx_http_jelou_snapshot_add(ngx_http_jelou_snapshot_t *s, ngx_uint_t scope,
    const ngx_str_t *name)
{
    ngx_http_jelou_view_t  *view;

    view = ngx_array_push(&s->views[scope]);

    if (view) {
        ngx_memzero(view, sizeof(ngx_http_jelou_view_t));
        view->name = *name;
    }

    return view;
}


static ngx_int_t
ngx_http_jelou_snapshot_endpoints(ngx_http_request_t *r,
    ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t                        i;
    ngx_http_jelou_view_t            *view;
    ngx_http_jelou_main_conf_t       *jmcf;
    ngx_http_jelou_status_sh_t       *sh;
    const ngx_http_jelou_endpoint_t  *e;

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);
    sh = ((ngx_http_jelou_status_zone_t *) jmcf->status_zone->data)->sh;

    s->since = sh->since;

    for (i = 0; ngx_http_jelou_endpoints[i].name.len; i++) {
        e = &ngx_http_jelou_endpoints[i];

        view = ngx_http_jelou_snapshot_add(s, NGX_HTTP_JELOU_OF_ENDPOINT,
                                           &e->name);
        if (view == NULL) {
            return NGX_ERROR;
        }

        view->endpoint = e;
        view->index = i;

        ngx_memcpy(&view->counters, &sh->endpoints[i],
                   sizeof(ngx_http_jelou_counters_t));

        if (e->conversation) {
            ngx_http_jelou_names_copy(&view->names, &sh->names);
        }

        if (ngx_http_jelou_snapshot_secrets(r, sh, view) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The endpoint's rows, in the order of the secrets. */

static ngx_int_t
ngx_http_jelou_snapshot_secrets(ngx_http_request_t *r,
    ngx_http_jelou_status_sh_t *sh, ngx_http_jelou_view_t *view)
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

        if (endpoint != view->index) {
            continue;
        }

        match = ngx_array_push(&rows);
        if (match == NULL) {
            return NGX_ERROR;
        }

        *match = sh->matches[i];
    }

    view->matches = rows.elts;
    view->nmatches = rows.nelts;

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
    ngx_http_jelou_main_conf_t      *jmcf;
    ngx_http_jelou_dedup_zone_t     *zone;
    ngx_http_jelou_dedup_counts_t    counts;

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);

    shm_zone = jmcf->dedup_zones.elts;

    for (i = 0; i < jmcf->dedup_zones.nelts; i++) {
        zone = shm_zone[i]->data;

        view = ngx_http_jelou_snapshot_add(s, NGX_HTTP_JELOU_OF_ZONE,
                                           &zone->name);
        if (view == NULL) {
            return NGX_ERROR;
        }

        ngx_http_jelou_dedup_counts(zone, &counts);

        view->zone[NGX_HTTP_JELOU_ZONE_ENTRIES] = counts.entries;
        view->zone[NGX_HTTP_JELOU_ZONE_IN_FLIGHT] = counts.in_flight;
        view->zone[NGX_HTTP_JELOU_ZONE_CAPACITY] = zone->capacity;
        view->zone[NGX_HTTP_JELOU_ZONE_EVICTIONS] = counts.evictions;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_result(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
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

    row->value = view->counters.results[n];

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_type(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    const ngx_http_jelou_endpoint_t  *e;

    e = view->endpoint;

    if (n < e->nvariants) {
        row->label = e->variants[n].type;

    } else if (e->conversation
               && ngx_http_jelou_conversations[n - e->nvariants].len)
    {
        row->label = ngx_http_jelou_conversations[n - e->nvariants];

    } else {
        return NGX_DONE;
    }

    row->value = view->counters.types[n];

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_name(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    return ngx_http_jelou_names_row(&view->names, n, &row->label,
                                    &row->value);
}


static ngx_int_t
ngx_http_jelou_read_bytes(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    row->value = view->counters.bytes[metric->data];

    return n ? NGX_DONE : NGX_OK;
}


/* as $jelou_secret_id has them, and those that had no room */

static ngx_int_t
ngx_http_jelou_read_secret(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    ngx_uint_t  endpoint, place, in_file;

    if (n > view->nmatches) {
        return NGX_DONE;
    }

    if (n == view->nmatches) {
        ngx_str_set(&row->label, "other");
        row->value = view->counters.others;

        return row->value ? NGX_OK : NGX_DECLINED;
    }

    ngx_http_jelou_status_match(&view->matches[n], &endpoint, &place,
                                &in_file);

    row->label.data = row->buf;
    row->label.len = ngx_sprintf(row->buf, "%s%ui", in_file ? "file:" : "",
                                 place)
                     - row->buf;
    row->value = view->matches[n].count;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_read_zone(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    row->value = view->zone[metric->data];

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


static void
ngx_http_jelou_write_prometheus(ngx_http_jelou_page_t *page,
    ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t                      i;
    ngx_array_t                    *views;
    ngx_http_jelou_view_t          *view;
    const ngx_http_jelou_metric_t  *m;

    for (m = ngx_http_jelou_metrics; m->name.len || m->member.len; m++) {

        views = &s->views[m->scope];

        if (m->name.len == 0 || views->nelts == 0) {
            continue;
        }

        ngx_http_jelou_page_text(page, "# HELP ");
        ngx_http_jelou_page_add(page, m->name.data, m->name.len);
        ngx_http_jelou_page_text(page, " ");
        ngx_http_jelou_page_add(page, m->help.data, m->help.len);
        ngx_http_jelou_page_text(page, "\n# TYPE ");
        ngx_http_jelou_page_add(page, m->name.data, m->name.len);
        ngx_http_jelou_page_text(page, " ");
        ngx_http_jelou_page_text(page, ngx_http_jelou_metric_types[m->type]);
        ngx_http_jelou_page_text(page, "\n");

        view = views->elts;

        for (i = 0; i < views->nelts; i++) {

            if (m->type == NGX_HTTP_JELOU_HISTOGRAM) {
                ngx_http_jelou_write_buckets(page, m, &view[i]);

            } else {
                ngx_http_jelou_write_samples(page, m, &view[i]);
            }
        }
    }
}


static void
ngx_http_jelou_write_samples(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view)
{
    ngx_int_t             rc;
    ngx_uint_t            n;
    ngx_http_jelou_row_t  row;

    for (n = 0; /* void */ ; n++) {
        rc = metric->read(view, metric, n, &row);

        if (rc == NGX_DONE) {
            return;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        ngx_http_jelou_write_sample(page, metric, view, "", &metric->label,
                                    &row.label);
        ngx_http_jelou_page_number(page, row.value);
        ngx_http_jelou_page_text(page, "\n");
    }
}


static void
ngx_http_jelou_write_buckets(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view)
{
    uint64_t                     count;
    ngx_uint_t                   n;
    const ngx_str_t             *bounds;
    ngx_http_jelou_histogram_t  *h;

    static const ngx_str_t  le = ngx_string("le");

    h = &view->counters.times[metric->data];
    bounds = ngx_http_jelou_bound_names[metric->data];
    count = 0;

    for (n = 0; n < NGX_HTTP_JELOU_NBUCKETS; n++) {
        count += h->buckets[n];

        ngx_http_jelou_write_sample(page, metric, view, "_bucket", &le,
                                    &bounds[n]);
        ngx_http_jelou_page_number(page, count);
        ngx_http_jelou_page_text(page, "\n");
    }

    ngx_http_jelou_write_sample(page, metric, view, "_sum", &metric->label,
                                NULL);
    ngx_http_jelou_page_seconds(page, h->sum);
    ngx_http_jelou_page_text(page, "\n");

    ngx_http_jelou_write_sample(page, metric, view, "_count", &metric->label,
                                NULL);
    ngx_http_jelou_page_number(page, count);
    ngx_http_jelou_page_text(page, "\n");
}


/* Writes a sample up to its value; name and label are those of the row. */

static void
ngx_http_jelou_write_sample(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view,
    const char *suffix, const ngx_str_t *name, const ngx_str_t *label)
{
    ngx_http_jelou_page_add(page, metric->name.data, metric->name.len);
    ngx_http_jelou_page_text(page, suffix);
    ngx_http_jelou_page_text(page, "{");
    ngx_http_jelou_page_text(page, ngx_http_jelou_scope_labels[metric->scope]);
    ngx_http_jelou_page_text(page, "=");
    ngx_http_jelou_page_quote(page, &view->name);

    if (name->len) {
        ngx_http_jelou_page_text(page, ",");
        ngx_http_jelou_page_add(page, name->data, name->len);
        ngx_http_jelou_page_text(page, "=");
        ngx_http_jelou_page_quote(page, label);
    }

    ngx_http_jelou_page_text(page, "} ");
}


static void
ngx_http_jelou_write_json(ngx_http_jelou_page_t *page,
    ngx_http_jelou_snapshot_t *s)
{
    u_char  buf[sizeof(",\"time\":.000,\"since\":") + 2 * NGX_TIME_T_LEN];

    ngx_http_jelou_page_text(page, "{\"version\":\"" NGX_HTTP_JELOU_VERSION
                                   "\",\"nginx\":\"" NGINX_VERSION "\"");
    ngx_http_jelou_page_add(page, buf,
                            ngx_sprintf(buf, ",\"time\":%T.%03M,\"since\":%T",
                                        s->sec, s->msec, s->since)
                            - buf);

    ngx_http_jelou_write_views(page, s, NGX_HTTP_JELOU_OF_ENDPOINT,
                               ",\"endpoints\":{");
    ngx_http_jelou_write_views(page, s, NGX_HTTP_JELOU_OF_ZONE,
                               ",\"dedup\":{");

    ngx_http_jelou_page_text(page, "}\n");
}


/* An object of objects: of each view its members. */

static void
ngx_http_jelou_write_views(ngx_http_jelou_page_t *page,
    ngx_http_jelou_snapshot_t *s, ngx_uint_t scope, const char *name)
{
    const char                     *comma;
    ngx_uint_t                      i;
    ngx_http_jelou_view_t          *view;
    const ngx_http_jelou_metric_t  *m;

    ngx_http_jelou_page_text(page, name);

    view = s->views[scope].elts;

    for (i = 0; i < s->views[scope].nelts; i++) {

        ngx_http_jelou_page_text(page, i ? "," : "");
        ngx_http_jelou_page_quote(page, &view[i].name);
        ngx_http_jelou_page_text(page, ":{");

        comma = "";

        for (m = ngx_http_jelou_metrics; m->name.len || m->member.len; m++) {

            if (m->scope != scope || m->member.len == 0) {
                continue;
            }

            ngx_http_jelou_page_text(page, comma);
            ngx_http_jelou_page_quote(page, &m->member);
            ngx_http_jelou_page_text(page, ":");
            ngx_http_jelou_write_member(page, m, &view[i]);

            comma = ",";
        }

        ngx_http_jelou_page_text(page, "}");
    }

    ngx_http_jelou_page_text(page, "}");
}


static void
ngx_http_jelou_write_member(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view)
{
    uint64_t               sum;
    ngx_int_t              rc;
    ngx_uint_t             n;
    const char            *separator;
    ngx_http_jelou_row_t   row;

    if (metric->form == NGX_HTTP_JELOU_TIMES) {
        ngx_http_jelou_write_times(page, &view->counters.times[metric->data],
                                   ngx_http_jelou_bound_names[metric->data]);
        return;
    }

    sum = 0;
    separator = "{";

    for (n = 0; /* void */ ; n++) {
        rc = metric->read(view, metric, n, &row);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        sum += row.value;

        if (metric->form == NGX_HTTP_JELOU_ROWS) {
            ngx_http_jelou_page_text(page, separator);
            ngx_http_jelou_page_quote(page, &row.label);
            ngx_http_jelou_page_text(page, ":");
            ngx_http_jelou_page_number(page, row.value);

            separator = ",";
        }
    }

    if (metric->form == NGX_HTTP_JELOU_SUM) {
        ngx_http_jelou_page_number(page, sum);
        return;
    }

    ngx_http_jelou_page_text(page, *separator == '{' ? "{}" : "}");
}


static void
ngx_http_jelou_write_times(ngx_http_jelou_page_t *page,
    ngx_http_jelou_histogram_t *h, const ngx_str_t *bounds)
{
    uint64_t    count;
    ngx_uint_t  n;

    for (count = 0, n = 0; n < NGX_HTTP_JELOU_NBUCKETS; n++) {
        count += h->buckets[n];
    }

    ngx_http_jelou_page_text(page, "{\"count\":");
    ngx_http_jelou_page_number(page, count);
    ngx_http_jelou_page_text(page, ",\"sum\":");
    ngx_http_jelou_page_seconds(page, h->sum);
    ngx_http_jelou_page_text(page, ",\"buckets\":{");

    for (count = 0, n = 0; n < NGX_HTTP_JELOU_NBUCKETS; n++) {
        count += h->buckets[n];

        ngx_http_jelou_page_text(page, n ? "," : "");
        ngx_http_jelou_page_quote(page, &bounds[n]);
        ngx_http_jelou_page_text(page, ":");
        ngx_http_jelou_page_number(page, count);
    }

    ngx_http_jelou_page_text(page, "}}");
}


static void
ngx_http_jelou_page_add(ngx_http_jelou_page_t *page, const u_char *data,
    size_t len)
{
    if (page->pos) {
        len = ngx_min(len, (size_t) (page->last - page->pos));
        page->pos = ngx_cpymem(page->pos, data, len);
    }

    page->len += len;
}


static void
ngx_http_jelou_page_text(ngx_http_jelou_page_t *page, const char *text)
{
    ngx_http_jelou_page_add(page, (const u_char *) text, ngx_strlen(text));
}


static void
ngx_http_jelou_page_quote(ngx_http_jelou_page_t *page, const ngx_str_t *text)
{
    ngx_http_jelou_page_text(page, "\"");
    ngx_http_jelou_page_escape(page, text);
    ngx_http_jelou_page_text(page, "\"");
}


/*
 * JSON and Prometheus escape a quote, a backslash and a line feed alike.  Both
 * want UTF-8, and a zone may have any bytes for its name: what cannot stand
 * there is shown as a question mark.
 */

static void
ngx_http_jelou_page_escape(ngx_http_jelou_page_t *page, const ngx_str_t *text)
{
    u_char      ch;
    ngx_uint_t  i, utf8;

    utf8 = ngx_http_jelou_text_check(text->data, text->data + text->len)
           == NULL;

    for (i = 0; i < text->len; i++) {
        ch = text->data[i];

        if (ch == '\n') {
            ngx_http_jelou_page_text(page, "\\n");
            continue;
        }

        if (ch < 0x20 || (ch > 0x7f && !utf8)) {
            ch = '?';
        }

        if (ch == '"' || ch == '\\') {
            ngx_http_jelou_page_text(page, "\\");
        }

        ngx_http_jelou_page_add(page, &ch, 1);
    }
}


static void
ngx_http_jelou_page_number(ngx_http_jelou_page_t *page, uint64_t number)
{
    u_char  buf[NGX_INT64_LEN];

    ngx_http_jelou_page_add(page, buf, ngx_sprintf(buf, "%uL", number) - buf);
}


static void
ngx_http_jelou_page_seconds(ngx_http_jelou_page_t *page, uint64_t ns)
{
    u_char  buf[NGX_INT64_LEN + sizeof(".000000000")];

    ngx_http_jelou_page_add(page, buf,
                            ngx_sprintf(buf, "%uL.%09uL", ns / 1000000000,
                                        ns % 1000000000)
                            - buf);
}
