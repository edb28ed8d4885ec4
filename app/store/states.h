/* states.h - the cache of saved states: states.db (index) and the folder states/ (one file a blob).
 * Losing any of it costs time only. docs/STORE.md sections 2 and 4 to 8.
 *
 * A `states` belongs to the engine thread; its threads move files and never touch SQLite.
 * Everything is checked by sum before it is used; a record that fails goes, with one log line, and
 * is a miss. Other processes may use the same cache at once. Never on the way of an answer: what
 * cannot be saved now is not saved (OX_EBUSY). */
#ifndef STATES_H
#define STATES_H

#include "engine/ox.h"

typedef struct states states;

struct states_opts {
    const char *folder; /* $XDG_CACHE_HOME/oxbow: states.db and states/; copied. NULL: in memory */
    uint64_t quota_bytes; /* 0: the smaller of 20 GiB and 10 % of the space free at first start */
    bool is_off;          /* quota set to 0 by the user: every call is a miss */
    bool read_only;       /* lists: find and put do nothing */
    void (*log)(void *user, const char *line); /* NULL: nowhere */
    void *user;
};

/* Makes folder and files (0600/0700). A damaged index is set aside as states.db.bad and made anew.
 */
int states_open(const struct states_opts *opts, states **out, ox_err *err);
/* Waits for the queue, thins the conversation that was open, once a day looks for stray files. NULL
 * is fine. */
void states_close(states *s);

/* The space of the engine that is open now; before any find or put. */
struct states_space {
    struct ox_key compat, weights, vocab;
    const char *backend; /* "cpu-avx2" */
    const char *name;    /* model, for people */
    uint64_t numerics;
    const char *kv_type; /* "bf16", "int8", "f32" */
    uint32_t n_linear, n_attn;
};
int states_use(states *s, const struct states_space *space, ox_err *err);

/* Whose state is wanted and made from now on, for tips: the exact state of a message. want 0: none.
 * Moment 1 is the state after message `made`, 0 before its answer. */
struct states_tip {
    const char *db_uid, *chat_uid; /* copied */
    int64_t want;                  /* message at whose end the wanted prefix goes on */
    int want_moment;
    int64_t made; /* message whose answer is about to be written */
};
/* Another conversation than before: the one before is thinned. */
void states_tip(states *s, const struct states_tip *tip);

/* Measured prefill of a token at position 0 in the space in use, for what a record is worth; kept
 * for the next process, which asks for it: 0 if nothing was measured yet. */
void states_speed(states *s, double us_per_token);
double states_known_speed(const states *s);

/* What the engine gets: find, get, put of ox.h. Valid as long as s. put answers OX_ENOTFOUND when
 * it does not know the pages before: the engine puts all of them again then, unwritten ones cost
 * nothing. */
const struct ox_state_io *states_io(states *s);
/* Waits until everything put so far is on its way to be found (or was skipped). */
int states_flush(states *s, ox_err *err);
/* Writes the rows of records whose files are there by now; until then a killed process loses them.
 * Costs nothing when there is nothing to do and never waits for the disk: to be called after each
 * piece of work, and while idle as long as the result, the number of records that still wait, is
 * not 0. After another process had the index it is left alone for a second. */
size_t states_settle(states *s);

/* ---- people's side ------------------------------------------------------ */

struct states_usage {
    uint64_t bytes, quota_bytes, pinned_bytes;
    uint64_t n_records, n_pages, n_uses, saved_us; /* saved_us: reading that uses spared */
    uint64_t written_bytes, written_tokens;        /* since the cache was made */
    bool full_by_pins;
};
int states_usage(states *s, struct states_usage *out, ox_err *err);

struct states_row { /* one snapshot */
    int64_t id;
    uint64_t n_tokens, own_bytes;       /* bytes that only this record holds */
    const char *why, *space, *chat_uid; /* chat_uid "": belongs to no conversation */
    bool pinned, usable;                /* usable: in the space in use */
    uint64_t uses;
    int64_t created_us, used_us;
};
int states_list(states *s, int (*each)(void *user, const struct states_row *row), void *user,
                ox_err *err);
/* What going on with a conversation costs; for lists, so a look-up and no more. */
struct states_want {
    const char *db_uid, *chat_uid;
    int64_t leaf;    /* last message of the path on screen */
    size_t n_tokens; /* of that path; 0: no answer yet, "none" */
};
struct states_saved {
    const char *word;  /* "saved": the end of the path; "part": something before it; "none" */
    int64_t id;        /* of the record; 0: none */
    uint64_t n_tokens; /* where it goes on; never behind the end of the path */
    bool pinned;
    double load_s, us_per_token; /* to load that, as measured or estimated; to read what is left */
};
/* In the space in use (any space if none is). */
int states_saved(states *s, const struct states_want *want, struct states_saved *out, ox_err *err);
/* Reads the files of that state (its first GiB) into the system's file cache, in a thread of its
 * own; takes the place of what was wanted before, of which no more is read. NULL: nothing is
 * wanted. Returns at once; s NULL is fine. */
int states_ahead(states *s, const struct states_want *want, ox_err *err);
/* The record that states_saved finds is this conversation's too from now on: a fork that never
 * answered goes on from one of the original, and pins and keeps it as its own. None: nothing. */
int states_join(states *s, const struct states_want *want, ox_err *err);
/* A conversation's records, or one record by its number (text "#12"). OX_ENOTFOUND. */
int states_pin(states *s, const char *what, bool pinned, ox_err *err);
/* Evicts down to `bytes`; *freed in bytes. */
int states_prune(states *s, uint64_t bytes, uint64_t *freed, ox_err *err);
/* Removes what only this conversation reached. */
int states_drop_chat(states *s, const char *chat_uid, uint64_t *freed, ox_err *err);
/* At leave: keeps grid, system, document records, the last 4 turns and the last ask. */
int states_thin(states *s, const char *chat_uid, ox_err *err);
/* Reads and sums every blob; removes bad records and files without a row. */
int states_check(states *s, size_t *n_ok, size_t *n_bad, size_t *n_stray, ox_err *err);
/* A short job for idle time: stray files, pages nobody needs. */
int states_idle(states *s, ox_err *err);

#endif
