/* search.c - asks the full-text index and cuts snippets.
 *
 * Words of a person become quoted FTS5 terms, so nothing they type is syntax. The index keeps no
 * text: to see which words matched, the text of a hit goes through a one-row FTS5 table in memory
 * with the same tokenizer, whose highlight() marks them; the snippet is then cut here, on the
 * original text. */
#include "app/core/text.h"
#include "app/store/docs.h"
#include "app/store/inner.h"
#include "app/store/search.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_HITS = 50, SNIPPET_BEFORE = 40, SNIPPET_BYTES = 120, PREFIX_BYTES = 2 };

/* ---- query -------------------------------------------------------------- */

static bool has_token(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (isalnum((unsigned char)s[i]) || (unsigned char)s[i] >= 0x80) return true;
    return false;
}

/* One word or phrase as a quoted term; characters of scripts without spaces stand apart in it. */
static int add_term(struct buf *out, const char *s, size_t n, ox_err *err) {
    struct buf spaced = {0};
    if (!has_token(s, n)) return 0;
    int rc = search_space(&spaced, s, n, err);
    if (!rc) rc = buf_puts(out, out->n ? " \"" : "\"", err);
    for (size_t i = 0; !rc && i < spaced.n; i++) {
        if (spaced.p[i] == '"') rc = buf_putc(out, '"', err);
        if (!rc) rc = buf_putc(out, spaced.p[i], err);
    }
    if (!rc) rc = buf_putc(out, '"', err);
    buf_deinit(&spaced);
    return rc;
}

static int write_query(const struct store_search *how, struct buf *out, ox_err *err) {
    const char *p = how->words ? how->words : "";
    int rc = 0;
    if (text_valid(p, strlen(p)) != strlen(p))
        return ox_err_set(err, OX_EUSAGE, "words to search for must be UTF-8 text");
    if (how->is_fts) return buf_puts(out, p, err);
    size_t last = 0; /* bytes of the last word, if it is not finished */
    while (!rc && *p) {
        p += strspn(p, " \t\r\n");
        bool is_phrase = *p == '"' && strchr(p + 1, '"');
        size_t n = is_phrase ? strcspn(++p, "\"") : strcspn(p, " \t\r\n");
        rc = add_term(out, p, n, err);
        p += n + is_phrase;
        last = is_phrase || *p ? 0 : n;
    }
    /* One letter would match everything, at the price of ranking it. */
    if (!rc && how->is_typed && last >= PREFIX_BYTES && out->n) rc = buf_puts(out, "*", err);
    if (!rc && !out->n) {
        ox_err_set(err, OX_EUSAGE, "no word to search for");
        rc = ox_err_fix(err, "letters or digits are found; signs alone are not");
    }
    return rc;
}

/* ---- snippet ------------------------------------------------------------ */

static int mark_matches(store *st, const char *query, const char *text, size_t n,
                        struct buf *marked, ox_err *err) {
    struct buf spaced = {0};
    int rc = search_space(&spaced, text, n, err);
    if (!rc)
        rc = db_exec(st->db,
                     "CREATE VIRTUAL TABLE IF NOT EXISTS temp.hit_fts USING fts5(text, "
                     "tokenize='unicode61 remove_diacritics 2'); DELETE FROM temp.hit_fts",
                     err);
    if (rc) goto out;
    struct query q = db_query(st->db, "INSERT INTO temp.hit_fts (rowid, text) VALUES (1, :text)");
    query_text(&q, ":text", buf_str(&spaced), spaced.n);
    rc = query_run(&q, err);
    if (rc) goto out;
    q = db_query(st->db, "SELECT highlight(hit_fts, 0, char(1), char(2)) FROM temp.hit_fts WHERE "
                         "hit_fts MATCH :query");
    query_str(&q, ":query", query);
    if (query_row(&q)) {
        size_t len;
        const char *p = query_col_text(&q, 0, &len);
        rc = buf_add(marked, p, len, err);
    }
    /* No match here is fine: it was in the heading, or the syntax names a column. */
    query_end(&q, NULL);
out:
    buf_deinit(&spaced);
    return rc;
}

/* Walks marked and original text together: spaces that only the index has are dropped, marks are
 * put into out at their places. *first: byte of the first match in text, and its end. */
static int align_marks(const char *text, size_t n, const struct buf *marked, struct buf *out,
                       size_t *first, size_t *first_end, ox_err *err) {
    size_t at = 0;
    bool found = false;
    int rc = 0;
    *first = *first_end = 0;
    for (size_t i = 0; !rc && i < marked->n; i++) {
        char c = marked->p[i];
        bool is_mark = c == 1 || c == 2;
        if (!is_mark && at < n && c == text[at]) {
            rc = buf_putc(out, c, err);
            at++;
        } else if (is_mark) {
            rc = buf_putc(out, c, err);
            if (!found && c == 1) *first = at;
            if (!found && c == 2) *first_end = at, found = true;
        }
    }
    if (!rc && at < n) rc = buf_add(out, text + at, n - at, err);
    return rc;
}

/* About SNIPPET_BYTES around the first mark, one line, "..." where text was left out. */
static int cut_snippet(const struct buf *aligned, size_t first, struct buf *out, ox_err *err) {
    const char *p = buf_str(aligned);
    size_t from = first > SNIPPET_BEFORE ? text_floor(p, aligned->n, first - SNIPPET_BEFORE) : 0;
    size_t to = from + SNIPPET_BYTES < aligned->n ? text_floor(p, aligned->n, from + SNIPPET_BYTES)
                                                  : aligned->n;
    int rc = from ? buf_puts(out, "...", err) : 0;
    bool is_open = false;
    for (size_t i = from; !rc && i < to; i++) {
        char c = p[i];
        if (c == 1 || c == 2) is_open = c == 1;
        if (c == '\n' || c == '\r' || c == '\t') c = ' ';
        rc = buf_putc(out, c, err);
    }
    if (!rc && is_open) rc = buf_putc(out, 2, err);
    if (!rc && to < aligned->n) rc = buf_puts(out, "...", err);
    return rc;
}

static int make_snippet(store *st, const char *query, const char *text, size_t n, struct buf *out,
                        size_t *first, size_t *first_end, ox_err *err) {
    struct buf marked = {0}, aligned = {0};
    int rc = mark_matches(st, query, text, n, &marked, err);
    if (!rc) rc = align_marks(text, n, &marked, &aligned, first, first_end, err);
    buf_cut(out, 0);
    if (!rc) rc = cut_snippet(&aligned, *first, out, err);
    buf_deinit(&marked);
    buf_deinit(&aligned);
    return rc;
}

/* ---- hits --------------------------------------------------------------- */

struct asked {
    store *st;
    const char *query;
    size_t limit;
    bool is_typed;
    int (*each)(void *user, const struct store_hit *hit);
    void *user;
};

/* The conversation that reaches the message, by way of its nearest branch, and its turn there. */
static int find_chat_of(store *st, struct store_hit *hit, char title[256], ox_err *err) {
    struct query q = db_query(
        st->db,
        "WITH RECURSIVE down(id) AS (SELECT :id UNION SELECT m.id FROM message m JOIN down d ON "
        "m.parent_id = d.id), up(id, parent, role, depth) AS (SELECT id, parent_id, role, depth "
        "FROM "
        "message WHERE id = :id UNION ALL SELECT p.id, p.parent_id, p.role, p.depth FROM message p "
        "JOIN "
        "up ON p.id = up.parent AND p.depth < up.depth) SELECT s.id, s.uid, s.title, (SELECT "
        "sum(role = "
        "'user') FROM up) FROM down d JOIN branch b ON b.leaf_id = d.id JOIN session s ON s.id = "
        "b.session_id LIMIT 1");
    query_i64(&q, ":id", hit->message);
    if (query_row(&q)) {
        hit->chat = query_col_i64(&q, 0);
        snprintf(hit->uid, sizeof hit->uid, "%s", query_col_text(&q, 1, NULL));
        snprintf(title, 256, "%s", query_col_text(&q, 2, NULL));
        hit->turn = (size_t)query_col_i64(&q, 3);
    }
    return query_end(&q, err);
}

#define SQL_CHATS                                                                                  \
    "SELECT m.id, m.text FROM message_fts f JOIN message m ON m.id = f.rowid WHERE message_fts "   \
    "MATCH :query ORDER BY "
#define SQL_DOCS                                                                                   \
    "SELECT c.id, c.text, c.byte_start, c.line_start, c.page, d.id, d.uid, d.name FROM doc_fts f " \
    "JOIN doc_chunk c ON c.id = f.rowid JOIN document d ON d.id = c.doc_id WHERE doc_fts MATCH "   \
    ":query AND d.ready = 1 ORDER BY "

static int search_chats(const struct asked *a, ox_err *err) {
    struct buf snippet = {0};
    char title[256];
    int rc = 0;
    struct query q = db_query(a->st->db, a->is_typed ? SQL_CHATS "f.rowid DESC LIMIT :n"
                                                     : SQL_CHATS "f.rank LIMIT :n");
    query_str(&q, ":query", a->query);
    query_i64(&q, ":n", (int64_t)a->limit);
    while (!rc && query_row(&q)) {
        size_t n;
        const char *text = query_col_text(&q, 1, &n);
        struct store_hit hit = {.message = query_col_i64(&q, 0), .title = title};
        rc = find_chat_of(a->st, &hit, title, err);
        if (rc || !hit.chat) continue;
        rc = make_snippet(a->st, a->query, text, n, &snippet, &hit.from, &hit.to, err);
        hit.snippet = buf_str(&snippet);
        if (!rc) rc = a->each(a->user, &hit);
    }
    int end = query_end(&q, rc ? NULL : err);
    buf_deinit(&snippet);
    return rc ? rc : end;
}

static int search_docs(const struct asked *a, ox_err *err) {
    struct buf snippet = {0};
    int rc = 0;
    struct query q = db_query(a->st->db, a->is_typed ? SQL_DOCS "f.rowid DESC LIMIT :n"
                                                     : SQL_DOCS "f.rank LIMIT :n");
    query_str(&q, ":query", a->query);
    query_i64(&q, ":n", (int64_t)a->limit);
    while (!rc && query_row(&q)) {
        size_t n, start = (size_t)query_col_i64(&q, 2);
        const char *text = query_col_text(&q, 1, &n);
        struct store_hit hit = {.chunk = query_col_i64(&q, 0),
                                .line = (size_t)query_col_i64(&q, 3),
                                .page = (size_t)query_col_i64(&q, 4),
                                .doc = query_col_i64(&q, 5),
                                .title = query_col_text(&q, 7, NULL)};
        snprintf(hit.uid, sizeof hit.uid, "%s", query_col_text(&q, 6, NULL));
        rc = make_snippet(a->st, a->query, text, n, &snippet, &hit.from, &hit.to, err);
        for (size_t i = 0; i < hit.from; i++)
            hit.line += text[i] == '\n';
        hit.from += start;
        hit.to += start;
        hit.snippet = buf_str(&snippet);
        if (!rc) rc = a->each(a->user, &hit);
    }
    int end = query_end(&q, rc ? NULL : err);
    buf_deinit(&snippet);
    return rc ? rc : end;
}

/* A syntax error shows at the first step; asking once before the hits keeps it apart from faults of
 * the database. */
static int check_query(store *st, const char *query, ox_err *err) {
    struct query q =
        db_query(st->db, "SELECT rowid FROM message_fts WHERE message_fts MATCH :query LIMIT 1");
    query_str(&q, ":query", query);
    query_row(&q);
    bool is_syntax = (q.rc & 0xff) == SQLITE_ERROR;
    if (is_syntax) {
        ox_err_set(err, OX_EUSAGE, "%s", sqlite3_errmsg(st->db->sq));
        ox_err_fix(err, "without --fts, words are taken as they are");
    }
    int rc = query_end(&q, is_syntax ? NULL : err);
    return is_syntax ? OX_EUSAGE : rc;
}

int store_search(store *st, const struct store_search *how,
                 int (*each)(void *user, const struct store_hit *hit), void *user, ox_err *err) {
    struct buf query = {0};
    int rc = write_query(how, &query, err);
    if (rc) goto out;
    struct asked a = {
        st, buf_str(&query), how->limit ? how->limit : DEFAULT_HITS, how->is_typed, each, user};
    /* `heading : word` is only syntax for documents. */
    if (how->in != STORE_IN_DOCS) rc = check_query(st, a.query, err);
    if (!rc && how->in != STORE_IN_DOCS) rc = search_chats(&a, err);
    if (!rc && how->in != STORE_IN_CHATS) rc = search_docs(&a, err);
out:
    buf_deinit(&query);
    return rc ? ox_err_wrap(err, rc, "search") : 0;
}

int store_search_doc_chat(store *st, int64_t doc, int64_t *chat, int64_t *message, ox_err *err) {
    struct store_hit hit = {0};
    char title[256];
    struct query q =
        db_query(st->db, "SELECT coalesce(max(message_id), 0) FROM attachment WHERE doc_id = :doc");
    query_i64(&q, ":doc", doc);
    int rc = query_one(&q, &hit.message, err);
    if (!rc && hit.message) rc = find_chat_of(st, &hit, title, err);
    if (!rc && !hit.chat)
        rc = ox_err_set(err, OX_ENOTFOUND, "no session uses document %lld", (long long)doc);
    if (rc) return rc;
    *chat = hit.chat;
    *message = hit.message;
    return 0;
}

/* ---- filling again ------------------------------------------------------ */

static int refill_messages(store *st, ox_err *err) {
    int rc = db_exec(st->db, "INSERT INTO message_fts (message_fts) VALUES ('delete-all')", err);
    struct query q = db_query(st->db, "SELECT id, text FROM message WHERE state <> 'open'");
    while (!rc && query_row(&q)) {
        size_t n;
        const char *text = query_col_text(&q, 1, &n);
        rc = search_message(st->db, query_col_i64(&q, 0), text, n, true, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

static int refill_chunks(store *st, ox_err *err) {
    int rc = db_exec(st->db, "INSERT INTO doc_fts (doc_fts) VALUES ('delete-all')", err);
    struct query q = db_query(st->db, "SELECT id, heading, text FROM doc_chunk");
    while (!rc && query_row(&q)) {
        size_t n;
        const char *text = query_col_text(&q, 2, &n);
        rc = search_chunk(st->db, query_col_i64(&q, 0), query_col_text(&q, 1, NULL), text, n, true,
                          err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

int store_search_refill(store *st, ox_err *err) {
    bool own;
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return ox_err_wrap(err, rc, "fill the search index");
    store_hold_reserve(st, true);
    rc = refill_messages(st, err);
    if (!rc) rc = refill_chunks(st, err);
    rc = store_step_end(st, own, rc, err);
    return rc ? ox_err_wrap(err, rc, "fill the search index") : 0;
}
