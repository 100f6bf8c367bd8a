
/*
 * The delivery of an entry: its event becomes a request, and what comes of that
 * decides on the entry.
 */


#include "ngx_http_jelou_queue_status.h"


/* a request on its way, with the texts of its fields */

typedef struct {
    ngx_http_jelou_deliver_t         deliver;
    ngx_http_jelou_deliver_room_t   *room;

    u_char                           length[NGX_SIZE_T_LEN];
    u_char                           id[NGX_HTTP_JELOU_DELIVER_ID_LEN];
    u_char                           attempt[NGX_INT32_LEN];
    u_char                           received[NGX_INT64_LEN];
    u_char                           signature[NGX_HTTP_JELOU_SIGNATURE_LEN];
} ngx_http_jelou_deliver_flight_t;


static void ngx_http_jelou_deliver_fetch(ngx_http_jelou_deliver_room_t *room);
static void ngx_http_jelou_deliver_fetched(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);
static void ngx_http_jelou_deliver_send_event(
    ngx_http_jelou_deliver_room_t *room);
static void ngx_http_jelou_deliver_fields(ngx_http_jelou_deliver_flight_t *f,
    ngx_http_jelou_deliver_entry_t *e);
static ngx_int_t ngx_http_jelou_deliver_sign(ngx_http_request_t *r,
    ngx_http_jelou_deliver_t *d);
static void ngx_http_jelou_deliver_done(ngx_http_jelou_deliver_t *d);
static void ngx_http_jelou_deliver_outcome(
    ngx_http_jelou_deliver_room_t *room, ngx_uint_t status, time_t retry_after);
static void ngx_http_jelou_deliver_answered(
    ngx_http_jelou_deliver_stream_t *s, ngx_uint_t answered);
static void ngx_http_jelou_deliver_failed_event(
    ngx_http_jelou_deliver_room_t *room, time_t retry_after);
static ngx_msec_t ngx_http_jelou_deliver_delay(
    ngx_http_jelou_deliver_stream_t *s, ngx_http_jelou_deliver_entry_t *e,
    time_t retry_after);
static void ngx_http_jelou_deliver_dead(ngx_http_jelou_deliver_room_t *room,
    ngx_uint_t reason);
static void ngx_http_jelou_deliver_died(ngx_http_jelou_deliver_stream_t *s,
    void *data, const char *word, redisReply *reply);
static uint64_t ngx_http_jelou_deliver_now(void);


ngx_str_t
    ngx_http_jelou_deliver_reasons[NGX_HTTP_JELOU_DELIVER_NREASONS] =
{
    ngx_null_string,
    ngx_string("no_event"),
    ngx_string("too_large"),
    ngx_string("not_json"),
    ngx_string("rejected"),
    ngx_string("attempts")
};


static uint64_t
ngx_http_jelou_deliver_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}


void
ngx_http_jelou_deliver_event(ngx_http_jelou_deliver_room_t *room)
{
    ngx_http_jelou_deliver_entry_t  *e;

    e = ngx_http_jelou_deliver_first(room);

    if (e->bad) {
        ngx_http_jelou_deliver_dead(room, e->bad);

    } else if (e->body.data == NULL) {
        ngx_http_jelou_deliver_fetch(room);

    } else {
        ngx_http_jelou_deliver_send_event(room);
    }
}


static void
ngx_http_jelou_deliver_fetch(ngx_http_jelou_deliver_room_t *room)
{
    u_char                            id[NGX_HTTP_JELOU_DELIVER_ID_LEN];
    u_char                            max[NGX_OFF_T_LEN];
    ngx_str_t                         words[2];
    ngx_http_jelou_deliver_entry_t   *e;
    ngx_http_jelou_deliver_stream_t  *s;

    s = room->stream;
    e = ngx_http_jelou_deliver_first(room);

    ngx_http_jelou_redis_printf(&words[0], max, "%O", s->conf->max_size);

    words[1].data = id;
    words[1].len = ngx_http_jelou_deliver_id(id, e->ms, e->seq) - id;

    ngx_http_jelou_deliver_call(s, "get", 2, words,
                                ngx_http_jelou_deliver_fetched, room);
}


static void
ngx_http_jelou_deliver_fetched(ngx_http_jelou_deliver_stream_t *s, void *data,
    const char *word, redisReply *reply)
{
    ngx_http_jelou_deliver_room_t *room = data;

    ngx_int_t                        rc;
    ngx_str_t                        name;
    redisReply                      *list, *entry;
    ngx_http_jelou_deliver_entry_t  *e;

    if (room->lost) {
        ngx_http_jelou_deliver_room_done(room);
        return;
    }

    e = ngx_http_jelou_deliver_first(room);
    rc = NGX_ERROR;

    if (reply && ngx_strcmp(word, "ok") == 0 && reply->elements == 2
        && reply->element[1]->type == REDIS_REPLY_ARRAY)
    {
        list = reply->element[1];

        if (list->elements == 0) {

            /* somebody has deleted it: there is nothing to deliver */

            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                          "jelou: entry %uL-%uL is not in stream \"%V\" any "
                          "more", e->ms, e->seq, &s->name);

            ngx_http_jelou_deliver_ack(s, e);
            ngx_http_jelou_deliver_room_done(room);
            return;
        }

        entry = list->element[0];

        if (entry->type == REDIS_REPLY_ARRAY && entry->elements == 2) {
            rc = ngx_http_jelou_deliver_fill(s, e, entry->element[1], &name);
        }
    }

    if (rc != NGX_OK || (e->bad == 0 && e->body.data == NULL)) {
        ngx_http_jelou_deliver_room_wait(room, NGX_HTTP_JELOU_DELIVER_AGAIN);
        return;
    }

    ngx_http_jelou_deliver_event(room);
}


static void
ngx_http_jelou_deliver_send_event(ngx_http_jelou_deliver_room_t *room)
{
    ngx_int_t                          rc;
    ngx_http_jelou_deliver_entry_t    *e;
    ngx_http_jelou_deliver_flight_t   *f;
    ngx_http_jelou_deliver_stream_t   *s;

    s = room->stream;
    e = ngx_http_jelou_deliver_first(room);

    f = ngx_alloc(sizeof(ngx_http_jelou_deliver_flight_t), ngx_cycle->log);

    if (f == NULL) {
        ngx_http_jelou_deliver_room_wait(room, NGX_HTTP_JELOU_DELIVER_AGAIN);
        return;
    }

    ngx_memzero(&f->deliver, sizeof(ngx_http_jelou_deliver_t));

    f->room = room;

    f->deliver.location = &s->conf->location;
    f->deliver.uri = s->conf->uri;
    f->deliver.body = e->body;
    f->deliver.project = e->project;
    f->deliver.prepare = s->conf->secrets ? ngx_http_jelou_deliver_sign : NULL;
    f->deliver.handler = ngx_http_jelou_deliver_done;
    f->deliver.data = f;

    ngx_http_jelou_deliver_fields(f, e);

    rc = ngx_http_jelou_deliver_request(&f->deliver);

    if (rc == NGX_OK) {
        return;
    }

    if (rc == NGX_DECLINED) {

        /* it does not go on unsigned; a reload may bring the secret */

        ngx_http_jelou_deliver_log(s, "there is no secret for project ",
                                   &e->project);
        ngx_http_jelou_deliver_outcome(room, 0, -1);

    } else {
        ngx_http_jelou_deliver_room_wait(room, NGX_HTTP_JELOU_DELIVER_AGAIN);
    }

    ngx_free(f);
}


static void
ngx_http_jelou_deliver_fields(ngx_http_jelou_deliver_flight_t *f,
    ngx_http_jelou_deliver_entry_t *e)
{
    ngx_str_t  *field;

    field = f->deliver.fields;

    if (e->cloud) {
        ngx_str_set(&field[NGX_HTTP_JELOU_DELIVER_TYPE],
                    "application/cloudevents+json");

    } else {
        ngx_str_set(&field[NGX_HTTP_JELOU_DELIVER_TYPE], "application/json");
    }

    field[NGX_HTTP_JELOU_DELIVER_LENGTH].data = f->length;
    field[NGX_HTTP_JELOU_DELIVER_LENGTH].len =
        ngx_sprintf(f->length, "%uz", e->body.len) - f->length;

    field[NGX_HTTP_JELOU_DELIVER_ID].data = f->id;
    field[NGX_HTTP_JELOU_DELIVER_ID].len =
        ngx_http_jelou_deliver_id(f->id, e->ms, e->seq) - f->id;

    field[NGX_HTTP_JELOU_DELIVER_ATTEMPT].data = f->attempt;
    field[NGX_HTTP_JELOU_DELIVER_ATTEMPT].len =
        ngx_sprintf(f->attempt, "%uD", e->attempts + 1) - f->attempt;

    if (e->received) {
        field[NGX_HTTP_JELOU_DELIVER_RECEIVED].data = f->received;
        field[NGX_HTTP_JELOU_DELIVER_RECEIVED].len =
            ngx_sprintf(f->received, "%uL", e->received) - f->received;
    }
}


static ngx_int_t
ngx_http_jelou_deliver_sign(ngx_http_request_t *r, ngx_http_jelou_deliver_t *d)
{
    u_char                            digest[NGX_HTTP_JELOU_DIGEST_LEN];
    ngx_int_t                         rc;
    ngx_str_t                        *field;
    ngx_http_jelou_deliver_flight_t  *f;

    f = d->data;

    rc = ngx_http_jelou_secrets_sign(r, f->room->stream->conf->secrets,
                                     &d->project, r->request_body->bufs,
                                     digest);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_jelou_signature_write(f->signature, digest);

    field = &d->fields[NGX_HTTP_JELOU_DELIVER_SIGNATURE];
    field->data = f->signature;
    field->len = NGX_HTTP_JELOU_SIGNATURE_LEN;

    return NGX_OK;
}


static void
ngx_http_jelou_deliver_done(ngx_http_jelou_deliver_t *d)
{
    ngx_uint_t                        own;
    ngx_http_jelou_deliver_flight_t  *f;

    f = d->data;
    own = (d->whole && !d->refused);

    ngx_http_jelou_deliver_answered(f->room->stream, own);

    ngx_http_jelou_deliver_outcome(f->room, own ? d->status : 0,
                                   d->retry_after);
    ngx_free(f);
}


/*
 * A 2xx answer that has come to its end: the application has the event.  A 4xx
 * answer of its own: it will not take it, but for those that ask for patience,
 * and a 401 to what nginx has signed, which is no word on the event.
 * Anything else, and none, which is 0, says that it could not.
 */

static void
ngx_http_jelou_deliver_outcome(ngx_http_jelou_deliver_room_t *room,
    ngx_uint_t status, time_t retry_after)
{
    ngx_uint_t                        signature;
    ngx_http_jelou_deliver_entry_t   *e;
    ngx_http_jelou_deliver_stream_t  *s;

    s = room->stream;
    e = ngx_http_jelou_deliver_first(room);

    if (status >= 200 && status < 300) {
        ngx_http_jelou_queue_delivered(s, e, ngx_http_jelou_deliver_now());
        ngx_http_jelou_deliver_ack(s, e);
        ngx_http_jelou_deliver_room_done(room);
        return;
    }

    if (room->lost) {
        ngx_http_jelou_deliver_room_done(room);
        return;
    }

    e->last = ngx_http_jelou_deliver_now();
    e->first = e->first ? e->first : e->last;
    e->status = status & 0x3ff;
    e->attempts++;

    signature = (status == NGX_HTTP_UNAUTHORIZED && s->conf->secrets);

    if (signature) {
        ngx_http_jelou_deliver_log(s, "status 401: the application has another "
                                   "secret of project ", &e->project);
    }

    if (status >= 400 && status < 500 && status != 408 && status != 425
        && status != 429 && !signature)
    {
        ngx_http_jelou_deliver_dead(room, NGX_HTTP_JELOU_DELIVER_REJECTED);

    } else if (e->attempts >= s->conf->attempts) {
        ngx_http_jelou_deliver_dead(room, NGX_HTTP_JELOU_DELIVER_ATTEMPTS);

    } else {
        ngx_http_jelou_deliver_failed_event(room, retry_after);
    }
}


/* The first answer after many deliveries without one. */

static void
ngx_http_jelou_deliver_answered(ngx_http_jelou_deliver_stream_t *s,
    ngx_uint_t answered)
{
    if (!answered) {
        s->silent++;
        return;
    }

    if (s->silent) {
        s->silent = 0;
        ngx_http_jelou_deliver_rooms_wake(s);
    }
}


static void
ngx_http_jelou_deliver_failed_event(ngx_http_jelou_deliver_room_t *room,
    time_t retry_after)
{
    u_char                            id[NGX_HTTP_JELOU_DELIVER_ID_LEN];
    u_char                            text[4 * (NGX_INT64_LEN + 1)];
    ngx_str_t                         words[2];
    ngx_http_jelou_deliver_entry_t   *e;
    ngx_http_jelou_deliver_stream_t  *s;

    s = room->stream;
    e = ngx_http_jelou_deliver_first(room);

    words[0].data = id;
    words[0].len = ngx_http_jelou_deliver_id(id, e->ms, e->seq) - id;

    ngx_http_jelou_redis_printf(&words[1], text, "%uD %uL %uL %ui",
                                e->attempts, e->first, e->last,
                                (ngx_uint_t) e->status);

    ngx_http_jelou_queue_retried(s);

    /* if this does not get there, a crash forgets one attempt */

    ngx_http_jelou_deliver_call(s, "fail", 2, words, NULL, NULL);

    ngx_http_jelou_deliver_room_wait(room,
                        ngx_http_jelou_deliver_delay(s, e, retry_after));
}


/* It doubles each time; what many do at once is spread over half of it. */

static ngx_msec_t
ngx_http_jelou_deliver_delay(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e, time_t retry_after)
{
    uint32_t    i;
    ngx_msec_t  delay;

    delay = s->conf->retry;

    for (i = 1; i < e->attempts && delay < s->conf->retry_max; i++) {
        delay *= 2;
    }

    delay = ngx_min(delay, s->conf->retry_max);
    delay -= ngx_random() % (delay / 2 + 1);

    if (retry_after > 0) {
        retry_after = ngx_min(retry_after, NGX_HTTP_JELOU_DELIVER_LATEST);
        delay = ngx_max(delay, (ngx_msec_t) retry_after * 1000);
    }

    return delay;
}


static void
ngx_http_jelou_deliver_dead(ngx_http_jelou_deliver_room_t *room,
    ngx_uint_t reason)
{
    u_char                            id[NGX_HTTP_JELOU_DELIVER_ID_LEN];
    u_char                            numbers[4][NGX_INT64_LEN];
    ngx_str_t                         words[7];
    ngx_http_jelou_deliver_entry_t   *e;
    ngx_http_jelou_deliver_stream_t  *s;

    s = room->stream;
    e = ngx_http_jelou_deliver_first(room);

    e->bad = reason & 7;

    ngx_http_jelou_deliver_drop(s, e);

    words[0].data = (u_char *) (s->conf->remove ? "1" : "0");
    words[0].len = 1;
    words[1].data = id;
    words[1].len = ngx_http_jelou_deliver_id(id, e->ms, e->seq) - id;
    words[2] = ngx_http_jelou_deliver_reasons[reason];

    ngx_http_jelou_redis_printf(&words[3], numbers[0], "%ui",
                                (ngx_uint_t) e->status);
    ngx_http_jelou_redis_printf(&words[4], numbers[1], "%uD", e->attempts);
    ngx_http_jelou_redis_printf(&words[5], numbers[2], "%uL", e->first);
    ngx_http_jelou_redis_printf(&words[6], numbers[3], "%uL", e->last);

    ngx_http_jelou_deliver_call(s, "dead", 7, words,
                                ngx_http_jelou_deliver_died, room);
}


/* The room waits for this: what is behind it comes after it, or not at all. */

static void
ngx_http_jelou_deliver_died(ngx_http_jelou_deliver_stream_t *s, void *data,
    const char *word, redisReply *reply)
{
    ngx_http_jelou_deliver_room_t *room = data;

    ngx_http_jelou_deliver_entry_t  *e;

    e = ngx_http_jelou_deliver_first(room);

    if (reply == NULL && !room->lost) {
        ngx_http_jelou_deliver_room_wait(room, NGX_HTTP_JELOU_DELIVER_AGAIN);
        return;
    }

    if (reply && ngx_strcmp(word, "ok") == 0) {
        ngx_http_jelou_queue_dead(s, e->bad);

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "jelou: entry %uL-%uL of stream \"%V\" is a dead letter: "
                      "%V, status: %ui, attempts: %uD",
                      e->ms, e->seq, &s->name,
                      &ngx_http_jelou_deliver_reasons[e->bad],
                      (ngx_uint_t) e->status, e->attempts);
    }

    ngx_http_jelou_deliver_room_done(room);
}
