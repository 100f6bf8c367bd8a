
/*
 * Conversation events by name, in shared memory.
 */


#ifndef _NGX_HTTP_JELOU_NAMES_H_INCLUDED_
#define _NGX_HTTP_JELOU_NAMES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_jelou_rule.h"


/* so many names have a row each, those that are known among them */

#define NGX_HTTP_JELOU_NNAMES    16

#define NGX_HTTP_JELOU_NAME_LEN                                               \
    (sizeof("conversation.") - 1 + NGX_HTTP_JELOU_CONVERSATION_MAX)


typedef struct {
    ngx_atomic_t             count;
    uint8_t                  len;
    u_char                   data[NGX_HTTP_JELOU_NAME_LEN];
} ngx_http_jelou_name_t;


typedef struct {
    ngx_atomic_t             n;              /* rows that are whole */
    ngx_atomic_t             others;         /* events without a row */
    ngx_http_jelou_name_t    rows[NGX_HTTP_JELOU_NNAMES];
} ngx_http_jelou_names_t;


/* Gives rows to the names that are known: so they are there before an event. */
void ngx_http_jelou_names_init(ngx_http_jelou_names_t *names);

/*
 * Counts an event whose name the schema has taken.  The mutex is only locked
 * for a name that has no row yet, while there are rows.
 */
void ngx_http_jelou_names_count(ngx_http_jelou_names_t *names,
    ngx_shmtx_t *mutex, ngx_str_t *name);

/* Copies what is there, while others may add to it. */
void ngx_http_jelou_names_copy(ngx_http_jelou_names_t *copy,
    ngx_http_jelou_names_t *names);

/*
 * Sets the name and the count of the n-th row of a copy.  Returns NGX_OK;
 * NGX_DECLINED if the row of all others is empty; NGX_DONE after that one.
 */
ngx_int_t ngx_http_jelou_names_row(ngx_http_jelou_names_t *copy, ngx_uint_t n,
    ngx_str_t *name, uint64_t *count);


#endif /* _NGX_HTTP_JELOU_NAMES_H_INCLUDED_ */
