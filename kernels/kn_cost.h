/* kn_cost.h - operations and bytes of each operation from its shapes (docs/KERNELS.md 1.2): what
 * the benchmark divides by time, and what the restart planner multiplies by it. Pure, any thread.
 * A multiply and an add are two operations. Bytes are those that must move at least: weights,
 * states and KV once; activations are left out, they stay in the cache. */
#ifndef KN_COST_H
#define KN_COST_H

#include "kernels/kn.h"

struct kn_cost {
    double ops, bytes;
};

struct kn_cost kn_cost_linear(const struct kn_part *part, int n_parts, int64_t T);
/* Recurrent form; state and conv tail read and written once a call. */
struct kn_cost kn_cost_gdn(const struct kn_gdn *g);
/* T tokens after N; keys and values of all positions read once a call, new ones written. */
struct kn_cost kn_cost_attn(const struct kn_attn *a, int64_t n_cached);
struct kn_cost kn_cost_add(struct kn_cost a, struct kn_cost b);

#endif
