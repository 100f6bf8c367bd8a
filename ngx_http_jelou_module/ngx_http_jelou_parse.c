
/*
 * Bytes to event: the members that a table names are found in the body and
 * kept as the raw tokens that they are there.
 */


#include "ngx_http_jelou_parse.h"
#include "ngx_http_jelou_text.h"


/* longer than any name of the schema */

#define NGX_HTTP_JELOU_NAME_MAX  32


typedef struct {
    ngx_http_jelou_json_t     json;
    ngx_http_jelou_event_t   *event;
    ngx_http_jelou_shape_t   *shape;
    ngx_http_jelou_value_t    item[NGX_HTTP_JELOU_ITEM_NVALUES];
} ngx_http_jelou_parser_t;


static ngx_int_t ngx_http_jelou_parse_root(ngx_http_jelou_json_t *json,
    ngx_str_t *body);
static ngx_uint_t ngx_http_jelou_parse_is(ngx_http_jelou_value_t *name,
    const ngx_str_t *text);
static ngx_int_t ngx_http_jelou_parse_object(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path);
static const ngx_http_jelou_member_t *ngx_http_jelou_parse_find(
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *name,
    ngx_uint_t *next);
static ngx_int_t ngx_http_jelou_parse_value(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *value,
    ngx_http_jelou_value_t *values, const ngx_http_jelou_path_t *path);
static ngx_int_t ngx_http_jelou_parse_array(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *array,
    const ngx_http_jelou_path_t *path);
static ngx_int_t ngx_http_jelou_parse_item(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_member_t *array, ngx_http_jelou_value_t *value,
    const ngx_http_jelou_path_t *path);
static void ngx_http_jelou_parse_unknown(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_path_t *path, ngx_uint_t n);
static ngx_uint_t ngx_http_jelou_parse_varied(
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *name);
static size_t ngx_http_jelou_pointer(u_char *dst,
    const ngx_http_jelou_path_t *path, const ngx_str_t *name);


ngx_int_t
ngx_http_jelou_parse(ngx_http_jelou_event_t *event,
    ngx_http_jelou_shape_t *shape)
{
    ngx_int_t                rc;
    ngx_http_jelou_path_t    root;
    ngx_http_jelou_parser_t  p;

    p.event = event;
    p.shape = shape;

    rc = ngx_http_jelou_parse_root(&p.json, &event->body);

    if (rc == NGX_OK) {
        root.parent = NULL;
        rc = ngx_http_jelou_parse_object(&p, shape->object, event->values,
                                         &root);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_json_end(&p.json);
    }

    if (rc == NGX_DECLINED) {
        event->offset = p.json.pos - event->body.data;
        event->reason = p.json.reason;
    }

    return event->failed ? NGX_ERROR : rc;
}


ngx_int_t
ngx_http_jelou_parse_member(ngx_str_t *body, const ngx_str_t *name,
    ngx_http_jelou_value_t *value)
{
    ngx_int_t               rc;
    ngx_uint_t              first;
    ngx_http_jelou_json_t   json;
    ngx_http_jelou_value_t  key, v;

    value->type = NGX_HTTP_JELOU_ABSENT;

    rc = ngx_http_jelou_parse_root(&json, body);

    for (first = 1; rc == NGX_OK; first = 0) {
        rc = ngx_http_jelou_json_member(&json, first, &key);

        if (rc == NGX_DONE) {
            return ngx_http_jelou_json_end(&json);
        }

        if (rc == NGX_OK) {
            rc = ngx_http_jelou_json_value(&json, &v);
        }

        if (rc != NGX_OK) {
            break;
        }

        if ((key.len == name->len || key.escaped)
            && ngx_http_jelou_parse_is(&key, name))
        {
            if (value->type == NGX_HTTP_JELOU_ABSENT) {
                *value = v;

            } else {
                value->repeated = 1;
            }
        }

        rc = ngx_http_jelou_json_skip(&json, &v);
    }

    return rc;
}


static ngx_int_t
ngx_http_jelou_parse_root(ngx_http_jelou_json_t *json, ngx_str_t *body)
{
    u_char                  *p, *last;
    ngx_int_t                rc;
    ngx_http_jelou_value_t   root;

    last = body->data + body->len;

    ngx_http_jelou_json_init(json, body->data, last);

    p = ngx_http_jelou_text_check(body->data, last);

    if (p) {
        json->pos = p;
        json->reason = "malformed UTF-8 or a control character";
        return NGX_DECLINED;
    }

    rc = ngx_http_jelou_json_value(json, &root);

    if (rc == NGX_OK && root.type != NGX_HTTP_JELOU_MEMBERS) {
        json->pos = root.data;
        json->reason = "not an object";
        return NGX_DECLINED;
    }

    return rc;
}


static ngx_uint_t
ngx_http_jelou_parse_is(ngx_http_jelou_value_t *name, const ngx_str_t *text)
{
    u_char  decoded[NGX_HTTP_JELOU_NAME_MAX];

    if (name->escaped) {
        return ngx_http_jelou_json_name(name, decoded, sizeof(decoded))
               == text->len
               && ngx_memcmp(decoded, text->data, text->len) == 0;
    }

    return ngx_memcmp(name->data, text->data, text->len) == 0;
}


static ngx_int_t
ngx_http_jelou_parse_object(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path)
{
    ngx_int_t                       rc;
    ngx_uint_t                      first, next, unknown;
    ngx_http_jelou_value_t          name, value;
    const ngx_http_jelou_member_t  *member;

    next = 0;
    unknown = 0;

    for (first = 1; /* void */ ; first = 0) {
        rc = ngx_http_jelou_json_member(&p->json, first, &name);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc == NGX_OK) {
            rc = ngx_http_jelou_json_value(&p->json, &value);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        member = ngx_http_jelou_parse_find(object, &name, &next);

        if (member) {
            rc = ngx_http_jelou_parse_value(p, member, &value, values, path);

        } else {
            unknown++;

            if (path->parent == NULL && p->shape->exact) {
                p->event->varied |=
                         ngx_http_jelou_parse_varied(p->shape->exact, &name);
            }

            rc = ngx_http_jelou_json_skip(&p->json, &value);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (unknown && p->shape->strict) {
        ngx_http_jelou_parse_unknown(p->event, path, unknown);
    }

    return NGX_OK;
}


/* Most senders write the members in the order of the schema. */

static const ngx_http_jelou_member_t *
ngx_http_jelou_parse_find(const ngx_http_jelou_object_t *object,
    ngx_http_jelou_value_t *name, ngx_uint_t *next)
{
    u_char                          text[NGX_HTTP_JELOU_NAME_MAX], *data;
    size_t                          len;
    ngx_uint_t                      i, n;
    const ngx_http_jelou_member_t  *m;

    data = name->data;
    len = name->len;

    if (name->escaped) {
        data = text;
        len = ngx_http_jelou_json_name(name, text, sizeof(text));
    }

    for (n = object->nmembers, i = *next; n; n--, i++) {

        if (i >= object->nmembers) {
            i = 0;
        }

        m = &object->members[i];

        if (len == m->name.len
            && ngx_memcmp(data, m->name.data, m->name.len) == 0)
        {
            *next = i + 1;
            return m;
        }
    }

    return NULL;
}


/* Keeps the first value of a member, and reads the rest of any. */

static ngx_int_t
ngx_http_jelou_parse_value(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *value,
    ngx_http_jelou_value_t *values, const ngx_http_jelou_path_t *path)
{
    ngx_http_jelou_path_t    inner;
    ngx_http_jelou_value_t  *v;

    v = &values[member->slot];

    if (v->type != NGX_HTTP_JELOU_ABSENT) {
        v->repeated = 1;
        return ngx_http_jelou_json_skip(&p->json, value);
    }

    *v = *value;

    if (member->object == NULL || value->type != member->type) {
        return ngx_http_jelou_json_skip(&p->json, value);
    }

    inner.parent = path;
    inner.name = member->name;

    if (value->type == NGX_HTTP_JELOU_MEMBERS) {
        return ngx_http_jelou_parse_object(p, member->object, values, &inner);
    }

    return ngx_http_jelou_parse_array(p, member, v, &inner);
}


static ngx_int_t
ngx_http_jelou_parse_array(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *array,
    const ngx_http_jelou_path_t *path)
{
    ngx_int_t               rc;
    ngx_uint_t              first;
    ngx_http_jelou_path_t   item;
    ngx_http_jelou_value_t  value;

    item.parent = path;
    ngx_str_null(&item.name);

    for (first = 1; /* void */ ; first = 0) {
        rc = ngx_http_jelou_json_item(&p->json, first);

        if (rc == NGX_DONE) {
            return NGX_OK;
        }

        if (rc == NGX_OK) {
            rc = ngx_http_jelou_json_value(&p->json, &value);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        item.index = array->len++;

        /* once the verdict and all that is said of it is clear, no work */

        if (p->event->nviolations == NGX_HTTP_JELOU_MAX_VIOLATIONS
            || (member->limit && item.index >= member->limit))
        {
            rc = ngx_http_jelou_json_skip(&p->json, &value);

        } else {
            rc = ngx_http_jelou_parse_item(p, member, &value, &item);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_http_jelou_parse_item(ngx_http_jelou_parser_t *p,
    const ngx_http_jelou_member_t *array, ngx_http_jelou_value_t *value,
    const ngx_http_jelou_path_t *path)
{
    ngx_int_t                rc;
    ngx_http_jelou_value_t  *values;

    if (value->type == NGX_HTTP_JELOU_MEMBERS) {
        values = p->item;
        ngx_memzero(values, sizeof(p->item));

        rc = ngx_http_jelou_parse_object(p, array->object, values, path);

    } else {
        values = NULL;
        rc = ngx_http_jelou_json_skip(&p->json, value);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    p->shape->item(p->event, array, values, path, p->shape->data);

    return p->event->failed ? NGX_ERROR : NGX_OK;
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
    ngx_http_jelou_value_t *name)
{
    size_t            n;
    u_char           *p, *last;
    uint32_t          c;
    ngx_uint_t        i;
    const ngx_str_t  *text;

    last = name->data + name->len;

    for (i = 0; i < object->nmembers; i++) {
        text = &object->members[i].name;
        p = name->data;

        for (n = 0; n < text->len && p < last; n++) {
            c = ngx_http_jelou_text_next(&p, last);

            c = (c == 0x17f) ? 's' : (c == 0x212a) ? 'k'
                : (c >= 'A' && c <= 'Z') ? (c | 0x20) : c;

            if (c != ngx_tolower(text->data[n])) {
                break;
            }
        }

        if (n == text->len && p == last) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_jelou_violation(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_path_t *path, const ngx_str_t *name,
    const ngx_str_t *message)
{
    ngx_str_t                    pointer;
    ngx_uint_t                   i;
    ngx_http_jelou_violation_t  *v;

    if (event->nviolations == NGX_HTTP_JELOU_MAX_VIOLATIONS || event->failed) {
        return;
    }

    if (event->violations == NULL) {
        event->violations = ngx_palloc(event->pool,
                                       NGX_HTTP_JELOU_MAX_VIOLATIONS
                                       * sizeof(ngx_http_jelou_violation_t));
        if (event->violations == NULL) {
            event->failed = 1;
            return;
        }
    }

    pointer.len = ngx_http_jelou_pointer(NULL, path, name);
    pointer.data = ngx_pnalloc(event->pool, pointer.len + 1);

    if (pointer.data == NULL) {
        event->failed = 1;
        return;
    }

    (void) ngx_http_jelou_pointer(pointer.data, path, name);

    for (i = 0; i < event->nviolations; i++) {
        v = &event->violations[i];

        if (v->pointer.len == pointer.len
            && ngx_memcmp(v->pointer.data, pointer.data, pointer.len) == 0)
        {
            return;
        }
    }

    v = &event->violations[event->nviolations++];

    v->pointer = pointer;
    v->message = *message;
}


/*
 * Writes the pointer (RFC 6901) to path, which for the root is empty, and to
 * its member.  No name of the schema has a character to escape.  Returns the
 * length.
 */

static size_t
ngx_http_jelou_pointer(u_char *dst, const ngx_http_jelou_path_t *path,
    const ngx_str_t *name)
{
    size_t     n;
    u_char     text[NGX_INT_T_LEN];
    ngx_str_t  index;

    n = 0;

    if (path->parent) {

        if (path->name.len) {
            n = ngx_http_jelou_pointer(dst, path->parent, &path->name);

        } else {
            index.data = text;
            index.len = ngx_sprintf(text, "%ui", path->index) - text;

            n = ngx_http_jelou_pointer(dst, path->parent, &index);
        }
    }

    if (name) {

        if (dst) {
            dst[n] = '/';
            ngx_memcpy(dst + n + 1, name->data, name->len);
        }

        n += 1 + name->len;
    }

    return n;
}
