/* layer.h - the three kinds of block that forward.c puts together. Private to it and them. Each
 * reads and changes the residual stream f->act->x [T,D] and leaves f->add set if its norm comes
 * after it. */
#ifndef LAYER_H
#define LAYER_H

#include "engine/forward.h"

int layer_gdn(struct forward *f, const struct ox_layer *lw, ox_err *err);  /* x += gdn(norm(x)) */
int layer_attn(struct forward *f, const struct ox_layer *lw, ox_err *err); /* x += norm(attn(x)) */
int layer_ffn(struct forward *f, const struct ox_layer *lw, ox_err *err); /* norm as in the mixer */

static inline kn_tensor layer_x(const struct forward *f) {
    return act_view(f->act->x, f->T, f->config->d, KN_F32);
}

/* A view [T,cols] of a part of the activations. */
static inline kn_tensor layer_view(const struct forward *f, void *part, int64_t cols) {
    return act_view(part, f->T, cols, f->act->type);
}

/* The first product of a block also adds what the block before it left: x += rms(add; add_norm). */
static inline void layer_take_add(struct forward *f, struct kn_linear *l) {
    l->add = f->add;
    l->add_norm = f->add_norm;
    l->add_eps = f->config->rms_eps;
    f->add = f->add_norm = (kn_tensor){0};
}

#endif
