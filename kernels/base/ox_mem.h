/* ox_mem.h - the only place that calls malloc. Checked products, zeroed memory, an error that says
 * what the bytes were for, and a hook that makes the n-th allocation fail so that tests can walk
 * every failure path. Any thread. */
#ifndef OX_MEM_H
#define OX_MEM_H

#include "kernels/base/ox_err.h"

#include <stddef.h>
#include <stdint.h>

/* n * size zeroed bytes, owned by the caller, freed with ox_free. n or size 0 gives a valid pointer.
 * NULL and OX_ENOMEM in err when the product overflows or memory is short; `purpose` is named. */
void *ox_alloc(size_t n, size_t size, const char *purpose, ox_err *err);

/* The same, aligned to 64 bytes (a cache line, a zmm register); from 2 MiB on to 2 MiB, and on
 * large pages where the system has them. Freed with ox_free. */
void *ox_alloc64(size_t n, size_t size, const char *purpose, ox_err *err);

/* The same in bytes, not zeroed and not touched: for a pool that is handed out piece by piece, so
 * that a large page is resident only from its first piece on. The taker zeroes. */
void *ox_reserve64(size_t bytes, const char *purpose, ox_err *err);

/* Makes room for at least `want` elements of `size` bytes in the array *p (type T **, passed as
 * void *), growing *cap by half at least. New bytes are not zeroed. On OX_ENOMEM nothing changed. */
int ox_grow(void *p, size_t *cap, size_t want, size_t size, ox_err *err);

char *ox_strdup(const char *s, const char *purpose, ox_err *err);
char *ox_memdup(const void *s, size_t n, const char *purpose, ox_err *err); /* adds a zero byte */
void ox_free(void *p); /* NULL is fine */

/* Arena: many small things with one lifetime. {0} is valid and empty. */
struct ox_arena {
    struct ox_arena_block *last;
    size_t n_bytes; /* handed out so far */
};
void *ox_arena_alloc(struct ox_arena *a, size_t n, size_t size, const char *purpose, ox_err *err);
char *ox_arena_strdup(struct ox_arena *a, const char *s, size_t n, ox_err *err);
void ox_arena_deinit(struct ox_arena *a);

/* Test hook: the n-th allocation from now on fails (1 = the next); 0 turns it off. Returns the
 * number of allocations since the last call, so that a test can count those of the token loop. */
uint64_t ox_mem_fail_at(uint64_t n);

#endif
