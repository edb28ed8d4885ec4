/* test_core_text.c - UTF-8, clusters, widths, and the filter before the terminal. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "app/core/text.h"

#define N(a) (sizeof(a) / sizeof(a)[0])

static void test_text__next_finds_maximal_subparts(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
        int32_t cp;
    } cases[] = {
        {"a", 1, 'a'},
        {"\xC3\xA9", 2, 0xE9},
        {"\xE2\x82\xAC", 3, 0x20AC},
        {"\xF0\x9F\x98\x80", 4, 0x1F600},
        {"\xC0\x80", 1, -1},
        {"\xE0\x80\x80", 1, -1},
        {"\xED\xA0\x80", 1, -1},
        {"\xF4\x90\x80\x80", 1, -1},
        {"\xF0\x9F\x98", 3, -1},
        {"\xE2\x82"
         "a",
         2, -1},
        {"\x80", 1, -1},
        {"\xFF", 1, -1},
    };
    for (size_t i = 0; i < N(cases); i++) {
        int32_t cp;
        size_t len = text_next(cases[i].bytes, strlen(cases[i].bytes), &cp);
        if (len != cases[i].len || cp != cases[i].cp)
            fail_msg("case %zu: %zu bytes, U+%04X", i, len, (unsigned)cp);
    }
}

static void test_text__show_lets_no_control_through(void **state) {
    static const struct {
        const char *in, *lines, *line;
    } cases[] = {
        {"plain \xC3\xA9\n\tx", "plain \xC3\xA9\n\tx", "plain \xC3\xA9<0A><09>x"},
        {"\x1B]0;title\x07", "<1B>]0;title<07>", "<1B>]0;title<07>"},
        {"a\x7F"
         "b\r\n",
         "a<7F>b<0D>\n", "a<7F>b<0D><0A>"},
        {"\xC2\x9B"
         "31m",
         "<9B>31m", "<9B>31m"},
        {"\xE2\x80\xAE"
         "evil\xE2\x81\xA9",
         "<202E>evil<2069>", "<202E>evil<2069>"},
        {"\xD8\x9C\xE2\x80\x8F", "<61C><200F>", "<61C><200F>"},
        {"\xED\xA0\x80z", "<D800>z", "<D800>z"},
        {"\x9B\xFFz", "\xEF\xBF\xBD\xEF\xBF\xBDz", "\xEF\xBF\xBD\xEF\xBF\xBDz"},
        {"\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
         "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
         "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB"},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct buf a = {0}, b = {0};
        assert_int_equal(text_show(&a, cases[i].in, strlen(cases[i].in), TEXT_LINES, NULL), 0);
        assert_int_equal(text_show(&b, cases[i].in, strlen(cases[i].in), TEXT_LINE, NULL), 0);
        assert_string_equal(buf_str(&a), cases[i].lines);
        assert_string_equal(buf_str(&b), cases[i].line);
        buf_deinit(&a);
        buf_deinit(&b);
    }
}

static void test_text__show_of_every_byte_pair(void **state) {
    for (int i = 0; i < 65536; i++) {
        char in[2] = {(char)(i >> 8), (char)i};
        struct buf out = {0};
        assert_int_equal(text_show(&out, in, 2, TEXT_LINE, NULL), 0);
        assert_int_equal(text_valid(out.p, out.n), out.n);
        for (size_t at = 0; at < out.n;) {
            int32_t cp;
            at += text_next(out.p + at, out.n - at, &cp);
            assert_false(text_is_control(cp));
        }
        buf_deinit(&out);
    }
}

static void test_text__clusters_and_widths(void **state) {
    static const struct {
        const char *name, *s;
        size_t n_clusters, cells;
    } cases[] = {
        {"latin", "abc", 3, 3},
        {"combining", "e\xCC\x81o", 2, 2},
        {"cjk", "\xE6\xBC\xA2\xE5\xAD\x97", 2, 4},
        {"family", "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7", 1,
         2},
        {"flag", "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA", 1, 2},
        {"two flags", "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA\xF0\x9F\x87\xAB\xF0\x9F\x87\xAE", 2, 4},
        {"keycap", "1\xEF\xB8\x8F\xE2\x83\xA3", 1, 2},
        {"heart as emoji", "\xE2\x9D\xA4\xEF\xB8\x8F", 1, 2},
        {"skin tone", "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD", 1, 2},
        {"broken bytes",
         "a\xFF\xFE"
         "b",
         4, 4},
        {"hangul", "\xEA\xB0\x80", 1, 2},
        {"zero width space", "\xE2\x80\x8B", 1, 0},
        {"empty", "", 0, 0},
    };
    for (size_t i = 0; i < N(cases); i++) {
        size_t n = strlen(cases[i].s), count = 0, at = 0;
        while (at < n) {
            int w;
            at += text_cluster(cases[i].s + at, n - at, &w);
            count++;
        }
        if (count != cases[i].n_clusters || text_cells(cases[i].s, n) != cases[i].cells)
            fail_msg("%s: %zu clusters, %zu cells", cases[i].name, count,
                     text_cells(cases[i].s, n));
        for (size_t end = n; end > 0;) {
            end = text_prev_cluster(cases[i].s, end);
            count--;
        }
        if (count != 0) fail_msg("%s: walking back meets other clusters", cases[i].name);
    }
}

/* With width.ambiguous = 2; what is narrow or wide everywhere stays so. */
static void test_text__ambiguous_width(void **state) {
    static const struct {
        const char *s;
        size_t one, two;
    } cases[] = {
        {"\u00A7", 1, 2}, {"\u03B1", 1, 2}, {"\u2026", 1, 2},  {"\u2500", 1, 2},
        {"\u273D", 1, 2}, {"a", 1, 1},      {"\u00A2", 1, 1},  {"\u05D0", 1, 1},
        {"\u6F22", 2, 2}, {"\u00E9", 1, 2}, {"e\u0301", 1, 1},
    };
    for (size_t i = 0; i < N(cases); i++) {
        size_t n = strlen(cases[i].s), one = text_cells(cases[i].s, n);
        text_set_ambiguous(2);
        size_t two = text_cells(cases[i].s, n);
        text_set_ambiguous(1);
        if (one != cases[i].one || two != cases[i].two)
            fail_msg("%s: %zu and %zu cells", cases[i].s, one, two);
    }
}

static void test_text__brief(void **state) {
    static const struct {
        const char *in, *want;
        size_t cells;
    } cases[] = {
        {"short", "short", 5},
        {"longer", "lo...", 5},
        {"\xE6\xBC\xA2\xE5\xAD\x97\xE6\xBC\xA2", "\xE6\xBC\xA2...", 5},
        {"a\nb", "a<0A>b", 9},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct buf b = {0};
        text_brief(&b, cases[i].in, strlen(cases[i].in), cases[i].cells, NULL);
        assert_string_equal(buf_str(&b), cases[i].want);
        buf_deinit(&b);
    }
}

static void test_text__distance(void **state) {
    assert_int_equal(text_distance("sumarize", "summarize"), 1);
    assert_int_equal(text_distance("aks", "ask"), 1);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_true(text_is_near("sumarize", "summarize"));
    assert_false(text_is_near("ask", "ask"));
    assert_false(text_is_near("x", "rm"));
    assert_false(text_is_near("hello", "help!!!"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__next_finds_maximal_subparts),
        cmocka_unit_test(test_text__show_lets_no_control_through),
        cmocka_unit_test(test_text__show_of_every_byte_pair),
        cmocka_unit_test(test_text__clusters_and_widths),
        cmocka_unit_test(test_text__ambiguous_width),
        cmocka_unit_test(test_text__brief),
        cmocka_unit_test(test_text__distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
