/* offline_shape.c - writes a made-up model in the shape of a real one, so that a machine can be
 * measured before anybody downloads 15 GB. Apart, because its words mean nothing: it is for speed
 * alone. The numbers are random and small: zeros would let a GPU run cooler and faster than it does
 * at work. */
#include "engine/offline.h"

#include "engine/layout.h"
#include "engine/outfolder.h"
#include "kernels/base/ox_mem.h"

#include <stdlib.h>
#include <string.h>

/* docs/MODEL.md section 1. */
static const struct {
    const char *name, *config;
} shapes[] = {
    {"7b", "{\"model_type\": \"olmo_hybrid\", \"hidden_size\": 3840, \"intermediate_size\": 11008,"
           " \"num_hidden_layers\": 32, \"num_attention_heads\": 30, \"vocab_size\": 100352,"
           " \"linear_key_head_dim\": 96, \"linear_value_head_dim\": 192}"},
    {"mini", "{\"model_type\": \"olmo_hybrid\", \"hidden_size\": 576, \"intermediate_size\": 1536,"
             " \"num_hidden_layers\": 30, \"num_attention_heads\": 9, \"num_key_value_heads\": 3,"
             " \"vocab_size\": 49152, \"linear_key_head_dim\": 64, \"linear_value_head_dim\": 64,"
             " \"tie_word_embeddings\": true}"},
    {"tiny", "{\"model_type\": \"olmo_hybrid\", \"hidden_size\": 64, \"intermediate_size\": 96,"
             " \"num_hidden_layers\": 4, \"num_attention_heads\": 2, \"vocab_size\": 49152}"},
};

enum { BLOCK_BYTES = 1 << 20 };

struct maker {
    struct outfolder out;
    struct layout layout;
    uint16_t *block; /* [BLOCK_BYTES] */
    uint64_t from;   /* place of the data in the file */
    uint64_t seed;
};

/* xorshift64*; any of its bits will do here. */
static uint64_t draw(struct maker *m) {
    m->seed ^= m->seed >> 12;
    m->seed ^= m->seed << 25;
    m->seed ^= m->seed >> 27;
    return m->seed * 0x2545F4914F6CDD1DULL;
}

/* bf16 with a random sign if asked, two exponents and all mantissas: lowest .. 4 * lowest. */
static void fill_block(struct maker *m, uint16_t lowest, uint16_t mask) {
    for (size_t i = 0; i < BLOCK_BYTES / sizeof *m->block; i++)
        m->block[i] = (uint16_t)(lowest + (draw(m) >> 32 & mask));
}

static void choose_values(struct maker *m, const struct layout_entry *e) {
    enum {
        ONE = 0x3F80,
        WEIGHT = 0x3C00,
        SCALE4 = 0x3B00,
        SCALE8 = 0x3900
    }; /* 1 2^-7 2^-9 2^-13 */
    const struct layout_entry *packed = layout_find(&m->layout, e->located, LAYOUT_PACKED);
    switch (e->role) {
    case LAYOUT_PLAIN: /* norms, A_log and dt_bias are vectors */
    case LAYOUT_TAPS:
        if (e->n_dims == 1)
            fill_block(m, ONE, 0);
        else
            fill_block(m, WEIGHT, 0x80FF);
        break;
    case LAYOUT_PACKED: fill_block(m, 0, 0xFFFF); break;
    case LAYOUT_SCALE: { /* groups mean 4 bits here */
        bool is_small = packed && e->dim[1] > 1;
        fill_block(m, is_small ? SCALE4 : SCALE8, 0x7F);
        break;
    }
    case LAYOUT_SHAPE: break;
    }
}

static int write_entry(struct maker *m, const struct ox_located *list, const struct layout_entry *e,
                       ox_err *err) {
    if (e->role == LAYOUT_SHAPE)
        return outfolder_write(&m->out, list[e->located].want.dim, e->n_bytes, m->from + e->offset,
                               err);
    choose_values(m, e);
    int rc = 0;
    for (uint64_t at = 0; !rc && at < e->n_bytes; at += BLOCK_BYTES) {
        uint64_t n = e->n_bytes - at < BLOCK_BYTES ? e->n_bytes - at : BLOCK_BYTES;
        rc = outfolder_write(&m->out, m->block, (size_t)n, m->from + e->offset + at, err);
    }
    return rc;
}

static int write_weights(struct maker *m, const struct ox_located *list, ox_err *err) {
    size_t n_header = 0;
    char *header = layout_header(&m->layout, &n_header, err);
    m->block = ox_alloc(BLOCK_BYTES, 1, "random weights", err);
    int rc = header && m->block ? 0 : OX_ENOMEM;
    if (!rc) rc = outfolder_open(&m->out, "model.safetensors", err);
    if (!rc) rc = outfolder_write(&m->out, header, n_header, 0, err);
    m->from = n_header;
    for (size_t i = 0; !rc && i < m->layout.n; i++)
        rc = write_entry(m, list, &m->layout.v[i], err);
    ox_free(header);
    ox_free(m->block);
    return outfolder_close(&m->out, rc, err);
}

static int write_config(struct maker *m, const char *text, ox_err *err) {
    json_t *root = json_loads(text, 0, NULL), *quant = layout_config(&m->layout);
    if (quant) json_object_set_new(root, "quantization_config", quant);
    char *out = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (!out) return ox_err_set(err, OX_ENOMEM, "no memory for config.json");
    int rc = outfolder_put(&m->out, "config.json", out, strlen(out), err);
    free(out); /* jansson's own allocation */
    return rc;
}

static int plan(struct maker *m, const char *text, int bits, struct ox_located **list,
                ox_err *err) {
    struct ox_config c = {0};
    struct ox_expected *want = NULL;
    size_t n = 0;
    int rc = config_parse((const unsigned char *)text, strlen(text), NULL, 0, false, &c, err);
    if (!rc) rc = weights_expect(&c, &want, &n, err);
    if (!rc) {
        *list = ox_alloc(n, sizeof **list, "a made-up model", err);
        rc = *list ? 0 : OX_ENOMEM;
    }
    for (size_t i = 0; !rc && i < n; i++)
        (*list)[i].want = want[i];
    if (!rc) rc = layout_make(*list, n, bits, false, &m->layout, err);
    ox_free(want);
    config_deinit(&c);
    return rc;
}

int offline_shape(struct folder *from, const char *shape, int bits, const char *dir, ox_err *err) {
    struct maker m = {.seed = 88172645463325252ULL};
    struct ox_located *list = NULL;
    const char *text = NULL;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strcmp(shapes[i].name, shape) == 0) text = shapes[i].config;
    if (!text) {
        ox_err_set(err, OX_EUSAGE, "no shape \"%s\"", shape);
        return ox_err_fix(err, "shapes: 7b, mini, tiny");
    }
    int rc = plan(&m, text, bits, &list, err);
    if (!rc) rc = outfolder_claim(dir, &m.out, err);
    if (!rc) {
        rc = outfolder_check_space(&m.out, m.layout.n_data, err);
        if (!rc) rc = write_weights(&m, list, err);
        if (!rc) rc = outfolder_copy(&m.out, from, err);
        if (!rc) rc = write_config(&m, text, err);
        if (rc) outfolder_remove(&m.out);
    }
    layout_deinit(&m.layout);
    ox_free(list);
    return rc;
}

void offline_shape_remove(const char *dir) {
    struct outfolder f = {.dir = dir, .fd = -1, .made = true};
    outfolder_remove(&f);
}
