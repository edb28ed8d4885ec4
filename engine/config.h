/* config.h - config.json and generation_config.json of an Olmo Hybrid folder as one plain struct.
 * Every number is checked; what oxbow cannot run is refused by the name of its key. docs/MODEL.md
 * sections 2.1, 4 and 8. Pure but for reading the folder. */
#ifndef CONFIG_H
#define CONFIG_H

#include "engine/folder.h"
#include "kernels/kn.h"

enum ox_layer_kind { OX_LAYER_NONE, OX_LAYER_GDN, OX_LAYER_ATTN };

/* One entry of quantization_config.config_groups. */
struct ox_quant_group {
    int bits;        /* 4 or 8 */
    int group;       /* inputs that share a scale; 0: one scale a row (strategy channel) */
    bool symmetric;
    char **targets;  /* "Linear", module names, "re:.." */
    size_t n_targets;
};
struct ox_quant {
    struct ox_quant_group *groups;
    size_t n_groups;    /* 0: not quantised */
    char **ignore;
    size_t n_ignore;
};

struct ox_config {
    int64_t d, f, n_vocab;            /* hidden_size, intermediate_size, vocab_size */
    int32_t n_layers, n_heads, n_kv_heads, head_size;
    int32_t n_k_heads, n_v_heads, k_size, v_size, n_taps; /* linear_*: Hk, Hv, Dk, Dv, W */
    enum ox_layer_kind *kind;         /* [n_layers], owned */
    int32_t n_gdn, n_attn;
    float rms_eps;
    bool neg_eigval, tied;
    double rope_theta;                /* 0: no rotary embedding */
    uint32_t trained_tokens;          /* max_position_embeddings */
    int32_t stop[16]; int32_t n_stop; /* union of eos_token_id in both files */
    int32_t pad_id;                   /* -1: none */
    bool has_sampling;                /* generation_config.json asked for something */
    float temperature, top_p, min_p, repeat; int32_t top_k, max_new_tokens; /* -1 / 0: not said */
    struct ox_quant quant;
    char note[512];                   /* warnings, one a line: theta trap, stray rope_theta */
};

/* OX_EMODEL names the key, what it holds and what would be right. {0} may be deinited. */
int config_read(struct folder *f, bool no_rope, struct ox_config *out, ox_err *err);
/* The same from the two texts in memory; generation NULL: there is no generation_config.json. */
int config_parse(const unsigned char *config, size_t n_config, const unsigned char *generation,
                 size_t n_generation, bool no_rope, struct ox_config *out, ox_err *err);
void config_deinit(struct ox_config *c);

#endif
