/* frame.h - the screen as cells: what views draw into and what ui/paint.c compares and writes.
 *
 * A cell holds one grapheme cluster and a style. The right half of a cluster of two cells has width
 * 0. Text passes frame_text, which refuses control bytes: a cell never holds one, so no view can
 * send an escape sequence, whatever it was given. A cluster that would be cut at an edge becomes
 * spaces. One caller at a time. */
#ifndef UI_FRAME_H
#define UI_FRAME_H

#include "app/core/rect.h"
#include "app/core/wrap.h"

enum { CELL_BYTES = 29 }; /* a family emoji has 25; longer clusters keep their first code points */

struct cell {
    char bytes[CELL_BYTES]; /* not terminated; n = 0: a space */
    uint8_t n, width, style;
};

struct frame {
    struct cell *cell; /* [h,w] */
    int w, h;
    int cursor_x, cursor_y; /* -1: hidden */
};

int frame_init(struct frame *f, int w, int h, ox_err *err); /* blank; also to resize */
void frame_clear(struct frame *f);
/* Draws n bytes at (x, y), at most up to column `end` (exclusive) of the row. Returns the column
 * behind the text. Control characters become '?' (callers filter; this is the last line of
 * defence). */
int frame_text(struct frame *f, int x, int y, int end, const char *s, size_t n, enum style style);
int frame_puts(struct frame *f, int x, int y, int end, const char *s, enum style style);
/* The same with spans of the text that begins at byte 0 of s; draws bytes [from, to). */
int frame_spans(struct frame *f, int x, int y, int end, const char *s, size_t from, size_t to,
                const struct span *spans, size_t n_spans);
void frame_fill(struct frame *f, struct rect r, const char *cluster, enum style style);
void frame_style(struct frame *f, struct rect r, enum style style); /* keeps the text */
const struct cell *frame_cell(const struct frame *f, int x, int y);
/* The frame as text, rows without trailing spaces, LF behind each: for tests. */
int frame_dump(const struct frame *f, struct buf *out, ox_err *err);
void frame_deinit(struct frame *f);

#endif
