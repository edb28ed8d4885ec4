/* chunk.c - see chunk.h. */
#include "app/core/chunk.h"

#include "app/core/text.h"

#include <string.h>

static size_t line_end(const char *text, size_t n, size_t at) {
    const char *lf = at < n ? memchr(text + at, '\n', n - at) : NULL;
    return lf ? (size_t)(lf - text) : n;
}

static bool is_blank(const char *text, size_t from, size_t to) {
    while (from < to && (text[from] == ' ' || text[from] == '\t'))
        from++;
    return from == to;
}

/* The line that ends before byte `at` (a line start) is blank, or there is none. */
static bool blank_before(const char *text, size_t at) {
    if (at == 0) return true;
    size_t end = at - 1, from = end;
    while (from > 0 && text[from - 1] != '\n')
        from--;
    return is_blank(text, from, end);
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* "=====" or "-----" under the line: a Markdown heading of level 1 or 2. */
static int underline_level(const char *text, size_t n, size_t from) {
    if (from >= n) return 0;
    size_t end = line_end(text, n, from), i = from;
    char c = text[from];
    if (c != '=' && c != '-') return 0;
    while (i < end && text[i] == c)
        i++;
    return i - from >= 3 && is_blank(text, i, end) ? (c == '=' ? 1 : 2) : 0;
}

static bool starts_with_word(const char *s, size_t n, const char *word) {
    size_t k = strlen(word);
    if (n <= k || s[k] != ' ') return false;
    for (size_t i = 0; i < k; i++)
        if ((s[i] | 32) != (word[i] | 32)) return false;
    return is_upper(s[0]);
}

/* A title by its look: "CHAPTER IV.", "LECTURE II. A CANDLE", "3.2  Packet format". 0: none. */
static int title_level(const char *s, size_t n) {
    static const char *const big[] = {"chapter", "part", "book", "lecture", "section", "appendix"};
    for (size_t i = 0; i < sizeof big / sizeof big[0]; i++)
        if (starts_with_word(s, n, big[i]) && n < 80) return i == 1 || i == 2 ? 1 : 2;
    size_t i = 0, dots = 0, upper = 0, lower = 0;
    while (i < n && (is_digit(s[i]) || (s[i] == '.' && i > 0)))
        dots += s[i++] == '.';
    if (i > 0 && i < n && s[i] == ' ' && s[n - 1] != '.' && n < 80) {
        while (i < n && s[i] == ' ')
            i++;
        if (i < n && is_upper(s[i])) {
            bool trailing = dots > 0 && memchr(s, '.', i) && s[i - 1] == ' ';
            size_t depth = dots + (trailing && s[i - 2] == '.' ? 0 : 1);
            return depth < 1 ? 1 : depth > 6 ? 6 : (int)depth;
        }
    }
    for (i = 0; i < n; i++) {
        upper += is_upper(s[i]);
        lower += s[i] >= 'a' && s[i] <= 'z';
    }
    return upper >= 4 && lower == 0 && n < 72 ? 2 : 0;
}

bool chunk_heading(const char *text, size_t n, size_t at, size_t *from, size_t *to, int *level) {
    size_t end = line_end(text, n, at), a = at, b = end;
    if (is_blank(text, at, end) || end - at > 200) return false;
    if (text[at] == '#') {
        while (a < end && text[a] == '#')
            a++;
        size_t marks = a - at;
        if (marks > 6 || a == end || text[a] != ' ') return false;
        while (b > a && (text[b - 1] == '#' || text[b - 1] == ' '))
            b--;
        while (a < b && text[a] == ' ')
            a++;
        *level = (int)marks;
    } else {
        while (b > a && (text[b - 1] == ' ' || text[b - 1] == '\t'))
            b--;
        int under = underline_level(text, n, end < n ? end + 1 : n);
        if (under && text[at] != ' ' && text[at] != '\t' && text[at] != '-' &&
            blank_before(text, at)) {
            *level = under;
        } else {
            if (!blank_before(text, at)) return false;
            size_t next = end < n ? end + 1 : n;
            if (next < n && !is_blank(text, next, line_end(text, n, next))) return false;
            while (a < b && text[a] == ' ')
                a++;
            *level = title_level(text + a, b - a);
            if (!*level) return false;
        }
    }
    if (a >= b) return false;
    *from = a;
    *to = b;
    return true;
}

/* How good a cut before byte `at` (> from) would be; 0: not at all. */
enum cut {
    CUT_NONE,
    CUT_CHAR,
    CUT_WORD,
    CUT_LINE,
    CUT_SENTENCE,
    CUT_MARGIN,
    CUT_BLANK,
    CUT_HEADING
};

static enum cut cut_at(const char *text, size_t n, size_t at) {
    char before = text[at - 1];
    if (((unsigned char)text[at] & 0xC0) == 0x80) return CUT_NONE;
    if (before != '\n') {
        if (before != ' ' || text[at] == ' ') return CUT_CHAR;
        char end = at > 1 ? text[at - 2] : ' ';
        return end == '.' || end == '!' || end == '?' ? CUT_SENTENCE : CUT_WORD;
    }
    size_t a, b;
    int level;
    size_t end = line_end(text, n, at);
    if (chunk_heading(text, n, at, &a, &b, &level)) return CUT_HEADING;
    if (is_blank(text, at, end)) return CUT_LINE; /* keep blank lines with what is before them */
    if (blank_before(text, at)) return CUT_BLANK;
    size_t last = at - 1; /* the last visible byte of the line before */
    while (last > 0 && (text[last - 1] == ' ' || text[last - 1] == '\t'))
        last--;
    if (text[at] != ' ' && text[at] != '\t' && last > 0 && text[last - 1] == '}') return CUT_MARGIN;
    char c = last > 0 ? text[last - 1] : ' ';
    return c == '.' || c == '!' || c == '?' ? CUT_SENTENCE : CUT_LINE;
}

/* The best place in [lo, hi]; of headings the first (a section stays together), else the last. */
static size_t best_cut(const char *text, size_t n, size_t lo, size_t hi) {
    size_t best_at = hi;
    enum cut best = CUT_NONE;
    for (size_t at = lo; at <= hi; at++) {
        enum cut c = cut_at(text, n, at);
        if (c > best || (c == best && c != CUT_HEADING && c != CUT_NONE)) {
            best = c;
            best_at = at;
        }
        if (best == CUT_HEADING) break;
    }
    return best_at;
}

/* The heading in force at the chunk's first visible words: one that stands there, else the last one
 * inside the chunk before, else the one in force there. */
static void find_heading(const char *text, size_t n, const struct chunk *last, struct chunk *c) {
    c->heading_from = last->heading_from;
    c->heading_to = last->heading_to;
    size_t at = last->from, a, b;
    int level;
    while (at < c->to) {
        size_t end = line_end(text, n, at);
        bool first_words = at >= c->from && !is_blank(text, at, end);
        bool line_start = at == 0 || text[at - 1] == '\n';
        if (line_start && chunk_heading(text, n, at, &a, &b, &level)) {
            c->heading_from = a;
            c->heading_to = b;
        }
        if (first_words) return;
        at = end + 1;
    }
}

size_t chunk_page(const size_t *pages, size_t n_pages, size_t byte) {
    size_t n = 0, behind = n_pages; /* pages[n - 1] <= byte < pages[behind] */
    while (n < behind) {
        size_t mid = (n + behind) / 2;
        if (pages[mid] <= byte)
            n = mid + 1;
        else
            behind = mid;
    }
    return n;
}

bool chunk_next(struct chunk_walk *w, const char *text, size_t n, const size_t *pages,
                size_t n_pages, struct chunk *out) {
    struct chunk c = {.from = w->last.to, .line = w->next_line ? w->next_line : 1};
    if (c.from >= n) return false;
    while (w->next_page < n_pages && pages[w->next_page] <= c.from)
        w->next_page++;
    c.page = w->next_page;
    size_t stop = w->next_page < n_pages ? pages[w->next_page] : n;
    if (stop > n) stop = n;
    if (stop - c.from <= CHUNK_MAX_BYTES) {
        c.to = stop; /* but a heading in it starts a chunk of its own if both halves are large
                        enough */
        if (stop - c.from > 2 * CHUNK_MIN_BYTES) {
            size_t cut = best_cut(text, n, c.from + CHUNK_MIN_BYTES, stop - CHUNK_MIN_BYTES);
            if (cut_at(text, n, cut) == CUT_HEADING) c.to = cut;
        }
    } else {
        c.to = best_cut(text, n, c.from + CHUNK_MIN_BYTES, c.from + CHUNK_MAX_BYTES);
        if (((unsigned char)text[c.to] & 0xC0) == 0x80)
            c.to = c.from + text_floor(text + c.from, n - c.from, c.to - c.from);
    }
    find_heading(text, n, &w->last, &c);
    w->next_line = c.line;
    for (const char *p = text + c.from; (p = memchr(p, '\n', (size_t)(text + c.to - p))); p++)
        w->next_line++;
    w->last = c;
    *out = c;
    return true;
}
