/* kn_cost.c - see kn_cost.h. */
#include "kernels/kn_cost.h"

#include "kernels/kn_check.h"

struct kn_cost kn_cost_add(struct kn_cost a, struct kn_cost b) {
    return (struct kn_cost){a.ops + b.ops, a.bytes + b.bytes};
}

static double part_bytes(const struct kn_part *p) {
    double rows = (double)p->rows;
    double bytes = rows * (double)kn_bytes(p->dtype, p->cols);
    if (p->dtype != KN_I8 && p->dtype != KN_I4) return bytes;
    double n_groups = p->group ? (double)(p->cols / p->group) : 1.0;
    double zeros = p->zero ? rows * n_groups * (p->dtype == KN_I8 ? 1.0 : 0.5) : 0.0;
    return bytes + rows * n_groups * (double)kn_bytes(p->scale_dtype, 1) + zeros;
}

struct kn_cost kn_cost_linear(const struct kn_part *part, int n_parts, int64_t T) {
    struct kn_cost c = {0};
    for (int i = 0; i < n_parts; i++) {
        c.ops += 2.0 * (double)T * (double)part[i].rows * (double)part[i].cols;
        c.bytes += part_bytes(&part[i]);
    }
    return c;
}

struct kn_cost kn_cost_gdn(const struct kn_gdn *g) {
    double T = (double)g->q.rows, channels = (double)g->taps.rows, W = (double)g->taps.cols;
    double state = (double)g->state.rows * (double)g->state.cols;
    double conv = channels * (double)kn_bytes(g->conv.dtype, g->conv.rows);
    /* Each element of S: decay, dot with k, update, dot with q: 7 operations. */
    return (struct kn_cost){T * (7.0 * state + 2.0 * W * channels), 2.0 * (4.0 * state + conv)};
}

struct kn_cost kn_cost_attn(const struct kn_attn *a, int64_t n_cached) {
    double T = (double)a->q.rows, N = (double)n_cached, width = (double)a->q.cols;
    int64_t Dh = a->q.cols / a->n_heads;
    double row = (double)kn_kv_block_bytes(a->kv, Dh) / KN_PAGE_TOKENS;
    double pairs = T * N + T * (T + 1.0) / 2.0; /* a token sees itself and all before it */
    return (struct kn_cost){4.0 * width * pairs, 2.0 * (double)a->n_kv_heads * row * (N + 2.0 * T)};
}
