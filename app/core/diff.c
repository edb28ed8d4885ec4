/* diff.c - see diff.h. */
#include "app/core/diff.h"

#include "app/core/text.h"

#include <string.h>

/* ---- words --------------------------------------------------------------------------------------
 */

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Part of a longer word: letters and digits, and what is not ASCII and takes one cell. */
static bool is_joined(const char *s, int cells) {
    unsigned char c = (unsigned char)s[0];
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= 0x80 && cells < 2);
}

static int split(const char *s, size_t n, struct diff *d, int side, ox_err *err) {
    bool was_joined = false;
    for (size_t at = 0; at < n;) {
        int cells = 0;
        size_t len = text_cluster(s + at, n - at, &cells);
        bool joined = !is_space(s[at]) && is_joined(s + at, cells);
        if (joined && was_joined) {
            d->word[side][d->n[side] - 1].to = at + len;
        } else if (!is_space(s[at])) {
            int rc =
                ox_grow(&d->word[side], &d->cap[side], d->n[side] + 1, sizeof *d->word[side], err);
            if (rc) return rc;
            d->word[side][d->n[side]++] = (struct diff_word){at, at + len, SIZE_MAX};
        }
        was_joined = joined;
        at += len;
    }
    return 0;
}

/* ---- Myers --------------------------------------------------------------------------------------
 */

struct texts {
    const char *s[2];
    struct diff *d;
    size_t first, end[2]; /* words between the common beginning and end */
};

static bool is_same(const struct texts *t, size_t i, size_t k) {
    const struct diff_word *a = &t->d->word[0][i], *b = &t->d->word[1][k];
    return a->to - a->from == b->to - b->from &&
           memcmp(t->s[0] + a->from, t->s[1] + b->from, a->to - a->from) == 0;
}

static void pair(struct texts *t, size_t i, size_t k) {
    t->d->word[0][i].twin = k;
    t->d->word[1][k].twin = i;
}

static void pair_ends(struct texts *t) {
    size_t n = t->d->n[0], m = t->d->n[1], least = n < m ? n : m;
    while (t->first < least && is_same(t, t->first, t->first))
        pair(t, t->first, t->first), t->first++;
    while (n > t->first && m > t->first && is_same(t, n - 1, m - 1))
        n--, m--, pair(t, n, m);
    t->end[0] = n;
    t->end[1] = m;
}

/* Row d of `reach` holds, for the diagonals -d, -d+2 .. d, how far x came with d edits. */
static size_t row_at(long d) {
    return (size_t)(d * (d + 1) / 2);
}

static int32_t reached(const int32_t *reach, long d, long k) {
    return reach[row_at(d) + (size_t)((k + d) / 2)];
}

/* Whether diagonal k of row d is reached from above (a word of b is inserted). */
static bool comes_down(const int32_t *reach, long d, long k) {
    return k == -d || (k != d && reached(reach, d - 1, k - 1) < reached(reach, d - 1, k + 1));
}

/* Fills `reach` up to the row that ends both texts, and returns it; -1: the bound came first. */
static long search(const struct texts *t, int32_t *reach) {
    long n = (long)(t->end[0] - t->first), m = (long)(t->end[1] - t->first);
    for (long d = 0; d <= DIFF_MOST && d <= n + m; d++)
        for (long k = -d; k <= d; k += 2) {
            long x = d == 0                    ? 0
                     : comes_down(reach, d, k) ? reached(reach, d - 1, k + 1)
                                               : reached(reach, d - 1, k - 1) + 1;
            while (x < n && x - k < m && x - k >= 0 &&
                   is_same(t, t->first + (size_t)x, t->first + (size_t)(x - k)))
                x++;
            reach[row_at(d) + (size_t)((k + d) / 2)] = (int32_t)x;
            if (x >= n && x - k >= m) return d;
        }
    return -1;
}

/* Back from the end: each diagonal step is a word of both. */
static void walk_back(struct texts *t, const int32_t *reach, long d) {
    long x = (long)(t->end[0] - t->first), y = (long)(t->end[1] - t->first);
    for (; d >= 0; d--) {
        long k = x - y, from_x = 0, from_y = 0;
        bool down = d > 0 && comes_down(reach, d, k);
        if (d > 0) {
            from_x = reached(reach, d - 1, down ? k + 1 : k - 1);
            from_y = from_x - (down ? k + 1 : k - 1);
        }
        while (x > from_x && y > from_y)
            x--, y--, pair(t, t->first + (size_t)x, t->first + (size_t)y);
        x = from_x;
        y = from_y;
    }
}

int diff_words(const char *a, size_t n_a, const char *b, size_t n_b, struct diff *out,
               ox_err *err) {
    *out = (struct diff){0};
    struct texts t = {.s = {a, b}, .d = out};
    int rc = split(a, n_a, out, 0, err);
    if (!rc) rc = split(b, n_b, out, 1, err);
    if (rc) return rc;
    pair_ends(&t);
    size_t n = t.end[0] - t.first, m = t.end[1] - t.first;
    if (n == 0 || m == 0) return 0;
    long most = n + m < DIFF_MOST ? (long)(n + m) : DIFF_MOST;
    int32_t *reach = ox_alloc(row_at(most + 1), sizeof *reach, "comparison of two texts", err);
    if (!reach) return OX_ENOMEM;
    long d = search(&t, reach);
    out->is_cut = d < 0;
    if (d >= 0) walk_back(&t, reach, d);
    ox_free(reach);
    return 0;
}

/* Words [i, to) of a side, as they stand in its text. */
static int put_run(const struct diff_word *word, size_t i, size_t to, const char *s,
                   const char *marks, struct buf *out, ox_err *err) {
    if (i == to) return 0;
    int rc = buf_add(out, marks, 2, err);
    if (!rc) rc = buf_add(out, s + word[i].from, word[to - 1].to - word[i].from, err);
    return rc ? rc : buf_add(out, marks + 2, 2, err);
}

static size_t run_end(const struct diff *d, int side, size_t i) {
    while (i < d->n[side] && d->word[side][i].twin == SIZE_MAX)
        i++;
    return i;
}

/* White space of a side before its word i (behind the last one at its end). */
static struct diff_word gap_before(const struct diff *d, int side, size_t i) {
    size_t from = i > 0 ? d->word[side][i - 1].to : 0;
    return (struct diff_word){from, i < d->n[side] ? d->word[side][i].from : from, 0};
}

/* The runs of both before a word they share. Where one is only deleted, the white space on both
 * sides of it is a's, so that no words run together. */
static int put_runs(const struct diff *d, const size_t at[2], const size_t end[2], const char *a,
                    const char *b, struct buf *out, ox_err *err) {
    bool is_deleted = end[0] > at[0] && end[1] == at[1];
    struct diff_word gap = gap_before(d, 1, at[1]), behind = gap_before(d, 0, end[0]);
    bool is_joined = gap.from == gap.to && at[1] > 0; /* in b the words around it touch */
    const char *s = b;
    if (is_deleted && gap.from == gap.to) gap = gap_before(d, 0, at[0]), s = a;
    int rc = buf_add(out, s + gap.from, gap.to - gap.from, err);
    if (!rc) rc = put_run(d->word[0], at[0], end[0], a, "[--]", out, err);
    if (!rc) rc = put_run(d->word[1], at[1], end[1], b, "{++}", out, err);
    if (rc || !is_deleted) return rc;
    return is_joined ? 0 : buf_add(out, a + behind.from, behind.to - behind.from, err);
}

int diff_put(const struct diff *d, const char *a, const char *b, struct buf *out, ox_err *err) {
    size_t at[2] = {0, 0};
    int rc = 0;
    while (!rc && (at[0] < d->n[0] || at[1] < d->n[1])) {
        const size_t end[2] = {run_end(d, 0, at[0]), run_end(d, 1, at[1])};
        rc = put_runs(d, at, end, a, b, out, err);
        struct diff_word gap = gap_before(d, 1, end[1]);
        bool has_gap = end[1] > at[1];
        at[0] = end[0] + 1;
        at[1] = end[1] + 1;
        if (rc || end[1] >= d->n[1]) continue; /* here both have the same word */
        const struct diff_word *w = &d->word[1][end[1]];
        if (has_gap) rc = buf_add(out, b + gap.from, gap.to - gap.from, err);
        if (!rc) rc = buf_add(out, b + w->from, w->to - w->from, err);
    }
    return rc;
}

void diff_deinit(struct diff *d) {
    ox_free(d->word[0]);
    ox_free(d->word[1]);
    *d = (struct diff){0};
}
