/* simd_attn_f32.h - the block functions of simd_attn.h in f32, for pages of any type: exact mode on
 * every level, and all that a level without bf16 products has. K is turned, [Dh][64 keys], so that
 * a score is one chain of fused products over Dh; V stays [64][Dh]. */
#ifndef SIMD_ATTN_F32_H
#define SIMD_ATTN_F32_H

#include "kernels/cpu/simd_attn.h"

enum { QUAD = 4 }; /* registers of scores or outputs a row at a time */

static size_t query_bytes(int64_t Dp) {
    return (size_t)Dp * sizeof(float);
}

static size_t tile_bytes(int64_t Dp) {
    return (size_t)(2 * KEYS * Dp) * sizeof(float);
}

static void prepare_query(const float *q, int64_t Dh, int64_t Dp, void *out) {
    float *to = out;
    for (int64_t i = 0; i < Dp; i += VL)
        vf_store(to + i, vf_load_n(q + i, Dh - i));
}

/* One stored row as f32 [Dp]. */
static void widen_row(const struct attn_job *j, const char *block, int64_t row, float *x) {
    int64_t Dh = j->Dh, i = 0;
    if (j->a->kv == KN_BF16) {
        const uint16_t *p = (const uint16_t *)(const void *)block + row * Dh;
        for (; i + VL <= Dh; i += VL)
            vf_store(x + i, vf_from_bf16(p + i));
        for (; i < Dh; i++)
            x[i] = cpu_from_bf16(p[i]);
    } else {
        ref_kv_load(block, j->a->kv, Dh, row, x);
    }
    for (i = Dh; i < j->Dp; i++)
        x[i] = 0.0f;
}

static void load_tile(const struct attn_job *j, const char *K, const char *V, int64_t row,
                      int64_t n, void *tile) {
    float *k = tile, *v = k + KEYS * j->Dp, x[MAX_DH + VL];
    memset(x, 0, sizeof x);
    for (int64_t s = 0; s < KEYS; s++) {
        if (s < n)
            widen_row(j, K, row + s, x);
        else
            memset(x, 0, (size_t)j->Dp * sizeof *x);
        for (int64_t i = 0; i < j->Dp; i++)
            k[i * KEYS + s] = x[i];
        if (s < n)
            widen_row(j, V, row + s, v + s * j->Dp);
        else
            memset(v + s * j->Dp, 0, (size_t)j->Dp * sizeof *v);
    }
}

static inline __attribute__((always_inline)) void
score_rows(const struct attn_job *j, const float *q, const float *k, const int n, float *score) {
    int64_t step = (int64_t)(j->q_bytes / sizeof(float));
    for (int from = 0; from < KEYS; from += QUAD * VL) {
        vf a[3][QUAD];
        for (int r = 0; r < n; r++)
            for (int c = 0; c < QUAD; c++)
                a[r][c] = vf_set(0.0f);
        for (int64_t i = 0; i < j->Dh; i++)
            for (int r = 0; r < n; r++)
                for (int c = 0; c < QUAD; c++)
                    a[r][c] = vf_fma(vf_set(q[r * step + i]), vf_load(k + i * KEYS + from + c * VL),
                                     a[r][c]);
        for (int r = 0; r < n; r++)
            for (int c = 0; c < QUAD; c++)
                vf_store(score + r * KEYS + from + c * VL, a[r][c]);
    }
}

static void score_tile(const struct attn_job *j, const char *q, const void *tile, int n,
                       float *score, const char *ahead) {
    (void)ahead; /* widening a block takes longer than reading it */
    int r = 0;
    for (; r + 3 <= n; r += 3)
        score_rows(j, (const void *)(q + (size_t)r * j->q_bytes), tile, 3, score + r * KEYS);
    for (; r < n; r++)
        score_rows(j, (const void *)(q + (size_t)r * j->q_bytes), tile, 1, score + r * KEYS);
}

static inline __attribute__((always_inline)) void value_rows(const struct attn_job *j,
                                                             const float *p, const float *v,
                                                             const int n, const int quad,
                                                             float *y) {
    int64_t step = part_floats(j);
    vf a[3][QUAD];
    for (int r = 0; r < n; r++)
        for (int c = 0; c < quad; c++)
            a[r][c] = vf_load(y + r * step + c * VL);
    for (int64_t s = 0; s < KEYS; s++)
        for (int r = 0; r < n; r++)
            for (int c = 0; c < quad; c++)
                a[r][c] = vf_fma(vf_set(p[r * KEYS + s]), vf_load(v + s * j->Dp + c * VL), a[r][c]);
    for (int r = 0; r < n; r++)
        for (int c = 0; c < quad; c++)
            vf_store(y + r * step + c * VL, a[r][c]);
}

static void add_values(const struct attn_job *j, const float *p, const void *tile, int n, float *y,
                       const char *ahead) {
    (void)ahead;
    const float *v = (const float *)tile + KEYS * j->Dp;
    for (int64_t i = 0; i < j->Dp;) {
        int quad = j->Dp - i >= QUAD * VL ? QUAD : 1, r = 0;
        for (; r + 3 <= n && quad == QUAD; r += 3)
            value_rows(j, p + r * KEYS, v + i, 3, QUAD, y + r * part_floats(j) + i);
        for (; r < n; r++) {
            if (quad == QUAD)
                value_rows(j, p + r * KEYS, v + i, 1, QUAD, y + r * part_floats(j) + i);
            else
                value_rows(j, p + r * KEYS, v + i, 1, 1, y + r * part_floats(j) + i);
        }
        i += quad * VL;
    }
}

#endif
