/* view_doc.c - the document pane: text with line numbers, citations, map of the context. See
 * view.h. */
#include "app/ui/layout.h"
#include "app/ui/view.h"

#include "app/core/chunk.h"
#include "app/core/doc_rows.h"
#include "app/core/say.h"
#include "app/core/text.h"

#include <stdio.h>
#include <string.h>

static bool is_cited(struct app_state *s, size_t from, size_t to) {
    struct cite c;
    return state_cite(s, s->docs.cite, &c, NULL) && c.verdict != CITE_MISSING &&
           c.doc == s->docs.doc && c.from < to && c.to > from;
}

/* Marks what of bytes [from, to) stands in a row of n bytes. */
static void mark_range(struct frame *f, int x, int y, int end, const char *text, size_t row_at,
                       size_t n, size_t from, size_t to) {
    from = from > row_at ? from - row_at : 0;
    to = to > row_at ? to - row_at : 0;
    if (to > n) to = n;
    if (from >= to) return;
    int a = x + (int)text_cells(text, from), w = (int)text_cells(text + from, to - from);
    if (a < end) frame_style(f, (struct rect){a, y, a + w > end ? end - a : w, 1}, STYLE_SELECT);
}

/* Marks the part of a row that the chosen citation covers. */
static void mark_cited(struct app_state *s, struct frame *f, int x, int y, int end,
                       const char *text, size_t row_at, size_t n) {
    struct cite c;
    if (!state_cite(s, s->docs.cite, &c, NULL) || c.verdict == CITE_MISSING || c.doc != s->docs.doc)
        return;
    mark_range(f, x, y, end, text, row_at, n, c.from, c.to);
}

/* One line of the document in as many rows as it needs; returns the y behind it. */
static int draw_line(struct app_state *s, struct frame *f, struct rect r, int y,
                     const struct open_doc *d, size_t i) {
    size_t from = d->line[i], to = i + 1 < d->n_lines ? d->line[i + 1] : d->d.n_bytes;
    size_t sel_from = 0, sel_to = 0;
    struct row_list rows = {0};
    int end = r.x + r.w, x = r.x + DOC_NUMBER_CELLS;
    if (doc_rows(d, i, r.w, &rows, NULL)) return y + 1;
    bool selected = doc_selected(s, s->docs.doc, &sel_from, &sel_to);
    bool cited = is_cited(s, from, to > from ? to : from + 1);
    view_printf(f, r.x, y, end, STYLE_FAINT, "%5zu %s ", i + 1, cited ? ">" : " ");
    for (size_t k = 0; k < rows.n && y < r.y + r.h; k++, y++) {
        const char *text = d->d.text + rows.v[k].from;
        size_t n = rows.v[k].to - rows.v[k].from;
        struct buf shown = {0};
        if (text_show(&shown, text, n, TEXT_LINE, NULL) == 0)
            frame_text(f, x, y, end, buf_str(&shown), shown.n, STYLE_TEXT);
        buf_deinit(&shown);
        view_mark_found(s, f, x, y, end, text, n);
        if (cited) mark_cited(s, f, x, y, end, text, rows.v[k].from, n);
        if (selected) mark_range(f, x, y, end, text, rows.v[k].from, n, sel_from, sel_to);
    }
    row_list_deinit(&rows);
    return y;
}

static int draw_cites(struct app_state *s, struct frame *f, struct rect r, int y) {
    struct cite c;
    size_t n = 0, message;
    while (state_cite(s, n, &c, NULL))
        n++;
    if (n == 0) return y;
    view_rule(s, f, r.x, y++, r.w);
    frame_puts(f, r.x, y++, r.x + r.w, "Citations in the last answers", STYLE_TITLE);
    size_t first =
        s->docs.cite < n && s->docs.cite + 1 > LAYOUT_CITES ? s->docs.cite + 1 - LAYOUT_CITES : 0;
    for (size_t i = first; i < n && i < first + LAYOUT_CITES && state_cite(s, i, &c, &message);
         i++, y++) {
        char lines[64] = "";
        if (c.verdict != CITE_MISSING) {
            const struct sheet_doc *d = &s->sheet_doc[c.doc];
            size_t a = sheet_line_of(d, c.from),
                   b = sheet_line_of(d, c.to > c.from ? c.to - 1 : c.from);
            const struct doc_text *text = &s->doc[c.doc].d;
            size_t page = chunk_page(text->pages, text->n_pages, c.from);
            size_t last = chunk_page(text->pages, text->n_pages, c.to > c.from ? c.to - 1 : c.to);
            int used = b > a ? snprintf(lines, sizeof lines, "%zu-%zu", a, b)
                             : snprintf(lines, sizeof lines, "%zu", a);
            if (page) used += snprintf(lines + used, sizeof lines - (size_t)used, " p. %zu", page);
            if (last > page) snprintf(lines + used, sizeof lines - (size_t)used, "-%zu", last);
        }
        enum style style = c.verdict == CITE_MISSING ? STYLE_WARN : STYLE_TEXT;
        int x =
            view_printf(f, r.x, y, r.x + r.w, style, "%c%2zu  %-7s  %-9s \"",
                        i == s->docs.cite ? '>' : ' ', i + 1, cite_verdict_name(c.verdict), lines);
        const char *quote = s->sheet.path[message]->text + c.quote_from;
        x = view_text(f, x, y, r.x + r.w - 1, quote, c.quote_to - c.quote_from, style);
        frame_puts(f, x, y, r.x + r.w, "\"", style);
    }
    return y;
}

/* The pieces of the context, and what leaving one out would cost: everything behind it is read
 * again. */
static void draw_pieces(struct app_state *s, struct frame *f, struct rect r, int y) {
    enum { WIDE = 50 }; /* cells that the time takes too */
    char tokens[SAY_BYTES], again[SAY_BYTES], time[SAY_BYTES];
    double rate = r.w >= WIDE ? state_read_rate(s) : 0;
    const struct context_map *m = &s->context;
    size_t room = y < r.y + r.h ? (size_t)(r.y + r.h - y) : 0;
    for (size_t i = m->n > room ? m->n - room : 0; i < m->n; i++, y++) {
        static const char *const kinds[] = {"", "system", "document", "turn"};
        const struct context_piece *p = &m->v[i];
        int x = view_printf(f, r.x, y, r.x + r.w, STYLE_TEXT, " %-8s%3zu %7s  dropping reads %s",
                            kinds[p->kind], p->n, say_count(tokens, p->tokens),
                            say_count(again, p->again));
        if (rate > 0 && p->again > 0)
            view_printf(f, x, y, r.x + r.w, STYLE_TEXT, ", ~%s",
                        say_time(time, (double)p->again / rate));
    }
}

static void draw_map(struct app_state *s, struct frame *f, struct rect r, int y) {
    char used[SAY_BYTES], left[SAY_BYTES], all[SAY_BYTES];
    size_t limit = s->model.limit;
    int cells = r.w > 64 ? 50 : r.w - 12;
    struct buf bar = {0};
    if (limit == 0 || y + LAYOUT_MAP_ROWS > r.y + r.h) return;
    view_printf(f, r.x, y, r.x + r.w, STYLE_TITLE, "Context %s of %s", say_short(used, s->n_used),
                say_limit(all, limit));
    if (context_bar(&s->context, limit, cells > 4 ? (size_t)cells : 4, &bar, NULL) == 0)
        frame_text(f, r.x, y + 1, r.x + r.w, buf_str(&bar), bar.n, STYLE_TEXT);
    buf_deinit(&bar);
    view_printf(f, r.x, y + 2, r.x + r.w, STYLE_FAINT, " s system  d documents  t turns  . free %s",
                say_short(left, limit > s->n_used ? limit - s->n_used : 0));
    if (s->docs.show_map) draw_pieces(s, f, r, y + 3);
}

static void draw_text(struct app_state *s, struct frame *f, struct rect r,
                      const struct open_doc *d) {
    size_t line = s->docs.top;
    char at[SAY_BYTES], all[SAY_BYTES];
    char right[96];
    snprintf(right, sizeof right, "line %s of %s %4zu%%", say_count(at, line + 1),
             say_count(all, d->n_lines), d->n_lines ? 100 * (line + 1) / d->n_lines : 0);
    int end = view_right(f, r.y, r.x + r.w, STYLE_FAINT, right) - 1;
    view_printf(f, r.x, r.y, end, s->focus == FOCUS_DOC ? STYLE_SELECT : STYLE_TITLE, "[%zu] %s",
                s->docs.doc + 1, d->d.name);
    view_rule(s, f, r.x, r.y + 1, r.w);
    struct rect body = {r.x, r.y + 2, r.w, r.h - 2};
    for (int y = body.y; y < body.y + body.h && line < d->n_lines; line++)
        y = draw_line(s, f, body, y, d, line);
}

void view_doc(struct app_state *s, struct frame *f) {
    struct rect r = s->pane.doc;
    if (r.w < 4 || r.h < 3) return;
    if (s->pane.split >= 0)
        frame_fill(f, (struct rect){s->pane.split, r.y, 1, r.h}, s->is_utf8 ? "\u2502" : "|",
                   STYLE_RULE);
    struct rect text = s->pane.doc_text;
    int below = r.h - text.h;
    struct rect rest = {r.x, r.y + text.h, r.w, below};
    if (s->n_docs > 0 && s->docs.doc < s->n_docs) draw_text(s, f, text, &s->doc[s->docs.doc]);
    if (below == 0) return;
    int y = r.h >= LAYOUT_CITES_FROM ? draw_cites(s, f, rest, rest.y) : rest.y;
    draw_map(s, f, rest, y + 1 <= rest.y + rest.h - LAYOUT_MAP_ROWS ? y + 1 : y);
}
