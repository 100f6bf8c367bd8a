
/*
 * The body that goes on in the place of the client's, and its header fields.
 */


#include "ngx_http_jelou_forward.h"
#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_idempotency.h"
#include "ngx_http_jelou_request.h"


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
static void ngx_http_jelou_forward_body(ngx_http_jelou_forward_t *f,
    ngx_str_t *event);
static ngx_int_t ngx_http_jelou_forget_variables(ngx_http_request_t *r);
static ngx_int_t ngx_http_jelou_forward_raw(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_forward_request(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_jelou_forward_t *f);
static ngx_int_t ngx_http_jelou_forward_sign(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_jelou_forward_t *f);
static ngx_int_t ngx_http_jelou_forward_headers(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_jelou_forward_t *f);
static ngx_uint_t ngx_http_jelou_forward_drops(
    ngx_http_jelou_loc_conf_t *jlcf, ngx_table_elt_t *h);
static ngx_uint_t ngx_http_jelou_forward_condition(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_jelou_forward_folds(ngx_table_elt_t *h,
    const char *name, ngx_uint_t *exact);
static void ngx_http_jelou_forward_header(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_jelou_forward_t *f,
    ngx_table_elt_t *h, ngx_table_elt_t *copy);
static void ngx_http_jelou_forward_signature(ngx_http_jelou_forward_t *f,
    ngx_table_elt_t *h);


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

    f = ngx_http_jelou_pages_palloc(r->pool,
                                    sizeof(ngx_http_jelou_forward_t) + len,
                                    NULL);
    if (f == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(f, sizeof(ngx_http_jelou_forward_t));

    p = (u_char *) f + sizeof(ngx_http_jelou_forward_t);

    ctx->forwarded.data = p;
    ctx->forwarded.len = ngx_http_jelou_pieces_write(p, pieces, &ctx->event,
                                                     &ctx->conf->schema)
                         - p;

    ngx_http_jelou_forward_body(f, &ctx->forwarded);

    return ngx_http_jelou_forward_request(r, ctx, f);
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

    if (event->kind->identity
        && ngx_http_jelou_idempotency_digest(r, ctx) != NGX_OK)
    {
        return NULL;
    }

    return event->kind->cloudevent;
}


/*
 * A buffer that begins at its start can be sent once more to another server of
 * the upstream.
 */

static void
ngx_http_jelou_forward_body(ngx_http_jelou_forward_t *f, ngx_str_t *event)
{
    ngx_buf_t  *b;

    b = &f->buf;
    b->start = event->data;
    b->pos = event->data;
    b->last = event->data + event->len;
    b->end = b->last;
    b->temporary = 1;
    b->last_buf = 1;

    f->link.buf = b;
    f->body.bufs = &f->link;
}


/*
 * A subrequest in the background (mirror) shares the variables, and has the
 * body that was received: whoever came first would decide for both.
 */

static ngx_int_t
ngx_http_jelou_forget_variables(ngx_http_request_t *r)
{
    size_t                       size;
    ngx_uint_t                   i;
    ngx_http_variable_value_t   *v;
    ngx_http_core_main_conf_t   *cmcf;
    ngx_http_jelou_main_conf_t  *jmcf;

    if (r->preserve_body || r->posted_requests) {
        cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

        size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

        v = ngx_palloc(r->pool, size);
        if (v == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(v, r->variables, size);

        r->variables = v;
    }

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);

    for (i = 0; i < NGX_HTTP_JELOU_NSTALE; i++) {
        v = &r->variables[jmcf->stale[i]];

        v->valid = 0;
        v->not_found = 0;
    }

    return NGX_OK;
}


/*
 * The body goes on as it came, and its signature if none replaces it.  The
 * content type is not signed: what goes on is what was checked.
 */

static ngx_int_t
ngx_http_jelou_forward_raw(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx)
{
    ngx_http_jelou_forward_t  *f;

    ctx->forwarded = ctx->event.body;

    f = ngx_pcalloc(r->pool, sizeof(ngx_http_jelou_forward_t));
    if (f == NULL) {
        return NGX_ERROR;
    }

    f->body.bufs = ctx->body;

    return ngx_http_jelou_forward_request(r, ctx, f);
}


/*
 * The request that goes on.  It is signed before anything is changed: a secret
 * with variables is chosen by what was received.  nginx's body stays as it is:
 * a mirror of this request reads it.
 */

static ngx_int_t
ngx_http_jelou_forward_request(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_jelou_forward_t *f)
{
    ngx_int_t  rc;

    if (ctx->conf->upstream_secrets) {
        rc = ngx_http_jelou_forward_sign(r, ctx, f);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ctx->conf->format != NGX_HTTP_JELOU_FORMAT_RAW) {
        r->request_body = &f->body;
        r->headers_in.content_length_n = ctx->forwarded.len;
    }

    if (ngx_http_jelou_forget_variables(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_jelou_forward_headers(r, ctx, f);
}


/* Signs the body that goes on.  What has no secret does not go on unsigned. */

static ngx_int_t
ngx_http_jelou_forward_sign(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_jelou_forward_t *f)
{
    u_char     digest[NGX_HTTP_JELOU_DIGEST_LEN];
    ngx_int_t  rc;
    ngx_str_t  project;

    if (ngx_http_jelou_request_proven(r, ctx, &project) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_jelou_secrets_sign(r, ctx->conf->upstream_secrets, &project,
                                     f->body.bufs, digest);

    if (rc == NGX_DECLINED) {
        return NGX_HTTP_JELOU_UPSTREAM_SECRET_MISSING;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_jelou_signature_write(f->signature, digest);

    return NGX_OK;
}


/*
 * Makes a new list of header fields for the new body.  nginx's stays as it
 * is: a mirror of this request has the same fields, and the old body.
 */

static ngx_int_t
ngx_http_jelou_forward_headers(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_jelou_forward_t *f)
{
    ngx_uint_t        i, n;
    ngx_list_t       *list;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    list = &r->headers_in.headers;

    n = 1;                               /* one more for the signature */

    for (part = &list->part; part; part = part->next) {
        n += part->nelts;
    }

    copy = ngx_palloc(r->pool, n * sizeof(ngx_table_elt_t));
    if (copy == NULL) {
        return NGX_ERROR;
    }

    n = 0;

    for (part = &list->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_jelou_forward_drops(ctx->conf, &h[i])
                || ngx_http_jelou_forward_condition(r, &h[i]))
            {
                continue;
            }

            copy[n] = h[i];
            ngx_http_jelou_forward_header(r, ctx, f, &h[i], &copy[n++]);
        }
    }

    if (ctx->conf->upstream_secrets) {
        ngx_http_jelou_forward_signature(f, &copy[n++]);
    }

    list->part.elts = copy;
    list->part.nelts = n;
    list->part.next = NULL;

    list->last = &list->part;
    list->nalloc = n;

    return NGX_OK;
}


/*
 * What does not go on: the client's signature, which is that of other bytes
 * unless these are the very ones, and which nobody has looked at where it was
 * switched off; a content coding, of which there is none; and
 * whatever an application that makes variables of names would take for a field
 * that says something of the body.
 */

static ngx_uint_t
ngx_http_jelou_forward_drops(ngx_http_jelou_loc_conf_t *jlcf,
    ngx_table_elt_t *h)
{
    ngx_uint_t  exact;

    switch (h->key.len) {

    case sizeof("x-jelou-signature") - 1:

        if (ngx_http_jelou_forward_folds(h, "x-jelou-signature", &exact)) {
            return !exact
                   || jlcf->format != NGX_HTTP_JELOU_FORMAT_RAW
                   || jlcf->upstream_secrets
                   || jlcf->secret_off;
        }

        return ngx_http_jelou_forward_folds(h, "transfer-encoding", &exact)
               && !exact;

    case sizeof("content-encoding") - 1:
        return ngx_http_jelou_forward_folds(h, "content-encoding", &exact);

    case sizeof("content-length") - 1:
        return ngx_http_jelou_forward_folds(h, "content-length", &exact)
               && !exact;

    case sizeof("content-type") - 1:
        return ngx_http_jelou_forward_folds(h, "content-type", &exact)
               && !exact;
    }

    return 0;
}


/* An event is no resource: it has neither an age nor ranges. */

static ngx_uint_t
ngx_http_jelou_forward_condition(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    return h == r->headers_in.if_modified_since
           || h == r->headers_in.if_unmodified_since
           || h == r->headers_in.if_match
           || h == r->headers_in.if_none_match
           || h == r->headers_in.if_range
           || h == r->headers_in.range;
}


/*
 * Whether a field's name becomes that name where every character but letters
 * and digits becomes the same one: in CGI's variables "-" and "_" do, in PHP's
 * "." too.  The names are equally long.
 */

static ngx_uint_t
ngx_http_jelou_forward_folds(ngx_table_elt_t *h, const char *name,
    ngx_uint_t *exact)
{
    u_char      ch;
    ngx_uint_t  i;

    *exact = (ngx_memcmp(h->lowcase_key, name, h->key.len) == 0);

    for (i = 0; !*exact && i < h->key.len; i++) {
        ch = h->lowcase_key[i];

        if (ch == (u_char) name[i]) {
            continue;
        }

        if (name[i] != '-' || (ch >= 'a' && ch <= 'z')
            || (ch >= '0' && ch <= '9'))
        {
            return 0;
        }
    }

    return 1;
}


/* The fields that say something of the body. */

static void
ngx_http_jelou_forward_header(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_jelou_forward_t *f, ngx_table_elt_t *h, ngx_table_elt_t *copy)
{
    if (h == r->headers_in.content_length
        && ctx->conf->format != NGX_HTTP_JELOU_FORMAT_RAW)
    {
        copy->value.data = f->length;
        copy->value.len = ngx_sprintf(f->length, "%uz", ctx->forwarded.len)
                          - f->length;

        r->headers_in.content_length = copy;
    }

    if (h == r->headers_in.content_type) {

        if (ctx->conf->format == NGX_HTTP_JELOU_FORMAT_CLOUD) {
            ngx_str_set(&copy->value, "application/cloudevents+json");

        } else {
            ngx_str_set(&copy->value, "application/json");
        }

        r->headers_in.content_type = copy;
    }
}


static void
ngx_http_jelou_forward_signature(ngx_http_jelou_forward_t *f,
    ngx_table_elt_t *h)
{
    ngx_memzero(h, sizeof(ngx_table_elt_t));

    ngx_str_set(&h->key, "X-Jelou-Signature");
    h->lowcase_key = ngx_http_jelou_signature_key.data;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);

    h->value.data = f->signature;
    h->value.len = NGX_HTTP_JELOU_SIGNATURE_LEN;
}
