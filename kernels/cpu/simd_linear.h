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

#include <math.h>

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
    int8_t *q;     /* [T][Dp]; NULL: not needed by this call */
    float *scale;  /* [T][n_steps] */
    int32_t *corr; /* [T][n_steps]: -8 or -128 times the sum of q */
};
enum { FOR_INT4, FOR_INT8, N_FORMS };

/* An input that would spoil the scale of its group: taken out before the row is quantised, and
 * multiplied in f32. A few channels of the residual stream are 5 to 8 times the root mean square of
 * their 64; without them the mean KL of the fast mode falls from 4.1e-3 to 5.5e-4 nat. */
struct outlier {
    int32_t i;
    float x;
};

struct linear_job {
    const struct kn_linear *l;
    int64_t T, D, Dp, n_steps, n_units;
    float *xhat;                 /* [T][Dp], zeros behind D */
    struct quant quant[N_FORMS]; /* x = quant + what rounding left */
    struct quant rest[N_FORMS];  /* that remainder, 254 times finer: for output matrices */
    struct outlier *outlier;     /* [T][n_steps], in the order they were taken */
    int32_t *n_outliers;         /* [T] */
    float *group_max;            /* [n_tasks][n_steps] */
    float *acc;                  /* [n_tasks][2 parts][BLOCKS][TOKEN_TILE][16] */
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
                    const struct quant *x, int64_t t0, int64_t n, float *acc);

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

static inline float find_group_max(const float *x) {
    vf max = vf_set(0.0f);
    for (int i = 0; i < STEP; i += VL)
        max = vf_max(max, vf_abs(vf_load(x + i)));
    return vf_max_all(max);
}

/* Takes out the inputs that set the largest scales of the row, up to one a group on average, as
 * long as each takes a twentieth off the sum of squared scales, which is what the rounding error
 * follows. */
static int32_t take_outliers(const struct linear_job *j, float *x, float *max,
                             struct outlier *out) {
    float total = 0.0f;
    for (int64_t s = 0; s < j->n_steps; s++) {
        max[s] = find_group_max(x + s * STEP);
        total += max[s] * max[s];
    }
    int32_t n = 0;
    for (; n < j->n_steps; n++) {
        int64_t worst = 0;
        for (int64_t s = 1; s < j->n_steps; s++)
            if (max[s] > max[worst]) worst = s;
        float *g = x + worst * STEP, old = max[worst], v;
        int i = 0;
        while (i < STEP - 1 && fabsf(g[i]) < old)
            i++;
        v = g[i];
        g[i] = 0.0f;
        max[worst] = find_group_max(g);
        float gain = old * old - max[worst] * max[worst];
        if (!(gain > 0.05f * total)) {
            g[i] = v;
            max[worst] = old;
            break;
        }
        total -= gain;
        out[n] = (struct outlier){(int32_t)(worst * STEP + i), v};
    }
    return n;
}

/* One group to int8, nearest even: x becomes what is left, divided by the scale. */
static inline void quantise_group(const struct linear_job *j, const struct quant *to, int64_t at,
                                  float *x, float scale) {
    int8_t q[STEP];
    vi sum = vi_set(0);
    for (int i = 0; i < STEP; i += VL) {
        vf v = vf_load(x + i);
        vi r = vi_from_float(v);
        vi_store_i8(q + i, r);
        sum = vi_add(sum, r);
        vf_store(x + i, vf_sub(v, vf_from_int(r)));
    }
    int32_t total = vi_sum(sum);
    int64_t from = at / j->n_steps * j->Dp + at % j->n_steps * STEP;
    if (to[FOR_INT8].q) {
        memcpy(to[FOR_INT8].q + from, q, STEP);
        to[FOR_INT8].scale[at] = scale;
        to[FOR_INT8].corr[at] = -128 * total;
    }
    if (!to[FOR_INT4].q) return;
    const __m128i evens_first = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    for (int i = 0; i < STEP; i += 16) {
        __m128i v = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(q + i)), evens_first);
        _mm_storeu_si128((__m128i *)(to[FOR_INT4].q + from + i), v);
    }
    to[FOR_INT4].scale[at] = scale;
    to[FOR_INT4].corr[at] = -8 * total;
}

static void quantise_row(struct linear_job *j, int64_t t, float *max) {
    float *x = j->xhat + t * j->Dp;
    struct outlier *out = j->outlier + t * j->n_steps;
    int32_t n = j->n_outliers[t] = take_outliers(j, x, max, out);
    bool has_rest = j->rest[FOR_INT4].q || j->rest[FOR_INT8].q;
    for (int64_t s = 0; s < j->n_steps; s++) {
        float v[STEP], scale = max[s] / 127.0f;
        vf inv = vf_set(max[s] > 0.0f ? 127.0f / max[s] : 0.0f);
        for (int i = 0; i < STEP; i += VL)
            vf_store(v + i, vf_mul(vf_load(x + s * STEP + i), inv));
        quantise_group(j, j->quant, t * j->n_steps + s, v, scale);
        if (!has_rest) continue;
        for (int i = 0; i < STEP; i += VL) /* what is left is at most 1/2 */
            vf_store(v + i, vf_mul(vf_load(v + i), vf_set(254.0f)));
        quantise_group(j, j->rest, t * j->n_steps + s, v, scale / 254.0f);
    }
    for (int32_t i = 0; i < n; i++) /* the f32 products of the same call want all of x */
        x[out[i].i] = out[i].x;
}

static void run_prologue(void *arg, int i) {
    struct linear_job *j = arg;
    int64_t from, to;
    cpu_span(j->T, 1, j->T < 8 ? 1 : j->n_tasks, i, &from, &to);
    for (int64_t t = from; t < to; t++) {
        prologue_row(j->l, t, j->xhat + t * j->Dp, j->Dp);
        if (j->outlier) quantise_row(j, t, j->group_max + i * j->n_steps);
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

/* Where an error goes straight into the logits, and memory is the limit anyway: activations in two
 * int8 parts. Nothing but an output matrix is eight times as high as it is wide. */
static bool is_output(const struct cpu_mat *m) {
    return m->rows >= 8 * m->cols;
}

/* ---- blocks -------------------------------------------------------------------------------- */

static bool takes_int8(const struct cpu_mat *m, bool f32_act) {
    if (f32_act || m->zero || (m->dtype != KN_I4 && m->dtype != KN_I8)) return false;
    return m->n_groups == 1 || m->group % STEP == 0;
}

/* Weights of input i in 16 rows. */
static inline void widen_column(const struct cpu_mat *m, int64_t b, int64_t i, float *col) {
    int bits = m->dtype == KN_I4 ? 4 : 8, per = 32 / bits;
    int64_t g = m->n_groups == 1 ? 0 : i / m->group;
    const uint32_t *words = m->words + (b * m->n_words + i / per) * CPU_ROWS;
    for (int h = 0; h < CPU_ROWS / VL; h++) {
        vi q =
            vi_and(vi_shr(vi_load(words + h * VL), (int)(i % per) * bits), vi_set((1 << bits) - 1));
        vf v = vf_sub(vf_from_int(q), vf_set((float)(1 << (bits - 1))));
        vf_store(col + h * VL, vf_mul(v, load_scale(m, b, g, h)));
    }
}

/* acc[t][16] += w_i x_i over the outliers of each row, in the order they were taken. */
static void add_outliers(const struct cpu_mat *m, int64_t b, const struct linear_job *j, int64_t t0,
                         int64_t n, float *acc) {
    enum { CACHE = 64 }; /* most rows name the same channels */
    float col[CACHE][CPU_ROWS];
    int32_t is_in[CACHE];
    memset(is_in, 0xff, sizeof is_in);
    for (int64_t t = 0; t < n; t++) {
        const struct outlier *o = j->outlier + (t0 + t) * j->n_steps;
        for (int32_t k = 0; k < j->n_outliers[t0 + t]; k++) {
            int32_t slot = o[k].i % CACHE;
            if (is_in[slot] != o[k].i) {
                widen_column(m, b, o[k].i, col[slot]);
                is_in[slot] = o[k].i;
            }
            for (int h = 0; h < CPU_ROWS; h += VL)
                vf_store(acc + t * CPU_ROWS + h, vf_fma(vf_load(col[slot] + h), vf_set(o[k].x),
                                                        vf_load(acc + t * CPU_ROWS + h)));
        }
    }
}

static void product(const struct cpu_mat *m, int64_t b, int R, const struct linear_job *j,
                    int64_t t0, int64_t n, float *acc) {
    for (int r = 0; r < R; r++)
        memset(acc + r * TOKEN_TILE * CPU_ROWS, 0, sizeof *acc * CPU_ROWS * (size_t)n);
    if (takes_int8(m, j->f32_act)) {
        int form = m->dtype == KN_I4 ? FOR_INT4 : FOR_INT8;
        q8_tile(m, b, R, j, &j->quant[form], t0, n, acc);
        if (is_output(m)) q8_tile(m, b, R, j, &j->rest[form], t0, n, acc);
        for (int r = 0; r < R; r++)
            add_outliers(m, b + r, j, t0, n, acc + r * TOKEN_TILE * CPU_ROWS);
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

/* The next part of scratch memory; NULL while only counting. */
static void *place(char *base, size_t *used, size_t bytes) {
    size_t at = *used;
    *used += (bytes + 63) / 64 * 64;
    return base ? base + at : NULL;
}

/* Cuts scratch memory into the parts of the job; base NULL only counts. */
static size_t place_parts(struct linear_job *j, char *base, const bool *has, const bool *has_rest) {
    size_t used = 0, T = (size_t)j->T, row = (size_t)j->Dp, steps = (size_t)j->n_steps;
    bool any = has[FOR_INT4] || has[FOR_INT8];
    j->xhat = place(base, &used, T * row * sizeof *j->xhat);
    j->acc = place(base, &used,
                   (size_t)j->n_tasks * 2 * BLOCKS * TOKEN_TILE * CPU_ROWS * sizeof *j->acc);
    j->group_max = place(base, &used, (size_t)j->n_tasks * steps * sizeof *j->group_max);
    for (int f = 0; f < 2 * N_FORMS; f++) {
        struct quant *q = f < N_FORMS ? &j->quant[f] : &j->rest[f - N_FORMS];
        if (!(f < N_FORMS ? has[f] : has_rest[f - N_FORMS])) continue;
        q->q = place(base, &used, T * row);
        q->scale = place(base, &used, T * steps * sizeof *q->scale);
        q->corr = place(base, &used, T * steps * sizeof *q->corr);
    }
    if (!any) return used;
    j->outlier = place(base, &used, T * steps * sizeof *j->outlier);
    j->n_outliers = place(base, &used, T * sizeof *j->n_outliers);
    return used;
}

static int run_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    struct linear_job j = {.l = l, .T = l->x.rows, .D = l->x.cols, .f32_act = dev->f32_act};
    bool has[N_FORMS] = {false}, has_rest[N_FORMS] = {false};
    j.Dp = (j.D + STEP - 1) / STEP * STEP;
    j.n_steps = j.Dp / STEP;
    j.n_tasks = cpu_threads(dev);
    for (int p = 0; p < l->w->n_parts; p++) {
        const struct cpu_mat *m = &l->w->mat[p];
        if (p == 0 || l->epi != KN_EPI_SWIGLU) j.n_units += m->n_blocks;
        if (!takes_int8(m, j.f32_act)) continue;
        int form = m->dtype == KN_I4 ? FOR_INT4 : FOR_INT8;
        has[form] = true;
        has_rest[form] |= is_output(m);
    }
    void *mem;
    int rc = cpu_scratch(dev, place_parts(&j, NULL, has, has_rest), &mem, err);
    if (rc) return rc;
    place_parts(&j, mem, has, has_rest);
    cpu_parallel(dev, j.T < 8 ? 1 : j.n_tasks, run_prologue, &j);
    cpu_parallel(dev, j.n_tasks, run_blocks, &j);
    return 0;
}

#endif
