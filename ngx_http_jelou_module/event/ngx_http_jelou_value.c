
/*
 * A value's token to its text, and back.
 */


#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_text.h"


ngx_int_t
ngx_http_jelou_value_decode(ngx_pool_t *pool, ngx_http_jelou_value_t *value,
    ngx_str_t *text)
{
    u_char  *last;

    text->data = value->data;
    text->len = value->len;

    if (!value->escaped) {
        return NGX_OK;
    }

    text->data = ngx_pnalloc(pool, value->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    last = ngx_http_jelou_text_decode(text->data, value->data, value->len);

    if (last == NULL) {
        return NGX_DECLINED;
    }

    text->len = last - text->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_value_encode(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_jelou_value_t *value)
{
    size_t  escapes;

    if (ngx_http_jelou_text_check(text->data, text->data + text->len)
        || ngx_http_jelou_rule_id(text, NULL, NULL))
    {
        return NGX_DECLINED;
    }

    escapes = ngx_escape_json(NULL, text->data, text->len);

    value->type = NGX_HTTP_JELOU_STRING;
    value->data = text->data;
    value->len = (uint32_t) (text->len + escapes);

    if (escapes == 0) {
        return NGX_OK;
    }

    value->escaped = 1;
    value->data = ngx_pnalloc(pool, value->len);

    if (value->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_json(value->data, text->data, text->len);

    return NGX_OK;
}
