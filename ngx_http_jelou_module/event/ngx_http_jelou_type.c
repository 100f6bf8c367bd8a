
/*
 * The message types of an endpoint.
 */


#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_text.h"


const ngx_http_jelou_variant_t *
ngx_http_jelou_type_find(const ngx_http_jelou_endpoint_t *endpoint,
    ngx_str_t *name, ngx_uint_t items)
{
    ngx_uint_t                       i;
    const ngx_http_jelou_variant_t  *t;

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if (ngx_http_jelou_same(&t->name, name) && (items || !t->with_items)) {
            return t;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_jelou_type_any(const ngx_http_jelou_endpoint_t *endpoint,
    uint32_t bits)
{
    ngx_uint_t                       i;
    const ngx_http_jelou_variant_t  *t;

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if ((t->required | t->optional) & bits) {
            return 1;
        }
    }

    return 0;
}


uint32_t
ngx_http_jelou_type_bit(const ngx_http_jelou_endpoint_t *endpoint,
    ngx_str_t *name)
{
    uint32_t                         bit;
    ngx_uint_t                       i;
    const ngx_http_jelou_variant_t  *t;

    bit = 0;

    for (i = 0; i < endpoint->nvariants; i++) {
        t = &endpoint->variants[i];

        if (ngx_http_jelou_same(&t->type, name)) {
            return ngx_http_jelou_bit(i);
        }

        if (bit == 0 && ngx_http_jelou_same(&t->name, name)) {
            bit = ngx_http_jelou_bit(i);
        }
    }

    return bit;
}
