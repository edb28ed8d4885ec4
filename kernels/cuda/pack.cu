/* pack.cu - weights from their file to the device, in the layouts of cuda_dev.cuh.
 *
 * op       rows travel through a ring of pinned buffers (the copy into them runs on all threads
 *          of the host), and kernels write them in place: conversion to bf16, or the unit order
 *          of linear_skinny.cu for int8 and int4
 * args     struct kn_part: f32, f16, bf16 rows, or compressed-tensors words with scales
 * work     one thread a bf16 element or a word of 4 bytes
 * smem     none
 * cost     file bytes over PCIe, read and written once on the device
 * limit    PCIe and the host's copy rate: 3 to 30 GB/s
 * numerics int8 and int4 are kept exactly, bf16 scales too. f32 and f16 weights, weights with
 *          zero points, groups other than 32 and multiples of 64, group scales that are not
 *          bf16, and parts of another type than part 0 are rounded to bf16: 2^-9 of a weight,
 *          as in the reference's bf16 run
 * refuses  nothing that kn_check_part lets pass; too little memory, with the numbers
 * measured docs/PERF.md */
#include "kernels/cuda/cuda_dev.cuh"

#include <string.h>

enum { STAGE_BYTES = 16 << 20, STAGES = 4, COPY_BYTES = 1 << 20 };

struct stage {
    char *host[STAGES], *device[STAGES];
    cudaEvent_t free[STAGES];
    int next;
};

/* ---- pinned ring ---------------------------------------------------------------------------- */

static int stage_open(kn_dev *dev, ox_err *err) {
    if (dev->stage) return 0;
    struct stage *s = (struct stage *)ox_alloc(1, sizeof *s, "upload buffers", err);
    if (!s) return OX_ENOMEM;
    dev->stage = s;
    for (int i = 0; i < STAGES; i++) {
        int rc =
            cu_check(dev, cudaHostAlloc((void **)&s->host[i], STAGE_BYTES, cudaHostAllocDefault),
                     "pinned upload buffer", err);
        if (!rc) rc = cu_alloc(dev, STAGE_BYTES, "upload buffer", (void **)&s->device[i], err);
        if (!rc)
            rc = cu_check(dev, cudaEventCreateWithFlags(&s->free[i], cudaEventDisableTiming),
                          "upload event", err);
        if (rc) return rc;
    }
    return 0;
}

void pack_stage_free(kn_dev *dev) {
    struct stage *s = dev->stage;
    if (!s) return;
    for (int i = 0; i < STAGES; i++) {
        if (s->host[i]) cudaFreeHost(s->host[i]);
        if (s->device[i]) cudaFree(s->device[i]);
        if (s->free[i]) cudaEventDestroy(s->free[i]);
    }
    ox_free(s);
    dev->stage = NULL;
}

struct copy_job {
    char *dst;
    const char *src;
    size_t n;
};
static void copy_piece(void *arg, int i) {
    struct copy_job *j = (struct copy_job *)arg;
    size_t at = (size_t)i * COPY_BYTES, n = j->n - at < COPY_BYTES ? j->n - at : COPY_BYTES;
    memcpy(j->dst + at, j->src + at, n);
}

/* `n` bytes of host memory on the device, valid for kernels queued before stage_done(). */
static int stage_send(kn_dev *dev, const void *src, size_t n, char **out, ox_err *err) {
    struct stage *s = dev->stage;
    int i = s->next;
    int rc = cu_check(dev, cudaEventSynchronize(s->free[i]), "upload", err);
    if (rc) return rc;
    struct copy_job job = {s->host[i], (const char *)src, n};
    int pieces = (int)((n + COPY_BYTES - 1) / COPY_BYTES);
    if (dev->host && dev->host->parallel && pieces > 1)
        dev->host->parallel(dev->host->user, pieces, copy_piece, &job);
    else
        for (int p = 0; p < pieces; p++)
            copy_piece(&job, p);
    *out = s->device[i];
    return cu_check(
        dev, cudaMemcpyAsync(s->device[i], s->host[i], n, cudaMemcpyHostToDevice, dev->stream),
        "upload", err);
}

static int stage_done(kn_dev *dev, ox_err *err) {
    struct stage *s = dev->stage;
    int rc = cu_check(dev, cudaEventRecord(s->free[s->next], dev->stream), "upload", err);
    s->next = (s->next + 1) % STAGES;
    return rc;
}

/* ---- kernels -------------------------------------------------------------------------------- */

/* Rows of a file on the device; scale and zero are whole. */
struct raw {
    const char *data; /* rows from row0 on */
    const char *scale, *zero;
    int64_t row0, rows, cols, n_groups, group, row_bytes;
    int32_t dtype, scale_dtype;
};

DEV float raw_float(const char *p, int dtype, int64_t i) {
    if (dtype == KN_F32) return ((const float *)p)[i];
    if (dtype == KN_BF16) return from_bf16(((const uint16_t *)p)[i]);
    return __half2float(((const __half *)p)[i]);
}

DEV int raw_stored(const struct raw &r, int64_t row, int64_t i) {
    const uint32_t *w = (const uint32_t *)(r.data + row * r.row_bytes);
    return r.dtype == KN_I8 ? (int)(w[i >> 2] >> (8 * (i & 3))) & 255
                            : (int)(w[i >> 3] >> (4 * (i & 7))) & 15;
}

DEV float raw_value(const struct raw &r, int64_t row, int64_t i) {
    if (r.dtype != KN_I8 && r.dtype != KN_I4)
        return raw_float(r.data + row * r.row_bytes, r.dtype, i);
    int bits = r.dtype == KN_I8 ? 8 : 4, half = 1 << (bits - 1);
    int64_t g = i / r.group, abs_row = r.row0 + row;
    int q = raw_stored(r, row, i) - half;
    if (r.zero) {
        int64_t bit = abs_row * bits;
        uint32_t w = ((const uint32_t *)r.zero)[bit / 32 * r.n_groups + g];
        q -= (int)((w >> (bit % 32)) & ((1u << bits) - 1)) - half;
    }
    return (float)q * raw_float(r.scale, r.scale_dtype, abs_row * r.n_groups + g);
}

static __global__ void pack_bf16_k(struct raw r, uint16_t *out, int64_t kpad) {
    int64_t n = r.rows * r.cols;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * blockDim.x) {
        int64_t row = i / r.cols, c = i % r.cols;
        out[(r.row0 + row) * kpad + c] = to_bf16(raw_value(r, row, c));
    }
}

struct pack_place {
    int32_t tile0, units, unit_bytes, scales;
    bool is_pair;
    int32_t half;
};

DEV int64_t place_tile(const struct pack_place &p, int64_t row, int *r) {
    if (p.is_pair) {
        *r = (int)(row & 7) + 8 * p.half;
        return row >> 3;
    }
    *r = (int)(row & 15);
    return p.tile0 + (row >> 4);
}

/* One thread a row and 4 columns: the words of a unit are put together by OR, rows apart in bits.
 */
static __global__ void pack_int_k(struct raw r, char *out, struct pack_place p) {
    int64_t per_row = (int64_t)p.units * (SK_K / 4), n = r.rows * per_row;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * blockDim.x) {
        int64_t row = i / per_row;
        int c4 = (int)(i % per_row), unit = c4 / 16, in = c4 % 16; /* 4 columns: `in` of 16 */
        int half = in / 8, q = in % 8 / 2, j = half * 2 + in % 2;  /* lane column, mma */
        int rr;
        int64_t tile = place_tile(p, r.row0 + row, &rr);
        int g = rr & 7, hi = rr >> 3, lane = 4 * g + q;
        char *base = out + (tile * p.units + unit) * (int64_t)p.unit_bytes;
        int v[4];
        for (int k = 0; k < 4; k++) {
            int64_t c = (int64_t)c4 * 4 + k;
            /* behind the last column: the stored form of zero */
            v[k] = c < r.cols ? raw_stored(r, row, c) : (r.dtype == KN_I8 ? 128 : 8);
        }
        if (r.dtype == KN_I8) { /* two's complement; bytes 0,2: row g, bytes 1,3: row g + 8 */
            uint8_t *w = (uint8_t *)(base + (j >> 1) * 512 + lane * 16 + (j & 1) * 8);
            w[0 + hi] = (uint8_t)(v[0] ^ 128);
            w[2 + hi] = (uint8_t)(v[1] ^ 128);
            w[4 + hi] = (uint8_t)(v[2] ^ 128);
            w[6 + hi] = (uint8_t)(v[3] ^ 128);
        } else { /* nibbles 0,4: row g, columns 0,1; 1,5: row g + 8; 2,6 and 3,7: columns 2,3 */
            uint32_t bits = (uint32_t)(v[0] | v[1] << 16 | v[2] << 8 | v[3] << 24) << (4 * hi);
            atomicOr((uint32_t *)(base + lane * 16 + j * 4), bits);
        }
    }
}

/* Scales of groups, bf16: [unit][part of the unit][row g, row g + 8] */
static __global__ void pack_scales_k(struct raw r, char *out, struct pack_place p) {
    int64_t per_row = (int64_t)p.units * p.scales, n = r.rows * per_row;
    int weights = p.unit_bytes - 32 * p.scales;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * blockDim.x) {
        int64_t row = i / per_row;
        int unit = (int)(i % per_row) / p.scales, s = (int)(i % per_row) % p.scales, rr;
        int64_t tile = place_tile(p, row, &rr), c = (int64_t)unit * SK_K + s * 32;
        uint16_t v = 0;
        if (c < r.cols) v = ((const uint16_t *)r.scale)[row * r.n_groups + c / r.group];
        char *base = out + (tile * p.units + unit) * (int64_t)p.unit_bytes + weights;
        ((uint16_t *)base)[s * 16 + (rr & 7) * 2 + (rr >> 3)] = v;
    }
}

static __global__ void pack_row_scales_k(struct raw r, float *out, struct pack_place p) {
    for (int64_t row = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; row < r.rows;
         row += (int64_t)gridDim.x * blockDim.x) {
        int rr;
        int64_t tile = place_tile(p, row, &rr);
        out[tile * SK_ROWS + rr] = raw_float(r.scale, r.scale_dtype, row);
    }
}

/* Units back to bf16 rows [n_tiles*16][kpad], in tile order (pairs: 8 + 8): for cuBLASLt. */
static __global__ void dequant_k(const char *in, const float *row_scale, uint16_t *out, int tile0,
                                 int n_tiles, int units, int unit_bytes, int scales, bool is_i8,
                                 bool is_pair, int64_t pair_rows) {
    int64_t n = (int64_t)n_tiles * units * 32;
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * blockDim.x) {
        int lane = (int)(i & 31), g = lane >> 2, q = lane & 3;
        int64_t u = i >> 5;
        int tile = (int)(u / units), unit = (int)(u % units);
        const char *base = in + ((int64_t)(tile0 + tile) * units + unit) * unit_bytes;
        const uint16_t *s = (const uint16_t *)(base + unit_bytes - 32 * scales);
        for (int hi = 0; hi < 2; hi++) {
            float by_row =
                row_scale ? row_scale[(int64_t)(tile0 + tile) * SK_ROWS + g + 8 * hi] : 1.0f;
            uint32_t w[8];
            for (int j = 0; j < 4; j++) {
                int v[4];
                if (is_i8) {
                    const int8_t *b =
                        (const int8_t *)(base + (j >> 1) * 512 + lane * 16 + (j & 1) * 8);
                    for (int k = 0; k < 4; k++)
                        v[k] = b[2 * k + hi];
                } else {
                    uint32_t b = *(const uint32_t *)(base + lane * 16 + j * 4) >> (4 * hi);
                    v[0] = (int)(b & 15) - 8;
                    v[1] = (int)(b >> 16 & 15) - 8;
                    v[2] = (int)(b >> 8 & 15) - 8;
                    v[3] = (int)(b >> 24 & 15) - 8;
                }
                float f = by_row;
                if (scales) f = from_bf16(s[(scales == 2 ? j >> 1 : 0) * 16 + g * 2 + hi]);
                w[2 * j] = pack_bf16((float)v[0] * f, (float)v[1] * f);
                w[2 * j + 1] = pack_bf16((float)v[2] * f, (float)v[3] * f);
            }
            int64_t row = is_pair ? (int64_t)tile * 8 + g + hi * pair_rows
                                  : (int64_t)tile * SK_ROWS + g + 8 * hi;
            uint16_t *o = out + (row * units + unit) * SK_K + 8 * q;
            *(uint4 *)o = make_uint4(w[0], w[1], w[2], w[3]);
            *(uint4 *)(o + 32) = make_uint4(w[4], w[5], w[6], w[7]);
        }
    }
}

int dequant_run(kn_dev *dev, const struct wt_block *b, const kn_weight *w, int tile0, int n_tiles,
                uint16_t *out, ox_err *err) {
    int64_t n = (int64_t)n_tiles * w->units * 32;
    struct cu_grid g = {dim3((unsigned)((n + 255) / 256 < 65535 ? (n + 255) / 256 : 65535)), 256, 0,
                        false};
    return cu_launch(dev, "dequant_k", dequant_k, g, err, (const char *)b->data,
                     (const float *)b->row_scale, out, tile0, n_tiles, (int)w->units,
                     (int)wt_unit_bytes(b->format, b->scales), (int)b->scales, b->format == WT_I8,
                     w->is_pair, (int64_t)n_tiles * 8);
}

/* ---- layout --------------------------------------------------------------------------------- */

size_t wt_unit_bytes(enum wt_format format, int scales) {
    int bits = format == WT_BF16 ? 16 : format == WT_I8 ? 8 : 4;
    return (size_t)(SK_ROWS * SK_K * bits / 8 + 32 * scales);
}

/* How a part can be kept: its own format, or bf16. */
static enum wt_format part_format(const struct kn_part *p, int *scales) {
    *scales = 0;
    if ((p->dtype != KN_I8 && p->dtype != KN_I4) || p->zero) return WT_BF16;
    if (p->group && p->group != p->cols) {
        bool is_kept = p->scale_dtype == KN_BF16 && (p->group == 32 || p->group % SK_K == 0);
        if (!is_kept) return WT_BF16;
        *scales = p->group == 32 ? 2 : 1;
    }
    return p->dtype == KN_I8 ? WT_I8 : WT_I4;
}

static void plan_parts(const struct kn_part *part, int n, kn_weight *w) {
    w->n_parts = n;
    w->cols = part[0].cols;
    w->units = (int32_t)((w->cols + SK_K - 1) / SK_K);
    w->kpad = (int64_t)w->units * SK_K;
    int scales;
    w->main.format = part_format(&part[0], &scales);
    w->main.scales = scales;
    bool is_same = true;
    for (int i = 0; i < n; i++) {
        w->shape[i] = part[i];
        w->part[i].rows = part[i].rows;
        /* Beside bf16 everything is bf16; beside int8 or int4 what differs goes to the extra block.
         */
        w->part[i].in_extra =
            part_format(&part[i], &scales) != w->main.format || scales != w->main.scales;
        if (w->main.format == WT_BF16) w->part[i].in_extra = false;
        is_same = is_same && !w->part[i].in_extra;
        w->part[i].n_tiles = (int32_t)((part[i].rows + SK_ROWS - 1) / SK_ROWS);
    }
    w->is_pair = n == 2 && is_same && part[0].rows == part[1].rows;
    if (w->is_pair) {
        w->main.n_tiles = (int32_t)((part[0].rows + 7) / 8);
        w->part[0].n_tiles = w->part[1].n_tiles = w->main.n_tiles;
        return;
    }
    for (int i = 1; i < n; i++) /* parts of the extra block are the last ones */
        if (w->part[i - 1].in_extra) w->part[i].in_extra = true;
    for (int i = 0; i < n; i++) {
        struct wt_block *b = w->part[i].in_extra ? &w->extra : &w->main;
        w->part[i].tile0 = b->n_tiles;
        b->n_tiles += w->part[i].n_tiles;
    }
}

static int alloc_block(kn_dev *dev, kn_weight *w, struct wt_block *b, ox_err *err) {
    if (!b->n_tiles) return 0;
    size_t unit = wt_unit_bytes(b->format, b->scales);
    size_t bytes = (size_t)b->n_tiles * (size_t)w->units * unit;
    size_t rows = (size_t)b->n_tiles * SK_ROWS * 4;
    bytes += 4 * unit; /* the last batch of the last tile may reach behind it */
    int rc = cu_alloc(dev, bytes, "weights", (void **)&b->data, err);
    if (!rc) rc = cu_check(dev, cudaMemsetAsync(b->data, 0, bytes, dev->stream), "weights", err);
    w->n_bytes += bytes;
    if (!rc && b->format != WT_BF16 && b->scales == 0) {
        rc = cu_alloc(dev, rows, "weight scales", (void **)&b->row_scale, err);
        if (!rc)
            rc = cu_check(dev, cudaMemsetAsync(b->row_scale, 0, rows, dev->stream), "scales", err);
        w->n_bytes += rows;
    }
    return rc;
}

/* ---- filling -------------------------------------------------------------------------------- */

struct side {
    char *scale, *zero;
}; /* whole scales and zero points of a part, on the device */

static int send_whole(kn_dev *dev, const void *src, size_t n, char **out, ox_err *err) {
    if (!src) return 0;
    int rc = cu_alloc(dev, n, "weight scales", (void **)out, err);
    for (size_t at = 0; !rc && at < n; at += STAGE_BYTES) {
        size_t m = n - at < STAGE_BYTES ? n - at : STAGE_BYTES;
        char *up;
        rc = stage_send(dev, (const char *)src + at, m, &up, err);
        if (!rc)
            rc = cu_check(dev,
                          cudaMemcpyAsync(*out + at, up, m, cudaMemcpyDeviceToDevice, dev->stream),
                          "weight scales", err);
        if (!rc) rc = stage_done(dev, err);
    }
    return rc;
}

static unsigned grid_of(int64_t n) {
    int64_t g = (n + 255) / 256;
    return (unsigned)(g < 1 ? 1 : g < 16384 ? g : 16384);
}

static int pack_rows(kn_dev *dev, kn_weight *w, int i, struct raw r, ox_err *err) {
    struct wt_block *b = w->part[i].in_extra ? &w->extra : &w->main;
    if (b->format == WT_BF16) {
        int64_t row0 =
            w->is_pair ? (int64_t)i * b->n_tiles * 8 : (int64_t)w->part[i].tile0 * SK_ROWS;
        uint16_t *out = (uint16_t *)b->data + row0 * w->kpad;
        if (r.dtype == KN_BF16 && w->kpad == w->cols)
            return cu_check(dev,
                            cudaMemcpyAsync(out + r.row0 * w->kpad, r.data,
                                            (size_t)(r.rows * w->cols * 2),
                                            cudaMemcpyDeviceToDevice, dev->stream),
                            "pack", err);
        struct cu_grid g = {dim3(grid_of(r.rows * r.cols)), 256, 0, false};
        return cu_launch(dev, "pack_bf16_k", pack_bf16_k, g, err, r, out, w->kpad);
    }
    struct pack_place p = {
        w->part[i].tile0, w->units,   (int32_t)wt_unit_bytes(b->format, b->scales),
        b->scales,        w->is_pair, i};
    struct cu_grid g = {dim3(grid_of(r.rows * w->units * (SK_K / 4))), 256, 0, false};
    return cu_launch(dev, "pack_int_k", pack_int_k, g, err, r, b->data, p);
}

static int pack_scales(kn_dev *dev, kn_weight *w, int i, struct raw r, ox_err *err) {
    struct wt_block *b = &w->main;
    struct pack_place p = {
        w->part[i].tile0, w->units,   (int32_t)wt_unit_bytes(b->format, b->scales),
        b->scales,        w->is_pair, i};
    r.row0 = 0;
    r.rows = w->part[i].rows;
    struct cu_grid g = {dim3(grid_of(r.rows * (b->scales ? w->units : 1))), 256, 0, false};
    if (b->scales) return cu_launch(dev, "pack_scales_k", pack_scales_k, g, err, r, b->data, p);
    return cu_launch(dev, "pack_row_scales_k", pack_row_scales_k, g, err, r, b->row_scale, p);
}

static int fill_part(kn_dev *dev, kn_weight *w, int i, const struct kn_part *part, ox_err *err) {
    bool is_int = part->dtype == KN_I8 || part->dtype == KN_I4;
    int64_t bits = part->dtype == KN_I8 ? 8 : 4;
    struct side side = {};
    struct raw r = {};
    r.cols = part->cols;
    r.dtype = part->dtype;
    r.scale_dtype = part->scale_dtype;
    r.group = part->group ? part->group : part->cols;
    r.n_groups = part->cols / r.group;
    r.row_bytes =
        is_int ? (part->cols * bits + 31) / 32 * 4 : (int64_t)kn_bytes(part->dtype, part->cols);
    int rc = 0;
    if (is_int) {
        size_t n = kn_bytes(part->scale_dtype, part->rows * r.n_groups);
        rc = send_whole(dev, part->scale, n, &side.scale, err);
        n = (size_t)((part->rows * bits + 31) / 32 * r.n_groups) * 4;
        if (!rc) rc = send_whole(dev, part->zero, n, &side.zero, err);
    }
    r.scale = side.scale;
    r.zero = side.zero;
    int64_t step = STAGE_BYTES / r.row_bytes;
    if (!rc && step < 1)
        rc = ox_err_set(err, OX_EDEVICE, "pack: a row of %lld bytes", (long long)r.row_bytes);
    for (r.row0 = 0; !rc && r.row0 < part->rows; r.row0 += step) {
        r.rows = part->rows - r.row0 < step ? part->rows - r.row0 : step;
        char *up;
        rc = stage_send(dev, (const char *)part->data + r.row0 * r.row_bytes,
                        (size_t)(r.rows * r.row_bytes), &up, err);
        r.data = up;
        if (!rc) rc = pack_rows(dev, w, i, r, err);
        if (!rc) rc = stage_done(dev, err);
    }
    if (!rc && is_int && !w->part[i].in_extra && w->main.format != WT_BF16)
        rc = pack_scales(dev, w, i, r, err);
    if (side.scale || side.zero) { /* kernels still read them */
        cudaStreamSynchronize(dev->stream);
        cudaFree(side.scale);
        cudaFree(side.zero);
    }
    return rc;
}

int pack_weight(kn_dev *dev, const struct kn_part *part, int n, kn_weight **out, ox_err *err) {
    kn_weight *w = (kn_weight *)ox_alloc(1, sizeof *w, "packed weight", err);
    if (!w) return OX_ENOMEM;
    plan_parts(part, n, w);
    int rc = stage_open(dev, err);
    if (!rc) rc = alloc_block(dev, w, &w->main, err);
    if (!rc) rc = alloc_block(dev, w, &w->extra, err);
    for (int i = 0; !rc && i < n; i++)
        rc = fill_part(dev, w, i, &part[i], err);
    if (rc) {
        pack_drop(w);
        return rc;
    }
    *out = w;
    return 0;
}

void pack_drop(kn_weight *w) {
    if (!w) return;
    struct wt_block *b[] = {&w->main, &w->extra};
    for (int i = 0; i < 2; i++) {
        if (b[i]->data) cudaFree(b[i]->data);
        if (b[i]->row_scale) cudaFree(b[i]->row_scale);
    }
    ox_free(w);
}
