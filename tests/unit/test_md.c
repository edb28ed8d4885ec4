/* test_md.c - Markdown while it streams: what a block becomes, and that a closed one never moves.
 */
#include "app/core/md.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void dump(const struct md *m, struct buf *out) {
    for (size_t i = 0; i < m->n_line; i++) {
        const struct md_line *l = &m->line[i];
        buf_add(out, buf_str(&m->text) + l->lead_from, l->lead_n, NULL);
        buf_add(out, buf_str(&m->text) + l->from, l->to - l->from, NULL);
        buf_putc(out, '\n', NULL);
    }
}

static const struct {
    const char *name, *source, *want;
} cases[] = {
    {"empty text has no line", "", ""},
    {"a line feed in a paragraph is kept", "one\ntwo", "one\ntwo\n"},
    {"blocks are parted by one blank line", "one\n\n\n\ntwo", "one\n\ntwo\n"},
    {"a heading", "# Head\ntext", "Head\n\ntext\n"},
    {"bullets", "- a\n- b\n  more\n", "- a\n- b\n  more\n"},
    {"a loose list looks like a tight one", "- a\n\n- b\n", "- a\n- b\n"},
    {"numbers go on from the first", "3. a\n4. b", "3. a\n4. b\n"},
    {"nested items", "- a\n  - b\n- c", "- a\n  - b\n- c\n"},
    {"a quotation", "> one\n> two\n\nafter", "> one\n> two\n\nafter\n"},
    {"code keeps its lines and blanks", "```c\nint x;\n\n\ty();\n```\n",
     "  int x;\n  \n      y();\n"},
    {"a fence cut off is code to its end", "text\n\n```\nhalf\nwa", "text\n\n  half\n  wa\n"},
    {"a table is padded", "| a | bb |\n|---|---|\n| ccc | d |\n", "| a   | bb |\n| ccc | d  |\n"},
    {"wide characters count two in tables", "| 名 | b |\n|---|---|\n| x | y |\n",
     "| 名 | b |\n| x  | y |\n"},
    {"a link shows where it goes", "[text](http://x.org)", "text <http://x.org>\n"},
    {"a bare link is said once", "see http://x.org now", "see http://x.org now\n"},
    {"tasks", "- [ ] a\n- [x] b", "- [ ] a\n- [x] b\n"},
    {"struck words keep their marks", "not ~~5~~ but 6, a~b~c", "not ~~5~~ but 6, a~b~c\n"},
    {"html is text", "<b>x</b>", "<b>x</b>\n"},
    {"hard breaks", "a  \nb", "a\nb\n"},
    {"escapes are shown", "a \033[31mred\033[0m", "a <1B>[31mred<1B>[0m\n"},
    {"a broken byte is one mark",
     "a\xFF"
     "b",
     "a\xEF\xBF\xBD"
     "b\n"},
    {"rule", "a\n\n---\n\nb", "a\n\n---\n\nb\n"},
    {"citation marks of oxbow", "x \001[1: 2]\002 y", "x [1: 2] y\n"},
};

static void test_md__lines(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct md m = {0};
        struct buf got = {0};
        assert_int_equal(md_update(&m, cases[i].source, strlen(cases[i].source), NULL), 0);
        dump(&m, &got);
        if (strcmp(buf_str(&got), cases[i].want) != 0)
            fail_msg("%s:\n%s\nwanted:\n%s", cases[i].name, buf_str(&got), cases[i].want);
        buf_deinit(&got);
        md_deinit(&m);
    }
}

static const char story[] =
    "# Lights\n\nTwo lights *failed*:\n\n- North: \"the lamp\"\n- Skerry\n\n  still Skerry\n- "
    "Bank\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n| 333 | 4 |\n\n```c\n# not a head\n\nint x;\n```\n"
    "After the fence.\n\n> quoted\n> more\n\n1. one\n2. two\n\nThe end, with `code` and [a](b).\n"
    "## Small\nlast words";

/* Byte by byte: lines that were closed keep their bytes; the end equals parsing all at once. */
static void test_md__closed_blocks_never_move(void **state) {
    struct md m = {0}, whole = {0};
    struct buf before = {0}, now = {0};
    size_t n = strlen(story), n_closed = 0;
    for (size_t i = 1; i <= n; i++) {
        assert_int_equal(md_update(&m, story, i, NULL), 0);
        assert_true(m.closed_line >= n_closed);
        n_closed = m.closed_line;
        buf_cut(&now, 0);
        struct md closed = m;
        closed.n_line = m.closed_line;
        dump(&closed, &now);
        assert_true(now.n >= before.n);
        if (before.n > 0) assert_memory_equal(now.p, before.p, before.n);
        buf_cut(&before, 0);
        buf_puts(&before, buf_str(&now), NULL);
    }
    assert_true(n_closed > 15);
    buf_cut(&now, 0);
    dump(&m, &now);
    assert_int_equal(md_update(&whole, story, n, NULL), 0);
    buf_cut(&before, 0);
    dump(&whole, &before);
    assert_string_equal(buf_str(&now), buf_str(&before));
    assert_int_equal(m.n_span, whole.n_span);
    buf_deinit(&before);
    buf_deinit(&now);
    md_deinit(&m);
    md_deinit(&whole);
}

static void test_md__spans_lie_in_order(void **state) {
    struct md m = {0};
    assert_int_equal(md_update(&m, story, strlen(story), NULL), 0);
    for (size_t i = 0; i < m.n_span; i++) {
        assert_true(m.span[i].from < m.span[i].to && m.span[i].to <= m.text.n);
        if (i > 0) assert_true(m.span[i - 1].to <= m.span[i].from);
    }
    md_deinit(&m);
}

static void test_md__code_block_is_found_by_number(void **state) {
    struct md m = {0};
    struct buf code = {0};
    assert_int_equal(md_update(&m, story, strlen(story), NULL), 0);
    assert_int_equal(md_code(&m, 1, &code, NULL), 0);
    assert_string_equal(buf_str(&code), "# not a head\n\nint x;\n");
    buf_cut(&code, 0);
    assert_int_equal(md_code(&m, 2, &code, NULL), 0);
    assert_int_equal(code.n, 0);
    buf_deinit(&code);
    md_deinit(&m);
}

/* Deep nesting and long numbers must not write past the tables. */
static void test_md__nesting_beyond_the_tables(void **state) {
    struct buf source = {0};
    for (int i = 0; i < 40; i++) {
        for (int k = 0; k < i; k++)
            buf_puts(&source, "  ", NULL);
        buf_puts(&source, "- x\n", NULL);
    }
    buf_puts(&source, "\n999999999. y\n\n", NULL);
    for (int i = 0; i < 60; i++)
        buf_puts(&source, "> ", NULL);
    buf_puts(&source, "deep **_`a`_** \n\n|", NULL);
    for (int i = 0; i < 60; i++)
        buf_puts(&source, "a|", NULL);
    buf_puts(&source, "\n|", NULL);
    for (int i = 0; i < 60; i++)
        buf_puts(&source, "-|", NULL);
    buf_puts(&source, "\n|x|\n", NULL);
    struct md m = {0};
    assert_int_equal(md_update(&m, source.p, source.n, NULL), 0);
    assert_true(m.n_line > 40);
    md_deinit(&m);
    buf_deinit(&source);
}

/* Cells of a table that is wider than the line are wrapped in their columns; one that fits, or that
 * no width is known for, stays as it is. */
static void test_md__a_wide_table_is_narrowed(void **state) {
    static const char source[] = "- x\n\n  | n | what it says |\n  |---|---|\n"
                                 "  | 1 | a long tale of a ship |\n  | 2 | short |\n";
    static const char wide[] = "- x\n\n  | n | what it says          |\n"
                               "  | 1 | a long tale of a ship |\n  | 2 | short                 |\n";
    static const struct {
        size_t width;
        const char *want;
    } narrow[] = {
        {0, wide},
        {31, wide},
        {22, "- x\n\n  | n | what it says |\n  | 1 | a long tale  |\n"
             "  |   | of a ship    |\n  | 2 | short        |\n"},
        {15, "- x\n\n  | n | what  |\n  |   | it    |\n  |   | says  |\n  | 1 | a     |\n"
             "  |   | long  |\n  |   | tale  |\n  |   | of a  |\n  |   | ship  |\n"
             "  | 2 | short |\n"},
        {12, wide}, /* too narrow for columns: cut at the edge */
    };
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) {
        struct md m = {.width = narrow[i].width};
        struct buf got = {0};
        assert_int_equal(md_update(&m, source, sizeof source - 1, NULL), 0);
        dump(&m, &got);
        if (strcmp(buf_str(&got), narrow[i].want) != 0)
            fail_msg("width %zu:\n%s", narrow[i].width, buf_str(&got));
        buf_deinit(&got);
        md_deinit(&m);
    }
}

/* What a table of few bytes takes to show is bounded: neither one long cell pads thousands of rows,
 * nor do thousands of columns fill up as many short ones. */
static void test_md__tables_do_not_explode(void **state) {
    struct buf source = {0};
    struct md m = {0};
    buf_puts(&source, "before\n\n|a|b|\n|---|---|\n|", NULL);
    for (int i = 0; i < 20000; i++)
        buf_putc(&source, 'x', NULL);
    buf_puts(&source, "|y|\n", NULL);
    for (int i = 0; i < 2000; i++)
        buf_puts(&source, "|z|y|\n", NULL);
    assert_int_equal(md_update(&m, source.p, source.n, NULL), 0);
    assert_true(m.text.n < 1 << 20);
    assert_int_equal(m.n_line, 2004);
    md_deinit(&m);
    buf_cut(&source, 0);
    buf_puts(&source, "before\n\n", NULL);
    for (int row = 0; row < 2; row++) {
        for (int i = 0; i < 5000; i++)
            buf_puts(&source, row ? "|---" : "|a", NULL);
        buf_putc(&source, '\n', NULL);
    }
    for (int i = 0; i < 500; i++)
        buf_puts(&source, "|x\n", NULL);
    assert_int_equal(md_update(&m, source.p, source.n, NULL), 0);
    assert_true(m.text.n < 1 << 20);
    assert_int_equal(m.n_line, 504);
    assert_memory_equal(m.text.p + m.line[m.n_line - 1].from, "|x", 2);
    md_deinit(&m);
    buf_deinit(&source);
}

/* Random Markdown, cut anywhere: nothing is read or written outside (the sanitizer run looks),
 * closed lines stay. md4c 0.4.8 crashed on a text ending inside a link. */
static void test_md__random_text(void **state) {
    static const char *const bits[] = {
        "[a",        "](b",  ")",
        "](",        "[",    "]",
        "!",         "<",    "http://x.y",
        "&amp;",     "`",    "``",
        "*",         "**",   "_",
        "~~",        "\n",   "\n\n",
        "- ",        "1. ",  "> ",
        "# ",        "|",    "|-|",
        "\n|-|-|\n", "```",  "    ",
        "\\",        "\"",   "x",
        " ",         "\t",   "[x]: /u \"t\"\n",
        "\xC3\xA9",  "\xFF", "\1",
        "\2",
    };
    uint32_t seed = 7;
    for (int round = 0; round < 3000; round++) {
        struct md m = {0};
        struct buf text = {0};
        size_t closed = 0;
        for (int k = 0; k < 30; k++) {
            seed = seed * 1664525u + 1013904223u;
            buf_puts(&text, bits[(seed >> 8) % (sizeof bits / sizeof bits[0])], NULL);
            char *exact = ox_memdup(text.p, text.n, "text", NULL);
            assert_int_equal(md_update(&m, exact, text.n, NULL), 0);
            assert_true(m.closed_line >= closed);
            closed = m.closed_line;
            ox_free(exact);
        }
        buf_deinit(&text);
        md_deinit(&m);
    }
}

static void test_md__every_allocation_may_fail(void **state) {
    for (uint64_t n = 1; n < 200; n++) {
        struct md m = {0};
        ox_mem_fail_at(n);
        int rc = md_update(&m, story, strlen(story), NULL);
        ox_mem_fail_at(0);
        md_deinit(&m);
        if (rc == 0) return;
        assert_int_equal(rc, OX_ENOMEM);
    }
    fail_msg("still failing after 200 allocations");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_md__lines),
        cmocka_unit_test(test_md__closed_blocks_never_move),
        cmocka_unit_test(test_md__spans_lie_in_order),
        cmocka_unit_test(test_md__code_block_is_found_by_number),
        cmocka_unit_test(test_md__nesting_beyond_the_tables),
        cmocka_unit_test(test_md__tables_do_not_explode),
        cmocka_unit_test(test_md__a_wide_table_is_narrowed),
        cmocka_unit_test(test_md__random_text),
        cmocka_unit_test(test_md__every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
