/* model_show.h - the lines that the engine's offline tasks hand over (engine/offline.h), as people
 * read them on stdout; how far a task is goes to stderr, on a terminal only. */
#ifndef MODEL_SHOW_H
#define MODEL_SHOW_H

#include "engine/ox.h"

struct model_show {
    bool is_json;  /* the engine's objects as they come */
    bool is_brief; /* list: one line a model */
    bool has_bar;  /* stderr is a terminal and not quiet */
    uint64_t ctx;  /* tokens whose memory `info` adds up; 0: the trained length */
    bool drawn;    /* a bar is on the screen */
    int rc;        /* of the first line that could not be shown */
    ox_err *err;
};

/* For ox_offline; user is a struct model_show. */
int model_show_line(void *user, const char *json);
void model_show_end(struct model_show *s); /* takes the bar away */

#endif
