/* cite_mark.c - see cite_mark.h. */
#include "app/core/cite_mark.h"

#include "app/core/text.h"

#include <string.h>

enum { MAX_DOCS = 64, CLAIM_BYTES = 40 }; /* more than "[12: 1234567-1234567]" has */

size_t cite_line(const struct cite_doc *d, size_t at) {
    size_t line = d->first_line;
    for (const char *p = d->text, *end = d->text + at; p < end; line++) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p) break;
        p++;
    }
    return line;
}

int cite_mark_put(struct buf *out, const struct cite *c, size_t line_from, size_t line_to,
                  const char *space, ox_err *err) {
    if (c->verdict == CITE_MISSING)
        return buf_printf(out, err, "[?]%snot%sin%sthe%stext", space, space, space, space);
    int rc = buf_printf(out, err, "[%s%zu:%s%zu", c->verdict == CITE_NEAR ? "~" : "", c->doc + 1,
                        space, line_from);
    if (!rc && line_to > line_from) rc = buf_printf(out, err, "-%zu", line_to);
    if (!rc && c->n_places > 1) rc = buf_printf(out, err, "%s+%zu", space, c->n_places - 1);
    return rc ? rc : buf_putc(out, ']', err);
}

size_t cite_mark_place(const char *answer, size_t n, size_t quote_to, size_t *end) {
    size_t at = quote_to, from, to;
    int32_t cp; /* the closing mark */
    if (at < n) at += text_next(answer + at, n - at, &cp);
    *end = at;
    cite_claim(answer, n, at, &from, &to, end);
    return at;
}

/* May the bytes from `at` on be the beginning of numbers that the model writes? */
static bool may_claim(const char *s, size_t n, size_t at) {
    if (n - at >= CLAIM_BYTES || memchr(s + at, '\n', n - at)) return false;
    while (at < n && (s[at] == ' ' || s[at] == ','))
        at++;
    return at == n || strchr("[(lL", s[at]);
}

static int put_one(const struct cite *c, const struct cite_doc *docs, struct buf *out,
                   ox_err *err) {
    size_t from = 0, to = 0;
    if (c->verdict != CITE_MISSING) {
        from = cite_line(&docs[c->doc], c->from);
        to = cite_line(&docs[c->doc], c->to > c->from ? c->to - 1 : c->to);
    }
    int rc = buf_putc(out, ' ', err);
    return rc ? rc : cite_mark_put(out, c, from, to, " ", err);
}

int cite_marker_feed(struct cite_marker *m, const char *answer, size_t n, bool is_all,
                     const struct cite_doc *docs, size_t n_docs, struct buf *out, ox_err *err) {
    const cite_index *index[MAX_DOCS];
    size_t n_index = 0;
    while (n_index < n_docs && n_index < MAX_DOCS && docs[n_index].index) {
        index[n_index] = docs[n_index].index;
        n_index++;
    }
    int rc = n_index ? cite_find(answer, n, m->n_checked, index, n_index, &m->found, err) : 0;
    if (!rc) m->n_checked = n;
    while (!rc && m->n_marked < m->found.n) {
        const struct cite *c = &m->found.v[m->n_marked];
        size_t end, at = cite_mark_place(answer, n, c->quote_to, &end);
        if (at > m->n_shown) rc = buf_add(out, answer + m->n_shown, at - m->n_shown, err);
        if (!rc && at > m->n_shown) m->n_shown = at;
        bool is_open = end == at ? may_claim(answer, n, at) : end == n; /* "line 41" may go on */
        if (rc || (!is_all && is_open)) return rc;
        rc = put_one(c, docs, out, err);
        if (end > m->n_shown) m->n_shown = end;
        m->n_marked++;
    }
    if (!rc && n > m->n_shown) {
        rc = buf_add(out, answer + m->n_shown, n - m->n_shown, err);
        m->n_shown = n;
    }
    return rc;
}

void cite_marker_deinit(struct cite_marker *m) {
    ox_free(m->found.v);
    *m = (struct cite_marker){0};
}
