/* store.c - oxbow.db as a whole: opening, transactions, the model in use, what happens when the
 * disk is full. Conversations are in chats.c and messages.c, documents in docs.c. */
#include "app/core/find.h"
#include "app/core/text.h"
#include "app/store/inner.h"
#include "app/store/migrate.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY_ID = 0x4f58424f, WAL_BYTES = 4 << 20 };

/* ---- shared helpers ----------------------------------------------------- */

int text_repair(struct buf *out, const char *text, size_t n, ox_err *err) {
    int rc = 0;
    for (size_t at = 0; !rc && at < n;) {
        const char *nul = memchr(text + at, 0, n - at);
        size_t upto = nul ? (size_t)(nul - text) : n;
        size_t good = text_valid(text + at, upto - at);
        rc = buf_add(out, text + at, good, err);
        at += good;
        if (rc || at == n) break;
        int32_t cp;
        at += at == upto ? 1 : text_next(text + at, upto - at, &cp);
        rc = buf_puts(out, "\xef\xbf\xbd", err);
    }
    return rc;
}

/* ---- transactions ------------------------------------------------------- */

int store_begin(store *st, ox_err *err) {
    return db_begin(st->db, false, err);
}

int store_end(store *st, int rc, ox_err *err) {
    rc = db_end(st->db, rc, err);
    store_hold_reserve(st, false);
    store_held_committed(st, rc == 0);
    return rc;
}

int store_step_begin(store *st, bool soft, bool *own, ox_err *err) {
    *own = !st->db->in_tx;
    return *own ? db_begin(st->db, soft, err) : 0;
}

int store_step_end(store *st, bool own, int rc, ox_err *err) {
    return own ? store_end(st, rc, err) : rc;
}

/* ---- full disk ---------------------------------------------------------- */

/* PATH.db has PATH.lock and PATH.reserve beside it. */
static int name_beside(const char *db, const char *suffix, char *out, size_t cap) {
    size_t n = strlen(db);
    if (n > 3 && strcmp(db + n - 3, ".db") == 0) n -= 3;
    int len = snprintf(out, cap, "%.*s%s", (int)n, db, suffix);
    return len > 0 && (size_t)len < cap ? 0 : OX_EIO;
}

void store_unlink_beside(const store *st) {
    static const char *const suffixes[] = {".reserve", ".lock"};
    char path[4200];
    for (int i = 0; i < 2; i++)
        if (name_beside(st->db->path, suffixes[i], path, sizeof path) == 0) unlink(path);
}

void store_hold_reserve(store *st, bool held) {
    if (st->reserve) reserve_hold(st->reserve, held);
}

bool store_is_full(const store *st) {
    return st->db->disk_full;
}

bool store_is_tight(const store *st) {
    return st->reserve && reserve_is_spent(st->reserve);
}

bool store_has_room(store *st) {
    return !st->reserve || reserve_lay_in(st->reserve);
}

/* ---- open and close ----------------------------------------------------- */

static int open_locks(store *st, ox_err *err) {
    char path[4200];
    if (st->db->in_memory || st->db->read_only) return 0;
    if (name_beside(st->db->path, ".lock", path, sizeof path))
        return ox_err_set(err, OX_EIO, "the path %s is too long", st->db->path);
    st->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return st->lock_fd < 0 ? ox_err_set(err, OX_EIO, "cannot open %s", path) : 0;
}

/* A name for this database that survives copying its file: states.db points here by it. */
static int read_uid(store *st, ox_err *err) {
    struct query q = db_query(st->db, "SELECT value FROM setting WHERE key = 'db_uid'");
    if (query_row(&q)) snprintf(st->uid, sizeof st->uid, "%s", query_col_text(&q, 0, NULL));
    int rc = query_end(&q, err);
    if (rc || st->uid[0] || st->db->read_only) return rc;
    db_new_uid(st->uid);
    q = db_query(st->db, "INSERT INTO setting VALUES ('db_uid', :uid) ON CONFLICT DO NOTHING");
    query_str(&q, ":uid", st->uid);
    return query_run(&q, err);
}

static void write_note(store *st) {
    if (st->db->network)
        snprintf(st->note, sizeof st->note,
                 "the history lies on a network folder: one oxbow at a time can use it");
    else if (st->db->read_only)
        snprintf(st->note, sizeof st->note,
                 "the history cannot be written here: everything can be read, nothing sent");
}

static int open_reserve(store *st, struct db_opts *how, ox_err *err) {
    char path[4200];
    if (how->read_only || strcmp(how->path, ":memory:") == 0 ||
        name_beside(how->path, ".reserve", path, sizeof path))
        return 0;
    int rc = reserve_new(path, &st->reserve, err);
    if (!rc) how->vfs = reserve_vfs(st->reserve);
    return rc;
}

/* SQL function: has_words(text, words), as filters on the screen see it; lower() knows ASCII only.
 */
static void has_words(sqlite3_context *ctx, int n, sqlite3_value **arg) {
    const char *text = (const char *)sqlite3_value_text(arg[0]);
    const char *words = (const char *)sqlite3_value_text(arg[1]);
    (void)n;
    bool has = text && words && find_words(text, strlen(text), 0, words) != SIZE_MAX;
    sqlite3_result_int(ctx, has);
}

static int add_functions(store *st, ox_err *err) {
    int how = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    int rc = sqlite3_create_function(st->db->sq, "has_words", 2, how, NULL, has_words, NULL, NULL);
    return rc ? ox_err_set(err, OX_ENOMEM, "not enough memory for the history") : 0;
}

int store_open(const char *path, bool read_only, store **out, ox_err *err) {
    struct db_opts how = {.path = path,
                          .what = "history",
                          .application_id = HISTORY_ID,
                          .cache_kib = 16384,
                          .busy_ms = DB_WAIT_MS,
                          .synchronous = 2,
                          .read_only = read_only};
    store *st = ox_alloc(1, sizeof *st, "store", err);
    if (!st) return OX_ENOMEM;
    st->lock_fd = -1;
    int rc = open_reserve(st, &how, err);
    if (!rc) rc = db_open(&how, &st->db, err);
    if (!rc) rc = add_functions(st, err);
    store_hold_reserve(st, true); /* a migration copies the whole file */
    if (!rc) rc = migrate(st->db, migrate_steps, MIGRATE_VERSION, err);
    if (!rc) rc = open_locks(st, err);
    store_hold_reserve(st, false);
    if (!rc) rc = read_uid(st, err);
    if (!rc && !st->db->read_only) rc = store_recover(st, err);
    if (!rc && !st->db->read_only) rc = store_docs_recover(st, err);
    if (rc) {
        store_close(st);
        return ox_err_wrap(err, rc, "open history");
    }
    write_note(st);
    if (!st->db->read_only) store_has_room(st);
    store_has_changed(st);
    *out = st;
    return 0;
}

/* Below 4 MiB of log a checkpoint is not worth the disk's attention. */
int store_idle(store *st, ox_err *err) {
    char wal[4300];
    struct stat sb;
    if (st->db->in_memory || st->db->read_only || st->db->in_tx) return 0;
    snprintf(wal, sizeof wal, "%s-wal", st->db->path);
    if (stat(wal, &sb) || sb.st_size < WAL_BYTES) return 0;
    store_hold_reserve(st, true);
    int rc = sqlite3_wal_checkpoint_v2(st->db->sq, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    store_hold_reserve(st, false);
    return (rc & 0xff) == SQLITE_BUSY || rc == SQLITE_OK ? 0
                                                         : db_error(st->db, rc, "checkpoint", err);
}

void store_close(store *st) {
    if (!st) return;
    if (st->db) store_idle(st, NULL);
    store_imports_drop(st);
    store_hold_reserve(st, true); /* the last checkpoint moves what is safe already */
    db_close(st->db);
    reserve_free(st->reserve);
    if (st->lock_fd >= 0) close(st->lock_fd);
    ox_free(st->locked);
    buf_deinit(&st->held.text);
    buf_deinit(&st->held.thought);
    ox_free(st->held.tok.v);
    ox_free(st);
}

bool store_is_read_only(const store *st) {
    return st->db->read_only;
}

const char *store_note(const store *st) {
    return st->note;
}

const char *store_uid(const store *st) {
    return st->uid;
}

bool store_has_changed(store *st) {
    int64_t now = st->data_version;
    struct query q = db_query(st->db, "PRAGMA data_version");
    if (query_one(&q, &now, NULL)) return false;
    bool changed = now != st->data_version;
    st->data_version = now;
    return changed;
}

/* ---- the model in use --------------------------------------------------- */

static int find_vocab(store *st, const struct store_model *m, int64_t *id, ox_err *err) {
    struct query q = db_query(st->db, "INSERT INTO vocab (hash, name) VALUES (:hash, :name) "
                                      "ON CONFLICT DO NOTHING");
    query_key(&q, ":hash", m->vocab);
    query_str(&q, ":name", m->name);
    int rc = query_run(&q, err);
    if (rc) return rc;
    q = db_query(st->db, "SELECT id FROM vocab WHERE hash = :hash");
    query_key(&q, ":hash", m->vocab);
    return query_one(&q, id, err);
}

static int find_model(store *st, const struct store_model *m, int64_t vocab, int64_t *id,
                      ox_err *err) {
    struct query q = db_query(
        st->db,
        "INSERT INTO model (source, name, location, weights_hash, template_hash, vocab_id, config) "
        "VALUES (:source, :name, :location, :weights, :template, :vocab, :config) "
        "ON CONFLICT (weights_hash, template_hash) DO UPDATE SET source = excluded.source, "
        "name = excluded.name, location = excluded.location, vocab_id = excluded.vocab_id");
    query_str(&q, ":source", m->source);
    query_str(&q, ":name", m->name);
    query_str(&q, ":location", m->location);
    query_key(&q, ":weights", m->weights);
    query_key(&q, ":template", m->template_id);
    if (vocab) query_i64(&q, ":vocab", vocab);
    query_str(&q, ":config", m->config ? m->config : "{}");
    int rc = query_run(&q, err);
    if (rc) return rc;
    q = db_query(st->db, "SELECT id FROM model WHERE weights_hash = :weights AND "
                         "template_hash = :template");
    query_key(&q, ":weights", m->weights);
    query_key(&q, ":template", m->template_id);
    return query_one(&q, id, err);
}

/* In a read-only place the rows of an earlier run are looked up, and not having them is no error.
 */
static int look_up_vocab(store *st, const struct store_model *m, int64_t *vocab, ox_err *err) {
    struct query q = db_query(st->db, "SELECT id FROM vocab WHERE hash = :hash");
    query_key(&q, ":hash", m->vocab);
    int rc = query_one(&q, vocab, err);
    return rc == OX_ENOTFOUND ? 0 : rc;
}

int store_model_use(store *st, const struct store_model *m, ox_err *err) {
    int64_t vocab = 0, model = 0;
    bool own, has_vocab = m->vocab.hi || m->vocab.lo;
    int rc = 0;
    if (st->db->read_only) {
        if (has_vocab) rc = look_up_vocab(st, m, &vocab, err);
    } else {
        rc = store_step_begin(st, false, &own, err);
        if (rc) return rc;
        if (has_vocab) rc = find_vocab(st, m, &vocab, err);
        if (!rc) rc = find_model(st, m, vocab, &model, err);
        rc = store_step_end(st, own, rc, err);
    }
    if (rc) return ox_err_wrap(err, rc, "note the model");
    st->vocab_id = vocab;
    st->model_id = model;
    return 0;
}
