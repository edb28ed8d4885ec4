/* cite.c - quotations in an answer, and the verdict on each. How texts are compared: cite_index.c.
 */
#include "app/core/cite.h"

#include "app/core/cite_index.h"

#include <string.h>

/* Opening marks and the closing marks that fit them. The same mark may open in one language and
 * close in another, so a row says what a mark closes with when it opens. */
static const struct {
    int32_t open, close[2];
} marks[] = {
    {'"', {'"', 0x201D}},       {0x201C, {0x201D, '"'}},    {0x201E, {0x201C, 0x201D}},
    {0xAB, {0xBB, 0xBB}},       {0xBB, {0xAB, 0xAB}},       {0x2018, {0x2019, '\''}},
    {0x201A, {0x2018, 0x2019}}, {'\'', {'\'', 0x2019}},     {0x300C, {0x300D, 0x300D}},
    {0x300E, {0x300F, 0x300F}}, {0x2039, {0x203A, 0x203A}},
};

static bool is_blank_char(int32_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0xA0 || c == 0x202F ||
           c == 0x3000;
}

/* May stand between a quotation mark and the word before or behind the quotation. */
static bool is_word_like(int32_t c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (c >= 0xC0 && c < 0x2000);
}

static int32_t char_before(const char *s, size_t i) {
    if (i == 0) return ' ';
    size_t b = i - 1, len;
    while (b > 0 && ((unsigned char)s[b] & 0xC0) == 0x80)
        b--;
    return cite_char(s + b, i - b, &len);
}

static int32_t char_at(const char *s, size_t n, size_t i) {
    size_t len;
    return i < n ? cite_char(s + i, n - i, &len) : ' ';
}

/* The row of an opening mark at byte i, or -1. A straight mark opens only before a visible
 * character and not behind a letter: 5" and don't open nothing. French has a space within its
 * marks.
 */
static int opens_at(const char *s, size_t n, size_t i, size_t len, int32_t c) {
    for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++) {
        if (marks[k].open != c) continue;
        bool straight = c == '"' || c == '\'' || c == 0x2018;
        bool french = c == 0xAB || c == 0x2039;
        int32_t next = char_at(s, n, i + len);
        if (is_blank_char(next) && !(french && next != '\n')) return -1;
        if (straight && is_word_like(char_before(s, i))) return -1;
        return (int)k;
    }
    return -1;
}

/* A single mark inside a word, or behind one with a letter following, is an apostrophe. */
static bool closes_at(const char *s, size_t n, size_t i, size_t len, int32_t c, int row) {
    if (c != marks[row].close[0] && c != marks[row].close[1]) return false;
    if ((c == '\'' || c == 0x2019) && is_word_like(char_at(s, n, i + len))) return false;
    return !is_blank_char(char_before(s, i)) || c > 127;
}

/* The end of code that begins at byte i: behind the closing backticks, or n if they are open.
 * Returns i if no code begins here. */
static size_t skip_code(const char *s, size_t n, size_t i) {
    size_t ticks = 0;
    while (i + ticks < n && s[i + ticks] == '`')
        ticks++;
    if (ticks == 0) return i;
    for (size_t j = i + ticks; j < n; j++) {
        if (ticks < 3 && s[j] == '\n' && j + 1 < n && s[j + 1] == '\n') return i + ticks;
        if (s[j] != '`') continue;
        size_t run = 0;
        while (j + run < n && s[j + run] == '`')
            run++;
        if (run == ticks) return j + run;
        j += run - 1;
    }
    return ticks >= 3 ? n : i + ticks;
}

/* The byte of the closing mark of the quotation that opened before `from`; n if none. Marks of the
 * same kind nest; a blank line ends the search, since a quotation does not cross paragraphs. */
static size_t find_close(const char *s, size_t n, size_t from, int row, size_t *len_out) {
    int depth = 0;
    for (size_t i = from, len; i < n && i - from <= CITE_MAX_BYTES; i += len) {
        int32_t c = cite_char(s + i, n - i, &len);
        if (c == '\n' && i + 1 < n && s[i + 1] == '\n') return n;
        if (closes_at(s, n, i, len, c, row)) {
            if (depth == 0) {
                *len_out = len;
                return i;
            }
            depth--;
        } else if (c == marks[row].open && c > 127 && c != 0x2018) {
            depth++;
        }
    }
    return n;
}

/* Four words, or eight characters of a script that has no spaces. */
static bool is_long_enough(const char *s, size_t n) {
    size_t words = 0, cjk = 0;
    bool in_word = false;
    for (size_t i = 0, len; i < n; i += len) {
        int32_t c = cite_char(s + i, n - i, &len);
        bool blank = is_blank_char(c);
        words += !blank && !in_word;
        in_word = !blank;
        cjk += cite_is_cjk(c);
    }
    return words >= CITE_MIN_WORDS || cjk >= CITE_MIN_CJK;
}

bool cite_next_quote(const char *answer, size_t n, size_t from, size_t *quote_from,
                     size_t *quote_to) {
    for (size_t i = 0, len; i < n; i += len) {
        int32_t c = cite_char(answer + i, n - i, &len);
        if (c == '`') {
            len = skip_code(answer, n, i) - i;
            continue;
        }
        int row = opens_at(answer, n, i, len, c);
        if (row < 0) continue;
        size_t mark = 0, close = find_close(answer, n, i + len, row, &mark);
        if (close == n) continue; /* open, or no quotation at all */
        size_t a = i + len, b = close;
        len = close + mark - i;
        if (close < from || !is_long_enough(answer + a, b - a)) continue;
        *quote_from = a;
        *quote_to = b;
        return true;
    }
    return false;
}

int cite_match(const cite_index *x, const char *quote, size_t n, size_t near,
               struct cite_match *out, ox_err *err) {
    struct cite_match m = {.verdict = CITE_MISSING};
    struct cite_spaced spaced = {0};
    struct cite_fold fold = {0};
    int rc = cite_space_text(quote, n, &spaced, err);
    if (rc) goto out;
    cite_search_exact(x, &spaced, near, &m);
    if (m.n_places) goto out;
    rc = cite_fold_text(quote, n, &fold, err);
    if (rc) goto out;
    cite_search_folded(x, &fold, near, &m);
    if (m.n_places) goto out;
    rc = cite_search_near(x, &fold, near, &m, err);
    if (!rc) rc = cite_search_pages(x, quote, n, near, &m, err);
out:
    if (!rc) *out = m;
    cite_spaced_deinit(&spaced);
    cite_fold_deinit(&fold);
    return rc;
}

int cite_find(const char *answer, size_t n, size_t from, const cite_index *const *docs,
              size_t n_docs, struct cite_list *out, ox_err *err) {
    size_t n_before = out->n;
    struct cite c;
    int rc = 0;
    for (size_t at = from; !rc && cite_next_quote(answer, n, at, &c.quote_from, &c.quote_to);) {
        at = c.quote_to + 1;
        const struct cite *last = NULL; /* the last citation that was found somewhere */
        for (size_t k = out->n; k > 0 && !last; k--)
            if (out->v[k - 1].verdict != CITE_MISSING) last = &out->v[k - 1];
        c.verdict = CITE_MISSING;
        c.from = c.to = c.doc = c.n_places = 0;
        for (size_t d = 0; !rc && d < n_docs; d++) {
            struct cite_match m;
            rc = cite_match(docs[d], answer + c.quote_from, c.quote_to - c.quote_from,
                            last && last->doc == d ? last->from : 0, &m, err);
            if (rc || m.verdict == CITE_MISSING) continue;
            bool here = last && last->doc == d; /* of equals, the document quoted last */
            if (m.verdict < c.verdict || (m.verdict == c.verdict && here)) {
                size_t others = m.verdict == c.verdict ? c.n_places : 0;
                c = (struct cite){c.quote_from,        c.quote_to, m.from, m.to, d,
                                  m.n_places + others, m.verdict};
            } else if (m.verdict == c.verdict) {
                c.n_places += m.n_places;
            }
        }
        if (!rc) rc = ox_grow(&out->v, &out->cap, out->n + 1, sizeof *out->v, err);
        if (!rc) out->v[out->n++] = c;
    }
    if (rc) out->n = n_before;
    return rc;
}

/* Reads a number of at most nine digits; false if there is none. */
static bool read_number(const char *s, size_t n, size_t *i, size_t *value) {
    size_t at = *i, v = 0;
    while (at < n && s[at] >= '0' && s[at] <= '9' && at - *i < 9)
        v = v * 10 + (size_t)(s[at++] - '0');
    if (at == *i) return false;
    *i = at;
    *value = v;
    return true;
}

static bool skip_text(const char *s, size_t n, size_t *i, const char *word) {
    size_t len = strlen(word);
    if (n - *i < len || memcmp(s + *i, word, len) != 0) return false;
    *i += len;
    return true;
}

bool cite_claim(const char *text, size_t n, size_t from, size_t *line_from, size_t *line_to,
                size_t *end) {
    size_t i = from, first = 0, last = 0;
    while (i < n && i - from < 3 && (text[i] == ' ' || text[i] == ','))
        i++;
    bool bracket = skip_text(text, n, &i, "["), round = !bracket && skip_text(text, n, &i, "(");
    bool word = skip_text(text, n, &i, "lines ") || skip_text(text, n, &i, "line ") ||
                skip_text(text, n, &i, "Lines ") || skip_text(text, n, &i, "Line ");
    if (!word && !bracket) return false;
    if (!read_number(text, n, &i, &first)) return false;
    if (bracket && !word && i < n && text[i] == ':') { /* [document: lines] */
        i++;
        while (i < n && text[i] == ' ')
            i++;
        if (!read_number(text, n, &i, &first)) return false;
    } else if (bracket && !word) {
        return false; /* [3] is a footnote, not a line */
    }
    last = first;
    if (skip_text(text, n, &i, "-") || skip_text(text, n, &i, "\xE2\x80\x93") ||
        skip_text(text, n, &i, " to "))
        if (!read_number(text, n, &i, &last)) return false;
    if (bracket && !skip_text(text, n, &i, "]")) return false;
    if (round && !skip_text(text, n, &i, ")")) return false;
    *line_from = first;
    *line_to = last;
    *end = i;
    return true;
}

const char *cite_verdict_name(enum cite_verdict v) {
    switch (v) {
    case CITE_EXACT: return "exact";
    case CITE_FOLDED: return "folded";
    case CITE_NEAR: return "near";
    case CITE_MISSING: return "missing";
    case CITE_NONE: break;
    }
    return "none";
}
