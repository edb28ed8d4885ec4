/* offline_bench.h - going on from a saved state, measured: the part of `model bench` that has a
 * store of its own, in memory. Private to offline_bench*.c. */
#ifndef OFFLINE_BENCH_H
#define OFFLINE_BENCH_H

#include "engine/ox.h"

enum { RESUME_RUNS = 3 };

struct resume_cost {
    size_t n_tokens;
    uint64_t bytes;             /* 0: they did not fit into memory, nothing was measured */
    double time_s[RESUME_RUNS]; /* as they came */
};
/* Keeps the timeline of s (pages, tail, record) in memory, closes s, and has new sessions take it
 * up. Every run must restore all of it and compute nothing: OX_EFAIL. */
int resume_measure(ox_engine *e, ox_session **s, struct resume_cost *out, ox_err *err);

#endif
