/* test_restart.c - where a wanted prefix is continued from, and the faults of other caches for
 * hybrid models (docs/STORE.md section 11), as far as they are the engine's: a test each, named
 * after it. */
#include "tests/support/mem_io.h"
#include "tests/support/tiny.h"

#include "engine/restart.h"
#include "engine/statefmt.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MAX = 9000 };
static int32_t ids[MAX];

struct world {
    struct tiny t;
    struct mem_io m;
};

static void world_open(struct world *w) {
    struct ox_engine_opts opts = {.backend = "cpu", .n_threads = 1, .max_tokens = MAX};
    tiny_open(&w->t, "tiny-gqa-tied", &opts, NULL);
    mem_io_init(&w->m);
    tiny_ids(ids, MAX, 1);
}

static void world_close(struct world *w) {
    tiny_close(&w->t);
    mem_io_deinit(&w->m);
}

static void new_program(struct world *w) {
    tiny_new_session(&w->t);
    mem_io_restart(&w->m);
}

static struct ox_plan sync(struct world *w, size_t n) {
    struct ox_sync_opts opts = {.io = &w->m.io};
    struct ox_plan plan;
    ox_err err = {0};
    uint64_t from = session_n_forward(w->t.s);
    int rc = ox_session_sync(w->t.s, (struct ox_prefix){ids, n}, &opts, &plan, &err);
    if (rc) fail_msg("sync of %zu: %s", n, err.what);
    assert_int_equal(plan.live + plan.restored + plan.replay + plan.fresh, n);
    /* Counted where the tokens pass: a restore that computes everything again cannot hide. */
    assert_int_equal(session_n_forward(w->t.s) - from, plan.replay + plan.fresh);
    return plan;
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* A store that answers what the case says; nothing is ever read from it. */
static struct ox_found answer;
static int find_answer(void *user, struct ox_prefix want, struct ox_found *out, ox_err *err) {
    *out = answer.n <= want.n ? answer : (struct ox_found){0};
    return 0;
}

static void test_restart__weighs_loading_against_computing(void **state) {
    static const struct {
        const char *name;
        struct ox_found found;
        double tokens_s;
        size_t live, want, at, restored;
    } cases[] = {
        {"nothing stored", {0}, 1000, 100, 500, 100, 0},
        {"faster than computing", {1, 400, false, 1000, 0.1}, 1000, 100, 500, 400, 400},
        {"slower than computing", {1, 400, false, 1000, 0.4}, 1000, 100, 500, 100, 0},
        {"slower, but the own state", {1, 400, true, 1000, 9.0}, 1000, 100, 500, 400, 400},
        {"speed not known yet", {1, 400, false, 1000, 9.0}, 0, 100, 500, 400, 400},
        {"guessed from its bytes", {1, 400, false, 1000000000, 0}, 1000, 100, 500, 100, 0},
        {"shorter than what is live", {1, 90, true, 1000, 0.1}, 1000, 100, 500, 100, 0},
        {"as long as what is live", {1, 100, true, 1000, 0.1}, 1000, 100, 500, 100, 0},
        {"longer than wanted", {1, 501, true, 1000, 0.1}, 1000, 100, 500, 100, 0},
        {"exactly what is wanted", {1, 500, false, 1000, 0.1}, 1000, 100, 500, 500, 500},
    };
    struct world w;
    struct ox_state_io io = {.find = find_answer};
    world_open(&w);
    tiny_sync(&w.t, ids, 100);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct restart r;
        answer = cases[i].found;
        w.t.e->prefill_ops_s = cases[i].tokens_s * restart_ops(w.t.e, 100, 300) / 300;
        restart_choose(w.t.s, (struct ox_prefix){ids, cases[i].want}, &io, cases[i].want, 0, &r);
        if (r.at != cases[i].at || r.plan.restored != cases[i].restored)
            fail_msg("%s: at %zu, restored %zu", cases[i].name, r.at, r.plan.restored);
        assert_int_equal(r.plan.live + r.plan.restored + r.plan.replay + r.plan.fresh,
                         cases[i].want);
    }
    world_close(&w);
}

/* Twice the depth costs more per token, and by what kn_cost says: the attention part alone grows.
 */
static void test_restart__cost_grows_with_depth(void **state) {
    struct world w;
    world_open(&w);
    const ox_engine *e = w.t.e;
    double near = restart_ops(e, 0, 1000), far = restart_ops(e, 1000, 1000);
    double width = e->config.n_heads * e->config.head_size;
    assert_true(near > 0);
    double depth = 1.4 * 4.0 * width * 1000 * 1000 * e->config.n_attn;
    assert_true(fabs(far - near - depth) < 1e-9 * far);
    assert_true(fabs(restart_ops(e, 0, 2000) - near - far) < 1e-9 * far);
    assert_true(restart_seconds(e, 0, 0) == 0 && restart_seconds(e, 0, 1) > 0);
    world_close(&w);
}

/* What an earlier process measured is promised until this one has measured itself. */
static void test_restart__promises_the_speed_of_before(void **state) {
    struct world w;
    world_open(&w);
    struct ox_plan plan, deep;
    ox_engine_speed(w.t.e, 2e-3);
    ox_session_plan(w.t.s, (struct ox_prefix){ids, 256}, NULL, &plan, NULL);
    assert_true(fabs(plan.time_s - 0.512) < 1e-6);
    assert_true(plan.deepening > 0);
    ox_session_plan(w.t.s, (struct ox_prefix){ids, 8000}, NULL, &deep, NULL);
    double mean = deep.time_s / 8000 / 2e-3; /* attention grows with depth, as deepening says */
    assert_true(fabs(mean - 1 - deep.deepening * 4000) < 0.04 * mean);
    sync(&w, 2000);
    double now = restart_seconds(w.t.e, 0, 256);
    ox_engine_speed(w.t.e, 1);
    assert_true(fabs(restart_seconds(w.t.e, 0, 256) - now) < 1e-9);
    world_close(&w);
}

static void test_restart__says_what_is_replayed(void **state) {
    struct world w;
    struct restart r;
    world_open(&w);
    tiny_sync(&w.t, ids, 300);
    ids[200] ^= 1; /* nothing was kept below: all that is shared is computed again */
    restart_choose(w.t.s, (struct ox_prefix){ids, 400}, NULL, 400, 0, &r);
    assert_int_equal(r.plan.replay, 200);
    assert_int_equal(r.plan.fresh, 200);
    assert_false(r.plan.exact);
    world_close(&w);
}

/* A branch whose pages are still live needs its record and tail alone, not the pages again. */
static void test_restart__shared_pages_are_not_read_again(void **state) {
    struct world w;
    world_open(&w);
    sync(&w, 1030);
    new_program(&w);
    sync(&w, 1030);
    assert_int_equal(w.m.n_gets, 1 + 4 + 1); /* record, pages, tail */
    int32_t was = ids[1029];
    ids[1029] ^= 1;
    sync(&w, 1030); /* another end, computed from 0: loading gave no place in between */
    ids[1029] = was;
    w.m.n_gets = 0;
    cache_forget(&w.t.s->cache, 0); /* nothing but the live state is in memory */
    assert_int_equal(sync(&w, 1030).restored, 1030);
    assert_int_equal(w.m.n_gets, 2);
    world_close(&w);
}

/* ---- docs/STORE.md section 11 --------------------------------------------------------------- */

static void test_restart__s11_success_then_everything_computed_again(void **state) {
    struct world w;
    world_open(&w);
    sync(&w, 700);
    new_program(&w);
    struct ox_plan plan = sync(&w, 900); /* sync() compares the plan with the counter */
    assert_int_equal(plan.restored, 700);
    assert_int_equal(session_n_forward(w.t.s), 200);
    world_close(&w);
}

/* KV of one run and a recurrent state of another: the record names the rows it was made with. */
static void test_restart__s11_pages_of_another_state(void **state) {
    for (int is_tail = 0; is_tail < 2; is_tail++) {
        struct world w;
        world_open(&w);
        sync(&w, 600);
        ids[is_tail ? 590 : 400] ^= 1;
        sync(&w, 600);
        /* The index mixes the two up; every single blob is whole. */
        struct mem_record *a = mem_io_at(&w.m, 600), *b = &w.m.record[0];
        assert_ptr_not_equal(a, b);
        if (is_tail)
            a->tail = b->tail;
        else
            a->page[1] = b->page[1];
        new_program(&w);
        struct ox_plan plan = sync(&w, 600);
        assert_int_equal(plan.restored, 0);
        assert_int_equal(w.m.n_logged, 1);
        world_close(&w);
    }
}

static void test_restart__s11_index_without_bytes(void **state) {
    struct world w;
    world_open(&w);
    sync(&w, 600);
    mem_io_truncate(&w.m, mem_io_at(&w.m, 600)->page[1], 0);
    new_program(&w);
    assert_int_equal(sync(&w, 600).restored, 0);
    new_program(&w); /* what was computed instead is stored again, and whole */
    assert_int_equal(sync(&w, 600).restored, 600);
    world_close(&w);
}

static void test_restart__s11_part_of_each_page(void **state) {
    struct world w;
    world_open(&w);
    sync(&w, 600);
    const struct cache_shape *s = &w.t.e->shape;
    const struct mem_record *r = mem_io_at(&w.m, 600);
    assert_int_equal(w.m.blob[r->page[0]].n, s->page_bytes);
    assert_int_equal(w.m.blob[r->page[1]].n, s->page_bytes);
    assert_int_equal(w.m.blob[r->tail].n, s->page_bytes / 256 * 88);
    assert_int_equal(w.m.blob[r->state].n, statefmt_record_bytes(s));
    world_close(&w);
}

static void test_restart__s11_exact_hit_computes_nothing(void **state) {
    struct world w;
    world_open(&w);
    sync(&w, 512);
    struct ox_key before = tiny_digest(&w.t);
    new_program(&w);
    struct ox_plan plan = sync(&w, 512);
    assert_int_equal(plan.restored, 512);
    assert_int_equal(session_n_forward(w.t.s), 0);
    struct ox_key after = tiny_digest(&w.t); /* the logits too */
    tiny_same(&before, &after, "exact hit", 512);
    tiny_draw(&w.t, 1, 1);
    world_close(&w);
}

/* Grid records are there after prefill and decode in pieces of any size. */
static void test_restart__s11_grid_for_pieces_of_any_size(void **state) {
    static const size_t pieces[] = {8200, 4096, 1000, 4095, 333};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct world w;
        world_open(&w);
        for (size_t n = pieces[i]; n < 8200 + pieces[i]; n += pieces[i])
            sync(&w, n < 8200 ? n : 8200);
        assert_non_null(mem_io_at(&w.m, 4096));
        assert_non_null(mem_io_at(&w.m, 8192));
        world_close(&w);
    }
}

/* 20 turns, the program started anew at every turn, against one that never stopped. */
static void test_restart__s11_twenty_turns(void **state) {
    struct ox_key end[2];
    for (int stops = 0; stops < 2; stops++) {
        struct world w;
        size_t n = 150;
        world_open(&w);
        for (int turn = 0; turn < 20; turn++) {
            sync(&w, n);
            tiny_draw(&w.t, 20, (uint64_t)turn);
            ox_session_snapshot(w.t.s, OX_WHY_TURN, &w.m.io, NULL);
            struct ox_prefix now = ox_session_timeline(w.t.s);
            memcpy(ids, now.tok, now.n * sizeof *ids);
            n = now.n + 11;
            if (stops) new_program(&w);
        }
        struct ox_plan plan = sync(&w, n);
        assert_int_equal(plan.restored, stops ? n - 11 : 0);
        assert_true(plan.exact);
        end[stops] = tiny_digest(&w.t);
        world_close(&w);
    }
    tiny_same(&end[0], &end[1], "20 turns", 20);
}

/* Right sums, wrong numbers: a record whose logits are not finite is not used. */
static void test_restart__s11_logits_that_are_not_finite(void **state) {
    struct world w;
    world_open(&w);
    sync(&w, 300);
    const struct cache_shape *s = &w.t.e->shape;
    struct mem_record *r = mem_io_at(&w.m, 300);
    float inf = 1e30f * 1e30f;
    unsigned char *p = w.m.blob[r->state].p;
    memcpy(p + STATEFMT_HEADER + s->logits_at + 40, &inf, sizeof inf);
    struct statefmt_kv kv = {{0, 0}, 0};
    for (int i = 0; i < 8; i++) {
        kv.chain.hi = kv.chain.hi << 8 | p[144 + i];
        kv.chain.lo = kv.chain.lo << 8 | p[152 + i];
        kv.tail_sum |= (uint64_t)p[240 + i] << (8 * i);
    }
    statefmt_seal(&w.t.e->info, s, (struct ox_prefix){ids, 300}, &kv, p); /* all sums right */
    mem_io_flip(&w.m, r->state, 5000, 0, true);
    new_program(&w);
    assert_int_equal(sync(&w, 300).restored, 0);
    assert_int_equal(w.m.n_logged, 1);
    world_close(&w);
}

static void test_restart__s11_second_run_writes_nothing(void **state) {
    struct world w;
    world_open(&w);
    sync(&w, 1000);
    tiny_draw(&w.t, 30, 9);
    ox_session_snapshot(w.t.s, OX_WHY_TURN, &w.m.io, NULL);
    uint64_t written = w.m.n_written;
    assert_true(written > 0);
    new_program(&w);
    sync(&w, 1000);
    tiny_draw(&w.t, 30, 9);
    ox_session_snapshot(w.t.s, OX_WHY_TURN, &w.m.io, NULL);
    assert_int_equal(w.m.n_written, written);
    world_close(&w);
}

/* A store that is busy is no reason to fail or wait; what was skipped is made up for later. */
static void test_restart__busy_store(void **state) {
    struct world w;
    world_open(&w);
    w.m.is_busy = true;
    sync(&w, 700);
    assert_int_equal(w.m.n_records, 0);
    w.m.is_busy = false;
    tiny_draw(&w.t, 3, 1);
    assert_int_equal(ox_session_snapshot(w.t.s, OX_WHY_TURN, &w.m.io, NULL), 0);
    assert_non_null(mem_io_at(&w.m, ox_session_timeline(w.t.s).n));
    mem_io_restart(&w.m); /* the store forgot which pages it was given */
    tiny_draw(&w.t, 3, 2);
    assert_int_equal(ox_session_snapshot(w.t.s, OX_WHY_TURN, &w.m.io, NULL), 0);
    assert_non_null(mem_io_at(&w.m, ox_session_timeline(w.t.s).n));
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart__weighs_loading_against_computing),
        cmocka_unit_test(test_restart__cost_grows_with_depth),
        cmocka_unit_test(test_restart__promises_the_speed_of_before),
        cmocka_unit_test(test_restart__says_what_is_replayed),
        cmocka_unit_test(test_restart__shared_pages_are_not_read_again),
        cmocka_unit_test(test_restart__s11_success_then_everything_computed_again),
        cmocka_unit_test(test_restart__s11_pages_of_another_state),
        cmocka_unit_test(test_restart__s11_index_without_bytes),
        cmocka_unit_test(test_restart__s11_part_of_each_page),
        cmocka_unit_test(test_restart__s11_exact_hit_computes_nothing),
        cmocka_unit_test(test_restart__s11_grid_for_pieces_of_any_size),
        cmocka_unit_test(test_restart__s11_twenty_turns),
        cmocka_unit_test(test_restart__s11_logits_that_are_not_finite),
        cmocka_unit_test(test_restart__s11_second_run_writes_nothing),
        cmocka_unit_test(test_restart__busy_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
