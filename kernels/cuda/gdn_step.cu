/* gdn_step.cu - decode: short convolution, SiLU, L2 norms, gates and the delta rule in one
 * kernel.
 *
 * op       per head: S = exp(g) S; e = beta (v - S'k); S += k e'; y = S'q; reference ref_gdn
 * args     q,k,v [T,..] bf16 in, raw · a,b [T,Hv] f32 in · taps [channels,W] f32 · conv
 *          [W-1,channels] bf16 inout · state [Hv*Dv,Dk] f32 inout · out [T,Hv*Dv] bf16 · T =
 *          1..8
 * work     one block a head and 32 rows of Dv; 8 lanes a row, its floats stay in registers
 * smem     q, k and v of two tokens as f32, 8 (2 Dk + 32) bytes
 * cost     7 Hv Dk Dv FLOP a token; state read and written once: 8 Hv Dk Dv bytes = 4.42 MB
 *          (7B)
 * limit    memory: 1.5 us at 3.0 TB/s, latency about 3 us
 * numerics f32 throughout, __expf in SiLU; sums over 8 lanes in butterfly order; tokens in
 *          order, so that T does not matter; conv state keeps the raw bf16 projections
 * refuses  Dk over 128, more than 8 taps
 * measured docs/PERF.md
 * State, taps and the convolution's inputs are read before the wait for the kernel before. The
 * work of a block is in gdn_step.cuh. */
#include "kernels/cuda/gdn_step.cuh"

template <int NV, int TAPS>
static __global__ void __launch_bounds__(GDN_THREADS, 3)
    gdn_step_k(const __grid_constant__ step_args a) {
    typedef gdn_step_block<NV, TAPS> block;
    __shared__ __align__(16) float smem[block::SMEM_FLOATS];
    const group g = {(int)threadIdx.x, 0};
    block b;
    pdl_next();
    b.load(a, g, (int)blockIdx.x, (int)blockIdx.y);
    pdl_wait();
    b.run(a, g, smem, a.step->done != 0);
}

template <int TAPS> static void (*pick_step(int Dk))(const step_args) {
    return Dk <= 32   ? gdn_step_k<1, TAPS>
           : Dk <= 64 ? gdn_step_k<2, TAPS>
           : Dk <= 96 ? gdn_step_k<3, TAPS>
                      : gdn_step_k<4, TAPS>;
}

step_args gdn_step_args_of(kn_dev *dev, const struct kn_gdn *g) {
    step_args a = {};
    (gdn_args &)a = gdn_args_of(g);
    a.step = dev->step;
    a.ticket = dev->tickets + 64;
    return a;
}

int gdn_step_run(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    step_args a = gdn_step_args_of(dev, g);
    struct cu_grid grid = {dim3((unsigned)gdn_step_slices(a.Dv), (unsigned)a.Hv), GDN_THREADS, 0,
                           true};
    void (*k)(const step_args) = a.W <= 4 ? pick_step<4>(a.Dk) : pick_step<MAX_TAPS>(a.Dk);
    return cu_launch(dev, "gdn_step_k", k, grid, err, a);
}
