/* layer_ffn.c - the gated feed-forward block: down(silu(gate x) * up x), docs/MODEL.md section 3.
 * Norm before it in layers with a delta rule, after it in layers with attention. */
#include "engine/layer.h"

int layer_ffn(struct forward *f, const struct ox_layer *lw, ox_err *err) {
    const struct ox_config *c = f->config;
    bool is_pre_norm = lw->kind == OX_LAYER_GDN;
    kn_tensor hidden = layer_view(f, f->act->ffn, c->f);
    kn_tensor mixed = layer_view(f, f->act->mixed, c->d);

    /* hidden = silu(gate x^) * (up x^); x^ = rms(x) or x */
    struct kn_linear in = {
        .w = lw->gate_up,
        .x = layer_x(f),
        .out = {hidden},
        .epi = KN_EPI_SWIGLU,
    };
    layer_take_add(f, &in);
    if (is_pre_norm) {
        in.norm = lw->norm_ffn;
        in.norm_eps = c->rms_eps;
    }
    int rc = f->kn->linear(f->dev, &in, err);
    if (rc) return rc;

    /* x += down hidden, or x += rms(down hidden), the sum left to the next product */
    struct kn_linear out = {
        .w = lw->down,
        .x = hidden,
        .out = {is_pre_norm ? layer_x(f) : mixed},
        .epi = is_pre_norm ? KN_EPI_ADD : KN_EPI_STORE,
    };
    rc = f->kn->linear(f->dev, &out, err);
    if (rc) return rc;
    if (!is_pre_norm) {
        f->add = mixed;
        f->add_norm = lw->norm_ffn;
    }
    return 0;
}
