/* signals.h - signals as bytes in a pipe, and the terminal made whole before the program dies.
 *
 * A handler may call almost nothing, so it writes the signal's number to a pipe that poll(2)
 * watches; only stopping an answer is done in the handler itself, because a busy main loop must not
 * delay it. One per process: this is the one place with state that outlives a call. Main thread
 * only. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include "engine/ox.h"

struct signals_opts {
    void (*interrupt)(void *user); /* called inside the handler of SIGINT: async-signal-safe only */
    void *user;
    void (*restore)(
        void);        /* puts the terminal right before a fatal signal kills; NULL: nothing to do */
    bool twice_kills; /* a second SIGINT ends the program, unless signals_next gave the first */
    bool watch_size;  /* SIGWINCH, SIGTSTP and SIGCONT too */
};

/* Takes SIGINT, SIGTERM, SIGHUP (and those of watch_size); SIGPIPE is ignored, a closed pipe shows
 * as EPIPE. May be called again with other options; the descriptor stays. */
int signals_open(const struct signals_opts *opts, ox_err *err);
int signals_fd(void);     /* readable while a signal waits */
int signals_next(void);   /* the oldest waiting signal, 0 if none */
void signals_close(void); /* default actions again */

#endif
