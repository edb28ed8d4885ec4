/* thought.c - see thought.h. */
#include "app/core/thought.h"

#include <string.h>

static const char mark[] = "</think>";
enum { MARK_BYTES = sizeof mark - 1 };

static int feed_inside(struct thought *t, char c, struct buf *thoughts, ox_err *err) {
    int rc = 0;
    /* '<' occurs once in the mark, so a mismatch can only begin a new match at this byte. */
    if (c != mark[t->n_held]) {
        rc = buf_add(thoughts, mark, t->n_held, err);
        t->n_held = 0;
    }
    if (rc) return rc;
    if (c != mark[t->n_held]) return buf_putc(thoughts, c, err);
    if (++t->n_held < MARK_BYTES) return 0;
    t->n_held = 0;
    t->inside = false;
    t->trims = true;
    return 0;
}

int thought_feed(struct thought *t, const char *s, size_t n, struct buf *thoughts,
                 struct buf *answer, ox_err *err) {
    int rc = 0;
    size_t i = 0;
    for (; !rc && i < n && t->inside; i++)
        rc = feed_inside(t, s[i], thoughts, err);
    for (; t->trims && i < n && s[i] == '\n'; i++) {
    }
    if (i < n) t->trims = false;
    return rc ? rc : buf_add(answer, s + i, n - i, err);
}

int thought_end(struct thought *t, struct buf *thoughts, ox_err *err) {
    size_t n = t->n_held;
    t->n_held = 0;
    return buf_add(thoughts, mark, n, err);
}
