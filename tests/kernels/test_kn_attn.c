/* test_kn_attn.c - attention: every level, KV type, head layout and cut against float64 over the
 * values that the pages really hold; RoPE; pages that are filled a piece at a time. */
#include "kernels/base/ox_mem.h"
#include "kernels/cpu/cpu_ref.h"
#include "tests/support/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static const struct attn_case {
    const char *name;
    int64_t T, Dh;
    int H, Hkv;
    float rope_theta;
} cases[] = {
    {"one token", 1, 8, 1, 1, 0.0f},
    {"odd", 5, 6, 3, 1, 0.0f},
    {"tiny-7b-shape", 65, 32, 5, 5, 0.0f},
    {"tiny-gqa with RoPE", 70, 16, 6, 2, 10000.0f},
    {"key block - 1", 63, 64, 3, 1, 0.0f},
    {"key block + 1", 65, 64, 3, 1, 500000.0f},
    {"oxbow-mini over a page", 300, 64, 9, 3, 0.0f},
    {"7b", 40, 128, 2, 2, 0.0f},
    {"range border", 1030, 16, 2, 1, 0.0f},
};
enum { N_CASES = sizeof cases / sizeof cases[0], MAX_PAGES = 5, LAYERS = 2 };
static const enum kn_dtype kv_types[] = {KN_F32, KN_BF16, KN_I8};

struct sample {
    const struct attn_case *c;
    enum kn_dtype kv;
    int64_t nq, nk;
    float *q, *k, *v, *q_norm, *k_norm, *out, *block;
    void *page[MAX_PAGES];
    size_t page_bytes;
};

static void sample_new(struct sample *s, const struct attn_case *c, enum kn_dtype kv,
                       uint64_t seed) {
    struct compare_rng r = {seed};
    *s = (struct sample){.c = c, .kv = kv, .nq = c->H * c->Dh, .nk = c->Hkv * c->Dh};
    int64_t n_in = c->T * (s->nq + 2 * s->nk) + s->nq + s->nk;
    s->block = ox_alloc64((size_t)(n_in + c->T * s->nq), sizeof(float), "test", NULL);
    assert_non_null(s->block);
    s->q = s->block;
    s->k = s->q + c->T * s->nq;
    s->v = s->k + c->T * s->nk;
    s->q_norm = s->v + c->T * s->nk;
    s->k_norm = s->q_norm + s->nq;
    s->out = s->k_norm + s->nk;
    compare_fill(&r, s->block, (size_t)n_in, 1.5f);
    s->page_bytes = LAYERS * 2 * (size_t)c->Hkv * kn_kv_block_bytes(kv, c->Dh);
    for (int i = 0; i < MAX_PAGES; i++) {
        s->page[i] = ox_alloc64(s->page_bytes, 1, "page", NULL);
        assert_non_null(s->page[i]);
        memset(s->page[i], 0xff, s->page_bytes); /* NaN in every type that has one */
    }
    compare_poison(s->out, (size_t)(c->T * s->nq));
}

static void sample_free(struct sample *s) {
    for (int i = 0; i < MAX_PAGES; i++)
        ox_free(s->page[i]);
    ox_free(s->block);
}

static size_t layer_offset(const struct sample *s) {
    return s->page_bytes / LAYERS; /* the second layer: the offset must be honoured */
}

static void run(kn_dev *dev, struct sample *s, int64_t from, int64_t to) {
    int64_t n = to - from;
    int32_t tok = 0;
    bool replayed;
    struct kn_step step = {.tok = &tok, .pages = s->page, .n_cached = from, .n_tok = (int32_t)n};
    struct kn_attn a = {
        .q = {s->q + from * s->nq, n, s->nq, KN_F32},
        .k = {s->k + from * s->nk, n, s->nk, KN_F32},
        .v = {s->v + from * s->nk, n, s->nk, KN_F32},
        .q_norm = {s->q_norm, 1, s->nq, KN_F32},
        .k_norm = {s->k_norm, 1, s->nk, KN_F32},
        .out = {s->out + from * s->nq, n, s->nq, KN_F32},
        .page_offset = layer_offset(s),
        .n_heads = s->c->H,
        .n_kv_heads = s->c->Hkv,
        .kv = s->kv,
        .eps = 1e-6f,
        .scale = 1.0f / sqrtf((float)s->c->Dh),
        .rope_theta = s->c->rope_theta,
    };
    const struct kn_backend *kn = kn_cpu();
    assert_int_equal(kn->begin(dev, &step, &replayed, NULL), 0);
    assert_int_equal(kn->attn(dev, &a, NULL), 0);
    assert_int_equal(kn->end(dev, NULL), 0);
}

/* ---- float64 ------------------------------------------------------------------------------- */

static void norm64(const float *x, const float *w, int64_t n, double *y) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (int64_t i = 0; i < n; i++)
        y[i] = (double)w[i] * (double)x[i] / sqrt(sum / (double)n + 1e-6);
}

static void rope64(double *z, int64_t Dh, int64_t pos, double theta) {
    for (int64_t i = 0; i < Dh / 2; i++) {
        double angle = (double)pos * pow(theta, -2.0 * (double)i / (double)Dh);
        double a = z[i], b = z[i + Dh / 2];
        z[i] = a * cos(angle) - b * sin(angle);
        z[i + Dh / 2] = b * cos(angle) + a * sin(angle);
    }
}

/* A stored value in double, read from the page by the layout of docs/STORE.md section 5. */
static double stored(const struct sample *s, int head, int which, int64_t pos, int64_t i) {
    float row[256];
    size_t block = kn_kv_block_bytes(s->kv, s->c->Dh);
    const char *page = s->page[pos / KN_PAGE_TOKENS];
    ref_kv_load(page + layer_offset(s) + (size_t)(2 * head + which) * block, s->kv, s->c->Dh,
                pos % KN_PAGE_TOKENS, row);
    return (double)row[i];
}

static void truth(const struct sample *s, const double *K, const double *V, int64_t t,
                  double *out) {
    int64_t Dh = s->c->Dh, n = t + 1;
    double q[1152], score[1100];
    norm64(s->q + t * s->nq, s->q_norm, s->nq, q);
    for (int h = 0; h < s->c->H; h++) {
        int kv_head = h / (s->c->H / s->c->Hkv);
        if (s->c->rope_theta > 0.0f) rope64(q + h * Dh, Dh, t, (double)s->c->rope_theta);
        double max = -1e300, total = 0.0;
        for (int64_t p = 0; p < n; p++) {
            score[p] = 0.0;
            for (int64_t i = 0; i < Dh; i++)
                score[p] += q[h * Dh + i] * K[p * s->nk + kv_head * Dh + i];
            score[p] /= sqrt((double)Dh);
            max = fmax(max, score[p]);
        }
        for (int64_t p = 0; p < n; p++)
            total += score[p] = exp(score[p] - max);
        for (int64_t i = 0; i < Dh; i++) {
            out[h * Dh + i] = 0.0;
            for (int64_t p = 0; p < n; p++)
                out[h * Dh + i] += score[p] / total * V[p * s->nk + kv_head * Dh + i];
        }
    }
}

/* Stored keys and values within the rounding of their type, then the output over the stored ones.
 */
static bool check(const char *what, const struct sample *s, double limit) {
    int64_t T = s->c->T, Dh = s->c->Dh;
    size_t n_kv = (size_t)(T * s->nk), n_out = (size_t)(T * s->nq);
    double *K = ox_alloc(2 * n_kv + n_out, sizeof *K, "truth", NULL), *V = K + n_kv,
           *out = V + n_kv;
    double k[1152], kv_err = 0.0, kv_size = 0.0;
    assert_non_null(K);
    for (int64_t t = 0; t < T; t++) {
        norm64(s->k + t * s->nk, s->k_norm, s->nk, k);
        for (int h = 0; h < s->c->Hkv; h++) {
            if (s->c->rope_theta > 0.0f) rope64(k + h * Dh, Dh, t, (double)s->c->rope_theta);
            for (int64_t i = 0; i < Dh; i++) {
                double dk = K[t * s->nk + h * Dh + i] = stored(s, h, 0, t, i);
                double dv = V[t * s->nk + h * Dh + i] = stored(s, h, 1, t, i),
                       v = (double)s->v[t * s->nk + h * Dh + i];
                dk -= k[h * Dh + i];
                dv -= v;
                kv_err += dk * dk + dv * dv;
                kv_size += k[h * Dh + i] * k[h * Dh + i] + v * v;
            }
        }
        truth(s, K, V, t, out + t * s->nq);
    }
    /* bf16 rounds to 2^-9: mean square 1/12 (2^-8)^2; int8 to 1/254 of the largest of 64. */
    double kv_limit = s->kv == KN_F32 ? 1e-10 : s->kv == KN_BF16 ? 4e-6 : 1.5e-4;
    bool ok = kv_err <= kv_limit * kv_size;
    if (!ok)
        fprintf(stderr, "%s: stored keys and values are off by %.3g\n", what, kv_err / kv_size);
    ok = ok && compare_close(what, s->out, out, n_out, limit);
    ox_free(K);
    return ok;
}

/* Exact mode 1e-10; the fast mode may round queries and probabilities to bf16 (2^-9 each). */
static void check_levels(bool f32_act, double limit) {
    char name[40], what[128];
    kn_dev *dev;
    for (int level = 0; compare_open_level(level, f32_act, NULL, &dev, name, sizeof name);
         level++) {
        for (size_t i = 0; i < N_CASES; i++)
            for (int kv = 0; kv < 3; kv++) {
                struct sample s;
                sample_new(&s, &cases[i], kv_types[kv], 500 + i);
                run(dev, &s, 0, s.c->T);
                snprintf(what, sizeof what, "%s, kv %s, %s", name, kn_dtype_name(s.kv),
                         cases[i].name);
                bool is_exact = level == 0 || s.kv == KN_F32;
                if (!check(what, &s, is_exact ? 1e-10 : limit)) fail();
                sample_free(&s);
            }
        kn_cpu()->close(dev);
    }
}

static void test_kn_attn__exact_mode_agrees_with_float64(void **state) {
    (void)state;
    check_levels(true, 1e-10);
}

static void test_kn_attn__fast_mode_stays_within_its_rounding(void **state) {
    (void)state;
    check_levels(false, 3e-5);
}

static void test_kn_attn__no_cut_changes_a_bit(void **state) {
    (void)state;
    const struct kn_host host = compare_backward_host(3);
    char name[40], what[128];
    kn_dev *dev, *other;
    for (int f32 = 0; f32 < 2; f32++)
        for (int level = 0; compare_open_level(level, f32, NULL, &dev, name, sizeof name);
             level++) {
            assert_true(compare_open_level(level, f32, &host, &other, name, sizeof name));
            for (size_t i = 0; i < N_CASES; i++)
                for (int kv = 0; kv < 3; kv++) {
                    struct sample s, one;
                    sample_new(&s, &cases[i], kv_types[kv], 500 + i);
                    sample_new(&one, &cases[i], kv_types[kv], 500 + i);
                    run(dev, &one, 0, one.c->T);
                    for (int64_t from = 0, n = 1; from < s.c->T; from += n, n = n * 3 % 67 + 1)
                        run(other, &s, from, from + n < s.c->T ? from + n : s.c->T);
                    snprintf(what, sizeof what, "%s, kv %s, %s in pieces", name,
                             kn_dtype_name(s.kv), cases[i].name);
                    if (!compare_equal(what, s.out, one.out,
                                       (size_t)(s.c->T * s.nq) * sizeof(float)))
                        fail();
                    for (int p = 0; p < MAX_PAGES; p++)
                        if (!compare_equal(what, s.page[p], one.page[p], s.page_bytes)) fail();
                    sample_free(&s);
                    sample_free(&one);
                }
            kn_cpu()->close(dev);
            kn_cpu()->close(other);
        }
}

static void test_kn_attn__a_missing_page_is_refused(void **state) {
    (void)state;
    kn_dev *dev;
    ox_err err;
    bool replayed;
    int32_t tok = 0;
    float x[8] = {0};
    assert_int_equal(kn_cpu()->open(&(struct kn_open){.which = "ref"}, &dev, NULL), 0);
    kn_tensor t = {x, 1, 8, KN_F32};
    struct kn_attn a = {.q = t,
                        .k = t,
                        .v = t,
                        .q_norm = t,
                        .k_norm = t,
                        .out = t,
                        .n_heads = 1,
                        .n_kv_heads = 1,
                        .kv = KN_F32};
    void *pages[2] = {x, NULL};
    struct kn_step step = {.tok = &tok, .pages = pages, .n_cached = 256, .n_tok = 1};
    assert_int_equal(kn_cpu()->attn(dev, &a, &err), OX_EUSAGE); /* outside a step */
    assert_int_equal(kn_cpu()->begin(dev, &step, &replayed, NULL), 0);
    assert_int_equal(kn_cpu()->attn(dev, &a, &err), OX_EUSAGE);
    assert_string_equal(err.what, "attn: page 1 of 2 is missing");
    kn_cpu()->close(dev);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kn_attn__exact_mode_agrees_with_float64),
        cmocka_unit_test(test_kn_attn__fast_mode_stays_within_its_rounding),
        cmocka_unit_test(test_kn_attn__no_cut_changes_a_bit),
        cmocka_unit_test(test_kn_attn__a_missing_page_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
