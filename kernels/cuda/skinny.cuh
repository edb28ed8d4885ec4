/* skinny.cuh - arguments of the weight kernel (linear_skinny.cu), its shared memory, and how a warp
 * reads weights of each format: batches of 2 KB, and where the next one lies. */
#ifndef CUDA_SKINNY_CUH
#define CUDA_SKINNY_CUH

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
static __host__ __device__ struct sk_smem sk_layout(int ld_x, int T, int D, bool has_add,
                                                    int format) {
    struct sk_smem s;
    s.xhat = 0;
    s.nx = (uint32_t)(T * ld_x * 2);
    s.red = s.nx + (format == WT_I4 ? (uint32_t)(ld_x / 32 * SK_MAX_T * 4) : 0);
    s.xnew = s.red + (uint32_t)(SK_TILES * SK_WARPS * SK_ROWS * T * 4);
    s.total = s.xnew + (has_add ? (uint32_t)(T * D * 4) : 0);
    return s;
}

/* ---- units of weights ------------------------------------------------------------------------
 * A lane (g = lane / 4, q = lane % 4) holds rows g and g + 8 at columns 8q..8q+7 and
 * 32+8q..32+8q+7: mma j takes columns 4j..4j+3 of its half. Only the order of columns differs from
 * the textbook fragment, and x^ is read in the same order: two 16-byte loads.
 *
 * A batch is what a warp loads at once: 2 KB, four loads of 16 bytes a lane, that is 1, 2 or 4
 * units of a row tile. The last batch of a tile may reach into the next tile: x^ is zero there. */
struct sums { /* two chains that do not wait for each other */
    float a[4], b[4];
    __device__ void clear() {
#pragma unroll
        for (int i = 0; i < 4; i++)
            a[i] = b[i] = 0.0f;
    }
};
struct columns { /* x^ of one unit, operand B */
    uint4 lo, hi;
};

template <int FMT, int SC> struct batch;

template <int SC> struct batch<WT_BF16, SC> {
    enum { UNITS = 1, BYTES = 2048 };
    uint4 r[4];
    __device__ void load(const char *p, int64_t down) { /* row g + 8 lies `down` bytes further */
        r[0] = load_stream(p);
        r[1] = load_stream(p + 64);
        r[2] = load_stream(p + down);
        r[3] = load_stream(p + down + 64);
    }
    __device__ void use(sums &s, int, columns x, const float *) const {
        mma_bf16(s.a, r[0].x, r[2].x, r[0].y, r[2].y, x.lo.x, x.lo.y);
        mma_bf16(s.b, r[1].x, r[3].x, r[1].y, r[3].y, x.hi.x, x.hi.y);
        mma_bf16(s.a, r[0].z, r[2].z, r[0].w, r[2].w, x.lo.z, x.lo.w);
        mma_bf16(s.b, r[1].z, r[3].z, r[1].w, r[3].w, x.hi.z, x.hi.w);
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
/* (w & mask) | magic in one instruction. */
DEV uint32_t pick_bits(uint32_t w, uint32_t mask, uint32_t magic) {
    uint32_t d;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(d) : "r"(w), "r"(mask), "r"(magic));
    return d;
}
/* Two int8 in the low bytes of the halves of w to two bf16: 128 + low 7 bits, less 128 or 256. */
DEV uint32_t i8_pair(uint32_t w) {
    uint32_t a = pick_bits(w, 0x007f007fu, 0x43004300u), b = pick_bits(w, 0x00800080u, 0x43004300u),
             d;
    asm("sub.rn.bf16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
    return d;
}

template <int SC> struct batch<WT_I8, SC> {
    enum { UNITS = 2, BYTES = 1024 + 32 * SC };
    uint4 r[4];
    uint32_t s[UNITS][SC ? SC : 1];
    __device__ void load(const char *p, int64_t lane) {
#pragma unroll
        for (int u = 0; u < UNITS; u++) {
            r[2 * u] = load_stream(p + u * BYTES + lane * 16);
            r[2 * u + 1] = load_stream(p + u * BYTES + 512 + lane * 16);
#pragma unroll
            for (int i = 0; i < SC; i++)
                s[u][i] = __ldg((const uint32_t *)(p + u * BYTES + 1024) + 8 * i + (lane >> 2));
        }
    }
    DEV void two(float *c, uint32_t w0, uint32_t w1, uint32_t b0, uint32_t b1) {
        mma_bf16(c, i8_pair(w0), i8_pair(w0 >> 8), i8_pair(w1), i8_pair(w1 >> 8), b0, b1);
    }
    __device__ void use(sums &sum, int u, columns x, const float *) const {
        sums c;
        c.clear();
        sums &to = SC ? c : sum;
        two(to.a, r[2 * u].x, r[2 * u].y, x.lo.x, x.lo.y);
        two(to.b, r[2 * u + 1].x, r[2 * u + 1].y, x.hi.x, x.hi.y);
        two(to.a, r[2 * u].z, r[2 * u].w, x.lo.z, x.lo.w);
        two(to.b, r[2 * u + 1].z, r[2 * u + 1].w, x.hi.z, x.hi.w);
        if (SC) {
            add_scaled(sum.a, c.a, s[u][0]);
            add_scaled(sum.b, c.b, s[u][SC == 2]);
        }
    }
};

template <int SC> struct batch<WT_I4, SC> {
    enum { UNITS = 4, BYTES = 512 + 32 * SC };
    uint4 r[UNITS];
    uint32_t s[UNITS][SC ? SC : 1];
    __device__ void load(const char *p, int64_t lane) {
#pragma unroll
        for (int u = 0; u < UNITS; u++)
            r[u] = load_stream(p + u * BYTES + lane * 16);
#pragma unroll
        for (int u = 0; u < UNITS; u++)
#pragma unroll
            for (int i = 0; i < SC; i++)
                s[u][i] = __ldg((const uint32_t *)(p + u * BYTES + 512) + 8 * i + (lane >> 2));
    }
    /* Nibbles n = q + 8 as bf16 128 + n: no subtraction, see group_sums. */
    DEV uint32_t pick(uint32_t w) {
        return pick_bits(w, 0x000f000fu, 0x43004300u);
    }
    DEV void two(float *c, uint32_t w, uint32_t b0, uint32_t b1) {
        mma_bf16(c, pick(w), pick(w >> 4), pick(w >> 8), pick(w >> 12), b0, b1);
    }
    /* nx: -136 sum x^ of each half, for this lane's two token columns */
    __device__ void use(sums &sum, int u, columns x, const float *nx) const {
        float2 n0 = *(const float2 *)nx, n1 = *(const float2 *)(nx + SK_MAX_T);
        sums c = {{n0.x, n0.y, n0.x, n0.y}, {n1.x, n1.y, n1.x, n1.y}};
        two(c.a, r[u].x, x.lo.x, x.lo.y);
        two(c.b, r[u].z, x.hi.x, x.hi.y);
        two(c.a, r[u].y, x.lo.z, x.lo.w);
        two(c.b, r[u].w, x.hi.z, x.hi.w);
        if (SC) {
            add_scaled(sum.a, c.a, s[u][0]);
            add_scaled(sum.b, c.b, s[u][SC == 2]);
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                sum.a[i] += c.a[i];
                sum.b[i] += c.b[i];
            }
        }
    }
};

/* Where a warp loads next: flat batches of its block, every SK_WARPS-th. */
template <int FMT, int SC> struct cursor {
    const char *p;
    int64_t turn,
        arg; /* bytes from behind the last batch of a tile to the next tile; load's second */
    int pos, per_tile;
    __device__ void seek(const struct wt_block &b, const struct sk_args &a, int at, int lane) {
        typedef batch<FMT, SC> B;
        per_tile = (a.units + B::UNITS - 1) / B::UNITS;
        int tile = at / per_tile;
        pos = at % per_tile;
        if (FMT == WT_BF16) {
            int64_t row_bytes = (int64_t)a.units * SK_K * 2;
            int rows = a.is_pair ? 8 : 16;
            p = b.data + ((int64_t)tile * rows + (lane >> 2)) * row_bytes + pos * (SK_K * 2) +
                16 * (lane & 3);
            arg = (a.is_pair ? (int64_t)b.n_tiles * 8 : 8) * row_bytes;
            turn = (rows - 1) * row_bytes;
        } else {
            p = b.data + ((int64_t)tile * a.units + pos * B::UNITS) * B::BYTES;
            arg = lane;
            turn = (int64_t)(a.units - per_tile * B::UNITS) * B::BYTES;
        }
    }
    __device__ void next() {
        p += SK_WARPS * (FMT == WT_BF16 ? SK_K * 2 : batch<FMT, SC>::UNITS * batch<FMT, SC>::BYTES);
        for (pos += SK_WARPS; pos >= per_tile; pos -= per_tile)
            p += turn;
    }
};

#endif
