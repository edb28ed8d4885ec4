/* inner.h - what the files of app/store share about oxbow.db: the store itself, nested
 * transactions, the search index, little-endian ids. Inside app/store only; store.h, docs.h and
 * search.h are for the rest of the program. */
#ifndef INNER_H
#define INNER_H

#include "app/core/buf.h"
#include "app/core/cite.h"
#include "app/store/db.h"
#include "app/store/reserve.h"
#include "app/store/store.h"

struct store_held { /* an answer's newest bytes, while they cannot be written (T2) */
    int64_t id;     /* message; 0: nothing is held */
    struct buf text, thought;
    struct ox_tokens tok;
    bool is_written; /* inside a transaction that has not committed yet */
};

struct store {
    struct db *db;
    struct reserve *reserve; /* NULL: in memory, read-only */
    char uid[17], note[256];
    int lock_fd; /* -1: no locks (in memory, read-only) */
    int64_t *locked;
    size_t n_locked, cap_locked;
    int64_t model_id, vocab_id; /* in use; 0: none */
    int64_t data_version;
    struct store_held held;
    struct doc_import *imports; /* docs.c: being read in, a list */
};

/* A step that is a transaction of its own unless the caller has one open. `own` remembers which. */
int store_step_begin(store *st, bool soft, bool *own, ox_err *err);
int store_step_end(store *st, bool own, int rc, ox_err *err);

/* Until the end of the transaction, or until it is taken back: these writes may not have the
 * reserve. */
void store_hold_reserve(store *st, bool held);
/* Removes the lock file and the reserve: of a file that nobody else can know yet. */
void store_unlink_beside(const store *st);

/* ---- search_index.c: the full-text index, kept in the transaction that changes its text ---- */

/* Appends text with a space around each character of a script that is written without spaces. */
int search_space(struct buf *out, const char *text, size_t n, ox_err *err);
int search_message(struct db *db, int64_t id, const char *text, size_t n, bool add, ox_err *err);
int search_chunk(struct db *db, int64_t id, const char *heading, const char *text, size_t n,
                 bool add, ox_err *err);

/* ---- messages.c --------------------------------------------------------- */

struct joined { /* the parts of an open message, in order */
    struct buf text, thought;
    struct buf ids; /* packed */
};
int join_parts(store *st, int64_t id, struct joined *out, ox_err *err); /* appends */
/* In place: bytes become text that may be shown. */
int repair_joined(struct joined *j, ox_err *err);
void joined_deinit(struct joined *j);
/* CITE_NONE: no such name. */
enum cite_verdict store_verdict_parse(const char *name);
/* Closes an open message inside a transaction: parts become its text. cost NULL: not known. */
int message_close(store *st, int64_t id, enum chat_end how, const struct chat_ledger *cost,
                  const char *stop, ox_err *err);
int store_recover(store *st, ox_err *err); /* recover.c: closes what dead processes left open */
/* Deletes a message and its ancestors as far as no branch and no other message needs them. */
int store_prune(store *st, int64_t leaf, size_t *n_deleted, ox_err *err);
void store_held_committed(store *st, bool committed);

/* ---- docs.c ------------------------------------------------------------- */

void store_imports_drop(store *st);
int store_docs_recover(store *st, ox_err *err); /* removes what dead processes left half read in */

/* ---- text ------------------------------------------------------------------ */

/* Copies text, ill-formed UTF-8 and NUL bytes as U+FFFD. */
int text_repair(struct buf *out, const char *text, size_t n, ox_err *err);

#endif
