
/*
 * What the tables of the endpoints are made of, and the one checker that reads
 * them.
 */


#ifndef _NGX_HTTP_JELOU_SCHEMA_H_INCLUDED_
#define _NGX_HTTP_JELOU_SCHEMA_H_INCLUDED_


#include "ngx_http_jelou_error.h"
#include "ngx_http_jelou_parse.h"


/* the flags of a member */

#define NGX_HTTP_JELOU_REQUIRED    0x01
#define NGX_HTTP_JELOU_FIXED       0x02    /* the configuration's value, whose
                                              index is the limit */
#define NGX_HTTP_JELOU_TYPE        0x04    /* names the message type */
#define NGX_HTTP_JELOU_BY_TYPE     0x08    /* the message type tells */
#define NGX_HTTP_JELOU_SAME        0x10    /* as the value whose slot is the
                                              limit */
#define NGX_HTTP_JELOU_RAW         0x20    /* the rule takes the token */
#define NGX_HTTP_JELOU_MADE        0x40    /* one is made if absent */
#define NGX_HTTP_JELOU_UNIQUE      0x80    /* among the items */
#define NGX_HTTP_JELOU_INSTEAD     0x100   /* it stands there only without the
                                              value whose slot is the limit */


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


#define ngx_http_jelou_bit(slot)   ((uint32_t) 1 << (slot))

/* what a message type has, in bits of slots */

struct ngx_http_jelou_variant_s {
    ngx_str_t                       name;       /* in the request */
    ngx_str_t                       type;       /* in the event */
    uint32_t                        with_items; /* only if there are items */
    uint32_t                        required;
    uint32_t                        optional;
    uint8_t                         move;       /* this slot's value is */
    uint8_t                         to;         /*   that one's, if not 0 */
};


/* how something is written: a piece is a text and what follows it */

typedef enum {
    NGX_HTTP_JELOU_PIECE_TEXT = 0,              /* nothing */
    NGX_HTTP_JELOU_PIECE_NOTHING,               /* nothing, but skipped */
    NGX_HTTP_JELOU_PIECE_FIXED,                 /* a fixed value, quoted */
    NGX_HTTP_JELOU_PIECE_FIXED_BARE,            /* a fixed value */
    NGX_HTTP_JELOU_PIECE_STRING,                /* a value, quoted */
    NGX_HTTP_JELOU_PIECE_BARE,                  /* a value as it is */
    NGX_HTTP_JELOU_PIECE_DECODED,               /* a value without escapes */
    NGX_HTTP_JELOU_PIECE_ESCAPED,               /* a value, percent-encoded */
    NGX_HTTP_JELOU_PIECE_ITEMS,                 /* the items, and commas */
    NGX_HTTP_JELOU_PIECE_BODY,                  /* the whole body, compact */
    NGX_HTTP_JELOU_PIECE_DIGEST,                /* the body's SHA-256, in hex */
    NGX_HTTP_JELOU_PIECE_TIME,                  /* the event's, RFC 3339 */
    NGX_HTTP_JELOU_PIECE_EVENT,                 /* the normalized event */
    NGX_HTTP_JELOU_PIECE_END
} ngx_http_jelou_piece_e;


typedef struct ngx_http_jelou_piece_s  ngx_http_jelou_piece_t;

struct ngx_http_jelou_piece_s {
    ngx_str_t                       text;
    uint8_t                         what;       /* ngx_http_jelou_piece_e */
    uint8_t                         slot;       /* absent: skip the piece */
    const ngx_http_jelou_piece_t   *items;
};


/* a kind of event: what its body must have, and what is written of it */

struct ngx_http_jelou_kind_s {
    const ngx_http_jelou_object_t  *object;
    const ngx_http_jelou_piece_t   *event;      /* normalized */
    const ngx_http_jelou_piece_t   *cloudevent;
    const ngx_http_jelou_piece_t   *answer;     /* to the sender */
    const ngx_http_jelou_piece_t   *item_ids;   /* if it has several, */
    const ngx_http_jelou_piece_t   *item_types; /*   joined */
    uint8_t                         type_slot;  /* its event type, or 0: the
                                                   fixed value */
    uint8_t                         identity;   /* 1: it has no message id,
                                                   its body's digest is it */
};


typedef struct {
    ngx_str_t                       name;       /* "incoming_message" */
    const ngx_http_jelou_kind_t    *kind;
    const ngx_http_jelou_kind_t    *conversation;  /* what else it takes, or
                                                      NULL */
    const ngx_http_jelou_variant_t *variants;   /* the message types, up to */
    ngx_uint_t                      nvariants;  /*   32 */
    ngx_str_t                       types;      /* what a type must be */

    ngx_str_t                       before;     /* in the path, with an id */
    ngx_str_t                       after;      /*   between these two */
    uint8_t                         path_slot;  /*   for this slot */

    unsigned                        is_signed:1;   /* always */
    unsigned                        names_message:1;  /* by an id of ours */
} ngx_http_jelou_endpoint_t;


/* the members that are URLs, whose schemes the configuration has */

enum {
    NGX_HTTP_JELOU_URL_CONTENT = 0,             /* "url" */
    NGX_HTTP_JELOU_URL_MEDIA,                   /* "mediaUrl" */

    NGX_HTTP_JELOU_NURLS
};


typedef struct {
    ngx_array_t                      *schemes;  /* of ngx_str_t, lower case */
    ngx_str_t                         message;  /* must be such a URL */
} ngx_http_jelou_url_t;


/* which conversation events are taken */

#define NGX_HTTP_JELOU_CONVERSATION_OFF    0
#define NGX_HTTP_JELOU_CONVERSATION_ON     1
#define NGX_HTTP_JELOU_CONVERSATION_KNOWN  2

/* where a NUL or a lone surrogate is a violation */

#define NGX_HTTP_JELOU_TEXT_ANY    0            /* nowhere */
#define NGX_HTTP_JELOU_TEXT_EVENT  1            /* in what is forwarded */
#define NGX_HTTP_JELOU_TEXT_BODY   2            /* everywhere: all of it is */


struct ngx_http_jelou_schema_s {
    const ngx_http_jelou_endpoint_t  *endpoint;
    ngx_http_jelou_fixed_t            fixed[NGX_HTTP_JELOU_NFIXED];
    ngx_http_jelou_url_t              urls[NGX_HTTP_JELOU_NURLS];
    ngx_uint_t                        strict;
    ngx_uint_t                        conversation;
    ngx_uint_t                        text;
};


/* All endpoints; the last one's name is empty. */
extern const ngx_http_jelou_endpoint_t  ngx_http_jelou_endpoints[];


/*
 * Parses event->body, as ngx_http_jelou_parse() does, and checks it against
 * the schema.  Returns NGX_OK; NGX_HTTP_JELOU_INVALID_JSON with offset and
 * reason, or NGX_HTTP_JELOU_INVALID_EVENT with the violations; NGX_ERROR if
 * memory or randomness ran out.  After NGX_OK the event has its kind, exactly
 * the values that its message type has, and its types bits.  A value that the
 * path has is set before.
 */
ngx_int_t ngx_http_jelou_check(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_log_t *log);

/*
 * The message type with that name in the request, with or without items; NULL
 * if the endpoint does not have it.
 */
const ngx_http_jelou_variant_t *ngx_http_jelou_type_find(
    const ngx_http_jelou_endpoint_t *endpoint, ngx_str_t *name,
    ngx_uint_t items);

/* Whether some message type has a value of these slots. */
ngx_uint_t ngx_http_jelou_type_any(const ngx_http_jelou_endpoint_t *endpoint,
    uint32_t bits);

/*
 * The bit of the message type with that name in the event or, if there is
 * none, in the request; 0 if the endpoint does not have it.
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
 * Makes a value of an identifier that does not come from JSON.  Returns
 * NGX_OK; NGX_DECLINED if it is no valid identifier; NGX_ERROR if memory ran
 * out.
 */
ngx_int_t ngx_http_jelou_value_encode(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_jelou_value_t *value);

/* Whether bodies of the endpoint name a project. */
ngx_uint_t ngx_http_jelou_has_project(
    const ngx_http_jelou_endpoint_t *endpoint);

/*
 * The project_id of event->body, which need not be valid otherwise: decoded as
 * above, or an empty text if it is no valid identifier itself.  The body is
 * read once, for this alone, and the result kept in event->project.  Returns
 * NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_project_id(ngx_http_jelou_event_t *event,
    ngx_http_jelou_schema_t *schema, ngx_str_t *text);


#endif /* _NGX_HTTP_JELOU_SCHEMA_H_INCLUDED_ */
