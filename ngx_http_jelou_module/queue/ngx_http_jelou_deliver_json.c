
/*
 * Whether a text is JSON, over yajl.  What this module has put into the stream
 * always is; anybody may have put anything there.
 */


#include "ngx_http_jelou_deliver.h"
#include "ngx_http_jelou_yajl.h"


/* bodies nest 32 deep, and an event or a CloudEvent has one in it */

#define NGX_HTTP_JELOU_DELIVER_DEPTH  64


static int ngx_http_jelou_deliver_json_open(void *data);
static int ngx_http_jelou_deliver_json_close(void *data);


/* nobody wants to know what is in it */

static const yajl_callbacks  ngx_http_jelou_deliver_callbacks = {
    NULL, NULL, NULL, NULL, NULL, NULL,
    ngx_http_jelou_deliver_json_open,        /* an object */
    NULL,
    ngx_http_jelou_deliver_json_close,
    ngx_http_jelou_deliver_json_open,        /* an array */
    ngx_http_jelou_deliver_json_close
};


ngx_int_t
ngx_http_jelou_deliver_json(ngx_str_t *text, ngx_log_t *log)
{
    ngx_http_jelou_yajl_t  yajl;

    ngx_memzero(&yajl, sizeof(ngx_http_jelou_yajl_t));

    yajl.body = *text;

    return ngx_http_jelou_yajl_parse(&yajl, &ngx_http_jelou_deliver_callbacks,
                                     &yajl, log);
}


static int
ngx_http_jelou_deliver_json_open(void *data)
{
    ngx_http_jelou_yajl_t *yajl = data;

    return yajl->depth++ < NGX_HTTP_JELOU_DELIVER_DEPTH;
}


static int
ngx_http_jelou_deliver_json_close(void *data)
{
    ngx_http_jelou_yajl_close(data);

    return 1;
}
