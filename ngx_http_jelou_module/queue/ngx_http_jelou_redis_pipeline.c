
/*
 * Commands on their way over one connection, and the replies to them, in
 * their order.  Nothing of the network is here.
 */


#include "ngx_http_jelou_redis_pipeline.h"


/* how many commands a ring is made for; it doubles when it is full */

#define NGX_HTTP_JELOU_REDIS_RING   64

/* what is waited for of one reply, before it is taken for none */

#define NGX_HTTP_JELOU_REDIS_PLAIN  (64 * 1024)
#define NGX_HTTP_JELOU_REDIS_TREE   (64 * 1024 * 1024)


static ngx_int_t ngx_http_jelou_redis_pipeline_grow(
    ngx_http_jelou_redis_pipeline_t *pipeline, ngx_log_t *log);
static size_t ngx_http_jelou_redis_digits(size_t n);
static u_char *ngx_http_jelou_redis_number(u_char *p, size_t n);


ngx_int_t
ngx_http_jelou_redis_pipeline_init(ngx_http_jelou_redis_pipeline_t *pipeline,
    ngx_log_t *log)
{
    pipeline->slots = ngx_alloc(NGX_HTTP_JELOU_REDIS_RING
                                * sizeof(ngx_http_jelou_redis_slot_t), log);
    if (pipeline->slots == NULL) {
        return NGX_ERROR;
    }

    pipeline->mask = NGX_HTTP_JELOU_REDIS_RING - 1;

    return ngx_http_jelou_redis_reader_init(&pipeline->reader);
}


void
ngx_http_jelou_redis_pipeline_free(ngx_http_jelou_redis_pipeline_t *pipeline)
{
    if (pipeline->slots) {
        ngx_free(pipeline->slots);
        pipeline->slots = NULL;
    }

    ngx_http_jelou_redis_reader_free(&pipeline->reader);
}


ngx_int_t
ngx_http_jelou_redis_pipeline_add(ngx_http_jelou_redis_pipeline_t *pipeline,
    ngx_http_jelou_redis_cmd_t *cmd, uint64_t *number, ngx_log_t *log)
{
    ngx_http_jelou_redis_slot_t  *slot;

    if (ngx_http_jelou_redis_in_flight(pipeline) > pipeline->mask
        && ngx_http_jelou_redis_pipeline_grow(pipeline, log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    slot = &pipeline->slots[pipeline->tail & pipeline->mask];

    slot->cmd = cmd;
    slot->since = ngx_current_msec;

    *number = pipeline->tail++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_redis_pipeline_grow(ngx_http_jelou_redis_pipeline_t *pipeline,
    ngx_log_t *log)
{
    uint64_t                      i, mask;
    ngx_http_jelou_redis_slot_t  *slots;

    mask = 2 * pipeline->mask + 1;

    slots = ngx_alloc((mask + 1) * sizeof(ngx_http_jelou_redis_slot_t), log);
    if (slots == NULL) {
        return NGX_ERROR;
    }

    for (i = pipeline->head; i != pipeline->tail; i++) {
        slots[i & mask] = pipeline->slots[i & pipeline->mask];
    }

    ngx_free(pipeline->slots);

    pipeline->slots = slots;
    pipeline->mask = mask;

    return NGX_OK;
}


void
ngx_http_jelou_redis_pipeline_forget(ngx_http_jelou_redis_pipeline_t *pipeline,
    uint64_t number)
{
    pipeline->slots[number & pipeline->mask].cmd = NULL;
}


ngx_msec_t
ngx_http_jelou_redis_pipeline_since(ngx_http_jelou_redis_pipeline_t *pipeline)
{
    return pipeline->slots[pipeline->head & pipeline->mask].since;
}


ngx_int_t
ngx_http_jelou_redis_pipeline_drop(ngx_http_jelou_redis_pipeline_t *pipeline,
    ngx_http_jelou_redis_cmd_t **cmd)
{
    if (pipeline->head == pipeline->tail) {
        return NGX_DECLINED;
    }

    *cmd = pipeline->slots[pipeline->head++ & pipeline->mask].cmd;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_redis_pipeline_next(ngx_http_jelou_redis_pipeline_t *pipeline,
    ngx_http_jelou_redis_cmd_t **cmd)
{
    size_t      max;
    ngx_int_t   rc;
    ngx_uint_t  tree;

    if (pipeline->head == pipeline->tail) {
        return ngx_http_jelou_redis_reader_rest(&pipeline->reader)
               ? NGX_DECLINED : NGX_AGAIN;
    }

    *cmd = pipeline->slots[pipeline->head & pipeline->mask].cmd;

    tree = (*cmd && (*cmd)->tree);
    max = tree ? NGX_HTTP_JELOU_REDIS_TREE : NGX_HTTP_JELOU_REDIS_PLAIN;

    rc = ngx_http_jelou_redis_reader_next(&pipeline->reader, tree, max);

    if (rc == NGX_OK) {
        pipeline->head++;
    }

    return rc;
}


ngx_http_jelou_redis_piece_t *
ngx_http_jelou_redis_piece(ngx_http_jelou_redis_piece_t *piece,
    ngx_str_t *text, ngx_uint_t raw)
{
    piece->data = text->data;
    piece->len = text->len;
    piece->raw = raw;

    return piece + 1;
}


size_t
ngx_http_jelou_redis_pieces_len(ngx_http_jelou_redis_piece_t *pieces,
    ngx_uint_t n)
{
    size_t      len;
    ngx_uint_t  i;

    len = 0;

    for (i = 0; i < n; i++) {
        len += pieces[i].len;

        if (!pieces[i].raw) {
            len += sizeof("$" CRLF CRLF) - 1
                   + ngx_http_jelou_redis_digits(pieces[i].len);
        }
    }

    return len;
}


u_char *
ngx_http_jelou_redis_pieces_write(u_char *p,
    ngx_http_jelou_redis_piece_t *pieces, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        if (pieces[i].raw) {
            p = ngx_cpymem(p, pieces[i].data, pieces[i].len);
            continue;
        }

        *p++ = '$';
        p = ngx_http_jelou_redis_number(p, pieces[i].len);
        *p++ = CR;
        *p++ = LF;

        if (pieces[i].len) {
            p = ngx_cpymem(p, pieces[i].data, pieces[i].len);
        }

        *p++ = CR;
        *p++ = LF;
    }

    return p;
}


static size_t
ngx_http_jelou_redis_digits(size_t n)
{
    size_t  digits;

    for (digits = 1; n > 9; n /= 10) {
        digits++;
    }

    return digits;
}


/* ngx_sprintf() reads a format: this is on the way of each word */

static u_char *
ngx_http_jelou_redis_number(u_char *p, size_t n)
{
    u_char  *last, *q;

    last = p + ngx_http_jelou_redis_digits(n);
    q = last;

    do {
        *--q = (u_char) ('0' + n % 10);
        n /= 10;
    } while (q > p);

    return last;
}


void
ngx_http_jelou_redis_printf(ngx_str_t *text, u_char *buf, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    text->len = ngx_vslprintf(buf, (void *) -1, fmt, args) - buf;
    va_end(args);

    text->data = buf;
}


ngx_int_t
ngx_http_jelou_redis_text(ngx_pool_t *pool, ngx_str_t *text,
    ngx_uint_t nwords, ngx_str_t *words)
{
    u_char                         count[sizeof("*" CRLF) + NGX_INT_T_LEN];
    ngx_str_t                      head;
    ngx_uint_t                     i;
    ngx_http_jelou_redis_piece_t  *p, pieces[NGX_HTTP_JELOU_REDIS_WORDS + 1];

    head.data = count;
    head.len = ngx_sprintf(count, "*%ui" CRLF, nwords) - count;

    p = ngx_http_jelou_redis_piece(pieces, &head, 1);

    for (i = 0; i < nwords; i++) {
        p = ngx_http_jelou_redis_piece(p, &words[i], 0);
    }

    text->len = ngx_http_jelou_redis_pieces_len(pieces, nwords + 1);

    text->data = ngx_pnalloc(pool, text->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_http_jelou_redis_pieces_write(text->data, pieces, nwords + 1);

    return NGX_OK;
}
