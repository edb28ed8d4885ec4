/* talk.c - see talk.h. Prompt and answer; what is kept of them is in talk_save.c. */
#include "app/talk.h"

#include "app/clock.h"
#include "app/core/budget.h"
#include "app/core/say.h"
#include "app/core/thought.h"
#include "app/core/tip.h"
#include "app/open.h"
#include "app/talk_save.h"

#include <stdio.h>
#include <string.h>

/* --- life --- */

int talk_start(struct talk *t, struct config *conf, ox_err *err) {
    t->conf = conf;
    int rc = save_open(t, err);
    return rc ? rc : open_worker(conf, t->st ? store_uid(t->st) : NULL, &t->w, err);
}

static int load(struct talk *t, const char *model, ox_err *err) {
    struct work job;
    struct news last = {0};
    int rc = open_load(t->conf, model, &job, err);
    if (rc) {
        work_deinit(&job); /* what is loaded stays */
        return rc;
    }
    rc = turn_run(t->w, &job, NULL, &last, err);
    news_deinit(&last);
    t->info = worker_info(t->w);
    return rc;
}

int talk_ready(struct talk *t, ox_err *err) {
    int rc = 0;
    if (!t->info) {
        rc = t->has_waited ? load(t, t->conf->model, err) : open_wait(t->w, &t->info, err);
        t->has_waited = true; /* that news comes once */
        if (!rc) save_model(t);
    }
    if (!rc) rc = save_tokens(t, err);
    for (size_t i = 0; !rc && i < t->n_docs; i++)
        if (!t->doc[i].tok.n) rc = save_count(t, &t->doc[i], err);
    return rc;
}

int talk_needs_engine(const struct talk *t, const char *what, ox_err *err) {
    if (!t->info->is_remote) return 0;
    ox_err_set(err, OX_EUSAGE, "%s needs a model that runs here; %s has no ids and no saved states",
               what, t->info->name);
    return ox_err_fix(err, "name a model folder with -m");
}

/* Answers and documents have no ids of the new vocabulary but those that the database kept. */
static void forget_ids(struct talk *t) {
    for (size_t i = 0; i < t->chat.n; i++) {
        ox_free(t->chat.node[i].tok);
        t->chat.node[i].tok = NULL;
        t->chat.node[i].n_tok = 0;
    }
    for (size_t i = 0; i < t->n_docs; i++)
        t->doc[i].tok.n = 0;
}

int talk_model(struct talk *t, const char *name, ox_err *err) {
    const char *before = t->conf->model;
    struct ox_key vocab = t->info ? t->info->vocab : (struct ox_key){0, 0};
    int rc = save_again(t, err); /* its ledger names the model that wrote it */
    if (!rc) rc = conf_set(t->conf, "model", name, "/model", err);
    if (!rc) rc = load(t, t->conf->model, err);
    if (rc) {
        t->conf->model = before;
        if (!t->info) load(t, before, NULL);
        return rc;
    }
    if (vocab.hi != t->info->vocab.hi || vocab.lo != t->info->vocab.lo) forget_ids(t);
    save_model(t);
    return talk_ready(t, err);
}

static void doc_deinit(struct talk_doc *d) {
    buf_deinit(&d->name);
    buf_deinit(&d->path);
    buf_deinit(&d->text);
    ox_free(d->tok.v);
    ox_free(d->pages);
    cite_index_free(d->index);
}

static void forget_docs(struct talk *t) {
    for (size_t i = 0; i < t->n_docs; i++)
        doc_deinit(&t->doc[i]);
    t->n_docs = 0;
}

void talk_new(struct talk *t) {
    save_again(t, NULL); /* the last chance: what is not saved now is on the screen only */
    t->unsaved = 0;
    save_leave(t);
    forget_docs(t);
    chat_deinit(&t->chat);
    t->chat = (struct chat){0};
    buf_cut(&t->system, 0);
    t->id = 0;
    t->uid[0] = t->held[0] = '\0';
    t->ledger = (struct chat_ledger){0};
    t->end = CHAT_OPEN;
    buf_cut(&t->answer, 0);
}

void talk_deinit(struct talk *t) {
    save_again(t, NULL); /* while the engine's info is there */
    t->unsaved = 0;
    open_close(t->w);
    talk_new(t);
    save_close(t);
    ox_free(t->doc);
    chat_deinit(&t->chat);
    prompt_deinit(&t->prompt);
    buf_deinit(&t->system);
    buf_deinit(&t->question);
    buf_deinit(&t->answer);
    buf_deinit(&t->thoughts);
    buf_deinit(&t->save_note);
    *t = (struct talk){0};
}

/* --- documents --- */

int talk_add(struct talk *t, struct ingest *in, ox_err *err) {
    struct talk_doc d = {.from = in->from,
                         .to = in->to,
                         .first_line = in->first_line,
                         .n_lines = in->stats.n_lines,
                         .charset = in->charset,
                         .n_base = in->n_base,
                         .is_waiting = true};
    int rc = ox_grow(&t->doc, &t->cap_docs, t->n_docs + 1, sizeof *t->doc, err);
    if (!rc) rc = buf_add(&d.name, buf_str(&in->name), in->name.n, err);
    if (!rc) rc = buf_add(&d.path, buf_str(&in->path), in->path.n, err);
    if (!rc) rc = buf_add(&d.text, in->text.p + in->from, in->to - in->from, err);
    d.pages = in->pages; /* handed over */
    d.n_pages = in->n_pages;
    if (!rc) save_document(t, in, &d);
    in->pages = NULL;
    in->n_pages = 0;
    if (!rc && t->info) rc = save_count(t, &d, err);
    ingest_deinit(in);
    if (rc)
        doc_deinit(&d);
    else
        t->doc[t->n_docs++] = d;
    return rc;
}

int talk_drop(struct talk *t, size_t i, ox_err *err) {
    if (i >= t->n_docs || !t->doc[i].is_waiting) {
        ox_err_set(err, OX_EUSAGE,
                   i >= t->n_docs ? "there is no document %zu" : "document %zu was sent already",
                   i + 1);
        return ox_err_fix(err, i >= t->n_docs
                                   ? "/docs lists them"
                                   : "/undo goes back before the question it stood with");
    }
    doc_deinit(&t->doc[i]);
    memmove(t->doc + i, t->doc + i + 1, (--t->n_docs - i) * sizeof *t->doc);
    return 0;
}

static const struct talk_doc *find_doc(const struct talk *t, const struct chat_doc *d) {
    for (size_t i = 0; i < t->n_docs; i++)
        if (t->doc[i].id == d->doc && t->doc[i].from == d->from && t->doc[i].to == d->to)
            return &t->doc[i];
    return NULL;
}

/* --- the prompt --- */

static int add_doc(struct prompt *p, const struct talk_doc *d, ox_err *err) {
    return prompt_document(p, buf_str(&d->text), d->text.n, d->tok.v, d->tok.n, err);
}

static int add_node(const struct talk *t, struct prompt *p, const struct chat_node *n,
                    ox_err *err) {
    int rc = 0;
    switch (n->role) {
    case OX_ROLE_SYSTEM: return prompt_system(p, n->text, n->n_bytes, err);
    case OX_ROLE_USER:
        for (size_t i = 0; !rc && i < n->n_docs; i++) {
            const struct talk_doc *d = find_doc(t, &n->docs[i]);
            if (d) rc = add_doc(p, d, err);
        }
        return rc ? rc : prompt_user(p, n->text, n->n_bytes, err);
    case OX_ROLE_ASSISTANT: return prompt_assistant(p, n->text, n->n_bytes, n->tok, n->n_tok, err);
    case OX_ROLE_NONE: break;
    }
    return 0;
}

/* The path to `parent`, the documents that wait, and the question. */
static int build(const struct talk *t, struct prompt *p, ox_err *err) {
    struct chat_node **path = NULL;
    size_t n = 0;
    int rc = chat_path(&t->chat, t->parent, &path, &n, err);
    if (!rc && !n && t->system.n) rc = prompt_system(p, t->system.p, t->system.n, err);
    for (size_t i = 0; !rc && i < n; i++)
        rc = add_node(t, p, path[i], err);
    ox_free(path);
    for (size_t i = 0; !rc && t->has_question && i < t->n_docs; i++)
        if (t->doc[i].is_waiting) rc = add_doc(p, &t->doc[i], err);
    if (!rc && t->has_question) rc = prompt_user(p, buf_str(&t->question), t->question.n, err);
    return rc;
}

int talk_map(struct talk *t, struct context_map *out, ox_err *err) {
    struct work job = {.kind = WORK_PLAN, .reply = OX_REPLY_NO_THINK};
    struct news last = {0};
    *out = (struct context_map){0};
    t->has_question = false;
    t->parent = t->chat.leaf;
    int rc = build(t, &job.prompt, err);
    if (rc || !job.prompt.n) {
        work_deinit(&job);
        return rc;
    }
    rc = turn_run(t->w, &job, NULL, &last, err);
    if (!rc && last.n_ends == last.prompt.n) rc = context_make(&last.prompt, last.ends, out, err);
    news_deinit(&last);
    return rc;
}

/* Says which part of the prompt is the long one, and what would fit instead. */
static int explain_fit(const struct talk *t, const struct budget *b, ox_err *err) {
    char num[SAY_BYTES];
    const struct talk_doc *longest = NULL;
    for (size_t i = 0; i < t->n_docs; i++)
        if (!longest || t->doc[i].tok.n > longest->tok.n) longest = &t->doc[i];
    if (!err) return OX_EFIT;
    if (!longest || longest->tok.n * 2 < b->wanted) {
        snprintf(err->where, sizeof err->where, "the %s; nothing was sent",
                 t->chat.n ? "conversation so far" : "prompt");
        return ox_err_fix(err, "%s%s",
                          t->chat.n ? "/new starts afresh, /undo goes back" : "shorten the prompt",
                          t->conf->ctx > 0 ? "; or give a larger --ctx" : "");
    }
    const char *path = buf_str(&longest->path);
    snprintf(err->where, sizeof err->where, "-f %.60s is %s of them; nothing was sent", path,
             say_count(num, longest->tok.n));
    if (strcmp(path, "-") == 0)
        return ox_err_fix(err, "save it to a file first, then: oxbow summarize FILE");
    size_t lines = budget_lines(longest->n_lines, longest->tok.n, b->wanted - budget_free(b));
    if (longest->n_lines < 2) return ox_err_fix(err, "oxbow summarize %.60s", path);
    return ox_err_fix(err, "oxbow summarize %.60s    or ask about a part: -f %.60s:1-%zu", path,
                      path, lines);
}

static size_t max_new(const struct talk *t) {
    if (t->is_aside) return t->aside_tokens;
    return t->conf->max_new > 0 ? (size_t)t->conf->max_new : 0;
}

static enum ox_reply reply_of(const struct talk *t) {
    return t->conf->no_think ? OX_REPLY_NO_THINK : OX_REPLY_OPEN;
}

/* Counts t->prompt and refuses what does not fit. */
static int count_prompt(struct talk *t, ox_err *err) {
    int rc = turn_plan(t->w, &t->prompt, reply_of(t), &t->plan, &t->n_prompt, err);
    if (rc) return rc;
    struct budget b = budget_for(t->info->max_tokens, max_new(t), t->n_prompt);
    b.is_about = t->info->is_remote;
    return budget_check(&b, err) ? explain_fit(t, &b, err) : 0;
}

int talk_may_send(const struct talk *t, ox_err *err) {
    if (!t->st || !t->held[0]) return 0;
    ox_err_set(err, OX_EBUSY, "%s", t->held);
    return ox_err_fix(err, "go on in a copy: oxbow fork %.4s (here: /fork), or close it there",
                      t->uid);
}

int talk_plan(struct talk *t, const char *question, size_t n, ox_err *err) {
    int rc = talk_may_send(t, err);
    if (!rc) rc = save_again(t, err); /* the leaf gets its saved id */
    t->is_aside = false;
    t->has_question = question != NULL;
    t->parent = t->chat.leaf;
    buf_cut(&t->question, 0);
    prompt_deinit(&t->prompt);
    if (!rc && question) rc = buf_add(&t->question, question, n, err);
    if (!rc) rc = talk_ready(t, err);
    if (!rc) rc = build(t, &t->prompt, err);
    return rc ? rc : count_prompt(t, err);
}

int talk_plan_compact(struct talk *t, ox_err *err) {
    const char *task = prompt_builtin("compact");
    const struct chat_node *last = talk_message(t, 0);
    int64_t added;
    if (!last) return ox_err_set(err, OX_EUSAGE, "there is no answer yet");
    int rc = talk_may_send(t, err);
    if (!rc) rc = save_again(t, err);
    if (!rc) rc = talk_ready(t, err);
    if (rc) return rc;
    t->parent = talk_message(t, 0)->id;
    t->has_question = false;
    t->is_aside = true;
    t->aside_tokens = PROMPT_COMPACT_TOKENS;
    prompt_deinit(&t->prompt);
    rc = build(t, &t->prompt, err);
    if (!rc) rc = prompt_user(&t->prompt, task, strcspn(task, "\n"), err);
    if (!rc) rc = count_prompt(t, err);
    return rc ? rc
              : chat_restart(&t->chat, t->parent, prompt_compact_words, clock_utc_us(), &added,
                             err);
}

int talk_plan_aside(struct talk *t, const char *question, size_t n, struct work *job, ox_err *err) {
    int rc = talk_may_send(t, err);
    if (!rc) rc = save_again(t, err);
    prompt_deinit(&t->prompt);
    t->prompt = job->prompt;
    job->prompt = (struct prompt){0};
    t->aside_tokens = job->max_new_tokens;
    work_deinit(job);
    t->is_aside = t->has_question = true;
    t->parent = t->chat.leaf;
    buf_cut(&t->question, 0);
    if (!rc) rc = buf_add(&t->question, question, n, err);
    return rc ? rc : count_prompt(t, err);
}

int talk_price(struct talk *t, int64_t question, struct ox_plan *plan, ox_err *err) {
    struct work job = {.kind = WORK_PLAN, .reply = OX_REPLY_NONE, .keep = t->conf->save};
    struct news last = {0};
    *plan = (struct ox_plan){0};
    t->has_question = false;
    t->parent = question ? question : t->chat.leaf;
    int rc = build(t, &job.prompt, err);
    job.n_upto = question && job.prompt.n ? job.prompt.n - 1 : job.prompt.n;
    if (rc || !job.n_upto) {
        work_deinit(&job);
        return rc;
    }
    rc = turn_run(t->w, &job, NULL, &last, err);
    *plan = last.plan;
    news_deinit(&last);
    return rc;
}

/* --- the answer --- */

static int copy_waiting_docs(const struct talk *t, struct chat_node *row, ox_err *err) {
    size_t n_docs = 0;
    for (size_t i = 0; i < t->n_docs && !t->is_aside; i++)
        n_docs += t->doc[i].is_waiting;
    if (!n_docs) return 0;
    row->docs = ox_alloc(n_docs, sizeof *row->docs, "attachments", err);
    if (!row->docs) return OX_ENOMEM;
    for (size_t i = 0; i < t->n_docs; i++) {
        const struct talk_doc *d = &t->doc[i];
        if (!d->is_waiting) continue;
        char *name = ox_strdup(buf_str(&d->name), "a name", err);
        if (!name) return OX_ENOMEM;
        row->docs[row->n_docs++] = (struct chat_doc){d->id, d->from, d->to, name};
    }
    return 0;
}

/* text NULL: an answer that is about to be written. *id: of the message, below the leaf. */
static int add_message(struct talk *t, enum ox_role role, const struct buf *text, int64_t *id,
                       ox_err *err) {
    struct chat_node row = {.id = chat_new_id(&t->chat),
                            .parent = t->chat.leaf,
                            .created_us = clock_utc_us(),
                            .role = role,
                            .end = role == OX_ROLE_ASSISTANT ? CHAT_OPEN : CHAT_DONE};
    row.text = ox_memdup(text ? buf_str(text) : "", text ? text->n : 0, "a message", err);
    row.n_bytes = text ? text->n : 0;
    int rc = row.text ? 0 : OX_ENOMEM;
    if (!rc && role == OX_ROLE_USER) rc = copy_waiting_docs(t, &row, err);
    *id = row.id;
    if (!rc) return chat_add(&t->chat, &row, err);
    chat_node_deinit(&row);
    return rc;
}

/* The question, with a system message before the first one, and the open answer. */
static int add_turn(struct talk *t, int64_t *answer, ox_err *err) {
    int64_t id;
    int rc = 0;
    if (t->has_question && !t->chat.leaf && t->system.n)
        rc = add_message(t, OX_ROLE_SYSTEM, &t->system, &id, err);
    if (!rc && t->has_question) rc = add_message(t, OX_ROLE_USER, &t->question, &id, err);
    return rc ? rc : add_message(t, OX_ROLE_ASSISTANT, NULL, answer, err);
}

struct streaming {
    struct talk *t;
    const struct talk_watch *watch;
    struct thought split;
    struct chat_node *node; /* of the answer; the tree does not grow meanwhile */
    size_t cap_tok;
    struct save_stream save;
    bool goes_on, reopens; /* an answer that was there; reopens: not opened again yet */
    struct chat_ledger before;
    size_t n_before;
};

static int on_progress(void *user, const struct news *n, ox_err *err) {
    struct streaming *s = user;
    (void)err;
    if (s->watch->progress) s->watch->progress(s->watch->user, n);
    return 0;
}

/* The first news of an answer that goes on: all it had before, which nobody needs to be shown. */
static int reopen(struct streaming *s, ox_err *err) {
    s->reopens = false;
    s->t->n_earlier = s->t->answer.n;
    s->n_before = s->node->n_tok;
    s->node->end = CHAT_OPEN;
    return save_reopen(s->t, &s->save, s->node, err);
}

static int on_text(void *user, const struct news *n, ox_err *err) {
    struct streaming *s = user;
    struct talk *t = s->t;
    size_t answer_at = t->answer.n, thought_at = t->thoughts.n;
    if (s->reopens) s->node->n_tok = 0;
    int rc =
        thought_feed(&s->split, n->text ? n->text : "", n->n_bytes, &t->thoughts, &t->answer, err);
    if (!rc)
        rc = ox_grow(&s->node->tok, &s->cap_tok, s->node->n_tok + n->tok.n, sizeof *s->node->tok,
                     err);
    if (rc) return rc;
    if (n->tok.n) memcpy(s->node->tok + s->node->n_tok, n->tok.v, n->tok.n * sizeof *n->tok.v);
    s->node->n_tok += n->tok.n;
    if (s->reopens) return reopen(s, err);
    save_part(t, &s->save, s->node, false);
    if (s->watch->thought && t->thoughts.n > thought_at)
        rc = s->watch->thought(s->watch->user, t->thoughts.p + thought_at,
                               t->thoughts.n - thought_at, err);
    if (!rc && t->answer.n > answer_at)
        rc = s->watch->text(s->watch->user, t->answer.p + answer_at, t->answer.n - answer_at, err);
    return rc;
}

/* What was streamed becomes the text of the node. */
static int close_node(struct talk *t, struct streaming *s, ox_err *err) {
    int rc = thought_end(&s->split, &t->thoughts, err);
    char *text = ox_memdup(buf_str(&t->answer), t->answer.n, "an answer", err);
    char *thought = ox_memdup(buf_str(&t->thoughts), t->thoughts.n, "thoughts", err);
    if (!rc && text && thought) {
        ox_free(s->node->text);
        ox_free(s->node->thought);
        s->node->text = text;
        s->node->n_bytes = t->answer.n;
        s->node->thought = thought;
        s->node->n_thought = t->thoughts.n;
        s->node->end = t->end;
        s->node->ledger = t->ledger;
        return 0;
    }
    ox_free(text);
    ox_free(thought);
    return rc ? rc : OX_ENOMEM;
}

/* The job's prompt is taken over; what the answer had is forgotten until it is told again. */
static struct work new_job(struct talk *t, enum ox_reply reply) {
    struct work job = {.kind = WORK_ANSWER, .reply = reply, .keep = t->conf->save};
    job.prompt = t->prompt;
    t->prompt = (struct prompt){0};
    job.how = conf_sampling(t->conf, &t->info->defaults);
    job.max_new_tokens = max_new(t) ? max_new(t) : t->info->default_reply_tokens;
    buf_cut(&t->answer, 0);
    buf_cut(&t->thoughts, 0);
    t->n_earlier = 0;
    t->end = CHAT_FAILED;
    t->ledger = (struct chat_ledger){.seed = job.how.seed};
    t->signo = 0;
    return job;
}

/* Streams one answer to its end and closes it. */
static int stream(struct talk *t, struct work *job, struct streaming *s, ox_err *err) {
    struct news last = {0};
    snprintf(job->chat_uid, sizeof job->chat_uid, "%s", t->uid);
    t->how = job->how;
    save_start(&s->save);
    const struct turn_watch on = {s, on_progress, on_text};
    int rc = turn_run(t->w, job, &on, &last, err);
    t->signo = turn_signal();
    if (last.kind == NEWS_DONE) {
        t->ledger = last.ledger;
        t->plan = last.plan;
        t->end = rc ? CHAT_STOPPED : last.end; /* rc: the watcher gave up */
    } else if (rc == OX_ECANCELLED) {
        t->end = CHAT_STOPPED;
        rc = 0;
    }
    news_deinit(&last);
    if (s->reopens) { /* it is as it was */
        t->ledger = s->before;
        return rc;
    }
    if (s->goes_on) t->ledger = chat_ledger_join(&s->before, s->n_before, &t->ledger);
    int closed = close_node(t, s, rc ? NULL : err);
    save_part(t, &s->save, s->node, true);
    save_finish(t, s->node->id);
    return rc ? rc : closed;
}

int talk_answer(struct talk *t, const struct talk_watch *watch, ox_err *err) {
    struct work job = new_job(t, reply_of(t));
    struct streaming s = {.t = t, .watch = watch};
    int64_t answer = 0;
    int rc = add_turn(t, &answer, err);
    if (rc) {
        work_deinit(&job);
        return rc;
    }
    for (size_t i = 0; t->has_question && !t->is_aside && i < t->n_docs; i++)
        t->doc[i].is_waiting = false;
    t->how = job.how;
    save_turn(t, &answer);
    job.answer = t->is_aside ? 0 : answer; /* of an aside no path has the tokens */
    const struct chat_node *open = chat_find(&t->chat, answer);
    if (open && !t->is_aside) tip_find(&t->chat, open->parent, answer, &job.leaf, &job.leaf_moment);
    s.node = chat_find(&t->chat, answer);
    s.split.inside = t->info->thinks && job.reply == OX_REPLY_OPEN;
    return stream(t, &job, &s, err);
}

int talk_continue(struct talk *t, const struct talk_watch *watch, ox_err *err) {
    int rc = talk_may_send(t, err);
    if (!rc) rc = save_again(t, err);
    if (!rc) rc = talk_ready(t, err);
    if (rc) return rc;
    struct chat_node *node = chat_find(&t->chat, t->chat.leaf);
    const char *why = chat_refuses_more(&t->chat, node);
    if (why) return ox_err_set(err, OX_EUSAGE, "%s", why);
    t->has_question = false;
    t->parent = node->id;
    prompt_deinit(&t->prompt);
    rc = build(t, &t->prompt, err);
    if (rc) return rc;
    struct work job = new_job(t, chat_reopens_as(node));
    job.reopens = true;
    job.n_begun = node->ledger.n_in;
    job.leaf = job.answer = node->id;
    job.leaf_moment = 1;
    if (node->ledger.seed) job.how.seed = node->ledger.seed; /* as if it had never stopped */
    struct streaming s = {.t = t,
                          .watch = watch,
                          .node = node,
                          .goes_on = true,
                          .reopens = true,
                          .before = node->ledger};
    s.split.inside = t->info->thinks && job.reply == OX_REPLY_CONTINUE;
    return stream(t, &job, &s, err);
}

int talk_tell(struct talk *t, const char *question, size_t n, const char *answer, size_t n_answer,
              ox_err *err) {
    struct streaming s = {.t = t};
    struct ox_tokens tok = {0};
    int64_t id = 0;
    buf_cut(&t->answer, 0);
    buf_cut(&t->thoughts, 0);
    int rc = talk_plan(t, question, n, err);
    prompt_deinit(&t->prompt);
    if (!rc) rc = turn_encode(t->w, answer, n_answer, &tok, err);
    if (!rc) rc = buf_add(&t->answer, answer, n_answer, err);
    if (!rc) rc = add_turn(t, &id, err);
    if (rc) {
        ox_free(tok.v);
        return rc;
    }
    for (size_t i = 0; i < t->n_docs; i++)
        t->doc[i].is_waiting = false;
    t->how = conf_sampling(t->conf, &t->info->defaults);
    t->ledger = (struct chat_ledger){.seed = t->how.seed, .n_in = t->n_prompt, .n_out = tok.n};
    t->end = CHAT_DONE;
    save_turn(t, &id);
    s.node = chat_find(&t->chat, id);
    s.node->tok = tok.v;
    s.node->n_tok = tok.v ? tok.n : 0; /* a server has no ids */
    save_start(&s.save);
    rc = close_node(t, &s, err);
    save_part(t, &s.save, s.node, true);
    save_finish(t, id);
    return rc;
}

int talk_keep(struct talk *t, ox_err *err) {
    return save_again(t, err);
}

int talk_resumed(const struct talk *t, struct buf *out, ox_err *err) {
    char n[SAY_BYTES], took[SAY_BYTES];
    if (!t->plan.restored) return 0;
    return buf_printf(out, err, "resumed %s tokens from saved state in %s%s",
                      say_count(n, t->plan.restored), say_time(took, t->ledger.load_s),
                      t->ledger.exact ? ", exact" : "");
}

size_t talk_used(const struct talk *t) {
    return t->ledger.n_in + t->ledger.n_out;
}

const struct chat_node *talk_message(const struct talk *t, size_t n) {
    struct chat_node **path = NULL;
    const struct chat_node *found = NULL;
    size_t len = 0;
    if (chat_path(&t->chat, t->chat.leaf, &path, &len, NULL)) return NULL;
    if (n && n <= len) found = path[n - 1];
    for (size_t i = len; !n && !found && i-- > 0;)
        if (path[i]->role == OX_ROLE_ASSISTANT) found = path[i];
    ox_free(path);
    return found;
}
