/*
 * What the documentation promises of a body, written down a second time, over
 * a tree, with no thought for speed: whether it is accepted, where it is
 * wrong, and which bytes are forwarded and answered.
 */


#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H


#include "rules.h"


enum {
    INCOMING_MESSAGE = 0,
    MESSAGE,
    ROOM_MESSAGE,
    BOT_MESSAGE,

    ENDPOINTS
};


enum {
    CONVERSATION_OFF = 0,
    CONVERSATION_ON,
    CONVERSATION_KNOWN
};

/* where U+0000 and lone surrogates are wrong: in what the event has of it */

enum {
    TEXT_ANY = 0,
    TEXT_EVENT,
    TEXT_BODY
};


typedef struct {
    int        endpoint;
    int        strict;
    int        conversation;     /* CONVERSATION_... */
    int        text;             /* TEXT_... */
    str_t      fixed[3];         /* field, object, event_type */
    str_t      json[3];          /* the same as JSON strings */
    str_t      path_id;
    str_t      path_token;       /* the same between quotes */

    /* what the module has made, once the event is accepted */

    str_t      message_id;
    str_t      option_id[10];

    str_t      digest;           /* in hex */
    uint64_t   received;         /* ms */
} terms_t;


#define POINTERS  64

typedef struct {
    int        accepted;
    int        turn;             /* it is a conversation event */
    str_t      pointers[POINTERS];
    size_t     npointers;        /* or more, if it is POINTERS */
} verdict_t;


/* root is an object */
void model_check(verdict_t *verdict, const terms_t *terms, tree_t *root);

/* Of any object: $jelou_project_id, or empty */
str_t model_project_id(const terms_t *terms, tree_t *root);

/* Of an accepted event: what is forwarded in both formats, and the answer. */
void model_event(text_t *out, const terms_t *terms, tree_t *root);
void model_cloudevent(text_t *out, const terms_t *terms, tree_t *root);
void model_answer(text_t *out, const terms_t *terms, tree_t *root);

/* Of a room_message: the ids or the types of its messages, with commas. */
void model_items(text_t *out, tree_t *root, const char *member);

/* The first member with that name, or NULL. */
tree_t *model_first(tree_t *object, const char *name);

/* Is it a conversation event, right or wrong? */
int model_turn(const terms_t *terms, tree_t *root);


#endif
