/* ref_linear.c - definition of embed and linear, and of the weight formats that they read:
 * f32, f16, bf16, and compressed-tensors int8 and int4 (docs/MODEL.md section 8). */
#include "kernels/cpu/cpu_ref.h"

/* Weights may be unaligned in their file: every read goes through memcpy. */
static uint32_t read_u32(const void *base, int64_t i) {
    uint32_t v;
    memcpy(&v, (const char *)base + i * 4, sizeof v);
    return v;
}

static uint16_t read_u16(const void *base, int64_t i) {
    uint16_t v;
    memcpy(&v, (const char *)base + i * 2, sizeof v);
    return v;
}

static float read_float(const void *base, enum kn_dtype type, int64_t i) {
    if (type == KN_BF16) return cpu_from_bf16(read_u16(base, i));
    if (type == KN_F16) return cpu_from_f16(read_u16(base, i));
    float f;
    memcpy(&f, (const char *)base + i * 4, sizeof f);
    return f;
}

/* Stored values are offset binary; q = stored - 2^(bits-1). */
static int32_t read_q(const void *words, int64_t word0, int64_t i, int bits) {
    int64_t bit = i * bits;
    uint32_t word = read_u32(words, word0 + bit / 32);
    uint32_t u = (word >> (bit % 32)) & ((1u << bits) - 1u);
    return (int32_t)u - (1 << (bits - 1));
}

void ref_weight_row(const struct kn_part *p, int64_t row, float *out) {
    if (p->dtype != KN_I8 && p->dtype != KN_I4) {
        for (int64_t i = 0; i < p->cols; i++)
            out[i] = read_float(p->data, p->dtype, row * p->cols + i);
        return;
    }
    int bits = p->dtype == KN_I8 ? 8 : 4;
    int64_t n_words = (p->cols * bits + 31) / 32;
    int64_t group = p->group ? p->group : p->cols, n_groups = p->cols / group;
    for (int64_t i = 0; i < p->cols; i++) {
        int64_t g = i / group;
        float scale = read_float(p->scale, p->scale_dtype, row * n_groups + g);
        int32_t q = read_q(p->data, row * n_words, i, bits);
        /* Zero points are packed along the rows: row r of column g in the bit stream of column g.
         */
        if (p->zero) {
            int64_t bit = row * bits;
            uint32_t word = read_u32(p->zero, bit / 32 * n_groups + g);
            q -= (int32_t)((word >> (bit % 32)) & ((1u << bits) - 1u)) - (1 << (bits - 1));
        }
        out[i] = (float)q * scale;
    }
}

/* ---- embed --------------------------------------------------------------------------------- */

int ref_embed(kn_dev *dev, kn_in out, const kn_weight *table, const int32_t *tok, ox_err *err) {
    (void)dev;
    (void)err;
    for (int64_t t = 0; t < out->rows; t++)
        ref_weight_row(&table->part[0], tok[t], (float *)out->data + t * out->cols);
    return 0;
}

/* ---- linear -------------------------------------------------------------------------------- */

struct linear_job {
    const struct kn_linear *l;
    float *xhat; /* [T,D] */
    float *rows; /* [tasks][2,D]: one row of each of two parts at a time */
    int n_tasks;
};

static void run_prologue(void *arg, int i) {
    struct linear_job *j = arg;
    int64_t from, to;
    cpu_span(j->l->x.rows, 1, j->n_tasks, i, &from, &to);
    for (int64_t t = from; t < to; t++)
        ref_prologue(j->l, t, j->xhat + t * j->l->x.cols);
}

static float dot(const float *a, const float *b, int64_t n) {
    double s0 = 0.0, s1 = 0.0, s2 = 0.0,
           s3 = 0.0; /* four chains: the oracle runs whole texts too */
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += (double)a[i] * (double)b[i];
        s1 += (double)a[i + 1] * (double)b[i + 1];
        s2 += (double)a[i + 2] * (double)b[i + 2];
        s3 += (double)a[i + 3] * (double)b[i + 3];
    }
    for (; i < n; i++)
        s0 += (double)a[i] * (double)b[i];
    return (float)((s0 + s1) + (s2 + s3));
}

/* Output o of part p for every token. */
static void run_row(struct linear_job *j, int p, int64_t o, float *row) {
    const struct kn_linear *l = j->l;
    int64_t T = l->x.rows, D = l->x.cols, O = l->w->part[p].rows;
    float *out = (float *)l->out[l->epi == KN_EPI_SWIGLU ? 0 : p].data;
    ref_weight_row(&l->w->part[p], o, row);
    if (l->epi == KN_EPI_SWIGLU) ref_weight_row(&l->w->part[1], o, row + D);
    for (int64_t t = 0; t < T; t++) {
        const float *x = j->xhat + t * D;
        float y = dot(row, x, D);
        switch (l->epi) {
        case KN_EPI_STORE: out[t * O + o] = y; break;
        case KN_EPI_ADD: out[t * O + o] += y; break;
        case KN_EPI_SWIGLU: out[t * O + o] = ref_silu(y) * dot(row + D, x, D); break;
        }
    }
}

static void run_rows(void *arg, int i) {
    struct linear_job *j = arg;
    const struct kn_linear *l = j->l;
    int n_parts = l->epi == KN_EPI_SWIGLU ? 1 : l->w->n_parts;
    for (int p = 0; p < n_parts; p++) {
        int64_t from, to;
        cpu_span(l->w->part[p].rows, 1, j->n_tasks, i, &from, &to);
        for (int64_t o = from; o < to; o++)
            run_row(j, p, o, j->rows + (int64_t)i * 2 * l->x.cols);
    }
}

int ref_linear(kn_dev *dev, const struct kn_linear *l, ox_err *err) {
    struct linear_job j = {.l = l, .n_tasks = cpu_threads(dev)};
    size_t D = (size_t)l->x.cols, n = ((size_t)l->x.rows + 2 * (size_t)j.n_tasks) * D;
    void *mem;
    int rc = cpu_scratch(dev, n * sizeof *j.xhat, &mem, err);
    if (rc) return rc;
    j.xhat = mem;
    j.rows = j.xhat + l->x.rows * l->x.cols;
    cpu_parallel(dev, j.n_tasks, run_prologue, &j);
    cpu_parallel(dev, j.n_tasks, run_rows, &j);
    return 0;
}
