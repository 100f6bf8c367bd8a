
/*
 * The file that has the password of a server.
 */


#include "ngx_http_jelou_redis_conf.h"

#include <openssl/crypto.h>


static char *ngx_http_jelou_redis_auth_line(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_str_t *text, u_char *p, u_char *last);
static ngx_int_t ngx_http_jelou_redis_auth_text(ngx_conf_t *cf,
    ngx_str_t *text, ngx_uint_t n, ngx_str_t *words);
static void ngx_http_jelou_redis_auth_wipe(void *data);
static ngx_uint_t ngx_http_jelou_redis_words(u_char *p, u_char *last,
    ngx_str_t *words, ngx_uint_t max);


/* The file's name, or off; the command is empty then. */

char *
ngx_http_jelou_redis_set_auth_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char       *p = conf;

    char       *rv;
    size_t      len;
    u_char     *data;
    ngx_str_t  *value, *text;

    text = (ngx_str_t *) (p + cmd->offset);

    if (text->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(text, "");
        return NGX_CONF_OK;
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    data = ngx_http_jelou_secret_load(cf, &value[1], (char *) cmd->name.data,
                                      &len);
    if (data == NULL) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_jelou_redis_auth_line(cf, cmd, text, data, data + len);

    OPENSSL_cleanse(data, len);
    ngx_free(data);

    return rv;
}


/* One line that is neither empty nor a comment: "password", or with a user. */

static char *
ngx_http_jelou_redis_auth_line(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *text, u_char *p, u_char *last)
{
    u_char      *eol;
    ngx_str_t   *value, words[4];
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

        if (ngx_http_jelou_redis_auth_text(cf, text, 1 + n, words) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (p < last || lines == 0) {
        value = cf->args->elts;

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\": \"%V\" does not have one line "
                           "\"user password\" or \"password\"",
                           &cmd->name, &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* It is wiped when the configuration is given up. */

static ngx_int_t
ngx_http_jelou_redis_auth_text(ngx_conf_t *cf, ngx_str_t *text, ngx_uint_t n,
    ngx_str_t *words)
{
    ngx_str_t           *wiped;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(ngx_str_t));

    if (cln == NULL
        || ngx_http_jelou_redis_text(cf->pool, text, n, words) != NGX_OK)
    {
        return NGX_ERROR;
    }

    wiped = cln->data;
    *wiped = *text;

    cln->handler = ngx_http_jelou_redis_auth_wipe;

    return NGX_OK;
}


static void
ngx_http_jelou_redis_auth_wipe(void *data)
{
    ngx_str_t  *text = data;

    OPENSSL_cleanse(text->data, text->len);
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
