
/*
 * Directives, configuration and the module's definition.
 */


#include "ngx_http_jelou_ctx.h"
#include "ngx_http_jelou_forward.h"
#include "ngx_http_jelou_handler.h"
#include "ngx_http_jelou_handover.h"
#include "ngx_http_jelou_lint.h"
#include "ngx_http_jelou_lint_send.h"
#include "ngx_http_jelou_metrics.h"
#include "ngx_http_jelou_reply.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_status.h"
#include "ngx_http_jelou_text.h"
#include "ngx_http_jelou_variable.h"


#define NGX_HTTP_JELOU_DEDUP_TTL       (24 * 60 * 60)
#define NGX_HTTP_JELOU_DEDUP_WAIT      5000
#define NGX_HTTP_JELOU_DEDUP_WAIT_MAX  60000

/* how many secrets are counted each by itself */

#define NGX_HTTP_JELOU_SECRETS      100
#define NGX_HTTP_JELOU_SECRETS_MAX  100000

/* the most that any time, and any zone, may be set to */

#define NGX_HTTP_JELOU_DAYS       365
#define NGX_HTTP_JELOU_TIME_MAX   (NGX_HTTP_JELOU_DAYS * 24 * 60 * 60)
#define NGX_HTTP_JELOU_ZONE_MAX   ((uint64_t) 64 * 1024 * 1024 * 1024)


static char *ngx_http_jelou_set_endpoint(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_http_jelou_secrets_t *ngx_http_jelou_secrets(ngx_conf_t *cf,
    ngx_http_jelou_secrets_t **secrets);
static char *ngx_http_jelou_set_secret_off(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *jlcf);
static char *ngx_http_jelou_set_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_secret_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_upstream_secret(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_jelou_set_upstream_file(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_jelou_set_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_shm_zone_t *ngx_http_jelou_add_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *param, void *tag);
static char *ngx_http_jelou_set_dedup(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_status_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_types(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_schemes(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_tolerance(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_enum(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_set_fixed(ngx_conf_t *cf, void *post, void *data);
static char *ngx_http_jelou_check_dedup_wait(ngx_conf_t *cf, void *post,
    void *data);

static ngx_int_t ngx_http_jelou_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_jelou_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_jelou_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_jelou_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_jelou_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static void ngx_http_jelou_merge_secrets(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *prev, ngx_http_jelou_loc_conf_t *conf);
static char *ngx_http_jelou_merge_access(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *conf);
static char *ngx_http_jelou_merge_status(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *prev, ngx_http_jelou_loc_conf_t *conf);
static char *ngx_http_jelou_merge_handler(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *prev, ngx_http_jelou_loc_conf_t *conf);
static void ngx_http_jelou_merge_size(ngx_conf_t *cf);
static char *ngx_http_jelou_merge_dedup(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *conf);
static void ngx_http_jelou_merge_replay(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *conf);
static char *ngx_http_jelou_merge_types(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *conf);
static char *ngx_http_jelou_merge_fixed(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *prev, ngx_http_jelou_loc_conf_t *conf);
static char *ngx_http_jelou_merge_schemes(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *conf);


static char  ngx_http_jelou_too_long[] =
    "takes no time of more than " ngx_value(NGX_HTTP_JELOU_DAYS) " days";


static char  ngx_http_jelou_off_and_file[] =
    "stands beside \"off\", and one of them is not meant";


static ngx_conf_enum_t  ngx_http_jelou_formats[] = {
    { ngx_string("event"), NGX_HTTP_JELOU_FORMAT_EVENT },
    { ngx_string("cloudevents"), NGX_HTTP_JELOU_FORMAT_CLOUD },
    { ngx_string("raw"), NGX_HTTP_JELOU_FORMAT_RAW },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_jelou_replies[] = {
    { ngx_string("contract"), NGX_HTTP_JELOU_REPLY_CONTRACT },
    { ngx_string("upstream"), NGX_HTTP_JELOU_REPLY_UPSTREAM },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_jelou_conversation_events[] = {
    { ngx_string("off"), NGX_HTTP_JELOU_CONVERSATION_OFF },
    { ngx_string("on"), NGX_HTTP_JELOU_CONVERSATION_ON },
    { ngx_string("known"), NGX_HTTP_JELOU_CONVERSATION_KNOWN },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_jelou_texts[] = {
    { ngx_string("any"), NGX_HTTP_JELOU_TEXT_ANY },
    { ngx_string("storable"), NGX_HTTP_JELOU_TEXT_EVENT },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_jelou_accesses[] = {
    { ngx_string("none"), NGX_HTTP_JELOU_ACCESS_NONE },
    { ngx_string("elsewhere"), NGX_HTTP_JELOU_ACCESS_ELSEWHERE },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_jelou_pages[] = {
    { ngx_string("json"), NGX_HTTP_JELOU_STATUS_JSON },
    { ngx_string("prometheus"), NGX_HTTP_JELOU_STATUS_PROMETHEUS },
    { ngx_null_string, 0 }
};


static ngx_conf_post_t  ngx_http_jelou_dedup_wait_bounds = {
    ngx_http_jelou_check_dedup_wait
};


static ngx_conf_post_t  ngx_http_jelou_fixed_post = {
    ngx_http_jelou_set_fixed
};


static ngx_command_t  ngx_http_jelou_commands[] = {

    { ngx_string("jelou_endpoint"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_endpoint,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_secret"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_jelou_set_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_secret_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_secret_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_access"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, access),
      &ngx_http_jelou_accesses },

    { ngx_string("jelou_upstream_secret"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_upstream_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_upstream_secret_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_upstream_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_dedup_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_jelou_set_dedup_zone,
      0,
      0,
      NULL },

    { ngx_string("jelou_dedup"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_jelou_set_dedup,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_dedup_wait"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, dedup_wait),
      &ngx_http_jelou_dedup_wait_bounds },

    { ngx_string("jelou_status_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_jelou_set_status_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, status),
      &ngx_http_jelou_pages },

    { ngx_string("jelou_types"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_jelou_set_types,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_field"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, fixed[NGX_HTTP_JELOU_FIXED_FIELD]),
      &ngx_http_jelou_fixed_post },

    { ngx_string("jelou_object"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, fixed[NGX_HTTP_JELOU_FIXED_OBJECT]),
      &ngx_http_jelou_fixed_post },

    { ngx_string("jelou_event_type"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t,
               fixed[NGX_HTTP_JELOU_FIXED_EVENT_TYPE]),
      &ngx_http_jelou_fixed_post },

    { ngx_string("jelou_strict"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, strict),
      NULL },

    { ngx_string("jelou_conversation_events"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, conversation_events),
      &ngx_http_jelou_conversation_events },

    { ngx_string("jelou_text"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, text),
      &ngx_http_jelou_texts },

    { ngx_string("jelou_media_schemes"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_jelou_set_schemes,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_timestamp_tolerance"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_jelou_set_tolerance,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_format"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, format),
      &ngx_http_jelou_formats },

    { ngx_string("jelou_reply"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_set_enum,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_loc_conf_t, reply),
      &ngx_http_jelou_replies },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_jelou_module_ctx = {
    ngx_http_jelou_preconfiguration,       /* preconfiguration */
    ngx_http_jelou_postconfiguration,      /* postconfiguration */

    ngx_http_jelou_create_main_conf,       /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_jelou_create_loc_conf,        /* create location configuration */
    ngx_http_jelou_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_jelou_module = {
    NGX_MODULE_V1,
    &ngx_http_jelou_module_ctx,            /* module context */
    ngx_http_jelou_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_jelou_set_endpoint(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t                        *value;
    const ngx_http_jelou_endpoint_t  *e;

    if (jlcf->endpoint_set) {
        return "is duplicate";
    }

    value = cf->args->elts;

    jlcf->endpoint_set = 1;
    ngx_http_jelou_here(cf, &jlcf->endpoint_place);

    if (ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    for (e = ngx_http_jelou_endpoints; e->name.len; e++) {

        if (ngx_strcmp(value[1].data, e->name.data) == 0) {
            jlcf->schema.endpoint = e;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown endpoint \"%V\" in \"%V\" directive",
                       &value[1], &cmd->name);

    return NGX_CONF_ERROR;
}


/* the directive and the file of one level fill one set */

static ngx_http_jelou_secrets_t *
ngx_http_jelou_secrets(ngx_conf_t *cf, ngx_http_jelou_secrets_t **secrets)
{
    if (*secrets == NGX_CONF_UNSET_PTR) {
        *secrets = ngx_http_jelou_secrets_create(cf);
    }

    return *secrets;
}


/* It is for one location, which has no secrets then, and for none within. */

static char *
ngx_http_jelou_set_secret_off(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *jlcf)
{
    if (!(cf->cmd_type & NGX_HTTP_LOC_CONF)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"jelou_secret off\" is for one location: write "
                           "it beside the \"jelou_endpoint\" that takes "
                           "unsigned events");
        return NGX_CONF_ERROR;
    }

    if (jlcf->secret_file_set) {
        return ngx_http_jelou_off_and_file;
    }

    jlcf->secret_off = 1;
    ngx_http_jelou_here(cf, &jlcf->secret_place);

    return NGX_CONF_OK;
}


static char *
ngx_http_jelou_set_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_jelou_secrets_t  *secrets;

    if (jlcf->secret_set) {
        return "is duplicate";
    }

    jlcf->secret_set = 1;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_http_jelou_set_secret_off(cf, jlcf);
    }

    secrets = ngx_http_jelou_secrets(cf, &jlcf->inherited);
    if (secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_jelou_secrets_add(cf, secrets, &value[i], "jelou_secret",
                                       i)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_jelou_set_secret_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t                 *value;
    ngx_http_jelou_secrets_t  *secrets;

    if (jlcf->secret_file_set) {
        return "is duplicate";
    }

    jlcf->secret_file_set = 1;

    if (jlcf->secret_off) {
        return ngx_http_jelou_off_and_file;
    }

    secrets = ngx_http_jelou_secrets(cf, &jlcf->inherited);
    if (secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    return ngx_http_jelou_secrets_read(cf, secrets, &value[1],
                                       "jelou_secret_file");
}


static char *
ngx_http_jelou_set_upstream_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t                 *value;
    ngx_http_jelou_secrets_t  *secrets;

    if (jlcf->upstream_secret_set) {
        return "is duplicate";
    }

    jlcf->upstream_secret_set = 1;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {

        if (jlcf->upstream_file_set) {
            return ngx_http_jelou_off_and_file;
        }

        jlcf->upstream_secrets = NULL;
        return NGX_CONF_OK;
    }

    secrets = ngx_http_jelou_secrets(cf, &jlcf->upstream_secrets);
    if (secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_jelou_secrets_add(cf, secrets, &value[1],
                                      "jelou_upstream_secret", 1);
}


static char *
ngx_http_jelou_set_upstream_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t                 *value;
    ngx_http_jelou_secrets_t  *secrets;

    if (jlcf->upstream_file_set) {
        return "is duplicate";
    }

    jlcf->upstream_file_set = 1;

    if (jlcf->upstream_secrets == NULL) {
        return ngx_http_jelou_off_and_file;
    }

    secrets = ngx_http_jelou_secrets(cf, &jlcf->upstream_secrets);
    if (secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    return ngx_http_jelou_secrets_read(cf, secrets, &value[1],
                                       "jelou_upstream_secret_file");
}


/* zone=name:size [ttl=time] */

static char *
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
                return ngx_http_jelou_too_long;
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

static char *
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

    jmcf->status_zone->init = ngx_http_jelou_status_init_zone;
    jmcf->status_zone->data = zone;

    return NGX_CONF_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\" directive",
                       &value[i], &cmd->name);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_jelou_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_http_jelou_here(cf, &jlcf->status_place);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_jelou_metrics_handler;

    return ngx_http_jelou_set_enum(cf, cmd, conf);
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

static char *
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


static char *
ngx_http_jelou_set_types(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t                        *value, *type;
    ngx_uint_t                        i;
    const ngx_http_jelou_endpoint_t  *e;

    if (jlcf->types != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    ngx_http_jelou_here(cf, &jlcf->types_place);

    jlcf->types = ngx_array_create(cf->pool, cf->args->nelts,
                                   sizeof(ngx_str_t));
    if (jlcf->types == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (e = ngx_http_jelou_endpoints; e->name.len; e++) {
            if (ngx_http_jelou_type_bit(e, &value[i])) {
                break;
            }
        }

        if (e->name.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown type \"%V\" in \"%V\" directive",
                               &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }

        type = ngx_array_push(jlcf->types);
        if (type == NULL) {
            return NGX_CONF_ERROR;
        }

        *type = value[i];
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_jelou_set_schemes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t   *value, *scheme;
    ngx_uint_t   i;

    if (jlcf->schemes != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    jlcf->schemes = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                     sizeof(ngx_str_t));
    if (jlcf->schemes == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (!ngx_http_jelou_is_scheme(&value[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid scheme \"%V\" in \"%V\" directive",
                               &value[i], &cmd->name);
            return NGX_CONF_ERROR;
        }

        scheme = ngx_array_push(jlcf->schemes);
        if (scheme == NULL) {
            return NGX_CONF_ERROR;
        }

        *scheme = value[i];
    }

    return NGX_CONF_OK;
}


/* time [future=time] */

static char *
ngx_http_jelou_set_tolerance(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_int_t   past, future;
    ngx_str_t  *value, s;

    if (jlcf->tolerance != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    past = ngx_parse_time(&value[1], 0);

    if (past == (ngx_int_t) NGX_ERROR) {
        return "invalid value";
    }

    future = past;

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "future=", 7) != 0 || past == 0) {
            return "invalid value";
        }

        s.data = value[2].data + 7;
        s.len = value[2].len - 7;

        future = ngx_parse_time(&s, 0);

        if (future == (ngx_int_t) NGX_ERROR) {
            return "invalid value";
        }
    }

    if (past / 1000 > NGX_HTTP_JELOU_TIME_MAX
        || future / 1000 > NGX_HTTP_JELOU_TIME_MAX)
    {
        return ngx_http_jelou_too_long;
    }

    jlcf->tolerance = past;
    jlcf->future = future;

    return NGX_CONF_OK;
}


/* as ngx_conf_set_enum_slot(), which does not name the directive */

static char *
ngx_http_jelou_set_enum(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char             *p = conf;
    ngx_str_t        *value;
    ngx_uint_t       *np;
    ngx_conf_enum_t  *e;

    np = (ngx_uint_t *) (p + cmd->offset);

    if (*np != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (e = cmd->post; e->name.len; e++) {

        if (ngx_strcmp(value[1].data, e->name.data) == 0) {
            *np = e->value;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\" directive",
                       &value[1], &cmd->name);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_jelou_set_fixed(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t  *value = data;

    if (ngx_http_jelou_text_check(value->data, value->data + value->len)) {
        return "is not UTF-8";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_jelou_check_dedup_wait(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *wait = data;

    if (*wait > NGX_HTTP_JELOU_DEDUP_WAIT_MAX) {
        return "is longer than 60 seconds";
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_jelou_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_jelou_variables_add(cf);
}


static ngx_int_t
ngx_http_jelou_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_jelou_lint_pages(cf);
    ngx_http_jelou_lint_open(cf);

    if (ngx_http_jelou_status_init(cf) != NGX_OK
        || ngx_http_jelou_handover_init(cf) != NGX_OK
        || ngx_http_jelou_forward_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_jelou_reply_init(cf);
}


static void *
ngx_http_jelou_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_jelou_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&conf->dedup_zones, cf->pool, 4,
                       sizeof(ngx_shm_zone_t *))
        != NGX_OK
        || ngx_array_init(&conf->endpoints, cf->pool, 4,
                          sizeof(ngx_http_jelou_endpoint_at_t))
           != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void *
ngx_http_jelou_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_jelou_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_jelou_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->schema = { NULL };
     *     conf->next = NULL;
     *     conf->secrets = NULL;
     *     conf->allowed = 0;
     *     conf->fixed = { NULL };
     *     conf->future = 0;
     *     conf->endpoint_set = 0;
     */

    conf->inherited = NGX_CONF_UNSET_PTR;
    conf->upstream_secrets = NGX_CONF_UNSET_PTR;
    conf->dedup_zone = NGX_CONF_UNSET_PTR;
    conf->dedup_wait = NGX_CONF_UNSET_MSEC;
    conf->types = NGX_CONF_UNSET_PTR;
    conf->strict = NGX_CONF_UNSET;
    conf->schemes = NGX_CONF_UNSET_PTR;
    conf->conversation_events = NGX_CONF_UNSET_UINT;
    conf->text = NGX_CONF_UNSET_UINT;
    conf->tolerance = NGX_CONF_UNSET_MSEC;
    conf->format = NGX_CONF_UNSET_UINT;
    conf->reply = NGX_CONF_UNSET_UINT;
    conf->access = NGX_CONF_UNSET_UINT;
    conf->status = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_jelou_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_jelou_loc_conf_t *prev = parent;
    ngx_http_jelou_loc_conf_t *conf = child;

    ngx_http_jelou_merge_secrets(cf, prev, conf);

    if (conf->dedup_zone == NGX_CONF_UNSET_PTR) {
        conf->dedup_key = prev->dedup_key;
        conf->dedup_place = prev->dedup_place;
    }

    ngx_conf_merge_ptr_value(conf->dedup_zone, prev->dedup_zone, NULL);
    ngx_conf_merge_msec_value(conf->dedup_wait, prev->dedup_wait,
                              NGX_HTTP_JELOU_DEDUP_WAIT);

    ngx_conf_merge_value(conf->strict, prev->strict, 0);
    ngx_conf_merge_uint_value(conf->conversation_events,
                              prev->conversation_events,
                              NGX_HTTP_JELOU_CONVERSATION_ON);
    ngx_conf_merge_uint_value(conf->text, prev->text, NGX_HTTP_JELOU_TEXT_ANY);
    ngx_conf_merge_ptr_value(conf->schemes, prev->schemes, NULL);

    if (conf->tolerance == NGX_CONF_UNSET_MSEC) {
        conf->future = prev->future;
    }

    ngx_conf_merge_msec_value(conf->tolerance, prev->tolerance, 0);
    ngx_conf_merge_uint_value(conf->format, prev->format,
                              NGX_HTTP_JELOU_FORMAT_EVENT);
    ngx_conf_merge_uint_value(conf->reply, prev->reply,
                              NGX_HTTP_JELOU_REPLY_CONTRACT);

    if (conf->access == NGX_CONF_UNSET_UINT) {
        conf->access = prev->access;
    }

    if (conf->types == NGX_CONF_UNSET_PTR) {
        conf->types_place = prev->types_place;
    }

    ngx_conf_merge_ptr_value(conf->types, prev->types, NULL);

    if (!conf->endpoint_set) {
        conf->schema.endpoint = prev->schema.endpoint;
        conf->endpoint_place = prev->endpoint_place;
    }

    if (ngx_http_jelou_merge_fixed(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_jelou_merge_status(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->schema.endpoint == NULL) {
        return NGX_CONF_OK;
    }

    conf->schema.strict = conf->strict;
    conf->schema.conversation = conf->conversation_events;
    conf->schema.text = conf->text;

    if (conf->text && conf->format == NGX_HTTP_JELOU_FORMAT_RAW) {
        conf->schema.text = NGX_HTTP_JELOU_TEXT_BODY;
    }

    if (ngx_http_jelou_merge_schemes(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_jelou_merge_access(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_jelou_merge_handler(cf, prev, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_http_jelou_merge_size(cf);

    if (ngx_http_jelou_lint_cache(cf, conf) != NGX_CONF_OK
        || ngx_http_jelou_lint_send(cf, conf) != NGX_CONF_OK
        || ngx_http_jelou_lint_add(cf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_jelou_merge_dedup(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_jelou_merge_types(cf, conf);
}


/*
 * "off" is for the location in which it stands, and an "if" within, which is
 * the same one.  A location within has the secrets that are around both: what
 * was meant for one is not to open another.
 */

static void
ngx_http_jelou_merge_secrets(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *prev,
    ngx_http_jelou_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    ngx_conf_merge_ptr_value(conf->inherited, prev->inherited, NULL);
    ngx_conf_merge_ptr_value(conf->upstream_secrets, prev->upstream_secrets,
                             NULL);

    if (clcf->noname) {
        conf->secret_off = prev->secret_off;
        conf->secret_place = prev->secret_place;
    }

    conf->secrets = conf->secret_off ? NULL : conf->inherited;
}


/*
 * An endpoint that Jelou signs for has a secret, or says that there is none.  Of
 * another one somebody must
 * have said who may send: most of what could check that cannot be seen here.
 */

static char *
ngx_http_jelou_merge_access(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *conf)
{
    if (conf->secrets) {
        return NGX_CONF_OK;
    }

    if (conf->schema.endpoint->is_signed) {

        if (conf->secret_off) {
            return NGX_CONF_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"jelou_endpoint %V\" needs a \"jelou_secret\" "
                      "or a \"jelou_secret_file\" in %s:%ui",
                      &conf->schema.endpoint->name, conf->endpoint_place.file,
                      conf->endpoint_place.line);
        return NGX_CONF_ERROR;
    }

    if (conf->access == NGX_CONF_UNSET_UINT) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"jelou_endpoint %V\" without a \"jelou_secret\" needs "
                      "\"jelou_access elsewhere\", if something else checks "
                      "who may send, or \"jelou_access none\" in %s:%ui",
                      &conf->schema.endpoint->name, conf->endpoint_place.file,
                      conf->endpoint_place.line);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/*
 * A page within an endpoint's location is no endpoint.  Inside an "if" it is
 * the location's, whose handler is called there too.
 */

static char *
ngx_http_jelou_merge_status(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *prev,
    ngx_http_jelou_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_jelou_main_conf_t  *jmcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->status == NGX_CONF_UNSET_UINT) {

        if (clcf->noname) {
            conf->status = prev->status;
        }

        return NGX_CONF_OK;
    }

    jmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_module);

    if (jmcf->status_zone == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"jelou_status\" needs a \"jelou_status_zone\" "
                      "in %s:%ui",
                      conf->status_place.file, conf->status_place.line);
        return NGX_CONF_ERROR;
    }

    if (conf->endpoint_set && conf->schema.endpoint) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"jelou_status\" and \"jelou_endpoint %V\" are in "
                      "one location in %s:%ui",
                      &conf->schema.endpoint->name, conf->status_place.file,
                      conf->status_place.line);
        return NGX_CONF_ERROR;
    }

    conf->schema.endpoint = NULL;

    return NGX_CONF_OK;
}


/*
 * The location's own content handler comes after ours.  The modules of nginx
 * that set one have merged their configuration already.  Inside an "if" there
 * need not be one, and the location's handler is called all the same.  A
 * location without one answers by itself: that must be meant, and an endpoint
 * that is inherited is not.
 */

static char *
ngx_http_jelou_merge_handler(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *prev,
    ngx_http_jelou_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        conf->next = clcf->handler;

    } else if (clcf->noname) {
        conf->next = prev->next;

    } else if (!conf->endpoint_set) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "location \"%V\" inherits \"jelou_endpoint %V\" and has "
                      "no handler that events go on to: give it one, or "
                      "\"jelou_endpoint\" of its own, in %s:%ui",
                      &clcf->name, &conf->schema.endpoint->name,
                      conf->endpoint_place.file, conf->endpoint_place.line);
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_jelou_handler;

    return NGX_CONF_OK;
}


/*
 * nginx looks at the size before it reads a body, and while a chunked one
 * grows.  A module can refuse neither as early: so nginx's limit is at most our
 * own.
 */

static void
ngx_http_jelou_merge_size(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->client_max_body_size == 0
        || clcf->client_max_body_size > NGX_HTTP_JELOU_MAX_BODY)
    {
        clcf->client_max_body_size = NGX_HTTP_JELOU_MAX_BODY;
    }
}


/* A zone may be declared after it is named, and all directives are read now. */

static char *
ngx_http_jelou_merge_dedup(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *conf)
{
    if (conf->dedup_zone == NULL) {
        return NGX_CONF_OK;
    }

    if (conf->dedup_zone->init != ngx_http_jelou_dedup_init_zone) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "zone \"%V\" of \"jelou_dedup\" is not declared "
                      "with \"jelou_dedup_zone\" in %s:%ui",
                      &conf->dedup_zone->shm.name, conf->dedup_place.file,
                      conf->dedup_place.line);
        return NGX_CONF_ERROR;
    }

    if (conf->schema.endpoint->names_message && conf->dedup_key == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"jelou_dedup\" needs a \"key\" parameter for "
                      "\"jelou_endpoint %V\", whose messages have no id, "
                      "in %s:%ui",
                      &conf->schema.endpoint->name, conf->dedup_place.file,
                      conf->dedup_place.line);
        return NGX_CONF_ERROR;
    }

    ngx_http_jelou_merge_replay(cf, conf);

    return NGX_CONF_OK;
}


/*
 * An event may be dated into the future: whoever has recorded it can send it
 * from that early until it is too old, and it must be known as long.
 */

static void
ngx_http_jelou_merge_replay(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *conf)
{
    time_t                        window;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_jelou_dedup_zone_t  *zone;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* the endpoint whose events have a time is that of conversations */

    if (conf->tolerance == 0 || conf->schema.endpoint->conversation == NULL
        || clcf->noname)
    {
        return;
    }

    zone = conf->dedup_zone->data;
    window = (conf->tolerance + conf->future + 999) / 1000;

    if (zone->ttl < window) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "zone \"%V\" of \"jelou_dedup\" forgets after %T s what "
                      "\"jelou_timestamp_tolerance\" takes for %T s, in %s:%ui",
                      &zone->name, zone->ttl, window, conf->dedup_place.file,
                      conf->dedup_place.line);
    }
}


static char *
ngx_http_jelou_merge_types(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *conf)
{
    uint32_t    bit;
    ngx_str_t  *type;
    ngx_uint_t  i;

    if (conf->types == NULL) {
        conf->allowed = (uint32_t) -1;
        return NGX_CONF_OK;
    }

    type = conf->types->elts;

    for (i = 0; i < conf->types->nelts; i++) {
        bit = ngx_http_jelou_type_bit(conf->schema.endpoint, &type[i]);

        if (bit == 0) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"jelou_endpoint %V\" has no type \"%V\", "
                          "see \"jelou_types\" in %s:%ui",
                          &conf->schema.endpoint->name, &type[i],
                          conf->types_place.file, conf->types_place.line);
            return NGX_CONF_ERROR;
        }

        conf->allowed |= bit;
    }

    return NGX_CONF_OK;
}


/* The fixed values, and what is said and written of them, made once. */

static char *
ngx_http_jelou_merge_fixed(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *prev,
    ngx_http_jelou_loc_conf_t *conf)
{
    u_char                  *p;
    size_t                   len;
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_http_jelou_fixed_t  *fixed;

    static ngx_str_t  defaults[] = {
        ngx_string("messages"),
        ngx_string("message_event"),
        ngx_null_string                  /* the endpoint's name */
    };

    for (i = 0; i < NGX_HTTP_JELOU_NFIXED; i++) {
        value = &conf->fixed[i];

        if (value->data == NULL) {
            *value = prev->fixed[i];
        }

        if (conf->schema.endpoint == NULL) {
            continue;
        }

        fixed = &conf->schema.fixed[i];

        if (value->data) {
            fixed->value = *value;

        } else if (defaults[i].len) {
            fixed->value = defaults[i];

        } else {
            fixed->value = conf->schema.endpoint->name;
        }

        len = fixed->value.len
              + ngx_escape_json(NULL, fixed->value.data, fixed->value.len);

        /* twice escaped, a byte may become 12, as "\\u0000" */

        p = ngx_pnalloc(cf->pool, len + 2 + sizeof("must be ") - 1
                                  + 2 * (len + 2));
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        fixed->json.data = p;
        *p++ = '"';
        p = (u_char *) ngx_escape_json(p, fixed->value.data,
                                       fixed->value.len);
        *p++ = '"';
        fixed->json.len = p - fixed->json.data;

        fixed->message.data = p;
        p = ngx_cpymem(p, "must be ", sizeof("must be ") - 1);
        p = (u_char *) ngx_escape_json(p, fixed->json.data, fixed->json.len);
        fixed->message.len = p - fixed->message.data;
    }

    return NGX_CONF_OK;
}


/* The schemes of both kinds of URL, and what is said of others, made once. */

static char *
ngx_http_jelou_merge_schemes(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *conf)
{
    u_char                *p;
    size_t                 len;
    ngx_str_t             *scheme, message;
    ngx_uint_t             i;
    ngx_http_jelou_url_t  *urls;

    urls = conf->schema.urls;

    if (conf->schemes == NULL) {
        ngx_http_jelou_url_defaults(urls);
        return NGX_CONF_OK;
    }

    scheme = conf->schemes->elts;
    len = sizeof("must be a URL of: ") - 1;

    for (i = 0; i < conf->schemes->nelts; i++) {
        len += scheme[i].len + sizeof(", ") - 1;
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    message.data = p;
    p = ngx_cpymem(p, "must be a URL of: ", sizeof("must be a URL of: ") - 1);

    for (i = 0; i < conf->schemes->nelts; i++) {

        if (i) {
            *p++ = ',';
            *p++ = ' ';
        }

        p = ngx_cpymem(p, scheme[i].data, scheme[i].len);
    }

    message.len = p - message.data;

    for (i = 0; i < NGX_HTTP_JELOU_NURLS; i++) {
        urls[i].schemes = conf->schemes;
        urls[i].message = message;
    }

    return NGX_CONF_OK;
}
