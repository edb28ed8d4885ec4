/* salvage.c - copies every readable row of a damaged oxbow.db to a new file.
 *
 * The damaged file is opened read-only by a plain connection, row by row: a scan runs until SQLite
 * meets a bad page, then single rows are asked for by number, so that what lies behind the hole is
 * saved too. What lost its parent in the tree becomes a root; what no branch reaches gets a session
 * of its own. */
#include "app/store/check.h"
#include "app/store/inner.h"
#include "app/store/migrate.h"
#include "app/store/search.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    MOST_MISSES = 20000
}; /* row numbers tried in vain behind a hole before a table is given up */

/* In an order in which references point back; what has no row number is only scanned. */
static const struct table {
    const char *name;
    int n_columns;
    bool has_rowid;
} tables[] = {
    {"vocab", 3, true},         {"model", 8, true},      {"session", 11, true},
    {"message", 10, true},      {"branch", 5, true},     {"message_tokens", 3, true},
    {"run", 16, true},          {"document", 14, true},  {"doc_chunk", 9, true},
    {"doc_tokens", 5, true},    {"attachment", 6, true}, {"citation", 12, true},
    {"job", 7, true},           {"job_part", 7, true},   {"draft", 4, true},
    {"input_history", 4, true}, {"setting", 2, true},    {"stream_part", 6, false},
};

struct salvage {
    sqlite3 *from;
    store *to;
    struct store_salvaged *out;
};

/* Names come from the table above, never from outside. */
static sqlite3_stmt *prepare_insert(struct salvage *v, const struct table *t) {
    char sql[512];
    int n = snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s VALUES (", t->name);
    for (int i = 0; i < t->n_columns; i++)
        n += snprintf(sql + n, sizeof sql - (size_t)n, "%s:c%d", i ? ", " : "", i);
    snprintf(sql + n, sizeof sql - (size_t)n, ")");
    sqlite3_stmt *s = NULL;
    sqlite3_prepare_v2(v->to->db->sq, sql, -1, &s, NULL);
    return s;
}

static void copy_row(struct salvage *v, const struct table *t, sqlite3_stmt *row, int first,
                     sqlite3_stmt *insert) {
    for (int i = 0; i < t->n_columns; i++)
        sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, first + i));
    bool ok =
        sqlite3_step(insert) == SQLITE_DONE; /* a row that breaks a rule is lost, not copied */
    sqlite3_reset(insert);
    ++*(ok ? &v->out->n_rows : &v->out->n_lost);
}

/* From one end as far as it goes. *last: row number reached. True: to the end of the table. */
static bool scan(struct salvage *v, const struct table *t, sqlite3_stmt *insert, int64_t *last) {
    char sql[128];
    sqlite3_stmt *s = NULL;
    snprintf(sql, sizeof sql,
             t->has_rowid ? "SELECT rowid, * FROM %s ORDER BY rowid" : "SELECT 0, * FROM %s",
             t->name);
    int rc = sqlite3_prepare_v2(v->from, sql, -1, &s, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        *last = sqlite3_column_int64(s, 0);
        copy_row(v, t, s, 1, insert);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE;
}

static int64_t highest_row(struct salvage *v, const struct table *t) {
    char sql[128];
    sqlite3_stmt *s = NULL;
    int64_t top = INT64_MAX;
    snprintf(sql, sizeof sql, "SELECT max(rowid) FROM %s", t->name);
    if (sqlite3_prepare_v2(v->from, sql, -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        top = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return top;
}

static void probe(struct salvage *v, const struct table *t, sqlite3_stmt *insert, int64_t after) {
    char sql[128];
    sqlite3_stmt *s = NULL;
    int64_t top = highest_row(v, t);
    snprintf(sql, sizeof sql, "SELECT * FROM %s WHERE rowid = :id", t->name);
    if (sqlite3_prepare_v2(v->from, sql, -1, &s, NULL)) return;
    for (int misses = 0; after < top && misses < MOST_MISSES; misses++) {
        sqlite3_bind_int64(s, 1, ++after);
        int rc = sqlite3_step(s);
        if (rc == SQLITE_ROW) {
            copy_row(v, t, s, 0, insert);
            misses = 0;
        } else if (rc != SQLITE_DONE) {
            v->out->n_lost++;
        }
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
}

static void copy_table(struct salvage *v, const struct table *t) {
    int64_t last = 0;
    sqlite3_stmt *insert = prepare_insert(v, t);
    if (!scan(v, t, insert, &last) && t->has_rowid) probe(v, t, insert, last);
    sqlite3_finalize(insert);
}

/* ---- making whole ------------------------------------------------------- */

static int64_t count_one(store *to, const char *sql) {
    int64_t n = 0;
    struct query q = db_query(to->db, sql);
    query_one(&q, &n, NULL);
    return n;
}

static const char *find_trigger(const char *start) {
    for (int i = 0; schema_v1[i]; i++)
        if (strncmp(schema_v1[i], start, strlen(start)) == 0) return schema_v1[i];
    return NULL;
}

/* Closed messages never change; here the rule is lifted for messages whose parent is lost. A parent
 * is older than its child: cut where it is not, no loop is left. */
static int mend_trees(store *to, ox_err *err) {
    int rc = db_exec(
        to->db,
        "DROP TRIGGER message_closed;"
        "UPDATE message SET parent_id = NULL WHERE parent_id >= id OR parent_id NOT IN (SELECT id "
        "FROM message);"
        "WITH RECURSIVE down(id, root, depth) AS (SELECT id, id, 0 FROM message WHERE parent_id IS "
        "NULL UNION "
        "ALL SELECT m.id, d.root, d.depth + 1 FROM message m JOIN down d ON m.parent_id = d.id) "
        "UPDATE message SET root_id = down.root, depth = down.depth FROM down WHERE down.id = "
        "message.id",
        err);
    return rc ? rc : db_exec(to->db, find_trigger("CREATE TRIGGER message_closed"), err);
}

static int mend_references(store *to, ox_err *err) {
    static const char *const sql[] = {
        "UPDATE session SET settings = '{}' WHERE NOT json_valid(settings)",
        "UPDATE run SET sampling = '{}' WHERE NOT json_valid(sampling)",
        "UPDATE model SET config = '{}' WHERE NOT json_valid(config)",
        "DELETE FROM branch WHERE leaf_id NOT IN (SELECT id FROM message) OR session_id NOT IN "
        "(SELECT id "
        "FROM session)",
        "UPDATE session SET model_id = NULL WHERE model_id NOT IN (SELECT id FROM model)",
        "UPDATE session SET branch_id = (SELECT b.id FROM branch b WHERE b.session_id = session.id "
        "ORDER BY "
        "used_us DESC LIMIT 1) WHERE branch_id IS NULL OR branch_id NOT IN (SELECT id FROM branch "
        "WHERE "
        "session_id = session.id)",
        "UPDATE model SET vocab_id = NULL WHERE vocab_id NOT IN (SELECT id FROM vocab)",
        "DELETE FROM message_tokens WHERE message_id NOT IN (SELECT id FROM message) OR vocab_id "
        "NOT IN "
        "(SELECT id FROM vocab)",
        "DELETE FROM stream_part WHERE message_id NOT IN (SELECT id FROM message)",
        "DELETE FROM run WHERE message_id NOT IN (SELECT id FROM message) OR model_id NOT IN "
        "(SELECT id FROM "
        "model)",
        "DELETE FROM doc_chunk WHERE doc_id NOT IN (SELECT id FROM document)",
        "DELETE FROM doc_tokens WHERE doc_id NOT IN (SELECT id FROM document) OR vocab_id NOT IN "
        "(SELECT id "
        "FROM vocab)",
        "DELETE FROM attachment WHERE message_id NOT IN (SELECT id FROM message)",
        "UPDATE attachment SET doc_id = NULL WHERE doc_id NOT IN (SELECT id FROM document)",
        "DELETE FROM citation WHERE message_id NOT IN (SELECT id FROM message) OR msg_start > "
        "msg_end OR msg_end > (SELECT length(CAST(text AS BLOB)) FROM message WHERE id = "
        "message_id)",
        "UPDATE citation SET doc_id = NULL WHERE doc_id NOT IN (SELECT id FROM document) OR "
        "byte_end > (SELECT n_bytes FROM document WHERE id = doc_id)",
        ("DELETE FROM job WHERE doc_id NOT IN (SELECT id FROM document) "
         "OR model_id NOT IN (SELECT id FROM model)"),
        "UPDATE job SET result_id = NULL WHERE result_id NOT IN (SELECT id FROM message)",
        "DELETE FROM job_part WHERE job_id NOT IN (SELECT id FROM job)",
        ("UPDATE input_history SET session_id = NULL "
         "WHERE session_id NOT IN (SELECT id FROM session)"),
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof sql / sizeof sql[0]; i++)
        rc = db_exec(to->db, sql[i], err);
    return rc;
}

/* Ends of trees that no branch reaches: their branch or session is lost. */
static int adopt_leaves(store *to, ox_err *err) {
    static const char lost[] = "SELECT count(*) FROM message m WHERE NOT EXISTS (SELECT 1 FROM "
                               "message c WHERE c.parent_id = m.id) "
                               "AND NOT EXISTS (SELECT 1 FROM branch b WHERE b.leaf_id = m.id)";
    int64_t chat = 0;
    if (!count_one(to, lost)) return 0;
    int rc = store_chat_new(to, "Recovered", &chat, err);
    if (rc) return rc;
    struct query q = db_query(
        to->db,
        "INSERT INTO branch (session_id, leaf_id, used_us) SELECT :chat, m.id, m.created_us FROM "
        "message m WHERE NOT EXISTS (SELECT 1 FROM message c WHERE c.parent_id = m.id) AND NOT "
        "EXISTS "
        "(SELECT 1 FROM branch b WHERE b.leaf_id = m.id)");
    query_i64(&q, ":chat", chat);
    rc = query_run(&q, err);
    if (rc) return rc;
    q = db_query(
        to->db,
        "UPDATE session SET branch_id = (SELECT max(id) FROM branch WHERE session_id = :chat) "
        "WHERE id = :chat");
    query_i64(&q, ":chat", chat);
    return query_run(&q, err);
}

static int mend(struct salvage *v, ox_err *err) {
    store *to = v->to;
    int rc = db_begin(to->db, false, err);
    if (rc) return rc;
    rc = mend_trees(to, err);
    if (!rc) rc = mend_references(to, err);
    if (!rc) rc = adopt_leaves(to, err);
    return db_end(to->db, rc, err);
}

/* ---- the whole ---------------------------------------------------------- */

static int copy_all(struct salvage *v, ox_err *err) {
    int rc = db_exec(v->to->db, "PRAGMA foreign_keys=OFF", err);
    if (!rc) rc = db_begin(v->to->db, false, err);
    if (rc) return rc;
    /* The new file's own uid gives way to the old one. */
    rc = db_exec(v->to->db, "DELETE FROM setting", err);
    for (size_t i = 0; !rc && i < sizeof tables / sizeof tables[0]; i++)
        copy_table(v, &tables[i]);
    rc = db_end(v->to->db, rc, err);
    if (!rc) rc = mend(v, err);
    if (!rc) rc = store_search_refill(v->to, err);
    return rc ? rc : db_exec(v->to->db, "PRAGMA foreign_keys=ON", err);
}

int store_salvage(const char *path, const char *file, struct store_salvaged *out, ox_err *err) {
    struct salvage v = {.out = out};
    *out = (struct store_salvaged){0};
    if (access(path, R_OK)) return ox_err_set(err, OX_ENOTFOUND, "no history at %s", path);
    if (access(file, F_OK) == 0) return ox_err_set(err, OX_EUSAGE, "%s exists", file);
    int code = db_open_reading(path, &v.from);
    int rc = code ? ox_err_set(err, OX_EDB, "%s cannot be opened at all", path) : 0;
    if (!rc) rc = store_open(file, false, &v.to, err);
    if (!rc) rc = copy_all(&v, err);
    if (!rc && !out->n_rows) rc = ox_err_set(err, OX_EDB, "nothing in %s can be read", path);
    if (v.to) store_unlink_beside(v.to);
    store_close(v.to);
    sqlite3_close(v.from);
    return rc ? ox_err_wrap(err, rc, "salvage") : 0;
}
