/*
 * What the module finds of nginx in the harness.
 */


#include "core.h"

#include <openssl/rand.h>


#define LOG_MAX  (256 * 1024)


core_t                 core;
ngx_log_t              core_log = { .log_level = NGX_LOG_DEBUG };

str_t                  core_file;

char                   core_lines[LOG_MAX];
size_t                 core_nlines;

ngx_uint_t             ngx_pagesize = 4096;
ngx_uint_t             ngx_cacheline_size = 64;
ngx_module_t           ngx_http_core_module;
ngx_module_t           ngx_http_jelou_module;

static ngx_cycle_t     core_cycle = { .log = &core_log };
volatile ngx_cycle_t  *ngx_cycle = &core_cycle;

/* a timer is set, but there is nobody whom it would wake */

static ngx_rbtree_node_t  core_sentinel;
ngx_rbtree_t              ngx_event_timer_rbtree = {
    &core_sentinel, &core_sentinel, ngx_rbtree_insert_timer_value
};


static uint64_t        core_random;


const char *__asan_default_options(void);
int __wrap_RAND_bytes(unsigned char *buf, int num);


/*
 * What the module has is in heap.c: what is freed of libFuzzer's own memory
 * need not be kept for long.
 */

const char *
__asan_default_options(void)
{
    return "quarantine_size_mb=4:malloc_context_size=4";
}


void
core_reset(size_t fail)
{
    ngx_memzero(&core, sizeof(core_t));

    core.fail = fail;
    core_nlines = 0;
    core_random = 1;
}


/* Each call has other bytes, and a run that is repeated has the same ones. */

int
__wrap_RAND_bytes(unsigned char *buf, int num)
{
    if (++core.calls == core.fail) {
        return 0;
    }

    for (int i = 0; i < num; i++) {
        buf[i] = (unsigned char) random_next(&core_random);
    }

    return 1;
}


u_char *
core_copy(str_t text)
{
    u_char  *p;

    p = malloc(text.len ? text.len : 1);
    require(p, "malloc() failed");

    ngx_memcpy(p, text.data, text.len);

    return p;
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;

    core.calls++;
    core.bytes += size;

    if (core.calls == core.fail) {
        return NULL;
    }

    /* nginx's own memory is not zeroed either */

    return malloc(size);
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    void  *p;

    p = ngx_alloc(size, log);

    if (p) {
        ngx_memzero(p, size);
    }

    return p;
}


#if (NGX_HAVE_POSIX_MEMALIGN || NGX_HAVE_MEMALIGN)

void *
ngx_memalign(size_t alignment, size_t size, ngx_log_t *log)
{
    (void) log;

    core.calls++;
    core.bytes += size;

    require(alignment <= 16, "an alignment of %zu", alignment);

    return core.calls == core.fail ? NULL : malloc(size);
}

#endif


static void
keep_line(ngx_uint_t level, const char *fmt, va_list args)
{
    u_char  *p, *last;

    p = (u_char *) core_lines + core_nlines;
    last = (u_char *) core_lines + LOG_MAX - 1;

    p = ngx_slprintf(p, last, "%ui: ", level);
    p = ngx_vslprintf(p, last, fmt, args);

    require(p < last, "the log is too long");

    *p++ = '\n';
    core_nlines = (size_t) (p - (u_char *) core_lines);
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    va_list  args;

    (void) log;
    (void) err;

    va_start(args, fmt);
    keep_line(level, fmt, args);
    va_end(args);
}


void ngx_cdecl
ngx_conf_log_error(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
    const char *fmt, ...)
{
    va_list  args;

    (void) cf;
    (void) err;

    va_start(args, fmt);
    keep_line(level, fmt, args);
    va_end(args);
}


/* The harness names files absolutely. */

ngx_int_t
ngx_conf_full_name(ngx_cycle_t *cycle, ngx_str_t *name, ngx_uint_t conf_prefix)
{
    (void) cycle;
    (void) conf_prefix;

    return name->len && name->data[0] == '/' ? NGX_OK : NGX_ERROR;
}


ssize_t
ngx_read_file(ngx_file_t *file, u_char *buf, size_t size, off_t offset)
{
    ssize_t  n;

    if (file->fd == CORE_FILE) {

        if (offset < 0 || (size_t) offset > core_file.len) {
            return 0;
        }

        size = ngx_min(size, core_file.len - (size_t) offset);
        ngx_memcpy(buf, core_file.data + offset, size);

        return (ssize_t) size;
    }

    n = pread(file->fd, buf, size, offset);

    return n == -1 ? NGX_ERROR : n;
}


/* Values with variables need a whole nginx: nothing here has one. */

ngx_int_t
ngx_http_complex_value(ngx_http_request_t *r, ngx_http_complex_value_t *val,
    ngx_str_t *value)
{
    (void) r;
    (void) val;
    (void) value;

    fault("a value with variables is asked for");
}


ngx_int_t
ngx_http_compile_complex_value(ngx_http_compile_complex_value_t *ccv)
{
    (void) ccv;

    fault("a value with variables is compiled");
}


ngx_uint_t
ngx_http_script_variables_count(ngx_str_t *value)
{
    (void) value;

    return 0;
}
