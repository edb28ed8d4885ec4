/* md.h - Markdown of an answer while it streams: source bytes in, lines of styled text out.
 *
 * The source only grows. It is cut into top-level blocks; a block is closed when the next one
 * begins, and a closed block is never parsed again, so its lines keep their numbers and bytes. Each
 * update parses from the start of the open block on (md4c), however long the answer is. A fence
 * that was cut off is shown as code up to its end. No HTML is interpreted, no link is made
 * clickable: a URL stands behind its text. Control characters pass text_show on the way out. Pure,
 * one caller at a time. */
#ifndef CORE_MD_H
#define CORE_MD_H

#include "app/core/wrap.h"

/* Marks that oxbow itself puts into a source, around text to be shown as STYLE_CITE. md_update
 * takes them for such only in pairs; a model cannot use them, because md_quote_marks shows its
 * bytes. */
enum { MD_MARK_ON = 0x01, MD_MARK_OFF = 0x02 };

struct md_line {
    size_t from, to;          /* bytes of text.p, no LF */
    size_t lead_from, lead_n; /* what stands before the first row: "- ", "> ", indents */
    size_t rest_from, rest_n; /* and before the following ones; the same cells */
    enum wrap_how how;
    unsigned code; /* 1, 2, ..: number of the code block; 0: not code */
};

struct md {
    size_t width;    /* cells of a line: cells of a wider table are wrapped; 0: not known */
    struct buf text; /* shown bytes, filtered */
    struct span *span;
    size_t n_span, cap_span;
    struct md_line *line;
    size_t n_line, cap_line;
    /* Everything before these belongs to closed blocks. */
    size_t closed_src, closed_text, closed_span, closed_line;
    unsigned closed_code, n_code;
};

/* Takes the source as it is now; it must begin with the closed_src bytes of the call before (else
 * md_reset first). On an error the open block may be missing, the closed ones are whole. */
int md_update(struct md *m, const char *src, size_t n, ox_err *err);
/* The source as it is: one line a source line, cut hard. Starts over each time. */
int md_raw(struct md *m, const char *src, size_t n, ox_err *err);
/* Plain text of people: one paragraph a line, wrapped by words. Starts over each time. */
int md_plain(struct md *m, const char *src, size_t n, ox_err *err);
/* Appends the code of block `code`, lines joined by LF. Nothing if there is no such block. */
int md_code(const struct md *m, unsigned code, struct buf *out, ox_err *err);
void md_reset(struct md *m);
void md_deinit(struct md *m);

/* The end of the last block of src that is closed, looked for from `from` (a block's start). A
 * block begins at the margin behind a blank line (not as a further item or a continuation), at a
 * heading, and behind a closed fence. */
size_t md_closed_end(const char *src, size_t n, size_t from);

#endif
