/* pool.c - see pool.h. Own code instead of OpenMP: clean under the thread sanitizer, parks when
 * idle, and the split of the work is plain to see. Workers wait for a generation number: they spin
 * for a moment, because operations of a step follow each other within microseconds, then sleep. */
#include "engine/pool.h"

#include "engine/cores.h"
#include "kernels/base/ox_mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A round trip between two cores takes about 0.1 us, waking a sleeper 50 us or more: spin as long
 * as waking would cost (docs/KERNELS.md 7.2). */
enum { SPIN_NS = 50000, SPINS_A_LOOK = 128 };
enum { NICE = 1 }; /* the screen's thread comes first */

struct pool {
    struct kn_host host;
    pthread_t *thread; /* host.n_threads - 1 of them; the caller is thread 0 */
    int n_started;

    /* The job, written before `generation` rises and read after it was seen to rise. */
    void (*task)(void *arg, int i);
    void *arg;
    int n_tasks;
    atomic_bool is_closing;

    atomic_uint generation;
    atomic_int n_busy;      /* workers that have not finished this generation */
    atomic_int n_asleep;    /* workers in wake_up */
    atomic_bool is_waiting; /* the caller is in all_done */
    pthread_mutex_t lock;
    pthread_cond_t wake_up, all_done;
};

struct worker_arg {
    pool *p;
    int index;
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Thread k of n runs the k-th n-th of the tasks: which thread runs what never changes a result, but
 * the same rows meet the same cache again. */
static void run_share(const pool *p, int k) {
    int n = p->host.n_threads;
    int from = (int)((int64_t)p->n_tasks * k / n), to = (int)((int64_t)p->n_tasks * (k + 1) / n);
    for (int i = from; i < to; i++)
        p->task(p->arg, i);
}

static unsigned wait_for_work(pool *p, unsigned seen) {
    int64_t until = now_ns() + SPIN_NS;
    for (;;) {
        for (int i = 0; i < SPINS_A_LOOK; i++) {
            unsigned g = atomic_load_explicit(&p->generation, memory_order_acquire);
            if (g != seen) return g;
        }
        if (now_ns() > until) break;
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->n_asleep, 1);
    while (atomic_load(&p->generation) == seen)
        pthread_cond_wait(&p->wake_up, &p->lock);
    atomic_fetch_sub(&p->n_asleep, 1);
    pthread_mutex_unlock(&p->lock);
    return atomic_load(&p->generation);
}

static void *worker_main(void *arg) {
    struct worker_arg w = *(struct worker_arg *)arg;
    ox_free(arg);
    pool *p = w.p;
    setpriority(PRIO_PROCESS, 0, NICE); /* Linux: of this thread only; a refusal changes nothing */
    for (unsigned seen = 0;;) {
        seen = wait_for_work(p, seen);
        if (atomic_load(&p->is_closing)) return NULL;
        run_share(p, w.index);
        if (atomic_fetch_sub(&p->n_busy, 1) == 1 && atomic_load(&p->is_waiting)) {
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->all_done);
            pthread_mutex_unlock(&p->lock);
        }
    }
}

static void start_generation(pool *p) {
    atomic_fetch_add(&p->generation, 1);
    /* A worker that is about to sleep holds the lock and looks at `generation` once more. */
    if (atomic_load(&p->n_asleep) == 0) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake_up);
    pthread_mutex_unlock(&p->lock);
}

static void wait_until_done(pool *p) {
    int64_t until = now_ns() + SPIN_NS;
    for (;;) {
        for (int i = 0; i < SPINS_A_LOOK; i++)
            if (atomic_load_explicit(&p->n_busy, memory_order_acquire) == 0) return;
        if (now_ns() > until) break;
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->is_waiting, true);
    while (atomic_load(&p->n_busy) > 0)
        pthread_cond_wait(&p->all_done, &p->lock);
    atomic_store(&p->is_waiting, false);
    pthread_mutex_unlock(&p->lock);
}

static void run_parallel(void *user, int n, void (*task)(void *arg, int i), void *arg) {
    pool *p = user;
    if (n < 2 || p->host.n_threads < 2) {
        for (int i = 0; i < n; i++)
            task(arg, i);
        return;
    }
    p->task = task;
    p->arg = arg;
    p->n_tasks = n;
    atomic_store(&p->n_busy, p->host.n_threads - 1);
    start_generation(p);
    run_share(p, 0);
    wait_until_done(p);
}

/* ---- open, close ---------------------------------------------------------------------------- */

static int start_worker(pool *p, int index, ox_err *err) {
    struct worker_arg *w = ox_alloc(1, sizeof *w, "worker thread", err);
    if (!w) return OX_ENOMEM;
    *w = (struct worker_arg){p, index};
    if (pthread_create(&p->thread[index - 1], NULL, worker_main, w)) {
        ox_free(w);
        ox_err_set(err, OX_EFAIL, "the system refused worker thread %d", index);
        return ox_err_fix(err, "use a smaller --threads");
    }
    p->n_started++;
    return 0;
}

int pool_open(int n_threads, pool **out, ox_err *err) {
    enum { MAX_THREADS = 256 };
    if (n_threads < 0 || n_threads > MAX_THREADS)
        return ox_err_set(err, OX_EUSAGE, "%d threads: 1 to %d are possible", n_threads,
                          MAX_THREADS);
    pool *p = ox_alloc(1, sizeof *p, "thread pool", err);
    if (!p) return OX_ENOMEM;
    p->host = (struct kn_host){p, n_threads ? n_threads : cores_usable(), run_parallel};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake_up, NULL);
    pthread_cond_init(&p->all_done, NULL);
    int rc = 0;
    p->thread = ox_alloc((size_t)p->host.n_threads, sizeof *p->thread, "thread pool", err);
    if (!p->thread) rc = OX_ENOMEM;
    for (int i = 1; !rc && i < p->host.n_threads; i++)
        rc = start_worker(p, i, err);
    if (rc) {
        pool_close(p);
        return rc;
    }
    *out = p;
    return 0;
}

void pool_close(pool *p) {
    if (!p) return;
    atomic_store(&p->is_closing, true);
    atomic_fetch_add(&p->generation, 1);
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake_up);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->all_done);
    pthread_cond_destroy(&p->wake_up);
    pthread_mutex_destroy(&p->lock);
    ox_free(p->thread);
    ox_free(p);
}

const struct kn_host *pool_host(const pool *p) {
    return &p->host;
}
