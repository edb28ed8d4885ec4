/* pointwise.cu - the gather of token embeddings, and what stands behind a prefill GEMM: silu(gate)
 * * up, and the columns of products that were computed as one.
 *
 * op       out[t] = table[tok[t]]; out = silu(g) * u; reference ref_embed, ref_linear's SwiGLU
 * args     table as packed (cuda_dev.cuh) · out [T,D] f32 · gate_up [T][ld] bf16 · out [T,F]
 *          bf16
 * work     one block a row
 * smem     none
 * cost     D or 3 F elements a row
 * limit    memory; embed at T = 1 is one latency, 2 us
 * numerics f32 inside; embed is exact for bf16 and int8, one rounding for int8 * scale; a row
 *          depends on itself only
 * refuses  nothing; an id outside the table gathers row 0 and is caught by the host
 * measured docs/PERF.md */
#include "kernels/cuda/cuda_dev.cuh"

struct embed_args {
    struct wt_block b;
    int32_t units, D;
    int64_t rows;
    float *out;
    const struct step_state *step;
};

/* Element c of row r of a packed block, the inverse of pack_int_k. */
DEV float packed_value(const struct wt_block &b, int units, int64_t r, int c) {
    if (b.format == WT_BF16) return from_bf16(((const uint16_t *)b.data)[r * units * SK_K + c]);
    int unit = c / SK_K, in = c % SK_K, half = in / 32, q = in % 32 / 8, j = half * 2 + in % 8 / 4;
    int k = in % 4, g = (int)(r & 7), hi = (int)(r >> 3 & 1), lane = 4 * g + q;
    int64_t tile = r >> 4;
    int bytes = (b.format == WT_I8 ? 1024 : 512) + 32 * b.scales;
    const char *base = b.data + (tile * units + unit) * (int64_t)bytes;
    float s =
        b.scales
            ? from_bf16(
                  ((const uint16_t *)(base + bytes -
                                      32 * b.scales))[(b.scales == 2 ? half : 0) * 16 + g * 2 + hi])
            : b.row_scale[r];
    if (b.format == WT_I8)
        return s *
               (float)((const int8_t *)base)[(j >> 1) * 512 + lane * 16 + (j & 1) * 8 + 2 * k + hi];
    uint32_t w = *(const uint32_t *)(base + lane * 16 + j * 4) >> (4 * hi);
    int shift = (k & 1) * 16 + (k >> 1) * 8;
    return s * (float)((int)(w >> shift & 15) - 8);
}

static __global__ void embed_k(const __grid_constant__ struct embed_args a) {
    pdl_wait();
    pdl_next();
    if (a.step->done) return;
    int t = (int)blockIdx.x;
    int64_t id = a.step->use_drawn ? a.step->drawn : a.step->tok[t];
    if (id < 0 || id >= a.rows) id = 0;
    for (int c = (int)(blockIdx.y * blockDim.x + threadIdx.x); c < a.D;
         c += (int)(gridDim.y * blockDim.x))
        a.out[(int64_t)t * a.D + c] = packed_value(a.b, a.units, id, c);
}

int embed_run(kn_dev *dev, kn_in out, const kn_weight *table, ox_err *err) {
    struct embed_args a = {table->main,         table->units,       (int32_t)table->cols,
                           table->part[0].rows, (float *)out->data, dev->step};
    unsigned slices = out->rows == 1 ? (unsigned)((table->cols + 255) / 256) : 1;
    struct cu_grid g = {dim3((unsigned)out->rows, slices), 256, 0, true};
    return cu_launch(dev, "embed_k", embed_k, g, err, a);
}

static __global__ void swiglu_k(const uint16_t *gate_up, int64_t F, int64_t up_at, int64_t ld,
                                void *out, bool is_f32, const struct step_state *step) {
    if (step->done) return;
    int64_t t = blockIdx.x;
    const uint16_t *row = gate_up + t * ld;
    for (int64_t i = threadIdx.x * 4; i + 3 < F; i += blockDim.x * 4) {
        float4 g = load_act4(row, false, i), u = load_act4(row + up_at, false, i);
        float y[4] = {silu(g.x) * u.x, silu(g.y) * u.y, silu(g.z) * u.z, silu(g.w) * u.w};
        if (!is_f32 && F % 4 == 0)
            *(uint2 *)((uint16_t *)out + t * F + i) =
                make_uint2(pack_bf16(y[0], y[1]), pack_bf16(y[2], y[3]));
        else
            for (int k = 0; k < 4; k++)
                store_act(out, is_f32, t * F + i + k, y[k]);
    }
    for (int64_t i = F / 4 * 4 + threadIdx.x; i < F; i += blockDim.x)
        store_act(out, is_f32, t * F + i, silu(from_bf16(row[i])) * from_bf16(row[up_at + i]));
}

int swiglu_run(kn_dev *dev, const void *gate_up, int64_t T, int64_t F, int64_t up_at, int64_t ld,
               const kn_tensor *out, ox_err *err) {
    struct cu_grid g = {dim3((unsigned)T), 256, 0, false};
    return cu_launch(dev, "swiglu_k", swiglu_k, g, err, (const uint16_t *)gate_up, F, up_at, ld,
                     out->data, out->dtype == KN_F32, (const struct step_state *)dev->step);
}

static __global__ void take_columns_k(const float *wide, int64_t ld, int64_t at, int64_t T,
                                      int32_t n, float *out, const struct step_state *step) {
    int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < T * n && !step->done) out[i] = wide[i / n * ld + at + i % n];
}

int take_columns_run(kn_dev *dev, const float *wide, int64_t ld, int64_t at, const kn_tensor *out,
                     ox_err *err) {
    int64_t T = out->rows, n = out->cols;
    struct cu_grid g = {dim3((unsigned)((T * n + 255) / 256)), 256, 0, false};
    return cu_launch(dev, "take_columns_k", take_columns_k, g, err, wide, ld, at, T, (int32_t)n,
                     (float *)out->data, (const struct step_state *)dev->step);
}
