/* ask.c - one question, one answer on stdout: read, count, refuse with numbers or send, stream,
 * report. */
#include "app/cited.h"
#include "app/cli/input.h"
#include "app/cli/verb.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/talk.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct ask {
    struct cli *c;
    bool quiet, json;
    struct talk talk;
    struct output out;
    struct progress bar;
};

static int need_prompt(const struct input *in, ox_err *err) {
    if (strspn(buf_str(&in->prompt), " \t\r\n") < in->prompt.n) return 0;
    ox_err_set(err, OX_EUSAGE, in->n_docs ? "a document, but no question" : "no prompt");
    return ox_err_fix(
        err, "oxbow ask \"Why is the sky blue?\"    oxbow ask -f act.txt \"Who signed it?\"");
}

static void notice(const struct ask *a, const char *text) {
    for (; !a->quiet && *text; text += strcspn(text, "\n"), text += *text == '\n')
        fprintf(stderr, "-- %.*s\n", (int)strcspn(text, "\n"), text);
}

/* --- --dry-run --- */

/* Where the answer is made, and whether its counts are estimates: "remote":"URL","estimated":true
 */
static int add_place(const struct talk *t, bool is_about, struct buf *b, ox_err *err) {
    int rc = buf_puts(b, "\"remote\":", err);
    if (!rc) rc = text_json(b, t->info->device, strlen(t->info->device), err);
    return rc ? rc : buf_printf(b, err, ",\"estimated\":%s", is_about ? "true" : "false");
}

/* What leaves the machine, before it does. */
static void say_sending(const struct ask *a) {
    const struct talk *t = &a->talk;
    char bytes[SAY_BYTES], n[SAY_BYTES], text[160 + 2 * SAY_BYTES];
    for (size_t i = 0; t->info->is_remote && i < t->n_docs; i++) {
        const struct talk_doc *d = &t->doc[i];
        snprintf(text, sizeof text, "sends %.100s: %s, about %s tokens", buf_str(&d->name),
                 say_bytes(bytes, d->text.n), say_count(n, d->tok.n));
        notice(a, text);
    }
}

static int dry_json(const struct talk *t, struct buf *b, ox_err *err) {
    size_t reused = t->plan.live + t->plan.restored;
    int rc = buf_printf(b, err, "{\"tokens\":%zu,\"limit\":%u,\"reused\":%zu,\"read\":%zu,",
                        t->n_prompt, t->info->max_tokens, reused, t->n_prompt - reused);
    if (!rc && t->info->is_remote)
        rc = add_place(t, true, b, err);
    else if (!rc)
        rc = buf_printf(b, err, "\"seconds\":%.1f", t->plan.time_s);
    if (!rc)
        rc = buf_printf(b, err, ",\"bytes\":%llu,\"documents\":[",
                        (unsigned long long)t->plan.bytes);
    for (size_t i = 0; !rc && i < t->n_docs; i++) {
        const struct talk_doc *d = &t->doc[i];
        rc = buf_puts(b, i ? ",{\"name\":" : "{\"name\":", err);
        if (!rc) rc = text_json(b, buf_str(&d->name), d->name.n, err);
        if (!rc) rc = buf_printf(b, err, ",\"tokens\":%zu}", d->tok.n);
    }
    return rc ? rc : buf_puts(b, "]}\n", err);
}

static int dry_text(const struct talk *t, struct buf *b, ox_err *err) {
    char n[SAY_BYTES], limit[SAY_BYTES], secs[SAY_BYTES];
    size_t reused = t->plan.live + t->plan.restored;
    const char *about = t->info->is_remote ? "about " : "";
    int rc = buf_printf(b, err, "%s%s tokens, fits (%s)\n", about, say_count(n, t->n_prompt),
                        say_limit(limit, t->info->max_tokens));
    if (!rc && reused)
        rc = buf_printf(b, err, "%s reused from saved states, %s to load\n", say_count(n, reused),
                        say_bytes(limit, t->plan.bytes));
    if (!rc && t->info->is_remote)
        rc = buf_printf(b, err, "%s of text to send to %s; remote, no saved states\n",
                        say_bytes(limit, t->plan.bytes), t->info->device);
    else if (!rc)
        rc = buf_printf(b, err, "%s to read, about %s\n", say_count(n, t->n_prompt - reused),
                        say_time(secs, t->plan.time_s));
    for (size_t i = 0; !rc && i < t->n_docs; i++) {
        const struct talk_doc *d = &t->doc[i];
        rc = text_show(b, buf_str(&d->name), d->name.n, TEXT_LINE, err);
        if (!rc)
            rc = buf_printf(b, err, ": %s%s tokens, %s\n", about, say_count(n, d->tok.n),
                            charset_name(d->charset));
    }
    return rc;
}

static int dry_run(struct ask *a, ox_err *err) {
    struct buf b = {0};
    int rc = a->json ? dry_json(&a->talk, &b, err) : dry_text(&a->talk, &b, err);
    if (!rc) rc = output_bytes(&a->out, buf_str(&b), b.n, err);
    buf_deinit(&b);
    return rc;
}

/* --- the answer --- */

static void on_progress(void *user, const struct news *n) {
    progress_news(&((struct ask *)user)->bar, n);
}

static int on_thought(void *user, const char *s, size_t n, ox_err *err) {
    struct ask *a = user;
    struct buf b = {0};
    (void)err;
    progress_end(&a->bar);
    if (text_show(&b, s, n, TEXT_LINES, NULL) == 0) fputs(buf_str(&b), stderr);
    buf_deinit(&b);
    return 0;
}

static int on_text(void *user, const char *s, size_t n, ox_err *err) {
    struct ask *a = user;
    progress_end(&a->bar);
    return a->json ? 0 : output_text(&a->out, s, n, err);
}

static const char *stop_word(enum chat_end end) {
    static const char *const words[] = {"open", "eos", "user", "length", "crashed", "error"};
    return words[end];
}

static int print_json(struct ask *a, ox_err *err) {
    struct talk *t = &a->talk;
    const struct chat_ledger *l = &t->ledger;
    struct cited_list cited = {0};
    struct buf b = {0};
    int rc = cited_find(t, buf_str(&t->answer), t->answer.n, &cited, err);
    if (!rc) rc = buf_puts(&b, "{\"answer\":", err);
    if (!rc) rc = text_json(&b, buf_str(&t->answer), t->answer.n, err);
    if (!rc)
        rc = buf_printf(
            &b, err, t->uid[0] ? ",\"id\":\"%s\",\"model\":" : ",\"id\":null%s,\"model\":", t->uid);
    if (!rc) rc = text_json(&b, t->info->name, strlen(t->info->name), err);
    if (!rc)
        rc = buf_printf(
            &b, err,
            ",\"used\":%zu,\"limit\":%u,\"reused\":%zu,\"read\":%zu,\"generated\":%zu,\"exact\":%s,"
            "\"stop\":\"%s\",\"seed\":%llu,\"citations\":",
            l->n_in + l->n_out, t->info->max_tokens, l->n_reused, l->n_in - l->n_reused, l->n_out,
            l->exact ? "true" : "false", stop_word(t->end), (unsigned long long)l->seed);
    if (!rc) rc = cited_json(&cited, &b, err);
    if (!rc && t->info->is_remote) rc = buf_putc(&b, ',', err);
    if (!rc && t->info->is_remote) rc = add_place(t, l->ran == CHAT_RAN_REMOTE_ABOUT, &b, err);
    if (!rc) rc = buf_puts(&b, "}\n", err);
    if (!rc) rc = output_bytes(&a->out, buf_str(&b), b.n, err);
    cited_deinit(&cited);
    buf_deinit(&b);
    return rc;
}

static int print_citations(struct ask *a, ox_err *err) {
    struct talk *t = &a->talk;
    struct cited_list cited = {0};
    struct buf b = {0};
    int rc = cited_find(t, buf_str(&t->answer), t->answer.n, &cited, err);
    if (!rc) rc = cited_text(&cited, false, &b, err);
    if (!rc && b.n) rc = output_bytes(&a->out, "\n", 1, err);
    if (!rc) rc = output_bytes(&a->out, buf_str(&b), b.n, err);
    cited_deinit(&cited);
    buf_deinit(&b);
    return rc;
}

static int answer(struct ask *a, ox_err *err) {
    struct talk *t = &a->talk;
    const struct talk_watch watch = {
        a, on_progress, flags_has(&a->c->flags, "--think") ? on_thought : NULL, on_text};
    const struct config *conf = &a->c->conf;
    bool redraw = isatty(STDERR_FILENO) && strcmp(conf->term, "dumb") != 0 && !conf->accessible;
    progress_start(&a->bar, a->quiet, redraw, t->n_docs ? buf_str(&t->doc[0].name) : "the prompt");
    int rc = talk_answer(t, &watch, err);
    progress_end(&a->bar);
    if (!rc) cited_save(t);
    if (a->out.is_closed) { /* nobody reads: no message, as with any program in a pipe */
        a->c->status = 141;
        return OX_ECANCELLED;
    }
    int end = a->json || a->out.raw ? 0 : output_end_line(&a->out, rc ? NULL : err);
    if (!rc) rc = a->json ? print_json(a, err) : end;
    if (!rc && !a->json && flags_has(&a->c->flags, "--cite")) rc = print_citations(a, err);
    struct buf resumed = {0};
    if (!rc && talk_resumed(t, &resumed, NULL) == 0) notice(a, buf_str(&resumed));
    buf_deinit(&resumed);
    if (!rc && t->end == CHAT_LENGTH) notice(a, "stopped at the length limit; -n N allows more");
    if (!rc && t->end == CHAT_STOPPED) {
        notice(a, "stopped");
        a->c->status = 128 + (t->signo ? t->signo : 2);
        rc = OX_ECANCELLED;
    }
    if (!rc && t->end == CHAT_DONE && !t->answer.n) notice(a, "the model gave an empty answer");
    return rc;
}

static int run_input(struct ask *a, struct input *in, ox_err *err) {
    struct talk *t = &a->talk;
    bool dry = flags_has(&a->c->flags, "--dry-run");
    int rc = talk_start(t, &a->c->conf, err);
    if (!rc) rc = buf_add(&t->system, buf_str(&in->system), in->system.n, err);
    if (!rc) rc = talk_ready(t, err);
    if (!rc) notice(a, t->info->note);
    for (size_t i = 0; !rc && i < in->n_docs; i++)
        rc = talk_add(t, &in->doc[i], err);
    if (!rc) rc = talk_plan(t, in->prompt.p, in->prompt.n, err);
    if (rc) return rc;
    if (!dry) say_sending(a);
    rc = dry ? dry_run(a, err) : answer(a, err);
    notice(a, buf_str(&t->save_note));
    return rc;
}

static int run(struct cli *c, ox_err *err) {
    struct ask a = {.c = c,
                    .quiet = flags_has(&c->flags, "-q"),
                    .json = flags_has(&c->flags, "--json"),
                    .out = {.fd = -1}};
    struct input in = {0};
    const struct output_opts where = {flags_out(&c->flags), flags_has(&c->flags, "--force"),
                                      flags_has(&c->flags, "--raw")};
    int rc = input_read(c, INPUT_BY_SIZE, &in, err);
    if (!rc) rc = need_prompt(&in, err);
    if (!rc) rc = output_open(&where, &a.out, err);
    if (!rc) rc = run_input(&a, &in, err);
    if (rc == OX_ECANCELLED) {
        if (!c->status) c->status = 128 + 2;
        if (err) *err = (ox_err){.code = rc}; /* they know */
    }
    if (a.out.fd >= 0) {
        int closed = output_close(&a.out, !rc || a.talk.end == CHAT_STOPPED, rc ? NULL : err);
        if (!rc) rc = closed;
    }
    talk_deinit(&a.talk);
    input_deinit(&in);
    return rc;
}

const struct verb verb_ask = {
    .name = "ask",
    .args = "PROMPT",
    .brief = "one answer on stdout",
    .flags = "-f --encoding -s -p -t -n -o --force --cite --raw --json --dry-run --think "
             "--no-think " FLAGS_MODEL FLAGS_SAMPLING FLAGS_STORE FLAGS_ALWAYS,
    .examples = "oxbow ask \"Why is the sky blue?\"\n"
                "oxbow ask -f act.txt \"Who signed it?\"\ta question about a file\n"
                "oxbow ask -f act.txt:1-2400 \"What is new?\"\tabout some of its lines\n"
                "oxbow ask -t translate -f a.txt language=Dutch\ta named prompt\n"
                "journalctl -b | oxbow ask \"What failed?\"\ta long stdin is a document\n"
                "oxbow ask -q -o why.md \"Why?\"\tthe answer to a file, nothing else\n"
                "oxbow ask --dry-run -f act.txt \"Who?\"\ttokens and seconds; sends nothing",
    .max_words = -1,
    .run = run,
};
