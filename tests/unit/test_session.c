/* test_session.c - what ox.h promises of a session: errors, plans that add up, stop ids,
 * cancelling, a loop of tokens that allocates nothing, and every allocation failing in turn. */
#include "tests/support/fake_backend.h"
#include "tests/support/tiny.h"

#include "kernels/base/ox_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MAX = 3000 };
static int32_t ids[MAX];

static struct tiny open_tiny(uint32_t max_tokens) {
    struct tiny t;
    struct ox_engine_opts opts = {.backend = "cpu", .n_threads = 1, .max_tokens = max_tokens};
    tiny_open(&t, "tiny-gqa-tied", &opts, NULL);
    tiny_ids(ids, MAX, 1);
    return t;
}

static void test_session__refuses(void **state) {
    struct tiny t = open_tiny(300);
    struct ox_sampling how = {.top_p = 1, .repeat = 1};
    ox_err err = {0};
    int32_t tok, bad[2] = {1, 512};
    assert_int_equal(ox_session_next(t.s, &how, &tok, &err), OX_EUSAGE);
    assert_int_equal(ox_session_sync(t.s, (struct ox_prefix){ids, 0}, NULL, NULL, &err), OX_EUSAGE);
    assert_int_equal(ox_session_sync(t.s, (struct ox_prefix){ids, 301}, NULL, NULL, &err), OX_EFIT);
    assert_true(err.fix[0] != 0);
    assert_int_equal(ox_session_sync(t.s, (struct ox_prefix){bad, 2}, NULL, NULL, &err), OX_EUSAGE);
    bad[1] = -1;
    assert_int_equal(ox_session_sync(t.s, (struct ox_prefix){bad, 2}, NULL, NULL, &err), OX_EUSAGE);
    assert_int_equal(ox_session_timeline(t.s).n, 0);
    tiny_sync(&t, ids, 300); /* full to the last place, and then no further */
    assert_int_equal(ox_session_next(t.s, &how, &tok, &err), OX_EFIT);
    tiny_sync(&t, ids, 299);
    assert_int_equal(ox_session_next(t.s, &how, &tok, &err), 0);
    tiny_close(&t);
}

/* Positions that the plan promises are computed are exactly those that pass through the model. */
static void check_plan(struct tiny *t, size_t n, struct ox_plan want) {
    struct ox_prefix p = {ids, n};
    struct ox_plan before, done;
    uint64_t from = session_n_forward(t->s);
    assert_int_equal(ox_session_plan(t->s, p, NULL, &before, NULL), 0);
    assert_int_equal(session_n_forward(t->s), from);
    assert_int_equal(ox_session_sync(t->s, p, NULL, &done, NULL), 0);
    if (done.live != want.live || done.replay != want.replay || done.fresh != want.fresh)
        fail_msg("%zu: live %zu replay %zu fresh %zu", n, done.live, done.replay, done.fresh);
    assert_int_equal(before.live + before.restored, done.live + done.restored);
    assert_int_equal(before.replay, done.replay);
    assert_int_equal(done.live + done.restored + done.replay + done.fresh, n);
    assert_int_equal(session_n_forward(t->s) - from, done.replay + done.fresh);
    struct ox_prefix now = ox_session_timeline(t->s);
    assert_int_equal(now.n, n);
    assert_memory_equal(now.tok, ids, n * sizeof *ids);
}

static void test_session__plans_add_up(void **state) {
    struct tiny t = open_tiny(MAX);
    check_plan(&t, 100, (struct ox_plan){.fresh = 100});
    check_plan(&t, 100, (struct ox_plan){.live = 100}); /* nothing to do: the logits are there */
    check_plan(&t, 400, (struct ox_plan){.live = 100, .fresh = 300});
    check_plan(&t, 100, (struct ox_plan){.live = 100}); /* back to a place that was kept */
    check_plan(&t, 90, (struct ox_plan){.replay = 90}); /* a state cannot be shortened */
    check_plan(&t, 500, (struct ox_plan){.live = 90, .fresh = 410});
    ids[95] ^= 1; /* an edit: from the last place before it */
    check_plan(&t, 500, (struct ox_plan){.live = 90, .replay = 5, .fresh = 405});
    ids[0] ^= 1;
    check_plan(&t, 500, (struct ox_plan){.fresh = 500});
    tiny_close(&t);
}

static void test_session__borders_are_places_to_return_to(void **state) {
    struct tiny t = open_tiny(MAX);
    struct ox_border borders[] = {{50, OX_WHY_SYSTEM}, {333, OX_WHY_DOCUMENT}, {700, OX_WHY_ASK}};
    struct ox_sync_opts opts = {.borders = borders, .n_borders = 3};
    assert_int_equal(ox_session_sync(t.s, (struct ox_prefix){ids, 700}, &opts, NULL, NULL), 0);
    ids[400] ^= 1;
    check_plan(&t, 600, (struct ox_plan){.live = 333, .replay = 67, .fresh = 200});
    ids[60] ^= 1;
    check_plan(&t, 600, (struct ox_plan){.live = 50, .replay = 10, .fresh = 540});
    tiny_close(&t);
}

/* A drawn token that was not fed yet is simply not wanted, or goes on as if nobody had asked. */
static void test_session__edits_behind_a_draw(void **state) {
    struct tiny t = open_tiny(MAX);
    tiny_sync(&t, ids, 100);
    tiny_draw(&t, 1, 4);
    size_t n = ox_session_timeline(t.s).n;
    assert_true(n <= 101);
    uint64_t from = session_n_forward(t.s);
    tiny_sync(&t, ids, 100);
    assert_int_equal(session_n_forward(t.s), from); /* nothing computed: the logits still stand */
    tiny_close(&t);
}

/* A stop id comes back, is not appended, and the logits stay as they are: drawing goes on. */
static void test_session__stop_ids(void **state) {
    for (int is_ahead = 0; is_ahead < 2; is_ahead++) {
        struct tiny t;
        fake_backend_reset();
        fake_backend_settings()->ahead = is_ahead;
        tiny_open(&t, "tiny-gqa-tied", NULL, fake_backend());
        tiny_ids(ids, 10, 1);
        tiny_sync(&t, ids, 10);
        /* Make the likeliest id a stop id. */
        struct ox_sampling how = {.top_p = 1, .repeat = 1};
        int32_t first = -1, again = -1;
        assert_int_equal(ox_session_next(t.s, &how, &first, NULL), 0);
        tiny_new_session(&t);
        tiny_sync(&t, ids, 10);
        t.e->stop[t.e->n_stop++] = first;
        struct ox_key before = tiny_digest(&t);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(ox_session_next(t.s, &how, &again, NULL), 0);
            assert_int_equal(again, first);
            assert_int_equal(ox_session_timeline(t.s).n, 10);
        }
        struct ox_key after = tiny_digest(&t);
        tiny_same(&before, &after, "after a stop id", (size_t)is_ahead);
        t.e->n_stop--;
        tiny_draw(&t, 5, 3);
        tiny_close(&t);
    }
}

static void test_session__loop_of_tokens_allocates_nothing(void **state) {
    for (int is_ahead = 0; is_ahead < 2; is_ahead++) {
        struct tiny t;
        fake_backend_reset();
        fake_backend_settings()->ahead = is_ahead;
        tiny_open(&t, "tiny-7b-shape", NULL, fake_backend());
        tiny_ids(ids, 300, 2);
        tiny_sync(&t, ids, 300);
        tiny_draw(&t, 3, 1); /* scratch of the first step, the recording */
        ox_mem_fail_at(0);
        tiny_draw(&t, 200, 5); /* stays inside the page 256..511 */
        assert_int_equal(ox_mem_fail_at(0), 0);
        assert_true(ox_session_timeline(t.s).n > 400 && ox_session_timeline(t.s).n < 512);
        size_t n = ox_session_timeline(t.s).n;
        while (ox_session_timeline(t.s).n < 600)
            tiny_draw(&t, 1, n++);
        assert_true(ox_mem_fail_at(0) <= 1); /* one KV page */
        tiny_close(&t);
    }
}

/* ---- cancelling ----------------------------------------------------------------------------- */

struct canceller {
    ox_session *s;
    uint64_t left; /* operations until it strikes */
};

static void strike(void *user) {
    struct canceller *c = user;
    if (c->left && --c->left == 0) ox_session_cancel(c->s);
}

/* At every operation of a prefill of three chunks: finished chunks stay, the rest is undone, and
 * going on gives the bits of a run that was never disturbed. */
static void test_session__cancelled_at_every_operation(void **state) {
    struct tiny t;
    enum { N = 600 };
    fake_backend_reset();
    tiny_open(&t, "tiny-gqa-tied", NULL, fake_backend());
    tiny_ids(ids, N, 6);
    tiny_sync(&t, ids, N);
    struct ox_key straight = tiny_digest(&t);
    uint64_t n_ops = fake_backend_settings()->n_ops, n_cancelled = 0;
    for (uint64_t at = 1; at <= n_ops; at++) {
        tiny_new_session(&t);
        struct canceller c = {t.s, at};
        fake_backend_settings()->on_op = strike;
        fake_backend_settings()->user = &c;
        struct ox_plan plan;
        int rc = ox_session_sync(t.s, (struct ox_prefix){ids, N}, NULL, &plan, NULL);
        fake_backend_settings()->on_op = NULL;
        size_t n = ox_session_timeline(t.s).n;
        if (rc != OX_ECANCELLED && n != N)
            fail_msg("operation %llu: %d", (unsigned long long)at, rc);
        if (rc == OX_ECANCELLED && n % 256) fail_msg("%zu tokens stayed", n);
        n_cancelled += rc == OX_ECANCELLED;
        tiny_sync(&t, ids, N);
        struct ox_key got = tiny_digest(&t);
        tiny_same(&straight, &got, "cancelled at operation", (size_t)at);
    }
    assert_true(n_cancelled > n_ops / 2);
    tiny_close(&t);
}

static void test_session__a_stale_cancel_is_forgotten(void **state) {
    struct tiny t = open_tiny(MAX);
    ox_session_cancel(t.s);
    tiny_sync(&t, ids, 300);
    ox_session_cancel(t.s);
    tiny_draw(&t, 1, 1);
    tiny_close(&t);
}

/* ---- memory runs out ------------------------------------------------------------------------ */

static void test_session__every_allocation_fails_once(void **state) {
    struct ox_engine_opts opts = {.model_dir = OXBOW_TEST_DIR "/golden/tiny-gqa-tied",
                                  .backend = "cpu",
                                  .n_threads = 2,
                                  .max_tokens = 1000};
    struct ox_sampling how = {.top_p = 1, .repeat = 1};
    tiny_ids(ids, 600, 8);
    for (uint64_t n = 1;; n++) {
        ox_engine *e = NULL;
        ox_session *s = NULL;
        ox_err err = {0};
        int32_t tok;
        ox_mem_fail_at(n);
        int rc = ox_engine_open(&opts, &e, &err);
        if (!rc) rc = ox_session_open(e, &s, &err);
        if (!rc) rc = ox_session_sync(s, (struct ox_prefix){ids, 300}, NULL, NULL, &err);
        if (!rc) rc = ox_session_next(s, &how, &tok, &err);
        if (!rc) rc = ox_session_sync(s, (struct ox_prefix){ids, 600}, NULL, NULL, &err);
        ox_mem_fail_at(0);
        if (rc && !err.what[0]) fail_msg("allocation %llu: no reason", (unsigned long long)n);
        /* Whatever failed, the session can be used again. */
        if (rc && s)
            assert_int_equal(ox_session_sync(s, (struct ox_prefix){ids, 600}, NULL, NULL, &err), 0);
        ox_session_close(s);
        ox_engine_close(e);
        if (!rc) break;
    }
}

static void test_session__two_sessions_share_an_engine(void **state) {
    struct tiny t = open_tiny(MAX);
    tiny_sync(&t, ids, 100);
    struct ox_key alone = tiny_digest(&t);
    ox_session *other = NULL;
    assert_int_equal(ox_session_open(t.e, &other, NULL), 0);
    assert_int_equal(ox_session_sync(other, (struct ox_prefix){ids + 50, 333}, NULL, NULL, NULL),
                     0);
    struct ox_key after = tiny_digest(&t);
    tiny_same(&alone, &after, "beside another session", 0);
    ox_session_close(other);
    tiny_close(&t);
}

static void test_session__info_is_complete(void **state) {
    struct tiny t = open_tiny(1234);
    const struct ox_info *i = ox_engine_info(t.e);
    assert_string_equal(i->name, "tiny-gqa-tied");
    assert_int_equal(i->max_tokens, 1234);
    assert_int_equal(i->n_params, 593644);
    assert_int_equal(i->n_vocab, 500);
    assert_true(i->weights.hi && i->vocab.hi && i->space.hi && i->state_bytes > 4096);
    assert_int_equal(i->n_gdn_layers + i->n_attn_layers, 6);
    assert_int_equal(i->token_bytes, 4 * 1 * 2 * (96 / 6)); /* bf16, one attention layer, 2 heads */
    assert_non_null(i->note);
    tiny_close(&t);
}

static void test_session__backends_by_name(void **state) {
    static const struct {
        const char *backend, *kv;
        int code;
    } cases[] = {
        {"cpu", NULL, 0},
        {"auto", NULL, 0},
        {"cpu-ref", NULL, 0},
        {NULL, "int8", 0},
        {"gpu", NULL, OX_EUSAGE},
        {"cpu-", NULL, OX_EUSAGE},
        {"cpuavx2", NULL, OX_EUSAGE},
        {"cpu-6502", NULL, OX_EDEVICE},
        {"cpu", "f16", OX_EUSAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ox_engine_opts opts = {.model_dir = OXBOW_TEST_DIR "/golden/tiny-gqa-tied",
                                      .backend = cases[i].backend,
                                      .kv = cases[i].kv};
        ox_engine *e = NULL;
        ox_err err = {0};
        int rc = ox_engine_open(&opts, &e, &err);
        if (rc != cases[i].code) fail_msg("case %zu: %d %s", i, rc, err.what);
        if (rc && !err.fix[0]) fail_msg("case %zu: no way out is named", i);
        ox_engine_close(e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session__refuses),
        cmocka_unit_test(test_session__plans_add_up),
        cmocka_unit_test(test_session__borders_are_places_to_return_to),
        cmocka_unit_test(test_session__edits_behind_a_draw),
        cmocka_unit_test(test_session__stop_ids),
        cmocka_unit_test(test_session__loop_of_tokens_allocates_nothing),
        cmocka_unit_test(test_session__cancelled_at_every_operation),
        cmocka_unit_test(test_session__a_stale_cancel_is_forgotten),
        cmocka_unit_test(test_session__every_allocation_fails_once),
        cmocka_unit_test(test_session__two_sessions_share_an_engine),
        cmocka_unit_test(test_session__info_is_complete),
        cmocka_unit_test(test_session__backends_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
