/* layer_attn.c - the attention block: reads the raw residual stream, norms its output.
 * docs/MODEL.md 3.1. The norm and the sum are left to the next product (f->add), which reads x
 * anyway. */
#include "engine/layer.h"

#include <math.h>

int layer_attn(struct forward *f, const struct ox_layer *lw, ox_err *err) {
    const struct ox_config *c = f->config;
    const struct act *a = f->act;
    int64_t Q = (int64_t)c->n_heads * c->head_size, KV = (int64_t)c->n_kv_heads * c->head_size;
    kn_tensor q = layer_view(f, a->q, Q), k = layer_view(f, a->k, KV), v = layer_view(f, a->v, KV);
    kn_tensor y = layer_view(f, a->y, Q), mixed = layer_view(f, a->mixed, c->d);

    /* q|k|v = W x, x as it is */
    struct kn_linear in = {
        .w = lw->mixer_in,
        .x = layer_x(f),
        .out = {q, k, v},
        .epi = KN_EPI_STORE,
    };
    layer_take_add(f, &in);
    int rc = f->kn->linear(f->dev, &in, err);
    if (rc) return rc;

    /* q, k normed over their whole width; y = softmax(q K' / sqrt(Dh)) V per head */
    struct kn_attn attn = {
        .q = q,
        .k = k,
        .v = v,
        .q_norm = lw->q_norm,
        .k_norm = lw->k_norm,
        .out = y,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .page_offset = (size_t)f->i_attn * f->cache->shape.layer_page_bytes,
        .kv = f->kv,
        .eps = c->rms_eps,
        .scale = (float)(1.0 / sqrt((double)c->head_size)),
        .rope_theta = (float)c->rope_theta,
    };
    rc = f->kn->attn(f->dev, &attn, err);
    if (rc) return rc;

    /* x += rms(o_proj y; post_attention_layernorm): the sum is left to the next product */
    struct kn_linear out = {
        .w = lw->mixer_out,
        .x = y,
        .out = {mixed},
        .epi = KN_EPI_STORE,
    };
    rc = f->kn->linear(f->dev, &out, err);
    if (rc) return rc;
    f->i_attn++;
    f->add = mixed;
    f->add_norm = lw->norm_mixer;
    return 0;
}
