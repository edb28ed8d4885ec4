/* test_kn_memory.c - device memory of the CPU backend: zeroed, aligned, apart from each other, and
 * used again, in sizes that share large pages and in sizes that do not. */
#include "kernels/kn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

enum { N = 20 };

static const struct {
    const char *name;
    size_t bytes;
} cases[] = {
    {"nothing", 0},
    {"a row", 100},
    {"the least that shares", 256 << 10},
    {"a KV page of oxbow-mini", 7 * 2 * 3 * 256 * 64 * 2},
    {"not a multiple of 64", (700 << 10) + 4},
    {"a large page", 2 << 20},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static void fill(char *p, size_t n, int value) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0) fail_msg("byte %zu of %zu is not zero", i, n);
    memset(p, value, n);
}

static void check(const char *name, const char *p, size_t n, int value) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != value) fail_msg("%s: byte %zu was written by another", name, i);
}

static void test_kn_memory__pieces_are_zeroed_and_apart(void **state) {
    (void)state;
    ox_err err;
    kn_dev *dev;
    const struct kn_backend *kn = kn_cpu();
    assert_int_equal(kn->open(&(struct kn_open){0}, &dev, &err), 0);
    for (int c = 0; c < N_CASES; c++) {
        void *p[N];
        for (int i = 0; i < N; i++) {
            assert_int_equal(kn->alloc(dev, KN_DEVICE, cases[c].bytes, &p[i], &err), 0);
            assert_int_equal((uintptr_t)p[i] % 64, 0);
            fill(p[i], cases[c].bytes, i + 1);
        }
        for (int i = 0; i < N; i += 3) { /* back and forth, as a chat that is cut and goes on */
            kn->release(dev, p[i]);
            assert_int_equal(kn->alloc(dev, KN_DEVICE, cases[c].bytes, &p[i], &err), 0);
            fill(p[i], cases[c].bytes, i + 1);
        }
        for (int i = 0; i < N; i++)
            check(cases[c].name, p[i], cases[c].bytes, i + 1);
        for (int i = N - 1; i >= 0; i--)
            kn->release(dev, p[i]);
    }
    kn->release(dev, NULL);
    kn->close(dev);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kn_memory__pieces_are_zeroed_and_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
