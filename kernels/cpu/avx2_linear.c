/* avx2_linear.c - linear with AVX2 and FMA: exact f32 products, and int8 products by vpmaddubsw.
 *
 * op        out[i] = epi(pro(x) W_i'); reference ref_linear
 * args      as in kn.h; W int4 or int8 in words of 16 rows (cpu.h), x int8 in groups of 64
 * work      a task is a range of 16-row blocks, all tokens; tile 8 rows x 4 tokens in registers
 * smem      accumulators of 48 tokens x 32 rows, 6 KB of L1
 * cost      2 T O D operations; weights O D / 2 bytes (int4), read once for all tokens of a call
 * limit     T = 1: memory; else instruction issue: and, maddubs, madd, add for 64 products
 * numerics  as avx512_linear.c: the same integers, the same f32 sums. An int8 weight is split into
 *           nibbles: 15 x 127 x 2 fits 16 bits where 255 x 127 x 2 would saturate
 * refuses   nothing: zero points and groups that 64 does not divide take the f32 product
 * measured  docs/PERF.md, CPU */
#include "kernels/cpu/simd_linear.h"

#define FORCE_INLINE static inline __attribute__((always_inline))

static inline __m256i broadcast4(const int8_t *q) {
    int32_t v;
    memcpy(&v, q, sizeof v);
    return _mm256_set1_epi32(v);
}

/* a + sum over 4 of unsigned nibbles times signed bytes, times `weight` (1 or 16). */
FORCE_INLINE __m256i dot4(__m256i a, __m256i u, __m256i s, __m256i weight) {
    return _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), weight));
}

/* One half block (8 rows) x N tokens from `lane` of the tile at t on. */
FORCE_INLINE void tile(const struct cpu_mat *m, int64_t b, int h, const struct quants *x,
                       const struct quant *form, int64_t t, int64_t lane, const int N,
                       const bool is_int4, float *acc) {
    const __m256i low = _mm256_set1_epi8(15), one = _mm256_set1_epi16(1);
    const __m256i high = is_int4 ? one : _mm256_set1_epi16(16);
    const int n_words = is_int4 ? STEP / 8 : STEP / 4;
    for (int64_t s = 0; s < x->n_steps; s++) {
        const uint32_t *words = cpu_words(m, b, s * n_words) + h * VL;
        const int8_t *q = form->q + t * x->Dp + (s * STEP * x->lanes + lane * 8);
        int64_t at = t * x->n_steps + s * x->lanes + lane;
        __m256i a[Q_LANES];
        for (int i = 0; i < N; i++)
            a[i] = _mm256_set1_epi32(form->corr[at + i]);
        for (int w = 0; w < n_words; w++) {
            __m256i lo = vi_load(words + w * CPU_ROWS);
            __m256i hi = _mm256_and_si256(_mm256_srli_epi16(lo, 4), low);
            lo = _mm256_and_si256(lo, low);
            const int8_t *p = is_int4 ? q + w * x->lanes * 8 : q + w / 2 * x->lanes * 8 + w % 2 * 4;
            for (int i = 0; i < N; i++) {
                a[i] = dot4(a[i], lo, broadcast4(p + i * 8), one);
                a[i] = dot4(a[i], hi, broadcast4(p + i * 8 + (is_int4 ? 4 : 0)), high);
            }
        }
        vf ws = load_scale(m, b, m->n_groups == 1 ? 0 : s * STEP / m->group, h);
        for (int i = 0; i < N; i++) {
            float *y = acc + i * CPU_ROWS + h * VL;
            vf v = vf_mul(_mm256_cvtepi32_ps(a[i]), vf_set(form->scale[at + i]));
            vf_store(y, vf_fma(v, ws, vf_load(y)));
        }
    }
}

FORCE_INLINE void tiles(const struct cpu_mat *m, int64_t b, const struct quants *x,
                        const struct quant *form, int64_t t0, int64_t n, const bool is_int4,
                        float *acc) {
    for (int64_t t = 0; t < n; t += x->lanes, acc += x->lanes * CPU_ROWS) {
        int64_t end = n - t < x->lanes ? n - t : x->lanes;
        for (int h = 0; h < CPU_ROWS / VL; h++) {
            if (end == Q_LANES) tile(m, b, h, x, form, t0 + t, 0, Q_LANES, is_int4, acc);
            for (int64_t lane = 0; end < Q_LANES && lane < end; lane++)
                tile(m, b, h, x, form, t0 + t, lane, 1, is_int4, acc + lane * CPU_ROWS);
        }
    }
}

static void q8_tile(const struct cpu_mat *m, int64_t b, int R, const struct quants *x,
                    const struct quant *form, int64_t t0, int64_t n, float *acc) {
    for (int r = 0; r < R; r++, acc += TOKEN_TILE * CPU_ROWS) {
        if (m->dtype == KN_I4)
            tiles(m, b + r, x, form, t0, n, true, acc);
        else
            tiles(m, b + r, x, form, t0, n, false, acc);
    }
}

static void q8_block(const struct cpu_mat *m, int64_t b, const struct quants *x, float *rest,
                     float *acc) {
    (void)rest;
    int f = m->dtype == KN_I4 ? FOR_INT4 : FOR_INT8;
    q8_tile(m, b, 1, x, &x->main[f], 0, 1, acc);
    if (is_output(m)) q8_tile(m, b, 1, x, &x->rest[f], 0, 1, acc);
}

int avx2_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    return run_linear(dev, l, err);
}
