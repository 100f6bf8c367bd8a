/*
 * A JSON text as a tree.
 */


#include "tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <jansson.h>


#define MEMORY  (512 * 1024 * 1024)
#define TEXTS   256


typedef struct {
    const uint8_t  *p;
    const uint8_t  *last;
    unsigned        depth;
    tree_status_e   status;
} reader_t;


static tree_t *read_value(reader_t *r);
static void memory_put(void *p);


static uint8_t   *memory;
static size_t     used;

static str_t      texts[TEXTS];       /* of this run, that jansson has taken */
static size_t     ntexts;


void
fault(const char *what, ...)
{
    va_list  args;

    fputs("fault: ", stderr);

    va_start(args, what);
    vfprintf(stderr, what, args);
    va_end(args);

    fputc('\n', stderr);
    abort();
}


void
memory_reset(void)
{
    if (memory == NULL) {
        memory = mmap(NULL, MEMORY, PROT_READ|PROT_WRITE,
                      MAP_ANONYMOUS|MAP_PRIVATE|MAP_NORESERVE, -1, 0);
        require(memory != MAP_FAILED, "mmap() failed");

        json_set_alloc_funcs(memory_get, memory_put);
    }

    used = 0;
    ntexts = 0;
}


/* What jansson has goes when it has read its text. */

static void
memory_put(void *p)
{
    (void) p;
}


void *
memory_get(size_t size)
{
    void  *p;

    size = (size + 15) & ~(size_t) 15;

    require(size <= MEMORY - used, "the harness has no more memory");

    p = memory + used;
    used += size;

    return p;
}


uint64_t
random_next(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;

    return *seed * 0x2545f4914f6cdd1dULL >> 16;
}


/* FNV-1a, of eight bytes at a time */

uint64_t
random_seed(str_t text)
{
    size_t    i;
    uint64_t  h, word;

    h = 0xcbf29ce484222325ULL;

    for (i = 0; i < text.len; i += sizeof(word)) {
        word = 0;
        memcpy(&word, text.data + i,
               text.len - i < sizeof(word) ? text.len - i : sizeof(word));

        h = (h ^ word) * 0x100000001b3ULL;
        h ^= h >> 32;
    }

    return h ? h : 1;
}


/* Not memcmp(): libFuzzer looks at what that one is given. */

int
str_equal(str_t one, str_t two)
{
    size_t    i;
    uint64_t  left, right;

    if (one.len != two.len) {
        return 0;
    }

    for (i = 0; one.len - i >= sizeof(left); i += sizeof(left)) {
        __builtin_memcpy(&left, one.data + i, sizeof(left));
        __builtin_memcpy(&right, two.data + i, sizeof(right));

        if (left != right) {
            return 0;
        }
    }

    for ( /* void */ ; i < one.len; i++) {
        if (one.data[i] != two.data[i]) {
            return 0;
        }
    }

    return 1;
}


void
text_init(text_t *text, size_t size)
{
    text->data = memory_get(size);
    text->len = 0;
    text->size = size;
}


void
text_byte(text_t *text, uint8_t c)
{
    require(text->len < text->size, "the harness has made its text too small");

    text->data[text->len++] = c;
}


void
text_add(text_t *text, str_t s)
{
    require(s.len <= text->size - text->len,
            "the harness has made its text too small");

    if (s.len) {
        memcpy(text->data + text->len, s.data, s.len);
        text->len += s.len;
    }
}


void
text_utf8(text_t *text, uint32_t c)
{
    unsigned  n = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

    static const uint8_t  lead[] = { 0, 0xc0, 0xe0, 0xf0 };

    text_byte(text, (uint8_t) (lead[n] | c >> 6 * n));

    while (n--) {
        text_byte(text, (uint8_t) (0x80 | (c >> 6 * n & 0x3f)));
    }
}


str_t
text_str(text_t *text)
{
    return (str_t) { text->data, text->len };
}


static int
hex(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}


/*
 * RFC 3629 by its definition, not by the table of bytes that follows from it:
 * a code point has one form, the shortest.  Returns 0 if it is malformed.
 */

static size_t
utf8_read(const uint8_t *p, const uint8_t *last, uint32_t *point)
{
    size_t    n;
    uint32_t  c;

    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3
        : *p >> 3 == 30 ? 4 : 0;

    if (n == 0 || (size_t) (last - p) < n) {
        return 0;
    }

    c = n == 1 ? *p : *p & (0x7fu >> n);

    for (size_t i = 1; i < n; i++) {

        if (p[i] >> 6 != 2) {
            return 0;
        }

        c = c << 6 | (p[i] & 0x3f);
    }

    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
        return 0;
    }

    *point = c;

    return n;
}


int
utf8_valid(str_t text)
{
    size_t          n;
    uint32_t        c;
    const uint8_t  *p, *last;

    last = text.data + text.len;

    for (p = text.data; p < last; p += n) {
        n = utf8_read(p, last, &c);

        if (n == 0) {
            return 0;
        }
    }

    return 1;
}


static tree_t *
stop(reader_t *r, tree_status_e status)
{
    r->status = status;
    return NULL;
}


static void
skip_space(reader_t *r)
{
    while (r->p < r->last
           && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n'
               || *r->p == '\r'))
    {
        r->p++;
    }
}


static int
take(reader_t *r, uint8_t c)
{
    skip_space(r);

    if (r->p == r->last || *r->p != c) {
        return 0;
    }

    r->p++;
    return 1;
}


static int
read_string(reader_t *r, str_t *token)
{
    size_t    n;
    uint32_t  c;

    if (!take(r, '"')) {
        return 0;
    }

    token->data = r->p;

    while (r->p < r->last && *r->p != '"') {

        if (*r->p >= 0x20 && *r->p < 0x7f && *r->p != '\\') {
            r->p++;
            continue;
        }

        n = utf8_read(r->p, r->last, &c);

        if (n == 0 || c < 0x20) {
            return 0;
        }

        r->p += n;

        if (c != '\\') {
            continue;
        }

        if (r->p == r->last || *r->p == '\0'
            || strchr("\"\\/bfnrtu", *r->p) == NULL)
        {
            return 0;
        }

        if (*r->p++ != 'u') {
            continue;
        }

        for (n = 0; n < 4; n++) {
            if (r->p == r->last || hex(*r->p++) < 0) {
                return 0;
            }
        }
    }

    if (r->p == r->last) {
        return 0;
    }

    token->len = (size_t) (r->p++ - token->data);

    return 1;
}


static size_t
read_digits(reader_t *r)
{
    const uint8_t  *start = r->p;

    while (r->p < r->last && *r->p >= '0' && *r->p <= '9') {
        r->p++;
    }

    return (size_t) (r->p - start);
}


static int
read_number(reader_t *r)
{
    if (*r->p == '-') {
        r->p++;
    }

    if (r->p < r->last && *r->p == '0') {
        r->p++;

    } else if (read_digits(r) == 0) {
        return 0;
    }

    if (r->p < r->last && *r->p == '.') {
        r->p++;

        if (read_digits(r) == 0) {
            return 0;
        }
    }

    if (r->p < r->last && (*r->p | 0x20) == 'e') {
        r->p++;

        if (r->p < r->last && (*r->p == '+' || *r->p == '-')) {
            r->p++;
        }

        return read_digits(r) != 0;
    }

    return 1;
}


static int
read_literal(reader_t *r)
{
    static const char *const  words[] = { "true", "false", "null" };

    for (size_t i = 0; i < 3; i++) {
        size_t  n = strlen(words[i]);

        if ((size_t) (r->last - r->p) >= n && memcmp(r->p, words[i], n) == 0) {
            r->p += n;
            return 1;
        }
    }

    return 0;
}


static tree_t *
read_children(reader_t *r, tree_t *parent, uint8_t end)
{
    str_t     name;
    tree_t   *node, **last;

    last = &parent->child;

    if (r->depth++ == TREE_DEPTH) {
        return stop(r, TREE_TOO_DEEP);
    }

    if (take(r, end)) {
        r->depth--;
        return parent;
    }

    do {
        name = str("");

        if (end == '}' && (!read_string(r, &name) || !take(r, ':'))) {
            return stop(r, TREE_INVALID);
        }

        node = read_value(r);

        if (node == NULL) {
            return NULL;
        }

        node->name = name;

        *last = node;
        last = &node->next;

    } while (take(r, ','));

    r->depth--;

    return take(r, end) ? parent : stop(r, TREE_INVALID);
}


static tree_t *
read_value(reader_t *r)
{
    int      ok;
    tree_t  *node;

    skip_space(r);

    if (r->p == r->last) {
        return stop(r, TREE_INVALID);
    }

    node = memory_get(sizeof(tree_t));
    memset(node, 0, sizeof(tree_t));

    node->token.data = r->p;

    switch (*r->p) {

    case '{':
        r->p++;
        node->type = TREE_OBJECT;
        return read_children(r, node, '}');

    case '[':
        r->p++;
        node->type = TREE_ARRAY;
        return read_children(r, node, ']');

    case '"':
        node->type = TREE_STRING;
        return read_string(r, &node->token) ? node : stop(r, TREE_INVALID);

    case 't':
    case 'f':
    case 'n':
        node->type = TREE_LITERAL;
        ok = read_literal(r);
        break;

    default:
        node->type = TREE_NUMBER;
        ok = read_number(r);
    }

    node->token.len = (size_t) (r->p - node->token.data);

    return ok ? node : stop(r, TREE_INVALID);
}


tree_status_e
tree_parse(str_t text, tree_t **root)
{
    reader_t  r = { text.data, text.data + text.len, 0, TREE_OK };

    *root = read_value(&r);

    if (*root) {
        skip_space(&r);

        if (r.p != r.last) {
            r.status = TREE_INVALID;
        }
    }

    return r.status;
}


/*
 * jansson decodes, and refuses what it cannot represent: a surrogate escape
 * without its other half, NUL in a name, a number that no type of C has.  The
 * first are replaced before, the others say nothing about the syntax.
 * Returns -1 if jansson does not know.
 */

static int
jansson_valid(str_t text)
{
    char          *copy;
    size_t         before;
    json_t        *root;
    json_error_t   error;

    before = used;

    copy = memory_get(text.len + 1);
    memcpy(copy, text.data, text.len);

    for (size_t i = 0; i < text.len; i++) {

        if (copy[i] == '\0') {

            /* jansson overlooks one behind a number; no other is valid */

            copy[i] = '\1';
        }

        if (copy[i] != '\\' || i + 1 == text.len) {
            continue;
        }

        if (copy[++i] == 'u' && i + 4 < text.len
            && (copy[i + 1] | 0x20) == 'd' && hex((uint8_t) copy[i + 2]) > 7
            && hex((uint8_t) copy[i + 3]) >= 0
            && hex((uint8_t) copy[i + 4]) >= 0)
        {
            memcpy(&copy[i + 1], "fffd", 4);
        }
    }

    root = json_loadb(copy, text.len,
                      JSON_ALLOW_NUL|JSON_DECODE_ANY|JSON_DECODE_INT_AS_REAL,
                      &error);
    if (root) {
        json_decref(root);
    }

    used = before;

    if (root) {
        return 1;
    }

    switch (json_error_code(&error)) {

    case json_error_numeric_overflow:
    case json_error_null_byte_in_key:
        return -1;

    default:
        return 0;
    }
}


/* The same text stands in many a verdict: jansson reads it once. */

int
json_valid(str_t text)
{
    uint8_t  *copy;

    for (size_t i = 0; i < ntexts; i++) {
        if (str_equal(texts[i], text)) {
            return 1;
        }
    }

    if (jansson_valid(text) == 0) {
        return 0;
    }

    if (ntexts < TEXTS) {
        copy = memory_get(text.len);
        memcpy(copy, text.data, text.len);
        texts[ntexts++] = (str_t) { copy, text.len };
    }

    return 1;
}


void
tree_judge(str_t text, tree_status_e status)
{
    int  valid;

    if (status == TREE_TOO_DEEP) {
        return;
    }

    valid = jansson_valid(text);

    require(valid == -1 || valid == (status == TREE_OK),
            "jansson says %s, the harness %s",
            valid ? "valid" : "invalid",
            status == TREE_OK ? "valid" : "invalid");
}


size_t
utf8_points(str_t text, uint32_t *points)
{
    size_t          n;
    const uint8_t  *p, *last;

    last = text.data + text.len;

    for (n = 0, p = text.data; p < last; n++) {
        p += utf8_read(p, last, &points[n]);
    }

    return n;
}


size_t
token_points(str_t token, uint32_t *points)
{
    size_t          n;
    uint32_t        c;
    const uint8_t  *p, *last;

    static const char  from[] = "bfnrt", to[] = "\b\f\n\r\t";

    last = token.data + token.len;

    for (n = 0, p = token.data; p < last; points[n++] = c) {

        if (*p != '\\') {

            if (*p < 0x80) {
                c = *p++;

            } else {
                p += utf8_read(p, last, &c);
            }

            continue;
        }

        if (p[1] != 'u') {
            const char  *q = strchr(from, p[1]);

            c = q ? (uint8_t) to[q - from] : p[1];
            p += 2;
            continue;
        }

        c = (uint32_t) (hex(p[2]) << 12 | hex(p[3]) << 8 | hex(p[4]) << 4
                        | hex(p[5]));
        p += 6;

        if (n && c >= 0xdc00 && c < 0xe000
            && points[n - 1] >= 0xd800 && points[n - 1] < 0xdc00)
        {
            c = 0x10000 + ((points[--n] & 0x3ff) << 10 | (c & 0x3ff));
        }
    }

    return n;
}


void
token_decode(str_t token, str_t *text, int *lone)
{
    size_t     i, n;
    text_t     out;
    uint32_t  *points;

    *lone = 0;

    for (i = 0; i < token.len && token.data[i] != '\\'; i++) { }

    if (i == token.len) {
        *text = token;
        return;
    }

    points = memory_get((token.len + 1) * sizeof(uint32_t));
    n = token_points(token, points);

    text_init(&out, token.len + 1);

    for (i = 0; i < n && !*lone; i++) {

        if (points[i] >= 0xd800 && points[i] < 0xe000) {
            *lone = 1;

        } else {
            text_utf8(&out, points[i]);
        }
    }

    *text = text_str(&out);
}


static int
same_name(tree_t *one, tree_t *two)
{
    int    lone_one, lone_two;
    str_t  name_one, name_two;

    (void) token_decode(one->name, &name_one, &lone_one);
    (void) token_decode(two->name, &name_two, &lone_two);

    return lone_one || lone_two ? str_equal(one->name, two->name)
           : str_equal(name_one, name_two);
}


static tree_t **
shuffle(tree_t *parent, uint64_t *seed, size_t *count)
{
    size_t    n, j;
    tree_t  **order, *node;

    for (n = 0, node = parent->child; node; node = node->next) {
        n++;
    }

    order = memory_get((n + 1) * sizeof(tree_t *));

    for (n = 0, node = parent->child; node; node = node->next) {
        order[n++] = node;
    }

    *count = n;

    if (seed == NULL || parent->type != TREE_OBJECT) {
        return order;
    }

    /* neighbours change places, again and again, unless they are repeated */

    for (size_t i = 0; n > 1 && i < n * n && i < 256; i++) {
        j = random_next(seed) % (n - 1);

        if (!same_name(order[j], order[j + 1])) {
            node = order[j];
            order[j] = order[j + 1];
            order[j + 1] = node;
        }
    }

    return order;
}


static void
write_space(text_t *out, uint64_t *seed)
{
    while (seed && random_next(seed) % 4 == 0) {
        text_byte(out, (uint8_t) " \t\n\r"[random_next(seed) % 4]);
    }
}


static void
write_string(text_t *out, str_t token)
{
    text_byte(out, '"');
    text_add(out, token);
    text_byte(out, '"');
}


void
tree_write(text_t *out, tree_t *node, uint64_t *seed)
{
    size_t    n;
    tree_t  **order;

    write_space(out, seed);

    if (node->type == TREE_STRING) {
        write_string(out, node->token);

    } else if (node->type == TREE_NUMBER || node->type == TREE_LITERAL) {
        text_add(out, node->token);

    } else {
        order = shuffle(node, seed, &n);

        text_byte(out, node->type == TREE_OBJECT ? '{' : '[');

        for (size_t i = 0; i < n; i++) {

            if (i) {
                text_byte(out, ',');
            }

            if (node->type == TREE_OBJECT) {
                write_space(out, seed);
                write_string(out, order[i]->name);
                write_space(out, seed);
                text_byte(out, ':');
            }

            tree_write(out, order[i], seed);
        }

        write_space(out, seed);
        text_byte(out, node->type == TREE_OBJECT ? '}' : ']');
    }

    write_space(out, seed);
}
