/* recover.c - answers that dead processes left open are closed when the database is opened: parts
 * joined, quotations checked. docs/STORE.md section 4. */
#include "app/store/cites.h"
#include "app/store/inner.h"

static int next_open(store *st, int64_t after, int64_t *id, int64_t *chat, ox_err *err) {
    struct query q = db_query(
        st->db, "SELECT m.id, coalesce((SELECT session_id FROM branch WHERE leaf_id = m.id), 0) "
                "FROM message m WHERE m.state = 'open' AND m.id > :after ORDER BY m.id LIMIT 1");
    query_i64(&q, ":after", after);
    *id = 0;
    if (query_row(&q)) {
        *id = query_col_i64(&q, 0);
        *chat = query_col_i64(&q, 1);
    }
    return query_end(&q, err);
}

bool store_has_open(store *st) {
    int64_t id = 0, chat = 0;
    return next_open(st, 0, &id, &chat, NULL) == 0 && id;
}

/* Its quotations too: whoever would have checked them at its end is dead. */
static int close_one(store *st, int64_t id, ox_err *err) {
    int rc = message_close(st, id, CHAT_CRASHED, NULL, NULL, err);
    if (rc) return rc;
    ox_err why = {0};
    rc = store_cites_check(st, id, &why);
    if (rc != OX_EIO && rc != OX_EDB) return 0; /* an answer without marks is still an answer */
    if (err) *err = why;
    return rc;
}

int store_recover(store *st, ox_err *err) {
    int64_t id = 0, chat = 0;
    for (;;) {
        int rc = next_open(st, id, &id, &chat, err);
        if (rc || !id) return rc;
        if (chat && store_chat_lock(st, chat, NULL)) continue; /* its process lives */
        rc = store_begin(st, err);
        if (!rc) rc = store_end(st, close_one(st, id, err), err);
        if (chat) store_chat_unlock(st, chat);
        /* A full disk or a busy neighbour must not keep the history from being read. */
        if (rc == OX_EIO || rc == OX_EBUSY || rc == OX_EUSAGE) rc = 0;
        if (rc) return ox_err_wrap(err, rc, "close interrupted answers");
    }
}
