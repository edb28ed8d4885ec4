/* chats.c - conversations of oxbow.db (table `session`) and their branches: finding, listing,
 * locking, forking, deleting. What they consist of is in messages.c. */
#include "app/core/text.h"
#include "app/store/inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TITLE_BYTES = 200, SHORT_UID = 4, N_CLOSEST = 3 };

/* ---- titles ------------------------------------------------------------- */

/* The first line that says something, without control characters, cut at a character. */
static int clean_title(struct buf *out, const char *title, ox_err *err) {
    while (*title == ' ' || *title == '\n' || *title == '\t' || *title == '\r')
        title++;
    size_t n = strcspn(title, "\r\n");
    if (n > TITLE_BYTES) n = text_floor(title, strlen(title), TITLE_BYTES);
    int rc = text_repair(out, title, n, err);
    for (size_t i = 0; i < out->n; i++)
        if ((unsigned char)out->p[i] < 0x20 || out->p[i] == 0x7f) out->p[i] = ' ';
    return rc;
}

static int check_title(const char *title, ox_err *err) {
    size_t n = strlen(title), at = 0;
    bool has_text = false;
    const char *wrong = NULL;
    while (!wrong && at < n) {
        int32_t cp;
        at += text_next(title + at, n - at, &cp);
        if (cp < 0)
            wrong = "a title must be UTF-8 text";
        else if (text_is_control(cp))
            wrong = "a title cannot hold control characters";
        has_text = has_text || cp != ' ';
    }
    if (!wrong && !has_text) wrong = "an empty title";
    if (!wrong && n <= TITLE_BYTES) return 0;
    if (wrong)
        ox_err_set(err, OX_EUSAGE, "%s", wrong);
    else
        ox_err_set(err, OX_EUSAGE, "a title of %zu bytes", n);
    return ox_err_fix(err, "one line of text, at most %d bytes", TITLE_BYTES);
}

static const char *title_by_name(enum store_title_by by) {
    static const char *const names[] = {"line", "model", "user"};
    return names[by];
}

int store_chat_title(store *st, int64_t chat, const char *title, enum store_title_by by,
                     ox_err *err) {
    bool own;
    int rc = check_title(title, err);
    if (!rc) rc = store_step_begin(st, false, &own, err);
    if (rc) return rc;
    struct query q =
        db_query(st->db, "UPDATE session SET title = :title, title_by = :by WHERE id = "
                         ":id AND (:by = 'user' OR title_by <> 'user')");
    query_str(&q, ":title", title);
    query_str(&q, ":by", title_by_name(by));
    query_i64(&q, ":id", chat);
    return store_step_end(st, own, query_run(&q, err), err);
}

/* ---- making, finding ---------------------------------------------------- */

static int insert_chat(store *st, const char *title, const char *forked_from, int64_t *chat,
                       ox_err *err) {
    struct buf clean = {0};
    char uid[17];
    int rc = clean_title(&clean, title ? title : "", err);
    if (rc) goto out;
    db_new_uid(uid);
    struct query q =
        db_query(st->db, "INSERT INTO session (uid, title, model_id, forked_from, "
                         "created_us, updated_us) VALUES (:uid, :title, :model, :from, "
                         ":now, :now)");
    query_str(&q, ":uid", uid);
    query_str(&q, ":title", buf_str(&clean));
    if (st->model_id) query_i64(&q, ":model", st->model_id);
    query_str(&q, ":from", forked_from);
    query_i64(&q, ":now", db_now_us());
    rc = query_run(&q, err);
    if (!rc) *chat = sqlite3_last_insert_rowid(st->db->sq);
out:
    buf_deinit(&clean);
    return rc;
}

int store_chat_new(store *st, const char *title, int64_t *chat, ox_err *err) {
    bool own;
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return ox_err_wrap(err, rc, "new session");
    rc = insert_chat(st, title, NULL, chat, err);
    rc = store_step_end(st, own, rc, err);
    return rc ? ox_err_wrap(err, rc, "new session") : 0;
}

int store_chat_last(store *st, int64_t *chat, int64_t *leaf, ox_err *err) {
    struct query q =
        db_query(st->db, "SELECT s.id, b.leaf_id FROM session s JOIN branch b ON b.id = "
                         "s.branch_id ORDER BY s.updated_us DESC, s.id DESC LIMIT 1");
    bool found = query_row(&q);
    if (found) {
        *chat = query_col_i64(&q, 0);
        *leaf = query_col_i64(&q, 1);
    }
    int rc = query_end(&q, err);
    if (rc || found) return rc;
    return ox_err_set(err, OX_ENOTFOUND, "there is no session yet");
}

static bool is_uid_prefix(const char *name) {
    size_t n = strlen(name);
    return n >= SHORT_UID && n <= 16 && strspn(name, "0123456789abcdef") == n;
}

struct match {
    int64_t id;
    char uid[17];
    size_t n;
};

static int find_matches(store *st, const char *sql, const char *name, struct match out[2],
                        size_t *n, ox_err *err) {
    struct query q = db_query(st->db, sql);
    query_str(&q, ":name", name);
    for (*n = 0; *n < 2 && query_row(&q); ++*n) {
        out[*n].id = query_col_i64(&q, 0);
        snprintf(out[*n].uid, sizeof out[*n].uid, "%s", query_col_text(&q, 1, NULL));
    }
    return query_end(&q, err);
}

/* "did you mean": the nearest by edit distance to a title or to the start of a uid. */
static int name_closest(store *st, const char *name, ox_err *err) {
    struct near {
        size_t distance;
        char text[64];
    } best[N_CLOSEST];
    size_t n = 0;
    struct query q = db_query(st->db, "SELECT substr(uid, 1, 4), title FROM session "
                                      "ORDER BY updated_us DESC LIMIT 1000");
    while (query_row(&q)) {
        const char *uid = query_col_text(&q, 0, NULL), *title = query_col_text(&q, 1, NULL);
        size_t by_uid = text_distance(name, uid), by_title = text_distance(name, title);
        struct near row = {.distance = by_uid < by_title ? by_uid : by_title};
        size_t cut = text_floor(title, strlen(title), 40);
        snprintf(row.text, sizeof row.text, "%s \"%.*s\"", uid, (int)cut, title);
        size_t at = n < N_CLOSEST ? n : N_CLOSEST - 1;
        if (n == N_CLOSEST && best[at].distance <= row.distance) continue;
        if (n < N_CLOSEST) n++;
        for (; at > 0 && best[at - 1].distance > row.distance; at--)
            best[at] = best[at - 1];
        best[at] = row;
    }
    int rc = query_end(&q, err);
    if (rc) return rc;
    ox_err_set(err, OX_ENOTFOUND, "no session \"%.80s\"", name);
    if (n == 0) return ox_err_fix(err, "there is no session yet");
    return ox_err_fix(err, "the closest: %s%s%s%s%s", best[0].text, n > 1 ? ", " : "",
                      n > 1 ? best[1].text : "", n > 2 ? ", " : "", n > 2 ? best[2].text : "");
}

/* "3" is the third of store_chat_list; ids have four digits or more. OX_ENOTFOUND: it is no such
 * number. */
static int find_nth(store *st, const char *name, int64_t *chat, ox_err *err) {
    size_t n = strspn(name, "0123456789");
    if (name[n] || n == 0 || n > 3 || name[0] == '0') return OX_ENOTFOUND;
    struct query q = db_query(st->db, "SELECT id FROM session ORDER BY pinned DESC, updated_us "
                                      "DESC, id DESC LIMIT 1 OFFSET CAST(:number AS INTEGER) - 1");
    query_str(&q, ":number", name);
    return query_one(&q, chat, err);
}

int store_chat_find(store *st, const char *name, int64_t *chat, ox_err *err) {
    struct match m[2];
    size_t n = 0;
    int rc = find_nth(st, name, chat, NULL);
    if (rc != OX_ENOTFOUND) return rc ? ox_err_set(err, rc, "cannot read the list") : 0;
    rc = 0;
    if (is_uid_prefix(name))
        rc = find_matches(st,
                          "SELECT id, uid FROM session WHERE uid >= :name AND uid < :name || 'g' "
                          "LIMIT 2",
                          name, m, &n, err);
    if (!rc && n == 0)
        rc = find_matches(st,
                          "SELECT id, uid FROM session WHERE has_words(title, :name) AND "
                          "length(CAST(title AS BLOB)) = length(CAST(:name AS BLOB)) LIMIT 2",
                          name, m, &n, err);
    if (rc) return rc;
    if (n == 1) {
        *chat = m[0].id;
        return 0;
    }
    if (n == 0) return name_closest(st, name, err);
    ox_err_set(err, OX_EUSAGE, "\"%.80s\" names more than one session: %s and %s", name, m[0].uid,
               m[1].uid);
    ox_err_fix(err, "give more digits of the id");
    return OX_EUSAGE;
}

/* ---- rows of the picker ------------------------------------------------- */

#define CHAT_COLUMNS                                                                               \
    "SELECT s.id, s.uid, s.title, s.title_by, s.pinned, s.created_us, s.updated_us, "              \
    "coalesce(s.forked_from, ''), coalesce(s.branch_id, 0), coalesce(b.leaf_id, 0), "              \
    "coalesce(m.name, "                                                                            \
    "''), (SELECT count(*) FROM branch x WHERE x.session_id = s.id) FROM session s LEFT JOIN "     \
    "branch b "                                                                                    \
    "ON b.id = s.branch_id LEFT JOIN model m ON m.id = s.model_id "

static int count_path(store *st, int64_t leaf, size_t *turns, size_t *tokens, size_t *docs,
                      ox_err *err) {
    struct query q = db_query(
        st->db,
        "WITH RECURSIVE up(id, parent, role, depth) AS (SELECT id, parent_id, role, depth FROM "
        "message "
        "WHERE id = :leaf UNION ALL SELECT p.id, p.parent_id, p.role, p.depth FROM message p JOIN "
        "up ON "
        "p.id = up.parent AND p.depth < up.depth) SELECT coalesce(sum(role = 'user'), 0), "
        "coalesce((SELECT r.n_prompt + r.n_out FROM up JOIN run r ON r.message_id = up.id WHERE "
        "r.n_prompt > 0 ORDER BY up.depth DESC LIMIT 1), 0), (SELECT count(DISTINCT a.doc_id) FROM "
        "up "
        "JOIN attachment a ON a.message_id = up.id) FROM up");
    query_i64(&q, ":leaf", leaf);
    if (query_row(&q)) {
        *turns = (size_t)query_col_i64(&q, 0);
        *tokens = (size_t)query_col_i64(&q, 1);
        *docs = (size_t)query_col_i64(&q, 2);
    }
    return query_end(&q, err);
}

static int read_chat(store *st, struct query *q, struct store_chat *row, ox_err *err) {
    *row = (struct store_chat){.id = query_col_i64(q, 0),
                               .pinned = query_col_i64(q, 4) != 0,
                               .created_us = query_col_i64(q, 5),
                               .updated_us = query_col_i64(q, 6),
                               .branch = query_col_i64(q, 8),
                               .leaf = query_col_i64(q, 9),
                               .n_branches = (size_t)query_col_i64(q, 11)};
    const char *by = query_col_text(q, 3, NULL);
    row->title_by = *by == 'u'   ? STORE_TITLE_USER
                    : *by == 'm' ? STORE_TITLE_MODEL
                                 : STORE_TITLE_LINE;
    snprintf(row->uid, sizeof row->uid, "%s", query_col_text(q, 1, NULL));
    snprintf(row->title, sizeof row->title, "%s", query_col_text(q, 2, NULL));
    snprintf(row->forked_from, sizeof row->forked_from, "%s", query_col_text(q, 7, NULL));
    size_t n;
    const char *model = query_col_text(q, 10, &n);
    n = text_floor(model, n, sizeof row->model - 1);
    snprintf(row->model, sizeof row->model, "%.*s", (int)n, model);
    return count_path(st, row->leaf, &row->n_turns, &row->n_tokens, &row->n_docs, err);
}

int store_chat_get(store *st, int64_t chat, struct store_chat *out, ox_err *err) {
    int rc = OX_ENOTFOUND;
    struct query q = db_query(st->db, CHAT_COLUMNS "WHERE s.id = :id");
    query_i64(&q, ":id", chat);
    if (query_row(&q)) rc = read_chat(st, &q, out, err);
    int end = query_end(&q, err);
    if (end) return end;
    return rc == OX_ENOTFOUND ? ox_err_set(err, rc, "no session %lld", (long long)chat) : rc;
}

int store_chat_list(store *st, const struct store_filter *f,
                    int (*each)(void *user, const struct store_chat *row), void *user,
                    ox_err *err) {
    static const struct store_filter all = {0};
    int rc = 0;
    if (!f) f = &all;
    struct query q =
        db_query(st->db, CHAT_COLUMNS
                 "WHERE s.updated_us >= :since AND (:before = 0 OR (s.updated_us < :before "
                 "AND s.pinned = 0)) AND (:title IS NULL OR has_words(s.title, "
                 ":title) OR (length(:title) >= 2 AND substr(s.uid, 1, "
                 "length(:title)) = lower(:title))) ORDER BY s.pinned DESC, s.updated_us "
                 "DESC, s.id DESC LIMIT :limit OFFSET :skip");
    query_i64(&q, ":since", f->since_us);
    query_i64(&q, ":before", f->before_us);
    query_str(&q, ":title", f->title && *f->title ? f->title : NULL);
    query_i64(&q, ":limit", f->limit ? (int64_t)f->limit : -1);
    query_i64(&q, ":skip", (int64_t)f->skip);
    while (!rc && query_row(&q)) {
        struct store_chat row;
        rc = read_chat(st, &q, &row, err);
        if (!rc) rc = each(user, &row);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

int store_chat_count(store *st, size_t *n, ox_err *err) {
    int64_t count = 0;
    struct query q = db_query(st->db, "SELECT count(*) FROM session");
    int rc = query_one(&q, &count, err);
    *n = (size_t)count;
    return rc;
}

/* ---- locks -------------------------------------------------------------- */

/* A lock on byte `chat` of the lock file. The kernel frees it at any death of this process, so
 * there is no stale owner to find out about. */
static struct flock byte_lock(short type, int64_t chat) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = chat, .l_len = 1};
}

static bool holds_lock(const store *st, int64_t chat) {
    for (size_t i = 0; i < st->n_locked; i++)
        if (st->locked[i] == chat) return true;
    return false;
}

static int name_holder(store *st, int64_t chat, ox_err *err) {
    struct flock who = byte_lock(F_WRLCK, chat);
    struct store_chat row = {0};
    char host[65] = "";
    fcntl(st->lock_fd, F_GETLK, &who);
    store_chat_get(st, chat, &row, NULL);
    if (gethostname(host, sizeof host - 1)) host[0] = '\0';
    ox_err_set(err, OX_EBUSY, "session %.4s is in use by another oxbow (process %ld on %s)",
               row.uid, (long)who.l_pid, host[0] ? host : "this machine");
    ox_err_fix(err, "read it here and fork it, or close it there");
    return OX_EBUSY;
}

int store_chat_lock(store *st, int64_t chat, ox_err *err) {
    if (st->db->read_only) return db_error(st->db, SQLITE_READONLY, "lock session", err);
    if (st->lock_fd < 0 || holds_lock(st, chat)) return 0;
    int rc = ox_grow(&st->locked, &st->cap_locked, st->n_locked + 1, sizeof *st->locked, err);
    if (rc) return rc;
    struct flock lock = byte_lock(F_WRLCK, chat);
    if (fcntl(st->lock_fd, F_SETLK, &lock)) {
        if (errno == EACCES || errno == EAGAIN) return name_holder(st, chat, err);
        return ox_err_set(err, OX_EIO, "cannot lock session %lld: %s", (long long)chat,
                          strerror(errno));
    }
    st->locked[st->n_locked++] = chat;
    return 0;
}

void store_chat_unlock(store *st, int64_t chat) {
    for (size_t i = 0; i < st->n_locked; i++) {
        if (st->locked[i] != chat) continue;
        struct flock lock = byte_lock(F_UNLCK, chat);
        fcntl(st->lock_fd, F_SETLK, &lock);
        st->locked[i] = st->locked[--st->n_locked];
        return;
    }
}

/* ---- pin, settings ------------------------------------------------------ */

int store_chat_pin(store *st, int64_t chat, bool pinned, ox_err *err) {
    bool own;
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return rc;
    struct query q = db_query(st->db, "UPDATE session SET pinned = :pinned WHERE id = :id");
    query_i64(&q, ":pinned", pinned);
    query_i64(&q, ":id", chat);
    return store_step_end(st, own, query_run(&q, err), err);
}

int store_chat_settings(store *st, int64_t chat, char **json, ox_err *err) {
    int rc = OX_ENOTFOUND;
    struct query q = db_query(st->db, "SELECT settings FROM session WHERE id = :id");
    query_i64(&q, ":id", chat);
    if (query_row(&q)) {
        *json = ox_strdup(query_col_text(&q, 0, NULL), "session settings", err);
        rc = *json ? 0 : OX_ENOMEM;
    }
    int end = query_end(&q, err);
    if (end) return end;
    return rc == OX_ENOTFOUND ? ox_err_set(err, rc, "no session %lld", (long long)chat) : rc;
}

int store_chat_configure(store *st, int64_t chat, const char *json, ox_err *err) {
    int64_t is_object = 0;
    bool own;
    struct query q = db_query(
        st->db, "SELECT CASE WHEN json_valid(:json) THEN json_type(:json) = 'object' ELSE 0 END");
    query_str(&q, ":json", json);
    int rc = query_one(&q, &is_object, err);
    if (!rc && !is_object) rc = ox_err_set(err, OX_EUSAGE, "settings must be one JSON object");
    if (!rc) rc = store_step_begin(st, false, &own, err);
    if (rc) return rc;
    q = db_query(st->db, "UPDATE session SET settings = :json WHERE id = :id");
    query_str(&q, ":json", json);
    query_i64(&q, ":id", chat);
    return store_step_end(st, own, query_run(&q, err), err);
}

/* ---- branches ----------------------------------------------------------- */

int store_branch_list(store *st, int64_t chat, int (*each)(void *user, int64_t leaf), void *user,
                      ox_err *err) {
    int rc = 0;
    struct query q = db_query(st->db, "SELECT leaf_id FROM branch WHERE session_id = :chat "
                                      "ORDER BY used_us DESC, id DESC");
    query_i64(&q, ":chat", chat);
    while (!rc && query_row(&q))
        rc = each(user, query_col_i64(&q, 0));
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

static int insert_branch(store *st, int64_t chat, int64_t leaf, int64_t *branch, ox_err *err) {
    struct query q =
        db_query(st->db, "INSERT INTO branch (session_id, leaf_id, used_us) SELECT :chat, "
                         "id, :now FROM message WHERE id = :leaf");
    query_i64(&q, ":chat", chat);
    query_i64(&q, ":leaf", leaf);
    query_i64(&q, ":now", db_now_us());
    int rc = query_run(&q, err);
    if (!rc && sqlite3_changes(st->db->sq) != 1)
        rc = ox_err_set(err, OX_ENOTFOUND, "no message %lld", (long long)leaf);
    if (!rc) *branch = sqlite3_last_insert_rowid(st->db->sq);
    return rc;
}

static int show_branch(store *st, int64_t chat, int64_t branch, ox_err *err) {
    struct query q = db_query(st->db, "UPDATE session SET branch_id = :branch WHERE id = :chat");
    query_i64(&q, ":branch", branch);
    query_i64(&q, ":chat", chat);
    int rc = query_run(&q, err);
    if (rc) return rc;
    q = db_query(st->db, "UPDATE branch SET used_us = :now WHERE id = :branch");
    query_i64(&q, ":now", db_now_us());
    query_i64(&q, ":branch", branch);
    return query_run(&q, err);
}

int store_branch_show(store *st, int64_t chat, int64_t leaf, ox_err *err) {
    int64_t branch = 0;
    bool own;
    int rc = store_step_begin(st, false, &own, err);
    if (rc) return rc;
    struct query q =
        db_query(st->db, "SELECT id FROM branch WHERE session_id = :chat AND leaf_id = "
                         ":leaf ORDER BY used_us DESC LIMIT 1");
    query_i64(&q, ":chat", chat);
    query_i64(&q, ":leaf", leaf);
    rc = query_one(&q, &branch, err);
    if (rc == OX_ENOTFOUND) rc = insert_branch(st, chat, leaf, &branch, err);
    if (!rc) rc = show_branch(st, chat, branch, err);
    rc = store_step_end(st, own, rc, err);
    return rc ? ox_err_wrap(err, rc, "switch branch") : 0;
}

/* ---- fork, delete ------------------------------------------------------- */

static int copy_settings(store *st, int64_t from, int64_t to, ox_err *err) {
    struct query q = db_query(st->db, "UPDATE session SET (settings, model_id) = (SELECT settings, "
                                      "model_id FROM session WHERE id = :from) WHERE id = :to");
    query_i64(&q, ":from", from);
    query_i64(&q, ":to", to);
    return query_run(&q, err);
}

int store_chat_fork(store *st, int64_t chat, int64_t at, const char *title, int64_t *made,
                    ox_err *err) {
    struct store_chat source;
    int64_t fork = 0, branch = 0;
    bool own;
    int rc = store_chat_get(st, chat, &source, err);
    if (!rc) rc = store_step_begin(st, false, &own, err);
    if (rc) return ox_err_wrap(err, rc, "fork session");
    rc = insert_chat(st, title ? title : source.title, source.uid, &fork, err);
    if (!rc) rc = copy_settings(st, chat, fork, err);
    if (!rc) rc = insert_branch(st, fork, at, &branch, err);
    if (!rc) rc = show_branch(st, fork, branch, err);
    rc = store_step_end(st, own, rc, err);
    if (rc) return ox_err_wrap(err, rc, "fork session");
    *made = fork;
    return 0;
}

static int list_leaves(store *st, int64_t chat, struct buf *out, ox_err *err) {
    int rc = 0;
    struct query q = db_query(st->db, "SELECT leaf_id FROM branch WHERE session_id = :chat");
    query_i64(&q, ":chat", chat);
    while (!rc && query_row(&q)) {
        int64_t leaf = query_col_i64(&q, 0);
        rc = buf_add(out, &leaf, sizeof leaf, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* A line of the input history that no session has, and a question of this one with its words. */
struct typed {
    int64_t line, message;
};

/* The first question of a session was typed before there was one. Found for all at once: a long
 * session would look through the history for each of its messages. */
static int list_typed(store *st, int64_t chat, struct buf *out, ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        st->db,
        "WITH typed(id, words) AS (SELECT id, trim(text, ' ' || char(10)) FROM input_history WHERE "
        "session_id IS NULL), asked(id, words) AS (SELECT id, trim(text, ' ' || char(10)) FROM "
        "message WHERE role = 'user' AND root_id IN (SELECT l.root_id FROM branch b JOIN message l "
        "ON l.id = b.leaf_id WHERE b.session_id = :chat)) SELECT typed.id, asked.id FROM asked "
        "CROSS JOIN typed ON typed.words = asked.words WHERE asked.words IN (SELECT words FROM "
        "typed)");
    query_i64(&q, ":chat", chat);
    while (!rc && query_row(&q)) {
        const struct typed t = {query_col_i64(&q, 0), query_col_i64(&q, 1)};
        rc = buf_add(out, &t, sizeof t, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

/* Of these lines, those whose question is no more. */
static int forget_typed(store *st, const struct buf *typed, ox_err *err) {
    int rc = 0;
    for (size_t at = 0; !rc && at < typed->n; at += sizeof(struct typed)) {
        struct typed t;
        memcpy(&t, typed->p + at, sizeof t);
        struct query q = db_query(st->db, "DELETE FROM input_history WHERE id = :line AND NOT "
                                          "EXISTS (SELECT 1 FROM message WHERE id = :message)");
        query_i64(&q, ":line", t.line);
        query_i64(&q, ":message", t.message);
        rc = query_run(&q, err);
    }
    return rc;
}

static int delete_chat_row(store *st, int64_t chat, ox_err *err) {
    struct query q = db_query(
        st->db, "DELETE FROM draft WHERE place = (SELECT uid FROM session WHERE id = :id)");
    query_i64(&q, ":id", chat);
    int rc = query_run(&q, err);
    if (rc) return rc;
    q = db_query(st->db, "DELETE FROM session WHERE id = :id");
    query_i64(&q, ":id", chat);
    rc = query_run(&q, err);
    if (!rc && sqlite3_changes(st->db->sq) != 1)
        rc = ox_err_set(err, OX_ENOTFOUND, "no session %lld", (long long)chat);
    return rc;
}

int store_chat_delete(store *st, int64_t chat, size_t *n_messages, ox_err *err) {
    struct buf leaves = {0}, typed = {0};
    size_t n = 0;
    bool own = false;
    int rc = store_chat_lock(st, chat, err);
    if (rc) return ox_err_wrap(err, rc, "delete session");
    rc = store_step_begin(st, false, &own, err);
    if (rc) goto out;
    rc = list_leaves(st, chat, &leaves, err);
    if (!rc) rc = list_typed(st, chat, &typed, err);
    if (!rc) rc = delete_chat_row(st, chat, err);
    for (size_t at = 0; !rc && at < leaves.n; at += sizeof(int64_t)) {
        int64_t leaf;
        memcpy(&leaf, leaves.p + at, sizeof leaf);
        rc = store_prune(st, leaf, &n, err);
    }
    if (!rc) rc = forget_typed(st, &typed, err);
    rc = store_step_end(st, own, rc, err);
    if (!rc && n_messages) *n_messages = n;
out:
    store_chat_unlock(st, chat);
    buf_deinit(&leaves);
    buf_deinit(&typed);
    return rc ? ox_err_wrap(err, rc, "delete session") : 0;
}
