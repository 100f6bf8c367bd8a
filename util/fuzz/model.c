/*
 * What the documentation promises of a body: whether it is accepted, and where
 * it is wrong.
 */


#include "model.h"

#include <stdio.h>
#include <string.h>


typedef struct {
    verdict_t      *verdict;
    const terms_t  *terms;
} model_t;


tree_t *
model_first(tree_t *object, const char *name)
{
    tree_t  *node;

    for (node = object->child; node; node = node->next) {
        if (token_is(node->name, name)) {
            break;
        }
    }

    return node;
}


/* Where something is: RFC 6901, as it stands in a JSON string. */

static str_t
pointer(str_t parent, str_t token)
{
    char       escape[8];
    size_t     n;
    text_t     out;
    uint32_t  *points;

    points = memory_get((token.len + 1) * sizeof(uint32_t));
    n = token_points(token, points);

    text_init(&out, parent.len + 1 + 6 * token.len);

    text_add(&out, parent);
    text_byte(&out, '/');

    for (size_t i = 0; i < n; i++) {
        uint32_t  c = points[i];

        if (c < 0x20 || (c >= 0xd800 && c < 0xe000)) {
            snprintf(escape, sizeof(escape), "\\u%04x", c);
            text_add(&out, str_of(escape));
            continue;
        }

        if (c == '~' || c == '/') {
            text_byte(&out, '~');
            c = c == '~' ? '0' : '1';

        } else if (c == '"' || c == '\\') {
            text_byte(&out, '\\');
        }

        text_utf8(&out, c);
    }

    return text_str(&out);
}


static void
wrong(model_t *m, str_t place)
{
    verdict_t  *v = m->verdict;

    if (v->npointers == POINTERS) {
        return;
    }

    for (size_t i = 0; i < v->npointers; i++) {
        if (str_equal(v->pointers[i], place)) {
            return;
        }
    }

    v->pointers[v->npointers++] = place;
}


/* The member, if it is there once and of that type; otherwise it is wrong. */

static tree_t *
member(model_t *m, str_t place, tree_t *object, const char *name,
    tree_type_e type, int required)
{
    int      n;
    tree_t  *node, *found;

    n = 0;
    found = NULL;

    for (node = object->child; node; node = node->next) {
        if (token_is(node->name, name)) {
            found = node;
            n++;
        }
    }

    if (n == 0 && !required) {
        return NULL;
    }

    if (n != 1 || found->type != type) {
        wrong(m, pointer(place, str_of(name)));
        return NULL;
    }

    return found;
}


/* "strict": no other members than those of the list; the object is wrong */

static void
only(model_t *m, str_t place, tree_t *object, const char *list)
{
    if (!m->terms->strict || object == NULL || object->type != TREE_OBJECT) {
        return;
    }

    for (tree_t *node = object->child; node; node = node->next) {
        if (!token_in(list, node->name)) {
            wrong(m, place);
            return;
        }
    }
}


/* A string member with a rule of its own, or NULL. */

static tree_t *
text_member(model_t *m, str_t place, tree_t *object, const char *name,
    int required, int (*good)(str_t))
{
    tree_t  *node;

    node = member(m, place, object, name, TREE_STRING, required);

    if (node && ((m->terms->text && !is_storable(node->token))
                 || (good && !good(node->token))))
    {
        wrong(m, pointer(place, str_of(name)));
        return NULL;
    }

    return node;
}


static void
check_timestamp(model_t *m, tree_t *root)
{
    tree_t              *node;
    unsigned long long   ms;

    node = member(m, str(""), root, "timestamp", TREE_NUMBER, 1);

    if (node == NULL) {
        return;
    }

    ms = 0;

    for (size_t i = 0; i < node->token.len; i++) {

        if (!is_digit(node->token.data[i]) || ms > 253402300799999ULL) {
            ms = 253402300800000ULL;
            break;
        }

        ms = 10 * ms + (node->token.data[i] - '0');
    }

    /* 9999-12-31T23:59:59.999Z; what is before 1973 is in seconds */

    if (ms > 253402300799999ULL || ms < 100000000000ULL) {
        wrong(m, str("/timestamp"));
    }
}


static void
check_fixed(model_t *m, tree_t *root)
{
    static const char *const  names[] = { "field", "object", "event_type" };

    for (size_t i = 0; i < 3; i++) {
        int      lone;
        str_t    text;
        tree_t  *node;

        node = text_member(m, str(""), root, names[i], 1, NULL);

        if (node == NULL) {
            continue;
        }

        (void) token_decode(node->token, &text, &lone);

        if (lone || !str_equal(text, m->terms->fixed[i])) {
            wrong(m, pointer(str(""), str_of(names[i])));
        }
    }
}


/*
 * A member that is not the message type's: left out, and a violation only if it
 * is no single value of its type
 */

static tree_t *
foreign(model_t *m, str_t place, tree_t *object, const char *name,
    tree_type_e type)
{
    tree_t  *node;

    node = member(m, place, object, name, type, 0);

    if (node && m->terms->strict) {
        wrong(m, pointer(place, str_of(name)));
        return NULL;
    }

    return node;
}


/*
 * A member that the message type decides about: without one, all that there are
 * may stand there
 */

static void
check_content(model_t *m, str_t place, tree_t *object, const char *name,
    const message_type_t *type, int (*good)(str_t))
{
    if (type == NULL || token_in(type->optional, str_of(name))) {
        (void) text_member(m, place, object, name, 0, good);

    } else if (token_in(type->required, str_of(name))) {
        (void) text_member(m, place, object, name, 1, good);

    } else {
        (void) foreign(m, place, object, name, TREE_STRING);
    }
}


/* Returns the message type, or NULL if there is none. */

static const message_type_t *
check_type(model_t *m, str_t place, tree_t *object, int upper)
{
    tree_t        *node;
    const message_type_t  *type;

    node = text_member(m, place, object, "type", 1, NULL);

    if (node == NULL) {
        return NULL;
    }

    type = message_type(node->token, upper);

    if (type == NULL) {
        wrong(m, pointer(place, str("type")));
    }

    return type;
}


static void
check_value(model_t *m, tree_t *root)
{
    tree_t        *value, *content;
    const message_type_t  *type;

    value = model_first(root, "value");

    if (value && value->type == TREE_OBJECT) {
        only(m, str("/value"), value, " id type content ");
        only(m, str("/value/content"), model_first(value, "content"),
             " body url mime_type caption filename ");
    }

    value = member(m, str(""), root, "value", TREE_OBJECT, 1);

    if (value == NULL) {
        return;
    }

    (void) text_member(m, str("/value"), value, "id", 1, good_identifier);

    type = check_type(m, str("/value"), value, 0);
    content = member(m, str("/value"), value, "content", TREE_OBJECT, 1);

    if (content) {
        str_t  place = str("/value/content");

        check_content(m, place, content, "body", type, NULL);
        check_content(m, place, content, "url", type, good_https);
        check_content(m, place, content, "mime_type", type, good_mime_type);
        check_content(m, place, content, "caption", type, NULL);
        check_content(m, place, content, "filename", type, NULL);
    }
}


static void
check_incoming(model_t *m, tree_t *root)
{
    only(m, str(""), root,
         " field object event_type project_id room_id bot_id user_id value ");

    check_fixed(m, root);

    (void) text_member(m, str(""), root, "project_id", 1, good_identifier);
    (void) text_member(m, str(""), root, "room_id", 1, good_identifier);
    (void) text_member(m, str(""), root, "bot_id", 1, good_identifier);
    (void) text_member(m, str(""), root, "user_id", 1, good_identifier);

    check_value(m, root);
}


static void
check_party(model_t *m, tree_t *root, const char *name, const char *list)
{
    str_t    place = pointer(str(""), str_of(name));
    tree_t  *party;

    only(m, place, model_first(root, name), list);

    party = member(m, str(""), root, name, TREE_OBJECT, 1);

    if (party) {
        (void) text_member(m, place, party, "id", 1, good_identifier);

        if (token_in(list, str("name"))) {
            (void) text_member(m, place, party, "name", 0, NULL);
        }
    }
}


int
model_turn(const terms_t *terms, tree_t *root)
{
    tree_t  *event = model_first(root, "event");

    return terms->endpoint == MESSAGE && terms->conversation != CONVERSATION_OFF
           && event && event->type == TREE_STRING
           && is_conversation(event->token)
           && model_first(root, "event_type") == NULL;
}


/* U+017F and U+212A are "s" and "k" to those who do not tell case apart. */

static int
is_varied(str_t token, const char *name)
{
    size_t     i, n;
    uint32_t  *points;

    points = memory_get((token.len + 1) * sizeof(uint32_t));
    n = token_points(token, points);

    for (i = 0; i < n && name[i]; i++) {
        uint32_t  c = points[i] == 0x17f ? 's' : points[i] == 0x212a ? 'k'
                      : points[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;
        }

        if (c != (uint8_t) name[i]) {
            return 0;
        }
    }

    return i == n && name[i] == '\0' && !token_is(token, name);
}


static void
check_turn(model_t *m, tree_t *root)
{
    m->verdict->turn = 1;

    (void) text_member(m, str(""), root, "event", 1,
                       m->terms->conversation == CONVERSATION_KNOWN
                       ? good_known_turn : good_turn);
    check_timestamp(m, root);
    (void) text_member(m, str(""), root, "project_id", 1, good_identifier);

    /* all of the body goes on */

    if (m->terms->text && !is_all_storable(root)) {
        wrong(m, str(""));
    }

    for (tree_t *node = root->child; node && m->terms->strict;
         node = node->next)
    {
        if (is_varied(node->name, "event")
            || is_varied(node->name, "timestamp")
            || is_varied(node->name, "project_id"))
        {
            wrong(m, str(""));
        }
    }
}


static void
check_message(model_t *m, tree_t *root)
{
    if (model_turn(m->terms, root)) {
        check_turn(m, root);
        return;
    }

    only(m, str(""), root, " field object event_type timestamp project_id "
                           "room_id contact conversation bot value event ");

    check_fixed(m, root);
    check_timestamp(m, root);

    (void) text_member(m, str(""), root, "project_id", 1, good_identifier);
    (void) text_member(m, str(""), root, "room_id", 1, good_identifier);

    check_party(m, root, "contact", " id name ");
    check_party(m, root, "conversation", " id ");
    check_party(m, root, "bot", " id name ");

    check_value(m, root);

    if (m->terms->conversation == CONVERSATION_OFF
        || model_first(root, "event_type"))
    {
        (void) foreign(m, str(""), root, "event", TREE_STRING);

    } else {
        (void) text_member(m, str(""), root, "event", 0, good_turn);
    }
}


static void
check_room_item(model_t *m, str_t place, tree_t *item)
{
    const message_type_t  *type;

    /* the room's names of what its messages have */

    static const message_type_t  text = { NULL, NULL, " text ", "" };
    static const message_type_t  media = { NULL, NULL, " mediaUrl ", " text " };

    only(m, place, item, " id type text mediaUrl ");

    (void) text_member(m, place, item, "id", 1, good_uuid);

    type = check_type(m, place, item, 1);
    type = type == NULL ? NULL : type == message_types ? &text : &media;

    check_content(m, place, item, "text", type, NULL);
    check_content(m, place, item, "mediaUrl", type, good_media);
}


static void
check_option(model_t *m, str_t place, tree_t *item)
{
    only(m, place, item, " id title description ");

    (void) text_member(m, place, item, "id", 0, good_identifier);
    (void) text_member(m, place, item, "title", 1, good_title);
    (void) text_member(m, place, item, "description", 0, good_description);
}


static str_t
item_place(const char *name, size_t i)
{
    text_t  out;
    size_t  tens;

    text_init(&out, 32);
    text_byte(&out, '/');
    text_add(&out, str_of(name));
    text_byte(&out, '/');

    for (tens = 1; i / tens >= 10; tens *= 10) { }

    for ( /* void */ ; tens; tens /= 10) {
        text_byte(&out, (uint8_t) ('0' + i / tens % 10));
    }

    return text_str(&out);
}


/* A valid id, lower case if that does not count, or nothing */

static str_t
item_id(model_t *m, tree_t *item, int uuid)
{
    int      lone;
    str_t    id;
    text_t   out;
    tree_t  *node;
    model_t  aside = *m;

    verdict_t  unused;

    unused.npointers = 0;
    aside.verdict = &unused;

    node = item->type == TREE_OBJECT
           ? text_member(&aside, str(""), item, "id", 0,
                         uuid ? good_uuid : good_identifier)
           : NULL;

    if (node == NULL) {
        return str("");
    }

    token_decode(node->token, &id, &lone);

    text_init(&out, id.len);

    for (size_t i = 0; i < id.len; i++) {
        text_byte(&out, uuid ? id.data[i] | 0x20 : id.data[i]);
    }

    return text_str(&out);
}


/* Each id is another one than those before it. */

static void
check_unique(model_t *m, const char *name, tree_t *array, size_t limit)
{
    size_t   i, k;
    str_t   *ids;
    tree_t  *item;

    ids = memory_get((limit + 1) * sizeof(str_t));

    for (i = 0, item = array->child; i < limit; item = item->next, i++) {
        ids[i] = item_id(m, item, m->terms->endpoint == ROOM_MESSAGE);

        for (k = 0; ids[i].len && k < i; k++) {
            if (str_equal(ids[i], ids[k])) {
                wrong(m, pointer(item_place(name, i), str("id")));
                break;
            }
        }
    }
}


static size_t
count(tree_t *array)
{
    size_t  n = 0;

    for (tree_t *item = array->child; item; item = item->next) {
        n++;
    }

    return n;
}


/* Of too many items, those behind the limit are not looked at. */

static void
check_items(model_t *m, tree_t *root, const char *name, size_t limit,
    void (*check)(model_t *, str_t, tree_t *))
{
    size_t   i;
    tree_t  *array, *item;

    array = model_first(root, name);

    if (array == NULL || array->type != TREE_ARRAY) {
        return;
    }

    limit = limit && limit < count(array) ? limit : count(array);

    for (i = 0, item = array->child; i < limit; item = item->next, i++) {
        if (item->type == TREE_OBJECT) {
            check(m, item_place(name, i), item);

        } else {
            wrong(m, item_place(name, i));
        }
    }

    check_unique(m, name, array, limit);
}


static void
check_room(model_t *m, tree_t *root)
{
    tree_t  *messages;

    only(m, str(""), root, " senderId messages ");
    check_items(m, root, "messages", 0, check_room_item);

    (void) text_member(m, str(""), root, "senderId", 1, good_identifier);

    messages = member(m, str(""), root, "messages", TREE_ARRAY, 1);

    if (messages && count(messages) == 0) {
        wrong(m, str("/messages"));
    }
}


/* Where it is the type's own: with options, or as long as nobody knows */

static void
check_button(model_t *m, tree_t *root, int own)
{
    tree_t  *button;
    str_t    place = str("/buttonText");

    if (own) {
        button = member(m, str(""), root, "buttonText", TREE_OBJECT, 0);

        if (button) {
            (void) text_member(m, place, button, "type", 0, NULL);
            (void) text_member(m, place, button, "text", 0, NULL);
        }

        return;
    }

    button = foreign(m, str(""), root, "buttonText", TREE_OBJECT);

    if (button) {
        (void) foreign(m, place, button, "type", TREE_STRING);
        (void) foreign(m, place, button, "text", TREE_STRING);
    }
}


static void
check_bot(model_t *m, tree_t *root)
{
    int      lone;
    str_t    id;
    tree_t  *type, *bot, *options;

    only(m, str(""), root, " type userId text botId title buttonText options ");
    only(m, str("/buttonText"), model_first(root, "buttonText"),
         " type text ");
    check_items(m, root, "options", 10, check_option);

    (void) text_member(m, str(""), root, "userId", 1, good_identifier);
    (void) text_member(m, str(""), root, "text", 1, NULL);
    (void) text_member(m, str(""), root, "title", 0, NULL);

    bot = text_member(m, str(""), root, "botId", 0, NULL);

    if (bot) {
        (void) token_decode(bot->token, &id, &lone);

        if (lone || !str_equal(id, m->terms->path_id)) {
            wrong(m, str("/botId"));
        }
    }

    type = text_member(m, str(""), root, "type", 1, NULL);

    if (type && !token_is(type->token, "text")) {
        wrong(m, str("/type"));
        type = NULL;
    }

    options = model_first(root, "options");

    check_button(m, root, type == NULL || options);

    options = member(m, str(""), root, "options", TREE_ARRAY, 0);

    if (options && (count(options) < 1 || count(options) > 10)) {
        wrong(m, str("/options"));
    }
}


static void (*const  checks[ENDPOINTS])(model_t *m, tree_t *root) = {
    check_incoming, check_message, check_room, check_bot
};


/* $jelou_project_id, which a key may be chosen by, of any JSON object */

str_t
model_project_id(const terms_t *terms, tree_t *root)
{
    int        lone;
    str_t      text;
    tree_t    *node;
    terms_t    any;
    model_t    m;
    verdict_t  unused;

    any = *terms;
    any.text = TEXT_ANY;

    unused.npointers = 0;
    m.verdict = &unused;
    m.terms = &any;

    if (terms->endpoint == ROOM_MESSAGE || terms->endpoint == BOT_MESSAGE) {
        return str("");
    }

    node = text_member(&m, str(""), root, "project_id", 1, good_identifier);

    if (node == NULL) {
        return str("");
    }

    (void) token_decode(node->token, &text, &lone);

    return text;
}


void
model_check(verdict_t *verdict, const terms_t *terms, tree_t *root)
{
    model_t  m = { verdict, terms };

    memset(verdict, 0, sizeof(verdict_t));

    checks[terms->endpoint](&m, root);

    if (terms->text == TEXT_BODY && !is_all_storable(root)) {
        wrong(&m, str(""));
    }

    verdict->accepted = (verdict->npointers == 0);
}
