
/*
 * JSON, read once from the first byte to the last, and strictly as RFC 8259
 * has it.
 */


#include "ngx_http_jelou_json.h"
#include "ngx_http_jelou_text.h"


static ngx_inline u_char *ngx_http_jelou_json_space(u_char *p, u_char *last);
static ngx_inline ngx_uint_t ngx_http_jelou_json_ahead(
    ngx_http_jelou_json_t *json, u_char ch);
static ngx_int_t ngx_http_jelou_json_open(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value, ngx_uint_t type);
static u_char *ngx_http_jelou_json_string(ngx_http_jelou_json_t *json,
    u_char *p, ngx_http_jelou_value_t *value);
static ngx_int_t ngx_http_jelou_json_escape(u_char **p, u_char *last);
static u_char *ngx_http_jelou_json_scalar(ngx_http_jelou_json_t *json,
    u_char *p, ngx_http_jelou_value_t *value);
static u_char *ngx_http_jelou_json_literal(ngx_http_jelou_json_t *json,
    u_char *p, const char *text);
static u_char *ngx_http_jelou_json_number(ngx_http_jelou_json_t *json,
    u_char *p);
static ngx_inline u_char *ngx_http_jelou_json_digits(u_char *p, u_char *last);
static u_char *ngx_http_jelou_json_fail(ngx_http_jelou_json_t *json,
    u_char *p);


void
ngx_http_jelou_json_init(ngx_http_jelou_json_t *json, u_char *p, u_char *last)
{
    json->pos = p;
    json->last = last;
    json->depth = 0;
    json->reason = NULL;
}


/* No other control characters are in the text: those that are, are space. */

static ngx_inline u_char *
ngx_http_jelou_json_space(u_char *p, u_char *last)
{
    while (p < last && *p <= ' ') { p++; }

    return p;
}


/* Skips white space, and this byte if it is the next one. */

static ngx_inline ngx_uint_t
ngx_http_jelou_json_ahead(ngx_http_jelou_json_t *json, u_char ch)
{
    u_char  *p;

    p = ngx_http_jelou_json_space(json->pos, json->last);

    if (p < json->last && *p == ch) {
        json->pos = p + 1;
        return 1;
    }

    json->pos = p;

    return 0;
}


ngx_int_t
ngx_http_jelou_json_value(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value)
{
    u_char  *p;

    value->len = 0;
    value->escaped = 0;
    value->repeated = 0;

    p = ngx_http_jelou_json_space(json->pos, json->last);

    json->pos = p;

    if (p < json->last) {

        if (*p == '{') {
            return ngx_http_jelou_json_open(json, value,
                                            NGX_HTTP_JELOU_MEMBERS);
        }

        if (*p == '[') {
            return ngx_http_jelou_json_open(json, value, NGX_HTTP_JELOU_ARRAY);
        }
    }

    p = ngx_http_jelou_json_scalar(json, p, value);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    json->pos = p;

    return NGX_OK;
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
    u_char  *p;

    if (ngx_http_jelou_json_ahead(json, '}')) {
        json->depth--;
        return NGX_DONE;
    }

    if (!first && !ngx_http_jelou_json_ahead(json, ',')) {
        goto failed;
    }

    if (!ngx_http_jelou_json_ahead(json, '"')) {
        goto failed;
    }

    p = ngx_http_jelou_json_string(json, json->pos, name);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    json->pos = p;

    if (!ngx_http_jelou_json_ahead(json, ':')) {
        goto failed;
    }

    return NGX_OK;

failed:

    (void) ngx_http_jelou_json_fail(json, json->pos);

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_jelou_json_item(ngx_http_jelou_json_t *json, ngx_uint_t first)
{
    if (ngx_http_jelou_json_ahead(json, ']')) {
        json->depth--;
        return NGX_DONE;
    }

    if (!first && !ngx_http_jelou_json_ahead(json, ',')) {
        (void) ngx_http_jelou_json_fail(json, json->pos);
        return NGX_DECLINED;
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
    json->pos = ngx_http_jelou_json_space(json->pos, json->last);

    if (json->pos != json->last) {
        (void) ngx_http_jelou_json_fail(json, json->pos);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


size_t
ngx_http_jelou_json_name(ngx_http_jelou_value_t *name, u_char *text,
    size_t size)
{
    size_t     n;
    u_char    *p, *last;
    uint32_t   c;

    p = name->data;
    last = p + name->len;

    for (n = 0; p < last; n++) {
        c = ngx_http_jelou_text_next(&p, last);

        if (n == size || c == 0 || c > 0x7f) {
            return 0;
        }

        text[n] = (u_char) c;
    }

    return n;
}


/*
 * The functions below take the rest of the text from p, and return the end of
 * what they have read, or NULL.
 */

static u_char *
ngx_http_jelou_json_string(ngx_http_jelou_json_t *json, u_char *p,
    ngx_http_jelou_value_t *value)
{
    u_char  *last;

    last = json->last;

    value->type = NGX_HTTP_JELOU_STRING;
    value->escaped = 0;
    value->data = p;

    for ( ;; ) {
        p = ngx_http_jelou_text_plain(p, last);

        if (p == last || *p < 0x20) {
            return ngx_http_jelou_json_fail(json, p);
        }

        if (*p == '"') {
            value->len = (uint32_t) (p - value->data);
            return p + 1;
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


static u_char *
ngx_http_jelou_json_scalar(ngx_http_jelou_json_t *json, u_char *p,
    ngx_http_jelou_value_t *value)
{
    u_char  *end;

    if (p == json->last) {
        return ngx_http_jelou_json_fail(json, p);
    }

    value->type = NGX_HTTP_JELOU_LITERAL;

    switch (*p) {

    case '"':
        return ngx_http_jelou_json_string(json, p + 1, value);

    case 't':
        end = ngx_http_jelou_json_literal(json, p, "true");
        break;

    case 'f':
        end = ngx_http_jelou_json_literal(json, p, "false");
        break;

    case 'n':
        end = ngx_http_jelou_json_literal(json, p, "null");
        break;

    default:
        value->type = NGX_HTTP_JELOU_NUMBER;
        end = ngx_http_jelou_json_number(json, p);
    }

    value->data = p;
    value->len = end ? (uint32_t) (end - p) : 0;

    return end;
}


static u_char *
ngx_http_jelou_json_literal(ngx_http_jelou_json_t *json, u_char *p,
    const char *text)
{
    for ( /* void */ ; *text; p++, text++) {
        if (p == json->last || *p != (u_char) *text) {
            return ngx_http_jelou_json_fail(json, p);
        }
    }

    return p;
}


/* RFC 8259, section 6: [ "-" ] int [ frac ] [ exp ] */

static u_char *
ngx_http_jelou_json_number(ngx_http_jelou_json_t *json, u_char *p)
{
    u_char  *q, *last;

    last = json->last;

    if (*p == '-') {
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

    return q;
}


static ngx_inline u_char *
ngx_http_jelou_json_digits(u_char *p, u_char *last)
{
    while (p < last && *p >= '0' && *p <= '9') { p++; }

    return p;
}


static u_char *
ngx_http_jelou_json_fail(ngx_http_jelou_json_t *json, u_char *p)
{
    json->pos = p;
    json->reason = "not JSON";

    return NULL;
}
