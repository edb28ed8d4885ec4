/* turn_bench.c - what a person waits for: start, reading a prompt, answering, saving the turn,
 * coming back to it. Prints numbers with the machine's read bandwidth beside them; judges nothing.
 *
 *   turn_bench [-m FOLDER] [-t THREADS] [-b BACKEND] [--kv F] [TOKENS..]    default: 1024 4096
 * 16384
 *
 * Resume is measured from memory (a copy, sums and checks): the disk's share is tests/bench of the
 * store. Every line says how many bytes moved. */
#include "engine/session.h"
#include "kernels/base/ox_mem.h"
#include "tests/bench/rates.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* A store of one record, in memory. */
struct one_record {
    struct ox_state_io io;
    unsigned char *state, *tail, **page;
    size_t n, n_pages, cap_pages;
    uint64_t n_bytes;
};

static int one_find(void *user, struct ox_prefix want, struct ox_found *out, ox_err *err) {
    struct one_record *r = user;
    (void)err;
    *out = (struct ox_found){0};
    if (r->n && r->n <= want.n) *out = (struct ox_found){1, r->n, true, r->n_bytes, 1e-6};
    return 0;
}

static int one_get(void *user, uint64_t id, enum ox_blob what, size_t page, void *dst, size_t n,
                   ox_err *err) {
    struct one_record *r = user;
    (void)id, (void)err;
    memcpy(dst,
           what == OX_BLOB_PAGE   ? r->page[page]
           : what == OX_BLOB_TAIL ? r->tail
                                  : r->state,
           n);
    return 0;
}

static int one_put(void *user, enum ox_blob what, enum ox_why why, struct ox_prefix at,
                   const void *p, size_t n, ox_err *err) {
    struct one_record *r = user;
    (void)why;
    unsigned char *copy = (unsigned char *)ox_memdup(p, n, "blob", err);
    if (!copy) return OX_ENOMEM;
    r->n_bytes += n;
    if (what == OX_BLOB_PAGE) {
        if (ox_grow(&r->page, &r->cap_pages, r->n_pages + 1, sizeof *r->page, err))
            return OX_ENOMEM;
        r->page[r->n_pages++] = copy;
        return 0;
    }
    unsigned char **slot = what == OX_BLOB_TAIL ? &r->tail : &r->state;
    ox_free(*slot);
    *slot = copy;
    if (what == OX_BLOB_STATE) r->n = at.n;
    return 0;
}

static void one_free(struct one_record *r) {
    for (size_t i = 0; i < r->n_pages; i++)
        ox_free(r->page[i]);
    ox_free(r->page);
    ox_free(r->state);
    ox_free(r->tail);
}

static void die(int rc, const ox_err *err) {
    if (!rc) return;
    fprintf(stderr, "turn_bench: %s: %s\n", err->where, err->what);
    exit(3);
}

static double peak_mib(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Decode of 128 tokens: median and best, in tokens a second. */
static void decode(ox_session *s, double *median, double *best) {
    enum { N = 128 };
    struct ox_sampling how = {.temperature = 1, .top_p = 0.95f, .repeat = 1};
    double took[N];
    ox_err err = {0};
    int32_t tok;
    for (int i = 0; i < N; i++) {
        double t = rates_now();
        how.seed = (uint64_t)i;
        die(ox_session_next(s, &how, &tok, &err), &err);
        took[i] = rates_now() - t;
    }
    qsort(took, N, sizeof *took, by_size);
    *median = 1 / took[N / 2];
    *best = 1 / took[0];
}

static void run(ox_engine *e, size_t n) {
    ox_session *s = NULL;
    ox_err err = {0};
    struct one_record r = {.io = {NULL, one_find, one_get, one_put, NULL}};
    struct ox_plan plan;
    double median, best;
    uint32_t n_vocab = ox_engine_info(e)->n_vocab;
    int32_t *tok = ox_alloc(n, sizeof *tok, "ids", &err);
    die(tok ? 0 : OX_ENOMEM, &err);
    for (size_t i = 0; i < n; i++)
        tok[i] = (int32_t)((i * 2654435761u >> 7) % n_vocab);
    r.io.user = &r;
    die(ox_session_open(e, &s, &err), &err);
    double t = rates_now();
    die(ox_session_sync(s, (struct ox_prefix){tok, n}, NULL, NULL, &err), &err);
    double prefill = rates_now() - t;
    decode(s, &median, &best);
    t = rates_now();
    die(ox_session_snapshot(s, OX_WHY_TURN, &r.io, &err), &err);
    double save = rates_now() - t;
    struct ox_prefix now = ox_session_timeline(s);
    int32_t *want = (int32_t *)(void *)ox_memdup(now.tok, now.n * sizeof *want, "ids", &err);
    die(want ? 0 : OX_ENOMEM, &err);
    ox_session_close(s);
    s = NULL;
    die(ox_session_open(e, &s, &err), &err);
    t = rates_now();
    die(ox_session_sync(s, (struct ox_prefix){want, now.n}, &(struct ox_sync_opts){.io = &r.io},
                        &plan, &err),
        &err);
    double resume = rates_now() - t;
    printf("%7zu %9.2f %8.0f %8.1f %8.1f %9.1f %8.1f %9.1f %8.0f\n", n, prefill,
           (double)n / prefill, median, best, (double)r.n_bytes / 1e6, save * 1e3, resume * 1e3,
           prefill / resume);
    if (plan.restored != now.n)
        printf("        resume computed %zu tokens\n", now.n - plan.restored);
    ox_session_close(s);
    one_free(&r);
    ox_free(tok);
    ox_free(want);
}

int main(int argc, char **argv) {
    struct ox_engine_opts opts = {0};
    size_t n[16] = {1024, 4096, 16384}, n_cases = 3, n_given = 0;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "-m") == 0 && value)
            opts.model_dir = argv[++i];
        else if (strcmp(argv[i], "-b") == 0 && value)
            opts.backend = argv[++i];
        else if (strcmp(argv[i], "--kv") == 0 && value)
            opts.kv = argv[++i];
        else if (strcmp(argv[i], "-t") == 0 && value)
            opts.n_threads = (int)strtol(argv[++i], NULL, 10);
        else if (n_given < 16)
            n[n_given++] = strtoul(argv[i], NULL, 10);
    }
    if (n_given) n_cases = n_given;
    ox_engine *e = NULL;
    ox_err err = {0};
    double t = rates_now();
    die(ox_engine_open(&opts, &e, &err), &err);
    double start = rates_now() - t;
    enum { PROBE_BYTES = 256 << 20 };
    struct rates rates;
    void *block = ox_alloc64(PROBE_BYTES, 1, "probe", &err);
    die(block ? 0 : OX_ENOMEM, &err);
    rates_measure(&rates, pool_host(e->pool), block, PROBE_BYTES);
    ox_free(block);
    const struct ox_info *info = ox_engine_info(e);
    printf("%s on %s (%s), weights %.1f MB, open %.3f s\n", info->name, info->backend, info->device,
           (double)info->weight_bytes / 1e6, start);
    printf("read bandwidth %.1f GB/s one thread, %.1f all; decode can be at most %.0f tok/s\n",
           rates.read_bytes[0] / 1e9, rates.read_bytes[1] / 1e9,
           rates.read_bytes[1] / (double)info->weight_bytes);
    printf(" tokens prefill s    tok/s decode/s   best/s  saved MB  save ms resume ms  times\n");
    for (size_t i = 0; i < n_cases; i++)
        if (n[i] && n[i] + 200 < info->max_tokens) run(e, n[i]);
    printf("peak memory %.0f MiB\n", peak_mib());
    ox_engine_close(e);
    return 0;
}
