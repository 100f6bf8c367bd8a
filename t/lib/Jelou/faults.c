/*
 * Loaded before nginx's libraries, for tests in which one call of a request
 * fails: an allocation, a call of OpenSSL's, a system call.  See Faults.pm.
 *
 * The C library's functions are replaced for all of nginx by their names.
 * nginx's own are in its binary, which comes first: there, the addresses are
 * changed that the loader has given to the module.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>


#define MEMORY  1    /* of the C library */
#define MODULE  2    /* what the module asks nginx for */
#define CRYPTO  4    /* what the module asks OpenSSL for */
#define SYSTEM  8
#define CONF    16   /* what it asks for when a configuration is read */
#define PAGES   32   /* the system's, for what is large */


#if (__x86_64__)
#define JUMP_SLOT  R_X86_64_JUMP_SLOT
#define GLOB_DAT   R_X86_64_GLOB_DAT

#elif (__aarch64__)
#define JUMP_SLOT  R_AARCH64_JUMP_SLOT
#define GLOB_DAT   R_AARCH64_GLOB_DAT
#endif


/* the same memory in all processes of nginx and, as a file, in the test */

typedef struct {
    int64_t   pid;        /* of the worker that is meant, or 0 */
    int64_t   kinds;
    int64_t   first;      /* call that fails, from 1 on, or 0 */
    int64_t   times;      /* how many calls fail from there on */
    int64_t   seen;       /* calls of these kinds */
    int64_t   failed;
    int64_t   live;       /* blocks that were allocated and not freed */
    int64_t   redirected; /* functions of the module's */
    char      name[32];   /* of the first that has failed */
} shared_t;


static shared_t   nothing;
static shared_t  *shared = &nothing;


/* what the C library has under other names, too, so that nobody looks it up */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);


static void __attribute__((constructor))
start(void)
{
    int    fd;
    void  *p;

    fd = open(getenv("JELOU_FAULTS"), O_RDWR);

    if (fd == -1) {
        abort();
    }

    p = mmap(NULL, sizeof(shared_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        abort();
    }

    close(fd);

    shared = p;
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


static int
here(void)
{
    return shared->pid != 0 && shared->pid == getpid();
}


/* whether this call is one that shall fail */

static int
fault(int kind, const char *name)
{
    int64_t  n;

    if (!here() || !(shared->kinds & kind)) {
        return 0;
    }

    n = ++shared->seen;

    if (shared->first == 0 || n < shared->first
        || n - shared->first >= shared->times)
    {
        return 0;
    }

    if (shared->failed++ == 0) {
        strncpy(shared->name, name, sizeof(shared->name) - 1);
    }

    return 1;
}


/* The C library's memory. */

static void *
counted(void *p)
{
    if (p && here()) {
        shared->live++;
    }

    return p;
}


static void *
refused(void)
{
    errno = ENOMEM;

    return NULL;
}


void *
malloc(size_t size)
{
    return fault(MEMORY, "malloc") ? refused() : counted(__libc_malloc(size));
}


void *
calloc(size_t n, size_t size)
{
    return fault(MEMORY, "calloc") ? refused()
                                   : counted(__libc_calloc(n, size));
}


void *
realloc(void *p, size_t size)
{
    void  *q;

    if (fault(MEMORY, "realloc")) {
        return refused();
    }

    q = __libc_realloc(p, size);

    return p ? q : counted(q);
}


void *
memalign(size_t alignment, size_t size)
{
    return fault(MEMORY, "memalign") ? refused()
                                     : counted(__libc_memalign(alignment,
                                                               size));
}


void *
aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}


int
posix_memalign(void **p, size_t alignment, size_t size)
{
    void  *q;

    if (fault(MEMORY, "posix_memalign")) {
        return ENOMEM;
    }

    q = counted(__libc_memalign(alignment, size));

    if (q == NULL) {
        return ENOMEM;
    }

    *p = q;

    return 0;
}


void
free(void *p)
{
    if (p && here()) {
        shared->live--;
    }

    __libc_free(p);
}


/*
 * System calls.  None has more than six arguments, nor one that is not passed
 * as an integer is.
 */

#define SYSTEM_CALL(name, error)                                              \
                                                                              \
    long name##_or_not(long a, long b, long c, long d, long e, long f)        \
        __asm__(#name);                                                       \
                                                                              \
    long                                                                      \
    name##_or_not(long a, long b, long c, long d, long e, long f)             \
    {                                                                         \
        static long  (*real)(long, long, long, long, long, long);             \
                                                                              \
        if (real == NULL) {                                                   \
            real = next(#name);                                               \
        }                                                                     \
                                                                              \
        if (fault(SYSTEM, #name)) {                                           \
            errno = error;                                                    \
            return -1;                                                        \
        }                                                                     \
                                                                              \
        return real(a, b, c, d, e, f);                                        \
    }


SYSTEM_CALL(open64, EMFILE)
SYSTEM_CALL(pwrite64, ENOSPC)
SYSTEM_CALL(pwritev64, ENOSPC)
SYSTEM_CALL(pread64, EIO)
SYSTEM_CALL(socket, EMFILE)
SYSTEM_CALL(connect, EADDRNOTAVAIL)
SYSTEM_CALL(epoll_ctl, ENOMEM)
SYSTEM_CALL(ioctl, ENOMEM)
SYSTEM_CALL(getsockopt, ENOBUFS)
SYSTEM_CALL(setsockopt, ENOBUFS)
SYSTEM_CALL(recv, ECONNRESET)
SYSTEM_CALL(readv, ECONNRESET)
SYSTEM_CALL(send, EPIPE)
SYSTEM_CALL(writev, EPIPE)
SYSTEM_CALL(sendfile64, EIO)


/* What the module calls. */

typedef void *(*function_pt)(void *, void *, void *, void *, void *, void *);

#define MODULE_CALL(kind, name, failure)                                      \
                                                                              \
    static function_pt  real_##name;                                          \
                                                                              \
    static void *                                                             \
    name##_or_not(void *a, void *b, void *c, void *d, void *e, void *f)       \
    {                                                                         \
        return fault(kind, #name) ? (void *) (intptr_t) failure               \
                                  : real_##name(a, b, c, d, e, f);            \
    }

/* yajl does not look at what it gets: it is its allocator that fails. */

static void *
too_much(void *funcs)
{
    struct {
        void  *(*malloc)(void *, size_t);
        void  *(*realloc)(void *, void *, size_t);
        void   (*free)(void *, void *);
        void   *data;
    } *f = funcs;

    f->malloc(f->data, SIZE_MAX / 2);

    abort();
}

#define MODULE_CALLS(call)                                                    \
    call(MODULE, ngx_alloc, 0)                                                \
    call(MODULE, ngx_palloc, 0)                                               \
    call(MODULE, ngx_pnalloc, 0)                                              \
    call(MODULE, ngx_pcalloc, 0)                                              \
    call(MODULE, ngx_list_create, 0)                                          \
    call(MODULE, ngx_list_push, 0)                                            \
    call(MODULE, ngx_array_push, 0)                                           \
    call(MODULE, ngx_pool_cleanup_add, 0)                                     \
    call(MODULE, ngx_slab_alloc_locked, 0)                                    \
    call(MODULE, ngx_alloc_chain_link, 0)                                     \
    call(MODULE, ngx_output_chain, -1)                                        \
    call(MODULE, ngx_handle_read_event, -1)                                   \
    call(MODULE, ngx_handle_write_event, -1)                                  \
    call(MODULE, ngx_http_upstream_create, -1)                                \
    call(MODULE, ngx_http_get_flushed_variable, 0)                            \
    call(MODULE, ngx_http_complex_value, -1)                                  \
    call(MODULE, ngx_read_file, -1)                                           \
    call(MODULE, yajl_alloc, too_much(b))                                     \
    call(CRYPTO, EVP_MAC_CTX_dup, 0)                                          \
    call(CRYPTO, EVP_MAC_init, 0)                                             \
    call(CRYPTO, EVP_MAC_update, 0)                                           \
    call(CRYPTO, EVP_MAC_final, 0)                                            \
    call(CRYPTO, EVP_DigestInit_ex2, 0)                                       \
    call(CRYPTO, EVP_DigestUpdate, 0)                                         \
    call(CRYPTO, EVP_DigestFinal_ex, 0)                                       \
    call(CRYPTO, RAND_bytes, 0)                                               \
    call(CONF, ngx_array_create, 0)                                           \
    call(CONF, ngx_pstrdup, 0)                                                \
    call(CONF, ngx_conf_full_name, -1)                                        \
    call(CONF, ngx_shared_memory_add, 0)                                      \
    call(CONF, ngx_slab_calloc, 0)                                            \
    call(CONF, ngx_http_add_variable, 0)                                      \
    call(CONF, ngx_http_get_variable_index, -1)                               \
    call(CONF, ngx_http_compile_complex_value, -1)                            \
    call(CONF, ngx_http_upstream_add, 0)                                      \
    call(CONF, redisFormatCommandArgv, -1)                                    \
    call(CONF, EVP_MAC_fetch, 0)                                              \
    call(CONF, EVP_MAC_CTX_new, 0)                                            \
    call(CONF, fstat, -1)                                                     \
    call(CONF, fstat64, -1)                                                   \
    call(CONF, close, -1)

MODULE_CALLS(MODULE_CALL)


/* pages are blocks as well */

static function_pt  real_mmap64, real_munmap;


static void *
mmap64_or_not(void *a, void *b, void *c, void *d, void *e, void *f)
{
    void  *p;

    if (fault(MODULE | PAGES, "mmap64")) {
        errno = ENOMEM;
        return MAP_FAILED;
    }

    p = real_mmap64(a, b, c, d, e, f);

    return p == MAP_FAILED ? p : counted(p);
}


static void *
munmap_or_not(void *a, void *b, void *c, void *d, void *e, void *f)
{
    if (fault(PAGES, "munmap")) {
        errno = EINVAL;
        return (void *) -1;
    }

    if (here()) {
        shared->live--;
    }

    return real_munmap(a, b, c, d, e, f);
}


#define MODULE_NAME(kind, name, failure)                                      \
    { #name, name##_or_not, &real_##name },

static struct {
    const char   *name;
    function_pt   ours;
    function_pt  *real;
} calls[] = {
    MODULE_CALLS(MODULE_NAME)
    MODULE_NAME(MODULE, mmap64, -1)
    MODULE_NAME(MODULE, munmap, -1)
    { NULL, NULL, NULL }
};


static void
redirect(function_pt *slot, const char *name)
{
    int    i;
    long   page;
    void  *from;

    page = sysconf(_SC_PAGESIZE);

    for (i = 0; calls[i].name; i++) {

        if (strcmp(calls[i].name, name) != 0 || *slot == calls[i].ours) {
            continue;
        }

        /* the loader has made them read-only */

        from = (void *) ((uintptr_t) slot & ~((uintptr_t) page - 1));

        if (mprotect(from, page, PROT_READ|PROT_WRITE) == -1) {
            abort();
        }

        *calls[i].real = *slot;
        *slot = calls[i].ours;

        shared->redirected++;
    }
}


static void
redirect_all(struct link_map *map)
{
    size_t       i, n[2] = { 0, 0 };
    Elf64_Dyn   *dyn;
    Elf64_Sym   *symbols;
    Elf64_Rela  *rela[2] = { NULL, NULL }, *r, *last;
    const char  *strings;

    symbols = NULL;
    strings = NULL;

    for (dyn = map->l_ld; dyn->d_tag != DT_NULL; dyn++) {

        switch (dyn->d_tag) {
        case DT_SYMTAB:   symbols = (void *) dyn->d_un.d_ptr;  break;
        case DT_STRTAB:   strings = (void *) dyn->d_un.d_ptr;  break;
        case DT_RELA:     rela[0] = (void *) dyn->d_un.d_ptr;  break;
        case DT_RELASZ:   n[0] = dyn->d_un.d_val;              break;
        case DT_JMPREL:   rela[1] = (void *) dyn->d_un.d_ptr;  break;
        case DT_PLTRELSZ: n[1] = dyn->d_un.d_val;              break;
        }
    }

    for (i = 0; i < 2; i++) {
        last = rela[i] + n[i] / sizeof(Elf64_Rela);

        for (r = rela[i]; r < last; r++) {

            if (ELF64_R_TYPE(r->r_info) == JUMP_SLOT
                || ELF64_R_TYPE(r->r_info) == GLOB_DAT)
            {
                redirect((function_pt *) (map->l_addr + r->r_offset),
                         strings + symbols[ELF64_R_SYM(r->r_info)].st_name);
            }
        }
    }
}


void *
dlopen(const char *file, int mode)
{
    void         *handle;
    static void  *(*real)(const char *, int);

    if (real == NULL) {
        real = next("dlopen");
    }

    handle = real(file, mode);

    if (handle && file && strstr(file, "ngx_http_jelou_module")) {
        redirect_all(handle);
    }

    return handle;
}
