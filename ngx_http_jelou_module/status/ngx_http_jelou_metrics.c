
/*
 * The handler of the pages that show the counters.
 *
 * Both pages are written from a copy of the counters, twice: first to know the
 * length.
 */


#include "ngx_http_jelou_metrics.h"


/* a part that has something to tell, and what */

typedef struct {
    const ngx_http_jelou_part_t      *part;
    ngx_http_jelou_snapshot_t         snapshot;
} ngx_http_jelou_told_t;


static ngx_int_t ngx_http_jelou_metrics_tell(ngx_http_request_t *r,
    ngx_array_t *told);
static ngx_int_t ngx_http_jelou_metrics_part(ngx_http_request_t *r,
    ngx_array_t *told, const ngx_http_jelou_part_t *part);
static void ngx_http_jelou_metrics_write(ngx_http_request_t *r,
    ngx_uint_t format, ngx_http_jelou_page_t *page, ngx_array_t *told);
static ngx_int_t ngx_http_jelou_metrics_send(ngx_http_request_t *r,
    ngx_uint_t format, u_char *data, size_t len);


ngx_int_t
ngx_http_jelou_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_array_t                 told;
    ngx_http_jelou_page_t       page;
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_jelou_metrics_tell(r, &told) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    jlcf = ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

    ngx_memzero(&page, sizeof(ngx_http_jelou_page_t));

    ngx_http_jelou_metrics_write(r, jlcf->status, &page, &told);

    page.pos = ngx_pnalloc(r->pool, page.len);
    if (page.pos == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    page.last = page.pos + page.len;
    page.len = 0;

    ngx_http_jelou_metrics_write(r, jlcf->status, &page, &told);

    return ngx_http_jelou_metrics_send(r, jlcf->status, page.pos - page.len,
                                       page.len);
}


/* All numbers at one moment, or nearly so: nobody is made to wait. */

static ngx_int_t
ngx_http_jelou_metrics_tell(ngx_http_request_t *r, ngx_array_t *told)
{
    ngx_uint_t                     i;
    ngx_http_jelou_main_conf_t    *jmcf;
    const ngx_http_jelou_part_t  **part;

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);

    if (ngx_array_init(told, r->pool, 2, sizeof(ngx_http_jelou_told_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_jelou_metrics_part(r, told, &ngx_http_jelou_families)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    part = jmcf->parts.elts;

    for (i = 0; i < jmcf->parts.nelts; i++) {
        if (ngx_http_jelou_metrics_part(r, told, part[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_metrics_part(ngx_http_request_t *r, ngx_array_t *told,
    const ngx_http_jelou_part_t *part)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_http_jelou_told_t  *t;

    t = ngx_array_push(told);
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->part = part;
    t->snapshot.pool = r->pool;

    for (i = 0; i < part->nscopes; i++) {

        if (ngx_array_init(&t->snapshot.views[i], r->pool, 4,
                           sizeof(ngx_http_jelou_view_t))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    rc = part->snapshot(r, &t->snapshot);

    if (rc == NGX_DECLINED) {
        told->nelts--;
        return NGX_OK;
    }

    return rc;
}


ngx_http_jelou_view_t *
ngx_http_jelou_snapshot_add(ngx_http_jelou_snapshot_t *s, ngx_uint_t scope,
    size_t size)
{
    ngx_http_jelou_view_t  *view;

    view = ngx_array_push(&s->views[scope]);
    if (view == NULL) {
        return NULL;
    }

    ngx_memzero(view, sizeof(ngx_http_jelou_view_t));

    view->data = ngx_pcalloc(s->pool, size);

    return view->data ? view : NULL;
}


ngx_int_t
ngx_http_jelou_read_number(ngx_http_jelou_view_t *view,
    const ngx_http_jelou_metric_t *metric, ngx_uint_t n,
    ngx_http_jelou_row_t *row)
{
    int64_t  number;

    if (n) {
        return NGX_DONE;
    }

    number = *(int64_t *) ((u_char *) view->data + metric->data);

    row->value = number;

    return number < 0 ? NGX_DECLINED : NGX_OK;
}


void
ngx_http_jelou_metric_bound(const ngx_http_jelou_metric_t *metric,
    ngx_uint_t n, ngx_http_jelou_row_t *row)
{
    u_char    *p;
    uint64_t   ns;

    if (n == NGX_HTTP_JELOU_NBOUNDS) {
        ngx_str_set(&row->label, "+Inf");
        return;
    }

    ns = metric->bounds[n];
    p = ngx_sprintf(row->buf, "%uL.%09uL", ns / 1000000000, ns % 1000000000);

    while (p[-1] == '0') { p--; }

    if (p[-1] == '.') {
        p--;
    }

    row->label.data = row->buf;
    row->label.len = p - row->buf;
}


void
ngx_http_jelou_metric_value(ngx_http_jelou_page_t *page,
    const ngx_http_jelou_metric_t *metric, uint64_t value)
{
    if (metric->type == NGX_HTTP_JELOU_SECONDS) {
        ngx_http_jelou_page_seconds(page, value);

    } else {
        ngx_http_jelou_page_number(page, value);
    }
}


static void
ngx_http_jelou_metrics_write(ngx_http_request_t *r, ngx_uint_t format,
    ngx_http_jelou_page_t *page, ngx_array_t *told)
{
    u_char                       buf[sizeof(",\"time\":.000,\"since\":")
                                     + 2 * NGX_TIME_T_LEN];
    ngx_uint_t                   i;
    ngx_time_t                  *tp;
    ngx_http_jelou_told_t       *t;
    ngx_http_jelou_main_conf_t  *jmcf;

    t = told->elts;

    if (format == NGX_HTTP_JELOU_STATUS_PROMETHEUS) {

        for (i = 0; i < told->nelts; i++) {
            ngx_http_jelou_write_prometheus(page, t[i].part, &t[i].snapshot);
        }

        return;
    }

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);
    tp = ngx_timeofday();

    ngx_http_jelou_page_text(page, "{\"version\":\"" NGX_HTTP_JELOU_VERSION
                                   "\",\"nginx\":\"" NGINX_VERSION "\"");
    ngx_http_jelou_page_add(page, buf,
                            ngx_sprintf(buf, ",\"time\":%T.%03M,\"since\":%T",
                                        tp->sec, tp->msec,
                                        ngx_http_jelou_status_sh(jmcf)->since)
                            - buf);

    for (i = 0; i < told->nelts; i++) {
        ngx_http_jelou_write_json(page, t[i].part, &t[i].snapshot);
    }

    ngx_http_jelou_page_text(page, "}\n");
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
