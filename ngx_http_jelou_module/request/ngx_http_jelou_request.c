
/*
 * The client's request: what its header must say, and its body in memory.
 */


#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_rule.h"


typedef struct {
    ngx_table_elt_t  *signature;
    ngx_table_elt_t  *content_type;
    ngx_uint_t        signatures;
    ngx_uint_t        content_types;
    ngx_uint_t        content_encodings;     /* that are one */
} ngx_http_jelou_headers_t;


static void ngx_http_jelou_find_headers(ngx_http_request_t *r,
    ngx_http_jelou_headers_t *headers);
static ngx_uint_t ngx_http_jelou_identity(ngx_str_t *value);
static ngx_uint_t ngx_http_jelou_json_type(ngx_str_t *value);
static ngx_uint_t ngx_http_jelou_json_parameters(u_char *p, u_char *last);
static u_char *ngx_http_jelou_parameter_value(u_char *p, u_char *last,
    ngx_uint_t *utf8);
static u_char *ngx_http_jelou_skip_space(u_char *p, u_char *last);
static ngx_int_t ngx_http_jelou_copy_body(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static u_char *ngx_http_jelou_copy_file(ngx_http_request_t *r, u_char *p,
    ngx_buf_t *b);


/* nginx has decoded the path, a "%2F" as well: it ends a segment */

ngx_int_t
ngx_http_jelou_request_path(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    u_char                           *p;
    ngx_int_t                         rc;
    ngx_str_t                         id;
    const ngx_http_jelou_endpoint_t  *e;

    e = ctx->conf->schema.endpoint;

    if (e->before.len == 0) {
        return NGX_OK;
    }

    if (r->uri.len <= e->before.len + e->after.len
        || ngx_memcmp(r->uri.data + r->uri.len - e->after.len, e->after.data,
                      e->after.len)
           != 0)
    {
        return NGX_HTTP_JELOU_NOT_FOUND;
    }

    p = r->uri.data + r->uri.len - e->after.len;
    id.data = p;

    while (id.data > r->uri.data && id.data[-1] != '/') { id.data--; }

    id.len = p - id.data;

    if ((size_t) (id.data - r->uri.data) < e->before.len
        || ngx_memcmp(id.data - e->before.len, e->before.data, e->before.len)
           != 0)
    {
        return NGX_HTTP_JELOU_NOT_FOUND;
    }

    rc = ngx_http_jelou_value_encode(r->pool, &id,
                                     &ctx->event.values[e->path_slot]);

    return rc == NGX_DECLINED ? NGX_HTTP_JELOU_NOT_FOUND : rc;
}


ngx_int_t
ngx_http_jelou_request_header(ngx_http_request_t *r,
    ngx_http_jelou_loc_conf_t *jlcf, u_char *digest)
{
    ngx_http_jelou_headers_t  headers;

    if (r->method != NGX_HTTP_POST) {
        return NGX_HTTP_JELOU_METHOD_NOT_ALLOWED;
    }

    ngx_http_jelou_find_headers(r, &headers);

    if (jlcf->secrets) {

        if (headers.signatures == 0) {
            return NGX_HTTP_JELOU_SIGNATURE_MISSING;
        }

        if (headers.signatures > 1
            || ngx_http_jelou_signature_parse(&headers.signature->value,
                                              digest)
               != NGX_OK)
        {
            return NGX_HTTP_JELOU_SIGNATURE_MALFORMED;
        }
    }

    if (headers.content_types != 1
        || headers.content_encodings
        || !ngx_http_jelou_json_type(&headers.content_type->value))
    {
        return NGX_HTTP_JELOU_UNSUPPORTED_MEDIA_TYPE;
    }

    return NGX_OK;
}


static void
ngx_http_jelou_find_headers(ngx_http_request_t *r,
    ngx_http_jelou_headers_t *headers)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_memzero(headers, sizeof(ngx_http_jelou_headers_t));

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            switch (h[i].key.len) {

            case sizeof("content-type") - 1:

                if (ngx_memcmp(h[i].lowcase_key, "content-type", 12) == 0) {
                    headers->content_type = &h[i];
                    headers->content_types++;
                }

                break;

            case sizeof("content-encoding") - 1:

                if (ngx_memcmp(h[i].lowcase_key, "content-encoding", 16) == 0
                    && !ngx_http_jelou_identity(&h[i].value))
                {
                    headers->content_encodings++;
                }

                break;

            case sizeof("x-jelou-signature") - 1:

                if (ngx_memcmp(h[i].lowcase_key, "x-jelou-signature", 17) == 0)
                {
                    headers->signature = &h[i];
                    headers->signatures++;
                }

                break;
            }
        }
    }
}


/* no content coding, said or not */

static ngx_uint_t
ngx_http_jelou_identity(ngx_str_t *value)
{
    return value->len == 0
           || (value->len == sizeof("identity") - 1
               && ngx_strncasecmp(value->data, (u_char *) "identity",
                                  sizeof("identity") - 1)
                  == 0);
}


/*
 * "application/json", in either case, and parameters as RFC 9110 has them.  The
 * body is read as UTF-8: no charset, or this one, and said once.
 */

static ngx_uint_t
ngx_http_jelou_json_type(ngx_str_t *value)
{
    u_char  *p, *last;

    p = value->data;
    last = p + value->len;

    if (value->len < sizeof("application/json") - 1
        || (ngx_memcmp(p, "application/json", sizeof("application/json") - 1)
            != 0
            && ngx_strncasecmp(p, (u_char *) "application/json",
                               sizeof("application/json") - 1)
               != 0))
    {
        return 0;
    }

    return ngx_http_jelou_json_parameters(p + sizeof("application/json") - 1,
                                          last);
}


static ngx_uint_t
ngx_http_jelou_json_parameters(u_char *p, u_char *last)
{
    u_char      *name;
    size_t       len;
    ngx_uint_t   utf8, charsets;

    charsets = 0;

    for ( ;; ) {
        p = ngx_http_jelou_skip_space(p, last);

        if (p == last) {
            return 1;
        }

        if (*p != ';') {
            return 0;
        }

        name = ngx_http_jelou_skip_space(p + 1, last);

        p = ngx_http_jelou_token(name, last);
        len = p - name;

        if (len == 0) {
            continue;                    /* nothing behind a semicolon */
        }

        if (p == last || *p != '=') {
            return 0;
        }

        p = ngx_http_jelou_parameter_value(p + 1, last, &utf8);

        if (p == NULL) {
            return 0;
        }

        if (len == sizeof("charset") - 1
            && ngx_strncasecmp(name, (u_char *) "charset", len) == 0
            && (charsets++ || !utf8))
        {
            return 0;
        }
    }
}


/* A token or a quoted string, and whether it is "utf-8".  NULL: neither. */

static u_char *
ngx_http_jelou_parameter_value(u_char *p, u_char *last, ngx_uint_t *utf8)
{
    size_t   n, same;
    u_char  *end;

    static const u_char  name[] = "utf-8";

    if (p == last || *p != '"') {
        end = ngx_http_jelou_token(p, last);

        *utf8 = ((size_t) (end - p) == sizeof(name) - 1
                 && ngx_strncasecmp(p, (u_char *) name, sizeof(name) - 1)
                    == 0);

        return end > p ? end : NULL;
    }

    for (n = 0, same = 0, p++; p < last && *p != '"'; p++, n++) {

        if (*p == '\\' && ++p == last) {
            return NULL;
        }

        if (n < sizeof(name) - 1 && ngx_tolower(*p) == name[n]) {
            same++;
        }
    }

    *utf8 = (n == sizeof(name) - 1 && same == n);

    return p < last ? p + 1 : NULL;
}


static u_char *
ngx_http_jelou_skip_space(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) { p++; }

    return p;
}


void
ngx_http_jelou_make_post(ngx_http_request_t *r)
{
    static ngx_str_t  post = ngx_string("POST");

    r->method = NGX_HTTP_POST;
    r->method_name = post;

    r->headers_in.if_modified_since = NULL;
    r->headers_in.if_unmodified_since = NULL;
    r->headers_in.if_match = NULL;
    r->headers_in.if_none_match = NULL;
    r->headers_in.if_range = NULL;
    r->headers_in.range = NULL;
}


void
ngx_http_jelou_restore_post(ngx_http_request_t *r)
{
    if (r->method == NGX_HTTP_GET
        && r->request_line.len > sizeof("POST ") - 1
        && ngx_strncmp(r->request_line.data, "POST ", sizeof("POST ") - 1)
           == 0)
    {
        ngx_http_jelou_make_post(r);
    }
}


ngx_uint_t
ngx_http_jelou_request_discarded(ngx_http_request_t *r)
{
    ngx_table_elt_t           *h;
    ngx_http_core_loc_conf_t  *clcf;

    if (!r->internal || r->request_body) {
        return 0;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->client_max_body_size
        && clcf->client_max_body_size < r->headers_in.content_length_n)
    {
        /*
         * nginx does not look where a name leads to, and in HTTP/3 it throws
         * nothing away that was too large elsewhere
         */

        return 1;
    }

#if (NGX_HTTP_V2)

    if (r->stream && r->stream->skip_data) {
        return 1;
    }

#endif

    h = r->headers_in.content_length;

    /* of what is thrown away, nginx takes the length off */

    return r->discard_body
           || (h && ngx_atoof(h->value.data, h->value.len)
                    != r->headers_in.content_length_n);
}


ngx_int_t
ngx_http_jelou_request_body(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    off_t         size;
    ngx_uint_t    in_file;
    ngx_chain_t  *in, *cl;

    ctx->has_body = 1;
    ctx->keepalive = r->keepalive;

    in = r->request_body ? r->request_body->bufs : NULL;

    size = 0;
    in_file = 0;

    for (cl = in; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
        in_file |= !ngx_buf_in_memory(cl->buf) && cl->buf->in_file;
    }

    if (size > NGX_HTTP_JELOU_MAX_BODY) {
        return NGX_HTTP_JELOU_PAYLOAD_TOO_LARGE;
    }

    ctx->event.body.len = (size_t) size;
    ctx->received = in;
    ctx->body = in;

    if (in_file) {
        return ngx_http_jelou_copy_body(r, ctx);
    }

    if (in && in->next == NULL) {
        ctx->event.body.data = in->buf->pos;
    }

    return NGX_OK;
}


/* Copies the body into one block, and makes it a chain of one buffer. */

static ngx_int_t
ngx_http_jelou_copy_body(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    u_char       *p;
    ngx_buf_t    *b;
    ngx_chain_t  *in;

    /* a byte more: an empty body has an address as well */

    p = ngx_http_jelou_pages_palloc(r->pool, ctx->event.body.len + 1,
                                    &ctx->copy);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->event.body.data = p;

    for (in = ctx->received; in; in = in->next) {
        b = in->buf;

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        if (!b->in_file) {

            /* the last one of HTTP/2, which only says that it is */

            continue;
        }

        p = ngx_http_jelou_copy_file(r, p, b);
        if (p == NULL) {
            return NGX_ERROR;
        }
    }

    ctx->buf.pos = ctx->event.body.data;
    ctx->buf.last = p;

    ctx->single.buf = &ctx->buf;
    ctx->single.next = NULL;

    ctx->body = &ctx->single;

    return NGX_OK;
}


/* Returns the end of what was read, or NULL. */

static u_char *
ngx_http_jelou_copy_file(ngx_http_request_t *r, u_char *p, ngx_buf_t *b)
{
    off_t    offset;
    ssize_t  n;

    for (offset = b->file_pos; offset < b->file_last; offset += n) {

        n = ngx_read_file(b->file, p, (size_t) (b->file_last - offset),
                          offset);

        if (n == NGX_ERROR) {
            return NULL;
        }

        if (n == 0) {
            ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                          "jelou: the request body's file \"%V\" "
                          "is truncated", &b->file->name);
            return NULL;
        }

        p += n;
    }

    return p;
}


ngx_int_t
ngx_http_jelou_request_text(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->event.body.data) {
        return NGX_OK;
    }

    return ngx_http_jelou_copy_body(r, ctx);
}


void
ngx_http_jelou_request_done(ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->copy == NULL || ctx->conf->format == NGX_HTTP_JELOU_FORMAT_RAW) {
        return;
    }

    ngx_http_jelou_pages_free(ctx->copy);

    ctx->copy = NULL;
    ctx->event.body.data = NULL;
}


ngx_int_t
ngx_http_jelou_request_project(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_str_t *text)
{
    ngx_str_null(text);

    if (!ngx_http_jelou_has_project(ctx->conf->schema.endpoint)) {
        return NGX_OK;
    }

    if (ngx_http_jelou_request_text(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->event.pool = r->pool;

    return ngx_http_jelou_project_id(&ctx->event, &ctx->conf->schema, text);
}


ngx_int_t
ngx_http_jelou_request_proven(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_str_t *project)
{
    ngx_http_jelou_value_t  *value;

    ngx_str_null(project);

    value = &ctx->event.values[NGX_HTTP_JELOU_PROJECT_ID];

    if (value->type == NGX_HTTP_JELOU_ABSENT) {
        return NGX_OK;
    }

    return ngx_http_jelou_value_decode(r->pool, value, project);
}


ngx_int_t
ngx_http_jelou_request_event(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_time_t  *tp;

    if (ctx->has_event) {
        return ctx->checked;
    }

    if (ngx_http_jelou_request_text(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    tp = ngx_timeofday();

    ctx->event.received_sec = tp->sec;
    ctx->event.received = tp->msec;
    ctx->event.pool = r->pool;

    ctx->checked = ngx_http_jelou_check(&ctx->event, &ctx->conf->schema,
                                        r->connection->log);
    ctx->has_event = 1;

    return ctx->checked;
}
