/* linear_gemm.cu - prefill: products with a weight matrix for many rows, by cuBLASLt.
 *
 * op       out[i] = epi(pro(x) W_i') of kn.h for T > 8; reference ref_linear
 * args     as linear_skinny.cu; x^ [T][kpad] bf16 and, for int8 and int4, W as bf16 in scratch
 * work     cuBLASLt's; one product a part, gate|up in one, narrow f32 parts (a|b) in one
 * smem     cuBLASLt's
 * cost     2 T O D FLOP
 * limit    bf16 tensor cores; below T = 260 the bytes of W
 * numerics bf16 operands, f32 sums, never split. The algorithm of a shape is chosen once, for 4096
 *          rows (Hopper, wide products: for 256, 1024 or 4096, whose bits are equal), so that a
 *          row's result does not depend on T
 * refuses  nothing: without cuBLASLt the skinny kernel takes the rows eight at a time
 * measured docs/PERF.md
 * The library is opened at run time: a machine that has only the driver still decodes at full
 * speed and prefills slowly, and kn_facts.device says so. */
#include "kernels/cuda/cuda_dev.cuh"

#include <cublasLt.h>
#include <dlfcn.h>

#include <stdio.h>
#include <string.h>

enum { GEMM_WORKSPACE = 32 << 20, GEMM_ROWS = 4096, MAX_SHAPES = 64, NARROW = 128, WIDE = 1024 };

/* Chosen once for a shape: O outputs, K columns, f32 or bf16 out, added to or not. */
struct gemm_shape {
    int64_t O, K, ld, rows;
    bool is_f32, is_add;
    cublasLtMatmulAlgo_t algo;
};
struct gemm {
    void *lib;
    cublasLtHandle_t handle;
    void *workspace;
    struct gemm_shape shape[MAX_SHAPES];
    int n_shapes;
    size_t version;
    cublasStatus_t (*create)(cublasLtHandle_t *);
    cublasStatus_t (*destroy)(cublasLtHandle_t);
    size_t (*get_version)(void);
    cublasStatus_t (*matmul)(cublasLtHandle_t, cublasLtMatmulDesc_t, const void *, const void *,
                             cublasLtMatrixLayout_t, const void *, cublasLtMatrixLayout_t,
                             const void *, const void *, cublasLtMatrixLayout_t, void *,
                             cublasLtMatrixLayout_t, const cublasLtMatmulAlgo_t *, void *, size_t,
                             cudaStream_t);
    cublasStatus_t (*desc_create)(cublasLtMatmulDesc_t *, cublasComputeType_t, cudaDataType_t);
    cublasStatus_t (*desc_destroy)(cublasLtMatmulDesc_t);
    cublasStatus_t (*desc_set)(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, const void *,
                               size_t);
    cublasStatus_t (*layout_create)(cublasLtMatrixLayout_t *, cudaDataType, uint64_t, uint64_t,
                                    int64_t);
    cublasStatus_t (*layout_destroy)(cublasLtMatrixLayout_t);
    cublasStatus_t (*pref_create)(cublasLtMatmulPreference_t *);
    cublasStatus_t (*pref_destroy)(cublasLtMatmulPreference_t);
    cublasStatus_t (*pref_set)(cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t,
                               const void *, size_t);
    cublasStatus_t (*heuristic)(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, int,
                                cublasLtMatmulHeuristicResult_t[], int *);
};

static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    {"cublasLtCreate", offsetof(struct gemm, create)},
    {"cublasLtDestroy", offsetof(struct gemm, destroy)},
    {"cublasLtGetVersion", offsetof(struct gemm, get_version)},
    {"cublasLtMatmul", offsetof(struct gemm, matmul)},
    {"cublasLtMatmulDescCreate", offsetof(struct gemm, desc_create)},
    {"cublasLtMatmulDescDestroy", offsetof(struct gemm, desc_destroy)},
    {"cublasLtMatmulDescSetAttribute", offsetof(struct gemm, desc_set)},
    {"cublasLtMatrixLayoutCreate", offsetof(struct gemm, layout_create)},
    {"cublasLtMatrixLayoutDestroy", offsetof(struct gemm, layout_destroy)},
    {"cublasLtMatmulPreferenceCreate", offsetof(struct gemm, pref_create)},
    {"cublasLtMatmulPreferenceDestroy", offsetof(struct gemm, pref_destroy)},
    {"cublasLtMatmulPreferenceSetAttribute", offsetof(struct gemm, pref_set)},
    {"cublasLtMatmulAlgoGetHeuristic", offsetof(struct gemm, heuristic)},
};

static void gemm_missing(kn_dev *dev, const char *what) {
    snprintf(dev->lib_note, sizeof dev->lib_note,
             "%s: prompts are read slowly, answers at full speed", what);
}

int gemm_open(kn_dev *dev, ox_err *err) {
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
    struct gemm *g = (struct gemm *)ox_alloc(1, sizeof *g, "cuBLASLt", err);
    if (!g) return OX_ENOMEM;
    dev->gemm = g;
    for (size_t i = 0; !g->lib && i < sizeof names / sizeof names[0]; i++)
        g->lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!g->lib) {
        gemm_missing(dev, "no libcublasLt.so.12 or .13");
        gemm_close(dev);
        return 0;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *f = dlsym(g->lib, symbols[i].name);
        if (!f) {
            gemm_missing(dev, "an incomplete libcublasLt");
            gemm_close(dev);
            return 0;
        }
        memcpy((char *)g + symbols[i].at, &f, sizeof f);
    }
    if (g->create(&g->handle) != CUBLAS_STATUS_SUCCESS) {
        g->handle = NULL;
        gemm_missing(dev, "libcublasLt does not start on this device");
        gemm_close(dev);
        return 0;
    }
    g->version = g->get_version();
    return cu_alloc(dev, GEMM_WORKSPACE, "cuBLASLt workspace", &g->workspace, err);
}

void gemm_close(kn_dev *dev) {
    struct gemm *g = dev->gemm;
    if (!g) return;
    if (g->handle) g->destroy(g->handle);
    if (g->workspace) cudaFree(g->workspace);
    if (g->lib) dlclose(g->lib);
    ox_free(g);
    dev->gemm = NULL;
}

uint64_t gemm_numerics(const kn_dev *dev) {
    return dev->gemm ? (uint64_t)dev->gemm->version : 0;
}

/* ---- one product ---------------------------------------------------------------------------- */

struct product {
    const void *w, *x;
    void *out;
    int64_t O, K, T, ld_out;
    bool is_f32, is_add;
};

struct plan {
    cublasLtMatmulDesc_t desc;
    cublasLtMatrixLayout_t a, b, c;
};

static void plan_free(struct gemm *g, struct plan *p) {
    if (p->desc) g->desc_destroy(p->desc);
    if (p->a) g->layout_destroy(p->a);
    if (p->b) g->layout_destroy(p->b);
    if (p->c) g->layout_destroy(p->c);
}

/* Column-major view: out' [O,T] = W [K,O]' x' [K,T]. */
static bool plan_make(struct gemm *g, const struct product *p, int64_t T, struct plan *out) {
    *out = (struct plan){};
    cublasOperation_t t = CUBLAS_OP_T;
    cudaDataType type = p->is_f32 ? CUDA_R_32F : CUDA_R_16BF;
    return g->desc_create(&out->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
           g->desc_set(out->desc, CUBLASLT_MATMUL_DESC_TRANSA, &t, sizeof t) ==
               CUBLAS_STATUS_SUCCESS &&
           g->layout_create(&out->a, CUDA_R_16BF, (uint64_t)p->K, (uint64_t)p->O, p->K) ==
               CUBLAS_STATUS_SUCCESS &&
           g->layout_create(&out->b, CUDA_R_16BF, (uint64_t)p->K, (uint64_t)T, p->K) ==
               CUBLAS_STATUS_SUCCESS &&
           g->layout_create(&out->c, type, (uint64_t)p->O, (uint64_t)T, p->ld_out) ==
               CUBLAS_STATUS_SUCCESS;
}

/* Rows for which the algorithm is chosen. On Hopper, wide products of few rows get smaller tiles:
 * all its algorithms without split sums add the same 16 columns at a time in the same order, so
 * that the bits are the same (8 of 8 candidates, every shape of the 7B at 1024 and 4096 rows). */
static int64_t rows_class(const kn_dev *dev, const struct product *p) {
    bool is_free = dev->cc_major == 9 && dev->cc_minor == 0 && p->O >= WIDE && p->K >= WIDE;
    return !is_free || p->T > 2048 ? GEMM_ROWS : p->T > 512 ? 1024 : 256;
}

static bool choose_algo(struct gemm *g, const struct product *p, int64_t rows,
                        struct gemm_shape *s) {
    struct plan plan;
    cublasLtMatmulPreference_t pref = NULL;
    size_t workspace = GEMM_WORKSPACE;
    uint32_t no_split = CUBLASLT_REDUCTION_SCHEME_NONE;
    uint32_t align = 16, align_out = (p->ld_out * (p->is_f32 ? 4 : 2)) % 16 ? 4 : 16;
    cublasLtMatmulHeuristicResult_t best;
    int n = 0;
    bool ok = plan_make(g, p, rows, &plan) && g->pref_create(&pref) == CUBLAS_STATUS_SUCCESS;
    if (ok) {
        g->pref_set(pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
        g->pref_set(pref, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_split, sizeof no_split);
        g->pref_set(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &align, sizeof align);
        g->pref_set(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &align, sizeof align);
        g->pref_set(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &align_out, sizeof align_out);
        g->pref_set(pref, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &align_out, sizeof align_out);
        ok = g->heuristic(g->handle, plan.desc, plan.a, plan.b, plan.c, plan.c, pref, 1, &best,
                          &n) == CUBLAS_STATUS_SUCCESS &&
             n == 1;
    }
    if (ok) {
        *s = (struct gemm_shape){p->O, p->K, p->ld_out, rows, p->is_f32, p->is_add, best.algo};
    }
    if (pref) g->pref_destroy(pref);
    plan_free(g, &plan);
    return ok;
}

static const cublasLtMatmulAlgo_t *find_algo(kn_dev *dev, const struct product *p) {
    struct gemm *g = dev->gemm;
    const int64_t rows = rows_class(dev, p);
    for (int i = 0; i < g->n_shapes; i++) {
        const struct gemm_shape *s = &g->shape[i];
        if (s->O == p->O && s->K == p->K && s->ld == p->ld_out && s->rows == rows &&
            s->is_f32 == p->is_f32 && s->is_add == p->is_add)
            return &s->algo;
    }
    if (g->n_shapes == MAX_SHAPES || !choose_algo(g, p, rows, &g->shape[g->n_shapes])) return NULL;
    return &g->shape[g->n_shapes++].algo;
}

static int multiply(kn_dev *dev, const struct product *p, ox_err *err) {
    struct gemm *g = dev->gemm;
    if (cu_launch_fails()) return cu_check(dev, cudaErrorLaunchFailure, "cublasLtMatmul", err);
    const cublasLtMatmulAlgo_t *algo = find_algo(dev, p);
    struct plan plan;
    float one = 1.0f, beta = p->is_add ? 1.0f : 0.0f;
    cublasStatus_t rc = CUBLAS_STATUS_NOT_SUPPORTED;
    if (algo && plan_make(g, p, p->T, &plan)) {
        rc = g->matmul(g->handle, plan.desc, &one, p->w, plan.a, p->x, plan.b, &beta, p->out,
                       plan.c, p->out, plan.c, algo, g->workspace, GEMM_WORKSPACE, dev->stream);
        plan_free(g, &plan);
    }
    if (rc == CUBLAS_STATUS_SUCCESS)
        return cu_check(dev, cudaGetLastError(), "cublasLtMatmul", err);
    return ox_err_set(err, OX_EDEVICE, "cublasLtMatmul [%lld,%lld] x [%lld,%lld]: status %d",
                      (long long)p->T, (long long)p->K, (long long)p->O, (long long)p->K, (int)rc);
}

/* ---- the operation -------------------------------------------------------------------------- */

struct gemm_job {
    kn_dev *dev;
    const struct kn_linear *l;
    const uint16_t *x; /* [T][kpad] */
    uint16_t *w;       /* room for the largest part as bf16, when weights are int8 or int4 */
    uint16_t *gate_up; /* [T][2 n] */
    float *narrow;     /* [T][columns of narrow parts]; in the place of gate_up */
};

/* Rows of part i (of both parts for a pair) as bf16 [rows][kpad]. */
static int part_rows(struct gemm_job *j, int i, const uint16_t **out, ox_err *err) {
    const kn_weight *w = j->l->w;
    const struct wt_block *b = w->part[i].in_extra ? &w->extra : &w->main;
    if (b->format == WT_BF16) {
        *out = (const uint16_t *)b->data +
               (w->is_pair ? 0 : (int64_t)w->part[i].tile0 * SK_ROWS * w->kpad);
        return 0;
    }
    *out = j->w;
    return dequant_run(j->dev, b, w, w->part[i].tile0, w->part[i].n_tiles, j->w, err);
}

static int run_pair(struct gemm_job *j, ox_err *err) {
    const struct kn_linear *l = j->l;
    const kn_weight *w = l->w;
    const uint16_t *rows;
    int64_t F = w->part[0].rows, half = (int64_t)w->main.n_tiles * 8;
    int rc = part_rows(j, 0, &rows, err);
    if (rc) return rc;
    if (l->epi == KN_EPI_SWIGLU) {
        struct product p = {rows,      j->x,     j->gate_up, 2 * half, w->kpad,
                            l->x.rows, 2 * half, false,      false};
        rc = multiply(j->dev, &p, err);
        return rc ? rc
                  : swiglu_run(j->dev, j->gate_up, l->x.rows, F, half, 2 * half, &l->out[0], err);
    }
    for (int i = 0; !rc && i < 2; i++) {
        struct product p = {
            rows + i * half * w->kpad, j->x, l->out[i].data, F, w->kpad, l->x.rows, F,
            l->out[i].dtype == KN_F32, false};
        rc = multiply(j->dev, &p, err);
    }
    return rc;
}

/* How many parts from i on are a few bf16 rows behind one another with f32 out (the gates a and b):
 * they are one product, because a product of 30 columns takes as long as one of 1000. */
static int narrow_parts(const struct kn_linear *l, int i, int64_t *cols) {
    const kn_weight *w = l->w;
    int n = 0;
    *cols = 0;
    for (; l->epi == KN_EPI_STORE && i + n < w->n_parts; n++) {
        const struct wt_part *p = &w->part[i + n];
        const struct wt_block *b = p->in_extra ? &w->extra : &w->main;
        if (p->rows > NARROW || l->out[i + n].dtype != KN_F32 || b->format != WT_BF16 ||
            p->in_extra != w->part[i].in_extra ||
            p->tile0 != w->part[i].tile0 + (int32_t)(*cols / SK_ROWS))
            break;
        *cols += (int64_t)p->n_tiles * SK_ROWS;
    }
    return n;
}

static int run_narrow(struct gemm_job *j, int i, int n, int64_t cols, ox_err *err) {
    const struct kn_linear *l = j->l;
    const uint16_t *rows;
    int rc = part_rows(j, i, &rows, err);
    struct product p = {rows, j->x, j->narrow, cols, l->w->kpad, l->x.rows, cols, true, false};
    if (!rc) rc = multiply(j->dev, &p, err);
    for (int64_t k = 0, at = 0; !rc && k < n; k++) {
        rc = take_columns_run(j->dev, j->narrow, cols, at, &l->out[i + k], err);
        at += (int64_t)l->w->part[i + k].n_tiles * SK_ROWS;
    }
    return rc;
}

static int run_parts(struct gemm_job *j, ox_err *err) {
    const struct kn_linear *l = j->l;
    const kn_weight *w = l->w;
    int rc = 0;
    for (int i = 0; !rc && i < w->n_parts; i++) {
        int64_t cols;
        int n = narrow_parts(l, i, &cols);
        if (n > 1) {
            rc = run_narrow(j, i, n, cols, err);
            i += n - 1;
            continue;
        }
        const uint16_t *rows;
        rc = part_rows(j, i, &rows, err);
        struct product p = {rows,
                            j->x,
                            l->out[i].data,
                            w->part[i].rows,
                            w->kpad,
                            l->x.rows,
                            w->part[i].rows,
                            l->out[i].dtype == KN_F32,
                            l->epi == KN_EPI_ADD};
        if (!rc) rc = multiply(j->dev, &p, err);
    }
    return rc;
}

int gemm_run(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    if (!dev->gemm) return skinny_many(dev, l, err);
    const kn_weight *w = l->w;
    bool is_plain = !l->add.data && !l->norm.data && !l->gate.data && l->x.dtype == KN_BF16 &&
                    w->kpad == w->cols;
    int64_t T = l->x.rows, most = 0;
    for (int i = 0; i < w->n_parts; i++)
        most = w->part[i].n_tiles > most ? w->part[i].n_tiles : most;
    if (l->epi == KN_EPI_SWIGLU && !w->is_pair)
        return ox_err_set(err, OX_EUSAGE, "linear: gate and up are stored in different types");
    size_t nx = is_plain ? 0 : (size_t)(T * w->kpad) * 2;
    size_t nw = w->main.format == WT_BF16 ? 0 : (size_t)(most * SK_ROWS * w->kpad) * 2;
    size_t ng = l->epi == KN_EPI_SWIGLU ? (size_t)(T * w->main.n_tiles * 16) * 2
                                        : (size_t)(T * KN_PARTS * NARROW) * 4;
    nx = (nx + 255) / 256 * 256;
    nw = (nw + 255) / 256 * 256;
    char *work;
    int rc = cu_work(dev, nx + nw + ng + 256, &work, err);
    if (rc) return rc;
    struct gemm_job j = {dev,
                         l,
                         (const uint16_t *)l->x.data,
                         (uint16_t *)(work + nx),
                         (uint16_t *)(work + nx + nw),
                         (float *)(work + nx + nw)};
    if (!is_plain) {
        j.x = (const uint16_t *)work;
        rc = prologue_run(dev, l, w->kpad, (uint16_t *)work, err);
    }
    if (rc) return rc;
    return w->is_pair ? run_pair(&j, err) : run_parts(&j, err);
}
