/* session.c - see session.h and ox.h. Decode runs lazily: a drawn token is fed when the next one is
 * asked for, so that a stop id is never fed. On a device that works ahead the step is queued behind
 * the draw at once, and the device drops it if the draw gives a stop id. */
#include "engine/session.h"

#include "engine/restart.h"
#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"

#include <string.h>
#include <time.h>

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- open, close ---------------------------------------------------------------------------- */

int ox_session_open(ox_engine *e, ox_session **out, ox_err *err) {
    ox_session *s = ox_alloc(1, sizeof *s, "a session", err);
    if (!s) return OX_ENOMEM;
    s->engine = e;
    s->max = e->plan.max_tokens;
    int rc =
        cache_open(e->kn, e->dev, &e->shape, e->plan.max_tokens, e->plan.n_snaps, &s->cache, err);
    if (!rc) {
        s->tok = ox_alloc(s->max, sizeof *s->tok, "the timeline", err);
        rc = s->tok ? saver_open(&s->saver, &e->info, &s->cache, s->tok, err) : OX_ENOMEM;
    }
    if (rc) {
        ox_session_close(s);
        return ox_err_wrap(err, rc, "open session");
    }
    s->forward = (struct forward){
        .kn = e->kn,
        .dev = e->dev,
        .config = &e->config,
        .weights = &e->weights,
        .act = &e->act,
        .cache = &s->cache,
        .kv = e->kv,
        .key = ++e->n_sessions,
        .cancel = &s->cancel,
    };
    *out = s;
    return 0;
}

void ox_session_close(ox_session *s) {
    if (!s) return;
    saver_finish(&s->saver);
    saver_close(&s->saver);
    cache_close(&s->cache);
    ox_free(s->tok);
    ox_free(s);
}

struct ox_prefix ox_session_timeline(const ox_session *s) {
    return (struct ox_prefix){s->tok, s->n};
}

void ox_session_cancel(ox_session *s) {
    atomic_store(&s->cancel, true);
}

void session_lose(ox_session *s) {
    s->n = s->n_fed = 0;
    cache_forget(&s->cache, 0);
}

/* ---- feeding -------------------------------------------------------------------------------- */

/* One token by the decode form. The loop of tokens allocates one KV page in 256 steps and nothing
 * else. */
static int feed_one(ox_session *s, const int32_t *tok, ox_err *err) {
    int rc = cache_reserve(&s->cache, s->n_fed + 1, err);
    if (rc) return rc;
    rc = forward(&s->forward, tok, 1, s->n_fed, true, err);
    if (rc) session_lose(s);
    return rc;
}

/* A place that cannot be kept in memory costs time later, not the answer now. */
static bool keep(ox_session *s, enum ox_why why) {
    return cache_keep(&s->cache, s->n_fed, why, NULL) == 0;
}

/* What one decoded token can complete: a KV page, and on the grid a place to come back to. */
static void mark_token(ox_session *s) {
    const struct cache_snap *snap = NULL;
    if (s->n_fed % KN_PAGE_TOKENS) return;
    if (s->n_fed % SESSION_GRID == 0 && keep(s, OX_WHY_GRID))
        snap = cache_find(&s->cache, s->n_fed);
    saver_later(&s->saver, s->n_fed, snap);
}

int session_settle(ox_session *s, ox_err *err) {
    if (s->n == s->n_fed) return 0;
    int rc = feed_one(s, &s->tok[s->n_fed], err);
    if (rc) return rc;
    s->n_fed++;
    mark_token(s);
    return 0;
}

/* Short pieces tell little about long ones. */
static void note_speed(ox_engine *e, size_t from, size_t n, double took_s) {
    if (n < KN_PAGE_TOKENS || took_s <= 0) return;
    double speed = restart_ops(e, from, n) / took_s;
    e->prefill_ops_s = e->prefill_ops_s > 0 ? 0.75 * e->prefill_ops_s + 0.25 * speed : speed;
}

/* Tokens [n_fed, end) of want in one step. Failure, or a cancel, leaves the timeline as it was. */
static int feed_chunk(ox_session *s, struct ox_prefix want, size_t end, bool want_logits,
                      ox_err *err) {
    int32_t n = (int32_t)(end - s->n_fed);
    double start = now_s();
    int rc = cache_reserve(&s->cache, end, err);
    if (!rc) rc = cache_mark(&s->cache, err);
    if (rc) return rc;
    rc = forward(&s->forward, want.tok + s->n_fed, n, s->n_fed, want_logits, err);
    if (!rc) rc = s->engine->kn->sync(s->engine->dev, err);
    if (rc) {
        if (cache_undo(&s->cache, NULL)) session_lose(s);
        return rc;
    }
    memcpy(s->tok + s->n_fed, want.tok + s->n_fed, (size_t)n * sizeof *s->tok);
    s->n = s->n_fed = end;
    note_speed(s->engine, end - (size_t)n, (size_t)n, now_s() - start);
    return 0;
}

/* The first border behind `at`, and why it is one. */
static struct ox_border next_border(const struct ox_sync_opts *opts, size_t at, size_t end) {
    struct ox_border b = {end, OX_WHY_ASK};
    for (size_t i = 0; opts && i < opts->n_borders; i++) {
        const struct ox_border *o = &opts->borders[i];
        if (o->at > at && o->at <= b.at && o->why) b = *o;
    }
    return b;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t chunk_end(const ox_session *s, size_t end) {
    size_t chunk = (size_t)s->engine->facts.chunk_tokens;
    end = smaller(end, (s->n_fed / chunk + 1) * chunk);
    return smaller(end, (s->n_fed / SESSION_GRID + 1) * SESSION_GRID);
}

/* ---- sync ----------------------------------------------------------------------------------- */

static int check_want(const ox_session *s, struct ox_prefix want, ox_err *err) {
    if (!want.n) return ox_err_set(err, OX_EUSAGE, "an empty prefix cannot be continued");
    if (want.n > s->max) {
        ox_err_set(err, OX_EFIT, "%zu tokens, the context holds %zu", want.n, s->max);
        return ox_err_fix(err, "shorten the conversation, or use a larger --ctx");
    }
    for (size_t i = 0; i < want.n; i++)
        if (want.tok[i] < 0 || want.tok[i] >= s->engine->config.n_vocab)
            return ox_err_set(err, OX_EUSAGE, "token %zu is %d, the vocabulary has %lld", i,
                              (int)want.tok[i], (long long)s->engine->config.n_vocab);
    return 0;
}

int ox_session_plan(ox_session *s, struct ox_prefix want, const struct ox_sync_opts *opts,
                    struct ox_plan *out, ox_err *err) {
    struct restart r;
    int rc = check_want(s, want, err);
    if (rc) return rc;
    restart_choose(s, want, opts ? opts->io : NULL, want.n, 0, &r);
    *out = r.plan;
    return 0;
}

/* The end of a chunk: pages that became full, and the record where a place is worth one. */
static void mark_chunk(ox_session *s, const struct ox_border *b) {
    bool is_border = s->n_fed == b->at, is_grid = s->n_fed % SESSION_GRID == 0;
    enum ox_why why = is_border ? b->why : OX_WHY_GRID;
    if (!is_border && !is_grid) {
        saver_pages(&s->saver, OX_WHY_GRID, s->n_fed);
        return;
    }
    keep(s, why);
    saver_now(&s->saver, why, s->n_fed);
}

static int run_chunks(ox_session *s, struct ox_prefix want, const struct ox_sync_opts *opts,
                      const struct ox_plan *plan, ox_err *err) {
    /* Nothing to compute: kept all the same, the place may be wanted by another message now. */
    if (s->n_fed == want.n) mark_chunk(s, &(struct ox_border){want.n, OX_WHY_ASK});
    while (s->n_fed < want.n) {
        struct ox_border b = next_border(opts, s->n_fed, want.n);
        if (atomic_load(&s->cancel)) return ox_err_set(err, OX_ECANCELLED, "cancelled");
        int rc = feed_chunk(s, want, chunk_end(s, b.at), true, err);
        if (rc) return rc;
        mark_chunk(s, &b);
        if (opts && opts->progress) opts->progress(opts->user, plan, s->n_fed);
    }
    return 0;
}

/* Chooses where to begin and goes there; a stored record that turns out unusable is a miss, and the
 * next shorter one is tried. */
static int restart(ox_session *s, struct ox_prefix want, struct restart *r, ox_err *err) {
    const struct ox_state_io *io = s->saver.io;
    restart_choose(s, want, io, want.n, 0, r);
    /* A drawn token that is wanted is fed as if the answer had gone on: the same operations, the
     * same bits, whether the turn is continued now or was saved and loaded in between. */
    if (r->is_live && s->n > s->n_fed && want.n >= s->n && want.tok[s->n_fed] == s->tok[s->n_fed])
        return session_settle(s, err);
    for (;;) {
        int rc = restart_apply(s, want, r, io, err);
        if (rc != OX_ENOTFOUND && rc != OX_EFORMAT) return rc;
        restart_choose(s, want, io, r->found.n - 1, r->earlier, r);
    }
}

int ox_session_sync(ox_session *s, struct ox_prefix want, const struct ox_sync_opts *opts,
                    struct ox_plan *done, ox_err *err) {
    double start = now_s();
    struct restart r = {0};
    atomic_store(&s->cancel, false);
    saver_begin(&s->saver, opts ? opts->io : NULL);
    int rc = check_want(s, want, err);
    if (!rc) rc = restart(s, want, &r, err);
    if (!rc) rc = run_chunks(s, want, opts, &r.plan, err);
    r.plan.time_s = now_s() - start;
    if (done) *done = r.plan;
    return rc ? ox_err_wrap(err, rc, "read the prompt") : 0;
}

/* ---- next ----------------------------------------------------------------------------------- */

static int draw(ox_session *s, const struct ox_sampling *how, ox_err *err) {
    const ox_engine *e = s->engine;
    size_t from = how->reply_at < s->n ? how->reply_at : s->n;
    bool has_penalty = how->repeat != 1.0f;
    struct kn_sample sample = {
        .temperature = how->temperature,
        .top_p = how->top_p,
        .min_p = how->min_p,
        .repeat = how->repeat,
        .top_k = how->top_k,
        .n_vocab = (int32_t)e->info.n_vocab,
        .seen = s->tok + from,
        .n_seen = has_penalty ? (int32_t)(s->n - from) : 0,
        .stop = e->stop,
        .n_stop = e->n_stop,
        .seed = how->seed,
        .position = (int64_t)s->n,
    };
    kn_tensor logits = cache_logits(&s->cache);
    return e->kn->sample(e->dev, &logits, &sample, err);
}

int ox_session_next(ox_session *s, const struct ox_sampling *how, int32_t *tok, ox_err *err) {
    const ox_engine *e = s->engine;
    atomic_store(&s->cancel, false);
    if (s->n == 0) return ox_err_set(err, OX_EUSAGE, "there is no prompt to continue");
    if (s->n >= s->max) {
        ox_err_set(err, OX_EFIT, "the context of %zu tokens is full", s->max);
        return ox_err_fix(err, "use a larger --ctx, or start a new conversation");
    }
    saver_finish(&s->saver);
    int rc = session_settle(s, err);
    if (!rc) rc = cache_reserve(&s->cache, s->n + 1, err);
    if (!rc) rc = draw(s, how, err);
    if (rc) return ox_err_wrap(err, rc, "draw a token");
    int ahead = e->facts.ahead ? forward(&s->forward, NULL, 1, s->n_fed, true, err) : 0;
    int32_t drawn = -1;
    rc = e->kn->drawn(e->dev, &drawn, ahead ? NULL : err);
    if (ahead || rc) {
        session_lose(s);
        return ox_err_wrap(err, ahead ? ahead : rc, "draw a token");
    }
    *tok = drawn;
    if (ox_is_stop(e, drawn)) return 0; /* not fed; a step queued behind it did nothing */
    s->tok[s->n++] = drawn;
    if (!e->facts.ahead) return 0;
    s->n_fed = s->n;
    mark_token(s);
    return 0;
}

int ox_session_snapshot(ox_session *s, enum ox_why why, const struct ox_state_io *io, ox_err *err) {
    saver_finish(&s->saver);
    int rc = session_settle(s, err);
    if (!rc) keep(s, why);
    if (!rc && io) {
        saver_begin(&s->saver, io);
        saver_now(&s->saver, why, s->n_fed);
    }
    return rc ? ox_err_wrap(err, rc, "keep the state") : 0;
}

/* ---- for the judge -------------------------------------------------------------------------- */

uint64_t session_n_forward(const ox_session *s) {
    return s->forward.n_tokens;
}

void session_listen(ox_session *s, const struct trace *t) {
    s->trace = t ? *t : (struct trace){0};
    s->forward.trace = t ? &s->trace : NULL;
}

/* Logits of the rows of the chunk [from, s->n_fed) that was fed last, in slices. */
static int score_chunk(ox_session *s, size_t from, kn_tensor *slice, float *host,
                       int (*rows)(void *user, size_t first, const float *logits, size_t n),
                       void *user, ox_err *err) {
    const ox_engine *e = s->engine;
    int64_t n_rows = (int64_t)(s->n_fed - from), V = e->config.n_vocab, step = slice->rows;
    for (int64_t i = 0; i < n_rows; i += step) {
        kn_tensor out = *slice;
        out.rows = n_rows - i < step ? n_rows - i : step;
        int rc = forward_rows(&s->forward, s->tok + from, from, i, out.rows, &out, err);
        if (!rc) rc = e->kn->copy(e->dev, host, out.data, kn_bytes(KN_F32, out.rows * V), err);
        if (!rc) rc = rows(user, from + (size_t)i, host, (size_t)out.rows);
        /* The last row stands where a sync would have left it. */
        if (!rc && i + out.rows == n_rows)
            rc = e->kn->copy(e->dev, cache_logits(&s->cache).data,
                             (float *)out.data + (out.rows - 1) * V, kn_bytes(KN_F32, V), err);
        if (rc) return rc;
    }
    return 0;
}

int session_score(ox_session *s, struct ox_prefix want,
                  int (*rows)(void *user, size_t first, const float *logits, size_t n), void *user,
                  ox_err *err) {
    enum { SLICE_ROWS = 32 };
    const ox_engine *e = s->engine;
    int64_t V = e->config.n_vocab;
    kn_tensor slice = {NULL, SLICE_ROWS, V, KN_F32};
    float *host = NULL;
    atomic_store(&s->cancel, false);
    int rc = check_want(s, want, err);
    if (!rc) rc = restart_apply(s, want, &(struct restart){0}, NULL, err);
    if (!rc)
        rc = e->kn->alloc(e->dev, KN_DEVICE, kn_bytes(KN_F32, SLICE_ROWS * V), &slice.data, err);
    if (!rc) {
        host = ox_alloc((size_t)(SLICE_ROWS * V), sizeof *host, "logits of some rows", err);
        if (!host) rc = OX_ENOMEM;
    }
    while (!rc && s->n_fed < want.n) {
        size_t from = s->n_fed;
        rc = feed_chunk(s, want, chunk_end(s, want.n), false, err);
        if (!rc) rc = score_chunk(s, from, &slice, host, rows, user, err);
        if (rc) session_lose(s);
    }
    ox_free(host);
    if (slice.data) e->kn->release(e->dev, slice.data);
    return rc;
}

int session_read_state(ox_session *s, int32_t i, float *out, ox_err *err) {
    kn_tensor t = cache_state(&s->cache, i);
    return trace_read(&s->forward, t.data, t.dtype, t.rows * t.cols, out, err);
}

int session_read_conv(ox_session *s, int32_t i, float *out, ox_err *err) {
    kn_tensor t = cache_conv(&s->cache, i);
    return trace_read(&s->forward, t.data, t.dtype, t.rows * t.cols, out, err);
}

int session_read_kv(ox_session *s, int32_t i, float *k, float *v, ox_err *err) {
    const struct cache_shape *shape = &s->cache.shape;
    int64_t Dh = shape->head_size;
    size_t block = kn_kv_block_bytes(shape->kv, Dh);
    if (shape->kv == KN_I8) return ox_err_set(err, OX_EUSAGE, "int8 keys are not read as numbers");
    for (size_t from = 0; from < s->n_fed; from += KN_PAGE_TOKENS)
        for (int32_t h = 0; h < shape->n_kv_heads; h++) {
            size_t n = smaller(s->n_fed - from, KN_PAGE_TOKENS);
            size_t to = ((size_t)h * s->n_fed + from) * (size_t)Dh;
            const char *p = (char *)s->cache.page[from / KN_PAGE_TOKENS] +
                            (size_t)i * shape->layer_page_bytes + 2 * (size_t)h * block;
            int64_t count = (int64_t)n * Dh;
            int rc = trace_read(&s->forward, p, shape->kv, count, k + to, err);
            if (!rc) rc = trace_read(&s->forward, p + block, shape->kv, count, v + to, err);
            if (rc) return rc;
        }
    return 0;
}

int session_read_logits(ox_session *s, float *out, ox_err *err) {
    kn_tensor t = cache_logits(&s->cache);
    return s->engine->kn->copy(s->engine->dev, out, t.data, kn_bytes(KN_F32, t.cols), err);
}
