/* test_kn_sample.c - the draw against probabilities made by transformers (tests/golden/sampling),
 * the counter-based generator, and what happens behind a stop id. */
#include "kernels/cpu/cpu_ref.h"
#include "tests/support/compare.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static float number(const json_t *v) {
    return json_is_string(v) ? -INFINITY : (float)json_number_value(v);
}

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Probabilities of one case must agree to 1e-6; where the case is ambiguous, those in sorted order.
 */
static void check_case(size_t index, const json_t *c, const json_t *all_logits) {
    enum { V = 100 };
    float logits[V];
    double got[V], want[V];
    struct ref_candidate work[V];
    int32_t seen[V];
    json_t *row = json_object_get(all_logits, json_string_value(json_object_get(c, "logits")));
    assert_int_equal(json_array_size(row), V);
    for (size_t i = 0; i < V; i++) {
        logits[i] = number(json_array_get(row, i));
        want[i] = json_number_value(json_array_get(json_object_get(c, "probs"), i));
    }
    json_t *previous = json_object_get(c, "previous");
    struct kn_sample how = {.temperature = number(json_object_get(c, "temperature")),
                            .top_k = (int32_t)json_integer_value(json_object_get(c, "top_k")),
                            .top_p = number(json_object_get(c, "top_p")),
                            .min_p = number(json_object_get(c, "min_p")),
                            .repeat = number(json_object_get(c, "repetition_penalty")),
                            .seen = seen,
                            .n_vocab = V};
    for (size_t i = 0; i < json_array_size(previous) && i < V; i++)
        seen[how.n_seen++] = (int32_t)json_integer_value(json_array_get(previous, i));
    int64_t kept = ref_sample_probs(logits, V, &how, got, work);
    int64_t expect = (int64_t)json_array_size(json_object_get(c, "kept"));
    bool is_ambiguous = json_is_true(json_object_get(c, "ambiguous"));
    if (is_ambiguous) {
        qsort(got, V, sizeof *got, descending);
        qsort(want, V, sizeof *want, descending);
    }
    if (kept != expect)
        fail_msg("case %zu: kept %lld, want %lld", index, (long long)kept, (long long)expect);
    for (size_t i = 0; i < V; i++)
        if (!(fabs(got[i] - want[i]) <= 1e-6))
            fail_msg("case %zu, id %zu: got %.9g, want %.9g", index, i, got[i], want[i]);
}

static void test_kn_sample__equals_the_golden_probabilities(void **state) {
    (void)state;
    json_t *root = json_load_file(OXBOW_TEST_DIR "/golden/sampling/vectors.json", 0, NULL);
    assert_non_null(root);
    json_t *cases = json_object_get(root, "cases");
    assert_int_equal(json_array_size(cases), 152);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_case(i, json_array_get(cases, i), json_object_get(root, "logits"));
    json_decref(root);
}

static void test_kn_sample__masks_padding_ids(void **state) {
    (void)state;
    float logits[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    double p[8];
    struct ref_candidate work[8];
    struct kn_sample how = {.temperature = 1.0f, .top_p = 1.0f, .repeat = 1.0f, .n_vocab = 5};
    assert_int_equal(ref_sample_probs(logits, 8, &how, p, work), 5);
    assert_true(p[5] == 0.0 && p[7] == 0.0 && p[4] > p[3]);
    how.temperature = 0.0f;
    assert_int_equal(ref_draw(logits, 8, &how, p, work), 4);
}

static void test_kn_sample__argmax_takes_the_lowest_of_equals(void **state) {
    (void)state;
    float logits[6] = {1, 7, 3, 7, 7, 0};
    double p[6];
    struct ref_candidate work[6];
    int32_t seen[] = {1, 1};
    struct kn_sample how = {.temperature = 0.0f, .repeat = 1.0f, .n_vocab = 6};
    assert_int_equal(ref_draw(logits, 6, &how, p, work), 1);
    how.seen = seen; /* twice the same id: the penalty counts once, and hits greedy as well */
    how.n_seen = 2;
    how.repeat = 1.1f;
    assert_int_equal(ref_draw(logits, 6, &how, p, work), 3);
}

static void test_kn_sample__random_numbers_are_even(void **state) {
    (void)state;
    enum { N = 100000, BINS = 10 };
    int bin[BINS] = {0};
    for (int64_t i = 0; i < N; i++) {
        double u = ref_random(7, i);
        assert_true(u >= 0.0 && u < 1.0);
        bin[(int)(u * BINS)]++;
    }
    for (int b = 0; b < BINS; b++) /* 4 standard deviations of a bin are 379 */
        assert_in_range(bin[b], N / BINS - 400, N / BINS + 400);
    assert_true(ref_random(7, 3) == ref_random(7, 3));
    assert_true(ref_random(7, 3) != ref_random(8, 3) && ref_random(7, 3) != ref_random(7, 4));
}

static void test_kn_sample__draws_follow_the_probabilities(void **state) {
    (void)state;
    enum { N = 20000 };
    float logits[4] = {logf(0.1f), logf(0.2f), logf(0.3f), logf(0.4f)};
    double p[4];
    struct ref_candidate work[4];
    int count[4] = {0};
    struct kn_sample how = {
        .temperature = 1.0f, .top_p = 1.0f, .repeat = 1.0f, .n_vocab = 4, .seed = 5};
    for (how.position = 0; how.position < N; how.position++)
        count[ref_draw(logits, 4, &how, p, work)]++;
    for (int i = 0; i < 4; i++) /* 4 standard deviations of the widest are 280 */
        assert_in_range(count[i], N * (i + 1) / 10 - 300, N * (i + 1) / 10 + 300);
}

static void test_kn_sample__steps_behind_a_stop_change_nothing(void **state) {
    (void)state;
    const struct kn_backend *kn = kn_cpu();
    kn_dev *dev;
    assert_int_equal(kn->open(&(struct kn_open){.which = "ref"}, &dev, NULL), 0);
    float logits[4] = {0, 0, 9, 0};
    kn_tensor l = {logits, 1, 4, KN_F32};
    int32_t stop = 2, tok = -1, first = 1;
    struct kn_sample how = {.repeat = 1.0f, .n_vocab = 4, .stop = &stop, .n_stop = 1};
    bool replayed;
    assert_int_equal(kn->sample(dev, &l, &how, NULL), 0);
    assert_int_equal(kn->begin(dev, &(struct kn_step){.n_cached = 5, .n_tok = 1}, &replayed, NULL),
                     0);
    assert_true(replayed); /* nothing to issue */
    assert_int_equal(kn->sample(dev, &l, &how, NULL), 0);
    assert_int_equal(kn->drawn(dev, &tok, NULL), 0);
    assert_int_equal(tok, 2);
    assert_int_equal(kn->drawn(dev, &tok, NULL), OX_EUSAGE); /* the second draw was void */
    struct kn_step next = {.tok = &first, .n_cached = 5, .n_tok = 1};
    assert_int_equal(kn->begin(dev, &next, &replayed, NULL), 0);
    assert_false(replayed);
    assert_int_equal(kn->end(dev, NULL), 0);
    kn->close(dev);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kn_sample__equals_the_golden_probabilities),
        cmocka_unit_test(test_kn_sample__masks_padding_ids),
        cmocka_unit_test(test_kn_sample__argmax_takes_the_lowest_of_equals),
        cmocka_unit_test(test_kn_sample__random_numbers_are_even),
        cmocka_unit_test(test_kn_sample__draws_follow_the_probabilities),
        cmocka_unit_test(test_kn_sample__steps_behind_a_stop_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
