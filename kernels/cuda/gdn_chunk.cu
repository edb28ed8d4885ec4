/* gdn_chunk.cu - prefill: the gated delta rule 64 tokens at a time on the tensor cores.
 *
 * op       docs/MODEL.md 3.3, two kernels a span of chunks. Prepare: conv, SiLU, l2 norms, gates,
 *          T = (I + L)^-1, T' = T diag(beta), P = tril(Q K' o D). Scan, all of it transposed:
 *          U = S'K'; W = V' - U e^G; X = W T''; Y' = S'Q' e^G + X P'; S' = e^GC S' + (X e^(GC-G)) K
 * args     raw q,k,v [T,..] bf16, a,b [T,Hv] f32, taps [channels,4] f32, conv [3,channels] bf16 in
 *          · state [Hv*Dv,Dk] f32 inout · out [T,Hv*Dv] bf16
 * work     prepare: a block a chunk and head, 8 warps. Scan: a block a head and 64 columns of v,
 *          serial over chunks; a warp has 16 columns, its S' stays in accumulators, and the left
 *          operand of every product is the accumulator of the one before
 * smem     prepare 2 x 64 (Dk + 4) + 64 x 68 + 32 x 36 floats = 73 KB; scan two stages of K, Q, T',
 *          P, V and rows of out = 119 KB at Dk 96
 * cost     187 KFLOP a token and head at 96 x 192; 65 KB a chunk and head written and read
 * limit    scan: mma.sync and ldmatrix, about 1 us a chunk
 * numerics operands fp16 (k rounded once, after its norm), sums, gates, exponents, inverse and
 *          state f32; masked before exp. Chunks lie at absolute multiples of 64: a call that starts
 *          off the grid runs the short piece first, so cuts at multiples of 64 change no bit
 * refuses  other shapes than Dk 64, 96, 128, Dv in 64s and 4 taps: gdn_scan.cu takes them
 * measured docs/PERF.md */
#include "kernels/cuda/gdn.cuh"

enum {
    C = GC_TOKENS,
    PREP_THREADS = 256,
    SCAN_THREADS = 128,
    LT = C + 4,   /* floats of a row of T */
    LH = C + 8,   /* halves of a row of T', P, V in the scan */
    LY = 24,      /* halves of a row of a warp's out */
    QUARTER = 16, /* tokens a thread convolves: all its loads are in flight at once */
    TAPS = 4
};

struct chunk_args : gdn_args {
    /* scratch of a span, [chunk][head]: K, Q [C][Dk], V [C][Dv], T', P [C][C], e^G and e^(GC-G) */
    __half *K, *Q, *V, *T, *P;
    float *E;
    int32_t first;   /* tokens of the call's first chunk */
    int32_t from, n; /* chunks of the span */
};

DEV int chunk_start(const chunk_args &a, int c) {
    return c ? a.first + (c - 1) * C : 0;
}
DEV int chunk_tokens(const chunk_args &a, int c) {
    int start = chunk_start(a, c), end = c ? start + C : a.first;
    return (end < a.n_tok ? end : a.n_tok) - start;
}

DEV uint32_t pack_half(float lo, float hi) {
    __half2 h = __floats2half2_rn(lo, hi);
    return *(uint32_t *)&h;
}
DEV float2 unpack_half(uint32_t w) {
    return __half22float2(*(__half2 *)&w);
}
DEV void mma_half(float *c, const uint32_t *a, uint32_t b0, uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
        "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* ---- prepare: everything that does not need the state -----------------------------------------
 */

struct conv_pair { /* two neighbouring channels of a head */
    const uint16_t *raw;
    int32_t ld, channel;
};

template <int DK> DEV conv_pair find_pair(const chunk_args &a, int h, int c) {
    const int hk = h / (a.Hv / a.Hk), Kd = a.Hk * DK, Vd = a.Hv * a.Dv;
    if (c < DK) return {a.q + hk * DK + c, Kd, hk * DK + c};
    if (c < 2 * DK) return {a.k + hk * DK + c - DK, Kd, Kd + hk * DK + c - DK};
    int i = h * a.Dv + c - 2 * DK;
    return {a.v + i, Vd, 2 * Kd + i};
}

/* q and k as f32 to shared memory, v as fp16 to the scratch; rows behind n are zeros. */
template <int DK>
DEV void convolve(const chunk_args &a, int chunk, int h, int64_t block, float *qk) {
    const int start = chunk_start(a, chunk), n = chunk_tokens(a, chunk);
    const int n_pairs = DK + a.Dv / 2, channels = 2 * a.Hk * DK + a.Hv * a.Dv;
    for (int i = threadIdx.x; i < n_pairs * (C / QUARTER); i += PREP_THREADS) {
        const int c = i % n_pairs * 2, t0 = i / n_pairs * QUARTER;
        const conv_pair p = find_pair<DK>(a, h, c);
        uint32_t x[QUARTER + TAPS - 1];
#pragma unroll
        for (int j = 0; j < QUARTER + TAPS - 1; j++) {
            int t =
                t0 + j - (TAPS - 1); /* within the chunk; one load, so that all go out at once */
            const uint16_t *from =
                start + t < 0 ? a.conv + (int64_t)(TAPS - 1 + start + t) * channels + p.channel
                              : p.raw + (int64_t)(start + t) * p.ld;
            x[j] = t < n ? __ldg((const uint32_t *)from) : 0u;
        }
        const float4 tap0 = *(const float4 *)(a.taps + (int64_t)p.channel * TAPS);
        const float4 tap1 = *(const float4 *)(a.taps + (int64_t)(p.channel + 1) * TAPS);
#pragma unroll
        for (int r = 0; r < QUARTER; r++) {
            float z0 = tap0.x * bf16_lo(x[r]), z1 = tap1.x * bf16_hi(x[r]);
            z0 = fmaf(tap0.y, bf16_lo(x[r + 1]), z0), z1 = fmaf(tap1.y, bf16_hi(x[r + 1]), z1);
            z0 = fmaf(tap0.z, bf16_lo(x[r + 2]), z0), z1 = fmaf(tap1.z, bf16_hi(x[r + 2]), z1);
            z0 = fmaf(tap0.w, bf16_lo(x[r + 3]), z0), z1 = fmaf(tap1.w, bf16_hi(x[r + 3]), z1);
            bool is_on = t0 + r < n;
            z0 = is_on ? silu(z0) : 0.0f;
            z1 = is_on ? silu(z1) : 0.0f;
            if (c < 2 * DK) {
                float *to = qk + (c < DK ? 0 : C * (DK + 4)) + (t0 + r) * (DK + 4) + c % DK;
                *(float2 *)to = make_float2(z0, z1);
            } else {
                const float most = 65504.0f;
                z0 = fminf(fmaxf(z0, -most), most), z1 = fminf(fmaxf(z1, -most), most);
                *(uint32_t *)(a.V + (block * C + t0 + r) * a.Dv + c - 2 * DK) = pack_half(z0, z1);
            }
        }
    }
}

/* Rows of q and k over their length, as fp16 in place: a row keeps its stride. */
template <int DK> DEV void normalise(const chunk_args &a, float *qk) {
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    for (int r = warp; r < 2 * C; r += PREP_THREADS / 32) {
        float *row = qk + r * (DK + 4), x[DK / 32], ss = 0.0f;
#pragma unroll
        for (int j = 0; j < DK / 32; j++) {
            x[j] = row[lane + 32 * j];
            ss = fmaf(x[j], x[j], ss);
        }
        float f = rsqrtf(lanes_sum(ss) + a.l2_eps) * (r < C ? a.q_scale : 1.0f);
        __syncwarp();
#pragma unroll
        for (int j = 0; j < DK / 32; j++)
            ((__half *)row)[lane + 32 * j] = __float2half_rn(x[j] * f);
    }
}

/* G = g_1 + .. + g_i, and what the scan needs of it. One warp. */
DEV void sum_gates(const chunk_args &a, const float *g, float *G, float *E) {
    const int lane = threadIdx.x & 31;
    float g0 = g[2 * lane], g1 = g[2 * lane + 1], s = g0 + g1;
#pragma unroll
    for (int o = 1; o < 32; o *= 2) {
        float y = __shfl_up_sync(0xffffffffu, s, o);
        if (lane >= o) s += y;
    }
    float before = __shfl_up_sync(0xffffffffu, s, 1);
    if (lane == 0) before = 0.0f;
    float G0 = before + g0, G1 = G0 + g1, last = __shfl_sync(0xffffffffu, G1, 31);
    G[2 * lane] = G0;
    G[2 * lane + 1] = G1;
    *(float2 *)(E + 2 * lane) = make_float2(expf(G0), expf(G1));
    *(float2 *)(E + C + 2 * lane) = make_float2(expf(last - G0), expf(last - G1));
}

/* Warps 0-3: rows of L = beta (K K' o D) below the diagonal; 4-7: rows of P to the scratch. */
template <int DK>
DEV void products(const float *qk, const float *G, const float *beta, float *L, __half *P) {
    constexpr int LD = 2 * (DK + 4);
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q4 = lane & 3;
    const int r0 = (warp & 3) * 16;
    const bool is_p = warp >= 4;
    const __half *k = (const __half *)qk + C * LD, *left = is_p ? (const __half *)qk : k;
    float acc[C / 8][4] = {};
#pragma unroll
    for (int s = 0; s < DK / 16; s++) {
        uint32_t A[4], b[4];
        ldmatrix4(A, left + (r0 + (lane & 15)) * LD + s * 16 + (lane >> 4) * 8);
#pragma unroll
        for (int i = 0; i < C / 16; i++)
            if (16 * i <= r0) {
                ldmatrix4(b, k + (i * 16 + (lane & 7) + (lane >> 4) * 8) * LD + s * 16 +
                                 (lane >> 3 & 1) * 8);
                mma_half(acc[2 * i], A, b[0], b[1]);
                mma_half(acc[2 * i + 1], A, b[2], b[3]);
            }
    }
#pragma unroll
    for (int j = 0; j < C / 8; j++)
        if (8 * j < r0 + 16)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int r = r0 + g + 8 * half, c = 8 * j + 2 * q4;
                float x = acc[j][2 * half], y = acc[j][2 * half + 1];
                if (is_p) {
                    x = r >= c ? x * __expf(G[r] - G[c]) : 0.0f;
                    y = r >= c + 1 ? y * __expf(G[r] - G[c + 1]) : 0.0f;
                    *(uint32_t *)(P + r * C + c) = pack_half(x, y);
                } else {
                    x = r > c ? beta[r] * x * __expf(G[r] - G[c]) : 0.0f;
                    y = r > c + 1 ? beta[r] * y * __expf(G[r] - G[c + 1]) : 0.0f;
                    *(float2 *)(L + r * LT + c) = make_float2(x, y);
                }
            }
}

/* (I + L)^-1 of a 16x16 block on the diagonal by forward substitution, in place; a lane a column.
 * Never by powers of L: with beta up to 2 they overflow or cancel (docs/MODEL.md 3.3). */
DEV void invert16(float *L) {
    const int col = threadIdx.x & 31;
    float x[16];
#pragma unroll
    for (int i = 0; i < 16; i++) {
        float s = i == col ? 1.0f : 0.0f;
#pragma unroll
        for (int j = 0; j < i; j++)
            s = fmaf(-L[i * LT + j], x[j], s);
        x[i] = s;
    }
    __syncwarp();
    if (col < 16)
#pragma unroll
        for (int i = 0; i < 16; i++)
            L[i * LT + col] = x[i];
}

/* The inverse of [[A,0],[B,M]] has -M^-1 B A^-1 below: B's place is overwritten. All pairs of N x N
 * blocks on the diagonal at once. */
template <int N> DEV void merge(float *L, float *tmp) {
    constexpr int W = N / 8, LW = N + 4;
    const int pair = threadIdx.x / (8 * N), t = threadIdx.x % (8 * N), r = t / 8, c = t % 8 * W;
    const bool is_on = pair < C / (2 * N);
    float *A = L + pair * 2 * N * (LT + 1), *B = A + N * LT, *M = B + N;
    tmp += pair * N * LW;
    float s[W] = {};
    if (is_on) {
        for (int k = c; k < N; k++) /* A^-1 is zero above, and not even stored off its blocks */
#pragma unroll
            for (int j = 0; j < W; j++)
                s[j] = fmaf(B[r * LT + k], A[k * LT + c + j], s[j]);
#pragma unroll
        for (int j = 0; j < W; j++)
            tmp[r * LW + c + j] = s[j];
    }
    __syncthreads();
    if (is_on) {
#pragma unroll
        for (int j = 0; j < W; j++)
            s[j] = 0.0f;
        for (int k = 0; k <= r; k++)
#pragma unroll
            for (int j = 0; j < W; j++)
                s[j] = fmaf(-M[r * LT + k], tmp[k * LW + c + j], s[j]);
#pragma unroll
        for (int j = 0; j < W; j++)
            B[r * LT + c + j] = s[j];
    }
    __syncthreads();
}

template <int DK>
static __global__ void __launch_bounds__(PREP_THREADS)
    gdn_prepare_k(const __grid_constant__ chunk_args a) {
    extern __shared__ __align__(16) float sm[];
    __shared__ float g[C], beta[C], G[C];
    float *qk = sm, *L = qk + 2 * C * (DK + 4), *tmp = L + C * LT;
    const int h = (int)blockIdx.x, tid = threadIdx.x, chunk = a.from + (int)blockIdx.y;
    const int64_t block = (int64_t)blockIdx.y * a.Hv + h;
    const int n = chunk_tokens(a, chunk);

    if (tid < C) {
        int64_t at = (int64_t)(chunk_start(a, chunk) + tid) * a.Hv + h;
        g[tid] = tid < n ? gdn_log_decay(a.a[at], a.a_log[h], a.dt_bias[h]) : 0.0f;
        beta[tid] = tid < n ? gdn_beta(a.b[at], a.beta_max) : 0.0f;
    }
    convolve<DK>(a, chunk, h, block, qk);
    __syncthreads();
    if (tid < 32) sum_gates(a, g, G, a.E + block * 2 * C);
    normalise<DK>(a, qk);
    __syncthreads();
    for (int i = tid; i < 2 * C * (DK / 8); i += PREP_THREADS) {
        int r = i / (DK / 8), c = i % (DK / 8) * 8;
        __half *to = (r < C ? a.Q : a.K) + (block * C + r % C) * DK + c;
        *(uint4 *)to = *(const uint4 *)((const __half *)(qk + r * (DK + 4)) + c);
    }
    products<DK>(qk, G, beta, L, a.P + block * C * C);
    __syncthreads();
    if (tid < 128) invert16(L + (tid >> 5) * 16 * (LT + 1));
    __syncthreads();
    merge<16>(L, tmp);
    merge<32>(L, tmp);
    for (int i = tid; i < C * C / 8; i += PREP_THREADS) {
        int r = i / 8, c = i % 8 * 8;
        if (c > (r | 15)) continue; /* above the diagonal blocks: never read */
        const float *x = L + r * LT + c, *w = beta + c;
        *(uint4 *)(a.T + (block * C + r) * C + c) =
            make_uint4(pack_half(x[0] * w[0], x[1] * w[1]), pack_half(x[2] * w[2], x[3] * w[3]),
                       pack_half(x[4] * w[4], x[5] * w[5]), pack_half(x[6] * w[6], x[7] * w[7]));
    }
}

/* ---- scan: the state from chunk to chunk --------------------------------------------------------
 */

template <int DK> struct scan_stage {
    __half K[C][DK + 8], Q[C][DK + 8], T[C][LH], P[C][LH], V[C][LH];
    float E[2 * C];
};
template <int DK> struct scan_smem {
    scan_stage<DK> s[2];
    __half y[SCAN_THREADS / 32][C][LY];
};

template <int DK> DEV void fetch(const chunk_args &a, scan_stage<DK> &s, int i, int h, int dv0) {
    const int64_t block = (int64_t)i * a.Hv + h;
#pragma unroll
    for (int j = threadIdx.x; j < C * (DK / 8); j += SCAN_THREADS) {
        int r = j / (DK / 8), c = j % (DK / 8) * 8;
        cp_async16(&s.K[r][c], a.K + (block * C + r) * DK + c, true);
        cp_async16(&s.Q[r][c], a.Q + (block * C + r) * DK + c, true);
    }
#pragma unroll
    for (int j = threadIdx.x; j < C * 8; j += SCAN_THREADS) {
        int r = j / 8, c = j % 8 * 8;
        cp_async16(&s.V[r][c], a.V + (block * C + r) * a.Dv + dv0 + c, true);
        if (c > (r | 15)) continue;
        cp_async16(&s.T[r][c], a.T + (block * C + r) * C + c, true);
        cp_async16(&s.P[r][c], a.P + (block * C + r) * C + c, true);
    }
    if (threadIdx.x < C / 2)
        cp_async16(&s.E[threadIdx.x * 4], a.E + block * 2 * C + threadIdx.x * 4, true);
}

/* D [16 x C] += A [16 x C] B', B lower triangular [C][C] in shared memory. */
DEV void times_lower(float (*d)[4], const uint32_t (*A)[4], const __half (*B)[LH]) {
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int i = 0; i < C / 16; i++)
#pragma unroll
        for (int k = 0; k <= i; k++) {
            uint32_t b[4];
            ldmatrix4(b, &B[i * 16 + (lane & 7) + (lane >> 4) * 8][k * 16 + (lane >> 3 & 1) * 8]);
            mma_half(d[2 * i], A[k], b[0], b[1]);
            mma_half(d[2 * i + 1], A[k], b[2], b[3]);
        }
}

/* Two accumulator tiles as an operand; f scales by column, NULL: not. */
DEV void to_operand(uint32_t *A, const float *d0, const float *d1, float2 f0, float2 f1) {
    A[0] = pack_half(d0[0] * f0.x, d0[1] * f0.y);
    A[1] = pack_half(d0[2] * f0.x, d0[3] * f0.y);
    A[2] = pack_half(d1[0] * f1.x, d1[1] * f1.y);
    A[3] = pack_half(d1[2] * f1.x, d1[3] * f1.y);
}

template <int DK>
static __global__ void __launch_bounds__(SCAN_THREADS)
    gdn_chunk_k(const __grid_constant__ chunk_args a) {
    constexpr int KS = DK / 16, NT = C / 8;
    extern __shared__ __align__(16) char raw_smem[];
    scan_smem<DK> &sm = *(scan_smem<DK> *)raw_smem;
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q4 = lane & 3;
    const int h = (int)blockIdx.y, dv0 = (int)blockIdx.x * GC_DV, Vd = a.Hv * a.Dv;
    const int col = h * a.Dv + dv0 + warp * 16; /* of out, and row of the state */
    const float2 one = make_float2(1.0f, 1.0f);
    float *state = a.state + (int64_t)(col + g) * DK + 2 * q4;

    fetch<DK>(a, sm.s[0], 0, h, dv0);
    cp_async_commit();
    float S[2 * KS][4];
#pragma unroll
    for (int j = 0; j < 2 * KS; j++) {
        float2 x = *(const float2 *)(state + 8 * j), y = *(const float2 *)(state + 8 * DK + 8 * j);
        S[j][0] = x.x, S[j][1] = x.y, S[j][2] = y.x, S[j][3] = y.y;
    }
    for (int c = 0; c < a.n; c++) {
        const scan_stage<DK> &s = sm.s[c & 1];
        if (c + 1 < a.n) fetch<DK>(a, sm.s[~c & 1], c + 1, h, dv0);
        cp_async_commit();
        cp_async_wait<1>();
        __syncthreads();

        /* U = S'K', Y = S'Q' */
        float U[NT][4] = {}, Y[NT][4] = {};
#pragma unroll
        for (int k = 0; k < KS; k++) {
            uint32_t A[4], b[4];
            to_operand(A, S[2 * k], S[2 * k + 1], one, one);
#pragma unroll
            for (int i = 0; i < NT / 2; i++) {
                int r = i * 16 + (lane & 7) + (lane >> 4) * 8, at = k * 16 + (lane >> 3 & 1) * 8;
                ldmatrix4(b, &s.K[r][at]);
                mma_half(U[2 * i], A, b[0], b[1]);
                mma_half(U[2 * i + 1], A, b[2], b[3]);
                ldmatrix4(b, &s.Q[r][at]);
                mma_half(Y[2 * i], A, b[0], b[1]);
                mma_half(Y[2 * i + 1], A, b[2], b[3]);
            }
        }
        /* W = V' - U e^G, and Y takes its decay */
        uint32_t W[NT / 2][4];
#pragma unroll
        for (int i = 0; i < NT / 2; i++) {
            uint32_t v[4];
            ldmatrix4_trans(
                v, &s.V[i * 16 + (lane >> 4) * 8 + (lane & 7)][warp * 16 + (lane >> 3 & 1) * 8]);
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float2 f = *(const float2 *)&s.E[(2 * i + e) * 8 + 2 * q4];
                float2 lo = unpack_half(v[2 * e]), hi = unpack_half(v[2 * e + 1]);
                float *u = U[2 * i + e], *y = Y[2 * i + e];
                W[i][2 * e] = pack_half(fmaf(-u[0], f.x, lo.x), fmaf(-u[1], f.y, lo.y));
                W[i][2 * e + 1] = pack_half(fmaf(-u[2], f.x, hi.x), fmaf(-u[3], f.y, hi.y));
                y[0] *= f.x, y[1] *= f.y, y[2] *= f.x, y[3] *= f.y;
            }
        }
        /* X = W T''; Y += X P' */
        float X[NT][4] = {};
        times_lower(X, W, s.T);
        uint32_t Xh[NT / 2][4];
#pragma unroll
        for (int i = 0; i < NT / 2; i++)
            to_operand(Xh[i], X[2 * i], X[2 * i + 1], one, one);
        times_lower(Y, Xh, s.P);

        /* S' = e^GC S' + (X e^(GC-G)) K */
        const float all = s.E[C - 1];
#pragma unroll
        for (int j = 0; j < 2 * KS; j++)
            S[j][0] *= all, S[j][1] *= all, S[j][2] *= all, S[j][3] *= all;
#pragma unroll
        for (int k = 0; k < NT / 2; k++) {
            uint32_t b[4];
            to_operand(Xh[k], X[2 * k], X[2 * k + 1], *(const float2 *)&s.E[C + k * 16 + 2 * q4],
                       *(const float2 *)&s.E[C + k * 16 + 8 + 2 * q4]);
#pragma unroll
            for (int j = 0; j < KS; j++) {
                ldmatrix4_trans(b, &s.K[k * 16 + (lane & 15)][j * 16 + (lane >> 4) * 8]);
                mma_half(S[2 * j], Xh[k], b[0], b[1]);
                mma_half(S[2 * j + 1], Xh[k], b[2], b[3]);
            }
        }

        /* Y, tokens as rows: 32 bytes a token and warp */
        __half(*ys)[LY] = sm.y[warp];
#pragma unroll
        for (int j = 0; j < NT; j++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                ((uint16_t *)ys[8 * j + 2 * q4 + (e & 1)])[g + (e >> 1) * 8] = to_bf16(Y[j][e]);
        __syncwarp();
        const int start = chunk_start(a, a.from + c), n = chunk_tokens(a, a.from + c);
#pragma unroll
        for (int i = lane; i < 2 * C; i += 32)
            if (i / 2 < n)
                *(uint4 *)(a.out + (int64_t)(start + i / 2) * Vd + col + i % 2 * 8) =
                    *(const uint4 *)&ys[i / 2][i % 2 * 8];
        __syncthreads(); /* the stage is free for the chunk after next */
    }
#pragma unroll
    for (int j = 0; j < 2 * KS; j++) {
        *(float2 *)(state + 8 * j) = make_float2(S[j][0], S[j][1]);
        *(float2 *)(state + 8 * DK + 8 * j) = make_float2(S[j][2], S[j][3]);
    }
}

/* ---- host
 * ---------------------------------------------------------------------------------------- */

template <int DK> static int run_span(kn_dev *dev, const chunk_args &a, ox_err *err) {
    struct cu_grid prepare = {dim3((unsigned)a.Hv, (unsigned)a.n), PREP_THREADS,
                              (size_t)(2 * C * (DK + 4) + C * LT + 32 * 36) * 4, false};
    struct cu_grid scan = {dim3((unsigned)(a.Dv / GC_DV), (unsigned)a.Hv), SCAN_THREADS,
                           sizeof(scan_smem<DK>), false};
    int rc = cu_launch(dev, "gdn_prepare_k", gdn_prepare_k<DK>, prepare, err, a);
    return rc ? rc : cu_launch(dev, "gdn_chunk_k", gdn_chunk_k<DK>, scan, err, a);
}

static size_t align256(size_t n) {
    return (n + 255) / 256 * 256;
}

/* Scratch of n chunks; base NULL: only the size. */
static size_t cut_scratch(chunk_args *a, int64_t n, int64_t Dk, char *base) {
    size_t blocks = (size_t)n * (size_t)a->Hv, at = 0;
    struct {
        void **p;
        size_t bytes;
    } part[] = {{(void **)&a->K, blocks * C * (size_t)Dk * 2},
                {(void **)&a->Q, blocks * C * (size_t)Dk * 2},
                {(void **)&a->V, blocks * C * (size_t)a->Dv * 2},
                {(void **)&a->T, blocks * C * C * 2},
                {(void **)&a->P, blocks * C * C * 2},
                {(void **)&a->E, blocks * 2 * C * 4}};
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        if (base) *part[i].p = base + at;
        at += align256(part[i].bytes);
    }
    return at;
}

int gdn_prefill_run(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    const int64_t Dk = g->q.cols / g->n_k_heads, Dv = g->v.cols / g->n_v_heads, T = g->q.rows;
    const bool is_shape = (Dk == 64 || Dk == 96 || Dk == 128) && Dv % GC_DV == 0;
    if (!is_shape || g->taps.cols != TAPS ||
        sizeof(scan_smem<128>) > dev->smem_max) /* cards with less than 147 KB a block */
        return gdn_scan_run(dev, g, err);
    chunk_args a = {};
    (gdn_args &)a = gdn_args_of(g);
    a.first = C - (int32_t)(dev->now.n_cached % C);
    const int32_t n = T <= a.first ? 1 : 1 + (int32_t)((T - a.first + C - 1) / C);
    const int32_t span = n < GC_SPAN ? n : GC_SPAN;
    char *work;
    int rc = cu_work(dev, cut_scratch(&a, span, Dk, NULL), &work, err);
    if (rc) return rc;
    cut_scratch(&a, span, Dk, work);
    for (a.from = 0; !rc && a.from < n; a.from += span) {
        a.n = n - a.from < span ? n - a.from : span;
        rc = Dk == 64   ? run_span<64>(dev, a, err)
             : Dk == 96 ? run_span<96>(dev, a, err)
                        : run_span<128>(dev, a, err);
    }
    return rc ? rc : conv_shift(dev, g, err);
}
