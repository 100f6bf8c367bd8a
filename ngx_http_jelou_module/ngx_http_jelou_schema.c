
/*
 * The endpoints as data: tables of members, types and rules, and the one
 * checker that reads them.
 */


#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_text.h"


/* the flags of a member */

#define NGX_HTTP_JELOU_REQUIRED    0x01
#define NGX_HTTP_JELOU_FIXED       0x02    /* the configuration's value, whose
                                              index is the limit */
#define NGX_HTTP_JELOU_TYPE        0x04    /* names the message type */
#define NGX_HTTP_JELOU_BY_TYPE     0x08    /* the message type tells */

#define NGX_HTTP_JELOU_ID_MAX      256


#define ngx_http_jelou_bit(slot)   ((uint32_t) 1 << (slot))

#define ngx_http_jelou_members(m)                                             \
    { m, sizeof(m) / sizeof(ngx_http_jelou_member_t) }


typedef struct {
    ngx_http_jelou_event_t             *event;
    ngx_http_jelou_schema_t            *schema;
} ngx_http_jelou_check_t;


static void ngx_http_jelou_check_members(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_variant_t **variant,
    const ngx_http_jelou_path_t *path);
static const ngx_str_t *ngx_http_jelou_check_value(
    ngx_http_jelou_check_t *check, const ngx_http_jelou_member_t *member,
    ngx_http_jelou_value_t *value, const ngx_http_jelou_variant_t **variant);
static const ngx_str_t *ngx_http_jelou_check_type(
    ngx_http_jelou_check_t *check, ngx_str_t *name,
    ngx_http_jelou_value_t *value, const ngx_http_jelou_variant_t **variant);
static void ngx_http_jelou_check_item(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *array, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path, void *data);

static const ngx_str_t *ngx_http_jelou_rule_id(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);
static const ngx_str_t *ngx_http_jelou_rule_https(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);
static const ngx_str_t *ngx_http_jelou_rule_mime_type(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);
static ngx_uint_t ngx_http_jelou_blank(ngx_str_t *value);
static u_char *ngx_http_jelou_token(u_char *p, u_char *last);


/* what a value of each JSON type is called in validationError */

static ngx_str_t  ngx_http_jelou_must_be[] = {
    ngx_null_string,
    ngx_string("must be a string"),
    ngx_string("must be a number"),
    ngx_null_string,
    ngx_string("must be an object"),
    ngx_string("must be an array")
};


/* a message's content, in incoming_message and in message */

static const ngx_http_jelou_member_t  ngx_http_jelou_content[] = {

    { ngx_string("body"), NGX_HTTP_JELOU_BODY, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_BY_TYPE, NULL, NULL, 0 },

    { ngx_string("url"), NGX_HTTP_JELOU_URL, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_BY_TYPE, ngx_http_jelou_rule_https, NULL, 0 },

    { ngx_string("mime_type"), NGX_HTTP_JELOU_MIME_TYPE,
      NGX_HTTP_JELOU_STRING, NGX_HTTP_JELOU_BY_TYPE,
      ngx_http_jelou_rule_mime_type, NULL, 0 },

    { ngx_string("caption"), NGX_HTTP_JELOU_CAPTION, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_BY_TYPE, NULL, NULL, 0 },

    { ngx_string("filename"), NGX_HTTP_JELOU_FILENAME, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_BY_TYPE, NULL, NULL, 0 }
};

static const ngx_http_jelou_object_t  ngx_http_jelou_content_object =
    ngx_http_jelou_members(ngx_http_jelou_content);


static const ngx_http_jelou_member_t  ngx_http_jelou_value[] = {

    { ngx_string("id"), NGX_HTTP_JELOU_MESSAGE_ID, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_REQUIRED, ngx_http_jelou_rule_id, NULL, 0 },

    { ngx_string("type"), NGX_HTTP_JELOU_MESSAGE_TYPE, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_TYPE, NULL, NULL, 0 },

    { ngx_string("content"), NGX_HTTP_JELOU_CONTENT, NGX_HTTP_JELOU_MEMBERS,
      NGX_HTTP_JELOU_REQUIRED, NULL, &ngx_http_jelou_content_object, 0 }
};

static const ngx_http_jelou_object_t  ngx_http_jelou_value_object =
    ngx_http_jelou_members(ngx_http_jelou_value);


#define NGX_HTTP_JELOU_MEDIA  (ngx_http_jelou_bit(NGX_HTTP_JELOU_URL)         \
                               |ngx_http_jelou_bit(NGX_HTTP_JELOU_MIME_TYPE))

static const ngx_http_jelou_variant_t  ngx_http_jelou_value_types[] = {

    { ngx_string("text"), ngx_string("text"),
      ngx_http_jelou_bit(NGX_HTTP_JELOU_BODY), 0, 0, 0 },

    { ngx_string("image"), ngx_string("image"), NGX_HTTP_JELOU_MEDIA,
      ngx_http_jelou_bit(NGX_HTTP_JELOU_CAPTION), 0, 0 },

    { ngx_string("video"), ngx_string("video"), NGX_HTTP_JELOU_MEDIA,
      ngx_http_jelou_bit(NGX_HTTP_JELOU_CAPTION), 0, 0 },

    { ngx_string("audio"), ngx_string("audio"), NGX_HTTP_JELOU_MEDIA,
      0, 0, 0 },

    { ngx_string("document"), ngx_string("document"), NGX_HTTP_JELOU_MEDIA,
      ngx_http_jelou_bit(NGX_HTTP_JELOU_FILENAME), 0, 0 }
};


#define ngx_http_jelou_piece(text, what, slot)                                \
    { ngx_string(text), NGX_HTTP_JELOU_PIECE_##what, slot, NULL }

#define ngx_http_jelou_end()                                                  \
    { ngx_null_string, NGX_HTTP_JELOU_PIECE_END, 0, NULL }

/* the pieces that several events share */

#define NGX_HTTP_JELOU_FIXED_PIECES                                           \
    ngx_http_jelou_piece("{\"field\":", FIXED, NGX_HTTP_JELOU_FIXED_FIELD),   \
    ngx_http_jelou_piece(",\"object\":", FIXED,                               \
                         NGX_HTTP_JELOU_FIXED_OBJECT),                        \
    ngx_http_jelou_piece(",\"event_type\":", FIXED,                           \
                         NGX_HTTP_JELOU_FIXED_EVENT_TYPE)

#define NGX_HTTP_JELOU_VALUE_PIECES                                           \
    ngx_http_jelou_piece(",\"value\":{\"id\":", STRING,                       \
                         NGX_HTTP_JELOU_MESSAGE_ID),                          \
    ngx_http_jelou_piece(",\"type\":", STRING, NGX_HTTP_JELOU_MESSAGE_TYPE),  \
    ngx_http_jelou_piece(",\"content\":{", TEXT, 0),                          \
    ngx_http_jelou_piece("\"body\":", STRING, NGX_HTTP_JELOU_BODY),           \
    ngx_http_jelou_piece("\"url\":", STRING, NGX_HTTP_JELOU_URL),             \
    ngx_http_jelou_piece(",\"mime_type\":", STRING,                           \
                         NGX_HTTP_JELOU_MIME_TYPE),                           \
    ngx_http_jelou_piece(",\"caption\":", STRING, NGX_HTTP_JELOU_CAPTION),    \
    ngx_http_jelou_piece(",\"filename\":", STRING, NGX_HTTP_JELOU_FILENAME),  \
    ngx_http_jelou_piece("}}}", TEXT, 0),                                     \
    ngx_http_jelou_end()


/* incoming_message: an external provider's message to the end user */

static const ngx_http_jelou_member_t  ngx_http_jelou_incoming[] = {

    { ngx_string("field"), NGX_HTTP_JELOU_FIELD, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_FIXED, NULL, NULL,
      NGX_HTTP_JELOU_FIXED_FIELD },

    { ngx_string("object"), NGX_HTTP_JELOU_OBJECT, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_FIXED, NULL, NULL,
      NGX_HTTP_JELOU_FIXED_OBJECT },

    { ngx_string("event_type"), NGX_HTTP_JELOU_EVENT_TYPE,
      NGX_HTTP_JELOU_STRING, NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_FIXED,
      NULL, NULL, NGX_HTTP_JELOU_FIXED_EVENT_TYPE },

    { ngx_string("project_id"), NGX_HTTP_JELOU_PROJECT_ID,
      NGX_HTTP_JELOU_STRING, NGX_HTTP_JELOU_REQUIRED, ngx_http_jelou_rule_id,
      NULL, 0 },

    { ngx_string("room_id"), NGX_HTTP_JELOU_ROOM_ID, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_REQUIRED, ngx_http_jelou_rule_id, NULL, 0 },

    { ngx_string("bot_id"), NGX_HTTP_JELOU_BOT_ID, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_REQUIRED, ngx_http_jelou_rule_id, NULL, 0 },

    { ngx_string("user_id"), NGX_HTTP_JELOU_USER_ID, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_REQUIRED, ngx_http_jelou_rule_id, NULL, 0 },

    { ngx_string("value"), NGX_HTTP_JELOU_VALUE, NGX_HTTP_JELOU_MEMBERS,
      NGX_HTTP_JELOU_REQUIRED, NULL, &ngx_http_jelou_value_object, 0 }
};

static const ngx_http_jelou_object_t  ngx_http_jelou_incoming_object =
    ngx_http_jelou_members(ngx_http_jelou_incoming);

static const ngx_http_jelou_piece_t  ngx_http_jelou_incoming_pieces[] = {
    NGX_HTTP_JELOU_FIXED_PIECES,
    ngx_http_jelou_piece(",\"project_id\":", STRING,
                         NGX_HTTP_JELOU_PROJECT_ID),
    ngx_http_jelou_piece(",\"room_id\":", STRING, NGX_HTTP_JELOU_ROOM_ID),
    ngx_http_jelou_piece(",\"bot_id\":", STRING, NGX_HTTP_JELOU_BOT_ID),
    ngx_http_jelou_piece(",\"user_id\":", STRING, NGX_HTTP_JELOU_USER_ID),
    NGX_HTTP_JELOU_VALUE_PIECES
};


const ngx_http_jelou_endpoint_t  ngx_http_jelou_endpoints[] = {

    { ngx_string("incoming_message"),
      &ngx_http_jelou_incoming_object,
      ngx_http_jelou_value_types,
      sizeof(ngx_http_jelou_value_types) / sizeof(ngx_http_jelou_variant_t),
      ngx_string("must be one of text, image, video, audio, document"),
      ngx_http_jelou_incoming_pieces,
      1 },

    { ngx_null_string, NULL, NULL, 0, ngx_null_string, NULL, 0 }
};


ngx_int_t
ngx_http_jelou_check(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_log_t *log)
{
    ngx_int_t               rc;
    ngx_http_jelou_path_t   root;
    ngx_http_jelou_check_t  check;
    ngx_http_jelou_shape_t  shape;

    check.event = event;
    check.schema = schema;

    shape.object = schema->endpoint->object;
    shape.strict = schema->strict;
    shape.item = ngx_http_jelou_check_item;
    shape.data = &check;

    rc = ngx_http_jelou_parse(event, &shape, log);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_HTTP_JELOU_INVALID_JSON : NGX_ERROR;
    }

    root.parent = NULL;

    ngx_http_jelou_check_members(&check, schema->endpoint->object,
                                 event->values, &event->variant, &root);

    if (event->failed) {
        return NGX_ERROR;
    }

    return event->nviolations ? NGX_HTTP_JELOU_INVALID_EVENT : NGX_OK;
}


/*
 * Checks the values of one object against its table.  A message type decides
 * which of the BY_TYPE members there are: the others are as any member
 * outside the schema, and their values are dropped.
 */

static void
ngx_http_jelou_check_members(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_object_t *object, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_variant_t **variant,
    const ngx_http_jelou_path_t *path)
{
    uint32_t                        required;
    ngx_uint_t                      i;
    const ngx_str_t                *message;
    ngx_http_jelou_path_t           inner;
    ngx_http_jelou_value_t         *v;
    const ngx_http_jelou_member_t  *m;

    static ngx_str_t  missing = ngx_string("is required");
    static ngx_str_t  repeated = ngx_string("must not be repeated");
    static ngx_str_t  foreign =
                          ngx_string("is not a member of this message type");

    for (i = 0; i < object->nmembers; i++) {
        m = &object->members[i];
        v = &values[m->slot];

        required = m->flags & NGX_HTTP_JELOU_REQUIRED;
        message = NULL;

        if (m->flags & NGX_HTTP_JELOU_BY_TYPE) {

            if (*variant == NULL) {
                continue;
            }

            required = (*variant)->required & ngx_http_jelou_bit(m->slot);

            if (!required
                && !((*variant)->optional & ngx_http_jelou_bit(m->slot)))
            {
                if (v->type != NGX_HTTP_JELOU_ABSENT && check->schema->strict) {
                    ngx_http_jelou_violation(check->event, path, &m->name, 0,
                                             &foreign);
                }

                v->type = NGX_HTTP_JELOU_ABSENT;
                continue;
            }
        }

        if (v->type == NGX_HTTP_JELOU_ABSENT) {
            message = required ? &missing : NULL;

        } else if (v->repeated) {
            message = &repeated;

        } else if (v->type != m->type) {
            message = &ngx_http_jelou_must_be[m->type];

        } else if (m->type == NGX_HTTP_JELOU_MEMBERS) {

            inner.parent = path;
            inner.name = m->name;

            ngx_http_jelou_check_members(check, m->object, values, variant,
                                         &inner);

        } else {
            message = ngx_http_jelou_check_value(check, m, v, variant);
        }

        if (message) {
            ngx_http_jelou_violation(check->event, path, &m->name, 0, message);
        }
    }
}


static const ngx_str_t *
ngx_http_jelou_check_value(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *value,
    const ngx_http_jelou_variant_t **variant)
{
    ngx_int_t                rc;
    ngx_str_t                text;
    ngx_http_jelou_fixed_t  *fixed;

    static ngx_str_t  lone = ngx_string("must not have a lone surrogate");

    if (member->rule == NULL
        && !(member->flags & (NGX_HTTP_JELOU_FIXED|NGX_HTTP_JELOU_TYPE)))
    {
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

    if (member->flags & NGX_HTTP_JELOU_TYPE) {
        return ngx_http_jelou_check_type(check, &text, value, variant);
    }

    if (member->flags & NGX_HTTP_JELOU_FIXED) {
        fixed = &check->schema->fixed[member->limit];

        if (text.len == fixed->value.len
            && ngx_memcmp(text.data, fixed->value.data, text.len) == 0)
        {
            return NULL;
        }

        return &fixed->message;
    }

    return member->rule(&text, member);
}


/* Finds the message type, and puts the event's name for it into the value. */

static const ngx_str_t *
ngx_http_jelou_check_type(ngx_http_jelou_check_t *check, ngx_str_t *name,
    ngx_http_jelou_value_t *value, const ngx_http_jelou_variant_t **variant)
{
    ngx_uint_t                        i;
    const ngx_http_jelou_variant_t   *t;
    const ngx_http_jelou_endpoint_t  *endpoint;

    endpoint = check->schema->endpoint;

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if (t->name.len == name->len
            && ngx_memcmp(t->name.data, name->data, name->len) == 0)
        {
            *variant = t;
            check->event->types |= ngx_http_jelou_bit(i);

            value->data = t->type.data;
            value->len = (uint32_t) t->type.len;
            value->escaped = 0;

            return NULL;
        }
    }

    return &endpoint->types;
}


/*
 * Checks an item while the parser is at its end, and keeps its values only
 * as long as the event may still be accepted: the memory is bounded by items
 * that are valid, whatever the body has.
 */

static void
ngx_http_jelou_check_item(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *array, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path, void *data)
{
    ngx_http_jelou_check_t  *check = data;

    ngx_http_jelou_value_t          *item;
    const ngx_http_jelou_variant_t  *variant;

    if (values == NULL) {
        ngx_http_jelou_violation(event, path, NULL, 0,
                              &ngx_http_jelou_must_be[NGX_HTTP_JELOU_MEMBERS]);
        return;
    }

    variant = NULL;

    ngx_http_jelou_check_members(check, array->object, values, &variant, path);

    if (event->nviolations || event->failed) {
        return;
    }

    if (variant && variant->to) {
        values[variant->to] = values[variant->move];
        values[variant->move].type = NGX_HTTP_JELOU_ABSENT;
    }

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

    ngx_memcpy(item, values,
               NGX_HTTP_JELOU_ITEM_NVALUES * sizeof(ngx_http_jelou_value_t));
}


uint32_t
ngx_http_jelou_type_bit(const ngx_http_jelou_endpoint_t *endpoint,
    ngx_str_t *name)
{
    uint32_t                         bits;
    ngx_uint_t                       i;
    const ngx_http_jelou_variant_t  *t;

    bits = 0;

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if ((t->name.len == name->len
             && ngx_memcmp(t->name.data, name->data, name->len) == 0)
            || (t->type.len == name->len
                && ngx_memcmp(t->type.data, name->data, name->len) == 0))
        {
            bits |= ngx_http_jelou_bit(i);
        }
    }

    return bits;
}


ngx_int_t
ngx_http_jelou_value_decode(ngx_pool_t *pool, ngx_http_jelou_value_t *value,
    ngx_str_t *text)
{
    u_char  *last;

    text->data = value->data;
    text->len = value->len;

    if (!value->escaped) {
        return NGX_OK;
    }

    text->data = ngx_pnalloc(pool, value->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    last = ngx_http_jelou_text_decode(text->data, value->data, value->len);

    if (last == NULL) {
        return NGX_DECLINED;
    }

    text->len = last - text->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_project_id(ngx_http_jelou_event_t *event, ngx_str_t *text)
{
    ngx_int_t                rc;
    ngx_http_jelou_value_t  *value;

    value = &event->values[NGX_HTTP_JELOU_PROJECT_ID];

    rc = NGX_DECLINED;

    if (event->reason == NULL && value->type == NGX_HTTP_JELOU_STRING
        && !value->repeated)
    {
        rc = ngx_http_jelou_value_decode(event->pool, value, text);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK || ngx_http_jelou_rule_id(text, NULL)) {
        ngx_str_null(text);
    }

    return NGX_OK;
}


/*
 * Identifiers reach headers, logs and variables, where a line break would be
 * an injection.
 */

static const ngx_str_t *
ngx_http_jelou_rule_id(ngx_str_t *value, const ngx_http_jelou_member_t *member)
{
    size_t  i;

    static ngx_str_t  message = ngx_string("must have 1 to 256 bytes and no "
                                           "control character");

    if (value->len == 0 || value->len > NGX_HTTP_JELOU_ID_MAX) {
        return &message;
    }

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < 0x20 || value->data[i] == 0x7f) {
            return &message;
        }
    }

    return NULL;
}


/* RFC 3986: the scheme in either case, then "//" and an authority */

static const ngx_str_t *
ngx_http_jelou_rule_https(ngx_str_t *value,
    const ngx_http_jelou_member_t *member)
{
    u_char  *p, *host, *last;

    static ngx_str_t  message = ngx_string("must be an https URL");

    if (value->len < sizeof("https://") - 1
        || ngx_strncasecmp(value->data, (u_char *) "https://",
                           sizeof("https://") - 1)
           != 0
        || ngx_http_jelou_blank(value))
    {
        return &message;
    }

    host = value->data + sizeof("https://") - 1;
    last = value->data + value->len;

    for (p = host; p < last && *p != '/' && *p != '?' && *p != '#'; p++) {

        if (*p == '@') {
            host = p + 1;                /* what stood before is userinfo */
        }
    }

    if (host == p || *host == ':') {
        return &message;
    }

    return NULL;
}


/* RFC 9110, section 8.3.1: type "/" subtype *( OWS ";" OWS [ parameter ] ) */

static const ngx_str_t *
ngx_http_jelou_rule_mime_type(ngx_str_t *value,
    const ngx_http_jelou_member_t *member)
{
    u_char  *p, *q, *last;

    static ngx_str_t  message = ngx_string("must be a media type, "
                                           "type/subtype");

    p = value->data;
    last = p + value->len;

    q = ngx_http_jelou_token(p, last);

    if (q == p || q == last || *q != '/') {
        return &message;
    }

    p = q + 1;
    q = ngx_http_jelou_token(p, last);

    if (q == p) {
        return &message;
    }

    for (p = q; p < last; p = q) {

        while (p < last && (*p == ' ' || *p == '\t')) { p++; }

        if (p == last || *p++ != ';') {
            return &message;
        }

        while (p < last && (*p == ' ' || *p == '\t')) { p++; }

        q = ngx_http_jelou_token(p, last);

        if (q == p) {
            continue;
        }

        if (q == last || *q++ != '=') {
            return &message;
        }

        p = q;

        if (p == last || *p != '"') {
            q = ngx_http_jelou_token(p, last);

            if (q == p) {
                return &message;
            }

            continue;
        }

        for (q = p + 1; q < last && *q != '"'; q++) {

            if (*q == '\\') {
                q++;
            }

            if (q == last || (*q < 0x20 && *q != '\t') || *q == 0x7f) {
                return &message;
            }
        }

        if (q++ == last) {
            return &message;
        }
    }

    return NULL;
}


/* Returns 1 if there is white space (Unicode's) or a control character. */

static ngx_uint_t
ngx_http_jelou_blank(ngx_str_t *value)
{
    u_char    *p, *last;
    uint32_t   c;

    p = value->data;
    last = p + value->len;

    while (p < last) {

        if (*p < 0x80) {

            if (*p <= 0x20 || *p == 0x7f) {
                return 1;
            }

            p++;
            continue;
        }

        c = ngx_utf8_decode(&p, last - p);

        if (c <= 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a)
            || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f
            || c == 0x3000)
        {
            return 1;
        }
    }

    return 0;
}


/* Returns the end of the RFC 9110 token at p. */

static u_char *
ngx_http_jelou_token(u_char *p, u_char *last)
{
    for ( /* void */ ; p < last; p++) {

        if ((*p >= '0' && *p <= '9')
            || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'))
        {
            continue;
        }

        if (*p == '\0' || ngx_strchr("!#$%&'*+-.^_`|~", *p) == NULL) {
            break;
        }
    }

    return p;
}
