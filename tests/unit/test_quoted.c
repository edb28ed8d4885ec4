/* test_quoted.c - a list of a document's own sentences: only what stands there, once, in its order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "app/core/quoted.h"

static const char doc[] =
    "HARBOUR LOG\n\nThe lamp went out at a quarter\nto nine. He found the glass "
    "broken and\n  the oil frozen. Nobody was hurt that night.\n";

static const struct {
    const char *name, *text;
    enum quoted_end end;
} cases[] = {
    {"the last sentence first", "Nobody was hurt that night.", QUOTED_NEW},
    {"over a line end", "The lamp went out at a quarter to nine.", QUOTED_NEW},
    {"again", "The lamp went out at a quarter to nine.", QUOTED_PASSED},
    {"a part of it", "went out at a quarter", QUOTED_PASSED},
    {"a heading", "HARBOUR LOG", QUOTED_PASSED},
    {"invented", "The lamp was lit again before the morning came.", QUOTED_MISSING},
    {"nothing", "", QUOTED_MISSING},
    {"one word other", "He found the glass broke and the oil frozen.", QUOTED_NEW},
};

static void test_quoted__keeps_what_stands_there(void **state) {
    struct quoted q = {0};
    struct buf out = {0};
    cite_index *x;
    (void)state;
    assert_int_equal(cite_index_new(doc, strlen(doc), &x, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum quoted_end end;
        size_t n = strlen(cases[i].text);
        assert_int_equal(quoted_add(&q, x, doc, cases[i].text, n, &end, NULL), 0);
        if (end != cases[i].end) fail_msg("%s: %d", cases[i].name, (int)end);
    }
    assert_int_equal(q.n, 3);
    assert_int_equal(q.n_words, 5 + 9 + 9);
    assert_int_equal(quoted_put(&q, doc, &out, NULL), 0);
    assert_string_equal(buf_str(&out), "- \"The lamp went out at a quarter to nine.\"\n"
                                       "- \"He found the glass broken and the oil frozen.\"\n"
                                       "- \"Nobody was hurt that night.\"");
    buf_deinit(&out);
    quoted_deinit(&q);
    cite_index_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quoted__keeps_what_stands_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
