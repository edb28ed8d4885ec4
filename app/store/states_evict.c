/* states_evict.c - what goes when the cache is full, when a conversation is left or deleted, and
 * when a person asks: docs/STORE.md sections 6 and 8.
 *
 * value = time to compute again · 2^(-age / 14 days) / bytes that only this record holds */
#include "app/store/states_inner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_TURNS = 4, KEPT_DISTANCE = 2048, GRID_TOKENS = 4096 };

struct candidate {
    int64_t id;
    double value;
};

/* ---- value -------------------------------------------------------------- */

static int rate(states *s, struct candidate *c, ox_err *err) {
    int64_t replay = 0, used = 0;
    uint64_t own = 0;
    struct query q = db_query(s->db, "SELECT replay_us, used_us FROM snapshot WHERE id = :id");
    query_i64(&q, ":id", c->id);
    if (query_row(&q)) {
        replay = query_col_i64(&q, 0);
        used = query_col_i64(&q, 1);
    }
    int rc = query_end(&q, err);
    if (!rc) rc = rows_own_bytes(s, c->id, &own, err);
    double days = (double)(db_now_us() - used) / 86400e6;
    /* A record that frees nothing is worth nothing to evict: it goes last. */
    c->value = own ? (double)replay * exp2(-days / 14) / (double)own : HUGE_VAL;
    return rc;
}

static int by_value(const void *a, const void *b) {
    double x = ((const struct candidate *)a)->value, y = ((const struct candidate *)b)->value;
    return x < y ? -1 : x > y;
}

static int list_candidates(states *s, struct buf *out, ox_err *err) {
    int rc = 0;
    struct query q =
        db_query(s->db, "SELECT id FROM snapshot WHERE pinned = 0 AND id <> :newest AND id <> "
                        ":loading");
    query_i64(&q, ":newest", s->newest);
    query_i64(&q, ":loading", s->load.id);
    while (!rc && query_row(&q)) {
        struct candidate c = {.id = query_col_i64(&q, 0)};
        rc = rate(s, &c, err);
        if (!rc) rc = buf_add(out, &c, sizeof c, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* ---- eviction ----------------------------------------------------------- */

static int read_usage(states *s, uint64_t *bytes, uint64_t *quota, ox_err *err) {
    struct query q = db_query(s->db, "SELECT bytes, quota FROM usage");
    *bytes = *quota = 0;
    if (query_row(&q)) {
        *bytes = (uint64_t)query_col_i64(&q, 0);
        *quota = (uint64_t)query_col_i64(&q, 1);
    }
    return query_end(&q, err);
}

/* Losing one raises its neighbours, so the value of the next is asked again before it goes. */
static int evict_in_tx(states *s, uint64_t bytes, uint64_t *freed, ox_err *err) {
    struct buf list = {0};
    uint64_t now = 0, quota = 0;
    int rc = read_usage(s, &now, &quota, err);
    if (!rc && now > bytes) rc = list_candidates(s, &list, err);
    struct candidate *c = (struct candidate *)(void *)list.p;
    size_t n = list.n / sizeof *c;
    if (n) qsort(c, n, sizeof *c, by_value);
    for (size_t i = 0; !rc && i < n && now > bytes;) {
        double before = c[i].value;
        uint64_t gone = 0;
        rc = rate(s, &c[i], err);
        if (!rc && c[i].value > before && i + 1 < n && c[i].value > c[i + 1].value) {
            qsort(c + i, n - i, sizeof *c, by_value);
            continue;
        }
        if (!rc) rc = rows_drop_snapshot(s, c[i].id, &gone, err);
        now -= gone < now ? gone : now;
        *freed += gone;
        i++;
    }
    buf_deinit(&list);
    return rc;
}

int evict_to(states *s, uint64_t bytes, uint64_t *freed, ox_err *err) {
    uint64_t gone = 0;
    int rc = db_begin(s->db, false, err);
    if (rc) return rc;
    rc = db_end(s->db, evict_in_tx(s, bytes, &gone, err), err);
    if (!rc && freed) *freed = gone;
    return rc;
}

int evict_for(states *s, uint64_t n, ox_err *err) {
    uint64_t bytes = 0, quota = 0, need = s->loose_bytes + n;
    int rc = read_usage(s, &bytes, &quota, err);
    if (rc) return rc;
    s->full_by_pins = false;
    if (bytes + need <= quota) return 0;
    if (need > quota)
        return ox_err_set(err, OX_EBUSY, "the state cache is smaller than one saved state");
    uint64_t target = quota - need;
    rc = evict_to(s, target, NULL, err);
    if (!rc) rc = read_usage(s, &bytes, &quota, err);
    if (rc) return rc;
    if (bytes + need <= quota) return 0;
    s->full_by_pins = true;
    return ox_err_set(err, OX_EBUSY, "cache full (pinned)");
}

int states_prune(states *s, uint64_t bytes, uint64_t *freed, ox_err *err) {
    *freed = 0;
    if (!s->db) return 0;
    load_end(s);
    int rc = evict_to(s, bytes, freed, err);
    return rc ? ox_err_wrap(err, rc, "prune saved states") : 0;
}

/* ---- conversations ------------------------------------------------------ */

static int drop_list(states *s, const char *sql, const char *uid, uint64_t *freed, ox_err *err) {
    struct buf ids = {0};
    int rc = 0;
    struct query q = db_query(s->db, sql);
    query_str(&q, ":uid", uid);
    while (!rc && query_row(&q)) {
        int64_t id = query_col_i64(&q, 0);
        rc = buf_add(&ids, &id, sizeof id, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    if (!rc) rc = end;
    for (size_t at = 0; !rc && at < ids.n; at += sizeof(int64_t)) {
        int64_t id;
        memcpy(&id, ids.p + at, sizeof id);
        rc = rows_drop_snapshot(s, id, freed, err);
    }
    buf_deinit(&ids);
    return rc;
}

static int run_with_uid(states *s, const char *sql, const char *uid, ox_err *err) {
    struct query q = db_query(s->db, sql);
    query_str(&q, ":uid", uid);
    return query_run(&q, err);
}

int states_drop_chat(states *s, const char *chat_uid, uint64_t *freed, ox_err *err) {
    uint64_t gone = 0;
    if (freed) *freed = 0;
    if (!s->db) return 0;
    load_end(s);
    states_flush(s, NULL);
    int rc = db_begin(s->db, false, err);
    if (rc) return rc;
    rc = drop_list(
        s,
        "SELECT snapshot_id FROM member m WHERE session_uid = :uid AND NOT EXISTS (SELECT 1 FROM "
        "member o WHERE o.snapshot_id = m.snapshot_id AND o.session_uid <> :uid)",
        chat_uid, &gone, err);
    if (!rc) rc = run_with_uid(s, "DELETE FROM member WHERE session_uid = :uid", chat_uid, err);
    if (!rc) rc = run_with_uid(s, "DELETE FROM tip WHERE session_uid = :uid", chat_uid, err);
    rc = db_end(s->db, rc, err);
    chains_drop(s);
    if (!rc && freed) *freed = gone;
    return rc ? ox_err_wrap(err, rc, "drop saved states") : 0;
}

struct kept {
    int64_t id, n;
    bool is_kept, is_fixed; /* fixed: never thinned */
    bool is_turn, is_ask, is_grid;
};

static int list_kept(states *s, const char *uid, struct buf *out, ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        s->db,
        "SELECT s.id, s.n_tokens, s.reason, s.pinned OR EXISTS (SELECT 1 FROM member o WHERE "
        "o.snapshot_id = s.id AND o.session_uid <> :uid), p.kv_type FROM member m JOIN snapshot s "
        "ON "
        "s.id = m.snapshot_id JOIN space p ON p.id = s.space_id WHERE m.session_uid = :uid ORDER "
        "BY "
        "s.created_us DESC, s.id DESC");
    query_str(&q, ":uid", uid);
    while (!rc && query_row(&q)) {
        const char *reason = query_col_text(&q, 2, NULL);
        struct kept k = {.id = query_col_i64(&q, 0), .n = query_col_i64(&q, 1)};
        k.is_turn = strcmp(reason, "turn") == 0 || strcmp(reason, "stop") == 0;
        k.is_ask = strcmp(reason, "ask") == 0;
        k.is_grid = strcmp(reason, "grid") == 0;
        k.is_fixed = query_col_i64(&q, 3) != 0 || !(k.is_turn || k.is_ask || k.is_grid);
        /* int8 pages are half as large, so their grid records weigh twice: every second one is
         * enough. */
        bool is_odd =
            k.n / GRID_TOKENS % 2 == 1 && strcmp(query_col_text(&q, 4, NULL), "int8") == 0;
        if (k.is_grid && !is_odd) k.is_fixed = true;
        rc = buf_add(out, &k, sizeof k, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

static bool has_neighbour(const struct kept *k, size_t n, size_t self) {
    for (size_t i = 0; i < n; i++)
        if (i != self && k[i].is_kept && llabs(k[i].n - k[self].n) < KEPT_DISTANCE) return true;
    return false;
}

static int thin_in_tx(states *s, const char *uid, ox_err *err) {
    struct buf list = {0};
    int turns = 0, asks = 0;
    int rc = list_kept(s, uid, &list, err);
    struct kept *k = (struct kept *)(void *)list.p;
    size_t n = list.n / sizeof *k;
    for (size_t i = 0; i < n; i++)
        k[i].is_kept =
            k[i].is_fixed || (k[i].is_turn && turns++ < KEPT_TURNS) || (k[i].is_ask && asks++ < 1);
    for (size_t i = 0; i < n; i++)
        if (!k[i].is_kept && k[i].is_turn && !has_neighbour(k, n, i)) k[i].is_kept = true;
    for (size_t i = 0; !rc && i < n; i++)
        if (!k[i].is_kept) rc = rows_drop_snapshot(s, k[i].id, NULL, err);
    buf_deinit(&list);
    return rc;
}

int states_thin(states *s, const char *chat_uid, ox_err *err) {
    if (!s->db || s->db->read_only) return 0;
    load_end(s);
    rows_settle(s, NULL);
    int rc = db_begin(s->db, false, err);
    if (rc) return rc;
    return db_end(s->db, thin_in_tx(s, chat_uid, err), err);
}

/* ---- pins --------------------------------------------------------------- */

int states_join(states *s, const struct states_want *want, ox_err *err) {
    struct states_saved saved;
    int rc = states_saved(s, want, &saved, err);
    if (rc || !saved.id) return rc;
    rc = db_begin(s->db, false, err);
    if (rc) return rc;
    struct query q = db_query(s->db, "INSERT INTO member (snapshot_id, session_uid) SELECT id, "
                                     ":uid FROM snapshot WHERE id = :id ON CONFLICT DO NOTHING");
    query_str(&q, ":uid", want->chat_uid);
    query_i64(&q, ":id", saved.id);
    return db_end(s->db, query_run(&q, err), err);
}

int states_pin(states *s, const char *what, bool pinned, ox_err *err) {
    int changed = 0;
    bool is_record = *what == '#';
    if (!s->db) return ox_err_set(err, OX_ENOTFOUND, "the state cache is off");
    int rc = db_begin(s->db, false, err);
    if (rc) return ox_err_wrap(err, rc, "pin");
    struct query q =
        is_record
            ? db_query(s->db, "UPDATE snapshot SET pinned = :pinned WHERE id = :id")
            : db_query(s->db,
                       "UPDATE snapshot SET pinned = :pinned WHERE id IN (SELECT snapshot_id "
                       "FROM member WHERE session_uid >= :uid AND session_uid < :uid || 'g')");
    query_i64(&q, ":pinned", pinned);
    if (is_record)
        query_i64(&q, ":id", strtoll(what + 1, NULL, 10));
    else
        query_str(&q, ":uid", what);
    rc = query_run(&q, err);
    changed = sqlite3_changes(s->db->sq);
    rc = db_end(s->db, rc, err);
    if (rc) return ox_err_wrap(err, rc, "pin");
    if (changed) return 0;
    ox_err_set(err, OX_ENOTFOUND, "no saved state of \"%.40s\"", what);
    return ox_err_fix(err, "oxbow states list names them");
}

/* ---- files -------------------------------------------------------------- */

static bool is_known(void *user, struct ox_key hash) {
    states *s = user;
    int64_t id = 0;
    struct query q = db_query(s->db, "SELECT id FROM blob WHERE content_hash = :hash");
    query_key(&q, ":hash", hash);
    return query_one(&q, &id, NULL) != OX_ENOTFOUND; /* when in doubt, it stays */
}

int states_idle(states *s, ox_err *err) {
    size_t n = 0;
    if (!s->db || s->db->read_only) return 0;
    rows_settle(s, NULL);
    return io_sweep(s->io, 600, is_known, s, &n, err);
}

struct checked {
    int64_t id;
    struct ox_key hash;
    size_t n;
};

static int list_blobs(states *s, struct buf *out, ox_err *err) {
    int rc = 0;
    struct query q = db_query(s->db, "SELECT id, content_hash, bytes FROM blob ORDER BY id");
    while (!rc && query_row(&q)) {
        struct checked c = {query_col_i64(&q, 0), query_col_key(&q, 1),
                            (size_t)query_col_i64(&q, 2)};
        rc = buf_add(out, &c, sizeof c, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

enum found { FOUND_GONE, FOUND_OK, FOUND_BAD }; /* gone: dropped together with another bad one */

/* The whole content against its name: more than the sums that every use checks. */
static int check_blob(states *s, const struct checked *c, enum found *out, ox_err *err) {
    bool ok = false;
    size_t n_sums = 0;
    struct buf sums = {0};
    void *bytes = NULL;
    struct query q = db_query(s->db, "SELECT sums FROM blob WHERE id = :id");
    query_i64(&q, ":id", c->id);
    int rc = 0;
    bool has_row = query_row(&q);
    if (has_row) {
        const void *p = query_col_blob(&q, 0, &n_sums);
        rc = buf_add(&sums, p, n_sums, err);
    }
    int end = query_end(&q, err);
    *out = FOUND_GONE;
    if (rc || end || !has_row) goto out;
    bytes = ox_alloc(c->n, 1, "blob to check", err);
    rc = bytes ? 0 : OX_ENOMEM;
    if (rc) goto out;
    ok = n_sums == 8 * io_n_sums(c->n) && io_read(s->io, c->hash, bytes, c->n, sums.p, NULL) == 0;
    if (ok) {
        struct ox_key found = io_hash(bytes, c->n);
        ok = found.hi == c->hash.hi && found.lo == c->hash.lo;
    }
    *out = ok ? FOUND_OK : FOUND_BAD;
out:
    ox_free(bytes);
    buf_deinit(&sums);
    return rc ? rc : end;
}

int states_check(states *s, size_t *n_ok, size_t *n_bad, size_t *n_stray, ox_err *err) {
    struct buf list = {0};
    *n_ok = *n_bad = *n_stray = 0;
    if (!s->db) return 0;
    load_end(s);
    states_flush(s, NULL);
    int rc = list_blobs(s, &list, err);
    const struct checked *c = (const struct checked *)(const void *)list.p;
    for (size_t i = 0; !rc && i < list.n / sizeof *c; i++) {
        enum found found;
        rc = check_blob(s, &c[i], &found, err);
        if (rc) break;
        *n_ok += found == FOUND_OK;
        *n_bad += found == FOUND_BAD;
        if (found != FOUND_BAD || s->db->read_only) continue;
        states_log(s, "saved state dropped: blob %lld is damaged", (long long)c[i].id);
        rc = db_begin(s->db, false, err);
        if (!rc) rc = db_end(s->db, rows_drop_blob(s, c[i].id, err), err);
    }
    if (!rc && !s->db->read_only) rc = io_sweep(s->io, 60, is_known, s, n_stray, err);
    chains_drop(s);
    buf_deinit(&list);
    return rc ? ox_err_wrap(err, rc, "check saved states") : 0;
}
