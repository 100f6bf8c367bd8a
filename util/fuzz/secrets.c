/*
 * Secret files: what is read of them, what is refused and said, and which
 * secret a body is verified with.
 */


#include "core.h"
#include "hmac.h"

#include "ngx_http_jelou_secret.h"

#include <sys/mman.h>
#include <sys/stat.h>


#define ENTRIES   512
#define KNOWN     (4 * ENTRIES)
#define TRIED     12          /* of the secrets, with all the projects' ids */


typedef struct {
    str_t        project;     /* empty: of all others */
    str_t        secret;
    ngx_uint_t   line;
} entry_t;


/* What the file is, by a reader that only knows the documentation. */

typedef struct {
    int          refused;
    entry_t      entries[ENTRIES];
    size_t       nentries;
    size_t       hmacs;       /* that a refusal takes */
    text_t       log;
} model_t;


static int      fd = -1;
static char     name[64];
static size_t   hmacs;        /* that were computed */

/*
 * What a key has made of the one body that there is.  It is computed twice, to
 * see that a key can be used again, and then it is known: which keys are tried
 * is the question here, and the same ones are so many times.
 */

typedef struct {
    ngx_http_jelou_key_t  *key;
    unsigned               input;        /* in which there was this key */
    unsigned               calls;
    u_char                 digest[32];
} known_t;

static known_t   known[KNOWN];
static unsigned  input;

static u_char   body[] = "{\"hello\":\"world\"}";


ngx_int_t __real_ngx_http_jelou_hmac(ngx_http_jelou_key_t *key,
    ngx_chain_t *chain, u_char *digest, ngx_log_t *log);
ngx_int_t __wrap_ngx_http_jelou_hmac(ngx_http_jelou_key_t *key,
    ngx_chain_t *chain, u_char *digest, ngx_log_t *log);

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


ngx_int_t
__wrap_ngx_http_jelou_hmac(ngx_http_jelou_key_t *key, ngx_chain_t *chain,
    u_char *digest, ngx_log_t *log)
{
    size_t     i;
    known_t   *k;
    ngx_int_t  rc;

    hmacs++;

    for (i = (uintptr_t) key >> 4; /* void */ ; i++) {
        k = &known[i % KNOWN];

        if (k->input != input || k->key == key) {
            break;
        }
    }

    if (k->input != input) {
        k->input = input;
        k->key = key;
        k->calls = 0;
    }

    if (k->calls++ < 2) {
        rc = __real_ngx_http_jelou_hmac(key, chain, digest, log);

        require(rc == NGX_OK, "no digest");
        require(k->calls == 1 || memcmp(k->digest, digest, 32) == 0,
                "a key's second digest is another");

        ngx_memcpy(k->digest, digest, 32);
        return rc;
    }

    ngx_memcpy(digest, k->digest, 32);

    return NGX_OK;
}


static void
say(model_t *m, unsigned level, const char *fmt, ...)
{
    int      n;
    char     line[512];
    va_list  args;

    n = snprintf(line, sizeof(line), "%u: \"jelou_secret_file\": ", level);

    va_start(args, fmt);
    n += vsnprintf(line + n, sizeof(line) - (size_t) n, fmt, args);
    va_end(args);

    text_add(&m->log, (str_t) { (uint8_t *) line, (size_t) n });
    text_byte(&m->log, '\n');

    if (level == NGX_LOG_EMERG) {
        m->refused = 1;
    }
}


static int
is_space(uint8_t c)
{
    return strchr(" \t\n\v\f\r", c) && c;
}


static size_t
words(str_t line, str_t *word, size_t max)
{
    size_t  n, i;

    for (n = 0, i = 0; i < line.len; n++) {

        while (i < line.len && is_space(line.data[i])) { i++; }

        if (i == line.len) {
            break;
        }

        if (n < max) {
            word[n].data = line.data + i;
        }

        while (i < line.len && !is_space(line.data[i])) {

            if (n < max) {
                word[n].len = (size_t) (line.data + i + 1 - word[n].data);
            }

            i++;
        }
    }

    return n;
}


/* An identifier, "=", and a value that does not begin with "=" */

static int
is_assignment(str_t s)
{
    size_t  i = 0;

    static const char  name[] = "_0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

    while (i < s.len && s.data[i] && strchr(name, s.data[i])) {
        i++;
    }

    return i > 0 && i + 1 < s.len && s.data[i] == '=' && s.data[i + 1] != '=';
}


static void
read_line(model_t *m, str_t line, ngx_uint_t number)
{
    size_t    n;
    str_t     word[2], inner;
    entry_t  *e;

    n = words(line, word, 2);

    if (n == 0 || word[0].data[0] == '#') {
        return;
    }

    /* from the first word to the end of the last */

    inner.data = word[0].data;
    inner.len = line.len - (size_t) (inner.data - line.data);

    while (is_space(inner.data[inner.len - 1])) { inner.len--; }

    for (size_t i = 0; i < inner.len; i++) {
        uint8_t  c = inner.data[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            say(m, NGX_LOG_EMERG, "the line in \"%s\":%u has a control "
                "character", name, (unsigned) number);
            return;
        }
    }

    if (n > 2) {
        say(m, NGX_LOG_EMERG, "the line in \"%s\":%u has more than a project "
            "id and a secret", name, (unsigned) number);
        return;
    }

    if (n == 2 && word[0].len > 256) {
        say(m, NGX_LOG_EMERG, "the line in \"%s\":%u has a project id of more "
            "than 256 bytes", name, (unsigned) number);
        return;
    }

    if (strchr("{}[]\"", word[0].data[0])) {
        say(m, NGX_LOG_WARN, "the line in \"%s\":%u looks like JSON", name,
            (unsigned) number);

    } else if (is_assignment(word[0]) || is_assignment(word[n - 1])
               || (n == 2 && word[0].data[word[0].len - 1] == ':'))
    {
        say(m, NGX_LOG_WARN, "the line in \"%s\":%u looks like an assignment",
            name, (unsigned) number);
    }

    require(m->nentries < ENTRIES, "the harness has too few entries");

    e = &m->entries[m->nentries++];

    e->project = n == 2 ? word[0] : str("");
    e->secret = word[n - 1];
    e->line = number;

    if (e->secret.len < 16) {
        say(m, NGX_LOG_WARN, "the secret in \"%s\":%u has fewer than 16 bytes",
            name, (unsigned) number);
    }
}


static void
read_model(model_t *m, str_t text, mode_t mode)
{
    str_t           line;
    ngx_uint_t      number;
    const uint8_t  *end;

    m->refused = 0;
    m->nentries = 0;
    text_init(&m->log, 256 * 1024);

    if (mode & 06) {
        say(m, NGX_LOG_WARN, "others can read or write \"%s\"", name);
    }

    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        say(m, NGX_LOG_EMERG, "the line in \"%s\":1 begins with a byte order "
            "mark", name);
    }

    for (number = 1; text.len && !m->refused; number++) {
        end = memchr(text.data, '\n', text.len);

        line.data = text.data;
        line.len = end ? (size_t) (end - text.data) : text.len;

        text.data += line.len + (end ? 1 : 0);
        text.len -= line.len + (end ? 1 : 0);

        read_line(m, line, number);
    }

    if (!m->refused && m->nentries == 0) {
        say(m, NGX_LOG_EMERG, "no secret in \"%s\"", name);
    }
}


static int
has_own(model_t *m, str_t project)
{
    for (size_t i = 0; project.len && i < m->nentries; i++) {
        if (str_equal(m->entries[i].project, project)) {
            return 1;
        }
    }

    return 0;
}


/* The line of the secret that fits, or 0 */

static ngx_uint_t
expected_line(model_t *m, str_t project, str_t secret)
{
    if (!has_own(m, project)) {
        project = str("");
    }

    for (size_t i = 0; i < m->nentries; i++) {
        if (str_equal(m->entries[i].project, project)
            && str_equal(m->entries[i].secret, secret))
        {
            return m->entries[i].line;
        }
    }

    return 0;
}


/* As much for each project, if some have own ones */

static size_t
expected_hmacs(model_t *m)
{
    size_t  n, most;

    most = 0;

    for (size_t i = 0; i < m->nentries; i++) {
        n = 0;

        for (size_t k = 0; k < m->nentries; k++) {
            n += (size_t) str_equal(m->entries[i].project,
                                    m->entries[k].project);
        }

        most = ngx_max(most, n);
    }

    return most;
}


static void
check_secret(model_t *m, ngx_http_jelou_secrets_t *secrets, str_t project,
    str_t secret, u_char *digest)
{
    ngx_buf_t                 b;
    ngx_int_t                 rc;
    ngx_str_t                 id;
    ngx_uint_t                line;
    ngx_chain_t               chain;
    ngx_connection_t          c;
    ngx_http_request_t        r;
    ngx_http_jelou_secret_t  *found;

    ngx_memzero(&b, sizeof(ngx_buf_t));
    b.pos = body;
    b.last = body + sizeof(body) - 1;
    b.memory = 1;

    chain.buf = &b;
    chain.next = NULL;

    ngx_memzero(&c, sizeof(ngx_connection_t));
    ngx_memzero(&r, sizeof(ngx_http_request_t));
    c.log = &core_log;
    r.connection = &c;

    id = to_ngx(project);
    line = expected_line(m, project, secret);
    hmacs = 0;

    rc = ngx_http_jelou_secrets_verify(&r, secrets, &id, &chain, digest,
                                       &found);

    if (line == 0) {
        require(rc == NGX_DECLINED, "a secret is accepted for a project that "
                "has it not");
        require(hmacs == m->hmacs, "%zu computations, and not %zu", hmacs,
                m->hmacs);
        return;
    }

    require(rc == NGX_OK, "the secret in line %u is not accepted",
            (unsigned) line);
    require(found->place == line && found->in_file,
            "the secret is in line %u, and not in %u", (unsigned) line,
            (unsigned) found->place);
}


/* Adds what is not there. */

static void
add(str_t *list, size_t *n, str_t s)
{
    for (size_t i = 0; i < *n; i++) {
        if (str_equal(list[i], s)) {
            return;
        }
    }

    list[(*n)++] = s;
}


/* Each of the secrets, for each of the projects that there are and for none */

static void
check_secrets(model_t *m, ngx_http_jelou_secrets_t *secrets)
{
    size_t  n = ngx_min(m->nentries, TRIED), nprojects = 0, nsecrets = 0;
    str_t   projects[TRIED + 2], tried[TRIED + 1], of_body;
    u_char  digest[32];

    of_body = (str_t) { body, sizeof(body) - 1 };

    add(projects, &nprojects, str(""));
    add(projects, &nprojects, str("nobody has this"));

    for (size_t i = 0; i < n; i++) {
        add(projects, &nprojects, m->entries[i].project);
        add(tried, &nsecrets, m->entries[i].secret);
    }

    add(tried, &nsecrets, str("nobody has this"));

    m->hmacs = expected_hmacs(m);

    for (size_t i = 0; i < nsecrets; i++) {
        hmac(tried[i], of_body, digest);

        for (size_t k = 0; k < nprojects; k++) {
            check_secret(m, secrets, projects[k], tried[i], digest);
        }
    }
}


typedef struct {
    ngx_conf_t                  cf;
    ngx_cycle_t                 cycle;
    ngx_http_jelou_secrets_t   *secrets;
    char                       *rv;
} run_t;


static void
begin(run_t *run, const char *file, size_t fail)
{
    ngx_str_t  path;

    ngx_memzero(run, sizeof(run_t));
    core_reset(0);

    run->cf.cycle = &run->cycle;
    run->cf.log = &core_log;
    run->cf.pool = ngx_create_pool(1024, &core_log);
    run->cf.temp_pool = ngx_create_pool(1024, &core_log);

    require(run->cf.pool && run->cf.temp_pool, "malloc() failed");

    run->secrets = ngx_http_jelou_secrets_create(&run->cf);
    require(run->secrets, "malloc() failed");

    path.data = (u_char *) file;
    path.len = strlen(file);

    core_reset(fail);

    run->rv = ngx_http_jelou_secrets_read(&run->cf, run->secrets, &path,
                                         "jelou_secret_file");
}


static void
end(run_t *run)
{
    ngx_destroy_pool(run->cf.pool);
    ngx_destroy_pool(run->cf.temp_pool);
}


static void
check_refused(const char *file, const char *message)
{
    run_t  run;

    begin(&run, file, 0);

    core_lines[core_nlines] = '\0';

    require(run.rv == NGX_CONF_ERROR, "%s is accepted", file);
    require(strstr(core_lines, message), "of %s, it is logged: %s", file,
            core_lines);

    end(&run);
}


/* What is a matter of the file and not of its bytes, once */

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;

    heap_openssl();
    hmac_judge();

    fd = memfd_create("secrets", 0);
    require(fd != -1, "memfd_create() failed");

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);

    check_refused("/proc/self/fd/nothing", "open() \"/proc/self/fd/nothing\" "
                  "failed");
    check_refused("/", "\"/\" is not a file of at most");

    require(fchmod(fd, 0600) == 0, "fchmod() failed");

    check_refused(name, "no secret in");

    /* a hole: only its size is looked at */

    require(ftruncate(fd, 64 * 1024 * 1024 + 1) == 0, "ftruncate() failed");

    check_refused(name, "is not a file of at most 67108864 bytes");

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str_t      text = { data, size };
    run_t      run;
    mode_t     mode;
    size_t     calls;
    uint64_t   seed;

    static model_t       model;
    static const mode_t  modes[] = { 0600, 0640, 0604, 0602 };

    memory_reset();

    seed = random_seed(text);
    mode = modes[random_next(&seed) % 4];

    require(pwrite(fd, data, size, 0) == (ssize_t) size
            && ftruncate(fd, (off_t) size) == 0 && fchmod(fd, mode) == 0,
            "the file is not written");

    input++;

    read_model(&model, text, mode);

    begin(&run, name, 0);

    calls = core.calls;

    require((run.rv == NGX_CONF_OK) != model.refused, "the file is %s",
            model.refused ? "accepted" : "refused");

    require(str_equal((str_t) { (uint8_t *) core_lines, core_nlines },
                      text_str(&model.log)),
            "it is logged\n%.*s\nand not\n%.*s", (int) core_nlines, core_lines,
            (int) model.log.len, model.log.data);

    if (!model.refused) {
        check_secrets(&model, run.secrets);
    }

    end(&run);

    /* whatever allocation fails, the file is not accepted */

    if (calls) {
        begin(&run, name, 1 + random_next(&seed) % calls);
        require(run.rv == NGX_CONF_ERROR, "accepted without memory");

        core_reset(0);
        end(&run);
    }

    heap_check();

    return 0;
}
