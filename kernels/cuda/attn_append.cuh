/* attn_append.cuh - q/k norm, RoPE and append to the pages as work of a group of 256 threads: a
 * whole token (attn_append_k, multi-token steps), or one head of it inside the split attention.
 * Both give the same numbers. What is computed, and numerics: attn_decode.cu. */
#ifndef CUDA_ATTN_APPEND_CUH
#define CUDA_ATTN_APPEND_CUH

#include "kernels/cuda/attn.cuh"

static_assert((int)AD_THREADS == (int)GROUP_THREADS, "a group is a block of the attention kernels");

enum { ATTN_RED = 16 }; /* floats in front of a group's shared memory: two sums over the group */

struct append_args {
    const uint16_t *q, *k, *v;
    const float *q_norm, *k_norm;
    void *q_out; /* [T,H*Dh] f32 or bf16 */
    bool q_f32;
    int32_t H, Hkv;
    kv_layout l;
    float eps, rope_theta;
    const struct step_state *step;
};

/* z in shared memory, normed; rotates each head. w_i is rounded as the reference rounds it. */
static __device__ __noinline__ void attn_rope(float *z, int n_heads, int Dh, int64_t pos,
                                              float theta, group g) {
    int half = Dh / 2;
    for (int i = g.tid; i < n_heads * half; i += AD_THREADS) {
        int h = i / half, c = i % half;
        float w = (float)pow((double)theta, -2.0 * (double)c / (double)Dh), angle = (float)pos * w;
        float co = (float)cos((double)angle), si = (float)sin((double)angle);
        float *p = z + h * Dh + c, a = p[0], b = p[half];
        p[0] = a * co - b * si;
        p[half] = b * co + a * si;
    }
}

/* Sum of squares of a bf16 row of n elements, this thread's part; the same order wherever it is
 * asked. Two loads of 16 bytes before the first use. */
static __device__ float attn_row_squares(const uint16_t *x, int n, group g) {
    float ss = 0.0f;
    for (int i = g.tid; n % 8 && i < n; i += AD_THREADS) /* rows that are not aligned */
        ss = fmaf(from_bf16(x[i]), from_bf16(x[i]), ss);
    for (int c = g.tid; n % 8 == 0 && c < n / 8; c += 2 * AD_THREADS) {
        uint4 w[2] = {((const uint4 *)x)[c], make_uint4(0, 0, 0, 0)};
        if (c + AD_THREADS < n / 8) w[1] = ((const uint4 *)x)[c + AD_THREADS];
#pragma unroll
        for (int j = 0; j < 2; j++) {
            float f[8] = {bf16_lo(w[j].x), bf16_hi(w[j].x), bf16_lo(w[j].y), bf16_hi(w[j].y),
                          bf16_lo(w[j].z), bf16_hi(w[j].z), bf16_lo(w[j].w), bf16_hi(w[j].w)};
#pragma unroll
            for (int i = 0; i < 8; i++)
                ss = fmaf(f[i], f[i], ss);
        }
    }
    return ss;
}
/* 1 / rms from it. The whole group. */
static __device__ float attn_row_rms(float squares, int n, float eps, float *red, group g) {
    return rsqrtf(group_sum(squares, red, g) / (float)n + eps);
}

/* One head's row into its block. A warp. */
static __device__ void attn_store_row(char *block, const kv_layout &l, int row, const float *x,
                                      int lane) {
    if (l.kv == KN_F32) {
        for (int i = lane; i < l.Dh; i += 32)
            ((float *)block)[(int64_t)row * l.Dh + i] = x[i];
    } else if (l.kv == KN_BF16) {
        for (int i = lane; i < l.Dh; i += 32)
            ((uint16_t *)block)[(int64_t)row * l.Dh + i] = to_bf16(x[i]);
    } else {
        for (int g = 0; g < l.n_groups; g++) {
            float max = 0.0f;
            for (int i = g * KV_GROUP + lane; i < l.Dh && i < (g + 1) * KV_GROUP; i += 32)
                max = fmaxf(max, fabsf(x[i]));
            max = lanes_max(max);
            uint16_t bits = to_bf16(max > 0.0f ? max / 127.0f : 1.0f);
            float scale = from_bf16(bits);
            for (int i = g * KV_GROUP + lane; i < l.Dh && i < (g + 1) * KV_GROUP; i += 32)
                block[(int64_t)row * l.Dh + i] =
                    (char)(int8_t)fminf(fmaxf(rintf(x[i] / scale), -127.0f), 127.0f);
            if (lane == 0)
                ((uint16_t *)(block + (int64_t)KN_PAGE_TOKENS * l.Dh))[row * l.n_groups + g] = bits;
        }
    }
}

/* Floats of shared memory: sums, [H*Dh] q, [Hkv*Dh] k, [Hkv*Dh] v. */
static inline __host__ __device__ size_t attn_append_floats(int64_t H, int64_t Hkv, int64_t Dh) {
    return (size_t)(ATTN_RED + (H + 2 * Hkv) * Dh);
}

/* Token t of the call. smem: attn_append_floats. The whole group. */
static __device__ void attn_append_row(const append_args &a, group g, int t, float *smem) {
    float *red = smem, *q = smem + ATTN_RED, *k, *v;
    const int nq = a.H * a.l.Dh, nk = a.Hkv * a.l.Dh;
    const bool is_done = a.step->done != 0;
    const int64_t pos = a.step->n_cached + t;
    k = q + nq;
    v = k + nk;
    const uint16_t *xq = a.q + (int64_t)t * nq, *xk = a.k + (int64_t)t * nk,
                   *xv = a.v + (int64_t)t * nk;
    float sq = attn_row_squares(xq, nq, g), sk = attn_row_squares(xk, nk, g);
    float rq = attn_row_rms(sq, nq, a.eps, red, g), rk = attn_row_rms(sk, nk, a.eps, red + 8, g);
    for (int i = g.tid; i < nq; i += AD_THREADS)
        q[i] = a.q_norm[i] * (from_bf16(xq[i]) * rq);
    for (int i = g.tid; i < nk; i += AD_THREADS) {
        k[i] = a.k_norm[i] * (from_bf16(xk[i]) * rk);
        v[i] = from_bf16(xv[i]);
    }
    group_sync(g);
    if (a.rope_theta > 0.0f) {
        attn_rope(q, a.H, a.l.Dh, pos, a.rope_theta, g);
        attn_rope(k, a.Hkv, a.l.Dh, pos, a.rope_theta, g);
        group_sync(g);
    }
    if (is_done) return;
    for (int i = g.tid; i < nq; i += AD_THREADS)
        store_act(a.q_out, a.q_f32, (int64_t)t * nq + i, q[i]);
    int row = (int)(pos % KN_PAGE_TOKENS);
    for (int i = g.tid >> 5; i < 2 * a.Hkv; i += AD_THREADS / 32)
        attn_store_row(kv_block(a.step, a.l, pos, i >> 1, i & 1), a.l, row,
                       (i & 1 ? v : k) + (i >> 1) * a.l.Dh, g.tid & 31);
}

/* The queries of this group in qs [NQ*Dh]; the group that has the last position stores K and V. The
 * same numbers as attn_append_row gives. */
template <int NQ>
static __device__ void attn_fuse_append(const append_args &a, group g, float *red, float *qs,
                                        int head, int q_head, bool has_last) {
    const int Dh = a.l.Dh;
    const int64_t pos = a.step->n_cached;
    float *ks = qs + NQ * Dh, *vs = ks + Dh;
    float sq = attn_row_squares(a.q, a.H * Dh, g),
          sk = has_last ? attn_row_squares(a.k, a.Hkv * Dh, g) : 0.0f;
    float rq = attn_row_rms(sq, a.H * Dh, a.eps, red, g);
    for (int i = g.tid; i < NQ * Dh; i += AD_THREADS)
        qs[i] = a.q_norm[q_head * Dh + i] * (from_bf16(a.q[q_head * Dh + i]) * rq);
    if (has_last) {
        float rk = attn_row_rms(sk, a.Hkv * Dh, a.eps, red + 8, g);
        for (int i = g.tid; i < Dh; i += AD_THREADS) {
            ks[i] = a.k_norm[head * Dh + i] * (from_bf16(a.k[head * Dh + i]) * rk);
            vs[i] = from_bf16(a.v[head * Dh + i]);
        }
    }
    group_sync(g);
    if (a.rope_theta > 0.0f) {
        attn_rope(qs, NQ, Dh, pos, a.rope_theta, g);
        if (has_last) attn_rope(ks, 1, Dh, pos, a.rope_theta, g);
        group_sync(g);
    }
    int warp = g.tid >> 5;
    if (has_last && warp < 2 && !a.step->done)
        attn_store_row(kv_block(a.step, a.l, pos, head, warp), a.l, (int)(pos % KN_PAGE_TOKENS),
                       warp ? vs : ks, g.tid & 31);
    group_sync(g); /* the row is read back below, as it is stored */
}

append_args attn_append_args_of(kn_dev *dev, const struct kn_attn *a, void *q_out, bool q_f32);

#endif
