/* test_ox_err.c - the three parts of an error, and the code for callers who want no text. */
#include "kernels/base/ox_err.h"
#include "kernels/base/ox_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_ox_err__parts(void **state) {
    ox_err e = {0};
    assert_int_equal(ox_err_set(&e, OX_EMODEL, "tensor %d", 3), OX_EMODEL);
    assert_int_equal(ox_err_fix(&e, "check %s", "it"), OX_EMODEL);
    assert_int_equal(ox_err_wrap(&e, OX_EMODEL, "weights"), OX_EMODEL);
    ox_err_wrap(&e, OX_EMODEL, "open model");
    assert_string_equal(e.what, "tensor 3");
    assert_string_equal(e.where, "open model > weights");
    assert_string_equal(e.fix, "check it");
    ox_err_set(&e, OX_EIO, "%s again", e.what); /* its own field as argument */
    assert_string_equal(e.what, "tensor 3 again");
    assert_string_equal(e.fix, "");
}

static void test_ox_err__null_keeps_the_code(void **state) {
    assert_int_equal(ox_err_set(NULL, OX_EFIT, "x"), OX_EFIT);
    assert_int_equal(ox_err_fix(NULL, "y"), OX_EFIT);
    assert_int_equal(ox_err_wrap(NULL, OX_EDB, "z"), OX_EDB);
}

static void test_ox_err__long_texts_end_at_a_character(void **state) {
    ox_err e = {0};
    char text[1000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    text[998] = '\0';
    for (int shift = 0; shift < 3; shift++) {
        ox_err_set(&e, OX_EFAIL, "%.*s%s", shift, "abc", text);
        size_t n = strlen(e.what);
        assert_true(n < sizeof e.what && n > sizeof e.what - 4);
        assert_int_equal((unsigned char)e.what[n - 1], 0xA9);
    }
    for (int i = 0; i < 20; i++)
        ox_err_wrap(&e, OX_EFAIL, "a step with a rather long name");
    assert_true(strlen(e.where) < sizeof e.where);
}

static void test_ox_mem__fails_on_demand(void **state) {
    ox_err e = {0};
    ox_mem_fail_at(2);
    void *a = ox_alloc(1, 8, "one", &e), *b = ox_alloc(1, 8, "two", &e),
         *c = ox_alloc(1, 8, "three", &e);
    assert_int_equal(ox_mem_fail_at(0), 3);
    assert_true(a && !b && c);
    assert_non_null(strstr(e.what, "two"));
    ox_free(a);
    ox_free(c);
    assert_null(ox_alloc(SIZE_MAX, 16, "too much", &e));
    assert_null(ox_alloc64(SIZE_MAX, 16, "too much", &e));
}

static void test_ox_mem__grow_and_arena(void **state) {
    int *v = NULL;
    size_t cap = 0;
    for (size_t n = 0; n < 1000; n++) {
        assert_int_equal(ox_grow(&v, &cap, n + 1, sizeof *v, NULL), 0);
        v[n] = (int)n;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(v[i], i);
    ox_free(v);
    struct ox_arena a = {0};
    char *first = ox_arena_strdup(&a, "abcdef", 3, NULL);
    for (int i = 0; i < 5000; i++)
        assert_non_null(ox_arena_alloc(&a, 10, 7, "bits", NULL));
    assert_non_null(ox_arena_alloc(&a, 1, 1 << 20, "a large one", NULL));
    assert_string_equal(first, "abc");
    ox_arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ox_err__parts),
        cmocka_unit_test(test_ox_err__null_keeps_the_code),
        cmocka_unit_test(test_ox_err__long_texts_end_at_a_character),
        cmocka_unit_test(test_ox_mem__fails_on_demand),
        cmocka_unit_test(test_ox_mem__grow_and_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
