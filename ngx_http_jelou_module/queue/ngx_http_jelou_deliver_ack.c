
/*
 * Entries that are done with: those of a round trip are acknowledged together.
 */


#include "ngx_http_jelou_deliver.h"


/* so long an nginx that exits tries to acknowledge what it has delivered */

#define NGX_HTTP_JELOU_DELIVER_LAST  10000


static void ngx_http_jelou_deliver_forgotten(
    ngx_http_jelou_deliver_stream_t *s);
static u_char *ngx_http_jelou_deliver_acks_write(
    ngx_http_jelou_deliver_stream_t *s, u_char *p, ngx_uint_t n,
    ngx_uint_t *nwords);
static void ngx_http_jelou_deliver_acks_done(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);


void
ngx_http_jelou_deliver_ack(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e)
{
    ngx_http_jelou_deliver_ack_t  *ack;

    ack = ngx_array_push(s->acks);

    if (ack == NULL) {
        ngx_http_jelou_deliver_forgotten(s);
        return;
    }

    ack->ms = e->ms;
    ack->seq = e->seq;
    ack->failed = (e->attempts != 0);

    ngx_http_jelou_deliver_go(s);
}


/*
 * There is no memory to remember what is to be acknowledged: it is delivered
 * once more.  With the lease, nobody else claims it; without, somebody does.
 */

static void
ngx_http_jelou_deliver_forgotten(ngx_http_jelou_deliver_stream_t *s)
{
    if (ngx_http_jelou_deliver_leased(s)) {
        ngx_http_jelou_deliver_rooms_lose(s);
        s->claimed = 0;
        ngx_str_set(&s->cursor, "0-0");
    }

    ngx_http_jelou_deliver_go(s);
}


/* Those of a round trip go together. */

void
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

    ngx_http_jelou_deliver_call_text(s, "done", nwords, &words,
                                     ngx_http_jelou_deliver_acks_done,
                                     NULL);

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

        } else {
            ngx_http_jelou_deliver_forgotten(s);
        }

        if (!s->again.timer_set) {
            ngx_add_timer(&s->again, NGX_HTTP_JELOU_DELIVER_AGAIN);
        }
    }

    s->acking->nelts = 0;

    ngx_http_jelou_deliver_go(s);
}
