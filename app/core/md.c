/* md.c - see md.h. md4c reports blocks and spans by callbacks; `struct build` turns them into
 * lines. Tables are kept until their end, because a column's width is known only then. */
#include "app/core/md.h"

#include "app/core/text.h"

#include <md4c.h>
#include <string.h>

enum {
    MAX_NEST = 16,
    MAX_COLUMNS = 32,
    TAB_CELLS = 4,
    ROW_PAD = 256, /* cells of a table's row that are padded, in all: no screen is wider */
    SPARE_CELLS = 1 << 16
};

struct nest {
    bool quote, fresh;
    size_t cells;
    char mark[12];
}; /* a quotation or a list item */
struct list {
    bool ordered;
    unsigned next;
    char delimiter;
};

struct cell_text {
    size_t from, to, cells;
};

struct build {
    struct md *m;
    ox_err *err;
    int rc;
    struct nest nest[MAX_NEST];
    int n_nest;
    struct list list[MAX_NEST];
    int n_list;
    bool open_line; /* a line was begun and takes text */
    bool gap;       /* a blank line is due before the next one */
    enum wrap_how how;
    bool code, cite;
    unsigned code_no;
    size_t column; /* cells since the line's start, for tabs in code */
    enum style style[MAX_NEST];
    int n_style;
    size_t link_from; /* where the text of the innermost link begins */
    /* table */
    bool in_table;
    struct buf cells; /* text of all cells */
    struct cell_text *cell;
    size_t n_cell, cap_cell;
    size_t n_columns;
    /* md4c fills short rows up: 50 KB make 25 million empty cells. */
    size_t n_begun, max_begun;
    bool is_too_much;
};

static enum style style_now(const struct build *b) {
    if (b->cite) return STYLE_CITE;
    return b->n_style > 0 ? b->style[b->n_style - 1] : b->code ? STYLE_CODE : STYLE_TEXT;
}

static void push_style(struct build *b, enum style s) {
    if (b->n_style < MAX_NEST) b->style[b->n_style] = s;
    b->n_style++;
}

static void pop_style(struct build *b) {
    if (b->n_style > 0) b->n_style--;
}

static void add_span(struct build *b, size_t from, size_t to, enum style style) {
    struct md *m = b->m;
    if (b->rc || from == to || style == STYLE_TEXT) return;
    struct span *last = m->n_span > m->closed_span ? &m->span[m->n_span - 1] : NULL;
    if (last && last->to == from && last->style == style) {
        last->to = to;
        return;
    }
    b->rc = ox_grow(&m->span, &m->cap_span, m->n_span + 1, sizeof *m->span, b->err);
    if (!b->rc) m->span[m->n_span++] = (struct span){from, to, style};
}

static void add_bytes(struct build *b, const char *s, size_t n, enum style style) {
    size_t from = b->m->text.n;
    if (!b->rc) b->rc = buf_add(&b->m->text, s, n, b->err);
    add_span(b, from, b->m->text.n, style);
}

/* ---- lines --------------------------------------------------------------------------------------
 */

static struct md_line *last_line(struct build *b) {
    return &b->m->line[b->m->n_line - 1];
}

static void end_line(struct build *b) {
    if (b->open_line && !b->rc) last_line(b)->to = b->m->text.n;
    b->open_line = false;
}

static void add_indent(struct build *b, bool first) {
    for (int i = 0; i < b->n_nest && i < MAX_NEST; i++) {
        struct nest *nest = &b->nest[i];
        if (nest->quote) {
            add_bytes(b, "> ", 2, STYLE_RULE);
        } else if (first && nest->fresh) {
            add_bytes(b, nest->mark, strlen(nest->mark), STYLE_FAINT);
            nest->fresh = false;
        } else {
            for (size_t c = 0; c < nest->cells; c++)
                add_bytes(b, " ", 1, STYLE_TEXT);
        }
    }
    if (b->code) add_bytes(b, "  ", 2, STYLE_TEXT);
}

static void begin_line(struct build *b) {
    struct md *m = b->m;
    end_line(b);
    if (b->rc) return;
    b->rc = ox_grow(&m->line, &m->cap_line, m->n_line + 1, sizeof *m->line, b->err);
    if (b->rc) return;
    struct md_line line = {.how = b->how, .code = b->code ? b->code_no : 0};
    line.lead_from = m->text.n;
    add_indent(b, true);
    line.lead_n = m->text.n - line.lead_from;
    line.rest_from = m->text.n;
    add_indent(b, false);
    line.rest_n = m->text.n - line.rest_from;
    line.from = line.to = m->text.n;
    m->line[m->n_line++] = line;
    b->open_line = true;
    b->column = 0;
}

/* Blocks ask for a gap; it becomes a line only when something follows. */
static void begin_block(struct build *b) {
    end_line(b);
    if (b->gap && b->m->n_line > 0) {
        int n_nest = b->n_nest;
        bool code = b->code;
        while (b->n_nest > 0 && !b->nest[b->n_nest - 1].quote)
            b->n_nest--;
        b->code = false;
        begin_line(b);
        b->n_nest = n_nest;
        b->code = code;
        end_line(b);
    }
    b->gap = false;
}

static void put_code_text(struct build *b, const char *s, size_t n) {
    for (size_t at = 0; at < n && !b->rc;) {
        const char *stop = s + at;
        while (stop < s + n && *stop != '\n' && *stop != '\t')
            stop++;
        size_t len = (size_t)(stop - s) - at;
        if (!b->open_line && (len > 0 || (at < n && *stop != '\n') || s[at] == '\n')) begin_line(b);
        size_t from = b->m->text.n;
        if (!b->rc) b->rc = text_show(&b->m->text, s + at, len, TEXT_LINE, b->err);
        b->column += b->rc ? 0 : text_cells(b->m->text.p + from, b->m->text.n - from);
        add_span(b, from, b->m->text.n, style_now(b));
        at += len;
        if (at >= n) break;
        if (s[at] == '\n') end_line(b);
        if (s[at] == '\t') {
            size_t k = TAB_CELLS - b->column % TAB_CELLS;
            add_bytes(b, "    ", k, style_now(b));
            b->column += k;
        }
        at++;
    }
}

static void put_text(struct build *b, const char *s, size_t n) {
    struct buf *out = b->in_table ? &b->cells : &b->m->text;
    if (!b->in_table && !b->open_line) begin_line(b);
    for (size_t at = 0; at < n && !b->rc;) {
        size_t len = 0;
        while (at + len < n && s[at + len] != MD_MARK_ON && s[at + len] != MD_MARK_OFF &&
               s[at + len] != '\t' && s[at + len] != '\n')
            len++;
        size_t from = out->n;
        b->rc = text_show(out, s + at, len, TEXT_LINE, b->err);
        if (!b->in_table) add_span(b, from, out->n, style_now(b));
        at += len;
        if (at >= n) break;
        if (s[at] == '\t' || s[at] == '\n')
            b->rc = buf_putc(out, ' ', b->err);
        else
            b->cite = s[at] == MD_MARK_ON;
        at++;
    }
}

/* ---- tables -------------------------------------------------------------------------------------
 */

static void begin_cell(struct build *b) {
    b->is_too_much = ++b->n_begun > b->max_begun;
    if (b->is_too_much) return;
    if (!b->rc) b->rc = ox_grow(&b->cell, &b->cap_cell, b->n_cell + 1, sizeof *b->cell, b->err);
    if (!b->rc) b->cell[b->n_cell++] = (struct cell_text){b->cells.n, b->cells.n, 0};
}

static void end_cell(struct build *b) {
    if (b->rc || b->n_cell == 0) return;
    struct cell_text *c = &b->cell[b->n_cell - 1];
    c->to = b->cells.n;
    c->cells = c->to > c->from ? text_cells(b->cells.p + c->from, c->to - c->from) : 0;
}

/* A row of a table that is too wide: as many lines as its longest cell takes in its column. */
static void put_row(struct build *b, const struct cell_text *cell, size_t n, const size_t *width,
                    enum style style) {
    struct row_list rows = {0};
    size_t first[MAX_COLUMNS + 1] = {0}, n_lines = 1;
    for (size_t c = 0; c < n && !b->rc; c++) {
        const struct wrap_line line = {.from = cell[c].from, .to = cell[c].to, .how = WRAP_WORDS};
        b->rc = wrap_rows(buf_str(&b->cells), &line, width[c], &rows, b->err);
        first[c + 1] = rows.n;
        n_lines = rows.n - first[c] > n_lines ? rows.n - first[c] : n_lines;
    }
    for (size_t k = 0; k < n_lines && !b->rc; k++) {
        begin_line(b);
        for (size_t c = 0; c < n; c++) {
            const struct row r =
                first[c] + k < first[c + 1] ? rows.v[first[c] + k] : (struct row){0};
            size_t len = r.to - r.from, at = text_cells(buf_str(&b->cells) + r.from, len);
            add_bytes(b, c == 0 ? "| " : " | ", c == 0 ? 2 : 3, STYLE_RULE);
            add_bytes(b, buf_str(&b->cells) + r.from, len, style);
            for (; at < width[c]; at++)
                add_bytes(b, " ", 1, STYLE_TEXT);
        }
        add_bytes(b, " |", 2, STYLE_RULE);
        end_line(b);
    }
    row_list_deinit(&rows);
}

/* True: it was too wide, and was narrowed to columns of three cells or more. */
static bool put_narrow(struct build *b, size_t *width) {
    size_t columns = b->n_columns, rules = 3 * columns + 1, need = 0;
    for (int i = 0; i < b->n_nest && i < MAX_NEST; i++)
        rules += b->nest[i].cells;
    for (size_t c = 0; c < columns; c++)
        need += width[c];
    if (rules + need <= b->m->width || rules + 3 * columns > b->m->width) return false;
    wrap_columns(width, columns, b->m->width - rules);
    for (size_t at = 0; at + columns <= b->n_cell; at += columns)
        put_row(b, &b->cell[at], columns, width, at == 0 ? STYLE_STRONG : STYLE_TEXT);
    return true;
}

static void put_table(struct build *b) {
    size_t width[MAX_COLUMNS] = {0}, columns = b->n_columns, left = ROW_PAD;
    for (size_t i = 0; i < b->n_cell && columns > 0; i++) {
        size_t c = i % columns;
        if (c < MAX_COLUMNS && b->cell[i].cells > width[c]) width[c] = b->cell[i].cells;
    }
    if (columns > 0 && columns <= MAX_COLUMNS && b->m->width > 0 && put_narrow(b, width)) return;
    for (size_t c = 0; c < MAX_COLUMNS; c++) {
        if (width[c] > left) width[c] = left;
        left -= width[c];
    }
    for (size_t row = 0; columns > 0 && row * columns < b->n_cell; row++) {
        begin_line(b);
        enum style style = row == 0 ? STYLE_STRONG : STYLE_TEXT;
        for (size_t c = 0; c < columns && row * columns + c < b->n_cell; c++) {
            const struct cell_text *cell = &b->cell[row * columns + c];
            add_bytes(b, c == 0 ? "| " : " | ", c == 0 ? 2 : 3, STYLE_RULE);
            if (cell->to > cell->from)
                add_bytes(b, b->cells.p + cell->from, cell->to - cell->from, style);
            for (size_t at = cell->cells; c < MAX_COLUMNS && at < width[c]; at++)
                add_bytes(b, " ", 1, STYLE_TEXT);
        }
        add_bytes(b, " |", 2, STYLE_RULE);
        end_line(b);
    }
}

/* ---- md4c's callbacks ---------------------------------------------------------------------------
 */

static void enter_item(struct build *b, const MD_BLOCK_LI_DETAIL *li) {
    struct list *list = b->n_list > 0 && b->n_list <= MAX_NEST ? &b->list[b->n_list - 1] : NULL;
    struct nest nest = {.fresh = true};
    size_t n = 0;
    if (list && list->ordered) {
        char digits[12];
        unsigned value = list->next++;
        do
            digits[n++] = (char)('0' + value % 10);
        while ((value /= 10) > 0 && n < sizeof digits);
        for (size_t i = 0; i < n; i++)
            nest.mark[i] = digits[n - 1 - i];
        if (n + 3 > sizeof nest.mark) n = sizeof nest.mark - 3;
        nest.mark[n++] = list->delimiter;
    } else {
        nest.mark[n++] = '-';
    }
    nest.mark[n++] = ' ';
    nest.cells = n;
    end_line(b);
    b->gap = false;
    if (b->n_nest < MAX_NEST) b->nest[b->n_nest] = nest;
    b->n_nest++;
    if (li->is_task) put_text(b, li->task_mark == ' ' ? "[ ] " : "[x] ", 4);
}

static int enter_block(MD_BLOCKTYPE type, void *detail, void *user) {
    struct build *b = user;
    switch (type) {
    case MD_BLOCK_QUOTE:
        begin_block(b);
        if (b->n_nest < MAX_NEST) b->nest[b->n_nest] = (struct nest){.quote = true, .cells = 2};
        b->n_nest++;
        break;
    case MD_BLOCK_UL:
    case MD_BLOCK_OL: {
        if (b->n_list == 0) begin_block(b);
        struct list list = {.ordered = type == MD_BLOCK_OL, .delimiter = '.'};
        if (list.ordered) {
            list.next = ((MD_BLOCK_OL_DETAIL *)detail)->start;
            list.delimiter = ((MD_BLOCK_OL_DETAIL *)detail)->mark_delimiter;
        }
        if (b->n_list < MAX_NEST) b->list[b->n_list] = list;
        b->n_list++;
        break;
    }
    case MD_BLOCK_LI: enter_item(b, detail); break;
    case MD_BLOCK_HR:
        begin_block(b);
        begin_line(b);
        add_bytes(b, "---", 3, STYLE_RULE);
        end_line(b);
        break;
    case MD_BLOCK_H:
        begin_block(b);
        push_style(b, STYLE_HEAD);
        break;
    case MD_BLOCK_CODE:
        begin_block(b);
        b->code = true;
        b->how = WRAP_HARD;
        b->code_no = ++b->m->n_code;
        break;
    case MD_BLOCK_TABLE:
        begin_block(b);
        b->in_table = true;
        b->how = WRAP_HARD;
        b->n_columns = ((MD_BLOCK_TABLE_DETAIL *)detail)->col_count;
        b->n_cell = b->cells.n = 0;
        break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD: begin_cell(b); break;
    case MD_BLOCK_P: begin_block(b); break;
    case MD_BLOCK_DOC:
    case MD_BLOCK_HTML:
    case MD_BLOCK_THEAD:
    case MD_BLOCK_TBODY:
    case MD_BLOCK_TR: break;
    }
    return b->is_too_much ? OX_EFIT : b->rc;
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *user) {
    struct build *b = user;
    (void)detail;
    switch (type) {
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_LI:
        if (type == MD_BLOCK_LI && !b->rc && b->n_nest > 0 && b->n_nest <= MAX_NEST &&
            b->nest[b->n_nest - 1].fresh)
            begin_line(b); /* an empty item still shows its mark */
        end_line(b);
        b->n_nest--;
        b->gap = type == MD_BLOCK_QUOTE;
        break;
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
        b->n_list--;
        b->gap = b->n_list == 0;
        break;
    case MD_BLOCK_H:
        pop_style(b);
        end_line(b);
        b->gap = true;
        break;
    case MD_BLOCK_CODE:
        end_line(b);
        b->code = false;
        b->how = WRAP_WORDS;
        b->gap = true;
        break;
    case MD_BLOCK_TABLE:
        b->in_table = false;
        put_table(b);
        b->how = WRAP_WORDS;
        b->gap = true;
        break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD: end_cell(b); break;
    case MD_BLOCK_HR:
    case MD_BLOCK_P:
        end_line(b);
        b->gap = true;
        break;
    case MD_BLOCK_DOC:
    case MD_BLOCK_HTML:
    case MD_BLOCK_THEAD:
    case MD_BLOCK_TBODY:
    case MD_BLOCK_TR: break;
    }
    return b->rc;
}

static int enter_span(MD_SPANTYPE type, void *detail, void *user) {
    struct build *b = user;
    (void)detail;
    switch (type) {
    case MD_SPAN_EM: push_style(b, STYLE_EMPH); break;
    case MD_SPAN_STRONG: push_style(b, STYLE_STRONG); break;
    case MD_SPAN_CODE:
    case MD_SPAN_LATEXMATH:
    case MD_SPAN_LATEXMATH_DISPLAY: push_style(b, STYLE_CODE); break;
    case MD_SPAN_A:
    case MD_SPAN_IMG:
        b->link_from = b->in_table ? b->cells.n : b->m->text.n;
        push_style(b, STYLE_LINK);
        break;
    case MD_SPAN_DEL:
    case MD_SPAN_WIKILINK:
    case MD_SPAN_U: push_style(b, style_now(b)); break;
    }
    return b->rc;
}

/* A link shows where it goes, unless that is what its text says. */
static void put_href(struct build *b, const MD_ATTRIBUTE *href) {
    struct buf *out = b->in_table ? &b->cells : &b->m->text;
    size_t n = out->n - (b->link_from < out->n ? b->link_from : out->n);
    bool same = href->size >= n && n > 0 &&
                memcmp(href->text + href->size - n, out->p + b->link_from, n) == 0;
    if (href->size == 0 || same) return;
    put_text(b, " <", 2);
    put_text(b, href->text, href->size);
    put_text(b, ">", 1);
}

static int leave_span(MD_SPANTYPE type, void *detail, void *user) {
    struct build *b = user;
    /* The details of an image begin with its source as those of a link with its target. */
    if (type == MD_SPAN_A || type == MD_SPAN_IMG) put_href(b, &((MD_SPAN_A_DETAIL *)detail)->href);
    pop_style(b);
    return b->rc;
}

static int take_text(MD_TEXTTYPE type, const MD_CHAR *s, MD_SIZE n, void *user) {
    struct build *b = user;
    switch (type) {
    case MD_TEXT_NULLCHAR: put_text(b, "\xEF\xBF\xBD", 3); break;
    case MD_TEXT_BR:
    case MD_TEXT_SOFTBR: /* models do not fill lines: a single line feed means one (poems,
                            addresses) */
        if (b->in_table)
            put_text(b, " ", 1);
        else
            begin_line(b);
        break;
    case MD_TEXT_CODE:
        if (b->code)
            put_code_text(b, s, n);
        else
            put_text(b, s, n);
        break;
    case MD_TEXT_ENTITY: /* shown as written: a table of 2,000 names is not worth its bytes here */
    case MD_TEXT_NORMAL:
    case MD_TEXT_HTML:
    case MD_TEXT_LATEXMATH: put_text(b, s, n); break;
    }
    return b->rc;
}

/* ---- blocks -------------------------------------------------------------------------------------
 */

static size_t line_end(const char *src, size_t n, size_t at) {
    const char *lf = memchr(src + at, '\n', n - at);
    return lf ? (size_t)(lf - src) + 1 : n;
}

static void drop_open(struct md *m) {
    buf_cut(&m->text, m->closed_text);
    m->n_span = m->closed_span;
    m->n_line = m->closed_line;
    m->n_code = m->closed_code;
}

static int put_lines(struct build *b, const char *src, size_t n) {
    for (size_t at = 0; at < n && !b->rc;) {
        size_t end = line_end(src, n, at), len = end - at;
        if (len > 0 && src[end - 1] == '\n') len--;
        if (len > 0 && src[at + len - 1] == '\r') len--;
        begin_line(b);
        put_code_text(b, src + at, len);
        end_line(b);
        at = end;
    }
    return b->rc;
}

static int parse_part(struct md *m, const char *src, size_t n, ox_err *err) {
    static const MD_PARSER parser = {
        .flags = MD_FLAG_TABLES | MD_FLAG_TASKLISTS | MD_FLAG_NOHTML |
                 MD_FLAG_PERMISSIVEURLAUTOLINKS | MD_FLAG_NOINDENTEDCODEBLOCKS,
        .enter_block = enter_block,
        .leave_block = leave_block,
        .enter_span = enter_span,
        .leave_span = leave_span,
        .text = take_text,
    };
    struct build b = {.m = m,
                      .err = err,
                      .gap = m->n_line > 0,
                      .how = WRAP_WORDS,
                      .max_begun = n + SPARE_CELLS}; /* each that is written takes a byte */
    if (n > UINT32_MAX / 2) return ox_err_set(err, OX_EFIT, "Markdown block of %zu bytes", n);
    /* md4c 0.4.8 reads past a text that ends inside a link without a line feed; with one it does
     * not. */
    struct buf whole = {0};
    int rc = 0;
    if (n > 0 && src[n - 1] != '\n') {
        rc = buf_add(&whole, src, n, err);
        if (!rc) rc = buf_putc(&whole, '\n', err);
        if (rc) {
            buf_deinit(&whole);
            return rc;
        }
        src = whole.p;
        n = whole.n;
    }
    rc = md_parse(src, (MD_SIZE)n, &parser, &b);
    if (b.is_too_much && !b.rc) { /* then as it is written */
        struct build lines = {.m = m, .err = err, .how = WRAP_HARD};
        drop_open(m);
        b.open_line = false;
        lines.gap = m->n_line > 0;
        begin_block(&lines);
        rc = put_lines(&lines, src, n);
    } else if (b.rc) {
        rc = b.rc;
    } else if (rc) {
        rc = ox_err_set(err, OX_ENOMEM, "out of memory for a Markdown block of %zu bytes", n);
    }
    buf_deinit(&whole);
    end_line(&b);
    buf_deinit(&b.cells);
    ox_free(b.cell);
    return rc;
}

/* Length of a run of ``` or ~~~ that opens or closes a fence at this line, else 0. */
static size_t fence_run(const char *line, size_t n, char *mark) {
    size_t i = 0, run = 0;
    while (i < n && (line[i] == ' ' || line[i] == '>'))
        i++; /* inside items and quotations too */
    while (i + run < n && (line[i + run] == '`' || line[i + run] == '~') &&
           line[i + run] == line[i])
        run++;
    if (run < 3) return 0;
    *mark = line[i];
    return run;
}

static bool is_item(const char *line, size_t n) {
    size_t i = 0;
    while (i < n && line[i] >= '0' && line[i] <= '9')
        i++;
    if (i > 0) return i < n && (line[i] == '.' || line[i] == ')');
    return n > 1 && (line[0] == '-' || line[0] == '*' || line[0] == '+') && line[1] == ' ';
}

static bool is_heading(const char *line, size_t n) {
    size_t i = 0;
    while (i < n && line[i] == '#')
        i++;
    return i > 0 && i <= 6 && i < n && line[i] == ' ';
}

static bool is_blank(const char *line, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\n' && line[i] != '\r') return false;
    return true;
}

size_t md_closed_end(const char *src, size_t n, size_t from) {
    size_t closed = from, fence = 0;
    bool after_blank = false, after_fence = false, in_list = false;
    char fence_mark = 0;
    for (size_t at = from; at < n;) {
        size_t end = line_end(src, n, at);
        const char *line = src + at;
        size_t len = end - at;
        bool whole = end > at && src[end - 1] == '\n';
        char mark = 0;
        size_t run = fence_run(line, len, &mark);
        if (fence > 0) {
            if (run >= fence && mark == fence_mark && whole) {
                fence = 0;
                after_fence = line[0] == fence_mark;
            }
        } else if (is_blank(line, len)) {
            after_blank = after_blank || (whole && at > from);
        } else {
            /* Without its end a line may still turn into a heading, an item, a fence. */
            bool margin = line[0] != ' ' && line[0] != '\t';
            bool item = is_item(line, len);
            bool undecided = !whole && len < 4;
            bool begins = margin && !undecided && at > from &&
                          ((after_blank && !(in_list && item)) || after_fence ||
                           (is_heading(line, len) && whole));
            if (begins) closed = at;
            if (begins || at == from) in_list = item;
            in_list = in_list || (item && margin);
            after_blank = after_fence = false;
            if (run > 0) fence = run, fence_mark = mark;
        }
        at = end;
    }
    return closed;
}

static void close_here(struct md *m, size_t src) {
    m->closed_src = src;
    m->closed_text = m->text.n;
    m->closed_span = m->n_span;
    m->closed_line = m->n_line;
    m->closed_code = m->n_code;
}

int md_update(struct md *m, const char *src, size_t n, ox_err *err) {
    drop_open(m);
    size_t closed = md_closed_end(src, n, m->closed_src);
    int rc = 0;
    if (closed > m->closed_src) {
        rc = parse_part(m, src + m->closed_src, closed - m->closed_src, err);
        if (rc)
            drop_open(m);
        else
            close_here(m, closed);
    }
    if (!rc && n > m->closed_src) rc = parse_part(m, src + m->closed_src, n - m->closed_src, err);
    return rc;
}

static int add_lines(struct md *m, const char *src, size_t n, enum wrap_how how, ox_err *err) {
    md_reset(m);
    struct build b = {.m = m, .err = err, .how = how};
    return put_lines(&b, src, n);
}

int md_raw(struct md *m, const char *src, size_t n, ox_err *err) {
    return add_lines(m, src, n, WRAP_HARD, err);
}

int md_plain(struct md *m, const char *src, size_t n, ox_err *err) {
    return add_lines(m, src, n, WRAP_WORDS, err);
}

int md_code(const struct md *m, unsigned code, struct buf *out, ox_err *err) {
    int rc = 0;
    for (size_t i = 0; i < m->n_line && !rc && code > 0; i++) {
        const struct md_line *line = &m->line[i];
        if (line->code != code) continue;
        if (line->to > line->from)
            rc = buf_add(out, m->text.p + line->from, line->to - line->from, err);
        if (!rc) rc = buf_putc(out, '\n', err);
    }
    return rc;
}

void md_reset(struct md *m) {
    buf_cut(&m->text, 0);
    m->n_span = m->n_line = 0;
    m->n_code = 0;
    close_here(m, 0);
}

void md_deinit(struct md *m) {
    buf_deinit(&m->text);
    ox_free(m->span);
    ox_free(m->line);
    *m = (struct md){0};
}
