
/*
 * Conversation events by name, in shared memory.
 *
 * A sender may invent names: there are rows for the first ones, and all others
 * are counted together.  A row never changes but for its count, and is whole
 * before it is one of n: it is read without a lock.
 */


#include "ngx_http_jelou_names.h"


static ngx_http_jelou_name_t *ngx_http_jelou_names_find(
    ngx_http_jelou_names_t *names, const ngx_str_t *name);
static ngx_http_jelou_name_t *ngx_http_jelou_names_add(
    ngx_http_jelou_names_t *names, const ngx_str_t *name);


void
ngx_http_jelou_names_init(ngx_http_jelou_names_t *names)
{
    const ngx_str_t  *known;

    for (known = ngx_http_jelou_conversations; known->len; known++) {
        (void) ngx_http_jelou_names_add(names, known);
    }
}


void
ngx_http_jelou_names_count(ngx_http_jelou_names_t *names, ngx_shmtx_t *mutex,
    ngx_str_t *name)
{
    ngx_http_jelou_name_t  *row;

    row = ngx_http_jelou_names_find(names, name);

    if (row == NULL && names->n < NGX_HTTP_JELOU_NNAMES) {

        ngx_shmtx_lock(mutex);

        /* another worker may have had the name meanwhile */

        row = ngx_http_jelou_names_find(names, name);

        if (row == NULL) {
            row = ngx_http_jelou_names_add(names, name);
        }

        ngx_shmtx_unlock(mutex);
    }

    (void) ngx_atomic_fetch_add(row ? &row->count : &names->others, 1);
}


static ngx_http_jelou_name_t *
ngx_http_jelou_names_find(ngx_http_jelou_names_t *names, const ngx_str_t *name)
{
    ngx_uint_t              i, n;
    ngx_http_jelou_name_t  *row;

    n = names->n;
    ngx_memory_barrier();

    for (i = 0; i < n; i++) {
        row = &names->rows[i];

        if (row->len == name->len
            && ngx_memcmp(row->data, name->data, name->len) == 0)
        {
            return row;
        }
    }

    return NULL;
}


/* Returns NULL if there is no room: for the name, or for one more. */

static ngx_http_jelou_name_t *
ngx_http_jelou_names_add(ngx_http_jelou_names_t *names, const ngx_str_t *name)
{
    ngx_http_jelou_name_t  *row;

    if (names->n == NGX_HTTP_JELOU_NNAMES
        || name->len > NGX_HTTP_JELOU_NAME_LEN)
    {
        return NULL;
    }

    row = &names->rows[names->n];

    row->len = (uint8_t) name->len;
    ngx_memcpy(row->data, name->data, name->len);

    ngx_memory_barrier();
    names->n++;

    return row;
}


void
ngx_http_jelou_names_copy(ngx_http_jelou_names_t *copy,
    ngx_http_jelou_names_t *names)
{
    copy->n = names->n;
    copy->others = names->others;

    ngx_memory_barrier();

    ngx_memcpy(copy->rows, names->rows,
               copy->n * sizeof(ngx_http_jelou_name_t));
}


ngx_int_t
ngx_http_jelou_names_row(ngx_http_jelou_names_t *copy, ngx_uint_t n,
    ngx_str_t *name, uint64_t *count)
{
    if (n > copy->n) {
        return NGX_DONE;
    }

    if (n == copy->n) {
        ngx_str_set(name, "other");
        *count = copy->others;

        return *count ? NGX_OK : NGX_DECLINED;
    }

    name->data = copy->rows[n].data;
    name->len = copy->rows[n].len;
    *count = copy->rows[n].count;

    return NGX_OK;
}
