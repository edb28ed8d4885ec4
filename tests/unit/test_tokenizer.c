/* tokenizer.c: worked examples, data against template text, round trips, threads, failures. */
#include "tests/support/tok_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LONG_BYTES = 500 * 1000 };
#else
enum { LONG_BYTES = 5 * 1000 * 1000 };
#endif

static tokenizer *dolma2, *smol, *small;

static int open_all(void **state) {
    (void)state;
    dolma2 = tok_fixture_open("tokenizer-dolma2");
    smol = tok_fixture_open("tokenizer-smol");
    int rc = tokenizer_open((const unsigned char *)tok_fixture_json, strlen(tok_fixture_json),
                            &small, NULL);
    return dolma2 && smol && !rc ? 0 : -1;
}

static int close_all(void **state) {
    (void)state;
    tokenizer_close(dolma2);
    tokenizer_close(smol);
    tokenizer_close(small);
    tokenizer_close(NULL);
    return 0;
}

/* docs/MODEL.md sections 6 and 11; the ends of lists are -1. */
static const struct {
    const char *name;
    tokenizer **tok;
    bool with_added;
    const char *text;
    int32_t ids[28];
} cases[] = {
    {"nothing", &dolma2, false, "", {-1}},
    {"chat",
     &dolma2,
     true,
     "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\nThe "
     "capital of France is Paris.<|im_end|>",
     {100264, 882,   198, 3923, 374,  279, 6864, 315, 9822,  30, 100265, 198,
      100264, 78191, 198, 791,  6864, 315, 9822, 374, 12366, 13, 100265, -1}},
    {"think", &dolma2, false, "<think>\nOkay", {14023, 771, 397, 33413, -1}},
    {"U+180E", &dolma2, false, " \xe1\xa0\x8e!", {87189, 254, 236, 0, -1}},
    {"mixed",
     &dolma2,
     false,
     "a\n\nhello 12345  x\tY don't I'LL",
     {64, 271, 15339, 220, 4513, 1774, 220, 865, 66422, 1541, 956, 358, 6, 4178, -1}},
    {"not special, and still matched", &dolma2, true, "|||IP_ADDRESS|||", {100263, -1}},
    {"a superscript", &smol, false, " \xc2\xb2", {216, 19133, -1}},
    {"small: merged", &small, false, "abc ab1", {9, 10, 4, -1}},
    {"small: bc before a", &small, false, "bc", {11, -1}},
    {"small: the longest added token", &small, true, "a<s>!<s>", {0, 13, 12, -1}},
    {"small: added tokens are text in data", &small, false, "a<s>!<s>", {0, 6, 7, 6, 7, -1}},
    {"small: bytes without a token are dropped", &small, false, "a?b", {0, 1, -1}},
    {"small: and their neighbours merge",
     &small,
     false,
     "a\x01\x02"
     "b",
     {0, 1, -1}},
    {"small: ill-formed", &small, false, "\xc3", {-1}},
};

static void test_tokenizer__encodes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ox_tokens got = {0};
        size_t n = strlen(cases[i].text), at = 0;
        int rc = cases[i].with_added
                     ? tokenizer_encode_special(*cases[i].tok, cases[i].text, n, &got, NULL)
                     : tokenizer_encode(*cases[i].tok, cases[i].text, n, &got, NULL);
        assert_int_equal(rc, 0);
        for (; at < got.n && cases[i].ids[at] == got.v[at]; at++)
            ;
        if (at < got.n || cases[i].ids[at] != -1)
            fail_msg("%s: %zu ids, differs at %zu", cases[i].name, got.n, at);
        ox_free(got.v);
    }
}

static void test_tokenizer__data_never_gives_an_added_token(void **state) {
    (void)state;
    tokenizer *all[] = {dolma2, smol, small};
    for (size_t k = 0; k < 3; k++) {
        size_t n_added = 0;
        for (int32_t id = 0; id < (int32_t)tokenizer_size(all[k]); id++) {
            size_t n = 0;
            const char *content = tokenizer_bytes(all[k], id, &n);
            if (!content || !tokenizer_is_added(all[k], id)) continue;
            struct ox_tokens got = {0};
            n_added++;
            assert_int_equal(tokenizer_encode(all[k], content, n, &got, NULL), 0);
            for (size_t i = 0; i < got.n; i++)
                assert_false(tokenizer_is_added(all[k], got.v[i]));
            got.n = 0;
            assert_int_equal(tokenizer_encode_special(all[k], content, n, &got, NULL), 0);
            assert_int_equal(got.n, 1);
            assert_int_equal(got.v[0], id);
            ox_free(got.v);
        }
        assert_int_equal(n_added, k == 0 ? 22 : k == 1 ? 17 : 2);
    }
}

static void test_tokenizer__looks_up(void **state) {
    (void)state;
    size_t n = 0;
    assert_int_equal(tokenizer_size(dolma2), 100278);
    assert_int_equal(tokenizer_size(smol), 49152);
    assert_int_equal(tokenizer_id(dolma2, "<|im_end|>"), 100265);
    assert_int_equal(tokenizer_id(smol, "<|im_end|>"), 2);
    assert_int_equal(tokenizer_id(smol, "<|im_end|"), -1);
    assert_int_equal(tokenizer_id(smol, " the"), -1); /* a piece, not an added token */
    assert_int_equal(tokenizer_id(smol, ""), -1);
    assert_string_equal(tokenizer_note(dolma2), "");
    assert_memory_equal(tokenizer_bytes(dolma2, 279, &n), " the", 4);
    assert_int_equal(n, 4);
    assert_null(tokenizer_bytes(dolma2, -1, &n));
    assert_null(tokenizer_bytes(dolma2, 100278, &n));
    assert_null(tokenizer_bytes(dolma2, INT32_MAX, &n));
    char text[4] = "....";
    assert_int_equal(tokenizer_token_text(dolma2, 6864, text, 3), 8); /* " capital" */
    assert_memory_equal(text, " ca.", 4);
    assert_int_equal(tokenizer_token_text(dolma2, 6864, NULL, 0), 8);
    assert_int_equal(tokenizer_token_text(dolma2, 200000, text, 3), -1);
    struct ox_decoder d = {0};
    ox_err err = {0};
    char *out = NULL;
    size_t n_out = 0, cap = 0;
    assert_int_equal(tokenizer_stream(dolma2, &d, 200000, &out, &n_out, &cap, &err), OX_EUSAGE);
    struct ox_key a = tokenizer_key(dolma2), b = tokenizer_key(smol);
    assert_true(a.hi != b.hi && a.lo != b.lo);
}

/* Made by another program (python-xxhash) from the same file: stores hold this digest. */
static void test_tokenizer__key_is_xxh3_128_of_the_file(void **state) {
    (void)state;
    struct ox_key k = tokenizer_key(smol);
    char hex[33];
    snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)k.hi, (unsigned long long)k.lo);
    assert_string_equal(hex, "69298c2e31d75de5ef616affd5cfcf79");
}

static bool is_without_token(unsigned char c) { /* the 21 bytes of SmolLM2's vocabulary */
    static const unsigned char none[] = {4, 6, 0x13, 0x14, 0x16, 0x1d, 0xc0, 0xc1, 0xf1, 0xf2};
    return c >= 0xf5 || memchr(none, c, sizeof none) != NULL;
}

static void test_tokenizer__round_trips(void **state) {
    (void)state;
    uint64_t seed = 5;
    for (int round = 0; round < 400; round++) {
        size_t n, n_back;
        char *text = tok_fixture_text(&seed, 1 + tok_fixture_random(&seed) % 300, &n);
        for (int k = 0; k < 2; k++) {
            const tokenizer *t = k ? smol : dolma2;
            struct ox_tokens got = {0};
            assert_int_equal(tokenizer_encode(t, text, n, &got, NULL), 0);
            char *back = tok_fixture_decode(t, got.v, got.n, &n_back);
            size_t n_kept = 0;
            for (size_t i = 0; k && i < n; i++) /* second: without the bytes it has no token for */
                if (!is_without_token((unsigned char)text[i])) text[n_kept++] = text[i];
            assert_int_equal(n_back, k ? n_kept : n);
            if (n_back) assert_memory_equal(back, text, n_back);
            ox_free(back);
            ox_free(got.v);
        }
        ox_free(text);
    }
}

/* The text up to the end of a token, encoded as the reference decodes it, is the bytes so far. */
static void test_tokenizer__ends(void **state) {
    (void)state;
    uint64_t seed = 13;
    for (int round = 0; round < 200; round++) {
        size_t n;
        char *text = tok_fixture_text(&seed, 1 + tok_fixture_random(&seed) % 100, &n);
        const tokenizer *t = round % 2 ? smol : dolma2;
        struct ox_tokens got = {0};
        assert_int_equal(tokenizer_encode(t, text, n, &got, NULL), 0);
        size_t *ends = ox_alloc(got.n, sizeof *ends, "ends", NULL), before = 0;
        assert_int_equal(tokenizer_ends(t, text, n, (struct ox_prefix){got.v, got.n}, ends, NULL),
                         0);
        for (size_t i = 0; i < got.n; before = ends[i++]) {
            size_t n_bytes = 0, at = before;
            const char *bytes = tokenizer_bytes(t, got.v[i], &n_bytes);
            for (size_t k = 0; k < n_bytes; k++) {
                while (t == smol && at < ends[i] && is_without_token((unsigned char)text[at]))
                    at++;
                assert_true(at < ends[i] && text[at++] == bytes[k]);
            }
            while (t == smol && i + 1 == got.n && at < n &&
                   is_without_token((unsigned char)text[at]))
                at++;
            assert_int_equal(at, ends[i]);
        }
        ox_free(ends);
        ox_free(got.v);
        ox_free(text);
    }
}

static void test_tokenizer__ends_of_repaired_text(void **state) {
    (void)state;
    static const char text[] = "a\xe2\x82 b\xff\xf0\x9f"; /* a FFFD space b FFFD FFFD */
    struct ox_tokens got = {0};
    size_t ends[16] = {0}, n = strlen(text);
    ox_err err = {0};
    assert_int_equal(tokenizer_encode(dolma2, text, n, &got, NULL), 0);
    assert_true(got.n <= 16);
    assert_int_equal(tokenizer_ends(dolma2, text, n, (struct ox_prefix){got.v, got.n}, ends, NULL),
                     0);
    assert_int_equal(ends[0], 1);
    assert_int_equal(ends[got.n - 1], n);
    for (size_t i = 1; i < got.n; i++) { /* never inside a replaced part */
        assert_true(ends[i] >= ends[i - 1]);
        assert_true(ends[i] != 2 && ends[i] != n - 1);
    }
    struct ox_prefix wrong = {got.v, got.n - 1}, ids = {got.v, got.n};
    assert_int_equal(tokenizer_ends(dolma2, text, n, wrong, ends, &err), OX_EUSAGE);
    assert_int_equal(tokenizer_ends(dolma2, "other", 5, ids, ends, &err), OX_EUSAGE);
    assert_int_equal(tokenizer_ends(dolma2, "", 0, (struct ox_prefix){NULL, 0}, ends, NULL), 0);
    ox_free(got.v);
}

/* A cut where the pattern cuts changes nothing; two calls append. */
static void test_tokenizer__appends(void **state) {
    (void)state;
    struct ox_tokens got = {0}, whole = {0};
    assert_int_equal(tokenizer_encode(smol, "one two", 7, &whole, NULL), 0);
    assert_int_equal(tokenizer_encode(smol, "one", 3, &got, NULL), 0);
    assert_int_equal(tokenizer_encode(smol, " two", 4, &got, NULL), 0);
    assert_int_equal(got.n, whole.n);
    assert_memory_equal(got.v, whole.v, whole.n * sizeof *whole.v);
    ox_free(got.v);
    ox_free(whole.v);
}

/* No text is slow: 5 MB in one piece or in five million. The time limit of the suite ends a hang.
 */
static void test_tokenizer__long_pieces(void **state) {
    (void)state;
    static const char *const patterns[] = {"a", " ", "7", "\n", "-", "ab", "\xe6\xb2\xb3", "a "};
    char *text = ox_alloc(LONG_BYTES, 1, "text", NULL);
    tokenizer *all[] = {dolma2, smol};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        size_t n_pattern = strlen(patterns[i]), n = 0, n_back = 0;
        for (; n + n_pattern <= LONG_BYTES; n += n_pattern)
            memcpy(text + n, patterns[i], n_pattern);
        struct ox_tokens got = {0};
        assert_int_equal(tokenizer_encode(all[i % 2], text, n, &got, NULL), 0);
        char *back = tok_fixture_decode(all[i % 2], got.v, got.n, &n_back);
        assert_int_equal(n_back, n);
        assert_memory_equal(back, text, n);
        ox_free(back);
        ox_free(got.v);
    }
    ox_free(text);
}

struct thread_job {
    const char *text;
    size_t n;
    struct ox_tokens got[8];
    int rc;
};

static void *encode_often(void *arg) {
    struct thread_job *j = arg;
    for (int i = 0; i < 8 && !j->rc; i++)
        j->rc = tokenizer_encode(small, j->text, j->n, &j->got[i], NULL);
    return NULL;
}

static void test_tokenizer__any_thread(void **state) {
    (void)state;
    enum { N = 6 };
    uint64_t seed = 9;
    size_t n;
    char *text = tok_fixture_text(&seed, 20000, &n);
    pthread_t thread[N];
    struct thread_job job[N];
    struct ox_tokens want = {0};
    for (int i = 0; i < N; i++) { /* a fresh tokenizer: nothing is remembered yet */
        job[i] = (struct thread_job){.text = text, .n = n};
        assert_int_equal(pthread_create(&thread[i], NULL, encode_often, &job[i]), 0);
    }
    for (int i = 0; i < N; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(tokenizer_encode(small, text, n, &want, NULL), 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(job[i].rc, 0);
        for (int k = 0; k < 8; k++) {
            assert_int_equal(job[i].got[k].n, want.n);
            assert_memory_equal(job[i].got[k].v, want.v, want.n * sizeof *want.v);
            ox_free(job[i].got[k].v);
        }
    }
    ox_free(want.v);
    ox_free(text);
}

static void test_tokenizer__no_memory_while_encoding(void **state) {
    (void)state;
    char text[200];
    memset(text, 'a', sizeof text);
    memcpy(text, "\xff<s>b", 5); /* repair, added token, short and long piece */
    size_t n_failed = 0;
    for (uint64_t i = 1;; i++) {
        tokenizer *t = NULL; /* fresh: no scratch to reuse */
        assert_int_equal(tokenizer_open((const unsigned char *)tok_fixture_json,
                                        strlen(tok_fixture_json), &t, NULL),
                         0);
        struct ox_tokens got = {0};
        assert_int_equal(tokenizer_encode(small, "ab", 2, &got, NULL), 0);
        ox_mem_fail_at(i);
        ox_err err = {0};
        int rc = tokenizer_encode_special(t, text, sizeof text, &got, &err);
        bool was_reached = ox_mem_fail_at(0) >= i;
        if (was_reached && rc != OX_ENOMEM) fail_msg("allocation %d: %d", (int)i, rc);
        if (was_reached) assert_true(got.n == 1 && got.v[0] == 8 && err.what[0]);
        n_failed += was_reached;
        ox_free(got.v);
        tokenizer_close(t);
        if (!was_reached) {
            assert_int_equal(rc, 0);
            break;
        }
    }
    assert_true(n_failed >= 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokenizer__any_thread), /* first: `small` is fresh */
        cmocka_unit_test(test_tokenizer__encodes),
        cmocka_unit_test(test_tokenizer__data_never_gives_an_added_token),
        cmocka_unit_test(test_tokenizer__looks_up),
        cmocka_unit_test(test_tokenizer__key_is_xxh3_128_of_the_file),
        cmocka_unit_test(test_tokenizer__round_trips),
        cmocka_unit_test(test_tokenizer__ends),
        cmocka_unit_test(test_tokenizer__ends_of_repaired_text),
        cmocka_unit_test(test_tokenizer__appends),
        cmocka_unit_test(test_tokenizer__long_pieces),
        cmocka_unit_test(test_tokenizer__no_memory_while_encoding),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
