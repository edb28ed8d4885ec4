/* effects_model.c - which model answers, and what its saved states take. See effects.h. */
#include "app/effects.h"

#include "app/open.h"
#include "app/states_words.h"

int effects_model(struct effects *fx, const struct effect *e, ox_err *err) {
    if (!e->text) {
        effects_notice(fx, false, "%s on %s", fx->s->model.name, fx->s->model.backend);
        return 0;
    }
    int rc = open_look(fx->conf, e->text, err);
    if (!rc && e->id) { /* what it costs, which is asked for only if there is something to load */
        struct event ev = {.kind = EV_ASK, .text = e->text, .id = FX_MODEL};
        effects_event(fx, &ev);
        return 0;
    }
    if (!rc) rc = effects_answer_kept(fx, err); /* its ledger names the model that wrote it */
    if (rc) return rc;
    fx->model_before = fx->conf->model;
    rc = conf_set(fx->conf, "model", e->text, "/model", err);
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
    uint64_t id = job.id = ++fx->next_job;
    rc = worker_send(fx->w, &job, err);
    if (rc) return rc;
    fx->info = NULL;
    fx->load_job = id;
    fx->load_err = (ox_err){0};
    effects_event(fx, &ev);
    return 0;
}

int effects_say_states(struct effects *fx, ox_err *err) {
    struct buf words = {0};
    int rc = states_words_of(fx->conf, fx->info, &words, err);
    if (!rc) effects_notice(fx, false, "%s", buf_str(&words));
    buf_deinit(&words);
    return rc;
}
