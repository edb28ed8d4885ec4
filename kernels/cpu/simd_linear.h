/* simd_linear.h - linear for one vector level, included once by each avx*_linear.c, which brings
 * q8_tile(): the int8 product of that instruction set. Here: the prologue, the exact f32 product,
 * int8 activations, epilogues, and the split of the work.
 *
 * A row's result is the same for every T, cut and number of threads: all products run over groups
 * of 64 inputs in rising order with one accumulator a row, whatever the tile around it. */
#ifndef SIMD_LINEAR_H
#define SIMD_LINEAR_H

#include "kernels/cpu/cpu_fast.h"
#include "kernels/cpu/simd.h"

enum {
    STEP = 64,       /* inputs a step: the group of int4 weights and of int8 activations */
    TOKEN_TILE = 64, /* tokens under one pass over a block: their accumulators stay in L1 */
    BLOCKS = 2,      /* row blocks a pass: two share the broadcast of an activation */
    F32_TOKENS = 128 / CPU_ROWS * VL / 8 > 8 ? 8 : 4
};

/* T rows of int8 activations, quantised by groups of 64: x = q * scale. For int4 each 8 inputs
 * stand evens first, as the nibbles of a word come out; corr undoes the offset of the unsigned
 * weights. */
struct quant {
    int8_t *q;     /* [T][Dp] */
    float *scale;  /* [T][n_steps] */
    int32_t *corr; /* [T][n_steps]: -8 or -128 times the sum of q */
};

struct linear_job {
    const struct kn_linear *l;
    int64_t T, D, Dp, n_steps, n_units;
    float *xhat;         /* [T][Dp], zeros behind D */
    struct quant q4, q8; /* for int4 and int8 weights; q NULL where not needed */
    float *acc;          /* [n_tasks][2 parts][BLOCKS][TOKEN_TILE][16] */
    int n_tasks;
    bool f32_act;
};

static inline vf load_scale(const struct cpu_mat *m, int64_t b, int64_t g, int h) {
    int64_t at = (b * m->n_groups + g) * CPU_ROWS + h * VL;
    if (m->scale_bf16) return vf_from_bf16((const uint16_t *)m->scale + at);
    return vf_load((const float *)m->scale + at);
}

/* acc[r][t][16] += W x for blocks b..b+R-1, tokens t0..t0+n-1. By the including file. */
static void q8_tile(const struct cpu_mat *m, int64_t b, int R, const struct linear_job *j,
                    int64_t t0, int64_t n, float *acc);

/* ---- prologue ------------------------------------------------------------------------------ */

static void prologue_row(const struct kn_linear *l, int64_t t, float *xhat, int64_t Dp) {
    int64_t D = l->x.cols;
    float *x = (float *)l->x.data + t * D;
    if (l->add.data) {
        const float *add = (const float *)l->add.data + t * D, *w = l->add_norm.data;
        vf r = vf_set(simd_rsqrt(simd_square_sum(add, D) / (float)D + l->add_eps));
        for (int64_t i = 0; i < D; i += VL) {
            vf a = vf_mul(vf_load_n(w + i, D - i), vf_mul(vf_load_n(add + i, D - i), r));
            vf_store_n(x + i, D - i, vf_add(vf_load_n(x + i, D - i), a));
        }
    }
    if (l->norm.data) {
        int64_t n = l->norm.cols;
        for (int64_t i = 0; i < D; i += n)
            simd_rms_norm(x + i, l->norm.data, n, l->norm_eps, xhat + i);
    } else {
        memcpy(xhat, x, (size_t)D * sizeof *xhat);
    }
    if (l->gate.data) {
        const float *gate = (const float *)l->gate.data + t * D;
        for (int64_t i = 0; i < D; i += VL)
            vf_store_n(xhat + i, D - i,
                       vf_mul(vf_load_n(xhat + i, D - i), vf_silu(vf_load_n(gate + i, D - i))));
    }
    memset(xhat + D, 0, (size_t)(Dp - D) * sizeof *xhat);
}

/* One group of 64 to int8: scale = max / 127, nearest even. Returns the sum of q. */
static inline int32_t quantise_group(const float *x, int8_t *q, float *scale) {
    vf max = vf_set(0.0f);
    for (int i = 0; i < STEP; i += VL)
        max = vf_max(max, vf_abs(vf_load(x + i)));
    float m = vf_max_all(max);
    *scale = m / 127.0f;
    vf inv = vf_set(m > 0.0f ? 127.0f / m : 0.0f);
    int32_t v[STEP], sum = 0;
    for (int i = 0; i < STEP; i += VL) {
        vi r = vi_from_float(vf_mul(vf_load(x + i), inv));
        memcpy(v + i, &r, sizeof r);
    }
    for (int i = 0; i < STEP; i++) {
        q[i] = (int8_t)v[i];
        sum += v[i];
    }
    return sum;
}

static void quantise_row(struct linear_job *j, int64_t t) {
    int8_t q[STEP];
    for (int64_t s = 0; s < j->n_steps; s++) {
        int64_t at = t * j->n_steps + s;
        float scale;
        int32_t sum = quantise_group(j->xhat + t * j->Dp + s * STEP, q, &scale);
        if (j->q8.q) {
            memcpy(j->q8.q + t * j->Dp + s * STEP, q, STEP);
            j->q8.scale[at] = scale;
            j->q8.corr[at] = -128 * sum;
        }
        if (j->q4.q) {
            int8_t *p = j->q4.q + t * j->Dp + s * STEP;
            for (int i = 0; i < STEP; i++)
                p[(i & ~7) | (i & 1) << 2 | (i & 7) >> 1] = q[i];
            j->q4.scale[at] = scale;
            j->q4.corr[at] = -8 * sum;
        }
    }
}

static void run_prologue(void *arg, int i) {
    struct linear_job *j = arg;
    int64_t from, to;
    cpu_span(j->T, 1, j->T < 8 ? 1 : j->n_tasks, i, &from, &to);
    for (int64_t t = from; t < to; t++) {
        prologue_row(j->l, t, j->xhat + t * j->Dp, j->Dp);
        if (j->q4.q || j->q8.q) quantise_row(j, t);
    }
}

/* ---- exact product ------------------------------------------------------------------------- */

static void widen_quantised(const struct cpu_mat *m, int64_t b, int64_t step, float *tile) {
    int bits = m->dtype == KN_I4 ? 4 : 8, per = 32 / bits;
    const uint32_t *words = m->words + (b * m->n_words + step * STEP / per) * CPU_ROWS;
    for (int64_t w = 0; w < STEP / per; w++)
        for (int h = 0; h < CPU_ROWS / VL; h++) {
            vi word = vi_load(words + w * CPU_ROWS + h * VL);
            for (int n = 0; n < per; n++) {
                int64_t i = step * STEP + w * per + n;
                int64_t g = (i < m->cols ? i : m->cols - 1) / m->group;
                vf zero = m->zero ? vf_load(m->zero + (b * m->n_groups + g) * CPU_ROWS + h * VL)
                                  : vf_set((float)(1 << (bits - 1)));
                vi q = vi_and(vi_shr(word, n * bits), vi_set((1 << bits) - 1));
                vf v = vf_mul(vf_sub(vf_from_int(q), zero), load_scale(m, b, g, h));
                vf_store(tile + (w * per + n) * CPU_ROWS + h * VL, v);
            }
        }
}

/* Weights of 16 rows and 64 inputs as f32 [64][16]. */
static void widen(const struct cpu_mat *m, int64_t b, int64_t step, float *tile) {
    if (m->dtype == KN_I4 || m->dtype == KN_I8) {
        widen_quantised(m, b, step, tile);
        return;
    }
    int per = m->dtype == KN_F32 ? 1 : 2;
    const uint32_t *words = m->words + (b * m->n_words + step * STEP / per) * CPU_ROWS;
    for (int64_t i = 0; i < STEP * CPU_ROWS / per; i += VL) {
        vi word = vi_load(words + i);
        float *at = tile + i / CPU_ROWS * CPU_ROWS * per + i % CPU_ROWS;
        if (m->dtype == KN_F32) {
            vf_store(at, vf_cast(word));
        } else if (m->dtype == KN_BF16) {
            vf_store(at, vf_cast(vi_shl(word, 16)));
            vf_store(at + CPU_ROWS, vf_cast(vi_and(word, vi_set((int32_t)0xffff0000u))));
        } else {
            vf_store(at, vf_from_f16(vi_and(word, vi_set(0xffff))));
            vf_store(at + CPU_ROWS, vf_from_f16(vi_shr(word, 16)));
        }
    }
}

/* acc[n][16] += tile' x for n <= F32_TOKENS tokens. */
static inline void f32_tokens(const float *tile, const float *x, int64_t Dp, int n, float *acc) {
    enum { H = CPU_ROWS / VL };
    vf a[F32_TOKENS][H];
    for (int t = 0; t < n; t++)
        for (int h = 0; h < H; h++)
            a[t][h] = vf_load(acc + t * CPU_ROWS + h * VL);
    for (int64_t i = 0; i < STEP; i++)
        for (int h = 0; h < H; h++) {
            vf w = vf_load(tile + i * CPU_ROWS + h * VL);
            for (int t = 0; t < n; t++)
                a[t][h] = vf_fma(w, vf_set(x[t * Dp + i]), a[t][h]);
        }
    for (int t = 0; t < n; t++)
        for (int h = 0; h < H; h++)
            vf_store(acc + t * CPU_ROWS + h * VL, a[t][h]);
}

static void f32_block(const struct cpu_mat *m, int64_t b, const struct linear_job *j, int64_t t0,
                      int64_t n, float *acc) {
    float tile[STEP * CPU_ROWS];
    for (int64_t s = 0; s < j->n_steps; s++) {
        widen(m, b, s, tile);
        int64_t t = 0;
        const float *x = j->xhat + t0 * j->Dp + s * STEP;
        for (; t + F32_TOKENS <= n; t += F32_TOKENS)
            f32_tokens(tile, x + t * j->Dp, j->Dp, F32_TOKENS, acc + t * CPU_ROWS);
        for (; t < n; t++)
            f32_tokens(tile, x + t * j->Dp, j->Dp, 1, acc + t * CPU_ROWS);
    }
}

/* ---- blocks -------------------------------------------------------------------------------- */

static bool takes_int8(const struct cpu_mat *m, bool f32_act) {
    if (f32_act || m->zero || (m->dtype != KN_I4 && m->dtype != KN_I8)) return false;
    return m->n_groups == 1 || m->group % STEP == 0;
}

static void product(const struct cpu_mat *m, int64_t b, int R, const struct linear_job *j,
                    int64_t t0, int64_t n, float *acc) {
    memset(acc, 0, sizeof *acc * CPU_ROWS * TOKEN_TILE * (size_t)R);
    if (takes_int8(m, j->f32_act)) {
        q8_tile(m, b, R, j, t0, n, acc);
        return;
    }
    for (int r = 0; r < R; r++)
        f32_block(m, b + r, j, t0, n, acc + r * TOKEN_TILE * CPU_ROWS);
}

static void epilogue(const struct linear_job *j, int p, int64_t b, int64_t t0, int64_t n,
                     const float *acc, const float *acc2) {
    const struct kn_linear *l = j->l;
    int64_t O = l->w->mat[p].rows, o = b * CPU_ROWS;
    float *out = (float *)l->out[p].data + t0 * O + o;
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < CPU_ROWS && o + i < O; i += VL) {
            float *y = out + t * O + i;
            vf v = vf_load(acc + t * CPU_ROWS + i);
            if (l->epi == KN_EPI_ADD) v = vf_add(vf_load_n(y, O - o - i), v);
            if (l->epi == KN_EPI_SWIGLU) v = vf_mul(vf_silu(v), vf_load(acc2 + t * CPU_ROWS + i));
            vf_store_n(y, O - o - i, v);
        }
}

/* Units are row blocks of all parts in order; a pair of parts under SWIGLU counts once. */
static void find_unit(const struct kn_linear *l, int64_t unit, int *p, int64_t *b) {
    for (*p = 0; unit >= l->w->mat[*p].n_blocks; ++*p)
        unit -= l->w->mat[*p].n_blocks;
    *b = unit;
}

static void run_blocks(void *arg, int i) {
    struct linear_job *j = arg;
    const struct kn_linear *l = j->l;
    enum { ACC = BLOCKS * TOKEN_TILE * CPU_ROWS };
    float *acc = j->acc + (int64_t)i * 2 * ACC;
    int64_t from, to;
    cpu_span(j->n_units, 1, j->n_tasks, i, &from, &to);
    for (int64_t unit = from, b; unit < to;) {
        int p, R;
        find_unit(l, unit, &p, &b);
        R = unit + 1 < to && b + 1 < l->w->mat[p].n_blocks ? BLOCKS : 1;
        for (int64_t t = 0; t < j->T; t += TOKEN_TILE) {
            int64_t n = j->T - t < TOKEN_TILE ? j->T - t : TOKEN_TILE;
            product(&l->w->mat[p], b, R, j, t, n, acc);
            if (l->epi == KN_EPI_SWIGLU) product(&l->w->mat[1], b, R, j, t, n, acc + ACC);
            for (int r = 0; r < R; r++)
                epilogue(j, p, b + r, t, n, acc + r * ACC / BLOCKS, acc + ACC + r * ACC / BLOCKS);
        }
        unit += R;
    }
}

/* ---- the operation ------------------------------------------------------------------------- */

static size_t place(size_t *used, size_t bytes) {
    size_t at = *used;
    *used += (bytes + 63) / 64 * 64;
    return at;
}

static int run_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    struct linear_job j = {.l = l, .T = l->x.rows, .D = l->x.cols, .f32_act = dev->f32_act};
    bool has4 = false, has8 = false;
    j.Dp = (j.D + STEP - 1) / STEP * STEP;
    j.n_steps = j.Dp / STEP;
    j.n_tasks = cpu_threads(dev);
    for (int p = 0; p < (l->epi == KN_EPI_SWIGLU ? 1 : l->w->n_parts); p++)
        j.n_units += l->w->mat[p].n_blocks;
    for (int p = 0; p < l->w->n_parts; p++) {
        bool is_int8 = takes_int8(&l->w->mat[p], j.f32_act);
        has4 |= is_int8 && l->w->mat[p].dtype == KN_I4;
        has8 |= is_int8 && l->w->mat[p].dtype == KN_I8;
    }
    size_t used = 0, T = (size_t)j.T, q_bytes = T * (size_t)j.Dp,
           s_bytes = T * (size_t)j.n_steps * 4;
    size_t x = place(&used, q_bytes * 4), q4 = place(&used, q_bytes), q8 = place(&used, q_bytes);
    size_t s4 = place(&used, s_bytes), s8 = place(&used, s_bytes), c4 = place(&used, s_bytes);
    size_t c8 = place(&used, s_bytes);
    size_t a = place(&used, (size_t)j.n_tasks * 2 * BLOCKS * TOKEN_TILE * CPU_ROWS * sizeof(float));
    void *mem;
    int rc = cpu_scratch(dev, used, &mem, err);
    if (rc) return rc;
    char *base = mem;
    j.xhat = (void *)(base + x);
    j.acc = (void *)(base + a);
    if (has4) j.q4 = (struct quant){(void *)(base + q4), (void *)(base + s4), (void *)(base + c4)};
    if (has8) j.q8 = (struct quant){(void *)(base + q8), (void *)(base + s8), (void *)(base + c8)};
    cpu_parallel(dev, j.T < 8 ? 1 : j.n_tasks, run_prologue, &j);
    cpu_parallel(dev, j.n_tasks, run_blocks, &j);
    return 0;
}

#endif
