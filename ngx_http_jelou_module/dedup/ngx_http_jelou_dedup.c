
/*
 * Message ids seen, in shared memory.
 */


#include "ngx_http_jelou_dedup.h"


/*
 * An entry begins in the last bytes of its rbtree node, and has 128 bytes in
 * all: the next size of nginx's slabs would be 256.  The node's key is the
 * first bytes of the entry's.
 */

#define NGX_HTTP_JELOU_KEY_REST                                               \
    (NGX_HTTP_JELOU_KEY_LEN - sizeof(ngx_rbtree_key_t))

/*
 * An entry that has been in progress for so many seconds may be that of a dead
 * worker: one is asked for, at a system call's cost.
 */

#define NGX_HTTP_JELOU_SUSPECT   2

/* how many of them are given back when the zone's counts are asked for */

#define NGX_HTTP_JELOU_REAP      1000

/* how many are looked at that turn out to be alive */

#define NGX_HTTP_JELOU_LOOKS     32

#define NGX_HTTP_JELOU_FLYING    0
#define NGX_HTTP_JELOU_LANDED    1


typedef struct {
    u_char                        color;
    u_char                        state;
    u_char                        spare[2];
    uint32_t                      expires;   /* seconds since the epoch */
    ngx_queue_t                   queue;
    u_char                        key[NGX_HTTP_JELOU_KEY_REST];
    u_char                        body[NGX_HTTP_JELOU_KEY_LEN];

    union {
        ngx_pid_t                 pid;       /* while it is in progress */
        u_char                    random[NGX_HTTP_JELOU_RANDOM_LEN];
    } u;
} ngx_http_jelou_entry_t;


#define ngx_http_jelou_entry_size                                             \
    (offsetof(ngx_rbtree_node_t, color) + sizeof(ngx_http_jelou_entry_t))

#define ngx_http_jelou_entry(node)                                            \
    ((ngx_http_jelou_entry_t *) &(node)->color)

#define ngx_http_jelou_node(entry)                                            \
    ((ngx_rbtree_node_t *)                                                    \
        ((u_char *) (entry) - offsetof(ngx_rbtree_node_t, color)))


static ngx_uint_t ngx_http_jelou_dedup_capacity(ngx_slab_pool_t *shpool);
static void ngx_http_jelou_dedup_insert_value(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_http_jelou_entry_t *ngx_http_jelou_dedup_lookup(
    ngx_http_jelou_dedup_zone_t *zone, u_char *key);
static ngx_http_jelou_entry_t *ngx_http_jelou_dedup_own(
    ngx_http_jelou_attempt_t *attempt);
static ngx_http_jelou_dedup_e ngx_http_jelou_dedup_found(
    ngx_http_jelou_entry_t *entry, u_char *body, u_char *random);
static ngx_uint_t ngx_http_jelou_dedup_expired(ngx_http_jelou_entry_t *entry,
    time_t now);
static ngx_http_jelou_entry_t *ngx_http_jelou_dedup_insert(
    ngx_http_jelou_dedup_zone_t *zone, u_char *key, u_char *body, time_t now);
static ngx_http_jelou_entry_t *ngx_http_jelou_dedup_alloc(
    ngx_http_jelou_dedup_zone_t *zone, time_t now);
static void ngx_http_jelou_dedup_reap(ngx_http_jelou_dedup_zone_t *zone,
    ngx_queue_t *queue, time_t now, ngx_uint_t max);
static void ngx_http_jelou_dedup_remove(ngx_http_jelou_dedup_zone_t *zone,
    ngx_http_jelou_entry_t *entry);
static ngx_rbtree_key_t ngx_http_jelou_dedup_node_key(u_char *key);


ngx_uint_t  ngx_http_jelou_dedup_tag;


ngx_int_t
ngx_http_jelou_dedup_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_jelou_dedup_zone_t  *old = data;

    ngx_http_jelou_dedup_zone_t  *zone;

    zone = shm_zone->data;

    if (old) {
        zone->sh = old->sh;
        zone->shpool = old->shpool;
        zone->capacity = old->capacity;
        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;
        zone->capacity = zone->sh->entries
                         + ngx_http_jelou_dedup_capacity(zone->shpool);
        return NGX_OK;
    }

    zone->sh = ngx_slab_calloc(zone->shpool,
                               sizeof(ngx_http_jelou_dedup_sh_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    zone->shpool->data = zone->sh;

    ngx_rbtree_init(&zone->sh->rbtree, &zone->sh->sentinel,
                    ngx_http_jelou_dedup_insert_value);
    ngx_queue_init(&zone->sh->done);
    ngx_queue_init(&zone->sh->pending);

    /* a full zone is no error: the oldest entry goes */

    zone->shpool->log_nomem = 0;

    zone->capacity = ngx_http_jelou_dedup_capacity(zone->shpool);

    return NGX_OK;
}


/*
 * What the slab still has room for: it halves a page until the parts are just
 * large enough, and one page may have free parts already.
 */

static ngx_uint_t
ngx_http_jelou_dedup_capacity(ngx_slab_pool_t *shpool)
{
    ngx_uint_t        slot;
    ngx_slab_stat_t  *stat;

    slot = 0;

    while (shpool->min_size << slot < ngx_http_jelou_entry_size) {
        slot++;
    }

    stat = &shpool->stats[slot];

    return shpool->pfree * (ngx_pagesize / (shpool->min_size << slot))
           + stat->total - stat->used;
}


ngx_http_jelou_dedup_e
ngx_http_jelou_dedup_begin(ngx_http_jelou_dedup_zone_t *zone,
    ngx_http_jelou_attempt_t *attempt, u_char *key, u_char *body,
    u_char *random, ngx_log_t *log)
{
    time_t                   now;
    ngx_uint_t               full;
    ngx_http_jelou_dedup_e   found;
    ngx_http_jelou_entry_t  *entry;

    now = ngx_time();
    full = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    entry = ngx_http_jelou_dedup_lookup(zone, key);

    if (entry && ngx_http_jelou_dedup_expired(entry, now)) {
        ngx_http_jelou_dedup_remove(zone, entry);
        entry = NULL;
    }

    if (entry) {
        found = ngx_http_jelou_dedup_found(entry, body, random);
        goto done;
    }

    entry = ngx_http_jelou_dedup_insert(zone, key, body, now);

    if (entry == NULL) {
        found = NGX_HTTP_JELOU_DEDUP_FULL;
        full = (zone->sh->logged != now);
        zone->sh->logged = now;
        goto done;
    }

    found = NGX_HTTP_JELOU_DEDUP_NEW;

    attempt->zone = zone;
    attempt->expires = entry->expires;
    ngx_memcpy(attempt->key, key, NGX_HTTP_JELOU_KEY_LEN);

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (full) {

        /* once a second: whoever fills the zone shall not fill the log */

        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "jelou: the zone \"%V\" is full of messages in flight",
                      &zone->name);
    }

    return found;
}


static ngx_http_jelou_dedup_e
ngx_http_jelou_dedup_found(ngx_http_jelou_entry_t *entry, u_char *body,
    u_char *random)
{
    if (ngx_memcmp(entry->body, body, NGX_HTTP_JELOU_KEY_LEN) != 0) {
        return NGX_HTTP_JELOU_DEDUP_REUSED;
    }

    if (entry->state == NGX_HTTP_JELOU_FLYING) {
        return NGX_HTTP_JELOU_DEDUP_IN_PROGRESS;
    }

    ngx_memcpy(random, entry->u.random, NGX_HTTP_JELOU_RANDOM_LEN);

    return NGX_HTTP_JELOU_DEDUP_DONE;
}


void
ngx_http_jelou_dedup_done(ngx_http_jelou_attempt_t *attempt, u_char *random)
{
    ngx_http_jelou_entry_t       *entry;
    ngx_http_jelou_dedup_zone_t  *zone;

    zone = attempt->zone;

    if (zone == NULL) {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    entry = ngx_http_jelou_dedup_own(attempt);

    if (entry) {
        entry->state = NGX_HTTP_JELOU_LANDED;
        entry->expires = (uint32_t) ngx_min(ngx_time() + zone->ttl,
                                            (time_t) NGX_MAX_UINT32_VALUE);
        ngx_memcpy(entry->u.random, random, NGX_HTTP_JELOU_RANDOM_LEN);

        ngx_queue_remove(&entry->queue);
        ngx_queue_insert_head(&zone->sh->done, &entry->queue);

        zone->sh->in_flight--;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    attempt->zone = NULL;
}


void
ngx_http_jelou_dedup_cancel(ngx_http_jelou_attempt_t *attempt)
{
    ngx_http_jelou_entry_t       *entry;
    ngx_http_jelou_dedup_zone_t  *zone;

    zone = attempt->zone;

    if (zone == NULL) {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    entry = ngx_http_jelou_dedup_own(attempt);

    if (entry) {
        ngx_http_jelou_dedup_remove(zone, entry);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    attempt->zone = NULL;
}


/* The entry of an attempt, unless it has expired and somebody else has it. */

static ngx_http_jelou_entry_t *
ngx_http_jelou_dedup_own(ngx_http_jelou_attempt_t *attempt)
{
    ngx_http_jelou_entry_t  *entry;

    entry = ngx_http_jelou_dedup_lookup(attempt->zone, attempt->key);

    if (entry == NULL || entry->state != NGX_HTTP_JELOU_FLYING
        || entry->u.pid != ngx_pid
        || (time_t) entry->expires != attempt->expires)
    {
        return NULL;
    }

    return entry;
}


/*
 * A worker that was killed leaves its entries in progress.  They end with its
 * process, which the master has reaped, or after a bounded time.
 */

static ngx_uint_t
ngx_http_jelou_dedup_expired(ngx_http_jelou_entry_t *entry, time_t now)
{
    if ((time_t) entry->expires <= now) {
        return 1;
    }

    return entry->state == NGX_HTTP_JELOU_FLYING
           && entry->u.pid != ngx_pid
           && kill(entry->u.pid, 0) == -1
           && ngx_errno == NGX_ESRCH;
}


static ngx_http_jelou_entry_t *
ngx_http_jelou_dedup_lookup(ngx_http_jelou_dedup_zone_t *zone, u_char *key)
{
    ngx_int_t                rc;
    ngx_rbtree_key_t         node_key;
    ngx_rbtree_node_t       *node, *sentinel;
    ngx_http_jelou_entry_t  *entry;

    node_key = ngx_http_jelou_dedup_node_key(key);

    node = zone->sh->rbtree.root;
    sentinel = zone->sh->rbtree.sentinel;

    while (node != sentinel) {

        if (node_key != node->key) {
            node = (node_key < node->key) ? node->left : node->right;
            continue;
        }

        entry = ngx_http_jelou_entry(node);

        rc = ngx_memcmp(key + sizeof(ngx_rbtree_key_t), entry->key,
                        NGX_HTTP_JELOU_KEY_REST);

        if (rc == 0) {
            return entry;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_http_jelou_dedup_insert_value(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    ngx_uint_t           less;
    ngx_rbtree_node_t  **p;

    for ( ;; ) {

        if (node->key != temp->key) {
            less = node->key < temp->key;

        } else {
            less = ngx_memcmp(ngx_http_jelou_entry(node)->key,
                              ngx_http_jelou_entry(temp)->key,
                              NGX_HTTP_JELOU_KEY_REST)
                   < 0;
        }

        p = less ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_http_jelou_entry_t *
ngx_http_jelou_dedup_insert(ngx_http_jelou_dedup_zone_t *zone, u_char *key,
    u_char *body, time_t now)
{
    ngx_rbtree_node_t       *node;
    ngx_http_jelou_entry_t  *entry;

    entry = ngx_http_jelou_dedup_alloc(zone, now);
    if (entry == NULL) {
        return NULL;
    }

    node = ngx_http_jelou_node(entry);
    node->key = ngx_http_jelou_dedup_node_key(key);

    entry->state = NGX_HTTP_JELOU_FLYING;
    entry->expires = (uint32_t) (now + NGX_HTTP_JELOU_FLIGHT_TIME);
    entry->u.pid = ngx_pid;

    ngx_memcpy(entry->key, key + sizeof(ngx_rbtree_key_t),
               NGX_HTTP_JELOU_KEY_REST);
    ngx_memcpy(entry->body, body, NGX_HTTP_JELOU_KEY_LEN);

    ngx_rbtree_insert(&zone->sh->rbtree, node);
    ngx_queue_insert_head(&zone->sh->pending, &entry->queue);

    zone->sh->entries++;
    zone->sh->in_flight++;

    return entry;
}


/*
 * Takes memory from what has expired if that is easily found, from the slab,
 * or from the oldest that is done; never from one whose worker lives and whose
 * time is not over.
 */

static ngx_http_jelou_entry_t *
ngx_http_jelou_dedup_alloc(ngx_http_jelou_dedup_zone_t *zone, time_t now)
{
    ngx_queue_t                *q;
    ngx_rbtree_node_t          *node;
    ngx_http_jelou_entry_t     *entry;
    ngx_http_jelou_dedup_sh_t  *sh;

    sh = zone->sh;

    ngx_http_jelou_dedup_reap(zone, &sh->done, now, 2);
    ngx_http_jelou_dedup_reap(zone, &sh->pending, now, 2);

    node = ngx_slab_alloc_locked(zone->shpool, ngx_http_jelou_entry_size);

    if (node == NULL && !ngx_queue_empty(&sh->done)) {
        q = ngx_queue_last(&sh->done);
        entry = ngx_queue_data(q, ngx_http_jelou_entry_t, queue);

        ngx_http_jelou_dedup_remove(zone, entry);
        sh->evictions++;

        node = ngx_slab_alloc_locked(zone->shpool, ngx_http_jelou_entry_size);
    }

    return node ? ngx_http_jelou_entry(node) : NULL;
}


/*
 * Removes up to max of the oldest entries of a queue that have expired.  Those
 * in progress are by age as well, but not by worker: before one whose worker is
 * dead there may be some that are delivered slowly.  For a row of entries of
 * one worker that is alive, the system is asked once.
 */

static void
ngx_http_jelou_dedup_reap(ngx_http_jelou_dedup_zone_t *zone,
    ngx_queue_t *queue, time_t now, ngx_uint_t max)
{
    ngx_pid_t                alive;
    ngx_uint_t               looks;
    ngx_queue_t             *q, *prev;
    ngx_http_jelou_entry_t  *entry;

    alive = ngx_pid;

    for (q = ngx_queue_last(queue), looks = max + NGX_HTTP_JELOU_LOOKS;
         q != ngx_queue_sentinel(queue) && max && looks;
         q = prev, looks--)
    {
        prev = ngx_queue_prev(q);
        entry = ngx_queue_data(q, ngx_http_jelou_entry_t, queue);

        if (entry->state == NGX_HTTP_JELOU_FLYING) {

            if ((time_t) entry->expires - NGX_HTTP_JELOU_FLIGHT_TIME
                + NGX_HTTP_JELOU_SUSPECT > now)
            {
                return;
            }

            if (entry->u.pid == alive && (time_t) entry->expires > now) {
                continue;
            }
        }

        if (ngx_http_jelou_dedup_expired(entry, now)) {
            ngx_http_jelou_dedup_remove(zone, entry);
            max--;
            continue;
        }

        if (entry->state != NGX_HTTP_JELOU_FLYING) {
            return;
        }

        alive = entry->u.pid;
    }
}


void
ngx_http_jelou_dedup_counts(ngx_http_jelou_dedup_zone_t *zone,
    ngx_http_jelou_dedup_counts_t *counts)
{
    time_t  now;

    now = ngx_time();

    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_http_jelou_dedup_reap(zone, &zone->sh->pending, now,
                              NGX_HTTP_JELOU_REAP);

    counts->entries = zone->sh->entries;
    counts->in_flight = zone->sh->in_flight;
    counts->evictions = zone->sh->evictions;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static void
ngx_http_jelou_dedup_remove(ngx_http_jelou_dedup_zone_t *zone,
    ngx_http_jelou_entry_t *entry)
{
    ngx_rbtree_node_t  *node;

    node = ngx_http_jelou_node(entry);

    if (entry->state == NGX_HTTP_JELOU_FLYING) {
        zone->sh->in_flight--;
    }

    zone->sh->entries--;

    ngx_queue_remove(&entry->queue);
    ngx_rbtree_delete(&zone->sh->rbtree, node);
    ngx_slab_free_locked(zone->shpool, node);
}


static ngx_rbtree_key_t
ngx_http_jelou_dedup_node_key(u_char *key)
{
    ngx_rbtree_key_t  node_key;

    ngx_memcpy(&node_key, key, sizeof(ngx_rbtree_key_t));

    return node_key;
}
