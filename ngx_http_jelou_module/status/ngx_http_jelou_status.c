
/*
 * Counters of all endpoints, in shared memory.
 *
 * They are words that are added to, each by itself, and never locked: a page
 * may show a request's result before its bytes, but no count is lost.
 */


#include "ngx_http_jelou_metrics.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_text.h"


/* a row is looked for in so many places, then it is one of the others */

#define NGX_HTTP_JELOU_PROBES  128


static ngx_int_t ngx_http_jelou_status_create(
    ngx_http_jelou_status_zone_t *zone, ngx_slab_pool_t *shpool);
static ngx_int_t ngx_http_jelou_status_parts(ngx_slab_pool_t *shpool,
    ngx_http_jelou_status_sh_t *sh, ngx_array_t *parts);
static ngx_int_t ngx_http_jelou_status_log(ngx_http_request_t *r);
static void ngx_http_jelou_status_count(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_jelou_status_zone_t *zone,
    ngx_uint_t endpoint, ngx_uint_t result);
static void ngx_http_jelou_status_types(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx, ngx_http_jelou_status_zone_t *zone,
    ngx_http_jelou_counters_t *c);
static void ngx_http_jelou_status_secret(ngx_http_jelou_ctx_t *ctx,
    ngx_http_jelou_status_sh_t *sh, ngx_uint_t endpoint);


/* what is left of a zone for what parts have to keep, beside their own */

#define NGX_HTTP_JELOU_LEFT    2


const uint64_t
    ngx_http_jelou_bounds[NGX_HTTP_JELOU_NTIMES][NGX_HTTP_JELOU_NBOUNDS] =
{
    /* processing: 10 us to 100 ms */

    { 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
      10000000, 25000000, 50000000, 100000000 },

    /* upstream: 1 ms to 10 s */

    { 1000000, 2500000, 5000000, 10000000, 25000000, 50000000, 100000000,
      250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000 }
};


ngx_uint_t  ngx_http_jelou_status_tag;


ngx_int_t
ngx_http_jelou_status_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_jelou_status_zone_t  *old = data;

    ngx_slab_pool_t               *shpool;
    ngx_http_jelou_status_zone_t  *zone;

    zone = shm_zone->data;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    zone->mutex = &shpool->mutex;

    if (old == NULL && !shm_zone->shm.exists) {
        return ngx_http_jelou_status_create(zone, shpool);
    }

    zone->sh = old ? old->sh : shpool->data;

    if (ngx_http_jelou_status_parts(shpool, zone->sh, zone->parts) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                      "\"jelou_status_zone\" \"%V\" has no memory left "
                      "for what this configuration adds",
                      &shm_zone->shm.name);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_status_create(ngx_http_jelou_status_zone_t *zone,
    ngx_slab_pool_t *shpool)
{
    size_t                       size;
    ngx_uint_t                   left;
    ngx_http_jelou_status_sh_t  *sh;

    size = sizeof(ngx_http_jelou_status_sh_t)
           + (ngx_http_jelou_status_endpoints() - 1)
             * sizeof(ngx_http_jelou_counters_t);

    sh = ngx_slab_calloc(shpool, size);
    if (sh == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_jelou_status_parts(shpool, sh, zone->parts) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the rest is for secrets, or what they need of it */

    left = zone->parts->nelts ? NGX_HTTP_JELOU_LEFT : 0;
    left = shpool->pfree > left ? shpool->pfree - left : 0;

    sh->nmatches = ngx_min(left * ngx_pagesize
                           / sizeof(ngx_http_jelou_match_t),
                           zone->secrets);

    sh->matches = ngx_slab_calloc(shpool, sh->nmatches
                                          * sizeof(ngx_http_jelou_match_t));
    if (sh->matches == NULL) {
        return NGX_ERROR;
    }

    sh->since = ngx_time();

    ngx_http_jelou_names_init(&sh->names);

    shpool->data = sh;
    zone->sh = sh;

    return NGX_OK;
}


/* Parts that have their memory keep it, and what was counted there. */

static ngx_int_t
ngx_http_jelou_status_parts(ngx_slab_pool_t *shpool,
    ngx_http_jelou_status_sh_t *sh, ngx_array_t *parts)
{
    ngx_uint_t                     i;
    const ngx_http_jelou_part_t  **part;

    part = parts->elts;

    for (i = 0; i < parts->nelts; i++) {

        if (sh->parts[i] == NULL) {
            sh->parts[i] = ngx_slab_calloc(shpool, part[i]->size);
        }

        if (sh->parts[i] == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_jelou_status_add(ngx_conf_t *cf, const ngx_http_jelou_part_t *part)
{
    ngx_http_jelou_main_conf_t    *jmcf;
    const ngx_http_jelou_part_t  **p;

    jmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_module);

    p = ngx_array_push(&jmcf->parts);

    if (p == NULL || jmcf->parts.nelts > NGX_HTTP_JELOU_NPARTS) {
        return NGX_ERROR;
    }

    *p = part;

    return NGX_OK;
}


void *
ngx_http_jelou_status_part(ngx_http_jelou_main_conf_t *jmcf,
    const ngx_http_jelou_part_t *part, ngx_slab_pool_t **shpool)
{
    ngx_uint_t                     i;
    const ngx_http_jelou_part_t  **p;

    if (jmcf->status_zone == NULL) {
        return NULL;
    }

    *shpool = (ngx_slab_pool_t *) jmcf->status_zone->shm.addr;

    p = jmcf->parts.elts;

    for (i = 0; p[i] != part; i++) { /* void */ }

    return ngx_http_jelou_status_sh(jmcf)->parts[i];
}


ngx_uint_t
ngx_http_jelou_status_endpoints(void)
{
    ngx_uint_t  n;

    for (n = 0; ngx_http_jelou_endpoints[n].name.len; n++) { /* void */ }

    return n;
}


uint64_t
ngx_http_jelou_status_clock(ngx_http_request_t *r)
{
    struct timespec              ts;
    ngx_http_jelou_main_conf_t  *jmcf;

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);

    if (jmcf->status_zone == NULL) {
        return 0;
    }

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


void
ngx_http_jelou_status_answered(ngx_http_request_t *r,
    ngx_http_jelou_ctx_t *ctx)
{
    if (ctx->handed && ctx->answered == 0) {
        ctx->answered = ngx_http_jelou_status_clock(r);
    }
}


/*
 * The handler is the first one of its phase: what it makes of a request that
 * has ended without an answer is in the access log as well.
 */

ngx_int_t
ngx_http_jelou_status_init(ngx_conf_t *cf)
{
    ngx_uint_t                  i;
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handlers = &cmcf->phases[NGX_HTTP_LOG_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    h = handlers->elts;

    for (i = handlers->nelts - 1; i; i--) {
        h[i] = h[i - 1];
    }

    h[0] = ngx_http_jelou_status_log;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_status_log(ngx_http_request_t *r)
{
    ngx_uint_t                     result;
    ngx_http_jelou_ctx_t          *ctx;
    ngx_http_jelou_loc_conf_t     *jlcf;
    ngx_http_jelou_main_conf_t    *jmcf;
    ngx_http_jelou_status_zone_t  *zone;

    if (r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_jelou_ctx(r);

    if (ctx) {
        ngx_http_jelou_result_conclude(r, ctx);
    }

    result = ngx_http_jelou_result(r);

    if (result == NGX_HTTP_JELOU_RESULT_NONE) {
        return NGX_OK;
    }

    jmcf = ngx_http_get_module_main_conf(r, ngx_http_jelou_module);

    if (jmcf->status_zone == NULL) {
        return NGX_OK;
    }

    jlcf = ctx ? ctx->conf
               : ngx_http_get_module_loc_conf(r, ngx_http_jelou_module);

    zone = jmcf->status_zone->data;

    ngx_http_jelou_status_count(r, ctx, zone,
                                jlcf->schema.endpoint
                                - ngx_http_jelou_endpoints,
                                result);

    return NGX_OK;
}


static void
ngx_http_jelou_status_count(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_jelou_status_zone_t *zone, ngx_uint_t endpoint, ngx_uint_t result)
{
    ngx_http_jelou_counters_t   *c;
    ngx_http_jelou_status_sh_t  *sh;

    sh = zone->sh;
    c = &sh->endpoints[endpoint];

    ngx_http_jelou_add(&c->results[result], 1);

    if (ctx == NULL || !ctx->has_body || ctx->decided == 0) {
        return;
    }

    ngx_http_jelou_add(&c->bytes[NGX_HTTP_JELOU_BYTES_BODY],
                       ctx->event.body.len);

    if (ctx->secret && sh->nmatches) {
        ngx_http_jelou_status_secret(ctx, sh, endpoint);
    }

    ngx_http_jelou_status_time(&c->times[NGX_HTTP_JELOU_TIME_PROCESSING],
                       ngx_http_jelou_bounds[NGX_HTTP_JELOU_TIME_PROCESSING],
                       ctx->decided - ctx->began);

    if (result == NGX_HTTP_JELOU_RESULT_ACCEPTED) {
        ngx_http_jelou_status_types(r, ctx, zone, c);
    }

    if (ctx->handed) {
        ngx_http_jelou_status_answered(r, ctx);

        ngx_http_jelou_add(&c->bytes[NGX_HTTP_JELOU_BYTES_EVENT],
                           ctx->forwarded.len);
        ngx_http_jelou_status_time(&c->times[NGX_HTTP_JELOU_TIME_UPSTREAM],
                       ngx_http_jelou_bounds[NGX_HTTP_JELOU_TIME_UPSTREAM],
                       ctx->answered - ctx->decided);
    }
}


/* Each type that the event has, once; of a conversation event its name. */

static void
ngx_http_jelou_status_types(ngx_http_request_t *r, ngx_http_jelou_ctx_t *ctx,
    ngx_http_jelou_status_zone_t *zone, ngx_http_jelou_counters_t *c)
{
    uint32_t                          types;
    ngx_str_t                         name;
    ngx_uint_t                        i;
    const ngx_str_t                  *known;
    const ngx_http_jelou_endpoint_t  *e;

    e = ctx->conf->schema.endpoint;

    for (i = 0, types = ctx->event.types; types; i++, types >>= 1) {
        if (types & 1) {
            ngx_http_jelou_add(&c->types[i], 1);
        }
    }

    if (ctx->event.kind != e->conversation
        || ngx_http_jelou_value_decode(r->pool,
                           &ctx->event.values[ctx->event.kind->type_slot],
                           &name)
           != NGX_OK)
    {
        return;
    }

    ngx_http_jelou_names_count(&zone->sh->names, zone->mutex, &name);

    known = ngx_http_jelou_conversations;

    for (i = 0; known[i].len; i++) {

        if (ngx_http_jelou_same(&known[i], &name)) {
            ngx_http_jelou_add(&c->types[e->nvariants + i], 1);
        }
    }
}


/* Once a row is a secret's, it stays so: nobody waits for anybody. */

static void
ngx_http_jelou_status_secret(ngx_http_jelou_ctx_t *ctx,
    ngx_http_jelou_status_sh_t *sh, ngx_uint_t endpoint)
{
    ngx_uint_t               i, row, in_file;
    ngx_atomic_uint_t        key, found;
    ngx_http_jelou_match_t  *match;

    in_file = ctx->secret->in_file && ctx->conf->secrets->directive;

    /* never 0, for places are counted from 1 */

    key = (ctx->secret->place << 1 | in_file) << 8 | endpoint;

    row = ngx_murmur_hash2((u_char *) &key, sizeof(key)) % sh->nmatches;

    for (i = 0; i < NGX_HTTP_JELOU_PROBES; i++) {
        match = &sh->matches[row];

        if (match->key == 0) {
            (void) ngx_atomic_cmp_set(&match->key, 0, key);
        }

        found = match->key;

        if (found == key) {
            ngx_http_jelou_add(&match->count, 1);
            return;
        }

        row = (row + 1) % sh->nmatches;
    }

    ngx_http_jelou_add(&sh->endpoints[endpoint].others, 1);
}


void
ngx_http_jelou_status_match(ngx_http_jelou_match_t *match,
    ngx_uint_t *endpoint, ngx_uint_t *place, ngx_uint_t *in_file)
{
    ngx_uint_t  key;

    key = match->key;

    *endpoint = key & 0xff;
    *in_file = key >> 8 & 1;
    *place = key >> 9;
}


void
ngx_http_jelou_status_time(ngx_http_jelou_histogram_t *h,
    const uint64_t *bounds, uint64_t time)
{
    ngx_uint_t  n;

    for (n = 0; n < NGX_HTTP_JELOU_NBOUNDS; n++) {
        if (time <= bounds[n]) {
            break;
        }
    }

    ngx_http_jelou_add(&h->buckets[n], 1);
    ngx_http_jelou_add(&h->sum, time);
}
