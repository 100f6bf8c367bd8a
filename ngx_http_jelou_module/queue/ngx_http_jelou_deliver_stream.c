
/*
 * What a stream does next.
 *
 * With "order room", one worker of all machines has the stream: it has asked
 * for a lease, whose number has grown with that, and whatever it reads or
 * changes names this number.  It begins with what was given out before and not
 * acknowledged, in the stream's order, and goes on with what is new.  Without
 * the lease nothing new is begun; what is on its way ends, and counts if it was
 * a success.
 *
 * With "order none", all workers read, each as a consumer of its own.  Each
 * renews what it has; what nobody has renewed for a minute is claimed by another
 * one, and at once what was given back.
 */


#include "ngx_http_jelou_deliver.h"


/* rooms that are ready before there is place for them, at least */

#define NGX_HTTP_JELOU_DELIVER_AHEAD  64

/* ids of one call */

#define NGX_HTTP_JELOU_DELIVER_NIDS  256

/* a consumer that has had nothing for so long is deleted, and how often it is
   looked for: it is there after a crash only */

#define NGX_HTTP_JELOU_DELIVER_STALE  (2 * NGX_HTTP_JELOU_DELIVER_IDLE)
#define NGX_HTTP_JELOU_DELIVER_TIDY   NGX_HTTP_JELOU_DELIVER_IDLE

/* after an error, so long nothing is claimed: others could not renew theirs */

#define NGX_HTTP_JELOU_DELIVER_GRACE  (NGX_HTTP_JELOU_DELIVER_IDLE / 4)

/* so long an nginx that exits tries to acknowledge what it has delivered */

#define NGX_HTTP_JELOU_DELIVER_LAST   10000


static void ngx_http_jelou_deliver_go_handler(ngx_event_t *ev);
static void ngx_http_jelou_deliver_beat_handler(ngx_event_t *ev);
static void ngx_http_jelou_deliver_again_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_jelou_deliver_may_begin(
    ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_read(ngx_http_jelou_deliver_stream_t *s);
static ngx_uint_t ngx_http_jelou_deliver_wants(
    ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_read_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static void ngx_http_jelou_deliver_last(ngx_http_jelou_deliver_stream_t *s,
    redisReply *id);
static void ngx_http_jelou_deliver_rung_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static void ngx_http_jelou_deliver_own(ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_own_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static ngx_int_t ngx_http_jelou_deliver_owns(
    ngx_http_jelou_deliver_stream_t *s, redisReply *reply);
static void ngx_http_jelou_deliver_join_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static void ngx_http_jelou_deliver_keep(ngx_http_jelou_deliver_stream_t *s,
    const char *operation);
static ngx_int_t ngx_http_jelou_deliver_keep_entries(
    ngx_http_jelou_deliver_stream_t *s, const char *operation, u_char *text,
    ngx_queue_t *queue);
static void ngx_http_jelou_deliver_kept(ngx_http_jelou_deliver_stream_t *s,
    void *data, const char *word, redisReply *reply);
static void ngx_http_jelou_deliver_tidy(ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_acks(ngx_http_jelou_deliver_stream_t *s);
static u_char *ngx_http_jelou_deliver_acks_write(
    ngx_http_jelou_deliver_stream_t *s, u_char *p, ngx_uint_t n,
    ngx_uint_t *nwords);
static u_char *ngx_http_jelou_deliver_word(u_char *p, u_char *data,
    size_t len);
static void ngx_http_jelou_deliver_acks_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static void ngx_http_jelou_deliver_end(ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_released(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);


#define ngx_http_jelou_deliver_leased(s)                                      \
    ((s)->conf->order == NGX_HTTP_JELOU_DELIVER_ROOM)

/* the room that a word of an id takes in a command */

#define NGX_HTTP_JELOU_DELIVER_WORD                                           \
    (NGX_HTTP_JELOU_DELIVER_ID_LEN + sizeof("$00" CRLF CRLF))


void
ngx_http_jelou_deliver_start(ngx_http_jelou_deliver_stream_t *s,
    ngx_msec_t delay)
{
    ngx_http_jelou_deliver_rooms_init(s);

    s->go.data = s;
    s->go.handler = ngx_http_jelou_deliver_go_handler;
    s->go.log = ngx_cycle->log;

    s->beat.data = s;
    s->beat.handler = ngx_http_jelou_deliver_beat_handler;
    s->beat.log = ngx_cycle->log;
    s->beat.cancelable = 1;

    s->again.data = s;
    s->again.handler = ngx_http_jelou_deliver_again_handler;
    s->again.log = ngx_cycle->log;
    s->again.cancelable = 1;

    ngx_add_timer(&s->beat, delay);
}


void
ngx_http_jelou_deliver_go(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_post_event(&s->go, &ngx_posted_events);
}


static void
ngx_http_jelou_deliver_go_handler(ngx_event_t *ev)
{
    ngx_http_jelou_deliver_room_t    *room;
    ngx_http_jelou_deliver_stream_t  *s;

    s = ev->data;

    while (s->nbusy < s->conf->parallel
           && ngx_http_jelou_deliver_may_begin(s))
    {
        room = ngx_http_jelou_deliver_next(s);

        if (room == NULL) {
            break;
        }

        ngx_http_jelou_deliver_event(room);
    }

    ngx_http_jelou_deliver_acks(s);

    if (s->exiting) {
        ngx_http_jelou_deliver_end(s);

    } else {
        ngx_http_jelou_deliver_read(s);
    }
}


/* By its own clock, the lease is over no later than by that of Redis. */

static ngx_uint_t
ngx_http_jelou_deliver_may_begin(ngx_http_jelou_deliver_stream_t *s)
{
    if (!s->owned || s->paused || s->exiting) {
        return 0;
    }

    return !ngx_http_jelou_deliver_leased(s)
           || (ngx_msec_int_t) (s->until - ngx_current_msec) > 0;
}


/*
 * How many entries it can do with: of rooms that are ready, some in advance; but
 * few where others read as well.
 */

static ngx_uint_t
ngx_http_jelou_deliver_wants(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_uint_t  n, enough;

    enough = 2 * s->conf->parallel;

    if (ngx_http_jelou_deliver_leased(s)) {
        enough = ngx_max(enough, NGX_HTTP_JELOU_DELIVER_AHEAD);
    }

    if (s->nready >= enough || s->nentries >= s->conf->window) {
        return 0;
    }

    n = ngx_min(enough - s->nready, s->conf->window - s->nentries);

    return ngx_min(n, NGX_HTTP_JELOU_DELIVER_BATCH);
}


/* The next entries: first those that were given out before. */

static void
ngx_http_jelou_deliver_read(ngx_http_jelou_deliver_stream_t *s)
{
    u_char      numbers[4][NGX_INT64_LEN];
    ngx_int_t   rc;
    ngx_str_t   words[6];
    ngx_uint_t  n;

    if (s->reading || s->again.timer_set || s->nlost
        || (s->bell && s->claimed)
        || !ngx_http_jelou_deliver_may_begin(s))
    {
        return;
    }

    n = (s->claimed || !ngx_http_jelou_deliver_leased(s))
        ? ngx_http_jelou_deliver_wants(s) : NGX_HTTP_JELOU_DELIVER_BATCH;

    if (n == 0) {
        return;
    }

    if (s->claimed && s->empty) {

        if (ngx_http_jelou_deliver_wait(s, ngx_http_jelou_deliver_rung_done)
            != NGX_OK)
        {
            ngx_add_timer(&s->again, NGX_HTTP_JELOU_DELIVER_AGAIN);
        }

        return;
    }

    words[0] = s->consumer;
    words[1].data = numbers[0];
    words[1].len = ngx_sprintf(numbers[0], "%ui", n) - numbers[0];
    words[2].data = numbers[1];
    words[2].len = ngx_sprintf(numbers[1], "%O", s->conf->max_size)
                   - numbers[1];

    n = (s->bytes < NGX_HTTP_JELOU_DELIVER_KEPT)
        ? NGX_HTTP_JELOU_DELIVER_BYTES : 0;

    words[3].data = numbers[2];
    words[3].len = ngx_sprintf(numbers[2], "%ui", n) - numbers[2];
    words[4].data = numbers[3];
    words[4].len = ngx_sprintf(numbers[3], "%i",
                               ngx_http_jelou_deliver_leased(s)
                               ? 0 : NGX_HTTP_JELOU_DELIVER_IDLE)
                   - numbers[3];
    words[5] = s->cursor;

    s->reading = 1;

    rc = ngx_http_jelou_deliver_call(s, s->claimed ? "read" : "claim",
                                     s->claimed ? 4 : 6, words,
                                     ngx_http_jelou_deliver_read_done, NULL);
    if (rc != NGX_OK) {
        ngx_http_jelou_deliver_read_done(s, NULL, NULL, NULL);
    }
}


/*
 * Without a reply, entries may have been given out that nobody knows of.  With
 * the lease, all is claimed once more when what is on its way has ended; without,
 * they are claimed in a minute.
 */

static void
ngx_http_jelou_deliver_read_done(ngx_http_jelou_deliver_stream_t *s,
    void *data, const char *word, redisReply *reply)
{
    ngx_int_t    n;
    redisReply  *list, *cursor;

    s->reading = 0;

    if (s->exiting) {

        if (reply && ngx_strcmp(word, "ok") == 0 && reply->elements >= 2) {
            (void) ngx_http_jelou_deliver_take(s, reply->element[1]);
        }

        ngx_http_jelou_deliver_go(s);
        return;
    }

    if (reply && ngx_strcmp(word, "paused") == 0) {
        s->paused = 1;
        return;
    }

    n = NGX_ERROR;

    if (reply && ngx_strcmp(word, "ok") == 0 && reply->elements >= 2) {
        n = ngx_http_jelou_deliver_take(s, reply->element[1]);
    }

    if (n == NGX_ERROR) {

        if (ngx_http_jelou_deliver_leased(s)) {
            ngx_http_jelou_deliver_rooms_lose(s);
            s->claimed = 0;
            ngx_str_set(&s->cursor, "0-0");
        }

        ngx_add_timer(&s->again, NGX_HTTP_JELOU_DELIVER_AGAIN);
        return;
    }

    if (!s->claimed) {
        cursor = reply->elements > 2 ? reply->element[2] : NULL;

        if (cursor && cursor->type == REDIS_REPLY_STRING
            && cursor->len <= sizeof(s->cursor_text)
            && ngx_strcmp(cursor->str, "0-0") != 0)
        {
            ngx_memcpy(s->cursor_text, cursor->str, cursor->len);
            s->cursor.data = s->cursor_text;
            s->cursor.len = cursor->len;

        } else {
            s->claimed = 1;
            s->empty = 0;
            ngx_str_set(&s->cursor, "0-0");
        }

    } else if (n == 0) {
        s->empty = 1;

    } else {
        list = reply->element[1];
        ngx_http_jelou_deliver_last(s, list->element[n - 1]->element[0]);
    }

    ngx_http_jelou_deliver_go(s);
}


static void
ngx_http_jelou_deliver_last(ngx_http_jelou_deliver_stream_t *s,
    redisReply *id)
{
    if (id->type != REDIS_REPLY_STRING || id->len > sizeof(s->last_text)) {
        return;
    }

    ngx_memcpy(s->last_text, id->str, id->len);
    s->last.data = s->last_text;
    s->last.len = id->len;
}


/* Something has come, or nothing for a while. */

static void
ngx_http_jelou_deliver_rung_done(ngx_http_jelou_deliver_stream_t *s,
    void *data, const char *word, redisReply *reply)
{
    redisReply  *list;

    if (s->exiting) {
        return;
    }

    if (reply == NULL) {
        s->empty = 0;

        if (!s->again.timer_set) {
            ngx_add_timer(&s->again, NGX_HTTP_JELOU_DELIVER_AGAIN);
        }

        return;
    }

    if (reply->type == REDIS_REPLY_ARRAY) {
        s->empty = 0;

        if (!ngx_http_jelou_deliver_leased(s) && reply->elements == 1
            && reply->element[0]->type == REDIS_REPLY_ARRAY
            && reply->element[0]->elements == 2)
        {
            list = reply->element[0]->element[1];

            if (ngx_http_jelou_deliver_take(s, list) == NGX_ERROR) {
                ngx_http_jelou_deliver_say(s, "an entry cannot be read", NULL);
            }
        }
    }

    ngx_http_jelou_deliver_go(s);
}


static void
ngx_http_jelou_deliver_again_handler(ngx_event_t *ev)
{
    ngx_http_jelou_deliver_go(ev->data);
}


/* The lease is asked for, or renewed; or what this worker has is. */

static void
ngx_http_jelou_deliver_beat_handler(ngx_event_t *ev)
{
    ngx_http_jelou_deliver_stream_t  *s;

    s = ev->data;

    if (s->released || s->beating || (s->exiting && !s->owned)) {
        return;
    }

    if (ngx_http_jelou_deliver_leased(s)) {
        ngx_http_jelou_deliver_own(s);
        return;
    }

    s->beating = 1;

    if (ngx_http_jelou_deliver_call(s, "join", 1, &s->dead,
                                    ngx_http_jelou_deliver_join_done, NULL)
        != NGX_OK)
    {
        ngx_http_jelou_deliver_join_done(s, NULL, NULL, NULL);
    }
}


static void
ngx_http_jelou_deliver_own(ngx_http_jelou_deliver_stream_t *s)
{
    u_char     lease[NGX_INT_T_LEN];
    ngx_str_t  words[2];

    words[0].data = lease;
    words[0].len = ngx_sprintf(lease, "%i", NGX_HTTP_JELOU_DELIVER_LEASE)
                   - lease;
    words[1] = s->dead;

    s->beating = 1;
    s->beaten = ngx_current_msec;

    if (ngx_http_jelou_deliver_call(s, "own", 2, words,
                                    ngx_http_jelou_deliver_own_done, NULL)
        != NGX_OK)
    {
        ngx_http_jelou_deliver_own_done(s, NULL, NULL, NULL);
    }
}


/* Who has many leases lets others be first. */

static void
ngx_http_jelou_deliver_own_done(ngx_http_jelou_deliver_stream_t *s, void *data,
    const char *word, redisReply *reply)
{
    ngx_msec_t  delay;

    s->beating = 0;

    if (reply && ngx_strcmp(word, "own") == 0
        && ngx_http_jelou_deliver_owns(s, reply) == NGX_OK)
    {
        ngx_add_timer(&s->beat, NGX_HTTP_JELOU_DELIVER_BEAT);
        ngx_http_jelou_deliver_go(s);
        return;
    }

    if (reply && ngx_strcmp(word, "held") == 0 && s->owned) {
        ngx_http_jelou_deliver_lose(s);
    }

    /* without a reply the lease lasts as long as it does */

    delay = NGX_HTTP_JELOU_DELIVER_ASK;

    if (!s->owned) {
        delay *= 1 + ngx_http_jelou_deliver_owned();
        delay += ngx_random() % (NGX_HTTP_JELOU_DELIVER_ASK / 4);
    }

    if (!s->exiting) {
        ngx_add_timer(&s->beat, delay);
    }

    ngx_http_jelou_deliver_go(s);
}


void
ngx_http_jelou_deliver_ask(ngx_http_jelou_deliver_stream_t *s)
{
    s->until = ngx_current_msec;

    if (!s->beating && !s->released) {
        ngx_add_timer(&s->beat, 1);
    }
}


/* own, number, paused, last id: another number is another lease. */

static ngx_int_t
ngx_http_jelou_deliver_owns(ngx_http_jelou_deliver_stream_t *s,
    redisReply *reply)
{
    redisReply  *fence, *paused, *last;

    if (reply->elements != 4) {
        return NGX_ERROR;
    }

    fence = reply->element[1];
    paused = reply->element[2];
    last = reply->element[3];

    if (fence->type != REDIS_REPLY_STRING || fence->len == 0
        || fence->len > sizeof(s->fence_text)
        || paused->type != REDIS_REPLY_INTEGER
        || last->type != REDIS_REPLY_STRING)
    {
        return NGX_ERROR;
    }

    s->until = s->beaten + NGX_HTTP_JELOU_DELIVER_LEASE;
    s->paused = paused->integer ? 1 : 0;

    if (s->owned && s->fence.len == fence->len
        && ngx_memcmp(s->fence_text, fence->str, fence->len) == 0)
    {
        return NGX_OK;
    }

    ngx_http_jelou_deliver_lose(s);

    ngx_memcpy(s->fence_text, fence->str, fence->len);
    s->fence.data = s->fence_text;
    s->fence.len = fence->len;

    s->owned = 1;

    ngx_http_jelou_deliver_last(s, last);

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "jelou: this worker delivers stream \"%V\" from now on",
                  &s->name);

    return NGX_OK;
}


void
ngx_http_jelou_deliver_lose(ngx_http_jelou_deliver_stream_t *s)
{
    if (s->owned && s->fence.len) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "jelou: the lease of stream \"%V\" is another one's",
                      &s->name);
    }

    ngx_http_jelou_deliver_wait_end(s);

    s->owned = 0;
    s->fence.len = 0;
    s->claimed = 0;
    s->empty = 0;
    ngx_str_set(&s->cursor, "0-0");

    ngx_http_jelou_deliver_rooms_lose(s);
    ngx_http_jelou_deliver_go(s);
}


static void
ngx_http_jelou_deliver_join_done(ngx_http_jelou_deliver_stream_t *s,
    void *data, const char *word, redisReply *reply)
{
    s->beating = 0;

    if (s->released) {
        return;
    }

    if (reply == NULL) {
        s->failed = ngx_current_msec;
    }

    if (reply && reply->elements == 2
        && reply->element[1]->type == REDIS_REPLY_INTEGER)
    {
        s->paused = reply->element[1]->integer ? 1 : 0;
        s->owned = 1;

        /* what others have left; and what this one has is renewed */

        if (!s->exiting
            && (ngx_msec_int_t) (ngx_current_msec - s->failed)
               >= NGX_HTTP_JELOU_DELIVER_GRACE)
        {
            s->claimed = 0;
        }

        if ((ngx_msec_int_t) (ngx_current_msec - s->beaten)
            >= NGX_HTTP_JELOU_DELIVER_IDLE / 4)
        {
            s->beaten = ngx_current_msec;
            ngx_http_jelou_deliver_keep(s, "renew");
            ngx_http_jelou_deliver_tidy(s);
        }
    }

    ngx_add_timer(&s->beat, 2 * NGX_HTTP_JELOU_DELIVER_BEAT);
    ngx_http_jelou_deliver_go(s);
}


/* "renew" or "give", of all entries in hand; those on their way stay here. */

static void
ngx_http_jelou_deliver_keep(ngx_http_jelou_deliver_stream_t *s,
    const char *operation)
{
    u_char             *text;
    ngx_queue_t         queue;
    ngx_rbtree_node_t  *node;

    ngx_http_jelou_deliver_room_t  *room;

    text = ngx_alloc(NGX_HTTP_JELOU_DELIVER_NIDS * NGX_HTTP_JELOU_DELIVER_WORD
                     + s->consumer.len + NGX_HTTP_JELOU_DELIVER_WORD,
                     ngx_cycle->log);
    if (text == NULL) {
        return;
    }

    (void) ngx_http_jelou_deliver_keep_entries(s, operation, text, &s->ready);

    if (*operation == 'r') {
        (void) ngx_http_jelou_deliver_keep_entries(s, operation, text,
                                                   &s->busy);
    }

    /* those that wait are in a tree, whose rooms are in no queue meanwhile */

    ngx_queue_init(&queue);

    if (s->waiting.root != s->waiting.sentinel) {

        for (node = ngx_rbtree_min(s->waiting.root, s->waiting.sentinel);
             node;
             node = ngx_rbtree_next(&s->waiting, node))
        {
            room = ngx_rbtree_data(node, ngx_http_jelou_deliver_room_t, due);
            ngx_queue_insert_tail(&queue, &room->queue);
        }

        (void) ngx_http_jelou_deliver_keep_entries(s, operation, text, &queue);
    }

    ngx_free(text);
}


/* Each room has one entry here. */

static ngx_int_t
ngx_http_jelou_deliver_keep_entries(ngx_http_jelou_deliver_stream_t *s,
    const char *operation, u_char *text, ngx_queue_t *queue)
{
    u_char                           id[NGX_HTTP_JELOU_DELIVER_ID_LEN], *p;
    ngx_str_t                        words;
    ngx_uint_t                       n;
    ngx_queue_t                     *q;
    ngx_http_jelou_deliver_room_t   *room;
    ngx_http_jelou_deliver_entry_t  *e;

    p = text;
    n = 0;

    for (q = ngx_queue_head(queue);
         q != ngx_queue_sentinel(queue);
         q = ngx_queue_next(q))
    {
        room = (queue == &s->busy)
               ? ngx_queue_data(q, ngx_http_jelou_deliver_room_t, busy)
               : ngx_queue_data(q, ngx_http_jelou_deliver_room_t, queue);

        e = ngx_queue_data(ngx_queue_head(&room->entries),
                           ngx_http_jelou_deliver_entry_t, queue);

        if (n == 0) {
            p = ngx_http_jelou_deliver_word(text, s->consumer.data,
                                            s->consumer.len);
        }

        p = ngx_http_jelou_deliver_word(p, id,
                      ngx_http_jelou_deliver_id(id, e->ms, e->seq) - id);

        if (++n == NGX_HTTP_JELOU_DELIVER_NIDS
            || ngx_queue_next(q) == ngx_queue_sentinel(queue))
        {
            words.data = text;
            words.len = p - text;

            if (ngx_http_jelou_deliver_call_text(s, operation, 1 + n, &words,
                                                 ngx_http_jelou_deliver_kept,
                                                 NULL)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            n = 0;
        }
    }

    return NGX_OK;
}


/* What is another one's by now is forgotten; what is on its way ends. */

static void
ngx_http_jelou_deliver_kept(ngx_http_jelou_deliver_stream_t *s, void *data,
    const char *word, redisReply *reply)
{
    ngx_str_t    name;
    ngx_uint_t   i;
    redisReply  *lost;

    if (reply == NULL || reply->elements != 2
        || reply->element[1]->type != REDIS_REPLY_ARRAY)
    {
        return;
    }

    lost = reply->element[1];

    for (i = 0; i < lost->elements; i++) {

        if (lost->element[i]->type == REDIS_REPLY_STRING) {
            name.data = (u_char *) lost->element[i]->str;
            name.len = lost->element[i]->len;

            ngx_http_jelou_deliver_room_forget(s, &name);
        }
    }
}


static u_char *
ngx_http_jelou_deliver_word(u_char *p, u_char *data, size_t len)
{
    return ngx_sprintf(p, "$%uz" CRLF "%*s" CRLF, len, len, data);
}


/* Consumers of workers that are no more, on machines that have gone. */

static void
ngx_http_jelou_deliver_tidy(ngx_http_jelou_deliver_stream_t *s)
{
    u_char     stale[NGX_INT_T_LEN];
    ngx_str_t  word;

    if (s->tidied && (ngx_msec_int_t) (ngx_current_msec - s->tidied)
                     < NGX_HTTP_JELOU_DELIVER_TIDY)
    {
        return;
    }

    s->tidied = ngx_current_msec;

    word.data = stale;
    word.len = ngx_sprintf(stale, "%i", NGX_HTTP_JELOU_DELIVER_STALE) - stale;

    (void) ngx_http_jelou_deliver_call(s, "tidy", 1, &word, NULL, NULL);
}


void
ngx_http_jelou_deliver_ack(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e)
{
    ngx_http_jelou_deliver_ack_t  *ack;

    ack = ngx_array_push(s->acks);

    if (ack == NULL) {

        /* it is delivered once more, when somebody claims it */

        return;
    }

    ack->ms = e->ms;
    ack->seq = e->seq;
    ack->failed = (e->attempts != 0);

    ngx_http_jelou_deliver_go(s);
}


/* Those of a round trip go together. */

static void
ngx_http_jelou_deliver_acks(ngx_http_jelou_deliver_stream_t *s)
{
    u_char       *text, *p;
    ngx_str_t     words;
    ngx_uint_t    n, nwords;
    ngx_array_t  *acks;

    if (s->acks->nelts == 0 || s->acking->nelts || s->again.timer_set) {
        return;
    }

    acks = s->acking;
    s->acking = s->acks;
    s->acks = acks;

    n = s->acking->nelts;

    text = ngx_alloc((2 * n + 2) * NGX_HTTP_JELOU_DELIVER_WORD, ngx_cycle->log);

    if (text == NULL) {
        ngx_http_jelou_deliver_acks_done(s, NULL, NULL, NULL);
        return;
    }

    p = ngx_http_jelou_deliver_acks_write(s, text, n, &nwords);

    words.data = text;
    words.len = p - text;

    if (ngx_http_jelou_deliver_call_text(s, "done", nwords, &words,
                                         ngx_http_jelou_deliver_acks_done,
                                         NULL)
        != NGX_OK)
    {
        ngx_http_jelou_deliver_acks_done(s, NULL, NULL, NULL);
    }

    ngx_free(text);
}


static u_char *
ngx_http_jelou_deliver_acks_write(ngx_http_jelou_deliver_stream_t *s,
    u_char *p, ngx_uint_t n, ngx_uint_t *nwords)
{
    u_char                         text[NGX_HTTP_JELOU_DELIVER_ID_LEN], *last;
    ngx_uint_t                     i, failed;
    ngx_http_jelou_deliver_ack_t  *ack;

    ack = s->acking->elts;

    p = ngx_http_jelou_deliver_word(p, (u_char *) (s->conf->remove ? "1" : "0"),
                                    1);

    last = ngx_sprintf(text, "%ui", n);
    p = ngx_http_jelou_deliver_word(p, text, last - text);

    *nwords = 2;

    for (failed = 0; failed < 2; failed++) {

        for (i = 0; i < n; i++) {

            if (failed && !ack[i].failed) {
                continue;
            }

            last = ngx_http_jelou_deliver_id(text, ack[i].ms, ack[i].seq);
            p = ngx_http_jelou_deliver_word(p, text, last - text);
            (*nwords)++;
        }
    }

    return p;
}


/* What is not known to be acknowledged is acknowledged again. */

static void
ngx_http_jelou_deliver_acks_done(ngx_http_jelou_deliver_stream_t *s,
    void *data, const char *word, redisReply *reply)
{
    ngx_uint_t                     n;
    ngx_http_jelou_deliver_ack_t  *acks;

    if (reply == NULL
        && !(s->exiting && (ngx_msec_int_t) (ngx_current_msec - s->stopping)
                           > NGX_HTTP_JELOU_DELIVER_LAST))
    {
        n = s->acking->nelts;
        acks = ngx_array_push_n(s->acks, n);

        if (acks) {
            ngx_memcpy(acks, s->acking->elts,
                       n * sizeof(ngx_http_jelou_deliver_ack_t));
        }

        if (!s->again.timer_set) {
            ngx_add_timer(&s->again, NGX_HTTP_JELOU_DELIVER_AGAIN);
        }
    }

    s->acking->nelts = 0;

    ngx_http_jelou_deliver_go(s);
}


/*
 * What is on its way is finished.  With the lease, whoever has it next takes
 * the rest; without, it can be claimed at once.
 */

void
ngx_http_jelou_deliver_stop(ngx_http_jelou_deliver_stream_t *s)
{
    s->exiting = 1;
    s->stopping = ngx_current_msec;

    ngx_http_jelou_deliver_wait_end(s);

    if (!ngx_http_jelou_deliver_leased(s)) {
        ngx_http_jelou_deliver_keep(s, "give");
        ngx_http_jelou_deliver_rooms_forget(s);
    }

    /*
     * nginx exits when it has no timer left, maybe before it looks at what is
     * posted; and it is to wait for what has to be acknowledged
     */

    s->again.cancelable = 0;
    ngx_add_timer(&s->again, 1);
}


static void
ngx_http_jelou_deliver_end(ngx_http_jelou_deliver_stream_t *s)
{
    ngx_uint_t  leased;

    if (s->nbusy || s->acks->nelts || s->acking->nelts || s->reading
        || s->releasing || s->released)
    {
        return;
    }

    if (!s->owned) {
        ngx_http_jelou_deliver_released(s, NULL, NULL, NULL);
        return;
    }

    s->releasing = 1;

    leased = ngx_http_jelou_deliver_leased(s);

    if (ngx_http_jelou_deliver_call(s, leased ? "release" : "leave",
                                    leased ? 0 : 1, &s->consumer,
                                    ngx_http_jelou_deliver_released, NULL)
        != NGX_OK)
    {
        ngx_http_jelou_deliver_released(s, NULL, NULL, NULL);
    }
}


static void
ngx_http_jelou_deliver_released(ngx_http_jelou_deliver_stream_t *s, void *data,
    const char *word, redisReply *reply)
{
    s->released = 1;
    s->owned = 0;

    if (s->beat.timer_set) {
        ngx_del_timer(&s->beat);
    }

    ngx_http_jelou_deliver_rooms_lose(s);
}
