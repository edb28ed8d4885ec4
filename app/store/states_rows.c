/* states_rows.c - rows of the state cache: a record's rows are written together, after its files;
 * rows go together with what only they needed. Each function but rows_settle runs inside a
 * transaction of its caller; files are removed inside it too, because another process that wants
 * the same content looks for its file under the same lock. */
#include "app/store/states_inner.h"

#include <string.h>

static const char *why_name(enum ox_why why) {
    static const char *const names[] = {"grid", "grid", "system", "document",
                                        "ask",  "turn", "stop"};
    return names[why];
}

/* Turns are decoded, the rest is mostly read. */
static const char *made_name(enum ox_why why) {
    return why == OX_WHY_TURN || why == OX_WHY_STOP ? "decode"
           : why == OX_WHY_GRID                     ? "mixed"
                                                    : "prefill";
}

/* ---- writing ------------------------------------------------------------ */

static int ensure_blob(states *s, const struct blob_job *job, int64_t *id, ox_err *err) {
    if (!io_has(s->io, job->hash, job->n))
        return ox_err_set(err, OX_ENOTFOUND, "the file of a blob is gone"); /* evicted meanwhile */
    struct query q =
        db_query(s->db, "INSERT INTO blob (kind, content_hash, bytes, sums) VALUES (:kind, "
                        ":hash, :bytes, :sums) ON CONFLICT (content_hash) DO NOTHING");
    query_i64(&q, ":kind", job->kind);
    query_key(&q, ":hash", job->hash);
    query_i64(&q, ":bytes", (int64_t)job->n);
    query_blob(&q, ":sums", job->sums, 8 * job->n_sums);
    int rc = query_run(&q, err);
    if (!rc && sqlite3_changes(s->db->sq)) {
        q = db_query(s->db, "UPDATE usage SET written_bytes = written_bytes + :n");
        query_i64(&q, ":n", (int64_t)job->n);
        rc = query_run(&q, err);
    }
    if (rc) return rc;
    q = db_query(s->db, "SELECT id FROM blob WHERE content_hash = :hash AND bytes = :bytes");
    query_key(&q, ":hash", job->hash);
    query_i64(&q, ":bytes", (int64_t)job->n);
    return query_one(&q, id, err);
}

static int insert_page(states *s, const struct pending *p, size_t no, int64_t parent, int64_t blob,
                       ox_err *err) {
    struct buf ids = {0};
    const struct link *l = &p->link[no];
    int rc = ids_pack(&ids, p->ids + no * PAGE_TOKENS, PAGE_TOKENS, err);
    if (rc) goto out;
    struct query q = db_query(
        s->db,
        "INSERT INTO page (space_id, parent_id, page_no, ids, token_hash, chain_hash, blob_id) "
        "VALUES (:space, :parent, :no, :ids, :token, :chain, :blob)");
    query_i64(&q, ":space", s->space_id);
    if (parent) query_i64(&q, ":parent", parent);
    query_i64(&q, ":no", (int64_t)no);
    query_blob(&q, ":ids", ids.p, ids.n);
    query_key(&q, ":token", l->token_hash);
    query_key(&q, ":chain", l->chain);
    query_i64(&q, ":blob", blob);
    rc = query_run(&q, err);
out:
    buf_deinit(&ids);
    return rc;
}

int rows_find_page(states *s, struct ox_key chain, int64_t *id, ox_err *err) {
    struct query q =
        db_query(s->db, "SELECT id FROM page WHERE space_id = :space AND chain_hash = :chain");
    query_i64(&q, ":space", s->space_id);
    query_key(&q, ":chain", chain);
    *id = 0;
    int rc = query_one(&q, id, err);
    return rc == OX_ENOTFOUND ? 0 : rc;
}

/* The row of each page on the path, made where it is missing. A page whose row was evicted
 * meanwhile and whose bytes are not at hand ends the attempt: OX_ENOTFOUND. */
static int ensure_pages(states *s, const struct pending *p, int64_t *last, ox_err *err) {
    int64_t parent = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < p->n_links; i++) {
        int64_t id = 0, blob = 0;
        rc = rows_find_page(s, p->link[i].chain, &id, err);
        if (!rc && !id) {
            if (!p->link[i].blob) return ox_err_set(err, OX_ENOTFOUND, "page %zu was evicted", i);
            rc = ensure_blob(s, p->link[i].blob, &blob, err);
            if (!rc) rc = insert_page(s, p, i, parent, blob, err);
            if (!rc) id = sqlite3_last_insert_rowid(s->db->sq);
        }
        parent = id;
    }
    *last = parent;
    return rc;
}

static int insert_snapshot(states *s, const struct pending *p, int64_t page, int64_t tail,
                           int64_t state, int64_t *id, ox_err *err) {
    struct buf ids = {0};
    int64_t below = 0, now = db_now_us();
    size_t n_below = 0, full = p->n_links * PAGE_TOKENS;
    int rc =
        find_below(s, (struct ox_prefix){p->ids, p->n_tokens}, p->n_tokens, &below, &n_below, err);
    if (!rc) rc = ids_pack(&ids, p->ids + full, p->n_tokens - full, err);
    if (rc) goto out;
    struct query q = db_query(s->db, "INSERT INTO snapshot (space_id, n_tokens, base_hash, "
                                     "prefix_hash, page_id, tail_ids, tail_blob_id, "
                                     "state_blob_id, reason, made, below_id, replay_us, load_us, "
                                     "created_us, used_us) VALUES (:space, "
                                     ":n, :base, :prefix, :page, :tail_ids, :tail, :state, "
                                     ":reason, :made, :below, :replay, :load, "
                                     ":created, :now) ON CONFLICT (space_id, prefix_hash, "
                                     "state_blob_id) DO UPDATE SET used_us = "
                                     "excluded.used_us RETURNING id");
    query_i64(&q, ":space", s->space_id);
    query_i64(&q, ":n", (int64_t)p->n_tokens);
    query_key(&q, ":base", p->base_hash);
    query_key(&q, ":prefix", p->prefix_hash);
    if (page) query_i64(&q, ":page", page);
    query_blob(&q, ":tail_ids", ids.p, ids.n);
    if (tail) query_i64(&q, ":tail", tail);
    query_i64(&q, ":state", state);
    query_str(&q, ":reason", why_name(p->why));
    query_str(&q, ":made", made_name(p->why));
    if (below) query_i64(&q, ":below", below);
    query_i64(&q, ":replay", (int64_t)((double)(p->n_tokens - n_below) * s->us_per_token));
    query_i64(&q, ":load", (int64_t)(p->state->n >> 10)); /* 1 GB/s, until it is measured */
    query_i64(&q, ":created", p->created_us);
    query_i64(&q, ":now", now);
    rc = query_one(&q, id, err);
    if (rc) goto out;
    q = db_query(s->db, "UPDATE usage SET written_tokens = written_tokens + :n");
    query_i64(&q, ":n", (int64_t)(p->n_tokens - n_below));
    rc = query_run(&q, err);
out:
    buf_deinit(&ids);
    return rc;
}

static int insert_owner(states *s, const struct pending *p, int64_t id, ox_err *err) {
    bool after = p->why == OX_WHY_TURN || p->why == OX_WHY_STOP;
    if (!p->tip.chat_uid[0]) return 0;
    struct query q =
        db_query(s->db, "INSERT INTO member (snapshot_id, session_uid) VALUES (:id, :uid) ON "
                        "CONFLICT DO NOTHING");
    query_i64(&q, ":id", id);
    query_str(&q, ":uid", p->tip.chat_uid);
    int rc = query_run(&q, err);
    if (rc || !p->tip.made || !(after || p->why == OX_WHY_ASK)) return rc;
    q = db_query(s->db,
                 "INSERT INTO tip (db_uid, message_id, moment, session_uid, snapshot_id) VALUES "
                 "(:db, :message, :moment, :uid, :id) ON CONFLICT DO NOTHING");
    query_str(&q, ":db", p->tip.db_uid);
    query_i64(&q, ":message", p->tip.made);
    query_i64(&q, ":moment", after);
    query_str(&q, ":uid", p->tip.chat_uid);
    query_i64(&q, ":id", id);
    return query_run(&q, err);
}

static int write_rows(states *s, const struct pending *p, int64_t *id, ox_err *err) {
    int64_t page = 0, tail = 0, state = 0;
    int rc = ensure_pages(s, p, &page, err);
    if (!rc && p->tail) rc = ensure_blob(s, p->tail, &tail, err);
    if (!rc) rc = ensure_blob(s, p->state, &state, err);
    if (!rc) rc = insert_snapshot(s, p, page, tail, state, id, err);
    return rc ? rc : insert_owner(s, p, *id, err);
}

static enum blob_state state_of(const struct pending *p) {
    enum blob_state worst = BLOB_WRITTEN;
    for (size_t i = 0; i < p->n_links + 2; i++) {
        struct blob_job *job = i < p->n_links    ? p->link[i].blob
                               : i == p->n_links ? p->tail
                                                 : p->state;
        int state = job ? atomic_load(&job->state) : BLOB_WRITTEN;
        if (state == BLOB_FAILED) return BLOB_FAILED;
        if (state == BLOB_QUEUED) worst = BLOB_QUEUED;
    }
    return worst;
}

static void remove_first(states *s) {
    struct pending *p = s->pending;
    s->pending = p->next;
    if (!s->pending) s->pending_end = &s->pending;
    s->n_pending--;
    pending_free(p);
}

/* The index counts them from now on. */
static void count_rows(struct pending *p) {
    for (size_t i = 0; i < p->n_links + 2; i++) {
        struct blob_job *job = i < p->n_links    ? p->link[i].blob
                               : i == p->n_links ? p->tail
                                                 : p->state;
        if (!job || !job->loose) continue;
        *job->loose -= job->n;
        job->loose = NULL;
    }
}

int rows_settle(states *s, ox_err *err) {
    int rc = 0;
    while (s->db && s->pending) {
        enum blob_state state = state_of(s->pending);
        int64_t id = 0;
        if (state == BLOB_QUEUED) break;
        if (state == BLOB_FAILED) {
            states_log(s, "a saved state could not be written: no space, or no right to write");
            chains_drop(s); /* their pages may be among what failed */
            remove_first(s);
            continue;
        }
        rc = db_begin(s->db, false, err);
        if (rc == OX_EBUSY) break; /* another process writes; tried again with the next call */
        if (!rc) rc = db_end(s->db, write_rows(s, s->pending, &id, err), err);
        if (rc == OX_ENOTFOUND) chains_drop(s);
        if (!rc) s->newest = id;
        if (!rc) count_rows(s->pending);
        if (rc == OX_EDB) return states_renew(s, rc);
        remove_first(s);
    }
    jobs_collect(s);
    return rc;
}

/* ---- removing ----------------------------------------------------------- */

static int drop_blob_if_unused(states *s, int64_t blob, uint64_t *freed, ox_err *err) {
    struct ox_key hash;
    int64_t bytes = 0;
    if (!blob) return 0;
    struct query q =
        db_query(s->db, "DELETE FROM blob WHERE id = :id AND NOT EXISTS (SELECT 1 FROM page WHERE "
                        "blob_id = :id) AND "
                        "NOT EXISTS (SELECT 1 FROM snapshot WHERE state_blob_id = :id) AND NOT "
                        "EXISTS (SELECT 1 FROM "
                        "snapshot WHERE tail_blob_id = :id) RETURNING content_hash, bytes");
    query_i64(&q, ":id", blob);
    bool gone = query_row(&q);
    if (gone) {
        hash = query_col_key(&q, 0);
        bytes = query_col_i64(&q, 1);
    }
    while (query_row(&q)) {
    }
    int rc = query_end(&q, err);
    if (rc || !gone) return rc;
    io_remove(s->io, hash);
    if (freed) *freed += (uint64_t)bytes;
    return 0;
}

static int delete_by_id(states *s, const char *sql, int64_t id, ox_err *err) {
    struct query q = db_query(s->db, sql);
    query_i64(&q, ":id", id);
    return query_run(&q, err);
}

/* The page and its ancestors, as far as no record and no other page needs them. */
static int drop_pages_up(states *s, int64_t page, uint64_t *freed, ox_err *err) {
    int rc = 0;
    while (!rc && page) {
        int64_t parent = 0, blob = 0;
        struct query q = db_query(
            s->db,
            "SELECT coalesce(parent_id, 0), blob_id FROM page p WHERE id = :id AND NOT EXISTS "
            "(SELECT 1 FROM page c WHERE c.parent_id = p.id) AND NOT EXISTS (SELECT 1 FROM "
            "snapshot "
            "s WHERE s.page_id = p.id)");
        query_i64(&q, ":id", page);
        bool found = query_row(&q);
        if (found) {
            parent = query_col_i64(&q, 0);
            blob = query_col_i64(&q, 1);
        }
        rc = query_end(&q, err);
        if (rc || !found) break;
        rc = delete_by_id(s, "DELETE FROM page WHERE id = :id", page, err);
        if (!rc) rc = drop_blob_if_unused(s, blob, freed, err);
        page = parent;
    }
    return rc;
}

/* Who stood on the record now costs its share too. */
static int raise_neighbours(states *s, int64_t id, ox_err *err) {
    return delete_by_id(
        s,
        "UPDATE snapshot SET replay_us = replay_us + (SELECT replay_us FROM snapshot WHERE "
        "id = :id), below_id = (SELECT below_id FROM snapshot WHERE id = :id) WHERE "
        "below_id = :id",
        id, err);
}

int rows_drop_snapshot(states *s, int64_t id, uint64_t *freed, ox_err *err) {
    int64_t page = 0, tail = 0, state = 0;
    struct query q = db_query(s->db, "SELECT coalesce(page_id, 0), coalesce(tail_blob_id, 0), "
                                     "state_blob_id FROM snapshot WHERE id = :id");
    query_i64(&q, ":id", id);
    if (query_row(&q)) {
        page = query_col_i64(&q, 0);
        tail = query_col_i64(&q, 1);
        state = query_col_i64(&q, 2);
    }
    int rc = query_end(&q, err);
    if (rc || !state) return rc;
    rc = raise_neighbours(s, id, err);
    if (!rc) rc = delete_by_id(s, "DELETE FROM snapshot WHERE id = :id", id, err);
    if (!rc) rc = drop_blob_if_unused(s, state, freed, err);
    if (!rc) rc = drop_blob_if_unused(s, tail, freed, err);
    if (!rc) rc = drop_pages_up(s, page, freed, err);
    return rc;
}

static int first_id(states *s, const char *sql, int64_t blob, int64_t *id, ox_err *err) {
    struct query q = db_query(s->db, sql);
    query_i64(&q, ":blob", blob);
    *id = 0;
    int rc = query_one(&q, id, err);
    return rc == OX_ENOTFOUND ? 0 : rc;
}

/* Records first, then the pages that hold the blob and everything above them: a page without the
 * one below it is of no use to anybody. */
int rows_drop_blob(states *s, int64_t blob, ox_err *err) {
    static const char records[] =
        "WITH RECURSIVE down(id) AS (SELECT id FROM page WHERE blob_id = :blob UNION SELECT p.id "
        "FROM page p "
        "JOIN down d ON p.parent_id = d.id) SELECT id FROM snapshot WHERE state_blob_id = :blob OR "
        "tail_blob_id = :blob OR page_id IN (SELECT id FROM down) LIMIT 1";
    static const char leaves[] = "WITH RECURSIVE down(id) AS (SELECT id FROM page WHERE blob_id = "
                                 ":blob UNION SELECT p.id FROM page p "
                                 "JOIN down d ON p.parent_id = d.id) SELECT id FROM down WHERE NOT "
                                 "EXISTS (SELECT 1 FROM page c WHERE "
                                 "c.parent_id = down.id) LIMIT 1";
    int64_t id = 0;
    int rc = 0;
    do {
        rc = first_id(s, records, blob, &id, err);
        if (!rc && id) rc = rows_drop_snapshot(s, id, NULL, err);
    } while (!rc && id);
    while (!rc) {
        rc = first_id(s, leaves, blob, &id, err);
        if (rc || !id) break;
        rc = drop_pages_up(s, id, NULL, err);
    }
    return rc ? rc : drop_blob_if_unused(s, blob, NULL, err);
}

int rows_own_bytes(states *s, int64_t id, uint64_t *bytes, ox_err *err) {
    int64_t sum = 0;
    /* Pages up to the first that another record or another page hangs on; blobs that one row names.
     */
    struct query q = db_query(s->db, "WITH RECURSIVE own(id, parent, blob) AS (SELECT p.id, "
                                     "p.parent_id, p.blob_id FROM snapshot s JOIN "
                                     "page p ON p.id = s.page_id WHERE s.id = :id AND NOT EXISTS "
                                     "(SELECT 1 FROM page c WHERE c.parent_id "
                                     "= p.id) AND (SELECT count(*) FROM snapshot o WHERE o.page_id "
                                     "= p.id) = 1 UNION ALL SELECT p.id, "
                                     "p.parent_id, p.blob_id FROM page p JOIN own ON p.id = "
                                     "own.parent WHERE (SELECT count(*) FROM page c "
                                     "WHERE c.parent_id = p.id) = 1 AND NOT EXISTS (SELECT 1 FROM "
                                     "snapshot o WHERE o.page_id = p.id)), "
                                     "named(blob) AS (SELECT blob FROM own UNION SELECT "
                                     "state_blob_id FROM snapshot WHERE id = :id UNION "
                                     "SELECT tail_blob_id FROM snapshot WHERE id = :id) SELECT "
                                     "coalesce(sum(b.bytes), 0) FROM named JOIN "
                                     "blob b ON b.id = named.blob WHERE (SELECT count(*) FROM page "
                                     "p WHERE p.blob_id = b.id) + (SELECT "
                                     "count(*) FROM snapshot s WHERE s.state_blob_id = b.id) + "
                                     "(SELECT count(*) FROM snapshot s WHERE "
                                     "s.tail_blob_id = b.id) = 1");
    query_i64(&q, ":id", id);
    int rc = query_one(&q, &sum, err);
    *bytes = (uint64_t)sum;
    return rc;
}
