/*
 * Memory that AddressSanitizer watches.
 *
 * A block has the size that was asked for and not a byte more, and around it
 * is memory that nobody may touch.  One that was freed is not given again
 * before all blocks of its region have been freed and the other regions have
 * been filled.
 *
 * This file is compiled without AddressSanitizer: it writes where others must
 * not.
 */


#include "heap.h"
#include "tree.h"

#include <string.h>
#include <sys/mman.h>

#include <openssl/crypto.h>


#define REGIONS   3
#define REGION    ((size_t) 32 * 1024 * 1024)
#define FILLED    ((size_t) 64 * 1024)       /* then the next one follows */

#define LEAST     16                         /* bytes between two blocks */
#define MOST      2048

#define PATTERN   0xbe                       /* what is in a new block */
#define PATTERNS  4096                       /* or in its first bytes */

#define LIVE      0x6c6976656c697665ULL
#define FREED     0x6672656564667265ULL

#define OPENSSL   ((size_t) 32 * 1024 * 1024)
#define SMALL     16                         /* the least of OpenSSL's blocks */
#define CLASSES   16                         /* of it, each twice as large */

#define GROWN     16                         /* times that these were more */


typedef struct block_s  block_t;

struct block_s {
    size_t    size;              /* of OpenSSL's: the class */

    union {
        uint64_t    state;
        block_t    *next;
    } u;
};


/* nobody's in a program without AddressSanitizer */

void __asan_poison_memory_region(void const volatile *p, size_t size)
    __attribute__((weak));
void __asan_unpoison_memory_region(void const volatile *p, size_t size)
    __attribute__((weak));


/* the last one is filled first, and has what is kept */

static uint8_t   *regions[REGIONS + 1];
static size_t     region = REGIONS;
static size_t     used;
static size_t     live;
static size_t     kept;

static uint8_t   *openssl;
static size_t     openssl_used;
static block_t   *unused[CLASSES];           /* blocks for OpenSSL */
static size_t     openssl_live;
static size_t     openssl_most;
static size_t     openssl_grown;


static uint8_t *
map(size_t size)
{
    void  *p;

    p = mmap(NULL, size, PROT_READ|PROT_WRITE,
             MAP_ANONYMOUS|MAP_PRIVATE|MAP_NORESERVE, -1, 0);

    require(p != MAP_FAILED, "mmap() failed");

    return p;
}


static void
forbid(void *p, size_t size)
{
    if (__asan_poison_memory_region) {
        __asan_poison_memory_region(p, size);
    }
}


static void
permit(void *p, size_t size)
{
    if (__asan_unpoison_memory_region) {
        __asan_unpoison_memory_region(p, size);
    }
}


static void
next_region(void)
{
    region = (region + 1) % REGIONS;
    used = 0;
}


void *
heap_malloc(size_t size)
{
    size_t    gap;
    uint8_t  *p;
    block_t  *block;

    if (regions[region] == NULL) {
        regions[region] = map(REGION);
        forbid(regions[region], REGION);
    }

    /* the larger the block is, the farther is who misses it */

    gap = LEAST + size / 2;
    gap = (gap < MOST ? gap : MOST) & ~(size_t) (LEAST - 1);

    require(size < REGION && used + gap + size + 2 * MOST < REGION,
            "the harness has no more memory");

    p = regions[region] + used + gap + sizeof(block_t);
    used += gap + sizeof(block_t) + ((size + LEAST - 1)
                                     & ~(size_t) (LEAST - 1));

    block = (block_t *) p - 1;
    block->size = size;
    block->u.state = LIVE;

    permit(p, size);
    memset(p, PATTERN, size < PATTERNS ? size : PATTERNS);

    live++;

    return p;
}


void *
heap_calloc(size_t n, size_t size)
{
    return memset(heap_malloc(n * size), 0, n * size);
}


void
heap_free(void *p)
{
    size_t    i;
    block_t  *block;
    uint8_t  *byte = p;

    if (p == NULL) {
        return;
    }

    for (i = 0; i <= REGIONS; i++) {
        if (regions[i] && byte > regions[i] && byte < regions[i] + REGION) {
            break;
        }
    }

    require(i <= REGIONS && (uintptr_t) p % LEAST == 0,
            "what is freed is no block");

    block = (block_t *) p - 1;

    require(block->u.state != FREED, "a block is freed twice");
    require(block->u.state == LIVE, "what is freed is no block");

    block->u.state = FREED;
    forbid(p, block->size);

    if (--live == kept && used > FILLED) {
        next_region();
    }
}


void
heap_keep(void)
{
    kept = live;
    next_region();
}


void
heap_check(void)
{
    require(live == kept, "%zu blocks are not freed", live - kept);

    /* OpenSSL keeps what it has needed for the first time */

    if (openssl_live > openssl_most) {
        openssl_most = openssl_live;
        require(openssl_grown++ < GROWN, "OpenSSL has more and more blocks");
    }
}


static void *
openssl_malloc(size_t size, const char *file, int line)
{
    size_t    class;
    block_t  *block;

    (void) file;
    (void) line;

    if (size == 0) {
        return NULL;
    }

    for (class = 0; (size_t) SMALL << class < size; class++) { }

    if (class < CLASSES && unused[class]) {
        block = unused[class];
        unused[class] = block->u.next;

    } else {
        if (openssl == NULL) {
            openssl = map(OPENSSL);
        }

        require(class < CLASSES
                && ((size_t) SMALL << class) + SMALL < OPENSSL - openssl_used,
                "the harness has no more memory for OpenSSL");

        block = (block_t *) (openssl + openssl_used);
        openssl_used += sizeof(block_t) + ((size_t) SMALL << class);
    }

    block->size = class;
    block->u.state = LIVE;

    openssl_live++;

    return block + 1;
}


static void
openssl_free(void *p, const char *file, int line)
{
    block_t  *block;

    (void) file;
    (void) line;

    if (p == NULL) {
        return;
    }

    block = (block_t *) p - 1;

    require(block->u.state == LIVE, "OpenSSL frees what is no block");

    openssl_live--;

    /* whoever uses it none the less is not to find what was there */

    memset(p, PATTERN, (size_t) SMALL << block->size);

    block->u.next = unused[block->size];
    unused[block->size] = block;
}


static void *
openssl_realloc(void *p, size_t size, const char *file, int line)
{
    void    *new;
    size_t   old;

    if (p == NULL || size == 0) {
        openssl_free(p, file, line);
        return openssl_malloc(size, file, line);
    }

    old = (size_t) SMALL << ((block_t *) p - 1)->size;

    new = openssl_malloc(size, file, line);
    memcpy(new, p, size < old ? size : old);

    openssl_free(p, file, line);

    return new;
}


void
heap_openssl(void)
{
    require(CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc,
                                     openssl_free),
            "OpenSSL has memory already");
}
