/* simd_gdn.h - convolution, gates and gated delta rule for one vector level, included once by each
 * avx*_gdn.c. The recurrent form throughout, so that the state is the same in every bit however a
 * prefill is cut (docs/KERNELS.md 7.2).
 *
 * Two shapes of one arithmetic. Few tokens: rows of the state as they lie in memory, Dk contiguous,
 * VL rows at a time, their sums brought together by a tree of shuffles. Many tokens: VL columns of
 * Dv side by side in L1, transposed once for all tokens; there the same tree adds whole registers.
 */
#ifndef SIMD_GDN_H
#define SIMD_GDN_H

#include "kernels/cpu/cpu_fast.h"
#include "kernels/cpu/cpu_ref.h"
#include "kernels/cpu/simd.h"

#include <math.h>

enum {
    TAPS = 4,      /* other widths take the reference */
    MAX_DK = 256,  /* of a head; larger ones take the reference */
    MANY = 6,      /* tokens from which transposing the state pays */
    STEP_ROWS = 32 /* rows of Dv a task takes when tokens are few */
};

struct gdn_job {
    const struct kn_gdn *g;
    int64_t T, Hk, Hv, Dk, Dv, Kd, channels;
    float *z;            /* [T][channels]: after convolution, SiLU and L2 norm; many tokens only */
    float *decay, *beta; /* [T][Hv] */
    int n_tasks;
};

/* ---- sums of VL vectors -------------------------------------------------------------------- */

/* Lane r of the result is the sum of p[r]: lanes j and j + VL/2 first, neighbours last. */
static inline vf sum_rows(const vf *p) {
#if defined(__AVX512F__)
    vf t[8], u[4], v[2];
    for (int i = 0; i < 8; i++)
        t[i] = vf_add(_mm512_shuffle_f32x4(p[i], p[i + 8], 0x44),
                      _mm512_shuffle_f32x4(p[i], p[i + 8], 0xee));
    for (int i = 0; i < 4; i++)
        u[i] = vf_add(_mm512_shuffle_f32x4(t[i], t[i + 4], 0x88),
                      _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd));
    for (int i = 0; i < 2; i++) {
        __m512d a = _mm512_castps_pd(u[i]), b = _mm512_castps_pd(u[i + 2]);
        v[i] = vf_add(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                      _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    vf w = vf_add(_mm512_shuffle_ps(v[0], v[1], 0x88), _mm512_shuffle_ps(v[0], v[1], 0xdd));
    const __m512i order = _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
    return _mm512_permutexvar_ps(order, w);
#else
    vf t[4], u[2];
    for (int i = 0; i < 4; i++)
        t[i] = vf_add(_mm256_permute2f128_ps(p[i], p[i + 4], 0x20),
                      _mm256_permute2f128_ps(p[i], p[i + 4], 0x31));
    for (int i = 0; i < 2; i++) {
        __m256d a = _mm256_castps_pd(t[i]), b = _mm256_castps_pd(t[i + 2]);
        u[i] = vf_add(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)),
                      _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
    }
    vf w = vf_add(_mm256_shuffle_ps(u[0], u[1], 0x88), _mm256_shuffle_ps(u[0], u[1], 0xdd));
    return _mm256_permutevar8x32_ps(w, _mm256_setr_epi32(0, 2, 1, 3, 4, 6, 5, 7));
#endif
}

/* ---- convolution and gates ----------------------------------------------------------------- */

/* Taps of VL channels, [VL][4] in memory, one register a tap: a 4 x 4 turn in every quarter
 * register, then the channels in order. n < VL: only n of them may be read. */
static inline void load_taps(const float *p, int64_t n, vf tap[TAPS]) {
    float edge[TAPS * VL] = {0};
    if (n < VL) {
        memcpy(edge, p, (size_t)(n * TAPS) * sizeof *p);
        p = edge;
    }
#if defined(__AVX512F__)
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    vf v[TAPS]; /* v[i]: taps 0 of channels 4i.. | taps 1 | taps 2 | taps 3 */
    for (int i = 0; i < TAPS; i++)
        v[i] = _mm512_permutexvar_ps(order, vf_load(p + i * VL));
    vf a = _mm512_shuffle_f32x4(v[0], v[1], 0x44), b = _mm512_shuffle_f32x4(v[2], v[3], 0x44);
    vf c = _mm512_shuffle_f32x4(v[0], v[1], 0xee), d = _mm512_shuffle_f32x4(v[2], v[3], 0xee);
    tap[0] = _mm512_shuffle_f32x4(a, b, 0x88);
    tap[1] = _mm512_shuffle_f32x4(a, b, 0xdd);
    tap[2] = _mm512_shuffle_f32x4(c, d, 0x88);
    tap[3] = _mm512_shuffle_f32x4(c, d, 0xdd);
#else
    vf v[TAPS]; /* channels 0 1 | 2 3 | 4 5 | 6 7 */
    for (int i = 0; i < TAPS; i++)
        v[i] = vf_load(p + i * VL);
    vf a = _mm256_unpacklo_ps(v[0], v[1]), b = _mm256_unpackhi_ps(v[0], v[1]);
    vf c = _mm256_unpacklo_ps(v[2], v[3]), d = _mm256_unpackhi_ps(v[2], v[3]);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* from 0 2 4 6 | 1 3 5 7 */
    tap[0] = _mm256_permutevar8x32_ps(_mm256_shuffle_ps(a, c, 0x44), order);
    tap[1] = _mm256_permutevar8x32_ps(_mm256_shuffle_ps(a, c, 0xee), order);
    tap[2] = _mm256_permutevar8x32_ps(_mm256_shuffle_ps(b, d, 0x44), order);
    tap[3] = _mm256_permutevar8x32_ps(_mm256_shuffle_ps(b, d, 0xee), order);
#endif
}

/* n channels of one input tensor for tokens [from, to); c_in counts within the tensor, c within
 * q|k|v. z [to - from][stride]. The window of raw inputs slides through registers. */
static void convolve(const struct kn_gdn *g, kn_in in, int64_t c_in, int64_t c, int64_t n,
                     int64_t from, int64_t to, float *z, int64_t stride) {
    int64_t channels = g->taps.rows, keep = TAPS - 1;
    const float *raw = in->data, *conv = g->conv.data;
    for (int64_t i = 0; i < n; i += VL) {
        vf tap[TAPS], r[TAPS];
        load_taps((const float *)g->taps.data + (c + i) * TAPS, n - i, tap);
        for (int w = 0; w < TAPS - 1; w++) {
            int64_t t = from - keep + w;
            const float *row = t < 0 ? conv + (keep + t) * channels + c : raw + t * in->cols + c_in;
            r[w] = vf_load_n(row + i, n - i);
        }
        for (int64_t t = from; t < to; t++) {
            r[3] = vf_load_n(raw + t * in->cols + c_in + i, n - i);
            vf sum = vf_mul(tap[0], r[0]);
            for (int w = 1; w < TAPS; w++)
                sum = vf_fma(tap[w], r[w], sum);
            vf_store_n(z + (t - from) * stride + i, n - i, vf_silu(sum));
            r[0] = r[1];
            r[1] = r[2];
            r[2] = r[3];
        }
    }
}

/* Keeps the last three raw inputs, oldest first, of n channels; c_in and c as in convolve(). */
static void shift_conv(const struct kn_gdn *g, kn_in in, int64_t c_in, int64_t c, int64_t n) {
    int64_t keep = TAPS - 1, channels = g->taps.rows, T = in->rows;
    float *conv = (float *)g->conv.data + c;
    for (int64_t r = 0; r < keep; r++) {
        int64_t t = T - keep + r; /* negative: still in the old state */
        const float *from =
            t < 0 ? conv + (keep + t) * channels : (const float *)in->data + t * in->cols + c_in;
        memcpy(conv + r * channels, from, (size_t)n * sizeof *conv);
    }
}

static void l2_norm(float *x, int64_t n, float eps, float scale) {
    vf r = vf_set(simd_rsqrt(simd_square_sum(x, n) + eps) * scale);
    for (int64_t i = 0; i < n; i += VL)
        vf_store_n(x + i, n - i, vf_mul(vf_load_n(x + i, n - i), r));
}

static float q_scale(int64_t Dk) {
    return simd_rsqrt((float)Dk);
}

static void gates(const struct kn_gdn *g, int64_t t, int64_t h, float *decay, float *beta) {
    int64_t i = t * g->n_v_heads + h;
    float rate = -expf(((const float *)g->a_log.data)[h]);
    float z = ((const float *)g->a.data)[i] + ((const float *)g->dt_bias.data)[h];
    *decay = expf(rate * ref_softplus(z));
    *beta = g->beta_max * ref_sigmoid(((const float *)g->b.data)[i]);
}

/* ---- few tokens: rows as stored ------------------------------------------------------------ */

/* VL rows (n of them real) of one head through one token. k, q: nc vectors, zero behind Dk. */
static inline __attribute__((always_inline)) void
step_rows(float *S, const int64_t Dk, const int64_t nc, const int64_t n, const float *k,
          const float *q, const float *v, float decay, float beta, float *y) {
    const bool is_full = Dk % VL == 0;
    vf p[VL], g = vf_set(decay);
    float e[VL];
    UNROLL
    for (int r = 0; r < VL; r++) {
        p[r] = vf_set(0.0f);
        for (int64_t c = 0; r < n && c < nc; c++) {
            const float *at = S + r * Dk + c * VL;
            vf s = is_full ? vf_load(at) : vf_load_n(at, Dk - c * VL);
            p[r] = c ? vf_fma(s, vf_load(k + c * VL), p[r]) : vf_mul(s, vf_load(k));
        }
    }
    vf sk = vf_mul(g, sum_rows(p));
    vf_store(e, vf_mul(vf_set(beta), vf_sub(vf_load_n(v, n), sk)));
    UNROLL
    for (int r = 0; r < VL; r++)
        for (int64_t c = 0; r < n && c < nc; c++) {
            float *at = S + r * Dk + c * VL;
            vf s = vf_mul(g, is_full ? vf_load(at) : vf_load_n(at, Dk - c * VL));
            s = vf_fma(vf_load(k + c * VL), vf_set(e[r]), s);
            if (is_full)
                vf_store(at, s);
            else
                vf_store_n(at, Dk - c * VL, s);
            p[r] = c ? vf_fma(s, vf_load(q + c * VL), p[r]) : vf_mul(s, vf_load(q));
        }
    vf_store_n(y, n, sum_rows(p));
}

/* Task: one head, STEP_ROWS of its Dv; it makes the q and k of its head itself. */
static void run_few(void *arg, int i) {
    struct gdn_job *j = arg;
    const struct kn_gdn *g = j->g;
    int64_t slices = (j->Dv + STEP_ROWS - 1) / STEP_ROWS, h = i / slices,
            d0 = i % slices * STEP_ROWS;
    int64_t hk = h / (j->Hv / j->Hk), nc = (j->Dk + VL - 1) / VL;
    int64_t n = j->Dv - d0 < STEP_ROWS ? j->Dv - d0 : STEP_ROWS;
    float q[MAX_DK + VL], k[MAX_DK + VL], v[STEP_ROWS + VL], decay, beta;
    memset(q, 0, sizeof q);
    memset(k, 0, sizeof k);
    for (int64_t t = 0; t < j->T; t++) {
        convolve(g, &g->q, hk * j->Dk, hk * j->Dk, j->Dk, t, t + 1, q, 0);
        convolve(g, &g->k, hk * j->Dk, j->Kd + hk * j->Dk, j->Dk, t, t + 1, k, 0);
        convolve(g, &g->v, h * j->Dv + d0, 2 * j->Kd + h * j->Dv + d0, n, t, t + 1, v, 0);
        l2_norm(q, j->Dk, g->l2_eps, q_scale(j->Dk));
        l2_norm(k, j->Dk, g->l2_eps, 1.0f);
        gates(g, t, h, &decay, &beta);
        for (int64_t d = 0; d < n; d += VL) {
            float *S = (float *)g->state.data + (h * j->Dv + d0 + d) * j->Dk;
            float *y = (float *)g->out.data + t * j->Hv * j->Dv + h * j->Dv + d0 + d;
            int64_t rows = n - d < VL ? n - d : VL;
            if (rows == VL && j->Dk == 4 * VL)
                step_rows(S, 4 * VL, 4, VL, k, q, v + d, decay, beta, y);
            else
                step_rows(S, j->Dk, nc, rows, k, q, v + d, decay, beta, y);
        }
    }
    /* Nobody else reads these channels: their lines need not travel to the caller's core. */
    shift_conv(g, &g->v, h * j->Dv + d0, 2 * j->Kd + h * j->Dv + d0, n);
}

/* ---- many tokens: columns side by side ------------------------------------------------------ */

static void run_inputs(void *arg, int i) {
    struct gdn_job *j = arg;
    const struct kn_gdn *g = j->g;
    int64_t from, to;
    cpu_span(j->T, 1, j->n_tasks, i, &from, &to);
    float *z = j->z + from * j->channels;
    convolve(g, &g->q, 0, 0, j->Kd, from, to, z, j->channels);
    convolve(g, &g->k, 0, j->Kd, j->Kd, from, to, z + j->Kd, j->channels);
    convolve(g, &g->v, 0, 2 * j->Kd, j->Hv * j->Dv, from, to, z + 2 * j->Kd, j->channels);
    for (int64_t t = from; t < to; t++) {
        for (int64_t h = 0; h < 2 * j->Hk; h++)
            l2_norm(j->z + t * j->channels + h * j->Dk, j->Dk, g->l2_eps,
                    h < j->Hk ? q_scale(j->Dk) : 1.0f);
        for (int64_t h = 0; h < j->Hv; h++)
            gates(g, t, h, j->decay + t * j->Hv + h, j->beta + t * j->Hv + h);
    }
}

/* Sum over c of S[c * VL + j] k[c * VL + j], one column of Dv a lane. */
static inline vf column_dot(const float *S, const float *k, int64_t nc, int64_t Dk, int j) {
    vf p = vf_mul(vf_load(S + j * VL), vf_set(k[j]));
    for (int64_t c = 1; c < nc; c++) {
        int64_t i = c * VL + j;
        p = vf_fma(vf_load(S + i * VL), vf_set(i < Dk ? k[i] : 0.0f), p);
    }
    return p;
}

/* The same after S <- decay S + k e. */
static inline vf column_update(float *S, const float *k, const float *q, int64_t nc, int64_t Dk,
                               int j, vf g, vf e) {
    vf p = vf_set(0.0f);
    for (int64_t c = 0; c < nc; c++) {
        int64_t i = c * VL + j;
        bool is_real = i < Dk;
        vf s = vf_fma(vf_set(is_real ? k[i] : 0.0f), e, vf_mul(g, vf_load(S + i * VL)));
        vf_store(S + i * VL, s);
        vf x = vf_set(is_real ? q[i] : 0.0f);
        p = c ? vf_fma(s, x, p) : vf_mul(s, x);
    }
    return p;
}

/* The tree of sum_rows over VL whole registers. */
static inline vf sum_columns(vf *p) {
    UNROLL
    for (int half = VL / 2; half > 0; half /= 2) {
        UNROLL
        for (int j = 0; j < half; j++)
            p[j] = vf_add(p[j], p[j + half]);
    }
    return p[0];
}

static inline __attribute__((always_inline)) void step_columns(float *S, const int64_t Dk,
                                                               const int64_t nc, const float *k,
                                                               const float *q, vf v, float decay,
                                                               float beta, float *y, int64_t n) {
    vf g = vf_set(decay), p[VL];
    UNROLL
    for (int j = 0; j < VL; j++)
        p[j] = column_dot(S, k, nc, Dk, j);
    vf e = vf_mul(vf_set(beta), vf_sub(v, vf_mul(g, sum_columns(p))));
    UNROLL
    for (int j = 0; j < VL; j++)
        p[j] = column_update(S, k, q, nc, Dk, j, g, e);
    vf_store_n(y, n, sum_columns(p));
}

/* Task: one head, VL of its Dv, all tokens; S [Dk][VL] lives in L1. */
static void run_many(void *arg, int i) {
    struct gdn_job *j = arg;
    const struct kn_gdn *g = j->g;
    int64_t slices = (j->Dv + VL - 1) / VL, h = i / slices, d0 = i % slices * VL, Dk = j->Dk;
    int64_t hk = h / (j->Hv / j->Hk), nc = (Dk + VL - 1) / VL,
            n = j->Dv - d0 < VL ? j->Dv - d0 : VL;
    _Alignas(64) float S[MAX_DK * VL];
    float *state = (float *)g->state.data + (h * j->Dv + d0) * Dk;
    memset(S, 0, (size_t)(nc * VL * VL) * sizeof *S);
    for (int64_t d = 0; d < n; d++)
        for (int64_t x = 0; x < Dk; x++)
            S[x * VL + d] = state[d * Dk + x];
    for (int64_t t = 0; t < j->T; t++) {
        const float *z = j->z + t * j->channels, *k = z + j->Kd + hk * Dk, *q = z + hk * Dk;
        vf v = vf_load_n(z + 2 * j->Kd + h * j->Dv + d0, n);
        float decay = j->decay[t * j->Hv + h], beta = j->beta[t * j->Hv + h];
        float *y = (float *)g->out.data + t * j->Hv * j->Dv + h * j->Dv + d0;
        if (Dk == 4 * VL)
            step_columns(S, 4 * VL, 4, k, q, v, decay, beta, y, n);
        else
            step_columns(S, Dk, nc, k, q, v, decay, beta, y, n);
    }
    for (int64_t d = 0; d < n; d++)
        for (int64_t x = 0; x < Dk; x++)
            state[d * Dk + x] = S[x * VL + d];
}

/* ---- the operation ------------------------------------------------------------------------- */

static int run_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    struct gdn_job j = {.g = g, .T = g->q.rows, .Hk = g->n_k_heads, .Hv = g->n_v_heads};
    j.Dk = g->q.cols / j.Hk;
    j.Dv = g->v.cols / j.Hv;
    j.Kd = g->q.cols;
    j.channels = g->taps.rows;
    if (g->taps.cols != TAPS || j.Dk > MAX_DK) return ref_gdn(dev, g, err);
    if (j.T < MANY) {
        cpu_parallel(dev, (int)(j.Hv * ((j.Dv + STEP_ROWS - 1) / STEP_ROWS)), run_few, &j);
        shift_conv(g, &g->q, 0, 0, j.Kd);
        shift_conv(g, &g->k, 0, j.Kd, j.Kd);
        return 0;
    }
    void *mem;
    int rc =
        cpu_scratch(dev, (size_t)j.T * (size_t)(j.channels + 2 * j.Hv) * sizeof *j.z, &mem, err);
    if (rc) return rc;
    j.z = mem;
    j.decay = j.z + j.T * j.channels;
    j.beta = j.decay + j.T * j.Hv;
    j.n_tasks = cpu_threads(dev);
    cpu_parallel(dev, j.n_tasks, run_inputs, &j);
    cpu_parallel(dev, (int)(j.Hv * ((j.Dv + VL - 1) / VL)), run_many, &j);
    shift_conv(g, &g->q, 0, 0, j.Kd);
    shift_conv(g, &g->k, 0, j.Kd, j.Kd);
    shift_conv(g, &g->v, 0, 2 * j.Kd, g->v.cols);
    return 0;
}

#endif
