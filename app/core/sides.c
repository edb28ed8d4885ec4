/* sides.c - see sides.h. */
#include "app/core/sides.h"

#include "app/core/diff.h"
#include "app/core/text.h"

/* ---- what differs -------------------------------------------------------------------------------
 */

/* Words that stand behind each other become one span, the space between them too. */
static int mark_changed(struct side *side, const struct diff_word *word, size_t n, ox_err *err) {
    bool goes_on = false;
    for (size_t i = 0; i < n; i++) {
        bool is_alone = word[i].twin == SIZE_MAX;
        if (is_alone && goes_on) {
            side->changed[side->n_changed - 1].to = word[i].to;
        } else if (is_alone) {
            int rc = ox_grow(&side->changed, &side->cap_changed, side->n_changed + 1,
                             sizeof *side->changed, err);
            if (rc) return rc;
            side->changed[side->n_changed++] =
                (struct span){word[i].from, word[i].to, STYLE_SELECT};
        }
        goes_on = is_alone;
    }
    return 0;
}

/* Line that holds byte `at` as its first word; SIZE_MAX: it is inside of one. */
static size_t line_from(const struct side *s, const struct diff *d, int which, size_t word) {
    size_t low = 0, high = s->md.n_line, at = d->word[which][word].from;
    while (low + 1 < high) {
        size_t mid = (low + high) / 2;
        if (s->md.line[mid].from <= at)
            low = mid;
        else
            high = mid;
    }
    if (low >= s->md.n_line || at >= s->md.line[low].to || at < s->md.line[low].from)
        return SIZE_MAX;
    bool is_first = word == 0 || d->word[which][word - 1].from < s->md.line[low].from;
    return is_first ? low : SIZE_MAX;
}

static int find_twins(struct sides *s, const struct diff *d, ox_err *err) {
    for (int k = 0; k < 2; k++) {
        struct side *side = &s->side[k];
        side->twin = ox_alloc(side->md.n_line + 1, sizeof *side->twin, "lines side by side", err);
        if (!side->twin) return OX_ENOMEM;
        for (size_t i = 0; i < side->md.n_line; i++)
            side->twin[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < d->n[0]; i++) {
        size_t k = d->word[0][i].twin;
        size_t a = k == SIZE_MAX ? SIZE_MAX : line_from(&s->side[0], d, 0, i);
        size_t b = a == SIZE_MAX ? SIZE_MAX : line_from(&s->side[1], d, 1, k);
        if (b == SIZE_MAX) continue;
        s->side[0].twin[a] = b;
        s->side[1].twin[b] = a;
    }
    return 0;
}

int sides_take(struct sides *s, const struct chat_node *a, const struct chat_node *b, ox_err *err) {
    const struct chat_node *node[2] = {a, b};
    struct diff d = {0};
    int rc = 0;
    sides_deinit(s);
    for (int k = 0; k < 2 && !rc; k++) {
        s->side[k].id = node[k]->id;
        rc = md_update(&s->side[k].md, node[k]->text ? node[k]->text : "", node[k]->n_bytes, err);
    }
    const struct buf *x = &s->side[0].md.text, *y = &s->side[1].md.text;
    if (!rc) rc = diff_words(buf_str(x), x->n, buf_str(y), y->n, &d, err);
    for (int k = 0; k < 2 && !rc; k++)
        rc = mark_changed(&s->side[k], d.word[k], d.n[k], err);
    if (!rc) rc = find_twins(s, &d, err);
    s->is_cut = d.is_cut;
    s->is_same = s->side[0].n_changed + s->side[1].n_changed == 0;
    diff_deinit(&d);
    if (rc) sides_deinit(s);
    return rc;
}

/* ---- rows ---------------------------------------------------------------------------------------
 */

static int wrap_side(struct side *side, size_t width, ox_err *err) {
    const struct md *m = &side->md;
    const char *text = buf_str(&m->text);
    int rc = 0;
    side->rows.n = 0;
    for (size_t i = 0; i < m->n_line && !rc; i++) {
        const struct md_line *l = &m->line[i];
        const struct wrap_line line = {
            .id = i,
            .from = l->from,
            .to = l->to,
            .how = l->how,
            .lead_cells = text_cells(text + l->lead_from, l->lead_n),
            .rest_cells = text_cells(text + l->rest_from, l->rest_n),
        };
        rc = wrap_rows(text, &line, width, &side->rows, err);
    }
    return rc;
}

static bool is_changed(const struct side *side, size_t row) {
    if (row == SIZE_MAX) return false;
    const struct row *r = &side->rows.v[row];
    size_t low = 0, high = side->n_changed; /* the first span that ends behind its start */
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (side->changed[mid].to <= r->from)
            low = mid + 1;
        else
            high = mid;
    }
    return low < side->n_changed && side->changed[low].from < r->to;
}

static int add_row(struct sides *s, size_t a, size_t b, ox_err *err) {
    int rc = ox_grow(&s->row, &s->cap, s->n + 1, sizeof *s->row, err);
    if (rc) return rc;
    bool left = is_changed(&s->side[0], a), right = is_changed(&s->side[1], b);
    char mark = !left && !right ? ' ' : b == SIZE_MAX ? '<' : a == SIZE_MAX ? '>' : '|';
    s->row[s->n++] = (struct sides_row){{a, b}, mark};
    return 0;
}

/* The line that begins with row i of a side and has a twin; SIZE_MAX: it does not, or has none. */
static size_t twin_of(const struct side *side, size_t i) {
    const struct row *r = i < side->rows.n ? &side->rows.v[i] : NULL;
    return r && r->first ? side->twin[r->line] : SIZE_MAX;
}

int sides_lay_out(struct sides *s, size_t width, ox_err *err) {
    struct side *a = &s->side[0], *b = &s->side[1];
    if (s->width == width) return 0;
    s->n = s->width = 0;
    int rc = wrap_side(a, width, err);
    if (!rc) rc = wrap_side(b, width, err);
    for (size_t i = 0, k = 0; !rc && (i < a->rows.n || k < b->rows.n);) {
        bool a_waits = twin_of(a, i) != SIZE_MAX, b_waits = twin_of(b, k) != SIZE_MAX;
        bool meet = a_waits && b_waits; /* twins ascend on both sides: these are each other's */
        bool has_a = i < a->rows.n && (meet || !a_waits || k >= b->rows.n);
        bool has_b = k < b->rows.n && (meet || !b_waits || i >= a->rows.n);
        rc = add_row(s, has_a ? i : SIZE_MAX, has_b ? k : SIZE_MAX, err);
        i += has_a;
        k += has_b;
    }
    if (!rc) s->width = width;
    return rc;
}

size_t sides_next(const struct sides *s, size_t from, int step) {
    for (size_t i = from; step > 0 ? ++i < s->n : i-- > 0;)
        if (s->row[i].mark != ' ' && (i == 0 || s->row[i - 1].mark == ' ')) return i;
    return SIZE_MAX;
}

void sides_deinit(struct sides *s) {
    for (int k = 0; k < 2; k++) {
        md_deinit(&s->side[k].md);
        row_list_deinit(&s->side[k].rows);
        ox_free(s->side[k].changed);
        ox_free(s->side[k].twin);
    }
    ox_free(s->row);
    *s = (struct sides){0};
}

struct sides_place sides_place(struct rect r) {
    enum { MARGIN = 1, GUTTER = 3, LEAST_ROWS = 4 };
    struct sides_place p = {.is_beside = r.w >= SIDES_BESIDE};
    int w = p.is_beside ? (r.w - 2 * MARGIN - GUTTER) / 2 : r.w - 2 * MARGIN - 1;
    int h = p.is_beside || r.h < LEAST_ROWS ? r.h - 1 : r.h / 2 - 1;
    if (h < 1) h = 1;
    if (w < 1) w = 1;
    p.text[0] = (struct rect){r.x + (p.is_beside ? MARGIN : 2), r.y + (r.h > 1), w, h};
    p.text[1] = p.text[0];
    p.mark_x = p.is_beside ? p.text[0].x + w + 1 : r.x;
    if (p.is_beside)
        p.text[1].x += w + GUTTER;
    else if (r.h < LEAST_ROWS)
        p.text[1] = (struct rect){0};
    else
        p.text[1].y += h + 1;
    return p;
}
