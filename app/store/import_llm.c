/* import_llm.c - see import_llm.h. */
#include "app/store/import_llm.h"

#include "app/store/db.h"
#include "app/store/inner.h"

#include <stdio.h>
#include <string.h>

struct log {
    sqlite3 *sq;
    struct foreign *out;
    char conversation[256], name[512]; /* being read; "" : none */
    size_t leaf;
};

/* ---- what is there -------------------------------------------------------- */

static bool has_column(struct log *g, const char *table, const char *column) {
    sqlite3_stmt *s = NULL;
    bool found = false;
    sqlite3_prepare_v2(g->sq, "SELECT 1 FROM pragma_table_info(:t) WHERE name = :c", -1, &s, NULL);
    sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC);
    found = s && sqlite3_step(s) == SQLITE_ROW;
    sqlite3_finalize(s);
    return found;
}

static int64_t count(struct log *g, const char *sql) {
    sqlite3_stmt *s = NULL;
    int64_t n = 0;
    if (sqlite3_prepare_v2(g->sq, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static int failed(struct log *g, ox_err *err) {
    ox_err_set(err, OX_EFORMAT, "the log cannot be read: %s", sqlite3_errmsg(g->sq));
    return ox_err_fix(err, "nothing was imported; try a copy: llm logs backup FILE");
}

/* Text that may be anything, as text; owned by out. */
static int text_of(sqlite3_stmt *s, int col, struct buf *out, ox_err *err) {
    const char *p = (const char *)sqlite3_column_text(s, col);
    buf_cut(out, 0);
    return p ? text_repair(out, p, (size_t)sqlite3_column_bytes(s, col), err) : 0;
}

static void name_of(sqlite3_stmt *s, int col, char *out, size_t cap) {
    const char *p = (const char *)sqlite3_column_text(s, col);
    snprintf(out, cap, "%s", p ? p : "");
}

static int end_conversation(struct log *g, ox_err *err) {
    const struct foreign_session s = {
        .source = "llm", .id = g->conversation, .title = g->name, .leaf = g->leaf};
    int rc = g->conversation[0] ? foreign_end(g->out, &s, err) : 0;
    g->conversation[0] = g->name[0] = '\0';
    g->leaf = 0;
    return rc;
}

/* ---- one prompt and its response a row (up to 0.31) ------------------------ */

/* `columns` are names of our own table below, never of the file. */
static int add_column(struct buf *sql, struct log *g, const char *table, const char *const *columns,
                      ox_err *err) {
    for (; *columns; columns++)
        if (has_column(g, table, *columns)) return buf_printf(sql, err, ", r.%s", *columns);
    return buf_puts(sql, ", NULL", err);
}

static int add_exchange(struct log *g, sqlite3_stmt *s, ox_err *err) {
    enum { SYSTEM, PROMPT, RESPONSE, REASONING, TEXTS };
    static const char *const roles[] = {"system", "user", "assistant"};
    struct buf text[TEXTS] = {{0}};
    int64_t at =
        foreign_time(sqlite3_column_text(s, 6) ? (const char *)sqlite3_column_text(s, 6) : "");
    int rc = 0;
    for (int i = 0; !rc && i < TEXTS; i++)
        rc = text_of(s, 2 + i, &text[i], err);
    /* The system prompt is repeated with each row; the first one counts. */
    for (int i = g->out->n_messages ? PROMPT : SYSTEM; !rc && i <= RESPONSE; i++) {
        if (!text[i].n && i != PROMPT) continue;
        const struct foreign_message m = {.parent = g->out->n_messages,
                                          .role = roles[i],
                                          .text = buf_str(&text[i]),
                                          .n_text = text[i].n,
                                          .thought = buf_str(&text[REASONING]),
                                          .n_thought = i == RESPONSE ? text[REASONING].n : 0,
                                          .created_us = at,
                                          .state = "done"};
        rc = foreign_add(g->out, &m, err);
    }
    for (int i = 0; i < TEXTS; i++)
        buf_deinit(&text[i]);
    return rc;
}

/* Rows of a table in the order of their conversations. */
static int read_rows(struct log *g, const char *table, ox_err *err) {
    static const char *const system[] = {"system", NULL}, *const response[] = {"response", NULL},
                             *const reasoning[] = {"reasoning", NULL},
                             *const when[] = {"datetime_utc", "timestamp_utc", "timestamp", NULL};
    bool is_new = has_column(g, table, "conversation_id");
    bool has_names = is_new && has_column(g, "conversations", "name");
    /* Fragments stand before the prompt, as the program itself joined them. */
    bool has_fragments = is_new && has_column(g, "prompt_fragments", "fragment_id");
    const char *thread = is_new                            ? "coalesce(r.conversation_id, r.id)"
                         : has_column(g, table, "chat_id") ? "coalesce(r.chat_id, r.id)"
                                                           : "r.id";
    struct buf sql = {0};
    sqlite3_stmt *s = NULL;
    int rc = buf_printf(&sql, err, "SELECT %s, %s", thread, has_names ? "c.name" : "NULL");
    if (!rc) rc = add_column(&sql, g, table, system, err);
    if (!rc && has_fragments)
        rc = buf_puts(
            &sql,
            ", coalesce((SELECT group_concat(content, char(10)) || char(10) FROM (SELECT "
            "f.content FROM prompt_fragments p JOIN fragments f ON f.id = p.fragment_id "
            "WHERE p.response_id = r.id ORDER BY p.\"order\")), '') || coalesce(r.prompt, '')",
            err);
    else if (!rc)
        rc = buf_puts(&sql, ", r.prompt", err);
    if (!rc) rc = add_column(&sql, g, table, response, err);
    if (!rc) rc = add_column(&sql, g, table, reasoning, err);
    if (!rc) rc = add_column(&sql, g, table, when, err);
    if (!rc)
        rc = buf_printf(&sql, err, " FROM %s r%s ORDER BY 1, 7, r.rowid", table,
                        has_names ? " LEFT JOIN conversations c ON c.id = r.conversation_id" : "");
    if (!rc && sqlite3_prepare_v2(g->sq, buf_str(&sql), -1, &s, NULL)) rc = failed(g, err);
    int step = SQLITE_DONE;
    while (!rc && (step = sqlite3_step(s)) == SQLITE_ROW) {
        char id[sizeof g->conversation];
        name_of(s, 0, id, sizeof id);
        if (strcmp(id, g->conversation) != 0) rc = end_conversation(g, err);
        memcpy(g->conversation, id, sizeof id);
        name_of(s, 1, g->name, sizeof g->name);
        if (!rc) rc = add_exchange(g, s, err);
    }
    if (!rc && step != SQLITE_DONE) rc = failed(g, err);
    sqlite3_finalize(s);
    buf_deinit(&sql);
    int end = end_conversation(g, rc ? NULL : err);
    return rc ? rc : end;
}

/* ---- a tree of messages (from 0.32) ----------------------------------------- */

/* Texts of a message's parts by their type; what is neither words nor thought is counted. */
static int read_parts(struct log *g, const char *parts, struct buf *text, struct buf *thought,
                      ox_err *err) {
    sqlite3_stmt *s = NULL;
    int rc = 0;
    buf_cut(text, 0);
    buf_cut(thought, 0);
    sqlite3_prepare_v2(g->sq,
                       "SELECT json_extract(value, '$.type'), json_extract(value, '$.text') FROM "
                       "json_each(CASE WHEN json_valid(:p) THEN :p ELSE '[{}]' END)",
                       -1, &s, NULL);
    sqlite3_bind_text(s, 1, parts, -1, SQLITE_STATIC);
    while (!rc && s && sqlite3_step(s) == SQLITE_ROW) {
        char type[32];
        name_of(s, 0, type, sizeof type);
        const char *words = (const char *)sqlite3_column_text(s, 1);
        size_t n = words ? (size_t)sqlite3_column_bytes(s, 1) : 0;
        if (strcmp(type, "text") == 0)
            rc = text_repair(text, words, n, err);
        else if (strcmp(type, "reasoning") == 0)
            rc = text_repair(thought, words, n, err);
        else if (strncmp(type, "tool", 4) == 0)
            g->out->left[FOREIGN_TOOL]++;
        else if (strcmp(type, "attachment") == 0)
            g->out->left[FOREIGN_ATTACHMENT]++;
        else
            g->out->left[FOREIGN_OTHER]++;
    }
    sqlite3_finalize(s);
    return rc;
}

/* Numbers that nodes got in this conversation. A node that was left out has that of its parent. */
struct numbered {
    struct known {
        char id[72]; /* SHA-256 in hex */
        size_t no;
    } * v;
    size_t n, cap;
};

static size_t number_of(const struct numbered *k, const char *id) {
    for (size_t i = k->n; i-- > 0;)
        if (strcmp(k->v[i].id, id) == 0) return k->v[i].no;
    return 0;
}

static int add_node(struct log *g, sqlite3_stmt *s, struct numbered *known, ox_err *err) {
    struct buf text = {0}, thought = {0};
    char parent[72], role[16];
    const char *parts = (const char *)sqlite3_column_text(s, 3);
    const char *when = (const char *)sqlite3_column_text(s, 4);
    name_of(s, 1, parent, sizeof parent);
    name_of(s, 2, role, sizeof role);
    int rc = ox_grow(&known->v, &known->cap, known->n + 1, sizeof *known->v, err);
    if (rc) return rc;
    struct known *k = &known->v[known->n++];
    name_of(s, 0, k->id, sizeof k->id);
    k->no = number_of(known, parent);
    rc = read_parts(g, parts ? parts : "[]", &text, &thought, err);
    bool is_known_role =
        strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0 || strcmp(role, "system") == 0;
    const struct foreign_message m = {.parent = k->no,
                                      .role = role,
                                      .text = buf_str(&text),
                                      .n_text = text.n,
                                      .thought = buf_str(&thought),
                                      .n_thought = thought.n,
                                      .created_us = foreign_time(when ? when : ""),
                                      .state = "done"};
    if (!rc && is_known_role && (text.n || thought.n)) {
        rc = foreign_add(g->out, &m, err);
        k->no = g->out->n_messages;
    }
    buf_deinit(&text);
    buf_deinit(&thought);
    return rc;
}

/* All nodes above the turns of one conversation; the newest turn is the one on screen. */
static int read_tree(struct log *g, const char *id, ox_err *err) {
    struct numbered known = {0};
    sqlite3_stmt *s = NULL;
    char leaf[72] = "";
    int rc = 0, step = SQLITE_DONE;
    if (sqlite3_prepare_v2(
            g->sq,
            "WITH RECURSIVE up(id) AS (SELECT output_node_id FROM turns WHERE "
            "coalesce(conversation_id, id) = :id UNION SELECT n.parent_id FROM up JOIN "
            "message_nodes n ON n.id = up.id) SELECT n.id, n.parent_id, m.role, m.parts, "
            "n.first_seen_utc, (SELECT output_node_id FROM turns WHERE coalesce(conversation_id, "
            "id) = :id ORDER BY datetime_utc DESC, rowid DESC LIMIT 1) FROM up JOIN message_nodes "
            "n "
            "ON n.id = up.id JOIN messages m ON m.id = n.message_id ORDER BY n.depth, n.rowid",
            -1, &s, NULL))
        return failed(g, err);
    sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    while (!rc && (step = sqlite3_step(s)) == SQLITE_ROW) {
        name_of(s, 5, leaf, sizeof leaf);
        rc = add_node(g, s, &known, err);
    }
    if (!rc && step != SQLITE_DONE) rc = failed(g, err);
    g->leaf = number_of(&known, leaf);
    sqlite3_finalize(s);
    ox_free(known.v);
    return rc;
}

static int read_turns(struct log *g, ox_err *err) {
    sqlite3_stmt *s = NULL;
    int rc = 0, step = SQLITE_DONE;
    if (sqlite3_prepare_v2(g->sq,
                           "SELECT DISTINCT coalesce(t.conversation_id, t.id), c.name FROM turns t "
                           "LEFT JOIN conversations c ON c.id = t.conversation_id ORDER BY 1",
                           -1, &s, NULL))
        return failed(g, err);
    while (!rc && (step = sqlite3_step(s)) == SQLITE_ROW) {
        name_of(s, 0, g->conversation, sizeof g->conversation);
        name_of(s, 1, g->name, sizeof g->name);
        rc = read_tree(g, g->conversation, err);
        int end = end_conversation(g, rc ? NULL : err);
        if (!rc) rc = end;
    }
    if (!rc && step != SQLITE_DONE) rc = failed(g, err);
    sqlite3_finalize(s);
    return rc;
}

/* ---- the file --------------------------------------------------------------- */

static void count_left(struct log *g) {
    size_t *left = g->out->left;
    left[FOREIGN_ATTACHMENT] += (size_t)count(g, "SELECT count(*) FROM prompt_attachments");
    left[FOREIGN_TOOL] += (size_t)count(g, "SELECT count(*) FROM tool_calls");
    left[FOREIGN_TOOL] += (size_t)count(g, "SELECT count(*) FROM tool_results");
    left[FOREIGN_OTHER] += (size_t)count(g, "SELECT count(*) FROM system_fragments");
}

int import_llm(const char *path, struct foreign *out, ox_err *err) {
    static const char *const tables[] = {"log", "logs", "responses"};
    struct log g = {.out = out};
    bool any = false;
    int rc = 0;
    if (db_open_reading(path, &g.sq)) {
        ox_err_set(err, OX_EFORMAT, "%s is not a log of llm: %s", path, sqlite3_errmsg(g.sq));
        rc = ox_err_fix(err, "`llm logs path` says where it is");
        goto out;
    }
    sqlite3_db_config(g.sq, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* The newest form first: a conversation that is in two of them is whole there, and the first
     * one that comes is the one that is kept. */
    bool has_tree = has_column(&g, "turns", "output_node_id") &&
                    has_column(&g, "message_nodes", "parent_id") &&
                    has_column(&g, "messages", "parts");
    if (has_tree) rc = read_turns(&g, err);
    for (size_t i = sizeof tables / sizeof tables[0]; !rc && i-- > 0;) {
        if (!has_column(&g, tables[i], "prompt")) continue;
        any = true;
        rc = read_rows(&g, tables[i], err);
    }
    if (!rc && !any && !has_tree) {
        ox_err_set(err, OX_EFORMAT, "%s has no table that llm writes", path);
        rc = ox_err_fix(err, "`llm logs path` says where its log is");
    }
    if (!rc) count_left(&g);
out:
    sqlite3_close_v2(g.sq);
    return rc ? ox_err_wrap(err, rc, "read the log of llm") : 0;
}
