/* loop.h - the interactive program: poll, update, effects, draw. UI thread. */
#ifndef LOOP_H
#define LOOP_H

#include "app/config.h"
#include "app/ingest.h"

struct loop_opts {
    struct config *conf; /* borrowed; /set changes it */
    const char *draft;   /* text typed behind `oxbow`; NULL */
    const char *system;  /* -s; NULL */
    const char *resume;  /* -r ID; "" opens the list; NULL: neither */
    bool is_continue;    /* -c: the last session */
    struct ingest *doc;  /* -f, stdin: read already; taken over */
    size_t n_docs;
};

/* Runs until the person leaves. Returns 0, or why it could not begin: OX_EFAIL if the terminal
 * cannot be drawn on (plain mode can). signo gets the signal that ended it, or 0. */
int loop_run(const struct loop_opts *opts, int *signo, ox_err *err);

#endif
