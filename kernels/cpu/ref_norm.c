/* ref_norm.c - definition of the norms, the gate functions and the prologue of a linear operation
 * (docs/MODEL.md section 3). Apart, because every operation starts with one of them. */
#include "kernels/cpu/cpu_ref.h"

#include <math.h>

float ref_sigmoid(float z) {
    return 1.0f / (1.0f + expf(-z));
}

float ref_silu(float z) {
    return z / (1.0f + expf(-z));
}

/* max(z, 0) + log1p(exp(-|z|)): exact for large z, where log(1 + exp(z)) overflows. */
float ref_softplus(float z) {
    return fmaxf(z, 0.0f) + log1pf(expf(-fabsf(z)));
}

void ref_rms_norm(const float *x, const float *w, int64_t n, float eps, float *y) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    float r = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
    for (int64_t i = 0; i < n; i++)
        y[i] = w[i] * (x[i] * r);
}

void ref_prologue(const struct kn_linear *l, int64_t t, float *xhat) {
    int64_t D = l->x.cols;
    float *x = (float *)l->x.data + t * D;
    if (l->add.data) {
        const float *add = (const float *)l->add.data + t * D;
        ref_rms_norm(add, l->add_norm.data, D, l->add_eps, xhat);
        for (int64_t i = 0; i < D; i++)
            x[i] += xhat[i];
    }
    memcpy(xhat, x, (size_t)D * sizeof *xhat);
    if (l->norm.data) {
        int64_t n = l->norm.cols; /* narrower than D: per head */
        for (int64_t i = 0; i < D; i += n)
            ref_rms_norm(xhat + i, l->norm.data, n, l->norm_eps, xhat + i);
    }
    if (l->gate.data) {
        const float *gate = (const float *)l->gate.data + t * D;
        for (int64_t i = 0; i < D; i++)
            xhat[i] *= ref_silu(gate[i]);
    }
}
