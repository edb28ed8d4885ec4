/* check.c - `doctor` for oxbow.db: checks, backup, and overwriting what was deleted. Saving what
 * can be read of a damaged file is in salvage.c. Nothing is repaired in place but the search index,
 * which is made of the text. */
#include "app/store/check.h"
#include "app/store/docs.h"
#include "app/store/inner.h"
#include "app/store/search.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

struct checking {
    store *st;
    int (*each)(void *user, const struct store_finding *f);
    void *user;
    bool is_bad;
};

static int report(struct checking *c, enum store_verdict verdict, const char *name,
                  const char *text, const char *fix) {
    if (verdict == STORE_BAD) c->is_bad = true;
    return c->each(c->user,
                   &(struct store_finding){verdict, name, text, verdict == STORE_OK ? "" : fix});
}

static const char FIX_BAD[] =
    "oxbow doctor --salvage FILE saves what can be read; or put a backup back";

/* ---- what SQLite checks ------------------------------------------------- */

static int check_integrity(struct checking *c, ox_err *err) {
    char text[200] = "every page is in order";
    bool ok = true;
    struct query q = db_query(c->st->db, "PRAGMA integrity_check(1)");
    if (query_row(&q)) {
        const char *found = query_col_text(&q, 0, NULL);
        ok = strcmp(found, "ok") == 0;
        if (!ok) snprintf(text, sizeof text, "%.180s", found);
    }
    int rc = query_end(&q, err);
    if (rc && rc != OX_EDB) return rc; /* nothing is known about the pages */
    if (rc) ok = false, snprintf(text, sizeof text, "%.180s", err ? err->what : "");
    return report(c, ok ? STORE_OK : STORE_BAD, "pages", text, FIX_BAD);
}

static int check_references(struct checking *c, ox_err *err) {
    char text[128];
    size_t n = 0;
    struct query q = db_query(c->st->db, "PRAGMA foreign_key_check");
    while (query_row(&q))
        n++;
    int rc = query_end(&q, err);
    if (rc) return rc;
    snprintf(text, sizeof text,
             n ? "%zu rows refer to rows that are not there" : "every reference has its row", n);
    return report(c, n ? STORE_BAD : STORE_OK, "references", text, FIX_BAD);
}

/* ---- what only we know -------------------------------------------------- */

/* Each counts rows that break a rule. */
static const struct rule {
    const char *name, *ok, *bad, *sql;
    enum store_verdict verdict;
} rules[] = {
    {"trees", "no loop, depths and roots agree", "messages with a wrong depth, root or parent",
     "SELECT count(*) FROM message m LEFT JOIN message p ON p.id = m.parent_id WHERE CASE WHEN "
     "m.parent_id "
     "IS NULL THEN m.depth <> 0 OR m.root_id <> m.id ELSE p.id IS NULL OR m.depth <> p.depth + 1 "
     "OR "
     "m.root_id <> p.root_id END",
     STORE_BAD},
    {"branches", "each session shows a branch of its own", "sessions that show a branch of another",
     "SELECT count(*) FROM session s JOIN branch b ON b.id = s.branch_id WHERE b.session_id <> "
     "s.id",
     STORE_BAD},
    {"reach", "every message is on a branch", "messages that no branch reaches",
     "WITH RECURSIVE up(id, parent) AS (SELECT m.id, m.parent_id FROM branch b JOIN message m ON "
     "m.id = "
     "b.leaf_id UNION SELECT p.id, p.parent_id FROM message p JOIN up ON p.id = up.parent) SELECT "
     "count(*) "
     "FROM message WHERE id NOT IN (SELECT id FROM up)",
     STORE_WARN},
    {"citations", "each lies inside its document and message",
     "citations outside their document or message",
     "SELECT count(*) FROM citation c JOIN message m ON m.id = c.message_id LEFT JOIN document d "
     "ON d.id = "
     "c.doc_id WHERE c.msg_end > length(CAST(m.text AS BLOB)) OR c.msg_start > c.msg_end OR (d.id "
     "IS NOT "
     "NULL AND c.byte_end > d.n_bytes)",
     STORE_BAD},
    {"attachments", "each lies inside its document", "attachments outside their document",
     "SELECT count(*) FROM attachment a JOIN document d ON d.id = a.doc_id WHERE a.byte_start > "
     "a.byte_end "
     "OR a.byte_end > d.n_bytes",
     STORE_BAD},
    {"chunks", "documents join without gaps", "chunks with a gap, an overlap or a wrong length",
     "SELECT count(*) FROM (SELECT c.byte_start - lag(c.byte_end, 1, 0) OVER w <> 0 OR c.byte_end "
     "- "
     "c.byte_start <> length(CAST(c.text AS BLOB)) OR (lead(c.seq) OVER w IS NULL AND c.byte_end "
     "<> "
     "d.n_bytes) AS wrong FROM doc_chunk c JOIN document d ON d.id = c.doc_id AND d.ready = 1 "
     "WINDOW w AS "
     "(PARTITION BY c.doc_id ORDER BY c.seq)) WHERE wrong",
     STORE_BAD},
    {"settings", "JSON where JSON must be", "rows whose JSON cannot be read",
     "SELECT (SELECT count(*) FROM session WHERE NOT json_valid(settings)) + (SELECT count(*) FROM "
     "run WHERE "
     "NOT json_valid(sampling)) + (SELECT count(*) FROM model WHERE NOT json_valid(config))",
     STORE_BAD},
    {"streams", "no remains of closed answers", "parts of answers that are closed",
     "SELECT count(*) FROM stream_part p JOIN message m ON m.id = p.message_id WHERE m.state <> "
     "'open'",
     STORE_BAD},
};

static int check_rules(struct checking *c, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof rules / sizeof rules[0]; i++) {
        char text[160];
        int64_t n = 0;
        struct query q = db_query(c->st->db, rules[i].sql);
        rc = query_one(&q, &n, err);
        if (rc) break;
        if (n)
            snprintf(text, sizeof text, "%lld %s", (long long)n, rules[i].bad);
        else
            snprintf(text, sizeof text, "%s", rules[i].ok);
        rc = report(c, n ? rules[i].verdict : STORE_OK, rules[i].name, text, FIX_BAD);
    }
    return rc;
}

static int check_hash(struct checking *c, int64_t id, struct ox_key want, size_t *n_bad,
                      ox_err *err) {
    char *text = NULL;
    size_t n = 0;
    int rc = store_doc_text(c->st, id, 0, 0, &text, &n, err);
    if (rc) return rc;
    XXH128_hash_t h = XXH3_128bits(text, n);
    *n_bad += h.high64 != want.hi || h.low64 != want.lo;
    ox_free(text);
    return 0;
}

static int check_hashes(struct checking *c, ox_err *err) {
    char text[128];
    size_t n_bad = 0, n = 0;
    int rc = 0;
    struct query q = db_query(c->st->db, "SELECT id, content_hash FROM document WHERE ready = 1");
    for (; !rc && query_row(&q); n++)
        rc = check_hash(c, query_col_i64(&q, 0), query_col_key(&q, 1), &n_bad, err);
    int end = query_end(&q, rc ? NULL : err);
    if (rc || end) return rc ? rc : end;
    snprintf(text, sizeof text, "%zu document%s, %zu differ from what was added", n,
             n == 1 ? "" : "s", n_bad);
    return report(c, n_bad ? STORE_BAD : STORE_OK, "documents", text, FIX_BAD);
}

/* The index keeps no text to compare with: its own check, and as many rows as there are texts. */
static bool is_index_whole(store *st) {
    int64_t off = 0;
    if (!st->db->read_only &&
        (db_exec(st->db, "INSERT INTO message_fts (message_fts) VALUES ('integrity-check')",
                 NULL) ||
         db_exec(st->db, "INSERT INTO doc_fts (doc_fts) VALUES ('integrity-check')", NULL)))
        return false;
    struct query q = db_query(
        st->db,
        "SELECT abs((SELECT count(*) FROM message WHERE state <> 'open') - (SELECT count(*) FROM "
        "message_fts_docsize)) + abs((SELECT count(*) FROM doc_chunk) - (SELECT count(*) FROM "
        "doc_fts_docsize))");
    return query_one(&q, &off, NULL) == 0 && off == 0;
}

static int check_index(struct checking *c, ox_err *err) {
    static const char name[] = "search index";
    if (is_index_whole(c->st)) return report(c, STORE_OK, name, "agrees with the text", "");
    if (c->st->db->read_only || c->is_bad)
        return report(
            c, STORE_WARN, name, "does not agree with the text",
            "oxbow doctor --db-only fills it again once the history is whole and can be written");
    int rc = store_search_refill(c->st, err);
    if (rc) return rc;
    return report(c, STORE_WARN, name, "did not agree with the text",
                  "done: it was filled again from the text");
}

static int check_open(struct checking *c, ox_err *err) {
    char text[128];
    int64_t n = 0;
    struct query q = db_query(c->st->db, "SELECT count(*) FROM message WHERE state = 'open'");
    int rc = query_one(&q, &n, err);
    if (rc) return rc;
    snprintf(text, sizeof text, n ? "%lld being written by another oxbow" : "no answer is open",
             (long long)n);
    return report(c, STORE_OK, "answers", text, "");
}

/* ---- files -------------------------------------------------------------- */

static int check_modes(struct checking *c) {
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[4300], text[200];
    const struct db *db = c->st->db;
    if (db->in_memory) return 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        struct stat st;
        snprintf(path, sizeof path, "%s%s", db->path, suffixes[i]);
        if (stat(path, &st) || !(st.st_mode & 077)) continue;
        snprintf(text, sizeof text, "the database file%s has mode %03o: others can read it",
                 suffixes[i], (unsigned)st.st_mode & 0777);
        return report(c, STORE_WARN, "private", text, "chmod 600 the file");
    }
    return report(c, STORE_OK, "private", "only you can read it", "");
}

int store_check(store *st, int (*each)(void *user, const struct store_finding *f), void *user,
                ox_err *err) {
    struct checking c = {st, each, user, false};
    ox_err why = {0};
    int rc = check_integrity(&c, &why);
    if (!rc) rc = check_references(&c, &why);
    if (!rc) rc = check_rules(&c, &why);
    if (!rc) rc = check_hashes(&c, &why);
    if (!rc) rc = check_index(&c, &why);
    if (!rc) rc = check_open(&c, &why);
    if (!rc) rc = check_modes(&c);
    if (rc == OX_EDB) { /* a check that could not be finished */
        rc = report(&c, STORE_BAD, "reading", why.what, FIX_BAD);
        if (!rc) rc = OX_EDB;
    }
    if (rc && rc != OX_EDB && err && why.code) *err = why;
    if (rc && rc != OX_EDB) return ox_err_wrap(err, rc, "check history");
    if (!c.is_bad) return 0;
    ox_err_set(err, OX_EDB, "the history is damaged");
    ox_err_fix(err, "%s", FIX_BAD);
    return OX_EDB;
}

/* ---- backup ------------------------------------------------------------- */

static int sync_path(const char *path, ox_err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd)
                 ? ox_err_set(err, OX_EIO, "cannot sync %s: %s", path, strerror(errno))
                 : 0;
    if (fd >= 0) close(fd);
    return rc;
}

/* The copy is opened by a connection of its own, as it would be when it is needed. */
static int check_copy(const char *path, ox_err *err) {
    sqlite3 *sq = NULL;
    sqlite3_stmt *s = NULL;
    bool ok = db_open_reading(path, &sq) == SQLITE_OK &&
              sqlite3_prepare_v2(sq, "PRAGMA integrity_check(1)", -1, &s, NULL) == SQLITE_OK &&
              sqlite3_step(s) == SQLITE_ROW &&
              strcmp((const char *)sqlite3_column_text(s, 0), "ok") == 0;
    sqlite3_finalize(s);
    sqlite3_close(sq);
    return ok ? 0 : ox_err_set(err, OX_EDB, "the copy is damaged, so is the history");
}

static int write_copy(store *st, const char *part, ox_err *err) {
    int rc = db_touch_private(part, err);
    if (rc) return rc;
    struct query q = db_query(st->db, "VACUUM INTO :file");
    query_str(&q, ":file", part);
    rc = query_run(&q, err);
    if (!rc) rc = check_copy(part, err);
    return rc ? rc : sync_path(part, err);
}

/* By whatever name: whoever has it open would write on into a file without a name. */
static bool is_history(const store *st, const char *file) {
    struct stat db, to;
    return stat(st->db->path, &db) == 0 && stat(file, &to) == 0 && db.st_dev == to.st_dev &&
           db.st_ino == to.st_ino;
}

int store_backup(store *st, const char *file, bool force, ox_err *err) {
    char part[4300], folder[4300];
    if (is_history(st, file)) {
        ox_err_set(err, OX_EUSAGE, "%s is the history itself", file);
        return ox_err_fix(err, "name another file");
    }
    if (!force && access(file, F_OK) == 0) {
        ox_err_set(err, OX_EUSAGE, "%s exists", file);
        ox_err_fix(err, "--force replaces it");
        return OX_EUSAGE;
    }
    snprintf(part, sizeof part, "%s.part-%ld", file, (long)getpid());
    unlink(part);
    int rc = write_copy(st, part, err);
    if (!rc && rename(part, file))
        rc = ox_err_set(err, OX_EIO, "cannot rename %s: %s", part, strerror(errno));
    if (rc) {
        unlink(part);
        return ox_err_wrap(err, rc, "backup");
    }
    const char *slash = strrchr(file, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - file + 1) : 1,
             slash ? file : ".");
    sync_path(folder, NULL);
    return 0;
}

/* ---- deleting for good -------------------------------------------------- */

int store_scrub(store *st, bool purge, ox_err *err) {
    int rc =
        db_exec(st->db,
                "INSERT INTO message_fts (message_fts) VALUES ('optimize'); INSERT INTO doc_fts "
                "(doc_fts) VALUES ('optimize')",
                err);
    if (!rc && purge) rc = db_exec(st->db, "VACUUM", err);
    if (rc || st->db->in_memory) return rc ? ox_err_wrap(err, rc, "overwrite deleted text") : 0;
    int code = sqlite3_wal_checkpoint_v2(st->db->sq, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY
               ? 0
               : db_error(st->db, code, "checkpoint", err);
}
