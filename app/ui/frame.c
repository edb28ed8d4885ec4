/* frame.c - see frame.h. */
#include "app/ui/frame.h"

#include "app/core/text.h"

#include <string.h>

int frame_init(struct frame *f, int w, int h, ox_err *err) {
    if (w < 1) w = 1;
    if (h < 1) h = 1;
    struct cell *cell = ox_alloc((size_t)w * (size_t)h, sizeof *cell, "screen", err);
    if (!cell) return OX_ENOMEM;
    ox_free(f->cell);
    *f = (struct frame){.cell = cell, .w = w, .h = h};
    frame_clear(f);
    return 0;
}

void frame_clear(struct frame *f) {
    for (int i = 0; i < f->w * f->h; i++)
        f->cell[i] = (struct cell){.width = 1};
    f->cursor_x = f->cursor_y = -1;
}

static struct cell *at(struct frame *f, int x, int y) {
    return &f->cell[y * f->w + x];
}

/* What a cell must not become: half of an old cluster. */
static void break_wide(struct frame *f, int x, int y) {
    struct cell *c = at(f, x, y);
    if (c->width == 0 && x > 0) *at(f, x - 1, y) = (struct cell){.width = 1, .style = c->style};
    if (c->width == 2 && x + 1 < f->w)
        *at(f, x + 1, y) = (struct cell){.width = 1, .style = c->style};
}

static void put_cluster(struct frame *f, int x, int y, const char *s, size_t n, int width,
                        enum style style) {
    break_wide(f, x, y);
    if (width == 2) break_wide(f, x + 1, y);
    struct cell c = {.width = (uint8_t)width, .style = (uint8_t)style};
    if (n > CELL_BYTES) n = text_floor(s, n, CELL_BYTES);
    bool is_space = (n == 1 && s[0] == ' ') || (n == 2 && memcmp(s, "\xC2\xA0", 2) == 0);
    if (!is_space) {
        memcpy(c.bytes, s, n);
        c.n = (uint8_t)n;
    }
    *at(f, x, y) = c;
    if (width == 2) *at(f, x + 1, y) = (struct cell){.width = 0, .style = (uint8_t)style};
}

static void append_mark(struct frame *f, int x, int y, const char *s, size_t n) {
    struct cell *c = at(f, x, y);
    if (c->n > 0 && c->n + n <= CELL_BYTES) {
        memcpy(c->bytes + c->n, s, n);
        c->n = (uint8_t)(c->n + n);
    }
}

static bool has_control(const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        int32_t cp;
        i += text_next(s + i, n - i, &cp);
        if (cp < 0 || text_is_control(cp)) return true;
    }
    return false;
}

int frame_text(struct frame *f, int x, int y, int end, const char *s, size_t n, enum style style) {
    if (y < 0 || y >= f->h || x < 0) return x;
    if (end > f->w) end = f->w;
    int last = -1; /* column of the cluster before, for marks that stand alone */
    for (size_t i = 0; i < n && x < end;) {
        int width = 0;
        size_t len = text_cluster(s + i, n - i, &width);
        const char *bytes = s + i;
        size_t shown = len;
        if (has_control(bytes, len)) bytes = "?", shown = 1, width = 1;
        if (width == 0) {
            if (last >= 0) append_mark(f, last, y, bytes, shown);
        } else if (x + width > end) {
            put_cluster(f, x, y, " ", 1, 1, style);
            x++;
        } else {
            put_cluster(f, x, y, bytes, shown, width, style);
            last = x;
            x += width;
        }
        i += len;
    }
    return x;
}

int frame_puts(struct frame *f, int x, int y, int end, const char *s, enum style style) {
    return frame_text(f, x, y, end, s, strlen(s), style);
}

int frame_spans(struct frame *f, int x, int y, int end, const char *s, size_t from, size_t to,
                const struct span *spans, size_t n_spans) {
    size_t hint = 0;
    size_t low = 0, high = n_spans; /* the first span that ends behind `from` */
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (spans[mid].to <= from)
            low = mid + 1;
        else
            high = mid;
    }
    hint = low;
    while (from < to) {
        size_t stop = to;
        enum style style = STYLE_TEXT;
        if (hint < n_spans && spans[hint].from <= from) {
            style = spans[hint].style;
            if (spans[hint].to < stop) stop = spans[hint].to;
            if (stop == spans[hint].to) hint++;
        } else if (hint < n_spans && spans[hint].from < stop) {
            stop = spans[hint].from;
        }
        x = frame_text(f, x, y, end, s + from, stop - from, style);
        from = stop;
    }
    return x;
}

void frame_fill(struct frame *f, struct rect r, const char *cluster, enum style style) {
    for (int y = r.y; y < r.y + r.h; y++)
        for (int x = r.x; x < r.x + r.w && x < f->w;) {
            int next = frame_puts(f, x, y, r.x + r.w, cluster, style);
            x = next > x ? next : x + 1;
        }
}

void frame_style(struct frame *f, struct rect r, enum style style) {
    for (int y = r.y < 0 ? 0 : r.y; y < r.y + r.h && y < f->h; y++)
        for (int x = r.x < 0 ? 0 : r.x; x < r.x + r.w && x < f->w; x++)
            at(f, x, y)->style = (uint8_t)style;
}

const struct cell *frame_cell(const struct frame *f, int x, int y) {
    return &f->cell[y * f->w + x];
}

int frame_dump(const struct frame *f, struct buf *out, ox_err *err) {
    int rc = 0;
    for (int y = 0; y < f->h && !rc; y++) {
        int used = f->w;
        while (used > 0 && frame_cell(f, used - 1, y)->n == 0 && frame_cell(f, used - 1, y)->width)
            used--;
        for (int x = 0; x < used && !rc; x++) {
            const struct cell *c = frame_cell(f, x, y);
            if (c->width == 0) continue;
            rc = c->n ? buf_add(out, c->bytes, c->n, err) : buf_putc(out, ' ', err);
        }
        if (!rc) rc = buf_putc(out, '\n', err);
    }
    return rc;
}

void frame_deinit(struct frame *f) {
    ox_free(f->cell);
    *f = (struct frame){0};
}
