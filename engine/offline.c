/* offline.c - see offline.h. Apart, because nothing here is needed to answer a question: these
 * tasks tell people about a folder, and the engine must stay small without them. */
#include "engine/offline.h"

#include "engine/jsontext.h"
#include "engine/tokenizer.h"
#include "kernels/base/ox_mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* ---- what all tasks share ---- */

int offline_say(const struct offline *o, json_t *object, ox_err *err) {
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text) return ox_err_set(err, OX_ENOMEM, "no memory for a result");
    int stop = o->line(o->user, text);
    free(text); /* jansson's own allocation */
    return stop ? ox_err_set(err, OX_ECANCELLED, "stopped") : 0;
}

int offline_progress(const struct offline *o, uint64_t done, uint64_t of, int *shown, ox_err *err) {
    int percent = of ? (int)(100.0 * (double)done / (double)of) : 100;
    if (percent <= *shown) return 0;
    *shown = percent;
    return offline_say(o,
                       json_pack("{s:s, s:I, s:I}", "event", "progress", "done", (json_int_t)done,
                                 "of", (json_int_t)of),
                       err);
}

bool offline_flag(const struct offline *o, const char *key) {
    return json_is_true(json_object_get(o->args, key));
}

const char *offline_text(const struct offline *o, const char *key) {
    return json_string_value(json_object_get(o->args, key));
}

json_t *offline_name(const char *s) {
    json_t *v = json_string(s);
    return v ? v : json_string("?");
}

static void show_hash(uint64_t hi, uint64_t lo, char out[33]) {
    snprintf(out, 33, "%016" PRIx64 "%016" PRIx64, hi, lo);
}

/* ---- inspect ---- */

static int find_file(struct folder *f, const char *name, bool *has, ox_err *err) {
    const unsigned char *p;
    size_t n;
    int rc = folder_get(f, name, &p, &n, err);
    if (!rc) *has = true;
    return rc == OX_ENOTFOUND ? 0 : rc;
}

/* All that is missing at once: whoever named the wrong folder sees it at a glance. */
static int check_files(struct folder *f, ox_err *err) {
    bool config = false, words = false, weights = false;
    int rc = find_file(f, "config.json", &config, err);
    if (!rc) rc = find_file(f, "tokenizer.json", &words, err);
    if (!rc) rc = find_file(f, "model.safetensors.index.json", &weights, err);
    if (!rc && !weights) rc = find_file(f, "model.safetensors", &weights, err);
    if (rc) return rc;
    if (config && words && weights) return 0;
    ox_err_set(err, OX_EMODEL, "%s:%s%s%s", folder_path(f), config ? "" : " no config.json",
               words ? "" : " no tokenizer.json", weights ? "" : " no model.safetensors");
    return ox_err_fix(err,
                      "-m takes a folder with config.json, tokenizer.json and safetensors files");
}

/* The value of "license:" in the front matter of a card, or "". */
static void read_card(const char *text, size_t n, char *out, size_t cap) {
    static const char key[] = "\nlicense:";
    out[0] = '\0';
    if (n < 4 || memcmp(text, "---\n", 4) != 0) return;
    for (size_t i = 3; i + sizeof key < n && memcmp(text + i, "\n---", 4) != 0; i++) {
        if (memcmp(text + i, key, sizeof key - 1) != 0) continue;
        size_t from = i + sizeof key - 1, to;
        while (from < n && text[from] == ' ')
            from++;
        for (to = from; to < n && to - from < cap - 1 && text[to] != '\n' && text[to] != '\r';)
            to++;
        snprintf(out, cap, "%.*s", (int)(to - from), text + from);
        return;
    }
}

/* The licence as the card names it, else by the title of the LICENSE file; "" if there is neither.
 */
static void find_licence(struct folder *f, char *out, size_t cap) {
    static const char apache[] = "Apache License";
    enum { TITLE_BYTES = 400 };
    const unsigned char *text;
    size_t n;
    out[0] = '\0';
    if (folder_get(f, "README.md", &text, &n, NULL) == 0)
        read_card((const char *)text, n, out, cap);
    if (out[0] || folder_get(f, "LICENSE", &text, &n, NULL) != 0) return;
    snprintf(out, cap, "see its file LICENSE");
    for (size_t i = 0; i + sizeof apache < n && i < TITLE_BYTES; i++)
        if (memcmp(text + i, apache, sizeof apache - 1) == 0) snprintf(out, cap, "apache-2.0");
}

/* "bf16", or "int4 group 64, int8 per row" in the order of the config groups. */
static void show_format(const struct offline *o, char *out, size_t cap) {
    const struct ox_quant *q = &o->config.quant;
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < q->n_groups && at + 40 < cap; i++) {
        const struct ox_quant_group *g = &q->groups[i];
        at += (size_t)snprintf(out + at, cap - at, "%sint%d %s", i ? ", " : "", g->bits,
                               g->group ? "group " : "per row");
        if (g->group) at += (size_t)snprintf(out + at, cap - at, "%d", g->group);
        if (!g->symmetric) at += (size_t)snprintf(out + at, cap - at, " with zero points");
    }
    if (q->n_groups) return;
    const struct st_tensor *t = st_find(&o->tensors, "model.embed_tokens.weight");
    const char *name = t ? st_type_name(t->type) : "";
    for (; *name && at + 1 < cap; name++)
        out[at++] = (char)(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name);
    out[at] = '\0';
}

static int say_tensors(const struct offline *o, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < o->tensors.n; i++) {
        const struct st_tensor *t = &o->tensors.v[i];
        json_t *shape = json_array();
        for (int k = 0; k < t->n_dims; k++)
            json_array_append_new(shape, json_integer(t->dim[k]));
        rc = offline_say(o,
                         json_pack("{s:s, s:s, s:s, s:o, s:I, s:s}", "event", "tensor", "name",
                                   t->name, "type", st_type_name(t->type), "shape", shape, "bytes",
                                   (json_int_t)t->n_bytes, "file", t->file),
                         err);
    }
    return rc;
}

static int count_params(const struct offline *o, int64_t *out, ox_err *err) {
    struct ox_located *list = NULL;
    size_t n_list = 0;
    int rc = weights_locate(&o->tensors, &o->config, &list, &n_list, err);
    *out = 0;
    for (size_t i = 0; !rc && i < n_list; i++) {
        int64_t n = 1;
        for (int k = 0; k < list[i].want.n_dims; k++)
            n *= list[i].want.dim[k];
        *out += n;
    }
    ox_free(list);
    return rc;
}

static int64_t count_bytes(const struct st_set *s) {
    int64_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += (int64_t)s->v[i].n_bytes;
    return n;
}

static json_t *build_model(const struct offline *o, int64_t n_params, const char *hash) {
    const struct ox_config *c = &o->config;
    char licence[80], format[160];
    find_licence(o->folder, licence, sizeof licence);
    show_format(o, format, sizeof format);
    json_t *m = json_pack("{s:s, s:o, s:o, s:s, s:s, s:b, s:s}", "event", "model", "name",
                          offline_name(folder_name(o->folder)), "path",
                          offline_name(folder_path(o->folder)), "format", format, "weights", hash,
                          "tied", c->tied, "note", c->note);
    /* Bytes of a position, docs/MODEL.md section 5: KV in bf16; S in f32 and conv state in bf16. */
    int64_t kd = (int64_t)c->n_k_heads * c->k_size, vd = (int64_t)c->n_v_heads * c->v_size;
    int64_t token_bytes = (int64_t)c->n_attn * 2 * c->n_kv_heads * c->head_size * 2;
    int64_t state_bytes = c->n_gdn * (vd * c->k_size * 4 + (c->n_taps - 1) * (2 * kd + vd) * 2);
    const struct {
        const char *key;
        int64_t v;
    } numbers[] = {
        {"tensors", (int64_t)o->tensors.n},
        {"params", n_params},
        {"bytes", count_bytes(&o->tensors)},
        {"layers", c->n_layers},
        {"linear_layers", c->n_gdn},
        {"attention_layers", c->n_attn},
        {"hidden", c->d},
        {"intermediate", c->f},
        {"vocab", c->n_vocab},
        {"heads", c->n_heads},
        {"kv_heads", c->n_kv_heads},
        {"head_size", c->head_size},
        {"key_heads", c->n_k_heads},
        {"value_heads", c->n_v_heads},
        {"key_size", c->k_size},
        {"value_size", c->v_size},
        {"trained_tokens", c->trained_tokens},
        {"token_bytes", token_bytes},
        {"state_bytes", state_bytes},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        json_object_set_new(m, numbers[i].key, json_integer(numbers[i].v));
    json_object_set_new(m, "rope_theta",
                        c->rope_theta > 0 ? json_real(c->rope_theta) : json_null());
    json_object_set_new(m, "licence", licence[0] ? offline_name(licence) : json_null());
    return m;
}

static int inspect(struct offline *o, ox_err *err) {
    int64_t n_params = 0;
    uint64_t key[2];
    char hash[33];
    int rc = count_params(o, &n_params, err);
    if (!rc) rc = weights_key(&o->tensors, &o->config, key, err);
    if (!rc && offline_flag(o, "tensors")) rc = say_tensors(o, err);
    if (rc) return rc;
    show_hash(key[0], key[1], hash);
    return offline_say(o, build_model(o, n_params, hash), err);
}

/* ---- verify ---- */

/* First of n elements whose exponent bits are all ones (infinity or not a number), or -1. The
 * format is little-endian, and so are the machines this runs on. */
static int64_t find_ones16(const unsigned char *p, size_t n, uint16_t exponent) {
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, p + 2 * i, sizeof bits);
        if ((bits & exponent) == exponent) return (int64_t)i;
    }
    return -1;
}

static int64_t find_ones32(const unsigned char *p, size_t n, uint32_t exponent) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, p + 4 * i, sizeof bits);
        if ((bits & exponent) == exponent) return (int64_t)i;
    }
    return -1;
}

static int64_t find_not_finite(const struct st_tensor *t) {
    if (t->type == ST_F32) return find_ones32(t->data, t->n_bytes / 4, 0x7F800000U);
    if (t->type == ST_BF16) return find_ones16(t->data, t->n_bytes / 2, 0x7F80U);
    if (t->type == ST_F16) return find_ones16(t->data, t->n_bytes / 2, 0x7C00U);
    return -1;
}

static int check_values(const struct st_tensor *t, ox_err *err) {
    int64_t at = find_not_finite(t);
    if (at < 0) return 0;
    ox_err_set(err, OX_EMODEL, "%.200s: element %" PRId64 " of %s is not a finite number", t->name,
               at, t->file);
    return ox_err_fix(err, "download %s again, or ask its publisher", t->file);
}

/* The vocabulary must fit the embedding: an id beyond it would read past its end. */
static int check_tokenizer(struct offline *o, ox_err *err) {
    const unsigned char *json;
    size_t n;
    tokenizer *t = NULL;
    int rc = folder_get(o->folder, "tokenizer.json", &json, &n, err);
    if (rc == OX_ENOTFOUND) rc = ox_err_set(err, OX_EMODEL, "no tokenizer.json");
    if (!rc) rc = tokenizer_open(json, n, &t, err);
    if (!rc && tokenizer_size(t) > o->config.n_vocab) {
        rc = ox_err_set(err, OX_EMODEL,
                        "tokenizer.json has ids up to %u, the embedding %" PRId64 " rows",
                        tokenizer_size(t) - 1, o->config.n_vocab);
        ox_err_fix(err, "tokenizer.json is of another model: download the folder again");
    }
    tokenizer_close(t);
    return rc ? ox_err_wrap(err, rc, "tokenizer") : 0;
}

static int verify(struct offline *o, ox_err *err) {
    uint64_t n_bytes = (uint64_t)count_bytes(&o->tensors), done = 0, key[2];
    int shown = 0;
    char hash[33], short_hash[33];
    int rc = weights_check(&o->tensors, &o->config, err);
    if (!rc) rc = check_tokenizer(o, err);
    if (!rc) rc = weights_key(&o->tensors, &o->config, key, err);
    if (rc) return rc;
    XXH3_state_t *h = XXH3_createState();
    if (!h) return ox_err_set(err, OX_ENOMEM, "no memory for a digest");
    XXH3_128bits_reset(h);
    for (size_t i = 0; !rc && i < o->tensors.n; i++) {
        const struct st_tensor *t = &o->tensors.v[i];
        XXH3_128bits_update(h, t->name, strlen(t->name) + 1);
        XXH3_128bits_update(h, t->data, t->n_bytes);
        rc = check_values(t, err);
        done += t->n_bytes;
        if (!rc) rc = offline_progress(o, done, n_bytes, &shown, err);
    }
    XXH128_hash_t got = XXH3_128bits_digest(h);
    XXH3_freeState(h);
    if (rc) return rc;
    show_hash(got.high64, got.low64, hash);
    show_hash(key[0], key[1], short_hash);
    return offline_say(o,
                       json_pack("{s:s, s:I, s:I, s:I, s:s, s:s}", "event", "verified", "tensors",
                                 (json_int_t)o->tensors.n, "of", (json_int_t)o->tensors.n, "bytes",
                                 (json_int_t)n_bytes, "hash", hash, "key", short_hash),
                       err);
}

/* ---- the door ---- */

static int parse_args(const char *args, json_t **out, ox_err *err) {
    json_error_t why;
    *out = args ? json_loads(args, JSON_REJECT_DUPLICATES, &why) : NULL;
    if (!args || json_is_object(*out)) return 0;
    json_decref(*out);
    *out = NULL;
    return ox_err_set(err, OX_EUSAGE, "the options of this task are not a JSON object");
}

int ox_offline(enum ox_task task, const struct ox_engine_opts *opts, const char *args,
               int (*line)(void *user, const char *json), void *user, ox_err *err) {
    struct offline o = {.line = line, .user = user};
    json_t *parsed = NULL;
    const char *step = "";
    int rc = parse_args(args, &parsed, err);
    o.args = parsed;
    if (!rc) rc = folder_open(opts->model_dir, &o.folder, err);
    if (!rc) rc = check_files(o.folder, err);
    if (!rc) rc = config_read(o.folder, opts->no_rope, &o.config, err);
    if (!rc) rc = st_open(o.folder, &o.tensors, err);
    if (!rc) switch (task) {
        case OX_TASK_INSPECT: step = "inspect model", rc = inspect(&o, err); break;
        case OX_TASK_VERIFY: step = "verify model", rc = verify(&o, err); break;
        case OX_TASK_QUANTIZE: step = "quantize model", rc = offline_quantize(&o, err); break;
        case OX_TASK_BENCH: step = "bench model", rc = offline_bench(&o, opts, err); break;
        case OX_TASK_NONE: rc = ox_err_set(err, OX_EUSAGE, "no such task"); break;
        }
    st_close(&o.tensors);
    config_deinit(&o.config);
    folder_close(o.folder);
    json_decref(parsed);
    return rc ? ox_err_wrap(err, rc, step[0] ? step : "open model") : 0;
}
