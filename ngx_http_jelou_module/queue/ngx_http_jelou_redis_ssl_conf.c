
/*
 * The directives of TLS to Redis, which are proxy_ssl_*'s.
 */


#include "ngx_http_jelou_redis_conf.h"


#if (NGX_HTTP_SSL)


#define NGX_HTTP_JELOU_REDIS_PROTOCOLS                                        \
    (NGX_CONF_BITMASK_SET|NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3)


static ngx_int_t ngx_http_jelou_redis_ssl_load(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_http_jelou_redis_loc_conf_t *conf);


static ngx_conf_bitmask_t  ngx_http_jelou_redis_ssl_protocols[] = {
    { ngx_string("TLSv1"), NGX_SSL_TLSv1 },
    { ngx_string("TLSv1.1"), NGX_SSL_TLSv1_1 },
    { ngx_string("TLSv1.2"), NGX_SSL_TLSv1_2 },
    { ngx_string("TLSv1.3"), NGX_SSL_TLSv1_3 },
    { ngx_null_string, 0 }
};


char *
ngx_http_jelou_redis_set_ssl_protocols(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_command_t  slot;

    slot = *cmd;
    slot.offset = offsetof(ngx_http_jelou_redis_loc_conf_t, ssl_protocols);
    slot.post = ngx_http_jelou_redis_ssl_protocols;

    return ngx_conf_set_bitmask_slot(cf, &slot, conf);
}


char *
ngx_http_jelou_redis_set_ssl_password_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_jelou_redis_loc_conf_t *rlcf = conf;

    ngx_str_t  *value;

    if (rlcf->ssl_passwords != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rlcf->ssl_passwords = ngx_ssl_read_password_file(cf, &value[1]);

    return rlcf->ssl_passwords ? NGX_CONF_OK : NGX_CONF_ERROR;
}


void
ngx_http_jelou_redis_ssl_unset(ngx_http_jelou_redis_loc_conf_t *conf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->ssl_protocols = 0;
     *     conf->ssl_ciphers = { 0, NULL }, and the other texts
     */

    conf->ssl = NGX_CONF_UNSET;
    conf->ssl_session_reuse = NGX_CONF_UNSET;
    conf->ssl_server_name = NGX_CONF_UNSET;
    conf->ssl_verify = NGX_CONF_UNSET;
    conf->ssl_verify_depth = NGX_CONF_UNSET_UINT;
    conf->ssl_passwords = NGX_CONF_UNSET_PTR;
}


char *
ngx_http_jelou_redis_ssl_merge(ngx_conf_t *cf,
    ngx_http_jelou_redis_loc_conf_t *prev,
    ngx_http_jelou_redis_loc_conf_t *conf)
{
    ngx_conf_merge_value(conf->ssl, prev->ssl, 0);
    ngx_conf_merge_value(conf->ssl_session_reuse, prev->ssl_session_reuse, 1);
    ngx_conf_merge_value(conf->ssl_server_name, prev->ssl_server_name, 0);
    ngx_conf_merge_value(conf->ssl_verify, prev->ssl_verify, 1);
    ngx_conf_merge_uint_value(conf->ssl_verify_depth, prev->ssl_verify_depth,
                              1);
    ngx_conf_merge_bitmask_value(conf->ssl_protocols, prev->ssl_protocols,
                                 NGX_HTTP_JELOU_REDIS_PROTOCOLS);
    ngx_conf_merge_str_value(conf->ssl_ciphers, prev->ssl_ciphers, "DEFAULT");
    ngx_conf_merge_str_value(conf->ssl_name, prev->ssl_name, "");
    ngx_conf_merge_str_value(conf->ssl_trusted_certificate,
                             prev->ssl_trusted_certificate, "");
    ngx_conf_merge_str_value(conf->ssl_crl, prev->ssl_crl, "");
    ngx_conf_merge_str_value(conf->ssl_certificate, prev->ssl_certificate, "");
    ngx_conf_merge_str_value(conf->ssl_certificate_key,
                             prev->ssl_certificate_key, "");
    ngx_conf_merge_ptr_value(conf->ssl_passwords, prev->ssl_passwords, NULL);

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_http_jelou_redis_ssl_alike(ngx_http_jelou_redis_loc_conf_t *one,
    ngx_http_jelou_redis_loc_conf_t *two)
{
    if (!one->ssl && !two->ssl) {
        return 1;
    }

    return one->ssl == two->ssl
           && one->ssl_session_reuse == two->ssl_session_reuse
           && one->ssl_server_name == two->ssl_server_name
           && one->ssl_verify == two->ssl_verify
           && one->ssl_protocols == two->ssl_protocols
           && one->ssl_verify_depth == two->ssl_verify_depth
           && one->ssl_passwords == two->ssl_passwords
           && ngx_http_jelou_same(&one->ssl_ciphers, &two->ssl_ciphers)
           && ngx_http_jelou_same(&one->ssl_name, &two->ssl_name)
           && ngx_http_jelou_same(&one->ssl_trusted_certificate,
                                  &two->ssl_trusted_certificate)
           && ngx_http_jelou_same(&one->ssl_crl, &two->ssl_crl)
           && ngx_http_jelou_same(&one->ssl_certificate,
                                  &two->ssl_certificate)
           && ngx_http_jelou_same(&one->ssl_certificate_key,
                                  &two->ssl_certificate_key);
}


ngx_int_t
ngx_http_jelou_redis_ssl_settings(ngx_conf_t *cf,
    ngx_http_jelou_redis_settings_t *settings,
    ngx_http_jelou_redis_loc_conf_t *conf)
{
    ngx_ssl_t           *ssl;
    const char          *missing;
    ngx_pool_cleanup_t  *cln;

    missing = conf->ssl_certificate.len && conf->ssl_certificate_key.len == 0
              ? "jelou_redis_ssl_certificate_key"
              : conf->ssl_verify && conf->ssl_trusted_certificate.len == 0
              ? "jelou_redis_ssl_trusted_certificate" : NULL;

    if (missing) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"jelou_redis_ssl\" needs a \"%s\" in %s:%ui",
                      missing, conf->pass_place.file, conf->pass_place.line);
        return NGX_ERROR;
    }

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, conf->ssl_protocols, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    if (ngx_http_jelou_redis_ssl_load(cf, ssl, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    settings->ssl = ssl;
    settings->ssl_name = conf->ssl_name;
    settings->ssl_server_name = conf->ssl_server_name;
    settings->ssl_verify = conf->ssl_verify;
    settings->ssl_session_reuse = conf->ssl_session_reuse;

    return NGX_OK;
}


static ngx_int_t
ngx_http_jelou_redis_ssl_load(ngx_conf_t *cf, ngx_ssl_t *ssl,
    ngx_http_jelou_redis_loc_conf_t *conf)
{
    if (ngx_ssl_ciphers(cf, ssl, &conf->ssl_ciphers, 0) != NGX_OK
        || (conf->ssl_certificate.len
            && ngx_ssl_certificate(cf, ssl, &conf->ssl_certificate,
                                   &conf->ssl_certificate_key,
                                   conf->ssl_passwords)
               != NGX_OK)
        || (conf->ssl_verify
            && (ngx_ssl_trusted_certificate(cf, ssl,
                                            &conf->ssl_trusted_certificate,
                                            conf->ssl_verify_depth)
                != NGX_OK
                || ngx_ssl_crl(cf, ssl, &conf->ssl_crl) != NGX_OK)))
    {
        return NGX_ERROR;
    }

    return ngx_ssl_client_session_cache(cf, ssl, conf->ssl_session_reuse);
}


#endif
