/* select.c - see select.h. */
#include "app/core/select.h"

#include "app/core/text.h"

struct select_end select_at(struct sheet *t, struct sheet_place p, size_t cell) {
    struct select_end end = {p.i, 0};
    const struct sheet_item *item = p.i < t->n ? sheet_get(t, p.i) : NULL;
    if (!item || item->rows.n == 0 || p.row < sheet_text_row(0)) return end;
    size_t r = p.row - sheet_text_row(0);
    if (r >= item->rows.n) { /* the note or the blank row below */
        end.at = item->rows.v[item->rows.n - 1].to;
        return end;
    }
    const struct row *row = &item->rows.v[r];
    const struct md_line *line = &item->md.line[row->line];
    const char *text = item->md.text.p;
    size_t lead = row->first ? text_cells(text + line->lead_from, line->lead_n)
                             : text_cells(text + line->rest_from, line->rest_n);
    size_t used, inside = cell > lead ? cell - lead : 0;
    end.at = row->from + text_fit(text + row->from, row->to - row->from, inside, &used);
    return end;
}

static bool is_before(struct select_end a, struct select_end b) {
    return a.i < b.i || (a.i == b.i && a.at < b.at);
}

static bool is_gap(char c) {
    return c == ' ' || c == '\n' || c == '\t';
}

bool select_range(const struct selection *sel, struct sheet *t, size_t i, size_t *from,
                  size_t *to) {
    bool back = is_before(sel->to, sel->from);
    struct select_end a = back ? sel->to : sel->from, b = back ? sel->from : sel->to;
    if (!sel->is_on || i < a.i || i > b.i || i >= t->n) return false;
    const struct sheet_item *item = sheet_get(t, i);
    if (!item) return false;
    const struct buf *text = &item->md.text;
    size_t start = i == a.i ? a.at : 0, end = i == b.i ? b.at : text->n;
    if (end > text->n) end = text->n; /* the text may have become shorter: another view of it */
    if (start > end) start = end;
    while (i == a.i && start > 0 && !is_gap(text->p[start - 1]))
        start--;
    while (i == b.i && end < text->n && !is_gap(text->p[end]))
        end++;
    *from = start;
    *to = end;
    return start < end;
}

/* Lines as they are shown, with what stands before them ("- "). */
static int copy_lines(const struct md *m, size_t from, size_t to, struct buf *out, ox_err *err) {
    int rc = 0;
    size_t start = out->n;
    for (size_t k = 0; k < m->n_line && !rc; k++) {
        const struct md_line *l = &m->line[k];
        size_t a = l->from > from ? l->from : from, b = l->to < to ? l->to : to;
        if (a > b || l->to < from || l->from > to) continue;
        if (out->n > start) rc = buf_putc(out, '\n', err);
        if (!rc && a == l->from) rc = buf_add(out, m->text.p + l->lead_from, l->lead_n, err);
        if (!rc) rc = buf_add(out, m->text.p + a, b - a, err);
    }
    return rc;
}

int select_copy(const struct selection *sel, struct sheet *t, struct buf *out, ox_err *err) {
    int rc = 0;
    size_t from, to;
    for (size_t i = 0; i < t->n && !rc; i++) {
        if (!select_range(sel, t, i, &from, &to)) continue;
        if (out->n > 0) rc = buf_puts(out, "\n\n", err);
        if (!rc) rc = copy_lines(&sheet_get(t, i)->md, from, to, out, err);
    }
    return rc;
}
