
/*
 * What is wrong with an event, and where.
 */


#include "ngx_http_jelou_parse.h"


static size_t ngx_http_jelou_pointer(u_char *dst,
    const ngx_http_jelou_path_t *path, const ngx_str_t *name);


const ngx_http_jelou_path_t  ngx_http_jelou_root;


void
ngx_http_jelou_violation(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_path_t *path, const ngx_str_t *name,
    const ngx_str_t *message)
{
    ngx_str_t                    pointer;
    ngx_uint_t                   i;
    ngx_http_jelou_violation_t  *v;

    if (event->nviolations == NGX_HTTP_JELOU_MAX_VIOLATIONS || event->failed) {
        return;
    }

    if (event->violations == NULL) {
        event->violations = ngx_palloc(event->pool,
                                       NGX_HTTP_JELOU_MAX_VIOLATIONS
                                       * sizeof(ngx_http_jelou_violation_t));
        if (event->violations == NULL) {
            event->failed = 1;
            return;
        }
    }

    pointer.len = ngx_http_jelou_pointer(NULL, path, name);
    pointer.data = ngx_pnalloc(event->pool, pointer.len + 1);

    if (pointer.data == NULL) {
        event->failed = 1;
        return;
    }

    (void) ngx_http_jelou_pointer(pointer.data, path, name);

    for (i = 0; i < event->nviolations; i++) {
        v = &event->violations[i];

        if (v->pointer.len == pointer.len
            && ngx_memcmp(v->pointer.data, pointer.data, pointer.len) == 0)
        {
            return;
        }
    }

    v = &event->violations[event->nviolations++];

    v->pointer = pointer;
    v->message = *message;
}


/*
 * Writes the pointer (RFC 6901) to path, which for the root is empty, and to
 * its member.  No name of the schema has a character to escape.  Returns the
 * length.
 */

static size_t
ngx_http_jelou_pointer(u_char *dst, const ngx_http_jelou_path_t *path,
    const ngx_str_t *name)
{
    size_t     n;
    u_char     text[NGX_INT_T_LEN];
    ngx_str_t  index;

    n = 0;

    if (path->parent) {

        if (path->name.len) {
            n = ngx_http_jelou_pointer(dst, path->parent, &path->name);

        } else {
            index.data = text;
            index.len = ngx_sprintf(text, "%ui", path->index) - text;

            n = ngx_http_jelou_pointer(dst, path->parent, &index);
        }
    }

    if (name) {

        if (dst) {
            dst[n] = '/';
            ngx_memcpy(dst + n + 1, name->data, name->len);
        }

        n += 1 + name->len;
    }

    return n;
}
