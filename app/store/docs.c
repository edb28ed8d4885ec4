/* docs.c - documents of oxbow.db: stored once by content, read in by slices that leave the screen
 * alive (T5 of docs/STORE.md section 4), found, read by byte and line, deleted. */
#include "app/core/text.h"
#include "app/store/docs.h"
#include "app/store/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/* A slice takes in text for a while and then commits, which writes the index and costs about twice
 * as much again. How long "a while" may be is learned from the slice before: slow disks get smaller
 * ones. */
enum { SLICE_US = 14000, FIRST_US = 2000, LEAST_US = 200, MOST_US = 7000 };
static const int64_t DOC_LOCKS = (int64_t)1
                                 << 40; /* bytes of the lock file behind those of chats */

struct doc_import { /* a text on its way in */
    struct doc_import *next;
    int64_t id, seq;
    int64_t take_us; /* of a slice, before its commit */
    char *text;
    size_t n;
    size_t *pages, n_pages;
    struct chunk_walk walk;
};

/* ---- imports under way -------------------------------------------------- */

static struct doc_import *find_import(store *st, int64_t id) {
    for (struct doc_import *w = st->imports; w; w = w->next)
        if (w->id == id) return w;
    return NULL;
}

static void free_import(struct doc_import *w) {
    if (!w) return;
    ox_free(w->text);
    ox_free(w->pages);
    ox_free(w);
}

static void drop_import(store *st, int64_t id) {
    for (struct doc_import **at = &st->imports; *at; at = &(*at)->next) {
        struct doc_import *w = *at;
        if (w->id != id) continue;
        *at = w->next;
        store_chat_unlock(st, DOC_LOCKS + id);
        free_import(w);
        return;
    }
}

void store_imports_drop(store *st) {
    while (st->imports)
        drop_import(st, st->imports->id);
}

static struct doc_import *new_import(const struct store_doc *d, ox_err *err) {
    struct doc_import *w = ox_alloc(1, sizeof *w, "document import", err);
    if (!w) return NULL;
    w->n = d->n_bytes;
    w->take_us = FIRST_US;
    w->n_pages = d->n_pages;
    w->text = ox_memdup(d->text, d->n_bytes, "document text", err);
    if (w->text && d->n_pages)
        w->pages = (size_t *)ox_memdup(d->pages, d->n_pages * sizeof *d->pages, "page table", err);
    if (w->text && (w->pages || !d->n_pages)) return w;
    free_import(w);
    return NULL;
}

/* ---- adding ------------------------------------------------------------- */

static struct ox_key hash_bytes(const void *p, size_t n) {
    XXH128_hash_t h = XXH3_128bits(p, n);
    return (struct ox_key){h.high64, h.low64};
}

static size_t count_lines(const char *text, size_t n) {
    size_t lines = 0;
    const char *at = text, *end = text + n;
    while (at < end) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        lines++;
        at = nl ? nl + 1 : end;
    }
    return lines;
}

/* A hash finds; only the same bytes are the same document. */
static int is_same_text(store *st, int64_t id, const char *text, size_t n, bool *same,
                        ox_err *err) {
    size_t at = 0;
    *same = true;
    struct query q = db_query(st->db, "SELECT text FROM doc_chunk WHERE doc_id = :id ORDER BY seq");
    query_i64(&q, ":id", id);
    while (*same && query_row(&q)) {
        size_t len;
        const char *part = query_col_text(&q, 0, &len);
        *same = len <= n - at && memcmp(text + at, part, len) == 0;
        at += len;
    }
    *same = *same && at == n;
    return query_end(&q, err);
}

/* 0 in *id: not stored yet. */
static int find_same(store *st, const struct store_doc *d, struct ox_key hash, int64_t *id,
                     ox_err *err) {
    int rc = 0;
    struct query q =
        db_query(st->db, "SELECT id, ready FROM document WHERE content_hash = :hash AND "
                         "n_bytes = :n ORDER BY ready DESC, id");
    query_key(&q, ":hash", hash);
    query_i64(&q, ":n", (int64_t)d->n_bytes);
    *id = 0;
    while (!rc && !*id && query_row(&q)) {
        int64_t row = query_col_i64(&q, 0);
        bool same = find_import(st, row) != NULL;
        if (query_col_i64(&q, 1))
            rc = is_same_text(st, row, d->text, d->n_bytes, &same, err);
        else if (!same)
            rc = ox_err_set(err, OX_EBUSY, "another oxbow is reading in the same document");
        if (!rc && same) *id = row;
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

static int insert_doc(store *st, const struct store_doc *d, struct ox_key hash, int64_t *id,
                      ox_err *err) {
    struct ox_key source = d->source ? hash_bytes(d->source, d->n_source) : hash;
    char uid[17];
    db_new_uid(uid);
    struct query q = db_query(
        st->db,
        "INSERT INTO document (uid, name, source_path, content_hash, source_hash, kind, encoding, "
        "converter, n_bytes, n_lines, n_pages, ready, added_us) VALUES (:uid, :name, :path, "
        ":hash, :source, :kind, :encoding, :converter, :bytes, :lines, :pages, 0, :now)");
    query_str(&q, ":uid", uid);
    query_str(&q, ":name", d->name);
    if (d->source_path) query_blob(&q, ":path", d->source_path, strlen(d->source_path));
    query_key(&q, ":hash", hash);
    query_key(&q, ":source", source);
    query_str(&q, ":kind", d->kind ? d->kind : "text");
    query_str(&q, ":encoding", d->encoding ? d->encoding : "utf-8");
    query_str(&q, ":converter", d->converter ? d->converter : "");
    query_i64(&q, ":bytes", (int64_t)d->n_bytes);
    query_i64(&q, ":lines", (int64_t)count_lines(d->text, d->n_bytes));
    query_i64(&q, ":pages", (int64_t)d->n_pages);
    query_i64(&q, ":now", db_now_us());
    int rc = query_run(&q, err);
    if (!rc) *id = sqlite3_last_insert_rowid(st->db->sq);
    return rc;
}

static int check_text(const struct store_doc *d, ox_err *err) {
    if (text_valid(d->text, d->n_bytes) != d->n_bytes || memchr(d->text, 0, d->n_bytes))
        return ox_err_set(err, OX_EFORMAT, "%s: document text must be UTF-8 without zero bytes",
                          d->name);
    return d->n_bytes ? 0 : ox_err_set(err, OX_EFORMAT, "%s has no text (0 characters)", d->name);
}

int store_doc_add(store *st, const struct store_doc *d, int64_t *id, ox_err *err) {
    struct ox_key hash = hash_bytes(d->text, d->n_bytes);
    struct doc_import *w = NULL;
    int64_t found = 0;
    bool own = false;
    int rc = check_text(d, err);
    if (!rc) rc = find_same(st, d, hash, &found, err);
    if (rc) return ox_err_wrap(err, rc, "add document");
    if (found) {
        *id = found;
        return 0;
    }
    w = new_import(d, err);
    if (!w) return OX_ENOMEM;
    rc = store_step_begin(st, true, &own, err);
    if (rc) goto out;
    store_hold_reserve(st, true); /* a document can be read in again */
    rc = insert_doc(st, d, hash, &w->id, err);
    if (!rc) rc = store_chat_lock(st, DOC_LOCKS + w->id, err);
    rc = store_step_end(st, own, rc, err);
    if (rc) goto out;
    *id = w->id;
    w->next = st->imports;
    st->imports = w;
    w = NULL;
out:
    if (w) store_chat_unlock(st, DOC_LOCKS + w->id);
    free_import(w);
    return rc ? ox_err_wrap(err, rc, "add document") : 0;
}

/* ---- reading in --------------------------------------------------------- */

static int insert_chunk(store *st, struct doc_import *w, const struct chunk *c, ox_err *err) {
    char heading[256];
    size_t n = c->heading_to - c->heading_from;
    n = text_floor(w->text + c->heading_from, n, n < sizeof heading ? n : sizeof heading - 1);
    memcpy(heading, w->text + c->heading_from, n);
    heading[n] = 0;
    struct query q = db_query(
        st->db,
        "INSERT INTO doc_chunk (doc_id, seq, byte_start, byte_end, line_start, page, heading, "
        "text) VALUES (:doc, :seq, :from, :to, :line, :page, :heading, :text)");
    query_i64(&q, ":doc", w->id);
    query_i64(&q, ":seq", w->seq);
    query_i64(&q, ":from", (int64_t)c->from);
    query_i64(&q, ":to", (int64_t)c->to);
    query_i64(&q, ":line", (int64_t)c->line);
    query_i64(&q, ":page", (int64_t)c->page);
    query_str(&q, ":heading", heading);
    query_text(&q, ":text", w->text + c->from, c->to - c->from);
    int rc = query_run(&q, err);
    if (rc) return rc;
    return search_chunk(st->db, sqlite3_last_insert_rowid(st->db->sq), heading, w->text + c->from,
                        c->to - c->from, true, err);
}

static int set_ready(store *st, int64_t id, ox_err *err) {
    struct query q = db_query(st->db, "UPDATE document SET ready = 1 WHERE id = :id");
    query_i64(&q, ":id", id);
    return query_run(&q, err);
}

static int read_slice(store *st, struct doc_import *w, bool *is_last, ox_err *err) {
    int64_t end = db_clock_us() + w->take_us;
    int rc = 0;
    *is_last = false;
    while (!rc && db_clock_us() < end) {
        struct chunk c;
        *is_last = !chunk_next(&w->walk, w->text, w->n, w->pages, w->n_pages, &c);
        if (*is_last) return set_ready(st, w->id, err);
        rc = insert_chunk(st, w, &c, err);
        w->seq++;
    }
    return rc;
}

static int read_ready(store *st, int64_t id, bool *ready, ox_err *err) {
    int64_t is_ready = 0;
    struct query q = db_query(st->db, "SELECT ready FROM document WHERE id = :id");
    query_i64(&q, ":id", id);
    int rc = query_one(&q, &is_ready, err);
    *ready = is_ready != 0;
    return rc == OX_ENOTFOUND ? ox_err_set(err, rc, "no document %lld", (long long)id) : rc;
}

static void adapt_slice(struct doc_import *w, int64_t took_us) {
    w->take_us = took_us > 0 ? w->take_us * SLICE_US / took_us : MOST_US;
    if (w->take_us < LEAST_US) w->take_us = LEAST_US;
    if (w->take_us > MOST_US) w->take_us = MOST_US;
}

int store_doc_step(store *st, int64_t id, bool *ready, size_t *done_bytes, ox_err *err) {
    struct doc_import *w = find_import(st, id);
    *ready = false;
    if (!w) return read_ready(st, id, ready, err);
    struct chunk_walk walk = w->walk; /* to go back to, if the slice is undone */
    int64_t seq = w->seq;
    bool own, is_last = false;
    int rc = store_step_begin(st, true, &own, err);
    if (rc == OX_EBUSY) return 0;
    if (rc) return ox_err_wrap(err, rc, "read in document");
    int64_t from = db_clock_us();
    store_hold_reserve(st, true);
    rc = store_step_end(st, own, read_slice(st, w, &is_last, err), err);
    if (rc) {
        w->walk = walk;
        w->seq = seq;
        return rc == OX_EBUSY ? 0 : ox_err_wrap(err, rc, "read in document");
    }
    adapt_slice(w, db_clock_us() - from);
    if (done_bytes) *done_bytes = w->walk.last.to;
    if (is_last) drop_import(st, id);
    *ready = is_last;
    return 0;
}

/* ---- deleting ----------------------------------------------------------- */

static int delete_rows(store *st, int64_t id, ox_err *err) {
    int rc = 0;
    struct query q = db_query(st->db, "SELECT id, heading, text FROM doc_chunk WHERE doc_id = :id");
    query_i64(&q, ":id", id);
    while (!rc && query_row(&q)) {
        size_t n;
        const char *text = query_col_text(&q, 2, &n);
        rc = search_chunk(st->db, query_col_i64(&q, 0), query_col_text(&q, 1, NULL), text, n, false,
                          err);
    }
    int end = query_end(&q, rc ? NULL : err);
    if (rc || end) return rc ? rc : end;
    q = db_query(st->db, "DELETE FROM document WHERE id = :id");
    query_i64(&q, ":id", id);
    return query_run(&q, err);
}

/* "3f2a, b710" or nothing. */
static int name_users(store *st, int64_t id, struct buf *out, ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        st->db,
        "WITH RECURSIVE down(id) AS (SELECT message_id FROM attachment WHERE doc_id = :id UNION "
        "SELECT m.id FROM message m JOIN down d ON m.parent_id = d.id) SELECT DISTINCT "
        "substr(s.uid, 1, 4) FROM down d JOIN branch b ON b.leaf_id = d.id JOIN session s ON "
        "s.id = b.session_id ORDER BY 1");
    query_i64(&q, ":id", id);
    while (!rc && query_row(&q))
        rc = buf_printf(out, err, "%s%s", out->n ? ", " : "", query_col_text(&q, 0, NULL));
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

int store_doc_delete(store *st, int64_t id, bool force, ox_err *err) {
    struct buf users = {0};
    bool own;
    int rc = name_users(st, id, &users, err);
    if (!rc && users.n && !force) {
        rc = ox_err_set(err, OX_EFAIL, "document is used by session %.200s", buf_str(&users));
        ox_err_fix(err, "--force deletes it; the quotations in the answers stay");
    }
    if (!rc) rc = store_step_begin(st, false, &own, err);
    if (rc) goto out;
    rc = store_step_end(st, own, delete_rows(st, id, err), err);
out:
    buf_deinit(&users);
    return rc ? ox_err_wrap(err, rc, "delete document") : 0;
}

/* Rows that a dead process left half read in. */
int store_docs_recover(store *st, ox_err *err) {
    int64_t id = 0;
    for (;;) {
        struct query q = db_query(
            st->db, "SELECT id FROM document WHERE ready = 0 AND id > :after ORDER BY id LIMIT 1");
        query_i64(&q, ":after", id);
        int rc = query_one(&q, &id, err);
        if (rc) return rc == OX_ENOTFOUND ? 0 : rc;
        if (store_chat_lock(st, DOC_LOCKS + id, NULL)) continue; /* its process lives */
        rc = db_begin(st->db, false, err);
        if (!rc) rc = db_end(st->db, delete_rows(st, id, err), err);
        store_chat_unlock(st, DOC_LOCKS + id);
        if (rc && rc != OX_EIO && rc != OX_EBUSY) return rc;
    }
}
