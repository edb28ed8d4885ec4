/* line.h - one typed line: libedit on a terminal that can move its cursor, plain reading elsewhere.
 */
#ifndef LINE_H
#define LINE_H

#include "app/core/buf.h"

typedef struct line line;

enum line_got { LINE_END, LINE_TEXT, LINE_STOPPED };

struct line_opts {
    bool edits;  /* a terminal: editing, history, completion of commands */
    bool echoes; /* no terminal: prompt and line are printed, so that the output reads as a talk */
    int stop_fd; /* readable: a signal waits, reading ends with LINE_STOPPED; -1 */
};
int line_open(const struct line_opts *opts, line **out, ox_err *err);
void line_close(line *l); /* NULL is fine; the terminal is as before */
/* Replaces out by the line without its line feed. Stopped: what was typed is in out. */
int line_read(line *l, const char *prompt, struct buf *out, enum line_got *got, ox_err *err);
/* Up brings it back. */
void line_remember(line *l, const char *text);
/* The next line_read begins with this text typed already (no line feeds). */
void line_prefill(line *l, const char *text);

#endif
