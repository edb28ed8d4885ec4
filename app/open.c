/* open.c - see open.h. */
#include "app/open.h"

#include "app/remote_conf.h"
#include "app/signals.h"
#include "app/turn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void interrupt(void *user) {
    worker_cancel(user);
}

struct worker_opts open_options(const struct config *conf, const char *db_uid,
                                char log_path[OPEN_PATH_BYTES]) {
    snprintf(log_path, OPEN_PATH_BYTES, "%s/oxbow.log", conf->state_dir);
    bool keeps = conf->save && db_uid;
    return (struct worker_opts){
        .engine = {.model_dir = remote_conf_name(conf->model) ? NULL : conf->model,
                   .backend = conf->backend,
                   .kv = conf->kv,
                   .n_threads = (int)conf->threads,
                   .max_tokens = (uint32_t)conf->ctx},
        .states_path = keeps ? conf->cache_dir : NULL,
        .quota_bytes = conf->states_quota_bytes > 0 ? (uint64_t)conf->states_quota_bytes : 0,
        .states_off = conf->states_quota_bytes == 0,
        .db_uid = db_uid,
        .log_path = keeps ? log_path : NULL,
    };
}

int open_load(const struct config *conf, const char *model, struct work *job, ox_err *err) {
    const char *server = remote_conf_name(model);
    *job = (struct work){.kind = WORK_LOAD};
    if (server) return remote_conf(conf, server, &job->server, err);
    if (model) job->text = ox_strdup(model, "model", err);
    return model && !job->text ? OX_ENOMEM : 0;
}

int open_look(struct config *conf, const char *name, ox_err *err) {
    const char *before = conf->model;
    struct work job = {0};
    struct stat st;
    int rc = conf_set(conf, "model", name, "/model", err);
    const char *model = conf->model;
    conf->model = before;
    if (!rc) rc = open_load(conf, model, &job, err);
    work_deinit(&job);
    if (rc || !model || remote_conf_name(model) || stat(model, &st) == 0) return rc;
    ox_err_set(err, OX_EMODEL, "%s: %s", model,
               errno == ENOENT ? "no such folder" : strerror(errno));
    return ox_err_fix(err, "/model takes the folder of a model, or remote:NAME");
}

int open_worker(const struct config *conf, const char *db_uid, worker **out, ox_err *err) {
    char log_path[OPEN_PATH_BYTES];
    struct worker_opts opts = open_options(conf, db_uid, log_path);
    struct work load;
    worker *w = NULL;
    int rc = open_load(conf, conf->model, &load, err);
    load.id = TURN_LOAD;
    if (!rc) rc = worker_start(&opts, &w, err);
    struct signals_opts sig = {.interrupt = interrupt, .user = w, .twice_kills = true};
    if (!rc) rc = signals_open(&sig, err);
    if (!rc) rc = worker_send(w, &load, err);
    if (rc) {
        work_deinit(&load);
        open_close(w);
        return rc;
    }
    *out = w;
    return 0;
}

int open_wait(worker *w, const struct ox_info **info, ox_err *err) {
    *info = worker_info(w);
    if (*info) return 0;
    struct news last = {0};
    int rc = turn_wait(w, TURN_LOAD, NULL, &last, err);
    news_deinit(&last);
    *info = worker_info(w);
    return rc;
}

void open_close(worker *w) {
    signals_close();
    worker_stop(w);
}
