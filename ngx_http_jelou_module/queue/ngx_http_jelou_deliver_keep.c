
/*
 * Entries that a worker has in hand without a lease: it renews them, or gives
 * them back.
 */


#include "ngx_http_jelou_deliver.h"


/* ids of one call */

#define NGX_HTTP_JELOU_DELIVER_NIDS   256

/* a consumer that has had nothing for so long is deleted, and how often it is
   looked for: it is there after a crash only */

#define NGX_HTTP_JELOU_DELIVER_STALE  (2 * NGX_HTTP_JELOU_DELIVER_IDLE)
#define NGX_HTTP_JELOU_DELIVER_TIDY   NGX_HTTP_JELOU_DELIVER_IDLE


static void ngx_http_jelou_deliver_keep_entries(
    ngx_http_jelou_deliver_stream_t *s, const char *operation, u_char *text,
    ngx_queue_t *queue);
static void ngx_http_jelou_deliver_kept(ngx_http_jelou_deliver_stream_t *s,
    void *data, const char *word, redisReply *reply);


/* "renew" or "give", of all entries in hand; those on their way stay here. */

void
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

    ngx_http_jelou_deliver_keep_entries(s, operation, text, &s->ready);

    if (*operation == 'r') {
        ngx_http_jelou_deliver_keep_entries(s, operation, text, &s->busy);
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

        ngx_http_jelou_deliver_keep_entries(s, operation, text, &queue);
    }

    ngx_free(text);
}


/* Each room has one entry here. */

static void
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

        e = ngx_http_jelou_deliver_first(room);

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

            ngx_http_jelou_deliver_call_text(s, operation, 1 + n, &words,
                                             ngx_http_jelou_deliver_kept,
                                             NULL);
            n = 0;
        }
    }
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


/* Consumers of workers that are no more, on machines that have gone. */

void
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

    ngx_http_jelou_redis_printf(&word, stale, "%i",
                                (ngx_int_t) NGX_HTTP_JELOU_DELIVER_STALE);

    ngx_http_jelou_deliver_call(s, "tidy", 1, &word, NULL, NULL);
}
