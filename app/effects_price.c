/* effects_price.c - what going on from an earlier place costs, told before it happens: edit, undo,
 * fork, another answer. A long reading is asked for once. See effects.h. */
#include "app/effects.h"

#include "app/core/say.h"

#include <stdio.h>

static const double ASK_S = 10;

void effects_price(struct effects *fx, const struct effect *e) {
    struct work job = {.kind = WORK_PLAN, .reply = OX_REPLY_NONE, .keep = fx->conf->save};
    if (!fx->info || fx->answer.job || fx->answer.plan_job) return;
    int rc = effects_prompt(fx, e->id ? e->id : e->id2, &job.prompt, NULL);
    /* The words of the question will be others; what stands before them, documents too, stays. */
    job.n_upto = e->id && job.prompt.n ? job.prompt.n - 1 : job.prompt.n;
    if (rc || job.n_upto == 0) {
        work_deinit(&job);
        return;
    }
    snprintf(fx->price.words, sizeof fx->price.words, "%s", e->text ? e->text : "");
    fx->price.job = job.id = ++fx->next_job;
    worker_send(fx->w, &job, NULL);
}

void effects_take_price(struct effects *fx, const struct news *n) {
    char price[SAY_PRICE_BYTES];
    fx->price.job = 0;
    say_restart(price, n->plan.fresh + n->plan.replay, n->plan.time_s);
    effects_notice(fx, false, "%s; %s", fx->price.words, price);
}

bool effects_asks_first(struct effects *fx, struct news *n) {
    struct fx_answer *a = &fx->answer;
    const struct chat *c = &fx->s->chat;
    size_t n_back = n->plan.fresh + n->plan.replay, n_others = 0;
    char price[SAY_PRICE_BYTES];
    for (size_t i = 0; i < c->n; i++)
        n_others += c->node[i].parent == a->question && c->node[i].id != a->id;
    if (n_others == 0 || n_back == 0) return false;
    say_restart(price, n_back, n->plan.time_s);
    if (n->plan.time_s < ASK_S) {
        effects_notice(fx, false, "another answer; %s", price);
        return false;
    }
    a->asks = true;
    a->plan_job = 0;
    a->prompt = n->prompt;
    n->prompt = (struct prompt){0};
    struct event ev = {.kind = EV_ASK, .text = price, .id = FX_AGREE};
    effects_event(fx, &ev);
    return true;
}
