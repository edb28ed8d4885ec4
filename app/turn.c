/* turn.c - see turn.h. */
#include "app/turn.h"

#include "app/signals.h"

#include <errno.h>
#include <poll.h>

int turn_signal(void) {
    int first = signals_next();
    while (signals_next()) {
    }
    return first;
}

/* One piece of news; true if it ends the job. */
static bool take(const struct turn_watch *watch, struct news *n, uint64_t id, int *rc,
                 ox_err *err) {
    if (n->id != id || *rc) return n->id == id && (n->kind == NEWS_DONE || n->kind == NEWS_FAILED);
    switch (n->kind) {
    case NEWS_PROGRESS:
        if (watch && watch->progress) *rc = watch->progress(watch->user, n, err);
        return false;
    case NEWS_TEXT:
        if (watch && watch->text) *rc = watch->text(watch->user, n, err);
        return false;
    case NEWS_FAILED:
        *rc = n->err.code;
        if (err) *err = n->err;
        return true;
    case NEWS_LOADED:
    case NEWS_DONE: return true;
    case NEWS_NONE: break;
    }
    return false;
}

int turn_wait(worker *w, uint64_t id, const struct turn_watch *watch, struct news *last,
              ox_err *err) {
    int rc = 0;
    for (;;) {
        struct news n = {0};
        while (worker_next(w, &n)) {
            int before = rc;
            if (take(watch, &n, id, &rc, err)) {
                *last = n;
                return rc;
            }
            if (rc && !before) worker_cancel(w); /* the watcher gave up: stdout is closed, .. */
            news_deinit(&n);
        }
        struct pollfd p[2] = {{.fd = worker_fd(w), .events = POLLIN},
                              {.fd = signals_fd(), .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return ox_err_set(err, OX_EIO, "cannot wait for the engine");
        if (p[1].revents & POLLIN) {
            /* SIGINT has cancelled already; the others do it here, and the pipe keeps them for the
             * caller. */
            worker_cancel(w);
            struct pollfd only = {.fd = worker_fd(w), .events = POLLIN};
            poll(&only, 1, 100);
        }
    }
}

int turn_run(worker *w, struct work *job, const struct turn_watch *watch, struct news *last,
             ox_err *err) {
    static uint64_t next_id = TURN_LOAD + 1; /* one UI thread a process */
    uint64_t id = job->id = next_id++;
    int rc = worker_send(w, job, err);
    return rc ? rc : turn_wait(w, id, watch, last, err);
}

int turn_encode(worker *w, const char *text, size_t n, struct ox_tokens *out, ox_err *err) {
    struct work job = {
        .kind = WORK_ENCODE, .text = ox_memdup(text, n, "a document", err), .n_bytes = n};
    struct news last = {0};
    if (!job.text) return OX_ENOMEM;
    int rc = turn_run(w, &job, NULL, &last, err);
    if (!rc) {
        ox_free(out->v);
        *out = last.tok;
        last.tok = (struct ox_tokens){0};
    }
    news_deinit(&last);
    return rc;
}

int turn_plan(worker *w, struct prompt *prompt, enum ox_reply reply, struct ox_plan *plan,
              size_t *n_prompt, ox_err *err) {
    struct work job = {.kind = WORK_PLAN, .prompt = *prompt, .reply = reply};
    struct news last = {0};
    *prompt = (struct prompt){0};
    int rc = turn_run(w, &job, NULL, &last, err);
    if (!rc) {
        *prompt = last.prompt;
        last.prompt = (struct prompt){0};
        *plan = last.plan;
        *n_prompt = last.n_prompt;
    }
    news_deinit(&last);
    return rc;
}
