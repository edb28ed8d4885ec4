/* resume.c - what a saved session costs and gives, on the real engine: reading a prefix for the
 * first time, saving a turn, and going on from saved state with a warm and a cold file cache.
 *
 *   resume [-m FOLDER] [-b BACKEND] [-d CACHE_FOLDER] [TOKENS ...]      default: 4096
 *
 * Prints a Markdown table for docs/PERF.md; nothing passes or fails, but a resume that computes
 * more than it should is said. Cold: the pages of the state files are given up with
 * POSIX_FADV_DONTNEED. "read ahead": given up, then read by states_ahead for 0.75 s, as for a row
 * of the list that is looked at for a second. "disk" is the rate of reading the same files cold,
 * one after the other, without doing anything with them. */
#include "app/store/states.h"
#include "engine/ox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { N_DECODED = 32 };
static const char DB_UID[] = "00000000000000db", CHAT_UID[] = "00000000000000aa";

struct bench {
    ox_engine *engine;
    states *cache;
    char folder[512];
    struct ox_tokens text;
};

static void die(const char *what, const ox_err *err) {
    fprintf(stderr, "resume: %s: %s (%s)\n", what, err->what, err->where);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void each_file(const char *path, void (*each)(const char *file, void *user), void *user) {
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char name[1024];
        struct stat st;
        if (e->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%.200s", path, e->d_name);
        if (stat(name, &st)) continue;
        if (S_ISDIR(st.st_mode))
            each_file(name, each, user);
        else
            each(name, user);
    }
    if (dir) closedir(dir);
}

static void forget(const char *file, void *user) {
    (void)user;
    int fd = open(file, O_RDONLY);
    if (fd < 0) return;
    fdatasync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void read_through(const char *file, void *user) {
    static char buf[1 << 22];
    uint64_t *sum = user;
    int fd = open(file, O_RDONLY);
    for (ssize_t n; fd >= 0 && (n = read(fd, buf, sizeof buf)) > 0;)
        *sum += (uint64_t)n;
    if (fd >= 0) close(fd);
}

static double disk_rate(struct bench *b) {
    char path[600];
    uint64_t bytes = 0;
    snprintf(path, sizeof path, "%s/states", b->folder);
    each_file(path, forget, NULL);
    double from = now();
    each_file(path, read_through, &bytes);
    return (double)bytes / (1 << 20) / (now() - from);
}

static double sync_once(struct bench *b, size_t n, struct ox_plan *plan, ox_session **out) {
    ox_err err = {0};
    ox_session *s = NULL;
    struct ox_border end = {n, OX_WHY_DOCUMENT};
    struct ox_sync_opts opts = {.borders = &end, .n_borders = 1, .io = states_io(b->cache)};
    if (ox_session_open(b->engine, &s, &err)) die("open session", &err);
    double from = now();
    if (ox_session_sync(s, (struct ox_prefix){b->text.v, n}, &opts, plan, &err)) die("sync", &err);
    double took = now() - from;
    *out = s;
    return took;
}

static void measure(struct bench *b, size_t n) {
    ox_err err = {0};
    struct ox_plan plan = {0};
    struct ox_sampling greedy = {.top_p = 1, .repeat = 1};
    struct states_usage before, mid, after;
    ox_session *s = NULL;
    char path[600];
    states_usage(b->cache, &before, NULL);
    double cold_prefill = sync_once(b, n, &plan, &s);
    double from = now();
    states_flush(b->cache, NULL);
    double flush = now() - from;
    if (plan.fresh + plan.replay != n)
        printf("(%zu of %zu tokens came from an earlier run)\n", n - plan.fresh, n);
    states_usage(b->cache, &mid, NULL);
    int32_t tok;
    for (int i = 0; i < N_DECODED; i++)
        if (ox_session_next(s, &greedy, &tok, &err) || ox_is_stop(b->engine, tok)) break;
    from = now();
    if (ox_session_snapshot(s, OX_WHY_TURN, states_io(b->cache), &err))
        printf("(not saved: %s)\n", err.what);
    double saving = now() - from;
    states_flush(b->cache, NULL);
    double turn_flush = now() - from - saving;
    states_usage(b->cache, &after, NULL);
    ox_session_close(s);
    double warm = sync_once(b, n, &plan, &s);
    ox_session_close(s);
    struct ox_plan warm_plan = plan;
    snprintf(path, sizeof path, "%s/states", b->folder);
    double rate = disk_rate(b);
    each_file(path, forget, NULL);
    double cold = sync_once(b, n, &plan, &s);
    ox_session_close(s);
    each_file(path, forget, NULL);
    const struct states_want want = {DB_UID, CHAT_UID, 0, n};
    states_ahead(b->cache, &want, NULL);
    usleep(750000); /* of the second that a row is looked at, 0.25 s pass before anything is read */
    double ahead = sync_once(b, n, &plan, &s);
    ox_session_close(s);
    if (warm_plan.restored != n || plan.restored != n)
        printf("(restored %zu and %zu of %zu tokens)\n", warm_plan.restored, plan.restored, n);
    double mib = (double)plan.bytes / (1 << 20);
    printf("| %zu | %.1f s, %.0f tok/s | %.1f MiB, %.2f s behind | %.2f s | %.2f s, %.0f MiB/s | "
           "%.2f s | %.0f MiB/s | "
           "%.1f ms + %.0f ms behind, %.1f MiB |\n",
           n, cold_prefill, (double)n / cold_prefill,
           (double)(mid.bytes - before.bytes) / (1 << 20), flush, warm, cold, mib / cold, ahead,
           rate, saving * 1e3, turn_flush * 1e3, (double)(after.bytes - mid.bytes) / (1 << 20));
    fflush(stdout);
}

static void load_text(struct bench *b, size_t n) {
    ox_err err = {0};
    static char text[1 << 20];
    FILE *f = fopen(OXBOW_TEST_DIR "/data/candle.txt", "rb");
    size_t len = f ? fread(text, 1, sizeof text, f) : 0;
    if (f) fclose(f);
    if (!len) {
        fprintf(stderr, "resume: no text\n");
        exit(1);
    }
    while (b->text.n < n)
        if (ox_encode(b->engine, text, len, &b->text, &err)) die("encode", &err);
}

int main(int argc, char **argv) {
    ox_err err = {0};
    struct bench b = {0};
    struct ox_engine_opts opts = {0};
    int c;
    snprintf(b.folder, sizeof b.folder, "/tmp/oxbow-resume-%ld", (long)getpid());
    while ((c = getopt(argc, argv, "m:b:d:")) != -1) {
        if (c == 'm') opts.model_dir = optarg;
        if (c == 'b') opts.backend = optarg;
        if (c == 'd') snprintf(b.folder, sizeof b.folder, "%s", optarg);
        if (c == '?') return 2;
    }
    if (ox_engine_open(&opts, &b.engine, &err)) die("open engine", &err);
    const struct ox_info *info = ox_engine_info(b.engine);
    if (states_open(&(struct states_opts){.folder = b.folder, .quota_bytes = 1ull << 34}, &b.cache,
                    &err))
        die("open cache", &err);
    struct states_space space = {.compat = info->space,
                                 .weights = info->weights,
                                 .vocab = info->vocab,
                                 .backend = info->backend,
                                 .name = info->name,
                                 .numerics = info->numerics,
                                 .kv_type = "bf16",
                                 .n_linear = info->n_gdn_layers,
                                 .n_attn = info->n_attn_layers};
    if (states_use(b.cache, &space, &err)) die("use cache", &err);
    states_tip(b.cache, &(struct states_tip){.db_uid = DB_UID, .chat_uid = CHAT_UID});
    printf("%s on %s (%s)\n\n| tokens | first reading | saved | resume warm | resume cold | "
           "read ahead | disk | "
           "saving a turn of "
           "%d |\n|---|---|---|---|---|---|---|\n",
           info->name, info->backend, info->device, N_DECODED);
    for (int i = optind; i < (argc > optind ? argc : optind + 1); i++) {
        size_t n = argc > optind ? (size_t)strtoul(argv[i], NULL, 10) : 4096;
        load_text(&b, n);
        measure(&b, n);
    }
    ox_free(b.text.v);
    states_close(b.cache);
    ox_engine_close(b.engine);
    return 0;
}
