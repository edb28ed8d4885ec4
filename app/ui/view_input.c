/* view_input.c - the line being typed, with the cursor. See view.h. */
#include "app/ui/view.h"

#include "app/core/text.h"

#include <stdio.h>
#include <string.h>

static void draw_search(struct app_state *s, struct frame *f, struct rect r, const char *label,
                        const struct buf *words) {
    int x = frame_puts(f, r.x, r.y, r.x + r.w, label, STYLE_FAINT);
    x = view_text(f, x, r.y, r.x + r.w - 1, buf_str(words), words->n, STYLE_TEXT);
    f->cursor_x = x;
    f->cursor_y = r.y;
    if (!s->input.searching || r.h < 2) return;
    bool found = s->input.found < s->input.n_history;
    const char *line = found ? s->input.history[s->input.found] : words->n > 0 ? "(not found)" : "";
    view_text(f, r.x + 2, r.y + 1, r.x + r.w, line, strlen(line), found ? STYLE_TEXT : STYLE_FAINT);
}

static void draw_rows(struct app_state *s, struct frame *f, struct rect r) {
    struct edit_view v;
    size_t width = r.w > 2 ? (size_t)r.w - 2 : 1;
    int indent = r.w > 2 ? 2 : 0;
    if (edit_layout(&s->input, width, (size_t)r.h, &v, NULL) == 0) {
        for (size_t i = 0; i < v.n_shown && (int)i < r.h; i++) {
            const struct row *row = &v.rows.v[v.top + i];
            frame_spans(f, r.x + indent, r.y + (int)i, r.x + r.w, buf_str(&v.text), row->from,
                        row->to, v.span, v.n_span);
        }
        f->cursor_x = r.x + indent + (int)v.cursor_col;
        f->cursor_y = r.y + (int)v.cursor_row;
        if (f->cursor_x >= f->w) f->cursor_x = f->w - 1;
    }
    edit_view_deinit(&v);
}

/* What waits for the end of the answer: in the empty input itself, else on its last row. */
static void draw_queue(struct app_state *s, struct frame *f, struct rect r) {
    if (s->queued.n == 0) return;
    const char *note = "queued: sent when done";
    if (edit_is_empty(&s->input)) {
        size_t n = strcspn(s->queued.p, "\n");
        view_text(f, r.x + 2, r.y, r.x + r.w, s->queued.p, n, STYLE_FAINT);
        f->cursor_x = r.x + 2;
    }
    if (r.h > 1) view_right(f, r.y + r.h - 1, r.x + r.w - 2, STYLE_FAINT, note);
}

void view_input(struct app_state *s, struct frame *f) {
    struct rect r = s->pane.input;
    if (r.h < 1 || r.w < 1) return;
    if (s->find.is_typing) {
        draw_search(s, f, r, "/", &s->find.words);
        return;
    }
    if (s->input.searching) {
        draw_search(s, f, r, "search earlier lines: ", &s->input.query);
        return;
    }
    frame_puts(f, r.x, r.y, r.x + r.w, s->editing ? "e" : ">",
               s->focus == FOCUS_INPUT ? STYLE_USER : STYLE_FAINT);
    draw_rows(s, f, r);
    draw_queue(s, f, r);
}
