
/*
 * The rule for URLs, by RFC 3986.
 */


#include "ngx_http_jelou_rule.h"


static u_char *ngx_http_jelou_url_scheme(ngx_str_t *value,
    ngx_array_t *schemes);
static ngx_uint_t ngx_http_jelou_url_authority(u_char *p, u_char *last);
static ngx_uint_t ngx_http_jelou_url_host(u_char *p, u_char *last);
static ngx_uint_t ngx_http_jelou_url_literal(u_char *p, u_char *last);
static ngx_uint_t ngx_http_jelou_url_port(u_char *p, u_char *last);
static ngx_uint_t ngx_http_jelou_url_chars(u_char *p, u_char *last,
    const char *more, ngx_uint_t percent);


/* RFC 3986: scheme "://" authority, and anything that can be seen behind it */

const ngx_str_t *
ngx_http_jelou_rule_url(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema)
{
    u_char                      *p, *q, *last;
    const ngx_http_jelou_url_t  *url;

    url = &schema->urls[member->limit];

    p = ngx_http_jelou_url_scheme(value, url->schemes);

    if (p == NULL) {
        return &url->message;
    }

    last = value->data + value->len;

    for (q = p; q < last && *q != '/' && *q != '?' && *q != '#'; q++) {
        /* void */
    }

    if (!ngx_http_jelou_url_authority(p, q)) {
        return &url->message;
    }

    while (q < last) {
        if (ngx_http_jelou_char(&q, last)) {
            return &url->message;
        }
    }

    return NULL;
}


/* Returns where the authority begins, or NULL if the scheme is another one. */

static u_char *
ngx_http_jelou_url_scheme(ngx_str_t *value, ngx_array_t *schemes)
{
    size_t      len;
    ngx_str_t  *scheme;
    ngx_uint_t  i;

    scheme = schemes->elts;

    for (i = 0; i < schemes->nelts; i++) {
        len = scheme[i].len;

        if (value->len > len + 3
            && ngx_strncasecmp(value->data, scheme[i].data, len) == 0
            && ngx_memcmp(value->data + len, "://", 3) == 0)
        {
            return value->data + len + 3;
        }
    }

    return NULL;
}


/* section 3.2: [ userinfo "@" ] host [ ":" port ], with a host */

static ngx_uint_t
ngx_http_jelou_url_authority(u_char *p, u_char *last)
{
    u_char  *at;

    at = ngx_strlchr(p, last, '@');

    if (at) {

        if (!ngx_http_jelou_url_chars(p, at, ":", 1)) {
            return 0;
        }

        p = at + 1;
    }

    return p < last && ngx_http_jelou_url_host(p, last);
}


static ngx_uint_t
ngx_http_jelou_url_host(u_char *p, u_char *last)
{
    u_char  *end;

    if (*p == '[') {
        end = ngx_strlchr(p, last, ']');

        return end && ngx_http_jelou_url_literal(p + 1, end)
               && ngx_http_jelou_url_port(end + 1, last);
    }

    end = ngx_strlchr(p, last, ':');

    if (end == NULL) {
        end = last;
    }

    return end > p && ngx_http_jelou_url_chars(p, end, "", 1)
           && ngx_http_jelou_url_port(end, last);
}


/* section 3.2.2: an IPv6 address, or one of a later version */

static ngx_uint_t
ngx_http_jelou_url_literal(u_char *p, u_char *last)
{
    char             text[INET6_ADDRSTRLEN];
    u_char          *version;
    struct in6_addr  addr;

    if (p < last && (*p | 0x20) == 'v') {

        for (version = ++p; p < last && ngx_hextoi(p, 1) != NGX_ERROR; p++) {
            /* void */
        }

        return p > version && p < last && *p == '.' && p + 1 < last
               && ngx_http_jelou_url_chars(p + 1, last, ":", 0);
    }

    if (last - p >= INET6_ADDRSTRLEN
        || !ngx_http_jelou_url_chars(p, last, ":", 0))
    {
        return 0;
    }

    *ngx_cpymem(text, p, last - p) = '\0';

    return inet_pton(AF_INET6, text, &addr) == 1;
}


/* Nothing, or a colon and a number, which may be left out. */

static ngx_uint_t
ngx_http_jelou_url_port(u_char *p, u_char *last)
{
    ngx_int_t  port;

    if (p == last) {
        return 1;
    }

    if (*p++ != ':') {
        return 0;
    }

    port = (p == last) ? 0 : ngx_atoi(p, last - p);

    return port != NGX_ERROR && port <= 65535;
}


/* section 2: unreserved, sub-delims, more and, if asked for, pct-encoded */

static ngx_uint_t
ngx_http_jelou_url_chars(u_char *p, u_char *last, const char *more,
    ngx_uint_t percent)
{
    for ( /* void */ ; p < last; p++) {

        if (ngx_http_jelou_alnum(*p)) {
            continue;
        }

        if (*p == '%' && percent && last - p >= 3
            && ngx_hextoi(p + 1, 2) != NGX_ERROR)
        {
            p += 2;
            continue;
        }

        if (*p == '\0'
            || (ngx_strchr("-._~!$&'()*+,;=", *p) == NULL
                && ngx_strchr(more, *p) == NULL))
        {
            return 0;
        }
    }

    return 1;
}


void
ngx_http_jelou_url_defaults(ngx_http_jelou_url_t *urls)
{
    static ngx_str_t    schemes[] = { ngx_string("https"), ngx_string("http") };
    static ngx_array_t  https = { schemes, 1, sizeof(ngx_str_t), 1, NULL };
    static ngx_array_t  both = { schemes, 2, sizeof(ngx_str_t), 2, NULL };

    urls[NGX_HTTP_JELOU_URL_CONTENT].schemes = &https;
    ngx_str_set(&urls[NGX_HTTP_JELOU_URL_CONTENT].message,
                "must be an https URL");

    urls[NGX_HTTP_JELOU_URL_MEDIA].schemes = &both;
    ngx_str_set(&urls[NGX_HTTP_JELOU_URL_MEDIA].message,
                "must be an https or http URL");
}


ngx_uint_t
ngx_http_jelou_is_scheme(ngx_str_t *scheme)
{
    size_t  i;
    u_char  ch;

    for (i = 0; i < scheme->len; i++) {
        ch = scheme->data[i];

        if (!ngx_http_jelou_alnum(ch) && ch != '+' && ch != '-' && ch != '.') {
            return 0;
        }
    }

    ch = scheme->len ? scheme->data[0] | 0x20 : 0;

    return ch >= 'a' && ch <= 'z';
}
