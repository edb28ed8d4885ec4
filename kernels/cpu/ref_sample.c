/* ref_sample.c - definition of the draw: order of the filters and rounding of their comparisons
 * after docs/MODEL.md 7.3, and the counter-based random number that makes a resumed session draw as
 * if it had never stopped. Sums run in double and are rounded to f32 before each comparison. */
#include "kernels/cpu/cpu_ref.h"

#include <math.h>

/* SplitMix64's output mix: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double ref_random(uint64_t seed, int64_t position) {
    uint64_t golden = 0x9e3779b97f4a7c15u; /* keeps (0,0) away from the fixed point 0 */
    uint64_t bits = mix(mix(seed + golden) ^ ((uint64_t)position + 1) * golden);
    return (double)(bits >> 11) * 0x1p-53;
}

/* Unmasked ids with penalised logits, in rising order of id. mark [V] is used and left zero. */
static int64_t collect(const float *logits, int64_t V, const struct kn_sample *how, double *mark,
                       struct ref_candidate *out) {
    int64_t n = 0, limit = how->n_vocab < V ? how->n_vocab : V;
    memset(mark, 0, (size_t)V * sizeof *mark);
    bool has_penalty = how->repeat > 0.0f && (how->repeat < 1.0f || how->repeat > 1.0f);
    for (int32_t i = 0; has_penalty && i < how->n_seen; i++)
        if (how->seen[i] >= 0 && how->seen[i] < V)
            mark[how->seen[i]] = 1.0; /* each id counts once */
    for (int64_t id = 0; id < limit; id++) {
        float z = logits[id];
        if (mark[id] > 0.0) z = z > 0.0f ? z / how->repeat : z * how->repeat;
        if (z > -INFINITY) out[n++] = (struct ref_candidate){z, (int32_t)id}; /* drops NaN too */
    }
    for (int32_t i = 0; has_penalty && i < how->n_seen; i++)
        if (how->seen[i] >= 0 && how->seen[i] < V) mark[how->seen[i]] = 0.0;
    return n;
}

/* Total order of candidates: by value, of equals the higher id is the lesser. */
static bool is_less(struct ref_candidate a, struct ref_candidate b) {
    return a.p < b.p || (!(b.p < a.p) && a.id > b.id);
}

static void swap(struct ref_candidate *c, int64_t i, int64_t j) {
    struct ref_candidate t = c[i];
    c[i] = c[j];
    c[j] = t;
}

/* Moves those below a middle candidate of [from, to) to the front; returns where it itself landed.
 */
static int64_t split(struct ref_candidate *c, int64_t from, int64_t to) {
    int64_t mid = from + (to - from) / 2, last = to - 1;
    if (is_less(c[mid], c[from])) swap(c, mid, from);
    if (is_less(c[last], c[mid])) swap(c, last, mid);
    if (is_less(c[mid], c[from])) swap(c, mid, from);
    struct ref_candidate pivot = c[mid];
    swap(c, mid, last);
    int64_t at = from;
    for (int64_t i = from; i < last; i++)
        if (is_less(c[i], pivot)) swap(c, i, at++);
    swap(c, at, last);
    return at;
}

/* Keeps the k largest and all that equal the k-th; returns their number, at the front. */
static int64_t keep_top_k(struct ref_candidate *c, int64_t n, int64_t k) {
    if (k <= 0 || k >= n) return n;
    int64_t from = 0, to = n, want = n - k;
    while (to - from > 1) {
        int64_t at = split(c, from, to);
        if (at == want) break;
        if (at < want)
            from = at + 1;
        else
            to = at;
    }
    float least = c[want].p;
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (c[i].p >= least) swap(c, i, kept++);
    return kept;
}

/* Drops, from the smallest up, while the running sum of those dropped is <= 1 - p; the best stays.
 * Selection by halves instead of a sort: whole lower parts are dropped at once. */
static int64_t keep_top_p(struct ref_candidate *c, int64_t n, float top_p) {
    if (!(top_p < 1.0f)) return n;
    double dropped = 0.0, limit = (double)(1.0f - top_p);
    int64_t from = 0, to = n; /* below from: dropped; at to and above: kept */
    while (from < to) {
        int64_t at = split(c, from, to);
        double lower = 0.0;
        for (int64_t i = from; i < at; i++)
            lower += (double)c[i].p;
        if ((double)(float)(dropped + lower) > limit) {
            to = at;
            continue;
        }
        dropped += lower;
        if ((double)(float)(dropped + (double)c[at].p) > limit) {
            from = to = at;
        } else {
            dropped += (double)c[at].p;
            from = at + 1;
        }
    }
    if (from >= n) { /* the best candidate stays whatever p is */
        for (int64_t i = 0; i < n - 1; i++)
            if (is_less(c[n - 1], c[i])) swap(c, i, n - 1);
        from = n - 1;
    }
    for (int64_t i = from; i < n; i++)
        c[i - from] = c[i];
    return n - from;
}

/* Drops what cannot count: below e^-104 of the largest an f32 probability is 0. Under top-p
 * everything below e^-46 as well: all 10^5 ids together are 10^-15, where the comparison rounds to
 * 10^-9. Spares most of the exponentials at low temperatures. */
static int64_t drop_negligible(struct ref_candidate *c, int64_t n, bool has_top_p) {
    float max = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (c[i].p > max) max = c[i].p;
    float least = max - (has_top_p ? 46.0f : 104.0f);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (c[i].p >= least) c[kept++] = c[i];
    return kept;
}

/* Values become probabilities; those too small for an f32 are dropped. */
static int64_t softmax(struct ref_candidate *c, int64_t n) {
    float max = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        if (c[i].p > max) max = c[i].p;
    double total = 0.0;
    for (int64_t i = 0; i < n; i++)
        total += (double)(c[i].p = expf(c[i].p - max));
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        c[i].p = (float)((double)c[i].p / total);
        if (c[i].p > 0.0f) swap(c, i, kept++);
    }
    return kept;
}

static int64_t keep_min_p(struct ref_candidate *c, int64_t n, float min_p) {
    if (!(min_p > 0.0f)) return n;
    float max = 0.0f;
    for (int64_t i = 0; i < n; i++)
        if (c[i].p > max)
            max = c[i].p; /* a common factor does not matter: no need to renormalise */
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++)
        if (c[i].p >= min_p * max) swap(c, i, kept++);
    return kept;
}

int64_t ref_sample_probs(const float *logits, int64_t V, const struct kn_sample *how, double *p,
                         struct ref_candidate *work) {
    int64_t n = collect(logits, V, how, p, work);
    for (int64_t i = 0; i < n; i++)
        work[i].p /= how->temperature;
    n = keep_top_k(work, n, how->top_k);
    n = drop_negligible(work, n, how->top_p < 1.0f);
    n = softmax(work, n);
    n = keep_top_p(work, n, how->top_p);
    n = keep_min_p(work, n, how->min_p);
    double total = 0.0;
    for (int64_t i = 0; i < n; i++)
        total += (double)work[i].p;
    for (int64_t i = 0; i < n; i++)
        p[work[i].id] = (double)work[i].p / total;
    return n;
}

enum { FEW_KEPT = 256 }; /* so few are sorted; else all ids are walked */

static void sort_by_id(struct ref_candidate *c, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        for (int64_t k = i; k > 0 && c[k - 1].id > c[k].id; k--)
            swap(c, k - 1, k);
}

int32_t ref_draw(const float *logits, int64_t V, const struct kn_sample *how, double *p,
                 struct ref_candidate *work) {
    if (!(how->temperature > 0.0f)) {
        int64_t n = collect(logits, V, how, p, work), best = 0;
        for (int64_t i = 1; i < n; i++)
            if (work[i].p > work[best].p) best = i; /* rising ids: the lowest of equals wins */
        return n ? work[best].id : 0;
    }
    int64_t n = ref_sample_probs(logits, V, how, p, work);
    if (n == 0) return 0;
    double u = ref_random(how->seed, how->position), sum = 0.0;
    int32_t last = 0;
    if (n <= FEW_KEPT) sort_by_id(work, n);
    for (int64_t i = 0; i < (n <= FEW_KEPT ? n : V); i++) {
        int64_t id = n <= FEW_KEPT ? work[i].id : i;
        if (!(p[id] > 0.0)) continue;
        sum += p[id];
        last = (int32_t)id;
        if (sum > u) break;
    }
    return last; /* rounding may leave the sum just below u: then the last one kept */
}
