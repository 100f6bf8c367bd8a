/*
 * What is called more often than all else: compiled without sanitizers.
 */


#include "core.h"


typedef struct {
    uint8_t  bytes[16];
} __attribute__((packed, may_alias)) chunk_t;


/* the linker knows where the counters are; a target may have none */

extern uint64_t  __start___llvm_prf_cnts[] __attribute__((weak));
extern uint64_t  __stop___llvm_prf_cnts[] __attribute__((weak));

/* instead of a runtime that would write a file */

int  __llvm_profile_runtime __attribute__((weak));

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


/*
 * How often the pieces of the module's code were run: the compiler counts, for
 * a profile that nobody writes.
 */

uint64_t
core_steps(void)
{
    uint64_t  n = 0;

    for (uint64_t *p = __start___llvm_prf_cnts; p < __stop___llvm_prf_cnts;
         p++)
    {
        n += *p;
        *p = 0;
    }

    return n;
}
