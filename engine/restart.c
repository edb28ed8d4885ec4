/* restart.c - see restart.h. */
#include "engine/restart.h"

#include "engine/statefmt.h"
#include "kernels/kn_cost.h"

#include <string.h>

static size_t common_prefix(const int32_t *a, size_t n_a, struct ox_prefix b) {
    size_t n = n_a < b.n ? n_a : b.n, i = 0;
    while (i < n && a[i] == b.tok[i])
        i++;
    return i;
}

/* ---- what it would cost --------------------------------------------------------------------- */

/* Operations of attention take longer than those of the products: 1.6 times on AVX-512 BF16 (the
 * slope of three recorded runs, PERF.md), 1.3 on an H100 (from its prefill at 32K and 64K there).
 */
static const double ATTN_SLOWER = 1.4;

double restart_ops(const ox_engine *e, size_t from, size_t n) {
    const struct ox_config *c = &e->config;
    int64_t T = (int64_t)n, Kd = (int64_t)c->n_k_heads * c->k_size,
            Vd = (int64_t)c->n_v_heads * c->v_size;
    struct kn_gdn gdn = {.q = {.rows = T},
                         .taps = {.rows = 2 * Kd + Vd, .cols = c->n_taps},
                         .conv = {.dtype = e->facts.act},
                         .state = {.rows = Vd, .cols = c->k_size}};
    struct kn_attn attn = {.q = {.rows = T, .cols = (int64_t)c->n_heads * c->head_size},
                           .n_heads = c->n_heads,
                           .n_kv_heads = c->n_kv_heads,
                           .kv = e->kv};
    /* Every weight but those of the tables meets every token. */
    double tables = (double)c->n_vocab * (double)c->d * (c->tied ? 1 : 2);
    return 2.0 * (double)n * ((double)e->weights.n_params - tables) +
           c->n_gdn * kn_cost_gdn(&gdn).ops +
           ATTN_SLOWER * c->n_attn * kn_cost_attn(&attn, (int64_t)from).ops;
}

double restart_seconds(const ox_engine *e, size_t from, size_t n) {
    /* Until something was measured: an AVX2 core at int8 products, a data-centre GPU. */
    static const double core_ops_s = 1e11, gpu_ops_s = 3e14;
    double guess = e->facts.n_threads > 0 ? core_ops_s * e->facts.n_threads : gpu_ops_s;
    double speed = e->prefill_ops_s > 0   ? e->prefill_ops_s
                   : e->earlier_ops_s > 0 ? e->earlier_ops_s
                                          : guess;
    return n ? restart_ops(e, from, n) / speed : 0;
}

double restart_deepening(const ox_engine *e) {
    const size_t deep = 4096; /* any depth: attention grows in proportion to it */
    double here = restart_ops(e, 0, KN_PAGE_TOKENS);
    return (restart_ops(e, deep, KN_PAGE_TOKENS) / here - 1) / (double)deep;
}

void ox_engine_speed(ox_engine *e, double s_per_token) {
    double token = restart_ops(e, 0, KN_PAGE_TOKENS) / KN_PAGE_TOKENS;
    e->earlier_ops_s = s_per_token > 0 ? token / s_per_token : 0;
}

/* ---- choosing ------------------------------------------------------------------------------- */

static double load_seconds(const struct ox_found *f) {
    static const double guess_bytes_s = 1e9;
    return f->load_s > 0 ? f->load_s : (double)f->bytes / guess_bytes_s;
}

/* The own state always, because only it goes on bit for bit; another one if reading it is faster
 * than computing what it saves. As long as nothing was measured, reading is taken to be faster. */
static bool is_worth_loading(const ox_session *s, const struct ox_found *f, size_t have) {
    if (f->n <= have) return false;
    if (f->exact || s->engine->prefill_ops_s <= 0) return true;
    return load_seconds(f) < restart_seconds(s->engine, have, f->n - have);
}

static struct ox_found ask_store(const struct ox_state_io *io, struct ox_prefix want,
                                 size_t limit) {
    struct ox_found f = {0};
    struct ox_prefix shorter = {want.tok, limit < want.n ? limit : want.n};
    if (!io || !shorter.n || io->find(io->user, shorter, &f, NULL) || f.n > shorter.n)
        f = (struct ox_found){0};
    return f;
}

static void make_plan(const ox_session *s, struct ox_prefix want, struct restart *r) {
    struct ox_plan *p = &r->plan;
    if (r->found.n)
        p->restored = r->at;
    else
        p->live = r->at;
    p->replay = r->earlier > r->at ? r->earlier - r->at : 0;
    p->fresh = want.n - r->at - p->replay;
    p->bytes = r->found.bytes;
    p->exact = r->at > 0 && p->replay == 0 && (!r->found.n || r->found.exact);
    p->time_s = restart_seconds(s->engine, r->at, want.n - r->at);
    p->deepening = restart_deepening(s->engine);
    if (r->found.n) p->time_s += load_seconds(&r->found);
}

void restart_choose(const ox_session *s, struct ox_prefix want, const struct ox_state_io *io,
                    size_t limit, size_t earlier, struct restart *out) {
    size_t shared = common_prefix(s->tok, s->n_fed, want);
    struct restart r = {.earlier = shared > earlier ? shared : earlier};
    if (shared == s->n_fed) {
        r.is_live = s->n_fed > 0;
        r.at = s->n_fed;
    } else {
        r.snap = cache_find(&s->cache, shared);
        r.at = r.snap ? r.snap->at : 0;
    }
    struct ox_found f = ask_store(io, want, limit);
    if (f.n > r.earlier) r.earlier = f.n;
    if (is_worth_loading(s, &f, r.at)) {
        r.found = f;
        r.is_live = false;
        r.snap = NULL;
        r.at = f.n;
    }
    make_plan(s, want, &r);
    *out = r;
}

/* ---- from the store ------------------------------------------------------------------------- */

static bool same_key(struct ox_key a, struct ox_key b) {
    return a.hi == b.hi && a.lo == b.lo;
}

static int get(const struct ox_state_io *io, const struct ox_found *f, enum ox_blob what,
               size_t page, void *dst, size_t n, ox_err *err) {
    int rc = io->get(io->user, f->id, what, page, dst, n, err);
    /* Whatever went wrong there is a miss here; memory is for us to report. */
    return rc && rc != OX_ENOMEM ? OX_ENOTFOUND : rc;
}

/* All full pages, each hashed into the chain that the record must end with. */
static int load_pages(ox_session *s, const struct ox_state_io *io, const struct ox_found *f,
                      ox_err *err) {
    struct saver *v = &s->saver;
    struct cache *c = &s->cache;
    size_t n_bytes = c->shape.page_bytes;
    for (size_t i = 0; i < f->n / KN_PAGE_TOKENS; i++) {
        if (atomic_load(&s->cancel)) return ox_err_set(err, OX_ECANCELLED, "cancelled");
        int rc = get(io, f, OX_BLOB_PAGE, i, v->page, n_bytes, err);
        if (!rc) rc = c->kn->copy(c->dev, c->page[i], v->page, n_bytes, err);
        if (rc) return rc;
        v->chain[i] = statefmt_chain(i ? v->chain[i - 1] : (struct ox_key){0}, v->page, n_bytes);
        v->n_chain = i + 1;
    }
    return 0;
}

/* Rows of the last, unfinished page. */
static int load_tail(ox_session *s, const struct ox_state_io *io, const struct ox_found *f,
                     uint64_t sum, ox_err *err) {
    struct saver *v = &s->saver;
    struct cache *c = &s->cache;
    size_t n_rows = f->n % KN_PAGE_TOKENS;
    if (!n_rows) return 0;
    size_t n = statefmt_tail_bytes(&c->shape, n_rows);
    unsigned char *tail = ox_alloc(n, 1, "rows of a saved page", err);
    if (!tail) return OX_ENOMEM;
    int rc = get(io, f, OX_BLOB_TAIL, 0, tail, n, err);
    if (!rc && statefmt_sum(tail, n) != sum)
        rc = ox_err_set(err, OX_EFORMAT, "the last rows are not those of the state record");
    if (!rc) {
        memset(v->page, 0, c->shape.page_bytes);
        statefmt_unpack_tail(&c->shape, n_rows, tail, v->page);
        rc = c->kn->copy(c->dev, c->page[f->n / KN_PAGE_TOKENS], v->page, c->shape.page_bytes, err);
    }
    ox_free(tail);
    return rc;
}

static int load_kv(ox_session *s, const struct ox_state_io *io, const struct ox_found *f,
                   const struct statefmt_kv *kv, ox_err *err) {
    struct saver *v = &s->saver;
    size_t n_pages = f->n / KN_PAGE_TOKENS;
    int rc = cache_reserve(&s->cache, f->n, err);
    /* The very pages are there already, from another branch of this conversation, say. */
    bool has_pages = v->n_chain >= n_pages && n_pages && same_key(v->chain[n_pages - 1], kv->chain);
    session_lose(s); /* from here on pages are overwritten */
    if (!rc && !has_pages) rc = load_pages(s, io, f, err);
    if (!rc && n_pages && !same_key(v->chain[n_pages - 1], kv->chain)) {
        rc = ox_err_set(err, OX_EFORMAT, "the pages are not those of the state record");
    }
    if (!rc) rc = load_tail(s, io, f, kv->tail_sum, err);
    v->n_chain = rc ? 0 : n_pages;
    v->n_put = rc ? 0 : n_pages;
    return rc;
}

/* Record first: it is checked before anything of the live timeline is given up. */
static int load(ox_session *s, struct ox_prefix want, const struct ox_found *f,
                const struct ox_state_io *io, ox_err *err) {
    const ox_engine *e = s->engine;
    struct saver *v = &s->saver;
    struct ox_prefix at = {want.tok, f->n};
    size_t n = statefmt_record_bytes(&e->shape);
    struct statefmt_kv kv;
    int rc = get(io, f, OX_BLOB_STATE, 0, v->record, n, err);
    if (rc) return rc;
    rc = statefmt_check(&e->info, &e->shape, at, v->record, n, &kv, err);
    if (!rc) rc = load_kv(s, io, f, &kv, err);
    if (rc == OX_EFORMAT && io->refuse) io->refuse(io->user, f->id, err);
    if (rc) return rc;
    rc =
        e->kn->copy(e->dev, s->cache.live, v->record + STATEFMT_HEADER, e->shape.record_bytes, err);
    if (rc) return rc;
    memcpy(s->tok, want.tok, f->n * sizeof *s->tok);
    return 0;
}

/* ---- applying ------------------------------------------------------------------------------- */

int restart_apply(ox_session *s, struct ox_prefix want, const struct restart *r,
                  const struct ox_state_io *io, ox_err *err) {
    int rc = 0;
    if (r->found.n) {
        ox_err why = {0};
        rc = load(s, want, &r->found, io, err ? err : &why);
        if (rc == OX_ENOTFOUND || rc == OX_EFORMAT) return rc;
    } else if (r->snap) {
        rc = cache_restore(&s->cache, r->snap, err);
    } else if (!r->is_live) {
        rc = cache_reset(&s->cache, err);
    }
    if (rc) {
        session_lose(s);
        return rc;
    }
    cache_forget(&s->cache, r->at);
    saver_cut(&s->saver, r->at);
    s->n = s->n_fed = r->at;
    return 0;
}
