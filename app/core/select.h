/* select.h - text of the transcript chosen by dragging the mouse over it: by words, as shown,
 * without indents, labels and the breaks of wrapped rows. Pure, UI thread. */
#ifndef CORE_SELECT_H
#define CORE_SELECT_H

#include "app/core/sheet.h"

struct select_end {
    size_t i, at; /* message of the path; byte of its shown text (item.md.text) */
};
struct selection {
    bool is_held, is_on;        /* the button is down; text is chosen */
    struct select_end from, to; /* where the button went down, where it is now */
};

/* The text below a cell: `row` of the message's height, `cell` behind the indent. */
struct select_end select_at(struct sheet *t, struct sheet_place p, size_t cell);
/* Bytes of message i that are chosen, whole words; false: none. */
bool select_range(const struct selection *sel, struct sheet *t, size_t i, size_t *from, size_t *to);
/* Appends the chosen text; an empty line between messages. */
int select_copy(const struct selection *sel, struct sheet *t, struct buf *out, ox_err *err);

#endif
