/* restart.h - from where a wanted prefix is continued: the live timeline, a copy kept in memory, a
 * stored snapshot, or nothing. A recurrent state cannot be shortened: only positions at which one
 * was kept are places to start from. docs/STORE.md sections 6 and 7. */
#ifndef RESTART_H
#define RESTART_H

#include "engine/session.h"

struct restart {
    size_t at;                     /* tokens of want that are in place once it is applied */
    bool is_live;                  /* the timeline as it stands */
    const struct cache_snap *snap; /* or a copy in memory, or found, or neither: from 0 */
    struct ox_found found;         /* n 0: not from the store */
    size_t earlier;                /* tokens of want known to have been computed once */
    struct ox_plan plan;
};

/* Operations of computing the n tokens behind `from`, by kernels/kn_cost.h, those of attention counted
 * as often as they take longer: grows with depth, so that a speed measured at one place tells about
 * another. Seconds at the measured speed, or, before
 * there is one, at that of an earlier process, or at a guess. Deepening: see ox_plan. */
double restart_ops(const ox_engine *e, size_t from, size_t n);
double restart_seconds(const ox_engine *e, size_t from, size_t n);
double restart_deepening(const ox_engine *e);

/* Changes nothing. The store is asked for records of at most `limit` tokens; earlier: as of a
 * choice that failed, or 0. */
void restart_choose(const ox_session *s, struct ox_prefix want, const struct ox_state_io *io,
                    size_t limit, size_t earlier, struct restart *out);

/* Makes tok[0, at) the timeline, with everything that belongs to it. OX_ENOTFOUND or OX_EFORMAT:
 * the stored record is not what it was thought to be; choose again with a limit below found.n. Any
 * other failure is that of the device or of memory. */
int restart_apply(ox_session *s, struct ox_prefix want, const struct restart *r,
                  const struct ox_state_io *io, ox_err *err);

#endif
