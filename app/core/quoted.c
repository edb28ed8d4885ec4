/* quoted.c - see quoted.h. */
#include "app/core/quoted.h"

#include <string.h>

/* Long enough to prove something, by the same rule as in answers. */
static int is_worth(const char *text, size_t n, bool *out, ox_err *err) {
    struct buf marked = {0};
    size_t from, to;
    int rc = buf_putc(&marked, '"', err);
    if (!rc) rc = buf_add(&marked, text, n, err);
    if (!rc) rc = buf_putc(&marked, '"', err);
    *out = !rc && cite_next_quote(buf_str(&marked), marked.n, 0, &from, &to);
    buf_deinit(&marked);
    return rc;
}

static size_t count_words(const char *text, size_t n) {
    size_t words = 0;
    for (size_t i = 0; i < n; i++)
        words += !strchr(" \n\t", text[i]) && (i == 0 || strchr(" \n\t", text[i - 1]));
    return words;
}

int quoted_add(struct quoted *q, const cite_index *x, const char *doc, const char *text, size_t n,
               enum quoted_end *end, ox_err *err) {
    struct cite_match m = {.verdict = CITE_MISSING};
    size_t at = 0;
    bool worth;
    *end = QUOTED_MISSING;
    int rc = n ? cite_match(x, text, n, q->n ? q->v[q->n - 1].to : 0, &m, err) : 0;
    if (rc || m.verdict == CITE_MISSING) return rc;
    *end = QUOTED_PASSED;
    while (at < q->n && q->v[at].to <= m.from)
        at++;
    if (at < q->n && q->v[at].from < m.to) return 0;
    rc = is_worth(text, n, &worth, err);
    if (rc || !worth) return rc;
    rc = ox_grow(&q->v, &q->cap, q->n + 1, sizeof *q->v, err);
    if (rc) return rc;
    memmove(q->v + at + 1, q->v + at, (q->n - at) * sizeof *q->v);
    q->v[at] = (struct quoted_item){m.from, m.to};
    q->n++;
    q->n_words += count_words(doc + m.from, m.to - m.from);
    *end = QUOTED_NEW;
    return 0;
}

int quoted_put(const struct quoted *q, const char *doc, struct buf *out, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < q->n; i++) {
        rc = buf_puts(out, out->n ? "\n- \"" : "- \"", err);
        for (size_t k = q->v[i].from; !rc && k < q->v[i].to; k++) {
            bool space = strchr(" \n\t", doc[k]) != NULL;
            if (!space || !strchr(" \n\t", doc[k - 1]))
                rc = buf_putc(out, space ? ' ' : doc[k], err);
        }
        if (!rc) rc = buf_putc(out, '"', err);
    }
    return rc;
}

void quoted_deinit(struct quoted *q) {
    ox_free(q->v);
    *q = (struct quoted){0};
}
