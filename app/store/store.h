/* store.h - oxbow.db, the precious database: conversations, models, drafts. docs.h and search.h
 * beside it hold documents and search, check.h repair and backup; all work on the same `store`.
 *
 * One store belongs to one thread (the UI's). Rows given to callbacks are borrowed for the call; a
 * non-zero return of a callback stops and becomes the result. No call lasts over 20 ms but for the
 * disk's own sync in a user's transaction (docs/STORE.md section 4). Errors: OX_EDB damaged,
 * foreign or newer; OX_EBUSY another process writes; OX_EIO disk, and store_is_full says of what
 * kind; OX_ENOTFOUND. */
#ifndef STORE_H
#define STORE_H

#include "app/core/chat.h"

typedef struct store store;

/* ---- open and transactions ---------------------------------------------- */

/* Opens or makes the database (0600, its folder 0700), migrates it, closes answers that a dead
 * process left open. ":memory:" keeps nothing on disk. A place that cannot be written
 * is opened read-only. path is copied. */
int store_open(const char *path, bool read_only, store **out, ox_err *err);
void store_close(store *st); /* NULL is fine */
bool store_is_read_only(const store *st);
const char *store_note(const store *st); /* one line for people (network folder, ..); "" if none */
const char *store_uid(const store *st);  /* 16 hex digits that name this database in states.db */
bool store_has_open(store *st);         /* some answer is open: being written, or its writer died */
bool store_has_changed(store *st);      /* another process committed since the last call */
int store_idle(store *st, ox_err *err); /* nothing typed for 1 s: checkpoint without waiting */

/* Calls between begin and end are one transaction, durable after a power cut when end returns 0.
 * end commits if rc is 0, else undoes, and returns the first error. They do not nest. A function
 * called outside makes its own transaction. */
int store_begin(store *st, ox_err *err);
int store_end(store *st, int rc, ox_err *err);
/* A full disk takes the ballast beside the database first, inside the very write that failed; only
 * reading in documents and importing do not get it. */
bool store_is_full(const store *st);  /* that was not enough: the last transaction failed for it */
bool store_is_tight(const store *st); /* the ballast is gone: free something, then has_room */
bool store_has_room(store *st);       /* lays it in again where there is space; true: it is there */

/* ---- models ------------------------------------------------------------- */

struct store_model {
    const char *source;                        /* "embedded", "folder", "remote" */
    const char *name;                          /* for people */
    const char *location;                      /* folder or URL; NULL */
    struct ox_key weights, template_id, vocab; /* vocab 0: remote, no tokens are kept */
    const char *config;                        /* JSON text for people and replay; NULL: "{}" */
};
/* Tokens are stored and read in this model's vocabulary from now on; runs name it. Strings
 * borrowed. */
int store_model_use(store *st, const struct store_model *m, ox_err *err);

/* ---- conversations ------------------------------------------------------ */

enum store_title_by { STORE_TITLE_LINE, STORE_TITLE_MODEL, STORE_TITLE_USER };

struct store_chat { /* a row of the picker */
    int64_t id, branch, leaf, created_us, updated_us;
    size_t n_turns, n_tokens, n_branches, n_docs; /* of the path on screen; n_tokens 0: not known */
    char uid[17], forked_from[17];
    char title[256], model[64];
    enum store_title_by title_by;
    bool pinned;
};
struct store_filter {
    const char *title;  /* part of a title (core/find.h) or start of a uid; NULL: all */
    int64_t since_us;   /* used at this time or later */
    int64_t before_us;  /* last used before; 0: no limit. Pinned ones are left out */
    size_t skip, limit; /* limit 0: all */
};

int store_chat_new(store *st, const char *title, int64_t *chat, ox_err *err);
int store_chat_last(store *st, int64_t *chat, int64_t *leaf, ox_err *err); /* or OX_ENOTFOUND */
/* A uid, a unique prefix of it (4 or more digits), a title in either case, or a number in the list.
 * OX_ENOTFOUND names the closest three, OX_EUSAGE two that both match. */
int store_chat_find(store *st, const char *name, int64_t *chat, ox_err *err);
int store_chat_get(store *st, int64_t chat, struct store_chat *out, ox_err *err);
/* Pinned first, then newest first. */
int store_chat_list(store *st, const struct store_filter *f,
                    int (*each)(void *user, const struct store_chat *row), void *user, ox_err *err);
int store_chat_count(store *st, size_t *n, ox_err *err);

/* Taking a lock that is held is 0. OX_EBUSY names the process that holds it; freed at any death. */
int store_chat_lock(store *st, int64_t chat, ox_err *err);
void store_chat_unlock(store *st, int64_t chat);
/* A title by a model never replaces a user's. Control characters are an error (OX_EUSAGE). */
int store_chat_title(store *st, int64_t chat, const char *title, enum store_title_by by,
                     ox_err *err);
int store_chat_pin(store *st, int64_t chat, bool pinned, ox_err *err);
/* The conversation's own settings: one JSON object, owned by the caller (ox_free). */
int store_chat_settings(store *st, int64_t chat, char **json, ox_err *err);
int store_chat_configure(store *st, int64_t chat, const char *json, ox_err *err);
/* A new conversation whose path ends at message `at`; messages are shared, not copied. */
int store_chat_fork(store *st, int64_t chat, int64_t at, const char *title, int64_t *made,
                    ox_err *err);
/* Its branches and every message that no other branch reaches. OX_EBUSY: in use elsewhere. */
int store_chat_delete(store *st, int64_t chat, size_t *n_messages, ox_err *err);

/* ---- branches ----------------------------------------------------------- */

/* The last message of each, last used first; what `each` returns but 0 ends it. */
int store_branch_list(store *st, int64_t chat, int (*each)(void *user, int64_t leaf), void *user,
                      ox_err *err);
/* Shows the path that ends at `leaf`: the branch with that leaf, or a new one (undo, fork). */
int store_branch_show(store *st, int64_t chat, int64_t leaf, ox_err *err);

/* ---- messages ----------------------------------------------------------- */

struct store_run { /* the ledger of an answer, as far as it is known before its first token */
    const char *engine, *sampling; /* "cpu-avx512"; JSON text */
    uint64_t numerics, seed;
    size_t n_prompt; /* counts for the session also if the answer never comes to its end; 0: not
                        known */
};
struct store_ledger { /* as read back: `show --ledger`, `--replay` */
    struct chat_ledger cost;
    const char *model, *engine, *build, *sampling, *stop;
    uint64_t numerics;
};

/* Adds a message below row->parent, moves the branch that ended there (a new branch if none did)
 * and shows it. row->end is CHAT_OPEN for an answer that is about to be written: its text must be
 * empty, its tokens are the marks that open the turn. row->id is ignored. The chat must be locked.
 */
int store_msg_add(store *st, int64_t chat, const struct chat_node *row, int64_t *id, ox_err *err);
int store_run_start(store *st, int64_t id, const struct store_run *run, ox_err *err);
/* The counts of an answer that was added closed; store_msg_finish writes those of others. */
int store_run_end(store *st, int64_t id, const struct chat_ledger *cost, const char *stop,
                  ox_err *err);
/* Bytes of text and thought (any split of characters) and tokens that were just generated; every 32
 * tokens or 500 ms. Never waits for another process: what cannot be written now is kept in memory
 * and goes with the next call, so the same bytes must not be passed again, not even after an
 * OX_EIO. */
int store_msg_extend(store *st, int64_t id, const struct chat_node *more, ox_err *err);
/* Opens a closed answer again, to be written on: it is open with what `so_far` has (text, thought,
 * tokens of the model in use, which its ledger names from now on), extended and finished like any
 * other, and a crash closes it with all of that. OX_EUSAGE:
 * it ended by itself, or a message or another session goes on from it; nothing has changed then. */
int store_msg_reopen(store *st, int64_t chat, int64_t id, const struct chat_node *so_far,
                     ox_err *err);
/* Closes an open message: parts are joined, an incomplete character at the end becomes U+FFFD. stop
 * says why in a word ("eos", "length", "user", "error"). */
int store_msg_finish(store *st, int64_t id, enum chat_end how, const struct chat_ledger *cost,
                     const char *stop, ox_err *err);

/* Root first, tokens in the vocabulary in use (none before store_model_use). An open message comes
 * with what was written so far. */
int store_msg_path(store *st, int64_t leaf, int (*each)(void *user, const struct chat_node *row),
                   void *user, ox_err *err);
/* From a message up to its root, newest first, at most `limit`; for reading a long path in slices:
 * go on with the parent of the last one. */
int store_msg_up(store *st, int64_t from, size_t limit,
                 int (*each)(void *user, const struct chat_node *row), void *user, ox_err *err);
/* All messages that the chat's branches reach, parents before children. */
int store_msg_tree(store *st, int64_t chat, int (*each)(void *user, const struct chat_node *row),
                   void *user, ox_err *err);
/* Replaces out's content. OX_ENOTFOUND: this vocabulary has none. */
int store_msg_tokens(store *st, int64_t id, struct ox_tokens *out, ox_err *err);
int store_msg_tokens_put(store *st, int64_t id, const int32_t *tok, size_t n, ox_err *err);
int store_run_get(store *st, int64_t id, int (*each)(void *user, const struct store_ledger *row),
                  void *user, ox_err *err); /* called once; OX_ENOTFOUND: no ledger */

/* ---- drafts, input history, facts --------------------------------------- */

/* place: a chat's uid, or "new". An empty text removes the draft. */
int store_draft_put(store *st, const char *place, const char *text, size_t n, size_t cursor,
                    ox_err *err);
int store_draft_get(store *st, const char *place, char **text, size_t *n, size_t *cursor,
                    ox_err *err); /* owned; OX_ENOTFOUND */
/* chat 0: typed before there was one. At most 1,000 are kept. */
int store_input_add(store *st, int64_t chat, const char *text, ox_err *err);
int store_input_list(store *st, size_t limit, int (*each)(void *user, const char *text), void *user,
                     ox_err *err); /* newest first, without repetitions */
/* The program's own facts: 'first_run', .. ; never configuration. */
int store_fact_put(store *st, const char *key, const char *value, ox_err *err);
int store_fact_get(store *st, const char *key, char **value, ox_err *err); /* owned; OX_ENOTFOUND */

#endif
