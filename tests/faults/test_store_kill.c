/* test_store_kill.c - SIGKILL at random moments of a scripted conversation, inside commits, imports
 * and evictions too. After each: every finished turn is there word by word, the open one has every
 * part that was acknowledged, the checks are clean, and the same files carry the next round. */
#include "store_script.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 520, CHECK_EVERY = 20, QUOTA = 90000 };

static void work(const struct place *p, struct noted *noted) {
    static struct script s;
    s.noted = noted;
    s.pause_us = 800;
    if (script_open(&s, p, QUOTA)) _exit(3);
    s.leaf = noted->n_asked ? noted->answer[noted->n_asked - 1] : 0;
    for (int t = noted->n_asked; t < SCRIPT_TURNS; t++) {
        if (script_turn(&s, t)) _exit(4);
        script_states(&s, t);
        script_aside(&s, t);
    }
    _exit(5);
}

static void look(const struct place *p, const struct noted *noted, int round, int from) {
    ox_err why = {0};
    store *st = NULL;
    bool all = round % CHECK_EVERY == 0;
    int rc = store_open(p->db, false, &st, &why);
    if (rc) fail_msg("round %d: open: %d %s", round, rc, why.what);
    script_verify(st, noted, all ? 0 : from);
    if (all && store_check(st, no_bad, NULL, &why)) fail_msg("round %d: %s", round, why.what);
    store_close(st);
    if (all) cache_verify(p, QUOTA);
}

static void test_store_kill__every_acknowledged_word_is_there(void **state) {
    struct place p;
    int seen = 0, cut = 0;
    place_make(&p);
    struct noted *noted =
        mmap(NULL, sizeof *noted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(noted, MAP_FAILED);
    srand(11);
    for (int round = 1; round <= ROUNDS; round++) {
        pid_t child = fork();
        if (child == 0) work(&p, noted);
        /* From within opening up to some turns later. */
        long us = rand() % (round % 3 ? 40000 : 8000);
        nanosleep(&(struct timespec){0, us * 1000}, NULL);
        kill(child, SIGKILL);
        int status;
        waitpid(child, &status, 0);
        if (!WIFSIGNALED(status))
            fail_msg("round %d: child ended with %d", round, WEXITSTATUS(status));
        look(&p, noted, round, seen);
        seen = noted->n_asked;
    }
    for (int t = 0; t < noted->n_asked; t++)
        cut += !noted->finished[t];
    print_message("%d kills, %d turns, %d of them cut\n", ROUNDS, noted->n_asked, cut);
    assert_true(cut > 20); /* else the moments were not where they should be */
    munmap(noted, sizeof *noted);
    place_remove(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_kill__every_acknowledged_word_is_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
