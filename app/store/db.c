/* db.c - connections to SQLite: opening with fixed pragmas, prepared statements, transactions,
 * errors.
 *
 * Everything that docs/STORE.md section 3 says about both databases stands here once. A file is
 * made by us with mode 0600 before SQLite sees it, and SQLite gives its -wal and -shm the mode of
 * the main file: so no window is open in which another user could read, and no process-wide umask
 * is needed. */
#include "app/store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* ---- files and time ----------------------------------------------------- */

static int64_t read_clock(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t db_now_us(void) {
    return read_clock(CLOCK_REALTIME);
}

int64_t db_clock_us(void) {
    return read_clock(CLOCK_MONOTONIC);
}

void db_new_uid(char uid[17]) {
    unsigned char raw[8];
    sqlite3_randomness(sizeof raw, raw);
    for (int i = 0; i < 8; i++)
        snprintf(uid + 2 * i, 3, "%02x", raw[i]);
}

int db_make_folder(const char *path_of_file, ox_err *err) {
    char *path = ox_strdup(path_of_file, "path", err);
    if (!path) return OX_ENOMEM;
    int rc = 0;
    for (char *p = path + 1; !rc && *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        if (mkdir(path, 0700) && errno != EEXIST && errno != EISDIR)
            rc = ox_err_set(err, OX_EIO, "cannot make the folder %s: %s", path, strerror(errno));
        *p = '/';
    }
    ox_free(path);
    return rc;
}

/* Magic numbers of statfs(2), f_type: NFS, SMB, CIFS, SMB2, AFS, Ceph, 9P, Coda. Local FUSE file
 * systems share memory between processes of one machine, which is all that WAL asks for. */
bool db_is_network(const char *path) {
    static const unsigned long kinds[] = {0x6969,     0x517b,     0xff534d42, 0xfe534d42,
                                          0x5346414f, 0x00c36400, 0x01021997, 0x73757245};
    struct statfs fs;
    if (statfs(path, &fs)) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (((unsigned long)fs.f_type & 0xffffffffUL) == kinds[i]) return true;
    return false;
}

int db_touch_private(const char *path, ox_err *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return ox_err_set(err, OX_EIO, "cannot open %s for writing: %s", path, strerror(errno));
    close(fd);
    return 0;
}

/* ---- ids as bytes ------------------------------------------------------- */

int ids_pack(struct buf *out, const int32_t *tok, size_t n, ox_err *err) {
    int rc = buf_room(out, 4 * n, err);
    if (rc) return rc;
    unsigned char *p = (unsigned char *)out->p + out->n;
    for (size_t i = 0; i < n; i++, p += 4) {
        uint32_t v = (uint32_t)tok[i];
        p[0] = (unsigned char)v;
        p[1] = (unsigned char)(v >> 8);
        p[2] = (unsigned char)(v >> 16);
        p[3] = (unsigned char)(v >> 24);
    }
    buf_grown(out, 4 * n);
    return 0;
}

int ids_unpack(const void *bytes, size_t n_bytes, struct ox_tokens *out, ox_err *err) {
    const unsigned char *p = bytes;
    size_t n = n_bytes / 4;
    int rc = ox_grow(&out->v, &out->cap, out->n + n, sizeof *out->v, err);
    if (rc) return rc;
    for (size_t i = 0; i < n; i++, p += 4)
        out->v[out->n + i] = (int32_t)((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                                       (uint32_t)p[3] << 24);
    out->n += n;
    return 0;
}

/* ---- errors ------------------------------------------------------------- */

static bool is_space(struct db *db, int sqlite_rc) {
    if ((sqlite_rc & 0xff) == SQLITE_FULL) return true;
    int sys = sqlite3_system_errno(db->sq);
    return (sqlite_rc & 0xff) == SQLITE_IOERR && (sys == ENOSPC || sys == EDQUOT);
}

int db_error(struct db *db, int sqlite_rc, const char *doing, ox_err *err) {
    const char *path = db->path ? db->path : "";
    switch (sqlite_rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return 0;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        ox_err_set(err, OX_EBUSY, "another oxbow is writing to the %s (%s)", db->what, path);
        ox_err_fix(err, "wait for it to finish, or close it");
        return OX_EBUSY;
    case SQLITE_NOMEM: return ox_err_set(err, OX_ENOMEM, "not enough memory for the %s", db->what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        ox_err_set(err, OX_EDB, "the %s is damaged: %s (%s)", db->what, path,
                   sqlite3_errmsg(db->sq));
        ox_err_fix(
            err, "oxbow doctor --db-only; then oxbow doctor --salvage FILE, or put a backup back");
        return OX_EDB;
    case SQLITE_READONLY:
        ox_err_set(err, OX_EIO, "%s cannot be written: it is open read-only", path);
        ox_err_fix(err, "make the folder writable, or use --db FILE");
        return OX_EIO;
    }
    if (is_space(db, sqlite_rc)) {
        db->disk_full = true;
        ox_err_set(err, OX_EIO, "disk full at %s", path);
        ox_err_fix(err, "free some space; what is not saved is kept in memory and tried again");
        return OX_EIO;
    }
    if ((sqlite_rc & 0xff) == SQLITE_IOERR || (sqlite_rc & 0xff) == SQLITE_CANTOPEN) {
        int sys = sqlite3_system_errno(db->sq);
        const char *why = sys ? strerror(sys) : "i/o error";
        if (strcmp(doing, "open") == 0)
            ox_err_set(err, OX_EIO, "cannot open the %s %s: %s", db->what, path, why);
        else
            ox_err_set(err, OX_EIO, "%s: %s at %s", doing, why, path);
        return ox_err_fix(err, "check the folder and who may write there, or use --db FILE");
    }
    return ox_err_set(err, OX_EFAIL, "%s: %s (sqlite %d)", doing, sqlite3_errmsg(db->sq),
                      sqlite_rc);
}

/* ---- statements --------------------------------------------------------- */

static int find_statement(struct db *db, const char *sql) {
    for (int i = 0; i < db->n_cached; i++)
        if (db->cached[i].sql == sql && !db->cached[i].busy) return i;
    return -1;
}

struct query db_query(struct db *db, const char *sql) {
    struct query q = {.db = db, .slot = find_statement(db, sql)};
    if (q.slot < 0) {
        q.rc = sqlite3_prepare_v3(db->sq, sql, -1, SQLITE_PREPARE_PERSISTENT, &q.s, NULL);
        if (q.rc) return q;
        /* A second use while the first is stepping gets a slot of its own, and both stay. */
        if (db->n_cached < DB_STATEMENTS) {
            q.slot = db->n_cached++;
            db->cached[q.slot].sql = sql;
            db->cached[q.slot].s = q.s;
        }
    }
    if (q.slot >= 0) {
        db->cached[q.slot].busy = true;
        q.s = db->cached[q.slot].s;
    }
    return q;
}

/* An unknown name is a typing error in our SQL, not something a user can cause. */
static int find_param(struct query *q, const char *name) {
    int at = q->rc ? 0 : sqlite3_bind_parameter_index(q->s, name);
    if (!q->rc && !at) q->rc = SQLITE_RANGE;
    return at;
}

void query_i64(struct query *q, const char *name, int64_t v) {
    int at = find_param(q, name);
    if (at) q->rc = sqlite3_bind_int64(q->s, at, v);
}

void query_text(struct query *q, const char *name, const char *v, size_t n) {
    int at = find_param(q, name);
    if (at) q->rc = sqlite3_bind_text64(q->s, at, v, n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

void query_str(struct query *q, const char *name, const char *v) {
    query_text(q, name, v, v ? strlen(v) : 0);
}

void query_blob(struct query *q, const char *name, const void *v, size_t n) {
    int at = find_param(q, name);
    if (!at) return;
    q->rc = n ? sqlite3_bind_blob64(q->s, at, v, n, SQLITE_TRANSIENT)
              : sqlite3_bind_zeroblob(q->s, at, 0);
}

void query_key(struct query *q, const char *name, struct ox_key key) {
    unsigned char raw[16];
    for (int i = 0; i < 8; i++) {
        raw[i] = (unsigned char)(key.hi >> (56 - 8 * i));
        raw[8 + i] = (unsigned char)(key.lo >> (56 - 8 * i));
    }
    query_blob(q, name, raw, sizeof raw);
}

bool query_row(struct query *q) {
    if (q->rc || q->done) return false;
    int rc = sqlite3_step(q->s);
    if (rc == SQLITE_ROW) return true;
    q->done = true;
    if (rc != SQLITE_DONE) q->rc = rc;
    return false;
}

int64_t query_col_i64(const struct query *q, int col) {
    return sqlite3_column_int64(q->s, col);
}

const char *query_col_text(const struct query *q, int col, size_t *n) {
    const char *v = (const char *)sqlite3_column_text(q->s, col);
    if (n) *n = v ? (size_t)sqlite3_column_bytes(q->s, col) : 0;
    return v ? v : "";
}

const void *query_col_blob(const struct query *q, int col, size_t *n) {
    const void *v = sqlite3_column_blob(q->s, col);
    *n = v ? (size_t)sqlite3_column_bytes(q->s, col) : 0;
    return v;
}

struct ox_key query_col_key(const struct query *q, int col) {
    size_t n;
    const unsigned char *raw = query_col_blob(q, col, &n);
    struct ox_key key = {0, 0};
    for (size_t i = 0; n == 16 && i < 8; i++) {
        key.hi = key.hi << 8 | raw[i];
        key.lo = key.lo << 8 | raw[8 + i];
    }
    return key;
}

int query_end(struct query *q, ox_err *err) {
    int rc = q->rc ? db_error(q->db, q->rc, "read or write the database", err) : 0;
    if (q->slot >= 0) {
        sqlite3_reset(q->s);
        sqlite3_clear_bindings(q->s);
        q->db->cached[q->slot].busy = false;
    } else {
        sqlite3_finalize(q->s);
    }
    q->s = NULL;
    q->slot = -1;
    return rc;
}

int query_run(struct query *q, ox_err *err) {
    while (query_row(q)) {
    }
    return query_end(q, err);
}

int query_one(struct query *q, int64_t *v, ox_err *err) {
    bool found = query_row(q);
    if (found) *v = query_col_i64(q, 0);
    int rc = query_end(q, err);
    return rc || found ? rc : OX_ENOTFOUND;
}

int db_exec(struct db *db, const char *sql, ox_err *err) {
    int rc = sqlite3_exec(db->sq, sql, NULL, NULL, NULL);
    return rc ? db_error(db, rc, sql, err) : 0;
}

/* ---- transactions ------------------------------------------------------- */

/* Cannot be changed inside a transaction, and must not be prepared ahead: the pragma acts on
 * preparing. */
static int set_synchronous(struct db *db, int level, ox_err *err) {
    static const char *const sql[] = {"PRAGMA synchronous=OFF", "PRAGMA synchronous=NORMAL",
                                      "PRAGMA synchronous=FULL"};
    if (db->synchronous == level) return 0;
    int rc = db_exec(db, sql[level], err);
    if (!rc) db->synchronous = level;
    return rc;
}

int db_begin(struct db *db, bool soft, ox_err *err) {
    if (db->read_only) return db_error(db, SQLITE_READONLY, "begin", err);
    if (db->in_tx) return ox_err_set(err, OX_EFAIL, "a transaction is open already");
    int rc = db->synchronous ? set_synchronous(db, soft ? 1 : 2, err) : 0;
    if (rc) return rc;
    if (soft != db->soft) sqlite3_busy_timeout(db->sq, soft ? DB_SOFT_WAIT_MS : db->busy_ms);
    db->soft = soft;
    db->disk_full = false;
    struct query q = db_query(db, "BEGIN IMMEDIATE");
    rc = query_run(&q, err);
    if (!rc) db->in_tx = true;
    return rc;
}

int db_end(struct db *db, int rc, ox_err *err) {
    if (!db->in_tx) return rc;
    if (!rc) {
        struct query q = db_query(db, "COMMIT");
        rc = query_run(&q, err);
    }
    /* SQLite itself may have undone everything after a full disk or an i/o error. */
    if (rc && !sqlite3_get_autocommit(db->sq)) db_exec(db, "ROLLBACK", NULL);
    db->in_tx = false;
    return rc;
}

/* ---- opening ------------------------------------------------------------ */

/* A file of another program is left as it is; so is a file that is no database. Tables are counted
 * before the id is read: another process that makes the file at the same time sets its id first. */
static int check_owner(struct db *db, const struct db_opts *how, bool *fresh, ox_err *err) {
    int64_t id = 0, tables = 0;
    struct query q = db_query(db, "SELECT count(*) FROM sqlite_schema");
    int rc = query_one(&q, &tables, err);
    if (!rc) {
        q = db_query(db, "PRAGMA application_id");
        rc = query_one(&q, &id, err);
    }
    if (rc) return rc;
    *fresh = id == 0 && tables == 0;
    if (*fresh || (int)id == how->application_id) return 0;
    ox_err_set(err, OX_EDB, "%s belongs to another program (application id 0x%08x), left as it is",
               how->path, (unsigned)id);
    return ox_err_fix(err, "name another file with --db FILE");
}

static int set_journal(struct db *db, ox_err *err) {
    /* Switching to WAL takes an exclusive lock and does not always ask the busy handler, so two
     * processes that make the file at once may need a second try. */
    static const char sql[] = "PRAGMA journal_mode=WAL";
    if (db->in_memory || db->read_only) return 0;
    if (db->network)
        return db_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE", err);
    int rc = SQLITE_BUSY;
    for (int64_t end = db_clock_us() + 1000 * (int64_t)db->busy_ms;;) {
        rc = sqlite3_exec(db->sq, sql, NULL, NULL, NULL);
        if ((rc & 0xff) != SQLITE_BUSY || db_clock_us() > end) break;
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    return rc ? db_error(db, rc, sql, err) : 0;
}

static int set_pragmas(struct db *db, const struct db_opts *how, bool fresh, ox_err *err) {
    char sql[512];
    int rc = 0;
    if (fresh && !db->read_only) {
        snprintf(sql, sizeof sql, "PRAGMA page_size=4096; PRAGMA application_id=%d",
                 how->application_id);
        rc = db_exec(db, sql, err);
    }
    if (!rc) rc = set_journal(db, err);
    if (rc) return rc;
    snprintf(sql, sizeof sql,
             "PRAGMA synchronous=%d; PRAGMA wal_autocheckpoint=%d;"
             "PRAGMA journal_size_limit=16777216; PRAGMA mmap_size=0; PRAGMA secure_delete=ON;"
             "PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON;"
             "PRAGMA cell_size_check=ON; PRAGMA recursive_triggers=OFF",
             how->synchronous, how->checkpoint_pages, how->cache_kib);
    db->synchronous = how->synchronous;
    return db_exec(db, sql, err);
}

static bool can_read(sqlite3 *sq) {
    int rc = sqlite3_exec(sq, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) & 0xff;
    return rc != SQLITE_CANTOPEN && rc != SQLITE_READONLY && rc != SQLITE_IOERR;
}

/* A reader cannot make the -shm file that a database with a log asks for. If there is none, the
 * file itself is all there is, and `immutable` reads it as it lies. */
int db_open_reading(const char *path, sqlite3 **out) {
    char uri[4200], *at = uri + snprintf(uri, sizeof uri, "file:");
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, out, flags, NULL);
    if (rc || can_read(*out)) return rc;
    for (const char *p = path; *p && at < uri + sizeof uri - 32; p++) {
        if (strchr("?#%", *p))
            at += snprintf(at, 4, "%%%02x", (unsigned char)*p);
        else
            *at++ = *p;
    }
    snprintf(at, (size_t)(uri + sizeof uri - at), "?immutable=1");
    sqlite3_close_v2(*out);
    return sqlite3_open_v2(uri, out, flags | SQLITE_OPEN_URI, NULL);
}

static int open_file(struct db *db, const struct db_opts *how, ox_err *err) {
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_READWRITE;
    if (db->in_memory) flags |= SQLITE_OPEN_CREATE;
    int rc = db->read_only ? db_open_reading(how->path, &db->sq)
                           : sqlite3_open_v2(how->path, &db->sq, flags, how->vfs);
    if (!db->sq) return ox_err_set(err, OX_ENOMEM, "not enough memory for the %s", db->what);
    if (rc) return db_error(db, rc, "open", err);
    sqlite3_busy_timeout(db->sq, how->busy_ms);
    sqlite3_db_config(db->sq, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->sq, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db->sq, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    /* Until the file is known to be ours, closing must not move its log into it. */
    sqlite3_db_config(db->sq, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return 0;
}

/* Decides between writing, reading, and a new file. */
static int prepare_place(struct db *db, const struct db_opts *how, ox_err *err) {
    if (db->in_memory) return 0;
    if (!how->read_only) {
        int rc = db_make_folder(how->path, err);
        if (!rc) rc = db_touch_private(how->path, err);
        if (!rc) {
            db->network = how->as_network || db_is_network(how->path);
            return 0;
        }
        if (access(how->path, R_OK)) return rc; /* nothing to read either */
    }
    if (access(how->path, R_OK))
        return ox_err_set(err, OX_ENOTFOUND, "no %s at %s", db->what, how->path);
    db->read_only = true;
    return 0;
}

int db_open(const struct db_opts *how, struct db **out, ox_err *err) {
    struct db *db = ox_alloc(1, sizeof *db, "database connection", err);
    if (!db) return OX_ENOMEM;
    bool fresh = false;
    int rc = OX_ENOMEM;
    db->what = how->what;
    db->busy_ms = how->busy_ms;
    db->in_memory = strcmp(how->path, ":memory:") == 0;
    db->path = ox_strdup(how->path, "path", err);
    if (!db->path) goto out;
    rc = prepare_place(db, how, err);
    if (!rc) rc = open_file(db, how, err);
    if (rc) goto out;
    rc = check_owner(db, how, &fresh, err);
    if (!rc) rc = set_pragmas(db, how, fresh, err);
    if (rc) goto out;
    sqlite3_db_config(db->sq, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    *out = db;
    db = NULL;
out:
    db_close(db);
    return rc ? ox_err_wrap(err, rc, "open database") : 0;
}

void db_close(struct db *db) {
    if (!db) return;
    for (int i = 0; i < db->n_cached; i++)
        sqlite3_finalize(db->cached[i].s);
    sqlite3_close_v2(db->sq);
    ox_free(db->path);
    ox_free(db);
}
