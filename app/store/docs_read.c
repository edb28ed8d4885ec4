/* docs_read.c - reading documents of oxbow.db: rows, text by bytes, lines and pages, tokens. */
#include "app/core/text.h"
#include "app/store/docs.h"
#include "app/store/inner.h"

#include <stdio.h>
#include <string.h>

#define DOC_COLUMNS                                                                                \
    "SELECT d.id, d.uid, d.content_hash, d.name, d.n_bytes, d.n_lines, d.n_pages, d.kind, "        \
    "d.encoding, "                                                                                 \
    "d.converter, d.source_path, d.ready, d.added_us, coalesce((SELECT length(t.ids) / 4 FROM "    \
    "doc_tokens "                                                                                  \
    "t WHERE t.doc_id = d.id AND (:vocab = 0 OR t.vocab_id = :vocab) AND t.byte_start = 0 AND "    \
    "t.byte_end = d.n_bytes), 0)"                                                                  \
    " FROM document d "

static int read_docs(struct query *q, int (*each)(void *user, const struct store_doc *row),
                     void *user, size_t *n_rows, ox_err *err) {
    int rc = 0;
    char path[4097];
    while (!rc && query_row(q)) {
        size_t n;
        const void *bytes = query_col_blob(q, 10, &n);
        snprintf(path, sizeof path, "%.*s", (int)n, n ? (const char *)bytes : "");
        struct store_doc row = {.id = query_col_i64(q, 0),
                                .hash = query_col_key(q, 2),
                                .name = query_col_text(q, 3, NULL),
                                .n_bytes = (size_t)query_col_i64(q, 4),
                                .n_lines = (size_t)query_col_i64(q, 5),
                                .n_pages = (size_t)query_col_i64(q, 6),
                                .kind = query_col_text(q, 7, NULL),
                                .encoding = query_col_text(q, 8, NULL),
                                .converter = query_col_text(q, 9, NULL),
                                .source_path = n ? path : NULL,
                                .ready = query_col_i64(q, 11) != 0,
                                .added_us = query_col_i64(q, 12),
                                .n_tokens = (size_t)query_col_i64(q, 13)};
        snprintf(row.uid, sizeof row.uid, "%s", query_col_text(q, 1, NULL));
        ++*n_rows;
        rc = each(user, &row);
    }
    int end = query_end(q, rc ? NULL : err);
    return rc ? rc : end;
}

int store_doc_get(store *st, int64_t id, int (*each)(void *user, const struct store_doc *row),
                  void *user, ox_err *err) {
    size_t n = 0;
    struct query q = db_query(st->db, DOC_COLUMNS "WHERE d.id = :id");
    query_i64(&q, ":id", id);
    query_i64(&q, ":vocab", st->vocab_id);
    int rc = read_docs(&q, each, user, &n, err);
    return rc || n ? rc : ox_err_set(err, OX_ENOTFOUND, "no document %lld", (long long)id);
}

int store_doc_list(store *st, int (*each)(void *user, const struct store_doc *row), void *user,
                   ox_err *err) {
    size_t n = 0;
    struct query q =
        db_query(st->db, DOC_COLUMNS "WHERE d.ready = 1 ORDER BY d.added_us DESC, d.id DESC");
    query_i64(&q, ":vocab", st->vocab_id);
    return read_docs(&q, each, user, &n, err);
}

int store_doc_find(store *st, const char *name, int64_t *id, ox_err *err) {
    size_t n = strlen(name), found = 0;
    bool is_uid = n >= 4 && n <= 16 && strspn(name, "0123456789abcdef") == n;
    struct query q = db_query(
        st->db,
        "SELECT id FROM document WHERE ready = 1 AND (name = :name OR (:is_uid AND uid >= :name "
        "AND uid < :name || 'g')) ORDER BY added_us DESC LIMIT 2");
    query_str(&q, ":name", name);
    query_i64(&q, ":is_uid", is_uid);
    for (; query_row(&q); found++)
        if (found == 0) *id = query_col_i64(&q, 0);
    int rc = query_end(&q, err);
    if (rc || found == 1) return rc;
    if (found == 0) {
        ox_err_set(err, OX_ENOTFOUND, "no document \"%.80s\"", name);
        ox_err_fix(err, "oxbow docs list names them");
        return OX_ENOTFOUND;
    }
    ox_err_set(err, OX_EUSAGE, "\"%.80s\" names more than one document", name);
    ox_err_fix(err, "give its id, from oxbow docs list");
    return OX_EUSAGE;
}

int store_doc_text(store *st, int64_t id, size_t from, size_t to, char **text, size_t *n,
                   ox_err *err) {
    struct buf out = {0};
    int rc = buf_add(&out, "", 0, err);
    struct query q = db_query(
        st->db,
        "SELECT byte_start, text FROM doc_chunk WHERE doc_id = :id AND (:to = 0 OR byte_start < "
        ":to) AND byte_end > :from ORDER BY seq");
    query_i64(&q, ":id", id);
    query_i64(&q, ":from", (int64_t)from);
    query_i64(&q, ":to", (int64_t)to);
    while (!rc && query_row(&q)) {
        size_t len, start = (size_t)query_col_i64(&q, 0), skip = 0;
        const char *part = query_col_text(&q, 1, &len);
        if (start < from) skip = from - start < len ? from - start : len;
        if (to && start + len > to) len = to > start ? to - start : 0;
        if (len > skip) rc = buf_add(&out, part + skip, len - skip, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    if (!rc) rc = end;
    if (!rc && !out.n) rc = buf_room(&out, 0, err);
    if (rc) {
        buf_deinit(&out);
        return rc;
    }
    *text = buf_take(&out, n);
    if (!*text) *text = ox_strdup("", "empty text", err);
    return *text ? 0 : OX_ENOMEM;
}

/* ---- lines and pages ---------------------------------------------------- */

/* The last chunk that begins in an earlier line holds the line end before the wanted one, so the
 * wanted line begins inside it or right behind it. Chunks that begin inside a long line do not
 * mislead. */
int store_doc_line_at(store *st, int64_t id, size_t line, size_t *byte, ox_err *err) {
    struct query q =
        db_query(st->db, "SELECT byte_start, line_start, text FROM doc_chunk WHERE doc_id = "
                         ":id AND line_start < :line ORDER BY seq DESC LIMIT 1");
    query_i64(&q, ":id", id);
    query_i64(&q, ":line", (int64_t)line);
    *byte = 0;
    if (query_row(&q)) {
        size_t n, at = 0, at_line = (size_t)query_col_i64(&q, 1);
        const char *text = query_col_text(&q, 2, &n);
        for (; at < n && at_line < line; at_line++) {
            const char *nl = memchr(text + at, '\n', n - at);
            at = nl ? (size_t)(nl - text) + 1 : n;
        }
        *byte = (size_t)query_col_i64(&q, 0) + at;
    }
    return query_end(&q, err);
}

int store_doc_byte_at(store *st, int64_t id, size_t byte, size_t *line, size_t *page, ox_err *err) {
    struct query q =
        db_query(st->db, "SELECT byte_start, line_start, page, text FROM doc_chunk WHERE "
                         "doc_id = :id AND byte_start <= :byte ORDER BY seq DESC LIMIT 1");
    query_i64(&q, ":id", id);
    query_i64(&q, ":byte", (int64_t)byte);
    *line = *page = 0;
    if (query_row(&q)) {
        size_t n, upto = byte - (size_t)query_col_i64(&q, 0);
        const char *text = query_col_text(&q, 3, &n);
        *line = (size_t)query_col_i64(&q, 1);
        *page = (size_t)query_col_i64(&q, 2);
        for (size_t i = 0; i < upto && i < n; i++)
            *line += text[i] == '\n';
    }
    return query_end(&q, err);
}

static int count_pages(store *st, int64_t id, size_t *n, size_t *n_bytes, ox_err *err) {
    struct query q = db_query(st->db, "SELECT n_pages, n_bytes FROM document WHERE id = :id");
    query_i64(&q, ":id", id);
    if (query_row(&q)) {
        *n = (size_t)query_col_i64(&q, 0);
        *n_bytes = (size_t)query_col_i64(&q, 1);
    }
    return query_end(&q, err);
}

int store_doc_pages(store *st, int64_t id, size_t **pages, size_t *n, ox_err *err) {
    size_t n_pages = 0, begins = 0, left;
    *pages = NULL;
    *n = 0;
    int rc = count_pages(st, id, &n_pages, &begins, err);
    if (rc || !n_pages) return rc;
    size_t *v = ox_alloc(n_pages, sizeof *v, "page table", err);
    if (!v) return OX_ENOMEM;
    struct query q = db_query(st->db, "SELECT page, min(byte_start) FROM doc_chunk WHERE doc_id = "
                                      ":id AND page > 0 GROUP BY page ORDER BY page DESC");
    query_i64(&q, ":id", id);
    left = n_pages;
    while (left && query_row(&q)) { /* from the last: `begins` is the page behind */
        size_t page = (size_t)query_col_i64(&q, 0);
        while (left > page)
            v[--left] = begins;
        begins = (size_t)query_col_i64(&q, 1);
    }
    while (left)
        v[--left] = begins;
    v[0] = 0;
    rc = query_end(&q, err);
    if (rc) {
        ox_free(v);
        return rc;
    }
    *pages = v;
    *n = n_pages;
    return 0;
}

/* ---- tokens ------------------------------------------------------------- */

int store_doc_tokens_put(store *st, int64_t id, size_t from, size_t to, const int32_t *tok,
                         size_t n, ox_err *err) {
    struct buf ids = {0};
    bool own;
    if (!st->vocab_id || st->db->read_only) return 0;
    int rc = ids_pack(&ids, tok, n, err);
    if (!rc) rc = store_step_begin(st, true, &own, err);
    if (rc) goto out;
    struct query q = db_query(
        st->db,
        "INSERT OR REPLACE INTO doc_tokens (doc_id, vocab_id, byte_start, byte_end, ids) VALUES "
        "(:doc, :vocab, :from, :to, :ids)");
    query_i64(&q, ":doc", id);
    query_i64(&q, ":vocab", st->vocab_id);
    query_i64(&q, ":from", (int64_t)from);
    query_i64(&q, ":to", (int64_t)to);
    query_blob(&q, ":ids", ids.p, ids.n);
    rc = store_step_end(st, own, query_run(&q, err), err);
out:
    buf_deinit(&ids);
    return rc ? ox_err_wrap(err, rc, "keep the document's tokens") : 0;
}

int store_doc_tokens_get(store *st, int64_t id, size_t from, size_t to, struct ox_tokens *out,
                         ox_err *err) {
    int rc = OX_ENOTFOUND;
    struct query q =
        db_query(st->db, "SELECT ids FROM doc_tokens WHERE doc_id = :doc AND vocab_id = "
                         ":vocab AND byte_start = :from AND byte_end = :to");
    query_i64(&q, ":doc", id);
    query_i64(&q, ":vocab", st->vocab_id);
    query_i64(&q, ":from", (int64_t)from);
    query_i64(&q, ":to", (int64_t)to);
    if (query_row(&q)) {
        size_t n;
        const void *ids = query_col_blob(&q, 0, &n);
        out->n = 0;
        rc = ids_unpack(ids, n, out, err);
    }
    int end = query_end(&q, err);
    if (end) return end;
    if (rc != OX_ENOTFOUND) return rc;
    return ox_err_set(err, rc, "document %lld has no tokens of this model", (long long)id);
}
