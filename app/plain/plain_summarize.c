/* plain_summarize.c - /summarize and /compact of the plain mode: answers whose prompt is not the
 * conversation. The steps of a long summary are those of app/summarize.h, so the verb, the full
 * screen and this take up each other's parts. */
#include "app/plain/plain.h"

#include "app/core/command.h"
#include "app/summarize.h"

#include <string.h>

/* The document stands in the context, or comes into it with the question. */
static int summarize_whole(struct plain *p, size_t n, ox_err *err) {
    struct talk *t = &p->talk;
    struct buf task = {0};
    struct talk_doc *d = &t->doc[n - 1];
    d->is_waiting = d->is_waiting || !chat_has_doc(&t->chat, t->chat.leaf, d->id);
    int rc = summary_whole_question(&task, t->n_docs > 1 ? n : 0, buf_str(&d->name), err);
    if (!rc) rc = plain_ask(p, buf_str(&task), task.n, err);
    buf_deinit(&task);
    return rc;
}

static int on_progress(void *user, const struct news *n, ox_err *err) {
    struct plain *p = user;
    (void)err;
    progress_news(&p->bar, n);
    return 0;
}

struct part {
    struct plain *p;
    struct buf text;
};

static int on_part_progress(void *user, const struct news *n, ox_err *err) {
    return on_progress(((struct part *)user)->p, n, err);
}

static int on_part_text(void *user, const struct news *n, ox_err *err) {
    return buf_add(&((struct part *)user)->text, n->text ? n->text : "", n->n_bytes, err);
}

/* One step before the last. */
static int do_part(struct plain *p, struct summarize *s, size_t i, struct work *job, ox_err *err) {
    struct part part = {.p = p};
    struct buf label = {0};
    struct news last = {0};
    const struct turn_watch on = {&part, on_part_progress, on_part_text};
    int rc = buf_printf(&label, err, "%s, part %zu of %zu", buf_str(&s->t->doc->name), i + 1,
                        s->n_steps);
    if (!rc && !p->edits) plain_note(p, "part %zu of %zu", i + 1, s->n_steps);
    progress_start(&p->bar, p->is_quiet, p->edits, buf_str(&label));
    if (rc)
        work_deinit(job);
    else
        rc = turn_run(p->talk.w, job, &on, &last, err);
    progress_end(&p->bar);
    p->talk.signo = turn_signal();
    bool stopped = rc == OX_ECANCELLED || (!rc && last.end == CHAT_STOPPED);
    if (!rc && !stopped) rc = summarize_took(s, i, buf_str(&part.text), part.text.n, &last, err);
    news_deinit(&last);
    buf_deinit(&part.text);
    buf_deinit(&label);
    if (stopped && err) *err = (ox_err){0};
    return stopped ? OX_ECANCELLED : rc;
}

static int do_last(struct plain *p, struct summarize *s, struct work *job, ox_err *err) {
    struct buf words = {0};
    int rc = summary_parts_question(&words, buf_str(&s->t->doc->name), err);
    if (rc)
        work_deinit(job);
    else
        rc = talk_plan_aside(&p->talk, buf_str(&words), words.n, job, err);
    buf_deinit(&words);
    return rc ? rc : plain_answer(p, err);
}

static void say_stopped(struct plain *p, const struct summarize *s) {
    size_t done = 0;
    for (size_t i = 0; i < s->n_steps; i++)
        done += s->step[i].is_done;
    plain_note(p, "stopped; %zu part%s kept, /summarize goes on from there", done,
               done == 1 ? " is" : "s are");
    p->is_done = p->is_done || (p->talk.signo && p->talk.signo != 2);
}

static int summarize_parts(struct plain *p, size_t n, ox_err *err) {
    struct talk *t = &p->talk;
    struct talk of = {.conf = t->conf, .w = t->w, .info = t->info, .st = t->st};
    const struct summarize_opts opts = {0};
    struct summarize s = {0};
    of.doc = &t->doc[n - 1];
    of.n_docs = 1;
    int rc = summarize_plan(&s, &of, &opts, err);
    for (bool ends = false; !rc && !ends;) {
        struct work job = {0};
        size_t i = 0;
        rc = summarize_next(&s, &i, err);
        if (!rc) rc = summarize_work(&s, i, &job, err);
        job.keep = t->conf->save;
        job.how = conf_sampling(t->conf, &t->info->defaults);
        ends = i + 1 == s.n_steps;
        if (rc)
            work_deinit(&job);
        else
            rc = ends ? do_last(p, &s, &job, err) : do_part(p, &s, i, &job, err);
    }
    if (!rc) t->doc[n - 1].is_waiting = false; /* what is asked next is about the summary */
    if (rc == OX_ECANCELLED) say_stopped(p, &s);
    summarize_end(&s, rc == OX_ECANCELLED ? CHAT_STOPPED : rc ? CHAT_FAILED : t->end);
    summarize_deinit(&s);
    return rc == OX_ECANCELLED ? 0 : rc;
}

int plain_summarize(struct plain *p, const char *arg, ox_err *err) {
    struct talk *t = &p->talk;
    size_t n = 0;
    int rc = command_count(arg, t->n_docs, &n, err);
    if (!rc) rc = talk_may_send(t, err); /* before its parts take minutes */
    if (rc) return rc;
    if (t->n_docs == 0) return ox_err_set(err, OX_EUSAGE, "no document here; /file PATH adds one");
    if (n > t->n_docs)
        return ox_err_set(err, OX_EUSAGE,
                          t->n_docs == 1 ? "there is %zu document" : "there are %zu documents",
                          t->n_docs);
    const struct ox_info *i = t->info;
    bool parts = summary_wants_parts(t->doc[n - 1].tok.n, i->max_tokens, summary_is_small(i));
    return parts ? summarize_parts(p, n, err) : summarize_whole(p, n, err);
}

int plain_compact(struct plain *p, const char *arg, ox_err *err) {
    struct talk *t = &p->talk;
    int64_t old = t->chat.leaf;
    (void)arg;
    int rc = talk_plan_compact(t, err);
    if (!rc) rc = plain_answer(p, err);
    const struct chat_node *made = chat_find(&t->chat, t->chat.leaf);
    if (rc || (made && made->role == OX_ROLE_ASSISTANT && !made->n_bytes)) {
        t->chat.leaf = old; /* nobody asked for an empty branch */
        plain_show_branch(p);
    } else
        plain_note(p,
                   "the conversation goes on from this summary; the old branch stays: "
                   "oxbow show %.4s --branch 2",
                   t->uid);
    return rc;
}
