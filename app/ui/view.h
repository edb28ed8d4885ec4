/* view.h - drawing: each view turns a part of the state into cells of its rectangle.
 *
 * Views change nothing but the layout cache of the transcript. Text of others is filtered on its
 * way into the layouts (core/md.c) or by view_text here; frame_text is the last defence. */
#ifndef UI_VIEW_H
#define UI_VIEW_H

#include "app/core/state.h"
#include "app/ui/frame.h"

/* Draws the whole screen: clears f, lays out, calls the views, sets the cursor. */
void view_screen(struct app_state *s, struct frame *f);

typedef void view_draw(struct app_state *s, struct frame *f);
view_draw view_chat, view_doc, view_tree, view_sides, view_sessions, view_palette, view_help,
    view_input, view_hint, view_status, view_bar, view_error, view_title;

/* ---- for the views ---- */
/* Foreign text in one line, filtered; "..." if it does not fit. Returns the column behind it. */
int view_text(struct frame *f, int x, int y, int end, const char *s, size_t n, enum style style);
/* printf for the program's own words and filtered names. */
int view_printf(struct frame *f, int x, int y, int end, enum style style, const char *fmt, ...)
    OX_PRINTF(6, 7);
/* The same, ending at column `end`; returns where it begins. */
int view_right(struct frame *f, int y, int end, enum style style, const char *text);
void view_rule(const struct app_state *s, struct frame *f, int x, int y, int w);
void view_head(struct app_state *s, struct frame *f, const char *what,
               const char *right);                                  /* row 0 of a list */
void view_time(const struct app_state *s, int64_t us, char out[8]); /* "09:14" */
void view_day(const struct app_state *s, int64_t us, char out[24]); /* "today 09:14", "12 Nov" */
/* Marks the words looked for in a row that was drawn from `text`. */
void view_mark_found(const struct app_state *s, struct frame *f, int x, int y, int end,
                     const char *text, size_t n);

#endif
