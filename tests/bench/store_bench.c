/* store_bench.c - oxbow.db at the size of years: how long each call of the UI thread takes, how
 * large the file becomes. Prints a Markdown table for docs/PERF.md.
 *
 *   store_bench FOLDER [SESSIONS]      default: 1000, of 20 messages of about 400 tokens */
#include "app/store/docs.h"
#include "app/store/search.h"
#include "app/store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { TURNS = 10, TOKENS = 400, PARTS = 12 };

static store *st;
static double worst[4], sum[4];
static long calls[4];

/* Time of this thread on the processor: the machine may be busy with others. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int rc, const ox_err *err) {
    if (!rc) return;
    fprintf(stderr, "store_bench: %s (%s)\n", err->what, err->where);
    exit(1);
}

static double note(int k, double from) {
    double took = now() - from;
    sum[k] += took;
    calls[k]++;
    if (took > worst[k]) worst[k] = took;
    return took;
}

static size_t make_text(char *out, size_t cap, unsigned seed) {
    static const char *const words[] = {"lamp",    "harbour", "the",   "was",   "out",   "at",
                                        "quarter", "nine",    "storm", "pilot", "wrote", "that",
                                        "and",     "water",   "over",  "lower", "step",  "mole"};
    size_t n = 0;
    for (int i = 0; i < TOKENS * 3 / 4 && n + 24 < cap; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned w = seed >> 16;
        n += w % 9 ? (size_t)snprintf(out + n, cap - n, "%s ", words[w % 18])
                   : (size_t)snprintf(out + n, cap - n, "word%u ", w % 20000);
    }
    return n;
}

static void turn(int64_t chat, int64_t *leaf, unsigned seed) {
    static char text[8192];
    static int32_t tok[TOKENS];
    ox_err err = {0};
    size_t n = make_text(text, sizeof text, seed);
    struct chat_node q = {.parent = *leaf,
                          .role = OX_ROLE_USER,
                          .end = CHAT_DONE,
                          .text = text,
                          .n_bytes = n,
                          .tok = tok,
                          .n_tok = TOKENS};
    struct chat_node a = {.role = OX_ROLE_ASSISTANT, .end = CHAT_OPEN};
    struct chat_ledger cost = {.n_in = 1000, .n_out = TOKENS};
    struct store_run run = {.engine = "cpu", .sampling = "{}", .seed = seed};
    double from = now();
    must(store_begin(st, &err), &err);
    must(store_msg_add(st, chat, &q, &a.parent, &err), &err);
    must(store_msg_add(st, chat, &a, leaf, &err), &err);
    must(store_run_start(st, *leaf, &run, &err), &err);
    must(store_end(st, 0, &err), &err);
    note(0, from);
    for (int p = 0; p < PARTS; p++) {
        struct chat_node more = {.text = text + n / PARTS * (size_t)p,
                                 .n_bytes = n / PARTS,
                                 .tok = tok,
                                 .n_tok = TOKENS / PARTS};
        from = now();
        must(store_msg_extend(st, *leaf, &more, &err), &err);
        note(1, from);
    }
    from = now();
    must(store_msg_finish(st, *leaf, CHAT_DONE, &cost, "eos", &err), &err);
    note(2, from);
}

static int count_node(void *user, const struct chat_node *row) {
    *(size_t *)user += row->n_bytes;
    return 0;
}
static int count_chat(void *user, const struct store_chat *row) {
    (void)row;
    ++*(int *)user;
    return 0;
}
static int count_hit(void *user, const struct store_hit *hit) {
    (void)hit;
    ++*(int *)user;
    return 0;
}

static double file_mib(const char *path) {
    struct stat sb;
    return stat(path, &sb) ? 0 : (double)sb.st_size / (1 << 20);
}

static void look_around(const char *path) {
    ox_err err = {0};
    int64_t chat, leaf;
    size_t bytes = 0;
    int rows = 0;
    double from = now();
    must(store_open(path, false, &st, &err), &err);
    printf("| open | %.1f ms |\n", (now() - from) * 1e3);
    from = now();
    must(store_chat_last(st, &chat, &leaf, &err), &err);
    must(store_msg_path(st, leaf, count_node, &bytes, &err), &err);
    printf("| the last session's transcript, %zu bytes | %.2f ms |\n", bytes, (now() - from) * 1e3);
    from = now();
    must(store_chat_list(st, &(struct store_filter){.limit = 30}, count_chat, &rows, &err), &err);
    printf("| 30 rows of the picker | %.2f ms |\n", (now() - from) * 1e3);
    from = now();
    must(store_chat_list(st, NULL, count_chat, &rows, &err), &err);
    printf("| all rows | %.1f ms |\n", (now() - from) * 1e3);
    static const char *const words[] = {"word777", "lamp harbour", "\"quarter nine\"", "absent"};
    for (int i = 0; i < 4; i++) {
        int hits = 0;
        from = now();
        must(store_search(st, &(struct store_search){.words = words[i]}, count_hit, &hits, &err),
             &err);
        printf("| search `%s`, %d shown | %.1f ms |\n", words[i], hits, (now() - from) * 1e3);
    }
    static const char *const typed[] = {"wo", "quarter ni", "the"};
    for (int i = 0; i < 3; i++) { /* as the list of sessions asks while they are typed */
        int hits = 0;
        const struct store_search how = {.words = typed[i], .is_typed = true, .limit = 20};
        from = now();
        must(store_search(st, &how, count_hit, &hits, &err), &err);
        printf("| search while `%s` is typed, %d shown | %.1f ms |\n", typed[i], hits,
               (now() - from) * 1e3);
    }
}

static void read_in(void) {
    enum { SIZE = 5 << 20 };
    char *text = malloc(SIZE);
    ox_err err = {0};
    int64_t id = 0;
    bool ready = false;
    size_t n = 0;
    while (n + 8192 < SIZE) {
        n += make_text(text + n, 8000, (unsigned)n);
        text[n - 1] = '\n';
    }
    struct store_doc d = {.name = "big.txt", .text = text, .n_bytes = n};
    double all = now();
    must(store_doc_add(st, &d, &id, &err), &err);
    while (!ready) {
        double from = now();
        must(store_doc_step(st, id, &ready, NULL, &err), &err);
        note(3, from);
    }
    printf(
        "| document of %.1f MB: %ld slices in %.2f s, mean and longest slice | %.1f / %.1f ms |\n",
        (double)n / 1e6, calls[3], now() - all, sum[3] / (double)calls[3] * 1e3, worst[3] * 1e3);
    free(text);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"T1: question", "T2: part of an answer",
                                        "T3: answer closed"};
    ox_err err = {0};
    char path[600];
    if (argc < 2) {
        fprintf(stderr, "usage: store_bench FOLDER [SESSIONS]\n");
        return 2;
    }
    int n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1000;
    snprintf(path, sizeof path, "%s/oxbow.db", argv[1]);
    must(store_open(path, false, &st, &err), &err);
    struct store_model m = {.source = "folder", .name = "m", .weights = {1, 1}, .vocab = {2, 2}};
    must(store_model_use(st, &m, &err), &err);
    for (int i = 0; i < n; i++) {
        int64_t chat = 0, leaf = 0;
        char title[64];
        snprintf(title, sizeof title, "Session %d", i);
        must(store_chat_new(st, title, &chat, &err), &err);
        for (int t = 0; t < TURNS; t++)
            turn(chat, &leaf, (unsigned)(i * TURNS + t));
        store_chat_unlock(st, chat);
        if (i % 20 == 0) store_idle(st, NULL);
    }
    store_close(st);
    printf("| %d sessions of %d turns | mean / longest |\n|---|---|\n", n, TURNS);
    for (int k = 0; k < 3; k++)
        printf("| %s | %.2f / %.1f ms |\n", names[k], sum[k] / (double)calls[k] * 1e3,
               worst[k] * 1e3);
    printf("| size of oxbow.db, for 1,000 turns | %.1f MiB, %.2f MiB |\n", file_mib(path),
           file_mib(path) / (n * TURNS) * 1000);
    look_around(path);
    read_in();
    store_close(st);
    return 0;
}
