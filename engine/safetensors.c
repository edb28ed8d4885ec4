/* safetensors.c - see safetensors.h. Apart, because this is where a stranger's file is believed or
 * not: every offset is checked here, so that nobody above checks again. */
#include "engine/safetensors.h"

#include "engine/jsontext.h"
#include "kernels/base/ox_mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_HEADER_BYTES = 100 << 20, /* the format's own limit is 100 MB */
    MAX_DIMS = 8,
    MAX_SHARDS = 4096
};
static const char index_name[] = "model.safetensors.index.json";
static const char single_name[] = "model.safetensors";

/* A type that we do not compute with may lie in the file as long as nobody asks for it. size 0: not
 * known to us, so the length of its data cannot be checked. */
static const struct {
    const char *name;
    enum st_type type;
    uint64_t size;
} types[] = {
    {"F32", ST_F32, 4},       {"F16", ST_F16, 2},       {"BF16", ST_BF16, 2},  {"I32", ST_I32, 4},
    {"I64", ST_I64, 8},       {"I8", ST_I8, 1},         {"U8", ST_U8, 1},      {"F64", ST_OTHER, 8},
    {"I16", ST_OTHER, 2},     {"U16", ST_OTHER, 2},     {"U32", ST_OTHER, 4},  {"U64", ST_OTHER, 8},
    {"F8_E4M3", ST_OTHER, 1}, {"F8_E5M2", ST_OTHER, 1}, {"BOOL", ST_OTHER, 1},
};

const char *st_type_name(enum st_type t) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == t && t != ST_OTHER) return types[i].name;
    return "another type";
}

static int damaged(ox_err *err, const char *file) {
    return ox_err_fix(err, "download %s again, or check that the copy was complete", file);
}

/* ---- one entry of the header ---- */

static int read_dims(const json_t *shape, struct st_tensor *t, uint64_t *n_elements, ox_err *err) {
    if (!json_is_array(shape))
        return ox_err_set(err, OX_EMODEL, "%s: %s has no shape", t->file, t->name);
    size_t n = json_array_size(shape);
    if (n > MAX_DIMS)
        return ox_err_set(err, OX_EMODEL, "%s: %s has %zu dimensions, at most %d are allowed",
                          t->file, t->name, n, MAX_DIMS);
    *n_elements = 1;
    t->n_dims = (int)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(shape, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return ox_err_set(err, OX_EMODEL, "%s: %s: a dimension is not a whole number >= 0",
                              t->file, t->name);
        t->dim[i] = (int64_t)json_integer_value(v);
        uint64_t d = (uint64_t)t->dim[i];
        if (d && *n_elements > UINT64_MAX / d)
            return ox_err_set(err, OX_EMODEL, "%s: %s: the product of its dimensions overflows",
                              t->file, t->name);
        *n_elements *= d;
    }
    return 0;
}

static int read_type(const json_t *dtype, struct st_tensor *t, uint64_t *size, ox_err *err) {
    const char *name = json_string_value(dtype);
    if (!name) return ox_err_set(err, OX_EMODEL, "%s: %s has no dtype", t->file, t->name);
    t->type = ST_OTHER;
    *size = 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, name) != 0) continue;
        t->type = types[i].type;
        *size = types[i].size;
    }
    return 0;
}

/* data .. data + n_data are the bytes behind the header. */
static int read_entry(const json_t *entry, const unsigned char *data, uint64_t n_data,
                      struct st_tensor *t, ox_err *err) {
    uint64_t n = 0, size = 0;
    int rc = read_type(json_object_get(entry, "dtype"), t, &size, err);
    if (!rc) rc = read_dims(json_object_get(entry, "shape"), t, &n, err);
    if (rc) return rc;
    const json_t *at = json_object_get(entry, "data_offsets");
    const json_t *b = json_array_get(at, 0), *e = json_array_get(at, 1);
    if (json_array_size(at) != 2 || !json_is_integer(b) || !json_is_integer(e) ||
        json_integer_value(b) < 0 || json_integer_value(e) < json_integer_value(b))
        return ox_err_set(err, OX_EMODEL,
                          "%s: %s: data_offsets must be [begin, end] with 0 <= begin <= end",
                          t->file, t->name);
    uint64_t from = (uint64_t)json_integer_value(b), to = (uint64_t)json_integer_value(e);
    if (to > n_data)
        return ox_err_set(err, OX_EMODEL,
                          "%s: truncated: %s ends at byte %" PRIu64 " of %" PRIu64 " bytes of data",
                          t->file, t->name, to, n_data);
    if (size && (n > UINT64_MAX / size || n * size != to - from))
        return ox_err_set(
            err, OX_EMODEL,
            "%s: %s: its shape has %" PRIu64 " elements of %s, its data %" PRIu64 " bytes", t->file,
            t->name, n, json_string_value(json_object_get(entry, "dtype")), to - from);
    t->data = data + from;
    t->n_bytes = (size_t)(to - from);
    return 0;
}

static int check_metadata(const json_t *meta, const char *file, ox_err *err) {
    if (!meta) return 0;
    if (!json_is_object(meta))
        return ox_err_set(err, OX_EMODEL, "%s: __metadata__ is not an object", file);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)meta, key, v) {
        if (!json_is_string(v))
            return ox_err_set(err, OX_EMODEL, "%s: __metadata__ \"%s\" is not a text", file, key);
    }
    return 0;
}

/* ---- one file ---- */

static int by_place(const void *pa, const void *pb) {
    const struct st_tensor *a = pa, *b = pb;
    if (a->data != b->data) return a->data < b->data ? -1 : 1;
    return a->n_bytes < b->n_bytes ? -1 : a->n_bytes > b->n_bytes;
}

static int by_name(const void *pa, const void *pb) {
    const struct st_tensor *a = pa, *b = pb;
    return strcmp(a->name, b->name);
}

/* The tensors must tile the data: a hole or an overlap means a damaged or forged header. */
static int check_tiling(struct st_tensor *v, size_t n, const unsigned char *data, uint64_t n_data,
                        const char *file, ox_err *err) {
    qsort(v, n, sizeof *v, by_place);
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t from = (uint64_t)(v[i].data - data);
        if (from != at)
            return ox_err_set(err, OX_EMODEL,
                              "%s: %s before tensor %s, at byte %" PRIu64 " of data", file,
                              from < at ? "an overlap" : "a hole", v[i].name, from);
        at = from + v[i].n_bytes;
    }
    if (at != n_data)
        return ox_err_set(err, OX_EMODEL, "%s: %" PRIu64 " bytes behind the last tensor", file,
                          n_data - at);
    return 0;
}

static uint64_t read_u64(const unsigned char *p) {
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static int check_length(uint64_t n_header, size_t n_bytes, const char *name, ox_err *err) {
    if (n_header > MAX_HEADER_BYTES)
        return ox_err_set(err, OX_EMODEL,
                          "%s: header length %" PRIu64 ", more than 100 MB: not a safetensors file",
                          name, n_header);
    if (n_header > n_bytes - 8)
        return ox_err_set(err, OX_EMODEL,
                          "%s: truncated: a header of %" PRIu64 " bytes in a file of %zu", name,
                          n_header, n_bytes);
    return 0;
}

/* The members of the header as a list with room for all; *n counts them, also on failure. */
static int read_entries(const json_t *root, const unsigned char *data, uint64_t n_data,
                        const char *name, struct ox_arena *arena, struct st_tensor *list, size_t *n,
                        ox_err *err) {
    const char *file = ox_arena_strdup(arena, name, strlen(name), err), *key;
    json_t *entry;
    int rc = file ? 0 : OX_ENOMEM;
    json_object_foreach((json_t *)(uintptr_t)root, key, entry) {
        if (rc || strcmp(key, "__metadata__") == 0) continue;
        struct st_tensor *t = &list[(*n)++];
        t->file = file;
        t->name = ox_arena_strdup(arena, key, strlen(key), err);
        rc = t->name ? read_entry(entry, data, n_data, t, err) : OX_ENOMEM;
    }
    return rc;
}

/* The tensors of one file as an owned list; names go to the arena. */
static int read_file(const unsigned char *file, size_t n_bytes, const char *name,
                     struct ox_arena *arena, struct st_tensor **v, size_t *n, ox_err *err) {
    if (n_bytes < 8)
        return ox_err_set(err, OX_EMODEL, "%s: %zu bytes, too short for a safetensors file", name,
                          n_bytes);
    uint64_t n_header = read_u64(file);
    int rc = check_length(n_header, n_bytes, name, err);
    if (rc) return rc;
    const unsigned char *data = file + 8 + n_header;
    uint64_t n_data = n_bytes - 8 - n_header;

    json_t *root = NULL;
    struct st_tensor *list = NULL;
    size_t n_list = 0;
    rc = jsontext_parse(file + 8, (size_t)n_header, name, &root, err);
    if (!rc) rc = check_metadata(json_object_get(root, "__metadata__"), name, err);
    if (!rc) {
        list = ox_alloc(json_object_size(root), sizeof *list, "a list of tensors", err);
        rc = list ? 0 : OX_ENOMEM;
    }
    if (!rc) rc = read_entries(root, data, n_data, name, arena, list, &n_list, err);
    if (!rc) rc = check_tiling(list, n_list, data, n_data, name, err);
    json_decref(root);
    if (rc) {
        ox_free(list);
        return rc;
    }
    *v = list;
    *n = n_list;
    return 0;
}

static void free_arena(struct ox_arena *a) {
    if (a) ox_arena_deinit(a);
    ox_free(a);
}

int st_read(const unsigned char *file, size_t n_bytes, const char *name, struct st_set *out,
            ox_err *err) {
    struct ox_arena *arena = ox_alloc(1, sizeof *arena, "a list of tensors", err);
    if (!arena) return OX_ENOMEM;
    struct st_set s = {0};
    int rc = read_file(file, n_bytes, name, arena, &s.v, &s.n, err);
    if (rc) {
        free_arena(arena);
        if (rc == OX_EMODEL && err && !err->fix[0]) damaged(err, name);
        return rc;
    }
    qsort(s.v, s.n, sizeof *s.v, by_name);
    s.own = arena;
    *out = s;
    return 0;
}

void st_close(struct st_set *s) {
    ox_free(s->v);
    free_arena(s->own);
    *s = (struct st_set){0};
}

const struct st_tensor *st_find(const struct st_set *s, const char *name) {
    struct st_tensor want = {.name = name};
    return s->n ? bsearch(&want, s->v, s->n, sizeof *s->v, by_name) : NULL;
}

/* ---- shards ---- */

static int by_text(const void *pa, const void *pb) {
    return strcmp(*(const char *const *)pa, *(const char *const *)pb);
}

/* The distinct file names of weight_map, sorted; borrowed from the map. */
static int list_shards(const json_t *map, const char ***out, size_t *n, ox_err *err) {
    size_t n_all = json_object_size(map), n_found = 0;
    const char **name = ox_alloc(n_all, sizeof *name, "a list of files", err);
    if (!name) return OX_ENOMEM;
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)map, key, v) {
        if (!json_is_string(v)) {
            ox_free(name);
            return ox_err_set(err, OX_EMODEL, "%s: weight_map \"%s\" names no file", index_name,
                              key);
        }
        name[n_found++] = json_string_value(v);
    }
    qsort(name, n_found, sizeof *name, by_text);
    size_t n_kept = 0;
    for (size_t i = 0; i < n_found; i++)
        if (i == 0 || strcmp(name[i], name[i - 1]) != 0) name[n_kept++] = name[i];
    if (n_kept > MAX_SHARDS) {
        ox_free(name);
        return ox_err_set(err, OX_EMODEL, "%s: names %zu files, at most %d are allowed", index_name,
                          n_kept, MAX_SHARDS);
    }
    *out = name;
    *n = n_kept;
    return 0;
}

/* Keeps those tensors of one shard that the map assigns to it. */
static int take_shard(struct folder *f, const json_t *map, const char *shard, struct st_set *s,
                      size_t cap, ox_err *err) {
    const unsigned char *bytes;
    size_t n_bytes, n = 0;
    int rc = folder_get(f, shard, &bytes, &n_bytes, err);
    if (rc == OX_ENOTFOUND) {
        rc = ox_err_set(err, OX_EMODEL, "%s names %s, which is not in the folder", index_name,
                        shard);
        ox_err_fix(err, "download the missing file");
    }
    if (rc) return rc;
    struct st_tensor *v = NULL;
    rc = read_file(bytes, n_bytes, shard, s->own, &v, &n, err);
    if (rc == OX_EMODEL && err && !err->fix[0]) damaged(err, shard);
    for (size_t i = 0; !rc && i < n; i++) {
        const char *home = json_string_value(json_object_get(map, v[i].name));
        if (home && strcmp(home, shard) != 0)
            rc = ox_err_set(err, OX_EMODEL, "%s is in %s and, says %s, in %s", v[i].name, shard,
                            index_name, home);
        else if (home && s->n < cap)
            s->v[s->n++] = v[i];
    }
    ox_free(v);
    return rc;
}

static int read_shards(struct folder *f, const unsigned char *index, size_t n_bytes,
                       struct st_set *s, ox_err *err) {
    json_t *root = NULL;
    const char **shard = NULL;
    size_t n_shards = 0;
    int rc = jsontext_parse(index, n_bytes, index_name, &root, err);
    if (rc) return rc;
    const json_t *map = json_object_get(root, "weight_map");
    size_t n_want = json_object_size(map);
    if (!json_is_object(map) || n_want == 0) {
        rc = ox_err_set(err, OX_EMODEL, "%s: no weight_map {tensor: file}", index_name);
        damaged(err, index_name);
        goto out;
    }
    rc = list_shards(map, &shard, &n_shards, err);
    if (rc) goto out;
    s->v = ox_alloc(n_want, sizeof *s->v, "a list of tensors", err);
    if (!s->v) rc = OX_ENOMEM;
    for (size_t i = 0; !rc && i < n_shards; i++)
        rc = take_shard(f, map, shard[i], s, n_want, err);
    if (rc) goto out;
    qsort(s->v, s->n, sizeof *s->v, by_name);
    const char *key;
    json_t *home;
    json_object_foreach((json_t *)(uintptr_t)map, key, home) {
        if (st_find(s, key)) continue;
        rc = ox_err_set(err, OX_EMODEL, "%s says that %s is in %s, which does not hold it",
                        index_name, key, json_string_value(home));
        ox_err_fix(err, "index and shards are of different models: download the folder again");
        break;
    }
out:
    ox_free(shard);
    json_decref(root);
    return rc;
}

int st_open(struct folder *f, struct st_set *out, ox_err *err) {
    const unsigned char *bytes;
    size_t n_bytes;
    struct st_set s = {0};
    int rc = folder_get(f, index_name, &bytes, &n_bytes, err);
    if (rc == 0) {
        s.own = ox_alloc(1, sizeof(struct ox_arena), "a list of tensors", err);
        rc = s.own ? read_shards(f, bytes, n_bytes, &s, err) : OX_ENOMEM;
    } else if (rc == OX_ENOTFOUND) {
        rc = folder_get(f, single_name, &bytes, &n_bytes, err);
        if (rc == OX_ENOTFOUND) {
            rc = ox_err_set(err, OX_EMODEL, "%s: no %s and no %s", folder_path(f), single_name,
                            index_name);
            ox_err_fix(err, "-m takes a folder with the weights in safetensors files");
        }
        if (!rc) rc = st_read(bytes, n_bytes, single_name, &s, err);
    }
    if (rc) {
        st_close(&s);
        if (rc == OX_EMODEL && err && !err->fix[0]) damaged(err, "the folder");
        return ox_err_wrap(err, rc, "read weights");
    }
    s.home = f;
    *out = s;
    return 0;
}

/* ---- values ---- */

/* IEEE half to single; subnormals are scaled by 2^-24, all exact. */
static float half_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 1023,
             bits;
    float f;
    if (exponent == 0) {
        f = (float)mantissa * 0x1p-24F;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 255U : exponent + 112) << 23 | mantissa << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float st_f32(const struct st_tensor *t, size_t i) {
    uint16_t h;
    uint32_t bits;
    float f;
    if (t->type == ST_F32) {
        memcpy(&f, t->data + 4 * i, sizeof f);
        return f;
    }
    memcpy(&h, t->data + 2 * i, sizeof h);
    if (t->type == ST_F16) return half_to_f32(h);
    bits = (uint32_t)h << 16;
    memcpy(&f, &bits, sizeof f);
    return f;
}
