/* search.h - words in all conversations and documents of oxbow.db. Same rules and thread as
 * store.h. */
#ifndef STORE_SEARCH_H
#define STORE_SEARCH_H

#include "app/store/store.h"

enum store_search_in { STORE_IN_ALL, STORE_IN_CHATS, STORE_IN_DOCS };

struct store_search {
    const char *words; /* all must occur; "quoted words" stand in this order */
    enum store_search_in in;
    bool is_fts; /* words is FTS5's own syntax */
    /* Still being typed: the last word may be the beginning of one, and hits come newest first, as
     * ranking all that a beginning matches takes longer than a key may wait. */
    bool is_typed;
    size_t limit; /* hits of each kind; 0: 50 */
};

struct store_hit {
    int64_t chat, message; /* 0 in hits of documents */
    int64_t doc, chunk;    /* 0 in hits of chats */
    char uid[17];          /* of the chat or document */
    const char *title;     /* of the chat, or the document's name */
    size_t turn;           /* 1-based: the question's number on its path */
    size_t line, page;     /* in the document, of the first matching word */
    size_t from, to;       /* bytes of message or document: first matching word */
    const char *snippet;   /* about 120 bytes around it, one line, matches between \x01 and \x02 */
};

/* Best first, chats before documents. No hit is 0 without a call. OX_EUSAGE: nothing to look for,
 * or wrong FTS5 syntax (what SQLite says). */
int store_search(store *st, const struct store_search *how,
                 int (*each)(void *user, const struct store_hit *hit), void *user, ox_err *err);
/* The conversation that used the document last, with the message it stands before. OX_ENOTFOUND. */
int store_search_doc_chat(store *st, int64_t doc, int64_t *chat, int64_t *message, ox_err *err);
/* Empties and fills the index from the text; rc and progress as a transaction of its own. */
int store_search_refill(store *st, ox_err *err);

#endif
