/*
 * What the module finds of nginx in the harness: nginx's own pools, strings,
 * lists and trees, over an allocator that counts and can fail, and a log that
 * is kept.
 */


#ifndef FUZZ_CORE_H
#define FUZZ_CORE_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "tree.h"


typedef struct {
    size_t     bytes;         /* asked for */
    size_t     calls;         /* that may fail: for memory, randomness */
    size_t     fail;          /* the one that fails, from 1, or 0 */
} core_t;

extern core_t     core;
extern ngx_log_t  core_log;

/* What is read of the file that has this number: it takes no system call. */
#define CORE_FILE  1000000
extern str_t      core_file;

/* The lines that were logged, each "LEVEL: TEXT\n". */
extern char       core_lines[];
extern size_t     core_nlines;


/* Forgets what was counted and logged, and lets the fail-th call fail. */
void core_reset(size_t fail);

/* How many pieces of the module's code were run since the last call. */
uint64_t core_steps(void);

/* A copy of the text that ends where its memory does. */
u_char *core_copy(str_t text);

#define from_ngx(s)  ((str_t) { (s).data, (s).len })
#define to_ngx(s)    ((ngx_str_t) { (s).len, (u_char *) (s).data })


#endif
