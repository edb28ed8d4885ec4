/* gdn.cuh - one token of the gated delta rule for one row of the transposed state, shared by
 * decode and prefill so that both give the same bits; and what all its kernels are told. arXiv
 * 2412.06464; docs/MODEL.md 3.2 step 6. A row S[dv][0..Dk) lies in 8 lanes, lane i with the float4
 * at columns 32 j + 4 i, j < NV. */
#ifndef CUDA_GDN_CUH
#define CUDA_GDN_CUH

#include "kernels/cuda/cuda_dev.cuh"

/* What every kernel of the delta rule is told: the call's tensors, in shapes of struct kn_gdn. */
struct gdn_args {
    const uint16_t *q, *k, *v; /* raw projections */
    const float *a, *b, *taps, *a_log, *dt_bias;
    uint16_t *conv, *out;
    float *state;
    int32_t n_tok, Hk, Hv, Dk, Dv, W;
    float l2_eps, beta_max, q_scale;
};

static inline gdn_args gdn_args_of(const struct kn_gdn *g) {
    gdn_args a = {};
    a.q = (const uint16_t *)g->q.data;
    a.k = (const uint16_t *)g->k.data;
    a.v = (const uint16_t *)g->v.data;
    a.a = (const float *)g->a.data;
    a.b = (const float *)g->b.data;
    a.taps = (const float *)g->taps.data;
    a.a_log = (const float *)g->a_log.data;
    a.dt_bias = (const float *)g->dt_bias.data;
    a.conv = (uint16_t *)g->conv.data;
    a.out = (uint16_t *)g->out.data;
    a.state = (float *)g->state.data;
    a.n_tok = (int32_t)g->q.rows;
    a.Hk = g->n_k_heads;
    a.Hv = g->n_v_heads;
    a.Dk = (int32_t)(g->q.cols / a.Hk);
    a.Dv = (int32_t)(g->v.cols / a.Hv);
    a.W = (int32_t)g->taps.cols;
    a.l2_eps = g->l2_eps;
    a.beta_max = g->beta_max;
    a.q_scale = rsqrtf((float)a.Dk);
    return a;
}

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
