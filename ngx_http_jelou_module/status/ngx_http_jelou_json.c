
/*
 * The JSON page.
 */


#include "ngx_http_jelou_metrics.h"


static void ngx_http_jelou_write_views(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, ngx_http_jelou_snapshot_t *s,
    ngx_uint_t scope);
static void ngx_http_jelou_write_view(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, ngx_uint_t scope,
    ngx_http_jelou_view_t *view);
static void ngx_http_jelou_write_name(ngx_http_jelou_page_t *page,
    const ngx_str_t *name);
static void ngx_http_jelou_write_member(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view);
static void ngx_http_jelou_write_rows(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view);
static void ngx_http_jelou_write_value(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, uint64_t value,
    const ngx_str_t *label);
static void ngx_http_jelou_write_times(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view);


/* what opens and closes the views of a scope */

static const char  *ngx_http_jelou_brackets[][2] = {
    { "{", "}" }, { "[", "]" }, { "", "" }
};


void
ngx_http_jelou_write_json(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, ngx_http_jelou_snapshot_t *s)
{
    ngx_uint_t  i;

    for (i = 0; i < part->nscopes; i++) {
        if (part->scopes[i].member) {
            ngx_http_jelou_write_views(page, part, s, i);
        }
    }
}


static void
ngx_http_jelou_write_views(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, ngx_http_jelou_snapshot_t *s,
    ngx_uint_t scope)
{
    ngx_uint_t                     i;
    ngx_http_jelou_view_t         *view;
    const ngx_http_jelou_scope_t  *sc;

    sc = &part->scopes[scope];

    ngx_http_jelou_page_text(page, ",\"");
    ngx_http_jelou_page_text(page, sc->member);
    ngx_http_jelou_page_text(page, "\":");
    ngx_http_jelou_page_text(page, ngx_http_jelou_brackets[sc->form][0]);

    view = s->views[scope].elts;

    for (i = 0; i < s->views[scope].nelts; i++) {
        ngx_http_jelou_page_text(page, i ? "," : "");

        if (sc->form == NGX_HTTP_JELOU_NAMED) {
            ngx_http_jelou_write_name(page, &view[i].labels[0]);
        }

        ngx_http_jelou_write_view(page, part, scope, &view[i]);
    }

    ngx_http_jelou_page_text(page, ngx_http_jelou_brackets[sc->form][1]);
}


static void
ngx_http_jelou_write_view(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_part_t *part, ngx_uint_t scope,
    ngx_http_jelou_view_t *view)
{
    ngx_str_t                       name;
    const char                     *comma;
    ngx_uint_t                      i;
    const ngx_http_jelou_scope_t   *sc;
    const ngx_http_jelou_metric_t  *m;

    sc = &part->scopes[scope];
    comma = "";

    ngx_http_jelou_page_text(page, "{");

    for (i = 0;
         sc->form == NGX_HTTP_JELOU_LISTED && i < NGX_HTTP_JELOU_NLABELS
         && sc->labels[i];
         i++)
    {
        name.data = (u_char *) sc->labels[i];
        name.len = ngx_strlen(name.data);

        ngx_http_jelou_page_text(page, comma);
        ngx_http_jelou_write_name(page, &name);
        ngx_http_jelou_page_quote(page, &view->labels[i]);

        comma = ",";
    }

    for (m = part->metrics; m->name.len || m->member.len; m++) {

        if (m->scope != scope || m->member.len == 0) {
            continue;
        }

        ngx_http_jelou_page_text(page, comma);
        ngx_http_jelou_write_name(page, &m->member);
        ngx_http_jelou_write_member(page, m, view);

        comma = ",";
    }

    ngx_http_jelou_page_text(page, "}");
}


static void
ngx_http_jelou_write_name(ngx_http_jelou_page_t *page, const ngx_str_t *name)
{
    ngx_http_jelou_page_quote(page, name);
    ngx_http_jelou_page_text(page, ":");
}


static void
ngx_http_jelou_write_member(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view)
{
    uint64_t              sum;
    ngx_int_t             rc;
    ngx_uint_t            n, known;
    ngx_http_jelou_row_t  row;

    if (metric->form == NGX_HTTP_JELOU_TIMES) {
        ngx_http_jelou_write_times(page, metric, view);
        return;
    }

    if (metric->form == NGX_HTTP_JELOU_ROWS) {
        ngx_http_jelou_write_rows(page, metric, view);
        return;
    }

    sum = 0;
    known = 0;

    for (n = 0; /* void */ ; n++) {
        rc = metric->read(view, metric, n, &row);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc == NGX_OK) {
            sum += row.value;
            known = 1;
        }
    }

    if (known) {
        ngx_http_jelou_write_value(page, metric, sum, &row.label);

    } else {
        ngx_http_jelou_page_text(page, "null");
    }
}


static void
ngx_http_jelou_write_rows(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view)
{
    ngx_int_t             rc;
    ngx_uint_t            n;
    const char           *separator;
    ngx_http_jelou_row_t  row;

    separator = "{";

    for (n = 0; /* void */ ; n++) {
        rc = metric->read(view, metric, n, &row);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc == NGX_DECLINED) {
            continue;
        }

        ngx_http_jelou_page_text(page, separator);
        ngx_http_jelou_write_name(page, &row.label);
        ngx_http_jelou_write_value(page, metric, row.value, &row.label);

        separator = ",";
    }

    ngx_http_jelou_page_text(page, *separator == '{' ? "{}" : "}");
}


static void
ngx_http_jelou_write_value(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, uint64_t value,
    const ngx_str_t *label)
{
    switch (metric->form) {

    case NGX_HTTP_JELOU_TEXT:
        ngx_http_jelou_page_quote(page, label);
        break;

    case NGX_HTTP_JELOU_FLAG:
        ngx_http_jelou_page_text(page, value ? "true" : "false");
        break;

    default:

        ngx_http_jelou_metric_value(page, metric, value);
    }
}


static void
ngx_http_jelou_write_times(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, ngx_http_jelou_view_t *view)
{
    uint64_t                     count;
    ngx_uint_t                   n;
    ngx_http_jelou_row_t         row;
    ngx_http_jelou_histogram_t  *h;

    h = (ngx_http_jelou_histogram_t *) ((u_char *) view->data + metric->data);

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
        ngx_http_jelou_metric_bound(metric, n, &row);
        ngx_http_jelou_write_name(page, &row.label);
        ngx_http_jelou_page_number(page, count);
    }

    ngx_http_jelou_page_text(page, "}}");
}
