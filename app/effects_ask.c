/* effects_ask.c - a question becomes a prompt and a job; news of the engine become events and rows
 * of the database. See effects.h. Transactions T1 to T3 are those of docs/STORE.md section 4. */
#include "app/effects.h"

#include "app/core/budget.h"
#include "app/core/prompt.h"
#include "app/core/summary.h"
#include "app/core/text.h"
#include "app/core/tip.h"
#include "app/saved_turn.h"
#include "app/store/cites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PART_TOKENS = 32, TITLE_CELLS = 60 };
static const double PART_S = 0.5, RETRY_S = 5;

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
    bool has_system = !rc && n > 0 && path[0]->role == OX_ROLE_SYSTEM;
    if (!rc && !has_system && fx->system.n > 0)
        rc = prompt_system(p, fx->system.p, fx->system.n, err);
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

/* ---- saving -------------------------------------------------------------------------------------
 */

void effects_not_saved(struct effects *fx, const ox_err *e) {
    if (!fx->writes) return; /* and was told */
    bool is_full = store_is_full(fx->st);
    if (!is_full || !fx->unsaved.is_full) effects_notice(fx, true, "NOT SAVED: %s", e->what);
    fx->unsaved.is_full = is_full;
    fx->unsaved.retry_at = effects_clock() + RETRY_S;
    if (!is_full) fx->writes = false;
}

static void tell_saved(struct effects *fx, int64_t chat, int64_t from, int64_t to) {
    struct event ev = {.kind = EV_SAVED, .id = from, .id2 = to};
    struct store_chat row = {0};
    if (store_chat_get(fx->st, chat, &row, NULL) == 0) {
        ev.chat.id = row.id;
        memcpy(ev.chat.uid, row.uid, sizeof ev.chat.uid);
        memcpy(ev.chat.title, row.title, sizeof ev.chat.title);
        ev.chat.is_pinned = row.pinned;
    }
    effects_event(fx, &ev);
}

/* The turn that ends with `answer`: T1, or all of it at once. Ids of the tree follow after the
 * commit. *answer becomes the saved id. */
static int write_turn(struct effects *fx, int64_t *answer, const struct ox_sampling *how,
                      ox_err *err) {
    struct chat *c = &fx->s->chat;
    const struct chat_node *a = chat_find(c, *answer), *q = a ? chat_find(c, a->parent) : NULL;
    struct buf title = {0};
    const char *text = q && q->text ? q->text : "";
    struct saved_turn turn = {.tree = c,
                              .answer = *answer,
                              .chat = fx->s->chat_id,
                              .draft_place = fx->s->uid[0] ? fx->s->uid : "new",
                              .info = fx->info,
                              .how = *how,
                              .n_prompt = fx->answer.n_prompt};
    if (!q) return 0;
    int rc = text_brief(&title, text, strcspn(text, "\n"), TITLE_CELLS, err);
    turn.title = buf_str(&title);
    if (!rc) rc = saved_turn_write(fx->st, &turn, err);
    buf_deinit(&title);
    if (rc) return rc;
    fx->is_locked = true;
    for (size_t i = 0; i < turn.n; i++)
        tell_saved(fx, turn.chat, turn.id[i].from, turn.id[i].to);
    if (turn.n) *answer = turn.id[turn.n - 1].to;
    return 0;
}

/* T1 */
static void save_turn(struct effects *fx) {
    struct fx_answer *a = &fx->answer;
    ox_err e = {0};
    if (!fx->writes) return;
    if (store_is_tight(fx->st)) saved_turn_room(fx->st, fx->conf);
    int rc = write_turn(fx, &a->id, &a->how, &e);
    if (rc && store_is_full(fx->st) && saved_turn_room(fx->st, fx->conf))
        rc = write_turn(fx, &a->id, &a->how, &e);
    if (rc) effects_not_saved(fx, &e);
}

/* T2: what came since the last part. */
static void save_part(struct effects *fx, bool flush) {
    struct fx_answer *a = &fx->answer;
    size_t n_tok = a->tok.n - a->n_saved_tok;
    double now = effects_clock();
    if (!flush && n_tok < PART_TOKENS && now - a->saved_at < PART_S) return;
    if (fx->writes && a->id > 0 && (n_tok > 0 || a->text.n > 0 || a->thought.n > 0)) {
        struct chat_node more = {.text = a->text.p,
                                 .n_bytes = a->text.n,
                                 .thought = a->thought.p,
                                 .n_thought = a->thought.n,
                                 .tok = n_tok ? a->tok.v + a->n_saved_tok : NULL,
                                 .n_tok = n_tok};
        ox_err e = {0};
        if (store_msg_extend(fx->st, a->id, &more, &e))
            effects_not_saved(fx, &e); /* it has them, for later */
    }
    buf_cut(&a->text, 0);
    buf_cut(&a->thought, 0);
    a->n_saved_tok = a->tok.n;
    a->saved_at = now;
}

/* T3 */
static void save_finish(struct effects *fx, enum chat_end end, const struct chat_ledger *cost) {
    struct fx_answer *a = &fx->answer;
    ox_err e = {0};
    if (!fx->writes || a->id <= 0) return; /* not in the database: after the end, all at once */
    int rc = store_msg_finish(fx->st, a->id, end, cost, saved_turn_stop(end), &e);
    if (rc && store_is_full(fx->st)) fx->unsaved.answer = a->id;
    if (rc) effects_not_saved(fx, &e);
}

/* Called when nothing is being answered. */
int effects_save_again(struct effects *fx, ox_err *err) {
    struct fx_unsaved *u = &fx->unsaved;
    const struct chat_node *a = u->answer ? chat_find(&fx->s->chat, u->answer) : NULL;
    ox_err e = {0};
    if (!fx->writes || !u->is_full) return 0;
    u->retry_at = effects_clock() + RETRY_S;
    saved_turn_room(fx->st, fx->conf);
    int rc = 0;
    if (a && a->id > 0)
        rc = store_msg_finish(fx->st, a->id, a->end, &a->ledger, saved_turn_stop(a->end), &e);
    else if (a)
        rc = write_turn(fx, &u->answer, &u->how, &e);
    else /* a draft did not get in: whether a byte does is all there is to know */
        rc = store_fact_put(fx->st, "room", "1", &e);
    if (!rc) {
        if (a) store_cites_check(fx->st, a->id, NULL);
        *u = (struct fx_unsaved){0};
        effects_notice(fx, true, "%s", "");
        effects_notice(fx, false, "the disk has room again: all is saved");
        return 0;
    }
    if (!store_is_full(fx->st)) {
        effects_not_saved(fx, &e);
        return 0;
    }
    ox_err_set(err, OX_EIO, "NOT SAVED: %s", e.what);
    return ox_err_fix(err, "free some space there: the last answer is kept in memory until then");
}

/* The answer ends, and T1 did not get in: all of it goes once there is room. */
static void note_unsaved(struct effects *fx) {
    const struct fx_answer *a = &fx->answer;
    if (!fx->writes || !a->job || a->id >= 0) return;
    fx->unsaved.answer = a->id;
    fx->unsaved.how = a->how;
}

double effects_tend_at(const struct effects *fx) {
    bool waits = fx->writes && (fx->unsaved.is_full || store_is_tight(fx->st));
    return waits ? fx->unsaved.retry_at : 0;
}

void effects_tend(struct effects *fx) {
    double at = effects_tend_at(fx), now = effects_clock();
    if (!fx->writes || (!fx->unsaved.is_full && !store_is_tight(fx->st)) || now < at) return;
    fx->unsaved.retry_at = now + RETRY_S;
    if (fx->unsaved.is_full && !fx->answer.job)
        effects_save_again(fx, NULL);
    else
        saved_turn_room(fx->st, fx->conf);
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
        save_part(fx, true);
        save_finish(fx, stopped ? CHAT_STOPPED : CHAT_FAILED, &cost);
        note_unsaved(fx);
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
    save_turn(fx);
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
    size_t before = a->text.n, thought = a->thought.n;
    int rc =
        thought_feed(&a->split, n->text ? n->text : "", n->n_bytes, &a->thought, &a->text, NULL);
    (void)thought;
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
    save_part(fx, false);
}

/* The quotations were checked when the answer was laid out; what fails is found again next time. */
static void save_cites(struct effects *fx, int64_t answer) {
    struct app_state *s = fx->s;
    struct cited_source *src = ox_alloc(s->n_docs, sizeof *src, "documents", NULL);
    for (size_t i = 0; src && i < s->n_docs; i++)
        src[i] = (struct cited_source){{s->doc[i].d.index, s->doc[i].d.text, 1}, s->doc[i].d.id, 0};
    bool is_shown = false;
    for (size_t m = 0; src && fx->writes && m < s->sheet.n; m++) {
        const struct chat_node *node = s->sheet.path[m];
        is_shown = is_shown || node->id == answer;
        const struct sheet_item *item = node->id == answer ? sheet_get(&s->sheet, m) : NULL;
        if (item && item->cites.n && fx->writes)
            store_cites_found(fx->st, answer, node->text, item->cites.v, item->cites.n, src, NULL);
    }
    if (fx->writes && !is_shown)
        store_cites_check(fx->st, answer, NULL); /* the next seed has begun */
    ox_free(src);
}

static void take_done(struct effects *fx, const struct news *n) {
    struct fx_answer *a = &fx->answer;
    int64_t answer = a->id;
    bool is_turn = !a->is_aside && n->end == CHAT_DONE;
    thought_end(&a->split, &a->thought, NULL);
    struct chat_ledger cost =
        a->goes_on ? chat_ledger_join(&a->before, a->n_before, &n->ledger) : n->ledger;
    save_part(fx, true);
    save_finish(fx, n->end, &cost);
    note_unsaved(fx);
    struct event ev = {.kind = EV_DONE, .end = n->end, .ledger = n->ledger, .tok = a->tok};
    a->tok = (struct ox_tokens){0};
    drop_answer(fx);
    effects_event(fx, &ev);
    if (fx->s->n_docs && answer > 0) save_cites(fx, answer);
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
