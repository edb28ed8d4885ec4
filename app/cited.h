/* cited.h - checked citations of an answer in the words of people: document, lines, verdict. What a
 * citation is, and how it is found, is core/cite.h. UI thread. */
#ifndef CITED_H
#define CITED_H

#include "app/core/cite.h"
#include "app/talk.h"

struct cited {
    struct cite cite;           /* bytes in the answer; in the part of the document */
    const struct talk_doc *doc; /* borrowed from the talk; NULL: missing */
    size_t n_doc;               /* number of the document as people count, 0: missing */
    size_t from, to;            /* bytes of the whole document */
    size_t line_from, line_to;
};
struct cited_list {
    struct cited *v;
    size_t n;
}; /* owned; {0} is empty */

/* Looks up every quotation of the last answer in the documents of its conversation. */
int cited_find(const struct talk *t, struct cited_list *out, ox_err *err);
void cited_deinit(struct cited_list *l);
/* Appends "[1] harbour-log.txt:412-413 bytes 20511-20589 exact" lines, or with `brief`
 * "[1: 412-413] exact  \"the lamp was out\"". */
int cited_text(const struct talk *t, const struct cited_list *l, bool brief, struct buf *out,
               ox_err *err);
/* Appends a JSON array of {quote, verdict, document, byte_start, .. line_end}. */
int cited_json(const struct talk *t, const struct cited_list *l, struct buf *out, ox_err *err);

#endif
