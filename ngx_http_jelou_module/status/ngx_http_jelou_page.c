
/*
 * What the pages of the counters are written with.
 */


#include "ngx_http_jelou_page.h"
#include "ngx_http_jelou_text.h"


static void ngx_http_jelou_page_escape(ngx_http_jelou_page_t *page,
    const ngx_str_t *text);


void
ngx_http_jelou_page_add(ngx_http_jelou_page_t *page, const u_char *data,
    size_t len)
{
    if (page->pos) {
        len = ngx_min(len, (size_t) (page->last - page->pos));
        page->pos = ngx_cpymem(page->pos, data, len);
    }

    page->len += len;
}


void
ngx_http_jelou_page_text(ngx_http_jelou_page_t *page, const char *text)
{
    ngx_http_jelou_page_add(page, (const u_char *) text, ngx_strlen(text));
}


void
ngx_http_jelou_page_quote(ngx_http_jelou_page_t *page, const ngx_str_t *text)
{
    ngx_http_jelou_page_text(page, "\"");
    ngx_http_jelou_page_escape(page, text);
    ngx_http_jelou_page_text(page, "\"");
}


/*
 * JSON and Prometheus escape a quote, a backslash and a line feed alike.  Both
 * want UTF-8, and a zone may have any bytes for its name: what cannot stand
 * there is shown as a question mark.
 */

static void
ngx_http_jelou_page_escape(ngx_http_jelou_page_t *page, const ngx_str_t *text)
{
    u_char      ch;
    ngx_uint_t  i, utf8;

    utf8 = ngx_http_jelou_text_check(text->data, text->data + text->len)
           == NULL;

    for (i = 0; i < text->len; i++) {
        ch = text->data[i];

        if (ch == '\n') {
            ngx_http_jelou_page_text(page, "\\n");
            continue;
        }

        if (ch < 0x20 || (ch > 0x7f && !utf8)) {
            ch = '?';
        }

        if (ch == '"' || ch == '\\') {
            ngx_http_jelou_page_text(page, "\\");
        }

        ngx_http_jelou_page_add(page, &ch, 1);
    }
}


void
ngx_http_jelou_page_number(ngx_http_jelou_page_t *page, uint64_t number)
{
    u_char  buf[NGX_INT64_LEN];

    ngx_http_jelou_page_add(page, buf, ngx_sprintf(buf, "%uL", number) - buf);
}


void
ngx_http_jelou_page_seconds(ngx_http_jelou_page_t *page, uint64_t ns)
{
    u_char  buf[NGX_INT64_LEN + sizeof(".000000000")];

    ngx_http_jelou_page_add(page, buf,
                            ngx_sprintf(buf, "%uL.%09uL", ns / 1000000000,
                                        ns % 1000000000)
                            - buf);
}
