/* test_worker.c - link: fake_engine. Jobs and news of the engine thread: order, cancelling,
 * failures. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <string.h>

#include "app/core/text.h"
#include "app/worker.h"
#include "tests/fake_engine.h"

static worker *start(void) {
    struct worker_opts opts = {0};
    worker *w = NULL;
    assert_int_equal(worker_start(&opts, &w, NULL), 0);
    struct work load = {.kind = WORK_LOAD, .id = 1};
    assert_int_equal(worker_send(w, &load, NULL), 0);
    return w;
}

/* The next piece of news, waiting up to 10 s. */
static struct news wait_news(worker *w) {
    struct news n = {0};
    while (!worker_next(w, &n)) {
        struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
        if (poll(&p, 1, 10000) <= 0) fail_msg("no news for 10 s");
    }
    return n;
}

static void send_question(worker *w, enum work_kind kind, uint64_t id, const char *text) {
    struct work job = {.kind = kind, .id = id, .reply = OX_REPLY_OPEN, .how = {.seed = 5}};
    assert_int_equal(prompt_user(&job.prompt, text, strlen(text), NULL), 0);
    assert_int_equal(worker_send(w, &job, NULL), 0);
}

/* Text of an answer up to its end; last gets the news that ended it. */
static void collect(worker *w, struct buf *text, struct ox_tokens *tok, struct news *last) {
    for (;;) {
        struct news n = wait_news(w);
        if (n.kind == NEWS_TEXT) {
            assert_int_equal(text_valid(n.text, n.n_bytes), n.n_bytes);
            buf_add(text, n.text ? n.text : "", n.n_bytes, NULL);
            for (size_t i = 0; i < n.tok.n; i++) {
                ox_grow(&tok->v, &tok->cap, tok->n + 1, sizeof *tok->v, NULL);
                tok->v[tok->n++] = n.tok.v[i];
            }
        }
        if (n.kind == NEWS_DONE || n.kind == NEWS_FAILED) {
            *last = n;
            return;
        }
        news_deinit(&n);
    }
}

static void test_worker__answers_in_whole_characters(void **state) {
    fake_script = (struct fake_script){.answer = "caf\xC3\xA9 \xF0\x9F\x98\x80\xff!"};
    worker *w = start();
    struct news n = wait_news(w);
    assert_int_equal(n.kind, NEWS_LOADED);
    assert_string_equal(worker_info(w)->name, "scripted");
    struct buf text = {0};
    struct ox_tokens tok = {0};
    send_question(w, WORK_ANSWER, 7, "hello");
    collect(w, &text, &tok, &n);
    assert_int_equal(n.kind, NEWS_DONE);
    assert_int_equal(n.id, 7);
    assert_int_equal(n.end, CHAT_DONE);
    assert_string_equal(buf_str(&text), "caf\xC3\xA9 \xF0\x9F\x98\x80\xEF\xBF\xBD!");
    assert_int_equal(tok.n, strlen(fake_script.answer));
    assert_int_equal(n.ledger.n_out, tok.n);
    assert_int_equal(n.ledger.seed, 5);
    buf_deinit(&text);
    ox_free(tok.v);
    news_deinit(&n);
    worker_stop(w);
}

static void test_worker__plan_hands_the_prompt_back(void **state) {
    fake_script = (struct fake_script){0};
    worker *w = start();
    send_question(w, WORK_PLAN, 2, "abc");
    struct news n = wait_news(w);
    news_deinit(&n);
    n = wait_news(w);
    assert_int_equal(n.kind, NEWS_DONE);
    assert_int_equal(n.prompt.n, 1);
    assert_int_equal(n.n_ends, 1);
    assert_int_equal(n.plan.fresh, n.n_prompt);
    assert_int_equal(n.tok.n, n.n_prompt);
    struct work job = {.kind = WORK_ANSWER, .id = 3, .reply = OX_REPLY_OPEN, .prompt = n.prompt};
    n.prompt = (struct prompt){0};
    news_deinit(&n);
    assert_int_equal(worker_send(w, &job, NULL), 0);
    struct buf text = {0};
    struct ox_tokens tok = {0};
    collect(w, &text, &tok, &n);
    assert_string_equal(buf_str(&text), "You said: abc");
    buf_deinit(&text);
    ox_free(tok.v);
    news_deinit(&n);
    worker_stop(w);
}

static void test_worker__length_and_context_end_an_answer(void **state) {
    static const struct {
        uint32_t ctx;
        size_t max, want;
    } cases[] = {{0, 3, 3}, {40, 0, 40 - 19}, {0, 0, 10}};
    for (size_t i = 0; i < 3; i++) {
        fake_script = (struct fake_script){.answer = "0123456789", .max_tokens = cases[i].ctx};
        if (cases[i].ctx) memset(fake_script.answer, 'x', 200);
        worker *w = start();
        struct work job = {
            .kind = WORK_ANSWER, .id = 9, .reply = OX_REPLY_OPEN, .max_new_tokens = cases[i].max};
        prompt_user(&job.prompt, "q", 1, NULL);
        worker_send(w, &job, NULL);
        struct buf text = {0};
        struct ox_tokens tok = {0};
        struct news n = wait_news(w);
        news_deinit(&n);
        collect(w, &text, &tok, &n);
        assert_int_equal(n.end, i == 2 ? CHAT_DONE : CHAT_LENGTH);
        assert_int_equal(tok.n, cases[i].want);
        buf_deinit(&text);
        ox_free(tok.v);
        news_deinit(&n);
        worker_stop(w);
    }
}

/* Stopped inside a character: it comes out whole, and the ids before it are not told twice. */
static void test_worker__continues_inside_a_character(void **state) {
    fake_script = (struct fake_script){.answer = "caf\xC3\xA9 noir"};
    worker *w = start();
    struct buf text = {0};
    struct ox_tokens tok = {0};
    struct news n = wait_news(w);
    struct work job = {.kind = WORK_ANSWER, .id = 3, .reply = OX_REPLY_CONTINUE, .reopens = true};
    const int32_t had[] = {'c', 'a', 'f', 0xC3};
    prompt_user(&job.prompt, "q", 1, NULL);
    prompt_assistant(&job.prompt, "caf\xEF\xBF\xBD", 6, had, 4, NULL);
    assert_int_equal(worker_send(w, &job, NULL), 0);
    collect(w, &text, &tok, &n);
    assert_int_equal(n.end, CHAT_DONE);
    assert_string_equal(buf_str(&text), "caf\xC3\xA9 noir");
    assert_int_equal(tok.n, 10);
    assert_int_equal(n.ledger.n_out, 6);
    news_deinit(&n);
    job = (struct work){.kind = WORK_ANSWER, .id = 4, .reply = OX_REPLY_CONTINUE, .reopens = true};
    job.n_begun = 3; /* it was begun behind something else */
    prompt_user(&job.prompt, "q", 1, NULL);
    prompt_assistant(&job.prompt, "caf", 3, had, 3, NULL);
    assert_int_equal(worker_send(w, &job, NULL), 0);
    collect(w, &text, &tok, &n);
    assert_int_equal(n.kind, NEWS_FAILED);
    assert_int_equal(n.err.code, OX_EUSAGE);
    buf_deinit(&text);
    ox_free(tok.v);
    news_deinit(&n);
    worker_stop(w);
}

static void test_worker__cancel_keeps_what_was_said(void **state) {
    fake_script = (struct fake_script){.token_us = 2000};
    memset(fake_script.answer, 'a', 3000);
    worker *w = start();
    send_question(w, WORK_ANSWER, 4, "long");
    send_question(w, WORK_ANSWER, 5, "queued behind");
    struct news n = {0};
    while (n.kind != NEWS_TEXT) {
        news_deinit(&n);
        n = wait_news(w);
    }
    news_deinit(&n);
    worker_cancel(w);
    struct buf text = {0};
    struct ox_tokens tok = {0};
    collect(w, &text, &tok, &n);
    assert_int_equal(n.kind, NEWS_DONE);
    assert_int_equal(n.end, CHAT_STOPPED);
    assert_true(n.ledger.n_out >= 1 && n.ledger.n_out < 1000);
    news_deinit(&n);
    collect(w, &text, &tok, &n);
    assert_int_equal(n.kind, NEWS_FAILED); /* cancelled before it began */
    assert_int_equal(n.err.code, OX_ECANCELLED);
    assert_int_equal(n.id, 5);
    news_deinit(&n);
    fake_script.token_us = 0; /* the next job is not touched by the old cancel */
    send_question(w, WORK_ANSWER, 6, "again");
    tok.n = 0;
    collect(w, &text, &tok, &n);
    assert_int_equal(n.end, CHAT_DONE);
    news_deinit(&n);
    buf_deinit(&text);
    ox_free(tok.v);
    worker_stop(w);
}

static void test_worker__failures_are_told(void **state) {
    static const struct {
        struct fake_script script;
        enum news_kind first;
        int code;
    } cases[] = {
        {{.open_code = OX_EMODEL}, NEWS_FAILED, OX_EMODEL},
        {{.sync_code = OX_EDEVICE}, NEWS_LOADED, OX_EDEVICE},
        {{.next_code = OX_EDEVICE, .next_after = 3}, NEWS_LOADED, OX_EDEVICE},
    };
    for (size_t i = 0; i < 3; i++) {
        fake_script = cases[i].script;
        worker *w = start();
        send_question(w, WORK_ANSWER, 8, "x");
        struct news n = wait_news(w);
        assert_int_equal(n.kind, cases[i].first);
        news_deinit(&n);
        struct buf text = {0};
        struct ox_tokens tok = {0};
        collect(w, &text, &tok, &n);
        assert_int_equal(n.kind, NEWS_FAILED);
        assert_int_equal(n.err.code, cases[i].code);
        assert_int_equal(text.n, i == 2 ? 3 : 0);
        buf_deinit(&text);
        ox_free(tok.v);
        news_deinit(&n);
        worker_stop(w);
    }
}

static void test_worker__stops_while_nobody_reads(void **state) {
    fake_script = (struct fake_script){0};
    memset(fake_script.answer, 'a', 3000);
    worker *w = start();
    for (int i = 0; i < 5; i++)
        send_question(w, WORK_ANSWER, 10, "flood the queue of news");
    struct pollfd p = {.fd = worker_fd(w), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    worker_stop(w);
}

static void test_worker__full_queue_is_busy(void **state) {
    fake_script = (struct fake_script){.token_us = 1000};
    memset(fake_script.answer, 'a', 3000);
    worker *w = start();
    int rc = 0;
    for (int i = 0; i < 70 && !rc; i++) {
        struct work job = {.kind = WORK_ENCODE, .text = ox_strdup("x", "text", NULL), .n_bytes = 1};
        if (i == 0) {
            send_question(w, WORK_ANSWER, 1, "slow");
            ox_free(job.text);
            continue;
        }
        rc = worker_send(w, &job, NULL);
    }
    assert_int_equal(rc, OX_EBUSY);
    worker_stop(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker__answers_in_whole_characters),
        cmocka_unit_test(test_worker__plan_hands_the_prompt_back),
        cmocka_unit_test(test_worker__length_and_context_end_an_answer),
        cmocka_unit_test(test_worker__continues_inside_a_character),
        cmocka_unit_test(test_worker__cancel_keeps_what_was_said),
        cmocka_unit_test(test_worker__failures_are_told),
        cmocka_unit_test(test_worker__stops_while_nobody_reads),
        cmocka_unit_test(test_worker__full_queue_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
