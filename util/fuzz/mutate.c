/*
 * Mutations of bodies that keep them JSON, so that the schema is reached: a
 * byte changed at random is nearly always the end of a JSON text.
 */


#include "tree.h"

#include <string.h>


typedef struct {
    const char  *name;
    const char  *value;
} pair_t;


/* an identifier that grows to three times its length in a URI */

#define SLASHES_25  "/////////////////////////"
#define SLASHES     "\"" SLASHES_25 SLASHES_25 SLASHES_25 SLASHES_25          \
                    SLASHES_25 SLASHES_25 SLASHES_25 SLASHES_25 "\""


/* with the root around them, as deep as it may be, and deeper by one */

#define OPEN_31   "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
#define CLOSE_31  "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"


/* members of all endpoints, each with a value that it may have */

static const pair_t  pairs[] = {
    { "field", "\"messages\"" },
    { "object", "\"message_event\"" },
    { "event_type", "\"incoming_message\"" },
    { "event_type", "\"message\"" },
    { "event", "\"conversation.start\"" },
    { "event", "\"conversation.close\"" },
    { "event", "\"conversation.moved-1.a_B\"" },
    { "Event", "\"conversation.close\"" },
    { "project_\\u0131d", "\"p-2\"" },
    { "pro\\u212aect_id", "\"p-2\"" },
    { "time\\u017ftamp", "1776134278574" },
    { "Project_ID", "\"p-2\"" },
    { "timestamp", "1776134278574" },
    { "timestamp", "253402300799999" },
    { "timestamp", "253402300800000" },
    { "timestamp", "0" },
    { "timestamp", "100000000000" },
    { "timestamp", "99999999999" },
    { "project_id", "\"p-1\"" },
    { "project_id", SLASHES },
    { "room_id", "\"r-1\"" },
    { "room_id", SLASHES },
    { "bot_id", "\"b-1\"" },
    { "user_id", "\"u-1\"" },
    { "contact", "{\"id\":\"u-1\",\"name\":\"Ana\"}" },
    { "conversation", "{\"id\":\"c-1\"}" },
    { "bot", "{\"id\":\"b-1\",\"name\":\"Bot\"}" },
    { "value", "{\"id\":\"m-1\",\"type\":\"text\",\"content\":"
               "{\"body\":\"hi\"}}" },
    { "value", "{\"id\":\"m-1\",\"type\":\"image\",\"content\":{\"url\":"
               "\"https://a/b\",\"mime_type\":\"image/png\"}}" },
    { "id", "\"0f8fad5b-d9cb-469f-a165-70867728950e\"" },
    { "name", "\"Ana\"" },
    { "type", "\"text\"" },
    { "type", "\"image\"" },
    { "type", "\"video\"" },
    { "type", "\"audio\"" },
    { "type", "\"document\"" },
    { "type", "\"TEXT\"" },
    { "type", "\"IMAGE\"" },
    { "type", "\"VIDEO\"" },
    { "type", "\"DOCUMENT\"" },
    { "content", "{\"body\":\"hi\"}" },
    { "content", "{\"url\":\"https://a/b\",\"mime_type\":"
                 "\"a/b;c=\\\"d\\\"\"}" },
    { "body", "\"hi\"" },
    { "url", "\"HTTPS://u@a:1/b?c#d\"" },
    { "mime_type", "\"a/b; c=d\"" },
    { "caption", "\"look\"" },
    { "filename", "\"a.pdf\"" },
    { "senderId", "\"s-1\"" },
    { "senderId", SLASHES },
    { "messages", "[{\"id\":\"0f8fad5b-d9cb-469f-a165-70867728950e\","
                  "\"type\":\"TEXT\",\"text\":\"hi\"}]" },
    { "text", "\"hi\"" },
    { "mediaUrl", "\"HTTP://[::ffff:1.2.3.4]:8080/a\"" },
    { "userId", "\"u-1\"" },
    { "botId", "\"42\"" },
    { "botId", SLASHES },
    { "title", "\"Pick one\"" },
    { "buttonText", "{}" },
    { "buttonText", "{\"type\":\"text\",\"text\":\"Go\"}" },
    { "options", "[{\"title\":\"A\"}]" },
    { "description", "\"the first\"" },
    { "other", "null" }
};

#define NPAIRS  (sizeof(pairs) / sizeof(pair_t))


/* values that something has been wrong with, somewhere */

static const char *const  values[] = {
    "null", "true", "0", "-0", "1e9", "1E+400", "0.5", "123456789012345678901",
    "{}", "[]", "[[]]", "[{}]", OPEN_31 CLOSE_31, OPEN_31 "[]" CLOSE_31,
    "\"\"", "\" \"", "\"\\\"\"", "\"\\\\\"",
    "\"\\/\"", "\"\\u0000\"", "\"\\u001f\"", "\"\\u007F\"", "\"\\ud800\"",
    "\"\\udc00\\ud800\"", "\"\\uD83D\\uDE00\"", "\"\\ud800\\u0041\"",
    "\"\xc3\xa9\"", "\"\xe2\x80\xa8\"", "\"\xf0\x9f\x98\x80\"", "\"\x7f\"",
    "\"\xc2\x85\"", "\"~0/~1\"", "\"%2F\"", "\"\\r\\n\"", "\"https://\"",
    "\"https://@\"", "\"https://:1\"", "\"https://a:65536\"",
    "\"https://[::1]:80/\"", "\"https://[::1\\u0000]\"",
    "\"http://[v1.a:b]\"", "\"https://[1:2::3.4.5.6]\"", "\"https://%41@a\"",
    "\"https://[1::2:3:4:5:6:7]\"", "\"https://a\\u200bb\"",
    "\"https://a/\\u202e\"", "\"\\u0085\"", "\"\\u2028\"", "\"\\u00a0\"",
    "\"conversation.\"", "\"conversation.x_1.Y-z\"",
    "\"a/b;\"", "\"a/b;c=\\\"\\\\\\\"\"",
    "\"123456789012345678901234\"", "\"1234567890123456789012345\"",
    "\"\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9"
    "\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9"
    "\\u00e9\\u00e9\\u00e9\\u00e9\\ud83d\\ude00\""
};

#define NVALUES  (sizeof(values) / sizeof(values[0]))


/* what must not stand behind a JSON text, or is the last byte too few of it */

static const char *const  tails[] = {
    "\"", "\"a", "}", "{}", "tr", "1", "-", ",", "\f", "\xef\xbb\xbf", "\xc3"
};

#define NTAILS  (sizeof(tails) / sizeof(tails[0]))


size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
    unsigned int number);


static str_t
string(const char *s)
{
    return (str_t) { (const uint8_t *) s, strlen(s) };
}


static tree_t *
parse(const char *s)
{
    tree_t  *root;

    return tree_parse(string(s), &root) == TREE_OK ? root : NULL;
}


/* Returns the link to one of the nodes below, each as likely as another. */

static void
choose(tree_t **link, uint64_t *seed, unsigned *seen, tree_t ***chosen)
{
    for ( /* void */ ; *link; link = &(*link)->next) {

        if (random_next(seed) % ++*seen == 0) {
            *chosen = link;
        }

        choose(&(*link)->child, seed, seen, chosen);
    }
}


static tree_t *
copy(tree_t *node)
{
    tree_t  *new = memory_get(sizeof(tree_t));

    *new = *node;

    return new;
}


/* The same string with one of its characters as an escape */

static str_t
escape(str_t token, uint64_t *seed)
{
    size_t  i;
    text_t  out;

    static const char  digits[] = "0123456789abcdef";

    if (token.len == 0) {
        return token;
    }

    i = random_next(seed) % token.len;

    if (token.data[i] < 0x20 || token.data[i] >= 0x7f
        || memchr(token.data, '\\', token.len))
    {
        return token;
    }

    text_init(&out, token.len + 5);
    text_add(&out, (str_t) { token.data, i });
    text_add(&out, str("\\u00"));
    text_byte(&out, (uint8_t) digits[token.data[i] >> 4]);
    text_byte(&out, (uint8_t) digits[token.data[i] & 15]);
    text_add(&out, (str_t) { token.data + i + 1, token.len - i - 1 });

    return text_str(&out);
}


/* The token with some bytes changed, which may end its being JSON */

static str_t
scramble(str_t token)
{
    size_t    size;
    uint8_t  *p;

    size = token.len + 32;
    p = memory_get(size);

    memcpy(p, token.data, token.len);

    return (str_t) { p, LLVMFuzzerMutate(p, token.len, size) };
}


/* The token several times over: lengths are what rules are about. */

static str_t
repeat(str_t token, uint64_t *seed)
{
    text_t  out;

    static const uint16_t  lengths[] = { 2, 3, 24, 25, 72, 73, 256, 257, 3000 };

    size_t  n = lengths[random_next(seed) % 9];

    if (token.len * n > 4096) {
        return token;
    }

    text_init(&out, token.len * n + 1);

    while (n--) {
        text_add(&out, token);
    }

    return text_str(&out);
}


static void
change_string(tree_t *node, uint64_t *seed)
{
    str_t  *token;

    /* the value's, or the name's */

    token = node->type == TREE_STRING && (node->name.len == 0
                                          || random_next(seed) % 4)
            ? &node->token : &node->name;

    switch (random_next(seed) % 4) {

    case 0:
        *token = escape(*token, seed);
        break;

    case 1:
        *token = repeat(*token, seed);
        break;

    default:
        *token = scramble(*token);
    }
}


/* A valid value for a member of that name, if there is one. */

static tree_t *
repaired(str_t name, uint64_t *seed)
{
    size_t  start = random_next(seed) % NPAIRS;

    for (size_t i = 0; i < NPAIRS; i++) {
        const pair_t  *pair = &pairs[(start + i) % NPAIRS];

        if (str_equal(string(pair->name), name)) {
            return parse(pair->value);
        }
    }

    return NULL;
}


static void
set_value(tree_t *node, tree_t *value)
{
    if (value) {
        node->type = value->type;
        node->token = value->token;
        node->child = value->child;
    }
}


static void
insert(tree_t *parent, uint64_t *seed)
{
    tree_t        *node;
    const pair_t  *pair = &pairs[random_next(seed) % NPAIRS];

    if (parent->type != TREE_OBJECT && parent->type != TREE_ARRAY) {
        return;
    }

    node = copy(parse(pair->value));
    node->name = string(pair->name);

    node->next = parent->child;
    parent->child = node;
}


/* Many of one: what is kept of each is what memory is needed for. */

static void
multiply(tree_t *root, uint64_t *seed)
{
    tree_t    *other, **link;
    unsigned   seen;

    seen = 0;
    link = NULL;
    choose(&root->child, seed, &seen, &link);

    for (size_t n = 1 << random_next(seed) % 11; link && n; n--) {
        other = copy(*link);
        (*link)->next = other;
    }
}


static void
mutate(tree_t *root, uint64_t *seed)
{
    tree_t    *node, *other, **link, **from;
    unsigned   seen;

    seen = 0;
    link = NULL;
    choose(&root->child, seed, &seen, &link);

    if (link == NULL) {
        insert(root, seed);
        return;
    }

    node = *link;

    switch (random_next(seed) % 14) {

    case 0:
        *link = node->next;
        break;

    case 1:
        other = copy(node);
        node->next = other;
        break;

    case 2:
        insert(root, seed);
        break;

    case 3:
        insert(node, seed);
        break;

    case 4:
        set_value(node, parse(values[random_next(seed) % NVALUES]));
        break;

    case 5:
        node->name = string(pairs[random_next(seed) % NPAIRS].name);
        break;

    case 6:
        seen = 0;
        from = link;
        choose(&root->child, seed, &seen, &from);
        other = copy(*from);

        /* a copy that is not an ancestor's, or the tree would have no end */

        if (other->child == NULL) {
            set_value(node, other);
        }

        break;

    case 7:
    case 8:
    case 9:
        set_value(node, repaired(node->name, seed));
        break;

    default:
        change_string(node, seed);
    }
}


size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max,
    unsigned int number)
{
    text_t     out;
    tree_t    *root;
    uint64_t   seed;

    memory_reset();

    seed = number * 0x9e3779b97f4a7c15ULL + 1;

    if (random_next(&seed) % 4 == 0
        || tree_parse((str_t) { data, size }, &root) != TREE_OK
        || (root->type != TREE_OBJECT && random_next(&seed) % 2))
    {
        return LLVMFuzzerMutate(data, size, max);
    }

    do {
        mutate(root, &seed);
    } while (random_next(&seed) % 2);

    if (random_next(&seed) % 16 == 0) {
        multiply(root, &seed);
    }

    text_init(&out, 64 * 1024 * 1024);
    tree_write(&out, root, NULL);

    /* what was scrambled may be no string any more */

    if (out.len <= max && random_next(&seed) % 4 == 0
        && tree_parse(text_str(&out), &root) == TREE_OK)
    {
        text_init(&out, 8 * out.len + 1024);
        tree_write(&out, root, &seed);
    }

    if (random_next(&seed) % 16 == 0) {
        text_add(&out, string(tails[random_next(&seed) % NTAILS]));
    }

    if (out.len == 0 || out.len > max) {
        return LLVMFuzzerMutate(data, size, max);
    }

    memcpy(data, out.data, out.len);

    return out.len;
}
