/* progress.h - how far a long read is, on stderr: a bar that is redrawn on a terminal, a line each
 * 10 % or 10 s elsewhere. Short work shows nothing. UI thread. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "app/core/eta.h"
#include "app/worker.h"

struct progress {
    bool is_quiet, is_terminal, is_shown; /* is_terminal: may be redrawn in place */
    const char *label;                    /* "act.txt": shown through the filter; borrowed */
    double start_s, shown_s;
    size_t shown_tenth;
    struct eta eta;
    bool has_eta;
};
/* redraw: stderr is a terminal that moves its cursor; false: lines. */
void progress_start(struct progress *p, bool quiet, bool redraw, const char *label);
void progress_news(struct progress *p, const struct news *n); /* NEWS_PROGRESS */
void progress_end(struct progress *p);                        /* takes the bar away */

#endif
