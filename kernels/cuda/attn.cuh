/* attn.cuh - rows of KV pages as the attention kernels read and write them (docs/STORE.md
 * section 5).
 * A page holds, from page_offset on, for each KV head a block of K and one of V: [256][Dh] in
 * the stored type, int8 followed by [256][ceil(Dh/64)] bf16 scales. */
#ifndef CUDA_ATTN_CUH
#define CUDA_ATTN_CUH

#include "kernels/cuda/cuda_dev.cuh"

enum { KV_GROUP = 64 };

struct kv_layout {
    int64_t offset, block; /* bytes: of the layer in a page, of one K or V block */
    int32_t Dh, kv, n_groups;
};

static inline struct kv_layout kv_layout_of(const struct kn_attn *a) {
    int64_t Dh = a->q.cols / a->n_heads;
    struct kv_layout l = {(int64_t)a->page_offset, (int64_t)kn_kv_block_bytes(a->kv, Dh),
                          (int32_t)Dh, (int32_t)a->kv, (int32_t)((Dh + KV_GROUP - 1) / KV_GROUP)};
    return l;
}

/* Block `which` (0 K, 1 V, behind it) of a head in the page of position pos. */
DEV char *kv_block(const struct step_state *step, const kv_layout &l, int64_t pos, int head,
                   int which) {
    char *page = step->page[pos / KN_PAGE_TOKENS];
    __builtin_assume(__isGlobal(page)); /* or each access through it is a generic one */
    return page + l.offset + (2 * head + which) * l.block;
}

/* Eight channels of a row as they lie in memory, loaded early and converted late. load_any takes
 * rows that are not 16-byte aligned (Dh not in eights) and gives zeros behind Dh. */
template <int KV> struct kv8;
template <> struct kv8<KN_BF16> {
    uint4 w;
    __device__ void load(const char *block, const kv_layout &l, int row, int c) {
        w = *(const uint4 *)(block + (row * l.Dh + c) * 2);
    }
    __device__ void load_any(const char *block, const kv_layout &l, int row, int c) {
        const uint16_t *p = (const uint16_t *)block + (int64_t)row * l.Dh + c;
        uint32_t h[8];
#pragma unroll
        for (int i = 0; i < 8; i++)
            h[i] = c + i < l.Dh ? p[i] : 0u;
        w = make_uint4(h[0] | h[1] << 16, h[2] | h[3] << 16, h[4] | h[5] << 16, h[6] | h[7] << 16);
    }
    __device__ void get(float *f) const {
        f[0] = bf16_lo(w.x), f[1] = bf16_hi(w.x), f[2] = bf16_lo(w.y), f[3] = bf16_hi(w.y);
        f[4] = bf16_lo(w.z), f[5] = bf16_hi(w.z), f[6] = bf16_lo(w.w), f[7] = bf16_hi(w.w);
    }
};
template <> struct kv8<KN_F32> {
    float4 a, b;
    __device__ void load(const char *block, const kv_layout &l, int row, int c) {
        const float4 *p = (const float4 *)(block + (row * l.Dh + c) * 4);
        a = p[0];
        b = p[1];
    }
    __device__ void load_any(const char *block, const kv_layout &l, int row, int c) {
        const float *p = (const float *)block + (int64_t)row * l.Dh + c;
        float f[8];
#pragma unroll
        for (int i = 0; i < 8; i++)
            f[i] = c + i < l.Dh ? p[i] : 0.0f;
        a = make_float4(f[0], f[1], f[2], f[3]);
        b = make_float4(f[4], f[5], f[6], f[7]);
    }
    __device__ void get(float *f) const {
        f[0] = a.x, f[1] = a.y, f[2] = a.z, f[3] = a.w, f[4] = b.x, f[5] = b.y, f[6] = b.z,
        f[7] = b.w;
    }
};
template <> struct kv8<KN_I8> {
    uint2 w;
    uint16_t s;
    DEV uint16_t scale_of(const char *block, const kv_layout &l, int row, int c) {
        return ((const uint16_t *)(block + (int64_t)KN_PAGE_TOKENS *
                                               l.Dh))[row * l.n_groups + c / KV_GROUP];
    }
    __device__ void load(const char *block, const kv_layout &l, int row, int c) {
        w = *(const uint2 *)(block + row * l.Dh + c);
        s = scale_of(block, l, row, c);
    }
    __device__ void load_any(const char *block, const kv_layout &l, int row, int c) {
        const uint8_t *p = (const uint8_t *)block + (int64_t)row * l.Dh + c;
        uint32_t h[8];
#pragma unroll
        for (int i = 0; i < 8; i++)
            h[i] = c + i < l.Dh ? p[i] : 0u;
        w = make_uint2(h[0] | h[1] << 8 | h[2] << 16 | h[3] << 24,
                       h[4] | h[5] << 8 | h[6] << 16 | h[7] << 24);
        s = scale_of(block, l, row, c);
    }
    /* scale * value, without the slow conversion: the byte plus 128, placed in the middle of the
     * float 2^15, gives 2^15 + 128 + value. Times a scale of 8 bits nothing is rounded; scales over
     * 2^112 would overflow. */
    __device__ void get(float *f) const {
        const float scale = from_bf16(s), base = -32896.0f * scale;
        const uint32_t x = w.x ^ 0x80808080u, y = w.y ^ 0x80808080u;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const unsigned pick = 0x7404u | (unsigned)i << 4;
            f[i] = fmaf(__uint_as_float(__byte_perm(x, 0x47000000u, pick)), scale, base);
            f[4 + i] = fmaf(__uint_as_float(__byte_perm(y, 0x47000000u, pick)), scale, base);
        }
    }
};

#endif
