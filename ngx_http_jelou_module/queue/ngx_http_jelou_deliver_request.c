
/*
 * An ordinary request of nginx's that no client has sent.
 *
 * What a connection needs so that nginx takes it for an accepted one: events
 * that look as if they were registered, so that nobody registers them; a
 * socket, for those who ask it something; "shared", so that it is not closed
 * with the connection; functions that take the answer and have nothing to read.
 */


#include "ngx_http_jelou_deliver_request.h"


typedef struct {
    ngx_http_connection_t      hc;           /* nginx has this as r's */
    ngx_http_jelou_deliver_t  *deliver;
    ngx_http_log_ctx_t         ctx;
    ngx_log_t                  log;
    ngx_buf_t                  buffer;       /* empty: nothing was read */
} ngx_http_jelou_deliver_conn_t;


/* what is allocated at once for a request */

typedef struct {
    ngx_http_request_body_t    body;
    ngx_chain_t                link;
    ngx_buf_t                  buf;
    ngx_table_elt_t            fields[NGX_HTTP_JELOU_DELIVER_NFIELDS];
    u_char                     line[1];
} ngx_http_jelou_deliver_mem_t;


static ngx_connection_t *ngx_http_jelou_deliver_connect(
    ngx_http_jelou_deliver_t *d);
static ngx_int_t ngx_http_jelou_deliver_connection_init(ngx_connection_t *c,
    ngx_http_jelou_deliver_t *d);
static void ngx_http_jelou_deliver_events_init(ngx_connection_t *c);
static void ngx_http_jelou_deliver_disconnect(ngx_connection_t *c);
static ngx_int_t ngx_http_jelou_deliver_request_fill(ngx_http_request_t *r,
    ngx_http_jelou_deliver_t *d);
static void ngx_http_jelou_deliver_body(ngx_http_request_t *r,
    ngx_http_jelou_deliver_t *d, ngx_http_jelou_deliver_mem_t *m);
static void ngx_http_jelou_deliver_headers(ngx_http_request_t *r,
    ngx_http_jelou_deliver_t *d, ngx_table_elt_t *h);
static void ngx_http_jelou_deliver_begin(ngx_http_request_t *r);
static void ngx_http_jelou_deliver_ended(void *data);
static void ngx_http_jelou_deliver_event_handler(ngx_event_t *ev);
static u_char *ngx_http_jelou_deliver_log_error(ngx_log_t *log, u_char *buf,
    size_t len);
static ssize_t ngx_http_jelou_deliver_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static ssize_t ngx_http_jelou_deliver_send(ngx_connection_t *c, u_char *buf,
    size_t size);
static ngx_chain_t *ngx_http_jelou_deliver_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);


static struct {
    ngx_str_t   name;
    u_char     *lower;
    ngx_uint_t  hash;
} ngx_http_jelou_deliver_names[NGX_HTTP_JELOU_DELIVER_NFIELDS] = {
    { ngx_string("Content-Type"), (u_char *) "content-type", 0 },
    { ngx_string("Content-Length"), (u_char *) "content-length", 0 },
    { ngx_string("X-Jelou-Delivery-Id"),
      (u_char *) "x-jelou-delivery-id", 0 },
    { ngx_string("X-Jelou-Delivery-Attempt"),
      (u_char *) "x-jelou-delivery-attempt", 0 },
    { ngx_string("X-Jelou-Received-At"),
      (u_char *) "x-jelou-received-at", 0 },
    { ngx_string("X-Jelou-Signature"), (u_char *) "x-jelou-signature", 0 }
};


static ngx_socket_t  ngx_http_jelou_deliver_sockets[2] = {
    (ngx_socket_t) -1, (ngx_socket_t) -1
};

static struct sockaddr  ngx_http_jelou_deliver_sockaddr = {
    .sa_family = AF_UNIX
};

static ngx_str_t  ngx_http_jelou_deliver_address = ngx_string("unix:");
static ngx_str_t  ngx_http_jelou_deliver_post = ngx_string("POST");
static ngx_str_t  ngx_http_jelou_deliver_protocol = ngx_string("HTTP/1.1");


ngx_int_t
ngx_http_jelou_deliver_request_init(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_JELOU_DELIVER_NFIELDS; i++) {
        ngx_http_jelou_deliver_names[i].hash =
            ngx_hash_key(ngx_http_jelou_deliver_names[i].lower,
                         ngx_http_jelou_deliver_names[i].name.len);
    }

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ngx_http_jelou_deliver_sockets)
        == -1)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_socket_errno,
                      "jelou: socketpair() failed");
        return NGX_ERROR;
    }

    for (i = 0; i < 2; i++) {

        if (ngx_nonblocking(ngx_http_jelou_deliver_sockets[i]) == -1
            || fcntl(ngx_http_jelou_deliver_sockets[i], F_SETFD, FD_CLOEXEC)
               == -1)
        {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_socket_errno,
                          "jelou: fcntl() failed");
            ngx_http_jelou_deliver_request_exit(cycle);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_http_jelou_deliver_request_exit(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {

        if (ngx_http_jelou_deliver_sockets[i] != (ngx_socket_t) -1) {
            (void) ngx_close_socket(ngx_http_jelou_deliver_sockets[i]);
            ngx_http_jelou_deliver_sockets[i] = (ngx_socket_t) -1;
        }
    }
}


ngx_int_t
ngx_http_jelou_deliver_request(ngx_http_jelou_deliver_t *d)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;
    ngx_pool_cleanup_t  *cln;

    d->status = 0;
    d->retry_after = -1;
    d->left = 0;
    d->whole = 0;
    d->refused = 0;

    c = ngx_http_jelou_deliver_connect(d);
    if (c == NULL) {
        return NGX_ERROR;
    }

    r = ngx_http_create_request(c);
    if (r == NULL) {
        ngx_http_jelou_deliver_disconnect(c);
        return NGX_ERROR;
    }

    c->data = r;

    cln = ngx_pool_cleanup_add(r->pool, 0);

    rc = cln ? ngx_http_jelou_deliver_request_fill(r, d) : NGX_ERROR;

    if (rc != NGX_OK) {
        r->logged = 1;
        ngx_http_free_request(r, 0);
        ngx_http_jelou_deliver_disconnect(c);
        return rc;
    }

    cln->handler = ngx_http_jelou_deliver_ended;
    cln->data = d;

    ngx_http_jelou_deliver_begin(r);
    ngx_http_run_posted_requests(c);

    return NGX_OK;
}


ngx_connection_t *
ngx_http_jelou_deliver_connection(ngx_log_t *log)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(ngx_http_jelou_deliver_sockets[0], log);

    if (c) {
        c->shared = 1;
    }

    return c;
}


static ngx_connection_t *
ngx_http_jelou_deliver_connect(ngx_http_jelou_deliver_t *d)
{
    ngx_connection_t  *c;

    c = ngx_http_jelou_deliver_connection(ngx_cycle->log);
    if (c == NULL) {
        return NULL;
    }

    c->pool = ngx_create_pool(1024, ngx_cycle->log);
    if (c->pool == NULL) {
        ngx_close_connection(c);
        return NULL;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    if (ngx_http_jelou_deliver_connection_init(c, d) != NGX_OK) {
        ngx_http_jelou_deliver_disconnect(c);
        return NULL;
    }

    return c;
}


static ngx_int_t
ngx_http_jelou_deliver_connection_init(ngx_connection_t *c,
    ngx_http_jelou_deliver_t *d)
{
    ngx_http_jelou_deliver_conn_t  *dc;

    dc = ngx_pcalloc(c->pool, sizeof(ngx_http_jelou_deliver_conn_t));
    if (dc == NULL) {
        return NGX_ERROR;
    }

    dc->hc.conf_ctx = d->location;
    dc->deliver = d;
    dc->ctx.connection = c;

    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    /* nginx puts the error log of the location into it */

    dc->log = *ngx_cycle->log;
    dc->log.connection = c->number;
    dc->log.handler = ngx_http_jelou_deliver_log_error;
    dc->log.data = &dc->ctx;
    dc->log.action = "delivering an event";

    c->data = dc;
    c->log = &dc->log;
    c->pool->log = c->log;
    c->log_error = NGX_ERROR_INFO;
    c->buffer = &dc->buffer;

    c->type = SOCK_STREAM;
    c->start_time = ngx_current_msec;
    c->sockaddr = &ngx_http_jelou_deliver_sockaddr;
    c->socklen = sizeof(struct sockaddr);
    c->local_sockaddr = &ngx_http_jelou_deliver_sockaddr;
    c->local_socklen = sizeof(struct sockaddr);
    c->addr_text = ngx_http_jelou_deliver_address;

    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    ngx_http_jelou_deliver_events_init(c);

    return NGX_OK;
}


/* What nginx registers or removes depends on these bits alone. */

static void
ngx_http_jelou_deliver_events_init(ngx_connection_t *c)
{
    c->read->log = c->log;
    c->read->handler = ngx_http_jelou_deliver_event_handler;
    c->read->active = 1;

    c->write->log = c->log;
    c->write->handler = ngx_http_jelou_deliver_event_handler;
    c->write->active = (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? 1 : 0;
    c->write->ready = 1;

    c->recv = ngx_http_jelou_deliver_recv;
    c->send = ngx_http_jelou_deliver_send;
    c->send_chain = ngx_http_jelou_deliver_send_chain;
}


static void
ngx_http_jelou_deliver_disconnect(ngx_connection_t *c)
{
    ngx_pool_t  *pool;

    pool = c->pool;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif

    c->destroyed = 1;

    ngx_close_connection(c);
    ngx_destroy_pool(pool);
}


static ngx_int_t
ngx_http_jelou_deliver_request_fill(ngx_http_request_t *r,
    ngx_http_jelou_deliver_t *d)
{
    size_t                         len;
    ngx_int_t                      rc;
    ngx_http_jelou_deliver_mem_t  *m;

    len = sizeof("POST  HTTP/1.1") - 1 + d->uri.len;

    m = ngx_pcalloc(r->pool, sizeof(ngx_http_jelou_deliver_mem_t) + len);
    if (m == NULL) {
        return NGX_ERROR;
    }

    r->request_line.len = len;
    r->request_line.data = m->line;
    (void) ngx_sprintf(m->line, "POST %V HTTP/1.1", &d->uri);

    r->method = NGX_HTTP_POST;
    r->method_name = ngx_http_jelou_deliver_post;
    r->http_version = NGX_HTTP_VERSION_11;
    r->http_protocol = ngx_http_jelou_deliver_protocol;
    r->uri = d->uri;
    r->unparsed_uri = d->uri;
    r->valid_unparsed_uri = 1;
    r->valid_location = 1;
    r->internal = 1;

    /* there is nobody to read a page */

    r->error_page = 1;

    ngx_http_jelou_deliver_body(r, d, m);

    if (d->prepare) {
        rc = d->prepare(r, d);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    ngx_http_jelou_deliver_headers(r, d, m->fields);

    return NGX_OK;
}


/* It begins at its start: a retry takes it from there. */

static void
ngx_http_jelou_deliver_body(ngx_http_request_t *r,
    ngx_http_jelou_deliver_t *d, ngx_http_jelou_deliver_mem_t *m)
{
    ngx_buf_t  *b;

    b = &m->buf;
    b->start = d->body.data;
    b->pos = d->body.data;
    b->last = d->body.data + d->body.len;
    b->end = b->last;
    b->memory = 1;
    b->last_buf = 1;

    m->link.buf = b;
    m->body.bufs = &m->link;

    r->request_body = &m->body;
    r->headers_in.content_length_n = d->body.len;
}


static void
ngx_http_jelou_deliver_headers(ngx_http_request_t *r,
    ngx_http_jelou_deliver_t *d, ngx_table_elt_t *fields)
{
    ngx_uint_t        i;
    ngx_list_t       *list;
    ngx_table_elt_t  *h;

    h = fields;

    for (i = 0; i < NGX_HTTP_JELOU_DELIVER_NFIELDS; i++) {

        if (d->fields[i].len == 0) {
            continue;
        }

        h->hash = ngx_http_jelou_deliver_names[i].hash;
        h->key = ngx_http_jelou_deliver_names[i].name;
        h->lowcase_key = ngx_http_jelou_deliver_names[i].lower;
        h->value = d->fields[i];

        if (i == NGX_HTTP_JELOU_DELIVER_TYPE) {
            r->headers_in.content_type = h;
        }

        if (i == NGX_HTTP_JELOU_DELIVER_LENGTH) {
            r->headers_in.content_length = h;
        }

        h++;
    }

    list = &r->headers_in.headers;

    list->part.elts = fields;
    list->part.nelts = h - fields;
    list->last = &list->part;
    list->size = sizeof(ngx_table_elt_t);
    list->nalloc = NGX_HTTP_JELOU_DELIVER_NFIELDS;
    list->pool = r->pool;
}


/* From here on it is as if nginx had found the location itself. */

static void
ngx_http_jelou_deliver_begin(ngx_http_request_t *r)
{
    ngx_http_core_main_conf_t  *cmcf;

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_reading, -1);
    r->stat_reading = 0;
    (void) ngx_atomic_fetch_add(ngx_stat_writing, 1);
    r->stat_writing = 1;
#endif

    ngx_http_update_location_config(r);

    /* a body in a file is what the client has sent */

    r->request_body_in_file_only = 0;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    r->phase_handler = cmcf->phase_engine.location_rewrite_index;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


static void
ngx_http_jelou_deliver_ended(void *data)
{
    ngx_http_jelou_deliver_t  *d = data;

    d->handler(d);
}


/* A timer's, or nginx wants the connection closed: its time to exit is over. */

static void
ngx_http_jelou_deliver_event_handler(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = ev->data;
    r = c->data;

    if (c->close) {
        r->main->count++;
        ngx_http_finalize_request(r, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        ngx_http_run_posted_requests(c);
        return;
    }

    if (ev->delayed && ev->timedout) {
        ev->delayed = 0;
        ev->timedout = 0;
    }

    if (ev->write) {
        r->write_event_handler(r);

    } else {
        r->read_event_handler(r);
    }

    ngx_http_run_posted_requests(c);
}


static u_char *
ngx_http_jelou_deliver_log_error(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char              *p;
    ngx_http_request_t  *r;
    ngx_http_log_ctx_t  *ctx;

    ctx = log->data;
    r = ctx->request;
    p = buf;

    if (log->action) {
        p = ngx_snprintf(p, len, " while %s", log->action);
    }

    p = ngx_snprintf(p, len - (p - buf), ", client: %V",
                     &ngx_http_jelou_deliver_address);

    return r ? r->log_handler(r, ctx->current_request, p, len - (p - buf)) : p;
}


static ssize_t
ngx_http_jelou_deliver_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    return 0;
}


static ssize_t
ngx_http_jelou_deliver_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    c->sent += size;

    return size;
}


/* Whatever comes here is taken at once. */

static ngx_chain_t *
ngx_http_jelou_deliver_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    ngx_buf_t  *b;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        c->sent += ngx_buf_size(b);

        b->pos = b->last;
        b->file_pos = b->file_last;
    }

    return NULL;
}


ngx_http_jelou_deliver_t *
ngx_http_jelou_deliver_get(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    if (c->recv != ngx_http_jelou_deliver_recv) {
        return NULL;
    }

    return ((ngx_http_jelou_deliver_conn_t *) r->http_connection)->deliver;
}
