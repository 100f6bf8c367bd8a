
/*
 * The configuration of the queue: what its directives become.
 */


#include "ngx_http_jelou_redis_conf.h"
#include "ngx_http_jelou_queue_status.h"

#include <openssl/crypto.h>


#define NGX_HTTP_JELOU_REDIS_PENDING  4096


static char *ngx_http_jelou_redis_merge_pass(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf);
static char *ngx_http_jelou_redis_merge_dedup(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf);
static ngx_uint_t ngx_http_jelou_redis_alike(
    ngx_http_jelou_redis_loc_conf_t *one,
    ngx_http_jelou_redis_loc_conf_t *two);
static ngx_uint_t ngx_http_jelou_redis_same_secret(ngx_str_t *one,
    ngx_str_t *two);
static ngx_int_t ngx_http_jelou_redis_sentinel_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_settings_t *settings,
    ngx_http_jelou_redis_loc_conf_t *conf);
static ngx_int_t ngx_http_jelou_redis_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf,
    ngx_http_jelou_redis_loc_conf_t *conf);


void *
ngx_http_jelou_redis_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_jelou_redis_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_redis_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&conf->passes, cf->pool, 4,
                       sizeof(ngx_http_jelou_redis_loc_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


void *
ngx_http_jelou_redis_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_jelou_redis_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_redis_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->upstream = NULL;
     *     conf->pass = NULL;
     *     conf->limit = 0;
     *     conf->maxlen = 0;
     *     conf->dedup_key = NULL;
     *     conf->auth = { 0, NULL };
     *     conf->sentinel_auth = { 0, NULL };
     */

    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->read_timeout = NGX_CONF_UNSET_MSEC;
    conf->pending = NGX_CONF_UNSET;
    conf->stream = NGX_CONF_UNSET_PTR;
    conf->dedup = NGX_CONF_UNSET;
    conf->db = NGX_CONF_UNSET;

#if (NGX_HTTP_SSL)
    ngx_http_jelou_redis_ssl_unset(conf);
#endif

    return conf;
}


char *
ngx_http_jelou_redis_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_jelou_redis_loc_conf_t *prev = parent;
    ngx_http_jelou_redis_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    if (conf->stream == NGX_CONF_UNSET_PTR) {
        conf->limit = prev->limit;
        conf->maxlen = prev->maxlen;
        conf->stream_place = prev->stream_place;
    }

    ngx_conf_merge_ptr_value(conf->stream, prev->stream, NULL);

    if (conf->dedup == NGX_CONF_UNSET) {
        conf->dedup_key = prev->dedup_key;
        conf->dedup_place = prev->dedup_place;
    }

    ngx_conf_merge_sec_value(conf->dedup, prev->dedup, 0);
    ngx_conf_merge_value(conf->db, prev->db, 0);
    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout,
                              2000);
    ngx_conf_merge_msec_value(conf->read_timeout, prev->read_timeout, 5000);
    ngx_conf_merge_value(conf->pending, prev->pending,
                         NGX_HTTP_JELOU_REDIS_PENDING);

    ngx_conf_merge_str_value(conf->auth, prev->auth, "");
    ngx_conf_merge_str_value(conf->sentinel_auth, prev->sentinel_auth, "");
    ngx_conf_merge_str_value(conf->sentinel, prev->sentinel, "");

#if (NGX_HTTP_SSL)
    if (ngx_http_jelou_redis_ssl_merge(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
#endif

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    conf->resolver = clcf->resolver;
    conf->resolver_timeout = clcf->resolver_timeout;

    /* inside an "if" the location's handler is called all the same */

    if (conf->upstream == NULL && conf->pass == NULL && clcf->noname) {
        conf->upstream = prev->upstream;
        conf->pass = prev->pass;
        conf->pass_place = prev->pass_place;
    }

    if (conf->upstream == NULL && conf->pass == NULL) {
        return NGX_CONF_OK;
    }

    if (ngx_http_jelou_redis_merge_pass(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_jelou_redis_merge_dedup(cf, conf);
}


/* A location with jelou_redis_pass, and what it must have besides. */

static char *
ngx_http_jelou_redis_merge_pass(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf)
{
    const char                        *missing;
    ngx_http_jelou_loc_conf_t         *jlcf;
    ngx_http_jelou_redis_loc_conf_t  **pass;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    jlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_jelou_module);

    missing = jlcf->schema.endpoint == NULL ? "jelou_endpoint"
              : conf->stream == NULL ? "jelou_redis_stream"
              : NULL;

    if (missing) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"jelou_redis_pass\" needs a \"%s\" in %s:%ui",
                      missing, conf->pass_place.file, conf->pass_place.line);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_jelou_redis_command_fixed(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_redis_module);

    pass = ngx_array_push(&rmcf->passes);
    if (pass == NULL) {
        return NGX_CONF_ERROR;
    }

    *pass = conf;

    return NGX_CONF_OK;
}


static char *
ngx_http_jelou_redis_merge_dedup(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf)
{
    ngx_http_jelou_loc_conf_t  *jlcf;

    if (conf->dedup == 0) {
        return NGX_CONF_OK;
    }

    jlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_jelou_module);

    if (jlcf->schema.endpoint->names_message && conf->dedup_key == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"jelou_redis_dedup\" needs a \"key\" parameter for "
                      "\"jelou_endpoint %V\", whose messages have no id, "
                      "in %s:%ui",
                      &jlcf->schema.endpoint->name, conf->dedup_place.file,
                      conf->dedup_place.line);
        return NGX_CONF_ERROR;
    }

    if (conf->stream->lengths == NULL
        && ngx_http_jelou_redis_tag(&conf->stream->value) == NGX_ERROR)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "the name in \"jelou_redis_stream\" has braces that "
                      "leave it without a hash tag, which "
                      "\"jelou_redis_dedup\" needs, in %s:%ui",
                      conf->stream_place.file, conf->stream_place.line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* Locations that are alike have the same settings, and the same connections. */

ngx_int_t
ngx_http_jelou_redis_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                         i, j;
    ngx_http_jelou_redis_loc_conf_t  **pass;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_redis_module);

    pass = rmcf->passes.elts;

    for (i = 0; i < rmcf->passes.nelts; i++) {

        for (j = 0; j < i; j++) {
            if (ngx_http_jelou_redis_alike(pass[i], pass[j])) {
                pass[i]->settings = pass[j]->settings;
                break;
            }
        }

        if (j == i
            && ngx_http_jelou_redis_settings(cf, rmcf, pass[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return rmcf->passes.nelts
           ? ngx_http_jelou_status_add(cf, &ngx_http_jelou_queue_part)
           : NGX_OK;
}


static ngx_uint_t
ngx_http_jelou_redis_alike(ngx_http_jelou_redis_loc_conf_t *one,
    ngx_http_jelou_redis_loc_conf_t *two)
{
#if (NGX_HTTP_SSL)
    if (!ngx_http_jelou_redis_ssl_alike(one, two)) {
        return 0;
    }
#endif

    return one->connect_timeout == two->connect_timeout
           && one->read_timeout == two->read_timeout
           && one->pending == two->pending
           && one->db == two->db
           && one->resolver == two->resolver
           && one->resolver_timeout == two->resolver_timeout
           && one->sentinel.len == two->sentinel.len
           && ngx_strncmp(one->sentinel.data, two->sentinel.data,
                          one->sentinel.len)
              == 0
           && ngx_http_jelou_redis_same_secret(&one->auth, &two->auth)
           && ngx_http_jelou_redis_same_secret(&one->sentinel_auth,
                                               &two->sentinel_auth);
}


static ngx_uint_t
ngx_http_jelou_redis_same_secret(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && (one->len == 0
               || CRYPTO_memcmp(one->data, two->data, one->len) == 0);
}


static ngx_int_t
ngx_http_jelou_redis_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf,
    ngx_http_jelou_redis_loc_conf_t *conf)
{
    u_char                            number[NGX_INT_T_LEN];
    ngx_str_t                         words[2];
    ngx_http_jelou_redis_settings_t  *settings;

    settings = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_redis_settings_t));
    if (settings == NULL) {
        return NGX_ERROR;
    }

    settings->connect_timeout = conf->connect_timeout;
    settings->read_timeout = conf->read_timeout;
    settings->pending = conf->pending;
    settings->hello[settings->nhello++] = rmcf->load;
    settings->ctx = cf->ctx;
    settings->resolver = conf->resolver;
    settings->resolver_timeout = conf->resolver_timeout;

    ngx_queue_init(&settings->targets);
    ngx_queue_init(&settings->groups);

    conf->settings = settings;

#if (NGX_HTTP_SSL)
    if (conf->ssl
        && ngx_http_jelou_redis_ssl_settings(cf, settings, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }
#endif

    if (conf->sentinel.len
        && ngx_http_jelou_redis_sentinel_settings(cf, settings, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (conf->db) {
        ngx_str_set(&words[0], "SELECT");

        words[1].data = number;
        words[1].len = ngx_sprintf(number, "%i", conf->db) - number;

        if (ngx_http_jelou_redis_text(cf->pool,
                                      &settings->hello[settings->nhello++],
                                      2, words)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (conf->auth.len) {
        settings->hello[settings->nhello++] = conf->auth;
    }

    return NGX_OK;
}


/*
 * Sentinels have no databases and no scripts, and a user of their own: this is
 * a copy of the settings from before the servers' ones are in them.
 */

static ngx_int_t
ngx_http_jelou_redis_sentinel_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_settings_t *settings,
    ngx_http_jelou_redis_loc_conf_t *conf)
{
    ngx_str_t                         words[3];
    ngx_http_jelou_redis_settings_t  *sentinels;

    sentinels = ngx_palloc(cf->pool, sizeof(ngx_http_jelou_redis_settings_t));
    if (sentinels == NULL) {
        return NGX_ERROR;
    }

    *sentinels = *settings;

    if (conf->sentinel_auth.len) {
        sentinels->hello[sentinels->nhello++] = conf->sentinel_auth;
    }

    ngx_queue_init(&sentinels->targets);
    ngx_queue_init(&sentinels->groups);

    settings->sentinels = sentinels;

    ngx_str_set(&words[0], "PING");

    if (ngx_http_jelou_redis_text(cf->pool, &sentinels->hello[0], 1, words)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&words[0], "SENTINEL");
    ngx_str_set(&words[1], "GET-MASTER-ADDR-BY-NAME");
    words[2] = conf->sentinel;

    return ngx_http_jelou_redis_text(cf->pool, &settings->sentinel, 3, words);
}
