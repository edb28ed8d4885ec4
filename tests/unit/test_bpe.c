/* bpe.c: both ways of merging against a naive one, on random rules over a small alphabet. */
#include "engine/bpe.h"
#include "tests/support/tok_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_RULES = 60, MAX_TEXT = 300 };

/* The definition: the lowest rank, leftmost, until no pair has a rule. Rules are kept in a list. */
struct naive {
    uint32_t left[MAX_RULES], right[MAX_RULES], made[MAX_RULES];
    size_t n_rules;
};

static size_t merge_naively(const struct naive *rules, uint32_t *id, size_t n) {
    for (;;) {
        size_t best_rule = rules->n_rules, best_at = 0;
        for (size_t at = 0; at + 1 < n; at++)
            for (size_t k = 0; k < best_rule; k++)
                if (rules->left[k] == id[at] && rules->right[k] == id[at + 1]) {
                    best_rule = k;
                    best_at = at;
                }
        if (best_rule == rules->n_rules) return n;
        id[best_at] = rules->made[best_rule];
        for (size_t i = best_at + 1; i + 1 < n; i++)
            id[i] = id[i + 1];
        n--;
    }
}

/* Random rules among the pieces so far; a result may be made by several rules, in any order. */
static void make_rules(struct bpe *b, struct naive *rules, uint64_t *seed) {
    char text[64];
    for (size_t tries = 0; tries < 200 && rules->n_rules < MAX_RULES; tries++) {
        uint32_t left = (uint32_t)(tok_fixture_random(seed) % b->n_ids);
        uint32_t right = (uint32_t)(tok_fixture_random(seed) % b->n_ids);
        size_t n = b->piece[left].n_bytes, n_right = b->piece[right].n_bytes;
        if (n + n_right > 8) continue;
        memcpy(text, b->bytes + b->piece[left].from, n);
        memcpy(text + n, b->bytes + b->piece[right].from, n_right);
        if (bpe_find(b, text, n + n_right) < 0)
            assert_int_equal(bpe_add(b, (uint32_t)b->n_ids, text, n + n_right, true, NULL), 0);
        if (bpe_add_merge(b, left, right, NULL)) continue; /* the pair has a rule */
        rules->left[rules->n_rules] = left;
        rules->right[rules->n_rules] = right;
        rules->made[rules->n_rules++] = (uint32_t)bpe_find(b, text, n + n_right);
    }
}

static void test_bpe__merges_as_the_definition_says(void **state) {
    (void)state;
    uint64_t seed = 3;
    size_t n_long = 0;
    for (int round = 0; round < 400; round++) {
        struct bpe b;
        struct naive rules = {0};
        struct bpe_scratch scratch = {0};
        assert_int_equal(bpe_init(&b, 4, NULL), 0);
        for (uint32_t i = 0; i < 3; i++)
            assert_int_equal(bpe_add(&b, i, &"abc"[i], 1, true, NULL), 0);
        make_rules(&b, &rules, &seed);
        assert_int_equal(bpe_finish(&b, NULL), 0);
        for (int k = 0; k < 20; k++) {
            char text[MAX_TEXT];
            uint32_t want[MAX_TEXT];
            size_t n = 1 + tok_fixture_random(&seed) % (k % 2 ? 40 : MAX_TEXT - 1), n_want = 0;
            for (size_t i = 0; i < n; i++) { /* d has no token: dropped before merging */
                text[i] = "aaabbccd"[tok_fixture_random(&seed) % 8];
                if (text[i] != 'd') want[n_want++] = (uint32_t)(text[i] - 'a');
            }
            n_long += n > 48;
            n_want = merge_naively(&rules, want, n_want);
            struct ox_tokens got = {0};
            assert_int_equal(bpe_encode(&b, &scratch, text, n, &got, NULL), 0);
            assert_int_equal(got.n, n_want);
            for (size_t i = 0; i < n_want; i++)
                if (got.v[i] != (int32_t)want[i]) fail_msg("round %d: id %zu differs", round, i);
            ox_free(got.v);
        }
        bpe_scratch_deinit(&scratch);
        bpe_deinit(&b);
    }
    assert_true(n_long > 1000);
}

/* A piece that its own bytes do not merge to is not emitted, unless the file says so. */
static void test_bpe__whole_pieces(void **state) {
    (void)state;
    for (int ignore = 0; ignore < 2; ignore++) {
        struct bpe b;
        struct bpe_scratch s = {0};
        struct ox_tokens got = {0};
        static const struct {
            const char *piece;
            uint32_t id;
        } pieces[] = {{"a", 0}, {"b", 1}, {"c", 2}, {"bc", 3}, {"abc", 5}, {"ab", 4}};
        assert_int_equal(bpe_init(&b, 6, NULL), 0);
        for (size_t i = 0; i < 6; i++)
            assert_int_equal(
                bpe_add(&b, pieces[i].id, pieces[i].piece, strlen(pieces[i].piece), true, NULL), 0);
        assert_int_equal(bpe_add_merge(&b, 1, 2, NULL), 0); /* bc first: ab + c never happens */
        assert_int_equal(bpe_add_merge(&b, 4, 2, NULL), 0);
        assert_int_equal(bpe_finish(&b, NULL), 0);
        b.ignore_merges = ignore;
        for (int again = 0; again < 3; again++) {
            got.n = 0;
            assert_int_equal(bpe_encode(&b, &s, "abc", 3, &got, NULL), 0);
            assert_int_equal(got.n, ignore ? 1 : 2);
            assert_int_equal(got.v[0], ignore ? 5 : 0);
        }
        ox_free(got.v);
        bpe_scratch_deinit(&s);
        bpe_deinit(&b);
    }
}

static void test_bpe__tables_grow_and_stay_complete(void **state) {
    (void)state;
    struct bpe b;
    ox_err err = {0};
    assert_int_equal(bpe_init(&b, 0, NULL), 0);
    for (uint32_t i = 0; i < 256; i++) {
        char c = (char)i;
        assert_int_equal(bpe_add(&b, i, &c, 1, true, NULL), 0);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        char pair[2] = {(char)(i / 256), (char)i};
        assert_int_equal(bpe_add(&b, 70000 - i, pair, 2, true, NULL), 0);
        assert_int_equal(bpe_add_merge(&b, i / 256, i % 256, NULL), 0);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        char pair[2] = {(char)(i / 256), (char)i};
        assert_int_equal(bpe_find(&b, pair, 2), 70000 - i);
    }
    assert_int_equal(b.n_ids, 70001);
    assert_false(b.piece[300].is_there);
    assert_int_equal(bpe_find(&b, "none", 4), -1);
    assert_int_equal(bpe_add(&b, 65, "other", 5, true, &err), OX_EMODEL); /* taken */
    assert_int_equal(bpe_add(&b, 300, "A", 1, true, &err), OX_EMODEL);    /* the same piece */
    assert_int_equal(bpe_add(&b, BPE_MAX_ID + 1, "new", 3, true, &err), OX_EMODEL);
    assert_int_equal(bpe_add(&b, 301, "", 0, true, &err), OX_EMODEL);
    assert_int_equal(bpe_add_merge(&b, 0, 0, &err), OX_EMODEL);     /* has a rule */
    assert_int_equal(bpe_add_merge(&b, 255, 255, &err), OX_EMODEL); /* makes nothing we have */
    bpe_deinit(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bpe__merges_as_the_definition_says),
        cmocka_unit_test(test_bpe__whole_pieces),
        cmocka_unit_test(test_bpe__tables_grow_and_stay_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
