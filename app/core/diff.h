/* diff.h - what two texts do not share, word by word: for two answers side by side.
 *
 * A word is a run of letters and digits; every other character that is no white space is a word of
 * its own, so a comma more does not change the word before it, and CJK is compared by character.
 * White space is not compared. Method: E. Myers, "An O(ND) Difference Algorithm and Its
 * Variations" (1986), greedy from the start, bounded: texts that differ in more than DIFF_MOST
 * words (deleted and inserted) between their common beginning and end count as different there.
 * Pure, one caller at a time. */
#ifndef CORE_DIFF_H
#define CORE_DIFF_H

#include "app/core/buf.h"

#include <stdbool.h>

/* The memory is DIFF_MOST squared / 2 numbers of 4 bytes, 2 MiB; the time DIFF_MOST times the words
 * at worst, some milliseconds. */
enum { DIFF_MOST = 1000 };

struct diff_word {
    size_t from, to; /* bytes */
    size_t twin;     /* the same word of the other text; SIZE_MAX: it is not there */
};

struct diff { /* {0} is empty; twins of both sides ascend */
    struct diff_word *word[2];
    size_t n[2], cap[2];
    bool is_cut; /* too different: the middle was not compared */
};

/* Compares two texts of well-formed UTF-8; out is overwritten, diff_deinit in every case. */
int diff_words(const char *a, size_t n_a, const char *b, size_t n_b, struct diff *out, ox_err *err);
/* Appends both as one text, as wdiff writes them: [-only in a-]{+only in b+}. White space is b's.
 */
int diff_put(const struct diff *d, const char *a, const char *b, struct buf *out, ox_err *err);
void diff_deinit(struct diff *d);

#endif
