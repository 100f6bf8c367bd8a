
/*
 * The pages that show the counters: what there is to show, as tables.
 *
 * A part has scopes: what its metrics are of.  A scope has views, a copy of
 * what there is of one endpoint, one zone, and so on; a metric reads rows out
 * of a view.  The module has a part of its own, and modules above it add
 * theirs.
 */


#ifndef _NGX_HTTP_JELOU_METRICS_H_INCLUDED_
#define _NGX_HTTP_JELOU_METRICS_H_INCLUDED_


#include "ngx_http_jelou_ctx.h"
#include "ngx_http_jelou_page.h"
#include "ngx_http_jelou_status.h"


#define NGX_HTTP_JELOU_NLABELS     3
#define NGX_HTTP_JELOU_NSCOPES     4


typedef enum {
    NGX_HTTP_JELOU_COUNTER = 0,
    NGX_HTTP_JELOU_GAUGE,
    NGX_HTTP_JELOU_SECONDS,                  /* a gauge, in ns */
    NGX_HTTP_JELOU_HISTOGRAM
} ngx_http_jelou_metric_e;


/* what a member of the JSON page has */

typedef enum {
    NGX_HTTP_JELOU_SUM = 0,                  /* of the rows; without any null */
    NGX_HTTP_JELOU_ROWS,                     /* an object of all rows */
    NGX_HTTP_JELOU_TEXT,                     /* the label of the row, or null */
    NGX_HTTP_JELOU_FLAG,                     /* true, false, or null */
    NGX_HTTP_JELOU_TIMES                     /* a histogram's object */
} ngx_http_jelou_form_e;


/* what the JSON page has for the views of a scope */

typedef enum {
    NGX_HTTP_JELOU_NAMED = 0,                /* an object, by the first label */
    NGX_HTTP_JELOU_LISTED,                   /* an array, labels are members */
    NGX_HTTP_JELOU_ALONE                     /* the object of the one view */
} ngx_http_jelou_views_e;


typedef struct {
    const char                       *member;    /* JSON's, or NULL */
    ngx_http_jelou_views_e            form;
    const char                       *labels[NGX_HTTP_JELOU_NLABELS];
} ngx_http_jelou_scope_t;


typedef struct {
    ngx_str_t                         labels[NGX_HTTP_JELOU_NLABELS];
    void                             *data;
} ngx_http_jelou_view_t;


typedef struct {
    ngx_str_t                         label;
    uint64_t                          value;
    u_char                            buf[NGX_INT64_LEN
                                          + sizeof(".000000000")];
} ngx_http_jelou_row_t;


typedef struct ngx_http_jelou_metric_s    ngx_http_jelou_metric_t;

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
    ngx_uint_t                        data;      /* for read; of a histogram
                                                    where it is in the data */
    const uint64_t                   *bounds;    /* of a histogram */
};


/* a row of both pages, one of JSON's alone, and a histogram */

#define ngx_http_jelou_metric(name, help, label, member, scope, type, form,   \
    read, data)                                                               \
    { ngx_string(name), ngx_string(help), ngx_string(label),                  \
      ngx_string(member), NGX_HTTP_JELOU_OF_##scope, NGX_HTTP_JELOU_##type,   \
      NGX_HTTP_JELOU_##form, read, data, NULL }

#define ngx_http_jelou_member(member, scope, form, read, data)                \
    ngx_http_jelou_metric("", "", "", member, scope, COUNTER, form, read, data)

#define ngx_http_jelou_histogram(name, help, member, scope, at, bounds)       \
    { ngx_string(name), ngx_string(help), ngx_null_string,                    \
      ngx_string(member), NGX_HTTP_JELOU_OF_##scope,                          \
      NGX_HTTP_JELOU_HISTOGRAM, NGX_HTTP_JELOU_TIMES, NULL, at, bounds }


typedef struct {
    ngx_array_t                       views[NGX_HTTP_JELOU_NSCOPES];
    ngx_pool_t                       *pool;
} ngx_http_jelou_snapshot_t;


struct ngx_http_jelou_part_s {
    ngx_uint_t                        nscopes;
    const ngx_http_jelou_scope_t     *scopes;
    const ngx_http_jelou_metric_t    *metrics;   /* up to an empty row; in the
                                                    order of both pages */
    size_t                            size;      /* of its shared memory */

    /*
     * Adds the views.  Returns NGX_OK; NGX_DECLINED if the part has nothing to
     * tell with this configuration; NGX_ERROR.
     */
    ngx_int_t                       (*snapshot)(ngx_http_request_t *r,
                                          ngx_http_jelou_snapshot_t *s);
};


/* The part of endpoints and zones. */
extern const ngx_http_jelou_part_t  ngx_http_jelou_families;

/*
 * The content handler of a status page.  Returns what
 * ngx_http_finalize_request() takes.
 */
ngx_int_t ngx_http_jelou_metrics_handler(ngx_http_request_t *r);

/* Adds a view, whose data is zeroed.  Returns NULL if memory ran out. */
ngx_http_jelou_view_t *ngx_http_jelou_snapshot_add(
    ngx_http_jelou_snapshot_t *s, ngx_uint_t scope, size_t size);

/* Reads an int64_t that is at the metric's offset; one below 0 is not known. */
ngx_int_t ngx_http_jelou_read_number(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row);

/* Writes the n-th bound of a histogram, in seconds, into the row's label. */
void ngx_http_jelou_metric_bound(const ngx_http_jelou_metric_t *metric,
    ngx_uint_t n, ngx_http_jelou_row_t *row);

/* Writes a value: of times in seconds. */
void ngx_http_jelou_metric_value(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, uint64_t value);

/* Writes the metrics of a part as Prometheus reads them. */
void ngx_http_jelou_write_prometheus(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, ngx_http_jelou_snapshot_t *s);

/* Writes the members of a part of the JSON page, each behind a comma. */
void ngx_http_jelou_write_json(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, ngx_http_jelou_snapshot_t *s);


#endif /* _NGX_HTTP_JELOU_METRICS_H_INCLUDED_ */
