/* simd_quant.h - activations in int8 for one vector level: groups of 64 inputs with a scale each,
 * the inputs that would spoil a scale kept apart, and for output matrices a second int8 part that
 * holds what rounding left of the first.
 *
 * Rows stand in tiles of Q_LANES tokens, 8 inputs of each side by side, so that a product walks
 * through one run of memory: q[tile][Dp / 8][Q_LANES][8], scale and corr [tile][steps][Q_LANES]. A
 * call with fewer tokens has one tile of as many lanes. The numbers of a row depend on the row
 * alone. */
#ifndef SIMD_QUANT_H
#define SIMD_QUANT_H

#include "kernels/cpu/cpu_fast.h"
#include "kernels/cpu/simd.h"

#include <math.h>

enum {
    STEP = 64, /* inputs a step: the group of int4 weights and of int8 activations */
    Q_LANES = VL == 16 ? 12 : 4 /* tokens of a register tile, see q8_tile() */
};
enum { FOR_INT4, FOR_INT8, N_FORMS };

/* One int8 form, x = q * scale. For int4 weights each 8 inputs stand evens first, as the nibbles of
 * a word come out; corr undoes the offset of the unsigned weights: -8 or -128 times the sum of q.
 */
struct quant {
    int8_t *q; /* NULL: not needed by this call */
    float *scale;
    int32_t *corr;
};

/* An input taken out before its row is quantised, and multiplied in f32. A few channels of the
 * residual stream are 5 to 8 times the root mean square of their 64; without them the mean KL of
 * the fast mode falls from 4.1e-3 to 6e-4 nat (docs/PERF.md). */
struct outlier {
    int32_t i; /* input; after quants_name_channels: its place in `channel` */
    float x;
};

struct quants {
    int64_t T, Dp, n_steps, lanes;
    struct quant main[N_FORMS];
    struct quant rest[N_FORMS]; /* 254 times finer: what rounding left of main */
    struct outlier *outlier;    /* [T][n_steps], in the order they were taken */
    int32_t *n_outliers;        /* [T]; after quants_name_channels: the most of the row's tile */
    int32_t *place_of;          /* [Dp] place of an input in `channel`, or -1 */
    int32_t *channel;           /* [n_channels] inputs that are an outlier in some row */
    int64_t n_channels;
    float *group_max; /* [n_tasks][n_steps] */
};

/* Tile and lane of a token: elements before it in scale and corr, and in q for its first 8 inputs.
 */
static inline int64_t quant_at(const struct quants *x, int64_t t, int64_t s) {
    int64_t lane = t % x->lanes;
    return (t - lane) * x->n_steps + s * x->lanes + lane;
}

/* ---- memory -------------------------------------------------------------------------------- */

/* The next part of scratch memory; NULL while only counting. */
static void *place(char *base, size_t *used, size_t bytes) {
    size_t at = *used;
    *used += (bytes + 63) / 64 * 64;
    return base ? base + at : NULL;
}

static void quants_place(struct quants *x, int64_t T, int64_t Dp, int n_tasks, const bool *has,
                         const bool *has_rest, char *base, size_t *used) {
    *x =
        (struct quants){.T = T, .Dp = Dp, .n_steps = Dp / STEP, .lanes = T < Q_LANES ? T : Q_LANES};
    size_t rows = (size_t)((T + x->lanes - 1) / x->lanes * x->lanes), steps = (size_t)x->n_steps;
    for (int f = 0; f < 2 * N_FORMS; f++) {
        struct quant *q = f < N_FORMS ? &x->main[f] : &x->rest[f - N_FORMS];
        if (!(f < N_FORMS ? has[f] : has_rest[f - N_FORMS])) continue;
        q->q = place(base, used, rows * (size_t)Dp);
        q->scale = place(base, used, rows * steps * sizeof *q->scale);
        q->corr = place(base, used, rows * steps * sizeof *q->corr);
    }
    x->outlier = place(base, used, (size_t)T * steps * sizeof *x->outlier);
    x->n_outliers = place(base, used, (size_t)T * sizeof *x->n_outliers);
    x->place_of = place(base, used, (size_t)Dp * sizeof *x->place_of);
    x->channel = place(base, used, (size_t)Dp * sizeof *x->channel);
    x->group_max = place(base, used, (size_t)n_tasks * steps * sizeof *x->group_max);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static inline float find_group_max(const float *x) {
    vf max = vf_set(0.0f);
    for (int i = 0; i < STEP; i += VL)
        max = vf_max(max, vf_abs(vf_load(x + i)));
    return vf_max_all(max);
}

/* Takes out the inputs that set the largest scales of the row, up to one a group on average, as
 * long as each takes an eighth off the sum of squared scales, which is what the rounding error
 * follows. */
static int32_t take_outliers(const struct quants *qs, float *x, float *max, struct outlier *out) {
    float total = 0.0f;
    for (int64_t s = 0; s < qs->n_steps; s++) {
        max[s] = find_group_max(x + s * STEP);
        total += max[s] * max[s];
    }
    int32_t n = 0;
    for (; n < qs->n_steps; n++) {
        int64_t worst = 0;
        for (int64_t s = 1; s < qs->n_steps; s++)
            if (max[s] > max[worst]) worst = s;
        float *g = x + worst * STEP, old = max[worst];
        int i = 0;
        while (i < STEP - 1 && fabsf(g[i]) < old)
            i++;
        float v = g[i];
        g[i] = 0.0f;
        max[worst] = find_group_max(g);
        float gain = old * old - max[worst] * max[worst];
        if (!(gain > 0.125f * total)) {
            g[i] = v;
            max[worst] = old;
            break;
        }
        total -= gain;
        out[n] = (struct outlier){(int32_t)(worst * STEP + i), v};
    }
    return n;
}

static inline void store_q8(const struct quants *qs, const struct quant *to, int64_t t, int64_t s,
                            const int8_t *q, float scale, int32_t corr) {
    int64_t at = quant_at(qs, t, s), lane = t % qs->lanes;
    int8_t *p = to->q + (t - lane) * qs->Dp + (s * (STEP / 8) * qs->lanes + lane) * 8;
    for (int i = 0; i < STEP / 8; i++)
        memcpy(p + i * qs->lanes * 8, q + i * 8, 8);
    to->scale[at] = scale;
    to->corr[at] = corr;
}

/* One group to int8, nearest even; x, already divided by the scale, becomes what is left. */
static inline void quantise_group(const struct quants *qs, const struct quant *to, int64_t t,
                                  int64_t s, float *x, float scale) {
    int8_t q[STEP];
    vi sum = vi_set(0);
    for (int i = 0; i < STEP; i += VL) {
        vf v = vf_load(x + i);
        vi r = vi_from_float(v);
        vi_store_i8(q + i, r);
        sum = vi_add(sum, r);
        vf_store(x + i, vf_sub(v, vf_from_int(r)));
    }
    int32_t total = vi_sum(sum);
    if (to[FOR_INT8].q) store_q8(qs, &to[FOR_INT8], t, s, q, scale, -128 * total);
    if (!to[FOR_INT4].q) return;
    const __m128i evens_first = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    for (int i = 0; i < STEP; i += 16) {
        __m128i *at = (__m128i *)(q + i);
        _mm_storeu_si128(at, _mm_shuffle_epi8(_mm_loadu_si128(at), evens_first));
    }
    store_q8(qs, &to[FOR_INT4], t, s, q, scale, -8 * total);
}

/* Row t from xhat [Dp], which is put back as it was: f32 products of the same call want all of it.
 */
static void quantise_row(struct quants *qs, float *xhat, int64_t t, int task) {
    float *max = qs->group_max + task * qs->n_steps;
    struct outlier *out = qs->outlier + t * qs->n_steps;
    int32_t n = qs->n_outliers[t] = take_outliers(qs, xhat, max, out);
    bool has_rest = qs->rest[FOR_INT4].q || qs->rest[FOR_INT8].q;
    for (int64_t s = 0; s < qs->n_steps; s++) {
        float v[STEP], scale = max[s] / 127.0f;
        vf inv = vf_set(max[s] > 0.0f ? 127.0f / max[s] : 0.0f);
        for (int i = 0; i < STEP; i += VL)
            vf_store(v + i, vf_mul(vf_load(xhat + s * STEP + i), inv));
        quantise_group(qs, qs->main, t, s, v, scale);
        if (!has_rest) continue;
        for (int i = 0; i < STEP; i += VL) /* what is left is at most 1/2 */
            vf_store(v + i, vf_mul(vf_load(v + i), vf_set(254.0f)));
        quantise_group(qs, qs->rest, t, s, v, scale / 254.0f);
    }
    for (int32_t i = 0; i < n; i++)
        xhat[out[i].i] = out[i].x;
}

/* Lists the inputs that are an outlier anywhere, so that their weights are widened once a block,
 * and gives all rows of a tile the same number of them: products with 0 cost less than mispredicted
 * ends. */
static void quants_name_channels(struct quants *qs) {
    memset(qs->place_of, 0xff, (size_t)qs->Dp * sizeof *qs->place_of);
    qs->n_channels = 0;
    for (int64_t t0 = 0; t0 < qs->T; t0 += qs->lanes) {
        int64_t end = t0 + qs->lanes < qs->T ? t0 + qs->lanes : qs->T;
        int32_t most = 0;
        for (int64_t t = t0; t < end; t++)
            most = qs->n_outliers[t] > most ? qs->n_outliers[t] : most;
        for (int64_t t = t0; t < end; t++) {
            struct outlier *o = qs->outlier + t * qs->n_steps;
            for (int32_t k = 0; k < qs->n_outliers[t]; k++) {
                int32_t *place_of = &qs->place_of[o[k].i];
                if (*place_of < 0) {
                    qs->channel[qs->n_channels] = o[k].i;
                    *place_of = (int32_t)qs->n_channels++;
                }
                o[k].i = *place_of;
            }
            for (int32_t k = qs->n_outliers[t]; k < most; k++)
                o[k] = (struct outlier){0, 0.0f};
            qs->n_outliers[t] = most;
        }
    }
}

#endif
