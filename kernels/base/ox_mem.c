/* ox_mem.c - see ox_mem.h. Apart, so that "which allocation failed" has one answer. */
#include "kernels/base/ox_mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Atomic uint64_t n_calls; /* allocations since the hook was last set */
static _Atomic uint64_t fail_at; /* 0: never */

uint64_t ox_mem_fail_at(uint64_t n) {
    atomic_store(&fail_at, n);
    return atomic_exchange(&n_calls, 0);
}

static int is_refused(void) {
    uint64_t i = atomic_fetch_add(&n_calls, 1) + 1;
    return i == atomic_load_explicit(&fail_at, memory_order_relaxed);
}

static int no_memory(ox_err *err, size_t n, size_t size, const char *purpose) {
    ox_err_set(err, OX_ENOMEM, "no memory for %s (%zu x %zu bytes)", purpose, n, size);
    ox_err_fix(err, "close other programs, or use a smaller --ctx or model");
    return OX_ENOMEM;
}

void *ox_alloc(size_t n, size_t size, const char *purpose, ox_err *err) {
    void *p = NULL;
    if (!is_refused() && (size == 0 || n <= SIZE_MAX / size))
        p = calloc(n ? n : 1, size ? size : 1);
    if (!p) no_memory(err, n, size, purpose);
    return p;
}

/* Weights and states are streamed: with pages of 4 KB every page costs a walk of the tables, twice
 * as long in a virtual machine, and stops the prefetchers of the hardware. */
enum { LARGE_PAGE = 2 << 20 };

/* NULL too when n * size overflows. *bytes is what stands behind the pointer. */
static void *aligned(size_t n, size_t size, size_t *bytes) {
    void *p = NULL;
    if (!is_refused() && (size == 0 || n <= (SIZE_MAX - 64) / size)) {
        size_t want = (n * size + 63) & ~(size_t)63, align = 64;
        if (want == 0) want = 64;
        if (want >= LARGE_PAGE) align = LARGE_PAGE;
        if (posix_memalign(&p, align, want)) p = NULL; /* aligned_alloc wants whole multiples */
#ifdef MADV_HUGEPAGE
        if (p && align == LARGE_PAGE)
            (void)madvise(p, want & ~(size_t)(LARGE_PAGE - 1), MADV_HUGEPAGE);
#endif
        *bytes = want;
    }
    return p;
}

void *ox_alloc64(size_t n, size_t size, const char *purpose, ox_err *err) {
    size_t bytes;
    void *p = aligned(n, size, &bytes);
    if (p)
        memset(p, 0, bytes);
    else
        no_memory(err, n, size, purpose);
    return p;
}

void *ox_reserve64(size_t bytes, const char *purpose, ox_err *err) {
    void *p = aligned(bytes, 1, &(size_t){0});
    if (!p) no_memory(err, bytes, 1, purpose);
    return p;
}

int ox_grow(void *p, size_t *cap, size_t want, size_t size, ox_err *err) {
    if (want <= *cap) return 0;
    size_t n = *cap + *cap / 2;
    if (n < want) n = want;
    if (n < 8) n = 8;
    if (size && n > SIZE_MAX / size) return no_memory(err, n, size, "a growing list");
    void *old;
    memcpy(&old, p, sizeof old); /* p is a T **; copying keeps the aliasing rules */
    void *grown = is_refused() ? NULL : realloc(old, n * size);
    if (!grown) return no_memory(err, n, size, "a growing list");
    memcpy(p, &grown, sizeof grown);
    *cap = n;
    return 0;
}

char *ox_memdup(const void *s, size_t n, const char *purpose, ox_err *err) {
    char *p = n < SIZE_MAX ? ox_alloc(n + 1, 1, purpose, err) : NULL;
    if (p && n) memcpy(p, s, n);
    return p;
}

char *ox_strdup(const char *s, const char *purpose, ox_err *err) {
    return ox_memdup(s, strlen(s), purpose, err);
}

void ox_free(void *p) {
    free(p);
}

struct ox_arena_block {
    struct ox_arena_block *before;
    size_t used, cap;
    max_align_t data[];
};

void *ox_arena_alloc(struct ox_arena *a, size_t n, size_t size, const char *purpose, ox_err *err) {
    enum { BLOCK_BYTES = 1 << 16 };
    if (size && n > (SIZE_MAX / 2) / size) {
        no_memory(err, n, size, purpose);
        return NULL;
    }
    size_t bytes = (n * size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!a->last || a->last->cap - a->last->used < bytes) {
        size_t cap = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        struct ox_arena_block *b = ox_alloc(1, sizeof *b + cap, purpose, err);
        if (!b) return NULL;
        b->before = a->last;
        b->cap = cap;
        a->last = b;
    }
    char *p = (char *)a->last->data + a->last->used;
    a->last->used += bytes;
    a->n_bytes += bytes;
    return p;
}

char *ox_arena_strdup(struct ox_arena *a, const char *s, size_t n, ox_err *err) {
    if (n == SIZE_MAX) return NULL;
    char *p = ox_arena_alloc(a, n + 1, 1, "a name", err);
    if (p && n) memcpy(p, s, n);
    return p;
}

void ox_arena_deinit(struct ox_arena *a) {
    for (struct ox_arena_block *b = a->last, *before; b; b = before) {
        before = b->before;
        ox_free(b);
    }
    *a = (struct ox_arena){0};
}
