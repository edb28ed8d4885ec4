/* avx2_attn.c - attention in f32 on AVX2 and FMA (simd_attn.h, simd_attn_f32.h).
 *
 * op        q/k norm, RoPE, append, y = softmax(q K' scale) V; reference ref_attn
 * args      as in kn.h; pages f32, bf16 or int8, read back as f32
 * work      T <= 8: a task is a KV head and 1,024 keys; more: a KV head and 64 tokens
 * smem      one block of 64 keys as f32, 2 x 64 x Dh x 4 bytes
 * cost      4 H Dh (N + T/2) T operations; KV read once for all query heads of a KV head
 * limit     T = 1: KV bytes; prefill: FMA issue
 * numerics  f32; blocks of 64 and ranges of 1,024 keys at absolute multiples, in rising order
 * refuses   Dh > 256: the reference form does it
 * measured  docs/PERF.md, CPU */
#include "kernels/cpu/simd_attn_f32.h"

int avx2_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    return run_attn(dev, a, err);
}
