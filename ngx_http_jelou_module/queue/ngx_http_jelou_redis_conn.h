
/*
 * Connections to Redis: what sends commands, of an event or of anything else,
 * and hands out their replies.  No HTTP request is needed.
 *
 *     target = ngx_http_jelou_redis_target(settings, uscf);
 *
 *     cmd->pieces = pieces;                 of the caller's memory, until ...
 *     cmd->npieces = n;
 *     cmd->handler = handler;               ... this is called
 *     cmd->data = data;
 *     cmd->repeat = 1;                      if twice does no harm
 *
 *     rc = ngx_http_jelou_redis_send(target, cmd);
 *
 * A worker has one target for what has the same settings and the same group of
 * servers; ngx_http_jelou_redis_target_create() makes one more, for a command
 * that blocks: its connection is nobody else's, and the settings' read_timeout
 * is to be longer than it blocks.
 *
 * A target has a connection to the server that takes its commands, and asks
 * the next one of the group if that one is gone, or says that it cannot take
 * them; those of a turn of the event loop go out together.  On each connection
 * AUTH, SELECT and SCRIPT LOAD have been answered before a command is sent.
 */


#ifndef _NGX_HTTP_JELOU_REDIS_CONN_H_INCLUDED_
#define _NGX_HTTP_JELOU_REDIS_CONN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_jelou_text.h"
#include "ngx_http_jelou_redis_pipeline.h"


/* how many causes are told apart by what logs each once a second */

#define NGX_HTTP_JELOU_REDIS_NCAUSES  16


/* an event of a target or a stream */
#define ngx_http_jelou_redis_event(ev, handle, of, to)                        \
    (ev)->handler = handle;                                                   \
    (ev)->data = of;                                                          \
    (ev)->log = to

/* how often Sentinels are asked, ms */

#define NGX_HTTP_JELOU_REDIS_POLL     1000


/* AUTH, SELECT, and always the script, or what stands in its place */

#define NGX_HTTP_JELOU_REDIS_NHELLO   3


typedef struct ngx_http_jelou_redis_settings_s
    ngx_http_jelou_redis_settings_t;


struct ngx_http_jelou_redis_settings_s {
    ngx_msec_t                    connect_timeout;
    ngx_msec_t                    read_timeout;
    ngx_uint_t                    pending;   /* commands at a time */

    ngx_str_t                     hello[NGX_HTTP_JELOU_REDIS_NHELLO];
                                             /* the commands that are sent
                                                first, the last one before:
                                                the script's is hello[0] */
    ngx_uint_t                    nhello;

#if (NGX_HTTP_SSL)
    ngx_ssl_t                    *ssl;       /* NULL: no TLS */
    ngx_str_t                     ssl_name;  /* empty: the group's */
    ngx_flag_t                    ssl_server_name;
    ngx_flag_t                    ssl_verify;
    ngx_flag_t                    ssl_session_reuse;
#endif

    ngx_http_conf_ctx_t          *ctx;       /* of any location */
    ngx_resolver_t               *resolver;
    ngx_msec_t                    resolver_timeout;
    ngx_queue_t                   targets;   /* of this worker, */
    ngx_queue_t                   groups;    /*   and addresses that it has */
    ngx_uint_t                    ngroups;   /*   been given */

    ngx_str_t                     sentinel;  /* what Sentinels are asked, or
                                                empty */
    ngx_http_jelou_redis_settings_t  *sentinels;  /* and how */
};


typedef struct {
    uint32_t                      hash;
    time_t                        sec;       /* it was logged last */
    ngx_uint_t                    more;      /* since then */
} ngx_http_jelou_redis_logged_t;


typedef struct ngx_http_jelou_redis_conn_s    ngx_http_jelou_redis_conn_t;
typedef struct ngx_http_jelou_redis_target_s  ngx_http_jelou_redis_target_t;


/* the addresses of a host name: none, if it has none */

typedef void (*ngx_http_jelou_redis_resolved_pt)(void *data,
    ngx_resolver_addr_t *addrs, ngx_uint_t naddrs);


/* a group that is a host name only, without addresses so far */

#define ngx_http_jelou_redis_named(uscf)  ((uscf)->peer.init == NULL)


struct ngx_http_jelou_redis_target_s {
    ngx_queue_t                       queue;
    ngx_http_jelou_redis_settings_t  *settings;
    ngx_http_upstream_srv_conf_t     *uscf;

    ngx_queue_t                       conns;
    ngx_http_jelou_redis_conn_t      *current;   /* it takes commands */

    ngx_queue_t                       waiting;   /* until one does */
    ngx_uint_t                        nwaiting;

    /* the way through the group, from one server to the next one */

    ngx_http_request_t               *walk;      /* NULL: there is none */
    ngx_http_jelou_redis_conn_t      *candidate; /* is being opened */
    ngx_uint_t                        serial;    /* of the walk */
    ngx_uint_t                        nservers;
    ngx_http_jelou_redis_result_e     result;    /* of the last server */
    ngx_event_t                       next;      /* goes on with it */

    /* the group is of Sentinels, which name the server */

    ngx_http_jelou_redis_target_t    *sentinel;  /* NULL: it is not */
    ngx_http_jelou_redis_cmd_t        ask;
    ngx_http_jelou_redis_piece_t      question;
    ngx_event_t                       poll;
    in_port_t                         port;      /* that they have named */
    ngx_uint_t                        asking;    /* unsigned  asking:1; */

    /* servers that have a host name, whose address is asked for */

    ngx_queue_t                       names;
    ngx_uint_t                        resolving; /* unsigned  resolving:1; */

    /* of a cluster, as its redirections tell; NULL: it is none so far */

    ngx_http_jelou_redis_conn_t     **slots;
    ngx_queue_t                       later;     /* commands to try again */
    ngx_event_t                       again;     /* tries them */

#if (NGX_HTTP_SSL)
    ngx_ssl_session_t                *session;   /* of TLS, the last one */
#endif

    ngx_log_t                         log;
    ngx_http_jelou_redis_logged_t     logged[NGX_HTTP_JELOU_REDIS_NCAUSES];
};


struct ngx_http_jelou_redis_conn_s {
    ngx_queue_t                       queue;     /* in target->conns */
    ngx_http_jelou_redis_target_t    *target;
    ngx_pool_t                       *pool;
    ngx_peer_connection_t             peer;
    ngx_str_t                         name;
    ngx_str_t                         host;      /* and port, as a cluster
                                                    names it, or empty */

    ngx_http_jelou_redis_pipeline_t   pipeline;
    ngx_uint_t                        hello;     /* replies before it is ready,
                                                    to come */
    ngx_uint_t                        refused;   /* in which walk */
    ngx_queue_t                       waiting;   /* for it to be ready */

    ngx_chain_t                      *out;       /* what is to be sent */
    ngx_chain_t                      *last;      /* the end of it */
    ngx_chain_t                      *spare;
    ngx_event_t                       flush;     /* at the end of the turn */

    unsigned                          connected:1;
    unsigned                          ready:1;
    unsigned                          busy:1;    /* its replies are read */
    unsigned                          closed:1;
};


/*
 * The group of servers that a name stands for: an upstream's, or an address,
 * which becomes a group of its own.  Returns NULL if it is none of them, if
 * there are too many addresses, or if memory ran out.
 */
ngx_http_upstream_srv_conf_t *ngx_http_jelou_redis_group(
    ngx_http_jelou_redis_settings_t *settings, ngx_str_t *name);

/*
 * The target of this worker for a group of servers.  Returns NULL if memory
 * ran out.
 */
ngx_http_jelou_redis_target_t *ngx_http_jelou_redis_target(
    ngx_http_jelou_redis_settings_t *settings,
    ngx_http_upstream_srv_conf_t *uscf);

/* One more, that nobody else has.  Returns NULL if memory ran out. */
ngx_http_jelou_redis_target_t *ngx_http_jelou_redis_target_create(
    ngx_http_jelou_redis_settings_t *settings,
    ngx_http_upstream_srv_conf_t *uscf);

/*
 * Sends a command, zeroed but for what is the caller's.  Returns NGX_OK, and
 * its handler will be called, but not from within; NGX_BUSY if there are too
 * many; NGX_ERROR if memory ran out.
 */
ngx_int_t ngx_http_jelou_redis_send(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd);

/*
 * Forgets a command whose handler has not been called, and will not be.  What
 * has been sent of it is executed all the same.
 */
void ngx_http_jelou_redis_cancel(ngx_http_jelou_redis_cmd_t *cmd);

/*
 * Logs why something failed, "what" and behind it the detail, if there is one:
 * once a second for a cause and a server, with the number of those that have
 * not been logged.  Returns NGX_OK if it has been logged, else NGX_DECLINED.
 */
ngx_int_t ngx_http_jelou_redis_log(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *server, ngx_log_t *log, ngx_err_t err, const char *what,
    ngx_str_t *detail);


/* Between the files that connections are made of. */

/* The log's handler: which server it is about. */
u_char *ngx_http_jelou_redis_log_error(ngx_log_t *log, u_char *buf,
    size_t len);

/*
 * Sends a command the way that is known, or lets it wait.  Returns what
 * ngx_http_jelou_redis_send() does.
 */
ngx_int_t ngx_http_jelou_redis_put(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd);

/* The same, over a connection that is known. */
ngx_int_t ngx_http_jelou_redis_put_to(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd);

/* Lets a command wait in one of the target's queues. */
ngx_int_t ngx_http_jelou_redis_wait(ngx_http_jelou_redis_target_t *target,
    ngx_queue_t *queue, ngx_http_jelou_redis_cmd_t *cmd);

/*
 * Sends those that wait in a queue: those that have waited for a connection
 * over that one, if it is given, the others where they belong.
 */
void ngx_http_jelou_redis_waiting_flush(ngx_http_jelou_redis_target_t *target,
    ngx_queue_t *queue, ngx_http_jelou_redis_conn_t *conn);

/* Tells those that wait for a server that there is none. */
void ngx_http_jelou_redis_waiting_fail(ngx_http_jelou_redis_target_t *target);

/* Sends those whose slot was moving. */
void ngx_http_jelou_redis_again(ngx_event_t *ev);

/* The connection to an address, or NULL. */
ngx_http_jelou_redis_conn_t *ngx_http_jelou_redis_find(
    ngx_http_jelou_redis_target_t *target, struct sockaddr *sockaddr,
    socklen_t socklen);

/* The connection that has the command's slot, or NULL if that is not known. */
ngx_http_jelou_redis_conn_t *ngx_http_jelou_redis_slot(
    ngx_http_jelou_redis_target_t *target, ngx_http_jelou_redis_cmd_t *cmd);

/*
 * The address that a text is, with the port.  Returns NGX_DECLINED if it is a
 * host name.
 */
ngx_int_t ngx_http_jelou_redis_address(ngx_str_t *host, in_port_t port,
    ngx_sockaddr_t *sockaddr, socklen_t *socklen);

/*
 * Asks nginx's resolver for the addresses of a host name; without one, or if
 * there are none, that is logged.  Returns NGX_OK, and the handler has been
 * called or will be, with no address if there is none; else NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_redis_resolve(ngx_http_jelou_redis_target_t *target,
    ngx_str_t *host, ngx_http_jelou_redis_resolved_pt handler, void *data);

/*
 * Sends a command to a server that a cluster has named by a host name.  Returns
 * NGX_OK, or NGX_DECLINED if that is not possible.
 */
ngx_int_t ngx_http_jelou_redis_name(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_str_t *host, in_port_t port);

/*
 * Sends a command to the server that a cluster has named, and remembers it for
 * the slot, if it is not for once only.  Returns what
 * ngx_http_jelou_redis_send() does.
 */
ngx_int_t ngx_http_jelou_redis_follow(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_conn_t *to, ngx_http_jelou_redis_cmd_t *cmd);

/* The connection to an address, opened if there is none so far, or NULL. */
ngx_http_jelou_redis_conn_t *ngx_http_jelou_redis_reach(
    ngx_http_jelou_redis_target_t *target, struct sockaddr *sockaddr,
    socklen_t socklen);

/*
 * Follows a redirection.  Returns NGX_DECLINED if the reply is none, or cannot
 * be followed; else NGX_OK, and the command is on its way.
 */
ngx_int_t ngx_http_jelou_redis_redirect(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_reply_t *reply);

/* Forgets a connection; NULL forgets the command's slot only. */
void ngx_http_jelou_redis_forget(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_conn_t *conn, ngx_http_jelou_redis_cmd_t *cmd);

/*
 * Opens a connection; the address is copied.  Returns NULL, with a log line, if
 * that is not possible.
 */
ngx_http_jelou_redis_conn_t *ngx_http_jelou_redis_conn_open(
    ngx_http_jelou_redis_target_t *target, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name);

/* A command as it is, whose reply is nobody's.  Returns NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_jelou_redis_conn_add(ngx_http_jelou_redis_conn_t *conn,
    ngx_str_t *text);

/* Sends what there is, as far as possible.  Returns NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_jelou_redis_conn_send(ngx_http_jelou_redis_conn_t *conn);

/* The end of a turn: what has been put into the next write is sent. */
void ngx_http_jelou_redis_conn_flush(ngx_event_t *ev);

/* Puts a command into the next write.  Returns NGX_OK, or NGX_ERROR. */
ngx_int_t ngx_http_jelou_redis_conn_put(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd);

/* What is answered before anything else goes out: the way is open for it. */
void ngx_http_jelou_redis_conn_begin(ngx_http_jelou_redis_conn_t *conn);

/* Sends it.  Returns NGX_OK, or NGX_ERROR. */
ngx_int_t ngx_http_jelou_redis_hello(ngx_http_jelou_redis_conn_t *conn);

/*
 * A reply to it.  Returns NGX_OK, and the connection may be ready, or closed;
 * NGX_DECLINED if it is no such reply.
 */
ngx_int_t ngx_http_jelou_redis_greeted(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_reply_t *reply);

/* Gives the connection up; blame tells whether that is the server's fault. */
void ngx_http_jelou_redis_conn_close(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_result_e result, ngx_uint_t blame);

/* The same, and logs why. */
void ngx_http_jelou_redis_conn_fail(ngx_http_jelou_redis_conn_t *conn,
    ngx_err_t err, const char *what, ngx_str_t *detail);

/* The same, for what has not come in time. */
void ngx_http_jelou_redis_conn_late(ngx_http_jelou_redis_conn_t *conn);

/* Takes the connection's events. */
void ngx_http_jelou_redis_conn_listen(ngx_http_jelou_redis_conn_t *conn);

#if (NGX_HTTP_SSL)

/* Makes a connection one of TLS, and begins. */
void ngx_http_jelou_redis_ssl_handshake(ngx_http_jelou_redis_conn_t *conn);

#endif

/*
 * Asks the Sentinels for the server, and goes on with it.  Returns NGX_OK, or
 * NGX_ERROR if they cannot be asked.
 */
ngx_int_t ngx_http_jelou_redis_sentinel_ask(
    ngx_http_jelou_redis_target_t *target);

/* Asks them once more in a while: they may have another one. */
void ngx_http_jelou_redis_sentinel_poll(ngx_event_t *ev);

/*
 * Goes on to the next server of the group.  Returns NGX_OK, and there is a
 * current one or a candidate; NGX_DECLINED if there is none any more; or
 * NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_redis_walk(ngx_http_jelou_redis_target_t *target);

/* Begins a walk, or ends it.  Returns NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_jelou_redis_walk_begin(
    ngx_http_jelou_redis_target_t *target,
    ngx_http_upstream_resolved_t *resolved);

/*
 * Begins one through the addresses of a host name, when they are known.
 * Returns NGX_OK, or NGX_ERROR.
 */
ngx_int_t ngx_http_jelou_redis_walk_resolve(
    ngx_http_jelou_redis_target_t *target);
void ngx_http_jelou_redis_walk_end(ngx_http_jelou_redis_target_t *target);

/* A server has become the target's current one. */
void ngx_http_jelou_redis_target_current(ngx_http_jelou_redis_target_t *target,
    ngx_http_jelou_redis_conn_t *conn);

/* None takes the commands that wait. */
void ngx_http_jelou_redis_target_fail(ngx_http_jelou_redis_target_t *target);

/* The connection has become ready. */
void ngx_http_jelou_redis_target_ready(ngx_http_jelou_redis_conn_t *conn);

/*
 * It is no more; blame tells whether that is the server's fault.  Of its
 * commands this was the result.
 */
void ngx_http_jelou_redis_target_closed(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_result_e result, ngx_uint_t blame);

/* A reply is there.  Returns what the command's handler does. */
ngx_int_t ngx_http_jelou_redis_target_reply(ngx_http_jelou_redis_conn_t *conn,
    ngx_http_jelou_redis_cmd_t *cmd, ngx_http_jelou_redis_reply_t *reply);


#endif /* _NGX_HTTP_JELOU_REDIS_CONN_H_INCLUDED_ */
