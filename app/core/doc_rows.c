/* doc_rows.c - see doc_rows.h. */
#include "app/core/doc_rows.h"

#include "app/core/text.h"

enum { LINE_MAX_BYTES = 64 << 10 }; /* a book in one line must not stop the screen */

int doc_rows(const struct open_doc *d, size_t i, int width, struct row_list *out, ox_err *err) {
    size_t from = d->line[i], to = i + 1 < d->n_lines ? d->line[i + 1] : d->d.n_bytes;
    while (to > from && (d->d.text[to - 1] == '\n' || d->d.text[to - 1] == '\r'))
        to--;
    if (to - from > LINE_MAX_BYTES)
        to = from + text_floor(d->d.text + from, to - from, LINE_MAX_BYTES);
    struct wrap_line line = {.from = from, .to = to, .how = WRAP_WORDS};
    return wrap_rows(d->d.text, &line,
                     (size_t)(width > DOC_NUMBER_CELLS ? width - DOC_NUMBER_CELLS : 1), out, err);
}

size_t doc_byte_below(const struct open_doc *d, size_t top, int width, int row, int cell) {
    size_t at = top < d->n_lines ? d->line[top] : d->d.n_bytes, used;
    for (size_t i = top; i < d->n_lines && row >= 0; i++) {
        struct row_list rows = {0};
        if (doc_rows(d, i, width, &rows, NULL) || rows.n == 0) break;
        const struct row *r = &rows.v[(size_t)row < rows.n ? (size_t)row : rows.n - 1];
        bool is_here = (size_t)row < rows.n;
        at = is_here ? r->from + text_fit(d->d.text + r->from, r->to - r->from,
                                          cell > 0 ? (size_t)cell : 0, &used)
                     : r->to;
        row -= (int)rows.n;
        row_list_deinit(&rows);
        if (is_here) break;
    }
    return at;
}

static bool is_gap(char c) {
    return c == ' ' || c == '\n' || c == '\t';
}

bool doc_selected(const struct app_state *s, size_t i, size_t *from, size_t *to) {
    const struct doc_drag *drag = &s->docs.drag;
    if (!drag->is_on || drag->doc != i || i >= s->n_docs) return false;
    const struct doc_text *d = &s->doc[i].d;
    size_t a = drag->from < drag->to ? drag->from : drag->to,
           b = drag->from < drag->to ? drag->to : drag->from;
    if (b > d->n_bytes) return false;
    while (a > 0 && !is_gap(d->text[a - 1]))
        a--;
    while (b < d->n_bytes && !is_gap(d->text[b]))
        b++;
    *from = a;
    *to = b;
    return a < b;
}
