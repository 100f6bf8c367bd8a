
/*
 * Bytes to outcome: what Redis answers, over hiredis's reader.
 *
 * The reader makes no objects: the little that is wanted of a reply is kept in
 * one place, so that nothing is allocated of a size that the server names.
 */


#include "ngx_http_jelou_redis_reply.h"


#define NGX_HTTP_JELOU_REDIS_DIGEST  64      /* of a SHA-256, in hex */
#define NGX_HTTP_JELOU_REDIS_RANDOM  (2 * NGX_HTTP_JELOU_RANDOM_LEN)

#if (HIREDIS_MAJOR >= 1)
typedef size_t  ngx_http_jelou_redis_items_t;
#else
typedef int     ngx_http_jelou_redis_items_t;
#endif


static void *ngx_http_jelou_redis_string(const redisReadTask *task, char *text,
    size_t len);
static void *ngx_http_jelou_redis_array(const redisReadTask *task,
    ngx_http_jelou_redis_items_t items);
static void *ngx_http_jelou_redis_integer(const redisReadTask *task,
    long long value);
static void *ngx_http_jelou_redis_nil(const redisReadTask *task);
static void ngx_http_jelou_redis_free(void *object);
static ngx_http_jelou_redis_reply_t *ngx_http_jelou_redis_top(
    const redisReadTask *task);

static ngx_int_t ngx_http_jelou_redis_done(
    ngx_http_jelou_redis_reply_t *reply);
static ngx_int_t ngx_http_jelou_redis_verdict(
    ngx_http_jelou_redis_reply_t *reply);
static void ngx_http_jelou_redis_error(ngx_http_jelou_redis_reply_t *reply);
static ngx_int_t ngx_http_jelou_redis_entry(u_char *p, u_char *last);
static ngx_int_t ngx_http_jelou_redis_stored(
    ngx_http_jelou_redis_reply_t *reply);


static redisReplyObjectFunctions  ngx_http_jelou_redis_functions = {
    .createString = ngx_http_jelou_redis_string,
    .createArray = ngx_http_jelou_redis_array,
    .createInteger = ngx_http_jelou_redis_integer,
    .createNil = ngx_http_jelou_redis_nil,
    .freeObject = ngx_http_jelou_redis_free
};


/* errors of a server that has done nothing, while another one might */

static ngx_str_t  ngx_http_jelou_redis_elsewhere[] = {
    ngx_string("READONLY"),
    ngx_string("LOADING"),
    ngx_string("MASTERDOWN"),
    ngx_string("CLUSTERDOWN"),
    ngx_string("MOVED"),
    ngx_string("NOREPLICAS"),
    ngx_null_string
};


ngx_int_t
ngx_http_jelou_redis_reply_init(ngx_http_jelou_redis_reply_t *reply,
    ngx_uint_t before, ngx_uint_t script, ngx_uint_t random)
{
    ngx_memzero(reply, sizeof(ngx_http_jelou_redis_reply_t));

    reply->before = before;
    reply->script = script;
    reply->random = random;

    reply->reader = redisReaderCreateWithFunctions(
                                              &ngx_http_jelou_redis_functions);
    if (reply->reader == NULL) {
        return NGX_ERROR;
    }

    reply->reader->privdata = reply;

    return NGX_OK;
}


void
ngx_http_jelou_redis_reply_free(ngx_http_jelou_redis_reply_t *reply)
{
    if (reply->reader) {
        redisReaderFree(reply->reader);
        reply->reader = NULL;
    }
}


ngx_int_t
ngx_http_jelou_redis_reply_read(ngx_http_jelou_redis_reply_t *reply,
    u_char *data, size_t len)
{
    void         *object;
    ngx_int_t     rc;
    redisReader  *reader;

    reader = reply->reader;

    if (redisReaderFeed(reader, (char *) data, len) != REDIS_OK) {
        return NGX_ERROR;
    }

    do {
        object = NULL;

        if (redisReaderGetReply(reader, &object) != REDIS_OK) {
            return reader->err == REDIS_ERR_OOM ? NGX_ERROR : NGX_DECLINED;
        }

        if (object == NULL) {
            return NGX_AGAIN;
        }

        rc = ngx_http_jelou_redis_done(reply);

        /* a later type of the protocol has no function that sets it */

        reply->type = 0;

    } while (rc == NGX_AGAIN);

    /* bytes behind the last reply are nobody's */

    if (rc == NGX_OK && reader->pos < reader->len) {
        return NGX_DECLINED;
    }

    return rc;
}


static void *
ngx_http_jelou_redis_string(const redisReadTask *task, char *text, size_t len)
{
    ngx_http_jelou_redis_reply_t  *reply;

    reply = ngx_http_jelou_redis_top(task);

    if (task->parent && task->idx != 1) {
        reply->odd = 1;
        return reply;
    }

    if (task->parent && task->type != REDIS_REPLY_STRING) {
        reply->odd = 1;
    }

    /* the two bytes behind a text have been read, but not looked at */

    if (text[len] != CR || text[len + 1] != LF) {
        reply->odd = 1;
    }

    reply->len = len;
    ngx_memcpy(reply->text, text, ngx_min(len, NGX_HTTP_JELOU_REDIS_TEXT));

    return reply;
}


static void *
ngx_http_jelou_redis_array(const redisReadTask *task,
    ngx_http_jelou_redis_items_t items)
{
    ngx_http_jelou_redis_reply_t  *reply;

    reply = ngx_http_jelou_redis_top(task);

    if (task->parent) {
        reply->odd = 1;

    } else {
        reply->items = items;
    }

    return reply;
}


static void *
ngx_http_jelou_redis_integer(const redisReadTask *task, long long value)
{
    ngx_http_jelou_redis_reply_t  *reply;

    reply = ngx_http_jelou_redis_top(task);

    if (task->parent && task->idx == 0) {
        reply->code = value;

    } else {
        reply->odd = 1;
    }

    return reply;
}


static void *
ngx_http_jelou_redis_nil(const redisReadTask *task)
{
    ngx_http_jelou_redis_reply_t  *reply;

    reply = ngx_http_jelou_redis_top(task);
    reply->odd = 1;

    return reply;
}


static void
ngx_http_jelou_redis_free(void *object)
{
    /* an object is the reply itself, which is the caller's */
}


/* the reply that the task is part of, which begins if the task has no parent */

static ngx_http_jelou_redis_reply_t *
ngx_http_jelou_redis_top(const redisReadTask *task)
{
    ngx_http_jelou_redis_reply_t  *reply;

    reply = task->privdata;

    if (task->parent == NULL) {
        reply->type = task->type;
        reply->items = 0;
        reply->code = -1;
        reply->len = 0;
        reply->odd = 0;

    } else if (task->parent->parent) {
        reply->odd = 1;
    }

    return reply;
}


/* A reply is complete: NGX_AGAIN if another one is to follow. */

static ngx_int_t
ngx_http_jelou_redis_done(ngx_http_jelou_redis_reply_t *reply)
{
    if (reply->odd) {
        return NGX_DECLINED;
    }

    if (reply->type == REDIS_REPLY_ERROR && reply->cause.len == 0) {
        ngx_http_jelou_redis_error(reply);
    }

    if (reply->n++ == reply->before) {

        /* whatever became of it, a command before it was in vain */

        if (reply->cause.len) {
            return NGX_OK;
        }

        return ngx_http_jelou_redis_verdict(reply);
    }

    if (reply->type == REDIS_REPLY_ERROR
        || (reply->type == REDIS_REPLY_STATUS && reply->len == 2
            && ngx_memcmp(reply->text, "OK", 2) == 0))
    {
        return NGX_AGAIN;
    }

    return NGX_DECLINED;
}


/* What the event's own command says, which is no error. */

static ngx_int_t
ngx_http_jelou_redis_verdict(ngx_http_jelou_redis_reply_t *reply)
{
    if (reply->len > NGX_HTTP_JELOU_REDIS_TEXT) {
        return NGX_DECLINED;
    }

    if (!reply->script) {

        if (reply->type != REDIS_REPLY_STRING) {
            return NGX_DECLINED;
        }

        reply->outcome = NGX_HTTP_JELOU_REDIS_APPENDED;

        return ngx_http_jelou_redis_entry(reply->text,
                                          reply->text + reply->len);
    }

    if (reply->type != REDIS_REPLY_ARRAY || reply->items != 2) {
        return NGX_DECLINED;
    }

    switch (reply->code) {

    case 0:
        reply->outcome = NGX_HTTP_JELOU_REDIS_APPENDED;

        return ngx_http_jelou_redis_entry(reply->text,
                                          reply->text + reply->len);

    case 1:
        reply->outcome = NGX_HTTP_JELOU_REDIS_SAME;

        return ngx_http_jelou_redis_stored(reply);

    case 2:
        reply->outcome = NGX_HTTP_JELOU_REDIS_OTHER;

        return reply->len == 0 ? NGX_OK : NGX_DECLINED;

    default:
        return NGX_DECLINED;
    }
}


/*
 * An error is known by its first word, in capitals.  What follows may have
 * parts of the command, and goes nowhere.
 */

static void
ngx_http_jelou_redis_error(ngx_http_jelou_redis_reply_t *reply)
{
    size_t      len;
    ngx_str_t  *word;

    for (len = 0; len < reply->len && len < NGX_HTTP_JELOU_REDIS_CAUSE; len++) {

        if ((reply->text[len] < 'A' || reply->text[len] > 'Z')
            && reply->text[len] != '_')
        {
            break;
        }
    }

    ngx_memcpy(reply->word, reply->text, len);

    reply->cause.data = reply->word;
    reply->cause.len = len;

    if (len == 0) {
        ngx_str_set(&reply->cause, "an error");
    }

    reply->failed = reply->n;
    reply->outcome = NGX_HTTP_JELOU_REDIS_REFUSED;

    if (reply->n != reply->before) {
        return;
    }

    if (reply->script && len == sizeof("NOSCRIPT") - 1
        && ngx_memcmp(reply->word, "NOSCRIPT", sizeof("NOSCRIPT") - 1) == 0)
    {
        reply->outcome = NGX_HTTP_JELOU_REDIS_NOSCRIPT;
        return;
    }

    for (word = ngx_http_jelou_redis_elsewhere; word->len; word++) {

        if (word->len == len && ngx_memcmp(word->data, reply->word, len) == 0) {
            reply->elsewhere = 1;
        }
    }
}


/* an entry's id: milliseconds and a number in them */

static ngx_int_t
ngx_http_jelou_redis_entry(u_char *p, u_char *last)
{
    u_char  *start;

    for (start = p; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }

    if (p == start || p == last || *p++ != '-') {
        return NGX_DECLINED;
    }

    for (start = p; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }

    return p == start || p < last ? NGX_DECLINED : NGX_OK;
}


/*
 * What the script has stored: the body's SHA-256 in hex, the entry's id, and
 * random bytes in hex, if there are any, each after a space.
 */

static ngx_int_t
ngx_http_jelou_redis_stored(ngx_http_jelou_redis_reply_t *reply)
{
    u_char      *p, *last;
    ngx_int_t    n;
    ngx_uint_t   i;

    p = reply->text;
    last = p + reply->len;

    if (reply->len < NGX_HTTP_JELOU_REDIS_DIGEST + 1
        || p[NGX_HTTP_JELOU_REDIS_DIGEST] != ' ')
    {
        return NGX_DECLINED;
    }

    if (!reply->random) {
        return NGX_OK;
    }

    if (last - p < NGX_HTTP_JELOU_REDIS_DIGEST + NGX_HTTP_JELOU_REDIS_RANDOM) {
        return NGX_DECLINED;
    }

    p = last - NGX_HTTP_JELOU_REDIS_RANDOM;

    for (i = 0; i < NGX_HTTP_JELOU_RANDOM_LEN; i++) {
        n = ngx_hextoi(p, 2);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        reply->stored[i] = (u_char) n;
        p += 2;
    }

    return NGX_OK;
}
