/* test_child.c - other programs: limits, a stop at any moment, and signals that are meant for them.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/child.h"

static void test_child__limits(void **state) {
    static const struct {
        const char *argv[4];
        struct child_limits limits;
        int code;
        const char *part;
    } cases[] = {
        {{"echo", "-n", "hi"}, {0}, 0, "hi"},
        {{"oxbow-no-such-program"}, {0}, OX_ENOTFOUND, "is not installed"},
        {{"sh", "-c", "exit 3"}, {0}, OX_EFORMAT, "status 3"},
        {{"sleep", "30"}, {.wall_s = 1}, OX_EFORMAT, "longer than 1 s"},
        {{"yes"}, {.output_bytes = 1 << 20}, OX_EFIT, "more than 1 MiB"},
        {{"sh", "-c", "kill -9 $$"}, {0}, OX_EFORMAT, "signal 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = {0};
        ox_err err = {0};
        int rc = child_capture(cases[i].argv, &cases[i].limits, -1, &out, &err);
        if (rc != cases[i].code || !strstr(rc ? err.what : buf_str(&out), cases[i].part))
            fail_msg("%s: %d %s", cases[i].argv[0], rc, err.what);
        buf_deinit(&out);
    }
}

/* The stop is there before the child has run one line: it must not outlive it all the same. */
static void test_child__stop_strikes_one_that_just_began(void **state) {
    static const char *const argv[] = {"sleep", "20", NULL};
    struct child_limits none = {0};
    struct timespec from, to;
    int stop[2];
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(write(stop[1], "x", 1), 1);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 20; i++) {
        struct buf out = {0};
        assert_int_equal(child_capture(argv, &none, stop[0], &out, NULL), OX_ECANCELLED);
        buf_deinit(&out);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true(to.tv_sec - from.tv_sec < 10);
    close(stop[0]);
    close(stop[1]);
}

static volatile sig_atomic_t n_caught;

static void count_signal(int signo) {
    (void)signo;
    n_caught++;
}

/* The terminal sends Ctrl-C to everybody in the foreground, and editors use it as a key. */
static void test_child__keyboard_signals_are_the_editors(void **state) {
    static const char *const argv[] = {
        "sh", "-c",
        "kill -INT $PPID; kill -QUIT $PPID; kill -TSTP $PPID; sleep 0.2; kill -CONT $PPID", NULL};
    static const char *const dies[] = {"sh", "-c", "kill -INT $$; sleep 5", NULL};
    signal(SIGINT, count_signal);
    signal(SIGQUIT, count_signal);
    signal(SIGTSTP, count_signal);
    assert_int_equal(child_wait(argv, NULL), 0);
    assert_int_equal(n_caught, 0);
    assert_int_equal(child_wait(dies, NULL), OX_EFAIL); /* it has its own default again */
    raise(SIGINT);
    assert_int_equal(n_caught, 1); /* and so has the caller */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child__limits),
        cmocka_unit_test(test_child__stop_strikes_one_that_just_began),
        cmocka_unit_test(test_child__keyboard_signals_are_the_editors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
