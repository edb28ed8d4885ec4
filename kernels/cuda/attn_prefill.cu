/* attn_prefill.cu - causal attention of many queries over the pages, in tiles on the tensor
 * cores.
 *
 * op       y = softmax(q K' scale) V, position N+t sees keys 0..N+t; reference ref_attn; arXiv
 *          2307.08691
 * args     q [T,H*Dh] bf16, normed (attn_append) · pages of the step in · out [T,H*Dh] bf16
 * work     one block 128 queries of one head; 8 warps of 16 rows; keys in tiles of 64,
 *          double-buffered; tiles above the diagonal are skipped, the longest blocks start
 *          first
 * smem     Q, two tiles of K and V as bf16: (128 + 4 x 64) (Dh + 8) 2 bytes = 104 KB at Dh 128
 * cost     4 H Dh FLOP a query and key, half of them masked away
 * limit    tensor cores: mma.sync reaches 35 to 40 % of the peak of Hopper
 * numerics bf16 operands (stored K and V as read back, P rounded), f32 sums and softmax; tiles
 *          start at absolute multiples of 64, so that a row depends on its own keys only, never
 *          on T
 * refuses  Dh over 128 or odd; on Hopper attn_wgmma.cu takes bf16 heads of 128
 * measured docs/PERF.md */
#include "kernels/cuda/attn.cuh"

struct prefill_args {
    const uint16_t *q;
    uint16_t *out;
    kv_layout l;
    int32_t T, H, Hkv;
    float scale_log2;
    const struct step_state *step;
};

/* A tile of 64 rows of K or V to shared memory as bf16, zeros behind n and Dh. */
template <int HD>
static __device__ void load_tile(const prefill_args &a, uint16_t *dst, int64_t k0, int64_t n,
                                 int head, int which) {
    constexpr int LD = HD + 8, PER = HD / 8;
    const char *block = kv_block(a.step, a.l, k0, head, which); /* a tile lies in one page */
    for (int i = threadIdx.x; i < AP_KV * PER; i += AP_THREADS) {
        int r = i / PER, c = i % PER * 8, row = (int)((k0 + r) % KN_PAGE_TOKENS);
        bool is_on = k0 + r < n && c < a.l.Dh;
        uint16_t *to = dst + r * LD + c;
        const bool is_aligned = a.l.Dh % 8 == 0;
        if (a.l.kv == KN_BF16 && is_aligned) {
            cp_async16(to, block + (is_on ? ((int64_t)row * a.l.Dh + c) * 2 : 0), is_on);
            continue;
        }
        float f[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        if (is_on && a.l.kv == KN_I8) {
            kv8<KN_I8> v;
            is_aligned ? v.load(block, a.l, row, c) : v.load_any(block, a.l, row, c);
            v.get(f);
        } else if (is_on && a.l.kv == KN_BF16) {
            kv8<KN_BF16> v;
            v.load_any(block, a.l, row, c);
            v.get(f);
        } else if (is_on) {
            kv8<KN_F32> v;
            is_aligned ? v.load(block, a.l, row, c) : v.load_any(block, a.l, row, c);
            v.get(f);
        }
        *(uint4 *)to = make_uint4(pack_bf16(f[0], f[1]), pack_bf16(f[2], f[3]),
                                  pack_bf16(f[4], f[5]), pack_bf16(f[6], f[7]));
    }
}

template <int HD>
static __global__ void __launch_bounds__(AP_THREADS, 1)
    attn_prefill_k(const __grid_constant__ prefill_args a) {
    constexpr int LD = HD + 8, KS = HD / 16, NT = AP_KV / 8, DT = HD / 8;
    extern __shared__ __align__(16) uint16_t sm16[];
    uint16_t *Qs = sm16, *Ks = Qs + AP_Q * LD, *Vs = Ks + 2 * AP_KV * LD;
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, q4 = lane & 3;
    const int tile = (int)(gridDim.x - 1 - blockIdx.x), head = (int)blockIdx.y,
              kv_head = head / (a.H / a.Hkv);
    const int t0 = tile * AP_Q, n_q = a.T - t0 < AP_Q ? a.T - t0 : AP_Q, Dh = a.l.Dh;
    const int64_t N = a.step->n_cached, n = N + t0 + n_q; /* keys of the last query */
    const int n_tiles = (int)((n + AP_KV - 1) / AP_KV);
    if (a.step->done) return;

    for (int i = threadIdx.x; i < AP_Q * (HD / 8); i += AP_THREADS) {
        int r = i / (HD / 8), c = i % (HD / 8) * 8;
        bool is_on = r < n_q && c < Dh;
        const uint16_t *src =
            a.q + ((int64_t)(t0 + (is_on ? r : 0)) * a.H + head) * Dh + (is_on ? c : 0);
        if (Dh % 8 == 0) {
            cp_async16(Qs + r * LD + c, src, is_on);
        } else {
            for (int e = 0; e < 8; e++)
                Qs[r * LD + c + e] = is_on && c + e < Dh ? src[e] : (uint16_t)0;
        }
    }
    load_tile<HD>(a, Ks, 0, n, kv_head, 0);
    load_tile<HD>(a, Vs, 0, n, kv_head, 1);
    cp_async_commit();

    uint32_t Q[KS][4];
    float O[DT][4], m[2] = {-INFINITY, -INFINITY}, l[2] = {0.0f, 0.0f};
#pragma unroll
    for (int i = 0; i < DT; i++)
        O[i][0] = O[i][1] = O[i][2] = O[i][3] = 0.0f;
    const int64_t first_pos = N + t0 + warp * 16 + g; /* of row g; row g + 8 is 8 later */

    for (int kt = 0; kt < n_tiles; kt++) {
        uint16_t *K = Ks + (kt & 1) * AP_KV * LD, *V = Vs + (kt & 1) * AP_KV * LD;
        if (kt + 1 < n_tiles) {
            load_tile<HD>(a, Ks + (~kt & 1) * AP_KV * LD, (int64_t)(kt + 1) * AP_KV, n, kv_head, 0);
            load_tile<HD>(a, Vs + (~kt & 1) * AP_KV * LD, (int64_t)(kt + 1) * AP_KV, n, kv_head, 1);
        }
        cp_async_commit();
        cp_async_wait<1>();
        __syncthreads();
        if (kt == 0)
#pragma unroll
            for (int k = 0; k < KS; k++)
                ldmatrix4(Q[k], Qs + (warp * 16 + (lane & 15)) * LD + k * 16 + (lane >> 4) * 8);

        /* S = Q K': 16 rows x 64 keys a warp */
        float S[NT][4];
#pragma unroll
        for (int i = 0; i < NT; i++)
            S[i][0] = S[i][1] = S[i][2] = S[i][3] = 0.0f;
#pragma unroll
        for (int k = 0; k < KS; k++)
#pragma unroll
            for (int i = 0; i < NT; i += 2) {
                uint32_t b[4]; /* two groups of 8 keys, 16 channels */
                ldmatrix4(b, K + (i * 8 + (lane & 7) + (lane >> 4) * 8) * LD + k * 16 +
                                 (lane >> 3 & 1) * 8);
                mma_bf16(S[i], Q[k][0], Q[k][1], Q[k][2], Q[k][3], b[0], b[1]);
                mma_bf16(S[i + 1], Q[k][0], Q[k][1], Q[k][2], Q[k][3], b[2], b[3]);
            }

        /* mask: only tiles that reach beyond the first row of the warp */
        const int64_t k0 = (int64_t)kt * AP_KV;
        if (k0 + AP_KV - 1 > N + t0 + warp * 16)
#pragma unroll
            for (int i = 0; i < NT; i++) {
                int64_t key = k0 + i * 8 + 2 * q4;
                if (key > first_pos) S[i][0] = -INFINITY;
                if (key + 1 > first_pos) S[i][1] = -INFINITY;
                if (key > first_pos + 8) S[i][2] = -INFINITY;
                if (key + 1 > first_pos + 8) S[i][3] = -INFINITY;
            }

            /* online softmax of rows g and g + 8 */
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float mm = m[r];
#pragma unroll
            for (int i = 0; i < NT; i++)
                mm = fmaxf(mm, fmaxf(S[i][2 * r], S[i][2 * r + 1]));
            mm = lanes_max<4>(mm);
            float base = mm == -INFINITY ? 0.0f : __fmul_rn(mm, a.scale_log2), sum = 0.0f;
            /* no fma: exactly 1 where m stays, so that a masked tile changes no bit */
            float by = m[r] == -INFINITY ? 0.0f : exp2f(__fmul_rn(m[r], a.scale_log2) - base);
#pragma unroll
            for (int i = 0; i < NT; i++) {
                S[i][2 * r] = exp2f(fmaf(S[i][2 * r], a.scale_log2, -base));
                S[i][2 * r + 1] = exp2f(fmaf(S[i][2 * r + 1], a.scale_log2, -base));
                sum += S[i][2 * r] + S[i][2 * r + 1];
            }
            l[r] = l[r] * by + sum;
            m[r] = mm;
#pragma unroll
            for (int i = 0; i < DT; i++) {
                O[i][2 * r] *= by;
                O[i][2 * r + 1] *= by;
            }
        }

        /* O += P V */
#pragma unroll
        for (int k = 0; k < NT / 2; k++) {
            uint32_t p0 = pack_bf16(S[2 * k][0], S[2 * k][1]),
                     p1 = pack_bf16(S[2 * k][2], S[2 * k][3]);
            uint32_t p2 = pack_bf16(S[2 * k + 1][0], S[2 * k + 1][1]);
            uint32_t p3 = pack_bf16(S[2 * k + 1][2], S[2 * k + 1][3]);
#pragma unroll
            for (int i = 0; i < DT; i += 2) {
                uint32_t b[4]; /* 16 keys, two groups of 8 channels */
                ldmatrix4_trans(b, V + (k * 16 + (lane & 15)) * LD + i * 8 + (lane >> 4) * 8);
                mma_bf16(O[i], p0, p1, p2, p3, b[0], b[1]);
                mma_bf16(O[i + 1], p0, p1, p2, p3, b[2], b[3]);
            }
        }
        __syncthreads(); /* the tile is free for the load after next */
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        int row = t0 + warp * 16 + g + 8 * r;
        float total = lanes_sum<4>(l[r]);
        if (row >= a.T) continue;
#pragma unroll
        for (int i = 0; i < DT; i++) {
            int c = i * 8 + 2 * q4;
            if (c < Dh)
                *(uint32_t *)(a.out + ((int64_t)row * a.H + head) * Dh + c) =
                    pack_bf16(O[i][2 * r] / total, O[i][2 * r + 1] / total);
        }
    }
}

int attn_prefill_run(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    int64_t T = a->q.rows, Dh = a->q.cols / a->n_heads;
    if (Dh > AD_MAX_DH || Dh % 2)
        return ox_err_set(err, OX_EDEVICE, "attn: heads of %lld channels, at most %d and even",
                          (long long)Dh, (int)AD_MAX_DH);
    char *work;
    int rc = cu_work(dev, (size_t)(T * a->q.cols) * 2, &work, err);
    if (!rc) rc = attn_append(dev, a, work, false, err);
    bool taken = false;
    if (!rc) rc = attn_wgmma_run(dev, a, work, &taken, err);
    if (rc || taken) return rc;
    prefill_args p = {};
    p.q = (const uint16_t *)work;
    p.out = (uint16_t *)a->out.data;
    p.l = kv_layout_of(a);
    p.T = (int32_t)T;
    p.H = a->n_heads;
    p.Hkv = a->n_kv_heads;
    p.scale_log2 = a->scale * 1.4426950408889634f;
    p.step = dev->step;
    int hd = Dh <= 32 ? 32 : Dh <= 64 ? 64 : 128;
    size_t smem = (size_t)((AP_Q + 4 * AP_KV) * (hd + 8)) * 2;
    struct cu_grid g = {dim3((unsigned)((T + AP_Q - 1) / AP_Q), (unsigned)a->n_heads), AP_THREADS,
                        smem, false};
    void (*k)(const prefill_args) = hd == 32   ? attn_prefill_k<32>
                                    : hd == 64 ? attn_prefill_k<64>
                                               : attn_prefill_k<128>;
    return cu_launch(dev, "attn_prefill_k", k, g, err, p);
}
