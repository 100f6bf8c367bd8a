
/*
 * The endpoints, as data: what a body of each must have, what each message type
 * has, and what is written of it.  The checker and the writer read these tables
 * and know no endpoint.
 */


#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_rule.h"


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

    ngx_http_jelou_string("title", TITLE, 0, NULL),
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
      ngx_http_jelou_has(ITEMS), ngx_http_jelou_has(BUTTON), 0, 0 },

    { ngx_string("text"), ngx_string("text"), 0,
      0, 0, 0, 0 }
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
