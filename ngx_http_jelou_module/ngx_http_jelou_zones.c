
/*
 * Directives of the zones in shared memory, and of what uses them.
 */


#include "ngx_http_jelou_conf.h"
#include "ngx_http_jelou_dedup.h"
#include "ngx_http_jelou_metrics.h"
#include "ngx_http_jelou_status.h"


#define NGX_HTTP_JELOU_DEDUP_TTL       (24 * 60 * 60)
#define NGX_HTTP_JELOU_DEDUP_WAIT_MAX  60000

/* how many secrets are counted each by itself */

#define NGX_HTTP_JELOU_SECRETS      100
#define NGX_HTTP_JELOU_SECRETS_MAX  100000

/* the most that a zone may be set to */

#define NGX_HTTP_JELOU_ZONE_MAX   ((uint64_t) 64 * 1024 * 1024 * 1024)


static ngx_shm_zone_t *ngx_http_jelou_add_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *param, void *tag);


/* zone=name:size [ttl=time] */

char *
ngx_http_jelou_set_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                     ttl;
    ngx_str_t                    *value, s;
    ngx_uint_t                    i;
    ngx_shm_zone_t               *shm_zone, **declared;
    ngx_http_jelou_main_conf_t   *jmcf;
    ngx_http_jelou_dedup_zone_t  *zone;

    value = cf->args->elts;
    shm_zone = NULL;
    ttl = NGX_HTTP_JELOU_DEDUP_TTL;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0 && shm_zone == NULL) {
            s.data = value[i].data + 5;
            s.len = value[i].len - 5;

            shm_zone = ngx_http_jelou_add_zone(cf, cmd, &s,
                                               &ngx_http_jelou_dedup_tag);
            if (shm_zone == NULL) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "ttl=", 4) == 0) {
            s.data = value[i].data + 4;
            s.len = value[i].len - 4;

            ttl = ngx_parse_time(&s, 1);

            if (ttl > NGX_HTTP_JELOU_TIME_MAX) {
                return NGX_HTTP_JELOU_TOO_LONG;
            }

            if (ttl != (ngx_int_t) NGX_ERROR && ttl != 0) {
                continue;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"%V\" directive",
                           &value[i], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (shm_zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"zone\" parameter", &cmd->name);
        return NGX_CONF_ERROR;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_dedup_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->ttl = ttl;
    zone->name = shm_zone->shm.name;

    shm_zone->init = ngx_http_jelou_dedup_init_zone;
    shm_zone->data = zone;

    jmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_module);

    declared = ngx_array_push(&jmcf->dedup_zones);
    if (declared == NULL) {
        return NGX_CONF_ERROR;
    }

    *declared = shm_zone;

    return NGX_CONF_OK;
}


/* zone=name:size [secrets=number] */

char *
ngx_http_jelou_set_status_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_main_conf_t *jmcf = conf;

    ngx_int_t                      secrets;
    ngx_str_t                     *value, s;
    ngx_uint_t                     i;
    ngx_http_jelou_status_zone_t  *zone;

    if (jmcf->status_zone) {
        return "is duplicate";
    }

    value = cf->args->elts;
    secrets = NGX_HTTP_JELOU_SECRETS;
    i = 1;

    if (ngx_strncmp(value[1].data, "zone=", 5) != 0) {
        goto invalid;
    }

    s.data = value[1].data + 5;
    s.len = value[1].len - 5;

    jmcf->status_zone = ngx_http_jelou_add_zone(cf, cmd, &s,
                                                &ngx_http_jelou_status_tag);
    if (jmcf->status_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {
        i = 2;

        if (ngx_strncmp(value[2].data, "secrets=", 8) != 0) {
            goto invalid;
        }

        secrets = ngx_atoi(value[2].data + 8, value[2].len - 8);

        if (secrets == NGX_ERROR || secrets > NGX_HTTP_JELOU_SECRETS_MAX) {
            goto invalid;
        }
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_status_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->secrets = secrets;
    zone->parts = &jmcf->parts;

    jmcf->status_zone->init = ngx_http_jelou_status_init_zone;
    jmcf->status_zone->data = zone;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\" directive",
                       &value[i], &cmd->name);

    return NGX_CONF_ERROR;
}


/* name:size of a zone that is not declared yet */

static ngx_shm_zone_t *
ngx_http_jelou_add_zone(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *param,
    void *tag)
{
    u_char          *p;
    ssize_t          size;
    ngx_str_t        name, s;
    ngx_shm_zone_t  *shm_zone;

    p = (u_char *) ngx_strchr(param->data, ':');

    if (p == NULL || p == param->data) {
        goto invalid;
    }

    name.data = param->data;
    name.len = p - param->data;

    s.data = p + 1;
    s.len = param->data + param->len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        goto invalid;
    }

    if (size < (ssize_t) (8 * ngx_pagesize)
        || (uint64_t) size > NGX_HTTP_JELOU_ZONE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" in \"%V\" directive is too %s",
                           &name, &cmd->name,
                           size < (ssize_t) (8 * ngx_pagesize) ? "small"
                                                               : "large");
        return NULL;
    }

    shm_zone = ngx_shared_memory_add(cf, &name, size, tag);

    if (shm_zone && shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" in \"%V\" directive is declared "
                           "twice", &name, &cmd->name);
        return NULL;
    }

    return shm_zone;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid zone \"%V\" in \"%V\" directive",
                       param, &cmd->name);

    return NULL;
}


/* zone=name [key=string], or off */

char *
ngx_http_jelou_set_dedup(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t   *value, s;
    ngx_uint_t   i;

    if (jlcf->dedup_zone != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    jlcf->dedup_zone = NULL;
    ngx_http_jelou_here(cf, &jlcf->dedup_place);

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0
            && value[i].len > 5 && jlcf->dedup_zone == NULL)
        {
            s.data = value[i].data + 5;
            s.len = value[i].len - 5;

            jlcf->dedup_zone = ngx_shared_memory_add(cf, &s, 0,
                                                  &ngx_http_jelou_dedup_tag);
            if (jlcf->dedup_zone == NULL) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "key=", 4) == 0
            && value[i].len > 4 && jlcf->dedup_key == NULL)
        {
            s.data = value[i].data + 4;
            s.len = value[i].len - 4;

            jlcf->dedup_key = ngx_http_jelou_complex_value(cf, &s);
            if (jlcf->dedup_key == NULL) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"%V\" directive",
                           &value[i], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (jlcf->dedup_zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"zone\" parameter", &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_jelou_check_dedup_wait(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *wait = data;

    if (*wait > NGX_HTTP_JELOU_DEDUP_WAIT_MAX) {
        return "is longer than 60 seconds";
    }

    return NGX_CONF_OK;
}


char *
ngx_http_jelou_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_http_jelou_here(cf, &jlcf->status_place);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_jelou_metrics_handler;

    return ngx_http_jelou_set_enum(cf, cmd, conf);
}
