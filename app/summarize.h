/* summarize.h - carries a plan of core/summary.h out: one pass, or parts and merges, each kept in
 * the database when it is done, so that whatever interrupts the work costs one part.
 *
 * Work is a row of steps, parts first, then merges level by level; the last step gives the summary.
 * Steps before the last do not depend on length and style of the result: with other options only
 * the last one is made again. In one pass the summary is a turn of a new session, and the
 * document's saved end serves questions about it. UI thread. */
#ifndef SUMMARIZE_H
#define SUMMARIZE_H

#include "app/core/eta.h"
#include "app/core/summary.h"
#include "app/store/docs.h"
#include "app/talk.h"

struct summarize_opts {
    size_t n_words; /* of the result, about; 0: not said */
    size_t
        n_parts; /* at least so many, about; 1: one pass if it fits; 0: as the model is good for */
    bool is_list, cites, restarts;
};

struct summarize_step {
    size_t level, idx;
    size_t from, to; /* bytes of the document's part that is summarised (talk_doc.text) */
    size_t line_from, line_to;
    double cost;      /* in tokens read, roughly */
    struct buf text;  /* once done */
    struct buf quote; /* with opts.cites: what the model quoted from its part; unchecked */
    bool is_done, was_kept;
};

struct summarize {  /* {0} is empty */
    struct talk *t; /* borrowed; model ready, one document added */
    struct summarize_opts opts;
    struct summary_plan plan;
    struct summarize_step *step;
    size_t n_steps, at, n_kept;
    bool is_small; /* in parts because the model is small, not because the text is too long */
    bool quotes;   /* a list from a small model: of sentences it quotes, core/quoted.h */
    int64_t parts_job, job; /* of the store: all steps but the last; the last. 0: nothing is kept */
    size_t part_answer, max_answer; /* tokens at most: of a step, of the last one */
    enum chat_end end;              /* of the last step that ran */
    double todo, started_s;         /* cost of what is left; clock when the step at hand began */
    struct eta eta;                 /* of the text being read */
    size_t n_out;                   /* tokens of the step at hand */
};

struct summarize_watch {
    void *user;
    void (*progress)(void *user, const struct summarize *s, const struct news *n);
    int (*text)(void *user, const char *s, size_t n, ox_err *err); /* of the last step */
};

/* Plans, and takes up what an earlier run kept. OX_EFIT: the context is too small. */
int summarize_plan(struct summarize *s, struct talk *t, const struct summarize_opts *opts,
                   ox_err *err);
/* Does the steps that are missing. A stop is 0 with s->end CHAT_STOPPED; what is done stays. If the
 * last step was kept, its text goes to the watch. */
int summarize_run(struct summarize *s, const struct summarize_watch *watch, ox_err *err);
/* Seconds left, all n_prompt tokens of the step at hand and the steps behind it; < 0: not known. */
double summarize_left(const struct summarize *s, size_t n_prompt);
/* ---- for a caller that lives on events and cannot wait in summarize_run ---- */
/* The first step that is missing; the last one when none is, to be made again. Steps that only pass
 * a summary on are done on the way. */
int summarize_next(struct summarize *s, size_t *step, ox_err *err);
/* What to send for it; id, how and keep are the caller's. */
int summarize_work(const struct summarize *s, size_t step, struct work *out, ox_err *err);
/* Its whole answer: kept, and read by the merges above. Not for the last step. */
int summarize_took(struct summarize *s, size_t step, const char *text, size_t n,
                   const struct news *done, ox_err *err);
void summarize_end(struct summarize *s, enum chat_end end); /* says so in the database */

void summarize_deinit(struct summarize *s);

#endif
