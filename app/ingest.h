/* ingest.h - a file or a pipe as checked text, with the part that was asked for.
 *
 * The text is valid UTF-8 with LF line ends; its bytes are what every later offset refers to.
 * Binary is told by content, not by name. "FILE:FROM-TO" is a range of lines and "FILE:pN-M" of
 * pages, unless a file has this very name. docs/PRODUCT.md section 7. UI thread; may take seconds
 * for a converter. */
#ifndef INGEST_H
#define INGEST_H

#include "app/core/charset.h"

enum { INGEST_MAX_BYTES = 64 << 20 };

struct ingest {             /* {0} is empty */
    struct buf text;        /* the whole document */
    size_t from, to;        /* bytes of the part asked for */
    size_t first_line;      /* number of the line at `from`, 1-based */
    size_t *pages, n_pages; /* byte offsets where pages begin; none: 0 */
    const char *kind;       /* "text", "markdown", "html", "pdf", "source", "stdin" */
    const char *converter;  /* "pdftotext", "libxml2", "" */
    enum charset charset;
    struct charset_stats stats;
    struct buf name; /* for people: last part of the path with its range, unfiltered */
    size_t n_base;   /* bytes of name without the range */
    struct buf path; /* as given, without the range; "-" for stdin */
    struct buf raw;  /* the bytes as read, for their hash */
};
struct ingest_opts {
    const char *encoding; /* forced; NULL: found out */
    const char *kind;     /* forced; NULL */
    int stop_fd;          /* readable: give up (Ctrl-C); -1 */
};

/* spec: a path with an optional range, or "-". OX_ENOTFOUND no such file; OX_EUSAGE a folder, a
 * range outside the file, an unknown encoding; OX_EFORMAT binary or without text; OX_EFIT over
 * INGEST_MAX_BYTES; OX_EIO. */
int ingest_open(const char *spec, const struct ingest_opts *opts, struct ingest *out, ox_err *err);
/* Everything that can be read from fd, at most INGEST_MAX_BYTES. */
int ingest_read(int fd, int stop_fd, const char *name, struct buf *out, ox_err *err);
/* Bytes that were read elsewhere (stdin that turned out long); raw is taken over. */
int ingest_bytes(struct buf *raw, const char *name, const struct ingest_opts *opts,
                 struct ingest *out, ox_err *err);
/* Takes another part of a text that is there: "397-420", "p3-4", "" for all of it. */
int ingest_part(struct ingest *in, const char *range, ox_err *err);
void ingest_deinit(struct ingest *in);

#endif
