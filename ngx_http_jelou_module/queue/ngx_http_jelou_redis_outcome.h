
/*
 * What the reply to an event's command means.
 */


#ifndef _NGX_HTTP_JELOU_REDIS_OUTCOME_H_INCLUDED_
#define _NGX_HTTP_JELOU_REDIS_OUTCOME_H_INCLUDED_


#include "ngx_http_jelou_parse.h"
#include "ngx_http_jelou_redis_reply.h"


typedef enum {
    NGX_HTTP_JELOU_REDIS_APPENDED = 0,
    NGX_HTTP_JELOU_REDIS_SAME,               /* was appended before */
    NGX_HTTP_JELOU_REDIS_OTHER,              /* so was another body */
    NGX_HTTP_JELOU_REDIS_FULL,               /* the stream is */
    NGX_HTTP_JELOU_REDIS_NOSCRIPT,           /* the script is not there */
    NGX_HTTP_JELOU_REDIS_DENIED              /* an error */
} ngx_http_jelou_redis_outcome_e;


typedef struct {

    /* what the command was */

    unsigned                         script:1;   /* not XADD alone, */
    unsigned                         key:1;      /*   with a key, */
    unsigned                         random:1;   /*   that has random bytes, */
    unsigned                         limit:1;    /*   with a limit, */
    unsigned                         maxlen:1;   /*   that trims */

    /* what became of it */

    ngx_http_jelou_redis_outcome_e   result;
    u_char                           stored[NGX_HTTP_JELOU_RANDOM_LEN];
    ngx_uint_t                       dropped;    /* entries */
} ngx_http_jelou_redis_outcome_t;


/*
 * Finds out what a reply means.  Returns NGX_OK, or NGX_DECLINED if this is no
 * reply to such a command.
 */
ngx_int_t ngx_http_jelou_redis_outcome(ngx_http_jelou_redis_outcome_t *outcome,
    ngx_http_jelou_redis_reply_t *reply);


#endif /* _NGX_HTTP_JELOU_REDIS_OUTCOME_H_INCLUDED_ */
