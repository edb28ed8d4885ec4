/* trace.c - see trace.h. */
#include "engine/trace.h"

#include "engine/forward.h"
#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"

#include <math.h>
#include <string.h>

static float widen(uint16_t v, enum kn_dtype type) {
    if (type ==
        KN_F16) { /* sign, exponent and mantissa by value: no bit tricks where speed is nothing */
        int exp = (v >> 10) & 31, man = v & 1023;
        float f = exp ? ldexpf((float)(man + 1024), exp - 25) : ldexpf((float)man, -24);
        if (exp == 31) f = man ? NAN : INFINITY;
        return v & 0x8000 ? -f : f;
    }
    uint32_t u = (uint32_t)v << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

int trace_read(const struct forward *f, const void *src, enum kn_dtype type, int64_t n, float *out,
               ox_err *err) {
    if (type == KN_F32) return f->kn->copy(f->dev, out, src, kn_bytes(type, n), err);
    uint16_t *raw = ox_alloc((size_t)n, sizeof *raw, "trace", err);
    if (!raw) return OX_ENOMEM;
    int rc = f->kn->copy(f->dev, raw, src, kn_bytes(type, n), err);
    for (int64_t i = 0; !rc && i < n; i++)
        out[i] = widen(raw[i], type);
    ox_free(raw);
    return rc;
}

/* x += rms(add; norm), as the next product would do it. */
static void add_pending(float *x, const float *add, const float *norm, int64_t T, int64_t D,
                        float eps) {
    for (int64_t t = 0; t < T; t++) {
        double sum = 0.0;
        for (int64_t i = 0; i < D; i++)
            sum += (double)add[t * D + i] * (double)add[t * D + i];
        float r = (float)(1.0 / sqrt(sum / (double)D + (double)eps));
        for (int64_t i = 0; i < D; i++)
            x[t * D + i] += norm[i] * (add[t * D + i] * r);
    }
}

int trace_layer(const struct trace *t, const struct forward *f, const char *name, int32_t layer,
                ox_err *err) {
    if (!t) return 0;
    int64_t T = f->T, D = f->config->d;
    float *x = ox_alloc((size_t)(2 * T + 1) * (size_t)D, sizeof *x, "trace", err);
    if (!x) return OX_ENOMEM;
    float *add = x + T * D, *norm = add + T * D;
    int rc = trace_read(f, f->act->x, KN_F32, T * D, x, err);
    if (!rc && f->add.data) {
        rc = trace_read(f, f->add.data, f->add.dtype, T * D, add, err);
        if (!rc) rc = trace_read(f, f->add_norm.data, KN_F32, D, norm, err);
        if (!rc) add_pending(x, add, norm, T, D, f->config->rms_eps);
    }
    if (!rc) t->hidden(t->user, name, layer, x, T, D);
    ox_free(x);
    return rc;
}
