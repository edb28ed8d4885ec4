/* export.c - see export.h. */
#include "app/core/export.h"

#include "app/core/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void write_date(char *out, size_t cap, int64_t us) {
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, cap, "%Y-%m-%d %H:%M UTC", &tm)) *out = 0;
}

static const char *end_note(enum chat_end end) {
    switch (end) {
    case CHAT_OPEN: return "[being written]";
    case CHAT_DONE: return "";
    case CHAT_STOPPED: return "[stopped]";
    case CHAT_LENGTH: return "[cut at the limit]";
    case CHAT_CRASHED: return "[interrupted]";
    case CHAT_FAILED: return "[failed]";
    }
    return "";
}

/* ---- Markdown ----------------------------------------------------------- */

/* Bytes of a closing quotation mark at s: the footnote goes behind it. */
static size_t closing_mark(const char *s, size_t n) {
    static const char *const marks[] = {"\"",           "\xe2\x80\x9d", "\xc2\xbb",
                                        "\xe2\x80\x9c", "\xe3\x80\x8d", "\xe3\x80\x8f"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t len = strlen(marks[i]);
        if (len <= n && memcmp(s, marks[i], len) == 0) return len;
    }
    return 0;
}

static int add_text(struct buf *out, const struct export_turn *t, size_t *n_notes, ox_err *err) {
    const struct chat_node *row = t->row;
    size_t at = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < t->n_cites; i++) {
        size_t to = t->cite[i].msg_to;
        if (to < at || to > row->n_bytes) continue; /* does not belong to this text */
        to += closing_mark(row->text + to, row->n_bytes - to);
        rc = buf_add(out, row->text + at, to - at, err);
        if (!rc) rc = buf_printf(out, err, "[^%zu]", ++*n_notes);
        at = to;
    }
    return rc ? rc : buf_add(out, row->text + at, row->n_bytes - at, err);
}

static int add_place(struct buf *out, const struct export_cite *c, ox_err *err) {
    if (c->verdict == CITE_MISSING) return buf_puts(out, "not in the text", err);
    int rc = buf_printf(out, err, "%s:%zu", c->doc_name ? c->doc_name : "?", c->line_from);
    if (!rc && c->line_to > c->line_from) rc = buf_printf(out, err, "-%zu", c->line_to);
    if (!rc && c->page) rc = buf_printf(out, err, ", page %zu", c->page);
    return rc ? rc : buf_printf(out, err, " (%s)", cite_verdict_name(c->verdict));
}

static int add_notes(struct buf *out, const struct export_page *page, ox_err *err) {
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < page->n; i++) {
        const struct export_turn *t = &page->turn[i];
        size_t at = 0;
        for (size_t k = 0; !rc && k < t->n_cites; k++) {
            const struct export_cite *c = &t->cite[k];
            if (c->msg_to < at || c->msg_to > t->row->n_bytes) continue;
            at = c->msg_to;
            rc = buf_printf(out, err, "%s[^%zu]: ", n ? "" : "\n", n + 1);
            n++;
            if (!rc) rc = add_place(out, c, err);
            if (!rc) rc = buf_putc(out, '\n', err);
        }
    }
    return rc;
}

static int add_docs(struct buf *out, const struct chat_node *row, const char *form, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < row->n_docs; i++)
        rc = buf_printf(out, err, "%s[%zu] %s\n%s", form, i + 1,
                        row->docs[i].name ? row->docs[i].name : "",
                        i + 1 == row->n_docs ? "\n" : "");
    return rc;
}

static const char *heading(enum ox_role role) {
    return role == OX_ROLE_USER ? "You" : role == OX_ROLE_ASSISTANT ? "oxbow" : "System";
}

int export_markdown(struct buf *out, const struct export_page *page, ox_err *err) {
    char date[40];
    size_t n_notes = 0;
    write_date(date, sizeof date, page->created_us);
    int rc = buf_printf(out, err, "# %s\n\n*%s%s%s%s%.4s*\n",
                        page->title && *page->title ? page->title : "Untitled", date,
                        page->model && *page->model ? ", " : "", page->model ? page->model : "",
                        *page->uid ? ", session " : "", page->uid);
    for (size_t i = 0; !rc && i < page->n; i++) {
        const struct export_turn *t = &page->turn[i];
        const char *note = end_note(t->row->end);
        rc = buf_printf(out, err, "\n## %s\n\n", heading(t->row->role));
        if (!rc) rc = add_docs(out, t->row, "- ", err);
        if (!rc) rc = add_text(out, t, &n_notes, err);
        if (!rc) rc = buf_putc(out, '\n', err);
        if (!rc && *note) rc = buf_printf(out, err, "\n*%s*\n", note);
    }
    return rc ? rc : add_notes(out, page, err);
}

int export_branch(struct buf *out, const struct chat *c, int64_t leaf, const char *title,
                  const char *model, ox_err *err) {
    enum { TITLE_CELLS = 60 };
    struct chat_node **path = NULL;
    struct export_turn *turn = NULL;
    struct buf words = {0};
    size_t n = 0;
    int rc = chat_path(c, leaf, &path, &n, err);
    if (!rc) turn = ox_alloc(n + 1, sizeof *turn, "turns to be exported", err);
    if (!rc && !turn) rc = OX_ENOMEM;
    for (size_t i = 0; !rc && i < n; i++) {
        turn[i].row = path[i];
        if (path[i]->role == OX_ROLE_USER && !words.n && !*title)
            rc = text_brief(&words, path[i]->text, path[i]->n_bytes, TITLE_CELLS, err);
    }
    const struct export_page page = {.title = *title ? title : buf_str(&words),
                                     .uid = "",
                                     .model = model,
                                     .created_us = n ? path[0]->created_us : 0,
                                     .turn = turn,
                                     .n = n};
    if (!rc) rc = export_markdown(out, &page, err);
    buf_deinit(&words);
    ox_free(turn);
    ox_free(path);
    return rc;
}

int export_text(struct buf *out, const struct export_page *page, ox_err *err) {
    char date[40];
    write_date(date, sizeof date, page->created_us);
    int rc =
        buf_printf(out, err, "%s\n%s%s%s\n", page->title && *page->title ? page->title : "Untitled",
                   date, page->model && *page->model ? ", " : "", page->model ? page->model : "");
    for (size_t i = 0; !rc && i < page->n; i++) {
        const struct chat_node *row = page->turn[i].row;
        const char *note = end_note(row->end);
        static const char *const labels[] = {"", "system> ", "you> ", "oxbow> "};
        rc = buf_puts(out, "\n", err);
        if (!rc) rc = add_docs(out, row, "", err);
        if (!rc) rc = buf_puts(out, labels[row->role], err);
        if (!rc) rc = buf_add(out, row->text, row->n_bytes, err);
        if (!rc) rc = buf_printf(out, err, "%s%s\n", *note ? " " : "", note);
    }
    return rc;
}

/* ---- JSONL -------------------------------------------------------------- */

static int add_name(struct buf *out, const char *name, ox_err *err) {
    return buf_printf(out, err, "\"%s\":", name);
}

int export_json_text(struct buf *out, const char *name, const char *s, size_t n, ox_err *err) {
    size_t from = 0;
    int rc = add_name(out, name, err);
    if (!rc) rc = buf_putc(out, '"', err);
    for (size_t i = 0; !rc && i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        rc = buf_add(out, s + from, i - from, err);
        from = i + 1;
        if (rc) break;
        if (c == '\n')
            rc = buf_puts(out, "\\n", err);
        else if (c == '"' || c == '\\')
            rc = buf_printf(out, err, "\\%c", c);
        else
            rc = buf_printf(out, err, "\\u%04x", c);
    }
    if (!rc) rc = buf_add(out, s + from, n - from, err);
    return rc ? rc : buf_puts(out, "\",", err);
}

int export_json_int(struct buf *out, const char *name, int64_t v, ox_err *err) {
    return buf_printf(out, err, "\"%s\":%lld,", name, (long long)v);
}

int export_json_raw(struct buf *out, const char *name, const char *json, ox_err *err) {
    int rc = add_name(out, name, err);
    if (!rc) rc = buf_puts(out, json, err);
    return rc ? rc : buf_putc(out, ',', err);
}

int export_json_end(struct buf *out, ox_err *err) {
    if (out->n && out->p[out->n - 1] == ',') buf_cut(out, out->n - 1);
    return buf_puts(out, "}\n", err);
}

static int add_json_docs(struct buf *out, const struct chat_node *row, const int *docs,
                         ox_err *err) {
    int rc = buf_puts(out, "\"docs\":[", err);
    for (size_t i = 0; !rc && i < row->n_docs; i++) {
        const char *name = row->docs[i].name ? row->docs[i].name : "";
        rc = buf_puts(out, i ? ",{" : "{", err);
        if (!rc) rc = export_json_int(out, "doc", docs[i], err);
        if (!rc) rc = export_json_text(out, "name", name, strlen(name), err);
        if (!rc) rc = export_json_int(out, "from", (int64_t)row->docs[i].from, err);
        if (!rc) rc = export_json_int(out, "to", (int64_t)row->docs[i].to, err);
        if (!rc) buf_cut(out, out->n - 1);
        if (!rc) rc = buf_putc(out, '}', err);
    }
    return rc ? rc : buf_puts(out, "],", err);
}

int export_json_message(struct buf *out, int id, int parent, const struct chat_node *row,
                        const int *docs, ox_err *err) {
    const char *role = chat_role_name(row->role), *state = chat_end_name(row->end);
    int rc = buf_puts(out, "{\"kind\":\"message\",", err);
    if (!rc) rc = export_json_int(out, "id", id, err);
    if (!rc) rc = export_json_int(out, "parent", parent, err);
    if (!rc) rc = export_json_text(out, "role", role, strlen(role), err);
    if (!rc) rc = export_json_text(out, "state", state, strlen(state), err);
    if (!rc) rc = export_json_int(out, "created_us", row->created_us, err);
    if (!rc) rc = export_json_text(out, "text", row->text, row->n_bytes, err);
    if (!rc && row->n_thought)
        rc = export_json_text(out, "thought", row->thought, row->n_thought, err);
    if (!rc && row->n_docs) rc = add_json_docs(out, row, docs, err);
    return rc ? rc : export_json_end(out, err);
}

int export_json_cite(struct buf *out, int message, const struct export_cite *c, ox_err *err) {
    const char *verdict = cite_verdict_name(c->verdict);
    int rc = buf_puts(out, "{\"kind\":\"citation\",", err);
    const struct {
        const char *name;
        size_t v;
    } ints[] = {{"byte_start", c->from},
                {"byte_end", c->to},
                {"line_start", c->line_from},
                {"line_end", c->line_to},
                {"page", c->page}};
    if (!rc) rc = export_json_int(out, "message", message, err);
    if (!rc) rc = export_json_int(out, "msg_start", (int64_t)c->msg_from, err);
    if (!rc) rc = export_json_int(out, "msg_end", (int64_t)c->msg_to, err);
    if (!rc) rc = export_json_text(out, "quote", c->quote, strlen(c->quote), err);
    if (!rc) rc = export_json_text(out, "verdict", verdict, strlen(verdict), err);
    if (!rc && c->doc) rc = export_json_int(out, "doc", c->doc, err);
    for (size_t i = 0; !rc && c->verdict != CITE_MISSING && i < sizeof ints / sizeof ints[0]; i++)
        rc = export_json_int(out, ints[i].name, (int64_t)ints[i].v, err);
    return rc ? rc : export_json_end(out, err);
}
