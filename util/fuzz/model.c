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


/* "strict": no other members than those of the list; the object is wrong */

static void
only(model_t *m, str_t place, tree_t *object, const char *list)
{
    if (!m->terms->strict || object == NULL || object->type != TREE_OBJECT) {
        return;
    }

    for (tree_t *node = object->child; node; node = node->next) {
        if (!in(list, node->name)) {
            wrong(m, place);
            return;
        }
    }
}


/* White space of Unicode, and nothing that is a control character. */

static int
is_space(uint32_t c)
{
    return c == 0x20 || c == 0xa0 || c == 0x1680
           || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029
           || c == 0x202f || c == 0x205f || c == 0x3000;
}


static int
is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}


/* No width of its own, or another direction for what follows */

static int
is_unseen(uint32_t c)
{
    return c == 0x61c || c == 0x180e || (c >= 0x200b && c <= 0x200f)
           || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f)
           || c == 0xfeff;
}


int
model_identifier(str_t text)
{
    int        seen;
    size_t     n;
    uint32_t  *points;

    if (text.len < 1 || text.len > 256) {
        return 0;
    }

    points = memory_get(text.len * sizeof(uint32_t));
    n = utf8_points(text, points);
    seen = 0;

    for (size_t i = 0; i < n; i++) {

        if (is_control(points[i])) {
            return 0;
        }

        seen |= !is_space(points[i]);
    }

    return seen;
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
is_hex(uint8_t c)
{
    return is_digit(c) || (is_alpha(c) && (c | 0x20) <= 'f');
}


/* RFC 3986, 2: all of the text is of unreserved, sub-delims, and others */

static int
is_made_of(str_t text, const char *others, int percent)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t  c = text.data[i];

        if (c == '%' && percent && text.len - i > 2
            && is_hex(text.data[i + 1]) && is_hex(text.data[i + 2]))
        {
            i += 2;

        } else if (!is_alpha(c) && !is_digit(c)
                   && (c == '\0' || (!strchr("-._~!$&'()*+,;=", c)
                                     && !strchr(others, c))))
        {
            return 0;
        }
    }

    return 1;
}


static str_t
part(str_t text, size_t from, size_t to)
{
    return (str_t) { text.data + from, to - from };
}


/* Where the byte is, or where the text ends */

static size_t
find(str_t text, const char *bytes)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] && strchr(bytes, text.data[i])) {
            break;
        }
    }

    return i;
}


/*
 * RFC 3986, 3.2.2: groups of up to four hex digits, eight of them, or fewer
 * with one "::", and an IPv4 address in the place of the last two
 */

static int
is_ipv4(str_t s)
{
    size_t    i, parts, digits;
    unsigned  n;

    for (i = 0, parts = 1, digits = 0, n = 0; i < s.len; i++) {

        if (s.data[i] == '.' && digits && parts < 4) {
            parts++;
            digits = 0;
            n = 0;

        } else if (is_digit(s.data[i]) && !(digits && n == 0)) {
            n = n * 10 + (s.data[i] - '0');
            digits++;

            if (n > 255) {
                return 0;
            }

        } else {
            return 0;
        }
    }

    return parts == 4 && digits;
}


static int
is_ipv6(str_t s)
{
    int     gap;
    size_t  i, n, groups;

    gap = 0;
    groups = 0;
    i = 0;

    while (i < s.len) {

        if (s.len - i >= 2 && s.data[i] == ':' && s.data[i + 1] == ':') {

            if (gap++) {
                return 0;
            }

            i += 2;
            continue;
        }

        /* a colon between two groups */

        if (groups && !(gap && s.data[i - 1] == ':')) {
            if (s.data[i++] != ':' || i == s.len) {
                return 0;
            }
        }

        if (is_ipv4(part(s, i, s.len))) {
            groups += 2;
            break;
        }

        for (n = 0; i < s.len && is_hex(s.data[i]); i++, n++) { }

        if (n == 0 || n > 4) {
            return 0;
        }

        groups++;
    }

    return gap ? groups < 8 : groups == 8;
}


static int
is_literal(str_t s)
{
    size_t  dot;

    if (s.len == 0 || (s.data[0] | 0x20) != 'v') {
        return is_ipv6(s);
    }

    for (dot = 1; dot < s.len && is_hex(s.data[dot]); dot++) { }

    return dot > 1 && dot + 1 < s.len && s.data[dot] == '.'
           && is_made_of(part(s, dot + 1, s.len), ":", 0);
}


static int
is_port(str_t s)
{
    unsigned  port;

    if (s.len == 0) {
        return 1;
    }

    if (s.data[0] != ':') {
        return 0;
    }

    port = 0;

    for (size_t i = 1; i < s.len; i++) {
        port = port * 10 + (s.data[i] - '0');

        if (!is_digit(s.data[i]) || port > 65535) {
            return 0;
        }
    }

    return 1;
}


static int
is_authority(str_t s)
{
    size_t  end, at;

    at = find(s, "@");

    if (at < s.len) {
        if (!is_made_of(part(s, 0, at), ":", 1)) {
            return 0;
        }

        s = part(s, at + 1, s.len);
    }

    if (s.len && s.data[0] == '[') {
        end = find(s, "]");

        return end < s.len && is_literal(part(s, 1, end))
               && is_port(part(s, end + 1, s.len));
    }

    end = find(s, ":");

    return end && is_made_of(part(s, 0, end), "", 1)
           && is_port(part(s, end, s.len));
}


static int
is_url(str_t token, const char *scheme)
{
    int        lone;
    str_t      url;
    size_t     n, i, start, end;
    uint32_t  *points;

    start = strlen(scheme);

    token_decode(token, &url, &lone);

    if (lone || url.len < start
        || strncasecmp((const char *) url.data, scheme, start) != 0)
    {
        return 0;
    }

    points = memory_get(url.len * sizeof(uint32_t));
    n = utf8_points(url, points);

    for (i = 0; i < n; i++) {
        if (is_space(points[i]) || is_control(points[i])
            || is_unseen(points[i]))
        {
            return 0;
        }
    }

    url = part(url, start, url.len);
    end = find(url, "/?#");

    return is_authority(part(url, 0, end));
}


static int
good_https(str_t token)
{
    return is_url(token, "https://");
}


static int
good_media(str_t token)
{
    return is_url(token, "https://") || is_url(token, "http://");
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
good_known_turn(str_t token)
{
    return is(token, "conversation.start") || is(token, "conversation.close");
}


static int
is_conversation(str_t token)
{
    int    lone;
    str_t  text, begin = string("conversation.");

    token_decode(token, &text, &lone);

    return !lone && text.len >= begin.len
           && str_equal(part(text, 0, begin.len), begin);
}


static int
good_turn(str_t token)
{
    int    lone;
    str_t  text;

    token_decode(token, &text, &lone);

    if (!is_conversation(token) || text.len < 14 || text.len > 13 + 64) {
        return 0;
    }

    for (size_t i = 13; i < text.len; i++) {
        uint8_t  c = text.data[i];

        if (!is_alpha(c) && !is_digit(c) && c != '.' && c != '_' && c != '-') {
            return 0;
        }
    }

    return 1;
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


/* "storable": no U+0000, and no surrogate without its other half */

static int
is_storable(str_t token)
{
    size_t     n;
    uint32_t  *points;

    if (memchr(token.data, '\\', token.len) == NULL) {
        return 1;
    }

    points = memory_get(token.len * sizeof(uint32_t));
    n = token_points(token, points);

    for (size_t i = 0; i < n; i++) {
        if (points[i] == 0 || (points[i] >= 0xd800 && points[i] < 0xe000)) {
            return 0;
        }
    }

    return 1;
}


/* All strings and names of it */

static int
is_all_storable(tree_t *node)
{
    if (!is_storable(node->name)
        || (node->type == TREE_STRING && !is_storable(node->token)))
    {
        return 0;
    }

    for (node = node->child; node; node = node->next) {
        if (!is_all_storable(node)) {
            return 0;
        }
    }

    return 1;
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
            wrong(m, pointer(str(""), string(names[i])));
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
        wrong(m, pointer(place, string(name)));
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
    const type_t *type, int (*good)(str_t))
{
    if (type == NULL || in(type->optional, string(name))) {
        (void) text_member(m, place, object, name, 0, good);

    } else if (in(type->required, string(name))) {
        (void) text_member(m, place, object, name, 1, good);

    } else {
        (void) foreign(m, place, object, name, TREE_STRING);
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


static void
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


/* Is it a conversation event, right or wrong? */

static int
is_turn(const terms_t *terms, tree_t *root)
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

    return i == n && name[i] == '\0' && !is(token, name);
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
    if (is_turn(m->terms, root)) {
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
    const type_t  *type;

    /* the room's names of what its messages have */

    static const type_t  text = { NULL, NULL, " text ", "" };
    static const type_t  media = { NULL, NULL, " mediaUrl ", " text " };

    only(m, place, item, " id type text mediaUrl ");

    (void) text_member(m, place, item, "id", 1, good_uuid);

    type = check_type(m, place, item, 1);
    type = type == NULL ? NULL : type == types ? &text : &media;

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
    text_add(&out, string(name));
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

    if (type && !is(type->token, "text")) {
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
