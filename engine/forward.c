/* forward.c - see forward.h. */
#include "engine/forward.h"

#include "engine/layer.h"

static int step_begin(struct forward *f, const int32_t *tok, int32_t n_tok, size_t n_cached,
                      bool want_logits, bool *replayed, ox_err *err) {
    struct kn_step step = {
        .tok = tok, .n_tok = n_tok, .n_cached = (int64_t)n_cached, .pages = f->cache->page};
    if (n_tok <= FORWARD_RECORDED && !f->trace) step.key = f->key << 1 | want_logits;
    f->T = n_tok;
    f->i_gdn = f->i_attn = 0;
    f->add = f->add_norm = (kn_tensor){0};
    return f->kn->begin(f->dev, &step, replayed, err);
}

static int step_end(struct forward *f, int rc, ox_err *err) {
    int end = f->kn->end(f->dev, rc ? NULL : err);
    return rc ? rc : end;
}

/* Norm and output matrix for rows [first, first + n) of x. */
static int head(struct forward *f, int64_t first, int64_t n, kn_in out, ox_err *err) {
    const struct ox_config *c = f->config;
    struct kn_linear l = {.w = f->weights->head,
                          .norm = f->weights->final_norm,
                          .norm_eps = c->rms_eps,
                          .out = {*out},
                          .epi = KN_EPI_STORE};
    l.x = act_view((float *)f->act->x + first * c->d, n, c->d, KN_F32);
    if (f->add.data) {
        size_t width = f->add.dtype == KN_F32 ? 4 : 2;
        l.add =
            act_view((char *)f->add.data + (size_t)(first * c->d) * width, n, c->d, f->add.dtype);
        l.add_norm = f->add_norm;
        l.add_eps = c->rms_eps;
    }
    return f->kn->linear(f->dev, &l, err);
}

/* One pass over all layers for T new tokens; leaves the logits of the last one in the cache. */
int forward(struct forward *f, const int32_t *tok, int32_t n_tok, size_t n_cached, bool want_logits,
            ox_err *err) {
    const struct ox_weights *w = f->weights;
    bool replayed = false; /* true: the device runs the step it recorded */
    int rc = step_begin(f, tok, n_tok, n_cached, want_logits, &replayed, err);
    if (!rc) f->n_tokens += (uint64_t)n_tok;
    if (rc || replayed) return rc;
    kn_tensor x = layer_x(f), logits = cache_logits(f->cache);
    rc = f->kn->embed(f->dev, &x, w->embed, err); /* x [T,D] */
    if (!rc) rc = trace_layer(f->trace, f, "embed", -1, err);
    for (int32_t l = 0; !rc && l < w->n_layers; l++) {
        const struct ox_layer *lw = &w->layer[l];
        if (n_tok > FORWARD_RECORDED && atomic_load_explicit(f->cancel, memory_order_relaxed))
            rc = ox_err_set(err, OX_ECANCELLED, "cancelled");
        else
            switch (lw->kind) {
            case OX_LAYER_NONE: break;
            case OX_LAYER_GDN: rc = layer_gdn(f, lw, err); break;   /* x += gdn(norm(x)) */
            case OX_LAYER_ATTN: rc = layer_attn(f, lw, err); break; /* x += norm(attn(x)) */
            }
        if (!rc) rc = layer_ffn(f, lw, err); /* norm placed as in the mixer */
        if (!rc) rc = trace_layer(f->trace, f, "layer", l, err);
        if (rc) ox_err_wrap(err, rc, lw->name);
    }
    if (!rc && want_logits) rc = head(f, n_tok - 1, 1, &logits, err); /* logits [1,V] */
    return step_end(f, rc, err);
}

int forward_rows(struct forward *f, const int32_t *tok, size_t n_cached, int64_t first, int64_t n,
                 kn_in out, ox_err *err) {
    struct kn_step step = {.tok = tok + first,
                           .n_tok = (int32_t)n,
                           .n_cached = (int64_t)n_cached + first,
                           .pages = f->cache->page};
    bool replayed = false; /* never: key 0 */
    int rc = f->kn->begin(f->dev, &step, &replayed, err);
    if (rc) return rc;
    return step_end(f, head(f, first, n, out, err), err);
}
