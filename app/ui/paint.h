/* paint.h - the bytes that turn the screen shown into the next frame.
 *
 * Pure: ui/term.c writes them in one go. ECMA-48 sequences that every terminal with cursor
 * addressing of that kind understands; term.c asks terminfo whether this one does. Where terminals
 * disagree about the cells of a cluster (joined emoji, flags, presentation selectors), its place is
 * blanked first and the cursor is set anew behind it, so that a disagreement never moves the rest
 * of the row. */
#ifndef UI_PAINT_H
#define UI_PAINT_H

#include "app/ui/frame.h"
#include "app/ui/theme.h"

struct paint {
    struct frame shown; /* what the terminal has; invalid: nothing is known about it */
    bool is_valid;
    enum theme_name theme;
    int n_colours;
    bool is_utf8; /* else what is not ASCII becomes '?' */
};

/* Appends the bytes; none if nothing changed. On an error p is invalid, the next call draws all. */
int paint_frame(struct paint *p, const struct frame *next, struct buf *out, ox_err *err);
void paint_deinit(struct paint *p);

#endif
