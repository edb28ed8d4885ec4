/* view_help.c - F1: the key table of keymap.c, the place that is on screen first, then the
 * commands. */
#include "app/ui/view.h"

#include "app/core/command.h"

#include <string.h>

static const struct {
    unsigned place;
    const char *name;
} groups[] = {
    {PLACE_INPUT, "In the input"},  {PLACE_CHAT, "In the transcript"}, {PLACE_DOC, "In a document"},
    {PLACE_READ, "Where you read"}, {PLACE_LIST, "In lists"},          {PLACE_TREE, "In the tree"},
    {PLACE_SIDES, "Side by side"},  {PLACE_ANY, "Everywhere"},
};
enum { N_GROUPS = sizeof groups / sizeof groups[0] };

struct page {
    struct frame *f;
    struct rect r;
    size_t top, row;
    int column;
};

/* The y of the next row of the list, or -1 if it is not in view. */
static int next_row(struct page *p) {
    size_t row = p->row++;
    return row >= p->top && row < p->top + (size_t)p->r.h ? p->r.y + (int)(row - p->top) : -1;
}

static void put_row(struct page *p, const char *key, const char *help) {
    int y = next_row(p);
    if (y < 0) return;
    view_text(p->f, 3, y, p->column - 1, key, strlen(key), STYLE_STRONG);
    view_text(p->f, p->column, y, p->f->w, help, strlen(help), STYLE_TEXT);
}

static void put_heading(struct page *p, const char *name) {
    if (p->row > 0) next_row(p);
    int y = next_row(p);
    if (y >= 0) frame_puts(p->f, 1, y, p->f->w, name, STYLE_HEAD);
}

static void put_group(struct app_state *s, struct page *p, size_t g) {
    size_t n;
    const struct key_row *rows = keymap_rows(&n);
    put_heading(p, groups[g].name);
    for (size_t i = 0; i < n; i++) {
        bool is_again = i > 0 && strcmp(rows[i].name, rows[i - 1].name) == 0;
        if (!(rows[i].places & groups[g].place) || is_again) continue;
        struct buf keys = {0}, one = {0};
        for (size_t k = i; k < n && strcmp(rows[k].name, rows[i].name) == 0; k++) {
            buf_cut(&one, 0);
            keymap_label(&s->keymap, &rows[k], &one, NULL);
            if (one.n == 0 || strstr(buf_str(&keys), one.p))
                continue; /* rebound: all rows say the same */
            if (keys.n) buf_puts(&keys, ", ", NULL);
            buf_puts(&keys, one.p, NULL);
        }
        put_row(p, keys.n ? keys.p : "(none)", rows[i].help);
        buf_deinit(&keys);
        buf_deinit(&one);
    }
}

static size_t put_all(struct app_state *s, struct page *p) {
    unsigned here = s->screen == SCREEN_SESSIONS ? PLACE_LIST
                    : s->focus == FOCUS_CHAT     ? PLACE_CHAT
                    : s->focus == FOCUS_DOC      ? PLACE_DOC
                                                 : PLACE_INPUT;
    for (size_t g = 0; g < N_GROUPS; g++)
        if (groups[g].place == here) put_group(s, p, g);
    for (size_t g = 0; g < N_GROUPS; g++)
        if (groups[g].place != here) put_group(s, p, g);
    put_heading(p, "Commands");
    size_t n;
    const struct command *table = command_table(&n);
    for (size_t i = 0; i < n; i++) {
        struct buf name = {0};
        if (!buf_printf(&name, NULL, "/%s %s", table[i].name, table[i].args))
            put_row(p, name.p, table[i].help);
        buf_deinit(&name);
    }
    put_heading(p, "Marks");
    put_row(p, "[1: 412]",
            "these words stand in document 1, line 412; not that the conclusion is right");
    put_row(p, "[~1: 412]", "almost these words (one character in ten differs)");
    put_row(p, "[?]", "not in the text");
    put_row(p, "<1B>", "a control character, shown instead of sent to the terminal");
    return p->row;
}

void view_help(struct app_state *s, struct frame *f) {
    view_head(s, f, "Help", "");
    struct page p = {f, s->pane.list, SIZE_MAX / 2, 0, f->w >= 80 ? 34 : f->w >= 60 ? 28 : 18};
    size_t n = put_all(s, &p), rows = (size_t)(p.r.h > 0 ? p.r.h : 1);
    size_t last = n > rows ? n - rows : 0;
    p.top = s->list_top < last ? s->list_top : last;
    p.row = 0;
    put_all(s, &p);
}
