/* update_doc.c - documents, their pane, and going from citation to citation. See update.h. */
#include "app/core/update.h"

#include "app/core/budget.h"
#include "app/core/doc_rows.h"
#include "app/core/find.h"
#include "app/core/say.h"
#include "app/core/text.h"

#include <string.h>

static long pane_rows(const struct app_state *s) {
    return s->pane.doc.h > 2 ? s->pane.doc.h - 2 : 1;
}

static void scroll_to(struct app_state *s, long top) {
    const struct open_doc *d = s->docs.doc < s->n_docs ? &s->doc[s->docs.doc] : NULL;
    long last = d ? (long)d->n_lines - 1 : 0;
    s->docs.top = (size_t)(top < 0 ? 0 : top > last ? last : top);
}

void update_uncover(struct app_state *s) {
    if (!state_is_covered(s)) return;
    s->docs.is_open = false;
    if (s->focus == FOCUS_DOC) s->focus = FOCUS_CHAT;
}

void update_doc_wheel(struct update *u, int rows) {
    scroll_to(u->s, (long)u->s->docs.top + rows);
}

/* Scrolls to a line, with a third of the pane's rows above it; long lines take several rows. */
static void show_line(struct app_state *s, size_t i, size_t line) {
    int width = s->pane.doc_text.w;
    long room = pane_rows(s) / 3;
    size_t top = line > 0 ? line - 1 : 0;
    for (; top > 0; top--) {
        struct row_list rows = {0};
        if (width > DOC_NUMBER_CELLS) doc_rows(&s->doc[i], top - 1, width, &rows, NULL);
        room -= rows.n > 0 ? (long)rows.n : 1;
        row_list_deinit(&rows);
        if (room < 0) break;
    }
    scroll_to(s, (long)top);
}

void update_show_doc_at(struct update *u, int64_t doc, size_t byte) {
    struct app_state *s = u->s;
    size_t i = 0;
    while (i < s->n_docs && s->doc[i].d.id != doc)
        i++;
    if (i == s->n_docs) return;
    s->docs.is_open = true;
    s->docs.was_closed = false;
    s->docs.doc = i;
    s->focus = FOCUS_DOC;
    show_line(s, i, sheet_line_of(&s->sheet_doc[i], byte));
}

/* Text below the mouse; outside of the text the nearest row of it. */
static size_t below_mouse(const struct app_state *s, int x, int y) {
    struct rect r = s->pane.doc_text;
    int row = y - r.y - 2, last = r.h - 3; /* name and rule */
    row = row < 0 ? 0 : row > last ? last : row;
    return doc_byte_below(&s->doc[s->docs.doc], s->docs.top, r.w, row, x - r.x - DOC_NUMBER_CELLS);
}

void update_doc_press(struct update *u) {
    struct app_state *s = u->s;
    int y = u->ev->y - s->pane.doc_text.y;
    if (s->docs.doc >= s->n_docs || y < 2 || y >= s->pane.doc_text.h) return;
    size_t at = below_mouse(s, u->ev->x, u->ev->y);
    s->docs.drag = (struct doc_drag){.is_held = true, .doc = s->docs.doc, .from = at, .to = at};
}

int update_doc_drag(struct update *u) {
    enum { DRAG = 2 };
    struct app_state *s = u->s;
    struct doc_drag *d = &s->docs.drag;
    size_t from, to;
    if (d->doc != s->docs.doc || d->doc >= s->n_docs) { /* another document came meanwhile */
        *d = (struct doc_drag){0};
        return 0;
    }
    if (u->ev->mouse == DRAG) {
        d->to = below_mouse(s, u->ev->x, u->ev->y);
        d->is_on = true;
        return 0;
    }
    d->is_held = false;
    if (!doc_selected(s, d->doc, &from, &to)) return 0;
    return effect_add(u->fx, FX_COPY, 0, 0, s->doc[d->doc].d.text + from, to - from, u->err);
}

static size_t count_cites(struct app_state *s) {
    struct cite c;
    size_t n = 0;
    while (state_cite(s, n, &c, NULL))
        n++;
    return n;
}

void update_next_cite(struct update *u, int step) {
    struct app_state *s = u->s;
    size_t n = count_cites(s), message = 0;
    if (n == 0) {
        state_notice(s, false,
                     s->n_docs ? "no quotation was checked yet" : "no document, no citations");
        return;
    }
    size_t at = s->docs.cite;
    at = at >= n ? (step > 0 ? 0 : n - 1) : (at + n + (size_t)(step < 0 ? n - 1 : 1)) % n;
    struct cite c;
    if (!state_cite(s, at, &c, &message)) return;
    s->docs.cite = at;
    s->chosen = message;
    if (c.verdict == CITE_MISSING) {
        state_notice(s, false, "these words are not in the text");
        return;
    }
    s->docs.is_open = true;
    if (s->pane.split < 0 && s->focus == FOCUS_CHAT) s->focus = FOCUS_DOC; /* it covers that */
    s->docs.doc = c.doc;
    show_line(s, c.doc, sheet_line_of(&s->sheet_doc[c.doc], c.from));
}

static void find_line(struct update *u, int step) {
    struct app_state *s = u->s;
    const struct open_doc *d = s->docs.doc < s->n_docs ? &s->doc[s->docs.doc] : NULL;
    const char *words = buf_str(&s->find.words);
    if (!d || !words[0]) return;
    for (size_t k = 1; k <= d->n_lines; k++) {
        size_t i = (s->docs.top + (step > 0 ? k : d->n_lines - k)) % d->n_lines;
        size_t end = i + 1 < d->n_lines ? d->line[i + 1] : d->d.n_bytes;
        if (find_words(d->d.text, end, d->line[i], words) == SIZE_MAX) continue;
        scroll_to(s, (long)i);
        return;
    }
    state_notice(s, false, "\"%.60s\" is not in this document", words);
}

static int copy_quote(struct update *u) {
    struct cite c;
    size_t message;
    if (!state_cite(u->s, u->s->docs.cite, &c, &message)) {
        state_notice(u->s, false, "n chooses a citation, y copies its words");
        return 0;
    }
    const struct chat_node *node = u->s->sheet.path[message];
    return effect_add(u->fx, FX_COPY, 0, 0, node->text + c.quote_from, c.quote_to - c.quote_from,
                      u->err);
}

int update_doc_key(struct update *u, enum request r, uint32_t key) {
    struct app_state *s = u->s;
    long page = pane_rows(s), top = (long)s->docs.top;
    (void)key;
    switch ((int)r) {
    case REQ_UP: scroll_to(s, top - 1); break;
    case REQ_DOWN: scroll_to(s, top + 1); break;
    case REQ_PAGE_UP: scroll_to(s, top - page + 1); break;
    case REQ_PAGE_DOWN: scroll_to(s, top + page - 1); break;
    case REQ_HALF_UP: scroll_to(s, top - page / 2); break;
    case REQ_HALF_DOWN: scroll_to(s, top + page / 2); break;
    case REQ_TOP: scroll_to(s, 0); break;
    case REQ_BOTTOM:
        scroll_to(s, s->docs.doc < s->n_docs ? (long)s->doc[s->docs.doc].n_lines - page : 0);
        break;
    case REQ_FIND:
        s->find.is_typing = s->find.is_on = true;
        buf_cut(&s->find.words, 0);
        break;
    case REQ_FIND_NEXT:
    case REQ_FIND_PREV: {
        int step = r == REQ_FIND_NEXT ? 1 : -1;
        if (s->find.is_on && s->find.words.n > 0)
            find_line(u, step);
        else
            update_next_cite(u, step);
        break;
    }
    case REQ_OPEN: update_next_cite(u, 1); break;
    case REQ_COPY: return copy_quote(u);
    case REQ_NEXT_PANE:
    case REQ_COMPLETE: s->focus = FOCUS_INPUT; break;
    default: break;
    }
    return 0;
}

/* A document that is here was asked for again: after /drop, /undo or /summarize it waits anew. */
static void add_known(struct update *u) {
    struct app_state *s = u->s;
    for (size_t i = 0; i < s->n_docs; i++) {
        struct open_doc *d = &s->doc[i];
        if (d->d.id != u->ev->id) continue;
        bool is_here = d->is_pending || state_has_read(s, d->d.id);
        d->is_pending = d->is_pending || !is_here;
        state_notice(s, false,
                     is_here ? "[%zu] %s is here already" : "[%zu] %s goes with the next question",
                     i + 1, d->d.name);
    }
}

size_t update_part_lines(const struct app_state *s, size_t i, size_t *first) {
    const struct doc_text *d = &s->doc[i].d;
    size_t last = d->to > d->from ? sheet_line_of(&s->sheet_doc[i], d->to - 1) : s->doc[i].n_lines;
    *first = sheet_line_of(&s->sheet_doc[i], d->from);
    return last + 1 - *first;
}

static int add_doc(struct update *u) {
    struct app_state *s = u->s;
    if (!u->ev->doc.text) {
        add_known(u);
        return 0;
    }
    bool waits = u->ev->flag;
    size_t i = 0, first;
    while (i < s->n_docs && s->doc[i].d.id != u->ev->doc.id)
        i++;
    const struct doc_text *d = &u->ev->doc;
    int rc = d->index ? cite_index_pages(d->index, d->pages, d->n_pages, 0, u->err) : 0;
    if (rc) return rc;
    if (i < s->n_docs)
        state_set_part(s, i, &u->ev->doc, waits);
    else
        rc = state_add_doc(s, &u->ev->doc, waits, u->err);
    if (rc) return rc;
    size_t n = update_part_lines(s, i, &first);
    s->docs.doc = i;
    s->docs.top = first - 1;
    if (waits) {
        char lines[SAY_BYTES];
        state_notice(s, false, "[%zu] %s, %s line%s, goes with the next question", i + 1,
                     s->doc[i].d.name, say_count(lines, n), n == 1 ? "" : "s");
    }
    return 0;
}

static void say_counted(struct app_state *s, const struct open_doc *d) {
    char count[SAY_BYTES], bytes[SAY_BYTES], limit[SAY_BYTES], room[SAY_BYTES];
    if (!d->is_pending) return;
    const char *about = s->model.is_remote ? "about " : "";
    const struct budget b = budget_for(s->model.limit, 0, s->n_used + d->d.n_tokens);
    size_t has = budget_free(&b) > s->n_used ? budget_free(&b) - s->n_used : 0;
    bool fits = s->model.limit == 0 || d->d.n_tokens <= has;
    say_limit(limit, s->model.limit);
    say_count(count, d->d.n_tokens);
    if (!fits)
        state_notice(s, false, "%s: %s%s tokens do not fit (%s free of %s); /summarize takes parts",
                     d->d.name, about, count, say_short(room, has), limit);
    else if (s->model.is_remote)
        state_notice(s, false, "%s: %s, about %s tokens, goes to %s", d->d.name,
                     say_bytes(bytes, (d->d.to ? d->d.to : d->d.n_bytes) - d->d.from), count,
                     s->model.place);
    else
        state_notice(s, false, "%s: %s tokens, fits (%s)", d->d.name, count, limit);
}

/* What was asked meanwhile goes with the document, or back to where it was typed. */
static int take_file(struct update *u) {
    struct app_state *s = u->s;
    size_t n = strlen(u->ev->text);
    n = text_floor(u->ev->text, n, n < sizeof s->file.name ? n : sizeof s->file.name - 1);
    memcpy(s->file.name, u->ev->text, n);
    s->file.name[n] = 0;
    s->file.since = s->now;
    if (n > 0) s->notice.text[0] = 0; /* its line is what matters now */
    if (u->ev->flag && s->queued.n > 0) return update_take_back_queue(u);
    return update_send_queue(u);
}

int update_doc_event(struct update *u) {
    struct app_state *s = u->s;
    if (u->ev->kind == EV_DOC) return add_doc(u);
    if (u->ev->kind == EV_FILE) return take_file(u);
    for (size_t i = 0; i < s->n_docs; i++)
        if (s->doc[i].d.id == u->ev->id) {
            s->doc[i].d.n_tokens = u->ev->number;
            say_counted(s, &s->doc[i]);
        }
    if (s->is_used_about && !state_is_busy(s)) update_count_used(s); /* it may be of the path */
    return 0;
}
