/* tiny.c - see tiny.h. */
#include "tests/support/tiny.h"

#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <xxhash.h>

static void must(int rc, const char *what, const ox_err *err) {
    if (rc) fail_msg("%s: %d %s: %s (%s)", what, rc, err->where, err->what, err->fix);
}

void tiny_open(struct tiny *t, const char *folder, const struct ox_engine_opts *opts,
               const struct kn_backend *kn) {
    char path[512];
    ox_err err = {0};
    struct ox_engine_opts o = {.backend = "cpu", .n_threads = 1, .f32_activations = true};
    if (opts) o = *opts; /* one thread: these matrices are too small for two */
    if (!o.max_tokens) o.max_tokens = 16384;
    snprintf(path, sizeof path, "%s/golden/%s", OXBOW_TEST_DIR, folder);
    o.model_dir = path;
    *t = (struct tiny){0};
    must(kn ? engine_open_on(&o, kn, NULL, &t->e, &err) : ox_engine_open(&o, &t->e, &err), folder,
         &err);
    tiny_new_session(t);
}

void tiny_new_session(struct tiny *t) {
    ox_err err = {0};
    ox_session_close(t->s);
    t->s = NULL;
    must(ox_session_open(t->e, &t->s, &err), "open session", &err);
}

void tiny_close(struct tiny *t) {
    ox_session_close(t->s);
    ox_engine_close(t->e);
    *t = (struct tiny){0};
}

bool tiny_has_cuda(void) {
    const char *must = getenv("OXBOW_TEST_REQUIRE");
    kn_dev *dev = NULL;
    ox_err err = {.what = "built without CUDA"};
    if (kn_cuda() && kn_cuda()->open(&(struct kn_open){0}, &dev, &err) == 0) {
        kn_cuda()->close(dev);
        return true;
    }
    if (must && strstr(must, "cuda")) fail_msg("a GPU is required: %s", err.what);
    printf("SKIP on a GPU: %s\n", err.what);
    return false;
}

void tiny_ids(int32_t *tok, size_t n, uint32_t seed) {
    uint32_t x = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        tok[i] = (int32_t)((x >> 8) % 488);
    }
}

void tiny_sync(struct tiny *t, const int32_t *tok, size_t n) {
    ox_err err = {0};
    must(ox_session_sync(t->s, (struct ox_prefix){tok, n}, NULL, NULL, &err), "sync", &err);
}

size_t tiny_draw(struct tiny *t, size_t n, uint64_t seed) {
    struct ox_sampling how = {.temperature = 1, .top_p = 1, .repeat = 1.1f};
    size_t before = ox_session_timeline(t->s).n;
    ox_err err = {0};
    for (size_t i = 0; i < n; i++) {
        int32_t tok;
        how.seed = seed + i; /* a stop id that was drawn is not drawn for ever */
        must(ox_session_next(t->s, &how, &tok, &err), "next", &err);
    }
    return ox_session_timeline(t->s).n - before;
}

/* The first n_rows rows of every block of a page, int8 scales included. */
static void hash_page(XXH3_state_t *h, const struct cache_shape *s, const char *page,
                      size_t n_rows) {
    size_t block = kn_kv_block_bytes(s->kv, s->head_size), row = kn_bytes(s->kv, s->head_size);
    size_t scales = block / KN_PAGE_TOKENS - row;
    for (size_t at = 0; at < s->page_bytes; at += block) {
        XXH3_128bits_update(h, page + at, n_rows * row);
        XXH3_128bits_update(h, page + at + KN_PAGE_TOKENS * row, n_rows * scales);
    }
}

struct ox_key tiny_digest(struct tiny *t) {
    const struct cache *c = &t->s->cache;
    ox_err err = {0};
    must(session_settle(t->s, &err), "settle", &err);
    size_t n = t->s->n_fed, n_max = c->shape.page_bytes > c->shape.record_bytes
                                        ? c->shape.page_bytes
                                        : c->shape.record_bytes;
    char *host = ox_alloc(n_max, 1, "copy", &err);
    XXH3_state_t *h = XXH3_createState();
    assert_non_null(host);
    assert_non_null(h);
    XXH3_128bits_reset(h);
    XXH3_128bits_update(h, t->s->tok, n * sizeof *t->s->tok);
    must(c->kn->copy(c->dev, host, c->live, c->shape.record_bytes, &err), "copy", &err);
    XXH3_128bits_update(h, host, c->shape.record_bytes);
    for (size_t at = 0; at < n; at += KN_PAGE_TOKENS) {
        size_t rows = n - at < KN_PAGE_TOKENS ? n - at : KN_PAGE_TOKENS;
        must(c->kn->copy(c->dev, host, c->page[at / KN_PAGE_TOKENS], c->shape.page_bytes, &err),
             "copy", &err);
        hash_page(h, &c->shape, host, rows);
    }
    XXH128_hash_t got = XXH3_128bits_digest(h);
    XXH3_freeState(h);
    ox_free(host);
    return (struct ox_key){got.high64, got.low64};
}

void tiny_same(const struct ox_key *a, const struct ox_key *b, const char *what, size_t n) {
    if (a->hi != b->hi || a->lo != b->lo) fail_msg("%s, %zu: the bits differ", what, n);
}
