/*
 * Memory of the module and of the harness: the build script has this file
 * before all others, so that it stands in the place of malloc()'s.
 *
 * AddressSanitizer watches it, block by block, as it watches its own.  What is
 * saved is the stack that it keeps of each allocation, and that costs more
 * than all else that is done with a small block.
 */


#ifndef FUZZ_HEAP_H
#define FUZZ_HEAP_H


#include <stddef.h>
#include <stdlib.h>


void *heap_malloc(size_t size);
void *heap_calloc(size_t n, size_t size);
void heap_free(void *p);

/* What there is stays, and is no leak. */
void heap_keep(void);

/* Ends the program if there is anything besides. */
void heap_check(void);

/*
 * OpenSSL's own memory, which is not the module's to touch: called before
 * OpenSSL is.  AddressSanitizer does not watch it, but no block is freed
 * twice, and heap_check() looks that they do not become more and more.
 */
void heap_openssl(void);


#define malloc(size)     heap_malloc(size)
#define calloc(n, size)  heap_calloc(n, size)
#define free(p)          heap_free(p)


#endif
