/* state.c - see state.h. */
#include "app/core/state.h"

#include "app/core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CITED_MESSAGES = 32 }; /* the last ones; all of a long session would have to be laid out */

int state_init(struct app_state *s, ox_err *err) {
    (void)err;
    *s = (struct app_state){.w = 80, .h = 24, .follow = true, .keeps = true, .is_utf8 = true};
    s->chosen = SIZE_MAX;
    s->docs.cite = SIZE_MAX;
    s->pane.split = -1;
    s->dirty = true;
    memcpy(s->theme, "inherit", sizeof "inherit");
    return 0;
}

static void free_doc(struct open_doc *d) {
    cite_index_free(d->d.index);
    ox_free(d->d.pages);
    ox_free(d->d.name);
    ox_free(d->d.text);
    ox_free(d->line);
    *d = (struct open_doc){0};
}

bool state_has_read(const struct app_state *s, int64_t doc) {
    return chat_has_doc(&s->chat, s->chat.leaf, doc);
}

void state_drop_docs(struct app_state *s) {
    while (s->n_docs > 0)
        free_doc(&s->doc[--s->n_docs]);
    s->sheet.doc = NULL;
    s->sheet.n_docs = 0;
    s->docs.doc = s->docs.top = 0;
    s->docs.cite = SIZE_MAX;
    s->docs.is_open = s->docs.was_closed = s->docs.by_itself = false;
    sheet_stale(&s->sheet);
}

void state_deinit(struct app_state *s) {
    sheet_deinit(&s->sheet);
    chat_deinit(&s->chat);
    state_drop_docs(s);
    ox_free(s->doc);
    ox_free(s->sheet_doc);
    context_deinit(&s->context);
    edit_deinit(&s->input);
    keymap_deinit(&s->keymap);
    buf_deinit(&s->system);
    buf_deinit(&s->queued);
    buf_deinit(&s->picker.filter);
    buf_deinit(&s->picker.preview);
    ox_free(s->tree);
    sides_deinit(&s->sides);
    ox_free(s->picker.row);
    ox_free(s->picker.shown);
    ox_free(s->picker.hit);
    buf_deinit(&s->find.words);
    buf_deinit(&s->list_filter);
    *s = (struct app_state){0};
}

struct chat_node *state_chosen(const struct app_state *s) {
    if (s->sheet.n == 0) return NULL;
    return s->sheet.path[s->chosen < s->sheet.n ? s->chosen : s->sheet.n - 1];
}

const char *state_search_words(const struct app_state *s) {
    const struct buf *f = &s->picker.filter;
    return !s->picker.renaming && f->n > 0 && f->p[0] == '/' ? f->p + 1 : NULL;
}

void state_notice(struct app_state *s, bool stays, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    char *text = stays ? s->notice.standing : s->notice.text;
    vsnprintf(text, NOTICE_BYTES, fmt, args);
    va_end(args);
    text[text_valid(text, strlen(text))] = 0; /* cut at a whole character */
    if (stays) s->notice.text[0] = 0;
    s->notice.until = s->now + NOTICE_SECONDS;
    s->dirty = true;
}

unsigned state_places(const struct app_state *s) {
    switch (s->overlay) {
    case OVERLAY_HELP: return PLACE_READ;
    case OVERLAY_PALETTE: return PLACE_LIST;
    case OVERLAY_TREE: return PLACE_TREE | PLACE_READ;
    case OVERLAY_SIDES: return PLACE_SIDES | PLACE_READ;
    case OVERLAY_CHOICE:
    case OVERLAY_ASK: return PLACE_NONE;
    case OVERLAY_NONE: break;
    }
    if (s->screen == SCREEN_SESSIONS) return PLACE_LIST;
    switch (s->focus) {
    case FOCUS_INPUT: return PLACE_INPUT;
    case FOCUS_CHAT: return PLACE_CHAT | PLACE_READ;
    case FOCUS_DOC: return PLACE_DOC | PLACE_READ;
    }
    return PLACE_INPUT;
}

double state_read_rate(const struct app_state *s) {
    enum { LEAST_TOKENS = 16 };
    for (size_t i = s->sheet.n; i-- > 0;) {
        const struct chat_ledger *l = &s->sheet.path[i]->ledger;
        if (l->n_in >= l->n_reused + LEAST_TOKENS && l->prefill_s > l->load_s)
            return (double)(l->n_in - l->n_reused) / (l->prefill_s - l->load_s);
    }
    return 0;
}

bool state_is_covered(const struct app_state *s) {
    return s->docs.is_open && s->pane.doc.h > 0 && s->pane.split < 0;
}

bool state_is_busy(const struct app_state *s) {
    return s->job.busy != BUSY_NONE;
}

bool state_is_reading(const struct app_state *s) {
    return s->file.name[0] != 0;
}

/* ---- documents ----------------------------------------------------------------------------------
 */

static int find_lines(struct open_doc *d, ox_err *err) {
    size_t at = 0;
    do {
        int rc = ox_grow(&d->line, &d->cap_lines, d->n_lines + 1, sizeof *d->line, err);
        if (rc) return rc;
        d->line[d->n_lines++] = at;
        const char *lf = memchr(d->d.text + at, '\n', d->d.n_bytes - at);
        at = lf ? (size_t)(lf - d->d.text) + 1 : d->d.n_bytes;
    } while (at < d->d.n_bytes);
    return 0;
}

/* The transcript looks quotations up in them. */
static void lend_docs(struct app_state *s) {
    for (size_t i = 0; i < s->n_docs; i++) {
        const struct open_doc *o = &s->doc[i];
        s->sheet_doc[i] = (struct sheet_doc){o->d.name, o->d.index, o->line, o->n_lines};
    }
    s->sheet.doc = s->sheet_doc;
    s->sheet.n_docs = s->cites_off ? 0 : s->n_docs;
    sheet_stale(&s->sheet);
}

int state_add_doc(struct app_state *s, struct doc_text *text, bool is_pending, ox_err *err) {
    struct open_doc d = {.d = *text, .is_pending = is_pending};
    *text = (struct doc_text){0};
    int rc = find_lines(&d, err);
    if (!rc) rc = ox_grow(&s->doc, &s->cap_docs, s->n_docs + 1, sizeof *s->doc, err);
    if (!rc)
        rc = ox_grow(&s->sheet_doc, &s->cap_sheet_docs, s->n_docs + 1, sizeof *s->sheet_doc, err);
    if (rc) {
        free_doc(&d);
        return rc;
    }
    s->doc[s->n_docs++] = d;
    lend_docs(s);
    return 0;
}

void state_set_part(struct app_state *s, size_t i, struct doc_text *text, bool is_pending) {
    struct open_doc *o = &s->doc[i], spare = {.d = *text};
    *text = (struct doc_text){0};
    if (spare.d.name) {
        char *name = o->d.name;
        o->d.name = spare.d.name;
        spare.d.name = name;
    }
    o->d.from = spare.d.from;
    o->d.to = spare.d.to;
    o->d.n_tokens = 0;
    o->part_lines = 0;
    o->is_pending = is_pending;
    free_doc(&spare);
    lend_docs(s);
}

/* ---- tree ---------------------------------------------------------------------------------------
 */

static int by_parent(const void *a, const void *b) {
    const struct tree_row *x = a, *y = b;
    if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* First of the rows (sorted by parent) with this parent. */
static size_t first_child(const struct tree_row *rows, size_t n, int64_t parent) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (rows[mid].parent < parent)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Depth first, with a stack instead of recursion: a path may be 20,000 messages long. A chain
 * without branches does not indent. */
int state_build_tree(struct app_state *s, ox_err *err) {
    size_t n = s->chat.n, n_stack = 0;
    struct tree_row *rows = ox_alloc(n + 1, sizeof *rows, "tree", err);
    struct tree_row *stack = ox_alloc(n + 1, sizeof *stack, "tree", err);
    int rc = rows && stack ? ox_grow(&s->tree, &s->cap_tree, n, sizeof *s->tree, err) : OX_ENOMEM;
    s->n_tree = 0;
    for (size_t i = 0; i < n && !rc; i++)
        rows[i] = (struct tree_row){s->chat.node[i].id, s->chat.node[i].parent, i, 0};
    if (!rc) qsort(rows, n, sizeof *rows, by_parent);
    struct tree_row at = {0};
    for (bool more = !rc; more;) {
        size_t first = first_child(rows, n, at.id), end = first;
        while (end < n && rows[end].parent == at.id)
            end++;
        for (size_t i = end; i-- > first;) { /* the eldest is taken from the stack first */
            stack[n_stack] = rows[i];
            stack[n_stack++].depth = at.depth + (end - first > 1);
        }
        more = n_stack > 0;
        if (more) s->tree[s->n_tree++] = at = stack[--n_stack];
    }
    ox_free(rows);
    ox_free(stack);
    return rc;
}

bool state_cite(struct app_state *s, size_t i, struct cite *out, size_t *message) {
    if (s->sheet.n_docs == 0) return false;
    size_t first = s->sheet.n > CITED_MESSAGES ? s->sheet.n - CITED_MESSAGES : 0;
    for (size_t m = first; m < s->sheet.n; m++) {
        if (s->sheet.path[m]->role != OX_ROLE_ASSISTANT) continue;
        const struct sheet_item *item = sheet_get(&s->sheet, m);
        if (!item) continue;
        if (i < item->cites.n) {
            *out = item->cites.v[i];
            if (message) *message = m;
            return true;
        }
        i -= item->cites.n;
    }
    return false;
}

/* ---- effects ------------------------------------------------------------------------------------
 */

int effect_add(struct effect_list *list, enum effect_kind kind, int64_t id, int64_t id2,
               const char *text, size_t n, ox_err *err) {
    int rc = ox_grow(&list->v, &list->cap, list->n + 1, sizeof *list->v, err);
    if (rc) return rc;
    struct effect fx = {.kind = kind, .id = id, .id2 = id2, .n = n};
    if (text) {
        fx.text = ox_memdup(text, n, "effect", err);
        if (!fx.text) return OX_ENOMEM;
    }
    list->v[list->n++] = fx;
    return 0;
}

void effect_list_clear(struct effect_list *list) {
    for (size_t i = 0; i < list->n; i++)
        ox_free(list->v[i].text);
    list->n = 0;
}

void effect_list_deinit(struct effect_list *list) {
    effect_list_clear(list);
    ox_free(list->v);
    *list = (struct effect_list){0};
}
