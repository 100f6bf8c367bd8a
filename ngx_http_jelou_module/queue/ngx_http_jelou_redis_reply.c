
/*
 * Bytes to replies, over hiredis' reader.
 *
 * For a plain reply the reader makes no objects: the little that is wanted is
 * kept in one place, so that nothing is allocated of a size that the server
 * names.
 */


#include "ngx_http_jelou_redis_reply.h"


/* in one array of a tree */

#define NGX_HTTP_JELOU_REDIS_ITEMS  100000

/*
 * Arrays within each other.  Since 1.0 hiredis sets no bound: it allocates for
 * each, and frees a tree by recursion.
 */

#define NGX_HTTP_JELOU_REDIS_DEPTH  8

#if (HIREDIS_MAJOR >= 1)
typedef size_t  ngx_http_jelou_redis_items_t;
#else
typedef int     ngx_http_jelou_redis_items_t;
#endif


static void *ngx_http_jelou_redis_tree(const redisReadTask *task,
    ngx_http_jelou_redis_items_t items);
static ngx_uint_t ngx_http_jelou_redis_deep(const redisReadTask *task);
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


static redisReplyObjectFunctions  ngx_http_jelou_redis_functions = {
    .createString = ngx_http_jelou_redis_string,
    .createArray = ngx_http_jelou_redis_array,
    .createInteger = ngx_http_jelou_redis_integer,
    .createNil = ngx_http_jelou_redis_nil,
    .freeObject = ngx_http_jelou_redis_free
};


/* hiredis' own, but that the server does not say how much is allocated */

static redisReplyObjectFunctions  ngx_http_jelou_redis_trees;
static redisReplyObjectFunctions  ngx_http_jelou_redis_defaults;


ngx_int_t
ngx_http_jelou_redis_reader_init(ngx_http_jelou_redis_reader_t *reader)
{
    reader->reader = redisReaderCreate();

    if (reader->reader == NULL) {
        return NGX_ERROR;
    }

    ngx_http_jelou_redis_defaults = *reader->reader->fn;
    ngx_http_jelou_redis_trees = ngx_http_jelou_redis_defaults;
    ngx_http_jelou_redis_trees.createArray = ngx_http_jelou_redis_tree;

    return NGX_OK;
}


void
ngx_http_jelou_redis_reader_free(ngx_http_jelou_redis_reader_t *reader)
{
    if (reader->reply.tree) {
        freeReplyObject(reader->reply.tree);
        reader->reply.tree = NULL;
    }

    if (reader->reader) {
        redisReaderFree(reader->reader);
        reader->reader = NULL;
    }
}


ngx_int_t
ngx_http_jelou_redis_reader_feed(ngx_http_jelou_redis_reader_t *reader,
    u_char *data, size_t len)
{
    if (redisReaderFeed(reader->reader, (char *) data, len) != REDIS_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_redis_reader_next(ngx_http_jelou_redis_reader_t *reader,
    ngx_uint_t tree, size_t max)
{
    void         *object;
    redisReader  *r;

    static const char  types[] = { '+', '-', ':', '$', '*' };

    r = reader->reader;

    if (reader->reply.tree) {
        freeReplyObject(reader->reply.tree);
        reader->reply.tree = NULL;
    }

    /* what is half read goes on as it began */

    if (r->ridx == -1) {

        /* hiredis would begin, and the first byte would come too late */

        if (r->pos == r->len && r->err == 0) {
            return NGX_AGAIN;
        }

        /* later types of the protocol, which nobody has asked for: a newer
           hiredis would wait for the rest of them */

        if (memchr(types, r->buf[r->pos], sizeof(types)) == NULL) {
            return NGX_DECLINED;
        }

        r->fn = tree ? &ngx_http_jelou_redis_trees
                     : &ngx_http_jelou_redis_functions;
        r->privdata = reader;

        /* a later type of the protocol has no function that sets it */

        reader->reply.type = 0;
        reader->reply.odd = 0;
        reader->reply.len = 0;
    }

    object = NULL;

    if (redisReaderGetReply(r, &object) != REDIS_OK) {
        return r->err == REDIS_ERR_OOM && !reader->refused ? NGX_ERROR
                                                           : NGX_DECLINED;
    }

    if (object == NULL) {
        return r->len - r->pos > max ? NGX_DECLINED : NGX_AGAIN;
    }

    if (r->fn == &ngx_http_jelou_redis_trees) {
        reader->reply.tree = object;
        reader->reply.type = reader->reply.tree->type;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_jelou_redis_reader_rest(ngx_http_jelou_redis_reader_t *reader)
{
    return reader->reader->pos < reader->reader->len
           || reader->reader->ridx != -1;
}


void
ngx_http_jelou_redis_reply_text(ngx_http_jelou_redis_reply_t *reply,
    ngx_str_t *text)
{
    if (reply->tree) {
        text->data = (u_char *) reply->tree->str;
        text->len = reply->tree->len;

    } else {
        text->data = reply->text;
        text->len = reply->len;
    }

    text->len = ngx_min(text->len, NGX_HTTP_JELOU_REDIS_TEXT);
}


void
ngx_http_jelou_redis_reply_cause(ngx_http_jelou_redis_reply_t *reply,
    ngx_str_t *cause)
{
    size_t   len;
    u_char  *p;

    ngx_http_jelou_redis_reply_text(reply, cause);

    p = cause->data;

    for (len = 0;
         len < cause->len && len < NGX_HTTP_JELOU_REDIS_CAUSE;
         len++)
    {
        if ((p[len] < 'A' || p[len] > 'Z') && p[len] != '_') {
            break;
        }
    }

    cause->len = len;

    if (len == 0) {
        ngx_str_set(cause, "an error");
    }
}


static void *
ngx_http_jelou_redis_tree(const redisReadTask *task,
    ngx_http_jelou_redis_items_t items)
{
    ngx_http_jelou_redis_reader_t  *reader;

    if ((size_t) items > NGX_HTTP_JELOU_REDIS_ITEMS
        || ngx_http_jelou_redis_deep(task))
    {
        reader = task->privdata;
        reader->refused = 1;

        return NULL;
    }

    return ngx_http_jelou_redis_defaults.createArray(task, items);
}


static ngx_uint_t
ngx_http_jelou_redis_deep(const redisReadTask *task)
{
    ngx_uint_t  depth;

    for (depth = 0; task->parent && depth < NGX_HTTP_JELOU_REDIS_DEPTH; depth++)
    {
        task = task->parent;
    }

    return depth == NGX_HTTP_JELOU_REDIS_DEPTH;
}


static void *
ngx_http_jelou_redis_string(const redisReadTask *task, char *text, size_t len)
{
    ngx_http_jelou_redis_reply_t  *reply;

    reply = ngx_http_jelou_redis_top(task);

    if (task->parent) {
        return reply;
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
    ngx_http_jelou_redis_reply_t   *reply;
    ngx_http_jelou_redis_reader_t  *reader;

    reply = ngx_http_jelou_redis_top(task);
    reply->odd = 1;

    if (ngx_http_jelou_redis_deep(task)) {
        reader = task->privdata;
        reader->refused = 1;

        return NULL;
    }

    return reply;
}


static void *
ngx_http_jelou_redis_integer(const redisReadTask *task, long long value)
{
    ngx_http_jelou_redis_reply_t  *reply;

    reply = ngx_http_jelou_redis_top(task);

    if (task->parent == NULL) {
        reply->number = value;
    }

    return reply;
}


static void *
ngx_http_jelou_redis_nil(const redisReadTask *task)
{
    return ngx_http_jelou_redis_top(task);
}


static void
ngx_http_jelou_redis_free(void *object)
{
    /* an object is the reply itself, which is the reader's */
}


/* the reply that the task is part of, which begins if the task has no parent */

static ngx_http_jelou_redis_reply_t *
ngx_http_jelou_redis_top(const redisReadTask *task)
{
    ngx_http_jelou_redis_reader_t  *reader;

    reader = task->privdata;

    if (task->parent == NULL) {
        reader->reply.type = task->type;
    }

    return &reader->reply;
}
