/* test_forward.c - the same tokens in other portions: at chunk borders the same bits, elsewhere
 * within rounding; on one thread or several, issued or replayed, the same bits (docs/KERNELS.md
 * section 5, docs/MODEL.md section 10 rules 5 and 6). */
#include "tests/support/fake_backend.h"
#include "tests/support/tiny.h"

#include "kernels/base/ox_mem.h"
#include "kernels/cpu/cpu_level.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { N = 777, V = 512 };
static int32_t ids[N];

static const char *const folders[] = {"tiny-7b-shape", "tiny-heads", "tiny-mixed-quant",
                                      "tiny-zero-points"};
enum { N_FOLDERS = sizeof folders / sizeof folders[0] };

/* Every level of this machine in turn, f32 activations and what people run. */
static void on_every_level(void (*check)(const char *folder, const struct ox_engine_opts *opts)) {
    int n_levels;
    const struct cpu_level *level = cpu_levels(&n_levels);
    for (int l = 0; l < 2 * n_levels; l++) {
        char backend[64];
        if (!level[l / 2].is_supported()) continue;
        snprintf(backend, sizeof backend, "cpu-%s", level[l / 2].name);
        struct ox_engine_opts opts = {.backend = backend, .n_threads = 1, .f32_activations = l % 2};
        for (int i = 0; i < N_FOLDERS; i++)
            check(folders[i], &opts);
    }
}

static void check_borders(const char *folder, const struct ox_engine_opts *opts) {
    static const size_t cuts[][4] = {{N}, {256, N}, {512, N}, {256, 512, 768, N}};
    struct ox_key first = {0};
    struct tiny t;
    tiny_open(&t, folder, opts, NULL);
    tiny_ids(ids, N, 4);
    for (size_t i = 0; i < 4; i++) {
        tiny_new_session(&t);
        for (size_t k = 0; k < 4 && cuts[i][k]; k++)
            tiny_sync(&t, ids, cuts[i][k]);
        struct ox_key got = tiny_digest(&t);
        if (i == 0) first = got;
        tiny_same(&first, &got, folder, i);
    }
    tiny_close(&t);
}

static void test_forward__pieces_cut_at_borders_are_equal(void **state) {
    on_every_level(check_borders);
    for (int i = 0; i < N_FOLDERS && tiny_has_cuda(); i++)
        check_borders(folders[i], &(struct ox_engine_opts){.backend = "cuda"});
}

/* Logits after tok[0,n) fed in portions of `piece`. */
static void logits_of(struct tiny *t, size_t n, size_t piece, float *out) {
    tiny_new_session(t);
    for (size_t at = 0; at < n;) {
        at = at + piece < n ? at + piece : n;
        tiny_sync(t, ids, at);
    }
    assert_int_equal(session_read_logits(t->s, out, NULL), 0);
}

/* One token at a time, and any other portion, against one prefill: rounding only. The delta state
 * is compared through the logits of everything that follows it. */
static void check_pieces(const char *folder, const struct ox_engine_opts *opts) {
    static const size_t pieces[] = {1, 7, 64, 100, 255, 257};
    static float whole[V], cut[V];
    struct tiny t;
    tiny_open(&t, folder, opts, NULL);
    tiny_ids(ids, N, 4);
    logits_of(&t, 300, 300, whole);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        double max = 0;
        logits_of(&t, 300, pieces[i], cut);
        for (int k = 0; k < V; k++)
            max = fmax(max, fabs((double)cut[k] - (double)whole[k]));
        /* The CPU gives the same bits for every cut (kn.h, Determinism): its delta rule is
         * recurrent in both forms. A backend with a chunked form stays within f32 rounding. */
        double limit = strncmp(opts->backend, "cpu", 3) == 0 ? 0 : 1e-3;
        if (max > limit)
            fail_msg("%s on %s: pieces of %zu: %.2e", folder, opts->backend, pieces[i], max);
    }
    tiny_close(&t);
}

static void test_forward__any_pieces(void **state) {
    on_every_level(check_pieces);
}

static void check_threads(const char *folder, const struct ox_engine_opts *opts) {
    struct ox_key one = {0};
    for (int n = 1; n <= 3; n++) {
        struct ox_engine_opts o = *opts;
        struct tiny t;
        o.n_threads = n;
        tiny_open(&t, folder, &o, NULL);
        tiny_ids(ids, N, 4);
        tiny_sync(&t, ids, 130);
        tiny_draw(&t, 5, 1);
        struct ox_key got = tiny_digest(&t);
        if (n == 1) one = got;
        tiny_same(&one, &got, "threads", (size_t)n);
        tiny_close(&t);
    }
}

static void test_forward__threads_change_nothing(void **state) {
    on_every_level(check_threads);
}

/* Prompt in odd pieces, answer, next prompt: issued directly, and replayed with steps ahead. */
static struct ox_key run_turns(const char *folder, bool ahead, bool no_recording) {
    struct tiny t;
    fake_backend_reset();
    fake_backend_settings()->ahead = ahead;
    fake_backend_settings()->no_recording = no_recording;
    tiny_open(&t, folder, NULL, fake_backend());
    tiny_ids(ids, N, 4);
    for (size_t n = 3; n < 60; n += 5) /* pieces short enough to be recorded */
        tiny_sync(&t, ids, n);
    tiny_sync(&t, ids, 250);
    tiny_draw(&t, 40, 12); /* over the end of a page */
    struct ox_prefix now = ox_session_timeline(t.s);
    static int32_t more[N];
    memcpy(more, now.tok, now.n * sizeof *more);
    size_t n = now.n;
    tiny_ids(more + n, 20, 8);
    tiny_sync(&t, more, n + 20);
    tiny_draw(&t, 20, 13);
    struct ox_key got = tiny_digest(&t);
    tiny_close(&t);
    return got;
}

static void test_forward__replay_equals_direct(void **state) {
    for (int i = 0; i < N_FOLDERS; i++) {
        struct ox_key direct = run_turns(folders[i], false, true);
        assert_int_equal(fake_backend_settings()->n_replayed, 0);
        struct ox_key replayed = run_turns(folders[i], false, false);
        assert_true(fake_backend_settings()->n_replayed > 50);
        tiny_same(&direct, &replayed, folders[i], 1);
        struct ox_key ahead = run_turns(folders[i], true, false);
        assert_true(fake_backend_settings()->n_replayed > 50);
        tiny_same(&direct, &ahead, folders[i], 2);
    }
}

struct rows {
    float last[V];
    size_t n;
};
static int take_rows(void *user, size_t first, const float *logits, size_t n) {
    struct rows *r = user;
    assert_int_equal(first, r->n);
    memcpy(r->last, logits + (n - 1) * V, sizeof r->last);
    r->n += n;
    return 0;
}

/* The judge's way of getting every row gives the bits of the user's way, and leaves the same state.
 */
static void test_forward__score_and_sync_agree(void **state) {
    struct tiny t;
    static struct rows r;
    float logits[V];
    tiny_open(&t, "tiny-7b-shape", NULL, NULL);
    tiny_ids(ids, N, 4);
    tiny_sync(&t, ids, N);
    struct ox_key synced = tiny_digest(&t);
    assert_int_equal(session_read_logits(t.s, logits, NULL), 0);
    tiny_new_session(&t);
    assert_int_equal(session_score(t.s, (struct ox_prefix){ids, N}, take_rows, &r, NULL), 0);
    assert_int_equal(r.n, N);
    assert_memory_equal(r.last, logits, sizeof logits);
    struct ox_key scored = tiny_digest(&t);
    tiny_same(&synced, &scored, "score", N);
    tiny_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward__pieces_cut_at_borders_are_equal),
        cmocka_unit_test(test_forward__any_pieces),
        cmocka_unit_test(test_forward__threads_change_nothing),
        cmocka_unit_test(test_forward__replay_equals_direct),
        cmocka_unit_test(test_forward__score_and_sync_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
