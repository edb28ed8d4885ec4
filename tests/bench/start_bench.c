/* start_bench.c - how soon a saved conversation stands on the screen: `oxbow chat --plain -c` on
 * the database that store_bench makes, from fork(2) to the first byte of the transcript, and to the
 * line that says the model is loaded.
 *
 *   start_bench PROGRAM FOLDER [RUNS]      FOLDER has the oxbow.db of store_bench; default: 20 runs
 *
 * Prints a Markdown table for docs/PERF.md. Goal: 50 ms, before a weight is read. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_RUNS = 1000, LONGEST_MS = 60000 };

static void die(const char *what) {
    fprintf(stderr, "start_bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static pid_t start(const char *program, const char *folder, int *in, int *out, int *err) {
    int a[2], b[2], c[2];
    char db[600];
    if (pipe(a) || pipe(b) || pipe(c)) die("pipe");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        dup2(a[0], 0);
        dup2(b[1], 1);
        dup2(c[1], 2);
        for (int i = 0; i < 2; i++)
            close(a[i]), close(b[i]), close(c[i]);
        snprintf(db, sizeof db, "%s/oxbow.db", folder);
        setenv("HOME", folder, 1);
        execl(program, program, "chat", "--plain", "-c", "--db", db, (char *)NULL);
        _exit(127);
    }
    close(a[0]), close(b[1]), close(c[1]);
    *in = a[1];
    *out = b[0];
    *err = c[0];
    return child;
}

/* Seconds to the first byte of the transcript, and to the greeting of the loaded model. */
static void run_once(const char *program, const char *folder, double *first, double *ready) {
    static char text[1 << 16];
    size_t n = 0;
    int in, out, err, status;
    double from = now();
    pid_t child = start(program, folder, &in, &out, &err);
    *first = *ready = 0;
    while (*first == 0 || *ready == 0) {
        struct pollfd p[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
        if (poll(p, 2, LONGEST_MS) <= 0) die("nothing came");
        double at = now() - from;
        if (p[0].revents) {
            ssize_t got = read(out, text + sizeof text / 2, sizeof text / 2);
            if (got <= 0) break;
            if (*first == 0) *first = at;
        }
        if (p[1].revents) {
            ssize_t got = read(err, text + n, sizeof text / 2 - n - 1);
            if (got <= 0) break;
            text[n += (size_t)got] = 0;
            if (strstr(text, "/help lists commands")) *ready = at;
        }
    }
    close(in);
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    close(out);
    close(err);
    if (*first == 0 || *ready == 0) {
        fprintf(stderr, "start_bench: the program ended early: %s\n", text);
        exit(1);
    }
}

static int by_value(const void *pa, const void *pb) {
    double a = *(const double *)pa, b = *(const double *)pb;
    return a < b ? -1 : a > b;
}

static void say(const char *what, double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, by_value);
    printf("| %s | %.1f | %.1f | %.1f |\n", what, v[0] * 1e3, v[n / 2] * 1e3, v[n - 1] * 1e3);
}

int main(int argc, char **argv) {
    static double first[MOST_RUNS], ready[MOST_RUNS];
    int n = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 20;
    if (argc < 3 || n < 1 || n > MOST_RUNS) {
        fprintf(stderr, "usage: start_bench PROGRAM FOLDER [RUNS]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < n; i++)
        run_once(argv[1], argv[2], &first[i], &ready[i]);
    printf("| `chat --plain -c`, %d starts, ms | best | median | worst |\n|---|---|---|---|\n", n);
    say("first byte of the transcript", first, n);
    say("model loaded", ready, n);
    return 0;
}
