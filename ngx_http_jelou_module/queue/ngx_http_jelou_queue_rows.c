
/*
 * Rows of streams and deliveries, in shared memory, found by their names.
 *
 * A stream's row is found without a lock: its hash is written last.  Names are
 * read with the lock of the zone, for a stream that nobody has used for long
 * gives its row to another one.
 */


#include "ngx_http_jelou_queue_status.h"


static ngx_http_jelou_queue_stream_t *ngx_http_jelou_queue_find(
    ngx_atomic_uint_t hash);
static void ngx_http_jelou_queue_insert(ngx_atomic_uint_t hash,
    ngx_http_upstream_srv_conf_t *uscf, ngx_str_t *stream);
static void ngx_http_jelou_queue_seen_delivery(
    ngx_http_jelou_deliver_loc_conf_t *conf, ngx_str_t *stream);
static ngx_http_jelou_queue_delivery_t *ngx_http_jelou_queue_delivery_row(
    ngx_http_jelou_queue_names_t *names);
static ngx_uint_t ngx_http_jelou_queue_is(
    ngx_http_jelou_queue_names_t *one, ngx_http_jelou_queue_names_t *two);
static u_char *ngx_http_jelou_queue_copy(u_char *p, ngx_str_t *to,
    ngx_str_t *from);


/* An address has its port, an upstream has none. */

void
ngx_http_jelou_queue_name(ngx_http_upstream_srv_conf_t *uscf,
    ngx_str_t *name, u_char *buf)
{
    u_char  *last;

    last = buf + NGX_HTTP_JELOU_QUEUE_NAME_LEN;

    name->data = buf;

    if (uscf->port) {
        name->len = ngx_slprintf(buf, last, "%V:%d", &uscf->host,
                                 (int) uscf->port)
                    - buf;
        return;
    }

    name->len = ngx_slprintf(buf, last, "%V", &uscf->host) - buf;
}


void
ngx_http_jelou_queue_seen(ngx_http_upstream_srv_conf_t *uscf,
    ngx_str_t *stream)
{
    ngx_atomic_uint_t               hash;
    ngx_http_jelou_queue_stream_t  *row;

    hash = (ngx_atomic_uint_t) ngx_murmur_hash2(stream->data, stream->len)
           << (sizeof(ngx_atomic_uint_t) * 4);
    hash ^= ngx_murmur_hash2(uscf->host.data, uscf->host.len) + uscf->port;
    hash = hash ? hash : 1;

    row = ngx_http_jelou_queue_find(hash);

    if (row && row->hash == hash) {

        if (row->seen != (ngx_atomic_uint_t) ngx_time()) {
            row->seen = ngx_time();
        }

        return;
    }

    if (row) {
        ngx_http_jelou_queue_insert(hash, uscf, stream);
        return;
    }

    ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_UNLISTED);
}


/* Its row, or one that is to be had, or NULL. */

static ngx_http_jelou_queue_stream_t *
ngx_http_jelou_queue_find(ngx_atomic_uint_t hash)
{
    time_t                          now;
    ngx_uint_t                      i, n;
    ngx_http_jelou_queue_stream_t  *row, *old;

    n = hash % NGX_HTTP_JELOU_QUEUE_ROWS;
    now = ngx_time();
    old = NULL;

    for (i = 0; i < NGX_HTTP_JELOU_QUEUE_ROWS; i++) {
        row = &ngx_http_jelou_queue_sh->streams[n];

        if (row->hash == hash || row->hash == 0) {
            return row;
        }

        if (old == NULL
            && now - (time_t) row->seen > NGX_HTTP_JELOU_QUEUE_SHOWN)
        {
            old = row;
        }

        n = (n + 1) % NGX_HTTP_JELOU_QUEUE_ROWS;
    }

    return old;
}


static void
ngx_http_jelou_queue_insert(ngx_atomic_uint_t hash,
    ngx_http_upstream_srv_conf_t *uscf, ngx_str_t *stream)
{
    u_char                          buf[NGX_HTTP_JELOU_QUEUE_NAME_LEN], *p;
    ngx_str_t                       queue;
    ngx_http_jelou_queue_stream_t  *row;

    ngx_http_jelou_queue_name(uscf, &queue, buf);

    p = NULL;

    ngx_shmtx_lock(&ngx_http_jelou_queue_pool->mutex);

    row = ngx_http_jelou_queue_find(hash);

    if (row && row->hash == hash) {

        /* another worker was first */

        ngx_shmtx_unlock(&ngx_http_jelou_queue_pool->mutex);
        return;
    }

    if (row && queue.len + stream->len <= NGX_HTTP_JELOU_QUEUE_TEXT) {
        p = ngx_slab_alloc_locked(ngx_http_jelou_queue_pool,
                                  queue.len + stream->len + 1);
    }

    if (p) {

        if (row->hash) {
            ngx_http_jelou_queue_groups_free(
                                 row - ngx_http_jelou_queue_sh->streams + 1);
            ngx_slab_free_locked(ngx_http_jelou_queue_pool,
                                 row->names.queue.data);
        }

        p = ngx_http_jelou_queue_copy(p, &row->names.queue, &queue);
        (void) ngx_http_jelou_queue_copy(p, &row->names.stream, stream);

        row->answered = 0;
        row->seen = ngx_time();

        ngx_memory_barrier();

        row->hash = hash;
    }

    ngx_shmtx_unlock(&ngx_http_jelou_queue_pool->mutex);

    if (p == NULL) {
        ngx_http_jelou_queue_count(NGX_HTTP_JELOU_QUEUE_UNLISTED);
    }
}


void
ngx_http_jelou_queue_groups_free(ngx_uint_t stream)
{
    ngx_uint_t                     i;
    ngx_http_jelou_queue_group_t  *group;

    group = ngx_http_jelou_queue_sh->groups;

    for (i = 0; i < NGX_HTTP_JELOU_QUEUE_ROWS; i++) {

        if (group[i].stream == stream) {
            group[i].stream = 0;
            ngx_slab_free_locked(ngx_http_jelou_queue_pool,
                                 group[i].name.data);
        }
    }
}


ngx_http_jelou_queue_delivery_t *
ngx_http_jelou_queue_delivery(ngx_http_jelou_deliver_stream_t *s)
{
    u_char                            buf[NGX_HTTP_JELOU_QUEUE_NAME_LEN];
    ngx_http_jelou_queue_names_t      names;
    ngx_http_jelou_queue_delivery_t  *row;

    if (ngx_http_jelou_queue_sh == NULL) {
        return NULL;
    }

    ngx_http_jelou_queue_name(s->conf->upstream, &names.queue, buf);
    names.stream = s->name;
    names.group = s->conf->group;
    names.hash = s->hash;

    ngx_shmtx_lock(&ngx_http_jelou_queue_pool->mutex);

    row = ngx_http_jelou_queue_delivery_row(&names);

    ngx_shmtx_unlock(&ngx_http_jelou_queue_pool->mutex);

    if (row) {
        row->leased = ngx_http_jelou_deliver_leased(s);
        row->seen = ngx_time();
    }

    return row;
}


/* Workers keep the address of a row: it is never freed. */

static ngx_http_jelou_queue_delivery_t *
ngx_http_jelou_queue_delivery_row(ngx_http_jelou_queue_names_t *names)
{
    u_char                            *p;
    size_t                             len;
    ngx_http_jelou_queue_sh_t         *sh;
    ngx_http_jelou_queue_delivery_t   *row, **last;

    sh = ngx_http_jelou_queue_sh;

    for (last = &sh->deliveries; *last; last = &(*last)->next) {
        if (ngx_http_jelou_queue_is(&(*last)->names, names)) {
            return *last;
        }
    }

    len = names->queue.len + names->stream.len + names->group.len
          + names->hash.len;

    if (len > NGX_HTTP_JELOU_QUEUE_TEXT
        || sh->ndeliveries == NGX_HTTP_JELOU_QUEUE_ROWS)
    {
        return NULL;
    }

    row = ngx_slab_calloc_locked(ngx_http_jelou_queue_pool,
                          sizeof(ngx_http_jelou_queue_delivery_t) + len);
    if (row == NULL) {
        return NULL;
    }

    p = (u_char *) row + sizeof(ngx_http_jelou_queue_delivery_t);
    p = ngx_http_jelou_queue_copy(p, &row->names.queue, &names->queue);
    p = ngx_http_jelou_queue_copy(p, &row->names.stream, &names->stream);
    p = ngx_http_jelou_queue_copy(p, &row->names.group, &names->group);
    (void) ngx_http_jelou_queue_copy(p, &row->names.hash, &names->hash);

    row->owner.data = row->text;

    sh->ndeliveries++;
    *last = row;

    return row;
}


static ngx_uint_t
ngx_http_jelou_queue_is(ngx_http_jelou_queue_names_t *one,
    ngx_http_jelou_queue_names_t *two)
{
    return ngx_http_jelou_same(&one->queue, &two->queue)
           && ngx_http_jelou_same(&one->stream, &two->stream)
           && ngx_http_jelou_same(&one->group, &two->group);
}


static u_char *
ngx_http_jelou_queue_copy(u_char *p, ngx_str_t *to, ngx_str_t *from)
{
    to->data = p;
    to->len = from->len;

    return ngx_cpymem(p, from->data, from->len);
}


void
ngx_http_jelou_queue_seen_all(ngx_cycle_t *cycle)
{
    ngx_str_t                            *name;
    ngx_uint_t                            i, j;
    ngx_http_jelou_redis_loc_conf_t     **pass;
    ngx_http_jelou_redis_main_conf_t     *rmcf;
    ngx_http_jelou_deliver_loc_conf_t   **location;
    ngx_http_jelou_deliver_main_conf_t   *dmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_jelou_redis_module);
    dmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_jelou_deliver_module);

    pass = rmcf->passes.elts;

    for (i = 0; i < rmcf->passes.nelts; i++) {

        if (pass[i]->upstream && pass[i]->stream
            && pass[i]->stream->lengths == NULL)
        {
            ngx_http_jelou_queue_seen(pass[i]->upstream,
                                      &pass[i]->stream->value);
        }
    }

    location = dmcf->locations.elts;

    for (i = 0; i < dmcf->locations.nelts; i++) {
        name = location[i]->streams.elts;

        for (j = 0; j < location[i]->streams.nelts; j++) {
            ngx_http_jelou_queue_seen(location[i]->upstream, &name[j]);
            ngx_http_jelou_queue_seen_delivery(location[i], &name[j]);
        }
    }
}


static void
ngx_http_jelou_queue_seen_delivery(ngx_http_jelou_deliver_loc_conf_t *conf,
    ngx_str_t *stream)
{
    u_char                            buf[NGX_HTTP_JELOU_QUEUE_NAME_LEN];
    ngx_http_jelou_queue_names_t      names;
    ngx_http_jelou_queue_delivery_t  *row;

    ngx_http_jelou_queue_name(conf->upstream, &names.queue, buf);
    names.stream = *stream;
    names.group = conf->group;

    row = ngx_http_jelou_queue_sh->deliveries;

    while (row && !ngx_http_jelou_queue_is(&row->names, &names)) {
        row = row->next;
    }

    if (row) {
        row->seen = ngx_time();
    }
}
