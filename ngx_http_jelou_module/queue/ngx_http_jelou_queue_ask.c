
/*
 * What only Redis knows of a stream: one worker asks, while somebody reads a
 * page, and all workers show what it has been told.
 */


#include "ngx_http_jelou_queue_status.h"


/* the pieces of a command: how many words, EVAL, the script, the number of
   keys, the stream, and the hashes of its deliveries */

#define NGX_HTTP_JELOU_QUEUE_FIXED   5
#define NGX_HTTP_JELOU_QUEUE_PIECES                                           \
    (NGX_HTTP_JELOU_QUEUE_FIXED + NGX_HTTP_JELOU_QUEUE_ROWS)


typedef struct {
    ngx_http_jelou_redis_cmd_t        cmd;
    ngx_http_jelou_redis_piece_t      pieces[NGX_HTTP_JELOU_QUEUE_PIECES];
    u_char                            count[sizeof("*" CRLF) + NGX_INT_T_LEN];
    u_char                            nkeys[NGX_INT_T_LEN];
    u_char                            text[NGX_HTTP_JELOU_QUEUE_TEXT];
    ngx_uint_t                        row;
    ngx_atomic_uint_t                 hash;
    ngx_uint_t                        ndeliveries;
    ngx_http_jelou_queue_delivery_t  *deliveries[NGX_HTTP_JELOU_QUEUE_ROWS];
} ngx_http_jelou_queue_ask_t;


static void ngx_http_jelou_queue_ask_handler(ngx_event_t *ev);
static void ngx_http_jelou_queue_ask_stream(ngx_cycle_t *cycle, ngx_uint_t n);
static ngx_http_jelou_redis_target_t *ngx_http_jelou_queue_target(
    ngx_cycle_t *cycle, ngx_http_jelou_queue_names_t *names);
static ngx_http_jelou_redis_target_t *ngx_http_jelou_queue_pass_target(
    ngx_cycle_t *cycle, ngx_http_jelou_queue_names_t *names);
static ngx_uint_t ngx_http_jelou_queue_same(ngx_http_upstream_srv_conf_t *uscf,
    ngx_str_t *name);
static void ngx_http_jelou_queue_command(ngx_http_jelou_queue_ask_t *ask,
    ngx_http_jelou_queue_names_t *names);
static ngx_int_t ngx_http_jelou_queue_replied(ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_result_e result, ngx_http_jelou_redis_reply_t *reply);
static void ngx_http_jelou_queue_told(ngx_http_jelou_queue_ask_t *ask,
    redisReply *tree);
static void ngx_http_jelou_queue_told_groups(ngx_uint_t n, redisReply *groups);
static void ngx_http_jelou_queue_told_delivery(
    ngx_http_jelou_queue_delivery_t *row, redisReply *told);


/*
 * KEYS  the stream, and the hashes of its deliveries
 *
 * Returns its length; of each group the name, what is pending, the lag and the
 * age of the oldest entry in ms, -1 for what is not known or not there; and of
 * each delivery who has it, or nothing, and 1 if it is paused.  It reads no
 * event out of Redis.
 */

static const char  ngx_http_jelou_queue_lua[] =
    "local stream, groups, all = KEYS[1], {}, {}\n"
    "local length = redis.call('XLEN', stream)\n"
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "local list = redis.pcall('XINFO', 'GROUPS', stream)\n"
    "if list.err then list = {} end\n"
    "for n, g in ipairs(list) do\n"
    "  if n > 64 then break end\n"
    "  local v, first = {}, nil\n"
    "  for i = 1, #g, 2 do v[g[i]] = g[i + 1] end\n"
    "  if v.pending > 0 then\n"
    "    local p = redis.pcall('XPENDING', stream, v.name)\n"
    "    first = not p.err and p[2]\n"
    "  else\n"
    "    local r = redis.pcall('XRANGE', stream,\n"
    "                          '(' .. v['last-delivered-id'], '+', 'COUNT',\n"
    "                          1)\n"
    "    first = not r.err and r[1] and r[1][1]\n"
    "  end\n"
    "  local ms = first and tonumber(string.match(first, '^%d+'))\n"
    "  local lag = v.lag\n"
    "  if not lag and not first and v.pending == 0 then lag = 0 end\n"
    "  groups[n] = { v.name, v.pending, lag or -1,\n"
    "                ms and math.max(now - ms, 0) or -1 }\n"
    "end\n"
    "for i = 2, #KEYS do\n"
    "  local h = redis.pcall('HMGET', KEYS[i], 'owner', 'until', 'paused')\n"
    "  if h.err then\n"
    "    all[i - 1] = {}\n"
    "  elseif h[1] and (tonumber(h[2]) or 0) > now then\n"
    "    all[i - 1] = { h[1], h[3] and 1 or 0 }\n"
    "  else\n"
    "    all[i - 1] = { '', h[3] and 1 or 0 }\n"
    "  end\n"
    "end\n"
    "return { length, groups, all }\n";


static ngx_event_t       ngx_http_jelou_queue_again;
static ngx_connection_t  ngx_http_jelou_queue_dummy;


void
ngx_http_jelou_queue_ask(ngx_cycle_t *cycle)
{
    ngx_uint_t                  i;
    ngx_event_t                *ev;
    ngx_atomic_uint_t           now, asked;
    ngx_http_jelou_queue_sh_t  *sh;

    sh = ngx_http_jelou_queue_sh;
    now = ngx_current_msec;
    asked = sh->asked;

    if (ngx_exiting || (asked && now - asked < NGX_HTTP_JELOU_QUEUE_ASK)
        || !ngx_atomic_cmp_set(&sh->asked, asked, now))
    {
        return;
    }

    ngx_http_jelou_queue_seen_all(cycle);

    for (i = 0; i < NGX_HTTP_JELOU_QUEUE_ROWS; i++) {

        if (sh->streams[i].hash
            && ngx_time() - (time_t) sh->streams[i].seen
               <= NGX_HTTP_JELOU_QUEUE_SHOWN)
        {
            ngx_http_jelou_queue_ask_stream(cycle, i);
        }
    }

    ev = &ngx_http_jelou_queue_again;

    if (!ev->timer_set) {
        ngx_http_jelou_queue_dummy.fd = (ngx_socket_t) -1;

        ev->handler = ngx_http_jelou_queue_ask_handler;
        ev->data = &ngx_http_jelou_queue_dummy;
        ev->log = cycle->log;
        ev->cancelable = 1;

        ngx_add_timer(ev, NGX_HTTP_JELOU_QUEUE_ASK);
    }
}


/* When nobody has read a page for a while, nobody is asked. */

static void
ngx_http_jelou_queue_ask_handler(ngx_event_t *ev)
{
    if (ngx_time() - (time_t) ngx_http_jelou_queue_sh->read
        <= NGX_HTTP_JELOU_QUEUE_READ)
    {
        ngx_http_jelou_queue_ask((ngx_cycle_t *) ngx_cycle);
    }
}


static void
ngx_http_jelou_queue_ask_stream(ngx_cycle_t *cycle, ngx_uint_t n)
{
    u_char                         *p;
    ngx_http_jelou_queue_ask_t     *ask;
    ngx_http_jelou_queue_names_t    names;
    ngx_http_jelou_queue_stream_t  *row;
    ngx_http_jelou_redis_target_t  *target;

    row = &ngx_http_jelou_queue_sh->streams[n];

    ask = ngx_calloc(sizeof(ngx_http_jelou_queue_ask_t), cycle->log);
    if (ask == NULL) {
        return;
    }

    ask->row = n;

    ngx_shmtx_lock(&ngx_http_jelou_queue_pool->mutex);

    ask->hash = row->hash;
    names = row->names;

    p = ngx_cpymem(ask->text, names.queue.data, names.queue.len);
    ngx_memcpy(p, names.stream.data, names.stream.len);

    ngx_shmtx_unlock(&ngx_http_jelou_queue_pool->mutex);

    names.queue.data = ask->text;
    names.stream.data = p;

    target = ngx_http_jelou_queue_target(cycle, &names);

    if (target == NULL) {
        ngx_free(ask);
        return;
    }

    ngx_http_jelou_queue_command(ask, &names);

    ask->cmd.handler = ngx_http_jelou_queue_replied;
    ask->cmd.data = ask;
    ask->cmd.tree = 1;

    if (ngx_http_jelou_redis_send(target, &ask->cmd) != NGX_OK) {
        ngx_free(ask);
    }
}


/* The connections of a delivery, if there is one, or else those of events. */

static ngx_http_jelou_redis_target_t *
ngx_http_jelou_queue_target(ngx_cycle_t *cycle,
    ngx_http_jelou_queue_names_t *names)
{
    ngx_str_t                            *name;
    ngx_uint_t                            i, j;
    ngx_http_jelou_deliver_loc_conf_t   **location;
    ngx_http_jelou_deliver_main_conf_t   *dmcf;

    dmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_jelou_deliver_module);

    location = dmcf->locations.elts;

    for (i = 0; i < dmcf->locations.nelts; i++) {

        if (!ngx_http_jelou_queue_same(location[i]->upstream, &names->queue)) {
            continue;
        }

        name = location[i]->streams.elts;

        for (j = 0; j < location[i]->streams.nelts; j++) {

            if (ngx_http_jelou_same(&name[j], &names->stream)) {
                return ngx_http_jelou_redis_target(&location[i]->settings,
                                                   location[i]->upstream);
            }
        }
    }

    return ngx_http_jelou_queue_pass_target(cycle, names);
}


static ngx_http_jelou_redis_target_t *
ngx_http_jelou_queue_pass_target(ngx_cycle_t *cycle,
    ngx_http_jelou_queue_names_t *names)
{
    ngx_uint_t                          i;
    ngx_http_upstream_srv_conf_t       *uscf;
    ngx_http_jelou_redis_loc_conf_t   **pass;
    ngx_http_jelou_redis_main_conf_t   *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_jelou_redis_module);

    pass = rmcf->passes.elts;

    for (i = 0; i < rmcf->passes.nelts; i++) {

        if (pass[i]->stream == NULL
            || (pass[i]->stream->lengths == NULL
                && !ngx_http_jelou_same(&pass[i]->stream->value,
                                        &names->stream)))
        {
            continue;
        }

        uscf = pass[i]->upstream;

        if (uscf == NULL && pass[i]->pass) {
            uscf = ngx_http_jelou_redis_group(pass[i]->settings,
                                              &names->queue);
        }

        if (uscf && ngx_http_jelou_queue_same(uscf, &names->queue)) {
            return ngx_http_jelou_redis_target(pass[i]->settings, uscf);
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_jelou_queue_same(ngx_http_upstream_srv_conf_t *uscf, ngx_str_t *name)
{
    u_char     buf[NGX_HTTP_JELOU_QUEUE_NAME_LEN];
    ngx_str_t  own;

    ngx_http_jelou_queue_name(uscf, &own, buf);

    return ngx_http_jelou_same(&own, name);
}


/* All keys are in one slot of a cluster. */

static void
ngx_http_jelou_queue_command(ngx_http_jelou_queue_ask_t *ask,
    ngx_http_jelou_queue_names_t *names)
{
    ngx_str_t                         count, nkeys;
    ngx_uint_t                        n;
    ngx_http_jelou_redis_piece_t     *p;
    ngx_http_jelou_queue_delivery_t  *d;

    static ngx_str_t  eval = ngx_string("EVAL");
    static ngx_str_t  lua = ngx_string(ngx_http_jelou_queue_lua);

    p = &ask->pieces[NGX_HTTP_JELOU_QUEUE_FIXED];

    for (d = ngx_http_jelou_queue_sh->deliveries; d; d = d->next) {

        if (ngx_http_jelou_same(&d->names.queue, &names->queue)
            && ngx_http_jelou_same(&d->names.stream, &names->stream))
        {
            ask->deliveries[ask->ndeliveries++] = d;
            p = ngx_http_jelou_redis_piece(p, &d->names.hash, 0);
        }
    }

    n = p - ask->pieces;

    count.data = ask->count;
    count.len = ngx_sprintf(ask->count, "*%ui" CRLF, n - 1) - ask->count;

    nkeys.data = ask->nkeys;
    nkeys.len = ngx_sprintf(ask->nkeys, "%ui", 1 + ask->ndeliveries)
                - ask->nkeys;

    p = ngx_http_jelou_redis_piece(ask->pieces, &count, 1);
    p = ngx_http_jelou_redis_piece(p, &eval, 0);
    p = ngx_http_jelou_redis_piece(p, &lua, 0);
    p = ngx_http_jelou_redis_piece(p, &nkeys, 0);
    (void) ngx_http_jelou_redis_piece(p, &names->stream, 0);

    ask->cmd.pieces = ask->pieces;
    ask->cmd.npieces = n;
    ask->cmd.key = names->stream;
}


/* Without a reply nothing is known any more. */

static ngx_int_t
ngx_http_jelou_queue_replied(ngx_http_jelou_redis_cmd_t *cmd,
    ngx_http_jelou_redis_result_e result, ngx_http_jelou_redis_reply_t *reply)
{
    ngx_uint_t                      i;
    redisReply                     *tree;
    ngx_http_jelou_queue_ask_t     *ask;
    ngx_http_jelou_queue_stream_t  *row;

    ask = cmd->data;
    row = &ngx_http_jelou_queue_sh->streams[ask->row];
    tree = result == NGX_HTTP_JELOU_REDIS_REPLIED ? reply->tree : NULL;

    ngx_shmtx_lock(&ngx_http_jelou_queue_pool->mutex);

    if (tree && tree->type == REDIS_REPLY_ARRAY && tree->elements == 3
        && tree->element[0]->type == REDIS_REPLY_INTEGER
        && tree->element[1]->type == REDIS_REPLY_ARRAY
        && tree->element[2]->type == REDIS_REPLY_ARRAY)
    {
        if (row->hash == ask->hash) {
            ngx_http_jelou_queue_told(ask, tree);
        }

    } else {
        row->answered = 0;

        for (i = 0; i < ask->ndeliveries; i++) {
            ask->deliveries[i]->answered = 0;
        }
    }

    ngx_shmtx_unlock(&ngx_http_jelou_queue_pool->mutex);

    ngx_free(ask);

    return NGX_OK;
}


static void
ngx_http_jelou_queue_told(ngx_http_jelou_queue_ask_t *ask, redisReply *tree)
{
    ngx_uint_t                      i;
    redisReply                     *list;
    ngx_http_jelou_queue_stream_t  *row;

    row = &ngx_http_jelou_queue_sh->streams[ask->row];

    row->length = (ngx_uint_t) tree->element[0]->integer;
    row->answered = ngx_current_msec;

    ngx_http_jelou_queue_told_groups(ask->row + 1, tree->element[1]);

    list = tree->element[2];

    for (i = 0; i < list->elements && i < ask->ndeliveries; i++) {
        ngx_http_jelou_queue_told_delivery(ask->deliveries[i],
                                           list->element[i]);
    }
}


/* The groups of a stream take the place of those that it had. */

static void
ngx_http_jelou_queue_told_groups(ngx_uint_t n, redisReply *groups)
{
    ngx_str_t                      name;
    ngx_uint_t                     i, next;
    redisReply                    *g;
    ngx_http_jelou_queue_group_t  *row;

    ngx_http_jelou_queue_groups_free(n);

    row = ngx_http_jelou_queue_sh->groups;
    next = 0;

    for (i = 0; i < groups->elements; i++) {
        g = groups->element[i];

        if (g->type != REDIS_REPLY_ARRAY || g->elements != 4
            || g->element[0]->type != REDIS_REPLY_STRING
            || g->element[1]->type != REDIS_REPLY_INTEGER
            || g->element[2]->type != REDIS_REPLY_INTEGER
            || g->element[3]->type != REDIS_REPLY_INTEGER
            || g->element[0]->len > NGX_HTTP_JELOU_QUEUE_TEXT)
        {
            continue;
        }

        while (next < NGX_HTTP_JELOU_QUEUE_ROWS && row[next].stream) {
            next++;
        }

        if (next == NGX_HTTP_JELOU_QUEUE_ROWS) {
            return;
        }

        name.len = g->element[0]->len;
        name.data = ngx_slab_alloc_locked(ngx_http_jelou_queue_pool,
                                          name.len + 1);
        if (name.data == NULL) {
            return;
        }

        ngx_memcpy(name.data, g->element[0]->str, name.len);

        row[next].name = name;
        row[next].pending = (ngx_uint_t) g->element[1]->integer;
        row[next].lag = (ngx_int_t) g->element[2]->integer;
        row[next].oldest = g->element[3]->integer;
        row[next].stream = n;
    }
}


/* "host:pid:random": the last part is of no use to people. */

static void
ngx_http_jelou_queue_told_delivery(ngx_http_jelou_queue_delivery_t *row,
    redisReply *told)
{
    size_t  len;
    u_char  *owner;

    if (told->type != REDIS_REPLY_ARRAY || told->elements != 2
        || told->element[0]->type != REDIS_REPLY_STRING
        || told->element[1]->type != REDIS_REPLY_INTEGER)
    {
        row->answered = 0;
        return;
    }

    owner = (u_char *) told->element[0]->str;
    len = told->element[0]->len;

    while (len && owner[len - 1] != ':') {
        len--;
    }

    len = len ? len - 1 : 0;
    len = ngx_min(len, sizeof(row->text));

    ngx_memcpy(row->text, owner, len);

    row->owner.len = len;
    row->paused = (told->element[1]->integer != 0);
    row->answered = ngx_current_msec;
}
