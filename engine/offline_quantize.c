/* offline_quantize.c - writes a compressed-tensors folder from a plain one: the layout is planned
 * whole, the disk is checked, then each matrix is quantised a block of rows at a time. Apart,
 * because a model is quantised once and run often. */
#include "engine/offline.h"

#include "engine/jsontext.h"
#include "engine/layout.h"
#include "engine/outfolder.h"
#include "engine/quant.h"
#include "kernels/base/ox_mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    struct offline *o;
    const struct ox_located *list;
    struct layout layout;
    struct outfolder out;
    uint64_t from, done,
        n_source; /* place of the data in the file; source bytes read, and in all */
    int shown;
    struct quant_error error[LAYOUT_KINDS];
    size_t n_matrices[LAYOUT_KINDS];
    ox_err *err;
};

static int write_at(struct writer *w, const void *bytes, size_t n, uint64_t at) {
    return outfolder_write(&w->out, bytes, n, w->from + at, w->err);
}

static int read_on(struct writer *w, uint64_t n_bytes) {
    w->done += n_bytes;
    return offline_progress(w->o, w->done, w->n_source, &w->shown, w->err);
}

/* Quantises one matrix in blocks of rows of a few megabytes. */
static int write_matrix(struct writer *w, const struct layout_entry *packed) {
    enum { BLOCK_ELEMENTS = 1 << 22 };
    const struct ox_located *at = &w->list[packed->located];
    const struct layout_entry *scale = layout_find(&w->layout, packed->located, LAYOUT_SCALE);
    const struct layout_entry *shape = layout_find(&w->layout, packed->located, LAYOUT_SHAPE);
    int kind = layout_kind(at->want.name);
    int64_t rows = at->want.dim[0], cols = at->want.dim[1];
    int64_t block = cols < BLOCK_ELEMENTS ? BLOCK_ELEMENTS / cols : 1;
    if (block > rows) block = rows;
    struct quant_rows r = {.t = at->t,
                           .cols = cols,
                           .bits = w->layout.scheme[kind].bits,
                           .group = w->layout.scheme[kind].group};
    r.row = ox_alloc((size_t)cols, sizeof(float), "a row of weights", w->err);
    r.packed = ox_alloc((size_t)(block * packed->dim[1]), 4, "packed weights", w->err);
    r.scale = ox_alloc((size_t)(block * scale->dim[1]), 2, "scales", w->err);
    int rc = r.row && r.packed && r.scale ? 0 : OX_ENOMEM;
    for (; !rc && r.from < rows; r.from += block) {
        r.n = rows - r.from < block ? rows - r.from : block;
        rc = quant_write(&r, &w->error[kind], w->err);
        if (!rc)
            rc = write_at(w, r.packed, (size_t)(r.n * packed->dim[1]) * 4,
                          packed->offset + (uint64_t)(r.from * packed->dim[1]) * 4);
        if (!rc)
            rc = write_at(w, r.scale, (size_t)(r.n * scale->dim[1]) * 2,
                          scale->offset + (uint64_t)(r.from * scale->dim[1]) * 2);
        if (!rc) rc = read_on(w, (uint64_t)(r.n * cols) * (at->t->type == ST_F32 ? 4 : 2));
    }
    const int64_t dims[2] = {rows, cols};
    if (!rc) rc = write_at(w, dims, sizeof dims, shape->offset);
    w->n_matrices[kind]++;
    ox_free(r.row);
    ox_free(r.packed);
    ox_free(r.scale);
    return rc;
}

static int write_taps(struct writer *w, const struct layout_entry *e) {
    const struct ox_located *at = &w->list[e->located];
    uint64_t offset = e->offset;
    int rc = 0;
    for (int k = 0; !rc && k < 3; k++) {
        size_t n = (size_t)(at[k].want.dim[0] * at[k].want.dim[2]);
        size_t size = at[k].t->type == ST_F32 ? 4 : 2;
        if (size == e->size) {
            rc = write_at(w, at[k].t->data + at[k].first * size, n * size, offset);
        } else {
            float *wide = ox_alloc(n, sizeof *wide, "convolution taps", w->err);
            for (size_t i = 0; wide && i < n; i++)
                wide[i] = st_f32(at[k].t, at[k].first + i);
            rc = wide ? write_at(w, wide, n * sizeof *wide, offset) : OX_ENOMEM;
            ox_free(wide);
        }
        offset += n * e->size;
        if (!rc) rc = read_on(w, n * size);
    }
    return rc;
}

static int write_entry(struct writer *w, const struct layout_entry *e) {
    const struct st_tensor *t = w->list[e->located].t;
    int rc;
    switch (e->role) {
    case LAYOUT_PLAIN:
        rc = write_at(w, t->data, t->n_bytes, e->offset);
        return rc ? rc : read_on(w, t->n_bytes);
    case LAYOUT_TAPS: return write_taps(w, e);
    case LAYOUT_PACKED: return write_matrix(w, e);
    case LAYOUT_SCALE: /* with their matrix */
    case LAYOUT_SHAPE: break;
    }
    return 0;
}

static int write_weights(struct writer *w) {
    size_t n_header = 0;
    char *header = layout_header(&w->layout, &n_header, w->err);
    if (!header) return OX_ENOMEM;
    int rc = outfolder_open(&w->out, "model.safetensors", w->err);
    if (!rc) rc = write_at(w, header, n_header, 0);
    w->from = n_header;
    for (size_t i = 0; !rc && i < w->layout.n; i++)
        rc = write_entry(w, &w->layout.v[i]);
    ox_free(header);
    return outfolder_close(&w->out, rc, w->err);
}

static int write_config(struct writer *w) {
    const unsigned char *text;
    size_t n;
    json_t *root = NULL;
    int rc = folder_get(w->o->folder, "config.json", &text, &n, w->err);
    if (!rc) rc = jsontext_parse(text, n, "config.json", &root, w->err);
    if (rc) return rc;
    json_object_set_new(root, "quantization_config", layout_config(&w->layout));
    char *out = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!out) return ox_err_set(w->err, OX_ENOMEM, "no memory for config.json");
    rc = outfolder_put(&w->out, "config.json", out, strlen(out), w->err);
    free(out); /* jansson's own allocation */
    return rc;
}

static int report(struct writer *w) {
    int rc = 0;
    for (int k = 0; !rc && k < LAYOUT_KINDS; k++) {
        if (!w->n_matrices[k]) continue;
        const struct quant_error *e = &w->error[k];
        rc = offline_say(
            w->o,
            json_pack("{s:s, s:s, s:i, s:i, s:I, s:f, s:f}", "event", "error", "kind",
                      layout_kinds[k], "bits", w->layout.scheme[k].bits, "group",
                      w->layout.scheme[k].group, "matrices", (json_int_t)w->n_matrices[k], "rms",
                      e->weight > 0 ? sqrt(e->error / e->weight) : 0.0, "worst", e->worst),
            w->err);
    }
    if (rc) return rc;
    return offline_say(w->o,
                       json_pack("{s:s, s:o, s:I, s:I}", "event", "quantized", "out",
                                 offline_name(w->out.dir), "bytes_before", (json_int_t)w->n_source,
                                 "bytes_after", (json_int_t)(w->from + w->layout.n_data)),
                       w->err);
}

static int read_args(const struct offline *o, const char **dir, int *bits, ox_err *err) {
    const json_t *v = jsontext_get(o->args, "bits");
    *dir = offline_text(o, "out");
    *bits = v ? (int)json_integer_value(v) : 8;
    if (!*dir || !(*dir)[0]) return ox_err_set(err, OX_EUSAGE, "no output folder given");
    if (*bits != 4 && *bits != 8) return ox_err_set(err, OX_EUSAGE, "--bits is 8 or 4");
    if (offline_flag(o, "lm_head") && o->config.tied)
        return ox_err_set(err, OX_EUSAGE,
                          "this model's output matrix is its embedding, which stays as it is");
    if (o->config.quant.n_groups) {
        ox_err_set(err, OX_EMODEL, "%s is quantised already", folder_path(o->folder));
        return ox_err_fix(err, "start from the bf16 folder");
    }
    return 0;
}

static int write_folder(struct writer *w, const char *dir) {
    int rc = outfolder_claim(dir, &w->out, w->err);
    if (rc) return rc;
    rc = outfolder_check_space(&w->out, w->layout.n_data, w->err);
    if (!rc) rc = write_weights(w);
    if (!rc) rc = outfolder_copy(&w->out, w->o->folder, w->err);
    if (!rc) rc = write_config(w);
    if (rc) outfolder_remove(&w->out);
    return rc ? rc : report(w);
}

int offline_quantize(struct offline *o, ox_err *err) {
    struct ox_located *list = NULL;
    struct writer w = {.o = o, .err = err};
    const char *dir = NULL;
    size_t n_list = 0;
    int bits = 0;
    int rc = read_args(o, &dir, &bits, err);
    if (!rc) rc = weights_locate(&o->tensors, &o->config, &list, &n_list, err);
    if (rc) return rc;
    w.list = list;
    for (size_t i = 0; i < n_list; i++) {
        uint64_t n = list[i].t->type == ST_F32 ? 4 : 2;
        for (int k = 0; k < list[i].want.n_dims; k++)
            n *= (uint64_t)list[i].want.dim[k];
        w.n_source += n;
    }
    rc = layout_make(list, n_list, bits, offline_flag(o, "lm_head"), &w.layout, err);
    if (!rc) rc = write_folder(&w, dir);
    layout_deinit(&w.layout);
    ox_free(list);
    return rc;
}
