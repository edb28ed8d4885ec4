/* test_ingest.c - files and pipes as text: ranges, kinds, limits, and what is said about the rest.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/ingest.h"

static char dir[] = "/tmp/oxbow-ingest-XXXXXX";

static char *path(const char *name) {
    static char full[4][128];
    static int i;
    i = (i + 1) % 4;
    snprintf(full[i], sizeof full[0], "%s/%s", dir, name);
    return full[i];
}

static void put(const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(path(name), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static int make(void **state) {
    if (!mkdtemp(dir)) return -1;
    put("five.txt", "one\ntwo\nthree\nfour\nfive", 23);
    put("a:1-2", "named so\n", 9);
    put("empty.txt", "", 0);
    put("blank.txt", " \n\t\n", 4);
    put("prog",
        "\x7F"
        "ELF\2\1\1\0\0\0\0\0\0\0\0\0",
        16);
    put("page.html", "<!doctype html><p>Hello <b>you</b></p>", 38);
    put("feeds.txt", "one\n\ftwo\fthree\n\f", 16);
    put("latin.txt", "caf\xE9\r\nbar", 9);
    put("zip.txt", "PK\3\4rest of it", 14);
    return mkfifo(path("fifo"), 0600) | mkdir(path("folder"), 0700);
}

static int drop(void **state) {
    char command[160];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static void test_ingest__parts(void **state) {
    static const struct {
        const char *spec, *text;
        size_t line;
    } cases[] = {
        {"five.txt", "one\ntwo\nthree\nfour\nfive", 1},
        {"five.txt:2-3", "two\nthree\n", 2},
        {"five.txt:5", "five", 5},
        {"five.txt:4-", "four\nfive", 4},
        {"five.txt:1-99", "one\ntwo\nthree\nfour\nfive", 1},
        {"a:1-2", "named so\n", 1},
        {"feeds.txt", "one\ntwo\nthree\n", 1},
        {"feeds.txt:p2", "two\n", 2},
        {"feeds.txt:p3", "three\n", 3},
        {"latin.txt", "caf\xC3\xA9\nbar", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ingest in;
        ox_err err = {0};
        const struct ingest_opts opts = {.stop_fd = -1};
        if (ingest_open(path(cases[i].spec), &opts, &in, &err))
            fail_msg("%s: %s", cases[i].spec, err.what);
        if (in.to - in.from != strlen(cases[i].text) ||
            memcmp(in.text.p + in.from, cases[i].text, in.to - in.from) != 0 ||
            in.first_line != cases[i].line)
            fail_msg("%s: line %zu, \"%.*s\"", cases[i].spec, in.first_line, (int)(in.to - in.from),
                     in.text.p + in.from);
        ingest_deinit(&in);
    }
}

static void test_ingest__refusals(void **state) {
    static const struct {
        const char *spec;
        int code;
        const char *part;
    } cases[] = {
        {"none.txt", OX_ENOTFOUND, "cannot open"},
        {"folder", OX_EUSAGE, "is a folder"},
        {"empty.txt", OX_EFORMAT, "has no text (0 characters)"},
        {"blank.txt", OX_EFORMAT, "has no text"},
        {"prog", OX_EFORMAT, "an ELF program"},
        {"zip.txt", OX_EFORMAT, "a zip archive"},
        {"fifo", OX_EFORMAT, "has no text"},
        {"five.txt:0-3", OX_EUSAGE, "has 5 lines; they are counted from 1"},
        {"five.txt:6", OX_EUSAGE, "has 5 lines, the range begins at 6"},
        {"five.txt:4-2", OX_EUSAGE, "has 5 lines; the range 4-2 is backwards"},
        {"five.txt:p1", OX_EUSAGE, "has no pages"},
        {"feeds.txt:p4", OX_EUSAGE, "has 3 pages"},
        {"feeds.txt:4", OX_EUSAGE, "has 3 lines"},
        {"five.txt:x", OX_ENOTFOUND, "cannot open"},
        {"five.txt:1-x", OX_ENOTFOUND, "cannot open"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ingest in;
        ox_err err = {0};
        const struct ingest_opts opts = {.stop_fd = -1};
        int rc = ingest_open(path(cases[i].spec), &opts, &in, &err);
        if (rc != cases[i].code || !strstr(err.what, cases[i].part) || !err.fix[0] || !err.where[0])
            fail_msg("%s: %d %s / %s / %s", cases[i].spec, rc, err.what, err.where, err.fix);
    }
}

static void test_ingest__html_and_forced_kinds(void **state) {
    struct ingest in;
    struct ingest_opts opts = {.stop_fd = -1};
    assert_int_equal(ingest_open(path("page.html"), &opts, &in, NULL), 0);
    assert_string_equal(in.kind, "html");
    assert_null(strchr(buf_str(&in.text), '<'));
    assert_non_null(strstr(buf_str(&in.text), "Hello you"));
    ingest_deinit(&in);
    opts.kind = "text";
    assert_int_equal(ingest_open(path("page.html"), &opts, &in, NULL), 0);
    assert_non_null(strstr(buf_str(&in.text), "<b>"));
    ingest_deinit(&in);
    ox_err err = {0};
    opts.encoding = "klingon";
    assert_int_equal(ingest_open(path("five.txt"), &opts, &in, &err), OX_EUSAGE);
}

static void test_ingest__too_large_is_told_before_reading(void **state) {
    int fd = open(path("big"), O_CREAT | O_WRONLY, 0600);
    assert_int_equal(ftruncate(fd, 3LL << 30), 0);
    close(fd);
    struct ingest in;
    ox_err err = {0};
    const struct ingest_opts opts = {.stop_fd = -1};
    assert_int_equal(ingest_open(path("big"), &opts, &in, &err), OX_EFIT);
    assert_non_null(strstr(err.what, "3072 MiB"));
    assert_int_equal(ingest_open("/dev/zero", &opts, &in, &err), OX_EFIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ingest__parts),
        cmocka_unit_test(test_ingest__refusals),
        cmocka_unit_test(test_ingest__html_and_forced_kinds),
        cmocka_unit_test(test_ingest__too_large_is_told_before_reading),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
