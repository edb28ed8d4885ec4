/* chat.c - the conversation verb; also what runs without a verb on a terminal. */
#include "app/cli/input.h"
#include "app/cli/tui.h"
#include "app/cli/verb.h"
#include "app/plain/plain.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* `oxbow chat` in a pipe is meant so, and so is --plain with an output that is none. */
static bool talks_in_pipe(const struct cli *c) {
    return c->is_named || (flags_has(&c->flags, "--plain") && !isatty(STDOUT_FILENO));
}

static int need_terminal(const struct cli *c, ox_err *err) {
    if (talks_in_pipe(c) || isatty(STDOUT_FILENO)) return 0;
    ox_err_set(err, OX_EUSAGE, "no terminal on stdout");
    return ox_err_fix(err,
                      "oxbow ask \"..\" answers once; oxbow chat talks in lines, in pipes too");
}

/* `cat f | oxbow`: the pipe is a document, the terminal is where one types. */
static int take_terminal(ox_err *err) {
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        ox_err_set(err, OX_EUSAGE, "stdin was a document, and there is no terminal to type on");
        return ox_err_fix(err, "oxbow ask \"..\" takes a document on stdin");
    }
    dup2(fd, STDIN_FILENO);
    close(fd);
    return 0;
}

/* -c, -r ID */
static int resume(const struct cli *c, struct talk *t, ox_err *err) {
    const char *id = flags_get(&c->flags, "-r");
    int64_t chat = 0;
    if (!flags_has(&c->flags, "-r") && !flags_has(&c->flags, "-c")) return 0;
    int rc = id && t->st ? store_chat_find(t->st, id, &chat, err) : 0;
    return rc ? rc : talk_resume(t, chat, 0, err);
}

static int start(const struct cli *c, struct plain *p, struct input *in, ox_err *err) {
    struct talk *t = &p->talk;
    int rc = talk_start(t, p->conf, err);
    if (!rc) rc = resume(c, t, err);
    if (!rc && t->id) plain_transcript(p);
    if (!rc) rc = buf_add(&t->system, buf_str(&in->system), in->system.n, err);
    if (!rc) rc = talk_ready(t, err);
    for (size_t i = 0; !rc && i < in->n_docs; i++) {
        rc = talk_add(t, &in->doc[i], err);
        if (!rc) plain_added(p, i);
    }
    return rc;
}

/* why: the screen could not be had; NULL: lines were wanted. */
static int run_plain(struct cli *c, const char *why, ox_err *err) {
    struct plain p = {.conf = &c->conf, .is_quiet = flags_has(&c->flags, "-q"), .cites = true};
    struct input in = {0};
    const struct output_opts where = {NULL, false, false};
    bool pipe_is_doc = !talks_in_pipe(c) && !isatty(STDIN_FILENO);
    int rc = need_terminal(c, err);
    if (!rc) rc = input_read(c, pipe_is_doc ? INPUT_DOCUMENT : INPUT_LEAVE, &in, err);
    if (!rc && pipe_is_doc) rc = take_terminal(err);
    bool bare = why || strcmp(c->conf.term, "dumb") == 0 || c->conf.accessible;
    p.edits = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !bare;
    if (!rc) rc = output_open(&where, &p.out, err);
    if (!rc) rc = start(c, &p, &in, err);
    if (!rc && why)
        plain_note(&p, "plain lines: %s", why);
    else if (!rc && !c->is_named && !c->conf.plain && bare)
        plain_note(&p, "plain lines: this terminal (TERM=%.40s) does not move its cursor",
                   c->conf.term);
    if (!rc) rc = plain_run(&p, buf_str(&in.prompt), err);
    if (p.out.is_closed)
        c->status = 141;
    else if (rc == OX_ECANCELLED)
        c->status = 128 + (p.talk.signo ? p.talk.signo : 2);
    output_close(&p.out, true, NULL);
    talk_deinit(&p.talk);
    input_deinit(&in);
    return rc;
}

/* Without a verb on a terminal that can be drawn on: the screen; else, or where that fails, lines.
 */
static int run(struct cli *c, ox_err *err) {
    ox_err why = {0};
    if (!tui_wanted(c)) return run_plain(c, NULL, err);
    int rc = tui_run(c, &why);
    if (rc == OX_EFAIL) return run_plain(c, why.what, err);
    if (rc && err) *err = why;
    return rc;
}

const struct verb verb_chat = {
    .name = "chat",
    .args = "[DRAFT]",
    .brief = "converse (also: no verb)",
    .flags = "-c -r -f -s -t -n --plain --think --no-think --no-mouse " FLAGS_MODEL FLAGS_SAMPLING
        FLAGS_STORE FLAGS_ALWAYS,
    .examples = "oxbow\tthe same on a terminal\n"
                "oxbow chat --plain -f act.txt\ttalk about a file, in plain lines\n"
                "oxbow -c --plain\tgo on with the last session\n"
                "oxbow chat --plain < script.txt\tone message a line",
    .max_words = -1,
    .run = run,
};
