/* term.c - see term.h. */
#include "app/ui/term.h"

#include "app/ui/paint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <ncurses.h>
#include <term.h>

enum { READ_BYTES = 64 << 10, CODE_BYTES = 64, COPY_MAX_BYTES = 1 << 20 };

struct term_io {
    int fd;
    bool has_mouse;
    struct paint paint;
    struct buf out; /* kept between frames: a frame allocates nothing */
};

/* What a signal handler needs to give the terminal back; the one mutable global of the interface.
 */
static struct {
    volatile bool is_taken;
    int fd;
    struct termios before;
    char leave[CODE_BYTES * 4];
    size_t n_leave;
} given;

static void write_all(int fd, const char *s, size_t n) {
    while (n > 0) {
        ssize_t k = write(fd, s, n);
        if (k > 0)
            s += k, n -= (size_t)k;
        else if (k < 0 && errno == EAGAIN)
            poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 1000);
        else if (k < 0 && errno != EINTR)
            return;
    }
}

void term_restore(void) {
    if (!given.is_taken) return;
    given.is_taken = false;
    write_all(given.fd, given.leave, given.n_leave);
    tcsetattr(given.fd, TCSADRAIN, &given.before);
}

/* A capability without parameters; "" if the terminal has none. Padding ($<5>) is not sent. */
static const char *code(const char *name, char out[CODE_BYTES]) {
    const char *s = tigetstr((char *)name);
    size_t n = 0;
    out[0] = 0;
    if (!s || s == (const char *)-1) return out;
    for (; *s && n + 1 < CODE_BYTES; s++) {
        if (s[0] == '$' && s[1] == '<') {
            const char *end = strchr(s, '>');
            if (!end) break;
            s = end;
        } else {
            out[n++] = *s;
        }
    }
    out[n] = 0;
    return out;
}

static void enter(term *t) {
    char ca[CODE_BYTES], kx[CODE_BYTES];
    struct termios raw = given.before;
    raw.c_iflag &= (tcflag_t) ~(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    raw.c_lflag &= (tcflag_t) ~(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_oflag &= (tcflag_t)~OPOST;
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    given.is_taken = true; /* first: a signal from here on gives it back */
    tcsetattr(t->fd, TCSADRAIN, &raw);
    struct buf b = {0};
    buf_puts(&b, code("smcup", ca), NULL);
    buf_puts(&b, code("smkx", kx), NULL);
    buf_puts(&b, "\033[?2004h", NULL); /* bracketed paste */
    if (t->has_mouse)
        buf_puts(&b, "\033[?1000h\033[?1002h\033[?1006h", NULL); /* press, drag, SGR form */
    write_all(t->fd, buf_str(&b), b.n);
    buf_deinit(&b);
    t->paint.is_valid = false;
}

/* Undoes whatever enter or paint switched on, in an order every terminal takes. */
static void prepare_leave(void) {
    char ca[CODE_BYTES], kx[CODE_BYTES], show[CODE_BYTES];
    int n = snprintf(given.leave, sizeof given.leave,
                     "\033[?1006l\033[?1002l\033[?1000l\033[?2004l\033[0m\033[?7h%s%s%s",
                     code("rmkx", kx), code("cnorm", show), code("rmcup", ca));
    given.n_leave = n > 0 && (size_t)n < sizeof given.leave ? (size_t)n : 0;
}

/* ui/paint.c writes ECMA-48 cursor addressing; this asks whether the terminal's own is the same. */
static int check_terminal(const struct term_opts *opts, int fd, ox_err *err) {
    int status = 0;
    char cup[CODE_BYTES];
    if (!isatty(fd)) return ox_err_set(err, OX_EFAIL, "not a terminal");
    if (setupterm(opts->name, fd, &status) != OK) {
        ox_err_set(err, OX_EFAIL, "terminfo does not know the terminal \"%.40s\"",
                   opts->name ? opts->name : "");
        return ox_err_fix(err, "TERM=xterm-256color fits most terminals");
    }
    if (strncmp(code("cup", cup), "\033[%i%p1%d;%p2%dH", 16) != 0)
        return ox_err_set(err, OX_EFAIL, "the terminal \"%.40s\" has no cursor addressing",
                          opts->name);
    return 0;
}

int term_open(const struct term_opts *opts, int fd, term **out, ox_err *err) {
    int rc = check_terminal(opts, fd, err);
    if (rc) return rc;
    term *t = ox_alloc(1, sizeof *t, "terminal", err);
    if (!t) return OX_ENOMEM;
    if (tcgetattr(fd, &given.before)) {
        ox_free(t);
        return ox_err_set(err, OX_EIO, "cannot read the terminal's modes: %s", strerror(errno));
    }
    int colours = tigetnum("colors");
    t->fd = given.fd = fd;
    t->has_mouse = !opts->no_mouse;
    t->paint = (struct paint){
        .theme = opts->theme, .n_colours = opts->no_color ? 0 : colours, .is_utf8 = opts->is_utf8};
    prepare_leave();
    enter(t);
    *out = t;
    return 0;
}

void term_close(term *t) {
    if (!t) return;
    term_restore();
    paint_deinit(&t->paint);
    buf_deinit(&t->out);
    ox_free(t);
}

int term_fd(const term *t) {
    return t->fd;
}

void term_size(const term *t, int *w, int *h) {
    struct winsize ws = {0};
    bool known = ioctl(t->fd, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 && ws.ws_row > 0;
    *w = known ? ws.ws_col : 80;
    *h = known ? ws.ws_row : 24;
}

void term_set_theme(term *t, enum theme_name theme) {
    t->paint.theme = theme;
    t->paint.is_valid = false;
}

int term_read(term *t, struct keys *keys, ox_err *err) {
    static char block[READ_BYTES]; /* UI thread only; too large for the stack of small systems */
    for (;;) {
        ssize_t n = read(t->fd, block, sizeof block); /* VMIN 0: returns at once */
        if (n > 0) {
            int rc = keys_feed(keys, block, (size_t)n, err);
            if (rc) return rc;
            if ((size_t)n < sizeof block && !poll(&(struct pollfd){t->fd, POLLIN, 0}, 1, 0))
                return 0;
            continue;
        }
        if (n == 0) {
            struct pollfd p = {t->fd, POLLIN, 0};
            bool gone = poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
            return gone ? ox_err_set(err, OX_EIO, "the terminal is gone") : 0;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return 0;
        return ox_err_set(err, OX_EIO, "cannot read the terminal: %s", strerror(errno));
    }
}

int term_draw(term *t, const struct frame *f, ox_err *err) {
    buf_cut(&t->out, 0);
    int rc = paint_frame(&t->paint, f, &t->out, err);
    if (!rc && t->out.n > 0) write_all(t->fd, t->out.p, t->out.n);
    return rc;
}

/* Base64 of RFC 4648. */
static int add_base64(struct buf *out, const unsigned char *s, size_t n, ox_err *err) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i += 3) {
        unsigned v = (unsigned)s[i] << 16 | (i + 1 < n ? (unsigned)s[i + 1] << 8 : 0) |
                     (i + 2 < n ? s[i + 2] : 0U);
        char four[4] = {digit[v >> 18], digit[v >> 12 & 63], i + 1 < n ? digit[v >> 6 & 63] : '=',
                        i + 2 < n ? digit[v & 63] : '='};
        rc = buf_add(out, four, sizeof four, err);
    }
    return rc;
}

int term_copy(term *t, const char *s, size_t n, ox_err *err) {
    struct buf b = {0};
    if (n > COPY_MAX_BYTES)
        return ox_err_set(err, OX_EFIT, "%zu KB are too long for the clipboard", n >> 10);
    int rc = buf_puts(&b, "\033]52;c;", err);
    if (!rc) rc = add_base64(&b, (const unsigned char *)s, n, err);
    if (!rc) rc = buf_puts(&b, "\033\\", err);
    if (!rc) write_all(t->fd, b.p, b.n);
    buf_deinit(&b);
    return rc;
}

void term_bell(term *t) {
    write_all(t->fd, "\a", 1);
}

void term_pause(term *t) {
    (void)t;
    term_restore();
}

void term_resume(term *t) {
    if (!given.is_taken)
        tcgetattr(t->fd, &given.before); /* the shell may have changed them meanwhile */
    enter(t);
}
