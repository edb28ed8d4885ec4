/* effects_ask.c - a question becomes a prompt and a job; news of the engine become events. See
 * effects.h; what is kept of an answer: effects_save.c. */
#include "app/effects.h"

#include "app/core/budget.h"
#include "app/core/prompt.h"
#include "app/core/say.h"
#include "app/core/summary.h"
#include "app/core/tip.h"
#include "app/saved_turn.h"
#include "app/store/docs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- prompt -------------------------------------------------------------------------------------
 */

static const struct fx_doc *doc_of(const struct effects *fx, int64_t id) {
    for (size_t i = 0; i < fx->n_docs; i++)
        if (fx->doc[i].id == id) return &fx->doc[i];
    return NULL;
}

static int add_documents(struct effects *fx, struct prompt *p, const struct chat_node *node,
                         ox_err *err) {
    int rc = 0;
    for (size_t i = 0; i < node->n_docs && !rc; i++) {
        const struct chat_doc *part = &node->docs[i];
        const struct open_doc *d = effects_find_doc(fx, part->doc);
        const struct fx_doc *known = doc_of(fx, part->doc);
        if (!d) continue; /* deleted since: the question stands without it */
        size_t to = part->to && part->to <= d->d.n_bytes ? part->to : d->d.n_bytes,
               from = part->from < to ? part->from : 0;
        bool is_known = from == d->d.from && to == effects_doc_end(d) && known && known->tok.n > 0;
        rc = prompt_document(p, d->d.text + from, to - from, is_known ? known->tok.v : NULL,
                             is_known ? known->tok.n : 0, err);
    }
    return rc;
}

/* An answer goes as the ids that were drawn: those of its text may be others. They are not kept in
 * memory for messages that come from the database. */
static int add_answer(struct effects *fx, struct prompt *p, const struct chat_node *node,
                      ox_err *err) {
    struct ox_tokens tok = {0};
    const char *text = node->text ? node->text : "";
    if (node->n_tok == 0 && fx->st && node->id > 0) store_msg_tokens(fx->st, node->id, &tok, NULL);
    int rc = prompt_assistant(p, text, node->n_bytes, node->n_tok ? node->tok : tok.v,
                              node->n_tok ? node->n_tok : tok.n, err);
    ox_free(tok.v);
    return rc;
}

int effects_prompt(struct effects *fx, int64_t leaf, struct prompt *p, ox_err *err) {
    struct chat_node **path = NULL;
    size_t n = 0;
    int rc = chat_path(&fx->s->chat, leaf, &path, &n, err);
    for (size_t i = 0; i < n && !rc; i++) {
        const struct chat_node *node = path[i];
        const char *text = node->text ? node->text : "";
        switch (node->role) {
        case OX_ROLE_SYSTEM: rc = prompt_system(p, text, node->n_bytes, err); break;
        case OX_ROLE_USER:
            rc = add_documents(fx, p, node, err);
            if (!rc) rc = prompt_user(p, text, node->n_bytes, err);
            break;
        case OX_ROLE_ASSISTANT: rc = add_answer(fx, p, node, err); break;
        case OX_ROLE_NONE: break;
        }
    }
    ox_free(path);
    return rc;
}

/* A question of ours behind the messages. */
static int add_task(struct prompt *p, const char *name, ox_err *err) {
    const char *task = prompt_builtin(name);
    return prompt_user(p, task, strcspn(task, "\n"), err);
}

static void drop_answer(struct effects *fx) {
    buf_deinit(&fx->answer.text);
    buf_deinit(&fx->answer.thought);
    ox_free(fx->answer.tok.v);
    prompt_deinit(&fx->answer.prompt);
    fx->answer = (struct fx_answer){0};
}

/* ---- asking -------------------------------------------------------------------------------------
 */

/* over: tokens that are too many, if that is the reason. */
static void fail_answer(struct effects *fx, const ox_err *e, size_t over) {
    struct event ev = {
        .kind = EV_FAILED, .err = *e, .number = over, .number2 = fx->answer.job == 0};
    const struct chat_ledger none = {0};
    struct fx_answer *a = &fx->answer;
    bool stopped = e->code == OX_ECANCELLED;
    if (a->reopens) {
        ev.number2 = 1; /* the answer is as it was */
    } else {
        struct chat_ledger cost =
            a->goes_on ? chat_ledger_join(&a->before, a->n_before, &none) : none;
        effects_save_end(fx, stopped ? CHAT_STOPPED : CHAT_FAILED, &cost);
    }
    ev.tok = a->tok;
    a->tok = (struct ox_tokens){0};
    drop_answer(fx);
    effects_event(fx, &ev);
    ox_free(ev.tok.v);
}

static enum ox_reply reply_of(const struct effects *fx) {
    return fx->conf->no_think ? OX_REPLY_NO_THINK : OX_REPLY_OPEN;
}

static size_t max_new(const struct effects *fx) {
    if (fx->answer.is_aside) return PROMPT_COMPACT_TOKENS;
    return fx->conf->max_new > 0 ? (size_t)fx->conf->max_new : 0;
}

/* The state of the branch that is summarised is wanted; the summary's own is that of no path. */
static void name_tips(const struct effects *fx, struct work *job) {
    const struct fx_answer *a = &fx->answer;
    const struct chat_node *answer = chat_find(&fx->s->chat, a->id);
    job->leaf_moment = 1;
    job->leaf = a->source > 0 ? a->source : 0;
    if (a->is_aside) return;
    job->answer = a->id;
    tip_find(&fx->s->chat, answer ? answer->parent : a->question, a->id, &job->leaf,
             &job->leaf_moment);
}

/* What goes out now is saved first (T1). */
void effects_send_answer(struct effects *fx, struct work *job) {
    ox_err e = {0};
    struct fx_answer *a = &fx->answer;
    a->how = job->how;
    effects_save_turn(fx);
    job->id = ++fx->next_job;
    name_tips(fx, job);
    snprintf(job->chat_uid, sizeof job->chat_uid, "%s", fx->s->uid);
    a->job = job->id;
    a->plan_job = 0;
    a->split.inside = fx->info->thinks && job->reply == OX_REPLY_OPEN;
    a->saved_at = effects_clock();
    if (worker_send(fx->w, job, &e)) fail_answer(fx, &e, 0);
}

/* The prompt is taken over. */
static void send_planned(struct effects *fx, struct prompt *prompt) {
    struct work job = {.kind = WORK_ANSWER,
                       .reply = reply_of(fx),
                       .keep = fx->conf->save,
                       .prompt = *prompt,
                       .how = fx->answer.how};
    *prompt = (struct prompt){0};
    job.max_new_tokens = max_new(fx) ? max_new(fx) : fx->info->default_reply_tokens;
    effects_send_answer(fx, &job);
}

static void tell_context(struct effects *fx, const struct news *n) {
    struct event ev = {.kind = EV_CONTEXT};
    if (n->n_ends != n->prompt.n || context_make(&n->prompt, n->ends, &ev.context, NULL)) return;
    effects_event(fx, &ev);
    context_deinit(&ev.context); /* left empty if it was taken over */
}

static void take_planned(struct effects *fx, struct news *n) {
    if (!fx->answer.is_aside) tell_context(fx, n);
    fx->answer.n_prompt = n->n_prompt;
    struct budget b = budget_for(fx->info->max_tokens, max_new(fx), n->n_prompt);
    b.is_about = fx->info->is_remote;
    ox_err e = {0};
    if (budget_check(&b, &e))
        fail_answer(fx, &e, b.wanted - budget_free(&b));
    else if (!effects_asks_first(fx, n))
        send_planned(fx, &n->prompt);
}

void effects_agree(struct effects *fx) {
    struct prompt prompt = fx->answer.prompt;
    if (!fx->answer.asks) return;
    fx->answer.prompt = (struct prompt){0};
    fx->answer.asks = false;
    send_planned(fx, &prompt);
}

/* The answer is written on from its end, with the seed it was begun with. */
static int send_continue(struct effects *fx, int64_t id, ox_err *err) {
    struct fx_answer *a = &fx->answer;
    const struct chat_node *node = chat_find(&fx->s->chat, id);
    if (!node) return ox_err_set(err, OX_ENOTFOUND, "the answer is gone");
    struct work job = {.kind = WORK_ANSWER,
                       .id = ++fx->next_job,
                       .reply = chat_reopens_as(node),
                       .reopens = true,
                       .n_begun = node->ledger.n_in,
                       .keep = fx->conf->save,
                       .leaf = id,
                       .leaf_moment = 1,
                       .answer = id};
    a->job = job.id;
    a->goes_on = a->reopens = true;
    a->before = node->ledger;
    if (node->ledger.seed) a->how.seed = node->ledger.seed;
    a->split.inside = fx->info->thinks && job.reply == OX_REPLY_CONTINUE;
    job.how = a->how;
    job.max_new_tokens = max_new(fx) ? max_new(fx) : fx->info->default_reply_tokens;
    snprintf(job.chat_uid, sizeof job.chat_uid, "%s", fx->s->uid);
    int rc = effects_prompt(fx, id, &job.prompt, err);
    if (!rc) return worker_send(fx->w, &job, err);
    work_deinit(&job);
    return rc;
}

void effects_ask(struct effects *fx, const struct effect *e) {
    effects_title_stop(fx);
    ox_err failed = fx->load_err;
    if (failed.code || effects_claim(fx, &failed)) {
        fail_answer(fx, &failed, 0);
        return;
    }
    if (!fx->info) { /* the model is still loading: the question is kept and goes then */
        ox_free(fx->waiting.text);
        fx->waiting = *e;
        fx->waiting.text = e->text ? ox_strdup(e->text, "seed", NULL) : NULL;
        return;
    }
    struct fx_answer *a = &fx->answer;
    effects_tree_finish(fx);
    drop_answer(fx);
    if (fx->unsaved.answer && effects_save_again(fx, &failed)) {
        fail_answer(fx, &failed, 0);
        return;
    }
    a->id = e->id2;
    a->question = e->id;
    a->is_aside = e->kind == FX_COMPACT;
    a->source = a->is_aside ? e->id : 0;
    a->how = conf_sampling(fx->conf, &fx->info->defaults);
    if (e->kind == FX_CONTINUE) {
        if (send_continue(fx, a->id, &failed)) fail_answer(fx, &failed, 0);
        return;
    }
    if (e->text) a->how.seed = strtoull(e->text, NULL, 10);
    if (fx->s->seeds.n > 0) { /* another one for each, also where one is set for all */
        size_t n_answers = 0;
        chat_sibling(&fx->s->chat, a->id, 0, NULL, &n_answers);
        a->how.seed += n_answers - 1;
    }
    struct work job = {.kind = WORK_PLAN, .id = ++fx->next_job, .reply = reply_of(fx)};
    a->plan_job = job.id;
    int rc = effects_prompt(fx, e->id, &job.prompt, &failed);
    if (!rc && a->is_aside) rc = add_task(&job.prompt, "compact", &failed);
    if (rc)
        work_deinit(&job);
    else
        rc = worker_send(fx->w, &job, &failed);
    if (rc) fail_answer(fx, &failed, 0);
}

void effects_begin_answer(struct effects *fx, int64_t id) {
    drop_answer(fx);
    fx->answer.id = id;
    fx->answer.is_aside = true;
}

void effects_answer_failed(struct effects *fx, const ox_err *e) {
    fail_answer(fx, e, 0);
}

void effects_stop(struct effects *fx) {
    if (fx->waiting.kind == FX_NONE && !fx->answer.asks) {
        if (fx->w) worker_cancel(fx->w);
        return;
    }
    ox_err e = {0}; /* the model goes on loading */
    ox_err_set(&e, OX_ECANCELLED, "stopped");
    ox_free(fx->waiting.text);
    fx->waiting = (struct effect){0};
    fail_answer(fx, &e, 0);
}

/* ---- news ---------------------------------------------------------------------------------------
 */

static void count_docs(struct effects *fx);

static void take_loaded(struct effects *fx) {
    fx->info = worker_info(fx->w);
    if (!fx->info) return;
    const struct ox_info *i = fx->info;
    struct event ev = {.kind = EV_LOADED,
                       .model = {.limit = i->max_tokens,
                                 .trained = i->trained_tokens,
                                 .thinks = i->thinks,
                                 .is_remote = i->is_remote,
                                 .is_small = summary_is_small(i)}};
    snprintf(ev.model.name, sizeof ev.model.name, "%s", i->name);
    snprintf(ev.model.backend, sizeof ev.model.backend, "%s", i->backend);
    if (i->is_remote) snprintf(ev.model.place, sizeof ev.model.place, "%s", i->device);
    const struct store_model m = saved_turn_model(fx->conf, i);
    ox_err e = {0};
    if (fx->writes && store_model_use(fx->st, &m, &e)) effects_not_saved(fx, &e);
    ev.flag = fx->is_changing && (fx->vocab.hi != i->vocab.hi || fx->vocab.lo != i->vocab.lo);
    for (size_t d = 0; d < fx->n_docs && ev.flag; d++)
        fx->doc[d].tok.n = 0;
    fx->vocab = i->vocab;
    fx->is_changing = false;
    effects_event(fx, &ev);
    count_docs(fx);
    if (fx->s->screen == SCREEN_SESSIONS) effects_list(fx, NULL); /* which states are of use */
    if (i->note && i->note[0]) effects_notice(fx, false, "%s", i->note);
    if (fx->waiting.kind == FX_NONE) return;
    struct effect asked = fx->waiting;
    fx->waiting = (struct effect){0};
    effects_ask(fx, &asked);
    ox_free(asked.text);
}

/* The questions of this run cannot be answered; everything else works. */
static void take_load_failure(struct effects *fx, const ox_err *e) {
    struct event ev = {.kind = EV_LOADING, .text = ""};
    if (fx->is_changing) { /* the one before is loaded again */
        fx->is_changing = false;
        fx->conf->model = fx->model_before;
        effects_fail(fx, e);
        if (effects_load(fx, NULL) == 0) return;
    }
    fx->load_err = *e;
    effects_event(fx, &ev);
    effects_notice(fx, true, "no model: %s", e->what);
    if (fx->waiting.kind == FX_NONE) {
        effects_fail(fx, e);
        return;
    }
    ox_free(fx->waiting.text);
    fx->waiting = (struct effect){0};
    fail_answer(fx, e, 0);
}

/* The first news of an answer that goes on: its row is open again, with all of this. */
static void reopen(struct effects *fx) {
    struct fx_answer *a = &fx->answer;
    struct chat_node so_far = {.text = a->text.p,
                               .n_bytes = a->text.n,
                               .thought = a->thought.p,
                               .n_thought = a->thought.n,
                               .tok = a->tok.v,
                               .n_tok = a->tok.n};
    ox_err e = {0};
    if (fx->writes && a->id > 0 && store_msg_reopen(fx->st, fx->s->chat_id, a->id, &so_far, &e)) {
        worker_cancel(fx->w);
        fail_answer(fx, &e, 0);
        return;
    }
    a->reopens = false;
    a->n_before = a->n_saved_tok = a->tok.n;
    a->saved_at = effects_clock();
    struct event ev = {.kind = EV_TEXT,
                       .flag = true,
                       .text = buf_str(&a->text),
                       .n = a->text.n,
                       .number = a->tok.n};
    effects_event(fx, &ev);
    buf_cut(&a->text, 0);
    buf_cut(&a->thought, 0);
}

static void take_text(struct effects *fx, const struct news *n) {
    struct fx_answer *a = &fx->answer;
    size_t before = a->text.n;
    int rc =
        thought_feed(&a->split, n->text ? n->text : "", n->n_bytes, &a->thought, &a->text, NULL);
    if (!rc) rc = ox_grow(&a->tok.v, &a->tok.cap, a->tok.n + n->tok.n, sizeof *a->tok.v, NULL);
    if (rc) return;
    if (n->tok.n) memcpy(a->tok.v + a->tok.n, n->tok.v, n->tok.n * sizeof *n->tok.v);
    a->tok.n += n->tok.n;
    if (a->reopens) {
        reopen(fx);
        return;
    }
    struct event ev = {.kind = EV_TEXT,
                       .text = a->text.n > before ? a->text.p + before : "",
                       .n = a->text.n - before,
                       .number = n->tok.n};
    effects_event(fx, &ev);
    effects_save_part(fx);
}

static void take_done(struct effects *fx, const struct news *n) {
    struct fx_answer *a = &fx->answer;
    int64_t answer = a->id;
    bool is_turn = !a->is_aside && n->end == CHAT_DONE;
    thought_end(&a->split, &a->thought, NULL);
    struct chat_ledger cost =
        a->goes_on ? chat_ledger_join(&a->before, a->n_before, &n->ledger) : n->ledger;
    effects_save_end(fx, n->end, &cost);
    struct event ev = {.kind = EV_DONE, .end = n->end, .ledger = n->ledger, .tok = a->tok};
    a->tok = (struct ox_tokens){0};
    drop_answer(fx);
    effects_event(fx, &ev);
    if (fx->s->n_docs && answer > 0) effects_save_cites(fx, answer);
    if (is_turn) effects_title_want(fx, &cost);
    ox_free(ev.tok.v);
    effects_usage(fx);
}

static void take_counted(struct effects *fx, struct news *n) {
    for (size_t i = 0; i < fx->n_docs; i++) {
        struct fx_doc *d = &fx->doc[i];
        if (d->job != n->id || d->job == 0) continue;
        d->job = 0;
        if (n->kind != NEWS_DONE) continue;
        ox_free(d->tok.v);
        d->tok = n->tok;
        n->tok = (struct ox_tokens){0};
        const struct open_doc *open = effects_find_doc(fx, d->id);
        if (fx->writes && open && d->id > 0 && !d->is_reading_in)
            store_doc_tokens_put(fx->st, d->id, open->d.from, effects_doc_end(open), d->tok.v,
                                 d->tok.n, NULL);
        struct event ev = {.kind = EV_COUNTED, .id = d->id, .number = d->tok.n};
        effects_event(fx, &ev);
    }
}

int effects_count_text(struct effects *fx, const struct effect *e, ox_err *err) {
    struct work job = {.kind = WORK_ENCODE, .id = ++fx->next_job, .n_bytes = e->n};
    job.text = ox_memdup(e->text, e->n, "text to count", err);
    fx->count_job = job.id;
    return job.text ? worker_send(fx->w, &job, err) : OX_ENOMEM;
}

static void say_count_of(struct effects *fx, const struct news *n) {
    char count[SAY_BYTES];
    fx->count_job = 0;
    effects_notice(fx, false, "%s%s token%s", fx->info && fx->info->is_remote ? "about " : "",
                   say_count(count, n->tok.n), n->tok.n == 1 ? "" : "s");
}

static void take_one(struct effects *fx, struct news *n) {
    if (effects_summary_news(fx, n) || effects_title_news(fx, n)) return;
    bool is_answer = fx->answer.job != 0 && n->id == fx->answer.job;
    bool is_plan = fx->answer.plan_job != 0 && n->id == fx->answer.plan_job;
    switch (n->kind) {
    case NEWS_NONE: break;
    case NEWS_LOADED: take_loaded(fx); break;
    case NEWS_PROGRESS:
        if (is_answer) {
            struct event ev = {
                .kind = EV_PROGRESS, .plan = n->plan, .number = n->n_done, .number2 = n->n_prompt};
            effects_event(fx, &ev);
        }
        break;
    case NEWS_TEXT:
        if (is_answer) take_text(fx, n);
        break;
    case NEWS_DONE:
        if (is_answer)
            take_done(fx, n);
        else if (is_plan)
            take_planned(fx, n);
        else if (fx->price.job != 0 && n->id == fx->price.job)
            effects_take_price(fx, n);
        else if (fx->count_job != 0 && n->id == fx->count_job)
            say_count_of(fx, n);
        else
            take_counted(fx, n);
        break;
    case NEWS_FAILED:
        if (is_answer || is_plan)
            fail_answer(fx, &n->err, 0);
        else if (n->id == fx->load_job)
            take_load_failure(fx, &n->err);
        else if (n->id && n->err.code != OX_ECANCELLED)
            effects_fail(fx, &n->err);
        take_counted(fx, n);
        break;
    }
}

void effects_news(struct effects *fx) {
    struct news n;
    while (fx->w && worker_next(fx->w, &n)) {
        take_one(fx, &n);
        news_deinit(&n);
    }
}

/* ---- documents ----------------------------------------------------------------------------------
 */

void effects_forget_docs(struct effects *fx) {
    for (size_t i = 0; i < fx->n_docs; i++)
        ox_free(fx->doc[i].tok.v);
    fx->n_docs = 0;
}

/* Its ids: those of the database, or counted by the engine. Before the model is known neither
 * works. */
static int count_doc(struct effects *fx, struct fx_doc *d, ox_err *err) {
    const struct open_doc *open = effects_find_doc(fx, d->id);
    if (!fx->info || !open || d->job || d->tok.n > 0) return 0;
    size_t from = open->d.from, to = effects_doc_end(open), n = to - from;
    if (fx->st && d->id > 0 && store_doc_tokens_get(fx->st, d->id, from, to, &d->tok, NULL) == 0 &&
        d->tok.n > 0) {
        struct event ev = {.kind = EV_COUNTED, .id = d->id, .number = d->tok.n};
        effects_event(fx, &ev);
        return 0;
    }
    struct work job = {.kind = WORK_ENCODE, .id = ++fx->next_job, .n_bytes = n};
    job.text = ox_memdup(open->d.text + from, n, "document to count", err);
    d->job = job.id;
    return job.text ? worker_send(fx->w, &job, err) : OX_ENOMEM;
}

static void count_docs(struct effects *fx) {
    ox_err e = {0};
    for (size_t i = 0; i < fx->n_docs; i++)
        if (count_doc(fx, &fx->doc[i], &e)) effects_fail(fx, &e);
}

int effects_count_doc(struct effects *fx, int64_t id, ox_err *err) {
    for (size_t i = 0; i < fx->n_docs; i++) { /* another part of it than before */
        if (fx->doc[i].id != id) continue;
        fx->doc[i].tok.n = 0;
        fx->doc[i].job = 0;
        return count_doc(fx, &fx->doc[i], err);
    }
    int rc = ox_grow(&fx->doc, &fx->cap_docs, fx->n_docs + 1, sizeof *fx->doc, err);
    if (rc) return rc;
    fx->doc[fx->n_docs] = (struct fx_doc){.id = id};
    return count_doc(fx, &fx->doc[fx->n_docs++], err);
}
