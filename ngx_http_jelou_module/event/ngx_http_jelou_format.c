
/*
 * Event to bytes: the pieces of a table, one after the other.
 */


#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_text.h"


typedef struct {
    ngx_http_jelou_event_t   *event;
    ngx_http_jelou_schema_t  *schema;
} ngx_http_jelou_format_t;


/* how much is written behind a piece's text */

typedef struct {
    unsigned    value:1;       /* and nothing if its value is absent */
    unsigned    times:2;       /* the value's length, so many times, */
    unsigned    length:8;      /*   and so much more */
} ngx_http_jelou_size_t;


static size_t ngx_http_jelou_format_length(ngx_http_jelou_format_t *f,
    const ngx_http_jelou_piece_t *piece, ngx_http_jelou_value_t *values);
static u_char *ngx_http_jelou_format_write(ngx_http_jelou_format_t *f,
    u_char *dst, const ngx_http_jelou_piece_t *piece,
    ngx_http_jelou_value_t *values);
static u_char *ngx_http_jelou_format_plain(ngx_http_jelou_format_t *f,
    u_char *dst, const ngx_http_jelou_piece_t *piece);
static u_char *ngx_http_jelou_format_value(u_char *dst,
    ngx_http_jelou_value_t *value);
static u_char *ngx_http_jelou_format_items(ngx_http_jelou_format_t *f,
    u_char *dst, const ngx_http_jelou_piece_t *pieces);
static u_char *ngx_http_jelou_format_escaped(u_char *dst,
    ngx_http_jelou_value_t *value);
static u_char *ngx_http_jelou_format_time(u_char *dst,
    ngx_http_jelou_event_t *event);
static ngx_http_jelou_value_t *ngx_http_jelou_item_next(ngx_list_part_t **part,
    ngx_uint_t *i);


static const ngx_http_jelou_size_t  ngx_http_jelou_sizes[] = {
    { 0, 0, 0 },                                           /* TEXT */
    { 1, 0, 0 },                                           /* NOTHING */
    { 0, 0, 0 },                                           /* FIXED */
    { 0, 0, 0 },                                           /* FIXED_BARE */
    { 1, 1, 2 },                                           /* STRING */
    { 1, 1, 0 },                                           /* BARE */
    { 1, 1, 0 },                                           /* DECODED */
    { 1, 3, 0 },                                           /* ESCAPED */
    { 1, 0, 0 },                                           /* ITEMS */
    { 0, 0, 0 },                                           /* BODY */
    { 0, 0, 2 * sizeof(((ngx_http_jelou_event_t *) 0)->digest) },
                                                           /* DIGEST */
    { 0, 0, sizeof("1970-01-01T00:00:00.000Z") - 1 },      /* TIME */
    { 0, 0, 0 }                                            /* EVENT */
};


size_t
ngx_http_jelou_pieces_length(const ngx_http_jelou_piece_t *pieces,
    ngx_http_jelou_event_t *event, ngx_http_jelou_schema_t *schema)
{
    ngx_http_jelou_format_t  f;

    f.event = event;
    f.schema = schema;

    return ngx_http_jelou_format_length(&f, pieces, event->values);
}


u_char *
ngx_http_jelou_pieces_write(u_char *dst, const ngx_http_jelou_piece_t *pieces,
    ngx_http_jelou_event_t *event, ngx_http_jelou_schema_t *schema)
{
    ngx_http_jelou_format_t  f;

    f.event = event;
    f.schema = schema;

    return ngx_http_jelou_format_write(&f, dst, pieces, event->values);
}


/* At least what is written: whether a value is there is not looked at. */

static size_t
ngx_http_jelou_format_length(ngx_http_jelou_format_t *f,
    const ngx_http_jelou_piece_t *piece, ngx_http_jelou_value_t *values)
{
    size_t                       n;
    ngx_uint_t                   i;
    ngx_list_part_t             *part;
    ngx_http_jelou_value_t      *v;
    const ngx_http_jelou_size_t *size;

    for (n = 0; piece->what != NGX_HTTP_JELOU_PIECE_END; piece++) {
        size = &ngx_http_jelou_sizes[piece->what];

        n += piece->text.len + size->length
             + size->times * values[piece->slot].len;

        switch (piece->what) {

        case NGX_HTTP_JELOU_PIECE_FIXED:
        case NGX_HTTP_JELOU_PIECE_FIXED_BARE:
            n += f->schema->fixed[piece->slot].json.len;
            break;

        case NGX_HTTP_JELOU_PIECE_ITEMS:

            if (f->event->items == NULL) {
                break;
            }

            part = &f->event->items->part;
            i = 0;

            while ((v = ngx_http_jelou_item_next(&part, &i)) != NULL) {
                n += 1 + ngx_http_jelou_format_length(f, piece->items, v);
            }

            break;

        case NGX_HTTP_JELOU_PIECE_BODY:
            n += f->event->body.len;
            break;

        case NGX_HTTP_JELOU_PIECE_EVENT:
            n += ngx_http_jelou_format_length(f, f->event->kind->event,
                                              f->event->values);
            break;
        }
    }

    return n;
}


static u_char *
ngx_http_jelou_format_write(ngx_http_jelou_format_t *f, u_char *dst,
    const ngx_http_jelou_piece_t *piece, ngx_http_jelou_value_t *values)
{
    ngx_http_jelou_value_t  *v;

    for ( /* void */ ; piece->what != NGX_HTTP_JELOU_PIECE_END; piece++) {
        v = &values[piece->slot];

        if (ngx_http_jelou_sizes[piece->what].value
            && v->type == NGX_HTTP_JELOU_ABSENT)
        {
            continue;
        }

        dst = ngx_cpymem(dst, piece->text.data, piece->text.len);

        switch (piece->what) {

        case NGX_HTTP_JELOU_PIECE_STRING:
            *dst++ = '"';
            dst = ngx_http_jelou_format_value(dst, v);
            *dst++ = '"';
            break;

        case NGX_HTTP_JELOU_PIECE_BARE:
            dst = ngx_http_jelou_format_value(dst, v);
            break;

        case NGX_HTTP_JELOU_PIECE_DECODED:
            dst = ngx_http_jelou_text_decode(dst, v->data, v->len);
            break;

        case NGX_HTTP_JELOU_PIECE_ESCAPED:
            dst = ngx_http_jelou_format_escaped(dst, v);
            break;

        case NGX_HTTP_JELOU_PIECE_ITEMS:
            dst = ngx_http_jelou_format_items(f, dst, piece->items);
            break;

        case NGX_HTTP_JELOU_PIECE_EVENT:
            dst = ngx_http_jelou_format_write(f, dst, f->event->kind->event,
                                              f->event->values);
            break;

        default:
            dst = ngx_http_jelou_format_plain(f, dst, piece);
            break;
        }
    }

    return dst;
}


/* What is no value of the event's. */

static u_char *
ngx_http_jelou_format_plain(ngx_http_jelou_format_t *f, u_char *dst,
    const ngx_http_jelou_piece_t *piece)
{
    ngx_str_t  text;

    switch (piece->what) {

    case NGX_HTTP_JELOU_PIECE_FIXED:
        text = f->schema->fixed[piece->slot].json;
        return ngx_cpymem(dst, text.data, text.len);

    case NGX_HTTP_JELOU_PIECE_FIXED_BARE:
        text = f->schema->fixed[piece->slot].json;
        return ngx_cpymem(dst, text.data + 1, text.len - 2);

    case NGX_HTTP_JELOU_PIECE_BODY:
        text = f->event->body;
        return ngx_http_jelou_text_compact(dst, text.data,
                                           text.data + text.len);

    case NGX_HTTP_JELOU_PIECE_DIGEST:
        return ngx_hex_dump(dst, f->event->digest, sizeof(f->event->digest));

    case NGX_HTTP_JELOU_PIECE_TIME:
        return ngx_http_jelou_format_time(dst, f->event);

    default: /* NGX_HTTP_JELOU_PIECE_TEXT, NGX_HTTP_JELOU_PIECE_NOTHING */
        return dst;
    }
}


static u_char *
ngx_http_jelou_format_value(u_char *dst, ngx_http_jelou_value_t *value)
{
    u_char  *last;

    last = ngx_cpymem(dst, value->data, value->len);

    value->data = dst;

    return last;
}


static u_char *
ngx_http_jelou_format_items(ngx_http_jelou_format_t *f, u_char *dst,
    const ngx_http_jelou_piece_t *pieces)
{
    u_char                  *start;
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_http_jelou_value_t  *v;

    part = &f->event->items->part;
    i = 0;
    start = dst;

    while ((v = ngx_http_jelou_item_next(&part, &i)) != NULL) {

        if (dst != start) {
            *dst++ = ',';
        }

        dst = ngx_http_jelou_format_write(f, dst, pieces, v);
    }

    return dst;
}


/* RFC 3986, section 2.3: all but the unreserved characters is encoded */

static u_char *
ngx_http_jelou_format_escaped(u_char *dst, ngx_http_jelou_value_t *value)
{
    u_char  *p, *last, ch;

    /* the decoded form of an identifier, which has at most 256 bytes */

    u_char   text[256];

    p = value->data;
    last = p + value->len;

    if (value->escaped) {
        last = ngx_http_jelou_text_decode(text, value->data, value->len);
        p = text;
    }

    for ( /* void */ ; p < last; p++) {
        ch = *p;

        if (ngx_http_jelou_alnum(ch)
            || ch == '-' || ch == '.' || ch == '_' || ch == '~')
        {
            *dst++ = ch;

        } else {
            dst = ngx_sprintf(dst, "%%%02Xd", (ngx_uint_t) ch);
        }
    }

    return dst;
}


/* the event's own time if it has one, else that of its receipt */

static u_char *
ngx_http_jelou_format_time(u_char *dst, ngx_http_jelou_event_t *event)
{
    off_t                    ms;
    ngx_tm_t                 tm;
    ngx_http_jelou_value_t  *v;

    v = &event->values[NGX_HTTP_JELOU_TIMESTAMP];

    if (v->type == NGX_HTTP_JELOU_NUMBER) {
        ms = ngx_atoof(v->data, v->len);

    } else {
        ms = (off_t) event->received_sec * 1000 + event->received;
    }

    ngx_gmtime((time_t) (ms / 1000), &tm);

    return ngx_sprintf(dst, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                       tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                       tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                       (int) (ms % 1000));
}


static ngx_http_jelou_value_t *
ngx_http_jelou_item_next(ngx_list_part_t **part, ngx_uint_t *i)
{
    ngx_http_jelou_value_t  *values;

    if (*i == (*part)->nelts) {
        *part = (*part)->next;
        *i = 0;

        if (*part == NULL) {
            return NULL;
        }
    }

    values = (*part)->elts;

    return values + (*i)++ * NGX_HTTP_JELOU_ITEM_NVALUES;
}
