/* view_sides.c - two answers side by side, or one above the other where it is narrow; what one has
 * and the other has not is reversed, and its rows are marked as by sdiff. See view.h. */
#include "app/ui/view.h"

#include "app/core/text.h"
#include "app/ui/layout.h"

#include <stdio.h>

/* "1  answer 2/3  09:14  seed 7  stopped" */
static void draw_heading(struct app_state *s, struct frame *f, struct rect r, int which) {
    const struct chat_node *node = chat_find(&s->chat, s->sides.side[which].id);
    int end = r.x + r.w, y = r.y - 1;
    char time[8];
    int x = view_printf(f, r.x, y, end, STYLE_OXBOW, "%d", which + 1);
    if (!node) return;
    size_t place = 0, n = 0;
    chat_sibling(&s->chat, node->id, 0, &place, &n);
    view_time(s, node->created_us, time);
    x = view_printf(f, x, y, end, STYLE_TITLE, "  answer %zu/%zu", place, n);
    x = view_printf(f, x, y, end, STYLE_FAINT, "  %s", time);
    if (node->ledger.n_in)
        x = view_printf(f, x, y, end, STYLE_FAINT, "  seed %llu",
                        (unsigned long long)node->ledger.seed);
    if (node->end != CHAT_DONE)
        view_printf(f, x, y, end, STYLE_WARN, "  %s", chat_end_name(node->end));
}

static void draw_row(struct frame *f, struct rect r, int y, const struct side *side, size_t row) {
    const struct md *m = &side->md;
    const struct row *at = &side->rows.v[row];
    const struct md_line *line = &m->line[at->line];
    const char *text = buf_str(&m->text);
    size_t from = at->first ? line->lead_from : line->rest_from,
           n = at->first ? line->lead_n : line->rest_n;
    int end = r.x + r.w;
    int x = frame_spans(f, r.x, y, end, text, from, from + n, m->span, m->n_span);
    frame_spans(f, x, y, end, text, at->from, at->to, m->span, m->n_span);
    for (size_t i = 0; i < side->n_changed && side->changed[i].from < at->to; i++) {
        const struct span *c = &side->changed[i];
        size_t a = c->from > at->from ? c->from : at->from, b = c->to < at->to ? c->to : at->to;
        if (a >= b) continue;
        int left = x + (int)text_cells(text + at->from, a - at->from);
        int cells = (int)text_cells(text + a, b - a);
        if (left + cells > end) cells = end - left;
        if (cells > 0) frame_style(f, (struct rect){left, y, cells, 1}, STYLE_SELECT);
    }
}

/* The mark of a row; where one stands above the other each half says only what is its own. */
static char mark_for(const struct sides_row *row, int which, bool is_beside) {
    if (is_beside || row->at[which] != SIZE_MAX) return row->mark;
    return ' ';
}

void view_sides(struct app_state *s, struct frame *f) {
    struct sides *t = &s->sides;
    const struct sides_place p = sides_place(s->pane.list);
    if (s->pane.title.h)
        view_head(s, f, "Side by side",
                  f->w < LAYOUT_NARROW ? ""
                  : t->is_same         ? "the words are the same"
                  : t->is_cut          ? "too different to compare word by word"
                                       : "reversed: only here");
    if (sides_lay_out(t, (size_t)p.text[0].w, NULL)) return;
    size_t h = (size_t)p.text[0].h, last = t->n > h ? t->n - h : 0;
    size_t top = s->sides_top < last ? s->sides_top : last; /* the screen may have grown */
    for (int k = 0; k < 2; k++) {
        struct rect r = p.text[k];
        if (r.h == 0) continue;
        if (r.y > s->pane.list.y) draw_heading(s, f, r, k);
        for (int i = 0; i < r.h && top + (size_t)i < t->n; i++) {
            const struct sides_row *row = &t->row[top + (size_t)i];
            const char mark[2] = {mark_for(row, k, p.is_beside), 0};
            frame_puts(f, p.mark_x, r.y + i, f->w, mark, STYLE_WARN);
            if (row->at[k] != SIZE_MAX) draw_row(f, r, r.y + i, &t->side[k], row->at[k]);
        }
    }
}
