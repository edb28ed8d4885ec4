/* test_kn_linear.c - embed and linear: every weight type, prologue and epilogue, every level
 * against float64; the packing example of docs/MODEL.md section 11; rows that do not depend on
 * their neighbours; the int8 activations of the fast mode against their own bound. */
#include "kernels/base/ox_mem.h"
#include "kernels/cpu/cpu_ref.h"
#include "tests/support/compare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static const struct type_case {
    const char *name;
    enum kn_dtype type;
    int64_t group;
    bool has_zero;
} types[] = {
    {"f32", KN_F32, 0, false},          {"bf16", KN_BF16, 0, false},
    {"f16", KN_F16, 0, false},          {"int8 row", KN_I8, 0, false},
    {"int8 g32", KN_I8, 32, false},     {"int4 row", KN_I4, 0, false},
    {"int4 g32", KN_I4, 32, false},     {"int4 g64", KN_I4, 64, false},
    {"int4 g128", KN_I4, 128, false},   {"int4 g64 zero", KN_I4, 64, true},
    {"int8 g64 zero", KN_I8, 64, true}, {"int8 row zero", KN_I8, 0, true},
};
enum { N_TYPES = sizeof types / sizeof types[0], MAX_PARTS = 3 };

static const struct shape_case {
    const char *name;
    int64_t T, D, O[MAX_PARTS];
    int n_parts;
    enum kn_epi epi;
    bool has_add, has_norm, has_gate;
    int64_t norm_cols; /* 0: D */
} shapes[] = {
    {"one", 1, 128, {1}, 1, KN_EPI_STORE, 0, 0, 0, 0},
    {"row tile - 1", 3, 128, {15}, 1, KN_EPI_STORE, 0, 1, 0, 0},
    {"row tile + 1", 7, 256, {17, 33, 5}, 3, KN_EPI_STORE, 0, 1, 0, 0},
    {"post-norm add", 5, 128, {16, 32}, 2, KN_EPI_STORE, 1, 0, 0, 0},
    {"add and norm", 2, 128, {48}, 1, KN_EPI_STORE, 1, 1, 0, 0},
    {"gated norm a head", 4, 256, {40}, 1, KN_EPI_ADD, 0, 1, 1, 64},
    {"swiglu", 13, 128, {70, 70}, 2, KN_EPI_SWIGLU, 0, 1, 0, 0},
    {"residual", 1, 384, {129}, 1, KN_EPI_ADD, 0, 0, 0, 0},
    {"token tiles", 97, 128, {64}, 1, KN_EPI_STORE, 0, 0, 0, 0},
    {"mini down", 25, 1536, {576}, 1, KN_EPI_ADD, 0, 0, 0, 0},
    {"long rows, last run short", 1, 1664, {40}, 1, KN_EPI_STORE, 0, 1, 0, 0},
    {"long rows in pairs", 14, 1664, {40, 40}, 2, KN_EPI_SWIGLU, 0, 1, 0, 0},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

struct sample {
    const struct shape_case *c;
    struct compare_matrix m[MAX_PARTS];
    struct kn_linear l;
    float *block, *start;
    size_t n_floats, from_out, n_out;
    double *want;   /* out[0], out[1], .. */
    double *want_x; /* x after the add */
    double size; /* sum over outputs and inputs of (w x)^2: what an error is measured by, since sums
                    cancel */
};

static kn_tensor take(float **p, int64_t rows, int64_t cols) {
    kn_tensor t = {*p, rows, cols, KN_F32};
    *p += rows * cols;
    return t;
}

static void sample_new(struct sample *s, const struct shape_case *c, const struct type_case *t,
                       uint64_t seed) {
    struct compare_rng r = {seed};
    *s = (struct sample){.c = c};
    int64_t all_O = 0, norm_cols = c->norm_cols ? c->norm_cols : c->D;
    for (int i = 0; i < c->n_parts; i++) {
        assert_true(
            compare_matrix_new(&r, t->type, c->O[i], c->D, t->group, t->has_zero, &s->m[i]));
        all_O += c->O[i];
    }
    s->from_out = (size_t)(3 * c->T * c->D + c->D + norm_cols);
    s->n_out = (size_t)(c->T * all_O);
    s->n_floats = s->from_out + s->n_out;
    s->block = ox_alloc64(2 * s->n_floats, sizeof(float), "test", NULL);
    s->want = ox_alloc(s->n_out + (size_t)(c->T * c->D), sizeof(double), "test", NULL);
    assert_true(s->block && s->want);
    s->want_x = s->want + s->n_out;
    s->start = s->block + s->n_floats;
    compare_fill(&r, s->block, s->n_floats, 1.0f);
    memcpy(s->start, s->block, s->n_floats * sizeof(float));
    float *p = s->block;
    s->l = (struct kn_linear){.epi = c->epi, .add_eps = 1e-6f, .norm_eps = 1e-5f};
    s->l.x = take(&p, c->T, c->D);
    kn_tensor add = take(&p, c->T, c->D), gate = take(&p, c->T, c->D), add_norm = take(&p, 1, c->D);
    kn_tensor norm = take(&p, 1, norm_cols);
    if (c->has_add) s->l.add = add, s->l.add_norm = add_norm;
    if (c->has_norm) s->l.norm = norm;
    if (c->has_gate) s->l.gate = gate;
    for (int i = 0; i < c->n_parts; i++)
        s->l.out[i] = take(&p, c->T, c->O[i]);
}

static void sample_restart(struct sample *s) {
    memcpy(s->block, s->start, s->n_floats * sizeof(float));
    if (s->c->epi != KN_EPI_ADD) compare_poison(s->block + s->from_out, s->n_out);
}

static void sample_free(struct sample *s) {
    for (int i = 0; i < s->c->n_parts; i++)
        compare_matrix_free(&s->m[i]);
    ox_free(s->block);
    ox_free(s->want);
}

/* ---- float64 ------------------------------------------------------------------------------- */

static void rms64(double *x, const float *w, int64_t n, double eps) {
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    for (int64_t i = 0; i < n; i++)
        x[i] *= (double)w[i] / sqrt(sum / (double)n + eps);
}

static void prologue64(const struct sample *s, int64_t t, double *x) {
    const struct kn_linear *l = &s->l;
    int64_t D = s->c->D;
    const float *x0 = s->start + t * D, *add = s->start + (s->c->T + t) * D,
                *gate = add + s->c->T * D;
    for (int64_t i = 0; i < D; i++)
        x[i] = (double)add[i];
    if (l->add.data) rms64(x, l->add_norm.data, D, (double)l->add_eps);
    for (int64_t i = 0; i < D; i++)
        s->want_x[t * D + i] = x[i] = (double)x0[i] + (l->add.data ? x[i] : 0.0);
    for (int64_t i = 0; l->norm.data && i < D; i += l->norm.cols)
        rms64(x + i, l->norm.data, l->norm.cols, (double)l->norm_eps);
    for (int64_t i = 0; l->gate.data && i < D; i++)
        x[i] *= (double)gate[i] / (1.0 + exp(-(double)gate[i]));
}

static double dot64(struct sample *s, int part, int64_t o, const double *x) {
    double sum = 0.0, size = 0.0;
    for (int64_t i = 0; i < s->c->D; i++) {
        double w = (double)s->m[part].value[o * s->c->D + i];
        sum += w * x[i];
        size += w * x[i] * w * x[i];
    }
    s->size += size;
    return sum;
}

static void sample_truth(struct sample *s) {
    double x[2048];
    for (int64_t t = 0; t < s->c->T; t++) {
        prologue64(s, t, x);
        double *want = s->want;
        for (int i = 0; i < s->c->n_parts; i++) {
            int64_t O = s->c->O[i];
            for (int64_t o = 0; o < O; o++) {
                double y = dot64(s, i, o, x);
                if (s->c->epi == KN_EPI_SWIGLU) {
                    if (i == 1) break;
                    y = y / (1.0 + exp(-y)) * dot64(s, 1, o, x);
                }
                if (s->c->epi == KN_EPI_ADD)
                    y += (double)s->start[s->from_out + (size_t)(t * O + o)];
                s->size += s->c->epi == KN_EPI_SWIGLU ? y * y : 0.0;
                want[t * O + o] = y;
            }
            want += s->c->T * O;
        }
    }
}

/* ---- runs ---------------------------------------------------------------------------------- */

static void run(kn_dev *dev, struct sample *s, const kn_weight *w, int64_t from, int64_t to) {
    struct kn_linear l = s->l;
    l.w = w;
    kn_tensor *rows[] = {&l.x, &l.add, &l.gate, &l.out[0], &l.out[1], &l.out[2]};
    for (int i = 0; i < 6; i++) {
        if (!rows[i]->data) continue;
        rows[i]->data = (float *)rows[i]->data + from * rows[i]->cols;
        rows[i]->rows = to - from;
    }
    int32_t tok = 0;
    bool replayed;
    struct kn_step step = {.tok = &tok, .n_tok = 1};
    const struct kn_backend *kn = kn_cpu();
    assert_int_equal(kn->begin(dev, &step, &replayed, NULL), 0);
    assert_int_equal(kn->linear(dev, &l, NULL), 0);
    assert_int_equal(kn->end(dev, NULL), 0);
}

static kn_weight *pack(kn_dev *dev, struct sample *s) {
    struct kn_part part[MAX_PARTS];
    for (int i = 0; i < s->c->n_parts; i++)
        part[i] = s->m[i].part;
    kn_weight *w = NULL;
    assert_int_equal(kn_cpu()->pack(dev, part, s->c->n_parts, &w, NULL), 0);
    return w;
}

static size_t n_checked(const struct sample *s) {
    return s->c->epi == KN_EPI_SWIGLU ? (size_t)(s->c->T * s->c->O[0]) : s->n_out;
}

/* f32 activations: NMSE 1e-10, a thousandth of what the models' rule asks for. The fast mode rounds
 * activations to 1/127 of the largest of 64: (1/127)^2 / 12 of its square, which is 10 to 40 times
 * the mean square where a normal deviate is multiplied by another. */
static void check_levels(bool f32_act, double limit) {
    char name[40], what[160];
    kn_dev *dev;
    for (int level = 0; compare_open_level(level, f32_act, NULL, &dev, name, sizeof name);
         level++) {
        bool is_ref = level == 0;
        for (size_t t = 0; t < N_TYPES; t++)
            for (size_t c = 0; c < N_SHAPES; c++) {
                struct sample s;
                if (types[t].group && shapes[c].D % types[t].group) continue;
                sample_new(&s, &shapes[c], &types[t], 1000 + c * 31 + t);
                sample_truth(&s);
                sample_restart(&s);
                kn_weight *w = pack(dev, &s);
                run(dev, &s, w, 0, s.c->T);
                snprintf(what, sizeof what, "%s, %s, %s", name, types[t].name, shapes[c].name);
                double lim = is_ref && limit > 1e-10 ? 1e-10 : limit;
                if (!compare_close_to(what, s.block + s.from_out, s.want, n_checked(&s), s.size,
                                      lim))
                    fail();
                if (!compare_close(what, s.block, s.want_x, (size_t)(s.c->T * s.c->D), 1e-12))
                    fail();
                kn_cpu()->drop(dev, w);
                sample_free(&s);
            }
        kn_cpu()->close(dev);
    }
}

static void test_kn_linear__f32_activations_agree_with_float64(void **state) {
    (void)state;
    check_levels(true, 1e-10);
}

static void test_kn_linear__fast_mode_stays_within_its_rounding(void **state) {
    (void)state;
    check_levels(false, 3e-4);
}

static void test_kn_linear__rows_do_not_depend_on_their_neighbours(void **state) {
    (void)state;
    const struct kn_host host = compare_backward_host(3);
    char name[40], what[160];
    kn_dev *dev, *other;
    for (int f32 = 0; f32 < 2; f32++)
        for (int level = 0; compare_open_level(level, f32, NULL, &dev, name, sizeof name);
             level++) {
            assert_true(compare_open_level(level, f32, &host, &other, name, sizeof name));
            for (size_t t = 0; t < N_TYPES; t++)
                for (size_t c = 2; c < N_SHAPES; c++) {
                    struct sample s, one;
                    if (types[t].group && shapes[c].D % types[t].group) continue;
                    sample_new(&s, &shapes[c], &types[t], 1000 + c);
                    sample_new(&one, &shapes[c], &types[t], 1000 + c);
                    kn_weight *w = pack(dev, &one), *v = pack(other, &s);
                    sample_restart(&one);
                    run(dev, &one, w, 0, one.c->T);
                    sample_restart(&s);
                    for (int64_t from = 0, n = 1; from < s.c->T; from += n, n = n * 2 + 1)
                        run(other, &s, v, from, from + n < s.c->T ? from + n : s.c->T);
                    snprintf(what, sizeof what, "%s, %s, %s in pieces", name, types[t].name,
                             shapes[c].name);
                    size_t n = s.from_out + n_checked(&s);
                    if (!compare_equal(what, s.block, one.block, n * sizeof(float))) fail();
                    kn_cpu()->drop(dev, w);
                    kn_cpu()->drop(other, v);
                    sample_free(&s);
                    sample_free(&one);
                }
            kn_cpu()->close(dev);
            kn_cpu()->close(other);
        }
}

static void test_kn_linear__embed_gathers_exact_rows(void **state) {
    (void)state;
    char name[40];
    kn_dev *dev;
    for (int level = 0; compare_open_level(level, false, NULL, &dev, name, sizeof name); level++) {
        for (size_t t = 0; t < N_TYPES; t++) {
            struct compare_rng r = {77 + t};
            struct compare_matrix m;
            enum { ROWS = 37, D = 128 };
            assert_true(compare_matrix_new(&r, types[t].type, ROWS, D, types[t].group,
                                           types[t].has_zero, &m));
            int32_t tok[5] = {36, 0, 17, 16, 15};
            float out[5 * D];
            compare_poison(out, 5 * D);
            kn_tensor o = {out, 5, D, KN_F32};
            kn_weight *w = NULL;
            bool replayed;
            struct kn_step step = {.tok = tok, .n_tok = 5};
            const struct kn_backend *kn = kn_cpu();
            assert_int_equal(kn->pack(dev, &m.part, 1, &w, NULL), 0);
            assert_int_equal(kn->begin(dev, &step, &replayed, NULL), 0);
            assert_int_equal(kn->embed(dev, &o, w, NULL), 0);
            for (int i = 0; i < 5; i++)
                if (!compare_equal(types[t].name, out + i * D, m.value + tok[i] * D,
                                   D * sizeof(float)))
                    fail_msg("%s, %s, token %d", name, types[t].name, (int)tok[i]);
            tok[2] = ROWS;
            assert_int_equal(kn->embed(dev, &o, w, NULL), OX_EUSAGE);
            assert_int_equal(kn->end(dev, NULL), 0);
            kn->drop(dev, w);
            compare_matrix_free(&m);
        }
        kn_cpu()->close(dev);
    }
}

static void test_kn_linear__packing_of_the_format(void **state) {
    (void)state;
    const uint32_t four = 0xC5AF9870u, eight = 0x00FF7F81u;
    const float scale = 1.0f, want4[8] = {-8, -1, 0, 1, 7, 2, -3, 4}, want8[4] = {1, -1, 127, -128};
    float got[8];
    struct kn_part p = {&four, &scale, NULL, 1, 8, 0, KN_I4, KN_F32};
    ref_weight_row(&p, 0, got);
    assert_memory_equal(got, want4, sizeof want4);
    p = (struct kn_part){&eight, &scale, NULL, 1, 4, 0, KN_I8, KN_F32};
    ref_weight_row(&p, 0, got);
    assert_memory_equal(got, want8, sizeof want8);
}

static void test_kn_linear__refuses_wrong_shapes(void **state) {
    (void)state;
    float data[64] = {0};
    struct kn_part part[2] = {{data, NULL, NULL, 4, 8, 0, KN_F32, KN_F32},
                              {data, NULL, NULL, 4, 6, 0, KN_F32, KN_F32}};
    ox_err err;
    assert_int_equal(kn_check_part(part, 1, &err), 0);
    assert_int_equal(kn_check_part(part, 2, &err), OX_EUSAGE); /* other columns */
    assert_int_equal(kn_check_part(part, 0, &err), OX_EUSAGE);
    struct kn_part q = {data, data, NULL, 4, 8, 3, KN_I4, KN_F32};
    assert_int_equal(kn_check_part(&q, 1, &err), OX_EUSAGE); /* 3 does not divide 8 */
    struct kn_linear l = {.x = {data, 2, 8, KN_F32}, .out = {{data + 32, 2, 4, KN_F32}}};
    assert_int_equal(kn_check_linear(&l, part, 1, KN_F32, &err), 0);
    l.out[0].cols = 5;
    assert_int_equal(kn_check_linear(&l, part, 1, KN_F32, &err), OX_EUSAGE);
    assert_string_equal(err.what, "linear out: expected [2,4] f32 or f32, got [2,5] f32");
    l.out[0].cols = 4;
    l.epi = KN_EPI_SWIGLU;
    assert_int_equal(kn_check_linear(&l, part, 1, KN_F32, &err), OX_EUSAGE);
}

static void test_kn_linear__unknown_levels_are_refused_by_name(void **state) {
    (void)state;
    kn_dev *dev = NULL;
    ox_err err;
    assert_int_equal(kn_cpu()->open(&(struct kn_open){.which = "neon"}, &dev, &err), OX_EDEVICE);
    assert_non_null(strstr(err.fix, "cpu-ref"));
    assert_null(dev);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kn_linear__f32_activations_agree_with_float64),
        cmocka_unit_test(test_kn_linear__fast_mode_stays_within_its_rounding),
        cmocka_unit_test(test_kn_linear__rows_do_not_depend_on_their_neighbours),
        cmocka_unit_test(test_kn_linear__embed_gathers_exact_rows),
        cmocka_unit_test(test_kn_linear__packing_of_the_format),
        cmocka_unit_test(test_kn_linear__refuses_wrong_shapes),
        cmocka_unit_test(test_kn_linear__unknown_levels_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
