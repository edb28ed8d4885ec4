/* weights.h - from names in files to the weights that the layer files use, packed by a backend.
 * Every expected tensor is there once with its exact shape, nothing else is. docs/MODEL.md 2.3. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "engine/config.h"
#include "engine/safetensors.h"

/* One layer. A field that the kind does not have is NULL or {0}. Small tensors are f32 in backend
 * memory, [1,n] unless noted. */
struct ox_layer {
    enum ox_layer_kind kind;
    char name[16];           /* "layers.12" */
    kn_weight *mixer_in;     /* gdn: q|k|v|gate|a|b   attn: q|k|v */
    kn_weight *mixer_out;    /* o_proj */
    kn_weight *gate_up;      /* gate|up, for KN_EPI_SWIGLU */
    kn_weight *down;
    kn_tensor norm_mixer;    /* gdn: input_layernorm, before the mixer
                              * attn: post_attention_layernorm, of the mixer's output */
    kn_tensor norm_ffn;      /* gdn: post_attention_layernorm, before the MLP
                              * attn: post_feedforward_layernorm, of the MLP's output */
    kn_tensor q_norm, k_norm;             /* attn */
    kn_tensor taps;                       /* gdn: [2*Kd+Vd, W] rows q|k|v */
    kn_tensor a_log, dt_bias, o_norm;     /* gdn: [1,Hv] [1,Hv] [1,Dv] */
};
struct ox_weights {
    const struct kn_backend *kn;
    kn_dev *dev;
    struct ox_layer *layer;  /* [n_layers] */
    int32_t n_layers;
    kn_weight *embed, *head; /* the same pointer when tied */
    kn_tensor final_norm;
    uint64_t n_params, n_bytes; /* resident bytes of all weights */
    void *small;                /* backend block that holds the small tensors */
};

/* The tensors a folder must have, in file order: for verify, quantize and the synthetic model. */
struct ox_expected { char name[96]; int n_dims; int64_t dim[4]; bool is_linear; /* may be quantised */ };
int weights_expect(const struct ox_config *c, struct ox_expected **out, size_t *n, ox_err *err);

/* The same with the place of each in a folder, after all checks of weights_check; owned (ox_free). */
struct ox_located {
    struct ox_expected want;
    const struct st_tensor *t; /* NULL: quantised, see part */
    size_t first;              /* element of t where it begins: a fused convolution holds three */
    struct kn_part part;       /* matrices only */
};
int weights_locate(const struct st_set *s, const struct ox_config *c, struct ox_located **out,
                   size_t *n, ox_err *err);

/* Checks names and shapes only; names the first missing and the first unexpected tensor together. */
int weights_check(const struct st_set *s, const struct ox_config *c, ox_err *err);
/* Check, then pack. The folder must stay open as long as the weights live. */
int weights_load(const struct st_set *s, const struct ox_config *c, const struct kn_backend *kn,
                 kn_dev *dev, struct ox_weights *out, ox_err *err);
void weights_deinit(struct ox_weights *w); /* {0} is fine */

/* docs/STORE.md section 1, weights_hash: identity of the arithmetic. */
int weights_key(const struct st_set *s, const struct ox_config *c, uint64_t hi_lo[2], ox_err *err);

#endif
