/* test_buf.c - the string builder: contents, splices, and no change after a failed allocation. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "app/core/buf.h"

static void test_buf__empty_is_a_string(void **state) {
    struct buf b = {0};
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_add(&b, NULL, 0, NULL), 0);
    assert_string_equal(buf_str(&b), "");
    buf_deinit(&b);
}

static void test_buf__splice(void **state) {
    static const struct {
        const char *old, *put, *want;
        size_t at, n_old;
    } cases[] = {
        {"", "ab", "ab", 0, 0},     {"abc", "", "c", 0, 2},  {"abc", "XYZ", "aXYZc", 1, 1},
        {"abc", "X", "abcX", 3, 0}, {"abc", "Q", "Q", 0, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = {0};
        buf_puts(&b, cases[i].old, NULL);
        buf_splice(&b, cases[i].at, cases[i].n_old, cases[i].put, strlen(cases[i].put), NULL);
        assert_string_equal(buf_str(&b), cases[i].want);
        assert_int_equal(b.n, strlen(cases[i].want));
        buf_deinit(&b);
    }
}

static void test_buf__unchanged_when_memory_is_short(void **state) {
    struct buf b = {0};
    char big[4096] = "x";
    ox_err err = {0};
    buf_printf(&b, NULL, "%d-%s", 12, "ab");
    ox_mem_fail_at(1);
    assert_int_equal(buf_add(&b, big, sizeof big, &err), OX_ENOMEM);
    ox_mem_fail_at(0);
    assert_string_equal(buf_str(&b), "12-ab");
    size_t n;
    char *p = buf_take(&b, &n);
    assert_int_equal(n, 5);
    assert_null(b.p);
    ox_free(p);
}

/* Room that nothing was written to is a string still, whatever the memory held before. */
static void test_buf__room_ends_with_a_zero(void **state) {
    (void)state;
    for (size_t n = 16; n < 70000; n *= 2) {
        char *dirty = ox_alloc(n, 1, "dirt", NULL);
        memset(dirty, 'x', n);
        ox_free(dirty);
        struct buf b = {0};
        assert_int_equal(buf_room(&b, n - 1, NULL), 0);
        assert_string_equal(buf_str(&b), "");
        buf_deinit(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__empty_is_a_string),
        cmocka_unit_test(test_buf__splice),
        cmocka_unit_test(test_buf__unchanged_when_memory_is_short),
        cmocka_unit_test(test_buf__room_ends_with_a_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
