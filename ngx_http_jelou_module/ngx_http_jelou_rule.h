
/*
 * The rules that values have of their own, whatever member they are of.
 */


#ifndef _NGX_HTTP_JELOU_RULE_H_INCLUDED_
#define _NGX_HTTP_JELOU_RULE_H_INCLUDED_


#include "ngx_http_jelou_parse.h"


/*
 * Each returns NULL if the value is as it must be, and otherwise what it must
 * be, as validationError says it.  A value is the decoded text of a string,
 * the token of a number, or, with the length alone, the number of items of an
 * array.  Those that count characters take the token of a string: they are
 * code points, and an escape is one of them.
 */

/* An identifier: 1 to 256 bytes, no control character. */
const ngx_str_t *ngx_http_jelou_rule_id(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* An https URL with a host. */
const ngx_str_t *ngx_http_jelou_rule_https(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* A media type, with or without parameters (RFC 9110, section 8.3.1). */
const ngx_str_t *ngx_http_jelou_rule_mime_type(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* An absolute URI (RFC 3986). */
const ngx_str_t *ngx_http_jelou_rule_uri(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* A UUID of any version (RFC 9562). */
const ngx_str_t *ngx_http_jelou_rule_uuid(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* Milliseconds since the epoch, up to the year 9999. */
const ngx_str_t *ngx_http_jelou_rule_timestamp(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* The names of the conversation events; the last one is empty. */
extern const ngx_str_t  ngx_http_jelou_conversations[];

/* One of them. */
const ngx_str_t *ngx_http_jelou_rule_conversation(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* A list of at least one message. */
const ngx_str_t *ngx_http_jelou_rule_messages(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* A list of 1 to 10 options. */
const ngx_str_t *ngx_http_jelou_rule_options(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* A token of 1 to 24 characters. */
const ngx_str_t *ngx_http_jelou_rule_title(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);

/* A token of at most 72 characters. */
const ngx_str_t *ngx_http_jelou_rule_description(ngx_str_t *value,
    const ngx_http_jelou_member_t *member);


#endif /* _NGX_HTTP_JELOU_RULE_H_INCLUDED_ */
