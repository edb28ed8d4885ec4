/* test_cores.c - quotas of control groups as containers give them, in a folder made here. */
#include "engine/cores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static char top[] = "/tmp/test_cores_XXXXXX";

static const char *at(const char *name) {
    static char path[4][256];
    static int i;
    char *p = path[i++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", top, name);
    return p;
}

static void put(const char *name, const char *text) {
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_cores__quotas(void **state) {
    (void)state;
    static const struct {
        const char *groups, *own, *above; /* /proc/self/cgroup; cpu.max of a/b and of a */
        int want;
    } of[] = {
        {"0::/a/b\n", "200000 100000\n", "max 100000\n", 2},
        {"0::/a/b\n", "max 100000\n", "150000 100000\n", 2}, /* one and a half */
        {"0::/a/b\n", "800000 100000\n", "400000 100000\n", 4},
        {"0::/a/b\n", "10000 100000\n", "max 100000\n", 1},
        {"0::/a/b\n", "max 100000\n", "max 100000\n", 0},
        {"0::/elsewhere\n", "200000 100000\n", "200000 100000\n", 0},
        {"0::/a/b\n", "nonsense", "-5 100000", 0},
        {"", "200000 100000\n", "200000 100000\n", 0},
    };
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
        put("cgroup", of[i].groups);
        put("a/b/cpu.max", of[i].own);
        put("a/cpu.max", of[i].above);
        assert_int_equal(cores_quota(at("cgroup"), top), of[i].want);
    }
}

static void test_cores__version_1(void **state) {
    (void)state;
    put("cgroup", "5:memory:/x\n4:cpuset:/x\n3:cpuacct,cpu:/x\n");
    put("cpu/x/cpu.cfs_quota_us", "300000\n");
    put("cpu/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cores_quota(at("cgroup"), top), 3);
    put("cpu/x/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(cores_quota(at("cgroup"), top), 0);
    put("cgroup", "3:cpuset:/x\n");
    put("cpu/x/cpu.cfs_quota_us", "300000\n");
    assert_int_equal(cores_quota(at("cgroup"), top), 0);
}

static void test_cores__nothing_there(void **state) {
    (void)state;
    assert_int_equal(cores_quota("/none", "/none"), 0);
    assert_true(cores_usable() >= 1);
}

static int make_tree(void **state) {
    (void)state;
    return mkdtemp(top) && mkdir(at("a"), 0700) == 0 && mkdir(at("a/b"), 0700) == 0 &&
                   mkdir(at("cpu"), 0700) == 0 && mkdir(at("cpu/x"), 0700) == 0
               ? 0
               : -1;
}

static int drop_tree(void **state) {
    (void)state;
    static const char *const files[] = {"cgroup", "a/b/cpu.max", "a/cpu.max",
                                        "cpu/x/cpu.cfs_quota_us", "cpu/x/cpu.cfs_period_us"};
    static const char *const folders[] = {"a/b", "a", "cpu/x", "cpu"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        remove(at(files[i]));
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        remove(at(folders[i]));
    return remove(top);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cores__quotas),
        cmocka_unit_test(test_cores__version_1),
        cmocka_unit_test(test_cores__nothing_there),
    };
    return cmocka_run_group_tests(tests, make_tree, drop_tree);
}
