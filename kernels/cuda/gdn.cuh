/* gdn.cuh - one token of the gated delta rule for one row of the transposed state, shared by
 * decode and prefill so that both give the same bits. arXiv 2412.06464; docs/MODEL.md 3.2 step
 * 6.
 * A row S[dv][0..Dk) lies in 8 lanes, lane i with the float4 at columns 32 j + 4 i, j < NV. */
#ifndef CUDA_GDN_CUH
#define CUDA_GDN_CUH

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/tiles.h"

template <int NV> struct gdn_row { float4 v[NV]; };

/* Rows are 16-byte aligned where Dk is a multiple of 4; other sizes go element by element. */
template <int NV> DEV gdn_row<NV> gdn_load(const float *row, int lane8, int Dk) {
    gdn_row<NV> r;
#pragma unroll
    for (int j = 0; j < NV; j++) {
        int c = 32 * j + 4 * lane8;
        r.v[j] = make_float4(0, 0, 0, 0);
        if (Dk % 4 == 0) {
            if (c < Dk) r.v[j] = *(const float4 *)(row + c);
        } else {
            if (c < Dk) r.v[j].x = row[c];
            if (c + 1 < Dk) r.v[j].y = row[c + 1];
            if (c + 2 < Dk) r.v[j].z = row[c + 2];
            if (c + 3 < Dk) r.v[j].w = row[c + 3];
        }
    }
    return r;
}
template <int NV> DEV void gdn_store(float *row, const gdn_row<NV> &r, int lane8, int Dk) {
#pragma unroll
    for (int j = 0; j < NV; j++) {
        int c = 32 * j + 4 * lane8;
        if (Dk % 4 == 0) {
            if (c < Dk) *(float4 *)(row + c) = r.v[j];
        } else {
            if (c < Dk) row[c] = r.v[j].x;
            if (c + 1 < Dk) row[c + 1] = r.v[j].y;
            if (c + 2 < Dk) row[c + 2] = r.v[j].z;
            if (c + 3 < Dk) row[c + 3] = r.v[j].w;
        }
    }
}
template <int NV> DEV float gdn_dot(const gdn_row<NV> &a, const gdn_row<NV> &b) {
    float s = 0.0f;
#pragma unroll
    for (int j = 0; j < NV; j++)
        s += dot4(a.v[j], b.v[j]);
    return lanes_sum<8>(s);
}

/* Decay, correct, write, read; returns y. The dot with k comes before the decay, which then scales
 * it: one pass over S. k, q normed, q scaled by Dk^-0.5. */
template <int NV>
DEV float gdn_token(gdn_row<NV> &S, const gdn_row<NV> &q, const gdn_row<NV> &k, float v,
                    float decay, float beta) {
    float e = beta * (v - decay * gdn_dot(S, k));
#pragma unroll
    for (int j = 0; j < NV; j++) {
        S.v[j].x = fmaf(k.v[j].x, e, decay * S.v[j].x);
        S.v[j].y = fmaf(k.v[j].y, e, decay * S.v[j].y);
        S.v[j].z = fmaf(k.v[j].z, e, decay * S.v[j].z);
        S.v[j].w = fmaf(k.v[j].w, e, decay * S.v[j].w);
    }
    return gdn_dot(S, q);
}

/* g = -exp(a_log) softplus(a + dt_bias) <= 0; the state decays by exp(g). */
DEV float gdn_log_decay(float a, float a_log, float dt_bias) {
    float z = a + dt_bias, softplus = fmaxf(z, 0.0f) + log1pf(expf(-fabsf(z)));
    return -expf(a_log) * softplus;
}
DEV float gdn_decay(float a, float a_log, float dt_bias) {
    return expf(gdn_log_decay(a, a_log, dt_bias));
}
DEV float gdn_beta(float b, float beta_max) {
    return beta_max / (1.0f + expf(-b));
}

#endif
