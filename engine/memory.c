/* memory.c - see memory.h. */
#include "engine/memory.h"

#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PART_ALIGN = 256 }; /* a GPU loads wide; a CPU wants whole cache lines */

/* ---- activations ---------------------------------------------------------------------------- */

static int64_t max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Cuts a block into parts; with base NULL it only counts. Returns the bytes of all. */
static size_t cut_act(const struct ox_config *c, const struct kn_facts *facts, char *base,
                      struct act *a) {
    int64_t T = facts->chunk_tokens, Kd = (int64_t)c->n_k_heads * c->k_size,
            Vd = (int64_t)c->n_v_heads * c->v_size, Q = (int64_t)c->n_heads * c->head_size,
            KV = (int64_t)c->n_kv_heads * c->head_size;
    const struct {
        void **part;
        int64_t cols;
        enum kn_dtype type;
    } parts[] = {
        {&a->x, c->d, KN_F32},
        {&a->mixed, c->d, facts->act},
        {&a->q, max64(Kd, Q), facts->act},
        {&a->k, max64(Kd, KV), facts->act},
        {&a->v, max64(Vd, KV), facts->act},
        {&a->gate, Vd, facts->act},
        {&a->a, c->n_v_heads, KN_F32},
        {&a->b, c->n_v_heads, KN_F32},
        {&a->y, max64(Vd, Q), facts->act},
        {&a->ffn, c->f, facts->act},
    };
    size_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (base) *parts[i].part = base + at;
        at +=
            (kn_bytes(parts[i].type, T * parts[i].cols) + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN;
    }
    return at;
}

int act_open(const struct ox_config *c, const struct kn_backend *kn, kn_dev *dev,
             const struct kn_facts *facts, struct act *out, ox_err *err) {
    struct act a = {.kn = kn, .dev = dev, .type = facts->act, .max_rows = facts->chunk_tokens};
    int rc = kn->alloc(dev, KN_DEVICE, cut_act(c, facts, NULL, &a), &a.block, err);
    if (rc) return ox_err_wrap(err, rc, "allocate activations");
    cut_act(c, facts, a.block, &a);
    *out = a;
    return 0;
}

void act_close(struct act *a) {
    if (a->block) a->kn->release(a->dev, a->block);
    *a = (struct act){0};
}

/* ---- the plan ------------------------------------------------------------------------------- */

static void add_part(struct memory_plan *p, const char *name, uint64_t bytes) {
    p->part[p->n_parts++] = (struct memory_part){name, bytes};
    p->total += bytes;
}

void memory_plan_make(const struct ox_config *c, const struct cache_shape *s,
                      const struct kn_facts *facts, uint64_t weight_bytes, uint32_t max_tokens,
                      uint64_t limit, struct memory_plan *out) {
    struct act counted;
    uint64_t n_pages = ((uint64_t)max_tokens + KN_PAGE_TOKENS - 1) / KN_PAGE_TOKENS;
    *out = (struct memory_plan){.token_bytes = s->page_bytes / KN_PAGE_TOKENS,
                                .max_tokens = max_tokens};
    add_part(out, "weights", weight_bytes);
    add_part(out, "activations", cut_act(c, facts, NULL, &counted));
    /* The live record and the copy that undoes a cancelled chunk. */
    add_part(out, "live states", 2 * (uint64_t)s->record_bytes);
    add_part(out, "KV cache", n_pages * s->page_bytes);
    uint64_t left = !limit ? UINT64_MAX : limit > out->total ? limit - out->total : 0;
    uint64_t fit = left / s->record_bytes;
    /* Two are always asked for: the end of the system prompt and the last question. */
    out->n_snaps = fit < 2 ? 2 : fit < CACHE_SNAPS ? (int)fit : CACHE_SNAPS;
    add_part(out, "snapshots", (uint64_t)out->n_snaps * s->record_bytes);
}

static double mib(uint64_t bytes) {
    return (double)bytes / (1024.0 * 1024.0);
}

int memory_check(const struct memory_plan *p, uint64_t limit, ox_err *err) {
    if (!limit || p->total <= limit) return 0;
    char list[240] = "";
    size_t used = 0;
    for (int i = 0; i < p->n_parts && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s %.1f", i ? ", " : "",
                                 p->part[i].name, mib(p->part[i].bytes));
    ox_err_set(err, OX_EDEVICE, "needs %.1f MiB, %.1f are free (%s; context %u tokens)",
               mib(p->total), mib(limit), list, p->max_tokens);
    uint64_t over = p->total - limit,
             less = (over + p->token_bytes - 1) / (p->token_bytes ? p->token_bytes : 1);
    if (p->token_bytes && less + KN_PAGE_TOKENS < p->max_tokens)
        return ox_err_fix(
            err, "use --ctx %llu or less, or --kv int8",
            (unsigned long long)((p->max_tokens - less) / KN_PAGE_TOKENS * KN_PAGE_TOKENS));
    return ox_err_fix(err, "use a quantised model folder or another backend");
}

/* MemAvailable counts what the kernel could drop; without /proc, three quarters of all memory. */
uint64_t memory_host_available(void) {
    FILE *f = fopen("/proc/meminfo", "r");
    char line[128];
    unsigned long long kib = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) break;
    if (f) fclose(f);
    if (kib) return (uint64_t)kib * 1024;
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 4 * 3 : 0;
}
