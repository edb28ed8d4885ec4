/* effects_model.c - which model answers, and what its saved states take. See effects.h. */
#include "app/effects.h"

#include "app/open.h"
#include "app/states_words.h"

/* Its next step needs the model that it was begun with. */
static bool is_answering(const struct effects *fx) {
    const struct fx_answer *a = &fx->answer;
    return a->job || a->plan_job || a->asks || fx->summary;
}

int effects_model(struct effects *fx, const struct effect *e, ox_err *err) {
    if (!e->text) {
        effects_notice(fx, false, "%s on %s", fx->s->model.name, fx->s->model.backend);
        return 0;
    }
    if (is_answering(fx))
        return ox_err_set(err, OX_EBUSY, "an answer is being written; Esc stops it first");
    /* Its ledger names the model that wrote it. */
    int rc = fx->unsaved.answer ? effects_save_again(fx, err) : 0;
    fx->model_before = fx->conf->model;
    if (!rc) rc = conf_set(fx->conf, "model", e->text, "/model", err);
    if (rc) return rc;
    fx->is_changing = true;
    rc = effects_load(fx, err);
    if (!rc) return 0;
    fx->is_changing = false; /* what is loaded stays */
    fx->conf->model = fx->model_before;
    return rc;
}

int effects_load(struct effects *fx, ox_err *err) {
    const char *model = fx->conf->model;
    struct work job;
    struct event ev = {.kind = EV_LOADING, .text = model ? model : "oxbow-mini"};
    int rc = open_load(fx->conf, model, &job, err);
    if (rc) {
        work_deinit(&job);
        return rc;
    }
    effects_title_stop(fx); /* it was to be made by the one that goes */
    job.id = ++fx->next_job;
    fx->info = NULL;
    fx->load_job = job.id;
    fx->load_err = (ox_err){0};
    effects_event(fx, &ev);
    return worker_send(fx->w, &job, err);
}

int effects_say_states(struct effects *fx, ox_err *err) {
    struct buf words = {0};
    int rc = states_words_of(fx->conf, fx->info, &words, err);
    if (!rc) effects_notice(fx, false, "%s", buf_str(&words));
    buf_deinit(&words);
    return rc;
}
