/* test_actions.c - slash commands and keys that change the conversation: what each asks for, and
 * what the screen says meanwhile. */
#include "tests/screens/stage.c"

static void open_chat(struct stage *st, enum chat_end end, const char *answer) {
    struct event ev = {.kind = EV_CHAT};
    struct chat_ledger cost = {.n_in = 40, .n_reused = 20, .n_out = 5, .seed = 9};
    stage_open(st, 80, 24);
    ev.chat.id = 7;
    snprintf(ev.chat.uid, sizeof ev.chat.uid, "3f2a000000000000");
    add_node(&ev.chat.tree, 1, 0, OX_ROLE_USER, "Which lights failed?", 1, (struct chat_ledger){0},
             CHAT_DONE, false);
    add_node(&ev.chat.tree, 2, 1, OX_ROLE_ASSISTANT, answer, 2, cost, end, false);
    struct chat_node *node = chat_find(&ev.chat.tree, 2);
    node->tok = ox_alloc(5, sizeof *node->tok, "ids", NULL);
    node->n_tok = 5;
    stage_event(st, ev);
    stage_draw(st);
    effect_list_clear(&st->fx);
}

static void type_command(struct stage *st, const char *words) {
    char keys[96];
    snprintf(keys, sizeof keys, "'%s' Enter", words);
    stage_keys(st, keys);
    stage_draw(st);
}

static void test_actions__continue_is_the_same_message(void **state) {
    struct stage st;
    open_chat(&st, CHAT_CRASHED, "Two lights fai");
    assert_true(stage_has(&st, "[interrupted]"));
    type_command(&st, "/continue");
    assert_int_equal(stage_effect(&st, FX_CONTINUE)->id2, 2);
    assert_null(stage_effect(&st, FX_ASK));
    assert_false(stage_has(&st, "[interrupted]"));
    stage_event(&st,
                (struct event){
                    .kind = EV_TEXT, .text = "Two lights fai", .n = 14, .number = 5, .flag = true});
    stage_event(&st, (struct event){.kind = EV_TEXT, .text = "led.", .n = 4, .number = 2});
    struct event done = {.kind = EV_DONE, .end = CHAT_DONE};
    done.ledger = (struct chat_ledger){.n_in = 45, .n_reused = 45, .n_out = 2, .exact = true};
    stage_event(&st, done);
    stage_draw(&st);
    const struct chat_node *node = chat_find(&st.s.chat, 2);
    assert_int_equal(st.s.chat.n, 2);
    assert_string_equal(node->text, "Two lights failed.");
    assert_int_equal(node->ledger.n_in, 40);
    assert_int_equal(node->ledger.n_out, 7);
    assert_true(stage_has(&st, "Two lights failed."));
    assert_false(stage_has(&st, "[interrupted]"));
    type_command(&st, "/continue");
    assert_true(stage_has(&st, "complete"));
    stage_close(&st);
}

/* Stopped inside a character: the replacement goes when the whole text is told again. */
static void test_actions__continue_replaces_half_a_character(void **state) {
    struct stage st;
    open_chat(&st, CHAT_STOPPED, "caf\xEF\xBF\xBD");
    type_command(&st, "/continue");
    stage_event(&st, (struct event){.kind = EV_TEXT, .text = "caf", .n = 3, .flag = true});
    stage_event(&st, (struct event){.kind = EV_TEXT, .text = "\xC3\xA9 noir", .n = 7});
    stage_draw(&st);
    assert_true(stage_has(&st, "caf\xC3\xA9 noir"));
    stage_close(&st);
}

static void test_actions__continue_that_cannot_begin_changes_nothing(void **state) {
    struct stage st;
    open_chat(&st, CHAT_STOPPED, "Two lights");
    assert_true(stage_has(&st, "stopped by you"));
    type_command(&st, "/continue");
    assert_false(stage_has(&st, "stopped by you"));
    struct event ev = {.kind = EV_FAILED, .number2 = 1};
    ox_err_set(&ev.err, OX_EFIT, "the prompt has 64 tokens, the context holds 64");
    stage_event(&st, ev);
    stage_draw(&st);
    assert_true(stage_has(&st, "the context holds 64"));
    assert_true(stage_has(&st, "stopped by you"));
    assert_int_equal(chat_find(&st.s.chat, 2)->n_tok, 5);
    assert_int_equal(st.s.job.busy, BUSY_NONE);
    stage_close(&st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions__continue_is_the_same_message),
        cmocka_unit_test(test_actions__continue_replaces_half_a_character),
        cmocka_unit_test(test_actions__continue_that_cannot_begin_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
