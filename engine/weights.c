/* weights.c - see weights.h. Apart, because names belong to files and shapes to the layers: this is
 * where one becomes the other. */
#include "engine/weights.h"

#include "engine/quant.h"
#include "kernels/base/ox_mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* ---- the table of names, docs/MODEL.md 2.3 ---- */

enum size { S_NONE, S_ONE, S_D, S_F, S_V, S_KD, S_VD, S_HV, S_DV, S_W, S_KVD };
struct want {
    const char *suffix, *alias; /* alias: another spelling of the same tensor, or NULL */
    bool is_linear;             /* a matrix of a linear layer or the embedding: may be quantised */
    enum size dim[3];
};

enum {
    G_NORM_IN,
    G_NORM_FFN,
    G_Q,
    G_K,
    G_V,
    G_GATE,
    G_A,
    G_B,
    G_CONV_Q,
    G_CONV_K,
    G_CONV_V,
    G_A_LOG,
    G_DT_BIAS,
    G_O_NORM,
    G_OUT,
    G_FFN_GATE,
    G_FFN_UP,
    G_FFN_DOWN,
    G_COUNT
};
enum {
    A_Q,
    A_K,
    A_V,
    A_Q_NORM,
    A_K_NORM,
    A_OUT,
    A_NORM_MIXER,
    A_NORM_FFN,
    A_FFN_GATE,
    A_FFN_UP,
    A_FFN_DOWN,
    A_COUNT
};

/* clang-format off */
static const struct want gdn_wants[G_COUNT] = {
    [G_NORM_IN]  = {"input_layernorm.weight", "attention_layer_norm.weight", false, {S_D}},
    [G_NORM_FFN] = {"post_attention_layernorm.weight", "feedforward_layer_norm.weight", false, {S_D}},
    [G_Q]        = {"linear_attn.q_proj.weight", NULL, true, {S_KD, S_D}},
    [G_K]        = {"linear_attn.k_proj.weight", NULL, true, {S_KD, S_D}},
    [G_V]        = {"linear_attn.v_proj.weight", NULL, true, {S_VD, S_D}},
    [G_GATE]     = {"linear_attn.g_proj.weight", NULL, true, {S_VD, S_D}},
    [G_A]        = {"linear_attn.a_proj.weight", NULL, true, {S_HV, S_D}},
    [G_B]        = {"linear_attn.b_proj.weight", NULL, true, {S_HV, S_D}},
    [G_CONV_Q]   = {"linear_attn.q_conv1d.weight", NULL, false, {S_KD, S_ONE, S_W}},
    [G_CONV_K]   = {"linear_attn.k_conv1d.weight", NULL, false, {S_KD, S_ONE, S_W}},
    [G_CONV_V]   = {"linear_attn.v_conv1d.weight", NULL, false, {S_VD, S_ONE, S_W}},
    [G_A_LOG]    = {"linear_attn.A_log", NULL, false, {S_HV}},
    [G_DT_BIAS]  = {"linear_attn.dt_bias", NULL, false, {S_HV}},
    [G_O_NORM]   = {"linear_attn.o_norm.weight", "linear_attn.norm.weight", false, {S_DV}},
    [G_OUT]      = {"linear_attn.o_proj.weight", "linear_attn.out_proj.weight", true, {S_D, S_VD}},
    [G_FFN_GATE] = {"mlp.gate_proj.weight", NULL, true, {S_F, S_D}},
    [G_FFN_UP]   = {"mlp.up_proj.weight", NULL, true, {S_F, S_D}},
    [G_FFN_DOWN] = {"mlp.down_proj.weight", NULL, true, {S_D, S_F}},
};
static const struct want attn_wants[A_COUNT] = {
    [A_Q]          = {"self_attn.q_proj.weight", NULL, true, {S_D, S_D}},
    [A_K]          = {"self_attn.k_proj.weight", NULL, true, {S_KVD, S_D}},
    [A_V]          = {"self_attn.v_proj.weight", NULL, true, {S_KVD, S_D}},
    [A_Q_NORM]     = {"self_attn.q_norm.weight", NULL, false, {S_D}},
    [A_K_NORM]     = {"self_attn.k_norm.weight", NULL, false, {S_KVD}},
    [A_OUT]        = {"self_attn.o_proj.weight", NULL, true, {S_D, S_D}},
    [A_NORM_MIXER] = {"post_attention_layernorm.weight", NULL, false, {S_D}},
    [A_NORM_FFN]   = {"post_feedforward_layernorm.weight", NULL, false, {S_D}},
    [A_FFN_GATE]   = {"mlp.gate_proj.weight", NULL, true, {S_F, S_D}},
    [A_FFN_UP]     = {"mlp.up_proj.weight", NULL, true, {S_F, S_D}},
    [A_FFN_DOWN]   = {"mlp.down_proj.weight", NULL, true, {S_D, S_F}},
};
static const struct want embed_want = {"model.embed_tokens.weight", NULL, true, {S_V, S_D}};
static const struct want norm_want = {"model.norm.weight", NULL, false, {S_D}};
static const struct want head_want = {"lm_head.weight", NULL, true, {S_V, S_D}};
static const char fused_conv[] = "linear_attn.conv1d.weight"; /* [2*Kd+Vd,1,W], rows q|k|v */
/* clang-format on */

static int64_t size_of(const struct ox_config *c, enum size s) {
    switch (s) {
    case S_NONE: break;
    case S_ONE: return 1;
    case S_D: return c->d;
    case S_F: return c->f;
    case S_V: return c->n_vocab;
    case S_KD: return (int64_t)c->n_k_heads * c->k_size;
    case S_VD: return (int64_t)c->n_v_heads * c->v_size;
    case S_HV: return c->n_v_heads;
    case S_DV: return c->v_size;
    case S_W: return c->n_taps;
    case S_KVD: return (int64_t)c->n_kv_heads * c->head_size;
    }
    return 0;
}

static const char not_of_one[] =
    "config.json was not written with these weights: download the folder again";

/* One expected tensor, its other name, and where it was found. */
struct slot {
    struct ox_located at;
    char alias[96]; /* or "" */
};
struct slots {
    struct slot *v;
    size_t n;
};

static void add_slot(struct slots *s, const struct ox_config *c, const char *prefix,
                     const struct want *w) {
    struct slot *slot = &s->v[s->n++];
    snprintf(slot->at.want.name, sizeof slot->at.want.name, "%s%s", prefix, w->suffix);
    if (w->alias) snprintf(slot->alias, sizeof slot->alias, "%s%s", prefix, w->alias);
    slot->at.want.is_linear = w->is_linear;
    for (int i = 0; i < 3 && w->dim[i]; i++)
        slot->at.want.dim[slot->at.want.n_dims++] = size_of(c, w->dim[i]);
}

/* embedding, layers in order, final norm, output matrix unless tied. */
static int build_slots(const struct ox_config *c, struct slots *out, ox_err *err) {
    size_t n = 3 + (size_t)c->n_gdn * G_COUNT + (size_t)c->n_attn * A_COUNT;
    out->n = 0;
    out->v = ox_alloc(n, sizeof *out->v, "the list of expected tensors", err);
    if (!out->v) return OX_ENOMEM;
    add_slot(out, c, "", &embed_want);
    for (int32_t l = 0; l < c->n_layers; l++) {
        bool is_gdn = c->kind[l] == OX_LAYER_GDN;
        const struct want *w = is_gdn ? gdn_wants : attn_wants;
        char prefix[32];
        snprintf(prefix, sizeof prefix, "model.layers.%d.", l);
        for (int i = 0; i < (is_gdn ? (int)G_COUNT : (int)A_COUNT); i++)
            add_slot(out, c, prefix, &w[i]);
    }
    add_slot(out, c, "", &norm_want);
    if (!c->tied) add_slot(out, c, "", &head_want);
    return 0;
}

int weights_expect(const struct ox_config *c, struct ox_expected **out, size_t *n, ox_err *err) {
    struct slots s = {0};
    int rc = build_slots(c, &s, err);
    struct ox_expected *v =
        rc ? NULL : ox_alloc(s.n, sizeof *v, "the list of expected tensors", err);
    for (size_t i = 0; v && i < s.n; i++)
        v[i] = s.v[i].at.want;
    ox_free(s.v);
    if (!v) return OX_ENOMEM;
    *out = v;
    *n = s.n;
    return 0;
}

/* ---- finding them in a folder ---- */

struct finder {
    const struct st_set *s;
    const struct ox_config *c;
    struct quant_rules *rules;
    bool *used; /* [s->n] */
    char missing[128];
    size_t n_missing;
    ox_err shape; /* the first wrong shape or type; names matter more */
    ox_err *err;
};

static const struct st_tensor *take(struct finder *f, const char *name) {
    const struct st_tensor *t = st_find(f->s, name);
    if (t) f->used[t - f->s->v] = true;
    return t;
}

static void note_missing(struct finder *f, const char *name) {
    if (f->n_missing++ == 0) snprintf(f->missing, sizeof f->missing, "%s", name);
}

static void show_dims(const int64_t *dim, int n, char *out, size_t cap) {
    size_t at = 0;
    out[at++] = '[';
    for (int i = 0; i < n && at + 24 < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%" PRId64, i ? "," : "", dim[i]);
    snprintf(out + at, cap - at, "]");
}

/* Notes the first tensor that is not as expected. */
static bool check_shape(struct finder *f, const struct st_tensor *t, const int64_t *dim, int n) {
    bool same = t->n_dims == n && (t->type == ST_F32 || t->type == ST_F16 || t->type == ST_BF16);
    for (int i = 0; same && i < n; i++)
        same = t->dim[i] == dim[i];
    if (same || f->shape.code) return same;
    char want[96], got[200];
    show_dims(dim, n, want, sizeof want);
    show_dims(t->dim, t->n_dims, got, sizeof got);
    ox_err_set(&f->shape, OX_EMODEL, "%s: expected %s bf16, f16 or f32, file has %s %s", t->name,
               want, got, st_type_name(t->type));
    ox_err_fix(&f->shape, "%s", not_of_one);
    return false;
}

/* Is a tensor there under this name, plain or quantised? */
static bool has_any(const struct finder *f, const char *name) {
    char packed[128];
    snprintf(packed, sizeof packed, "%s_packed", name);
    return st_find(f->s, name) || st_find(f->s, packed);
}

static int refuse_both(struct finder *f, const char *a, const char *b) {
    ox_err_set(f->err, OX_EMODEL, "%s and %s are two spellings of one tensor, both are there", a,
               b);
    return ox_err_fix(f->err, "remove one of them; a converter has mixed two namings");
}

static int find_packed(struct finder *f, struct slot *slot, const char *module,
                       const struct ox_quant_group *g) {
    static const char *const parts[] = {"packed", "scale", "shape", "zero_point"};
    char name[160];
    for (int i = 0; i < (g->symmetric ? 3 : 4); i++) {
        snprintf(name, sizeof name, "%s.weight_%s", module, parts[i]);
        take(f, name);
    }
    return quant_part(f->s, module, g, slot->at.want.dim[0], slot->at.want.dim[1], &slot->at.part,
                      f->err);
}

/* A matrix: plain or quantised, and this must be what quantization_config says. */
static int find_matrix(struct finder *f, struct slot *slot, const char *name) {
    enum { N_WEIGHT = sizeof ".weight" - 1 };
    char module[128], packed[128];
    snprintf(module, sizeof module, "%.*s", (int)(strlen(name) - N_WEIGHT), name);
    snprintf(packed, sizeof packed, "%s_packed", name);
    const struct ox_quant_group *g = NULL;
    int rc = quant_find(f->rules, module, &g, f->err);
    if (rc) return rc;
    const struct st_tensor *t = take(f, name);
    bool is_packed = st_find(f->s, packed);
    if (t && is_packed) return refuse_both(f, name, packed);
    if (is_packed && !g) {
        ox_err_set(f->err, OX_EMODEL, "%s is there, but no target of quantization_config covers %s",
                   packed, module);
        return ox_err_fix(f->err, "%s", not_of_one);
    }
    if (t && g) {
        ox_err_set(f->err, OX_EMODEL,
                   "%s is not quantised, but a target of quantization_config covers %s", name,
                   module);
        return ox_err_fix(f->err, "%s", not_of_one);
    }
    if (is_packed) return find_packed(f, slot, module, g);
    if (!t) {
        note_missing(f, g ? packed : name);
        return 0;
    }
    if (!check_shape(f, t, slot->at.want.dim, 2)) return 0;
    slot->at.t = t;
    slot->at.part = (struct kn_part){
        .data = t->data,
        .rows = slot->at.want.dim[0],
        .cols = slot->at.want.dim[1],
        .dtype = t->type == ST_BF16  ? KN_BF16
                 : t->type == ST_F16 ? KN_F16
                                     : KN_F32,
    };
    return 0;
}

/* The q, k and v taps in one tensor; it stands for slots conv[0..2]. */
static int find_fused_conv(struct finder *f, struct slot *conv, const char *name) {
    const struct st_tensor *t = take(f, name);
    int64_t dim[3] = {0, conv->at.want.dim[1], conv->at.want.dim[2]};
    for (int i = 0; i < 3; i++) {
        if (st_find(f->s, conv[i].at.want.name)) return refuse_both(f, name, conv[i].at.want.name);
        conv[i].at.first = (size_t)(dim[0] * dim[2]);
        dim[0] += conv[i].at.want.dim[0];
    }
    if (check_shape(f, t, dim, 3))
        for (int i = 0; i < 3; i++)
            conv[i].at.t = t;
    return 0;
}

static int find_slot(struct finder *f, struct slot *slot) {
    const char *name = slot->at.want.name;
    if (slot->alias[0] && has_any(f, slot->alias)) {
        if (has_any(f, name)) return refuse_both(f, name, slot->alias);
        name = slot->alias;
    }
    if (slot->at.want.is_linear) return find_matrix(f, slot, name);
    slot->at.t = take(f, name);
    if (!slot->at.t)
        note_missing(f, name);
    else if (!check_shape(f, slot->at.t, slot->at.want.dim, slot->at.want.n_dims))
        slot->at.t = NULL;
    return 0;
}

static bool ends_in(const char *s, const char *tail) {
    size_t n = strlen(s), n_tail = strlen(tail);
    return n >= n_tail && strcmp(s + n - n_tail, tail) == 0;
}

static int report_names(struct finder *f) {
    const char *extra = NULL;
    size_t n_extra = 0;
    for (size_t i = 0; i < f->s->n; i++) {
        const char *name = f->s->v[i].name;
        if (f->used[i] || ends_in(name, "rotary_emb.inv_freq")) continue;
        if (ends_in(name, ".weight_g_idx")) {
            ox_err_set(f->err, OX_EMODEL, "%.160s: oxbow cannot run weights in activation order",
                       name);
            return ox_err_fix(f->err, "use a folder quantised without actorder");
        }
        if (n_extra++ == 0) extra = name;
    }
    if (!f->n_missing && !n_extra) return 0;
    if (f->n_missing && n_extra)
        ox_err_set(f->err, OX_EMODEL, "missing %s (%zu in all); not expected %.120s (%zu in all)",
                   f->missing, f->n_missing, extra, n_extra);
    else if (f->n_missing)
        ox_err_set(f->err, OX_EMODEL, "missing %s (%zu in all)", f->missing, f->n_missing);
    else
        ox_err_set(f->err, OX_EMODEL, "not expected: %.160s (%zu in all)", extra, n_extra);
    return ox_err_fix(f->err, "%s", not_of_one);
}

static int find_all(struct finder *f, struct slots *slots) {
    int rc = 0;
    for (size_t i = 0; !rc && i < slots->n; i++) {
        struct slot *slot = &slots->v[i];
        char fused[128];
        /* Three slots in a row are the taps of one layer, the first of them ends in q_conv1d. */
        if (ends_in(slot->at.want.name, "linear_attn.q_conv1d.weight")) {
            int n_prefix =
                (int)(strlen(slot->at.want.name) - strlen("linear_attn.q_conv1d.weight"));
            snprintf(fused, sizeof fused, "%.*s%s", n_prefix, slot->at.want.name, fused_conv);
            if (st_find(f->s, fused)) {
                rc = find_fused_conv(f, slot, fused);
                i += 2;
                continue;
            }
        }
        rc = find_slot(f, slot);
    }
    if (rc) return rc;
    if (f->c->tied) { /* may be stored all the same; the embedding is used, as in the reference */
        const struct st_tensor *head = take(f, head_want.suffix);
        if (head) check_shape(f, head, slots->v[0].at.want.dim, 2);
    }
    rc = report_names(f);
    if (!rc && f->shape.code) {
        rc = f->shape.code;
        if (f->err) *f->err = f->shape;
    }
    return rc;
}

/* Fills the slots from a folder, or says why it does not fit the config. */
static int resolve(const struct st_set *s, const struct ox_config *c, struct slots *out,
                   ox_err *err) {
    struct finder f = {.s = s, .c = c, .err = err};
    int rc = build_slots(c, out, err);
    if (!rc) rc = quant_rules_open(&c->quant, &f.rules, err);
    if (!rc) {
        f.used = ox_alloc(s->n, sizeof *f.used, "marks for tensors", err);
        rc = f.used ? find_all(&f, out) : OX_ENOMEM;
    }
    quant_rules_close(f.rules);
    ox_free(f.used);
    if (!rc) return 0;
    ox_free(out->v);
    *out = (struct slots){0};
    if (rc == OX_EMODEL && err && !err->fix[0]) ox_err_fix(err, "%s", not_of_one);
    return ox_err_wrap(err, rc, "check weights");
}

int weights_locate(const struct st_set *s, const struct ox_config *c, struct ox_located **out,
                   size_t *n, ox_err *err) {
    struct slots slots = {0};
    int rc = resolve(s, c, &slots, err);
    if (rc) return rc;
    struct ox_located *v = ox_alloc(slots.n, sizeof *v, "the list of tensors", err);
    for (size_t i = 0; v && i < slots.n; i++)
        v[i] = slots.v[i].at;
    ox_free(slots.v);
    if (!v) return OX_ENOMEM;
    *out = v;
    *n = slots.n;
    return 0;
}

int weights_check(const struct st_set *s, const struct ox_config *c, ox_err *err) {
    struct slots slots = {0};
    int rc = resolve(s, c, &slots, err);
    ox_free(slots.v);
    return rc;
}

/* ---- packing ---- */

struct loader {
    struct ox_weights *w;
    const struct slot *at; /* slots of the layer in work */
    float *host;           /* small tensors as they will lie in w->small; NULL: only count */
    size_t n_small;        /* floats so far */
    const struct folder *home;
    ox_err *err;
};

/* n slots stacked as one f32 tensor [rows,cols]. Starts on 256 bytes: a GPU loads wide. */
static void put_small(struct loader *l, int first, int n, int64_t cols, kn_tensor *out) {
    enum { ALIGN_FLOATS = 64 };
    size_t at = l->n_small, n_done = 0;
    for (int i = 0; i < n; i++) {
        const struct slot *slot = &l->at[first + i];
        size_t n_floats = 1;
        for (int k = 0; k < slot->at.want.n_dims; k++)
            n_floats *= (size_t)slot->at.want.dim[k];
        for (size_t k = 0; l->host && k < n_floats; k++)
            l->host[at + n_done + k] = st_f32(slot->at.t, slot->at.first + k);
        n_done += n_floats;
    }
    l->n_small = at + (n_done + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    if (!l->host) return;
    *out = (kn_tensor){(float *)l->w->small + at, (int64_t)n_done / cols, cols, KN_F32};
}

static void put_small_of_layer(struct loader *l, const struct ox_config *c, struct ox_layer *y) {
    if (y->kind == OX_LAYER_GDN) {
        int64_t hv = c->n_v_heads;
        put_small(l, G_NORM_IN, 1, c->d, &y->norm_mixer);
        put_small(l, G_NORM_FFN, 1, c->d, &y->norm_ffn);
        put_small(l, G_CONV_Q, 3, c->n_taps, &y->taps);
        put_small(l, G_A_LOG, 1, hv, &y->a_log);
        put_small(l, G_DT_BIAS, 1, hv, &y->dt_bias);
        put_small(l, G_O_NORM, 1, c->v_size, &y->o_norm);
    } else {
        put_small(l, A_NORM_MIXER, 1, c->d, &y->norm_mixer);
        put_small(l, A_NORM_FFN, 1, c->d, &y->norm_ffn);
        put_small(l, A_Q_NORM, 1, c->d, &y->q_norm);
        put_small(l, A_K_NORM, 1, (int64_t)c->n_kv_heads * c->head_size, &y->k_norm);
    }
}

static void put_all_small(struct loader *l, const struct ox_config *c, const struct slots *s) {
    l->n_small = 0;
    l->at = s->v + 1;
    for (int32_t i = 0; i < c->n_layers; i++) {
        put_small_of_layer(l, c, &l->w->layer[i]);
        l->at += c->kind[i] == OX_LAYER_GDN ? (int)G_COUNT : (int)A_COUNT;
    }
    put_small(l, 0, 1, c->d, &l->w->final_norm);
}

/* All small tensors in one block, uploaded once. */
static int load_small(struct loader *l, const struct ox_config *c, const struct slots *s) {
    struct ox_weights *w = l->w;
    put_all_small(l, c, s);
    size_t n_bytes = l->n_small * sizeof(float);
    int rc = w->kn->alloc(w->dev, KN_DEVICE, n_bytes, &w->small, l->err);
    if (rc) return rc;
    l->host = ox_alloc(l->n_small, sizeof(float), "norms and convolution taps", l->err);
    if (!l->host) return OX_ENOMEM;
    put_all_small(l, c, s);
    rc = w->kn->copy(w->dev, w->small, l->host, n_bytes, l->err);
    ox_free(l->host);
    w->n_bytes += n_bytes;
    return rc;
}

/* Slots `which` of the layer, stacked into one packed weight. */
static int pack(struct loader *l, const int *which, int n, kn_weight **out) {
    struct kn_part part[KN_PARTS];
    for (int i = 0; i < n; i++)
        part[i] = l->at[which[i]].at.part;
    int rc = l->w->kn->pack(l->w->dev, part, n, out, l->err);
    if (rc) return ox_err_wrap(l->err, rc, l->at[which[0]].at.want.name);
    l->w->n_bytes += l->w->kn->weight_bytes(*out);
    return 0;
}

static int pack_layer(struct loader *l, struct ox_layer *y) {
    static const int gdn_in[] = {G_Q, G_K, G_V, G_GATE, G_A, G_B}, attn_in[] = {A_Q, A_K, A_V};
    static const int gdn_ffn[] = {G_FFN_GATE, G_FFN_UP}, attn_ffn[] = {A_FFN_GATE, A_FFN_UP};
    bool is_gdn = y->kind == OX_LAYER_GDN;
    const int out = is_gdn ? G_OUT : A_OUT, down = is_gdn ? G_FFN_DOWN : A_FFN_DOWN;
    int rc = pack(l, is_gdn ? gdn_in : attn_in, is_gdn ? 6 : 3, &y->mixer_in);
    if (!rc) rc = pack(l, &out, 1, &y->mixer_out);
    if (!rc) rc = pack(l, is_gdn ? gdn_ffn : attn_ffn, 2, &y->gate_up);
    if (!rc) rc = pack(l, &down, 1, &y->down);
    return rc;
}

/* After each layer, so that the file's bytes and the packed ones are never resident together;
 * unless the backend reads the file in place. */
static void forget_packed(const struct loader *l, const kn_weight *w) {
    if (l->w->kn->weight_bytes(w)) folder_forget(l->home);
}

static int pack_all(struct loader *l, const struct ox_config *c, const struct slots *s) {
    static const int self = 0;
    struct ox_weights *w = l->w;
    l->at = s->v;
    int rc = pack(l, &self, 1, &w->embed);
    if (!rc) forget_packed(l, w->embed);
    l->at++;
    for (int32_t i = 0; !rc && i < c->n_layers; i++) {
        rc = pack_layer(l, &w->layer[i]);
        if (!rc) forget_packed(l, w->layer[i].down);
        l->at += c->kind[i] == OX_LAYER_GDN ? (int)G_COUNT : (int)A_COUNT;
    }
    l->at++; /* the final norm */
    if (rc || c->tied)
        w->head = w->embed;
    else
        rc = pack(l, &self, 1, &w->head);
    if (!rc) forget_packed(l, w->head);
    return rc;
}

int weights_load(const struct st_set *s, const struct ox_config *c, const struct kn_backend *kn,
                 kn_dev *dev, struct ox_weights *out, ox_err *err) {
    struct slots slots = {0};
    int rc = resolve(s, c, &slots, err);
    if (rc) return rc;
    struct ox_weights w = {.kn = kn, .dev = dev, .n_layers = c->n_layers};
    struct loader l = {.w = &w, .home = s->home, .err = err};
    w.layer = ox_alloc((size_t)c->n_layers, sizeof *w.layer, "the layers", err);
    if (!w.layer) rc = OX_ENOMEM;
    for (int32_t i = 0; !rc && i < c->n_layers; i++) {
        w.layer[i].kind = c->kind[i];
        snprintf(w.layer[i].name, sizeof w.layer[i].name, "layers.%u", (unsigned)i % 10000);
    }
    for (size_t i = 0; i < slots.n; i++) {
        uint64_t n = 1;
        for (int k = 0; k < slots.v[i].at.want.n_dims; k++)
            n *= (uint64_t)slots.v[i].at.want.dim[k];
        w.n_params += n;
    }
    if (!rc) rc = load_small(&l, c, &slots);
    if (!rc) rc = pack_all(&l, c, &slots);
    ox_free(slots.v);
    if (rc) {
        weights_deinit(&w);
        return ox_err_wrap(err, rc, "load weights");
    }
    *out = w;
    return 0;
}

void weights_deinit(struct ox_weights *w) {
    for (int32_t i = 0; w->layer && i < w->n_layers; i++) {
        w->kn->drop(w->dev, w->layer[i].mixer_in);
        w->kn->drop(w->dev, w->layer[i].mixer_out);
        w->kn->drop(w->dev, w->layer[i].gate_up);
        w->kn->drop(w->dev, w->layer[i].down);
    }
    if (w->head != w->embed) w->kn->drop(w->dev, w->head);
    if (w->embed) w->kn->drop(w->dev, w->embed);
    if (w->small) w->kn->release(w->dev, w->small);
    ox_free(w->layer);
    *w = (struct ox_weights){0};
}

/* ---- identity ---- */

/* Numbers go in as little-endian u64, so that the key does not depend on struct layout. */
static void hash_u64(XXH3_state_t *h, uint64_t v) {
    unsigned char b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(v >> (8 * i));
    XXH3_128bits_update(h, b, sizeof b);
}

static void hash_real(XXH3_state_t *h, double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    hash_u64(h, bits);
}

static void hash_config(XXH3_state_t *h, const struct ox_config *c) {
    const int64_t numbers[] = {c->d,          c->f,         c->n_vocab,    c->n_layers,  c->n_heads,
                               c->n_kv_heads, c->head_size, c->n_k_heads,  c->n_v_heads, c->k_size,
                               c->v_size,     c->n_taps,    c->neg_eigval, c->tied};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        hash_u64(h, (uint64_t)numbers[i]);
    for (int32_t i = 0; i < c->n_layers; i++)
        hash_u64(h, (uint64_t)c->kind[i]);
    hash_real(h, (double)c->rms_eps);
    hash_real(h, c->rope_theta);
    for (size_t i = 0; i < c->quant.n_groups; i++) {
        hash_u64(h, (uint64_t)c->quant.groups[i].bits);
        hash_u64(h, (uint64_t)c->quant.groups[i].group);
        hash_u64(h, (uint64_t)c->quant.groups[i].symmetric);
    }
}

/* Start, middle and end; a tensor up to three samples long goes in whole. */
static void hash_tensor(XXH3_state_t *h, const struct st_tensor *t) {
    enum { SAMPLE_BYTES = 64 << 10 };
    XXH3_128bits_update(h, t->name, strlen(t->name) + 1);
    const char *type = st_type_name(t->type);
    XXH3_128bits_update(h, type, strlen(type) + 1);
    hash_u64(h, (uint64_t)t->n_dims);
    for (int i = 0; i < t->n_dims; i++)
        hash_u64(h, (uint64_t)t->dim[i]);
    if (t->n_bytes <= 3 * SAMPLE_BYTES) {
        XXH3_128bits_update(h, t->data, t->n_bytes);
        return;
    }
    XXH3_128bits_update(h, t->data, SAMPLE_BYTES);
    XXH3_128bits_update(h, t->data + (t->n_bytes - SAMPLE_BYTES) / 2, SAMPLE_BYTES);
    XXH3_128bits_update(h, t->data + t->n_bytes - SAMPLE_BYTES, SAMPLE_BYTES);
}

int weights_key(const struct st_set *s, const struct ox_config *c, uint64_t hi_lo[2], ox_err *err) {
    XXH3_state_t *h = XXH3_createState();
    if (!h) return ox_err_set(err, OX_ENOMEM, "no memory for the digest of the weights");
    XXH3_128bits_reset(h);
    hash_config(h, c);
    for (size_t i = 0; i < s->n; i++)
        hash_tensor(h, &s->v[i]);
    XXH128_hash_t got = XXH3_128bits_digest(h);
    XXH3_freeState(h);
    hi_lo[0] = got.high64;
    hi_lo[1] = got.low64;
    return 0;
}
