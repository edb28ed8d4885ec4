/* The token vectors and streams of both fixtures, made by the tokenizers library (README.md). */
#include "tests/golden/golden_tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
    const char *folder, *file;
    size_t n_vectors, n_streams; /* ids and ids_plain of each line */
} cases[] = {
    {"tokenizer-dolma2", "vectors.jsonl", 2 * 764, 0},
    {"tokenizer-dolma2", "stream.jsonl", 0, 116},
    {"tokenizer-smol", "vectors.jsonl", 2 * 754, 0},
    {"tokenizer-smol", "stream.jsonl", 0, 107},
};

static void test_golden_tokens__fixtures(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char folder[512], path[600];
        snprintf(folder, sizeof folder, "%s/golden/%s", OXBOW_TEST_DIR, cases[i].folder);
        snprintf(path, sizeof path, "%s/%s", folder, cases[i].file);
        struct golden_tokens got;
        ox_err err = {0};
        if (golden_tokens(folder, path, stdout, &got, &err)) fail_msg("%s: %s", path, err.what);
        if (got.n_wrong || got.n_wrong_streams)
            fail_msg("%s: %zu vectors, %zu streams differ", path, got.n_wrong, got.n_wrong_streams);
        assert_int_equal(got.n_vectors, cases[i].n_vectors);
        assert_int_equal(got.n_streams, cases[i].n_streams);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden_tokens__fixtures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
