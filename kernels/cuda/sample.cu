/* sample.cu - draws one id on the device: argmax, or penalty, temperature, top-k, top-p, min-p,
 * draw.
 *
 * op       docs/MODEL.md 7.3; definition ref_draw in cpu/ref_sample.c
 * args     logits [V] f32 in · struct kn_sample · seen ids · step->drawn, step->done and the
 *          host's result word out
 * work     prepare: 64 blocks, penalty and temperature into scratch, best of each block. pick:
 *          one block; candidates within 14 of the best go to shared memory in rising id; top-k
 *          and top-p are cuts found by halving the range of keys, 32 sums over the candidates
 *          each
 * smem     pick: 8192 candidates, 64 KB; more than that stay in global memory (slow, still
 *          exact)
 * cost     400 KB read twice (7B)
 * limit    latency: about 4 us greedy, 20 us with filters
 * numerics keys order by value, of equals the higher id is the lesser; sums in double, in
 *          thread order, rounded to f32 before a comparison, as in the definition; expf differs
 *          from the host's in the last bit, which moves a draw only when u lies within 1e-7 of
 *          a border
 * refuses  nothing
 * measured docs/PERF.md */
#include "kernels/cuda/cuda_dev.cuh"

#include <string.h>

struct sample_args {
    const float *logits;
    float *z;    /* [V] scratch: penalised, over temperature; -inf where masked */
    float *best; /* [SAMPLE_BLOCKS] and ids behind */
    int32_t *best_id;
    const int32_t *seen;
    int32_t V, n_vocab, n_seen, top_k, n_stop, slot;
    float temperature, top_p, min_p, repeat;
    uint64_t seed, sequence;
    int64_t position;
    int32_t stop[16];
    struct step_state *step;
    volatile uint64_t *result;
};

DEV bool is_better(float a, int ia, float b, int ib) {
    return a > b || (a == b && ia < ib);
}

static __global__ void __launch_bounds__(256)
    sample_prepare_k(const __grid_constant__ sample_args a) {
    extern __shared__ uint32_t marked[]; /* a bit for each id of this block */
    __shared__ float sv[8];
    __shared__ int si[8];
    pdl_wait();
    pdl_next();
    const int per = (a.V + SAMPLE_BLOCKS - 1) / SAMPLE_BLOCKS, from = (int)blockIdx.x * per;
    const int to = from + per < a.V ? from + per : a.V;
    for (int i = threadIdx.x; i < (per + 31) / 32; i += 256)
        marked[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < a.n_seen; i += 256) {
        int id = a.seen[i];
        if (id >= from && id < to) atomicOr(&marked[(id - from) / 32], 1u << ((id - from) & 31));
    }
    __syncthreads();
    float best = -INFINITY;
    int best_id = 0x7fffffff;
    for (int i = from + threadIdx.x; i < to; i += 256) {
        float z = a.logits[i];
        if (marked[(i - from) / 32] >> ((i - from) & 31) & 1u)
            z = z > 0.0f ? z / a.repeat : z * a.repeat;
        if (i >= a.n_vocab || !(z > -INFINITY)) z = -INFINITY;
        if (a.temperature > 0.0f) z /= a.temperature;
        a.z[i] = z;
        if (z > -INFINITY && is_better(z, i, best, best_id)) best = z, best_id = i;
    }
#pragma unroll
    for (int d = 16; d > 0; d /= 2) {
        float v = __shfl_xor_sync(0xffffffffu, best, d);
        int id = __shfl_xor_sync(0xffffffffu, best_id, d);
        if (is_better(v, id, best, best_id)) best = v, best_id = id;
    }
    if ((threadIdx.x & 31) == 0) sv[threadIdx.x >> 5] = best, si[threadIdx.x >> 5] = best_id;
    __syncthreads();
    if (threadIdx.x) return;
    for (int w = 1; w < 8; w++)
        if (is_better(sv[w], si[w], best, best_id)) best = sv[w], best_id = si[w];
    a.best[blockIdx.x] = best;
    a.best_id[blockIdx.x] = best_id;
}

/* ---- pick ----------------------------------------------------------------------------------- */

/* Candidates in rising id: in shared memory, or all of z. */
struct candidates {
    const float *z;
    const int32_t *id;
    int n;
};

DEV int id_of(const candidates &c, int i) {
    return c.id ? c.id[i] : i;
}
/* Rising with the value; of equals the higher id comes first. */
DEV uint64_t key_of_value(float z, int id) {
    uint32_t u = __float_as_uint(z);
    u = u & 0x80000000u ? ~u : u | 0x80000000u;
    return (uint64_t)u << 32 | (uint32_t)~id;
}
DEV uint64_t key_of(const candidates &c, int i) {
    return key_of_value(c.z[i], id_of(c, i));
}

/* Sums over the block in thread order. red: a double for each warp. */
DEV double sum_block(double v, double *red) {
#pragma unroll
    for (int d = 16; d > 0; d /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, d);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) red[threadIdx.x >> 5] = v;
    __syncthreads();
    double s = 0.0;
    for (int w = 0; w < SAMPLE_THREADS / 32; w++)
        s += red[w];
    return s;
}

/* Each thread's range of candidates: in order, so that a scan over threads is a scan over ids. */
DEV void range_of(const candidates &c, int *from, int *to) {
    int per = (c.n + SAMPLE_THREADS - 1) / SAMPLE_THREADS;
    *from = min(c.n, (int)threadIdx.x * per);
    *to = min(c.n, *from + per);
}

struct pick_state {
    float max;
    double total;  /* of exp(z - max) over what top-k kept, candidates or not */
    double low;    /* probability of ids that are no candidates */
    uint64_t keep; /* candidates with a key >= keep are kept */
};

DEV float prob_of(const candidates &c, int i, const pick_state &s) {
    return (float)((double)expf(c.z[i] - s.max) / s.total);
}

/* The smallest key such that at least k candidates have a greater or equal value. */
static __device__ uint64_t cut_top_k(const candidates &c, int k, double *red) {
    uint64_t lo = 0, hi = 0xffffffffull; /* largest value with count(>= value) >= k */
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo + 1) / 2;
        int from, to, n = 0;
        range_of(c, &from, &to);
        for (int i = from; i < to; i++)
            n += key_of(c, i) >> 32 >= mid;
        if (sum_block((double)n, red) >= (double)k)
            lo = mid;
        else
            hi = mid - 1;
    }
    return lo << 32;
}

/* The smallest key at which the running sum from below exceeds 1 - p; false: it lies below all
 * candidates, among the ids that were left out. */
static __device__ bool cut_top_p(const candidates &c, float top_p, pick_state *s, double *red) {
    double limit = (double)(1.0f - top_p);
    if ((double)(float)s->low > limit) return false;
    uint64_t lo = s->keep, hi = ~0ull;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        int from, to;
        double sum = 0.0;
        range_of(c, &from, &to);
        for (int i = from; i < to; i++) {
            uint64_t key = key_of(c, i);
            if (key >= s->keep && key <= mid) sum += (double)prob_of(c, i, *s);
        }
        sum = sum_block(sum, red) + s->low;
        if ((double)(float)sum > limit)
            hi = mid;
        else
            lo = mid + 1;
    }
    s->keep = lo;
    return true;
}

/* Splitmix64, as the definition has it. */
DEV uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
DEV double random_at(uint64_t seed, int64_t position) {
    uint64_t golden = 0x9e3779b97f4a7c15ull;
    uint64_t bits = mix(mix(seed + golden) ^ ((uint64_t)position + 1) * golden);
    return (double)(bits >> 11) * 0x1p-53;
}

/* The first id, counting upwards, at which the running sum of what is kept exceeds u. */
static __device__ int draw(const candidates &c, const sample_args &a, const pick_state &s,
                           double *red) {
    __shared__ double start[SAMPLE_THREADS];
    __shared__ int found, last;
    int from, to;
    double mine = 0.0;
    range_of(c, &from, &to);
    for (int i = from; i < to; i++)
        if (key_of(c, i) >= s.keep) mine += (double)prob_of(c, i, s);
    double total = sum_block(mine, red);
    start[threadIdx.x] = mine;
    if (threadIdx.x == 0) found = 0x7fffffff, last = -1;
    __syncthreads();
    if (threadIdx.x == 0) { /* 1024 additions in order: exact prefix sums for every thread */
        double run = 0.0;
        for (int t = 0; t < SAMPLE_THREADS; t++) {
            double v = start[t];
            start[t] = run;
            run += v;
        }
    }
    __syncthreads();
    double u = random_at(a.seed, a.position) * total, run = start[threadIdx.x];
    for (int i = from; i < to; i++) {
        if (key_of(c, i) < s.keep) continue;
        run += (double)prob_of(c, i, s);
        atomicMax(&last, id_of(c, i));
        if (run > u) {
            atomicMin(&found, id_of(c, i));
            break;
        }
    }
    __syncthreads();
    return found != 0x7fffffff ? found : last < 0 ? 0 : last;
}

/* Compacts ids with z > cut into shared memory in rising order; -1 when they do not fit. */
static __device__ int collect(const sample_args &a, float cut, float *cz, int32_t *cid) {
    __shared__ int count[SAMPLE_THREADS / 32];
    int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    int per = ((a.V + SAMPLE_THREADS - 1) / SAMPLE_THREADS) * 32, from = warp * per, n = 0;
    for (int i = from + lane; i < from + per; i += 32)
        n += __popc(__ballot_sync(0xffffffffu, i < a.V && a.z[i] > cut));
    if (lane == 0) count[warp] = n;
    __syncthreads();
    int at = 0, all = 0;
    for (int w = 0; w < SAMPLE_THREADS / 32; w++) {
        if (w < warp) at += count[w];
        all += count[w];
    }
    if (all > SAMPLE_CANDIDATES) return -1;
    for (int i = from + lane; i < from + per; i += 32) {
        bool is_in = i < a.V && a.z[i] > cut;
        unsigned mask = __ballot_sync(0xffffffffu, is_in);
        if (is_in) {
            int p = at + __popc(mask & ((1u << lane) - 1));
            cz[p] = a.z[i];
            cid[p] = i;
        }
        at += __popc(mask);
    }
    __syncthreads();
    return all;
}

/* Sum of exp(z - max) over z >= least of all ids, in a fixed order. */
static __device__ double sum_all(const sample_args &a, float max, float least, double *red) {
    double s = 0.0;
    for (int i = threadIdx.x; i < a.V; i += SAMPLE_THREADS)
        if (a.z[i] >= least) s += (double)expf(a.z[i] - max);
    return sum_block(s, red);
}

DEV float value_of_key(uint64_t key) {
    uint32_t u = (uint32_t)(key >> 32);
    return __uint_as_float(u & 0x80000000u ? u & 0x7fffffffu : ~u);
}

/* Filters and draw over c; *tok holds the best id before. false: c leaves out an id that the
 * filters need. is_all: c is everything. */
static __device__ bool filter(const sample_args &a, const candidates &c, float max, bool is_all,
                              double *red, int *tok) {
    const uint64_t best_key = key_of_value(max, *tok);
    pick_state s = {max, 0.0, 0.0, 1ull << 32};
    if (is_all) s.keep = 0x00800000ull << 32; /* above -inf */
    float least = -INFINITY;
    bool has_k = a.top_k > 0 && a.top_k < a.n_vocab && a.top_k < a.V;
    if (has_k) {
        if (c.n < a.top_k) return false;
        uint64_t cut = cut_top_k(c, a.top_k, red);
        if (cut > s.keep) s.keep = cut;
        least = value_of_key(s.keep);
        double part = 0.0;
        int from, to;
        range_of(c, &from, &to);
        for (int i = from; i < to; i++)
            if (key_of(c, i) >= s.keep) part += (double)expf(c.z[i] - max);
        s.total = sum_block(part, red);
    } else {
        s.total = sum_all(a, max, least, red);
        if (!is_all) {
            double part = 0.0;
            int from, to;
            range_of(c, &from, &to);
            for (int i = from; i < to; i++)
                part += (double)expf(c.z[i] - max);
            s.low = (s.total - sum_block(part, red)) / s.total;
            if (s.low < 0.0) s.low = 0.0;
        }
    }
    if (a.top_p < 1.0f) {
        if (!cut_top_p(c, a.top_p, &s, red)) return false;
        if (s.keep > best_key) s.keep = best_key; /* the best stays whatever p is */
    } else if (!has_k && !is_all && s.low > 0.0 && !(a.min_p > 1e-5f)) {
        return false; /* no filter: any id may be drawn */
    }
    if (a.min_p > 0.0f) { /* p >= min_p * largest; a common factor does not matter */
        float p_max = (float)(1.0 / s.total);
        uint64_t lo = s.keep >> 32, hi = 0xffffffffull;
        while (lo < hi) { /* p rises with the value: halve the range of values */
            uint64_t mid = lo + (hi - lo) / 2;
            float p = (float)((double)expf(value_of_key(mid << 32) - max) / s.total);
            if (p >= a.min_p * p_max)
                hi = mid;
            else
                lo = mid + 1;
        }
        if (lo << 32 > s.keep) s.keep = lo << 32;
    }
    *tok = draw(c, a, s, red);
    return true;
}

static __global__ void __launch_bounds__(SAMPLE_THREADS)
    sample_pick_k(const __grid_constant__ sample_args a) {
    extern __shared__ __align__(16) float cz[]; /* [SAMPLE_CANDIDATES] and ids behind */
    __shared__ double red[SAMPLE_THREADS / 32];
    int32_t *cid = (int32_t *)(cz + SAMPLE_CANDIDATES);
    pdl_wait();
    pdl_next();
    if (a.step->done) return; /* void: queued behind a stop id */
    float max = -INFINITY;
    int tok = 0x7fffffff;
    for (int b = 0; b < SAMPLE_BLOCKS; b++)
        if (a.best[b] > -INFINITY && is_better(a.best[b], a.best_id[b], max, tok))
            max = a.best[b], tok = a.best_id[b];
    if (tok == 0x7fffffff)
        tok = 0; /* nothing is finite */
    else if (a.temperature > 0.0f) {
        int n = collect(a, max - 14.0f, cz, cid);
        bool is_done = false;
        if (n >= 0) {
            candidates c = {cz, cid, n};
            is_done = filter(a, c, max, false, red, &tok);
        }
        __syncthreads();
        if (!is_done) {
            candidates c = {a.z, NULL, a.V};
            filter(a, c, max, true, red, &tok);
        }
    }
    if (threadIdx.x) return;
    bool is_stop = false;
    for (int i = 0; i < a.n_stop; i++)
        is_stop = is_stop || a.stop[i] == tok;
    a.step->drawn = tok;
    if (is_stop) a.step->done = 1;
    a.result[a.slot] = a.sequence << 33 | (uint64_t)is_stop << 32 | (uint32_t)tok;
    __threadfence_system();
}

/* ---- host ----------------------------------------------------------------------------------- */

static int send_seen(kn_dev *dev, const struct kn_sample *how, int slot, const int32_t **out,
                     ox_err *err) {
    size_t n = (size_t)how->n_seen;
    if (n > dev->seen_cap) { /* grows rarely; nothing may still read the old list */
        size_t cap = n + n / 2 + 4096;
        int rc = cu_check(dev, cudaStreamSynchronize(dev->stream), "sample", err);
        if (rc) return rc;
        if (dev->seen) cudaFreeHost(dev->seen);
        if (dev->seen_dev) cudaFree(dev->seen_dev);
        dev->seen = dev->seen_dev = NULL;
        dev->seen_cap = 0;
        rc = cu_check(dev,
                      cudaHostAlloc((void **)&dev->seen, cap * MAX_DRAWS * 4, cudaHostAllocDefault),
                      "ids under the penalty", err);
        if (!rc)
            rc = cu_alloc(dev, cap * MAX_DRAWS * 4, "ids under the penalty",
                          (void **)&dev->seen_dev, err);
        if (rc) return rc;
        dev->seen_cap = cap;
    }
    size_t at = (size_t)slot * dev->seen_cap;
    memcpy(dev->seen + at, how->seen, n * 4);
    *out = dev->seen_dev + at;
    return cu_check(dev,
                    cudaMemcpyAsync(dev->seen_dev + at, dev->seen + at, n * 4,
                                    cudaMemcpyHostToDevice, dev->stream),
                    "sample", err);
}

int sample_run(kn_dev *dev, kn_in logits, const struct kn_sample *how, ox_err *err) {
    sample_args a = {};
    a.V = (int32_t)logits->cols;
    a.n_vocab = how->n_vocab < a.V ? how->n_vocab : a.V;
    a.slot = (int32_t)(dev->n_drawn % MAX_DRAWS);
    a.sequence = dev->n_drawn + 1;
    if (how->n_stop > (int)(sizeof a.stop / sizeof a.stop[0]))
        return ox_err_set(err, OX_EUSAGE, "sample: %d stop ids, at most 16", how->n_stop);
    if (((size_t)a.V + 2 * SAMPLE_BLOCKS) * 4 > dev->small_bytes)
        return ox_err_set(err, OX_EDEVICE, "sample: %d ids are more than the scratch holds", a.V);
    a.logits = (const float *)logits->data;
    a.z = (float *)dev->small;
    a.best = a.z + a.V;
    a.best_id = (int32_t *)(a.best + SAMPLE_BLOCKS);
    bool has_penalty =
        how->repeat > 0.0f && (how->repeat < 1.0f || how->repeat > 1.0f) && how->n_seen > 0;
    a.n_seen = has_penalty ? how->n_seen : 0;
    int rc = has_penalty ? send_seen(dev, how, a.slot, &a.seen, err) : 0;
    if (rc) return rc;
    a.temperature = how->temperature;
    a.top_p = how->top_p;
    a.min_p = how->min_p;
    a.repeat = how->repeat;
    a.top_k = how->top_k;
    a.n_stop = how->n_stop;
    for (int i = 0; i < how->n_stop; i++)
        a.stop[i] = how->stop[i];
    a.seed = how->seed;
    a.position = how->position;
    a.step = dev->step;
    a.result = dev->result;
    size_t bits = (size_t)((a.V + SAMPLE_BLOCKS - 1) / SAMPLE_BLOCKS + 31) / 32 * 4;
    struct cu_grid g = {dim3(SAMPLE_BLOCKS), 256, bits, true};
    rc = cu_launch(dev, "sample_prepare_k", sample_prepare_k, g, err, a);
    struct cu_grid one = {dim3(1), SAMPLE_THREADS, (size_t)SAMPLE_CANDIDATES * 8, true};
    if (!rc) rc = cu_launch(dev, "sample_pick_k", sample_pick_k, one, err, a);
    if (!rc) dev->n_drawn++;
    return rc;
}
