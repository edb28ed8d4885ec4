/* cite_pages.c - quotations that go on from one page to the next. A page of a PDF begins and ends
 * with lines that are no part of what it says: a running head, a page number. Whoever quotes a
 * sentence leaves them out, so the text around each page end is looked at once more without them.
 * Lines are passed over only there, and only if the pages around have them too; a line left out
 * anywhere else makes another text of it. */
#include "app/core/cite_index.h"

#include "app/core/text.h"

#include <string.h>

enum {
    EDGE = 3,   /* lines at each end of a page that may be running lines */
    AROUND = 4, /* pages before and behind that are compared: left and right may differ */
    NEEDED = 2  /* of these have the line too; fewer in a document of two pages */
};

struct edge {
    uint64_t key[EDGE]; /* of the line but for numbers and spaces; 0: there is none */
    size_t from[EDGE], to[EDGE];
};
struct page {
    struct edge top, bottom; /* from the outermost line inwards */
};

/* Numbers count as one digit: page numbers grow. */
static uint64_t line_key(const char *p, size_t n) {
    uint64_t key = TEXT_HASH;
    char last = 0;
    for (size_t i = 0; i < n; i++) {
        char c = p[i] >= '0' && p[i] <= '9' ? '0' : p[i];
        if (c == ' ' || c == '\t' || (c == '0' && last == '0')) continue;
        key = text_hash(key, &c, 1);
        last = c;
    }
    return last ? key : 0;
}

static void read_top(const char *s, size_t from, size_t to, struct edge *e) {
    for (size_t at = from, k = 0; at < to && k < EDGE;) {
        const char *end = memchr(s + at, '\n', to - at);
        size_t next = end ? (size_t)(end - s) + 1 : to;
        e->key[k] = line_key(s + at, next - at - (end != NULL));
        e->from[k] = at;
        e->to[k] = next;
        k += e->key[k] != 0;
        at = next;
    }
}

static void read_bottom(const char *s, size_t from, size_t to, struct edge *e) {
    for (size_t end = to, k = 0; end > from && k < EDGE;) {
        size_t stop = s[end - 1] == '\n' ? end - 1 : end, at = stop;
        while (at > from && s[at - 1] != '\n')
            at--;
        e->key[k] = line_key(s + at, stop - at);
        e->from[k] = at;
        e->to[k] = end;
        k += e->key[k] != 0;
        end = at;
    }
}

static bool has_key(const struct edge *e, uint64_t key) {
    for (size_t k = 0; k < EDGE; k++)
        if (e->key[k] == key) return true;
    return false;
}

static bool is_running(const struct page *page, size_t n, size_t i, bool top, uint64_t key) {
    size_t first = i > AROUND ? i - AROUND : 0, same = 0;
    for (size_t k = first; k < n && k <= i + AROUND; k++)
        same += k != i && has_key(top ? &page[k].top : &page[k].bottom, key);
    return key && same >= (n > NEEDED ? (size_t)NEEDED : 1);
}

static bool is_white(char c) {
    return c == ' ' || c == '\n' || c == '\t';
}

/* Between page i and the next one, which begins at byte `at`. */
static struct cite_gap gap_at(const cite_index *x, const struct page *page, size_t n, size_t i,
                              size_t at) {
    struct cite_gap g = {at, at};
    const struct edge *end = &page[i].bottom, *top = &page[i + 1].top;
    for (size_t k = 0; k < EDGE && is_running(page, n, i, false, end->key[k]); k++)
        g.from = end->from[k];
    for (size_t k = 0; k < EDGE && is_running(page, n, i + 1, true, top->key[k]); k++)
        g.to = top->to[k];
    while (g.from > 0 && is_white(x->text[g.from - 1]))
        g.from--;
    while (g.to < x->n && is_white(x->text[g.to]))
        g.to++;
    return g;
}

int cite_index_pages(cite_index *x, const size_t *pages, size_t n_pages, size_t from, ox_err *err) {
    size_t n = 0;
    if (n_pages < 2 || x->gap) return 0;
    struct page *page = ox_alloc(n_pages, sizeof *page, "pages", err);
    size_t *start = ox_alloc(n_pages, sizeof *start, "pages", err);
    x->gap = ox_alloc(n_pages, sizeof *x->gap, "pages", err);
    int rc = page && start && x->gap ? 0 : OX_ENOMEM;
    for (size_t i = 0; !rc && i < n_pages; i++) {
        size_t to = i + 1 < n_pages ? pages[i + 1] : (size_t)-1;
        if (to <= from || pages[i] >= from + x->n) continue; /* not in the part asked for */
        start[n] = pages[i] > from ? pages[i] - from : 0;
        to = to - from < x->n ? to - from : x->n;
        read_top(x->text, start[n], to, &page[n].top);
        read_bottom(x->text, start[n], to, &page[n].bottom);
        n++;
    }
    for (size_t i = 0; !rc && i + 1 < n; i++)
        x->gap[x->n_gaps++] = gap_at(x, page, n, i, start[i + 1]);
    ox_free(page);
    ox_free(start);
    return rc;
}

/* --- searching ---------------------------------------------------------------------------------
 */

struct window { /* the text on both sides of a gap, with a line break in its place */
    size_t left, right;
    char *s; /* left + 1 + right bytes */
};

static void cut_window(const cite_index *x, struct cite_gap g, size_t reach, struct window *w) {
    w->left = g.from < reach ? g.from : reach;
    w->right = x->n - g.to < reach ? x->n - g.to : reach;
    while (w->left < g.from && w->left > 0 &&
           ((unsigned char)x->text[g.from - w->left] & 0xC0) == 0x80)
        w->left--;
    while (w->right > 0 && g.to + w->right < x->n &&
           ((unsigned char)x->text[g.to + w->right] & 0xC0) == 0x80)
        w->right--;
    memcpy(w->s, x->text + g.from - w->left, w->left);
    w->s[w->left] = '\n';
    memcpy(w->s + w->left + 1, x->text + g.to, w->right);
}

/* Takes what is found across the gap if it is better than `before`, what a page alone has. */
static int search_gap(struct cite_gap g, const struct window *w, const char *quote, size_t n,
                      enum cite_verdict before, size_t near, struct cite_match *m, ox_err *err) {
    cite_index *part = NULL;
    struct cite_match found = {0};
    int rc = cite_index_new(w->s, w->left + 1 + w->right, &part, err);
    if (!rc) rc = cite_match(part, quote, n, w->left, &found, err);
    cite_index_free(part);
    if (rc || found.verdict == CITE_MISSING) return rc;
    if (found.from >= w->left || found.to <= w->left + 1) return 0; /* on one page */
    if (found.verdict == CITE_EXACT) found.verdict = CITE_FOLDED;
    if (found.verdict >= before || found.verdict > m->verdict) return 0;
    size_t from = g.from - w->left + found.from, far = from > near ? from - near : near - from;
    if (found.verdict < m->verdict) m->n_places = 0;
    m->verdict = found.verdict;
    size_t last = m->from > near ? m->from - near : near - m->from;
    if (m->n_places++ > 0 && last <= far) return 0;
    m->from = from;
    m->to = g.to + found.to - w->left - 1;
    return 0;
}

int cite_search_pages(const cite_index *x, const char *quote, size_t n, size_t near,
                      struct cite_match *m, ox_err *err) {
    size_t reach = 3 * n + 256; /* a line of a page has indents and wide spaces */
    enum cite_verdict before = m->verdict;
    struct window w = {0};
    if (!x->n_gaps || n > CITE_MAX_BYTES) return 0;
    w.s = ox_alloc(2 * reach + 1, 1, "a page end", err);
    int rc = w.s ? 0 : OX_ENOMEM;
    for (size_t i = 0; !rc && i < x->n_gaps; i++) {
        cut_window(x, x->gap[i], reach, &w);
        rc = search_gap(x->gap[i], &w, quote, n, before, near, m, err);
    }
    ox_free(w.s);
    return rc;
}
