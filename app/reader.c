/* reader.c - see reader.h. A thread a document: it lives as long as the file takes, two pipes say
 * "stop" to it and "done" to its owner's poll; joining it orders the memory of both. */
#include "app/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
    pthread_t thread;
    int stop[2], done[2]; /* read, write; a byte each */
    char *spec;
    bool is_stopped; /* the owner's */
    /* the thread's until it is joined */
    struct ingest in;
    cite_index *index;
    int rc;
    ox_err err;
};

/* ---- the thread ---------------------------------------------------------------------------------
 */

/* What else is read by the program itself would lose keys to this thread. */
static int refuse_terminal(const char *spec, ox_err *err) {
    struct stat st;
    bool is_taken = strcmp(spec, "-") == 0;
    if (!is_taken && stat(spec, &st) == 0 && S_ISCHR(st.st_mode)) {
        int fd = open(spec, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        is_taken = fd >= 0 && isatty(fd);
        if (fd >= 0) close(fd);
    }
    if (!is_taken) return 0;
    ox_err_set(err, OX_EUSAGE, "%s is a terminal, or was read at the start", spec);
    return ox_err_fix(err, "name a file; ./- is one called -");
}

static bool is_told(const struct reader *r) {
    return poll(&(struct pollfd){.fd = r->stop[0], .events = POLLIN}, 1, 0) > 0;
}

static void *run(void *arg) {
    struct reader *r = arg;
    const struct ingest_opts opts = {.stop_fd = r->stop[0]};
    r->rc = refuse_terminal(r->spec, &r->err);
    if (!r->rc) r->rc = ingest_open(r->spec, &opts, &r->in, &r->err);
    if (!r->rc && !is_told(r)) /* in 50 MB it takes as long as the rest */
        r->rc = cite_index_new(buf_str(&r->in.text), r->in.text.n, &r->index, &r->err);
    ssize_t n = write(r->done[1], "d", 1);
    (void)n; /* the pipe is empty, so it has room */
    return NULL;
}

/* ---- the owner ----------------------------------------------------------------------------------
 */

static int open_pipe(int ends[2], ox_err *err) {
    if (pipe(ends)) {
        ends[0] = ends[1] = -1;
        return ox_err_set(err, OX_EIO, "cannot make a pipe: %s", strerror(errno));
    }
    for (int i = 0; i < 2; i++)
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    return 0;
}

/* Signals stay with the main thread. */
static int start_thread(struct reader *r, ox_err *err) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&r->thread, NULL, run, r);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc ? ox_err_set(err, OX_EFAIL, "cannot start a thread: %s", strerror(rc)) : 0;
}

static void free_reader(struct reader *r) {
    for (int i = 0; i < 2; i++) {
        if (r->stop[i] >= 0) close(r->stop[i]);
        if (r->done[i] >= 0) close(r->done[i]);
    }
    cite_index_free(r->index);
    ingest_deinit(&r->in);
    ox_free(r->spec);
    ox_free(r);
}

int reader_start(const char *spec, reader **out, ox_err *err) {
    struct reader *r = ox_alloc(1, sizeof *r, "the reader of a file", err);
    if (!r) return OX_ENOMEM;
    r->stop[0] = r->stop[1] = r->done[0] = r->done[1] = -1;
    r->spec = ox_strdup(spec, "the name of a file", err);
    int rc = r->spec ? open_pipe(r->stop, err) : OX_ENOMEM;
    if (!rc) rc = open_pipe(r->done, err);
    if (!rc) rc = start_thread(r, err);
    if (rc)
        free_reader(r);
    else
        *out = r;
    return rc;
}

int reader_fd(const reader *r) {
    return r->done[0];
}

void reader_stop(reader *r) {
    if (r->is_stopped) return;
    r->is_stopped = true;
    ssize_t n = write(r->stop[1], "s", 1);
    (void)n; /* the pipe is empty, so it has room */
}

int reader_finish(reader *r, struct ingest *in, cite_index **index, ox_err *err) {
    pthread_join(r->thread, NULL);
    int rc = r->rc;
    if (!rc && r->is_stopped) /* it came when all had been read already */
        rc = ox_err_set(&r->err, OX_ECANCELLED, "stopped while reading %s", buf_str(&r->in.name));
    if (rc && err) *err = r->err;
    if (!rc && in) {
        *in = r->in;
        *index = r->index;
        r->in = (struct ingest){0};
        r->index = NULL;
    }
    free_reader(r);
    return rc;
}
