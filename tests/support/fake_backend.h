/* fake_backend.h - a second backend: the CPU's arithmetic behind the manners of a GPU. It records
 * the operations of a step and replays them when `begin` sees the same key and T, asks for steps
 * ahead of the draw, and copies out as late as the contract of kn.h allows, so that an engine which
 * passes here needs no change for CUDA. One device at a time. */
#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

#include "kernels/kn.h"

struct fake_backend {
    bool ahead;           /* kn_facts.ahead of devices opened from now on */
    bool no_recording;    /* issue every step: what the replay is compared with */
    int32_t chunk_tokens; /* 0: the CPU's */
    /* Called before each operation; for cancelling at every place. */
    void (*on_op)(void *user);
    void *user;
    /* Counted since fake_backend_reset. */
    uint64_t n_steps, n_recorded, n_replayed, n_ops, n_drains;
};

/* The one set of settings and counters; open devices read it on every call. */
struct fake_backend *fake_backend_settings(void);
void fake_backend_reset(void); /* all zero, ahead true */
const struct kn_backend *fake_backend(void);

#endif
