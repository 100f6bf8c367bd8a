
/*
 * A page is written twice: first only to know its length.
 */


#ifndef _NGX_HTTP_JELOU_PAGE_H_INCLUDED_
#define _NGX_HTTP_JELOU_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* a buffer that is filled, or only measured if there is none */

typedef struct {
    u_char                       *pos;
    u_char                       *last;
    size_t                        len;
} ngx_http_jelou_page_t;


void ngx_http_jelou_page_add(ngx_http_jelou_page_t *page, const u_char *data,
    size_t len);

void ngx_http_jelou_page_text(ngx_http_jelou_page_t *page, const char *text);

/* A text in quotation marks, as JSON and Prometheus have it. */
void ngx_http_jelou_page_quote(ngx_http_jelou_page_t *page,
    const ngx_str_t *text);

void ngx_http_jelou_page_number(ngx_http_jelou_page_t *page, uint64_t number);

/* A time in ns, in seconds. */
void ngx_http_jelou_page_seconds(ngx_http_jelou_page_t *page, uint64_t ns);


#endif /* _NGX_HTTP_JELOU_PAGE_H_INCLUDED_ */
