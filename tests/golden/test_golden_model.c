/* test_golden_model.c - every golden folder on every CPU level this machine has, in f32 by the f32
 * rule, and as people run it by the table of 16-bit errors in tests/golden/README.md. */
#include "tests/golden/golden_model.h"
#include "tests/support/tiny.h"

#include "kernels/cpu/cpu_level.h"
#include "kernels/kn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The oracle's long sequences and the default model's 4,500 tokens are for release builds. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static const char *const folders[] = {
    "tiny-7b-shape", "tiny-7b-shape-w8a16", "tiny-7b-shape-w4a16", "tiny-gqa-tied",
    "tiny-f16",      "tiny-heads",          "tiny-rope",           "tiny-mixed-quant",
    "tiny-aliases",  "tiny-zero-points",
};

static void run(struct golden_opts *o, const char *folder, size_t n_keys) {
    char path[512];
    ox_err err = {0};
    struct golden_report got;
    snprintf(path, sizeof path, "%s/golden/%s", OXBOW_TEST_DIR, folder);
    if (folder) o->folder = path;
    int rc = golden_run(o, &got, &err);
    if (rc) fail_msg("%s: %s: %s (%s)", folder, err.where, err.what, err.fix);
    if (got.n_failed)
        fail_msg("%s on %s: %zu of %zu keys", folder, got.backend, got.n_failed, got.n_keys);
    if (got.n_keys < n_keys) fail_msg("%s: only %zu keys were judged", folder, got.n_keys);
}

static void test_golden_model__f32_on_every_level(void **state) {
    int n_levels;
    const struct cpu_level *level = cpu_levels(&n_levels);
    for (int l = 0; l < n_levels; l++) {
        char backend[64];
        snprintf(backend, sizeof backend, "cpu-%s", level[l].name);
        if (!level[l].is_supported()) {
            printf("SKIP %s: this machine has no such instructions\n", backend);
            continue;
        }
        struct ox_engine_opts opts = {/* steps this small only wait when there are more threads */
                                      .backend = backend,
                                      .kv = "f32",
                                      .f32_activations = true,
                                      .n_threads = 2};
        for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
            struct golden_opts o = {.engine = &opts, .max_n = IS_SANITIZED ? 200 : 0};
            run(&o, folders[i], 14);
        }
    }
}

/* Twice the reference's own error in bf16 (f16 for tiny-f16 would be tighter than bf16 KV allows):
 * max abs / rms of the README's tables, the row for other N last. States: twice its table's row. */
static const struct {
    const char *folder;
    double state;
    struct golden_limit limit[10];
    size_t n;
} tables[] = {
    {"tiny-7b-shape",
     0.128,
     {{"1", .129, .038},
      {"2", .174, .047},
      {"3", .195, .051},
      {"4", .829, .124},
      {"5", .179, .049},
      {"63", .304, .051},
      {"64", .293, .050},
      {"65", .287, .051},
      {"200", .314, .050},
      {"777", .617, .054}},
     10},
    {"tiny-7b-shape-w8a16",
     0.128,
     {{"1", .158, .044},
      {"2", .213, .063},
      {"3", .204, .050},
      {"4", .746, .140},
      {"5", .241, .057},
      {"63", .317, .056},
      {"64", .278, .055},
      {"65", .259, .052},
      {"200", .357, .056},
      {"777", .437, .058}},
     10},
    {"tiny-7b-shape-w4a16",
     0.128,
     {{"1", .202, .068},
      {"2", .197, .050},
      {"3", .125, .037},
      {"4", .220, .053},
      {"5", .356, .088},
      {"63", .229, .049},
      {"64", .353, .057},
      {"65", .512, .058},
      {"200", .382, .054},
      {"777", .422, .057}},
     10},
    {"tiny-gqa-tied",
     0.390,
     {{"1", .253, .077},
      {"2", .684, .195},
      {"3", .324, .084},
      {"4", .297, .069},
      {"5", .359, .087},
      {"63", 1.030, .154},
      {"64", 1.210, .137},
      {"65", .874, .148},
      {"200", 1.254, .134},
      {"777", 1.969, .140}},
     10},
    {"tiny-f16",
     0.037,
     {{"1", .111, .037},
      {"2", .134, .032},
      {"3", .126, .033},
      {"4", .123, .028},
      {"5", .228, .039},
      {"63", .306, .040},
      {"64", .241, .040},
      {"65", .255, .038},
      {"200", .375, .038},
      {"777", .453, .037}},
     10},
    {"tiny-heads", 0.128, {{"200", .639, .062}, {"65", .700, .060}}, 2},
    {"tiny-rope", 0.128, {{"200", .224, .033}, {"65", .176, .031}}, 2},
    {"tiny-mixed-quant", 0.128, {{"200", .656, .091}, {"65", .714, .086}}, 2},
    {"tiny-zero-points", 0.128, {{"200", .434, .039}, {"65", .408, .043}}, 2},
    {"tiny-aliases", 0.128, {{"200", .730, .055}, {"65", .424, .052}}, 2},
};

static void run_bands(const struct ox_engine_opts *opts, double factor, double max_factor) {
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct golden_limit limit[10];
        for (size_t k = 0; k < tables[i].n; k++)
            limit[k] =
                (struct golden_limit){tables[i].limit[k].n, max_factor * tables[i].limit[k].max_abs,
                                      factor * tables[i].limit[k].rms};
        struct golden_opts o = {.engine = opts,
                                .limits = limit,
                                .n_limits = tables[i].n,
                                .state_limit = max_factor * tables[i].state};
        run(&o, tables[i].folder, 14);
    }
}

static void run_16_bit(const struct ox_engine_opts *opts, double factor) {
    run_bands(opts, factor, factor);
}

static void test_golden_model__bf16_keys_and_values(void **state) {
    run_16_bit(&(struct ox_engine_opts){.backend = "cpu", .f32_activations = true}, 2);
}

static void test_golden_model__int8_keys_and_values(void **state) {
    run_16_bit(&(struct ox_engine_opts){.backend = "cpu", .kv = "int8", .f32_activations = true},
               2);
}

/* Activations of one token rounded to int8 are a format, not a 16-bit path (docs/KERNELS.md 7.2):
 * their step is a 254th of the row's largest value, bf16's at most a 256th of each value's own. */
static void test_golden_model__as_people_run_it(void **state) {
    run_16_bit(&(struct ox_engine_opts){.backend = "cpu"}, 6);
}

/* On a GPU every activation is bf16, as in the reference's bf16 run: twice its RMS error, and three
 * times its largest, which rule 2 of docs/MODEL.md 10 reports but does not judge: the largest of
 * thousands of roundings of another order. Skipped without a device; OXBOW_TEST_REQUIRE=cuda makes
 * the skip a failure. */
static void test_golden_model__cuda_bf16_keys_and_values(void **state) {
    if (tiny_has_cuda()) run_bands(&(struct ox_engine_opts){.backend = "cuda"}, 2, 3);
}

static void test_golden_model__cuda_int8_keys_and_values(void **state) {
    if (tiny_has_cuda()) run_bands(&(struct ox_engine_opts){.backend = "cuda", .kv = "int8"}, 2, 3);
}

/* A judge that passes everything is worth nothing: with keys and values rounded to bf16 the f32
 * rule must refuse. */
static void test_golden_model__f32_rule_sees_bf16(void **state) {
    struct ox_engine_opts opts = {.backend = "cpu", .kv = "bf16", .f32_activations = true};
    struct golden_report got;
    FILE *nowhere = fopen("/dev/null", "w");
    struct golden_opts o = {.engine = &opts,
                            .folder = OXBOW_TEST_DIR "/golden/tiny-7b-shape",
                            .to = nowhere,
                            .max_n = 65};
    assert_int_equal(golden_run(&o, &got, NULL), 0);
    fclose(nowhere);
    assert_true(got.n_failed > 10);
}

static bool has_default(void) {
    FILE *f = fopen(OXBOW_SOURCE_DIR "/engine/default/model-00001-of-00002.safetensors", "rb");
    if (f) fclose(f);
    if (!f) printf("SKIP the default model: its weights are not in the tree\n");
    return f;
}

static void test_golden_model__default_text_on_the_oracle(void **state) {
    if (!has_default()) return;
    struct ox_engine_opts opts = {.backend = "cpu-ref", .kv = "f32", .f32_activations = true};
    struct golden_opts o = {.engine = &opts, .max_n = 175, .no_greedy = true};
    if (IS_SANITIZED) opts.backend = "cpu";
    run(&o, NULL, 2);
}

/* README of engine/default: logits within 5e-3 (the rule here is tighter), best ids, greedy runs.
 */
static void test_golden_model__default_model(void **state) {
    if (!has_default() || IS_SANITIZED) return;
    struct ox_engine_opts opts = {.backend = "cpu", .kv = "f32", .f32_activations = true};
    struct golden_opts o = {.engine = &opts};
    run(&o, NULL, 8);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_model__f32_on_every_level),
        cmocka_unit_test(test_golden_model__bf16_keys_and_values),
        cmocka_unit_test(test_golden_model__int8_keys_and_values),
        cmocka_unit_test(test_golden_model__as_people_run_it),
        cmocka_unit_test(test_golden_model__cuda_bf16_keys_and_values),
        cmocka_unit_test(test_golden_model__cuda_int8_keys_and_values),
        cmocka_unit_test(test_golden_model__f32_rule_sees_bf16),
        cmocka_unit_test(test_golden_model__default_text_on_the_oracle),
        cmocka_unit_test(test_golden_model__default_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
