
/*
 * The directives of the queue: what each sets.
 */


#include "ngx_http_jelou_redis_conf.h"


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

    return ngx_http_jelou_redis_invalid(cf, cmd, "parameter", &value[2]);
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
        return ngx_http_jelou_redis_invalid(cf, cmd, "time", &value[1]);
    }

    rlcf->dedup = ttl;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "key=", 4) != 0 || value[2].len == 4) {
        return ngx_http_jelou_redis_invalid(cf, cmd, "parameter", &value[2]);
    }

    key.data = value[2].data + 4;
    key.len = value[2].len - 4;

    rlcf->dedup_key = ngx_http_jelou_complex_value(cf, &key);

    return rlcf->dedup_key ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_jelou_redis_set_number(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_int_t  *number;
    ngx_str_t  *value;

    number = (ngx_int_t *) ((char *) conf + cmd->offset);

    if (*number != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *number = ngx_atoi(value[1].data, value[1].len);

    if (*number == NGX_ERROR || (*number == 0 && number == &rlcf->pending)) {
        return ngx_http_jelou_redis_invalid(cf, cmd, "number", &value[1]);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_jelou_redis_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *what, ngx_str_t *value)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid %s \"%V\" in \"%V\" directive",
                       what, value, &cmd->name);

    return NGX_CONF_ERROR;
}
