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

/* Lines 3 to 4 of 5: what goes with the question, and the numbers in the pane. */
static void test_actions__part_of_a_file_keeps_its_lines(void **state) {
    static const char text[] = "one\ntwo\nthree\nfour\nfive\n";
    struct stage st;
    stage_open(&st, 120, 24);
    for (int again = 0; again < 2; again++) { /* the second one is another part of the same */
        struct event ev = {.kind = EV_DOC, .flag = true};
        ev.doc = (struct doc_text){.id = 4,
                                   .name = ox_strdup(again ? "log:3-4" : "log:1-1", "name", NULL),
                                   .text = ox_strdup(text, "text", NULL),
                                   .n_bytes = strlen(text),
                                   .from = again ? 8 : 0,
                                   .to = again ? 19 : 4};
        assert_int_equal(cite_index_new(ev.doc.text, ev.doc.n_bytes, &ev.doc.index, NULL), 0);
        stage_event(&st, ev);
    }
    stage_draw(&st);
    assert_int_equal(st.s.n_docs, 1);
    assert_true(stage_has(&st, "[1] log:3-4, 2 lines, goes with"));
    assert_true(stage_has(&st, "    3   three"));
    stage_keys(&st, "'what' Enter");
    const struct chat_node *q = chat_find(&st.s.chat, stage_effect(&st, FX_ASK)->id);
    assert_int_equal(q->n_docs, 1);
    assert_int_equal(q->docs[0].from, 8);
    assert_int_equal(q->docs[0].to, 19);
    assert_string_equal(q->docs[0].name, "log:3-4");
    stage_close(&st);
}

static void test_actions__model_names_its_price(void **state) {
    struct stage st;
    open_chat(&st, CHAT_DONE, "Two lights failed.");
    chat_find(&st.s.chat, 2)->ledger.prefill_s = 2; /* 20 of 40 tokens were read */
    for (int i = 0; i < 2; i++) {
        type_command(&st, "/model big");
        assert_int_equal(stage_effect(&st, FX_MODEL)->id, 1); /* is it there? */
        assert_int_equal(st.s.overlay, OVERLAY_NONE);
        effect_list_clear(&st.fx);
        stage_event(&st, (struct event){.kind = EV_ASK, .text = "big", .id = FX_MODEL});
        stage_draw(&st);
        assert_true(stage_has(&st, "45 tokens must be read again, about 4.5 s"));
        stage_keys(&st, i ? "y" : "n");
        if (!i) assert_int_equal(st.fx.n, 0);
    }
    assert_string_equal(stage_effect(&st, FX_MODEL)->text, "big");
    assert_int_equal(stage_effect(&st, FX_MODEL)->id, 0);
    stage_event(&st, (struct event){.kind = EV_LOADED, .flag = true});
    assert_int_equal(chat_find(&st.s.chat, 2)->n_tok, 0); /* ids of another vocabulary */
    stage_close(&st);
}

static void test_actions__going_back_asks_for_the_price(void **state) {
    struct stage st;
    open_chat(&st, CHAT_DONE, "Two lights failed.");
    type_command(&st, "/edit");
    assert_int_equal(stage_effect(&st, FX_PRICE)->id, 1);
    assert_string_equal(stage_effect(&st, FX_PRICE)->text, "edits this question in a new branch");
    stage_keys(&st, "Esc");
    effect_list_clear(&st.fx);
    stage_harbour_doc(&st); /* document 1: read with the question */
    struct chat_node *q = chat_find(&st.s.chat, 1);
    q->docs = ox_alloc(1, sizeof *q->docs, "doc", NULL);
    q->docs[0] = (struct chat_doc){.doc = st.s.doc[0].d.id, .to = 1000};
    q->n_docs = 1;
    type_command(&st, "/undo");
    assert_int_equal(stage_effect(&st, FX_PRICE)->id, 1);
    assert_true(stage_has(&st, "back before turn 1; the branch stays"));
    assert_int_equal(st.s.chat.leaf, 0);
    assert_true(st.s.doc[0].is_pending); /* it stands before the next question again */
    stage_close(&st);
}

static void test_actions__long_reading_is_asked_for(void **state) {
    static const struct {
        const char *key;
        enum effect_kind then;
    } cases[] = {{"y", FX_AGREE}, {"n", FX_STOP}, {"Esc", FX_STOP}};
    for (size_t i = 0; i < 3; i++) {
        struct stage st;
        open_chat(&st, CHAT_DONE, "Two lights failed.");
        type_command(&st, "/regen");
        effect_list_clear(&st.fx);
        stage_event(&st, (struct event){.kind = EV_ASK,
                                        .text = "restart 41,233 tokens back, about 21 s",
                                        .id = FX_AGREE});
        stage_draw(&st);
        assert_true(stage_has(&st, "restart 41,233 tokens back, about 21 s.  y yes"));
        stage_keys(&st, cases[i].key);
        assert_int_equal(st.fx.n, 1);
        assert_int_equal(st.fx.v[0].kind, cases[i].then);
        assert_int_equal(st.s.overlay, OVERLAY_NONE);
        stage_close(&st);
    }
}

/* What stands comes back behind what passes; costs do not hide it; an empty one ends it. */
static void test_actions__not_saved_stands(void **state) {
    struct stage st;
    struct event stands = {.kind = EV_NOTICE, .text = "NOT SAVED: no room", .flag = true};
    struct event done = {.kind = EV_DONE, .end = CHAT_DONE};
    done.ledger = (struct chat_ledger){.n_in = 50, .n_reused = 40, .n_out = 2, .load_s = 1};
    open_chat(&st, CHAT_DONE, "Two lights failed.");
    stage_event(&st, stands);
    stage_event(&st, (struct event){.kind = EV_NOTICE, .text = "copied 18 characters"});
    stage_draw(&st);
    assert_true(stage_has(&st, "copied 18 characters"));
    st.now += 11;
    stage_event(&st, (struct event){.kind = EV_TICK});
    stage_draw(&st);
    assert_true(stage_has(&st, "NOT SAVED: no room"));
    type_command(&st, "Why?");
    stage_answer(&st, "The storm.");
    stage_event(&st, done);
    stage_draw(&st);
    assert_true(stage_has(&st, "NOT SAVED: no room"));
    stands.text = "";
    stage_event(&st, stands);
    stage_draw(&st);
    assert_false(stage_has(&st, "NOT SAVED"));
    stage_close(&st);
}

static void test_actions__meter_is_of_the_path(void **state) {
    struct stage st;
    struct event done = {.kind = EV_DONE, .end = CHAT_DONE};
    open_chat(&st, CHAT_DONE, "Two lights failed.");
    st.s.model.limit = 1000;
    assert_int_equal(st.s.n_used, 45);
    type_command(&st, "Why?");
    done.ledger = (struct chat_ledger){.n_in = 700, .n_out = 49};
    stage_event(&st, done);
    stage_draw(&st);
    assert_false(stage_has(&st, "of the context is used"));
    type_command(&st, "Who?");
    done.ledger = (struct chat_ledger){.n_in = 760, .n_out = 30};
    stage_event(&st, done);
    stage_draw(&st);
    assert_true(stage_has(&st, "75 % of the context is used; /compact"));
    assert_int_equal(st.s.n_used, 790);
    type_command(&st, "/undo 2"); /* another branch, another meter */
    assert_int_equal(st.s.n_used, 45);
    stage_close(&st);
    open_chat(&st, CHAT_CRASHED, "Two lights failed.");
    chat_find(&st.s.chat, 2)->ledger = (struct chat_ledger){0}; /* what a dead process leaves */
    update_count_used(&st.s);
    assert_true(st.s.is_used_about && st.s.n_used > 0);
    stage_close(&st);
    open_chat(&st, CHAT_DONE, "Two lights failed.");
    type_command(&st, "/compact"); /* its answer reads another prompt than the path */
    stage_answer(&st, "Lights.");
    done.ledger = (struct chat_ledger){.n_in = 5000, .n_out = 9};
    stage_event(&st, done);
    update_count_used(&st.s);
    assert_true(st.s.is_used_about && st.s.n_used < 100);
    stage_close(&st);
}

/* Below 100 columns the document covers the talk: only when it is asked for, and not for long. */
static void test_actions__a_covered_talk_comes_back(void **state) {
    static const char *const ways[] = {"Esc", "q", "Ctrl-O", "'Why?' Enter"};
    struct stage st;
    for (size_t i = 0; i < 4; i++) {
        stage_open(&st, 80, 24);
        stage_harbour_chat(&st);
        stage_draw(&st);
        stage_keys(&st, "Tab n");
        stage_draw(&st);
        assert_true(state_is_covered(&st.s) && st.s.focus == FOCUS_DOC);
        if (i == 3) st.s.focus = FOCUS_INPUT;
        stage_keys(&st, ways[i]);
        stage_draw(&st);
        assert_false(state_is_covered(&st.s));
        assert_true(st.s.pane.doc.h == 0 && st.s.focus != FOCUS_DOC);
        stage_close(&st);
    }
    stage_open(&st, 120, 40);
    stage_harbour_chat(&st);
    stage_draw(&st);
    assert_true(st.s.pane.split > 0); /* it opened by itself */
    stage_size(&st, 80, 24);
    stage_draw(&st);
    assert_false(state_is_covered(&st.s));
    stage_size(&st, 120, 40);
    stage_draw(&st);
    assert_true(st.s.pane.split > 0);
    stage_keys(&st, "Ctrl-O Ctrl-O"); /* now it was asked for */
    stage_size(&st, 80, 24);
    stage_draw(&st);
    assert_true(state_is_covered(&st.s));
    stage_close(&st);
}

/* It is a message before the first question, so that it is saved with it and resumed. */
static void test_actions__a_system_prompt_begins_the_session(void **state) {
    struct stage st;
    stage_open(&st, 80, 24);
    type_command(&st, "/undo");
    type_command(&st, "/system Be brief.");
    assert_true(stage_has(&st, "the system prompt is set"));
    type_command(&st, "Which lights failed?");
    assert_int_equal(st.s.chat.n, 3);
    const struct chat_node *root = &st.s.chat.node[0], *q = &st.s.chat.node[1];
    assert_true(root->role == OX_ROLE_SYSTEM && root->parent == 0 && q->parent == root->id);
    assert_string_equal(root->text, "Be brief.");
    assert_int_equal(st.s.sheet.n, 2); /* not shown as talk */
    struct event refused = {.kind = EV_FAILED, .number2 = 1, .err = {.code = OX_EFIT}};
    stage_event(&st, refused);
    assert_int_equal(st.s.chat.n, 0); /* as before Enter */
    assert_int_equal(st.s.chat.leaf, 0);
    stage_keys(&st, "Enter");
    assert_int_equal(st.s.chat.n, 3);
    stage_answer(&st, "Two.");
    stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
    type_command(&st, "/system Be long.");
    assert_true(stage_has(&st, "a system prompt stands before the first question"));
    assert_string_equal(st.s.error.fix, "/new, then /system TEXT");
    stage_keys(&st, "Ctrl-U");
    type_command(&st, "/system");
    assert_true(stage_has(&st, "system prompt: Be brief."));
    type_command(&st, "/undo");
    type_command(&st, "/system Be long.");
    type_command(&st, "Who?");
    assert_string_equal(st.s.chat.node[3].text, "Be long."); /* another root */
    assert_int_equal(st.s.chat.node[3].parent, 0);
    stage_close(&st);
}

/* What a command cannot do is said, and the line stays. */
static void test_actions__refused_arguments(void **state) {
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"/fork 9", "there is no turn 9"},      {"/copy 9", "there is no message 9"},
        {"/copy x", "\"x\" is not a number"},   {"/undo 0", "\"0\" is not a number"},
        {"/cite maybe", "is not on or off"},    {"/think so", "is not on or off"},
        {"/regen 7x", "\"7x\" is not a whole"}, {"/set db /tmp/x", "/set does not know \"db\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stage st;
        char line[32];
        open_chat(&st, CHAT_DONE, "Two lights failed.");
        type_command(&st, cases[i].line);
        if (!stage_has(&st, cases[i].says)) fail_msg("%s: %s", cases[i].line, st.s.error.what);
        snprintf(line, sizeof line, "> %s", cases[i].line);
        assert_true(stage_has(&st, line));
        assert_int_equal(st.fx.n, 0);
        stage_close(&st);
    }
    struct stage st;
    open_chat(&st, CHAT_DONE, "Two lights failed.");
    type_command(&st, "/fork 1");
    assert_int_equal(stage_effect(&st, FX_FORK)->id2, 2); /* with the answer of that turn */
    type_command(&st, "/tokens a b");
    assert_string_equal(stage_effect(&st, FX_COUNT)->text, "a b");
    effect_list_clear(&st.fx);
    type_command(&st, "/undo");
    assert_int_equal(st.s.chat.leaf, 0);
    assert_null(
        stage_effect(&st, FX_BRANCH)); /* there is none that ends before its first message */
    stage_close(&st);
}

/* What leaves the talk out is offered only where that makes the room that is missing. */
static void test_actions__choices_that_help(void **state) {
    static const struct {
        size_t over;
        bool helps;
    } cases[] = {{10, true}, {100, false}};
    for (size_t i = 0; i < 2; i++) {
        struct stage st;
        struct event refused = {.kind = EV_FAILED, .number = cases[i].over, .number2 = 1};
        ox_err_set(&refused.err, OX_EFIT, "does not fit");
        open_chat(&st, CHAT_DONE, "Two lights failed."); /* 45 tokens */
        type_command(&st, "What else?");
        stage_event(&st, refused);
        stage_draw(&st);
        assert_int_equal(stage_has(&st, "summarise the 1 turn so far"), cases[i].helps);
        assert_int_equal(stage_has(&st, "new session with this question"), cases[i].helps);
        assert_int_equal(stage_has(&st, "fix:   shorten it"), !cases[i].helps);
        assert_string_equal(buf_str(&st.s.input.text), "What else?");
        stage_close(&st);
    }
}

static void test_actions__tab_behind_a_slash(void **state) {
    struct stage st;
    stage_open(&st, 80, 24);
    stage_keys(&st, "'/st' Tab");
    stage_draw(&st);
    assert_string_equal(buf_str(&st.s.input.text), "/stat");
    stage_keys(&st, "Tab");
    stage_draw(&st);
    assert_true(stage_has(&st, "/stats  /states"));
    stage_keys(&st, "Ctrl-U '/com' Tab");
    assert_string_equal(buf_str(&st.s.input.text), "/compa");
    stage_keys(&st, "'c' Tab");
    assert_string_equal(buf_str(&st.s.input.text), "/compact ");
    stage_keys(&st, "Ctrl-U '/' Tab");
    stage_draw(&st);
    assert_int_equal(st.s.overlay, OVERLAY_PALETTE);
    stage_keys(&st, "'undo' Enter");
    assert_string_equal(buf_str(&st.s.input.text), "/undo ");
    stage_close(&st);
}

static void test_actions__a_folded_paste_says_what_it_can_be(void **state) {
    char text[2000];
    struct stage st;
    memset(text, 'x', sizeof text);
    stage_open(&st, 80, 24);
    stage_event(&st, (struct event){.kind = EV_PASTE, .text = text, .n = 20});
    stage_draw(&st);
    assert_false(stage_has(&st, "d makes it a document"));
    stage_event(&st, (struct event){.kind = EV_PASTE, .text = text, .n = sizeof text});
    stage_draw(&st);
    assert_true(stage_has(&st, "d makes it a document"));
    /* A refused question comes back folded. */
    stage_keys(&st, "Enter");
    assert_int_equal(st.s.chat.node[0].n_bytes, sizeof text + 20);
    stage_event(&st, (struct event){.kind = EV_FAILED, .number2 = 1, .err = {.code = OX_EFIT}});
    assert_int_equal(st.s.chat.n, 0);
    assert_int_equal(st.s.input.text.n, 24);
    stage_keys(&st, "Left d");
    assert_int_equal(stage_effect(&st, FX_PASTE_DOC)->n, sizeof text);
    stage_close(&st);
}

static struct event file_event(const char *name, bool failed) {
    return (struct event){.kind = EV_FILE, .text = name, .flag = failed};
}

/* What is asked while a file is read waits for it, and comes back if it does not come. */
static void test_actions__question_waits_for_the_file(void **state) {
    static const struct {
        bool fails;
        const char *typed, *input;
    } cases[] = {{false, "", ""},
                 {false, "more", "more"},
                 {true, "", "Which one?"},
                 {true, "more", "Which one?\nmore"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct stage st;
        struct buf input = {0};
        char keys[32];
        stage_open(&st, 100, 24);
        stage_event(&st, file_event("slow.pdf", false));
        st.now += 3.5;
        stage_event(&st, (struct event){.kind = EV_TICK});
        assert_true(st.s.dirty);
        assert_true(stage_has(&st, "reading slow.pdf, 3 s; Esc or Ctrl-C stops it"));
        stage_keys(&st, "'Which one?' Enter");
        assert_null(stage_effect(&st, FX_ASK));
        assert_true(stage_has(&st, "queued: sent when done"));
        snprintf(keys, sizeof keys, "'%s'", cases[i].typed);
        stage_keys(&st, keys);
        stage_event(&st, file_event("", cases[i].fails));
        assert_int_equal(stage_effect(&st, FX_ASK) != NULL, !cases[i].fails);
        assert_int_equal(edit_copy(&st.s.input, &input, NULL), 0);
        assert_string_equal(buf_str(&input), cases[i].input);
        assert_int_equal(st.s.queued.n, 0);
        assert_false(stage_has(&st, "slow.pdf"));
        buf_deinit(&input);
        stage_close(&st);
    }
}

/* An answer and a file at once: the question waits for both, whichever is first. */
static void test_actions__question_waits_for_file_and_answer(void **state) {
    for (int file_first = 0; file_first < 2; file_first++) {
        struct stage st;
        const struct event ends[2] = {{.kind = EV_DONE, .end = CHAT_DONE}, file_event("", false)};
        stage_open(&st, 100, 24);
        stage_keys(&st, "'First?' Enter");
        stage_answer(&st, "Yes.");
        stage_event(&st, file_event("slow.pdf", false));
        stage_keys(&st, "'Second?' Enter");
        effect_list_clear(&st.fx);
        stage_event(&st, ends[file_first]);
        assert_null(stage_effect(&st, FX_ASK));
        stage_event(&st, ends[!file_first]);
        assert_non_null(stage_effect(&st, FX_ASK));
        stage_close(&st);
    }
}

/* Esc and Ctrl-C are for the file, as its line says, and leave what is typed where it is. */
static void test_actions__stops_the_file_first(void **state) {
    static const char *const keys[] = {"Esc", "Ctrl-C"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct stage st;
        stage_open(&st, 100, 24);
        stage_keys(&st, "'First?' Enter");
        stage_event(&st, file_event("slow.pdf", false));
        stage_keys(&st, "'typed'");
        stage_keys(&st, keys[i]);
        assert_non_null(stage_effect(&st, FX_STOP_FILE));
        assert_null(stage_effect(&st, FX_STOP));
        assert_false(edit_is_empty(&st.s.input));
        stage_event(&st, file_event("", true));
        stage_keys(&st, keys[i]);
        assert_non_null(stage_effect(&st, FX_STOP));
        stage_close(&st);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions__a_covered_talk_comes_back),
        cmocka_unit_test(test_actions__a_folded_paste_says_what_it_can_be),
        cmocka_unit_test(test_actions__a_system_prompt_begins_the_session),
        cmocka_unit_test(test_actions__choices_that_help),
        cmocka_unit_test(test_actions__continue_is_the_same_message),
        cmocka_unit_test(test_actions__continue_replaces_half_a_character),
        cmocka_unit_test(test_actions__continue_that_cannot_begin_changes_nothing),
        cmocka_unit_test(test_actions__going_back_asks_for_the_price),
        cmocka_unit_test(test_actions__long_reading_is_asked_for),
        cmocka_unit_test(test_actions__meter_is_of_the_path),
        cmocka_unit_test(test_actions__model_names_its_price),
        cmocka_unit_test(test_actions__not_saved_stands),
        cmocka_unit_test(test_actions__part_of_a_file_keeps_its_lines),
        cmocka_unit_test(test_actions__refused_arguments),
        cmocka_unit_test(test_actions__tab_behind_a_slash),
        cmocka_unit_test(test_actions__question_waits_for_the_file),
        cmocka_unit_test(test_actions__question_waits_for_file_and_answer),
        cmocka_unit_test(test_actions__stops_the_file_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
