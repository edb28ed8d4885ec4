/* test_keymap.c - the key table: spelling, places, two-key requests, rebinding, no double meaning.
 */
#include "app/core/keymap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static uint32_t key(const char *s) {
    return keymap_parse(s, strlen(s));
}

static void test_keymap__names_are_read_back(void **state) {
    size_t n;
    const struct key_row *rows = keymap_rows(&n);
    for (size_t i = 0; i < n; i++) {
        struct buf label = {0};
        assert_int_equal(keymap_label(NULL, &rows[i], &label, NULL), 0);
        if (strcmp(buf_str(&label), rows[i].keys) != 0)
            fail_msg("%s is shown as %s", rows[i].keys, buf_str(&label));
        buf_deinit(&label);
    }
    assert_int_equal(key("ctrl-c"), KEY_CTRL | 'c');
    assert_int_equal(key("Ctrl-"), 0);
    assert_int_equal(key("ab"), 0);
}

/* Each row is reached by its own key in its own place: no earlier row hides it. */
static void test_keymap__no_row_is_hidden(void **state) {
    size_t n;
    const struct key_row *rows = keymap_rows(&n);
    for (size_t i = 0; i < n; i++) {
        const char *gap = strchr(rows[i].keys, ' ');
        uint32_t first = gap ? keymap_parse(rows[i].keys, (size_t)(gap - rows[i].keys)) : 0;
        enum request got =
            keymap_find(NULL, rows[i].places, first, key(gap ? gap + 1 : rows[i].keys));
        if (got != rows[i].request)
            fail_msg("%s (%s) gives request %d", rows[i].keys, rows[i].name, got);
        if (first) assert_int_equal(keymap_find(NULL, rows[i].places, 0, first), REQ_PREFIX);
    }
}

static void test_keymap__rebinding(void **state) {
    struct keymap map = {0};
    ox_err err;
    assert_int_equal(keymap_bind(&map, "chat.fork", "F5", NULL), 0);
    assert_int_equal(keymap_find(&map, PLACE_CHAT, 0, KEY_F5), REQ_FORK);
    assert_int_equal(keymap_find(&map, PLACE_CHAT, 0, 'f'), REQ_NONE);
    assert_int_equal(keymap_bind(&map, "chat.fork", "none", NULL), 0);
    assert_int_equal(keymap_find(&map, PLACE_CHAT, 0, KEY_F5), REQ_NONE);
    assert_int_equal(keymap_bind(&map, "any.quit_now", "x", &err), OX_EUSAGE);
    assert_int_equal(keymap_bind(&map, "chat.fork", "Ctrl-Ctrl-", &err), OX_EUSAGE);
    assert_string_equal(err.what, "key.chat.fork: \"Ctrl-Ctrl-\" is not a key");
    assert_int_equal(keymap_bind(&map, "chat.frok", "x", &err), OX_EUSAGE);
    assert_string_equal(err.fix, "did you mean key.chat.fork?");
    keymap_deinit(&map);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keymap__names_are_read_back),
        cmocka_unit_test(test_keymap__no_row_is_hidden),
        cmocka_unit_test(test_keymap__rebinding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
