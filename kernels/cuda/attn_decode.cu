/* attn_decode.cu - q/k norm and append to the pages for any T, and split attention for T =
 * 1..8.
 *
 * op       docs/MODEL.md 3.1: q, k = rms over the whole projection, RoPE if asked, K and V
 *          stored, then y = softmax(q K' scale) V over all N+t+1 positions read back; reference
 *          ref_attn
 * args     q [T,H*Dh], k, v [T,Hkv*Dh] bf16 in · q_norm, k_norm f32 · pages of the step inout ·
 *          out [T,H*Dh] bf16
 * work     append: one block a token. Attention: grid splits x KV heads x T; groups of Dh/8
 *          lanes take a token each, 4 tokens in flight; a KV head's queries share its rows (up
 *          to 3 at a time)
 * smem     partial maximum, sum and output of each lane group
 * cost     4 H Dh FLOP and 2 Hkv Dh stored elements a position
 * limit    memory: 336 us a token at 64K, bf16, 8 layers (7B, H100)
 * numerics f32; online softmax of a lane group over its tokens in order, groups in order,
 *          splits in order (the last block of a head adds them up: a counter, no float
 *          atomics). Depends on the position and the SM count, not on T. int8 rows are
 *          quantised alone
 * refuses  Dh over 128 or odd, more than 256 KV heads
 * measured docs/PERF.md */
#include "kernels/cuda/attn.cuh"

/* ---- append --------------------------------------------------------------------------------- */

struct append_args {
    const uint16_t *q, *k, *v;
    const float *q_norm, *k_norm;
    void *q_out; /* [T,H*Dh] f32 or bf16 */
    bool q_f32;
    int32_t H, Hkv;
    kv_layout l;
    float eps, rope_theta;
    const struct step_state *step;
};

/* z in shared memory, normed; rotates each head. w_i is rounded as the reference rounds it. */
static __device__ void rope(float *z, int n_heads, int Dh, int64_t pos, float theta) {
    int half = Dh / 2;
    for (int i = threadIdx.x; i < n_heads * half; i += AD_THREADS) {
        int h = i / half, c = i % half;
        float w = (float)pow((double)theta, -2.0 * (double)c / (double)Dh), angle = (float)pos * w;
        float co = (float)cos((double)angle), si = (float)sin((double)angle);
        float *p = z + h * Dh + c, a = p[0], b = p[half];
        p[0] = a * co - b * si;
        p[half] = b * co + a * si;
    }
}

/* Sum of squares of a bf16 row of n elements, this thread's part; the same order wherever it is
 * asked. Two loads of 16 bytes before the first use. */
static __device__ float row_squares(const uint16_t *x, int n) {
    float ss = 0.0f;
    for (int i = threadIdx.x; n % 8 && i < n; i += AD_THREADS) /* rows that are not aligned */
        ss = fmaf(from_bf16(x[i]), from_bf16(x[i]), ss);
    for (int c = threadIdx.x; n % 8 == 0 && c < n / 8; c += 2 * AD_THREADS) {
        uint4 w[2] = {((const uint4 *)x)[c], make_uint4(0, 0, 0, 0)};
        if (c + AD_THREADS < n / 8) w[1] = ((const uint4 *)x)[c + AD_THREADS];
#pragma unroll
        for (int j = 0; j < 2; j++) {
            float f[8] = {bf16_lo(w[j].x), bf16_hi(w[j].x), bf16_lo(w[j].y), bf16_hi(w[j].y),
                          bf16_lo(w[j].z), bf16_hi(w[j].z), bf16_lo(w[j].w), bf16_hi(w[j].w)};
#pragma unroll
            for (int i = 0; i < 8; i++)
                ss = fmaf(f[i], f[i], ss);
        }
    }
    return ss;
}
/* 1 / rms from it. Whole block. */
static __device__ float row_rms(float squares, int n, float eps, float *red) {
    return rsqrtf(block_sum(squares, red) / (float)n + eps);
}

/* One head's row into its block. A warp. */
static __device__ void store_row(char *block, const kv_layout &l, int row, const float *x) {
    int lane = threadIdx.x & 31;
    if (l.kv == KN_F32) {
        for (int i = lane; i < l.Dh; i += 32)
            ((float *)block)[(int64_t)row * l.Dh + i] = x[i];
    } else if (l.kv == KN_BF16) {
        for (int i = lane; i < l.Dh; i += 32)
            ((uint16_t *)block)[(int64_t)row * l.Dh + i] = to_bf16(x[i]);
    } else {
        for (int g = 0; g < l.n_groups; g++) {
            float max = 0.0f;
            for (int i = g * KV_GROUP + lane; i < l.Dh && i < (g + 1) * KV_GROUP; i += 32)
                max = fmaxf(max, fabsf(x[i]));
            max = lanes_max(max);
            uint16_t bits = to_bf16(max > 0.0f ? max / 127.0f : 1.0f);
            float scale = from_bf16(bits);
            for (int i = g * KV_GROUP + lane; i < l.Dh && i < (g + 1) * KV_GROUP; i += 32)
                block[(int64_t)row * l.Dh + i] =
                    (char)(int8_t)fminf(fmaxf(rintf(x[i] / scale), -127.0f), 127.0f);
            if (lane == 0)
                ((uint16_t *)(block + (int64_t)KN_PAGE_TOKENS * l.Dh))[row * l.n_groups + g] = bits;
        }
    }
}

static __global__ void __launch_bounds__(AD_THREADS)
    attn_append_k(const __grid_constant__ append_args a) {
    extern __shared__ __align__(16) float z[]; /* [H*Dh] q, [Hkv*Dh] k, [Hkv*Dh] v */
    __shared__ float red[2][AD_THREADS / 32];
    pdl_wait();
    pdl_next();
    const int t = (int)blockIdx.x, nq = a.H * a.l.Dh, nk = a.Hkv * a.l.Dh;
    const bool is_done = a.step->done != 0;
    const int64_t pos = a.step->n_cached + t;
    float *q = z, *k = q + nq, *v = k + nk;
    const uint16_t *xq = a.q + (int64_t)t * nq, *xk = a.k + (int64_t)t * nk,
                   *xv = a.v + (int64_t)t * nk;
    float sq = row_squares(xq, nq), sk = row_squares(xk, nk);
    float rq = row_rms(sq, nq, a.eps, red[0]), rk = row_rms(sk, nk, a.eps, red[1]);
    for (int i = threadIdx.x; i < nq; i += AD_THREADS)
        q[i] = a.q_norm[i] * (from_bf16(xq[i]) * rq);
    for (int i = threadIdx.x; i < nk; i += AD_THREADS) {
        k[i] = a.k_norm[i] * (from_bf16(xk[i]) * rk);
        v[i] = from_bf16(xv[i]);
    }
    __syncthreads();
    if (a.rope_theta > 0.0f) {
        rope(q, a.H, a.l.Dh, pos, a.rope_theta);
        rope(k, a.Hkv, a.l.Dh, pos, a.rope_theta);
        __syncthreads();
    }
    if (is_done) return;
    for (int i = threadIdx.x; i < nq; i += AD_THREADS)
        store_act(a.q_out, a.q_f32, (int64_t)t * nq + i, q[i]);
    int row = (int)(pos % KN_PAGE_TOKENS);
    for (int i = threadIdx.x >> 5; i < 2 * a.Hkv; i += AD_THREADS / 32)
        store_row(kv_block(a.step, a.l, pos, i >> 1, i & 1), a.l, row,
                  (i & 1 ? v : k) + (i >> 1) * a.l.Dh);
}

static append_args append_of(kn_dev *dev, const struct kn_attn *a, void *q_out, bool q_f32) {
    append_args p = {};
    p.q = (const uint16_t *)a->q.data;
    p.k = (const uint16_t *)a->k.data;
    p.v = (const uint16_t *)a->v.data;
    p.q_norm = (const float *)a->q_norm.data;
    p.k_norm = (const float *)a->k_norm.data;
    p.q_out = q_out;
    p.q_f32 = q_f32;
    p.H = a->n_heads;
    p.Hkv = a->n_kv_heads;
    p.l = kv_layout_of(a);
    p.eps = a->eps;
    p.rope_theta = a->rope_theta;
    p.step = dev->step;
    return p;
}

int attn_append(kn_dev *dev, const struct kn_attn *a, void *q_out, bool q_f32, ox_err *err) {
    append_args p = append_of(dev, a, q_out, q_f32);
    size_t smem = (size_t)(a->q.cols + 2 * a->k.cols) * 4;
    struct cu_grid g = {dim3((unsigned)a->q.rows), AD_THREADS, smem, true};
    return cu_launch(dev, "attn_append_k", attn_append_k, g, err, p);
}

/* ---- split attention ------------------------------------------------------------------------ */

struct decode_args {
    append_args in; /* T = 1: norms and append are done here, each block for its own head */
    bool is_fused;
    const float *q;   /* [T,H*Dh] */
    uint16_t *out;    /* [T,H*Dh] */
    float *part;      /* [T][Hkv*sets][splits][NQ][Dh + 2] */
    unsigned *ticket; /* [T][Hkv*sets] */
    kv_layout l;
    int32_t H, Hkv, sets, splits; /* sets: groups of NQ queries of a KV head */
    float scale_log2;             /* scale * log2(e) */
    const struct step_state *step;
};

/* Adds (m, l, o) b to a running (m, l, o): both weights are powers of two of differences <= 0. */
DEV void merge_scale(float m, float m1, float *old_by, float *new_by, float *m_out) {
    float mm = fmaxf(m, m1);
    *old_by = m == -INFINITY ? 0.0f : exp2f(m - mm);
    *new_by = m1 == -INFINITY ? 0.0f : exp2f(m1 - mm);
    *m_out = mm;
}

/* The queries of this block in qs [NQ*Dh]; the block that has the last position stores K and V. The
 * same numbers as attn_append_k gives. */
template <int NQ>
static __device__ void fuse_append(const append_args &a, float *qs, int head, int q_head,
                                   bool has_last) {
    __shared__ float red[2][AD_THREADS / 32];
    const int Dh = a.l.Dh;
    const int64_t pos = a.step->n_cached;
    float *ks = qs + NQ * Dh, *vs = ks + Dh;
    float sq = row_squares(a.q, a.H * Dh), sk = has_last ? row_squares(a.k, a.Hkv * Dh) : 0.0f;
    float rq = row_rms(sq, a.H * Dh, a.eps, red[0]);
    for (int i = threadIdx.x; i < NQ * Dh; i += AD_THREADS)
        qs[i] = a.q_norm[q_head * Dh + i] * (from_bf16(a.q[q_head * Dh + i]) * rq);
    if (has_last) {
        float rk = row_rms(sk, a.Hkv * Dh, a.eps, red[1]);
        for (int i = threadIdx.x; i < Dh; i += AD_THREADS) {
            ks[i] = a.k_norm[head * Dh + i] * (from_bf16(a.k[head * Dh + i]) * rk);
            vs[i] = from_bf16(a.v[head * Dh + i]);
        }
    }
    __syncthreads();
    if (a.rope_theta > 0.0f) {
        rope(qs, NQ, Dh, pos, a.rope_theta);
        if (has_last) rope(ks, 1, Dh, pos, a.rope_theta);
        __syncthreads();
    }
    int warp = threadIdx.x >> 5;
    if (has_last && warp < 2 && !a.step->done)
        store_row(kv_block(a.step, a.l, pos, head, warp), a.l, (int)(pos % KN_PAGE_TOKENS),
                  warp ? vs : ks);
    __syncthreads(); /* the row is read back below, as it is stored */
}

template <bool ANY, int KV>
DEV void load_row(kv8<KV> &to, const decode_args &a, int64_t pos, int head, int which, int c) {
    const char *block = kv_block(a.step, a.l, pos, head, which);
    if (ANY)
        to.load_any(block, a.l, (int)(pos % KN_PAGE_TOKENS), c);
    else
        to.load(block, a.l, (int)(pos % KN_PAGE_TOKENS), c);
}

template <int LANES, int NQ, int KV, bool ANY>
static __global__ void __launch_bounds__(AD_THREADS, KV == KN_F32 ? 1 : 2)
    attn_decode_k(const __grid_constant__ decode_args a) {
    constexpr int GROUPS = AD_THREADS / LANES, UNIT = GROUPS * AD_TOKENS, AHEAD = 8;
    extern __shared__ __align__(16) float sm[]; /* [GROUPS][NQ][Dh + 2] */
    __shared__ bool is_last;
    const int lane = threadIdx.x % LANES, group = threadIdx.x / LANES, Dh = a.l.Dh, c = 8 * lane;
    const int split = (int)blockIdx.x, head = (int)blockIdx.y / a.sets,
              set = (int)blockIdx.y % a.sets;
    const int t = (int)blockIdx.z, q_head = head * (a.H / a.Hkv) + set * NQ;
    const bool is_on = c < Dh;
    pdl_next();
    if (a.is_fused) { /* constants */
        for (int i = threadIdx.x * 32; i < NQ * Dh; i += AD_THREADS * 32)
            prefetch_l2(a.in.q_norm + q_head * Dh + i);
        for (int i = threadIdx.x * 32; i < Dh; i += AD_THREADS * 32)
            prefetch_l2(a.in.k_norm + head * Dh + i);
    }
    pdl_wait();
    const bool is_done = a.step->done != 0;
    const int64_t n = a.step->n_cached + t + 1, units = (n + UNIT - 1) / UNIT;
    const int64_t from = units * split / a.splits, to = units * (split + 1) / a.splits;
    if (from == to) return; /* fewer units than blocks: each has one or none */
    const int n_parts = (int)(units < a.splits ? units : a.splits);
    const int my_part = (int)(units < a.splits ? from : split);

    const float *qs = a.q + ((int64_t)t * a.H + q_head) * Dh;
    if (a.is_fused) {
        fuse_append<NQ>(a.in, sm, head, q_head, to == units);
        qs = sm;
    }
    float q[NQ][8], o[NQ][8], m[NQ], l[NQ];
#pragma unroll
    for (int i = 0; i < NQ; i++) {
        m[i] = -INFINITY;
        l[i] = 0.0f;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            o[i][j] = 0.0f;
            q[i][j] = c + j < Dh ? qs[i * Dh + c + j] * a.scale_log2 : 0.0f;
        }
    }
    for (int64_t u = from; u < to; u++) {
        kv8<KV> K[AD_TOKENS], V[AD_TOKENS];
#pragma unroll
        for (int i = 0; i < AD_TOKENS; i++) {
            int64_t pos = u * UNIT + i * GROUPS + group;
            if (pos < n && is_on) load_row<ANY>(K[i], a, pos, head, 0, c);
        }
#pragma unroll
        for (int i = 0; i < AD_TOKENS; i++) {
            int64_t pos = u * UNIT + i * GROUPS + group;
            if (pos < n && is_on) load_row<ANY>(V[i], a, pos, head, 1, c);
        }
        float s[NQ][AD_TOKENS];
#pragma unroll
        for (int i = 0; i < AD_TOKENS; i++) {
            bool is_in = u * UNIT + i * GROUPS + group < n;
            float f[8];
            K[i].get(f);
#pragma unroll
            for (int k = 0; k < NQ; k++) {
                float d = 0.0f;
#pragma unroll
                for (int j = 0; j < 8; j++)
                    d = fmaf(q[k][j], f[j], d);
                d = lanes_sum<LANES>(is_in && is_on ? d : 0.0f);
                s[k][i] = is_in ? d : -INFINITY;
            }
        }
#pragma unroll
        for (int k = 0; k < NQ; k++) {
            float mm = m[k];
#pragma unroll
            for (int i = 0; i < AD_TOKENS; i++)
                mm = fmaxf(mm, s[k][i]);
            float by = m[k] == -INFINITY ? 0.0f : exp2f(m[k] - mm);
            l[k] *= by;
#pragma unroll
            for (int j = 0; j < 8; j++)
                o[k][j] *= by;
            m[k] = mm;
#pragma unroll
            for (int i = 0; i < AD_TOKENS; i++) {
                s[k][i] = s[k][i] == -INFINITY ? 0.0f : exp2f(s[k][i] - mm);
                l[k] += s[k][i];
            }
        }
#pragma unroll
        for (int i = 0; i < AD_TOKENS; i++) {
            if (u * UNIT + i * GROUPS + group >= n || !is_on) continue;
            float f[8];
            V[i].get(f);
#pragma unroll
            for (int k = 0; k < NQ; k++)
#pragma unroll
                for (int j = 0; j < 8; j++)
                    o[k][j] = fmaf(s[k][i], f[j], o[k][j]);
        }
    }

    /* Lane groups of the block, in order. */
    __syncthreads(); /* sm held the queries */
    const int ld = Dh + 2;
#pragma unroll
    for (int k = 0; k < NQ; k++) {
        float *p = sm + (group * NQ + k) * ld;
        if (is_on)
#pragma unroll
            for (int j = 0; j < 8; j++)
                if (!ANY || c + j < Dh) p[c + j] = o[k][j];
        if (lane == 0) {
            p[Dh] = m[k];
            p[Dh + 1] = l[k];
        }
    }
    __syncthreads();
    const int64_t cell = (int64_t)t * gridDim.y + blockIdx.y;
    float *part = a.part + (cell * a.splits + my_part) * NQ * ld;
    uint16_t *out = a.out + ((int64_t)t * a.H + q_head) * Dh;
    for (int i = threadIdx.x; i < NQ * Dh; i += AD_THREADS) {
        int k = i / Dh, d = i % Dh;
        float mm = -INFINITY, ll = 0.0f, oo = 0.0f;
#pragma unroll 8
        for (int g = 0; g < GROUPS; g++) {
            const float *p = sm + (g * NQ + k) * ld;
            float w0, w1;
            merge_scale(mm, p[Dh], &w0, &w1, &mm);
            ll = ll * w0 + p[Dh + 1] * w1;
            oo = oo * w0 + p[d] * w1;
        }
        if (n_parts == 1) {
            if (!is_done) out[i] = to_bf16(oo / ll);
            continue;
        }
        part[k * ld + d] = oo;
        if (d == 0) {
            part[k * ld + Dh] = mm;
            part[k * ld + Dh + 1] = ll;
        }
    }
    if (n_parts == 1) return;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last = atomicAdd(&a.ticket[cell], 1u) == (unsigned)n_parts - 1;
    __syncthreads();
    if (!is_last) return;
    __threadfence();
    const float *all = a.part + cell * a.splits * NQ * ld;
    for (int i = threadIdx.x; i < NQ * Dh && !is_done; i += AD_THREADS) {
        int k = i / Dh, d = i % Dh;
        float mm = -INFINITY, ll = 0.0f, oo = 0.0f;
        for (int s0 = 0; s0 < n_parts; s0 += AHEAD) { /* loads first: they wait together */
            float pm[AHEAD], pl[AHEAD], po[AHEAD];
#pragma unroll
            for (int j = 0; j < AHEAD; j++) {
                const float *p = all + ((s0 + j < n_parts ? s0 + j : s0) * NQ + k) * ld;
                pm[j] = __ldcg(p + Dh);
                pl[j] = __ldcg(p + Dh + 1);
                po[j] = __ldcg(p + d);
            }
#pragma unroll
            for (int j = 0; j < AHEAD; j++) {
                if (s0 + j >= n_parts) break;
                float w0, w1;
                merge_scale(mm, pm[j], &w0, &w1, &mm);
                ll = ll * w0 + pl[j] * w1;
                oo = oo * w0 + po[j] * w1;
            }
        }
        out[i] = to_bf16(oo / ll);
    }
    if (threadIdx.x == 0) a.ticket[cell] = 0;
}

typedef void (*decode_fn)(const decode_args);

template <int LANES, int NQ, bool ANY> static decode_fn pick_type(enum kn_dtype kv) {
    if (kv == KN_F32) return attn_decode_k<LANES, NQ, KN_F32, ANY>;
    if (kv == KN_I8) return attn_decode_k<LANES, NQ, KN_I8, ANY>;
    return attn_decode_k<LANES, NQ, KN_BF16, ANY>;
}
template <int LANES> static decode_fn pick_queries(int nq, bool is_any, enum kn_dtype kv) {
    if (is_any) return pick_type<LANES, 1, true>(kv);
    if (nq == 3) return pick_type<LANES, 3, false>(kv);
    if (nq == 2) return pick_type<LANES, 2, false>(kv);
    return pick_type<LANES, 1, false>(kv);
}

int attn_decode_run(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    int64_t T = a->q.rows, Dh = a->q.cols / a->n_heads, ratio = a->n_heads / a->n_kv_heads;
    if (Dh > AD_MAX_DH || Dh % 2 || a->n_kv_heads > 256)
        return ox_err_set(err, OX_EDEVICE, "attn: heads of %lld channels, at most %d and even",
                          (long long)Dh, (int)AD_MAX_DH);
    bool is_any = Dh % 8 != 0;
    int nq = is_any ? 1 : ratio % 3 == 0 ? 3 : ratio % 2 == 0 ? 2 : 1;
    int lanes = Dh <= 32 ? 4 : Dh <= 64 ? 8 : 16;
    decode_args p = {};
    p.l = kv_layout_of(a);
    p.H = a->n_heads;
    p.Hkv = a->n_kv_heads;
    p.sets = (int32_t)(ratio / nq);
    p.splits = 2 * dev->n_sm / (p.Hkv * p.sets);
    if (p.splits < 1) p.splits = 1;
    p.scale_log2 = a->scale * 1.4426950408889634f;
    p.step = dev->step;
    p.ticket = dev->tickets + 1024;
    p.out = (uint16_t *)a->out.data;
    size_t q_bytes = (size_t)(T * a->q.cols) * 4;
    size_t part = (size_t)(T * p.Hkv * p.sets * p.splits) * (size_t)nq * (size_t)(Dh + 2) * 4;
    if (q_bytes + part > dev->small_bytes || T * p.Hkv * p.sets > MAX_TICKETS - 1024)
        return ox_err_set(err, OX_EDEVICE, "attn: %d heads of %lld need %zu bytes of scratch", p.H,
                          (long long)Dh, q_bytes + part);
    p.q = (const float *)dev->small;
    p.part = (float *)(dev->small + q_bytes);
    p.is_fused = T == 1;
    p.in = append_of(dev, a, dev->small, true);
    int rc = p.is_fused ? 0 : attn_append(dev, a, dev->small, true, err);
    if (rc) return rc;
    size_t smem = (size_t)(AD_THREADS / lanes) * (size_t)nq * (size_t)(Dh + 2) * 4;
    size_t rows = (size_t)(nq + 2) * (size_t)Dh * 4; /* queries, K and V before the groups' sums */
    if (smem < rows) smem = rows;
    struct cu_grid g = {dim3((unsigned)p.splits, (unsigned)(p.Hkv * p.sets), (unsigned)T),
                        AD_THREADS, smem, true};
    decode_fn k = lanes == 4   ? pick_queries<4>(nq, is_any, a->kv)
                  : lanes == 8 ? pick_queries<8>(nq, is_any, a->kv)
                               : pick_queries<16>(nq, is_any, a->kv);
    return cu_launch(dev, "attn_decode_k", k, g, err, p);
}
