/*
 * What the documentation promises of a single value: which strings are ids,
 * URLs, media types and names.  A token is what stands between the quotes.
 */


#ifndef FUZZ_RULES_H
#define FUZZ_RULES_H


#include "tree.h"


typedef struct {
    const char     *name;
    const char     *upper;        /* in a room_message, or NULL */
    const char     *required;     /* of its content, with spaces around */
    const char     *optional;
} message_type_t;


/* The first one is that of texts. */
extern const message_type_t  message_types[];

/* The type with that name, or NULL. */
const message_type_t *message_type(str_t token, int upper);

str_t str_of(const char *s);

/* Whether the text is that one, or one of those between spaces. */
int token_is(str_t token, const char *s);
int token_in(const char *list, str_t token);

int is_alpha(uint8_t c);
int is_digit(uint8_t c);

int good_identifier(str_t token);
int good_https(str_t token);
int good_media(str_t token);
int good_uuid(str_t token);
int good_mime_type(str_t token);
int good_title(str_t token);
int good_description(str_t token);

/* Names of conversation events: any, and those that are known. */
int good_turn(str_t token);
int good_known_turn(str_t token);
int is_conversation(str_t token);

/* text is well-formed UTF-8 */
int is_identifier(str_t text);

/* "storable": no U+0000, and no surrogate without its other half */
int is_storable(str_t token);

/* All strings and names of it */
int is_all_storable(tree_t *node);


#endif
