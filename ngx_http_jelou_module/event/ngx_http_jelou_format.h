
/*
 * Event to bytes: the pieces of a table, one after the other.
 */


#ifndef _NGX_HTTP_JELOU_FORMAT_H_INCLUDED_
#define _NGX_HTTP_JELOU_FORMAT_H_INCLUDED_


#include "ngx_http_jelou_schema.h"


/*
 * Returns how many bytes the pieces have at the most: one of event->kind's
 * tables, where the event has been accepted by ngx_http_jelou_check() with
 * the same schema.
 */
size_t ngx_http_jelou_pieces_length(const ngx_http_jelou_piece_t *pieces,
    ngx_http_jelou_event_t *event, ngx_http_jelou_schema_t *schema);

/*
 * Writes the pieces to dst, which has room for their length, and returns the
 * end.  The values written point to dst afterwards, so that the body may be
 * freed.
 */
u_char *ngx_http_jelou_pieces_write(u_char *dst,
    const ngx_http_jelou_piece_t *pieces, ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema);


#endif /* _NGX_HTTP_JELOU_FORMAT_H_INCLUDED_ */
