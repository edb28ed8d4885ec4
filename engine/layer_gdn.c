/* layer_gdn.c - the gated DeltaNet block: x += o_proj(gated_norm(delta_rule(conv(proj(norm(x)))))).
 * docs/MODEL.md 3.2. Prefill and decode are one call each: the backend picks the form from T. */
#include "engine/layer.h"

/* The output norm has an epsilon of its own, whatever the config says; so has the L2 norm. */
static const float o_norm_eps = 1e-5f, l2_eps = 1e-6f;

int layer_gdn(struct forward *f, const struct ox_layer *lw, ox_err *err) {
    const struct ox_config *c = f->config;
    const struct act *a = f->act;
    int64_t Kd = (int64_t)c->n_k_heads * c->k_size, Vd = (int64_t)c->n_v_heads * c->v_size;
    kn_tensor q = layer_view(f, a->q, Kd), k = layer_view(f, a->k, Kd), v = layer_view(f, a->v, Vd);
    kn_tensor gate = layer_view(f, a->gate, Vd), y = layer_view(f, a->y, Vd);
    /* The two gates of the recurrence stay f32: errors in them grow through the state. */
    kn_tensor alpha = act_view(a->a, f->T, c->n_v_heads, KN_F32);
    kn_tensor beta = act_view(a->b, f->T, c->n_v_heads, KN_F32);

    /* u = rms(x; input_layernorm); q|k|v|gate|a|b = W u */
    struct kn_linear in = {
        .w = lw->mixer_in,
        .x = layer_x(f),
        .norm = lw->norm_mixer,
        .norm_eps = c->rms_eps,
        .out = {q, k, v, gate, alpha, beta},
        .epi = KN_EPI_STORE,
    };
    layer_take_add(f, &in);
    int rc = f->kn->linear(f->dev, &in, err);
    if (rc) return rc;

    /* conv, SiLU, L2 norms; S <- exp(g) S; e = beta (v - S'k); S <- S + k e'; y = S'q */
    struct kn_gdn rule = {
        .q = q,
        .k = k,
        .v = v,
        .a = alpha,
        .b = beta,
        .taps = lw->taps,
        .a_log = lw->a_log,
        .dt_bias = lw->dt_bias,
        .conv = cache_conv(f->cache, f->i_gdn),
        .state = cache_state(f->cache, f->i_gdn),
        .out = y,
        .n_k_heads = c->n_k_heads,
        .n_v_heads = c->n_v_heads,
        .l2_eps = l2_eps,
        .beta_max = c->neg_eigval ? 2.0f : 1.0f,
    };
    rc = f->kn->gdn(f->dev, &rule, err);
    if (rc) return rc;

    /* o = rms(y; o_norm) * silu(gate), norm first; x += o_proj o */
    struct kn_linear out = {
        .w = lw->mixer_out,
        .x = y,
        .norm = lw->o_norm,
        .norm_eps = o_norm_eps,
        .gate = gate,
        .out = {layer_x(f)},
        .epi = KN_EPI_ADD,
    };
    f->i_gdn++;
    return f->kn->linear(f->dev, &out, err);
}
