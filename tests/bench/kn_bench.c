/* kn_bench.c - what the CPU backend reaches of what this machine can do: rates measured here and
 * now, decode and prefill of a model folder by operation, costs from kn_cost.c. Prints numbers,
 * judges nothing. --cpu: one thread by its CPU time, for a machine that is never quiet.
 * docs/KERNELS.md section 9 has the rules; docs/PERF.md the history.
 *
 *   kn_bench [-m FOLDER] [-t THREADS] [-l LEVEL] [--f32] [--kv-int8] [--json] [--cpu] [--runs N]
 * [CASE..] CASE: rates  decode:CTX  prefill:TOKENS  block:DEPTH  fidelity  fidelity:4500
 * default: rates decode:0 decode:4096 prefill:512 prefill:4096 */
#include "engine/pool.h"
#include "engine/weights.h"
#include "kernels/base/ox_mem.h"
#include "kernels/kn_check.h"
#include "kernels/kn_cost.h"
#include "tests/bench/rates.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum op { OP_EMBED, OP_MIX_IN, OP_GDN, OP_ATTN, OP_MIX_OUT, OP_GATE_UP, OP_DOWN, OP_HEAD, N_OPS };
static const char *const op_name[N_OPS] = {"embed",     "mixer in", "delta rule", "attention",
                                           "mixer out", "gate|up",  "down",       "head"};

struct model {
    struct folder *folder;
    struct ox_config c;
    struct st_set st;
    struct ox_weights w;
    const struct kn_backend *kn;
    kn_dev *dev;
    float *act; /* one block of activations for MAX_T tokens */
    float *x, *q, *k, *v, *gate, *y, *ffn, *mixed, *a, *b, *logits;
    void *state, *conv; /* all linear layers */
    void **page;
    int64_t n_pages, max_ctx;
    size_t page_bytes;
    enum kn_dtype kv;
    double op_s[N_OPS], op_min_s[N_OPS]; /* of this pass; least of all passes */
    struct kn_cost cost[N_OPS];
};
enum { MAX_T = 256 };

static clockid_t clock_kind = CLOCK_MONOTONIC;

static double now_s(void) {
    struct timespec t;
    clock_gettime(clock_kind, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop_on(int rc, const ox_err *err) {
    if (!rc) return;
    fprintf(stderr, "kn_bench: %s: %s\n", err->where, err->what);
    exit(1);
}

static void *need(size_t n) {
    ox_err err;
    void *p = ox_alloc64(n, 1, "benchmark", &err);
    if (!p) stop_on(OX_ENOMEM, &err);
    return p;
}

/* ---- one model ------------------------------------------------------------------------------ */

struct widths {
    int64_t D, F, Q, KV, Kd, Vd, channels;
};

static struct widths widths(const struct ox_config *c) {
    struct widths s = {.D = c->d, .F = c->f};
    s.Q = (int64_t)c->n_heads * c->head_size;
    s.KV = (int64_t)c->n_kv_heads * c->head_size;
    s.Kd = (int64_t)c->n_k_heads * c->k_size;
    s.Vd = (int64_t)c->n_v_heads * c->v_size;
    s.channels = 2 * s.Kd + s.Vd;
    return s;
}

static void model_open(struct model *m, const char *dir, const char *level,
                       const struct kn_host *host, bool f32_act, enum kn_dtype kv,
                       int64_t max_ctx) {
    ox_err err;
    *m = (struct model){.kn = kn_cpu(), .max_ctx = max_ctx, .kv = f32_act ? KN_F32 : kv};
    struct kn_open how = {.host = host, .which = level, .f32_act = f32_act};
    stop_on(folder_open(dir, &m->folder, &err), &err);
    stop_on(config_read(m->folder, false, &m->c, &err), &err);
    stop_on(st_open(m->folder, &m->st, &err), &err);
    stop_on(m->kn->open(&how, &m->dev, &err), &err);
    stop_on(weights_load(&m->st, &m->c, m->kn, m->dev, &m->w, &err), &err);
    struct widths s = widths(&m->c);
    int64_t big = s.Q > s.Kd ? s.Q : s.Kd, bigv = s.KV > s.Vd ? s.KV : s.Vd, Hv = m->c.n_v_heads;
    int64_t bigy = s.Q > s.Vd ? s.Q : s.Vd;
    const int64_t size[] = {s.D, big, big, bigv, s.Vd, bigy, s.F, s.D, Hv, Hv};
    float **const at[] = {&m->x, &m->q,   &m->k,     &m->v, &m->gate,
                          &m->y, &m->ffn, &m->mixed, &m->a, &m->b};
    for (int i = 0; i < 10; i++)
        *at[i] = need((size_t)(MAX_T * size[i]) * 4);
    m->logits = need((size_t)m->c.n_vocab * 4);
    m->state = need((size_t)m->c.n_gdn * (size_t)(s.Vd * m->c.k_size) * 4);
    m->conv = need((size_t)m->c.n_gdn * (size_t)(s.channels * 3) * 4);
    m->page_bytes = (size_t)m->c.n_attn * 2 * (size_t)m->c.n_kv_heads *
                    kn_kv_block_bytes(m->kv, m->c.head_size);
    m->n_pages = (max_ctx + KN_PAGE_TOKENS - 1) / KN_PAGE_TOKENS;
    m->page = need((size_t)m->n_pages * sizeof *m->page);
    for (int64_t i = 0; i < m->n_pages; i++)
        stop_on(m->kn->alloc(m->dev, KN_DEVICE, m->page_bytes, &m->page[i], &err), &err);
}

/* Between two passes of one shape: keeps the least time of each operation. Others share the
 * machine. */
static void ops_next(struct model *m) {
    for (int i = 0; i < N_OPS; i++) {
        if (m->op_s[i] > 0.0 && (!(m->op_min_s[i] > 0.0) || m->op_s[i] < m->op_min_s[i]))
            m->op_min_s[i] = m->op_s[i];
        m->op_s[i] = 0.0;
    }
}

static void ops_reset(struct model *m) {
    memset(m->op_s, 0, sizeof m->op_s);
    memset(m->op_min_s, 0, sizeof m->op_min_s);
    memset(m->cost, 0, sizeof m->cost);
}

static void model_reset(struct model *m) {
    struct widths s = widths(&m->c);
    memset(m->state, 0, (size_t)m->c.n_gdn * (size_t)(s.Vd * m->c.k_size) * 4);
    memset(m->conv, 0, (size_t)m->c.n_gdn * (size_t)(s.channels * 3) * 4);
    ops_reset(m);
}

static kn_tensor view(float *p, int64_t T, int64_t cols) {
    return (kn_tensor){p, T, cols, KN_F32};
}

static void linear(struct model *m, enum op op, struct kn_linear *l) {
    ox_err err;
    double t = now_s();
    stop_on(m->kn->linear(m->dev, l, &err), &err);
    m->op_s[op] += now_s() - t;
    double rows = 0.0;
    for (int i = 0; i < KN_PARTS; i++)
        rows += l->out[i].data ? (double)l->out[i].cols : 0.0;
    if (l->epi == KN_EPI_SWIGLU) rows *= 2.0;
    struct kn_cost c = {2.0 * (double)l->x.rows * rows * (double)l->x.cols,
                        (double)m->kn->weight_bytes(l->w)};
    m->cost[op] = kn_cost_add(m->cost[op], c);
}

struct pass {
    int64_t T, N;
    int i_gdn, i_attn;
    kn_tensor add, add_norm;
};

static void take_add(const struct model *m, struct pass *p, struct kn_linear *l) {
    l->add = p->add;
    l->add_norm = p->add_norm;
    l->add_eps = m->c.rms_eps;
    p->add = (kn_tensor){0};
}

static void gdn_layer(struct model *m, struct pass *p, const struct ox_layer *lw) {
    struct widths s = widths(&m->c);
    int64_t T = p->T, Hv = m->c.n_v_heads;
    ox_err err;
    struct kn_linear in = {.w = lw->mixer_in,
                           .x = view(m->x, T, s.D),
                           .norm = lw->norm_mixer,
                           .norm_eps = m->c.rms_eps,
                           .out = {view(m->q, T, s.Kd), view(m->k, T, s.Kd), view(m->v, T, s.Vd),
                                   view(m->gate, T, s.Vd), view(m->a, T, Hv), view(m->b, T, Hv)}};
    take_add(m, p, &in);
    linear(m, OP_MIX_IN, &in);
    struct kn_gdn g = {
        .q = in.out[0],
        .k = in.out[1],
        .v = in.out[2],
        .a = in.out[4],
        .b = in.out[5],
        .taps = lw->taps,
        .a_log = lw->a_log,
        .dt_bias = lw->dt_bias,
        .conv = {(float *)m->conv + p->i_gdn * 3 * s.channels, 3, s.channels, KN_F32},
        .state = {(float *)m->state + p->i_gdn * s.Vd * m->c.k_size, s.Vd, m->c.k_size, KN_F32},
        .out = view(m->y, T, s.Vd),
        .n_k_heads = m->c.n_k_heads,
        .n_v_heads = m->c.n_v_heads,
        .l2_eps = 1e-6f,
        .beta_max = m->c.neg_eigval ? 2.0f : 1.0f};
    p->i_gdn++;
    double t = now_s();
    stop_on(m->kn->gdn(m->dev, &g, &err), &err);
    m->op_s[OP_GDN] += now_s() - t;
    m->cost[OP_GDN] = kn_cost_add(m->cost[OP_GDN], kn_cost_gdn(&g));
    struct kn_linear out = {.w = lw->mixer_out,
                            .x = view(m->y, T, s.Vd),
                            .norm = lw->o_norm,
                            .norm_eps = 1e-5f,
                            .gate = view(m->gate, T, s.Vd),
                            .out = {view(m->x, T, s.D)},
                            .epi = KN_EPI_ADD};
    linear(m, OP_MIX_OUT, &out);
}

static void attn_layer(struct model *m, struct pass *p, const struct ox_layer *lw) {
    struct widths s = widths(&m->c);
    int64_t T = p->T;
    ox_err err;
    struct kn_linear in = {.w = lw->mixer_in,
                           .x = view(m->x, T, s.D),
                           .out = {view(m->q, T, s.Q), view(m->k, T, s.KV), view(m->v, T, s.KV)}};
    take_add(m, p, &in);
    linear(m, OP_MIX_IN, &in);
    struct kn_attn a = {.q = in.out[0],
                        .k = in.out[1],
                        .v = in.out[2],
                        .q_norm = lw->q_norm,
                        .k_norm = lw->k_norm,
                        .out = view(m->y, T, s.Q),
                        .page_offset = (size_t)p->i_attn * (m->page_bytes / (size_t)m->c.n_attn),
                        .n_heads = m->c.n_heads,
                        .n_kv_heads = m->c.n_kv_heads,
                        .kv = m->kv,
                        .eps = m->c.rms_eps,
                        .scale = (float)(1.0 / sqrt((double)m->c.head_size)),
                        .rope_theta = (float)m->c.rope_theta};
    p->i_attn++;
    double t = now_s();
    stop_on(m->kn->attn(m->dev, &a, &err), &err);
    m->op_s[OP_ATTN] += now_s() - t;
    m->cost[OP_ATTN] = kn_cost_add(m->cost[OP_ATTN], kn_cost_attn(&a, p->N));
    struct kn_linear out = {
        .w = lw->mixer_out, .x = view(m->y, T, s.Q), .out = {view(m->mixed, T, s.D)}};
    linear(m, OP_MIX_OUT, &out);
    p->add = out.out[0];
    p->add_norm = lw->norm_mixer;
}

static void ffn(struct model *m, struct pass *p, const struct ox_layer *lw) {
    struct widths s = widths(&m->c);
    bool is_pre = lw->kind == OX_LAYER_GDN;
    struct kn_linear in = {.w = lw->gate_up,
                           .x = view(m->x, p->T, s.D),
                           .out = {view(m->ffn, p->T, s.F)},
                           .epi = KN_EPI_SWIGLU,
                           .norm_eps = m->c.rms_eps};
    if (is_pre) in.norm = lw->norm_ffn;
    take_add(m, p, &in);
    linear(m, OP_GATE_UP, &in);
    struct kn_linear out = {.w = lw->down,
                            .x = view(m->ffn, p->T, s.F),
                            .out = {view(is_pre ? m->x : m->mixed, p->T, s.D)},
                            .epi = is_pre ? KN_EPI_ADD : KN_EPI_STORE};
    linear(m, OP_DOWN, &out);
    if (is_pre) return;
    p->add = out.out[0];
    p->add_norm = lw->norm_ffn;
}

/* T tokens after N; logits of row `row` and the n_rows - 1 behind it go to `logits`. */
static void forward(struct model *m, const int32_t *tok, int64_t T, int64_t N, int64_t row,
                    int64_t n_rows, float *logits) {
    ox_err err;
    bool replayed;
    struct pass p = {.T = T, .N = N};
    struct kn_step step = {.tok = tok, .n_tok = (int32_t)T, .n_cached = N, .pages = m->page};
    kn_tensor x = view(m->x, T, m->c.d);
    stop_on(m->kn->begin(m->dev, &step, &replayed, &err), &err);
    double t = now_s();
    stop_on(m->kn->embed(m->dev, &x, m->w.embed, &err), &err);
    m->op_s[OP_EMBED] += now_s() - t;
    for (int32_t l = 0; l < m->w.n_layers; l++) {
        const struct ox_layer *lw = &m->w.layer[l];
        if (lw->kind == OX_LAYER_GDN)
            gdn_layer(m, &p, lw);
        else
            attn_layer(m, &p, lw);
        ffn(m, &p, lw);
    }
    if (n_rows > 0) {
        struct kn_linear head = {.w = m->w.head,
                                 .x = view(m->x + row * m->c.d, n_rows, m->c.d),
                                 .norm = m->w.final_norm,
                                 .norm_eps = m->c.rms_eps,
                                 .out = {view(logits, n_rows, m->c.n_vocab)}};
        if (p.add.data) {
            p.add.data = (float *)p.add.data + row * m->c.d;
            p.add.rows = n_rows;
        }
        take_add(m, &p, &head);
        linear(m, OP_HEAD, &head);
    }
    stop_on(m->kn->end(m->dev, &err), &err);
}

/* ---- cases ---------------------------------------------------------------------------------- */

struct options {
    const char *dir, *level;
    int threads, runs;
    bool f32_act, json;
    enum kn_dtype kv;
    struct rates rates;
};

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* passes: how many the costs were added over; per: tokens of one pass. */
static void print_ops(const struct model *m, const struct options *o, double passes, double per) {
    double all = 0.0;
    for (int i = 0; i < N_OPS; i++) {
        if (!(m->op_min_s[i] > 0.0) || o->json) continue;
        struct kn_cost c = {m->cost[i].ops / passes / per, m->cost[i].bytes / passes / per};
        double s = m->op_min_s[i] / per, peak = o->rates.vnni * o->threads;
        double memory_s = o->rates.read_bytes[1] > 0.0 ? c.bytes / o->rates.read_bytes[1] : 0.0;
        double ops_s = peak > 0.0 ? c.ops / peak : 0.0;
        all += s;
        printf("    %-11s %9.1f us  %8.2f MB %9.2f MOP  %7.2f GB/s %8.1f GOP/s  %3.0f %% of its "
               "limit\n",
               op_name[i], 1e6 * s, 1e-6 * c.bytes, 1e-6 * c.ops, 1e-9 * c.bytes / s,
               1e-9 * c.ops / s, 100.0 * fmax(memory_s, ops_s) / s);
    }
    if (!o->json)
        printf("    sum of the least times: %.1f us a token, %.1f tok/s\n", 1e6 * all, 1.0 / all);
}

static void report(const struct options *o, const char *name, int64_t size, double min,
                   double median, double tokens, double bytes) {
    if (o->json) {
        printf("{\"case\":\"%s\",\"size\":%lld,\"threads\":%d,\"min_s\":%.6f,\"median_s\":%.6f,"
               "\"tokens_per_s\":%.1f,\"bytes\":%.0f}\n",
               name, (long long)size, o->threads, min, median, tokens / min, bytes);
        return;
    }
    printf("%-8s %6lld  min %9.3f ms  median %9.3f ms  %8.1f tok/s  (median %8.1f)", name,
           (long long)size, 1e3 * min, 1e3 * median, tokens / min, tokens / median);
    if (bytes > 0.0 && o->rates.read_bytes[1] > 0.0)
        printf("  %.1f GB/s, %.0f %% of read", 1e-9 * bytes / min,
               100.0 * bytes / min / o->rates.read_bytes[1]);
    printf("\n");
}

static int32_t some_token(const struct model *m, int64_t i) {
    return (int32_t)((uint64_t)(i * 7919 + 13) %
                     (uint64_t)(m->c.n_vocab > 1000 ? m->c.n_vocab - 500 : m->c.n_vocab));
}

static double prefill(struct model *m, int64_t from, int64_t to) {
    int32_t tok[MAX_T];
    double t = now_s();
    for (int64_t n; from < to; from += n) {
        n = to - from < MAX_T ? to - from : MAX_T;
        for (int64_t i = 0; i < n; i++)
            tok[i] = some_token(m, from + i);
        forward(m, tok, n, from, n - 1, from + n == to, m->logits);
    }
    return now_s() - t;
}

static void case_prefill(struct model *m, const struct options *o, int64_t n) {
    double time[64];
    int runs = o->runs < 64 ? o->runs : 64;
    if (n >= 2048 && runs > 3) runs = 3;
    model_reset(m);
    prefill(m, 0, MAX_T < n ? MAX_T : n);
    for (int i = 0; i < runs; i++) {
        double keep[N_OPS];
        memcpy(keep, m->op_min_s, sizeof keep);
        model_reset(m);
        if (i) memcpy(m->op_min_s, keep, sizeof keep);
        time[i] = prefill(m, 0, n);
        ops_next(m);
    }
    qsort(time, (size_t)runs, sizeof *time, ascending);
    report(o, "prefill", n, time[0], time[runs / 2], (double)n, 0.0);
    print_ops(m, o, 1.0, (double)n);
}

/* One block of MAX_T tokens after `depth` others, whose pages repeat those of the first 1,024: long
 * prompts take longer than a machine stays quiet, so they are summed up from their blocks. */
static void case_block(struct model *m, const struct options *o, int64_t depth) {
    enum { READ_PAGES = 4 };
    double time[64];
    int runs = o->runs < 64 ? o->runs : 64;
    depth = depth / KN_PAGE_TOKENS * KN_PAGE_TOKENS;
    model_reset(m);
    prefill(m, 0, READ_PAGES * KN_PAGE_TOKENS);
    for (int64_t p = READ_PAGES; p < depth / KN_PAGE_TOKENS; p++)
        memcpy(m->page[p], m->page[p % READ_PAGES], m->page_bytes);
    ops_reset(m);
    for (int i = 0; i < runs; i++) {
        memset(m->cost, 0, sizeof m->cost);
        time[i] = prefill(m, depth, depth + MAX_T);
        ops_next(m);
    }
    qsort(time, (size_t)runs, sizeof *time, ascending);
    report(o, "block", depth, time[0], time[runs / 2], MAX_T, 0.0);
    print_ops(m, o, 1.0, MAX_T);
}

/* Decode of 64 tokens after ctx: minimum and median of a token. */
static void case_decode(struct model *m, const struct options *o, int64_t ctx) {
    enum { TOKENS = 64 };
    double time[64 * TOKENS], bytes = 0.0;
    int runs = o->runs < 64 ? o->runs : 64, n = 0;
    for (int r = 0; r < runs; r++) {
        if (r == 0) {
            model_reset(m);
            prefill(m, 0, ctx);
        }
        if (r == 0) ops_reset(m);
        memset(m->cost, 0, sizeof m->cost);
        for (int i = 0; i < TOKENS; i++) {
            int32_t tok = some_token(m, i);
            double t = now_s();
            forward(m, &tok, 1, ctx + i, 0, 1, m->logits);
            time[n++] = now_s() - t;
            ops_next(m);
        }
    }
    for (int i = 0; i < N_OPS; i++)
        bytes += m->cost[i].bytes / TOKENS;
    qsort(time, (size_t)n, sizeof *time, ascending);
    report(o, "decode", ctx, time[0], time[n / 2], 1.0, bytes);
    print_ops(m, o, TOKENS, 1.0);
}

/* Mean KL(exact || this mode) and first-choice agreement over every position of the golden texts.
 */
static void case_fidelity(struct model *m, const struct options *o, const char *name) {
    const unsigned char *file;
    size_t n_bytes;
    struct st_set golden;
    struct model exact;
    ox_err err;
    stop_on(folder_get(m->folder, "golden.safetensors", &file, &n_bytes, &err), &err);
    stop_on(st_read(file, n_bytes, "golden.safetensors", &golden, &err), &err);
    const struct st_tensor *ids = st_find(&golden, name),
                           *top1 = st_find(&golden, name[4] == 't' ? "top1.text" : "top1.4500");
    if (!ids || !top1) return;
    int64_t n = ids->dim[0], V = m->c.n_vocab;
    pool *threads;
    stop_on(pool_open(o->threads, &threads, &err), &err);
    model_open(&exact, o->dir, o->level, pool_host(threads), true, KN_F32, n);
    float *a = need((size_t)(2 * 32 * V) * 4), *b = a + 32 * V;
    int32_t *tok = need((size_t)n * 4), *best = need((size_t)n * 4);
    memcpy(tok, ids->data, (size_t)n * 4);
    memcpy(best, top1->data, (size_t)n * 4);
    double kl = 0.0, same = 0.0, same_ref = 0.0;
    model_reset(m);
    for (int64_t from = 0; from < n; from += 32) {
        int64_t T = n - from < 32 ? n - from : 32;
        forward(&exact, tok + from, T, from, 0, T, a);
        forward(m, tok + from, T, from, 0, T, b);
        for (int64_t t = 0; t < T; t++) {
            const float *p = a + t * V, *q = b + t * V;
            int64_t pi = 0, qi = 0;
            double sp = 0.0, sq = 0.0, sum = 0.0;
            for (int64_t i = 1; i < V; i++) {
                if (p[i] > p[pi]) pi = i;
                if (q[i] > q[qi]) qi = i;
            }
            for (int64_t i = 0; i < V; i++) {
                sp += exp((double)p[i] - (double)p[pi]);
                sq += exp((double)q[i] - (double)q[qi]);
            }
            double lp = (double)p[pi] + log(sp), lq = (double)q[qi] + log(sq);
            for (int64_t i = 0; i < V; i++)
                sum += exp((double)p[i] - lp) * (((double)p[i] - lp) - ((double)q[i] - lq));
            kl += sum;
            same += pi == qi;
            same_ref += pi == best[from + t];
        }
    }
    printf("fidelity %s: %lld tokens, mean KL(exact || this) %.5f nat, same first choice %.2f %%; "
           "exact has the golden first "
           "choice at %.2f %%\n",
           name, (long long)n, kl / (double)n, 100.0 * same / (double)n,
           100.0 * same_ref / (double)n);
}

static void case_rates(struct options *o, const struct kn_host *host) {
    enum { MB = 256 };
    void *block = need((size_t)MB << 20);
    rates_measure(&o->rates, host, block, (size_t)MB << 20);
    ox_free(block);
    printf("read %.1f GB/s on one thread, %.1f on %d; a thread: vpdpbusd %.0f GOP/s, vdpbf16ps "
           "%.0f, f32 FMA %.0f "
           "GFLOP/s; a parallel section %.2f us\n",
           1e-9 * o->rates.read_bytes[0], 1e-9 * o->rates.read_bytes[1], o->threads,
           1e-9 * o->rates.vnni, 1e-9 * o->rates.bf16, 1e-9 * o->rates.fma,
           1e6 * o->rates.section_s);
}

int main(int argc, char **argv) {
    struct options o = {.runs = 10, .kv = KN_BF16};
    const char *cases[32] = {"rates", "decode:0", "decode:4096", "prefill:512", "prefill:4096"};
    int n = 0;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (!strcmp(argv[i], "-m") && has_value)
            o.dir = argv[++i];
        else if (!strcmp(argv[i], "-t") && has_value)
            o.threads = (int)strtol(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "-l") && has_value)
            o.level = argv[++i];
        else if (!strcmp(argv[i], "--runs") && has_value)
            o.runs = (int)strtol(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--f32"))
            o.f32_act = true;
        else if (!strcmp(argv[i], "--kv-int8"))
            o.kv = KN_I8;
        else if (!strcmp(argv[i], "--json"))
            o.json = true;
        else if (!strcmp(argv[i], "--cpu"))
            clock_kind = CLOCK_PROCESS_CPUTIME_ID, o.threads = 1;
        else if (n < 32)
            cases[n++] = argv[i];
    }
    if (!n) n = 5;
    ox_err err;
    pool *threads;
    struct model m;
    stop_on(pool_open(o.threads, &threads, &err), &err);
    o.threads = pool_host(threads)->n_threads;
    double t = now_s();
    model_open(&m, o.dir, o.level, pool_host(threads), o.f32_act, o.kv, 33 * 1024);
    struct kn_facts facts;
    stop_on(m.kn->facts(m.dev, &facts, &err), &err);
    if (!o.json)
        printf("%s; %s; load and pack %.3f s, %.1f MB of weights\n", facts.device, facts.space,
               now_s() - t, 1e-6 * (double)m.w.n_bytes);
    for (int i = 0; i < n; i++) {
        const char *colon = strchr(cases[i], ':');
        int64_t size = colon ? strtoll(colon + 1, NULL, 10) : 0;
        if (!strncmp(cases[i], "rates", 5))
            case_rates(&o, pool_host(threads));
        else if (!strncmp(cases[i], "decode", 6))
            case_decode(&m, &o, size);
        else if (!strncmp(cases[i], "prefill", 7))
            case_prefill(&m, &o, size);
        else if (!strncmp(cases[i], "block", 5))
            case_block(&m, &o, size);
        else if (!strcmp(cases[i], "fidelity"))
            case_fidelity(&m, &o, "ids.text");
        else if (!strcmp(cases[i], "fidelity:4500"))
            case_fidelity(&m, &o, "ids.4500");
    }
    return 0;
}
