/* cites.h - checked quotations of an answer, kept with it. What a citation is, and how it is found,
 * is core/cite.h; its rows are in docs.h. UI thread. */
#ifndef CITES_H
#define CITES_H

#include "app/core/cite_mark.h"
#include "app/store/docs.h"

/* What a stored citation says about its document beyond cite_doc. */
struct cited_source {
    struct cite_doc doc;
    int64_t id;    /* of the store; <= 0: not saved */
    uint64_t from; /* of the text, in bytes of the stored document */
};
/* Keeps citations of a message; src[c->doc] is the document of each. */
int store_cites_found(store *st, int64_t message, const char *text, const struct cite *v, size_t n,
                      const struct cited_source *src, ox_err *err);
/* Looks the quotations of a closed answer up in the documents that stand on its path, and keeps
 * what comes out in place of what was there. For answers that nobody was left to check: after a
 * crash, after a full disk. */
int store_cites_check(store *st, int64_t message, ox_err *err);

#endif
