/* states.c - the state cache as a whole: opening, the space in use, what people are told about it.
 */
#include "app/store/states_inner.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    STATES_ID = 0x4f585354,
    STATES_VERSION = 2,
    STATES_WAIT_MS = 200,
    LAYOUT = 1,
    SWEEP_S = 86400,
    UNKNOWN_SPEED = 500 /* default of space.us_per_token: nothing was measured yet */
};
static const uint64_t QUOTA_MOST = (uint64_t)20 << 30;

void states_log(states *s, const char *fmt, ...) {
    char line[512];
    va_list args;
    if (!s->opts.log) return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    s->opts.log(s->opts.user, line);
}

/* ---- the index ---------------------------------------------------------- */

/* A database of another program in our place is left alone; anything else that SQLite cannot read
 * is a damaged index of ours. */
static bool is_foreign(const char *path) {
    unsigned char head[72] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    if (n != (ssize_t)sizeof head || memcmp(head, "SQLite format 3", 16) != 0) return false;
    uint32_t id =
        (uint32_t)head[68] << 24 | (uint32_t)head[69] << 16 | (uint32_t)head[70] << 8 | head[71];
    return id != 0 && id != STATES_ID;
}

static int make_schema(struct db *db, ox_err *err) {
    int64_t version = 0;
    int rc = db_begin(db, false, err);
    if (rc) return rc;
    struct query q = db_query(db, "PRAGMA user_version");
    rc = query_one(&q, &version, err);
    for (int i = 0; !rc && version == 0 && states_schema[i]; i++)
        rc = db_exec(db, states_schema[i], err);
    if (!rc && version == 0) rc = db_exec(db, "PRAGMA user_version=2", err);
    return db_end(db, rc, err);
}

static int open_index(states *s, ox_err *err) {
    struct db_opts how = {.path = s->path,
                          .what = "state cache",
                          .application_id = STATES_ID,
                          .cache_kib = 8192,
                          .busy_ms = STATES_WAIT_MS,
                          .checkpoint_pages = 1000,
                          .read_only = s->opts.read_only};
    int64_t version = 0;
    int rc = db_open(&how, &s->db, err);
    if (rc) return rc;
    struct query q = db_query(s->db, "PRAGMA user_version");
    rc = query_one(&q, &version, err);
    if (rc) return rc;
    if (version == 0 && !s->db->read_only) return make_schema(s->db, err);
    if (version != STATES_VERSION)
        return ox_err_set(err, OX_EDB, "state cache of another version (%lld)", (long long)version);
    return 0;
}

/* states.db becomes states.db.bad (one is kept); its log goes, its files become strays. */
static void set_aside(states *s) {
    char other[4300];
    db_close(s->db);
    s->db = NULL;
    snprintf(other, sizeof other, "%s.bad", s->path);
    rename(s->path, other);
    snprintf(other, sizeof other, "%s-wal", s->path);
    unlink(other);
    snprintf(other, sizeof other, "%s-shm", s->path);
    unlink(other);
}

static int open_or_renew(states *s, ox_err *err) {
    ox_err why = {0};
    if (is_foreign(s->path)) {
        ox_err_set(err, OX_EDB, "%s belongs to another program, left as it is: no states are saved",
                   s->path);
        return OX_EDB;
    }
    int rc = open_index(s, &why);
    if (rc == OX_EDB && !s->opts.read_only) {
        states_log(s, "the state cache is made anew: %s", why.what);
        set_aside(s);
        rc = open_index(s, &why);
    }
    if (rc && err) *err = why;
    return rc;
}

static int read_quota(states *s, ox_err *err) {
    int64_t quota = 0;
    struct statvfs fs;
    if (s->db->read_only) return 0;
    struct query q = db_query(s->db, "SELECT quota FROM usage");
    int rc = query_one(&q, &quota, err);
    if (rc) return rc;
    uint64_t want = s->opts.quota_bytes ? s->opts.quota_bytes : (uint64_t)quota;
    if (!want) {
        want = QUOTA_MOST;
        if (statvfs(s->folder, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize / 10 < want)
            want = (uint64_t)fs.f_bavail * fs.f_frsize / 10;
    }
    if (want == (uint64_t)quota) return 0;
    rc = db_begin(s->db, false, err);
    if (rc) return rc == OX_EBUSY ? 0 : rc;
    q = db_query(s->db, "UPDATE usage SET quota = :quota");
    query_i64(&q, ":quota", (int64_t)want);
    return db_end(s->db, query_run(&q, err), err);
}

/* ---- open, close -------------------------------------------------------- */

static int open_parts(states *s, ox_err *err) {
    char path[4200];
    int len = snprintf(path, sizeof path, "%s/states.db", s->folder);
    if (len < 0 || (size_t)len >= sizeof path)
        return ox_err_set(err, OX_EIO, "the path %s is too long", s->folder);
    s->path = ox_strdup(path, "path", err);
    if (!s->path) return OX_ENOMEM;
    int rc = open_or_renew(s, err);
    if (rc == OX_ENOTFOUND && s->opts.read_only) return 0; /* nothing saved yet */
    if (!rc) rc = read_quota(s, err);
    snprintf(path, sizeof path, "%s/states", s->folder);
    if (!rc) rc = io_open(path, &s->io, err);
    if (rc) {
        db_close(s->db);
        s->db = NULL;
    }
    return rc;
}

int states_open(const struct states_opts *opts, states **out, ox_err *err) {
    states *s = ox_alloc(1, sizeof *s, "state cache", err);
    if (!s) return OX_ENOMEM;
    s->opts = *opts;
    s->pending_end = &s->pending;
    s->us_per_token = UNKNOWN_SPEED;
    s->ops = (struct ox_state_io){s, states_find, states_get, states_put, states_refuse};
    int rc = 0;
    if (!opts->is_off) {
        s->folder = ox_strdup(opts->folder, "path", err);
        rc = s->folder ? open_parts(s, err) : OX_ENOMEM;
    }
    if (rc) {
        states_close(s);
        return ox_err_wrap(err, rc, "open state cache");
    }
    *out = s;
    return 0;
}

static void drop_memory(states *s) {
    load_end(s);
    chains_drop(s);
    while (s->pending) {
        struct pending *p = s->pending;
        s->pending = p->next;
        pending_free(p);
    }
    s->pending_end = &s->pending;
    s->n_pending = 0;
}

void states_close(states *s) {
    if (!s) return;
    states_flush(s, NULL);
    if (s->io) io_wait(s->io);
    if (s->tip.chat_uid[0]) states_thin(s, s->tip.chat_uid, NULL);
    if (s->io && io_is_due(s->io, SWEEP_S)) states_idle(s, NULL);
    drop_memory(s);
    jobs_collect(s);
    ahead_close(s->ahead);
    io_close(s->io);
    db_close(s->db);
    ox_free(s->folder);
    ox_free(s->path);
    ox_free(s);
}

int states_flush(states *s, ox_err *err) {
    if (!s->db || s->db->read_only) return 0;
    if (s->pending) io_wait(s->io);
    return rows_settle(s, err);
}

size_t states_settle(states *s) {
    if (!s->db || s->db->read_only || !s->pending) return 0;
    if (db_now_us() < s->retry_us) return s->n_pending;
    /* Each attempt may wait STATES_WAIT_MS: not with every token of an answer. */
    if (rows_settle(s, NULL) == OX_EBUSY) s->retry_us = db_now_us() + 1000000;
    return s->n_pending;
}

int states_renew(states *s, int rc) {
    ox_err why = {0};
    if (rc != OX_EDB) return rc;
    states_log(s, "the state cache is damaged and made anew");
    s->load.bytes = 0; /* no use to note */
    drop_memory(s);
    set_aside(s);
    if (open_or_renew(s, &why) || read_quota(s, &why) || states_use(s, &s->space, &why)) {
        states_log(s, "states are not saved: %s", why.what);
        db_close(s->db);
        s->db = NULL;
    }
    return OX_EBUSY;
}

/* ---- space and tip ------------------------------------------------------ */

int states_use(states *s, const struct states_space *space, ox_err *err) {
    states_flush(s, NULL); /* what is under way belongs to the space before */
    drop_memory(s);
    s->space = *space;
    s->compat = space->compat;
    s->space_id = 0;
    if (!s->db) return 0;
    int rc = s->db->read_only ? 0 : db_begin(s->db, false, err);
    if (rc) return ox_err_wrap(err, rc, "use state cache");
    struct query q;
    if (!s->db->read_only) {
        q = db_query(
            s->db, "INSERT INTO space (compat, name, weights_hash, vocab_hash, backend, numerics, "
                   "layout, kv_type, state_type, n_linear, n_attn, page_tokens) VALUES (:compat, "
                   ":name, :weights, :vocab, :backend, :numerics, :layout, :kv, 'f32', :linear, "
                   ":attn, 256) ON CONFLICT (compat) DO NOTHING");
        query_key(&q, ":compat", space->compat);
        query_str(&q, ":name", space->name ? space->name : "");
        query_key(&q, ":weights", space->weights);
        query_key(&q, ":vocab", space->vocab);
        query_str(&q, ":backend", space->backend ? space->backend : "");
        query_i64(&q, ":numerics", (int64_t)space->numerics);
        query_i64(&q, ":layout", LAYOUT);
        query_str(&q, ":kv", space->kv_type ? space->kv_type : "bf16");
        query_i64(&q, ":linear", space->n_linear);
        query_i64(&q, ":attn", space->n_attn);
        rc = query_run(&q, err);
    }
    if (!rc) {
        q = db_query(s->db, "SELECT id, us_per_token FROM space WHERE compat = :compat");
        query_key(&q, ":compat", space->compat);
        if (query_row(&q)) {
            s->space_id = query_col_i64(&q, 0);
            s->us_per_token = (double)query_col_i64(&q, 1);
        }
        rc = query_end(&q, err);
    }
    rc = db_end(s->db, rc, err);
    return rc ? ox_err_wrap(err, rc, "use state cache") : 0;
}

void states_tip(states *s, const struct states_tip *tip) {
    const char *uid = tip->chat_uid ? tip->chat_uid : "";
    if (s->tip.chat_uid[0] && strcmp(s->tip.chat_uid, uid) != 0)
        states_thin(s, s->tip.chat_uid, NULL); /* that conversation is left */
    s->tip = (struct tip){.want = tip->want, .want_moment = tip->want_moment, .made = tip->made};
    snprintf(s->tip.db_uid, sizeof s->tip.db_uid, "%s", tip->db_uid ? tip->db_uid : "");
    snprintf(s->tip.chat_uid, sizeof s->tip.chat_uid, "%s", tip->chat_uid ? tip->chat_uid : "");
}

void states_speed(states *s, double us_per_token) {
    if (us_per_token <= 0) return;
    s->us_per_token = us_per_token;
    if (!s->db || !s->space_id || s->db->read_only || db_begin(s->db, false, NULL)) return;
    struct query q = db_query(s->db, "UPDATE space SET us_per_token = :us WHERE id = :id");
    query_i64(&q, ":us", (int64_t)us_per_token);
    query_i64(&q, ":id", s->space_id);
    db_end(s->db, query_run(&q, NULL), NULL);
}

double states_known_speed(const states *s) {
    return (int64_t)s->us_per_token == UNKNOWN_SPEED ? 0 : s->us_per_token;
}

const struct ox_state_io *states_io(states *s) {
    return &s->ops;
}

/* ---- for people --------------------------------------------------------- */

int states_usage(states *s, struct states_usage *out, ox_err *err) {
    *out = (struct states_usage){.full_by_pins = s->full_by_pins};
    if (!s->db) return 0;
    struct query q = db_query(
        s->db,
        "SELECT bytes, quota, uses, saved_us, written_bytes, written_tokens, (SELECT count(*) FROM "
        "snapshot), (SELECT count(*) FROM page), (SELECT coalesce(sum(b.bytes), 0) FROM snapshot s "
        "JOIN blob b ON b.id IN (s.state_blob_id, s.tail_blob_id) WHERE s.pinned = 1) FROM usage");
    if (query_row(&q)) {
        out->bytes = (uint64_t)query_col_i64(&q, 0);
        out->quota_bytes = (uint64_t)query_col_i64(&q, 1);
        out->n_uses = (uint64_t)query_col_i64(&q, 2);
        out->saved_us = (uint64_t)query_col_i64(&q, 3);
        out->written_bytes = (uint64_t)query_col_i64(&q, 4);
        out->written_tokens = (uint64_t)query_col_i64(&q, 5);
        out->n_records = (uint64_t)query_col_i64(&q, 6);
        out->n_pages = (uint64_t)query_col_i64(&q, 7);
        out->pinned_bytes = (uint64_t)query_col_i64(&q, 8);
    }
    return query_end(&q, err);
}

int states_list(states *s, int (*each)(void *user, const struct states_row *row), void *user,
                ox_err *err) {
    int rc = 0;
    if (!s->db) return 0;
    struct query q = db_query(
        s->db,
        "SELECT s.id, s.n_tokens, s.reason, p.name || ' ' || p.backend, coalesce((SELECT "
        "session_uid "
        "FROM member m WHERE m.snapshot_id = s.id ORDER BY session_uid LIMIT 1), ''), s.pinned, "
        "s.space_id = :space, s.uses, s.created_us, s.used_us FROM snapshot s JOIN space p ON p.id "
        "= "
        "s.space_id ORDER BY s.used_us DESC, s.id DESC");
    query_i64(&q, ":space", s->space_id);
    while (!rc && query_row(&q)) {
        struct states_row row = {.id = query_col_i64(&q, 0),
                                 .n_tokens = (uint64_t)query_col_i64(&q, 1),
                                 .why = query_col_text(&q, 2, NULL),
                                 .space = query_col_text(&q, 3, NULL),
                                 .chat_uid = query_col_text(&q, 4, NULL),
                                 .pinned = query_col_i64(&q, 5) != 0,
                                 .usable = query_col_i64(&q, 6) != 0,
                                 .uses = (uint64_t)query_col_i64(&q, 7),
                                 .created_us = query_col_i64(&q, 8),
                                 .used_us = query_col_i64(&q, 9)};
        rc = rows_own_bytes(s, row.id, &row.own_bytes, err);
        if (!rc) rc = each(user, &row);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* The tip of the leaf is the exact state, also in a fork, which shares the message; records of
 * other branches of the conversation may be longer than this path, so those are left out. */
int states_saved(states *s, const struct states_want *want, struct states_saved *out, ox_err *err) {
    *out = (struct states_saved){.word = "none"};
    /* No answer on the path was ever finished. A tip with its number is of a deleted message. */
    if (!s || !s->db || !want->n_tokens) return 0;
    struct query q = db_query(
        s->db,
        "SELECT s.n_tokens, s.load_us, p.us_per_token, s.pinned, 1 AS whole, s.id FROM tip t JOIN "
        "snapshot s ON s.id = t.snapshot_id JOIN space p ON p.id = s.space_id WHERE t.db_uid = :db "
        "AND t.message_id = :leaf AND t.moment = 1 AND (:space = 0 OR s.space_id = :space) "
        "UNION ALL SELECT s.n_tokens, s.load_us, p.us_per_token, s.pinned, 0, s.id FROM member m "
        "JOIN "
        "snapshot s ON s.id = m.snapshot_id JOIN space p ON p.id = s.space_id WHERE m.session_uid "
        "= :uid AND (:space = 0 OR s.space_id = :space) AND s.n_tokens <= :n ORDER BY "
        "whole DESC, 1 DESC LIMIT 1");
    query_str(&q, ":db", want->db_uid);
    query_i64(&q, ":leaf", want->leaf);
    query_str(&q, ":uid", want->chat_uid);
    query_i64(&q, ":n", (int64_t)want->n_tokens);
    query_i64(&q, ":space", s->space_id);
    if (query_row(&q)) {
        out->n_tokens = (uint64_t)query_col_i64(&q, 0);
        out->load_s = (double)query_col_i64(&q, 1) / 1e6;
        out->us_per_token = (double)query_col_i64(&q, 2);
        out->pinned = query_col_i64(&q, 3) != 0;
        out->word = query_col_i64(&q, 4) ? "saved" : "part";
        out->id = query_col_i64(&q, 5);
    }
    return query_end(&q, err);
}
