
/*
 * The one checker: an event against the tables of its endpoint.
 */


#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_items.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_text.h"


typedef struct {
    ngx_http_jelou_event_t             *event;
    ngx_http_jelou_schema_t            *schema;
    const ngx_http_jelou_variant_t     *variant;   /* NULL: none is known */
} ngx_http_jelou_check_t;


static ngx_uint_t ngx_http_jelou_is_conversation_event(
    ngx_http_jelou_check_t *check);
static void ngx_http_jelou_check_conversation(ngx_http_jelou_check_t *check);
static void ngx_http_jelou_check_members(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path);
static ngx_uint_t ngx_http_jelou_check_place(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *values,
    ngx_uint_t *required);
static const ngx_str_t *ngx_http_jelou_check_form(
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *value);
static void ngx_http_jelou_check_foreign(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path);
static void ngx_http_jelou_drop(const ngx_http_jelou_member_t *member,
    ngx_http_jelou_value_t *values);
static const ngx_str_t *ngx_http_jelou_check_value(
    ngx_http_jelou_check_t *check, const ngx_http_jelou_member_t *member,
    ngx_http_jelou_value_t *value);
static void ngx_http_jelou_check_absent(const ngx_http_jelou_member_t *member,
    ngx_http_jelou_value_t *values);
static const ngx_str_t *ngx_http_jelou_check_fixed(
    ngx_http_jelou_check_t *check, const ngx_http_jelou_member_t *member,
    ngx_str_t *text);
static const ngx_str_t *ngx_http_jelou_check_same(
    ngx_http_jelou_check_t *check, const ngx_http_jelou_member_t *member,
    ngx_str_t *text);
static const ngx_str_t *ngx_http_jelou_check_type(
    ngx_http_jelou_check_t *check, ngx_str_t *name,
    ngx_http_jelou_value_t *value);
static void ngx_http_jelou_check_text(ngx_http_jelou_check_t *check);
static void ngx_http_jelou_check_item(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *array, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path, void *data);


/* what a value of each JSON type is called in validationError */

static ngx_str_t  ngx_http_jelou_must_be[] = {
    ngx_null_string,
    ngx_string("must be a string"),
    ngx_string("must be a number"),
    ngx_null_string,
    ngx_string("must be an object"),
    ngx_string("must be an array")
};


ngx_int_t
ngx_http_jelou_check(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_log_t *log)
{
    ngx_int_t                         rc;
    ngx_http_jelou_check_t            check;
    ngx_http_jelou_shape_t            shape;
    const ngx_http_jelou_endpoint_t  *endpoint;

    endpoint = schema->endpoint;

    check.event = event;
    check.schema = schema;
    check.variant = NULL;

    event->kind = endpoint->kind;

    shape.object = event->kind->object;
    shape.exact = schema->strict && endpoint->conversation
                  ? endpoint->conversation->object : NULL;
    shape.strict = schema->strict;
    shape.item = ngx_http_jelou_check_item;
    shape.data = &check;

    rc = ngx_http_jelou_parse(event, &shape, log);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_HTTP_JELOU_INVALID_JSON : NGX_ERROR;
    }

    if (ngx_http_jelou_is_conversation_event(&check)) {
        ngx_http_jelou_check_conversation(&check);
    }

    ngx_http_jelou_check_members(&check, event->kind->object, event->values,
                                 &ngx_http_jelou_root);

    if (schema->text == NGX_HTTP_JELOU_TEXT_BODY
        || (schema->text && event->kind->identity))
    {
        ngx_http_jelou_check_text(&check);
    }

    if (event->failed) {
        return NGX_ERROR;
    }

    if (event->nviolations) {
        return NGX_HTTP_JELOU_INVALID_EVENT;
    }

    return ngx_http_jelou_items_name(event, schema, log);
}


/*
 * A body without "event_type" whose "event" begins with "conversation." is a
 * conversation event, right or wrong; any other one is to be a message.
 */

static ngx_uint_t
ngx_http_jelou_is_conversation_event(ngx_http_jelou_check_t *check)
{
    ngx_int_t                rc;
    ngx_str_t                name;
    ngx_http_jelou_value_t  *values;

    values = check->event->values;

    if (!check->schema->conversation
        || check->schema->endpoint->conversation == NULL
        || values[NGX_HTTP_JELOU_EVENT].type != NGX_HTTP_JELOU_STRING
        || values[NGX_HTTP_JELOU_EVENT_TYPE].type != NGX_HTTP_JELOU_ABSENT)
    {
        return 0;
    }

    rc = ngx_http_jelou_value_decode(check->event->pool,
                                     &values[NGX_HTTP_JELOU_EVENT], &name);

    if (rc == NGX_ERROR) {
        check->event->failed = 1;
    }

    return rc == NGX_OK && ngx_http_jelou_is_conversation(&name);
}


/*
 * The other members of a conversation event are not known here: none can be
 * wrong, and none is a value of the event, for nothing has checked it.
 */

static void
ngx_http_jelou_check_conversation(ngx_http_jelou_check_t *check)
{
    ngx_uint_t                      i, k;
    ngx_http_jelou_event_t         *event;
    const ngx_http_jelou_object_t  *known, *object;

    static ngx_str_t  varied = ngx_string("has a member whose name differs "
                                          "only in case from the schema's");

    event = check->event;

    known = check->schema->endpoint->conversation->object;
    object = check->schema->endpoint->kind->object;

    for (i = 0; i < object->nmembers; i++) {

        for (k = 0; k < known->nmembers; k++) {
            if (known->members[k].slot == object->members[i].slot) {
                break;
            }
        }

        if (k == known->nmembers) {
            ngx_http_jelou_drop(&object->members[i], event->values);
        }
    }

    event->kind = check->schema->endpoint->conversation;
    event->nviolations = 0;

    if (event->varied) {
        ngx_http_jelou_violation(event, &ngx_http_jelou_root, NULL, &varied);
    }
}


/* Checks the values of one object against its table. */

static void
ngx_http_jelou_check_members(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path)
{
    ngx_uint_t                      i, required;
    const ngx_str_t                *message;
    ngx_http_jelou_path_t           inner;
    ngx_http_jelou_value_t         *v;
    const ngx_http_jelou_member_t  *m;

    static ngx_str_t  missing = ngx_string("is required");

    for (i = 0; i < object->nmembers; i++) {
        m = &object->members[i];
        v = &values[m->slot];

        required = m->flags & NGX_HTTP_JELOU_REQUIRED;

        if ((m->flags & NGX_HTTP_JELOU_BY_TYPE)
            && !ngx_http_jelou_check_place(check, m, values, &required))
        {
            ngx_http_jelou_check_foreign(check, m, values, path);
            continue;
        }

        if (v->type == NGX_HTTP_JELOU_ABSENT) {
            message = required ? &missing : NULL;
            ngx_http_jelou_check_absent(m, values);

        } else {
            message = ngx_http_jelou_check_form(m, v);
        }

        inner.parent = path;
        inner.name = m->name;

        if (message == NULL && v->type == NGX_HTTP_JELOU_MEMBERS) {
            ngx_http_jelou_check_members(check, m->object, values, &inner);

        } else if (message == NULL && v->type != NGX_HTTP_JELOU_ABSENT) {
            message = ngx_http_jelou_check_value(check, m, v);
        }

        if (m->type == NGX_HTTP_JELOU_ARRAY && check->event->items) {
            ngx_http_jelou_items_unique(check->event, m, &inner);
        }

        if (message) {
            ngx_http_jelou_violation(check->event, path, &m->name, message);

            /* no id for others to be compared with */

            if (m->flags & NGX_HTTP_JELOU_UNIQUE) {
                v->type = NGX_HTTP_JELOU_ABSENT;
            }
        }
    }
}


/*
 * Whether a member that is BY_TYPE has a place here, and whether it must be
 * there: the message type decides.  As long as none is known, each that some
 * type has may be there, and is checked.
 */

static ngx_uint_t
ngx_http_jelou_check_place(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *values,
    ngx_uint_t *required)
{
    uint32_t                         bit;
    const ngx_http_jelou_variant_t  *t;

    if (member->flags & NGX_HTTP_JELOU_INSTEAD) {
        return check->schema->conversation
               && values[member->limit].type == NGX_HTTP_JELOU_ABSENT;
    }

    bit = ngx_http_jelou_bit(member->slot);
    t = check->variant;

    if (t) {
        *required = t->required & bit;

        return ((t->required | t->optional) & bit) != 0;
    }

    return ngx_http_jelou_type_any(check->schema->endpoint, bit);
}


/* What can be said of any member, wherever it stands. */

static const ngx_str_t *
ngx_http_jelou_check_form(const ngx_http_jelou_member_t *member,
    ngx_http_jelou_value_t *value)
{
    static ngx_str_t  repeated = ngx_string("must not be repeated");

    if (value->repeated) {
        return &repeated;
    }

    return value->type == member->type ? NULL
                                       : &ngx_http_jelou_must_be[member->type];
}


/*
 * A member that the message type does not have is left out.  It is read by
 * whoever reads the body, and must be one value of the right type all the
 * same.
 */

static void
ngx_http_jelou_check_foreign(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path)
{
    ngx_uint_t               i;
    const ngx_str_t         *message;
    ngx_http_jelou_path_t    inner;
    ngx_http_jelou_value_t  *v;

    static ngx_str_t  foreign =
                          ngx_string("is not a member of this message type");

    v = &values[member->slot];

    if (v->type == NGX_HTTP_JELOU_ABSENT) {
        return;
    }

    message = ngx_http_jelou_check_form(member, v);

    if (message == NULL && check->schema->strict) {
        message = &foreign;
    }

    if (message) {
        ngx_http_jelou_violation(check->event, path, &member->name, message);

    } else if (member->type == NGX_HTTP_JELOU_MEMBERS) {

        inner.parent = path;
        inner.name = member->name;

        for (i = 0; i < member->object->nmembers; i++) {
            ngx_http_jelou_check_foreign(check, &member->object->members[i],
                                         values, &inner);
        }
    }

    v->type = NGX_HTTP_JELOU_ABSENT;
}


static void
ngx_http_jelou_drop(const ngx_http_jelou_member_t *member,
    ngx_http_jelou_value_t *values)
{
    ngx_uint_t  i;

    values[member->slot].type = NGX_HTTP_JELOU_ABSENT;

    if (member->type != NGX_HTTP_JELOU_MEMBERS) {
        return;
    }

    for (i = 0; i < member->object->nmembers; i++) {
        ngx_http_jelou_drop(&member->object->members[i], values);
    }
}


static const ngx_str_t *
ngx_http_jelou_check_value(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *value)
{
    ngx_int_t   rc;
    ngx_str_t   text;
    ngx_uint_t  kind;

    static ngx_str_t  lone = ngx_string("must not have a lone surrogate");
    static ngx_str_t  storable = ngx_string("must not have U+0000 or a lone "
                                            "surrogate");

    if (check->schema->text && value->escaped
        && !ngx_http_jelou_text_storable(value->data,
                                         value->data + value->len))
    {
        return &storable;
    }

    if (member->rule && (member->flags & NGX_HTTP_JELOU_RAW)) {
        text.data = value->data;
        text.len = value->len;

        return member->rule(&text, member, check->schema);
    }

    kind = member->flags & (NGX_HTTP_JELOU_FIXED|NGX_HTTP_JELOU_TYPE
                            |NGX_HTTP_JELOU_SAME);

    if (kind == 0 && member->rule == NULL) {
        return NULL;
    }

    rc = ngx_http_jelou_value_decode(check->event->pool, value, &text);

    if (rc == NGX_ERROR) {
        check->event->failed = 1;
        return NULL;
    }

    if (rc == NGX_DECLINED) {
        return &lone;
    }

    switch (kind) {

    case 0:
        return member->rule(&text, member, check->schema);

    case NGX_HTTP_JELOU_TYPE:
        return ngx_http_jelou_check_type(check, &text, value);

    case NGX_HTTP_JELOU_FIXED:
        return ngx_http_jelou_check_fixed(check, member, &text);

    default: /* NGX_HTTP_JELOU_SAME */
        return ngx_http_jelou_check_same(check, member, &text);
    }
}


/* A member that is not there may have a value all the same. */

static void
ngx_http_jelou_check_absent(const ngx_http_jelou_member_t *member,
    ngx_http_jelou_value_t *values)
{
    ngx_http_jelou_value_t  *v;

    v = &values[member->slot];

    if (member->preset.len) {
        v->type = NGX_HTTP_JELOU_STRING;
        v->data = member->preset.data;
        v->len = (uint32_t) member->preset.len;

    } else if (member->type == NGX_HTTP_JELOU_MEMBERS
               && (member->flags & NGX_HTTP_JELOU_MADE))
    {
        /* its members are looked at next, and are preset themselves */

        v->type = NGX_HTTP_JELOU_MEMBERS;
    }
}


static const ngx_str_t *
ngx_http_jelou_check_fixed(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_str_t *text)
{
    ngx_http_jelou_fixed_t  *fixed;

    fixed = &check->schema->fixed[member->limit];

    return ngx_http_jelou_same(text, &fixed->value) ? NULL : &fixed->message;
}


static const ngx_str_t *
ngx_http_jelou_check_same(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_str_t *text)
{
    ngx_str_t  other;

    static ngx_str_t  message = ngx_string("must be the one in the path");

    if (ngx_http_jelou_value_decode(check->event->pool,
                                    &check->event->values[member->limit],
                                    &other)
        != NGX_OK)
    {
        check->event->failed = 1;
        return NULL;
    }

    return ngx_http_jelou_same(text, &other) ? NULL : &message;
}


/* Finds the message type, and puts the event's name for it into the value. */

static const ngx_str_t *
ngx_http_jelou_check_type(ngx_http_jelou_check_t *check, ngx_str_t *name,
    ngx_http_jelou_value_t *value)
{
    ngx_http_jelou_value_t           *items;
    const ngx_http_jelou_variant_t   *t;
    const ngx_http_jelou_endpoint_t  *endpoint;

    endpoint = check->schema->endpoint;
    items = &check->event->values[NGX_HTTP_JELOU_ITEMS];

    t = ngx_http_jelou_type_find(endpoint, name,
                                 items->type != NGX_HTTP_JELOU_ABSENT);
    if (t == NULL) {
        return &endpoint->types;
    }

    check->variant = t;
    check->event->types |= ngx_http_jelou_bit(t - endpoint->variants);

    value->data = t->type.data;
    value->len = (uint32_t) t->type.len;
    value->escaped = 0;

    return NULL;
}


/* In what is forwarded as a whole, strings are not looked at one by one. */

static void
ngx_http_jelou_check_text(ngx_http_jelou_check_t *check)
{
    ngx_str_t  *body;

    static ngx_str_t  message = ngx_string("must not have U+0000 or a lone "
                                           "surrogate anywhere");

    body = &check->event->body;

    if (!ngx_http_jelou_text_storable(body->data, body->data + body->len)) {
        ngx_http_jelou_violation(check->event, &ngx_http_jelou_root, NULL,
                                 &message);
    }
}


/*
 * Checks an item while the parser is at its end, and keeps its values.  Items
 * that are wrong are few, for the parser ends with the last violation that is
 * kept, and the others are larger than what is kept of them.
 */

static void
ngx_http_jelou_check_item(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *array, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path, void *data)
{
    ngx_http_jelou_check_t  *check = data;

    ngx_http_jelou_value_t          *item;
    const ngx_http_jelou_variant_t  *variant;

    if (event->items == NULL) {
        event->items = ngx_list_create(event->pool, 8,
                                       NGX_HTTP_JELOU_ITEM_NVALUES
                                       * sizeof(ngx_http_jelou_value_t));
        if (event->items == NULL) {
            event->failed = 1;
            return;
        }
    }

    item = ngx_list_push(event->items);
    if (item == NULL) {
        event->failed = 1;
        return;
    }

    if (values == NULL) {
        item[NGX_HTTP_JELOU_ITEM_ID].type = NGX_HTTP_JELOU_ABSENT;
        ngx_http_jelou_violation(event, path, NULL,
                              &ngx_http_jelou_must_be[NGX_HTTP_JELOU_MEMBERS]);
        return;
    }

    ngx_http_jelou_check_members(check, array->object, values, path);

    variant = check->variant;
    check->variant = NULL;

    if (variant && variant->to) {
        values[variant->to] = values[variant->move];
        values[variant->move].type = NGX_HTTP_JELOU_ABSENT;
    }

    ngx_memcpy(item, values,
               NGX_HTTP_JELOU_ITEM_NVALUES * sizeof(ngx_http_jelou_value_t));
}
