/*
 * What the documentation promises of an accepted body: the bytes that are
 * forwarded, and the answer.
 */


#include "model.h"

#include <stdio.h>
#include <string.h>
#include <time.h>


static void
put(text_t *out, const char *s)
{
    text_add(out, str_of(s));
}


static void
put_string(text_t *out, const char *before, str_t token)
{
    put(out, before);
    text_byte(out, '"');
    text_add(out, token);
    text_byte(out, '"');
}


/* The member's string, or nothing at all if it is not there. */

static void
put_member(text_t *out, const char *before, tree_t *object, const char *name)
{
    tree_t  *node;

    node = object ? model_first(object, name) : NULL;

    if (node) {
        put_string(out, before, node->token);
    }
}


static void
put_fixed(text_t *out, const terms_t *terms, int n)
{
    static const char *const  before[] = {
        "{\"field\":", ",\"object\":", ",\"event_type\":"
    };

    for (int i = 0; i < n; i++) {
        put(out, before[i]);
        text_add(out, terms->json[i]);
    }
}


static void
put_value(text_t *out, tree_t *root)
{
    tree_t        *value, *content;
    const message_type_t  *type;

    value = model_first(root, "value");
    content = model_first(value, "content");
    type = message_type(model_first(value, "type")->token, 0);

    put_member(out, ",\"value\":{\"id\":", value, "id");
    put_string(out, ",\"type\":", str_of(type->name));
    put(out, ",\"content\":{");

    if (token_in(type->required, str("body"))) {
        put_member(out, "\"body\":", content, "body");

    } else {
        put_member(out, "\"url\":", content, "url");
        put_member(out, ",\"mime_type\":", content, "mime_type");
    }

    if (token_in(type->optional, str("caption"))) {
        put_member(out, ",\"caption\":", content, "caption");
    }

    if (token_in(type->optional, str("filename"))) {
        put_member(out, ",\"filename\":", content, "filename");
    }

    put(out, "}}}");
}


static void
put_incoming(text_t *out, const terms_t *terms, tree_t *root)
{
    put_fixed(out, terms, 3);
    put_member(out, ",\"project_id\":", root, "project_id");
    put_member(out, ",\"room_id\":", root, "room_id");
    put_member(out, ",\"bot_id\":", root, "bot_id");
    put_member(out, ",\"user_id\":", root, "user_id");
    put_value(out, root);
}


static void
put_message(text_t *out, const terms_t *terms, tree_t *root)
{
    int  turn = model_turn(terms, root);

    put_fixed(out, terms, turn ? 2 : 3);

    if (turn) {
        put_member(out, ",\"event_type\":", root, "event");
    }

    put(out, ",\"timestamp\":");
    text_add(out, model_first(root, "timestamp")->token);
    put_member(out, ",\"project_id\":", root, "project_id");

    if (turn) {
        put(out, ",\"data\":");
        tree_write(out, root, NULL);
        put(out, "}");
        return;
    }

    put_member(out, ",\"room_id\":", root, "room_id");
    put_member(out, ",\"conversation_id\":", model_first(root, "conversation"),
               "id");
    put_member(out, ",\"bot_id\":", model_first(root, "bot"), "id");
    put_member(out, ",\"bot_name\":", model_first(root, "bot"), "name");
    put_member(out, ",\"user_id\":", model_first(root, "contact"), "id");
    put_member(out, ",\"user_name\":", model_first(root, "contact"), "name");
    put_value(out, root);
}


static void
put_room(text_t *out, const terms_t *terms, tree_t *root)
{
    tree_t        *item;
    const message_type_t  *type;

    put_fixed(out, terms, 3);
    put_string(out, ",\"room_id\":", terms->path_token);
    put_member(out, ",\"sender_id\":", root, "senderId");
    put(out, ",\"values\":[");

    for (item = model_first(root, "messages")->child; item;
         item = item->next)
    {
        type = message_type(model_first(item, "type")->token, 1);

        put_member(out, "{\"id\":", item, "id");
        put_string(out, ",\"type\":", str_of(type->name));
        put(out, ",\"content\":{");

        if (type == message_types) {
            put_member(out, "\"body\":", item, "text");

        } else {
            put_member(out, "\"url\":", item, "mediaUrl");
            put_member(out, ",\"caption\":", item, "text");
        }

        put(out, item->next ? "}}," : "}}");
    }

    put(out, "]}");
}


static void
put_list(text_t *out, const terms_t *terms, tree_t *root)
{
    size_t   i;
    tree_t  *button, *item;

    button = model_first(root, "buttonText");

    put(out, ",\"button\":{");

    if (button && model_first(button, "type")) {
        put_member(out, "\"type\":", button, "type");

    } else {
        put(out, "\"type\":\"text\"");
    }

    if (button && model_first(button, "text")) {
        put_member(out, ",\"text\":", button, "text");

    } else {
        put(out, ",\"text\":\"Opciones\"");
    }

    put(out, "}");

    put(out, ",\"options\":[");

    for (i = 0, item = model_first(root, "options")->child; item;
         item = item->next, i++)
    {
        put_string(out, "{\"id\":", terms->option_id[i]);
        put_member(out, ",\"title\":", item, "title");
        put_member(out, ",\"description\":", item, "description");
        put(out, item->next ? "}," : "}");
    }

    put(out, "]");
}


static void
put_bot(text_t *out, const terms_t *terms, tree_t *root)
{
    int  list = model_first(root, "options") != NULL;

    put_fixed(out, terms, 3);
    put_string(out, ",\"bot_id\":", terms->path_token);
    put_member(out, ",\"user_id\":", root, "userId");
    put_string(out, ",\"value\":{\"id\":", terms->message_id);
    put_string(out, ",\"type\":", list ? str("list") : str("text"));
    put_member(out, ",\"content\":{\"body\":", root, "text");
    put_member(out, ",\"title\":", root, "title");

    if (list) {
        put_list(out, terms, root);
    }

    put(out, "}}}");
}


static void (*const  puts_event[ENDPOINTS])(text_t *out,
                                            const terms_t *terms, tree_t *root)
= {
    put_incoming, put_message, put_room, put_bot
};


void
model_event(text_t *out, const terms_t *terms, tree_t *root)
{
    puts_event[terms->endpoint](out, terms, root);
}


/* The text that the token stands for, as RFC 3986 has it in a path. */

static void
put_encoded(text_t *out, const char *before, str_t token)
{
    int    lone;
    char   escape[4];
    str_t  text;

    (void) token_decode(token, &text, &lone);

    put(out, before);

    for (size_t i = 0; i < text.len; i++) {
        uint8_t  c = text.data[i];

        if (is_alpha(c) || is_digit(c) || (c && strchr("-._~", c))) {
            text_byte(out, c);

        } else {
            snprintf(escape, sizeof(escape), "%%%02X", c);
            put(out, escape);
        }
    }
}


static void
put_time(text_t *out, const terms_t *terms, tree_t *root)
{
    char                 time[64];
    time_t               sec;
    tree_t              *timestamp;
    struct tm            tm;
    unsigned long long   ms;

    ms = terms->received;
    timestamp = terms->endpoint == MESSAGE ? model_first(root, "timestamp")
                                           : NULL;

    if (timestamp) {
        snprintf(time, sizeof(time), "%.*s", (int) timestamp->token.len,
                 timestamp->token.data);
        sscanf(time, "%llu", &ms);
    }

    sec = (time_t) (ms / 1000);
    gmtime_r(&sec, &tm);
    strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &tm);

    put(out, time);
    snprintf(time, sizeof(time), ".%03uZ", (unsigned) (ms % 1000));
    put(out, time);
}


static void
put_source(text_t *out, const terms_t *terms, tree_t *root)
{
    if (terms->endpoint == ROOM_MESSAGE) {
        put_encoded(out, "/rooms/", terms->path_token);
        return;
    }

    if (terms->endpoint == BOT_MESSAGE) {
        put_encoded(out, "/bots/", terms->path_token);
        return;
    }

    put_encoded(out, "/projects/", model_first(root, "project_id")->token);

    if (!model_turn(terms, root)) {
        put_encoded(out, "/rooms/", model_first(root, "room_id")->token);
    }
}


void
model_items(text_t *out, tree_t *root, const char *name)
{
    tree_t  *item;

    for (item = model_first(root, "messages")->child; item;
         item = item->next)
    {
        tree_t  *node = model_first(item, name);

        text_add(out, strcmp(name, "type") == 0
                      ? str_of(message_type(node->token, 1)->name)
                      : node->token);

        if (item->next) {
            text_byte(out, ',');
        }
    }
}


static void
put_id(text_t *out, const terms_t *terms, tree_t *root)
{
    if (terms->endpoint == ROOM_MESSAGE) {
        model_items(out, root, "id");

    } else if (terms->endpoint == BOT_MESSAGE) {
        text_add(out, terms->message_id);

    } else if (model_turn(terms, root)) {
        text_add(out, terms->digest);

    } else {
        text_add(out, model_first(model_first(root, "value"), "id")->token);
    }
}


void
model_cloudevent(text_t *out, const terms_t *terms, tree_t *root)
{
    int    turn = model_turn(terms, root);
    str_t  type = terms->json[2];

    put(out, "{\"specversion\":\"1.0\",\"id\":\"");
    put_id(out, terms, root);
    put(out, "\",\"source\":\"");
    put_source(out, terms, root);
    put(out, "\",\"type\":\"ai.jelou.");

    text_add(out, turn ? model_first(root, "event")->token
                       : (str_t) { type.data + 1, type.len - 2 });
    put(out, "\"");

    if (!turn) {
        put_member(out, ",\"subject\":",
                   terms->endpoint == MESSAGE ? model_first(root, "contact")
                                              : root,
                   terms->endpoint == MESSAGE ? "id"
                   : terms->endpoint == ROOM_MESSAGE ? "senderId"
                   : terms->endpoint == BOT_MESSAGE ? "userId" : "user_id");
    }

    put(out, ",\"time\":\"");
    put_time(out, terms, root);

    put_string(out, "\",\"partitionkey\":",
               terms->path_token.len ? terms->path_token
               : model_first(root, turn ? "project_id" : "room_id")->token);

    put(out, ",\"datacontenttype\":\"application/json\",\"data\":");
    model_event(out, terms, root);
    put(out, "}");
}


void
model_answer(text_t *out, const terms_t *terms, tree_t *root)
{
    put(out, "{\"success\":true");

    if (terms->endpoint == ROOM_MESSAGE) {
        put(out, ",\"messageIds\":[");

        for (tree_t *item = model_first(root, "messages")->child; item;
             item = item->next)
        {
            put_member(out, "", item, "id");
            put(out, item->next ? "," : "");
        }

        put(out, "]");

    } else if (!model_turn(terms, root)) {
        put(out, ",\"messageId\":\"");
        put_id(out, terms, root);
        put(out, "\"");
    }

    put(out, "}");
}
