/* test_html.c - pages as people read them, and pages that nobody should write. */
#include "app/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name, *page, *text;
} cases[] = {
    {"paragraphs", "<html><body><p>One\n two</p><p>three</p></body></html>", "One two\n\nthree\n"},
    {"headings", "<h1>Title</h1><h3>Part</h3>text", "# Title\n\n### Part\n\ntext\n"},
    {"links", "see <a href='https://example.org/x'>the page</a>, or <a href='#top'>top</a>",
     "see the page <https://example.org/x>, or top\n"},
    {"a link that is its own text", "<a href='http://a.b/c'>http://a.b/c</a>", "http://a.b/c\n"},
    {"lists", "<ul><li>one</li><li>two <b>bold</b></li></ul>after", "- one\n- two bold\n\nafter\n"},
    {"tables",
     "<table><tr><th>lamp</th><th>hour</th></tr><tr><td>Mole</td><td>20:45</td></tr></table>",
     "lamp | hour\nMole | 20:45\n"},
    {"preformatted", "<pre>a\n  b\n</pre>c", "a\n  b\n\nc\n"},
    {"line breaks", "one<br>two<br/>three", "one\ntwo\nthree\n"},
    {"no scripts, styles, forms",
     "<head><title>t</title><style>p{}</style></head><script>alert(1)</script>"
     "<p>seen</p><button>no</button><p hidden>no</p><p aria-hidden='true'>no</p>",
     "seen\n"},
    {"entities", "<p>caf&eacute; &amp; &lt;tags&gt; &#x2014;</p>",
     "caf\xC3\xA9 & <tags> \xE2\x80\x94\n"},
    {"picture with words", "<p>a <img src=x alt='a lamp'> b</p>", "a a lamp b\n"},
    {"never closed", "<p>one<div>two<b>three", "one\n\ntwothree\n"},
    {"comments", "<p>a<!-- no -->b</p>", "ab\n"},
};

static void test_html__reads_like_text(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = {0};
        assert_int_equal(html_text(cases[i].page, strlen(cases[i].page), "utf-8", &out, NULL), 0);
        if (strcmp(buf_str(&out), cases[i].text) != 0)
            fail_msg("%s: \"%s\"", cases[i].name, buf_str(&out));
        buf_deinit(&out);
    }
}

/* 200,000 open tags: neither the stack nor the clock may notice. */
static void test_html__deep_nesting(void **state) {
    struct buf page = {0}, out = {0};
    for (int i = 0; i < 200000; i++)
        assert_int_equal(buf_puts(&page, "<div>", NULL), 0);
    assert_int_equal(buf_puts(&page, "x", NULL), 0);
    ox_err err = {0};
    int rc =
        html_text(page.p, page.n, "utf-8", &out, &err); /* the parser may stop at its own limit */
    assert_true(rc == 0 || rc == OX_EFORMAT);
    buf_deinit(&page);
    buf_deinit(&out);
}

static void test_html__nothing_there(void **state) {
    struct buf out = {0};
    ox_err err = {0};
    assert_int_equal(html_text("", 0, "utf-8", &out, &err), OX_EFORMAT);
    assert_int_equal(out.n, 0);
    buf_deinit(&out);
}

static void test_html__is_page(void **state) {
    assert_true(html_is_page("<!DOCTYPE html><p>", 18));
    assert_true(html_is_page("\n <HTML lang=en>", 16));
    assert_false(html_is_page("# Markdown with <b>tags</b>", 27));
    assert_false(html_is_page("", 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_html__reads_like_text),
        cmocka_unit_test(test_html__deep_nesting),
        cmocka_unit_test(test_html__nothing_there),
        cmocka_unit_test(test_html__is_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
