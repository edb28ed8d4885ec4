/* test_talk.c - link: fake_engine. A conversation kept and taken up again: the prompt of a resumed
 * session is the prompt of one that never stopped; thoughts are split; whose state is wanted. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/core/thought.h"
#include "app/core/tip.h"
#include "app/talk.h"
#include "tests/fake_engine.h"

static char dir[] = "/tmp/oxbow-talk-XXXXXX", home[64];

static int make(void **state) {
    if (!mkdtemp(dir)) return -1;
    snprintf(home, sizeof home, "HOME=%s", dir);
    return 0;
}

static int drop(void **state) {
    char command[80];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static int ignore(void *user, const char *s, size_t n, ox_err *err) {
    return 0;
}

static void ask(struct talk *t, const char *question) {
    const struct talk_watch watch = {.text = ignore};
    ox_err err = {0};
    if (talk_plan(t, question, question ? strlen(question) : 0, &err))
        fail_msg("plan: %s", err.what);
    if (talk_answer(t, &watch, &err)) fail_msg("answer: %s", err.what);
    if (t->save_note.n) fail_msg("%s", buf_str(&t->save_note));
}

static void add_document(struct talk *t, const char *text) {
    struct ingest in = {0};
    struct buf raw = {0};
    const struct ingest_opts opts = {.stop_fd = -1};
    buf_puts(&raw, text, NULL);
    assert_int_equal(ingest_bytes(&raw, "doc", &opts, &in, NULL), 0);
    assert_int_equal(talk_add(t, &in, NULL), 0);
}

static void start(struct talk *t, struct config *conf) {
    char *env[] = {home, NULL};
    ox_err err = {0};
    assert_int_equal(conf_load(env, conf, &err), 0);
    if (talk_start(t, conf, &err)) fail_msg("start: %s", err.what);
    assert_int_equal(talk_ready(t, &err), 0);
}

static void stop(struct talk *t, struct config *conf) {
    talk_deinit(t);
    conf_deinit(conf);
}

static void test_talk__resumed_prompt_is_the_same(void **state) {
    struct talk t = {0};
    struct config conf;
    fake_script = (struct fake_script){0};
    start(&t, &conf);
    buf_puts(&t.system, "be brief", NULL);
    add_document(&t, "one\ntwo\n");
    ask(&t, "first");
    ask(&t, "second");
    size_t n = t.n_prompt;
    assert_int_equal(talk_plan(&t, "third", 5, NULL), 0);
    size_t want = t.n_prompt;
    assert_true(want > n && t.plan.live > 0);
    char uid[17];
    memcpy(uid, t.uid, sizeof uid);
    stop(&t, &conf);
    start(&t, &conf);
    ox_err err = {0};
    if (talk_resume(&t, 0, 0, &err)) fail_msg("resume: %s", err.what);
    assert_int_equal(talk_ready(&t, &err), 0);
    assert_string_equal(t.uid, uid);
    assert_int_equal(t.n_docs, 1);
    assert_int_equal(talk_plan(&t, "third", 5, &err), 0);
    assert_int_equal(t.n_prompt, want);
    assert_int_equal(t.prompt.n, 8);
    assert_int_equal(t.prompt.msg[4].n_tok,
                     t.prompt.msg[4].n_bytes); /* a byte a token: kept, not encoded again */
    stop(&t, &conf);
}

/* Neither the other model nor the one before can be loaded: said, not waited for. */
static void test_talk__no_model_at_all_is_an_error(void **state) {
    struct talk t = {0};
    struct config conf;
    ox_err err = {0};
    fake_script = (struct fake_script){0};
    start(&t, &conf);
    fake_script.open_code = OX_ENOMEM;
    assert_int_equal(talk_model(&t, "/no/such/model", &err), OX_EMODEL);
    alarm(20);
    assert_int_equal(talk_plan(&t, "first", 5, &err), OX_ENOMEM);
    assert_int_equal(talk_model(&t, "/no/such/model", &err), OX_EMODEL);
    alarm(0);
    fake_script.open_code = 0;
    ask(&t, "first");
    stop(&t, &conf);
}

static void test_talk__resume_fails_at_any_allocation(void **state) {
    struct talk t = {0};
    struct config conf;
    ox_err err = {0};
    fake_script = (struct fake_script){0};
    start(&t, &conf);
    add_document(&t, "one\ntwo\n");
    ask(&t, "first");
    int64_t id = t.id;
    bool is_reached = true;
    for (uint64_t n = 1; is_reached; n++) {
        talk_new(&t);
        ox_free(t.doc); /* a list that has room already cannot fail to grow */
        t.doc = NULL;
        t.cap_docs = 0;
        ox_mem_fail_at(n);
        int rc = talk_resume(&t, id, 0, &err);
        is_reached = ox_mem_fail_at(0) >= n;
        if (rc) assert_int_equal(rc, OX_ENOMEM); /* 0: it can do without the index of a tree */
        assert_true(is_reached || !rc);
    }
    assert_int_equal(t.n_docs, 1);
    stop(&t, &conf);
}

static void test_talk__documents_wait_and_are_refused(void **state) {
    struct talk t = {0};
    struct config conf;
    ox_err err = {0};
    fake_script = (struct fake_script){.max_tokens = 200};
    start(&t, &conf);
    add_document(&t, "a document of more than a hundred bytes, so that it cannot stand in so small "
                     "a context as this "
                     "one is, whatever the question may be");
    assert_int_equal(talk_plan(&t, "q", 1, &err), OX_EFIT);
    assert_non_null(strstr(err.where, "of them; nothing was sent"));
    assert_int_equal(t.chat.n, 0);
    assert_int_equal(talk_drop(&t, 1, &err), OX_EUSAGE);
    assert_int_equal(talk_drop(&t, 0, &err), 0);
    ask(&t, "q");
    assert_int_equal(t.end, CHAT_DONE);
    stop(&t, &conf);
}

static int64_t add(struct chat *c, int64_t id, int64_t parent, enum ox_role role) {
    struct chat_node row = {.id = id,
                            .parent = parent,
                            .role = role,
                            .text = ox_strdup("x", "text", NULL),
                            .n_bytes = 1};
    assert_int_equal(chat_add(c, &row, NULL), 0);
    return id;
}

static void test_tip__whose_state_continues(void **state) {
    struct chat c = {0};
    int64_t want;
    int moment;
    add(&c, 1, 0, OX_ROLE_USER);
    tip_find(&c, 1, -1, &want, &moment);
    assert_int_equal(want, 0); /* a first question: nobody's */
    add(&c, 2, 1, OX_ROLE_ASSISTANT);
    add(&c, 3, 2, OX_ROLE_USER);
    tip_find(&c, 3, -1, &want, &moment);
    assert_true(want == 2 && moment == 1); /* goes on behind the answer */
    add(&c, 4, 3, OX_ROLE_ASSISTANT);
    add(&c, -5, 3, OX_ROLE_ASSISTANT);
    tip_find(&c, 3, -5, &want, &moment);
    assert_true(want == 4 && moment == 0); /* another answer: before the one there is */
    chat_deinit(&c);
}

static void test_thought__any_split(void **state) {
    static const char text[] = "I <think> <</thin </think>\n\nAnswer </think> 2";
    for (size_t cut = 0; cut <= sizeof text - 1; cut++) {
        struct thought t = {.inside = true};
        struct buf thoughts = {0}, answer = {0};
        thought_feed(&t, text, cut, &thoughts, &answer, NULL);
        thought_feed(&t, text + cut, sizeof text - 1 - cut, &thoughts, &answer, NULL);
        thought_end(&t, &thoughts, NULL);
        assert_string_equal(buf_str(&thoughts), "I <think> <</thin ");
        assert_string_equal(buf_str(&answer), "Answer </think> 2");
        buf_deinit(&thoughts);
        buf_deinit(&answer);
    }
    struct thought t = {.inside = true};
    struct buf thoughts = {0}, answer = {0};
    thought_feed(&t, "cut off </thi", 13, &thoughts, &answer, NULL);
    thought_end(&t, &thoughts, NULL);
    assert_string_equal(buf_str(&thoughts), "cut off </thi");
    buf_deinit(&thoughts);
    buf_deinit(&answer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talk__resumed_prompt_is_the_same),
        cmocka_unit_test(test_talk__no_model_at_all_is_an_error),
        cmocka_unit_test(test_talk__resume_fails_at_any_allocation),
        cmocka_unit_test(test_talk__documents_wait_and_are_refused),
        cmocka_unit_test(test_tip__whose_state_continues),
        cmocka_unit_test(test_thought__any_split),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
