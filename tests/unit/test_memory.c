/* test_memory.c - the plan names every part and judges before anything is allocated. */
#include "engine/memory.h"

#include "kernels/kn_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const struct ox_config config = {.n_layers = 4,
                                        .n_gdn = 3,
                                        .n_attn = 1,
                                        .d = 160,
                                        .f = 320,
                                        .n_vocab = 512,
                                        .n_heads = 5,
                                        .n_kv_heads = 5,
                                        .head_size = 32,
                                        .n_k_heads = 4,
                                        .n_v_heads = 4,
                                        .k_size = 24,
                                        .v_size = 48,
                                        .n_taps = 4};
static const struct kn_facts facts = {.act = KN_BF16, .chunk_tokens = 256};

static void plan(uint64_t limit, uint32_t max_tokens, struct memory_plan *p,
                 struct cache_shape *s) {
    cache_shape_make(&config, facts.act, KN_BF16, s);
    memory_plan_make(&config, s, &facts, 1000000, max_tokens, limit, p);
}

static void test_memory__plan_adds_up(void **state) {
    struct memory_plan p;
    struct cache_shape s;
    plan(0, 4096, &p, &s);
    uint64_t sum = 0;
    for (int i = 0; i < p.n_parts; i++) {
        assert_non_null(p.part[i].name);
        assert_true(p.part[i].bytes > 0);
        sum += p.part[i].bytes;
    }
    assert_int_equal(sum, p.total);
    assert_int_equal(p.n_snaps, CACHE_SNAPS);
    assert_int_equal(p.token_bytes, 2 * 5 * 32 * 2);
    /* 4096 tokens of keys and values, by hand. */
    bool has_kv = false;
    for (int i = 0; i < p.n_parts; i++)
        has_kv |= strcmp(p.part[i].name, "KV cache") == 0 && p.part[i].bytes == 4096 * 640;
    assert_true(has_kv);
}

static void test_memory__fewer_snapshots_where_memory_is_short(void **state) {
    struct memory_plan p;
    struct cache_shape s;
    plan(0, 4096, &p, &s);
    uint64_t without = p.total - CACHE_SNAPS * s.record_bytes;
    plan(without + 5 * s.record_bytes + 100, 4096, &p, &s);
    assert_int_equal(p.n_snaps, 5);
    assert_int_equal(memory_check(&p, without + 5 * s.record_bytes + 100, NULL), 0);
}

static void test_memory__refuses_with_numbers(void **state) {
    struct memory_plan p;
    struct cache_shape s;
    ox_err err = {0};
    plan(8 << 20, 65536, &p, &s);
    assert_int_equal(memory_check(&p, 8 << 20, &err), OX_EDEVICE);
    for (int i = 0; i < p.n_parts; i++)
        if (!strstr(err.what, p.part[i].name)) fail_msg("no %s in: %s", p.part[i].name, err.what);
    unsigned ctx = 0;
    assert_int_equal(sscanf(err.fix, "use --ctx %u", &ctx), 1);
    assert_true(ctx > 0 && ctx % 256 == 0);
    plan(8 << 20, ctx, &p, &s); /* what the message proposes does fit */
    assert_int_equal(memory_check(&p, 8 << 20, &err), 0);
    plan(1000, 256, &p, &s); /* no context would help */
    assert_int_equal(memory_check(&p, 1000, &err), OX_EDEVICE);
    assert_null(strstr(err.fix, "--ctx"));
    assert_int_equal(memory_check(&p, 0, &err), 0); /* not known: not judged */
}

static void test_memory__parts_do_not_overlap(void **state) {
    kn_dev *dev;
    struct act a;
    assert_int_equal(kn_cpu()->open(&(struct kn_open){.which = "ref"}, &dev, NULL), 0);
    assert_int_equal(act_open(&config, kn_cpu(), dev, &facts, &a, NULL), 0);
    const struct {
        char *p;
        size_t n;
    } parts[] = {
        {a.x, 256 * 160 * 4}, {a.mixed, 256 * 160 * 2}, {a.q, 256 * 160 * 2}, {a.k, 256 * 160 * 2},
        {a.v, 256 * 192 * 2}, {a.gate, 256 * 192 * 2},  {a.a, 256 * 4 * 4},   {a.b, 256 * 4 * 4},
        {a.y, 256 * 192 * 2}, {a.ffn, 256 * 320 * 2},
    };
    enum { N = sizeof parts / sizeof parts[0] };
    for (int i = 0; i < N; i++)
        memset(parts[i].p, i + 1, parts[i].n); /* the sanitizer sees what leaves the block */
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < parts[i].n; k++)
            if (parts[i].p[k] != i + 1) fail_msg("part %d, byte %zu belongs to another", i, k);
    act_close(&a);
    act_close(&a);
    kn_cpu()->close(dev);
}

static void test_memory__host(void **state) {
    uint64_t n = memory_host_available();
    assert_true(n > ((uint64_t)16 << 20) && n < ((uint64_t)1 << 50));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__plan_adds_up),
        cmocka_unit_test(test_memory__fewer_snapshots_where_memory_is_short),
        cmocka_unit_test(test_memory__refuses_with_numbers),
        cmocka_unit_test(test_memory__parts_do_not_overlap),
        cmocka_unit_test(test_memory__host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
