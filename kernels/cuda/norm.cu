/* norm.cu - the prologue of a linear operation for many rows: x += rms(add), rms(x),
 * silu(gate), to bf16.
 *
 * op       steps 1 to 3 of kn_linear; reference ref_prologue
 * args     x [T,D] f32 or bf16 in (inout with add) · xhat [T][ld] bf16 out, zeros behind D
 * work     one block a row, kept in registers where it is f32 and at most 4096 wide; one warp a
 *          head for the gated norm; any other case in shared memory
 * smem     x as f32, 4 D bytes, in that last form
 * cost     about 10 D FLOP and 6 to 12 D bytes a row
 * limit    memory
 * numerics f32 sums by thread, warp, block in fixed order; a row depends on itself only
 * refuses  rows over 48K columns (shared memory)
 * measured docs/PERF.md */
#include "kernels/cuda/cuda_dev.cuh"

enum { NORM_THREADS = 256, WIDE_VECS = 4, GATED_PAIRS = 4 };

struct norm_args {
    void *x;
    const uint16_t *add, *gate;
    const float *add_norm, *norm;
    uint16_t *out;
    int32_t D, ld, norm_cols;
    bool x_f32;
    float add_eps, norm_eps;
    const struct step_state *step;
};

static __global__ void __launch_bounds__(NORM_THREADS)
    prologue_k(const __grid_constant__ struct norm_args a) {
    extern __shared__ __align__(16) float x[]; /* [D] */
    __shared__ float red[NORM_THREADS / 32];
    pdl_wait();
    pdl_next();
    const int64_t at = (int64_t)blockIdx.x * a.D;
    const bool is_done = a.step->done != 0;
    for (int i = threadIdx.x; i < a.D; i += NORM_THREADS)
        x[i] = load_act(a.x, a.x_f32, at + i);
    if (a.add) {
        float ss = 0.0f;
        for (int i = threadIdx.x; i < a.D; i += NORM_THREADS) {
            float z = from_bf16(a.add[at + i]);
            ss = fmaf(z, z, ss);
        }
        float r = rsqrtf(block_sum(ss, red) / (float)a.D + a.add_eps);
        for (int i = threadIdx.x; i < a.D; i += NORM_THREADS) {
            x[i] += a.add_norm[i] * (from_bf16(a.add[at + i]) * r);
            if (!is_done) ((float *)a.x)[at + i] = x[i];
        }
    }
    __syncthreads();
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    if (a.norm && a.norm_cols == a.D) {
        float ss = 0.0f;
        for (int i = threadIdx.x; i < a.D; i += NORM_THREADS)
            ss = fmaf(x[i], x[i], ss);
        float r = rsqrtf(block_sum(ss, red) / (float)a.D + a.norm_eps);
        for (int i = threadIdx.x; i < a.D; i += NORM_THREADS)
            x[i] = a.norm[i] * (x[i] * r);
    } else if (a.norm) {
        for (int h = warp; h < a.D / a.norm_cols; h += NORM_THREADS / 32) {
            float *y = x + h * a.norm_cols, ss = 0.0f;
            for (int i = lane; i < a.norm_cols; i += 32)
                ss = fmaf(y[i], y[i], ss);
            float r = rsqrtf(lanes_sum(ss) / (float)a.norm_cols + a.norm_eps);
            for (int i = lane; i < a.norm_cols; i += 32)
                y[i] = a.norm[i] * (y[i] * r);
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < a.ld; i += NORM_THREADS) {
        float v = i < a.D ? x[i] : 0.0f;
        if (a.gate && i < a.D) v *= silu(from_bf16(a.gate[at + i]));
        if (!is_done) a.out[(int64_t)blockIdx.x * a.ld + i] = to_bf16(v);
    }
}

/* The same for rows of f32 whose norm spans them, D in fours: the row stays in registers. */
static __global__ void __launch_bounds__(NORM_THREADS)
    prologue_wide_k(const __grid_constant__ struct norm_args a) {
    __shared__ float red[2][NORM_THREADS / 32];
    pdl_wait();
    pdl_next();
    const int64_t at = (int64_t)blockIdx.x * a.D;
    const bool is_done = a.step->done != 0;
    float4 x[WIDE_VECS];
#pragma unroll
    for (int j = 0; j < WIDE_VECS; j++) {
        int i = 4 * (threadIdx.x + NORM_THREADS * j);
        x[j] = i < a.D ? *(const float4 *)((const float *)a.x + at + i) : make_float4(0, 0, 0, 0);
    }
    if (a.add) {
        float4 z[WIDE_VECS];
        float ss = 0.0f;
#pragma unroll
        for (int j = 0; j < WIDE_VECS; j++) {
            int i = 4 * (threadIdx.x + NORM_THREADS * j);
            z[j] = i < a.D ? load_act4(a.add, false, at + i) : make_float4(0, 0, 0, 0);
            ss += dot4(z[j], z[j]);
        }
        float r = rsqrtf(block_sum(ss, red[0]) / (float)a.D + a.add_eps);
#pragma unroll
        for (int j = 0; j < WIDE_VECS; j++) {
            int i = 4 * (threadIdx.x + NORM_THREADS * j);
            if (i >= a.D) continue;
            float4 w = *(const float4 *)(a.add_norm + i);
            x[j].x += w.x * (z[j].x * r), x[j].y += w.y * (z[j].y * r);
            x[j].z += w.z * (z[j].z * r), x[j].w += w.w * (z[j].w * r);
            if (!is_done) *(float4 *)((float *)a.x + at + i) = x[j];
        }
    }
    float f = 1.0f;
    if (a.norm) {
        float ss = 0.0f;
#pragma unroll
        for (int j = 0; j < WIDE_VECS; j++)
            ss += dot4(x[j], x[j]);
        f = rsqrtf(block_sum(ss, red[1]) / (float)a.D + a.norm_eps);
    }
#pragma unroll
    for (int j = 0; j < WIDE_VECS; j++) {
        int i = 4 * (threadIdx.x + NORM_THREADS * j);
        if (i >= a.D || is_done) continue;
        float4 w = a.norm ? *(const float4 *)(a.norm + i) : make_float4(1, 1, 1, 1);
        *(uint2 *)(a.out + at + i) = make_uint2(pack_bf16(w.x * (x[j].x * f), w.y * (x[j].y * f)),
                                                pack_bf16(w.z * (x[j].z * f), w.w * (x[j].w * f)));
    }
}

/* Norm by heads and gate, bf16, heads of 2 to 256 channels: a warp a head. */
static __global__ void __launch_bounds__(NORM_THREADS)
    prologue_gated_k(const __grid_constant__ struct norm_args a, int64_t n_heads) {
    const int lane = threadIdx.x & 31, n = a.norm_cols / 2;
    const int64_t head = (int64_t)blockIdx.x * (NORM_THREADS / 32) + (threadIdx.x >> 5);
    if (head >= n_heads || a.step->done) return;
    const uint32_t *x = (const uint32_t *)a.x + head * n,
                   *gate = (const uint32_t *)a.gate + head * n;
    uint32_t v[GATED_PAIRS], z[GATED_PAIRS];
    float ss = 0.0f;
#pragma unroll
    for (int j = 0; j < GATED_PAIRS; j++) {
        int i = lane + 32 * j;
        v[j] = i < n ? x[i] : 0u;
        z[j] = i < n ? gate[i] : 0u;
    }
#pragma unroll
    for (int j = 0; j < GATED_PAIRS; j++)
        ss = fmaf(bf16_hi(v[j]), bf16_hi(v[j]), fmaf(bf16_lo(v[j]), bf16_lo(v[j]), ss));
    const float r = rsqrtf(lanes_sum(ss) / (float)a.norm_cols + a.norm_eps);
#pragma unroll
    for (int j = 0; j < GATED_PAIRS; j++) {
        int i = lane + 32 * j;
        if (i >= n) continue;
        float2 w = *(const float2 *)(a.norm + 2 * i);
        ((uint32_t *)a.out)[head * n + i] =
            pack_bf16(w.x * (bf16_lo(v[j]) * r) * silu(bf16_lo(z[j])),
                      w.y * (bf16_hi(v[j]) * r) * silu(bf16_hi(z[j])));
    }
}

int prologue_run(kn_dev *dev, const struct kn_linear *l, int64_t ld, uint16_t *xhat, ox_err *err) {
    struct norm_args a = {};
    a.x = l->x.data;
    a.add = (const uint16_t *)l->add.data;
    a.gate = (const uint16_t *)l->gate.data;
    a.add_norm = (const float *)l->add_norm.data;
    a.norm = (const float *)l->norm.data;
    a.out = xhat;
    a.D = (int32_t)l->x.cols;
    a.ld = (int32_t)ld;
    a.norm_cols = (int32_t)l->norm.cols;
    a.x_f32 = l->x.dtype == KN_F32;
    a.add_eps = l->add_eps;
    a.norm_eps = l->norm_eps;
    a.step = dev->step;
    if (a.x_f32 && !a.gate && a.D == ld && a.D % 4 == 0 && a.D <= 4 * WIDE_VECS * NORM_THREADS &&
        (!a.norm || a.norm_cols == a.D)) {
        struct cu_grid wide = {dim3((unsigned)l->x.rows), NORM_THREADS, 0, true};
        return cu_launch(dev, "prologue_wide_k", prologue_wide_k, wide, err, a);
    }
    if (!a.x_f32 && a.gate && a.norm && !a.add && a.D == ld && a.norm_cols % 2 == 0 &&
        a.norm_cols <= 64 * GATED_PAIRS) {
        int64_t n = l->x.rows * (a.D / a.norm_cols), per = NORM_THREADS / 32;
        struct cu_grid heads = {dim3((unsigned)((n + per - 1) / per)), NORM_THREADS, 0, false};
        return cu_launch(dev, "prologue_gated_k", prologue_gated_k, heads, err, a, n);
    }
    struct cu_grid g = {dim3((unsigned)l->x.rows), NORM_THREADS, (size_t)a.D * 4, true};
    return cu_launch(dev, "prologue_k", prologue_k, g, err, a);
}
