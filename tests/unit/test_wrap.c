/* test_wrap.c - rows for a width: whole clusters, words where possible, no row wider than asked. */
#include "app/core/wrap.h"

#include "app/core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *name, *text;
    size_t width, lead, rest;
    enum wrap_how how;
    const char *want; /* rows joined by '/' */
} cases[] = {
    {"empty line is one empty row", "", 10, 0, 0, WRAP_WORDS, ""},
    {"fits", "ab cd", 5, 0, 0, WRAP_WORDS, "ab cd"},
    {"between words", "ab cd ef", 5, 0, 0, WRAP_WORDS, "ab cd/ef"},
    {"a space at the edge belongs to no row", "abcde fg", 5, 0, 0, WRAP_WORDS, "abcde/fg"},
    {"a long word is cut", "abcdefgh", 3, 0, 0, WRAP_WORDS, "abc/def/gh"},
    {"behind a hyphen", "long-word x", 6, 0, 0, WRAP_WORDS, "long-/word x"},
    {"the hanging indent counts", "aa bb cc", 6, 0, 2, WRAP_WORDS, "aa bb/cc"},
    {"wide characters are not halved", "\u540d\u540d\u540d", 5, 0, 0, WRAP_WORDS,
     "\u540d\u540d/\u540d"},
    {"combining marks stay", "e\u0301e\u0301e\u0301", 2, 0, 0, WRAP_HARD, "e\u0301e\u0301/e\u0301"},
    {"hard keeps spaces", "a  b  c", 3, 0, 0, WRAP_HARD, "a  /b  /c"},
    {"indent leaves four cells", "abcdefgh", 6, 20, 20, WRAP_HARD, "abcd/efgh"},
    {"one cell, a wide character", "\u540da", 1, 0, 0, WRAP_HARD, "\u540d/a"},
};

static void test_wrap__cuts(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct row_list rows = {0};
        struct buf got = {0};
        struct wrap_line line = {
            0, 0, strlen(cases[i].text), cases[i].lead, cases[i].rest, cases[i].how};
        assert_int_equal(wrap_rows(cases[i].text, &line, cases[i].width, &rows, NULL), 0);
        for (size_t r = 0; r < rows.n; r++) {
            assert_int_equal(rows.v[r].first, r == 0);
            if (r) buf_putc(&got, '/', NULL);
            buf_add(&got, cases[i].text + rows.v[r].from, rows.v[r].to - rows.v[r].from, NULL);
        }
        if (strcmp(buf_str(&got), cases[i].want) != 0)
            fail_msg("%s: %s, wanted %s", cases[i].name, buf_str(&got), cases[i].want);
        buf_deinit(&got);
        row_list_deinit(&rows);
    }
}

/* Every width: rows in order, nothing lost but spaces, no row too wide. */
static void test_wrap__properties(void **state) {
    const char *text = "The q\u0301uick \U0001F468\u200D\U0001F469\u200D\U0001F467 "
                       "\u540d\u524d-fox \U0001F1E9\U0001F1EA "
                       "jumps over-the  lazy \u05D0\u05D1\u05D2 dog\u200B.";
    size_t n = strlen(text);
    for (size_t width = 2; width < 60; width++)
        for (int how = WRAP_WORDS; how <= WRAP_HARD; how++) {
            struct row_list rows = {0};
            struct wrap_line line = {7, 0, n, 0, 0, (enum wrap_how)how};
            assert_int_equal(wrap_rows(text, &line, width, &rows, NULL), 0);
            size_t at = 0;
            for (size_t r = 0; r < rows.n; r++) {
                const struct row *row = &rows.v[r];
                for (; at < row->from; at++)
                    assert_int_equal(text[at], ' ');
                assert_true(text_cells(text + row->from, row->to - row->from) <= width);
                at = row->to;
            }
            for (; at < n; at++)
                assert_int_equal(text[at], ' ');
            row_list_deinit(&rows);
        }
}

static void test_wrap__columns(void **state) {
    static const struct {
        size_t width[4], n, room, want[4];
    } tables[] = {
        {{5, 80, 3}, 3, 40, {5, 32, 3}},
        {{50, 50}, 2, 41, {20, 21}},
        {{10, 60, 60, 2}, 4, 52, {10, 20, 20, 2}},
        {{4, 4}, 2, 20, {4, 4}},
        {{9}, 1, 3, {3}},
        {{1, 30, 14}, 3, 30, {1, 15, 14}},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        size_t width[4];
        memcpy(width, tables[i].width, sizeof width);
        wrap_columns(width, tables[i].n, tables[i].room);
        for (size_t c = 0; c < tables[i].n; c++)
            if (width[c] != tables[i].want[c])
                fail_msg("case %zu: column %zu is %zu", i, c, width[c]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrap__cuts),
        cmocka_unit_test(test_wrap__properties),
        cmocka_unit_test(test_wrap__columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
