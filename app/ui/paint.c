/* paint.c - see paint.h. Row by row: the stretches of changed cells, each reached by one cursor
 * move. */
#include "app/ui/paint.h"

#include "app/core/text.h"

#include <string.h>

enum { SKIP_CELLS = 6 }; /* jumping over fewer unchanged cells costs more bytes than writing them */

struct pen {
    struct paint *p;
    struct buf *out;
    ox_err *err;
    int rc;
    int x, y;  /* where the terminal's cursor is; -1: unknown */
    int style; /* -1: unknown */
};

static void put(struct pen *pen, const char *s, size_t n) {
    if (!pen->rc) pen->rc = buf_add(pen->out, s, n, pen->err);
}

static void put_str(struct pen *pen, const char *s) {
    put(pen, s, strlen(s));
}

static void move_to(struct pen *pen, int x, int y) {
    if (pen->x == x && pen->y == y) return;
    if (!pen->rc) pen->rc = buf_printf(pen->out, pen->err, "\033[%d;%dH", y + 1, x + 1);
    pen->x = x;
    pen->y = y;
}

static void put_colour(struct pen *pen, int colour, int base) {
    if (colour == COLOUR_DEFAULT || pen->rc) return;
    if (colour < 8)
        pen->rc = buf_printf(pen->out, pen->err, ";%d", base + colour);
    else if (colour < 16)
        pen->rc = buf_printf(pen->out, pen->err, ";%d", base + 60 + colour - 8);
    else
        pen->rc = buf_printf(pen->out, pen->err, ";%d;5;%d", base + 8, colour);
}

static void use_style(struct pen *pen, int style) {
    static const struct {
        uint8_t attr;
        const char *code;
    } codes[] = {
        {ATTR_BOLD, ";1"},      {ATTR_FAINT, ";2"},   {ATTR_ITALIC, ";3"},
        {ATTR_UNDERLINE, ";4"}, {ATTR_REVERSE, ";7"},
    };
    if (pen->style == style) return;
    struct look look = theme_look(pen->p->theme, (enum style)style, pen->p->n_colours);
    put_str(pen, "\033[0");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (look.attr & codes[i].attr) put_str(pen, codes[i].code);
    put_colour(pen, look.fg, 30);
    put_colour(pen, look.bg, 40);
    put_str(pen, "m");
    pen->style = style;
}

static bool same_cell(const struct cell *a, const struct cell *b) {
    return a->n == b->n && a->width == b->width && a->style == b->style &&
           memcmp(a->bytes, b->bytes, a->n) == 0;
}

/* Clusters whose width a terminal may see differently. */
static bool is_disputed(const struct cell *c) {
    int32_t cp;
    size_t first = text_next(c->bytes, c->n, &cp);
    bool is_format = cp >= 0x600 && cp <= 0x605; /* Arabic number signs: 0 cells for some */
    return first < c->n || is_format || cp >= 0x1F000 ||
           (c->width == 2 && cp >= 0x2000 && cp < 0x2E80);
}

/* Cells that a terminal may cover when it draws the parts of a cluster one beside the other. */
static int reach(const struct cell *c) {
    int n = 0;
    for (size_t at = 0; at < c->n; n++) {
        int32_t cp;
        at += text_next(c->bytes + at, c->n - at, &cp);
    }
    return 2 * n;
}

static void put_cell(struct pen *pen, const struct cell *c, int x, int y) {
    int32_t cp;
    if (c->width == 0) return; /* written with its left half */
    move_to(pen, x, y);
    use_style(pen, c->style);
    if (c->n == 0) {
        put(pen, " ", 1);
    } else if ((unsigned char)c->bytes[0] < 0x80 && c->n == 1) {
        put(pen, c->bytes, 1);
    } else if (!pen->p->is_utf8) {
        put(pen, "??", c->width);
    } else if (is_disputed(c)) {
        put(pen, "  ", c->width);
        pen->x = -1;
        move_to(pen, x, y);
        /* At the edge the parts would be drawn over each other: the first one alone. */
        put(pen, c->bytes, x + reach(c) > pen->p->shown.w ? text_next(c->bytes, c->n, &cp) : c->n);
        pen->x = -1;
        return;
    } else {
        put(pen, c->bytes, c->n);
    }
    pen->x = x + c->width;
}

static bool is_plain_blank(struct pen *pen, const struct cell *c) {
    if (c->n > 0 || c->width != 1) return false;
    struct look look = theme_look(pen->p->theme, (enum style)c->style, pen->p->n_colours);
    return look.bg == COLOUR_DEFAULT && !(look.attr & (ATTR_REVERSE | ATTR_UNDERLINE));
}

/* First column from which the row is blank to its end without any attribute that shows. */
static int blank_from(struct pen *pen, const struct frame *f, int y) {
    int x = f->w;
    while (x > 0 && is_plain_blank(pen, frame_cell(f, x - 1, y)))
        x--;
    return x;
}

static void paint_row(struct pen *pen, const struct frame *next, int y) {
    const struct frame *shown = &pen->p->shown;
    bool all = !pen->p->is_valid;
    int tail = blank_from(pen, next, y), last = -1,
        doubtful = 0; /* columns below it are drawn again */
    for (int x = 0; x < next->w; x++)
        if (all || !same_cell(frame_cell(next, x, y), frame_cell(shown, x, y))) last = x;
    for (int x = 0; x < tail && (x <= last || x < doubtful); x++) {
        int run = x; /* end of the unchanged stretch that begins here */
        while (!all && run < tail && run >= doubtful &&
               same_cell(frame_cell(next, run, y), frame_cell(shown, run, y)))
            run++;
        if (run > x && (pen->x != x || pen->y != y || run - x >= SKIP_CELLS || run > last)) {
            x = run - 1;
            continue;
        }
        const struct cell *c = frame_cell(next, x, y);
        put_cell(pen, c, x, y);
        if (c->n > 1 && is_disputed(c) && x + reach(c) > doubtful) doubtful = x + reach(c);
    }
    if (tail < next->w && (doubtful > tail || (last >= tail && !all))) {
        move_to(pen, tail, y);
        use_style(pen, STYLE_TEXT);
        put_str(pen, "\033[K");
    }
    if (pen->x >= next->w)
        pen->x = -1; /* terminals differ about what comes behind the last column */
}

static void paint_all(struct pen *pen, const struct frame *next) {
    size_t start = pen->out->n;
    put_str(pen, "\033[?2026h\033[?25l"); /* one synchronised update, where the terminal knows it */
    size_t head = pen->out->n;
    if (!pen->p->is_valid) {
        use_style(pen, STYLE_TEXT);
        put_str(pen, "\033[?7l\033[2J"); /* no wrapping: a cluster drawn too wide must not scroll */
    }
    for (int y = 0; y < next->h; y++)
        paint_row(pen, next, y);
    const struct frame *shown = &pen->p->shown;
    bool moved = next->cursor_x != shown->cursor_x || next->cursor_y != shown->cursor_y;
    if (pen->out->n == head && !moved && !pen->rc) {
        buf_cut(pen->out, start);
        return;
    }
    if (next->cursor_x >= 0) {
        pen->x = -1;
        move_to(pen, next->cursor_x, next->cursor_y);
        put_str(pen, "\033[?25h");
    }
    put_str(pen, "\033[?2026l");
}

int paint_frame(struct paint *p, const struct frame *next, struct buf *out, ox_err *err) {
    if (p->shown.w != next->w || p->shown.h != next->h || !p->shown.cell) {
        p->is_valid = false;
        int rc = frame_init(&p->shown, next->w, next->h, err);
        if (rc) return rc;
    }
    struct pen pen = {.p = p, .out = out, .err = err, .x = -1, .y = -1, .style = -1};
    paint_all(&pen, next);
    p->is_valid = pen.rc == 0;
    if (pen.rc) return pen.rc;
    memcpy(p->shown.cell, next->cell, (size_t)next->w * (size_t)next->h * sizeof *next->cell);
    p->shown.cursor_x = next->cursor_x;
    p->shown.cursor_y = next->cursor_y;
    return 0;
}

void paint_deinit(struct paint *p) {
    frame_deinit(&p->shown);
    p->is_valid = false;
}
