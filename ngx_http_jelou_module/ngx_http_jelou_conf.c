
/*
 * Directives of a location: what is written becomes what requests need.
 */


#include "ngx_http_jelou_conf.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_text.h"


static ngx_http_jelou_secrets_t *ngx_http_jelou_secrets(ngx_conf_t *cf,
    ngx_http_jelou_secrets_t **secrets);
static char *ngx_http_jelou_secrets_written(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_jelou_secrets_t **secrets);
static char *ngx_http_jelou_secrets_in_file(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_http_jelou_secrets_t **secrets, ngx_uint_t off);
static char *ngx_http_jelou_set_secret_off(ngx_conf_t *cf,
    ngx_http_jelou_loc_conf_t *jlcf);
static ngx_array_t *ngx_http_jelou_words(ngx_conf_t *cf, ngx_command_t *cmd,
    const char *wrong, ngx_uint_t (*known)(ngx_str_t *word));
static ngx_uint_t ngx_http_jelou_is_type(ngx_str_t *name);


static char  ngx_http_jelou_off_and_file[] =
    "stands beside \"off\", and one of them is not meant";


char *
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


static char *
ngx_http_jelou_secrets_written(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_jelou_secrets_t **secrets)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (ngx_http_jelou_secrets(cf, secrets) == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_jelou_secrets_add(cf, *secrets, &value[i],
                                       (char *) cmd->name.data, i)
            != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_jelou_secrets_in_file(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_jelou_secrets_t **secrets, ngx_uint_t off)
{
    ngx_str_t  *value;

    if (off) {
        return ngx_http_jelou_off_and_file;
    }

    if (ngx_http_jelou_secrets(cf, secrets) == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    return ngx_http_jelou_secrets_read(cf, *secrets, &value[1],
                                       (char *) cmd->name.data);
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


char *
ngx_http_jelou_set_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t  *value;

    if (jlcf->secret_set) {
        return "is duplicate";
    }

    jlcf->secret_set = 1;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return ngx_http_jelou_set_secret_off(cf, jlcf);
    }

    return ngx_http_jelou_secrets_written(cf, cmd, &jlcf->inherited);
}


char *
ngx_http_jelou_set_secret_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    if (jlcf->secret_file_set) {
        return "is duplicate";
    }

    jlcf->secret_file_set = 1;

    return ngx_http_jelou_secrets_in_file(cf, cmd, &jlcf->inherited,
                                          jlcf->secret_off);
}


char *
ngx_http_jelou_set_upstream_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    ngx_str_t  *value;

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

    return ngx_http_jelou_secrets_written(cf, cmd, &jlcf->upstream_secrets);
}


char *
ngx_http_jelou_set_upstream_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    if (jlcf->upstream_file_set) {
        return "is duplicate";
    }

    jlcf->upstream_file_set = 1;

    return ngx_http_jelou_secrets_in_file(cf, cmd, &jlcf->upstream_secrets,
                                          jlcf->upstream_secrets == NULL);
}


char *
ngx_http_jelou_set_types(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    if (jlcf->types != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    ngx_http_jelou_here(cf, &jlcf->types_place);

    jlcf->types = ngx_http_jelou_words(cf, cmd, "unknown type",
                                       ngx_http_jelou_is_type);

    return jlcf->types ? NGX_CONF_OK : NGX_CONF_ERROR;
}


char *
ngx_http_jelou_set_schemes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_loc_conf_t *jlcf = conf;

    if (jlcf->schemes != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    jlcf->schemes = ngx_http_jelou_words(cf, cmd, "invalid scheme",
                                         ngx_http_jelou_is_scheme);

    return jlcf->schemes ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* The arguments, each of them a known word, or NULL. */

static ngx_array_t *
ngx_http_jelou_words(ngx_conf_t *cf, ngx_command_t *cmd, const char *wrong,
    ngx_uint_t (*known)(ngx_str_t *word))
{
    ngx_str_t    *value;
    ngx_uint_t    i, n;
    ngx_array_t  *words;

    n = cf->args->nelts - 1;

    words = ngx_array_create(cf->pool, n, sizeof(ngx_str_t));
    if (words == NULL) {
        return NULL;
    }

    value = (ngx_str_t *) cf->args->elts + 1;

    for (i = 0; i < n; i++) {

        if (!known(&value[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "%s \"%V\" in \"%V\" directive",
                               wrong, &value[i], &cmd->name);
            return NULL;
        }
    }

    ngx_memcpy(ngx_array_push_n(words, n), value, n * sizeof(ngx_str_t));

    return words;
}


static ngx_uint_t
ngx_http_jelou_is_type(ngx_str_t *name)
{
    const ngx_http_jelou_endpoint_t  *e;

    for (e = ngx_http_jelou_endpoints; e->name.len; e++) {

        if (ngx_http_jelou_type_bit(e, name)) {
            return 1;
        }
    }

    return 0;
}


/* time [future=time] */

char *
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
        return NGX_HTTP_JELOU_TOO_LONG;
    }

    jlcf->tolerance = past;
    jlcf->future = future;

    return NGX_CONF_OK;
}


/* as ngx_conf_set_enum_slot(), which does not name the directive */

char *
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


char *
ngx_http_jelou_set_fixed(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t  *value = data;

    if (ngx_http_jelou_text_check(value->data, value->data + value->len)) {
        return "is not UTF-8";
    }

    return NGX_CONF_OK;
}
