
/*
 * JSON, read once from the first byte to the last, and strictly as RFC 8259
 * has it.
 */


#include "ngx_http_jelou_json.h"
#include "ngx_http_jelou_text.h"


static ngx_inline u_char ngx_http_jelou_json_next(ngx_http_jelou_json_t *json);
static ngx_int_t ngx_http_jelou_json_open(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value, ngx_uint_t type);
static ngx_int_t ngx_http_jelou_json_string(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value);
static ngx_int_t ngx_http_jelou_json_escape(u_char **p, u_char *last);
static ngx_int_t ngx_http_jelou_json_literal(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value, const char *text);
static ngx_int_t ngx_http_jelou_json_number(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value);
static u_char *ngx_http_jelou_json_digits(u_char *p, u_char *last);
static ngx_int_t ngx_http_jelou_json_fail(ngx_http_jelou_json_t *json,
    u_char *p);


void
ngx_http_jelou_json_init(ngx_http_jelou_json_t *json, u_char *p, u_char *last)
{
    json->pos = p;
    json->last = last;
    json->depth = 0;
    json->reason = NULL;
}


/* Skips white space.  Returns the next byte, or a NUL, which no text has. */

static ngx_inline u_char
ngx_http_jelou_json_next(ngx_http_jelou_json_t *json)
{
    u_char  *p;

    for (p = json->pos; p < json->last; p++) {

        if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t') {
            json->pos = p;
            return *p;
        }
    }

    json->pos = p;

    return '\0';
}


ngx_int_t
ngx_http_jelou_json_value(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value)
{
    value->len = 0;
    value->escaped = 0;
    value->repeated = 0;

    switch (ngx_http_jelou_json_next(json)) {

    case '"':
        return ngx_http_jelou_json_string(json, value);

    case '{':
        return ngx_http_jelou_json_open(json, value, NGX_HTTP_JELOU_MEMBERS);

    case '[':
        return ngx_http_jelou_json_open(json, value, NGX_HTTP_JELOU_ARRAY);

    case 't':
        return ngx_http_jelou_json_literal(json, value, "true");

    case 'f':
        return ngx_http_jelou_json_literal(json, value, "false");

    case 'n':
        return ngx_http_jelou_json_literal(json, value, "null");

    default:
        return ngx_http_jelou_json_number(json, value);
    }
}


static ngx_int_t
ngx_http_jelou_json_open(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value, ngx_uint_t type)
{
    if (json->depth == NGX_HTTP_JELOU_MAX_DEPTH) {
        json->reason = "nested too deep";
        return NGX_DECLINED;
    }

    json->depth++;

    value->type = (uint8_t) type;
    value->data = json->pos++;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_json_member(ngx_http_jelou_json_t *json, ngx_uint_t first,
    ngx_http_jelou_value_t *name)
{
    u_char     ch;
    ngx_int_t  rc;

    ch = ngx_http_jelou_json_next(json);

    if (ch == '}') {
        json->pos++;
        json->depth--;
        return NGX_DONE;
    }

    if (!first) {

        if (ch != ',') {
            return ngx_http_jelou_json_fail(json, json->pos);
        }

        json->pos++;
        ch = ngx_http_jelou_json_next(json);
    }

    if (ch != '"') {
        return ngx_http_jelou_json_fail(json, json->pos);
    }

    name->escaped = 0;

    rc = ngx_http_jelou_json_string(json, name);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_jelou_json_next(json) != ':') {
        return ngx_http_jelou_json_fail(json, json->pos);
    }

    json->pos++;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_json_item(ngx_http_jelou_json_t *json, ngx_uint_t first)
{
    u_char  ch;

    ch = ngx_http_jelou_json_next(json);

    if (ch == ']') {
        json->pos++;
        json->depth--;
        return NGX_DONE;
    }

    if (!first) {

        if (ch != ',') {
            return ngx_http_jelou_json_fail(json, json->pos);
        }

        json->pos++;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_json_skip(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value)
{
    uint32_t                objects;
    ngx_int_t               rc;
    ngx_uint_t              first, depth;
    ngx_http_jelou_value_t  v;

    if (value->type < NGX_HTTP_JELOU_MEMBERS) {
        return NGX_OK;
    }

    /* a bit for each one that is open: is it an object? */

    objects = (value->type == NGX_HTTP_JELOU_MEMBERS);
    depth = json->depth - 1;
    first = 1;

    for ( ;; ) {
        rc = (objects & 1) ? ngx_http_jelou_json_member(json, first, &v)
                           : ngx_http_jelou_json_item(json, first);

        if (rc == NGX_DONE) {

            if (json->depth == depth) {
                return NGX_OK;
            }

            objects >>= 1;
            first = 0;
            continue;
        }

        if (rc == NGX_OK) {
            rc = ngx_http_jelou_json_value(json, &v);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        first = (v.type >= NGX_HTTP_JELOU_MEMBERS);

        if (first) {
            objects = objects << 1 | (v.type == NGX_HTTP_JELOU_MEMBERS);
        }
    }
}


ngx_int_t
ngx_http_jelou_json_end(ngx_http_jelou_json_t *json)
{
    (void) ngx_http_jelou_json_next(json);

    if (json->pos != json->last) {
        return ngx_http_jelou_json_fail(json, json->pos);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_jelou_json_is(ngx_http_jelou_value_t *string, const ngx_str_t *text)
{
    size_t   i;
    u_char  *p, *last;

    if (!string->escaped) {
        return string->len == text->len
               && ngx_memcmp(string->data, text->data, text->len) == 0;
    }

    p = string->data;
    last = p + string->len;

    for (i = 0; i < text->len && p < last; i++) {
        if (ngx_http_jelou_text_next(&p, last) != text->data[i]) {
            return 0;
        }
    }

    return i == text->len && p == last;
}


static ngx_int_t
ngx_http_jelou_json_string(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value)
{
    u_char  *p, *last;

    p = json->pos + 1;
    last = json->last;

    value->type = NGX_HTTP_JELOU_STRING;
    value->data = p;

    for ( ;; ) {
        p = ngx_http_jelou_text_plain(p, last);

        if (p == last || *p < 0x20) {
            return ngx_http_jelou_json_fail(json, p);
        }

        if (*p == '"') {
            value->len = (uint32_t) (p - value->data);
            json->pos = p + 1;
            return NGX_OK;
        }

        value->escaped = 1;

        while (p < last && *p == '\\') {
            if (ngx_http_jelou_json_escape(&p, last) != NGX_OK) {
                return ngx_http_jelou_json_fail(json, p);
            }
        }
    }
}


/* Moves *p from the backslash behind the escape, or to what is wrong with it. */

static ngx_int_t
ngx_http_jelou_json_escape(u_char **p, u_char *last)
{
    u_char      *q;
    ngx_uint_t   i;

    q = *p + 1;
    i = 0;

    if (q < last) {

        switch (*q) {

        case '"':
        case '\\':
        case '/':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
            *p = q + 1;
            return NGX_OK;

        case 'u':
            i = 4;
            q++;
        }
    }

    for ( /* void */ ; i && q < last; i--, q++) {

        if ((*q < '0' || *q > '9')
            && ((*q | 0x20) < 'a' || (*q | 0x20) > 'f'))
        {
            break;
        }

        if (i == 1) {
            *p = q + 1;
            return NGX_OK;
        }
    }

    *p = q;

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_jelou_json_literal(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value, const char *text)
{
    u_char  *p;

    for (p = json->pos; *text; p++, text++) {
        if (p == json->last || *p != (u_char) *text) {
            return ngx_http_jelou_json_fail(json, p);
        }
    }

    value->type = NGX_HTTP_JELOU_LITERAL;
    value->data = json->pos;
    value->len = (uint32_t) (p - json->pos);

    json->pos = p;

    return NGX_OK;
}


/* RFC 8259, section 6: [ "-" ] int [ frac ] [ exp ] */

static ngx_int_t
ngx_http_jelou_json_number(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value)
{
    u_char  *p, *q, *last;

    p = json->pos;
    last = json->last;

    if (p < last && *p == '-') {
        p++;
    }

    q = ngx_http_jelou_json_digits(p, last);

    if (q == p) {
        return ngx_http_jelou_json_fail(json, p);
    }

    if (*p == '0' && q - p > 1) {
        return ngx_http_jelou_json_fail(json, p + 1);
    }

    if (q < last && *q == '.') {
        p = q + 1;
        q = ngx_http_jelou_json_digits(p, last);

        if (q == p) {
            return ngx_http_jelou_json_fail(json, p);
        }
    }

    if (q < last && (*q | 0x20) == 'e') {
        p = q + 1;

        if (p < last && (*p == '+' || *p == '-')) {
            p++;
        }

        q = ngx_http_jelou_json_digits(p, last);

        if (q == p) {
            return ngx_http_jelou_json_fail(json, p);
        }
    }

    value->type = NGX_HTTP_JELOU_NUMBER;
    value->data = json->pos;
    value->len = (uint32_t) (q - json->pos);

    json->pos = q;

    return NGX_OK;
}


static u_char *
ngx_http_jelou_json_digits(u_char *p, u_char *last)
{
    while (p < last && *p >= '0' && *p <= '9') { p++; }

    return p;
}


static ngx_int_t
ngx_http_jelou_json_fail(ngx_http_jelou_json_t *json, u_char *p)
{
    json->pos = p;
    json->reason = "not JSON";

    return NGX_DECLINED;
}
