
/*
 * Delivery: what the files of the deliverer share.
 *
 * A worker has one stream object for each stream that a location delivers.  It
 * takes entries out of the stream, and keeps them in rooms: of a room, the
 * first entry is delivered, and then the next one.  With "order none", and for
 * an entry that names no room, each entry has a room of its own.
 *
 * What has to survive a crash is in Redis alone: the group's pending entries,
 * and beside the stream a hash with the lease and with what has failed.
 */


#ifndef _NGX_HTTP_JELOU_DELIVER_H_INCLUDED_
#define _NGX_HTTP_JELOU_DELIVER_H_INCLUDED_


#include "ngx_http_jelou_redis.h"
#include "ngx_http_jelou_deliver_request.h"


#define NGX_HTTP_JELOU_DELIVER_ROOM  0
#define NGX_HTTP_JELOU_DELIVER_NONE  1


/* times, in ms: a lease lasts LEASE, and is renewed every BEAT */

#define NGX_HTTP_JELOU_DELIVER_LEASE   6000
#define NGX_HTTP_JELOU_DELIVER_BEAT    2000

/* who has no lease asks for it so often */

#define NGX_HTTP_JELOU_DELIVER_ASK     1000

/* the consumer that has the lease; without one, what workers are called by
   begins with it, and it has what they have given back */

#define NGX_HTTP_JELOU_DELIVER_CONSUMER  "nginx"

/* without a lease: an entry that nobody has renewed for so long is claimed */

#define NGX_HTTP_JELOU_DELIVER_IDLE    60000

/* so long a connection waits for an entry to come */

#define NGX_HTTP_JELOU_DELIVER_BLOCK   10000

/* after an error, before the next try; and how often it is logged */

#define NGX_HTTP_JELOU_DELIVER_AGAIN   1000
#define NGX_HTTP_JELOU_DELIVER_LOG     60

/* the most that Retry-After is honoured for */

#define NGX_HTTP_JELOU_DELIVER_LATEST  3600

/* entries of one call, and bytes of their bodies; beyond, they are fetched when
   their turn has come */

#define NGX_HTTP_JELOU_DELIVER_BATCH   128
#define NGX_HTTP_JELOU_DELIVER_BYTES   (1024 * 1024)

/* bodies that are kept by a stream */

#define NGX_HTTP_JELOU_DELIVER_KEPT    (4 * 1024 * 1024)

/* an entry's id as text: two numbers and what is between them */

#define NGX_HTTP_JELOU_DELIVER_ID_LEN  (2 * NGX_INT64_LEN + 1)


typedef struct {
    ngx_http_upstream_srv_conf_t     *upstream;
    ngx_array_t                       streams;   /* of ngx_str_t */
    ngx_str_t                         group;
    ngx_str_t                         uri;

    ngx_uint_t                        order;
    ngx_uint_t                        parallel;
    ngx_uint_t                        window;    /* entries in hand */
    ngx_msec_t                        retry;     /* the first time */
    ngx_msec_t                        retry_max;
    ngx_uint_t                        attempts;
    ngx_str_t                         dead;      /* empty: by the stream */
    ngx_flag_t                        remove;    /* what is delivered */

    ngx_http_jelou_place_t            place;

    ngx_http_conf_ctx_t               location;
    ngx_http_jelou_secrets_t         *secrets;   /* NULL: it is not signed */
    off_t                             max_size;

    ngx_http_jelou_redis_settings_t   settings;  /* for commands, */
    ngx_http_jelou_redis_settings_t   blocking;  /*   and for one that waits */
} ngx_http_jelou_deliver_loc_conf_t;


typedef struct {
    ngx_array_t                       locations; /* of loc_conf *, merged */
    ngx_str_t                         load;      /* SCRIPT LOAD */
    ngx_str_t                         evalsha;   /* the script in a command, */
    ngx_str_t                         eval;      /*   by its SHA-1, or itself */
} ngx_http_jelou_deliver_main_conf_t;


typedef struct ngx_http_jelou_deliver_stream_s  ngx_http_jelou_deliver_stream_t;
typedef struct ngx_http_jelou_deliver_room_s    ngx_http_jelou_deliver_room_t;


typedef struct {
    ngx_queue_t                       queue;     /* in its room */
    uint64_t                          ms;        /* its id */
    uint64_t                          seq;
    uint64_t                          received;  /* ms since the epoch, 0: it
                                                    does not say so */
    uint64_t                          first;     /* try */
    uint64_t                          last;
    ngx_str_t                         body;      /* data NULL: to be fetched */
    ngx_str_t                         project;   /* in the same memory */
    uint32_t                          attempts;  /* that have ended */
    unsigned                          status:10; /* of the last one, or 0 */
    unsigned                          cloud:1;   /* a CloudEvent */
    unsigned                          bad:3;     /* see below */
} ngx_http_jelou_deliver_entry_t;


/* why an entry cannot be delivered, or is not delivered any more */

typedef enum {
    NGX_HTTP_JELOU_DELIVER_GOOD = 0,
    NGX_HTTP_JELOU_DELIVER_NO_EVENT,
    NGX_HTTP_JELOU_DELIVER_TOO_LARGE,
    NGX_HTTP_JELOU_DELIVER_NOT_JSON,
    NGX_HTTP_JELOU_DELIVER_REJECTED,
    NGX_HTTP_JELOU_DELIVER_ATTEMPTS,
    NGX_HTTP_JELOU_DELIVER_NREASONS
} ngx_http_jelou_deliver_reason_e;


typedef enum {
    NGX_HTTP_JELOU_DELIVER_READY = 0,        /* in the queue of those */
    NGX_HTTP_JELOU_DELIVER_WAITING,          /* until it is due */
    NGX_HTTP_JELOU_DELIVER_BUSY              /* the first entry is on its way */
} ngx_http_jelou_deliver_state_e;


struct ngx_http_jelou_deliver_room_s {
    ngx_str_node_t                    node;      /* its name, or empty */
    ngx_rbtree_node_t                 due;       /* while it waits */
    ngx_queue_t                       queue;     /* while it is ready */
    ngx_queue_t                       busy;      /* while it is busy */
    ngx_queue_t                       entries;
    ngx_http_jelou_deliver_stream_t  *stream;
    unsigned                          state:2;
    unsigned                          named:1;
    unsigned                          lost:1;    /* somebody else has it: of
                                                    no use but for a 2xx */
};


struct ngx_http_jelou_deliver_stream_s {
    ngx_http_jelou_deliver_loc_conf_t   *conf;
    ngx_http_jelou_deliver_main_conf_t  *dmcf;
    ngx_uint_t                           number;
    ngx_str_t                            name;
    ngx_str_t                            hash;   /* the key beside it */
    ngx_str_t                            dead;
    ngx_str_t                            consumer;
    ngx_str_t                            owner;  /* this worker */

    ngx_http_jelou_redis_target_t       *target;
    ngx_http_jelou_redis_target_t       *blocking;

    u_char                               fence_text[NGX_INT64_LEN];
    ngx_str_t                            fence;  /* empty: there is no lease */
    ngx_msec_t                           until;  /* the lease ends */
    u_char                               last_text[
                                               NGX_HTTP_JELOU_DELIVER_ID_LEN];
    ngx_str_t                            last;   /* id that was read */
    u_char                               cursor_text[
                                               NGX_HTTP_JELOU_DELIVER_ID_LEN];
    ngx_str_t                            cursor; /* of claiming */

    ngx_rbtree_t                         rooms;
    ngx_rbtree_node_t                    rooms_sentinel;
    ngx_rbtree_t                         waiting;
    ngx_rbtree_node_t                    waiting_sentinel;
    ngx_queue_t                          ready;
    ngx_queue_t                          busy;
    ngx_uint_t                           nready;
    ngx_uint_t                           nbusy;
    ngx_uint_t                           nlost;  /* of the busy ones */
    ngx_uint_t                           nentries;
    size_t                               bytes;
    ngx_uint_t                           silent; /* deliveries in a row that had
                                                    no answer */

    ngx_array_t                         *acks;   /* of ack_t, to be sent */
    ngx_array_t                         *acking; /* on their way */

    ngx_event_t                          go;
    ngx_event_t                          beat;
    ngx_event_t                          due;
    ngx_event_t                          again;
    ngx_http_jelou_redis_cmd_t          *wait;   /* that waits for an entry */
    ngx_msec_t                           beaten; /* when, last */
    ngx_msec_t                           tidied;
    ngx_msec_t                           failed; /* when a call had no reply */
    ngx_msec_t                           stopping;   /* since when */

    struct ngx_http_jelou_queue_delivery_s  *status; /* NULL: nothing is
                                                    counted */

    uint32_t                             logged; /* what, by its hash */
    time_t                               logged_at;

    unsigned                             owned:1;    /* may be read from */
    unsigned                             claimed:1;  /* what others had */
    unsigned                             reading:1;
    unsigned                             beating:1;
    unsigned                             releasing:1;
    unsigned                             empty:1;    /* nothing new there */
    unsigned                             paused:1;
    unsigned                             exiting:1;
    unsigned                             released:1;
};


typedef struct {
    uint64_t                          ms;
    uint64_t                          seq;
    ngx_uint_t                        failed;    /* unsigned  failed:1; */
} ngx_http_jelou_deliver_ack_t;


#define ngx_http_jelou_deliver_leased(s)                                      \
    ((s)->conf->order == NGX_HTTP_JELOU_DELIVER_ROOM)

/* the entry of a room that is delivered next */

#define ngx_http_jelou_deliver_first(room)                                    \
    ngx_queue_data(ngx_queue_head(&(room)->entries),                          \
                   ngx_http_jelou_deliver_entry_t, queue)

/* the room that a word of an id takes in a command */

#define NGX_HTTP_JELOU_DELIVER_WORD                                           \
    (NGX_HTTP_JELOU_DELIVER_ID_LEN + sizeof("$00" CRLF CRLF))


extern ngx_module_t  ngx_http_jelou_deliver_module;


/* ngx_http_jelou_deliver_worker.c: the streams of a worker */

ngx_int_t ngx_http_jelou_deliver_init_process(ngx_cycle_t *cycle);

/* How many leases this worker has. */
ngx_uint_t ngx_http_jelou_deliver_owned(void);


/* ngx_http_jelou_deliver_stream.c: what a stream does next */

/* Begins, after a delay. */
void ngx_http_jelou_deliver_start(ngx_http_jelou_deliver_stream_t *s,
    ngx_msec_t delay);

/* Looks once more, at the end of this turn of the event loop. */
void ngx_http_jelou_deliver_go(ngx_http_jelou_deliver_stream_t *s);

/* Finishes what has been begun, and gives back what has not. */
void ngx_http_jelou_deliver_stop(ngx_http_jelou_deliver_stream_t *s);

/* What was read last. */
void ngx_http_jelou_deliver_last(ngx_http_jelou_deliver_stream_t *s,
    redisReply *id);


/* ngx_http_jelou_deliver_lease.c: whether this worker may read */

/* The handler of the stream's beat. */
void ngx_http_jelou_deliver_beat_handler(ngx_event_t *ev);

/* Asks for the lease now. */
void ngx_http_jelou_deliver_ask(ngx_http_jelou_deliver_stream_t *s);

/* The lease, or the group, is no more: so are the entries in hand. */
void ngx_http_jelou_deliver_lose(ngx_http_jelou_deliver_stream_t *s);


/* ngx_http_jelou_deliver_keep.c: entries in hand, without a lease */

/* "renew" or "give", of all of them; those on their way are not given. */
void ngx_http_jelou_deliver_keep(ngx_http_jelou_deliver_stream_t *s,
    const char *operation);

/* Deletes consumers of workers that have died. */
void ngx_http_jelou_deliver_tidy(ngx_http_jelou_deliver_stream_t *s);


/* ngx_http_jelou_deliver_ack.c: entries that are done with */

/* One is: it is acknowledged with others. */
void ngx_http_jelou_deliver_ack(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e);

/* Sends what is to be acknowledged, if nothing else is on its way. */
void ngx_http_jelou_deliver_acks(ngx_http_jelou_deliver_stream_t *s);


/* ngx_http_jelou_deliver_room.c: entries in hand */

void ngx_http_jelou_deliver_rooms_init(ngx_http_jelou_deliver_stream_t *s);

/*
 * Puts an entry into the room of that name, or into one of its own.  Returns
 * NGX_OK; NGX_DECLINED if it is in hand already; NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_deliver_room_put(ngx_http_jelou_deliver_stream_t *s,
    ngx_str_t *name, ngx_http_jelou_deliver_entry_t *e);

/* The next room that is ready becomes busy; NULL: there is none. */
ngx_http_jelou_deliver_room_t *ngx_http_jelou_deliver_next(
    ngx_http_jelou_deliver_stream_t *s);

/* The first entry of a busy room is done with. */
void ngx_http_jelou_deliver_room_done(ngx_http_jelou_deliver_room_t *room);

/* It is not: the room waits. */
void ngx_http_jelou_deliver_room_wait(ngx_http_jelou_deliver_room_t *room,
    ngx_msec_t delay);

/* Forgets all entries but those on their way. */
void ngx_http_jelou_deliver_rooms_forget(ngx_http_jelou_deliver_stream_t *s);

/* Likewise, and those on their way become lost. */
void ngx_http_jelou_deliver_rooms_lose(ngx_http_jelou_deliver_stream_t *s);

/* All that wait since an application did not answer need not wait so long. */
void ngx_http_jelou_deliver_rooms_wake(ngx_http_jelou_deliver_stream_t *s);

/* Forgets a room by its name, unless it is busy. */
void ngx_http_jelou_deliver_room_forget(ngx_http_jelou_deliver_stream_t *s,
    ngx_str_t *name);


/* ngx_http_jelou_deliver_entry.c: entries as Redis has them */

/*
 * Takes entries of a reply, an array of an id and an array of fields and values
 * each.  Returns how many there were, or NGX_ERROR if that is not what the
 * reply has or if memory ran out.
 */
ngx_int_t ngx_http_jelou_deliver_take(ngx_http_jelou_deliver_stream_t *s,
    redisReply *entries);

/* Reads the event of an entry's fields.  Returns NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_jelou_deliver_fill(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e, redisReply *fields, ngx_str_t *room);

/* Forgets the body of an entry. */
void ngx_http_jelou_deliver_drop(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e);

void ngx_http_jelou_deliver_entry_free(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_entry_t *e);

u_char *ngx_http_jelou_deliver_id(u_char *p, uint64_t ms, uint64_t seq);


/* ngx_http_jelou_deliver_event.c: the delivery of an entry */

/* The names of the reasons; that of none is empty. */
extern ngx_str_t
    ngx_http_jelou_deliver_reasons[NGX_HTTP_JELOU_DELIVER_NREASONS];

/* Begins it, for the first entry of a busy room. */
void ngx_http_jelou_deliver_event(ngx_http_jelou_deliver_room_t *room);


/* ngx_http_jelou_deliver_command.c: commands to the script */

typedef struct ngx_http_jelou_deliver_cmd_s  ngx_http_jelou_deliver_cmd_t;

/*
 * Called with the elements of the script's reply behind its first word, and
 * with that word; or with NULL, if there was an error, which has been logged.
 */
typedef void (*ngx_http_jelou_deliver_cmd_pt)(
    ngx_http_jelou_deliver_stream_t *s, void *data, const char *word,
    redisReply *reply);

/*
 * Sends a call of the script: its operation, and up to 8 words.  The handler
 * will be called, if there is one; from within, if the call cannot be sent.
 */
void ngx_http_jelou_deliver_call(ngx_http_jelou_deliver_stream_t *s,
    const char *operation, ngx_uint_t nwords, ngx_str_t *words,
    ngx_http_jelou_deliver_cmd_pt handler, void *data);

/* Likewise, with words that are written one behind the other already. */
void ngx_http_jelou_deliver_call_text(ngx_http_jelou_deliver_stream_t *s,
    const char *operation, ngx_uint_t nwords, ngx_str_t *text,
    ngx_http_jelou_deliver_cmd_pt handler, void *data);

/* Writes a word for such a text; WORD is the room that a short one takes. */
u_char *ngx_http_jelou_deliver_word(u_char *p, u_char *data, size_t len);

/* Logs why there is no reply of use; what follows from that is done. */
void ngx_http_jelou_deliver_failed(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_redis_result_e result, ngx_http_jelou_redis_reply_t *reply);

/* Logs an error of a stream, the same one once a minute. */
void ngx_http_jelou_deliver_log(ngx_http_jelou_deliver_stream_t *s,
    const char *what, ngx_str_t *detail);


/* ngx_http_jelou_deliver_script.c: a script makes each change one step */

ngx_int_t ngx_http_jelou_deliver_script_init(ngx_conf_t *cf,
    ngx_http_jelou_deliver_main_conf_t *dmcf);


/* ngx_http_jelou_deliver_wait.c: what waits for an entry to come */

/* Sends what waits for an entry; its handler is called once. */
ngx_int_t ngx_http_jelou_deliver_wait(ngx_http_jelou_deliver_stream_t *s,
    ngx_http_jelou_deliver_cmd_pt handler);

/* Ends that waiting, if there is any. */
void ngx_http_jelou_deliver_wait_end(ngx_http_jelou_deliver_stream_t *s);


/* ngx_http_jelou_deliver_json.c */

/*
 * Whether a text is JSON, an object or an array.  Returns NGX_OK, NGX_DECLINED,
 * or NGX_ERROR, with a log line, if that could not be found out.
 */
ngx_int_t ngx_http_jelou_deliver_json(ngx_str_t *text, ngx_log_t *log);


#endif /* _NGX_HTTP_JELOU_DELIVER_H_INCLUDED_ */
