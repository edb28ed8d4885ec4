/* view.c - see view.h: the order of drawing, and what views share. */
#include "app/ui/view.h"

#include "app/core/find.h"
#include "app/core/text.h"
#include "app/ui/layout.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int view_text(struct frame *f, int x, int y, int end, const char *s, size_t n, enum style style) {
    struct buf shown = {0};
    if (end > f->w) end = f->w;
    if (end > x && text_brief(&shown, s, n, (size_t)(end - x), NULL) == 0)
        x = frame_text(f, x, y, end, buf_str(&shown), shown.n, style);
    buf_deinit(&shown);
    return x;
}

int view_printf(struct frame *f, int x, int y, int end, enum style style, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return view_text(f, x, y, end, text, text_valid(text, strlen(text)), style);
}

int view_right(struct frame *f, int y, int end, enum style style, const char *text) {
    int x = end - (int)text_cells(text, strlen(text));
    if (x < 0) x = 0;
    frame_puts(f, x, y, end, text, style);
    return x;
}

void view_rule(const struct app_state *s, struct frame *f, int x, int y, int w) {
    frame_fill(f, (struct rect){x, y, w, 1}, s->is_utf8 ? "\u2500" : "-", STYLE_RULE);
}

void view_head(struct app_state *s, struct frame *f, const char *what, const char *right) {
    int end = right[0] ? view_right(f, 0, f->w - 1, STYLE_FAINT, right) - 1 : f->w;
    int x = frame_puts(f, 1, 0, end, "oxbow", STYLE_TITLE);
    view_printf(f, x, 0, end, STYLE_TITLE, " | %s", what);
    if (f->h >= 6) view_rule(s, f, 0, 1, f->w);
}

/* ---- time ---------------------------------------------------------------------------------------
 */

struct day {
    int64_t number;
    int year, month, day, hour, minute;
}; /* number: days since 1970-01-01 */

/* Civil date of a day number; H. Hinnant, "chrono-compatible low-level date algorithms". */
static struct day day_of(const struct app_state *s, int64_t us) {
    int64_t seconds = us / 1000000 + s->utc_offset_s;
    struct day d = {.number = seconds >= 0 ? seconds / 86400 : -1};
    int64_t z = d.number + 719468, era = z / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    d.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    d.year = (int)(yoe + era * 400 + (d.month <= 2));
    d.hour = (int)(seconds % 86400 / 3600);
    d.minute = (int)(seconds % 3600 / 60);
    return d;
}

void view_time(const struct app_state *s, int64_t us, char out[8]) {
    struct day d = day_of(s, us);
    snprintf(out, 8, "%02d:%02d", d.hour % 24, d.minute % 60);
}

void view_day(const struct app_state *s, int64_t us, char out[24]) {
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct day d = day_of(s, us), now = day_of(s, (int64_t)(s->now * 1e6));
    if (d.number == now.number)
        snprintf(out, 24, "today %02d:%02d", d.hour % 24, d.minute % 60);
    else if (d.number + 1 == now.number)
        snprintf(out, 24, "yesterday");
    else if (d.year == now.year)
        snprintf(out, 24, "%d %s", d.day % 32, months[(d.month + 11) % 12]);
    else
        snprintf(out, 24, "%d %s %d", d.day % 32, months[(d.month + 11) % 12], d.year % 10000);
}

/* ---- search hits --------------------------------------------------------------------------------
 */

void view_mark_found(const struct app_state *s, struct frame *f, int x, int y, int end,
                     const char *text, size_t n) {
    const char *words = buf_str(&s->find.words);
    size_t m = strlen(words), i = 0;
    while (s->find.is_on && (i = find_words(text, n, i, words)) != SIZE_MAX) {
        int from = x + (int)text_cells(text, i), w = (int)text_cells(text + i, m);
        struct rect r = {from, y, from + w > end ? end - from : w, 1};
        if (from < end) frame_style(f, r, STYLE_SELECT);
        i += m;
    }
}

/* ---- the screen ---------------------------------------------------------------------------------
 */

static void draw_question(struct app_state *s, struct frame *f) {
    int y = s->pane.status.h ? s->pane.status.y : f->h - 1;
    frame_fill(f, (struct rect){0, y, f->w, 1}, " ", STYLE_WARN);
    view_text(f, 1, y, f->w, s->ask.words, strlen(s->ask.words), STYLE_WARN);
}

static bool covers(const struct app_state *s) {
    return s->overlay == OVERLAY_HELP || s->overlay == OVERLAY_PALETTE ||
           s->overlay == OVERLAY_TREE || s->overlay == OVERLAY_SIDES ||
           s->screen == SCREEN_SESSIONS;
}

static void draw_cover(struct app_state *s, struct frame *f) {
    switch (s->overlay) {
    case OVERLAY_HELP: view_help(s, f); return;
    case OVERLAY_PALETTE: view_palette(s, f); return;
    case OVERLAY_TREE: view_tree(s, f); return;
    case OVERLAY_SIDES: view_sides(s, f); return;
    case OVERLAY_NONE:
    case OVERLAY_CHOICE:
    case OVERLAY_ASK: view_sessions(s, f); return;
    }
}

void view_screen(struct app_state *s, struct frame *f) {
    layout_screen(s);
    frame_clear(f);
    if (covers(s)) {
        draw_cover(s, f);
    } else {
        view_title(s, f);
        if (s->pane.doc.w < s->w) view_chat(s, f);
        view_doc(s, f);
        view_bar(s, f);
        view_error(s, f);
        if (s->pane.rule.h) view_rule(s, f, 0, s->pane.rule.y, f->w);
        view_input(s, f);
    }
    view_hint(s, f);
    view_status(s, f);
    if (s->overlay == OVERLAY_ASK) draw_question(s, f);
    if (f->cursor_x >= f->w) f->cursor_x = f->w - 1;
    if (f->cursor_y >= f->h) f->cursor_y = f->h - 1;
}
