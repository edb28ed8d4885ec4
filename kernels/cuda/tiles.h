/* tiles.h - every tile size of the CUDA kernels, with its reason. Changing one changes the order of
 * sums somewhere: raise CUDA_REVISION in cuda_dev.cu with it. */
#ifndef CUDA_TILES_H
#define CUDA_TILES_H

enum {
    SK_MAX_T = 8, /* token columns of one mma m16n8k16: decode and short verify steps */
    SK_ROWS = 16, /* rows of a tile: the m of that mma */
    SK_K = 64,    /* columns of a unit: one group of a 64-wide quantised weight, a line of bf16 */
    SK_THREADS = 256, /* 8 warps share the columns of a tile; at 128 registers a block of the next
                       * kernel fits beside this one (dependent launch). 512 threads at 64 spill */
    SK_WARPS = SK_THREADS / 32,
    SK_PREFETCH = 96 * 1024, /* bytes a block moves to the L2 before it may start: 12 MB of 50 */
    SK_MAX_NORM = 4 * 4 * SK_THREADS /* widest row that a norm keeps in registers: 4 float4 a
                                      * thread; wider ones are normed by a kernel of their own */
    ,

    GDN_LANES = 8, /* lanes that share one row of the state: 3 shuffles a sum */
    GDN_ROWS = 32, /* rows of Dv in a block: 8 warps of 4 rows; 180 blocks for the 7B */
    GDN_THREADS = GDN_ROWS * GDN_LANES,
    GDN_MAX_DK = 128, /* 16 floats of a state row a lane */
    GDN_SPAN = 512,   /* prefill: tokens prepared at a time; 24 MB of f32 stay in the L2 */
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
