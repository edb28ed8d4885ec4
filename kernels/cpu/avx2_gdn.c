/* avx2_gdn.c - convolution, gates and gated delta rule in 8 lanes of AVX2 (simd_gdn.h).
 *
 * op        z = silu(conv(q|k|v)), l2 norms, S = exp(g) S, e = beta (v - S'k), S += k e', y = S'q
 * args      as in kn.h; state [Hv*Dv,Dk] f32 inout, Dk contiguous
 * work      few tokens: a task is a head and 32 of Dv; many: all inputs, then a head and 8 of Dv
 * smem      many tokens: the slice of the state, Dk x 8 floats, stays in L1
 * cost      7 Hv Dk Dv operations a token; state read and written once a call
 * limit     many tokens: FMA issue; one token: the state from L2 and L3
 * numerics  f32 state and sums, one tree for both shapes: any cut of the tokens gives the same bits
 * refuses   other than 4 taps, Dk > 256: the reference form does them
 * measured  docs/PERF.md, CPU */
#include "kernels/cpu/simd_gdn.h"

int avx2_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    return run_gdn(dev, g, err);
}
