
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
 * renews what it has; what nobody has renewed for a minute is claimed by
 * another one, and at once what was given back.
 */


#include "ngx_http_jelou_deliver.h"


/* rooms that are ready before there is place for them, at least */

#define NGX_HTTP_JELOU_DELIVER_AHEAD  64


static void ngx_http_jelou_deliver_go_handler(ngx_event_t *ev);
static void ngx_http_jelou_deliver_again_handler(ngx_event_t *ev);
static ngx_uint_t ngx_http_jelou_deliver_may_begin(
    ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_read(ngx_http_jelou_deliver_stream_t *s);
static ngx_uint_t ngx_http_jelou_deliver_wants(
    ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_read_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static void ngx_http_jelou_deliver_claim_on(
    ngx_http_jelou_deliver_stream_t *s, redisReply *reply);
static void ngx_http_jelou_deliver_wait_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static void ngx_http_jelou_deliver_end(ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_released(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);


void
ngx_http_jelou_deliver_start(ngx_http_jelou_deliver_stream_t *s,
    ngx_msec_t delay)
{
    ngx_http_jelou_deliver_rooms_init(s);

    ngx_http_jelou_redis_event(&s->go, ngx_http_jelou_deliver_go_handler, s,
                               ngx_cycle->log);
    ngx_http_jelou_redis_event(&s->beat, ngx_http_jelou_deliver_beat_handler,
                               s, ngx_cycle->log);
    ngx_http_jelou_redis_event(&s->again, ngx_http_jelou_deliver_again_handler,
                               s, ngx_cycle->log);
    s->beat.cancelable = 1;
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
 * How many entries it can do with: of rooms that are ready, some in advance;
 * but few where others read as well.
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
    ngx_str_t   words[6];
    ngx_uint_t  n;

    if (s->reading || s->again.timer_set || s->nlost
        || (s->wait && s->claimed)
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

        if (ngx_http_jelou_deliver_wait(s, ngx_http_jelou_deliver_wait_done)
            != NGX_OK)
        {
            ngx_add_timer(&s->again, NGX_HTTP_JELOU_DELIVER_AGAIN);
        }

        return;
    }

    words[0] = s->consumer;
    ngx_http_jelou_redis_printf(&words[1], numbers[0], "%ui", n);
    ngx_http_jelou_redis_printf(&words[2], numbers[1], "%O",
                                s->conf->max_size);
    ngx_http_jelou_redis_printf(&words[3], numbers[2], "%i",
                                (ngx_int_t)
                                (s->bytes < NGX_HTTP_JELOU_DELIVER_KEPT
                                 ? NGX_HTTP_JELOU_DELIVER_BYTES : 0));
    ngx_http_jelou_redis_printf(&words[4], numbers[3], "%i",
                                (ngx_int_t)
                                (ngx_http_jelou_deliver_leased(s)
                                 ? 0 : NGX_HTTP_JELOU_DELIVER_IDLE));
    words[5] = s->cursor;

    s->reading = 1;

    ngx_http_jelou_deliver_call(s, s->claimed ? "read" : "claim",
                                s->claimed ? 4 : 6, words,
                                ngx_http_jelou_deliver_read_done, NULL);
}


/*
 * Without a reply, entries may have been given out that nobody knows of.  With
 * the lease, all is claimed once more when what is on its way has ended;
 * without, they are claimed in a minute.
 */

static void
ngx_http_jelou_deliver_read_done(ngx_http_jelou_deliver_stream_t *s,
    void *data, const char *word, redisReply *reply)
{
    ngx_int_t    n;
    redisReply  *list;

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
        ngx_http_jelou_deliver_claim_on(s, reply);

    } else if (n == 0) {
        s->empty = 1;

    } else {
        list = reply->element[1];
        ngx_http_jelou_deliver_last(s, list->element[n - 1]->element[0]);
    }

    ngx_http_jelou_deliver_go(s);
}


/* Where claiming goes on, or that it has come to its end. */

static void
ngx_http_jelou_deliver_claim_on(ngx_http_jelou_deliver_stream_t *s,
    redisReply *reply)
{
    redisReply  *cursor;

    cursor = reply->elements > 2 ? reply->element[2] : NULL;

    if (cursor && cursor->type == REDIS_REPLY_STRING
        && cursor->len <= sizeof(s->cursor_text)
        && ngx_strcmp(cursor->str, "0-0") != 0)
    {
        ngx_memcpy(s->cursor_text, cursor->str, cursor->len);
        s->cursor.data = s->cursor_text;
        s->cursor.len = cursor->len;
        return;
    }

    s->claimed = 1;
    s->empty = 0;
    ngx_str_set(&s->cursor, "0-0");
}


void
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
ngx_http_jelou_deliver_wait_done(ngx_http_jelou_deliver_stream_t *s,
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
                ngx_http_jelou_deliver_log(s, "an entry cannot be read", NULL);
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

    ngx_http_jelou_deliver_call(s, leased ? "release" : "leave",
                                leased ? 0 : 1, &s->consumer,
                                ngx_http_jelou_deliver_released, NULL);
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
