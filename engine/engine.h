/* engine.h - the open model as the engine's own files see it: the parts behind ox.h, and the door
 * by which tests bring a backend of their own. Immutable after opening but for the counters at the
 * end. */
#ifndef ENGINE_H
#define ENGINE_H

#include "engine/memory.h"
#include "engine/pool.h"
#include "engine/template.h"
#include "engine/weights.h"

enum { ENGINE_STOPS = 32 };

struct ox_engine {
    struct folder *folder;
    struct ox_config config;
    struct st_set tensors;
    tokenizer *tok;
    struct chat_template chat;

    pool *pool;
    const struct kn_backend *kn;
    kn_dev *dev;
    struct kn_facts facts;
    enum kn_dtype kv;
    struct cache_shape shape;
    struct memory_plan plan;
    struct ox_weights weights;
    struct act act; /* one device, one step at a time: shared by all sessions */

    int32_t stop[ENGINE_STOPS];
    int n_stop;
    struct ox_info info;
    char note[1024];

    /* Used by the thread of the device alone. */
    uint64_t n_sessions;  /* opened so far: names their buffers to the backend */
    double prefill_ops_s; /* measured, decaying mean; 0: nothing measured yet */
    double earlier_ops_s; /* as an earlier process measured; 0: not known */
};

/* opts->backend is not looked at: kn and which (as kn_open.which) are used. */
int engine_open_on(const struct ox_engine_opts *opts, const struct kn_backend *kn,
                   const char *which, ox_engine **out, ox_err *err);

#endif
