
/*
 * The rules that values have of their own, whatever member they are of.
 */


#ifndef _NGX_HTTP_JELOU_RULE_H_INCLUDED_
#define _NGX_HTTP_JELOU_RULE_H_INCLUDED_


#include "ngx_http_jelou_schema.h"


/*
 * Each returns NULL if the value is as it must be, and otherwise what it must
 * be, as validationError says it.  A value is the decoded text of a string,
 * the token of a number, or, with the length alone, the number of items of an
 * array.  Those that count characters take the token of a string: they are
 * code points, and an escape is one of them.
 */

/* longest identifier, in bytes */

#define NGX_HTTP_JELOU_ID_MAX  256

#define ngx_http_jelou_alnum(ch)                                              \
    (((ch) >= '0' && (ch) <= '9')                                             \
     || (((ch) | 0x20) >= 'a' && ((ch) | 0x20) <= 'z'))


/* what a code point is, where it matters to ids and URLs */

enum {
    NGX_HTTP_JELOU_CHAR_CONTROL = 1,
    NGX_HTTP_JELOU_CHAR_SPACE,
    NGX_HTTP_JELOU_CHAR_UNSEEN           /* of no width, or of a direction */
};


/* An identifier: 1 to 256 bytes, no control character, and not only spaces. */
const ngx_str_t *ngx_http_jelou_rule_id(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/*
 * A URL (RFC 3986) of one of the schema's schemes for its kind, with a host,
 * and without white space, control characters and what cannot be seen.
 */
const ngx_str_t *ngx_http_jelou_rule_url(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/* A media type, with or without parameters (RFC 9110, section 8.3.1). */
const ngx_str_t *ngx_http_jelou_rule_mime_type(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/* A UUID of any version (RFC 9562). */
const ngx_str_t *ngx_http_jelou_rule_uuid(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/* Milliseconds since the epoch, from 1973 to the year 9999. */
const ngx_str_t *ngx_http_jelou_rule_timestamp(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/* so much may stand behind "conversation." */

#define NGX_HTTP_JELOU_CONVERSATION_MAX  64

/* The names of the known conversation events; the last one is empty. */
extern const ngx_str_t  ngx_http_jelou_conversations[];

/* "conversation." and a name, or one of them, as the schema has it. */
const ngx_str_t *ngx_http_jelou_rule_conversation(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/* Returns 1 if the event's name begins as that of a conversation event. */
ngx_uint_t ngx_http_jelou_is_conversation(ngx_str_t *event);

/* A list of at least one message. */
const ngx_str_t *ngx_http_jelou_rule_messages(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/* A list of at least one option, and of as many as the member's limit. */
const ngx_str_t *ngx_http_jelou_rule_options(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/* A token of 1 to 24 characters. */
const ngx_str_t *ngx_http_jelou_rule_title(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/* A token of at most 72 characters. */
const ngx_str_t *ngx_http_jelou_rule_description(ngx_str_t *value,
    const ngx_http_jelou_member_t *member,
    const ngx_http_jelou_schema_t *schema);

/*
 * Takes the next code point of [*p, last).  Returns what it is, or 0: nothing
 * of these.
 */
ngx_uint_t ngx_http_jelou_char(u_char **p, u_char *last);

/* Returns the end of the RFC 9110 token at p. */
u_char *ngx_http_jelou_token(u_char *p, u_char *last);

/* Sets the schemes that are taken if the configuration names none. */
void ngx_http_jelou_url_defaults(ngx_http_jelou_url_t *urls);

/* Returns 1 if a scheme is one by RFC 3986, section 3.1. */
ngx_uint_t ngx_http_jelou_is_scheme(ngx_str_t *scheme);


#endif /* _NGX_HTTP_JELOU_RULE_H_INCLUDED_ */
