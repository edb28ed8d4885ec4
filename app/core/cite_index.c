/* cite_index.c - a document prepared for looking quotations up, and the three searches.
 *
 * Two forms of the text are kept. The spaced form is its bytes with every run of white space as one
 * space: an exact match is equal bytes there. The folded form is a row of code points after
 * compatibility decomposition and case folding, with quotation marks and dashes made alike; both
 * map back to bytes of the document. A hyphen at a line end is kept as a SOFT mark: a quotation may
 * have the hyphen there or not. Apart from cite.c, because how text is compared is one story and
 * where quotations stand in an answer is another. */
#include "app/core/cite_index.h"

#include <string.h>
#include <utf8proc.h>

enum { SOFT = 0x110000 }; /* no code point: matches '-' or nothing */

static bool is_space(int32_t c) {
    return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

bool cite_is_cjk(int32_t c) {
    return (c >= 0x2E80 && c <= 0x9FFF) || (c >= 0xA960 && c <= 0xA97F) ||
           (c >= 0xAC00 && c <= 0xD7FF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0xFF66 && c <= 0xFF9F) || (c >= 0x20000 && c <= 0x3FFFF) ||
           (c >= 0x0E00 && c <= 0x0EFF); /* Thai and Lao are written without spaces too */
}

/* Part of a word that has borders: letters and digits of scripts that put spaces between words. */
static bool is_word(int32_t c) {
    if (c < 0 || c >= SOFT || cite_is_cjk(c)) return false;
    utf8proc_category_t k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_NO);
}

int32_t cite_char(const char *s, size_t n, size_t *len) {
    utf8proc_int32_t c;
    utf8proc_ssize_t got = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &c);
    if (got <= 0) {
        *len = 1;
        return 0xFFFD;
    }
    *len = (size_t)got;
    return c;
}

/* Quotation marks of all kinds are alike, and so are dashes. Double and single ones too: within a
 * quotation the marks of the document become the other kind. */
static int32_t plain_mark(int32_t c) {
    switch (c) {
    case 0x2018:
    case 0x2019:
    case 0x201A:
    case 0x201B:
    case 0x2032:
    case 0x2039:
    case 0x203A:
    case 0x60:
    case 0xB4:
    case 0x2BC:
    case '"':
    case 0x201C:
    case 0x201D:
    case 0x201E:
    case 0x201F:
    case 0x2033:
    case 0xAB:
    case 0xBB: return '\'';
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2015:
    case 0x2212:
    case 0xFE58:
    case 0xFE63:
    case 0xFF0D: return '-';
    default: return c;
    }
}

/* Emphasis marks of Markdown and of plain-text books, and characters that are not seen. */
static bool is_dropped(int32_t c) {
    return c == '_' || c == '*' || c == 0xAD || c == 0xFEFF || (c >= 0x200B && c <= 0x200F);
}

/* ---- building ---------------------------------------------------------------------------------
 */

static int push_folded(struct cite_fold *f, int32_t c, size_t at, size_t end, ox_err *err) {
    if (f->n == f->cap) { /* three arrays of one capacity */
        size_t cap = f->cap, cap_at = f->cap, cap_end = f->cap;
        int rc = ox_grow(&f->c, &cap, f->n + 1, sizeof *f->c, err);
        if (!rc) rc = ox_grow(&f->at, &cap_at, cap, sizeof *f->at, err);
        if (!rc) rc = ox_grow(&f->end, &cap_end, cap, sizeof *f->end, err);
        if (rc) return rc;
        f->cap = cap_at < cap ? cap_at : cap;
        if (cap_end < f->cap) f->cap = cap_end;
    }
    f->c[f->n] = c;
    f->at[f->n] = (uint32_t)at;
    f->end[f->n] = (uint32_t)end;
    f->n++;
    return 0;
}

/* A dash swallows dashes and spaces around it: "a -- b", "a-b" and "a - b" are alike. */
static int push_dash(struct cite_fold *f, size_t at, size_t end, ox_err *err) {
    if (f->n && f->c[f->n - 1] == ' ') f->n--;
    if (f->n && f->c[f->n - 1] == '-') {
        f->end[f->n - 1] = (uint32_t)end;
        return 0;
    }
    return push_folded(f, '-', at, end, err);
}

/* At a hyphen: does a line end follow, and then a letter? *next gets the byte of the letter. */
static bool is_line_hyphen(const char *s, size_t n, size_t i, size_t *next) {
    size_t j = i, len, n_lines = 0;
    while (j < n) {
        int32_t c = cite_char(s + j, n - j, &len);
        if (!is_space(c)) break;
        n_lines += c == '\n';
        j += len;
    }
    if (n_lines != 1 || j == n) return false;
    *next = j;
    return is_word(cite_char(s + j, n - j, &len));
}

static int fold_char(struct cite_fold *f, int32_t c, size_t at, size_t end, ox_err *err) {
    utf8proc_int32_t part[24];
    int last = 0;
    utf8proc_ssize_t n_parts = utf8proc_decompose_char(
        c, part, 24, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD, &last);
    if (n_parts < 0 || n_parts > 24) {
        part[0] = c;
        n_parts = 1;
    }
    for (utf8proc_ssize_t k = 0; k < n_parts; k++) {
        int32_t p = plain_mark(part[k]);
        int rc;
        if (is_dropped(p)) continue;
        if (p == '-')
            rc = push_dash(f, at, end, err);
        else if (is_space(p)) {
            if (!f->n || f->c[f->n - 1] == ' ' || f->c[f->n - 1] == '-') continue;
            rc = push_folded(f, ' ', at, end, err);
        } else
            rc = push_folded(f, p, at, end, err);
        if (rc) return rc;
    }
    return 0;
}

int cite_fold_text(const char *s, size_t n, struct cite_fold *f, ox_err *err) {
    int rc = 0;
    for (size_t i = 0, len; !rc && i < n; i += len) {
        int32_t c = cite_char(s + i, n - i, &len);
        size_t next;
        if ((c == '-' || c == 0x2010 || c == 0xAD) && f->n && is_word(f->c[f->n - 1]) &&
            is_line_hyphen(s, n, i + len, &next)) {
            rc = push_folded(f, SOFT, i, i + len, err);
            len = next - i;
        } else {
            rc = fold_char(f, c, i, i + len, err);
        }
    }
    if (!rc && f->n && f->c[f->n - 1] == ' ') f->n--;
    return rc;
}

void cite_fold_deinit(struct cite_fold *f) {
    ox_free(f->c);
    ox_free(f->at);
    ox_free(f->end);
    *f = (struct cite_fold){0};
}

int cite_space_text(const char *s, size_t n, struct cite_spaced *sp, ox_err *err) {
    sp->s = ox_alloc(n + 1, 1, "a citation index", err);
    sp->at = ox_alloc(n + 1, sizeof *sp->at, "a citation index", err);
    if (!sp->s || !sp->at) return OX_ENOMEM;
    bool in_space = true; /* leading white space is dropped */
    for (size_t i = 0, len; i < n; i += len) {
        bool space = is_space(cite_char(s + i, n - i, &len));
        if (space && in_space) continue;
        in_space = space;
        for (size_t k = 0; k < (space ? 1 : len); k++) {
            sp->at[sp->n] = (uint32_t)(i + k);
            sp->s[sp->n++] = space ? ' ' : s[i + k];
        }
    }
    if (sp->n && sp->s[sp->n - 1] == ' ') sp->n--;
    return 0;
}

void cite_spaced_deinit(struct cite_spaced *sp) {
    ox_free(sp->s);
    ox_free(sp->at);
    *sp = (struct cite_spaced){0};
}

int cite_index_new(const char *text, size_t n, cite_index **out, ox_err *err) {
    if (n > (size_t)1 << 30)
        return ox_err_set(err, OX_EFIT, "a document of %zu bytes is too long to check", n);
    cite_index *x = ox_alloc(1, sizeof *x, "a citation index", err);
    if (!x) return OX_ENOMEM;
    x->text = text;
    x->n = n;
    int rc = cite_space_text(text, n, &x->spaced, err);
    if (!rc) rc = cite_fold_text(text, n, &x->fold, err);
    if (rc) {
        cite_index_free(x);
        return rc;
    }
    *out = x;
    return 0;
}

void cite_index_free(cite_index *x) {
    if (!x) return;
    cite_spaced_deinit(&x->spaced);
    cite_fold_deinit(&x->fold);
    ox_free(x->gap);
    ox_free(x);
}

/* ---- searching --------------------------------------------------------------------------------
 */

/* True if cutting the document at byte `at` cuts a word in two. */
static bool cuts_word(const cite_index *x, size_t at) {
    if (at == 0 || at >= x->n) return false;
    size_t before = at - 1, len;
    while (before > 0 && ((unsigned char)x->text[before] & 0xC0) == 0x80)
        before--;
    return is_word(cite_char(x->text + before, at - before, &len)) &&
           is_word(cite_char(x->text + at, x->n - at, &len));
}

static size_t distance(size_t a, size_t b) {
    return a > b ? a - b : b - a;
}

/* Counts a place and keeps it if it is the nearest so far. */
static void take_place(struct cite_match *m, enum cite_verdict v, size_t from, size_t to,
                       size_t near) {
    if (m->n_places == 0 || distance(from, near) < distance(m->from, near)) {
        m->from = from;
        m->to = to;
    }
    m->verdict = v;
    if (m->n_places < 1000) m->n_places++;
}

void cite_search_exact(const cite_index *x, const struct cite_spaced *q, size_t near,
                       struct cite_match *m) {
    const char *s = x->spaced.s;
    size_t n = x->spaced.n;
    if (q->n == 0 || q->n > n) return;
    for (size_t i = 0; i + q->n <= n; i++) {
        const char *hit = memchr(s + i, q->s[0], n - q->n - i + 1);
        if (!hit) return;
        i = (size_t)(hit - s);
        if (memcmp(hit, q->s, q->n) != 0) continue;
        size_t from = x->spaced.at[i], to = (size_t)x->spaced.at[i + q->n - 1] + 1;
        if (!cuts_word(x, from) && !cuts_word(x, to)) take_place(m, CITE_EXACT, from, to, near);
    }
}

/* Compares q with the folded text from i on; returns the index behind the match, or 0. */
static size_t folded_end(const struct cite_fold *t, size_t i, const struct cite_fold *q) {
    for (size_t k = 0; k < q->n; k++) {
        int32_t want = q->c[k] == SOFT ? '-' : q->c[k];
        if (i < t->n && t->c[i] == SOFT) {
            if (q->c[k] == SOFT ||
                want == '-') { /* the hyphen was kept, or is a line end there too */
                i++;
                continue;
            }
            i++;
        }
        if (i < t->n && t->c[i] == want)
            i++;
        else if (q->c[k] != SOFT)
            return 0; /* a line-end hyphen of the quotation may be left out */
    }
    return i;
}

void cite_search_folded(const cite_index *x, const struct cite_fold *q, size_t near,
                        struct cite_match *m) {
    const struct cite_fold *t = &x->fold;
    if (q->n == 0) return;
    for (size_t i = 0; i < t->n; i++) {
        if (t->c[i] != q->c[0]) continue;
        size_t end = folded_end(t, i, q);
        if (!end || cuts_word(x, t->at[i]) || cuts_word(x, t->end[end - 1])) continue;
        take_place(m, CITE_FOLDED, t->at[i], t->end[end - 1], near);
    }
}

/* ---- approximate search: Myers' bit vectors over 64-character blocks ---------------------------
 */

enum { MAX_BLOCKS = CITE_MAX_BYTES / 64 };

struct pattern {
    const int32_t *c;
    size_t n, n_blocks;
    uint64_t ascii[128][MAX_BLOCKS]; /* bit k: character k of the pattern is this one */
    int32_t *other;                  /* distinct characters from 128 up */
    uint64_t (*other_bits)[MAX_BLOCKS];
    size_t n_other;
};

static const uint64_t no_bits[MAX_BLOCKS];

static const uint64_t *pattern_bits(const struct pattern *p, int32_t c) {
    if (c >= 0 && c < 128) return p->ascii[c];
    for (size_t i = 0; i < p->n_other; i++)
        if (p->other[i] == c) return p->other_bits[i];
    return no_bits;
}

static int pattern_init(struct pattern *p, const int32_t *c, size_t n, ox_err *err) {
    memset(p->ascii, 0, sizeof p->ascii);
    p->c = c;
    p->n = n;
    p->n_blocks = (n + 63) / 64;
    p->n_other = 0;
    p->other = ox_alloc(n, sizeof *p->other, "a quotation", err);
    p->other_bits = ox_alloc(n, sizeof *p->other_bits, "a quotation", err);
    if (!p->other || !p->other_bits) return OX_ENOMEM;
    for (size_t k = 0; k < n; k++) {
        uint64_t bit = (uint64_t)1 << (k % 64);
        if (c[k] < 128) {
            p->ascii[c[k]][k / 64] |= bit;
            continue;
        }
        size_t i = 0;
        while (i < p->n_other && p->other[i] != c[k])
            i++;
        if (i == p->n_other) p->other[p->n_other++] = c[k];
        p->other_bits[i][k / 64] |= bit;
    }
    return 0;
}

static void pattern_deinit(struct pattern *p) {
    ox_free(p->other);
    ox_free(p->other_bits);
}

/* State of one column of the edit-distance matrix: vertical +1 and -1 steps as bits. */
struct column {
    uint64_t plus[MAX_BLOCKS], minus[MAX_BLOCKS];
    int score; /* distance of the whole pattern to a text that ends here */
};

static void column_start(struct column *v, const struct pattern *p) {
    for (size_t b = 0; b < p->n_blocks; b++) {
        v->plus[b] = ~(uint64_t)0;
        v->minus[b] = 0;
    }
    v->score = (int)p->n;
}

/* Takes one character of the text. anchored: the text begins at its first character, so that the
 * cost of the empty pattern grows; else a match may begin anywhere. */
static void column_step(struct column *v, const struct pattern *p, int32_t c, bool anchored) {
    const uint64_t *bits = pattern_bits(p, c);
    int carry = anchored ? 1 : 0; /* horizontal step into the block from above */
    uint64_t last = (uint64_t)1 << ((p->n - 1) % 64);
    for (size_t b = 0; b < p->n_blocks; b++) {
        uint64_t pv = v->plus[b], mv = v->minus[b], eq = bits[b];
        uint64_t xv = eq | mv;
        if (carry < 0) eq |= 1;
        uint64_t xh = (((eq & pv) + pv) ^ pv) | eq;
        uint64_t ph = mv | ~(xh | pv), mh = pv & xh;
        uint64_t top = b + 1 == p->n_blocks ? last : (uint64_t)1 << 63;
        int out = (ph & top) ? 1 : (mh & top) ? -1 : 0;
        ph = ph << 1 | (carry > 0 ? 1 : 0);
        mh = mh << 1 | (carry < 0 ? 1 : 0);
        v->plus[b] = mh | ~(xv | ph);
        v->minus[b] = ph & xv;
        carry = out;
    }
    v->score += carry;
}

/* Where a match of distance `best` that ends behind index `end` begins: the same search backwards,
 * to the first start that does not cut a word. `end` itself if there is none. */
static size_t match_start(const cite_index *x, size_t end, const struct pattern *back, int best) {
    struct column v;
    column_start(&v, back);
    for (size_t i = end; i > 0 && end - i <= back->n + (size_t)best; i--) {
        column_step(&v, back, x->fold.c[i - 1], true);
        if (v.score <= best && x->fold.c[i - 1] != ' ' && !cuts_word(x, x->fold.at[i - 1]))
            return i - 1;
    }
    return end;
}

int cite_search_near(const cite_index *x, const struct cite_fold *q, size_t near,
                     struct cite_match *m, ox_err *err) {
    int limit = (int)(q->n / 10); /* one character in ten */
    if (limit == 0 || q->n > CITE_MAX_BYTES) return 0;
    const struct cite_fold *t = &x->fold;
    struct pattern *p = ox_alloc(2, sizeof *p, "a quotation", err);
    int32_t *back = ox_alloc(q->n, sizeof *back, "a quotation", err);
    int rc = p && back ? 0 : OX_ENOMEM;
    if (rc) goto out;
    for (size_t k = 0; k < q->n; k++)
        back[k] = q->c[q->n - 1 - k];
    rc = pattern_init(&p[0], q->c, q->n, err);
    if (!rc) rc = pattern_init(&p[1], back, q->n, err);
    if (rc) goto out;

    struct column v;
    column_start(&v, &p[0]);
    int best = limit + 1;
    size_t last_end = 0; /* behind the last place taken: its neighbours are the same place */
    for (size_t i = 0; i < t->n; i++) {
        column_step(&v, &p[0], t->c[i], false);
        if (v.score > limit || v.score > best || t->c[i] == ' ' || cuts_word(x, t->end[i]))
            continue;
        size_t start = match_start(x, i + 1, &p[1], v.score);
        if (start > i || (v.score == best && start < last_end)) continue;
        if (v.score < best) m->n_places = 0; /* a better one: forget the others */
        best = v.score;
        last_end = i + 1;
        take_place(m, CITE_NEAR, t->at[start], t->end[i], near);
    }
out:
    if (p) {
        pattern_deinit(&p[0]);
        pattern_deinit(&p[1]);
    }
    ox_free(p);
    ox_free(back);
    return rc;
}
