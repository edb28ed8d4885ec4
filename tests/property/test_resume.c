/* test_resume.c - a timeline that was stopped, saved, loaded and continued equals one that never
 * was, bit for bit: ids, states, logits, keys and values (docs/STORE.md section 7). And a saved
 * state that is damaged, foreign or missing costs time only. */
#include "tests/support/fake_backend.h"
#include "tests/support/mem_io.h"
#include "tests/support/tiny.h"

#include "engine/statefmt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { MAX_IDS = 9000, MORE = 7, DRAWS = 12 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LONGEST = 300, EVERY = 8 }; /* ten times slower: what is long is left to release builds */
#else
enum { LONGEST = 5000, EVERY = 1 };
#endif

static const size_t lengths[] = {1,   2,   3,   63,  64,  65,  127,  128,  129, 255,
                                 256, 257, 300, 511, 512, 513, 4095, 4096, 4097};

static void sync_io(struct tiny *t, struct mem_io *m, const int32_t *tok, size_t n,
                    struct ox_plan *plan) {
    struct ox_sync_opts opts = {.io = m ? &m->io : NULL};
    struct ox_plan own;
    ox_err err = {0};
    int rc = ox_session_sync(t->s, (struct ox_prefix){tok, n}, &opts, plan ? plan : &own, &err);
    if (rc) fail_msg("sync of %zu: %s", n, err.what);
}

/* A new start of the program: everything comes from the store, and nothing is computed. */
static void restart_program(struct tiny *t, struct mem_io *m, size_t n) {
    static int32_t want[MAX_IDS];
    struct ox_plan plan;
    memcpy(want, ox_session_timeline(t->s).tok, n * sizeof *want);
    tiny_new_session(t);
    mem_io_restart(m);
    sync_io(t, m, want, n, &plan);
    assert_int_equal(plan.restored, n);
    assert_int_equal(plan.fresh + plan.replay + plan.live, 0);
    assert_true(plan.exact);
    assert_int_equal(session_n_forward(t->s), 0);
}

/* Prompt, answer, turn saved, second prompt, answer, turn saved. stops: bit i set: the program ends
 * and starts again before step i. m NULL: never stopped, nothing stored. */
static struct ox_key tell_story(struct tiny *t, struct mem_io *m, size_t n, unsigned stops) {
    static int32_t tok[MAX_IDS];
    const struct ox_state_io *io = m ? &m->io : NULL;
    tiny_ids(tok, n, (uint32_t)n);
    tiny_new_session(t);
    sync_io(t, m, tok, n, NULL);
    for (int turn = 0; turn < 2; turn++) {
        if (stops & (1u << (2 * turn))) restart_program(t, m, ox_session_timeline(t->s).n);
        tiny_draw(t, DRAWS, 77);
        assert_int_equal(ox_session_snapshot(t->s, OX_WHY_TURN, io, NULL), 0);
        struct ox_prefix now = ox_session_timeline(t->s);
        if (stops & (2u << (2 * turn))) restart_program(t, m, now.n);
        now = ox_session_timeline(t->s);
        memcpy(tok, now.tok, now.n * sizeof *tok);
        tiny_ids(tok + now.n, MORE, 5);
        sync_io(t, m, tok, now.n + MORE, NULL);
    }
    return tiny_digest(t);
}

static void check_story(struct tiny *t, const char *name, size_t longest) {
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        if (lengths[i] > longest || lengths[i] > LONGEST) break;
        struct ox_key straight = tell_story(t, NULL, lengths[i], 0);
        /* At single places and at several; long ones at all of them in one run. */
        for (unsigned stops = lengths[i] > 1000 ? 15 : 1; stops<16; stops += stops> 1 ? 6 : 1) {
            struct mem_io m;
            mem_io_init(&m);
            struct ox_key stopped = tell_story(t, &m, lengths[i], stops);
            tiny_same(&straight, &stopped, name, lengths[i]);
            mem_io_deinit(&m);
        }
    }
}

/* Folders on one backend. */
static void check_stories(const char *backend) {
    static const struct {
        const char *folder, *kv;
        size_t longest;
    } cases[] = {
        {"tiny-7b-shape", "bf16", 5000},
        {"tiny-gqa-tied", "int8", 513},
        {"tiny-mixed-quant", "bf16", 513},
        {"tiny-heads", "f32", 513},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ox_engine_opts opts = {.backend = backend, .n_threads = 1, .kv = cases[i].kv};
        struct tiny t;
        tiny_open(&t, cases[i].folder, &opts, NULL);
        check_story(&t, cases[i].folder, cases[i].longest);
        tiny_close(&t);
    }
}

static void test_resume__equals_straight_on(void **state) {
    check_stories("cpu");
}

static void test_resume__equals_straight_on_cuda(void **state) {
    if (tiny_has_cuda()) check_stories("cuda");
}

/* The same on a device that works ahead of the draw, records steps and copies out late. */
static void test_resume__on_a_device_that_works_ahead(void **state) {
    struct tiny t;
    fake_backend_reset();
    tiny_open(&t, "tiny-7b-shape", NULL, fake_backend());
    check_story(&t, "ahead", 513);
    assert_true(fake_backend_settings()->n_replayed > 100);
    tiny_close(&t);
}

/* Decode across grid and page borders: the records are there and exact. */
static void test_resume__grid_in_decode(void **state) {
    static int32_t tok[MAX_IDS];
    for (int is_ahead = 0; is_ahead < 2; is_ahead++) {
        struct tiny t;
        struct mem_io m;
        fake_backend_reset();
        fake_backend_settings()->ahead = is_ahead;
        tiny_open(&t, "tiny-gqa-tied", NULL, fake_backend());
        mem_io_init(&m);
        tiny_ids(tok, 4090, 3);
        sync_io(&t, &m, tok, 4090, NULL);
        assert_null(mem_io_at(&m, 4096));
        while (ox_session_timeline(t.s).n < 4100)
            tiny_draw(&t, 1, ox_session_timeline(t.s).n);
        struct ox_key straight = tiny_digest(&t);
        assert_int_equal(ox_session_snapshot(t.s, OX_WHY_STOP, &m.io, NULL), 0);
        assert_non_null(mem_io_at(&m, 4096));
        assert_int_equal(mem_io_at(&m, 4096)->why, OX_WHY_GRID);
        memcpy(tok, ox_session_timeline(t.s).tok, 4100 * sizeof *tok);
        tiny_new_session(&t);
        mem_io_at(&m, 4100)->is_gone = true;
        struct ox_plan plan;
        sync_io(&t, &m, tok, 4096, &plan);
        assert_int_equal(plan.restored, 4096);
        for (size_t n = 4097; n <= 4100; n++) /* token by token, as it was decoded */
            tiny_sync(&t, tok, n);
        struct ox_key again = tiny_digest(&t);
        tiny_same(&straight, &again, "from the grid", 4100);
        mem_io_deinit(&m);
        tiny_close(&t);
    }
}

/* ---- random conversations ------------------------------------------------------------------- */

static uint32_t roll(uint32_t *seed, uint32_t n) {
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % n;
}

/* Turns, edits and forks at random: an edit goes back to the end of an earlier turn and on from
 * there with other words. With a store the program ends and starts again before every third action.
 */
static struct ox_key converse(struct tiny *t, struct mem_io *m, uint32_t seed) {
    enum { ACTIONS = 14 };
    static int32_t tok[MAX_IDS];
    size_t ends[ACTIONS + 1] = {0}, n_ends = 0, n = 100 + roll(&seed, 300);
    tiny_ids(tok, n, seed);
    tiny_new_session(t);
    for (int i = 0; i < ACTIONS; i++) {
        bool is_edit = n_ends && roll(&seed, 3) == 0, is_new = roll(&seed, 3) == 0;
        if (is_edit) {
            n_ends = roll(&seed, (uint32_t)n_ends) + 1;
            n = ends[n_ends - 1] + 1 + roll(&seed, 80);
            tiny_ids(tok + ends[n_ends - 1], n - ends[n_ends - 1], seed);
        }
        if (m && is_new) {
            tiny_new_session(t);
            mem_io_restart(m);
        }
        sync_io(t, m, tok, n, NULL);
        tiny_draw(t, 1 + roll(&seed, 40), seed);
        assert_int_equal(ox_session_snapshot(t->s, OX_WHY_TURN, m ? &m->io : NULL, NULL), 0);
        struct ox_prefix now = ox_session_timeline(t->s);
        memcpy(tok, now.tok, now.n * sizeof *tok);
        ends[n_ends++] = now.n;
        n = now.n + 1 + roll(&seed, 60);
        tiny_ids(tok + now.n, n - now.n, seed);
    }
    return tiny_digest(t);
}

static void test_resume__random_conversations(void **state) {
    struct tiny t;
    fake_backend_reset();
    tiny_open(&t, "tiny-heads", &(struct ox_engine_opts){.backend = "cpu", .n_threads = 1},
              fake_backend());
    for (uint32_t seed = 1; seed <= 12; seed++) {
        struct mem_io m;
        mem_io_init(&m);
        struct ox_key straight = converse(&t, NULL, seed), stopped = converse(&t, &m, seed);
        tiny_same(&straight, &stopped, "conversation", seed);
        assert_true(m.n_found > 0);
        mem_io_deinit(&m);
    }
    tiny_close(&t);
}

/* ---- damage --------------------------------------------------------------------------------- */

struct damaged {
    struct tiny t;
    struct mem_io m;
    int32_t tok[MAX_IDS];
    struct ox_key fresh; /* of a run from the beginning */
};
enum { N_DAMAGED = 300 };

static void damaged_open(struct damaged *d) {
    tiny_open(&d->t, "tiny-gqa-tied", &(struct ox_engine_opts){.backend = "cpu", .n_threads = 1},
              NULL);
    tiny_ids(d->tok, N_DAMAGED, 9);
    tiny_sync(&d->t, d->tok, N_DAMAGED);
    d->fresh = tiny_digest(&d->t);
}

/* Saves anew, damages, loads: same bits as a fresh run, one log line if the damage was seen. */
static void damage(struct damaged *d, enum ox_blob what, size_t at, unsigned char mask, bool resum,
                   bool must_be_seen) {
    char name[96];
    mem_io_init(&d->m);
    tiny_new_session(&d->t);
    sync_io(&d->t, &d->m, d->tok, N_DAMAGED, NULL);
    struct mem_record *r = mem_io_at(&d->m, N_DAMAGED);
    size_t blob = what == OX_BLOB_STATE ? r->state : what == OX_BLOB_TAIL ? r->tail : r->page[0];
    if (mask)
        mem_io_flip(&d->m, blob, at, mask, resum);
    else
        mem_io_truncate(&d->m, blob, at);
    tiny_new_session(&d->t);
    mem_io_restart(&d->m);
    struct ox_plan plan;
    sync_io(&d->t, &d->m, d->tok, N_DAMAGED, &plan);
    snprintf(name, sizeof name, "blob %d%s, byte", (int)what, resum ? " summed again" : "");
    struct ox_key got = tiny_digest(&d->t);
    tiny_same(&d->fresh, &got, name, at);
    if (must_be_seen) {
        if (plan.restored) fail_msg("%s %zu: was used", name, at);
        if (d->m.n_logged != 1) fail_msg("%s %zu: %zu log lines", name, at, d->m.n_logged);
        assert_false(plan.exact);
        assert_int_equal(plan.replay, N_DAMAGED);
    }
    mem_io_deinit(&d->m);
}

static void test_resume__damage_costs_time_only(void **state) {
    struct damaged d;
    damaged_open(&d);
    const struct cache_shape *s = &d.t.e->shape;
    for (int resum = 0; resum < 2; resum++) {
        /* Every byte of the header's fields; the store's own sums need no such care. */
        for (size_t at = 0; at < 256; at += resum ? EVERY : 16)
            damage(&d, OX_BLOB_STATE, at, 0x10, resum, true);
        const size_t sections[] = {0, s->conv_at, s->logits_at};
        const size_t sizes[] = {s->state_bytes, s->conv_bytes, s->logits_bytes};
        for (int i = 0; i < 3; i++)
            for (size_t k = 0; k <= 4; k++)
                damage(&d, OX_BLOB_STATE, STATEFMT_HEADER + sections[i] + (sizes[i] - 1) * k / 4, 1,
                       resum, true);
        for (size_t at = 0; at < s->page_bytes; at += 4096)
            damage(&d, OX_BLOB_PAGE, at, 0x80, resum, true);
        for (size_t at = 0; at < statefmt_tail_bytes(s, N_DAMAGED % 256); at += 1000)
            damage(&d, OX_BLOB_TAIL, at, 1, resum, true);
    }
    tiny_close(&d.t);
}

static void test_resume__short_and_missing_bytes(void **state) {
    struct damaged d;
    damaged_open(&d);
    static const enum ox_blob kinds[] = {OX_BLOB_STATE, OX_BLOB_PAGE, OX_BLOB_TAIL};
    for (int i = 0; i < 3; i++) {
        damage(&d, kinds[i], 0, 0, false, true);
        damage(&d, kinds[i], 100, 0, false, true);
        damage(&d, kinds[i], 4096, 0, false, true);
    }
    tiny_close(&d.t);
}

/* A shorter record that is whole serves after a damaged longer one. */
static void test_resume__falls_back_to_the_record_below(void **state) {
    struct damaged d;
    damaged_open(&d);
    mem_io_init(&d.m);
    tiny_new_session(&d.t);
    sync_io(&d.t, &d.m, d.tok, 256, NULL);
    sync_io(&d.t, &d.m, d.tok, N_DAMAGED, NULL);
    mem_io_flip(&d.m, mem_io_at(&d.m, N_DAMAGED)->state, 5000, 4, false);
    tiny_new_session(&d.t);
    mem_io_restart(&d.m);
    struct ox_plan plan;
    sync_io(&d.t, &d.m, d.tok, N_DAMAGED, &plan);
    assert_int_equal(plan.restored, 256);
    assert_int_equal(plan.replay, N_DAMAGED - 256);
    assert_int_equal(plan.live + plan.restored + plan.replay + plan.fresh, N_DAMAGED);
    assert_int_equal(session_n_forward(d.t.s), N_DAMAGED - 256);
    struct ox_key got = tiny_digest(&d.t);
    tiny_same(&d.fresh, &got, "record below", 256);
    mem_io_deinit(&d.m);
    tiny_close(&d.t);
}

/* Records of another model, KV format or position are refused whatever the store says. */
static void test_resume__foreign_records(void **state) {
    static int32_t tok[MAX_IDS];
    struct mem_io m;
    struct tiny a, b;
    mem_io_init(&m);
    tiny_ids(tok, N_DAMAGED, 9);
    tiny_open(&a, "tiny-7b-shape-w8a16", NULL, NULL);
    sync_io(&a, &m, tok, N_DAMAGED, NULL);
    tiny_close(&a);
    tiny_open(&b, "tiny-7b-shape", NULL, NULL); /* equal shapes, other weights */
    mem_io_restart(&m);
    struct ox_plan plan;
    sync_io(&b, &m, tok, N_DAMAGED, &plan);
    assert_int_equal(plan.restored, 0);
    assert_int_equal(m.n_logged, 1);
    struct ox_key got = tiny_digest(&b);
    tiny_new_session(&b);
    tiny_sync(&b, tok, N_DAMAGED);
    struct ox_key fresh = tiny_digest(&b);
    tiny_same(&got, &fresh, "foreign", N_DAMAGED);
    tiny_close(&b);
    mem_io_deinit(&m);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume__equals_straight_on),
        cmocka_unit_test(test_resume__equals_straight_on_cuda),
        cmocka_unit_test(test_resume__on_a_device_that_works_ahead),
        cmocka_unit_test(test_resume__grid_in_decode),
        cmocka_unit_test(test_resume__random_conversations),
        cmocka_unit_test(test_resume__damage_costs_time_only),
        cmocka_unit_test(test_resume__short_and_missing_bytes),
        cmocka_unit_test(test_resume__falls_back_to_the_record_below),
        cmocka_unit_test(test_resume__foreign_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
