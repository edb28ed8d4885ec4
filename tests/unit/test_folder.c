/* test_folder.c - bytes by name from a folder on disk and from the default model. */
#include "engine/folder.h"
#include "kernels/base/ox_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct place {
    char dir[64], path[128];
};

static void setup(struct place *p, const char *name, const char *text) {
    snprintf(p->dir, sizeof p->dir, "/tmp/oxbow-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->path, sizeof p->path, "%s/%s", p->dir, name);
    FILE *f = fopen(p->path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void teardown(struct place *p) {
    remove(p->path);
    rmdir(p->dir);
}

static void test_folder__reads(void **state) {
    struct place p;
    struct folder *f = NULL;
    const unsigned char *a, *b;
    size_t n;
    setup(&p, "a.json", "hello");
    assert_int_equal(folder_open(p.dir, &f, NULL), 0);
    assert_string_equal(folder_path(f), p.dir);
    assert_string_equal(folder_name(f), p.dir + strlen("/tmp/"));
    assert_int_equal(folder_get(f, "a.json", &a, &n, NULL), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(a, "hello", 5);
    assert_int_equal(folder_get(f, "a.json", &b, &n, NULL), 0);
    assert_ptr_equal(a, b); /* mapped once */
    folder_close(f);
    teardown(&p);
}

/* Pages of files that this process has mapped, or -1 where the system does not tell. */
static long file_pages(void) {
    long total, resident, shared;
    FILE *f = fopen("/proc/self/statm", "r");
    int n = f ? fscanf(f, "%ld %ld %ld", &total, &resident, &shared) : 0;
    if (f) fclose(f);
    return n == 3 ? shared : -1;
}

static void test_folder__forgets_pages_and_reads_them_again(void **state) {
    enum { N_BYTES = 4 << 20 };
    struct place p;
    struct folder *f = NULL;
    const unsigned char *a;
    size_t n;
    char *text = ox_alloc(N_BYTES + 1, 1, "a text", NULL);
    assert_non_null(text);
    for (int i = 0; i < N_BYTES; i++)
        text[i] = (char)('a' + i % 23);
    setup(&p, "a.json", text);
    assert_int_equal(folder_open(p.dir, &f, NULL), 0);
    folder_forget(f); /* nothing was read yet */
    assert_int_equal(folder_get(f, "a.json", &a, &n, NULL), 0);
    assert_int_equal(n, N_BYTES);
    assert_memory_equal(a, text, n);
    long before = file_pages(), pages = N_BYTES / sysconf(_SC_PAGESIZE);
    folder_forget(f);
    if (before >= 0) assert_true(file_pages() <= before - pages * 9 / 10);
    assert_memory_equal(a, text, n);
    folder_close(f);
    folder_forget(NULL);
    ox_free(text);
    teardown(&p);
}

static void test_folder__name_without_slashes(void **state) {
    struct place p;
    struct folder *f = NULL;
    char dir[80];
    setup(&p, "x", "");
    snprintf(dir, sizeof dir, "%s//", p.dir);
    assert_int_equal(folder_open(dir, &f, NULL), 0);
    assert_string_equal(folder_name(f), p.dir + strlen("/tmp/"));
    folder_close(f);
    teardown(&p);
}

static void test_folder__empty_file(void **state) {
    struct place p;
    struct folder *f = NULL;
    const unsigned char *a = NULL;
    size_t n = 9;
    setup(&p, "empty", "");
    assert_int_equal(folder_open(p.dir, &f, NULL), 0);
    assert_int_equal(folder_get(f, "empty", &a, &n, NULL), 0);
    assert_non_null(a);
    assert_int_equal(n, 0);
    folder_close(f);
    teardown(&p);
}

static void test_folder__refuses(void **state) {
    static const struct {
        const char *name;
        int rc;
    } cases[] = {
        {"missing.json", OX_ENOTFOUND},
        {"", OX_EMODEL},
        {".", OX_EMODEL},
        {"..", OX_EMODEL},
        {".hidden", OX_EMODEL},
        {"../a.json", OX_EMODEL},
        {"/etc/passwd", OX_EMODEL},
        {"sub/a.json", OX_EMODEL},
        {"fifo", OX_EMODEL},
    };
    struct place p;
    struct folder *f = NULL;
    const unsigned char *a = NULL;
    size_t n = 0;
    char fifo[160];
    setup(&p, "a.json", "{}");
    snprintf(fifo, sizeof fifo, "%s/fifo", p.dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(folder_open(p.dir, &f, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ox_err err = {0};
        int rc = folder_get(f, cases[i].name, &a, &n, &err);
        if (rc != cases[i].rc) fail_msg("\"%s\": %d %s", cases[i].name, rc, err.what);
        if (rc == OX_EMODEL && !err.fix[0]) fail_msg("\"%s\": no fix", cases[i].name);
    }
    assert_null(a);
    folder_close(f);
    remove(fifo);
    teardown(&p);
}

static void test_folder__not_a_folder(void **state) {
    struct place p;
    struct folder *f = NULL;
    ox_err err = {0};
    setup(&p, "file", "x");
    assert_int_equal(folder_open(p.path, &f, &err), OX_EMODEL);
    assert_non_null(strstr(err.what, "not a folder"));
    assert_int_equal(folder_open("/nonexistent/oxbow", &f, &err), OX_EMODEL);
    assert_non_null(strstr(err.what, "no such folder"));
    assert_int_equal(folder_open("", &f, &err), OX_EMODEL);
    assert_null(f);
    folder_close(NULL);
    teardown(&p);
}

/* Built in or in the source tree: the same name, a config, and nothing outside. */
static void test_folder__default_model(void **state) {
    struct folder *f = NULL;
    const unsigned char *a = NULL;
    size_t n = 0;
    assert_int_equal(folder_open(NULL, &f, NULL), 0);
    assert_string_equal(folder_name(f), "oxbow-mini");
    assert_int_equal(folder_get(f, "config.json", &a, &n, NULL), 0);
    assert_true(n > 100 && a[0] == '{');
    assert_int_equal(folder_get(f, "nothing.json", &a, &n, NULL), OX_ENOTFOUND);
    folder_close(f);
}

static void test_folder__out_of_memory(void **state) {
    struct place p;
    setup(&p, "a.json", "{}");
    int rc = OX_ENOMEM;
    for (uint64_t at = 1; rc == OX_ENOMEM; at++) {
        struct folder *f = NULL;
        const unsigned char *a;
        size_t n;
        ox_mem_fail_at(at);
        rc = folder_open(p.dir, &f, NULL);
        if (!rc) rc = folder_get(f, "a.json", &a, &n, NULL);
        ox_mem_fail_at(0);
        folder_close(f);
    }
    assert_int_equal(rc, 0);
    teardown(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder__reads),
        cmocka_unit_test(test_folder__forgets_pages_and_reads_them_again),
        cmocka_unit_test(test_folder__name_without_slashes),
        cmocka_unit_test(test_folder__empty_file),
        cmocka_unit_test(test_folder__refuses),
        cmocka_unit_test(test_folder__not_a_folder),
        cmocka_unit_test(test_folder__default_model),
        cmocka_unit_test(test_folder__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
