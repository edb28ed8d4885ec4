/* test_store_two.c - several processes on one database: nothing is lost, nobody is told that a
 * database is locked, each sees what the others finished, a killed one blocks nobody. */
#include "store_script.h"

#include <signal.h>
#include <sys/wait.h>

enum { N_PROCESSES = 4, N_TURNS = 40 };

/* Exit status 0, or the number of the child's step that failed. */
static void wait_all(const pid_t *child, int n) {
    for (int k = 0; k < n; k++) {
        int status;
        waitpid(child[k], &status, 0);
        if (status) fail_msg("process %d ended with %d", k, WEXITSTATUS(status));
    }
}

static int count_turns(void *user, const struct store_chat *row) {
    int *n = user;
    *n += (int)row->n_turns;
    return 0;
}

/* All start at once on a file that does not exist yet, so that making and migrating it is raced for
 * too. */
static void test_store_two__all_turns_of_all_processes(void **state) {
    struct place p;
    pid_t child[N_PROCESSES];
    place_make(&p);
    for (int k = 0; k < N_PROCESSES; k++) {
        child[k] = fork();
        if (child[k]) continue;
        store *st = NULL;
        int64_t chat = 0, leaf = 0;
        struct store_model m = {
            .source = "folder", .name = "t", .weights = {1, 1}, .vocab = {2, 2}};
        ox_err why = {0};
        if (store_open(p.db, false, &st, &why)) {
            print_error("process %d: %s (%s)\n", k, why.what, why.fix);
            _exit(1);
        }
        if (store_model_use(st, &m, NULL)) _exit(2);
        if (store_chat_new(st, "t", &chat, NULL)) _exit(3);
        for (int t = 0; t < N_TURNS; t++) {
            char text[48];
            snprintf(text, sizeof text, "process %d turn %d", k, t);
            struct chat_node q = {.parent = leaf,
                                  .role = OX_ROLE_USER,
                                  .end = CHAT_DONE,
                                  .text = text,
                                  .n_bytes = strlen(text)};
            struct chat_node a = {.role = OX_ROLE_ASSISTANT, .end = CHAT_OPEN};
            struct chat_node more = {.text = text, .n_bytes = strlen(text)};
            if (store_begin(st, NULL)) _exit(4);
            if (store_msg_add(st, chat, &q, &a.parent, NULL)) _exit(5);
            if (store_msg_add(st, chat, &a, &leaf, NULL)) _exit(6);
            if (store_end(st, 0, NULL)) _exit(7);
            for (int i = 0; i < 3; i++)
                if (store_msg_extend(st, leaf, &more, NULL)) _exit(8);
            if (store_msg_finish(st, leaf, CHAT_DONE, NULL, NULL, NULL)) _exit(9);
        }
        store_close(st);
        _exit(0);
    }
    wait_all(child, N_PROCESSES);
    int n = 0;
    store *st = store_at(p.db);
    OK(store_chat_list(st, NULL, count_turns, &n, err));
    assert_int_equal(n, N_PROCESSES * N_TURNS);
    OK(store_check(st, no_bad, NULL, err));
    store_close(st);
    place_remove(&p);
}

static void test_store_two__one_writes_the_other_reads_and_forks(void **state) {
    struct place p;
    int to[2], from[2];
    char byte;
    place_make(&p);
    store *st = store_at(p.db);
    int64_t chat = 0, fork_id = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    int64_t a1 = turn(st, chat, 0, "q1", "a1");
    store_close(st);
    assert_int_equal(pipe(to) | pipe(from), 0);
    pid_t child = fork();
    if (child == 0) {
        st = store_at(p.db);
        use_model(st, 1);
        turn(st, chat, a1, "q2", "a2"); /* takes the lock */
        if (write(from[1], "x", 1) != 1 || read(to[0], &byte, 1) != 1) _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(from[0], &byte, 1), 1);
    ox_err why = {0};
    int64_t leaf = 0, last = 0;
    char pid[32];
    st = store_at(p.db);
    use_model(st, 1);
    store_has_changed(st);
    OK(store_chat_last(st, &last, &leaf, err));
    assert_string_equal(path_text(st, leaf), "u:q1|a:a1|u:q2|a:a2");
    assert_int_equal(store_chat_lock(st, chat, &why), OX_EBUSY);
    snprintf(pid, sizeof pid, "process %ld", (long)child);
    assert_non_null(strstr(why.what, pid));
    assert_null(strstr(why.what, "database is locked"));
    struct chat_node q = {
        .parent = leaf, .role = OX_ROLE_USER, .end = CHAT_DONE, .text = "x", .n_bytes = 1};
    assert_int_equal(store_msg_add(st, chat, &q, &last, NULL), OX_EBUSY);
    assert_int_equal(store_chat_delete(st, chat, NULL, NULL), OX_EBUSY);
    OK(store_chat_fork(st, chat, leaf, NULL, &fork_id, err));
    OK(store_msg_add(st, fork_id, &q, &last, err));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    OK(store_chat_lock(st, chat, err)); /* no stale owner */
    OK(store_msg_add(st, chat, &q, &last, err));
    store_close(st);
    place_remove(&p);
}

/* An answer that another process is writing is not closed as crashed. */
static void test_store_two__living_answers_are_left_alone(void **state) {
    struct place p;
    int from[2], to[2];
    char byte;
    place_make(&p);
    assert_int_equal(pipe(to) | pipe(from), 0);
    store_close(store_at(p.db));
    pid_t child = fork();
    if (child == 0) {
        int64_t chat = 0;
        store *st = store_at(p.db);
        use_model(st, 1);
        OK(store_chat_new(st, "t", &chat, err));
        int64_t a = ask(st, chat, 0, "q");
        part(st, a, "one ", 4, 1);
        if (write(from[1], "x", 1) != 1 || read(to[0], &byte, 1) != 1) _exit(1);
        part(st, a, "two", 3, 2);
        OK(store_msg_finish(st, a, CHAT_DONE, NULL, NULL, err));
        store_close(st);
        _exit(0);
    }
    assert_int_equal(read(from[0], &byte, 1), 1);
    int64_t chat, leaf;
    store *st = store_at(p.db);
    use_model(st, 1);
    OK(store_chat_last(st, &chat, &leaf, err));
    assert_string_equal(path_text(st, leaf), "u:q|a:one ");
    store_has_changed(st);
    assert_false(store_has_changed(st));
    assert_int_equal(write(to[1], "x", 1), 1);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_true(store_has_changed(st));
    assert_string_equal(path_text(st, leaf), "u:q|a:one two");
    store_close(st);
    place_remove(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_two__all_turns_of_all_processes),
        cmocka_unit_test(test_store_two__one_writes_the_other_reads_and_forks),
        cmocka_unit_test(test_store_two__living_answers_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
