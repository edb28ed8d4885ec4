/* transfer_in.c - reads the lines of JSONL. SQLite's own JSON functions take them apart; what they
 * give is checked here, field by field, because a file from elsewhere is not to be trusted: numbers
 * point back only, names are from lists, text is UTF-8, nothing names a program or a place. */
#include "app/core/text.h"
#include "app/store/docs.h"
#include "app/store/inner.h"
#include "app/store/transfer.h"

#include <stdio.h>
#include <string.h>

enum { MOST_MESSAGES = 1000000, MOST_DOCS = 100000 };

struct arriving {
    store *st;
    struct store_imported *out;
    size_t line_no;
    const char *line;
    size_t n_line;
    /* of the session being read: */
    int64_t chat, leaf, created_us, updated_us, model;
    int64_t *message, *doc; /* ids by number - 1 */
    size_t n_messages, cap_messages, n_docs, cap_docs;
    char uid[17], forked_from[17]; /* "": none */
    const char *title_by;          /* NULL: not said */
    bool pinned;
    bool is_known;      /* is here already: its lines are passed over */
    bool is_copy;       /* another state of a session that is here: gets an id of its own */
    struct buf sources; /* "name\0id\0" of all sessions that came from other programs */
};

static int refuse(const struct arriving *a, ox_err *err, const char *what) {
    return ox_err_set(err, OX_EFORMAT, "line %zu: %s; nothing was imported", a->line_no, what);
}

/* ---- fields ------------------------------------------------------------- */

/* The value at `path` ("$.text"). *type: what JSON says it is; "" if it is not there. */
static struct query field(const struct arriving *a, const char *path, char type[16]) {
    struct query q =
        db_query(a->st->db, "SELECT json_type(:line, :path), json_extract(:line, :path)");
    query_text(&q, ":line", a->line, a->n_line);
    query_str(&q, ":path", path);
    type[0] = 0;
    if (query_row(&q)) snprintf(type, 16, "%s", query_col_text(&q, 0, NULL));
    return q;
}

static int get_int(const struct arriving *a, const char *path, int64_t *v, ox_err *err) {
    char type[16];
    *v = 0;
    struct query q = field(a, path, type);
    if (strcmp(type, "integer") == 0) *v = query_col_i64(&q, 1);
    if (strcmp(type, "true") == 0) *v = 1;
    int rc = query_end(&q, err);
    bool ok = !type[0] || strcmp(type, "integer") == 0 || strcmp(type, "true") == 0 ||
              strcmp(type, "false") == 0 || strcmp(type, "null") == 0;
    if (!rc && !ok) rc = refuse(a, err, "a number was expected");
    return rc;
}

/* Replaces out. A missing value is an empty text. */
static int get_text(const struct arriving *a, const char *path, struct buf *out, ox_err *err) {
    char type[16];
    int rc = 0;
    buf_cut(out, 0);
    struct query q = field(a, path, type);
    if (strcmp(type, "text") == 0) {
        size_t n;
        const char *p = query_col_text(&q, 1, &n);
        rc = text_repair(out, p, n,
                         err); /* zero bytes and halves of surrogates can hide in escapes */
    }
    int end = query_end(&q, rc ? NULL : err);
    if (!rc) rc = end;
    if (!rc && type[0] && strcmp(type, "text") != 0 && strcmp(type, "null") != 0)
        rc = refuse(a, err, "a text was expected");
    return rc;
}

static int get_key(const struct arriving *a, const char *path, struct ox_key *key, ox_err *err) {
    struct buf hex = {0};
    unsigned long long hi = 0, lo = 0;
    int rc = get_text(a, path, &hex, err);
    if (!rc && hex.n && (hex.n != 32 || strspn(buf_str(&hex), "0123456789abcdef") != 32))
        rc = refuse(a, err, "a hash of 32 hex digits was expected");
    if (!rc && hex.n) sscanf(hex.p, "%16llx%16llx", &hi, &lo);
    *key = (struct ox_key){hi, lo};
    buf_deinit(&hex);
    return rc;
}

static int get_uid(const struct arriving *a, const char *path, char uid[17], ox_err *err) {
    struct buf hex = {0};
    int rc = get_text(a, path, &hex, err);
    if (!rc && hex.n && (hex.n != 16 || strspn(buf_str(&hex), "0123456789abcdef") != 16))
        rc = refuse(a, err, "an id of 16 hex digits was expected");
    snprintf(uid, 17, "%s", rc ? "" : buf_str(&hex));
    buf_deinit(&hex);
    return rc;
}

/* The one of `names` that the text at `path` is; names[0] if it is none of them. */
static int get_word(const struct arriving *a, const char *path, const char *const names[], size_t n,
                    const char **word, ox_err *err) {
    struct buf text = {0};
    int rc = get_text(a, path, &text, err);
    *word = names[0];
    for (size_t i = 0; i < n; i++)
        if (names[i] && strcmp(names[i], buf_str(&text)) == 0) *word = names[i];
    buf_deinit(&text);
    return rc;
}

/* Refuses a place behind the end of what it points into: the row of `id` knows its bytes. */
static int check_end(const struct arriving *a, const char *sql, int64_t id, int64_t to,
                     const char *what, ox_err *err) {
    int64_t n = 0;
    struct query q = db_query(a->st->db, sql);
    query_i64(&q, ":id", id);
    int rc = query_one(&q, &n, err);
    return rc || to <= n ? rc : refuse(a, err, what);
}

static int check_doc_end(const struct arriving *a, int64_t doc, int64_t to, ox_err *err) {
    if (!doc) return 0; /* its text is not here: nothing is read at this place */
    return check_end(a, "SELECT n_bytes FROM document WHERE id = :id", doc, to,
                     "a place behind the end of its document", err);
}

/* A number of an earlier line; 0 if it is allowed and given. */
static int get_ref(const struct arriving *a, const char *path, const int64_t *ids, size_t n,
                   bool may_be_zero, int64_t *id, ox_err *err) {
    int64_t no = 0;
    int rc = get_int(a, path, &no, err);
    *id = 0;
    if (rc || (no == 0 && may_be_zero)) return rc;
    if (no < 1 || (uint64_t)no > n)
        return refuse(a, err, "it refers to a line that does not stand before it");
    *id = ids[no - 1];
    return 0;
}

/* ---- kinds -------------------------------------------------------------- */

/* Only what concerns the words themselves; unknown keys of the line are kept beside, for an oxbow
 * that knows them. */
static int take_settings(struct arriving *a, ox_err *err) {
    struct buf json = {0};
    struct query q = db_query(
        a->st->db,
        "WITH own(json) AS (SELECT json_group_object(key, CASE WHEN type IN ('true','false') THEN "
        "json(type) "
        "ELSE value END) FROM json_each(:line, '$.settings') WHERE key IN "
        "('temperature','top_p','top_k',"
        "'min_p','repeat_penalty','seed','system','think','cite') AND type NOT IN "
        "('object','array')), "
        "fresh(json) AS (SELECT json_group_object(key, CASE WHEN type IN ('object','array') THEN "
        "json(value) "
        "WHEN type IN ('true','false') THEN json(type) ELSE value END) FROM json_each(:line) WHERE "
        "key NOT "
        "IN ('oxbow','kind','uid','title','title_by','pinned','created_us','updated_us','leaf',"
        "'forked_from','settings') OR (key = 'uid' AND :copy)), extra(json) AS (SELECT CASE WHEN "
        "json_type(:line, '$.settings.extra') = 'object' THEN json_patch(json_extract(:line, "
        "'$.settings.extra'), json) ELSE json END FROM fresh) SELECT CASE extra.json WHEN '{}' "
        "THEN own.json ELSE "
        "json_set(own.json, "
        "'$.extra', json(extra.json)) END FROM own, extra");
    query_text(&q, ":line", a->line, a->n_line);
    query_i64(&q, ":copy", a->is_copy);
    int rc = 0;
    if (query_row(&q)) rc = buf_puts(&json, query_col_text(&q, 0, NULL), err);
    int end = query_end(&q, rc ? NULL : err);
    if (!rc) rc = end;
    if (!rc && json.n) rc = store_chat_configure(a->st, a->chat, buf_str(&json), err);
    buf_deinit(&json);
    return rc;
}

static int finish_session(struct arriving *a, ox_err *err) {
    if (!a->chat) return 0;
    store_chat_unlock(a->st, a->chat);
    int rc = a->leaf > 0 ? store_branch_show(a->st, a->chat, a->leaf, err) : 0;
    if (rc) return rc;
    struct query q =
        db_query(a->st->db, "UPDATE session SET created_us = :created, updated_us = :updated, "
                            "pinned = :pinned, uid = coalesce(:uid, uid), title_by = "
                            "coalesce(:by, title_by), forked_from = :from WHERE id = :id");
    int64_t now = db_now_us();
    query_i64(&q, ":created", a->created_us > 0 ? a->created_us : now);
    query_i64(&q, ":updated", a->updated_us > 0 ? a->updated_us : now);
    query_i64(&q, ":pinned", a->pinned);
    query_str(&q, ":uid", a->uid[0] && !a->is_copy ? a->uid : NULL);
    query_str(&q, ":by", a->title_by);
    query_str(&q, ":from", a->forked_from[0] ? a->forked_from : NULL);
    query_i64(&q, ":id", a->chat);
    return query_run(&q, err);
}

/* ---- sessions of other programs ---- */

static int add_source(struct buf *out, const char *name, const char *id, ox_err *err) {
    int rc = buf_add(out, name, strlen(name) + 1, err);
    return rc ? rc : buf_add(out, id, strlen(id) + 1, err);
}

static int read_sources(struct arriving *a, ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        a->st->db, "SELECT json_extract(settings, '$.extra.source.name'), json_extract(settings, "
                   "'$.extra.source.id') FROM session WHERE json_valid(settings) AND "
                   "json_type(settings, '$.extra.source.id') = 'text'");
    while (!rc && query_row(&q))
        rc = add_source(&a->sources, query_col_text(&q, 0, NULL), query_col_text(&q, 1, NULL), err);
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

static bool has_source(const struct arriving *a, const char *name, const char *id) {
    const char *p = buf_str(&a->sources), *end = p + a->sources.n;
    while (p < end) {
        const char *id_at = p + strlen(p) + 1;
        if (strcmp(p, name) == 0 && strcmp(id_at, id) == 0) return true;
        p = id_at + strlen(id_at) + 1;
    }
    return false;
}

static int check_source(struct arriving *a, ox_err *err) {
    struct buf name = {0}, id = {0};
    int rc = get_text(a, "$.source.name", &name, err);
    if (!rc) rc = get_text(a, "$.source.id", &id, err);
    a->is_known = !rc && id.n && has_source(a, buf_str(&name), buf_str(&id));
    if (!rc && id.n && !a->is_known)
        rc = add_source(&a->sources, buf_str(&name), buf_str(&id), err);
    buf_deinit(&name);
    buf_deinit(&id);
    return rc;
}

/* ---- sessions of oxbow ---- */

/* Known: the same session, last used at the same time. With another time it went on, here or there:
 * then both are kept, and "extra" says whose copy the second one is. */
static int check_uid(struct arriving *a, ox_err *err) {
    int64_t updated = 0;
    int rc = get_uid(a, "$.uid", a->uid, err);
    if (!rc) rc = get_int(a, "$.updated_us", &updated, err);
    a->is_copy = false;
    if (rc || !a->uid[0]) return rc;
    struct query q = db_query(
        a->st->db, "SELECT max(updated_us = :updated) FROM session WHERE uid = :uid OR "
                   "CASE WHEN json_valid(settings) THEN json_extract(settings, '$.extra.uid') = "
                   ":uid END HAVING count(*) > 0");
    query_i64(&q, ":updated", updated);
    query_str(&q, ":uid", a->uid);
    if (query_row(&q)) {
        a->is_known = a->is_known || query_col_i64(&q, 0) != 0;
        a->is_copy = true;
    }
    return query_end(&q, err);
}

static int take_session(struct arriving *a, ox_err *err) {
    static const char *const by[] = {NULL, "line", "model", "user"};
    struct buf title = {0};
    int64_t version = 0, leaf = 0, pinned = 0;
    int rc = finish_session(a, err);
    a->chat = 0;
    if (!rc) rc = check_source(a, err);
    if (!rc) rc = check_uid(a, err);
    if (rc || a->is_known) {
        a->out->n_known += a->is_known;
        return rc;
    }
    if (!rc) rc = get_int(a, "$.oxbow", &version, err);
    if (!rc && version != 1) rc = refuse(a, err, "a session of oxbow's form 1 was expected");
    if (!rc) rc = get_text(a, "$.title", &title, err);
    if (!rc) rc = store_chat_new(a->st, buf_str(&title), &a->chat, err);
    if (!rc) rc = get_int(a, "$.created_us", &a->created_us, err);
    if (!rc) rc = get_int(a, "$.updated_us", &a->updated_us, err);
    if (!rc) rc = get_uid(a, "$.forked_from", a->forked_from, err);
    if (!rc) rc = get_word(a, "$.title_by", by, 4, &a->title_by, err);
    if (!rc) rc = get_int(a, "$.pinned", &pinned, err);
    if (!rc) rc = get_int(a, "$.leaf", &leaf, err);
    if (!rc && leaf < 0) rc = refuse(a, err, "a leaf before the first message");
    if (!rc) rc = take_settings(a, err);
    a->pinned = pinned != 0;
    a->leaf = rc ? 0 : -leaf; /* a number until its message comes */
    a->n_messages = a->n_docs = 0;
    a->model = 0;
    a->out->n_chats++;
    a->out->last = a->chat;
    buf_deinit(&title);
    return rc;
}

static int take_model(struct arriving *a, ox_err *err) {
    static const char *const sources[] = {"folder", "embedded", "remote"};
    struct buf name = {0};
    const char *source;
    struct ox_key weights, template_id;
    int rc = get_text(a, "$.name", &name, err);
    if (!rc) rc = get_word(a, "$.source", sources, 3, &source, err);
    if (!rc) rc = get_key(a, "$.weights", &weights, err);
    if (!rc) rc = get_key(a, "$.template", &template_id, err);
    if (rc) goto out;
    struct query q =
        db_query(a->st->db, "INSERT INTO model (source, name, weights_hash, template_hash, "
                            "config) VALUES (:source, :name, :weights, :template, '{}') ON "
                            "CONFLICT (weights_hash, template_hash) DO NOTHING");
    query_str(&q, ":source", source);
    query_text(&q, ":name", buf_str(&name), name.n);
    query_key(&q, ":weights", weights);
    query_key(&q, ":template", template_id);
    rc = query_run(&q, err);
    if (rc) goto out;
    q = db_query(
        a->st->db,
        "SELECT id FROM model WHERE weights_hash = :weights AND template_hash = :template");
    query_key(&q, ":weights", weights);
    query_key(&q, ":template", template_id);
    rc = query_one(&q, &a->model, err);
    if (rc) goto out;
    q = db_query(a->st->db, "UPDATE session SET model_id = :model WHERE id = :id");
    query_i64(&q, ":model", a->model);
    query_i64(&q, ":id", a->chat);
    rc = query_run(&q, err);
out:
    buf_deinit(&name);
    return rc;
}

static bool is_doc_kind(const char *kind) {
    static const char *const kinds[] = {"text", "markdown", "html", "pdf", "source", "stdin"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i], kind) == 0) return true;
    return false;
}

/* With its text it is added (or found); without, it is linked if this database has the same text.
 */
static int find_or_add_doc(struct arriving *a, const struct store_doc *d, struct ox_key hash,
                           int64_t *id, ox_err *err) {
    if (!d->n_bytes) {
        struct query q = db_query(
            a->st->db, "SELECT id FROM document WHERE content_hash = :hash AND ready = 1 LIMIT 1");
        query_key(&q, ":hash", hash);
        *id = 0;
        int rc = query_one(&q, id, err);
        return rc == OX_ENOTFOUND ? 0 : rc;
    }
    bool ready = false;
    int rc = store_doc_add(a->st, d, id, err);
    while (!rc && !ready)
        rc = store_doc_step(a->st, *id, &ready, NULL, err);
    a->out->n_docs += rc == 0;
    return rc;
}

static int take_document(struct arriving *a, ox_err *err) {
    struct buf name = {0}, kind = {0}, text = {0}, encoding = {0};
    struct ox_key hash;
    int64_t id = 0, no = 0;
    int rc = get_text(a, "$.name", &name, err);
    if (!rc) rc = get_text(a, "$.type", &kind, err);
    if (!rc) rc = get_text(a, "$.text", &text, err);
    if (!rc) rc = get_text(a, "$.encoding", &encoding, err);
    if (!rc) rc = get_key(a, "$.hash", &hash, err);
    if (!rc) rc = get_int(a, "$.id", &no, err);
    if (!rc && (no != (int64_t)a->n_docs + 1 || no > MOST_DOCS))
        rc = refuse(a, err, "documents must be numbered 1, 2, ..");
    if (!rc && !is_doc_kind(buf_str(&kind))) rc = refuse(a, err, "an unknown type of document");
    const struct store_doc d = {.name = buf_str(&name),
                                .kind = buf_str(&kind),
                                .encoding = encoding.n ? buf_str(&encoding) : NULL,
                                .text = buf_str(&text),
                                .n_bytes = text.n};
    if (!rc) rc = find_or_add_doc(a, &d, hash, &id, err);
    if (!rc) rc = ox_grow(&a->doc, &a->cap_docs, a->n_docs + 1, sizeof *a->doc, err);
    if (!rc) a->doc[a->n_docs++] = id;
    buf_deinit(&name);
    buf_deinit(&kind);
    buf_deinit(&text);
    buf_deinit(&encoding);
    return rc;
}

static int take_message_docs(struct arriving *a, struct chat_node *row, struct buf *name,
                             ox_err *err) {
    int64_t n = 0;
    char path[48];
    struct query q = db_query(a->st->db, "SELECT coalesce(json_array_length(:line, '$.docs'), 0)");
    query_text(&q, ":line", a->line, a->n_line);
    int rc = query_one(&q, &n, err);
    if (rc || n <= 0) return rc;
    row->docs = ox_alloc((size_t)n, sizeof *row->docs, "attachments", err);
    if (!row->docs) return OX_ENOMEM;
    for (int64_t i = 0; !rc && i < n; i++, row->n_docs++) {
        struct chat_doc *d = &row->docs[i];
        int64_t from = 0, to = 0;
        snprintf(path, sizeof path, "$.docs[%d].doc", (int)i);
        rc = get_ref(a, path, a->doc, a->n_docs, true, &d->doc, err);
        snprintf(path, sizeof path, "$.docs[%d].from", (int)i);
        if (!rc) rc = get_int(a, path, &from, err);
        snprintf(path, sizeof path, "$.docs[%d].to", (int)i);
        if (!rc) rc = get_int(a, path, &to, err);
        snprintf(path, sizeof path, "$.docs[%d].name", (int)i);
        if (!rc) rc = get_text(a, path, name, err);
        if (!rc && (from < 0 || to < from))
            rc = refuse(a, err, "a part of a document that ends before it begins");
        if (!rc) rc = check_doc_end(a, d->doc, to, err);
        d->from = (uint64_t)from;
        d->to = (uint64_t)to;
        d->name = rc ? NULL : ox_strdup(buf_str(name), "document name", err);
        if (!rc && !d->name) rc = OX_ENOMEM;
    }
    return rc;
}

static int take_message(struct arriving *a, ox_err *err) {
    struct buf text = {0}, thought = {0}, word = {0};
    struct chat_node row = {0};
    int64_t id = 0, no = 0;
    int role = 0, end = 0;
    int rc = get_int(a, "$.id", &no, err);
    if (!rc && (no != (int64_t)a->n_messages + 1 || no > MOST_MESSAGES))
        rc = refuse(a, err, "messages must be numbered 1, 2, ..");
    if (!rc) rc = get_ref(a, "$.parent", a->message, a->n_messages, true, &row.parent, err);
    if (!rc) rc = get_text(a, "$.role", &word, err);
    if (!rc && (role = chat_role_parse(buf_str(&word))) <= 0)
        rc = refuse(a, err, "an unknown role");
    if (!rc) rc = get_text(a, "$.state", &word, err);
    if (!rc && (end = chat_end_parse(buf_str(&word))) < 0) rc = refuse(a, err, "an unknown state");
    if (!rc) rc = get_text(a, "$.text", &text, err);
    if (!rc) rc = get_text(a, "$.thought", &thought, err);
    if (!rc) rc = get_int(a, "$.created_us", &row.created_us, err);
    if (!rc) rc = take_message_docs(a, &row, &word, err);
    row.role = (enum ox_role)role;
    row.end = end == CHAT_OPEN ? CHAT_CRASHED : (enum chat_end)end;
    row.text = (char *)buf_str(&text);
    row.n_bytes = text.n;
    row.thought = (char *)buf_str(&thought);
    row.n_thought = thought.n;
    if (!rc) rc = store_msg_add(a->st, a->chat, &row, &id, err);
    if (!rc)
        rc = ox_grow(&a->message, &a->cap_messages, a->n_messages + 1, sizeof *a->message, err);
    if (!rc) {
        a->message[a->n_messages++] = id;
        a->out->n_messages++;
        if (a->leaf == -no) a->leaf = id;
    }
    for (size_t i = 0; i < row.n_docs; i++)
        ox_free(row.docs[i].name);
    ox_free(row.docs);
    buf_deinit(&text);
    buf_deinit(&thought);
    buf_deinit(&word);
    return rc;
}

static int take_citation(struct arriving *a, ox_err *err) {
    struct buf quote = {0}, word = {0};
    struct store_cite c = {0};
    int64_t message = 0, v[7] = {0};
    static const char *const names[] = {"$.msg_start",  "$.msg_end",  "$.byte_start", "$.byte_end",
                                        "$.line_start", "$.line_end", "$.page"};
    int rc = get_ref(a, "$.message", a->message, a->n_messages, false, &message, err);
    if (!rc) rc = get_ref(a, "$.doc", a->doc, a->n_docs, true, &c.doc, err);
    for (int i = 0; !rc && i < 7; i++) {
        rc = get_int(a, names[i], &v[i], err);
        if (!rc && v[i] < 0) rc = refuse(a, err, "a place before the beginning");
    }
    if (!rc) rc = get_text(a, "$.quote", &quote, err);
    if (!rc) rc = get_text(a, "$.verdict", &word, err);
    c.verdict = store_verdict_parse(buf_str(&word));
    if (!rc && c.verdict == CITE_NONE) rc = refuse(a, err, "an unknown verdict");
    if (!rc && (v[1] < v[0] || (c.verdict != CITE_MISSING && v[3] <= v[2])))
        rc = refuse(a, err, "a quotation that ends before it begins");
    if (!rc)
        rc = check_end(a, "SELECT length(CAST(text AS BLOB)) FROM message WHERE id = :id", message,
                       v[1], "a quotation behind the end of its message", err);
    if (!rc && c.verdict != CITE_MISSING) rc = check_doc_end(a, c.doc, v[3], err);
    c.msg_from = (size_t)v[0];
    c.msg_to = (size_t)v[1];
    c.from = (size_t)v[2];
    c.to = (size_t)v[3];
    c.line_from = (size_t)v[4];
    c.line_to = (size_t)v[5];
    c.page = (size_t)v[6];
    c.quote = buf_str(&quote);
    if (!rc) rc = store_cite_append(a->st, message, &c, err);
    buf_deinit(&quote);
    buf_deinit(&word);
    return rc;
}

/* Numbers by name, as they were written; anything else is no sampling. */
static int get_sampling(const struct arriving *a, struct buf *out, ox_err *err) {
    int rc = 0;
    struct query q = db_query(
        a->st->db, "SELECT CASE WHEN json_type(:line, '$.sampling') = 'object' AND NOT EXISTS "
                   "(SELECT 1 FROM json_each(:line, '$.sampling') WHERE type NOT IN ('integer', "
                   "'real')) THEN :line -> '$.sampling' ELSE '{}' END");
    query_text(&q, ":line", a->line, a->n_line);
    if (query_row(&q)) rc = buf_puts(out, query_col_text(&q, 0, NULL), err);
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

static int take_run(struct arriving *a, ox_err *err) {
    struct buf sampling = {0}, engine = {0}, build = {0}, stop = {0}, seed = {0};
    int64_t message = 0, n[3] = {0};
    unsigned long long seed_no = 0;
    int rc = get_ref(a, "$.message", a->message, a->n_messages, false, &message, err);
    if (!rc) rc = get_text(a, "$.engine", &engine, err);
    if (!rc) rc = get_text(a, "$.build", &build, err);
    if (!rc) rc = get_text(a, "$.stop", &stop, err);
    if (!rc) rc = get_text(a, "$.seed", &seed, err);
    if (!rc) rc = get_sampling(a, &sampling, err);
    if (!rc) rc = get_int(a, "$.n_prompt", &n[0], err);
    if (!rc) rc = get_int(a, "$.n_reused", &n[1], err);
    if (!rc) rc = get_int(a, "$.n_out", &n[2], err);
    if (!rc && (n[0] < 0 || n[1] < 0 || n[2] < 0))
        rc = refuse(a, err, "a negative count of tokens");
    if (rc || !a->model) goto out; /* a ledger needs the model it speaks of */
    sscanf(buf_str(&seed), "%20llu", &seed_no);
    struct query q = db_query(
        a->st->db,
        "INSERT OR REPLACE INTO run (message_id, model_id, engine, build, numerics, seed, "
        "sampling, stop, n_prompt, n_reused, n_replayed, n_out, load_us, prefill_us, decode_us, "
        "exact) VALUES (:message, :model, :engine, :build, 0, :seed, :sampling, :stop, :n, "
        ":reused, 0, "
        ":out, 0, 0, 0, 0)");
    query_i64(&q, ":message", message);
    query_i64(&q, ":model", a->model);
    query_str(&q, ":engine", buf_str(&engine));
    query_str(&q, ":build", buf_str(&build));
    query_i64(&q, ":seed", (int64_t)seed_no);
    query_str(&q, ":sampling", buf_str(&sampling));
    query_str(&q, ":stop", buf_str(&stop));
    query_i64(&q, ":n", n[0]);
    query_i64(&q, ":reused", n[1]);
    query_i64(&q, ":out", n[2]);
    rc = query_run(&q, err);
out:
    buf_deinit(&sampling);
    buf_deinit(&engine);
    buf_deinit(&build);
    buf_deinit(&stop);
    buf_deinit(&seed);
    return rc;
}

/* ---- lines -------------------------------------------------------------- */

static const struct kind {
    const char *name;
    int (*take)(struct arriving *a, ox_err *err);
} kinds[] = {{"session", take_session}, {"model", take_model},       {"document", take_document},
             {"message", take_message}, {"citation", take_citation}, {"run", take_run}};

static int check_json(struct arriving *a, ox_err *err) {
    int64_t ok = 0;
    struct query q =
        db_query(a->st->db,
                 "SELECT CASE WHEN json_valid(:line) THEN json_type(:line) = 'object' ELSE 0 END");
    query_text(&q, ":line", a->line, a->n_line);
    int rc = query_one(&q, &ok, err);
    return rc || ok ? rc : refuse(a, err, "one JSON object was expected");
}

static int take_line(struct arriving *a, ox_err *err) {
    struct buf kind = {0};
    int rc = check_json(a, err);
    if (!rc) rc = get_text(a, "$.kind", &kind, err);
    if (rc) goto out;
    const struct kind *k = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, buf_str(&kind)) == 0) k = &kinds[i];
    if (!k) {
        if (a->out->n_skipped < 8) a->out->skipped[a->out->n_skipped] = a->line_no;
        a->out->n_skipped++;
    } else if (a->is_known && k->take != take_session) {
        rc = 0; /* of a session that is here already */
    } else if (!a->chat && k->take != take_session) {
        rc = refuse(a, err, "a session must come first");
    } else {
        rc = k->take(a, err);
    }
out:
    buf_deinit(&kind);
    return rc;
}

static bool is_blank(const char *line, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
    return true;
}

static int take_lines(struct arriving *a, const char *bytes, size_t n, ox_err *err) {
    int rc = 0;
    for (size_t at = 0; !rc && at < n;) {
        const char *nl = memchr(bytes + at, '\n', n - at);
        size_t len = nl ? (size_t)(nl - bytes) - at : n - at;
        a->line = bytes + at;
        a->n_line = len;
        a->line_no++;
        if (text_valid(a->line, len) != len || memchr(a->line, 0, len)) {
            rc = refuse(a, err, "UTF-8 text was expected");
        } else if (!is_blank(a->line, len)) {
            rc = take_line(a, err);
        }
        at += len + 1;
    }
    if (!rc) rc = finish_session(a, err);
    if (!rc && !a->out->n_chats && !a->out->n_known)
        rc = ox_err_set(err, OX_EFORMAT, "there is no session in it; nothing was imported");
    return rc;
}

int store_import(store *st, const char *bytes, size_t n, bool is_dry, struct store_imported *out,
                 ox_err *err) {
    struct arriving a = {.st = st, .out = out};
    int64_t model = st->model_id;
    *out = (struct store_imported){0};
    int rc = store_begin(st, err);
    if (rc) return ox_err_wrap(err, rc, "import");
    store_hold_reserve(st, true);
    st->model_id = 0; /* what arrives was not written by the model in use */
    rc = read_sources(&a, err);
    if (!rc) rc = take_lines(&a, bytes, n, err);
    st->model_id = model;
    /* A trial run goes all the way and is then undone. */
    int end = store_end(st, rc || !is_dry ? rc : OX_ECANCELLED, rc ? NULL : err);
    if (is_dry && end == OX_ECANCELLED) end = 0;
    store_imports_drop(st);
    ox_free(a.message);
    ox_free(a.doc);
    buf_deinit(&a.sources);
    return rc ? ox_err_wrap(err, rc, "import") : end;
}
