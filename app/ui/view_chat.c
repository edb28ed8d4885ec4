/* view_chat.c - the transcript: labels, rows of text, how an answer ended. See view.h. */
#include "app/ui/view.h"

#include "app/core/say.h"
#include "app/core/text.h"

#include <stdio.h>
#include <string.h>

void view_title(struct app_state *s, struct frame *f) {
    if (!s->pane.title.h) return;
    char right[96], branch[64] = "";
    if (s->n_branches > 1)
        snprintf(branch, sizeof branch, "branch %zu/%zu   ", s->branch, s->n_branches);
    bool at_end = s->follow;
    if (at_end)
        snprintf(right, sizeof right, "%s%s", branch, s->sheet.n ? "end" : "");
    else if (s->job.busy == BUSY_WRITING)
        snprintf(right, sizeof right, "%snew text below (G)", branch);
    else
        snprintf(right, sizeof right, "%s%zu%%", branch,
                 s->sheet.n ? 100 * s->top.i / s->sheet.n : 0);
    int end = view_right(f, 0, f->w - 1, STYLE_FAINT, right) - 1;
    bool is_wide = s->w >= 40;
    int x = is_wide ? frame_puts(f, 1, 0, end, "oxbow", STYLE_TITLE) : 1;
    if (is_wide) x = frame_puts(f, x, 0, end, " | ", STYLE_RULE);
    const char *title = s->title[0] ? s->title : "new session";
    int room = s->uid[0] && is_wide ? end - 7 : end;
    x = view_text(f, x, 0, room > x ? room : x, title, strlen(title), STYLE_TITLE);
    if (s->uid[0])
        view_printf(f, x, 0, end, STYLE_FAINT, " | %.4s%s", s->uid, s->is_pinned ? " P" : "");
    else if (!s->keeps)
        view_printf(f, x, 0, end, STYLE_FAINT, " | not saved");
}

static int draw_docs(struct app_state *s, struct frame *f, int x, int y, int end,
                     const struct chat_node *node) {
    for (size_t d = 0; d < node->n_docs; d++) {
        size_t i = 0;
        char count[SAY_BYTES];
        while (i < s->n_docs && s->doc[i].d.id != node->docs[d].doc)
            i++;
        const char *known = i < s->n_docs ? s->doc[i].d.name : "a document";
        const char *name = node->docs[d].name ? node->docs[d].name : known;
        if (i < s->n_docs)
            x = view_printf(f, x, y, end, STYLE_FAINT, "   [%zu] %s", i + 1, name);
        else
            x = view_printf(f, x, y, end, STYLE_FAINT, "   [deleted] %s", name);
        bool is_same = strcmp(name, known) == 0; /* else it was another part of the document */
        if (i < s->n_docs && s->doc[i].d.n_tokens && is_same)
            x = view_printf(f, x, y, end, STYLE_FAINT, ", %s%s tokens",
                            s->model.is_remote ? "about " : "",
                            say_count(count, s->doc[i].d.n_tokens));
    }
    return x;
}

static int draw_cost(struct frame *f, int x, int y, int end, const struct chat_ledger *l) {
    char cost[SAY_COST_BYTES];
    return l->n_in == 0 ? x : view_printf(f, x, y, end, STYLE_FAINT, "   %s", say_cost(cost, l));
}

static void draw_label(struct app_state *s, struct frame *f, struct rect r, int y, size_t i) {
    const struct chat_node *node = s->sheet.path[i];
    bool is_user = node->role == OX_ROLE_USER, is_chosen = s->focus == FOCUS_CHAT && s->chosen == i;
    char time[8];
    int end = r.x + r.w;
    if (is_chosen) frame_puts(f, r.x, y, end, ">", STYLE_SELECT);
    int x = frame_puts(f, r.x + 1, y, end, is_user ? "you" : "oxbow",
                       is_user ? STYLE_USER : STYLE_OXBOW);
    view_time(s, node->created_us, time);
    x = view_printf(f, x, y, end, STYLE_FAINT, "  %s", time);
    size_t place = 0, n = 0;
    chat_sibling(&s->chat, node->id, 0, &place, &n);
    x = is_user ? draw_docs(s, f, x, y, end, node) : draw_cost(f, x, y, end, &node->ledger);
    if (n > 1)
        view_printf(f, x, y, end, STYLE_FAINT, "   %s %zu/%zu", is_user ? "question" : "answer",
                    place, n);
}

static void draw_note(struct app_state *s, struct frame *f, struct rect r, int y,
                      const struct chat_node *node) {
    static const char *const words[] = {
        [CHAT_STOPPED] = "stopped by you",
        [CHAT_LENGTH] = "the limit is reached",
        [CHAT_CRASHED] = "[interrupted]",
        [CHAT_FAILED] = "failed",
    };
    char time[SAY_BYTES];
    const struct chat_ledger *l = &node->ledger;
    (void)s;
    int x = frame_puts(f, r.x + SHEET_INDENT, y, r.x + r.w, words[node->end], STYLE_WARN);
    if (l->n_out > 0)
        x = view_printf(f, x, y, r.x + r.w, STYLE_FAINT, " after %s%zu tokens",
                        l->ran == CHAT_RAN_REMOTE_ABOUT ? "about " : "", l->n_out);
    if (l->n_out > 0 && l->decode_s > 0) /* a crash leaves no times */
        view_printf(f, x, y, r.x + r.w, STYLE_FAINT, "   %s",
                    say_time(time, l->prefill_s + l->decode_s));
}

static void draw_text_row(struct app_state *s, struct frame *f, struct rect r, int y, size_t i,
                          const struct sheet_item *item, size_t row) {
    const struct row *at = &item->rows.v[row];
    const struct md_line *line = &item->md.line[at->line];
    const char *text = item->md.text.p;
    int end = r.x + r.w, x = r.x + SHEET_INDENT;
    size_t from = at->first ? line->lead_from : line->rest_from,
           n = at->first ? line->lead_n : line->rest_n;
    x = frame_spans(f, x, y, end, text, from, from + n, item->md.span, item->md.n_span);
    int start = x;
    x = frame_spans(f, x, y, end, text, at->from, at->to, item->md.span, item->md.n_span);
    view_mark_found(s, f, start, y, end, text + at->from, at->to - at->from);
    size_t sel_from, sel_to;
    if (select_range(&s->select, &s->sheet, i, &sel_from, &sel_to)) {
        size_t a = sel_from > at->from ? sel_from : at->from, b = sel_to < at->to ? sel_to : at->to;
        int left = start + (a < b ? (int)text_cells(text + at->from, a - at->from) : 0);
        int cells = a < b ? (int)text_cells(text + a, b - a) : 0;
        if (left < end && cells > 0)
            frame_style(f, (struct rect){left, y, left + cells > end ? end - left : cells, 1},
                        STYLE_SELECT);
    }
    bool is_last = row + 1 == item->rows.n && s->sheet.path[i]->id == s->job.answer;
    if (is_last && s->job.busy == BUSY_WRITING)
        frame_puts(f, x < end ? x : end - 1, y, end, "_", STYLE_FAINT);
}

static void draw_welcome(struct app_state *s, struct frame *f) {
    struct rect r = s->pane.chat;
    static const char *const lines[] = {
        "Type a question and press Enter.",
        "",
        "/file PATH   read a document with the model",
        "Ctrl-S       sessions, newest first",
        "Ctrl-P       all commands",
        "F1           all keys",
    };
    int n = (int)(sizeof lines / sizeof lines[0]);
    for (int i = 0; i < n && i + 1 < r.h; i++)
        frame_puts(f, r.x + 3, r.y + 1 + i, r.x + r.w, lines[i], STYLE_FAINT);
    struct row_list rows = {0}; /* as narrow as the document pane leaves it */
    char kept[320];
    snprintf(kept, sizeof kept, "%s%s%s%s",
             s->keeps ? "Everything is kept in oxbow.db on this machine; --no-save keeps nothing."
                      : "",
             s->model.is_remote ? " Questions, documents and earlier turns are sent to " : "",
             s->model.place, s->model.is_remote ? "." : "");
    struct wrap_line line = {.to = strlen(kept), .how = WRAP_WORDS};
    if (kept[0] && wrap_rows(kept, &line, (size_t)(r.w > 5 ? r.w - 4 : 1), &rows, NULL) == 0 &&
        n + 2 + (int)rows.n < r.h)
        for (size_t i = 0; i < rows.n; i++)
            frame_text(f, r.x + 3, r.y + n + 2 + (int)i, r.x + r.w, kept + rows.v[i].from,
                       rows.v[i].to - rows.v[i].from, STYLE_FAINT);
    row_list_deinit(&rows);
}

void view_chat(struct app_state *s, struct frame *f) {
    struct rect r = s->pane.chat;
    if (s->sheet.n == 0 || r.h < 1) {
        if (r.h > 0) draw_welcome(s, f);
        return;
    }
    struct sheet_place p = s->follow ? sheet_end(&s->sheet, (size_t)r.h) : s->top;
    if (s->follow) s->top = p;
    for (int y = r.y; y < r.y + r.h && p.i < s->sheet.n; y++) {
        const struct sheet_item *item = sheet_get(&s->sheet, p.i);
        size_t n_rows = item ? item->rows.n : 0;
        if (p.row == 0)
            draw_label(s, f, r, y, p.i);
        else if (p.row <= n_rows)
            draw_text_row(s, f, r, y, p.i, item, p.row - 1);
        else if (p.row == n_rows + 2 && sheet_has_note(s->sheet.path[p.i]))
            draw_note(s, f, r, y, s->sheet.path[p.i]);
        if (!sheet_move(&s->sheet, &p, 1)) break;
    }
}

/* ---- rows above the input: a long read, a choice, an error
 * --------------------------------------- */

static void draw_read(struct app_state *s, struct frame *f, struct rect r) {
    const struct job *j = &s->job;
    char done[SAY_BYTES], all[SAY_BYTES], reused[SAY_BYTES], rate[SAY_BYTES], left[SAY_BYTES];
    enum { CELLS = 24, WORDS = 44 }; /* cells of the bar at most, and of the words beside it */
    char bar[CELLS + 1];
    const char *name = j->n_doc && j->n_doc <= s->n_docs ? s->doc[j->n_doc - 1].d.name : "";
    int end = r.x + r.w, x = frame_puts(f, 1, r.y, end, "reading", STYLE_TITLE);
    if (name[0])
        x = view_printf(f, x, r.y, end - 2 * WORDS / 3, STYLE_TITLE, " [%zu] %s", j->n_doc, name);
    if (j->n_parts > 1)
        x = view_printf(f, x, r.y, end - WORDS / 2, STYLE_TITLE, ", part %zu of %zu", j->part,
                        j->n_parts);
    int room = end - x - WORDS;
    size_t cells = room > CELLS ? CELLS : room > 4 ? (size_t)room : 4;
    size_t share = j->n_prompt ? j->n_done * cells / j->n_prompt : 0;
    for (size_t i = 0; i < cells; i++)
        bar[i] = i < share ? '#' : '.';
    bar[cells] = 0;
    view_printf(f, x, r.y, end, STYLE_TEXT, "  [%s]  %zu%%  %s of %s tokens", bar,
                j->n_prompt ? 100 * j->n_done / j->n_prompt : 0, say_count(done, j->n_done),
                say_count(all, j->n_prompt));
    if (r.h < 2) return;
    double seconds = eta_left(&j->eta, j->n_prompt), per_second = eta_rate(&j->eta);
    if (seconds >= 0 && per_second > 0) seconds += (double)j->n_behind / per_second;
    x = view_printf(f, 3, r.y + 1, end, STYLE_FAINT, "%s reused",
                    say_count(reused, j->plan.live + j->plan.restored));
    if (per_second > 0)
        x = view_printf(f, x, r.y + 1, end, STYLE_FAINT, "   %s tok/s",
                        say_count(rate, (uint64_t)per_second));
    if (seconds >= 0)
        x = view_printf(f, x, r.y + 1, end, STYLE_FAINT, "   about %s left",
                        say_time(left, seconds));
    view_printf(f, x, r.y + 1, end, STYLE_FAINT, "   Esc stops, keeps it");
}

static void draw_choice(struct app_state *s, struct frame *f, struct rect r) {
    char over[SAY_BYTES], limit[SAY_BYTES];
    view_printf(f, 1, r.y, r.x + r.w, STYLE_WARN,
                "This question is %s tokens too long (%s less room for the answer).",
                say_count(over, s->choice.over), say_count(limit, s->model.limit));
    for (size_t i = 0; i < s->choice.n; i++)
        view_printf(f, 1, r.y + 1 + (int)i, r.x + r.w, STYLE_TEXT, "  %zu  %s", i + 1,
                    s->choice.line[i]);
}

void view_bar(struct app_state *s, struct frame *f) {
    if (s->pane.bar.h == 0) return;
    if (s->overlay == OVERLAY_CHOICE)
        draw_choice(s, f, s->pane.bar);
    else
        draw_read(s, f, s->pane.bar);
}

void view_error(struct app_state *s, struct frame *f) {
    struct rect r = s->pane.error;
    int y = r.y, end = r.x + r.w;
    if (r.h == 0) return;
    view_text(f, 1, y++, end, s->error.what, strlen(s->error.what), STYLE_WARN);
    if (s->error.where[0]) view_printf(f, 3, y++, end, STYLE_FAINT, "where: %s", s->error.where);
    if (s->error.fix[0]) view_printf(f, 3, y, end, STYLE_TEXT, "fix:   %s", s->error.fix);
}
