/* messages.c - messages of oxbow.db: added before the first token is computed (T1 of docs/STORE.md
 * section 4), kept while they stream (T2), closed with their ledger (T3), read back by path. */
#include "app/core/text.h"
#include "app/store/inner.h"
#include "app/store/migrate.h"

#include <stdio.h>
#include <string.h>

/* ---- adding ------------------------------------------------------------- */

struct place { /* of a new message in its tree */
    int64_t root, depth;
};

static int find_place(store *st, int64_t parent, struct place *out, ox_err *err) {
    *out = (struct place){0, 0};
    if (!parent) return 0;
    struct query q = db_query(st->db, "SELECT root_id, depth + 1 FROM message WHERE id = :id");
    query_i64(&q, ":id", parent);
    bool found = query_row(&q);
    if (found) *out = (struct place){query_col_i64(&q, 0), query_col_i64(&q, 1)};
    int rc = query_end(&q, err);
    if (rc || found) return rc;
    return ox_err_set(err, OX_ENOTFOUND, "no message %lld to go on from", (long long)parent);
}

static int insert_message(store *st, const struct chat_node *row, int64_t *id, ox_err *err) {
    struct place at;
    struct buf text = {0}, thought = {0};
    int rc = find_place(st, row->parent, &at, err);
    if (!rc) rc = text_repair(&text, row->text, row->n_bytes, err);
    if (!rc && row->thought) rc = text_repair(&thought, row->thought, row->n_thought, err);
    if (rc) goto out;
    int64_t now = row->created_us ? row->created_us : db_now_us();
    struct query q = db_query(
        st->db, "INSERT INTO message (root_id, parent_id, depth, role, state, text, thought, "
                "created_us, closed_us) VALUES (:root, :parent, :depth, :role, :state, :text, "
                ":thought, :created, :closed)");
    query_i64(&q, ":root", at.root);
    if (row->parent) query_i64(&q, ":parent", row->parent);
    query_i64(&q, ":depth", at.depth);
    query_str(&q, ":role", chat_role_name(row->role));
    query_str(&q, ":state", chat_end_name(row->end));
    query_text(&q, ":text", buf_str(&text), text.n);
    query_text(&q, ":thought", buf_str(&thought), thought.n);
    query_i64(&q, ":created", now);
    if (row->end != CHAT_OPEN) query_i64(&q, ":closed", now);
    rc = query_run(&q, err);
    if (rc) goto out;
    *id = sqlite3_last_insert_rowid(st->db->sq);
    if (!row->parent) {
        q = db_query(st->db, "UPDATE message SET root_id = id WHERE id = :id");
        query_i64(&q, ":id", *id);
        rc = query_run(&q, err);
    }
    if (!rc && row->end != CHAT_OPEN)
        rc = search_message(st->db, *id, buf_str(&text), text.n, true, err);
out:
    buf_deinit(&text);
    buf_deinit(&thought);
    return rc;
}

static int insert_attachments(store *st, int64_t id, const struct chat_node *row, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < row->n_docs; i++) {
        const struct chat_doc *d = &row->docs[i];
        struct query q = db_query(
            st->db,
            "INSERT INTO attachment (message_id, ordinal, doc_id, name, byte_start, byte_end) "
            "VALUES (:message, :ordinal, :doc, coalesce(:name, (SELECT name FROM document "
            "WHERE id = :doc), ''), :from, :to)");
        query_i64(&q, ":message", id);
        query_i64(&q, ":ordinal", (int64_t)i);
        if (d->doc) query_i64(&q, ":doc", d->doc);
        query_str(&q, ":name", d->name);
        query_i64(&q, ":from", (int64_t)d->from);
        query_i64(&q, ":to", (int64_t)d->to);
        rc = query_run(&q, err);
    }
    return rc;
}

/* The branch that ended at the parent now ends here; if none did, this message opens one. Undo,
 * edit and regenerate need nothing else. */
static int move_branch(store *st, int64_t chat, int64_t parent, int64_t leaf, ox_err *err) {
    int64_t branch = 0, now = db_now_us();
    struct query q = db_query(
        st->db, "SELECT id FROM branch WHERE session_id = :chat AND leaf_id = :parent "
                "ORDER BY id = (SELECT branch_id FROM session WHERE id = :chat) DESC LIMIT 1");
    query_i64(&q, ":chat", chat);
    query_i64(&q, ":parent", parent);
    int rc = query_one(&q, &branch, err);
    if (rc == OX_ENOTFOUND) rc = 0;
    if (rc) return rc;
    q = branch ? db_query(st->db,
                          "UPDATE branch SET leaf_id = :leaf, used_us = :now WHERE id = :branch")
               : db_query(st->db, "INSERT INTO branch (session_id, leaf_id, used_us) "
                                  "VALUES (:chat, :leaf, :now)");
    if (branch)
        query_i64(&q, ":branch", branch);
    else
        query_i64(&q, ":chat", chat);
    query_i64(&q, ":leaf", leaf);
    query_i64(&q, ":now", now);
    rc = query_run(&q, err);
    if (rc) return rc;
    if (!branch) branch = sqlite3_last_insert_rowid(st->db->sq);
    q = db_query(st->db, "UPDATE session SET branch_id = :branch, updated_us = :now, "
                         "model_id = coalesce(:model, model_id) WHERE id = :chat");
    query_i64(&q, ":branch", branch);
    query_i64(&q, ":now", now);
    if (st->model_id) query_i64(&q, ":model", st->model_id);
    query_i64(&q, ":chat", chat);
    return query_run(&q, err);
}

static int insert_part(store *st, int64_t id, const struct store_held *part, ox_err *err) {
    struct buf ids = {0};
    int rc = ids_pack(&ids, part->tok.v, part->tok.n, err);
    if (rc) goto out;
    struct query q = db_query(
        st->db, "INSERT INTO stream_part (message_id, seq, text, thought, ids, at_us) VALUES "
                "(:id, (SELECT coalesce(max(seq) + 1, 0) FROM stream_part WHERE message_id "
                "= :id), :text, :thought, :ids, :at)");
    query_i64(&q, ":id", id);
    query_blob(&q, ":text", part->text.p, part->text.n);
    query_blob(&q, ":thought", part->thought.p, part->thought.n);
    query_blob(&q, ":ids", ids.p, ids.n);
    query_i64(&q, ":at", db_now_us());
    rc = query_run(&q, err);
out:
    buf_deinit(&ids);
    return rc;
}

int store_msg_tokens_put(store *st, int64_t id, const int32_t *tok, size_t n, ox_err *err) {
    struct buf ids = {0};
    bool own;
    if (!st->vocab_id) return 0;
    int rc = ids_pack(&ids, tok, n, err);
    if (!rc) rc = store_step_begin(st, true, &own, err);
    if (rc) goto out;
    struct query q =
        db_query(st->db, "INSERT INTO message_tokens (message_id, vocab_id, ids) VALUES "
                         "(:id, :vocab, :ids) ON CONFLICT DO UPDATE SET ids = excluded.ids");
    query_i64(&q, ":id", id);
    query_i64(&q, ":vocab", st->vocab_id);
    query_blob(&q, ":ids", ids.p, ids.n);
    rc = store_step_end(st, own, query_run(&q, err), err);
out:
    buf_deinit(&ids);
    return rc;
}

/* Of an open answer the ids are the marks that open its turn: the first part of the stream. */
static int insert_tokens(store *st, int64_t id, const struct chat_node *row, ox_err *err) {
    if (!row->n_tok || !st->vocab_id) return 0;
    if (row->end != CHAT_OPEN) return store_msg_tokens_put(st, id, row->tok, row->n_tok, err);
    struct store_held part = {.tok = {row->tok, row->n_tok, row->n_tok}};
    return insert_part(st, id, &part, err);
}

int store_msg_add(store *st, int64_t chat, const struct chat_node *row, int64_t *id, ox_err *err) {
    int64_t made = 0;
    bool own;
    int rc = store_chat_lock(st, chat, err);
    if (!rc && row->end == CHAT_OPEN && row->n_bytes)
        rc = ox_err_set(err, OX_EUSAGE, "an open message starts empty");
    if (!rc) rc = store_step_begin(st, false, &own, err);
    if (rc) return ox_err_wrap(err, rc, "save message");
    rc = insert_message(st, row, &made, err);
    if (!rc) rc = insert_attachments(st, made, row, err);
    if (!rc) rc = insert_tokens(st, made, row, err);
    if (!rc) rc = move_branch(st, chat, row->parent, made, err);
    rc = store_step_end(st, own, rc, err);
    if (rc) return ox_err_wrap(err, rc, "save message");
    *id = made;
    return 0;
}

int store_run_start(store *st, int64_t id, const struct store_run *run, ox_err *err) {
    bool own;
    if (!st->model_id) return ox_err_set(err, OX_EUSAGE, "no model is in use");
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return rc;
    struct query q = db_query(
        st->db,
        "INSERT INTO run (message_id, model_id, engine, build, numerics, seed, sampling, stop, "
        "n_prompt, n_reused, n_replayed, n_out, load_us, prefill_us, decode_us, exact) VALUES "
        "(:id, :model, :engine, :build, :numerics, :seed, :sampling, '', :prompt, 0, 0, 0, 0, 0, "
        "0, 0)");
    query_i64(&q, ":id", id);
    query_i64(&q, ":model", st->model_id);
    query_str(&q, ":engine", run->engine);
    query_str(&q, ":build", migrate_build());
    query_i64(&q, ":numerics", (int64_t)run->numerics);
    query_i64(&q, ":seed", (int64_t)run->seed);
    query_i64(&q, ":prompt", (int64_t)run->n_prompt);
    query_str(&q, ":sampling", run->sampling ? run->sampling : "{}");
    rc = store_step_end(st, own, query_run(&q, err), err);
    return rc ? ox_err_wrap(err, rc, "save ledger") : 0;
}

static int update_run(store *st, int64_t id, const struct chat_ledger *cost, const char *stop,
                      ox_err *err) {
    struct query q = db_query(
        st->db,
        "UPDATE run SET stop = :stop, n_prompt = CASE WHEN :in > 0 THEN :in ELSE n_prompt END, "
        "n_reused = :reused, n_replayed = "
        ":replayed, n_out = :out, load_us = :load, prefill_us = :prefill, decode_us = :decode, "
        "exact = :exact, engine = coalesce(:engine, engine) WHERE message_id = :id");
    query_str(&q, ":stop", stop);
    query_i64(&q, ":in", (int64_t)cost->n_in);
    query_i64(&q, ":reused", (int64_t)cost->n_reused);
    query_i64(&q, ":replayed", (int64_t)cost->n_replayed);
    query_i64(&q, ":out", (int64_t)cost->n_out);
    query_i64(&q, ":load", (int64_t)(cost->load_s * 1e6));
    query_i64(&q, ":prefill", (int64_t)(cost->prefill_s * 1e6));
    query_i64(&q, ":decode", (int64_t)(cost->decode_s * 1e6));
    query_i64(&q, ":exact", cost->exact);
    if (cost->ran == CHAT_RAN_REMOTE_ABOUT) query_str(&q, ":engine", chat_ran_name(cost->ran));
    query_i64(&q, ":id", id);
    return query_run(&q, err);
}

int store_run_end(store *st, int64_t id, const struct chat_ledger *cost, const char *stop,
                  ox_err *err) {
    bool own;
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return rc;
    rc = store_step_end(st, own, update_run(st, id, cost, stop, err), err);
    return rc ? ox_err_wrap(err, rc, "save ledger") : 0;
}

/* ---- streaming ---------------------------------------------------------- */

static void empty_held(struct store_held *h) {
    h->id = 0;
    h->is_written = false;
    buf_cut(&h->text, 0);
    buf_cut(&h->thought, 0);
    h->tok.n = 0;
}

void store_held_committed(store *st, bool committed) {
    if (committed && st->held.is_written) empty_held(&st->held);
    st->held.is_written = false;
}

static int hold(struct store_held *h, const struct chat_node *more, ox_err *err) {
    size_t n_text = h->text.n, n_thought = h->thought.n;
    int rc = ox_grow(&h->tok.v, &h->tok.cap, h->tok.n + more->n_tok, sizeof *h->tok.v, err);
    if (!rc) rc = buf_add(&h->text, more->text, more->n_bytes, err);
    if (!rc && more->n_thought) rc = buf_add(&h->thought, more->thought, more->n_thought, err);
    if (rc) {
        buf_cut(&h->text, n_text);
        buf_cut(&h->thought, n_thought);
        return rc;
    }
    if (more->n_tok) memcpy(h->tok.v + h->tok.n, more->tok, more->n_tok * sizeof *more->tok);
    h->tok.n += more->n_tok;
    return 0;
}

static int write_held(store *st, ox_err *err) {
    struct store_held *h = &st->held;
    bool own;
    if (!h->id || h->is_written) return 0;
    int rc = store_step_begin(st, true, &own, err);
    if (rc) return rc;
    rc = insert_part(st, h->id, h, err);
    h->is_written = rc == 0;
    return store_step_end(st, own, rc, err);
}

int store_msg_extend(store *st, int64_t id, const struct chat_node *more, ox_err *err) {
    struct store_held *h = &st->held;
    int rc = 0;
    if (h->id && (h->id != id || h->is_written)) {
        /* Of another message, or written in this very transaction: its own row comes first. */
        rc = write_held(st, err);
        if (rc) return ox_err_wrap(err, rc, "keep the answer");
        empty_held(h);
    }
    h->id = id;
    rc = hold(h, more, err);
    if (!rc) rc = write_held(st, err);
    if (rc == OX_EBUSY) return 0; /* kept, goes with the next */
    return rc ? ox_err_wrap(err, rc, "keep the answer") : 0;
}

static int run_with_id(store *st, const char *sql, int64_t id, ox_err *err) {
    struct query q = db_query(st->db, sql);
    query_i64(&q, ":id", id);
    return query_run(&q, err);
}

/* ---- going on ------------------------------------------------------------ */

/* No longer found by its words; its quotations are checked anew when it is closed again, and its
 * ids, in whatever vocabulary, would end where it was stopped. */
static int forget_closed(store *st, int64_t id, ox_err *err) {
    struct query q = db_query(st->db, "SELECT text FROM message WHERE id = :id");
    struct buf text = {0};
    query_i64(&q, ":id", id);
    int rc = 0;
    if (query_row(&q)) {
        size_t n;
        const char *p = query_col_text(&q, 0, &n);
        rc = buf_add(&text, p, n, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    if (!rc) rc = end;
    if (!rc) rc = search_message(st->db, id, buf_str(&text), text.n, false, err);
    if (!rc) rc = run_with_id(st, "DELETE FROM citation WHERE message_id = :id", id, err);
    if (!rc) rc = run_with_id(st, "DELETE FROM message_tokens WHERE message_id = :id", id, err);
    buf_deinit(&text);
    return rc;
}

static int open_again(store *st, int64_t chat, int64_t id, ox_err *err) {
    struct query q = db_query(
        st->db,
        "UPDATE message SET state = 'open', closed_us = NULL WHERE id = :id AND role = 'assistant' "
        "AND state IN ('stopped', 'length', 'crashed', 'failed') AND NOT EXISTS (SELECT 1 FROM "
        "message c WHERE c.parent_id = :id) AND NOT EXISTS (SELECT 1 FROM branch b WHERE b.leaf_id "
        "= :id AND b.session_id <> :chat)");
    query_i64(&q, ":id", id);
    query_i64(&q, ":chat", chat);
    int rc = query_run(&q, err);
    if (rc || sqlite3_changes(st->db->sq) == 1) return rc;
    ox_err_set(err, OX_EUSAGE, "this answer cannot go on: it is complete, or others go on from it");
    return ox_err_fix(err, "/regen writes another one");
}

/* The ledger names who wrote last: in that model's vocabulary the ids are closed. */
static int take_over_run(store *st, int64_t id, ox_err *err) {
    if (!st->model_id) return 0;
    struct query q = db_query(st->db, "UPDATE run SET model_id = :model WHERE message_id = :id");
    query_i64(&q, ":model", st->model_id);
    query_i64(&q, ":id", id);
    return query_run(&q, err);
}

int store_msg_reopen(store *st, int64_t chat, int64_t id, const struct chat_node *so_far,
                     ox_err *err) {
    struct store_held part = {.tok = {so_far->tok, so_far->n_tok, so_far->n_tok}};
    bool own;
    int rc = store_chat_lock(st, chat, err);
    if (!rc) rc = store_step_begin(st, false, &own, err);
    if (rc) return ox_err_wrap(err, rc, "go on with an answer");
    rc = forget_closed(st, id, err);
    if (!rc) rc = open_again(st, chat, id, err);
    if (!rc) rc = take_over_run(st, id, err);
    if (!rc) rc = buf_add(&part.text, so_far->text ? so_far->text : "", so_far->n_bytes, err);
    if (!rc && so_far->n_thought)
        rc = buf_add(&part.thought, so_far->thought, so_far->n_thought, err);
    if (!rc) rc = insert_part(st, id, &part, err);
    rc = store_step_end(st, own, rc, err);
    buf_deinit(&part.text);
    buf_deinit(&part.thought);
    return rc ? ox_err_wrap(err, rc, "go on with an answer") : 0;
}

/* ---- closing ------------------------------------------------------------ */

void joined_deinit(struct joined *j) {
    buf_deinit(&j->text);
    buf_deinit(&j->thought);
    buf_deinit(&j->ids);
}

int join_parts(store *st, int64_t id, struct joined *out, ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        st->db, "SELECT text, thought, ids FROM stream_part WHERE message_id = :id ORDER BY seq");
    query_i64(&q, ":id", id);
    while (!rc && query_row(&q)) {
        size_t n;
        const void *p = query_col_blob(&q, 0, &n);
        rc = buf_add(&out->text, p, n, err);
        p = query_col_blob(&q, 1, &n);
        if (!rc) rc = buf_add(&out->thought, p, n, err);
        p = query_col_blob(&q, 2, &n);
        if (!rc) rc = buf_add(&out->ids, p, n, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* In place: bytes become text that may be shown. */
int repair_joined(struct joined *j, ox_err *err) {
    struct buf text = {0}, thought = {0};
    int rc = text_repair(&text, j->text.p, j->text.n, err);
    if (!rc) rc = text_repair(&thought, j->thought.p, j->thought.n, err);
    if (rc) {
        buf_deinit(&text);
        buf_deinit(&thought);
        return rc;
    }
    buf_deinit(&j->text);
    buf_deinit(&j->thought);
    j->text = text;
    j->thought = thought;
    return 0;
}

static int close_row(store *st, int64_t id, enum chat_end how, const struct joined *j,
                     ox_err *err) {
    struct query q =
        db_query(st->db, "UPDATE message SET text = :text, thought = :thought, "
                         "state = :state, closed_us = :now WHERE id = :id AND state = 'open'");
    query_text(&q, ":text", buf_str(&j->text), j->text.n);
    query_text(&q, ":thought", buf_str(&j->thought), j->thought.n);
    query_str(&q, ":state", chat_end_name(how));
    query_i64(&q, ":now", db_now_us());
    query_i64(&q, ":id", id);
    int rc = query_run(&q, err);
    if (!rc && sqlite3_changes(st->db->sq) != 1)
        rc = ox_err_set(err, OX_EUSAGE, "message %lld is not open", (long long)id);
    return rc;
}

/* The vocabulary of parts is that of the run's model: at a recovery no model is in use yet. */
static int keep_ids(store *st, int64_t id, const struct joined *j, ox_err *err) {
    if (!j->ids.n) return 0;
    struct query q = db_query(
        st->db,
        "INSERT OR REPLACE INTO message_tokens (message_id, vocab_id, ids) SELECT :id, vocab, "
        ":ids FROM (SELECT coalesce((SELECT m.vocab_id FROM run r JOIN model m ON m.id = "
        "r.model_id WHERE r.message_id = :id), :vocab) AS vocab) WHERE vocab > 0");
    query_i64(&q, ":id", id);
    query_blob(&q, ":ids", j->ids.p, j->ids.n);
    query_i64(&q, ":vocab", st->vocab_id);
    return query_run(&q, err);
}

/* It never told what it took: what it left is what it generated. */
static int count_cut(store *st, int64_t id, const struct joined *j, ox_err *err) {
    struct query q = db_query(st->db, "UPDATE run SET n_out = :out WHERE message_id = :id");
    query_i64(&q, ":out", (int64_t)(j->ids.n / 4));
    query_i64(&q, ":id", id);
    return query_run(&q, err);
}

int message_close(store *st, int64_t id, enum chat_end how, const struct chat_ledger *cost,
                  const char *stop, ox_err *err) {
    struct joined j = {0};
    int rc = join_parts(st, id, &j, err);
    if (!rc) rc = repair_joined(&j, err);
    if (!rc) rc = close_row(st, id, how, &j, err);
    if (!rc) rc = keep_ids(st, id, &j, err);
    if (!rc) rc = search_message(st->db, id, buf_str(&j.text), j.text.n, true, err);
    if (!rc) rc = run_with_id(st, "DELETE FROM stream_part WHERE message_id = :id", id, err);
    if (!rc && cost) rc = update_run(st, id, cost, stop ? stop : chat_end_name(how), err);
    if (!rc && !(cost && cost->n_in)) rc = count_cut(st, id, &j, err);
    if (!rc)
        rc =
            run_with_id(st,
                        "UPDATE session SET updated_us = (SELECT closed_us FROM message WHERE id = "
                        ":id) WHERE id IN (SELECT session_id FROM branch WHERE leaf_id = :id)",
                        id, err);
    joined_deinit(&j);
    return rc;
}

int store_msg_finish(store *st, int64_t id, enum chat_end how, const struct chat_ledger *cost,
                     const char *stop, ox_err *err) {
    bool own;
    if (how == CHAT_OPEN) return ox_err_set(err, OX_EUSAGE, "an answer cannot end as open");
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return ox_err_wrap(err, rc, "save answer");
    if (st->held.id == id) rc = write_held(st, err);
    if (!rc) rc = message_close(st, id, how, cost, stop, err);
    rc = store_step_end(st, own, rc, err);
    return rc ? ox_err_wrap(err, rc, "save answer") : 0;
}

/* ---- deleting ----------------------------------------------------------- */

int store_prune(store *st, int64_t leaf, size_t *n_deleted, ox_err *err) {
    int rc = 0;
    while (!rc && leaf) {
        int64_t parent = 0;
        struct query q = db_query(
            st->db,
            "SELECT coalesce(parent_id, 0), text, state FROM message m WHERE id = :id AND NOT "
            "EXISTS (SELECT 1 FROM message c WHERE c.parent_id = m.id) AND NOT EXISTS "
            "(SELECT 1 FROM branch b WHERE b.leaf_id = m.id)");
        query_i64(&q, ":id", leaf);
        bool found = query_row(&q);
        if (found) {
            size_t n;
            const char *text = query_col_text(&q, 1, &n);
            parent = query_col_i64(&q, 0);
            if (strcmp(query_col_text(&q, 2, NULL), "open") != 0)
                rc = search_message(st->db, leaf, text, n, false, err);
        }
        int end = query_end(&q, rc ? NULL : err);
        if (!rc) rc = end;
        if (rc || !found) break;
        rc = run_with_id(st, "DELETE FROM message WHERE id = :id", leaf, err);
        if (!rc && n_deleted) ++*n_deleted;
        leaf = parent;
    }
    return rc;
}
