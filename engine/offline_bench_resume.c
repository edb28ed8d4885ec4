/* offline_bench_resume.c - see offline_bench.h. Memory stands in for the disk: what is measured is
 * the way from bytes at hand to a session that goes on. A disk adds its own rate (docs/PERF.md). */
#include "engine/offline_bench.h"

#include "kernels/base/ox_mem.h"

#include <string.h>
#include <time.h>

enum { PAGE_TOKENS = 256 };

struct kept { /* blobs of one position: [n_pages] pages, then tail, then record */
    void **blob;
    size_t *n_bytes;
    size_t n_pages, n_tokens;
    const int32_t *tok;
    uint64_t bytes;
    bool is_whole; /* the record came last */
};

static size_t slot_of(const struct kept *k, enum ox_blob what, size_t page) {
    return what == OX_BLOB_PAGE ? page : what == OX_BLOB_TAIL ? k->n_pages : k->n_pages + 1;
}

static int put(void *user, enum ox_blob what, enum ox_why why, struct ox_prefix at, const void *p,
               size_t n, ox_err *err) {
    struct kept *k = user;
    size_t i = slot_of(k, what, at.n / PAGE_TOKENS - 1);
    (void)why;
    ox_free(k->blob[i]);
    k->blob[i] = ox_memdup(p, n, "a saved state", err);
    if (!k->blob[i]) return OX_EBUSY; /* skipped; the record that follows is of no use */
    k->n_bytes[i] = n;
    k->bytes += n;
    k->is_whole = what == OX_BLOB_STATE && (k->n_tokens % PAGE_TOKENS == 0 || k->blob[k->n_pages]);
    for (size_t page = 0; page < k->n_pages; page++)
        k->is_whole = k->is_whole && k->blob[page];
    return 0;
}

static int find(void *user, struct ox_prefix want, struct ox_found *out, ox_err *err) {
    const struct kept *k = user;
    (void)err;
    *out = (struct ox_found){0};
    if (want.n >= k->n_tokens && memcmp(want.tok, k->tok, k->n_tokens * sizeof *k->tok) == 0)
        *out = (struct ox_found){.id = 1, .n = k->n_tokens, .exact = true, .bytes = k->bytes};
    return 0;
}

static int get(void *user, uint64_t id, enum ox_blob what, size_t page, void *dst, size_t n,
               ox_err *err) {
    const struct kept *k = user;
    size_t i = slot_of(k, what, page);
    (void)id;
    if (!k->blob[i] || k->n_bytes[i] != n)
        return ox_err_set(err, OX_ENOTFOUND, "a part of the state is not there");
    memcpy(dst, k->blob[i], n);
    return 0;
}

static void refuse(void *user, uint64_t id, const ox_err *why) {
    (void)user, (void)id, (void)why; /* the count of tokens tells */
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int resume_once(ox_engine *e, const struct ox_state_io *io, const struct kept *k,
                       double *took_s, ox_err *err) {
    const struct ox_sync_opts opts = {.io = io};
    struct ox_plan done = {0};
    ox_session *s = NULL;
    int rc = ox_session_open(e, &s, err);
    double t = now_s();
    if (!rc) rc = ox_session_sync(s, (struct ox_prefix){k->tok, k->n_tokens}, &opts, &done, err);
    *took_s = now_s() - t;
    if (!rc && done.restored != k->n_tokens)
        rc = ox_err_set(err, OX_EFAIL, "resume: %zu of %zu tokens were restored", done.restored,
                        k->n_tokens);
    ox_session_close(s);
    return rc;
}

int resume_measure(ox_engine *e, ox_session **s, struct resume_cost *out, ox_err *err) {
    struct ox_prefix at = ox_session_timeline(*s);
    struct kept k = {.n_pages = at.n / PAGE_TOKENS, .n_tokens = at.n};
    const struct ox_state_io io = {&k, find, get, put, refuse};
    size_t n_blobs = k.n_pages + 2;
    int32_t *tok = (int32_t *)(void *)ox_memdup(at.tok, at.n * sizeof *at.tok, "tokens", err);
    k.tok = tok;
    k.blob = ox_alloc(n_blobs, sizeof *k.blob, "a saved state", err);
    k.n_bytes = ox_alloc(n_blobs, sizeof *k.n_bytes, "a saved state", err);
    int rc =
        tok && k.blob && k.n_bytes ? ox_session_snapshot(*s, OX_WHY_TURN, &io, err) : OX_ENOMEM;
    ox_session_close(*s);
    *s = NULL;
    *out = (struct resume_cost){.n_tokens = k.n_tokens};
    if (!rc && k.is_whole) out->bytes = k.bytes;
    for (int i = 0; !rc && k.is_whole && i < RESUME_RUNS; i++)
        rc = resume_once(e, &io, &k, &out->time_s[i], err);
    for (size_t i = 0; k.blob && i < n_blobs; i++)
        ox_free(k.blob[i]);
    ox_free(k.blob);
    ox_free(k.n_bytes);
    ox_free(tok);
    return rc;
}
