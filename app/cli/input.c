/* input.c - see input.h. */
#include "app/cli/input.h"

#include "app/core/text.h"
#include "app/kept.h"
#include "app/named_prompt.h"
#include "app/signals.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 2000 };

static int add_doc(struct input *in, struct ingest *doc, ox_err *err) {
    int rc = ox_grow(&in->doc, &in->cap_docs, in->n_docs + 1, sizeof *in->doc, err);
    if (rc) {
        ingest_deinit(doc);
        return rc;
    }
    in->doc[in->n_docs++] = *doc;
    *doc = (struct ingest){0};
    return 0;
}

int input_file(const struct cli *c, const char *spec, struct ingest *out, ox_err *err) {
    store *st = NULL;
    const struct ingest_opts opts = {.encoding = flags_get(&c->flags, "--encoding"),
                                     .stop_fd = signals_fd()};
    if (kept_is_id(spec) && c->conf.save && access(c->conf.db, F_OK) == 0)
        store_open(c->conf.db, true, &st, NULL);
    int rc = kept_or_file(st, spec, &opts, out, err);
    store_close(st);
    return rc;
}

static int add_file(const struct cli *c, struct input *in, const char *spec, ox_err *err) {
    struct ingest doc = {0};
    int rc = input_file(c, spec, &doc, err);
    return rc ? rc : add_doc(in, &doc, err);
}

/* -s TEXT or -s @FILE */
static int read_system(const char *arg, int stop_fd, struct input *in, ox_err *err) {
    size_t n = strlen(arg);
    if (arg[0] == '@' && arg[1]) {
        struct ingest doc = {0};
        const struct ingest_opts opts = {.stop_fd = stop_fd};
        int rc = ingest_open(arg + 1, &opts, &doc, err);
        if (rc && err) snprintf(err->where, sizeof err->where, "read -s @FILE");
        if (!rc) rc = buf_add(&in->system, doc.text.p + doc.from, doc.to - doc.from, err);
        while (!rc && in->system.n && in->system.p[in->system.n - 1] == '\n')
            buf_cut(&in->system, in->system.n - 1);
        ingest_deinit(&doc);
        return rc;
    }
    if (text_valid(arg, n) == n && n) return buf_add(&in->system, arg, n, err);
    ox_err_set(err, OX_EUSAGE, n ? "-s: the text is not UTF-8" : "-s: the text is empty");
    return ox_err_fix(err, "-s TEXT, or -s @FILE");
}

/* Words and -p, joined by spaces as a shell would. */
static int read_words(const struct cli *c, struct buf *words, ox_err *err) {
    int rc = 0;
    const char *p;
    for (size_t i = 0; !rc && (p = flags_nth(&c->flags, "-p", i)); i++) {
        if (text_valid(p, strlen(p)) != strlen(p)) {
            ox_err_set(err, OX_EUSAGE, "-p: the text is not UTF-8");
            return ox_err_fix(err, "convert it (iconv), or put it in a file: -f FILE");
        }
        rc = buf_printf(words, err, "%s%s", words->n ? "\n" : "", p);
    }
    for (size_t i = 0; !rc && i < c->flags.n_word; i++)
        rc = buf_printf(words, err, "%s%s", words->n ? " " : "", c->flags.word[i]);
    return rc;
}

/* -t NAME: what stdin and -p gave, and the words, go into a named prompt. */
static int fill_named(const struct cli *c, const char *name, struct input *in, ox_err *err) {
    struct buf files = {0}, text = {0}, filled = {0};
    char *form = NULL;
    const char *p;
    int rc = named_prompt_load(&c->conf, name, &form, err);
    for (size_t i = 0; !rc && i < in->n_docs; i++)
        rc = buf_printf(&files, err, "%s%s", i ? ", " : "", buf_str(&in->doc[i].name));
    if (!rc) rc = buf_add(&text, buf_str(&in->prompt), in->prompt.n, err);
    for (size_t i = 0; !rc && (p = flags_nth(&c->flags, "-p", i)); i++)
        rc = buf_printf(&text, err, "%s%s", text.n ? "\n\n" : "", p);
    const struct named_prompt_given given = {.file = in->n_docs ? buf_str(&files) : NULL,
                                             .word = c->flags.word,
                                             .n_word = c->flags.n_word,
                                             .text = buf_str(&text)};
    if (!rc) rc = named_prompt_fill(&filled, form, &given, err);
    buf_deinit(&in->prompt);
    in->prompt = filled;
    buf_deinit(&files);
    buf_deinit(&text);
    ox_free(form);
    return rc;
}

static void trim_end(struct buf *b) {
    size_t n = b->n;
    while (n && strchr(" \t\r\n", b->p[n - 1]))
        n--;
    buf_cut(b, n);
}

/* A pipe that stays open and silent (ssh without -n, some editors) looks like a hang: say what is
 * awaited. */
static void say_waiting(bool quiet) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&p, 1, PATIENCE_MS) == 0 && !quiet)
        fprintf(stderr, "-- waiting for stdin; </dev/null if there is none\n");
}

/* stdin that nobody named: a document if it is long, else words before the argument; with no words
 * it is the prompt itself, however long. */
static int read_stdin(const struct cli *c, struct input *in, const struct buf *words,
                      enum input_stdin how, ox_err *err) {
    int stop_fd = signals_fd();
    struct buf raw = {0};
    struct ingest doc = {0};
    const struct ingest_opts opts = {.encoding = flags_get(&c->flags, "--encoding"),
                                     .stop_fd = stop_fd};
    say_waiting(flags_has(&c->flags, "-q"));
    int rc = ingest_read(STDIN_FILENO, stop_fd, "stdin", &raw, err);
    bool is_blank = !rc && strspn(buf_str(&raw), " \t\r\n") == raw.n;
    if (rc || is_blank) {
        buf_deinit(&raw);
        return rc;
    }
    bool is_doc = how == INPUT_DOCUMENT || (raw.n > INPUT_DOC_BYTES && (words->n || in->n_docs));
    rc = ingest_bytes(&raw, "stdin", &opts, &doc, err);
    if (!rc && is_doc) return add_doc(in, &doc, err);
    if (!rc) rc = buf_add(&in->prompt, doc.text.p, doc.text.n, err);
    trim_end(&in->prompt);
    ingest_deinit(&doc);
    return rc;
}

static int twice(ox_err *err) {
    ox_err_set(err, OX_EUSAGE, "-f - was given twice; stdin can be read once");
    return ox_err_fix(err, "leave one out, or save stdin to a file");
}

int input_read(const struct cli *c, enum input_stdin how, struct input *out, ox_err *err) {
    struct input in = {0};
    struct buf words = {0};
    const char *system = flags_get(&c->flags, "-s"), *file;
    bool named_stdin = false;
    const struct signals_opts sig = {.twice_kills = true};
    int rc = signals_open(&sig, err);
    if (!rc) rc = read_words(c, &words, err);
    if (!rc && system) rc = read_system(system, signals_fd(), &in, err);
    for (size_t i = 0; !rc && (file = flags_nth(&c->flags, "-f", i)); i++) {
        if (strcmp(file, "-") != 0) continue;
        if (named_stdin) rc = twice(err);
        named_stdin = true;
    }
    for (size_t i = 0; !rc && (file = flags_nth(&c->flags, "-f", i)); i++)
        rc = add_file(c, &in, file, err);
    if (!rc && how != INPUT_LEAVE && !named_stdin && !isatty(STDIN_FILENO))
        rc = read_stdin(c, &in, &words, how, err);
    const char *named = flags_get(&c->flags, "-t");
    if (!rc && named)
        rc = fill_named(c, named, &in, err);
    else if (!rc && words.n)
        rc = buf_printf(&in.prompt, err, "%s%s", in.prompt.n ? "\n\n" : "", buf_str(&words));
    buf_deinit(&words);
    if (rc) {
        input_deinit(&in);
        return rc;
    }
    *out = in;
    return 0;
}

void input_deinit(struct input *in) {
    for (size_t i = 0; i < in->n_docs; i++)
        ingest_deinit(&in->doc[i]);
    ox_free(in->doc);
    buf_deinit(&in->prompt);
    buf_deinit(&in->system);
    *in = (struct input){0};
}
