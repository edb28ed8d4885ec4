/* cpu.h - what the files of the CPU backend share: the open device, a packed weight, the table of
 * one vector level, and small conversions. Private to kernels/cpu/ and its tests.
 *
 * A level may leave an entry of its table empty: the reference form then does the work, so that a
 * level is complete from its first operation on. Forms run tasks on the threads that the engine
 * lends; a task never allocates, fails or waits. */
#ifndef CPU_H
#define CPU_H

#include "kernels/base/ox_mem.h"
#include "kernels/kn.h"
#include "kernels/kn_check.h"

#include <string.h>

enum { CPU_ROWS = 16 }; /* rows of a packed block: lanes of a zmm register */
enum { CPU_DRAWS = 8 }; /* ids drawn and not yet fetched */

/* One part in blocks of 16 rows. A block is one piece of memory, so that decode walks straight
 * through a weight: its scales, its zero points, then its 32-bit words transposed, [word][row %
 * 16]. A word holds 8 int4, 4 int8, 2 bf16 or f16, or 1 f32 of one row, as in the file; missing
 * rows are zero. One layout for every type, and packing is a transposition. A long row is cut into
 * runs of whole groups, each with its own scales in front of its words: the processor's prefetcher
 * gives up half the bandwidth where words go on for more than 6 KB (docs/PERF.md, CPU). */
struct cpu_mat {
    int64_t rows, cols, n_blocks;
    int64_t n_words; /* of one row: ceil(cols * bits / 32), padded to a whole group */
    int64_t group;   /* columns under one scale; cols when a row has only one */
    int64_t n_groups;
    enum kn_dtype dtype;
    bool scale_bf16;    /* else f32 */
    bool has_zero;      /* else 2^(bits-1) is the stored number that means 0 */
    const char *block;  /* of rows 0 to 15 */
    size_t block_bytes; /* from one block to the next: two parts of one shape take turns */
    int64_t run_groups, run_words; /* of a row, in one run; the last run may be shorter */
    size_t zero_at, words_at;      /* within a run: [run_groups][16], zero points f32 */
};

struct kn_weight {
    int n_parts;
    struct kn_part part[KN_PARTS]; /* file form: the reference reads it in place */
    struct cpu_mat mat[KN_PARTS];  /* vector levels */
    struct cpu_slab *slab;         /* owns what mat points to */
    size_t n_bytes;
};

/* Packed weights stand side by side in slabs, in the order they were packed, which is the order a
 * step reads them: large pages need large pieces, and one weight's end is the next one's start. */
struct cpu_slab {
    char *mem;
    size_t used, cap;
    int n_users;
};

/* One vector level. NULL entries: the reference form. */
struct cpu_level {
    const char *name;
    bool (*is_supported)(void);
    int (*pack)(kn_dev *dev, kn_weight *w, ox_err *err);
    int (*embed)(kn_dev *dev, kn_in out, const kn_weight *table, const int32_t *tok, ox_err *err);
    int (*linear)(kn_dev *dev, const struct kn_linear *l, ox_err *err);
    int (*gdn)(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
    int (*attn)(kn_dev *dev, const struct kn_attn *a, ox_err *err);
};

struct kn_dev {
    const struct kn_host *host; /* NULL: the caller's thread alone */
    const struct cpu_level *level;
    bool f32_act, in_step;
    struct kn_step step;
    struct cpu_run *runs;  /* cpu_pages.c */
    struct cpu_slab *slab; /* that weights are being packed into */
    void *scratch;         /* grows to the largest operation and stays */
    size_t scratch_bytes;
    int32_t last_tok; /* what `sample` drew last */
    int32_t draw[CPU_DRAWS];
    int n_draws, first_draw;
    bool stop_drawn, is_skipping; /* a step queued behind a stop id changes nothing */
};

int cpu_threads(const kn_dev *dev);
void cpu_parallel(kn_dev *dev, int n, void (*task)(void *arg, int i), void *arg);

/* At least `bytes` of 64-byte aligned memory until the next call; contents are left over. */
int cpu_scratch(kn_dev *dev, size_t bytes, void **out, ox_err *err);

/* Zeroed, 64-byte aligned memory for a weight. Its slab goes with the last weight in it. */
int cpu_slab_take(kn_dev *dev, size_t bytes, struct cpu_slab **slab, char **out, ox_err *err);
void cpu_slab_drop(kn_dev *dev, struct cpu_slab *slab); /* NULL is fine */

/* Zeroed, 64-byte aligned device memory; NULL and OX_ENOMEM. Release takes NULL, too. */
void *cpu_page_alloc(kn_dev *dev, size_t bytes, ox_err *err);
void cpu_page_release(kn_dev *dev, void *mem);

static inline const char *cpu_block(const struct cpu_mat *m, int64_t b) {
    return m->block + (size_t)b * m->block_bytes;
}
static inline size_t cpu_run_bytes(const struct cpu_mat *m) {
    return m->words_at + (size_t)(m->run_words * CPU_ROWS) * 4;
}
/* Word w of the 16 rows of block b; those behind it follow up to the end of the run. 32-bit
 * divisions: the long ones take as long as a line of weights. */
static inline const uint32_t *cpu_words(const struct cpu_mat *m, int64_t b, int64_t w) {
    size_t run = (uint32_t)w / (uint32_t)m->run_words;
    return (const void *)(cpu_block(m, b) + (run + 1) * m->words_at + (size_t)(w * CPU_ROWS) * 4);
}
/* The 16 scales, bf16 or f32, and the 16 zero points of group g. */
static inline const void *cpu_scales(const struct cpu_mat *m, int64_t b, int64_t g) {
    size_t run = (uint32_t)g / (uint32_t)m->run_groups,
           in_run = (uint32_t)g % (uint32_t)m->run_groups;
    return cpu_block(m, b) + run * cpu_run_bytes(m) + in_run * CPU_ROWS * (m->scale_bf16 ? 2 : 4);
}
static inline const float *cpu_zeros(const struct cpu_mat *m, int64_t b, int64_t g) {
    size_t run = (uint32_t)g / (uint32_t)m->run_groups,
           in_run = (uint32_t)g % (uint32_t)m->run_groups;
    return (const float *)(const void *)(cpu_block(m, b) + run * cpu_run_bytes(m) + m->zero_at) +
           in_run * CPU_ROWS;
}

/* Part i of n of the range [0, total) in units of `unit`; the last may be short or empty. */
static inline void cpu_span(int64_t total, int64_t unit, int n, int i, int64_t *from, int64_t *to) {
    int64_t units = (total + unit - 1) / unit;
    int64_t a = units * i / n * unit, b = units * (i + 1) / n * unit;
    *from = a < total ? a : total;
    *to = b < total ? b : total;
}

/* Pages of a step: the row of absolute position `pos` lies in block `which` (0 K, 1 V) of a KV
 * head. */
static inline char *cpu_kv_block(const kn_dev *dev, const struct kn_attn *a, int64_t page, int head,
                                 int which) {
    size_t block = kn_kv_block_bytes(a->kv, a->q.cols / a->n_heads);
    return (char *)dev->step.pages[page] + a->page_offset + (size_t)(2 * head + which) * block;
}

/* ---- conversions ---- */
static inline float cpu_from_bf16(uint16_t b) {
    uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}
/* Nearest even; NaN stays NaN. */
static inline uint16_t cpu_to_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}
static inline float cpu_from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exp = (h >> 10) & 31u, man = h & 0x3ffu, u;
    if (exp == 31) {
        u = sign | 0x7f800000u | man << 13;
    } else if (exp) {
        u = sign | (exp + 112) << 23 | man << 13;
    } else { /* zero or subnormal: man * 2^-24 is exact in f32 */
        float f = (float)man * 5.9604644775390625e-8f;
        memcpy(&u, &f, sizeof u);
        u |= sign;
    }
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

#endif
