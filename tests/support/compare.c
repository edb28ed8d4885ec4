/* compare.c - see compare.h. */
#include "tests/support/compare.h"

#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double square_error(const float *got, const double *want, size_t n) {
    double err = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - want[i];
        if (!isfinite(d)) return (double)INFINITY;
        err += d * d;
    }
    return err;
}

static double square_sum(const double *want, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += want[i] * want[i];
    return sum;
}

static double ratio(double err, double size) {
    if (size > 0.0) return err / size;
    return err > 0.0 ? (double)INFINITY : 0.0;
}

double compare_nmse(const float *got, const double *want, size_t n) {
    return ratio(square_error(got, want, n), square_sum(want, n));
}

bool compare_close_to(const char *what, const float *got, const double *want, size_t n, double size,
                      double limit) {
    double nmse = ratio(square_error(got, want, n), size);
    if (nmse <= limit) return true;
    size_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - want[i]), w = fabs((double)got[worst] - want[worst]);
        if (isnan(d) || d > w) worst = i;
        if (isnan(d)) break;
    }
    fprintf(stderr, "%s: NMSE %.3g > %.3g; element %zu of %zu: got %.9g, want %.9g\n", what, nmse,
            limit, worst, n, n ? (double)got[worst] : 0.0, n ? want[worst] : 0.0);
    return false;
}

bool compare_close(const char *what, const float *got, const double *want, size_t n, double limit) {
    return compare_close_to(what, got, want, n, square_sum(want, n), limit);
}

bool compare_equal(const char *what, const void *got, const void *want, size_t n_bytes) {
    const unsigned char *a = got, *b = want;
    for (size_t i = 0; i < n_bytes; i++)
        if (a[i] != b[i]) {
            fprintf(stderr, "%s: byte %zu of %zu differs: got %02x, want %02x\n", what, i, n_bytes,
                    a[i], b[i]);
            return false;
        }
    return true;
}

/* ---- numbers ------------------------------------------------------------------------------- */

uint32_t compare_bits(struct compare_rng *r) { /* xorshift64*, Vigna 2016 */
    if (r->s == 0) r->s = 0x9e3779b97f4a7c15u;
    r->s ^= r->s >> 12;
    r->s ^= r->s << 25;
    r->s ^= r->s >> 27;
    return (uint32_t)((r->s * 0x2545f4914f6cdd1du) >> 32);
}

float compare_uniform(struct compare_rng *r, float from, float to) {
    return from + (to - from) * (float)(compare_bits(r) >> 8) * 0x1p-24f;
}

float compare_gauss(struct compare_rng *r) {
    float sum = 0.0f; /* twelve uniforms: variance 1 */
    for (int i = 0; i < 12; i++)
        sum += compare_uniform(r, -0.5f, 0.5f);
    return sum;
}

void compare_fill(struct compare_rng *r, float *x, size_t n, float scale) {
    for (size_t i = 0; i < n; i++)
        x[i] = scale * compare_gauss(r);
}

void compare_poison(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = NAN;
}

/* ---- devices ------------------------------------------------------------------------------- */

static void run_backward(void *user, int n, void (*task)(void *arg, int i), void *arg) {
    (void)user;
    for (int i = n - 1; i >= 0; i--)
        task(arg, i);
}

struct kn_host compare_backward_host(int n_threads) {
    return (struct kn_host){.n_threads = n_threads, .parallel = run_backward};
}

bool compare_open_level(int i, bool f32_act, const struct kn_host *host, kn_dev **out, char *name,
                        size_t cap) {
    static const char *const levels[] = {"ref", "avx2", "avx512", "avx512bf16"};
    for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
        struct kn_open how = {.host = host, .which = levels[l], .f32_act = f32_act};
        if (kn_cpu()->open(&how, out, NULL)) continue;
        if (i-- == 0) {
            snprintf(name, cap, "cpu-%s%s", levels[l], f32_act ? " f32" : "");
            return true;
        }
        kn_cpu()->close(*out);
    }
    return false;
}

/* ---- matrices ------------------------------------------------------------------------------ */

static float widen_bf16(uint16_t b) {
    uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Scales in bf16, as the default model has them. */
static uint16_t narrow_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return (uint16_t)(u >> 16);
}

static void put_bits(uint32_t *words, int64_t i, int bits, uint32_t v) {
    words[i * bits / 32] |= v << (i * bits % 32);
}

static void fill_quantised(struct compare_rng *r, struct compare_matrix *m) {
    struct kn_part *p = &m->part;
    int bits = p->dtype == KN_I8 ? 8 : 4, half = 1 << (bits - 1);
    int64_t group = p->group ? p->group : p->cols, n_groups = p->cols / group;
    int64_t n_words = (p->cols * bits + 31) / 32;
    uint32_t *data = m->data, *zero = m->zero;
    uint16_t *scale = m->scale;
    for (int64_t o = 0; o < p->rows; o++)
        for (int64_t g = 0; g < n_groups; g++) {
            scale[o * n_groups + g] = narrow_bf16(compare_uniform(r, 0.5f, 2.0f) / (float)half);
            int zp = zero ? (int)(compare_bits(r) % (uint32_t)(2 * half)) - half : 0;
            if (zero)
                zero[o * bits / 32 * n_groups + g] |= (uint32_t)(zp + half) << (o * bits % 32);
            for (int64_t i = g * group; i < (g + 1) * group; i++) {
                int q = (int)(compare_bits(r) % (uint32_t)(2 * half)) - half;
                put_bits(data + o * n_words, i, bits, (uint32_t)(q + half));
                m->value[o * p->cols + i] = (float)(q - zp) * widen_bf16(scale[o * n_groups + g]);
            }
        }
}

static void fill_float(struct compare_rng *r, struct compare_matrix *m) {
    size_t n = (size_t)m->part.rows * (size_t)m->part.cols;
    for (size_t i = 0; i < n; i++) {
        float f = compare_gauss(r);
        if (m->part.dtype == KN_F32) {
            memcpy((float *)m->data + i, &f, sizeof f);
        } else if (m->part.dtype == KN_BF16) {
            ((uint16_t *)m->data)[i] = narrow_bf16(f);
            f = widen_bf16(narrow_bf16(f));
        } else { /* f16: a sign, an exponent from 2^-3 to 2^0 and ten random bits */
            uint32_t bits = compare_bits(r), e = bits >> 10 & 3, man = bits & 0x3ff;
            ((uint16_t *)m->data)[i] = (uint16_t)((bits >> 16 & 0x8000u) | (12 + e) << 10 | man);
            f = ldexpf(1.0f + (float)man / 1024.0f, (int)e - 3);
            if (bits >> 16 & 0x8000u) f = -f;
        }
        m->value[i] = f;
    }
}

bool compare_matrix_new(struct compare_rng *r, enum kn_dtype type, int64_t rows, int64_t cols,
                        int64_t group, bool has_zero, struct compare_matrix *out) {
    bool is_q = type == KN_I8 || type == KN_I4;
    int64_t bits = type == KN_I8 ? 8 : 4, n_groups = is_q ? cols / (group ? group : cols) : 1;
    size_t row_bytes = is_q ? (size_t)((cols * bits + 31) / 32) * 4 : kn_bytes(type, cols);
    *out = (struct compare_matrix){0};
    out->data = ox_alloc64((size_t)rows, row_bytes, "test matrix", NULL);
    out->value = ox_alloc64((size_t)(rows * cols), sizeof(float), "test matrix", NULL);
    if (is_q) out->scale = ox_alloc64((size_t)(rows * n_groups), 2, "test scales", NULL);
    if (is_q && has_zero)
        out->zero = ox_alloc64((size_t)((rows * bits + 31) / 32 * n_groups), 4, "test zeros", NULL);
    out->part =
        (struct kn_part){out->data, out->scale, out->zero, rows, cols, group, type, KN_BF16};
    if (!out->data || !out->value || (is_q && !out->scale)) return false;
    if (is_q)
        fill_quantised(r, out);
    else
        fill_float(r, out);
    return true;
}

void compare_matrix_free(struct compare_matrix *m) {
    ox_free(m->data);
    ox_free(m->scale);
    ox_free(m->zero);
    ox_free(m->value);
    *m = (struct compare_matrix){0};
}
