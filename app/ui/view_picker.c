/* view_picker.c - lists to choose from: sessions with their preview, and the command palette. */
#include "app/ui/view.h"

#include "app/core/command.h"
#include "app/core/find.h"
#include "app/core/say.h"
#include "app/core/text.h"

#include <stdio.h>
#include <string.h>

static void draw_session(struct app_state *s, struct frame *f, int y, const struct session_row *row,
                         bool chosen) {
    char when[24], tokens[SAY_BYTES];
    int end = f->w;
    view_day(s, row->when_us, when);
    frame_puts(f, 1, y, end, chosen ? "*" : row->is_pinned ? "P" : " ", STYLE_TITLE);
    int x = view_printf(f, 3, y, end, STYLE_TEXT, "%.4s  ", row->uid);
    if (f->w >= 50) x = view_printf(f, x, y, end, STYLE_FAINT, "%-11s %5zu  ", when, row->n_turns);
    if (f->w >= 70)
        x = view_printf(f, x, y, end, STYLE_FAINT, "%5s   %-6s   ",
                        row->n_tokens ? say_short(tokens, row->n_tokens) : "",
                        row->is_pinned ? "pinned" : row->state);
    view_text(f, x, y, end, row->title[0] ? row->title : "untitled",
              strlen(row->title[0] ? row->title : "untitled"), STYLE_TEXT);
    if (chosen) frame_style(f, (struct rect){0, y, f->w, 1}, STYLE_SELECT);
}

static void draw_wrapped(struct frame *f, int y, int bottom, const char *text, size_t n) {
    struct row_list rows = {0};
    struct wrap_line line = {.to = n, .how = WRAP_WORDS};
    if (wrap_rows(text, &line, (size_t)(f->w > 5 ? f->w - 5 : 1), &rows, NULL) == 0)
        for (size_t i = 0; i < rows.n && y < bottom; i++, y++)
            frame_text(f, 3, y, f->w, text + rows.v[i].from, rows.v[i].to - rows.v[i].from,
                       STYLE_TEXT);
    row_list_deinit(&rows);
}

/* What the state column means for this row: what comes back, what is read again, how long. */
static void draw_cost(struct frame *f, int y, const struct session_row *row) {
    char saved[SAY_BYTES], all[SAY_BYTES], time[SAY_BYTES];
    size_t left = row->n_tokens > row->n_saved ? row->n_tokens - row->n_saved : 0;
    double seconds = row->load_s + (double)left * row->us_per_token / 1e6;
    if (!row->state[0] || row->n_tokens == 0) return;
    if (strcmp(row->state, "remote") == 0)
        view_printf(f, 3, y, f->w, STYLE_FAINT, "remote, no saved states");
    else if (strcmp(row->state, "saved") == 0)
        view_printf(f, 3, y, f->w, STYLE_FAINT, "saved: goes on at token %s, about %s",
                    say_count(saved, row->n_saved), say_time(time, row->load_s));
    else if (row->n_saved > 0)
        view_printf(f, 3, y, f->w, STYLE_FAINT,
                    "part: saved up to token %s; %s to read again, about %s",
                    say_count(saved, row->n_saved), say_count(all, left), say_time(time, seconds));
    else
        view_printf(f, 3, y, f->w, STYLE_FAINT, "none: %s tokens to read again",
                    say_count(all, row->n_tokens));
}

static void draw_preview(struct app_state *s, struct frame *f, const struct session_row *row) {
    struct rect r = s->pane.preview;
    if (r.h < 3) return;
    view_rule(s, f, 0, r.y, f->w);
    view_text(f, 1, r.y + 1, f->w, row->title, strlen(row->title), STYLE_TITLE);
    int x = 3;
    if (row->n_docs)
        x = view_printf(f, x, r.y + 2, f->w, STYLE_FAINT, "%zu document%s   ", row->n_docs,
                        row->n_docs == 1 ? "" : "s");
    if (row->n_branches > 1)
        x = view_printf(f, x, r.y + 2, f->w, STYLE_FAINT, "%zu branches   ", row->n_branches);
    view_printf(f, x, r.y + 2, f->w, STYLE_FAINT, "last answer:");
    draw_cost(f, r.y + r.h - 1, row);
    if (s->picker.preview_id == row->id)
        draw_wrapped(f, r.y + 3, r.y + r.h - 1, buf_str(&s->picker.preview), s->picker.preview.n);
}

/* A place in a conversation or document, with the words around it. */
/* Where a row of `room` cells begins so that the first word that was found is in it. */
static const char *from_hit(const char *snippet, int room) {
    const char *open = strchr(snippet, '['), *close = open ? strchr(open, ']') : NULL;
    if (!close || (int)text_cells(snippet, (size_t)(close + 1 - snippet)) + 3 <= room)
        return snippet;
    const char *at = open;
    for (const char *p = open; p > snippet && (int)text_cells(p, (size_t)(open - p)) < room / 4;
         p--)
        if (p[-1] == ' ') at = p;
    return at;
}

static void draw_hit(struct frame *f, int y, const struct search_hit *hit, bool chosen) {
    int end = f->w;
    frame_puts(f, 1, y, end, chosen ? "*" : " ", STYLE_TITLE);
    int x = view_printf(f, 3, y, end, STYLE_TEXT, "%.4s  ", hit->uid);
    if (f->w >= 50)
        x = view_printf(f, x, y, end, STYLE_FAINT, hit->doc ? "line %-6zu " : "turn %-6zu ",
                        hit->doc ? hit->line : hit->turn);
    if (f->w >= 70) {
        view_text(f, x, y, x + 24, hit->title, strlen(hit->title), STYLE_FAINT);
        x += 26;
    }
    const char *text = from_hit(hit->snippet, end - x);
    if (text > hit->snippet) x = frame_puts(f, x, y, end, "...", STYLE_TEXT);
    view_text(f, x, y, end, text, strlen(text), STYLE_TEXT);
    if (chosen) frame_style(f, (struct rect){0, y, f->w, 1}, STYLE_SELECT);
}

static void draw_hits(struct app_state *s, struct frame *f) {
    const struct picker *p = &s->picker;
    struct rect r = s->pane.list, around = s->pane.preview;
    if (r.y >= 3 && f->w >= 50)
        frame_puts(f, 3, r.y - 1, f->w,
                   f->w >= 70 ? "id    place       title                     text"
                              : "id    place       text",
                   STYLE_FAINT);
    for (int i = 0; i < r.h && p->top + (size_t)i < p->n_hits; i++)
        draw_hit(f, r.y + i, &p->hit[p->top + (size_t)i], p->top + (size_t)i == p->chosen);
    if (p->n_hits == 0)
        frame_puts(f, 3, r.y, f->w,
                   p->is_searching            ? "searching"
                   : state_search_words(s)[0] ? "no text has all these words"
                                              : "words to look for in all texts",
                   STYLE_FAINT);
    if (p->chosen >= p->n_hits || around.h < 3) return;
    const struct search_hit *hit = &p->hit[p->chosen];
    view_rule(s, f, 0, around.y, f->w);
    view_text(f, 1, around.y + 1, f->w, hit->title, strlen(hit->title), STYLE_TITLE);
    draw_wrapped(f, around.y + 2, around.y + around.h, hit->snippet, strlen(hit->snippet));
}

void view_sessions(struct app_state *s, struct frame *f) {
    struct picker *p = &s->picker;
    char what[64], right[160];
    if (state_search_words(s))
        snprintf(what, sizeof what, "All texts | %zu of %zu", p->n_hits ? p->chosen + 1 : 0,
                 p->n_hits);
    else
        snprintf(what, sizeof what, "Sessions | %zu of %zu", p->n_shown, p->n);
    const char *label = p->renaming             ? "new title: "
                        : state_search_words(s) ? "search: "
                                                : "filter: ";
    snprintf(right, sizeof right, "%s%.100s_",
             p->filter.n > 0 || p->renaming ? label : "type to filter ", buf_str(&p->filter));
    right[text_valid(right, strlen(right))] = 0;
    view_head(s, f, what, right);
    if (state_search_words(s)) {
        draw_hits(s, f);
        return;
    }
    struct rect r = s->pane.list;
    if (r.y >= 3 && f->w >= 50)
        frame_puts(f, 3, r.y - 1, f->w,
                   f->w >= 70 ? "id    when        turns  tokens  state    title"
                              : "id    when        turns  title",
                   STYLE_FAINT);
    for (int i = 0; i < r.h && p->top + (size_t)i < p->n_shown; i++) {
        size_t at = p->top + (size_t)i;
        draw_session(s, f, r.y + i, &p->row[p->shown[at]], at == p->chosen);
    }
    if (p->n_shown == 0)
        frame_puts(f, 3, r.y, f->w,
                   p->n        ? "no title contains these letters"
                   : !s->keeps ? "sessions are not read without saving (--no-save)"
                               : "no sessions yet; Esc, and ask something",
                   STYLE_FAINT);
    if (p->chosen < p->n_shown) draw_preview(s, f, &p->row[p->shown[p->chosen]]);
}

static bool has_word(const char *text, const char *words) {
    return words[0] == 0 || find_words(text, strlen(text), 0, words) != SIZE_MAX;
}

void view_palette(struct app_state *s, struct frame *f) {
    size_t n, shown = 0;
    char right[160];
    const struct command *table = command_table(&n);
    const char *words = buf_str(&s->list_filter);
    snprintf(right, sizeof right, "%s%.100s_", words[0] ? "filter: " : "type to filter ", words);
    right[text_valid(right, strlen(right))] = 0;
    view_head(s, f, "Commands", right);
    struct rect r = s->pane.list;
    for (size_t i = 0; i < n; i++) {
        if (!has_word(table[i].name, words) && !has_word(table[i].help, words)) continue;
        size_t at = shown++;
        if (at < s->list_top || at >= s->list_top + (size_t)r.h) continue;
        int y = r.y + (int)(at - s->list_top);
        view_printf(f, 3, y, f->w, STYLE_STRONG, "/%s %s", table[i].name, table[i].args);
        view_printf(f, f->w >= 50 ? 24 : 18, y, f->w, STYLE_FAINT, "%s", table[i].help);
        if (at == s->list_chosen) frame_style(f, (struct rect){0, y, f->w, 1}, STYLE_SELECT);
    }
}
