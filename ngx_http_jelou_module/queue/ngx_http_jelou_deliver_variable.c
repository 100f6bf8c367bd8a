
/*
 * The variables of a delivery: $jelou_delivery_id and so on.  In any other
 * request they are empty.
 */


#include "ngx_http_jelou_deliver_conf.h"


static ngx_int_t ngx_http_jelou_deliver_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_jelou_deliver_age_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


#define ngx_http_jelou_deliver_field_at(field)                                \
    (offsetof(ngx_http_jelou_deliver_t, fields)                               \
     + NGX_HTTP_JELOU_DELIVER_##field * sizeof(ngx_str_t))


static ngx_http_variable_t  ngx_http_jelou_deliver_variables[] = {

    { ngx_string("jelou_delivery_id"), NULL,
      ngx_http_jelou_deliver_text_variable,
      ngx_http_jelou_deliver_field_at(ID), 0, 0 },

    { ngx_string("jelou_delivery_attempt"), NULL,
      ngx_http_jelou_deliver_text_variable,
      ngx_http_jelou_deliver_field_at(ATTEMPT), 0, 0 },

    { ngx_string("jelou_delivery_project"), NULL,
      ngx_http_jelou_deliver_text_variable,
      offsetof(ngx_http_jelou_deliver_t, project), 0, 0 },

    { ngx_string("jelou_delivery_age"), NULL,
      ngx_http_jelou_deliver_age_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_jelou_deliver_variables_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_jelou_deliver_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/* A text of the delivery. */

static ngx_int_t
ngx_http_jelou_deliver_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                 *text;
    ngx_http_jelou_deliver_t  *d;

    d = ngx_http_jelou_deliver_get(r);

    if (d == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = (ngx_str_t *) ((u_char *) d + data);

    v->data = text->data;
    v->len = text->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* Seconds since the event was received, as $request_time has them. */

static ngx_int_t
ngx_http_jelou_deliver_age_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    off_t                      received, age;
    u_char                    *p;
    ngx_str_t                 *field;
    ngx_time_t                *tp;
    ngx_http_jelou_deliver_t  *d;

    d = ngx_http_jelou_deliver_get(r);

    field = d ? &d->fields[NGX_HTTP_JELOU_DELIVER_RECEIVED] : NULL;
    received = field ? ngx_atoof(field->data, field->len) : NGX_ERROR;

    if (received == NGX_ERROR) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    tp = ngx_timeofday();

    age = (off_t) tp->sec * 1000 + (off_t) tp->msec - received;
    age = ngx_max(age, 0);

    v->data = p;
    v->len = ngx_sprintf(p, "%O.%03O", age / 1000, age % 1000) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
