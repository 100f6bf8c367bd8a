
/*
 * The rules that values have of their own, whatever member they are of.
 */


#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_id.h"
#include "ngx_http_jelou_text.h"


#define NGX_HTTP_JELOU_CONVERSATION  "conversation."

/* milliseconds: March 1973; who counts seconds gets there in the year 5138 */

#define NGX_HTTP_JELOU_TIME_MIN  100000000000
#define NGX_HTTP_JELOU_TIME_MAX  253402300799999


typedef struct {
    uint32_t     first;
    uint32_t     last;
    ngx_uint_t   kind;
} ngx_http_jelou_range_t;


static u_char *ngx_http_jelou_mime_parameter(u_char *p, u_char *last);


/*
 * Where identifiers and URLs go (headers, logs, terminals, the eyes of
 * whoever compares two of them) these are no characters as others are:
 * Unicode's controls, its white space, and what has no width or turns the
 * direction of what follows.
 */

static const ngx_http_jelou_range_t  ngx_http_jelou_ranges[] = {
    { 0x0000, 0x001f, NGX_HTTP_JELOU_CHAR_CONTROL },
    { 0x0020, 0x0020, NGX_HTTP_JELOU_CHAR_SPACE },
    { 0x007f, 0x009f, NGX_HTTP_JELOU_CHAR_CONTROL },
    { 0x00a0, 0x00a0, NGX_HTTP_JELOU_CHAR_SPACE },
    { 0x061c, 0x061c, NGX_HTTP_JELOU_CHAR_UNSEEN },
    { 0x1680, 0x1680, NGX_HTTP_JELOU_CHAR_SPACE },
    { 0x180e, 0x180e, NGX_HTTP_JELOU_CHAR_UNSEEN },
    { 0x2000, 0x200a, NGX_HTTP_JELOU_CHAR_SPACE },
    { 0x200b, 0x200f, NGX_HTTP_JELOU_CHAR_UNSEEN },
    { 0x2028, 0x2029, NGX_HTTP_JELOU_CHAR_SPACE },
    { 0x202a, 0x202e, NGX_HTTP_JELOU_CHAR_UNSEEN },
    { 0x202f, 0x202f, NGX_HTTP_JELOU_CHAR_SPACE },
    { 0x205f, 0x205f, NGX_HTTP_JELOU_CHAR_SPACE },
    { 0x2060, 0x206f, NGX_HTTP_JELOU_CHAR_UNSEEN },
    { 0x3000, 0x3000, NGX_HTTP_JELOU_CHAR_SPACE },
    { 0xfeff, 0xfeff, NGX_HTTP_JELOU_CHAR_UNSEEN }
};

#define NGX_HTTP_JELOU_NRANGES                                                \
    (sizeof(ngx_http_jelou_ranges) / sizeof(ngx_http_jelou_range_t))


ngx_uint_t
ngx_http_jelou_char(u_char **p, u_char *last)
{
    uint32_t    c;
    ngx_uint_t  i;

    if (**p > 0x20 && **p < 0x7f) {
        (*p)++;
        return 0;
    }

    c = (**p < 0x80) ? *(*p)++ : ngx_utf8_decode(p, last - *p);

    for (i = 0; i < NGX_HTTP_JELOU_NRANGES; i++) {

        if (c <= ngx_http_jelou_ranges[i].last) {
            return c >= ngx_http_jelou_ranges[i].first
                   ? ngx_http_jelou_ranges[i].kind : 0;
        }
    }

    return 0;
}


/*
 * Identifiers reach headers, logs and variables, where a line break would be
 * an injection.
 */

const ngx_str_t *
ngx_http_jelou_rule_id(ngx_str_t *value, const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    u_char      *p, *last;
    ngx_uint_t   kind, seen;

    static ngx_str_t  message = ngx_string("must have 1 to 256 bytes, no "
                                           "control character, and not white "
                                           "space alone");

    if (value->len > NGX_HTTP_JELOU_ID_MAX) {
        return &message;
    }

    p = value->data;
    last = p + value->len;

    /* most are of these alone */

    while (p < last && *p > 0x20 && *p < 0x7f) { p++; }

    seen = (p > value->data);

    while (p < last) {
        kind = ngx_http_jelou_char(&p, last);

        if (kind == NGX_HTTP_JELOU_CHAR_CONTROL) {
            return &message;
        }

        seen |= (kind != NGX_HTTP_JELOU_CHAR_SPACE);
    }

    return seen ? NULL : &message;
}


/* RFC 9562, section 4: 8-4-4-4-12 hex digits, of either case */

const ngx_str_t *
ngx_http_jelou_rule_uuid(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    size_t  i;
    u_char  ch;

    static ngx_str_t  message = ngx_string("must be a UUID");

    if (value->len != NGX_HTTP_JELOU_UUID_LEN) {
        return &message;
    }

    for (i = 0; i < NGX_HTTP_JELOU_UUID_LEN; i++) {
        ch = value->data[i];

        if (i == 8 || i == 13 || i == 18 || i == 23) {

            if (ch != '-') {
                return &message;
            }

            continue;
        }

        if (ch >= '0' && ch <= '9') {
            continue;
        }

        ch |= 0x20;

        if (ch < 'a' || ch > 'f') {
            return &message;
        }
    }

    return NULL;
}


/*
 * The last millisecond is that of the year 9999, the last one that RFC 3339
 * has.
 */

const ngx_str_t *
ngx_http_jelou_rule_timestamp(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    off_t  ms;

    static ngx_str_t  message = ngx_string("must be an integer, milliseconds "
                                           "since 1970-01-01T00:00:00Z");
    static ngx_str_t  seconds = ngx_string("must be milliseconds since "
                                           "1970-01-01T00:00:00Z: seconds?");

    ms = ngx_atoof(value->data, value->len);

    if (ms == NGX_ERROR || ms > NGX_HTTP_JELOU_TIME_MAX) {
        return &message;
    }

    return ms < NGX_HTTP_JELOU_TIME_MIN ? &seconds : NULL;
}


const ngx_str_t  ngx_http_jelou_conversations[] = {
    ngx_string(NGX_HTTP_JELOU_CONVERSATION "start"),
    ngx_string(NGX_HTTP_JELOU_CONVERSATION "close"),
    ngx_null_string
};


const ngx_str_t *
ngx_http_jelou_rule_conversation(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    size_t            i, len;
    u_char           *name;
    const ngx_str_t  *known;

    static ngx_str_t  one = ngx_string("must be one of conversation.start,"
                                       " conversation.close");
    static ngx_str_t  any = ngx_string("must be conversation. and 1 to 64 of "
                                       "A-Z a-z 0-9 . _ -");

    if (schema->conversation == NGX_HTTP_JELOU_CONVERSATION_KNOWN) {

        for (known = ngx_http_jelou_conversations; known->len; known++) {

            if (ngx_http_jelou_same(value, known)) {
                return NULL;
            }
        }

        return &one;
    }

    if (!ngx_http_jelou_is_conversation(value)) {
        return &any;
    }

    name = value->data + sizeof(NGX_HTTP_JELOU_CONVERSATION) - 1;
    len = value->len - (sizeof(NGX_HTTP_JELOU_CONVERSATION) - 1);

    if (len == 0 || len > NGX_HTTP_JELOU_CONVERSATION_MAX) {
        return &any;
    }

    for (i = 0; i < len; i++) {

        if (!ngx_http_jelou_alnum(name[i])
            && name[i] != '.' && name[i] != '_' && name[i] != '-')
        {
            return &any;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_jelou_is_conversation(ngx_str_t *event)
{
    return event->len >= sizeof(NGX_HTTP_JELOU_CONVERSATION) - 1
           && ngx_memcmp(event->data, NGX_HTTP_JELOU_CONVERSATION,
                         sizeof(NGX_HTTP_JELOU_CONVERSATION) - 1)
              == 0;
}


/* of an array, the length of the value is the number of its items */

const ngx_str_t *
ngx_http_jelou_rule_messages(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    static ngx_str_t  message = ngx_string("must have at least 1 message");

    return value->len ? NULL : &message;
}


const ngx_str_t *
ngx_http_jelou_rule_options(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    static ngx_str_t  message = ngx_string("must have 1 to 10 options");

    return value->len && value->len <= member->limit ? NULL : &message;
}


/* characters are code points, the escapes of a token are one each */

const ngx_str_t *
ngx_http_jelou_rule_title(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    static ngx_str_t  message = ngx_string("must have 1 to 24 characters");

    if (value->len == 0
        || ngx_http_jelou_text_length(value->data, value->len) > 24)
    {
        return &message;
    }

    return NULL;
}


const ngx_str_t *
ngx_http_jelou_rule_description(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    static ngx_str_t  message = ngx_string("must have at most 72 characters");

    if (ngx_http_jelou_text_length(value->data, value->len) > 72) {
        return &message;
    }

    return NULL;
}


/* RFC 9110, section 8.3.1: type "/" subtype *( OWS ";" OWS [ parameter ] ) */

const ngx_str_t *
ngx_http_jelou_rule_mime_type(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
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

        q = ngx_http_jelou_mime_parameter(p, last);

        if (q == NULL) {
            return &message;
        }
    }

    return NULL;
}


/* section 5.6.6: [ token "=" ( token / quoted-string ) ]; its end, or NULL */

static u_char *
ngx_http_jelou_mime_parameter(u_char *p, u_char *last)
{
    u_char  *q;

    q = ngx_http_jelou_token(p, last);

    if (q == p) {
        return q;
    }

    if (q == last || *q++ != '=') {
        return NULL;
    }

    p = q;

    if (p == last || *p != '"') {
        q = ngx_http_jelou_token(p, last);

        return q > p ? q : NULL;
    }

    for (q = p + 1; q < last && *q != '"'; q++) {

        if (*q == '\\') {
            q++;
        }

        if (q == last || (*q < 0x20 && *q != '\t') || *q == 0x7f) {
            return NULL;
        }
    }

    return q < last ? q + 1 : NULL;
}


u_char *
ngx_http_jelou_token(u_char *p, u_char *last)
{
    for ( /* void */ ; p < last; p++) {

        if (ngx_http_jelou_alnum(*p)) {
            continue;
        }

        if (*p == '\0' || ngx_strchr("!#$%&'*+-.^_`|~", *p) == NULL) {
            break;
        }
    }

    return p;
}
