
/*
 * Whether a text is JSON: its structure alone, in one pass and without memory.
 * What this module has put into the stream always is; anybody may have put
 * anything there.
 */


#include "ngx_http_jelou_deliver.h"
#include "ngx_http_jelou_text.h"


/* events nest 33 deep, and a CloudEvent has one in it */

#define NGX_HTTP_JELOU_DELIVER_DEPTH  64


/* Each returns the end of what it reads, or NULL if that is not there. */

static u_char *ngx_http_jelou_deliver_json_name(u_char *p, u_char *last);
static u_char *ngx_http_jelou_deliver_json_scalar(u_char *p, u_char *last);
static u_char *ngx_http_jelou_deliver_json_string(u_char *p, u_char *last);
static u_char *ngx_http_jelou_deliver_json_number(u_char *p, u_char *last);
static u_char *ngx_http_jelou_deliver_json_digits(u_char *p, u_char *last);
static u_char *ngx_http_jelou_deliver_json_space(u_char *p, u_char *last);


/* Of objects, each bit is a level: whether it is an object, or an array. */

#define ngx_http_jelou_deliver_json_close(objects)                            \
    (((objects) & 1) ? '}' : ']')


ngx_uint_t
ngx_http_jelou_deliver_json(u_char *p, u_char *last)
{
    uint64_t    objects;
    ngx_uint_t  depth;

    if (ngx_http_jelou_text_check(p, last)) {
        return 0;
    }

    objects = 0;
    depth = 0;

    for ( ;; ) {
        p = ngx_http_jelou_deliver_json_space(p, last);

        if (p == last) {
            return 0;
        }

        if (*p == '{' || *p == '[') {

            if (depth++ == NGX_HTTP_JELOU_DELIVER_DEPTH) {
                return 0;
            }

            objects = (objects << 1) | (*p++ == '{');
            p = ngx_http_jelou_deliver_json_space(p, last);

            if (p == last
                || *p != ngx_http_jelou_deliver_json_close(objects))
            {
                if (objects & 1) {
                    p = ngx_http_jelou_deliver_json_name(p, last);
                }

                if (p == NULL) {
                    return 0;
                }

                continue;
            }

        } else {
            p = ngx_http_jelou_deliver_json_scalar(p, last);

            if (p == NULL) {
                return 0;
            }
        }

        /* a value has ended, and whatever ends with it */

        for ( ;; ) {
            p = ngx_http_jelou_deliver_json_space(p, last);

            if (depth == 0) {
                return p == last;
            }

            if (p == last) {
                return 0;
            }

            if (*p == ',') {
                p++;
                break;
            }

            if (*p++ != ngx_http_jelou_deliver_json_close(objects)) {
                return 0;
            }

            objects >>= 1;
            depth--;
        }

        if (objects & 1) {
            p = ngx_http_jelou_deliver_json_name(p, last);

            if (p == NULL) {
                return 0;
            }
        }
    }
}


static u_char *
ngx_http_jelou_deliver_json_name(u_char *p, u_char *last)
{
    p = ngx_http_jelou_deliver_json_space(p, last);
    p = ngx_http_jelou_deliver_json_string(p, last);

    if (p == NULL) {
        return NULL;
    }

    p = ngx_http_jelou_deliver_json_space(p, last);

    return (p < last && *p == ':') ? p + 1 : NULL;
}


static u_char *
ngx_http_jelou_deliver_json_scalar(u_char *p, u_char *last)
{
    ngx_uint_t  i;

    static ngx_str_t  words[] = {
        ngx_string("true"), ngx_string("false"), ngx_string("null")
    };

    if (*p == '"') {
        return ngx_http_jelou_deliver_json_string(p, last);
    }

    for (i = 0; i < 3; i++) {

        if ((size_t) (last - p) >= words[i].len
            && ngx_memcmp(p, words[i].data, words[i].len) == 0)
        {
            return p + words[i].len;
        }
    }

    return ngx_http_jelou_deliver_json_number(p, last);
}


/* Of control characters, the text has no others than white space by now. */

static u_char *
ngx_http_jelou_deliver_json_string(u_char *p, u_char *last)
{
    ngx_uint_t  i;

    if (p == last || *p++ != '"') {
        return NULL;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p == '"') {
            return p + 1;
        }

        if (*p < ' ') {
            return NULL;
        }

        if (*p != '\\') {
            continue;
        }

        if (++p == last) {
            return NULL;
        }

        if (*p == 'u') {

            if (last - p < 5) {
                return NULL;
            }

            for (i = 0; i < 4; i++) {
                p++;

                if (ngx_hextoi(p, 1) == NGX_ERROR) {
                    return NULL;
                }
            }

        } else if (ngx_strchr("\"\\/bfnrt", *p) == NULL) {
            return NULL;
        }
    }

    return NULL;
}


static u_char *
ngx_http_jelou_deliver_json_number(u_char *p, u_char *last)
{
    if (*p == '-') {
        p++;
    }

    if (p < last && *p == '0') {
        p++;

    } else {
        p = ngx_http_jelou_deliver_json_digits(p, last);
    }

    if (p && p < last && *p == '.') {
        p = ngx_http_jelou_deliver_json_digits(p + 1, last);
    }

    if (p && p < last && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < last && (*p == '+' || *p == '-')) {
            p++;
        }

        p = ngx_http_jelou_deliver_json_digits(p, last);
    }

    return p;
}


/* One at least. */

static u_char *
ngx_http_jelou_deliver_json_digits(u_char *p, u_char *last)
{
    u_char  *start;

    start = p;

    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p > start ? p : NULL;
}


static u_char *
ngx_http_jelou_deliver_json_space(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == CR || *p == LF)) {
        p++;
    }

    return p;
}
