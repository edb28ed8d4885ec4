/* avx512bf16_attn.c - attention over bf16 and int8 pages with vdpbf16ps (simd_attn.h).
 *
 * op        q/k norm, RoPE, append, y = softmax(q K' scale) V; reference ref_attn
 * args      as in kn.h; pages bf16 or int8; queries and probabilities rounded to bf16
 * work      T <= 8: a task is a KV head and 1,024 keys; more: a KV head and 64 tokens
 * smem      one block of 64 keys: K turned to [Dh/2][64] pairs, V to [32 pairs][Dh]
 * cost      4 H Dh (N + T/2) T operations; KV read once for all query heads of a KV head
 * limit     T = 1: KV bytes; prefill: one vdpbf16ps a cycle, then the exponentials
 * numerics  f32 sums in a fixed order; 2^-9 a query, a probability; blocks at absolute multiples
 * refuses   exact mode, f32 pages, odd Dh, int8 rows of several scales: avx512_attn does them
 * measured  docs/PERF.md, CPU */
#include "kernels/cpu/simd_attn.h"

enum {
    QUAD = 4,    /* registers of scores or outputs a row at a time */
    INT8_DH = 64 /* channels under one scale of an int8 row */
};

#define FORCE_INLINE static inline __attribute__((always_inline))

static size_t query_bytes(int64_t Dp) {
    return (size_t)Dp * 2;
}

static size_t tile_bytes(int64_t Dp) {
    return (size_t)(2 * KEYS * Dp) * 2 + 2 * KEYS * sizeof(float);
}

static __m512i narrow32(__m512 lo, __m512 hi) {
    __m512bh p = _mm512_cvtne2ps_pbh(hi, lo);
    __m512i i;
    memcpy(&i, &p, sizeof i);
    return i;
}

static __m512bh as_bf16(__m512i i) {
    __m512bh p;
    memcpy(&p, &i, sizeof p);
    return p;
}

static void prepare_query(const float *q, int64_t Dh, int64_t Dp, void *out) {
    uint16_t *to = out;
    for (int64_t i = 0; i < Dp; i += 2 * VL) {
        __m512i p = narrow32(vf_load_n(q + i, Dh - i > 0 ? Dh - i : 0),
                             vf_load_n(q + i + VL, Dh - i - VL > 0 ? Dh - i - VL : 0));
        if (i + 2 * VL <= Dp)
            _mm512_storeu_si512(to + i, p);
        else
            _mm256_storeu_si256((__m256i *)(to + i), _mm512_castsi512_si256(p));
    }
}

/* 16 x 16 words, turned: r[i] lane j becomes r[j] lane i. */
FORCE_INLINE void turn16(__m512i r[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++)
        for (int h = 0; h < 16; h += 8) {
            t[h + i] = _mm512_shuffle_i32x4(r[h + i], r[h + 4 + i], 0x88);
            t[h + 4 + i] = _mm512_shuffle_i32x4(r[h + i], r[h + 4 + i], 0xdd);
        }
    for (int i = 0; i < 8; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
        r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
    }
}

/* Rows row.. of a block; lanes behind Dh and rows >= n are zero. */
FORCE_INLINE __m512i load_pairs(const uint16_t *block, int64_t Dh, int64_t row, int64_t n,
                                int64_t i) {
    int64_t pairs = Dh / 2 - i;
    __mmask16 mask = simd_mask(n > 0 ? (pairs > 0 ? pairs : 0) : 0);
    return _mm512_maskz_loadu_epi32(mask, (const char *)(block + row * Dh) + i * 4);
}

/* One register of V of two keys, side by side: word d holds (first, second). */
FORCE_INLINE void store_zipped(uint32_t *to, __m512i a, __m512i b, bool has_high) {
    const __m512i zip_lo =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                         37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    _mm512_storeu_si512(to, _mm512_permutex2var_epi16(a, zip_lo, b));
    if (!has_high) return;
    __m512i zip_hi = _mm512_add_epi16(zip_lo, _mm512_set1_epi16(16));
    _mm512_storeu_si512(to + 16, _mm512_permutex2var_epi16(a, zip_hi, b));
}

static void load_tile_any(const struct attn_job *j, const uint16_t *kb, const uint16_t *vb,
                          int64_t row, int64_t n, uint32_t *k, uint32_t *v) {
    for (int64_t i = 0; i < j->Dp / 2; i += 16)
        for (int64_t s = 0; s < KEYS; s += 16) {
            __m512i r[16];
            for (int x = 0; x < 16; x++)
                r[x] = load_pairs(kb, j->Dh, row + s + x, n - s - x, i);
            turn16(r);
            for (int64_t x = 0; x < 16 && i + x < j->Dp / 2; x++)
                _mm512_storeu_si512(k + (i + x) * KEYS + s, r[x]);
        }
    for (int64_t s = 0; s < KEYS; s += 2)
        for (int64_t i = 0; i < j->Dp / 2; i += 16) {
            __m512i a = load_pairs(vb, j->Dh, row + s, n - s, i);
            __m512i b = load_pairs(vb, j->Dh, row + s + 1, n - s - 1, i);
            store_zipped(v + s / 2 * j->Dp + 2 * i, a, b, 2 * i + 16 < j->Dp);
        }
}

/* A full block and whole registers: nothing to mask. Rows of the next block are asked for as the
 * same rows of this one are used; past the end of a page that is wasted, and harmless. */
FORCE_INLINE void load_tile_full(int64_t Dh, const uint16_t *kb, const uint16_t *vb, uint32_t *k,
                                 uint32_t *v) {
    int64_t words = Dh / 2;
    for (int64_t s = 0; s < KEYS; s += 16)
        for (int64_t i = 0; i < words; i += 16) {
            __m512i r[16];
            for (int x = 0; x < 16; x++)
                r[x] = _mm512_loadu_si512((const char *)kb + ((s + x) * words + i) * 4);
            turn16(r);
            for (int x = 0; x < 16; x++)
                _mm512_storeu_si512(k + (i + x) * KEYS + s, r[x]);
        }
    for (int64_t s = 0; s < KEYS; s += 2)
        for (int64_t i = 0; i < words; i += 16) {
            const char *a = (const char *)vb + (s * words + i) * 4, *b = a + words * 4;
            store_zipped(v + s / 2 * Dh + 2 * i, _mm512_loadu_si512(a), _mm512_loadu_si512(b),
                         true);
        }
}

/* n rows of an int8 block from `row` on: the stored integers as bf16 [n][Dh], which is exact, and
 * their scales beside them; products are scaled afterwards. */
FORCE_INLINE void widen_rows(const char *block, const int64_t Dh, int64_t row, int64_t n,
                             uint16_t *to, float *scales) {
    const uint16_t *scale = (const void *)(block + KN_PAGE_TOKENS * Dh);
    for (int64_t r = 0; r < KEYS; r += VL) /* a page has scales for all of its rows */
        vf_store(scales + r,
                 vf_keep_n(vf_from_bf16(scale + row + r), n > r ? n - r : 0, vf_set(0.0f)));
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < Dh; i += 2 * VL) {
            const char *p = block + (row + r) * Dh + i;
            __mmask32 mask = Dh - i >= 2 * VL ? ~0u : (1u << (Dh - i)) - 1u;
            __m256i q = _mm256_maskz_loadu_epi8(mask, p);
            __m512i lo = _mm512_cvtepi8_epi32(_mm256_castsi256_si128(q));
            __m512i hi = _mm512_cvtepi8_epi32(_mm256_extracti128_si256(q, 1));
            _mm512_mask_storeu_epi16(to + r * Dh + i, mask,
                                     narrow32(_mm512_cvtepi32_ps(lo), _mm512_cvtepi32_ps(hi)));
        }
}

/* Scales of the keys (which 0) or values (1) of a tile, behind it; int8 only. */
static float *tile_scales(const struct attn_job *j, const void *tile, int which) {
    uintptr_t at = (uintptr_t)tile + (size_t)(2 * KEYS * j->Dp) * 2;
    return (float *)at + which * KEYS;
}

static void load_tile(const struct attn_job *j, const char *K, const char *V, int64_t row,
                      int64_t n, void *tile) {
    const uint16_t *kb = (const void *)K, *vb = (const void *)V;
    uint32_t *k = tile, *v = k + KEYS * j->Dp / 2;
    int64_t Dh = j->Dh;
    _Alignas(64) uint16_t wide[2][KEYS * INT8_DH];
    if (j->a->kv == KN_I8) {
        for (int which = 0; which < 2; which++)
            if (Dh == 64)
                widen_rows(which ? V : K, 64, row, n, wide[which], tile_scales(j, tile, which));
            else
                widen_rows(which ? V : K, Dh, row, n, wide[which], tile_scales(j, tile, which));
        kb = wide[0];
        vb = wide[1];
        row = 0;
    }
    int64_t from = row * Dh;
    if (n == KEYS && Dh == 64)
        load_tile_full(64, kb + from, vb + from, k, v);
    else if (n == KEYS && Dh % 32 == 0)
        load_tile_full(Dh, kb + from, vb + from, k, v);
    else
        load_tile_any(j, kb, vb, row, n, k, v);
}

/* n lines of a stored block that the next round will read, to the second-level cache. */
FORCE_INLINE void ask_for(const char *p, const int64_t n) {
    for (int64_t i = 0; i < n; i++)
        _mm_prefetch(p + i * 64, _MM_HINT_T1);
}

/* sum[r][c] over the pairs of Dh: four lines of the next keys a pair make the whole block, two
 * where they are int8. */
FORCE_INLINE void score_rows(const struct attn_job *j, const uint32_t *q, const uint32_t *k,
                             const int n, float *score, const char *ahead) {
    int64_t step = (int64_t)(j->q_bytes / 4), pairs = j->Dh / 2;
    int64_t lines = j->a->kv == KN_I8 ? 2 : 4;
    __m512 a[MAX_GROUP][QUAD];
    for (int r = 0; r < n; r++)
        for (int c = 0; c < QUAD; c++)
            a[r][c] = _mm512_setzero_ps();
    for (int64_t i = 0; i < pairs; i++) {
        __m512bh w[QUAD];
        if (ahead) ask_for(ahead + i * lines * 64, lines);
        for (int c = 0; c < QUAD; c++)
            w[c] = as_bf16(_mm512_loadu_si512(k + i * KEYS + c * 16));
        for (int r = 0; r < n; r++) {
            __m512bh x = as_bf16(_mm512_set1_epi32((int32_t)q[r * step + i]));
            for (int c = 0; c < QUAD; c++)
                a[r][c] = _mm512_dpbf16_ps(a[r][c], x, w[c]);
        }
    }
    for (int r = 0; r < n; r++)
        for (int c = 0; c < QUAD; c++)
            _mm512_storeu_ps(score + r * KEYS + c * 16, a[r][c]);
}

static void score_tile(const struct attn_job *j, const char *q, const void *tile, int n,
                       float *score, const char *ahead) {
    int r = 0;
    for (; r + 6 <= n; r += 6, ahead = NULL)
        score_rows(j, (const void *)(q + (size_t)r * j->q_bytes), tile, 6, score + r * KEYS, ahead);
    for (; r + 3 <= n; r += 3, ahead = NULL)
        score_rows(j, (const void *)(q + (size_t)r * j->q_bytes), tile, 3, score + r * KEYS, ahead);
    for (; r < n; r++, ahead = NULL)
        score_rows(j, (const void *)(q + (size_t)r * j->q_bytes), tile, 1, score + r * KEYS, ahead);
    const float *scale = tile_scales(j, tile, 0);
    for (int64_t i = 0; j->a->kv == KN_I8 && i < n * KEYS; i += VL)
        vf_store(score + i, vf_mul(vf_load(score + i), vf_load(scale + i % KEYS)));
}

/* y[r][quad registers] += p V over 32 pairs of keys. */
FORCE_INLINE void value_rows(const struct attn_job *j, const uint32_t *p, const uint32_t *v,
                             const int n, const int quad, float *y, const char *ahead) {
    int64_t step = part_floats(j);
    int64_t lines =
        j->Dh / (j->a->kv == KN_I8 ? 32 : 16); /* of two stored rows, every other round */
    __m512 a[MAX_GROUP][QUAD];
    for (int r = 0; r < n; r++)
        for (int c = 0; c < quad; c++)
            a[r][c] = _mm512_loadu_ps(y + r * step + c * 16);
    for (int64_t s = 0; s < KEYS / 2; s++) {
        __m512bh w[QUAD];
        if (ahead) ask_for(ahead + s * lines * 64, lines);
        for (int c = 0; c < quad; c++)
            w[c] = as_bf16(_mm512_loadu_si512(v + s * j->Dp + c * 16));
        for (int r = 0; r < n; r++) {
            __m512bh x = as_bf16(_mm512_set1_epi32((int32_t)p[r * KEYS / 2 + s]));
            for (int c = 0; c < quad; c++)
                a[r][c] = _mm512_dpbf16_ps(a[r][c], x, w[c]);
        }
    }
    for (int r = 0; r < n; r++)
        for (int c = 0; c < quad; c++)
            _mm512_storeu_ps(y + r * step + c * 16, a[r][c]);
}

static void add_values(const struct attn_job *j, const float *score, const void *tile, int n,
                       float *y, const char *ahead) {
    const uint32_t *v = (const uint32_t *)tile + KEYS * j->Dp / 2;
    uint32_t p[MAX_GROUP * KEYS / 2];
    for (int r = 0; r < n; r++)
        for (int i = 0; i < KEYS; i += 32) {
            const float *from = score + r * KEYS + i, *scale = tile_scales(j, tile, 1) + i;
            vf lo = vf_load(from), hi = vf_load(from + VL);
            if (j->a->kv == KN_I8) {
                lo = vf_mul(lo, vf_load(scale));
                hi = vf_mul(hi, vf_load(scale + VL));
            }
            _mm512_storeu_si512(p + (r * KEYS + i) / 2, narrow32(lo, hi));
        }
    int64_t size = part_floats(j);
    for (int64_t i = 0; i < j->Dp;) {
        int quad = j->Dp - i >= QUAD * VL ? QUAD : 1, r = 0;
        for (; r + 6 <= n && quad == QUAD; r += 6, ahead = NULL)
            value_rows(j, p + r * KEYS / 2, v + i, 6, QUAD, y + r * size + i, ahead);
        for (; r + 3 <= n && quad == QUAD; r += 3, ahead = NULL)
            value_rows(j, p + r * KEYS / 2, v + i, 3, QUAD, y + r * size + i, ahead);
        for (; r < n; r++, ahead = NULL) {
            float *at = y + r * size + i;
            if (quad == QUAD)
                value_rows(j, p + r * KEYS / 2, v + i, 1, QUAD, at, ahead);
            else
                value_rows(j, p + r * KEYS / 2, v + i, 1, 1, at, ahead);
        }
        i += quad * VL;
    }
}

int avx512bf16_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    int64_t Dh = a->q.cols / a->n_heads;
    if (dev->f32_act || a->kv == KN_F32 || Dh % 2 || (a->kv == KN_I8 && Dh > INT8_DH))
        return avx512_attn(dev, a, err);
    return run_attn(dev, a, err);
}
