/* config.c - see config.h. Apart, because this is the list of what oxbow promises to compute: a key
 * that changes the arithmetic is either understood here or refused here by its name. */
#include "engine/config.h"

#include "engine/jsontext.h"
#include "kernels/base/ox_mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Sizes beyond these are damage, not models; within them no product of three overflows 64 bits. */
enum {
    MAX_WIDTH = 1 << 20,
    MAX_VOCAB = 1 << 24,
    MAX_LAYERS = 9999, /* "layers.9999" fits ox_layer.name */
    MAX_HEADS = 1 << 16,
    MAX_QUANT_GROUPS = 64,
    MAX_QUANT_NAMES = 1 << 16,
    CONV_TAPS = 4, /* the only width with golden values */
    DEFAULT_EOS = 100257
};
static const char config_name[] = "config.json";
static const char generation_name[] = "generation_config.json";
static const char quant_fix[] =
    "oxbow reads compressed-tensors pack-quantized int4 and int8 weights; "
    "take a bf16 folder and run oxbow model quantize";

struct reader { /* one JSON object and how messages call it */
    const json_t *root;
    const char *file;
    ox_err *err;
};

static int refuse(const struct reader *r, const char *key, const json_t *v, const char *expected) {
    char shown[JSONTEXT_SHOWN];
    return ox_err_set(r->err, OX_EMODEL, "%s: %s is %s, expected %s", r->file, key,
                      jsontext_show(v, shown), expected);
}

/* ---- single values; *out keeps its default when the key is absent or null ---- */

static int read_whole(const struct reader *r, const char *key, int64_t min, int64_t max,
                      int64_t *out) {
    const json_t *v = jsontext_get(r->root, key);
    if (!v) return 0;
    int64_t got = (int64_t)json_integer_value(v);
    if (!json_is_integer(v) || got < min || got > max) {
        char expected[80];
        snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, min,
                 max);
        return refuse(r, key, v, expected);
    }
    *out = got;
    return 0;
}

static int read_i32(const struct reader *r, const char *key, int64_t min, int64_t max,
                    int32_t *out) {
    int64_t v = *out;
    int rc = read_whole(r, key, min, max, &v);
    *out = (int32_t)v;
    return rc;
}

static int read_float(const struct reader *r, const char *key, double min, double max, float *out) {
    const json_t *v = jsontext_get(r->root, key);
    if (!v) return 0;
    double got = json_number_value(v);
    if (!json_is_number(v) || !(got >= min && got <= max)) {
        char expected[80];
        if (min < max)
            snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
        else
            snprintf(expected, sizeof expected, "%g", min);
        return refuse(r, key, v, expected);
    }
    *out = (float)got;
    return 0;
}

static int read_bool(const struct reader *r, const char *key, bool *out) {
    const json_t *v = jsontext_get(r->root, key);
    if (!v) return 0;
    if (!json_is_boolean(v)) return refuse(r, key, v, "true or false");
    *out = json_is_true(v);
    return 0;
}

/* The key must be absent or hold exactly this text. */
static int want_text(const struct reader *r, const char *key, const char *only) {
    const json_t *v = jsontext_get(r->root, key);
    if (!v || (json_is_string(v) && strcmp(json_string_value(v), only) == 0)) return 0;
    char expected[64];
    snprintf(expected, sizeof expected, "\"%s\"", only);
    return refuse(r, key, v, expected);
}

static int want_absent(const struct reader *r, const char *key, const char *what) {
    const json_t *v = jsontext_get(r->root, key);
    if (!v) return 0;
    return ox_err_set(r->err, OX_EMODEL, "%s: %s: oxbow cannot run %s", r->file, key, what);
}

/* One warning, on a line of its own. What does not fit is left out whole. */
static void add_note(struct ox_config *c, const char *text) {
    size_t n = strlen(c->note), n_more = strlen(text);
    if (n + n_more + 2 > sizeof c->note) return;
    if (n) c->note[n++] = '\n';
    memcpy(c->note + n, text, n_more + 1);
}

/* ---- shapes ---- */

static int read_sizes(const struct reader *r, struct ox_config *c) {
    static const struct {
        const char *key;
        int64_t max;
    } required[] = {
        {"hidden_size", MAX_WIDTH},         {"intermediate_size", MAX_WIDTH},
        {"vocab_size", MAX_VOCAB},          {"num_hidden_layers", MAX_LAYERS},
        {"num_attention_heads", MAX_HEADS},
    };
    enum { N_REQUIRED = sizeof required / sizeof required[0] };
    int64_t v[N_REQUIRED] = {0};
    for (size_t i = 0; i < N_REQUIRED; i++) {
        if (!jsontext_get(r->root, required[i].key)) {
            ox_err_set(r->err, OX_EMODEL, "%s: %s is missing", r->file, required[i].key);
            return ox_err_fix(r->err, "the sizes of the 7B are never assumed; complete the file");
        }
        int rc = read_whole(r, required[i].key, 1, required[i].max, &v[i]);
        if (rc) return rc;
    }
    c->d = v[0];
    c->f = v[1];
    c->n_vocab = v[2];
    c->n_layers = (int32_t)v[3];
    c->n_heads = (int32_t)v[4];
    return 0;
}

static int check_divides(const struct reader *r, const char *big, int64_t a, const char *small,
                         int64_t b) {
    if (a % b == 0) return 0;
    return ox_err_set(r->err, OX_EMODEL, "%s: %s %" PRId64 " is not a multiple of %s %" PRId64,
                      r->file, big, a, small, b);
}

static int read_heads(const struct reader *r, struct ox_config *c) {
    int rc = check_divides(r, "hidden_size", c->d, "num_attention_heads", c->n_heads);
    if (rc) return rc;
    c->head_size = (int32_t)(c->d / c->n_heads);
    int32_t head_dim = c->head_size;
    rc = read_i32(r, "head_dim", 1, MAX_WIDTH, &head_dim);
    if (rc) return rc;
    if (head_dim != c->head_size)
        return ox_err_set(r->err, OX_EMODEL,
                          "%s: head_dim is %d, expected hidden_size / num_attention_heads = %d",
                          r->file, head_dim, c->head_size);
    c->n_kv_heads = c->n_k_heads = c->n_v_heads = c->n_heads;
    rc = read_i32(r, "num_key_value_heads", 1, MAX_HEADS, &c->n_kv_heads);
    if (!rc)
        rc = check_divides(r, "num_attention_heads", c->n_heads, "num_key_value_heads",
                           c->n_kv_heads);
    if (!rc) rc = read_i32(r, "linear_num_key_heads", 1, MAX_HEADS, &c->n_k_heads);
    if (!rc) rc = read_i32(r, "linear_num_value_heads", 1, MAX_HEADS, &c->n_v_heads);
    if (!rc)
        rc = check_divides(r, "linear_num_value_heads", c->n_v_heads, "linear_num_key_heads",
                           c->n_k_heads);
    if (rc) return rc;

    c->k_size = (int32_t)(3 * c->d / (4 * (int64_t)c->n_k_heads)); /* floor(0.75 d / Hk) */
    rc = read_i32(r, "linear_key_head_dim", 1, MAX_WIDTH, &c->k_size);
    if (rc) return rc;
    if (c->k_size < 1)
        return ox_err_set(r->err, OX_EMODEL,
                          "%s: linear_key_head_dim is absent and 0.75 * "
                          "hidden_size / linear_num_key_heads is below 1",
                          r->file);
    c->v_size = 2 * c->k_size;
    rc = read_i32(r, "linear_value_head_dim", 1, MAX_WIDTH, &c->v_size);
    if (rc) return rc;
    if ((int64_t)c->n_k_heads * c->k_size > MAX_VOCAB ||
        (int64_t)c->n_v_heads * c->v_size > MAX_VOCAB)
        return ox_err_set(r->err, OX_EMODEL,
                          "%s: linear_num_value_heads * linear_value_head_dim "
                          "is more than %d",
                          r->file, MAX_VOCAB);
    c->n_taps = CONV_TAPS;
    return read_i32(r, "linear_conv_kernel_dim", CONV_TAPS, CONV_TAPS, &c->n_taps);
}

static int read_layer_types(const struct reader *r, struct ox_config *c) {
    c->kind = ox_alloc((size_t)c->n_layers, sizeof *c->kind, "the layer kinds", r->err);
    if (!c->kind) return OX_ENOMEM;
    const json_t *list = jsontext_get(r->root, "layer_types");
    if (list && (!json_is_array(list) || json_array_size(list) != (size_t)c->n_layers)) {
        char expected[64];
        snprintf(expected, sizeof expected, "a list of %d kinds", c->n_layers);
        return refuse(r, "layer_types", list, expected);
    }
    for (int32_t i = 0; i < c->n_layers; i++) {
        const json_t *v = list ? json_array_get(list, (size_t)i) : NULL;
        const char *s = json_string_value(v);
        if (!list) /* three to one; a model too short for the pattern ends in attention */
            c->kind[i] = i % 4 == 3 || (c->n_layers < 4 && i == c->n_layers - 1) ? OX_LAYER_ATTN
                                                                                 : OX_LAYER_GDN;
        else if (s && strcmp(s, "linear_attention") == 0)
            c->kind[i] = OX_LAYER_GDN;
        else if (s && strcmp(s, "full_attention") == 0)
            c->kind[i] = OX_LAYER_ATTN;
        else {
            char key[40];
            snprintf(key, sizeof key, "layer_types[%d]", i);
            return refuse(r, key, v, "\"linear_attention\" or \"full_attention\"");
        }
        if (c->kind[i] == OX_LAYER_GDN)
            c->n_gdn++;
        else
            c->n_attn++;
    }
    if (c->n_gdn && c->n_attn) return 0;
    return ox_err_set(r->err, OX_EMODEL,
                      "%s: %d linear and %d attention layers; an Olmo Hybrid model has both",
                      r->file, c->n_gdn, c->n_attn);
}

/* ---- rotary embedding, docs/MODEL.md section 4 ---- */

static int read_rope(const struct reader *r, bool no_rope, struct ox_config *c) {
    const json_t *rope = jsontext_get(r->root, "rope_parameters");
    if (jsontext_get(r->root, "rope_theta"))
        add_note(c, "config.json has a top-level rope_theta; only rope_parameters counts, ignored");
    if (no_rope) {
        if (jsontext_get(rope, "rope_theta"))
            add_note(c, "rotary embedding switched off as asked, against rope_parameters");
        return 0;
    }
    if (!rope) return 0;
    if (!json_is_object(rope)) return refuse(r, "rope_parameters", rope, "an object or null");
    const json_t *theta = jsontext_get(rope, "rope_theta");
    if (!theta && json_is_object(jsontext_get(rope, "full_attention")))
        return ox_err_set(r->err, OX_EMODEL,
                          "%s: rope_parameters: oxbow cannot run one for each kind of layer",
                          r->file);
    if (!theta) return 0;
    struct reader in = {rope, "config.json: rope_parameters", r->err};
    int rc = want_text(&in, "rope_type", "default");
    if (!rc) rc = want_text(&in, "type", "default"); /* the older spelling */
    if (!rc) rc = want_absent(r, "rope_scaling", "scaled rotary embedding");
    float whole = 1;
    if (!rc) rc = read_float(&in, "partial_rotary_factor", 1, 1, &whole);
    if (rc) return ox_err_fix(r->err, "use a folder without scaled rotary embedding");
    c->rope_theta = json_number_value(theta);
    if (!json_is_number(theta) || !(c->rope_theta > 0 && c->rope_theta <= 1e12))
        return refuse(&in, "rope_theta", theta, "a number above 0, or null");
    if (c->head_size % 2)
        return ox_err_set(r->err, OX_EMODEL, "%s: rotary embedding needs an even head size, not %d",
                          r->file, c->head_size);
    if (c->rope_theta == 10000.0)
        add_note(c, "rope_theta is exactly 10000: some tools write that by mistake into models "
                    "trained without rotary embedding; if answers are poor, try rope=none");
    return 0;
}

/* ---- stop ids and sampling ---- */

static int add_stop(const struct reader *r, const json_t *v, struct ox_config *c) {
    enum { MAX_STOPS = sizeof c->stop / sizeof c->stop[0] };
    int64_t id = (int64_t)json_integer_value(v);
    if (!json_is_integer(v) || id < 0 || id >= c->n_vocab)
        return refuse(r, "eos_token_id", v, "an id below vocab_size, or a list of ids");
    for (int32_t i = 0; i < c->n_stop; i++)
        if (c->stop[i] == id) return 0;
    if (c->n_stop == MAX_STOPS)
        return ox_err_set(r->err, OX_EMODEL, "%s: eos_token_id: more than %d stop ids", r->file,
                          (int)MAX_STOPS);
    c->stop[c->n_stop++] = (int32_t)id;
    return 0;
}

static int read_stops(const struct reader *r, struct ox_config *c) {
    const json_t *v = jsontext_get(r->root, "eos_token_id");
    if (!v) return 0;
    if (!json_is_array(v)) return add_stop(r, v, c);
    int rc = 0;
    for (size_t i = 0; !rc && i < json_array_size(v); i++)
        rc = add_stop(r, json_array_get(v, i), c);
    return rc;
}

static int read_generation(const struct reader *r, struct ox_config *c) {
    static const char *const asked[] = {"temperature", "top_p", "min_p", "top_k",
                                        "repetition_penalty"};
    int rc = read_stops(r, c);
    if (!rc) rc = read_float(r, "temperature", 0, 100, &c->temperature);
    if (!rc) rc = read_float(r, "top_p", 1e-6, 1, &c->top_p);
    if (!rc) rc = read_float(r, "min_p", 0, 1, &c->min_p);
    if (!rc) rc = read_float(r, "repetition_penalty", 0.01, 100, &c->repeat);
    if (!rc) rc = read_i32(r, "top_k", 0, INT32_MAX, &c->top_k);
    if (!rc) rc = read_i32(r, "max_new_tokens", 1, INT32_MAX, &c->max_new_tokens);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
        if (jsontext_get(r->root, asked[i])) c->has_sampling = true;
    return rc;
}

/* ---- quantization_config, docs/MODEL.md section 8 ---- */

/* A list of texts, or NULL when absent. */
static int read_texts(const struct reader *r, const char *key, char ***out, size_t *n) {
    const json_t *list = jsontext_get(r->root, key);
    if (!list) return 0;
    size_t n_list = json_array_size(list);
    if (!json_is_array(list) || n_list > MAX_QUANT_NAMES)
        return refuse(r, key, list, "a list of module names");
    *out = ox_alloc(n_list, sizeof **out, "module names", r->err);
    if (!*out) return OX_ENOMEM;
    for (size_t i = 0; i < n_list; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_string(v)) return refuse(r, key, v, "a list of module names");
        (*out)[i] = ox_strdup(json_string_value(v), "a module name", r->err);
        if (!(*out)[i]) return OX_ENOMEM;
        ++*n;
    }
    return 0;
}

static int read_strategy(const struct reader *r, struct ox_quant_group *g) {
    const json_t *v = jsontext_get(r->root, "strategy");
    const char *s = json_string_value(v);
    int64_t size = 0;
    int rc = read_whole(r, "group_size", -1, MAX_WIDTH, &size); /* -1 and null: one a row */
    if (rc) return rc;
    bool by_group = v ? s && strcmp(s, "group") == 0 : size > 0;
    if (v && !by_group && (!s || strcmp(s, "channel") != 0))
        return refuse(r, "strategy", v, "\"channel\" or \"group\"");
    if (by_group ? size != 32 && size != 64 && size != 128 : size > 0)
        return refuse(r, "group_size", jsontext_get(r->root, "group_size"),
                      by_group ? "32, 64 or 128" : "null with strategy \"channel\"");
    g->group = by_group ? (int)size : 0;
    return 0;
}

static int read_quant_weights(const struct reader *r, struct ox_quant_group *g) {
    int64_t bits = 0;
    bool is_dynamic = false;
    int rc = want_text(r, "type", "int");
    if (!rc) rc = read_whole(r, "num_bits", 4, 8, &bits);
    if (!rc && bits != 4 && bits != 8)
        rc = refuse(r, "num_bits", jsontext_get(r->root, "num_bits"), "4 or 8");
    g->bits = (int)bits;
    g->symmetric = true;
    if (!rc) rc = read_bool(r, "symmetric", &g->symmetric);
    if (!rc) rc = read_bool(r, "dynamic", &is_dynamic);
    if (!rc && is_dynamic) rc = refuse(r, "dynamic", jsontext_get(r->root, "dynamic"), "false");
    if (!rc && !json_is_false(jsontext_get(r->root, "actorder")))
        rc = want_absent(r, "actorder", "weights in activation order");
    if (!rc) rc = want_absent(r, "block_structure", "blockwise scales");
    return rc ? rc : read_strategy(r, g);
}

static int read_quant_group(const struct reader *outer, const char *name, const json_t *v,
                            struct ox_quant_group *g) {
    char title[120], inner_title[160];
    snprintf(title, sizeof title, "%.40s: config_groups.%.40s", config_name, name);
    snprintf(inner_title, sizeof inner_title, "%s.weights", title);
    struct reader r = {v, title, outer->err};
    if (!json_is_object(v)) return refuse(outer, "an entry of config_groups", v, "an object");
    int rc = want_absent(&r, "input_activations", "quantised activations");
    if (!rc) rc = want_absent(&r, "output_activations", "quantised activations");
    if (!rc) rc = read_texts(&r, "targets", &g->targets, &g->n_targets);
    if (!rc && !g->n_targets)
        rc = refuse(&r, "targets", jsontext_get(v, "targets"), "a list of module names");
    const json_t *weights = jsontext_get(v, "weights");
    if (!rc && !json_is_object(weights)) rc = refuse(&r, "weights", weights, "an object");
    struct reader inner = {weights, inner_title, outer->err};
    return rc ? rc : read_quant_weights(&inner, g);
}

/* Absent, or an object that asks for nothing. */
static int want_empty(const struct reader *r, const char *key, const char *what) {
    const json_t *v = jsontext_get(r->root, key);
    const char *format = json_string_value(json_object_get(v, "format"));
    if (!v || (json_is_object(v) && json_object_size(v) == 0) ||
        (format && strcmp(format, "dense") == 0))
        return 0;
    return want_absent(r, key, what);
}

static int read_quant(const struct reader *config, struct ox_quant *q) {
    const json_t *v = jsontext_get(config->root, "quantization_config");
    if (!v) return 0;
    struct reader r = {v, "config.json: quantization_config", config->err};
    if (!json_is_object(v)) return refuse(config, "quantization_config", v, "an object");
    int rc = 0;
    if (!jsontext_get(v, "quant_method"))
        rc = refuse(&r, "quant_method", NULL, "\"compressed-tensors\"");
    if (!rc) rc = want_text(&r, "quant_method", "compressed-tensors");
    if (!rc) rc = want_text(&r, "format", "pack-quantized");
    if (!rc) rc = want_absent(&r, "kv_cache_scheme", "a quantised KV cache from a folder");
    if (!rc) rc = want_empty(&r, "sparsity_config", "sparse weights");
    if (!rc) rc = want_empty(&r, "transform_config", "transformed weights");
    if (!rc) rc = read_texts(&r, "ignore", &q->ignore, &q->n_ignore);
    if (rc) return rc;
    const json_t *groups = jsontext_get(v, "config_groups");
    size_t n = json_object_size(groups);
    if (!json_is_object(groups) || n == 0 || n > MAX_QUANT_GROUPS)
        return refuse(&r, "config_groups", groups, "an object of 1 to 64 groups");
    q->groups = ox_alloc(n, sizeof *q->groups, "quantisation groups", r.err);
    if (!q->groups) return OX_ENOMEM;
    const char *name;
    json_t *group;
    json_object_foreach((json_t *)(uintptr_t)groups, name, group) {
        rc = read_quant_group(&r, name, group, &q->groups[q->n_groups++]);
        if (rc) return rc;
    }
    return 0;
}

/* ---- the whole ---- */

static int check_family(const struct reader *r) {
    const json_t *v = jsontext_get(r->root, "model_type");
    int rc = v ? 0 : refuse(r, "model_type", v, "\"olmo_hybrid\"");
    if (!rc) rc = want_text(r, "model_type", "olmo_hybrid");
    if (rc) ox_err_fix(r->err, "check that -m names an Olmo Hybrid folder");
    return rc;
}

static int read_arithmetic(const struct reader *r, struct ox_config *c) {
    bool has_bias = false;
    int rc = want_text(r, "hidden_act", "silu");
    if (!rc) rc = read_float(r, "rms_norm_eps", 1e-12, 0.1, &c->rms_eps);
    if (!rc) rc = read_bool(r, "linear_allow_neg_eigval", &c->neg_eigval);
    if (!rc) rc = read_bool(r, "tie_word_embeddings", &c->tied);
    if (!rc) rc = read_bool(r, "attention_bias", &has_bias);
    if (!rc && has_bias)
        rc = refuse(r, "attention_bias", jsontext_get(r->root, "attention_bias"), "false");
    int64_t trained = c->trained_tokens;
    if (!rc) rc = read_whole(r, "max_position_embeddings", 1, INT32_MAX, &trained);
    c->trained_tokens = (uint32_t)trained;
    return rc;
}

static int parse_config(const struct reader *r, bool no_rope, struct ox_config *c) {
    int rc = check_family(r);
    if (!rc) rc = read_sizes(r, c);
    if (!rc) rc = read_heads(r, c);
    if (!rc) rc = read_layer_types(r, c);
    if (!rc) rc = read_arithmetic(r, c);
    if (!rc) rc = read_rope(r, no_rope, c);
    if (!rc) rc = read_stops(r, c);
    if (!rc) rc = read_i32(r, "pad_token_id", 0, c->n_vocab - 1, &c->pad_id);
    if (!rc) {
        rc = read_quant(r, &c->quant);
        if (rc == OX_EMODEL && r->err && !r->err->fix[0]) ox_err_fix(r->err, "%s", quant_fix);
    }
    return rc;
}

int config_parse(const unsigned char *config, size_t n_config, const unsigned char *generation,
                 size_t n_generation, bool no_rope, struct ox_config *out, ox_err *err) {
    struct ox_config c = {
        .rms_eps = 1e-6F,
        .neg_eigval = true,
        .trained_tokens = 65536,
        .pad_id = -1,
        .temperature = -1,
        .top_p = -1,
        .min_p = -1,
        .repeat = -1,
        .top_k = -1,
    };
    json_t *root = NULL, *extra = NULL;
    int rc = jsontext_parse(config, n_config, config_name, &root, err);
    struct reader r = {root, config_name, err};
    if (!rc) rc = parse_config(&r, no_rope, &c);
    if (!rc && generation) {
        rc = jsontext_parse(generation, n_generation, generation_name, &extra, err);
        struct reader g = {extra, generation_name, err};
        if (!rc) rc = read_generation(&g, &c);
    }
    if (!rc && c.n_stop == 0 && c.n_vocab > DEFAULT_EOS) c.stop[c.n_stop++] = DEFAULT_EOS;
    json_decref(root);
    json_decref(extra);
    if (rc) {
        config_deinit(&c);
        if (rc == OX_EMODEL && err && !err->fix[0])
            ox_err_fix(err, "oxbow cannot run this model as it is; compare the file with the "
                            "publisher's");
        return rc;
    }
    *out = c;
    return 0;
}

int config_read(struct folder *f, bool no_rope, struct ox_config *out, ox_err *err) {
    const unsigned char *config = NULL, *generation = NULL;
    size_t n_config = 0, n_generation = 0;
    int rc = folder_get(f, config_name, &config, &n_config, err);
    if (rc == OX_ENOTFOUND) {
        rc = ox_err_set(err, OX_EMODEL, "%s: no config.json", folder_path(f));
        ox_err_fix(err, "-m takes a folder with config.json, tokenizer.json and safetensors files");
    }
    if (!rc) {
        rc = folder_get(f, generation_name, &generation, &n_generation, err);
        if (rc == OX_ENOTFOUND) rc = 0;
    }
    if (!rc) rc = config_parse(config, n_config, generation, n_generation, no_rope, out, err);
    return rc ? ox_err_wrap(err, rc, "read config") : 0;
}

static void free_texts(char **v, size_t n) {
    for (size_t i = 0; i < n; i++)
        ox_free(v[i]);
    ox_free(v);
}

void config_deinit(struct ox_config *c) {
    ox_free(c->kind);
    for (size_t i = 0; i < c->quant.n_groups; i++)
        free_texts(c->quant.groups[i].targets, c->quant.groups[i].n_targets);
    ox_free(c->quant.groups);
    free_texts(c->quant.ignore, c->quant.n_ignore);
    *c = (struct ox_config){0};
}
