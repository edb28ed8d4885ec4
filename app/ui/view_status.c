/* view_status.c - the last two rows: keys that matter now, and where the program stands. See
 * view.h. */
#include "app/ui/view.h"

#include "app/core/say.h"
#include "app/core/text.h"
#include "app/ui/layout.h"

#include <stdio.h>
#include <string.h>

struct hint {
    unsigned place;
    enum request r;
    const char *words;
};

/* clang-format off */
static const struct hint idle[] = {
    {PLACE_INPUT, REQ_SEND, "send"}, {PLACE_INPUT, REQ_NEWLINE, "newline"}, {PLACE_INPUT, REQ_COMPLETE, "read"},
    {PLACE_ANY, REQ_HELP, "help"}, {PLACE_ANY, REQ_SESSIONS, "sessions"}, {PLACE_ANY, REQ_PALETTE, "commands"},
    {PLACE_ANY, REQ_DOC_PANE, "document"},
};
static const struct hint doc_hidden[] = {
    {PLACE_INPUT, REQ_SEND, "send"}, {PLACE_INPUT, REQ_NEWLINE, "newline"}, {PLACE_INPUT, REQ_COMPLETE, "read"},
    {PLACE_ANY, REQ_DOC_PANE, "document"}, {PLACE_ANY, REQ_HELP, "help"}, {PLACE_ANY, REQ_SESSIONS, "sessions"},
    {PLACE_ANY, REQ_PALETTE, "commands"},
};
static const struct hint with_doc[] = {
    {PLACE_INPUT, REQ_SEND, "send"}, {PLACE_INPUT, REQ_NEWLINE, "newline"}, {PLACE_INPUT, REQ_COMPLETE, "pane"},
    {PLACE_ANY, REQ_DOC_PANE, "hide document"}, {PLACE_ANY, REQ_HELP, "help"}, {PLACE_ANY, REQ_SESSIONS, "sessions"},
    {PLACE_ANY, REQ_PALETTE, "commands"},
};
static const struct hint busy[] = {
    {PLACE_ANY, REQ_BACK, "stop"}, {PLACE_INPUT, REQ_COMPLETE, "read"}, {PLACE_ANY, REQ_DOC_PANE, "document"},
    {PLACE_ANY, REQ_SESSIONS, "sessions"}, {PLACE_ANY, REQ_HELP, "help"},
};
static const struct hint reading[] = {
    {PLACE_READ, REQ_NEXT_PANE, "pane"}, {PLACE_CHAT, REQ_FIND, "search"}, {PLACE_CHAT, REQ_COPY, "copy"},
    {PLACE_CHAT, REQ_EDIT, "edit"}, {PLACE_CHAT, REQ_REGEN, "again"}, {PLACE_CHAT, REQ_FORK, "fork"},
    {PLACE_CHAT, REQ_TREE, "tree"}, {PLACE_ANY, REQ_HELP, "help"}, {PLACE_CHAT, REQ_PREV_MESSAGE, "message"},
};
static const struct hint reading_cites[] = {
    {PLACE_READ, REQ_NEXT_PANE, "pane"}, {PLACE_CHAT, REQ_FIND_NEXT, "citation"}, {PLACE_CHAT, REQ_FIND, "search"},
    {PLACE_CHAT, REQ_COPY, "copy"}, {PLACE_CHAT, REQ_EDIT, "edit"}, {PLACE_CHAT, REQ_REGEN, "again"},
    {PLACE_ANY, REQ_HELP, "help"}, {PLACE_CHAT, REQ_FORK, "fork"}, {PLACE_CHAT, REQ_TREE, "tree"},
};
static const struct hint in_doc[] = {
    {PLACE_READ, REQ_NEXT_PANE, "pane"}, {PLACE_DOC, REQ_FIND_NEXT, "next citation"}, {PLACE_DOC, REQ_FIND, "search"},
    {PLACE_DOC, REQ_COPY, "copy"}, {PLACE_ANY, REQ_DOC_PANE, "hide"}, {PLACE_ANY, REQ_HELP, "help"},
};
static const struct hint sessions[] = {
    {PLACE_LIST, REQ_OPEN, "open"}, {PLACE_LIST, REQ_LIST_SEARCH, "search"}, {PLACE_LIST, REQ_LIST_RENAME, "rename"},
    {PLACE_LIST, REQ_LIST_DELETE, "delete"}, {PLACE_ANY, REQ_BACK, "back"}, {PLACE_LIST, REQ_LIST_FORK, "fork"},
    {PLACE_LIST, REQ_LIST_EXPORT, "export"}, {PLACE_LIST, REQ_LIST_PIN, "pin"},
};
static const struct hint found[] = {
    {PLACE_LIST, REQ_OPEN, "go there"}, {PLACE_LIST, REQ_LIST_SEARCH, "titles"}, {PLACE_ANY, REQ_BACK, "back"},
};
static const struct hint listing[] = {
    {PLACE_LIST, REQ_OPEN, "take it"}, {PLACE_ANY, REQ_BACK, "back"},
};
static const struct hint branches[] = {
    {PLACE_TREE, REQ_OPEN, "show it"}, {PLACE_TREE, REQ_SIDES, "compare"}, {PLACE_ANY, REQ_BACK, "back"},
};
static const struct hint sides[] = {
    {PLACE_SIDES, REQ_TAKE_FIRST, "take first"}, {PLACE_SIDES, REQ_TAKE_SECOND, "take second"}, {PLACE_SIDES, REQ_FIND_NEXT, "next difference"},
    {PLACE_ANY, REQ_BACK, "back"}, {PLACE_SIDES, REQ_SIBLING_NEXT, "another one"}, {PLACE_SIDES, REQ_NEXT_PANE, "swap"},
};
static const struct hint pages[] = {
    {PLACE_READ, REQ_PAGE_DOWN, "page down"}, {PLACE_READ, REQ_PAGE_UP, "page up"}, {PLACE_ANY, REQ_BACK, "back"},
};
/* clang-format on */

static const struct hint *pick(const struct app_state *s, size_t *n) {
#define USE(list) (*n = sizeof list / sizeof list[0], list)
    if (s->overlay == OVERLAY_PALETTE) return USE(listing);
    if (s->overlay == OVERLAY_TREE) return USE(branches);
    if (s->overlay == OVERLAY_SIDES) return USE(sides);
    if (s->overlay == OVERLAY_HELP) return USE(pages);
    if (s->screen == SCREEN_SESSIONS && state_search_words(s)) return USE(found);
    if (s->screen == SCREEN_SESSIONS) return USE(sessions);
    if (s->focus == FOCUS_CHAT && s->n_docs > 0) return USE(reading_cites);
    if (s->focus == FOCUS_CHAT) return USE(reading);
    if (s->focus == FOCUS_DOC) return USE(in_doc);
    if (state_is_busy(s) || state_is_reading(s)) return USE(busy);
    if (s->n_docs == 0) return USE(idle);
    return s->pane.doc.w > 0 ? USE(with_doc) : USE(doc_hidden);
#undef USE
}

static void key_of(const struct app_state *s, const struct hint *h, struct buf *out) {
    size_t n;
    const struct key_row *rows = keymap_rows(&n);
    for (size_t i = 0; i < n && out->n == 0; i++)
        if (rows[i].request == h->r && (rows[i].places & h->place))
            keymap_label(&s->keymap, &rows[i], out, NULL);
}

void view_hint(struct app_state *s, struct frame *f) {
    struct rect r = s->pane.hint;
    size_t n;
    const struct hint *hints = pick(s, &n);
    if (r.h == 0) return;
    int end = r.x + r.w, x = 1;
    double seconds = s->job.last_token - s->job.first_token;
    if (s->job.busy == BUSY_WRITING && seconds > 0.2 && s->job.n_out > 1) {
        char rate[32];
        snprintf(rate, sizeof rate, "%.1f tok/s", (double)(s->job.n_out - 1) / seconds);
        end = view_right(f, r.y, r.w - 1, STYLE_FAINT, rate) - 1;
    }
    for (size_t i = 0; i < n; i++) {
        struct buf key = {0};
        key_of(s, &hints[i], &key);
        int need = (int)(text_cells(buf_str(&key), key.n) + strlen(hints[i].words)) + 1;
        if (key.n > 0 && x + need <= end) {
            x = frame_puts(f, x, r.y, end, buf_str(&key), STYLE_STRONG);
            x = view_printf(f, x, r.y, end, STYLE_FAINT, " %s", hints[i].words) + 3;
        }
        buf_deinit(&key);
    }
}

static int draw_meter(const struct app_state *s, struct frame *f, int x, int y, int end) {
    char used[SAY_BYTES], limit[SAY_BYTES];
    if (s->model.limit == 0) return x;
    size_t percent = 100 * s->n_used / s->model.limit;
    enum style style = percent >= 90 ? STYLE_WARN : percent >= 75 ? STYLE_STRONG : STYLE_TEXT;
    x = view_printf(f, x, y, end, style, "%s%s/%s", s->is_used_about ? "~" : "",
                    say_short(used, s->n_used), say_limit(limit, s->model.limit));
    return s->w < LAYOUT_NARROW ? x : view_printf(f, x, y, end, style, " %zu%%", percent);
}

static void event_words(const struct app_state *s, char *out, size_t n) {
    if (state_is_busy(s) && s->seeds.n > 0 && !s->notice.standing[0])
        snprintf(out, n, "answer %zu of %zu; Esc keeps the finished ones", s->seeds.done + 1,
                 s->seeds.n);
    else if (s->notice.text[0])
        snprintf(out, n, "%s", s->notice.text);
    else if (state_is_reading(s)) {
        size_t name = text_floor(s->file.name, strlen(s->file.name), 24);
        bool is_cut = s->file.name[name] != 0;
        snprintf(out, n, "reading %.*s%s, %d s; Esc or Ctrl-C stops it", (int)name, s->file.name,
                 is_cut ? ".." : "", (int)(s->now - s->file.since));
    } else if (s->notice.standing[0])
        snprintf(out, n, "%s", s->notice.standing);
    else if (!s->is_loaded && s->loading[0])
        snprintf(out, n, "loading %s", s->loading);
    else if (s->job.busy == BUSY_WAITING)
        snprintf(out, n, "waiting for %s", s->model.is_remote ? s->model.place : "the model");
    else if (s->job.busy == BUSY_READING)
        snprintf(out, n, "reading");
    else
        out[0] = 0;
    out[text_valid(out, strlen(out))] = 0;
}

void view_status(struct app_state *s, struct frame *f) {
    struct rect r = s->pane.status;
    char words[300], right[96] = "", used[SAY_BYTES], quota[SAY_BYTES];
    if (r.h == 0) return;
    int end = r.w - 1, x = 1;
    if (s->model.is_remote && s->w >= 110)
        snprintf(right, sizeof right, "remote, no saved states");
    else if (s->memory_bytes && s->w >= LAYOUT_NARROW)
        snprintf(right, sizeof right, "%lluM", (unsigned long long)(s->memory_bytes >> 20));
    if (s->memory_bytes && s->w >= 110 && s->states_quota && !s->model.is_remote)
        snprintf(right, sizeof right, "states %s of %s   %lluM", say_bytes(used, s->states_bytes),
                 say_bytes(quota, s->states_quota), (unsigned long long)(s->memory_bytes >> 20));
    if (right[0]) end = view_right(f, r.y, r.w - 1, STYLE_FAINT, right) - 1;
    if (s->w >= LAYOUT_NARROW && s->model.name[0])
        x = view_text(f, x, r.y, end, s->model.name, strlen(s->model.name), STYLE_TITLE) + 2;
    else if (s->model.is_remote)
        x = frame_puts(f, x, r.y, end, "remote", STYLE_TITLE) + 2;
    int after = draw_meter(s, f, x, r.y, end);
    x = after > x ? after + 2 : x;
    event_words(s, words, sizeof words);
    bool warns = s->notice.standing[0] && !s->notice.text[0];
    view_text(f, x, r.y, end, words, strlen(words), warns ? STYLE_WARN : STYLE_TEXT);
}
