/* gdn_step.cu - decode: short convolution, SiLU, L2 norms, gates and the delta rule in one
 * kernel.
 *
 * op       per head: S = exp(g) S; e = beta (v - S'k); S += k e'; y = S'q; reference ref_gdn
 * args     q,k,v [T,..] bf16 in, raw · a,b [T,Hv] f32 in · taps [channels,W] f32 · conv
 *          [W-1,channels] bf16 inout · state [Hv*Dv,Dk] f32 inout · out [T,Hv*Dv] bf16 · T =
 *          1..8
 * work     one block a head and 32 rows of Dv; 8 lanes a row, its floats stay in registers
 * smem     q, k and v of two tokens as f32, 8 (2 Dk + 32) bytes
 * cost     7 Hv Dk Dv FLOP a token; state read and written once: 8 Hv Dk Dv bytes = 4.42 MB
 *          (7B)
 * limit    memory: 1.5 us at 3.0 TB/s, latency about 3 us
 * numerics f32 throughout, __expf in SiLU; sums over 8 lanes in butterfly order; tokens in
 *          order, so that T does not matter; conv state keeps the raw bf16 projections
 * refuses  Dk over 128, more than 8 taps
 * measured docs/PERF.md
 * State, taps and the convolution's inputs are read before the wait for the kernel before. The
 * convolution state of q and k is shared by several blocks: the last of them to have read it
 * writes it (a counter a key head, no waiting). */
#include "kernels/cuda/cuda_dev.cuh"
#include "kernels/cuda/gdn.cuh"

struct step_args {
    const uint16_t *q, *k, *v;
    const float *a, *b, *taps, *a_log, *dt_bias;
    uint16_t *conv, *out;
    float *state;
    int32_t T, Hk, Hv, Dk, Dv, W;
    float l2_eps, beta_max, q_scale;
    const struct step_state *step;
    unsigned *ticket; /* [Hk] */
};

/* The last inputs of one channel, oldest first, and its taps. */
template <int TAPS> struct window {
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
DEV float raw_at(const step_args &a, int t, int c) {
    int Kd = a.Hk * a.Dk, Vd = a.Hv * a.Dv;
    const uint16_t *p = c < Kd       ? a.q + (int64_t)t * Kd + c
                        : c < 2 * Kd ? a.k + (int64_t)t * Kd + c - Kd
                                     : a.v + (int64_t)t * Vd + c - 2 * Kd;
    return from_bf16(*p);
}

template <int NV>
DEV gdn_row<NV> normed(const float *x, int lane8, int Dk, float eps, float scale) {
    gdn_row<NV> r = gdn_load<NV>(x, lane8, Dk);
    float f = rsqrtf(gdn_dot(r, r) + eps) * scale;
#pragma unroll
    for (int j = 0; j < NV; j++)
        r.v[j] = make_float4(r.v[j].x * f, r.v[j].y * f, r.v[j].z * f, r.v[j].w * f);
    return r;
}

template <int NV, int TAPS>
static __global__ void __launch_bounds__(GDN_THREADS, 3)
    gdn_step_k(const __grid_constant__ step_args a) {
    enum { CHANNELS = (2 * 32 * NV + GDN_ROWS + GDN_THREADS - 1) / GDN_THREADS }; /* of a thread */
    __shared__ __align__(16) float xs[2][2 * GDN_MAX_DK + GDN_ROWS];
    __shared__ bool is_last;
    const int h = (int)blockIdx.y, hk = h / (a.Hv / a.Hk), dv0 = (int)blockIdx.x * GDN_ROWS;
    const int row = threadIdx.x / GDN_LANES, lane8 = threadIdx.x % GDN_LANES, Kd = a.Hk * a.Dk;
    const bool is_row = dv0 + row < a.Dv;
    const int n_rows = a.Dv - dv0 < GDN_ROWS ? a.Dv - dv0 : GDN_ROWS, n = 2 * a.Dk + n_rows;
    pdl_next();
    /* What the step before left, and constants: nothing of this step writes them. */
    float *S_row = a.state + ((int64_t)h * a.Dv + dv0 + (is_row ? row : 0)) * a.Dk;
    gdn_row<NV> S = gdn_load<NV>(S_row, lane8, a.Dk);
    window<TAPS> win[CHANNELS];
    int channel[CHANNELS], place[CHANNELS];
#pragma unroll
    for (int j = 0; j < CHANNELS; j++) {
        int i = threadIdx.x + j * GDN_THREADS;
        bool is_q = i < a.Dk, is_k = !is_q && i < 2 * a.Dk;
        channel[j] = is_q   ? hk * a.Dk + i
                     : is_k ? Kd + hk * a.Dk + i - a.Dk
                            : 2 * Kd + h * a.Dv + dv0 + i - 2 * a.Dk;
        place[j] = is_q ? i : is_k ? GDN_MAX_DK + i - a.Dk : 2 * GDN_MAX_DK + i - 2 * a.Dk;
        if (i >= n) channel[j] = -1;
        if (i < n) win[j].load(a, channel[j]);
    }
    const float a_log = a.a_log[h], dt_bias = a.dt_bias[h];
    pdl_wait();
    const bool is_done = a.step->done != 0;
    for (int t = 0; t < a.T; t++) {
        float *x = xs[t & 1];
        float za = a.a[t * a.Hv + h], zb = a.b[t * a.Hv + h];
#pragma unroll
        for (int j = 0; j < CHANNELS; j++)
            if (channel[j] >= 0) x[place[j]] = win[j].next(raw_at(a, t, channel[j]), a.W);
        float decay = gdn_decay(za, a_log, dt_bias);
        float beta = gdn_beta(zb, a.beta_max);
        __syncthreads();
        if (t == 0 && threadIdx.x == 0) { /* this block has read the convolution state */
            unsigned sharers = gridDim.x * (unsigned)(a.Hv / a.Hk);
            is_last = atomicAdd(&a.ticket[hk], 1u) == sharers - 1;
            if (is_last) a.ticket[hk] = 0;
        }
        gdn_row<NV> q = normed<NV>(x, lane8, a.Dk, a.l2_eps, a.q_scale);
        gdn_row<NV> k = normed<NV>(x + GDN_MAX_DK, lane8, a.Dk, a.l2_eps, 1.0f);
        float y = gdn_token(S, q, k, x[2 * GDN_MAX_DK + (is_row ? row : 0)], decay, beta);
        if (is_row && lane8 == 0 && !is_done)
            a.out[(int64_t)t * a.Hv * a.Dv + h * a.Dv + dv0 + row] = to_bf16(y);
    }
    if (is_row && !is_done) gdn_store(S_row, S, lane8, a.Dk);
    __syncthreads();
    /* v channels are this block's own, q and k belong to all blocks of a key head. */
#pragma unroll
    for (int j = 0; j < CHANNELS; j++)
        if (channel[j] >= 0 && !is_done && (channel[j] >= 2 * Kd || is_last))
            win[j].store(a, channel[j]);
}

template <int TAPS> static void (*pick_step(int Dk))(const step_args) {
    return Dk <= 32   ? gdn_step_k<1, TAPS>
           : Dk <= 64 ? gdn_step_k<2, TAPS>
           : Dk <= 96 ? gdn_step_k<3, TAPS>
                      : gdn_step_k<4, TAPS>;
}

int gdn_step_run(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    step_args a = {};
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
    a.T = (int32_t)g->q.rows;
    a.Hk = g->n_k_heads;
    a.Hv = g->n_v_heads;
    a.Dk = (int32_t)(g->q.cols / a.Hk);
    a.Dv = (int32_t)(g->v.cols / a.Hv);
    a.W = (int32_t)g->taps.cols;
    a.l2_eps = g->l2_eps;
    a.beta_max = g->beta_max;
    a.q_scale = rsqrtf((float)a.Dk);
    a.step = dev->step;
    a.ticket = dev->tickets + 64;
    struct cu_grid grid = {dim3((unsigned)((a.Dv + GDN_ROWS - 1) / GDN_ROWS), (unsigned)a.Hv),
                           GDN_THREADS, 0, true};
    void (*k)(const step_args) = a.W <= 4 ? pick_step<4>(a.Dk) : pick_step<MAX_TAPS>(a.Dk);
    return cu_launch(dev, "gdn_step_k", k, grid, err, a);
}
