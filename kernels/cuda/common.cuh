/* common.cuh - device helpers shared by the kernels: conversions, reductions in a fixed order,
 * wide loads, and the two instructions of dependent launch. */
#ifndef CUDA_COMMON_CUH
#define CUDA_COMMON_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

#define DEV static __device__ __forceinline__

/* Dependent launch (sm_90). The contract of every kernel here: before pdl_wait() it touches nothing
 * but weights, constants and what the step before left (a step begins with a kernel that waits for
 * all work). pdl_next() lets the blocks of the next kernel in as soon as there is room, whether it
 * stands before or after the wait; before it, in kernels that leave most of the device idle.
 * docs/KERNELS.md 3.1. */
DEV void pdl_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
DEV void pdl_next() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

DEV float bf16_lo(uint32_t w) {
    return __uint_as_float(w << 16);
}
DEV float bf16_hi(uint32_t w) {
    return __uint_as_float(w & 0xffff0000u);
}
DEV float from_bf16(uint16_t b) {
    return __uint_as_float((uint32_t)b << 16);
}
DEV uint16_t to_bf16(float f) {
    return __bfloat16_as_ushort(__float2bfloat16_rn(f));
}
DEV uint32_t pack_bf16(float lo, float hi) {
    return (uint32_t)to_bf16(lo) | (uint32_t)to_bf16(hi) << 16;
}

/* Element i of a row that is f32 or bf16. */
DEV float load_act(const void *p, bool is_f32, int64_t i) {
    return is_f32 ? ((const float *)p)[i] : from_bf16(((const uint16_t *)p)[i]);
}
DEV void store_act(void *p, bool is_f32, int64_t i, float v) {
    if (is_f32)
        ((float *)p)[i] = v;
    else
        ((uint16_t *)p)[i] = to_bf16(v);
}
/* Four of them; i is a multiple of 4. */
DEV float4 load_act4(const void *p, bool is_f32, int64_t i) {
    if (is_f32) return *(const float4 *)((const float *)p + i);
    uint2 w = *(const uint2 *)((const uint16_t *)p + i);
    return make_float4(bf16_lo(w.x), bf16_hi(w.x), bf16_lo(w.y), bf16_hi(w.y));
}

/* Weights pass once: past the L1, first to leave the L2. */
DEV uint4 load_stream(const void *p) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}

DEV void prefetch_l2(const void *p) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
}

DEV float silu(float z) {
    return __fdividef(z, 1.0f + __expf(-z));
}
DEV float sum4(float4 v) {
    return (v.x + v.y) + (v.z + v.w);
}
DEV float dot4(float4 a, float4 b) {
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, a.x * b.x)));
}

/* Butterfly: every lane has the same sum, in the same order. */
template <int N = 32> DEV float lanes_sum(float v) {
#pragma unroll
    for (int i = N / 2; i > 0; i /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, i);
    return v;
}
template <int N = 32> DEV float lanes_max(float v) {
#pragma unroll
    for (int i = N / 2; i > 0; i /= 2)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, i));
    return v;
}
/* Sum over the block in the order of its warps, for every thread. red: a float for each warp; it is
 * free again after the next barrier. */
DEV float block_sum(float v, float *red) {
    int warp = threadIdx.x >> 5, n = blockDim.x >> 5;
    v = lanes_sum(v);
    if ((threadIdx.x & 31) == 0) red[warp] = v;
    __syncthreads();
    float s = 0.0f;
    for (int i = 0; i < n; i++)
        s += red[i];
    return s;
}

/* 256 threads that work as a block of their own, also inside a larger one. Plain kernels are one
 * group: {threadIdx.x, 0}. Functions that take a group have no static shared memory; what they are
 * given is free again after the group's next barrier. */
enum { GROUP_THREADS = 256 };
struct group {
    int tid, bar; /* 0..255 · its named barrier */
};
DEV void group_sync(group g) {
    asm volatile("bar.sync %0, 256;" ::"r"(g.bar) : "memory");
}
/* block_sum of a group: the same order of sums. red: 8 floats. */
DEV float group_sum(float v, float *red, group g) {
    v = lanes_sum(v);
    if ((g.tid & 31) == 0) red[g.tid >> 5] = v;
    group_sync(g);
    float s = 0.0f;
    for (int i = 0; i < GROUP_THREADS / 32; i++)
        s += red[i];
    return s;
}

/* D += A B, bf16 in, f32 sums: a 16x16 row-major, b 16x8. */
DEV void mma_bf16(float *c, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                  uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
        "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

DEV uint32_t smem_addr(const void *p) {
    return (uint32_t)__cvta_generic_to_shared(p);
}
DEV void ldmatrix4(uint32_t *r, const void *p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(smem_addr(p)));
}
DEV void ldmatrix4_trans(uint32_t *r, const void *p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(smem_addr(p)));
}
DEV void cp_async16(void *dst, const void *src, bool on) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_addr(dst)), "l"(src),
                 "r"(on ? 16 : 0));
}
DEV void cp_async_commit() {
    asm volatile("cp.async.commit_group;");
}
template <int N> DEV void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N));
}

#endif
