/* avx512_linear.c - linear with AVX-512: exact f32 products and int8 products by VNNI.
 *
 * op        out[i] = epi(pro(x) W_i'); reference ref_linear
 * args      as in kn.h; W int4 or int8 in words of 16 rows (cpu.h), x int8 in groups of 64
 * work      a task is a range of 16-row blocks, all tokens; tile 32 rows x 12 tokens in registers
 * smem      accumulators of 48 tokens x 32 rows, 6 KB of L1
 * cost      2 T O D operations; weights O D / 2 bytes (int4), read once for all tokens of a call
 * limit     T = 1: memory; T >= 16: one vpdpbusd a cycle
 * numerics  int32 sums of a group are exact, f32 over groups in rising order; f32 mode: one chain
 * refuses   nothing: zero points and groups that 64 does not divide take the f32 product
 * measured  docs/PERF.md, CPU */
#include "kernels/cpu/simd_linear.h"

#define FORCE_INLINE static inline __attribute__((always_inline))

/* a + 4 products a lane: unsigned weights times four signed activations from memory, in one
 * instruction. As assembly because gcc 12 copies each accumulator around the intrinsic. */
FORCE_INLINE __m512i dot4(__m512i a, __m512i w, const int8_t *q) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0"
            : "+v"(a)
            : "v"(w), "m"(*(const char(*)[4])(const void *)q));
    return a;
}

FORCE_INLINE __m512i broadcast4(const int8_t *q) {
    int32_t v;
    memcpy(&v, q, sizeof v);
    return _mm512_set1_epi32(v);
}

/* The two registers of weights for 8 inputs of a block, words at w. */
FORCE_INLINE void load_weights(const uint32_t *w, const bool is_int4, __m512i *first,
                               __m512i *second) {
    const __m512i low = _mm512_set1_epi8(15);
    *first = _mm512_load_si512(w);
    __asm__("" : "+v"(*first)); /* once: gcc would load it again for the shift */
    if (is_int4) {
        *second = _mm512_and_si512(_mm512_srli_epi16(*first, 4), low);
        *first = _mm512_and_si512(*first, low);
    } else {
        *second = _mm512_load_si512(w + CPU_ROWS);
    }
}

/* R blocks x N tokens, both constant. Integer sums of a step stay in registers; f32 sums stay there
 * too for one token, else in L1. lane: of the first token in its tile. */
FORCE_INLINE void tile(const struct cpu_mat *m, int64_t b, const int R, const struct quants *x,
                       const struct quant *form, int64_t t, int64_t lane, const int64_t lanes,
                       const int N, const bool is_int4, float *acc) {
    enum { WORDS = STEP / 8 };
    const int64_t n_steps = x->n_steps, row_words = (int64_t)(m->block_bytes / 4);
    const int word = is_int4 ? CPU_ROWS : 2 * CPU_ROWS; /* of 8 inputs */
    const int64_t run_steps = m->run_words / (is_int4 ? STEP / 8 : STEP / 4);
    const uint32_t *words = cpu_words(m, b, 0);
    int64_t next_run = run_steps;
    const int8_t *q = form->q + t * x->Dp + lane * 8;
    const float *scale = form->scale + t * n_steps + lane;
    const int32_t *corr = form->corr + t * n_steps + lane;
    __m512 f[BLOCKS] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int r = 0; r < R && N == 1; r++)
        f[r] = _mm512_loadu_ps(acc + r * TOKEN_TILE * CPU_ROWS);
    for (int64_t s = 0; s < n_steps; s++) {
        __m512i a[BLOCKS][Q_LANES];
        if (N > 1) __asm__ volatile("" ::: "memory"); /* or gcc keeps the f32 sums twice */
        __m512i a2[BLOCKS]; /* one token: a second chain, or the latency of vpdpbusd would show */
        UNROLL
        for (int i = 0; i < N; i++)
            for (int r = 0; r < R; r++)
                a[r][i] = _mm512_set1_epi32(corr[i]);
        for (int r = 0; r < R; r++)
            a2[r] = _mm512_setzero_si512();
        UNROLL
        for (int w = 0; w < WORDS; w++) {
            __m512i first[BLOCKS], second[BLOCKS];
            for (int r = 0; r < R; r++) {
                load_weights(words + r * row_words + w * word, is_int4, &first[r], &second[r]);
                /* One token streams its weights from memory: ask for the pair of blocks that
                 * follows. */
                if (N == 1)
                    _mm_prefetch((const char *)(words + (r + 2) * row_words + w * word),
                                 _MM_HINT_T0);
            }
            if (N == 1) { /* loads are short: one broadcast for both blocks */
                __m512i x0 = broadcast4(q + w * lanes * 8), x1 = broadcast4(q + w * lanes * 8 + 4);
                for (int r = 0; r < R; r++) {
                    a[r][0] = _mm512_dpbusd_epi32(a[r][0], first[r], x0);
                    a2[r] = _mm512_dpbusd_epi32(a2[r], second[r], x1);
                }
                continue;
            }
            UNROLL
            for (int i = 0; i < N; i++)
                for (int r = 0; r < R; r++)
                    a[r][i] = dot4(a[r][i], first[r], q + (w * lanes + i) * 8);
            UNROLL
            for (int i = 0; i < N; i++)
                for (int r = 0; r < R; r++)
                    a[r][i] = dot4(a[r][i], second[r], q + (w * lanes + i) * 8 + 4);
        }
        int64_t g = m->n_groups == 1 ? 0 : s * STEP / m->group;
        for (int r = 0; r < R; r++) {
            vf ws = load_scale(m, b + r, g, 0);
            if (N == 1) a[r][0] = _mm512_add_epi32(a[r][0], a2[r]);
            float *at = acc + r * TOKEN_TILE * CPU_ROWS;
            UNROLL
            for (int i = 0; i < N; i++) {
                vf y = vf_mul(_mm512_cvtepi32_ps(a[r][i]), vf_set(scale[i]));
                if (N == 1)
                    f[r] = vf_fma(y, ws, f[r]);
                else
                    vf_store(at + i * CPU_ROWS, vf_fma(y, ws, vf_load(at + i * CPU_ROWS)));
            }
        }
        words += WORDS * word;
        if (s + 1 == next_run) { /* scales of the next run stand between */
            words += m->words_at / 4;
            next_run += run_steps;
        }
        q += STEP * lanes;
        scale += lanes;
        corr += lanes;
    }
    for (int r = 0; r < R && N == 1; r++)
        _mm512_storeu_ps(acc + r * TOKEN_TILE * CPU_ROWS, f[r]);
}

FORCE_INLINE void tiles(const struct cpu_mat *m, int64_t b, const int R, const struct quants *x,
                        const struct quant *form, int64_t t0, int64_t n, const bool is_int4,
                        float *acc) {
    for (int64_t t = 0; t < n; t += x->lanes, acc += x->lanes * CPU_ROWS) {
        int64_t lane = 0, end = n - t < x->lanes ? n - t : x->lanes;
        if (end == Q_LANES) {
            tile(m, b, R, x, form, t0 + t, 0, Q_LANES, Q_LANES, is_int4, acc);
            continue;
        }
        for (; lane + 4 <= end; lane += 4)
            tile(m, b, R, x, form, t0 + t, lane, x->lanes, 4, is_int4, acc + lane * CPU_ROWS);
        for (; lane < end; lane++)
            tile(m, b, R, x, form, t0 + t, lane, x->lanes, 1, is_int4, acc + lane * CPU_ROWS);
    }
}

static void q8_tile(const struct cpu_mat *m, int64_t b, int R, const struct quants *x,
                    const struct quant *form, int64_t t0, int64_t n, float *acc) {
    bool is_int4 = m->dtype == KN_I4;
    if (is_int4 && R == 2)
        tiles(m, b, 2, x, form, t0, n, true, acc);
    else if (is_int4)
        tiles(m, b, 1, x, form, t0, n, true, acc);
    else if (R == 2)
        tiles(m, b, 2, x, form, t0, n, false, acc);
    else
        tiles(m, b, 1, x, form, t0, n, false, acc);
}

/* The group of step s: a division of its own would take as long as the step. */
FORCE_INLINE int64_t step_group(int64_t s, int64_t steps) {
    return steps == 1 ? s : steps == 0 ? 0 : (int64_t)((uint32_t)s / (uint32_t)steps);
}

/* Scales of step s of the run whose scales these are. */
FORCE_INLINE vf step_scale(const struct cpu_mat *m, const char *scales, int64_t s, int64_t steps) {
    int64_t g = step_group(s, steps);
    if (m->scale_bf16) return vf_from_bf16((const uint16_t *)(const void *)scales + g * CPU_ROWS);
    return vf_load((const float *)(const void *)scales + g * CPU_ROWS);
}

/* Steps under one scale; 0: a row has only one. */
static int64_t group_steps(const struct cpu_mat *m) {
    return m->n_groups == 1 ? 0 : m->group / STEP;
}

/* ---- one token ----------------------------------------------------------------------------- */

/* Walks straight through a block. Four chains of sums: vpdpbusd takes four cycles, and a line of
 * int4 is two of them. High nibbles stay where they are, 16 times too large until the step ends. */
FORCE_INLINE __m512 int4_sums(const char *line, const int8_t *q, __m512i corr) {
    const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8((char)0xf0);
    __m512i lo[2] = {corr, _mm512_setzero_si512()};
    __m512i hi[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    UNROLL
    for (int w = 0; w < STEP / 8; w++) {
        __m512i v = _mm512_load_si512(line + w * 64);
        __asm__("" : "+v"(v)); /* once: gcc would load it again for the second mask */
        lo[w % 2] = dot4(lo[w % 2], _mm512_and_si512(v, low), q + w * 8);
        hi[w % 2] = dot4(hi[w % 2], _mm512_and_si512(v, high), q + w * 8 + 4);
    }
    __m512i h = _mm512_srai_epi32(_mm512_add_epi32(hi[0], hi[1]), 4);
    return _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_add_epi32(lo[0], lo[1]), h));
}

static void int4_block(const struct cpu_mat *m, int64_t b, const struct quants *x, float *acc) {
    const struct quant *form = &x->main[FOR_INT4];
    const char *line = cpu_block(m, b);
    const int64_t steps = group_steps(m), run_steps = m->run_words / (STEP / 8);
    vf f = vf_load(acc);
    for (int64_t s = 0, end = run_steps; s < x->n_steps; end += run_steps) {
        const char *scales = line;
        if (end > x->n_steps) end = x->n_steps;
        line += m->words_at;
        for (int64_t i = 0; s < end; s++, i++, line += STEP / 8 * 64) {
            vf y = int4_sums(line, form->q + s * STEP, _mm512_set1_epi32(form->corr[s]));
            vf ws = step_scale(m, scales, i, steps);
            f = vf_fma(vf_mul(y, vf_set(form->scale[s])), ws, f);
        }
    }
    vf_store(acc, f);
}

/* Both parts of the activations from one reading of the weights; the sums of the second follow
 * those of the first, as they do for many tokens. */
FORCE_INLINE void int8_block(const struct cpu_mat *m, int64_t b, const struct quants *x,
                             const bool has_rest, float *rest, float *acc) {
    const struct quant *form = &x->main[FOR_INT8], *fine = &x->rest[FOR_INT8];
    const char *line = cpu_block(m, b);
    const int64_t steps = group_steps(m), run_steps = m->run_words / (STEP / 4);
    int64_t next_run = 0;
    vf f = vf_load(acc);
    for (int64_t s = 0; s < x->n_steps; s++) {
        if (s == next_run) {
            line += m->words_at;
            next_run += run_steps;
        }
        __m512i a[2] = {_mm512_set1_epi32(form->corr[s]), _mm512_setzero_si512()};
        __m512i r[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        if (has_rest) r[0] = _mm512_set1_epi32(fine->corr[s]);
        UNROLL
        for (int w = 0; w < STEP / 4; w++, line += 64) {
            __m512i v = _mm512_load_si512(line);
            a[w % 2] = dot4(a[w % 2], v, form->q + s * STEP + w * 4);
            if (has_rest) r[w % 2] = dot4(r[w % 2], v, fine->q + s * STEP + w * 4);
        }
        vf ws = load_scale(m, b, step_group(s, steps), 0);
        vf y = _mm512_cvtepi32_ps(_mm512_add_epi32(a[0], a[1]));
        f = vf_fma(vf_mul(y, vf_set(form->scale[s])), ws, f);
        if (!has_rest) continue;
        y = _mm512_cvtepi32_ps(_mm512_add_epi32(r[0], r[1]));
        vf_store(rest + s * CPU_ROWS, vf_mul(y, vf_set(fine->scale[s])));
    }
    for (int64_t s = 0; has_rest && s < x->n_steps; s++) {
        vf ws = load_scale(m, b, step_group(s, steps), 0);
        f = vf_fma(vf_load(rest + s * CPU_ROWS), ws, f);
    }
    vf_store(acc, f);
}

static void q8_block(const struct cpu_mat *m, int64_t b, const struct quants *x, float *rest,
                     float *acc) {
    if (m->dtype == KN_I4 && is_output(m))
        for (int part = 0; part < 2; part++)
            q8_tile(m, b, 1, x, part ? &x->rest[FOR_INT4] : &x->main[FOR_INT4], 0, 1, acc);
    else if (m->dtype == KN_I4)
        int4_block(m, b, x, acc);
    else if (is_output(m))
        int8_block(m, b, x, true, rest, acc);
    else
        int8_block(m, b, x, false, rest, acc);
}

int avx512_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    return run_linear(dev, l, err);
}
