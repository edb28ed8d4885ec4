/* cpu_pages.c - device memory in pieces of one size, several to a run of large pages. A KV page of
 * a small model is less than one large page (1.3 of 2 MiB), and attention that reads it through
 * pages of 4 KB takes half as long again (docs/PERF.md, CPU). */
#include "kernels/cpu/cpu.h"

enum { LARGE_PAGE = 2 << 20, LEAST = 256 << 10, MAX_PIECES = 8 };

struct cpu_run {
    struct cpu_run *next;
    char *mem;
    size_t piece; /* bytes, a multiple of 64 */
    int n;
    bool is_used[MAX_PIECES];
};

static size_t run_bytes(size_t piece, int n) {
    return ((size_t)n * piece + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
}

/* The number of pieces that leaves least of the last large page over, per piece. */
static int best_count(size_t piece) {
    int best = 1;
    for (int n = 2; n <= MAX_PIECES; n++)
        if ((run_bytes(piece, n) - (size_t)n * piece) * (size_t)best <
            (run_bytes(piece, best) - (size_t)best * piece) * (size_t)n)
            best = n;
    return best;
}

static void *take(struct cpu_run *r) {
    for (int i = 0; i < r->n; i++)
        if (!r->is_used[i]) {
            r->is_used[i] = true;
            return memset(r->mem + (size_t)i * r->piece, 0, r->piece);
        }
    return NULL;
}

void *cpu_page_alloc(kn_dev *dev, size_t bytes, ox_err *err) {
    if (bytes < LEAST || bytes >= LARGE_PAGE) return ox_alloc64(bytes, 1, "device memory", err);
    size_t piece = (bytes + 63) / 64 * 64;
    for (struct cpu_run *r = dev->runs; r; r = r->next) {
        void *p = r->piece == piece ? take(r) : NULL;
        if (p) return p;
    }
    struct cpu_run *r = ox_alloc(1, sizeof *r, "device memory", err);
    if (!r) return NULL;
    r->piece = piece;
    r->n = best_count(piece);
    r->mem = ox_reserve64(run_bytes(piece, r->n), "device memory", err);
    if (!r->mem) {
        ox_free(r);
        return NULL;
    }
    r->next = dev->runs;
    dev->runs = r;
    return take(r);
}

static bool is_empty(const struct cpu_run *r) {
    for (int i = 0; i < r->n; i++)
        if (r->is_used[i]) return false;
    return true;
}

void cpu_page_release(kn_dev *dev, void *mem) {
    uintptr_t at = (uintptr_t)mem;
    for (struct cpu_run **link = &dev->runs; *link; link = &(*link)->next) {
        struct cpu_run *r = *link;
        uintptr_t from = (uintptr_t)r->mem;
        if (at < from || at >= from + (size_t)r->n * r->piece) continue;
        r->is_used[(at - from) / r->piece] = false;
        if (!is_empty(r)) return;
        *link = r->next;
        ox_free(r->mem);
        ox_free(r);
        return;
    }
    ox_free(mem);
}
