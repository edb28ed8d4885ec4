/* attn_decode.cuh - split attention as work of a group of 256 threads: one split of the positions
 * for one KV head (or some of its queries) and token, for attn_decode.cu and for kernels that hold
 * a whole step. What it computes, limits and numerics: attn_decode.cu.
 * The last group of a head to finish, whichever it is, merges all splits in order (a counter, no
 * waiting). */
#ifndef CUDA_ATTN_DECODE_CUH
#define CUDA_ATTN_DECODE_CUH

#include "kernels/cuda/attn_append.cuh"

enum { ATTN_HEAD = ATTN_RED + 4 }; /* floats: the sums, is_last; what follows is 16-byte aligned */

/* How a shape is worked on: lanes a row, queries that share a row, rows not in eights. */
struct attn_form {
    int lanes, nq;
    bool is_any;
};
attn_form attn_form_of(const struct kn_attn *a);

/* Floats of shared memory: the queries, K and V, later the sums of each lane group. */
static inline __host__ __device__ size_t attn_decode_floats(int lanes, int nq, int Dh) {
    int sums = AD_THREADS / lanes * nq * (Dh + 2), rows = (nq + 2) * Dh;
    return (size_t)(ATTN_HEAD + (sums > rows ? sums : rows));
}

struct decode_args {
    append_args in; /* T = 1: norms and append are done here, each group for its own head */
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
DEV void attn_merge_scale(float m, float m1, float *old_by, float *new_by, float *m_out) {
    float mm = fmaxf(m, m1);
    *old_by = m == -INFINITY ? 0.0f : exp2f(m - mm);
    *new_by = m1 == -INFINITY ? 0.0f : exp2f(m1 - mm);
    *m_out = mm;
}

/* A lane's part of the tokens of unit u, K and V; n: positions in all. Without branches: lanes and
 * positions that are not there read one that is, and weigh 0. */
template <int LANES, bool ANY, int KV>
DEV void attn_load_unit(kv8<KV> (&K)[AD_TOKENS], kv8<KV> (&V)[AD_TOKENS], const decode_args &a,
                        group g, int64_t u, int64_t n, int head) {
    constexpr int GROUPS = AD_THREADS / LANES, UNIT = GROUPS * AD_TOKENS;
    static_assert(KN_PAGE_TOKENS % UNIT == 0, "a unit lies in one page");
    const char *k = kv_block(a.step, a.l, u * UNIT, head, 0), *v = k + a.l.block;
    const int row0 = (int)(u * UNIT % KN_PAGE_TOKENS), c = 8 * (g.tid % LANES);
    const int last = n - u * UNIT < UNIT ? (int)(n - u * UNIT) - 1 : UNIT - 1;
    const int c_in = c < a.l.Dh ? c : 0;
#pragma unroll
    for (int i = 0; i < AD_TOKENS; i++) {
        int r = i * GROUPS + g.tid / LANES, row = row0 + (r < last ? r : last);
        if (ANY) {
            K[i].load_any(k, a.l, row, c_in);
            V[i].load_any(v, a.l, row, c_in);
        } else {
            K[i].load(k, a.l, row, c_in);
            V[i].load(v, a.l, row, c_in);
        }
    }
}

template <int NQ> DEV int attn_first_query(const decode_args &a, int head_set) {
    return head_set / a.sets * (a.H / a.Hkv) + head_set % a.sets * NQ;
}

/* Constants that attn_decode_block reads first, to the L2. */
template <int NQ> DEV void attn_decode_prefetch(const decode_args &a, group g, int head_set) {
    const int Dh = a.l.Dh, q_head = attn_first_query<NQ>(a, head_set), head = head_set / a.sets;
    if (!a.is_fused) return;
    for (int i = g.tid * 32; i < NQ * Dh; i += AD_THREADS * 32)
        prefetch_l2(a.in.q_norm + q_head * Dh + i);
    for (int i = g.tid * 32; i < Dh; i += AD_THREADS * 32)
        prefetch_l2(a.in.k_norm + head * Dh + i);
}

/* Split `split` of the positions for head set `head_set` (of n_head_sets) and token t. smem:
 * attn_decode_floats. is_done: no output and no row is written. The whole group; it may return
 * early, all of it together. */
template <int LANES, int NQ, int KV, bool ANY>
DEV void attn_decode_block(const decode_args &a, group g, int split, int head_set, int t,
                           int n_head_sets, float *smem, bool is_done) {
    constexpr int GROUPS = AD_THREADS / LANES, UNIT = GROUPS * AD_TOKENS, AHEAD = 8;
    const int lane = g.tid % LANES, lane_group = g.tid / LANES, Dh = a.l.Dh, c = 8 * lane;
    const int head = head_set / a.sets, q_head = attn_first_query<NQ>(a, head_set);
    const bool is_on = c < Dh;
    float *sm = smem + ATTN_HEAD; /* queries, then [GROUPS][NQ][Dh + 2] */
    int *is_last = (int *)(smem + ATTN_RED);
    const int64_t n = a.step->n_cached + t + 1, units = (n + UNIT - 1) / UNIT;
    const int64_t from = units * split / a.splits, to = units * (split + 1) / a.splits;
    if (from == to) return; /* fewer units than splits: each has one or none */
    const int n_parts = (int)(units < a.splits ? units : a.splits);
    const int my_part = (int)(units < a.splits ? from : split);

    const float *qs = a.q + ((int64_t)t * a.H + q_head) * Dh;
    if (a.is_fused) {
        attn_fuse_append<NQ>(a.in, g, smem, sm, head, q_head, to == units);
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
    kv8<KV> K[AD_TOKENS], V[AD_TOKENS];
    attn_load_unit<LANES, ANY>(K, V, a, g, from, n, head);
    for (int64_t u = from; u < to; u++) {
        const int left = n - u * UNIT < UNIT ? (int)(n - u * UNIT) : UNIT;
        float s[NQ][AD_TOKENS];
#pragma unroll
        for (int i = 0; i < AD_TOKENS; i++) {
            bool is_in = i * GROUPS + lane_group < left;
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
            float f[8];
            V[i].get(f);
#pragma unroll
            for (int k = 0; k < NQ; k++)
#pragma unroll
                for (int j = 0; j < 8; j++)
                    o[k][j] = fmaf(s[k][i], f[j], o[k][j]);
        }
        /* Here, not at the top: the compiler would take V's loads down to their use. */
        if (u + 1 < to) attn_load_unit<LANES, ANY>(K, V, a, g, u + 1, n, head);
    }

    /* Lane groups of the group, in order. */
    group_sync(g); /* sm held the queries */
    const int ld = Dh + 2;
#pragma unroll
    for (int k = 0; k < NQ; k++) {
        float *p = sm + (lane_group * NQ + k) * ld;
        if (is_on)
#pragma unroll
            for (int j = 0; j < 8; j++)
                if (!ANY || c + j < Dh) p[c + j] = o[k][j];
        if (lane == 0) {
            p[Dh] = m[k];
            p[Dh + 1] = l[k];
        }
    }
    group_sync(g);
    const int64_t cell = (int64_t)t * n_head_sets + head_set;
    float *part = a.part + (cell * a.splits + my_part) * NQ * ld;
    uint16_t *out = a.out + ((int64_t)t * a.H + q_head) * Dh;
    for (int i = g.tid; i < NQ * Dh; i += AD_THREADS) {
        int k = i / Dh, d = i % Dh;
        float mm = -INFINITY, ll = 0.0f, oo = 0.0f;
#pragma unroll 8
        for (int j = 0; j < GROUPS; j++) {
            const float *p = sm + (j * NQ + k) * ld;
            float w0, w1;
            attn_merge_scale(mm, p[Dh], &w0, &w1, &mm);
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
    group_sync(g);
    if (g.tid == 0) *is_last = atomicAdd(&a.ticket[cell], 1u) == (unsigned)n_parts - 1;
    group_sync(g);
    if (!*is_last) return;
    __threadfence();
    const float *all = a.part + cell * a.splits * NQ * ld;
    for (int i = g.tid; i < NQ * Dh && !is_done; i += AD_THREADS) {
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
                attn_merge_scale(mm, pm[j], &w0, &w1, &mm);
                ll = ll * w0 + pl[j] * w1;
                oo = oo * w0 + po[j] * w1;
            }
        }
        out[i] = to_bf16(oo / ll);
    }
    if (g.tid == 0) a.ticket[cell] = 0;
}

/* Scratch is dev->small: q of more than one token [T,H*Dh] f32, behind it the partial sums.
 * OX_EDEVICE: the shape is refused. */
int attn_decode_args_of(kn_dev *dev, const struct kn_attn *a, decode_args *out, ox_err *err);

#endif
