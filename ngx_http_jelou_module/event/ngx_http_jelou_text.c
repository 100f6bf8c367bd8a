
/*
 * Text as JSON has it: UTF-8, control characters, escapes.
 */


#include "ngx_http_jelou_text.h"


#if defined(__SSE2__)
#include <emmintrin.h>
#endif


#define NGX_HTTP_JELOU_EACH_BYTE   0x0101010101010101ULL
#define NGX_HTTP_JELOU_HIGH_BITS   (NGX_HTTP_JELOU_EACH_BYTE * 0x80)
#define NGX_HTTP_JELOU_SPACES      (NGX_HTTP_JELOU_EACH_BYTE * 0x20)


static u_char *ngx_http_jelou_text_ascii(u_char *p, u_char *last);
static size_t ngx_http_jelou_text_sequence(u_char *p, size_t n);
static u_char *ngx_http_jelou_text_encode(u_char *dst, uint32_t c);


u_char *
ngx_http_jelou_text_check(u_char *p, u_char *last)
{
    size_t  n;

    for ( ;; ) {
        p = ngx_http_jelou_text_ascii(p, last);

        if (p == last) {
            return NULL;
        }

        if (*p < 0x80) {

            if (*p < 0x20 && *p != '\n' && *p != '\r' && *p != '\t') {
                return p;
            }

            p++;
            continue;
        }

        n = ngx_http_jelou_text_sequence(p, last - p);

        if (n == 0) {
            return p;
        }

        p += n;
    }
}


/* Skips many bytes at a time, up to the first that needs a closer look. */

#if defined(__SSE2__)

static u_char *
ngx_http_jelou_text_ascii(u_char *p, u_char *last)
{
    int      mask;
    __m128i  text, low, space;

    while (last - p >= 16) {
        text = _mm_loadu_si128((__m128i *) p);

        /* the bytes are signed: those above 0x7f are low, too */

        low = _mm_cmplt_epi8(text, _mm_set1_epi8(0x20));

        if (_mm_movemask_epi8(low)) {
            space = _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8('\n')),
                                 _mm_or_si128(
                                   _mm_cmpeq_epi8(text, _mm_set1_epi8('\t')),
                                   _mm_cmpeq_epi8(text, _mm_set1_epi8('\r'))));

            mask = _mm_movemask_epi8(_mm_andnot_si128(space, low));

            if (mask) {
                return p + __builtin_ctz(mask);
            }
        }

        p += 16;
    }

    return p;
}

#else

static u_char *
ngx_http_jelou_text_ascii(u_char *p, u_char *last)
{
    uint64_t  word;

    while (last - p >= 8) {
        ngx_memcpy(&word, p, 8);

        if ((word | (word - NGX_HTTP_JELOU_SPACES)) & NGX_HTTP_JELOU_HIGH_BITS)
        {
            break;
        }

        p += 8;
    }

    return p;
}

#endif


/*
 * The length of the well-formed multi-byte sequence at p, of which n bytes
 * are there, or 0: the rows of table 3-7 of the Unicode Standard.
 */

static size_t
ngx_http_jelou_text_sequence(u_char *p, size_t n)
{
    size_t  len;
    u_char  low, high;

    low = 0x80;
    high = 0xbf;

    if (*p >= 0xc2 && *p <= 0xdf) {
        len = 2;

    } else if ((*p & 0xf0) == 0xe0) {
        len = 3;

        if (*p == 0xe0) {
            low = 0xa0;                  /* not overlong */

        } else if (*p == 0xed) {
            high = 0x9f;                 /* not a surrogate */
        }

    } else if (*p >= 0xf0 && *p <= 0xf4) {
        len = 4;

        if (*p == 0xf0) {
            low = 0x90;                  /* not overlong */

        } else if (*p == 0xf4) {
            high = 0x8f;                 /* not above U+10FFFF */
        }

    } else {
        return 0;
    }

    if (n < len || p[1] < low || p[1] > high) {
        return 0;
    }

    if (len > 2 && (p[2] & 0xc0) != 0x80) {
        return 0;
    }

    if (len > 3 && (p[3] & 0xc0) != 0x80) {
        return 0;
    }

    return len;
}


uint32_t
ngx_http_jelou_text_next(u_char **p, u_char *last)
{
    u_char    ch;
    uint32_t  c, low;

    if (**p >= 0x80) {
        return ngx_utf8_decode(p, last - *p);
    }

    ch = *(*p)++;

    if (ch != '\\') {
        return ch;
    }

    ch = *(*p)++;

    switch (ch) {

    case 'b':
        return '\b';

    case 'f':
        return '\f';

    case 'n':
        return '\n';

    case 'r':
        return '\r';

    case 't':
        return '\t';

    case 'u':
        break;

    default:                             /* a quote, a backslash, a slash */
        return ch;
    }

    c = (uint32_t) ngx_hextoi(*p, 4);
    *p += 4;

    if (c < 0xd800 || c > 0xdbff || last - *p < 6
        || (*p)[0] != '\\' || (*p)[1] != 'u')
    {
        return c;
    }

    low = (uint32_t) ngx_hextoi(*p + 2, 4);

    if (low < 0xdc00 || low > 0xdfff) {
        return c;
    }

    *p += 6;

    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}


u_char *
ngx_http_jelou_text_decode(u_char *dst, u_char *src, size_t len)
{
    u_char    *last;
    uint32_t   c;

    last = src + len;

    while (src < last) {
        c = ngx_http_jelou_text_next(&src, last);

        if (c >= 0xd800 && c <= 0xdfff) {
            return NULL;
        }

        dst = ngx_http_jelou_text_encode(dst, c);
    }

    return dst;
}


static u_char *
ngx_http_jelou_text_encode(u_char *dst, uint32_t c)
{
    if (c < 0x80) {
        *dst++ = (u_char) c;
        return dst;
    }

    if (c < 0x800) {
        *dst++ = (u_char) (0xc0 | (c >> 6));

    } else {

        if (c < 0x10000) {
            *dst++ = (u_char) (0xe0 | (c >> 12));

        } else {
            *dst++ = (u_char) (0xf0 | (c >> 18));
            *dst++ = (u_char) (0x80 | ((c >> 12) & 0x3f));
        }

        *dst++ = (u_char) (0x80 | ((c >> 6) & 0x3f));
    }

    *dst++ = (u_char) (0x80 | (c & 0x3f));

    return dst;
}


size_t
ngx_http_jelou_text_length(u_char *src, size_t len)
{
    size_t   n;
    u_char  *last;

    last = src + len;

    for (n = 0; src < last; n++) {
        (void) ngx_http_jelou_text_next(&src, last);
    }

    return n;
}


ngx_uint_t
ngx_http_jelou_text_storable(u_char *p, u_char *last)
{
    uint32_t  c;

    for ( ;; ) {
        p = ngx_strlchr(p, last, '\\');

        if (p == NULL) {
            return 1;
        }

        /* halves of a pair stand one behind the other, and in one string */

        c = ngx_http_jelou_text_next(&p, last);

        if (c == 0 || (c >= 0xd800 && c <= 0xdfff)) {
            return 0;
        }
    }
}


u_char *
ngx_http_jelou_text_compact(u_char *dst, u_char *p, u_char *last)
{
    u_char  *start;

    start = p;

    while (p < last) {

        if (*p == '"') {

            for (p++; *p != '"'; p++) {
                if (*p == '\\') {
                    p++;
                }
            }
        }

        if (*p++ > ' ') {
            continue;
        }

        dst = ngx_cpymem(dst, start, p - 1 - start);

        while (p < last && *p <= ' ') { p++; }

        start = p;
    }

    return ngx_cpymem(dst, start, last - start);
}
