/*
 * What the module's code calls on each edge and at each comparison.  Compiled
 * without sanitizers: it runs more often than all else.
 */


#include "core.h"


void __wrap___sanitizer_cov_trace_pc(void);


void
__wrap___sanitizer_cov_trace_pc(void)
{
    core.edges++;
}


/*
 * libFuzzer puts what is compared into the next inputs.  It is told by the
 * first of the checks of an input; what it would be told by the others is the
 * same, and costs as much as all that they do.
 */

#define compared(name, type)                                                  \
                                                                              \
void __real___sanitizer_cov_trace_##name(type, type);                         \
void __wrap___sanitizer_cov_trace_##name(type, type);                         \
                                                                              \
void                                                                          \
__wrap___sanitizer_cov_trace_##name(type one, type two)                       \
{                                                                             \
    if (core.compare) {                                                       \
        __real___sanitizer_cov_trace_##name(one, two);                        \
    }                                                                         \
}

compared(cmp1, uint8_t)
compared(cmp2, uint16_t)
compared(cmp4, uint32_t)
compared(cmp8, uint64_t)
compared(const_cmp1, uint8_t)
compared(const_cmp2, uint16_t)
compared(const_cmp4, uint32_t)
compared(const_cmp8, uint64_t)
