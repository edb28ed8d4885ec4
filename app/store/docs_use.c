/* docs_use.c - what is made of documents: citations of answers, and long summaries in parts (T6 of
 * docs/STORE.md section 4). */
#include "app/store/docs.h"
#include "app/store/inner.h"

#include <string.h>

/* ---- citations ---------------------------------------------------------- */

static int clear_cites(store *st, int64_t message, ox_err *err) {
    struct query q = db_query(st->db, "DELETE FROM citation WHERE message_id = :id");
    query_i64(&q, ":id", message);
    return query_run(&q, err);
}

static int insert_cite(store *st, int64_t message, size_t ordinal, const struct store_cite *c,
                       ox_err *err) {
    struct query q = db_query(
        st->db,
        "INSERT INTO citation (message_id, ordinal, msg_start, msg_end, quote, verdict, doc_id, "
        "byte_start, byte_end, line_start, line_end, page) VALUES (:message, :ordinal, :msg_from, "
        ":msg_to, :quote, :verdict, :doc, :from, :to, :line_from, :line_to, :page)");
    query_i64(&q, ":message", message);
    query_i64(&q, ":ordinal", (int64_t)ordinal);
    query_i64(&q, ":msg_from", (int64_t)c->msg_from);
    query_i64(&q, ":msg_to", (int64_t)c->msg_to);
    query_str(&q, ":quote", c->quote ? c->quote : "");
    query_str(&q, ":verdict", cite_verdict_name(c->verdict));
    if (c->verdict != CITE_MISSING) {
        if (c->doc) query_i64(&q, ":doc", c->doc);
        query_i64(&q, ":from", (int64_t)c->from);
        query_i64(&q, ":to", (int64_t)c->to);
        query_i64(&q, ":line_from", (int64_t)c->line_from);
        query_i64(&q, ":line_to", (int64_t)c->line_to);
        query_i64(&q, ":page", (int64_t)c->page);
    }
    return query_run(&q, err);
}

int store_cite_put(store *st, int64_t message, const struct store_cite *v, size_t n, ox_err *err) {
    bool own;
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return ox_err_wrap(err, rc, "save citations");
    rc = clear_cites(st, message, err);
    for (size_t i = 0; !rc && i < n; i++)
        rc = insert_cite(st, message, i, &v[i], err);
    rc = store_step_end(st, own, rc, err);
    return rc ? ox_err_wrap(err, rc, "save citations") : 0;
}

int store_cite_append(store *st, int64_t message, const struct store_cite *c, ox_err *err) {
    int64_t n = 0;
    struct query q = db_query(st->db, "SELECT count(*) FROM citation WHERE message_id = :id");
    query_i64(&q, ":id", message);
    int rc = query_one(&q, &n, err);
    return rc ? rc : insert_cite(st, message, (size_t)n, c, err);
}

enum cite_verdict store_verdict_parse(const char *name) {
    for (int v = CITE_EXACT; v <= CITE_MISSING; v++)
        if (strcmp(cite_verdict_name((enum cite_verdict)v), name) == 0) return (enum cite_verdict)v;
    return CITE_NONE;
}

int store_cite_list(store *st, int64_t message,
                    int (*each)(void *user, const struct store_cite *row), void *user,
                    ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        st->db,
        "SELECT msg_start, msg_end, quote, verdict, coalesce(doc_id, 0), byte_start, byte_end, "
        "line_start, line_end, page FROM citation WHERE message_id = :id ORDER BY ordinal");
    query_i64(&q, ":id", message);
    while (!rc && query_row(&q)) {
        struct store_cite row = {.msg_from = (size_t)query_col_i64(&q, 0),
                                 .msg_to = (size_t)query_col_i64(&q, 1),
                                 .quote = query_col_text(&q, 2, NULL),
                                 .verdict = store_verdict_parse(query_col_text(&q, 3, NULL)),
                                 .doc = query_col_i64(&q, 4),
                                 .from = (size_t)query_col_i64(&q, 5),
                                 .to = (size_t)query_col_i64(&q, 6),
                                 .line_from = (size_t)query_col_i64(&q, 7),
                                 .line_to = (size_t)query_col_i64(&q, 8),
                                 .page = (size_t)query_col_i64(&q, 9)};
        rc = each(user, &row);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* ---- long summaries ----------------------------------------------------- */

static const char *const JOB_STATES[] = {"running", "stopped", "done", "failed"};

static int insert_job(store *st, int64_t doc, const char *options, ox_err *err) {
    struct query q = db_query(
        st->db,
        "INSERT INTO job (doc_id, model_id, options, state, created_us) VALUES (:doc, :model, "
        ":options, 'stopped', :now) ON CONFLICT (doc_id, model_id, options) DO NOTHING");
    query_i64(&q, ":doc", doc);
    query_i64(&q, ":model", st->model_id);
    query_str(&q, ":options", options);
    query_i64(&q, ":now", db_now_us());
    return query_run(&q, err);
}

static int find_job(store *st, int64_t doc, const char *options, int64_t *job,
                    enum store_job_state *was, ox_err *err) {
    struct query q =
        db_query(st->db, "SELECT id, state FROM job WHERE doc_id = :doc AND model_id = "
                         ":model AND options = :options");
    query_i64(&q, ":doc", doc);
    query_i64(&q, ":model", st->model_id);
    query_str(&q, ":options", options);
    if (query_row(&q)) {
        const char *state = query_col_text(&q, 1, NULL);
        *job = query_col_i64(&q, 0);
        for (int i = 0; i < 4; i++)
            if (strcmp(JOB_STATES[i], state) == 0) *was = (enum store_job_state)i;
    }
    return query_end(&q, err);
}

int store_job_open(store *st, int64_t doc, const char *options, int64_t *job,
                   enum store_job_state *was, ox_err *err) {
    bool own;
    if (!st->model_id) return ox_err_set(err, OX_EUSAGE, "no model is in use");
    int rc = store_step_begin(st, true, &own, err);
    if (rc) return ox_err_wrap(err, rc, "open summary");
    rc = insert_job(st, doc, options, err);
    if (!rc) rc = find_job(st, doc, options, job, was, err);
    rc = store_step_end(st, own, rc, err);
    return rc ? ox_err_wrap(err, rc, "open summary") : 0;
}

int store_job_restart(store *st, int64_t job, ox_err *err) {
    bool own;
    int rc = store_step_begin(st, true, &own, err);
    if (rc) return rc;
    struct query q = db_query(st->db, "DELETE FROM job_part WHERE job_id = :id");
    query_i64(&q, ":id", job);
    return store_step_end(st, own, query_run(&q, err), err);
}

int store_job_part(store *st, int64_t job, const struct store_part *part, ox_err *err) {
    bool own;
    int rc = store_step_begin(st, true, &own, err);
    if (rc) return ox_err_wrap(err, rc, "keep a part of the summary");
    struct query q = db_query(
        st->db, "INSERT OR REPLACE INTO job_part (job_id, level, idx, byte_start, byte_end, text, "
                "tokens) VALUES (:job, :level, :idx, :from, :to, :text, :tokens)");
    query_i64(&q, ":job", job);
    query_i64(&q, ":level", part->level);
    query_i64(&q, ":idx", part->idx);
    query_i64(&q, ":from", (int64_t)part->from);
    query_i64(&q, ":to", (int64_t)part->to);
    query_str(&q, ":text", part->text);
    query_i64(&q, ":tokens", (int64_t)part->n_tokens);
    rc = store_step_end(st, own, query_run(&q, err), err);
    return rc ? ox_err_wrap(err, rc, "keep a part of the summary") : 0;
}

int store_job_parts(store *st, int64_t job, int (*each)(void *user, const struct store_part *row),
                    void *user, ox_err *err) {
    int rc = 0;
    struct query q =
        db_query(st->db, "SELECT level, idx, byte_start, byte_end, text, tokens FROM job_part "
                         "WHERE job_id = :job ORDER BY level, idx");
    query_i64(&q, ":job", job);
    while (!rc && query_row(&q)) {
        struct store_part row = {.level = (int)query_col_i64(&q, 0),
                                 .idx = (int)query_col_i64(&q, 1),
                                 .from = (size_t)query_col_i64(&q, 2),
                                 .to = (size_t)query_col_i64(&q, 3),
                                 .text = query_col_text(&q, 4, NULL),
                                 .n_tokens = (size_t)query_col_i64(&q, 5)};
        rc = each(user, &row);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

int store_job_end(store *st, int64_t job, enum store_job_state how, int64_t result_message,
                  ox_err *err) {
    bool own;
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return rc;
    struct query q =
        db_query(st->db, "UPDATE job SET state = :state, result_id = :result WHERE id = :job");
    query_str(&q, ":state", JOB_STATES[how]);
    if (result_message) query_i64(&q, ":result", result_message);
    query_i64(&q, ":job", job);
    return store_step_end(st, own, query_run(&q, err), err);
}
