/* update_chat.c - the transcript, the line being typed, and an answer coming in. See update.h. */
#include "app/core/update.h"

#include "app/core/command.h"
#include "app/core/find.h"
#include "app/core/say.h"
#include "app/core/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- view ---------------------------------------------------------------------------------------
 */

static size_t chat_rows(const struct app_state *s) {
    return s->pane.chat.h > 0 ? (size_t)s->pane.chat.h : 1;
}

void update_show_end(struct update *u) {
    struct app_state *s = u->s;
    s->top = sheet_end(&s->sheet, chat_rows(s));
    s->follow = true;
}

void update_scroll(struct update *u, long rows) {
    struct app_state *s = u->s;
    if (s->sheet.n == 0) return;
    if (s->follow) s->top = sheet_end(&s->sheet, chat_rows(s));
    sheet_move(&s->sheet, &s->top, rows);
    s->follow = sheet_is_at_end(&s->sheet, s->top, chat_rows(s));
    if (s->follow) update_show_end(u);
}

int update_path(struct update *u) {
    struct app_state *s = u->s;
    int rc = sheet_set_path(&s->sheet, &s->chat, u->err);
    if (!rc) rc = state_build_tree(s, u->err);
    s->n_branches = s->branch = 0;
    for (size_t i = 0; i < s->n_tree; i++) {
        bool is_leaf = i + 1 == s->n_tree || s->tree[i + 1].parent != s->tree[i].id;
        s->n_branches += is_leaf;
        if (s->tree[i].id == s->chat.leaf) s->branch = s->n_branches + !is_leaf;
    }
    if (s->top.i >= s->sheet.n) s->top = (struct sheet_place){0};
    if (s->chosen != SIZE_MAX && s->chosen >= s->sheet.n) s->chosen = SIZE_MAX;
    return rc;
}

int update_show_leaf(struct update *u, int64_t leaf) {
    struct app_state *s = u->s;
    if (state_is_busy(s)) {
        state_notice(s, false, "Esc stops the answer first");
        return 0;
    }
    s->chat.leaf = leaf;
    int rc = update_path(u);
    update_count_used(s);
    update_show_end(u);
    return rc || leaf <= 0 ? rc : update_fx(u, FX_BRANCH, s->chat_id, leaf, NULL);
}

static void show_message(struct update *u, size_t i) {
    struct app_state *s = u->s;
    s->chosen = i;
    s->top = (struct sheet_place){i, 0};
    s->follow = sheet_is_at_end(&s->sheet, s->top, chat_rows(s));
    if (s->follow) update_show_end(u);
}

/* ---- search in the transcript -------------------------------------------------------------------
 */

/* The row of message i that shows the words, from `from` on in direction step; SIZE_MAX: none. */
static size_t row_with(struct sheet *t, size_t i, long from, int step, const char *words) {
    const struct chat_node *node = t->path[i];
    if (!node->text || find_words(node->text, node->n_bytes, 0, words) == SIZE_MAX) return SIZE_MAX;
    const struct sheet_item *item = sheet_get(t, i);
    for (long r = from; item && r >= 0 && r < (long)item->rows.n; r += step) {
        const struct row *row = &item->rows.v[r];
        if (find_words(item->md.text.p, row->to, row->from, words) != SIZE_MAX) return (size_t)r;
    }
    return SIZE_MAX;
}

static void search(struct update *u, int step) {
    struct app_state *s = u->s;
    const char *words = buf_str(&s->find.words);
    if (s->sheet.n == 0 || !words[0]) return;
    struct sheet_place at = s->follow ? sheet_end(&s->sheet, chat_rows(s)) : s->top;
    long row = (long)at.row - 1 + step; /* rows of text begin behind the label */
    if (s->follow && step < 0) at.i = s->sheet.n - 1, row = 1L << 30;
    for (size_t k = 0; k <= s->sheet.n; k++) {
        size_t i = (at.i + (step > 0 ? k : s->sheet.n - k % s->sheet.n)) % s->sheet.n;
        const struct sheet_item *item = sheet_get(&s->sheet, i);
        long n = item ? (long)item->rows.n : 0;
        long from = k > 0 ? (step > 0 ? 0 : n - 1) : row >= n && step < 0 ? n - 1 : row;
        size_t hit = row_with(&s->sheet, i, from, step, words);
        if (hit == SIZE_MAX) continue;
        s->top = (struct sheet_place){i, sheet_text_row(hit)};
        s->chosen = i;
        s->follow = sheet_is_at_end(&s->sheet, s->top, chat_rows(s));
        if (s->follow) update_show_end(u);
        return;
    }
    state_notice(s, false, "\"%.60s\" is not in this session", words);
}

/* A place that a search found: the message, on the path that leads to it, or the document. */
static int go_to(struct update *u) {
    struct app_state *s = u->s;
    int rc = 0;
    s->screen = SCREEN_CHAT;
    s->overlay = OVERLAY_NONE;
    buf_cut(&s->find.words, 0);
    if (u->ev->text) rc = buf_puts(&s->find.words, u->ev->text, u->err);
    s->find.is_on = s->find.words.n > 0;
    if (u->ev->id2) {
        update_show_doc_at(u, u->ev->id2, (size_t)u->ev->number);
        return rc;
    }
    size_t i = 0;
    while (i < s->sheet.n && s->sheet.path[i]->id != u->ev->id)
        i++;
    if (!rc && i == s->sheet.n && chat_find(&s->chat, u->ev->id)) {
        rc = update_show_leaf(u, chat_leaf_below(&s->chat, u->ev->id));
        for (i = 0; i < s->sheet.n && s->sheet.path[i]->id != u->ev->id;)
            i++;
    }
    if (rc || i == s->sheet.n) return rc;
    s->focus = FOCUS_CHAT;
    show_message(u, i);
    size_t hit = s->find.is_on ? row_with(&s->sheet, i, 0, 1, buf_str(&s->find.words)) : SIZE_MAX;
    if (hit == SIZE_MAX || sheet_text_row(hit) < chat_rows(s) / 2) return 0;
    s->top = (struct sheet_place){i, sheet_text_row(hit)};
    s->follow = sheet_is_at_end(&s->sheet, s->top, chat_rows(s));
    if (s->follow) update_show_end(u);
    return 0;
}

int update_send_input(struct update *u) {
    struct app_state *s = u->s;
    struct edit *e = &s->input;
    if (e->cursor > 0 && e->text.p[e->cursor - 1] == '\\' &&
        e->cursor == e->text.n) { /* `\` Enter */
        int rc = edit_do(e, EDIT_BACKSPACE, u->err);
        return rc ? rc : edit_do(e, EDIT_NEWLINE, u->err);
    }
    if (edit_fold_here(e)) {
        ox_err why;
        int rc = edit_unfold(e, &why);
        if (rc) update_error(u, &why);
        return 0;
    }
    struct buf text = {0};
    bool is_text = true;
    int rc = edit_copy(e, &text, u->err);
    size_t blank = rc ? 0 : strspn(buf_str(&text), " \n");
    if (!rc && blank < text.n) {
        rc = update_command(u, buf_str(&text), &is_text);
        struct command_line line = {0};
        if (!rc && is_text) {
            rc = update_fx(u, FX_DRAFT, 0, 0, buf_str(&text));
            command_parse(buf_str(&text), &line, NULL);
            if (!rc) rc = update_send(u, line.rest, strlen(line.rest));
        }
        if (!rc) rc = edit_history_add(e, buf_str(&text), u->err);
        if (!rc) rc = update_fx(u, FX_HISTORY, 0, 0, buf_str(&text));
        if (!rc) {
            buf_cut(&text, 0);
            if (!s->editing)
                rc = edit_take(e, &text, u->err); /* /edit has put the question there */
        }
        /* What was sent stays the draft until it is committed; a command leaves none. */
        if (!rc && !is_text) rc = update_fx(u, FX_DRAFT, 0, 0, "");
    }
    buf_deinit(&text);
    return rc;
}

/* ---- the line being typed -----------------------------------------------------------------------
 */

static size_t input_width(const struct app_state *s) {
    return s->pane.input.w > 2 ? (size_t)s->pane.input.w - 2 : 1;
}

int update_take_back_queue(struct update *u) {
    struct app_state *s = u->s;
    struct buf typed = {0};
    int rc = edit_copy(&s->input, &typed, u->err);
    if (!rc && typed.n > 0) rc = buf_printf(&s->queued, u->err, "\n%s", buf_str(&typed));
    if (!rc) rc = edit_give_back(&s->input, s->queued.p, s->queued.n, u->err);
    if (!rc) buf_cut(&s->queued, 0);
    buf_deinit(&typed);
    return rc;
}

static int move_up(struct update *u) {
    struct app_state *s = u->s;
    if (edit_is_empty(&s->input) && s->queued.n > 0) return update_take_back_queue(u);
    if (!edit_move_row(&s->input, input_width(s), -1)) edit_history_move(&s->input, -1);
    return 0;
}

/* The path behind /file, to be completed; NULL: the line is something else. */
static const char *typed_path(const char *line) {
    struct command_line parsed = {0};
    bool is_file =
        command_parse(line, &parsed, NULL) == 0 && parsed.command && parsed.command->id == CMD_FILE;
    return is_file ? parsed.rest : NULL;
}

/* Several names go on from here: they are said; behind a bare slash all of them are listed. */
static int say_commands(struct update *u, const char *prefix, size_t n) {
    struct buf names = {0};
    const struct command *c;
    int rc = 0;
    if (n == 0) { /* what is taken there comes in its place */
        rc = edit_set(&u->s->input, "", 0, u->err);
        return rc ? rc : update_palette(u);
    }
    for (size_t i = 0; !rc && (c = command_complete(prefix, n, i)) != NULL; i++)
        rc = buf_printf(&names, u->err, "%s/%s", i ? "  " : "", c->name);
    if (!rc) state_notice(u->s, false, "%s", buf_str(&names));
    buf_deinit(&names);
    return rc;
}

/* The common part of the names that fit. */
static int complete(struct update *u) {
    struct app_state *s = u->s;
    struct edit *e = &s->input;
    const char *text = buf_str(&e->text);
    bool is_command =
        text[0] == '/' && text[1] != '/' && !memchr(text, ' ', e->text.n) && e->cursor == e->text.n;
    if (text[0] == '/' && typed_path(text)) return update_fx(u, FX_PATH, 0, 0, typed_path(text));
    if (!is_command) {
        s->focus = s->sheet.n > 0 && !state_is_covered(s) ? FOCUS_CHAT
                   : s->pane.doc.w > 0                    ? FOCUS_DOC
                                                          : FOCUS_INPUT;
        return 0;
    }
    const struct command *first = command_complete(text + 1, e->text.n - 1, 0);
    if (!first) return 0;
    size_t common = strlen(first->name), n = 0;
    for (const struct command *c; (c = command_complete(text + 1, e->text.n - 1, n)) != NULL; n++)
        while (strncmp(c->name, first->name, common) != 0)
            common--;
    if (n > 1 && common == e->text.n - 1) return say_commands(u, text + 1, common);
    struct buf line = {0};
    int rc = buf_printf(&line, u->err, "/%.*s%s", (int)common, first->name, n == 1 ? " " : "");
    if (!rc) rc = edit_set(e, line.p, line.n, u->err);
    buf_deinit(&line);
    return rc;
}

static enum edit_op edit_op_of(enum request r) {
    static const struct {
        enum request r;
        enum edit_op op;
    } map[] = {
        {REQ_LEFT, EDIT_LEFT},           {REQ_RIGHT, EDIT_RIGHT},
        {REQ_WORD_LEFT, EDIT_WORD_LEFT}, {REQ_WORD_RIGHT, EDIT_WORD_RIGHT},
        {REQ_LINE_START, EDIT_HOME},     {REQ_LINE_END, EDIT_END},
        {REQ_TEXT_START, EDIT_START},    {REQ_TEXT_END, EDIT_FINISH},
        {REQ_BACKSPACE, EDIT_BACKSPACE}, {REQ_DELETE, EDIT_DELETE},
        {REQ_KILL_END, EDIT_KILL_END},   {REQ_KILL_START, EDIT_KILL_START},
        {REQ_KILL_WORD, EDIT_KILL_WORD}, {REQ_KILL_NEXT_WORD, EDIT_KILL_NEXT_WORD},
        {REQ_YANK, EDIT_YANK},           {REQ_UNDO, EDIT_UNDO},
        {REQ_NEWLINE, EDIT_NEWLINE},
    };
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (map[i].r == r) return map[i].op;
    return EDIT_NONE;
}

static int type_key(struct update *u, uint32_t key) {
    struct app_state *s = u->s;
    struct buf text = {0};
    int rc = text_put(&text, (int32_t)key, u->err);
    if (rc) return rc;
    if (s->find.is_typing)
        rc = buf_add(&s->find.words, text.p, text.n, u->err);
    else if (s->input.searching)
        rc = edit_search_type(&s->input, text.p, text.n, u->err);
    else if (key == 'd' && edit_fold_here(&s->input)) {
        struct edit_fold *fold = edit_fold_here(&s->input);
        rc = effect_add(u->fx, FX_PASTE_DOC, 0, 0, fold->bytes, fold->n, u->err);
        if (!rc) rc = edit_drop_fold(&s->input, u->err);
    } else
        rc = edit_insert(&s->input, text.p, text.n, u->err);
    buf_deinit(&text);
    return rc;
}

/* Keys while words are typed for a search: in the view, or in earlier lines. */
static bool search_key(struct update *u, enum request r, int *rc) {
    struct app_state *s = u->s;
    if (!s->find.is_typing && !s->input.searching) return false;
    if (r == REQ_BACKSPACE && s->find.is_typing) {
        struct buf *w = &s->find.words;
        buf_cut(w, w->n > 0 ? text_floor(w->p, w->n, w->n - 1) : 0);
    } else if (r == REQ_BACKSPACE) {
        *rc = edit_search_back(&s->input, u->err);
    } else if (r == REQ_HISTORY_SEARCH && s->input.searching) {
        *rc = edit_search(&s->input, u->err);
    } else if (s->find.is_typing) {
        s->find.is_typing = false;
        s->find.is_on = s->find.words.n > 0;
        if (s->focus == FOCUS_DOC)
            *rc = update_doc_key(u, REQ_FIND_NEXT, 0);
        else
            search(u, -1);
    } else {
        edit_search_end(&s->input, true);
    }
    return true;
}

static int input_key(struct update *u, enum request r, uint32_t key) {
    struct app_state *s = u->s;
    int rc = 0;
    if (r == REQ_NONE) return type_key(u, key);
    if (search_key(u, r, &rc)) return rc;
    enum edit_op op = edit_op_of(r);
    if (op != EDIT_NONE) return edit_do(&s->input, op, u->err);
    switch ((int)r) {
    case REQ_SEND: return update_send_input(u);
    case REQ_UP: return move_up(u);
    case REQ_DOWN:
        if (!edit_move_row(&s->input, input_width(s), 1)) edit_history_move(&s->input, 1);
        return 0;
    case REQ_HISTORY_SEARCH: return edit_search(&s->input, u->err);
    case REQ_COMPLETE: return complete(u);
    case REQ_EDITOR: {
        struct buf text = {0};
        rc = edit_copy(&s->input, &text, u->err);
        if (!rc) rc = effect_add(u->fx, FX_EDITOR, 0, 0, buf_str(&text), text.n, u->err);
        buf_deinit(&text);
        return rc;
    }
    case REQ_QUIT_IF_EMPTY:
        if (!edit_is_empty(&s->input)) return edit_do(&s->input, EDIT_DELETE, u->err);
        s->quits = true;
        return update_fx(u, FX_QUIT, 0, 0, NULL);
    case REQ_PAGE_UP: update_scroll(u, -(long)chat_rows(s) + 1); return 0;
    case REQ_PAGE_DOWN: update_scroll(u, (long)chat_rows(s) - 1); return 0;
    default: return 0;
    }
}

/* ---- keys in the transcript ---------------------------------------------------------------------
 */

int update_copy_message(struct update *u, size_t i) {
    struct app_state *s = u->s;
    if (i >= s->sheet.n) return 0;
    const struct chat_node *node = s->sheet.path[i];
    return effect_add(u->fx, FX_COPY, 0, 0, node->text ? node->text : "", node->n_bytes, u->err);
}

/* The last code block of the chosen message that begins above the end of the view. */
static int copy_code(struct update *u) {
    struct app_state *s = u->s;
    size_t i = s->chosen < s->sheet.n ? s->chosen : s->sheet.n - 1;
    const struct sheet_item *item = s->sheet.n > 0 ? sheet_get(&s->sheet, i) : NULL;
    struct buf code = {0};
    int rc = item ? md_code(&item->md, item->md.n_code, &code, u->err) : 0;
    if (!rc && code.n > 0)
        rc = effect_add(u->fx, FX_COPY, 0, 0, code.p, code.n, u->err);
    else
        state_notice(s, false, "no code block in this message");
    buf_deinit(&code);
    return rc;
}

static const struct chat_node *question_of(const struct app_state *s) {
    size_t i = s->chosen < s->sheet.n ? s->chosen : s->sheet.n;
    if (i == s->sheet.n) i = s->sheet.n > 0 ? s->sheet.n - 1 : 0;
    for (size_t k = i + 1; s->sheet.n > 0 && k-- > 0;)
        if (s->sheet.path[k]->role == OX_ROLE_USER) return s->sheet.path[k];
    return NULL;
}

static int edit_question(struct update *u) {
    struct app_state *s = u->s;
    const struct chat_node *q = question_of(s);
    if (!q) return 0;
    s->editing = q->id;
    s->focus = FOCUS_INPUT;
    static const char words[] = "edits this question in a new branch";
    state_notice(s, false, "%s; Esc leaves it as it was", words);
    if (update_fx(u, FX_PRICE, q->id, 0, words)) return OX_ENOMEM;
    return edit_set(&s->input, q->text ? q->text : "", q->n_bytes, u->err);
}

static int show_sibling(struct update *u, int step) {
    struct app_state *s = u->s;
    const struct chat_node *node = state_chosen(s);
    size_t place = 0, n = 0;
    int64_t other = node ? chat_sibling(&s->chat, node->id, step, &place, &n) : 0;
    if (n < 2 && node && node->parent)
        other = chat_sibling(&s->chat, node->parent, step, &place, &n);
    if (n < 2) {
        state_notice(s, false,
                     "there is no other one; r makes another answer, e edits the question");
        return 0;
    }
    return update_show_leaf(u, chat_leaf_below(&s->chat, other));
}

static void choose_message(struct update *u, int step) {
    struct app_state *s = u->s;
    if (s->sheet.n == 0) return;
    size_t i = s->chosen < s->sheet.n ? s->chosen : s->sheet.n - 1;
    if (s->chosen < s->sheet.n)
        i = step < 0 ? (i > 0 ? i - 1 : 0) : (i + 1 < s->sheet.n ? i + 1 : i);
    show_message(u, i);
}

static int open_here(struct update *u) {
    struct app_state *s = u->s;
    struct cite c;
    if (s->n_docs > 0 && state_cite(s, 0, &c, NULL))
        update_next_cite(u, 1);
    else
        s->focus = FOCUS_INPUT;
    return 0;
}

int update_chat_key(struct update *u, enum request r, uint32_t key) {
    struct app_state *s = u->s;
    if (s->find.is_typing || s->input.searching) return input_key(u, r, key);
    if (s->focus == FOCUS_INPUT && r != REQ_EDIT) return input_key(u, r, key);
    long page = (long)chat_rows(s);
    switch ((int)r) {
    case REQ_UP: update_scroll(u, -1); return 0;
    case REQ_DOWN: update_scroll(u, 1); return 0;
    case REQ_PAGE_UP: update_scroll(u, -page + 1); return 0;
    case REQ_PAGE_DOWN: update_scroll(u, page - 1); return 0;
    case REQ_HALF_UP: update_scroll(u, -page / 2); return 0;
    case REQ_HALF_DOWN: update_scroll(u, page / 2); return 0;
    case REQ_TOP:
        s->top = (struct sheet_place){0};
        s->follow = sheet_is_at_end(&s->sheet, s->top, chat_rows(s));
        return 0;
    case REQ_BOTTOM: update_show_end(u); return 0;
    case REQ_PREV_MESSAGE: choose_message(u, -1); return 0;
    case REQ_NEXT_MESSAGE: choose_message(u, 1); return 0;
    case REQ_OPEN: return open_here(u);
    case REQ_NEXT_PANE: s->focus = s->pane.doc.w > 0 ? FOCUS_DOC : FOCUS_INPUT; return 0;
    case REQ_FIND:
        s->find.is_typing = s->find.is_on = true;
        buf_cut(&s->find.words, 0);
        return 0;
    case REQ_FIND_NEXT:
    case REQ_FIND_PREV:
        if (s->find.is_on)
            search(u, r == REQ_FIND_NEXT ? 1 : -1);
        else
            update_next_cite(u, r == REQ_FIND_NEXT ? 1 : -1);
        return 0;
    case REQ_COPY:
        return update_copy_message(u, s->chosen < s->sheet.n ? s->chosen : s->sheet.n - 1);
    case REQ_COPY_CODE: return copy_code(u);
    case REQ_EDIT: return edit_question(u);
    case REQ_FORK: {
        const struct chat_node *node = state_chosen(s);
        return node ? update_fx(u, FX_FORK, s->chat_id, node->id, NULL) : 0;
    }
    case REQ_REGEN: {
        const struct chat_node *q = question_of(s);
        return q ? update_regen(u, q->id, NULL) : 0;
    }
    case REQ_SIBLING_PREV: return show_sibling(u, -1);
    case REQ_SIBLING_NEXT: return show_sibling(u, 1);
    case REQ_SIDES: {
        const struct chat_node *node = state_chosen(s);
        return node ? update_compare(u, node->id) : 0;
    }
    case REQ_SEEDS: {
        const struct chat_node *q = question_of(s);
        return update_seeds(u, q ? q->id : 0, NULL);
    }
    case REQ_TREE:
        s->overlay = OVERLAY_TREE;
        s->list_chosen = s->list_top = 0;
        return state_build_tree(s, u->err);
    case REQ_RAW: sheet_set_view(&s->sheet, s->sheet.width, !s->sheet.raw); return 0;
    case REQ_PIN: return update_fx(u, FX_PIN, s->chat_id, s->is_pinned ? 0 : 1, NULL);
    case REQ_BACK: s->focus = FOCUS_INPUT; return 0;
    default: return 0;
    }
}

static bool is_inside(struct rect r, int x, int y) {
    return x >= r.x && x < r.x + r.w && y >= r.y && y < r.y + r.h;
}

/* Text below the mouse; outside of the transcript the nearest row of it. */
static struct select_end below_mouse(struct app_state *s, int x, int y) {
    struct rect r = s->pane.chat;
    struct sheet_place p = s->follow ? sheet_end(&s->sheet, chat_rows(s)) : s->top;
    int row = y < r.y ? 0 : y >= r.y + r.h ? r.h - 1 : y - r.y, cell = x - r.x - SHEET_INDENT;
    sheet_move(&s->sheet, &p, row);
    return select_at(&s->sheet, p, cell > 0 ? (size_t)cell : 0);
}

static int drag(struct update *u) {
    struct app_state *s = u->s;
    s->select.to = below_mouse(s, u->ev->x, u->ev->y);
    s->select.is_on = true;
    return 0;
}

/* The button is up: what was dragged over is copied. It stays marked until the next key. */
static int drop(struct update *u) {
    struct app_state *s = u->s;
    struct buf text = {0};
    s->select.is_held = false;
    if (!s->select.is_on) return 0;
    int rc = select_copy(&s->select, &s->sheet, &text, u->err);
    if (!rc && text.n > 0) rc = effect_add(u->fx, FX_COPY, 0, 0, text.p, text.n, u->err);
    buf_deinit(&text);
    return rc;
}

int update_chat_mouse(struct update *u) {
    enum { PRESS = 1, DRAG = 2, RELEASE = 3, WHEEL_UP = 4, WHEEL_DOWN = 5, WHEEL_ROWS = 3 };
    struct app_state *s = u->s;
    int x = u->ev->x, y = u->ev->y, mouse = u->ev->mouse;
    bool in_doc = is_inside(s->pane.doc, x, y);
    int rows = mouse == WHEEL_UP ? -WHEEL_ROWS : WHEEL_ROWS;
    if (mouse == WHEEL_UP || mouse == WHEEL_DOWN) {
        if (in_doc)
            update_doc_wheel(u, rows);
        else
            update_scroll(u, rows);
        return 0;
    }
    if (s->docs.drag.is_held && (mouse == DRAG || mouse == RELEASE)) return update_doc_drag(u);
    if (mouse == DRAG && s->select.is_held) return drag(u);
    if (mouse == RELEASE && s->select.is_held) return drop(u);
    if (mouse != PRESS) return 0;
    s->select = (struct selection){0};
    s->docs.drag = (struct doc_drag){0};
    if (is_inside(s->pane.input, x, y))
        s->focus = FOCUS_INPUT;
    else if (in_doc) {
        s->focus = FOCUS_DOC;
        update_doc_press(u);
    } else if (is_inside(s->pane.chat, x, y) && s->sheet.n > 0) {
        struct sheet_place p = s->follow ? sheet_end(&s->sheet, chat_rows(s)) : s->top;
        if (sheet_move(&s->sheet, &p, y - s->pane.chat.y)) s->chosen = p.i;
        s->focus = FOCUS_CHAT;
        s->select.is_held = true;
        s->select.from = below_mouse(s, x, y);
    }
    return 0;
}

/* ---- events -------------------------------------------------------------------------------------
 */

static int take_chat(struct update *u) {
    struct app_state *s = u->s;
    struct event *ev = u->ev;
    sheet_deinit(&s->sheet); /* before the tree it points into */
    chat_deinit(&s->chat);
    for (size_t i = 0; i < s->n_docs; i++)
        s->doc[i].is_pending = ev->number == 1;
    if (ev->number != 1) state_drop_docs(s); /* 1: they come along and wait for the question */
    s->chat = ev->chat.tree;
    ev->chat.tree = (struct chat){0};
    s->chat_id = ev->chat.id;
    memcpy(s->uid, ev->chat.uid, sizeof s->uid);
    memcpy(s->title, ev->chat.title, sizeof s->title);
    s->is_pinned = ev->chat.is_pinned;
    if (!ev->flag) s->screen = SCREEN_CHAT;
    s->overlay = OVERLAY_NONE;
    s->focus = FOCUS_INPUT;
    s->editing = 0;
    s->chosen = SIZE_MAX;
    s->top = (struct sheet_place){0};
    s->find.is_on = s->find.is_typing = false;
    s->select = (struct selection){0};
    s->docs.drag = (struct doc_drag){0};
    s->job = (struct job){0};
    s->seeds.n = 0;
    context_deinit(&s->context);
    buf_cut(&s->queued, 0);
    int rc = update_path(u);
    update_count_used(s);
    update_show_end(u);
    return rc;
}

/* The older part of a long conversation arrives behind its newest one, which stays where it is;
 * what was added meanwhile is kept. */
static int take_tree(struct update *u) {
    struct app_state *s = u->s;
    struct chat full = u->ev->chat.tree, part = s->chat;
    int64_t first = s->sheet.n > 0 ? s->sheet.path[0]->id : 0, leaf = part.leaf;
    u->ev->chat.tree = (struct chat){0};
    int rc = 0;
    for (size_t i = 0; i < part.n && !rc; i++)
        if (!chat_find(&full, part.node[i].id)) rc = chat_add(&full, &part.node[i], u->err);
    full.leaf = u->ev->id && chat_find(&full, u->ev->id) ? u->ev->id : leaf;
    s->chat = full;
    size_t top = s->top.i, chosen = s->chosen;
    if (!rc) rc = update_path(u); /* the sheet lets go of the nodes of before */
    if (!state_is_busy(s)) update_count_used(s);
    chat_deinit(&part);
    size_t older = 0;
    while (older < s->sheet.n && s->sheet.path[older]->id != first)
        older++;
    if (older == s->sheet.n) older = 0;
    s->top.i = top + older;
    s->anchor.place.i += older;
    s->select.from.i += older;
    s->select.to.i += older;
    if (chosen != SIZE_MAX) s->chosen = chosen + older;
    return rc;
}

static void take_saved(struct update *u) {
    struct app_state *s = u->s;
    const struct event *ev = u->ev;
    if (ev->id) chat_renumber(&s->chat, ev->id, ev->id2);
    for (int k = 0; k < 2 && ev->id; k++)
        if (s->sides.side[k].id == ev->id) s->sides.side[k].id = ev->id2;
    if (s->job.answer == ev->id && ev->id) s->job.answer = ev->id2;
    if (ev->chat.id) {
        s->chat_id = ev->chat.id;
        memcpy(s->uid, ev->chat.uid, sizeof s->uid);
        memcpy(s->title, ev->chat.title, sizeof s->title);
        s->is_pinned = ev->chat.is_pinned;
    }
}

static int take_paste(struct update *u) {
    struct app_state *s = u->s;
    if (state_places(s) == PLACE_LIST) return update_list_event(u);
    ox_err why;
    size_t n_folds = s->input.n_fold;
    s->focus = FOCUS_INPUT;
    int rc = edit_paste(&s->input, u->ev->text, u->ev->n, &why);
    if (rc)
        update_error(u, &why);
    else if (s->input.n_removed > 0)
        state_notice(s, false, "%zu control characters were left out", s->input.n_removed);
    else if (s->input.n_fold > n_folds)
        state_notice(s, false, "a step back onto it: d makes it a document, Enter unfolds it");
    return 0;
}

int update_chat_event(struct update *u) {
    struct app_state *s = u->s;
    switch ((int)u->ev->kind) {
    case EV_PASTE: return take_paste(u);
    case EV_EDITED: return edit_set(&s->input, u->ev->text, u->ev->n, u->err);
    case EV_CHAT: return take_chat(u);
    case EV_TREE: return take_tree(u);
    case EV_GOTO: return go_to(u);
    case EV_DRAFT: {
        if (!edit_is_empty(&s->input)) return 0;
        int rc = edit_paste(&s->input, u->ev->text, u->ev->n, u->err);
        if (!rc && (size_t)u->ev->id < s->input.text.n)
            s->input.cursor = text_floor(s->input.text.p, s->input.text.n, (size_t)u->ev->id);
        return rc;
    }
    case EV_HISTORY: return edit_history_add(&s->input, u->ev->text, u->err);
    case EV_SAVED: take_saved(u); return 0;
    case EV_TEXT:
    case EV_PROGRESS:
    case EV_DONE:
    case EV_FAILED: return update_answer_event(u);
    default: return 0;
    }
}
