/* summarize.c - see summarize.h. */
#include "app/summarize.h"

#include "app/cited.h"
#include "app/clock.h"
#include "app/core/budget.h"
#include "app/core/quoted.h"
#include "app/core/text.h"

#include <stdio.h>
#include <string.h>

enum {
    PART_ANSWER = 512,  /* tokens; long enough for a page's worth, short enough to merge many */
    MARK_TOKENS = 48,   /* role marks and the words before a document */
    PART_WORDS = 100,   /* asked for of a part */
    QUOTE_ANSWER = 160, /* tokens of a quoted sentence */
    QUOTE_FAILS = 6,    /* tries in a row without a new sentence, after which a list ends */
    QUOTE_PART = 4096,  /* tokens from which a small model quotes at once */
    STEP_COST = 600     /* an answer of 100 tokens takes about as long as reading 600 */
};

static const float RETRY_TEMPERATURE = 0.8f;

static const struct talk_doc *doc_of(const struct summarize *s) {
    return &s->t->doc[0];
}

static bool is_last(const struct summarize *s, size_t i) {
    return i + 1 == s->n_steps;
}

/* --- the plan
 * -------------------------------------------------------------------------------------- */

static int cut_chunks(struct summarize *s, struct chunk **out, size_t **tokens, size_t *n,
                      ox_err *err) {
    const struct buf *text = &doc_of(s)->text;
    struct chunk_walk walk = {0};
    struct chunk c;
    size_t cap = 0, cap_tokens = 0;
    int rc = 0;
    while (!rc && chunk_next(&walk, buf_str(text), text->n, NULL, 0, &c)) {
        struct ox_tokens tok = {0};
        rc = ox_grow(out, &cap, *n + 1, sizeof **out, err);
        if (!rc) rc = ox_grow(tokens, &cap_tokens, *n + 1, sizeof **tokens, err);
        if (!rc) rc = turn_encode(s->t->w, text->p + c.from, c.to - c.from, &tok, err);
        if (rc) break;
        (*out)[*n] = c;
        (*tokens)[(*n)++] = tok.n;
        ox_free(tok.v);
    }
    return rc;
}

/* With --parts N the parts get smaller until there are N. */
static int plan_parts(struct summarize *s, struct summary_limits *l, const struct chunk *chunk,
                      const size_t *tokens, size_t n, ox_err *err) {
    size_t total = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        total += tokens[i];
        if (tokens[i] > largest) largest = tokens[i];
    }
    size_t want = s->opts.n_parts < n ? s->opts.n_parts : n;
    l->max_part = want > 1 ? total / want + largest : 0;
    for (;;) {
        int rc = summary_make(chunk, tokens, n, l, &s->plan, err);
        if (rc || s->plan.n_parts >= want || l->max_part <= largest) return rc;
        summary_deinit(&s->plan);
        l->max_part -= (l->max_part - largest + 7) / 8;
    }
}

static int make_plan(struct summarize *s, ox_err *err) {
    const struct talk_doc *d = doc_of(s);
    struct budget b = budget_for(s->t->info->max_tokens, 0, 0);
    struct summary_limits l = {.context = b.limit,
                               .reserve = b.reserve,
                               .prompt = 2 * MARK_TOKENS,
                               .part_answer = s->part_answer};
    struct chunk whole = {.to = d->text.n, .line = 1}, *chunk = NULL;
    size_t *tokens = NULL, n = 0, one = d->tok.n;
    int rc;
    bool small = summary_is_small(s->t->info);
    s->quotes = s->opts.is_list && small;
    size_t good = s->quotes ? QUOTE_PART : SUMMARY_SMALL_PART;
    s->is_small = !s->opts.n_parts && one > good && small;
    if (s->is_small) s->opts.n_parts = (one + good - 1) / good;
    if (s->opts.n_parts < 2 && one + l.reserve + l.prompt <= l.context) {
        rc = summary_make(&whole, &one, 1, &l, &s->plan, err);
    } else {
        rc = cut_chunks(s, &chunk, &tokens, &n, err);
        if (!rc) rc = plan_parts(s, &l, chunk, tokens, n, err);
    }
    ox_free(chunk);
    ox_free(tokens);
    return rc;
}

static size_t first_of_level(const struct summarize *s, size_t level) {
    size_t first = 0;
    for (size_t l = 0; l < level; l++)
        first += summary_width(&s->plan, l);
    return first;
}

static int make_steps(struct summarize *s, ox_err *err) {
    const struct talk_doc *d = doc_of(s);
    s->n_steps = first_of_level(s, s->plan.n_levels) + summary_width(&s->plan, s->plan.n_levels);
    s->step = ox_alloc(s->n_steps, sizeof *s->step, "steps of a summary", err);
    if (!s->step) return OX_ENOMEM;
    size_t line = d->first_line, at = 0, i = 0;
    for (; i < s->plan.n_parts; i++) {
        const struct summary_part *p = &s->plan.part[i];
        size_t from = line;
        for (; at < p->to; at++)
            line += d->text.p[at] == '\n';
        size_t last = line > from && d->text.p[p->to - 1] == '\n' ? line - 1 : line;
        s->step[i] = (struct summarize_step){.idx = i,
                                             .from = p->from,
                                             .to = p->to,
                                             .line_from = from,
                                             .line_to = last,
                                             .cost = (double)p->tokens + STEP_COST};
    }
    for (size_t level = 1; level <= s->plan.n_levels; level++)
        for (size_t k = 0; k < summary_width(&s->plan, level); k++, i++) {
            size_t first, n, below = first_of_level(s, level - 1);
            summary_inputs(&s->plan, level, k, &first, &n);
            const struct summarize_step *a = &s->step[below + first],
                                        *b = &s->step[below + first + n - 1];
            s->step[i] =
                (struct summarize_step){level,
                                        k,
                                        a->from,
                                        b->to,
                                        a->line_from,
                                        b->line_to,
                                        .cost = (double)(n * s->part_answer / 3 + STEP_COST)};
        }
    return 0;
}

/* --- what an earlier run kept
 * ---------------------------------------------------------------------- */

/* Another wording of the prompts is another job. */
static uint64_t digest_prompts(void) {
    static const char *const names[] = {"document", "summarize", "summarize_list",
                                        "summarize_quote", "summarize_sentences"};
    uint64_t h = TEXT_HASH;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = prompt_builtin(names[i]);
        h = text_hash(h, text ? text : "", text ? strlen(text) : 0);
    }
    return h;
}

/* All that the text of a step depends on, besides document and model. */
static int write_options(const struct summarize *s, bool last, struct buf *b, ox_err *err) {
    const struct config *c = s->t->conf;
    const struct talk_doc *d = doc_of(s);
    struct ox_sampling how = conf_sampling(c, &s->t->info->defaults);
    int rc = buf_printf(b, err,
                        "{\"from\":%llu,\"to\":%llu,\"parts\":%zu,\"part_answer\":%zu,\"cite\":%d,"
                        "\"prompts\":\"%016llx\",\"temperature\":%g,\"top_p\":%g,\"top_k\":%d,"
                        "\"min_p\":%g,\"repeat_penalty\":%g",
                        (unsigned long long)d->from, (unsigned long long)d->to, s->plan.n_parts,
                        s->part_answer, s->opts.cites, (unsigned long long)digest_prompts(),
                        (double)how.temperature, (double)how.top_p, how.top_k, (double)how.min_p,
                        (double)how.repeat);
    if (!rc && s->quotes) rc = buf_puts(b, ",\"quotes\":1", err);
    if (!rc && c->seed >= 0) rc = buf_printf(b, err, ",\"seed\":%lld", (long long)c->seed);
    if (!rc && last)
        rc = buf_printf(b, err, ",\"words\":%zu,\"style\":\"%s\",\"answer\":%zu", s->opts.n_words,
                        s->opts.is_list ? "list" : "prose", s->max_answer);
    return rc ? rc : buf_putc(b, '}', err);
}

static int open_job(struct summarize *s, bool last, int64_t *job, ox_err *err) {
    struct buf options = {0};
    enum store_job_state was;
    int rc = write_options(s, last, &options, err);
    if (!rc) rc = store_job_open(s->t->st, doc_of(s)->id, buf_str(&options), job, &was, err);
    if (!rc && s->opts.restarts) rc = store_job_restart(s->t->st, *job, err);
    buf_deinit(&options);
    return rc;
}

struct taking {
    struct summarize *s;
    bool last;
    ox_err *err;
};

/* A part is taken up if it summarised the very same bytes. */
static int take_part(void *user, const struct store_part *row) {
    struct taking *k = user;
    struct summarize *s = k->s;
    size_t base = (size_t)doc_of(s)->from;
    for (size_t i = 0; i < s->n_steps; i++) {
        struct summarize_step *st = &s->step[i];
        if (is_last(s, i) != k->last || st->is_done || (size_t)row->level != st->level ||
            (size_t)row->idx != st->idx || row->from != base + st->from || row->to != base + st->to)
            continue;
        st->is_done = st->was_kept = true;
        s->n_kept++;
        const char *quote = strchr(row->text, '\f');
        size_t n = quote ? (size_t)(quote - row->text) : strlen(row->text);
        int rc = buf_add(&st->text, row->text, n, k->err);
        return rc || !quote ? rc : buf_puts(&st->quote, quote + 1, k->err);
    }
    return 0;
}

static int take_up(struct summarize *s, ox_err *err) {
    struct taking k = {s, true, err};
    if (!s->t->st || doc_of(s)->id <= 0) return 0;
    int rc = open_job(s, true, &s->job, err);
    if (!rc) rc = store_job_parts(s->t->st, s->job, take_part, &k, err);
    if (rc || s->n_steps == 1) return rc;
    k.last = false;
    rc = open_job(s, false, &s->parts_job, err);
    return rc ? rc : store_job_parts(s->t->st, s->parts_job, take_part, &k, err);
}

int summarize_plan(struct summarize *s, struct talk *t, const struct summarize_opts *opts,
                   ox_err *err) {
    struct budget b = budget_for(t->info->max_tokens, 0, 0);
    *s = (struct summarize){.t = t, .opts = *opts};
    if (!s->opts.n_words) s->opts.n_words = SUMMARY_WORDS;
    size_t words = s->opts.n_words * 3 + 64; /* a model that does not stop is stopped */
    s->max_answer = t->conf->max_new > 0 ? (size_t)t->conf->max_new : words;
    if (s->max_answer > b.reserve) s->max_answer = b.reserve;
    s->part_answer = PART_ANSWER < b.limit / 8 ? PART_ANSWER : b.limit / 8;
    int rc = make_plan(s, err);
    if (!rc) rc = make_steps(s, err);
    if (!rc) rc = take_up(s, err);
    for (size_t i = 0; !rc && i < s->n_steps; i++)
        if (!s->step[i].is_done) s->todo += s->step[i].cost;
    return rc;
}

/* --- one step
 * -------------------------------------------------------------------------------------- */

static int write_task(const struct summarize *s, size_t i, struct buf *out, ox_err *err) {
    if (!is_last(s, i)) return summary_question(out, "summarize", PART_WORDS, err);
    return summary_question(out, s->opts.is_list ? "summarize_list" : "summarize", s->opts.n_words,
                            err);
}

/* What the step reads: its part of the document, or the summaries below it. */
static int write_source(const struct summarize *s, size_t i, struct buf *out, ox_err *err) {
    const struct summarize_step *st = &s->step[i];
    size_t first, n, below;
    int rc = 0;
    if (!st->level) return buf_add(out, doc_of(s)->text.p + st->from, st->to - st->from, err);
    summary_inputs(&s->plan, st->level, st->idx, &first, &n);
    below = first_of_level(s, st->level - 1) + first;
    for (size_t k = 0; !rc && k < n; k++) {
        if (k) rc = buf_puts(out, "\n\n", err);
        if (!rc) rc = buf_add(out, s->step[below + k].text.p, s->step[below + k].text.n, err);
    }
    return rc;
}

struct stepping {
    struct summarize *s;
    const struct summarize_watch *watch;
    struct buf *out;
    struct ox_tokens tok; /* of the answer so far */
    bool is_shown;
    bool one_quote; /* the answer ends with its first quotation mark or paragraph */
    bool is_full;   /* and has come to it */
    size_t n_fails; /* tries before this one: argmax would say the same again */
};

static int on_progress(void *user, const struct news *n, ox_err *err) {
    struct stepping *k = user;
    struct eta *e = &k->s->eta;
    (void)err;
    if (e->seconds <= 0)
        eta_start(e, n->plan.live + n->plan.restored, k->s->started_s, n->plan.deepening);
    if (k->watch->progress) k->watch->progress(k->watch->user, k->s, n);
    return 0;
}

static size_t quote_end(const struct buf *b) {
    size_t n = strcspn(buf_str(b), "\"");
    const char *blank = strstr(buf_str(b), "\n\n");
    return blank && (size_t)(blank - buf_str(b)) < n ? (size_t)(blank - buf_str(b)) : n;
}

static int on_text(void *user, const struct news *n, ox_err *err) {
    struct stepping *k = user;
    int rc = buf_add(k->out, n->text ? n->text : "", n->n_bytes, err);
    if (!rc) rc = ox_grow(&k->tok.v, &k->tok.cap, k->tok.n + n->tok.n, sizeof *k->tok.v, err);
    if (rc) return rc;
    if (n->tok.n) memcpy(k->tok.v + k->tok.n, n->tok.v, n->tok.n * sizeof *n->tok.v);
    k->tok.n += n->tok.n;
    k->is_full = k->one_quote && quote_end(k->out) < k->out->n;
    if (k->is_full) return OX_ECANCELLED;
    return k->is_shown && n->n_bytes ? k->watch->text(k->watch->user, n->text, n->n_bytes, err) : 0;
}

/* Sends what the prompt holds, which is taken over, and adds the answer to k->out. */
static int send(struct stepping *k, struct prompt *prompt, enum ox_reply reply, size_t max_tokens,
                ox_err *err) {
    struct summarize *s = k->s;
    const struct turn_watch on = {k, on_progress, on_text};
    struct news last = {0};
    struct work job = {.kind = WORK_ANSWER,
                       .prompt = *prompt,
                       .max_new_tokens = max_tokens,
                       .how = conf_sampling(s->t->conf, &s->t->info->defaults),
                       .reply = reply,
                       .keep = s->t->conf->save && !k->tok.n};
    if (k->n_fails) {
        job.how.temperature = RETRY_TEMPERATURE;
        job.how.seed = k->n_fails;
    }
    *prompt = (struct prompt){0};
    int rc = turn_run(s->t->w, &job, &on, &last, err);
    int signo = turn_signal();
    if (signo) s->t->signo = signo;
    s->end = rc ? CHAT_FAILED : last.end;
    if (rc == OX_ECANCELLED && signo) {
        s->end = CHAT_STOPPED;
        rc = 0;
    } else if (rc == OX_ECANCELLED && k->is_full) {
        s->end = CHAT_DONE;
        rc = 0;
    }
    s->n_out += last.ledger.n_out;
    news_deinit(&last);
    return rc;
}

/* A summary that was cut at its limit ends with its last whole sentence: merging half a sentence
 * makes a model finish it. */
static void trim_end(struct buf *b, bool is_cut) {
    size_t n = b->n;
    while (is_cut && n && !strchr(".!?\n", b->p[n - 1]))
        n--;
    if (n) buf_cut(b, n);
    while (b->n && strchr(" \n\t", b->p[b->n - 1]))
        buf_cut(b, b->n - 1);
}

/* question NULL: the summary that this step is for. */
static int build(const struct summarize *s, size_t i, const char *question, struct prompt *p,
                 ox_err *err) {
    struct buf source = {0}, task = {0};
    int rc = write_source(s, i, &source, err);
    if (!rc)
        rc = question ? summary_question(&task, question, 0, err) : write_task(s, i, &task, err);
    if (!rc) rc = prompt_document(p, buf_str(&source), source.n, NULL, 0, err);
    if (!rc) rc = prompt_user(p, buf_str(&task), task.n, err);
    buf_deinit(&source);
    buf_deinit(&task);
    return rc;
}

/* The second question about a part: only its own tokens are read. */
static int ask_quote(struct stepping *k, size_t i, ox_err *err) {
    struct summarize_step *st = &k->s->step[i];
    struct prompt p = {0};
    struct buf task = {0};
    int rc = build(k->s, i, NULL, &p, err);
    if (!rc) rc = prompt_assistant(&p, buf_str(&st->text), st->text.n, k->tok.v, k->tok.n, err);
    if (!rc) rc = summary_question(&task, "summarize_quote", 0, err);
    if (!rc) rc = prompt_user(&p, buf_str(&task), task.n, err);
    buf_deinit(&task);
    k->is_shown = false;
    k->out = &st->quote;
    if (!rc) rc = send(k, &p, OX_REPLY_NO_THINK, QUOTE_ANSWER, err);
    prompt_deinit(&p);
    return rc;
}

static int ask(struct summarize *s, size_t i, const struct summarize_watch *watch, ox_err *err) {
    struct summarize_step *st = &s->step[i];
    struct stepping k = {.s = s, .watch = watch, .out = &st->text, .is_shown = is_last(s, i)};
    struct prompt p = {0};
    buf_cut(&st->text, 0);
    buf_cut(&st->quote, 0);
    int rc = build(s, i, NULL, &p, err);
    size_t most = is_last(s, i) ? s->max_answer : s->part_answer;
    if (!rc) rc = send(&k, &p, OX_REPLY_NO_THINK, most, err);
    prompt_deinit(&p);
    enum chat_end end = s->end;
    if (!rc && end != CHAT_STOPPED && s->opts.cites && !st->level && !s->quotes) {
        rc = ask_quote(&k, i, err);
        if (s->end != CHAT_STOPPED) s->end = end;
    }
    ox_free(k.tok.v);
    return rc;
}

/* --- one pass: a turn of a session
 * ---------------------------------------------------------------- */

static void on_talk_progress(void *user, const struct news *n) {
    on_progress(user, n, NULL);
}

static int on_talk_text(void *user, const char *text, size_t n, ox_err *err) {
    struct stepping *k = user;
    int rc = buf_add(k->out, text, n, err);
    return rc || !k->is_shown ? rc : k->watch->text(k->watch->user, text, n, err);
}

static int talk_turn(struct stepping *k, const struct buf *task, size_t max_tokens, ox_err *err) {
    struct talk *t = k->s->t;
    const struct talk_watch on = {k, on_talk_progress, NULL, on_talk_text};
    int64_t max_new = t->conf->max_new;
    t->conf->max_new = (int64_t)max_tokens;
    int rc = talk_plan(t, buf_str(task), task->n, err);
    if (!rc) rc = talk_answer(t, &on, err);
    if (!rc) cited_save(t);
    t->conf->max_new = max_new;
    k->s->end = t->end;
    k->s->n_out += t->ledger.n_out;
    return rc;
}

static int ask_session(struct summarize *s, const struct summarize_watch *watch, ox_err *err) {
    struct summarize_step *st = &s->step[0];
    struct stepping k = {.s = s, .watch = watch, .out = &st->text, .is_shown = true};
    struct buf task = {0};
    int rc = write_task(s, 0, &task, err);
    if (!rc) rc = talk_turn(&k, &task, s->max_answer, err);
    enum chat_end end = s->end;
    if (!rc && end != CHAT_STOPPED && s->opts.cites) {
        buf_cut(&task, 0);
        k.out = &st->quote;
        k.is_shown = false;
        rc = summary_question(&task, "summarize_quote", 0, err);
        if (!rc) rc = talk_turn(&k, &task, QUOTE_ANSWER, err);
        if (s->end != CHAT_STOPPED) s->end = end;
    }
    buf_deinit(&task);
    return rc;
}

/* --- a list of sentences
 * -------------------------------------------------------------------------- */

/* The next sentence of the list: the answer so far is begun for the model, which writes up to the
 * closing mark. Only the answer's own tokens are read again. */
static int ask_sentence(struct stepping *k, size_t i, struct buf *list, struct buf *out,
                        ox_err *err) {
    struct prompt p = {0};
    struct ox_tokens tok = {0};
    int rc = buf_puts(list, list->n ? "\"\n- \"" : "- \"", err);
    if (!rc) rc = turn_encode(k->s->t->w, buf_str(list), list->n, &tok, err);
    if (!rc) rc = build(k->s, i, "summarize_sentences", &p, err);
    if (!rc) rc = prompt_assistant(&p, buf_str(list), list->n, tok.v, tok.n, err);
    buf_cut(out, 0);
    k->out = out;
    if (!rc) rc = send(k, &p, OX_REPLY_CONTINUE, QUOTE_ANSWER, err);
    if (!rc) buf_cut(out, quote_end(out));
    if (!rc) rc = buf_add(list, buf_str(out), out->n, err);
    ox_free(tok.v);
    prompt_deinit(&p);
    return rc;
}

/* Sentences until there are enough words, or nothing new comes. What does not stand in the document
 * is taken back, or the model would go on inventing; what stands there but is of no use (a heading)
 * stays, so that the model gets past it. */
static int list_sentences(struct stepping *k, size_t i, struct quoted *q, ox_err *err) {
    struct summarize *s = k->s;
    struct talk_doc *d = &s->t->doc[0];
    struct buf list = {0}, one = {0};
    size_t want = is_last(s, i) ? s->opts.n_words : PART_WORDS;
    int rc = d->index ? 0 : cite_index_new(buf_str(&d->text), d->text.n, &d->index, err);
    while (!rc && q->n_words < want && k->n_fails < QUOTE_FAILS) {
        enum quoted_end end;
        size_t before = list.n;
        rc = ask_sentence(k, i, &list, &one, err);
        if (rc || s->end == CHAT_STOPPED) break;
        rc = quoted_add(q, d->index, buf_str(&d->text), buf_str(&one), one.n, &end, err);
        k->n_fails = end == QUOTED_NEW ? 0 : k->n_fails + 1;
        char *twice = strstr(buf_str(&list), buf_str(&one));
        bool was_said = twice && (size_t)(twice - buf_str(&list)) < before;
        if (end == QUOTED_MISSING || was_said) buf_cut(&list, before);
    }
    buf_deinit(&list);
    buf_deinit(&one);
    return rc;
}

/* 0 without a text: the model quotes nothing that stands in the document. */
static int ask_sentences(struct summarize *s, size_t i, const struct summarize_watch *watch,
                         ox_err *err) {
    struct summarize_step *st = &s->step[i];
    struct stepping k = {.s = s, .watch = watch, .one_quote = true};
    struct quoted q = {0};
    const char *doc = buf_str(&doc_of(s)->text);
    buf_cut(&st->text, 0);
    int rc = list_sentences(&k, i, &q, err);
    if (!rc && s->end != CHAT_STOPPED) rc = quoted_put(&q, doc, &st->text, err);
    ox_free(k.tok.v);
    quoted_deinit(&q);
    if (rc || s->end == CHAT_STOPPED || !st->text.n || !is_last(s, i)) return rc;
    rc = watch->text(watch->user, buf_str(&st->text), st->text.n, err);
    if (rc || s->n_steps > 1) return rc;
    struct buf task = {0}; /* a session, as any summary in one pass */
    rc = summary_question(&task, "summarize_sentences", 0, err);
    if (!rc) rc = talk_tell(s->t, buf_str(&task), task.n, buf_str(&st->text), st->text.n, err);
    if (!rc) cited_save(s->t);
    buf_deinit(&task);
    return rc;
}

/* --- all steps
 * ------------------------------------------------------------------------------------- */

/* The quotation stands behind a form feed, which no text of a model has by then. */
static int keep(struct summarize *s, size_t i, ox_err *err) {
    struct summarize_step *st = &s->step[i];
    int64_t job = is_last(s, i) ? s->job : s->parts_job;
    size_t base = (size_t)doc_of(s)->from;
    struct buf text = {0};
    if (!job || !s->t->st) return 0;
    int rc = buf_add(&text, buf_str(&st->text), st->text.n, err);
    if (!rc && st->quote.n) rc = buf_putc(&text, '\f', err);
    if (!rc && st->quote.n) rc = buf_add(&text, st->quote.p, st->quote.n, err);
    const struct store_part part = {(int)st->level, (int)st->idx,   base + st->from,
                                    base + st->to,  buf_str(&text), s->n_out};
    if (!rc) rc = store_job_part(s->t->st, job, &part, err);
    buf_deinit(&text);
    return rc;
}

static void end_jobs(struct summarize *s, enum store_job_state how) {
    const int64_t jobs[] = {s->parts_job, s->job};
    for (int i = 0; i < 2; i++)
        if (jobs[i] && s->t->st) store_job_end(s->t->st, jobs[i], how, 0, NULL);
}

/* The only summary below, for a merge that has no other; NULL if there are more. */
static const struct buf *only_source(const struct summarize *s, size_t i) {
    const struct summarize_step *st = &s->step[i];
    size_t first, n;
    if (!st->level) return NULL;
    summary_inputs(&s->plan, st->level, st->idx, &first, &n);
    return n == 1 ? &s->step[first_of_level(s, st->level - 1) + first].text : NULL;
}

static int finish_step(struct summarize *s, size_t i, enum chat_end end, ox_err *err) {
    struct summarize_step *st = &s->step[i];
    trim_end(&st->text, end == CHAT_LENGTH && !is_last(s, i));
    trim_end(&st->quote, false);
    for (size_t k = 0; k < st->text.n; k++)
        if (st->text.p[k] == '\f') st->text.p[k] = ' ';
    int rc = keep(s, i, err);
    st->is_done = !rc;
    s->todo -= st->cost;
    return rc;
}

static int do_step(struct summarize *s, size_t i, const struct summarize_watch *watch,
                   ox_err *err) {
    struct summarize_step *st = &s->step[i];
    s->started_s = clock_s();
    s->eta = (struct eta){0};
    s->at = i;
    s->n_out = 0;
    const struct buf *only = only_source(s, i);
    int rc = only ? buf_add(&st->text, buf_str(only), only->n, err) : 0;
    if (!only && s->quotes) rc = ask_sentences(s, i, watch, err);
    if (!rc && s->end != CHAT_STOPPED && !st->text.n)
        rc = s->n_steps == 1 ? ask_session(s, watch, err) : ask(s, i, watch, err);
    return rc || s->end == CHAT_STOPPED ? rc : finish_step(s, i, s->end, err);
}

int summarize_run(struct summarize *s, const struct summarize_watch *watch, ox_err *err) {
    const struct summarize_step *last = &s->step[s->n_steps - 1];
    int rc = 0;
    s->end = CHAT_DONE;
    if (last->was_kept) return watch->text(watch->user, buf_str(&last->text), last->text.n, err);
    for (size_t i = 0; !rc && i < s->n_steps; i++) {
        if (s->step[i].is_done) continue;
        rc = do_step(s, i, watch, err);
        if (!rc && s->end == CHAT_STOPPED) break;
    }
    end_jobs(s, rc                       ? STORE_JOB_FAILED
                : s->end == CHAT_STOPPED ? STORE_JOB_STOPPED
                                         : STORE_JOB_DONE);
    return rc;
}

/* The step at hand at the speed of its depth; the others, in tokens, at the mean so far. */
double summarize_left(const struct summarize *s, size_t n_prompt) {
    double left = eta_left(&s->eta, n_prompt), rate = eta_rate(&s->eta);
    if (left < 0 || rate <= 0) return -1;
    return left + (STEP_COST + s->todo - s->step[s->at].cost) / rate;
}

/* --- step by step
 * --------------------------------------------------------------------------------- */

static int pass_on(struct summarize *s, size_t i, ox_err *err) {
    struct summarize_step *st = &s->step[i];
    const struct buf *only = only_source(s, i);
    if (!only || is_last(s, i)) return 0;
    int rc = buf_add(&st->text, buf_str(only), only->n, err);
    st->is_done = !rc;
    return rc;
}

int summarize_next(struct summarize *s, size_t *step, ox_err *err) {
    int rc = 0;
    size_t i = 0;
    for (; !rc && i + 1 < s->n_steps; i++) {
        if (!s->step[i].is_done) rc = pass_on(s, i, err);
        if (!rc && !s->step[i].is_done) break;
    }
    s->at = *step = i;
    return rc;
}

int summarize_work(const struct summarize *s, size_t step, struct work *out, ox_err *err) {
    *out = (struct work){.kind = WORK_ANSWER,
                         .reply = OX_REPLY_NO_THINK,
                         .max_new_tokens = is_last(s, step) ? s->max_answer : s->part_answer};
    return build(s, step, NULL, &out->prompt, err);
}

int summarize_took(struct summarize *s, size_t step, const char *text, size_t n,
                   const struct news *done, ox_err *err) {
    struct summarize_step *st = &s->step[step];
    buf_cut(&st->text, 0);
    int rc = buf_add(&st->text, text, n, err);
    if (rc) return rc;
    s->n_out = done->ledger.n_out;
    return finish_step(s, step, done->end, err);
}

void summarize_end(struct summarize *s, enum chat_end end) {
    end_jobs(s, end == CHAT_DONE || end == CHAT_LENGTH ? STORE_JOB_DONE
                : end == CHAT_STOPPED                  ? STORE_JOB_STOPPED
                                                       : STORE_JOB_FAILED);
}

void summarize_deinit(struct summarize *s) {
    for (size_t i = 0; i < s->n_steps && s->step; i++) {
        buf_deinit(&s->step[i].text);
        buf_deinit(&s->step[i].quote);
    }
    ox_free(s->step);
    summary_deinit(&s->plan);
    *s = (struct summarize){0};
}
