/*
 * A JSON text as a tree, read by a parser of its own: what the module makes of
 * a body is compared with what stands here.  It keeps what JSON libraries
 * throw away: the order, repeated members, the bytes of each token.
 */


#ifndef FUZZ_TREE_H
#define FUZZ_TREE_H


#include <stddef.h>
#include <stdint.h>


#define TREE_DEPTH  32


typedef struct {
    const uint8_t  *data;
    size_t          len;
} str_t;

#define str(s)  ((str_t) { (const uint8_t *) (s), sizeof(s) - 1 })


typedef enum {
    TREE_OBJECT = 0,
    TREE_ARRAY,
    TREE_STRING,
    TREE_NUMBER,
    TREE_LITERAL
} tree_type_e;


typedef struct tree_s  tree_t;

struct tree_s {
    tree_type_e   type;
    str_t         name;      /* of a member, between the quotes */
    str_t         token;     /* of a string, between the quotes; empty for an
                                object and an array */
    tree_t       *child;     /* the first one */
    tree_t       *next;
};


typedef enum {
    TREE_OK = 0,
    TREE_INVALID,            /* no JSON text */
    TREE_TOO_DEEP            /* nobody knows whether it is one */
} tree_status_e;


/* Text that is made: never longer than its memory, or the program ends. */

typedef struct {
    uint8_t      *data;
    size_t        len;
    size_t        size;
} text_t;


/* Memory for one run, which ends with the next memory_reset(). */
void memory_reset(void);
void *memory_get(size_t size);

/* The tree points into the text. */
tree_status_e tree_parse(str_t text, tree_t **root);

/* Says the same as jansson, a parser that others wrote, or ends the program. */
void tree_judge(str_t text, tree_status_e status);

/* Does jansson take the text? */
int json_valid(str_t text);

/*
 * Writes the tree without white space or, with a seed that is not 0, with some
 * of it and the members of each object in another order: those of one name,
 * which are repeated, keep theirs.
 */
void tree_write(text_t *out, tree_t *root, uint64_t *seed);

/*
 * Decodes a string token; one without an escape is its own text.  lone is set
 * if there is a surrogate without its other half, and then the text ends
 * before it.
 */
void token_decode(str_t token, str_t *text, int *lone);

/* Is it well-formed UTF-8, NUL and all? */
int utf8_valid(str_t text);

/* The code points of a string token, surrogate pairs joined. */
size_t token_points(str_t token, uint32_t *points);

/* The code points of a text that is well-formed. */
size_t utf8_points(str_t text, uint32_t *points);

int str_equal(str_t one, str_t two);

void text_init(text_t *text, size_t size);
void text_add(text_t *text, str_t s);
void text_byte(text_t *text, uint8_t c);
void text_utf8(text_t *text, uint32_t c);
str_t text_str(text_t *text);

/* xorshift64*: the same numbers for the same input */
uint64_t random_next(uint64_t *seed);
uint64_t random_seed(str_t text);

/* Ends the program so that libFuzzer keeps the input. */
void fault(const char *what, ...)
    __attribute__((format(printf, 1, 2), noreturn));

#define require(condition, ...)                                               \
    do { if (!(condition)) fault(__VA_ARGS__); } while (0)


#endif
