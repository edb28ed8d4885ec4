/* test_cite_mark.c - marks in a streamed answer: the same for every cut, right behind the closing
 * mark, in place of numbers that the model wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/core/cite_mark.h"

#include <string.h>

static const char log_text[] = "The clerk reports no answer from the Skerry\nafter seven.\n\n"
                               "From the wall we saw that the lamp was out at\n"
                               "a quarter to nine and the glass broken.\n"
                               "The clerk tried four times, then closed.\n";
static const char act_text[] = "No boat may leave the harbour after dark.\n"
                               "The clerk tried four times, then closed.\n";

static const struct {
    const char *name, *answer, *shown;
} cases[] = {
    {"no quotation", "Nothing here, \"too short\" to check.", NULL},
    {"two lines", "He saw \"the lamp was out at a quarter to nine\", he says.",
     "He saw \"the lamp was out at a quarter to nine\" [1: 413-414], he says."},
    {"at the end", "\"no answer from the Skerry\"", "\"no answer from the Skerry\" [1: 410]"},
    {"case is folded", "\"FROM THE WALL WE SAW\".", "\"FROM THE WALL WE SAW\" [1: 413]."},
    {"one letter differs", "\"the lamp was oud at a quarter\"",
     "\"the lamp was oud at a quarter\" [~1: 413-414]"},
    {"not there", "\"dark from midnight on it was\" ok",
     "\"dark from midnight on it was\" [?] not in the text ok"},
    {"two places", "\"The clerk tried four times\"", "\"The clerk tried four times\" [1: 415 +1]"},
    {"the second document", "\"leave the harbour after dark\"",
     "\"leave the harbour after dark\" [2: 1]"},
    {"right numbers of the model give way", "\"no answer from the Skerry\" [1: 410] was said",
     "\"no answer from the Skerry\" [1: 410] was said"},
    {"wrong numbers too", "\"no answer from the Skerry\" (line 99) was said",
     "\"no answer from the Skerry\" [1: 410] was said"},
    {"numbers of what is not there", "\"dark from midnight on it was\" [1: 7-8].",
     "\"dark from midnight on it was\" [?] not in the text."},
    {"words, no brackets", "\"no answer from the Skerry\", lines 12-13",
     "\"no answer from the Skerry\" [1: 410]"},
    {"a footnote is none", "\"no answer from the Skerry\" [3] stays",
     "\"no answer from the Skerry\" [1: 410] [3] stays"},
    {"a bracket that is none", "\"no answer from the Skerry\" [and so on",
     "\"no answer from the Skerry\" [1: 410] [and so on"},
};

static void build(struct cite_doc docs[2]) {
    docs[0] = (struct cite_doc){NULL, log_text, 410};
    docs[1] = (struct cite_doc){NULL, act_text, 1};
    for (int i = 0; i < 2; i++) {
        cite_index *x = NULL;
        assert_int_equal(cite_index_new(docs[i].text, strlen(docs[i].text), &x, NULL), 0);
        docs[i].index = x;
    }
}

/* Every size of piece gives the same text, and what was given out is never taken back. */
static void test_cite_mark__any_cut(void **state) {
    struct cite_doc docs[2];
    (void)state;
    build(docs);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *answer = cases[i].answer,
                   *want = cases[i].shown ? cases[i].shown : cases[i].answer;
        size_t n = strlen(answer);
        for (size_t piece = 1; piece <= n; piece++) {
            struct cite_marker m = {0};
            struct buf got = {0};
            for (size_t at = 0; at < n;) {
                at = at + piece < n ? at + piece : n;
                assert_int_equal(cite_marker_feed(&m, answer, at, at == n, docs, 2, &got, NULL), 0);
            }
            if (strcmp(buf_str(&got), want) != 0)
                fail_msg("%s, pieces of %zu: %s", cases[i].name, piece, buf_str(&got));
            buf_deinit(&got);
            cite_marker_deinit(&m);
        }
    }
    for (int i = 0; i < 2; i++)
        cite_index_free((cite_index *)(uintptr_t)docs[i].index);
}

static void test_cite_mark__without_documents(void **state) {
    struct cite_marker m = {0};
    struct buf got = {0};
    (void)state;
    assert_int_equal(
        cite_marker_feed(&m, "\"one two three four\" [", 22, false, NULL, 0, &got, NULL), 0);
    assert_string_equal(buf_str(&got), "\"one two three four\" [");
    buf_deinit(&got);
    cite_marker_deinit(&m);
}

static void test_cite_line__counts_from_the_files_first(void **state) {
    const struct cite_doc d = {NULL, "a\nb\n\nc", 7};
    (void)state;
    assert_int_equal(cite_line(&d, 0), 7);
    assert_int_equal(cite_line(&d, 1), 7);
    assert_int_equal(cite_line(&d, 2), 8);
    assert_int_equal(cite_line(&d, 5), 10);
    assert_int_equal(cite_line(&d, 6), 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cite_mark__any_cut),
        cmocka_unit_test(test_cite_mark__without_documents),
        cmocka_unit_test(test_cite_line__counts_from_the_files_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
