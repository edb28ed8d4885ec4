/* columns.c - see columns.h. */
#include "app/core/columns.h"

#include <string.h>

enum {
    GUTTER = 2,    /* spaces between columns at least; justified text has more gaps in a line */
    MIN_WORDS = 3, /* on each side: a cell of a table has fewer as a rule */
    MIN_LINES = 5  /* a page */
};

static size_t page_end(const char *p, size_t n, size_t at) {
    const char *feed = memchr(p + at, '\f', n - at);
    return feed ? (size_t)(feed - p) : n;
}

static size_t count_words(const char *p, size_t n) {
    size_t words = 0;
    for (size_t i = 0; i < n; i++)
        words += p[i] != ' ' && (i == 0 || p[i - 1] == ' ');
    return words;
}

/* One gap, words on both sides. */
static bool is_split(const char *line, size_t n) {
    size_t at = 0, gaps = 0, left = 0, right = 0;
    while (at < n && line[at] == ' ')
        at++;
    for (size_t i = at; i < n; i++) {
        size_t gap = 0;
        while (i + gap < n && line[i + gap] == ' ')
            gap++;
        if (gap >= GUTTER && i + gap < n) {
            gaps++;
            left = count_words(line + at, i - at);
            right = count_words(line + i + gap, n - i - gap);
        }
        i += gap;
    }
    return gaps == 1 && left >= MIN_WORDS && right >= MIN_WORDS;
}

static bool has_columns(const char *p, size_t n) {
    size_t lines = 0, split = 0;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(p + at, '\n', n - at);
        size_t len = end ? (size_t)(end - p) - at : n - at;
        lines += count_words(p + at, len) > 0;
        split += is_split(p + at, len);
        at += len + 1;
    }
    return split >= MIN_LINES && split * 5 >= lines * 2;
}

bool columns_any(const char *text, size_t n) {
    for (size_t at = 0; at < n;) {
        size_t end = page_end(text, n, at);
        if (has_columns(text + at, end - at)) return true;
        at = end + 1;
    }
    return false;
}

static size_t count_pages(const struct buf *b) {
    size_t pages = 0;
    for (size_t i = 0; i < b->n; i++)
        pages += b->p[i] == '\f';
    return pages;
}

int columns_join(const struct buf *looks, const struct buf *order, struct buf *out, ox_err *err) {
    const char *a = buf_str(looks), *b = buf_str(order);
    if (count_pages(looks) != count_pages(order)) return buf_add(out, a, looks->n, err);
    int rc = 0;
    for (size_t at = 0, other = 0; !rc && at < looks->n;) {
        size_t end = page_end(a, looks->n, at), last = page_end(b, order->n, other);
        bool columns = has_columns(a + at, end - at);
        rc = columns ? buf_add(out, b + other, last - other, err)
                     : buf_add(out, a + at, end - at, err);
        if (!rc && end < looks->n) rc = buf_putc(out, '\f', err);
        at = end + 1;
        other = last < order->n ? last + 1 : last;
    }
    return rc;
}
