/* layout.c - see layout.h. Apart, because quantising a model and making one up for a bench write
 * the same files. Format: docs/MODEL.md section 8. */
#include "engine/layout.h"

#include "kernels/base/ox_mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const layout_kinds[LAYOUT_KINDS] = {
    "linear_attn.q_proj",
    "linear_attn.k_proj",
    "linear_attn.v_proj",
    "linear_attn.g_proj",
    "linear_attn.o_proj",
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
    "lm_head",
};

/* ---- what becomes of each kind of matrix ---- */

int layout_kind(const char *name) {
    for (int i = 0; i < LAYOUT_KINDS; i++) {
        const char *at = strstr(name, layout_kinds[i]);
        if (at && strcmp(at + strlen(layout_kinds[i]), ".weight") == 0) return i;
    }
    return -1;
}

/* 64 is the format's usual group; one scale a row of 8 bits is always possible. */
static void choose_schemes(const struct ox_located *list, size_t n, int bits, bool has_head,
                           struct layout_scheme out[LAYOUT_KINDS]) {
    int group = 64;
    for (size_t i = 0; i < n; i++)
        if (layout_kind(list[i].want.name) >= 0 && list[i].want.dim[1] % 64) group = 32;
    for (size_t i = 0; bits < 16 && i < n; i++) {
        int kind = layout_kind(list[i].want.name);
        if (kind < 0 || (kind == LAYOUT_HEAD && !has_head)) continue;
        bool is_small = bits == 4 && kind != LAYOUT_HEAD && list[i].want.dim[1] % group == 0;
        out[kind] = is_small ? (struct layout_scheme){4, group} : (struct layout_scheme){8, 0};
    }
}

/* ---- the entries ---- */

static int add_entry(struct layout *l, struct layout_entry e, ox_err *err) {
    int rc = ox_grow(&l->v, &l->cap, l->n + 1, sizeof *l->v, err);
    if (rc) return rc;
    e.n_bytes = e.size;
    for (int i = 0; i < e.n_dims; i++)
        e.n_bytes *= (uint64_t)e.dim[i];
    l->v[l->n++] = e;
    return 0;
}

static enum st_type type_of(const struct ox_located *at) {
    return at->t ? at->t->type : ST_BF16;
}

static int add_quantised(struct layout *l, const struct ox_expected *w, size_t i,
                         struct layout_scheme s, ox_err *err) {
    const int64_t rows = w->dim[0], cols = w->dim[1];
    const struct {
        const char *tail;
        struct layout_entry e;
    } parts[] = {
        {"packed",
         {.role = LAYOUT_PACKED,
          .type = "I32",
          .size = 4,
          .n_dims = 2,
          .dim = {rows, (cols * s.bits + 31) / 32}}},
        {"scale",
         {.role = LAYOUT_SCALE,
          .type = "BF16",
          .size = 2,
          .n_dims = 2,
          .dim = {rows, s.group ? cols / s.group : 1}}},
        {"shape", {.role = LAYOUT_SHAPE, .type = "I64", .size = 8, .n_dims = 1, .dim = {2}}},
    };
    int rc = 0;
    for (size_t k = 0; !rc && k < sizeof parts / sizeof parts[0]; k++) {
        struct layout_entry e = parts[k].e;
        snprintf(e.name, sizeof e.name, "%s_%s", w->name, parts[k].tail);
        e.located = i;
        rc = add_entry(l, e, err);
    }
    return rc;
}

static int add_plain(struct layout *l, const struct ox_located *at, size_t i, ox_err *err) {
    struct layout_entry e = {.role = LAYOUT_PLAIN,
                             .located = i,
                             .type = st_type_name(type_of(at)),
                             .n_dims = at->want.n_dims,
                             .size = type_of(at) == ST_F32 ? 4 : 2};
    snprintf(e.name, sizeof e.name, "%s", at->want.name);
    memcpy(e.dim, at->want.dim, sizeof e.dim);
    return add_entry(l, e, err);
}

/* Three convolutions as one tensor: the name that transformers can load beside quantised
 * projections (docs/MODEL.md 9.1). f32 where their types differ. */
static int add_taps(struct layout *l, const struct ox_located *at, size_t i, ox_err *err) {
    bool same = type_of(at) == type_of(at + 1) && type_of(at) == type_of(at + 2);
    enum st_type type = same ? type_of(at) : ST_F32;
    struct layout_entry e = {.role = LAYOUT_TAPS,
                             .located = i,
                             .type = st_type_name(type),
                             .n_dims = 3,
                             .dim = {0, 1, at->want.dim[2]},
                             .size = type == ST_F32 ? 4 : 2};
    const char *tail = strstr(at->want.name, "q_conv1d");
    snprintf(e.name, sizeof e.name, "%.*sconv1d.weight", (int)(tail - at->want.name),
             at->want.name);
    for (int k = 0; k < 3; k++)
        e.dim[0] += at[k].want.dim[0];
    return add_entry(l, e, err);
}

static int by_size(const void *pa, const void *pb) {
    const struct layout_entry *a = pa, *b = pb;
    if (a->size != b->size) return a->size > b->size ? -1 : 1;
    return strcmp(a->name, b->name);
}

int layout_make(const struct ox_located *list, size_t n, int bits, bool has_head,
                struct layout *out, ox_err *err) {
    struct layout l = {0};
    int rc = 0;
    choose_schemes(list, n, bits, has_head, l.scheme);
    for (size_t i = 0; !rc && i < n; i++) {
        int kind = layout_kind(list[i].want.name);
        if (kind >= 0 && l.scheme[kind].bits) {
            rc = add_quantised(&l, &list[i].want, i, l.scheme[kind], err);
        } else if (strstr(list[i].want.name, ".q_conv1d.")) {
            rc = add_taps(&l, &list[i], i, err);
            i += 2; /* k and v follow q in the order of weights_expect */
        } else {
            rc = add_plain(&l, &list[i], i, err);
        }
    }
    if (rc) {
        layout_deinit(&l);
        return rc;
    }
    qsort(l.v, l.n, sizeof *l.v, by_size);
    for (size_t i = 0; i < l.n; i++) {
        l.v[i].offset = l.n_data;
        l.n_data += l.v[i].n_bytes;
    }
    *out = l;
    return 0;
}

void layout_deinit(struct layout *l) {
    ox_free(l->v);
    *l = (struct layout){0};
}

const struct layout_entry *layout_find(const struct layout *l, size_t located,
                                       enum layout_role role) {
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].located == located && l->v[i].role == role) return &l->v[i];
    return NULL;
}

/* ---- as text ---- */

char *layout_header(const struct layout *l, size_t *n, ox_err *err) {
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    for (size_t i = 0; i < l->n; i++) {
        const struct layout_entry *e = &l->v[i];
        json_t *dims = json_array();
        for (int k = 0; k < e->n_dims; k++)
            json_array_append_new(dims, json_integer(e->dim[k]));
        json_object_set_new(root, e->name,
                            json_pack("{s:s, s:o, s:[I,I]}", "dtype", e->type, "shape", dims,
                                      "data_offsets", (json_int_t)e->offset,
                                      (json_int_t)(e->offset + e->n_bytes)));
    }
    char *text = json_dumps(root, JSON_COMPACT), *out = NULL;
    json_decref(root);
    if (text) {
        uint64_t n_text = strlen(text), n_padded = (n_text + 7) / 8 * 8;
        *n = (size_t)n_padded + 8;
        out = ox_alloc(*n, 1, "a header", err);
        for (int i = 0; out && i < 8; i++)
            out[i] = (char)(unsigned char)(n_padded >> (8 * i));
        if (out) memset(out + 8, ' ', (size_t)n_padded);
        if (out) memcpy(out + 8, text, (size_t)n_text);
    } else {
        ox_err_set(err, OX_ENOMEM, "no memory for a header");
    }
    free(text); /* jansson's own allocation */
    return out;
}

/* Modules of one scheme as a config group. The first takes the class, the others patterns, which
 * win over it. */
static json_t *build_group(const struct layout *l, struct layout_scheme s, bool is_first) {
    json_t *targets = json_array();
    if (is_first) json_array_append_new(targets, json_string("Linear"));
    for (int k = 0; !is_first && k < LAYOUT_KINDS; k++) {
        char pattern[64] = "lm_head";
        if (l->scheme[k].bits != s.bits || l->scheme[k].group != s.group) continue;
        const char *name = layout_kinds[k], *dot = strchr(name, '.');
        if (dot)
            snprintf(pattern, sizeof pattern, "re:.*%.*s\\.%s$", (int)(dot - name), name, dot + 1);
        json_array_append_new(targets, json_string(pattern));
    }
    json_t *size = s.group ? json_integer(s.group) : json_null();
    return json_pack("{s:o, s:n, s:n, s:{s:i, s:s, s:b, s:s, s:o, s:b, s:n}}", "targets", targets,
                     "input_activations", "output_activations", "weights", "num_bits", s.bits,
                     "type", "int", "symmetric", 1, "strategy", s.group ? "group" : "channel",
                     "group_size", size, "dynamic", 0, "actorder");
}

static json_t *build_groups(const struct layout *l) {
    json_t *groups = json_object();
    struct layout_scheme seen[LAYOUT_KINDS];
    int n_seen = 0;
    for (int k = 0; k < LAYOUT_KINDS; k++) {
        struct layout_scheme s = l->scheme[k];
        bool is_new = s.bits != 0;
        for (int i = 0; i < n_seen; i++)
            if (seen[i].bits == s.bits && seen[i].group == s.group) is_new = false;
        if (!is_new) continue;
        char name[24];
        snprintf(name, sizeof name, "group_%d", n_seen);
        json_object_set_new(groups, name, build_group(l, s, n_seen == 0));
        seen[n_seen++] = s;
    }
    return groups;
}

json_t *layout_config(const struct layout *l) {
    json_t *groups = build_groups(l);
    if (json_object_size(groups) == 0) {
        json_decref(groups);
        return NULL;
    }
    json_t *ignore = json_array();
    if (!l->scheme[LAYOUT_HEAD].bits) json_array_append_new(ignore, json_string("lm_head"));
    json_array_append_new(ignore, json_string("re:.*linear_attn\\.[ab]_proj$"));
    return json_pack("{s:s, s:s, s:s, s:n, s:o, s:o}", "quant_method", "compressed-tensors",
                     "format", "pack-quantized", "quantization_status", "compressed",
                     "kv_cache_scheme", "ignore", ignore, "config_groups", groups);
}
