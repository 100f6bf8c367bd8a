/*
 * Conversations with Redis: many commands in flight, some of which nobody
 * wants the reply to any more, and whatever comes back, in whatever pieces.  No
 * reply answers another command, none is taken for whole that is not, and an
 * event counts as appended only after a reply that says so.
 *
 * An input is the number of commands, the size of a piece, a byte for each
 * command, and the bytes that come back.
 */


#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "core.h"

#include "ngx_http_jelou_redis_outcome.h"
#include "ngx_http_jelou_redis_pipeline.h"


#define NCOMMANDS  96         /* more than a ring is made for */

/* Arrays within each other: more are refused. */

#define NESTED     8

/*
 * The types of replies: lines, texts and arrays.  Since 1.0 hiredis reads those
 * of RESP3, which nobody has asked for: none is a reply, but parts of it may be.
 */

#if (HIREDIS_MAJOR >= 1)
#define LINES      "+-:,_#("
#define TEXTS      "$="
#define ARRAYS     "*%~>"
#else
#define LINES      "+-:"
#define TEXTS      "$"
#define ARRAYS     "*"
#endif

#define is_one_of(type, types)  ((type) && strchr(types, type))


typedef enum {
    WHOLE,                    /* a reply */
    BEGINNING,                /* of one */
    WRONG
} verdict_t;


/* A reply of the model: where it is, and what is in it, if it is no array. */

typedef struct {
    verdict_t   verdict;
    uint8_t     type;         /* its first byte */
    str_t       text;
    int         nil;
    int         odd;          /* as the protocol has it, but not ours */
    size_t      end;
} answer_t;


typedef struct {
    ngx_http_jelou_redis_cmd_t      cmd;
    ngx_http_jelou_redis_outcome_t  outcome;
    uint64_t                        number;
    int                             added;
    int                             forgotten;
    int                             replied;
} command_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* A line, which CR LF ends. */

static verdict_t
read_line(str_t in, size_t *at, str_t *line)
{
    size_t  i;

    for (i = *at; i < in.len; i++) {

        if (in.data[i] == '\r') {

            if (i + 1 == in.len) {
                return BEGINNING;
            }

            if (in.data[i + 1] == '\n') {
                line->data = in.data + *at;
                line->len = i - *at;
                *at = i + 2;
                return WHOLE;
            }
        }
    }

    return BEGINNING;
}


/* A number as Redis writes it, of 64 bits. */

static verdict_t
to_number(str_t line, long long *n)
{
    char    text[24];
    size_t  i, minus;

    minus = line.len && line.data[0] == '-';

    if (line.len <= minus || line.len >= sizeof(text)
        || (line.data[minus] == '0' && line.len > 1))
    {
        return WRONG;
    }

    for (i = minus; i < line.len; i++) {
        if (line.data[i] < '0' || line.data[i] > '9') {
            return WRONG;
        }
    }

    memcpy(text, line.data, line.len);
    text[line.len] = '\0';

    errno = 0;
    *n = strtoll(text, NULL, 10);

    return errno ? WRONG : WHOLE;
}


/* A floating point number is what the C library takes for one. */

static verdict_t
to_double(str_t line)
{
    char    text[326], *last;
    double  d;

    if (line.len == 0 || line.len >= sizeof(text)) {
        return WRONG;
    }

    memcpy(text, line.data, line.len);
    text[line.len] = '\0';

    if (strcasecmp(text, "inf") == 0 || strcasecmp(text, "-inf") == 0
        || strcasecmp(text, "nan") == 0 || strcasecmp(text, "-nan") == 0)
    {
        return strlen(text) == line.len ? WHOLE : WRONG;
    }

    d = strtod(text, &last);

    return last == text + line.len && isfinite(d) ? WHOLE : WRONG;
}


/* What a line of that type may have. */

static verdict_t
judge_line(uint8_t type, str_t line)
{
    size_t     i;
    long long  n;

    switch (type) {

    case ':':
        return to_number(line, &n);

    case ',':
        return to_double(line);

    case '_':
        return line.len ? WRONG : WHOLE;

    case '#':
        /* for hiredis NUL is one of these too; either way nobody wants it */

        return line.len == 1 && strchr("tTfF", line.data[0]) ? WHOLE : WRONG;

    case '(':
        for (i = line.len && line.data[0] == '-'; i < line.len; i++) {
            if (line.data[i] < '0' || line.data[i] > '9') {
                return WRONG;
            }
        }

        return WHOLE;
    }

#if (HIREDIS_MAJOR >= 1)
    if (memchr(line.data, '\r', line.len)
        || memchr(line.data, '\n', line.len))
    {
        return WRONG;
    }
#endif

    return WHOLE;
}


/* A text of n bytes; a verbatim one begins with its format. */

static void
read_text(str_t in, size_t at, long long n, answer_t *a)
{
    if ((unsigned long long) n > in.len || in.len - at < (size_t) n + 2) {
        a->verdict = BEGINNING;
        return;
    }

    if (a->type == '=' && (n < 4 || in.data[at + 3] != ':')) {
        a->verdict = WRONG;
        return;
    }

    a->text.data = in.data + at;
    a->text.len = n;
    a->odd = in.data[at + n] != '\r' || in.data[at + n + 1] != '\n';
    a->end = at + n + 2;
}


/* hiredis 0.14 refuses a nil array as well. */

static int
too_deep(unsigned depth, int nil)
{
#if (HIREDIS_MAJOR < 1)
    nil = 0;
#endif

    return depth >= NESTED && !nil;
}


static answer_t
read_answer(str_t in, size_t at, unsigned depth)
{
    str_t      line;
    answer_t   a, item;
    long long  n;

    ngx_memzero(&a, sizeof(answer_t));

    if (at == in.len) {
        a.verdict = BEGINNING;
        return a;
    }

    a.type = in.data[at++];
    a.verdict = is_one_of(a.type, depth ? LINES TEXTS ARRAYS : "+-:$*")
                ? read_line(in, &at, &line) : WRONG;
    a.end = at;

    if (a.verdict != WHOLE) {
        return a;
    }

    if (is_one_of(a.type, LINES)) {
        a.verdict = judge_line(a.type, line);
        a.text = line;
        a.nil = a.type == '_';
        return a;
    }

    a.verdict = to_number(line, &n);

    if (a.verdict != WHOLE) {
        return a;
    }

    a.nil = n == -1;

    if (n < -1 || (is_one_of(a.type, ARRAYS) && too_deep(depth, a.nil))) {
        a.verdict = WRONG;
        return a;
    }

    if (a.nil) {
        return a;
    }

    if (is_one_of(a.type, TEXTS)) {
        read_text(in, at, n, &a);
        return a;
    }

    if (a.type == '%' && n <= LLONG_MAX / 2) {
        n *= 2;
    }

    for ( /* void */ ; n > 0 && a.verdict == WHOLE; n--) {
        item = read_answer(in, a.end, depth + 1);
        a.verdict = item.verdict;
        a.end = item.end;
    }

    return a;
}


static ngx_int_t
handler(ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result,
    ngx_http_jelou_redis_reply_t *reply)
{
    (void) cmd;
    (void) result;
    (void) reply;

    return NGX_OK;
}


static int
all_of(str_t text, const char *set)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] == '\0' || strchr(set, text.data[i]) == NULL) {
            return 0;
        }
    }

    return text.len > 0;
}


/* An entry's id, and how many were dropped, if the command drops any */

static int
is_entry(str_t text, int drops)
{
    str_t    part;
    uint8_t *minus, *space;

    minus = memchr(text.data, '-', text.len);

    if (minus == NULL) {
        return 0;
    }

    part = (str_t) { text.data, (size_t) (minus - text.data) };

    if (!all_of(part, "0123456789")) {
        return 0;
    }

    part.data = minus + 1;
    part.len = text.len - part.len - 1;

    space = drops ? memchr(part.data, ' ', part.len) : NULL;

    if (space) {
        str_t  rest = { space + 1, part.len - (space + 1 - part.data) };

        if (!all_of(rest, "0123456789")) {
            return 0;
        }

        part.len = space - part.data;
    }

    return all_of(part, "0123456789");
}


/* What is said of an event: only what the reply says. */

static void
check_outcome(command_t *c, answer_t *a, ngx_http_jelou_redis_reply_t *reply)
{
    ngx_int_t                        rc;
    ngx_http_jelou_redis_outcome_t  *o;

    o = &c->outcome;
    rc = ngx_http_jelou_redis_outcome(o, reply);

    if (a->type == '-') {
        require(rc == NGX_OK && (o->result == NGX_HTTP_JELOU_REDIS_DENIED
                                 || (o->script && a->text.len >= 8
                                     && !memcmp(a->text.data, "NOSCRIPT", 8))),
                "an error is no error");
        return;
    }

    if (rc != NGX_OK) {
        require(a->type != '$' || a->odd || a->text.len == 0
                || a->text.len > NGX_HTTP_JELOU_REDIS_TEXT
                || !is_entry(a->text, 0), "an entry's id is none");
        return;
    }

    require(a->type == '$' && !a->odd && !a->nil && a->text.len,
            "this is no reply: %c", a->type);

    switch (o->result) {

    case NGX_HTTP_JELOU_REDIS_APPENDED:
        require(is_entry(a->text, o->maxlen), "this is no entry");
        break;

    case NGX_HTTP_JELOU_REDIS_SAME:
        require(o->key && a->text.data[0] == '=', "nothing is the same");
        break;

    case NGX_HTTP_JELOU_REDIS_OTHER:
        require(o->key && a->text.data[0] == '!' && a->text.len == 1,
                "nothing is another one");
        break;

    case NGX_HTTP_JELOU_REDIS_FULL:
        require(o->limit && a->text.data[0] == '#' && a->text.len == 1,
                "nothing is full");
        break;

    default:
        require(0, "the outcome is %d", (int) o->result);
    }
}


/* The reply that is there is the model's, for the command that it is for. */

static void
check_reply(command_t *commands, size_t n, ngx_http_jelou_redis_cmd_t *cmd,
    answer_t *a, ngx_http_jelou_redis_reply_t *reply)
{
    size_t      len;
    command_t  *c;

    c = &commands[n];

    require(!c->replied, "a command has two replies");
    require(cmd == (c->forgotten ? NULL : &c->cmd), "the reply to another one");
    require(a->verdict == WHOLE, "a reply that is none is whole");

    c->replied = 1;

    if (reply->tree) {
        require(cmd && cmd->tree, "nobody wants a tree");
        return;
    }

    require(cmd == NULL || !cmd->tree, "a tree is wanted");

    if (a->type == '+' || a->type == '-' || (a->type == '$' && !a->nil)) {
        len = ngx_min(reply->len, NGX_HTTP_JELOU_REDIS_TEXT);

        require(reply->len == a->text.len, "the text has %zu bytes of %zu",
                reply->len, a->text.len);
        require(len == 0 || !memcmp(reply->text, a->text.data, len),
                "the text is another one");
    }

    require(reply->odd == (unsigned) (a->odd
                                      || (is_one_of(a->type, ARRAYS)
                                          && !a->nil)),
            "it is odd, or not");

    if (cmd) {
        check_outcome(c, a, reply);
    }
}


/* The commands: those behind the eighth byte are forgotten on their way. */

static void
add_commands(ngx_http_jelou_redis_pipeline_t *pipeline, command_t *commands,
    const uint8_t *flags, size_t n)
{
    size_t      i;
    command_t  *c;

    for (i = 0; i < n; i++) {
        c = &commands[i];

        c->cmd.handler = handler;
        c->cmd.tree = flags[i] & 1;
        c->outcome.key = flags[i] >> 1 & 1;
        c->outcome.random = flags[i] >> 2 & 1;
        c->outcome.limit = flags[i] >> 3 & 1;
        c->outcome.maxlen = flags[i] >> 4 & 1;
        c->outcome.script = c->outcome.key || c->outcome.limit
                            || c->outcome.maxlen;
        c->forgotten = flags[i] >> 5 & 1;

        require(ngx_http_jelou_redis_pipeline_add(pipeline, &c->cmd,
                                                  &c->cmd.number, &core_log)
                == NGX_OK, "no memory");

        if (c->forgotten) {
            ngx_http_jelou_redis_pipeline_forget(pipeline, c->cmd.number);
            c->cmd.tree = 0;
        }
    }
}


/* Feeds what comes back, and returns what became of it. */

static ngx_int_t
converse(ngx_http_jelou_redis_pipeline_t *pipeline, command_t *commands,
    size_t n, str_t in, size_t piece)
{
    size_t                       fed, at, size, done;
    u_char                      *copy;
    answer_t                     a;
    ngx_int_t                    rc;
    ngx_http_jelou_redis_cmd_t  *cmd;

    rc = NGX_AGAIN;

    for (fed = 0, at = 0, done = 0; rc == NGX_AGAIN && fed < in.len;
         fed += size)
    {
        size = piece ? ngx_min(piece, in.len - fed) : in.len - fed;

        copy = core_copy((str_t) { in.data + fed, size });
        rc = ngx_http_jelou_redis_reader_feed(&pipeline->reader, copy, size);
        free(copy);

        require(rc == NGX_OK, "no memory");

        while (rc == NGX_OK) {
            rc = ngx_http_jelou_redis_pipeline_next(pipeline, &cmd);

            if (rc != NGX_OK) {
                break;
            }

            require(done < n, "a reply to nothing");

            a = read_answer((str_t) { in.data, fed + size }, at, 0);
            check_reply(commands, done++, cmd, &a, &pipeline->reader.reply);
            at = a.end;
        }

        if (rc == NGX_AGAIN && done == n) {
            require(at == fed + size, "what nobody has asked for is awaited");
        }

        if (rc == NGX_DECLINED && done < n) {
            a = read_answer((str_t) { in.data, fed + size }, at, 0);
            require(a.verdict != WHOLE, "a right reply is refused");
        }
    }

    return rc;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                            i, n, left;
    command_t                         commands[NCOMMANDS];
    ngx_http_jelou_redis_cmd_t       *cmd;
    ngx_http_jelou_redis_pipeline_t   pipeline;

    if (size < 2 || size < 2 + (size_t) (data[0] % NCOMMANDS)) {
        return 0;
    }

    n = data[0] % NCOMMANDS;

    ngx_memzero(commands, sizeof(commands));
    ngx_memzero(&pipeline, sizeof(pipeline));

    require(ngx_http_jelou_redis_pipeline_init(&pipeline, &core_log) == NGX_OK,
            "no pipeline");

    add_commands(&pipeline, commands, data + 2, n);

    (void) converse(&pipeline, commands, n,
                    (str_t) { (uint8_t *) data + 2 + n, size - 2 - n },
                    data[1]);

    /* the others are lost, each once */

    for (left = 0; ngx_http_jelou_redis_pipeline_drop(&pipeline, &cmd)
                   == NGX_OK; left++) { /* void */ }

    for (i = 0; i < n; i++) {
        left += commands[i].replied;
    }

    require(left == n, "%zu of %zu commands are told", left, n);

    ngx_http_jelou_redis_pipeline_free(&pipeline);

    return 0;
}
