/* test_reader.c - a document read on a thread of its own: what comes of it, and how it is stopped.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/reader.h"

static char dir[] = "/tmp/oxbow-reader-XXXXXX", file[64], fifo[64];

static int make(void **state) {
    if (!mkdtemp(dir)) return -1;
    snprintf(file, sizeof file, "%s/five.txt", dir);
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    FILE *f = fopen(file, "w");
    if (!f) return -1;
    fputs("one\ntwo\nthree\nfour\nfive", f);
    return fclose(f) | mkfifo(fifo, 0600);
}

static int drop(void **state) {
    return unlink(file) | unlink(fifo) | rmdir(dir);
}

static reader *start(const char *spec) {
    reader *r = NULL;
    assert_int_equal(reader_start(spec, &r, NULL), 0);
    return r;
}

static bool is_done(const reader *r, int ms) {
    return poll(&(struct pollfd){.fd = reader_fd(r), .events = POLLIN}, 1, ms) > 0;
}

static void test_reader__hands_over_text_and_index(void **state) {
    struct ingest in = {0};
    cite_index *index = NULL;
    struct cite_list cites = {0};
    char spec[96];
    snprintf(spec, sizeof spec, "%s:2-3", file);
    reader *r = start(spec);
    assert_true(is_done(r, 10000));
    assert_int_equal(reader_finish(r, &in, &index, NULL), 0);
    assert_string_equal(buf_str(&in.text), "one\ntwo\nthree\nfour\nfive");
    assert_string_equal(buf_str(&in.name), "five.txt:2-3");
    assert_int_equal(in.from, 4);
    assert_int_equal(in.to, 14);
    const cite_index *const index_of = index;
    static const char answer[] = "It says \"two three four five\".";
    assert_int_equal(cite_find(answer, sizeof answer - 1, 0, &index_of, 1, &cites, NULL), 0);
    assert_int_equal(cites.n, 1);
    assert_int_equal(cites.v[0].from, 4);
    ox_free(cites.v);
    cite_index_free(index);
    ingest_deinit(&in);
}

static void test_reader__says_what_ingest_says(void **state) {
    static const struct {
        const char *spec, *what;
        int rc;
    } cases[] = {{"/no/such/file", "cannot open /no/such/file", OX_ENOTFOUND},
                 {"/tmp", "/tmp is a folder", OX_EUSAGE},
                 {"-", "- is a terminal, or was read", OX_EUSAGE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ingest in = {0};
        cite_index *index = NULL;
        ox_err e = {0};
        int rc = reader_finish(start(cases[i].spec), &in, &index, &e);
        if (rc != cases[i].rc || strncmp(e.what, cases[i].what, strlen(cases[i].what)) != 0)
            fail_msg("%s: %d, %s", cases[i].spec, rc, e.what);
        assert_null(index);
        assert_int_equal(in.text.n, 0);
    }
}

static void test_reader__leaves_a_terminal_alone(void **state) {
    ox_err e = {0};
    struct ingest in = {0};
    cite_index *index = NULL;
    int pty = posix_openpt(O_RDWR | O_NOCTTY);
    if (pty < 0 || grantpt(pty) || unlockpt(pty)) {
        print_message("SKIP no terminal can be made here\n");
        skip();
    }
    int end = open(ptsname(pty), O_RDWR | O_NOCTTY); /* bytes typed there, which are not taken */
    assert_true(end >= 0);
    assert_int_equal(write(pty, "keys\n", 5), 5);
    assert_int_equal(reader_finish(start(ptsname(pty)), &in, &index, &e), OX_EUSAGE);
    char keys[8];
    assert_int_equal(read(end, keys, sizeof keys), 5);
    close(end);
    close(pty);
}

/* A pipe whose writer says nothing: only a stop ends it, and the owner's poll sees the end. */
static void test_reader__stops(void **state) {
    struct ingest in = {0};
    cite_index *index = NULL;
    ox_err e = {0};
    int both = open(fifo, O_RDWR);
    reader *r = start(fifo);
    assert_false(is_done(r, 50));
    reader_stop(r);
    reader_stop(r);
    assert_true(is_done(r, 10000));
    assert_int_equal(reader_finish(r, &in, &index, &e), OX_ECANCELLED);
    assert_string_equal(e.what, "stopped while reading fifo");
    r = start(fifo); /* nobody wants it */
    reader_stop(r);
    assert_int_equal(reader_finish(r, NULL, NULL, NULL), OX_ECANCELLED);
    close(both);
}

/* The stop came when the file was read already: it is not handed over all the same. */
static void test_reader__stop_that_is_late_is_a_stop(void **state) {
    struct ingest in = {0};
    cite_index *index = NULL;
    ox_err e = {0};
    reader *r = start(file);
    assert_true(is_done(r, 10000));
    reader_stop(r);
    assert_int_equal(reader_finish(r, &in, &index, &e), OX_ECANCELLED);
    assert_string_equal(e.what, "stopped while reading five.txt");
    assert_int_equal(in.text.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader__hands_over_text_and_index),
        cmocka_unit_test(test_reader__says_what_ingest_says),
        cmocka_unit_test(test_reader__leaves_a_terminal_alone),
        cmocka_unit_test(test_reader__stops),
        cmocka_unit_test(test_reader__stop_that_is_late_is_a_stop),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
