/* ref_gdn.c - definition of the short convolution, the gates and the gated delta rule in its
 * recurrent form (docs/MODEL.md 3.2 steps 2 to 6; arXiv 2412.06464). Token by token, so that a
 * prefill may be cut anywhere without changing a bit. */
#include "kernels/cpu/cpu_ref.h"

#include <math.h>

struct gdn_job {
    const struct kn_gdn *g;
    float *z; /* [T, 2*Kd + Vd]: after convolution and SiLU, channels q|k|v */
    int n_tasks;
};

/* Raw projection of channel c, `back` tokens before token t; older ones live in the conv state,
 * oldest first, and before the first token of all it holds zeros. */
static float raw_input(const struct kn_gdn *g, int64_t t, int64_t c) {
    int64_t Kd = g->q.cols, Vd = g->v.cols, channels = 2 * Kd + Vd;
    if (t < 0) return ((const float *)g->conv.data)[(g->conv.rows + t) * channels + c];
    if (c < Kd) return ((const float *)g->q.data)[t * Kd + c];
    if (c < 2 * Kd) return ((const float *)g->k.data)[t * Kd + (c - Kd)];
    return ((const float *)g->v.data)[t * Vd + (c - 2 * Kd)];
}

static void run_conv(void *arg, int i) {
    struct gdn_job *j = arg;
    const struct kn_gdn *g = j->g;
    int64_t channels = g->taps.rows, W = g->taps.cols, from, to;
    const float *taps = g->taps.data;
    cpu_span(g->q.rows, 1, j->n_tasks, i, &from, &to);
    for (int64_t t = from; t < to; t++)
        for (int64_t c = 0; c < channels; c++) {
            float sum = 0.0f; /* tap W-1 multiplies the current token */
            for (int64_t w = 0; w < W; w++)
                sum += taps[c * W + w] * raw_input(g, t - (W - 1) + w, c);
            j->z[t * channels + c] = ref_silu(sum);
        }
}

/* x * rsqrt(sum(x^2) + eps): epsilon inside the root, on the sum. */
static void l2_norm(const float *x, int64_t n, float eps, float scale, float *y) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    float r = (float)(1.0 / sqrt(sum + (double)eps));
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * r * scale;
}

void ref_gdn_step(float *S, const float *q, const float *k, const float *v, float g, float beta,
                  int64_t Dk, int64_t Dv, float *y) {
    float decay = expf(g);
    for (int64_t d = 0; d < Dv; d++) {
        float *row = S + d * Dk; /* column d of S: Dk contiguous */
        double sk = 0.0, sq = 0.0;
        for (int64_t i = 0; i < Dk; i++) {
            row[i] *= decay; /* decay first: the error is taken against the decayed state */
            sk += (double)row[i] * (double)k[i];
        }
        float e = beta * (v[d] - (float)sk);
        for (int64_t i = 0; i < Dk; i++) {
            row[i] += k[i] * e;
            sq += (double)row[i] * (double)q[i]; /* read after the update */
        }
        y[d] = (float)sq;
    }
}

static void run_heads(void *arg, int i) {
    struct gdn_job *j = arg;
    const struct kn_gdn *g = j->g;
    int64_t T = g->q.rows, Hv = g->n_v_heads, Hk = g->n_k_heads;
    int64_t Dk = g->q.cols / Hk, Dv = g->v.cols / Hv, Kd = Hk * Dk, channels = 2 * Kd + Hv * Dv;
    const float *a = g->a.data, *b = g->b.data, *a_log = g->a_log.data, *dt = g->dt_bias.data;
    int64_t from, to;
    cpu_span(Hv, 1, j->n_tasks, i, &from, &to);
    for (int64_t h = from; h < to; h++) {
        int64_t hk = h / (Hv / Hk);
        float *S = (float *)g->state.data + h * Dv * Dk;
        for (int64_t t = 0; t < T; t++) {
            const float *z = j->z + t * channels;
            float beta = g->beta_max * ref_sigmoid(b[t * Hv + h]);
            float log_decay = -expf(a_log[h]) * ref_softplus(a[t * Hv + h] + dt[h]);
            ref_gdn_step(S, z + hk * Dk, z + Kd + hk * Dk, z + 2 * Kd + h * Dv, log_decay, beta, Dk,
                         Dv, (float *)g->out.data + t * Hv * Dv + h * Dv);
        }
    }
}

/* q and k are normed in place, once for all value heads that share them. */
static void norm_heads(struct gdn_job *j) {
    const struct kn_gdn *g = j->g;
    int64_t Hk = g->n_k_heads, Dk = g->q.cols / Hk, channels = g->taps.rows;
    float q_scale = (float)(1.0 / sqrt((double)Dk));
    for (int64_t t = 0; t < g->q.rows; t++)
        for (int64_t h = 0; h < 2 * Hk; h++) {
            float *x = j->z + t * channels + h * Dk;
            l2_norm(x, Dk, g->l2_eps, h < Hk ? q_scale : 1.0f, x);
        }
}

/* The last W-1 raw projections, oldest first. Counting up is safe: row r reads row r + T or later.
 */
static void shift_conv(const struct kn_gdn *g) {
    int64_t keep = g->conv.rows, channels = g->taps.rows, T = g->q.rows;
    float *conv = g->conv.data;
    for (int64_t r = 0; r < keep; r++)
        for (int64_t c = 0; c < channels; c++)
            conv[r * channels + c] = raw_input(g, T - keep + r, c);
}

int ref_gdn(kn_dev *dev, const struct kn_gdn *g, ox_err *err) {
    struct gdn_job j = {.g = g, .n_tasks = cpu_threads(dev)};
    void *mem;
    int rc = cpu_scratch(dev, (size_t)g->q.rows * (size_t)g->taps.rows * sizeof *j.z, &mem, err);
    if (rc) return rc;
    j.z = mem;
    cpu_parallel(dev, j.n_tasks, run_conv, &j);
    norm_heads(&j);
    cpu_parallel(dev, j.n_tasks, run_heads, &j);
    shift_conv(g);
    return 0;
}
