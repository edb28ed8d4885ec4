/* chat.h - a conversation in memory: a tree of messages, of which one path is on screen.
 *
 * A closed message never changes. Editing a question and asking for another answer add a sibling;
 * the old branch stays. Ids are those of oxbow.db; a node that is not saved yet has a negative one
 * from chat_new_id until chat_renumber. Parents stand before their children in the array. Pure: no
 * I/O, one caller at a time. On a failure the tree is as it was. */
#ifndef CHAT_H
#define CHAT_H

#include "engine/ox.h"

enum chat_end { /* how a message ended; the names of store: 'open', 'done', .. */
                CHAT_OPEN,
                CHAT_DONE,
                CHAT_STOPPED, /* by the user */
                CHAT_LENGTH,  /* at the limit of tokens */
                CHAT_CRASHED, /* the process died while it was written */
                CHAT_FAILED   /* the engine gave an error */
};

struct chat_doc {      /* a part of a document that stands before the text of a message */
    int64_t doc;       /* 0: deleted since */
    uint64_t from, to; /* bytes of the document's text */
    char *name;        /* owned; kept when the document is gone */
};

enum chat_ran { /* where an answer was made */
                CHAT_RAN_HERE,
                CHAT_RAN_REMOTE,      /* on a server, whose counts these are */
                CHAT_RAN_REMOTE_ABOUT /* on one that told none: estimates */
};

struct chat_ledger { /* what an answer cost; STORE.md table `run` */
    enum chat_ran ran;
    size_t n_in, n_reused, n_replayed, n_out; /* tokens */
    uint64_t seed;
    bool exact; /* continued from its own saved state */
    double load_s, prefill_s, decode_s;
};

struct chat_node {
    int64_t id, parent, created_us; /* parent 0: a root */
    enum ox_role role;
    enum chat_end end;
    char *text, *thought; /* owned, zero-terminated, valid UTF-8; thought may be NULL */
    size_t n_bytes, n_thought;
    int32_t *tok; /* owned; ids of the content as sampled, without marks; documents left out */
    size_t n_tok; /* 0: not known for the model in use */
    struct chat_doc *docs;
    size_t n_docs;
    struct chat_ledger ledger; /* answers only; n_in 0: none */
};

struct chat {               /* {0} is valid and empty */
    struct chat_node *node; /* owned */
    size_t n, cap;
    uint32_t *slot; /* owned; hash of ids to node numbers + 1, for chat_find */
    size_t n_slots; /* a power of two; 0: not built, chat_find looks at all */
    int64_t leaf;   /* end of the path on screen; 0: empty */
};

/* Deep copy; out is overwritten. Pointers of row are borrowed for the call. */
int chat_node_dup(const struct chat_node *row, struct chat_node *out, ox_err *err);
void chat_node_deinit(struct chat_node *row);

/* Adds a node below a known parent (or 0) and makes it the leaf. The node is handed over, also on
 * failure: OX_ENOTFOUND if its parent is unknown, OX_EUSAGE if its id is taken. */
int chat_add(struct chat *c, struct chat_node *row, ox_err *err);
/* A sibling of message `id` with another text: same role, parent and documents, no tokens. Its id
 * goes to *added, it becomes the leaf. */
int chat_edit(struct chat *c, int64_t id, const char *text, size_t n, int64_t *added, ox_err *err);
/* Another first question (behind the system message, if the path of `leaf` has one) with the
 * documents of that path, each once: where a shorter conversation goes on from. It becomes the
 * leaf. */
int chat_restart(struct chat *c, int64_t leaf, const char *text, int64_t now_us, int64_t *added,
                 ox_err *err);
/* A copy of the path that ends at `at`; out is overwritten. */
int chat_fork(const struct chat *c, int64_t at, struct chat *out, ox_err *err);

/* Takes back message `id` and all that were added after it, which must hang below it; the leaf is
 * the caller's to set. Unknown: nothing happens. */
void chat_take_back(struct chat *c, int64_t id);

/* An id for a node that is not saved yet: negative, unused in c. */
int64_t chat_new_id(const struct chat *c);
/* The saved id of a new node; its children and the leaf follow. Unknown: nothing happens. */
void chat_renumber(struct chat *c, int64_t from, int64_t to);

struct chat_node *chat_find(const struct chat *c,
                            int64_t id); /* borrowed until chat_add; or NULL */
/* The path to `leaf`, root first: *path is an array of n borrowed pointers, freed with ox_free. An
 * unknown leaf gives OX_ENOTFOUND, leaf 0 an empty path. */
int chat_path(const struct chat *c, int64_t leaf, struct chat_node ***path, size_t *n, ox_err *err);
/* The sibling `step` places further (negative: before), wrapping around; itself if it has none.
 * *place and *n (or NULL) tell "2 of 3". 0 if id is unknown. */
int64_t chat_sibling(const struct chat *c, int64_t id, int step, size_t *place, size_t *n);
/* The youngest leaf below `id` (itself if nothing is below): where switching to a sibling leads. */
int64_t chat_leaf_below(const struct chat *c, int64_t id);
bool chat_has_doc(const struct chat *c, int64_t leaf, int64_t doc); /* it stands on the path */
/* Seconds that writing an answer to this question took on average; 0: not known. */
double chat_writing_s(const struct chat *c, int64_t question);
/* The n-th question of a path, counted from 1, as people count turns; 0 if there are fewer. */
int64_t chat_turn(const struct chat *c, int64_t leaf, size_t turn);

/* Why `last` (or NULL), the end of a path, cannot be written on; NULL: it can. An answer can that
 * ended before its end, of which something is there, and below which no message hangs. */
const char *chat_refuses_more(const struct chat *c, const struct chat_node *last);
/* How it is opened again: CONTINUE, or CONTINUE_NO_THINK if it has not begun with a thought. */
enum ox_reply chat_reopens_as(const struct chat_node *answer);
/* The ledger of an answer of n_before tokens that went on: as if it had been written at once. */
struct chat_ledger chat_ledger_join(const struct chat_ledger *before, size_t n_before,
                                    const struct chat_ledger *more);

const char *chat_end_name(enum chat_end end);  /* "open", "done", .. as stored */
const char *chat_role_name(enum ox_role role); /* "system", "user", "assistant" */
/* NULL: here; else what the ledger has for an engine: "remote", "remote, estimated". */
const char *chat_ran_name(enum chat_ran ran);
enum chat_ran chat_ran_parse(const char *engine);
/* -1: no such name */
int chat_end_parse(const char *name);
int chat_role_parse(const char *name);

void chat_deinit(struct chat *c);

#endif
