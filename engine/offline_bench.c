/* offline_bench.c - how fast this machine runs this model, through the same calls as a
 * conversation, and how near that is to what its memory can do. Apart, because it opens an engine
 * of its own. */
#include "engine/offline.h"
#include "engine/offline_bench.h"

#include "engine/pool.h"
#include "kernels/base/ox_mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    DEFAULT_CTX = 8192,
    DEFAULT_REPLY = 64,
    MAX_REPLY = 4096,
    MAX_CASES = 32,
    READ_BYTES = 256 << 20, /* well past any cache */
    READ_RUNS = 8
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the limit: reading memory ---- */

struct reading {
    const uint64_t *p;
    size_t n_words; /* of each task */
    uint64_t sum[256];
};

/* Four sums, so that the processor waits for memory and not for the addition. */
static void read_share(void *arg, int i) {
    struct reading *r = arg;
    const uint64_t *p = r->p + (size_t)i * r->n_words;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (size_t k = 0; k + 4 <= r->n_words; k += 4) {
        a += p[k];
        b += p[k + 1];
        c += p[k + 2];
        d += p[k + 3];
    }
    r->sum[i] = a + b + c + d;
}

/* Bytes a second that all threads read together, the best of some runs. */
static int measure_read(int n_threads, double *out, ox_err *err) {
    pool *workers = NULL;
    uint64_t *block = ox_alloc64(READ_BYTES, 1, "the measure of memory", err);
    int rc = block ? pool_open(n_threads, &workers, err) : OX_ENOMEM;
    if (!rc) {
        const struct kn_host *host = pool_host(workers);
        int n = host->n_threads < 256 ? host->n_threads : 256;
        struct reading r = {.p = block, .n_words = READ_BYTES / sizeof *block / (size_t)n};
        double best = HUGE_VAL;
        memset(block, 1, READ_BYTES); /* pages of its own, not the shared zero page */
        for (int run = 0; run < READ_RUNS; run++) {
            double t = now_s();
            host->parallel(host->user, n, read_share, &r);
            best = fmin(best, now_s() - t);
        }
        *out = READ_BYTES / best;
    }
    pool_close(workers);
    ox_free(block);
    return rc;
}

/* ---- the runs ---- */

struct bench {
    struct offline *o;
    ox_engine *engine;
    const struct ox_info *info;
    double read_bytes_s; /* 0: not known */
    int32_t *tok;        /* as many as the longest case needs */
    double *time_s;      /* [reply] */
    size_t reply;
    ox_err *err;
};

/* Ids like those of a text, the same on every machine; a stop id gives way to its neighbour. */
static void fill_tokens(struct bench *b, size_t n) {
    uint32_t seed = 1, n_vocab = b->info->n_vocab;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t id = (seed >> 8) % n_vocab;
        for (int tries = 0; tries < 32 && ox_is_stop(b->engine, (int32_t)id); tries++)
            id = (id + 1) % n_vocab;
        b->tok[i] = (int32_t)id;
    }
}

static int by_value(const void *pa, const void *pb) {
    double a = *(const double *)pa, b = *(const double *)pb;
    return a < b ? -1 : a > b;
}

static json_t *build_case(const struct bench *b, const char *name, size_t ctx, size_t n_tok,
                          size_t n) {
    qsort(b->time_s, n, sizeof *b->time_s, by_value);
    double median = b->time_s[n / 2];
    return json_pack("{s:s, s:s, s:I, s:f, s:f, s:f, s:f}", "event", "bench", "case", name, "ctx",
                     (json_int_t)ctx, "min_s", b->time_s[0], "median_s", median, "p95_s",
                     b->time_s[(n * 95 - 1) / 100], "tok_s", (double)n_tok / median);
}

/* Reads ctx tokens into an empty session. */
static int run_prefill(struct bench *b, ox_session *s, size_t ctx) {
    const struct ox_prefix want = {b->tok, ctx};
    struct ox_plan done;
    double t = now_s();
    int rc = ox_session_sync(s, want, NULL, &done, b->err);
    b->time_s[0] = now_s() - t;
    return rc ? rc : offline_say(b->o, build_case(b, "prefill", ctx, ctx, 1), b->err);
}

/* Bytes that one step reads and writes: all weights but the rows of an embedding of its own, keys
 * and values of the context, the states twice. */
static double step_bytes(const struct bench *b, size_t ctx) {
    double n = (double)b->info->weight_bytes + (double)ctx * (double)b->info->token_bytes +
               2.0 * (double)b->info->state_bytes;
    for (size_t i = 0; !b->o->config.tied && i < b->o->tensors.n; i++) {
        const struct st_tensor *t = &b->o->tensors.v[i];
        if (strncmp(t->name, "model.embed_tokens.", 19) == 0) n -= (double)t->n_bytes;
    }
    return n;
}

/* One token more. A stop id ends an answer and is not fed; then another token is, so that every
 * step does the same work. */
static int run_step(struct bench *b, ox_session *s) {
    const struct ox_sampling greedy = {.top_p = 1, .repeat = 1};
    int32_t tok = -1;
    int rc = ox_session_next(s, &greedy, &tok, b->err);
    if (rc || !ox_is_stop(b->engine, tok)) return rc;
    struct ox_prefix at = ox_session_timeline(s);
    memcpy(b->tok, at.tok, at.n * sizeof *b->tok); /* and the token that stands behind them here */
    struct ox_plan done;
    return ox_session_sync(s, (struct ox_prefix){b->tok, at.n + 1}, NULL, &done, b->err);
}

/* Tokens one by one behind the context, drawing included. The first draws from logits that are
 * there already, so it is not timed. */
static int run_decode(struct bench *b, ox_session *s, size_t ctx) {
    int rc = run_step(b, s);
    for (size_t i = 0; !rc && i < b->reply; i++) {
        double t = now_s();
        rc = run_step(b, s);
        b->time_s[i] = now_s() - t;
    }
    if (rc) return rc;
    double bytes = step_bytes(b, ctx), limit = b->read_bytes_s > 0 ? bytes / b->read_bytes_s : 0;
    json_t *line = build_case(b, "decode", ctx, 1, b->reply);
    double median = json_real_value(json_object_get(line, "median_s"));
    json_object_set_new(line, "bytes", json_real(bytes));
    json_object_set_new(line, "limit_s", limit > 0 ? json_real(limit) : json_null());
    json_object_set_new(line, "share", limit > 0 ? json_real(limit / median) : json_null());
    return offline_say(b->o, line, b->err);
}

/* Going on from all of it as saved, in a new session. */
static int run_resume(struct bench *b, ox_session **s, size_t ctx) {
    struct resume_cost cost;
    double median;
    int rc = resume_measure(b->engine, s, &cost, b->err);
    if (rc) return rc;
    if (!cost.bytes) {
        json_t *line = json_pack("{s:s, s:s, s:I, s:s}", "event", "bench", "case", "resume", "ctx",
                                 (json_int_t)ctx, "skipped", "not enough memory for a copy");
        return offline_say(b->o, line, b->err);
    }
    for (size_t i = 0; i < RESUME_RUNS; i++)
        b->time_s[i] = cost.time_s[i];
    json_t *line = build_case(b, "resume", ctx, cost.n_tokens, RESUME_RUNS);
    median = json_real_value(json_object_get(line, "median_s"));
    json_object_set_new(line, "bytes", json_integer((json_int_t)cost.bytes));
    json_object_set_new(line, "bytes_s", json_real((double)cost.bytes / median));
    return offline_say(b->o, line, b->err);
}

static int run_case(struct bench *b, size_t ctx) {
    ox_session *s = NULL;
    fill_tokens(b, ctx + b->reply + 2);
    int rc = ox_session_open(b->engine, &s, b->err);
    if (!rc) rc = run_prefill(b, s, ctx);
    if (!rc) rc = run_decode(b, s, ctx);
    if (!rc) rc = run_resume(b, &s, ctx);
    ox_session_close(s);
    return rc;
}

/* ---- the task ---- */

static int read_cases(const struct offline *o, size_t ctx[MAX_CASES], size_t *n, size_t *reply,
                      ox_err *err) {
    const json_t *list = json_object_get(o->args, "ctx"), *r = json_object_get(o->args, "reply");
    ctx[0] = DEFAULT_CTX;
    *n = 1;
    *reply = r ? (size_t)json_integer_value(r) : DEFAULT_REPLY;
    if (*reply < 1 || *reply > MAX_REPLY)
        return ox_err_set(err, OX_EUSAGE, "reply: 1 to %d tokens", MAX_REPLY);
    if (!list) return 0;
    *n = json_array_size(list);
    if (*n < 1 || *n > MAX_CASES)
        return ox_err_set(err, OX_EUSAGE, "--ctx takes 1 to %d lengths", MAX_CASES);
    for (size_t i = 0; i < *n; i++) {
        json_int_t v = json_integer_value(json_array_get(list, i));
        if (v < 1 || v > 1 << 24) return ox_err_set(err, OX_EUSAGE, "--ctx: a length of 1 or more");
        ctx[i] = (size_t)v;
    }
    return 0;
}

static int say_machine(struct bench *b, double load_s) {
    json_t *line = json_pack("{s:s, s:s, s:s, s:f, s:I}", "event", "machine", "device",
                             b->info->device, "backend", b->info->backend, "load_s", load_s,
                             "weight_bytes", (json_int_t)b->info->weight_bytes);
    json_object_set_new(line, "read_bytes_s",
                        b->read_bytes_s > 0 ? json_real(b->read_bytes_s) : json_null());
    return offline_say(b->o, line, b->err);
}

static int bench_model(struct offline *o, const struct ox_engine_opts *opts, ox_err *err) {
    struct bench b = {.o = o, .err = err};
    struct ox_engine_opts how = *opts;
    size_t ctx[MAX_CASES], n = 0, longest = 0;
    int rc = read_cases(o, ctx, &n, &b.reply, err);
    if (rc) return rc;
    for (size_t i = 0; i < n; i++)
        if (ctx[i] > longest) longest = ctx[i];
    how.max_tokens = (uint32_t)(longest + b.reply + 1);
    double t = now_s();
    rc = ox_engine_open(&how, &b.engine, err);
    if (rc) return rc;
    double load_s = now_s() - t;
    b.info = ox_engine_info(b.engine);
    b.tok = ox_alloc(longest + b.reply + 2, sizeof *b.tok, "test tokens", err);
    b.time_s =
        ox_alloc(b.reply > RESUME_RUNS ? b.reply : RESUME_RUNS, sizeof *b.time_s, "times", err);
    if (!b.tok || !b.time_s) rc = OX_ENOMEM;
    if (!rc && strncmp(b.info->backend, "cpu", 3) == 0)
        rc = measure_read(opts->n_threads, &b.read_bytes_s, err);
    if (!rc) rc = say_machine(&b, load_s);
    for (size_t i = 0; !rc && i < n; i++)
        rc = run_case(&b, ctx[i]);
    ox_free(b.time_s);
    ox_free(b.tok);
    ox_engine_close(b.engine);
    return rc;
}

/* A made-up model in a folder of its own beside other temporary files, gone afterwards. */
static int bench_shape(struct offline *o, const struct ox_engine_opts *opts, const char *shape,
                       ox_err *err) {
    const char *parent = offline_text(o, "dir"), *weights = offline_text(o, "weights");
    const char *names[] = {"int4", "int8", "bf16"};
    const int bits[] = {4, 8, 16};
    int chosen = weights ? 0 : 4;
    for (size_t i = 0; weights && i < sizeof bits / sizeof bits[0]; i++)
        if (strcmp(names[i], weights) == 0) chosen = bits[i];
    if (!chosen) return ox_err_set(err, OX_EUSAGE, "--weights is bf16, int8 or int4");
    char dir[512];
    int n = snprintf(dir, sizeof dir, "%s/oxbow-shape-XXXXXX", parent ? parent : "/tmp");
    if (n < 0 || (size_t)n >= sizeof dir || !mkdtemp(dir)) {
        ox_err_set(err, OX_EIO, "%s: no temporary folder can be made", parent ? parent : "/tmp");
        return ox_err_fix(err, "name a folder to write to");
    }
    struct offline made = {.args = o->args, .line = o->line, .user = o->user};
    struct ox_engine_opts how = *opts;
    how.model_dir = dir;
    int rc = offline_shape(o->folder, shape, chosen, dir, err);
    if (!rc) rc = folder_open(dir, &made.folder, err);
    if (!rc) rc = config_read(made.folder, false, &made.config, err);
    if (!rc) rc = st_open(made.folder, &made.tensors, err);
    if (!rc) rc = bench_model(&made, &how, err);
    st_close(&made.tensors);
    config_deinit(&made.config);
    folder_close(made.folder);
    offline_shape_remove(dir);
    return rc;
}

int offline_bench(struct offline *o, const struct ox_engine_opts *opts, ox_err *err) {
    const char *shape = offline_text(o, "shape");
    return shape ? bench_shape(o, opts, shape, err) : bench_model(o, opts, err);
}
