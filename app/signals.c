/* signals.c - see signals.h. Apart, because handlers are the only code that may interrupt any
 * other. */
#include "app/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static struct signals_opts hooks;
static int ends[2] = {-1, -1}; /* read, write */
static volatile sig_atomic_t n_waiting_interrupts;

static void die_of(int signo) {
    signal(signo, SIG_DFL);
    raise(signo);
}

static void handle(int signo) {
    int saved = errno;
    if (signo == SIGINT) {
        if (hooks.twice_kills && n_waiting_interrupts > 0) {
            if (hooks.restore) hooks.restore();
            die_of(signo); /* blocked here, so it strikes on return */
            return;
        }
        n_waiting_interrupts = 1;
        if (hooks.interrupt) hooks.interrupt(hooks.user);
    }
    unsigned char byte = (unsigned char)signo;
    ssize_t n = write(ends[1], &byte, 1); /* a full pipe: enough wake-ups wait already */
    (void)n;
    errno = saved;
}

static void handle_fatal(int signo) {
    if (hooks.restore) hooks.restore();
    die_of(signo);
}

static int set(int signo, void (*action)(int), ox_err *err) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = action;
    sa.sa_flags = SA_RESTART;
    sigemptyset(&sa.sa_mask);
    if (sigaction(signo, &sa, NULL) == 0) return 0;
    return ox_err_set(err, OX_EFAIL, "cannot handle signal %d: %s", signo, strerror(errno));
}

static int open_pipe(ox_err *err) {
    if (ends[0] >= 0) return 0;
    if (pipe(ends)) return ox_err_set(err, OX_EIO, "cannot make a pipe: %s", strerror(errno));
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

int signals_open(const struct signals_opts *opts, ox_err *err) {
    static const int watched[] = {SIGINT, SIGTERM, SIGHUP};
    static const int sized[] = {SIGWINCH, SIGTSTP, SIGCONT};
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT};
    int rc = open_pipe(err);
    if (rc) return rc;
    hooks = *opts;
    n_waiting_interrupts = 0;
    for (size_t i = 0; !rc && i < sizeof watched / sizeof watched[0]; i++)
        rc = set(watched[i], handle, err);
    for (size_t i = 0; !rc && opts->watch_size && i < sizeof sized / sizeof sized[0]; i++)
        rc = set(sized[i], handle, err);
    for (size_t i = 0; !rc && opts->restore && i < sizeof fatal / sizeof fatal[0]; i++)
        rc = set(fatal[i], handle_fatal, err);
    return rc ? rc : set(SIGPIPE, SIG_IGN, err);
}

int signals_fd(void) {
    return ends[0];
}

int signals_next(void) {
    unsigned char byte;
    if (ends[0] < 0 || read(ends[0], &byte, 1) != 1) return 0;
    if (byte == SIGINT) n_waiting_interrupts = 0; /* seen: the next one is a first one again */
    return byte;
}

void signals_close(void) {
    static const int all[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP, SIGCONT, SIGSEGV,
                              SIGBUS, SIGFPE,  SIGILL, SIGABRT,  SIGQUIT, SIGPIPE};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        signal(all[i], SIG_DFL);
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) close(ends[i]);
        ends[i] = -1;
    }
    hooks = (struct signals_opts){0};
}
