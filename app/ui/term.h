/* term.h - the real terminal: modes, bytes in, one write a frame out.
 *
 * The only user of ncurses, for what the terminal can do (terminfo); what is drawn and where the
 * cursor stands is decided by ui/paint.c, because curses libraries take widths from the C library
 * and lose a row when a terminal disagrees (docs/DECISIONS.md). One terminal a process:
 * term_restore may be called from a signal handler. UI thread. */
#ifndef UI_TERM_H
#define UI_TERM_H

#include "app/ui/frame.h"
#include "app/ui/theme.h"
#include "app/ui/keys.h"

typedef struct term_io term;

struct term_opts {
    const char *name; /* $TERM */
    bool no_mouse;
    bool no_color; /* bold and reverse remain */
    bool is_utf8;  /* of the locale */
    enum theme_name theme;
};

/* Takes the terminal of fd (input and output). OX_EFAIL with a reason if it cannot be drawn on
 * (dumb, no cursor addressing): plain mode is for it. */
int term_open(const struct term_opts *opts, int fd, term **out, ox_err *err);
void term_close(term *t); /* NULL is fine; the terminal is as it was */
int term_fd(const term *t);
void term_size(const term *t, int *w, int *h);
void term_set_theme(term *t, enum theme_name theme); /* draws all with the next frame */
/* Everything that waits, in blocks. OX_EIO: the terminal is gone. */
int term_read(term *t, struct keys *keys, ox_err *err);
int term_draw(term *t, const struct frame *f, ox_err *err);   /* what changed, in one write */
int term_copy(term *t, const char *s, size_t n, ox_err *err); /* clipboard, OSC 52 */
void term_bell(term *t);
void term_pause(term *t); /* gives the terminal back: suspend, editor */
void term_resume(term *t);
void term_restore(void); /* [any], async-signal-safe: modes and screen as before term_open */

#endif
