/* test_kn_gdn.c - convolution, gates and delta rule: the worked examples of docs/MODEL.md section
 * 11, the L2 epsilon (which logits do not show), every level against float64, the chunked form of
 * section 3.3 as a second opinion, and bit-equality however the tokens are cut. */
#include "kernels/base/ox_mem.h"
#include "kernels/cpu/cpu_ref.h"
#include "tests/support/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

enum { W = 4 };

/* One call with all its tensors in one block. `start` keeps conv and state as they were. */
struct sample {
    int64_t T, Hk, Hv, Dk, Dv, Kd, Vd, channels;
    float *q, *k, *v, *a, *b, *taps, *a_log, *dt, *conv, *state, *out;
    float *block, *start;
    size_t n_floats;
    float beta_max;
};

static void sample_new(struct sample *s, int64_t T, int64_t Hk, int64_t Hv, int64_t Dk,
                       int64_t Dv) {
    *s = (struct sample){.T = T, .Hk = Hk, .Hv = Hv, .Dk = Dk, .Dv = Dv, .beta_max = 2.0f};
    s->Kd = Hk * Dk;
    s->Vd = Hv * Dv;
    s->channels = 2 * s->Kd + s->Vd;
    const int64_t size[] = {T * s->Kd,       T * s->Kd,       T * s->Vd, T * Hv,
                            T * Hv,          s->channels * W, Hv,        Hv,
                            3 * s->channels, s->Vd * Dk,      T * s->Vd};
    float **const at[] = {&s->q,     &s->k,  &s->v,    &s->a,     &s->b,  &s->taps,
                          &s->a_log, &s->dt, &s->conv, &s->state, &s->out};
    for (int i = 0; i < 11; i++)
        s->n_floats += (size_t)size[i];
    s->block = ox_alloc64(2 * s->n_floats, sizeof(float), "test", NULL);
    assert_non_null(s->block);
    s->start = s->block + s->n_floats;
    float *p = s->block;
    for (int i = 0; i < 11; i++) {
        *at[i] = p;
        p += size[i];
    }
}

/* key_noise 0: all keys of a head are nearly parallel, the hard case for the delta rule. */
static void sample_random(struct sample *s, float key_noise, uint64_t seed) {
    struct compare_rng r = {seed};
    compare_fill(&r, s->block, s->n_floats, 1.0f);
    for (int64_t t = 0; t < s->T; t++)
        for (int64_t c = 0; c < s->Kd; c++)
            s->k[t * s->Kd + c] = s->k[c] + key_noise * compare_gauss(&r);
    compare_fill(&r, s->taps, (size_t)(s->channels * W), 0.5f);
    compare_fill(&r, s->state, (size_t)(s->Vd * s->Dk), 0.3f);
    for (int64_t h = 0; h < s->Hv; h++) {
        s->a_log[h] = compare_uniform(&r, -1.0f, 1.5f);
        s->dt[h] = compare_uniform(&r, -4.0f, 0.0f);
    }
    memcpy(s->start, s->block, s->n_floats * sizeof(float));
}

static void sample_restart(struct sample *s) {
    memcpy(s->block, s->start, s->n_floats * sizeof(float));
    compare_poison(s->out, (size_t)(s->T * s->Vd));
}

static void sample_free(struct sample *s) {
    ox_free(s->block);
}

/* Tokens [from, to) as one call. */
static void run(kn_dev *dev, struct sample *s, int64_t from, int64_t to) {
    int64_t n = to - from;
    int32_t tok[1] = {0};
    bool replayed;
    struct kn_step step = {.tok = tok, .n_cached = from, .n_tok = (int32_t)n};
    struct kn_gdn g = {
        .q = {s->q + from * s->Kd, n, s->Kd, KN_F32},
        .k = {s->k + from * s->Kd, n, s->Kd, KN_F32},
        .v = {s->v + from * s->Vd, n, s->Vd, KN_F32},
        .a = {s->a + from * s->Hv, n, s->Hv, KN_F32},
        .b = {s->b + from * s->Hv, n, s->Hv, KN_F32},
        .taps = {s->taps, s->channels, W, KN_F32},
        .a_log = {s->a_log, 1, s->Hv, KN_F32},
        .dt_bias = {s->dt, 1, s->Hv, KN_F32},
        .conv = {s->conv, W - 1, s->channels, KN_F32},
        .state = {s->state, s->Vd, s->Dk, KN_F32},
        .out = {s->out + from * s->Vd, n, s->Vd, KN_F32},
        .n_k_heads = (int32_t)s->Hk,
        .n_v_heads = (int32_t)s->Hv,
        .l2_eps = 1e-6f,
        .beta_max = s->beta_max,
    };
    const struct kn_backend *kn = kn_cpu();
    assert_int_equal(kn->begin(dev, &step, &replayed, NULL), 0);
    assert_int_equal(kn->gdn(dev, &g, NULL), 0);
    assert_int_equal(kn->end(dev, NULL), 0);
}

/* ---- float64: the same steps, written from docs/MODEL.md 3.2 ------------------------------- */

struct truth {
    double *z;        /* [T,channels] after conv, SiLU and L2 norms */
    double *g, *beta; /* [T,Hv] */
    double *state;    /* [Hv,Dk,Dv]: S as in the document */
    double *out;      /* [T,Vd] */
};

static double sigmoid64(double x) {
    return 1.0 / (1.0 + exp(-x));
}

static double raw64(const struct sample *s, int64_t t, int64_t c) {
    if (t < 0) return (double)s->conv[(t + 3) * s->channels + c];
    if (c < s->Kd) return (double)s->q[t * s->Kd + c];
    if (c < 2 * s->Kd) return (double)s->k[t * s->Kd + c - s->Kd];
    return (double)s->v[t * s->Vd + c - 2 * s->Kd];
}

static void truth_inputs(const struct sample *s, struct truth *r) {
    for (int64_t t = 0; t < s->T; t++) {
        double *z = r->z + t * s->channels;
        for (int64_t c = 0; c < s->channels; c++) {
            double sum = 0.0;
            for (int64_t w = 0; w < W; w++)
                sum += (double)s->taps[c * W + w] * raw64(s, t - 3 + w, c);
            z[c] = sum * sigmoid64(sum);
        }
        for (int64_t h = 0; h < 2 * s->Hk; h++) {
            double sum = 0.0, *x = z + h * s->Dk;
            for (int64_t i = 0; i < s->Dk; i++)
                sum += x[i] * x[i];
            double f = 1.0 / sqrt(sum + 1e-6) * (h < s->Hk ? 1.0 / sqrt((double)s->Dk) : 1.0);
            for (int64_t i = 0; i < s->Dk; i++)
                x[i] *= f;
        }
        for (int64_t h = 0; h < s->Hv; h++) {
            double x = (double)s->a[t * s->Hv + h] + (double)s->dt[h];
            r->beta[t * s->Hv + h] = (double)s->beta_max * sigmoid64((double)s->b[t * s->Hv + h]);
            r->g[t * s->Hv + h] = -exp((double)s->a_log[h]) * (fmax(x, 0.0) + log1p(exp(-fabs(x))));
        }
    }
}

static void truth_new(const struct sample *s, struct truth *r) {
    size_t nz = (size_t)(s->T * s->channels), nh = (size_t)(s->T * s->Hv);
    size_t ns = (size_t)(s->Hv * s->Dk * s->Dv), no = (size_t)(s->T * s->Vd);
    r->z = ox_alloc(nz + 2 * nh + ns + no, sizeof(double), "truth", NULL);
    assert_non_null(r->z);
    r->g = r->z + nz;
    r->beta = r->g + nh;
    r->state = r->beta + nh;
    r->out = r->state + ns;
    truth_inputs(s, r);
    for (int64_t h = 0; h < s->Hv; h++)
        for (int64_t d = 0; d < s->Dv; d++)
            for (int64_t i = 0; i < s->Dk; i++)
                r->state[(h * s->Dk + i) * s->Dv + d] =
                    (double)s->state[(h * s->Dv + d) * s->Dk + i];
}

static const double *key64(const struct sample *s, const struct truth *r, int64_t t, int64_t h,
                           bool is_q) {
    return r->z + t * s->channels + (is_q ? 0 : s->Kd) + h / (s->Hv / s->Hk) * s->Dk;
}

static void truth_recurrent(const struct sample *s, struct truth *r) {
    for (int64_t h = 0; h < s->Hv; h++)
        for (int64_t t = 0; t < s->T; t++) {
            double *S = r->state + h * s->Dk * s->Dv, decay = exp(r->g[t * s->Hv + h]);
            const double *q = key64(s, r, t, h, true), *k = key64(s, r, t, h, false);
            for (int64_t d = 0; d < s->Dv; d++) {
                double sk = 0.0, y = 0.0;
                for (int64_t i = 0; i < s->Dk; i++)
                    sk += (S[i * s->Dv + d] *= decay) * k[i];
                double v = r->z[t * s->channels + 2 * s->Kd + h * s->Dv + d];
                double e = r->beta[t * s->Hv + h] * (v - sk);
                for (int64_t i = 0; i < s->Dk; i++)
                    y += (S[i * s->Dv + d] += k[i] * e) * q[i];
                r->out[t * s->Vd + h * s->Dv + d] = y;
            }
        }
}

/* One chunk of C tokens of one head by the matrix form: E by forward substitution, then Y and S. */
static void truth_chunk(const struct sample *s, struct truth *r, int64_t h, int64_t t0, int64_t C) {
    double G[64], *S = r->state + h * s->Dk * s->Dv;
    static double E[64][256];
    for (int64_t i = 0; i < C; i++)
        G[i] = (i ? G[i - 1] : 0.0) + r->g[(t0 + i) * s->Hv + h];
    for (int64_t i = 0; i < C; i++) {
        const double *k = key64(s, r, t0 + i, h, false);
        double beta = r->beta[(t0 + i) * s->Hv + h];
        for (int64_t d = 0; d < s->Dv; d++) {
            double sk = 0.0;
            for (int64_t x = 0; x < s->Dk; x++)
                sk += S[x * s->Dv + d] * k[x];
            E[i][d] =
                beta * (r->z[(t0 + i) * s->channels + 2 * s->Kd + h * s->Dv + d] - exp(G[i]) * sk);
        }
        for (int64_t j = 0; j < i; j++) {
            const double *kj = key64(s, r, t0 + j, h, false);
            double dot = 0.0;
            for (int64_t x = 0; x < s->Dk; x++)
                dot += k[x] * kj[x];
            for (int64_t d = 0; d < s->Dv; d++)
                E[i][d] -= beta * dot * exp(G[i] - G[j]) * E[j][d];
        }
    }
    for (int64_t i = 0; i < C; i++) {
        const double *q = key64(s, r, t0 + i, h, true);
        for (int64_t d = 0; d < s->Dv; d++) {
            double y = 0.0;
            for (int64_t x = 0; x < s->Dk; x++)
                y += exp(G[i]) * S[x * s->Dv + d] * q[x];
            for (int64_t j = 0; j <= i; j++) {
                const double *kj = key64(s, r, t0 + j, h, false);
                double dot = 0.0;
                for (int64_t x = 0; x < s->Dk; x++)
                    dot += q[x] * kj[x];
                y += dot * exp(G[i] - G[j]) * E[j][d];
            }
            r->out[(t0 + i) * s->Vd + h * s->Dv + d] = y;
        }
    }
    for (int64_t x = 0; x < s->Dk; x++)
        for (int64_t d = 0; d < s->Dv; d++) {
            double sum = exp(G[C - 1]) * S[x * s->Dv + d];
            for (int64_t j = 0; j < C; j++)
                sum += exp(G[C - 1] - G[j]) * key64(s, r, t0 + j, h, false)[x] * E[j][d];
            S[x * s->Dv + d] = sum;
        }
}

static void truth_chunked(const struct sample *s, struct truth *r) {
    for (int64_t h = 0; h < s->Hv; h++)
        for (int64_t t = 0; t < s->T; t += 64)
            truth_chunk(s, r, h, t, s->T - t < 64 ? s->T - t : 64);
}

/* ---- cases --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t T, Hk, Hv, Dk, Dv;
    float key_noise, beta_max;
} cases[] = {
    {"one token", 1, 1, 1, 8, 8, 1.0f, 2.0f},
    {"odd sizes", 5, 3, 3, 7, 13, 1.0f, 2.0f},
    {"one lane short", 9, 1, 2, 15, 31, 1.0f, 1.0f},
    {"one lane more", 9, 1, 2, 17, 33, 1.0f, 2.0f},
    {"tiny-7b-shape", 33, 4, 4, 24, 48, 1.0f, 2.0f},
    {"tiny-f16", 20, 5, 5, 12, 24, 1.0f, 1.0f},
    {"shared keys", 17, 2, 6, 16, 32, 1.0f, 2.0f},
    {"oxbow-mini", 70, 9, 9, 64, 64, 1.0f, 2.0f},
    {"7b", 6, 3, 3, 96, 192, 1.0f, 2.0f},
    {"parallel keys", 150, 2, 2, 64, 64, 0.05f, 2.0f},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static void case_new(size_t i, struct sample *s) {
    sample_new(s, cases[i].T, cases[i].Hk, cases[i].Hv, cases[i].Dk, cases[i].Dv);
    s->beta_max = cases[i].beta_max;
    sample_random(s, cases[i].key_noise, 100 + i);
}

static bool check_state(const char *what, const struct sample *s, const struct truth *r) {
    size_t n = (size_t)(s->Vd * s->Dk);
    double *want = ox_alloc(n, sizeof *want, "state", NULL);
    assert_non_null(want);
    for (int64_t h = 0; h < s->Hv; h++)
        for (int64_t d = 0; d < s->Dv; d++)
            for (int64_t i = 0; i < s->Dk; i++)
                want[(h * s->Dv + d) * s->Dk + i] = r->state[(h * s->Dk + i) * s->Dv + d];
    bool ok = compare_close(what, s->state, want, n, 1e-10);
    ox_free(want);
    return ok;
}

static void test_kn_gdn__every_level_agrees_with_float64(void **state) {
    (void)state;
    char name[40], what[128];
    kn_dev *dev;
    for (int level = 0; compare_open_level(level, false, NULL, &dev, name, sizeof name); level++) {
        for (size_t i = 0; i < N_CASES; i++) {
            struct sample s;
            struct truth r;
            case_new(i, &s);
            truth_new(&s, &r);
            truth_recurrent(&s, &r);
            sample_restart(&s);
            run(dev, &s, 0, s.T);
            snprintf(what, sizeof what, "%s, %s", name, cases[i].name);
            if (!compare_close(what, s.out, r.out, (size_t)(s.T * s.Vd), 1e-10)) fail();
            if (!check_state(what, &s, &r)) fail();
            ox_free(r.z);
            sample_free(&s);
        }
        kn_cpu()->close(dev);
    }
}

static void test_kn_gdn__chunked_form_agrees_with_the_recurrence(void **state) {
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        struct sample s;
        struct truth a, b;
        case_new(i, &s);
        truth_new(&s, &a);
        truth_new(&s, &b);
        truth_recurrent(&s, &a);
        truth_chunked(&s, &b);
        for (int64_t j = 0; j < s.T * s.Vd; j++)
            if (!(fabs(a.out[j] - b.out[j]) <= 1e-10 * (1.0 + fabs(a.out[j]))))
                fail_msg("%s, element %lld: %.15g and %.15g", cases[i].name, (long long)j, a.out[j],
                         b.out[j]);
        ox_free(a.z);
        ox_free(b.z);
        sample_free(&s);
    }
}

/* Prefill in one go, token by token and in pieces, on one thread and on three that run backwards.
 */
static void test_kn_gdn__no_cut_changes_a_bit(void **state) {
    (void)state;
    const struct kn_host host = compare_backward_host(3);
    char name[40], what[128];
    kn_dev *dev, *other;
    for (int level = 0; compare_open_level(level, false, NULL, &dev, name, sizeof name); level++) {
        assert_true(compare_open_level(level, false, &host, &other, name, sizeof name));
        for (size_t i = 0; i < N_CASES; i++) {
            struct sample s, one;
            case_new(i, &s);
            case_new(i, &one);
            sample_restart(&one);
            run(dev, &one, 0, one.T);
            for (int64_t piece = 1; piece < s.T; piece = piece * 3 + 1) {
                sample_restart(&s);
                for (int64_t t = 0; t < s.T; t += piece)
                    run(other, &s, t, t + piece < s.T ? t + piece : s.T);
                snprintf(what, sizeof what, "%s, %s in pieces of %lld", name, cases[i].name,
                         (long long)piece);
                if (!compare_equal(what, s.block, one.block, s.n_floats * sizeof(float))) fail();
            }
            sample_free(&s);
            sample_free(&one);
        }
        kn_cpu()->close(dev);
        kn_cpu()->close(other);
    }
}

/* Keys and queries of size 1e-4: 1e-6 in the root then halves them; without it they would have
 * length 1, with an epsilon on the mean or outside the root the result is another one as well. */
static void test_kn_gdn__l2_epsilon_is_on_the_sum_and_in_the_root(void **state) {
    (void)state;
    char name[40];
    kn_dev *dev;
    for (int level = 0; compare_open_level(level, false, NULL, &dev, name, sizeof name); level++) {
        struct sample s;
        sample_new(&s, 1, 1, 1, 16, 16);
        for (int64_t c = 0; c < s.channels; c++)
            s.taps[c * W + 3] = 1.0f;
        s.q[0] = s.k[0] = 2e-3f; /* SiLU(2e-3) = 1.001e-3, sum of squares 1.002e-6 */
        s.v[0] = 10.0f;
        s.b[0] = 0.0f; /* beta 1 */
        run(dev, &s, 0, 1);
        double z = 2e-3 * sigmoid64(2e-3), u = z / sqrt(z * z + 1e-6), v = 10.0 * sigmoid64(10.0);
        double want[16] = {u * u / 4.0 * v};
        if (!compare_close(name, s.out, want, 16, 1e-10)) fail();
        assert_true(want[0] > 1.24 && want[0] < 1.26); /* half of what epsilon 0 would give */
        sample_free(&s);
        kn_cpu()->close(dev);
    }
}

static void test_kn_gdn__worked_convolution(void **state) {
    (void)state;
    char name[40];
    kn_dev *dev;
    for (int level = 0; compare_open_level(level, false, NULL, &dev, name, sizeof name); level++) {
        struct sample s;
        sample_new(&s, 3, 1, 1, 1, 1);
        const float taps[4] = {1, 10, 100, 1000};
        memcpy(s.taps + 2 * W, taps, sizeof taps); /* the v channel; keys stay zero: e = beta v */
        for (int64_t w = 0; w < W; w++)
            s.taps[W + w] = s.taps[w] = w == 3 ? 100.0f : 0.0f; /* q and k: 1 after the norm */
        for (int t = 0; t < 3; t++) {
            s.q[t] = s.k[t] = 1.0f;
            s.v[t] = (float)(t + 1);
            s.b[t] = 0.0f;   /* beta 1: S becomes v */
            s.a[t] = 100.0f; /* decay to nothing */
        }
        run(dev, &s, 0, 3);
        const double want[3] = {1000, 2100, 3210}; /* SiLU of such numbers is the number */
        if (!compare_close(name, s.out, want, 3, 1e-10)) fail();
        for (int r = 0; r < 3; r++) /* the last three raw projections */
            assert_true(s.conv[r * 3 + 2] > (float)r + 0.999f &&
                        s.conv[r * 3 + 2] < (float)r + 1.001f);
        sample_free(&s);
        kn_cpu()->close(dev);
    }
}

static void test_kn_gdn__worked_delta_rule(void **state) {
    (void)state;
    float S[4] = {1, 0, 0, 1}, y[2]; /* S' : [Dv,Dk] */
    const float q1[] = {1, 0}, k1[] = {1, 0}, v1[] = {1, 2}, q2[] = {0, 1}, k2[] = {0.6f, 0.8f},
                v2[] = {3, -1};
    ref_gdn_step(S, q1, k1, v1, logf(0.5f), 2.0f, 2, 2, y);
    const double want1[] = {1.5, 4.0}, want2[] = {3.06, -2.63},
                 want_S[] = {3.045, 3.06, -0.16, -2.63};
    assert_true(compare_close("token 1", y, want1, 2, 1e-12));
    ref_gdn_step(S, q2, k2, v2, logf(0.5f), 1.5f, 2, 2, y);
    assert_true(compare_close("token 2", y, want2, 2, 1e-12));
    assert_true(compare_close("state", S, want_S, 4, 1e-12));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kn_gdn__every_level_agrees_with_float64),
        cmocka_unit_test(test_kn_gdn__chunked_form_agrees_with_the_recurrence),
        cmocka_unit_test(test_kn_gdn__no_cut_changes_a_bit),
        cmocka_unit_test(test_kn_gdn__l2_epsilon_is_on_the_sum_and_in_the_root),
        cmocka_unit_test(test_kn_gdn__worked_convolution),
        cmocka_unit_test(test_kn_gdn__worked_delta_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
