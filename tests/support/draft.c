/* draft.c - see draft.h. Apart, because bad folders, aliases and quantising all start from one. */
#include "tests/support/draft.h"

#include "kernels/base/ox_mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(bool ok, const char *what) {
    if (ok) return;
    perror(what);
    abort();
}

static void *read_whole(const char *golden_name, const char *file, size_t *n) {
    char path[512];
    snprintf(path, sizeof path, OXBOW_TEST_DIR "/golden/%s/%s", golden_name, file);
    FILE *f = fopen(path, "rb");
    need(f && fseek(f, 0, SEEK_END) == 0, path);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *p = ox_alloc(*n, 1, "a test file", NULL);
    need(p && fread(p, 1, *n, f) == *n, path);
    fclose(f);
    return p;
}

static json_t *read_json(const char *golden_name, const char *file) {
    size_t n;
    void *text = read_whole(golden_name, file, &n);
    json_t *v = json_loadb(text, n, 0, NULL);
    need(v, file);
    ox_free(text);
    return v;
}

void draft_read(struct draft *d, const char *golden_name) {
    *d = (struct draft){0};
    d->config = read_json(golden_name, "config.json");
    d->generation = read_json(golden_name, "generation_config.json");
    size_t n;
    uint64_t n_header;
    unsigned char *file = read_whole(golden_name, "model.safetensors", &n);
    memcpy(&n_header, file, 8);
    d->header = json_loadb((char *)file + 8, n_header, 0, NULL);
    need(d->header, "header");
    d->n_data = n - 8 - n_header;
    d->data = ox_alloc(d->n_data, 1, "test weights", NULL);
    memcpy(d->data, file + 8 + n_header, d->n_data);
    ox_free(file);
}

void draft_patch(json_t *part, const char *patch) {
    if (!patch) return;
    json_t *p = json_loads(patch, 0, NULL);
    need(p && json_object_update_recursive(part, p) == 0, patch);
    json_decref(p);
}

void draft_rename(struct draft *d, const char *from, const char *to) {
    json_t *v = json_incref(json_object_get(d->header, from));
    need(v, from);
    json_object_del(d->header, from);
    json_object_set_new(d->header, to, v);
}

void draft_add(struct draft *d, const char *name, const char *dtype, const char *shape,
               const void *bytes, size_t n) {
    unsigned char *grown = ox_alloc(d->n_data + n, 1, "test weights", NULL);
    memcpy(grown, d->data, d->n_data);
    memcpy(grown + d->n_data, bytes, n);
    json_t *entry =
        json_pack("{s:s, s:o, s:[I,I]}", "dtype", dtype, "shape", json_loads(shape, 0, NULL),
                  "data_offsets", (json_int_t)d->n_data, (json_int_t)(d->n_data + n));
    need(entry, shape);
    json_object_set_new(d->header, name, entry);
    ox_free(d->data);
    d->data = grown;
    d->n_data += n;
}

void draft_put_file(const struct draft *d, const char *name, const void *bytes, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    FILE *f = fopen(path, "wb");
    need(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, path);
}

static void put_json(const struct draft *d, const char *name, const json_t *v) {
    char *text = json_dumps(v, JSON_COMPACT);
    need(text, name);
    draft_put_file(d, name, text, strlen(text));
    free(text);
}

static void put_weights(const struct draft *d) {
    char *dumped = d->raw_header ? NULL : json_dumps(d->header, JSON_COMPACT);
    const char *text = dumped ? dumped : d->raw_header;
    size_t n_text = strlen(text), n_data = (size_t)((int64_t)d->n_data + d->n_more);
    uint64_t n_header = d->header_length ? d->header_length : n_text;
    unsigned char *file = ox_alloc(8 + n_text + n_data, 1, "a test file", NULL);
    memcpy(file, &n_header, 8);
    memcpy(file + 8, text, n_text);
    memcpy(file + 8 + n_text, d->data, n_data < d->n_data ? n_data : d->n_data);
    draft_put_file(d, "model.safetensors", file, 8 + n_text + n_data);
    ox_free(file);
    free(dumped);
}

void draft_write(struct draft *d) {
    snprintf(d->dir, sizeof d->dir, "/tmp/oxbow-test-XXXXXX");
    need(mkdtemp(d->dir), d->dir);
    if (d->raw_config)
        draft_put_file(d, "config.json", d->raw_config, strlen(d->raw_config));
    else
        put_json(d, "config.json", d->config);
    put_json(d, "generation_config.json", d->generation);
    if (!d->no_weights) put_weights(d);
}

void draft_remove(struct draft *d) {
    DIR *dir = d->dir[0] ? opendir(d->dir) : NULL;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", d->dir, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) remove(path);
    }
    if (dir) closedir(dir);
    if (d->dir[0]) rmdir(d->dir);
    json_decref(d->config);
    json_decref(d->generation);
    json_decref(d->header);
    ox_free(d->data);
    *d = (struct draft){0};
}
