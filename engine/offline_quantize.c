/* offline_quantize.c - writes a compressed-tensors folder from a plain one. Apart, because it is
 * the only code of the engine that writes files: the layout is planned whole, the disk is checked,
 * then each matrix is quantised a block of rows at a time. config.json comes last, so that a folder
 * that was left half done is not taken for a model. Format: docs/MODEL.md section 8. */
#include "engine/offline.h"

#include "engine/jsontext.h"
#include "engine/quant.h"
#include "kernels/base/ox_mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char weights_name[] = "model.safetensors";
/* Taken over as they are; config.json is written anew, the card would no longer be true. */
static const char *const copied[] = {"tokenizer.json",          "tokenizer_config.json",
                                     "chat_template.jinja",     "generation_config.json",
                                     "special_tokens_map.json", "LICENSE"};

/* ---- what becomes of each kind of matrix ---- */

enum { KIND_HEAD = 12, KIND_COUNT };
static const char *const kinds[KIND_COUNT] = {
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

struct scheme {
    int bits, group; /* bits 0: left alone */
};

/* The kind of "model.layers.3.mlp.up_proj.weight", or -1: embedding, a_proj, b_proj, small tensors.
 */
static int kind_of(const char *name) {
    for (int i = 0; i < KIND_COUNT; i++) {
        const char *at = strstr(name, kinds[i]);
        if (at && strcmp(at + strlen(kinds[i]), ".weight") == 0) return i;
    }
    return -1;
}

/* Which group divides every input width: 64, the format's usual one, else 32. Matrices whose width
 * 32 does not divide keep 8 bits and one scale a row: that is always possible. */
static void choose_schemes(const struct ox_located *list, size_t n, int bits, bool head,
                           struct scheme out[KIND_COUNT]) {
    int group = 64;
    for (size_t i = 0; i < n; i++)
        if (kind_of(list[i].want.name) >= 0 && list[i].want.dim[1] % 64) group = 32;
    for (size_t i = 0; i < n; i++) {
        int kind = kind_of(list[i].want.name);
        if (kind < 0 || (kind == KIND_HEAD && !head)) continue;
        bool is_small = bits == 4 && kind != KIND_HEAD && list[i].want.dim[1] % group == 0;
        out[kind] = is_small ? (struct scheme){4, group} : (struct scheme){8, 0};
    }
}

/* ---- the plan of the file ---- */

enum role { ROLE_PLAIN, ROLE_TAPS, ROLE_PACKED, ROLE_SCALE, ROLE_SHAPE };
struct entry {
    char name[128];
    enum role role;
    size_t located; /* index of the matrix or tensor; of q for the taps */
    const char *type;
    int n_dims;
    int64_t dim[4];
    uint64_t size, offset, n_bytes; /* bytes of an element; place in the data */
};
struct plan {
    const struct ox_located *list;
    size_t n_list;
    struct scheme scheme[KIND_COUNT];
    struct entry *v;
    size_t n, cap;
    uint64_t n_data, n_source; /* bytes written; bytes of the tensors read */
};

static int add_entry(struct plan *p, struct entry e, ox_err *err) {
    int rc = ox_grow(&p->v, &p->cap, p->n + 1, sizeof *p->v, err);
    if (rc) return rc;
    e.n_bytes = e.size;
    for (int i = 0; i < e.n_dims; i++)
        e.n_bytes *= (uint64_t)e.dim[i];
    p->v[p->n++] = e;
    return 0;
}

static int add_quantised(struct plan *p, size_t i, struct scheme s, ox_err *err) {
    const struct ox_expected *w = &p->list[i].want;
    int64_t rows = w->dim[0], cols = w->dim[1];
    struct entry packed = {.role = ROLE_PACKED,
                           .located = i,
                           .type = "I32",
                           .n_dims = 2,
                           .dim = {rows, (cols * s.bits + 31) / 32},
                           .size = 4};
    struct entry scale = {.role = ROLE_SCALE,
                          .located = i,
                          .type = "BF16",
                          .n_dims = 2,
                          .dim = {rows, s.group ? cols / s.group : 1},
                          .size = 2};
    struct entry shape = {
        .role = ROLE_SHAPE, .located = i, .type = "I64", .n_dims = 1, .dim = {2}, .size = 8};
    snprintf(packed.name, sizeof packed.name, "%s_packed", w->name);
    snprintf(scale.name, sizeof scale.name, "%s_scale", w->name);
    snprintf(shape.name, sizeof shape.name, "%s_shape", w->name);
    int rc = add_entry(p, packed, err);
    if (!rc) rc = add_entry(p, scale, err);
    return rc ? rc : add_entry(p, shape, err);
}

static int add_plain(struct plan *p, size_t i, ox_err *err) {
    const struct ox_located *at = &p->list[i];
    struct entry e = {.role = ROLE_PLAIN,
                      .located = i,
                      .type = st_type_name(at->t->type),
                      .n_dims = at->want.n_dims,
                      .size = at->t->type == ST_F32 ? 4 : 2};
    snprintf(e.name, sizeof e.name, "%s", at->want.name);
    memcpy(e.dim, at->want.dim, sizeof e.dim);
    return add_entry(p, e, err);
}

/* The three convolutions as one tensor: the name that transformers can load beside quantised
 * projections (docs/MODEL.md 9.1). f32 where the three types differ. */
static int add_taps(struct plan *p, size_t i, ox_err *err) {
    const struct ox_located *at = &p->list[i];
    bool same = at[0].t->type == at[1].t->type && at[0].t->type == at[2].t->type;
    struct entry e = {.role = ROLE_TAPS,
                      .located = i,
                      .type = st_type_name(same ? at->t->type : ST_F32),
                      .n_dims = 3,
                      .dim = {0, 1, at->want.dim[2]},
                      .size = same && at->t->type != ST_F32 ? 2 : 4};
    const char *tail = strstr(at->want.name, "q_conv1d");
    snprintf(e.name, sizeof e.name, "%.*sconv1d.weight", (int)(tail - at->want.name),
             at->want.name);
    for (int k = 0; k < 3; k++)
        e.dim[0] += at[k].want.dim[0];
    return add_entry(p, e, err);
}

/* Wide elements first: with a padded header every tensor lies aligned to its own type. */
static int by_size(const void *pa, const void *pb) {
    const struct entry *a = pa, *b = pb;
    if (a->size != b->size) return a->size > b->size ? -1 : 1;
    return strcmp(a->name, b->name);
}

static int make_plan(struct plan *p, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < p->n_list; i++) {
        int kind = kind_of(p->list[i].want.name);
        if (kind >= 0 && p->scheme[kind].bits)
            rc = add_quantised(p, i, p->scheme[kind], err);
        else if (strstr(p->list[i].want.name, ".q_conv1d."))
            rc = add_taps(p, i, err), i += 2;
        else
            rc = add_plain(p, i, err);
    }
    if (rc) return rc;
    qsort(p->v, p->n, sizeof *p->v, by_size);
    for (size_t i = 0; i < p->n; i++) {
        p->v[i].offset = p->n_data;
        p->n_data += p->v[i].n_bytes;
    }
    return 0;
}

/* ---- writing ---- */

struct writer {
    struct offline *o;
    struct plan *p;
    const char *dir;
    bool made_dir;
    int fd;
    uint64_t from, done; /* place of the data in the file; source bytes read so far */
    int shown;
    struct quant_error error[KIND_COUNT];
    size_t n_matrices[KIND_COUNT];
    ox_err *err;
};

static int fail_io(struct writer *w, const char *what, const char *name) {
    int code = errno;
    ox_err_set(w->err, OX_EIO, "%s/%s: %s (%s)", w->dir, name, what, strerror(code));
    return ox_err_fix(w->err, "free space or choose another output folder, then start again");
}

static int write_at(struct writer *w, const void *bytes, size_t n, uint64_t at) {
    const char *p = bytes;
    while (n) {
        ssize_t put = pwrite(w->fd, p, n, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return fail_io(w, "cannot be written", weights_name);
        p += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return 0;
}

static const struct entry *entry_of(const struct plan *p, size_t located, enum role role) {
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].located == located && p->v[i].role == role) return &p->v[i];
    return NULL;
}

static int read_on(struct writer *w, uint64_t n_bytes) {
    w->done += n_bytes;
    return offline_progress(w->o, w->done, w->p->n_source, &w->shown, w->err);
}

/* Quantises one matrix in blocks of rows of a few megabytes. */
static int write_matrix(struct writer *w, const struct entry *packed) {
    enum { BLOCK_ELEMENTS = 1 << 22 };
    const struct ox_located *at = &w->p->list[packed->located];
    const struct entry *scale = entry_of(w->p, packed->located, ROLE_SCALE);
    const struct entry *shape = entry_of(w->p, packed->located, ROLE_SHAPE);
    int kind = kind_of(at->want.name);
    int64_t rows = at->want.dim[0], cols = at->want.dim[1];
    int64_t block = cols < BLOCK_ELEMENTS ? BLOCK_ELEMENTS / cols : 1;
    if (block > rows) block = rows;
    struct quant_rows r = {.t = at->t,
                           .cols = cols,
                           .bits = w->p->scheme[kind].bits,
                           .group = w->p->scheme[kind].group};
    r.row = ox_alloc((size_t)cols, sizeof(float), "a row of weights", w->err);
    r.packed = ox_alloc((size_t)(block * packed->dim[1]), 4, "packed weights", w->err);
    r.scale = ox_alloc((size_t)(block * scale->dim[1]), 2, "scales", w->err);
    int rc = r.row && r.packed && r.scale ? 0 : OX_ENOMEM;
    for (; !rc && r.from < rows; r.from += block) {
        r.n = rows - r.from < block ? rows - r.from : block;
        rc = quant_write(&r, &w->error[kind], w->err);
        if (!rc)
            rc = write_at(w, r.packed, (size_t)(r.n * packed->dim[1]) * 4,
                          w->from + packed->offset + (uint64_t)(r.from * packed->dim[1]) * 4);
        if (!rc)
            rc = write_at(w, r.scale, (size_t)(r.n * scale->dim[1]) * 2,
                          w->from + scale->offset + (uint64_t)(r.from * scale->dim[1]) * 2);
        if (!rc) rc = read_on(w, (uint64_t)(r.n * cols) * (at->t->type == ST_F32 ? 4 : 2));
    }
    int64_t dims[2] = {rows, cols};
    if (!rc) rc = write_at(w, dims, sizeof dims, w->from + shape->offset);
    w->n_matrices[kind]++;
    ox_free(r.row);
    ox_free(r.packed);
    ox_free(r.scale);
    return rc;
}

static int write_taps(struct writer *w, const struct entry *e) {
    const struct ox_located *at = &w->p->list[e->located];
    uint64_t offset = w->from + e->offset;
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

static int write_entry(struct writer *w, const struct entry *e) {
    const struct st_tensor *t = w->p->list[e->located].t;
    int rc;
    switch (e->role) {
    case ROLE_PLAIN:
        rc = write_at(w, t->data, t->n_bytes, w->from + e->offset);
        return rc ? rc : read_on(w, t->n_bytes);
    case ROLE_TAPS: return write_taps(w, e);
    case ROLE_PACKED: return write_matrix(w, e);
    case ROLE_SCALE: /* with their matrix */
    case ROLE_SHAPE: break;
    }
    return 0;
}

/* The header as text, padded with spaces so that the data starts on 8 bytes. Owned, free(). */
static char *build_header(const struct plan *p, size_t *n) {
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    for (size_t i = 0; i < p->n; i++) {
        const struct entry *e = &p->v[i];
        json_t *dims = json_array();
        for (int k = 0; k < e->n_dims; k++)
            json_array_append_new(dims, json_integer(e->dim[k]));
        json_object_set_new(root, e->name,
                            json_pack("{s:s, s:o, s:[I,I]}", "dtype", e->type, "shape", dims,
                                      "data_offsets", (json_int_t)e->offset,
                                      (json_int_t)(e->offset + e->n_bytes)));
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    *n = text ? (strlen(text) + 7) / 8 * 8 : 0;
    return text;
}

static int open_file(struct writer *w, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return w->fd < 0 ? fail_io(w, "cannot be created", name) : 0;
}

/* Closes what open_file opened; data must have reached the disk to be called written. */
static int close_file(struct writer *w, int rc, const char *name) {
    if (w->fd < 0) return rc;
    if (!rc && fsync(w->fd)) rc = fail_io(w, "cannot be written", name);
    if (close(w->fd) && !rc) rc = fail_io(w, "cannot be written", name);
    w->fd = -1;
    return rc;
}

static int write_weights(struct writer *w) {
    size_t n_header = 0;
    char *text = build_header(w->p, &n_header);
    if (!text) return ox_err_set(w->err, OX_ENOMEM, "no memory for a header");
    unsigned char length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)n_header >> (8 * i));
    w->from = 8 + n_header;
    int rc = open_file(w, weights_name);
    if (!rc) rc = write_at(w, length, 8, 0);
    if (!rc) rc = write_at(w, text, strlen(text), 8);
    for (size_t at = strlen(text); !rc && at < n_header; at++)
        rc = write_at(w, " ", 1, 8 + at);
    for (size_t i = 0; !rc && i < w->p->n; i++)
        rc = write_entry(w, &w->p->v[i]);
    free(text);
    return close_file(w, rc, weights_name);
}

static int write_bytes(struct writer *w, const char *name, const void *bytes, size_t n) {
    int rc = open_file(w, name);
    if (!rc) rc = write_at(w, bytes, n, 0);
    return close_file(w, rc, name);
}

/* ---- config.json ---- */

/* Modules of one scheme as a config group. The commonest scheme takes the class, others patterns.
 */
static json_t *build_group(const struct plan *p, struct scheme s, bool is_first) {
    json_t *targets = json_array();
    if (is_first) json_array_append_new(targets, json_string("Linear"));
    for (int k = 0; !is_first && k < KIND_COUNT; k++) {
        char pattern[64] = "lm_head";
        if (p->scheme[k].bits != s.bits || p->scheme[k].group != s.group) continue;
        const char *dot = strchr(kinds[k], '.');
        if (dot)
            snprintf(pattern, sizeof pattern, "re:.*%.*s\\.%s$", (int)(dot - kinds[k]), kinds[k],
                     dot + 1);
        json_array_append_new(targets, json_string(pattern));
    }
    json_t *size = s.group ? json_integer(s.group) : json_null();
    return json_pack("{s:o, s:n, s:n, s:{s:i, s:s, s:b, s:s, s:o, s:b, s:n}}", "targets", targets,
                     "input_activations", "output_activations", "weights", "num_bits", s.bits,
                     "type", "int", "symmetric", 1, "strategy", s.group ? "group" : "channel",
                     "group_size", size, "dynamic", 0, "actorder");
}

static json_t *build_groups(const struct plan *p) {
    json_t *groups = json_object();
    struct scheme seen[KIND_COUNT];
    int n_seen = 0;
    for (int k = 0; k < KIND_COUNT; k++) {
        struct scheme s = p->scheme[k];
        bool is_new = s.bits != 0;
        for (int i = 0; i < n_seen; i++)
            if (seen[i].bits == s.bits && seen[i].group == s.group) is_new = false;
        if (!is_new) continue;
        char name[24];
        snprintf(name, sizeof name, "group_%d", n_seen);
        json_object_set_new(groups, name, build_group(p, s, n_seen == 0));
        seen[n_seen++] = s;
    }
    return groups;
}

static int write_config(struct writer *w) {
    const unsigned char *text;
    size_t n;
    json_t *root = NULL;
    int rc = folder_get(w->o->folder, "config.json", &text, &n, w->err);
    if (!rc) rc = jsontext_parse(text, n, "config.json", &root, w->err);
    if (rc) return rc;
    json_t *ignore = json_array();
    if (!w->p->scheme[KIND_HEAD].bits) json_array_append_new(ignore, json_string("lm_head"));
    json_array_append_new(ignore, json_string("re:.*linear_attn\\.[ab]_proj$"));
    json_object_set_new(root, "quantization_config",
                        json_pack("{s:s, s:s, s:s, s:n, s:o, s:o}", "quant_method",
                                  "compressed-tensors", "format", "pack-quantized",
                                  "quantization_status", "compressed", "kv_cache_scheme", "ignore",
                                  ignore, "config_groups", build_groups(w->p)));
    char *out = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!out) return ox_err_set(w->err, OX_ENOMEM, "no memory for config.json");
    rc = write_bytes(w, "config.json", out, strlen(out));
    free(out);
    return rc;
}

/* ---- the folder ---- */

static bool is_own_file(const char *name) {
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        if (strcmp(name, copied[i]) == 0) return true;
    return strcmp(name, weights_name) == 0 || strcmp(name, "config.json") == 0;
}

/* Makes the folder, or takes it if it is empty. */
static int claim_folder(struct writer *w) {
    if (mkdir(w->dir, 0777) == 0) {
        w->made_dir = true;
        return 0;
    }
    if (errno != EEXIST) return fail_io(w, "cannot be created", ".");
    DIR *d = opendir(w->dir);
    if (!d) return fail_io(w, "cannot be opened", ".");
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    if (n == 0) return 0;
    ox_err_set(w->err, OX_EUSAGE, "%s is not empty: %zu files", w->dir, n);
    return ox_err_fix(w->err, "name a new folder; nothing is overwritten");
}

static int check_space(struct writer *w) {
    enum { RESERVE_BYTES = 16 << 20 }; /* tokenizer, header, the file system's own needs */
    struct statvfs fs;
    uint64_t need = w->p->n_data + RESERVE_BYTES;
    if (statvfs(w->dir, &fs)) return 0; /* not known: the write itself will tell */
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= need) return 0;
    ox_err_set(w->err, OX_EIO, "%s: %" PRIu64 " bytes needed, %" PRIu64 " free", w->dir, need,
               free_bytes);
    return ox_err_fix(w->err, "choose an output folder on another disk, or --bits 4");
}

/* What was begun here and not finished is removed again: it was empty before. */
static void remove_folder(struct writer *w) {
    DIR *d = opendir(w->dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_own_file(e->d_name)) unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
    if (w->made_dir) rmdir(w->dir);
}

static int copy_files(struct writer *w) {
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof copied / sizeof copied[0]; i++) {
        const unsigned char *bytes;
        size_t n;
        rc = folder_get(w->o->folder, copied[i], &bytes, &n, w->err);
        if (!rc)
            rc = write_bytes(w, copied[i], bytes, n);
        else if (rc == OX_ENOTFOUND)
            rc = 0;
    }
    return rc;
}

static int report(struct writer *w) {
    int rc = 0;
    for (int k = 0; !rc && k < KIND_COUNT; k++) {
        if (!w->n_matrices[k]) continue;
        const struct quant_error *e = &w->error[k];
        rc = offline_say(w->o,
                         json_pack("{s:s, s:s, s:i, s:i, s:I, s:f, s:f}", "event", "error", "kind",
                                   kinds[k], "bits", w->p->scheme[k].bits, "group",
                                   w->p->scheme[k].group, "matrices", (json_int_t)w->n_matrices[k],
                                   "rms", e->weight > 0 ? sqrt(e->error / e->weight) : 0.0, "worst",
                                   e->worst),
                         w->err);
    }
    if (rc) return rc;
    json_t *done =
        json_pack("{s:s, s:I, s:I}", "event", "quantized", "bytes_before",
                  (json_int_t)w->p->n_source, "bytes_after", (json_int_t)(w->from + w->p->n_data));
    json_t *dir = json_string(w->dir); /* NULL: a path that is not UTF-8 */
    if (done) json_object_set_new(done, "out", dir ? dir : json_string("?"));
    return offline_say(w->o, done, w->err);
}

static int read_args(const struct offline *o, const char **dir, int *bits, ox_err *err) {
    const json_t *v = jsontext_get(o->args, "bits");
    *dir = offline_text(o, "out");
    *bits = v ? (int)json_integer_value(v) : 8;
    if (!*dir || !(*dir)[0] || strlen(*dir) > 3800)
        return ox_err_set(err, OX_EUSAGE, "no output folder given");
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

int offline_quantize(struct offline *o, ox_err *err) {
    struct ox_located *list = NULL;
    struct plan p = {0};
    struct writer w = {.o = o, .p = &p, .fd = -1, .err = err};
    int bits = 0;
    int rc = read_args(o, &w.dir, &bits, err);
    if (!rc) rc = weights_locate(&o->tensors, &o->config, &list, &p.n_list, err);
    if (rc) return rc;
    p.list = list;
    for (size_t i = 0; i < p.n_list; i++) {
        uint64_t n = list[i].t->type == ST_F32 ? 4 : 2;
        for (int k = 0; k < list[i].want.n_dims; k++)
            n *= (uint64_t)list[i].want.dim[k];
        p.n_source += n;
    }
    choose_schemes(list, p.n_list, bits, offline_flag(o, "lm_head"), p.scheme);
    rc = make_plan(&p, err);
    if (!rc) rc = claim_folder(&w);
    if (!rc) {
        rc = check_space(&w);
        if (!rc) rc = write_weights(&w);
        if (!rc) rc = copy_files(&w);
        if (!rc) rc = write_config(&w);
        if (rc)
            remove_folder(&w);
        else
            rc = report(&w);
    }
    ox_free(p.v);
    ox_free(list);
    return rc;
}
