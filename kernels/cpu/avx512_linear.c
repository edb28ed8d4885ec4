/* avx512_linear.c - linear with AVX-512: exact f32 products and int8 products by VNNI.
 *
 * op        out[i] = epi(pro(x) W_i'); reference ref_linear
 * args      as in kn.h; W int4 or int8 in words of 16 rows (cpu.h), x int8 in groups of 64
 * work      a task is a range of 16-row blocks, all tokens; tile 32 rows x 8 tokens in registers
 * smem      accumulators of 64 tokens x 32 rows, 8 KB of L1
 * cost      2 T O D operations; weights O D / 2 bytes (int4), read once for all tokens of a call
 * limit     T = 1: memory; T >= 16: one vpdpbusd a cycle
 * numerics  int32 sums of a group are exact, f32 over groups in rising order; f32 mode: one chain
 * refuses   nothing: zero points and groups that 64 does not divide take the f32 product
 * measured  docs/PERF.md, CPU */
#include "kernels/cpu/simd_linear.h"

#define FORCE_INLINE static inline __attribute__((always_inline))

enum { TILE_TOKENS = 8 };

static inline __m512i broadcast4(const int8_t *q) {
    int32_t v;
    memcpy(&v, q, sizeof v);
    return _mm512_set1_epi32(v);
}

/* R blocks x N tokens, both constant: sums of a step stay in registers, f32 sums in L1 (N = 1: in a
 * register as well). */
FORCE_INLINE void tile(const struct cpu_mat *m, int64_t b, const int R, const struct linear_job *j,
                       const struct quant *x, int64_t t, const int N, const bool is_int4,
                       float *acc) {
    const __m512i low = _mm512_set1_epi8(15);
    const int n_words = is_int4 ? STEP / 8 : STEP / 4;
    __m512 f[BLOCKS][TILE_TOKENS];
    for (int r = 0; r < R; r++)
        for (int i = 0; i < N && N <= 2; i++)
            f[r][i] = _mm512_loadu_ps(acc + (r * TOKEN_TILE + i) * CPU_ROWS);
    for (int64_t s = 0; s < j->n_steps; s++) {
        const uint32_t *words = m->words + (b * m->n_words + s * n_words) * CPU_ROWS;
        const int8_t *q = x->q + t * j->Dp + s * STEP;
        __m512i a[BLOCKS][TILE_TOKENS];
        for (int i = 0; i < N; i++)
            for (int r = 0; r < R; r++)
                a[r][i] = _mm512_set1_epi32(x->corr[(t + i) * j->n_steps + s]);
        for (int w = 0; w < n_words; w++) {
            __m512i lo[BLOCKS], hi[BLOCKS];
            for (int r = 0; r < R; r++) {
                lo[r] = _mm512_load_si512(words + (r * m->n_words + w) * CPU_ROWS);
                if (!is_int4) continue;
                hi[r] = _mm512_and_si512(_mm512_srli_epi16(lo[r], 4), low);
                lo[r] = _mm512_and_si512(lo[r], low);
            }
            for (int i = 0; i < N; i++) {
                __m512i ql = broadcast4(q + i * j->Dp + w * (is_int4 ? 8 : 4));
                for (int r = 0; r < R; r++)
                    a[r][i] = _mm512_dpbusd_epi32(a[r][i], lo[r], ql);
                if (!is_int4) continue;
                __m512i qh = broadcast4(q + i * j->Dp + w * 8 + 4);
                for (int r = 0; r < R; r++)
                    a[r][i] = _mm512_dpbusd_epi32(a[r][i], hi[r], qh);
            }
        }
        int64_t g = m->n_groups == 1 ? 0 : s * STEP / m->group;
        for (int r = 0; r < R; r++) {
            vf ws = load_scale(m, b + r, g, 0);
            for (int i = 0; i < N; i++) {
                float *at = acc + (r * TOKEN_TILE + i) * CPU_ROWS;
                vf xs = vf_set(x->scale[(t + i) * j->n_steps + s]);
                vf y = vf_mul(_mm512_cvtepi32_ps(a[r][i]), xs);
                if (N <= 2)
                    f[r][i] = vf_fma(y, ws, f[r][i]);
                else
                    vf_store(at, vf_fma(y, ws, vf_load(at)));
            }
        }
    }
    for (int r = 0; r < R; r++)
        for (int i = 0; i < N && N <= 2; i++)
            _mm512_storeu_ps(acc + (r * TOKEN_TILE + i) * CPU_ROWS, f[r][i]);
}

FORCE_INLINE void tiles(const struct cpu_mat *m, int64_t b, const int R, const struct linear_job *j,
                        const struct quant *x, int64_t t0, int64_t n, const bool is_int4,
                        float *acc) {
    int64_t t = 0;
    for (; t + TILE_TOKENS <= n; t += TILE_TOKENS)
        tile(m, b, R, j, x, t0 + t, TILE_TOKENS, is_int4, acc + t * CPU_ROWS);
    for (; t + 2 <= n; t += 2)
        tile(m, b, R, j, x, t0 + t, 2, is_int4, acc + t * CPU_ROWS);
    if (t < n) tile(m, b, R, j, x, t0 + t, 1, is_int4, acc + t * CPU_ROWS);
}

static void q8_tile(const struct cpu_mat *m, int64_t b, int R, const struct linear_job *j,
                    const struct quant *x, int64_t t0, int64_t n, float *acc) {
    bool is_int4 = m->dtype == KN_I4;
    if (is_int4 && R == 2)
        tiles(m, b, 2, j, x, t0, n, true, acc);
    else if (is_int4)
        tiles(m, b, 1, j, x, t0, n, true, acc);
    else if (R == 2)
        tiles(m, b, 2, j, x, t0, n, false, acc);
    else
        tiles(m, b, 1, j, x, t0, n, false, acc);
}

int avx512_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    return run_linear(dev, l, err);
}
