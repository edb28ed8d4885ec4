/* test_charset.c - encodings told apart and decoded, and what is no text. */
#include "app/core/charset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(s) s, sizeof(s) - 1

static const struct {
    const char *name, *bytes;
    size_t n;
    enum charset set;
    const char *text;
    size_t n_bad, n_dropped, n_lines;
} cases[] = {
    {"empty", BYTES(""), CHARSET_UTF8, "", 0, 0, 0},
    {"ascii", BYTES("one\ntwo\n"), CHARSET_UTF8, "one\ntwo\n", 0, 0, 2},
    {"last line without an end", BYTES("one\ntwo"), CHARSET_UTF8, "one\ntwo", 0, 0, 2},
    {"CR LF", BYTES("one\r\ntwo\r\n\r\nx"), CHARSET_UTF8, "one\ntwo\n\nx", 0, 0, 4},
    {"CR alone", BYTES("one\rtwo\r\rx"), CHARSET_UTF8, "one\ntwo\n\nx", 0, 0, 4},
    {"utf-8 mark",
     BYTES("\xEF\xBB\xBF"
           "caf\xC3\xA9"),
     CHARSET_UTF8, "caf\xC3\xA9", 0, 0, 1},
    {"tabs stay, controls go", BYTES("a\tb\x01\x1B[31mc\x7F\n"), CHARSET_UTF8, "a\tb[31mc\n", 0, 3,
     1},
    {"windows-1252",
     BYTES("caf\xE9 \x93quoted\x94 \x80"
           "5\n"),
     CHARSET_CP1252,
     "caf\xC3\xA9 \xE2\x80\x9Cquoted\xE2\x80\x9D \xE2\x82\xAC"
     "5\n",
     0, 0, 1},
    {"windows-1252 before the last line end", BYTES("noir caf\xE9\n"), CHARSET_CP1252,
     "noir caf\xC3\xA9\n", 0, 0, 1},
    {"utf-16le with mark",
     BYTES("\xFF\xFE"
           "a\0\xE9\0\n\0"),
     CHARSET_UTF16LE, "a\xC3\xA9\n", 0, 0, 1},
    {"utf-16be with mark", BYTES("\xFE\xFF\0a\0\xE9\0\n"), CHARSET_UTF16BE, "a\xC3\xA9\n", 0, 0, 1},
    {"utf-16le without mark", BYTES("h\0e\0l\0l\0o\0 \0t\0h\0e\0r\0e\0\n\0"), CHARSET_UTF16LE,
     "hello there\n", 0, 0, 1},
    {"utf-16be without mark", BYTES("\0h\0e\0l\0l\0o\0 \0t\0h\0e\0r\0e\0\n"), CHARSET_UTF16BE,
     "hello there\n", 0, 0, 1},
    {"utf-16le without mark, Cyrillic",
     BYTES("\x14\x04\x30\x04,\0 \0\x3C\x04\x38\x04\x40\x04 \0\x3D\x04\x30\x04\n\0"),
     CHARSET_UTF16LE, "\xD0\x94\xD0\xB0, \xD0\xBC\xD0\xB8\xD1\x80 \xD0\xBD\xD0\xB0\n", 0, 0, 1},
    {"utf-16be without mark, Chinese", BYTES("\x4E\x2D\x65\x87\x76\x84\0 \x8B\xDD\0\n"),
     CHARSET_UTF16BE, "\xE4\xB8\xAD\xE6\x96\x87\xE7\x9A\x84 \xE8\xAF\x9D\n", 0, 0, 1},
    {"8 bits with a zero at an odd place",
     BYTES("a\0b\x1B"
           "c\xFF"
           "d\n"),
     CHARSET_CP1252,
     "abc\xC3\xBF"
     "d\n",
     0, 2, 1},
    {"ascii with a zero at an odd place", BYTES("a\0bc 12\n"), CHARSET_UTF8, "abc 12\n", 0, 1, 1},
    {"utf-16 pair and half a pair", BYTES("\xFF\xFE\x3D\xD8\x00\xDE\x3D\xD8x\0"), CHARSET_UTF16LE,
     "\xF0\x9F\x98\x80\xEF\xBF\xBDx", 1, 0, 1},
    {"utf-16 odd length",
     BYTES("\xFF\xFE"
           "a\0b"),
     CHARSET_UTF16LE, "a\xEF\xBF\xBD", 1, 0, 1},
    {"C1 in utf-8 goes",
     BYTES("a\xC2\x9B"
           "31mb"),
     CHARSET_UTF8, "a31mb", 0, 1, 1},
};

static void test_charset__guess_and_decode(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = {0};
        struct charset_stats st;
        enum charset set = charset_guess(cases[i].bytes, cases[i].n);
        if (set != cases[i].set) fail_msg("%s: guessed %s", cases[i].name, charset_name(set));
        assert_int_equal(charset_decode(set, cases[i].bytes, cases[i].n, false, &out, &st, NULL),
                         0);
        if (strcmp(buf_str(&out), cases[i].text) != 0)
            fail_msg("%s: \"%s\"", cases[i].name, buf_str(&out));
        if (st.n_bad != cases[i].n_bad || st.n_dropped != cases[i].n_dropped ||
            st.n_lines != cases[i].n_lines)
            fail_msg("%s: %zu bad, %zu dropped, %zu lines", cases[i].name, st.n_bad, st.n_dropped,
                     st.n_lines);
        buf_deinit(&out);
    }
}

/* Forced UTF-8 over broken bytes: one U+FFFD a maximal ill-formed part, as Python's "replace". */
static void test_charset__forced_utf8_replaces(void **state) {
    static const char bytes[] = "a\xE2\x82"
                                "b\xED\xA0\x80"
                                "c\xC0\xAFz\xF0\x9F\x98";
    struct buf out = {0};
    struct charset_stats st;
    assert_int_equal(charset_decode(CHARSET_UTF8, bytes, sizeof bytes - 1, false, &out, &st, NULL),
                     0);
    assert_string_equal(buf_str(&out), "a\xEF\xBF\xBD"
                                       "b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                                       "c\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD");
    assert_int_equal(st.n_bad, 7);
    buf_deinit(&out);
}

static void test_charset__pages_stay_when_asked(void **state) {
    struct buf out = {0};
    struct charset_stats st;
    assert_int_equal(charset_decode(CHARSET_UTF8, "a\fb", 3, true, &out, &st, NULL), 0);
    assert_string_equal(buf_str(&out), "a\fb");
    buf_deinit(&out);
}

/* Every way to cut a text in two lines gives the same lines: CR LF is never torn by the fast path.
 */
static void test_charset__crlf_never_torn(void **state) {
    const char *text = "ab\r\n\r\ncd\n\r\nef\r";
    struct buf out = {0};
    struct charset_stats st;
    assert_int_equal(charset_decode(CHARSET_UTF8, text, strlen(text), false, &out, &st, NULL), 0);
    assert_string_equal(buf_str(&out), "ab\n\ncd\n\nef\n");
    assert_int_equal(st.n_lines, 5);
    buf_deinit(&out);
}

static void test_charset__binary(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *what; /* NULL: text */
    } files[] = {
        {BYTES("\x7F"
               "ELF\2\1\1\0\0"),
         "ELF"},
        {BYTES("PK\3\4docx"), "zip"},
        {BYTES("%PDF-1.7\n"), "PDF"},
        {BYTES("\0\0\0\1\0\2\3\0\5\4\6\7\1\1"), "binary"},
        {BYTES("plain text"), NULL},
        {BYTES(""), NULL},
        {BYTES("a\0 NUL in a long enough text that is otherwise quite readable for everybody here"),
         NULL},
        {BYTES("h\0e\0l\0l\0o\0 \0t\0h\0e\0r\0e\0\n\0"), NULL},
        {BYTES("\x1B[31mred\x1B[0m log line\n"), NULL},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *what = charset_binary(files[i].bytes, files[i].n);
        if ((what != NULL) != (files[i].what != NULL) || (what && !strstr(what, files[i].what)))
            fail_msg("case %zu: %s", i, what ? what : "text");
    }
}

static void test_charset__names(void **state) {
    assert_int_equal(charset_find("UTF-8"), CHARSET_UTF8);
    assert_int_equal(charset_find("Latin_1"), CHARSET_CP1252);
    assert_int_equal(charset_find("utf-16be"), CHARSET_UTF16BE);
    assert_int_equal(charset_find("klingon"), CHARSET_NONE);
    assert_int_equal(charset_find(""), CHARSET_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_charset__guess_and_decode),
        cmocka_unit_test(test_charset__forced_utf8_replaces),
        cmocka_unit_test(test_charset__pages_stay_when_asked),
        cmocka_unit_test(test_charset__crlf_never_torn),
        cmocka_unit_test(test_charset__binary),
        cmocka_unit_test(test_charset__names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
