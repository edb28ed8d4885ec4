/* test_search.c - full-text search: words as they are typed, scripts without spaces, snippets,
 * deletion. */
#include "store_fixture.h"

#include "app/store/docs.h"
#include "app/store/search.h"

struct hits {
    size_t n;
    struct store_hit first;
    char snippet[512];
};

static int collect_hit(void *user, const struct store_hit *hit) {
    struct hits *h = user;
    if (h->n++ == 0) {
        h->first = *hit;
        snprintf(h->snippet, sizeof h->snippet, "%s", hit->snippet);
    }
    return 0;
}

static struct hits find(store *st, const char *words, enum store_search_in in, bool fts) {
    struct hits h = {0};
    OK(store_search(st, &(struct store_search){.words = words, .in = in, .is_fts = fts},
                    collect_hit, &h, err));
    return h;
}

static void test_search__finds_words_as_typed(void **state) {
    store *st = store_at(":memory:");
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "Harbour", &chat, err));
    int64_t a = turn(st, chat, 0, "Was the lamp out?",
                     "The lamp of the North Mole was out at a quarter to nine.");
    a = turn(st, chat, a, "\xe5\x8c\x97\xe9\xa2\xa8\xe3\x81\xa8\xe5\xa4\xaa\xe9\x99\xbd",
             "L'\xc3\xa9tude na\xc3\xafve \xe0\xb8\x99\xe0\xb9\x89\xe0\xb8\xb3");
    turn(st, chat, a, "NEAR(\"x", "AND OR NOT * ^ : ( )");
    static const struct {
        const char *words;
        size_t n;
    } cases[] = {
        {"lamp", 2},
        {"LAMP", 2},
        {"lamp quarter", 1},
        {"\"quarter to nine\"", 1},
        {"\"nine quarter\"", 0},
        {"etude", 1},
        {"naive", 1},
        {"\xe5\x8c\x97\xe9\xa2\xa8", 1}, /* two characters */
        {"\xe9\x99\xbd", 1},             /* one, at the end of a run */
        {"\xe9\xa2\xa8\xe5\x8c\x97", 0}, /* the other order */
        {"\xe0\xb8\x99", 1},             /* Thai */
        {"AND", 1},
        {"lamp OR mole", 0},
        {"la", 0},
        {"absent", 0},
        {"out-at", 1},
        {"to/nine", 1},
        {"x", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hits h = find(st, cases[i].words, STORE_IN_CHATS, false);
        if (h.n != cases[i].n)
            fail_msg("%s: %zu hits, expected %zu", cases[i].words, h.n, cases[i].n);
    }
    static const char *const nothing[] = {"", "   ", "*", "\"\"", "( )"};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
        assert_int_equal(
            store_search(st, &(struct store_search){.words = nothing[i]}, collect_hit, NULL, NULL),
            OX_EUSAGE);
    store_close(st);
}

static void test_search__hit_names_turn_and_place(void **state) {
    store *st = store_at(":memory:");
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "Harbour", &chat, err));
    int64_t a = turn(st, chat, 0, "first", "one");
    turn(st, chat, a, "second",
         "From the wall we saw\nthat the LAMP was out at a quarter to nine and "
         "the glass broken, and water came over the lower step, highest yet.");
    struct hits h = find(st, "lamp", STORE_IN_ALL, false);
    assert_int_equal(h.n, 1);
    assert_int_equal(h.first.turn, 2);
    assert_int_equal(h.first.from, 30);
    assert_int_equal(h.first.to, 34);
    assert_non_null(strstr(h.snippet, "that the \1LAMP\2 was out"));
    assert_null(strchr(h.snippet, '\n'));
    store_close(st);
}

static void test_search__documents_by_line(void **state) {
    store *st = store_at(":memory:");
    static const char text[] = "# Log\n\nnothing\nthe \xe7\x81\xaf\xe5\x8f\xb0 is dark\nend\n";
    struct store_doc d = {.name = "log.md", .text = text, .n_bytes = sizeof text - 1};
    int64_t id = 0;
    bool ready = false;
    OK(store_doc_add(st, &d, &id, err));
    assert_int_equal(find(st, "dark", STORE_IN_DOCS, false).n, 0); /* not ready yet */
    while (!ready)
        OK(store_doc_step(st, id, &ready, NULL, err));
    struct hits h = find(st, "\xe7\x81\xaf\xe5\x8f\xb0", STORE_IN_DOCS, false);
    assert_int_equal(h.n, 1);
    assert_int_equal(h.first.line, 4);
    assert_int_equal(h.first.from, 19);
    assert_non_null(strstr(h.snippet, "the \1\xe7\x81\xaf"));
    OK(store_doc_delete(st, id, false, err));
    assert_int_equal(find(st, "dark", STORE_IN_DOCS, false).n, 0);
    store_close(st);
}

static void test_search__raw_syntax_and_its_errors(void **state) {
    store *st = store_at(":memory:");
    ox_err why = {0};
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    turn(st, chat, 0, "alpha beta", "gamma");
    assert_int_equal(find(st, "alph* NOT gamma", STORE_IN_CHATS, true).n, 1);
    struct store_search bad = {.words = "alpha AND", .is_fts = true};
    assert_int_equal(store_search(st, &bad, collect_hit, NULL, &why), OX_EUSAGE);
    assert_non_null(strstr(why.what, "fts5"));
    store_close(st);
}

/* While somebody types, the last word counts as the beginning of one, from two letters on. */
static void test_search__typed_words_are_beginnings(void **state) {
    static const struct {
        const char *words;
        size_t n;
    } cases[] = {{"lam", 1},     {"l", 0},       {"lam ", 0},    {"lamp ", 1},
                 {"\"lam\"", 0}, {"the lam", 1}, {"lam the", 0}, {"qua", 1}};
    store *st = store_at(":memory:");
    int64_t chat = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "t", &chat, err));
    turn(st, chat, 0, "nothing", "the lamp was out at a quarter to nine");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hits h = {0};
        const struct store_search how = {.words = cases[i].words, .is_typed = true};
        OK(store_search(st, &how, collect_hit, &h, err));
        if (h.n != cases[i].n)
            fail_msg("\"%s\": %zu hits, expected %zu", cases[i].words, h.n, cases[i].n);
    }
    store_close(st);
}

static void test_search__finds_who_uses_a_document(void **state) {
    store *st = store_at(":memory:");
    struct store_doc d = {.name = "log.txt", .text = "the lamp\n", .n_bytes = 9};
    int64_t id = 0, chat = 0, used = 0, message = 0, asked = 0;
    bool ready = false;
    use_model(st, 1);
    OK(store_doc_add(st, &d, &id, err));
    while (!ready)
        OK(store_doc_step(st, id, &ready, NULL, err));
    assert_int_equal(store_search_doc_chat(st, id, &used, &message, NULL), OX_ENOTFOUND);
    OK(store_chat_new(st, "t", &chat, err));
    OK(store_chat_lock(st, chat, err));
    struct chat_doc part = {.doc = id, .name = "log.txt", .to = 9};
    struct chat_node q = {.role = OX_ROLE_USER, .end = CHAT_DONE, .text = "q", .n_bytes = 1};
    q.docs = &part;
    q.n_docs = 1;
    OK(store_msg_add(st, chat, &q, &asked, err));
    OK(store_search_doc_chat(st, id, &used, &message, err));
    assert_int_equal(used, chat);
    assert_int_equal(message, asked);
    store_close(st);
}

static void test_search__deleted_and_refilled(void **state) {
    store *st = store_at(":memory:");
    int64_t keep = 0, gone = 0;
    use_model(st, 1);
    OK(store_chat_new(st, "keep", &keep, err));
    OK(store_chat_new(st, "gone", &gone, err));
    turn(st, keep, 0, "common words", "kept");
    turn(st, gone, 0, "common words", "secret");
    assert_int_equal(find(st, "common", STORE_IN_ALL, false).n, 2);
    OK(store_chat_delete(st, gone, NULL, err));
    assert_int_equal(find(st, "common", STORE_IN_ALL, false).n, 1);
    assert_int_equal(find(st, "secret", STORE_IN_ALL, false).n, 0);
    OK(store_search_refill(st, err));
    assert_int_equal(find(st, "common", STORE_IN_ALL, false).n, 1);
    store_close(st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search__finds_words_as_typed),
        cmocka_unit_test(test_search__hit_names_turn_and_place),
        cmocka_unit_test(test_search__documents_by_line),
        cmocka_unit_test(test_search__raw_syntax_and_its_errors),
        cmocka_unit_test(test_search__typed_words_are_beginnings),
        cmocka_unit_test(test_search__finds_who_uses_a_document),
        cmocka_unit_test(test_search__deleted_and_refilled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
