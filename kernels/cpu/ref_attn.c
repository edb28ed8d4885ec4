/* ref_attn.c - definition of attention: q/k norm over the whole projection, RoPE where asked,
 * append to the pages in the stored type, causal softmax over what was read back (docs/MODEL.md 3.1
 * and 4, docs/STORE.md section 5, docs/KERNELS.md 3.5). */
#include "kernels/cpu/cpu_ref.h"

#include <math.h>

void ref_rope(float *z, int64_t Dh, int64_t position, float theta) {
    int64_t half = Dh / 2;
    for (int64_t i = 0; i < half; i++) {
        float w = (float)pow((double)theta, -2.0 * (double)i / (double)Dh);
        float angle = (float)position * w; /* f32, as the reference has it */
        float c = (float)cos((double)angle), s = (float)sin((double)angle);
        float a = z[i], b = z[i + half];
        z[i] = a * c - b * s;
        z[i + half] = b * c + a * s;
    }
}

/* ---- rows of a KV block -------------------------------------------------------------------- */

enum { KV_GROUP = 64 }; /* channels under one int8 scale */

static void store_i8(char *block, int64_t Dh, int64_t row, const float *x) {
    int64_t n_groups = (Dh + KV_GROUP - 1) / KV_GROUP;
    int8_t *q = (int8_t *)block + row * Dh;
    uint16_t *scales = (uint16_t *)(void *)(block + KN_PAGE_TOKENS * Dh) + row * n_groups;
    for (int64_t g = 0; g < n_groups; g++) {
        int64_t from = g * KV_GROUP, to = from + KV_GROUP < Dh ? from + KV_GROUP : Dh;
        float max = 0.0f;
        for (int64_t i = from; i < to; i++)
            max = fmaxf(max, fabsf(x[i]));
        /* Quantise by the scale as stored, so that reading back is exact. Zeros get scale 1. */
        scales[g] = cpu_to_bf16(max > 0.0f ? max / 127.0f : 1.0f);
        float scale = cpu_from_bf16(scales[g]);
        for (int64_t i = from; i < to; i++) {
            float r = rintf(x[i] / scale);
            q[i] = (int8_t)fminf(fmaxf(r, -127.0f), 127.0f);
        }
    }
}

void ref_kv_store(char *block, enum kn_dtype kv, int64_t Dh, int64_t row, const float *x) {
    if (kv == KN_F32) {
        memcpy(block + (size_t)(row * Dh) * 4, x, (size_t)Dh * 4);
    } else if (kv == KN_BF16) {
        uint16_t *p = (uint16_t *)(void *)block + row * Dh;
        for (int64_t i = 0; i < Dh; i++)
            p[i] = cpu_to_bf16(x[i]);
    } else {
        store_i8(block, Dh, row, x);
    }
}

void ref_kv_load(const char *block, enum kn_dtype kv, int64_t Dh, int64_t row, float *x) {
    if (kv == KN_F32) {
        memcpy(x, block + (size_t)(row * Dh) * 4, (size_t)Dh * 4);
    } else if (kv == KN_BF16) {
        const uint16_t *p = (const uint16_t *)(const void *)block + row * Dh;
        for (int64_t i = 0; i < Dh; i++)
            x[i] = cpu_from_bf16(p[i]);
    } else {
        int64_t n_groups = (Dh + KV_GROUP - 1) / KV_GROUP;
        const int8_t *q = (const int8_t *)block + row * Dh;
        const uint16_t *scales =
            (const uint16_t *)(const void *)(block + KN_PAGE_TOKENS * Dh) + row * n_groups;
        for (int64_t i = 0; i < Dh; i++)
            x[i] = (float)q[i] * cpu_from_bf16(scales[i / KV_GROUP]);
    }
}

/* ---- the operation ------------------------------------------------------------------------- */

struct attn_job {
    kn_dev *dev;
    const struct kn_attn *a;
    float *q;     /* [T,H*Dh] normed, rotated */
    float *k;     /* [T,Hkv*Dh] */
    float *row;   /* [H][Dh] one K or V row a head */
    float *score; /* [H][N+T] */
};

static void rotate_heads(const struct kn_attn *a, float *z, int64_t n_heads, int64_t position) {
    int64_t Dh = a->q.cols / a->n_heads;
    for (int64_t h = 0; a->rope_theta > 0.0f && h < n_heads; h++)
        ref_rope(z + h * Dh, Dh, position, a->rope_theta);
}

static void append_token(struct attn_job *j, int64_t t) {
    const struct kn_attn *a = j->a;
    int64_t qn = a->q.cols, kn = a->k.cols, Dh = qn / a->n_heads, pos = j->dev->step.n_cached + t;
    float *q = j->q + t * qn, *k = j->k + t * kn;
    ref_rms_norm((const float *)a->q.data + t * qn, a->q_norm.data, qn, a->eps, q);
    ref_rms_norm((const float *)a->k.data + t * kn, a->k_norm.data, kn, a->eps, k);
    rotate_heads(a, q, a->n_heads, pos);
    rotate_heads(a, k, a->n_kv_heads, pos);
    const float *v = (const float *)a->v.data + t * kn;
    for (int h = 0; h < a->n_kv_heads; h++) {
        int64_t page = pos / KN_PAGE_TOKENS, row = pos % KN_PAGE_TOKENS;
        ref_kv_store(cpu_kv_block(j->dev, a, page, h, 0), a->kv, Dh, row, k + h * Dh);
        ref_kv_store(cpu_kv_block(j->dev, a, page, h, 1), a->kv, Dh, row, v + h * Dh);
    }
}

/* y = softmax(q K' * scale) V over positions 0..last for one head of one token. */
static void attend(struct attn_job *j, int h, int64_t t, float *score, float *row) {
    const struct kn_attn *a = j->a;
    int64_t Dh = a->q.cols / a->n_heads, last = j->dev->step.n_cached + t;
    int kv_head = h / (a->n_heads / a->n_kv_heads);
    const float *q = j->q + t * a->q.cols + h * Dh;
    float *y = (float *)a->out.data + t * a->q.cols + h * Dh;
    float max = -INFINITY;
    for (int64_t s = 0; s <= last; s++) {
        const char *K = cpu_kv_block(j->dev, a, s / KN_PAGE_TOKENS, kv_head, 0);
        ref_kv_load(K, a->kv, Dh, s % KN_PAGE_TOKENS, row);
        double sum = 0.0;
        for (int64_t i = 0; i < Dh; i++)
            sum += (double)q[i] * (double)row[i];
        score[s] = (float)sum * a->scale;
        max = fmaxf(max, score[s]);
    }
    double total = 0.0;
    for (int64_t s = 0; s <= last; s++)
        total += (double)(score[s] = expf(score[s] - max));
    memset(y, 0, (size_t)Dh * sizeof *y);
    for (int64_t s = 0; s <= last; s++) {
        const char *V = cpu_kv_block(j->dev, a, s / KN_PAGE_TOKENS, kv_head, 1);
        ref_kv_load(V, a->kv, Dh, s % KN_PAGE_TOKENS, row);
        for (int64_t i = 0; i < Dh; i++)
            y[i] += score[s] * row[i];
    }
    for (int64_t i = 0; i < Dh; i++)
        y[i] = (float)((double)y[i] / total);
}

static void run_head(void *arg, int h) {
    struct attn_job *j = arg;
    int64_t T = j->a->q.rows, n = j->dev->step.n_cached + T, Dh = j->a->q.cols / j->a->n_heads;
    for (int64_t t = 0; t < T; t++)
        attend(j, h, t, j->score + h * n, j->row + h * Dh);
}

int ref_attn(kn_dev *dev, const struct kn_attn *a, ox_err *err) {
    struct attn_job j = {.dev = dev, .a = a};
    int64_t T = a->q.rows, n = dev->step.n_cached + T;
    int64_t nq = T * a->q.cols, nk = T * a->k.cols;
    void *mem;
    int rc =
        cpu_scratch(dev, (size_t)(nq + nk + a->q.cols + a->n_heads * n) * sizeof *j.q, &mem, err);
    if (rc) return rc;
    j.q = mem;
    j.k = j.q + nq;
    j.row = j.k + nk;
    j.score = j.row + a->q.cols;
    for (int64_t t = 0; t < T; t++)
        append_token(&j, t);
    cpu_parallel(dev, a->n_heads, run_head, &j);
    return 0;
}
