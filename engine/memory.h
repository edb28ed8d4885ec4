/* memory.h - what an engine needs in memory, by name and in bytes, before any of it is allocated;
 * and the one block that holds the activations of a step. Pure but for act_open. */
#ifndef MEMORY_H
#define MEMORY_H

#include "engine/cache.h"
#include "engine/config.h"

struct memory_part {
    const char *name; /* static text: "KV cache of 65,536 tokens" is n_tokens and this name */
    uint64_t bytes;
};
struct memory_plan {
    struct memory_part part[8];
    int n_parts;
    uint64_t total, token_bytes; /* token_bytes: what one token of context less would save */
    uint32_t max_tokens;
    int n_snaps; /* snapshots kept beside the live state: as many as fit, CACHE_SNAPS at most */
};

/* weight_bytes: resident bytes of the weights. limit: bytes that may be used, 0: not known. Never
 * fails: memory_check judges. */
void memory_plan_make(const struct ox_config *c, const struct cache_shape *s,
                      const struct kn_facts *facts, uint64_t weight_bytes, uint32_t max_tokens,
                      uint64_t limit, struct memory_plan *out);
/* OX_EDEVICE with every part and number, and the largest context that would fit. */
int memory_check(const struct memory_plan *p, uint64_t limit, ox_err *err);
/* Bytes of host memory that can be had now without swapping; 0: not known. */
uint64_t memory_host_available(void);

/* Activations of up to max_rows tokens: parts of one block of backend memory. Attention and delta
 * rule take turns in q, k, v and y. Rows lie cols elements apart, so views are made for each T. */
struct act {
    const struct kn_backend *kn;
    kn_dev *dev;
    void *block;
    enum kn_dtype type; /* of all but x, a, b, which are f32 */
    int64_t max_rows;
    void *x;         /* [T,D] the residual stream */
    void *mixed;     /* [T,D] output of a block whose norm comes after it */
    void *q, *k, *v; /* gdn: [T,Kd] [T,Kd] [T,Vd]   attn: [T,H*Dh] [T,Hkv*Dh] twice */
    void *gate;      /* [T,Vd] */
    void *a, *b;     /* [T,Hv] */
    void *y;         /* [T,Vd] or [T,H*Dh] read-out of the mixer */
    void *ffn;       /* [T,F] */
};
int act_open(const struct ox_config *c, const struct kn_backend *kn, kn_dev *dev,
             const struct kn_facts *facts, struct act *out, ox_err *err);
void act_close(struct act *a); /* {0} is fine */

static inline kn_tensor act_view(void *part, int64_t rows, int64_t cols, enum kn_dtype type) {
    return (kn_tensor){part, rows, cols, type};
}

#endif
