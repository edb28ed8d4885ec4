/* text.h - UTF-8 as people see it: code points, grapheme clusters, cells, and the one filter
 * between foreign text and a terminal.
 *
 * Pure, any thread. Widths and clusters come from utf8proc; rules of our own are kept for what it
 * does not know: presentation selectors, flags, keycaps and joined emoji (docs/PRODUCT.md section
 * 6). Ambiguous characters are one cell wide unless the person says otherwise. */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include "app/core/buf.h"

/* Bytes of the code point at s (1 to 4) and its value in *cp. Ill-formed UTF-8 (surrogates too):
 * the length of the maximal subpart, which becomes one U+FFFD, and *cp = -1. n = 0: 0, and *cp =
 * -1. */
size_t text_next(const char *s, size_t n, int32_t *cp);
/* Bytes of s up to the first ill-formed one; n if all is valid. */
size_t text_valid(const char *s, size_t n);
/* The largest position <= n that does not split a character of well-formed s. */
size_t text_floor(const char *s, size_t len, size_t n);
/* FNV-1a of n more bytes behind those that gave h; TEXT_HASH: behind none. The database keeps some.
 */
#define TEXT_HASH 14695981039346656037u
uint64_t text_hash(uint64_t h, const char *s, size_t n);
/* Appends cp as UTF-8. */
int text_put(struct buf *out, int32_t cp, ox_err *err);

/* What a terminal must not get from others: C0, DEL, C1, bidi controls. */
bool text_is_control(int32_t cp);

enum text_form {
    TEXT_NONE,
    TEXT_LINES, /* answers, documents: LF and TAB are kept */
    TEXT_LINE   /* names, titles, errors: LF and TAB are shown like the rest */
};
/* Appends s so that a terminal can show it: control characters as marks (<1B>, <202E>), an encoded
 * surrogate as <D800>, other ill-formed bytes as U+FFFD. Whole characters in give the same in
 * pieces as in one go. */
int text_show(struct buf *out, const char *s, size_t n, enum text_form form, ox_err *err);

/* Bytes of the grapheme cluster at s (at least 1 if n > 0) and its cells in *width: 0, 1 or 2. LF
 * and TAB are clusters of width 0; the caller knows what they mean. */
size_t text_cluster(const char *s, size_t n, int *width);
/* Cells of East Asian ambiguous characters from now on, 1 or 2: a property of the terminal (setting
 * width.ambiguous), told once, before a second thread starts. */
void text_set_ambiguous(int cells);
size_t text_cells(const char *s, size_t n); /* sum over the clusters */
/* Bytes of the longest run of whole clusters that takes at most `cells` cells; *used gets its
 * cells. */
size_t text_fit(const char *s, size_t n, size_t cells, size_t *used);
size_t text_prev_cluster(const char *s, size_t at); /* start of the cluster that ends at `at` */

/* Appends s, cut to `cells` cells with "..." as its end if it is longer; one line. */
int text_brief(struct buf *out, const char *s, size_t n, size_t cells, ox_err *err);

/* Appends s as a JSON string with its quotes; ill-formed bytes become U+FFFD. */
int text_json(struct buf *out, const char *s, size_t n, ox_err *err);

/* Edit distance in bytes, a swap of neighbours counted once. For "did you mean"; at most 63 bytes
 * of each are looked at. */
size_t text_distance(const char *a, const char *b);
/* Whether b is so near to a that it is worth naming. */
bool text_is_near(const char *a, const char *b);

#endif
