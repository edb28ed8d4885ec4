/* tiles.h - every tile size of the CUDA kernels, with its reason. Changing one changes the order of
 * sums somewhere: raise CUDA_REVISION in cuda_dev.cu with it. */
#ifndef CUDA_TILES_H
#define CUDA_TILES_H

enum {
    SK_MAX_T = 8, /* token columns of one mma m16n8k16: decode and short verify steps */
    SK_ROWS = 16, /* rows of a tile: the m of that mma */
    SK_K = 64,    /* columns of a unit: one group of a 64-wide quantised weight, a line of bf16 */
    SK_THREADS = 256, /* 8 warps of 128 registers: two blocks an SM */
    SK_WARPS = 7,     /* of them stream weights, the last does the epilogues */
    SK_RING = 3, /* batches of 2 KB in flight a warp, in registers: 84 KB an SM. One block an SM
                  * (42 KB) reads at 2.3 TB/s, two at 2.7, H100. See PERF.md for what was slower */
    SK_PREFETCH = 64 * 1024, /* bytes a block moves to the L2 before it may start */
    SK_WHOLE_TILES = 3,      /* fewer tiles a block than this are not cut */
    SK_TILES = 4,            /* finished tiles under way to the epilogue */
    SK_NORM_VECS = 4,        /* float4 of a row that a thread keeps for a norm; */
    SK_MAX_NORM =
        4 * SK_NORM_VECS * SK_THREADS, /* wider rows are normed by a kernel of their own */

    GDN_LANES = 8, /* lanes that share one row of the state: 3 shuffles a sum */
    GDN_ROWS = 32, /* rows of Dv in a block: 8 warps of 4 rows; 180 blocks for the 7B */
    GDN_THREADS = GDN_ROWS * GDN_LANES,
    GDN_MAX_DK = 128, /* 16 floats of a state row a lane */
    GDN_SPAN = 512,   /* prefill: tokens prepared at a time; 24 MB of f32 stay in the L2 */
    GC_TOKENS = 64,   /* a chunk: 4 x 16 rows; twice as many cost 44 % more and are no closer */
    GC_SPAN = 32,     /* chunks prepared at a time: 62 MB of scratch for the 7B */
    GC_DV = 64,       /* columns of v of a scan block: 4 warps of 16, 90 blocks for the 7B */
    CONV_TOKENS = 16, /* tokens of one convolution block: taps stay in registers */
    MAX_TAPS = 8,

    AD_THREADS = 256, /* split attention: two blocks an SM, 64 KB of loads in flight */
    AD_TOKENS = 4, /* tokens of a lane group at a time: 8 loads of 16 bytes before the first use */
    AD_MAX_DH = 128,
    AP_Q = 128, /* prefill attention: 8 warps of 16 query rows */
    AP_KV = 64, /* keys of a tile, at absolute multiples: a row's sums do not depend on T */
    AP_THREADS = 256,

    SAMPLE_BLOCKS = 64,
    SAMPLE_THREADS = 1024,
    SAMPLE_CANDIDATES = 8192 /* 64 KB of shared memory */
};

#endif
