/* test_summary.c - plans of long summaries: parts join and fit, levels end in one, merges cover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/core/summary.h"

enum { MAX_CHUNKS = 400 };

static struct chunk chunks[MAX_CHUNKS];
static size_t tokens[MAX_CHUNKS];

/* n chunks of 3 bytes a token; sizes differ, every seventh begins a section. */
static void make_chunks(size_t n, unsigned seed) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        tokens[i] = 100 + (seed >> 16) % 900;
        chunks[i] = (struct chunk){.from = at, .to = at + 3 * tokens[i], .line = i + 1};
        if (i % 7 == 0) chunks[i].heading_from = at, chunks[i].heading_to = at + 5;
        at = chunks[i].to;
    }
}

static const struct {
    const char *name;
    size_t n_chunks;
    struct summary_limits limits;
    int rc;
    size_t n_parts, n_levels; /* 0 parts: not said */
} cases[] = {
    {"one pass", 5, {65536, 2048, 96, 512, 0}, 0, 1, 0},
    {"beyond the context", 140, {65536, 2048, 96, 512, 0}, 0, 2, 1},
    {"many parts, one merge", 400, {16384, 2048, 96, 512, 0}, 0, 0, 1},
    {"two levels", 400, {4096, 1024, 96, 512, 0}, 0, 0, 0},
    {"parts asked for", 40, {65536, 2048, 96, 512, 4000}, 0, 0, 1},
    {"no room beside the prompt", 5, {2000, 2048, 96, 512, 0}, OX_EFIT, 0, 0},
    {"a chunk too large", 60, {1200, 600, 96, 100, 0}, OX_EFIT, 0, 0},
    {"two summaries do not fit", 60, {4096, 1024, 96, 2000, 0}, OX_EFIT, 0, 0},
};

static void check_parts(const char *name, const struct summary_plan *p, size_t n_chunks,
                        size_t most) {
    size_t at = 0, sum = 0;
    for (size_t i = 0; i < p->n_parts; i++) {
        if (p->part[i].from != at || p->part[i].tokens > most || p->part[i].tokens == 0)
            fail_msg("%s: part %zu is %zu-%zu, %zu tokens", name, i, p->part[i].from, p->part[i].to,
                     p->part[i].tokens);
        at = p->part[i].to;
        sum += p->part[i].tokens;
    }
    if (at != chunks[n_chunks - 1].to || sum != p->tokens) fail_msg("%s: does not cover", name);
}

static void check_levels(const char *name, const struct summary_plan *p) {
    assert_int_equal(summary_width(p, 0), p->n_parts);
    assert_int_equal(summary_width(p, p->n_levels), 1);
    for (size_t level = 1; level <= p->n_levels; level++) {
        size_t at = 0, width = summary_width(p, level);
        if (width >= summary_width(p, level - 1)) fail_msg("%s: level %zu is no less", name, level);
        for (size_t k = 0; k < width; k++) {
            size_t first, n;
            summary_inputs(p, level, k, &first, &n);
            if (first != at || n < 1 || n > p->group)
                fail_msg("%s: level %zu merge %zu takes %zu from %zu", name, level, k, n, first);
            at += n;
        }
        assert_int_equal(at, summary_width(p, level - 1));
    }
}

static void test_summary__plans(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (unsigned seed = 1; seed <= 20; seed++) {
            const struct summary_limits *l = &cases[i].limits;
            struct summary_plan p = {0};
            ox_err err = {0};
            make_chunks(cases[i].n_chunks, seed * 7919);
            int rc = summary_make(chunks, tokens, cases[i].n_chunks, l, &p, &err);
            if (rc != cases[i].rc) fail_msg("%s: %d, %s", cases[i].name, rc, err.what);
            if (rc) {
                assert_true(err.fix[0] != '\0');
                continue;
            }
            size_t room = l->context - l->reserve - l->prompt;
            size_t most = l->max_part ? l->max_part : room;
            check_parts(cases[i].name, &p, cases[i].n_chunks, most < room ? most : room);
            check_levels(cases[i].name, &p);
            if (cases[i].n_parts == 1 && p.n_parts != 1)
                fail_msg("%s: %zu parts", cases[i].name, p.n_parts);
            if (cases[i].n_levels && p.n_levels != cases[i].n_levels)
                fail_msg("%s: %zu levels", cases[i].name, p.n_levels);
            summary_deinit(&p);
        }
}

static void test_summary__who_wants_parts(void **state) {
    static const struct {
        size_t tokens, context;
        bool is_small, parts;
    } of[] = {
        {SUMMARY_SMALL_PART, 65536, true, false},
        {SUMMARY_SMALL_PART + 1, 65536, true, true},
        {60000, 65536, false, false},
        {65536 - 2048 - 96, 65536, false, false},
        {65536 - 2048 - 95, 65536, false, true},
        {100, 1024, true, false},
        {900, 1024, true, true},
    };
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
        assert_int_equal(summary_wants_parts(of[i].tokens, of[i].context, of[i].is_small),
                         of[i].parts);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_summary__plans),
                                       cmocka_unit_test(test_summary__who_wants_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
