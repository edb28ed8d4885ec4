/* conv.cu - prefill: short convolution, SiLU, L2 norms and gates for a span of tokens.
 *
 * op       steps 2, 4, 5 of docs/MODEL.md 3.2; reference ref_gdn (run_conv, norm_heads)
 * args     raw q,k,v [T,..] bf16, conv [W-1,channels] bf16, taps [channels,W] f32, a,b [T,Hv]
 *          f32 in · q,k [n,Hk*Dk], v [n,Hv*Dv], decay, beta [n,Hv] f32 out
 * work     one block a head (q, k or v) and 16 tokens; a thread slides over its channel
 * smem     one head of 16 tokens as f32
 * cost     2 W channels FLOP, 6 bytes a channel and token
 * limit    memory, L2 for the most part
 * numerics f32; taps in order, norms over a head in lane order; a token depends on its W inputs
 *          only
 * refuses  more than 8 taps
 * measured docs/PERF.md */
#include "kernels/cuda/gdn.cuh"

enum { CONV_THREADS = 128 };

struct conv_args : gdn_args {
    struct gdn_ready to;
    int64_t from; /* first token of the span within the call */
    int32_t n;
};

/* Which head a block has: its channels in the raw tensor and where the result goes. */
struct conv_head {
    const uint16_t *raw;
    float *out;
    int32_t width, ld, channel;
    bool is_normed;
    float scale;
};

DEV conv_head find_head(const conv_args &a, int h) {
    int Kd = a.Hk * a.Dk, Vd = a.Hv * a.Dv;
    if (h < a.Hk) return {a.q + h * a.Dk, a.to.q + h * a.Dk, a.Dk, Kd, h * a.Dk, true, a.q_scale};
    if (h < 2 * a.Hk) {
        int i = (h - a.Hk) * a.Dk;
        return {a.k + i, a.to.k + i, a.Dk, Kd, Kd + i, true, 1.0f};
    }
    int i = (h - 2 * a.Hk) * a.Dv;
    return {a.v + i, a.to.v + i, a.Dv, Vd, 2 * Kd + i, false, 1.0f};
}

static __global__ void __launch_bounds__(CONV_THREADS, 4)
    conv_k(const __grid_constant__ conv_args a) {
    extern __shared__ float z[]; /* [CONV_TOKENS][width] */
    const conv_head h = find_head(a, (int)blockIdx.y);
    const int t0 = (int)blockIdx.x * CONV_TOKENS,
              n = a.n - t0 < CONV_TOKENS ? a.n - t0 : CONV_TOKENS;
    const int64_t channels = 2 * a.Hk * a.Dk + a.Hv * a.Dv;
    for (int c = threadIdx.x; c < h.width; c += CONV_THREADS) {
        float tap[MAX_TAPS], x[MAX_TAPS];
#pragma unroll
        for (int j = 0; j < MAX_TAPS; j++)
            tap[j] = j < a.W ? a.taps[(h.channel + c) * (int64_t)a.W + j] : 0.0f;
#pragma unroll
        for (int j = 0; j < MAX_TAPS;
             j++) { /* x[j + 1] is the input W-1-j tokens before the first */
            int64_t t = a.from + t0 - (a.W - 1) + j;
            x[j] = j >= a.W - 1 ? 0.0f
                   : t < 0      ? from_bf16(a.conv[(a.W - 1 + t) * channels + h.channel + c])
                                : from_bf16(h.raw[t * h.ld + c]);
        }
        for (int i = 0; i < n; i++) {
            float in = from_bf16(h.raw[(a.from + t0 + i) * h.ld + c]), s = 0.0f;
#pragma unroll
            for (int j = 0; j < MAX_TAPS; j++) {
                if (j == a.W - 1) x[j] = in;
                if (j < a.W) s = fmaf(tap[j], x[j], s);
            }
            z[i * h.width + c] = silu(s);
#pragma unroll
            for (int j = 0; j < MAX_TAPS - 1; j++)
                x[j] = x[j + 1];
        }
    }
    __syncthreads();
    for (int i = threadIdx.x >> 5; i < n; i += CONV_THREADS / 32) {
        float ss = 0.0f, f = 1.0f;
        const float *row = z + i * h.width;
        if (h.is_normed) {
            for (int c = threadIdx.x & 31; c < h.width; c += 32)
                ss = fmaf(row[c], row[c], ss);
            f = rsqrtf(lanes_sum(ss) + a.l2_eps) * h.scale;
        }
        for (int c = threadIdx.x & 31; c < h.width; c += 32)
            h.out[(int64_t)(t0 + i) * h.ld + c] = row[c] * f;
    }
    if (blockIdx.y == 0)
        for (int i = threadIdx.x; i < n * a.Hv; i += CONV_THREADS) {
            int head = i % a.Hv;
            int64_t at = (a.from + t0) * a.Hv + i, to = (int64_t)t0 * a.Hv + i;
            a.to.decay[to] = gdn_decay(a.a[at], a.a_log[head], a.dt_bias[head]);
            a.to.beta[to] = gdn_beta(a.b[at], a.beta_max);
        }
}

/* The last W-1 raw projections of T >= W-1 or fewer tokens, oldest first; a thread a channel. */
static __global__ void conv_shift_k(const __grid_constant__ gdn_args a) {
    int Kd = a.Hk * a.Dk, Vd = a.Hv * a.Dv, channels = 2 * Kd + Vd;
    int c = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= channels) return;
    const uint16_t *raw = c < Kd ? a.q + c : c < 2 * Kd ? a.k + (c - Kd) : a.v + (c - 2 * Kd);
    int64_t ld = c < 2 * Kd ? Kd : Vd;
    for (int r = 0; r < a.W - 1; r++) {
        int t = a.n_tok - (a.W - 1) + r;
        a.conv[(int64_t)r * channels + c] =
            t < 0 ? a.conv[(int64_t)(a.W - 1 + t) * channels + c] : raw[t * ld];
    }
}

int conv_run(kn_dev *dev, const struct kn_gdn *g, int64_t from, int64_t n, struct gdn_ready out,
             ox_err *err) {
    conv_args a = {};
    (gdn_args &)a = gdn_args_of(g);
    a.from = from;
    a.n = (int32_t)n;
    a.to = out;
    int wide = a.Dk > a.Dv ? a.Dk : a.Dv;
    struct cu_grid grid = {
        dim3((unsigned)((n + CONV_TOKENS - 1) / CONV_TOKENS), (unsigned)(2 * a.Hk + a.Hv)),
        CONV_THREADS, (size_t)(CONV_TOKENS * wide) * 4, false};
    return cu_launch(dev, "conv_k", conv_k, grid, err, a);
}

int conv_shift(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    const gdn_args a = gdn_args_of(g);
    if (a.W < 2) return 0;
    struct cu_grid grid = {dim3((unsigned)((g->taps.rows + 255) / 256)), 256, 0, false};
    return cu_launch(dev, "conv_shift_k", conv_shift_k, grid, err, a);
}
