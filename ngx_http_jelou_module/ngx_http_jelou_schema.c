
/*
 * The endpoints as data: tables of members, types and rules, and the one
 * checker that reads them.
 */


#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_id.h"
#include "ngx_http_jelou_pages.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_text.h"


/* the flags of a member */

#define NGX_HTTP_JELOU_REQUIRED    0x01
#define NGX_HTTP_JELOU_FIXED       0x02    /* the configuration's value, whose
                                              index is the limit */
#define NGX_HTTP_JELOU_TYPE        0x04    /* names the message type */
#define NGX_HTTP_JELOU_BY_TYPE     0x08    /* the message type tells */
#define NGX_HTTP_JELOU_SAME        0x10    /* as the value whose slot is the
                                              limit */
#define NGX_HTTP_JELOU_RAW         0x20    /* the rule takes the token */
#define NGX_HTTP_JELOU_MADE        0x40    /* one is made if absent */
#define NGX_HTTP_JELOU_UNIQUE      0x80    /* among the items */
#define NGX_HTTP_JELOU_INSTEAD     0x100   /* it stands there only without the
                                              value whose slot is the limit */


typedef struct {
    ngx_http_jelou_event_t             *event;
    ngx_http_jelou_schema_t            *schema;
    const ngx_http_jelou_variant_t     *variant;   /* NULL: none is known */
} ngx_http_jelou_check_t;


/* an item's id, and which item it is */

typedef struct {
    u_char                             *data;
    uint32_t                            len;
    uint32_t                            index;
} ngx_http_jelou_item_id_t;


static ngx_uint_t ngx_http_jelou_is_turn(ngx_http_jelou_check_t *check);
static void ngx_http_jelou_check_turn(ngx_http_jelou_check_t *check);
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
static void ngx_http_jelou_check_unique(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *array, const ngx_http_jelou_path_t *path);
static ngx_uint_t ngx_http_jelou_count_items(ngx_list_t *items);
static ngx_int_t ngx_http_jelou_item_ids(ngx_http_jelou_event_t *event,
    ngx_http_jelou_item_id_t *ids, ngx_uint_t *n);
static int ngx_libc_cdecl ngx_http_jelou_cmp_ids(const void *one,
    const void *two);
static int ngx_libc_cdecl ngx_http_jelou_cmp_uuids(const void *one,
    const void *two);
static ngx_int_t ngx_http_jelou_make_ids(ngx_http_jelou_check_t *check,
    ngx_log_t *log);
static const ngx_str_t *ngx_http_jelou_project_name(
    const ngx_http_jelou_endpoint_t *endpoint);


/* what a value of each JSON type is called in validationError */

static ngx_str_t  ngx_http_jelou_must_be[] = {
    ngx_null_string,
    ngx_string("must be a string"),
    ngx_string("must be a number"),
    ngx_null_string,
    ngx_string("must be an object"),
    ngx_string("must be an array")
};


/* the rows of the tables of members */

#define ngx_http_jelou_string(name, slot, flags, rule)                        \
    { ngx_string(name), NGX_HTTP_JELOU_##slot, NGX_HTTP_JELOU_STRING, flags,  \
      rule, NULL, 0, ngx_null_string }

#define ngx_http_jelou_id(name, slot)                                         \
    ngx_http_jelou_string(name, slot, NGX_HTTP_JELOU_REQUIRED,                \
                          ngx_http_jelou_rule_id)

#define ngx_http_jelou_preset(name, slot, token)                              \
    { ngx_string(name), NGX_HTTP_JELOU_##slot, NGX_HTTP_JELOU_STRING, 0,      \
      NULL, NULL, 0, ngx_string(token) }

#define ngx_http_jelou_fixed(name, slot)                                      \
    { ngx_string(name), NGX_HTTP_JELOU_##slot, NGX_HTTP_JELOU_STRING,         \
      NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_FIXED, NULL, NULL,               \
      NGX_HTTP_JELOU_FIXED_##slot, ngx_null_string }

#define ngx_http_jelou_object(name, slot, flags, object)                      \
    { ngx_string(name), NGX_HTTP_JELOU_##slot, NGX_HTTP_JELOU_MEMBERS, flags, \
      NULL, object, 0, ngx_null_string }

#define ngx_http_jelou_array(name, slot, flags, rule, object, most)           \
    { ngx_string(name), NGX_HTTP_JELOU_##slot, NGX_HTTP_JELOU_ARRAY, flags,   \
      rule, object, most, ngx_null_string }

#define ngx_http_jelou_url(name, slot, kind)                                  \
    { ngx_string(name), NGX_HTTP_JELOU_##slot, NGX_HTTP_JELOU_STRING,         \
      NGX_HTTP_JELOU_BY_TYPE, ngx_http_jelou_rule_url, NULL,                  \
      NGX_HTTP_JELOU_URL_##kind, ngx_null_string }

#define ngx_http_jelou_timestamp()                                            \
    { ngx_string("timestamp"), NGX_HTTP_JELOU_TIMESTAMP,                      \
      NGX_HTTP_JELOU_NUMBER, NGX_HTTP_JELOU_REQUIRED,                         \
      ngx_http_jelou_rule_timestamp, NULL, 0, ngx_null_string }

#define ngx_http_jelou_members(m)                                             \
    { m, sizeof(m) / sizeof(ngx_http_jelou_member_t) }

#define ngx_http_jelou_bit(slot)   ((uint32_t) 1 << (slot))
#define ngx_http_jelou_has(slot)   ngx_http_jelou_bit(NGX_HTTP_JELOU_##slot)

#define ngx_http_jelou_variants(v)                                            \
    v, sizeof(v) / sizeof(ngx_http_jelou_variant_t)


/* the rows of the tables of pieces */

#define ngx_http_jelou_piece(text, what, slot)                                \
    { ngx_string(text), NGX_HTTP_JELOU_PIECE_##what, NGX_HTTP_JELOU_##slot,   \
      NULL }

#define ngx_http_jelou_text(text)                                             \
    { ngx_string(text), NGX_HTTP_JELOU_PIECE_TEXT, 0, NULL }

#define ngx_http_jelou_items(text, pieces)                                    \
    { ngx_string(text), NGX_HTTP_JELOU_PIECE_ITEMS, NGX_HTTP_JELOU_ITEMS,     \
      pieces }

#define ngx_http_jelou_end()                                                  \
    { ngx_null_string, NGX_HTTP_JELOU_PIECE_END, 0, NULL }

#define NGX_HTTP_JELOU_FIELD_PIECES                                           \
    ngx_http_jelou_piece("{\"field\":", FIXED, FIXED_FIELD),                  \
    ngx_http_jelou_piece(",\"object\":", FIXED, FIXED_OBJECT)

#define NGX_HTTP_JELOU_FIXED_PIECES                                           \
    NGX_HTTP_JELOU_FIELD_PIECES,                                              \
    ngx_http_jelou_piece(",\"event_type\":", FIXED, FIXED_EVENT_TYPE)

#define NGX_HTTP_JELOU_VALUE_PIECES                                           \
    ngx_http_jelou_piece(",\"value\":{\"id\":", STRING, MESSAGE_ID),          \
    ngx_http_jelou_piece(",\"type\":", STRING, MESSAGE_TYPE),                 \
    ngx_http_jelou_text(",\"content\":{"),                                    \
    ngx_http_jelou_piece("\"body\":", STRING, BODY),                          \
    ngx_http_jelou_piece("\"url\":", STRING, URL),                            \
    ngx_http_jelou_piece(",\"mime_type\":", STRING, MIME_TYPE),               \
    ngx_http_jelou_piece(",\"caption\":", STRING, CAPTION),                   \
    ngx_http_jelou_piece(",\"filename\":", STRING, FILENAME)

/* CloudEvents 1.0, JSON format: what stands before and after the source */

#define NGX_HTTP_JELOU_CLOUDEVENT_PIECES                                      \
    ngx_http_jelou_text("{\"specversion\":\"1.0\"")

#define NGX_HTTP_JELOU_CLOUDEVENT_TYPE                                        \
    ngx_http_jelou_piece("\",\"type\":\"ai.jelou.", FIXED_BARE,               \
                         FIXED_EVENT_TYPE)

#define ngx_http_jelou_cloudevent_rest(key)                                   \
    ngx_http_jelou_text("\""),                                                \
    ngx_http_jelou_piece(",\"subject\":", STRING, USER_ID),                   \
    ngx_http_jelou_piece(",\"time\":\"", TIME, TIMESTAMP),                    \
    ngx_http_jelou_piece("\",\"partitionkey\":", STRING, key),                \
    { ngx_string(",\"datacontenttype\":\"application/json\",\"data\":"),       \
      NGX_HTTP_JELOU_PIECE_EVENT, 0, NULL },                                  \
    ngx_http_jelou_text("}"),                                                 \
    ngx_http_jelou_end()


static const ngx_http_jelou_piece_t  ngx_http_jelou_message_answer[] = {
    ngx_http_jelou_piece("{\"success\":true,\"messageId\":", STRING,
                         MESSAGE_ID),
    ngx_http_jelou_text("}"),
    ngx_http_jelou_end()
};


/* the value of incoming_message and of message */

static const ngx_http_jelou_member_t  ngx_http_jelou_content[] = {
    ngx_http_jelou_string("body", BODY, NGX_HTTP_JELOU_BY_TYPE, NULL),
    ngx_http_jelou_url("url", URL, CONTENT),
    ngx_http_jelou_string("mime_type", MIME_TYPE, NGX_HTTP_JELOU_BY_TYPE,
                          ngx_http_jelou_rule_mime_type),
    ngx_http_jelou_string("caption", CAPTION, NGX_HTTP_JELOU_BY_TYPE, NULL),
    ngx_http_jelou_string("filename", FILENAME, NGX_HTTP_JELOU_BY_TYPE, NULL)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_content_object =
    ngx_http_jelou_members(ngx_http_jelou_content);

static const ngx_http_jelou_member_t  ngx_http_jelou_value[] = {
    ngx_http_jelou_id("id", MESSAGE_ID),
    ngx_http_jelou_string("type", MESSAGE_TYPE,
                          NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_TYPE, NULL),
    ngx_http_jelou_object("content", CONTENT, NGX_HTTP_JELOU_REQUIRED,
                          &ngx_http_jelou_content_object)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_value_object =
    ngx_http_jelou_members(ngx_http_jelou_value);

#define NGX_HTTP_JELOU_MEDIA                                                  \
    (ngx_http_jelou_has(URL)|ngx_http_jelou_has(MIME_TYPE))

static const ngx_http_jelou_variant_t  ngx_http_jelou_value_types[] = {

    { ngx_string("text"), ngx_string("text"), 0,
      ngx_http_jelou_has(BODY), 0, 0, 0 },

    { ngx_string("image"), ngx_string("image"), 0,
      NGX_HTTP_JELOU_MEDIA, ngx_http_jelou_has(CAPTION), 0, 0 },

    { ngx_string("video"), ngx_string("video"), 0,
      NGX_HTTP_JELOU_MEDIA, ngx_http_jelou_has(CAPTION), 0, 0 },

    { ngx_string("audio"), ngx_string("audio"), 0,
      NGX_HTTP_JELOU_MEDIA, 0, 0, 0 },

    { ngx_string("document"), ngx_string("document"), 0,
      NGX_HTTP_JELOU_MEDIA, ngx_http_jelou_has(FILENAME), 0, 0 }
};


/* incoming_message: an external provider's message to the end user */

static const ngx_http_jelou_member_t  ngx_http_jelou_incoming[] = {
    ngx_http_jelou_fixed("field", FIELD),
    ngx_http_jelou_fixed("object", OBJECT),
    ngx_http_jelou_fixed("event_type", EVENT_TYPE),
    ngx_http_jelou_id("project_id", PROJECT_ID),
    ngx_http_jelou_id("room_id", ROOM_ID),
    ngx_http_jelou_id("bot_id", BOT_ID),
    ngx_http_jelou_id("user_id", USER_ID),
    ngx_http_jelou_object("value", VALUE, NGX_HTTP_JELOU_REQUIRED,
                          &ngx_http_jelou_value_object)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_incoming_object =
    ngx_http_jelou_members(ngx_http_jelou_incoming);

static const ngx_http_jelou_piece_t  ngx_http_jelou_incoming_event[] = {
    NGX_HTTP_JELOU_FIXED_PIECES,
    ngx_http_jelou_piece(",\"project_id\":", STRING, PROJECT_ID),
    ngx_http_jelou_piece(",\"room_id\":", STRING, ROOM_ID),
    ngx_http_jelou_piece(",\"bot_id\":", STRING, BOT_ID),
    ngx_http_jelou_piece(",\"user_id\":", STRING, USER_ID),
    NGX_HTTP_JELOU_VALUE_PIECES,
    ngx_http_jelou_text("}}}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_cloudevent[] = {
    NGX_HTTP_JELOU_CLOUDEVENT_PIECES,
    ngx_http_jelou_piece(",\"id\":", STRING, MESSAGE_ID),
    ngx_http_jelou_piece(",\"source\":\"/projects/", ESCAPED, PROJECT_ID),
    ngx_http_jelou_piece("/rooms/", ESCAPED, ROOM_ID),
    NGX_HTTP_JELOU_CLOUDEVENT_TYPE,
    ngx_http_jelou_cloudevent_rest(ROOM_ID)
};

static const ngx_http_jelou_kind_t  ngx_http_jelou_incoming_kind = {
    &ngx_http_jelou_incoming_object,
    ngx_http_jelou_incoming_event,
    ngx_http_jelou_room_cloudevent,
    ngx_http_jelou_message_answer,
    NULL, NULL, 0, 0
};


/* message: the end user's message to the partner's webhook */

static const ngx_http_jelou_member_t  ngx_http_jelou_contact[] = {
    ngx_http_jelou_id("id", USER_ID),
    ngx_http_jelou_string("name", USER_NAME, 0, NULL)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_contact_object =
    ngx_http_jelou_members(ngx_http_jelou_contact);

static const ngx_http_jelou_member_t  ngx_http_jelou_conversation[] = {
    ngx_http_jelou_id("id", CONVERSATION_ID)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_conversation_object =
    ngx_http_jelou_members(ngx_http_jelou_conversation);

static const ngx_http_jelou_member_t  ngx_http_jelou_bot[] = {
    ngx_http_jelou_id("id", BOT_ID),
    ngx_http_jelou_string("name", BOT_NAME, 0, NULL)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_bot_object =
    ngx_http_jelou_members(ngx_http_jelou_bot);

static const ngx_http_jelou_member_t  ngx_http_jelou_message[] = {
    ngx_http_jelou_fixed("field", FIELD),
    ngx_http_jelou_fixed("object", OBJECT),
    ngx_http_jelou_fixed("event_type", EVENT_TYPE),
    ngx_http_jelou_timestamp(),
    ngx_http_jelou_id("project_id", PROJECT_ID),
    ngx_http_jelou_id("room_id", ROOM_ID),
    ngx_http_jelou_object("contact", CONTACT, NGX_HTTP_JELOU_REQUIRED,
                          &ngx_http_jelou_contact_object),
    ngx_http_jelou_object("conversation", CONVERSATION,
                          NGX_HTTP_JELOU_REQUIRED,
                          &ngx_http_jelou_conversation_object),
    ngx_http_jelou_object("bot", BOT, NGX_HTTP_JELOU_REQUIRED,
                          &ngx_http_jelou_bot_object),
    ngx_http_jelou_object("value", VALUE, NGX_HTTP_JELOU_REQUIRED,
                          &ngx_http_jelou_value_object),

    /* no message type has it, a conversation event does */

    { ngx_string("event"), NGX_HTTP_JELOU_EVENT, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_BY_TYPE|NGX_HTTP_JELOU_INSTEAD,
      ngx_http_jelou_rule_conversation, NULL, NGX_HTTP_JELOU_EVENT_TYPE,
      ngx_null_string }
};

static const ngx_http_jelou_object_t  ngx_http_jelou_message_object =
    ngx_http_jelou_members(ngx_http_jelou_message);

static const ngx_http_jelou_piece_t  ngx_http_jelou_message_event[] = {
    NGX_HTTP_JELOU_FIXED_PIECES,
    ngx_http_jelou_piece(",\"timestamp\":", BARE, TIMESTAMP),
    ngx_http_jelou_piece(",\"project_id\":", STRING, PROJECT_ID),
    ngx_http_jelou_piece(",\"room_id\":", STRING, ROOM_ID),
    ngx_http_jelou_piece(",\"conversation_id\":", STRING, CONVERSATION_ID),
    ngx_http_jelou_piece(",\"bot_id\":", STRING, BOT_ID),
    ngx_http_jelou_piece(",\"bot_name\":", STRING, BOT_NAME),
    ngx_http_jelou_piece(",\"user_id\":", STRING, USER_ID),
    ngx_http_jelou_piece(",\"user_name\":", STRING, USER_NAME),
    NGX_HTTP_JELOU_VALUE_PIECES,
    ngx_http_jelou_text("}}}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_kind_t  ngx_http_jelou_message_kind = {
    &ngx_http_jelou_message_object,
    ngx_http_jelou_message_event,
    ngx_http_jelou_room_cloudevent,
    ngx_http_jelou_message_answer,
    NULL, NULL, 0, 0
};


/* conversation.start and its like, to the same webhook */

static const ngx_http_jelou_member_t  ngx_http_jelou_turn[] = {
    ngx_http_jelou_string("event", EVENT, NGX_HTTP_JELOU_REQUIRED,
                          ngx_http_jelou_rule_conversation),
    ngx_http_jelou_timestamp(),
    ngx_http_jelou_id("project_id", PROJECT_ID)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_turn_object =
    ngx_http_jelou_members(ngx_http_jelou_turn);

static const ngx_http_jelou_piece_t  ngx_http_jelou_turn_event[] = {
    NGX_HTTP_JELOU_FIELD_PIECES,
    ngx_http_jelou_piece(",\"event_type\":", STRING, EVENT),
    ngx_http_jelou_piece(",\"timestamp\":", BARE, TIMESTAMP),
    ngx_http_jelou_piece(",\"project_id\":", STRING, PROJECT_ID),
    { ngx_string(",\"data\":"), NGX_HTTP_JELOU_PIECE_BODY, 0, NULL },
    ngx_http_jelou_text("}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_turn_cloudevent[] = {
    NGX_HTTP_JELOU_CLOUDEVENT_PIECES,
    { ngx_string(",\"id\":\""), NGX_HTTP_JELOU_PIECE_DIGEST, 0, NULL },
    ngx_http_jelou_piece("\",\"source\":\"/projects/", ESCAPED, PROJECT_ID),
    ngx_http_jelou_piece("\",\"type\":\"ai.jelou.", BARE, EVENT),
    ngx_http_jelou_cloudevent_rest(PROJECT_ID)
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_turn_answer[] = {
    ngx_http_jelou_text("{\"success\":true}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_kind_t  ngx_http_jelou_turn_kind = {
    &ngx_http_jelou_turn_object,
    ngx_http_jelou_turn_event,
    ngx_http_jelou_turn_cloudevent,
    ngx_http_jelou_turn_answer,
    NULL, NULL, NGX_HTTP_JELOU_EVENT, 1
};


/* room_message: messages into a room */

static const ngx_http_jelou_member_t  ngx_http_jelou_room_item[] = {
    ngx_http_jelou_string("id", ITEM_ID,
                          NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_UNIQUE,
                          ngx_http_jelou_rule_uuid),
    ngx_http_jelou_string("type", ITEM_TYPE,
                          NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_TYPE, NULL),
    ngx_http_jelou_string("text", ITEM_TEXT, NGX_HTTP_JELOU_BY_TYPE, NULL),
    ngx_http_jelou_url("mediaUrl", ITEM_URL, MEDIA)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_room_item_object =
    ngx_http_jelou_members(ngx_http_jelou_room_item);

static const ngx_http_jelou_member_t  ngx_http_jelou_room[] = {
    ngx_http_jelou_id("senderId", USER_ID),
    ngx_http_jelou_array("messages", ITEMS, NGX_HTTP_JELOU_REQUIRED,
                         ngx_http_jelou_rule_messages,
                         &ngx_http_jelou_room_item_object, 0)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_room_object =
    ngx_http_jelou_members(ngx_http_jelou_room);

#define ngx_http_jelou_room_media(name, type)                                 \
    { ngx_string(name), ngx_string(type), 0,                                  \
      ngx_http_jelou_has(ITEM_URL), ngx_http_jelou_has(ITEM_TEXT),            \
      NGX_HTTP_JELOU_ITEM_TEXT, NGX_HTTP_JELOU_ITEM_CAPTION }

static const ngx_http_jelou_variant_t  ngx_http_jelou_room_types[] = {

    { ngx_string("TEXT"), ngx_string("text"), 0,
      ngx_http_jelou_has(ITEM_TEXT), 0, 0, 0 },

    ngx_http_jelou_room_media("IMAGE", "image"),
    ngx_http_jelou_room_media("VIDEO", "video"),
    ngx_http_jelou_room_media("DOCUMENT", "document")
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_item_event[] = {
    ngx_http_jelou_piece("{\"id\":", STRING, ITEM_ID),
    ngx_http_jelou_piece(",\"type\":", STRING, ITEM_TYPE),
    ngx_http_jelou_text(",\"content\":{"),
    ngx_http_jelou_piece("\"body\":", STRING, ITEM_TEXT),
    ngx_http_jelou_piece("\"url\":", STRING, ITEM_URL),
    ngx_http_jelou_piece(",\"caption\":", STRING, ITEM_CAPTION),
    ngx_http_jelou_text("}}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_item_id[] = {
    ngx_http_jelou_piece("", STRING, ITEM_ID),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_item_bare[] = {
    ngx_http_jelou_piece("", BARE, ITEM_ID),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_item_decoded[] = {
    ngx_http_jelou_piece("", DECODED, ITEM_ID),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_ids[] = {
    ngx_http_jelou_items("", ngx_http_jelou_room_item_decoded),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_item_type[] = {
    ngx_http_jelou_piece("", BARE, ITEM_TYPE),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_type_names[] = {
    ngx_http_jelou_items("", ngx_http_jelou_room_item_type),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_event[] = {
    NGX_HTTP_JELOU_FIXED_PIECES,
    ngx_http_jelou_piece(",\"room_id\":", STRING, ROOM_ID),
    ngx_http_jelou_piece(",\"sender_id\":", STRING, USER_ID),
    ngx_http_jelou_items(",\"values\":[", ngx_http_jelou_room_item_event),
    ngx_http_jelou_text("]}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_rooms_cloudevent[] = {
    NGX_HTTP_JELOU_CLOUDEVENT_PIECES,
    ngx_http_jelou_items(",\"id\":\"", ngx_http_jelou_room_item_bare),
    ngx_http_jelou_piece("\",\"source\":\"/rooms/", ESCAPED, ROOM_ID),
    NGX_HTTP_JELOU_CLOUDEVENT_TYPE,
    ngx_http_jelou_cloudevent_rest(ROOM_ID)
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_room_answer[] = {
    ngx_http_jelou_items("{\"success\":true,\"messageIds\":[",
                         ngx_http_jelou_room_item_id),
    ngx_http_jelou_text("]}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_kind_t  ngx_http_jelou_room_kind = {
    &ngx_http_jelou_room_object,
    ngx_http_jelou_room_event,
    ngx_http_jelou_rooms_cloudevent,
    ngx_http_jelou_room_answer,
    ngx_http_jelou_room_ids, ngx_http_jelou_room_type_names, 0, 0
};


/* bot_message: a bot's message to a user, a list if it has options */

static const ngx_http_jelou_member_t  ngx_http_jelou_option[] = {
    ngx_http_jelou_string("id", ITEM_ID,
                          NGX_HTTP_JELOU_MADE|NGX_HTTP_JELOU_UNIQUE,
                          ngx_http_jelou_rule_id),
    ngx_http_jelou_string("title", ITEM_TITLE,
                          NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_RAW,
                          ngx_http_jelou_rule_title),
    ngx_http_jelou_string("description", ITEM_DESCRIPTION, NGX_HTTP_JELOU_RAW,
                          ngx_http_jelou_rule_description)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_option_object =
    ngx_http_jelou_members(ngx_http_jelou_option);

static const ngx_http_jelou_member_t  ngx_http_jelou_button[] = {
    ngx_http_jelou_preset("type", BUTTON_TYPE, "text"),
    ngx_http_jelou_preset("text", BUTTON_TEXT, "Opciones")
};

static const ngx_http_jelou_object_t  ngx_http_jelou_button_object =
    ngx_http_jelou_members(ngx_http_jelou_button);

static const ngx_http_jelou_member_t  ngx_http_jelou_bots[] = {
    ngx_http_jelou_string("type", MESSAGE_TYPE,
                          NGX_HTTP_JELOU_REQUIRED|NGX_HTTP_JELOU_TYPE, NULL),
    ngx_http_jelou_id("userId", USER_ID),
    ngx_http_jelou_string("text", BODY, NGX_HTTP_JELOU_REQUIRED, NULL),

    { ngx_string("botId"), NGX_HTTP_JELOU_BOT, NGX_HTTP_JELOU_STRING,
      NGX_HTTP_JELOU_SAME, NULL, NULL, NGX_HTTP_JELOU_BOT_ID,
      ngx_null_string },

    ngx_http_jelou_string("title", TITLE, NGX_HTTP_JELOU_BY_TYPE, NULL),
    ngx_http_jelou_object("buttonText", BUTTON,
                          NGX_HTTP_JELOU_BY_TYPE|NGX_HTTP_JELOU_MADE,
                          &ngx_http_jelou_button_object),
    ngx_http_jelou_array("options", ITEMS, NGX_HTTP_JELOU_BY_TYPE,
                         ngx_http_jelou_rule_options,
                         &ngx_http_jelou_option_object, 10)
};

static const ngx_http_jelou_object_t  ngx_http_jelou_bots_object =
    ngx_http_jelou_members(ngx_http_jelou_bots);

static const ngx_http_jelou_variant_t  ngx_http_jelou_bot_types[] = {

    { ngx_string("text"), ngx_string("list"), 1,
      ngx_http_jelou_has(ITEMS),
      ngx_http_jelou_has(TITLE)|ngx_http_jelou_has(BUTTON), 0, 0 },

    { ngx_string("text"), ngx_string("text"), 0,
      0, ngx_http_jelou_has(TITLE), 0, 0 }
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_option_event[] = {
    ngx_http_jelou_piece("{\"id\":", STRING, ITEM_ID),
    ngx_http_jelou_piece(",\"title\":", STRING, ITEM_TITLE),
    ngx_http_jelou_piece(",\"description\":", STRING, ITEM_DESCRIPTION),
    ngx_http_jelou_text("}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_bot_event[] = {
    NGX_HTTP_JELOU_FIXED_PIECES,
    ngx_http_jelou_piece(",\"bot_id\":", STRING, BOT_ID),
    ngx_http_jelou_piece(",\"user_id\":", STRING, USER_ID),
    NGX_HTTP_JELOU_VALUE_PIECES,
    ngx_http_jelou_piece(",\"title\":", STRING, TITLE),
    ngx_http_jelou_piece(",\"button\":{\"type\":", STRING, BUTTON_TYPE),
    ngx_http_jelou_piece(",\"text\":", STRING, BUTTON_TEXT),
    ngx_http_jelou_piece("}", NOTHING, BUTTON),
    ngx_http_jelou_items(",\"options\":[", ngx_http_jelou_option_event),
    ngx_http_jelou_piece("]", NOTHING, ITEMS),
    ngx_http_jelou_text("}}}"),
    ngx_http_jelou_end()
};

static const ngx_http_jelou_piece_t  ngx_http_jelou_bot_cloudevent[] = {
    NGX_HTTP_JELOU_CLOUDEVENT_PIECES,
    ngx_http_jelou_piece(",\"id\":", STRING, MESSAGE_ID),
    ngx_http_jelou_piece(",\"source\":\"/bots/", ESCAPED, BOT_ID),
    NGX_HTTP_JELOU_CLOUDEVENT_TYPE,
    ngx_http_jelou_cloudevent_rest(BOT_ID)
};

static const ngx_http_jelou_kind_t  ngx_http_jelou_bot_kind = {
    &ngx_http_jelou_bots_object,
    ngx_http_jelou_bot_event,
    ngx_http_jelou_bot_cloudevent,
    ngx_http_jelou_message_answer,
    NULL, NULL, 0, 0
};


const ngx_http_jelou_endpoint_t  ngx_http_jelou_endpoints[] = {

    { ngx_string("incoming_message"),
      &ngx_http_jelou_incoming_kind, NULL,
      ngx_http_jelou_variants(ngx_http_jelou_value_types),
      ngx_string("must be one of text, image, video, audio, document"),
      ngx_null_string, ngx_null_string, 0, 1, 0 },

    { ngx_string("message"),
      &ngx_http_jelou_message_kind, &ngx_http_jelou_turn_kind,
      ngx_http_jelou_variants(ngx_http_jelou_value_types),
      ngx_string("must be one of text, image, video, audio, document"),
      ngx_null_string, ngx_null_string, 0, 1, 0 },

    { ngx_string("room_message"),
      &ngx_http_jelou_room_kind, NULL,
      ngx_http_jelou_variants(ngx_http_jelou_room_types),
      ngx_string("must be one of TEXT, IMAGE, VIDEO, DOCUMENT"),
      ngx_string("/rooms/"), ngx_string("/message"),
      NGX_HTTP_JELOU_ROOM_ID, 0, 0 },

    { ngx_string("bot_message"),
      &ngx_http_jelou_bot_kind, NULL,
      ngx_http_jelou_variants(ngx_http_jelou_bot_types),
      ngx_string("must be text"),
      ngx_string("/bots/"), ngx_string("/messages"),
      NGX_HTTP_JELOU_BOT_ID, 0, 1 },

    { ngx_null_string, NULL, NULL, NULL, 0, ngx_null_string,
      ngx_null_string, ngx_null_string, 0, 0, 0 }
};


ngx_int_t
ngx_http_jelou_check(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_log_t *log)
{
    ngx_int_t                         rc;
    ngx_http_jelou_path_t             root;
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

    if (ngx_http_jelou_is_turn(&check)) {
        ngx_http_jelou_check_turn(&check);
    }

    root.parent = NULL;

    ngx_http_jelou_check_members(&check, event->kind->object, event->values,
                                 &root);

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

    return ngx_http_jelou_make_ids(&check, log);
}


/*
 * A body without "event_type" whose "event" begins with "conversation." is a
 * conversation event, right or wrong; any other one is to be a message.
 */

static ngx_uint_t
ngx_http_jelou_is_turn(ngx_http_jelou_check_t *check)
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
ngx_http_jelou_check_turn(ngx_http_jelou_check_t *check)
{
    ngx_uint_t                      i, k;
    ngx_http_jelou_path_t           root;
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
        root.parent = NULL;
        ngx_http_jelou_violation(event, &root, NULL, &varied);
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
            if (v->type != NGX_HTTP_JELOU_ABSENT) {
                ngx_http_jelou_check_foreign(check, m, values, path);
            }

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
            ngx_http_jelou_check_unique(check, m, &inner);
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
 * there: the message type decides.  As long as none is known, each that some type has may be
 * there, and is checked.
 */

static ngx_uint_t
ngx_http_jelou_check_place(ngx_http_jelou_check_t *check,
    const ngx_http_jelou_member_t *member, ngx_http_jelou_value_t *values,
    ngx_uint_t *required)
{
    uint32_t                          bit;
    ngx_uint_t                        i;
    const ngx_http_jelou_variant_t   *t;
    const ngx_http_jelou_endpoint_t  *endpoint;

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

    endpoint = check->schema->endpoint;

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if ((t->required | t->optional) & bit) {
            return 1;
        }
    }

    return 0;
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

    if (value->type != member->type) {
        return &ngx_http_jelou_must_be[member->type];
    }

    return NULL;
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
    ngx_int_t                rc;
    ngx_str_t                text;
    ngx_http_jelou_fixed_t  *fixed;

    static ngx_str_t  lone = ngx_string("must not have a lone surrogate");
    static ngx_str_t  storable = ngx_string("must not have U+0000 or a lone "
                                            "surrogate");

    if (check->schema->text && value->escaped
        && !ngx_http_jelou_text_storable(value->data,
                                         value->data + value->len))
    {
        return &storable;
    }

    if (member->rule == NULL
        && !(member->flags & (NGX_HTTP_JELOU_FIXED|NGX_HTTP_JELOU_TYPE
                              |NGX_HTTP_JELOU_SAME)))
    {
        return NULL;
    }

    if (member->rule && (member->flags & NGX_HTTP_JELOU_RAW)) {
        text.data = value->data;
        text.len = value->len;

        return member->rule(&text, member, check->schema);
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
        return ngx_http_jelou_check_type(check, &text, value);
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

    if (member->flags & NGX_HTTP_JELOU_SAME) {
        return ngx_http_jelou_check_same(check, member, &text);
    }

    return member->rule(&text, member, check->schema);
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

    if (text->len == other.len
        && ngx_memcmp(text->data, other.data, other.len) == 0)
    {
        return NULL;
    }

    return &message;
}


/* Finds the message type, and puts the event's name for it into the value. */

static const ngx_str_t *
ngx_http_jelou_check_type(ngx_http_jelou_check_t *check, ngx_str_t *name,
    ngx_http_jelou_value_t *value)
{
    ngx_uint_t                        i;
    ngx_http_jelou_value_t           *items;
    const ngx_http_jelou_variant_t   *t;
    const ngx_http_jelou_endpoint_t  *endpoint;

    endpoint = check->schema->endpoint;
    items = &check->event->values[NGX_HTTP_JELOU_ITEMS];

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if (t->name.len == name->len
            && ngx_memcmp(t->name.data, name->data, name->len) == 0
            && (!t->with_items || items->type != NGX_HTTP_JELOU_ABSENT))
        {
            check->variant = t;
            check->event->types |= ngx_http_jelou_bit(i);

            value->data = t->type.data;
            value->len = (uint32_t) t->type.len;
            value->escaped = 0;

            return NULL;
        }
    }

    return &endpoint->types;
}


/* In what is forwarded as a whole, strings are not looked at one by one. */

static void
ngx_http_jelou_check_text(ngx_http_jelou_check_t *check)
{
    ngx_str_t              *body;
    ngx_http_jelou_path_t   root;

    static ngx_str_t  message = ngx_string("must not have U+0000 or a lone "
                                           "surrogate anywhere");

    body = &check->event->body;

    if (!ngx_http_jelou_text_storable(body->data, body->data + body->len)) {
        root.parent = NULL;
        ngx_http_jelou_violation(check->event, &root, NULL, &message);
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


/* Items with the same id could not be told apart by whoever gets an answer. */

static void
ngx_http_jelou_check_unique(ngx_http_jelou_check_t *check,
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

    n = ngx_http_jelou_count_items(check->event->items);

    if (n < 2) {
        return;
    }

    pages = NULL;
    ids = ngx_http_jelou_pages_palloc(check->event->pool,
                                      n * sizeof(ngx_http_jelou_item_id_t),
                                      &pages);

    rc = ids ? ngx_http_jelou_item_ids(check->event, ids, &n) : NGX_ERROR;

    if (rc != NGX_OK) {
        check->event->failed = 1;
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
            ngx_http_jelou_violation(check->event, &item, &id->name, &message);
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

static ngx_int_t
ngx_http_jelou_make_ids(ngx_http_jelou_check_t *check, ngx_log_t *log)
{
    ngx_uint_t               i;
    ngx_list_part_t         *part;
    ngx_http_jelou_event_t  *event;
    ngx_http_jelou_value_t  *v;

    event = check->event;

    if (!check->schema->endpoint->names_message) {
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


uint32_t
ngx_http_jelou_type_bit(const ngx_http_jelou_endpoint_t *endpoint,
    ngx_str_t *name)
{
    ngx_uint_t                       i;
    const ngx_http_jelou_variant_t  *t;

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if (t->type.len == name->len
            && ngx_memcmp(t->type.data, name->data, name->len) == 0)
        {
            return ngx_http_jelou_bit(i);
        }
    }

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if (t->name.len == name->len
            && ngx_memcmp(t->name.data, name->data, name->len) == 0)
        {
            return ngx_http_jelou_bit(i);
        }
    }

    return 0;
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
ngx_http_jelou_value_encode(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_jelou_value_t *value)
{
    size_t  escapes;

    if (ngx_http_jelou_text_check(text->data, text->data + text->len)
        || ngx_http_jelou_rule_id(text, NULL, NULL))
    {
        return NGX_DECLINED;
    }

    escapes = ngx_escape_json(NULL, text->data, text->len);

    value->type = NGX_HTTP_JELOU_STRING;
    value->data = text->data;
    value->len = (uint32_t) (text->len + escapes);

    if (escapes == 0) {
        return NGX_OK;
    }

    value->escaped = 1;
    value->data = ngx_pnalloc(pool, value->len);

    if (value->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_json(value->data, text->data, text->len);

    return NGX_OK;
}


ngx_uint_t
ngx_http_jelou_has_project(const ngx_http_jelou_endpoint_t *endpoint)
{
    return ngx_http_jelou_project_name(endpoint) != NULL;
}


static const ngx_str_t *
ngx_http_jelou_project_name(const ngx_http_jelou_endpoint_t *endpoint)
{
    ngx_uint_t                      i;
    const ngx_http_jelou_object_t  *object;

    object = endpoint->kind->object;

    for (i = 0; i < object->nmembers; i++) {
        if (object->members[i].slot == NGX_HTTP_JELOU_PROJECT_ID) {
            return &object->members[i].name;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_jelou_project_id(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_str_t *text)
{
    size_t                   max;
    ngx_int_t                rc;
    const ngx_str_t         *name;
    ngx_http_jelou_value_t   value;

    name = ngx_http_jelou_project_name(schema->endpoint);

    if (event->has_project || name == NULL) {
        *text = event->project;
        return NGX_OK;
    }

    /* a token of more bytes is too long in whatever way it is written */

    max = NGX_HTTP_JELOU_ID_MAX * (sizeof("\\u0000") - 1);

    rc = ngx_http_jelou_parse_string_member(&event->body, name, max, &value,
                                            event->pool->log);

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_value_decode(event->pool, &value, text);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK || ngx_http_jelou_rule_id(text, NULL, schema)) {
        ngx_str_null(text);
    }

    event->project = *text;
    event->has_project = 1;

    return NGX_OK;
}
