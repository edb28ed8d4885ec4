/* child.c - see child.h. */
#include "app/child.h"

#include "app/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { NOT_FOUND = 127 }; /* exit status of a child whose program could not be started */

static void limit(int what, rlim_t n) {
    struct rlimit r = {n, n};
    setrlimit(what, &r);
}

/* Held from a pipe to the fork it is for: a child that another thread forks in between would have
 * the ends too, and neither side would see the other one's end. */
static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;

/* A child with a pipe between it and us; 0 in the child, < 0: no pipe or no child, and err says so.
 * A group of its own, for kill(-pid). Both sides make it, whoever comes first: a parent that stops
 * the child at once would find no such group, and then wait for a child that nobody told. */
static pid_t fork_piped(const char *name, int ends[2], ox_err *err) {
    pid_t pid = -1;
    pthread_mutex_lock(&forking);
    if (pipe(ends)) {
        ox_err_set(err, OX_EIO, "cannot make a pipe: %s", strerror(errno));
    } else {
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        pid = fork();
        if (pid < 0) {
            ox_err_set(err, OX_EFAIL, "cannot start %s: %s", name, strerror(errno));
            close(ends[0]);
            close(ends[1]);
        }
    }
    if (pid) pthread_mutex_unlock(&forking);
    if (pid >= 0) setpgid(pid, pid);
    return pid;
}

/* In the child, between fork and exec: async-signal-safe calls only. */
static void become(const char *const *argv, const struct child_limits *l, int out) {
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LC_ALL=C.UTF-8";
    char *env[] = {path, lang, NULL};
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(out, 1);
    dup2(null, 2);
    if (l->cpu_s) limit(RLIMIT_CPU, l->cpu_s);
    if (l->memory_bytes) limit(RLIMIT_AS, l->memory_bytes);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0); /* it writes to the pipe and nowhere else */
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    environ = env;
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(NOT_FOUND);
}

/* Reads to the end, a limit, or a stop. */
static int drain(int fd, int stop_fd, const struct child_limits *l, struct buf *out, ox_err *err) {
    double end = l->wall_s ? clock_s() + l->wall_s : 0;
    size_t start = out->n;
    for (;;) {
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        int ms = end > 0 ? (int)((end - clock_s()) * 1000) : -1;
        if (end > 0 && ms <= 0)
            return ox_err_set(err, OX_EFORMAT, "took longer than %u s", l->wall_s);
        int k = poll(p, 2, ms);
        if (k < 0 && errno != EINTR) return ox_err_set(err, OX_EIO, "poll: %s", strerror(errno));
        if (k <= 0) continue;
        if (p[1].revents) return ox_err_set(err, OX_ECANCELLED, "stopped");
        int rc = buf_room(out, 65536, err);
        if (rc) return rc;
        ssize_t n = read(fd, out->p + out->n, 65536);
        if (n == 0) return 0;
        if (n > 0) buf_grown(out, (size_t)n);
        if (l->output_bytes && out->n - start > l->output_bytes)
            return ox_err_set(err, OX_EFIT, "gives more than %zu MiB of text",
                              l->output_bytes >> 20);
    }
}

static int judge(int status, const char *name, ox_err *err) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
        return ox_err_set(err, OX_ENOTFOUND, "%s is not installed", name);
    if (WIFSIGNALED(status))
        return ox_err_set(err, OX_EFORMAT, "%s was ended by signal %d%s", name, WTERMSIG(status),
                          WTERMSIG(status) == SIGXCPU ? " (its time limit)" : "");
    return ox_err_set(err, OX_EFORMAT, "%s failed with status %d", name, WEXITSTATUS(status));
}

int child_capture(const char *const *argv, const struct child_limits *limits, int stop_fd,
                  struct buf *out, ox_err *err) {
    int ends[2], status = 0;
    size_t start = out->n;
    pid_t pid = fork_piped(argv[0], ends, err);
    if (pid < 0) return err ? err->code : OX_EFAIL;
    if (pid == 0) become(argv, limits, ends[1]);
    close(ends[1]);
    int rc = drain(ends[0], stop_fd, limits, out, err);
    close(ends[0]);
    if (rc) kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-pid, SIGKILL); /* helpers it may have left */
    if (!rc) rc = judge(status, argv[0], err);
    if (rc) buf_cut(out, start);
    return rc ? ox_err_wrap(err, rc, argv[0]) : 0;
}

/* In the child. */
static void become_fed(const char *const *argv, const char *const *env, int in) {
    int null = open("/dev/null", O_RDWR);
    dup2(in, 0);
    dup2(null, 1);
    dup2(null, 2);
    limit(RLIMIT_CORE, 0);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    environ = (char **)(uintptr_t)env;
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(NOT_FOUND);
}

/* All bytes, until `end`; false: the program does not take them. SIGPIPE is ignored meanwhile: a
 * program that is not there closes the pipe. */
static bool feed(int fd, const char *s, size_t n, double end) {
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    bool ok = true;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    sigaction(SIGPIPE, &ignore, &before);
    while (ok && n > 0) {
        ssize_t k = write(fd, s, n);
        if (k > 0)
            s += k, n -= (size_t)k;
        else if (k < 0 && errno == EAGAIN)
            ok =
                clock_s() < end && poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 100) >= 0;
        else
            ok = k < 0 && errno == EINTR;
    }
    sigaction(SIGPIPE, &before, NULL);
    return ok;
}

int child_feed(const char *const *argv, const char *const *env, const char *s, size_t n,
               ox_err *err) {
    enum { WALL_S = 3 };
    int ends[2], status = 0;
    double end = clock_s() + WALL_S;
    pid_t pid = fork_piped(argv[0], ends, err);
    if (pid < 0) return err ? err->code : OX_EFAIL;
    if (pid == 0) become_fed(argv, env, ends[0]);
    close(ends[0]);
    bool fed = feed(ends[1], s, n, end);
    close(ends[1]);
    pid_t done;
    while ((done = waitpid(pid, &status, WNOHANG)) == 0 && clock_s() < end)
        poll(NULL, 0, 5);
    if (done == pid) {
        int rc = judge(status, argv[0], err);
        return rc || fed ? rc : ox_err_set(err, OX_EFORMAT, "%s did not take the text", argv[0]);
    }
    kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return ox_err_set(err, OX_EFORMAT, "%s took longer than %d s", argv[0], WALL_S);
}

/* Ctrl-C and Ctrl-\ strike everybody in the foreground. To an editor they are keys, and it alone is
 * meant: the caller must not take them for its own end. Ctrl-Z stops both, or the shell would wait
 * for a caller that waits for an editor that is stopped. */
int child_wait(const char *const *argv, ox_err *err) {
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    struct sigaction interrupt, quit, stop;
    int status = 0;
    sigaction(SIGINT, &ignore, &interrupt);
    sigaction(SIGQUIT, &ignore, &quit);
    sigaction(SIGTSTP, &usual, &stop);
    pthread_mutex_lock(&forking);
    pid_t pid = fork();
    if (pid) pthread_mutex_unlock(&forking);
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGQUIT, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(NOT_FOUND);
    }
    int rc =
        pid < 0 ? ox_err_set(err, OX_EFAIL, "cannot start %s: %s", argv[0], strerror(errno)) : 0;
    while (!rc && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGQUIT, &quit, NULL);
    sigaction(SIGTSTP, &stop, NULL);
    if (!rc) rc = judge(status, argv[0], err);
    return rc == OX_EFORMAT ? OX_EFAIL : rc;
}
