
/*
 * Bytes to event, over yajl: the members that a table names are found in the
 * body and kept as the raw tokens that they are there.
 */


#include "ngx_http_jelou_parse.h"
#include "ngx_http_jelou_pages.h"
#include "ngx_http_jelou_text.h"

#include <yajl/yajl_parse.h>


/*
 * What yajl allocates for one body of n bytes, with a parser that is given
 * the whole body in one call and nests at most 33 deep: the handle, the
 * lexer, the state stack and two buffer heads, less than 1 KB; a buffer to
 * decode strings in and one for a token that the body's end cuts off, each
 * doubled from 2 KB until it is larger than the token.  A buffer that grows
 * is always the last that was allocated, so it grows in place.
 */

#define NGX_HTTP_JELOU_YAJL_FIXED   (1024 + 2 * 2048)

#define ngx_http_jelou_yajl_size(n)                                           \
    (NGX_HTTP_JELOU_YAJL_FIXED + 4 * ((size_t) (n) + 1))

/*
 * Enough for bodies of 126 KB; larger ones get pages of their own.  What is not
 * touched is no memory of the system's.
 */

#define NGX_HTTP_JELOU_ARENA        (512 * 1024)


typedef struct {
    u_char                         *pos;
    u_char                         *end;
    u_char                         *block;     /* the last, it can grow */
} ngx_http_jelou_arena_t;


typedef struct {
    ngx_http_jelou_path_t           path;
    const ngx_http_jelou_object_t  *object;    /* NULL: nothing is wanted */
    const ngx_http_jelou_member_t  *member;    /* of the last key, or NULL */
    ngx_http_jelou_value_t         *values;
    ngx_http_jelou_value_t         *array;     /* set: this is an array */
    ngx_uint_t                      next;      /* the member expected next */
} ngx_http_jelou_frame_t;


typedef struct {
    ngx_http_jelou_event_t         *event;
    ngx_http_jelou_shape_t         *shape;
    yajl_handle                     yajl;
    ngx_http_jelou_frame_t         *frame;     /* the innermost open one */
    const char                     *reason;    /* why a callback stopped */
    const unsigned char            *key;       /* behind the last one that was
                                                  wanted, as yajl gave it */
    u_char                         *end;       /* of the root */
    ngx_http_jelou_value_t          item[NGX_HTTP_JELOU_ITEM_NVALUES];
    ngx_http_jelou_frame_t          frames[NGX_HTTP_JELOU_MAX_DEPTH];
} ngx_http_jelou_parser_t;


static ngx_int_t ngx_http_jelou_parse_run(ngx_http_jelou_parser_t *p,
    ngx_http_jelou_arena_t *arena);
static void *ngx_http_jelou_yajl_malloc(void *data, size_t size);
static void *ngx_http_jelou_yajl_realloc(void *data, void *block, size_t size);
static void ngx_http_jelou_yajl_free(void *data, void *block);

static int ngx_http_jelou_parse_literal(void *data);
static int ngx_http_jelou_parse_boolean(void *data, int value);
static int ngx_http_jelou_parse_number(void *data, const char *number,
    size_t len);
static int ngx_http_jelou_parse_string(void *data, const unsigned char *string,
    size_t len);
static int ngx_http_jelou_parse_start_map(void *data);
static int ngx_http_jelou_parse_key(void *data, const unsigned char *key,
    size_t len);
static int ngx_http_jelou_parse_end_map(void *data);
static int ngx_http_jelou_parse_start_array(void *data);
static int ngx_http_jelou_parse_end_array(void *data);

static int ngx_http_jelou_parse_value(ngx_http_jelou_parser_t *p,
    ngx_uint_t type, ngx_http_jelou_value_t **value);
static int ngx_http_jelou_parse_open(ngx_http_jelou_parser_t *p,
    ngx_http_jelou_value_t *value);
static ngx_uint_t ngx_http_jelou_parse_escaped(ngx_http_jelou_parser_t *p,
    const unsigned char *text);
static void ngx_http_jelou_parse_token(ngx_http_jelou_parser_t *p,
    const unsigned char *key, ngx_str_t *token);
static size_t ngx_http_jelou_pointer_name(u_char *dst, const ngx_str_t *name,
    ngx_uint_t raw);
static size_t ngx_http_jelou_pointer_path(u_char *dst,
    const ngx_http_jelou_path_t *path);


static yajl_callbacks  ngx_http_jelou_parse_callbacks = {
    ngx_http_jelou_parse_literal,
    ngx_http_jelou_parse_boolean,
    NULL,                                  /* integer */
    NULL,                                  /* double */
    ngx_http_jelou_parse_number,
    ngx_http_jelou_parse_string,
    ngx_http_jelou_parse_start_map,
    ngx_http_jelou_parse_key,
    ngx_http_jelou_parse_end_map,
    ngx_http_jelou_parse_start_array,
    ngx_http_jelou_parse_end_array
};


/* scratch memory of one call: a worker parses one body at a time */

static u_char  ngx_http_jelou_arena[NGX_HTTP_JELOU_ARENA];


ngx_int_t
ngx_http_jelou_parse(ngx_http_jelou_event_t *event,
    ngx_http_jelou_shape_t *shape, ngx_log_t *log)
{
    size_t                   size;
    u_char                  *p;
    ngx_int_t                rc;
    ngx_http_jelou_arena_t   arena;
    ngx_http_jelou_pages_t   pages;
    ngx_http_jelou_parser_t  parser;

    p = ngx_http_jelou_text_check(event->body.data,
                                  event->body.data + event->body.len);
    if (p) {
        event->offset = p - event->body.data;
        event->reason = "malformed UTF-8 or a control character";
        return NGX_DECLINED;
    }

    size = ngx_http_jelou_yajl_size(event->body.len);
    pages.data = NULL;

    if (size > NGX_HTTP_JELOU_ARENA
        && ngx_http_jelou_pages_alloc(&pages, size, log) != NGX_OK)
    {
        return NGX_ERROR;
    }

    arena.pos = pages.data ? pages.data : ngx_http_jelou_arena;
    arena.end = arena.pos + size;
    arena.block = NULL;

    parser.event = event;
    parser.shape = shape;

    rc = ngx_http_jelou_parse_run(&parser, &arena);

    ngx_http_jelou_pages_free(&pages);

    if (event->failed) {
        return NGX_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_http_jelou_parse_run(ngx_http_jelou_parser_t *p,
    ngx_http_jelou_arena_t *arena)
{
    u_char                  *q, *last;
    yajl_status              status;
    yajl_alloc_funcs         funcs;
    ngx_http_jelou_event_t  *event;

    funcs.malloc = ngx_http_jelou_yajl_malloc;
    funcs.realloc = ngx_http_jelou_yajl_realloc;
    funcs.free = ngx_http_jelou_yajl_free;
    funcs.ctx = arena;

    event = p->event;

    /* never freed: the arena is */

    p->yajl = yajl_alloc(&ngx_http_jelou_parse_callbacks, &funcs, p);

    /* the text has been checked, and more strictly */

    yajl_config(p->yajl, yajl_dont_validate_strings, 1);

    p->frame = NULL;
    p->reason = NULL;
    p->key = NULL;

    status = yajl_parse(p->yajl, event->body.data, event->body.len);

    if (status == yajl_status_ok) {
        event->offset = event->body.len;
        status = yajl_complete_parse(p->yajl);

    } else {
        event->offset = yajl_get_bytes_consumed(p->yajl);
    }

    if (status != yajl_status_ok) {
        event->reason = p->reason ? p->reason : "not JSON";
        return NGX_DECLINED;
    }

    /* yajl does not see a token that begins behind the root and never ends */

    last = event->body.data + event->body.len;

    for (q = p->end; q < last; q++) {

        if (*q != ' ' && *q != '\t' && *q != '\n' && *q != '\r') {
            event->offset = q - event->body.data;
            event->reason = "not JSON";
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static void *
ngx_http_jelou_yajl_malloc(void *data, size_t size)
{
    ngx_http_jelou_arena_t  *arena = data;

    u_char  *p;

    p = ngx_align_ptr(arena->pos, 16);

    if (size > (size_t) (arena->end - p)) {

        /*
         * cannot be, see ngx_http_jelou_yajl_size(); yajl does not look at
         * what it gets, so better here than anywhere
         */

        ngx_abort();
    }

    arena->pos = p + size;
    arena->block = p;

    return p;
}


static void *
ngx_http_jelou_yajl_realloc(void *data, void *block, size_t size)
{
    ngx_http_jelou_arena_t  *arena = data;

    if (block) {

        if (block != arena->block) {
            ngx_abort();
        }

        arena->pos = block;
    }

    return ngx_http_jelou_yajl_malloc(data, size);
}


static void
ngx_http_jelou_yajl_free(void *data, void *block)
{
    /* the arena is dropped as a whole */
}


static int
ngx_http_jelou_parse_literal(void *data)
{
    ngx_http_jelou_value_t  *value;

    return ngx_http_jelou_parse_value(data, NGX_HTTP_JELOU_LITERAL, &value);
}


static int
ngx_http_jelou_parse_boolean(void *data, int value)
{
    return ngx_http_jelou_parse_literal(data);
}


static int
ngx_http_jelou_parse_number(void *data, const char *number, size_t len)
{
    ngx_http_jelou_value_t  *value;

    if (!ngx_http_jelou_parse_value(data, NGX_HTTP_JELOU_NUMBER, &value)) {
        return 0;
    }

    if (value) {
        value->data = (u_char *) number;
        value->len = (uint32_t) len;
    }

    return 1;
}


static int
ngx_http_jelou_parse_string(void *data, const unsigned char *string,
    size_t len)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_str_t                token;
    ngx_http_jelou_value_t  *value;

    if (!ngx_http_jelou_parse_value(p, NGX_HTTP_JELOU_STRING, &value)) {
        return 0;
    }

    if (value == NULL) {
        return 1;
    }

    if (ngx_http_jelou_parse_escaped(p, string)) {
        ngx_http_jelou_parse_token(p, p->key, &token);

        value->escaped = 1;
        value->data = token.data;
        value->len = (uint32_t) token.len;

    } else {
        value->data = (u_char *) string;
        value->len = (uint32_t) len;
    }

    return 1;
}


static int
ngx_http_jelou_parse_start_map(void *data)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_http_jelou_value_t  *value;

    if (!ngx_http_jelou_parse_value(p, NGX_HTTP_JELOU_MEMBERS, &value)) {
        return 0;
    }

    if (!ngx_http_jelou_parse_open(p, value)) {
        return 0;
    }

    if (p->frame == p->frames) {
        p->frame->object = p->shape->object;
        p->frame->values = p->event->values;

    } else if (value && p->frame[-1].array) {
        ngx_memzero(p->item, sizeof(p->item));
    }

    return 1;
}


static int
ngx_http_jelou_parse_key(void *data, const unsigned char *key, size_t len)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_str_t                       token;
    ngx_uint_t                      i, n;
    ngx_http_jelou_frame_t         *f;
    const ngx_http_jelou_member_t  *m;

    f = p->frame;

    if (f->object == NULL) {
        return 1;
    }

    /* most senders write the members in the order of the schema */

    for (n = f->object->nmembers, i = f->next; n; n--, i++) {

        if (i >= f->object->nmembers) {
            i = 0;
        }

        m = &f->object->members[i];

        if (m->name.len == len && ngx_memcmp(m->name.data, key, len) == 0) {
            f->member = m;
            f->next = i + 1;
            p->key = key + len;
            return 1;
        }
    }

    f->member = NULL;

    if (p->shape->strict) {

        static ngx_str_t  unknown = ngx_string("is not a member of the schema");

        token.data = (u_char *) key;
        token.len = len;

        if (ngx_http_jelou_parse_escaped(p, key)) {
            ngx_http_jelou_parse_token(p, NULL, &token);
        }

        ngx_http_jelou_violation(p->event, &f->path, &token, 1, &unknown);
    }

    return 1;
}


static int
ngx_http_jelou_parse_end_map(void *data)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_http_jelou_frame_t  *f, *outer;

    f = p->frame;

    if (f == p->frames) {
        p->frame = NULL;
        p->end = p->event->body.data + yajl_get_bytes_consumed(p->yajl);
        return 1;
    }

    outer = f - 1;
    p->frame = outer;

    if (f->values == p->item && outer->array) {
        p->shape->item(p->event, outer->member, p->item, &f->path,
                       p->shape->data);
    }

    return 1;
}


static int
ngx_http_jelou_parse_start_array(void *data)
{
    ngx_http_jelou_parser_t  *p = data;

    ngx_http_jelou_value_t  *value;

    if (!ngx_http_jelou_parse_value(p, NGX_HTTP_JELOU_ARRAY, &value)) {
        return 0;
    }

    if (!ngx_http_jelou_parse_open(p, value)) {
        return 0;
    }

    if (p->frame->object) {
        p->frame->array = value;
        p->frame->values = p->item;
    }

    return 1;
}


static int
ngx_http_jelou_parse_end_array(void *data)
{
    ngx_http_jelou_parser_t  *p = data;

    p->frame--;

    return 1;
}


/*
 * A value begins.  Sets *value to where it belongs, or to NULL if nobody asks
 * for it.  Returns 0 if it must not be here at all.
 */

static int
ngx_http_jelou_parse_value(ngx_http_jelou_parser_t *p, ngx_uint_t type,
    ngx_http_jelou_value_t **value)
{
    ngx_http_jelou_path_t    path;
    ngx_http_jelou_value_t  *v;
    ngx_http_jelou_frame_t  *f;

    *value = NULL;

    f = p->frame;

    if (f == NULL) {

        if (type != NGX_HTTP_JELOU_MEMBERS) {
            p->reason = "not an object";
            return 0;
        }

        return 1;
    }

    if (f->object == NULL) {
        return 1;
    }

    if (f->array) {

        if (type == NGX_HTTP_JELOU_MEMBERS) {
            *value = p->item;
            return 1;
        }

        path.parent = &f->path;
        ngx_str_null(&path.name);
        path.index = f->array->len++;

        p->shape->item(p->event, f->member, NULL, &path, p->shape->data);

        return 1;
    }

    if (f->member == NULL) {
        return 1;
    }

    v = &f->values[f->member->slot];

    if (v->type != NGX_HTTP_JELOU_ABSENT) {
        v->repeated = 1;
        return 1;
    }

    v->type = (uint8_t) type;
    *value = v;

    return 1;
}


/*
 * An object or an array begins, whose place is value.  Its members are
 * wanted if the schema has an object or an array there.
 */

static int
ngx_http_jelou_parse_open(ngx_http_jelou_parser_t *p,
    ngx_http_jelou_value_t *value)
{
    ngx_http_jelou_frame_t  *f, *outer;

    outer = p->frame;

    if (outer == &p->frames[NGX_HTTP_JELOU_MAX_DEPTH - 1]) {
        p->reason = "nested too deep";
        return 0;
    }

    f = outer ? outer + 1 : p->frames;
    p->frame = f;

    f->path.parent = NULL;
    f->object = NULL;
    f->member = NULL;
    f->values = NULL;
    f->array = NULL;
    f->next = 0;

    if (value == NULL) {
        return 1;
    }

    f->path.parent = &outer->path;
    f->values = outer->values;

    if (outer->array) {
        ngx_str_null(&f->path.name);
        f->path.index = outer->array->len++;
        f->object = outer->object;
        return 1;
    }

    f->path.name = outer->member->name;

    if (value->type == outer->member->type) {
        f->object = outer->member->object;
        f->member = outer->member;
    }

    return 1;
}


/* yajl hands strings over as they are in the body, or decoded copies */

static ngx_uint_t
ngx_http_jelou_parse_escaped(ngx_http_jelou_parser_t *p,
    const unsigned char *text)
{
    ngx_str_t  *body;

    body = &p->event->body;

    return text < body->data || text > body->data + body->len;
}


/*
 * Finds the raw token of a string with escapes that yajl has just handed over.
 * It ends before the quote that yajl has read last.  The opening quote is the
 * first behind that of the value's key, if this is a value and the key has no
 * escapes; looking back from the end, it is the first that no backslash
 * precedes.
 */

static void
ngx_http_jelou_parse_token(ngx_http_jelou_parser_t *p,
    const unsigned char *key, ngx_str_t *token)
{
    u_char  *q, *last;

    last = p->event->body.data + yajl_get_bytes_consumed(p->yajl) - 1;

    if (key && !ngx_http_jelou_parse_escaped(p, key)) {
        for (q = (u_char *) key + 1; *q != '"'; q++) { /* void */ }

    } else {
        for (q = last - 1; *q != '"' || q[-1] == '\\'; q--) { /* void */ }
    }

    token->data = q + 1;
    token->len = last - token->data;
}


void
ngx_http_jelou_violation(ngx_http_jelou_event_t *event,
    const ngx_http_jelou_path_t *path, const ngx_str_t *name, ngx_uint_t raw,
    const ngx_str_t *message)
{
    size_t                       len;
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

    len = ngx_http_jelou_pointer_path(NULL, path);

    pointer.len = len;

    if (name) {
        pointer.len += ngx_http_jelou_pointer_name(NULL, name, raw);
    }

    pointer.data = ngx_pnalloc(event->pool, pointer.len + 1);
    if (pointer.data == NULL) {
        event->failed = 1;
        return;
    }

    (void) ngx_http_jelou_pointer_path(pointer.data, path);

    if (name) {
        (void) ngx_http_jelou_pointer_name(pointer.data + len, name, raw);
    }

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
    v->schema = raw ? len : pointer.len;
    v->message = *message;
}


/*
 * Writes "/" and the name as RFC 6901 has it, "~0" for a tilde and "~1" for a
 * slash.  A raw token is written in one form, whatever escapes it has, so that
 * one place has one pointer.  Returns the length.
 */

static size_t
ngx_http_jelou_pointer_name(u_char *dst, const ngx_str_t *name, ngx_uint_t raw)
{
    size_t     n, len;
    u_char    *p, *last, text[NGX_HTTP_JELOU_CHAR_MAX];
    uint32_t   c;

    n = 1;

    if (dst) {
        *dst++ = '/';
    }

    p = name->data;
    last = p + name->len;

    while (p < last) {
        c = raw ? ngx_http_jelou_text_next(&p, last) : *p++;

        if (c == '~' || c == '/') {
            text[0] = '~';
            text[1] = (c == '~') ? '0' : '1';
            len = 2;

        } else {
            len = ngx_http_jelou_text_escape(text, c) - text;
        }

        if (dst) {
            dst = ngx_cpymem(dst, text, len);
        }

        n += len;
    }

    return n;
}


/* Writes the pointer to path, which for the root is empty. */

static size_t
ngx_http_jelou_pointer_path(u_char *dst, const ngx_http_jelou_path_t *path)
{
    size_t     n;
    u_char    *p, index[NGX_INT_T_LEN];
    ngx_str_t  name;

    if (path->parent == NULL) {
        return 0;
    }

    n = ngx_http_jelou_pointer_path(dst, path->parent);

    name = path->name;

    if (name.len == 0) {
        p = ngx_sprintf(index, "%ui", path->index);
        name.data = index;
        name.len = p - index;
    }

    return n + ngx_http_jelou_pointer_name(dst ? dst + n : NULL, &name, 0);
}
