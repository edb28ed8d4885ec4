/* chat.h - a conversation: a tree of messages, and the words for how an answer ended and what it
 * cost.
 *
 * Pure values. Editing makes a sibling, never a change; a path runs from a root to a leaf. On
 * screen and in STORE.md a conversation is called a session. */
#ifndef CHAT_H
#define CHAT_H

#include "engine/ox.h"

enum chat_end {               /* how a message ended; message.state in STORE.md section 1 */
                CHAT_OPEN,    /* being written */
                CHAT_DONE,    /* the model ended its turn */
                CHAT_STOPPED, /* by the person */
                CHAT_LENGTH,  /* -n or the context was full */
                CHAT_CRASHED, /* the program died meanwhile */
                CHAT_FAILED   /* the engine could not go on */
};

struct chat_doc { /* a part of a document, standing before the text of a message */
    int64_t doc;
    uint64_t from, to; /* bytes of the document's text */
};

struct chat_node {
    int64_t id, parent; /* parent 0: a root */
    int64_t created_us;
    enum ox_role role;
    enum chat_end end;
    char *text, *thought;
    size_t n_bytes; /* of text */
    int32_t *tok;   /* exact ids, if known */
    size_t n_tok;
    struct chat_doc *docs;
    size_t n_docs;
};

struct chat_ledger {                          /* what an answer took: enough to explain it */
    size_t n_in, n_reused, n_replayed, n_out; /* tokens; reused: live or restored */
    uint64_t seed;
    bool exact; /* continued from its own saved state */
    double load_s, prefill_s, decode_s;
};

#endif
