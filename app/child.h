/* child.h - a converter or editor as a child process: no shell, fixed arguments, limits, and nobody
 * left behind. docs/PRODUCT.md section 9. */
#ifndef CHILD_H
#define CHILD_H

#include "app/core/buf.h"

struct child_limits {
    unsigned cpu_s, wall_s; /* 0: none */
    size_t memory_bytes;    /* address space; 0: none */
    size_t output_bytes;    /* more is OX_EFIT; 0: none */
};

/* Runs argv[0] (looked up in PATH) with stdin closed and a cleaned environment, and appends its
 * stdout to out. stderr is dropped. OX_ENOTFOUND: no such program. OX_EFORMAT: it failed or was
 * killed for a limit; the error says which. OX_ECANCELLED: stop_fd (or -1) became readable. The
 * whole process group is gone when this returns. */
int child_capture(const char *const *argv, const struct child_limits *limits, int stop_fd,
                  struct buf *out, ox_err *err);

/* Gives n bytes to a program's stdin and waits up to 3 s for its end; what it leaves behind to hold
 * a clipboard stays. env: all it gets, NAME=VALUE, ends with NULL. OX_ENOTFOUND, OX_EFORMAT. */
int child_feed(const char *const *argv, const char *const *env, const char *s, size_t n,
               ox_err *err);

/* Runs a program on the terminal (an editor) and waits; SIGINT and SIGQUIT reach it alone,
 * SIGTSTP stops both. * OX_ENOTFOUND, or OX_EFAIL for another status than 0. */
int child_wait(const char *const *argv, ox_err *err);

#endif
