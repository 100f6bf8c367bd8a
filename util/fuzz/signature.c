/*
 * Requests: the path, the header and the signature, and bodies in whatever
 * buffers.  An input is a request as it is sent, lines that end with LF:
 *
 *     POST /v1/rooms/7/message
 *     Content-Type: application/json
 *     X-Jelou-Signature: sha256=...
 *
 *     the body
 */


#include "core.h"
#include "hmac.h"
#include "rules.h"

#include "ngx_http_jelou_request.h"
#include "ngx_http_jelou_rule.h"


#define SECRET   "fuzzing-signing-secret"
#define FIELDS   32
#define BUFFERS  5
#define LARGE    (128 * 1024)
#define OFTEN    1024         /* one in so many bodies is large */


typedef struct {
    str_t   name;
    str_t   value;
} field_t;


typedef struct {
    int       post;
    str_t     uri;
    field_t   fields[FIELDS];
    size_t    nfields;
    str_t     body;
} request_t;


typedef struct {
    ngx_pool_t                 *pool;
    ngx_connection_t            connection;
    ngx_http_request_t          r;
    ngx_http_jelou_loc_conf_t   conf;
    ngx_http_jelou_ctx_t        ctx;

    ngx_http_request_body_t     body;
    ngx_chain_t                 chain[BUFFERS + 1];
    ngx_buf_t                   bufs[BUFFERS + 1];
    u_char                     *blocks[BUFFERS];
    ngx_file_t                  file;
} world_t;


static ngx_http_jelou_secrets_t  *secrets;     /* of all requests */


size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
    unsigned int number);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* Takes a line off the text, without its end. */

static str_t
take_line(str_t *text)
{
    str_t           line;
    const uint8_t  *end;

    end = text->len ? memchr(text->data, '\n', text->len) : NULL;

    line.data = text->data;
    line.len = end ? (size_t) (end - text->data) : text->len;

    text->data += line.len + (end ? 1 : 0);
    text->len -= line.len + (end ? 1 : 0);

    return line;
}


static void
read_request(request_t *request, str_t text)
{
    str_t           line;
    field_t        *field;
    const uint8_t  *colon;

    ngx_memzero(request, sizeof(request_t));

    line = take_line(&text);

    request->post = line.len >= 5 && ngx_memcmp(line.data, "POST ", 5) == 0;
    request->uri = (str_t) { line.data + (request->post ? 5 : 0),
                             line.len - (request->post ? 5 : 0) };

    while (text.len && request->nfields < FIELDS) {
        line = take_line(&text);

        if (line.len == 0) {
            break;
        }

        colon = memchr(line.data, ':', line.len);

        if (colon == NULL || colon == line.data) {
            continue;
        }

        field = &request->fields[request->nfields++];

        field->name = (str_t) { line.data, (size_t) (colon - line.data) };
        field->value.data = colon + 1;
        field->value.len = line.len - field->name.len - 1;

        /* as nginx: the blanks around a value are not part of it */

        while (field->value.len && field->value.data[0] == ' ') {
            field->value.data++;
            field->value.len--;
        }

        while (field->value.len
               && field->value.data[field->value.len - 1] == ' ')
        {
            field->value.len--;
        }
    }

    request->body = text;
}


static int
named(field_t *field, const char *name)
{
    return field->name.len == strlen(name)
           && strncasecmp((const char *) field->name.data, name,
                          field->name.len)
              == 0;
}


/* The n-th field of that name, from 1, or NULL */

static field_t *
find(request_t *request, const char *name, size_t n)
{
    for (size_t i = 0; i < request->nfields; i++) {
        if (named(&request->fields[i], name) && --n == 0) {
            return &request->fields[i];
        }
    }

    return NULL;
}


/* The form of the header: exactly "sha256=" and 64 hex digits */

static int
well_formed(str_t s)
{
    return s.len == 7 + 64 && ngx_memcmp(s.data, "sha256=", 7) == 0
           && strspn((const char *) memcpy(memset(memory_get(65), 0, 65),
                                           s.data + 7, 64),
                     "0123456789abcdefABCDEF")
              == 64;
}


/* The values of parameters, of which that of charset is "utf-8" */

static size_t
token(str_t s, size_t i)
{
    static const char  chars[] = "!#$%&'*+-.^_`|~0123456789"
                                 "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    while (i < s.len && s.data[i] && strchr(chars, s.data[i])) {
        i++;
    }

    return i;
}


static size_t
spaces(str_t s, size_t i)
{
    while (i < s.len && (s.data[i] == ' ' || s.data[i] == '\t')) {
        i++;
    }

    return i;
}


static int
is_json(str_t s)
{
    int     charset, seen = 0;
    char   *value;
    size_t  i = 16, start, n;

    if (s.len < i
        || strncasecmp((const char *) s.data, "application/json", i) != 0)
    {
        return 0;
    }

    while ((i = spaces(s, i)) < s.len) {

        if (s.data[i++] != ';') {
            return 0;
        }

        start = spaces(s, i);
        i = token(s, start);

        if (i == start) {
            continue;
        }

        charset = i - start == 7
                  && strncasecmp((const char *) s.data + start, "charset", 7)
                     == 0;

        if (i == s.len || s.data[i++] != '=') {
            return 0;
        }

        value = memset(memory_get(s.len + 1), 0, s.len + 1);
        start = i;
        n = 0;

        if (i < s.len && s.data[i] == '"') {

            for (i++; i < s.len && s.data[i] != '"'; i++) {
                i += s.data[i] == '\\';

                if (i == s.len) {
                    return 0;
                }

                value[n++] = (char) s.data[i];
            }

            if (i++ >= s.len) {
                return 0;
            }

        } else {
            i = token(s, i);
            n = i - start;
            memcpy(value, s.data + start, n);

            if (n == 0) {
                return 0;
            }
        }

        if (charset && (seen++ || n != 5 || strcasecmp(value, "utf-8") != 0)) {
            return 0;
        }
    }

    return 1;
}


/* A field, however often, that says something else than "no coding" */

static int
is_coded(request_t *request)
{
    field_t  *f;

    for (size_t n = 1; (f = find(request, "Content-Encoding", n)); n++) {
        if (f->value.len != 0
            && (f->value.len != 8
                || strncasecmp((const char *) f->value.data, "identity", 8)
                   != 0))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
expected_header(request_t *request)
{
    field_t  *signature, *type;

    signature = find(request, "X-Jelou-Signature", 1);
    type = find(request, "Content-Type", 1);

    if (!request->post) {
        return NGX_HTTP_JELOU_METHOD_NOT_ALLOWED;
    }

    if (signature == NULL) {
        return NGX_HTTP_JELOU_SIGNATURE_MISSING;
    }

    if (find(request, "X-Jelou-Signature", 2)
        || !well_formed(signature->value))
    {
        return NGX_HTTP_JELOU_SIGNATURE_MALFORMED;
    }

    if (type == NULL || find(request, "Content-Type", 2)
        || is_coded(request) || !is_json(type->value))
    {
        return NGX_HTTP_JELOU_UNSUPPORTED_MEDIA_TYPE;
    }

    return NGX_OK;
}


/* The room in ".../rooms/ROOM/message", or nothing */

static str_t
expected_room(str_t uri)
{
    size_t  start, end;
    str_t   id;

    static const char  before[] = "/rooms/", after[] = "/message";

    if (uri.len < sizeof(after) - 1) {
        return str("");
    }

    end = uri.len - (sizeof(after) - 1);

    for (start = end; start > 0 && uri.data[start - 1] != '/'; start--) { }

    if (ngx_memcmp(uri.data + end, after, sizeof(after) - 1) != 0
        || start < sizeof(before) - 1
        || ngx_memcmp(uri.data + start - (sizeof(before) - 1), before,
                      sizeof(before) - 1)
           != 0)
    {
        return str("");
    }

    id = (str_t) { uri.data + start, end - start };

    return utf8_valid(id) && is_identifier(id) ? id : str("");
}


static void
sign(str_t body, uint8_t *digest)
{
    hmac(str(SECRET), body, digest);
}


static void
make_fields(world_t *w, request_t *request)
{
    ngx_table_elt_t  *h;

    require(ngx_list_init(&w->r.headers_in.headers, w->pool, 4,
                          sizeof(ngx_table_elt_t))
            == NGX_OK, "malloc() failed");

    for (size_t i = 0; i < request->nfields; i++) {
        h = ngx_list_push(&w->r.headers_in.headers);
        require(h, "malloc() failed");

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->key = to_ngx(request->fields[i].name);
        h->value.len = request->fields[i].value.len;
        h->value.data = ngx_pnalloc(w->pool, h->value.len + 1);
        h->lowcase_key = ngx_pnalloc(w->pool, h->key.len);

        require(h->value.data && h->lowcase_key, "malloc() failed");

        ngx_memcpy(h->value.data, request->fields[i].value.data,
                   h->value.len);
        h->value.data[h->value.len] = '\0';      /* nginx has one there */

        ngx_strlow(h->lowcase_key, h->key.data, h->key.len);
    }
}


/*
 * The body in one or more buffers, some of them in a file, and sometimes a
 * last one that has nothing, as HTTP/2 has it.
 */

static int
make_body(world_t *w, str_t body, uint64_t *seed)
{
    int         in_file;
    size_t      i, n, size, at;
    uint8_t    *file;
    ngx_buf_t  *b;

    in_file = 0;
    n = random_next(seed) % (BUFFERS + 1);

    if (body.len && n == 0) {
        n = 1;
    }

    w->file.fd = CORE_FILE;
    w->file.name = (ngx_str_t) ngx_string("body");
    w->file.log = &core_log;

    /* where the file has none of the body, it has other bytes */

    file = memset(memory_get(body.len), '!', body.len);
    core_file = (str_t) { file, 0 };

    for (i = 0, at = 0; i < n; i++, at += size) {
        size = i == n - 1 ? body.len - at
               : random_next(seed) % (body.len - at + 1);

        b = &w->bufs[i];

        if (random_next(seed) % 4 == 0 && size) {
            ngx_memcpy(file + at, body.data + at, size);
            core_file.len = at + size;

            b->in_file = 1;
            b->file = &w->file;
            b->file_pos = (off_t) at;
            b->file_last = (off_t) (at + size);
            in_file = 1;

        } else {
            w->blocks[i] = core_copy((str_t) { body.data + at, size });
            b->temporary = 1;
            b->pos = w->blocks[i];
            b->last = b->pos + size;
        }

        w->chain[i].buf = b;
        w->chain[i].next = &w->chain[i + 1];
    }

    if (n && random_next(seed) % 4 == 0) {
        w->bufs[n].last_buf = 1;
        w->chain[n].buf = &w->bufs[n];
        n++;
    }

    if (n) {
        w->chain[n - 1].next = NULL;
    }

    w->body.bufs = n ? w->chain : NULL;
    w->r.request_body = &w->body;

    return in_file;
}


static world_t *
make_world(request_t *request)
{
    world_t  *w;

    w = calloc(1, sizeof(world_t));
    require(w, "malloc() failed");

    w->pool = ngx_create_pool(1024, &core_log);
    require(w->pool, "malloc() failed");

    w->connection.log = &core_log;

    w->r.connection = &w->connection;
    w->r.pool = w->pool;
    w->r.method = request->post ? NGX_HTTP_POST : NGX_HTTP_PUT;
    w->r.uri = to_ngx(request->uri);

    w->conf.secrets = secrets;
    w->conf.schema.endpoint = ngx_http_jelou_endpoints;
    ngx_http_jelou_url_defaults(w->conf.schema.urls);

    while (w->conf.schema.endpoint->path_slot != NGX_HTTP_JELOU_ROOM_ID) {
        w->conf.schema.endpoint++;
    }

    w->ctx.conf = &w->conf;

    make_fields(w, request);

    return w;
}


static void
end_world(world_t *w)
{
    for (size_t i = 0; i < BUFFERS; i++) {
        free(w->blocks[i]);
    }

    ngx_destroy_pool(w->pool);
    free(w);
}


static void
check_path(world_t *w, request_t *request)
{
    int                      lone;
    str_t                    room, text;
    ngx_int_t                rc;
    ngx_http_jelou_value_t  *v;

    room = expected_room(request->uri);
    rc = ngx_http_jelou_request_path(&w->r, &w->ctx);

    require(rc == (room.len ? NGX_OK : NGX_HTTP_JELOU_NOT_FOUND),
            "the path's verdict is %d", (int) rc);

    if (room.len == 0) {
        return;
    }

    v = &w->ctx.event.values[NGX_HTTP_JELOU_ROOM_ID];

    (void) token_decode((str_t) { v->data, v->len }, &text, &lone);

    require(!lone && str_equal(text, room), "the path's room is \"%.*s\"",
            (int) text.len, text.data);
}


static void
check_body(world_t *w, str_t body, int in_file)
{
    text_t        text;
    ngx_int_t     rc;
    ngx_chain_t  *cl;

    rc = ngx_http_jelou_request_body(&w->r, &w->ctx);
    require(rc == NGX_OK, "the body's verdict is %d", (int) rc);

    text_init(&text, body.len + 1);

    for (cl = w->ctx.body; cl; cl = cl->next) {
        require(cl->buf->pos || cl->buf->last == cl->buf->pos,
                "a buffer is not in memory");

        text_add(&text, (str_t) { cl->buf->pos,
                                  (size_t) (cl->buf->last - cl->buf->pos) });
    }

    require(str_equal(text_str(&text), body), "the body has other bytes");

    require(w->ctx.event.body.len == body.len, "the body has another length");

    require(w->ctx.event.body.data == NULL
            || str_equal(from_ngx(w->ctx.event.body), body),
            "the event's body has other bytes");

    require(!in_file || w->ctx.event.body.data, "the body was not copied");
}


static void
check_signature(world_t *w, request_t *request)
{
    u_char                   *digest;
    str_t                     value;
    ngx_int_t                 rc;
    ngx_str_t                 project;
    uint8_t                   right[32], said;
    ngx_http_jelou_secret_t  *secret;

    digest = w->ctx.digest;
    value = find(request, "X-Jelou-Signature", 1)->value;

    for (size_t i = 0; i < 64; i++) {
        said = digest[i / 2] >> (i % 2 ? 0 : 4) & 15;

        require("0123456789abcdef"[said] == (value.data[7 + i]
                                             | (said > 9 ? 0x20 : 0)),
                "digit %zu of the digest is %x", i, said);
    }

    sign(request->body, right);
    ngx_str_null(&project);
    secret = NULL;

    rc = ngx_http_jelou_secrets_verify(&w->r, w->conf.secrets, &project,
                                       w->ctx.body, digest, &secret);

    require(rc == (memcmp(digest, right, 32) == 0 ? NGX_OK : NGX_DECLINED),
            "the signature's verdict is %d", (int) rc);

    require(rc != NGX_OK || (secret && secret->place == 1),
            "another secret has matched");
}


/*
 * The digest of the body, and its event, which is made once: what the event
 * is has targets of its own.
 */

static void
check_event(world_t *w, str_t body)
{
    u_char     digest[32], right[32];
    ngx_int_t  rc;

    sha256(body, right);

    rc = ngx_http_jelou_request_event(&w->r, &w->ctx);

    require(rc != NGX_ERROR, "the event is not made");
    require(str_equal(from_ngx(w->ctx.event.body), body),
            "the event is made of other bytes");
    require(ngx_http_jelou_sha256(&w->ctx.event.body, digest, &core_log)
            == NGX_OK
            && memcmp(digest, right, 32) == 0, "the body's digest is wrong");
    require(ngx_http_jelou_request_event(&w->r, &w->ctx) == rc,
            "the event is made again");
}


/* A body that gets pages of its own if it is copied */

static str_t
enlarged(str_t body)
{
    u_char  *p;

    p = memory_get(body.len + LARGE);

    ngx_memcpy(p, body.data, body.len);
    ngx_memset(p + body.len, ' ', LARGE);

    return (str_t) { p, body.len + LARGE };
}


/* A file that has less than nginx has said is an error. */

static void
check_truncated(world_t *w, str_t body)
{
    ngx_int_t  rc;

    if (w->bufs[0].in_file == 0 || w->body.bufs == NULL) {
        return;
    }

    core_file.len = (size_t) w->bufs[0].file_last - 1;

    rc = ngx_http_jelou_request_body(&w->r, &w->ctx);

    require(rc == NGX_ERROR || w->bufs[0].file_last < (off_t) body.len,
            "a truncated body's verdict is %d", (int) rc);
}


/* What a configuration has is there once, as in a worker. */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    ngx_conf_t  cf;
    ngx_str_t   secret;

    static u_char  bytes[] = SECRET;     /* wiped when they have been taken */

    (void) argc;
    (void) argv;

    heap_openssl();
    hmac_judge();

    ngx_time_init();

    ngx_memzero(&cf, sizeof(ngx_conf_t));
    cf.pool = ngx_create_pool(1024, &core_log);
    cf.temp_pool = cf.pool;
    cf.log = &core_log;

    require(cf.pool, "malloc() failed");

    secret.data = bytes;
    secret.len = sizeof(SECRET) - 1;

    secrets = ngx_http_jelou_secrets_create(&cf);
    require(secrets && ngx_http_jelou_secrets_add(&cf, secrets, &secret,
                                                     "jelou_secret", 1)
                       == NGX_CONF_OK, "the secret is refused");

    heap_keep();

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int        in_file;
    str_t      text = { data, size };
    world_t   *w;
    uint64_t   seed;
    ngx_int_t  rc, expected;
    request_t  request;

    memory_reset();
    core_reset(0);

    seed = random_seed(text);

    read_request(&request, text);

    if (random_next(&seed) % OFTEN == 0) {
        request.body = enlarged(request.body);
    }

    w = make_world(&request);

    check_path(w, &request);

    expected = expected_header(&request);
    rc = ngx_http_jelou_request_header(&w->r, &w->conf, w->ctx.digest);

    require(rc == expected, "the header's verdict is %d and not %d", (int) rc,
            (int) expected);

    in_file = make_body(w, request.body, &seed);
    check_body(w, request.body, in_file);

    if (rc == NGX_OK) {
        check_signature(w, &request);
    }

    check_event(w, request.body);

    check_truncated(w, request.body);

    end_world(w);

    heap_check();

    return 0;
}


/*
 * Nobody finds a signature by chance: half of the requests are signed again
 * after they were changed.
 */

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
    unsigned int number)
{
    field_t        *field;
    uint8_t        *p;
    uint64_t        seed;
    request_t       request;
    uint8_t         digest[32];

    seed = number * 0x9e3779b97f4a7c15ULL + 1;

    size = LLVMFuzzerMutate(data, size, max);

    if (random_next(&seed) % 2) {
        return size;
    }

    read_request(&request, (str_t) { data, size });

    field = find(&request, "X-Jelou-Signature", 1);

    if (field == NULL || field->value.len != 7 + 64) {
        return size;
    }

    sign(request.body, digest);

    p = data + (field->value.data - data) + 7;

    for (size_t i = 0; i < 64; i++) {
        unsigned  digit = digest[i / 2] >> (i % 2 ? 0 : 4) & 15;

        p[i] = (uint8_t) (random_next(&seed) % 2 ? "0123456789abcdef"
                                                 : "0123456789ABCDEF")[digit];
    }

    /* nearly right: one letter in the other case, one byte another */

    if (random_next(&seed) % 4 == 0) {
        p -= 7;
        p[random_next(&seed) % (7 + 64)] ^= random_next(&seed) % 2 ? 0x20 : 1;
    }

    return size;
}
