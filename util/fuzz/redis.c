/*
 * Replies of Redis: whatever comes, in whatever pieces, an event counts as
 * appended only after a reply that is whole and right.  The first byte of an
 * input says what was asked, the second how long a piece is, and the others are
 * the reply.
 */


#include "core.h"

#include "ngx_http_jelou_redis_reply.h"


#define DIGEST  64
#define RANDOM  32


typedef enum {
    WHOLE,                    /* the reply, and nothing else */
    BEGINNING,                /* of one */
    WRONG,
    UNKNOWN                   /* an error came before: no matter what it is */
} verdict_t;


/* A reply, read by the rules of the protocol and of the script. */

typedef struct {
    str_t                           text;
    size_t                          at;
    ngx_uint_t                      before;
    ngx_uint_t                      script;
    ngx_uint_t                      random;

    ngx_http_jelou_redis_outcome_e  outcome;
    str_t                           error;     /* the first one, or none */
} model_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* The expected bytes, or what there is of them. */

static verdict_t
expect(model_t *m, const char *bytes)
{
    for ( /* void */ ; *bytes; bytes++, m->at++) {

        if (m->at == m->text.len) {
            return BEGINNING;
        }

        if (m->text.data[m->at] != (uint8_t) *bytes) {
            return WRONG;
        }
    }

    return WHOLE;
}


/* An error, up to the first CR LF. */

static verdict_t
read_error(model_t *m)
{
    size_t  start;

    start = ++m->at;

    for ( /* void */ ; m->at + 1 < m->text.len; m->at++) {

        if (m->text.data[m->at] == '\r' && m->text.data[m->at + 1] == '\n') {

            if (m->error.data == NULL) {
                m->error.data = m->text.data + start;
                m->error.len = m->at - start;
            }

            m->at += 2;
            return WHOLE;
        }
    }

    return BEGINNING;
}


/* A length as the protocol has it: no sign and no zero before it. */

static verdict_t
read_length(model_t *m, size_t *length)
{
    size_t     start;
    verdict_t  v;

    v = expect(m, "$");

    if (v != WHOLE) {
        return v;
    }

    *length = 0;

    for (start = m->at; m->at < m->text.len; m->at++) {

        if (m->text.data[m->at] < '0' || m->text.data[m->at] > '9') {
            break;
        }

        *length = *length * 10 + m->text.data[m->at] - '0';

        if (*length > NGX_HTTP_JELOU_REDIS_TEXT) {
            return WRONG;
        }

        if (m->at > start && m->text.data[start] == '0') {
            return WRONG;
        }
    }

    if (m->at == m->text.len) {
        return BEGINNING;
    }

    return m->at == start ? WRONG : expect(m, "\r\n");
}


static int
is_entry(str_t text)
{
    size_t  i, digits, parts;

    for (i = 0, digits = 0, parts = 1; i < text.len; i++) {

        if (text.data[i] >= '0' && text.data[i] <= '9') {
            digits++;

        } else if (text.data[i] == '-' && digits && parts == 1) {
            parts = 2;
            digits = 0;

        } else {
            return 0;
        }
    }

    return parts == 2 && digits;
}


static int
is_hex(str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (!text.data[i] || !strchr("0123456789abcdefABCDEF", text.data[i])) {
            return 0;
        }
    }

    return 1;
}


static int
is_stored(model_t *m, str_t text)
{
    if (text.len < DIGEST + 1 || text.data[DIGEST] != ' ') {
        return 0;
    }

    return !m->random
           || (text.len >= DIGEST + RANDOM
               && is_hex((str_t) { text.data + text.len - RANDOM, RANDOM }));
}


/* The reply to the event's own command, from its first byte on. */

static verdict_t
read_last(model_t *m)
{
    str_t      text;
    char       code;
    verdict_t  v;

    code = '0';

    if (m->script) {
        v = expect(m, "*2\r\n:");

        if (v != WHOLE) {
            return v;
        }

        if (m->at == m->text.len) {
            return BEGINNING;
        }

        code = (char) m->text.data[m->at++];

        if (code < '0' || code > '2') {
            return WRONG;
        }

        v = expect(m, "\r\n");

        if (v != WHOLE) {
            return v;
        }
    }

    v = read_length(m, &text.len);

    if (v != WHOLE) {
        return v;
    }

    if (m->text.len - m->at < text.len) {
        return BEGINNING;
    }

    text.data = m->text.data + m->at;
    m->at += text.len;

    v = expect(m, "\r\n");

    if (v != WHOLE) {
        return v;
    }

    m->outcome = code == '0' ? NGX_HTTP_JELOU_REDIS_APPENDED
                 : code == '1' ? NGX_HTTP_JELOU_REDIS_SAME
                 : NGX_HTTP_JELOU_REDIS_OTHER;

    return (code == '0' ? is_entry(text)
            : code == '1' ? is_stored(m, text)
            : text.len == 0) ? WHOLE : WRONG;
}


static verdict_t
read_model(model_t *m)
{
    size_t      i;
    verdict_t   v;

    for (i = 0; i <= m->before; i++) {

        if (m->at == m->text.len) {
            return BEGINNING;
        }

        if (m->text.data[m->at] == '-') {
            v = read_error(m);
            m->outcome = NGX_HTTP_JELOU_REDIS_REFUSED;

        } else if (i < m->before) {
            v = expect(m, "+OK\r\n");

        } else if (m->error.data) {
            return UNKNOWN;

        } else {
            v = read_last(m);
        }

        if (v != WHOLE) {
            return v;
        }
    }

    return m->at == m->text.len ? WHOLE : WRONG;
}


/* What an error is known by */

static str_t
first_word(str_t error)
{
    str_t  word;

    static uint8_t  none[] = "an error";

    word.data = error.data;

    for (word.len = 0;
         word.len < error.len && word.len < NGX_HTTP_JELOU_REDIS_CAUSE;
         word.len++)
    {
        if ((word.data[word.len] < 'A' || word.data[word.len] > 'Z')
            && word.data[word.len] != '_')
        {
            break;
        }
    }

    return word.len ? word : (str_t) { none, sizeof(none) - 1 };
}


static void
check_reply(model_t *m, ngx_http_jelou_redis_reply_t *reply, ngx_int_t rc)
{
    int        noscript;
    str_t      word;
    verdict_t  v;

    v = read_model(m);

    if (v == WHOLE) {
        require(rc == NGX_OK, "a right reply is %s",
                rc == NGX_AGAIN ? "awaited" : "refused");

    } else if (v == BEGINNING) {
        require(rc == NGX_AGAIN, "the beginning of a reply is %s",
                rc == NGX_OK ? "enough" : "refused");
        return;

    } else {
        require(rc != NGX_OK || v == UNKNOWN, "a wrong reply is right");
    }

    if (rc != NGX_OK) {
        return;
    }

    if (m->error.data == NULL) {
        require(reply->outcome == m->outcome, "the outcome is %d",
                (int) reply->outcome);
        return;
    }

    word = first_word(m->error);

    require(str_equal(word, from_ngx(reply->cause)), "the cause is %.*s",
            (int) reply->cause.len, reply->cause.data);

    noscript = m->script && reply->failed == m->before && word.len == 8
               && ngx_memcmp(word.data, "NOSCRIPT", 8) == 0;

    require(reply->outcome == (noscript ? NGX_HTTP_JELOU_REDIS_NOSCRIPT
                                        : NGX_HTTP_JELOU_REDIS_REFUSED),
            "an error is no error");
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                        n, piece;
    u_char                       *copy;
    model_t                       m;
    ngx_int_t                     rc;
    ngx_http_jelou_redis_reply_t  reply;

    if (size < 2) {
        return 0;
    }

    ngx_memzero(&m, sizeof(model_t));

    m.before = (data[0] & 3) % 3;
    m.script = data[0] >> 2 & 1;
    m.random = data[0] >> 3 & 1;

    m.text.data = data + 2;

    require(ngx_http_jelou_redis_reply_init(&reply, m.before, m.script,
                                            m.random)
            == NGX_OK, "no reader");

    rc = NGX_AGAIN;

    /* a piece is in a block of its own, and nobody reads beyond it */

    for (n = 0; rc == NGX_AGAIN && n < size - 2; n += piece) {
        piece = data[1] ? ngx_min(data[1], size - 2 - n) : size - 2;

        copy = core_copy((str_t) { data + 2 + n, piece });
        rc = ngx_http_jelou_redis_reply_read(&reply, copy, piece);
        free(copy);
    }

    m.text.len = n;

    check_reply(&m, &reply, rc);

    ngx_http_jelou_redis_reply_free(&reply);
    require(reply.reader == NULL, "the reader is still there");

    return 0;
}
