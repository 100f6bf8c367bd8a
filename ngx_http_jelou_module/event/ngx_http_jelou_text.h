
/*
 * Text as JSON has it: UTF-8, control characters, escapes.
 */


#ifndef _NGX_HTTP_JELOU_TEXT_H_INCLUDED_
#define _NGX_HTTP_JELOU_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* whether two texts, by their addresses, are the same */

#define ngx_http_jelou_same(one, two)                                         \
    ((one)->len == (two)->len                                                 \
     && ngx_memcmp((one)->data, (two)->data, (one)->len) == 0)


/*
 * Finds the first byte in [p, last) that no JSON text may have: one that does
 * not continue well-formed UTF-8 (RFC 3629: no overlong form, no surrogate,
 * nothing above U+10FFFF) or a control character other than tab, line feed
 * and carriage return.  Returns its address, or NULL if there is none.
 */
u_char *ngx_http_jelou_text_check(u_char *p, u_char *last);

/*
 * Takes the next code point off the string token [*p, last), which is what
 * stands between the quotes of a string that has been parsed, escapes
 * included.  Returns the code point and moves *p behind it; a surrogate
 * escape without its other half is returned as it is (U+D800 to U+DFFF).
 * The token must not be empty.
 */
uint32_t ngx_http_jelou_text_next(u_char **p, u_char *last);

/*
 * Decodes the string token src of len bytes into UTF-8 at dst, which has room
 * for len bytes: the decoded form is never longer.  Returns the end of what
 * was written, or NULL if the token has a lone surrogate, which UTF-8 cannot
 * represent.
 */
u_char *ngx_http_jelou_text_decode(u_char *dst, u_char *src, size_t len);

/* Counts the code points of the string token src of len bytes. */
size_t ngx_http_jelou_text_length(u_char *src, size_t len);

/*
 * Returns 0 if the string token, or the JSON text, [p, last) has an escape of
 * U+0000 or of a lone surrogate, which many databases do not take.
 */
ngx_uint_t ngx_http_jelou_text_storable(u_char *p, u_char *last);

/*
 * Copies the JSON text [p, last), which has been parsed, to dst without its
 * insignificant white space.  Returns the end of what was written, which is not
 * longer.
 */
u_char *ngx_http_jelou_text_compact(u_char *dst, u_char *p, u_char *last);


#endif /* _NGX_HTTP_JELOU_TEXT_H_INCLUDED_ */
