
/*
 * Event to bytes: the pieces of an endpoint's table, one after the other.
 */


#ifndef _NGX_HTTP_JELOU_FORMAT_H_INCLUDED_
#define _NGX_HTTP_JELOU_FORMAT_H_INCLUDED_


#include "ngx_http_jelou_schema.h"


/*
 * Returns how many bytes the normalized event has.  The event has been
 * accepted by ngx_http_jelou_check() with the same schema.
 */
size_t ngx_http_jelou_event_length(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema);

/*
 * Writes the normalized event to dst, which has room for its length, and
 * returns its end.  The values written point to dst afterwards, so that the
 * body may be freed.
 */
u_char *ngx_http_jelou_event_write(u_char *dst, ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema);


#endif /* _NGX_HTTP_JELOU_FORMAT_H_INCLUDED_ */
