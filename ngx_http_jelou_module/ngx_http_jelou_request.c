
/*
 * The client's request: what its header must say, its body in memory, and
 * the body that goes on in its place.
 */


#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_format.h"


typedef struct {
    ngx_table_elt_t  *signature;
    ngx_table_elt_t  *content_type;
    ngx_uint_t        signatures;
    ngx_uint_t        content_types;
    ngx_uint_t        content_encodings;
} ngx_http_jelou_headers_t;


/* what is allocated at once for the body that goes on */

typedef struct {
    ngx_http_request_body_t  body;
    ngx_chain_t              link;
    ngx_buf_t                buf;
    u_char                   length[NGX_OFF_T_LEN];
    u_char                   signature[NGX_HTTP_JELOU_SIGNATURE_LEN];
} ngx_http_jelou_forward_t;


static void ngx_http_jelou_find_headers(ngx_http_request_t *r,
    ngx_http_jelou_headers_t *headers);
static ngx_uint_t ngx_http_jelou_json_type(ngx_str_t *value);
static ngx_int_t ngx_http_jelou_copy_body(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_jelou_request_raw(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_set_signature(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_chain_t *body, u_char *signature);
static ngx_int_t ngx_http_jelou_add_signature(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_jelou_remove_header(ngx_http_request_t *r,
    ngx_list_part_t *part, ngx_uint_t i);


static ngx_str_t  ngx_http_jelou_signature_key = ngx_string("x-jelou-signature");

/* variables that are cached and change with the body */

static struct {
    ngx_str_t  name;
    ngx_int_t  index;
} ngx_http_jelou_stale[] = {
    { ngx_string("request_body"), 0 },
    { ngx_string("request_body_file"), 0 },
    { ngx_string("content_length"), 0 },
    { ngx_string("http_content_length"), 0 },
    { ngx_string("content_type"), 0 },
    { ngx_string("http_content_type"), 0 },
    { ngx_string("http_x_jelou_signature"), 0 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_jelou_request_init(ngx_conf_t *cf)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_jelou_stale[i].name.len; i++) {

        ngx_http_jelou_stale[i].index =
                ngx_http_get_variable_index(cf, &ngx_http_jelou_stale[i].name);

        if (ngx_http_jelou_stale[i].index == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


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

                if (ngx_memcmp(h[i].lowcase_key, "content-encoding", 16) == 0)
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


/* "application/json", in either case, and any parameters */

static ngx_uint_t
ngx_http_jelou_json_type(ngx_str_t *value)
{
    u_char  *p, *last;

    p = value->data;
    last = p + value->len;

    if (value->len < sizeof("application/json") - 1
        || ngx_strncasecmp(p, (u_char *) "application/json",
                           sizeof("application/json") - 1)
           != 0)
    {
        return 0;
    }

    p += sizeof("application/json") - 1;

    while (p < last && (*p == ' ' || *p == '\t')) { p++; }

    return p == last || *p == ';';
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
    ctx->body = in;

    if (in_file) {
        return ngx_http_jelou_copy_body(r, ctx, in);
    }

    if (in && in->next == NULL) {
        ctx->event.body.data = in->buf->pos;
    }

    return NGX_OK;
}


/* Copies the body into one block, and makes it a chain of one buffer. */

static ngx_int_t
ngx_http_jelou_copy_body(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_chain_t *in)
{
    u_char   *p;
    size_t    size;
    ssize_t   n;
    off_t     offset;
    ngx_buf_t  *b;

    /* a byte more: an empty body has an address as well */

    p = ngx_pnalloc(r->pool, ctx->event.body.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->copy = p;
    ctx->event.body.data = p;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (ngx_buf_in_memory(b) || !b->in_file) {
            p = ngx_cpymem(p, b->pos, b->last - b->pos);
            continue;
        }

        for (offset = b->file_pos; offset < b->file_last; offset += n) {
            size = (size_t) (b->file_last - offset);

            n = ngx_read_file(b->file, p, size, offset);

            if (n == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (n == 0) {
                ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                              "jelou: the request body's file \"%V\" "
                              "is truncated", &b->file->name);
                return NGX_ERROR;
            }

            p += n;
        }
    }

    ctx->buf.pos = ctx->event.body.data;
    ctx->buf.last = p;

    ctx->single.buf = &ctx->buf;
    ctx->single.next = NULL;

    ctx->body = &ctx->single;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_request_event(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_time_t  *tp;

    if (ctx->has_event) {
        return ctx->checked;
    }

    if (ctx->event.body.data == NULL
        && ngx_http_jelou_copy_body(r, ctx, ctx->body) != NGX_OK)
    {
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


ngx_int_t
ngx_http_jelou_request_replace(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    u_char                        *p;
    size_t                         len;
    ngx_buf_t                     *b;
    ngx_uint_t                     i;
    ngx_http_jelou_forward_t      *f;
    ngx_http_variable_value_t     *vv;
    const ngx_http_jelou_piece_t  *pieces;

    if (ctx->conf->format == NGX_HTTP_JELOU_FORMAT_RAW) {
        return ngx_http_jelou_request_raw(r, ctx);
    }

    pieces = ctx->event.kind->event;

    if (ctx->conf->format == NGX_HTTP_JELOU_FORMAT_CLOUD) {
        pieces = ctx->event.kind->cloudevent;

        if (ctx->event.kind->identity
            && ctx->conf->dedup_zone == NULL
            && ngx_http_jelou_sha256(ctx->body, ctx->event.digest,
                                     r->connection->log)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_str_set(&r->headers_in.content_type->value,
                    "application/cloudevents+json");
    }

    len = ngx_http_jelou_pieces_length(pieces, &ctx->event,
                                       &ctx->conf->schema);

    f = ngx_palloc(r->pool, sizeof(ngx_http_jelou_forward_t) + len);
    if (f == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(f, sizeof(ngx_http_jelou_forward_t));

    p = (u_char *) f + sizeof(ngx_http_jelou_forward_t);

    ctx->forwarded.data = p;
    ctx->forwarded.len = ngx_http_jelou_pieces_write(p, pieces,
                                                     &ctx->event,
                                                     &ctx->conf->schema)
                         - p;

    if (ctx->copy) {

        /* a large copy is freed here, the values are in the event now */

        (void) ngx_pfree(r->pool, ctx->copy);
    }

    /*
     * nginx's body stays as it is: a mirror of this request reads it.  A
     * buffer that begins at its start can be sent once more to another
     * server of the upstream.
     */

    b = &f->buf;
    b->start = p;
    b->pos = p;
    b->last = p + ctx->forwarded.len;
    b->end = b->last;
    b->temporary = 1;
    b->last_buf = 1;

    f->link.buf = b;
    f->body.bufs = &f->link;

    r->request_body = &f->body;
    r->headers_in.content_length_n = ctx->forwarded.len;

    if (r->headers_in.content_length) {
        r->headers_in.content_length->value.data = f->length;
        r->headers_in.content_length->value.len =
                      ngx_sprintf(f->length, "%uz", ctx->forwarded.len)
                      - f->length;
    }

    for (i = 0; ngx_http_jelou_stale[i].name.len; i++) {
        vv = &r->variables[ngx_http_jelou_stale[i].index];
        vv->valid = 0;
        vv->not_found = 0;
    }

    return ngx_http_jelou_set_signature(r, ctx, &f->link, f->signature);
}


/* The body goes on as it came, and so does its signature if none replaces it. */

static ngx_int_t
ngx_http_jelou_request_raw(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    u_char  *signature;

    ctx->forwarded = ctx->event.body;

    if (ctx->conf->upstream_key == NULL) {
        return NGX_OK;
    }

    signature = ngx_pnalloc(r->pool, NGX_HTTP_JELOU_SIGNATURE_LEN);
    if (signature == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_jelou_set_signature(r, ctx, ctx->body, signature);
}


/*
 * The client's signature is that of other bytes: it goes no further.  Signs
 * the body with the upstream's secret if there is one, into signature.
 */

static ngx_int_t
ngx_http_jelou_set_signature(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_chain_t *body, u_char *signature)
{
    u_char            digest[NGX_HTTP_JELOU_DIGEST_LEN], *p;
    ngx_str_t         value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    ngx_str_null(&value);

    if (ctx->conf->upstream_key) {

        if (ngx_http_jelou_hmac(ctx->conf->upstream_key, body, digest,
                                r->connection->log)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = ngx_cpymem(signature, "sha256=", sizeof("sha256=") - 1);
        (void) ngx_hex_dump(p, digest, NGX_HTTP_JELOU_DIGEST_LEN);

        value.data = signature;
        value.len = NGX_HTTP_JELOU_SIGNATURE_LEN;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != ngx_http_jelou_signature_key.len
                || ngx_memcmp(h[i].lowcase_key,
                              ngx_http_jelou_signature_key.data,
                              ngx_http_jelou_signature_key.len)
                   != 0)
            {
                continue;
            }

            if (value.len) {
                h[i].value = value;
                value.len = 0;
                continue;
            }

            if (ngx_http_jelou_remove_header(r, part, i) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return value.len ? ngx_http_jelou_add_signature(r, &value) : NGX_OK;
}


static ngx_int_t
ngx_http_jelou_add_signature(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    ngx_str_set(&h->key, "X-Jelou-Signature");
    h->lowcase_key = ngx_http_jelou_signature_key.data;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
    h->value = *value;

    return NGX_OK;
}


/*
 * Takes one header out of the list without moving the others, for
 * headers_in has pointers to them: the part ends before it, and a new part
 * begins behind it.
 */

static ngx_int_t
ngx_http_jelou_remove_header(ngx_http_request_t *r, ngx_list_part_t *part,
    ngx_uint_t i)
{
    ngx_list_t       *list;
    ngx_list_part_t  *rest;

    list = &r->headers_in.headers;

    if (i + 1 < part->nelts) {

        rest = ngx_palloc(r->pool, sizeof(ngx_list_part_t));
        if (rest == NULL) {
            return NGX_ERROR;
        }

        rest->elts = (ngx_table_elt_t *) part->elts + i + 1;
        rest->nelts = part->nelts - i - 1;
        rest->next = part->next;

        part->next = rest;

        if (list->last == part) {

            /* what ngx_list_push() finds room for, in the last part only */

            list->last = rest;
            list->nalloc -= i + 1;
        }
    }

    part->nelts = i;

    return NGX_OK;
}
