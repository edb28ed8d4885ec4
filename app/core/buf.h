/* buf.h - growable bytes: the one string builder of app/.
 *
 * {0} is valid and empty. Whatever was added is followed by a zero byte, so p is also a C string
 * once something was added; buf_str gives one always. Pure, belongs to one caller at a time. On
 * OX_ENOMEM a buffer is as it was before the call. */
#ifndef BUF_H
#define BUF_H

#include "engine/ox.h"

struct buf {
    char *p;       /* owned; NULL while nothing was added */
    size_t n, cap; /* n bytes used, the zero byte not counted */
};

int buf_add(struct buf *b, const void *bytes, size_t n, ox_err *err);
int buf_puts(struct buf *b, const char *s, ox_err *err);
int buf_putc(struct buf *b, char c, ox_err *err);
int buf_printf(struct buf *b, ox_err *err, const char *fmt, ...) OX_PRINTF(3, 4);

/* Makes room for n more bytes behind b->n, plus the zero byte; the caller writes to b->p + b->n and
 * then adds to b->n with buf_grown. For read(2). */
int buf_room(struct buf *b, size_t n, ox_err *err);
void buf_grown(struct buf *b, size_t n);

/* Replaces n_old bytes at `at` with n_new bytes, which must not lie inside b. */
int buf_splice(struct buf *b, size_t at, size_t n_old, const void *bytes, size_t n_new,
               ox_err *err);

void buf_cut(struct buf *b, size_t n);    /* keeps the first n bytes; n beyond the end: nothing */
const char *buf_str(const struct buf *b); /* borrowed until the next change; "" when empty */
char *buf_take(struct buf *b, size_t *n); /* handed over (ox_free); b is left empty; may be NULL */
void buf_deinit(struct buf *b);

#endif
