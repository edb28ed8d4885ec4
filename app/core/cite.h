/* cite.h - finds the quotations of an answer in the documents it was about, and says how well they
 * match. A mark says that the words stand there, never that a conclusion is right.
 *
 * Pure: no I/O, any thread. Ranges are byte offsets and never split a character. An index is built
 * once a document and borrows its text. Verdicts, from docs/PRODUCT.md section 7:
 *   exact    equal but for line breaks and runs of spaces
 *   folded   also quotation marks, dashes, ligatures, hyphenated line ends, case, emphasis marks,
 *            running heads and page numbers between two pages
 *   near     at most one character in ten differs (edit distance on the folded form)
 *   missing  none of these
 * A match never begins or ends inside a word. Approximate search: G. Myers, "A fast bit-vector
 * algorithm for approximate string matching", JACM 46(3), 1999. Why this order: DECISIONS.md. */
#ifndef CITE_H
#define CITE_H

#include "engine/ox.h"

enum cite_verdict { CITE_NONE, CITE_EXACT, CITE_FOLDED, CITE_NEAR, CITE_MISSING };

enum { CITE_MIN_WORDS = 4, CITE_MIN_CJK = 8, CITE_MAX_BYTES = 4096 };

typedef struct cite_index cite_index;

/* Indexes n bytes of valid UTF-8, borrowed as long as the index lives. 9 to 13 bytes of memory a
 * byte of text. OX_ENOMEM; OX_EFIT above 1 GiB. */
int cite_index_new(const char *text, size_t n, cite_index **out, ox_err *err);
void cite_index_free(cite_index *x); /* NULL is fine */

/* Tells an index where pages begin, so that a quotation may go on from one page to the next: page
 * numbers and running heads between are passed over. pages: ascending bytes of the whole document,
 * of which the indexed text begins at byte `from`; not kept. Once an index. OX_ENOMEM. */
int cite_index_pages(cite_index *x, const size_t *pages, size_t n_pages, size_t from, ox_err *err);

struct cite_match {
    enum cite_verdict verdict;
    size_t from, to; /* bytes in the document; 0,0 when missing */
    size_t n_places; /* how often it stands there at this verdict; at most 1000 are counted */
};
/* Looks one quotation up; of several places the one nearest to byte `near`. OX_ENOMEM. */
int cite_match(const cite_index *x, const char *quote, size_t n, size_t near,
               struct cite_match *out, ox_err *err);

struct cite {
    size_t quote_from, quote_to; /* bytes in the answer, quotation marks excluded */
    size_t from, to;             /* bytes in the document; 0,0 when missing */
    size_t doc;                  /* which of the documents; 0 when missing */
    size_t n_places;
    enum cite_verdict verdict;
};
struct cite_list {
    struct cite *v;
    size_t n, cap;
}; /* owned: ox_free(v); {0} is empty */

/* The first quotation of the answer whose closing mark lies at or behind byte `from`: true and its
 * bytes. Marks: "..", curly, guillemets, low-high, CJK brackets; not apostrophes; not inside fenced
 * or inline code; not over a blank line. Shorter ones than CITE_MIN_WORDS / CITE_MIN_CJK are passed
 * over: finding them proves nothing. */
bool cite_next_quote(const char *answer, size_t n, size_t from, size_t *quote_from,
                     size_t *quote_to);

/* Appends one entry to out for each quotation of the answer that closes at or behind `from` (0 for
 * all), so that a streamed answer is looked at once. The best verdict over all documents counts; of
 * equals the place nearest to the last citation. OX_ENOMEM leaves out as it was. */
int cite_find(const char *answer, size_t n, size_t from, const cite_index *const *docs,
              size_t n_docs, struct cite_list *out, ox_err *err);

/* A line number that the model wrote behind a quotation, "[1: 412-413]", "(line 412)", "lines 3-5":
 * true if text[from..] begins with one; *end is where it stops. */
bool cite_claim(const char *text, size_t n, size_t from, size_t *line_from, size_t *line_to,
                size_t *end);

const char *cite_verdict_name(enum cite_verdict v); /* "exact"; never NULL */

#endif
