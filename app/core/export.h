/* export.h - a conversation as Markdown or plain text for reading, and the lines of JSONL that
 * oxbow reads back. Pure; output is appended to a buffer, on a failure it holds a part. Text from
 * the model is passed on as it is: whoever shows it on a terminal filters (core/text.h).
 * docs/STORE.md section 9. */
#ifndef EXPORT_H
#define EXPORT_H

#include "app/core/buf.h"
#include "app/core/chat.h"
#include "app/core/cite.h"

struct export_cite {
    size_t msg_from, msg_to; /* bytes of the message's text, ascending */
    const char *quote, *doc_name;
    enum cite_verdict verdict;
    int doc; /* number in the file; 0: none */
    size_t from, to, line_from, line_to, page;
};
struct export_turn { /* all borrowed */
    const struct chat_node *row;
    const struct export_cite *cite;
    size_t n_cites;
};
struct export_page {
    const char *title, *uid, *model; /* "": none; not known */
    int64_t created_us;
    const struct export_turn *turn; /* one path, root first */
    size_t n;
};

/* Title, date, model; "## You" and "## oxbow"; quotations get footnotes with their lines. */
int export_markdown(struct buf *out, const struct export_page *page, ox_err *err);
/* The same of the branch that ends at `leaf`, as far as memory has it: for what is saved nowhere.
 * Quotations have no footnotes. `title` "": the first words of the first question. */
int export_branch(struct buf *out, const struct chat *c, int64_t leaf, const char *title,
                  const char *model, ox_err *err);
/* The same without marks: "you> " and "oxbow> ". */
int export_text(struct buf *out, const struct export_page *page, ox_err *err);

/* ---- JSONL -------------------------------------------------------------- */

/* Appends `"name":value,`; a string is escaped, n bytes of valid UTF-8. The caller opens with { and
 * ends with export_json_end, which takes the last comma back. */
int export_json_text(struct buf *out, const char *name, const char *s, size_t n, ox_err *err);
int export_json_int(struct buf *out, const char *name, int64_t v, ox_err *err);
int export_json_raw(struct buf *out, const char *name, const char *json, ox_err *err);
int export_json_end(struct buf *out, ox_err *err); /* "}\n" */

int export_json_message(struct buf *out, int id, int parent, const struct chat_node *row,
                        const int *docs, ox_err *err); /* docs: numbers of row->docs in the file */
int export_json_cite(struct buf *out, int message, const struct export_cite *c, ox_err *err);

#endif
