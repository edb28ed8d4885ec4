/* text.c - see text.h. Apart, because "what may reach the terminal" must have one answer. */
#include "app/core/text.h"

#include "app/core/ambiguous.h"

#include <string.h>
#include <utf8proc.h>

size_t text_next(const char *s, size_t n, int32_t *cp) {
    const unsigned char *p = (const unsigned char *)s;
    *cp = -1;
    if (n == 0) return 0;
    unsigned lead = p[0];
    if (lead < 0x80) {
        *cp = (int32_t)lead;
        return 1;
    }
    /* Table 3-7 of the Unicode standard: the second byte's range depends on the first. */
    size_t len = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4) return 1;
    unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    int32_t value = (int32_t)(lead & (0xFFU >> (len + 1)));
    for (size_t i = 1; i < len; i++) {
        if (i >= n || p[i] < low || p[i] > high) return i;
        value = value << 6 | (int32_t)(p[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    *cp = value;
    return len;
}

size_t text_valid(const char *s, size_t n) {
    size_t at = 0;
    while (at < n) {
        int32_t cp;
        size_t len = text_next(s + at, n - at, &cp);
        if (cp < 0) break;
        at += len;
    }
    return at;
}

size_t text_floor(const char *s, size_t len, size_t n) {
    if (n >= len) return len;
    while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80)
        n--;
    return n;
}

uint64_t text_hash(uint64_t h, const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return h;
}

int text_put(struct buf *out, int32_t cp, ox_err *err) {
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(cp, bytes);
    return buf_add(out, bytes, (size_t)n, err);
}

static bool is_bidi_control(int32_t cp) {
    return cp == 0x061C || cp == 0x200E || cp == 0x200F || (cp >= 0x202A && cp <= 0x202E) ||
           (cp >= 0x2066 && cp <= 0x2069);
}

bool text_is_control(int32_t cp) {
    return (cp >= 0 && cp < 0x20) || (cp >= 0x7F && cp < 0xA0) || is_bidi_control(cp);
}

/* The value of a surrogate that somebody encoded as three bytes, else -1. */
static int32_t surrogate_at(const char *s, size_t n) {
    const unsigned char *p = (const unsigned char *)s;
    if (n < 3 || p[0] != 0xED || p[1] < 0xA0 || p[1] > 0xBF || (p[2] & 0xC0) != 0x80) return -1;
    return 0xD000 | (int32_t)(p[1] & 0x3F) << 6 | (int32_t)(p[2] & 0x3F);
}

int text_show(struct buf *out, const char *s, size_t n, enum text_form form, ox_err *err) {
    size_t start = out->n, clean = 0, at = 0; /* clean: where the bytes not yet copied begin */
    int rc = 0;
    while (!rc && at < n) {
        int32_t cp;
        size_t len = text_next(s + at, n - at, &cp);
        bool kept =
            cp >= 0 && (!text_is_control(cp) || (form == TEXT_LINES && (cp == '\n' || cp == '\t')));
        if (kept) {
            at += len;
            continue;
        }
        rc = buf_add(out, s + clean, at - clean, err);
        if (cp < 0) {
            cp = surrogate_at(s + at, n - at);
            if (cp >= 0) len = 3;
        }
        if (!rc && cp < 0) rc = buf_puts(out, "\xEF\xBF\xBD", err);
        if (!rc && cp >= 0) rc = buf_printf(out, err, "<%02X>", (unsigned)cp);
        at += len;
        clean = at;
    }
    if (!rc) rc = buf_add(out, s + clean, at - clean, err);
    if (rc) buf_cut(out, start);
    return rc;
}

static bool is_regional(int32_t cp) {
    return cp >= 0x1F1E6 && cp <= 0x1F1FF;
}

/* Like the locale: of the process, set before there is a second thread. */
static int ambiguous_cells = 1;

void text_set_ambiguous(int cells) {
    ambiguous_cells = cells == 2 ? 2 : 1;
}

static int width_of(int32_t cp) {
    return ambiguous_cells == 2 && cp >= 0xA1 && ambiguous_is(cp) ? 2 : utf8proc_charwidth(cp);
}

size_t text_cluster(const char *s, size_t n, int *width) {
    int32_t cp, prev;
    utf8proc_int32_t state = 0;
    size_t at = text_next(s, n, &cp);
    *width = 0;
    if (at == 0 || cp == '\n' || cp == '\t') return at;
    if (cp < 0) cp = 0xFFFD;
    int32_t first = cp;
    int cells = text_is_control(cp) ? 0 : width_of(cp);
    while (at < n) {
        prev = cp;
        size_t len = text_next(s + at, n - at, &cp);
        if (cp < 0 || utf8proc_grapheme_break_stateful(prev, cp, &state)) break;
        int w = width_of(cp);
        if (cp == 0xFE0F)
            cells = 2; /* drawn as emoji */
        else if (cp == 0xFE0E && cells == 2)
            cells = 1; /* drawn as text */
        else if (is_regional(first) && is_regional(cp))
            cells = 2; /* a flag */
        else if (cells < w)
            cells = w; /* a mark never makes it narrower */
        at += len;
    }
    *width = cells > 2 ? 2 : cells;
    return at;
}

size_t text_fit(const char *s, size_t n, size_t cells, size_t *used) {
    size_t at = 0, sum = 0;
    while (at < n) {
        int w;
        size_t len = text_cluster(s + at, n - at, &w);
        if (sum + (size_t)w > cells) break;
        sum += (size_t)w;
        at += len;
    }
    if (used) *used = sum;
    return at;
}

size_t text_cells(const char *s, size_t n) {
    size_t used;
    text_fit(s, n, SIZE_MAX / 2, &used);
    return used;
}

size_t text_prev_cluster(const char *s, size_t at) {
    /* Clusters have no way back: start at a place that surely begins one (behind an ASCII character
     * of the line, or 256 bytes before) and walk forward. */
    size_t from = at > 256 ? text_floor(s, at, at - 256) : 0;
    for (size_t i = at > 1 ? at - 1 : 0; i > from; i--)
        if ((unsigned char)s[i] < 0x80 && (unsigned char)s[i - 1] < 0x80) {
            from = i;
            break;
        }
    size_t last = from;
    while (from < at) {
        int w;
        last = from;
        from += text_cluster(s + from, at - from, &w);
    }
    return last;
}

int text_brief(struct buf *out, const char *s, size_t n, size_t cells, ox_err *err) {
    struct buf line = {0};
    int rc = text_show(&line, s, n, TEXT_LINE, err);
    if (!rc && text_cells(buf_str(&line), line.n) <= cells)
        rc = buf_add(out, buf_str(&line), line.n, err);
    else if (!rc) {
        size_t fit = text_fit(buf_str(&line), line.n, cells > 3 ? cells - 3 : 0, NULL);
        rc = buf_add(out, buf_str(&line), fit, err);
        if (!rc) rc = buf_add(out, "...", cells < 3 ? cells : 3, err);
    }
    buf_deinit(&line);
    return rc;
}

int text_json(struct buf *out, const char *s, size_t n, ox_err *err) {
    size_t start = out->n, at = 0;
    int rc = buf_putc(out, '"', err);
    while (!rc && at < n) {
        int32_t cp;
        size_t len = text_next(s + at, n - at, &cp);
        if (cp < 0)
            rc = buf_puts(out, "\xEF\xBF\xBD", err);
        else if (cp == '\n')
            rc = buf_puts(out, "\\n", err);
        else if (cp == '\t')
            rc = buf_puts(out, "\\t", err);
        else if (text_is_control(cp))
            rc = buf_printf(out, err, "\\u%04x", (unsigned)cp);
        else if (cp == '"' || cp == '\\')
            rc = buf_printf(out, err, "\\%c", (char)cp);
        else
            rc = buf_add(out, s + at, len, err);
        at += len;
    }
    if (!rc) rc = buf_putc(out, '"', err);
    if (rc) buf_cut(out, start);
    return rc;
}

size_t text_distance(const char *a, const char *b) {
    enum { MAX = 64 };
    size_t d[MAX][MAX], na = strnlen(a, MAX - 1), nb = strnlen(b, MAX - 1);
    for (size_t i = 0; i <= na; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= nb; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= na; i++)
        for (size_t j = 1; j <= nb; j++) {
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[na][nb];
}

bool text_is_near(const char *a, const char *b) {
    size_t d = text_distance(a, b), n = strlen(a);
    return d > 0 && (d <= 2 && n > d + 1);
}
