/* messages_read.c - messages of oxbow.db read back: by path, as a tree, with what an open answer
 * has so far; their tokens and ledgers. */
#include "app/store/inner.h"

#include <string.h>

/* Ids first, then row by row: sorting whole rows would carry every text through the sorter. The
 * depth falls at each step up, so even a damaged file with a loop comes to an end. */
#define IDS_UP                                                                                     \
    " UNION SELECT p.id, p.parent_id, p.depth FROM message p JOIN up ON p.id = up.parent AND "     \
    "p.depth < up.depth) SELECT id FROM up ORDER BY depth, id"

/* An answer that never told what it took has no ledger; its planned prompt only counts for the list
 * of sessions (chats.c). */
#define RUN_PROMPT                                                                                 \
    "CASE WHEN r.prefill_us = 0 AND r.stop IN ('', 'user', 'error') THEN 0 ELSE r.n_prompt END"

static const char SQL_PATH[] =
    "WITH RECURSIVE up(id, parent, depth) AS (SELECT id, parent_id, depth FROM message WHERE id = "
    ":of" IDS_UP;
static const char SQL_TREE[] =
    "WITH RECURSIVE up(id, parent, depth) AS (SELECT m.id, m.parent_id, m.depth FROM branch b JOIN "
    "message m ON m.id = b.leaf_id WHERE b.session_id = :of" IDS_UP;
static const char SQL_ROW[] = "SELECT m.id, coalesce(m.parent_id, 0), m.created_us, m.role, "
                              "m.state, m.text, m.thought, t.ids, "
                              "" RUN_PROMPT ", r.n_reused, r.n_replayed, r.n_out, r.seed, r.exact, "
                              "r.load_us, r.prefill_us, r.decode_us, "
                              "(SELECT count(*) FROM attachment a WHERE a.message_id = m.id), "
                              "coalesce(r.engine, '') FROM "
                              "message m LEFT JOIN message_tokens t "
                              "ON t.message_id = m.id AND t.vocab_id = :vocab LEFT JOIN run r ON "
                              "r.message_id = m.id WHERE m.id = :id";

struct row_reader { /* scratch of one read: rows are borrowed from it for a call */
    int (*each)(void *user, const struct chat_node *row);
    void *user;
    struct chat_node row;
    struct joined open;
    struct ox_tokens tok;
    struct ox_arena names;
    size_t cap_docs;
};

static int read_docs(store *st, struct row_reader *r, size_t n, ox_err *err) {
    struct chat_node *row = &r->row;
    int rc = ox_grow(&row->docs, &r->cap_docs, n, sizeof *row->docs, err);
    if (rc) return rc;
    struct query q = db_query(st->db, "SELECT coalesce(doc_id, 0), byte_start, byte_end, name FROM "
                                      "attachment WHERE message_id = :id ORDER BY ordinal");
    query_i64(&q, ":id", row->id);
    for (row->n_docs = 0; !rc && row->n_docs < n && query_row(&q); row->n_docs++) {
        size_t len;
        const char *name = query_col_text(&q, 3, &len);
        struct chat_doc *d = &row->docs[row->n_docs];
        d->doc = query_col_i64(&q, 0);
        d->from = (uint64_t)query_col_i64(&q, 1);
        d->to = (uint64_t)query_col_i64(&q, 2);
        d->name = ox_arena_strdup(&r->names, name, len, err);
        if (!d->name) rc = OX_ENOMEM;
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* What was written so far stands in for the text and the ids of an open message. */
static int read_open(store *st, struct row_reader *r, ox_err *err) {
    joined_deinit(&r->open);
    int rc = join_parts(st, r->row.id, &r->open, err);
    if (!rc) rc = repair_joined(&r->open, err);
    if (rc) return rc;
    r->row.text = (char *)buf_str(&r->open.text);
    r->row.n_bytes = r->open.text.n;
    r->row.thought = (char *)buf_str(&r->open.thought);
    r->row.n_thought = r->open.thought.n;
    return st->vocab_id ? ids_unpack(r->open.ids.p, r->open.ids.n, &r->tok, err) : 0;
}

static struct chat_ledger read_ledger(const struct query *q, int col, int engine) {
    return (struct chat_ledger){.ran = chat_ran_parse(query_col_text(q, engine, NULL)),
                                .n_in = (size_t)query_col_i64(q, col),
                                .n_reused = (size_t)query_col_i64(q, col + 1),
                                .n_replayed = (size_t)query_col_i64(q, col + 2),
                                .n_out = (size_t)query_col_i64(q, col + 3),
                                .seed = (uint64_t)query_col_i64(q, col + 4),
                                .exact = query_col_i64(q, col + 5) != 0,
                                .load_s = (double)query_col_i64(q, col + 6) / 1e6,
                                .prefill_s = (double)query_col_i64(q, col + 7) / 1e6,
                                .decode_s = (double)query_col_i64(q, col + 8) / 1e6};
}

static int read_row(store *st, struct query *q, struct row_reader *r, ox_err *err) {
    struct chat_node *row = &r->row;
    size_t n_ids;
    row->id = query_col_i64(q, 0);
    row->parent = query_col_i64(q, 1);
    row->created_us = query_col_i64(q, 2);
    int role = chat_role_parse(query_col_text(q, 3, NULL));
    int end = chat_end_parse(query_col_text(q, 4, NULL));
    if (role <= 0 || end < 0)
        return ox_err_set(err, OX_EDB, "message %lld has an unknown role or state",
                          (long long)row->id);
    row->role = (enum ox_role)role;
    row->end = (enum chat_end)end;
    row->text = (char *)query_col_text(q, 5, &row->n_bytes);
    row->thought = (char *)query_col_text(q, 6, &row->n_thought);
    row->ledger = read_ledger(q, 8, 18);
    row->n_docs = 0;
    r->tok.n = 0;
    const void *ids = query_col_blob(q, 7, &n_ids);
    int rc = ids_unpack(ids, n_ids, &r->tok, err);
    if (!rc && row->end == CHAT_OPEN) rc = read_open(st, r, err);
    if (!rc && query_col_i64(q, 17) > 0) rc = read_docs(st, r, (size_t)query_col_i64(q, 17), err);
    row->tok = r->tok.v;
    row->n_tok = r->tok.n;
    return rc;
}

static int read_by_id(store *st, int64_t id, struct row_reader *r, ox_err *err) {
    struct query q = db_query(st->db, SQL_ROW);
    query_i64(&q, ":id", id);
    query_i64(&q, ":vocab", st->vocab_id);
    int rc = query_row(&q) ? read_row(st, &q, r, err) : 0;
    if (!rc && !q.rc && !q.done) rc = r->each(r->user, &r->row);
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

static void reader_deinit(struct row_reader *r) {
    joined_deinit(&r->open);
    ox_free(r->tok.v);
    ox_free(r->row.docs);
    ox_arena_deinit(&r->names);
}

/* While the list of ids is being stepped through, SQLite keeps one state of the file for all reads.
 */
static int read_rows(store *st, const char *sql, int64_t of,
                     int (*each)(void *user, const struct chat_node *row), void *user,
                     ox_err *err) {
    struct row_reader r = {.each = each, .user = user};
    int rc = 0;
    struct query q = db_query(st->db, sql);
    query_i64(&q, ":of", of);
    while (!rc && query_row(&q))
        rc = read_by_id(st, query_col_i64(&q, 0), &r, err);
    int end = query_end(&q, rc ? NULL : err);
    reader_deinit(&r);
    return rc ? rc : end;
}

int store_msg_up(store *st, int64_t from, size_t limit,
                 int (*each)(void *user, const struct chat_node *row), void *user, ox_err *err) {
    struct row_reader r = {.each = each, .user = user};
    int rc = 0;
    for (int64_t id = from; id && limit > 0 && !rc; limit--) {
        r.row.id = 0;
        rc = read_by_id(st, id, &r, err);
        id = r.row.id == id ? r.row.parent : 0;
    }
    reader_deinit(&r);
    return rc;
}

int store_msg_path(store *st, int64_t leaf, int (*each)(void *user, const struct chat_node *row),
                   void *user, ox_err *err) {
    return read_rows(st, SQL_PATH, leaf, each, user, err);
}

int store_msg_tree(store *st, int64_t chat, int (*each)(void *user, const struct chat_node *row),
                   void *user, ox_err *err) {
    return read_rows(st, SQL_TREE, chat, each, user, err);
}

int store_msg_tokens(store *st, int64_t id, struct ox_tokens *out, ox_err *err) {
    size_t n;
    int rc = 0;
    struct query q = db_query(
        st->db, "SELECT ids FROM message_tokens WHERE message_id = :id AND vocab_id = :vocab");
    query_i64(&q, ":id", id);
    query_i64(&q, ":vocab", st->vocab_id);
    bool found = query_row(&q);
    if (found) {
        const void *ids = query_col_blob(&q, 0, &n);
        out->n = 0;
        rc = ids_unpack(ids, n, out, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    if (rc || end) return rc ? rc : end;
    return found ? 0
                 : ox_err_set(err, OX_ENOTFOUND, "message %lld has no tokens of this model",
                              (long long)id);
}

int store_run_get(store *st, int64_t id, int (*each)(void *user, const struct store_ledger *row),
                  void *user, ox_err *err) {
    int rc = OX_ENOTFOUND;
    struct query q = db_query(
        st->db,
        "SELECT " RUN_PROMPT ", r.n_reused, r.n_replayed, r.n_out, r.seed, r.exact, r.load_us, "
        "r.prefill_us, r.decode_us, m.name, r.engine, r.build, r.sampling, r.stop, r.numerics "
        "FROM run r JOIN model m ON m.id = r.model_id WHERE r.message_id = :id");
    query_i64(&q, ":id", id);
    if (query_row(&q)) {
        struct store_ledger row = {.cost = read_ledger(&q, 0, 10),
                                   .model = query_col_text(&q, 9, NULL),
                                   .engine = query_col_text(&q, 10, NULL),
                                   .build = query_col_text(&q, 11, NULL),
                                   .sampling = query_col_text(&q, 12, NULL),
                                   .stop = query_col_text(&q, 13, NULL),
                                   .numerics = (uint64_t)query_col_i64(&q, 14)};
        rc = each(user, &row);
    }
    int end = query_end(&q, err);
    if (rc == OX_ENOTFOUND && !end)
        ox_err_set(err, rc, "message %lld has no ledger", (long long)id);
    return end ? end : rc;
}
