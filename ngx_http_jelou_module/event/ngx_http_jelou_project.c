
/*
 * The project that a body names, and nothing else of it: a secret is chosen by
 * it before anything is proven.
 */


#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_rule.h"


/* a token of more bytes is too long in whatever way it is written */

#define NGX_HTTP_JELOU_PROJECT_MAX                                            \
    (NGX_HTTP_JELOU_ID_MAX * (sizeof("\\u0000") - 1))


static const ngx_http_jelou_member_t *ngx_http_jelou_project_member(
    const ngx_http_jelou_endpoint_t *endpoint);
static ngx_int_t ngx_http_jelou_project_find(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *member, ngx_str_t *text);


ngx_uint_t
ngx_http_jelou_has_project(const ngx_http_jelou_endpoint_t *endpoint)
{
    return ngx_http_jelou_project_member(endpoint) != NULL;
}


static const ngx_http_jelou_member_t *
ngx_http_jelou_project_member(const ngx_http_jelou_endpoint_t *endpoint)
{
    ngx_uint_t                      i;
    const ngx_http_jelou_object_t  *object;

    object = endpoint->kind->object;

    for (i = 0; i < object->nmembers; i++) {
        if (object->members[i].slot == NGX_HTTP_JELOU_PROJECT_ID) {
            return &object->members[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_jelou_project_id(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_str_t *text)
{
    ngx_int_t                       rc;
    const ngx_http_jelou_member_t  *member;

    member = ngx_http_jelou_project_member(schema->endpoint);

    if (event->has_project || member == NULL) {
        *text = event->project;
        return NGX_OK;
    }

    rc = ngx_http_jelou_project_find(event, member, text);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK || ngx_http_jelou_rule_id(text, NULL, schema)) {
        ngx_str_null(text);
    }

    event->project = *text;
    event->has_project = 1;

    return NGX_OK;
}


/*
 * Parses the body as an object of one member.  Returns NGX_OK with its text;
 * NGX_DECLINED if it is absent, too long, no string or repeated, or if the body
 * is not JSON; NGX_ERROR if memory ran out.
 */

static ngx_int_t
ngx_http_jelou_project_find(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *member, ngx_str_t *text)
{
    ngx_int_t                rc;
    ngx_http_jelou_event_t   found;
    ngx_http_jelou_shape_t   shape;
    ngx_http_jelou_value_t  *value;
    ngx_http_jelou_object_t  object;

    object.members = member;
    object.nmembers = 1;

    ngx_memzero(&shape, sizeof(ngx_http_jelou_shape_t));
    shape.object = &object;

    ngx_memzero(&found, sizeof(ngx_http_jelou_event_t));
    found.body = event->body;
    found.pool = event->pool;

    rc = ngx_http_jelou_parse(&found, &shape, event->pool->log);
    if (rc != NGX_OK) {
        return rc;
    }

    value = &found.values[member->slot];

    if (value->type != NGX_HTTP_JELOU_STRING || value->repeated
        || value->len > NGX_HTTP_JELOU_PROJECT_MAX)
    {
        return NGX_DECLINED;
    }

    return ngx_http_jelou_value_decode(event->pool, value, text);
}
