/* summarize.c - a long document in few words: says the plan, shows how far it is, prints the
 * summary. How the work is cut, done and kept: app/summarize.h. */
#include "app/summarize.h"

#include "app/cited.h"
#include "app/cli/input.h"
#include "app/cli/verb.h"
#include "app/clock.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/output.h"
#include "app/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 20, LINE_EVERY_S = 10 };

struct view {
    struct cli *c;
    struct talk talk;
    struct summarize sum;
    struct output out;
    bool is_quiet, is_json, redraws, is_shown;
    double shown_s;
    size_t shown_step;
};

static int read_count(const struct cli *c, const char *flag, size_t max, size_t *out, ox_err *err) {
    const char *s = flags_get(&c->flags, flag);
    char *end = NULL;
    *out = 0;
    if (!s) return 0;
    unsigned long n = strtoul(s, &end, 10);
    *out = n;
    if (s[0] >= '0' && s[0] <= '9' && !*end && n >= 1 && n <= max) return 0;
    ox_err_set(err, OX_EUSAGE, "%s %.40s: a number from 1 to %zu was expected", flag, s, max);
    return ox_err_fix(err, "leave %s out: the program chooses", flag);
}

static int read_opts(const struct cli *c, struct summarize_opts *o, ox_err *err) {
    const char *style = flags_get(&c->flags, "--style");
    int rc = read_count(c, "--words", 2000, &o->n_words, err);
    if (!rc) rc = read_count(c, "--parts", 10000, &o->n_parts, err);
    if (rc) return rc;
    o->cites = flags_has(&c->flags, "--cite");
    o->restarts = flags_has(&c->flags, "--restart");
    o->is_list = style && strcmp(style, "list") == 0;
    if (!style || o->is_list || strcmp(style, "prose") == 0) return 0;
    ox_err_set(err, OX_EUSAGE, "--style %.40s: list or prose was expected", style);
    return ox_err_fix(err, "--style list, or leave it out for prose");
}

/* --- what will be done, and how far it is
 * ---------------------------------------------------------- */

static void note(const struct view *v, const char *text) {
    if (!v->is_quiet) fprintf(stderr, "-- %s\n", text);
}

static size_t count_merges(const struct summarize *s) {
    return s->n_steps - s->plan.n_parts;
}

/* " summarize boot.log   402,118 tokens   9 parts, then 1 merge" */
static void say_plan(const struct view *v, FILE *to) {
    const struct summarize *s = &v->sum;
    const struct talk_doc *d = &v->talk.doc[0];
    struct buf name = {0};
    char n[SAY_BYTES];
    if (text_show(&name, buf_str(&d->name), d->name.n, TEXT_LINE, NULL)) return;
    fprintf(to, "%ssummarize %s   %s%s tokens   ", to == stderr ? "-- " : "", buf_str(&name),
            v->talk.info->is_remote ? "about " : "", say_count(n, d->tok.n));
    if (s->n_steps == 1)
        fprintf(to, "one pass");
    else
        fprintf(to, "%zu parts, then %zu merge%s", s->plan.n_parts, count_merges(s),
                count_merges(s) == 1 ? "" : "s");
    if (d->charset != CHARSET_UTF8) fprintf(to, "   read as %s", charset_name(d->charset));
    fputc('\n', to);
    if (s->is_small && to == stderr)
        fputs("-- a model of this size reads parts better; --parts 1 takes as much as fits\n", to);
    if (s->n_kept == s->n_steps)
        fprintf(to, "%sthe summary is kept from an earlier run; --restart makes it anew\n",
                to == stderr ? "-- " : "");
    else if (s->n_kept)
        fprintf(to, "%s%zu of %zu steps are kept from an earlier run\n", to == stderr ? "-- " : "",
                s->n_kept, s->n_steps);
    buf_deinit(&name);
}

static int step_line(const struct view *v, const struct news *n, struct buf *b) {
    const struct summarize *s = &v->sum;
    const struct summarize_step *st = &s->step[s->at];
    char from[SAY_BYTES], to[SAY_BYTES];
    int rc = s->n_steps == 1 ? buf_puts(b, "reading", NULL)
             : st->level     ? buf_printf(b, NULL, "merge %zu of %zu", s->at - s->plan.n_parts + 1,
                                          count_merges(s))
                             : buf_printf(b, NULL, "part %zu of %zu", s->at + 1, s->plan.n_parts);
    size_t percent = n->n_prompt ? n->n_done * 100 / n->n_prompt : 0;
    if (!rc && v->redraws) {
        char cells[BAR_CELLS + 1];
        memset(cells, '.', BAR_CELLS);
        memset(cells, '#', percent * BAR_CELLS / 100);
        cells[BAR_CELLS] = '\0';
        rc = buf_printf(b, NULL, "  [%s]", cells);
    }
    if (!rc) rc = buf_printf(b, NULL, "  %zu%%", percent);
    if (!rc)
        rc = buf_printf(b, NULL, "  lines %s-%s", say_count(from, st->line_from),
                        say_count(to, st->line_to));
    double left = summarize_left(s, n->n_prompt);
    return rc || left < 0 ? rc : buf_printf(b, NULL, "  %s left", say_time(from, left));
}

static size_t columns(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

static void take_bar_away(struct view *v) {
    if (v->is_shown && v->redraws) fprintf(stderr, "\r\x1B[K");
    v->is_shown = false;
}

static void on_progress(void *user, const struct summarize *s, const struct news *n) {
    struct view *v = user;
    struct buf b = {0};
    double now = clock_s();
    bool is_due = v->redraws ? now - v->shown_s >= 0.1
                             : v->shown_step != s->at + 1 || now - v->shown_s >= LINE_EVERY_S;
    if (v->is_quiet || !is_due || step_line(v, n, &b)) {
        buf_deinit(&b);
        return;
    }
    size_t fit = text_fit(buf_str(&b), b.n, columns() - 2, NULL);
    if (v->redraws)
        fprintf(stderr, "\r %.*s\x1B[K", (int)fit, buf_str(&b));
    else
        fprintf(stderr, "-- %s\n", buf_str(&b));
    fflush(stderr);
    buf_deinit(&b);
    v->shown_s = now;
    v->shown_step = s->at + 1;
    v->is_shown = true;
}

static int on_text(void *user, const char *text, size_t n, ox_err *err) {
    struct view *v = user;
    take_bar_away(v);
    return v->is_json ? 0 : output_text(&v->out, text, n, err);
}

/* --- the result
 * ------------------------------------------------------------------------------------ */

/* Quotations stand in the summary itself, or were quoted from a part of the document; all are
 * checked against the document. */
static int collect(const struct view *v, struct buf *text, ox_err *err) {
    const struct summarize *s = &v->sum;
    const struct buf *last = &s->step[s->n_steps - 1].text;
    int rc = buf_add(text, buf_str(last), last->n, err);
    for (size_t i = 0; !rc && i < s->n_steps; i++) {
        const struct buf *q = &s->step[i].quote;
        bool bare = q->n && !strchr("\"\xE2\xC2", q->p[0]);
        if (q->n)
            rc =
                buf_printf(text, err, "\n\n%s%s%s", bare ? "\"" : "", buf_str(q), bare ? "\"" : "");
    }
    return rc;
}

static int print_citations(struct view *v, ox_err *err) {
    struct cited_list cited = {0};
    struct buf text = {0}, b = {0};
    int rc = collect(v, &text, err);
    if (!rc) rc = cited_find(&v->talk, buf_str(&text), text.n, &cited, err);
    if (!rc && cited.n) rc = buf_putc(&b, '\n', err);
    if (!rc) rc = cited_text(&cited, true, &b, err);
    if (!rc) rc = output_bytes(&v->out, buf_str(&b), b.n, err);
    cited_deinit(&cited);
    buf_deinit(&text);
    buf_deinit(&b);
    return rc;
}

static int print_json(struct view *v, ox_err *err) {
    const struct summarize *s = &v->sum;
    const struct buf *last = &s->step[s->n_steps - 1].text;
    struct cited_list cited = {0};
    struct buf text = {0}, b = {0};
    int rc = collect(v, &text, err);
    if (!rc) rc = cited_find(&v->talk, buf_str(&text), text.n, &cited, err);
    if (!rc) rc = buf_puts(&b, "{\"summary\":", err);
    if (!rc) rc = text_json(&b, buf_str(last), last->n, err);
    if (!rc) rc = buf_puts(&b, ",\"document\":", err);
    if (!rc) rc = text_json(&b, buf_str(&v->talk.doc[0].name), v->talk.doc[0].name.n, err);
    if (!rc)
        rc = buf_printf(&b, err,
                        ",\"tokens\":%zu,\"parts\":%zu,\"merges\":%zu,\"kept\":%zu,\"stop\":\"%s\","
                        "\"citations\":",
                        v->talk.doc[0].tok.n, s->plan.n_parts, count_merges(s), s->n_kept,
                        s->end == CHAT_LENGTH ? "length" : "eos");
    if (!rc) rc = cited_json(&cited, &b, err);
    if (!rc) rc = buf_puts(&b, "}\n", err);
    if (!rc) rc = output_bytes(&v->out, buf_str(&b), b.n, err);
    cited_deinit(&cited);
    buf_deinit(&text);
    buf_deinit(&b);
    return rc;
}

static int stopped(struct view *v) {
    const struct summarize *s = &v->sum;
    char text[160];
    size_t n = 0;
    while (n < s->n_steps && s->step[n].is_done)
        n++;
    if (!s->job || s->n_steps == 1)
        snprintf(text, sizeof text, "stopped");
    else
        snprintf(text, sizeof text,
                 "stopped; %zu of %zu steps are kept, the same command goes on with the next", n,
                 s->n_steps);
    note(v, text);
    v->c->status = 128 + (v->talk.signo ? v->talk.signo : 2);
    return OX_ECANCELLED;
}

static int summarise(struct view *v, ox_err *err) {
    const struct summarize_watch watch = {v, on_progress, on_text};
    int rc = summarize_run(&v->sum, &watch, err);
    take_bar_away(v);
    if (v->out.is_closed) {
        v->c->status = 141;
        return OX_ECANCELLED;
    }
    if (!v->is_json && v->out.last) {
        int end = output_end_line(&v->out, rc ? NULL : err);
        if (!rc) rc = end;
    }
    if (!rc && v->sum.end == CHAT_STOPPED) return stopped(v);
    if (!rc && v->is_json) return print_json(v, err);
    if (!rc && v->sum.opts.cites) rc = print_citations(v, err);
    if (!rc && v->sum.end == CHAT_LENGTH)
        note(v, "stopped at the length limit; --words N or -n N allows more");
    return rc;
}

/* --- the verb
 * -------------------------------------------------------------------------------------- */

static int prepare(struct view *v, const struct summarize_opts *opts, ox_err *err) {
    struct ingest in = {0};
    const struct signals_opts sig = {.twice_kills = true};
    int rc = signals_open(&sig, err);
    if (!rc) rc = input_file(v->c, v->c->flags.word[0], &in, err);
    if (!rc) rc = talk_start(&v->talk, &v->c->conf, err);
    if (!rc) rc = talk_ready(&v->talk, err);
    if (!rc) rc = talk_add(&v->talk, &in, err);
    ingest_deinit(&in);
    if (!rc && v->talk.save_note.n) note(v, buf_str(&v->talk.save_note));
    return rc ? rc : summarize_plan(&v->sum, &v->talk, opts, err);
}

static int run(struct cli *c, ox_err *err) {
    struct view v = {.c = c,
                     .is_quiet = flags_has(&c->flags, "-q"),
                     .is_json = flags_has(&c->flags, "--json"),
                     .out = {.fd = -1}};
    struct summarize_opts opts = {0};
    const struct output_opts where = {flags_out(&c->flags), flags_has(&c->flags, "--force"), false};
    bool dry = flags_has(&c->flags, "--dry-run");
    v.redraws = isatty(STDERR_FILENO) && strcmp(c->conf.term, "dumb") != 0 && !c->conf.accessible;
    int rc = read_opts(c, &opts, err);
    if (!rc) rc = prepare(&v, &opts, err);
    if (!rc && dry && v.is_json)
        printf("{\"tokens\":%zu,\"parts\":%zu,\"merges\":%zu,\"kept\":%zu}\n", v.talk.doc[0].tok.n,
               v.sum.plan.n_parts, count_merges(&v.sum), v.sum.n_kept);
    else if (!rc && dry)
        say_plan(&v, stdout);
    if (!rc && !dry && !v.is_quiet) say_plan(&v, stderr);
    if (!rc && !dry) rc = output_open(&where, &v.out, err);
    if (!rc && !dry) rc = summarise(&v, err);
    if (rc == OX_ECANCELLED) {
        if (!c->status) c->status = 128 + 2;
        if (err) *err = (ox_err){.code = rc};
    }
    if (v.out.fd >= 0) {
        int closed = output_close(&v.out, !rc, rc ? NULL : err);
        if (!rc) rc = closed;
    }
    summarize_deinit(&v.sum);
    talk_deinit(&v.talk);
    return rc;
}

const struct verb verb_summarize = {
    .name = "summarize",
    .args = "FILE",
    .brief = "a long document in brief",
    .flags = "--words --style --parts --restart --cite --encoding -n -o --force --json "
             "--dry-run " FLAGS_MODEL FLAGS_SAMPLING FLAGS_STORE FLAGS_ALWAYS,
    .examples = "oxbow summarize boot.log\tin one pass, or in parts that are kept\n"
                "oxbow summarize act.txt:1-2400 --words 200\tof some of its lines\n"
                "oxbow summarize report.pdf --cite\twith a checked quotation of each part\n"
                "oxbow summarize --dry-run act.txt\thow many parts it takes",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
