/* talk.h - one conversation for the modes that do one thing at a time (ask, plain chat): its tree,
 * its documents, the engine that answers and the database that keeps it.
 *
 * A turn has two steps. talk_plan builds the prompt, counts it and refuses with numbers what does
 * not fit; talk_answer saves question and open answer in one transaction (T1 of docs/STORE.md
 * section 4), streams, saves parts (T2), closes the answer (T3). A database that fails does not
 * stop an answer: what could not be saved is told, and nothing more is saved. If it was a full
 * disk, the turn stays in memory, talk_plan refuses further questions, and each call tries to save
 * it again. UI thread. */
#ifndef TALK_H
#define TALK_H

#include "app/config.h"
#include "app/core/chat.h"
#include "app/core/cite.h"
#include "app/core/context.h"
#include "app/ingest.h"
#include "app/store/store.h"
#include "app/turn.h"

struct talk_doc {                /* a document, or the part of one, that this conversation knows */
    int64_t id;                  /* of the store; negative: not saved */
    struct buf name, path, text; /* text: of the part only */
    size_t n_base;               /* bytes of name without a range */
    uint64_t from, to;           /* the part, in bytes of the whole document */
    size_t first_line, n_lines;  /* of the part in the file; lines of the whole file */
    enum charset charset;
    size_t *pages, n_pages; /* where pages of the whole document begin; none: 0 */
    struct ox_tokens tok;
    bool is_waiting;   /* stands before the next question */
    cite_index *index; /* of text; made when a quotation is first looked up */
};

struct talk { /* {0} is empty; talk_deinit in every case */
    struct config *conf;
    worker *w;                  /* NULL until talk_start */
    const struct ox_info *info; /* NULL until talk_ready, or if no model could be loaded */
    bool has_waited;            /* for the model of the start */
    store *st;                  /* NULL: nothing is saved */
    struct buf save_note;       /* why nothing is saved, "" if it is */
    bool is_full;           /* the disk was: `unsaved` is kept in memory, no question is taken */
    int64_t unsaved;        /* answer that the database does not have as it is; 0: none */
    struct ox_sampling how; /* of the last answer */
    int64_t id;             /* of the session; 0: none yet */
    char uid[17];           /* "" : none yet */
    char held[160];         /* which other process has the session: read and fork only; "" */
    struct chat chat;
    struct buf system; /* of the first message to come; later the tree has it */
    struct talk_doc *doc;
    size_t n_docs, cap_docs;
    /* between plan and answer */
    struct prompt prompt;
    struct ox_plan plan; /* after the answer: what really came from where */
    size_t n_prompt;
    struct buf question; /* of the message to add; none: answer the leaf again */
    bool has_question;
    bool is_aside;       /* the prompt is not the path, */
    size_t aside_tokens; /* and the answer has at most so many */
    int64_t parent;
    /* of the last answer */
    struct buf answer, thoughts;
    size_t n_earlier; /* bytes of answer that talk_continue found */
    struct chat_ledger ledger;
    enum chat_end end;
    int signo; /* that stopped it; 0 */
};

/* Opens the database (unless the configuration says not to save) and starts the engine thread,
 * which loads the model meanwhile. */
int talk_start(struct talk *t, struct config *conf, ox_err *err);
/* Waits for the model; one that is not there because talk_model failed twice is loaded again. */
int talk_ready(struct talk *t, ox_err *err);
/* OX_EUSAGE on a server: `what` ("show --tokens") needs ids or states, which it has none of. */
int talk_needs_engine(const struct talk *t, const char *what, ox_err *err);
/* Another model from the next answer on. If it cannot be loaded the one before is loaded again. */
int talk_model(struct talk *t, const char *name, ox_err *err);
void talk_deinit(struct talk *t);

/* Opens a saved session: the path to leaf (0: the one on screen) is in the tree, its documents are
 * known. chat 0: the last session. One that another process has is read only: t->held says whose.
 */
int talk_resume(struct talk *t, int64_t chat, int64_t leaf, ox_err *err);
/* OX_EBUSY: the session is another process's, and a question would be saved into it. */
int talk_may_send(const struct talk *t, ox_err *err);
/* Starts afresh: documents and system prompt go too. */
void talk_new(struct talk *t);

/* The document becomes part of the next question; `in` is taken over. Counted if the model is
 * loaded. */
int talk_add(struct talk *t, struct ingest *in, ox_err *err);
int talk_drop(struct talk *t, size_t i,
              ox_err *err); /* OX_EUSAGE: it was sent already, or is not there */

/* question NULL: the leaf is a question that gets (another) answer. OX_EFIT says what is too long.
 */
int talk_plan(struct talk *t, const char *question, size_t n, ox_err *err);
/* The same as talk_plan for an answer whose prompt is not the path to it. compact: the branch
 * is summed up, and the summary begins a new one (chat_restart); OX_EUSAGE: there is nothing yet.
 * aside: `job` (taken over) holds the prompt, `question` stands for it on the path. */
int talk_plan_compact(struct talk *t, ox_err *err);
int talk_plan_aside(struct talk *t, const char *question, size_t n, struct work *job, ox_err *err);
/* What is read again before question `id` is asked anew (its documents stay), or, id 0, to go on
 * behind the leaf. */
int talk_price(struct talk *t, int64_t question, struct ox_plan *plan, ox_err *err);
struct talk_watch {
    void *user;
    void (*progress)(void *user, const struct news *n);
    int (*thought)(void *user, const char *s, size_t n, ox_err *err); /* NULL: not wanted */
    int (*text)(void *user, const char *s, size_t n,
                ox_err *err); /* whole characters, unfiltered */
};
/* Answers what was planned. A stopped answer is 0 with t->end; a watcher's error stops it too and
 * is the result. */
int talk_answer(struct talk *t, const struct talk_watch *watch, ox_err *err);

/* Writes the last answer on, as the same message; t->n_earlier bytes of t->answer were there
 * before. OX_EUSAGE: it is complete, or there is none. */
int talk_continue(struct talk *t, const struct talk_watch *watch, ox_err *err);

/* What a full disk kept out of the database, once more; 0: nothing is missing. OX_EIO. */
int talk_keep(struct talk *t, ox_err *err);

/* Adds a turn whose answer is made already, as if it had just been given. */
int talk_tell(struct talk *t, const char *question, size_t n, const char *answer, size_t n_answer,
              ox_err *err);

/* "resumed 61,204 tokens from saved state in 3.1 s, exact"; nothing if none came from there. */
int talk_resumed(const struct talk *t, struct buf *out, ox_err *err);
/* What fills the context as it stands, counted by the engine. The model is ready. */
int talk_map(struct talk *t, struct context_map *out, ox_err *err);
size_t talk_used(const struct talk *t); /* tokens of the context after the last answer */
/* n-th message of the path, counted from 1; 0: the last answer. NULL: none. Borrowed. */
const struct chat_node *talk_message(const struct talk *t, size_t n);

#endif
