/* test_cache.c - sizes of states and pages against docs/STORE.md, and which earlier states are
 * kept. */
#include "engine/cache.h"
#include "engine/statefmt.h"

#include "kernels/base/ox_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const struct ox_config small = {.n_layers = 4,
                                       .n_gdn = 3,
                                       .n_attn = 1,
                                       .d = 16,
                                       .f = 32,
                                       .n_vocab = 10,
                                       .n_heads = 2,
                                       .n_kv_heads = 1,
                                       .head_size = 8,
                                       .n_k_heads = 1,
                                       .n_v_heads = 2,
                                       .k_size = 4,
                                       .v_size = 6,
                                       .n_taps = 4};

/* The table of docs/STORE.md section 5, worked out there by hand. */
static const struct {
    const char *name;
    struct ox_config c;
    enum kn_dtype kv;
    size_t state, conv, record, token;
} sizes[] = {
    {"7B",
     {.n_gdn = 24,
      .n_attn = 8,
      .n_vocab = 100352,
      .n_heads = 30,
      .n_kv_heads = 30,
      .head_size = 128,
      .n_k_heads = 30,
      .n_v_heads = 30,
      .k_size = 96,
      .v_size = 192,
      .n_taps = 4},
     KN_BF16,
     53084160,
     1658880,
     55148544,
     122880},
    {"oxbow-mini",
     {.n_gdn = 23,
      .n_attn = 7,
      .n_vocab = 49152,
      .n_heads = 9,
      .n_kv_heads = 3,
      .head_size = 64,
      .n_k_heads = 9,
      .n_v_heads = 9,
      .k_size = 64,
      .v_size = 64,
      .n_taps = 4},
     KN_BF16,
     3391488,
     238464,
     3833856,
     5376},
    {"7B, int8 keys and values",
     {.n_gdn = 24,
      .n_attn = 8,
      .n_vocab = 100352,
      .n_heads = 30,
      .n_kv_heads = 30,
      .head_size = 128,
      .n_k_heads = 30,
      .n_v_heads = 30,
      .k_size = 96,
      .v_size = 192,
      .n_taps = 4},
     KN_I8,
     53084160,
     1658880,
     55148544,
     63360},
};

static void test_cache__sizes(void **state) {
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct cache_shape s;
        cache_shape_make(&sizes[i].c, KN_BF16, sizes[i].kv, &s);
        assert_int_equal(s.state_bytes, sizes[i].state);
        assert_int_equal(s.conv_bytes, sizes[i].conv);
        assert_int_equal(statefmt_record_bytes(&s), sizes[i].record);
        assert_int_equal(s.page_bytes, sizes[i].token * KN_PAGE_TOKENS);
        assert_int_equal(s.conv_at % CACHE_PAD + s.logits_at % CACHE_PAD, 0);
        assert_int_equal(statefmt_tail_bytes(&s, 3), 3 * sizes[i].token);
    }
}

struct fixture {
    kn_dev *dev;
    struct cache c;
};

static void open_cache(struct fixture *f, int n_snaps) {
    struct cache_shape s;
    assert_int_equal(kn_cpu()->open(&(struct kn_open){.which = "ref"}, &f->dev, NULL), 0);
    cache_shape_make(&small, KN_F32, KN_F32, &s);
    assert_int_equal(cache_open(kn_cpu(), f->dev, &s, 1000, n_snaps, &f->c, NULL), 0);
}

static void close_cache(struct fixture *f) {
    cache_close(&f->c);
    kn_cpu()->close(f->dev);
}

static void test_cache__views_lie_inside(void **state) {
    struct fixture f;
    open_cache(&f, 2);
    const struct cache_shape *s = &f.c.shape;
    char *live = f.c.live;
    kn_tensor t = cache_state(&f.c, 2);
    assert_int_equal(t.rows, 12);
    assert_int_equal(t.cols, 4);
    assert_ptr_equal((char *)t.data, live + 2 * s->layer_state_bytes);
    t = cache_conv(&f.c, 2);
    assert_int_equal(t.rows, 3);
    assert_int_equal(t.cols, 2 * 4 + 12);
    assert_ptr_equal((char *)t.data + s->layer_conv_bytes, live + s->conv_at + s->conv_bytes);
    t = cache_logits(&f.c);
    assert_int_equal(t.cols, 10);
    assert_ptr_equal((char *)t.data, live + s->logits_at);
    close_cache(&f);
}

static void test_cache__pages_as_needed(void **state) {
    struct fixture f;
    open_cache(&f, 2);
    assert_int_equal(f.c.n_pages, 0);
    assert_int_equal(cache_reserve(&f.c, 1, NULL), 0);
    assert_int_equal(f.c.n_pages, 1);
    assert_int_equal(cache_reserve(&f.c, 256, NULL), 0);
    assert_int_equal(f.c.n_pages, 1);
    assert_int_equal(cache_reserve(&f.c, 257, NULL), 0);
    assert_int_equal(f.c.n_pages, 2);
    ox_mem_fail_at(1);
    assert_int_equal(cache_reserve(&f.c, 1000, NULL), OX_ENOMEM);
    ox_mem_fail_at(0);
    assert_int_equal(f.c.n_pages, 2);
    assert_int_equal(cache_reserve(&f.c, 1000, NULL), 0);
    assert_int_equal(f.c.n_pages, 4);
    close_cache(&f);
}

static void set_live(struct fixture *f, int v) {
    memset(f->c.live, v, f->c.shape.record_bytes);
}

static void test_cache__mark_undo_reset(void **state) {
    struct fixture f;
    open_cache(&f, 2);
    set_live(&f, 5);
    assert_int_equal(cache_mark(&f.c, NULL), 0);
    set_live(&f, 6);
    assert_int_equal(cache_undo(&f.c, NULL), 0);
    assert_int_equal(((unsigned char *)f.c.live)[100], 5);
    assert_int_equal(cache_keep(&f.c, 9, OX_WHY_TURN, NULL), 0);
    assert_int_equal(cache_reset(&f.c, NULL), 0);
    for (size_t i = 0; i < f.c.shape.record_bytes; i++)
        assert_int_equal(((unsigned char *)f.c.live)[i], 0);
    assert_null(cache_find(&f.c, 1000));
    close_cache(&f);
}

static void keep(struct fixture *f, size_t at, enum ox_why why) {
    set_live(f, (int)at);
    assert_int_equal(cache_keep(&f->c, at, why, NULL), 0);
}

static void expect(const struct fixture *f, size_t want, size_t at) {
    const struct cache_snap *s = cache_find(&f->c, want);
    if ((s ? s->at : 0) != at) fail_msg("looking for %zu: found %zu", want, s ? s->at : 0);
}

static void test_cache__finds_and_forgets(void **state) {
    struct fixture f;
    open_cache(&f, 4);
    keep(&f, 10, OX_WHY_SYSTEM);
    keep(&f, 20, OX_WHY_ASK);
    keep(&f, 30, OX_WHY_TURN);
    expect(&f, 9, 0);
    expect(&f, 10, 10);
    expect(&f, 29, 20);
    expect(&f, 1000, 30);
    assert_int_equal(cache_restore(&f.c, cache_find(&f.c, 20), NULL), 0);
    assert_int_equal(((unsigned char *)f.c.live)[0], 20);
    cache_forget(&f.c, 20);
    expect(&f, 1000, 20);
    cache_forget(&f.c, 19);
    expect(&f, 1000, 10);
    close_cache(&f);
}

/* Four slots: turns go before the grid, the grid before what many prompts share. */
static void test_cache__evicts_the_least_useful(void **state) {
    struct fixture f;
    open_cache(&f, 4);
    keep(&f, 10, OX_WHY_SYSTEM);
    keep(&f, 20, OX_WHY_ASK);
    keep(&f, 30, OX_WHY_GRID);
    keep(&f, 40, OX_WHY_TURN);
    keep(&f, 50, OX_WHY_TURN); /* for 20, the oldest of the lowest rank */
    expect(&f, 29, 10);
    expect(&f, 45, 40);
    keep(&f, 60, OX_WHY_TURN); /* for 40 */
    expect(&f, 45, 30);
    keep(&f, 60, OX_WHY_ASK); /* an equal position is replaced, nothing goes */
    expect(&f, 55, 50);
    keep(&f, 70, OX_WHY_DOCUMENT);
    keep(&f, 80, OX_WHY_DOCUMENT);
    keep(&f, 90, OX_WHY_DOCUMENT); /* for 30: no turn is left */
    expect(&f, 69, 10);
    close_cache(&f);
}

/* A failed copy must not leave a place that can be found. */
static void test_cache__no_memory_for_a_copy(void **state) {
    struct fixture f;
    open_cache(&f, 4);
    keep(&f, 10, OX_WHY_TURN);
    ox_mem_fail_at(1);
    assert_int_equal(cache_keep(&f.c, 20, OX_WHY_TURN, NULL), OX_ENOMEM);
    ox_mem_fail_at(0);
    expect(&f, 1000, 10);
    close_cache(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache__sizes),
        cmocka_unit_test(test_cache__views_lie_inside),
        cmocka_unit_test(test_cache__pages_as_needed),
        cmocka_unit_test(test_cache__mark_undo_reset),
        cmocka_unit_test(test_cache__finds_and_forgets),
        cmocka_unit_test(test_cache__evicts_the_least_useful),
        cmocka_unit_test(test_cache__no_memory_for_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
