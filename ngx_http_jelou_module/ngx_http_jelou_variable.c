
/*
 * The variables: $jelou_event_type and so on.
 */


#include "ngx_http_jelou_variable.h"
#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_result.h"
#include "ngx_http_jelou_text.h"


static ngx_int_t ngx_http_jelou_text_variable(ngx_http_variable_value_t *v,
    const ngx_str_t *text);
static ngx_uint_t ngx_http_jelou_proven(ngx_http_jelou_ctx_t *ctx);
static ngx_int_t ngx_http_jelou_value_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_jelou_message_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_jelou_type_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_jelou_project_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_jelou_event_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_jelou_secret_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_jelou_result_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


/* what they say changes while the request is handled: none is kept */

static ngx_http_variable_t  ngx_http_jelou_variables[] = {

    { ngx_string("jelou_project_id"), NULL, ngx_http_jelou_project_variable,
      NGX_HTTP_JELOU_PROJECT_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_room_id"), NULL, ngx_http_jelou_value_variable,
      NGX_HTTP_JELOU_ROOM_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_bot_id"), NULL, ngx_http_jelou_value_variable,
      NGX_HTTP_JELOU_BOT_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_user_id"), NULL, ngx_http_jelou_value_variable,
      NGX_HTTP_JELOU_USER_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_message_id"), NULL, ngx_http_jelou_message_variable,
      NGX_HTTP_JELOU_MESSAGE_ID, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_message_type"), NULL, ngx_http_jelou_message_variable,
      NGX_HTTP_JELOU_MESSAGE_TYPE, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_timestamp"), NULL, ngx_http_jelou_value_variable,
      NGX_HTTP_JELOU_TIMESTAMP, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_event_type"), NULL, ngx_http_jelou_type_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_event"), NULL, ngx_http_jelou_event_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_secret_id"), NULL, ngx_http_jelou_secret_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("jelou_result"), NULL, ngx_http_jelou_result_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_jelou_variables_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_jelou_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_text_variable(ngx_http_variable_value_t *v,
    const ngx_str_t *text)
{
    v->len = text->len;
    v->data = text->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* an event has values as soon as it is verified and valid */

static ngx_uint_t
ngx_http_jelou_proven(ngx_http_jelou_ctx_t *ctx)
{
    return ctx
           && (ctx->state == NGX_HTTP_JELOU_ACCEPTED
               || (ctx->state == NGX_HTTP_JELOU_VERIFIED && ctx->has_event
                   && ctx->checked == NGX_OK));
}


static ngx_int_t
ngx_http_jelou_value_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                text;
    ngx_http_jelou_ctx_t    *ctx;
    ngx_http_jelou_value_t  *value;

    ngx_str_null(&text);

    ctx = ngx_http_jelou_ctx(r);

    if (ngx_http_jelou_proven(ctx)) {
        value = &ctx->event.values[data];

        if (value->type != NGX_HTTP_JELOU_ABSENT
            && ngx_http_jelou_value_decode(r->pool, value, &text) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_jelou_text_variable(v, &text);
}


/* Of a room_message there are several: they are joined by commas. */

static ngx_int_t
ngx_http_jelou_message_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                      text;
    ngx_http_jelou_ctx_t          *ctx;
    const ngx_http_jelou_piece_t  *pieces;

    ctx = ngx_http_jelou_ctx(r);

    if (!ngx_http_jelou_proven(ctx) || ctx->event.kind->item_ids == NULL)
    {
        return ngx_http_jelou_value_variable(r, v, data);
    }

    pieces = data == NGX_HTTP_JELOU_MESSAGE_ID ? ctx->event.kind->item_ids
                                               : ctx->event.kind->item_types;

    text.data = ngx_pnalloc(r->pool,
                            ngx_http_jelou_pieces_length(pieces, &ctx->event,
                                                         &ctx->conf->schema));
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = ngx_http_jelou_pieces_write(text.data, pieces, &ctx->event,
                                           &ctx->conf->schema)
               - text.data;

    return ngx_http_jelou_text_variable(v, &text);
}


static ngx_int_t
ngx_http_jelou_type_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_jelou_ctx_t    *ctx;
    ngx_http_jelou_fixed_t  *fixed;

    ctx = ngx_http_jelou_ctx(r);

    if (!ngx_http_jelou_proven(ctx)) {
        return ngx_http_jelou_value_variable(r, v, data);
    }

    if (ctx->event.kind->type_slot) {
        return ngx_http_jelou_value_variable(r, v,
                                             ctx->event.kind->type_slot);
    }

    fixed = &ctx->conf->schema.fixed[NGX_HTTP_JELOU_FIXED_EVENT_TYPE];

    return ngx_http_jelou_text_variable(v, &fixed->value);
}


/*
 * The one value that is there before it is proven, and only while the secret
 * is looked for: a map can choose it by the project.
 */

static ngx_int_t
ngx_http_jelou_project_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t              text;
    ngx_http_jelou_ctx_t  *ctx;

    ctx = ngx_http_jelou_ctx(r);

    if (ctx == NULL || ctx->state != NGX_HTTP_JELOU_VERIFYING) {
        return ngx_http_jelou_value_variable(r, v, data);
    }

    if (ngx_http_jelou_request_project(r, ctx, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_jelou_text_variable(v, &text);
}


/*
 * The bytes that are forwarded.  A body as received may have line breaks
 * between its tokens, and a header made of it would be an injection: it is
 * given without insignificant white space.
 */

static ngx_int_t
ngx_http_jelou_event_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                *last;
    ngx_str_t              event;
    ngx_http_jelou_ctx_t  *ctx;

    ngx_str_null(&event);

    ctx = ngx_http_jelou_ctx(r);

    if (ctx && ctx->state == NGX_HTTP_JELOU_ACCEPTED) {
        event = ctx->forwarded;
    }

    if (event.len && ctx->conf->format == NGX_HTTP_JELOU_FORMAT_RAW) {
        event.data = ngx_pnalloc(r->pool, ctx->forwarded.len);
        if (event.data == NULL) {
            return NGX_ERROR;
        }

        last = ngx_http_jelou_text_compact(event.data, ctx->forwarded.data,
                                           ctx->forwarded.data
                                           + ctx->forwarded.len);
        event.len = last - event.data;
    }

    return ngx_http_jelou_text_variable(v, &event);
}


/* a place in the directive, or a line of the file, which says so if need be */

static ngx_int_t
ngx_http_jelou_secret_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                  text;
    ngx_http_jelou_ctx_t      *ctx;
    ngx_http_jelou_secrets_t  *secrets;

    ngx_str_null(&text);

    ctx = ngx_http_jelou_ctx(r);

    if (ctx && ctx->secret) {
        secrets = ctx->conf->secrets;

        text.data = ngx_pnalloc(r->pool, sizeof("file:") + NGX_INT_T_LEN);
        if (text.data == NULL) {
            return NGX_ERROR;
        }

        text.len = ngx_sprintf(text.data, "%s%ui",
                               ctx->secret->in_file && secrets->directive
                               ? "file:" : "",
                               ctx->secret->place)
                   - text.data;
    }

    return ngx_http_jelou_text_variable(v, &text);
}


static ngx_int_t
ngx_http_jelou_result_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_uint_t  result;

    result = ngx_http_jelou_result(r);

    return ngx_http_jelou_text_variable(v, ngx_http_jelou_result_name(result));
}
