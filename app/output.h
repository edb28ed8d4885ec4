/* output.h - where results go: stdout or a file, filtered, and what happens when nobody reads any
 * more.
 *
 * Text of others passes core/text.c on its way, in pipes too, unless raw was asked for. A file is
 * written beside its name and renamed at the end, so that a failure leaves no half file. UI thread.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "app/core/buf.h"

struct output {
    int fd;
    bool raw, is_terminal, is_closed; /* closed: the reader went away (EPIPE) */
    char last;                        /* last byte written, 0: none */
    struct buf path, temporary;       /* of a file */
};
struct output_opts {
    const char *path; /* NULL: stdout */
    bool force;       /* overwrite */
    bool raw;
};
/* OX_EUSAGE: the file exists and force is off; raw to a terminal. */
int output_open(const struct output_opts *opts, struct output *out, ox_err *err);
/* Filters and writes at once. A closed pipe: OX_ECANCELLED with is_closed set, and no words. */
int output_text(struct output *o, const char *s, size_t n, ox_err *err);
int output_bytes(struct output *o, const char *s, size_t n, ox_err *err); /* our own: unfiltered */
int output_end_line(struct output *o, ox_err *err); /* a line feed unless one was the last byte */
/* keep false: a file is removed. Errors of the last write are told here. */
int output_close(struct output *o, bool keep, ox_err *err);

#endif
