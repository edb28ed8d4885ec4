/* buf.c - see buf.h. Apart, because every text of the program is built with it. */
#include "app/core/buf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int buf_room(struct buf *b, size_t n, ox_err *err) {
    if (n > SIZE_MAX - b->n - 1)
        return ox_err_set(err, OX_ENOMEM, "text of more bytes than memory");
    int rc = ox_grow(&b->p, &b->cap, b->n + n + 1, 1, err);
    if (!rc) b->p[b->n] = '\0'; /* also when nothing comes: then nobody calls buf_grown */
    return rc;
}

void buf_grown(struct buf *b, size_t n) {
    assert(b->n + n < b->cap);
    b->n += n;
    b->p[b->n] = '\0';
}

int buf_add(struct buf *b, const void *bytes, size_t n, ox_err *err) {
    int rc = buf_room(b, n, err);
    if (rc) return rc;
    if (n) memcpy(b->p + b->n, bytes, n);
    buf_grown(b, n);
    return 0;
}

int buf_puts(struct buf *b, const char *s, ox_err *err) {
    return buf_add(b, s, strlen(s), err);
}

int buf_putc(struct buf *b, char c, ox_err *err) {
    return buf_add(b, &c, 1, err);
}

int buf_printf(struct buf *b, ox_err *err, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) return ox_err_set(err, OX_EFAIL, "cannot format text");
    int rc = buf_room(b, (size_t)n, err);
    if (rc) return rc;
    va_start(ap, fmt);
    vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf_grown(b, (size_t)n);
    return 0;
}

int buf_splice(struct buf *b, size_t at, size_t n_old, const void *bytes, size_t n_new,
               ox_err *err) {
    assert(at <= b->n && n_old <= b->n - at);
    int rc = buf_room(b, n_new, err);
    if (rc) return rc;
    memmove(b->p + at + n_new, b->p + at + n_old, b->n - at - n_old);
    if (n_new) memcpy(b->p + at, bytes, n_new);
    b->n = b->n - n_old + n_new;
    b->p[b->n] = '\0';
    return 0;
}

void buf_cut(struct buf *b, size_t n) {
    if (n >= b->n) return;
    b->n = n;
    b->p[n] = '\0';
}

const char *buf_str(const struct buf *b) {
    return b->p ? b->p : "";
}

char *buf_take(struct buf *b, size_t *n) {
    char *p = b->p;
    if (n) *n = b->n;
    *b = (struct buf){0};
    return p;
}

void buf_deinit(struct buf *b) {
    ox_free(b->p);
    *b = (struct buf){0};
}
