/*
 * The deliverer and a Redis that answers its commands with anything: what the
 * script may say, or other trees of replies, in another order, or nothing.  The
 * application answers as the input says, too, and allocations fail.
 *
 * Whatever comes, the deliverer's books are right: each entry is in one room,
 * each room in one state, and the numbers of both are those that it has noted.
 * Nothing is acknowledged that has not been taken, each command is one of the
 * script's, with as many words as that has, and an nginx that exits ends.
 *
 * An input is two bytes that choose the configuration and the allocation that
 * fails, and then steps.
 */


#include "core.h"

#include "ngx_http_jelou_queue_status.h"


#define NCOMMANDS  64         /* at a time: more are refused */
#define NFLIGHTS   8
#define NTAKEN     512
#define NSTEPS     256
#define NROUNDS    2048       /* that an exit may take */

#define REPLY      32768
#define WORDS      1024


typedef struct {
    ngx_http_jelou_redis_cmd_t  *cmd;
    char                         op[16];
    char                         id[NGX_HTTP_JELOU_DELIVER_ID_LEN + 1];
} command_t;


typedef struct {
    const char  *op;
    size_t       least;       /* words behind the script's own four */
    size_t       most;
} words_t;

static const words_t  script[] = {
    { "own", 2, 2 },
    { "join", 1, 1 },
    { "release", 0, 0 },
    { "read", 4, 4 },
    { "claim", 6, 6 },
    { "get", 2, 2 },
    { "done", 3, WORDS },
    { "fail", 2, 2 },
    { "dead", 7, 7 },
    { "renew", 2, WORDS },
    { "give", 2, WORDS },
    { "leave", 1, 1 },
    { "tidy", 1, 1 },
    { NULL, 0, 0 }
};


ngx_queue_t                        ngx_posted_events;
ngx_http_jelou_queue_sh_t         *ngx_http_jelou_queue_sh;

static const uint8_t              *in, *in_last;

static ngx_http_jelou_deliver_loc_conf_t   conf;
static ngx_http_jelou_deliver_main_conf_t  main_conf;
static ngx_http_jelou_deliver_stream_t     s;
static ngx_http_jelou_redis_target_t       target, blocking;

static ngx_http_jelou_redis_conn_t         conn;
static ngx_connection_t                    connection;
static ngx_event_t                         readable;

static command_t                   commands[NCOMMANDS];
static size_t                      ncommands;
static ngx_http_jelou_deliver_t   *flights[NFLIGHTS];
static size_t                      nflights;
static int                         landing;

static char                        taken[NTAKEN]
                                        [NGX_HTTP_JELOU_DELIVER_ID_LEN + 1];
static size_t                      ntaken;

static uint8_t                     reply[REPLY];
static size_t                      nreply;


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static unsigned
next(void)
{
    return in < in_last ? *in++ : 0;
}


/* The words of a command, which has as many as it says. */

static size_t
read_words(str_t text, str_t *words)
{
    char    *end;
    size_t   i, n, len;
    u_char  *p, *last;

    p = (u_char *) text.data;
    last = p + text.len;

    require(p < last && *p == '*', "this is no command");

    n = strtoul((char *) p + 1, &end, 10);
    p = (u_char *) end + 2;

    require(n > 0 && n <= WORDS, "a command of %zu words", n);

    for (i = 0; i < n; i++) {
        require(p < last && *p == '$', "a word is missing");

        len = strtoul((char *) p + 1, &end, 10);
        p = (u_char *) end + 2;

        require(len <= (size_t) (last - p), "a word is too long");

        words[i] = (str_t) { p, len };
        p += len;

        require(last - p >= 2 && p[0] == '\r' && p[1] == '\n',
                "a word has no end");
        p += 2;
    }

    require(p == last, "more words than there are");

    return n;
}


static int
is(str_t word, const char *text)
{
    return word.len == strlen(text) && !memcmp(word.data, text, word.len);
}


static void
copy_id(char *id, str_t word)
{
    require(word.len <= NGX_HTTP_JELOU_DELIVER_ID_LEN, "an id is too long");

    memcpy(id, word.data, word.len);
    id[word.len] = '\0';
}


static void
take(const char *id)
{
    if (ntaken < NTAKEN) {
        strcpy(taken[ntaken++], id);
    }
}


/* "done": the ids are of entries that were taken. */

static void
check_done(str_t *words, size_t n)
{
    char    id[NGX_HTTP_JELOU_DELIVER_ID_LEN + 1];
    size_t  i, j;

    for (i = 2; i < n && ntaken < NTAKEN; i++) {
        copy_id(id, words[i]);

        for (j = 0; j < ntaken && strcmp(taken[j], id); j++) { /* void */ }

        require(j < ntaken, "%s is acknowledged, and was not taken", id);
    }
}


static void
check_call(command_t *c, str_t *words, size_t n)
{
    size_t          nkeys, at;
    const words_t  *w;

    require(n > 3 && words[2].len == 1, "no number of keys");

    nkeys = words[2].data[0] - '0';
    at = 3 + nkeys;

    require((nkeys == 2 || nkeys == 3) && n >= at + 4, "words are missing");

    for (w = script; w->op && !is(words[at], w->op); w++) { /* void */ }

    require(w->op, "the script has no such operation");

    n -= at + 4;

    require(n >= w->least && n <= w->most, "%s has %zu words", w->op, n);
    require((nkeys == 3) == !strcmp(w->op, "dead"), "%s has %zu keys", w->op,
            nkeys);

    strcpy(c->op, w->op);

    if (!strcmp(w->op, "done")) {
        check_done(&words[at + 4], n);
    }

    if (!strcmp(w->op, "get")) {
        copy_id(c->id, words[at + 5]);
    }
}


/* What the deliverer calls. */

ngx_int_t
ngx_http_jelou_redis_send(ngx_http_jelou_redis_target_t *to,
    ngx_http_jelou_redis_cmd_t *cmd)
{
    size_t      n;
    str_t       text, words[WORDS];
    u_char     *p;
    command_t  *c;

    if (++core.calls == core.fail) {
        return NGX_ERROR;
    }

    if (ncommands == NCOMMANDS) {
        return NGX_BUSY;
    }

    require(cmd->tree && cmd->handler, "a command without a tree");

    p = malloc(ngx_http_jelou_redis_pieces_len(cmd->pieces, cmd->npieces) + 1);
    text.data = p;
    text.len = ngx_http_jelou_redis_pieces_write(p, cmd->pieces, cmd->npieces)
               - p;
    p[text.len] = '\0';

    c = &commands[ncommands++];
    ngx_memzero(c, sizeof(command_t));
    c->cmd = cmd;

    n = read_words(text, words);

    if (to == &blocking) {
        require(is(words[0], conf.order == NGX_HTTP_JELOU_DELIVER_ROOM
                             ? "XREAD" : "XREADGROUP"),
                "what does it wait for");
        strcpy(c->op, "wait");
        cmd->conn = conf.remove ? &conn : NULL;

    } else {
        require(is(words[0], "EVALSHA") || is(words[0], "EVAL"),
                "this is no call");
        check_call(c, words, n);
    }

    free(p);

    return NGX_OK;
}


/* One that has its reply, or is not to have one. */

static ngx_http_jelou_redis_cmd_t *
pick_command(size_t i)
{
    ngx_http_jelou_redis_cmd_t  *cmd;

    cmd = commands[i].cmd;
    cmd->conn = NULL;

    memmove(&commands[i], &commands[i + 1],
            (--ncommands - i) * sizeof(command_t));
    return cmd;
}


void
ngx_http_jelou_redis_cancel(ngx_http_jelou_redis_cmd_t *cmd)
{
    size_t  i;

    for (i = 0; i < ncommands && commands[i].cmd != cmd; i++) { /* void */ }

    require(i < ncommands, "a command is cancelled that is not there");

    (void) pick_command(i);
}


/* The connection of the one that waits is closed. */

static void
close_connection(ngx_event_t *ev)
{
    size_t                       i;
    ngx_http_jelou_redis_cmd_t  *cmd;

    (void) ev;

    for (i = 0; i < ncommands && strcmp(commands[i].op, "wait"); i++) {
        /* void */
    }

    require(i < ncommands, "nothing waits");

    cmd = pick_command(i);
    (void) cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_LOST, NULL);
}


ngx_int_t
ngx_http_jelou_deliver_request(ngx_http_jelou_deliver_t *d)
{
    size_t   i, sum;
    u_char  *p;

    require(!landing, "a request begins while another one ends");

    if (++core.calls == core.fail || nflights == NFLIGHTS) {
        return NGX_ERROR;
    }

    require(d->body.data && (off_t) d->body.len <= conf.max_size,
            "a body of %zu bytes", d->body.len);

    /* all of it is there */

    for (i = 0, sum = 0; i < NGX_HTTP_JELOU_DELIVER_NFIELDS; i++) {
        for (p = d->fields[i].data; p < d->fields[i].data + d->fields[i].len;
             p++)
        {
            sum += *p;
        }
    }

    for (p = d->body.data; p < d->body.data + d->body.len; p++) {
        sum += *p;
    }

    require(sum, "nothing is delivered");

    flights[nflights++] = d;

    return NGX_OK;
}


ngx_uint_t
ngx_http_jelou_deliver_owned(void)
{
    return s.owned;
}


void
ngx_http_jelou_queue_delivered(ngx_http_jelou_deliver_stream_t *stream,
    ngx_http_jelou_deliver_entry_t *e, uint64_t now)
{
    (void) now;

    require(stream == &s && !e->bad, "what is bad is delivered");
}


void
ngx_http_jelou_queue_retried(ngx_http_jelou_deliver_stream_t *stream)
{
    require(stream == &s, "another stream");
}


void
ngx_http_jelou_queue_dead(ngx_http_jelou_deliver_stream_t *stream,
    ngx_uint_t reason)
{
    require(stream == &s && reason && reason < NGX_HTTP_JELOU_DELIVER_NREASONS,
            "no reason");
}


/* A reply, as the protocol writes it */

static void
put(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    nreply = ngx_vslprintf(reply + nreply, reply + REPLY, fmt, args) - reply;
    va_end(args);

    require(nreply < REPLY, "a reply is too long");
}


static void
put_text(str_t text)
{
    put("$%uz" CRLF "%*s" CRLF, text.len, text.len, text.data);
}


static const str_t  texts[] = {
    str("ok"), str("own"), str("held"), str("lost"), str("paused"),
    str("gone"), str(""), str("event"), str("room_id"), str("0-0"),
    str("1-1"), str("1-"), str("-1"), str("1-1x"), str("ok\0x"), str("{}"),
    str("18446744073709551615-18446744073709551615"),
    str("99999999999999999999999-99999999999999999999999"),
    str("an id that is so long that there is no room for it, if somebody "
        "forgets to look how long it is before it is copied to its place")
};


static void
put_any(unsigned depth)
{
    unsigned  n;

    switch (next() % 8) {

    case 0:
        put("$-1" CRLF);
        break;

    case 1:
        put(":%d" CRLF, (int) next() - 128);
        break;

    case 2:
        put("*-1" CRLF);
        break;

    case 3:
        put("+OK" CRLF);
        break;

    case 4:
        n = depth ? next() % 5 : 0;
        put("*%ud" CRLF, n);

        while (n--) {
            put_any(depth - 1);
        }

        break;

    default:
        put_text(texts[next() % (sizeof(texts) / sizeof(texts[0]))]);
    }
}


/* Whether something else stands where something is expected: now and then */

static int
other(unsigned depth)
{
    if (next() < 0xf0) {
        return 0;
    }

    put_any(depth);

    return 1;
}


static void
put_id(void)
{
    char  id[16];

    if (!other(1)) {
        put_text((str_t) { (u_char *) id,
                           (size_t) snprintf(id, sizeof(id), "%u-1",
                                             1 + next() % 32) });
    }
}


static void
put_field(void)
{
    static const struct {
        str_t  name;
        str_t  value;
    } fields[] = {
        { str("event"), str("{}") },
        { str("event"), str("[1]") },
        { str("event"), str("{\"a\":[[{}]],\"b\":\"c\"}") },
        { str("event"), str("no json") },
        { str("event"), str("{\"a\":\"what is more than max_size, which is "
                            "sixty-four bytes here\"}") },
        { str("event"), str("") },
        { str("jelou_later"), str("") },
        { str("jelou_large"), str("") },
        { str("jelou_tried"), str("2 1700000000000 1700000001000 503") },
        { str("jelou_tried"), str("99999999999999999999 1") },
        { str("room_id"), str("r") },
        { str("room_id"), str("another") },
        { str("room_id"), str("") },
        { str("project_id"), str("p-1") },
        { str("received_at"), str("1700000000000") },
        { str("format"), str("cloudevents") }
    };

    unsigned  n;

    n = next() % (sizeof(fields) / sizeof(fields[0]));

    if (!other(1)) {
        put_text(fields[n].name);
    }

    if (!other(1)) {
        put_text(fields[n].value);
    }
}


static void
put_entry(void)
{
    unsigned  n;

    if (other(2)) {
        return;
    }

    put("*2" CRLF);
    put_id();

    if (other(2)) {
        return;
    }

    n = next() % 5;
    put("*%ud" CRLF, 2 * n);

    while (n--) {
        put_field();
    }
}


static void
put_entries(void)
{
    unsigned  n;

    if (other(3)) {
        return;
    }

    n = next() % 8;
    put("*%ud" CRLF, n);

    while (n--) {
        put_entry();
    }
}


static void
put_number(void)
{
    if (!other(1)) {
        put(":%ud" CRLF, next() % 8 == 7);
    }
}


/* "own" and "held" */

static void
put_lease(void)
{
    unsigned  n;

    if (next() % 4 == 3) {
        put("*2" CRLF "$4" CRLF "held" CRLF ":%ud" CRLF, next());
        return;
    }

    n = next() < 0xe0 ? 3 : next() % 6;

    put("*%ud" CRLF "$3" CRLF "own" CRLF, 1 + n);

    if (n > 0 && !other(1)) {
        put("$1" CRLF "%ud" CRLF, next() % 4);
    }

    if (n > 1) {
        put_number();
    }

    while (n > 2) {
        put_id();
        n--;
    }
}


/* What the script says to an operation, more or less */

static void
put_reply(command_t *c)
{
    unsigned  n;

    if (!strcmp(c->op, "wait")) {

        if (next() % 2) {
            put("*1" CRLF "*2" CRLF "$1" CRLF "s" CRLF);
            put_entries();

        } else {
            put("*-1" CRLF);
        }

    } else if (!strcmp(c->op, "own")) {
        put_lease();

    } else if (!strcmp(c->op, "join")) {
        put("*2" CRLF "$2" CRLF "ok" CRLF);
        put_number();

    } else if (!strcmp(c->op, "read") || !strcmp(c->op, "get")) {
        put("*2" CRLF "$2" CRLF "ok" CRLF);
        put_entries();

    } else if (!strcmp(c->op, "claim")) {
        put("*3" CRLF "$2" CRLF "ok" CRLF);
        put_entries();

        if (next() % 4) {
            put("$3" CRLF "0-0" CRLF);

        } else {
            put_id();
        }

    } else if (!strcmp(c->op, "renew") || !strcmp(c->op, "give")) {
        n = next() % 4;
        put("*2" CRLF "$2" CRLF "ok" CRLF "*%ud" CRLF, n);

        while (n--) {
            put_id();
        }

    } else {
        put("*1" CRLF "$2" CRLF "ok" CRLF);
    }
}


static void
put_error(void)
{
    static const char  *errors[] = {
        "NOSCRIPT No matching script", "NOGROUP No such key", "WRONGTYPE x",
        "ERR", ""
    };

    put("-%s" CRLF, errors[next() % 5]);
}


static void
put_word(void)
{
    static const char  *words[] = { "lost", "gone", "paused", "held" };
    const char         *word;

    word = words[next() % 4];

    put("*1" CRLF "$%uz" CRLF "%s" CRLF, strlen(word), word);
}


/* "get": the entry is not there any more, which is as good as taken */

static void
note_gone(command_t *c, redisReply *tree)
{
    if (!strcmp(c->op, "get") && tree->type == REDIS_REPLY_ARRAY
        && tree->elements == 2 && tree->element[1]->type == REDIS_REPLY_ARRAY
        && tree->element[1]->elements == 0)
    {
        take(c->id);
    }
}


/* The bytes become a tree, as on a connection, and the handler is called. */

static void
say_reply(size_t i)
{
    u_char                           *copy;
    ngx_int_t                         rc;
    ngx_http_jelou_redis_cmd_t       *cmd, *got, asked;
    ngx_http_jelou_redis_pipeline_t   pipeline;

    ngx_memzero(&pipeline, sizeof(pipeline));
    ngx_memzero(&asked, sizeof(asked));

    asked.tree = 1;

    rc = ngx_http_jelou_redis_pipeline_init(&pipeline, &core_log);

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_redis_pipeline_add(&pipeline, &asked,
                                               &asked.number, &core_log);
    }

    if (rc == NGX_OK) {
        copy = core_copy((str_t) { reply, nreply });
        rc = ngx_http_jelou_redis_reader_feed(&pipeline.reader, copy, nreply);
        free(copy);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_jelou_redis_pipeline_next(&pipeline, &got);
        require(rc == NGX_OK && got == &asked, "the reply is not read");
        note_gone(&commands[i], pipeline.reader.reply.tree);
    }

    cmd = pick_command(i);

    (void) cmd->handler(cmd, rc == NGX_OK ? NGX_HTTP_JELOU_REDIS_REPLIED
                                          : NGX_HTTP_JELOU_REDIS_LOST,
                        &pipeline.reader.reply);

    ngx_http_jelou_redis_pipeline_free(&pipeline);
}


static void
step_reply(void)
{
    size_t                       i;
    unsigned                     how;
    ngx_http_jelou_redis_cmd_t  *cmd;

    if (ncommands == 0) {
        return;
    }

    i = next() % ncommands;
    how = next() % 16;
    nreply = 0;

    switch (how) {

    case 12:
        put_any(5);
        break;

    case 13:
        put_word();
        break;

    case 14:
        put_error();
        break;

    case 15:
        cmd = pick_command(i);
        (void) cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_REFUSED + next() % 4,
                            NULL);
        return;

    default:
        put_reply(&commands[i]);
    }

    say_reply(i);
}


/* The application answers. */

static void
land(size_t i, ngx_uint_t status, unsigned whole, unsigned refused)
{
    char                       id[NGX_HTTP_JELOU_DELIVER_ID_LEN + 1];
    ngx_http_jelou_deliver_t  *d;

    d = flights[i];
    memmove(&flights[i], &flights[i + 1],
            (--nflights - i) * sizeof(flights[0]));

    d->status = status;
    d->whole = whole;
    d->refused = refused;
    d->retry_after = -1;

    if (status / 100 == 2 && whole && !refused) {
        copy_id(id, from_ngx(d->fields[NGX_HTTP_JELOU_DELIVER_ID]));
        take(id);
    }

    landing = 1;
    d->handler(d);
    landing = 0;
}


static void
step_answer(void)
{
    static const ngx_uint_t  statuses[] = {
        200, 200, 204, 500, 503, 404, 400, 401, 408, 425, 429, 302, 0
    };

    unsigned    bits;
    ngx_uint_t  status;

    if (nflights) {
        bits = next();
        status = statuses[next() % (sizeof(statuses) / sizeof(statuses[0]))];

        land(bits % nflights, status, (bits & 0xc0) != 0xc0,
             (bits & 0x30) == 0x30);
    }
}


/* The next timer's time has come. */

static void
step_timer(void)
{
    ngx_event_t        *ev;
    ngx_rbtree_node_t  *node;

    if (ngx_event_timer_rbtree.root == ngx_event_timer_rbtree.sentinel) {
        return;
    }

    node = ngx_rbtree_min(ngx_event_timer_rbtree.root,
                          ngx_event_timer_rbtree.sentinel);

    if ((ngx_msec_int_t) (node->key - ngx_current_msec) > 0) {
        ngx_current_msec = node->key;
    }

    ev = ngx_rbtree_data(node, ngx_event_t, timer);

    ngx_rbtree_delete(&ngx_event_timer_rbtree, node);
    ev->timer_set = 0;
    ev->timedout = 1;
    ev->handler(ev);
}


/* What was posted is done before anything else happens. */

static void
run_posted(void)
{
    unsigned      n;
    ngx_event_t  *ev;

    for (n = 0; !ngx_queue_empty(&ngx_posted_events); n++) {
        require(n < 1000, "it does not come to rest");

        ev = ngx_queue_data(ngx_queue_head(&ngx_posted_events), ngx_event_t,
                            queue);

        ngx_delete_posted_event(ev);
        ev->handler(ev);
    }
}


/* The books */

static size_t  nnamed, nentries, nbytes;

static void
count_room(ngx_http_jelou_deliver_room_t *room, unsigned state)
{
    size_t                           n;
    ngx_queue_t                     *q;
    ngx_http_jelou_deliver_entry_t  *e;

    require(room->state == state && room->stream == &s, "a room's state");

    n = 0;

    for (q = ngx_queue_head(&room->entries);
         q != ngx_queue_sentinel(&room->entries);
         q = ngx_queue_next(q))
    {
        e = ngx_queue_data(q, ngx_http_jelou_deliver_entry_t, queue);

        require(!e->bad || e->body.data == NULL, "what is bad has a body");

        nbytes += e->body.data ? e->body.len : 0;
        n++;
    }

    require(n && (n == 1 || conf.order == NGX_HTTP_JELOU_DELIVER_ROOM),
            "a room with %zu entries", n);

    nnamed += room->named;
    nentries += n;
}


static size_t
count_nodes(ngx_rbtree_t *tree)
{
    size_t              n;
    ngx_rbtree_node_t  *node;

    if (tree->root == tree->sentinel) {
        return 0;
    }

    n = 0;

    for (node = ngx_rbtree_min(tree->root, tree->sentinel);
         node;
         node = ngx_rbtree_next(tree, node))
    {
        n++;

        if (tree == &s.waiting) {
            count_room(ngx_rbtree_data(node, ngx_http_jelou_deliver_room_t,
                                       due),
                       NGX_HTTP_JELOU_DELIVER_WAITING);
        }
    }

    return n;
}


static void
check_books(void)
{
    size_t                          n, lost;
    ngx_queue_t                    *q;
    ngx_http_jelou_deliver_room_t  *room;

    require(s.fence.len <= sizeof(s.fence_text)
            && s.last.len <= sizeof(s.last_text)
            && s.cursor.len <= sizeof(s.cursor_text), "a text is too long");

    nnamed = nentries = nbytes = 0;

    for (q = ngx_queue_head(&s.ready), n = 0;
         q != ngx_queue_sentinel(&s.ready);
         q = ngx_queue_next(q), n++)
    {
        count_room(ngx_queue_data(q, ngx_http_jelou_deliver_room_t, queue),
                   NGX_HTTP_JELOU_DELIVER_READY);
    }

    require(n == s.nready, "%zu rooms are ready, not %zu", n,
            (size_t) s.nready);

    for (q = ngx_queue_head(&s.busy), n = 0, lost = 0;
         q != ngx_queue_sentinel(&s.busy);
         q = ngx_queue_next(q), n++)
    {
        room = ngx_queue_data(q, ngx_http_jelou_deliver_room_t, busy);
        lost += room->lost;
        count_room(room, NGX_HTTP_JELOU_DELIVER_BUSY);
    }

    require(n == s.nbusy && n <= conf.parallel, "%zu rooms are busy, not %zu",
            n, (size_t) s.nbusy);
    require(lost == s.nlost, "%zu rooms are lost, not %zu", lost,
            (size_t) s.nlost);

    (void) count_nodes(&s.waiting);

    require(count_nodes(&s.rooms) == nnamed, "a name without a room");
    require(nentries == s.nentries, "%zu entries, not %zu", nentries,
            (size_t) s.nentries);
    require(nbytes == s.bytes, "%zu bytes, not %zu", nbytes, s.bytes);
    require(nflights <= s.nbusy, "a delivery without a room");
}


/* Redis answers, or does not; the application takes all; time passes. */

static void
finish(unsigned answers)
{
    unsigned                     n;
    ngx_http_jelou_redis_cmd_t  *cmd;

    if (!s.exiting) {
        ngx_http_jelou_deliver_stop(&s);
    }

    for (n = 0; !s.released || ncommands || nflights; n++) {
        require(n < NROUNDS, "it does not come to an end");

        run_posted();
        check_books();
        core_nlines = 0;

        if (ncommands && answers) {
            nreply = 0;
            put("*1" CRLF "$2" CRLF "ok" CRLF);
            say_reply(0);

        } else if (ncommands) {
            cmd = pick_command(0);
            (void) cmd->handler(cmd, NGX_HTTP_JELOU_REDIS_LOST, NULL);

        } else if (nflights) {
            land(0, 200, 1, 0);

        } else {
            step_timer();
        }
    }

    run_posted();
    check_books();

    require(s.nentries == 0 && s.wait == NULL, "it has ended, and has entries");
}


static void
begin(ngx_pool_t *pool, unsigned bits)
{
    ngx_memzero(&conf, sizeof(conf));
    ngx_memzero(&s, sizeof(s));

    conf.order = bits & 1 ? NGX_HTTP_JELOU_DELIVER_NONE
                          : NGX_HTTP_JELOU_DELIVER_ROOM;
    conf.remove = bits >> 1 & 1;
    conf.parallel = 1 + (bits >> 2 & 3);
    conf.window = bits & 16 ? 4 : 32;
    conf.retry = 1000;
    conf.retry_max = 4000;
    conf.attempts = 3;
    conf.max_size = 64;
    ngx_str_set(&conf.group, "app");

    s.conf = &conf;
    s.dmcf = &main_conf;
    s.target = &target;
    s.blocking = &blocking;

    ngx_str_set(&s.name, "events");
    ngx_str_set(&s.hash, "jelou-deliver:{events}:app");
    ngx_str_set(&s.dead, "{events}:dead");
    ngx_str_set(&s.consumer, "nginx");
    ngx_str_set(&s.owner, "host:1:0123456789abcdef");
    ngx_str_set(&s.cursor, "0-0");

    s.acks = ngx_array_create(pool, 2, sizeof(ngx_http_jelou_deliver_ack_t));
    s.acking = ngx_array_create(pool, 2, sizeof(ngx_http_jelou_deliver_ack_t));

    require(s.acks && s.acking, "no memory");

    ncommands = nflights = ntaken = 0;
    ngx_current_msec = 1000000;
    srandom(1);

    ngx_queue_init(&ngx_posted_events);
    ngx_http_jelou_deliver_start(&s, 1);
}


static void
end(void)
{
    ngx_uint_t    i;
    ngx_event_t  *events[] = { &s.beat, &s.due, &s.again };

    for (i = 0; i < 3; i++) {
        if (events[i]->timer_set) {
            ngx_del_timer(events[i]);
        }
    }
}


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;

    ngx_time_init();

    ngx_str_set(&main_conf.evalsha, "$7" CRLF "EVALSHA" CRLF "$1" CRLF "0"
                CRLF);
    ngx_str_set(&main_conf.eval, "$4" CRLF "EVAL" CRLF "$1" CRLF "x" CRLF);

    conn.peer.connection = &connection;
    connection.read = &readable;
    readable.handler = close_connection;

    heap_keep();

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned     n;
    ngx_pool_t  *pool;

    if (size < 2) {
        return 0;
    }

    core_reset(0);

    pool = ngx_create_pool(1024, &core_log);
    require(pool, "no pool");

    begin(pool, data[0]);
    core_reset(data[1]);

    in = data + 2;
    in_last = data + size;

    for (n = 0; in < in_last && n < NSTEPS; n++) {

        switch (next() % 16) {

        case 0: case 1: case 2: case 3: case 4: case 5: case 6:
            step_reply();
            break;

        case 7: case 8: case 9: case 10:
            step_answer();
            break;

        case 11: case 12: case 13: case 14:
            step_timer();
            break;

        default:
            if (next() > 0xf0 && !s.exiting) {
                ngx_http_jelou_deliver_stop(&s);
            }
        }

        run_posted();
        check_books();
        core_nlines = 0;
    }

    finish(data[0] >> 7);
    end();

    ngx_destroy_pool(pool);
    heap_check();

    return 0;
}
