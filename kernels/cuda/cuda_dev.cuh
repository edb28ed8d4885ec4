/* cuda_dev.cuh - what the files of the CUDA backend share on the host side: the open device, a
 * packed weight, launching with every error checked, and the operations that live in their own
 * files.
 * Work queues on one stream. All that differs between two steps lies in struct step_state on
 * the device (tokens, lengths, page table), so that a step recorded as a graph can be replayed.
 * `done` is set when a stop id is drawn: from then on kernels write nothing (docs/KERNELS.md
 * 3.1). */
#ifndef CUDA_DEV_CUH
#define CUDA_DEV_CUH

#include "kernels/cuda/common.cuh"
extern "C" {
#include "kernels/base/ox_mem.h"
#include "kernels/kn.h"
#include "kernels/kn_check.h"
}
#include "kernels/cuda/cuda_fault.h"
#include "kernels/cuda/tiles.h"

enum {
    MAX_STEP_TOKENS = 8192, /* tokens of one call */
    MAX_PAGES = 8192,       /* 2 M tokens */
    MAX_GRAPHS = 32,
    MAX_DRAWS = 8, /* drawn and not yet fetched */
    MAX_TICKETS = 8192,
    MAX_CTAS = 1024 /* blocks of a weight kernel */
};

struct step_state {    /* device memory */
    int64_t n_cached;  /* N */
    int32_t use_drawn; /* the token is `drawn`, not tok[0] */
    int32_t drawn;     /* what sample drew last */
    int32_t done;      /* a stop id was drawn: change nothing */
    int32_t unused;
    int32_t tok[MAX_STEP_TOKENS];
    char *page[MAX_PAGES];
};

/* ---- weights --------------------------------------------------------------------------------
 * bf16 is kept row-major, [rows16][kpad]: the skinny kernel, cuBLASLt and the gather read the same
 * bytes. int8 and int4 lie in units of 16 rows x 64 columns in the order in which the lanes of a
 * warp read them (linear_skinny.cu). kpad: columns rounded up to 64, zeros. Parts start at tiles of
 * 16 rows; two parts of one shape (gate|up) share tiles, 8 rows each, so that silu(gate) * up is an
 * epilogue. Parts of another type than part 0 become bf16 and lie in `extra`. */
enum wt_format { WT_BF16, WT_I8, WT_I4 };
struct wt_part {
    int64_t rows;
    int32_t tile0, n_tiles; /* of its block (main or extra) */
    bool in_extra;
};
struct wt_block {
    char *data;
    float *row_scale; /* [n_tiles*16] f32, tile order; NULL: none */
    int32_t n_tiles;
    enum wt_format format;
    int32_t scales; /* of a unit and row: 0 (scale by row), 1, or 2 (groups of 32) */
};
struct kn_weight {
    int32_t n_parts, units; /* units of 64 columns in a row */
    int64_t cols, kpad;
    bool is_pair;                   /* gate|up: tiles of 8 + 8 rows */
    struct kn_part shape[KN_PARTS]; /* rows and cols, for kn_check */
    struct wt_part part[KN_PARTS];
    struct wt_block main, extra;
    size_t n_bytes;
};
size_t wt_unit_bytes(enum wt_format format, int scales);

/* ---- device --------------------------------------------------------------------------------- */
struct graph {
    uint64_t key;
    int32_t n_tok;
    cudaGraphExec_t exec;
};
struct gemm;  /* linear_gemm.cu: cuBLASLt, opened at run time; NULL when it is missing */
struct stage; /* pack.cu: pinned ring for uploads */

struct kn_dev {
    int id, n_sm, cc_major, cc_minor;
    size_t smem_max, total_bytes;
    char name[64], lib_note[160];
    bool use_pdl, in_step, is_capturing;
    const struct kn_host *host;
    cudaStream_t stream, side;
    cudaEvent_t fork, ticket_event[MAX_DRAWS];
    uint64_t n_tickets;
    struct step_state *step; /* device */
    unsigned *tickets;       /* device, MAX_TICKETS zeros */
    float *fix;              /* device: partial sums between neighbouring blocks */
    unsigned *fix_flag;
    char *small; /* device scratch of decode steps, never moves */
    size_t small_bytes;
    char *work; /* device scratch of prefill, grows */
    size_t work_bytes;
    struct kn_step now; /* the step in progress; its pointers are the caller's */
    char *page_shadow[MAX_PAGES];
    struct graph graph[MAX_GRAPHS];
    int n_graphs;
    uint64_t capture_key;
    volatile uint64_t *result; /* pinned: sequence, stop flag and id of each draw */
    int32_t *seen;             /* pinned, MAX_DRAWS lists */
    size_t seen_cap;
    int32_t *seen_dev;
    uint64_t n_drawn, n_fetched;
    struct gemm *gemm;
    struct stage *stage;
    ox_err lost; /* code != 0: the device failed; all later calls say so */
};

/* Names what failed: OX_ENOMEM or OX_EDEVICE. 0 for cudaSuccess. */
int cu_check(kn_dev *dev, cudaError_t rc, const char *what, ox_err *err);
int cu_alloc(kn_dev *dev, size_t bytes, const char *purpose, void **out, ox_err *err);
/* Prefill scratch of at least `bytes`; earlier contents are gone. Not inside a recording. */
int cu_work(kn_dev *dev, size_t bytes, char **out, ox_err *err);
bool cu_launch_fails(void); /* the fault hook */

struct cu_grid {
    dim3 grid;
    int threads;
    size_t smem;
    bool pdl;
};

/* Launches kernel(args...) on the device's stream; pdl: it starts beside the kernel before it. */
template <typename... P, typename... A>
int cu_launch(kn_dev *dev, const char *name, void (*kernel)(P...), struct cu_grid g, ox_err *err,
              A... args) {
    if (dev->lost.code) {
        if (err) *err = dev->lost;
        return dev->lost.code;
    }
    if (cu_launch_fails()) return cu_check(dev, cudaErrorLaunchFailure, name, err);
    cudaError_t rc = cudaSuccess;
    if (g.smem > 48 * 1024)
        rc = cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  (int)g.smem);
    cudaLaunchAttribute attr = {};
    attr.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attr.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t cfg = {};
    cfg.gridDim = g.grid;
    cfg.blockDim = dim3((unsigned)g.threads);
    cfg.dynamicSmemBytes = g.smem;
    cfg.stream = dev->stream;
    cfg.attrs = &attr;
    cfg.numAttrs = g.pdl && dev->use_pdl ? 1 : 0;
    if (rc == cudaSuccess) rc = cudaLaunchKernelEx(&cfg, kernel, P(args)...);
    return cu_check(dev, rc, name, err);
}

/* ---- operations, one file each; shapes are checked ------------------------------------------- */
int pack_weight(kn_dev *dev, const struct kn_part *part, int n, kn_weight **out, ox_err *err);
void pack_drop(kn_weight *w);
void pack_stage_free(kn_dev *dev);
int embed_run(kn_dev *dev, kn_in out, const kn_weight *table, ox_err *err);
int swiglu_run(kn_dev *dev, const void *gate_up, int64_t T, int64_t F, int64_t up_at, int64_t ld,
               const kn_tensor *out, ox_err *err);
/* out [T,n] = columns [at, at + n) of wide [T][ld], f32. */
int take_columns_run(kn_dev *dev, const float *wide, int64_t ld, int64_t at, const kn_tensor *out,
                     ox_err *err);
/* x^ bf16 [T][kpad] of a linear's prologue, for many rows; changes x where add asks for it. */
int prologue_run(kn_dev *dev, const struct kn_linear *l, int64_t kpad, uint16_t *xhat, ox_err *err);
int skinny_run(kn_dev *dev, const struct kn_linear *l, ox_err *err);
/* The same for more than SK_MAX_T rows, a few columns at a time: without cuBLASLt. xhat is ready.
 */
int skinny_many(kn_dev *dev, const struct kn_linear *l, ox_err *err);
int gemm_open(kn_dev *dev, ox_err *err);
void gemm_close(kn_dev *dev);
uint64_t gemm_numerics(const kn_dev *dev);
int gemm_run(kn_dev *dev, const struct kn_linear *l, ox_err *err);
int dequant_run(kn_dev *dev, const struct wt_block *b, const kn_weight *w, int tile0, int n_tiles,
                uint16_t *out, ox_err *err);
/* conv.cu: T tokens from raw projections to f32 q, k (normed), v, decay and beta. */
struct gdn_ready {
    float *q, *k, *v, *decay, *beta;
};
int conv_run(kn_dev *dev, const struct kn_gdn *g, int64_t from, int64_t n, struct gdn_ready out,
             ox_err *err);
int conv_shift(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
int gdn_step_run(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
/* Prefill in chunks where the shape allows, else token by token. */
int gdn_prefill_run(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
int gdn_scan_run(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
/* Normed and rotated queries, f32 or bf16, and K, V rows into the pages. */
int attn_append(kn_dev *dev, const struct kn_attn *a, void *q_out, bool q_f32, ox_err *err);
int attn_decode_run(kn_dev *dev, const struct kn_attn *a, ox_err *err);
int attn_prefill_run(kn_dev *dev, const struct kn_attn *a, ox_err *err);
/* On Hopper, bf16 heads of 128; q: normed. *taken false: nothing was done. */
int attn_wgmma_run(kn_dev *dev, const struct kn_attn *a, const void *q, bool *taken, ox_err *err);
int step_begin(kn_dev *dev, const struct kn_step *s, bool *replayed, ox_err *err);
int step_end(kn_dev *dev, ox_err *err);
int step_drawn(kn_dev *dev, int32_t *tok, ox_err *err);
void step_drop_capture(kn_dev *dev);
void step_drop_graphs(kn_dev *dev);
int sample_run(kn_dev *dev, kn_in logits, const struct kn_sample *how, ox_err *err);

#endif
