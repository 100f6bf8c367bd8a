
/*
 * A location takes over what is written around it, and has to make sense then.
 */


#include "ngx_http_jelou_conf.h"
#include "ngx_http_jelou_handler.h"
#include "ngx_http_jelou_lint.h"
#include "ngx_http_jelou_rule.h"


#define NGX_HTTP_JELOU_DEDUP_WAIT  5000


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
static char *ngx_http_jelou_merge_texts(ngx_conf_t *cf,
    ngx_http_jelou_fixed_t *fixed);
static char *ngx_http_jelou_merge_schemes(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *conf);


char *
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

    if (ngx_http_jelou_merge_fixed(cf, prev, conf) != NGX_CONF_OK
        || ngx_http_jelou_merge_status(cf, prev, conf) != NGX_CONF_OK)
    {
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

    if (ngx_http_jelou_merge_schemes(cf, conf) != NGX_CONF_OK
        || ngx_http_jelou_merge_access(cf, conf) != NGX_CONF_OK
        || ngx_http_jelou_merge_handler(cf, prev, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_jelou_merge_size(cf);

    if (ngx_http_jelou_lint_cache(cf, "jelou_endpoint", &conf->endpoint_place)
        != NGX_CONF_OK
        || ngx_http_jelou_lint_send(cf, conf) != NGX_CONF_OK
        || ngx_http_jelou_lint_add(cf) != NGX_OK
        || ngx_http_jelou_merge_dedup(cf, conf) != NGX_CONF_OK)
    {
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
 * An endpoint that Jelou signs for has a secret, or says that there is none.
 * Another one says who looks at who may send: most of what could check that
 * cannot be seen here.
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


static char *
ngx_http_jelou_merge_fixed(ngx_conf_t *cf, ngx_http_jelou_loc_conf_t *prev,
    ngx_http_jelou_loc_conf_t *conf)
{
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

        if (ngx_http_jelou_merge_texts(cf, fixed) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* What is written and said of a fixed value, made once. */

static char *
ngx_http_jelou_merge_texts(ngx_conf_t *cf, ngx_http_jelou_fixed_t *fixed)
{
    u_char  *p;
    size_t   len;

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
    p = (u_char *) ngx_escape_json(p, fixed->value.data, fixed->value.len);
    *p++ = '"';
    fixed->json.len = p - fixed->json.data;

    fixed->message.data = p;
    p = ngx_cpymem(p, "must be ", sizeof("must be ") - 1);
    p = (u_char *) ngx_escape_json(p, fixed->json.data, fixed->json.len);
    fixed->message.len = p - fixed->message.data;

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
        p = ngx_sprintf(p, "%s%V", i ? ", " : "", &scheme[i]);
    }

    message.len = p - message.data;

    for (i = 0; i < NGX_HTTP_JELOU_NURLS; i++) {
        urls[i].schemes = conf->schemes;
        urls[i].message = message;
    }

    return NGX_CONF_OK;
}
