/* mem_io.c - see mem_io.h. Running out of memory ends the test program. */
#include "tests/support/mem_io.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

enum { PAGE = 256 };

static void sum_of(const struct mem_blob *b, uint64_t out[2]) {
    XXH128_hash_t h = XXH3_128bits(b->p, b->n);
    out[0] = h.high64;
    out[1] = h.low64;
}

static size_t keep_blob(struct mem_io *m, const void *p, size_t n) {
    struct mem_blob b = {.n = n};
    XXH128_hash_t h = XXH3_128bits(p, n);
    for (size_t i = 1; i < m->n_blobs; i++)
        if (m->blob[i].n == n && m->blob[i].sum[0] == h.high64 && m->blob[i].sum[1] == h.low64)
            return i;
    b.p = (unsigned char *)ox_memdup(p, n, "blob", NULL);
    assert(b.p && ox_grow(&m->blob, &m->cap_blobs, m->n_blobs + 1, sizeof b, NULL) == 0);
    sum_of(&b, b.sum);
    m->blob[m->n_blobs] = b;
    m->n_written += n;
    return m->n_blobs++;
}

static bool has_pages(const struct mem_io *m, struct ox_prefix at, size_t n) {
    return m->n_pages >= n && (!n || memcmp(m->tok, at.tok, n * PAGE * sizeof *at.tok) == 0);
}

static int put_page(struct mem_io *m, struct ox_prefix at, size_t blob) {
    size_t i = at.n / PAGE - 1;
    assert(at.n % PAGE == 0);
    if (!has_pages(m, at, i)) return OX_ENOTFOUND;
    assert(ox_grow(&m->tok, &m->cap_tok, at.n, sizeof *m->tok, NULL) == 0);
    assert(ox_grow(&m->page, &m->cap_page, i + 1, sizeof *m->page, NULL) == 0);
    memcpy(m->tok, at.tok, at.n * sizeof *m->tok);
    m->page[i] = blob;
    m->n_pages = i + 1;
    return 0;
}

static int put_state(struct mem_io *m, enum ox_why why, struct ox_prefix at, size_t blob) {
    size_t n = at.n / PAGE;
    struct mem_record r = {.n = at.n, .why = why, .state = blob};
    if (!has_pages(m, at, n) || (at.n % PAGE && m->tail_at != at.n)) return OX_ENOTFOUND;
    r.tail = at.n % PAGE ? m->tail : 0;
    r.tok = (int32_t *)(void *)ox_memdup(at.tok, at.n * sizeof *at.tok, "ids", NULL);
    r.page = ox_alloc(n, sizeof *r.page, "pages", NULL);
    assert(r.tok && r.page);
    if (n) memcpy(r.page, m->page, n * sizeof *r.page);
    assert(ox_grow(&m->record, &m->cap_records, m->n_records + 1, sizeof r, NULL) == 0);
    m->record[m->n_records++] = r;
    return 0;
}

static int put(void *user, enum ox_blob what, enum ox_why why, struct ox_prefix at, const void *p,
               size_t n, ox_err *err) {
    struct mem_io *m = user;
    assert(n && at.n);
    if (m->is_busy) return ox_err_set(err, OX_EBUSY, "busy");
    m->n_puts++;
    size_t blob = keep_blob(m, p, n);
    switch (what) {
    case OX_BLOB_NONE: break;
    case OX_BLOB_PAGE: return put_page(m, at, blob);
    case OX_BLOB_TAIL:
        m->tail = blob;
        m->tail_at = at.n;
        return 0;
    case OX_BLOB_STATE: return put_state(m, why, at, blob);
    }
    return OX_EUSAGE;
}

static int find(void *user, struct ox_prefix want, struct ox_found *out, ox_err *err) {
    struct mem_io *m = user;
    (void)err;
    *out = (struct ox_found){0};
    for (size_t i = 0; i < m->n_records; i++) {
        const struct mem_record *r = &m->record[i];
        if (r->is_gone || r->n > want.n || r->n < out->n ||
            memcmp(r->tok, want.tok, r->n * sizeof *r->tok) != 0)
            continue;
        *out = (struct ox_found){.id = i + 1, .n = r->n, .exact = m->is_own, .load_s = 1e-6};
    }
    if (out->n) m->n_found++;
    return 0;
}

static void drop(struct mem_io *m, size_t blob) {
    m->n_logged++;
    for (size_t i = 0; i < m->n_records; i++) {
        struct mem_record *r = &m->record[i];
        bool has = r->state == blob || r->tail == blob;
        for (size_t k = 0; k < r->n / PAGE; k++)
            has |= r->page[k] == blob;
        r->is_gone |= has;
    }
    m->n_pages = 0;
}

static int get(void *user, uint64_t id, enum ox_blob what, size_t page, void *dst, size_t n,
               ox_err *err) {
    struct mem_io *m = user;
    assert(id >= 1 && id <= m->n_records);
    const struct mem_record *r = &m->record[id - 1];
    size_t i = what == OX_BLOB_STATE ? r->state : what == OX_BLOB_TAIL ? r->tail : 0;
    if (what == OX_BLOB_PAGE && page < r->n / PAGE) i = r->page[page];
    m->n_gets++;
    if (!i || r->is_gone) return ox_err_set(err, OX_ENOTFOUND, "no such blob");
    const struct mem_blob *b = &m->blob[i];
    uint64_t sum[2];
    sum_of(b, sum);
    if (b->n != n || sum[0] != b->sum[0] || sum[1] != b->sum[1]) {
        drop(m, i);
        return ox_err_set(err, OX_EFORMAT, "blob %zu is damaged", i);
    }
    memcpy(dst, b->p, n);
    return 0;
}

static void refuse(void *user, uint64_t id, const ox_err *why) {
    struct mem_io *m = user;
    (void)why;
    m->n_logged++;
    m->record[id - 1].is_gone = true;
    m->n_pages = 0;
}

void mem_io_init(struct mem_io *m) {
    *m = (struct mem_io){.is_own = true};
    m->io = (struct ox_state_io){m, find, get, put, refuse};
    assert(ox_grow(&m->blob, &m->cap_blobs, 1, sizeof *m->blob, NULL) == 0);
    m->blob[m->n_blobs++] = (struct mem_blob){0};
}

void mem_io_deinit(struct mem_io *m) {
    for (size_t i = 0; i < m->n_blobs; i++)
        ox_free(m->blob[i].p);
    for (size_t i = 0; i < m->n_records; i++) {
        ox_free(m->record[i].tok);
        ox_free(m->record[i].page);
    }
    ox_free(m->blob);
    ox_free(m->record);
    ox_free(m->tok);
    ox_free(m->page);
    *m = (struct mem_io){0};
}

void mem_io_restart(struct mem_io *m) {
    m->n_pages = m->tail_at = 0;
}

struct mem_record *mem_io_at(struct mem_io *m, size_t n) {
    for (size_t i = m->n_records; i > 0; i--)
        if (m->record[i - 1].n == n && !m->record[i - 1].is_gone) return &m->record[i - 1];
    return NULL;
}

void mem_io_flip(struct mem_io *m, size_t blob, size_t at, unsigned char mask, bool resum) {
    assert(blob && blob < m->n_blobs && at < m->blob[blob].n);
    m->blob[blob].p[at] ^= mask;
    if (resum) sum_of(&m->blob[blob], m->blob[blob].sum);
}

void mem_io_truncate(struct mem_io *m, size_t blob, size_t n) {
    assert(blob && blob < m->n_blobs && n <= m->blob[blob].n);
    m->blob[blob].n = n;
}
