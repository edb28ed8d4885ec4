/* test_chats.c - conversations in oxbow.db: turns, branches, streams, crashes, forks, deletion. */
#include "store_fixture.h"

#include "app/store/cites.h"

struct upward {
    size_t n;
    int64_t first, parent;
};

static int note_upward(void *user, const struct chat_node *row) {
    struct upward *u = user;
    if (u->n++ == 0) u->first = row->id;
    assert_true(u->n == 1 || u->parent == row->id);
    u->parent = row->parent;
    return 0;
}

/* A long path in slices, newest first: each goes on with the parent of the last one. */
static void test_chats__path_upwards_in_slices(void **state) {
    store *st = store_at(":memory:");
    int64_t chat = 0, leaf = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    for (int i = 0; i < 4; i++) {
        leaf = ask(st, chat, leaf, "q");
        OK(store_msg_finish(st, leaf, CHAT_DONE, &(struct chat_ledger){0}, "eos", err));
    }
    size_t n = 0;
    for (int64_t at = leaf; at;) {
        struct upward u = {0};
        OK(store_msg_up(st, at, 3, note_upward, &u, err));
        assert_int_equal(u.first, at);
        assert_true(u.n == 3 || u.parent == 0);
        n += u.n;
        at = u.parent;
    }
    assert_int_equal(n, 8);
    struct upward none = {0};
    OK(store_msg_up(st, 999, 3, note_upward, &none, err));
    assert_int_equal(none.n, 0);
    store_close(st);
}

static void test_chats__turn_is_read_back_as_written(void **state) {
    store *st = store_at(":memory:");
    struct chat c = {0};
    int64_t chat = 0, last = 0, leaf = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "  Harbour log\nsecond line", &chat, err));
    int64_t a = ask(st, chat, 0, "Which lamp?");
    part(st, a, "North ", 6, 11);
    part(st, a, "Mole", 4, 12);
    OK(store_msg_finish(st, a, CHAT_DONE,
                        &(struct chat_ledger){.n_in = 5, .n_out = 2, .seed = 9, .exact = true},
                        "eos", err));
    OK(store_chat_last(st, &last, &leaf, err));
    assert_int_equal(last, chat);
    assert_int_equal(leaf, a);
    OK(store_msg_path(st, leaf, collect_node, &c, err));
    assert_int_equal(c.n, 2);
    assert_string_equal(c.node[0].text, "Which lamp?");
    assert_string_equal(c.node[1].text, "North Mole");
    assert_int_equal(c.node[0].n_tok, 3);
    const int32_t want[] = {100, 11, 12};
    assert_int_equal(c.node[1].n_tok, 3);
    assert_memory_equal(c.node[1].tok, want, sizeof want);
    assert_int_equal(c.node[1].end, CHAT_DONE);
    assert_int_equal(c.node[1].ledger.n_in, 5);
    assert_true(c.node[1].ledger.exact);
    struct store_chat row;
    OK(store_chat_get(st, chat, &row, err));
    assert_string_equal(row.title, "Harbour log");
    assert_int_equal(row.n_turns, 1);
    assert_int_equal(row.n_tokens, 7);
    chat_deinit(&c);
    store_close(st);
}

struct leaves {
    int64_t v[8];
    size_t n, most;
};

static int keep_leaf(void *user, int64_t leaf) {
    struct leaves *l = user;
    l->v[l->n++] = leaf;
    return l->n < l->most ? 0 : 7;
}

static void test_chats__edit_and_regenerate_open_branches(void **state) {
    store *st = store_at(":memory:");
    struct store_chat row;
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    int64_t a1 = turn(st, chat, 0, "q1", "a1");
    int64_t a2 = turn(st, chat, a1, "q2", "a2");
    int64_t a2b = turn(st, chat, a1, "q2 edited", "a2b");
    OK(store_chat_get(st, chat, &row, err));
    assert_int_equal(row.leaf, a2b);
    assert_int_equal(row.n_branches, 2);
    assert_string_equal(path_text(st, a2), "u:q1|a:a1|u:q2|a:a2");
    assert_string_equal(path_text(st, a2b), "u:q1|a:a1|u:q2 edited|a:a2b");
    OK(store_branch_show(st, chat, a2, err));
    OK(store_chat_get(st, chat, &row, err));
    assert_int_equal(row.leaf, a2);
    assert_int_equal(row.n_branches, 2);
    OK(store_branch_show(st, chat, a1, err)); /* undo: the old end stays reachable */
    OK(store_chat_get(st, chat, &row, err));
    assert_int_equal(row.n_branches, 3);
    int64_t a3 = turn(st, chat, a1, "q3", "a3"); /* goes on from the undo */
    OK(store_chat_get(st, chat, &row, err));
    assert_int_equal(row.n_branches, 3);
    struct leaves all = {.most = 8}, two = {.most = 2};
    OK(store_branch_list(st, chat, keep_leaf, &all, err));
    assert_int_equal(all.n, 3);
    assert_int_equal(all.v[0], a3); /* last used first */
    assert_int_equal(all.v[1], a2);
    assert_int_equal(all.v[2], a2b);
    assert_int_equal(store_branch_list(st, chat, keep_leaf, &two, NULL), 7);
    assert_int_equal(two.n, 2);
    struct chat tree = {0};
    OK(store_msg_tree(st, chat, collect_node, &tree, err));
    assert_int_equal(tree.n, 8);
    chat_deinit(&tree);
    store_close(st);
}

static void test_chats__closed_messages_never_change(void **state) {
    store *st = store_at(":memory:");
    ox_err why = {0};
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    int64_t a = turn(st, chat, 0, "q", "a");
    assert_int_equal(store_msg_finish(st, a, CHAT_STOPPED, NULL, NULL, &why), OX_EUSAGE);
    assert_string_equal(path_text(st, a), "u:q|a:a");
    store_close(st);
}

static void test_chats__broken_utf8_becomes_a_mark_in_text_only(void **state) {
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *want;
    } cases[] = {
        {"cut character", "ab\xe2\x82", 4, "ab\xef\xbf\xbd"},
        {"stray byte",
         "a\xff"
         "b",
         3,
         "a\xef\xbf\xbd"
         "b"},
        {"surrogate", "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"zero byte", "a\0b", 3,
         "a\xef\xbf\xbd"
         "b"},
        {"empty", "", 0, ""},
    };
    store *st = store_at(":memory:");
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[64];
        int64_t a = ask(st, chat, 0, "q");
        part(st, a, cases[i].bytes, cases[i].n, 5);
        OK(store_msg_finish(st, a, CHAT_LENGTH, NULL, NULL, err));
        snprintf(want, sizeof want, "u:q|a:%s", cases[i].want);
        if (strcmp(path_text(st, a), want) != 0)
            fail_msg("%s: got %s", cases[i].name, path_text(st, a));
    }
    store_close(st);
}

static void test_chats__open_answer_shows_what_was_written(void **state) {
    store *st = store_at(":memory:");
    struct chat c = {0};
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    int64_t a = ask(st, chat, 0, "q");
    part(st, a, "half an ", 8, 21);
    struct chat_node thought = {.text = "", .thought = "hm", .n_thought = 2};
    OK(store_msg_extend(st, a, &thought, err));
    OK(store_msg_path(st, a, collect_node, &c, err));
    assert_string_equal(c.node[1].text, "half an ");
    assert_string_equal(c.node[1].thought, "hm");
    assert_int_equal(c.node[1].n_tok, 2);
    assert_int_equal(c.node[1].end, CHAT_OPEN);
    chat_deinit(&c);
    store_close(st);
}

static void test_chats__crash_closes_open_answers_at_next_open(void **state) {
    struct place p;
    struct chat c = {0};
    int64_t chat = 0;
    place_make(&p);
    store *st = store_at(p.db);
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    int64_t a = ask(st, chat, 0, "q");
    part(st, a, "partial", 7, 33);
    store_close(st); /* without finish: as a killed process leaves it */
    st = store_at(p.db);
    use_model(st, 1);
    OK(store_msg_path(st, a, collect_node, &c, err));
    assert_int_equal(c.node[1].end, CHAT_CRASHED);
    assert_string_equal(c.node[1].text, "partial");
    assert_int_equal(c.node[1].n_tok, 2);
    assert_int_equal(c.node[1].tok[1], 33);
    assert_int_equal(c.node[1].ledger.n_in, 0); /* it never told what it took */
    struct store_chat row;
    OK(store_chat_get(st, chat, &row, err));
    assert_int_equal(row.n_tokens, 10 + 2); /* but its session is as long as this */
    int64_t b = ask(st, chat, a, "and?");
    const struct chat_ledger none = {0};
    OK(store_msg_finish(st, b, CHAT_STOPPED, &none, "user", err)); /* while it was read */
    OK(store_chat_get(st, chat, &row, err));
    assert_int_equal(row.n_tokens, 10 + 1);
    chat_deinit(&c);
    store_close(st);
    place_remove(&p);
}

/* "q", and an answer of model 1 that was stopped behind its first words. */
static int64_t stopped_answer(store *st, const struct chat_ledger *cost, int64_t *chat) {
    use_model(st, 1);
    OK(store_chat_new(st, "t", chat, err));
    int64_t a = ask(st, *chat, 0, "q");
    part(st, a, "the lighthouse ", 15, 33);
    OK(store_msg_finish(st, a, CHAT_STOPPED, cost, "user", err));
    return a;
}

/* ends: how it was closed; 0: as a crash leaves it, in the middle of going on. */
static void test_chats__stopped_answer_goes_on(void **state) {
    static const enum chat_end ends[] = {CHAT_DONE, CHAT_STOPPED, CHAT_CRASHED};
    for (size_t i = 0; i < 3; i++) {
        struct place p;
        struct chat c = {0};
        struct chat_ledger cost = {.n_in = 10, .n_out = 3, .seed = 7};
        int64_t chat = 0;
        place_make(&p);
        store *st = store_at(p.db);
        int64_t a = stopped_answer(st, &cost, &chat);
        OK(store_msg_path(st, a, collect_node, &c, err));
        OK(store_msg_reopen(st, chat, a, &c.node[1], err));
        part(st, a, "went dark", 9, 34);
        cost.n_out = 9;
        if (ends[i] != CHAT_CRASHED) OK(store_msg_finish(st, a, ends[i], &cost, "eos", err));
        store_close(st);
        chat_deinit(&c);
        c = (struct chat){0};
        st = store_at(p.db);
        use_model(st, 1);
        OK(store_msg_path(st, a, collect_node, &c, err));
        assert_int_equal(c.n, 2);
        assert_int_equal(c.node[1].end, ends[i]);
        assert_string_equal(c.node[1].text, "the lighthouse went dark");
        assert_int_equal(c.node[1].n_tok, 3);
        assert_int_equal(c.node[1].tok[1], 33);
        assert_int_equal(c.node[1].tok[2], 34);
        assert_int_equal(c.node[1].ledger.n_out, ends[i] == CHAT_CRASHED ? 3 : 9);
        chat_deinit(&c);
        store_close(st);
        place_remove(&p);
    }
}

/* Whoever writes it on has other ids for the same words; those of the model before end where its
 * answer was stopped. */
static void test_chats__answer_goes_on_with_another_model(void **state) {
    static const bool crashes[] = {false, true};
    for (size_t i = 0; i < 2; i++) {
        struct place p;
        struct chat c = {0};
        struct ox_tokens got = {0};
        const struct chat_ledger cost = {.n_in = 10, .n_out = 3};
        int32_t again[] = {501, 502};
        const struct chat_node so_far = {
            .text = "the lighthouse ", .n_bytes = 15, .tok = again, .n_tok = 2};
        int64_t chat = 0;
        place_make(&p);
        store *st = store_at(p.db);
        int64_t a = stopped_answer(st, &cost, &chat);
        use_model(st, 2);
        OK(store_msg_reopen(st, chat, a, &so_far, err));
        part(st, a, "went dark", 9, 503);
        if (!crashes[i]) OK(store_msg_finish(st, a, CHAT_DONE, &cost, "eos", err));
        store_close(st);
        st = store_at(p.db);
        use_model(st, 2);
        OK(store_msg_tokens(st, a, &got, err));
        assert_int_equal(got.n, 3);
        assert_int_equal(got.v[2], 503);
        use_model(st, 1);
        assert_int_equal(store_msg_tokens(st, a, &got, NULL), OX_ENOTFOUND);
        OK(store_msg_path(st, a, collect_node, &c, err));
        assert_string_equal(c.node[1].text, "the lighthouse went dark");
        assert_int_equal(c.node[1].n_tok, 0);
        chat_deinit(&c);
        ox_free(got.v);
        store_close(st);
        place_remove(&p);
    }
}

static void test_chats__complete_or_shared_answers_do_not_go_on(void **state) {
    store *st = store_at(":memory:");
    ox_err why = {0};
    int64_t chat = 0, fork = 0;
    const struct chat_ledger cost = {.n_in = 10, .n_out = 3};
    const struct chat_node so_far = {.text = "a", .n_bytes = 1};
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    int64_t done = turn(st, chat, 0, "q", "a");
    assert_int_equal(store_msg_reopen(st, chat, done, &so_far, &why), OX_EUSAGE);
    int64_t above = ask(st, chat, done, "q2");
    OK(store_msg_finish(st, above, CHAT_STOPPED, &cost, "user", err));
    int64_t leaf = ask(st, chat, above, "q3");
    assert_int_equal(store_msg_reopen(st, chat, above, &so_far, &why), OX_EUSAGE);
    assert_int_equal(store_msg_reopen(st, chat, leaf, &so_far, &why), OX_EUSAGE); /* open already */
    OK(store_msg_finish(st, leaf, CHAT_LENGTH, &cost, "length", err));
    OK(store_chat_fork(st, chat, leaf, NULL, &fork, err));
    assert_int_equal(store_msg_reopen(st, chat, leaf, &so_far, &why), OX_EUSAGE);
    assert_string_equal(path_text(st, leaf), "u:q|a:a|u:q2|a:|u:q3|a:");
    OK(store_chat_delete(st, fork, &(size_t){0}, err));
    OK(store_msg_reopen(st, chat, leaf, &so_far, err));
    store_close(st);
}

static int collect_cite(void *user, const struct store_cite *row) {
    return buf_printf(user, NULL, "%s %zu-%zu %zu-%zu|", cite_verdict_name(row->verdict), row->from,
                      row->to, row->line_from, row->line_to);
}

/* The part begins in line 2 of the file, so that a place in the part is not one in the document. */
static void test_chats__crash_leaves_checked_citations(void **state) {
    static const char text[] = "first line\nthe lamp was out at nine\nand the glass was broken\n";
    static const char said[] = "It says \"the lamp was out\" and \"nobody ever saw it there\".";
    struct place p;
    struct buf cites = {0};
    int64_t chat = 0, doc = 0, q = 0, a = 0;
    bool ready = false;
    place_make(&p);
    store *st = store_at(p.db);
    use_model(st, 1);
    const struct store_doc d = {.name = "a.txt", .text = text, .n_bytes = sizeof text - 1};
    OK(store_doc_add(st, &d, &doc, err));
    while (!ready)
        OK(store_doc_step(st, doc, &ready, NULL, err));
    OK(store_chat_new(st, "t", &chat, err));
    struct chat_doc part_of = {doc, 11, 35, NULL};
    const struct chat_node ask = {.role = OX_ROLE_USER,
                                  .end = CHAT_DONE,
                                  .text = "q",
                                  .n_bytes = 1,
                                  .docs = &part_of,
                                  .n_docs = 1};
    OK(store_msg_add(st, chat, &ask, &q, err));
    const struct chat_node open = {.parent = q, .role = OX_ROLE_ASSISTANT, .end = CHAT_OPEN};
    OK(store_msg_add(st, chat, &open, &a, err));
    part(st, a, said, sizeof said - 1, 7);
    store_close(st); /* killed */
    st = store_at(p.db);
    OK(store_cite_list(st, a, collect_cite, &cites, err));
    assert_string_equal(buf_str(&cites), "exact 11-27 2-2|missing 0-0 0-0|");
    OK(store_cites_check(st, a, err)); /* again: the same rows, not more */
    buf_cut(&cites, 0);
    OK(store_cite_list(st, a, collect_cite, &cites, err));
    assert_string_equal(buf_str(&cites), "exact 11-27 2-2|missing 0-0 0-0|");
    buf_deinit(&cites);
    store_close(st);
    place_remove(&p);
}

static int count_lines(void *user, const char *text) {
    (void)text;
    ++*(int *)user;
    return 0;
}
static int history_lines(store *st) {
    int n = 0;
    OK(store_input_list(st, 100, count_lines, &n, err));
    return n;
}

/* What was typed before there was a session goes with the last session that has the question. */
static void test_chats__delete_takes_the_lines_of_its_questions(void **state) {
    store *st = store_at(":memory:");
    int64_t chat = 0, fork = 0;
    use_model(st, 1);
    OK(store_input_add(st, 0, "  a first question\n", err));
    OK(store_input_add(st, 0, "a second", err));
    OK(store_input_add(st, 0, "an answer", err));
    OK(store_input_add(st, 0, "never asked", err));
    OK(store_chat_new(st, "t", &chat, err));
    OK(store_input_add(st, chat, "typed in it", err));
    int64_t first = turn(st, chat, 0, "a first question", "an answer");
    OK(store_chat_fork(st, chat, first, NULL, &fork, err));
    turn(st, chat, first, "a second ", "b");
    assert_int_equal(history_lines(st), 5);
    OK(store_chat_delete(st, chat, &(size_t){0}, err)); /* the fork still has the first */
    assert_int_equal(history_lines(st), 3);
    OK(store_chat_delete(st, fork, &(size_t){0}, err));
    assert_int_equal(history_lines(st), 2);
    store_close(st);
}

static void test_chats__fork_shares_and_delete_keeps_what_others_reach(void **state) {
    store *st = store_at(":memory:");
    struct store_chat row, fork_row;
    int64_t chat = 0, fork_id = 0;
    size_t n = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "source", &chat, err));
    int64_t a1 = turn(st, chat, 0, "q1", "a1");
    turn(st, chat, a1, "q2", "a2");
    OK(store_chat_fork(st, chat, a1, NULL, &fork_id, err));
    OK(store_chat_get(st, chat, &row, err));
    OK(store_chat_get(st, fork_id, &fork_row, err));
    assert_string_equal(fork_row.forked_from, row.uid);
    assert_string_equal(fork_row.title, "source");
    OK(store_chat_delete(st, chat, &n, err));
    assert_int_equal(n, 2); /* q2, a2; the fork keeps q1, a1 */
    assert_string_equal(path_text(st, a1), "u:q1|a:a1");
    OK(store_chat_delete(st, fork_id, &n, err));
    assert_int_equal(n, 2);
    assert_string_equal(path_text(st, a1), "");
    OK(store_chat_count(st, &n, err));
    assert_int_equal(n, 0);
    store_close(st);
}

static void test_chats__found_by_uid_prefix_or_title(void **state) {
    store *st = store_at(":memory:");
    struct store_chat row;
    ox_err why = {0};
    char prefix[6];
    int64_t a = 0, b = 0, found = 0;
    OK(store_chat_new(st, "Harbour log 1911", &a, err));
    OK(store_chat_new(st, "Glossary", &b, err));
    OK(store_chat_get(st, a, &row, err));
    snprintf(prefix, sizeof prefix, "%.5s", row.uid);
    OK(store_chat_find(st, prefix, &found, err));
    assert_int_equal(found, a);
    OK(store_chat_find(st, "glossary", &found, err));
    assert_int_equal(found, b);
    OK(store_chat_find(st, "1", &found, err)); /* the newest is the first of the list */
    assert_int_equal(found, b);
    OK(store_chat_find(st, "2", &found, err));
    assert_int_equal(found, a);
    assert_int_equal(store_chat_find(st, "3", &found, &why), OX_ENOTFOUND);
    assert_int_equal(store_chat_find(st, "0", &found, &why), OX_ENOTFOUND);
    assert_int_equal(store_chat_find(st, "Glosary", &found, &why), OX_ENOTFOUND);
    assert_non_null(strstr(why.fix, "Glossary"));
    OK(store_chat_new(st, "GLOSSARY", &b, err));
    assert_int_equal(store_chat_find(st, "glossary", &found, &why), OX_EUSAGE);
    store_close(st);
}

static int count_row(void *user, const struct store_chat *row) {
    size_t *n = user;
    ++*n;
    return 0;
}

static void test_chats__list_filters(void **state) {
    store *st = store_at(":memory:");
    int64_t id = 0;
    size_t n = 0;
    for (int i = 0; i < 30; i++) {
        char title[32];
        snprintf(title, sizeof title, "%s %d", i % 3 ? "Letter" : "Harbour", i);
        OK(store_chat_new(st, title, &id, err));
    }
    OK(store_chat_title(st, id, "Letter über alles", STORE_TITLE_USER, err));
    OK(store_chat_pin(st, id, true, err));
    static const struct {
        const char *name;
        struct store_filter f;
        size_t want;
    } cases[] = {
        {"all", {0}, 30},
        {"title, any case", {.title = "hARB"}, 10},
        {"letters outside ASCII", {.title = "ÜBER"}, 1},
        {"limit", {.limit = 7}, 7},
        {"skip", {.skip = 25}, 5},
        {"older than the future, without pinned", {.before_us = INT64_MAX}, 29},
        {"since the future", {.since_us = INT64_MAX}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        n = 0;
        OK(store_chat_list(st, &cases[i].f, count_row, &n, err));
        if (n != cases[i].want) fail_msg("%s: %zu rows", cases[i].name, n);
    }
    store_close(st);
}

static void test_chats__title_rules(void **state) {
    store *st = store_at(":memory:");
    struct store_chat row;
    int64_t id = 0;
    OK(store_chat_new(st, "first line", &id, err));
    OK(store_chat_title(st, id, "by the model", STORE_TITLE_MODEL, err));
    OK(store_chat_title(st, id, "mine", STORE_TITLE_USER, err));
    OK(store_chat_title(st, id, "by the model again", STORE_TITLE_MODEL, err));
    OK(store_chat_get(st, id, &row, err));
    assert_string_equal(row.title, "mine");
    static const char *const bad[] = {"", "   ", "a\x1b[31m", "two\nlines", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(store_chat_title(st, id, bad[i], STORE_TITLE_USER, NULL), OX_EUSAGE);
    store_close(st);
}

static void test_chats__undone_transaction_leaves_nothing(void **state) {
    store *st = store_at(":memory:");
    int64_t chat = 0, id = 0;
    size_t n = 9;
    struct chat_node q = {.role = OX_ROLE_USER, .end = CHAT_DONE, .text = "q", .n_bytes = 1};
    OK(store_begin(st, err));
    OK(store_chat_new(st, "t", &chat, err));
    OK(store_msg_add(st, chat, &q, &id, err));
    assert_int_equal(store_end(st, OX_EFAIL, NULL), OX_EFAIL);
    OK(store_chat_count(st, &n, err));
    assert_int_equal(n, 0);
    store_close(st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chats__turn_is_read_back_as_written),
        cmocka_unit_test(test_chats__path_upwards_in_slices),
        cmocka_unit_test(test_chats__edit_and_regenerate_open_branches),
        cmocka_unit_test(test_chats__closed_messages_never_change),
        cmocka_unit_test(test_chats__broken_utf8_becomes_a_mark_in_text_only),
        cmocka_unit_test(test_chats__open_answer_shows_what_was_written),
        cmocka_unit_test(test_chats__crash_closes_open_answers_at_next_open),
        cmocka_unit_test(test_chats__stopped_answer_goes_on),
        cmocka_unit_test(test_chats__answer_goes_on_with_another_model),
        cmocka_unit_test(test_chats__complete_or_shared_answers_do_not_go_on),
        cmocka_unit_test(test_chats__crash_leaves_checked_citations),
        cmocka_unit_test(test_chats__fork_shares_and_delete_keeps_what_others_reach),
        cmocka_unit_test(test_chats__delete_takes_the_lines_of_its_questions),
        cmocka_unit_test(test_chats__found_by_uid_prefix_or_title),
        cmocka_unit_test(test_chats__list_filters),
        cmocka_unit_test(test_chats__title_rules),
        cmocka_unit_test(test_chats__undone_transaction_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
