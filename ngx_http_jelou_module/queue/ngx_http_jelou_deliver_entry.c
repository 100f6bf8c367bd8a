
/*
 * Entries as Redis has them, read into what is kept of them.
 */


#include "ngx_http_jelou_deliver.h"


static ngx_int_t ngx_http_jelou_deliver_take_one(
    ngx_http_jelou_deliver_stream_t *s, redisReply *entry);
static ngx_int_t ngx_http_jelou_deliver_parse_id(redisReply *reply,
    ngx_http_jelou_deliver_entry_t *e);
static uint64_t ngx_http_jelou_deliver_number(u_char **p, u_char *last);
static ngx_int_t ngx_http_jelou_deliver_fill_body(
    ngx_http_jelou_deliver_stream_t *s, ngx_http_jelou_deliver_entry_t *e,
    ngx_str_t *body, ngx_str_t *project);
static void ngx_http_jelou_deliver_tried(ngx_http_jelou_deliver_entry_t *e,
    ngx_str_t *value);


ngx_int_t
ngx_http_jelou_deliver_take(ngx_http_jelou_deliver_stream_t *s,
    redisReply *entries)
{
    ngx_uint_t  i;

    if (entries->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    for (i = 0; i < entries->elements; i++) {

        if (ngx_http_jelou_deliver_take_one(s, entries->element[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return entries->elements;
}


static ngx_int_t
ngx_http_jelou_deliver_take_one(ngx_http_jelou_deliver_stream_t *s,
    redisReply *entry)
{
    u_char                           id[NGX_HTTP_JELOU_DELIVER_ID_LEN];
    ngx_int_t                        rc;
    ngx_str_t                        name;
    ngx_http_jelou_deliver_entry_t  *e;

    e = ngx_calloc(sizeof(ngx_http_jelou_deliver_entry_t), ngx_cycle->log);
    if (e == NULL) {
        return NGX_ERROR;
    }

    ngx_str_null(&name);

    if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2
        || ngx_http_jelou_deliver_parse_id(entry->element[0], e) != NGX_OK
        || ngx_http_jelou_deliver_fill(s, e, entry->element[1], &name)
           != NGX_OK)
    {
        ngx_http_jelou_deliver_entry_free(s, e);
        return NGX_ERROR;
    }

    if (s->conf->order == NGX_HTTP_JELOU_DELIVER_NONE) {
        name.data = id;
        name.len = ngx_http_jelou_deliver_id(id, e->ms, e->seq) - id;
    }

    rc = ngx_http_jelou_deliver_room_put(s, &name, e);

    if (rc != NGX_OK) {
        ngx_http_jelou_deliver_entry_free(s, e);
    }

    return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_http_jelou_deliver_parse_id(redisReply *reply,
    ngx_http_jelou_deliver_entry_t *e)
{
    u_char  *p, *last;

    if (reply->type != REDIS_REPLY_STRING) {
        return NGX_ERROR;
    }

    p = (u_char *) reply->str;
    last = p + reply->len;

    e->ms = ngx_http_jelou_deliver_number(&p, last);

    if (p == last || *p++ != '-' || p == last) {
        return NGX_ERROR;
    }

    e->seq = ngx_http_jelou_deliver_number(&p, last);

    return p == last ? NGX_OK : NGX_ERROR;
}


/* Both halves of an id take 64 bits, without a sign. */

static uint64_t
ngx_http_jelou_deliver_number(u_char **p, u_char *last)
{
    uint64_t  n;

    for (n = 0; *p < last && **p >= '0' && **p <= '9'; (*p)++) {
        n = n * 10 + (**p - '0');
    }

    return n;
}


u_char *
ngx_http_jelou_deliver_id(u_char *p, uint64_t ms, uint64_t seq)
{
    return ngx_sprintf(p, "%uL-%uL", ms, seq);
}


ngx_int_t
ngx_http_jelou_deliver_fill(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e, redisReply *fields, ngx_str_t *room)
{
    u_char      *p;
    ngx_str_t    value, body, project;
    ngx_uint_t   i;
    const char  *name;

    if (fields->type != REDIS_REPLY_ARRAY) {
        return NGX_ERROR;
    }

    ngx_str_null(&body);
    ngx_str_null(&project);
    e->bad = NGX_HTTP_JELOU_DELIVER_NO_EVENT;

    for (i = 0; i + 1 < fields->elements; i += 2) {

        if (fields->element[i]->type != REDIS_REPLY_STRING
            || fields->element[i + 1]->type != REDIS_REPLY_STRING)
        {
            return NGX_ERROR;
        }

        name = fields->element[i]->str;
        value.data = (u_char *) fields->element[i + 1]->str;
        value.len = fields->element[i + 1]->len;

        if (ngx_strcmp(name, "event") == 0) {
            body = value;
            e->bad = NGX_HTTP_JELOU_DELIVER_GOOD;

        } else if (ngx_strcmp(name, "jelou_large") == 0) {
            e->bad = NGX_HTTP_JELOU_DELIVER_TOO_LARGE;

        } else if (ngx_strcmp(name, "jelou_later") == 0) {
            e->bad = NGX_HTTP_JELOU_DELIVER_GOOD;

        } else if (ngx_strcmp(name, "jelou_tried") == 0) {
            ngx_http_jelou_deliver_tried(e, &value);

        } else if (ngx_strcmp(name, "room_id") == 0) {
            *room = value;

        } else if (ngx_strcmp(name, "project_id") == 0) {
            project = value;

        } else if (ngx_strcmp(name, "received_at") == 0) {
            p = value.data;
            e->received = ngx_http_jelou_deliver_number(&p, p + value.len);

        } else if (ngx_strcmp(name, "format") == 0) {
            e->cloud = (ngx_strcmp(value.data, "cloudevents") == 0);
        }
    }

    return ngx_http_jelou_deliver_fill_body(s, e, &body, &project);
}


/* What is no event is found here, and has no body. */

static ngx_int_t
ngx_http_jelou_deliver_fill_body(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e, ngx_str_t *body, ngx_str_t *project)
{
    u_char     *p;
    ngx_int_t   rc;

    if (e->bad != NGX_HTTP_JELOU_DELIVER_GOOD || body->data == NULL) {
        return NGX_OK;
    }

    if ((off_t) body->len > s->conf->max_size) {
        e->bad = NGX_HTTP_JELOU_DELIVER_TOO_LARGE;
        return NGX_OK;
    }

    rc = ngx_http_jelou_deliver_json(body, ngx_cycle->log);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        e->bad = NGX_HTTP_JELOU_DELIVER_NOT_JSON;
        return NGX_OK;
    }

    p = ngx_alloc(body->len + project->len, ngx_cycle->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    e->body.data = p;
    e->body.len = body->len;

    p = ngx_cpymem(p, body->data, body->len);

    e->project.data = p;
    e->project.len = project->len;

    if (project->len) {
        ngx_memcpy(p, project->data, project->len);
    }

    s->bytes += body->len;

    return NGX_OK;
}


/* "attempts first last status", as "fail" has it */

static void
ngx_http_jelou_deliver_tried(ngx_http_jelou_deliver_entry_t *e,
    ngx_str_t *value)
{
    u_char      *p, *last;
    uint64_t     numbers[4];
    ngx_uint_t   i;

    p = value->data;
    last = p + value->len;

    for (i = 0; i < 4; i++) {
        numbers[i] = ngx_http_jelou_deliver_number(&p, last);

        if (p < last) {
            p++;
        }
    }

    e->attempts = (uint32_t) numbers[0];
    e->first = numbers[1];
    e->last = numbers[2];
    e->status = numbers[3] & 0x3ff;
}


void
ngx_http_jelou_deliver_drop(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e)
{
    if (e->body.data) {
        s->bytes -= e->body.len;

        ngx_free(e->body.data);
        e->body.data = NULL;
        ngx_str_null(&e->project);
    }
}


void
ngx_http_jelou_deliver_entry_free(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e)
{
    ngx_http_jelou_deliver_drop(s, e);
    ngx_free(e);
}
