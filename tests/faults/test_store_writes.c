/* test_store_writes.c - the n-th call that changes a file fails, for every n of a short script:
 * once with EIO, and from then on with ENOSPC. SQLite and our own files go through the same counted
 * calls: this program defines write(2) and its relatives itself, before the C library's. */
#include "store_script.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

enum { N_TURNS = 2 };

static struct {
    bool is_armed, stays;
    long countdown, calls;
    int error;
} fault;

static bool fails(void) {
    if (!__atomic_load_n(&fault.is_armed, __ATOMIC_SEQ_CST)) return false;
    __atomic_add_fetch(&fault.calls, 1, __ATOMIC_SEQ_CST);
    long left = __atomic_sub_fetch(&fault.countdown, 1, __ATOMIC_SEQ_CST);
    bool yes = left == 0 || (left < 0 && fault.stays);
    if (yes) errno = fault.error;
    return yes;
}

ssize_t write(int fd, const void *p, size_t n) {
    return fails() ? -1 : syscall(SYS_write, fd, p, n);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) {
    return fails() ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    return pwrite64(fd, p, n, at);
}
int fsync(int fd) {
    return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}
int fdatasync(int fd) {
    return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}
int ftruncate64(int fd, off_t n) {
    return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, n);
}
int ftruncate(int fd, off_t n) {
    return ftruncate64(fd, n);
}
int rename(const char *a, const char *b) {
    return fails() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 0);
}
int mkdir(const char *path, mode_t mode) {
    return fails() ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

static void arm(long n, int error, bool stays) {
    fault.error = error;
    fault.stays = stays;
    fault.calls = 0;
    fault.countdown = n;
    __atomic_store_n(&fault.is_armed, true, __ATOMIC_SEQ_CST);
}

static void disarm(void) {
    __atomic_store_n(&fault.is_armed, false, __ATOMIC_SEQ_CST);
}

/* Two turns with everything around them. Errors are allowed; lies are not. */
static void run_script(const struct place *p, struct noted *noted) {
    static struct script s;
    s = (struct script){.noted = noted, .may_fail = true};
    if (script_open(&s, p, 1 << 30) == 0)
        for (int t = 0; t < N_TURNS; t++) {
            if (script_turn(&s, t)) break;
            script_states(&s, t);
            script_aside(&s, t);
        }
    script_close(&s);
}

/* Returns whether the fault was reached at all. */
static bool try_fault(long n, int error, bool stays) {
    static struct noted noted;
    struct place p;
    ox_err why = {0};
    store *st = NULL;
    memset(&noted, 0, sizeof noted);
    place_make(&p);
    arm(n, error, stays);
    run_script(&p, &noted);
    disarm();
    long calls = fault.calls;
    int rc = store_open(p.db, false, &st, &why);
    if (rc) fail_msg("write %ld: open afterwards: %d %s", n, rc, why.what);
    script_verify(st, &noted, 0);
    rc = store_check(st, no_bad, NULL, &why);
    if (rc) fail_msg("write %ld: %s", n, why.what);
    store_close(st);
    cache_verify(&p, 1 << 30);
    if (!stays &&
        calls >= n) { /* one fault in passing: everything must have got through in the end */
        int done = noted.finished[0] + noted.finished[1];
        if (done != N_TURNS && noted.n_asked > 0)
            fail_msg("write %ld: %d turns after one fault", n, done);
    }
    place_remove(&p);
    return calls >= n;
}

static void test_store_writes__one_fault_in_passing(void **state) {
    long n = 1;
    while (try_fault(n, EIO, false))
        n++;
    print_message("EIO at each of %ld writes\n", n - 1);
    assert_true(n > 60);
}

static void test_store_writes__disk_full_from_there_on(void **state) {
    long n = 1;
    while (try_fault(n, ENOSPC, true))
        n++;
    print_message("ENOSPC from each of %ld writes on\n", n - 1);
    assert_true(n > 60);
}

/* ---- the reserve: each kind of writing meets a full disk, and gets in ---- */

static struct noted reserve_noted;

static int full_question(struct script *s) {
    return script_ask(s, 0);
}
static int full_part(struct script *s) {
    struct chat_node more = {.text = "words", .n_bytes = 5};
    return store_msg_extend(s->st, reserve_noted.answer[0], &more, NULL);
}
static int full_answer(struct script *s) {
    return store_msg_finish(s->st, reserve_noted.answer[0], CHAT_DONE, NULL, NULL, NULL);
}
static int full_draft(struct script *s) {
    return store_draft_put(s->st, "new", "half a question", 15, 4, NULL);
}
static int full_session(struct script *s) {
    int64_t id;
    return store_chat_new(s->st, "a title", &id, NULL);
}
static int full_document(struct script *s) {
    const struct store_doc d = {.name = "a.txt", .text = "lines\n", .n_bytes = 6};
    int64_t id;
    return store_doc_add(s->st, &d, &id, NULL);
}

static void test_store_writes__what_gets_the_reserve(void **state) {
    static const struct {
        const char *name;
        int (*write)(struct script *s);
        bool asks_first, gets_it;
    } cases[] = {
        {"question (T1)", full_question, false, true},
        {"part (T2)", full_part, true, true},
        {"answer (T3)", full_answer, true, true},
        {"draft (T4)", full_draft, false, true},
        {"session", full_session, false, true},
        {"document (T5)", full_document, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct place p;
        char path[128];
        static struct script s;
        memset(&reserve_noted, 0, sizeof reserve_noted);
        place_make(&p);
        snprintf(path, sizeof path, "%s/data/oxbow.reserve", p.dir);
        s = (struct script){.noted = &reserve_noted};
        assert_int_equal(script_open(&s, &p, 1 << 30), 0);
        assert_int_equal(access(path, F_OK), 0);
        if (cases[i].asks_first) assert_int_equal(script_ask(&s, 0), 0);
        assert_false(store_is_tight(s.st)); /* nothing failed yet */
        arm(1, ENOSPC, false);
        int rc = cases[i].write(&s);
        disarm();
        bool kept = access(path, F_OK) == 0;
        if ((rc == 0) != cases[i].gets_it || kept == cases[i].gets_it)
            fail_msg("%s: %d, reserve %s", cases[i].name, rc, kept ? "kept" : "gone");
        assert_int_equal(store_is_tight(s.st), cases[i].gets_it);
        assert_int_equal(store_is_full(s.st), !cases[i].gets_it);
        assert_true(store_has_room(s.st)); /* and it is laid in again */
        assert_false(store_is_tight(s.st));
        assert_int_equal(access(path, F_OK), 0);
        script_close(&s);
        place_remove(&p);
    }
}

/* Where even that is not enough, the error says so, nothing is half written, and the next try gets
 * through. */
static void test_store_writes__reserve_is_not_enough(void **state) {
    struct place p;
    static struct script s;
    ox_err why = {0};
    memset(&reserve_noted, 0, sizeof reserve_noted);
    place_make(&p);
    s = (struct script){.noted = &reserve_noted};
    assert_int_equal(script_open(&s, &p, 1 << 30), 0);
    arm(1, ENOSPC, true);
    int rc = script_ask(&s, 0);
    bool full = store_is_full(s.st);
    int draft = store_draft_put(s.st, "new", "x", 1, 0, &why);
    disarm();
    assert_int_equal(rc, OX_EIO);
    assert_true(full);
    assert_int_equal(draft, OX_EIO);
    if (!strstr(why.what, "disk full at ")) fail_msg("said: %s", why.what);
    assert_int_equal(script_turn(&s, 0), 0);
    script_verify(s.st, &reserve_noted, 0);
    script_close(&s);
    place_remove(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_writes__one_fault_in_passing),
        cmocka_unit_test(test_store_writes__disk_full_from_there_on),
        cmocka_unit_test(test_store_writes__what_gets_the_reserve),
        cmocka_unit_test(test_store_writes__reserve_is_not_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
