
/*
 * JSON, read once from the first byte to the last, and strictly as RFC 8259
 * has it.  Nothing is decoded, copied or allocated: a value is where its token
 * is.
 */


#ifndef _NGX_HTTP_JELOU_JSON_H_INCLUDED_
#define _NGX_HTTP_JELOU_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* objects and arrays that are open at the same time */

#define NGX_HTTP_JELOU_MAX_DEPTH  32


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


typedef struct {
    u_char      *pos;
    u_char      *last;
    ngx_uint_t   depth;
    const char  *reason;        /* why there is nothing to read at pos */
} ngx_http_jelou_json_t;


/*
 * Begins to read [p, last), whose bytes ngx_http_jelou_text_check() has
 * accepted.  The functions below return NGX_OK, or NGX_DECLINED with reason
 * and pos if the text is not JSON.
 */
void ngx_http_jelou_json_init(ngx_http_jelou_json_t *json, u_char *p,
    u_char *last);

/*
 * Reads a string, a number or a literal, or the first byte of an object or of
 * an array, whose members or items are next.
 */
ngx_int_t ngx_http_jelou_json_value(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value);

/*
 * Reads a member's name, up to its value; first is set for the first one of
 * an object.  Returns NGX_DONE at the object's end.
 */
ngx_int_t ngx_http_jelou_json_member(ngx_http_jelou_json_t *json,
    ngx_uint_t first, ngx_http_jelou_value_t *name);

/* The same for the items of an array. */
ngx_int_t ngx_http_jelou_json_item(ngx_http_jelou_json_t *json,
    ngx_uint_t first);

/* Reads what is left of a value that has just been read. */
ngx_int_t ngx_http_jelou_json_skip(ngx_http_jelou_json_t *json,
    ngx_http_jelou_value_t *value);

/* Reads white space up to the end. */
ngx_int_t ngx_http_jelou_json_end(ngx_http_jelou_json_t *json);

/*
 * Decodes a name that has escapes into text, which has room for size bytes.
 * Returns the length, or 0 if it is longer or not in ASCII: then it is no name
 * of the schema.
 */
size_t ngx_http_jelou_json_name(ngx_http_jelou_value_t *name, u_char *text,
    size_t size);


#endif /* _NGX_HTTP_JELOU_JSON_H_INCLUDED_ */
