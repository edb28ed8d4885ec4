/* settings.c - small things that must survive: drafts, the input history, the program's own facts.
 * A configuration key never comes here; that is the config file's. */
#include "app/store/inner.h"

#include <string.h>

enum { INPUT_KEPT = 1000 };

int store_draft_put(store *st, const char *place, const char *text, size_t n, size_t cursor,
                    ox_err *err) {
    bool own;
    struct buf clean = {0};
    int rc = text_repair(&clean, text, n, err);
    if (!rc) rc = store_step_begin(st, true, &own, err);
    if (rc) goto out;
    struct query q =
        n ? db_query(st->db,
                     "INSERT INTO draft (place, text, cursor, at_us) VALUES (:place, :text, "
                     ":cursor, :at) ON CONFLICT (place) DO UPDATE SET text = excluded.text, "
                     "cursor = excluded.cursor, at_us = excluded.at_us")
          : db_query(st->db, "DELETE FROM draft WHERE place = :place");
    query_str(&q, ":place", place);
    if (n) {
        query_text(&q, ":text", buf_str(&clean), clean.n);
        query_i64(&q, ":cursor", (int64_t)cursor);
        query_i64(&q, ":at", db_now_us());
    }
    rc = store_step_end(st, own, query_run(&q, err), err);
out:
    buf_deinit(&clean);
    return rc ? ox_err_wrap(err, rc, "keep the draft") : 0;
}

int store_draft_get(store *st, const char *place, char **text, size_t *n, size_t *cursor,
                    ox_err *err) {
    int rc = OX_ENOTFOUND;
    struct query q = db_query(st->db, "SELECT text, cursor FROM draft WHERE place = :place");
    query_str(&q, ":place", place);
    if (query_row(&q)) {
        const char *found = query_col_text(&q, 0, n);
        *text = ox_memdup(found, *n, "draft", err);
        *cursor = (size_t)query_col_i64(&q, 1);
        rc = *text ? 0 : OX_ENOMEM;
    }
    int end = query_end(&q, err);
    if (end) return end;
    return rc == OX_ENOTFOUND ? ox_err_set(err, rc, "no draft for %s", place) : rc;
}

int store_input_add(store *st, int64_t chat, const char *text, ox_err *err) {
    bool own;
    struct buf clean = {0};
    int rc = text_repair(&clean, text, strlen(text), err);
    if (!rc) rc = store_step_begin(st, true, &own, err);
    if (rc) goto out;
    struct query q = db_query(
        st->db, "INSERT INTO input_history (session_id, text, at_us) VALUES (:chat, :text, :at)");
    if (chat) query_i64(&q, ":chat", chat);
    query_text(&q, ":text", buf_str(&clean), clean.n);
    query_i64(&q, ":at", db_now_us());
    rc = query_run(&q, err);
    if (!rc) {
        q = db_query(st->db, "DELETE FROM input_history WHERE id <= (SELECT max(id) FROM "
                             "input_history) - :kept");
        query_i64(&q, ":kept", INPUT_KEPT);
        rc = query_run(&q, err);
    }
    rc = store_step_end(st, own, rc, err);
out:
    buf_deinit(&clean);
    return rc ? ox_err_wrap(err, rc, "keep the input history") : 0;
}

int store_input_list(store *st, size_t limit, int (*each)(void *user, const char *text), void *user,
                     ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        st->db, "SELECT text FROM input_history GROUP BY text ORDER BY max(id) DESC LIMIT :limit");
    query_i64(&q, ":limit", limit ? (int64_t)limit : -1);
    while (!rc && query_row(&q))
        rc = each(user, query_col_text(&q, 0, NULL));
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

int store_fact_put(store *st, const char *key, const char *value, ox_err *err) {
    bool own;
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return rc;
    struct query q = db_query(st->db, "INSERT INTO setting (key, value) VALUES (:key, :value) ON "
                                      "CONFLICT (key) DO UPDATE SET value = excluded.value");
    query_str(&q, ":key", key);
    query_str(&q, ":value", value);
    return store_step_end(st, own, query_run(&q, err), err);
}

int store_fact_get(store *st, const char *key, char **value, ox_err *err) {
    int rc = OX_ENOTFOUND;
    struct query q = db_query(st->db, "SELECT value FROM setting WHERE key = :key");
    query_str(&q, ":key", key);
    if (query_row(&q)) {
        *value = ox_strdup(query_col_text(&q, 0, NULL), "fact", err);
        rc = *value ? 0 : OX_ENOMEM;
    }
    int end = query_end(&q, err);
    if (end) return end;
    return rc == OX_ENOTFOUND ? ox_err_set(err, rc, "no fact %s", key) : rc;
}
