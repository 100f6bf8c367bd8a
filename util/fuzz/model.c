/*
 * What the documentation promises of a body.
 */


#include "model.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>


typedef struct {
    verdict_t      *verdict;
    const terms_t  *terms;
} model_t;

typedef struct {
    const char     *name;
    const char     *upper;        /* in a room_message, or NULL */
    const char     *required;     /* of its content, with spaces around */
    const char     *optional;
} type_t;


static const type_t  types[] = {
    { "text", "TEXT", " body ", "" },
    { "image", "IMAGE", " url mime_type ", " caption " },
    { "video", "VIDEO", " url mime_type ", " caption " },
    { "audio", NULL, " url mime_type ", "" },
    { "document", "DOCUMENT", " url mime_type ", " filename " },
    { NULL, NULL, NULL, NULL }
};


static str_t
string(const char *s)
{
    size_t  n;

    for (n = 0; s[n]; n++) { }

    return (str_t) { (const uint8_t *) s, n };
}


static int
is(str_t token, const char *s)
{
    int     lone;
    str_t   text;
    size_t  i;

    /* most tokens have no escape, and are another word from the start */

    for (i = 0; i < token.len && token.data[i] != '\\'; i++) {
        if (s[i] == '\0' || token.data[i] != (uint8_t) s[i]) {
            return 0;
        }
    }

    if (i == token.len) {
        return s[i] == '\0';
    }

    token_decode(token, &text, &lone);

    return !lone && str_equal(text, string(s));
}


static int
in(const char *list, str_t token)
{
    int          lone, same;
    str_t        text;
    size_t       i;
    const char  *word;

    token_decode(token, &text, &lone);

    for (word = list; *word == ' ' && !lone; word += i) {
        word++;

        for (i = 0, same = text.len != 0; word[i] && word[i] != ' '; i++) {
            same = same && i < text.len && text.data[i] == (uint8_t) word[i];
        }

        if (same && i == text.len) {
            return 1;
        }
    }

    return 0;
}


tree_t *
model_first(tree_t *object, const char *name)
{
    tree_t  *node;

    for (node = object->child; node; node = node->next) {
        if (is(node->name, name)) {
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
            text_add(&out, string(escape));
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
        if (is(node->name, name)) {
            found = node;
            n++;
        }
    }

    if (n == 0 && !required) {
        return NULL;
    }

    if (n != 1 || found->type != type) {
        wrong(m, pointer(place, string(name)));
        return NULL;
    }

    return found;
}


/* "strict": no other members than those of the list */

static void
only(model_t *m, str_t place, tree_t *object, const char *list)
{
    if (!m->terms->strict || object == NULL || object->type != TREE_OBJECT) {
        return;
    }

    for (tree_t *node = object->child; node; node = node->next) {
        if (!in(list, node->name)) {
            wrong(m, pointer(place, node->name));
        }
    }
}


int
model_identifier(str_t text)
{
    if (text.len < 1 || text.len > 256) {
        return 0;
    }

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return 0;
        }
    }

    return 1;
}


static int
blank(str_t token)
{
    size_t     n;
    uint32_t  *points;

    points = memory_get((token.len + 1) * sizeof(uint32_t));
    n = token_points(token, points);

    for (size_t i = 0; i < n; i++) {
        uint32_t  c = points[i];

        if (c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x1680
            || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029
            || c == 0x202f || c == 0x205f || c == 0x3000)
        {
            return 1;
        }
    }

    return 0;
}


static int
is_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}


static int
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}


static int
good_https(str_t token)
{
    int     lone;
    str_t   url;
    size_t  i, host, end;

    (void) token_decode(token, &url, &lone);

    if (lone || url.len < 8
        || strncasecmp((const char *) url.data, "https://", 8) != 0
        || blank(token))
    {
        return 0;
    }

    for (end = 8; end < url.len && !strchr("/?#", url.data[end]); end++) { }

    for (host = 8, i = 8; i < end; i++) {
        if (url.data[i] == '@') {
            host = i + 1;
        }
    }

    return host < end && url.data[host] != ':';
}


static int
good_uri(str_t token)
{
    int     lone;
    str_t   uri;
    size_t  i;

    (void) token_decode(token, &uri, &lone);

    if (lone || uri.len == 0 || !is_alpha(uri.data[0]) || blank(token)) {
        return 0;
    }

    for (i = 1; i < uri.len; i++) {
        uint8_t  c = uri.data[i];

        if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '-' && c != '.') {
            break;
        }
    }

    return i + 1 < uri.len && uri.data[i] == ':';
}


static int
good_uuid(str_t token)
{
    int    lone;
    str_t  uuid;

    static const char  form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    (void) token_decode(token, &uuid, &lone);

    if (lone || uuid.len != sizeof(form) - 1) {
        return 0;
    }

    for (size_t i = 0; i < uuid.len; i++) {
        uint8_t  c = uuid.data[i];

        if (form[i] == '-' ? c != '-'
            : !is_digit(c) && !(is_alpha(c) && (c | 0x20) <= 'f'))
        {
            return 0;
        }
    }

    return 1;
}


/* RFC 9110, 5.6.2 */

static size_t
skip_token(str_t s, size_t i)
{
    while (i < s.len && s.data[i]
           && (is_alpha(s.data[i]) || is_digit(s.data[i])
               || strchr("!#$%&'*+-.^_`|~", s.data[i])))
    {
        i++;
    }

    return i;
}


/* RFC 9110, 5.6.4: where the quoted string ends, or 0 */

static size_t
skip_quoted(str_t s, size_t i)
{
    for (i++; i < s.len; i++) {
        uint8_t  c = s.data[i];

        if (c == '"') {
            return i + 1;
        }

        if (c == '\\' && ++i == s.len) {
            return 0;
        }

        c = s.data[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return 0;
        }
    }

    return 0;
}


static size_t
skip_blanks(str_t s, size_t i)
{
    while (i < s.len && (s.data[i] == ' ' || s.data[i] == '\t')) {
        i++;
    }

    return i;
}


static int
good_mime_type(str_t token)
{
    int     lone;
    str_t   s;
    size_t  i, j;

    (void) token_decode(token, &s, &lone);

    i = skip_token(s, 0);

    if (lone || i == 0 || i == s.len || s.data[i] != '/') {
        return 0;
    }

    j = skip_token(s, ++i);

    if (j == i) {
        return 0;
    }

    while (j < s.len) {
        j = skip_blanks(s, j);

        if (j == s.len || s.data[j] != ';') {
            return 0;
        }

        i = skip_blanks(s, j + 1);
        j = skip_token(s, i);

        if (j == i) {
            continue;                    /* an empty parameter */
        }

        if (j == s.len || s.data[j] != '=') {
            return 0;
        }

        i = j + 1;
        j = i < s.len && s.data[i] == '"' ? skip_quoted(s, i)
            : skip_token(s, i);

        if (j <= i) {
            return 0;
        }
    }

    return 1;
}


static int
good_identifier(str_t token)
{
    int    lone;
    str_t  text;

    (void) token_decode(token, &text, &lone);

    return !lone && model_identifier(text);
}


static int
good_turn(str_t token)
{
    return is(token, "conversation.start") || is(token, "conversation.close");
}


static int
good_title(str_t token)
{
    uint32_t  *points = memory_get((token.len + 1) * sizeof(uint32_t));
    size_t     n = token_points(token, points);

    return n >= 1 && n <= 24;
}


static int
good_description(str_t token)
{
    uint32_t  *points = memory_get((token.len + 1) * sizeof(uint32_t));

    return token_points(token, points) <= 72;
}


/* A string member with a rule of its own, or NULL. */

static tree_t *
text_member(model_t *m, str_t place, tree_t *object, const char *name,
    int required, int (*good)(str_t))
{
    tree_t  *node;

    node = member(m, place, object, name, TREE_STRING, required);

    if (node && good && !good(node->token)) {
        wrong(m, pointer(place, string(name)));
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

    /* 9999-12-31T23:59:59.999Z */

    if (ms > 253402300799999ULL) {
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

        node = member(m, str(""), root, names[i], TREE_STRING, 1);

        if (node == NULL) {
            continue;
        }

        (void) token_decode(node->token, &text, &lone);

        if (lone || !str_equal(text, m->terms->fixed[i])) {
            wrong(m, pointer(str(""), string(names[i])));
        }
    }
}


/* A member that the message type decides about */

static void
check_content(model_t *m, str_t place, tree_t *object, const char *name,
    const type_t *type, const char *meaning, int (*good)(str_t))
{
    if (in(type->required, string(meaning))) {
        (void) text_member(m, place, object, name, 1, good);

    } else if (in(type->optional, string(meaning))) {
        (void) text_member(m, place, object, name, 0, good);

    } else if (m->terms->strict && model_first(object, name)) {
        wrong(m, pointer(place, string(name)));
    }
}


static const type_t *
find_type(str_t token, int upper)
{
    for (const type_t *t = types; t->name; t++) {
        const char  *name = upper ? t->upper : t->name;

        if (name && is(token, name)) {
            return t;
        }
    }

    return NULL;
}


/* Returns the message type, or NULL if there is none. */

static const type_t *
check_type(model_t *m, str_t place, tree_t *object, int upper)
{
    tree_t        *node;
    const type_t  *type;

    node = text_member(m, place, object, "type", 1, NULL);

    if (node == NULL) {
        return NULL;
    }

    type = find_type(node->token, upper);

    if (type == NULL) {
        wrong(m, pointer(place, str("type")));
    }

    return type;
}


static const type_t *
check_value(model_t *m, tree_t *root)
{
    tree_t        *value, *content;
    const type_t  *type;

    value = model_first(root, "value");

    if (value && value->type == TREE_OBJECT) {
        only(m, str("/value"), value, " id type content ");
        only(m, str("/value/content"), model_first(value, "content"),
             " body url mime_type caption filename ");
    }

    value = member(m, str(""), root, "value", TREE_OBJECT, 1);

    if (value == NULL) {
        return NULL;
    }

    (void) text_member(m, str("/value"), value, "id", 1, good_identifier);

    type = check_type(m, str("/value"), value, 0);
    content = member(m, str("/value"), value, "content", TREE_OBJECT, 1);

    if (type && content) {
        str_t  place = str("/value/content");

        check_content(m, place, content, "body", type, "body", NULL);
        check_content(m, place, content, "url", type, "url", good_https);
        check_content(m, place, content, "mime_type", type, "mime_type",
                      good_mime_type);
        check_content(m, place, content, "caption", type, "caption", NULL);
        check_content(m, place, content, "filename", type, "filename", NULL);
    }

    return type;
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

    (void) check_value(m, root);
}


static void
check_party(model_t *m, tree_t *root, const char *name, const char *list)
{
    str_t    place = pointer(str(""), string(name));
    tree_t  *party;

    only(m, place, model_first(root, name), list);

    party = member(m, str(""), root, name, TREE_OBJECT, 1);

    if (party) {
        (void) text_member(m, place, party, "id", 1, good_identifier);

        if (in(list, str("name"))) {
            (void) text_member(m, place, party, "name", 0, NULL);
        }
    }
}


static void
check_message(model_t *m, tree_t *root)
{
    if (m->terms->conversation && model_first(root, "event")
        && !model_first(root, "event_type"))
    {
        m->verdict->turn = 1;

        (void) text_member(m, str(""), root, "event", 1, good_turn);
        check_timestamp(m, root);
        (void) text_member(m, str(""), root, "project_id", 1,
                           good_identifier);
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

    if (check_value(m, root) && m->terms->strict
        && model_first(root, "event"))
    {
        wrong(m, str("/event"));
    }
}


static void
check_room_item(model_t *m, str_t place, tree_t *item)
{
    const type_t  *type;

    /* the room's names of what its messages have */

    static const type_t  text = { NULL, NULL, " text ", "" };
    static const type_t  media = { NULL, NULL, " mediaUrl ", " text " };

    only(m, place, item, " id type text mediaUrl ");

    (void) text_member(m, place, item, "id", 1, good_uuid);

    type = check_type(m, place, item, 1);

    if (type) {
        type = type == types ? &text : &media;

        check_content(m, place, item, "text", type, "text", NULL);
        check_content(m, place, item, "mediaUrl", type, "mediaUrl", good_uri);
    }
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
    text_add(&out, string(name));
    text_byte(&out, '/');

    for (tens = 1; i / tens >= 10; tens *= 10) { }

    for ( /* void */ ; tens; tens /= 10) {
        text_byte(&out, (uint8_t) ('0' + i / tens % 10));
    }

    return text_str(&out);
}


static void
check_items(model_t *m, tree_t *root, const char *name,
    void (*check)(model_t *, str_t, tree_t *))
{
    size_t   i;
    tree_t  *array, *item;

    array = model_first(root, name);

    if (array == NULL || array->type != TREE_ARRAY) {
        return;
    }

    for (i = 0, item = array->child; item; item = item->next, i++) {
        if (item->type == TREE_OBJECT) {
            check(m, item_place(name, i), item);

        } else {
            wrong(m, item_place(name, i));
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


static void
check_room(model_t *m, tree_t *root)
{
    tree_t  *messages;

    only(m, str(""), root, " senderId messages ");
    check_items(m, root, "messages", check_room_item);

    (void) text_member(m, str(""), root, "senderId", 1, good_identifier);

    messages = member(m, str(""), root, "messages", TREE_ARRAY, 1);

    if (messages && count(messages) == 0) {
        wrong(m, str("/messages"));
    }
}


static void
check_list(model_t *m, tree_t *root)
{
    tree_t  *button, *options;

    (void) text_member(m, str(""), root, "title", 0, NULL);

    button = member(m, str(""), root, "buttonText", TREE_OBJECT, 0);

    if (button) {
        (void) text_member(m, str("/buttonText"), button, "type", 0, NULL);
        (void) text_member(m, str("/buttonText"), button, "text", 0, NULL);
    }

    options = member(m, str(""), root, "options", TREE_ARRAY, 1);

    if (options && (count(options) < 1 || count(options) > 10)) {
        wrong(m, str("/options"));
    }
}


static void
check_bot(model_t *m, tree_t *root)
{
    int      lone;
    str_t    id;
    tree_t  *type, *bot;

    only(m, str(""), root, " type userId text botId title buttonText options ");
    only(m, str("/buttonText"), model_first(root, "buttonText"),
         " type text ");
    check_items(m, root, "options", check_option);

    (void) text_member(m, str(""), root, "userId", 1, good_identifier);
    (void) text_member(m, str(""), root, "text", 1, NULL);

    bot = text_member(m, str(""), root, "botId", 0, NULL);

    if (bot) {
        (void) token_decode(bot->token, &id, &lone);

        if (lone || !str_equal(id, m->terms->path_id)) {
            wrong(m, str("/botId"));
        }
    }

    type = text_member(m, str(""), root, "type", 1, NULL);

    if (type == NULL || !is(type->token, "text")) {

        if (type) {
            wrong(m, str("/type"));
        }

        return;
    }

    if (model_first(root, "options")) {
        check_list(m, root);

    } else if (m->terms->strict) {

        if (model_first(root, "title")) {
            wrong(m, str("/title"));
        }

        if (model_first(root, "buttonText")) {
            wrong(m, str("/buttonText"));
        }
    }
}


static void (*const  checks[ENDPOINTS])(model_t *m, tree_t *root) = {
    check_incoming, check_message, check_room, check_bot
};


/* $jelou_project_id, which a key may be chosen by, of any JSON object */

static str_t
project_id(const terms_t *terms, tree_t *root)
{
    int        lone;
    str_t      text;
    tree_t    *node;
    model_t    m;
    verdict_t  unused;

    unused.npointers = 0;
    m.verdict = &unused;
    m.terms = terms;

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

    verdict->accepted = (verdict->npointers == 0);
    verdict->project_id = project_id(terms, root);
}


/* What follows writes events that are known to be right. */

static void
put(text_t *out, const char *s)
{
    text_add(out, string(s));
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


static int
is_turn(const terms_t *terms, tree_t *root)
{
    return terms->endpoint == MESSAGE && terms->conversation
           && model_first(root, "event") && !model_first(root, "event_type");
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
    const type_t  *type;

    value = model_first(root, "value");
    content = model_first(value, "content");
    type = find_type(model_first(value, "type")->token, 0);

    put_member(out, ",\"value\":{\"id\":", value, "id");
    put_string(out, ",\"type\":", string(type->name));
    put(out, ",\"content\":{");

    if (in(type->required, str("body"))) {
        put_member(out, "\"body\":", content, "body");

    } else {
        put_member(out, "\"url\":", content, "url");
        put_member(out, ",\"mime_type\":", content, "mime_type");
    }

    if (in(type->optional, str("caption"))) {
        put_member(out, ",\"caption\":", content, "caption");
    }

    if (in(type->optional, str("filename"))) {
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
    int  turn = is_turn(terms, root);

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
    const type_t  *type;

    put_fixed(out, terms, 3);
    put_string(out, ",\"room_id\":", terms->path_token);
    put_member(out, ",\"sender_id\":", root, "senderId");
    put(out, ",\"values\":[");

    for (item = model_first(root, "messages")->child; item;
         item = item->next)
    {
        type = find_type(model_first(item, "type")->token, 1);

        put_member(out, "{\"id\":", item, "id");
        put_string(out, ",\"type\":", string(type->name));
        put(out, ",\"content\":{");

        if (type == types) {
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

    put_member(out, ",\"title\":", root, "title");

    button = model_first(root, "buttonText");

    if (button) {
        put(out, ",\"button\":{");

        if (model_first(button, "type")) {
            put_member(out, "\"type\":", button, "type");

        } else {
            put(out, "\"type\":\"text\"");
        }

        if (model_first(button, "text")) {
            put_member(out, ",\"text\":", button, "text");

        } else {
            put(out, ",\"text\":\"Opciones\"");
        }

        put(out, "}");
    }

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

    if (!is_turn(terms, root)) {
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
                      ? string(find_type(node->token, 1)->name) : node->token);

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

    } else if (is_turn(terms, root)) {
        text_add(out, terms->digest);

    } else {
        text_add(out, model_first(model_first(root, "value"), "id")->token);
    }
}


void
model_cloudevent(text_t *out, const terms_t *terms, tree_t *root)
{
    int    turn = is_turn(terms, root);
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

    } else if (!is_turn(terms, root)) {
        put(out, ",\"messageId\":\"");
        put_id(out, terms, root);
        put(out, "\"");
    }

    put(out, "}");
}
