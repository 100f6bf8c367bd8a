
/*
 * The files that secrets come from.
 */


#include "ngx_http_jelou_secret.h"

#include <openssl/crypto.h>


#define NGX_HTTP_JELOU_FILE_MAX      (64 * 1024 * 1024)


typedef struct {
    ngx_conf_t                  *cf;
    ngx_http_jelou_secrets_t    *secrets;
    const char                  *directive;
    ngx_str_t                   *name;       /* the file's */
    ngx_uint_t                   line;
} ngx_http_jelou_file_t;


static ngx_int_t ngx_http_jelou_secret_size(ngx_conf_t *cf, ngx_file_t *file,
    const char *directive, size_t *len);
static char *ngx_http_jelou_secret_lines(ngx_http_jelou_file_t *file,
    u_char *p, u_char *last);
static char *ngx_http_jelou_secret_line(ngx_http_jelou_file_t *file,
    u_char *p, u_char *last);
static char *ngx_http_jelou_secret_words(ngx_http_jelou_file_t *file,
    u_char *p, u_char *last, ngx_str_t *id, ngx_str_t *value);
static void ngx_http_jelou_secret_other_format(ngx_http_jelou_file_t *file,
    ngx_str_t *id, ngx_str_t *value);
static ngx_uint_t ngx_http_jelou_assignment(u_char *p, u_char *last);
static char *ngx_http_jelou_secret_bad_line(ngx_http_jelou_file_t *file,
    const char *why);
static ngx_array_t *ngx_http_jelou_secret_project(ngx_http_jelou_file_t *file,
    ngx_str_t *id);


char *
ngx_http_jelou_secrets_read(ngx_conf_t *cf, ngx_http_jelou_secrets_t *secrets,
    ngx_str_t *name, const char *directive)
{
    char                   *rv;
    size_t                  len;
    u_char                 *data;
    ngx_http_jelou_file_t   file;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    data = ngx_http_jelou_secret_load(cf, name, directive, &len);
    if (data == NULL) {
        return NGX_CONF_ERROR;
    }

    file.cf = cf;
    file.secrets = secrets;
    file.directive = directive;
    file.name = name;

    rv = ngx_http_jelou_secret_lines(&file, data, data + len);

    OPENSSL_cleanse(data, len);
    ngx_free(data);

    if (rv != NGX_CONF_OK || !secrets->has_projects) {
        return rv;
    }

    return ngx_http_jelou_secret_dummy(cf, secrets);
}


u_char *
ngx_http_jelou_secret_load(ngx_conf_t *cf, ngx_str_t *name,
    const char *directive, size_t *len)
{
    u_char      *data;
    ssize_t      n;
    ngx_file_t   file;

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name = *name;
    file.log = cf->log;

    /* opening a FIFO must not wait for a writer */

    file.fd = ngx_open_file(name->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                            NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"%s\": " ngx_open_file_n " \"%V\" failed",
                           directive, name);
        return NULL;
    }

    data = NULL;

    if (ngx_http_jelou_secret_size(cf, &file, directive, len) != NGX_OK) {
        goto done;
    }

    data = ngx_alloc(*len + 1, cf->log);
    if (data == NULL) {
        goto done;
    }

    n = ngx_read_file(&file, data, *len, 0);

    if (n == NGX_ERROR || (size_t) n != *len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"%s\": " ngx_read_file_n " \"%V\" failed",
                           directive, name);
        OPENSSL_cleanse(data, *len);
        ngx_free(data);
        data = NULL;
    }

done:

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", name);
    }

    return data;
}


static ngx_int_t
ngx_http_jelou_secret_size(ngx_conf_t *cf, ngx_file_t *file,
    const char *directive, size_t *len)
{
    ngx_file_info_t  fi;

    if (ngx_fd_info(file->fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"%s\": " ngx_fd_info_n " \"%V\" failed",
                           directive, &file->name);
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi) || ngx_file_size(&fi) > NGX_HTTP_JELOU_FILE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%s\": \"%V\" is not a file of at most %d bytes",
                           directive, &file->name, NGX_HTTP_JELOU_FILE_MAX);
        return NGX_ERROR;
    }

    if (ngx_file_access(&fi) & (S_IROTH|S_IWOTH)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%s\": others can read or write \"%V\"",
                           directive, &file->name);
    }

    *len = (size_t) ngx_file_size(&fi);

    return NGX_OK;
}


static char *
ngx_http_jelou_secret_lines(ngx_http_jelou_file_t *file, u_char *p,
    u_char *last)
{
    u_char      *eol, *end;
    ngx_uint_t   n;

    n = file->secrets->secrets.nelts;

    file->line = 1;

    if (last - p >= 3 && ngx_memcmp(p, "\xef\xbb\xbf", 3) == 0) {
        return ngx_http_jelou_secret_bad_line(file,
                                              "begins with a byte order mark");
    }

    for ( /* void */ ; p < last; file->line++) {

        for (eol = p; eol < last && *eol != '\n'; eol++) { /* void */ }

        for (end = eol; end > p && ngx_http_jelou_space(end[-1]); end--) {
            /* void */
        }

        while (p < end && ngx_http_jelou_space(*p)) { p++; }

        if (p < end && *p != '#'
            && ngx_http_jelou_secret_line(file, p, end) != NGX_CONF_OK)
        {
            return NGX_CONF_ERROR;
        }

        p = eol + 1;
    }

    if (file->secrets->secrets.nelts == n && !file->secrets->has_projects) {
        ngx_conf_log_error(NGX_LOG_EMERG, file->cf, 0,
                           "\"%s\": no secret in \"%V\"",
                           file->directive, file->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* One line without the white space around it, which is not empty. */

static char *
ngx_http_jelou_secret_line(ngx_http_jelou_file_t *file, u_char *p,
    u_char *last)
{
    ngx_str_t                 id, value, none;
    ngx_array_t              *secrets;
    ngx_http_jelou_secret_t  *secret;

    if (ngx_http_jelou_secret_words(file, p, last, &id, &value)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    secrets = &file->secrets->secrets;

    if (value.data != id.data) {
        secrets = ngx_http_jelou_secret_project(file, &id);
        if (secrets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_http_jelou_secret_other_format(file, &id, &value);

    if (value.len < NGX_HTTP_JELOU_SECRET_SHORT) {
        ngx_conf_log_error(NGX_LOG_WARN, file->cf, 0,
                           "\"%s\": the secret in \"%V\":%ui "
                           "has fewer than %d bytes", file->directive,
                           file->name, file->line, NGX_HTTP_JELOU_SECRET_SHORT);
    }

    secret = ngx_array_push(secrets);
    if (secret == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(secret, sizeof(ngx_http_jelou_secret_t));

    secret->place = file->line;
    secret->in_file = 1;

    file->secrets->most = ngx_max(file->secrets->most, secrets->nelts);

    /* the file's bytes are wiped when it has been read */

    ngx_str_null(&none);

    secret->key = ngx_http_jelou_secret_key(file->cf, &value, &none);

    return secret->key ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* The same word twice is a secret of all projects. */

static char *
ngx_http_jelou_secret_words(ngx_http_jelou_file_t *file, u_char *p,
    u_char *last, ngx_str_t *id, ngx_str_t *value)
{
    u_char  *q;

    id->data = p;
    id->len = last - p;
    *value = *id;

    for (q = p; q < last; q++) {
        if ((*q < 0x20 && *q != '\t') || *q == 0x7f) {
            return ngx_http_jelou_secret_bad_line(file,
                                                  "has a control character");
        }
    }

    for (q = p; q < last && !ngx_http_jelou_space(*q); q++) { /* void */ }

    if (q == last) {
        return NGX_CONF_OK;
    }

    id->len = q - p;

    while (ngx_http_jelou_space(*q)) { q++; }

    value->data = q;
    value->len = last - q;

    for ( /* void */ ; q < last; q++) {
        if (ngx_http_jelou_space(*q)) {
            return ngx_http_jelou_secret_bad_line(file,
                                "has more than a project id and a secret");
        }
    }

    if (id->len > 256) {
        return ngx_http_jelou_secret_bad_line(file,
                                "has a project id of more than 256 bytes");
    }

    return NGX_CONF_OK;
}


/*
 * What is written in the format of another program's file is read as this
 * one's, and then nobody has the secret.
 */

static void
ngx_http_jelou_secret_other_format(ngx_http_jelou_file_t *file, ngx_str_t *id,
    ngx_str_t *value)
{
    const char  *what;

    what = NULL;

    if (ngx_strchr("{}[]\"", id->data[0])) {
        what = "JSON";

    } else if (ngx_http_jelou_assignment(id->data, id->data + id->len)
               || ngx_http_jelou_assignment(value->data,
                                            value->data + value->len)
               || (value->data != id->data && id->data[id->len - 1] == ':'))
    {
        what = "an assignment";
    }

    if (what) {
        ngx_conf_log_error(NGX_LOG_WARN, file->cf, 0,
                           "\"%s\": the line in \"%V\":%ui looks like %s",
                           file->directive, file->name, file->line, what);
    }
}


/* NAME=value, and not the "=" at the end of what is in base64 */

static ngx_uint_t
ngx_http_jelou_assignment(u_char *p, u_char *last)
{
    u_char  *name;

    for (name = p; p < last; p++) {

        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
              || (*p >= '0' && *p <= '9') || *p == '_'))
        {
            break;
        }
    }

    return p > name && last - p > 1 && p[0] == '=' && p[1] != '=';
}


static char *
ngx_http_jelou_secret_bad_line(ngx_http_jelou_file_t *file, const char *why)
{
    ngx_conf_log_error(NGX_LOG_EMERG, file->cf, 0,
                       "\"%s\": the line in \"%V\":%ui %s",
                       file->directive, file->name, file->line, why);

    return NGX_CONF_ERROR;
}


static ngx_array_t *
ngx_http_jelou_secret_project(ngx_http_jelou_file_t *file, ngx_str_t *id)
{
    uint32_t                   hash;
    ngx_pool_t                *pool;
    ngx_rbtree_t              *projects;
    ngx_http_jelou_project_t  *project;

    pool = file->cf->pool;
    projects = &file->secrets->projects;
    hash = ngx_murmur_hash2(id->data, id->len);

    project = (ngx_http_jelou_project_t *) ngx_str_rbtree_lookup(projects, id,
                                                                 hash);
    if (project) {
        return &project->secrets;
    }

    project = ngx_pcalloc(pool, sizeof(ngx_http_jelou_project_t));
    if (project == NULL) {
        return NULL;
    }

    project->sn.node.key = hash;
    project->sn.str.len = id->len;
    project->sn.str.data = ngx_pstrdup(pool, id);

    if (project->sn.str.data == NULL
        || ngx_array_init(&project->secrets, pool, 1,
                          sizeof(ngx_http_jelou_secret_t))
           != NGX_OK)
    {
        return NULL;
    }

    ngx_rbtree_insert(projects, &project->sn.node);
    file->secrets->has_projects = 1;

    return &project->secrets;
}
