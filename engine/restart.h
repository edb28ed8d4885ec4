/* restart.h - from where a wanted prefix is continued: the live timeline, a copy kept in memory, a
 * stored snapshot, or nothing. A recurrent state cannot be shortened: only positions at which one
 * was kept are places to start from. docs/STORE.md sections 6 and 7. */
#ifndef RESTART_H
#define RESTART_H

#include "engine/session.h"

struct restart {
    size_t at;                     /* tokens of want that are in place once it is applied */
    bool is_live;                  /* the timeline as it stands */
    const struct cache_snap *snap; /* or a copy in memory, or neither: from the beginning */
    struct ox_plan plan;
};

/* Changes nothing. */
int restart_choose(const ox_session *s, struct ox_prefix want, const struct ox_state_io *io,
                   struct restart *out, ox_err *err);
/* Makes tok[0, at) the timeline, with everything that belongs to it. */
int restart_apply(ox_session *s, struct ox_prefix want, const struct restart *r, ox_err *err);

#endif
