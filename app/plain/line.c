/* line.c - see line.h. The only user of libedit. */
#include "app/plain/line.h"

#include "app/core/command.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY_LINES = 1000 };

struct line {
    struct line_opts opts;
    EditLine *edit; /* NULL: plain reading */
    History *history;
    const char *prompt;
    bool was_stopped;
    struct buf partial; /* what was typed when a signal came */
    mbstate_t shift;
};

/* --- callbacks of libedit --- */

static line *owner(EditLine *e) {
    line *l = NULL;
    el_get(e, EL_CLIENTDATA, &l);
    return l;
}

static char *prompt_of(EditLine *e) {
    return (char *)(uintptr_t)owner(e)->prompt;
}

/* What Tab adds to a slash command: as much as all commands that fit have in common. Done here and
 * not as an editor function, because libedit never frees the names of those. */
static bool complete(EditLine *e, char *rest, size_t cap) {
    const LineInfo *li = el_line(e);
    size_t n = (size_t)(li->cursor - li->buffer);
    if (!n || li->buffer[0] != '/' || memchr(li->buffer, ' ', n)) return false;
    const char *typed = li->buffer + 1;
    const struct command *first = command_complete(typed, n - 1, 0), *c;
    if (!first) return false;
    size_t same = strlen(first->name);
    bool only = true;
    for (size_t i = 1; (c = command_complete(typed, n - 1, i)); i++) {
        only = false;
        while (strncmp(first->name, c->name, same) != 0)
            same--;
    }
    int len = (int)(same - (n - 1));
    snprintf(rest, cap, "%.*s%s", len, first->name + n - 1, only && first->args[0] ? " " : "");
    return rest[0] != 0;
}

/* Reads one character; a waiting signal ends the line, which libedit's own reader would not allow.
 */
static int read_char(EditLine *e, wchar_t *c) {
    line *l = owner(e);
    for (;;) {
        struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = l->opts.stop_fd, .events = POLLIN}};
        if (poll(p, 2, -1) < 0) {
            if (errno == EINTR) continue;
            return -1;
        }
        if (p[1].revents & POLLIN) {
            const LineInfo *li = el_line(e); /* gone once el_gets has returned */
            l->was_stopped =
                buf_add(&l->partial, li->buffer, (size_t)(li->lastchar - li->buffer), NULL) == 0;
            return -1;
        }
        char byte;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0) return n < 0 && errno == EINTR ? -1 : 0;
        char rest[40];
        if (byte == '\t' &&
            complete(e, rest, sizeof rest)) { /* the first now, the others as if typed */
            if (rest[1]) el_push(e, rest + 1);
            byte = rest[0];
        } else if (byte == '\t')
            continue;
        size_t k = mbrtowc(c, &byte, 1, &l->shift);
        if (k == (size_t)-1) { /* not a character: forget it */
            memset(&l->shift, 0, sizeof l->shift);
            continue;
        }
        if (k != (size_t)-2) return 1;
    }
}

/* --- life --- */

static int open_editor(line *l, ox_err *err) {
    /* libedit works in wide characters; in a locale without them every é would be lost. */
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
    l->edit = el_init("oxbow", stdin, stdout, stderr);
    l->history = history_init();
    if (!l->edit || !l->history)
        return ox_err_set(err, OX_EFAIL, "the line editor cannot be started");
    HistEvent ev;
    history(l->history, &ev, H_SETSIZE, HISTORY_LINES);
    history(l->history, &ev, H_SETUNIQUE, 1);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, prompt_of);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_GETCFN, read_char);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    /* Without the echo of ^C, which would stand in the middle of an answer. */
    el_set(l->edit, EL_SETTY, "-x", "-echoctl", NULL);
    el_source(l->edit, NULL); /* ~/.editrc */
    return 0;
}

int line_open(const struct line_opts *opts, line **out, ox_err *err) {
    line *l = ox_alloc(1, sizeof *l, "line editor", err);
    if (!l) return OX_ENOMEM;
    l->opts = *opts;
    int rc = opts->edits ? open_editor(l, err) : 0;
    if (rc) {
        line_close(l);
        return rc;
    }
    *out = l;
    return 0;
}

void line_close(line *l) {
    if (!l) return;
    if (l->edit) el_end(l->edit);
    if (l->history) history_end(l->history);
    buf_deinit(&l->partial);
    ox_free(l);
}

void line_remember(line *l, const char *text) {
    HistEvent ev;
    if (l->history && text[0]) history(l->history, &ev, H_ENTER, text);
}

void line_prefill(line *l, const char *text) {
    if (l->edit) el_push(l->edit, text);
}

/* --- reading --- */

static int read_edited(line *l, struct buf *out, enum line_got *got, ox_err *err) {
    int n = 0;
    l->was_stopped = false;
    const char *s = el_gets(l->edit, &n);
    if (s && n > 0) {
        *got = LINE_TEXT;
        return buf_add(out, s, strcspn(s, "\n"), err);
    }
    if (!l->was_stopped) {
        *got = LINE_END;
        printf("\n");
        return 0;
    }
    *got = LINE_STOPPED;
    int rc = buf_add(out, buf_str(&l->partial), l->partial.n, err);
    buf_cut(&l->partial, 0);
    el_reset(l->edit);
    printf("^C\n");
    return rc;
}

/* Byte by byte: what comes behind the line feed belongs to the next reader (an editor, a child). */
static int read_plain(const line *l, struct buf *out, enum line_got *got, ox_err *err) {
    *got = LINE_TEXT;
    for (;;) {
        struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = l->opts.stop_fd, .events = POLLIN}};
        char byte;
        if (poll(p, 2, -1) > 0 && (p[1].revents & POLLIN)) {
            *got = LINE_STOPPED;
            return 0;
        }
        if (!p[0].revents) continue;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (!out->n) *got = LINE_END;
            return 0;
        }
        if (byte == '\n') return 0;
        int rc = buf_putc(out, byte, err);
        if (rc) return rc;
    }
}

int line_read(line *l, const char *prompt, struct buf *out, enum line_got *got, ox_err *err) {
    buf_cut(out, 0);
    l->prompt = prompt;
    fflush(stdout);
    if (l->edit) return read_edited(l, out, got, err);
    fputs(prompt, stdout);
    fflush(stdout);
    int rc = read_plain(l, out, got, err);
    if (l->opts.echoes) printf("%s\n", *got == LINE_TEXT ? buf_str(out) : "");
    fflush(stdout);
    return rc;
}
