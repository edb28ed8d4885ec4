/* states_fixture.h - a stand-in for the engine that keeps and restores states: bytes of pages,
 * tails and records follow from the ids (and from a "run", for pages that differ in their last
 * bits). */
#ifndef STATES_FIXTURE_H
#define STATES_FIXTURE_H

#include "store_fixture.h"

#include "app/store/states.h"

#include <dirent.h>

enum { PAGE_BYTES = 3000, RECORD_BYTES = 1500, ROW_BYTES = 12 };

struct cache {
    states *s;
    char folder[96];
    int n_logged;
    char last_log[512];
};

static inline void note_log(void *user, const char *line) {
    struct cache *c = user;
    c->n_logged++;
    snprintf(c->last_log, sizeof c->last_log, "%s", line);
}

static inline void cache_open(struct cache *c, const char *folder, uint64_t quota) {
    snprintf(c->folder, sizeof c->folder, "%s", folder);
    struct states_opts how = {.folder = folder, .quota_bytes = quota, .log = note_log, .user = c};
    OK(states_open(&how, &c->s, err));
}

static inline void cache_use(struct cache *c, uint64_t space) {
    struct states_space sp = {.compat = {space, 77},
                              .backend = "cpu-ref",
                              .name = "tiny",
                              .kv_type = "bf16",
                              .n_linear = 3,
                              .n_attn = 1};
    OK(states_use(c->s, &sp, err));
}

static inline void cache_close(struct cache *c) {
    states_close(c->s);
    c->s = NULL;
}

static inline void cache_tip(struct cache *c, const char *chat, int64_t want, int moment,
                             int64_t made) {
    states_tip(c->s, &(struct states_tip){.db_uid = "00000000000000db",
                                          .chat_uid = chat,
                                          .want = want,
                                          .want_moment = moment,
                                          .made = made});
}

/* Bytes that depend on every id of the prefix, on the part and on the run. */
static inline void fill(unsigned char *out, size_t n, struct ox_prefix at, int part, int run) {
    uint64_t h = 1469598103934665603u ^ (uint64_t)part << 32 ^ (uint64_t)run;
    for (size_t i = 0; i < at.n; i++)
        h = (h ^ (uint64_t)(uint32_t)at.tok[i]) * 1099511628211u;
    for (size_t i = 0; i < n; i++) {
        h ^= h << 13;
        h ^= h >> 7;
        h ^= h << 17;
        out[i] = (unsigned char)h;
    }
}

static inline void make_ids(int32_t *tok, size_t n, int seed) {
    for (size_t i = 0; i < n; i++)
        tok[i] = (int32_t)(i * 7919 % 50000) + seed * (i > 0);
}

static inline int put_part(struct cache *c, enum ox_blob what, enum ox_why why, struct ox_prefix at,
                           size_t n, int run) {
    static unsigned char bytes[1 << 23];
    const struct ox_state_io *io = states_io(c->s);
    fill(bytes, n, at, what, run);
    return io->put(io->user, what, why, at, bytes, n, NULL);
}

/* A whole record at n tokens, its pages from `from` on. Returns the first code that is not 0. */
static inline int save_from(struct cache *c, const int32_t *tok, size_t from, size_t n,
                            enum ox_why why, int run) {
    int rc = 0;
    for (size_t p = from / 256; !rc && p < n / 256; p++)
        rc =
            put_part(c, OX_BLOB_PAGE, why, (struct ox_prefix){tok, (p + 1) * 256}, PAGE_BYTES, run);
    if (!rc && n % 256)
        rc = put_part(c, OX_BLOB_TAIL, why, (struct ox_prefix){tok, n}, n % 256 * ROW_BYTES, run);
    if (!rc) rc = put_part(c, OX_BLOB_STATE, why, (struct ox_prefix){tok, n}, RECORD_BYTES, run);
    return rc;
}

static inline void save(struct cache *c, const int32_t *tok, size_t n, enum ox_why why) {
    assert_int_equal(save_from(c, tok, 0, n, why, 0), 0);
    OK(states_flush(c->s, err));
}

static inline struct ox_found find(struct cache *c, const int32_t *tok, size_t n) {
    const struct ox_state_io *io = states_io(c->s);
    struct ox_found f = {0};
    OK(io->find(io->user, (struct ox_prefix){tok, n}, &f, err));
    return f;
}

/* Reads everything of a record and compares it with what was saved. 0, or the first code. */
static inline int load(struct cache *c, const int32_t *tok, struct ox_found f, int run) {
    static unsigned char got[PAGE_BYTES + RECORD_BYTES], want[PAGE_BYTES + RECORD_BYTES];
    const struct ox_state_io *io = states_io(c->s);
    int rc = io->get(io->user, f.id, OX_BLOB_STATE, 0, got, RECORD_BYTES, NULL);
    if (rc) return rc;
    fill(want, RECORD_BYTES, (struct ox_prefix){tok, f.n}, OX_BLOB_STATE, run);
    assert_memory_equal(got, want, RECORD_BYTES);
    for (size_t p = 0; p < f.n / 256; p++) {
        rc = io->get(io->user, f.id, OX_BLOB_PAGE, p, got, PAGE_BYTES, NULL);
        if (rc) return rc;
        fill(want, PAGE_BYTES, (struct ox_prefix){tok, (p + 1) * 256}, OX_BLOB_PAGE, run);
        assert_memory_equal(got, want, PAGE_BYTES);
    }
    if (f.n % 256) {
        size_t n = f.n % 256 * ROW_BYTES;
        rc = io->get(io->user, f.id, OX_BLOB_TAIL, 0, got, n, NULL);
        if (rc) return rc;
        fill(want, n, (struct ox_prefix){tok, f.n}, OX_BLOB_TAIL, run);
        assert_memory_equal(got, want, n);
    }
    return 0;
}

/* Calls each(path) for every blob file of the cache; returns their number. */
static inline size_t each_file(struct cache *c, void (*each)(const char *path, void *user),
                               void *user) {
    char top[128], path[256], file[600];
    size_t n = 0;
    snprintf(top, sizeof top, "%s/states", c->folder);
    DIR *dir = opendir(top);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%.100s", top, e->d_name);
        DIR *sub = opendir(path);
        for (struct dirent *f; sub && (f = readdir(sub));) {
            if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0) continue;
            snprintf(file, sizeof file, "%s/%s", path, f->d_name);
            n++;
            if (each) each(file, user);
        }
        if (sub) closedir(sub);
    }
    if (dir) closedir(dir);
    return n;
}

static inline struct states_usage usage(struct cache *c) {
    struct states_usage u;
    OK(states_usage(c->s, &u, err));
    return u;
}

#endif
