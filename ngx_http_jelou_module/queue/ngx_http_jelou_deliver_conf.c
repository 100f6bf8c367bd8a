
/*
 * The directives of the deliverer: what each sets, and what they become.
 */


#include "ngx_http_jelou_deliver_conf.h"
#include "ngx_http_jelou_redis_conf.h"
#include "ngx_http_jelou_lint.h"


/* without client_max_body_size */

#define NGX_HTTP_JELOU_DELIVER_SIZE  (16 * 1024 * 1024)


static char *ngx_http_jelou_deliver_set_parameter(ngx_conf_t *cf,
    ngx_http_jelou_deliver_loc_conf_t *dlcf, ngx_str_t *value);
static char *ngx_http_jelou_deliver_set_stream(
    ngx_http_jelou_deliver_loc_conf_t *dlcf, ngx_str_t *name);
static ngx_int_t ngx_http_jelou_deliver_set_more(
    ngx_http_jelou_deliver_loc_conf_t *dlcf, ngx_str_t *value);
static char *ngx_http_jelou_deliver_merge(ngx_conf_t *cf,
    ngx_http_jelou_deliver_loc_conf_t *conf);
static char *ngx_http_jelou_deliver_merge_location(ngx_conf_t *cf,
    ngx_http_jelou_deliver_loc_conf_t *conf, ngx_http_core_loc_conf_t *clcf);
static ngx_int_t ngx_http_jelou_deliver_unique(ngx_conf_t *cf,
    ngx_http_jelou_deliver_main_conf_t *dmcf,
    ngx_http_jelou_deliver_loc_conf_t *conf);


ngx_conf_enum_t  ngx_http_jelou_deliver_orders[] = {
    { ngx_string("room"), NGX_HTTP_JELOU_DELIVER_ROOM },
    { ngx_string("none"), NGX_HTTP_JELOU_DELIVER_NONE },
    { ngx_null_string, 0 }
};


/* servers stream=name [stream=name ...] group=name [uri=/path] */

char *
ngx_http_jelou_deliver_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_deliver_loc_conf_t *dlcf = conf;

    ngx_url_t    u;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (dlcf->upstream) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_array_init(&dlcf->streams, cf->pool, 2, sizeof(ngx_str_t))
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = value[1];
    u.default_port = 6379;
    u.no_resolve = 1;

    dlcf->upstream = ngx_http_upstream_add(cf, &u, 0);
    if (dlcf->upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_jelou_deliver_set_parameter(cf, dlcf, &value[i])
            != NGX_CONF_OK)
        {
            return ngx_http_jelou_redis_invalid(cf, cmd, "parameter",
                                                &value[i]);
        }
    }

    if (dlcf->streams.nelts == 0 || dlcf->group.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" directive needs \"%s\"", &cmd->name,
                           dlcf->group.len ? "stream=" : "group=");
        return NGX_CONF_ERROR;
    }

    ngx_http_jelou_here(cf, &dlcf->place);

    return NGX_CONF_OK;
}


static char *
ngx_http_jelou_deliver_set_parameter(ngx_conf_t *cf,
    ngx_http_jelou_deliver_loc_conf_t *dlcf, ngx_str_t *value)
{
    ngx_str_t  text;

    if (ngx_strncmp(value->data, "stream=", 7) == 0) {
        text.data = value->data + 7;
        text.len = value->len - 7;

        return ngx_http_jelou_deliver_set_stream(dlcf, &text);
    }

    if (ngx_strncmp(value->data, "group=", 6) == 0) {

        if (dlcf->group.len || value->len == 6) {
            return NGX_CONF_ERROR;
        }

        dlcf->group.data = value->data + 6;
        dlcf->group.len = value->len - 6;

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "uri=/", 5) == 0) {

        if (dlcf->uri.len) {
            return NGX_CONF_ERROR;
        }

        dlcf->uri.data = value->data + 4;
        dlcf->uri.len = value->len - 4;

        return NGX_CONF_OK;
    }

    return NGX_CONF_ERROR;
}


/*
 * Which streams there are has to be known when nginx starts; a quote inside a
 * parameter is none to nginx.
 */

static char *
ngx_http_jelou_deliver_set_stream(ngx_http_jelou_deliver_loc_conf_t *dlcf,
    ngx_str_t *name)
{
    ngx_str_t   *stream;
    ngx_uint_t   i;

    if (name->len == 0 || *name->data == '"' || *name->data == '\''
        || ngx_strlchr(name->data, name->data + name->len, '$'))
    {
        return NGX_CONF_ERROR;
    }

    stream = dlcf->streams.elts;

    for (i = 0; i < dlcf->streams.nelts; i++) {

        if (ngx_http_jelou_same(&stream[i], name)) {
            return NGX_CONF_ERROR;
        }
    }

    stream = ngx_array_push(&dlcf->streams);
    if (stream == NULL) {
        return NGX_CONF_ERROR;
    }

    *stream = *name;

    return NGX_CONF_OK;
}


char *
ngx_http_jelou_deliver_set_number(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char  *p = conf;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t  *number;

    number = (ngx_uint_t *) (p + cmd->offset);

    if (*number != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n == 0) {
        return ngx_http_jelou_redis_invalid(cf, cmd, "parameter", &value[1]);
    }

    *number = n;

    return NGX_CONF_OK;
}


/* time [max=time] [attempts=number] */

char *
ngx_http_jelou_deliver_set_retry(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_jelou_deliver_loc_conf_t *dlcf = conf;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (dlcf->retry != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_parse_time(&value[1], 0);

    if (n == NGX_ERROR || n == 0) {
        return ngx_http_jelou_redis_invalid(cf, cmd, "parameter", &value[1]);
    }

    dlcf->retry = n;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_http_jelou_deliver_set_more(dlcf, &value[i]) != NGX_OK) {
            return ngx_http_jelou_redis_invalid(cf, cmd, "parameter",
                                                &value[i]);
        }
    }

    /* what is not said is not another level's */

    if (dlcf->retry_max == NGX_CONF_UNSET_MSEC) {
        dlcf->retry_max = ngx_max(dlcf->retry, 300000);
    }

    if (dlcf->attempts == NGX_CONF_UNSET_UINT) {
        dlcf->attempts = 300;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_jelou_deliver_set_more(ngx_http_jelou_deliver_loc_conf_t *dlcf,
    ngx_str_t *value)
{
    ngx_int_t  n;
    ngx_str_t  text;

    if (ngx_strncmp(value->data, "max=", 4) == 0
        && dlcf->retry_max == NGX_CONF_UNSET_MSEC)
    {
        text.data = value->data + 4;
        text.len = value->len - 4;

        n = ngx_parse_time(&text, 0);

        if (n == NGX_ERROR || (ngx_msec_t) n < dlcf->retry) {
            return NGX_ERROR;
        }

        dlcf->retry_max = n;

        return NGX_OK;
    }

    if (ngx_strncmp(value->data, "attempts=", 9) == 0
        && dlcf->attempts == NGX_CONF_UNSET_UINT)
    {
        n = ngx_atoi(value->data + 9, value->len - 9);

        if (n == NGX_ERROR || n == 0) {
            return NGX_ERROR;
        }

        dlcf->attempts = n;

        return NGX_OK;
    }

    return NGX_ERROR;
}


void *
ngx_http_jelou_deliver_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_jelou_deliver_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_deliver_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&conf->locations, cf->pool, 2,
                       sizeof(ngx_http_jelou_deliver_loc_conf_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


void *
ngx_http_jelou_deliver_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_jelou_deliver_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_deliver_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->upstream = NULL;
     *     conf->group = { 0, NULL };
     *     conf->uri = { 0, NULL };
     *     conf->dead = { 0, NULL };
     */

    conf->order = NGX_CONF_UNSET_UINT;
    conf->parallel = NGX_CONF_UNSET_UINT;
    conf->window = NGX_CONF_UNSET_UINT;
    conf->retry = NGX_CONF_UNSET_MSEC;
    conf->retry_max = NGX_CONF_UNSET_MSEC;
    conf->attempts = NGX_CONF_UNSET_UINT;
    conf->remove = NGX_CONF_UNSET;

    return conf;
}


char *
ngx_http_jelou_deliver_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_jelou_deliver_loc_conf_t *prev = parent;
    ngx_http_jelou_deliver_loc_conf_t *conf = child;

    ngx_conf_merge_uint_value(conf->order, prev->order,
                              NGX_HTTP_JELOU_DELIVER_ROOM);
    ngx_conf_merge_uint_value(conf->parallel, prev->parallel, 16);
    ngx_conf_merge_uint_value(conf->window, prev->window, 10000);
    ngx_conf_merge_msec_value(conf->retry, prev->retry, 1000);
    ngx_conf_merge_msec_value(conf->retry_max, prev->retry_max, 300000);
    ngx_conf_merge_uint_value(conf->attempts, prev->attempts, 300);
    ngx_conf_merge_str_value(conf->dead, prev->dead, "");
    ngx_conf_merge_value(conf->remove, prev->remove, 1);

    if (conf->upstream == NULL) {
        return NGX_CONF_OK;
    }

    return ngx_http_jelou_deliver_merge(cf, conf);
}


static char *
ngx_http_jelou_deliver_merge(ngx_conf_t *cf,
    ngx_http_jelou_deliver_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t            *clcf;
    ngx_http_jelou_loc_conf_t           *jlcf;
    ngx_http_jelou_redis_loc_conf_t    **pass, *rlcf;
    ngx_http_jelou_redis_main_conf_t    *rmcf;
    ngx_http_jelou_deliver_loc_conf_t  **location;
    ngx_http_jelou_deliver_main_conf_t  *dmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    jlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_jelou_module);
    rlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_jelou_redis_module);
    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_redis_module);
    dmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_jelou_deliver_module);

    if (clcf->handler == NULL || jlcf->schema.endpoint) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      jlcf->schema.endpoint
                      ? "\"jelou_deliver\" in a location with "
                        "\"jelou_endpoint\" in %s:%ui"
                      : "\"jelou_deliver\" in a location without a content "
                        "handler, such as \"proxy_pass\", in %s:%ui",
                      conf->place.file, conf->place.line);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_jelou_lint_cache(cf, "jelou_deliver", &conf->place)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    conf->secrets = jlcf->upstream_secrets;
    conf->max_size = clcf->client_max_body_size;

    if (conf->max_size == 0) {
        conf->max_size = NGX_HTTP_JELOU_DELIVER_SIZE;
    }

    if (ngx_http_jelou_deliver_unique(cf, dmcf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* the settings of its connections are those of a jelou_redis_pass */

    pass = ngx_array_push(&rmcf->passes);
    location = ngx_array_push(&dmcf->locations);

    if (pass == NULL || location == NULL) {
        return NGX_CONF_ERROR;
    }

    *pass = rlcf;
    *location = conf;

    return ngx_http_jelou_deliver_merge_location(cf, conf, clcf);
}


static char *
ngx_http_jelou_deliver_merge_location(ngx_conf_t *cf,
    ngx_http_jelou_deliver_loc_conf_t *conf, ngx_http_core_loc_conf_t *clcf)
{
    ngx_http_conf_ctx_t  *ctx;

    ctx = cf->ctx;

    conf->location.main_conf = ctx->main_conf;
    conf->location.srv_conf = ctx->srv_conf;
    conf->location.loc_conf = clcf->loc_conf;

    /* a named location has no URI, and a regex none that it matches */

    if (conf->uri.len == 0) {

        if (clcf->named || clcf->noname
#if (NGX_PCRE)
            || clcf->regex
#endif
            || clcf->name.len == 0 || clcf->name.data[0] != '/')
        {
            ngx_str_set(&conf->uri, "/");

        } else {
            conf->uri = clcf->name;
        }
    }

    return NGX_CONF_OK;
}


/* A group of a stream is delivered by one location. */

static ngx_int_t
ngx_http_jelou_deliver_unique(ngx_conf_t *cf,
    ngx_http_jelou_deliver_main_conf_t *dmcf,
    ngx_http_jelou_deliver_loc_conf_t *conf)
{
    ngx_str_t                           *one, *two;
    ngx_uint_t                           i, j, k;
    ngx_http_jelou_deliver_loc_conf_t  **other;

    other = dmcf->locations.elts;
    one = conf->streams.elts;

    for (i = 0; i < dmcf->locations.nelts; i++) {

        if (other[i]->upstream != conf->upstream
            || !ngx_http_jelou_same(&other[i]->group, &conf->group))
        {
            continue;
        }

        two = other[i]->streams.elts;

        for (j = 0; j < conf->streams.nelts; j++) {
            for (k = 0; k < other[i]->streams.nelts; k++) {

                if (ngx_http_jelou_same(&one[j], &two[k])) {
                    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                                  "stream \"%V\" with group \"%V\" in %s:%ui "
                                  "is delivered by the location in %s:%ui",
                                  &one[j], &conf->group, conf->place.file,
                                  conf->place.line, other[i]->place.file,
                                  other[i]->place.line);
                    return NGX_ERROR;
                }
            }
        }
    }

    return NGX_OK;
}


/* The queue's own module, which comes before, has made the settings. */

ngx_int_t
ngx_http_jelou_deliver_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                           i;
    ngx_http_jelou_redis_loc_conf_t     *rlcf;
    ngx_http_jelou_redis_settings_t     *settings;
    ngx_http_jelou_deliver_loc_conf_t  **location, *conf;
    ngx_http_jelou_deliver_main_conf_t  *dmcf;

    dmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_jelou_deliver_module);

    if (dmcf->locations.nelts == 0) {
        return NGX_OK;
    }

    if (ngx_http_jelou_deliver_script_init(cf, dmcf) != NGX_OK) {
        return NGX_ERROR;
    }

    location = dmcf->locations.elts;

    for (i = 0; i < dmcf->locations.nelts; i++) {
        conf = location[i];
        rlcf = conf->location.loc_conf[ngx_http_jelou_redis_module.ctx_index];

        settings = &conf->settings;

        *settings = *rlcf->settings;
        settings->hello[0] = dmcf->load;
        ngx_queue_init(&settings->targets);

        /* the other one calls no script, but needs a greeting */

        settings = &conf->blocking;

        *settings = *rlcf->settings;
        ngx_str_set(&settings->hello[0], "*1" CRLF "$4" CRLF "PING" CRLF);
        settings->read_timeout += NGX_HTTP_JELOU_DELIVER_BLOCK;
        ngx_queue_init(&settings->targets);
    }

    ngx_http_jelou_deliver_filters();

    return NGX_OK;
}
