
/*
 * The items of an event's array: that their ids differ, and ids for those that
 * have none.
 */


#ifndef _NGX_HTTP_JELOU_ITEMS_H_INCLUDED_
#define _NGX_HTTP_JELOU_ITEMS_H_INCLUDED_


#include "ngx_http_jelou_schema.h"


/*
 * Adds a violation for each item whose id another one before it has: whoever
 * gets an answer could not tell them apart.
 */
void ngx_http_jelou_items_unique(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *array, const ngx_http_jelou_path_t *path);

/*
 * Makes the ids that an endpoint's events and their items have of the module.
 * Returns NGX_OK, or NGX_ERROR if memory or randomness ran out.
 */
ngx_int_t ngx_http_jelou_items_name(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_schema_t *schema, ngx_log_t *log);


#endif /* _NGX_HTTP_JELOU_ITEMS_H_INCLUDED_ */
