
/*
 * The module's definition: its directives, and what nginx calls.
 */


#include "ngx_http_jelou_conf.h"
#include "ngx_http_jelou_forward.h"
#include "ngx_http_jelou_handover.h"
#include "ngx_http_jelou_lint.h"
#include "ngx_http_jelou_reply.h"
#include "ngx_http_jelou_status.h"
#include "ngx_http_jelou_variable.h"


static ngx_int_t ngx_http_jelou_postconfiguration(ngx_conf_t *cf);
static void *ngx_http_jelou_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_jelou_create_loc_conf(ngx_conf_t *cf);


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
      NGX_HTTP_MAIN_CONF_OFFSET,
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
    ngx_http_jelou_variables_add,          /* preconfiguration */
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


static ngx_int_t
ngx_http_jelou_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_jelou_lint_endpoints(cf);

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
           != NGX_OK
        || ngx_array_init(&conf->parts, cf->pool, 2,
                          sizeof(ngx_http_jelou_part_t *))
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
