/* simd.h - one vector type for two instruction sets, so that the f32 forms are written once: 16
 * lanes where the file is built for AVX-512, 8 with AVX2 and FMA. Only avx*.c may include it. Every
 * fused multiply-add is asked for by name; the compiler contracts nothing. */
#ifndef SIMD_H
#define SIMD_H

#include "kernels/cpu/cpu.h"

#include <immintrin.h>

/* Before a loop of a known, small number of rounds whose arrays must become registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__AVX512F__)
enum { VL = 16 };
typedef __m512 vf;
typedef __m512i vi;
static inline vf vf_load(const float *p) {
    return _mm512_loadu_ps(p);
}
static inline void vf_store(float *p, vf v) {
    _mm512_storeu_ps(p, v);
}
static inline vf vf_set(float f) {
    return _mm512_set1_ps(f);
}
static inline vf vf_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}
static inline vf vf_div(vf a, vf b) {
    return _mm512_div_ps(a, b);
}
static inline vf vf_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}
static inline vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}
static inline vf vf_abs(vf a) {
    return _mm512_abs_ps(a);
}
static inline vf vf_round(vf a) {
    return _mm512_roundscale_ps(a, 8);
} /* nearest even, quiet */
static inline vi vi_load(const void *p) {
    return _mm512_loadu_si512(p);
}
static inline vi vi_set(int32_t i) {
    return _mm512_set1_epi32(i);
}
static inline vi vi_and(vi a, vi b) {
    return _mm512_and_si512(a, b);
}
static inline vi vi_add(vi a, vi b) {
    return _mm512_add_epi32(a, b);
}
static inline vi vi_shr(vi a, int n) {
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n));
}
static inline vi vi_shl(vi a, int n) {
    return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n));
}
static inline vf vf_cast(vi a) {
    return _mm512_castsi512_ps(a);
}
static inline vf vf_from_int(vi a) {
    return _mm512_cvtepi32_ps(a);
}
static inline vi vi_from_float(vf a) {
    return _mm512_cvtps_epi32(a);
}
/* Lanes as bytes, saturated: VL of them. */
static inline void vi_store_i8(int8_t *p, vi a) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtsepi32_epi8(a));
}
static inline int32_t vi_sum(vi a) {
    return _mm512_reduce_add_epi32(a);
}
/* f16 in the low halves of the lanes. */
static inline vf vf_from_f16(vi a) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a));
}
static inline vf vf_from_bf16(const uint16_t *p) {
    return vf_cast(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
static inline vf vf_from_i8(const int8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline __mmask16 simd_mask(int64_t n) {
    return (__mmask16)(n >= 16 ? 0xffff : (1 << n) - 1);
}
static inline vf vf_load_n(const float *p, int64_t n) {
    return _mm512_maskz_loadu_ps(simd_mask(n), p);
}
static inline void vf_store_n(float *p, int64_t n, vf v) {
    _mm512_mask_storeu_ps(p, simd_mask(n), v);
}
/* Lanes >= n become `other`. */
static inline vf vf_keep_n(vf v, int64_t n, vf other) {
    return _mm512_mask_mov_ps(other, simd_mask(n), v);
}
#else
enum { VL = 8 };
typedef __m256 vf;
typedef __m256i vi;
static inline vf vf_load(const float *p) {
    return _mm256_loadu_ps(p);
}
static inline void vf_store(float *p, vf v) {
    _mm256_storeu_ps(p, v);
}
static inline vf vf_set(float f) {
    return _mm256_set1_ps(f);
}
static inline vf vf_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}
static inline vf vf_div(vf a, vf b) {
    return _mm256_div_ps(a, b);
}
static inline vf vf_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf vf_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}
static inline vf vf_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}
static inline vf vf_abs(vf a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static inline vf vf_round(vf a) {
    return _mm256_round_ps(a, 8);
}
static inline vi vi_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}
static inline vi vi_set(int32_t i) {
    return _mm256_set1_epi32(i);
}
static inline vi vi_and(vi a, vi b) {
    return _mm256_and_si256(a, b);
}
static inline vi vi_add(vi a, vi b) {
    return _mm256_add_epi32(a, b);
}
static inline vi vi_shr(vi a, int n) {
    return _mm256_srl_epi32(a, _mm_cvtsi32_si128(n));
}
static inline vi vi_shl(vi a, int n) {
    return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n));
}
static inline vf vf_cast(vi a) {
    return _mm256_castsi256_ps(a);
}
static inline vf vf_from_int(vi a) {
    return _mm256_cvtepi32_ps(a);
}
static inline vi vi_from_float(vf a) {
    return _mm256_cvtps_epi32(a);
}
static inline void vi_store_i8(int8_t *p, vi a) {
    __m256i w = _mm256_packs_epi32(a, a), b = _mm256_packs_epi16(w, w);
    int32_t lo = _mm256_extract_epi32(b, 0), hi = _mm256_extract_epi32(b, 4);
    memcpy(p, &lo, 4);
    memcpy(p + 4, &hi, 4);
}
static inline int32_t vi_sum(vi a) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}
static inline vf vf_from_f16(vi a) {
    __m256i low = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
    __m256i p = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(p));
}
static inline vf vf_from_bf16(const uint16_t *p) {
    return vf_cast(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
static inline vf vf_from_i8(const int8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
static inline vi simd_mask(int64_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n < 8 ? n : 8)), lane);
}
static inline vf vf_load_n(const float *p, int64_t n) {
    return _mm256_maskload_ps(p, simd_mask(n));
}
static inline void vf_store_n(float *p, int64_t n, vf v) {
    _mm256_maskstore_ps(p, simd_mask(n), v);
}
static inline vf vf_keep_n(vf v, int64_t n, vf other) {
    return _mm256_blendv_ps(other, v, vf_cast(simd_mask(n)));
}
#endif

/* Sum of the lanes by halves: (j, j + VL/2) first, neighbours last. */
static inline float vf_sum(vf v) {
#if defined(__AVX512F__)
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#else
    __m256 h = v;
#endif
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

static inline float vf_max_all(vf v) {
#if defined(__AVX512F__)
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#else
    __m256 h = v;
#endif
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

/* e^x within 2 ulp for x <= 88; 0 below -87.3. Cody-Waite reduction by ln 2 in two parts and the
 * degree-5 minimax polynomial of Cephes expf (Moshier). */
static inline vf vf_exp(vf x) {
    const vf low = vf_set(-87.3f);
    vf n = vf_round(vf_mul(vf_max(x, low), vf_set(1.44269504f)));
    vf r = vf_fma(n, vf_set(-0.693359375f), vf_max(x, low));
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf p = vf_set(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set(5.0000001201e-1f));
    p = vf_add(vf_fma(p, vf_mul(r, r), r), vf_set(1.0f));
    vi e = vi_shl(vi_add(vi_from_float(n), vi_set(127)), 23);
    p = vf_mul(p, vf_cast(e));
#if defined(__AVX512F__)
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, low, _CMP_GE_OQ), p);
#else
    return _mm256_and_ps(p, _mm256_cmp_ps(x, low, _CMP_GE_OQ));
#endif
}

/* Below -88 the exponential would leave its range, and the result is 0 to f32 anyway. */
static inline vf vf_silu(vf z) {
    vf minus = vf_min(vf_sub(vf_set(0.0f), z), vf_set(88.0f));
    return vf_div(z, vf_add(vf_set(1.0f), vf_exp(minus)));
}

/* Sum of squares of n elements, VL partial sums first. */
static inline float simd_square_sum(const float *x, int64_t n) {
    vf s = vf_set(0.0f);
    int64_t i = 0;
    for (; i + VL <= n; i += VL)
        s = vf_fma(vf_load(x + i), vf_load(x + i), s);
    if (i < n) {
        vf t = vf_load_n(x + i, n - i);
        s = vf_fma(t, t, s);
    }
    return vf_sum(s);
}

/* y = w * (x * r); y may be x. */
static inline void simd_scale(const float *x, const float *w, float r, int64_t n, float *y) {
    for (int64_t i = 0; i < n; i += VL) {
        vf v = vf_mul(vf_load_n(w + i, n - i), vf_mul(vf_load_n(x + i, n - i), vf_set(r)));
        vf_store_n(y + i, n - i, v);
    }
}

static inline float simd_rsqrt(float x) {
    return 1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}

static inline void simd_rms_norm(const float *x, const float *w, int64_t n, float eps, float *y) {
    simd_scale(x, w, simd_rsqrt(simd_square_sum(x, n) / (float)n + eps), n, y);
}

#endif
