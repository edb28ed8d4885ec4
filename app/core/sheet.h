/* sheet.h - the transcript as rows: a cache of laid out messages, filled as they come into view.
 *
 * A message is a label row, its text, perhaps a note (how it ended) and a blank row. Only messages
 * near the view are laid out, so that a session of 10,000 turns costs what a screen costs; a place
 * is a message and a row in it, never a row counted from the start. Checked quotations get their
 * marks here. Pure, one caller at a time. */
#ifndef CORE_SHEET_H
#define CORE_SHEET_H

#include "app/core/chat.h"
#include "app/core/cite.h"
#include "app/core/md.h"

struct sheet_item {
    int64_t id;      /* 0: not laid out */
    size_t n_source; /* bytes of the message when it was laid out */
    enum chat_end end;
    struct buf marked; /* its text with citation marks; empty if it has none */
    struct cite_list cites;
    size_t n_checked; /* bytes of the message whose quotations were looked at */
    struct md md;
    struct row_list rows;
    size_t n_final_rows, n_final_lines; /* of closed blocks */
    unsigned version;                   /* sheet.version when it was laid out */
};

struct sheet_doc {
    const char *name;
    const cite_index *index;
    const size_t *line;
    size_t n_lines;
};

struct sheet {
    struct sheet_item *item; /* [n], as the path on screen */
    size_t n, cap, n_live;
    struct chat_node **path;     /* borrowed from chat_path; owned array */
    size_t width;                /* cells for a row, indent included */
    bool raw;                    /* v: source instead of Markdown */
    unsigned version;            /* counts what makes every layout stale: width, raw, documents */
    const struct sheet_doc *doc; /* borrowed, of state.docs */
    size_t n_docs;
};

enum { SHEET_INDENT = 3 }; /* cells before a message's text */

/* Takes the path to the chat's leaf. Call after each change of the tree; layouts of messages that
 * stay are kept. */
int sheet_set_path(struct sheet *t, const struct chat *chat, ox_err *err);
void sheet_set_view(struct sheet *t, size_t width,
                    bool raw); /* and again when documents change: stale */
void sheet_stale(struct sheet *t);

/* The layout of message i, made or brought up to date. Borrowed until the next call. NULL: no
 * memory. */
const struct sheet_item *sheet_get(struct sheet *t, size_t i);
size_t sheet_height(struct sheet *t,
                    size_t i); /* rows of message i with label, note and blank row */
bool sheet_has_note(const struct chat_node *node);
/* Row of the message's height that its text row r is. */
size_t sheet_text_row(size_t r);

struct sheet_place {
    size_t i, row;
}; /* message, row of its height */
/* Moves a place by `rows` (negative: up); stops at the ends. False if it did not move all the way.
 */
bool sheet_move(struct sheet *t, struct sheet_place *p, long rows);
/* The place whose view of h rows shows the end of the transcript as its last row. */
struct sheet_place sheet_end(struct sheet *t, size_t h);
bool sheet_is_at_end(struct sheet *t, struct sheet_place p, size_t h);

/* Line of a document that holds byte `at`, counted from 1. */
size_t sheet_line_of(const struct sheet_doc *d, size_t at);
void sheet_deinit(struct sheet *t);

#endif
