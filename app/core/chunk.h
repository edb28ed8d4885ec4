/* chunk.h - cuts a document into pieces of 1 to 4 KB that join to the text without overlap or gap.
 *
 * Chunks serve search, the outline, and the parts of a long summary; the model always gets
 * continuous text. Pure, any thread; works piece by piece, so that an import can stop after any
 * chunk and go on later. Cuts are made, in this order of preference, before a heading, behind a
 * blank line, before a line at the left margin (a function), behind a sentence, a line, a word;
 * never inside a character. A page border is always a cut. docs/PRODUCT.md section 7. */
#ifndef CHUNK_H
#define CHUNK_H

#include "app/core/buf.h"

enum { CHUNK_MIN_BYTES = 1024, CHUNK_MAX_BYTES = 4096 };

struct chunk {
    size_t from, to; /* bytes of the text */
    size_t line;     /* of its first byte, 1-based */
    size_t page;     /* 1-based; 0: the document has no pages */
    size_t heading_from,
        heading_to; /* bytes of the heading in force at its first words; 0,0: none */
};

/* Where the last chunk left off. {0} is the start of a document. */
struct chunk_walk {
    struct chunk last;
    size_t next_line, next_page; /* next_page: index into pages */
};

/* Page of a byte, 1-based; 0: the document has none. */
size_t chunk_page(const size_t *pages, size_t n_pages, size_t byte);

/* The next chunk of valid UTF-8 text; false at its end. pages: ascending byte offsets where pages
 * begin, pages[0] = 0; NULL, 0: none. */
bool chunk_next(struct chunk_walk *w, const char *text, size_t n, const size_t *pages,
                size_t n_pages, struct chunk *out);

/* Is the line that begins at byte `at` a heading: Markdown (# or underlined), CHAPTER IV, a short
 * line of capitals or a numbered title between blank lines? Its words in *from, *to, its level from
 * 1 (outermost) to 6. */
bool chunk_heading(const char *text, size_t n, size_t at, size_t *from, size_t *to, int *level);

#endif
