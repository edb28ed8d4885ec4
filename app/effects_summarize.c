/* effects_summarize.c - /summarize of a document in parts: each step is a job of its own, whose
 * text is kept in the database; the last one is the answer on screen. See effects.h; the plan and
 * what is kept are those of the verb (app/summarize.h), so each takes up what the other has done.
 */
#include "app/effects.h"

#include "app/summarize.h"

#include <stdio.h>
#include <string.h>

struct fx_summary {
    struct talk talk; /* what app/summarize.h wants to know; owns the document's text only */
    struct talk_doc doc;
    struct summarize sum;
    size_t number;   /* of the document, from 1 */
    uint64_t job;    /* of a step before the last; 0: none */
    struct buf text; /* of that step */
};

void effects_drop_summary(struct effects *fx) {
    struct fx_summary *k = fx->summary;
    if (!k) return;
    summarize_deinit(&k->sum);
    buf_deinit(&k->doc.text);
    buf_deinit(&k->text);
    ox_free(k);
    fx->summary = NULL;
}

static bool is_counting(const struct effects *fx) {
    for (size_t i = 0; i < fx->n_docs; i++)
        if (fx->doc[i].job || fx->doc[i].is_reading_in) return true;
    return false;
}

/* The document, or the part of it that was attached; two parts may be of one document. */
static int plan(struct effects *fx, ox_err *err) {
    struct fx_summary *k = fx->summary;
    if (!fx->info || is_counting(fx))
        return ox_err_set(err, OX_EBUSY, "the document is still being read in; a moment");
    const struct open_doc *d = &fx->s->doc[k->number - 1];
    k->doc.id = d->d.id;
    k->doc.from = d->d.from;
    k->doc.to = effects_doc_end(d);
    k->doc.first_line = sheet_line_of(&fx->s->sheet_doc[k->number - 1], d->d.from);
    k->doc.tok.n = d->d.n_tokens;
    int rc = buf_add(&k->doc.text, d->d.text + k->doc.from, k->doc.to - k->doc.from, err);
    k->talk = (struct talk){.conf = fx->conf,
                            .st = fx->writes ? fx->st : NULL,
                            .w = fx->w,
                            .info = fx->info,
                            .doc = &k->doc,
                            .n_docs = 1};
    const struct summarize_opts opts = {0};
    return rc ? rc : summarize_plan(&k->sum, &k->talk, &opts, err);
}

static void tell_part(struct effects *fx, const struct news *n) {
    const struct summarize *s = &fx->summary->sum;
    struct event ev = {.kind = EV_PROGRESS,
                       .plan = n->plan,
                       .number = n->n_done,
                       .number2 = n->n_prompt,
                       .number3 = (uint64_t)(s->todo - s->step[s->at].cost),
                       .id = (int64_t)s->at + 1,
                       .id2 = (int64_t)s->n_steps};
    effects_event(fx, &ev);
}

static void fail(struct effects *fx, const ox_err *e) {
    struct fx_summary *k = fx->summary;
    size_t number = k->number, done = 0;
    for (size_t i = 0; i < k->sum.n_steps; i++)
        done += k->sum.step[i].is_done;
    bool stopped = e->code == OX_ECANCELLED;
    summarize_end(&k->sum, stopped ? CHAT_STOPPED : CHAT_FAILED);
    effects_drop_summary(fx);
    effects_answer_failed(fx, e);
    if (!stopped) return;
    char line[32];
    snprintf(line, sizeof line, "/summarize %zu", number);
    struct event ev = {.kind = EV_EDITED, .text = line, .n = strlen(line)};
    if (edit_is_empty(&fx->s->input)) effects_event(fx, &ev);
    effects_notice(fx, false, "stopped; %zu part%s kept, /summarize goes on from there", done,
                   done == 1 ? " is" : "s are");
}

static void next_step(struct effects *fx) {
    struct fx_summary *k = fx->summary;
    struct work job = {0};
    size_t i = 0;
    ox_err e = {0};
    int rc = summarize_next(&k->sum, &i, &e);
    if (!rc) rc = summarize_work(&k->sum, i, &job, &e);
    job.keep = fx->conf->save;
    job.how = conf_sampling(fx->conf, &fx->info->defaults);
    buf_cut(&k->text, 0);
    k->job = 0;
    if (!rc && i + 1 == k->sum.n_steps) {
        effects_send_answer(fx, &job);
        return;
    }
    job.id = k->job = ++fx->next_job;
    if (!rc) rc = worker_send(fx->w, &job, &e);
    work_deinit(&job);
    if (rc) fail(fx, &e);
}

void effects_summarize(struct effects *fx, const struct effect *e) {
    ox_err failed = {0};
    effects_drop_summary(fx);
    fx->summary = ox_alloc(1, sizeof *fx->summary, "a summary", &failed);
    if (!fx->summary) {
        effects_answer_failed(fx, &failed);
        return;
    }
    fx->summary->number = fx->s->job.n_doc;
    effects_begin_answer(fx, e->id2);
    if (effects_claim(fx, &failed) || plan(fx, &failed))
        fail(fx, &failed);
    else
        next_step(fx);
}

static int take_step(struct effects *fx, const struct news *n, ox_err *err) {
    struct fx_summary *k = fx->summary;
    if (n->end == CHAT_STOPPED) return ox_err_set(err, OX_ECANCELLED, "stopped");
    return summarize_took(&k->sum, k->sum.at, buf_str(&k->text), k->text.n, n, err);
}

/* The last step is an answer like any other, but for its bar. */
static bool take_last(struct effects *fx, const struct news *n) {
    if (n->kind == NEWS_PROGRESS) {
        tell_part(fx, n);
        return true;
    }
    if (n->kind == NEWS_DONE || n->kind == NEWS_FAILED) {
        summarize_end(&fx->summary->sum, n->kind == NEWS_DONE ? n->end : CHAT_FAILED);
        effects_drop_summary(fx);
    }
    return false;
}

bool effects_summary_news(struct effects *fx, const struct news *n) {
    struct fx_summary *k = fx->summary;
    ox_err e = {0};
    if (!k) return false;
    if (n->id == fx->answer.job && k->job == 0) return take_last(fx, n);
    if (k->job == 0 || n->id != k->job) return false;
    switch (n->kind) {
    case NEWS_PROGRESS: tell_part(fx, n); break;
    case NEWS_TEXT:
        if (buf_add(&k->text, n->text ? n->text : "", n->n_bytes, &e)) fail(fx, &e);
        break;
    case NEWS_DONE:
        if (take_step(fx, n, &e))
            fail(fx, &e);
        else
            next_step(fx);
        break;
    case NEWS_FAILED: fail(fx, &n->err); break;
    case NEWS_NONE:
    case NEWS_LOADED: break;
    }
    return true;
}
