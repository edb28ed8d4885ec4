/* gdn_step.cuh - decode: one head and 32 rows of Dv of the delta rule as work of a group of 256
 * threads, for gdn_step.cu and for kernels that hold a whole step. What it computes, limits and
 * numerics: gdn_step.cu.
 * load() reads state, taps and the convolution's inputs, which the step before left; run() needs
 * this step's projections. The convolution state of q and k is shared by several groups: the last
 * of them to have read it writes it (a counter a key head, no waiting). */
#ifndef CUDA_GDN_STEP_CUH
#define CUDA_GDN_STEP_CUH

#include "kernels/cuda/gdn.cuh"

static_assert((int)GDN_THREADS == (int)GROUP_THREADS, "a group is a block of gdn_step_k");

struct step_args : gdn_args {
    const struct step_state *step;
    unsigned *ticket; /* [Hk] */
};

/* The last inputs of one channel, oldest first, and its taps. */
template <int TAPS> struct gdn_window {
    float x[TAPS], tap[TAPS];
    __device__ void load(const step_args &a, int c) {
        int64_t channels = 2 * a.Hk * a.Dk + a.Hv * a.Dv;
#pragma unroll
        for (int j = 0; j < TAPS; j++) {
            x[j] = j < a.W - 1 ? from_bf16(a.conv[j * channels + c]) : 0.0f;
            tap[j] = j < a.W ? a.taps[(int64_t)c * a.W + j] : 0.0f;
        }
    }
    __device__ float next(float in, int W) { /* convolution and SiLU; the oldest input leaves */
        float z = 0.0f;
#pragma unroll
        for (int j = 0; j < TAPS; j++) {
            if (j == W - 1) x[j] = in;
            if (j < W) z = fmaf(tap[j], x[j], z);
        }
#pragma unroll
        for (int j = 0; j < TAPS - 1; j++)
            x[j] = x[j + 1];
        return silu(z);
    }
    __device__ void store(const step_args &a, int c) const {
        int64_t channels = 2 * a.Hk * a.Dk + a.Hv * a.Dv;
#pragma unroll
        for (int j = 0; j < TAPS - 1; j++)
            if (j < a.W - 1) a.conv[j * channels + c] = to_bf16(x[j]);
    }
};

/* Raw input of channel c (of q|k|v) at token t. */
DEV float gdn_raw_at(const step_args &a, int t, int c) {
    int Kd = a.Hk * a.Dk, Vd = a.Hv * a.Dv;
    const uint16_t *p = c < Kd       ? a.q + (int64_t)t * Kd + c
                        : c < 2 * Kd ? a.k + (int64_t)t * Kd + c - Kd
                                     : a.v + (int64_t)t * Vd + c - 2 * Kd;
    return from_bf16(*p);
}

template <int NV>
DEV gdn_row<NV> gdn_normed(const float *x, int lane8, int Dk, float eps, float scale) {
    gdn_row<NV> r = gdn_load<NV>(x, lane8, Dk);
    float f = rsqrtf(gdn_dot(r, r) + eps) * scale;
#pragma unroll
    for (int j = 0; j < NV; j++)
        r.v[j] = make_float4(r.v[j].x * f, r.v[j].y * f, r.v[j].z * f, r.v[j].w * f);
    return r;
}

/* Slices of 32 rows of a head's Dv. */
static inline __host__ __device__ int gdn_step_slices(int Dv) {
    return (Dv + GDN_ROWS - 1) / GDN_ROWS;
}

template <int NV, int TAPS> struct gdn_step_block {
    enum {
        CHANNELS = (2 * 32 * NV + GDN_ROWS + GDN_THREADS - 1) / GDN_THREADS, /* of a thread */
        ROW = 2 * GDN_MAX_DK + GDN_ROWS, /* q, k, v of a token */
        SMEM_FLOATS = 2 * ROW + 4        /* two tokens, and is_last; 16-byte aligned */
    };
    struct own_channels {
        gdn_window<TAPS> win[CHANNELS];
        int channel[CHANNELS], place[CHANNELS]; /* -1: none */
    };
    gdn_row<NV> row;
    own_channels own;
    float *S_row;
    float a_log, dt_bias;
    int h, hk, dv; /* heads of v and k; row of this thread */

    /* Nothing of this step writes what is read here. */
    __device__ __forceinline__ void load(const step_args &a, group g, int slice, int head) {
        const int lane8 = g.tid % GDN_LANES, Kd = a.Hk * a.Dk, dv0 = slice * GDN_ROWS;
        const int n_rows = a.Dv - dv0 < GDN_ROWS ? a.Dv - dv0 : GDN_ROWS, n = 2 * a.Dk + n_rows;
        h = head;
        hk = head / (a.Hv / a.Hk);
        dv = dv0 + g.tid / GDN_LANES;
        S_row = a.state + ((int64_t)h * a.Dv + (dv < a.Dv ? dv : dv0)) * a.Dk;
        own_channels o; /* whole copies: arrays inside the object would stay in memory */
        row = gdn_load<NV>(S_row, lane8, a.Dk);
#pragma unroll
        for (int j = 0; j < CHANNELS; j++) {
            int i = g.tid + j * GDN_THREADS;
            bool is_q = i < a.Dk, is_k = !is_q && i < 2 * a.Dk;
            int c = is_q   ? hk * a.Dk + i
                    : is_k ? Kd + hk * a.Dk + i - a.Dk
                           : 2 * Kd + h * a.Dv + dv0 + i - 2 * a.Dk;
            o.place[j] = is_q ? i : is_k ? GDN_MAX_DK + i - a.Dk : 2 * GDN_MAX_DK + i - 2 * a.Dk;
            o.channel[j] = i < n ? c : -1;
            if (i < n) o.win[j].load(a, c);
        }
        own = o;
        a_log = a.a_log[h];
        dt_bias = a.dt_bias[h];
    }

    /* is_done: nothing is written. The whole group. */
    __device__ __forceinline__ void run(const step_args &a, group g, float *smem, bool is_done) {
        const int lane8 = g.tid % GDN_LANES, r = g.tid / GDN_LANES;
        const bool is_row = dv < a.Dv;
        gdn_row<NV> S = row;
        own_channels o = own;
        int *is_last = (int *)(smem + 2 * ROW);
        for (int t = 0; t < a.n_tok; t++) {
            float *x = smem + (t & 1) * ROW;
            float za = a.a[t * a.Hv + h], zb = a.b[t * a.Hv + h];
#pragma unroll
            for (int j = 0; j < CHANNELS; j++)
                if (o.channel[j] >= 0)
                    x[o.place[j]] = o.win[j].next(gdn_raw_at(a, t, o.channel[j]), a.W);
            float decay = gdn_decay(za, a_log, dt_bias);
            float beta = gdn_beta(zb, a.beta_max);
            group_sync(g);
            if (t == 0 && g.tid == 0) { /* this group has read the convolution state */
                unsigned sharers = (unsigned)(gdn_step_slices(a.Dv) * (a.Hv / a.Hk));
                *is_last = atomicAdd(&a.ticket[hk], 1u) == sharers - 1;
                if (*is_last) a.ticket[hk] = 0;
            }
            gdn_row<NV> q = gdn_normed<NV>(x, lane8, a.Dk, a.l2_eps, a.q_scale);
            gdn_row<NV> k = gdn_normed<NV>(x + GDN_MAX_DK, lane8, a.Dk, a.l2_eps, 1.0f);
            float y = gdn_token(S, q, k, x[2 * GDN_MAX_DK + (is_row ? r : 0)], decay, beta);
            if (is_row && lane8 == 0 && !is_done)
                a.out[(int64_t)t * a.Hv * a.Dv + h * a.Dv + dv] = to_bf16(y);
        }
        if (is_row && !is_done) gdn_store(S_row, S, lane8, a.Dk);
        group_sync(g);
        /* v channels are this group's own, q and k belong to all groups of a key head. */
#pragma unroll
        for (int j = 0; j < CHANNELS; j++)
            if (o.channel[j] >= 0 && !is_done && (o.channel[j] >= 2 * a.Hk * a.Dk || *is_last))
                o.win[j].store(a, o.channel[j]);
    }
};

step_args gdn_step_args_of(kn_dev *dev, const struct kn_gdn *g);

#endif
