/* layout.c - see layout.h. From the bottom up: status, hints, input, rule; what is left is for
 * reading. */
#include "app/ui/layout.h"

enum { MIN_ROWS = 6, MIN_COLUMNS = 20, HINT_ROWS_FROM = 12, PREVIEW_FROM = 18, BAR_TOKENS = 1024 };

bool layout_shows_bar(const struct app_state *s) {
    const struct job *j = &s->job;
    if (j->busy == BUSY_READING && j->n_parts > 1) return true; /* also while a part is written */
    return j->busy == BUSY_READING && j->n_prompt > j->n_done &&
           (j->n_prompt - j->plan.live - j->plan.restored > BAR_TOKENS ||
            s->now - j->started > 1.0);
}

static int input_rows(const struct app_state *s, int width) {
    struct edit_view v;
    int most = s->h / 3 > 1 ? s->h / 3 : 1, least = s->h >= 40 ? 4 : s->h >= 20 ? 2 : 1, rows = 1;
    if (edit_layout(&s->input, width > 2 ? (size_t)width - 2 : 1, (size_t)most, &v, NULL) == 0)
        rows = (int)v.n_shown;
    edit_view_deinit(&v);
    return rows < least ? least : rows;
}

static void keep_top_line(struct app_state *s, size_t width) {
    struct sheet *t = &s->sheet;
    size_t row = s->top.row, at = 0;
    bool in_text = false;
    if (t->width == width || s->follow || s->top.i >= t->n) {
        sheet_set_view(t, width, t->raw);
        return;
    }
    const struct sheet_item *item = sheet_get(t, s->top.i);
    if (item && row >= 1 && row - 1 < item->rows.n) in_text = true, at = item->rows.v[row - 1].from;
    bool is_same =
        s->anchor.place.i == s->top.i && s->anchor.place.row == row; /* only sizes changed since */
    if (in_text && is_same) at = s->anchor.at;
    sheet_set_view(t, width, t->raw);
    item = sheet_get(t, s->top.i);
    for (size_t r = 0; in_text && item && r < item->rows.n; r++)
        if (item->rows.v[r].from <= at) s->top.row = sheet_text_row(r);
    size_t h = sheet_height(t, s->top.i);
    if (s->top.row >= h) s->top.row = h - 1;
    s->anchor.place = s->top;
    s->anchor.at = at;
}

static void split_reading(struct app_state *s, struct rect r) {
    struct panes *p = &s->pane;
    struct doc_pane *d = &s->docs;
    bool opens = s->w >= LAYOUT_SPLIT_WIDTH && s->n_docs > 0 && !d->was_closed;
    if (opens && !d->is_open) d->is_open = d->by_itself = true;
    if (s->w < LAYOUT_SPLIT_WIDTH && d->by_itself && s->focus != FOCUS_DOC)
        d->is_open = d->by_itself = false;
    p->split = -1;
    p->doc = (struct rect){0};
    p->chat = r;
    if (!d->is_open) return;
    if (s->w < LAYOUT_SPLIT_WIDTH) { /* covers the transcript */
        p->doc = r;
        return;
    }
    int left = s->w >= 160 ? s->w / 2 : s->w * 53 / 100;
    p->split = r.x + left;
    p->chat.w = left;
    p->doc = (struct rect){p->split + 2, r.y, r.w - left - 2, r.h};
}

static void lay_out_list(struct app_state *s, int bottom) {
    struct panes *p = &s->pane;
    int top = 1, first = s->h >= MIN_ROWS ? 1 : 0;
    bool is_sessions = s->overlay == OVERLAY_NONE && s->screen == SCREEN_SESSIONS;
    int preview = is_sessions && s->h >= PREVIEW_FROM ? 6 : 0; /* with its rule */
    int head = is_sessions ? first + 1 : first;                /* rule, heading */
    p->list = (struct rect){0, top + head, s->w, bottom - preview - top - head};
    if (p->list.h < 1) p->list = (struct rect){0, s->h > 1 ? 1 : 0, s->w, 1};
    if (preview) p->preview = (struct rect){0, bottom - preview, s->w, preview};
}

/* The text of the document takes what its citations and the map of the context leave. */
static void split_document(struct app_state *s) {
    struct rect r = s->pane.doc;
    bool has_cites = state_cite(s, 0, &(struct cite){0}, NULL);
    int pieces = s->docs.show_map ? (int)(s->context.n < 12 ? s->context.n : 12) : 0;
    int below = s->docs.show_map ? LAYOUT_MAP_ROWS + 1 + pieces : 0;
    if (r.h >= LAYOUT_CITES_FROM)
        below = (has_cites ? 2 + LAYOUT_CITES : 0) + LAYOUT_MAP_ROWS + 2 + pieces;
    if (s->n_docs == 0 || below > r.h) below = r.h;
    s->pane.doc_text = (struct rect){r.x, r.y, r.w, r.h - below};
}

void layout_screen(struct app_state *s) {
    struct panes *p = &s->pane;
    *p = (struct panes){.split = -1};
    int bottom = s->h;
    if (s->h < MIN_ROWS || s->w < MIN_COLUMNS) { /* the input and one row, whatever is left */
        p->input = (struct rect){0, bottom - 1, s->w, 1};
        p->chat = (struct rect){0, 0, s->w, bottom > 1 ? bottom - 1 : 0};
        p->list = (struct rect){0, 0, s->w, bottom > 1 ? bottom - 1 : 1};
        keep_top_line(s, (size_t)s->w);
        return;
    }
    p->title = (struct rect){0, 0, s->w, 1};
    p->status = (struct rect){0, --bottom, s->w, 1};
    if (s->h >= HINT_ROWS_FROM) p->hint = (struct rect){0, --bottom, s->w, 1};
    int list_bottom = bottom;
    int rows = input_rows(s, s->w);
    if (rows > bottom - 3) rows = bottom - 3 > 0 ? bottom - 3 : 1;
    p->input = (struct rect){0, bottom - rows, s->w, rows};
    bottom -= rows;
    p->rule = (struct rect){0, --bottom, s->w, 1};
    if (s->error.code && bottom > 5) {
        int n = 1 + (s->error.where[0] != 0) + (s->error.fix[0] != 0);
        p->error = (struct rect){0, bottom - n, s->w, n};
        bottom -= n;
    }
    if (s->overlay == OVERLAY_CHOICE && bottom > 6) {
        int n = 1 + (int)s->choice.n;
        p->bar = (struct rect){0, bottom - n, s->w, n};
        bottom -= n;
    } else if (layout_shows_bar(s) && bottom > 4) {
        p->bar = (struct rect){0, bottom - 2, s->w, 2};
        bottom -= 2;
    }
    split_reading(s, (struct rect){0, 1, s->w, bottom - 1});
    keep_top_line(s, p->chat.w > 0 ? (size_t)p->chat.w - (p->split > 0) : 1);
    if (p->doc.h > 0) split_document(s);
    if (s->screen == SCREEN_SESSIONS || s->overlay != OVERLAY_NONE)
        lay_out_list(s, list_bottom - 1);
}
