/* linear_skinny.cu - decode: all products with a weight matrix for T = 1..8 rows, weights read
 * once.
 *
 * op       out[i] = epi(pro(x) W_i') of kn.h; reference ref_linear, ref_prologue
 * args     x [T,D] f32 or bf16 in (inout with add) · W bf16, int8 or int4 (cuda_dev.cuh) · out
 *          [T,O_i] bf16 or f32
 * work     two blocks an SM take equal runs of batches (2 KB of a 16-row tile) in row-tile
 *          order; 7 warps take every 7th batch, the 8th does the epilogues; weights are operand
 *          A of mma m16n8k16, token rows operand B. A tile cut by a block border is finished by
 *          the block that has its head.
 * smem     x^ as bf16 [T][kpad+8], partial sums 4 x 7 x 16 x T f32, int4: -136 sum x^ of 32
 *          columns, with add: x [T,D] f32
 * cost     2 T O D FLOP; O D (2, 1 or 0.5) bytes + scales
 * limit    memory: device copy rate; target 92 % bf16, 86 % int8, 80 % int4 (docs/KERNELS.md
 *          2.2)
 * numerics f32 sums: four mma of a unit in column order in two chains, batches of a warp in
 *          order, warps in order, then the neighbour block. Depends on the SM count, never on
 *          T. int4 counts from 128 + u and starts each group at -136 sum x^ instead of
 *          subtracting: 1e-5 of the product's size.
 * refuses  add with out[0] = x
 * measured docs/PERF.md */
#include "kernels/cuda/skinny.cuh"

/* ---- prologue ------------------------------------------------------------------------------- */

/* Norm over the whole row; x may first take rms(add). One row, all threads; every load is issued
 * before the first sum. */
static __device__ void norm_row(const struct sk_args &a, int t, uint16_t *xhat, float *xnew,
                                float *red) {
    const int n = a.D;
    const int64_t at = (int64_t)t * n;
    const float4 zero = make_float4(0, 0, 0, 0), one = make_float4(1, 1, 1, 1);
    float4 v[SK_NORM_VECS], z[SK_NORM_VECS], w[SK_NORM_VECS];
#pragma unroll
    for (int j = 0; j < SK_NORM_VECS; j++) {
        int i = 4 * (threadIdx.x + SK_THREADS * j);
        w[j] = a.norm && i < n ? *(const float4 *)(a.norm + i) : one;
        z[j] = a.add && i < n ? load_act4(a.add, false, at + i) : zero;
    }
    if (a.x_f32) {
#pragma unroll
        for (int j = 0; j < SK_NORM_VECS; j++) {
            int i = 4 * (threadIdx.x + SK_THREADS * j);
            v[j] = i < n ? *(const float4 *)((const float *)a.x + at + i) : zero;
        }
    } else {
#pragma unroll
        for (int j = 0; j < SK_NORM_VECS; j++) {
            int i = 4 * (threadIdx.x + SK_THREADS * j);
            v[j] = i < n ? load_act4(a.x, false, at + i) : zero;
        }
    }
    if (a.add) {
        float ss = 0.0f;
        float4 wa[SK_NORM_VECS];
#pragma unroll
        for (int j = 0; j < SK_NORM_VECS; j++) {
            int i = 4 * (threadIdx.x + SK_THREADS * j);
            wa[j] = i < n ? *(const float4 *)(a.add_norm + i) : zero;
            ss += dot4(z[j], z[j]);
        }
        float r = rsqrtf(block_sum(ss, red) / (float)n + a.add_eps);
#pragma unroll
        for (int j = 0; j < SK_NORM_VECS; j++) {
            int i = 4 * (threadIdx.x + SK_THREADS * j);
            v[j].x += wa[j].x * (z[j].x * r);
            v[j].y += wa[j].y * (z[j].y * r);
            v[j].z += wa[j].z * (z[j].z * r);
            v[j].w += wa[j].w * (z[j].w * r);
            if (i < n) *(float4 *)(xnew + i) = v[j];
        }
        __syncthreads(); /* red is free */
    }
    float r = 1.0f;
    if (a.norm) {
        float ss = 0.0f;
#pragma unroll
        for (int j = 0; j < SK_NORM_VECS; j++)
            ss += dot4(v[j], v[j]);
        r = rsqrtf(block_sum(ss, red) / (float)n + a.norm_eps);
    }
#pragma unroll
    for (int j = 0; j < SK_NORM_VECS; j++) {
        int i = 4 * (threadIdx.x + SK_THREADS * j);
        uint2 o = make_uint2(pack_bf16(w[j].x * (v[j].x * r), w[j].y * (v[j].y * r)),
                             pack_bf16(w[j].z * (v[j].z * r), w[j].w * (v[j].w * r)));
        if (i < n) *(uint2 *)(xhat + i) = o;
    }
    __syncthreads();
}

/* One element at a time, for what the fast form below does not take. */
static __device__ void norm_heads_slow(const struct sk_args &a, int t, uint16_t *xhat) {
    int lane = threadIdx.x & 31, n = a.norm ? a.norm_cols : a.D, heads = a.D / n;
#pragma unroll 1
    for (int h = threadIdx.x >> 5; h < heads; h += SK_THREADS / 32) {
        int64_t at = (int64_t)t * a.D + h * n;
        float ss = 0.0f;
#pragma unroll 1
        for (int i = lane; a.norm && i < n; i += 32) {
            float v = load_act(a.x, a.x_f32, at + i);
            ss = fmaf(v, v, ss);
        }
        float r = a.norm ? rsqrtf(lanes_sum(ss) / (float)n + a.norm_eps) : 1.0f;
#pragma unroll 1
        for (int i = lane; i < n; i += 32) {
            float v = load_act(a.x, a.x_f32, at + i) * r * (a.norm ? a.norm[i] : 1.0f);
            xhat[h * n + i] = to_bf16(a.gate ? v * silu(load_act(a.gate, false, at + i)) : v);
        }
    }
}

/* Norm over bf16 heads of at most 256, then the gate: one warp a head, four heads in flight. */
static __device__ void norm_heads(const struct sk_args &a, int t, uint16_t *xhat) {
    enum { HEADS = 4, PAIRS = 4 };
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, n = a.norm_cols, heads = a.D / n;
    if (!a.norm || a.x_f32 || n > 64 * PAIRS || n % 2) {
        norm_heads_slow(a, t, xhat);
        return;
    }
    const uint32_t *xp = (const uint32_t *)((const uint16_t *)a.x + (int64_t)t * a.D);
    const uint32_t *gp = (const uint32_t *)((const uint16_t *)a.gate + (int64_t)t * a.D);
    float2 w[PAIRS];
#pragma unroll
    for (int j = 0; j < PAIRS; j++)
        w[j] = lane + 32 * j < n / 2 ? ((const float2 *)a.norm)[lane + 32 * j] : make_float2(0, 0);
#pragma unroll 1
    for (int h0 = warp; h0 < heads; h0 += HEADS * (SK_THREADS / 32)) {
        uint32_t x[HEADS][PAIRS], g[HEADS][PAIRS];
#pragma unroll
        for (int k = 0; k < HEADS; k++)
#pragma unroll
            for (int j = 0; j < PAIRS; j++) {
                int h = h0 + k * (SK_THREADS / 32), i = lane + 32 * j;
                bool is_in = h < heads && i < n / 2;
                x[k][j] = is_in ? xp[h * (n / 2) + i] : 0u;
                g[k][j] = is_in && a.gate ? gp[h * (n / 2) + i] : 0u;
            }
#pragma unroll
        for (int k = 0; k < HEADS; k++) {
            int h = h0 + k * (SK_THREADS / 32);
            float ss = 0.0f;
#pragma unroll
            for (int j = 0; j < PAIRS; j++) {
                ss = fmaf(bf16_lo(x[k][j]), bf16_lo(x[k][j]), ss);
                ss = fmaf(bf16_hi(x[k][j]), bf16_hi(x[k][j]), ss);
            }
            float r = rsqrtf(lanes_sum(ss) / (float)n + a.norm_eps);
#pragma unroll
            for (int j = 0; j < PAIRS; j++) {
                int i = lane + 32 * j;
                if (32 * j >= n / 2) break;
                float lo = w[j].x * (bf16_lo(x[k][j]) * r), hi = w[j].y * (bf16_hi(x[k][j]) * r);
                if (a.gate) {
                    lo *= silu(bf16_lo(g[k][j]));
                    hi *= silu(bf16_hi(g[k][j]));
                }
                if (h < heads && i < n / 2) ((uint32_t *)xhat)[h * (n / 2) + i] = pack_bf16(lo, hi);
            }
        }
    }
}

static __device__ void copy_row(const struct sk_args &a, int t, uint16_t *xhat) {
    enum { VECS = 6 };
    if (a.x_f32 || a.D % 8) {
        for (int i = threadIdx.x; i < a.D; i += SK_THREADS)
            xhat[i] = to_bf16(load_act(a.x, a.x_f32, (int64_t)t * a.D + i));
        return;
    }
    const uint4 *src = (const uint4 *)((const uint16_t *)a.x + (int64_t)t * a.D);
    for (int i0 = threadIdx.x; i0 < a.D / 8; i0 += VECS * SK_THREADS) {
        uint4 v[VECS];
#pragma unroll
        for (int j = 0; j < VECS; j++)
            if (i0 + j * SK_THREADS < a.D / 8) v[j] = src[i0 + j * SK_THREADS];
#pragma unroll
        for (int j = 0; j < VECS; j++)
            if (i0 + j * SK_THREADS < a.D / 8) *(uint4 *)(xhat + 8 * (i0 + j * SK_THREADS)) = v[j];
    }
}

/* All T rows of x^ in shared memory, zeros behind column D. Ends with a barrier. */
static __device__ void prologue(const struct sk_args &a, uint16_t *xs, float *xnew, float *red) {
    bool is_narrow = a.gate || (a.norm && a.norm_cols != a.D);
#pragma unroll 1
    for (int t = 0; t < a.T; t++) {
        uint16_t *xhat = xs + (int64_t)t * a.ld_x;
#pragma unroll 1
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

/* nx[half unit][t] = -136 sum of x^ over 32 columns: what counting from 128 + 8 adds to a row. Four
 * lanes a half, 8 columns each; zero for columns without a token. */
static __device__ void group_sums(const struct sk_args &a, const uint16_t *xs, float *nx) {
    const int halves = a.ld_x / 32; /* units rounded up to a batch: x^ is zero behind D */
    int n = halves * SK_MAX_T;
#pragma unroll 1
    for (int i = threadIdx.x; i < n; i += SK_THREADS)
        if (i % SK_MAX_T >= a.T) nx[i] = 0.0f;
    int n4 = halves * a.T * 4, all = (n4 + 31) / 32 * 32;
#pragma unroll 1
    for (int i = threadIdx.x; i < all; i += SK_THREADS) {
        int j = (i < n4 ? i : 0) / 4, t = j / halves, half = j % halves;
        uint4 w = *(const uint4 *)(xs + (int64_t)t * a.ld_x + half * 32 + (i & 3) * 8);
        float s = ((bf16_lo(w.x) + bf16_hi(w.x)) + (bf16_lo(w.y) + bf16_hi(w.y))) +
                  ((bf16_lo(w.z) + bf16_hi(w.z)) + (bf16_lo(w.w) + bf16_hi(w.w)));
        s = lanes_sum<4>(s);
        if (i < n4 && (i & 3) == 0) nx[half * SK_MAX_T + t] = -136.0f * s;
    }
}

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

/* Warps hand a finished tile to the last warp of the block through SK_TILES buffers, so that nobody
 * waits for an epilogue: `full` counts the writers' lanes, `empty` the reader's. */
DEV void bar_init(uint64_t *bar, unsigned n) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(smem_addr(bar)), "r"(n) : "memory");
}
DEV void bar_arrive(uint64_t *bar) {
    asm volatile("{.reg .b64 t; mbarrier.arrive.shared.b64 t, [%0];}" ::"r"(smem_addr(bar))
                 : "memory");
}
DEV void bar_wait(uint64_t *bar, unsigned parity) {
    unsigned done = 0;
    while (!done)
#if __CUDA_ARCH__ >= 900 /* sleeps in hardware */
        asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2;"
                     " selp.u32 %0, 1, 0, p;}"
#else
        asm volatile("{.reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2;"
                     " selp.u32 %0, 1, 0, p;}"
#endif
                     : "=r"(done)
                     : "r"(smem_addr(bar)), "r"(parity)
                     : "memory");
}

struct tile_ring {
    uint64_t full[SK_TILES], empty[SK_TILES];
};

/* The part of a block: batches [from, to) of its group of blocks, tiles first..last. */
struct share {
    int from, to, per_tile, first, last;
    bool is_extra;
};

/* Weights depend on nothing: the first SK_PREFETCH bytes of the share move to the L2 while the
 * kernel before still runs. */
template <int FMT, int SC>
static __device__ void prefetch(const struct sk_args &a, const struct wt_block &b, const share &m) {
    typedef batch<FMT, SC> B;
    const int unit = B::BYTES, lines = (unit + 127) / 128;
    int n = SK_PREFETCH / (unit * B::UNITS);
    if (m.to - m.from < n) n = m.to - m.from;
    if (FMT == WT_BF16) { /* a unit is 16 lines, each in its own row */
#pragma unroll 1
        for (int i = threadIdx.x; i < n * SK_ROWS; i += SK_THREADS) {
            int u = m.from + i / SK_ROWS, r = i % SK_ROWS, tile = u / a.units, pos = u % a.units;
            int64_t row = a.is_pair ? tile * 8 + (r & 7) + (r >> 3) * (int64_t)b.n_tiles * 8
                                    : tile * (int64_t)SK_ROWS + r;
            prefetch_l2(b.data + (row * a.units + pos) * (SK_K * 2));
        }
    } else {
        int64_t u0 = (int64_t)(m.from / m.per_tile) * a.units + m.from % m.per_tile * B::UNITS;
        const char *p = b.data + u0 * unit;
#pragma unroll 1
        for (int i = threadIdx.x; i < n * B::UNITS * lines; i += SK_THREADS)
            prefetch_l2(p + (int64_t)i * 128);
    }
}

template <int FMT, int SC>
static __device__ void stream(const struct sk_args &a, const struct wt_block &b, const share &m,
                              uint8_t *smem, const sk_smem &at, tile_ring *tr) {
    typedef batch<FMT, SC> B;
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
    const int n = SK_ROWS * a.T;
    cursor<FMT, SC> next;
    next.seek(b, a, m.from + warp, lane);
    B ring[SK_RING];
#pragma unroll
    for (int d = 0; d < SK_RING; d++) {
        if (m.from + warp + SK_WARPS * d < m.to) ring[d].load(next.p, next.arg);
        next.next();
    }
    const bool is_on = g < a.T; /* lanes of columns without a token feed zeros */
    const uint16_t *xrow = (const uint16_t *)(smem + at.xhat) + (is_on ? g : 0) * a.ld_x + 8 * q;
    const float *nx = (const float *)(smem + at.nx) + 2 * q;
    float *red = (float *)(smem + at.red);
    sums acc;
    acc.clear();
    int u = m.from + warp, pos = u - m.first * m.per_tile, tile = m.first, n_done = 0;
    auto flush = [&]() {
        int buf = n_done % SK_TILES;
        if (n_done >= SK_TILES) bar_wait(&tr->empty[buf], (n_done / SK_TILES - 1) & 1);
        float *r = red + (buf * SK_WARPS + warp) * n;
        if (2 * q < a.T) {
            r[2 * q * SK_ROWS + g] = acc.a[0] + acc.b[0];
            r[2 * q * SK_ROWS + g + 8] = acc.a[2] + acc.b[2];
        }
        if (2 * q + 1 < a.T) {
            r[(2 * q + 1) * SK_ROWS + g] = acc.a[1] + acc.b[1];
            r[(2 * q + 1) * SK_ROWS + g + 8] = acc.a[3] + acc.b[3];
        }
        acc.clear();
        bar_arrive(&tr->full[buf]); /* every lane for its own writes: racecheck follows this */
        n_done++;
        tile++;
    };
    while (u < m.to) {
#pragma unroll
        for (int d = 0; d < SK_RING; d++) {
            if (u < m.to) {
                for (; pos >= m.per_tile; pos -= m.per_tile)
                    flush();
                const uint16_t *x = xrow + pos * (B::UNITS * SK_K);
                const float *sx = nx + pos * (B::UNITS * 2 * SK_MAX_T);
#pragma unroll
                for (int i = 0; i < B::UNITS; i++) {
                    columns c = {};
                    if (is_on) {
                        c.lo = *(const uint4 *)(x + i * SK_K);
                        c.hi = *(const uint4 *)(x + i * SK_K + 32);
                    }
                    ring[d].use(acc, i, c, sx + i * 2 * SK_MAX_T);
                }
                if (u + SK_WARPS * SK_RING < m.to) ring[d].load(next.p, next.arg);
                next.next();
                u += SK_WARPS;
                pos += SK_WARPS;
            }
        }
    }
    while (tile <= m.last)
        flush();
}

/* The last warp: epilogues, one tile after the other. */
static __device__ void finish(const struct sk_args &a, const struct wt_block &b, const share &m,
                              const float *red, tile_ring *tr, bool is_done) {
    for (int tile = m.first, i = 0; tile <= m.last; tile++, i++) {
        int buf = i % SK_TILES;
        bar_wait(&tr->full[buf], (i / SK_TILES) & 1);
        finish_tile(a, b, m.is_extra, red + buf * SK_WARPS * SK_ROWS * a.T, tile,
                    tile == m.first && m.from % m.per_tile != 0,
                    tile == m.last && m.to % m.per_tile != 0, is_done);
        bar_arrive(&tr->empty[buf]);
    }
}

template <int FMT, int SC>
static __device__ void run_block(const struct sk_args &a, const struct wt_block &b, bool is_extra,
                                 int cta, int n_cta, uint8_t *smem) {
    __shared__ __align__(8) tile_ring tr;
    __shared__ bool is_last;
    const bool is_finisher = threadIdx.x >= SK_WARPS * 32;
    share m;
    m.per_tile = (a.units + batch<FMT, SC>::UNITS - 1) / batch<FMT, SC>::UNITS;
    const int64_t all = (int64_t)b.n_tiles * m.per_tile;
    /* Few tiles: whole ones, no block waits for another. Many: an equal share of batches. */
    const bool is_whole = b.n_tiles < SK_WHOLE_TILES * n_cta;
    m.from = is_whole ? b.n_tiles * cta / n_cta * m.per_tile : (int)(all * cta / n_cta);
    m.to = is_whole ? b.n_tiles * (cta + 1) / n_cta * m.per_tile : (int)(all * (cta + 1) / n_cta);
    m.first = m.from / m.per_tile;
    m.last = (m.to - 1) / m.per_tile;
    m.is_extra = is_extra;
    const sk_smem at = sk_layout(a.ld_x, a.T, a.D, a.add != NULL, a.main.format);
    prefetch<FMT, SC>(a, b, m);
    for (int i = threadIdx.x * 32; a.norm && i < a.norm_cols; i += SK_THREADS * 32)
        prefetch_l2(a.norm + i);
    for (int i = threadIdx.x * 32; a.add && i < a.D; i += SK_THREADS * 32)
        prefetch_l2(a.add_norm + i);
    if (threadIdx.x == 0) {
        for (int i = 0; i < SK_TILES; i++) {
            bar_init(&tr.full[i], 32 * SK_WARPS);
            bar_init(&tr.empty[i], 32);
        }
    }
    pdl_wait();
    pdl_next(); /* blocks of the next kernel take the places of those that end, and prefetch */
    const bool is_done = a.step->done != 0;
    float *red = (float *)(smem + at.red), *xnew = (float *)(smem + at.xnew);
    uint16_t *xs = (uint16_t *)(smem + at.xhat);
    prologue(a, xs, xnew, red);
    if (FMT == WT_I4) group_sums(a, xs, (float *)(smem + at.nx));
    __syncthreads();
    if (a.add && threadIdx.x == 0) /* all have read x when the last one counts itself */
        is_last = atomicAdd(a.ticket, 1u) == gridDim.x - 1;
    if (is_finisher)
        finish(a, b, m, red, &tr, is_done);
    else
        stream<FMT, SC>(a, b, m, smem, at, &tr);
    if (!a.add) return;
    __syncthreads();
    if (!is_last) return; /* the block that counted last: x is read by nobody any more */
#pragma unroll 1
    for (int i = threadIdx.x; i < a.T * a.D && !is_done; i += SK_THREADS)
        ((float *)a.x)[i] = xnew[i];
    if (threadIdx.x == 0) *a.ticket = 0;
}

template <int FMT, int SC>
__global__ void __launch_bounds__(SK_THREADS, 2)
    skinny_k(const __grid_constant__ struct sk_args a) {
    extern __shared__ __align__(16) uint8_t smem[];
    int cta = (int)blockIdx.x;
    if (cta < a.n_main)
        run_block<FMT, SC>(a, a.main, false, cta, a.n_main, smem);
    else
        run_block<WT_BF16, FMT == WT_BF16 ? 0 : 1>(a, a.extra, true, cta - a.n_main,
                                                   (int)gridDim.x - a.n_main, smem);
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
    int n = 2 * dev->n_sm < MAX_CTAS ? 2 * dev->n_sm : MAX_CTAS, n_extra = 0;
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
    int per = w->main.format == WT_I4 ? 4 : w->main.format == WT_I8 ? 2 : 1; /* units of a batch */
    a->ld_x = (w->units + per - 1) / per * per * SK_K + 8;
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
    size_t smem = sk_layout(a.ld_x, n, a.D, a.add != NULL, a.main.format).total;
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
           sk_layout(a.ld_x, fit, a.D, l->add.data != NULL, a.main.format).total > dev->smem_max)
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
