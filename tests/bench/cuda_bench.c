/* cuda_bench.c - speed of the CUDA backend on the true shapes of Olmo Hybrid 7B, with random
 * weights packed through the same table that the engine uses (docs/KERNELS.md section 9).
 *
 *     cuda_bench [bf16|int8|int4]... [--kv bf16|int8] [--ctx N,N,..] [--prefill N,N,..]
 *                [--parts N,N,..] [--ops] [--once]
 *
 * Every case prints the bytes it must move or the FLOP it must do, the rate, and the share of the
 * ceiling measured in the same run: a device copy for bytes, the gate|up product for FLOP. --once
 * runs two plain steps of each format and nothing else: for a profiler. */
#include "kernels/base/ox_mem.h"
#include "kernels/kn.h"
#include "kernels/kn_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    D = 3840,
    F = 11008,
    V = 100352,
    LAYERS = 32,
    H = 30,
    DH = 128,
    HV = 30,
    DK = 96,
    DV = 192,
    W = 4
};
enum { KD = HV * DK, VD = HV * DV, CHUNK = 4096, MAX_T = CHUNK, MAX_PAGES = 260 };
enum { N_GDN = 24, N_ATTN = 8, WARM = 12, TOKENS = 160 };

static const struct kn_backend *kn;
static kn_dev *dev;
static ox_err err;

static void must(int rc) {
    if (!rc) return;
    fprintf(stderr, "cuda_bench: %s (%s)\n", err.what, err.fix);
    _Exit(3);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- random numbers, made once, used by every matrix ------------------------------------------
 */

static uint16_t *floats; /* bf16 of size 0.016 to 0.031, either sign */
static uint32_t *words;  /* any bits: int8 and int4 */
static uint16_t *scales; /* bf16 */

static void make_numbers(void) {
    size_t n = (size_t)V * D, m = (size_t)V * D / 4;
    floats = ox_alloc64(n, 2, "numbers", &err);
    words = ox_alloc64(m, 4, "numbers", &err);
    scales = ox_alloc64(n / 32, 2, "numbers", &err);
    if (!floats || !words || !scales) must(OX_ENOMEM);
    uint64_t s = 88172645463325252ull;
    for (size_t i = 0; i < m; i++) {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        words[i] = (uint32_t)(s >> 16);
        for (size_t j = 0; j < 4; j++) {
            uint32_t b = (uint32_t)(s >> (8 * j)) & 0xffu;
            floats[4 * i + j] = (uint16_t)((b & 0x80u) << 8 | 0x3c80u | (b & 0x7fu));
        }
    }
    for (size_t i = 0; i < n / 32; i++)
        scales[i] = (uint16_t)(0x3b00u | (floats[i] & 0x3fu));
}

/* ---- model ----------------------------------------------------------------------------------- */

struct layer {
    bool is_attn;
    kn_weight *in, *out, *gate_up, *down;
    kn_tensor norm1, norm2, q_norm, k_norm, taps, a_log, dt, o_norm, conv, state;
};
static struct model {
    enum kn_dtype type, head_type, kv;
    int64_t group;
    struct layer layer[LAYERS];
    kn_weight *embed, *head;
    kn_tensor norm, x, q, k, v, g, a, b, y, hidden, mix, ffn, logits;
    void *page[MAX_PAGES];
    int n_pages;
    double weight_bytes;
} M;

static kn_tensor tensor(int64_t rows, int64_t cols, enum kn_dtype type, float fill) {
    kn_tensor t = {NULL, rows, cols, type};
    size_t n = (size_t)(rows * cols);
    must(kn->alloc(dev, KN_DEVICE, kn_bytes(type, rows * cols), &t.data, &err));
    if (fill > 0.0f) {
        float *h = ox_alloc(n, 4, "tensor", &err);
        for (size_t i = 0; i < n; i++)
            h[i] = fill * (1.0f + 0.25f * ((float)(words[i] & 255u) / 128.0f - 1.0f));
        must(kn->copy(dev, t.data, h, n * 4, &err));
        ox_free(h);
    }
    return t;
}

static struct kn_part part(enum kn_dtype type, int64_t rows, int64_t cols) {
    struct kn_part p = {floats, NULL, NULL, rows, cols, 0, type, KN_BF16};
    if (type == KN_BF16) return p;
    p.data = words;
    p.scale = scales;
    p.group = M.group;
    return p;
}

static kn_weight *pack(enum kn_dtype type, int n, const int64_t *rows, int n_small, int64_t cols) {
    struct kn_part p[KN_PARTS];
    kn_weight *w = NULL;
    for (int i = 0; i < n; i++)
        p[i] = part(i < n - n_small ? type : KN_BF16, rows[i], cols);
    must(kn->pack(dev, p, n, &w, &err));
    M.weight_bytes += (double)kn->weight_bytes(w);
    return w;
}

static void model_new(enum kn_dtype type, enum kn_dtype head_type, enum kn_dtype kv) {
    memset(&M, 0, sizeof M);
    M.type = type;
    M.head_type = head_type;
    M.kv = kv;
    M.group = type == KN_I4 ? 64 : 0;
    for (int l = 0; l < LAYERS; l++) {
        struct layer *w = &M.layer[l];
        w->is_attn = l % 4 == 3;
        if (w->is_attn) {
            w->in = pack(type, 3, (int64_t[]){D, D, D}, 0, D);
            w->out = pack(type, 1, (int64_t[]){D}, 0, D);
            w->q_norm = tensor(1, D, KN_F32, 1.0f);
            w->k_norm = tensor(1, D, KN_F32, 1.0f);
        } else {
            w->in = pack(type, 6, (int64_t[]){KD, KD, VD, VD, HV, HV}, 2, D);
            w->out = pack(type, 1, (int64_t[]){D}, 0, VD);
            w->taps = tensor(2 * KD + VD, W, KN_F32, 0.3f);
            w->a_log = tensor(1, HV, KN_F32, 0.5f);
            w->dt = tensor(1, HV, KN_F32, 0.5f);
            w->o_norm = tensor(1, DV, KN_F32, 1.0f);
            w->conv = tensor(W - 1, 2 * KD + VD, KN_BF16, 0.0f);
            w->state = tensor(VD, DK, KN_F32, 0.0f);
        }
        w->gate_up = pack(type, 2, (int64_t[]){F, F}, 0, D);
        w->down = pack(type, 1, (int64_t[]){D}, 0, F);
        w->norm1 = tensor(1, D, KN_F32, 1.0f);
        w->norm2 = tensor(1, D, KN_F32, 1.0f);
    }
    int64_t group = M.group;
    if (head_type == KN_I8) M.group = 0;
    M.head = pack(head_type, 1, (int64_t[]){V}, 0, D);
    M.group = group;
    double used = M.weight_bytes;
    M.embed = pack(KN_BF16, 1, (int64_t[]){V}, 0, D);
    M.weight_bytes = used; /* one row of the embedding is read */
    M.norm = tensor(1, D, KN_F32, 1.0f);
    M.x = tensor(MAX_T, D, KN_F32, 0.0f);
    M.q = tensor(MAX_T, D, KN_BF16, 0.0f);
    M.k = tensor(MAX_T, D, KN_BF16, 0.0f);
    M.v = tensor(MAX_T, VD, KN_BF16, 0.0f);
    M.g = tensor(MAX_T, VD, KN_BF16, 0.0f);
    M.a = tensor(MAX_T, HV, KN_F32, 0.0f);
    M.b = tensor(MAX_T, HV, KN_F32, 0.0f);
    M.y = tensor(MAX_T, VD, KN_BF16, 0.0f);
    M.hidden = tensor(MAX_T, F, KN_BF16, 0.0f);
    M.mix = tensor(MAX_T, D, KN_BF16, 0.0f);
    M.ffn = tensor(MAX_T, D, KN_BF16, 0.0f);
    M.logits = tensor(1, V, KN_F32, 0.0f);
}

static size_t layer_page_bytes(void) {
    return 2 * (size_t)H * kn_kv_block_bytes(M.kv, DH);
}

static void need_pages(int64_t tokens) {
    int n = (int)((tokens + KN_PAGE_TOKENS - 1) / KN_PAGE_TOKENS);
    size_t bytes = N_ATTN * layer_page_bytes(), have = (size_t)V * D * 2;
    for (; M.n_pages < n;
         M.n_pages++) { /* keys and values of sane size: bf16 numbers, or any int8 */
        must(kn->alloc(dev, KN_DEVICE, bytes, &M.page[M.n_pages], &err));
        if (M.kv == KN_BF16 && bytes <= have)
            must(kn->copy(dev, M.page[M.n_pages], floats, bytes, &err));
    }
}

static void model_free(void) {
    for (int l = 0; l < LAYERS; l++) {
        struct layer *w = &M.layer[l];
        kn_weight *all[] = {w->in, w->out, w->gate_up, w->down};
        for (int i = 0; i < 4; i++)
            kn->drop(dev, all[i]);
        kn_tensor t[] = {w->norm1, w->norm2, w->q_norm, w->k_norm, w->taps,
                         w->a_log, w->dt,    w->o_norm, w->conv,   w->state};
        for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
            kn->release(dev, t[i].data);
    }
    kn->drop(dev, M.head);
    kn->drop(dev, M.embed);
    kn_tensor t[] = {M.norm, M.x, M.q,      M.k,   M.v,   M.g,     M.a,
                     M.b,    M.y, M.hidden, M.mix, M.ffn, M.logits};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
        kn->release(dev, t[i].data);
    for (int i = 0; i < M.n_pages; i++)
        kn->release(dev, M.page[i]);
}

/* ---- operations of a layer, T rows ------------------------------------------------------------
 */

static kn_tensor top(kn_tensor t, int64_t T, int64_t cols) {
    t.rows = T;
    t.cols = cols;
    return t;
}

static void do_in(int l, int64_t T) {
    struct layer *w = &M.layer[l];
    struct kn_linear p = {.w = w->in, .x = top(M.x, T, D), .norm_eps = 1e-6f, .add_eps = 1e-6f};
    if (l && M.layer[l - 1].is_attn) p.add = top(M.ffn, T, D), p.add_norm = M.layer[l - 1].norm2;
    p.out[0] = top(M.q, T, w->is_attn ? D : KD);
    p.out[1] = top(M.k, T, w->is_attn ? D : KD);
    p.out[2] = top(M.v, T, w->is_attn ? D : VD);
    if (!w->is_attn) {
        p.norm = w->norm1;
        p.out[3] = top(M.g, T, VD);
        p.out[4] = top(M.a, T, HV);
        p.out[5] = top(M.b, T, HV);
    }
    must(kn->linear(dev, &p, &err));
}

static void do_mix(int l, int64_t T) {
    struct layer *w = &M.layer[l];
    if (w->is_attn) {
        struct kn_attn a = {.q = top(M.q, T, D),
                            .k = top(M.k, T, D),
                            .v = top(M.v, T, D),
                            .q_norm = w->q_norm,
                            .k_norm = w->k_norm,
                            .out = top(M.y, T, D),
                            .page_offset = (size_t)(l / 4) * layer_page_bytes(),
                            .n_heads = H,
                            .n_kv_heads = H,
                            .kv = M.kv,
                            .eps = 1e-6f,
                            .scale = 0.088388348f};
        must(kn->attn(dev, &a, &err));
        return;
    }
    struct kn_gdn g = {.q = top(M.q, T, KD),
                       .k = top(M.k, T, KD),
                       .v = top(M.v, T, VD),
                       .a = top(M.a, T, HV),
                       .b = top(M.b, T, HV),
                       .taps = w->taps,
                       .a_log = w->a_log,
                       .dt_bias = w->dt,
                       .conv = w->conv,
                       .state = w->state,
                       .out = top(M.y, T, VD),
                       .n_k_heads = HV,
                       .n_v_heads = HV,
                       .l2_eps = 1e-6f,
                       .beta_max = 2.0f};
    must(kn->gdn(dev, &g, &err));
}

static void do_out(int l, int64_t T) {
    struct layer *w = &M.layer[l];
    struct kn_linear p = {.w = w->out, .x = top(M.y, T, w->is_attn ? D : VD), .norm_eps = 1e-5f};
    if (w->is_attn) {
        p.out[0] = top(M.mix, T, D);
    } else {
        p.norm = w->o_norm;
        p.gate = top(M.g, T, VD);
        p.epi = KN_EPI_ADD;
        p.out[0] = top(M.x, T, D);
    }
    must(kn->linear(dev, &p, &err));
}

static void do_gate_up(int l, int64_t T) {
    struct layer *w = &M.layer[l];
    struct kn_linear p = {.w = w->gate_up,
                          .x = top(M.x, T, D),
                          .norm_eps = 1e-6f,
                          .add_eps = 1e-6f,
                          .epi = KN_EPI_SWIGLU};
    if (w->is_attn)
        p.add = top(M.mix, T, D), p.add_norm = w->norm1;
    else
        p.norm = w->norm2;
    p.out[0] = top(M.hidden, T, F);
    must(kn->linear(dev, &p, &err));
}

static void do_down(int l, int64_t T) {
    struct layer *w = &M.layer[l];
    struct kn_linear p = {.w = w->down, .x = top(M.hidden, T, F)};
    p.epi = w->is_attn ? KN_EPI_STORE : KN_EPI_ADD;
    p.out[0] = w->is_attn ? top(M.ffn, T, D) : top(M.x, T, D);
    must(kn->linear(dev, &p, &err));
}

static void do_head(int64_t T) {
    struct kn_linear p = {.w = M.head,
                          .x = top(M.x, 1, D),
                          .norm = M.norm,
                          .norm_eps = 1e-6f,
                          .add = top(M.ffn, 1, D),
                          .add_norm = M.layer[LAYERS - 1].norm2,
                          .add_eps = 1e-6f};
    p.x.data = (float *)M.x.data + (T - 1) * D;
    p.add.data = (uint16_t *)M.ffn.data + (T - 1) * D;
    p.out[0] = M.logits;
    must(kn->linear(dev, &p, &err));
}

static void step(const int32_t *tok, int64_t n_cached, int64_t T, uint64_t key, bool with_head) {
    struct kn_step s = {
        .tok = tok, .pages = M.page, .n_cached = n_cached, .n_tok = (int32_t)T, .key = key};
    bool replayed;
    must(kn->begin(dev, &s, &replayed, &err));
    if (replayed) return;
    kn_tensor x = top(M.x, T, D);
    must(kn->embed(dev, &x, M.embed, &err));
    for (int l = 0; l < LAYERS; l++) {
        do_in(l, T);
        do_mix(l, T);
        do_out(l, T);
        do_gate_up(l, T);
        do_down(l, T);
    }
    if (with_head) do_head(T);
    must(kn->end(dev, &err));
}

/* ---- cases ------------------------------------------------------------------------------------
 */

static double copy_rate, gemm_rate;

static void line(const char *name, int64_t ctx, double s, double bytes, double flops) {
    double by_bytes = bytes / copy_rate, by_flops = flops / gemm_rate;
    double floor_s = by_bytes > by_flops ? by_bytes : by_flops;
    printf("%-26s %6lld %11.4f ms %9.3f GB %9.2f GF %8.3f TB/s %7.1f TF/s  ceiling %9.4f ms %5.1f "
           "%%\n",
           name, (long long)ctx, 1e3 * s, bytes / 1e9, flops / 1e9, bytes / s / 1e12,
           flops / s / 1e12, 1e3 * floor_s, 100.0 * floor_s / s);
    fflush(stdout);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void measure_copy(void) {
    size_t n = (size_t)2 << 30;
    void *a, *b;
    double t[12];
    must(kn->alloc(dev, KN_DEVICE, n, &a, &err));
    must(kn->alloc(dev, KN_DEVICE, n, &b, &err));
    for (int i = 0; i < 12; i++) {
        double t0 = now_s();
        must(kn->copy(dev, b, a, n, &err));
        t[i] = now_s() - t0;
    }
    qsort(t, 12, sizeof t[0], by_value);
    copy_rate = 2.0 * (double)n / t[6];
    kn->release(dev, a);
    kn->release(dev, b);
}

/* The same kernels for all layers of a kind, recorded, several times over: time for one call. */
static double time_ops(void (*op)(int l, int64_t T), int kind, int64_t n_cached, int64_t T,
                       uint64_t key, int *n_calls) {
    static int32_t tok[MAX_T];
    double best[7];
    *n_calls = 0;
    for (int i = 0; i < 7; i++) {
        must(kn->sync(dev, &err));
        double t0 = now_s();
        for (int rep = 0; rep < 4; rep++) {
            struct kn_step s = {
                .tok = tok, .pages = M.page, .n_cached = n_cached, .n_tok = (int32_t)T, .key = key};
            bool replayed;
            must(kn->begin(dev, &s, &replayed, &err));
            if (replayed) continue;
            *n_calls = 0;
            for (int l = 0; l < LAYERS; l++)
                if (kind < 0 || M.layer[l].is_attn == (kind == 1)) {
                    op(l, T);
                    ++*n_calls;
                }
            must(kn->end(dev, &err));
        }
        must(kn->sync(dev, &err));
        best[i] = (now_s() - t0) / 4.0 / *n_calls;
    }
    qsort(best, 7, sizeof best[0], by_value);
    return best[3];
}

static void run_ops(const char *format) {
    static const struct {
        const char *name;
        void (*op)(int, int64_t);
        int kind;
        double rows, cols;
    } ops[] = {
        {"gdn in", do_in, 0, 2 * KD + 2 * VD + 2 * HV, D},
        {"gdn step", do_mix, 0, 0, 0},
        {"gdn out", do_out, 0, D, VD},
        {"attn in", do_in, 1, 3 * D, D},
        {"attn (ctx 65)", do_mix, 1, 0, 0},
        {"attn out", do_out, 1, D, D},
        {"gate up", do_gate_up, -1, 2 * F, D},
        {"down", do_down, -1, D, F},
    };
    double bits = M.type == KN_BF16 ? 16 : M.type == KN_I8 ? 8 : 4.25;
    need_pages(512);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        int n;
        double s = time_ops(ops[i].op, ops[i].kind, 64, 1, 1000 + i + 100 * (uint64_t)M.type, &n);
        double bytes = ops[i].rows * ops[i].cols * bits / 8;
        if (i == 1) bytes = 2.0 * VD * DK * 4;
        char name[64];
        snprintf(name, sizeof name, "%s %s", format, ops[i].name);
        line(name, 0, s, bytes, 2 * ops[i].rows * ops[i].cols);
    }
}

/* The last chunk of a prefill of n tokens, part by part; what a prefill of n spends in each. */
static void run_parts(const char *format, int64_t n) {
    static const struct {
        const char *name;
        void (*op)(int, int64_t);
        int kind, layers;
        double flops; /* a token */
    } parts[] = {
        {"gdn in", do_in, 0, N_GDN, 2.0 * D * (2 * KD + 2 * VD + 2 * HV)},
        {"gdn rule", do_mix, 0, N_GDN, HV * 187e3},
        {"gdn out", do_out, 0, N_GDN, 2.0 * D * VD},
        {"attn in", do_in, 1, N_ATTN, 6.0 * D * D},
        {"attn", do_mix, 1, N_ATTN, 0},
        {"attn out", do_out, 1, N_ATTN, 2.0 * D * D},
        {"gate up", do_gate_up, -1, LAYERS, 4.0 * D * F},
        {"down", do_down, -1, LAYERS, 2.0 * D * F},
    };
    int64_t T = n < CHUNK ? n : CHUNK;
    need_pages(n);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int calls;
        double s = time_ops(parts[i].op, parts[i].kind, n - T, T, 0, &calls),
               flops = parts[i].flops;
        if (parts[i].op == do_mix && parts[i].kind == 1)
            flops = 4.0 * D * ((double)n - 0.5 * (double)T);
        char name[64];
        snprintf(name, sizeof name, "%s %s", format, parts[i].name);
        line(name, n, s, 0, flops * (double)T);
        printf("  %.2f ms in %d layers\n", 1e3 * s * parts[i].layers, parts[i].layers);
    }
}

static void run_decode(const char *format, int64_t ctx, uint64_t key) {
    struct kn_sample how = {.temperature = 0.0f, .top_p = 1.0f, .repeat = 1.0f, .n_vocab = V};
    double t[TOKENS], t0;
    int32_t first = 5, got;
    need_pages(ctx + WARM + TOKENS + 2);
    for (int i = 0; i < WARM + TOKENS; i++) {
        step(i ? NULL : &first, ctx + i, 1, key, true);
        how.position = ctx + i + 1;
        must(kn->sample(dev, &M.logits, &how, &err));
        if (i == 0) continue; /* one step ahead of the host */
        t0 = now_s();
        must(kn->drawn(dev, &got, &err));
        if (i >= WARM) t[i - WARM] = now_s();
        (void)t0;
    }
    must(kn->drawn(dev, &got, &err));
    double all = (t[TOKENS - 1] - t[0]) / (TOKENS - 1);
    for (int i = TOKENS - 1; i > 0; i--)
        t[i] -= t[i - 1];
    qsort(t + 1, TOKENS - 1, sizeof t[0], by_value);
    double kv = (double)ctx * N_ATTN * 2 * H * (M.kv == KN_BF16 ? 256.0 : 132.0);
    double bytes = M.weight_bytes + N_GDN * 2.0 * VD * DK * 4 + kv;
    char name[64];
    snprintf(name, sizeof name, "decode %s kv %s", format, kn_dtype_name(M.kv));
    line(name, ctx, all, bytes, 14.1e9 + (double)ctx * N_ATTN * 4.0 * D);
    printf("  %.1f tok/s, min %.3f median %.3f p95 %.3f ms\n", 1.0 / all, 1e3 * t[1],
           1e3 * t[TOKENS / 2], 1e3 * t[TOKENS * 95 / 100]);
}

static double prefill(int64_t n) {
    static int32_t tok[MAX_T];
    struct kn_sample how = {
        .temperature = 0.0f, .top_p = 1.0f, .repeat = 1.0f, .n_vocab = V, .position = n};
    int32_t got;
    for (int i = 0; i < MAX_T; i++)
        tok[i] = (int32_t)(words[i] % V);
    must(kn->sync(dev, &err));
    double t0 = now_s();
    for (int64_t at = 0; at < n; at += CHUNK)
        step(tok, at, n - at < CHUNK ? n - at : CHUNK, 0, at + CHUNK >= n);
    must(kn->sample(dev, &M.logits, &how, &err));
    must(kn->drawn(dev, &got, &err));
    return now_s() - t0;
}

static void run_prefill(const char *format, int64_t n) {
    need_pages(n);
    double t[3];
    int runs = n > 20000 ? 2 : 3;
    prefill(n < CHUNK ? n : CHUNK);
    for (int i = 0; i < runs; i++)
        t[i] = prefill(n);
    qsort(t, (size_t)runs, sizeof t[0], by_value);
    char name[64];
    snprintf(name, sizeof name, "prefill %s", format);
    double flops =
        (double)n * 13.3e9 + 2.0 * (double)n * (double)n * D * N_ATTN + (double)n * 24 * 5.6e6;
    line(name, n, t[0], M.weight_bytes * (double)((n + CHUNK - 1) / CHUNK), flops);
    printf("  %.0f tok/s\n", (double)n / t[0]);
}

static void each_number(const char *list, const char *format, void (*f)(const char *, int64_t)) {
    while (list && *list) {
        char *end;
        long long n = strtoll(list, &end, 10);
        f(format, n);
        list = *end == ',' ? end + 1 : NULL;
    }
}

static const char *current;
static void decode_case(const char *format, int64_t ctx) {
    (void)format;
    run_decode(current, ctx, 7 + (uint64_t)M.type);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        enum kn_dtype type, head;
    } formats[] = {{"bf16", KN_BF16, KN_BF16}, {"int8", KN_I8, KN_I8}, {"int4", KN_I4, KN_I8}};
    const char *ctx = "0", *prompts = NULL, *parts = NULL, *kv = "bf16";
    bool is_on[3] = {false}, with_ops = false, is_once = false;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (!strcmp(argv[i], "--ctx") && has_value)
            ctx = argv[++i];
        else if (!strcmp(argv[i], "--prefill") && has_value)
            prompts = argv[++i];
        else if (!strcmp(argv[i], "--parts") && has_value)
            parts = argv[++i];
        else if (!strcmp(argv[i], "--kv") && has_value)
            kv = argv[++i];
        else if (!strcmp(argv[i], "--ops"))
            with_ops = true;
        else if (!strcmp(argv[i], "--once"))
            is_once = true;
        else
            for (int f = 0; f < 3; f++)
                if (!strcmp(argv[i], formats[f].name)) is_on[f] = true;
    }
    kn = kn_cuda();
    if (!kn) {
        fprintf(stderr, "cuda_bench: built without CUDA\n");
        return 3;
    }
    must(kn->open(&(struct kn_open){0}, &dev, &err));
    make_numbers();
    struct kn_facts facts;
    must(kn->facts(dev, &facts, &err));
    measure_copy();
    gemm_rate = 1e15;
    printf("device %s  copy %.3f TB/s  numerics %016llx\n", facts.device, copy_rate / 1e12,
           (unsigned long long)facts.numerics);
    for (int f = 0; f < 3; f++) {
        if (!is_on[f]) continue;
        current = formats[f].name;
        double t0 = now_s();
        model_new(formats[f].type, formats[f].head, !strcmp(kv, "int8") ? KN_I8 : KN_BF16);
        must(kn->sync(dev, &err));
        printf("%s: %.2f GB of weights packed in %.1f s\n", current, M.weight_bytes / 1e9,
               now_s() - t0);
        if (is_once) {
            int32_t tok = 3;
            need_pages(8);
            step(&tok, 0, 1, 0, true);
            step(&tok, 1, 1, 0, true);
            must(kn->sync(dev, &err));
            model_free();
            continue;
        }
        int n;
        double s = time_ops(do_gate_up, -1, 0, CHUNK, 0, &n);
        gemm_rate = 4.0 * F * D * CHUNK / s;
        printf("gate|up of %d tokens: %.1f TF/s\n", CHUNK, gemm_rate / 1e12);
        if (with_ops) run_ops(current);
        each_number(ctx, current, decode_case);
        each_number(prompts, current, run_prefill);
        each_number(parts, current, run_parts);
        model_free();
    }
    measure_copy();
    printf("copy again %.3f TB/s\n", copy_rate / 1e12);
    kn->close(dev);
    return 0;
}
