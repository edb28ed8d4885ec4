/* attn_wgmma.cu - causal attention of many queries on Hopper: wgmma, tiles by the copy engine.
 *
 * op       y = softmax(q K' scale) V, position N+t sees keys 0..N+t; reference ref_attn; arXiv
 *          2407.08608
 * args     q [T,H*128] bf16, normed (attn_append) · pages of the step in, bf16 · out [T,H*128] bf16
 * work     one block 128 queries of one head: a warp that fetches and two groups of four warps with
 *          64 rows each. A group issues the scores of a tile and the product P V of the tile before
 *          together, and takes the softmax while they run; the groups take turns at issuing:
 *          one computes exponents while the other multiplies. Longest blocks first
 * smem     Q 32 KB, two tiles of 128 keys of K and of V 128 KB, rows of 128 B swizzled
 * cost     4 H 128 FLOP a query and key, half of them masked away
 * limit    tensor cores, then exponents (16 a clock and SM)
 * numerics bf16 operands (P rounded), f32 sums and softmax; tiles start at absolute multiples of
 *          128: a row depends on its own keys only, never on T
 * refuses  other heads than 128 wide, other types than bf16, other chips than sm_90:
 *          attn_prefill.cu takes them
 * measured docs/PERF.md
 * One tensor map covers the memory between the first and the last page as rows of 256 bytes; the
 * page table gives the row where a tile starts. */
#include "kernels/cuda/attn.cuh"

#include <cuda.h>

enum { AW_Q = 128, AW_KV = 128, AW_HD = 128, AW_THREADS = 384, BOX = 64, STAGES = 2 };

struct wgmma_args {
    uint16_t *out;
    const char *base; /* of the map of pages */
    kv_layout l;
    int32_t T, H, Hkv;
    float scale_log2;
    const struct step_state *step;
};

/* Two boxes of 64 channels: rows of 128 B, which is the widest swizzle. */
struct tile_smem {
    uint16_t box[2][AW_KV][BOX];
};
struct attn_smem {
    tile_smem Q, K[STAGES], V[STAGES];
    uint64_t q_full, k_full[STAGES], v_full[STAGES], k_free[STAGES], v_free[STAGES];
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
DEV void bar_init(uint64_t *b, int n) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(smem_addr(b)), "r"(n));
}
DEV void bar_expect(uint64_t *b, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(smem_addr(b)),
                 "r"(bytes)
                 : "memory");
}
DEV void bar_arrive(uint64_t *b) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(smem_addr(b)) : "memory");
}
DEV void bar_wait(uint64_t *b, int parity) {
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
                 "@!p bra again;\n"
                 "}" ::"r"(smem_addr(b)),
                 "r"(parity)
                 : "memory");
}
/* Named barriers of 256 threads: the groups' turns. */
DEV void turn_wait(int id) {
    asm volatile("bar.sync %0, 256;" ::"r"(id) : "memory");
}
DEV void turn_give(int id) {
    asm volatile("bar.arrive %0, 256;" ::"r"(id) : "memory");
}
DEV void fetch_box(const CUtensorMap *map, void *dst, int c, int row, uint64_t *full) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3}], [%4];" ::"r"(smem_addr(dst)),
                 "l"(map), "r"(c), "r"(row), "r"(smem_addr(full))
                 : "memory");
}
DEV void fetch_tile(const CUtensorMap *map, tile_smem *dst, int c, int row, uint64_t *full) {
    bar_expect(full, sizeof *dst);
    fetch_box(map, dst->box[0], c, row, full);
    fetch_box(map, dst->box[1], c + BOX, row, full);
}

/* Matrix descriptor, 128-byte swizzle: address, leading and stride offsets in units of 16 B. */
DEV uint64_t descriptor(const void *p, int leading, int stride) {
    return (uint64_t)(smem_addr(p) >> 4 & 0x3fff) | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)1 << 62;
}
DEV void wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
DEV void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int N> DEV void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
/* Keeps the compiler from moving accumulators across an asynchronous product. */
DEV void pin(float *d) {
#pragma unroll
    for (int i = 0; i < 64; i++)
        asm volatile("" : "+f"(d[i])::"memory");
}

/* The 64 accumulators of a product, %0 to %63. */
#define ACC4(d, i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define ACC16(d, i) ACC4(d, i), ACC4(d, (i) + 4), ACC4(d, (i) + 8), ACC4(d, (i) + 12)
#define ACC64(d) ACC16(d, 0), ACC16(d, 16), ACC16(d, 32), ACC16(d, 48)
#define ACC64_NAMES                                                                                \
    "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                      \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "             \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "             \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"

/* d [64 x 128] (+)= a b': both in shared memory, rows contiguous in k. */
DEV void wgmma_ss(float *d, uint64_t a, uint64_t b, int keep) {
    asm volatile("{\n"
                 ".reg .pred p;\n"
                 "setp.ne.b32 p, %66, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " ACC64_NAMES
                 ", %64, %65, p, 1, 1, 0, 0;\n"
                 "}"
                 : ACC64(d)
                 : "l"(a), "l"(b), "r"(keep));
}
/* d [64 x 128] += a b: a in registers, b in shared memory with its columns contiguous. */
DEV void wgmma_rs(float *d, const uint32_t *a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 " ACC64_NAMES
                 ", {%64, %65, %66, %67}, %68, 1, 1, 1, 1;"
                 : ACC64(d)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

/* S = Q K', 64 rows of this group. */
DEV void scores(float *S, const tile_smem *Q, int group, const tile_smem *K) {
    pin(S);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < AW_HD / 16; k++)
        wgmma_ss(S, descriptor(&Q->box[k / 4][64 * group][k % 4 * 16], 16, 1024),
                 descriptor(&K->box[k / 4][0][k % 4 * 16], 16, 1024), k > 0);
    wgmma_commit();
    pin(S);
}
DEV void weighted(float *O, const uint32_t (*P)[4], const tile_smem *V) {
    pin(O);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < AW_KV / 16; k++)
        wgmma_rs(O, P[k], descriptor(&V->box[0][16 * k][0], sizeof V->box[0], 1024));
    wgmma_commit();
    pin(O);
}

DEV float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Rows g and g + 8 of the online softmax: S becomes P; by[] is what O must be scaled with. `last`:
 * the greatest column of row g that may be seen, 127 or more: all. */
struct softmax_row {
    float m[2], l[2];
};
DEV void softmax_step(float *S, softmax_row *r, float *by, int last, float scale) {
    const int c0 = 2 * (threadIdx.x & 3);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float m = r->m[h], sum = 0.0f;
        if (last < AW_KV - 1)
#pragma unroll
            for (int j = 0; j < 16; j++) {
                if (8 * j + c0 > last + 8 * h) S[4 * j + 2 * h] = -INFINITY;
                if (8 * j + c0 + 1 > last + 8 * h) S[4 * j + 2 * h + 1] = -INFINITY;
            }
#pragma unroll
        for (int j = 0; j < 16; j++)
            m = fmaxf(m, fmaxf(S[4 * j + 2 * h], S[4 * j + 2 * h + 1]));
        m = lanes_max<4>(m);
        const float base = __fmul_rn(m, scale);
        by[h] = exp2_fast(__fmul_rn(r->m[h], scale) - base); /* no fma: exactly 1 if m stays */
#pragma unroll
        for (int j = 0; j < 16; j++) {
            float x = exp2_fast(fmaf(S[4 * j + 2 * h], scale, -base));
            float y = exp2_fast(fmaf(S[4 * j + 2 * h + 1], scale, -base));
            sum += x + y;
            S[4 * j + 2 * h] = x;
            S[4 * j + 2 * h + 1] = y;
        }
        r->l[h] = fmaf(r->l[h], by[h], sum);
        r->m[h] = m;
    }
}
DEV void to_weights(uint32_t (*P)[4], const float *S) {
#pragma unroll
    for (int k = 0; k < AW_KV / 16; k++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            P[k][i] = pack_bf16(S[8 * k + 2 * i], S[8 * k + 2 * i + 1]);
}

DEV int page_row(const wgmma_args &a, int64_t k0, int head, int which) {
    return (int)((kv_block(a.step, a.l, k0, head, which) - a.base) / (AW_HD * 2) +
                 k0 % KN_PAGE_TOKENS);
}

DEV void produce(const wgmma_args &a, attn_smem &sm, const CUtensorMap *q_map,
                 const CUtensorMap *kv_map, int t0, int head, int n_tiles) {
    const int kv_head = head / (a.H / a.Hkv);
    fetch_tile(q_map, &sm.Q, head * AW_HD, t0, &sm.q_full);
    for (int i = 0; i <= n_tiles; i++) { /* K runs a tile ahead of V */
        if (i < n_tiles) {
            int s = i % STAGES;
            if (i >= STAGES) bar_wait(&sm.k_free[s], (i / STAGES - 1) & 1);
            fetch_tile(kv_map, &sm.K[s], 0, page_row(a, (int64_t)i * AW_KV, kv_head, 0),
                       &sm.k_full[s]);
        }
        if (i > 0) {
            int j = i - 1, s = j % STAGES;
            if (j >= STAGES) bar_wait(&sm.v_free[s], (j / STAGES - 1) & 1);
            fetch_tile(kv_map, &sm.V[s], 0, page_row(a, (int64_t)j * AW_KV, kv_head, 1),
                       &sm.v_full[s]);
        }
    }
}

/* Rows of V that no token has written yet: their weight is 0, but 0 * NaN is not. */
DEV void clear_rows(tile_smem *V, int from, int group) {
    for (int i = threadIdx.x & 127; i < (AW_KV - from) * 16; i += 128)
        *(uint4 *)&V->box[i & 1][from + i / 16][i / 2 % 8 * 8] = make_uint4(0, 0, 0, 0);
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    asm volatile("bar.sync %0, 128;" ::"r"(3 + group) : "memory");
}

DEV void consume(const wgmma_args &a, attn_smem &sm, int group, int t0, int head, int n_tiles,
                 int n_keys_last) {
    const int warp = threadIdx.x >> 5 & 3, lane = threadIdx.x & 31, g = lane >> 2;
    const int row0 = 64 * group + 16 * warp + g; /* and row0 + 8 */
    const int64_t pos = a.step->n_cached + t0 + row0;
    float S[64], O[64], by[2];
    uint32_t P[AW_KV / 16][4];
    softmax_row r = {{-INFINITY, -INFINITY}, {0.0f, 0.0f}};
#pragma unroll
    for (int i = 0; i < 64; i++)
        O[i] = 0.0f;
    bar_wait(&sm.q_full, 0);
    bar_wait(&sm.k_full[0], 0);
    scores(S, &sm.Q, group, &sm.K[0]);
    wgmma_wait<0>();
    pin(S);
    if (lane == 0) bar_arrive(&sm.k_free[0]);
    softmax_step(S, &r, by, pos < AW_KV ? (int)pos : AW_KV, a.scale_log2);
    to_weights(P, S);
    if (group == 1 && n_tiles > 1) turn_give(1);
    for (int i = 1; i < n_tiles; i++) {
        const int s = i % STAGES, p = (i - 1) % STAGES;
        bar_wait(&sm.k_full[s], i / STAGES & 1);
        turn_wait(1 + group);
        scores(S, &sm.Q, group, &sm.K[s]);
        bar_wait(&sm.v_full[p], (i - 1) / STAGES & 1);
        weighted(O, P, &sm.V[p]);
        if (group == 0 || i + 1 < n_tiles) turn_give(2 - group);
        wgmma_wait<1>();
        pin(S);
        if (lane == 0) bar_arrive(&sm.k_free[s]);
        const int64_t last = pos - (int64_t)i * AW_KV;
        softmax_step(S, &r, by, last < AW_KV ? (int)last : AW_KV, a.scale_log2);
        wgmma_wait<0>();
        pin(O);
        if (lane == 0) bar_arrive(&sm.v_free[p]);
#pragma unroll
        for (int j = 0; j < 16; j++) {
            O[4 * j] *= by[0], O[4 * j + 1] *= by[0];
            O[4 * j + 2] *= by[1], O[4 * j + 3] *= by[1];
        }
        to_weights(P, S);
    }
    const int e = (n_tiles - 1) % STAGES;
    bar_wait(&sm.v_full[e], (n_tiles - 1) / STAGES & 1);
    if (n_keys_last < AW_KV) clear_rows(&sm.V[e], n_keys_last, group);
    weighted(O, P, &sm.V[e]);
    wgmma_wait<0>();
    pin(O);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const int t = t0 + row0 + 8 * h;
        const float f = 1.0f / lanes_sum<4>(r.l[h]);
        if (t >= a.T) continue;
        uint16_t *to = a.out + ((int64_t)t * a.H + head) * AW_HD + 2 * (lane & 3);
#pragma unroll
        for (int j = 0; j < 16; j++)
            *(uint32_t *)(to + 8 * j) = pack_bf16(O[4 * j + 2 * h] * f, O[4 * j + 2 * h + 1] * f);
    }
}
#endif

static __global__ void __launch_bounds__(AW_THREADS, 1)
    attn_wgmma_k(const __grid_constant__ wgmma_args a, const __grid_constant__ CUtensorMap q_map,
                 const __grid_constant__ CUtensorMap kv_map) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(1024) char raw_smem[];
    attn_smem &sm = *(attn_smem *)raw_smem;
    const int tile = (int)(gridDim.x - 1 - blockIdx.x), head = (int)blockIdx.y;
    const int t0 = tile * AW_Q, n_q = a.T - t0 < AW_Q ? a.T - t0 : AW_Q;
    const int64_t n = a.step->n_cached + t0 + n_q; /* keys of the last query */
    const int n_tiles = (int)((n + AW_KV - 1) / AW_KV);
    if (a.step->done) return;
    if (threadIdx.x == 0) {
        bar_init(&sm.q_full, 1);
        for (int i = 0; i < STAGES; i++) {
            bar_init(&sm.k_full[i], 1);
            bar_init(&sm.v_full[i], 1);
            bar_init(&sm.k_free[i], 8); /* warps that consume */
            bar_init(&sm.v_free[i], 8);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x < 128) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
        if (threadIdx.x == 0) produce(a, sm, &q_map, &kv_map, t0, head, n_tiles);
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
        consume(a, sm, (int)threadIdx.x / 128 - 1, t0, head, n_tiles,
                (int)(n - (int64_t)(n_tiles - 1) * AW_KV));
    }
#endif
}

/* ---- host
 * ---------------------------------------------------------------------------------------- */

typedef CUresult (*encode_fn)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                              const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                              const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                              CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/* The driver's function, without linking to the driver: NULL where there is none. */
static encode_fn find_encode(void) {
    void *f = NULL;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
    cudaError_t rc = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &f, 12000,
                                                      cudaEnableDefault, &found);
#else
    cudaError_t rc =
        cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &f, cudaEnableDefault, &found);
#endif
    if (rc != cudaSuccess) cudaGetLastError();
    return rc == cudaSuccess && found == cudaDriverEntryPointSuccess ? (encode_fn)f : NULL;
}

static bool make_map(encode_fn encode, CUtensorMap *out, const void *base, int64_t rows,
                     int64_t cols) {
    cuuint64_t size[] = {(cuuint64_t)cols, (cuuint64_t)rows}, pitch[] = {(cuuint64_t)cols * 2};
    cuuint32_t box[] = {BOX, AW_KV}, step[] = {1, 1};
    return encode(out, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, (void *)base, size, pitch, box, step,
                  CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                  CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

int attn_wgmma_run(kn_dev *dev, const struct kn_attn *a, const void *q, bool *taken, ox_err *err) {
    const int64_t T = a->q.rows,
                  n_pages = (dev->now.n_cached + T + KN_PAGE_TOKENS - 1) / KN_PAGE_TOKENS;
    const int64_t row = AW_HD * 2, last_row = (int64_t)1 << 31;
    *taken = false;
    if (dev->cc_major != 9 || dev->cc_minor != 0 || a->kv != KN_BF16 ||
        a->q.cols != (int64_t)a->n_heads * AW_HD || sizeof(attn_smem) > dev->smem_max)
        return 0;
    encode_fn encode = find_encode();
    if (!encode) return 0;
    wgmma_args p = {};
    p.out = (uint16_t *)a->out.data;
    p.l = kv_layout_of(a);
    p.T = (int32_t)T;
    p.H = a->n_heads;
    p.Hkv = a->n_kv_heads;
    p.scale_log2 = a->scale * 1.4426950408889634f;
    p.step = dev->step;
    const char *low = (const char *)dev->now.pages[0], *high = low;
    for (int64_t i = 0; i < n_pages; i++) {
        const char *page = (const char *)dev->now.pages[i];
        low = page < low ? page : low;
        high = page > high ? page : high;
        if (((uintptr_t)page + a->page_offset) % (size_t)row) return 0;
    }
    low -= (uintptr_t)low % (size_t)row;
    int64_t rows = (high - low + p.l.offset + 2 * p.Hkv * p.l.block) / row + 1;
    CUtensorMap q_map, kv_map;
    if (rows >= last_row || !make_map(encode, &kv_map, low, rows, AW_HD) ||
        !make_map(encode, &q_map, q, T, a->q.cols))
        return 0;
    p.base = low;
    *taken = true;
    struct cu_grid g = {dim3((unsigned)((T + AW_Q - 1) / AW_Q), (unsigned)a->n_heads), AW_THREADS,
                        sizeof(attn_smem), false};
    return cu_launch(dev, "attn_wgmma_k", attn_wgmma_k, g, err, p, q_map, kv_map);
}
