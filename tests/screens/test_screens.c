/* test_screens.c - state and size to frame: the mock-ups of PRODUCT.md section 4, five sizes, and
 * what keys do to them. */
#include "tests/screens/stage.c"

static const int sizes[][2] = {{20, 6}, {40, 12}, {80, 24}, {120, 40}, {250, 70}};

static void at_all_sizes(const char *name, void (*play)(struct stage *st)) {
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct stage st;
        char file[64];
        stage_open(&st, sizes[i][0], sizes[i][1]);
        st.s.memory_bytes = 612u << 20;
        play(&st);
        snprintf(file, sizeof file, "%s_%dx%d", name, sizes[i][0], sizes[i][1]);
        stage_check(&st, file);
        stage_close(&st);
    }
}

static void play_first(struct stage *st) {
    (void)st;
}

static void play_stream(struct stage *st) {
    stage_harbour_chat(st);
    stage_keys(st, "'And the water?' Enter");
    st->now += 0.5;
    stage_answer(st, "The highest water was noted by the pilot:\n\n| lamp | hour |\n|---|---|\n| "
                     "North Mole | 20:45 |\n");
    st->now += 2;
    stage_answer(st, "| Skerry | 19:00 |\n\n\"The clerk tried four times, then closed\" and");
    stage_keys(st, "'and which one was lit again first?' Enter");
}

static void play_reading(struct stage *st) {
    stage_harbour_doc(st);
    st->s.doc[0].is_pending = true;
    stage_keys(st, "'Who signed it?' Enter");
    struct ox_plan plan = {.restored = 8192};
    for (uint64_t done = 8192; done <= 29184; done += 2624) {
        stage_event(st, (struct event){
                            .kind = EV_PROGRESS, .plan = plan, .number = done, .number2 = 63402});
        st->now += 1.4;
    }
    stage_keys(st, "'a next thought'");
}

static void play_sessions(struct stage *st) {
    stage_sessions(st);
    stage_keys(st, "'harb'");
}

static void play_hits(struct stage *st) {
    stage_sessions(st);
    stage_keys(st, "'/harbour'");
    stage_hits(st);
    stage_keys(st, "Down");
}

static void play_help(struct stage *st) {
    stage_keys(st, "F1");
}

static void play_palette(struct stage *st) {
    stage_keys(st, "Ctrl-P 'th' Down");
}

static void play_cites(struct stage *st) {
    stage_harbour_chat(st);
    stage_keys(st, "Tab n");
}

static void play_map(struct stage *st) {
    stage_harbour_chat(st);
    struct chat_node *answer = st->s.sheet.path[st->s.sheet.n - 1];
    answer->ledger.prefill_s = 0.011; /* of 22 tokens: 2,000 a second */
    struct event ev = {.kind = EV_CONTEXT};
    ev.context.v = ox_alloc(3, sizeof *ev.context.v, "map", NULL);
    ev.context.n = ev.context.cap = 3;
    ev.context.v[0] = (struct context_piece){CONTEXT_SYSTEM, 1, 212, 41255};
    ev.context.v[1] = (struct context_piece){CONTEXT_DOCUMENT, 1, 39870, 1385};
    ev.context.v[2] = (struct context_piece){CONTEXT_TURN, 1, 1173, 0};
    ev.context.tokens = 41255;
    stage_event(st, ev);
    stage_keys(st, "Ctrl-T");
}

static void play_tree(struct stage *st) {
    stage_harbour_chat(st);
    stage_keys(st, "Tab r");
    stage_answer(st, "Another answer.");
    stage_event(st, (struct event){
                        .kind = EV_DONE, .end = CHAT_DONE, .ledger = {.n_in = 41255, .n_out = 4}});
    stage_keys(st, "t");
}

static void play_sides(struct stage *st) {
    const struct chat_ledger seven = {.n_in = 41255, .n_out = 60, .seed = 7},
                             eight = {.n_in = 41255, .n_out = 70, .seed = 8};
    struct event ev = {.kind = EV_CHAT};
    ev.chat.id = 7;
    struct chat *t = &ev.chat.tree;
    add_node(t, 1, 0, OX_ROLE_USER, "Which lights failed, and what do the \xE6\xB8\xAF notes say?",
             14, seven, CHAT_DONE, false);
    add_node(t, 2, 1, OX_ROLE_ASSISTANT,
             "Two lights failed in the night of 9 November:\n\n"
             "- North Mole, at a quarter to nine\n"
             "- Skerry, after seven\n\n"
             "\xE5\x8C\x97\xE6\xB8\xAF\xE3\x81\xAE\xE7\x81\xAF\xE3\x81\x8C\xE6\xB6\x88"
             "\xE3\x81\x88\xE3\x81\x9F\xE3\x80\x82 The clerk tried four times, then closed.\n\n"
             "The pilot puts the highest water at noon.",
             14, seven, CHAT_DONE, false);
    add_node(t, 3, 1, OX_ROLE_ASSISTANT,
             "Three lights failed in the night of 9 November:\n\n"
             "- North Mole, at nine\n"
             "- Inner Bank, from midnight on, as the keeper wrote in the log of the next day\n"
             "- Skerry, after seven\n\n"
             "\xE5\x8D\x97\xE6\xB8\xAF\xE3\x81\xAE\xE7\x81\xAF\xE3\x81\x8C\xE6\xB6\x88"
             "\xE3\x81\x88\xE3\x81\x9F\xE3\x80\x82 The clerk tried four times, then closed.\n\n"
             "The pilot puts the highest water at noon.",
             15, eight, CHAT_LENGTH, false);
    t->leaf = 2;
    stage_event(st, ev);
    stage_keys(st, "Tab c");
}

static void play_choice(struct stage *st) {
    stage_harbour_doc(st);
    st->s.doc[0].is_pending = true;
    stage_keys(st, "'What changed for small boats?' Enter");
    struct event ev = {.kind = EV_FAILED, .number = 1310, .number2 = 1};
    ox_err_set(&ev.err, OX_EFIT, "does not fit: 64,798 tokens wanted, 63,488 free");
    stage_event(st, ev);
}

static void play_error(struct stage *st) {
    stage_keys(st, "'/regne' Enter");
}

static void test_screens__sizes(void **state) {
    at_all_sizes("first", play_first);
    at_all_sizes("stream", play_stream);
    at_all_sizes("reading", play_reading);
    at_all_sizes("sessions", play_sessions);
    at_all_sizes("hits", play_hits);
    at_all_sizes("help", play_help);
    at_all_sizes("palette", play_palette);
    at_all_sizes("cites", play_cites);
    at_all_sizes("tree", play_tree);
    at_all_sizes("sides", play_sides);
    at_all_sizes("map", play_map);
    at_all_sizes("error", play_error);
    at_all_sizes("choice", play_choice);
}

/* No size is refused, none writes outside the frame (the sanitizer run looks). */
static void test_screens__any_size(void **state) {
    static void (*const plays[])(struct stage *) = {play_stream, play_reading, play_sessions,
                                                    play_help,   play_cites,   play_tree,
                                                    play_error,  play_sides};
    for (int w = 1; w < 130; w += w < 24 ? 1 : 13)
        for (int h = 1; h < 50; h += h < 14 ? 1 : 11) {
            struct stage st;
            stage_open(&st, w, h);
            plays[(w + h) % 8](&st);
            stage_draw(&st);
            assert_true(st.f.cursor_x < w && st.f.cursor_y < h);
            stage_close(&st);
        }
}

static void test_screens__top_line_stays_on_resize(void **state) {
    struct stage st;
    stage_open(&st, 80, 24);
    struct event ev = {.kind = EV_CHAT};
    struct buf text = {0};
    for (int i = 0; i < 200; i++)
        buf_printf(&text, NULL, "word%d and some more words to fill the line. ", i);
    struct chat_ledger none = {0};
    add_node(&ev.chat.tree, 1, 0, OX_ROLE_USER, "q", 1, none, CHAT_DONE, false);
    add_node(&ev.chat.tree, 2, 1, OX_ROLE_ASSISTANT, text.p, 1, none, CHAT_DONE, false);
    stage_event(&st, ev);
    stage_draw(&st);
    stage_keys(&st, "Tab PgUp PgUp PgUp");
    stage_draw(&st);
    const struct sheet_item *item = sheet_get(&st.s.sheet, st.s.top.i);
    size_t at = item->rows.v[st.s.top.row - 1].from;
    for (int w = 30; w < 250; w += 17) {
        stage_size(&st, w, 20 + w / 10);
        stage_draw(&st);
        item = sheet_get(&st.s.sheet, st.s.top.i);
        const struct row *row = &item->rows.v[st.s.top.row - 1];
        if (row->from > at ||
            (st.s.top.row < item->rows.n && item->rows.v[st.s.top.row].from <= at))
            fail_msg("width %d: byte %zu is not in the top row", w, at);
    }
    buf_deinit(&text);
    stage_close(&st);
}

static void test_screens__follow_mode(void **state) {
    struct stage st;
    stage_open(&st, 60, 14);
    stage_keys(&st, "'hello' Enter");
    for (int i = 0; i < 40; i++)
        stage_answer(&st, "line of the answer\n\n");
    assert_true(st.s.follow);
    stage_keys(&st, "PgUp");
    assert_false(st.s.follow);
    stage_answer(&st, "more\n\n");
    assert_true(stage_has(&st, "new text below (G)"));
    struct sheet_place top = st.s.top;
    for (int i = 0; i < 40; i++)
        stage_answer(&st, "line of the answer\n\n");
    stage_draw(&st);
    assert_int_equal(st.s.top.row, top.row); /* what is being read does not move */
    stage_keys(&st, "Tab G");
    assert_true(st.s.follow);
    stage_close(&st);
}

/* A question that does not fit goes nowhere: the tree is as before, the words are in the input. */
static void test_screens__choice_at_the_limit(void **state) {
    struct stage st;
    stage_open(&st, 100, 30);
    play_choice(&st);
    assert_int_equal(st.s.chat.n, 0);
    assert_string_equal(buf_str(&st.s.input.text), "What changed for small boats?");
    assert_true(st.s.doc[0].is_pending);
    assert_true(stage_has(&st, "1  shorten: use lines 1-"));
    effect_list_clear(&st.fx);
    stage_keys(&st, "1");
    assert_non_null(stage_effect(&st, FX_ASK));
    assert_int_equal(st.s.chat.n, 2);
    assert_true(st.s.chat.node[0].docs[0].to < st.s.doc[0].d.n_bytes);
    stage_close(&st);
}

/* The summary is asked for in a branch of its own; when it comes to nothing, so does the branch. */
static void test_screens__compact(void **state) {
    struct stage st;
    stage_open(&st, 100, 30);
    stage_keys(&st, "'/compact' Enter");
    assert_null(stage_effect(&st, FX_COMPACT)); /* nothing was said yet */
    stage_keys(&st, "'One' Enter");
    stage_answer(&st, "First.");
    stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
    int64_t answer = st.s.chat.leaf;
    stage_keys(&st, "'/compact' Enter");
    const struct effect *fx = stage_effect(&st, FX_COMPACT);
    assert_non_null(fx);
    assert_int_equal(fx->id, answer);
    assert_int_equal(fx->id2, st.s.chat.leaf);
    assert_int_equal(st.s.n_branches, 2);
    struct event stopped = {.kind = EV_FAILED, .number2 = 1, .err = {.code = OX_ECANCELLED}};
    stage_event(&st, stopped);
    assert_int_equal(st.s.chat.leaf, answer);
    assert_int_equal(st.s.n_branches, 1);
    stage_keys(&st, "'/compact' Enter");
    stage_answer(&st, "In short.");
    struct event done = {.kind = EV_DONE, .end = CHAT_DONE, .ledger = {.n_in = 50000, .n_out = 3}};
    stage_event(&st, done);
    assert_true(st.s.n_used < 100); /* not what the summary read */
    assert_true(stage_has(&st, "In short."));
    stage_close(&st);
}

/* What only one answer has is reversed, and nothing else; wide characters count two cells. */
static void test_screens__sides_mark_words(void **state) {
    struct stage st;
    stage_open(&st, 80, 24);
    play_sides(&st);
    stage_draw(&st);
    int n_left = 0, n_right = 0;
    for (int y = 3; y < 22; y++)
        for (int x = 0; x < 80; x++)
            if (frame_cell(&st.f, x, y)->style == STYLE_SELECT) *(x < 40 ? &n_left : &n_right) += 1;
    /* Two; "a quarter to"; one wide character */
    assert_int_equal(n_left, 3 + 12 + 2);
    /* Three; the whole of Inner Bank, in three rows without the spaces at the breaks; the character */
    assert_int_equal(n_right, 5 + 32 + 34 + 8 + 2);
    stage_close(&st);
}

static void test_screens__sides_keys(void **state) {
    struct stage st;
    stage_open(&st, 80, 24);
    play_sides(&st);
    assert_int_equal(st.s.overlay, OVERLAY_SIDES);
    assert_true(stage_has(&st, "seed 8"));
    stage_keys(&st, "Tab"); /* they change places, and back */
    assert_int_equal(st.s.sides.side[0].id, 3);
    stage_keys(&st, "Tab Esc");
    assert_int_equal(st.s.overlay, OVERLAY_NONE);
    assert_int_equal(st.s.chat.leaf, 2);
    stage_keys(&st, "c 2");
    assert_int_equal(st.s.chat.leaf, 3);
    assert_int_equal(stage_effect(&st, FX_BRANCH)->id2, 3);
    stage_keys(&st, "t Down c"); /* in the tree: a row beside what is on the screen */
    assert_int_equal(st.s.overlay, OVERLAY_SIDES);
    assert_int_equal(st.s.sides.side[0].id, 3);
    assert_int_equal(st.s.sides.side[1].id, 2);
    stage_keys(&st, "Esc");
    assert_int_equal(st.s.overlay, OVERLAY_TREE);
    stage_keys(&st, "Esc Esc");
    stage_keys(&st, "'/compare 2 1' Enter");
    assert_int_equal(st.s.sides.side[0].id, 3);
    stage_keys(&st, "Esc '/answer 1' Enter");
    assert_int_equal(st.s.chat.leaf, 2);
    stage_keys(&st, "'/answer 4' Enter");
    assert_int_equal(st.s.chat.leaf, 2);
    stage_close(&st);
}

/* Several answers, one behind the other; what is done when one is stopped stays and is shown. */
static void test_screens__seeds(void **state) {
    struct stage st;
    stage_open(&st, 100, 30);
    stage_keys(&st, "'/seeds' Enter");
    assert_null(stage_effect(&st, FX_ASK)); /* nothing was asked yet */
    stage_keys(&st, "'One' Enter");
    stage_answer(&st, "First.");
    stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
    stage_keys(&st, "'/seeds 1' Enter '/seeds 10' Enter '/seeds x' Enter"); /* 2 to 9 */
    assert_int_equal(st.s.seeds.n, 0);
    effect_list_clear(&st.fx);
    stage_keys(&st, "'/seeds 3' Enter");
    assert_true(stage_has(&st, "answer 1 of 3"));
    for (int i = 0; i < 3; i++) {
        const struct effect *ask = stage_effect(&st, FX_ASK);
        assert_non_null(ask);
        assert_null(ask->text);
        effect_list_clear(&st.fx);
        stage_answer(&st, i == 1 ? "Another one." : "One more.");
        stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
    }
    assert_null(stage_effect(&st, FX_ASK));
    assert_int_equal(st.s.overlay, OVERLAY_SIDES);
    assert_true(stage_has(&st, "answer 2/4") && stage_has(&st, "answer 3/4"));
    stage_keys(&st, "]");
    assert_true(stage_has(&st, "answer 4/4"));
    stage_keys(&st, "Esc");
    /* stopped in the third: two are there */
    stage_keys(&st, "'/seeds 4' Enter");
    for (int i = 0; i < 3; i++) {
        stage_answer(&st, "Text.");
        stage_event(&st, (struct event){.kind = EV_DONE, .end = i < 2 ? CHAT_DONE : CHAT_STOPPED});
    }
    assert_int_equal(st.s.overlay, OVERLAY_SIDES);
    assert_true(stage_has(&st, "answer 5/7") && stage_has(&st, "answer 6/7"));
    assert_true(stage_has(&st, "the words are the same"));
    stage_keys(&st, "Esc");
    /* refused at its price: as before */
    stage_keys(&st, "'/seeds' Enter");
    struct event no = {.kind = EV_FAILED, .number2 = 1, .err = {.code = OX_ECANCELLED}};
    stage_event(&st, no);
    assert_int_equal(st.s.seeds.n, 0);
    assert_int_equal(st.s.chat.n, 8);
    assert_int_equal(st.s.overlay, OVERLAY_NONE);
    /* words that are being typed are not covered */
    stage_keys(&st, "'/seeds 2' Enter 'a draft'");
    for (int i = 0; i < 2; i++) {
        stage_answer(&st, "Text.");
        stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
    }
    assert_int_equal(st.s.overlay, OVERLAY_NONE);
    assert_true(stage_has(&st, "2 answers are there"));
    stage_close(&st);
}

static void test_screens__summarize_by_size(void **state) {
    struct stage st;
    stage_open(&st, 100, 30);
    stage_harbour_doc(&st);
    st.s.is_loaded = true;
    stage_keys(&st, "'/summarize 2' Enter");
    assert_int_equal(st.s.chat.n, 0);
    stage_keys(&st, "'/summarize' Enter");
    assert_non_null(stage_effect(&st, FX_ASK));
    assert_int_equal(st.s.chat.node[0].n_docs, 1);
    stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
    effect_list_clear(&st.fx);
    st.s.model.is_small = true;
    stage_keys(&st, "'/summarize 1' Enter");
    assert_null(stage_effect(&st, FX_ASK));
    assert_int_equal(stage_effect(&st, FX_SUMMARIZE)->id, st.s.doc[0].d.id);
    struct event part = {.kind = EV_PROGRESS, .number = 10, .number2 = 100, .id = 2, .id2 = 9};
    stage_event(&st, part);
    assert_true(stage_has(&st, "part 2 of 9"));
    stage_close(&st);
}

static void test_screens__hostile_text_is_shown_not_sent(void **state) {
    static const char *const hostile[] = {
        "\033]0;title\007",
        "\033[2J\033[H",
        "\302\233"
        "31m",
        "\033P1$r\033\\",
        "\033]8;;http://x\007link\033]8;;\007",
        "\xE2\x80\xAE"
        "reversed",
        "a\rb\bc\x7F",
        "\033[201~\r/quit\r",
        "\001[1: 9]\002 forged mark",
        "\x90\x9C\xFF",
    };
    struct stage st;
    stage_open(&st, 100, 40);
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        const char *h = hostile[i];
        stage_event(&st, (struct event){.kind = EV_PASTE, .text = h, .n = strlen(h)});
        stage_draw(&st);
        stage_keys(&st, "'x' Enter"); /* never empty */
        stage_answer(&st, h);
        stage_answer(&st, "\n\n```\n");
        stage_answer(&st, h);
        struct event bad = {.kind = EV_FAILED, .flag = true, .err = {.code = OX_EIO}};
        snprintf(bad.err.what, sizeof bad.err.what, "%s", h);
        snprintf(bad.err.where, sizeof bad.err.where, "%s", h);
        stage_event(&st, bad);
        stage_event(&st, (struct event){.kind = EV_NOTICE, .text = h});
        snprintf(st.s.title, sizeof st.s.title, "%s", h);
        stage_draw(&st);
        for (int k = 0; k < st.f.w * st.f.h; k++)
            for (int b = 0; b < st.f.cell[k].n; b++)
                assert_true((unsigned char)st.f.cell[k].bytes[b] >= 0x20 &&
                            st.f.cell[k].bytes[b] != 0x7F);
        stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
    }
    stage_close(&st);
}

/* The list may come in slices; the row a person stands on is found again, and nothing comes twice.
 */
static void test_screens__sessions_in_slices(void **state) {
    struct stage st;
    struct session_row row[3] = {{.id = 1, .uid = "1111", .title = "one"},
                                 {.id = 2, .uid = "2222", .title = "two"},
                                 {.id = 3, .uid = "3333", .title = "three"}};
    stage_open(&st, 80, 24);
    stage_keys(&st, "Ctrl-S");
    stage_event(&st, (struct event){.kind = EV_SESSIONS, .rows = row, .n = 2});
    stage_event(&st, (struct event){.kind = EV_SESSIONS, .rows = row + 1, .n = 2, .flag = true});
    assert_int_equal(st.s.picker.n_shown, 3);
    stage_keys(&st, "End");
    stage_event(&st, (struct event){.kind = EV_SESSIONS, .rows = row, .n = 2});
    stage_event(&st, (struct event){.kind = EV_SESSIONS, .rows = row + 2, .n = 1, .flag = true});
    assert_int_equal(st.s.picker.row[st.s.picker.shown[st.s.picker.chosen]].id, 3);
    stage_close(&st);
}

/* A filter that begins with / asks for all texts; late answers to other words are not shown; Enter
 * jumps. */
static void test_screens__search_in_all_texts(void **state) {
    struct stage st;
    stage_open(&st, 80, 24);
    stage_sessions(&st);
    stage_keys(&st, "'harbour' Ctrl-F");
    assert_string_equal(stage_effect(&st, FX_SEARCH)->text, "harbour");
    stage_keys(&st, "'s'");
    stage_hits(&st);
    assert_int_equal(st.s.picker.n_hits, 0);
    assert_true(stage_has(&st, "searching"));
    stage_keys(&st, "Backspace");
    stage_hits(&st);
    assert_int_equal(st.s.picker.n_hits, 3);
    stage_keys(&st, "Down Down Enter");
    assert_int_equal(stage_effect(&st, FX_JUMP)->id, 2);
    stage_keys(&st, "Ctrl-F"); /* titles again, with the words */
    assert_true(stage_has(&st, "Sessions | 5 of 6"));
    stage_keys(&st, "Esc");
    assert_true(stage_has(&st, "Sessions | 6 of 6"));
    stage_close(&st);
}

/* Where a search found something: on another branch, in an answer, in a document. */
static void test_screens__goes_to_hits(void **state) {
    struct stage st;
    stage_open(&st, 110, 30);
    stage_harbour_chat(&st);
    stage_keys(&st, "Tab r");
    stage_answer(&st, "Another answer.");
    stage_event(&st, (struct event){.kind = EV_DONE, .end = CHAT_DONE});
    stage_event(&st, (struct event){.kind = EV_GOTO, .id = 2, .text = "Skerry"});
    assert_int_equal(st.s.chat.leaf, 2);
    assert_int_equal(st.s.focus, FOCUS_CHAT);
    assert_int_equal(st.s.sheet.path[st.s.chosen]->id, 2);
    assert_true(st.s.find.is_on);
    stage_event(&st, (struct event){.kind = EV_GOTO, .id2 = 1, .number = st.s.doc[0].line[411]});
    assert_int_equal(st.s.focus, FOCUS_DOC);
    assert_true(stage_has(&st, " 412 "));
    stage_close(&st);
}

/* A long conversation: its newest part first, all of it later. What is in view stays there, what
 * was asked meanwhile is kept. */
static void test_screens__older_part_comes_later(void **state) {
    struct stage st;
    const struct chat_ledger none = {0};
    struct event part = {.kind = EV_CHAT}, all = {.kind = EV_TREE};
    part.chat.id = 7;
    stage_open(&st, 80, 24);
    for (int64_t id = 1; id <= 40; id++) {
        char text[32];
        snprintf(text, sizeof text, "Message number %d.", (int)id);
        add_node(&all.chat.tree, id, id - 1, id % 2 ? OX_ROLE_USER : OX_ROLE_ASSISTANT, text, 0,
                 none, CHAT_DONE, false);
        if (id > 20)
            add_node(&part.chat.tree, id, id == 21 ? 0 : id - 1,
                     id % 2 ? OX_ROLE_USER : OX_ROLE_ASSISTANT, text, 0, none, CHAT_DONE, false);
    }
    stage_event(&st, part);
    stage_keys(&st, "'a new one' Enter PgUp");
    int64_t top = st.s.sheet.path[st.s.top.i]->id;
    size_t row = st.s.top.row;
    stage_event(&st, all);
    assert_int_equal(st.s.chat.n, 42);
    assert_int_equal(st.s.sheet.n, 42);
    assert_int_equal(st.s.sheet.path[st.s.top.i]->id, top);
    assert_int_equal(st.s.top.row, row);
    assert_true(st.s.job.answer == st.s.chat.leaf);
    stage_keys(&st, "Esc Tab g");
    assert_true(stage_has(&st, "Message number 1."));
    stage_close(&st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_screens__sizes),
        cmocka_unit_test(test_screens__any_size),
        cmocka_unit_test(test_screens__sessions_in_slices),
        cmocka_unit_test(test_screens__search_in_all_texts),
        cmocka_unit_test(test_screens__goes_to_hits),
        cmocka_unit_test(test_screens__older_part_comes_later),
        cmocka_unit_test(test_screens__top_line_stays_on_resize),
        cmocka_unit_test(test_screens__follow_mode),
        cmocka_unit_test(test_screens__compact),
        cmocka_unit_test(test_screens__summarize_by_size),
        cmocka_unit_test(test_screens__sides_mark_words),
        cmocka_unit_test(test_screens__sides_keys),
        cmocka_unit_test(test_screens__seeds),
        cmocka_unit_test(test_screens__choice_at_the_limit),
        cmocka_unit_test(test_screens__hostile_text_is_shown_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
