/* test_settings.c - drafts, input history and facts come back as they were. */
#include "store_fixture.h"

static void test_settings__draft_comes_back(void **state) {
    store *st = store_at(":memory:");
    char *text = NULL;
    size_t n = 0, cursor = 0;
    assert_int_equal(store_draft_get(st, "new", &text, &n, &cursor, NULL), OX_ENOTFOUND);
    OK(store_draft_put(st, "new", "half a \xe5\x8c\x97", 10, 7, err));
    OK(store_draft_put(st, "new", "half a question", 15, 4, err));
    OK(store_draft_put(st, "00000000000000aa", "another", 7, 0, err));
    OK(store_draft_get(st, "new", &text, &n, &cursor, err));
    assert_string_equal(text, "half a question");
    assert_int_equal(n, 15);
    assert_int_equal(cursor, 4);
    ox_free(text);
    OK(store_draft_put(st, "new", "", 0, 0, err));
    assert_int_equal(store_draft_get(st, "new", &text, &n, &cursor, NULL), OX_ENOTFOUND);
    store_close(st);
}

struct lines {
    char text[4096];
    int n;
};

static int add_line(void *user, const char *text) {
    struct lines *l = user;
    l->n++;
    snprintf(l->text + strlen(l->text), sizeof l->text - strlen(l->text), "%s|", text);
    return 0;
}

static void test_settings__input_history_newest_first_without_repetition(void **state) {
    store *st = store_at(":memory:");
    struct lines l = {{0}, 0};
    int64_t chat = 0;
    OK(store_chat_new(st, "t", &chat, err));
    static const char *const typed[] = {"one", "two", "one", "three"};
    for (size_t i = 0; i < 4; i++)
        OK(store_input_add(st, i % 2 ? chat : 0, typed[i], err));
    OK(store_input_list(st, 0, add_line, &l, err));
    assert_string_equal(l.text, "three|one|two|");
    l = (struct lines){{0}, 0};
    OK(store_input_list(st, 2, add_line, &l, err));
    assert_string_equal(l.text, "three|one|");
    for (int i = 0; i < 1200; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        OK(store_input_add(st, 0, text, err));
    }
    l = (struct lines){{0}, 0};
    OK(store_input_list(st, 0, add_line, &l, err));
    assert_int_equal(l.n, 1000);
    store_close(st);
}

static void test_settings__facts(void **state) {
    struct place p;
    char *v = NULL, uid[17];
    place_make(&p);
    store *st = store_at(p.db);
    assert_int_equal(store_fact_get(st, "first_run", &v, NULL), OX_ENOTFOUND);
    OK(store_fact_put(st, "first_run", "1", err));
    OK(store_fact_put(st, "first_run", "2", err));
    OK(store_fact_get(st, "first_run", &v, err));
    assert_string_equal(v, "2");
    ox_free(v);
    snprintf(uid, sizeof uid, "%s", store_uid(st));
    assert_int_equal(strlen(uid), 16);
    store_close(st);
    st = store_at(p.db);
    assert_string_equal(store_uid(st), uid);
    store_close(st);
    place_remove(&p);
}

static void test_settings__session_settings_are_json(void **state) {
    store *st = store_at(":memory:");
    int64_t chat = 0;
    char *json = NULL;
    static const char *const bad[] = {"", "x", "[]", "5", "{\"a\":", "null"};
    OK(store_chat_new(st, "t", &chat, err));
    OK(store_chat_configure(st, chat, "{\"temperature\": 0.5}", err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(store_chat_configure(st, chat, bad[i], NULL), OX_EUSAGE);
    OK(store_chat_settings(st, chat, &json, err));
    assert_string_equal(json, "{\"temperature\": 0.5}");
    ox_free(json);
    store_close(st);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings__draft_comes_back),
        cmocka_unit_test(test_settings__input_history_newest_first_without_repetition),
        cmocka_unit_test(test_settings__facts),
        cmocka_unit_test(test_settings__session_settings_are_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
