/* transfer_out.c - a conversation as lines or pages. The forms are in core/export.c; here rows
 * become what it takes: numbers within the file instead of ids, which mean nothing elsewhere. */
#include "app/core/export.h"
#include "app/store/docs.h"
#include "app/store/inner.h"
#include "app/store/transfer.h"

#include <stdio.h>
#include <string.h>

struct leaving { /* a conversation on its way out */
    store *st;
    const struct store_export *how;
    struct store_chat chat;
    struct chat tree; /* all of it, or a path */
    struct export_cite *cite;
    size_t n_cites, cap_cites, *cite_of; /* cite_of[i]: first of node i; [n] the end */
    struct ox_arena mem;
    int64_t *doc; /* ids by number - 1 */
    size_t n_docs, cap_docs;
    struct buf *out;
};

static int doc_number(struct leaving *v, int64_t id, int *number, ox_err *err) {
    *number = 0;
    if (!id) return 0;
    for (size_t i = 0; i < v->n_docs; i++)
        if (v->doc[i] == id) {
            *number = (int)i + 1;
            return 0;
        }
    int rc = ox_grow(&v->doc, &v->cap_docs, v->n_docs + 1, sizeof *v->doc, err);
    if (rc) return rc;
    v->doc[v->n_docs++] = id;
    *number = (int)v->n_docs;
    return 0;
}

static int message_number(const struct leaving *v, int64_t id) {
    for (size_t i = 0; i < v->tree.n; i++)
        if (v->tree.node[i].id == id) return (int)i + 1;
    return 0;
}

static int take_node(void *user, const struct chat_node *row) {
    struct leaving *v = user;
    struct chat_node copy;
    int rc = chat_node_dup(row, &copy, NULL);
    return rc ? rc : chat_add(&v->tree, &copy, NULL);
}

static int doc_name(void *user, const struct store_doc *row) {
    snprintf(user, 200, "%s", row->name);
    return 0;
}

static int take_cite(void *user, const struct store_cite *row) {
    struct leaving *v = user;
    char name[200] = "";
    int rc = ox_grow(&v->cite, &v->cap_cites, v->n_cites + 1, sizeof *v->cite, NULL);
    if (rc) return rc;
    struct export_cite c = {.msg_from = row->msg_from,
                            .msg_to = row->msg_to,
                            .verdict = row->verdict,
                            .from = row->from,
                            .to = row->to,
                            .line_from = row->line_from,
                            .line_to = row->line_to,
                            .page = row->page};
    if (row->doc) store_doc_get(v->st, row->doc, doc_name, name, NULL);
    c.quote = ox_arena_strdup(&v->mem, row->quote, strlen(row->quote), NULL);
    c.doc_name = ox_arena_strdup(&v->mem, name, strlen(name), NULL);
    if (!c.quote || !c.doc_name) return OX_ENOMEM;
    rc = doc_number(v, row->doc, &c.doc, NULL);
    if (!rc) v->cite[v->n_cites++] = c;
    return rc;
}

static int gather(struct leaving *v, ox_err *err) {
    int64_t leaf = v->how->leaf ? v->how->leaf : v->chat.leaf;
    int rc = v->how->form == STORE_JSONL ? store_msg_tree(v->st, v->chat.id, take_node, v, err)
                                         : store_msg_path(v->st, leaf, take_node, v, err);
    if (!rc) v->cite_of = ox_alloc(v->tree.n + 1, sizeof *v->cite_of, "citations", err);
    if (!rc && !v->cite_of) rc = OX_ENOMEM;
    for (size_t i = 0; !rc && i < v->tree.n; i++) {
        v->cite_of[i] = v->n_cites;
        rc = store_cite_list(v->st, v->tree.node[i].id, take_cite, v, err);
    }
    if (!rc) v->cite_of[v->tree.n] = v->n_cites;
    return rc;
}

/* ---- pages -------------------------------------------------------------- */

static int write_page(struct leaving *v, ox_err *err) {
    struct export_turn *turn = ox_alloc(v->tree.n, sizeof *turn, "turns", err);
    if (!turn) return OX_ENOMEM;
    for (size_t i = 0; i < v->tree.n; i++)
        turn[i] = (struct export_turn){&v->tree.node[i], v->cite + v->cite_of[i],
                                       v->cite_of[i + 1] - v->cite_of[i]};
    struct export_page page = {v->chat.title,      v->chat.uid, v->chat.model,
                               v->chat.created_us, turn,        v->tree.n};
    int rc = v->how->form == STORE_MARKDOWN ? export_markdown(v->out, &page, err)
                                            : export_text(v->out, &page, err);
    ox_free(turn);
    return rc;
}

/* ---- lines -------------------------------------------------------------- */

static int text_field(struct buf *out, const char *name, const char *s, ox_err *err) {
    return export_json_text(out, name, s, strlen(s), err);
}

static int key_field(struct buf *out, const char *name, struct ox_key key, ox_err *err) {
    return buf_printf(out, err, "\"%s\":\"%016llx%016llx\",", name, (unsigned long long)key.hi,
                      (unsigned long long)key.lo);
}

static int write_session(struct leaving *v, ox_err *err) {
    static const char *const by[] = {"line", "model", "user"};
    const struct store_chat *c = &v->chat;
    char *settings = NULL;
    int rc = store_chat_settings(v->st, c->id, &settings, err);
    if (!rc) rc = buf_puts(v->out, "{\"oxbow\":1,\"kind\":\"session\",", err);
    if (!rc) rc = text_field(v->out, "uid", c->uid, err);
    if (!rc) rc = text_field(v->out, "title", c->title, err);
    if (!rc) rc = text_field(v->out, "title_by", by[c->title_by], err);
    if (!rc) rc = export_json_raw(v->out, "pinned", c->pinned ? "true" : "false", err);
    if (!rc) rc = export_json_int(v->out, "created_us", c->created_us, err);
    if (!rc) rc = export_json_int(v->out, "updated_us", c->updated_us, err);
    if (!rc) rc = export_json_int(v->out, "leaf", message_number(v, c->leaf), err);
    if (!rc && c->forked_from[0]) rc = text_field(v->out, "forked_from", c->forked_from, err);
    if (!rc) rc = export_json_raw(v->out, "settings", settings, err);
    ox_free(settings);
    return rc ? rc : export_json_end(v->out, err);
}

static int write_model(struct leaving *v, ox_err *err) {
    int rc = 0;
    struct query q =
        db_query(v->st->db, "SELECT m.name, m.source, m.weights_hash, m.template_hash FROM "
                            "session s JOIN model m ON m.id = s.model_id WHERE s.id = :id");
    query_i64(&q, ":id", v->chat.id);
    if (query_row(&q)) {
        rc = buf_puts(v->out, "{\"kind\":\"model\",", err);
        if (!rc) rc = text_field(v->out, "name", query_col_text(&q, 0, NULL), err);
        if (!rc) rc = text_field(v->out, "source", query_col_text(&q, 1, NULL), err);
        if (!rc) rc = key_field(v->out, "weights", query_col_key(&q, 2), err);
        if (!rc) rc = key_field(v->out, "template", query_col_key(&q, 3), err);
        if (!rc) rc = export_json_end(v->out, err);
    }
    int end = query_end(&q, rc ? NULL : err);
    return rc ? rc : end;
}

struct doc_line {
    struct leaving *v;
    int number;
    char *text;
    size_t n;
};

static int write_doc_row(void *user, const struct store_doc *d) {
    struct doc_line *l = user;
    struct buf *out = l->v->out;
    int rc = buf_puts(out, "{\"kind\":\"document\",", NULL);
    if (!rc) rc = export_json_int(out, "id", l->number, NULL);
    if (!rc) rc = text_field(out, "name", d->name, NULL);
    if (!rc) rc = text_field(out, "type", d->kind, NULL);
    if (!rc) rc = text_field(out, "encoding", d->encoding, NULL);
    if (!rc) rc = export_json_int(out, "n_bytes", (int64_t)d->n_bytes, NULL);
    if (!rc) rc = export_json_int(out, "n_lines", (int64_t)d->n_lines, NULL);
    if (!rc) rc = key_field(out, "hash", d->hash, NULL);
    if (!rc && l->text) rc = export_json_text(out, "text", l->text, l->n, NULL);
    return rc ? rc : export_json_end(out, NULL);
}

static int write_docs(struct leaving *v, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < v->n_docs; i++) {
        struct doc_line l = {.v = v, .number = (int)i + 1};
        if (v->how->with_docs) rc = store_doc_text(v->st, v->doc[i], 0, 0, &l.text, &l.n, err);
        if (!rc) rc = store_doc_get(v->st, v->doc[i], write_doc_row, &l, err);
        ox_free(l.text);
    }
    return rc;
}

static int write_message(struct leaving *v, size_t i, ox_err *err) {
    const struct chat_node *row = &v->tree.node[i];
    int *docs = ox_alloc(row->n_docs, sizeof *docs, "document numbers", err);
    int rc = docs ? 0 : OX_ENOMEM;
    for (size_t k = 0; !rc && k < row->n_docs; k++)
        rc = doc_number(v, row->docs[k].doc, &docs[k], err);
    if (!rc)
        rc =
            export_json_message(v->out, (int)i + 1, message_number(v, row->parent), row, docs, err);
    ox_free(docs);
    return rc;
}

struct run_line {
    struct leaving *v;
    int number;
};

static int write_run(void *user, const struct store_ledger *r) {
    struct run_line *l = user;
    struct buf *out = l->v->out;
    const struct chat_ledger *c = &r->cost;
    int rc = buf_puts(out, "{\"kind\":\"run\",", NULL);
    if (!rc) rc = export_json_int(out, "message", l->number, NULL);
    if (!rc) rc = text_field(out, "model", r->model, NULL);
    if (!rc) rc = text_field(out, "engine", r->engine, NULL);
    if (!rc) rc = text_field(out, "build", r->build, NULL);
    if (!rc) rc = buf_printf(out, NULL, "\"seed\":\"%llu\",", (unsigned long long)c->seed);
    if (!rc) rc = export_json_raw(out, "sampling", r->sampling, NULL);
    if (!rc) rc = text_field(out, "stop", r->stop, NULL);
    if (!rc) rc = export_json_int(out, "n_prompt", (int64_t)c->n_in, NULL);
    if (!rc) rc = export_json_int(out, "n_reused", (int64_t)c->n_reused, NULL);
    if (!rc) rc = export_json_int(out, "n_out", (int64_t)c->n_out, NULL);
    return rc ? rc : export_json_end(out, NULL);
}

/* Documents come before the messages that name them, so their numbers are given first. */
static int number_docs(struct leaving *v, ox_err *err) {
    int rc = 0, unused;
    for (size_t i = 0; !rc && i < v->tree.n; i++)
        for (size_t k = 0; !rc && k < v->tree.node[i].n_docs; k++)
            rc = doc_number(v, v->tree.node[i].docs[k].doc, &unused, err);
    return rc;
}

static int write_lines(struct leaving *v, ox_err *err) {
    int rc = number_docs(v, err);
    if (!rc) rc = write_session(v, err);
    if (!rc) rc = write_model(v, err);
    if (!rc) rc = write_docs(v, err);
    for (size_t i = 0; !rc && i < v->tree.n; i++)
        rc = write_message(v, i, err);
    for (size_t i = 0; !rc && i < v->tree.n; i++)
        for (size_t k = v->cite_of[i]; !rc && k < v->cite_of[i + 1]; k++)
            rc = export_json_cite(v->out, (int)i + 1, &v->cite[k], err);
    for (size_t i = 0; !rc && i < v->tree.n; i++) {
        struct run_line l = {v, (int)i + 1};
        ox_err why = {0};
        rc = store_run_get(v->st, v->tree.node[i].id, write_run, &l, &why);
        if (rc == OX_ENOTFOUND) rc = 0; /* questions have none */
        if (rc && err) *err = why;
    }
    return rc;
}

int store_export(store *st, int64_t chat, const struct store_export *how, struct buf *out,
                 ox_err *err) {
    struct leaving v = {.st = st, .how = how, .out = out};
    int rc = store_chat_get(st, chat, &v.chat, err);
    if (!rc) rc = gather(&v, err);
    if (!rc) rc = how->form == STORE_JSONL ? write_lines(&v, err) : write_page(&v, err);
    chat_deinit(&v.tree);
    ox_free(v.cite);
    ox_free(v.cite_of);
    ox_free(v.doc);
    ox_arena_deinit(&v.mem);
    return rc ? ox_err_wrap(err, rc, "export session") : 0;
}
