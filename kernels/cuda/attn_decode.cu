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
 * measured docs/PERF.md
 * The work of a block is in attn_append.cuh and attn_decode.cuh. */
#include "kernels/cuda/attn_decode.cuh"

static __global__ void __launch_bounds__(AD_THREADS)
    attn_append_k(const __grid_constant__ append_args a) {
    extern __shared__ __align__(16) float smem[];
    pdl_wait();
    pdl_next();
    attn_append_row(a, {(int)threadIdx.x, 0}, (int)blockIdx.x, smem);
}

append_args attn_append_args_of(kn_dev *dev, const struct kn_attn *a, void *q_out, bool q_f32) {
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
    append_args p = attn_append_args_of(dev, a, q_out, q_f32);
    size_t smem = attn_append_floats(p.H, p.Hkv, p.l.Dh) * 4;
    struct cu_grid g = {dim3((unsigned)a->q.rows), AD_THREADS, smem, true};
    return cu_launch(dev, "attn_append_k", attn_append_k, g, err, p);
}

template <int LANES, int NQ, int KV, bool ANY>
static __global__ void __launch_bounds__(AD_THREADS, KV == KN_F32 ? 1 : 2)
    attn_decode_k(const __grid_constant__ decode_args a) {
    extern __shared__ __align__(16) float smem[];
    const group g = {(int)threadIdx.x, 0};
    pdl_next();
    attn_decode_prefetch<NQ>(a, g, (int)blockIdx.y);
    pdl_wait();
    attn_decode_block<LANES, NQ, KV, ANY>(a, g, (int)blockIdx.x, (int)blockIdx.y, (int)blockIdx.z,
                                          (int)gridDim.y, smem, a.step->done != 0);
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

attn_form attn_form_of(const struct kn_attn *a) {
    int64_t Dh = a->q.cols / a->n_heads, ratio = a->n_heads / a->n_kv_heads;
    attn_form f = {Dh <= 32 ? 4 : Dh <= 64 ? 8 : 16, 1, Dh % 8 != 0};
    if (!f.is_any) f.nq = ratio % 3 == 0 ? 3 : ratio % 2 == 0 ? 2 : 1;
    return f;
}

int attn_decode_args_of(kn_dev *dev, const struct kn_attn *a, decode_args *out, ox_err *err) {
    int64_t T = a->q.rows, Dh = a->q.cols / a->n_heads, ratio = a->n_heads / a->n_kv_heads;
    if (Dh > AD_MAX_DH || Dh % 2 || a->n_kv_heads > 256)
        return ox_err_set(err, OX_EDEVICE, "attn: heads of %lld channels, at most %d and even",
                          (long long)Dh, (int)AD_MAX_DH);
    const int nq = attn_form_of(a).nq;
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
    p.in = attn_append_args_of(dev, a, dev->small, true);
    *out = p;
    return 0;
}

int attn_decode_run(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    const attn_form f = attn_form_of(a);
    decode_args p;
    int rc = attn_decode_args_of(dev, a, &p, err);
    if (!rc && !p.is_fused) rc = attn_append(dev, a, dev->small, true, err);
    if (rc) return rc;
    struct cu_grid g = {dim3((unsigned)p.splits, (unsigned)(p.Hkv * p.sets), (unsigned)a->q.rows),
                        AD_THREADS, attn_decode_floats(f.lanes, f.nq, p.l.Dh) * 4, true};
    decode_fn k = f.lanes == 4   ? pick_queries<4>(f.nq, f.is_any, a->kv)
                  : f.lanes == 8 ? pick_queries<8>(f.nq, f.is_any, a->kv)
                                 : pick_queries<16>(f.nq, f.is_any, a->kv);
    return cu_launch(dev, "attn_decode_k", k, g, err, p);
}
