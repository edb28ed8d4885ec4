/* kn.h - the compute boundary: tensors, operations, and the table a backend fills in.
 *
 * Everything that computes stands behind struct kn_backend; the engine calls the same operations in
 * the same order on every one. Arithmetic and roundings: docs/MODEL.md section 3. Row-major; in
 * [a,b] b is contiguous. Letters (docs/STYLE.md section 2): T tokens in this call, N tokens cached
 * before it, D model width, O outputs, V vocabulary, H/Hkv query and key/value heads, Dh head size,
 * Hk/Hv/Dk/Dv heads and sizes of the delta rule, W convolution taps.
 *
 * Types of the values between operations: the residual stream, logits, gates (a, b), delta states,
 * norm weights, taps, a_log and dt_bias are always f32. Activations and the convolution state have
 * kn_facts.act. Weights have the type of their file and are packed by the backend.
 *
 * Threads: a device is used by one thread at a time. Operations queue in order and may return
 * before the work is done; only `drawn`, `wait`, `sync` and host-side `copy` wait for results. A
 * failure is OX_EDEVICE (kernel, device lost), OX_ENOMEM, OX_ECANCELLED, or OX_EUSAGE for shapes
 * that kn_check refuses: a bug in the caller.
 *
 * Determinism (docs/KERNELS.md section 5): a row's result depends on the row's own data, its
 * absolute position, the backend and the build; never on T, on where the call began, on the number
 * of threads or on timing. */
#ifndef KN_H
#define KN_H

#include "kernels/base/ox_err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kn_dtype { KN_NONE, KN_F32, KN_F16, KN_BF16, KN_I8, KN_I4, KN_I32 };

/* Borrowed view of backend memory, [rows,cols], cols contiguous, rows `cols` elements apart.
 * data NULL means "not there" where an operation says that a tensor is optional. */
typedef struct kn_tensor {
    void *data;
    int64_t rows, cols;
    enum kn_dtype dtype;
} kn_tensor;
typedef const kn_tensor *kn_in;

enum { KN_PARTS = 6 };         /* most matrices in one weight: q|k|v|gate|a|b */
enum { KN_PAGE_TOKENS = 256 }; /* tokens of a KV page, docs/STORE.md section 5 */

/* One matrix [rows,cols] as its file has it, in host memory. KN_I8 and KN_I4 are compressed-tensors
 * pack-quantized (docs/MODEL.md section 8): data is u32 words [rows, ceil(cols*bits/32)], element i
 * of a row in bits [i*bits, (i+1)*bits) of the row's bit stream, offset binary; scale is
 * [rows, cols/group], or [rows,1] when group is 0; zero (or NULL) is packed along rows, u32
 * [ceil(rows*bits/32), cols/group], stored + 2^(bits-1): w = (q - zero) * scale. Pointers may be
 * unaligned (safetensors promises nothing): read through memcpy. They stay valid until the weight
 * is dropped, so that a backend may use rows in place. */
struct kn_part {
    const void *data, *scale, *zero;
    int64_t rows, cols, group;
    enum kn_dtype dtype, scale_dtype;
};
typedef struct kn_weight kn_weight; /* packed by a backend in its own layout; parts in order */

enum kn_epi {
    KN_EPI_STORE, /* out[i]  = x W_i' */
    KN_EPI_ADD,   /* out[0] += x W_0', out[0] f32: the residual stream */
    KN_EPI_SWIGLU /* out[0]  = silu(x W_0') * (x W_1'); two parts of one shape */
};

/* out[i] = epi(pro(x) W_i'). Prologue, each step only if its tensor is there, in this order:
 *   1. x += rms(add; add_norm): f32 sums, x is f32 and keeps the result (post-norm layers);
 *   2. x^ = rms(x; norm): over norm.cols elements, so per head where norm is narrower than x;
 *   3. x^ *= silu(gate): elementwise, after the norm (gated norm of the delta rule).
 * rms(z; w) = w * z * rsqrt(mean(z^2) + eps), f32 inside. x itself is changed by step 1 only. */
struct kn_linear {
    const kn_weight *w;      /* parts [O_i,D] */
    kn_tensor x;             /* [T,D] f32 (residual) or act; inout with add, else in */
    kn_tensor out[KN_PARTS]; /* [T,O_i] act, or f32 where the caller says f32 (a, b, logits) */
    kn_tensor add, add_norm; /* [T,D] act in, optional; [1,D] f32 in */
    kn_tensor norm, gate;    /* [1,D] or [1,Dv] f32 in, optional; [T,D] act in, optional */
    float add_eps, norm_eps; /* of steps 1 and 2 */
    enum kn_epi epi;
};

/* Short convolution, SiLU, L2 norms, gates and the gated delta rule for T tokens of one layer, from
 * raw projections to the read-out y (not yet normed or gated). arXiv 2412.06464; docs/MODEL.md 3.2.
 * T = 1 is decode, more is prefill; both forms give the same function. */
struct kn_gdn {
    kn_tensor q, k, v; /* [T,Hk*Dk] [T,Hk*Dk] [T,Hv*Dv] act in, raw projections */
    kn_tensor a, b;    /* [T,Hv] f32 in, raw */
    kn_tensor taps;    /* [2*Hk*Dk + Hv*Dv, W] f32 in, rows q|k|v; tap W-1 is the current token's */
    kn_tensor a_log, dt_bias; /* [1,Hv] f32 in */
    kn_tensor conv;           /* [W-1, 2*Hk*Dk + Hv*Dv] act inout, oldest first */
    kn_tensor state;          /* [Hv*Dv, Dk] f32 inout: S transposed, Dk contiguous */
    kn_tensor out;            /* [T,Hv*Dv] act out */
    int32_t n_k_heads, n_v_heads;
    float l2_eps, beta_max; /* 1e-6; 2: negative eigenvalues allowed, else 1 */
};

/* q/k norm over the whole projection, RoPE if asked, append K and V to the step's pages in the
 * stored type, causal attention over all N+T tokens read back in that type. docs/MODEL.md 3.1.
 * A page holds, from page_offset on, for each KV head [256][Dh] of K then [256][Dh] of V; int8 adds
 * [256][ceil(Dh/64)] bf16 scales behind each block (docs/STORE.md section 5). */
struct kn_attn {
    kn_tensor q, k, v;        /* [T,H*Dh] [T,Hkv*Dh] [T,Hkv*Dh] act in */
    kn_tensor q_norm, k_norm; /* [1,H*Dh] [1,Hkv*Dh] f32 in */
    kn_tensor out;            /* [T,H*Dh] act out */
    size_t page_offset;       /* bytes of this layer within a page */
    int32_t n_heads, n_kv_heads;
    enum kn_dtype kv;             /* KN_F32, KN_BF16 or KN_I8 */
    float eps, scale, rope_theta; /* rope_theta 0: no rotary embedding */
};

/* All that differs between two steps of one form. Borrowed until `end` returns. */
struct kn_step {
    const int32_t *tok; /* [T] host; NULL: the one token that `sample` drew last, on the device */
    void *const *pages; /* [ceil((N+T)/256)] backend memory, in order */
    int64_t n_cached;   /* N */
    int32_t n_tok;      /* T */
    uint64_t key; /* names the operations that follow: equal key and T mean the same operations
                   * on the same buffers, so a recording may be replayed. 0: do not record */
};

/* Draws one id from logits [1,V] f32. Order: mask ids >= n_vocab, repetition penalty, temperature,
 * top-k, top-p, min-p, draw (docs/MODEL.md 7.3). Defined by cpu/ref_sample.c: the random number is
 * a function of (seed, position) alone. temperature 0: argmax, lowest id of equals. */
struct kn_sample {
    float temperature, top_p, min_p, repeat; /* off: top_p 1, min_p 0, repeat 1 */
    int32_t top_k, n_vocab;                  /* top_k 0: off */
    const int32_t *seen;
    int32_t n_seen; /* ids under the penalty, host; each counts once */
    const int32_t *stop;
    int32_t n_stop; /* ids that end the answer: steps queued behind the
                     * draw of one do nothing, see `drawn` */
    uint64_t seed;
    int64_t position; /* of the token being drawn: N+T of the step before */
};

/* What the engine must know of an open device before it plans memory and steps. */
struct kn_facts {
    char space[48];       /* "cpu-ref", "cpu-avx512bf16", "cuda-sm90": states of one space only */
    char device[96];      /* for people: "AMD EPYC, 2 threads", "NVIDIA H100 80GB HBM3" */
    enum kn_dtype act;    /* type of activations and convolution states: KN_F32 or KN_BF16 */
    int32_t chunk_tokens; /* prefill chunks end at absolute multiples of it; multiple of 256 */
    int32_t n_threads;    /* cpu */
    uint64_t numerics;    /* differs whenever a result may differ in one bit */
    size_t free_bytes, total_bytes; /* memory for weights, states and pages; 0: not known */
    bool ahead;                     /* asynchronous: queue step k+1 before fetching token k */
};

struct kn_host { /* threads lent by the engine; outlives the device */
    void *user;
    int n_threads;
    /* Runs task(arg, i) for each i < n, in any order on any thread, and returns when all are done.
     */
    void (*parallel)(void *user, int n, void (*task)(void *arg, int i), void *arg);
};
struct kn_open {
    const struct kn_host *host; /* borrowed for the life of the device */
    const char *which;          /* device number or vector level; NULL: the best */
    bool f32_act;               /* exact activations: no quantised or narrow shortcut */
};

enum kn_mem { KN_DEVICE, KN_PINNED };
typedef struct kn_dev kn_dev;

struct kn_backend {
    const char *name; /* "cpu", "cuda" */
    int (*open)(const struct kn_open *how, kn_dev **out, ox_err *err);
    void (*close)(kn_dev *dev); /* NULL is fine; frees nothing that alloc or pack gave */
    int (*facts)(kn_dev *dev, struct kn_facts *out, ox_err *err);

    /* Memory: 64-byte aligned (256 on a GPU), zeroed. KN_PINNED is host memory for fast copies. */
    int (*alloc)(kn_dev *dev, enum kn_mem where, size_t bytes, void **out, ox_err *err);
    void (*release)(kn_dev *dev, void *mem);
    /* n parts of equal cols, rows stacked for kn_linear.out; one part for embed. Also the table of
     * embed and the output matrix at once (tied). */
    int (*pack)(kn_dev *dev, const struct kn_part *part, int n, kn_weight **out, ox_err *err);
    void (*drop)(kn_dev *dev, kn_weight *w);    /* NULL is fine */
    size_t (*weight_bytes)(const kn_weight *w); /* resident bytes, in place rows excluded */

    int (*copy)(kn_dev *dev, void *dst, const void *src, size_t bytes, ox_err *err); /* any way;
                                                            done on return; after queued work */
    int (*drain)(kn_dev *dev, void *pinned, const void *src, size_t bytes, uint64_t *ticket,
                 ox_err *err); /* copy out behind what is queued, beside what comes later */
    int (*wait)(kn_dev *dev, uint64_t ticket, ox_err *err);
    int (*sync)(kn_dev *dev, ox_err *err);

    /* begin .. end enclose one pass over the layers. replayed true: the recording of the same key
     * and T was queued with the new step's values; issue no operation, call no end. */
    int (*begin)(kn_dev *dev, const struct kn_step *s, bool *replayed, ox_err *err);
    int (*end)(kn_dev *dev, ox_err *err);
    int (*embed)(kn_dev *dev, kn_in out, const kn_weight *table, ox_err *err); /* [T,D] f32 out */
    int (*linear)(kn_dev *dev, const struct kn_linear *l, ox_err *err);
    int (*gdn)(kn_dev *dev, const struct kn_gdn *g, ox_err *err);
    int (*attn)(kn_dev *dev, const struct kn_attn *a, ox_err *err);

    /* Outside begin .. end. drawn gives the oldest id not yet fetched. After a stop id was drawn,
     * work queued behind it changed nothing, and further draws queued before are void. */
    int (*sample)(kn_dev *dev, kn_in logits, const struct kn_sample *how, ox_err *err);
    int (*drawn)(kn_dev *dev, int32_t *tok, ox_err *err);
};

const struct kn_backend *kn_cpu(void);
const struct kn_backend *kn_cuda(void); /* NULL when built without CUDA */

#endif
