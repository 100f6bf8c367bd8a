
/*
 * The items of an event's array: that their ids differ, and ids for those that
 * have none.
 */


#include "ngx_http_jelou_items.h"
#include "ngx_http_jelou_id.h"
#include "ngx_http_jelou_pages.h"
#include "ngx_http_jelou_rule.h"


/* an item's id, and which item it is */

typedef struct {
    u_char                             *data;
    uint32_t                            len;
    uint32_t                            index;
} ngx_http_jelou_item_id_t;


static ngx_uint_t ngx_http_jelou_count_items(ngx_list_t *items);
static ngx_int_t ngx_http_jelou_item_ids(ngx_http_jelou_event_t *event,
    ngx_http_jelou_item_id_t *ids, ngx_uint_t *n);
static int ngx_libc_cdecl ngx_http_jelou_cmp_ids(const void *one,
    const void *two);
static int ngx_libc_cdecl ngx_http_jelou_cmp_uuids(const void *one,
    const void *two);


/* Items with the same id could not be told apart by whoever gets an answer. */

void
ngx_http_jelou_items_unique(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *array, const ngx_http_jelou_path_t *path)
{
    ngx_int_t                       rc;
    ngx_uint_t                      i, n;
    ngx_http_jelou_path_t           item;
    ngx_http_jelou_pages_t         *pages;
    ngx_http_jelou_item_id_t       *ids, other;
    const ngx_http_jelou_member_t  *id;
    int (ngx_libc_cdecl            *cmp)(const void *one, const void *two);

    static ngx_str_t  message = ngx_string("must differ from every other id");

    n = ngx_http_jelou_count_items(event->items);

    if (n < 2) {
        return;
    }

    pages = NULL;
    ids = ngx_http_jelou_pages_palloc(event->pool,
                                      n * sizeof(ngx_http_jelou_item_id_t),
                                      &pages);

    rc = ids ? ngx_http_jelou_item_ids(event, ids, &n) : NGX_ERROR;

    if (rc != NGX_OK) {
        event->failed = 1;
        return;
    }

    /* the table of an item's members begins with its id */

    id = &array->object->members[0];

    cmp = (id->rule == ngx_http_jelou_rule_uuid) ? ngx_http_jelou_cmp_uuids
                                                 : ngx_http_jelou_cmp_ids;

    ngx_qsort(ids, n, sizeof(ngx_http_jelou_item_id_t), cmp);

    item.parent = path;
    ngx_str_null(&item.name);

    for (i = 1; i < n; i++) {
        other = ids[i - 1];
        other.index = ids[i].index;

        if (cmp(&other, &ids[i]) == 0) {
            item.index = ids[i].index;
            ngx_http_jelou_violation(event, &item, &id->name, &message);
        }
    }

    ngx_http_jelou_pages_free(pages);
}


static ngx_uint_t
ngx_http_jelou_count_items(ngx_list_t *items)
{
    ngx_uint_t        n;
    ngx_list_part_t  *part;

    n = 0;

    for (part = &items->part; part; part = part->next) {
        n += part->nelts;
    }

    return n;
}


/* The ids of those that have one. */

static ngx_int_t
ngx_http_jelou_item_ids(ngx_http_jelou_event_t *event,
    ngx_http_jelou_item_id_t *ids, ngx_uint_t *n)
{
    ngx_str_t                text;
    ngx_uint_t               i, index;
    ngx_list_part_t         *part;
    ngx_http_jelou_value_t  *v;

    index = 0;
    *n = 0;

    for (part = &event->items->part; part; part = part->next) {
        v = part->elts;

        for (i = 0; i < part->nelts; i++, index++) {

            if (v[NGX_HTTP_JELOU_ITEM_ID].type != NGX_HTTP_JELOU_ABSENT) {

                if (ngx_http_jelou_value_decode(event->pool,
                                                &v[NGX_HTTP_JELOU_ITEM_ID],
                                                &text)
                    != NGX_OK)
                {
                    return NGX_ERROR;
                }

                ids->data = text.data;
                ids->len = (uint32_t) text.len;
                ids->index = (uint32_t) index;

                ids++;
                (*n)++;
            }

            v += NGX_HTTP_JELOU_ITEM_NVALUES;
        }
    }

    return NGX_OK;
}


/* By the text, and by the place if that is the same. */

static int ngx_libc_cdecl
ngx_http_jelou_cmp_ids(const void *one, const void *two)
{
    ngx_int_t                        rc;
    const ngx_http_jelou_item_id_t  *a, *b;

    a = one;
    b = two;

    rc = ngx_memn2cmp(a->data, b->data, a->len, b->len);

    if (rc == 0) {
        return a->index < b->index ? -1 : a->index > b->index;
    }

    return rc < 0 ? -1 : 1;
}


/* The case of a UUID's digits does not count (RFC 9562, section 4). */

static int ngx_libc_cdecl
ngx_http_jelou_cmp_uuids(const void *one, const void *two)
{
    size_t                           i;
    uint32_t                         x, y;
    const ngx_http_jelou_item_id_t  *a, *b;

    a = one;
    b = two;

    for (i = 0; i < NGX_HTTP_JELOU_UUID_LEN; i += sizeof(uint32_t)) {
        ngx_memcpy(&x, a->data + i, sizeof(uint32_t));
        ngx_memcpy(&y, b->data + i, sizeof(uint32_t));

        x |= 0x20202020;                 /* lower case, and no digit changes */
        y |= 0x20202020;

        if (x != y) {
            return x < y ? -1 : 1;
        }
    }

    return a->index < b->index ? -1 : a->index > b->index;
}


/* The ids that the module makes: not one before all else has been checked. */

ngx_int_t
ngx_http_jelou_items_name(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_schema_t *schema, ngx_log_t *log)
{
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_http_jelou_value_t  *v;

    if (!schema->endpoint->names_message) {
        return NGX_OK;
    }

    for (part = event->items ? &event->items->part : NULL; part;
         part = part->next)
    {
        v = part->elts;

        for (i = 0; i < part->nelts; i++, v += NGX_HTTP_JELOU_ITEM_NVALUES) {

            if (v[NGX_HTTP_JELOU_ITEM_ID].type == NGX_HTTP_JELOU_ABSENT
                && ngx_http_jelou_id_uuid(event->pool,
                                          &v[NGX_HTTP_JELOU_ITEM_ID])
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    if (ngx_http_jelou_id_random(event->random, NGX_HTTP_JELOU_RANDOM_LEN, log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_jelou_id_message(event->pool,
                                     &event->values[NGX_HTTP_JELOU_MESSAGE_ID],
                                     event->random);
}
