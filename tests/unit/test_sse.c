/* test_sse.c - server-sent events: the rules of the standard, and that it makes no difference how
 * the bytes are cut. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "app/remote/sse.h"

/* Events joined by '|', which no case has in its data. */
static int note(void *user, const char *data, size_t n, ox_err *err) {
    struct buf *b = user;
    int rc = buf_add(b, data, n, err);
    return rc ? rc : buf_putc(b, '|', err);
}

static const struct {
    const char *name, *bytes, *want;
} cases[] = {
    {"one event", "data: hello\n\n", "hello|"},
    {"no blank behind the colon", "data:hello\n\n", "hello|"},
    {"one blank only is left out", "data:  x \n\n", " x |"},
    {"lines are joined", "data: a\ndata: b\n\n", "a\nb|"},
    {"CR and CRLF end lines too", "data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", "a|b|c|"},
    {"an LF after the CR of the line before", "data: a\r\n\ndata: b\r\n\n", "a|b|"},
    {"comments and other fields", ": hi\nevent: x\nid: 3\nretry: 9\ndata: a\n\n", "a|"},
    {"data without a colon is an empty line", "data\n\ndata\ndata\n\n", "|\n|"},
    {"an event without data is none", "event: x\n\n\n\ndata: a\n\n", "a|"},
    {"a byte-order mark is skipped once",
     "\xEF\xBB\xBF"
     "data: a\n\n\xEF\xBB\xBF"
     "data: b\n\n",
     "a|"},
    {"names are compared whole", "dat: a\ndataa: b\nDATA: c\n data: d\n\n", ""},
    {"what the end cuts off is dropped", "data: a\n\ndata: b\n", "a|"},
    {"colons in data", "data: {\"a\": 1}\n\n", "{\"a\": 1}|"},
};

static void test_sse__follows_the_standard(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sse s = {0};
        struct buf got = {0};
        assert_int_equal(sse_feed(&s, cases[i].bytes, strlen(cases[i].bytes), note, &got, NULL), 0);
        if (strcmp(buf_str(&got), cases[i].want) != 0)
            fail_msg("%s: \"%s\" was expected, not \"%s\"", cases[i].name, cases[i].want,
                     buf_str(&got));
        sse_deinit(&s);
        buf_deinit(&got);
    }
}

/* Property: every cut into two, byte by byte, and 2,000 random cuts of random bytes of the alphabet
 * that matters give what one call gives. */
static void feed_cut(const char *p, size_t n, const char *want, const char *name) {
    for (size_t at = 0; at <= n; at++) {
        struct sse s = {0};
        struct buf got = {0};
        assert_int_equal(sse_feed(&s, p, at, note, &got, NULL), 0);
        assert_int_equal(sse_feed(&s, p + at, n - at, note, &got, NULL), 0);
        if (strcmp(buf_str(&got), want) != 0) fail_msg("%s, cut at %zu", name, at);
        sse_deinit(&s);
        buf_deinit(&got);
    }
    struct sse s = {0};
    struct buf got = {0};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sse_feed(&s, p + i, 1, note, &got, NULL), 0);
    assert_string_equal(buf_str(&got), want);
    sse_deinit(&s);
    buf_deinit(&got);
}

static void test_sse__any_cut_gives_the_same_events(void **state) {
    static const char *const pieces[] = {"data:", "data: ", "\n",   "\r",   "\r\n",
                                         "x",     ":",      "data", "\n\n", " "};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        feed_cut(cases[i].bytes, strlen(cases[i].bytes), cases[i].want, cases[i].name);
    uint32_t seed = 12345;
    for (int round = 0; round < 2000; round++) {
        struct buf text = {0}, whole = {0};
        for (int i = 0; i < 12; i++) {
            seed = seed * 1664525u + 1013904223u;
            assert_int_equal(buf_puts(&text, pieces[(seed >> 16) % 10], NULL), 0);
        }
        struct sse s = {0};
        assert_int_equal(sse_feed(&s, text.p, text.n, note, &whole, NULL), 0);
        feed_cut(text.p, text.n, buf_str(&whole), text.p);
        sse_deinit(&s);
        buf_deinit(&text);
        buf_deinit(&whole);
    }
}

static void test_sse__refuses_an_endless_event(void **state) {
    static const char *const lines[] = {"x", "data: x\n"}; /* one long line; many short ones */
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sse s = {0};
        struct buf got = {0};
        ox_err err = {0};
        int rc = 0;
        size_t n = 0;
        for (; !rc && n < 8 * SSE_MAX_BYTES; n++)
            rc = sse_feed(&s, lines[i], strlen(lines[i]), note, &got, &err);
        assert_int_equal(rc, OX_EFORMAT);
        assert_non_null(strstr(err.what, "1024 KiB"));
        assert_true(err.fix[0]);
        assert_true(s.line.n + s.data.n <= 2 * SSE_MAX_BYTES);
        sse_deinit(&s);
        buf_deinit(&got);
    }
}

static int stop_at_b(void *user, const char *data, size_t n, ox_err *err) {
    (void)n, (void)err;
    ++*(int *)user;
    return data[0] == 'b' ? 7 : 0;
}

static void test_sse__an_event_can_end_it(void **state) {
    struct sse s = {0};
    int n = 0;
    (void)state;
    const char *text = "data: a\n\ndata: b\n\ndata: c\n\n";
    assert_int_equal(sse_feed(&s, text, strlen(text), stop_at_b, &n, NULL), 7);
    assert_int_equal(n, 2);
    assert_int_equal(s.n_events, 2);
    sse_deinit(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sse__follows_the_standard),
        cmocka_unit_test(test_sse__any_cut_gives_the_same_events),
        cmocka_unit_test(test_sse__refuses_an_endless_event),
        cmocka_unit_test(test_sse__an_event_can_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
