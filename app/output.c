/* output.c - see output.h. */
#include "app/output.h"

#include "app/core/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_beside(struct output *o, const struct output_opts *opts, ox_err *err) {
    struct stat st;
    bool exists = stat(opts->path, &st) == 0, is_file = exists && S_ISREG(st.st_mode);
    if (is_file && !opts->force) {
        ox_err_set(err, OX_EUSAGE, "%s exists", opts->path);
        return ox_err_fix(err, "--force overwrites it");
    }
    if (exists && S_ISDIR(st.st_mode)) {
        ox_err_set(err, OX_EUSAGE, "%s is a folder", opts->path);
        return ox_err_fix(err, "name a file in it");
    }
    int rc = buf_puts(&o->path, opts->path, err);
    if (rc) return rc;
    if (exists && !is_file)
        o->fd = open(opts->path, O_WRONLY | O_CLOEXEC); /* /dev/null, a pipe */
    else {
        rc = buf_printf(&o->temporary, err, "%s.%ld.part", opts->path, (long)getpid());
        if (rc) return rc;
        o->fd = open(buf_str(&o->temporary), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (o->fd >= 0) return 0;
    buf_deinit(&o->temporary);
    ox_err_set(err, OX_EIO, "cannot write %s: %s", opts->path, strerror(errno));
    return ox_err_fix(err, "check the folder and who may write there");
}

int output_open(const struct output_opts *opts, struct output *out, ox_err *err) {
    struct output o = {.fd = STDOUT_FILENO, .raw = opts->raw};
    int rc = opts->path ? open_beside(&o, opts, err) : 0;
    o.is_terminal = !rc && isatty(o.fd);
    if (!rc && o.raw && o.is_terminal) {
        ox_err_set(err, OX_EUSAGE,
                   "--raw is refused on a terminal: the model's bytes could drive it");
        rc = ox_err_fix(err, "send it to a file or a pipe, or leave --raw out");
    }
    if (rc) {
        output_close(&o, false, NULL);
        return rc;
    }
    *out = o;
    return 0;
}

int output_bytes(struct output *o, const char *s, size_t n, ox_err *err) {
    if (n) o->last = s[n - 1];
    while (n) {
        ssize_t k = write(o->fd, s, n);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = o->fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (k < 0 && errno == EPIPE) {
            o->is_closed = true;
            if (err) *err = (ox_err){.code = OX_ECANCELLED};
            return OX_ECANCELLED;
        }
        if (k < 0) {
            ox_err_set(err, OX_EIO, "cannot write %s: %s", o->path.n ? buf_str(&o->path) : "stdout",
                       strerror(errno));
            return ox_err_fix(err,
                              errno == ENOSPC ? "free some space" : "check where the output goes");
        }
        s += k;
        n -= (size_t)k;
    }
    return 0;
}

int output_text(struct output *o, const char *s, size_t n, ox_err *err) {
    if (o->raw) return output_bytes(o, s, n, err);
    struct buf b = {0};
    int rc = text_show(&b, s, n, TEXT_LINES, err);
    if (!rc) rc = output_bytes(o, buf_str(&b), b.n, err);
    buf_deinit(&b);
    return rc;
}

int output_end_line(struct output *o, ox_err *err) {
    return o->last && o->last != '\n' ? output_bytes(o, "\n", 1, err) : 0;
}

int output_close(struct output *o, bool keep, ox_err *err) {
    int rc = 0;
    bool is_file = o->path.n > 0;
    if (is_file && o->fd >= 0) {
        if (close(o->fd) && keep)
            rc = ox_err_set(err, OX_EIO, "cannot write %s: %s", buf_str(&o->path), strerror(errno));
        if (o->temporary.n && !rc && keep && rename(buf_str(&o->temporary), buf_str(&o->path)))
            rc = ox_err_set(err, OX_EIO, "cannot write %s: %s", buf_str(&o->path), strerror(errno));
        if (o->temporary.n && (rc || !keep)) unlink(buf_str(&o->temporary));
    }
    buf_deinit(&o->path);
    buf_deinit(&o->temporary);
    o->fd = -1;
    return rc;
}
