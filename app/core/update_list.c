/* update_list.c - lists: sessions, commands (palette), help, the tree of branches. See update.h. */
#include "app/core/update.h"

#include "app/core/command.h"
#include "app/core/find.h"
#include "app/core/text.h"

#include <stdio.h>
#include <string.h>

/* ---- sessions -----------------------------------------------------------------------------------
 */

static bool matches(const char *text, const char *words) {
    return words[0] == 0 || find_words(text, strlen(text), 0, words) != SIZE_MAX;
}

static int filter_rows(struct update *u) {
    struct picker *p = &u->s->picker;
    const char *words = p->renaming ? "" : buf_str(&p->filter);
    int rc = ox_grow(&p->shown, &p->cap_shown, p->n, sizeof *p->shown, u->err);
    if (rc) return rc;
    p->n_shown = 0;
    for (size_t i = 0; i < p->n; i++)
        if (matches(p->row[i].title, words) || strncmp(p->row[i].uid, words, strlen(words)) == 0)
            p->shown[p->n_shown++] = i;
    if (p->chosen >= p->n_shown && !state_search_words(u->s))
        p->chosen = p->n_shown > 0 ? p->n_shown - 1 : 0;
    return 0;
}

static const struct session_row *chosen_row(const struct app_state *s) {
    const struct picker *p = &s->picker;
    return p->chosen < p->n_shown && !state_search_words(s) ? &p->row[p->shown[p->chosen]] : NULL;
}

static int want_hits(struct update *u) {
    struct picker *p = &u->s->picker;
    const char *words = state_search_words(u->s);
    p->n_hits = 0;
    p->is_searching = words && words[strspn(words, " ")];
    return p->is_searching ? update_fx(u, FX_SEARCH, 0, 0, words) : 0;
}

/* Rows of the list: conversations, or what a search found. */
static size_t n_listed(const struct app_state *s) {
    return state_search_words(s) ? s->picker.n_hits : s->picker.n_shown;
}

static int want_preview(struct update *u) {
    const struct session_row *row = chosen_row(u->s);
    if (!row || row->id == u->s->picker.preview_id) return 0;
    return update_fx(u, FX_PREVIEW, row->id, 0, NULL);
}

static size_t list_rows(const struct app_state *s) {
    return s->pane.list.h > 0 ? (size_t)s->pane.list.h : 1;
}

static void keep_in_view(size_t chosen, size_t *top, size_t rows) {
    if (chosen < *top) *top = chosen;
    if (chosen >= *top + rows) *top = chosen - rows + 1;
}

static size_t stepped(size_t at, long step, size_t n) {
    long to = (long)at + step;
    if (n == 0 || to < 0) return 0;
    return to >= (long)n ? n - 1 : (size_t)to;
}

static void ask(struct app_state *s, enum effect_kind then, int64_t id, const char *what,
                const char *title) {
    s->overlay = OVERLAY_ASK;
    s->ask.then = then;
    s->ask.id = id;
    snprintf(s->ask.words, sizeof s->ask.words, "%s \"%.80s\"?  y yes   any other key no", what,
             title);
    s->ask.words[text_valid(s->ask.words, strlen(s->ask.words))] = 0;
}

static int open_hit(struct update *u) {
    struct app_state *s = u->s;
    const struct picker *p = &s->picker;
    if (p->chosen >= p->n_hits) return 0;
    if (state_is_busy(s) && p->hit[p->chosen].chat != s->chat_id) {
        state_notice(s, false, "an answer is being written; Esc stops it first");
        return 0;
    }
    return update_fx(u, FX_JUMP, (int64_t)p->chosen, 0, NULL);
}

static int open_row(struct update *u) {
    struct app_state *s = u->s;
    if (state_search_words(s)) return open_hit(u);
    const struct session_row *row = chosen_row(s);
    if (!row) return 0;
    if (s->picker.renaming) {
        int rc = update_fx(u, FX_RENAME, row->id, 0, buf_str(&s->picker.filter));
        s->picker.renaming = false;
        buf_cut(&s->picker.filter, 0);
        return rc ? rc : filter_rows(u);
    }
    if (state_is_busy(s) && row->id != s->chat_id) {
        state_notice(s, false, "an answer is being written; Esc stops it first");
        return 0;
    }
    if (row->id == s->chat_id) {
        s->screen = SCREEN_CHAT;
        return 0;
    }
    return update_fx(u, FX_OPEN, row->id, 0, NULL);
}

static int begin_rename(struct update *u) {
    const struct session_row *row = chosen_row(u->s);
    if (!row) return 0;
    struct picker *p = &u->s->picker;
    size_t keep = p->chosen < p->n_shown ? p->shown[p->chosen] : 0;
    p->renaming = true;
    buf_cut(&p->filter, 0);
    int rc = buf_puts(&p->filter, row->title, u->err);
    if (!rc) rc = filter_rows(u);
    p->chosen = keep;
    return rc;
}

static int filter_key(struct update *u, enum request r, uint32_t key) {
    struct buf *f = &u->s->picker.filter;
    int rc = 0;
    if (r == REQ_BACKSPACE)
        buf_cut(f, f->n > 0 ? text_floor(f->p, f->n, f->n - 1) : 0);
    else if (r == REQ_KILL_START)
        buf_cut(f, 0);
    else
        rc = text_put(f, (int32_t)key, u->err);
    if (!u->s->picker.renaming) u->s->picker.chosen = u->s->picker.top = 0;
    if (!rc) rc = filter_rows(u);
    if (!rc) rc = want_hits(u);
    return rc ? rc : want_preview(u);
}

/* Titles, or all texts: the words stay. */
static int toggle_search(struct update *u) {
    struct picker *p = &u->s->picker;
    struct buf words = {0};
    if (p->renaming) return 0;
    const char *now = state_search_words(u->s);
    int rc = now ? buf_puts(&words, now, u->err)
                 : buf_printf(&words, u->err, "/%s", buf_str(&p->filter));
    buf_cut(&p->filter, 0);
    if (!rc) rc = buf_puts(&p->filter, buf_str(&words), u->err);
    buf_deinit(&words);
    p->chosen = p->top = 0;
    if (!rc) rc = filter_rows(u);
    if (!rc) rc = want_hits(u);
    return rc ? rc : want_preview(u);
}

static int sessions_key(struct update *u, enum request r, uint32_t key) {
    struct app_state *s = u->s;
    struct picker *p = &s->picker;
    const struct session_row *row = chosen_row(s);
    long page = (long)list_rows(s);
    size_t n = n_listed(s);
    p->keep_id = 0;
    switch ((int)r) {
    case REQ_NONE:
    case REQ_BACKSPACE:
    case REQ_KILL_START: return filter_key(u, r, key);
    case REQ_LIST_SEARCH: return toggle_search(u);
    case REQ_OPEN: return open_row(u);
    case REQ_UP: p->chosen = stepped(p->chosen, -1, n); break;
    case REQ_DOWN: p->chosen = stepped(p->chosen, 1, n); break;
    case REQ_PAGE_UP: p->chosen = stepped(p->chosen, -page, n); break;
    case REQ_PAGE_DOWN: p->chosen = stepped(p->chosen, page, n); break;
    case REQ_TOP: p->chosen = 0; break;
    case REQ_BOTTOM: p->chosen = stepped(0, (long)n, n); break;
    case REQ_LIST_FORK: return row ? update_fx(u, FX_FORK, row->id, 0, NULL) : 0;
    case REQ_LIST_RENAME: return begin_rename(u);
    case REQ_LIST_EXPORT: return row ? update_fx(u, FX_EXPORT, row->id, 0, NULL) : 0;
    case REQ_LIST_DELETE:
        if (row) ask(s, FX_DELETE, row->id, "delete", row->title);
        return 0;
    case REQ_LIST_PIN: return row ? update_fx(u, FX_PIN, row->id, row->is_pinned ? 0 : 1, NULL) : 0;
    default: return 0;
    }
    keep_in_view(p->chosen, &p->top, list_rows(s));
    return want_preview(u);
}

static bool has_row(const struct picker *p, int64_t id) {
    for (size_t i = 0; i < p->n; i++)
        if (p->row[i].id == id) return true;
    return false;
}

/* The list comes in slices; what moved up meanwhile may come twice. */
static int take_sessions(struct update *u) {
    struct picker *p = &u->s->picker;
    const struct session_row *row = chosen_row(u->s);
    if (!u->ev->flag) {
        if (row) p->keep_id = row->id;
        p->n = 0;
        p->preview_id = 0;
    }
    int rc = ox_grow(&p->row, &p->cap, p->n + u->ev->n, sizeof *p->row, u->err);
    if (rc) return rc;
    for (size_t i = 0; i < u->ev->n; i++)
        if (!u->ev->flag || !has_row(p, u->ev->rows[i].id)) p->row[p->n++] = u->ev->rows[i];
    if (state_search_words(u->s)) return filter_rows(u);
    rc = filter_rows(u);
    for (size_t i = 0; i < p->n_shown && p->keep_id; i++)
        if (p->row[p->shown[i]].id == p->keep_id) p->chosen = i, p->keep_id = 0;
    keep_in_view(p->chosen, &p->top, list_rows(u->s));
    return rc ? rc : want_preview(u);
}

static int take_hits(struct update *u) {
    struct picker *p = &u->s->picker;
    const char *words = state_search_words(u->s);
    if (!words || strcmp(words, u->ev->text) != 0) return 0; /* typed on meanwhile */
    int rc = ox_grow(&p->hit, &p->cap_hits, u->ev->n, sizeof *p->hit, u->err);
    if (rc) return rc;
    if (u->ev->n > 0) memcpy(p->hit, u->ev->hits, u->ev->n * sizeof *p->hit);
    p->n_hits = u->ev->n;
    p->is_searching = false;
    p->chosen = p->top = 0;
    return 0;
}

int update_list_event(struct update *u) {
    struct picker *p = &u->s->picker;
    switch ((int)u->ev->kind) {
    case EV_SESSIONS: return take_sessions(u);
    case EV_HITS: return take_hits(u);
    case EV_PREVIEW:
        p->preview_id = u->ev->id;
        buf_cut(&p->preview, 0);
        return text_show(&p->preview, u->ev->text, u->ev->n, TEXT_LINE, u->err);
    case EV_PASTE: {
        int rc = 0;
        for (size_t at = 0; at < u->ev->n && at < 200 && !rc;) {
            int32_t cp;
            at += text_next(u->ev->text + at, u->ev->n - at, &cp);
            if (cp >= 0 && !text_is_control(cp)) rc = filter_key(u, REQ_NONE, (uint32_t)cp);
        }
        return rc;
    }
    default: return 0;
    }
}

/* ---- palette, help, tree ------------------------------------------------------------------------
 */

int update_palette(struct update *u) {
    u->s->overlay = OVERLAY_PALETTE;
    u->s->list_chosen = u->s->list_top = 0;
    buf_cut(&u->s->list_filter, 0);
    return 0;
}

static const struct command *palette_row(const struct app_state *s, size_t i) {
    size_t n;
    const struct command *table = command_table(&n);
    const char *words = buf_str(&s->list_filter);
    for (size_t k = 0; k < n; k++)
        if ((matches(table[k].name, words) || matches(table[k].help, words)) && i-- == 0)
            return &table[k];
    return NULL;
}

static int take_command(struct update *u) {
    struct app_state *s = u->s;
    const struct command *c = palette_row(s, s->list_chosen);
    s->overlay = OVERLAY_NONE;
    if (!c) return 0;
    struct buf line = {0};
    bool is_text,
        asks = c->args[0] != 0; /* with an argument it is put into the input to be completed */
    int rc = buf_printf(&line, u->err, "/%s%s", c->name, asks ? " " : "");
    if (!rc && !asks)
        update_command(u, line.p, &is_text);
    else if (!rc) {
        s->screen = SCREEN_CHAT;
        s->focus = FOCUS_INPUT;
        rc = edit_set(&s->input, line.p, line.n, u->err);
    }
    buf_deinit(&line);
    return rc;
}

static int palette_key(struct update *u, enum request r, uint32_t key) {
    struct app_state *s = u->s;
    struct buf *f = &s->list_filter;
    size_t n = 0;
    int rc = 0;
    while (palette_row(s, n))
        n++;
    switch ((int)r) {
    case REQ_OPEN: return take_command(u);
    case REQ_UP: s->list_chosen = stepped(s->list_chosen, -1, n); break;
    case REQ_DOWN: s->list_chosen = stepped(s->list_chosen, 1, n); break;
    case REQ_PAGE_UP: s->list_chosen = stepped(s->list_chosen, -(long)list_rows(s), n); break;
    case REQ_PAGE_DOWN: s->list_chosen = stepped(s->list_chosen, (long)list_rows(s), n); break;
    case REQ_TOP: s->list_chosen = 0; break;
    case REQ_BOTTOM: s->list_chosen = stepped(0, (long)n, n); break;
    case REQ_NONE:
    case REQ_BACKSPACE:
    case REQ_KILL_START:
        if (r == REQ_NONE)
            rc = text_put(f, (int32_t)key, u->err);
        else
            buf_cut(f, r == REQ_KILL_START || f->n == 0 ? 0 : text_floor(f->p, f->n, f->n - 1));
        s->list_chosen = s->list_top = 0;
        break;
    default: break;
    }
    keep_in_view(s->list_chosen, &s->list_top, list_rows(s));
    return rc;
}

size_t update_read_top(enum request r, size_t from, size_t n, size_t rows) {
    long page = (long)rows, top = (long)from, last = (long)n - page;
    switch ((int)r) {
    case REQ_UP: top -= 1; break;
    case REQ_DOWN: top += 1; break;
    case REQ_PAGE_UP: top -= page - 1; break;
    case REQ_PAGE_DOWN: top += page - 1; break;
    case REQ_HALF_UP: top -= page / 2; break;
    case REQ_HALF_DOWN: top += page / 2; break;
    case REQ_TOP: top = 0; break;
    case REQ_BOTTOM: top = (long)n; break;
    default: break;
    }
    return (size_t)(top > last ? (last > 0 ? last : 0) : top > 0 ? top : 0);
}

static int tree_key(struct update *u, enum request r) {
    struct app_state *s = u->s;
    size_t n = s->n_tree;
    long page = (long)list_rows(s);
    switch ((int)r) {
    case REQ_UP: s->list_chosen = stepped(s->list_chosen, -1, n); break;
    case REQ_DOWN: s->list_chosen = stepped(s->list_chosen, 1, n); break;
    case REQ_PAGE_UP: s->list_chosen = stepped(s->list_chosen, -page, n); break;
    case REQ_PAGE_DOWN: s->list_chosen = stepped(s->list_chosen, page, n); break;
    case REQ_TOP: s->list_chosen = 0; break;
    case REQ_BOTTOM: s->list_chosen = stepped(0, (long)n, n); break;
    case REQ_OPEN: {
        int64_t id = s->list_chosen < s->n_tree ? s->tree[s->list_chosen].id : 0;
        s->overlay = OVERLAY_NONE;
        return id ? update_show_leaf(u, chat_leaf_below(&s->chat, id)) : 0;
    }
    case REQ_SIDES: return n > 0 ? update_compare(u, s->tree[s->list_chosen].id) : 0;
    default: break;
    }
    keep_in_view(s->list_chosen, &s->list_top, list_rows(s));
    return 0;
}

int update_list_key(struct update *u, enum request r, uint32_t key) {
    struct app_state *s = u->s;
    switch (s->overlay) {
    case OVERLAY_PALETTE: return palette_key(u, r, key);
    case OVERLAY_TREE: return tree_key(u, r);
    case OVERLAY_SIDES: return update_sides_key(u, r);
    case OVERLAY_HELP: {
        size_t n_keys, n_commands;
        keymap_rows(&n_keys);
        command_table(&n_commands);
        /* with headings; the view stops at its own last row */
        s->list_top = update_read_top(r, s->list_top, n_keys + n_commands + 4, list_rows(s));
        return 0;
    }
    case OVERLAY_NONE:
    case OVERLAY_CHOICE:
    case OVERLAY_ASK: break;
    }
    return sessions_key(u, r, key);
}

int update_list_mouse(struct update *u) {
    enum { PRESS = 1, WHEEL_UP = 4, WHEEL_DOWN = 5 };
    struct app_state *s = u->s;
    int mouse = u->ev->mouse, row = u->ev->y - s->pane.list.y;
    if (mouse == WHEEL_UP) return update_list_key(u, REQ_UP, 0);
    if (mouse == WHEEL_DOWN) return update_list_key(u, REQ_DOWN, 0);
    if (mouse != PRESS || row < 0 || row >= s->pane.list.h) return 0;
    if (s->overlay == OVERLAY_SIDES) return 0;
    if (s->overlay != OVERLAY_NONE) {
        size_t at = s->list_top + (size_t)row;
        if (at == s->list_chosen) return update_list_key(u, REQ_OPEN, 0);
        s->list_chosen = at;
        return 0;
    }
    size_t at = s->picker.top + (size_t)row;
    if (at >= n_listed(s)) return 0;
    if (at == s->picker.chosen) return open_row(u); /* a second click opens */
    s->picker.chosen = at;
    return want_preview(u);
}
