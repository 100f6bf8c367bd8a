
/*
 * The body that goes on in the place of the client's, and its header fields.
 */


#include "ngx_http_jelou_forward.h"
#include "ngx_http_jelou_format.h"


#define NGX_HTTP_JELOU_CLOUDEVENTS  "application/cloudevents+json"


/* what is allocated at once for the body that goes on */

typedef struct {
    ngx_http_request_body_t  body;
    ngx_chain_t              link;
    ngx_buf_t                buf;
    u_char                   length[NGX_OFF_T_LEN];
    u_char                   signature[NGX_HTTP_JELOU_SIGNATURE_LEN];
} ngx_http_jelou_forward_t;


static const ngx_http_jelou_piece_t *ngx_http_jelou_forward_pieces(
    ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx);
static void ngx_http_jelou_forward_body(ngx_http_request_t *r,
    ngx_http_jelou_forward_t *f, ngx_str_t *event);
static void ngx_http_jelou_forget_variables(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_forward_raw(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_set_signature(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_chain_t *body, u_char *signature);
static ngx_int_t ngx_http_jelou_add_signature(ngx_http_request_t *r,
    ngx_str_t *value);
static ngx_int_t ngx_http_jelou_remove_header(ngx_http_request_t *r,
    ngx_list_part_t *part, ngx_uint_t i);


static ngx_str_t  ngx_http_jelou_signature_key =
    ngx_string("x-jelou-signature");

/* variables that nginx caches and that change with the body */

static ngx_str_t  ngx_http_jelou_stale[NGX_HTTP_JELOU_NSTALE] = {
    ngx_string("request_body"),
    ngx_string("request_body_file"),
    ngx_string("content_length"),
    ngx_string("http_content_length"),
    ngx_string("content_type"),
    ngx_string("http_content_type"),
    ngx_string("http_x_jelou_signature")
};


ngx_int_t
ngx_http_jelou_forward_init(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_jelou_main_conf_t  *jmcf;

    jmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_module);

    for (i = 0; i < NGX_HTTP_JELOU_NSTALE; i++) {

        jmcf->stale[i] = ngx_http_get_variable_index(cf,
                                                     &ngx_http_jelou_stale[i]);

        if (jmcf->stale[i] == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_forward(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    u_char                        *p;
    size_t                         len;
    ngx_http_jelou_forward_t      *f;
    const ngx_http_jelou_piece_t  *pieces;

    if (ctx->conf->format == NGX_HTTP_JELOU_FORMAT_RAW) {
        return ngx_http_jelou_forward_raw(r, ctx);
    }

    pieces = ngx_http_jelou_forward_pieces(r, ctx);
    if (pieces == NULL) {
        return NGX_ERROR;
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
    ctx->forwarded.len = ngx_http_jelou_pieces_write(p, pieces, &ctx->event,
                                                     &ctx->conf->schema)
                         - p;

    if (ctx->copy) {

        /* a large copy is freed here, the values are in the event now */

        (void) ngx_pfree(r->pool, ctx->copy);
    }

    ngx_http_jelou_forward_body(r, f, &ctx->forwarded);

    ngx_http_jelou_forget_variables(r);

    return ngx_http_jelou_set_signature(r, ctx, &f->link, f->signature);
}


/* The table of the configured format, with what else this format takes. */

static const ngx_http_jelou_piece_t *
ngx_http_jelou_forward_pieces(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_http_jelou_event_t  *event;

    event = &ctx->event;

    if (ctx->conf->format == NGX_HTTP_JELOU_FORMAT_EVENT) {
        return event->kind->event;
    }

    /* deduplication has computed the digest already */

    if (event->kind->identity && ctx->conf->dedup_zone == NULL
        && ngx_http_jelou_sha256(ctx->body, event->digest, r->connection->log)
           != NGX_OK)
    {
        return NULL;
    }

    ngx_str_set(&r->headers_in.content_type->value,
                NGX_HTTP_JELOU_CLOUDEVENTS);

    return event->kind->cloudevent;
}


/*
 * nginx's body stays as it is: a mirror of this request reads it.  A buffer
 * that begins at its start can be sent once more to another server of the
 * upstream.
 */

static void
ngx_http_jelou_forward_body(ngx_http_request_t *r, ngx_http_jelou_forward_t *f,
    ngx_str_t *event)
{
    ngx_buf_t        *b;
    ngx_table_elt_t  *h;

    b = &f->buf;
    b->start = event->data;
    b->pos = event->data;
    b->last = event->data + event->len;
    b->end = b->last;
    b->temporary = 1;
    b->last_buf = 1;

    f->link.buf = b;
    f->body.bufs = &f->link;

    r->request_body = &f->body;
    r->headers_in.content_length_n = event->len;

    /* a chunked request has no such header */

    h = r->headers_in.content_length;

    if (h) {
        h->value.data = f->length;
        h->value.len = ngx_sprintf(f->length, "%uz", event->len) - f->length;
    }
}


static void
ngx_http_jelou_forget_variables(ngx_http_request_t *r)
{
    ngx_uint_t                   i;
    ngx_http_variable_value_t   *v;
    ngx_http_jelou_main_conf_t  *jmcf;

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);

    for (i = 0; i < NGX_HTTP_JELOU_NSTALE; i++) {
        v = &r->variables[jmcf->stale[i]];

        v->valid = 0;
        v->not_found = 0;
    }
}


/* The body goes on as it came, and its signature if none replaces it. */

static ngx_int_t
ngx_http_jelou_forward_raw(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
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
