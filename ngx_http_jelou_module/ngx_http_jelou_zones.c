
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


typedef struct {
    ngx_str_t    name;    /* with its "=" */
    ngx_str_t   *arg;     /* as written; NULL: it is absent */
    ngx_str_t    value;
} ngx_http_jelou_param_t;


static char *ngx_http_jelou_params(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_jelou_param_t *params);
static char *ngx_http_jelou_invalid_param(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *arg);
static ngx_shm_zone_t *ngx_http_jelou_add_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *param, void *tag);


/* zone=name:size [ttl=time] */

char *
ngx_http_jelou_set_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_main_conf_t *jmcf = conf;

    ngx_int_t                     ttl;
    ngx_shm_zone_t               *shm_zone, **declared;
    ngx_http_jelou_param_t       *p;
    ngx_http_jelou_dedup_zone_t  *zone;

    ngx_http_jelou_param_t  params[] = {
        { ngx_string("zone="), NULL, ngx_null_string },
        { ngx_string("ttl="), NULL, ngx_null_string },
        { ngx_null_string, NULL, ngx_null_string }
    };

    if (ngx_http_jelou_params(cf, cmd, params) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    shm_zone = ngx_http_jelou_add_zone(cf, cmd, &params[0].value,
                                       &ngx_http_jelou_dedup_tag);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    ttl = NGX_HTTP_JELOU_DEDUP_TTL;
    p = &params[1];

    if (p->arg) {
        ttl = ngx_parse_time(&p->value, 1);

        if (ttl == (ngx_int_t) NGX_ERROR || ttl == 0) {
            return ngx_http_jelou_invalid_param(cf, cmd, p->arg);
        }

        if (ttl > NGX_HTTP_JELOU_TIME_MAX) {
            return NGX_HTTP_JELOU_TOO_LONG;
        }
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_dedup_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->ttl = ttl;
    zone->name = shm_zone->shm.name;

    shm_zone->init = ngx_http_jelou_dedup_init_zone;
    shm_zone->data = zone;

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
    ngx_http_jelou_param_t        *p;
    ngx_http_jelou_status_zone_t  *zone;

    ngx_http_jelou_param_t  params[] = {
        { ngx_string("zone="), NULL, ngx_null_string },
        { ngx_string("secrets="), NULL, ngx_null_string },
        { ngx_null_string, NULL, ngx_null_string }
    };

    if (jmcf->status_zone) {
        return "is duplicate";
    }

    if (ngx_http_jelou_params(cf, cmd, params) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    jmcf->status_zone = ngx_http_jelou_add_zone(cf, cmd, &params[0].value,
                                                &ngx_http_jelou_status_tag);
    if (jmcf->status_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    secrets = NGX_HTTP_JELOU_SECRETS;
    p = &params[1];

    if (p->arg) {
        secrets = ngx_atoi(p->value.data, p->value.len);

        if (secrets == NGX_ERROR || secrets > NGX_HTTP_JELOU_SECRETS_MAX) {
            return ngx_http_jelou_invalid_param(cf, cmd, p->arg);
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
}


/* zone=name [key=string], or off */

char *
ngx_http_jelou_set_dedup(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t               *value;
    ngx_http_jelou_param_t  *p;

    ngx_http_jelou_param_t  params[] = {
        { ngx_string("zone="), NULL, ngx_null_string },
        { ngx_string("key="), NULL, ngx_null_string },
        { ngx_null_string, NULL, ngx_null_string }
    };

    if (jlcf->dedup_zone != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    jlcf->dedup_zone = NULL;
    ngx_http_jelou_here(cf, &jlcf->dedup_place);

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_http_jelou_params(cf, cmd, params) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    for (p = params; p->name.len; p++) {
        if (p->arg && p->value.len == 0) {
            return ngx_http_jelou_invalid_param(cf, cmd, p->arg);
        }
    }

    jlcf->dedup_zone = ngx_shared_memory_add(cf, &params[0].value, 0,
                                             &ngx_http_jelou_dedup_tag);
    if (jlcf->dedup_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (params[1].arg) {
        jlcf->dedup_key = ngx_http_jelou_complex_value(cf, &params[1].value);
        if (jlcf->dedup_key == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/*
 * Finds the values of a directive's "name=value" arguments.  The first
 * parameter of the table must be there; none may be there twice.
 */

static char *
ngx_http_jelou_params(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_jelou_param_t *params)
{
    ngx_str_t               *arg;
    ngx_uint_t               i;
    ngx_http_jelou_param_t  *p;

    arg = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (p = params; p->name.len; p++) {

            if (p->arg == NULL
                && ngx_strncmp(arg[i].data, p->name.data, p->name.len) == 0)
            {
                p->arg = &arg[i];
                p->value.data = arg[i].data + p->name.len;
                p->value.len = arg[i].len - p->name.len;
                break;
            }
        }

        if (p->name.len == 0) {
            return ngx_http_jelou_invalid_param(cf, cmd, &arg[i]);
        }
    }

    if (params->arg == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must have \"%*s\" parameter", &cmd->name,
                           params->name.len - 1, params->name.data);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_jelou_invalid_param(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *arg)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\" directive",
                       arg, &cmd->name);

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
