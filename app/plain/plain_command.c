/* plain_command.c - slash commands of the plain mode. The table of names is core/command.c; this
 * one says what each does here. */
#include "app/plain/plain.h"

#include "app/core/command.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/kept.h"
#include "app/named_prompt.h"
#include "app/open.h"
#include "app/signals.h"
#include "app/states_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- session --- */

static int do_quit(struct plain *p, const char *arg, ox_err *err) {
    (void)arg, (void)err;
    p->is_done = true;
    return 0;
}

static int do_new(struct plain *p, const char *arg, ox_err *err) {
    (void)arg, (void)err;
    talk_new(&p->talk);
    p->used_before = 0;
    plain_note(p, "a new session");
    return 0;
}

/* Documents that stood before a question wait again when it is taken back. */
static void take_back_docs(struct plain *p, const struct chat_node *question) {
    struct talk *t = &p->talk;
    for (size_t k = 0; k < question->n_docs; k++)
        for (size_t i = 0; i < t->n_docs; i++)
            if (t->doc[i].id == question->docs[k].doc && t->doc[i].from == question->docs[k].from &&
                t->doc[i].to == question->docs[k].to) {
                t->doc[i].is_waiting = true;
                plain_note(p, "[%zu] %s waits for your next question", i + 1,
                           buf_str(&t->doc[i].name));
            }
}

void plain_show_branch(struct plain *p) {
    struct talk *t = &p->talk;
    ox_err e = {0};
    if (t->held[0]) return; /* another process's screen stays as it is */
    if (t->st && t->id && t->chat.leaf > 0 && store_branch_show(t->st, t->id, t->chat.leaf, &e))
        plain_error(p, &e);
}

static int go_before(struct plain *p, int64_t question, ox_err *err) {
    struct talk *t = &p->talk;
    const struct chat_node *q = question ? chat_find(&t->chat, question) : NULL;
    if (!q) return ox_err_set(err, OX_EUSAGE, "there are not that many questions");
    take_back_docs(p, q);
    t->chat.leaf = q->parent;
    plain_show_branch(p);
    return 0;
}

static size_t count_turns(const struct talk *t) {
    size_t n = 0;
    while (chat_turn(&t->chat, t->chat.leaf, n + 1))
        n++;
    return n;
}

/* ", restart 312 tokens back, about 0.2 s" before question `id` is asked anew. */
static const char *price_of(struct plain *p, int64_t question, char out[SAY_PRICE_BYTES]) {
    struct ox_plan plan;
    if (talk_price(&p->talk, question, &plan, NULL)) return "the price is not known";
    return say_restart(out, plan.fresh + plan.replay, plan.time_s);
}

static int do_undo(struct plain *p, const char *arg, ox_err *err) {
    size_t n, turns = count_turns(&p->talk);
    int rc = command_count(arg, 1, &n, err);
    if (rc) return rc;
    if (n > turns)
        return ox_err_set(err, OX_EUSAGE, "this session has %zu turn%s", turns,
                          turns == 1 ? "" : "s");
    char price[SAY_PRICE_BYTES];
    int64_t question = chat_turn(&p->talk.chat, p->talk.chat.leaf, turns - n + 1);
    rc = go_before(p, question, err);
    if (!rc)
        plain_note(p, "back before turn %zu; the branch stays; %s", turns - n + 1,
                   price_of(p, question, price));
    return rc;
}

static int do_edit(struct plain *p, const char *arg, ox_err *err) {
    struct talk *t = &p->talk;
    size_t n, turns = count_turns(t);
    int rc = command_count(arg, turns ? turns : 1, &n, err);
    if (rc) return rc;
    int64_t id = chat_turn(&t->chat, t->chat.leaf, n);
    const struct chat_node *q = id ? chat_find(&t->chat, id) : NULL;
    if (!q)
        return ox_err_set(err, OX_EUSAGE, "this session has %zu turn%s", turns,
                          turns == 1 ? "" : "s");
    char *text = ox_strdup(q->text, "a question", err);
    char price[SAY_PRICE_BYTES];
    if (!text) return OX_ENOMEM;
    rc = go_before(p, id, err);
    if (!rc) plain_note(p, "edits question %zu in a new branch; %s", n, price_of(p, id, price));
    if (!rc && p->edits && !strchr(text, '\n'))
        line_prefill(p->line, text);
    else if (!rc)
        plain_note(p, "type question %zu anew; it was: %.300s", n, text);
    ox_free(text);
    return rc;
}

static int do_regen(struct plain *p, const char *arg, ox_err *err) {
    struct talk *t = &p->talk;
    const struct chat_node *leaf = t->chat.leaf ? chat_find(&t->chat, t->chat.leaf) : NULL;
    if (!leaf || leaf->role != OX_ROLE_ASSISTANT)
        return ox_err_set(err, OX_EUSAGE, "there is no answer yet");
    int64_t seed = p->conf->seed, old = t->chat.leaf, question = leaf->parent;
    int rc = *arg ? conf_set(p->conf, "seed", arg, "/regen", err) : 0;
    if (rc) return rc;
    t->chat.leaf = question;
    rc = plain_ask(p, NULL, 0, err);
    if (rc && t->chat.leaf == question) t->chat.leaf = old; /* it was not begun */
    p->conf->seed = seed;
    return rc;
}

/* --- documents --- */

static int do_file(struct plain *p, const char *arg, ox_err *err) {
    struct ingest in = {0};
    const struct ingest_opts opts = {.stop_fd = signals_fd()};
    int rc = kept_or_file(p->talk.st, arg, &opts, &in, err);
    if (!rc) rc = talk_add(&p->talk, &in, err);
    if (!rc) plain_added(p, p->talk.n_docs - 1);
    if (rc == OX_ECANCELLED) turn_signal();
    return rc;
}

static int do_docs(struct plain *p, const char *arg, ox_err *err) {
    char n[SAY_BYTES];
    (void)arg, (void)err;
    for (size_t i = 0; i < p->talk.n_docs; i++) {
        const struct talk_doc *d = &p->talk.doc[i];
        plain_note(p, "[%zu] %s, %s%s tokens%s", i + 1, buf_str(&d->name), plain_about(p),
                   say_count(n, d->tok.n), d->is_waiting ? ", waits for your next question" : "");
    }
    if (!p->talk.n_docs) plain_note(p, "no documents; /file PATH adds one");
    return 0;
}

static int do_doc(struct plain *p, const char *arg, ox_err *err) {
    enum { SHOWN_LINES = 20 };
    size_t n;
    int rc = command_count(arg, 1, &n, err);
    if (rc) return rc;
    if (n > p->talk.n_docs)
        return ox_err_set(err, OX_EUSAGE,
                          p->talk.n_docs == 1 ? "there is %zu document" : "there are %zu documents",
                          p->talk.n_docs);
    const struct talk_doc *d = &p->talk.doc[n - 1];
    const char *s = buf_str(&d->text), *end = s + d->text.n;
    for (size_t i = 0; !rc && i < SHOWN_LINES && s < end; i++) {
        size_t len = strcspn(s, "\n");
        struct buf b = {0};
        rc = buf_printf(&b, err, "%6zu  ", d->first_line + i);
        if (!rc) rc = text_brief(&b, s, len, 100, err);
        if (!rc) printf("%s\n", buf_str(&b));
        buf_deinit(&b);
        s += len + 1;
    }
    fflush(stdout);
    if (s < end) plain_note(p, "the first %d lines of %s", SHOWN_LINES, buf_str(&d->name));
    return rc;
}

static int do_drop(struct plain *p, const char *arg, ox_err *err) {
    size_t n;
    int rc = command_count(arg, 1, &n, err);
    if (!rc) rc = talk_drop(&p->talk, n - 1, err);
    if (!rc) plain_note(p, "document %zu is gone", n);
    return rc;
}

/* --- settings --- */

static int do_cite(struct plain *p, const char *arg, ox_err *err) {
    int rc = command_switch(arg, &p->cites, err);
    if (!rc) plain_note(p, p->cites ? "quotations are checked" : "quotations are not checked");
    return rc;
}

static int do_think(struct plain *p, const char *arg, ox_err *err) {
    bool on = false;
    int rc = command_switch(arg, &on, err);
    if (!rc) p->conf->no_think = !on;
    if (!rc)
        plain_note(
            p, p->talk.info->thinks ? "thoughts are %s" : "thoughts are %s; this model has none",
            arg);
    return rc;
}

static int do_set(struct plain *p, const char *arg, ox_err *err) {
    const char *key, *value;
    int rc = command_setting(arg, &key, &value, err);
    if (!rc) rc = conf_set(p->conf, key, value, "/set", err);
    if (!rc) plain_note(p, "%s is %s from the next answer on", key, value);
    return rc;
}

static int do_system(struct plain *p, const char *arg, ox_err *err) {
    struct talk *t = &p->talk;
    const struct chat_node *first = t->chat.leaf ? talk_message(t, 1) : NULL;
    if (!*arg) {
        bool in_tree = first && first->role == OX_ROLE_SYSTEM;
        const char *text = in_tree ? first->text : buf_str(&t->system);
        plain_note(p, *text ? "system prompt: %s" : "no system prompt%s", text);
        return 0;
    }
    if (t->chat.leaf) {
        ox_err_set(err, OX_EUSAGE, "a system prompt stands before the first question");
        return ox_err_fix(err, "/new, then /system TEXT");
    }
    buf_cut(&t->system, 0);
    int rc = buf_puts(&t->system, arg, err);
    if (!rc) plain_note(p, "the system prompt is set");
    return rc;
}

/* --- what is there --- */

/* "turn 3   412 tokens   without it 1,270 to read again, about 0.7 s" */
static void say_piece(const struct plain *p, const struct context_piece *c, double rate) {
    char name[64], tokens[SAY_BYTES], again[SAY_BYTES], time[SAY_BYTES];
    const struct talk *t = &p->talk;
    switch (c->kind) {
    case CONTEXT_SYSTEM: snprintf(name, sizeof name, "system prompt"); break;
    case CONTEXT_DOCUMENT:
        snprintf(name, sizeof name, "[%zu] %.40s", c->n,
                 c->n <= t->n_docs ? buf_str(&t->doc[c->n - 1].name) : "document");
        break;
    case CONTEXT_TURN: snprintf(name, sizeof name, "turn %zu", c->n); break;
    case CONTEXT_NONE: return;
    }
    say_count(tokens, c->tokens);
    if (!c->again)
        plain_note(p, "%-24s %8s   without it nothing is read again", name, tokens);
    else if (rate > 0)
        plain_note(p, "%-24s %8s   without it %s to read again, about %s", name, tokens,
                   say_count(again, c->again), say_time(time, (double)c->again / rate));
    else
        plain_note(p, "%-24s %8s   without it %s to read again", name, tokens,
                   say_count(again, c->again));
}

static int do_context(struct plain *p, const char *arg, ox_err *err) {
    enum { CELLS = 50, SHOWN = 12 };
    struct talk *t = &p->talk;
    struct context_map m;
    struct buf bar = {0};
    char a[SAY_BYTES], b[SAY_BYTES];
    const struct chat_ledger *l = &t->ledger;
    double rate = l->prefill_s > 0 ? (double)(l->n_in - l->n_reused) / l->prefill_s : 0;
    (void)arg;
    int rc = talk_map(t, &m, err);
    if (!rc) rc = context_bar(&m, t->info->max_tokens, CELLS, &bar, err);
    if (rc) return rc;
    plain_note(p, "%s%s of %s tokens used", plain_about(p), say_count(a, m.tokens),
               say_count(b, t->info->max_tokens));
    plain_note(p, "%s  s system, d documents, t turns, . free", buf_str(&bar));
    size_t first = m.n > SHOWN ? m.n - SHOWN : 0;
    for (size_t i = 0; i < m.n; i++)
        if (i >= first || m.v[i].kind != CONTEXT_TURN) say_piece(p, &m.v[i], rate);
    for (size_t i = 0; i < t->n_docs; i++)
        if (t->doc[i].is_waiting)
            plain_note(p, "[%zu] %s, %s%s tokens, waits for your next question", i + 1,
                       buf_str(&t->doc[i].name), plain_about(p), say_count(a, t->doc[i].tok.n));
    buf_deinit(&bar);
    context_deinit(&m);
    return 0;
}

static int do_tokens(struct plain *p, const char *arg, ox_err *err) {
    struct ox_tokens tok = {0};
    char n[SAY_BYTES];
    if (!*arg) return do_context(p, arg, err);
    int rc = turn_encode(p->talk.w, arg, strlen(arg), &tok, err);
    if (!rc) plain_note(p, "%s%s tokens", plain_about(p), say_count(n, tok.n));
    ox_free(tok.v);
    return rc;
}

static int do_stats(struct plain *p, const char *arg, ox_err *err) {
    const struct chat_ledger *l = &p->talk.ledger;
    char a[SAY_BYTES], b[SAY_BYTES], c[SAY_BYTES];
    (void)arg, (void)err;
    if (!l->n_in) {
        plain_note(p, "no answer yet");
        return 0;
    }
    char cost[SAY_COST_BYTES];
    plain_note(p, "%s, in %s", say_cost(cost, l), say_time(c, l->prefill_s));
    plain_note(p, "%s%s generated in %s, %.1f tok/s, seed %llu",
               l->ran == CHAT_RAN_REMOTE_ABOUT ? "about " : "", say_count(a, l->n_out),
               say_time(b, l->decode_s), l->decode_s > 0 ? (double)l->n_out / l->decode_s : 0,
               (unsigned long long)l->seed);
    return 0;
}

/* The one that a prompt is about: the first that waits, else the last that was sent. */
static const char *meant_doc(const struct talk *t) {
    for (size_t i = 0; i < t->n_docs; i++)
        if (t->doc[i].is_waiting) return buf_str(&t->doc[i].name);
    return t->n_docs ? buf_str(&t->doc[t->n_docs - 1].name) : NULL;
}

static int do_model(struct plain *p, const char *arg, ox_err *err) {
    const struct chat_ledger *l = &p->talk.ledger;
    char a[SAY_BYTES], b[SAY_BYTES], price[SAY_PRICE_BYTES];
    size_t used = talk_used(&p->talk), n = l->n_in > l->n_reused ? l->n_in - l->n_reused : 0;
    bool known = n >= 16 && l->prefill_s > l->load_s;
    int rc = *arg ? open_look(p->conf, arg, err) : 0;
    if (rc) return rc;
    if (*arg && used) {
        double each = known ? (l->prefill_s - l->load_s) / (double)n : 0;
        plain_note(p, "%s", say_price(price, used, (double)used * each));
        if (!plain_agrees(p)) return 0;
    }
    rc = *arg ? talk_model(&p->talk, arg, err) : talk_ready(&p->talk, err);
    if (rc) return rc;
    const struct ox_info *i = p->talk.info;
    if (i->is_remote) {
        plain_note(p, "%s, %s tokens of context", i->name, say_count(a, i->max_tokens));
        plain_lines(p, i->note);
    } else
        plain_note(p, "%s on %s, %s tokens of context, %s of weights", i->name, i->backend,
                   say_count(a, i->max_tokens), say_bytes(b, i->weight_bytes));
    return 0;
}

static int do_states(struct plain *p, const char *arg, ox_err *err) {
    struct buf words = {0};
    (void)arg;
    int rc = states_words_of(p->conf, p->talk.info, &words, err);
    if (!rc) plain_note(p, "%s", buf_str(&words));
    buf_deinit(&words);
    return rc;
}

static int do_theme(struct plain *p, const char *arg, ox_err *err) {
    (void)p, (void)arg;
    ox_err_set(err, OX_EUSAGE, "plain lines have no theme: their colours are the terminal's");
    return ox_err_fix(err, "the full screen has four; oxbow without --plain opens it");
}

/* Words behind the name fill it; with a document, its name is {{file}}. One line that
 * can be edited becomes the next one typed, as in the full screen; a longer one is sent. */
static int do_prompt(struct plain *p, const char *arg, ox_err *err) {
    struct buf text = {0};
    int rc = named_prompt_line(p->conf, arg, meant_doc(&p->talk), &text, err);
    if (!rc && p->edits && !memchr(text.p, '\n', text.n))
        line_prefill(p->line, buf_str(&text));
    else if (!rc)
        rc = plain_ask(p, buf_str(&text), text.n, err);
    buf_deinit(&text);
    return rc;
}

/* OSC 52: the terminal puts it on the clipboard, over ssh too. Only because the person asked. */
static int do_copy(struct plain *p, const char *arg, ox_err *err) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0;
    int rc = *arg ? command_count(arg, 1, &n, err) : 0;
    if (rc) return rc;
    const struct chat_node *m = talk_message(&p->talk, n);
    if (!m)
        return ox_err_set(err, OX_EUSAGE, n ? "there is no message %zu" : "there is no answer yet",
                          n);
    if (!p->out.is_terminal || !p->edits) {
        ox_err_set(err, OX_EFAIL, "this output has no clipboard");
        return ox_err_fix(err, "/export FILE writes the conversation");
    }
    struct buf b = {0};
    rc = buf_puts(&b, "\x1B]52;c;", err);
    const unsigned char *s = (const unsigned char *)m->text;
    for (size_t i = 0; !rc && i < m->n_bytes; i += 3) {
        size_t left = m->n_bytes - i;
        unsigned v = (unsigned)s[i] << 16 | (left > 1 ? (unsigned)s[i + 1] << 8 : 0) |
                     (left > 2 ? s[i + 2] : 0u);
        const char q[4] = {digits[v >> 18], digits[v >> 12 & 63],
                           left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};
        rc = buf_add(&b, q, 4, err);
    }
    if (!rc) rc = buf_putc(&b, '\a', err);
    if (!rc) rc = output_bytes(&p->out, buf_str(&b), b.n, err);
    if (!rc) plain_note(p, "copied %zu bytes (OSC 52; the terminal must allow it)", m->n_bytes);
    buf_deinit(&b);
    return rc;
}

static int do_help(struct plain *p, const char *arg, ox_err *err);

static const struct {
    enum command_id id;
    int (*run)(struct plain *p, const char *arg, ox_err *err);
} table[] = {
    {CMD_SESSIONS, plain_sessions},
    {CMD_RESUME, plain_resume},
    {CMD_TITLE, plain_title},
    {CMD_FORK, plain_fork},
    {CMD_EXPORT, plain_export},
    {CMD_SEARCH, plain_search},
    {CMD_HELP, do_help},
    {CMD_QUIT, do_quit},
    {CMD_NEW, do_new},
    {CMD_UNDO, do_undo},
    {CMD_EDIT, do_edit},
    {CMD_REGEN, do_regen},
    {CMD_SEEDS, plain_seeds},
    {CMD_COMPARE, plain_compare},
    {CMD_ANSWER, plain_take},
    {CMD_CONTINUE, plain_continue},
    {CMD_SUMMARIZE, plain_summarize},
    {CMD_COMPACT, plain_compact},
    {CMD_FILE, do_file},
    {CMD_DOCS, do_docs},
    {CMD_DOC, do_doc},
    {CMD_DROP, do_drop},
    {CMD_CITE, do_cite},
    {CMD_THINK, do_think},
    {CMD_SET, do_set},
    {CMD_SYSTEM, do_system},
    {CMD_CONTEXT, do_context},
    {CMD_TOKENS, do_tokens},
    {CMD_STATS, do_stats},
    {CMD_MODEL, do_model},
    {CMD_STATES, do_states},
    {CMD_PROMPT, do_prompt},
    {CMD_THEME, do_theme},
    {CMD_COPY, do_copy},
};
enum { N_TABLE = sizeof table / sizeof table[0] };

static int do_help(struct plain *p, const char *arg, ox_err *err) {
    size_t n;
    const struct command *all = command_table(&n);
    (void)arg, (void)err;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < N_TABLE; k++)
            if (table[k].id == all[i].id)
                fprintf(stderr, "  /%-10s %-10s %s\n", all[i].name, all[i].args, all[i].help);
    fprintf(
        stderr,
        "  lines between \"\"\" are one message; a line that ends in \\ goes on; // sends a slash\n"
        "  Ctrl-C stops an answer and keeps it; Ctrl-D leaves\n");
    (void)p;
    return 0;
}

/* The others may ask for the limits of the model, also after no model could be loaded. */
static bool needs_model(enum command_id id) {
    return id != CMD_QUIT && id != CMD_HELP && id != CMD_MODEL;
}

int plain_command(struct plain *p, const char *typed, ox_err *err) {
    struct command_line c;
    int rc = command_parse(typed, &c, err);
    size_t i = 0;
    while (!rc && i < N_TABLE && table[i].id != c.command->id)
        i++;
    if (!rc && i == N_TABLE) {
        ox_err_set(err, OX_EUSAGE, "/%s is not part of the plain mode yet", c.command->name);
        rc = ox_err_fix(err, "/help lists what is");
    }
    if (!rc && !p->talk.info && needs_model(c.command->id)) rc = talk_ready(&p->talk, err);
    if (!rc) rc = table[i].run(p, c.rest, err);
    if (rc && !p->out.is_closed) {
        plain_error(p, err);
        *err = (ox_err){0};
        return 0;
    }
    return rc;
}
