/* simd_linear.h - linear for one vector level, included once by each avx*_linear.c, which brings
 * q8_tile(): the int8 product of that instruction set. Here: the prologue, the exact f32 product,
 * int8 activations, epilogues, and the split of the work.
 *
 * A row's result is the same for every T, cut and number of threads: all products run over groups
 * of 64 inputs in rising order with one accumulator a row, whatever the tile around it. */
#ifndef SIMD_LINEAR_H
#define SIMD_LINEAR_H

#include "kernels/cpu/cpu_fast.h"
#include "kernels/cpu/simd_quant.h"

enum {
    TOKEN_TILE = 48, /* tokens under one pass over a block: their accumulators stay in L1 */
    BLOCKS = 2,      /* row blocks a pass: two share the broadcast of an activation */
    F32_TOKENS = VL == 16 ? 8 : 4
};

/* Working memory of one task: every thread makes the whole row for itself. That takes no longer
 * than waiting for another to do it. */
struct own_row {
    float *xhat; /* [Dp] */
    struct quants x8;
    float *rest; /* [n_steps][16] */
};

struct linear_job {
    const struct kn_linear *l;
    int64_t T, D, Dp, n_steps, n_units;
    float *xhat;         /* [T][Dp], zeros behind D */
    struct quants x8;    /* the same in int8; {0} where no part takes it */
    float *column;       /* [n_tasks][2 parts][channels][BLOCKS][16] weights of the outliers */
    float *acc;          /* [n_tasks][2 parts][BLOCKS][TOKEN_TILE][16] */
    struct own_row *own; /* [n_tasks]; one token only, in place of all of the above */
    int n_tasks;
    bool f32_act;
};

static inline vf load_scale(const struct cpu_mat *m, int64_t b, int64_t g, int h) {
    const void *at = cpu_scales(m, b, g);
    if (m->scale_bf16) return vf_from_bf16((const uint16_t *)at + h * VL);
    return vf_load((const float *)at + h * VL);
}

/* acc[16] += W x for block b and the one token of x. rest [n_steps][16]: working memory. */
static void q8_block(const struct cpu_mat *m, int64_t b, const struct quants *x, float *rest,
                     float *acc);
/* acc[r][t][16] += W x for blocks b..b+R-1 and tokens t0..t0+n-1, t0 a multiple of TOKEN_TILE. By
 * the including file. */
static void q8_tile(const struct cpu_mat *m, int64_t b, int R, const struct quants *x,
                    const struct quant *form, int64_t t0, int64_t n, float *acc);

/* ---- prologue ------------------------------------------------------------------------------ */

/* Step 1 of the prologue: the only one that changes what others read. */
static void add_row(const struct kn_linear *l, int64_t t) {
    int64_t D = l->x.cols;
    float *x = (float *)l->x.data + t * D;
    const float *add = (const float *)l->add.data + t * D, *w = l->add_norm.data;
    vf r = vf_set(simd_rsqrt(simd_square_sum(add, D) / (float)D + l->add_eps));
    for (int64_t i = 0; i < D; i += VL) {
        vf a = vf_mul(vf_load_n(w + i, D - i), vf_mul(vf_load_n(add + i, D - i), r));
        vf_store_n(x + i, D - i, vf_add(vf_load_n(x + i, D - i), a));
    }
}

/* Steps 2 and 3. */
static void norm_row(const struct kn_linear *l, int64_t t, float *xhat, int64_t Dp) {
    int64_t D = l->x.cols;
    const float *x = (const float *)l->x.data + t * D;
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

static void run_prologue(void *arg, int i) {
    struct linear_job *j = arg;
    int64_t from, to;
    cpu_span(j->T, 1, j->T < 8 ? 1 : j->n_tasks, i, &from, &to);
    for (int64_t t = from; t < to; t++) {
        if (j->l->add.data) add_row(j->l, t);
        norm_row(j->l, t, j->xhat + t * j->Dp, j->Dp);
        if (j->x8.outlier) quantise_row(&j->x8, j->xhat + t * j->Dp, t, i);
    }
}

/* ---- exact product ------------------------------------------------------------------------- */

static void widen_quantised(const struct cpu_mat *m, int64_t b, int64_t step, float *tile) {
    int bits = m->dtype == KN_I4 ? 4 : 8, per = 32 / bits;
    const uint32_t *words = cpu_words(m, b, step * STEP / per);
    for (int64_t w = 0; w < STEP / per; w++)
        for (int h = 0; h < CPU_ROWS / VL; h++) {
            vi word = vi_load(words + w * CPU_ROWS + h * VL);
            for (int n = 0; n < per; n++) {
                int64_t i = step * STEP + w * per + n;
                int64_t g = (i < m->cols ? i : m->cols - 1) / m->group;
                vf zero = m->has_zero ? vf_load(cpu_zeros(m, b, g) + h * VL)
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
    const uint32_t *words = cpu_words(m, b, step * STEP / per);
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

/* xhat [n][Dp]. */
static void f32_block(const struct cpu_mat *m, int64_t b, const float *xhat, int64_t Dp, int64_t n,
                      float *acc) {
    float tile[STEP * CPU_ROWS];
    for (int64_t s = 0; s < Dp / STEP; s++) {
        widen(m, b, s, tile);
        int64_t t = 0;
        const float *x = xhat + s * STEP;
        for (; t + F32_TOKENS <= n; t += F32_TOKENS)
            f32_tokens(tile, x + t * Dp, Dp, F32_TOKENS, acc + t * CPU_ROWS);
        for (; t < n; t++)
            f32_tokens(tile, x + t * Dp, Dp, 1, acc + t * CPU_ROWS);
    }
}

/* Where an error goes straight into the logits, and memory is the limit anyway: activations in two
 * int8 parts. Nothing but an output matrix is eight times as high as it is wide. */
static bool is_output(const struct cpu_mat *m) {
    return m->rows >= 8 * m->cols;
}

/* ---- blocks -------------------------------------------------------------------------------- */

static bool takes_int8(const struct cpu_mat *m, bool f32_act) {
    if (f32_act || m->has_zero || (m->dtype != KN_I4 && m->dtype != KN_I8)) return false;
    return m->n_groups == 1 || m->group % STEP == 0;
}

/* Weights of input i in 16 rows. */
static inline void widen_column(const struct cpu_mat *m, int64_t b, int64_t i, float *col) {
    int bits = m->dtype == KN_I4 ? 4 : 8, per = 32 / bits;
    int64_t g = m->n_groups == 1 ? 0 : i / m->group;
    const uint32_t *words = cpu_words(m, b, i / per);
    for (int h = 0; h < CPU_ROWS / VL; h++) {
        vi q =
            vi_and(vi_shr(vi_load(words + h * VL), (int)(i % per) * bits), vi_set((1 << bits) - 1));
        vf v = vf_sub(vf_from_int(q), vf_set((float)(1 << (bits - 1))));
        vf_store(col + h * VL, vf_mul(v, load_scale(m, b, g, h)));
    }
}

/* column [channels][BLOCKS][16] for R blocks. */
static void widen_columns(const struct cpu_mat *m, int64_t b, int R, const struct quants *x,
                          float *column) {
    for (int64_t c = 0; c < x->n_channels; c++)
        for (int r = 0; r < R; r++)
            widen_column(m, b + r, x->channel[c], column + (c * BLOCKS + r) * CPU_ROWS);
}

/* n tokens of one tile, R blocks, VL rows from h on; R and the usual n are constants. */
static inline __attribute__((always_inline)) void add_outlier_tile(const struct quants *x,
                                                                   const float *column, int64_t t,
                                                                   const int n, const int R, int h,
                                                                   float *acc) {
    const struct outlier *o = x->outlier + t * x->n_steps;
    vf a[BLOCKS][Q_LANES];
    UNROLL
    for (int i = 0; i < n; i++)
        for (int r = 0; r < R; r++)
            a[r][i] = vf_load(acc + (r * TOKEN_TILE + i) * CPU_ROWS + h);
    for (int32_t k = 0; k < x->n_outliers[t]; k++) {
        UNROLL
        for (int i = 0; i < n; i++) {
            const struct outlier *at = o + i * x->n_steps + k;
            for (int r = 0; r < R; r++)
                a[r][i] = vf_fma(vf_load(column + (at->i * BLOCKS + r) * CPU_ROWS + h),
                                 vf_set(at->x), a[r][i]);
        }
    }
    UNROLL
    for (int i = 0; i < n; i++)
        for (int r = 0; r < R; r++)
            vf_store(acc + (r * TOKEN_TILE + i) * CPU_ROWS + h, a[r][i]);
}

/* acc[r][t][16] += w_i x_i over the outliers of each row, in the order they were taken. */
static void add_outliers(const struct quants *x, const float *column, int R, int64_t t0, int64_t n,
                         float *acc) {
    for (int h = 0; h < CPU_ROWS; h += VL)
        for (int64_t t = 0; t < n; t += x->lanes) {
            float *at = acc + t * CPU_ROWS;
            if (n - t >= Q_LANES && R == 2) {
                add_outlier_tile(x, column, t0 + t, Q_LANES, 2, h, at);
                continue;
            }
            for (int64_t i = 0; i < x->lanes && t + i < n; i++)
                for (int r = 0; r < R; r++)
                    add_outlier_tile(x, column + r * CPU_ROWS, t0 + t + i, 1, 1, h,
                                     at + (r * TOKEN_TILE + i) * CPU_ROWS);
        }
}

static void product(const struct cpu_mat *m, int64_t b, int R, const struct linear_job *j,
                    const float *column, int64_t t0, int64_t n, float *acc) {
    for (int r = 0; r < R; r++)
        memset(acc + r * TOKEN_TILE * CPU_ROWS, 0, sizeof *acc * CPU_ROWS * (size_t)n);
    if (takes_int8(m, j->f32_act)) {
        int form = m->dtype == KN_I4 ? FOR_INT4 : FOR_INT8;
        q8_tile(m, b, R, &j->x8, &j->x8.main[form], t0, n, acc);
        if (is_output(m)) q8_tile(m, b, R, &j->x8, &j->x8.rest[form], t0, n, acc);
        add_outliers(&j->x8, column, R, t0, n, acc);
        return;
    }
    for (int r = 0; r < R; r++)
        f32_block(m, b + r, j->xhat + t0 * j->Dp, j->Dp, n, acc + r * TOKEN_TILE * CPU_ROWS);
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
    bool is_pair = l->epi == KN_EPI_SWIGLU;
    float *acc = j->acc + (int64_t)i * 2 * ACC, *column[2];
    for (int part = 0; part < 2; part++)
        column[part] = j->column + (2 * i + part) * j->x8.n_channels * BLOCKS * CPU_ROWS;
    int64_t from, to;
    cpu_span(j->n_units, 1, j->n_tasks, i, &from, &to);
    for (int64_t unit = from, b; unit < to;) {
        int p, R;
        find_unit(l, unit, &p, &b);
        R = unit + 1 < to && b + 1 < l->w->mat[p].n_blocks ? BLOCKS : 1;
        for (int part = p; part <= p + is_pair; part++)
            if (takes_int8(&l->w->mat[part], j->f32_act))
                widen_columns(&l->w->mat[part], b, R, &j->x8, column[part - p]);
        for (int64_t t = 0; t < j->T; t += TOKEN_TILE) {
            int64_t n = j->T - t < TOKEN_TILE ? j->T - t : TOKEN_TILE;
            product(&l->w->mat[p], b, R, j, column[0], t, n, acc);
            if (is_pair) product(&l->w->mat[1], b, R, j, column[1], t, n, acc + ACC);
            for (int r = 0; r < R; r++)
                epilogue(j, p, b + r, t, n, acc + r * ACC / BLOCKS, acc + ACC + r * ACC / BLOCKS);
        }
        unit += R;
    }
}

/* ---- one token ----------------------------------------------------------------------------- */

static void product_one(const struct cpu_mat *m, int64_t b, const struct linear_job *j,
                        const struct own_row *w, float *acc) {
    memset(acc, 0, CPU_ROWS * sizeof *acc);
    if (!takes_int8(m, j->f32_act)) {
        f32_block(m, b, w->xhat, j->Dp, 1, acc);
        return;
    }
    q8_block(m, b, &w->x8, w->rest, acc);
    for (int32_t k = 0; k < w->x8.n_outliers[0]; k++) {
        float column[CPU_ROWS]; /* its lines were just read */
        widen_column(m, b, w->x8.outlier[k].i, column);
        for (int h = 0; h < CPU_ROWS; h += VL)
            vf_store(acc + h,
                     vf_fma(vf_load(column + h), vf_set(w->x8.outlier[k].x), vf_load(acc + h)));
    }
}

static void run_one(void *arg, int i) {
    struct linear_job *j = arg;
    const struct kn_linear *l = j->l;
    const struct own_row *w = &j->own[i];
    bool is_pair = l->epi == KN_EPI_SWIGLU;
    int64_t from, to, b;
    int p;
    cpu_span(j->n_units, 1, j->n_tasks, i, &from, &to);
    if (from == to) return;
    find_unit(l, from, &p, &b);
    norm_row(l, 0, w->xhat, j->Dp);
    struct quants x8 = w->x8;
    if (x8.outlier) quantise_row(&x8, w->xhat, 0, 0);
    for (int64_t unit = from; unit < to; unit++) {
        _Alignas(64) float acc[2][CPU_ROWS];
        find_unit(l, unit, &p, &b);
        product_one(&l->w->mat[p], b, j, w, acc[0]);
        if (is_pair) product_one(&l->w->mat[1], b, j, w, acc[1]);
        epilogue(j, p, b, 0, 1, acc[0], acc[1]);
    }
}

/* ---- the operation ------------------------------------------------------------------------- */

static void place_rows(struct linear_job *j, char *base, size_t *used, const bool *has,
                       const bool *has_rest) {
    j->own = place(base, used, (size_t)j->n_tasks * sizeof *j->own);
    for (int i = 0; i < j->n_tasks; i++) {
        struct own_row w = {.xhat = place(base, used, (size_t)j->Dp * sizeof *w.xhat)};
        w.rest = place(base, used, (size_t)j->n_steps * CPU_ROWS * sizeof *w.rest);
        if (has[FOR_INT4] || has[FOR_INT8])
            quants_place(&w.x8, 1, j->Dp, 1, has, has_rest, base, used);
        if (base) j->own[i] = w;
    }
}

/* Cuts scratch memory into the parts of the job; base NULL only counts. */
static size_t place_parts(struct linear_job *j, char *base, const bool *has, const bool *has_rest) {
    size_t used = 0, T = (size_t)j->T, row = (size_t)j->Dp, tasks = (size_t)j->n_tasks;
    if (T == 1) {
        place_rows(j, base, &used, has, has_rest);
        return used;
    }
    j->xhat = place(base, &used, T * row * sizeof *j->xhat);
    j->acc = place(base, &used, tasks * 2 * BLOCKS * TOKEN_TILE * CPU_ROWS * sizeof *j->acc);
    if (!has[FOR_INT4] && !has[FOR_INT8]) return used;
    size_t n_columns = T * (size_t)j->n_steps < row ? T * (size_t)j->n_steps : row;
    j->column = place(base, &used, tasks * n_columns * 2 * BLOCKS * CPU_ROWS * sizeof *j->column);
    quants_place(&j->x8, j->T, j->Dp, j->n_tasks, has, has_rest, base, &used);
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
    if (j.T == 1) {
        if (l->add.data) add_row(l, 0);
        cpu_parallel(dev, j.n_tasks, run_one, &j);
        return 0;
    }
    cpu_parallel(dev, j.T < 8 ? 1 : j.n_tasks, run_prologue, &j);
    if (j.x8.outlier) quants_name_channels(&j.x8);
    cpu_parallel(dev, j.n_tasks, run_blocks, &j);
    return 0;
}

#endif
