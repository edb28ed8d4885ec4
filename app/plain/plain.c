/* plain.c - see plain.h. */
#include "app/plain/plain.h"

#include "app/cited.h"
#include "app/clock.h"
#include "app/core/budget.h"
#include "app/core/command.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double QUIT_S = 2; /* a second Ctrl-C within this time leaves */

static void print_filtered(const char *before, const char *text) {
    struct buf shown = {0};
    if (text_show(&shown, text, strlen(text), TEXT_LINE, NULL) == 0)
        fprintf(stderr, "%s%s\n", before, buf_str(&shown));
    buf_deinit(&shown);
}

void plain_note(const struct plain *p, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!p->is_quiet && text[0]) print_filtered("-- ", text);
}

void plain_lines(const struct plain *p, const char *text) {
    for (const char *s = text; *s; s += strcspn(s, "\n") + (strchr(s, '\n') != NULL))
        plain_note(p, "%.*s", (int)strcspn(s, "\n"), s);
}

const char *plain_about(const struct plain *p) {
    return p->talk.info && p->talk.info->is_remote ? "about " : "";
}

void plain_error(const struct plain *p, const ox_err *e) {
    (void)p;
    if (!e->what[0]) return;
    print_filtered("-- ", e->what);
    if (e->where[0]) print_filtered("   where: ", e->where);
    if (e->fix[0]) print_filtered("   fix:   ", e->fix);
}

/* --- an answer --- */

static void on_progress(void *user, const struct news *n) {
    progress_news(&((struct plain *)user)->bar, n);
}

/* Marks stand where the quotations close; what cannot be checked is shown without. */
static int show_answer(struct plain *p, bool is_all, ox_err *err) {
    const struct talk *t = &p->talk;
    struct buf b = {0};
    int rc = cite_marker_feed(&p->marker, buf_str(&t->answer), t->answer.n, is_all, p->marks_in,
                              p->marks_in ? t->n_docs : 0, &b, err);
    if (!rc && b.n) rc = output_text(&p->out, b.p, b.n, err);
    buf_deinit(&b);
    return rc;
}

/* What an answer had before it went on is on the screen already. */
static int pass_earlier(struct plain *p, ox_err *err) {
    const struct talk *t = &p->talk;
    struct buf b = {0};
    int rc = cite_marker_feed(&p->marker, buf_str(&t->answer), t->n_earlier, false, p->marks_in,
                              p->marks_in ? t->n_docs : 0, &b, err);
    buf_deinit(&b);
    return rc;
}

static int on_text(void *user, const char *s, size_t n, ox_err *err) {
    struct plain *p = user;
    (void)s, (void)n; /* the talk has it all */
    progress_end(&p->bar);
    if (!p->out.last) { /* the label stands before the first word, not before a progress line */
        int rc = output_bytes(&p->out, "oxbow> ", 7, err);
        if (rc) return rc;
        rc = pass_earlier(p, err);
        if (rc) return rc;
    }
    return show_answer(p, false, err);
}

static void start_marks(struct plain *p) {
    p->marker = (struct cite_marker){0};
    if (p->cites && p->talk.n_docs && cited_docs(&p->talk, &p->marks_in, NULL)) p->marks_in = NULL;
}

static void end_marks(struct plain *p) {
    cite_marker_deinit(&p->marker);
    ox_free(p->marks_in);
    p->marks_in = NULL;
}

/* What an aside read is not what the next question will. */
static size_t used_now(struct talk *t) {
    struct context_map map = {0};
    size_t used = talk_used(t);
    if (t->is_aside && talk_map(t, &map, NULL) == 0 && map.tokens) used = map.tokens;
    context_deinit(&map);
    return used;
}

/* Where the context stands, and what the answer took. */
static void say_meter(struct plain *p) {
    const struct talk *t = &p->talk;
    char used[SAY_BYTES], limit[SAY_BYTES], cost[SAY_COST_BYTES];
    size_t now = used_now(&p->talk);
    const char *about = t->ledger.ran == CHAT_RAN_REMOTE_ABOUT ? "about " : "";
    struct buf resumed = {0};
    if (talk_resumed(t, &resumed, NULL) == 0 && resumed.n) plain_note(p, "%s", buf_str(&resumed));
    buf_deinit(&resumed);
    double rate = t->ledger.decode_s > 0 ? (double)t->ledger.n_out / t->ledger.decode_s : 0;
    plain_note(p, "%s%s/%s   %s   %s%.1f tok/s", about, say_short(used, now),
               say_limit(limit, t->info->max_tokens), say_cost(cost, &t->ledger), about, rate);
    int mark = budget_mark(p->used_before, now, t->info->max_tokens);
    if (mark)
        plain_note(p, "%d %% of the context is used; /new starts afresh, /undo goes back", mark);
    uint32_t trained = t->info->trained_tokens;
    if (trained && p->used_before <= trained && now > trained)
        plain_note(p, "past %s: this model was trained to %s", say_short(used, trained),
                   say_count(limit, trained));
    p->used_before = now;
}

/* SIGTERM and SIGHUP stop the answer too, but they mean the program. */
static bool is_told_to_leave(const struct talk *t) {
    return t->signo && t->signo != SIGINT;
}

/* Only a person at a terminal is asked; whoever writes lines into a pipe has decided. */
bool plain_agrees(struct plain *p) {
    struct buf answer = {0};
    enum line_got got = LINE_END;
    bool yes = !p->edits || (line_read(p->line, "go on? [y/N] ", &answer, &got, NULL) == 0 &&
                             got == LINE_TEXT && (answer.p[0] == 'y' || answer.p[0] == 'Y'));
    buf_deinit(&answer);
    return yes;
}

/* Another answer beside the one there is: what it reads again is told, and asked for if it is long.
 */
static int tell_price(struct plain *p, ox_err *err) {
    static const double ask_s = 10;
    const struct ox_plan *plan = &p->talk.plan;
    size_t n = plan->fresh + plan->replay;
    char price[SAY_PRICE_BYTES];
    if (n) plain_note(p, "another answer; %s", say_restart(price, n, plan->time_s));
    if (!n || plan->time_s < ask_s || plain_agrees(p)) return 0;
    return ox_err_set(err, OX_ECANCELLED, "left as it is");
}

enum turn { TURN_ASK, TURN_CONTINUE, TURN_PLANNED };

static int run_turn(struct plain *p, const char *question, size_t n, enum turn how, ox_err *err) {
    struct talk *t = &p->talk;
    bool was_full = t->is_full;
    int rc = talk_keep(t, err);
    if (rc) return rc;
    if (was_full) plain_note(p, "the disk has room again: all is saved");
    int64_t leaf = t->chat.leaf;
    const char *label = "the conversation";
    for (size_t i = 0; question && i < t->n_docs; i++)
        if (t->doc[i].is_waiting) label = buf_str(&t->doc[i].name);
    progress_start(&p->bar, p->is_quiet, p->edits, label);
    if (how == TURN_ASK) rc = talk_plan(t, question, n, err);
    if (!rc && how == TURN_ASK && !question)
        rc = p->seeds.n ? plain_seeds_price(p, err) : tell_price(p, err);
    const struct talk_watch watch = {p, on_progress, NULL, on_text};
    p->out.last = 0;
    start_marks(p);
    if (!rc)
        rc = how == TURN_CONTINUE ? talk_continue(t, &watch, err) : talk_answer(t, &watch, err);
    else
        t->chat.leaf = leaf;
    progress_end(&p->bar);
    if (!p->out.is_closed && p->out.last) {
        int shown = show_answer(p, true, rc ? NULL : err);
        if (!rc) rc = shown;
    }
    end_marks(p);
    if (p->out.is_closed) return rc;
    int end = output_end_line(&p->out, rc ? NULL : err);
    p->is_done = p->is_done || is_told_to_leave(t);
    if (rc) return rc;
    if (t->end == CHAT_STOPPED)
        plain_note(p, "stopped after %s%zu tokens",
                   t->ledger.ran == CHAT_RAN_REMOTE_ABOUT ? "about " : "", t->ledger.n_out);
    if (t->end == CHAT_LENGTH) plain_note(p, "stopped at the length limit");
    if (t->end == CHAT_DONE && !t->answer.n)
        plain_note(p, "the model gave an empty answer; /regen tries again");
    if (t->save_note.n) {
        plain_note(p, "%s", buf_str(&t->save_note));
        buf_cut(&t->save_note, 0); /* once is enough */
    }
    fflush(stdout);
    if (p->cites) cited_save(t);
    if (t->end != CHAT_STOPPED) say_meter(p);
    return end;
}

int plain_ask(struct plain *p, const char *question, size_t n, ox_err *err) {
    return run_turn(p, question, n, TURN_ASK, err);
}

int plain_continue(struct plain *p, const char *arg, ox_err *err) {
    (void)arg;
    return run_turn(p, NULL, 0, TURN_CONTINUE, err);
}

int plain_answer(struct plain *p, ox_err *err) {
    return run_turn(p, NULL, 0, TURN_PLANNED, err);
}

void plain_added(const struct plain *p, size_t i) {
    const struct talk *t = &p->talk;
    const struct talk_doc *d = &t->doc[i];
    char n[SAY_BYTES], limit[SAY_BYTES], bytes[SAY_BYTES];
    const char *as = d->charset == CHARSET_UTF8 ? "" : charset_name(d->charset);
    size_t room = t->info ? t->info->max_tokens : 0, used = talk_used(t);
    bool fits = d->tok.n + used + BUDGET_RESERVE <= room;
    plain_note(p, "[%zu] %s, %s%s tokens, %s (%s)%s%s; it goes with your next question", i + 1,
               buf_str(&d->name), plain_about(p), say_count(n, d->tok.n),
               fits ? "fits" : "does not fit", say_limit(limit, room), as[0] ? ", read as " : "",
               as);
    if (t->info && t->info->is_remote)
        plain_note(p, "its text, %s, is sent to %s then", say_bytes(bytes, d->text.n),
                   t->info->device);
}

/* --- reading --- */

/* A whole message: one line, lines joined by a trailing backslash, or a block between lines of """.
 */
static int read_message(struct plain *p, struct buf *out, enum line_got *got, ox_err *err) {
    struct buf one = {0};
    bool block = false, more = true;
    int rc = 0;
    buf_cut(out, 0);
    for (bool first = true; !rc && more; first = false) {
        rc = line_read(p->line, first ? "you> " : "...> ", &one, got, err);
        if (rc || *got != LINE_TEXT) break;
        const char *s = buf_str(&one);
        size_t n = one.n;
        bool fence = n >= 3 && strncmp(s, "\"\"\"", 3) == 0;
        if (first && fence) {
            block = true;
            s += 3;
            n -= 3;
            if (!n) continue;
        }
        bool closes = block && n >= 3 && strncmp(s + n - 3, "\"\"\"", 3) == 0;
        if (closes) n -= 3;
        bool joins = !block && n && s[n - 1] == '\\';
        if (joins) n--;
        if (out->n && !(closes && !n)) rc = buf_putc(out, '\n', err);
        if (!rc) rc = buf_add(out, s, n, err);
        more = block ? !closes : joins;
    }
    if (!rc && *got == LINE_STOPPED) rc = buf_add(out, buf_str(&one), one.n, err);
    if (!rc && *got == LINE_END && out->n) *got = LINE_TEXT; /* the input ended inside a block */
    buf_deinit(&one);
    return rc;
}

/* Typed bytes that are no text are shown and not sent. */
static bool is_sendable(struct plain *p, struct buf *typed) {
    while (typed->n && strchr(" \t\r\n", typed->p[typed->n - 1]))
        buf_cut(typed, typed->n - 1);
    size_t ok = text_valid(buf_str(typed), typed->n), text = strlen(buf_str(typed));
    if (text < ok)
        plain_note(p, "not sent: byte %zu is zero", (ok = text) + 1);
    else if (ok < typed->n)
        plain_note(p, "not sent: byte %zu is not UTF-8", ok + 1);
    return typed->n && ok == typed->n;
}

static int handle(struct plain *p, struct buf *typed, ox_err *err) {
    struct command_line c;
    if (!is_sendable(p, typed)) return 0;
    line_remember(p->line, buf_str(typed));
    int rc = command_parse(buf_str(typed), &c, err);
    if (!rc && c.command) return plain_command(p, buf_str(typed), err);
    if (!rc) rc = plain_ask(p, c.rest, strlen(c.rest), err);
    bool is_lost = rc == OX_EDEVICE || rc == OX_ENOMEM; /* no later answer can come either */
    if ((rc == OX_EBUSY || is_lost) && !isatty(STDIN_FILENO)) return rc; /* nobody to choose */
    if (rc && !p->out.is_closed) { /* nothing typed is lost: it is one key away */
        plain_error(p, err);
        if (p->edits && (rc == OX_EFIT || rc == OX_EUSAGE || rc == OX_EIO))
            plain_note(p, "Up brings your text back");
        *err = (ox_err){0};
        rc = 0;
    }
    return rc;
}

/* A kept answer, marked as it was when it came. */
static void show_kept(struct plain *p, const struct chat_node *m) {
    struct cite_marker marker = {0};
    struct buf b = {0};
    size_t n_docs = p->marks_in ? p->talk.n_docs : 0;
    if (cite_marker_feed(&marker, m->text ? m->text : "", m->n_bytes, true, p->marks_in, n_docs, &b,
                         NULL) == 0)
        output_text(&p->out, buf_str(&b), b.n, NULL);
    buf_deinit(&b);
    cite_marker_deinit(&marker);
}

void plain_transcript(struct plain *p) {
    static const char *const labels[] = {"", "system> ", "you> ", "oxbow> "};
    struct chat_node **path = NULL;
    size_t n = 0;
    if (chat_path(&p->talk.chat, p->talk.chat.leaf, &path, &n, NULL)) return;
    start_marks(p);
    for (size_t i = 0; i < n; i++) {
        const struct chat_node *m = path[i];
        for (size_t k = 0; k < m->n_docs; k++)
            plain_note(p, "[%s]", m->docs[k].name ? m->docs[k].name : "a deleted document");
        output_bytes(&p->out, labels[m->role], strlen(labels[m->role]), NULL);
        if (m->role == OX_ROLE_ASSISTANT)
            show_kept(p, m);
        else
            output_text(&p->out, m->text, m->n_bytes, NULL);
        if (m->end == CHAT_CRASHED) output_bytes(&p->out, " [interrupted]", 14, NULL);
        output_bytes(&p->out, "\n", 1, NULL);
    }
    end_marks(p);
    ox_free(path);
    const struct talk *t = &p->talk;
    if (t->held[0])
        plain_note(
            p,
            "%s; here it stands as it was a moment ago: /resume %.4s reads it again (lines that "
            "were printed are not changed); to go on in a copy: oxbow fork %.4s, or /fork",
            t->held, t->uid, t->uid);
}

static void greet(const struct plain *p) {
    const struct ox_info *i = p->talk.info;
    char limit[SAY_BYTES];
    plain_note(p, "%s, %s tokens of context; /help lists commands, Ctrl-D leaves", i->name,
               say_count(limit, i->max_tokens));
    plain_lines(p, i->note);
    if (p->talk.save_note.n) plain_note(p, "%s", buf_str(&p->talk.save_note));
}

int plain_run(struct plain *p, const char *draft, ox_err *err) {
    struct buf typed = {0};
    double stopped_at = -QUIT_S;
    const struct line_opts opts = {p->edits, !isatty(STDIN_FILENO), signals_fd()};
    ox_err local = {0};
    if (!err) err = &local;
    int rc = line_open(&opts, &p->line, err);
    if (!rc) greet(p);
    if (!rc && draft && draft[0] && p->edits)
        line_prefill(p->line, draft);
    else if (!rc && draft && draft[0])
        plain_note(p, "the words on the command line were not sent: a draft needs a terminal");
    while (!rc && !p->is_done) {
        enum line_got got = LINE_END;
        rc = read_message(p, &typed, &got, err);
        if (rc || got == LINE_END) break;
        if (got == LINE_TEXT) {
            rc = handle(p, &typed, err);
            continue;
        }
        int signo = turn_signal();
        bool again = clock_s() - stopped_at < QUIT_S;
        if (signo != 0 && signo != 2)
            rc = OX_ECANCELLED; /* SIGTERM, SIGHUP */
        else if (typed.n) {
            line_remember(p->line, buf_str(&typed));
            plain_note(p, "put aside; Up brings it back");
        } else if (again)
            break;
        else
            plain_note(p, "again to quit");
        stopped_at = typed.n ? -QUIT_S : clock_s();
        if (rc) p->talk.signo = signo;
    }
    if (!rc && is_told_to_leave(&p->talk)) rc = OX_ECANCELLED;
    ox_err full = {0};
    if (talk_keep(&p->talk, &full)) {
        ox_err_fix(&full, "the last question and answer are on the screen only: copy them");
        plain_error(p, &full);
    }
    line_close(p->line);
    p->line = NULL;
    buf_deinit(&typed);
    return rc;
}
