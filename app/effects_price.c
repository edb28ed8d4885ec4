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

/* Several answers, a seed each: the price of all of them is told before the first. */
static void seeds_price(const struct effects *fx, const struct news *n, char *out, size_t cap) {
    const struct fx_answer *a = &fx->answer;
    char price[SAY_PRICE_BYTES];
    size_t n_answers = fx->s->seeds.n, n_back = n->plan.fresh + n->plan.replay;
    bool keeps = fx->conf->save && !fx->info->is_remote; /* the state of its question: one reads */
    size_t n_reads = keeps ? 1 : n_answers;
    double writing = chat_writing_s(&fx->s->chat, a->question);
    double seconds = (double)n_reads * n->plan.time_s + (double)n_answers * writing;
    char time[SAY_BYTES];
    say_answers(price, n_answers, n_reads * n_back, writing > 0 ? seconds : 0);
    if (a->how.temperature > 0)
        snprintf(out, cap, "%s", price);
    else
        snprintf(out, cap, "temperature 0: the same %zu times, about %s", n_answers,
                 say_time(time, seconds));
}

static bool asks(struct effects *fx, struct news *n, const char *words) {
    struct fx_answer *a = &fx->answer;
    a->asks = true;
    a->plan_job = 0;
    a->prompt = n->prompt;
    n->prompt = (struct prompt){0};
    struct event ev = {.kind = EV_ASK, .text = words, .id = FX_AGREE};
    effects_event(fx, &ev);
    return true;
}

bool effects_asks_first(struct effects *fx, struct news *n) {
    const struct fx_answer *a = &fx->answer;
    size_t n_back = n->plan.fresh + n->plan.replay, n_answers = 0;
    char price[2 * SAY_PRICE_BYTES];
    if (fx->s->seeds.n > 0) {
        if (fx->s->seeds.done > 0) return false;
        seeds_price(fx, n, price, sizeof price);
        return asks(fx, n, price);
    }
    chat_sibling(&fx->s->chat, a->id, 0, NULL, &n_answers);
    if (n_answers < 2 || n_back == 0) return false;
    say_restart(price, n_back, n->plan.time_s);
    if (n->plan.time_s < ASK_S) {
        effects_notice(fx, false, "another answer; %s", price);
        return false;
    }
    return asks(fx, n, price);
}
