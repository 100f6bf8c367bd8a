/*
 * Bodies: bytes, JSON, schema, event.  The program's name is the endpoint's.
 */


#include "core.h"
#include "model.h"

#include "ngx_http_jelou_format.h"
#include "ngx_http_jelou_rule.h"
#include "ngx_http_jelou_schema.h"


/*
 * What a body of n bytes may cost, three times and more what the worst that is
 * known does: pieces of the module's code, and bytes of memory.
 */

#define STEPS_PER_BYTE  30
#define STEPS           10000
#define BYTES_PER_BYTE  4
#define BYTES           8192

#define LARGE           (128 * 1024)
#define OFTEN           1024          /* one in so many bodies is large */


typedef struct {
    ngx_http_jelou_event_t    event;
    ngx_http_jelou_schema_t   schema;
    ngx_pool_t               *pool;
    u_char                   *body;
    ngx_int_t                 rc;
} run_t;


static int    endpoint;
static str_t  ours[3];           /* the values that the configuration fixes */
static size_t space;             /* for a text that is made of this input */
static str_t  normal;            /* an event of this input, written again */


static void
prepare(run_t *run, const terms_t *terms, str_t text)
{
    ngx_int_t                         rc;
    ngx_str_t                         id;
    const ngx_http_jelou_endpoint_t  *e;

    ngx_memzero(run, sizeof(run_t));

    core_reset(0);

    run->pool = ngx_create_pool(1024, &core_log);
    require(run->pool, "malloc() failed");

    run->body = core_copy(text);

    run->event.pool = run->pool;
    run->event.body.data = run->body;
    run->event.body.len = text.len;
    run->event.received_sec = (time_t) (terms->received / 1000);
    run->event.received = (ngx_msec_t) (terms->received % 1000);

    ngx_memset(run->event.digest, 0xd1, sizeof(run->event.digest));

    e = &ngx_http_jelou_endpoints[terms->endpoint];

    run->schema.endpoint = e;
    run->schema.strict = (ngx_uint_t) terms->strict;
    run->schema.conversation = (ngx_uint_t) terms->conversation;
    run->schema.text = (ngx_uint_t) terms->text;

    ngx_http_jelou_url_defaults(run->schema.urls);

    for (int i = 0; i < 3; i++) {
        run->schema.fixed[i].value = to_ngx(terms->fixed[i]);
        run->schema.fixed[i].json = to_ngx(terms->json[i]);
        ngx_str_set(&run->schema.fixed[i].message, "must be another");
    }

    if (e->path_slot) {
        id = to_ngx(terms->path_id);

        rc = ngx_http_jelou_value_encode(run->pool, &id,
                                         &run->event.values[e->path_slot]);

        require(rc == NGX_OK, "the path's id is refused");
    }
}


static void
begin(run_t *run, const terms_t *terms, str_t text, size_t fail)
{
    prepare(run, terms, text);

    core_reset(fail);
    (void) core_steps();

    run->rc = ngx_http_jelou_check(&run->event, &run->schema, &core_log);
}


static void
end(run_t *run)
{
    free(run->body);
    ngx_destroy_pool(run->pool);
}


/* Time and memory grow with the body, and no faster. */

static void
check_cost(str_t text)
{
    uint64_t  steps = core_steps();

    require(steps <= STEPS + STEPS_PER_BYTE * text.len,
            "%llu steps for %zu bytes", (unsigned long long) steps, text.len);

    require(core.bytes <= BYTES + BYTES_PER_BYTE * text.len,
            "%zu bytes of memory for %zu bytes", core.bytes, text.len);
}


static int
has_pointer(run_t *run, str_t pointer)
{
    for (ngx_uint_t i = 0; i < run->event.nviolations; i++) {
        if (str_equal(from_ngx(run->event.violations[i].pointer), pointer)) {
            return 1;
        }
    }

    return 0;
}


/* Between quotes, as an answer has them, they are JSON. */

static void
check_quoted(run_t *run, size_t size)
{
    text_t                       text;
    ngx_http_jelou_violation_t  *v;

    text_init(&text, size);

    for (ngx_uint_t i = 0; i < run->event.nviolations; i++) {
        v = &run->event.violations[i];

        text_add(&text, i ? str(",\"") : str("{\""));
        text_add(&text, from_ngx(v->pointer));
        text_add(&text, str("\":\""));
        text_add(&text, from_ngx(v->message));
        text_add(&text, str("\""));
    }

    text_add(&text, run->event.nviolations ? str("}") : str("{}"));

    require(json_valid(text_str(&text)), "the violations are no JSON: %.*s",
            (int) text.len, text.data);
}


/*
 * The violations are those of the model or, if there are too many, that many
 * of them.
 */

static void
check_violations(run_t *run, verdict_t *verdict)
{
    size_t                       i, k, n, size;
    ngx_http_jelou_violation_t  *v;

    size = 0;
    n = run->event.nviolations;

    require(n == ngx_min(verdict->npointers, NGX_HTTP_JELOU_MAX_VIOLATIONS),
            "%zu violations, and not %zu", n, verdict->npointers);

    for (i = 0; i < n; i++) {
        v = &run->event.violations[i];

        for (k = 0; k < verdict->npointers; k++) {
            if (str_equal(from_ngx(v->pointer), verdict->pointers[k])) {
                break;
            }
        }

        require(k < verdict->npointers || k == POINTERS,
                "a violation at \"%.*s\"", (int) v->pointer.len,
                v->pointer.data);

        size += v->pointer.len + v->message.len + 6;

        require(v->message.len, "a violation says nothing");
    }

    check_quoted(run, size + 2);

    for (k = 0; n < NGX_HTTP_JELOU_MAX_VIOLATIONS && k < verdict->npointers;
         k++)
    {
        require(has_pointer(run, verdict->pointers[k]),
                "no violation at \"%.*s\"", (int) verdict->pointers[k].len,
                verdict->pointers[k].data);
    }
}


static int
made_of(str_t token, const char *form)
{
    for (size_t i = 0; i < token.len; i++, form++) {
        uint8_t  c = token.data[i];

        if (*form == 'x' ? !strchr("0123456789abcdef", c)
            : *form == 'v' ? !strchr("89ab", c) : c != *form)
        {
            return 0;
        }
    }

    return *form == '\0';
}


/* The identifiers that the module has made must be as they are to be made. */

static void
take_made(run_t *run, terms_t *terms, tree_t *root)
{
    size_t                   i;
    tree_t                  *item, *id;
    ngx_list_part_t         *part;
    ngx_http_jelou_value_t  *v;

    if (terms->endpoint != BOT_MESSAGE) {
        return;
    }

    v = &run->event.values[NGX_HTTP_JELOU_MESSAGE_ID];
    terms->message_id = (str_t) { v->data, v->len };

    require(made_of(terms->message_id, "msg_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
            "the message id");

    item = model_first(root, "options");

    if (item == NULL) {
        return;
    }

    part = &run->event.items->part;

    for (i = 0, item = item->child; item; item = item->next, i++) {
        id = model_first(item, "id");

        if (i == 8) {
            part = part->next;           /* the list has 8 a part */
        }

        v = part->elts;
        v = &v[i % 8 * NGX_HTTP_JELOU_ITEM_NVALUES + NGX_HTTP_JELOU_ITEM_ID];

        terms->option_id[i] = id ? id->token : (str_t) { v->data, v->len };

        require(id || made_of(terms->option_id[i],
                              "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx"),
                "the id of option %zu", i);
    }
}


/*
 * Writes the pieces to memory that has the room that was asked for and not a
 * byte more.
 */

static ngx_str_t
write_pieces(run_t *run, const ngx_http_jelou_piece_t *pieces)
{
    size_t     room;
    u_char    *p;
    ngx_str_t  out;

    room = ngx_http_jelou_pieces_length(pieces, &run->event, &run->schema);

    out.data = malloc(room + 1);
    require(out.data, "malloc() failed");

    /* the byte more is not to be written */

    out.data[room] = 0xa5;

    p = ngx_http_jelou_pieces_write(out.data, pieces, &run->event,
                                    &run->schema);

    out.len = (size_t) (p - out.data);

    require(out.len <= room, "%zu bytes in the room of %zu", out.len, room);
    require(out.data[room] == 0xa5, "written behind the room");

    return out;
}


static void
check_text(const char *what, ngx_str_t text, text_t *expected)
{
    require(str_equal(from_ngx(text), text_str(expected)),
            "the %s is\n%.*s\nand not\n%.*s", what, (int) text.len, text.data,
            (int) expected->len, expected->data);
}


static void
check_list_of(run_t *run, const ngx_http_jelou_piece_t *pieces, tree_t *root,
    const char *member, text_t *expected)
{
    int        lone;
    str_t      decoded;
    ngx_str_t  text;

    if (pieces == NULL) {
        return;
    }

    expected->len = 0;
    model_items(expected, root, member);

    (void) token_decode(text_str(expected), &decoded, &lone);

    text = write_pieces(run, pieces);

    require(str_equal(from_ngx(text), decoded), "the %ss are %.*s", member,
            (int) text.len, text.data);

    free(text.data);
}


/*
 * Is the text JSON, with the event as its last member?  It is if it is with
 * another value there, as the event is JSON itself.
 */

static int
json_around(text_t *text, text_t *event)
{
    size_t  n = text->len - event->len - 1;
    text_t  other;

    require(text->len > event->len
            && str_equal((str_t) { text->data + n, event->len },
                         text_str(event)), "the event is not in its place");

    text_init(&other, n + 2);
    text_add(&other, (str_t) { text->data, n });
    text_add(&other, str("0}"));

    return text->data[text->len - 1] == '}' && json_valid(text_str(&other));
}


/*
 * What is forwarded, and afterwards, with the body gone, what is answered.
 * The first format is written once more from what the second one has left.
 */

static void
check_written(run_t *run, terms_t *terms, tree_t *root, int cloud_first)
{
    text_t                        event, cloud, answer, again;
    ngx_str_t                     first, second, last;
    const ngx_http_jelou_kind_t  *kind;

    static const char  digest[] =
        "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1";

    kind = run->event.kind;

    terms->digest = str(digest);
    take_made(run, terms, root);

    text_init(&event, space);
    text_init(&cloud, space);
    text_init(&answer, space);

    model_event(&event, terms, root);
    model_cloudevent(&cloud, terms, root);
    model_answer(&answer, terms, root);

    require(json_valid(text_str(&event)) && json_around(&cloud, &event)
            && json_valid(text_str(&answer)), "the model writes no JSON");

    if (cloud_first) {
        first = write_pieces(run, kind->cloudevent);
        check_text("CloudEvent", first, &cloud);

        second = write_pieces(run, kind->event);
        check_text("event", second, &event);

    } else {
        first = write_pieces(run, kind->event);
        check_text("event", first, &event);

        second = write_pieces(run, kind->cloudevent);
        check_text("CloudEvent", second, &cloud);
    }

    free(first.data);

    if (!kind->identity) {

        /* only the body as a whole is not in the event */

        ngx_memset(run->body, 0, run->event.body.len);
    }

    first = write_pieces(run, cloud_first ? kind->cloudevent : kind->event);
    check_text("second writing", first, cloud_first ? &cloud : &event);

    free(second.data);
    free(run->body);
    run->body = NULL;

    last = write_pieces(run, kind->answer);
    check_text("answer", last, &answer);

    text_init(&again, space);
    check_list_of(run, kind->item_ids, root, "id", &again);
    check_list_of(run, kind->item_types, root, "type", &again);

    free(first.data);
    free(last.data);
}


/* The normalized incoming_message is one itself, and its own normal form. */

static void
check_normal(terms_t *terms, tree_t *root)
{
    run_t      run;
    text_t     text;
    terms_t    strict;
    ngx_str_t  event;

    if (terms->endpoint != INCOMING_MESSAGE) {
        return;
    }

    text_init(&text, space);
    model_event(&text, terms, root);

    /* in another order of the members, it is the same one again */

    if (str_equal(text_str(&text), normal)) {
        return;
    }

    normal = text_str(&text);

    strict = *terms;
    strict.strict = 1;

    begin(&run, &strict, text_str(&text), 0);

    require(run.rc == NGX_OK, "the event is not accepted again");

    event = write_pieces(&run, run.event.kind->event);
    check_text("event of the event", event, &text);

    free(event.data);
    end(&run);
}


static void
check_types(run_t *run, terms_t *terms, tree_t *root, int turn)
{
    tree_t     *item;
    uint32_t    bits;
    ngx_str_t   name;

    bits = 0;

    if (terms->endpoint == ROOM_MESSAGE) {

        for (item = model_first(root, "messages")->child; item;
             item = item->next)
        {
            int    lone;
            str_t  text;

            (void) token_decode(model_first(item, "type")->token, &text,
                                &lone);
            name = to_ngx(text);
            bits |= ngx_http_jelou_type_bit(run->schema.endpoint, &name);
        }

    } else if (terms->endpoint == BOT_MESSAGE) {

        if (model_first(root, "options")) {
            ngx_str_set(&name, "list");

        } else {
            ngx_str_set(&name, "text");
        }

        bits = ngx_http_jelou_type_bit(run->schema.endpoint, &name);

    } else if (!turn) {
        int    lone;
        str_t  text;

        (void) token_decode(model_first(model_first(root, "value"),
                                        "type")->token, &text, &lone);
        name = to_ngx(text);
        bits = ngx_http_jelou_type_bit(run->schema.endpoint, &name);
    }

    require(run->event.types == bits, "the bits of the types are %x, and "
            "not %x", run->event.types, bits);
}


/*
 * The project is looked for before anything is proven: in whatever body there
 * is, at no more cost, and without memory there is none.
 */

static void
check_project(terms_t *terms, str_t text, str_t project)
{
    run_t      run;
    size_t     calls;
    ngx_int_t  rc;
    ngx_str_t  id;

    calls = 0;

    for (size_t fail = 0; fail <= calls; fail += calls ? calls : 1) {
        prepare(&run, terms, text);

        core_reset(fail);
        (void) core_steps();

        rc = ngx_http_jelou_project_id(&run.event, &run.schema, &id);

        if (fail) {
            require(rc == NGX_ERROR, "a project is found without memory");

        } else {
            check_cost(text);
            calls = core.calls;

            require(rc == NGX_OK, "the project's id is not found out");
            require(str_equal(from_ngx(id), project),
                    "the project's id is \"%.*s\"", (int) id.len, id.data);
        }

        core_reset(0);
        end(&run);
    }
}


/*
 * One body under one configuration.  Returns the number of allocations, and
 * the verdict if the body is an object.
 */

static size_t
check(terms_t *terms, str_t text, tree_t *root, int cloud_first,
    verdict_t *verdict)
{
    run_t   run;
    size_t  calls;

    begin(&run, terms, text, 0);
    check_cost(text);

    calls = core.calls;

    require(run.rc != NGX_ERROR, "an error with nothing to cause it");
    require(core_nlines == 0, "it is logged: %.*s", (int) core_nlines,
            core_lines);

    if (root == NULL) {
        require(run.rc == NGX_HTTP_JELOU_INVALID_JSON, "it is no JSON object");
        require(run.event.offset <= text.len && run.event.reason,
                "nobody knows where it is no JSON");

        end(&run);
        return calls;
    }

    model_check(verdict, terms, root);

    require(run.rc != NGX_HTTP_JELOU_INVALID_JSON,
            "JSON is refused at byte %zu: %s", run.event.offset,
            run.event.reason);

    check_violations(&run, verdict);

    require((run.rc == NGX_OK) == verdict->accepted
            && (verdict->accepted || run.rc == NGX_HTTP_JELOU_INVALID_EVENT),
            "the verdict is %d", (int) run.rc);

    if (verdict->accepted) {
        check_types(&run, terms, root, verdict->turn);
        check_written(&run, terms, root, cloud_first);
        check_normal(terms, root);
    }

    end(&run);

    return calls;
}


/* Bodies that are large enough for memory of their own are no other bodies. */

static void
check_large(terms_t *terms, str_t text, tree_t *root)
{
    u_char     *p;
    verdict_t   verdict;

    p = memory_get(text.len + LARGE);

    ngx_memcpy(p, text.data, text.len);
    ngx_memset(p + text.len, ' ', LARGE);

    text = (str_t) { p, text.len + LARGE };

    (void) check(terms, text, root, 0, &verdict);
}


/* Whatever allocation fails, no verdict comes of it. */

static void
check_failure(terms_t *terms, str_t text, size_t fail)
{
    run_t  run;

    begin(&run, terms, text, fail);

    require(run.rc == NGX_ERROR, "allocation %zu fails, and the verdict "
            "is %d", fail, (int) run.rc);

    core_reset(0);
    end(&run);
}


/* The order of members changes nothing. */

static void
check_same(verdict_t *one, verdict_t *two)
{
    size_t  i, k;

    require(one->npointers == two->npointers && one->turn == two->turn,
            "in another order, the verdict is another");

    for (i = 0; i < one->npointers && one->npointers < POINTERS; i++) {

        for (k = 0; k < two->npointers; k++) {
            if (str_equal(one->pointers[i], two->pointers[k])) {
                break;
            }
        }

        require(k < two->npointers, "in another order, there is no violation "
                "at \"%.*s\"", (int) one->pointers[i].len,
                one->pointers[i].data);
    }
}


/* The body's own value of a member, for the configuration to ask for. */

static str_t
own_value(tree_t *root, const char *name, str_t other)
{
    int      lone;
    str_t    text;
    tree_t  *node;

    node = root ? model_first(root, name) : NULL;

    if (node == NULL || node->type != TREE_STRING) {
        return other;
    }

    (void) token_decode(node->token, &text, &lone);

    return lone || text.len == 0 ? other : text;
}


static str_t
as_json(str_t text, int quotes)
{
    size_t   escapes, len;
    u_char  *p;

    escapes = ngx_escape_json(NULL, (u_char *) text.data, text.len);
    len = text.len + escapes + (quotes ? 2 : 0);

    p = memory_get(len + 1);

    (void) ngx_escape_json(p + (quotes ? 1 : 0), (u_char *) text.data,
                           text.len);

    if (quotes) {
        p[0] = '"';
        p[len - 1] = '"';
    }

    return (str_t) { p, len };
}


static void
configure(terms_t *terms, tree_t *root, uint64_t *seed)
{
    int    own;
    str_t  id;

    static const char *const  names[] = { "field", "object", "event_type" };

    ngx_memzero(terms, sizeof(terms_t));

    terms->endpoint = endpoint;
    terms->conversation = CONVERSATION_ON;
    terms->text = random_next(seed) % 8 ? TEXT_ANY
                  : random_next(seed) % 2 ? TEXT_EVENT : TEXT_BODY;
    terms->received = 1700000000000 + random_next(seed) % 1000000000;

    own = random_next(seed) % 4 == 0;

    for (int i = 0; i < 3; i++) {
        terms->fixed[i] = own ? own_value(root, names[i], ours[i]) : ours[i];
        terms->json[i] = as_json(terms->fixed[i], 1);
    }

    if (ngx_http_jelou_endpoints[endpoint].path_slot) {
        id = random_next(seed) % 2
             ? own_value(root, endpoint == BOT_MESSAGE ? "botId" : "senderId",
                         str("42"))
             : str("bot \"7\"/\\\xc3\xa9\xf0\x9f\x98\x80");

        terms->path_id = is_identifier(id) ? id : str("42");
        terms->path_token = as_json(terms->path_id, 0);
    }
}


int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char  *name;

    (void) argc;

    name = strrchr(**argv, '/');
    name = name ? name + 1 : **argv;

    for (endpoint = 0; endpoint < ENDPOINTS; endpoint++) {
        if (ngx_strcmp(ngx_http_jelou_endpoints[endpoint].name.data, name)
            == 0)
        {
            break;
        }
    }

    require(endpoint < ENDPOINTS, "\"%s\" is not an endpoint", name);

    ours[0] = str("messages");
    ours[1] = str("message_event");
    ours[2] = from_ngx(ngx_http_jelou_endpoints[endpoint].name);

    return 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int            cloud_first;
    str_t          text = { data, size };
    size_t         calls;
    text_t         other;
    tree_t        *root, *shuffled;
    terms_t        terms;
    uint64_t       seed;
    verdict_t      verdicts[2], verdict;
    tree_status_e  status;

    memory_reset();
    normal = str("");
    space = 8 * size + 16 * 1024;

    seed = random_seed(text);

    status = tree_parse(text, &root);
    tree_judge(text, status);

    if (status != TREE_OK || root->type != TREE_OBJECT) {
        root = NULL;
    }

    configure(&terms, root, &seed);

    if (ngx_http_jelou_has_project(&ngx_http_jelou_endpoints[endpoint])) {
        check_project(&terms, text, root ? model_project_id(&terms, root)
                                         : str(""));
    }

    cloud_first = random_next(&seed) % 2;

    calls = check(&terms, text, root, cloud_first, &verdicts[0]);

    if (calls) {
        check_failure(&terms, text, 1 + random_next(&seed) % calls);
    }

    if (random_next(&seed) % OFTEN == 0) {
        check_large(&terms, text, root);
    }

    if (root == NULL) {
        heap_check();
        return 0;
    }

    terms.strict = 1;
    (void) check(&terms, text, root, !cloud_first, &verdicts[1]);

    if (endpoint == MESSAGE) {
        terms.conversation = random_next(&seed) % 2 ? CONVERSATION_OFF
                                                    : CONVERSATION_KNOWN;
        (void) check(&terms, text, root, cloud_first, &verdict);
        terms.conversation = CONVERSATION_ON;
    }

    /* the same members in another order */

    terms.strict = random_next(&seed) % 2;

    text_init(&other, 8 * size + 1024);
    tree_write(&other, root, &seed);

    status = tree_parse(text_str(&other), &shuffled);
    require(status == TREE_OK, "the harness writes no JSON");

    (void) check(&terms, text_str(&other), shuffled, cloud_first, &verdict);

    check_same(&verdict, &verdicts[terms.strict]);

    heap_check();

    return 0;
}
