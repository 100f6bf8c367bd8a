/*
 * What the documentation promises of a single value.
 */


#include "rules.h"

#include <string.h>
#include <strings.h>


const message_type_t  message_types[] = {
    { "text", "TEXT", " body ", "" },
    { "image", "IMAGE", " url mime_type ", " caption " },
    { "video", "VIDEO", " url mime_type ", " caption " },
    { "audio", NULL, " url mime_type ", "" },
    { "document", "DOCUMENT", " url mime_type ", " filename " },
    { NULL, NULL, NULL, NULL }
};


str_t
str_of(const char *s)
{
    size_t  n;

    for (n = 0; s[n]; n++) { }

    return (str_t) { (const uint8_t *) s, n };
}


int
token_is(str_t token, const char *s)
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

    return !lone && str_equal(text, str_of(s));
}


int
token_in(const char *list, str_t token)
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


const message_type_t *
message_type(str_t token, int upper)
{
    for (const message_type_t *t = message_types; t->name; t++) {
        const char  *name = upper ? t->upper : t->name;

        if (name && token_is(token, name)) {
            return t;
        }
    }

    return NULL;
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
is_identifier(str_t text)
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


int
is_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}


int
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


int
good_https(str_t token)
{
    return is_url(token, "https://");
}


int
good_media(str_t token)
{
    return is_url(token, "https://") || is_url(token, "http://");
}


int
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

        if (form[i] == '-' ? c != '-' : !is_hex(c)) {
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


int
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


int
good_identifier(str_t token)
{
    int    lone;
    str_t  text;

    (void) token_decode(token, &text, &lone);

    return !lone && is_identifier(text);
}


int
good_known_turn(str_t token)
{
    return token_is(token, "conversation.start")
           || token_is(token, "conversation.close");
}


int
is_conversation(str_t token)
{
    int    lone;
    str_t  text, begin = str_of("conversation.");

    token_decode(token, &text, &lone);

    return !lone && text.len >= begin.len
           && str_equal(part(text, 0, begin.len), begin);
}


int
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


int
good_title(str_t token)
{
    uint32_t  *points = memory_get((token.len + 1) * sizeof(uint32_t));
    size_t     n = token_points(token, points);

    return n >= 1 && n <= 24;
}


int
good_description(str_t token)
{
    uint32_t  *points = memory_get((token.len + 1) * sizeof(uint32_t));

    return token_points(token, points) <= 72;
}


int
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


int
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
