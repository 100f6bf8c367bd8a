
/*
 * The endpoints as data: tables of members, types and rules, and the one
 * checker that reads them.
 */


#ifndef _NGX_HTTP_JELOU_SCHEMA_H_INCLUDED_
#define _NGX_HTTP_JELOU_SCHEMA_H_INCLUDED_


#include "ngx_http_jelou_error.h"
#include "ngx_http_jelou_parse.h"


/* the values that an endpoint's configuration fixes */

enum {
    NGX_HTTP_JELOU_FIXED_FIELD = 0,
    NGX_HTTP_JELOU_FIXED_OBJECT,
    NGX_HTTP_JELOU_FIXED_EVENT_TYPE,

    NGX_HTTP_JELOU_NFIXED
};


typedef struct {
    ngx_str_t                       value;
    ngx_str_t                       json;       /* with quotes and escapes */
    ngx_str_t                       message;    /* must be "value" */
} ngx_http_jelou_fixed_t;


/* what a message type has; the bits are 1 << slot */

struct ngx_http_jelou_variant_s {
    ngx_str_t                       name;       /* in the request */
    ngx_str_t                       type;       /* in the event */
    uint32_t                        required;
    uint32_t                        optional;
    uint8_t                         move;       /* this slot's value is */
    uint8_t                         to;         /*   that one's, if not 0 */
};


/* how an event is written: a piece is a text and what follows it */

typedef enum {
    NGX_HTTP_JELOU_PIECE_TEXT = 0,              /* nothing */
    NGX_HTTP_JELOU_PIECE_FIXED,                 /* a fixed value */
    NGX_HTTP_JELOU_PIECE_STRING,                /* a value, quoted */
    NGX_HTTP_JELOU_PIECE_NUMBER,                /* a value as it is */
    NGX_HTTP_JELOU_PIECE_ITEMS,                 /* the items, comma-separated */
    NGX_HTTP_JELOU_PIECE_BODY,                  /* the whole body, compact */
    NGX_HTTP_JELOU_PIECE_END
} ngx_http_jelou_piece_e;


typedef struct ngx_http_jelou_piece_s  ngx_http_jelou_piece_t;

struct ngx_http_jelou_piece_s {
    ngx_str_t                       text;
    uint8_t                         what;       /* ngx_http_jelou_piece_e */
    uint8_t                         slot;       /* absent: skip the piece */
    const ngx_http_jelou_piece_t   *items;
};


typedef struct {
    ngx_str_t                       name;       /* "incoming_message" */
    const ngx_http_jelou_object_t  *object;     /* what the body must have */
    const ngx_http_jelou_variant_t *variants;   /* the message types, up to */
    ngx_uint_t                      nvariants;  /*   32 */
    ngx_str_t                       types;      /* what a type must be */
    const ngx_http_jelou_piece_t   *pieces;     /* the normalized event */
    ngx_uint_t                      is_signed;  /* a signature is required */
} ngx_http_jelou_endpoint_t;


typedef struct {
    const ngx_http_jelou_endpoint_t  *endpoint;
    ngx_http_jelou_fixed_t            fixed[NGX_HTTP_JELOU_NFIXED];
    ngx_uint_t                        strict;
} ngx_http_jelou_schema_t;


/* All endpoints; the last one's name is empty. */
extern const ngx_http_jelou_endpoint_t  ngx_http_jelou_endpoints[];


/*
 * Parses event->body, as ngx_http_jelou_parse() does, and checks it against
 * the schema.  Returns NGX_OK; NGX_HTTP_JELOU_INVALID_JSON with offset and
 * reason, or NGX_HTTP_JELOU_INVALID_EVENT with the violations; NGX_ERROR if
 * memory ran out.  After NGX_OK the event has exactly the values that its
 * message type has, and its types bits are set.
 */
ngx_int_t ngx_http_jelou_check(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_log_t *log);

/*
 * The bit of the message type with that name in the request or in the event,
 * or 0 if the endpoint does not have it.
 */
uint32_t ngx_http_jelou_type_bit(const ngx_http_jelou_endpoint_t *endpoint,
    ngx_str_t *name);

/*
 * Decodes a string value: *text points into the event's body if there are no
 * escapes, and otherwise into the pool.  Returns NGX_OK, NGX_DECLINED if it
 * has a lone surrogate, NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_value_decode(ngx_pool_t *pool,
    ngx_http_jelou_value_t *value, ngx_str_t *text);

/*
 * The project_id of an event that need not be valid otherwise, decoded as
 * above, or an empty text if it is no valid identifier itself.  Returns
 * NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_project_id(ngx_http_jelou_event_t *event,
    ngx_str_t *text);


#endif /* _NGX_HTTP_JELOU_SCHEMA_H_INCLUDED_ */
