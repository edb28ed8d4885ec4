/* text.c: what is well-formed, what becomes U+FFFD and when, and what is held back. */
#include "engine/text.h"
#include "tests/support/tok_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define F "\xef\xbf\xbd"

static const struct {
    const char *name, *in, *out;
    size_t n_bad;
} cases[] = {
    {"nothing", "", "", 0},
    {"ASCII", "plain text, longer than eight bytes", "plain text, longer than eight bytes", 0},
    {"two, three, four bytes", "\xc3\xa9\xe6\xb2\xb3\xf0\x9f\x98\x80",
     "\xc3\xa9\xe6\xb2\xb3\xf0\x9f\x98\x80", 0},
    {"a lone continuation byte", "a\x80z", "a" F "z", 1},
    {"never a lead byte", "\xc0\xc1\xf5\xff", F F F F, 4},
    {"an incomplete one before ASCII is one",
     "\xe2\x82"
     "A",
     F "A", 1},
    {"an incomplete one at the end is one", "A\xf0\x9f\x98", "A" F, 1},
    {"a surrogate is three", "\xed\xa0\x80", F F F, 3},
    {"overlong: no byte of it is a character", "\xe0\x80\x80\xf0\x80\x80\x80", F F F F F F F, 7},
    {"above U+10FFFF", "\xf4\x90\x80\x80", F F F F, 4},
    {"the last of all", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", 0},
    /* Unicode standard, table 3-8 */
    {"table 3-8", "\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64",
     "\x61" F F F "\x62" F "\x63" F F "\x64", 6},
};

static void test_text__repairs(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *out = NULL;
        size_t n = 0, cap = 0, n_bad = 99;
        assert_int_equal(
            ox_text_repair(cases[i].in, strlen(cases[i].in), &out, &n, &cap, &n_bad, NULL), 0);
        if (n != strlen(cases[i].out) || (n && memcmp(out, cases[i].out, n) != 0))
            fail_msg("%s: wrong text", cases[i].name);
        if (n_bad != cases[i].n_bad) fail_msg("%s: %zu bad parts", cases[i].name, n_bad);
        ox_free(out);
    }
}

static void test_text__feeding_in_any_pieces_gives_what_repairing_gives(void **state) {
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 3000; round++) {
        char in[24], *want = NULL, *got = NULL;
        size_t n = tok_fixture_random(&seed) % sizeof in, n_want = 0, n_got = 0, c1 = 0, c2 = 0;
        static const unsigned char pool[] = {'a',  0x80, 0xbf, 0xc3, 0xe2, 0xed, 0xa0, 0xf0,
                                             0x9f, 0xf4, 0x8f, 0x90, 0xff, 0xe0, 0x00};
        for (size_t i = 0; i < n; i++)
            in[i] = (char)pool[tok_fixture_random(&seed) % sizeof pool];
        assert_int_equal(ox_text_repair(in, n, &want, &n_want, &c1, NULL, NULL), 0);
        struct ox_decoder d = {0};
        for (size_t at = 0, step; at < n; at += step) {
            step = 1 + tok_fixture_random(&seed) % 3;
            if (step > n - at) step = n - at;
            assert_int_equal(ox_text_feed(&d, in + at, step, &got, &n_got, &c2, NULL), 0);
            assert_int_equal(ox_text_whole(got, n_got), n_got);
        }
        assert_int_equal(ox_text_flush(&d, &got, &n_got, &c2, NULL), 0);
        assert_int_equal(n_got, n_want);
        if (n_want) assert_memory_equal(got, want, n_want);
        ox_free(want);
        ox_free(got);
    }
}

/* Decides by decoding and encoding again: a rule that shares nothing with the table in text.c. */
static bool is_character(const unsigned char *s, size_t n) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return false;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (n > 1 && (s[0] & (0xff00u >> n & 0xff)) != (0xff00u >> n & 0xff)) return false;
    if (n > 1 && s[0] >> (7 - n) & 1) return false;
    return n == 1 ? c < 0x80 : c >= least[n] && c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

static void test_text__whole_agrees_with_decoding(void **state) {
    (void)state;
    size_t n_good = 0;
    for (uint32_t x = 0; x < 1 << 16; x++) { /* each pair of bytes, three ways to go on */
        static const unsigned char more[][2] = {{0x80, 0x80}, {0xbf, 0xbf}, {0x41, 0x80}};
        for (size_t k = 0; k < 3; k++) {
            const unsigned char s[4] = {(unsigned char)(x >> 8), (unsigned char)x, more[k][0],
                                        more[k][1]};
            for (size_t n = 1; n <= 4; n++) {
                bool is_one = is_character(s, n), is_seen = false;
                /* exactly one character of n bytes: whole, and no shorter prefix is */
                is_seen = ox_text_whole((const char *)s, n) == n;
                for (size_t m = 1; m < n && is_seen; m++)
                    is_seen = ox_text_whole((const char *)s, m) == 0;
                if (is_one != is_seen) fail_msg("%02x %02x.., %zu bytes", s[0], s[1], n);
                n_good += is_one;
            }
        }
    }
    assert_true(n_good > 10000);
}

static void test_text__holds_back_and_flushes(void **state) {
    (void)state;
    struct ox_decoder d = {0};
    char *out = NULL;
    size_t n = 0, cap = 0;
    assert_int_equal(ox_text_feed(&d, "\xf0\x9f", 2, &out, &n, &cap, NULL), 0);
    assert_int_equal(n, 0);
    assert_int_equal(d.n_held, 2);
    ox_mem_fail_at(1); /* no memory: nothing is lost */
    size_t none = 0;
    char *other = NULL;
    ox_err err = {0};
    size_t n_other = 0;
    assert_int_equal(ox_text_feed(&d, "\x98\x80", 2, &other, &n_other, &none, &err), OX_ENOMEM);
    ox_mem_fail_at(0);
    assert_int_equal(d.n_held, 2);
    assert_int_equal(ox_text_feed(&d, "\x98\x80", 2, &out, &n, &cap, NULL), 0);
    assert_int_equal(n, 4);
    assert_memory_equal(out, "\xf0\x9f\x98\x80", 4);
    assert_int_equal(ox_text_flush(&d, &out, &n, &cap, NULL), 0);
    assert_int_equal(n, 4); /* nothing held, nothing flushed */
    ox_free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text__repairs),
        cmocka_unit_test(test_text__feeding_in_any_pieces_gives_what_repairing_gives),
        cmocka_unit_test(test_text__whole_agrees_with_decoding),
        cmocka_unit_test(test_text__holds_back_and_flushes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
