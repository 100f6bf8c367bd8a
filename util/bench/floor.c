/*
 * The least that the job takes: one HMAC-SHA256 from a copied keyed context
 * and one parse with callbacks that do nothing.
 *
 *     floor FILE hmac|yajl|both COUNT
 *
 * Does it COUNT times over the file's bytes, and prints the nanoseconds of
 * processor time that one took, the median of ten equal parts.
 */


#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <yajl/yajl_parse.h>


#define PARTS  10


static EVP_MAC_CTX    *key;
static unsigned char  *body;
static size_t          size;


static void
die(const char *what)
{
    fprintf(stderr, "floor: %s failed\n", what);
    exit(1);
}


static void
load(const char *name)
{
    long   n;
    FILE  *f;

    f = fopen(name, "rb");

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) <= 0) {
        die(name);
    }

    size = (size_t) n;
    body = malloc(size);

    rewind(f);

    if (body == NULL || fread(body, 1, size, f) != size) {
        die(name);
    }

    fclose(f);
}


static void
make_key(void)
{
    EVP_MAC              *mac;
    OSSL_PARAM            params[2];
    const unsigned char   secret[] = "benchmark-signing-secret";

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    key = EVP_MAC_CTX_new(mac);

    if (EVP_MAC_init(key, secret, sizeof(secret) - 1, params) != 1) {
        die("EVP_MAC_init()");
    }
}


static void
hmac(void)
{
    size_t         len;
    EVP_MAC_CTX   *ctx;
    unsigned char  digest[32];

    ctx = EVP_MAC_CTX_dup(key);

    if (ctx == NULL
        || EVP_MAC_update(ctx, body, size) != 1
        || EVP_MAC_final(ctx, digest, &len, sizeof(digest)) != 1)
    {
        die("HMAC");
    }

    EVP_MAC_CTX_free(ctx);
}


static int on_null(void *ctx) { (void) ctx; return 1; }
static int on_boolean(void *ctx, int v) { (void) ctx; (void) v; return 1; }

static int
on_number(void *ctx, const char *v, size_t len)
{
    (void) ctx; (void) v; (void) len;
    return 1;
}

static int
on_string(void *ctx, const unsigned char *v, size_t len)
{
    (void) ctx; (void) v; (void) len;
    return 1;
}


static void
parse(void)
{
    yajl_handle            h;

    static yajl_callbacks  callbacks = {
        on_null, on_boolean, NULL, NULL, on_number, on_string,
        on_null, on_string, on_null, on_null, on_null
    };

    h = yajl_alloc(&callbacks, NULL, NULL);

    if (yajl_parse(h, body, size) != yajl_status_ok
        || yajl_complete_parse(h) != yajl_status_ok)
    {
        die("yajl_parse()");
    }

    yajl_free(h);
}


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec * 1e9 + ts.tv_nsec;
}


static int
compare(const void *one, const void *two)
{
    double  a = *(const double *) one, b = *(const double *) two;

    return (a > b) - (a < b);
}


int
main(int argc, char **argv)
{
    int     what;
    long    i, n;
    double  start, part[PARTS];

    if (argc != 4 || (n = atol(argv[3])) < 0) {
        fprintf(stderr, "usage: floor FILE hmac|yajl|both COUNT\n");
        return 2;
    }

    what = strcmp(argv[2], "hmac") == 0 ? 1 : strcmp(argv[2], "yajl") == 0 ? 2
           : 3;

    load(argv[1]);
    make_key();

    n /= PARTS;

    for (int k = 0; k < PARTS; k++) {
        start = now();

        for (i = 0; i < n; i++) {

            if (what & 1) {
                hmac();
            }

            if (what & 2) {
                parse();
            }
        }

        part[k] = n ? (now() - start) / n : 0;
    }

    qsort(part, PARTS, sizeof(part[0]), compare);

    printf("%.1f\n", (part[PARTS / 2 - 1] + part[PARTS / 2]) / 2);

    return 0;
}
