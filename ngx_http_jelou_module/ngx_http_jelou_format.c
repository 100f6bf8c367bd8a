
/*
 * Event to bytes: the pieces of an endpoint's table, one after the other.
 */


#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_text.h"


static size_t ngx_http_jelou_pieces_length(const ngx_http_jelou_piece_t *piece,
    ngx_http_jelou_value_t *values, ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema);
static u_char *ngx_http_jelou_pieces_write(u_char *dst,
    const ngx_http_jelou_piece_t *piece, ngx_http_jelou_value_t *values,
    ngx_http_jelou_event_t *event, ngx_http_jelou_schema_t *schema);
static ngx_http_jelou_value_t *ngx_http_jelou_item_next(ngx_list_part_t **part,
    ngx_uint_t *i);


size_t
ngx_http_jelou_event_length(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema)
{
    return ngx_http_jelou_pieces_length(schema->endpoint->pieces,
                                        event->values, event, schema);
}


u_char *
ngx_http_jelou_event_write(u_char *dst, ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema)
{
    return ngx_http_jelou_pieces_write(dst, schema->endpoint->pieces,
                                       event->values, event, schema);
}


static size_t
ngx_http_jelou_pieces_length(const ngx_http_jelou_piece_t *piece,
    ngx_http_jelou_value_t *values, ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema)
{
    size_t                   n;
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_http_jelou_value_t  *v;

    for (n = 0; piece->what != NGX_HTTP_JELOU_PIECE_END; piece++) {

        switch (piece->what) {

        case NGX_HTTP_JELOU_PIECE_STRING:
        case NGX_HTTP_JELOU_PIECE_NUMBER:
            v = &values[piece->slot];

            if (v->type == NGX_HTTP_JELOU_ABSENT) {
                continue;
            }

            n += v->len + 2;             /* the quotes of a string */
            break;

        case NGX_HTTP_JELOU_PIECE_FIXED:
            n += schema->fixed[piece->slot].json.len;
            break;

        case NGX_HTTP_JELOU_PIECE_ITEMS:

            if (values[piece->slot].type == NGX_HTTP_JELOU_ABSENT) {
                continue;
            }

            part = &event->items->part;
            i = 0;

            while ((v = ngx_http_jelou_item_next(&part, &i)) != NULL) {
                n += ngx_http_jelou_pieces_length(piece->items, v, event,
                                                  schema)
                     + 1;                /* the comma */
            }

            break;

        case NGX_HTTP_JELOU_PIECE_BODY:
            n += ngx_http_jelou_text_compact(NULL, event->body.data,
                                        event->body.data + event->body.len);
            break;
        }

        n += piece->text.len;
    }

    return n;
}


static u_char *
ngx_http_jelou_pieces_write(u_char *dst, const ngx_http_jelou_piece_t *piece,
    ngx_http_jelou_value_t *values, ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema)
{
    u_char                  *start;
    ngx_uint_t               i;
    ngx_str_t               *json;
    ngx_list_part_t         *part;
    ngx_http_jelou_value_t  *v;

    for ( /* void */ ; piece->what != NGX_HTTP_JELOU_PIECE_END; piece++) {

        v = &values[piece->slot];

        if (v->type == NGX_HTTP_JELOU_ABSENT
            && (piece->what == NGX_HTTP_JELOU_PIECE_STRING
                || piece->what == NGX_HTTP_JELOU_PIECE_NUMBER
                || piece->what == NGX_HTTP_JELOU_PIECE_ITEMS))
        {
            continue;
        }

        dst = ngx_cpymem(dst, piece->text.data, piece->text.len);

        switch (piece->what) {

        case NGX_HTTP_JELOU_PIECE_STRING:
            *dst++ = '"';
            start = dst;
            dst = ngx_cpymem(dst, v->data, v->len);
            v->data = start;
            *dst++ = '"';
            break;

        case NGX_HTTP_JELOU_PIECE_NUMBER:
            start = dst;
            dst = ngx_cpymem(dst, v->data, v->len);
            v->data = start;
            break;

        case NGX_HTTP_JELOU_PIECE_FIXED:
            json = &schema->fixed[piece->slot].json;
            dst = ngx_cpymem(dst, json->data, json->len);
            break;

        case NGX_HTTP_JELOU_PIECE_ITEMS:
            part = &event->items->part;
            i = 0;
            start = dst;

            while ((v = ngx_http_jelou_item_next(&part, &i)) != NULL) {

                if (dst != start) {
                    *dst++ = ',';
                }

                dst = ngx_http_jelou_pieces_write(dst, piece->items, v, event,
                                                  schema);
            }

            break;

        case NGX_HTTP_JELOU_PIECE_BODY:
            dst += ngx_http_jelou_text_compact(dst, event->body.data,
                                        event->body.data + event->body.len);
            break;
        }
    }

    return dst;
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
