/* pretok.c: where text is cut, what PCRE2 is not asked, what is refused. */
#include "engine/pretok.h"
#include "tests/support/tok_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct pieces { /* joined by U+0001, which no case contains */
    char text[4096];
    size_t n, n_pieces;
};

static int keep_piece(void *user, const char *piece, size_t n, ox_err *err) {
    struct pieces *p = user;
    (void)err;
    if (p->n + n + 1 > sizeof p->text) return OX_EFAIL;
    if (p->n_pieces++) p->text[p->n++] = 1;
    memcpy(p->text + p->n, piece, n);
    p->n += n;
    return 0;
}

static int cut(const struct pretok *p, const char *text, size_t n, struct pieces *out,
               ox_err *err) {
    struct pretok_run *r = NULL;
    *out = (struct pieces){0};
    int rc = pretok_run_new(&r, err);
    if (!rc) rc = pretok_cut(p, r, text, n, keep_piece, out, err);
    pretok_run_free(r);
    return rc;
}

static void add(struct pretok *p, const char *pattern) {
    ox_err err = {0};
    if (pretok_add(p, pattern, strlen(pattern), true, &err)) fail_msg("%s", err.what);
}

static struct pretok cl100k(void) {
    struct pretok p = {0};
    add(&p, pretok_cl100k);
    return p;
}

static struct pretok smol(void) {
    struct pretok p = {0};
    add(&p, pretok_digits);
    add(&p, pretok_gpt2);
    return p;
}

/* Rows of docs/MODEL.md section 11, and what their traps are about. */
static const struct {
    const char *name;
    struct pretok (*make)(void);
    const char *text, *pieces;
} cases[] = {
    {"nothing", cl100k, "", ""},
    {"mixed", cl100k, "a\n\nhello 12345  x\tY don't I'LL",
     "a\1\n\n\1hello\1 \001"
     "123\1"
     "45\1 \1 x\1\tY\1 don\1't\1 I\1'LL"},
    {"spaces and newlines", cl100k, "  \n  foo", "  \n\1 \1 foo"},
    {"think", cl100k, "<think>\nOkay", "<think\1>\n\1Okay"},
    {"a combining mark is no letter", cl100k, "e\xcc\x81 x", "e\1\xcc\x81\1 x"},
    {"U+180E is no space", cl100k, " \xe1\xa0\x8e!", " \xe1\xa0\x8e!"},
    {"U+3000 is a space", cl100k,
     "a\xe3\x80\x80\xe3\x80\x80"
     "b",
     "a\1\xe3\x80\x80\1\xe3\x80\x80"
     "b"},
    {"long s in a contraction", cl100k, "it'\xc5\xbf", "it\1'\xc5\xbf"},
    {"digits", smol, "In 2024 x12, don't\n\n  go",
     "In\1 \001"
     "2\1"
     "0\1"
     "2\1"
     "4\1 x\1"
     "1\1"
     "2\1,\1 don\1't\1\n\n \1 go"},
    {"a superscript is a number", smol, " \xc2\xb2", " \1\xc2\xb2"},
    {"a stage sees no further than its piece", smol, "a  1",
     "a\1  \001"
     "1"},
    {"case matters to GPT-2", smol, "I'LL", "I\1'\1LL"},
};

static void test_pretok__cuts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pretok p = cases[i].make();
        struct pieces got;
        ox_err err = {0};
        if (cut(&p, cases[i].text, strlen(cases[i].text), &got, &err))
            fail_msg("%s: %s", cases[i].name, err.what);
        if (got.n != strlen(cases[i].pieces) || memcmp(got.text, cases[i].pieces, got.n) != 0)
            fail_msg("%s: %.*s", cases[i].name, (int)got.n, got.text);
        pretok_deinit(&p);
    }
}

static void test_pretok__gaps_are_kept_or_dropped(void **state) {
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        struct pretok p = {0};
        struct pieces got;
        assert_int_equal(pretok_add(&p, "[a-z]+", 6, keep, NULL), 0);
        assert_int_equal(cut(&p, "1ab2", 4, &got, NULL), 0);
        assert_int_equal(got.n_pieces, keep ? 3 : 1);
        assert_memory_equal(got.text,
                            keep ? "1\1ab\1"
                                   "2"
                                 : "ab",
                            keep ? 6 : 2);
        pretok_deinit(&p);
    }
}

/* No stage: the text is one piece. Every stage: the pieces are the text again. */
static void test_pretok__pieces_join_to_the_text(void **state) {
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 300; round++) {
        size_t n;
        char *text = tok_fixture_text(&seed, 200, &n);
        for (size_t i = 0; i < n; i++)
            if (text[i] == 1) text[i] = 2;
        for (int which = 0; which < 3; which++) {
            struct pretok p = which == 0 ? (struct pretok){0} : which == 1 ? cl100k() : smol();
            struct pieces got;
            assert_int_equal(cut(&p, text, n, &got, NULL), 0);
            size_t to = 0;
            for (size_t i = 0; i < got.n; i++)
                if (got.text[i] != 1) got.text[to++] = got.text[i];
            assert_int_equal(to, n);
            assert_memory_equal(got.text, text, n);
            if (which == 0) assert_int_equal(got.n_pieces, n > 0);
            pretok_deinit(&p);
        }
        ox_free(text);
    }
}

/* PCRE2 has two engines; where there is no JIT, or its stack is too small, the other one runs. */
static void test_pretok__interpreter_agrees_with_jit(void **state) {
    (void)state;
    char slow_pattern[512];
    uint64_t seed = 11;
    snprintf(slow_pattern, sizeof slow_pattern, "(*NO_JIT)%s", pretok_cl100k);
    struct pretok fast = cl100k(), slow = {0};
    add(&slow, slow_pattern);
    for (int round = 0; round < 300; round++) {
        size_t n;
        char *text = tok_fixture_text(&seed, 150, &n);
        struct pieces a, b;
        assert_int_equal(cut(&fast, text, n, &a, NULL), 0);
        assert_int_equal(cut(&slow, text, n, &b, NULL), 0);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.text, b.text, a.n);
        ox_free(text);
    }
    pretok_deinit(&fast);
    pretok_deinit(&slow);
}

static int count_piece(void *user, const char *piece, size_t n, ox_err *err) {
    (void)piece, (void)err;
    *(size_t *)user += n;
    return 0;
}

static void test_pretok__outgrows_the_jit_stack(void **state) {
    (void)state;
    enum { N = 200000 }; /* a place to go back to for each byte: more than 1 MB */
    char *text = ox_alloc(N, 1, "text", NULL);
    memset(text, 'a', N);
    struct pretok p = {0};
    struct pretok_run *r = NULL;
    size_t n = 0;
    add(&p, "(?:a|b)+");
    assert_int_equal(pretok_run_new(&r, NULL), 0);
    assert_int_equal(pretok_cut(&p, r, text, N, count_piece, &n, NULL), 0);
    assert_int_equal(n, N);
    pretok_run_free(r);
    pretok_deinit(&p);
    ox_free(text);
}

static const struct {
    const char *name, *pattern, *what;
} refused[] = {
    {"does not compile", "(a", "does not compile"},
    {"unknown property", "\\p{Nonsense}", "does not compile"},
    {"matches nothing", "a*", "empty string"},
    {"\\S in a class", "[a\\S]+", "\\S inside a class"},
    {"backslash at the end", "a\\", "does not compile"},
};

static void test_pretok__refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct pretok p = {0};
        ox_err err = {0};
        int rc = pretok_add(&p, refused[i].pattern, strlen(refused[i].pattern), true, &err);
        if (rc != OX_EMODEL || !strstr(err.what, refused[i].what))
            fail_msg("%s: %d %s", refused[i].name, rc, err.what);
        assert_int_equal(p.n_stages, 0);
    }
}

static void test_pretok__limits_end_a_match(void **state) {
    (void)state;
    struct pretok p = {0};
    struct pieces got;
    ox_err err = {0};
    char text[64];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '!';
    add(&p, "(?:a+)+[bc]");
    assert_int_equal(cut(&p, text, sizeof text, &got, &err), OX_EMODEL);
    assert_non_null(strstr(err.what, "limit"));
    pretok_deinit(&p);
    p = (struct pretok){0};
    add(&p, "x|(?=a)"); /* matches the empty string, but not the empty text */
    assert_int_equal(cut(&p, "xa", 2, &got, &err), OX_EMODEL);
    assert_non_null(strstr(err.what, "empty"));
    pretok_deinit(&p);
}

static void test_pretok__no_memory(void **state) {
    (void)state;
    for (uint64_t i = 1;; i++) {
        struct pretok p = {0};
        struct pretok_run *r = NULL;
        ox_mem_fail_at(i);
        int rc = pretok_add(&p, pretok_cl100k, strlen(pretok_cl100k), true, NULL);
        if (!rc) rc = pretok_run_new(&r, NULL);
        bool was_reached = ox_mem_fail_at(0) >= i;
        pretok_run_free(r);
        pretok_deinit(&p);
        if (!was_reached) {
            assert_int_equal(rc, 0);
            assert_true(i > 5);
            return;
        }
        if (rc && rc != OX_ENOMEM) fail_msg("allocation %d: %d", (int)i, rc);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pretok__cuts),
        cmocka_unit_test(test_pretok__gaps_are_kept_or_dropped),
        cmocka_unit_test(test_pretok__pieces_join_to_the_text),
        cmocka_unit_test(test_pretok__interpreter_agrees_with_jit),
        cmocka_unit_test(test_pretok__outgrows_the_jit_stack),
        cmocka_unit_test(test_pretok__refuses),
        cmocka_unit_test(test_pretok__limits_end_a_match),
        cmocka_unit_test(test_pretok__no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
