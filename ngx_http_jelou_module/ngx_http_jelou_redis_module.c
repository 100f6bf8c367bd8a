
/*
 * The directives of the queue, jelou_redis_pass and others, and the module's
 * definition.
 */


#include "ngx_http_jelou_redis.h"

#include <openssl/crypto.h>


static char *ngx_http_jelou_redis_pass(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_jelou_redis_set_stream(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_jelou_redis_set_dedup(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_jelou_redis_set_auth_file(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_jelou_redis_auth(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *rlcf, ngx_str_t *file, u_char *p,
    u_char *last);
static ngx_uint_t ngx_http_jelou_redis_words(u_char *p, u_char *last,
    ngx_str_t *words, ngx_uint_t max);
static char *ngx_http_jelou_redis_set_db(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static void *ngx_http_jelou_redis_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_jelou_redis_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_jelou_redis_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static void ngx_http_jelou_redis_merge_upstream(
    ngx_http_upstream_conf_t *prev, ngx_http_upstream_conf_t *conf);
static char *ngx_http_jelou_redis_merge_pass(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf);
static char *ngx_http_jelou_redis_merge_dedup(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf);
static ngx_int_t ngx_http_jelou_redis_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_jelou_redis_before(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf, ngx_uint_t select);


static ngx_conf_bitmask_t  ngx_http_jelou_redis_next_upstream_masks[] = {
    { ngx_string("error"), NGX_HTTP_UPSTREAM_FT_ERROR },
    { ngx_string("timeout"), NGX_HTTP_UPSTREAM_FT_TIMEOUT },
    { ngx_string("invalid_response"), NGX_HTTP_UPSTREAM_FT_INVALID_HEADER },
    { ngx_string("unavailable"), NGX_HTTP_UPSTREAM_FT_HTTP_503 },
    { ngx_string("non_idempotent"), NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT },
    { ngx_string("off"), NGX_HTTP_UPSTREAM_FT_OFF },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_jelou_redis_commands[] = {

    { ngx_string("jelou_redis_pass"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_redis_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_redis_stream"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_jelou_redis_set_stream,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_redis_dedup"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_jelou_redis_set_dedup,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_redis_auth_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_redis_set_auth_file,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_redis_db"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_jelou_redis_set_db,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("jelou_redis_connect_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_redis_loc_conf_t, upstream.connect_timeout),
      NULL },

    { ngx_string("jelou_redis_send_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_redis_loc_conf_t, upstream.send_timeout),
      NULL },

    { ngx_string("jelou_redis_read_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_redis_loc_conf_t, upstream.read_timeout),
      NULL },

    { ngx_string("jelou_redis_buffer_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_redis_loc_conf_t, upstream.buffer_size),
      NULL },

    { ngx_string("jelou_redis_next_upstream"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_redis_loc_conf_t, upstream.next_upstream),
      &ngx_http_jelou_redis_next_upstream_masks },

    { ngx_string("jelou_redis_next_upstream_tries"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_redis_loc_conf_t, upstream.next_upstream_tries),
      NULL },

    { ngx_string("jelou_redis_next_upstream_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_jelou_redis_loc_conf_t,
               upstream.next_upstream_timeout),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_jelou_redis_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_jelou_redis_postconfiguration, /* postconfiguration */

    ngx_http_jelou_redis_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_jelou_redis_create_loc_conf,  /* create location configuration */
    ngx_http_jelou_redis_merge_loc_conf    /* merge location configuration */
};


ngx_module_t  ngx_http_jelou_redis_module = {
    NGX_MODULE_V1,
    &ngx_http_jelou_redis_module_ctx,      /* module context */
    ngx_http_jelou_redis_commands,         /* module directives */
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
ngx_http_jelou_redis_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_str_t                         *value;
    ngx_url_t                          u;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    if (rlcf->upstream.upstream) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = value[1];
    u.default_port = 6379;
    u.no_resolve = 1;

    rlcf->upstream.upstream = ngx_http_upstream_add(cf, &u, 0);
    if (rlcf->upstream.upstream == NULL) {
        return NGX_CONF_ERROR;
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


/* name [maxlen=number] */

static char *
ngx_http_jelou_redis_set_stream(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

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

    if (ngx_strncmp(value[2].data, "maxlen=", 7) == 0) {
        n = ngx_atoi(value[2].data + 7, value[2].len - 7);

        if (n != NGX_ERROR && n != 0) {
            rlcf->maxlen.data = value[2].data + 7;
            rlcf->maxlen.len = value[2].len - 7;

            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\" directive",
                       &value[2], &cmd->name);

    return NGX_CONF_ERROR;
}


/* time [key=string], or off */

static char *
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

    rlcf->ttl.data = ngx_pnalloc(cf->pool, NGX_INT_T_LEN);
    if (rlcf->ttl.data == NULL) {
        return NGX_CONF_ERROR;
    }

    rlcf->dedup = ttl;
    rlcf->ttl.len = ngx_sprintf(rlcf->ttl.data, "%i", ttl) - rlcf->ttl.data;

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


static char *
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

        if (ngx_http_jelou_redis_command_add(cf->pool, &rlcf->auth, 1 + n,
                                             words)
            != NGX_OK)
        {
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


static char *
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


static void *
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


static void *
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
     *     conf->upstream.next_upstream = 0;
     *     conf->upstream.buffering = 0;
     *     conf->upstream.pass_request_headers = 0;
     *     conf->upstream.pass_request_body = 0;
     *     conf->maxlen = { 0, NULL };
     *     conf->ttl = { 0, NULL };
     *     conf->dedup_key = NULL;
     *     conf->auth = { 0, NULL };
     *     conf->auth_set = 0;
     */

    conf->upstream.next_upstream_tries = NGX_CONF_UNSET_UINT;
    conf->upstream.connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.send_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.read_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.next_upstream_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.buffer_size = NGX_CONF_UNSET_SIZE;

    /*
     * the hardcoded values: what has been sent is answered for even if the
     * sender goes away, so that its retry is a replay; error_page sees the
     * one status that is no failure, 422
     */

    conf->upstream.ignore_client_abort = 1;
    conf->upstream.intercept_errors = 1;

    conf->stream = NGX_CONF_UNSET_PTR;
    conf->dedup = NGX_CONF_UNSET;
    conf->db = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_http_jelou_redis_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_jelou_redis_loc_conf_t *prev = parent;
    ngx_http_jelou_redis_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_http_jelou_redis_merge_upstream(&prev->upstream, &conf->upstream);

    if (conf->stream == NGX_CONF_UNSET_PTR) {
        conf->maxlen = prev->maxlen;
        conf->stream_place = prev->stream_place;
    }

    ngx_conf_merge_ptr_value(conf->stream, prev->stream, NULL);

    if (conf->dedup == NGX_CONF_UNSET) {
        conf->ttl = prev->ttl;
        conf->dedup_key = prev->dedup_key;
        conf->dedup_place = prev->dedup_place;
    }

    ngx_conf_merge_sec_value(conf->dedup, prev->dedup, 0);
    ngx_conf_merge_value(conf->db, prev->db, 0);

    if (!conf->auth_set) {
        conf->auth = prev->auth;
    }

    /* inside an "if" the location's handler is called all the same */

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->upstream.upstream == NULL && clcf->noname) {
        conf->upstream.upstream = prev->upstream.upstream;
        conf->pass_place = prev->pass_place;
    }

    if (conf->upstream.upstream == NULL) {
        return NGX_CONF_OK;
    }

    if (ngx_http_jelou_redis_merge_pass(cf, conf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_http_jelou_redis_merge_dedup(cf, conf);
}


static void
ngx_http_jelou_redis_merge_upstream(ngx_http_upstream_conf_t *prev,
    ngx_http_upstream_conf_t *conf)
{
    ngx_conf_merge_uint_value(conf->next_upstream_tries,
                              prev->next_upstream_tries, 0);

    ngx_conf_merge_msec_value(conf->connect_timeout,
                              prev->connect_timeout, 60000);

    ngx_conf_merge_msec_value(conf->send_timeout,
                              prev->send_timeout, 60000);

    ngx_conf_merge_msec_value(conf->read_timeout,
                              prev->read_timeout, 60000);

    ngx_conf_merge_msec_value(conf->next_upstream_timeout,
                              prev->next_upstream_timeout, 0);

    ngx_conf_merge_size_value(conf->buffer_size,
                              prev->buffer_size, (size_t) ngx_pagesize);

    ngx_conf_merge_bitmask_value(conf->next_upstream,
                              prev->next_upstream,
                              (NGX_CONF_BITMASK_SET
                               |NGX_HTTP_UPSTREAM_FT_ERROR
                               |NGX_HTTP_UPSTREAM_FT_TIMEOUT
                               |NGX_HTTP_UPSTREAM_FT_HTTP_503));

    if (conf->next_upstream & NGX_HTTP_UPSTREAM_FT_OFF) {
        conf->next_upstream = NGX_CONF_BITMASK_SET
                              |NGX_HTTP_UPSTREAM_FT_OFF;
    }
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

    /* after a reply that means "not here" another server may be asked */

    conf->elsewhere = conf->upstream;

    if (conf->upstream.next_upstream & NGX_HTTP_UPSTREAM_FT_HTTP_503) {
        conf->elsewhere.next_upstream |= NGX_HTTP_UPSTREAM_FT_INVALID_HEADER
                                         |NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;
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


/*
 * What goes before a command depends on who else uses a group's connections.
 * Which database a kept one has is not known if any location names one.  Nor
 * is which user: that cannot be undone, so that all have to have one, or none.
 */

static ngx_int_t
ngx_http_jelou_redis_postconfiguration(ngx_conf_t *cf)
{
    ngx_uint_t                         i, j, select;
    ngx_http_jelou_redis_loc_conf_t  **pass;
    ngx_http_jelou_redis_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_jelou_redis_module);

    pass = rmcf->passes.elts;

    for (i = 0; i < rmcf->passes.nelts; i++) {

        select = 0;

        for (j = 0; j < rmcf->passes.nelts; j++) {

            if (pass[j]->upstream.upstream != pass[i]->upstream.upstream) {
                continue;
            }

            select |= (pass[j]->db != 0);

            if (pass[i]->auth.len && pass[j]->auth.len == 0) {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "\"jelou_redis_pass\" needs a "
                              "\"jelou_redis_auth_file\" in %s:%ui, for it "
                              "shares connections with the one in %s:%ui",
                              pass[j]->pass_place.file,
                              pass[j]->pass_place.line,
                              pass[i]->pass_place.file,
                              pass[i]->pass_place.line);
                return NGX_ERROR;
            }
        }

        if (ngx_http_jelou_redis_before(cf, pass[i], select) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_redis_before(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *conf, ngx_uint_t select)
{
    u_char     number[NGX_INT_T_LEN];
    ngx_str_t  words[2];

    conf->before = conf->auth;
    conf->nbefore = conf->auth.len ? 1 : 0;

    if (!select) {
        return NGX_OK;
    }

    ngx_str_set(&words[0], "SELECT");

    words[1].data = number;
    words[1].len = ngx_sprintf(number, "%i", conf->db) - number;

    conf->nbefore++;

    return ngx_http_jelou_redis_command_add(cf->pool, &conf->before, 2, words);
}
