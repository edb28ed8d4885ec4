/* test_chat.c - the tree of a conversation in memory, with every allocation failing once. */
#include "store_fixture.h"

static int64_t add(struct chat *c, int64_t parent, enum ox_role role, const char *text) {
    struct chat_node view = {.id = chat_new_id(c),
                             .parent = parent,
                             .role = role,
                             .end = CHAT_DONE,
                             .text = (char *)text,
                             .n_bytes = strlen(text)};
    struct chat_node row;
    int64_t id = view.id;
    OK(chat_node_dup(&view, &row, err));
    OK(chat_add(c, &row, err));
    return id;
}

static const char *words(const struct chat *c, int64_t leaf) {
    static char out[256];
    struct chat_node **path = NULL;
    size_t n = 0;
    out[0] = 0;
    OK(chat_path(c, leaf, &path, &n, err));
    for (size_t i = 0; i < n; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s ", path[i]->text);
    ox_free(path);
    return out;
}

static void test_chat__edit_is_a_sibling(void **state) {
    struct chat c = {0};
    int64_t edited = 0;
    size_t place, n;
    int64_t q1 = add(&c, 0, OX_ROLE_USER, "q1"), a1 = add(&c, q1, OX_ROLE_ASSISTANT, "a1");
    int64_t q2 = add(&c, a1, OX_ROLE_USER, "q2"), a2 = add(&c, q2, OX_ROLE_ASSISTANT, "a2");
    OK(chat_edit(&c, q2, "q2b", 3, &edited, err));
    assert_int_equal(c.leaf, edited);
    assert_string_equal(words(&c, edited), "q1 a1 q2b ");
    assert_string_equal(words(&c, a2), "q1 a1 q2 a2 ");
    assert_int_equal(chat_sibling(&c, edited, 0, &place, &n), edited);
    assert_int_equal(place, 2);
    assert_int_equal(n, 2);
    assert_int_equal(chat_sibling(&c, edited, 1, NULL, NULL), q2);
    assert_int_equal(chat_sibling(&c, edited, -1, NULL, NULL), q2);
    assert_int_equal(chat_leaf_below(&c, q2), a2);
    assert_int_equal(chat_leaf_below(&c, q1), edited);
    assert_int_equal(chat_turn(&c, a2, 2), q2);
    assert_int_equal(chat_turn(&c, a2, 3), 0);
    assert_int_equal(chat_edit(&c, 99, "x", 1, &edited, NULL), OX_ENOTFOUND);
    chat_deinit(&c);
}

static void test_chat__saved_ids_replace_new_ones(void **state) {
    struct chat c = {0};
    int64_t q = add(&c, 0, OX_ROLE_USER, "q"), a = add(&c, q, OX_ROLE_ASSISTANT, "a");
    assert_true(q < 0 && a < 0 && a != q);
    chat_renumber(&c, q, 17);
    chat_renumber(&c, a, 18);
    assert_int_equal(c.leaf, 18);
    assert_int_equal(chat_find(&c, 18)->parent, 17);
    assert_null(chat_find(&c, q));
    chat_deinit(&c);
}

static void test_chat__wrong_nodes_are_refused(void **state) {
    struct chat c = {0};
    int64_t q = add(&c, 0, OX_ROLE_USER, "q");
    struct chat_node orphan = {.id = 50, .parent = 49, .text = ox_strdup("x", "t", NULL)};
    assert_int_equal(chat_add(&c, &orphan, NULL), OX_ENOTFOUND);
    assert_null(orphan.text); /* handed over, also on failure */
    struct chat_node twin = {.id = q, .text = ox_strdup("x", "t", NULL)};
    assert_int_equal(chat_add(&c, &twin, NULL), OX_EUSAGE);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.leaf, q);
    chat_deinit(&c);
}

static void test_chat__fork_copies_the_path(void **state) {
    struct chat c = {0}, fork = {0};
    int64_t q1 = add(&c, 0, OX_ROLE_USER, "q1"), a1 = add(&c, q1, OX_ROLE_ASSISTANT, "a1");
    add(&c, a1, OX_ROLE_USER, "q2");
    OK(chat_fork(&c, a1, &fork, err));
    chat_deinit(&c);
    assert_int_equal(fork.n, 2);
    assert_string_equal(words(&fork, a1), "q1 a1 ");
    chat_deinit(&fork);
}

/* Behind the system message, with each document once; the old branch is untouched. */
static void test_chat__restart_keeps_system_and_documents(void **state) {
    struct chat c = {0};
    struct chat_doc doc = {7, 0, 5, "a.txt"};
    int64_t sys = add(&c, 0, OX_ROLE_SYSTEM, "sys"), fresh = 0;
    struct chat_node view = {
        .id = 90, .parent = sys, .role = OX_ROLE_USER, .docs = &doc, .n_docs = 1};
    struct chat_node row;
    OK(chat_node_dup(&view, &row, err));
    OK(chat_add(&c, &row, err));
    int64_t a = add(&c, 90, OX_ROLE_ASSISTANT, "a");
    view.id = 91, view.parent = a;
    OK(chat_node_dup(&view, &row, err));
    OK(chat_add(&c, &row, err));
    int64_t end = add(&c, 91, OX_ROLE_ASSISTANT, "b");
    OK(chat_restart(&c, end, "short", 5, &fresh, err));
    const struct chat_node *q = chat_find(&c, fresh);
    assert_int_equal(c.leaf, fresh);
    assert_int_equal(q->parent, sys);
    assert_int_equal(q->created_us, 5);
    assert_int_equal(q->n_docs, 1);
    assert_string_equal(q->docs[0].name, "a.txt");
    assert_true(chat_has_doc(&c, fresh, 7) && chat_has_doc(&c, end, 7));
    assert_false(chat_has_doc(&c, sys, 7) || chat_has_doc(&c, end, 8));
    assert_string_equal(words(&c, fresh), "sys short ");
    size_t place = 0, n = 0;
    assert_int_equal(chat_sibling(&c, fresh, -1, &place, &n), 90);
    assert_int_equal(n, 2);
    assert_int_equal(chat_restart(&c, 12345, "x", 1, &fresh, NULL), OX_ENOTFOUND);
    chat_deinit(&c);
}

static void test_chat__every_failed_allocation_leaves_the_tree(void **state) {
    struct chat c = {0};
    struct chat_doc doc = {1, 0, 5, "a.txt"};
    int32_t tok[] = {1, 2};
    int64_t q = add(&c, 0, OX_ROLE_USER, "q");
    struct chat_node view = {.id = 77,
                             .parent = q,
                             .role = OX_ROLE_USER,
                             .text = "x",
                             .n_bytes = 1,
                             .thought = "t",
                             .n_thought = 1,
                             .tok = tok,
                             .n_tok = 2,
                             .docs = &doc,
                             .n_docs = 1};
    for (int i = 0; i < 8; i++)
        add(&c, q, OX_ROLE_USER, "sibling");
    int failed = 0;
    for (uint64_t n = 1;; n++) {
        struct chat fork = {0};
        struct chat_node row;
        int64_t edited = 0;
        size_t before = c.n;
        ox_mem_fail_at(n);
        int rc = chat_node_dup(&view, &row, NULL);
        if (!rc) rc = chat_add(&c, &row, NULL);
        if (!rc) rc = chat_edit(&c, 77, "y", 1, &edited, NULL);
        if (!rc) rc = chat_fork(&c, edited, &fork, NULL);
        if (!rc) rc = chat_restart(&c, edited, "z", 1, &edited, NULL);
        ox_mem_fail_at(0);
        chat_deinit(&fork);
        while (c.n > before)
            chat_node_deinit(&c.node[--c.n]);
        c.leaf = q;
        if (!rc) break;
        assert_int_equal(rc, OX_ENOMEM);
        failed++;
    }
    assert_true(failed >= 10);
    chat_deinit(&c);
}

static void test_chat__names(void **state) {
    for (int e = CHAT_OPEN; e <= CHAT_FAILED; e++)
        assert_int_equal(chat_end_parse(chat_end_name((enum chat_end)e)), e);
    for (int r = OX_ROLE_SYSTEM; r <= OX_ROLE_ASSISTANT; r++)
        assert_int_equal(chat_role_parse(chat_role_name((enum ox_role)r)), r);
    assert_int_equal(chat_end_parse("later"), -1);
    assert_int_equal(chat_role_parse("tool"), -1);
}

static void test_chat__cut_answers_go_on(void **state) {
    static const struct {
        enum chat_end end;
        const char *text, *thought;
        size_t n_tok;
        bool goes_on;
        enum ox_reply reply;
    } cases[] = {
        {CHAT_STOPPED, "a", NULL, 1, true, OX_REPLY_CONTINUE_NO_THINK},
        {CHAT_LENGTH, "a", "hm", 2, true, OX_REPLY_CONTINUE},
        {CHAT_CRASHED, "", "hm", 1, true, OX_REPLY_CONTINUE},
        {CHAT_FAILED, "a", NULL, 0, true, OX_REPLY_CONTINUE_NO_THINK},
        {CHAT_DONE, "a", NULL, 1, false, OX_REPLY_CONTINUE_NO_THINK},
        {CHAT_OPEN, "a", NULL, 1, false, OX_REPLY_CONTINUE_NO_THINK},
        {CHAT_STOPPED, "", NULL, 0, false, OX_REPLY_CONTINUE_NO_THINK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chat_node node = {.id = 1,
                                 .role = OX_ROLE_ASSISTANT,
                                 .end = cases[i].end,
                                 .n_bytes = strlen(cases[i].text),
                                 .n_thought = cases[i].thought ? strlen(cases[i].thought) : 0,
                                 .n_tok = cases[i].n_tok};
        struct chat_node below = {.id = 2, .parent = 1, .role = OX_ROLE_USER};
        struct chat c = {.node = &node, .n = 1}, more = {.node = &below, .n = 1};
        assert_int_equal(chat_refuses_more(&c, &node) == NULL, cases[i].goes_on);
        assert_non_null(chat_refuses_more(&more, &node));
        assert_int_equal(chat_reopens_as(&node), cases[i].reply);
    }
}

static void test_chat__ledger_of_an_answer_that_went_on(void **state) {
    const struct chat_ledger before = {.n_in = 100,
                                       .n_reused = 80,
                                       .n_out = 30,
                                       .seed = 7,
                                       .exact = true,
                                       .prefill_s = 1,
                                       .decode_s = 2},
                             more = {.n_in = 130,
                                     .n_reused = 130,
                                     .n_out = 12,
                                     .seed = 7,
                                     .exact = true,
                                     .load_s = 1,
                                     .decode_s = 3},
                             none = {0};
    struct chat_ledger l = chat_ledger_join(&before, 30, &more);
    assert_int_equal(l.n_in, 100);
    assert_int_equal(l.n_reused, 80);
    assert_int_equal(l.n_out, 42);
    assert_true(l.exact && l.load_s == 1 && l.prefill_s == 1 && l.decode_s == 5);
    l = chat_ledger_join(&none, 30, &more); /* a crash left no counts */
    assert_int_equal(l.n_in, 100);
    assert_int_equal(l.n_reused, 100);
    l = chat_ledger_join(&before, 30, &none); /* stopped before it went on */
    assert_int_equal(l.n_in, 100);
    assert_int_equal(l.n_out, 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chat__edit_is_a_sibling),
        cmocka_unit_test(test_chat__saved_ids_replace_new_ones),
        cmocka_unit_test(test_chat__wrong_nodes_are_refused),
        cmocka_unit_test(test_chat__restart_keeps_system_and_documents),
        cmocka_unit_test(test_chat__fork_copies_the_path),
        cmocka_unit_test(test_chat__every_failed_allocation_leaves_the_tree),
        cmocka_unit_test(test_chat__names),
        cmocka_unit_test(test_chat__cut_answers_go_on),
        cmocka_unit_test(test_chat__ledger_of_an_answer_that_went_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
