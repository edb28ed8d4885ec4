/* test_keys_work.c - every row of the key table, pressed in its place, does something that shows:
 * the frame, the cursor or an effect changes. What F1 lists is not only a list. */
#include "tests/screens/stage.c"

static void long_chat(struct stage *st) {
    struct event ev = {.kind = EV_CHAT};
    struct chat_ledger none = {0};
    ev.chat.id = 7;
    snprintf(ev.chat.uid, sizeof ev.chat.uid, "3f2a000000000000");
    int64_t parent = 0;
    for (int i = 0; i < 20; i++, parent += 2) {
        add_node(&ev.chat.tree, parent + 1, parent, OX_ROLE_USER,
                 "A question about the lamp, please?", i, none, CHAT_DONE, i == 0);
        add_node(&ev.chat.tree, parent + 2, parent + 1, OX_ROLE_ASSISTANT,
                 "- \"the lamp was out at a quarter to nine\"\n- lamp\n\n```\ncode();\n```\n\nEnd.",
                 i, none, CHAT_DONE, false);
    }
    add_node(&ev.chat.tree, 100, 39, OX_ROLE_ASSISTANT,
             "\"no answer from the Skerry after seven\" and the lamp.", 21, none, CHAT_DONE, false);
    stage_event(st, ev);
    stage_harbour_doc(st);
}

/* Three, of which each differs from the others in many places. */
static void long_answers(struct chat *tree) {
    const struct chat_ledger none = {0};
    add_node(tree, 1, 0, OX_ROLE_USER, "A long one, please.", 1, none, CHAT_DONE, false);
    for (int64_t id = 2; id <= 4; id++) {
        struct buf text = {0};
        for (int i = 0; i < 60; i++)
            buf_printf(&text, NULL, "Paragraph %d is the same.\n\nOnly %d says this %d.\n\n", i,
                       (int)id, i);
        add_node(tree, id, 1, OX_ROLE_ASSISTANT, buf_str(&text), 2, none, CHAT_DONE, false);
        buf_deinit(&text);
    }
}

static void set_up(struct stage *st, unsigned place) {
    stage_open(st, 110, 30);
    long_chat(st);
    stage_event(st, (struct event){.kind = EV_HISTORY, .text = "an earlier line"});
    stage_draw(st);
    switch (place) {
    case PLACE_INPUT:
    case PLACE_ANY:
        stage_keys(st, "PgUp PgUp 'one two three' Ctrl-J 'four five six' Ctrl-J 'seven' Up");
        stage_keys(st, "End Left Ctrl-W");
        break;
    case PLACE_DOC: stage_keys(st, "Tab Tab PgDn PgDn j"); break;
    case PLACE_LIST:
        stage_sessions(st);
        stage_keys(st, "'o' Down");
        break;
    case PLACE_TREE: stage_keys(st, "Tab t Down Down"); break;
    case PLACE_SIDES: {
        struct event ev = {.kind = EV_CHAT};
        long_answers(&ev.chat.tree);
        stage_event(st, ev);
        stage_keys(st, "Tab c PgDn PgDn j");
        break;
    }
    default: stage_keys(st, "Tab PgUp PgUp PgUp / 'lamp' Enter { {"); break;
    }
    stage_draw(st);
}

static bool is_changed(struct stage *st, const struct buf *before, int x, int y) {
    struct buf now = {0};
    stage_draw(st);
    assert_int_equal(frame_dump(&st->f, &now, NULL), 0);
    bool changed = st->fx.n > 0 || st->f.cursor_x != x || st->f.cursor_y != y ||
                   strcmp(buf_str(&now), buf_str(before)) != 0 || st->s.esc_until > 0 ||
                   st->s.quits;
    buf_deinit(&now);
    return changed;
}

static void test_keys__each_row_does_something(void **state) {
    static const unsigned places[] = {PLACE_INPUT, PLACE_CHAT, PLACE_DOC, PLACE_LIST,
                                      PLACE_TREE,  PLACE_READ, PLACE_ANY, PLACE_SIDES};
    size_t n, n_idle = 0;
    const struct key_row *rows = keymap_rows(&n);
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < sizeof places / sizeof places[0]; p++) {
            if (!(rows[i].places & places[p])) continue;
            struct stage st;
            struct buf before = {0};
            set_up(&st, places[p]);
            effect_list_clear(&st.fx);
            assert_int_equal(frame_dump(&st.f, &before, NULL), 0);
            int x = st.f.cursor_x, y = st.f.cursor_y;
            stage_keys(&st, rows[i].keys);
            if (!is_changed(&st, &before, x, y)) {
                n_idle++;
                print_message("%s (%s) in place %u changed nothing\n", rows[i].keys, rows[i].name,
                              places[p]);
            }
            buf_deinit(&before);
            stage_close(&st);
        }
    assert_int_equal(n_idle, 0);
}

static void test_keys__mouse(void **state) {
    struct stage st;
    set_up(&st, PLACE_INPUT);
    stage_keys(&st, "Ctrl-C");
    struct sheet_place top = st.s.top;
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 4, .x = 5, .y = 5});
    stage_draw(&st);
    assert_true(st.s.top.i != top.i || st.s.top.row != top.row);
    size_t line = st.s.docs.top;
    stage_event(&st,
                (struct event){.kind = EV_MOUSE, .mouse = 5, .x = st.s.pane.doc.x + 3, .y = 5});
    assert_int_equal(st.s.docs.top, line + 3);
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 1, .x = 5, .y = 5});
    assert_int_equal(st.s.focus, FOCUS_CHAT);
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 1, .x = 5, .y = st.s.pane.input.y});
    assert_int_equal(st.s.focus, FOCUS_INPUT);
    stage_close(&st);
}

/* Dragging copies whole words, without indents and breaks of wrapped rows; a key unmarks them. */
static void test_keys__drag_copies_words(void **state) {
    struct stage st;
    stage_open(&st, 60, 24);
    stage_harbour_chat(&st);
    stage_keys(&st, st.s.docs.is_open ? "Ctrl-O" : "");
    stage_draw(&st);
    int y = 0; /* of the row "   The pilot's own note puts .." */
    while (y < 23 && memcmp(frame_cell(&st.f, 7, y)->bytes, "p", 1) != 0)
        y++;
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 1, .x = 8, .y = y});
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 2, .x = 20, .y = y});
    stage_draw(&st);
    assert_int_equal(frame_cell(&st.f, 7, y)->style, STYLE_SELECT);
    assert_int_equal(frame_cell(&st.f, 6, y)->style, STYLE_TEXT);
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 3, .x = 20, .y = y});
    const struct effect *copy = stage_effect(&st, FX_COPY);
    assert_non_null(copy);
    assert_int_equal(copy->n, strlen("pilot's own note"));
    assert_memory_equal(copy->text, "pilot's own note", copy->n);
    effect_list_clear(&st.fx);
    /* upwards, over several lines */
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 1, .x = 8, .y = y});
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 2, .x = 5, .y = y - 2});
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 3, .x = 5, .y = y - 2});
    copy = stage_effect(&st, FX_COPY);
    assert_non_null(copy);
    assert_true(copy->n > 20 && memchr(copy->text, '\n', copy->n) != NULL);
    stage_keys(&st, "j");
    assert_false(st.s.select.is_on);
    /* a click alone copies nothing */
    effect_list_clear(&st.fx);
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 1, .x = 8, .y = 5});
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 3, .x = 8, .y = 5});
    assert_null(stage_effect(&st, FX_COPY));
    stage_close(&st);
}

/* The document pane the same: over a wrapped row, and upwards; nothing of the line numbers. */
static void test_keys__drag_copies_from_the_document(void **state) {
    struct stage st;
    (void)state;
    stage_open(&st, 120, 40);
    stage_harbour_doc(&st);
    stage_harbour_chat(&st);
    stage_draw(&st);
    struct rect r = st.s.pane.doc_text;
    int y = r.y + 2, x = r.x + 8;
    st.s.docs.top = 397; /* "398 The clerk reports no answer from the Skerry after seven." */
    stage_draw(&st);
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 1, .x = x + 6, .y = y});
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 2, .x = x + 2, .y = y + 1});
    assert_int_equal(st.s.focus, FOCUS_DOC);
    assert_true(st.s.docs.drag.is_on);
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 3, .x = x + 2, .y = y + 1});
    const struct effect *fx = stage_effect(&st, FX_COPY);
    assert_non_null(fx);
    assert_int_equal(fx->n, strlen("clerk reports no answer from the Skerry after"));
    assert_memory_equal(fx->text, "clerk reports no answer from the Skerry after", fx->n);
    stage_keys(&st, "Down");
    assert_false(st.s.docs.drag.is_on);
    effect_list_clear(&st.fx);
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 1, .x = x, .y = y}); /* a click */
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 3, .x = x, .y = y});
    assert_null(stage_effect(&st, FX_COPY));
    int below = r.y + r.h + 1; /* the citations are no text */
    stage_event(&st, (struct event){.kind = EV_MOUSE, .mouse = 1, .x = x, .y = below});
    assert_false(st.s.docs.drag.is_held);
    stage_close(&st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys__each_row_does_something),
        cmocka_unit_test(test_keys__mouse),
        cmocka_unit_test(test_keys__drag_copies_words),
        cmocka_unit_test(test_keys__drag_copies_from_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
