
/*
 * Bytes to outcome: what Redis answers, over hiredis's reader.
 */


#ifndef _NGX_HTTP_JELOU_REDIS_REPLY_H_INCLUDED_
#define _NGX_HTTP_JELOU_REDIS_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_jelou_parse.h"

#include <hiredis/hiredis.h>


/* the longest text that an answer to the script has */

#define NGX_HTTP_JELOU_REDIS_TEXT   160

/* the longest word that an error is known by */

#define NGX_HTTP_JELOU_REDIS_CAUSE  24


typedef enum {
    NGX_HTTP_JELOU_REDIS_APPENDED = 0,
    NGX_HTTP_JELOU_REDIS_SAME,               /* was appended before */
    NGX_HTTP_JELOU_REDIS_OTHER,              /* so was another body */
    NGX_HTTP_JELOU_REDIS_NOSCRIPT,           /* the script is not there */
    NGX_HTTP_JELOU_REDIS_REFUSED             /* an error, with its cause */
} ngx_http_jelou_redis_outcome_e;


typedef struct {
    redisReader                     *reader;

    ngx_uint_t                       before;  /* commands before the event's */
    ngx_uint_t                       n;       /* of replies read */
    ngx_uint_t                       script;  /* the event's is our script */
    ngx_uint_t                       random;  /* which stores random bytes */

    /* the reply that is being read */

    int                              type;    /* of all of it */
    ngx_uint_t                       items;   /* of an array */
    long long                        code;    /* its first item */
    u_char                           text[NGX_HTTP_JELOU_REDIS_TEXT];
    size_t                           len;     /* of the text as sent */
    unsigned                         odd:1;   /* it is none of ours */

    /* what was found out */

    ngx_http_jelou_redis_outcome_e   outcome;
    ngx_str_t                        cause;   /* an error's first word */
    u_char                           word[NGX_HTTP_JELOU_REDIS_CAUSE];
    ngx_uint_t                       failed;  /* of which command, from 0 */
    ngx_uint_t                       elsewhere;  /* another server may take it,
                                                    this one has not */
    u_char                           stored[NGX_HTTP_JELOU_RANDOM_LEN];
} ngx_http_jelou_redis_reply_t;


/*
 * Begins to read the replies to as many commands as stand before the event's,
 * and to the event's own: the script's, which has stored random bytes or not,
 * or XADD's.  The structure is zeroed by the caller, or has been used before
 * and freed.  Returns NGX_OK, or NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_redis_reply_init(ngx_http_jelou_redis_reply_t *reply,
    ngx_uint_t before, ngx_uint_t script, ngx_uint_t random);

/*
 * Reads the next len bytes.  Returns NGX_AGAIN if more are to come; NGX_OK and
 * the outcome; NGX_DECLINED if this is not what Redis answers, or goes on
 * behind its end; NGX_ERROR if memory ran out.  It is not called again after
 * anything but NGX_AGAIN.
 */
ngx_int_t ngx_http_jelou_redis_reply_read(ngx_http_jelou_redis_reply_t *reply,
    u_char *data, size_t len);

/* Frees the reader, if there is one. */
void ngx_http_jelou_redis_reply_free(ngx_http_jelou_redis_reply_t *reply);


#endif /* _NGX_HTTP_JELOU_REDIS_REPLY_H_INCLUDED_ */
