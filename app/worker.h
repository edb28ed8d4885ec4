/* worker.h - the engine thread behind two bounded queues.
 *
 * One thread owns the engine, its session, the device and (once there is a store) the writing
 * connection to states.db. Jobs go in by worker_send, news come out by worker_next; a pipe with a
 * pending flag wakes poll(2) once a burst. Jobs run in the order sent. Every job but LOAD ends with
 * exactly one NEWS_DONE or NEWS_FAILED that carries its id; LOAD ends with NEWS_LOADED or
 * NEWS_FAILED, and jobs behind a failed LOAD fail with its error. All functions belong to the
 * thread that started the worker unless marked [any]. */
#ifndef WORKER_H
#define WORKER_H

#include "app/core/chat.h"
#include "app/core/prompt.h"
#include "app/remote/server.h"

typedef struct worker worker;

enum work_kind {
    WORK_NONE,
    WORK_LOAD,   /* open the engine and a session: the options of worker_start, model from `text`;
                  * or, with `server`, send what follows there */
    WORK_ENCODE, /* text -> news.tok: a document's ids, which stand in prompts as they are. On a
                  * server tok.v is NULL and tok.n an estimate */
    WORK_PLAN,   /* messages -> news.plan, tok, ends: what ANSWER would do; changes nothing */
    WORK_ANSWER, /* messages -> PROGRESS*, TEXT*, DONE */
    WORK_STATES, /* keep or drop saved states; text says which */
    WORK_AHEAD   /* a session may be resumed soon (chat_uid, leaf, n_path); "": none any more */
};

/* A job, handed over by worker_send. {0} is empty. */
struct work {
    enum work_kind kind;
    uint64_t id; /* the caller's; comes back in the news; 0: nobody waits for it */
    char *text;  /* owned. LOAD: model folder or NULL; ENCODE: the text */
    size_t n_bytes;
    struct remote_server server; /* LOAD: owned; its name NULL: the model runs here */
    struct prompt prompt;        /* PLAN, ANSWER: owned */
    size_t n_upto;               /* PLAN: of the first n_upto messages only; 0: all */
    size_t max_new_tokens;       /* 0: what the context leaves */
    struct ox_sampling how;      /* reply_at is set by the worker */
    enum ox_reply reply;
    bool reopens; /* CONTINUE, and the last message is an answer that is written on: the first TEXT
                   * has all it had before, its state is wanted and kept */
    size_t n_begun; /* then: tokens of the prompt it was begun with, or nothing is done; 0: any */
    bool keep;      /* false: no state is saved (--no-save) */
    char chat_uid[17];    /* tips, STORE.md section 2; "" without a store */
    int64_t leaf, answer; /* message whose state is wanted, message that is made; 0: none */
    int leaf_moment;      /* 1: the state after `leaf`, 0: before it (core/tip.h) */
    size_t n_path;        /* AHEAD, STATES: tokens of the path to `leaf` */
};

enum news_kind {
    NEWS_NONE,
    NEWS_LOADED,   /* worker_info gives a value from now on */
    NEWS_PROGRESS, /* prefill: n_done of the prompt's tokens are live; plan says from where */
    NEWS_TEXT,     /* whole characters and the ids behind them; either may be empty, not both */
    NEWS_DONE,     /* see work_kind; for ANSWER: end and ledger */
    NEWS_FAILED    /* err; OX_ECANCELLED if the job was cancelled before an answer began */
};

struct news {
    enum news_kind kind;
    uint64_t id;
    struct ox_plan plan;
    size_t n_done, n_prompt; /* tokens; n_prompt: of the whole prompt */
    char *text;              /* owned, whole UTF-8 characters, unfiltered, zero byte behind */
    size_t n_bytes;
    struct ox_tokens tok; /* owned */
    size_t *ends, n_ends; /* PLAN: owned; where each message ends in tok */
    struct prompt prompt; /* PLAN: the job\'s, handed back to be sent again */
    enum chat_end end;
    struct chat_ledger ledger;
    ox_err err;
};

struct worker_opts {
    struct ox_engine_opts engine; /* strings are copied */
    const char *states_path;      /* NULL: no saved states */
    uint64_t quota_bytes;         /* 0: the default */
    bool states_off;              /* states.quota = 0 */
    const char *db_uid;           /* names the database in tips; NULL without one */
    const char *log_path;         /* one line for each damaged record; NULL: nowhere */
};

/* What runs jobs (the embedded engine in worker_local.h, a server in remote/remote.h; the last LOAD
 * decides which) tells the world through this; engine thread. */
struct worker_post {
    void *user;
    void (*send)(void *user, struct news *n); /* hands over; waits while the queue is full */
    bool (*stopped)(void *user);              /* the job at hand was cancelled */
};

int worker_start(const struct worker_opts *opts, worker **out, ox_err *err);
/* Hands the job over, also on failure; *job is left empty. OX_EBUSY: 64 jobs wait already. */
int worker_send(worker *w, struct work *job, ox_err *err);
void work_deinit(struct work *job); /* of a job that was never sent */
int worker_fd(const worker *w);     /* readable while news waits */
/* Takes the oldest news; false: none waits, and the wake-up is taken back. Never blocks. */
bool worker_next(worker *w, struct news *out);
void news_deinit(struct news *n);
/* NULL before NEWS_LOADED; borrowed until worker_stop or the next LOAD. */
const struct ox_info *worker_info(const worker *w);
/* [any] Async-signal-safe. Every job sent so far ends as soon as it can: within a token, or a
 * layer. An answer in progress ends with NEWS_DONE and CHAT_STOPPED, and its text stays. */
void worker_cancel(worker *w);
void worker_stop(worker *w); /* cancels, waits, frees; NULL is fine */

#endif
