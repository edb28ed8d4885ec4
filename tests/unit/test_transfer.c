/* test_transfer.c - conversations out and in: what goes out comes back equal, what is wrong is
 * named by its line and leaves nothing behind. */
#include "store_fixture.h"

#include "app/store/check.h"
#include "app/store/docs.h"
#include "app/store/search.h"
#include "app/store/transfer.h"

static int64_t add_doc(store *st, const char *text) {
    struct store_doc d = {
        .name = "harbour-log.txt", .text = text, .n_bytes = strlen(text), .kind = "text"};
    int64_t id = 0;
    bool ready = false;
    OK(store_doc_add(st, &d, &id, err));
    while (!ready)
        OK(store_doc_step(st, id, &ready, NULL, err));
    return id;
}

/* Two branches, a document, a citation, a stopped answer with every kind of character. */
static int64_t make_chat(store *st) {
    int64_t chat = 0, q = 0;
    const struct store_model inside = {.source = "embedded",
                                       .name = "mini",
                                       .weights = {9, 9},
                                       .template_id = {3, 4},
                                       .vocab = {5, 1}};
    OK(store_model_use(st, &inside, err));
    int64_t doc = add_doc(st, "From the wall we saw that\nthe lamp was out at a quarter to nine\n");
    OK(store_chat_new(st, "Harbour \"log\" 1911", &chat, err));
    struct chat_doc at = {.doc = doc, .from = 0, .to = 60};
    struct chat_node row = {.role = OX_ROLE_USER,
                            .end = CHAT_DONE,
                            .text = "Which lamp?",
                            .n_bytes = 11,
                            .docs = &at,
                            .n_docs = 1};
    OK(store_msg_add(st, chat, &row, &q, err));
    struct chat_node a = {
        .parent = q,
        .role = OX_ROLE_ASSISTANT,
        .end = CHAT_DONE,
        .text = "It says \"the lamp was out at a quarter to nine\".\n\n- \\tab\t\x1b[31m "
                "\xe5\x8c\x97\xe9\xa2\xa8"};
    a.n_bytes = strlen(a.text);
    a.thought = "hm";
    a.n_thought = 2;
    OK(store_msg_add(st, chat, &a, &a.id, err));
    const struct store_run run = {
        .engine = "cpu-ref", .seed = UINT64_MAX, .sampling = "{\"temperature\":0.7,\"top_k\":0}"};
    OK(store_run_start(st, a.id, &run, err));
    const struct chat_ledger cost = {.n_in = 20, .n_reused = 8, .n_out = 12};
    OK(store_run_end(st, a.id, &cost, "eos", err));
    struct store_cite c = {.msg_from = 9,
                           .msg_to = 46,
                           .quote = "the lamp was out at a quarter to nine",
                           .verdict = CITE_EXACT,
                           .doc = doc,
                           .from = 26,
                           .to = 63,
                           .line_from = 2,
                           .line_to = 2};
    OK(store_cite_put(st, a.id, &c, 1, err));
    int64_t other = ask(st, chat, a.id, "And then?");
    part(st, other, "The pilot", 9, 1);
    OK(store_msg_finish(st, other, CHAT_STOPPED, NULL, NULL, err));
    turn(st, chat, a.id, "Another branch", "shown");
    return chat;
}

static void export(store *st, int64_t chat, struct store_export how, struct buf *out) {
    buf_cut(out, 0);
    OK(store_export(st, chat, &how, out, err));
}

/* All bytes: ids, titles by whom, the fork it is, settings, models, ledgers. */
static void test_transfer__what_goes_out_comes_back(void **state) {
    store *from = store_at(":memory:"), *to = store_at(":memory:");
    struct buf first = {0}, second = {0};
    struct store_imported got;
    struct store_chat row;
    int64_t chat = make_chat(from), fork = 0;
    const struct store_export whole = {.with_docs = true};
    OK(store_chat_get(from, chat, &row, err));
    OK(store_chat_fork(from, chat, row.leaf, "the fork", &fork, err));
    OK(store_chat_title(from, fork, "named by hand", STORE_TITLE_USER, err));
    OK(store_chat_configure(from, fork, "{\"temperature\":0.5,\"extra\":{\"mood\":{\"x\":1}}}",
                            err));
    const int64_t chats[] = {chat, fork};
    for (int i = 0; i < 2; i++) {
        export(from, chats[i], whole, &first);
        OK(store_import(to, first.p, first.n, false, &got, err));
        assert_int_equal(got.n_chats, 1);
        assert_int_equal(got.n_messages, i ? 4 : 6);
        assert_int_equal(got.n_skipped, 0);
        export(to, got.last, whole, &second);
        assert_string_equal(buf_str(&first), buf_str(&second));
        OK(store_import(to, first.p, first.n, false, &got, err)); /* again: nothing new */
        assert_int_equal(got.n_chats, 0);
        assert_int_equal(got.n_messages, 0);
        assert_int_equal(got.n_docs, 0);
        assert_int_equal(got.n_known, 1);
    }
    assert_non_null(strstr(second.p, "\"title_by\":\"user\""));
    assert_non_null(strstr(second.p, row.uid)); /* forked_from */
    assert_non_null(strstr(second.p, "\"source\":\"embedded\""));
    assert_non_null(strstr(second.p, "\"sampling\":{\"temperature\":0.7,\"top_k\":0}"));
    size_t n = 0;
    OK(store_chat_count(to, &n, err));
    assert_int_equal(n, 2);
    buf_deinit(&first);
    buf_deinit(&second);
    store_close(from);
    store_close(to);
}

/* One that went on since is kept beside, once; deleted, it comes back as itself. */
static void test_transfer__a_session_that_went_on_comes_as_a_copy(void **state) {
    store *st = store_at(":memory:");
    struct buf old = {0};
    struct store_imported got;
    struct store_chat row, other;
    size_t n = 0;
    int64_t chat = make_chat(st);
    export(st, chat, (struct store_export){0}, &old);
    OK(store_chat_get(st, chat, &row, err));
    turn(st, chat, row.leaf, "It goes on", "here");
    for (int i = 0; i < 2; i++) {
        OK(store_import(st, old.p, old.n, false, &got, err));
        assert_int_equal(got.n_chats, i ? 0 : 1);
        assert_int_equal(got.n_known, i);
    }
    OK(store_chat_find(st, row.uid, &got.last, err));
    assert_int_equal(got.last, chat);
    OK(store_chat_count(st, &n, err));
    assert_int_equal(n, 2);
    OK(store_chat_delete(st, chat, &n, err));
    OK(store_import(st, old.p, old.n, false, &got, err)); /* its copy is here still */
    assert_int_equal(got.n_known, 1);
    OK(store_chat_last(st, &chat, &row.leaf, err));
    OK(store_chat_get(st, chat, &other, err));
    assert_string_not_equal(other.uid, row.uid);
    OK(store_chat_delete(st, chat, &n, err));
    OK(store_import(st, old.p, old.n, false, &got, err));
    OK(store_chat_get(st, got.last, &other, err));
    assert_string_equal(other.uid, row.uid);
    buf_deinit(&old);
    store_close(st);
}

static void test_transfer__dry_run_changes_nothing(void **state) {
    store *from = store_at(":memory:"), *to = store_at(":memory:");
    struct buf out = {0};
    struct store_imported got;
    size_t n = 0;
    export(from, make_chat(from), (struct store_export){0}, &out);
    OK(store_import(to, out.p, out.n, true, &got, err));
    assert_int_equal(got.n_chats, 1);
    OK(store_chat_count(to, &n, err));
    assert_int_equal(n, 0);
    buf_deinit(&out);
    store_close(from);
    store_close(to);
}

#define S "{\"oxbow\":1,\"kind\":\"session\",\"title\":\"t\"}\n"
#define M1                                                                                         \
    "{\"kind\":\"message\",\"id\":1,\"parent\":0,\"role\":\"user\",\"state\":\"done\",\"text\":"   \
    "\"q\"}\n"
#define D1 "{\"kind\":\"document\",\"id\":1,\"name\":\"a\",\"type\":\"text\",\"text\":\"lamp\"}\n"

static void test_transfer__wrong_lines_are_named_and_leave_nothing(void **state) {
    static const struct {
        const char *name, *text;
        int line;
    } cases[] = {
        {"no JSON", "hello\n", 1},
        {"an array", "[1]\n", 1},
        {"cut", S "{\"kind\":\"message\",\"id\":1", 2},
        {"no session first", M1, 1},
        {"another version", "{\"oxbow\":2,\"kind\":\"session\"}\n", 1},
        {"number given twice", S M1 M1, 3},
        {"parent behind",
         S "{\"kind\":\"message\",\"id\":1,\"parent\":1,\"role\":\"user\",\"state\":\"done\"}\n",
         2},
        {"parent is a text",
         S
         "{\"kind\":\"message\",\"id\":1,\"parent\":\"x\",\"role\":\"user\",\"state\":\"done\"}\n",
         2},
        {"negative parent",
         S "{\"kind\":\"message\",\"id\":1,\"parent\":-1,\"role\":\"user\",\"state\":\"done\"}\n",
         2},
        {"unknown role",
         S "{\"kind\":\"message\",\"id\":1,\"parent\":0,\"role\":\"tool\",\"state\":\"done\"}\n",
         2},
        {"unknown state",
         S "{\"kind\":\"message\",\"id\":1,\"parent\":0,\"role\":\"user\",\"state\":\"x\"}\n", 2},
        {"text is a number",
         S "{\"kind\":\"message\",\"id\":1,\"parent\":0,\"role\":\"user\",\"state\":\"done\","
           "\"text\":5}\n",
         2},
        {"not UTF-8", S "{\"kind\":\"x\",\"a\":\"\xff\"}\n", 2},
        {"citation of nothing",
         S M1 "{\"kind\":\"citation\",\"message\":2,\"verdict\":\"exact\"}\n", 3},
        {"empty range",
         S M1 "{\"kind\":\"citation\",\"message\":1,\"verdict\":\"exact\",\"byte_start\":4,\"byte_"
              "end\":4}\n",
         3},
        {"unknown verdict", S M1 "{\"kind\":\"citation\",\"message\":1,\"verdict\":\"sure\"}\n", 3},
        {"bad hash", S "{\"kind\":\"model\",\"name\":\"m\",\"weights\":\"12\"}\n", 2},
        {"bad uid", S "{\"oxbow\":1,\"kind\":\"session\",\"uid\":\"../x\"}\n", 2},
        {"unknown document type",
         S "{\"kind\":\"document\",\"id\":1,\"name\":\"a\",\"type\":\"exe\",\"text\":\"x\"}\n", 2},
        {"leaf before the first",
         "{\"oxbow\":1,\"kind\":\"session\",\"title\":\"t\",\"leaf\":-1}\n" M1, 1},
        {"leaf with no number above it",
         "{\"oxbow\":1,\"kind\":\"session\",\"title\":\"t\",\"leaf\":-9223372036854775808}\n" M1,
         1},
        {"citation behind its message",
         S M1 "{\"kind\":\"citation\",\"message\":1,\"verdict\":\"missing\",\"msg_end\":2}\n", 3},
        {"citation behind its document",
         S D1 M1
         "{\"kind\":\"citation\",\"message\":1,\"verdict\":\"exact\",\"doc\":1,\"byte_start\":1,"
         "\"byte_end\":5}\n",
         4},
        {"part behind its document",
         S D1 "{\"kind\":\"message\",\"id\":1,\"parent\":0,\"role\":\"user\",\"state\":\"done\","
              "\"docs\":[{\"doc\":1,\"from\":0,\"to\":5}]}\n",
         3},
        {"second session broken", S M1 S "{", 4},
    };
    store *st = store_at(":memory:");
    size_t n = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_imported got;
        ox_err why = {0};
        char where[16];
        int rc = store_import(st, cases[i].text, strlen(cases[i].text), false, &got, &why);
        snprintf(where, sizeof where, "line %d:", cases[i].line);
        if (rc != OX_EFORMAT || !strstr(why.what, where))
            fail_msg("%s: %d %s", cases[i].name, rc, why.what);
        OK(store_chat_count(st, &n, err));
        if (n) fail_msg("%s: left %zu sessions", cases[i].name, n);
    }
    struct store_imported got;
    assert_int_equal(store_import(st, "", 0, false, &got, NULL), OX_EFORMAT);
    store_close(st);
}

static void test_transfer__unknown_is_kept_or_counted_never_obeyed(void **state) {
    static const char text[] =
        "{\"oxbow\":1,\"kind\":\"session\",\"title\":\"t\",\"mood\":{\"x\":1},\"settings\":{"
        "\"temperature\":0.5,"
        "\"editor\":\"rm -rf /\",\"remote.url\":\"https://x\",\"system\":\"Be brief\"}}\n"
        "{\"kind\":\"plugin\",\"cmd\":\"x\"}\n" M1 "{\"kind\":\"weather\"}\n\n";
    store *st = store_at(":memory:");
    struct store_imported got;
    char *json = NULL;
    OK(store_import(st, text, sizeof text - 1, false, &got, err));
    assert_int_equal(got.n_skipped, 2);
    assert_int_equal(got.skipped[0], 2);
    assert_int_equal(got.skipped[1], 4);
    OK(store_chat_settings(st, got.last, &json, err));
    assert_non_null(strstr(json, "\"temperature\":0.5"));
    assert_non_null(strstr(json, "Be brief"));
    assert_non_null(strstr(json, "\"extra\":{\"mood\":{\"x\":1}}"));
    assert_null(strstr(json, "rm -rf"));
    assert_null(strstr(json, "https"));
    ox_free(json);
    store_close(st);
}

static void test_transfer__markdown_for_reading(void **state) {
    store *st = store_at(":memory:");
    struct buf out = {0};
    struct store_chat row;
    int64_t chat = make_chat(st);
    OK(store_chat_get(st, chat, &row, err));
    export(st, chat, (struct store_export){.form = STORE_MARKDOWN}, &out);
    assert_non_null(strstr(out.p, "# Harbour \"log\" 1911\n"));
    assert_non_null(strstr(out.p, "## You\n\n- [1] harbour-log.txt\n\nWhich lamp?\n"));
    assert_non_null(strstr(out.p, "quarter to nine\"[^1]."));
    assert_non_null(strstr(out.p, "[^1]: harbour-log.txt:2 (exact)\n"));
    assert_non_null(strstr(out.p, "Another branch"));
    assert_null(strstr(out.p, "The pilot"));
    export(st, chat, (struct store_export){.form = STORE_TEXT}, &out);
    assert_non_null(strstr(out.p, "you> Another branch\n\noxbow> shown\n"));
    buf_deinit(&out);
    store_close(st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfer__what_goes_out_comes_back),
        cmocka_unit_test(test_transfer__a_session_that_went_on_comes_as_a_copy),
        cmocka_unit_test(test_transfer__dry_run_changes_nothing),
        cmocka_unit_test(test_transfer__wrong_lines_are_named_and_leave_nothing),
        cmocka_unit_test(test_transfer__unknown_is_kept_or_counted_never_obeyed),
        cmocka_unit_test(test_transfer__markdown_for_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
