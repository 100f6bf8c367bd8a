
/*
 * The project that a body names, over yajl, and nothing else of it: a secret is
 * chosen by it before anything is proven.
 */


#include "ngx_http_jelou_schema.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_yajl.h"


typedef struct {
    ngx_http_jelou_yajl_t     yajl;
    const ngx_str_t          *name;
    size_t                    max;
    ngx_http_jelou_value_t   *value;
    const unsigned char      *key;      /* behind it, if the next value is the
                                           member's, or NULL */
} ngx_http_jelou_search_t;


static const ngx_str_t *ngx_http_jelou_project_name(
    const ngx_http_jelou_endpoint_t *endpoint);
static ngx_int_t ngx_http_jelou_search(ngx_str_t *body, const ngx_str_t *name,
    size_t max, ngx_http_jelou_value_t *value, ngx_log_t *log);
static int ngx_http_jelou_search_null(void *data);
static int ngx_http_jelou_search_boolean(void *data, int boolean);
static int ngx_http_jelou_search_number(void *data, const char *number,
    size_t len);
static int ngx_http_jelou_search_string(void *data,
    const unsigned char *string, size_t len);
static int ngx_http_jelou_search_start_map(void *data);
static int ngx_http_jelou_search_key(void *data, const unsigned char *key,
    size_t len);
static int ngx_http_jelou_search_start_array(void *data);
static int ngx_http_jelou_search_end(void *data);


static const yajl_callbacks  ngx_http_jelou_search_callbacks = {
    ngx_http_jelou_search_null,
    ngx_http_jelou_search_boolean,
    NULL,                                  /* integer */
    NULL,                                  /* double */
    ngx_http_jelou_search_number,
    ngx_http_jelou_search_string,
    ngx_http_jelou_search_start_map,
    ngx_http_jelou_search_key,
    ngx_http_jelou_search_end,
    ngx_http_jelou_search_start_array,
    ngx_http_jelou_search_end
};


ngx_uint_t
ngx_http_jelou_has_project(const ngx_http_jelou_endpoint_t *endpoint)
{
    return ngx_http_jelou_project_name(endpoint) != NULL;
}


static const ngx_str_t *
ngx_http_jelou_project_name(const ngx_http_jelou_endpoint_t *endpoint)
{
    ngx_uint_t                      i;
    const ngx_http_jelou_object_t  *object;

    object = endpoint->kind->object;

    for (i = 0; i < object->nmembers; i++) {
        if (object->members[i].slot == NGX_HTTP_JELOU_PROJECT_ID) {
            return &object->members[i].name;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_jelou_project_id(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_str_t *text)
{
    size_t                   max;
    ngx_int_t                rc;
    const ngx_str_t         *name;
    ngx_http_jelou_value_t   value;

    name = ngx_http_jelou_project_name(schema->endpoint);

    if (event->has_project || name == NULL) {
        *text = event->project;
        return NGX_OK;
    }

    /* a token of more bytes is too long in whatever way it is written */

    max = NGX_HTTP_JELOU_ID_MAX * (sizeof("\\u0000") - 1);

    rc = ngx_http_jelou_search(&event->body, name, max, &value,
                               event->pool->log);

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_value_decode(event->pool, &value, text);
    }

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
 * Looks for the string that a member of the root has: nothing is kept of the
 * others.  Returns NGX_OK with its value; NGX_DECLINED, as soon as that is
 * sure, if there is none, if it is longer than max bytes, no string or
 * repeated, or if the body is not JSON; NGX_ERROR if memory ran out.
 */

static ngx_int_t
ngx_http_jelou_search(ngx_str_t *body, const ngx_str_t *name, size_t max,
    ngx_http_jelou_value_t *value, ngx_log_t *log)
{
    ngx_int_t                rc;
    ngx_http_jelou_search_t  search;

    ngx_memzero(value, sizeof(ngx_http_jelou_value_t));

    search.yajl.body = *body;
    search.name = name;
    search.max = max;
    search.value = value;
    search.key = NULL;

    rc = ngx_http_jelou_yajl_parse(&search.yajl,
                                   &ngx_http_jelou_search_callbacks, &search,
                                   log);

    if (rc == NGX_OK && value->type == NGX_HTTP_JELOU_ABSENT) {
        return NGX_DECLINED;
    }

    return rc;
}


/* A value that is no string; the callbacks return 0 once there is no answer. */

static int
ngx_http_jelou_search_null(void *data)
{
    ngx_http_jelou_search_t  *search = data;

    return search->yajl.depth && search->key == NULL;
}


static int
ngx_http_jelou_search_boolean(void *data, int boolean)
{
    return ngx_http_jelou_search_null(data);
}


static int
ngx_http_jelou_search_number(void *data, const char *number, size_t len)
{
    return ngx_http_jelou_search_null(data);
}


static int
ngx_http_jelou_search_string(void *data, const unsigned char *string,
    size_t len)
{
    ngx_http_jelou_search_t  *search = data;

    ngx_str_t                token;
    ngx_http_jelou_value_t  *value;

    if (search->key == NULL) {
        return search->yajl.depth > 0;
    }

    value = search->value;

    token.data = (u_char *) string;
    token.len = len;

    if (!ngx_http_jelou_yajl_as_is(&search->yajl, string)) {
        ngx_http_jelou_yajl_token(&search->yajl, search->key, &token);
        value->escaped = 1;
    }

    value->type = NGX_HTTP_JELOU_STRING;
    value->data = token.data;
    value->len = (uint32_t) token.len;

    search->key = NULL;

    return token.len <= search->max;
}


static int
ngx_http_jelou_search_start_map(void *data)
{
    ngx_http_jelou_search_t  *search = data;

    return search->key == NULL && ngx_http_jelou_yajl_open(&search->yajl);
}


static int
ngx_http_jelou_search_key(void *data, const unsigned char *key, size_t len)
{
    ngx_http_jelou_search_t  *search = data;

    if (search->yajl.depth == 1
        && len == search->name->len
        && ngx_memcmp(key, search->name->data, len) == 0)
    {
        search->key = key + len;

        return search->value->type == NGX_HTTP_JELOU_ABSENT;
    }

    return 1;
}


static int
ngx_http_jelou_search_start_array(void *data)
{
    ngx_http_jelou_search_t  *search = data;

    return search->yajl.depth && ngx_http_jelou_search_start_map(data);
}


static int
ngx_http_jelou_search_end(void *data)
{
    ngx_http_jelou_search_t  *search = data;

    ngx_http_jelou_yajl_close(&search->yajl);

    return 1;
}
