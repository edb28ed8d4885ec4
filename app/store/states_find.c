/* states_find.c - finds the longest stored prefix and reads its bytes: docs/STORE.md section 6.
 *
 * h(0) = compat, h(k) = XXH3-128(h(k-1), ids of page k-1), H(n) = XXH3-128(h(n/256), rest, n).
 * Hashes find, ids decide. The own state of a message comes before a longer one of somebody else,
 * because only it goes on bit for bit. */
#include "app/store/states_inner.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* ---- hashes ------------------------------------------------------------- */

void key_bytes(unsigned char out[16], struct ox_key key) {
    XXH128_canonicalFromHash((XXH128_canonical_t *)out,
                             (XXH128_hash_t){.high64 = key.hi, .low64 = key.lo});
}

static void put_id(unsigned char *out, int32_t id) {
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)((uint32_t)id >> (8 * i));
}

struct ox_key hash_page(struct ox_key before, const int32_t *ids) {
    unsigned char bytes[16 + 4 * PAGE_TOKENS];
    key_bytes(bytes, before);
    for (int i = 0; i < PAGE_TOKENS; i++)
        put_id(bytes + 16 + 4 * i, ids[i]);
    return io_hash(bytes, sizeof bytes);
}

struct ox_key hash_prefix(struct ox_key base, const int32_t *rest, size_t n_rest, size_t n) {
    unsigned char bytes[16 + 4 * PAGE_TOKENS + 8];
    key_bytes(bytes, base);
    for (size_t i = 0; i < n_rest; i++)
        put_id(bytes + 16 + 4 * i, rest[i]);
    for (int i = 0; i < 8; i++)
        bytes[16 + 4 * n_rest + (size_t)i] = (unsigned char)((uint64_t)n >> (8 * i));
    return io_hash(bytes, 16 + 4 * n_rest + 8);
}

/* h(0) .. h(n / 256) of a wanted prefix, owned. */
static struct ox_key *hash_pages(states *s, struct ox_prefix want, ox_err *err) {
    size_t n = want.n / PAGE_TOKENS;
    struct ox_key *h = ox_alloc(n + 1, sizeof *h, "prefix hashes", err);
    if (!h) return NULL;
    h[0] = s->compat;
    for (size_t k = 0; k < n; k++)
        h[k + 1] = hash_page(h[k], want.tok + k * PAGE_TOKENS);
    return h;
}

/* ---- ids decide --------------------------------------------------------- */

static bool same_ids(const void *bytes, size_t n_bytes, const int32_t *tok) {
    const unsigned char *p = bytes;
    unsigned char id[4];
    for (size_t i = 0; i < n_bytes / 4; i++) {
        put_id(id, tok[i]);
        if (memcmp(id, p + 4 * i, 4) != 0) return false;
    }
    return true;
}

struct row { /* of snapshot, as far as finding needs it */
    int64_t id, page_id, load_us;
    size_t n;
};

static int compare_pages(states *s, const struct row *row, struct ox_prefix want, bool *same,
                         ox_err *err) {
    size_t expect = row->n / PAGE_TOKENS;
    struct query q = db_query(
        s->db,
        "WITH RECURSIVE up(id, parent, no, ids) AS (SELECT id, parent_id, page_no, ids FROM page "
        "WHERE id = :page UNION ALL SELECT p.id, p.parent_id, p.page_no, p.ids FROM page p JOIN up "
        "ON p.id = up.parent AND p.page_no = up.no - 1) SELECT no, ids FROM up");
    query_i64(&q, ":page", row->page_id);
    while (*same && query_row(&q)) {
        size_t n, no = (size_t)query_col_i64(&q, 0);
        const void *ids = query_col_blob(&q, 1, &n);
        *same = expect > 0 && no == expect - 1 && n == 4 * PAGE_TOKENS &&
                same_ids(ids, n, want.tok + no * PAGE_TOKENS);
        expect--;
    }
    *same = *same && expect == 0;
    return query_end(&q, err);
}

static int compare_ids(states *s, const struct row *row, struct ox_prefix want, bool *same,
                       ox_err *err) {
    *same = row->n <= want.n;
    struct query q = db_query(s->db, "SELECT tail_ids FROM snapshot WHERE id = :id");
    query_i64(&q, ":id", row->id);
    if (*same && query_row(&q)) {
        size_t n, at = row->n / PAGE_TOKENS * PAGE_TOKENS;
        const void *tail = query_col_blob(&q, 0, &n);
        *same = n == 4 * (row->n - at) && same_ids(tail, n, want.tok + at);
    }
    int rc = query_end(&q, err);
    return rc || !*same ? rc : compare_pages(s, row, want, same, err);
}

/* ---- finding ------------------------------------------------------------ */

static struct row read_row(const struct query *q) {
    return (struct row){.id = query_col_i64(q, 0),
                        .page_id = query_col_i64(q, 1),
                        .n = (size_t)query_col_i64(q, 2),
                        .load_us = query_col_i64(q, 3)};
}

/* Step 1: the exact state of the message that the wanted prefix goes on from. */
static int find_own(states *s, struct ox_prefix want, struct row *best, ox_err *err) {
    int rc = 0;
    if (!s->tip.want || !s->tip.db_uid[0]) return 0;
    struct query q = db_query(
        s->db,
        "SELECT s.id, coalesce(s.page_id, 0), s.n_tokens, s.load_us FROM tip t JOIN snapshot s ON "
        "s.id = t.snapshot_id WHERE t.db_uid = :db AND t.message_id = :message AND t.moment = "
        ":moment AND s.space_id = :space AND s.n_tokens <= :n ORDER BY s.n_tokens DESC, s.id DESC");
    query_str(&q, ":db", s->tip.db_uid);
    query_i64(&q, ":message", s->tip.want);
    query_i64(&q, ":moment", s->tip.want_moment);
    query_i64(&q, ":space", s->space_id);
    query_i64(&q, ":n", (int64_t)want.n);
    while (!rc && !best->id && query_row(&q)) {
        struct row row = read_row(&q);
        bool same;
        rc = compare_ids(s, &row, want, &same, err);
        if (!rc && same) *best = row;
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* Records whose full pages hash to `base` and that are at most n tokens long; longest first. */
static int probe(states *s, struct ox_prefix want, struct ox_key base, size_t n, struct row *best,
                 ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        s->db,
        "SELECT id, coalesce(page_id, 0), n_tokens, load_us, prefix_hash FROM snapshot WHERE "
        "space_id = :space AND base_hash = :base AND n_tokens <= :n ORDER BY n_tokens DESC, "
        "used_us DESC");
    query_i64(&q, ":space", s->space_id);
    query_key(&q, ":base", base);
    query_i64(&q, ":n", (int64_t)n);
    while (!rc && !best->id && query_row(&q)) {
        struct row row = read_row(&q);
        struct ox_key found = query_col_key(&q, 4);
        size_t at = row.n / PAGE_TOKENS * PAGE_TOKENS;
        struct ox_key h = hash_prefix(base, want.tok + at, row.n - at, row.n);
        bool same = h.hi == found.hi && h.lo == found.lo;
        if (same) rc = compare_ids(s, &row, want, &same, err);
        if (!rc && same) *best = row;
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* Step 2: any record of the same ids. */
static int find_any(states *s, struct ox_prefix want, struct row *best, ox_err *err) {
    struct ox_key *h = hash_pages(s, want, err);
    if (!h) return OX_ENOMEM;
    int rc = 0;
    for (size_t k = want.n / PAGE_TOKENS + 1; !rc && !best->id && k-- > 0;)
        rc = probe(s, want, h[k], want.n, best, err);
    ox_free(h);
    return rc;
}

int find_below(states *s, struct ox_prefix want, size_t below, int64_t *id, size_t *n,
               ox_err *err) {
    struct row best = {0};
    *id = 0;
    *n = 0;
    if (below < 2) return 0;
    int rc = find_any(s, (struct ox_prefix){want.tok, below - 1}, &best, err);
    *id = best.id;
    *n = best.n;
    return rc;
}

static int sum_bytes(states *s, const struct row *row, uint64_t *bytes, ox_err *err) {
    int64_t sum = 0;
    struct query q = db_query(
        s->db, "WITH RECURSIVE up(id, parent, no, blob) AS (SELECT id, parent_id, page_no, blob_id "
               "FROM page WHERE id = :page UNION ALL SELECT p.id, p.parent_id, p.page_no, "
               "p.blob_id FROM page p JOIN up ON p.id = up.parent AND p.page_no = up.no - 1) "
               "SELECT (SELECT coalesce(sum(b.bytes), 0) FROM up JOIN blob b ON b.id = up.blob) "
               "+ (SELECT sum(b.bytes) FROM snapshot s JOIN blob b ON b.id IN (s.state_blob_id, "
               "s.tail_blob_id) WHERE s.id = :id)");
    query_i64(&q, ":page", row->page_id);
    query_i64(&q, ":id", row->id);
    int rc = query_one(&q, &sum, err);
    *bytes = (uint64_t)sum;
    return rc;
}

static int find_in_tx(states *s, struct ox_prefix want, struct ox_found *out, ox_err *err) {
    struct row best = {0};
    int rc = find_own(s, want, &best, err);
    out->exact = best.id != 0;
    if (!rc && !best.id) rc = find_any(s, want, &best, err);
    if (rc || !best.id) return rc;
    out->id = (uint64_t)best.id;
    out->n = best.n;
    out->load_s = (double)best.load_us / 1e6;
    return sum_bytes(s, &best, &out->bytes, err);
}

int states_find(void *user, struct ox_prefix want, struct ox_found *out, ox_err *err) {
    states *s = user;
    *out = (struct ox_found){0};
    if (!s->db || !s->space_id || !want.n) return 0;
    load_end(s);
    rows_settle(s, NULL);
    int rc = find_in_tx(s, want, out, err);
    if (rc) {
        *out = (struct ox_found){0};
        return states_renew(s, rc) == OX_ENOMEM ? rc : 0; /* anything else is a miss */
    }
    return 0;
}

/* ---- loading ------------------------------------------------------------ */

static int read_blob_row(struct query *q, int col, struct load_blob *out, ox_err *err) {
    size_t n;
    out->id = query_col_i64(q, col);
    if (!out->id) return 0;
    out->hash = query_col_key(q, col + 1);
    out->n = (size_t)query_col_i64(q, col + 2);
    const void *sums = query_col_blob(q, col + 3, &n);
    if (n != 8 * io_n_sums(out->n))
        return ox_err_set(err, OX_EFORMAT, "blob %lld has %zu bytes of sums", (long long)out->id,
                          n);
    out->sums = (unsigned char *)ox_memdup(sums, n, "sums", err);
    return out->sums ? 0 : OX_ENOMEM;
}

static int load_record(states *s, struct load *l, int64_t *page_id, ox_err *err) {
    int rc = OX_ENOTFOUND;
    struct query q = db_query(
        s->db,
        "SELECT s.n_tokens, coalesce(s.page_id, 0), a.id, a.content_hash, a.bytes, a.sums, "
        "coalesce(t.id, 0), t.content_hash, coalesce(t.bytes, 0), t.sums FROM snapshot s JOIN blob "
        "a "
        "ON a.id = s.state_blob_id LEFT JOIN blob t ON t.id = s.tail_blob_id WHERE s.id = :id");
    query_i64(&q, ":id", l->id);
    if (query_row(&q)) {
        l->n_tokens = (size_t)query_col_i64(&q, 0);
        *page_id = query_col_i64(&q, 1);
        rc = read_blob_row(&q, 2, &l->state, err);
        if (!rc) rc = read_blob_row(&q, 6, &l->tail, err);
    }
    int end = query_end(&q, err);
    return rc ? rc : end;
}

struct path { /* of the record being loaded; becomes a chain of states_put.c */
    int32_t *ids;
    struct link *link;
};

static int load_pages(states *s, struct load *l, int64_t page_id, struct path *path, ox_err *err) {
    int rc = 0;
    l->n_pages = l->n_tokens / PAGE_TOKENS;
    l->page = ox_alloc(l->n_pages, sizeof *l->page, "pages to load", err);
    path->ids = ox_alloc(l->n_pages * PAGE_TOKENS, sizeof *path->ids, "ids to load", err);
    path->link = ox_alloc(l->n_pages, sizeof *path->link, "pages to load", err);
    if (!l->page || !path->ids || !path->link) return OX_ENOMEM;
    size_t left = l->n_pages;
    struct query q = db_query(
        s->db,
        "WITH RECURSIVE up(id, parent, no) AS (SELECT id, parent_id, page_no FROM page WHERE id = "
        ":page UNION ALL SELECT p.id, p.parent_id, p.page_no FROM page p JOIN up ON p.id = "
        "up.parent "
        "AND p.page_no = up.no - 1) SELECT p.page_no, p.id, p.ids, p.token_hash, p.chain_hash, "
        "b.id, "
        "b.content_hash, b.bytes, b.sums FROM up JOIN page p ON p.id = up.id JOIN blob b ON b.id = "
        "p.blob_id ORDER BY up.no DESC");
    query_i64(&q, ":page", page_id);
    while (!rc && left && query_row(&q)) {
        size_t n, no = (size_t)query_col_i64(&q, 0);
        if (no != left - 1) break;
        const unsigned char *ids = query_col_blob(&q, 2, &n);
        for (size_t i = 0; i < PAGE_TOKENS && n == 4 * PAGE_TOKENS; i++)
            path->ids[no * PAGE_TOKENS + i] =
                (int32_t)((uint32_t)ids[4 * i] | (uint32_t)ids[4 * i + 1] << 8 |
                          (uint32_t)ids[4 * i + 2] << 16 | (uint32_t)ids[4 * i + 3] << 24);
        path->link[no] = (struct link){.token_hash = query_col_key(&q, 3),
                                       .chain = query_col_key(&q, 4),
                                       .page_id = query_col_i64(&q, 1)};
        rc = read_blob_row(&q, 5, &l->page[no], err);
        left--;
    }
    int end = query_end(&q, rc ? NULL : err);
    if (rc || end) return rc ? rc : end;
    return left ? ox_err_set(err, OX_EFORMAT, "record %lld lacks %zu pages", (long long)l->id, left)
                : 0;
}

static void load_free(struct load *l) {
    for (size_t i = 0; l->page && i < l->n_pages; i++)
        ox_free(l->page[i].sums);
    ox_free(l->page);
    ox_free(l->tail.sums);
    ox_free(l->state.sums);
    *l = (struct load){0};
}

int load_begin(states *s, int64_t id, ox_err *err) {
    struct load l = {.id = id};
    struct path path = {0};
    int64_t page_id = 0;
    if (s->load.id == id) return 0;
    load_end(s);
    int rc = load_record(s, &l, &page_id, err);
    if (!rc) rc = load_pages(s, &l, page_id, &path, err);
    if (rc) {
        load_free(&l);
        ox_free(path.ids);
        ox_free(path.link);
        return rc;
    }
    chain_set(s, path.ids, path.link, l.n_pages);
    s->load = l;
    return 0;
}

/* The record was used: its rank among those to evict, what people are told, and its measured time.
 */
static int note_use(states *s, const struct load *l) {
    int64_t saved = (int64_t)((double)l->n_tokens * s->us_per_token) - l->us;
    int rc = db_begin(s->db, false, NULL);
    if (rc) return rc;
    struct query q =
        db_query(s->db, "UPDATE snapshot SET uses = uses + 1, used_us = :now, load_us = :us "
                        "WHERE id = :id");
    query_i64(&q, ":now", db_now_us());
    query_i64(&q, ":us", l->us);
    query_i64(&q, ":id", l->id);
    rc = query_run(&q, NULL);
    if (!rc) {
        q = db_query(s->db, "UPDATE usage SET uses = uses + 1, saved_us = saved_us + :saved");
        query_i64(&q, ":saved", saved > 0 ? saved : 0);
        rc = query_run(&q, NULL);
    }
    if (!rc && s->tip.chat_uid[0]) {
        q = db_query(s->db,
                     "INSERT INTO member (snapshot_id, session_uid) SELECT id, :uid FROM snapshot "
                     "WHERE id = :id ON CONFLICT DO NOTHING");
        query_i64(&q, ":id", l->id);
        query_str(&q, ":uid", s->tip.chat_uid);
        rc = query_run(&q, NULL);
    }
    return db_end(s->db, rc, NULL);
}

void load_end(states *s) {
    if (s->load.id && s->load.bytes) note_use(s, &s->load);
    load_free(&s->load);
}

/* One log line; everything that refers to the blob goes. */
static int drop_damaged(states *s, int64_t blob_id, const char *what, int rc) {
    states_log(s, "saved state dropped: record %lld, %s", (long long)s->load.id, what);
    load_free(&s->load);
    chains_drop(s);
    if (db_begin(s->db, false, NULL) == 0)
        states_renew(s, db_end(s->db, rows_drop_blob(s, blob_id, NULL), NULL));
    return rc;
}

int states_get(void *user, uint64_t id, enum ox_blob what, size_t page, void *dst, size_t n,
               ox_err *err) {
    states *s = user;
    ox_err why = {0};
    if (!s->db || !s->space_id) return ox_err_set(err, OX_ENOTFOUND, "the state cache is off");
    int64_t from = db_clock_us();
    int rc = load_begin(s, (int64_t)id, &why);
    if (rc == OX_ENOMEM || rc == OX_EBUSY) goto fail;
    if (rc == OX_EDB) rc = states_renew(s, rc);
    if (rc == OX_EFORMAT) { /* the rows themselves are wrong */
        states_log(s, "saved state dropped: %s", why.what);
        if (db_begin(s->db, false, NULL) == 0)
            states_renew(s, db_end(s->db, rows_drop_snapshot(s, (int64_t)id, NULL, NULL), NULL));
    }
    if (rc) goto fail;
    const struct load_blob *b = what == OX_BLOB_STATE  ? &s->load.state
                                : what == OX_BLOB_TAIL ? &s->load.tail
                                : what == OX_BLOB_PAGE && page < s->load.n_pages
                                    ? &s->load.page[page]
                                    : NULL;
    if (!b || !b->id)
        return ox_err_set(err, OX_ENOTFOUND, "record %llu has no such part",
                          (unsigned long long)id);
    if (b->n != n) {
        /* Rows of this space can only hold this size; so the record is wrong, not the question. */
        snprintf(why.what, sizeof why.what, "part of %zu bytes, expected %zu", b->n, n);
        rc = drop_damaged(s, b->id, why.what, OX_EFORMAT);
        goto fail;
    }
    if (what == OX_BLOB_PAGE && page + 2 < s->load.n_pages)
        io_read_ahead(s->io, s->load.page[page + 2].hash, s->load.page[page + 2].n);
    rc = io_read(s->io, b->hash, dst, n, b->sums, &why);
    if (rc == OX_ENOTFOUND || rc == OX_EFORMAT) rc = drop_damaged(s, b->id, why.what, rc);
    if (rc) goto fail;
    s->load.bytes += n;
    s->load.us += db_clock_us() - from;
    return 0;
fail:
    return ox_err_set(err, rc, "%s", why.what);
}

void states_refuse(void *user, uint64_t id, const ox_err *why) {
    states *s = user;
    if (!s->db || !s->space_id) return;
    states_log(s, "saved state dropped: record %llu, %s", (unsigned long long)id, why->what);
    load_free(&s->load);
    chains_drop(s);
    if (db_begin(s->db, false, NULL) == 0)
        states_renew(s, db_end(s->db, rows_drop_snapshot(s, (int64_t)id, NULL, NULL), NULL));
}
