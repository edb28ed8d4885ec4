/* test_diff.c - words of two texts: tables, and properties over random texts against the longest
 * common subsequence by the quadratic method. */
#include "app/core/diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* "a [b] c" : words of one side that the other one has not stand in brackets. */
static void draw(const char *s, const struct diff *d, int side, char *out, size_t cap) {
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < d->n[side]; i++) {
        const struct diff_word *w = &d->word[side][i];
        bool alone = w->twin == SIZE_MAX;
        n += (size_t)snprintf(out + n, cap - n, "%s%s%.*s%s", i ? " " : "", alone ? "[" : "",
                              (int)(w->to - w->from), s + w->from, alone ? "]" : "");
    }
}

static const struct {
    const char *name, *a, *b, *want_a, *want_b;
} cases[] = {
    {"empty", "", "", "", ""},
    {"one is empty", "a b", "", "[a] [b]", ""},
    {"the same", "The lamp was out.", "The lamp was out.", "The lamp was out .",
     "The lamp was out ."},
    {"white space is not compared", "a b\n\nc", "a  b c\n", "a b c", "a b c"},
    {"a word in the middle", "the north lamp failed", "the south lamp failed",
     "the [north] lamp failed", "the [south] lamp failed"},
    {"a comma more leaves the word", "first, then", "first then", "first [,] then", "first then"},
    {"moved words are deleted and inserted", "one two three", "two three one", "[one] two three",
     "two three [one]"},
    {"accents are letters", "caf\xC3\xA9 noir", "caf\xC3\xA9 blanc", "caf\xC3\xA9 [noir]",
     "caf\xC3\xA9 [blanc]"},
    {"CJK by character", "\xE5\x8C\x97\xE6\xB5\xB7", "\xE5\x8D\x97\xE6\xB5\xB7",
     "[\xE5\x8C\x97] \xE6\xB5\xB7", "[\xE5\x8D\x97] \xE6\xB5\xB7"},
    {"nothing in common", "a b", "c d e", "[a] [b]", "[c] [d] [e]"},
};

static void test_diff__cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct diff d;
        char a[256], b[256];
        assert_int_equal(
            diff_words(cases[i].a, strlen(cases[i].a), cases[i].b, strlen(cases[i].b), &d, NULL),
            0);
        draw(cases[i].a, &d, 0, a, sizeof a);
        draw(cases[i].b, &d, 1, b, sizeof b);
        if (strcmp(a, cases[i].want_a) || strcmp(b, cases[i].want_b))
            fail_msg("%s: %s | %s", cases[i].name, a, b);
        diff_deinit(&d);
    }
}

static void test_diff__as_one_text(void **state) {
    static const struct {
        const char *a, *b, *want;
    } texts[] = {
        {"", "", ""},
        {"a b c", "a x c", "a [-b-]{+x+} c"},
        {"a b", "a b c d", "a b {+c d+}"},
        {"a b c", "c", "[-a b-] c"},
        {"one two", "", "[-one two-]"},
        {"", "one\ntwo", "{+one\ntwo+}"},
        {"a\n\nb", "a b.", "a b{+.+}"},
        {"a b c", "a c", "a [-b-] c"},
        {"a b.", "a.", "a [-b-]."},
        {"it was't", "it's", "it [-was-]'[-t-]{+s+}"},
        {"a b c", "a c b", "a [-b-] c {+b+}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct diff d;
        struct buf out = {0};
        const char *a = texts[i].a, *b = texts[i].b;
        assert_int_equal(diff_words(a, strlen(a), b, strlen(b), &d, NULL), 0);
        assert_int_equal(diff_put(&d, a, b, &out, NULL), 0);
        assert_string_equal(buf_str(&out), texts[i].want);
        buf_deinit(&out);
        diff_deinit(&d);
    }
}

/* ---- properties ---------------------------------------------------------------------------------
 */

static uint32_t seed_now;
static uint32_t draw_number(uint32_t below) { /* xorshift32 */
    seed_now ^= seed_now << 13;
    seed_now ^= seed_now >> 17;
    seed_now ^= seed_now << 5;
    return seed_now % below;
}

static size_t random_text(char *out, size_t n_words, uint32_t n_letters) {
    size_t n = 0;
    for (size_t i = 0; i < n_words; i++) {
        out[n++] = (char)('a' + draw_number(n_letters));
        out[n++] = draw_number(9) ? ' ' : '\n';
    }
    out[n] = 0;
    return n;
}

static size_t common(const char *a, size_t n, const char *b, size_t m) { /* letters of each pair */
    static size_t row[2][512];
    memset(row, 0, sizeof row);
    for (size_t i = 1; i <= n; i++)
        for (size_t k = 1; k <= m; k++) {
            size_t *now = row[i % 2], *up = row[(i + 1) % 2];
            now[k] = a[2 * i - 2] == b[2 * k - 2] ? up[k - 1] + 1
                     : up[k] > now[k - 1]         ? up[k]
                                                  : now[k - 1];
        }
    return row[n % 2][m];
}

static size_t check_twins(const struct diff *d, const char *a, const char *b) {
    size_t pairs = 0, next = 0;
    for (size_t i = 0; i < d->n[0]; i++) {
        const struct diff_word *w = &d->word[0][i];
        if (w->twin == SIZE_MAX) continue;
        assert_true(w->twin >= next && w->twin < d->n[1]);
        next = w->twin + 1;
        const struct diff_word *v = &d->word[1][w->twin];
        assert_int_equal(v->twin, i);
        assert_int_equal(w->to - w->from, v->to - v->from);
        assert_memory_equal(a + w->from, b + v->from, w->to - w->from);
        pairs++;
    }
    for (size_t k = 0; k < d->n[1]; k++)
        if (d->word[1][k].twin != SIZE_MAX) pairs--;
    assert_int_equal(pairs, 0);
    for (size_t i = 0; i < d->n[0]; i++)
        pairs += d->word[0][i].twin != SIZE_MAX;
    return pairs;
}

/* Twins are the same words in the same order, as many as there can be, whoever comes first. */
static void test_diff__is_shortest(void **state) {
    (void)state;
    static char a[1024], b[1024];
    seed_now = 20251125;
    for (int round = 0; round < 400; round++) {
        size_t n = draw_number(round < 200 ? 12 : 200), m = draw_number(round < 200 ? 12 : 200);
        uint32_t letters = 2 + draw_number(12);
        size_t n_a = random_text(a, n, letters), n_b = random_text(b, m, letters);
        struct diff d, e;
        assert_int_equal(diff_words(a, n_a, b, n_b, &d, NULL), 0);
        assert_int_equal(diff_words(b, n_b, a, n_a, &e, NULL), 0);
        /* each letter stands alone between spaces, so words and letters are one thing */
        assert_int_equal(d.n[0], n);
        assert_int_equal(d.n[1], m);
        assert_false(d.is_cut);
        size_t want = common(a, n, b, m);
        assert_int_equal(check_twins(&d, a, b), want);
        assert_int_equal(check_twins(&e, b, a), want);
        diff_deinit(&d);
        diff_deinit(&e);
    }
}

/* Beyond the bound only the common beginning and end are paired, and that is said. */
static void test_diff__is_bounded(void **state) {
    (void)state;
    enum { WORDS = 3 * DIFF_MOST };
    static char a[8 * WORDS], b[8 * WORDS];
    size_t n = (size_t)snprintf(a, sizeof a, "begin "), m = (size_t)snprintf(b, sizeof b, "begin ");
    for (int i = 0; i < WORDS; i++) {
        n += (size_t)snprintf(a + n, sizeof a - n, "a%d ", i);
        m += (size_t)snprintf(b + m, sizeof b - m, "b%d ", i);
    }
    n += (size_t)snprintf(a + n, sizeof a - n, "end");
    m += (size_t)snprintf(b + m, sizeof b - m, "end");
    struct diff d;
    assert_int_equal(diff_words(a, n, b, m, &d, NULL), 0);
    assert_true(d.is_cut);
    assert_int_equal(check_twins(&d, a, b), 2);
    diff_deinit(&d);
}

static void test_diff__no_memory(void **state) {
    (void)state;
    for (uint64_t nth = 1; nth < 8; nth++) {
        struct diff d;
        ox_mem_fail_at(nth);
        int rc = diff_words("a b c", 5, "a x c", 5, &d, NULL);
        ox_mem_fail_at(0);
        assert_true(rc == 0 || rc == OX_ENOMEM);
        diff_deinit(&d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diff__cases),       cmocka_unit_test(test_diff__as_one_text),
        cmocka_unit_test(test_diff__is_shortest), cmocka_unit_test(test_diff__is_bounded),
        cmocka_unit_test(test_diff__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
