
/*
 * The directives of the queue: what each sets, and what they become.
 */


#include "ngx_http_jelou_redis_conf.h"
#include "ngx_http_jelou_queue_status.h"

#include <openssl/crypto.h>


#define NGX_HTTP_JELOU_REDIS_PENDING  4096


static char *ngx_http_jelou_redis_auth(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *rlcf, ngx_str_t *file, u_char *p,
    u_char *last);
static ngx_int_t ngx_http_jelou_redis_auth_text(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *rlcf, ngx_uint_t n, ngx_str_t *words);
static void ngx_http_jelou_redis_auth_wipe(void *data);
static ngx_uint_t ngx_http_jelou_redis_words(u_char *p, u_char *last,
    ngx_str_t *words, ngx_uint_t max);
static char *ngx_http_jelou_redis_merge_pass(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf);
static char *ngx_http_jelou_redis_merge_dedup(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf);
static ngx_uint_t ngx_http_jelou_redis_alike(
    ngx_http_jelou_redis_loc_conf_t *one,
    ngx_http_jelou_redis_loc_conf_t *two);
static ngx_int_t ngx_http_jelou_redis_sentinel_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_settings_t *settings, ngx_str_t *name);
static ngx_int_t ngx_http_jelou_redis_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_main_conf_t *rmcf,
    ngx_http_jelou_redis_loc_conf_t *conf);


char *
ngx_http_jelou_redis_set_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_str_t                         *value;
    ngx_url_t                          u;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    if (rlcf->upstream || rlcf->pass) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_script_variables_count(&value[1])) {

        rlcf->pass = ngx_http_jelou_complex_value(cf, &value[1]);
        if (rlcf->pass == NULL) {
            return NGX_CONF_ERROR;
        }

    } else {
        ngx_memzero(&u, sizeof(ngx_url_t));

        u.url = value[1];
        u.default_port = 6379;
        u.no_resolve = 1;

        rlcf->upstream = ngx_http_upstream_add(cf, &u, 0);
        if (rlcf->upstream == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_http_jelou_here(cf, &rlcf->pass_place);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_jelou_redis_handler;

    /* variables have to be asked for while the configuration is read */

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_redis_module);

    if (!rmcf->ready) {

        if (ngx_http_jelou_redis_command_init(cf, rmcf) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        rmcf->ready = 1;
    }

    return NGX_CONF_OK;
}


/* name [limit=number | maxlen=number] */

char *
ngx_http_jelou_redis_set_stream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t  *number;

    if (rlcf->stream != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "empty name in \"%V\" directive", &cmd->name);
        return NGX_CONF_ERROR;
    }

    rlcf->stream = ngx_http_jelou_complex_value(cf, &value[1]);
    if (rlcf->stream == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_http_jelou_here(cf, &rlcf->stream_place);

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    n = NGX_ERROR;
    number = NULL;

    if (ngx_strncmp(value[2].data, "limit=", 6) == 0) {
        number = &rlcf->limit;
        n = ngx_atoi(value[2].data + 6, value[2].len - 6);

    } else if (ngx_strncmp(value[2].data, "maxlen=", 7) == 0) {
        number = &rlcf->maxlen;
        n = ngx_atoi(value[2].data + 7, value[2].len - 7);
    }

    if (n != NGX_ERROR && n != 0) {
        *number = n;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\" directive",
                       &value[2], &cmd->name);

    return NGX_CONF_ERROR;
}


/* time [key=string], or off */

char *
ngx_http_jelou_redis_set_dedup(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_int_t   ttl;
    ngx_str_t  *value, key;

    if (rlcf->dedup != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rlcf->dedup = 0;
    ngx_http_jelou_here(cf, &rlcf->dedup_place);

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    ttl = ngx_parse_time(&value[1], 1);

    if (ttl == NGX_ERROR || ttl == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\" in \"%V\" directive",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    rlcf->dedup = ttl;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "key=", 4) != 0 || value[2].len == 4) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"%V\" directive",
                           &value[2], &cmd->name);
        return NGX_CONF_ERROR;
    }

    key.data = value[2].data + 4;
    key.len = value[2].len - 4;

    rlcf->dedup_key = ngx_http_jelou_complex_value(cf, &key);

    return rlcf->dedup_key ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_jelou_redis_set_auth_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    char       *rv;
    size_t      len;
    u_char     *data;
    ngx_str_t  *value;

    if (rlcf->auth_set) {
        return "is duplicate";
    }

    rlcf->auth_set = 1;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    data = ngx_http_jelou_secret_load(cf, &value[1], "jelou_redis_auth_file",
                                      &len);
    if (data == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_jelou_redis_auth(cf, rlcf, &value[1], data, data + len);

    OPENSSL_cleanse(data, len);
    ngx_free(data);

    return rv;
}


/* One line that is neither empty nor a comment: "password", or with a user. */

static char *
ngx_http_jelou_redis_auth(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *rlcf, ngx_str_t *file, u_char *p,
    u_char *last)
{
    u_char      *eol;
    ngx_str_t    words[4];
    ngx_uint_t   n, lines;

    lines = 0;
    ngx_str_set(&words[0], "AUTH");

    for ( /* void */ ; p < last; p = eol + 1) {

        eol = ngx_strlchr(p, last, '\n');

        if (eol == NULL) {
            eol = last;
        }

        n = *p == '#' ? 0 : ngx_http_jelou_redis_words(p, eol, &words[1], 3);

        if (n == 0) {
            continue;
        }

        if (n > 2 || lines++) {
            break;
        }

        if (ngx_http_jelou_redis_auth_text(cf, rlcf, 1 + n, words) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (p < last || lines == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"jelou_redis_auth_file\": \"%V\" does not have "
                           "one line \"user password\" or \"password\"",
                           file);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* It is wiped when the configuration is given up. */

static ngx_int_t
ngx_http_jelou_redis_auth_text(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *rlcf, ngx_uint_t n, ngx_str_t *words)
{
    ngx_str_t           *text;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_str_t));

    if (cln == NULL
        || ngx_http_jelou_redis_text(cf->pool, &rlcf->auth, n, words) != NGX_OK)
    {
        return NGX_ERROR;
    }

    text = cln->data;
    *text = rlcf->auth;

    cln->handler = ngx_http_jelou_redis_auth_wipe;

    return NGX_OK;
}


static void
ngx_http_jelou_redis_auth_wipe(void *data)
{
    ngx_str_t  *text = data;

    OPENSSL_cleanse(text->data, text->len);
}


/* The words between white space, up to max; returns how many there are. */

static ngx_uint_t
ngx_http_jelou_redis_words(u_char *p, u_char *last, ngx_str_t *words,
    ngx_uint_t max)
{
    u_char      *start;
    ngx_uint_t   n;

    for (n = 0; n < max; n++) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == '\r')) { p++; }

        if (p == last) {
            break;
        }

        start = p;

        while (p < last && *p != ' ' && *p != '\t' && *p != '\r') { p++; }

        words[n].data = start;
        words[n].len = p - start;
    }

    return n;
}


char *
ngx_http_jelou_redis_set_db(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    if (rlcf->db != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rlcf->db = ngx_atoi(value[1].data, value[1].len);

    if (rlcf->db == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number \"%V\" in \"%V\" directive",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_jelou_redis_set_pending(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (rlcf->pending != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid number \"%V\" in \"%V\" directive",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    rlcf->pending = n;

    return NGX_CONF_OK;
}


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
     *     conf->auth_set = 0;
     */

    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->read_timeout = NGX_CONF_UNSET_MSEC;
    conf->pending = NGX_CONF_UNSET_UINT;
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
    ngx_conf_merge_uint_value(conf->pending, prev->pending,
                              NGX_HTTP_JELOU_REDIS_PENDING);

    if (!conf->auth_set) {
        conf->auth = prev->auth;
    }

    ngx_conf_merge_str_value(conf->sentinel, prev->sentinel, "");

#if (NGX_HTTP_SSL)
    if (ngx_http_jelou_redis_ssl_merge(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }
#endif

    /* inside an "if" the location's handler is called all the same */

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

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

    return rmcf->passes.nelts ? ngx_http_jelou_queue_add(cf) : NGX_OK;
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
           && one->sentinel.len == two->sentinel.len
           && ngx_strncmp(one->sentinel.data, two->sentinel.data,
                          one->sentinel.len)
              == 0
           && one->auth.len == two->auth.len
           && (one->auth.len == 0
               || CRYPTO_memcmp(one->auth.data, two->auth.data, one->auth.len)
                  == 0);
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
    settings->auth = conf->auth;
    settings->script = rmcf->load;
    settings->ctx = cf->ctx;

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
        && ngx_http_jelou_redis_sentinel_settings(cf, settings,
                                                  &conf->sentinel)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (conf->db == 0) {
        return NGX_OK;
    }

    ngx_str_set(&words[0], "SELECT");

    words[1].data = number;
    words[1].len = ngx_sprintf(number, "%i", conf->db) - number;

    return ngx_http_jelou_redis_text(cf->pool, &settings->select, 2, words);
}


/* Sentinels have no databases and no scripts, and a user of their own. */

static ngx_int_t
ngx_http_jelou_redis_sentinel_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_settings_t *settings, ngx_str_t *name)
{
    ngx_str_t                         words[3];
    ngx_http_jelou_redis_settings_t  *sentinels;

    sentinels = ngx_palloc(cf->pool, sizeof(ngx_http_jelou_redis_settings_t));
    if (sentinels == NULL) {
        return NGX_ERROR;
    }

    *sentinels = *settings;

    ngx_str_null(&sentinels->auth);
    ngx_queue_init(&sentinels->targets);
    ngx_queue_init(&sentinels->groups);

    settings->sentinels = sentinels;

    ngx_str_set(&words[0], "PING");

    if (ngx_http_jelou_redis_text(cf->pool, &sentinels->script, 1, words)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&words[0], "SENTINEL");
    ngx_str_set(&words[1], "GET-MASTER-ADDR-BY-NAME");
    words[2] = *name;

    return ngx_http_jelou_redis_text(cf->pool, &settings->sentinel, 3, words);
}
