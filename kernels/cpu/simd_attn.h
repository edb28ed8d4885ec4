/* simd_attn.h - paged causal attention for one vector level, included once by each avx*_attn.c,
 * which brings the four functions on a block of 64 keys (below) in f32 or bf16.
 *
 * Keys are walked in blocks of 64 at absolute multiples with an online softmax; every 1,024 keys,
 * at absolute multiples again, the running sums are set aside and merged in rising order. A row's
 * result therefore depends on its own query and position only: decode may split the ranges over
 * threads, prefill walks them one after the other, and both give the same bits. */
#ifndef SIMD_ATTN_H
#define SIMD_ATTN_H

#include "kernels/cpu/cpu_fast.h"
#include "kernels/cpu/cpu_ref.h"
#include "kernels/cpu/simd.h"

#include <math.h>

enum {
    KEYS = 64,         /* a block; four of them are a page */
    RANGE_KEYS = 1024, /* under one set of running sums */
    TILE_TOKENS = 64,  /* tokens of a prefill task: they share each unpacked block */
    FEW_TOKENS = 8,    /* up to here ranges are tasks of their own */
    MAX_DH = 256
};

struct attn_job {
    kn_dev *dev;
    const struct kn_attn *a;
    int64_t T, N, Dh, Dp;    /* Dp: Dh rounded up to whole registers, zeros behind */
    int64_t n_ranges, group; /* group: query heads of a KV head */
    size_t q_bytes;          /* of one prepared query */
    char *q;                 /* [Hkv][T][group] prepared queries */
    float *part;             /* few tokens: [n_ranges][H*T rows] of part_floats */
    char *task;              /* [n_tasks] working memory of task_bytes */
    size_t task_bytes;
    int n_tasks, n_shares; /* shares: few tokens, one a thread */
};

/* Running sums of one row: y [Dp], then the maximum and the sum of the exponentials. */
static inline int64_t part_floats(const struct attn_job *j) {
    return j->Dp + VL;
}

/* ---- by the including file ----------------------------------------------------------------- */

/* Bytes of a prepared query, and of the K and V tiles together. */
static size_t query_bytes(int64_t Dp);
static size_t tile_bytes(int64_t Dp);
/* q [Dh] f32 normed, rotated and scaled. */
static void prepare_query(const float *q, int64_t Dh, int64_t Dp, void *out);
/* Rows [row, row + n) of a page's block into the tile; rows n..63 become zero. */
static void load_tile(const struct attn_job *j, const char *K, const char *V, int64_t row,
                      int64_t n, void *tile);
/* score[n][64] of n <= MAX_GROUP rows whose prepared queries stand q_bytes apart. ahead: stored
 * keys of the next block, to be asked for meanwhile; or NULL. */
static void score_tile(const struct attn_job *j, const char *q, const void *tile, int n,
                       float *score, const char *ahead);
/* y[i] += p[i] V for n rows; y stands part_floats apart. ahead: stored values of the next block. */
static void add_values(const struct attn_job *j, const float *p, const void *tile, int n, float *y,
                       const char *ahead);
enum { MAX_GROUP = 6 };

/* ---- rows ---------------------------------------------------------------------------------- */

static void rotate_heads(const struct kn_attn *a, float *z, int64_t n_heads, int64_t position) {
    int64_t Dh = a->q.cols / a->n_heads;
    for (int64_t h = 0; a->rope_theta > 0.0f && h < n_heads; h++)
        ref_rope(z + h * Dh, Dh, position, a->rope_theta);
}

static inline void store_row(char *block, enum kn_dtype kv, int64_t Dh, int64_t row,
                             const float *x) {
    ref_kv_store(block, kv, Dh, row, x);
}

/* Norms one token, appends its K and V, prepares its queries. work: H*Dh + Hkv*Dh floats. */
static void append_token(struct attn_job *j, int64_t t, float *work) {
    const struct kn_attn *a = j->a;
    int64_t nq = a->q.cols, nk = a->k.cols, Dh = j->Dh, pos = j->N + t;
    float *q = work, *k = work + nq;
    const float *v = (const float *)a->v.data + t * nk;
    simd_rms_norm((const float *)a->q.data + t * nq, a->q_norm.data, nq, a->eps, q);
    simd_rms_norm((const float *)a->k.data + t * nk, a->k_norm.data, nk, a->eps, k);
    rotate_heads(a, q, a->n_heads, pos);
    rotate_heads(a, k, a->n_kv_heads, pos);
    for (int64_t i = 0; i < nq; i += VL)
        vf_store_n(q + i, nq - i, vf_mul(vf_load_n(q + i, nq - i), vf_set(a->scale)));
    for (int h = 0; h < a->n_kv_heads; h++) {
        int64_t page = pos / KN_PAGE_TOKENS, row = pos % KN_PAGE_TOKENS;
        store_row(cpu_kv_block(j->dev, a, page, h, 0), a->kv, Dh, row, k + h * Dh);
        store_row(cpu_kv_block(j->dev, a, page, h, 1), a->kv, Dh, row, v + h * Dh);
    }
    for (int64_t h = 0; h < a->n_heads; h++) {
        int64_t at = (h / j->group * j->T + t) * j->group + h % j->group;
        prepare_query(q + h * Dh, Dh, j->Dp, j->q + (size_t)at * j->q_bytes);
    }
}

static void run_append(void *arg, int i) {
    struct attn_job *j = arg;
    int64_t from, to;
    cpu_span(j->T, 1, j->T < FEW_TOKENS ? 1 : j->n_tasks, i, &from, &to);
    for (int64_t t = from; t < to; t++)
        append_token(j, t, (void *)(j->task + (size_t)i * j->task_bytes));
}

/* ---- softmax ------------------------------------------------------------------------------- */

static void part_reset(const struct attn_job *j, float *part) {
    memset(part, 0, (size_t)part_floats(j) * sizeof *part);
    part[j->Dp] = -INFINITY;
}

/* One row and one block: scores become exponentials, sums so far are brought to the new maximum. */
static inline void softmax_block(const struct attn_job *j, float *score, int64_t n, float *part) {
    vf s[KEYS / VL], max = vf_set(-INFINITY), sum = vf_set(0.0f);
    for (int i = 0; i < KEYS / VL; i++) {
        s[i] = vf_load(score + i * VL);
        if (n < (i + 1) * VL)
            s[i] = vf_keep_n(s[i], n - i * VL > 0 ? n - i * VL : 0, vf_set(-INFINITY));
        max = vf_max(max, s[i]);
    }
    float old = part[j->Dp], m = fmaxf(vf_max_all(max), old);
    for (int i = 0; i < KEYS / VL; i++) {
        s[i] = vf_exp(vf_sub(s[i], vf_set(m)));
        vf_store(score + i * VL, s[i]);
        sum = vf_add(sum, s[i]);
    }
    if (m > old) {
        float f[VL];
        vf_store(f, vf_exp(vf_set(old - m)));
        for (int64_t i = 0; i < j->Dp; i += VL)
            vf_store(part + i, vf_mul(vf_load(part + i), vf_set(f[0])));
        part[j->Dp + 1] *= f[0];
        part[j->Dp] = m;
    }
    part[j->Dp + 1] += vf_sum(sum);
}

static void part_merge(const struct attn_job *j, float *to, const float *from) {
    float a = to[j->Dp], b = from[j->Dp], m = fmaxf(a, b);
    float f[VL], g[VL];
    vf_store(f, vf_exp(vf_set(a - m)));
    vf_store(g, vf_exp(vf_set(b - m)));
    for (int64_t i = 0; i < j->Dp; i += VL)
        vf_store(to + i,
                 vf_fma(vf_load(from + i), vf_set(g[0]), vf_mul(vf_load(to + i), vf_set(f[0]))));
    to[j->Dp] = m;
    to[j->Dp + 1] = to[j->Dp + 1] * f[0] + from[j->Dp + 1] * g[0];
}

static void part_write(const struct attn_job *j, const float *part, int64_t head, int64_t t) {
    float *y = (float *)j->a->out.data + t * j->a->q.cols + head * j->Dh;
    vf r = vf_set(1.0f / part[j->Dp + 1]);
    for (int64_t i = 0; i < j->Dh; i += VL)
        vf_store_n(y + i, j->Dh - i, vf_mul(vf_load(part + i), r));
}

/* ---- blocks -------------------------------------------------------------------------------- */

/* Stored row s of a KV head's keys (which 0) or values (1). */
static const char *stored_row(const struct attn_job *j, int kv_head, int64_t s, int which) {
    size_t row = kn_bytes(j->a->kv, j->Dh);
    return cpu_kv_block(j->dev, j->a, s / KN_PAGE_TOKENS, kv_head, which) +
           (size_t)(s % KN_PAGE_TOKENS) * row;
}

/* Keys of one block at position s for tokens [t0, t1) of a KV head; row (t0, 0) is part[0]. The
 * block at s + KEYS is read from memory meanwhile, if has_next. */
static void run_block(const struct attn_job *j, int kv_head, int64_t t0, int64_t t1, int64_t s,
                      bool has_next, void *tile, float *part) {
    int64_t first = s - j->N > t0 ? s - j->N : t0; /* earlier tokens do not see this block */
    if (first >= t1) return;
    int64_t n_keys = j->N + j->T - s < KEYS ? j->N + j->T - s : KEYS, page = s / KN_PAGE_TOKENS;
    load_tile(j, cpu_kv_block(j->dev, j->a, page, kv_head, 0),
              cpu_kv_block(j->dev, j->a, page, kv_head, 1), s % KN_PAGE_TOKENS, n_keys, tile);
    const char *next_k = has_next ? stored_row(j, kv_head, s + KEYS, 0) : NULL;
    const char *next_v = has_next ? stored_row(j, kv_head, s + KEYS, 1) : NULL;
    float score[MAX_GROUP * KEYS];
    int64_t row = (first - t0) * j->group, end = (t1 - t0) * j->group;
    for (int n; row < end; row += n) {
        n = end - row < MAX_GROUP ? (int)(end - row) : MAX_GROUP;
        const char *q = j->q + (size_t)((kv_head * j->T + t0) * j->group + row) * j->q_bytes;
        float *sums = part + row * part_floats(j);
        score_tile(j, q, tile, n, score, next_k);
        for (int i = 0; i < n; i++)
            softmax_block(j, score + i * KEYS, j->N + t0 + (row + i) / j->group + 1 - s,
                          sums + i * part_floats(j));
        add_values(j, score, tile, n, sums, next_v);
        next_k = next_v = NULL;
    }
}

static void run_range(const struct attn_job *j, int kv_head, int64_t t0, int64_t t1, int64_t range,
                      void *tile, float *part) {
    int64_t end = j->N + t1, s = range * RANGE_KEYS;
    if (end > s + RANGE_KEYS) end = s + RANGE_KEYS;
    for (int64_t row = 0; row < (t1 - t0) * j->group; row++)
        part_reset(j, part + row * part_floats(j));
    for (; s < end; s += KEYS)
        run_block(j, kv_head, t0, t1, s, s + KEYS < end, tile, part);
}

/* Few tokens: a task is a KV head and a range; the caller merges. */
static void run_few_task(struct attn_job *j, int i) {
    int kv_head = i % j->a->n_kv_heads;
    int64_t range = i / j->a->n_kv_heads, rows = j->T * j->group;
    float *part = j->part + ((int64_t)i * rows) * part_floats(j);
    run_range(j, kv_head, 0, j->T, range, j->task + (size_t)i * j->task_bytes, part);
}

/* Share i of the tasks: by the keys they hold, since the last range is short. A task belongs to the
 * share that its middle lies in. */
static void run_few(void *arg, int i) {
    struct attn_job *j = arg;
    int64_t Hkv = j->a->n_kv_heads, last = (j->n_ranges - 1) * RANGE_KEYS;
    int64_t end = j->N + j->T, all = Hkv * end;
    for (int task = 0; task < j->n_tasks; task++) {
        int64_t from = task / Hkv * RANGE_KEYS, n = from < last ? RANGE_KEYS : end - last;
        int64_t middle = Hkv * from + task % Hkv * n + n / 2;
        if (middle * j->n_shares / all == i) run_few_task(j, task);
    }
}

static void merge_few(struct attn_job *j) {
    int64_t rows = j->T * j->group, Hkv = j->a->n_kv_heads, size = part_floats(j);
    for (int64_t h = 0; h < Hkv; h++)
        for (int64_t row = 0; row < rows; row++) {
            int64_t t = row / j->group, last = (j->N + t) / RANGE_KEYS;
            float *sum = j->part + (h * rows + row) * size;
            for (int64_t r = 1; r <= last; r++)
                part_merge(j, sum, j->part + ((r * Hkv + h) * rows + row) * size);
            part_write(j, sum, h * j->group + row % j->group, t);
        }
}

/* Many tokens: a task is a KV head and up to 64 tokens, all ranges. */
static void run_many(void *arg, int i) {
    struct attn_job *j = arg;
    int kv_head = i % j->a->n_kv_heads;
    int64_t t0 = (int64_t)(i / j->a->n_kv_heads) * TILE_TOKENS, size = part_floats(j);
    int64_t t1 = t0 + TILE_TOKENS < j->T ? t0 + TILE_TOKENS : j->T, rows = (t1 - t0) * j->group;
    char *tile = j->task + (size_t)i * j->task_bytes;
    float *sum = (void *)(tile + tile_bytes(j->Dp)), *part = sum + rows * size;
    run_range(j, kv_head, t0, t1, 0, tile, sum);
    for (int64_t range = 1; range <= (j->N + t1 - 1) / RANGE_KEYS; range++) {
        run_range(j, kv_head, t0, t1, range, tile, part);
        for (int64_t row = 0; row < rows; row++)
            if (j->N + t0 + row / j->group >= range * RANGE_KEYS)
                part_merge(j, sum + row * size, part + row * size);
    }
    for (int64_t row = 0; row < rows; row++)
        part_write(j, sum + row * size, kv_head * j->group + row % j->group, t0 + row / j->group);
}

/* ---- the operation ------------------------------------------------------------------------- */

static size_t round64(size_t n) {
    return (n + 63) / 64 * 64;
}

static int run_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    struct attn_job j = {.dev = dev, .a = a, .T = a->q.rows, .N = dev->step.n_cached};
    j.Dh = a->q.cols / a->n_heads;
    j.Dp = (j.Dh + VL - 1) / VL * VL;
    if (j.Dh > MAX_DH) return ref_attn(dev, a, err);
    j.group = a->n_heads / a->n_kv_heads;
    j.n_ranges = (j.N + j.T + RANGE_KEYS - 1) / RANGE_KEYS;
    j.q_bytes = round64(query_bytes(j.Dp));
    bool is_few = j.T <= FEW_TOKENS;
    int64_t tiles = (j.T + TILE_TOKENS - 1) / TILE_TOKENS, size = part_floats(&j);
    j.n_tasks = (int)(a->n_kv_heads * (is_few ? j.n_ranges : tiles));
    j.n_shares = cpu_threads(dev);
    int64_t tile_rows = is_few ? 0 : 2 * TILE_TOKENS * j.group;
    j.task_bytes = round64(tile_bytes(j.Dp) + (size_t)(tile_rows * size) * sizeof(float));
    size_t append_bytes = round64((size_t)(a->q.cols + a->k.cols) * sizeof(float));
    if (j.task_bytes < append_bytes) j.task_bytes = append_bytes;
    size_t q_bytes = (size_t)(j.T * a->n_heads) * j.q_bytes;
    size_t part_bytes =
        is_few ? round64((size_t)(j.n_tasks * j.T * j.group * size) * sizeof(float)) : 0;
    void *mem;
    int rc = cpu_scratch(dev, q_bytes + part_bytes + (size_t)j.n_tasks * j.task_bytes, &mem, err);
    if (rc) return rc;
    j.q = mem;
    j.part = (void *)(j.q + q_bytes);
    j.task = j.q + q_bytes + part_bytes;
    cpu_parallel(dev, j.T < FEW_TOKENS ? 1 : j.n_tasks, run_append, &j);
    if (is_few)
        cpu_parallel(dev, j.n_shares, run_few, &j);
    else
        cpu_parallel(dev, j.n_tasks, run_many, &j);
    if (is_few) merge_few(&j);
    return 0;
}

#endif
