/* cite_mark.h - the marks of checked quotations put into an answer while it streams: [1: 412-413],
 * [~1: 412], [?] not in the text. Pure, one caller at a time.
 *
 * A mark stands right behind the closing quotation mark. Line numbers that the model wrote there
 * itself give way to it: they are found to be right, or replaced by what was found. For that, text
 * behind a quotation that may be the beginning of such numbers waits a few bytes. */
#ifndef CITE_MARK_H
#define CITE_MARK_H

#include "app/core/buf.h"
#include "app/core/cite.h"

struct cite_doc { /* borrowed */
    const cite_index *index;
    const char *text;
    size_t first_line; /* number of the text's first line in its file */
};
size_t cite_line(const struct cite_doc *d, size_t at);

/* Appends "[1: 412-413 +2]"; `space` is what stands between its words, so that a screen can keep a
 * mark in one row. */
int cite_mark_put(struct buf *out, const struct cite *c, size_t line_from, size_t line_to,
                  const char *space, ox_err *err);
/* The byte behind the closing mark of a quotation that ends at `quote_to`, and, if numbers of the
 * model's own follow, *end behind those (else the same byte). */
size_t cite_mark_place(const char *answer, size_t n, size_t quote_to, size_t *end);

struct cite_marker { /* {0} is empty; one answer */
    struct cite_list found;
    size_t n_checked, n_shown; /* bytes of the answer */
    size_t n_marked;           /* of found */
};
/* Appends what can be shown of the answer so far, beyond what was given out before; is_all: nothing
 * more will come. */
int cite_marker_feed(struct cite_marker *m, const char *answer, size_t n, bool is_all,
                     const struct cite_doc *docs, size_t n_docs, struct buf *out, ox_err *err);
void cite_marker_deinit(struct cite_marker *m);

#endif
