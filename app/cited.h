/* cited.h - checked citations of an answer in the words of people: document, lines, verdict. What a
 * citation is, and how it is found, is core/cite.h. UI thread. */
#ifndef CITED_H
#define CITED_H

#include "app/core/cite_mark.h"
#include "app/store/store.h"
#include "app/talk.h"

struct cited {
    struct cite cite;           /* bytes in the answer; in the part of the document */
    const struct talk_doc *doc; /* borrowed from the talk; NULL: missing */
    size_t from, to;            /* bytes of the whole document */
    size_t line_from, line_to, page_from, page_to; /* page 0: the document has no pages */
};
struct cited_list {
    struct cited *v;
    size_t n;
    const char *text; /* borrowed: what the quotations stand in */
};                    /* owned; {0} is empty */

/* The documents of a conversation as quotations are looked up in them; owned array (ox_free) of
 * borrowed parts. An index is built once a document. */
int cited_docs(struct talk *t, struct cite_doc **out, ox_err *err);
/* Looks up every quotation of a text (an answer) in the documents of its conversation. */
int cited_find(struct talk *t, const char *text, size_t n, struct cited_list *out, ox_err *err);
void cited_deinit(struct cited_list *l);
/* Appends "[1] harbour-log.txt:412-413 bytes 20511-20589 exact" lines, behind the lines of a PDF
 * "p. 12"; `quotes` puts the beginning of each quotation behind. */
int cited_text(const struct cited_list *l, bool quotes, struct buf *out, ox_err *err);
/* Appends a JSON array of {quote, verdict, document, byte_start, .. line_end,
 * page_start, page_end}; the last two where the document has pages. */
int cited_json(const struct cited_list *l, struct buf *out, ox_err *err);
/* Keeps the citations of the last answer with it; what fails is not told: the next look finds them
 * again. */
void cited_save(struct talk *t);

#endif
