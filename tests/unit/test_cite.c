/* test_cite.c - quotations found, folded, nearly found and not found; then 2,000 generated ones.
 *
 * The generated cases take sentences out of a book, change them in each way that a verdict allows
 * or forbids, and count how often the verdict is right: the table is printed, and no false `exact`
 * and no wrong place is accepted. */
#include "app/core/cite.h"
#include "app/core/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LAMP_JA                                                                                    \
    "\xE3\x81\x9D\xE3\x81\xAE\xE7\x81\xAF\xE5\x8F\xB0\xE3\x81\xAF\xE6\x9A\x97\xE3\x81\x8B\xE3\x81" \
    "\xA3\xE3\x81\x9F"

static const struct {
    const char *name, *text, *quote;
    enum cite_verdict verdict;
    const char *found; /* the document's own words */
} cases[] = {
    {"equal bytes", "so the lamp was out at nine.", "the lamp was out", CITE_EXACT,
     "the lamp was out"},
    {"line break and spaces", "the lamp\n   was   out\tat nine", "lamp was out at", CITE_EXACT,
     "lamp\n   was   out\tat"},
    {"case", "The Lamp Was Out at nine", "the lamp was out", CITE_FOLDED, "The Lamp Was Out"},
    {"curly marks", "he said \xE2\x80\x9Cthe lamp isn\xE2\x80\x99t lit\xE2\x80\x9D",
     "the lamp isn't lit", CITE_FOLDED, "the lamp isn\xE2\x80\x99t lit"},
    {"long dash", "the lamp\xE2\x80\x94old and dim\xE2\x80\x94went out",
     "lamp -- old and dim -- went out", CITE_FOLDED,
     "lamp\xE2\x80\x94old and dim\xE2\x80\x94went out"},
    {"ligature", "the \xEF\xAC\x81rst \xEF\xAC\x82oor was lit", "the first floor was", CITE_FOLDED,
     "the \xEF\xAC\x81rst \xEF\xAC\x82oor was"},
    {"hyphen at a line end, word joined", "the light-\n  house was dark", "the lighthouse was dark",
     CITE_FOLDED, "the light-\n  house was dark"},
    {"hyphen at a line end, kept", "a well-\nknown old lamp", "a well-known old lamp", CITE_FOLDED,
     "a well-\nknown old lamp"},
    {"emphasis of plain-text books", "the _old_ lamp was dim", "the old lamp was dim", CITE_FOLDED,
     "the _old_ lamp was dim"},
    {"decomposed accents", "le caf\xC3\xA9 noir est bon", "le cafe\xCC\x81 noir est bon",
     CITE_FOLDED, "le caf\xC3\xA9 noir est bon"},
    {"marks within a quotation", "he said \"the lamp is out\" and left",
     "he said 'the lamp is out' and left", CITE_FOLDED, "he said \"the lamp is out\" and left"},
    {"one letter differs", "the harbour light was out", "the harbor light was out", CITE_NEAR,
     "the harbour light was out"},
    {"a word changed too much", "the harbour light was out", "the garden light was off",
     CITE_MISSING, ""},
    {"a word more than there", "the lamp was out", "the lamp was not out", CITE_MISSING, ""},
    {"starts inside a word", "breathe lamps was outside", "the lamps was outside", CITE_MISSING,
     ""},
    {"ends inside a word", "the lamp was outside", "the lamp was out", CITE_MISSING, ""},
    {"CJK", LAMP_JA "\xE3\x80\x82", LAMP_JA, CITE_EXACT, LAMP_JA},
    {"empty document", "", "the lamp was out", CITE_MISSING, ""},
    {"longer than the document", "short", "a much longer quotation than that", CITE_MISSING, ""},
};

static void test_cite__verdicts(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cite_index *x = NULL;
        struct cite_match m = {0};
        assert_int_equal(cite_index_new(cases[i].text, strlen(cases[i].text), &x, NULL), 0);
        assert_int_equal(cite_match(x, cases[i].quote, strlen(cases[i].quote), 0, &m, NULL), 0);
        if (m.verdict != cases[i].verdict)
            fail_msg("%s: %s", cases[i].name, cite_verdict_name(m.verdict));
        size_t n = strlen(cases[i].found);
        if (m.to - m.from != n || memcmp(cases[i].text + m.from, cases[i].found, n) != 0)
            fail_msg("%s: found \"%.*s\"", cases[i].name, (int)(m.to - m.from),
                     cases[i].text + m.from);
        cite_index_free(x);
    }
}

static const struct {
    const char *name, *answer, *quote; /* quote "": none is taken */
} quotes[] = {
    {"straight", "It says \"the lamp was out\" there.", "the lamp was out"},
    {"curly", "It says \xE2\x80\x9Cthe lamp was out\xE2\x80\x9D.", "the lamp was out"},
    {"German",
     "Er sagt \xE2\x80\x9E"
     "die Lampe war aus\xE2\x80\x9C.",
     "die Lampe war aus"},
    {"French", "Il dit \xC2\xABla lampe est morte\xC2\xBB.", "la lampe est morte"},
    {"French, with the space within the marks",
     "Il dit \xC2\xAB\xC2\xA0la lampe est morte\xC2\xA0\xC2\xBB.",
     "\xC2\xA0la lampe est morte\xC2\xA0"},
    {"French, none between two",
     "\xC2\xAB non \xC2\xBB dit le gardien au juge \xC2\xAB oui \xC2\xBB", ""},
    {"apostrophes are no marks", "It doesn't say 'the lamp isn't lit now' at all",
     "the lamp isn't lit now"},
    {"inches open nothing", "a 5\" pipe and \"the lamp was out\" too", "the lamp was out"},
    {"too short", "the word \"lamp was out\" stands there", ""},
    {"not closed yet", "It says \"the lamp was out", ""},
    {"not over a blank line", "It says \"the lamp was\n\nout at nine\" there", ""},
    {"fenced code", "```\nprint(\"the lamp was out\")\n```\n", ""},
    {"inline code", "run `echo \"the lamp was out\"` now", ""},
    {"brackets", "\xE3\x80\x8C" LAMP_JA "\xE3\x80\x8D", LAMP_JA},
};

static void test_cite__quotes(void **state) {
    for (size_t i = 0; i < sizeof quotes / sizeof quotes[0]; i++) {
        size_t a = 0, b = 0, n = strlen(quotes[i].quote);
        bool got = cite_next_quote(quotes[i].answer, strlen(quotes[i].answer), 0, &a, &b);
        if (got != (n > 0)) fail_msg("%s: %s", quotes[i].name, got ? "a quotation" : "none");
        if (n && (b - a != n || memcmp(quotes[i].answer + a, quotes[i].quote, n) != 0))
            fail_msg("%s: \"%.*s\"", quotes[i].name, (int)(b - a), quotes[i].answer + a);
    }
}

/* Streaming: each quotation is reported once, when its closing mark arrives. */
static void test_cite__stream(void **state) {
    const char *doc = "The lamp was out at nine. Nobody saw the ship. The lamp was lit again.";
    const char *answer = "First \"the lamp was out at nine\", then \"nobody saw the ship\" and"
                         " \"the sea was very calm\". [1: 1]";
    cite_index *x = NULL;
    struct cite_list whole = {0}, parts = {0};
    assert_int_equal(cite_index_new(doc, strlen(doc), &x, NULL), 0);
    const cite_index *docs[] = {x};
    assert_int_equal(cite_find(answer, strlen(answer), 0, docs, 1, &whole, NULL), 0);
    for (size_t n = 1, seen = 0; n <= strlen(answer); n++) {
        assert_int_equal(cite_find(answer, n, seen, docs, 1, &parts, NULL), 0);
        if (parts.n) seen = parts.v[parts.n - 1].quote_to + 1;
    }
    assert_int_equal(whole.n, 3);
    assert_int_equal(parts.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(whole.v[i].quote_from, parts.v[i].quote_from);
        assert_int_equal(whole.v[i].from, parts.v[i].from);
        assert_int_equal(whole.v[i].verdict, parts.v[i].verdict);
    }
    assert_int_equal(whole.v[0].verdict, CITE_FOLDED);
    assert_int_equal(whole.v[2].verdict, CITE_MISSING);
    ox_free(whole.v);
    ox_free(parts.v);
    cite_index_free(x);
}

static void test_cite__nearest_place_and_documents(void **state) {
    const char *one = "the lamp was out. xx yy zz. the lamp was out. aa bb.";
    const char *two = "nothing here but the last lamp of all.";
    const char *answer =
        "\"aa bb\" no; \"zz. the lamp was out\" and \"the lamp was out\" or \"the last lamp of\"";
    cite_index *x[2] = {0};
    struct cite_list l = {0};
    assert_int_equal(cite_index_new(one, strlen(one), &x[0], NULL), 0);
    assert_int_equal(cite_index_new(two, strlen(two), &x[1], NULL), 0);
    assert_int_equal(
        cite_find(answer, strlen(answer), 0, (const cite_index *const *)x, 2, &l, NULL), 0);
    assert_int_equal(l.n, 3);
    assert_int_equal(l.v[1].from, 28); /* near the citation before it, not the first in the text */
    assert_int_equal(l.v[1].n_places, 2);
    assert_int_equal(l.v[2].doc, 1);
    ox_free(l.v);
    cite_index_free(x[0]);
    cite_index_free(x[1]);
}

/* Three pages with a running head and a number at the foot; where they begin is filled in. */
static const char *const book_pages[] = {
    "The Harbour Report     Chapter 1\n\nIn the spring the keeper saw that the iron founda-\n\n"
    "            Page 1 of 3\n",
    "The Harbour Report     Chapter 1\n\ntion of the wall was broken. We asked the clerk to\n\n"
    "            Page 2 of 3\n",
    "The Harbour Report     Chapter 2\n\ncome back in the evening. He did not come back.\n\n"
    "            Page 3 of 3\n",
};

static const struct {
    const char *name, *quote;
    enum cite_verdict verdict;
    const char *first, *last; /* words at both ends of the place */
} across[] = {
    {"hyphen at the page end", "that the iron foundation of the wall", CITE_FOLDED, "that the",
     "wall"},
    {"words at the page end", "asked the clerk to come back in the evening", CITE_FOLDED, "asked",
     "evening"},
    {"one letter differs", "asked the clerk to come bakc in the evening", CITE_NEAR, "asked",
     "evening"},
    {"on one page", "In the spring the keeper", CITE_EXACT, "In the", "keeper"},
    {"a line of the text left out", "We asked the clerk to He did not come back", CITE_MISSING, "",
     ""},
    {"pages in another order", "come back in the evening. In the spring", CITE_MISSING, "", ""},
};

static void test_cite__across_pages(void **state) {
    struct buf b = {0};
    size_t pages[3];
    for (size_t i = 0; i < 3; i++) {
        pages[i] = 7 + b.n; /* the text is a part of a document, from byte 7 */
        assert_int_equal(buf_puts(&b, book_pages[i], NULL), 0);
    }
    cite_index *x = NULL;
    assert_int_equal(cite_index_new(buf_str(&b), b.n, &x, NULL), 0);
    assert_int_equal(cite_index_pages(x, pages, 3, 7, NULL), 0);
    for (size_t i = 0; i < sizeof across / sizeof across[0]; i++) {
        struct cite_match m = {0};
        const char *q = across[i].quote;
        assert_int_equal(cite_match(x, q, strlen(q), 0, &m, NULL), 0);
        if (m.verdict != across[i].verdict)
            fail_msg("%s: %s", across[i].name, cite_verdict_name(m.verdict));
        size_t a = strlen(across[i].first), z = strlen(across[i].last);
        if (memcmp(b.p + m.from, across[i].first, a) != 0 ||
            (z && memcmp(b.p + m.to - z, across[i].last, z) != 0))
            fail_msg("%s: bytes %zu-%zu", across[i].name, m.from, m.to);
    }
    cite_index_free(x);
    buf_deinit(&b);
}

/* A line between two pages that no other page has belongs to the text. */
static void test_cite__only_running_lines_are_passed_over(void **state) {
    static const char text[] = "We asked the clerk to\nnever ever\ncome back in the evening.\n";
    static const size_t pages[] = {0, 33};
    static const char quote[] = "asked the clerk to come back in the evening";
    cite_index *x = NULL;
    struct cite_match m = {0};
    assert_int_equal(cite_index_new(text, strlen(text), &x, NULL), 0);
    assert_int_equal(cite_index_pages(x, pages, 2, 0, NULL), 0);
    assert_int_equal(cite_match(x, quote, strlen(quote), 0, &m, NULL), 0);
    assert_int_equal(m.verdict, CITE_MISSING);
    cite_index_free(x);
}

static void test_cite__claims(void **state) {
    static const struct {
        const char *text;
        size_t from, to; /* 0: no claim */
    } claims[] = {
        {" [1: 412-413] and", 412, 413},
        {" (line 412)", 412, 412},
        {" lines 3-5", 3, 5},
        {" (lines 3 to 5)", 3, 5},
        {" [3]", 0, 0},
        {" (see below)", 0, 0},
        {" [1: ]", 0, 0},
        {"", 0, 0},
        {" [1: 5", 0, 0},
    };
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        size_t a = 0, b = 0, end = 0;
        bool got = cite_claim(claims[i].text, strlen(claims[i].text), 0, &a, &b, &end);
        if (got != (claims[i].from > 0) || (got && (a != claims[i].from || b != claims[i].to)))
            fail_msg("%s: %zu-%zu", claims[i].text, a, b);
    }
}

static void test_cite__no_memory(void **state) {
    const char *doc = "the harbour light was out", *answer = "\"the harbor light was out\"";
    for (uint64_t n = 1;; n++) {
        cite_index *x = NULL;
        struct cite_list l = {0};
        ox_err err = {0};
        ox_mem_fail_at(n);
        int rc = cite_index_new(doc, strlen(doc), &x, &err);
        const cite_index *docs[] = {x};
        if (!rc) rc = cite_find(answer, strlen(answer), 0, docs, 1, &l, &err);
        ox_mem_fail_at(0);
        if (rc) {
            assert_int_equal(rc, OX_ENOMEM);
            assert_int_equal(l.n, 0);
        }
        ox_free(l.v);
        cite_index_free(x);
        if (!rc) break;
    }
}

/* ---- generated ------------------------------------------------------------------------------- */

static uint64_t seed = 20261125;
static size_t draw(size_t n) { /* xorshift64 */
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed % n);
}

enum change { SAME, REFLOW, CASES, HYPHEN, TYPOS, TOO_MANY_TYPOS, MOVED, FOREIGN, N_CHANGES };
static const struct {
    const char *name;
    enum cite_verdict want;
} changes[N_CHANGES] = {
    {"unchanged", CITE_EXACT},
    {"line breaks and spaces", CITE_EXACT},
    {"case of some letters", CITE_FOLDED},
    {"hyphenated line end", CITE_FOLDED},
    {"1 character in 12", CITE_NEAR},
    {"1 character in 6", CITE_MISSING},
    {"halves exchanged", CITE_MISSING},
    {"words of another place", CITE_MISSING},
};

static bool is_small(char c) {
    return c >= 'a' && c <= 'z';
}

/* Writes the changed quotation; false if this one cannot be changed so. */
static bool change_quote(enum change how, const char *s, size_t n, char *out, size_t *n_out) {
    size_t m = 0, period = how == TYPOS ? 12 : 6, cut = n / 2;
    bool did = how == SAME;
    while (how == MOVED && cut < n && s[cut] != ' ')
        cut++;
    if (how == MOVED) {
        if (cut + 1 >= n) return false;
        memcpy(out, s + cut + 1, n - cut - 1);
        out[n - cut - 1] = ' ';
        memcpy(out + n - cut, s, cut);
        *n_out = n;
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool hyphen = how == HYPHEN && !did && i > n / 3 && i + 3 < n && is_small(s[i - 1]) &&
                      is_small(s[i - 2]) && is_small(c) && is_small(s[i + 1]);
        if (how == REFLOW && c == ' ' && draw(3) == 0) {
            out[m++] = '\n';
            did = true;
        } else if (how == CASES && is_small(c) && draw(8) == 0) {
            c = (char)(c - 32);
            did = true;
        } else if (hyphen) {
            out[m++] = '-';
            out[m++] = '\n';
            did = true;
        } else if ((how == TYPOS || how == TOO_MANY_TYPOS) && i % period == period / 2) {
            c = c == 'q' ? 'z' : 'q'; /* a letter that is rare in the book */
            did = true;
        }
        out[m++] = c;
    }
    *n_out = m;
    return did;
}

/* A piece of the book from one word border to another, without marks that fold. */
static bool pick(const char *book, size_t lo, size_t hi, size_t *from, size_t *len) {
    size_t a = lo + 1 + draw(hi - lo - 400), n = 60 + draw(140);
    while (book[a - 1] != ' ' || book[a] == ' ')
        a++;
    while (book[a + n] != ' ' && book[a + n] != '\n')
        n++;
    while (book[a + n - 1] == ' ')
        n--;
    *from = a;
    *len = n;
    return !memchr(book + a, '\n', n) && !memchr(book + a, '_', n) && !memchr(book + a, '-', n) &&
           !strstr((char[2]){book[a + n - 1], 0}, ",");
}

static void test_cite__generated(void **state) {
    char path[512];
    snprintf(path, sizeof path, "%s/data/candle.txt", OXBOW_TEST_DIR);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    static char book[400000];
    size_t n = fread(book, 1, sizeof book - 1, f);
    fclose(f);
    size_t half = n / 2;
    while (book[half] != '\n')
        half++;
    cite_index *x = NULL; /* only the first half: the second gives words of another place */
    assert_int_equal(cite_index_new(book, half, &x, NULL), 0);

    size_t got[N_CHANGES][5] = {{0}}, wrong_place = 0, false_exact = 0, right = 0, n_cases = 0;
    while (n_cases < 2000) {
        enum change how = (enum change)(n_cases % N_CHANGES);
        size_t from, len, n_quote;
        char quote[1000];
        if (!pick(book, how == FOREIGN ? half : 0, how == FOREIGN ? n : half, &from, &len))
            continue;
        if (!change_quote(how == FOREIGN ? SAME : how, book + from, len, quote, &n_quote)) continue;
        struct cite_match m;
        assert_int_equal(cite_match(x, quote, n_quote, from, &m, NULL), 0);
        n_cases++;
        got[how][m.verdict]++;
        false_exact += m.verdict == CITE_EXACT && changes[how].want != CITE_EXACT;
        bool placed = m.verdict == CITE_EXACT || m.verdict == CITE_FOLDED;
        wrong_place += placed && how != FOREIGN && (m.from != from || m.to != from + len);
    }
    printf("%-24s %7s %7s %7s %7s   expected\n", "change", "exact", "folded", "near", "missing");
    for (int k = 0; k < N_CHANGES; k++) {
        printf("%-24s %7zu %7zu %7zu %7zu   %s\n", changes[k].name, got[k][CITE_EXACT],
               got[k][CITE_FOLDED], got[k][CITE_NEAR], got[k][CITE_MISSING],
               cite_verdict_name(changes[k].want));
        right += got[k][changes[k].want];
    }
    printf("%zu of %zu as expected; %zu false exact, %zu wrong places\n", right, n_cases,
           false_exact, wrong_place);
    assert_int_equal(false_exact, 0);
    assert_int_equal(wrong_place, 0);
    assert_true(right >= 1990); /* a phrase may by chance stand in both halves of the book */
    cite_index_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cite__verdicts),
        cmocka_unit_test(test_cite__quotes),
        cmocka_unit_test(test_cite__stream),
        cmocka_unit_test(test_cite__nearest_place_and_documents),
        cmocka_unit_test(test_cite__across_pages),
        cmocka_unit_test(test_cite__only_running_lines_are_passed_over),
        cmocka_unit_test(test_cite__claims),
        cmocka_unit_test(test_cite__no_memory),
        cmocka_unit_test(test_cite__generated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
