
/*
 * A client of HTTP/3: one request over QUIC, for Jelou::Http3.
 *
 *     http3 PORT SECONDS
 *
 * On the standard input come the length of a request of HTTP/1, a line feed and
 * the request.  On the standard output go lines, and the bytes they announce:
 *
 *     head LENGTH     a header as HTTP/1 has it, but for "HTTP/3 STATUS"
 *     data LENGTH     a piece of the body
 *     end             the stream has ended
 *     reset CODE      nginx has given the stream up
 *     none REASON     nothing more comes
 *
 * The connection is kept until the standard input ends.  Certificates are not
 * looked at: the server is the test's own.
 */


#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <nghttp3/nghttp3.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>


/* what has another name since ngtcp2 1.0 */

#if (NGTCP2_VERSION_NUM < 0x010000)
#define ngtcp2_ccerr          ngtcp2_connection_close_error
#define ngtcp2_ccerr_default  ngtcp2_connection_close_error_default
#endif


#define MAX_FIELDS  64
#define MAX_HEAD    65536
#define DATAGRAM    65536
#define WINDOW      (16 * 1024 * 1024)


typedef struct {
    int                               fd;
    struct sockaddr_in                local;
    struct sockaddr_in                remote;
    ngtcp2_path                       path;
    ngtcp2_conn                      *quic;
    ngtcp2_crypto_conn_ref            ref;
    nghttp3_conn                     *http;
    gnutls_session_t                  tls;
    gnutls_certificate_credentials_t  credentials;

    nghttp3_nv                        fields[MAX_FIELDS];
    size_t                            nfields;
    uint8_t                          *body;
    size_t                            length;
    int64_t                           stream;

    char                              head[MAX_HEAD];
    size_t                            used;         /* of head */

    int                               read;         /* the body, by nghttp3 */
    int                               done;
} client_t;


static ngtcp2_tstamp
now(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (ngtcp2_tstamp) t.tv_sec * NGTCP2_SECONDS
           + (ngtcp2_tstamp) t.tv_nsec;
}


static void
tell(const char *what, const void *data, size_t length)
{
    printf("%s %zu\n", what, length);
    fwrite(data, 1, length, stdout);
    fflush(stdout);
}


static void
finish(client_t *c, const char *what, const char *more)
{
    if (!c->done) {
        c->done = 1;
        printf("%s%s%s\n", what, *more ? " " : "", more);
        fflush(stdout);
    }
}


static void
fail(const char *what)
{
    printf("none %s\n", what);
    exit(1);
}


/* The answer, as nghttp3 reads it */

static int
on_begin_headers(nghttp3_conn *http, int64_t stream, void *data, void *more)
{
    client_t  *c = data;

    (void) http, (void) stream, (void) more;

    c->used = 0;

    return 0;
}


static int
on_header(nghttp3_conn *http, int64_t stream, int32_t token,
    nghttp3_rcbuf *name, nghttp3_rcbuf *value, uint8_t flags, void *data,
    void *more)
{
    int          n;
    size_t       room;
    client_t    *c = data;
    nghttp3_vec  k, v;

    (void) http, (void) stream, (void) token, (void) flags, (void) more;

    k = nghttp3_rcbuf_get_buf(name);
    v = nghttp3_rcbuf_get_buf(value);

    room = sizeof(c->head) - c->used;

    if (k.len == 7 && memcmp(k.base, ":status", 7) == 0) {
        n = snprintf(c->head + c->used, room, "HTTP/3 %.*s\r\n",
                     (int) v.len, (char *) v.base);

    } else {
        n = snprintf(c->head + c->used, room, "%.*s: %.*s\r\n",
                     (int) k.len, (char *) k.base,
                     (int) v.len, (char *) v.base);
    }

    if (n < 0 || (size_t) n >= room) {
        return NGHTTP3_ERR_CALLBACK_FAILURE;
    }

    c->used += (size_t) n;

    return 0;
}


static int
on_end_headers(nghttp3_conn *http, int64_t stream, int fin, void *data,
    void *more)
{
    client_t  *c = data;

    (void) http, (void) stream, (void) fin, (void) more;

    tell("head", c->head, c->used);

    return 0;
}


static int
on_data(nghttp3_conn *http, int64_t stream, const uint8_t *bytes,
    size_t length, void *data, void *more)
{
    client_t  *c = data;

    (void) http, (void) more;

    tell("data", bytes, length);

    ngtcp2_conn_extend_max_stream_offset(c->quic, stream, length);
    ngtcp2_conn_extend_max_offset(c->quic, length);

    return 0;
}


static int
on_end(nghttp3_conn *http, int64_t stream, void *data, void *more)
{
    (void) http, (void) stream, (void) more;

    finish(data, "end", "");

    return 0;
}


/* The request's body, all of it at once; what is there stays there. */

static nghttp3_ssize
read_body(nghttp3_conn *http, int64_t stream, nghttp3_vec *vec, size_t nvec,
    uint32_t *flags, void *data, void *more)
{
    client_t  *c = data;

    (void) http, (void) stream, (void) nvec, (void) more;

    *flags |= NGHTTP3_DATA_FLAG_EOF;

    if (c->read || c->length == 0) {
        return 0;
    }

    c->read = 1;

    vec[0].base = c->body;
    vec[0].len = c->length;

    return 1;
}


/* The connection, as ngtcp2 reports of it */

static void
on_rand(uint8_t *dest, size_t length, const ngtcp2_rand_ctx *ctx)
{
    (void) ctx;

    if (gnutls_rnd(GNUTLS_RND_RANDOM, dest, length) != 0) {
        abort();
    }
}


static int
on_new_connection_id(ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token,
    size_t length, void *data)
{
    (void) quic, (void) data;

    on_rand(cid->data, length, NULL);
    cid->datalen = length;
    on_rand(token, NGTCP2_STATELESS_RESET_TOKENLEN, NULL);

    return 0;
}


static int
on_handshake(ngtcp2_conn *quic, void *data)
{
    int64_t              control, encoder, decoder;
    client_t            *c = data;
    nghttp3_settings     settings;
    nghttp3_data_reader  body = { read_body };

    static const nghttp3_callbacks  callbacks = {
        .begin_headers = on_begin_headers,
        .recv_header = on_header,
        .end_headers = on_end_headers,
        .recv_data = on_data,
        .end_stream = on_end
    };

    nghttp3_settings_default(&settings);

    if (nghttp3_conn_client_new(&c->http, &callbacks, &settings,
                                nghttp3_mem_default(), c) != 0
        || ngtcp2_conn_open_uni_stream(quic, &control, NULL) != 0
        || ngtcp2_conn_open_uni_stream(quic, &encoder, NULL) != 0
        || ngtcp2_conn_open_uni_stream(quic, &decoder, NULL) != 0
        || ngtcp2_conn_open_bidi_stream(quic, &c->stream, NULL) != 0
        || nghttp3_conn_bind_control_stream(c->http, control) != 0
        || nghttp3_conn_bind_qpack_streams(c->http, encoder, decoder) != 0
        || nghttp3_conn_submit_request(c->http, c->stream, c->fields,
                                       c->nfields, &body, NULL) != 0)
    {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    return 0;
}


static int
on_stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t stream,
    uint64_t offset, const uint8_t *bytes, size_t length, void *data,
    void *more)
{
    client_t       *c = data;
    nghttp3_ssize   n;

    (void) offset, (void) more;

    n = nghttp3_conn_read_stream(c->http, stream, bytes, length,
                                 flags & NGTCP2_STREAM_DATA_FLAG_FIN ? 1 : 0);

    if (n < 0) {
        finish(c, "none", nghttp3_strerror((int) n));
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    /* what is no body: of this on_data() says nothing */

    ngtcp2_conn_extend_max_stream_offset(quic, stream, (uint64_t) n);
    ngtcp2_conn_extend_max_offset(quic, (uint64_t) n);

    return 0;
}


static int
on_acked(ngtcp2_conn *quic, int64_t stream, uint64_t offset, uint64_t length,
    void *data, void *more)
{
    client_t  *c = data;

    (void) quic, (void) offset, (void) more;

    return nghttp3_conn_add_ack_offset(c->http, stream, length) == 0
           ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}


static int
on_window(ngtcp2_conn *quic, int64_t stream, uint64_t max, void *data,
    void *more)
{
    client_t  *c = data;

    (void) quic, (void) max, (void) more;

    return nghttp3_conn_unblock_stream(c->http, stream) == 0
           ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}


static int
on_reset(ngtcp2_conn *quic, int64_t stream, uint64_t size, uint64_t code,
    void *data, void *more)
{
    char       text[32];
    client_t  *c = data;

    (void) quic, (void) size, (void) more;

    if (stream == c->stream) {
        snprintf(text, sizeof(text), "0x%llx", (unsigned long long) code);
        finish(c, "reset", text);
    }

    return 0;
}


/*
 * The stream is over in both directions.  Nginx may have had enough of a request
 * (STOP_SENDING) and have answered all the same.
 */

static int
on_close(ngtcp2_conn *quic, uint32_t flags, int64_t stream, uint64_t code,
    void *data, void *more)
{
    client_t  *c = data;

    (void) quic, (void) more;

    if (!(flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET)) {
        code = NGHTTP3_H3_NO_ERROR;
    }

    if (nghttp3_conn_close_stream(c->http, stream, code) != 0
        && stream == c->stream)
    {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }

    if (stream == c->stream) {
        finish(c, "none", "the stream is closed");
    }

    return 0;
}


static ngtcp2_conn *
quic_of(ngtcp2_crypto_conn_ref *ref)
{
    return ((client_t *) ref->user_data)->quic;
}


static void
open_connection(client_t *c, in_port_t port)
{
    socklen_t                size = sizeof(c->local);
    ngtcp2_cid               to, from;
    ngtcp2_settings          settings;
    ngtcp2_transport_params  params;

    static const gnutls_datum_t    h3 = { (unsigned char *) "h3", 2 };
    static const ngtcp2_callbacks  callbacks = {
        .client_initial = ngtcp2_crypto_client_initial_cb,
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
        .rand = on_rand,
        .get_new_connection_id = on_new_connection_id,
        .handshake_completed = on_handshake,
        .recv_stream_data = on_stream_data,
        .acked_stream_data_offset = on_acked,
        .extend_max_stream_data = on_window,
        .stream_reset = on_reset,
        .stream_close = on_close
    };

    c->remote.sin_family = AF_INET;
    c->remote.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->remote.sin_port = htons(port);

    c->fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (c->fd == -1
        || connect(c->fd, (struct sockaddr *) &c->remote, sizeof(c->remote))
        || getsockname(c->fd, (struct sockaddr *) &c->local, &size))
    {
        fail("no socket");
    }

    c->path.local.addr = (struct sockaddr *) &c->local;
    c->path.local.addrlen = sizeof(c->local);
    c->path.remote.addr = (struct sockaddr *) &c->remote;
    c->path.remote.addrlen = sizeof(c->remote);

    to.datalen = from.datalen = 16;
    on_rand(to.data, to.datalen, NULL);
    on_rand(from.data, from.datalen, NULL);

    ngtcp2_settings_default(&settings);
    settings.initial_ts = now();

    ngtcp2_transport_params_default(&params);
    params.initial_max_data = WINDOW;
    params.initial_max_stream_data_bidi_local = WINDOW;
    params.initial_max_stream_data_uni = WINDOW;
    params.initial_max_streams_uni = 8;
    params.max_idle_timeout = 120 * NGTCP2_SECONDS;

    if (ngtcp2_conn_client_new(&c->quic, &to, &from, &c->path,
                               NGTCP2_PROTO_VER_V1, &callbacks, &settings,
                               &params, NULL, c) != 0
        || gnutls_certificate_allocate_credentials(&c->credentials) != 0
        || gnutls_init(&c->tls, GNUTLS_CLIENT) != 0
        || ngtcp2_crypto_gnutls_configure_client_session(c->tls) != 0
        || gnutls_set_default_priority(c->tls) != 0
        || gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE,
                                  c->credentials) != 0
        || gnutls_alpn_set_protocols(c->tls, &h3, 1, 0) != 0
        || gnutls_server_name_set(c->tls, GNUTLS_NAME_DNS, "localhost", 9)
           != 0)
    {
        fail("no connection");
    }

    c->ref.get_conn = quic_of;
    c->ref.user_data = c;

    gnutls_session_set_ptr(c->tls, &c->ref);
    ngtcp2_conn_set_tls_native_handle(c->quic, c->tls);
}


/* Writes all packets that there are to write; returns 0, or -1 at the end. */

static int
write_packets(client_t *c)
{
    int            fin;
    int64_t        stream;
    uint8_t        packet[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
    nghttp3_vec    vec[8];
    ngtcp2_ssize   n, written;
    nghttp3_ssize  count;

    for ( ;; ) {
        stream = -1;
        fin = 0;
        count = 0;

        if (c->http) {
            count = nghttp3_conn_writev_stream(c->http, &stream, &fin, vec, 8);

            if (count < 0) {
                finish(c, "none", nghttp3_strerror((int) count));
                return -1;
            }
        }

        n = ngtcp2_conn_writev_stream(c->quic, NULL, NULL, packet,
                                      sizeof(packet), &written,
                                      NGTCP2_WRITE_STREAM_FLAG_MORE
                                      | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN
                                             : 0),
                                      stream, (ngtcp2_vec *) vec,
                                      (size_t) count, now());

        if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
            nghttp3_conn_block_stream(c->http, stream);
            continue;
        }

        if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND)
        {
            /* nginx has had enough of the request, or of the stream */

            nghttp3_conn_shutdown_stream_write(c->http, stream);
            continue;
        }

        if (stream >= 0 && written >= 0) {
            nghttp3_conn_add_write_offset(c->http, stream, (size_t) written);
        }

        if (n == NGTCP2_ERR_WRITE_MORE) {
            continue;
        }

        if (n < 0) {
            finish(c, "none", ngtcp2_strerror((int) n));
            return -1;
        }

        if (n == 0) {
            return 0;
        }

        /* the network may lose a packet: that is QUIC's to repair */

        (void) !send(c->fd, packet, (size_t) n, 0);
    }
}


static int
read_packets(client_t *c)
{
    int              rc;
    ssize_t          n;
    ngtcp2_pkt_info  info;

    static uint8_t  datagram[DATAGRAM];

    memset(&info, 0, sizeof(info));

    while ((n = recv(c->fd, datagram, sizeof(datagram), MSG_DONTWAIT)) >= 0) {

        rc = ngtcp2_conn_read_pkt(c->quic, &c->path, &info, datagram,
                                  (size_t) n, now());

        if (rc != 0) {
            finish(c, "none", ngtcp2_strerror(rc));
            return -1;
        }
    }

    return 0;
}


/* Until the standard input ends, or the connection does */

static void
run(client_t *c, int seconds)
{
    int             wait;
    char            byte;
    ngtcp2_tstamp   t, expiry, until;
    struct pollfd   fds[2];

    until = now() + (ngtcp2_tstamp) seconds * NGTCP2_SECONDS;

    for ( ;; ) {

        if (write_packets(c) != 0) {
            return;
        }

        t = now();

        if (!c->done && t >= until) {
            finish(c, "none", "the stream hangs");
        }

        expiry = ngtcp2_conn_get_expiry(c->quic);

        if (!c->done && expiry > until) {
            expiry = until;
        }

        wait = expiry <= t ? 0
               : expiry - t > 60 * NGTCP2_SECONDS ? 60000
               : (int) ((expiry - t) / NGTCP2_MILLISECONDS) + 1;

        fds[0] = (struct pollfd) { .fd = c->fd, .events = POLLIN };
        fds[1] = (struct pollfd) { .fd = 0, .events = POLLIN };

        poll(fds, 2, wait);

        if (fds[1].revents && read(0, &byte, 1) <= 0) {
            return;
        }

        if (fds[0].revents && read_packets(c) != 0) {
            return;
        }

        t = now();

        if (ngtcp2_conn_get_expiry(c->quic) <= t
            && ngtcp2_conn_handle_expiry(c->quic, t) != 0)
        {
            finish(c, "none", "the connection has timed out");
            return;
        }
    }
}


static void
close_connection(client_t *c)
{
    uint8_t       packet[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
    ngtcp2_ccerr  error;
    ngtcp2_ssize  n;

    ngtcp2_ccerr_default(&error);

    n = ngtcp2_conn_write_connection_close(c->quic, NULL, NULL, packet,
                                           sizeof(packet), &error, now());
    if (n > 0) {
        (void) !send(c->fd, packet, (size_t) n, 0);
    }
}


/* The request: its header into fields, its body */

static void
add_field(client_t *c, const char *name, char *value)
{
    nghttp3_nv  *f;

    if (c->nfields == MAX_FIELDS) {
        fail("too many headers");
    }

    f = &c->fields[c->nfields++];

    f->name = (uint8_t *) name;
    f->namelen = strlen(name);
    f->value = (uint8_t *) value;
    f->valuelen = strlen(value);
    f->flags = NGHTTP3_NV_FLAG_NONE;
}


static void
parse(client_t *c, char *text, size_t length)
{
    char  *p, *end, *line, *value, *path;

    end = strstr(text, "\r\n\r\n");
    path = strchr(text, ' ');

    if (end == NULL || path == NULL || path > end) {
        fail("what is this request?");
    }

    c->body = (uint8_t *) end + 4;
    c->length = length - (size_t) (end + 4 - text);

    end[2] = '\0';

    *path++ = '\0';
    p = path + strcspn(path, " \r");
    line = strstr(p, "\r\n") + 2;
    *p = '\0';

    add_field(c, ":method", text);
    add_field(c, ":scheme", "https");
    add_field(c, ":authority", "localhost");
    add_field(c, ":path", path);

    while (*line) {
        p = strstr(line, "\r\n");
        *p = '\0';

        value = strchr(line, ':');
        if (value == NULL) {
            fail("what is this header?");
        }

        *value++ = '\0';
        value += strspn(value, " ");

        for (char *l = line; *l; l++) {
            *l = (char) (*l >= 'A' && *l <= 'Z' ? *l | 0x20 : *l);
        }

        if (strcmp(line, "host") && strcmp(line, "connection")) {
            add_field(c, line, value);
        }

        line = p + 2;
    }
}


static char *
read_request(size_t *length)
{
    char    *text, line[32];
    size_t   n;

    /* not by stdio, which would read on: the rest is for poll() */

    for (n = 0; n < sizeof(line) - 1; n++) {
        if (read(0, line + n, 1) != 1 || line[n] == '\n') {
            break;
        }
    }

    line[n] = '\0';
    *length = strtoul(line, NULL, 10);

    text = malloc(*length + 1);
    if (text == NULL) {
        fail("no memory");
    }

    for (n = 0; n < *length; /* void */ ) {
        ssize_t  got = read(0, text + n, *length - n);

        if (got <= 0) {
            fail("the request is cut off");
        }

        n += (size_t) got;
    }

    text[n] = '\0';

    return text;
}


int
main(int argc, char **argv)
{
    char    *text;
    size_t   length;

    static client_t  c;

    if (argc != 3) {
        fail("usage: http3 PORT SECONDS");
    }

    text = read_request(&length);
    parse(&c, text, length);

    open_connection(&c, (in_port_t) atoi(argv[1]));
    run(&c, atoi(argv[2]));
    close_connection(&c);

    nghttp3_conn_del(c.http);
    ngtcp2_conn_del(c.quic);
    gnutls_deinit(c.tls);
    gnutls_certificate_free_credentials(c.credentials);
    free(text);

    return 0;
}
