
/*
 * Commands on their way over one connection, and the replies to them, in
 * their order.  Nothing of the network is here.
 */


#ifndef _NGX_HTTP_JELOU_REDIS_PIPELINE_H_INCLUDED_
#define _NGX_HTTP_JELOU_REDIS_PIPELINE_H_INCLUDED_


#include "ngx_http_jelou_redis_reply.h"


#define NGX_HTTP_JELOU_REDIS_WORDS  8


typedef struct ngx_http_jelou_redis_cmd_s  ngx_http_jelou_redis_cmd_t;


/*
 * A part of a command: bytes as Redis reads them, which may be several words
 * and the number of all of them, or one word as it is.
 */

typedef struct {
    size_t                          len;
    u_char                         *data;
    ngx_uint_t                      raw;     /* unsigned  raw:1; */
} ngx_http_jelou_redis_piece_t;


typedef enum {
    NGX_HTTP_JELOU_REDIS_REPLIED = 0,
    NGX_HTTP_JELOU_REDIS_REFUSED,            /* no server takes it now */
    NGX_HTTP_JELOU_REDIS_UNREACHABLE,        /* it has not been sent */
    NGX_HTTP_JELOU_REDIS_LOST,               /* it may have been executed */
    NGX_HTTP_JELOU_REDIS_TIMED_OUT           /* likewise: no answer in time */
} ngx_http_jelou_redis_result_e;


/*
 * Called once for a command, never from within the call that has sent it.
 * What is returned counts only for REPLIED: NGX_OK, or NGX_DECLINED if the
 * reply is none to this command, so that the connection is of no use.
 */
typedef ngx_int_t (*ngx_http_jelou_redis_cmd_pt)(
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_result_e result,
    ngx_http_jelou_redis_reply_t *reply);


struct ngx_http_jelou_redis_cmd_s {

    /* the caller's, who keeps them until the handler is called */

    ngx_http_jelou_redis_piece_t   *pieces;
    ngx_uint_t                      npieces;
    ngx_http_jelou_redis_cmd_pt     handler;
    void                           *data;
    ngx_str_t                       key;     /* that it is about, or empty */
    unsigned                        repeat:1;    /* twice does no harm */
    unsigned                        tree:1;      /* so the reply shall be */

    /* private, zeroed by the caller */

    void                           *owner;   /* what it is sent by */
    ngx_str_t                       server;  /* that it was sent to, while the
                                                handler is called */
    ngx_queue_t                     queue;   /* while it is waiting */
    uint64_t                        number;  /* its place, while in flight */
    void                           *conn;    /* NULL: it is not in flight */
    ngx_uint_t                      tries;   /* servers that have refused */
    ngx_uint_t                      redirects;   /* by a cluster */
    ngx_msec_t                      since;   /* it was sent first */
    ngx_uint_t                      resend;  /* what it counts as when it is
                                                sent once more, or 0 */
    unsigned                        waiting:1;
    unsigned                        repeated:1;
    unsigned                        asking:1;    /* a slot that moves */
};


typedef struct {
    ngx_http_jelou_redis_cmd_t     *cmd;     /* NULL: nobody wants to know */
    ngx_msec_t                      since;
} ngx_http_jelou_redis_slot_t;


typedef struct {
    ngx_http_jelou_redis_slot_t    *slots;   /* a ring */
    uint64_t                        mask;
    uint64_t                        head;    /* the oldest one's number */
    uint64_t                        tail;    /* the next one's */
    ngx_http_jelou_redis_reader_t   reader;
} ngx_http_jelou_redis_pipeline_t;


#define ngx_http_jelou_redis_in_flight(pipeline)                              \
    ((pipeline)->tail - (pipeline)->head)


/* Makes a zeroed pipeline ready.  Returns NGX_OK, or NGX_ERROR. */
ngx_int_t ngx_http_jelou_redis_pipeline_init(
    ngx_http_jelou_redis_pipeline_t *pipeline, ngx_log_t *log);

void ngx_http_jelou_redis_pipeline_free(
    ngx_http_jelou_redis_pipeline_t *pipeline);

/*
 * Adds a command, or NULL for one whose reply nobody wants.  Returns NGX_OK,
 * and its number, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_redis_pipeline_add(
    ngx_http_jelou_redis_pipeline_t *pipeline, ngx_http_jelou_redis_cmd_t *cmd,
    uint64_t *number, ngx_log_t *log);

/* Lets the reply to a command come, for nobody. */
void ngx_http_jelou_redis_pipeline_forget(
    ngx_http_jelou_redis_pipeline_t *pipeline, uint64_t number);

/* When the oldest command was added; there is one. */
ngx_msec_t ngx_http_jelou_redis_pipeline_since(
    ngx_http_jelou_redis_pipeline_t *pipeline);

/*
 * Takes the oldest command out, without a reply.  Returns NGX_DECLINED if
 * there is none.
 */
ngx_int_t ngx_http_jelou_redis_pipeline_drop(
    ngx_http_jelou_redis_pipeline_t *pipeline,
    ngx_http_jelou_redis_cmd_t **cmd);

/*
 * Reads the next reply of what the reader has been fed, and takes the command
 * out that it is the reply to.  Returns NGX_OK, and *cmd may be NULL; or what
 * ngx_http_jelou_redis_reader_next() does.  A reply to nothing is
 * NGX_DECLINED.
 */
ngx_int_t ngx_http_jelou_redis_pipeline_next(
    ngx_http_jelou_redis_pipeline_t *pipeline,
    ngx_http_jelou_redis_cmd_t **cmd);

/* Sets a piece, and returns the place of the next one. */
ngx_http_jelou_redis_piece_t *ngx_http_jelou_redis_piece(
    ngx_http_jelou_redis_piece_t *piece, ngx_str_t *text, ngx_uint_t raw);

/* Writes a text into a buffer that is long enough, as ngx_sprintf() does. */
void ngx_http_jelou_redis_printf(ngx_str_t *text, u_char *buf,
    const char *fmt, ...);

/* How many bytes the pieces become. */
size_t ngx_http_jelou_redis_pieces_len(ngx_http_jelou_redis_piece_t *pieces,
    ngx_uint_t n);

/* Writes them, and returns their end. */
u_char *ngx_http_jelou_redis_pieces_write(u_char *p,
    ngx_http_jelou_redis_piece_t *pieces, ngx_uint_t n);

/*
 * Makes a command of some words, NGX_HTTP_JELOU_REDIS_WORDS at most, as Redis
 * reads it, in the pool.  Returns NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_redis_text(ngx_pool_t *pool, ngx_str_t *text,
    ngx_uint_t nwords, ngx_str_t *words);


#endif /* _NGX_HTTP_JELOU_REDIS_PIPELINE_H_INCLUDED_ */
