
/*
 * Entries in hand, in their rooms.
 *
 * A room is ready, or busy, or waits.  Of an entry that is not to be delivered
 * soon, there is no more here than its id: its event is fetched again.
 */


#include "ngx_http_jelou_deliver.h"


static ngx_http_jelou_deliver_room_t *ngx_http_jelou_deliver_room(
    ngx_http_jelou_deliver_stream_t *s, ngx_str_t *name);
static void ngx_http_jelou_deliver_room_ready(
    ngx_http_jelou_deliver_room_t *room);
static void ngx_http_jelou_deliver_room_free(
    ngx_http_jelou_deliver_room_t *room);
static void ngx_http_jelou_deliver_entries_free(
    ngx_http_jelou_deliver_room_t *room, ngx_queue_t *q);
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
ngx_http_jelou_deliver_room_put(ngx_http_jelou_deliver_stream_t *s,
    ngx_str_t *name, ngx_http_jelou_deliver_entry_t *e)
{
    ngx_http_jelou_deliver_room_t  *room;

    room = ngx_http_jelou_deliver_room(s, name);

    if (room == NULL) {
        return NGX_ERROR;
    }

    if (!ngx_http_jelou_deliver_leased(s) && !ngx_queue_empty(&room->entries)) {

        /* it is in hand: whoever wanted to renew it could not */

        return NGX_DECLINED;
    }

    ngx_queue_insert_tail(&room->entries, &e->queue);
    s->nentries++;

    if (ngx_queue_head(&room->entries) == &e->queue) {
        ngx_http_jelou_deliver_room_ready(room);
        ngx_http_jelou_deliver_go(s);
    }

    return NGX_OK;
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


static void
ngx_http_jelou_deliver_room_ready(ngx_http_jelou_deliver_room_t *room)
{
    room->state = NGX_HTTP_JELOU_DELIVER_READY;
    room->stream->nready++;

    ngx_queue_insert_tail(&room->stream->ready, &room->queue);
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
