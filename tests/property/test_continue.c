/* test_continue.c - an answer that was stopped and goes on is token for token the answer that was
 * never stopped: with the built-in model, by the live timeline and, after a restart of the worker,
 * from its saved state. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/worker.h"

enum { ALL = 40, ANSWER = 12 };
static const char words[] = "Write a few sentences about the sea.";

struct reply {
    struct buf text;
    struct ox_tokens tok;
    struct news last;
};

static void reply_free(struct reply *r) {
    buf_deinit(&r->text);
    ox_free(r->tok.v);
    news_deinit(&r->last);
}

static worker *start(const char *states) {
    struct worker_opts opts = {.engine = {.model_dir = OXBOW_SOURCE_DIR "/engine/default",
                                          .n_threads = 1,
                                          .max_tokens = 512},
                               .states_path = states,
                               .db_uid = "0123456789abcdef",
                               .quota_bytes = 1u << 30};
    worker *w = NULL;
    assert_int_equal(worker_start(&opts, &w, NULL), 0);
    struct work load = {.kind = WORK_LOAD, .id = 1};
    assert_int_equal(worker_send(w, &load, NULL), 0);
    return w;
}

static struct reply collect(worker *w) {
    struct reply r = {0};
    for (;;) {
        struct news n = {0};
        while (!worker_next(w, &n)) {
            struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
            if (poll(&p, 1, 120000) <= 0) fail_msg("no news for two minutes");
        }
        if (n.kind == NEWS_FAILED) fail_msg("%s: %s", n.err.where, n.err.what);
        if (n.kind == NEWS_TEXT) {
            buf_add(&r.text, n.text ? n.text : "", n.n_bytes, NULL);
            for (size_t i = 0; i < n.tok.n; i++) {
                ox_grow(&r.tok.v, &r.tok.cap, r.tok.n + 1, sizeof *r.tok.v, NULL);
                r.tok.v[r.tok.n++] = n.tok.v[i];
            }
        }
        if (n.kind == NEWS_DONE) {
            r.last = n;
            return r;
        }
        news_deinit(&n);
    }
}

/* before: what the answer has, or NULL for a new one. */
static struct reply answer(worker *w, const struct reply *before, size_t max, float temperature) {
    struct work job = {
        .kind = WORK_ANSWER,
        .id = 2,
        .reply = before ? OX_REPLY_CONTINUE_NO_THINK : OX_REPLY_NO_THINK,
        .reopens = before != NULL,
        .n_begun = before ? before->last.n_prompt + before->last.ledger.n_out - before->tok.n : 0,
        .keep = true,
        .chat_uid = "fedcba9876543210",
        .answer = ANSWER,
        .leaf = before ? ANSWER : 0,
        .leaf_moment = 1,
        .max_new_tokens = max,
        .how = {temperature, 0.95f, 0, 1.1f, 0, 7, 0}};
    assert_int_equal(prompt_user(&job.prompt, words, strlen(words), NULL), 0);
    if (before)
        assert_int_equal(prompt_assistant(&job.prompt, buf_str(&before->text), before->text.n,
                                          before->tok.v, before->tok.n, NULL),
                         0);
    assert_int_equal(worker_send(w, &job, NULL), 0);
    return collect(w);
}

static void assert_same(const struct reply *a, const struct reply *b) {
    assert_int_equal(a->tok.n, b->tok.n);
    assert_memory_equal(a->tok.v, b->tok.v, a->tok.n * sizeof *a->tok.v);
    assert_string_equal(buf_str(&a->text), buf_str(&b->text));
}

/* Stopped at `at` tokens, gone on with twice; restarts: a new worker in between. */
static void check(const char *folder, const struct reply *whole, size_t at, bool restarts,
                  float temperature) {
    char states[128], command[160];
    snprintf(states, sizeof states, "%s/%zu-%d-%d", folder, at, restarts, temperature > 0);
    worker *w = start(states);
    struct reply part = answer(w, NULL, at, temperature);
    size_t n_prompt = part.last.n_prompt;
    assert_int_equal(part.last.end, CHAT_LENGTH);
    for (size_t next = at + 3; next; next = next < ALL ? ALL : 0) {
        if (restarts) {
            worker_stop(w);
            w = start(states);
        }
        size_t n = part.tok.n;
        struct reply more = answer(w, &part, next - n, temperature);
        assert_int_equal(more.last.n_prompt, n_prompt + n);
        assert_int_equal(restarts ? more.last.plan.restored : more.last.plan.live, n_prompt + n);
        assert_true(more.last.ledger.exact);
        assert_int_equal(more.last.ledger.n_out, more.tok.n - n);
        reply_free(&part);
        part = more;
    }
    assert_same(whole, &part);
    reply_free(&part);
    worker_stop(w);
    snprintf(command, sizeof command, "rm -r %s", states);
    assert_int_equal(system(command), 0);
}

static void test_continue__equals_never_stopped(void **state) {
    char folder[] = "/tmp/oxbow-continue-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < 2; i++) {
        float temperature = i ? 0.8f : 0;
        worker *w = start(NULL);
        struct reply whole = answer(w, NULL, ALL, temperature);
        worker_stop(w);
        assert_int_equal(whole.tok.n, ALL);
        check(folder, &whole, 1, false, temperature);
        check(folder, &whole, 1, true, temperature);
        check(folder, &whole, 17, true, temperature);
        reply_free(&whole);
    }
    rmdir(folder);
}

/* Without any saved state, as after a crash: read again, and the text comes first in one piece. */
static void test_continue__without_a_state(void **state) {
    worker *w = start(NULL);
    struct reply part = answer(w, NULL, 9, 0);
    worker_stop(w);
    w = start(NULL);
    struct reply more = answer(w, &part, 5, 0);
    assert_false(more.last.ledger.exact);
    assert_int_equal(more.last.plan.fresh, part.last.n_prompt + 9);
    assert_memory_equal(more.tok.v, part.tok.v, 9 * sizeof *part.tok.v);
    assert_memory_equal(more.text.p, part.text.p, part.text.n);
    reply_free(&part);
    reply_free(&more);
    worker_stop(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_continue__equals_never_stopped),
        cmocka_unit_test(test_continue__without_a_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
