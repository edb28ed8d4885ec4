/* test_pool.c - every task runs once, whatever the number of threads and however long they slept.
 */
#include "engine/cores.h"
#include "engine/pool.h"

#include "kernels/base/ox_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>
#include <cmocka.h>

enum { MAX_TASKS = 1000 };

struct count {
    atomic_int runs[MAX_TASKS];
    int64_t value[MAX_TASKS];
};

static void run_task(void *arg, int i) {
    struct count *c = arg;
    atomic_fetch_add(&c->runs[i], 1);
    c->value[i] += i; /* unguarded on purpose: generations must not overlap (thread sanitizer) */
}

static void run_rounds(const struct kn_host *h, int n_tasks, int n_rounds) {
    static struct count c;
    c = (struct count){0};
    for (int r = 0; r < n_rounds; r++)
        h->parallel(h->user, n_tasks, run_task, &c);
    for (int i = 0; i < n_tasks; i++) {
        assert_int_equal(atomic_load(&c.runs[i]), n_rounds);
        assert_int_equal(c.value[i], (int64_t)n_rounds * i);
    }
}

static void test_pool__every_task_runs_once(void **state) {
    static const int n_tasks[] = {0, 1, 2, 3, 7, 64, MAX_TASKS};
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        pool *p = NULL;
        assert_int_equal(pool_open(n_threads, &p, NULL), 0);
        assert_int_equal(pool_host(p)->n_threads, n_threads);
        for (size_t i = 0; i < sizeof n_tasks / sizeof n_tasks[0]; i++)
            run_rounds(pool_host(p), n_tasks[i], 20);
        pool_close(p);
    }
}

/* Longer than the spin: workers sleep and must wake up. */
static void test_pool__wakes_up(void **state) {
    pool *p = NULL;
    assert_int_equal(pool_open(3, &p, NULL), 0);
    for (int i = 0; i < 20; i++) {
        struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
        run_rounds(pool_host(p), 5, 1);
    }
    pool_close(p);
}

static void test_pool__open_and_close(void **state) {
    ox_err err = {0};
    pool *p = NULL;
    assert_int_equal(pool_open(-1, &p, &err), OX_EUSAGE);
    assert_int_equal(pool_open(100000, &p, &err), OX_EUSAGE);
    pool_close(NULL);
    assert_true(cores_usable() >= 1);
    assert_int_equal(pool_open(0, &p, NULL), 0);
    assert_int_equal(pool_host(p)->n_threads, cores_usable());
    pool_close(p);
    for (uint64_t n = 1;; n++) { /* the n-th allocation fails: nothing leaks, nobody hangs */
        ox_mem_fail_at(n);
        int rc = pool_open(4, &p, &err);
        ox_mem_fail_at(0);
        if (!rc) break;
        assert_int_equal(rc, OX_ENOMEM);
    }
    pool_close(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool__every_task_runs_once),
        cmocka_unit_test(test_pool__wakes_up),
        cmocka_unit_test(test_pool__open_and_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
