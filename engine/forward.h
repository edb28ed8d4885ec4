/* forward.h - one pass of T tokens through the model, on any backend. What a newcomer who knows the
 * model card can hold against it line by line: docs/MODEL.md section 3. Owned by a session; one
 * thread, that of the device. */
#ifndef FORWARD_H
#define FORWARD_H

#include "engine/memory.h"
#include "engine/trace.h"
#include "engine/weights.h"

#include <stdatomic.h>

/* Steps up to this length always issue the same operations on the same buffers and may be recorded
 * by the backend; they are not broken off in the middle. */
enum { FORWARD_RECORDED = 8 };

struct forward {
    const struct kn_backend *kn;
    kn_dev *dev;
    const struct ox_config *config;
    const struct ox_weights *weights;
    const struct act *act;
    struct cache *cache;
    enum kn_dtype kv;
    uint64_t key;              /* names this session's buffers; not 0 */
    const atomic_bool *cancel; /* polled between layers of longer steps */
    const struct trace *trace; /* or NULL */
    uint64_t n_tokens;         /* that went through, for the honesty of the ledger */

    /* The step in work. */
    int64_t T;
    int32_t i_gdn, i_attn;   /* layers of each kind so far */
    kn_tensor add, add_norm; /* output of a post-norm block, not yet normed and added to x */
};

/* Feeds tok[n_tok] behind n_cached tokens; tok NULL: the one the device drew last. Pages for them
 * are there. Leaves the states behind the last token and, with want_logits, its logits in the
 * cache. OX_ECANCELLED and every other failure leave the states half changed: the caller undoes. */
int forward(struct forward *f, const int32_t *tok, int32_t n_tok, size_t n_cached, bool want_logits,
            ox_err *err);

/* After forward without want_logits: logits of rows [first, first + n) into out [n,V] f32. Each row
 * once and in rising order: a pending sum is added on the way. */
int forward_rows(struct forward *f, const int32_t *tok, size_t n_cached, int64_t first, int64_t n,
                 kn_in out, ox_err *err);

#endif
