
/*
 * Event to bytes: the pieces of a table, one after the other.
 */


#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_text.h"


typedef struct {
    ngx_http_jelou_event_t   *event;
    ngx_http_jelou_schema_t  *schema;
} ngx_http_jelou_format_t;


static size_t ngx_http_jelou_format_length(ngx_http_jelou_format_t *f,
    const ngx_http_jelou_piece_t *piece, ngx_http_jelou_value_t *values);
static u_char *ngx_http_jelou_format_write(ngx_http_jelou_format_t *f,
    u_char *dst, const ngx_http_jelou_piece_t *piece,
    ngx_http_jelou_value_t *values);
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


static size_t
ngx_http_jelou_format_length(ngx_http_jelou_format_t *f,
    const ngx_http_jelou_piece_t *piece, ngx_http_jelou_value_t *values)
{
    size_t                   n;
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_http_jelou_value_t  *v;

    for (n = 0; piece->what != NGX_HTTP_JELOU_PIECE_END; piece++) {
        n += piece->text.len;
        v = &values[piece->slot];

        switch (piece->what) {

        case NGX_HTTP_JELOU_PIECE_STRING:
        case NGX_HTTP_JELOU_PIECE_BARE:
        case NGX_HTTP_JELOU_PIECE_DECODED:
            n += v->len + 2;             /* the quotes of a string */
            break;

        case NGX_HTTP_JELOU_PIECE_ESCAPED:
            n += 3 * v->len;
            break;

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

        case NGX_HTTP_JELOU_PIECE_DIGEST:
            n += 2 * sizeof(f->event->digest);
            break;

        case NGX_HTTP_JELOU_PIECE_TIME:
            n += sizeof("1970-01-01T00:00:00.000Z") - 1;
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
    ngx_str_t                json;
    ngx_http_jelou_value_t  *v;

    for ( /* void */ ; piece->what != NGX_HTTP_JELOU_PIECE_END; piece++) {

        v = &values[piece->slot];

        switch (piece->what) {

        case NGX_HTTP_JELOU_PIECE_NOTHING:
        case NGX_HTTP_JELOU_PIECE_STRING:
        case NGX_HTTP_JELOU_PIECE_BARE:
        case NGX_HTTP_JELOU_PIECE_DECODED:
        case NGX_HTTP_JELOU_PIECE_ESCAPED:
        case NGX_HTTP_JELOU_PIECE_ITEMS:

            if (v->type == NGX_HTTP_JELOU_ABSENT) {
                continue;
            }
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

        case NGX_HTTP_JELOU_PIECE_FIXED:
            json = f->schema->fixed[piece->slot].json;
            dst = ngx_cpymem(dst, json.data, json.len);
            break;

        case NGX_HTTP_JELOU_PIECE_FIXED_BARE:
            json = f->schema->fixed[piece->slot].json;
            dst = ngx_cpymem(dst, json.data + 1, json.len - 2);
            break;

        case NGX_HTTP_JELOU_PIECE_ITEMS:
            dst = ngx_http_jelou_format_items(f, dst, piece->items);
            break;

        case NGX_HTTP_JELOU_PIECE_BODY:
            dst = ngx_http_jelou_text_compact(dst, f->event->body.data,
                                     f->event->body.data + f->event->body.len);
            break;

        case NGX_HTTP_JELOU_PIECE_DIGEST:
            dst = ngx_hex_dump(dst, f->event->digest, sizeof(f->event->digest));
            break;

        case NGX_HTTP_JELOU_PIECE_TIME:
            dst = ngx_http_jelou_format_time(dst, f->event);
            break;

        case NGX_HTTP_JELOU_PIECE_EVENT:
            dst = ngx_http_jelou_format_write(f, dst, f->event->kind->event,
                                              f->event->values);
            break;
        }
    }

    return dst;
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

        if ((ch >= '0' && ch <= '9')
            || ((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z')
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
