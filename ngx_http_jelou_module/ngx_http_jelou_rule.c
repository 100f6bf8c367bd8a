
/*
 * The rules that values have of their own, whatever member they are of.
 */


#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_id.h"
#include "ngx_http_jelou_text.h"


#define NGX_HTTP_JELOU_ID_MAX  256


static ngx_uint_t ngx_http_jelou_blank(ngx_str_t *value);
static u_char *ngx_http_jelou_token(u_char *p, u_char *last);


/*
 * Identifiers reach headers, logs and variables, where a line break would be
 * an injection.
 */

const ngx_str_t *
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

const ngx_str_t *
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


/* RFC 3986: an absolute URI, which begins with its scheme */

const ngx_str_t *
ngx_http_jelou_rule_uri(ngx_str_t *value, const ngx_http_jelou_member_t *member)
{
    u_char  *p, *last, ch;

    static ngx_str_t  message = ngx_string("must be an absolute URI");

    p = value->data;
    last = p + value->len;

    for ( /* void */ ; p < last && *p != ':'; p++) {
        ch = (u_char) (*p | 0x20);

        if (ch >= 'a' && ch <= 'z') {
            continue;
        }

        if (p == value->data
            || ((*p < '0' || *p > '9')
                && *p != '+' && *p != '-' && *p != '.'))
        {
            return &message;
        }
    }

    if (p == value->data || last - p < 2 || ngx_http_jelou_blank(value)) {
        return &message;
    }

    return NULL;
}


/* RFC 9562, section 4: 8-4-4-4-12 hex digits, of either case */

const ngx_str_t *
ngx_http_jelou_rule_uuid(ngx_str_t *value,
    const ngx_http_jelou_member_t *member)
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


/* the last millisecond of the year 9999, the last one that RFC 3339 has */

const ngx_str_t *
ngx_http_jelou_rule_timestamp(ngx_str_t *value,
    const ngx_http_jelou_member_t *member)
{
    off_t  ms;

    static ngx_str_t  message = ngx_string("must be an integer, milliseconds "
                                           "since 1970-01-01T00:00:00Z");

    ms = ngx_atoof(value->data, value->len);

    if (ms == NGX_ERROR || ms > 253402300799999) {
        return &message;
    }

    return NULL;
}


const ngx_str_t  ngx_http_jelou_conversations[] = {
    ngx_string("conversation.start"),
    ngx_string("conversation.close"),
    ngx_null_string
};


const ngx_str_t *
ngx_http_jelou_rule_conversation(ngx_str_t *value,
    const ngx_http_jelou_member_t *member)
{
    const ngx_str_t  *name;

    static ngx_str_t  message = ngx_string("must be one of conversation.start,"
                                           " conversation.close");

    for (name = ngx_http_jelou_conversations; name->len; name++) {

        if (value->len == name->len
            && ngx_memcmp(value->data, name->data, name->len) == 0)
        {
            return NULL;
        }
    }

    return &message;
}


/* of an array, the length of the value is the number of its items */

const ngx_str_t *
ngx_http_jelou_rule_messages(ngx_str_t *value,
    const ngx_http_jelou_member_t *member)
{
    static ngx_str_t  message = ngx_string("must have at least 1 message");

    return value->len ? NULL : &message;
}


const ngx_str_t *
ngx_http_jelou_rule_options(ngx_str_t *value,
    const ngx_http_jelou_member_t *member)
{
    static ngx_str_t  message = ngx_string("must have 1 to 10 options");

    return value->len && value->len <= 10 ? NULL : &message;
}


/* characters are code points, the escapes of a token are one each */

const ngx_str_t *
ngx_http_jelou_rule_title(ngx_str_t *value,
    const ngx_http_jelou_member_t *member)
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
    const ngx_http_jelou_member_t *member)
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
