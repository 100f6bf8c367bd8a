
/*
 * The page that Prometheus reads: the text exposition format 0.0.4.
 */


#include "ngx_http_jelou_metrics.h"


/* a sample's own label, or none */

typedef struct {
    const ngx_str_t                  *name;
    const ngx_str_t                  *value;
} ngx_http_jelou_own_t;


static void ngx_http_jelou_write_samples(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, const ngx_http_jelou_metric_t *metric,
    ngx_http_jelou_view_t *view);
static void ngx_http_jelou_write_buckets(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, const ngx_http_jelou_metric_t *metric,
    ngx_http_jelou_view_t *view);
static void ngx_http_jelou_write_sample(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, const ngx_http_jelou_metric_t *metric,
    ngx_http_jelou_view_t *view, const char *suffix,
    ngx_http_jelou_own_t *own);
static const char *ngx_http_jelou_write_label(ngx_http_jelou_page_t *page,
    const char *separator, const ngx_str_t *name, const ngx_str_t *value);


static const char  *ngx_http_jelou_metric_types[] = {
    "counter", "gauge", "gauge", "histogram"
};


void
ngx_http_jelou_write_prometheus(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t                      i;
    ngx_array_t                    *views;
    ngx_http_jelou_view_t          *view;
    const ngx_http_jelou_metric_t  *m;

    for (m = part->metrics; m->name.len || m->member.len; m++) {

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
                ngx_http_jelou_write_buckets(page, part, m, &view[i]);

            } else {
                ngx_http_jelou_write_samples(page, part, m, &view[i]);
            }
        }
    }
}


static void
ngx_http_jelou_write_samples(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, const ngx_http_jelou_metric_t *metric,
    ngx_http_jelou_view_t *view)
{
    ngx_int_t             rc;
    ngx_uint_t            n;
    ngx_http_jelou_own_t  own;
    ngx_http_jelou_row_t  row;

    own.name = &metric->label;
    own.value = &row.label;

    for (n = 0; /* void */ ; n++) {
        rc = metric->read(view, metric, n, &row);

        if (rc == NGX_DONE) {
            return;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        ngx_http_jelou_write_sample(page, part, metric, view, "", &own);

        ngx_http_jelou_metric_value(page, metric, row.value);
        ngx_http_jelou_page_text(page, "\n");
    }
}


static void
ngx_http_jelou_write_buckets(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, const ngx_http_jelou_metric_t *metric,
    ngx_http_jelou_view_t *view)
{
    uint64_t                     count;
    ngx_uint_t                   n;
    ngx_http_jelou_own_t         own;
    ngx_http_jelou_row_t         row;
    ngx_http_jelou_histogram_t  *h;

    static const ngx_str_t  le = ngx_string("le");

    h = (ngx_http_jelou_histogram_t *) ((u_char *) view->data + metric->data);
    own.name = &le;
    own.value = &row.label;
    count = 0;

    for (n = 0; n < NGX_HTTP_JELOU_NBUCKETS; n++) {
        count += h->buckets[n];
        ngx_http_jelou_metric_bound(metric, n, &row);

        ngx_http_jelou_write_sample(page, part, metric, view, "_bucket", &own);
        ngx_http_jelou_page_number(page, count);
        ngx_http_jelou_page_text(page, "\n");
    }

    own.name = &metric->label;

    ngx_http_jelou_write_sample(page, part, metric, view, "_sum", &own);
    ngx_http_jelou_page_seconds(page, h->sum);
    ngx_http_jelou_page_text(page, "\n");

    ngx_http_jelou_write_sample(page, part, metric, view, "_count", &own);
    ngx_http_jelou_page_number(page, count);
    ngx_http_jelou_page_text(page, "\n");
}


/* Writes a sample up to its value. */

static void
ngx_http_jelou_write_sample(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, const ngx_http_jelou_metric_t *metric,
    ngx_http_jelou_view_t *view, const char *suffix,
    ngx_http_jelou_own_t *own)
{
    ngx_str_t                      name;
    const char                    *separator;
    ngx_uint_t                     i;
    const ngx_http_jelou_scope_t  *scope;

    scope = &part->scopes[metric->scope];
    separator = "{";

    ngx_http_jelou_page_add(page, metric->name.data, metric->name.len);
    ngx_http_jelou_page_text(page, suffix);

    for (i = 0; i < NGX_HTTP_JELOU_NLABELS && scope->labels[i]; i++) {
        name.data = (u_char *) scope->labels[i];
        name.len = ngx_strlen(name.data);

        separator = ngx_http_jelou_write_label(page, separator, &name,
                                               &view->labels[i]);
    }

    if (own->name->len) {
        separator = ngx_http_jelou_write_label(page, separator, own->name,
                                               own->value);
    }

    ngx_http_jelou_page_text(page, *separator == ',' ? "} " : " ");
}


static const char *
ngx_http_jelou_write_label(ngx_http_jelou_page_t *page, const char *separator,
    const ngx_str_t *name, const ngx_str_t *value)
{
    ngx_http_jelou_page_text(page, separator);
    ngx_http_jelou_page_add(page, name->data, name->len);
    ngx_http_jelou_page_text(page, "=");
    ngx_http_jelou_page_quote(page, value);

    return ",";
}
