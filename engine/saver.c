/* saver.c - see saver.h. */
#include "engine/saver.h"

#include "engine/statefmt.h"
#include "kernels/base/ox_mem.h"

int saver_open(struct saver *s, const struct ox_info *info, struct cache *cache, const int32_t *tok,
               ox_err *err) {
    *s = (struct saver){.info = info, .cache = cache, .tok = tok};
    s->chain = ox_alloc(cache->max_pages, sizeof *s->chain, "hashes of KV pages", err);
    return s->chain ? 0 : OX_ENOMEM;
}

void saver_close(struct saver *s) {
    if (s->page) s->cache->kn->release(s->cache->dev, s->page);
    if (s->record) s->cache->kn->release(s->cache->dev, s->record);
    ox_free(s->chain);
    *s = (struct saver){0};
}

static struct ox_prefix prefix(const struct saver *s, size_t n) {
    return (struct ox_prefix){s->tok, n};
}

/* ---- handing over --------------------------------------------------------------------------- */

static int put(struct saver *s, enum ox_blob what, enum ox_why why, size_t at, const void *p,
               size_t n) {
    int rc = s->io->put(s->io->user, what, why, prefix(s, at), p, n, NULL);
    if (!rc) s->n_bytes += n;
    return rc;
}

/* Page at / 256 - 1 lies in s->page. */
static int put_page(struct saver *s, enum ox_why why, size_t at) {
    size_t i = at / KN_PAGE_TOKENS - 1, n = s->cache->shape.page_bytes;
    if (s->n_chain == i) { /* each page is hashed once */
        s->chain[i] = statefmt_chain(i ? s->chain[i - 1] : (struct ox_key){0}, s->page, n);
        s->n_chain = i + 1;
    }
    int rc = put(s, OX_BLOB_PAGE, why, at, s->page, n);
    if (!rc) s->n_put = i + 1;
    return rc;
}

/* The sections lie in s->record. All pages below and the tail have been put. */
static int put_record(struct saver *s, enum ox_why why, size_t at, uint64_t tail_sum) {
    size_t n_pages = at / KN_PAGE_TOKENS;
    struct statefmt_kv kv = {.tail_sum = tail_sum};
    if (s->n_put < n_pages || s->n_chain < n_pages) return OX_EBUSY;
    if (n_pages) kv.chain = s->chain[n_pages - 1];
    statefmt_seal(s->info, &s->cache->shape, prefix(s, at), &kv, s->record);
    return put(s, OX_BLOB_STATE, why, at, s->record, statefmt_record_bytes(&s->cache->shape));
}

/* ---- copying out ---------------------------------------------------------------------------- */

/* Queues a copy of bytes of the device into pinned memory. */
static int drain(struct saver *s, void *to, const void *from, size_t n, uint64_t *ticket) {
    return s->cache->kn->drain(s->cache->dev, to, from, n, ticket, NULL);
}

static int drain_and_wait(struct saver *s, void *to, const void *from, size_t n) {
    uint64_t ticket = 0;
    int rc = drain(s, to, from, n, &ticket);
    return rc ? rc : s->cache->kn->wait(s->cache->dev, ticket, NULL);
}

static int save_tail(struct saver *s, enum ox_why why, size_t at, uint64_t *sum) {
    const struct cache_shape *shape = &s->cache->shape;
    size_t n_rows = at % KN_PAGE_TOKENS;
    *sum = 0;
    if (!n_rows) return 0;
    int rc = drain_and_wait(s, s->page, s->cache->page[at / KN_PAGE_TOKENS], shape->page_bytes);
    if (rc) return rc;
    statefmt_pack_tail(shape, n_rows, s->page);
    *sum = statefmt_sum(s->page, statefmt_tail_bytes(shape, n_rows));
    return put(s, OX_BLOB_TAIL, why, at, s->page, statefmt_tail_bytes(shape, n_rows));
}

static int save_all_pages(struct saver *s, enum ox_why why, size_t n_tokens) {
    int rc = 0;
    while (!rc && s->n_put < n_tokens / KN_PAGE_TOKENS) {
        size_t i = s->n_put;
        rc = drain_and_wait(s, s->page, s->cache->page[i], s->cache->shape.page_bytes);
        if (!rc) rc = put_page(s, why, (i + 1) * KN_PAGE_TOKENS);
    }
    return rc;
}

/* ---- what a session calls ------------------------------------------------------------------- */

void saver_finish(struct saver *s) {
    for (int i = 0; s->io && i < s->n_items; i++) {
        const struct save_item *it = &s->item[i];
        int rc = s->cache->kn->wait(s->cache->dev, it->ticket, NULL);
        if (!rc && it->what == OX_BLOB_PAGE)
            rc = put_page(s, it->why, it->at);
        else if (!rc)
            rc = put_record(s, it->why, it->at, 0);
        if (rc == OX_ENOTFOUND) s->n_put = 0; /* all again, when there is time */
        if (rc) break;
    }
    s->n_items = 0;
}

void saver_begin(struct saver *s, const struct ox_state_io *io) {
    struct cache *c = s->cache;
    saver_finish(s);
    s->io = NULL;
    if (!io) return;
    size_t n_record = statefmt_record_bytes(&c->shape);
    void *page = s->page, *record = s->record;
    if (!page && c->kn->alloc(c->dev, KN_PINNED, c->shape.page_bytes, &page, NULL)) return;
    s->page = page;
    if (!record && c->kn->alloc(c->dev, KN_PINNED, n_record, &record, NULL)) return;
    s->record = record;
    s->io = io;
}

void saver_cut(struct saver *s, size_t at) {
    size_t n = at / KN_PAGE_TOKENS;
    s->n_items = 0;
    if (s->n_chain > n) s->n_chain = n;
    if (s->n_put > n) s->n_put = n;
}

void saver_pages(struct saver *s, enum ox_why why, size_t n_tokens) {
    if (!s->io) return;
    saver_finish(s);
    if (save_all_pages(s, why, n_tokens) == OX_ENOTFOUND) s->n_put = 0;
}

void saver_now(struct saver *s, enum ox_why why, size_t n_tokens) {
    const struct cache_shape *shape = &s->cache->shape;
    int rc = OX_ENOTFOUND;
    uint64_t tail_sum;
    if (!s->io || !n_tokens) return;
    saver_finish(s);
    /* The store may have forgotten pages that it was given: once more from the first. */
    for (int round = 0; round < 2 && rc == OX_ENOTFOUND; round++) {
        rc = save_all_pages(s, why, n_tokens);
        if (!rc) rc = save_tail(s, why, n_tokens, &tail_sum);
        if (!rc)
            rc =
                drain_and_wait(s, s->record + STATEFMT_HEADER, s->cache->live, shape->record_bytes);
        if (!rc) rc = put_record(s, why, n_tokens, tail_sum);
        if (rc == OX_ENOTFOUND) s->n_put = 0;
    }
}

static void queue(struct saver *s, enum ox_blob what, enum ox_why why, size_t at, void *to,
                  const void *from, size_t n) {
    struct save_item it = {what, why, at, 0};
    if (s->n_items < SAVER_QUEUE && !drain(s, to, from, n, &it.ticket)) s->item[s->n_items++] = it;
}

void saver_later(struct saver *s, size_t n_tokens, const struct cache_snap *snap) {
    const struct cache_shape *shape = &s->cache->shape;
    size_t n_pages = n_tokens / KN_PAGE_TOKENS;
    /* Pages that were refused earlier wait for a moment when waiting costs nobody anything. */
    if (!s->io || !n_tokens || n_tokens % KN_PAGE_TOKENS || s->n_put + 1 != n_pages) return;
    enum ox_why why = snap ? snap->why : OX_WHY_GRID;
    queue(s, OX_BLOB_PAGE, why, n_tokens, s->page, s->cache->page[n_pages - 1], shape->page_bytes);
    if (snap)
        queue(s, OX_BLOB_STATE, why, n_tokens, s->record + STATEFMT_HEADER, snap->mem,
              shape->record_bytes);
}
