
/*
 * Bytes to event, over yajl: the members that a table names are found in the
 * body and kept as the raw tokens that they are there.
 */


#include "ngx_http_jelou_parse.h"


/* an object or an array that the schema has */

typedef struct {
    ngx_http_jelou_path_t           path;
    const ngx_http_jelou_object_t  *object;    /* NULL: this is an array */
    const ngx_http_jelou_member_t  *member;    /* of the last key, or NULL; the
                                                  array's */
    ngx_http_jelou_value_t         *values;    /* the array's is its only one */
    ngx_uint_t                      next;      /* the member expected next */
    ngx_uint_t                      unknown;   /* members outside the schema */
} ngx_http_jelou_frame_t;


typedef struct {
    ngx_http_jelou_yajl_t           yajl;
    ngx_http_jelou_event_t         *event;
    ngx_http_jelou_shape_t         *shape;
    ngx_http_jelou_frame_t         *frame;     /* the innermost open one */
    ngx_uint_t                      skip;      /* what is open in it and that
                                                  the schema does not have */
    const unsigned char            *key;       /* behind the last one that was
                                                  wanted, as yajl gave it */
    ngx_http_jelou_value_t          item[NGX_HTTP_JELOU_ITEM_NVALUES];
    ngx_http_jelou_frame_t          frames[NGX_HTTP_JELOU_MAX_DEPTH];
} ngx_http_jelou_parser_t;


static int ngx_http_jelou_parse_null(void *data);
static int ngx_http_jelou_parse_boolean(void *data, int boolean);
static int ngx_http_jelou_parse_number(void *data, const char *number,
    size_t len);
static int ngx_http_jelou_parse_string(void *data, const unsigned char *string,
    size_t len);
static int ngx_http_jelou_parse_start_map(void *data);
static int ngx_http_jelou_parse_key(void *data, const unsigned char *key,
    size_t len);
static int ngx_http_jelou_parse_end_map(void *data);
static int ngx_http_jelou_parse_start_array(void *data);
static int ngx_http_jelou_parse_end_array(void *data);

static int ngx_http_jelou_parse_scalar(ngx_http_jelou_parser_t *p,
    ngx_uint_t type, ngx_http_jelou_value_t **value);
static ngx_http_jelou_value_t *ngx_http_jelou_parse_keep(
    ngx_http_jelou_frame_t *f, ngx_uint_t type);
static int ngx_http_jelou_parse_open(ngx_http_jelou_parser_t *p,
    ngx_uint_t type);
static void ngx_http_jelou_parse_enter(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *values);
static ngx_uint_t ngx_http_jelou_parse_next_item(ngx_http_jelou_parser_t *p,
    ngx_uint_t *index);
static int ngx_http_jelou_parse_item(ngx_http_jelou_parser_t *p,
    ngx_http_jelou_value_t *values, const ngx_http_jelou_path_t *path);

static void ngx_http_jelou_parse_unknown(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_path_t *path, ngx_uint_t n);
static ngx_uint_t ngx_http_jelou_parse_varied(
    const ngx_http_jelou_object_t *object, const unsigned char *key,
    size_t len);


static const yajl_callbacks  ngx_http_jelou_parse_callbacks = {
    ngx_http_jelou_parse_null,
    ngx_http_jelou_parse_boolean,
    NULL,                                  /* integer */
    NULL,                                  /* double */
    ngx_http_jelou_parse_number,
    ngx_http_jelou_parse_string,
    ngx_http_jelou_parse_start_map,
    ngx_http_jelou_parse_key,
    ngx_http_jelou_parse_end_map,
    ngx_http_jelou_parse_start_array,
    ngx_http_jelou_parse_end_array
};


ngx_int_t
ngx_http_jelou_parse(ngx_http_jelou_event_t *event,
    ngx_http_jelou_shape_t *shape, ngx_log_t *log)
{
    ngx_int_t                rc;
    ngx_http_jelou_parser_t  p;

    p.yajl.body = event->body;
    p.event = event;
    p.shape = shape;
    p.frame = NULL;
    p.skip = 0;
    p.key = NULL;

    rc = ngx_http_jelou_yajl_parse(&p.yajl, &ngx_http_jelou_parse_callbacks,
                                   &p, log);

    if (rc == NGX_DECLINED) {
        event->offset = p.yajl.offset;
        event->reason = p.yajl.reason;
    }

    return event->failed ? NGX_ERROR : rc;
}


static int
ngx_http_jelou_parse_null(void *data)
{
    ngx_http_jelou_value_t  *value;

    return ngx_http_jelou_parse_scalar(data, NGX_HTTP_JELOU_LITERAL, &value);
}


static int
ngx_http_jelou_parse_boolean(void *data, int boolean)
{
    return ngx_http_jelou_parse_null(data);
}


static int
ngx_http_jelou_parse_number(void *data, const char *number, size_t len)
{
    ngx_http_jelou_value_t  *value;

    if (!ngx_http_jelou_parse_scalar(data, NGX_HTTP_JELOU_NUMBER, &value)) {
        return 0;
    }

    if (value) {
        value->data = (u_char *) number;
        value->len = (uint32_t) len;
    }

    return 1;
}


static int
ngx_http_jelou_parse_string(void *data, const unsigned char *string,
    size_t len)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_str_t                token;
    ngx_http_jelou_value_t  *value;

    if (!ngx_http_jelou_parse_scalar(p, NGX_HTTP_JELOU_STRING, &value)) {
        return 0;
    }

    if (value == NULL) {
        return 1;
    }

    token.data = (u_char *) string;
    token.len = len;

    if (!ngx_http_jelou_yajl_as_is(&p->yajl, string)) {
        ngx_http_jelou_yajl_token(&p->yajl, p->key, &token);
        value->escaped = 1;
    }

    value->data = token.data;
    value->len = (uint32_t) token.len;

    return 1;
}


static int
ngx_http_jelou_parse_start_map(void *data)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_uint_t               index;
    ngx_http_jelou_frame_t  *f;

    if (!ngx_http_jelou_yajl_open(&p->yajl)) {
        return 0;
    }

    f = p->frame;

    if (f == NULL) {
        ngx_http_jelou_parse_enter(p, p->shape->object, p->event->values);
        return 1;
    }

    if (p->skip || f->object) {
        return ngx_http_jelou_parse_open(p, NGX_HTTP_JELOU_MEMBERS);
    }

    if (!ngx_http_jelou_parse_next_item(p, &index)) {
        p->skip = 1;
        return 1;
    }

    ngx_memzero(p->item, sizeof(p->item));
    ngx_http_jelou_parse_enter(p, f->member->object, p->item);

    ngx_str_null(&p->frame->path.name);
    p->frame->path.index = index;

    return 1;
}


static int
ngx_http_jelou_parse_key(void *data, const unsigned char *key, size_t len)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_uint_t                      i, n;
    ngx_http_jelou_frame_t         *f;
    const ngx_http_jelou_member_t  *m;

    if (p->skip) {
        return 1;
    }

    f = p->frame;

    /* most senders write the members in the order of the schema */

    for (n = f->object->nmembers, i = f->next; n; n--, i++) {

        if (i >= f->object->nmembers) {
            i = 0;
        }

        m = &f->object->members[i];

        if (m->name.len == len && ngx_memcmp(m->name.data, key, len) == 0) {
            f->member = m;
            f->next = i + 1;
            p->key = key + len;
            return 1;
        }
    }

    f->member = NULL;
    f->unknown++;

    if (f == p->frames && p->shape->exact) {
        p->event->varied |= ngx_http_jelou_parse_varied(p->shape->exact, key,
                                                        len);
    }

    return 1;
}


static int
ngx_http_jelou_parse_end_map(void *data)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_http_jelou_frame_t  *f;

    ngx_http_jelou_yajl_close(&p->yajl);

    if (p->skip) {
        p->skip--;
        return 1;
    }

    f = p->frame;

    if (f->unknown && p->shape->strict) {
        ngx_http_jelou_parse_unknown(p->event, &f->path, f->unknown);
    }

    if (f == p->frames) {
        return 1;
    }

    p->frame--;

    if (p->frame->object) {
        return 1;
    }

    return ngx_http_jelou_parse_item(p, p->item, &f->path);
}


static int
ngx_http_jelou_parse_start_array(void *data)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_http_jelou_value_t  *value;

    if (!ngx_http_jelou_yajl_open(&p->yajl)) {
        return 0;
    }

    if (p->skip || (p->frame && p->frame->object)) {
        return ngx_http_jelou_parse_open(p, NGX_HTTP_JELOU_ARRAY);
    }

    if (!ngx_http_jelou_parse_scalar(p, NGX_HTTP_JELOU_ARRAY, &value)) {
        return 0;
    }

    p->skip = 1;

    return 1;
}


static int
ngx_http_jelou_parse_end_array(void *data)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_http_jelou_yajl_close(&p->yajl);

    if (p->skip) {
        p->skip--;

    } else {
        p->frame--;
    }

    return 1;
}


/*
 * A value that has nothing in it, or nothing that is wanted.  Sets *value to
 * where it belongs, or to NULL if nobody asks for it.  Returns 0 if it must not
 * be here at all.
 */

static int
ngx_http_jelou_parse_scalar(ngx_http_jelou_parser_t *p, ngx_uint_t type,
    ngx_http_jelou_value_t **value)
{
    ngx_http_jelou_path_t    item;
    ngx_http_jelou_frame_t  *f;

    *value = NULL;

    if (p->skip) {
        return 1;
    }

    f = p->frame;

    if (f == NULL) {
        p->yajl.reason = "not an object";
        return 0;
    }

    if (f->object) {

        if (f->member) {
            *value = ngx_http_jelou_parse_keep(f, type);
        }

        return 1;
    }

    if (!ngx_http_jelou_parse_next_item(p, &item.index)) {
        return 1;
    }

    item.parent = &f->path;
    ngx_str_null(&item.name);

    return ngx_http_jelou_parse_item(p, NULL, &item);
}


/* Of a member that is repeated, the first value is kept. */

static ngx_http_jelou_value_t *
ngx_http_jelou_parse_keep(ngx_http_jelou_frame_t *f, ngx_uint_t type)
{
    ngx_http_jelou_value_t  *value;

    value = &f->values[f->member->slot];

    if (value->type != NGX_HTTP_JELOU_ABSENT) {
        value->repeated = 1;
        return NULL;
    }

    value->type = (uint8_t) type;

    return value;
}


/* An object or an array begins that is a member's value or is skipped. */

static int
ngx_http_jelou_parse_open(ngx_http_jelou_parser_t *p, ngx_uint_t type)
{
    ngx_http_jelou_frame_t         *f;
    ngx_http_jelou_value_t         *value;
    const ngx_http_jelou_member_t  *m;

    f = p->frame;
    m = p->skip ? NULL : f->member;

    value = m ? ngx_http_jelou_parse_keep(f, type) : NULL;

    if (value == NULL || m->object == NULL || m->type != type) {
        p->skip++;
        return 1;
    }

    if (type == NGX_HTTP_JELOU_MEMBERS) {
        ngx_http_jelou_parse_enter(p, m->object, f->values);

    } else {
        ngx_http_jelou_parse_enter(p, NULL, value);
        p->frame->member = m;
    }

    p->frame->path.name = m->name;

    return 1;
}


static void
ngx_http_jelou_parse_enter(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *values)
{
    ngx_http_jelou_frame_t  *f;

    f = p->frame ? p->frame + 1 : p->frames;

    f->path.parent = p->frame ? &p->frame->path : NULL;
    f->object = object;
    f->member = NULL;
    f->values = values;
    f->next = 0;
    f->unknown = 0;

    p->frame = f;
}


/*
 * Counts an item of the array that is open.  Returns 0 if it need not be looked
 * at: the verdict, and all that is said of it, is clear.
 */

static ngx_uint_t
ngx_http_jelou_parse_next_item(ngx_http_jelou_parser_t *p, ngx_uint_t *index)
{
    ngx_http_jelou_frame_t  *f;

    f = p->frame;

    *index = f->values->len++;

    return p->event->nviolations < NGX_HTTP_JELOU_MAX_VIOLATIONS
           && (f->member->limit == 0 || *index < f->member->limit);
}


static int
ngx_http_jelou_parse_item(ngx_http_jelou_parser_t *p,
    ngx_http_jelou_value_t *values, const ngx_http_jelou_path_t *path)
{
    p->shape->item(p->event, p->frame->member, values, path, p->shape->data);

    return !p->event->failed;
}


/*
 * The names of members outside the schema are the sender's: what is said is
 * how many there are, and where.
 */

static void
ngx_http_jelou_parse_unknown(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_path_t *path, ngx_uint_t n)
{
    ngx_str_t  message;

    if (event->nviolations == NGX_HTTP_JELOU_MAX_VIOLATIONS) {
        return;
    }

    message.data = ngx_pnalloc(event->pool,
                               sizeof("has  members outside the schema")
                               + NGX_INT_T_LEN);
    if (message.data == NULL) {
        event->failed = 1;
        return;
    }

    message.len = ngx_sprintf(message.data, "has %ui member%s outside the "
                              "schema", n, n == 1 ? "" : "s")
                  - message.data;

    ngx_http_jelou_violation(event, path, NULL, &message);
}


/*
 * Decoders that do not tell upper from lower case take such a name for the
 * member itself: those that follow Unicode also U+017F for an "s" and U+212A
 * for a "k".
 */

static ngx_uint_t
ngx_http_jelou_parse_varied(const ngx_http_jelou_object_t *object,
    const unsigned char *key, size_t len)
{
    size_t                n, size;
    u_char                c;
    ngx_uint_t            i;
    const ngx_str_t      *name;
    const unsigned char  *p, *last;

    last = key + len;

    for (i = 0; i < object->nmembers; i++) {
        name = &object->members[i].name;
        p = key;

        for (n = 0; n < name->len && p < last; n++) {
            c = ngx_tolower(*p);
            size = 1;

            if (last - p >= 2 && ngx_memcmp(p, "\xc5\xbf", 2) == 0) {
                c = 's';
                size = 2;
            }

            if (last - p >= 3 && ngx_memcmp(p, "\xe2\x84\xaa", 3) == 0) {
                c = 'k';
                size = 3;
            }

            if (c != ngx_tolower(name->data[n])) {
                break;
            }

            p += size;
        }

        if (n == name->len && p == last) {
            return 1;
        }
    }

    return 0;
}
