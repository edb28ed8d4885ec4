/* test_chunk.c - where documents are cut, and that the pieces join to the text. */
#include "app/core/chunk.h"
#include "app/core/summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *line;  /* between blank lines */
    const char *words; /* NULL: no heading */
    int level;
} headings[] = {
    {"# Title", "Title", 1},
    {"### Part three ###", "Part three", 3},
    {"#hashtag", NULL, 0},
    {"CHAPTER IV.", "CHAPTER IV.", 2},
    {"LECTURE II. A CANDLE: BRIGHTNESS", "LECTURE II. A CANDLE: BRIGHTNESS", 2},
    {"3.2  Packet format", "3.2  Packet format", 2},
    {"1. Introduction", "1. Introduction", 1},
    {"7 Security", "7 Security", 1},
    {"INTRODUCTION", "INTRODUCTION", 2},
    {"An ordinary sentence that stands alone.", NULL, 0},
    {"1911 was a hard year.", NULL, 0},
    {"OK", NULL, 0},
};

static void test_chunk__headings(void **state) {
    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++) {
        struct buf b = {0};
        assert_int_equal(buf_printf(&b, NULL, "text\n\n%s\n\nmore", headings[i].line), 0);
        size_t from, to;
        int level = 0;
        bool got = chunk_heading(b.p, b.n, 6, &from, &to, &level);
        if (got != (headings[i].words != NULL))
            fail_msg("\"%s\": %s", headings[i].line, got ? "heading" : "none");
        if (got && (to - from != strlen(headings[i].words) ||
                    memcmp(b.p + from, headings[i].words, to - from) || level != headings[i].level))
            fail_msg("\"%s\": \"%.*s\" level %d", headings[i].line, (int)(to - from), b.p + from,
                     level);
        buf_deinit(&b);
    }
    size_t from, to;
    int level;
    assert_true(chunk_heading("Title\n=====\ntext", 16, 0, &from, &to, &level) && level == 1);
    assert_false(
        chunk_heading("in the middle of\nA PARAGRAPH\nof text", 36, 17, &from, &to, &level));
}

static uint64_t seed = 7;
static size_t draw(size_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(seed >> 33) % n;
}

/* Whatever the text: no gap, no overlap, no split character, sizes in bounds, lines right. */
static void test_chunk__join_to_the_text(void **state) {
    static const char *const bits[] = {"word ",
                                       "x. ",
                                       "\n",
                                       "\n\n",
                                       "# Head\n",
                                       "\xE7\x81\xAF",
                                       "e\xCC\x81",
                                       "}\nint f(void)\n",
                                       "a-very-long-run-without-any-blank-",
                                       "\t",
                                       "CHAPTER I\n\n"};
    for (int round = 0; round < 60; round++) {
        struct buf b = {0};
        size_t want = draw(60000), kind = draw(4);
        while (b.n < want) {
            const char *s = kind == 0   ? bits[5]
                            : kind == 1 ? bits[8]
                                        : bits[draw(sizeof bits / sizeof bits[0])];
            assert_int_equal(buf_puts(&b, s, NULL), 0);
        }
        size_t pages[40], n_pages = kind == 3 && b.n > 4000 ? 1 : 0;
        if (n_pages) pages[0] = 0;
        for (size_t at = 0; n_pages && n_pages < 40;) {
            at += 200 + draw(9000);
            while (at < b.n && ((unsigned char)b.p[at] & 0xC0) == 0x80)
                at++;
            if (at >= b.n) break;
            pages[n_pages++] = at;
        }
        struct chunk_walk w = {0};
        struct chunk c;
        size_t at = 0, line = 1;
        while (chunk_next(&w, b.p, b.n, n_pages ? pages : NULL, n_pages, &c)) {
            assert_int_equal(c.from, at);
            assert_true(c.to > c.from && c.to <= b.n && c.to - c.from <= CHUNK_MAX_BYTES);
            assert_int_equal(c.line, line);
            if (c.to < b.n) assert_int_not_equal((unsigned char)b.p[c.to] & 0xC0, 0x80);
            bool at_page = false;
            for (size_t k = 0; k < n_pages; k++) {
                assert_false(pages[k] > c.from && pages[k] < c.to);
                at_page |= pages[k] == c.to;
            }
            if (c.to < b.n && !at_page) assert_true(c.to - c.from >= CHUNK_MIN_BYTES - 3);
            assert_int_equal(c.page > 0, n_pages > 0);
            for (size_t i = c.from; i < c.to; i++)
                line += b.p[i] == '\n';
            at = c.to;
        }
        assert_int_equal(at, b.n);
        buf_deinit(&b);
    }
}

static void test_chunk__page_of_a_byte(void **state) {
    static const size_t pages[] = {0, 10, 10, 25}; /* the second is empty */
    static const struct {
        size_t byte, page;
    } cases[] = {{0, 1}, {9, 1}, {10, 3}, {24, 3}, {25, 4}, {900, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(chunk_page(pages, 4, cases[i].byte), cases[i].page);
    assert_int_equal(chunk_page(NULL, 0, 5), 0);
}

static void test_chunk__sections_stay_together(void **state) {
    struct buf b = {0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(buf_printf(&b, NULL, "# Section %d\n\n", i), 0);
        for (int k = 0; k < 50; k++)
            assert_int_equal(buf_puts(&b, "Some words in a row stand here.\n", NULL), 0);
        assert_int_equal(buf_puts(&b, "\n", NULL), 0);
    }
    struct chunk_walk w = {0};
    struct chunk c;
    int n = 0;
    while (chunk_next(&w, b.p, b.n, NULL, 0, &c)) {
        char want[32];
        snprintf(want, sizeof want, "Section %d", n++);
        assert_int_equal(c.heading_to - c.heading_from, strlen(want));
        assert_memory_equal(b.p + c.heading_from, want, strlen(want));
        assert_memory_equal(b.p + c.from, "# Sec", 5);
    }
    assert_int_equal(n, 3);
    buf_deinit(&b);
}

static const struct {
    const char *name;
    size_t n_chunks, tokens, context, max_part, part_answer;
    int rc;
    size_t n_parts, n_levels; /* expected */
} plans[] = {
    {"fits in one pass", 10, 100, 4096, 0, 500, 0, 1, 0},
    {"just fits", 28, 100, 4096, 0, 500, 0, 1, 0},
    {"parts and one merge", 100, 100, 4096, 0, 500, 0, 4, 1},
    {"many levels", 100, 1000, 4096, 0, 1000, 0, 50, 6},
    {"forced parts", 10, 100, 4096, 300, 500, 0, 4, 1},
    {"no room at all", 10, 100, 1000, 0, 500, OX_EFIT, 0, 0},
    {"one chunk too large", 3, 5000, 4096, 0, 500, OX_EFIT, 0, 0},
    {"a merge of two does not fit", 100, 100, 4096, 0, 2000, OX_EFIT, 0, 0},
    {"empty", 0, 0, 4096, 0, 500, 0, 0, 0},
};

static void test_summary__plans(void **state) {
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        static struct chunk chunks[200];
        static size_t tokens[200];
        for (size_t k = 0; k < plans[i].n_chunks; k++) {
            chunks[k] = (struct chunk){.from = k * 400, .to = k * 400 + 400};
            tokens[k] = plans[i].tokens;
        }
        struct summary_limits lim = {plans[i].context, 1000, 200, plans[i].part_answer,
                                     plans[i].max_part};
        struct summary_plan p = {0};
        int rc = summary_make(chunks, tokens, plans[i].n_chunks, &lim, &p, NULL);
        if (rc != plans[i].rc) fail_msg("%s: %d", plans[i].name, rc);
        if (rc) continue;
        if (p.n_parts != plans[i].n_parts || p.n_levels != plans[i].n_levels)
            fail_msg("%s: %zu parts, %zu levels", plans[i].name, p.n_parts, p.n_levels);
        size_t at = 0, least = SIZE_MAX, most = 0;
        for (size_t k = 0; k < p.n_parts; k++) {
            assert_int_equal(p.part[k].from, at);
            at = p.part[k].to;
            if (p.part[k].tokens < least) least = p.part[k].tokens;
            if (p.part[k].tokens > most) most = p.part[k].tokens;
        }
        assert_int_equal(at, plans[i].n_chunks * 400);
        if (p.n_parts > 1)
            assert_true(most - least <= 2 * plans[i].tokens); /* no remnant at the end */
        for (size_t l = 1; l <= p.n_levels;
             l++) { /* each summary of the level below is merged once */
            size_t next = 0, first, n;
            for (size_t k = 0; k < summary_width(&p, l); k++) {
                summary_inputs(&p, l, k, &first, &n);
                assert_int_equal(first, next);
                assert_true(n >= 1 && n <= p.group);
                next = first + n;
            }
            assert_int_equal(next, summary_width(&p, l - 1));
        }
        if (p.n_levels) assert_int_equal(summary_width(&p, p.n_levels), 1);
        summary_deinit(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunk__headings),
        cmocka_unit_test(test_chunk__join_to_the_text),
        cmocka_unit_test(test_chunk__page_of_a_byte),
        cmocka_unit_test(test_chunk__sections_stay_together),
        cmocka_unit_test(test_summary__plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
