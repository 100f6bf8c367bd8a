/*
 * What is called more often than all else: compiled without sanitizers.
 */


#include "core.h"


typedef struct {
    uint8_t  bytes[16];
} __attribute__((packed, may_alias)) chunk_t;


void __wrap___sanitizer_cov_trace_pc(void);
void *__wrap_memcpy(void *to, const void *from, size_t n);


/*
 * Of the harness and of jansson, which copies texts byte by byte: what is
 * compiled with AddressSanitizer has a memcpy() of its own.
 */

__attribute__((no_builtin("memcpy")))
void *
__wrap_memcpy(void *to, const void *from, size_t n)
{
    uint8_t        *p = to;
    const uint8_t  *q = from;

    for ( /* void */ ; n >= sizeof(chunk_t); n -= sizeof(chunk_t)) {
        *(chunk_t *) p = *(const chunk_t *) q;
        p += sizeof(chunk_t);
        q += sizeof(chunk_t);
    }

    while (n--) {
        *p++ = *q++;
    }

    return to;
}


/* each edge of the module's code calls this */

void
__wrap___sanitizer_cov_trace_pc(void)
{
    core.edges++;
}
