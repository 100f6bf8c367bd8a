
/*
 * The filters that learn what a delivery is answered, before all others.
 */


#include "ngx_http_jelou_deliver_request.h"


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_int_t ngx_http_jelou_deliver_header_filter(ngx_http_request_t *r);
static time_t ngx_http_jelou_deliver_retry_after(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_deliver_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


void
ngx_http_jelou_deliver_filters(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_jelou_deliver_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_jelou_deliver_body_filter;
}


/*
 * The answer's header goes nowhere, so nothing is made of it.  What is no
 * answer of the application's: an error that nginx ends the request with.
 */

static ngx_int_t
ngx_http_jelou_deliver_header_filter(ngx_http_request_t *r)
{
    ngx_http_upstream_t       *u;
    ngx_http_jelou_deliver_t  *d;

    d = (r == r->main) ? ngx_http_jelou_deliver_get(r) : NULL;

    if (d == NULL) {
        return ngx_http_next_header_filter(r);
    }

    u = r->upstream;

    d->status = r->headers_out.status;
    d->refused = (r->err_status
                  && (u == NULL || u->headers_in.status_n != d->status));
    d->retry_after = ngx_http_jelou_deliver_retry_after(r);

    /* how much of a body is to come; a 204 has none, whatever it says */

    d->left = d->status == NGX_HTTP_NO_CONTENT
              ? 0 : r->headers_out.content_length_n;

#if (NGX_HTTP_CACHE)

    if (r->cached) {

        /* what was said of another event */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "jelou: an answer from a cache does not say that "
                      "the event was taken");

        d->refused = 1;
    }

#endif

    r->header_sent = 1;

    return NGX_OK;
}


/* Seconds, or a date. */

static time_t
ngx_http_jelou_deliver_retry_after(ngx_http_request_t *r)
{
    time_t            t;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0 || h[i].key.len != sizeof("Retry-After") - 1
                || ngx_strncasecmp(h[i].key.data, (u_char *) "Retry-After",
                                   sizeof("Retry-After") - 1)
                   != 0)
            {
                continue;
            }

            t = ngx_atotm(h[i].value.data, h[i].value.len);

            if (t == NGX_ERROR) {
                t = ngx_parse_http_time(h[i].value.data, h[i].value.len);

                if (t != NGX_ERROR) {
                    t = ngx_max(t - ngx_time(), 0);
                }
            }

            return t;
        }
    }

    return -1;
}


static ngx_int_t
ngx_http_jelou_deliver_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t                 *b;
    ngx_http_jelou_deliver_t  *d;

    d = (r == r->main) ? ngx_http_jelou_deliver_get(r) : NULL;

    if (d == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        d->left -= ngx_buf_size(b);

        /* nginx does not tell a FastCGI answer that is cut off from its end */

        if (b->last_buf && d->left <= 0) {
            d->whole = 1;
        }

        r->connection->sent += ngx_buf_size(b);

        b->pos = b->last;
        b->file_pos = b->file_last;
    }

    return NGX_OK;
}
