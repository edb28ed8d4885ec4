/* turn.h - follows one job of the worker to its end, for the modes that do one thing at a time
 * (ask, plain chat). Waits in poll(2) on news and signals. UI thread. */
#ifndef TURN_H
#define TURN_H

#include "app/worker.h"

enum { TURN_LOAD = 1 }; /* id of the LOAD job; others count up from here */

struct turn_watch { /* each may be NULL; a non-zero return stops the job and becomes the result */
    void *user;
    int (*progress)(void *user, const struct news *n, ox_err *err);
    int (*text)(void *user, const struct news *n, ox_err *err);
};

/* Waits for the end of job `id`; `last` gets the news that ended it (news_deinit). Its err is the
 * result if it failed. SIGTERM and SIGHUP cancel as SIGINT does. */
int turn_wait(worker *w, uint64_t id, const struct turn_watch *watch, struct news *last,
              ox_err *err);
/* Sends the job under a fresh id and waits. */
int turn_run(worker *w, struct work *job, const struct turn_watch *watch, struct news *last,
             ox_err *err);
/* Takes waiting signals: the first, 0 if none came. */
int turn_signal(void);

/* --- jobs that every mode needs --- */

/* Ids of a text. */
int turn_encode(worker *w, const char *text, size_t n, struct ox_tokens *out, ox_err *err);
/* What sending this prompt would take; the prompt is lent and comes back. */
int turn_plan(worker *w, struct prompt *prompt, enum ox_reply reply, struct ox_plan *plan,
              size_t *n_prompt, ox_err *err);

#endif
