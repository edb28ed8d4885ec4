/* norm.cu - the prologue of a linear operation for many rows: x += rms(add), rms(x),
 * silu(gate), to bf16.
 *
 * op       steps 1 to 3 of kn_linear; reference ref_prologue
 * args     x [T,D] f32 or bf16 in (inout with add) · xhat [T][ld] bf16 out, zeros behind D
 * work     one block a row
 * smem     x as f32, 4 D bytes
 * cost     about 10 D FLOP and 6 to 12 D bytes a row
 * limit    memory
 * numerics f32 sums by thread, warp, block in fixed order; a row depends on itself only
 * refuses  rows over 48K columns (shared memory)
 * measured docs/PERF.md */
#include "kernels/cuda/cuda_dev.cuh"

enum { NORM_THREADS = 256 };

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
    struct cu_grid g = {dim3((unsigned)l->x.rows), NORM_THREADS, (size_t)a.D * 4, true};
    return cu_launch(dev, "prologue_k", prologue_k, g, err, a);
}
