/* worker.c - see worker.h. The queues, the thread and the wake-up; what a job does is in
 * worker_local.c, or, on a server, in remote/remote.c. */
#include "app/worker.h"

#include "app/remote/remote.h"
#include "app/worker_local.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_JOBS = 64, MAX_NEWS = 256, IDLE_MS = 20 };

struct waiting {
    struct work job;
    uint64_t seq;
};

struct worker {
    struct local *local;
    struct remote *remote;
    bool is_remote; /* engine thread: a server answers */
    pthread_t thread;
    bool is_running;
    int wake[2];                      /* read, write */
    _Atomic uint64_t sent, cancelled; /* sequence of the last job sent; all up to this one end */
    uint64_t current;                 /* engine thread: sequence of the job at hand */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    struct waiting jobs[MAX_JOBS];
    size_t n_jobs, first_job;
    struct news news[MAX_NEWS];
    size_t n_news, first_news;
    bool woken, stopping;
    const struct ox_info *info;
};

void work_deinit(struct work *job) {
    ox_free(job->text);
    remote_server_deinit(&job->server);
    prompt_deinit(&job->prompt);
    *job = (struct work){0};
}

void news_deinit(struct news *n) {
    ox_free(n->text);
    ox_free(n->tok.v);
    ox_free(n->ends);
    prompt_deinit(&n->prompt);
    *n = (struct news){0};
}

/* --- engine thread -------------------------------------------------------------------------------
 */

static bool is_cancelled(void *user) {
    struct worker *w = user;
    return w->current <= atomic_load(&w->cancelled);
}

static void post_news(void *user, struct news *n) {
    struct worker *w = user;
    pthread_mutex_lock(&w->lock);
    while (w->n_news == MAX_NEWS && !w->stopping)
        pthread_cond_wait(&w->changed, &w->lock);
    if (w->stopping) {
        pthread_mutex_unlock(&w->lock);
        news_deinit(n); /* nobody will read it */
        return;
    }
    if (n->kind == NEWS_LOADED)
        w->info = w->is_remote ? remote_info(w->remote) : local_info(w->local);
    w->news[(w->first_news + w->n_news++) % MAX_NEWS] = *n;
    if (!w->woken) {
        ssize_t k = write(w->wake[1], "n", 1); /* empty unless woken, so it has room */
        w->woken = k == 1;
    }
    pthread_mutex_unlock(&w->lock);
    *n = (struct news){0};
}

/* Waits under the lock for a job or the end; saved states are seen to meanwhile. */
static void wait_for_job(struct worker *w) {
    bool has_more = true;
    while (!w->n_jobs && !w->stopping) {
        pthread_mutex_unlock(&w->lock);
        has_more = has_more && local_idle(w->local);
        pthread_mutex_lock(&w->lock);
        if (w->n_jobs || w->stopping) break;
        if (!has_more) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        struct timespec until; /* by the clock of a condition that was not told another one */
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += IDLE_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&w->changed, &w->lock, &until);
    }
}

static bool take_job(struct worker *w, struct work *out) {
    pthread_mutex_lock(&w->lock);
    wait_for_job(w);
    bool got = !w->stopping;
    if (got) {
        *out = w->jobs[w->first_job].job;
        w->current = w->jobs[w->first_job].seq;
        if (out->kind == WORK_LOAD) w->info = NULL; /* about to be freed */
        w->first_job = (w->first_job + 1) % MAX_JOBS;
        w->n_jobs--;
    }
    pthread_mutex_unlock(&w->lock);
    return got;
}

/* Only one of the two holds anything: weights, or a key. Saved states are here in any case. */
static void run_job(struct worker *w, struct work *job, const struct worker_post *post) {
    if (job->kind == WORK_LOAD) {
        w->is_remote = job->server.name != NULL;
        local_unload(w->local);
        remote_unload(w->remote);
    }
    if (w->is_remote && job->kind != WORK_STATES)
        remote_run(w->remote, job, post);
    else
        local_run(w->local, job, post);
}

static void *run(void *arg) {
    struct worker *w = arg;
    struct worker_post post = {w, post_news, is_cancelled};
    struct work job;
    while (take_job(w, &job)) {
        run_job(w, &job, &post);
        work_deinit(&job);
    }
    return NULL;
}

/* --- owner's thread ------------------------------------------------------------------------------
 */

/* Signals stay with the main thread: a handler must not run beside the engine's own work. */
static int start_thread(struct worker *w, ox_err *err) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) return ox_err_set(err, OX_EFAIL, "cannot start the engine thread: %s", strerror(rc));
    w->is_running = true;
    return 0;
}

static int open_wake(struct worker *w, ox_err *err) {
    if (pipe(w->wake)) {
        w->wake[0] = w->wake[1] = -1;
        return ox_err_set(err, OX_EIO, "cannot make a pipe: %s", strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        fcntl(w->wake[i], F_SETFL, O_NONBLOCK);
        fcntl(w->wake[i], F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

int worker_start(const struct worker_opts *opts, worker **out, ox_err *err) {
    struct worker *w = ox_alloc(1, sizeof *w, "worker", err);
    if (!w) return OX_ENOMEM;
    w->wake[0] = w->wake[1] = -1;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    int rc = open_wake(w, err);
    if (!rc) rc = local_open(opts, &w->local, err);
    if (!rc) rc = remote_open(&w->remote, err);
    if (!rc) rc = start_thread(w, err);
    if (rc) {
        worker_stop(w);
        return rc;
    }
    *out = w;
    return 0;
}

int worker_send(worker *w, struct work *job, ox_err *err) {
    pthread_mutex_lock(&w->lock);
    bool full = w->n_jobs == MAX_JOBS;
    if (!full) {
        uint64_t seq = atomic_fetch_add(&w->sent, 1) + 1;
        w->jobs[(w->first_job + w->n_jobs++) % MAX_JOBS] = (struct waiting){*job, seq};
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    if (full) {
        work_deinit(job);
        return ox_err_set(err, OX_EBUSY, "%d jobs wait for the engine already", MAX_JOBS);
    }
    *job = (struct work){0};
    return 0;
}

int worker_fd(const worker *w) {
    return w->wake[0];
}

bool worker_next(worker *w, struct news *out) {
    pthread_mutex_lock(&w->lock);
    bool got = w->n_news > 0;
    if (got) {
        *out = w->news[w->first_news];
        w->first_news = (w->first_news + 1) % MAX_NEWS;
        if (w->n_news-- == MAX_NEWS) pthread_cond_broadcast(&w->changed);
    } else if (w->woken) {
        char byte;
        ssize_t k = read(w->wake[0], &byte, 1);
        w->woken = k != 1;
    }
    pthread_mutex_unlock(&w->lock);
    return got;
}

const struct ox_info *worker_info(const worker *w) {
    struct worker *self = (struct worker *)(uintptr_t)w; /* the lock is no part of the value */
    pthread_mutex_lock(&self->lock);
    const struct ox_info *info = self->info;
    pthread_mutex_unlock(&self->lock);
    return info;
}

void worker_cancel(worker *w) {
    atomic_store(&w->cancelled, atomic_load(&w->sent));
    local_interrupt(w->local);
}

void worker_stop(worker *w) {
    if (!w) return;
    if (w->local) worker_cancel(w);
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    if (w->is_running) pthread_join(w->thread, NULL);
    for (; w->n_jobs; w->n_jobs--, w->first_job = (w->first_job + 1) % MAX_JOBS)
        work_deinit(&w->jobs[w->first_job].job);
    for (; w->n_news; w->n_news--, w->first_news = (w->first_news + 1) % MAX_NEWS)
        news_deinit(&w->news[w->first_news]);
    local_close(w->local);
    remote_close(w->remote);
    for (int i = 0; i < 2; i++)
        if (w->wake[i] >= 0) close(w->wake[i]);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    ox_free(w);
}
