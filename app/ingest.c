/* ingest.c - see ingest.h. */
#include "app/ingest.h"

#include "app/child.h"
#include "app/core/columns.h"
#include "app/core/text.h"
#include "app/html.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static int too_large(ox_err *err, const char *name, uint64_t bytes) {
    if (bytes)
        ox_err_set(err, OX_EFIT, "%s: too large: %llu MiB", name,
                   (unsigned long long)(bytes >> 20));
    else
        ox_err_set(err, OX_EFIT, "%s: too large", name);
    return ox_err_fix(err, "at most %d MiB of text are read; cut the file (split -C 60M)",
                      INGEST_MAX_BYTES >> 20);
}

int ingest_read(int fd, int stop_fd, const char *name, struct buf *out, ox_err *err) {
    size_t start = out->n;
    /* Files were opened without blocking: they are asked first, because poll waits for ever for a
     * pipe that nobody writes to. stdin may block: there the signal must be able to end the wait.
     */
    bool wait_first = !(fcntl(fd, F_GETFL) & O_NONBLOCK);
    for (bool wait = wait_first;; wait = wait_first) {
        struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        int rc = buf_room(out, 1 << 16, err);
        if (rc) return rc;
        if (poll(p, 2, wait ? -1 : 0) < 0) continue;
        if (p[1].revents) return ox_err_set(err, OX_ECANCELLED, "stopped while reading %s", name);
        ssize_t n = read(fd, out->p + out->n, 1 << 16);
        if (n < 0 && errno == EAGAIN) poll(p, 2, -1);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n < 0) return ox_err_set(err, OX_EIO, "cannot read %s: %s", name, strerror(errno));
        if (n == 0) return 0;
        buf_grown(out, (size_t)n);
        if (out->n - start > INGEST_MAX_BYTES) return too_large(err, name, 0);
    }
}

/* --- the name: path and range --- */

struct range {
    char unit;       /* 0: none, 'l' lines, 'p' pages */
    size_t from, to; /* to 0: to the end */
};

/* "12-40", "12", "12-", "p3-9"; false if it is something else. */
static bool parse_range(const char *p, struct range *r) {
    char unit = *p == 'p' ? 'p' : 'l', *end;
    if (unit == 'p') p++;
    if (*p < '0' || *p > '9') return false;
    r->from = strtoul(p, &end, 10);
    r->to = r->from;
    if (*end == '-') {
        p = end + 1;
        r->to = *p ? strtoul(p, &end, 10) : 0;
        if (!*p) end = (char *)(uintptr_t)p;
    }
    if (*end || (*p && (*p < '0' || *p > '9'))) return false;
    r->unit = unit;
    return true;
}

/* Bytes of the path: all, if a file has this very name or no range follows. */
static size_t split_spec(const char *spec, struct range *r) {
    struct stat st;
    const char *colon = strrchr(spec, ':');
    *r = (struct range){0, 0, 0};
    if (!colon || colon == spec || stat(spec, &st) == 0) return strlen(spec);
    if (parse_range(colon + 1, r)) return (size_t)(colon - spec);
    *r = (struct range){0, 0, 0};
    return strlen(spec);
}

static int open_file(const char *path, uint64_t *size, ox_err *err) {
    /* Without O_NONBLOCK a pipe that nobody writes to would hang here. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0) {
        int code = errno == ENOENT || errno == ENOTDIR ? OX_ENOTFOUND : OX_EIO;
        ox_err_set(err, code, "cannot open %s: %s", path, strerror(errno));
        ox_err_fix(err, code == OX_ENOTFOUND ? "check the name" : "check who may read it: ls -l");
        return code;
    }
    if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
        *size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
        return fd;
    }
    close(fd);
    ox_err_set(err, OX_EUSAGE, "%s is a folder", path);
    return ox_err_fix(err, "name the files in it, one by one");
}

/* Opened without blocking, a pipe whose writer has not come yet is at its end. */
static int need_writer(int fd, const char *name, ox_err *err) {
    struct stat st;
    if (fd == STDIN_FILENO || fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode)) return 0;
    ox_err_set(err, OX_EFORMAT, "%s has no text: nothing writes into this pipe", name);
    return ox_err_fix(err, "start what writes into it first, or: .. | oxbow ask -f -");
}

/* --- bytes to text --- */

static bool ends_with(const char *name, const char *tail) {
    size_t n = strlen(name), m = strlen(tail);
    return n >= m && strcasecmp(name + n - m, tail) == 0;
}

static const char *kind_by_name(const char *name) {
    static const struct {
        const char *tail, *kind;
    } table[] = {
        {".md", "markdown"}, {".markdown", "markdown"}, {".c", "source"},   {".h", "source"},
        {".cc", "source"},   {".cpp", "source"},        {".hpp", "source"}, {".cu", "source"},
        {".py", "source"},   {".js", "source"},         {".ts", "source"},  {".rs", "source"},
        {".go", "source"},   {".java", "source"},       {".sh", "source"},  {".pl", "source"},
        {".rb", "source"},   {".lua", "source"},        {".sql", "source"}, {".json", "source"},
        {".toml", "source"}, {".yaml", "source"},       {".yml", "source"}, {".xml", "source"},
        {".css", "source"},  {".cmake", "source"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (ends_with(name, table[i].tail)) return table[i].kind;
    return "text";
}

/* Form feeds begin pages. They are taken out, so that no control byte is part of a document; one
 * inside a line leaves a line end, or the words around it would be one. */
static int cut_pages(struct ingest *in, ox_err *err) {
    size_t n = 0, cap = 0;
    int rc = ox_grow(&in->pages, &cap, 1, sizeof *in->pages, err);
    if (rc) return rc;
    in->pages[0] = 0;
    in->n_pages = 1;
    in->stats.n_lines = 0;
    for (size_t i = 0; i < in->text.n; i++) {
        bool feed = in->text.p[i] == '\f', inside = feed && n > 0 && in->text.p[n - 1] != '\n';
        if (!feed || inside) {
            in->text.p[n++] = inside ? '\n' : in->text.p[i];
            in->stats.n_lines += in->text.p[n - 1] == '\n';
        }
        if (!feed) continue;
        rc = ox_grow(&in->pages, &cap, in->n_pages + 1, sizeof *in->pages, err);
        if (rc) return rc;
        in->pages[in->n_pages++] = n;
    }
    buf_cut(&in->text, n);
    in->stats.n_lines += n > 0 && in->text.p[n - 1] != '\n';
    /* pdftotext closes the last page too */
    if (in->n_pages > 1 && in->pages[in->n_pages - 1] == n) in->n_pages--;
    return 0;
}

static int run_pdftotext(const char *path, bool looks, int stop_fd, struct buf *out, ox_err *err) {
    const struct child_limits limits = {.cpu_s = 120,
                                        .wall_s = 180,
                                        .memory_bytes = (size_t)2 << 30,
                                        .output_bytes = INGEST_MAX_BYTES};
    const char *const argv[] = {"pdftotext", "-enc", "UTF-8", "-q", path, "-", NULL};
    const char *const as_it_looks[] = {"pdftotext", "-layout", "-enc", "UTF-8",
                                       "-q",        path,      "-",    NULL};
    return child_capture(looks ? as_it_looks : argv, &limits, stop_fd, out, err);
}

/* Pages in columns are read again, in the order of reading. */
static int convert_pdf(const char *path, int stop_fd, struct buf *out, ox_err *err) {
    struct buf looks = {0}, order = {0};
    int rc = run_pdftotext(path, true, stop_fd, &looks, err);
    bool columns = !rc && columns_any(buf_str(&looks), looks.n);
    if (columns) rc = run_pdftotext(path, false, stop_fd, &order, err);
    if (!rc && columns) rc = columns_join(&looks, &order, out, err);
    if (!rc && !columns) {
        *out = looks;
        looks = (struct buf){0};
    }
    buf_deinit(&looks);
    buf_deinit(&order);
    return rc;
}

static int read_pdf(struct ingest *in, const struct ingest_opts *opts, ox_err *err) {
    const char *path = buf_str(&in->path);
    struct buf safe = {0}, text = {0};
    if (strcmp(path, "-") == 0) {
        ox_err_set(err, OX_EFORMAT, "a PDF document on stdin");
        return ox_err_fix(err, "save it and give the file: -f FILE.pdf");
    }
    int rc = buf_printf(&safe, err, "%s%s", path[0] == '-' ? "./" : "", path);
    if (!rc) rc = convert_pdf(buf_str(&safe), opts->stop_fd, &text, err);
    if (rc == OX_ENOTFOUND) {
        ox_err_set(err, OX_EFAIL, "%s is a PDF document, and pdftotext is not installed", path);
        rc = ox_err_fix(err, "install the package poppler-utils");
    } else if (rc == OX_EFORMAT)
        ox_err_fix(err, "the file may be damaged or locked by a password");
    if (!rc) rc = charset_decode(CHARSET_UTF8, text.p, text.n, true, &in->text, &in->stats, err);
    if (!rc) rc = cut_pages(in, err);
    if (!rc && strspn(buf_str(&in->text), " \t\n") == in->text.n) {
        ox_err_set(err, OX_EFORMAT, "%s has no text: its pages are pictures (a scan)", path);
        rc = ox_err_fix(err, "run it through text recognition first (ocrmypdf)");
    }
    in->kind = "pdf";
    in->converter = "pdftotext";
    in->charset = CHARSET_UTF8;
    buf_deinit(&safe);
    buf_deinit(&text);
    return rc;
}

static int read_html(struct ingest *in, const struct ingest_opts *opts, ox_err *err) {
    struct buf text = {0};
    int rc = html_text(in->raw.p, in->raw.n, opts->encoding, &text, err);
    if (!rc) rc = charset_decode(CHARSET_UTF8, text.p, text.n, false, &in->text, &in->stats, err);
    in->kind = "html";
    in->converter = "libxml2";
    in->charset = CHARSET_UTF8;
    buf_deinit(&text);
    return rc;
}

static int read_plain(struct ingest *in, const struct ingest_opts *opts, ox_err *err) {
    in->charset =
        opts->encoding ? charset_find(opts->encoding) : charset_guess(in->raw.p, in->raw.n);
    if (in->charset == CHARSET_NONE) {
        ox_err_set(err, OX_EUSAGE, "unknown encoding \"%.40s\"", opts->encoding);
        return ox_err_fix(err, "utf-8, utf-16le, utf-16be or windows-1252; others: iconv");
    }
    in->kind = strcmp(buf_str(&in->path), "-") == 0 ? "stdin" : kind_by_name(buf_str(&in->path));
    int rc = charset_decode(in->charset, in->raw.p, in->raw.n, true, &in->text, &in->stats, err);
    return rc || !memchr(buf_str(&in->text), '\f', in->text.n) ? rc : cut_pages(in, err);
}

static int convert(struct ingest *in, const struct ingest_opts *opts, ox_err *err) {
    const char *binary = charset_binary(in->raw.p, in->raw.n), *name = buf_str(&in->name);
    const char *forced = opts->kind;
    int rc;
    in->converter = "";
    if (binary && strcmp(binary, "a PDF document") == 0)
        rc = read_pdf(in, opts, err);
    else if (binary && !opts->encoding) {
        ox_err_set(err, OX_EFORMAT, "%s looks like %s", name, binary);
        if (strcmp(binary, "gzip data") == 0)
            return ox_err_fix(err, "unpack it on the way: zcat %.60s | oxbow ask -f - ..", name);
        return ox_err_fix(err, "give a text, HTML or PDF file");
    } else if (forced ? strcmp(forced, "html") == 0 : html_is_page(in->raw.p, in->raw.n))
        rc = read_html(in, opts, err);
    else
        rc = read_plain(in, opts, err);
    if (rc) return rc;
    if (forced && strcmp(in->kind, "pdf") != 0) in->kind = forced;
    if (in->text.n && strspn(buf_str(&in->text), " \t\n") < in->text.n) return 0;
    ox_err_set(err, OX_EFORMAT, "%s has no text (%zu characters)", name, in->text.n);
    return ox_err_fix(err, "check that the right file was given");
}

/* --- the part asked for --- */

/* what: "lines" or "pages"; how: the form of a range of them. */
static int no_such_part(const struct ingest *in, struct range r, const char *what, size_t n,
                        const char *how, ox_err *err) {
    const char *name = buf_str(&in->path);
    if (!r.from)
        ox_err_set(err, OX_EUSAGE, "%s has %zu %s; they are counted from 1", name, n, what);
    else if (r.from <= n)
        ox_err_set(err, OX_EUSAGE, "%s has %zu %s; the range %zu-%zu is backwards", name, n, what,
                   r.from, r.to);
    else
        ox_err_set(err, OX_EUSAGE, "%s has %zu %s, the range begins at %zu", name, n, what, r.from);
    if (r.from && r.from <= n)
        return ox_err_fix(err, "%s: %s%zu-%zu", how, what[0] == 'p' ? "p" : "", r.to, r.from);
    return ox_err_fix(err, "ranges are %s, from 1 to %zu", how, n);
}

static int pick_lines(struct ingest *in, struct range r, ox_err *err) {
    size_t line = 1, at = 0, last = in->stats.n_lines;
    if (!r.to || r.to > last) r.to = last;
    if (!r.from || r.from > last || r.to < r.from)
        return no_such_part(in, r, "lines", last, "FILE:FROM-TO", err);
    while (line < r.from) {
        at += strcspn(in->text.p + at, "\n") + 1;
        line++;
    }
    in->from = at;
    in->first_line = r.from;
    while (line <= r.to && at < in->text.n) {
        at += strcspn(in->text.p + at, "\n");
        at += at < in->text.n;
        line++;
    }
    in->to = at;
    return 0;
}

static int pick_pages(struct ingest *in, struct range r, ox_err *err) {
    if (!in->n_pages) {
        ox_err_set(err, OX_EUSAGE, "%s has no pages", buf_str(&in->path));
        return ox_err_fix(
            err, "FILE:FROM-TO takes lines; a PDF file has pages, a text with form feeds too");
    }
    if (!r.to || r.to > in->n_pages) r.to = in->n_pages;
    if (!r.from || r.from > in->n_pages || r.to < r.from)
        return no_such_part(in, r, "pages", in->n_pages, "FILE:pFROM-TO", err);
    in->from = in->pages[r.from - 1];
    in->to = r.to < in->n_pages ? in->pages[r.to] : in->text.n;
    for (size_t i = 0; i < in->from; i++)
        in->first_line += in->text.p[i] == '\n';
    return 0;
}

static int pick(struct ingest *in, struct range r, ox_err *err) {
    in->from = 0;
    in->to = in->text.n;
    in->first_line = 1;
    switch (r.unit) {
    case 'l': return pick_lines(in, r, err);
    case 'p': return pick_pages(in, r, err);
    default: return 0;
    }
}

/* --- public --- */

static int finish(struct ingest *in, struct range r, const struct ingest_opts *opts, ox_err *err) {
    int rc = convert(in, opts, err);
    return rc ? rc : pick(in, r, err);
}

int ingest_open(const char *spec, const struct ingest_opts *opts, struct ingest *out, ox_err *err) {
    struct ingest in = {0};
    struct range r = {0, 0, 0};
    bool is_stdin = strcmp(spec, "-") == 0;
    size_t n_path = is_stdin ? 1 : split_spec(spec, &r);
    uint64_t size = 0;
    int rc = buf_add(&in.path, spec, n_path, err);
    const char *base = strrchr(buf_str(&in.path), '/');
    base = base && base[1] ? base + 1 : buf_str(&in.path);
    if (!rc)
        rc = is_stdin ? buf_puts(&in.name, "stdin", err)
                      : buf_printf(&in.name, err, "%s%s", base, spec + n_path);
    in.n_base = in.name.n - (is_stdin ? 0 : strlen(spec + n_path));
    int fd = is_stdin ? STDIN_FILENO : rc ? -1 : open_file(buf_str(&in.path), &size, err);
    if (fd < 0) rc = rc ? rc : fd;
    if (!rc && size > INGEST_MAX_BYTES) rc = too_large(err, buf_str(&in.path), size);
    if (!rc) rc = ingest_read(fd, opts->stop_fd, buf_str(&in.name), &in.raw, err);
    if (!rc && !in.raw.n) rc = need_writer(fd, buf_str(&in.name), err);
    if (fd > STDIN_FILENO) close(fd);
    if (!rc) rc = finish(&in, r, opts, err);
    if (!rc) {
        *out = in;
        in = (struct ingest){0};
    }
    ingest_deinit(&in);
    return rc ? ox_err_wrap(err, rc, is_stdin ? "read stdin" : "read the file") : 0;
}

int ingest_bytes(struct buf *raw, const char *name, const struct ingest_opts *opts,
                 struct ingest *out, ox_err *err) {
    struct ingest in = {.raw = *raw};
    *raw = (struct buf){0};
    int rc = buf_puts(&in.path, "-", err);
    if (!rc) rc = buf_puts(&in.name, name, err);
    in.n_base = in.name.n;
    if (!rc) rc = finish(&in, (struct range){0, 0, 0}, opts, err);
    if (!rc) {
        *out = in;
        in = (struct ingest){0};
    }
    ingest_deinit(&in);
    return rc ? ox_err_wrap(err, rc, "read stdin") : 0;
}

int ingest_part(struct ingest *in, const char *range, ox_err *err) {
    struct range r = {0, 0, 0};
    if (range[0] && !parse_range(range, &r)) {
        ox_err_set(err, OX_EUSAGE, "\"%.40s\" is no range", range);
        return ox_err_fix(err, "FROM-TO takes lines, pFROM-TO pages");
    }
    return pick(in, r, err);
}

void ingest_deinit(struct ingest *in) {
    buf_deinit(&in->text);
    buf_deinit(&in->name);
    buf_deinit(&in->path);
    buf_deinit(&in->raw);
    ox_free(in->pages);
    *in = (struct ingest){0};
}
