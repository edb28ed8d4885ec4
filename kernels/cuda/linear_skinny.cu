/* linear_skinny.cu - decode: all products with a weight matrix for T = 1..8 rows, weights read
 * once.
 *
 * op       out[i] = epi(pro(x) W_i') of kn.h; reference ref_linear, ref_prologue
 * args     x [T,D] f32 or bf16 in (inout with add) · W bf16, int8 or int4 (cuda_dev.cuh) · out
 *          [T,O_i]
 * work     one block an SM takes an equal run of units (16 rows x 64 columns) in row-tile
 *          order; its 8 warps take every 8th unit; weights are operand A of mma m16n8k16, token
 *          rows operand B. A tile cut by a block border is finished by the block that has its
 *          head.
 * smem     x^ as bf16 [T][kpad+8], partial sums of the warps 2 x 8 x 16 x T f32, int4: -136 sum
 *          x^
 * cost     2 T O D FLOP; O D (2, 1 or 0.5) bytes + scales
 * limit    memory: device copy rate; target 92 % bf16, 86 % int8, 80 % int4 (docs/KERNELS.md
 *          2.2)
 * numerics f32 sums: four mma of a unit in column order, units of a warp in order, warps in
 *          order, then the neighbour block. Depends on the SM count, never on T. int4 counts
 *          from 128 + u and starts each group at -136 sum x^ instead of subtracting: 1e-5 of
 *          the product's size.
 * refuses  add with out[0] = x
 * measured docs/PERF.md */
#include "kernels/cuda/cuda_dev.cuh"

static_assert(SK_ROWS == 16 && SK_K == 64, "the lane order below is that of four m16n8k16");

struct sk_out {
    void *p;
    int64_t ld;
    int32_t rows, tile0;
    bool f32;
};
struct sk_args {
    struct wt_block main, extra;
    struct sk_out out[KN_PARTS];
    int32_t n_parts, first_extra; /* parts from first_extra on lie in the extra block */
    int32_t n_main;               /* blocks that work on main; the others on extra */
    int32_t units, T, D, ld_x, epi;
    bool is_pair, x_f32;
    void *x;
    const void *add, *gate;
    const float *add_norm, *norm;
    int32_t norm_cols;
    float add_eps, norm_eps;
    const struct step_state *step;
    unsigned *ticket, *fix_flag;
    float *fix;
};

/* Shared memory, all offsets in bytes. */
struct sk_smem {
    uint32_t xhat, nx, red, xnew, total;
};
static __host__ __device__ struct sk_smem sk_layout(int units, int T, int D, bool has_add,
                                                    bool has_nx, int scales) {
    struct sk_smem s;
    s.xhat = 0;
    s.nx = (uint32_t)(T * (units * SK_K + 8) * 2);
    s.red = s.nx + (has_nx ? (uint32_t)(units * (scales == 2 ? 2 : 1) * SK_MAX_T * 4) : 0);
    s.xnew = s.red + (uint32_t)(2 * SK_WARPS * SK_ROWS * T * 4);
    s.total = s.xnew + (has_add ? (uint32_t)(T * D * 4) : 0);
    return s;
}

/* ---- prologue ------------------------------------------------------------------------------- */

/* Norm over the whole row; x may first take rms(add). One row, all threads. */
static __device__ void norm_row(const struct sk_args &a, int t, uint16_t *xhat, float *xnew,
                                float *red) {
    float4 v[4];
    int n = a.D;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        int i = 4 * (threadIdx.x + SK_THREADS * j);
        v[j] = i < n ? load_act4(a.x, a.x_f32, (int64_t)t * n + i) : make_float4(0, 0, 0, 0);
    }
    if (a.add) {
        float4 z[4];
        float ss = 0.0f;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int i = 4 * (threadIdx.x + SK_THREADS * j);
            z[j] = i < n ? load_act4(a.add, false, (int64_t)t * n + i) : make_float4(0, 0, 0, 0);
            ss += dot4(z[j], z[j]);
        }
        float r = rsqrtf(block_sum(ss, red) / (float)n + a.add_eps);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int i = 4 * (threadIdx.x + SK_THREADS * j);
            if (i >= n) continue;
            float4 w = *(const float4 *)(a.add_norm + i);
            v[j].x += w.x * (z[j].x * r);
            v[j].y += w.y * (z[j].y * r);
            v[j].z += w.z * (z[j].z * r);
            v[j].w += w.w * (z[j].w * r);
            *(float4 *)(xnew + i) = v[j];
        }
    }
    float r = 1.0f;
    if (a.norm) {
        float ss = 0.0f;
#pragma unroll
        for (int j = 0; j < 4; j++)
            ss += dot4(v[j], v[j]);
        __syncthreads(); /* red is free */
        r = rsqrtf(block_sum(ss, red) / (float)n + a.norm_eps);
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
        int i = 4 * (threadIdx.x + SK_THREADS * j);
        if (i >= n) continue;
        float4 w = a.norm ? *(const float4 *)(a.norm + i) : make_float4(1, 1, 1, 1);
        uint2 o = make_uint2(pack_bf16(w.x * (v[j].x * r), w.y * (v[j].y * r)),
                             pack_bf16(w.z * (v[j].z * r), w.w * (v[j].w * r)));
        *(uint2 *)(xhat + i) = o;
    }
    __syncthreads();
}

/* Norm over heads narrower than the row, then the gate: one warp a head. */
static __device__ void norm_heads(const struct sk_args &a, int t, uint16_t *xhat) {
    int lane = threadIdx.x & 31, n = a.norm ? a.norm_cols : a.D, heads = a.D / n;
    for (int h = threadIdx.x >> 5; h < heads; h += SK_WARPS) {
        int64_t at = (int64_t)t * a.D + h * n;
        float ss = 0.0f;
        for (int i = lane; a.norm && i < n; i += 32) {
            float v = load_act(a.x, a.x_f32, at + i);
            ss = fmaf(v, v, ss);
        }
        float r = a.norm ? rsqrtf(lanes_sum(ss) / (float)n + a.norm_eps) : 1.0f;
        for (int i = lane; i < n; i += 32) {
            float v = load_act(a.x, a.x_f32, at + i) * r;
            if (a.norm) v *= a.norm[i];
            if (a.gate) v *= silu(load_act(a.gate, false, at + i));
            xhat[h * n + i] = to_bf16(v);
        }
    }
}

static __device__ void copy_row(const struct sk_args &a, int t, uint16_t *xhat) {
    if (a.x_f32 || a.D % 8) {
        for (int i = threadIdx.x; i < a.D; i += SK_THREADS)
            xhat[i] = to_bf16(load_act(a.x, a.x_f32, (int64_t)t * a.D + i));
        return;
    }
    const uint4 *src = (const uint4 *)((const uint16_t *)a.x + (int64_t)t * a.D);
    for (int i = threadIdx.x; i < a.D / 8; i += SK_THREADS)
        *(uint4 *)(xhat + 8 * i) = src[i];
}

/* All T rows of x^ in shared memory, zeros behind column D. Ends with a barrier. */
static __device__ void prologue(const struct sk_args &a, uint16_t *xs, float *xnew, float *red) {
    bool is_narrow = a.gate || (a.norm && a.norm_cols != a.D);
    for (int t = 0; t < a.T; t++) {
        uint16_t *xhat = xs + (int64_t)t * a.ld_x;
        for (int i = a.D + threadIdx.x; i < a.ld_x; i += SK_THREADS)
            xhat[i] = 0;
        if (is_narrow)
            norm_heads(a, t, xhat);
        else if (a.norm || a.add)
            norm_row(a, t, xhat, xnew + (int64_t)t * a.D, red);
        else
            copy_row(a, t, xhat);
    }
    __syncthreads();
}

/* nx[unit or half][t] = -136 sum of x^ over the group: what counting from 128 + 8 adds to a row. */
static __device__ void group_sums(const struct sk_args &a, const uint16_t *xs, float *nx,
                                  int scales) {
    int lane = threadIdx.x & 31, span = scales == 2 ? 32 : SK_K, n = a.units * SK_K / span;
    for (int j = threadIdx.x >> 5; j < n * SK_MAX_T; j += SK_WARPS) {
        int t = j % SK_MAX_T, u = j / SK_MAX_T;
        float s = 0.0f;
        if (t < a.T) {
            const uint16_t *x = xs + (int64_t)t * a.ld_x + u * span;
            s = from_bf16(x[lane]) + (span == SK_K ? from_bf16(x[lane + 32]) : 0.0f);
        }
        s = lanes_sum(s);
        if (lane == 0) nx[j] = -136.0f * s;
    }
    __syncthreads();
}

/* ---- units of weights ------------------------------------------------------------------------
 * A lane (g = lane / 4, q = lane % 4) holds rows g and g + 8 at columns 8q..8q+7 and
 * 32+8q..32+8q+7: mma j takes columns 4j..4j+3 of its half. Only the order of columns differs from
 * the textbook fragment, and x^ is read in the same order: two 16-byte loads. */
template <int FMT, int SC> struct unit;

template <int SC> struct unit<WT_BF16, SC> {
    enum { DEPTH = 3 };
    uint4 r[4];
    __device__ void load(const struct wt_block &b, const struct sk_args &a, int tile, int pos,
                         int lane) {
        int64_t ld = (int64_t)a.units * SK_K;
        int g = lane >> 2, q = lane & 3;
        int64_t row = a.is_pair ? tile * 8 + g : tile * 16 + g;
        int64_t row8 = a.is_pair ? (int64_t)b.n_tiles * 8 + row : row + 8;
        const char *p = b.data + (row * ld + pos * SK_K + 8 * q) * 2;
        const char *p8 = b.data + (row8 * ld + pos * SK_K + 8 * q) * 2;
        r[0] = load_stream(p);
        r[1] = load_stream(p + 64);
        r[2] = load_stream(p8);
        r[3] = load_stream(p8 + 64);
    }
    __device__ void use(float *acc, const uint4 &x0, const uint4 &x1, const float *, int) const {
        mma_bf16(acc, r[0].x, r[2].x, r[0].y, r[2].y, x0.x, x0.y);
        mma_bf16(acc, r[0].z, r[2].z, r[0].w, r[2].w, x0.z, x0.w);
        mma_bf16(acc, r[1].x, r[3].x, r[1].y, r[3].y, x1.x, x1.y);
        mma_bf16(acc, r[1].z, r[3].z, r[1].w, r[3].w, x1.z, x1.w);
    }
};

/* Scales of a unit: [16] or [2][16] bf16 pairs (row g, row g + 8) behind the weights. */
DEV void add_scaled(float *acc, const float *c, uint32_t scale) {
    float s0 = bf16_lo(scale), s8 = bf16_hi(scale);
    acc[0] = fmaf(s0, c[0], acc[0]);
    acc[1] = fmaf(s0, c[1], acc[1]);
    acc[2] = fmaf(s8, c[2], acc[2]);
    acc[3] = fmaf(s8, c[3], acc[3]);
}

/* Two int8 in the low bytes of the halves of w to two bf16: 128 + low 7 bits, less 128 or 256. */
DEV uint32_t i8_pair(uint32_t w) {
    uint32_t a = (w & 0x007f007fu) | 0x43004300u, b = (w & 0x00800080u) | 0x43004300u, d;
    asm("sub.rn.bf16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
    return d;
}

template <int SC> struct unit<WT_I8, SC> {
    enum { DEPTH = 5 };
    uint4 r[2];
    uint32_t s[2];
    __device__ void load(const struct wt_block &b, const struct sk_args &a, int tile, int pos,
                         int lane) {
        const char *p = b.data + ((int64_t)tile * a.units + pos) * (1024 + 32 * SC);
        r[0] = load_stream(p + lane * 16);
        r[1] = load_stream(p + 512 + lane * 16);
#pragma unroll
        for (int i = 0; i < SC; i++)
            s[i] = __ldg((const uint32_t *)(p + 1024) + 8 * i + (lane >> 2));
    }
    DEV void two(float *c, uint32_t w0, uint32_t w1, uint32_t b0, uint32_t b1) {
        mma_bf16(c, i8_pair(w0), i8_pair(w0 >> 8), i8_pair(w1), i8_pair(w1 >> 8), b0, b1);
    }
    __device__ void use(float *acc, const uint4 &x0, const uint4 &x1, const float *, int) const {
        if (SC == 0) {
            two(acc, r[0].x, r[0].y, x0.x, x0.y);
            two(acc, r[0].z, r[0].w, x0.z, x0.w);
            two(acc, r[1].x, r[1].y, x1.x, x1.y);
            two(acc, r[1].z, r[1].w, x1.z, x1.w);
            return;
        }
        float c[4] = {0, 0, 0, 0};
        two(c, r[0].x, r[0].y, x0.x, x0.y);
        two(c, r[0].z, r[0].w, x0.z, x0.w);
        if (SC == 2) {
            add_scaled(acc, c, s[0]);
            c[0] = c[1] = c[2] = c[3] = 0.0f;
        }
        two(c, r[1].x, r[1].y, x1.x, x1.y);
        two(c, r[1].z, r[1].w, x1.z, x1.w);
        add_scaled(acc, c, s[SC == 2]);
    }
};

template <int SC> struct unit<WT_I4, SC> {
    enum { DEPTH = 8 };
    uint4 r;
    uint32_t s[2];
    __device__ void load(const struct wt_block &b, const struct sk_args &a, int tile, int pos,
                         int lane) {
        const char *p = b.data + ((int64_t)tile * a.units + pos) * (512 + 32 * SC);
        r = load_stream(p + lane * 16);
#pragma unroll
        for (int i = 0; i < SC; i++)
            s[i] = __ldg((const uint32_t *)(p + 512) + 8 * i + (lane >> 2));
    }
    /* Nibbles u = q + 8 as bf16 128 + u: no subtraction, see group_sums. */
    DEV uint32_t pick(uint32_t w) {
        return (w & 0x000f000fu) | 0x43004300u;
    }
    DEV void two(float *c, uint32_t w, uint32_t b0, uint32_t b1) {
        mma_bf16(c, pick(w), pick(w >> 4), pick(w >> 8), pick(w >> 12), b0, b1);
    }
    /* nx: the sums of this lane's two token columns */
    __device__ void use(float *acc, const uint4 &x0, const uint4 &x1, const float *nx, int) const {
        float2 n = *(const float2 *)nx;
        float c[4] = {n.x, n.y, n.x, n.y};
        two(c, r.x, x0.x, x0.y);
        two(c, r.y, x0.z, x0.w);
        if (SC == 2) {
            add_scaled(acc, c, s[0]);
            n = *(const float2 *)(nx + SK_MAX_T);
            c[0] = c[2] = n.x;
            c[1] = c[3] = n.y;
        }
        two(c, r.z, x1.x, x1.y);
        two(c, r.w, x1.z, x1.w);
        if (SC == 0) {
            acc[0] += c[0];
            acc[1] += c[1];
            acc[2] += c[2];
            acc[3] += c[3];
        } else {
            add_scaled(acc, c, s[SC == 2]);
        }
    }
};

/* ---- epilogue ------------------------------------------------------------------------------- */

/* The sum of one row and token; `up` is the sum 8 rows further (pairs). Lane order: row, then t. */
static __device__ void emit(const struct sk_args &a, bool is_extra, int tile, int row, int t,
                            float v, float up) {
    if (a.is_pair) {
        int64_t o = (int64_t)tile * 8 + (row & 7);
        if (o >= a.out[0].rows) return;
        if (a.epi == KN_EPI_SWIGLU) {
            if (row < 8) store_act(a.out[0].p, a.out[0].f32, t * a.out[0].ld + o, silu(v) * up);
        } else {
            const struct sk_out &out = a.out[row >> 3];
            store_act(out.p, out.f32, t * out.ld + o, v);
        }
        return;
    }
    int i = is_extra ? a.first_extra : 0, end = is_extra ? a.n_parts : a.first_extra;
    while (i + 1 < end && tile >= a.out[i + 1].tile0)
        i++;
    const struct sk_out &out = a.out[i];
    int64_t o = (int64_t)(tile - out.tile0) * SK_ROWS + row;
    if (o >= out.rows) return;
    int64_t at = t * out.ld + o;
    if (a.epi == KN_EPI_ADD)
        ((float *)out.p)[at] += v;
    else
        store_act(out.p, out.f32, at, v);
}

/* One warp adds the partial sums of all warps, in their order, and those of the next block when the
 * tile goes on there; or leaves them for the block before, when the tile began there. */
static __device__ __noinline__ void finish_tile(const struct sk_args &a, const struct wt_block &b,
                                                bool is_extra, const float *red, int tile,
                                                bool is_head_cut, bool is_tail_cut, bool is_done) {
    int lane = threadIdx.x & 31, n = SK_ROWS * a.T;
    unsigned *flag = a.fix_flag + blockIdx.x;
    if (is_tail_cut) { /* the rest lies in the next block, which did it first */
        unsigned ready = 0;
        while (!ready)
            asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(ready) : "l"(flag + 1) : "memory");
    }
    for (int base = 0; base < n; base += 32) {
        int i = base + lane;
        float s = 0.0f;
        if (i < n) {
#pragma unroll
            for (int w = 0; w < SK_WARPS; w++)
                s += red[w * n + i];
        }
        if (is_head_cut) {
            if (i < n) a.fix[blockIdx.x * (SK_ROWS * SK_MAX_T) + i] = s;
            continue;
        }
        if (is_tail_cut && i < n) s += __ldcg(&a.fix[(blockIdx.x + 1) * (SK_ROWS * SK_MAX_T) + i]);
        if (b.row_scale && i < n) s *= b.row_scale[tile * SK_ROWS + (i & 15)];
        float up = __shfl_down_sync(0xffffffffu, s, 8);
        if (i < n && !is_done) emit(a, is_extra, tile, i & 15, i >> 4, s, up);
    }
    __syncwarp();
    if (is_head_cut && lane == 0) {
        __threadfence();
        asm volatile("st.release.gpu.u32 [%0], %1;" ::"l"(flag), "r"(1u) : "memory");
    } else if (is_head_cut) {
        __threadfence();
    }
    if (is_tail_cut && lane == 0) flag[1] = 0;
}

/* ---- the kernel ----------------------------------------------------------------------------- */

/* Weights depend on nothing: the first SK_PREFETCH bytes of the block's share move to the L2 while
 * the kernel before still runs. */
template <int FMT, int SC>
static __device__ void prefetch(const struct sk_args &a, const struct wt_block &b, int u0, int u1) {
    int n = SK_PREFETCH / (FMT == WT_BF16 ? 2048 : (FMT == WT_I8 ? 1024 : 512) + 32 * SC);
    if (u1 - u0 < n) n = u1 - u0;
    if (FMT == WT_BF16) { /* a unit is 16 lines, each in its own row */
        for (int i = threadIdx.x; i < n * SK_ROWS; i += SK_THREADS) {
            int u = u0 + i / SK_ROWS, r = i % SK_ROWS, tile = u / a.units, pos = u % a.units;
            int64_t row = a.is_pair ? tile * 8 + (r & 7) + (r >> 3) * (int64_t)b.n_tiles * 8
                                    : tile * (int64_t)SK_ROWS + r;
            prefetch_l2(b.data + (row * a.units + pos) * (SK_K * 2));
        }
    } else {
        int bytes = (FMT == WT_I8 ? 1024 : 512) + 32 * SC;
        const char *p = b.data + (int64_t)u0 * bytes;
        for (int i = threadIdx.x * 128; i < n * bytes; i += SK_THREADS * 128)
            prefetch_l2(p + i);
    }
}

template <int FMT, int SC>
static __device__ void run_block(const struct sk_args &a, const struct wt_block &b, bool is_extra,
                                 int cta, int n_cta, uint8_t *smem) {
    typedef unit<FMT, SC> U;
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
    const int upt = a.units;
    const int64_t all = (int64_t)b.n_tiles * upt;
    const int u0 = (int)(all * cta / n_cta), u1 = (int)(all * (cta + 1) / n_cta);
    prefetch<FMT, SC>(a, b, u0, u1);
    pdl_wait();
    pdl_next();
    const bool is_done = a.step->done != 0;

    struct sk_smem at =
        sk_layout(upt, a.T, a.D, a.add != NULL, a.main.format == WT_I4, a.main.scales);
    uint16_t *xs = (uint16_t *)(smem + at.xhat);
    float *nx = (float *)(smem + at.nx), *red = (float *)(smem + at.red);
    float *xnew = (float *)(smem + at.xnew);
    prologue(a, xs, xnew, red);
    __shared__ bool is_last;
    if (a.add && threadIdx.x == 0) /* all have read x when the last one counts itself */
        is_last = atomicAdd(a.ticket, 1u) == gridDim.x - 1;
    if (FMT == WT_I4) group_sums(a, xs, nx, SC);

    const bool is_on = g < a.T; /* lanes of columns without a token feed zeros */
    const uint16_t *xrow = xs + (is_on ? g : 0) * a.ld_x + 8 * q;
    float acc[4] = {0, 0, 0, 0};
    int u = u0 + warp;
    int lt = u / upt, lp = u % upt; /* next unit to load */
    U ring[U::DEPTH];
#pragma unroll
    for (int d = 0; d < U::DEPTH; d++) {
        if (u + SK_WARPS * d < u1) ring[d].load(b, a, lt, lp, lane);
        for (lp += SK_WARPS; lp >= upt; lp -= upt)
            lt++;
    }
    const int first = u0 / upt, last = (u1 - 1) / upt;
    int tile = first, pos = u0 - first * upt + warp, n_done = 0;
    const int n = SK_ROWS * a.T;
    auto flush = [&]() {
        float *r = red + ((n_done & 1) * SK_WARPS + warp) * n;
        if (2 * q < a.T) {
            r[2 * q * SK_ROWS + g] = acc[0];
            r[2 * q * SK_ROWS + g + 8] = acc[2];
        }
        if (2 * q + 1 < a.T) {
            r[(2 * q + 1) * SK_ROWS + g] = acc[1];
            r[(2 * q + 1) * SK_ROWS + g + 8] = acc[3];
        }
        acc[0] = acc[1] = acc[2] = acc[3] = 0.0f;
        __syncthreads();
        if (warp == (n_done & (SK_WARPS - 1)))
            finish_tile(a, b, is_extra, red + (n_done & 1) * SK_WARPS * n, tile,
                        tile == first && u0 % upt != 0, tile == last && u1 % upt != 0, is_done);
        n_done++;
        tile++;
    };
    while (u < u1) {
#pragma unroll
        for (int d = 0; d < U::DEPTH; d++) {
            if (u < u1) {
                for (; pos >= upt; pos -= upt)
                    flush();
                uint4 x0 = make_uint4(0, 0, 0, 0), x1 = x0;
                if (is_on) {
                    x0 = *(const uint4 *)(xrow + pos * SK_K);
                    x1 = *(const uint4 *)(xrow + pos * SK_K + 32);
                }
                ring[d].use(acc, x0, x1, nx + pos * (SC == 2 ? 2 : 1) * SK_MAX_T + 2 * q, 0);
                if (u + SK_WARPS * U::DEPTH < u1) ring[d].load(b, a, lt, lp, lane);
                for (lp += SK_WARPS; lp >= upt; lp -= upt)
                    lt++;
                u += SK_WARPS;
                pos += SK_WARPS;
            }
        }
    }
    while (tile <= last)
        flush();
    if (a.add) { /* the block that counted last: x is read by nobody any more */
        __syncthreads();
        if (is_last) {
            for (int i = threadIdx.x; i < a.T * a.D && !is_done; i += SK_THREADS)
                ((float *)a.x)[i] = xnew[i];
            if (threadIdx.x == 0) *a.ticket = 0;
        }
    }
}

template <int FMT, int SC>
__global__ void __launch_bounds__(SK_THREADS, 2)
    skinny_k(const __grid_constant__ struct sk_args a) {
    extern __shared__ __align__(16) uint8_t smem[];
    int cta = (int)blockIdx.x;
    if (cta < a.n_main)
        run_block<FMT, SC>(a, a.main, false, cta, a.n_main, smem);
    else
        run_block<WT_BF16, 0>(a, a.extra, true, cta - a.n_main, (int)gridDim.x - a.n_main, smem);
}

typedef void (*skinny_fn)(struct sk_args);
static void (*pick_kernel(const struct wt_block *b))(const struct sk_args) {
    switch (b->format) {
    case WT_BF16: return skinny_k<WT_BF16, 0>;
    case WT_I8:
        return b->scales == 0   ? skinny_k<WT_I8, 0>
               : b->scales == 1 ? skinny_k<WT_I8, 1>
                                : skinny_k<WT_I8, 2>;
    case WT_I4:
        return b->scales == 0   ? skinny_k<WT_I4, 0>
               : b->scales == 1 ? skinny_k<WT_I4, 1>
                                : skinny_k<WT_I4, 2>;
    }
    return NULL;
}

/* ---- host ----------------------------------------------------------------------------------- */

static void share_blocks(const kn_dev *dev, const kn_weight *w, struct sk_args *a, int *n_ctas) {
    int64_t unit = (int64_t)wt_unit_bytes(w->main.format, w->main.scales);
    int64_t main_bytes = w->main.n_tiles * w->units * unit;
    int64_t extra_bytes = (int64_t)w->extra.n_tiles * w->units * SK_ROWS * SK_K * 2;
    int n = dev->n_sm < MAX_CTAS ? dev->n_sm : MAX_CTAS, n_extra = 0;
    if (w->extra.n_tiles) {
        n_extra =
            (int)((extra_bytes * n + main_bytes + extra_bytes - 1) / (main_bytes + extra_bytes));
        if (n_extra > w->extra.n_tiles) n_extra = w->extra.n_tiles;
        if (n_extra >= n) n_extra = n - 1;
    }
    /* A tile may be cut once at most: no more blocks than tiles. */
    a->n_main = n - n_extra < w->main.n_tiles ? n - n_extra : w->main.n_tiles;
    *n_ctas = a->n_main + n_extra;
}

static int fill_args(kn_dev *dev, const struct kn_linear *l, struct sk_args *a, ox_err *err) {
    const kn_weight *w = l->w;
    *a = (struct sk_args){};
    a->main = w->main;
    a->extra = w->extra;
    a->n_parts = w->n_parts;
    a->first_extra = w->n_parts;
    for (int i = w->n_parts - 1; i >= 0; i--)
        if (w->part[i].in_extra) a->first_extra = i;
    for (int i = 0; i < w->n_parts; i++) {
        bool is_on = i == 0 || l->epi == KN_EPI_STORE;
        a->out[i] = (struct sk_out){is_on ? l->out[i].data : NULL, w->part[i].rows,
                                    (int32_t)w->part[i].rows, w->part[i].tile0,
                                    is_on && l->out[i].dtype == KN_F32};
    }
    a->units = w->units;
    a->D = (int32_t)w->cols;
    a->ld_x = w->units * SK_K + 8;
    a->epi = l->epi;
    a->is_pair = w->is_pair;
    a->x_f32 = l->x.dtype == KN_F32;
    a->add_norm = (const float *)l->add_norm.data;
    a->norm = (const float *)l->norm.data;
    a->norm_cols = (int32_t)l->norm.cols;
    a->add_eps = l->add_eps;
    a->norm_eps = l->norm_eps;
    a->step = dev->step;
    a->ticket = dev->tickets;
    a->fix = dev->fix;
    a->fix_flag = dev->fix_flag;
    if (l->epi == KN_EPI_ADD && l->add.data && l->out[0].data == l->x.data)
        return ox_err_set(err, OX_EUSAGE, "linear: add and the sum go to the same rows");
    return 0;
}

/* Rows [t0, t0 + n) of the call. */
static int launch_rows(kn_dev *dev, const struct kn_linear *l, struct sk_args a, int64_t t0, int n,
                       int n_ctas, ox_err *err) {
    int64_t ts = a.x_f32 ? 4 : 2;
    a.T = n;
    a.x = (char *)l->x.data + t0 * l->x.cols * ts;
    a.add = l->add.data ? (const char *)l->add.data + t0 * l->x.cols * 2 : NULL;
    a.gate = l->gate.data ? (const char *)l->gate.data + t0 * l->x.cols * 2 : NULL;
    for (int i = 0; i < a.n_parts; i++)
        if (a.out[i].p) a.out[i].p = (char *)a.out[i].p + t0 * a.out[i].ld * (a.out[i].f32 ? 4 : 2);
    size_t smem =
        sk_layout(a.units, n, a.D, a.add != NULL, a.main.format == WT_I4, a.main.scales).total;
    struct cu_grid g = {dim3((unsigned)n_ctas), SK_THREADS, smem, true};
    return cu_launch(dev, "skinny_k", pick_kernel(&a.main), g, err, a);
}

/* The norm of a wide row runs before, as it does for prefill. */
static int norm_first(kn_dev *dev, const struct kn_linear *l, struct kn_linear *plain,
                      ox_err *err) {
    const kn_weight *w = l->w;
    *plain = *l;
    bool is_full = l->add.data || (l->norm.data && l->norm.cols == w->cols);
    bool is_fit = !is_full || (w->cols <= SK_MAX_NORM && w->cols % 4 == 0);
    if (is_fit && (l->x.rows <= SK_MAX_T || !l->add.data)) return 0;
    uint16_t *xhat = (uint16_t *)dev->small;
    if ((size_t)(l->x.rows * w->kpad * 2) > dev->small_bytes)
        return ox_err_set(err, OX_EDEVICE, "linear: no room for %lld rows of %lld columns",
                          (long long)l->x.rows, (long long)w->cols);
    int rc = prologue_run(dev, l, w->cols, xhat, err);
    plain->add.data = plain->norm.data = plain->gate.data = NULL;
    plain->x.data = xhat;
    plain->x.dtype = KN_BF16;
    return rc;
}

static int run_columns(kn_dev *dev, const struct kn_linear *call, ox_err *err) {
    struct kn_linear plain;
    int ok = norm_first(dev, call, &plain, err);
    if (ok) return ok;
    const struct kn_linear *l = &plain;
    struct sk_args a;
    int rc = fill_args(dev, l, &a, err), n_ctas;
    if (rc) return rc;
    share_blocks(dev, l->w, &a, &n_ctas);
    int fit = SK_MAX_T; /* token columns whose x^ fits the shared memory */
    while (fit > 1 &&
           sk_layout(a.units, fit, a.D, l->add.data != NULL, a.main.format == WT_I4, a.main.scales)
                   .total > dev->smem_max)
        fit--;
    for (int64_t t = 0; !rc && t < l->x.rows; t += fit) {
        int n = (int)(l->x.rows - t < fit ? l->x.rows - t : fit);
        rc = launch_rows(dev, l, a, t, n, n_ctas, err);
    }
    return rc;
}

int skinny_run(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    return run_columns(dev, l, err);
}

int skinny_many(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    return run_columns(dev, l, err);
}
