
/*
 * Entries in hand, in their rooms.
 *
 * A room is ready, or busy, or waits.  Of an entry that is not to be delivered
 * soon, there is no more here than its id: its event is fetched again.
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
static ngx_http_jelou_deliver_room_t *ngx_http_jelou_deliver_room(
    ngx_http_jelou_deliver_stream_t *s, ngx_str_t *name);
static void ngx_http_jelou_deliver_room_ready(
    ngx_http_jelou_deliver_room_t *room);
static void ngx_http_jelou_deliver_room_begin(
    ngx_http_jelou_deliver_room_t *room);
static void ngx_http_jelou_deliver_room_free(
    ngx_http_jelou_deliver_room_t *room);
static void ngx_http_jelou_deliver_entries_free(
    ngx_http_jelou_deliver_room_t *room, ngx_queue_t *q);
static void ngx_http_jelou_deliver_entry_free(
    ngx_http_jelou_deliver_stream_t *s, ngx_http_jelou_deliver_entry_t *e);
static ngx_http_jelou_deliver_entry_t *ngx_http_jelou_deliver_first(
    ngx_http_jelou_deliver_room_t *room);
static void ngx_http_jelou_deliver_due_handler(ngx_event_t *ev);
static void ngx_http_jelou_deliver_due_set(
    ngx_http_jelou_deliver_stream_t *s);


void
ngx_http_jelou_deliver_rooms_init(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_rbtree_init(&s->rooms, &s->rooms_sentinel, ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&s->waiting, &s->waiting_sentinel,
                    ngx_rbtree_insert_timer_value);

    ngx_queue_init(&s->ready);
    ngx_queue_init(&s->busy);

    s->due.data = s;
    s->due.handler = ngx_http_jelou_deliver_due_handler;
    s->due.log = ngx_cycle->log;
    s->due.cancelable = 1;
}


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
    ngx_str_t                        name;
    ngx_http_jelou_deliver_room_t   *room;
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

    room = ngx_http_jelou_deliver_room(s, &name);

    if (room == NULL) {
        ngx_http_jelou_deliver_entry_free(s, e);
        return NGX_ERROR;
    }

    if (s->conf->order == NGX_HTTP_JELOU_DELIVER_NONE
        && !ngx_queue_empty(&room->entries))
    {
        /* it is in hand: whoever wanted to renew it could not */

        ngx_http_jelou_deliver_entry_free(s, e);
        return NGX_OK;
    }

    ngx_queue_insert_tail(&room->entries, &e->queue);
    s->nentries++;

    if (ngx_queue_head(&room->entries) == &e->queue) {
        ngx_http_jelou_deliver_room_begin(room);
    }

    return NGX_OK;
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

    ngx_memcpy(p, project->data, project->len);

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


/* An entry without a name is alone. */

static ngx_http_jelou_deliver_room_t *
ngx_http_jelou_deliver_room(ngx_http_jelou_deliver_stream_t *s,
    ngx_str_t *name)
{
    uint32_t                        hash;
    ngx_str_node_t                 *node;
    ngx_http_jelou_deliver_room_t  *room;

    hash = 0;

    if (name->len) {
        hash = ngx_crc32_short(name->data, name->len);

        node = ngx_str_rbtree_lookup(&s->rooms, name, hash);

        if (node) {
            return (ngx_http_jelou_deliver_room_t *) node;
        }
    }

    room = ngx_alloc(sizeof(ngx_http_jelou_deliver_room_t) + name->len,
                     ngx_cycle->log);
    if (room == NULL) {
        return NULL;
    }

    ngx_memzero(room, sizeof(ngx_http_jelou_deliver_room_t));

    room->stream = s;
    room->node.str.data = (u_char *) room
                          + sizeof(ngx_http_jelou_deliver_room_t);
    room->node.str.len = name->len;

    if (name->len) {
        ngx_memcpy(room->node.str.data, name->data, name->len);

        room->node.node.key = hash;
        room->named = 1;
        ngx_rbtree_insert(&s->rooms, &room->node.node);
    }

    ngx_queue_init(&room->entries);

    return room;
}


static ngx_http_jelou_deliver_entry_t *
ngx_http_jelou_deliver_first(ngx_http_jelou_deliver_room_t *room)
{
    return ngx_queue_data(ngx_queue_head(&room->entries),
                          ngx_http_jelou_deliver_entry_t, queue);
}


static void
ngx_http_jelou_deliver_room_ready(ngx_http_jelou_deliver_room_t *room)
{
    room->state = NGX_HTTP_JELOU_DELIVER_READY;
    room->stream->nready++;

    ngx_queue_insert_tail(&room->stream->ready, &room->queue);
}


/* The first entry of a room that had none: it may have failed before. */

static void
ngx_http_jelou_deliver_room_begin(ngx_http_jelou_deliver_room_t *room)
{
    ngx_http_jelou_deliver_room_ready(room);

    ngx_http_jelou_deliver_go(room->stream);
}


ngx_http_jelou_deliver_room_t *
ngx_http_jelou_deliver_next(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_queue_t                    *q;
    ngx_http_jelou_deliver_room_t  *room;

    if (ngx_queue_empty(&s->ready)) {
        return NULL;
    }

    q = ngx_queue_head(&s->ready);
    room = ngx_queue_data(q, ngx_http_jelou_deliver_room_t, queue);

    ngx_queue_remove(q);
    s->nready--;

    room->state = NGX_HTTP_JELOU_DELIVER_BUSY;
    ngx_queue_insert_tail(&s->busy, &room->busy);
    s->nbusy++;

    return room;
}


void
ngx_http_jelou_deliver_room_done(ngx_http_jelou_deliver_room_t *room)
{
    ngx_http_jelou_deliver_entry_t   *e;
    ngx_http_jelou_deliver_stream_t  *s;

    s = room->stream;

    ngx_queue_remove(&room->busy);
    s->nbusy--;

    if (room->lost) {
        s->nlost--;
    }

    e = ngx_http_jelou_deliver_first(room);

    ngx_queue_remove(&e->queue);
    ngx_http_jelou_deliver_entry_free(s, e);
    s->nentries--;

    if (ngx_queue_empty(&room->entries)) {
        ngx_http_jelou_deliver_room_free(room);

    } else {
        ngx_http_jelou_deliver_room_ready(room);
    }

    ngx_http_jelou_deliver_go(s);
}


void
ngx_http_jelou_deliver_room_wait(ngx_http_jelou_deliver_room_t *room,
    ngx_msec_t delay)
{
    ngx_http_jelou_deliver_stream_t  *s;

    s = room->stream;

    ngx_queue_remove(&room->busy);
    s->nbusy--;

    room->state = NGX_HTTP_JELOU_DELIVER_WAITING;

    /* its turn is a long time ahead: the event can be fetched again */

    ngx_http_jelou_deliver_drop(s, ngx_http_jelou_deliver_first(room));

    room->due.key = ngx_current_msec + delay;
    ngx_rbtree_insert(&s->waiting, &room->due);

    ngx_http_jelou_deliver_due_set(s);
    ngx_http_jelou_deliver_go(s);
}


static void
ngx_http_jelou_deliver_due_set(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_msec_int_t      left;
    ngx_rbtree_node_t  *node;

    if (s->waiting.root == s->waiting.sentinel) {

        if (s->due.timer_set) {
            ngx_del_timer(&s->due);
        }

        return;
    }

    node = ngx_rbtree_min(s->waiting.root, s->waiting.sentinel);

    left = (ngx_msec_int_t) (node->key - ngx_current_msec);

    ngx_add_timer(&s->due, (ngx_msec_t) ngx_max(left, 1));
}


static void
ngx_http_jelou_deliver_due_handler(ngx_event_t *ev)
{
    ngx_rbtree_node_t                *node;
    ngx_http_jelou_deliver_room_t    *room;
    ngx_http_jelou_deliver_stream_t  *s;

    s = ev->data;

    while (s->waiting.root != s->waiting.sentinel) {

        node = ngx_rbtree_min(s->waiting.root, s->waiting.sentinel);

        if ((ngx_msec_int_t) (node->key - ngx_current_msec) > 0) {
            break;
        }

        ngx_rbtree_delete(&s->waiting, node);

        room = ngx_rbtree_data(node, ngx_http_jelou_deliver_room_t, due);
        ngx_http_jelou_deliver_room_ready(room);
    }

    ngx_http_jelou_deliver_due_set(s);
    ngx_http_jelou_deliver_go(s);
}


/*
 * The application is there again.  They come soon, and not all at once; a room
 * whose event was answered, with an error, has waited for a reason of its own.
 */

void
ngx_http_jelou_deliver_rooms_wake(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_msec_t                       soon;
    ngx_queue_t                      queue, *q;
    ngx_rbtree_node_t               *node, *next;
    ngx_http_jelou_deliver_room_t   *room;
    ngx_http_jelou_deliver_entry_t  *e;

    if (s->waiting.root == s->waiting.sentinel) {
        return;
    }

    ngx_queue_init(&queue);

    node = ngx_rbtree_min(s->waiting.root, s->waiting.sentinel);

    for ( /* void */ ; node; node = next) {
        next = ngx_rbtree_next(&s->waiting, node);

        room = ngx_rbtree_data(node, ngx_http_jelou_deliver_room_t, due);
        e = ngx_http_jelou_deliver_first(room);

        if (e->status == 0) {
            ngx_queue_insert_tail(&queue, &room->queue);
        }
    }

    while (!ngx_queue_empty(&queue)) {
        q = ngx_queue_head(&queue);
        ngx_queue_remove(q);

        room = ngx_queue_data(q, ngx_http_jelou_deliver_room_t, queue);
        soon = ngx_current_msec + ngx_random() % (s->conf->retry + 1);

        if ((ngx_msec_int_t) (room->due.key - soon) > 0) {
            ngx_rbtree_delete(&s->waiting, &room->due);
            room->due.key = soon;
            ngx_rbtree_insert(&s->waiting, &room->due);
        }
    }

    ngx_http_jelou_deliver_due_set(s);
}


void
ngx_http_jelou_deliver_rooms_forget(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_queue_t        *q, *next;
    ngx_rbtree_node_t  *node;

    for (q = ngx_queue_head(&s->ready);
         q != ngx_queue_sentinel(&s->ready);
         q = next)
    {
        next = ngx_queue_next(q);

        ngx_http_jelou_deliver_room_free(
                  ngx_queue_data(q, ngx_http_jelou_deliver_room_t, queue));
    }

    ngx_queue_init(&s->ready);
    s->nready = 0;

    while (s->waiting.root != s->waiting.sentinel) {
        node = s->waiting.root;
        ngx_rbtree_delete(&s->waiting, node);

        ngx_http_jelou_deliver_room_free(
                 ngx_rbtree_data(node, ngx_http_jelou_deliver_room_t, due));
    }

    ngx_http_jelou_deliver_due_set(s);
}


/*
 * A busy room keeps its first entry, under no name: what is read of this room
 * now begins another one.
 */

void
ngx_http_jelou_deliver_rooms_lose(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_queue_t                    *q;
    ngx_http_jelou_deliver_room_t  *room;

    ngx_http_jelou_deliver_rooms_forget(s);

    for (q = ngx_queue_head(&s->busy);
         q != ngx_queue_sentinel(&s->busy);
         q = ngx_queue_next(q))
    {
        room = ngx_queue_data(q, ngx_http_jelou_deliver_room_t, busy);

        if (!room->lost) {
            room->lost = 1;
            s->nlost++;
        }

        if (room->named) {
            ngx_rbtree_delete(&s->rooms, &room->node.node);
            room->named = 0;
        }

        ngx_http_jelou_deliver_entries_free(room,
                             ngx_queue_next(ngx_queue_head(&room->entries)));
    }
}


void
ngx_http_jelou_deliver_room_forget(ngx_http_jelou_deliver_stream_t *s,
    ngx_str_t *name)
{
    ngx_http_jelou_deliver_room_t  *room;

    room = (ngx_http_jelou_deliver_room_t *)
           ngx_str_rbtree_lookup(&s->rooms, name,
                                 ngx_crc32_short(name->data, name->len));

    if (room == NULL) {
        return;
    }

    switch (room->state) {

    case NGX_HTTP_JELOU_DELIVER_READY:
        ngx_queue_remove(&room->queue);
        s->nready--;
        break;

    case NGX_HTTP_JELOU_DELIVER_WAITING:
        ngx_rbtree_delete(&s->waiting, &room->due);
        break;

    default:
        return;
    }

    ngx_http_jelou_deliver_room_free(room);
}


static void
ngx_http_jelou_deliver_room_free(ngx_http_jelou_deliver_room_t *room)
{
    /* a list that frees its members misleads the analyzer */

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    ngx_http_jelou_deliver_entries_free(room, ngx_queue_head(&room->entries));

    if (room->named) {
        ngx_rbtree_delete(&room->stream->rooms, &room->node.node);
    }

    ngx_free(room);
}


/* Those from q on. */

static void
ngx_http_jelou_deliver_entries_free(ngx_http_jelou_deliver_room_t *room,
    ngx_queue_t *q)
{
    ngx_queue_t  *next;

    for ( /* void */ ; q != ngx_queue_sentinel(&room->entries); q = next) {
        next = ngx_queue_next(q);

        ngx_queue_remove(q);
        room->stream->nentries--;

        ngx_http_jelou_deliver_entry_free(room->stream,
                     ngx_queue_data(q, ngx_http_jelou_deliver_entry_t, queue));
    }
}


static void
ngx_http_jelou_deliver_entry_free(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e)
{
    ngx_http_jelou_deliver_drop(s, e);
    ngx_free(e);
}
