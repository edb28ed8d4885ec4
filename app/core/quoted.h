/* quoted.h - a list made of a document's own sentences: takes what a model quotes, keeps what
 * stands in the text, and gives it in the words and in the order of the text. Pure.
 *
 * Small models name the sentences that matter far better than they put them in other words
 * (DECISIONS.md); and what is quoted can be checked, so nothing invented gets into the list. */
#ifndef QUOTED_H
#define QUOTED_H

#include "app/core/buf.h"
#include "app/core/cite.h"

struct quoted_item {
    size_t from, to; /* bytes of the document */
};
struct quoted {            /* {0} is empty */
    struct quoted_item *v; /* by place; no two overlap */
    size_t n, cap;
    size_t n_words;
};

/* QUOTED_NEW: taken. QUOTED_PASSED: stands in the document, but is shorter than a quotation that
 * proves something (CITE_MIN_WORDS), or overlaps one that is there. QUOTED_MISSING: does not stand
 * there (near is enough: the document's words are what counts). */
enum quoted_end { QUOTED_NEW, QUOTED_PASSED, QUOTED_MISSING };
/* What a model wrote, without quotation marks. */
int quoted_add(struct quoted *q, const cite_index *x, const char *doc, const char *text, size_t n,
               enum quoted_end *end, ox_err *err);
/* Appends a line `- "..."` each; white space of the document becomes single spaces. */
int quoted_put(const struct quoted *q, const char *doc, struct buf *out, ox_err *err);
void quoted_deinit(struct quoted *q);

#endif
