/* tui_bench.c - how fast the interface is, measured at the terminal: a pseudo-terminal around the
 * real program, a clock on each side. Prints numbers; never a pass or fail (docs/PERF.md).
 *
 *   tui_bench PROGRAM [ARGS..]     start to first paint, idle CPU, key to paint idle and while it
 * answers tui_bench --turns N DB         makes a session of N turns in DB, for `PROGRAM --db DB -c`
 */
#define _GNU_SOURCE /* memmem */
#include "app/store/store.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KEYS = 400 };

static double clock_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct seat {
    int fd;
    pid_t pid;
    char tail[1 << 16];
    size_t n;
};

/* Reads until `text` was written by the program or `limit` seconds passed; the time it took, or -1.
 */
static double wait_text(struct seat *s, const char *text, double limit) {
    double from = clock_s();
    s->n = 0;
    for (;;) {
        double left = limit - (clock_s() - from);
        if (left <= 0) return -1;
        if (poll(&(struct pollfd){s->fd, POLLIN, 0}, 1, (int)(left * 1000) + 1) <= 0) continue;
        if (s->n > sizeof s->tail / 2) { /* keep the end: the text may be cut in two */
            memmove(s->tail, s->tail + s->n - 64, 64);
            s->n = 64;
        }
        ssize_t n = read(s->fd, s->tail + s->n, sizeof s->tail - s->n - 1);
        if (n <= 0) return -1;
        s->n += (size_t)n;
        s->tail[s->n] = 0;
        if (memmem(s->tail, s->n, text, strlen(text))) return clock_s() - from;
    }
}

static void drain(struct seat *s, double seconds) {
    wait_text(s, "\x01never", seconds);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Types letters that no answer contains and waits until each is on the screen. */
static void key_to_paint(struct seat *s, const char *name) {
    static double took[KEYS];
    size_t n = 0, lost = 0;
    for (int i = 0; i < KEYS; i++) {
        char letter[3] = {(char)0xCE, (char)(0xB1 + i % 14), 0}; /* Greek */
        if (write(s->fd, letter, 2) != 2) return;
        double t = wait_text(s, letter, 1);
        if (t < 0)
            lost++;
        else
            took[n++] = t * 1000;
        drain(s, 0.011 + 0.0001 * (i % 37));
        if (i % 60 == 59 && write(s->fd, "\x15", 1) == 1) drain(s, 0.02);
    }
    if (n == 0) return;
    qsort(took, n, sizeof *took, by_size);
    printf(
        "key to paint, %-10s p50 %6.2f ms  p95 %6.2f  p99 %6.2f  max %6.2f  (%zu keys, %zu lost)\n",
        name, took[n / 2], took[n * 95 / 100], took[n * 99 / 100], took[n - 1], n, lost);
    if (write(s->fd, "\x15", 1) == 1) drain(s, 0.05);
}

static double cpu_of(pid_t pid) {
    char path[64], line[1024];
    unsigned long long user = 0, sys = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (f && fgets(line, sizeof line, f)) {
        const char *p = strrchr(line, ')');
        if (p) sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &sys);
    }
    if (f) fclose(f);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static long rss_kb(pid_t pid) {
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "RssAnon: %ld", &kb);
    if (f) fclose(f);
    return kb;
}

static int measure(char **argv) {
    struct seat s = {.fd = -1};
    struct winsize size = {.ws_row = 40, .ws_col = 120};
    double from = clock_s();
    s.pid = forkpty(&s.fd, NULL, NULL, &size);
    if (s.pid == 0) {
        setenv("TERM", "xterm-256color", 1);
        setenv("LC_ALL", "C.UTF-8", 1);
        execv(argv[0], argv);
        _exit(127);
    }
    if (wait_text(&s, "\033[?2026l", 5) < 0) return 1;
    printf("start to first paint     %6.1f ms\n", (clock_s() - from) * 1000);
    drain(&s, 4); /* the model is loaded */
    printf("memory of its own        %6.1f MiB (anonymous, model loaded)\n",
           (double)rss_kb(s.pid) / 1024);
    double cpu = cpu_of(s.pid);
    drain(&s, 5);
    printf("idle CPU over 5 s        %6.2f s\n", cpu_of(s.pid) - cpu);
    key_to_paint(&s, "idle");
    double scroll = clock_s();
    for (int i = 0; i < 100; i++) {
        if (write(s.fd, "\033[5~", 4) != 4) break;
        drain(&s, 0.002);
    }
    printf("100 pages up             %6.1f ms a page\n", (clock_s() - scroll) * 10 - 2);
    const char ask[] = "Write a long story about a lighthouse keeper and the sea.\r";
    if (write(s.fd, ask, sizeof ask - 1) > 0) drain(&s, 1.5);
    key_to_paint(&s, "answering");
    kill(s.pid, SIGKILL);
    waitpid(s.pid, NULL, 0);
    return 0;
}

static int make_session(const char *turns, const char *db) {
    store *st = NULL;
    ox_err err = {0};
    int64_t chat = 0, parent = 0;
    long n = strtol(turns, NULL, 10);
    int rc = store_open(db, false, &st, &err);
    if (!rc) rc = store_chat_new(st, "A long session", &chat, &err);
    if (!rc) rc = store_chat_lock(st, chat, &err);
    if (!rc) rc = store_begin(st, &err);
    for (long i = 0; i < 2 * n && !rc; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 i % 2 ? "Answer %ld: a paragraph of **words**, a list:\n\n- one\n- two\n\nand an "
                         "end of some length, so that rows are wrapped."
                       : "Question %ld, with a few words?",
                 i / 2);
        struct chat_node row = {.parent = parent,
                                .role = i % 2 ? OX_ROLE_ASSISTANT : OX_ROLE_USER,
                                .end = CHAT_DONE,
                                .text = text,
                                .n_bytes = strlen(text)};
        rc = store_msg_add(st, chat, &row, &parent, &err);
    }
    if (st) rc = store_end(st, rc, &err);
    store_close(st);
    if (rc) fprintf(stderr, "%s\n", err.what);
    return rc != 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--turns") == 0) return make_session(argv[2], argv[3]);
    if (argc < 2) {
        fprintf(stderr, "tui_bench PROGRAM [ARGS..] | --turns N DB\n");
        return 2;
    }
    return measure(argv + 1);
}
