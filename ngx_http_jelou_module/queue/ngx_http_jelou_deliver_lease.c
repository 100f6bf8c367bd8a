
/*
 * Whether this worker may read a stream.
 *
 * With "order room", one worker of all machines has it: it asks for a lease,
 * and renews that.  With "order none", all have it, and each renews the entries
 * that are in its hands.
 */


#include "ngx_http_jelou_deliver.h"


/* after an error, so long nothing is claimed: others could not renew theirs */

#define NGX_HTTP_JELOU_DELIVER_GRACE  (NGX_HTTP_JELOU_DELIVER_IDLE / 4)


static void ngx_http_jelou_deliver_own(ngx_http_jelou_deliver_stream_t *s);
static void ngx_http_jelou_deliver_own_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static ngx_int_t ngx_http_jelou_deliver_owns(
    ngx_http_jelou_deliver_stream_t *s, redisReply *reply);
static void ngx_http_jelou_deliver_join_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);


/* The lease is asked for, or renewed; or what this worker has is. */

void
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

    ngx_http_jelou_deliver_call(s, "join", 1, &s->dead,
                                ngx_http_jelou_deliver_join_done, NULL);
}


static void
ngx_http_jelou_deliver_own(ngx_http_jelou_deliver_stream_t *s)
{
    u_char     lease[NGX_INT_T_LEN];
    ngx_str_t  words[2];

    ngx_http_jelou_redis_printf(&words[0], lease, "%i",
                                (ngx_int_t) NGX_HTTP_JELOU_DELIVER_LEASE);
    words[1] = s->dead;

    s->beating = 1;
    s->beaten = ngx_current_msec;

    ngx_http_jelou_deliver_call(s, "own", 2, words,
                                ngx_http_jelou_deliver_own_done, NULL);
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
        || last->type != REDIS_REPLY_STRING || last->len == 0
        || last->len > sizeof(s->last_text))
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
