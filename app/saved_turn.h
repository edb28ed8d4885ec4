/* saved_turn.h - a question and its answer go into oxbow.db as one transaction: before the first
 * token (T1 of docs/STORE.md section 4), or afterwards as a whole, when the disk was full then.
 * Shared by the full screen and the modes that do one thing at a time. UI thread. */
#ifndef SAVED_TURN_H
#define SAVED_TURN_H

#include "app/config.h"
#include "app/store/store.h"

enum { SAVED_TURN_IDS = 8 };

struct saved_turn {
    const struct chat *tree; /* borrowed; messages with an id <= 0 are not saved yet */
    int64_t answer;          /* end of the path; open, or closed with text, tokens and ledger */
    int64_t chat;            /* 0: a new session, whose id it becomes */
    const char *title;       /* of a new session */
    const char *draft_place; /* whose draft is done with this; NULL: none */
    const struct ox_info *info;
    struct ox_sampling how;
    size_t n_prompt; /* tokens; 0: not known */
    struct saved_id {
        int64_t from, to;
    } id[SAVED_TURN_IDS]; /* out: of the messages, root first; the tree is left as it is */
    size_t n;
};
/* On failure chat and n are as before and nothing is saved or locked. OX_EIO with store_is_full:
 * worth another try. */
int saved_turn_write(store *st, struct saved_turn *t, ox_err *err);

/* The row of the model in use; borrows from both. */
struct store_model saved_turn_model(const struct config *conf, const struct ox_info *info);

/* Why an answer ended, as the ledger says it. */
const char *saved_turn_stop(enum chat_end end);

/* The database lies on a disk that has just been full: evicts 64 MiB of saved states, whose own
 * index needs room for that, and lays the reserve in again. True if it is there. */
bool saved_turn_room(store *st, const struct config *conf);

#endif
