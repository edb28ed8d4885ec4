/* update_ask.c - a question on its way: sent or queued, read, answered, refused with a choice. See
 * update.h. */
#include "app/core/update.h"

#include "app/core/budget.h"
#include "app/core/prompt.h"
#include "app/core/say.h"
#include "app/core/summary.h"

#include <stdio.h>
#include <string.h>

/* ---- sending ------------------------------------------------------------------------------------
 */

static int attach_docs(struct app_state *s, struct chat_node *node, ox_err *err) {
    size_t n = 0;
    for (size_t i = 0; i < s->n_docs; i++)
        n += s->doc[i].is_pending;
    if (n == 0) return 0;
    node->docs = ox_alloc(n, sizeof *node->docs, "documents of a question", err);
    if (!node->docs) return OX_ENOMEM;
    for (size_t i = 0; i < s->n_docs; i++)
        if (s->doc[i].is_pending) {
            const struct open_doc *d = &s->doc[i];
            size_t first, to = d->d.to ? d->d.to : d->d.n_bytes;
            bool is_cut = d->part_lines && d->part_lines < update_part_lines(s, i, &first);
            if (is_cut) to = d->line[first - 1 + d->part_lines];
            char *name = ox_strdup(d->d.name, "name", err);
            if (!name) return OX_ENOMEM;
            node->docs[node->n_docs++] = (struct chat_doc){d->d.id, d->d.from, to, name};
        }
    return 0;
}

/* An open answer behind `question` becomes the end of the path, and the job at hand. */
static int open_answer(struct update *u, int64_t question) {
    struct app_state *s = u->s;
    struct chat_node node = {.id = chat_new_id(&s->chat),
                             .parent = question,
                             .role = OX_ROLE_ASSISTANT,
                             .end = CHAT_OPEN};
    node.created_us = (int64_t)(s->now * 1e6);
    int64_t id = node.id;
    int rc = chat_add(&s->chat, &node, u->err);
    if (!rc) rc = update_path(u);
    if (rc) return rc;
    s->job = (struct job){.busy = BUSY_WAITING, .answer = id, .started = s->now};
    s->chosen = SIZE_MAX;
    s->find.is_on = false;
    update_uncover(s);
    update_show_end(u);
    return 0;
}

static int add_answer(struct update *u, int64_t question, const char *seed) {
    struct app_state *s = u->s;
    int rc = open_answer(u, question);
    if (rc) return rc;
    for (size_t i = 0; i < s->n_docs; i++)
        if (s->doc[i].is_pending) s->job.n_doc = i + 1, s->doc[i].is_pending = false;
    return update_fx(u, FX_ASK, question, s->job.answer, seed);
}

static int queue_question(struct update *u, const char *text, size_t n) {
    struct buf *q = &u->s->queued;
    int rc = q->n > 0 ? buf_putc(q, '\n', u->err) : 0;
    return rc ? rc : buf_add(q, text, n, u->err);
}

/* A session begins with its system prompt, as a message of its own: it is saved with it. */
static int begin_with_system(struct update *u) {
    struct app_state *s = u->s;
    struct chat_node node = {.id = chat_new_id(&s->chat),
                             .role = OX_ROLE_SYSTEM,
                             .end = CHAT_DONE,
                             .created_us = (int64_t)(s->now * 1e6),
                             .n_bytes = s->system.n};
    if (s->chat.leaf || s->system.n == 0) return 0;
    node.text = ox_memdup(s->system.p, s->system.n, "system prompt", u->err);
    return node.text ? chat_add(&s->chat, &node, u->err) : OX_ENOMEM;
}

int update_send(struct update *u, const char *text, size_t n) {
    struct app_state *s = u->s;
    if (state_is_busy(s) || state_is_reading(s)) return queue_question(u, text, n);
    int64_t question = 0;
    int rc;
    if (s->editing) {
        rc = chat_edit(&s->chat, s->editing, text, n, &question, u->err);
        s->editing = 0;
    } else {
        rc = begin_with_system(u);
        if (rc) return rc;
        struct chat_node node = {.id = chat_new_id(&s->chat),
                                 .parent = s->chat.leaf,
                                 .role = OX_ROLE_USER,
                                 .end = CHAT_DONE,
                                 .created_us = (int64_t)(s->now * 1e6),
                                 .n_bytes = n};
        question = node.id;
        node.text = ox_memdup(text, n, "question", u->err);
        rc = node.text ? attach_docs(s, &node, u->err) : OX_ENOMEM;
        if (rc)
            chat_node_deinit(&node);
        else
            rc = chat_add(&s->chat, &node, u->err);
    }
    return rc ? rc : add_answer(u, question, NULL);
}

int update_send_queue(struct update *u) {
    struct app_state *s = u->s;
    if (s->queued.n == 0 || state_is_busy(s) || state_is_reading(s)) return 0;
    struct buf next = s->queued;
    s->queued = (struct buf){0};
    int rc = update_send(u, next.p, next.n);
    buf_deinit(&next);
    return rc;
}

int update_regen(struct update *u, int64_t question, const char *seed) {
    if (state_is_busy(u->s)) state_notice(u->s, false, "Esc stops the answer first");
    return question == 0 || state_is_busy(u->s) ? 0 : add_answer(u, question, seed);
}

/* ---- answers to what the person did not type ----------------------------------------------------
 */

/* The answer that `question` gets is made from another prompt than the path. */
static int add_aside(struct update *u, int64_t question, int64_t old_leaf, enum effect_kind kind,
                     int64_t of) {
    struct app_state *s = u->s;
    int rc = open_answer(u, question);
    if (rc) return rc;
    s->job.is_aside = true;
    s->job.old_leaf = old_leaf;
    return update_fx(u, kind, of, s->job.answer, NULL);
}

int update_compact(struct update *u) {
    struct app_state *s = u->s;
    int64_t old = s->chat.leaf, from = 0, question = 0;
    for (size_t i = 0; i < s->sheet.n; i++)
        if (s->sheet.path[i]->role == OX_ROLE_ASSISTANT) from = s->sheet.path[i]->id;
    if (state_is_busy(s) || from == 0) {
        state_notice(s, false, from ? "Esc stops the answer first" : "there is no answer yet");
        return 0;
    }
    int rc = chat_restart(&s->chat, from, prompt_compact_words, (int64_t)(s->now * 1e6), &question,
                          u->err);
    if (!rc) rc = add_aside(u, question, old, FX_COMPACT, from);
    state_notice(s, false, "the conversation goes on from its summary; [ shows the old branch");
    return rc;
}

static size_t docs_ahead(const struct app_state *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->n_docs; i++)
        n += s->doc[i].is_pending || state_has_read(s, s->doc[i].d.id);
    return n;
}

/* The document stands in the context, or comes into it with the question. */
static int summarize_whole(struct update *u, size_t n) {
    struct app_state *s = u->s;
    struct open_doc *d = &s->doc[n - 1];
    struct buf task = {0};
    d->is_pending = d->is_pending || !state_has_read(s, d->d.id);
    int rc = summary_whole_question(&task, docs_ahead(s) > 1 ? n : 0, d->d.name, u->err);
    if (!rc) rc = update_send(u, buf_str(&task), task.n);
    buf_deinit(&task);
    return rc;
}

static int summarize_parts(struct update *u, size_t n) {
    struct app_state *s = u->s;
    struct open_doc *d = &s->doc[n - 1];
    struct buf task = {0};
    int64_t old = s->chat.leaf;
    struct chat_node node = {.id = chat_new_id(&s->chat),
                             .parent = old,
                             .role = OX_ROLE_USER,
                             .end = CHAT_DONE,
                             .created_us = (int64_t)(s->now * 1e6)};
    int64_t question = node.id, doc = d->d.id;
    int rc = summary_parts_question(&task, d->d.name, u->err);
    node.n_bytes = task.n;
    node.text = buf_take(&task, NULL);
    if (rc)
        chat_node_deinit(&node);
    else
        rc = chat_add(&s->chat, &node, u->err);
    if (!rc) rc = add_aside(u, question, old, FX_SUMMARIZE, doc);
    s->job.n_doc = n;
    d->is_pending = false; /* what is asked next is about the summary */
    return rc;
}

int update_summarize(struct update *u, size_t n) {
    struct app_state *s = u->s;
    if (n == 0 && state_is_reading(s)) {
        state_notice(s, false, "%s is still being read", s->file.name);
        return 0;
    }
    if (n == 0) n = s->n_docs;
    if (s->n_docs == 0)
        state_notice(s, false, "no document here; /file PATH adds one");
    else if (n > s->n_docs)
        state_notice(s, false,
                     s->n_docs == 1 ? "there is %zu document here" : "there are %zu documents here",
                     s->n_docs);
    else if (state_is_busy(s))
        state_notice(s, false, "Esc stops the answer first");
    else if (!s->is_loaded || s->doc[n - 1].d.n_tokens == 0)
        state_notice(s, false, "document %zu is still being counted", n);
    else if (summary_wants_parts(s->doc[n - 1].d.n_tokens, s->model.limit, s->model.is_small))
        return summarize_parts(u, n);
    else
        return summarize_whole(u, n);
    return 0;
}

/* The same message goes on: nothing is added to the conversation. */
int update_continue(struct update *u) {
    struct app_state *s = u->s;
    struct chat_node *last = s->sheet.n > 0 ? s->sheet.path[s->sheet.n - 1] : NULL;
    const char *why = chat_refuses_more(&s->chat, last);
    if (why) {
        state_notice(s, false, "%s", why);
        return 0;
    }
    s->job = (struct job){.busy = BUSY_WAITING,
                          .answer = last->id,
                          .goes_on = true,
                          .end_before = last->end,
                          .before = last->ledger,
                          .n_before = last->n_tok,
                          .started = s->now};
    last->end = CHAT_OPEN;
    s->chosen = SIZE_MAX;
    update_show_end(u);
    return update_fx(u, FX_CONTINUE, 0, last->id, NULL);
}

/* ---- the answer ---------------------------------------------------------------------------------
 */

static int take_text(struct update *u) {
    struct app_state *s = u->s;
    struct chat_node *node = chat_find(&s->chat, s->job.answer);
    if (!node || !state_is_busy(s)) return 0;
    if (u->ev->flag) { /* the same again, unless it ended inside a character */
        size_t n = node->n_bytes;
        if (u->ev->n < n || memcmp(node->text, u->ev->text, n) != 0) sheet_stale(&s->sheet);
        node->n_bytes = 0;
        s->job.n_before = u->ev->number;
    }
    int rc = ox_grow(&node->text, &s->job.cap_text, node->n_bytes + u->ev->n + 1, 1, u->err);
    if (rc) return rc;
    memcpy(node->text + node->n_bytes, u->ev->text, u->ev->n);
    node->n_bytes += u->ev->n;
    node->text[node->n_bytes] = 0;
    if (s->job.busy != BUSY_WRITING) s->job.first_token = s->now;
    s->job.busy = BUSY_WRITING;
    if (!u->ev->flag) s->job.n_out += u->ev->number;
    s->job.last_token = s->now;
    if (s->follow) update_show_end(u);
    return 0;
}

static void take_progress(struct update *u) {
    struct app_state *s = u->s;
    if (s->job.busy == BUSY_NONE) return;
    bool is_next = s->job.part != (size_t)u->ev->id;
    if (s->job.busy == BUSY_WAITING || is_next)
        eta_start(&s->job.eta, u->ev->number, s->now, u->ev->plan.deepening);
    else
        eta_add(&s->job.eta, u->ev->number, s->now);
    s->job.busy = s->job.busy == BUSY_WRITING ? BUSY_WRITING : BUSY_READING;
    s->job.plan = u->ev->plan;
    s->job.n_done = u->ev->number;
    s->job.n_prompt = u->ev->number2;
    s->job.part = (size_t)u->ev->id;
    s->job.n_parts = (size_t)u->ev->id2;
    s->job.n_behind = (size_t)u->ev->number3;
}

/* The tokens that are known are those of the part that was attached, of which less may have gone.
 */
static size_t count_part(const struct doc_text *d, const struct chat_doc *sent) {
    size_t all = (d->to ? d->to : d->n_bytes) - d->from, n = sent->to - sent->from;
    return all == 0 || sent->to == 0 || n >= all
               ? d->n_tokens
               : (size_t)((double)d->n_tokens * (double)n / (double)all);
}

/* Tokens of the documents that went with a message, of those that are here. */
static size_t count_docs(const struct app_state *s, const struct chat_node *m) {
    size_t n = 0;
    for (size_t k = 0; k < m->n_docs; k++)
        for (size_t d = 0; d < s->n_docs; d++)
            if (s->doc[d].d.id == m->docs[k].doc) n += count_part(&s->doc[d].d, &m->docs[k]);
    return n;
}

/* Tokens of the path from message `i` on, about: what the next question will read. */
static size_t count_path(const struct app_state *s, size_t i) {
    enum { MARKS = 8, BYTES_PER_TOKEN = 4 };
    size_t used = 0;
    for (; i < s->sheet.n; i++) {
        const struct chat_node *m = s->sheet.path[i];
        used += MARKS + (m->n_tok ? m->n_tok : m->n_bytes / BYTES_PER_TOKEN) + count_docs(s, m);
    }
    return used;
}

/* An answer that was made from another prompt than its path: its count is of that one. */
static bool is_aside(const struct app_state *s, size_t i) {
    const struct chat_node *q = i > 0 ? s->sheet.path[i - 1] : NULL;
    const char *text = q && q->text ? q->text : "";
    bool is = strcmp(text, prompt_compact_words) == 0;
    for (size_t d = 0; d < s->n_docs && !is; d++) {
        struct buf task = {0};
        is = summary_parts_question(&task, s->doc[d].d.name, NULL) == 0 &&
             strcmp(text, buf_str(&task)) == 0;
        buf_deinit(&task);
    }
    return is;
}

/* The last answer that was counted knows all before it; what was cut off behind it is estimated. */
void update_count_used(struct app_state *s) {
    size_t i = s->sheet.n;
    while (i > 0 && (s->sheet.path[i - 1]->ledger.n_in == 0 || is_aside(s, i - 1)))
        i--;
    const struct chat_ledger none = {0}, *l = i > 0 ? &s->sheet.path[i - 1]->ledger : &none;
    s->n_used = l->n_in + l->n_out + count_path(s, i);
    s->is_used_about = i < s->sheet.n || l->ran == CHAT_RAN_REMOTE_ABOUT;
}

static void tell_cost(struct app_state *s, const struct chat_ledger *l) {
    char reused[SAY_BYTES], read[SAY_BYTES], time[SAY_BYTES], cost[SAY_COST_BYTES];
    size_t fresh = l->n_in > l->n_reused ? l->n_in - l->n_reused : 0;
    bool is_free = !s->notice.standing[0]; /* the row above the answer says it too */
    if (is_free && l->load_s > 0 && l->n_reused > 0)
        state_notice(s, false, "resumed %s tokens from saved state in %s%s",
                     say_count(reused, l->n_reused), say_time(time, l->load_s),
                     l->exact ? ", exact" : "");
    else if (is_free && l->ran != CHAT_RAN_HERE)
        state_notice(s, false, "%s", say_cost(cost, l));
    else if (is_free)
        state_notice(s, false, "read %s, reused %s", say_count(read, fresh),
                     say_count(reused, l->n_reused));
    s->is_used_about = s->job.is_aside || l->ran == CHAT_RAN_REMOTE_ABOUT;
    size_t used = s->job.is_aside ? count_path(s, 0) : l->n_in + l->n_out, before = s->n_used;
    s->n_used = used;
    int mark = budget_mark(before, used, s->model.limit);
    if (mark)
        state_notice(s, false,
                     "%d %% of the context is used; /compact makes room, /new starts afresh", mark);
    if (s->model.trained && before <= s->model.trained && used > s->model.trained)
        state_notice(s, false, "past %s: this model was trained to %s",
                     say_short(reused, s->model.trained), say_count(read, s->model.trained));
}

static int finish(struct update *u, enum chat_end end) {
    struct app_state *s = u->s;
    struct chat_node *node = chat_find(&s->chat, s->job.answer);
    if (node) {
        const struct job *j = &s->job;
        node->end = end;
        node->ledger =
            j->goes_on ? chat_ledger_join(&j->before, j->n_before, &u->ev->ledger) : u->ev->ledger;
        ox_free(node->tok);
        node->tok = u->ev->tok.v;
        node->n_tok = u->ev->tok.n;
        u->ev->tok = (struct ox_tokens){0};
    }
    if (u->ev->kind == EV_DONE)
        tell_cost(s, &u->ev->ledger);
    else
        update_count_used(s);
    s->job = (struct job){0};
    if (s->follow) update_show_end(u);
    int rc = 0;
    if (update_seeds_go_on(u, node ? node->parent : 0, end, &rc) || rc) return rc;
    rc = update_fx(u, FX_BELL, 0, 0, NULL);
    return rc || end == CHAT_FAILED ? rc : update_send_queue(u);
}

/* ---- a question that was not sent ---------------------------------------------------------------
 */

/* The tree as before Enter; the words go back to the input, the documents wait again. */
static int take_back(struct update *u) {
    struct app_state *s = u->s;
    struct chat_node *answer = chat_find(&s->chat, s->job.answer);
    if (answer && s->job.goes_on) {
        answer->end = s->job.end_before;
        s->job = (struct job){0};
        return 0;
    }
    struct chat_node *q = answer ? chat_find(&s->chat, answer->parent) : NULL;
    int rc = 0;
    if (!q) return 0;
    bool is_new = (size_t)(q - s->chat.node) + 2 == s->chat.n; /* else: another answer was wanted */
    bool is_aside = s->job.is_aside;
    int64_t leaf = is_aside ? s->job.old_leaf : q->parent;
    for (size_t i = 0; i < q->n_docs && is_new && !is_aside; i++)
        for (size_t d = 0; d < s->n_docs; d++)
            if (s->doc[d].d.id == q->docs[i].doc) s->doc[d].is_pending = true;
    if (is_new && !is_aside && edit_is_empty(&s->input))
        rc = edit_give_back(&s->input, q->text, q->n_bytes, u->err);
    int64_t question = q->id;
    const struct chat_node *first = is_new && q > s->chat.node ? q - 1 : NULL;
    bool began = first && first->role == OX_ROLE_SYSTEM && first->id == q->parent && first->id < 0;
    if (began) leaf = 0;
    chat_take_back(&s->chat, began ? first->id : is_new ? question : s->job.answer);
    s->chat.leaf = is_new ? leaf : chat_leaf_below(&s->chat, question);
    s->job = (struct job){0};
    if (!rc) rc = update_path(u);
    update_count_used(s);
    update_show_end(u);
    return rc;
}

static void add_choice(struct app_state *s, enum choice what, const char *words) {
    size_t i = s->choice.n++;
    s->choice.what[i] = what;
    snprintf(s->choice.line[i], sizeof s->choice.line[i], "%s", words);
}

static size_t count_turns(const struct app_state *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->sheet.n; i++)
        n += s->sheet.path[i]->role == OX_ROLE_ASSISTANT;
    return n;
}

/* The question waits until the summary is there. */
static int compact_and_ask(struct update *u) {
    struct app_state *s = u->s;
    struct buf question = {0};
    int rc = edit_take(&s->input, &question, u->err);
    if (!rc) rc = update_compact(u);
    if (!rc && question.n) rc = queue_question(u, question.p, question.n);
    buf_deinit(&question);
    return rc;
}

/* What the turns so far take, without their documents. */
static size_t count_talk(const struct app_state *s) {
    size_t docs = 0;
    for (size_t i = 0; i < s->sheet.n; i++)
        docs += count_docs(s, s->sheet.path[i]);
    return s->n_used > docs ? s->n_used - docs : 0;
}

/* Only ways that can help: leaving the talk out makes no room for a question that is too long by
 * itself. */
static void offer_choice(struct app_state *s, size_t over) {
    char words[120];
    s->choice.n = 0;
    s->choice.over = over;
    const struct open_doc *longest = NULL;
    for (size_t i = 0; i < s->n_docs; i++)
        if (s->doc[i].is_pending && (!longest || s->doc[i].d.n_tokens > longest->d.n_tokens))
            longest = &s->doc[i], s->choice.doc = i;
    if (longest && longest->d.n_tokens > over) {
        size_t first, n = update_part_lines(s, s->choice.doc, &first);
        s->choice.lines = budget_lines(n, longest->d.n_tokens, over);
        snprintf(words, sizeof words, "shorten: use lines %zu-%zu of [%zu]", first,
                 first + s->choice.lines - 1, s->choice.doc + 1);
        add_choice(s, CHOICE_SHORTEN, words);
    }
    size_t turns = count_turns(s);
    bool helps = over < count_talk(s);
    if (turns > 0 && helps) {
        snprintf(words, sizeof words,
                 "summarise the %zu turn%s so far into a new branch, ask there", turns,
                 turns == 1 ? "" : "s");
        add_choice(s, CHOICE_COMPACT, words);
    }
    if (s->sheet.n > 0 && s->n_docs > 0 && helps)
        add_choice(s, CHOICE_AFRESH, "new session with the documents only");
    else if (s->sheet.n > 0 && helps)
        add_choice(s, CHOICE_AFRESH, "new session with this question");
    if (s->choice.n == 0) {
        ox_err_fix(&s->error,
                   "shorten it; a long text is better a document: /file PATH, then /summarize");
        return;
    }
    add_choice(s, CHOICE_DRAFT, "back to the draft (kept)");
    s->error = (ox_err){0}; /* the first row says the same */
    s->overlay = OVERLAY_CHOICE;
}

int update_choose(struct update *u, uint32_t key) {
    struct app_state *s = u->s;
    if (key < '1' || key >= '1' + s->choice.n) return 0;
    s->overlay = OVERLAY_NONE;
    s->error = (ox_err){0};
    s->focus = FOCUS_INPUT;
    switch (s->choice.what[key - '1']) {
    case CHOICE_SHORTEN:
        s->doc[s->choice.doc].part_lines = s->choice.lines;
        return update_send_input(u);
    case CHOICE_COMPACT: return compact_and_ask(u);
    case CHOICE_AFRESH: return update_fx(u, FX_NEW, 1, 0, NULL);
    case CHOICE_NONE:
    case CHOICE_DRAFT: break;
    }
    return 0;
}

static int take_failure(struct update *u) {
    struct app_state *s = u->s;
    update_error(u, &u->ev->err);
    if (!state_is_busy(s) || u->ev->flag) return 0; /* flag: not the answer, an effect failed */
    if (s->queued.n > 0 && edit_is_empty(&s->input)) update_take_back_queue(u);
    bool stopped = u->ev->err.code == OX_ECANCELLED;
    if (stopped) s->error = (ox_err){0};
    const struct chat_node *answer = chat_find(&s->chat, s->job.answer);
    bool is_void = s->job.is_aside && answer && !answer->n_bytes; /* nobody asked for its branch */
    int64_t old_leaf = s->job.old_leaf;
    if (u->ev->number2 == 0) {
        int rc = finish(u, stopped ? CHAT_STOPPED : CHAT_FAILED);
        return rc || !is_void ? rc : update_show_leaf(u, old_leaf);
    }
    int64_t question = answer ? answer->parent : 0;
    int rc = take_back(u);
    if (!rc) update_seeds_go_on(u, question, CHAT_STOPPED, &rc);
    if (u->ev->err.code == OX_EFIT && u->ev->number > 0) offer_choice(s, u->ev->number);
    return rc;
}

int update_answer_event(struct update *u) {
    switch ((int)u->ev->kind) {
    case EV_TEXT: return take_text(u);
    case EV_PROGRESS: take_progress(u); return 0;
    case EV_DONE: return finish(u, u->ev->end);
    case EV_FAILED: return take_failure(u);
    default: return 0;
    }
}
