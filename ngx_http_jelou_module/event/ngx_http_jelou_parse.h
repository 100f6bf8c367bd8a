
/*
 * Bytes to event, over yajl: the members that a table names are found in the
 * body and kept as the raw tokens that they are there.
 */


#ifndef _NGX_HTTP_JELOU_PARSE_H_INCLUDED_
#define _NGX_HTTP_JELOU_PARSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_jelou_yajl.h"


#define NGX_HTTP_JELOU_MAX_VIOLATIONS  16
#define NGX_HTTP_JELOU_RANDOM_LEN      16


/* the values of an event: where a member's token is kept */

enum {
    NGX_HTTP_JELOU_FIELD = 0,
    NGX_HTTP_JELOU_OBJECT,
    NGX_HTTP_JELOU_EVENT_TYPE,
    NGX_HTTP_JELOU_EVENT,
    NGX_HTTP_JELOU_TIMESTAMP,
    NGX_HTTP_JELOU_PROJECT_ID,
    NGX_HTTP_JELOU_ROOM_ID,
    NGX_HTTP_JELOU_CONVERSATION,
    NGX_HTTP_JELOU_CONVERSATION_ID,
    NGX_HTTP_JELOU_BOT,
    NGX_HTTP_JELOU_BOT_ID,
    NGX_HTTP_JELOU_BOT_NAME,
    NGX_HTTP_JELOU_CONTACT,
    NGX_HTTP_JELOU_USER_ID,
    NGX_HTTP_JELOU_USER_NAME,
    NGX_HTTP_JELOU_VALUE,
    NGX_HTTP_JELOU_MESSAGE_ID,
    NGX_HTTP_JELOU_MESSAGE_TYPE,
    NGX_HTTP_JELOU_CONTENT,
    NGX_HTTP_JELOU_BODY,
    NGX_HTTP_JELOU_URL,
    NGX_HTTP_JELOU_MIME_TYPE,
    NGX_HTTP_JELOU_CAPTION,
    NGX_HTTP_JELOU_FILENAME,
    NGX_HTTP_JELOU_TITLE,
    NGX_HTTP_JELOU_BUTTON,
    NGX_HTTP_JELOU_BUTTON_TYPE,
    NGX_HTTP_JELOU_BUTTON_TEXT,
    NGX_HTTP_JELOU_ITEMS,

    NGX_HTTP_JELOU_NVALUES
};

/* the values of an item of an event's array */

enum {
    NGX_HTTP_JELOU_ITEM_ID = 0,
    NGX_HTTP_JELOU_ITEM_TYPE,
    NGX_HTTP_JELOU_ITEM_TEXT,
    NGX_HTTP_JELOU_ITEM_URL,
    NGX_HTTP_JELOU_ITEM_CAPTION,

    NGX_HTTP_JELOU_ITEM_TITLE = NGX_HTTP_JELOU_ITEM_TYPE,
    NGX_HTTP_JELOU_ITEM_DESCRIPTION = NGX_HTTP_JELOU_ITEM_TEXT,

    NGX_HTTP_JELOU_ITEM_NVALUES = NGX_HTTP_JELOU_ITEM_CAPTION + 1
};


typedef enum {
    NGX_HTTP_JELOU_ABSENT = 0,
    NGX_HTTP_JELOU_STRING,
    NGX_HTTP_JELOU_NUMBER,
    NGX_HTTP_JELOU_LITERAL,              /* true, false or null */
    NGX_HTTP_JELOU_MEMBERS,              /* an object */
    NGX_HTTP_JELOU_ARRAY
} ngx_http_jelou_type_e;


typedef struct {
    u_char      *data;          /* the token; of a string, between its quotes */
    uint32_t     len;           /* its bytes; of an array, its items */
    uint8_t      type;          /* ngx_http_jelou_type_e */
    uint8_t      escaped;       /* a string that has escapes */
    uint8_t      repeated;      /* the member stood there more than once */
} ngx_http_jelou_value_t;


typedef struct ngx_http_jelou_object_s     ngx_http_jelou_object_t;
typedef struct ngx_http_jelou_member_s     ngx_http_jelou_member_t;
typedef struct ngx_http_jelou_variant_s    ngx_http_jelou_variant_t;
typedef struct ngx_http_jelou_kind_s       ngx_http_jelou_kind_t;
typedef struct ngx_http_jelou_event_s      ngx_http_jelou_event_t;
typedef struct ngx_http_jelou_schema_s     ngx_http_jelou_schema_t;


/* the value's own rule: NULL, or what it must be, as validationError says it */
typedef const ngx_str_t *(*ngx_http_jelou_rule_pt)(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);


struct ngx_http_jelou_member_s {
    ngx_str_t                       name;
    uint8_t                         slot;       /* in the event or the item */
    uint8_t                         type;
    uint16_t                        flags;      /* the schema's */
    ngx_http_jelou_rule_pt          rule;
    const ngx_http_jelou_object_t  *object;     /* its or its items' members */
    ngx_uint_t                      limit;      /* the rule's or the flag's; of
                                                   an array the most items, or
                                                   0: any number */
    ngx_str_t                       preset;     /* the token if absent */
};


struct ngx_http_jelou_object_s {
    const ngx_http_jelou_member_t  *members;
    ngx_uint_t                      nmembers;
};


/* where a violation is: a chain that ends at the root */

typedef struct ngx_http_jelou_path_s  ngx_http_jelou_path_t;

struct ngx_http_jelou_path_s {
    const ngx_http_jelou_path_t    *parent;     /* NULL: this is the root */
    ngx_str_t                       name;       /* empty: an index */
    ngx_uint_t                      index;
};


typedef struct {
    ngx_str_t                       pointer;    /* RFC 6901: names of the
                                                   schema, and indices */
    ngx_str_t                       message;    /* JSON-escaped */
} ngx_http_jelou_violation_t;


/*
 * Called at the end of each item, up to the array's limit and to the last
 * violation that is kept; values is NULL if it is no object.
 */
typedef void (*ngx_http_jelou_item_pt)(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_member_t *array, ngx_http_jelou_value_t *values,
    const ngx_http_jelou_path_t *path, void *data);


struct ngx_http_jelou_event_s {
    ngx_http_jelou_value_t          values[NGX_HTTP_JELOU_NVALUES];

    ngx_str_t                       body;       /* what was parsed */
    ngx_list_t                     *items;      /* of
                                                   NGX_HTTP_JELOU_ITEM_NVALUES
                                                   values each, or NULL */
    const ngx_http_jelou_kind_t    *kind;       /* what it turned out to be */
    uint32_t                        types;      /* bits of all types it has */

    ngx_http_jelou_violation_t     *violations;
    ngx_uint_t                      nviolations;

    ngx_str_t                       project;    /* its id, if it was looked
                                                   for; not proven */

    size_t                          offset;     /* of the first byte that is */
    const char                     *reason;     /*   not JSON, and why not */

    u_char                          digest[32]; /* the body's SHA-256, if it
                                                   is asked for */
    u_char                          random[NGX_HTTP_JELOU_RANDOM_LEN];
                                                /* the message id, if it is
                                                   ours */
    ngx_msec_t                      received;   /* ms of its second */
    time_t                          received_sec;

    ngx_pool_t                     *pool;
    unsigned                        has_project:1;  /* it was looked for */
    unsigned                        varied:1;   /* a name that only its case
                                                   tells from one of shape's */
    unsigned                        failed:1;   /* memory or randomness */
};


typedef struct {
    const ngx_http_jelou_object_t  *object;     /* the root */
    const ngx_http_jelou_object_t  *exact;      /* the names for varied, or
                                                   NULL */
    ngx_uint_t                      strict;     /* other members are errors */
    ngx_http_jelou_item_pt          item;
    void                           *data;       /* for item */
} ngx_http_jelou_shape_t;


/*
 * Parses event->body, which must stay in memory as long as the event: its
 * values point into it.  The event is zeroed but for body and pool.  Returns
 * NGX_OK; NGX_DECLINED with offset and reason if the body is not one JSON
 * object in UTF-8, nested at most NGX_HTTP_JELOU_MAX_DEPTH deep; NGX_ERROR if
 * memory ran out.
 */
ngx_int_t ngx_http_jelou_parse(ngx_http_jelou_event_t *event,
    ngx_http_jelou_shape_t *shape, ngx_log_t *log);

/* the path of the event itself */
extern const ngx_http_jelou_path_t  ngx_http_jelou_root;

/*
 * Adds a violation at path, or at its member if a name of the schema is given.
 * Of one place only the first violation is kept, and
 * NGX_HTTP_JELOU_MAX_VIOLATIONS in all.  The message is kept by reference.
 */
void ngx_http_jelou_violation(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_path_t *path, const ngx_str_t *name,
    const ngx_str_t *message);


#endif /* _NGX_HTTP_JELOU_PARSE_H_INCLUDED_ */
