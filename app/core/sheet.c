/* sheet.c - see sheet.h. */
#include "app/core/sheet.h"

#include "app/core/cite_mark.h"
#include "app/core/text.h"

#include <string.h>

#define NO_BREAK "\u00A0"                /* a mark is not cut at the end of a row */
enum { MAX_LIVE = 192, KEEP_NEAR = 64 }; /* layouts kept; and how far from the one asked for */

/* ---- citation marks -----------------------------------------------------------------------------
 */

size_t sheet_line_of(const struct sheet_doc *d, size_t at) {
    size_t low = 0, high = d->n_lines;
    while (low + 1 < high) {
        size_t mid = (low + high) / 2;
        if (d->line[mid] <= at)
            low = mid;
        else
            high = mid;
    }
    return low + 1;
}

static int add_mark(struct buf *out, const struct sheet *t, const struct cite *c, ox_err *err) {
    const struct sheet_doc *d = &t->doc[c->doc];
    bool missing = c->verdict == CITE_MISSING;
    size_t first = missing ? 0 : sheet_line_of(d, c->from),
           last = missing ? 0 : sheet_line_of(d, c->to > c->from ? c->to - 1 : c->from);
    int rc = buf_printf(out, err, " %c", MD_MARK_ON);
    if (!rc) rc = cite_mark_put(out, c, first, last, missing ? " " : NO_BREAK, err);
    return rc ? rc : buf_putc(out, MD_MARK_OFF, err);
}

/* Copies text for Markdown; bytes that look like our marks become visible ones. */
static int add_plain(struct buf *out, const char *s, size_t n, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; i < n && !rc;) {
        size_t run = i;
        while (run < n && s[run] != MD_MARK_ON && s[run] != MD_MARK_OFF)
            run++;
        rc = buf_add(out, s + i, run - i, err);
        if (!rc && run < n) rc = buf_puts(out, s[run] == MD_MARK_ON ? "<01>" : "<02>", err);
        i = run + 1;
    }
    return rc;
}

static int build_marked(struct sheet *t, struct sheet_item *item, const struct chat_node *node,
                        ox_err *err) {
    size_t from = 0;
    int rc = 0;
    buf_cut(&item->marked, 0);
    for (size_t i = 0; i < item->cites.n && !rc; i++) {
        size_t end,
            to = cite_mark_place(node->text, node->n_bytes, item->cites.v[i].quote_to, &end);
        if (to < from) continue;
        rc = add_plain(&item->marked, node->text + from, to - from, err);
        if (!rc) rc = add_mark(&item->marked, t, &item->cites.v[i], err);
        from = end;
    }
    return rc ? rc : add_plain(&item->marked, node->text + from, node->n_bytes - from, err);
}

static bool has_marks(const char *s, size_t n) {
    return n > 0 && (memchr(s, MD_MARK_ON, n) || memchr(s, MD_MARK_OFF, n));
}

static int check_quotes(struct sheet *t, struct sheet_item *item, const struct chat_node *node,
                        ox_err *err) {
    enum { MAX_DOCS = 16 };
    const cite_index *docs[MAX_DOCS];
    size_t n = 0;
    for (; n < t->n_docs && n < MAX_DOCS && t->doc[n].index; n++)
        docs[n] = t->doc[n].index;
    if (n == 0) return 0;
    int rc = cite_find(node->text, node->n_bytes, item->n_checked, docs, n, &item->cites, err);
    if (!rc) item->n_checked = node->n_bytes;
    return rc;
}

/* ---- layout of one message ----------------------------------------------------------------------
 */

static void clear_item(struct sheet *t, struct sheet_item *item) {
    if (item->id != 0) t->n_live--;
    buf_deinit(&item->marked);
    ox_free(item->cites.v);
    md_deinit(&item->md);
    row_list_deinit(&item->rows);
    *item = (struct sheet_item){0};
}

static int wrap_new_lines(struct sheet *t, struct sheet_item *item, ox_err *err) {
    const struct md *m = &item->md;
    size_t width = t->width > SHEET_INDENT + 1 ? t->width - SHEET_INDENT : 1;
    item->rows.n = item->n_final_rows;
    for (size_t i = item->n_final_lines; i < m->n_line; i++) {
        const struct md_line *l = &m->line[i];
        struct wrap_line line = {
            .id = i,
            .from = l->from,
            .to = l->to,
            .how = l->how,
            .lead_cells = text_cells(m->text.p + l->lead_from, l->lead_n),
            .rest_cells = text_cells(m->text.p + l->rest_from, l->rest_n),
        };
        if (i == m->closed_line) item->n_final_rows = item->rows.n, item->n_final_lines = i;
        int rc = wrap_rows(m->text.p, &line, width, &item->rows, err);
        if (rc) return rc;
    }
    return 0;
}

static int lay_out(struct sheet *t, struct sheet_item *item, const struct chat_node *node,
                   ox_err *err) {
    const char *source = node->text ? node->text : "";
    size_t n = node->text ? node->n_bytes : 0;
    bool is_answer = node->role == OX_ROLE_ASSISTANT;
    size_t n_cites = item->cites.n;
    int rc = is_answer && n > 0 ? check_quotes(t, item, node, err) : 0;
    if (!rc && is_answer && (item->cites.n > 0 || has_marks(source, n))) {
        rc = build_marked(t, item, node, err);
        source = buf_str(&item->marked);
        n = item->marked.n;
    }
    if (item->cites.n != n_cites) { /* a mark may have come into a closed block */
        md_reset(&item->md);
        item->n_final_rows = item->n_final_lines = 0;
    }
    if (!rc && t->raw)
        rc = md_raw(&item->md, node->text ? node->text : "", node->n_bytes, err);
    else if (!rc && is_answer) {
        item->md.width = t->width > SHEET_INDENT + 1 ? t->width - SHEET_INDENT : 1;
        rc = md_update(&item->md, source, n, err);
    } else if (!rc)
        rc = md_plain(&item->md, source, n, err);
    if (t->raw || !is_answer) item->n_final_rows = item->n_final_lines = 0;
    if (!rc) rc = wrap_new_lines(t, item, err);
    item->n_source = node->n_bytes;
    item->end = node->end;
    return rc;
}

static void drop_far(struct sheet *t, size_t near) {
    if (t->n_live <= MAX_LIVE) return;
    for (size_t i = 0; i < t->n; i++) {
        size_t far = i > near ? i - near : near - i;
        if (far > KEEP_NEAR && t->item[i].id != 0) clear_item(t, &t->item[i]);
    }
}

const struct sheet_item *sheet_get(struct sheet *t, size_t i) {
    const struct chat_node *node = t->path[i];
    struct sheet_item *item = &t->item[i];
    bool is_same = item->id == node->id && item->version == t->version;
    if (is_same && item->n_source == node->n_bytes && item->end == node->end) return item;
    if (!is_same) {
        clear_item(t, item);
        drop_far(t, i);
        item->id = node->id;
        item->version = t->version;
        t->n_live++;
    }
    if (lay_out(t, item, node, NULL)) {
        clear_item(t, item);
        return NULL;
    }
    return item;
}

/* ---- places -------------------------------------------------------------------------------------
 */

bool sheet_has_note(const struct chat_node *node) {
    return node->role == OX_ROLE_ASSISTANT && node->end != CHAT_OPEN && node->end != CHAT_DONE;
}

size_t sheet_text_row(size_t r) {
    return r + 1;
}

size_t sheet_height(struct sheet *t, size_t i) {
    const struct sheet_item *item = sheet_get(t, i);
    return 2 + (item ? item->rows.n : 0) + (sheet_has_note(t->path[i]) ? 2 : 0);
}

bool sheet_move(struct sheet *t, struct sheet_place *p, long rows) {
    while (rows < 0) {
        if ((long)p->row >= -rows) {
            p->row -= (size_t)-rows;
            return true;
        }
        if (p->i == 0) {
            p->row = 0;
            return false;
        }
        rows += (long)p->row + 1;
        p->i--;
        p->row = sheet_height(t, p->i) - 1;
    }
    while (rows > 0 && p->i < t->n) {
        size_t left = sheet_height(t, p->i) - 1 - p->row;
        if ((size_t)rows <= left) {
            p->row += (size_t)rows;
            return true;
        }
        if (p->i + 1 >= t->n) {
            p->row += left;
            return false;
        }
        rows -= (long)left + 1;
        p->i++;
        p->row = 0;
    }
    return rows == 0;
}

struct sheet_place sheet_end(struct sheet *t, size_t h) {
    struct sheet_place p = {0};
    if (t->n == 0) return p;
    p.i = t->n - 1;
    p.row = sheet_height(t, p.i) - 1;
    if (h > 1) sheet_move(t, &p, -(long)(h - 1));
    return p;
}

bool sheet_is_at_end(struct sheet *t, struct sheet_place p, size_t h) {
    struct sheet_place end = sheet_end(t, h);
    return p.i > end.i || (p.i == end.i && p.row >= end.row);
}

/* ---- path ---------------------------------------------------------------------------------------
 */

int sheet_set_path(struct sheet *t, const struct chat *chat, ox_err *err) {
    struct chat_node **path = NULL;
    size_t n = 0, shown = 0;
    int rc = chat_path(chat, chat->leaf, &path, &n, err);
    if (!rc) rc = ox_grow(&t->item, &t->cap, n, sizeof *t->item, err);
    if (rc) {
        ox_free(path);
        return rc;
    }
    for (size_t i = 0; i < n; i++) /* the system prompt is not part of the talk */
        if (path[i]->role != OX_ROLE_SYSTEM) path[shown++] = path[i];
    for (size_t i = shown; i < t->n; i++)
        clear_item(t, &t->item[i]);
    for (size_t i = t->n; i < shown; i++)
        t->item[i] = (struct sheet_item){0};
    ox_free(t->path);
    t->path = path;
    t->n = shown;
    return 0;
}

void sheet_stale(struct sheet *t) {
    t->version++;
}

void sheet_set_view(struct sheet *t, size_t width, bool raw) {
    if (t->width == width && t->raw == raw) return;
    t->width = width;
    t->raw = raw;
    sheet_stale(t);
}

void sheet_deinit(struct sheet *t) {
    for (size_t i = 0; i < t->n; i++)
        clear_item(t, &t->item[i]);
    ox_free(t->item);
    ox_free(t->path);
    *t = (struct sheet){0};
}
