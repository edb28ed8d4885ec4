/* cite_index.h - private to cite.c and its tests: the two forms of a text, and the searches.
 * See cite.h for what the verdicts mean. */
#ifndef CITE_INDEX_H
#define CITE_INDEX_H

#include "app/core/cite.h"

struct cite_spaced { /* bytes with each run of white space as one space, ends trimmed */
    char *s;
    uint32_t *at; /* byte in the text */
    size_t n;
};
struct cite_fold { /* code points, folded */
    int32_t *c;
    uint32_t *at, *end; /* bytes of the character it came from */
    size_t n, cap;
};
struct cite_gap { /* bytes between the last line of a page and the first of the next one */
    size_t from, to;
};
struct cite_index {
    const char *text; /* borrowed */
    size_t n;
    struct cite_gap *gap; /* ascending; none for a text without pages */
    size_t n_gaps;
    struct cite_spaced spaced;
    struct cite_fold fold;
};

int32_t cite_char(const char *s, size_t n, size_t *len); /* code point; U+FFFD for a bad byte */
bool cite_is_cjk(int32_t c);
int cite_space_text(const char *s, size_t n, struct cite_spaced *out, ox_err *err);
void cite_spaced_deinit(struct cite_spaced *sp);
int cite_fold_text(const char *s, size_t n, struct cite_fold *out, ox_err *err);
void cite_fold_deinit(struct cite_fold *f);

/* Each adds places to m; m->n_places stays 0 if there is none. */
void cite_search_exact(const cite_index *x, const struct cite_spaced *q, size_t near,
                       struct cite_match *m);
void cite_search_folded(const cite_index *x, const struct cite_fold *q, size_t near,
                        struct cite_match *m);
int cite_search_near(const cite_index *x, const struct cite_fold *q, size_t near,
                     struct cite_match *m, ox_err *err);

/* A quotation that goes on behind the end of a page: looked for around each page end, the gap taken
 * as one line break. Replaces *m where it finds a better verdict; never CITE_EXACT, because
 * something may stand between. OX_ENOMEM. */
int cite_search_pages(const cite_index *x, const char *quote, size_t n, size_t near,
                      struct cite_match *m, ox_err *err);

#endif
