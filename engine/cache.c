/* cache.c - see cache.h. */
#include "engine/cache.h"

#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"

static size_t pad(size_t n) {
    return (n + CACHE_PAD - 1) / CACHE_PAD * CACHE_PAD;
}

void cache_shape_make(const struct ox_config *c, enum kn_dtype act, enum kn_dtype kv,
                      struct cache_shape *out) {
    struct cache_shape s = {
        .n_gdn = c->n_gdn,
        .n_attn = c->n_attn,
        .n_kv_heads = c->n_kv_heads,
        .head_size = c->head_size,
        .n_v_heads = c->n_v_heads,
        .k_size = c->k_size,
        .v_size = c->v_size,
        .n_kept = c->n_taps - 1,
        .n_vocab = c->n_vocab,
        .conv = act,
        .kv = kv,
    };
    s.channels = 2 * (int64_t)c->n_k_heads * c->k_size + (int64_t)c->n_v_heads * c->v_size;
    s.layer_state_bytes = kn_bytes(KN_F32, (int64_t)c->n_v_heads * c->v_size * c->k_size);
    s.layer_conv_bytes = kn_bytes(act, s.n_kept * s.channels);
    s.layer_page_bytes = 2 * (size_t)c->n_kv_heads * kn_kv_block_bytes(kv, c->head_size);
    s.state_bytes = (size_t)c->n_gdn * s.layer_state_bytes;
    s.conv_bytes = (size_t)c->n_gdn * s.layer_conv_bytes;
    s.logits_bytes = kn_bytes(KN_F32, c->n_vocab);
    s.conv_at = pad(s.state_bytes);
    s.logits_at = s.conv_at + pad(s.conv_bytes);
    s.record_bytes = s.logits_at + pad(s.logits_bytes);
    s.page_bytes = (size_t)c->n_attn * s.layer_page_bytes;
    *out = s;
}

/* ---- open, close ---------------------------------------------------------------------------- */

int cache_open(const struct kn_backend *kn, kn_dev *dev, const struct cache_shape *shape,
               uint32_t max_tokens, int n_snaps, struct cache *out, ox_err *err) {
    struct cache c = {.kn = kn, .dev = dev, .shape = *shape};
    c.n_snaps = n_snaps < CACHE_SNAPS ? n_snaps : CACHE_SNAPS;
    c.max_pages = ((size_t)max_tokens + KN_PAGE_TOKENS - 1) / KN_PAGE_TOKENS;
    int rc = kn->alloc(dev, KN_DEVICE, shape->record_bytes, &c.live, err);
    if (!rc) rc = kn->alloc(dev, KN_DEVICE, shape->record_bytes, &c.undo, err);
    if (!rc) {
        c.page = ox_alloc(c.max_pages, sizeof *c.page, "table of KV pages", err);
        if (!c.page) rc = OX_ENOMEM;
    }
    if (rc) {
        cache_close(&c);
        return ox_err_wrap(err, rc, "allocate states");
    }
    *out = c;
    return 0;
}

void cache_close(struct cache *c) {
    if (c->live) c->kn->release(c->dev, c->live);
    if (c->undo) c->kn->release(c->dev, c->undo);
    for (size_t i = 0; i < c->n_pages; i++)
        c->kn->release(c->dev, c->page[i]);
    for (int i = 0; i < CACHE_SNAPS; i++)
        if (c->snap[i].mem) c->kn->release(c->dev, c->snap[i].mem);
    ox_free(c->page);
    *c = (struct cache){0};
}

int cache_reserve(struct cache *c, size_t n_tokens, ox_err *err) {
    size_t want = (n_tokens + KN_PAGE_TOKENS - 1) / KN_PAGE_TOKENS;
    if (want > c->max_pages) want = c->max_pages;
    for (; c->n_pages < want; c->n_pages++) {
        int rc = c->kn->alloc(c->dev, KN_DEVICE, c->shape.page_bytes, &c->page[c->n_pages], err);
        if (rc) return ox_err_wrap(err, rc, "allocate a KV page");
    }
    return 0;
}

/* ---- records -------------------------------------------------------------------------------- */

int cache_reset(struct cache *c, ox_err *err) {
    void *zero = ox_alloc(c->shape.record_bytes, 1, "an empty state", err);
    if (!zero) return OX_ENOMEM;
    int rc = c->kn->copy(c->dev, c->live, zero, c->shape.record_bytes, err);
    ox_free(zero);
    if (!rc) cache_forget(c, 0);
    return rc;
}

int cache_mark(struct cache *c, ox_err *err) {
    return c->kn->copy(c->dev, c->undo, c->live, c->shape.record_bytes, err);
}

int cache_undo(struct cache *c, ox_err *err) {
    return c->kn->copy(c->dev, c->live, c->undo, c->shape.record_bytes, err);
}

/* What a slot is worth: places that many prompts share live longer than those of one turn. */
static int worth(const struct cache_snap *s) {
    switch (s->why) {
    case OX_WHY_NONE:
    case OX_WHY_ASK:
    case OX_WHY_TURN:
    case OX_WHY_STOP: return 1;
    case OX_WHY_GRID: return 2;
    case OX_WHY_SYSTEM:
    case OX_WHY_DOCUMENT: return 3;
    }
    return 0;
}

static struct cache_snap *choose_slot(struct cache *c, size_t at) {
    struct cache_snap *worst = NULL;
    for (int i = 0; i < c->n_snaps; i++)
        if (c->snap[i].at == at) return &c->snap[i];
    for (int i = 0; i < c->n_snaps; i++) {
        struct cache_snap *s = &c->snap[i];
        if (s->at == 0) return s;
        if (!worst || worth(s) < worth(worst) ||
            (worth(s) == worth(worst) && s->taken < worst->taken))
            worst = s;
    }
    return worst;
}

int cache_keep(struct cache *c, size_t at, enum ox_why why, ox_err *err) {
    struct cache_snap *s = choose_slot(c, at);
    if (!s || at == 0) return 0;
    int rc = 0;
    enum ox_why before = s->at == at ? s->why : OX_WHY_NONE;
    s->at = 0; /* nothing half-copied may be found */
    if (!s->mem) rc = c->kn->alloc(c->dev, KN_DEVICE, c->shape.record_bytes, &s->mem, err);
    if (!rc) rc = c->kn->copy(c->dev, s->mem, c->live, c->shape.record_bytes, err);
    if (rc) return rc;
    *s = (struct cache_snap){s->mem, at, why, ++c->n_taken};
    if (before && worth(&(struct cache_snap){.why = before}) > worth(s)) s->why = before;
    return 0;
}

const struct cache_snap *cache_find(const struct cache *c, size_t at) {
    const struct cache_snap *best = NULL;
    for (int i = 0; i < c->n_snaps; i++) {
        const struct cache_snap *s = &c->snap[i];
        if (s->at && s->at <= at && (!best || s->at > best->at)) best = s;
    }
    return best;
}

int cache_restore(struct cache *c, const struct cache_snap *s, ox_err *err) {
    return c->kn->copy(c->dev, c->live, s->mem, c->shape.record_bytes, err);
}

void cache_forget(struct cache *c, size_t at) {
    for (int i = 0; i < CACHE_SNAPS; i++)
        if (c->snap[i].at > at) c->snap[i].at = 0;
}

/* ---- views ---------------------------------------------------------------------------------- */

kn_tensor cache_state(const struct cache *c, int32_t i) {
    const struct cache_shape *s = &c->shape;
    return (kn_tensor){(char *)c->live + (size_t)i * s->layer_state_bytes,
                       (int64_t)s->n_v_heads * s->v_size, s->k_size, KN_F32};
}

kn_tensor cache_conv(const struct cache *c, int32_t i) {
    const struct cache_shape *s = &c->shape;
    return (kn_tensor){(char *)c->live + s->conv_at + (size_t)i * s->layer_conv_bytes, s->n_kept,
                       s->channels, s->conv};
}

kn_tensor cache_logits(const struct cache *c) {
    return (kn_tensor){(char *)c->live + c->shape.logits_at, 1, c->shape.n_vocab, KN_F32};
}
