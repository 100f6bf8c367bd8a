
/*
 * Bytes to replies, over hiredis' reader.
 */


#ifndef _NGX_HTTP_JELOU_REDIS_REPLY_H_INCLUDED_
#define _NGX_HTTP_JELOU_REDIS_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hiredis/hiredis.h>


/* how much of a text is kept; what goes on behind it is longer than any of
   ours */

#define NGX_HTTP_JELOU_REDIS_TEXT   192

/* the longest word that an error is known by */

#define NGX_HTTP_JELOU_REDIS_CAUSE  24


/*
 * A reply.  Of a plain one there is the type, and its text or number; nothing
 * is allocated for it, whatever the server says.  A tree is hiredis' own.
 */

typedef struct {
    int           type;                      /* hiredis', 0: none of ours */
    long long     number;
    size_t        len;                       /* of the text as sent */
    u_char        text[NGX_HTTP_JELOU_REDIS_TEXT];
    unsigned      odd:1;                     /* parts of it are not here */

    redisReply   *tree;                      /* NULL: a plain one */
} ngx_http_jelou_redis_reply_t;


typedef struct {
    redisReader                    *reader;
    ngx_http_jelou_redis_reply_t    reply;   /* the last one */
    unsigned                        refused:1;  /* too large or too deep:
                                                   not for want of memory */
} ngx_http_jelou_redis_reader_t;


/*
 * Makes a zeroed reader ready.  Returns NGX_OK, or NGX_ERROR if memory ran
 * out.
 */
ngx_int_t ngx_http_jelou_redis_reader_init(
    ngx_http_jelou_redis_reader_t *reader);

void ngx_http_jelou_redis_reader_free(ngx_http_jelou_redis_reader_t *reader);

/* Takes len bytes.  Returns NGX_OK, or NGX_ERROR if memory ran out. */
ngx_int_t ngx_http_jelou_redis_reader_feed(
    ngx_http_jelou_redis_reader_t *reader, u_char *data, size_t len);

/*
 * Reads the next reply, of which at most max bytes are waited for: as a tree
 * or plain.  Returns NGX_OK, and the reply is in reader->reply until the next
 * call; NGX_AGAIN if more bytes are to come; NGX_DECLINED if this is not what
 * Redis answers; NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_redis_reader_next(
    ngx_http_jelou_redis_reader_t *reader, ngx_uint_t tree, size_t max);

/* Whether bytes are there that no reply has taken. */
ngx_uint_t ngx_http_jelou_redis_reader_rest(
    ngx_http_jelou_redis_reader_t *reader);

/* The text of a reply, as far as it is here. */
void ngx_http_jelou_redis_reply_text(ngx_http_jelou_redis_reply_t *reply,
    ngx_str_t *text);

/*
 * The word that an error is known by, in capitals: what follows it may have
 * parts of the command, and goes nowhere.  Of another one it is "an error".
 * It lasts as long as the reply.
 */
void ngx_http_jelou_redis_reply_cause(ngx_http_jelou_redis_reply_t *reply,
    ngx_str_t *cause);


#endif /* _NGX_HTTP_JELOU_REDIS_REPLY_H_INCLUDED_ */
