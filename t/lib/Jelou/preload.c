/*
 * Loaded before nginx's libraries, for tests that need another time than the
 * machine's, or want to know what OpenSSL is asked for.  See Preload.pm.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>


/* the same memory in all processes of nginx and, as a file, in the test */

typedef struct {
    int64_t   seconds;     /* that the clock is fast */
    uint64_t  macs;        /* that were finished */
    uint64_t  bytes;       /* that went into them */
    uint64_t  compares;    /* of 32 bytes, in constant time */
} shared_t;


static shared_t   nothing;
static shared_t  *shared = &nothing;
static int        old_openssl;


static void __attribute__((constructor))
start(void)
{
    int    fd;
    void  *p;

    fd = open(getenv("JELOU_PRELOAD"), O_RDWR);

    if (fd == -1) {
        abort();
    }

    p = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        abort();
    }

    close(fd);

    shared = p;

    /* workers have no environment */

    old_openssl = getenv("JELOU_OLD_OPENSSL") != NULL;
}


static void *
next(const char *name)
{
    void  *p;

    p = dlsym(RTLD_NEXT, name);

    if (p == NULL) {
        abort();
    }

    return p;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    int         rc;
    static int  (*real)(struct timeval *, void *);

    if (real == NULL) {
        real = next("gettimeofday");
    }

    rc = real(tv, tz);
    tv->tv_sec += shared->seconds;

    return rc;
}


/* before a release of OpenSSL 3.0: without a key, nothing is done */

int
EVP_MAC_init(void *ctx, const unsigned char *key, size_t len, void *params)
{
    static int  (*real)(void *, const unsigned char *, size_t, void *);

    if (real == NULL) {
        real = next("EVP_MAC_init");
    }

    if (key == NULL && old_openssl) {
        return 1;
    }

    return real(ctx, key, len, params);
}


int
EVP_MAC_update(void *ctx, const unsigned char *data, size_t len)
{
    static int  (*real)(void *, const unsigned char *, size_t);

    if (real == NULL) {
        real = next("EVP_MAC_update");
    }

    shared->bytes += len;

    return real(ctx, data, len);
}


int
EVP_MAC_final(void *ctx, unsigned char *out, size_t *outl, size_t outsize)
{
    static int  (*real)(void *, unsigned char *, size_t *, size_t);

    if (real == NULL) {
        real = next("EVP_MAC_final");
    }

    shared->macs++;

    return real(ctx, out, outl, outsize);
}


int
CRYPTO_memcmp(const void *a, const void *b, size_t len)
{
    static int  (*real)(const void *, const void *, size_t);

    if (real == NULL) {
        real = next("CRYPTO_memcmp");
    }

    if (len == 32) {
        shared->compares++;
    }

    return real(a, b, len);
}
