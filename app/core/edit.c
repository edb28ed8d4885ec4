/* edit.c - see edit.h. Every change goes through splice(), which records how to undo it. */
#include "app/core/edit.h"

#include "app/core/text.h"

#include <string.h>

enum { MAX_UNDO = 500, FOLD_FIRST = 0xF0000, FOLD_LAST = 0xFFFFD };

/* ---- one way to change the text -----------------------------------------------------------------
 */

static void drop_step(struct edit *e, size_t i) {
    ox_free(e->undo[i].old);
    memmove(e->undo + i, e->undo + i + 1, (e->n_undo - i - 1) * sizeof *e->undo);
    e->n_undo--;
}

static int splice(struct edit *e, size_t at, size_t n_old, const char *s, size_t n_new,
                  ox_err *err) {
    struct edit_step *last = e->n_undo > 0 ? &e->undo[e->n_undo - 1] : NULL;
    bool joins = e->typing && last && n_old == 0 && last->at + last->n_new == at;
    char *old = NULL;
    if (!joins) {
        int rc = ox_grow(&e->undo, &e->cap_undo, e->n_undo + 1, sizeof *e->undo, err);
        if (rc) return rc;
        old = ox_memdup(n_old ? e->text.p + at : "", n_old, "undo", err);
        if (!old) return OX_ENOMEM;
    }
    int rc = buf_splice(&e->text, at, n_old, s, n_new, err);
    if (rc) {
        ox_free(old);
        return rc;
    }
    if (joins)
        e->undo[e->n_undo - 1].n_new += n_new;
    else
        e->undo[e->n_undo++] = (struct edit_step){at, n_new, n_old, old};
    if (e->n_undo > MAX_UNDO) drop_step(e, 0);
    e->cursor = at + n_new;
    e->typing = false;
    return 0;
}

static void undo(struct edit *e) {
    if (e->n_undo == 0) return;
    struct edit_step step = e->undo[--e->n_undo];
    if (!buf_splice(&e->text, step.at, step.n_new, step.old, step.n_old, NULL))
        e->cursor = step.at + step.n_old;
    ox_free(step.old);
    e->typing = false;
}

/* Copies what may stand in the line: LF, printable characters; no control bytes, no fold tokens. */
static int clean(struct buf *out, const char *s, size_t n, size_t *n_removed, ox_err *err) {
    int rc = 0;
    for (size_t at = 0; at < n && !rc;) {
        int32_t cp;
        size_t len = text_next(s + at, n - at, &cp);
        if (cp == '\r')
            rc = at + 1 < n && s[at + 1] == '\n' ? 0 : buf_putc(out, '\n', err);
        else if (cp == '\t')
            rc = buf_puts(out, "    ", err);
        else if (cp < 0 || (cp >= FOLD_FIRST && cp <= FOLD_LAST))
            rc = text_put(out, 0xFFFD, err);
        else if (cp != '\n' && text_is_control(cp))
            ++*n_removed;
        else
            rc = buf_add(out, s + at, len, err);
        at += len;
    }
    return rc;
}

int edit_insert(struct edit *e, const char *s, size_t n, ox_err *err) {
    struct buf text = {0};
    size_t removed = 0;
    int rc = clean(&text, s, n, &removed, err);
    /* Typing is undone word by word: a space, or anything but a next character, starts a new step.
     */
    bool word = n > 0 && s[0] != ' ' && s[0] != '\n' && e->n_undo > 0;
    e->typing = word && e->typing;
    if (!rc && text.n > 0) rc = splice(e, e->cursor, 0, text.p, text.n, err);
    e->typing = !rc;
    buf_deinit(&text);
    return rc;
}

/* ---- folded pastes ------------------------------------------------------------------------------
 */

static size_t count_lines(const char *s, size_t n) {
    size_t lines = n > 0 && s[n - 1] != '\n';
    for (const char *p = s; (p = memchr(p, '\n', n - (size_t)(p - s))) != NULL; p++)
        lines++;
    return lines;
}

static struct edit_fold *fold_at(const struct edit *e, size_t at, size_t *len) {
    int32_t cp;
    if (at >= e->text.n) return NULL;
    size_t n = text_next(e->text.p + at, e->text.n - at, &cp);
    if (len) *len = n;
    bool is_fold = cp >= FOLD_FIRST && cp <= FOLD_LAST && (size_t)(cp - FOLD_FIRST) < e->n_fold;
    return is_fold ? &e->fold[cp - FOLD_FIRST] : NULL;
}

int edit_paste(struct edit *e, const char *s, size_t n, ox_err *err) {
    if (n > EDIT_PASTE_MAX)
        return ox_err_set(err, OX_EFIT, "paste too large: %zu MB; save it and use /file", n >> 20);
    struct buf text = {0};
    e->n_removed = 0;
    e->typing = false;
    int rc = clean(&text, s, n, &e->n_removed, err);
    size_t lines = rc ? 0 : count_lines(text.p ? text.p : "", text.n);
    bool folds = text.n > EDIT_FOLD_BYTES || lines > EDIT_FOLD_LINES;
    if (!rc && folds && e->n_fold < FOLD_LAST - FOLD_FIRST)
        rc = ox_grow(&e->fold, &e->cap_fold, e->n_fold + 1, sizeof *e->fold, err);
    if (!rc && folds) {
        struct buf token = {0};
        rc = text_put(&token, FOLD_FIRST + (int32_t)e->n_fold, err);
        if (!rc) rc = splice(e, e->cursor, 0, token.p, token.n, err);
        buf_deinit(&token);
        if (!rc) {
            struct edit_fold fold = {.n = text.n, .n_lines = lines};
            fold.bytes = buf_take(&text, NULL);
            e->fold[e->n_fold++] = fold;
        }
    } else if (!rc && text.n > 0) {
        rc = splice(e, e->cursor, 0, text.p, text.n, err);
    }
    buf_deinit(&text);
    return rc;
}

struct edit_fold *edit_fold_here(struct edit *e) {
    return fold_at(e, e->cursor, NULL);
}

int edit_unfold(struct edit *e, ox_err *err) {
    size_t len = 0;
    struct edit_fold *fold = fold_at(e, e->cursor, &len);
    if (!fold) return 0;
    if (fold->n > EDIT_UNFOLD_MAX)
        return ox_err_set(err, OX_EFIT, "%zu KB are too long to edit here; d makes it a document",
                          fold->n >> 10);
    return splice(e, e->cursor, len, fold->bytes, fold->n, err);
}

int edit_drop_fold(struct edit *e, ox_err *err) {
    size_t len = 0;
    return fold_at(e, e->cursor, &len) ? splice(e, e->cursor, len, "", 0, err) : 0;
}

static int add_label(const struct edit_fold *fold, struct buf *out, ox_err *err) {
    double size = (double)fold->n;
    const char *unit = "B";
    if (size >= 1e6)
        size /= 1e6, unit = "MB";
    else if (size >= 1e3)
        size /= 1e3, unit = "KB";
    return buf_printf(out, err, "[pasted %zu line%s, %.*f %s]", fold->n_lines,
                      fold->n_lines == 1 ? "" : "s", unit[0] == 'B' ? 0 : 1, size, unit);
}

int edit_copy(const struct edit *e, struct buf *out, ox_err *err) {
    int rc = 0;
    size_t start = 0, at = 0;
    while (at < e->text.n && !rc) {
        size_t len = 1;
        struct edit_fold *fold = (unsigned char)e->text.p[at] >= 0xF0 ? fold_at(e, at, &len) : NULL;
        if (fold) {
            rc = buf_add(out, e->text.p + start, at - start, err);
            if (!rc) rc = buf_add(out, fold->bytes, fold->n, err);
            start = at + len;
        }
        at += len;
    }
    return rc || start == e->text.n ? rc : buf_add(out, e->text.p + start, e->text.n - start, err);
}

/* ---- taking and setting -------------------------------------------------------------------------
 */

static void clear_undo(struct edit *e) {
    while (e->n_undo > 0)
        ox_free(e->undo[--e->n_undo].old);
}

static void clear_folds(struct edit *e) {
    while (e->n_fold > 0)
        ox_free(e->fold[--e->n_fold].bytes);
}

static void swap_sent(struct edit *e) {
    struct buf text = e->text;
    struct edit_fold *fold = e->fold;
    size_t n = e->n_fold, cap = e->cap_fold;
    e->text = e->sent, e->fold = e->sent_fold;
    e->n_fold = e->n_sent_fold, e->cap_fold = e->cap_sent_fold;
    e->sent = text, e->sent_fold = fold;
    e->n_sent_fold = n, e->cap_sent_fold = cap;
}

int edit_take(struct edit *e, struct buf *out, ox_err *err) {
    int rc = edit_copy(e, out, err);
    if (rc) return rc;
    clear_undo(e);
    swap_sent(e);
    clear_folds(e); /* those of what was taken before */
    buf_cut(&e->text, 0);
    e->cursor = 0;
    e->typing = false;
    e->at_history = e->n_history;
    ox_free(e->draft);
    e->draft = NULL;
    return 0;
}

int edit_set(struct edit *e, const char *s, size_t n, ox_err *err) {
    struct buf text = {0};
    size_t removed = 0;
    int rc = clean(&text, s, n, &removed, err);
    e->typing = false;
    if (!rc) rc = splice(e, 0, e->text.n, text.p ? text.p : "", text.n, err);
    buf_deinit(&text);
    return rc;
}

int edit_give_back(struct edit *e, const char *s, size_t n, ox_err *err) {
    const struct edit was = {.text = e->sent, .fold = e->sent_fold, .n_fold = e->n_sent_fold};
    struct buf text = {0};
    int rc = edit_copy(&was, &text, err);
    bool is_it = !rc && edit_is_empty(e) && text.n == n && n > 0 && memcmp(text.p, s, n) == 0;
    buf_deinit(&text);
    if (rc || !is_it) return rc ? rc : edit_set(e, s, n, err);
    clear_undo(e); /* it spoke of other folds */
    e->typing = false;
    swap_sent(e);
    e->cursor = e->text.n;
    return 0;
}

bool edit_is_empty(const struct edit *e) {
    return e->text.n == 0;
}

/* ---- movement and killing -----------------------------------------------------------------------
 */

static size_t next_cluster(const struct edit *e, size_t at) {
    int width;
    return at < e->text.n ? at + text_cluster(e->text.p + at, e->text.n - at, &width) : at;
}

static size_t prev_cluster(const struct edit *e, size_t at) {
    return at > 0 ? text_prev_cluster(e->text.p, at) : 0;
}

static bool is_word_byte(char c) {
    unsigned char u = (unsigned char)c;
    return u >= 0x80 || (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') ||
           (u >= 'A' && u <= 'Z') || u == '_';
}

static size_t word_left(const struct edit *e, size_t at) {
    while (at > 0 && !is_word_byte(e->text.p[at - 1]))
        at = prev_cluster(e, at);
    while (at > 0 && is_word_byte(e->text.p[at - 1]))
        at = prev_cluster(e, at);
    return at;
}

static size_t word_right(const struct edit *e, size_t at) {
    while (at < e->text.n && !is_word_byte(e->text.p[at]))
        at = next_cluster(e, at);
    while (at < e->text.n && is_word_byte(e->text.p[at]))
        at = next_cluster(e, at);
    return at;
}

static size_t line_start(const struct edit *e, size_t at) {
    while (at > 0 && e->text.p[at - 1] != '\n')
        at--;
    return at;
}

static size_t line_finish(const struct edit *e, size_t at) {
    while (at < e->text.n && e->text.p[at] != '\n')
        at++;
    return at;
}

/* Takes [from, to) out and keeps it for Ctrl-Y. */
static int kill_range(struct edit *e, size_t from, size_t to, ox_err *err) {
    if (from >= to) return 0;
    buf_cut(&e->kill, 0);
    int rc = buf_add(&e->kill, e->text.p + from, to - from, err);
    return rc ? rc : splice(e, from, to - from, "", 0, err);
}

static int erase(struct edit *e, size_t from, size_t to, ox_err *err) {
    return from < to ? splice(e, from, to - from, "", 0, err) : 0;
}

int edit_do(struct edit *e, enum edit_op op, ox_err *err) {
    size_t c = e->cursor, end;
    e->typing = false;
    switch (op) {
    case EDIT_NONE: return 0;
    case EDIT_LEFT: e->cursor = prev_cluster(e, c); return 0;
    case EDIT_RIGHT: e->cursor = next_cluster(e, c); return 0;
    case EDIT_WORD_LEFT: e->cursor = word_left(e, c); return 0;
    case EDIT_WORD_RIGHT: e->cursor = word_right(e, c); return 0;
    case EDIT_HOME: e->cursor = line_start(e, c); return 0;
    case EDIT_END: e->cursor = line_finish(e, c); return 0;
    case EDIT_START: e->cursor = 0; return 0;
    case EDIT_FINISH: e->cursor = e->text.n; return 0;
    case EDIT_BACKSPACE: return erase(e, prev_cluster(e, c), c, err);
    case EDIT_DELETE: return erase(e, c, next_cluster(e, c), err);
    case EDIT_KILL_END:
        end = line_finish(e, c);
        return kill_range(e, c, end == c ? next_cluster(e, c) : end, err); /* at the end: the LF */
    case EDIT_KILL_START: return kill_range(e, line_start(e, c), c, err);
    case EDIT_KILL_WORD: return kill_range(e, word_left(e, c), c, err);
    case EDIT_KILL_NEXT_WORD: return kill_range(e, c, word_right(e, c), err);
    case EDIT_YANK: return e->kill.n > 0 ? splice(e, c, 0, e->kill.p, e->kill.n, err) : 0;
    case EDIT_NEWLINE: return splice(e, c, 0, "\n", 1, err);
    case EDIT_UNDO: undo(e); return 0;
    }
    return 0;
}

/* ---- rows ---------------------------------------------------------------------------------------
 */

/* Bytes of view text that stand for the cluster at source byte `at`; *len gets its source bytes. */
static size_t shown_bytes(const struct edit *e, size_t at, size_t *len) {
    int width;
    struct edit_fold *fold = fold_at(e, at, len);
    if (!fold) return *len = text_cluster(e->text.p + at, e->text.n - at, &width);
    struct buf label = {0};
    if (add_label(fold, &label, NULL)) return *len;
    size_t n = label.n;
    buf_deinit(&label);
    return n;
}

static int show_line(const struct edit *e, size_t from, size_t to, struct edit_view *v,
                     ox_err *err) {
    int rc = 0;
    for (size_t at = from; at < to && !rc;) {
        size_t len = 1, start = v->text.n;
        struct edit_fold *fold = (unsigned char)e->text.p[at] >= 0xF0 ? fold_at(e, at, &len) : NULL;
        if (!fold) {
            rc = buf_add(&v->text, e->text.p + at, len, err);
        } else {
            rc = add_label(fold, &v->text, err);
            if (!rc) rc = ox_grow(&v->span, &v->cap_span, v->n_span + 1, sizeof *v->span, err);
            if (!rc) v->span[v->n_span++] = (struct span){start, v->text.n, STYLE_FAINT};
        }
        at += len;
    }
    return rc;
}

static size_t view_byte(const struct edit *e, const struct edit_view *v, size_t source) {
    size_t shown = 0;
    for (size_t at = v->source; at < source;) {
        size_t len = 1;
        shown += shown_bytes(e, at, &len);
        at += len;
    }
    return shown;
}

static size_t source_byte(const struct edit *e, const struct edit_view *v, size_t shown) {
    size_t at = v->source, seen = 0;
    while (at < e->text.n && seen < shown) {
        size_t len = 1;
        seen += shown_bytes(e, at, &len);
        if (seen > shown) break;
        at += len;
    }
    return at;
}

static void find_cursor(const struct edit *e, struct edit_view *v, size_t width) {
    size_t at = view_byte(e, v, e->cursor), row = 0;
    for (size_t i = 0; i < v->rows.n; i++)
        if (v->rows.v[i].from <= at) row = i;
    const struct row *r = &v->rows.v[row];
    size_t end = at < r->to ? at : r->to;
    size_t col = end > r->from ? text_cells(v->text.p + r->from, end - r->from) : 0;
    v->cursor_row = row;
    v->cursor_col = width > 0 && col >= width ? width - 1 : col;
}

int edit_layout(const struct edit *e, size_t width, size_t max_rows, struct edit_view *v,
                ox_err *err) {
    *v = (struct edit_view){0};
    size_t from = line_start(e, e->cursor), to;
    for (size_t above = 0; from > 0 && above < max_rows; above++)
        from = line_start(e, from - 1);
    v->source = from;
    int rc = 0;
    for (size_t below = 0; !rc && below <= max_rows; from = to + 1) {
        to = line_finish(e, from);
        size_t start = v->text.n;
        rc = show_line(e, from, to, v, err);
        struct wrap_line line = {
            .id = v->rows.n, .from = start, .to = v->text.n, .how = WRAP_WORDS};
        size_t n_rows = v->rows.n;
        if (!rc) rc = wrap_rows(v->text.p ? v->text.p : "", &line, width, &v->rows, err);
        if (!rc)
            v->rows.v[v->rows.n - 1].to = v->text.n; /* trailing spaces: the cursor goes there */
        if (!rc) rc = buf_putc(&v->text, '\n', err);
        if (to >= e->cursor) below += v->rows.n - n_rows;
        if (to >= e->text.n) break;
    }
    if (rc) return rc;
    find_cursor(e, v, width);
    v->n_shown = v->rows.n < max_rows ? v->rows.n : max_rows;
    if (v->cursor_row + 1 > v->n_shown) v->top = v->cursor_row + 1 - v->n_shown;
    v->cursor_row -= v->top;
    return 0;
}

void edit_view_deinit(struct edit_view *v) {
    buf_deinit(&v->text);
    row_list_deinit(&v->rows);
    ox_free(v->span);
    *v = (struct edit_view){0};
}

bool edit_move_row(struct edit *e, size_t width, int direction) {
    struct edit_view v;
    bool moved = false;
    if (!edit_layout(e, width, 1000, &v, NULL)) {
        size_t row = v.top + v.cursor_row;
        bool inside = direction < 0 ? row > 0 : row + 1 < v.rows.n;
        if (inside) {
            const struct row *r = &v.rows.v[direction < 0 ? row - 1 : row + 1];
            size_t used, n = text_fit(v.text.p + r->from, r->to - r->from, v.cursor_col, &used);
            e->cursor = source_byte(e, &v, r->from + n);
            moved = true;
        }
    }
    edit_view_deinit(&v);
    e->typing = false;
    return moved;
}

void edit_deinit(struct edit *e) {
    clear_undo(e);
    clear_folds(e);
    while (e->n_history > 0)
        ox_free(e->history[--e->n_history]);
    ox_free(e->undo);
    ox_free(e->fold);
    while (e->n_sent_fold > 0)
        ox_free(e->sent_fold[--e->n_sent_fold].bytes);
    ox_free(e->sent_fold);
    buf_deinit(&e->sent);
    ox_free(e->history);
    ox_free(e->draft);
    buf_deinit(&e->text);
    buf_deinit(&e->kill);
    buf_deinit(&e->query);
    *e = (struct edit){0};
}
