/* worker_local.c - see worker_local.h. A turn: render, sync, draw token by token, tell, keep. */
#include "app/worker_local.h"

#include "app/clock.h"
#include "app/worker_keep.h"

#include <stdatomic.h>
#include <string.h>

struct local {
    struct ox_engine_opts opts; /* strings owned */
    ox_engine *engine;
    ox_session *session;
    _Atomic(ox_session *) target; /* what an interrupt reaches; NULL while it is opened or closed */
    _Atomic int n_inside;         /* interrupts that may be using target right now */
    struct keep *keep;
    ox_err load_err; /* why nothing is loaded; code 0 before the first LOAD */
};

void local_interrupt(struct local *l) {
    atomic_fetch_add(&l->n_inside, 1);
    ox_session *s = atomic_load(&l->target);
    if (s) ox_session_cancel(s);
    atomic_fetch_sub(&l->n_inside, 1);
}

static int copy_text(const char **field, ox_err *err) {
    if (!*field) return 0;
    *field = ox_strdup(*field, "an engine option", err);
    return *field ? 0 : OX_ENOMEM;
}

static void free_text(const char *s) {
    ox_free((void *)(uintptr_t)s); /* ours: made by copy_text */
}

int local_open(const struct worker_opts *opts, struct local **out, ox_err *err) {
    struct local *l = ox_alloc(1, sizeof *l, "engine thread", err);
    if (!l) return OX_ENOMEM;
    struct ox_engine_opts o = opts->engine;
    int rc = copy_text(&o.model_dir, err);
    l->opts.model_dir = o.model_dir;
    if (!rc) rc = copy_text(&o.backend, err);
    l->opts.backend = rc ? NULL : o.backend;
    if (!rc) rc = copy_text(&o.kv, err);
    if (!rc) rc = keep_open(opts, &l->keep, err);
    if (rc) {
        local_close(l);
        return rc;
    }
    l->opts = o;
    *out = l;
    return 0;
}

void local_unload(struct local *l) {
    atomic_store(&l->target, NULL);
    while (atomic_load(&l->n_inside) > 0) {
        /* a signal handler is between two instructions; it never waits for us */
    }
    ox_session_close(l->session);
    ox_engine_close(l->engine);
    l->session = NULL;
    l->engine = NULL;
}

void local_close(struct local *l) {
    if (!l) return;
    local_unload(l);
    keep_close(l->keep);
    free_text(l->opts.model_dir);
    free_text(l->opts.backend);
    free_text(l->opts.kv);
    ox_free(l);
}

bool local_idle(struct local *l) {
    return keep_settle(l->keep);
}

const struct ox_info *local_info(const struct local *l) {
    return l->engine ? ox_engine_info(l->engine) : NULL;
}

/* --- the kinds of jobs --- */

static int load(struct local *l, const struct work *job, ox_err *err) {
    struct ox_engine_opts opts = l->opts;
    if (job->text) opts.model_dir = job->text;
    local_unload(l);
    int rc = ox_engine_open(&opts, &l->engine, err);
    if (!rc) rc = ox_session_open(l->engine, &l->session, err);
    if (rc)
        local_unload(l);
    else {
        keep_model(l->keep, ox_engine_info(l->engine));
        ox_engine_speed(l->engine, keep_known_speed(l->keep));
        atomic_store(&l->target, l->session);
    }
    return rc;
}

/* The prompt of a job as tokens, with the borders that its messages ask for. */
struct rendered {
    struct ox_tokens tok;
    size_t *ends;
    struct ox_border *borders;
    size_t n_borders;
};

static void rendered_deinit(struct rendered *r) {
    ox_free(r->tok.v);
    ox_free(r->ends);
    ox_free(r->borders);
}

static bool goes_on(const struct work *job) {
    return job->reply == OX_REPLY_CONTINUE || job->reply == OX_REPLY_CONTINUE_NO_THINK;
}

static int render(const struct local *l, const struct work *job, struct rendered *r, ox_err *err) {
    const struct prompt *p = &job->prompt;
    if (!p->n) return ox_err_set(err, OX_EUSAGE, "there is nothing to send");
    r->ends = ox_alloc(p->n, sizeof *r->ends, "message ends", err);
    r->borders = r->ends ? ox_alloc(p->n + 1, sizeof *r->borders, "borders", err) : NULL;
    if (!r->borders) return OX_ENOMEM;
    int rc = ox_render(l->engine, p->msg, p->n, job->reply, &r->tok, r->ends, err);
    if (rc) return rc;
    for (size_t i = 0; i < p->n; i++)
        if (p->why[i] && r->ends[i] > 0 && r->ends[i] < r->tok.n)
            r->borders[r->n_borders++] = (struct ox_border){r->ends[i], p->why[i]};
    r->borders[r->n_borders++] =
        (struct ox_border){r->tok.n, job->reopens ? OX_WHY_STOP : OX_WHY_ASK};
    return 0;
}

struct progress { /* what the prefill's callback needs */
    struct local *local;
    const struct worker_post *post;
    uint64_t id;
    size_t n_prompt;
    double start_s, load_s; /* load_s < 0: nothing was reported yet */
};

static void report(void *user, const struct ox_plan *plan, size_t n_done) {
    struct progress *p = user;
    if (p->load_s < 0) p->load_s = plan->restored ? clock_s() - p->start_s : 0;
    struct news n = {.kind = NEWS_PROGRESS,
                     .id = p->id,
                     .plan = *plan,
                     .n_done = n_done,
                     .n_prompt = p->n_prompt};
    p->post->send(p->post->user, &n);
    keep_settle(p->local->keep);
    /* A cancel that struck just before sync began is forgotten by the engine, not by us. */
    if (p->post->stopped(p->post->user)) ox_session_cancel(p->local->session);
}

static int make_plan(struct local *l, struct work *job, struct news *done, ox_err *err) {
    struct rendered r = {0};
    int rc = render(l, job, &r, err);
    struct ox_sync_opts opts = {
        .borders = r.borders, .n_borders = r.n_borders, .io = keep_io(l->keep, job)};
    size_t n = job->n_upto && !rc ? r.ends[job->n_upto - 1] : r.tok.n;
    done->n_prompt = n;
    /* A prompt that is too long still has a length worth saying. */
    if (!rc && n <= ox_engine_info(l->engine)->max_tokens)
        rc = ox_session_plan(l->session, (struct ox_prefix){r.tok.v, n}, &opts, &done->plan, err);
    else if (!rc)
        done->plan.fresh = n;
    if (!rc) {
        done->tok = r.tok;
        done->ends = r.ends;
        done->n_ends = job->prompt.n;
        r.tok = (struct ox_tokens){0};
        r.ends = NULL;
        done->prompt = job->prompt;
        job->prompt = (struct prompt){0};
    }
    rendered_deinit(&r);
    return rc;
}

/* Text and ids that became known with one token; the decoder holds back half characters. */
static int post_token(struct local *l, const struct work *job, struct ox_decoder *d, int32_t tok,
                      const struct worker_post *post, ox_err *err) {
    struct news n = {.kind = NEWS_TEXT, .id = job->id};
    size_t cap = 0;
    int rc = ox_decode(l->engine, d, tok, &n.text, &n.n_bytes, &cap, err);
    if (!rc && tok >= 0) rc = ox_grow(&n.tok.v, &n.tok.cap, 1, sizeof *n.tok.v, err);
    if (!rc && tok >= 0) n.tok.v[n.tok.n++] = tok;
    if (!rc && n.text) rc = ox_grow(&n.text, &cap, n.n_bytes + 1, 1, err);
    if (rc || (!n.n_bytes && !n.tok.n)) {
        news_deinit(&n);
        return rc;
    }
    if (n.text) n.text[n.n_bytes] = '\0';
    post->send(post->user, &n);
    return 0;
}

/* What the answer had before it was stopped, in one piece: a character that was cut comes out whole
 * with the first new token. */
static int post_earlier(struct local *l, const struct work *job, struct ox_decoder *d,
                        const struct worker_post *post, ox_err *err) {
    const struct ox_msg *m = &job->prompt.msg[job->prompt.n - 1];
    struct news n = {.kind = NEWS_TEXT, .id = job->id};
    size_t cap = 0;
    int rc = ox_grow(&n.tok.v, &n.tok.cap, m->n_tok, sizeof *n.tok.v, err);
    for (size_t i = 0; !rc && i < m->n_tok; i++) {
        n.tok.v[n.tok.n++] = m->tok[i];
        rc = ox_decode(l->engine, d, m->tok[i], &n.text, &n.n_bytes, &cap, err);
    }
    if (!rc) rc = ox_grow(&n.text, &cap, n.n_bytes + 1, 1, err);
    if (rc) {
        news_deinit(&n);
        return rc;
    }
    n.text[n.n_bytes] = '\0';
    post->send(post->user, &n);
    return 0;
}

static int draw(struct local *l, const struct work *job, const struct ox_sampling *how, size_t room,
                const struct worker_post *post, struct news *done, ox_err *err) {
    struct ox_decoder d = {0};
    size_t max = job->max_new_tokens && job->max_new_tokens < room ? job->max_new_tokens : room;
    int rc = job->reopens ? post_earlier(l, job, &d, post, err) : 0;
    done->end = CHAT_LENGTH;
    while (!rc && done->ledger.n_out < max) {
        int32_t tok;
        if (post->stopped(post->user))
            done->end = CHAT_STOPPED;
        else
            rc = ox_session_next(l->session, how, &tok, err);
        if (rc == OX_ECANCELLED) {
            done->end = CHAT_STOPPED;
            rc = 0;
        }
        if (rc || done->end == CHAT_STOPPED) break;
        if (ox_is_stop(l->engine, tok)) {
            done->end = CHAT_DONE;
            break;
        }
        done->ledger.n_out++;
        rc = post_token(l, job, &d, tok, post, err);
        keep_settle(l->keep);
    }
    int flushed = post_token(l, job, &d, -1, post, rc ? NULL : err);
    return rc ? rc : flushed;
}

/* The penalty looks at the reply alone; a reply that goes on began before the prompt's end. */
static size_t reply_start(const struct work *job, const struct rendered *r) {
    const struct prompt *p = &job->prompt;
    size_t n = goes_on(job) ? p->msg[p->n - 1].n_tok : 0;
    return r->tok.n - (n < r->tok.n ? n : 0);
}

/* An answer of another vocabulary goes on from its text. */
static int know_tokens(struct local *l, struct work *job, ox_err *err) {
    struct prompt *p = &job->prompt;
    struct ox_msg *m = p->n ? &p->msg[p->n - 1] : NULL;
    struct ox_tokens tok = {0};
    if (!m || m->tok || !goes_on(job)) return 0;
    int rc = ox_encode(l->engine, m->text, m->n_bytes, &tok, err);
    int32_t *copy =
        rc ? NULL : ox_arena_alloc(&p->mem, tok.n, sizeof *copy, "ids of an answer", err);
    if (copy) {
        if (tok.n) memcpy(copy, tok.v, tok.n * sizeof *copy);
        m->tok = copy;
        m->n_tok = tok.n;
    }
    ox_free(tok.v);
    return rc ? rc : copy ? 0 : OX_ENOMEM;
}

/* An answer goes on from what it was begun with: not a summary of another branch, not behind
 * another system prompt. Ids of another vocabulary cannot be compared. */
static int check_begin(const struct work *job, const struct rendered *r, bool has_ids,
                       ox_err *err) {
    if (!job->reopens || !job->n_begun || !has_ids) return 0;
    size_t n = reply_start(job, r);
    if (n == job->n_begun) return 0;
    ox_err_set(err, OX_EUSAGE, "this answer was begun from another prompt: %zu tokens, now %zu",
               job->n_begun, n);
    return ox_err_fix(err, "/regen writes another one, or ask for more in your words");
}

static int answer(struct local *l, struct work *job, const struct worker_post *post,
                  struct news *done, ox_err *err) {
    struct rendered r = {0};
    struct ox_plan plan = {0};
    bool has_ids = job->prompt.n && job->prompt.msg[job->prompt.n - 1].n_tok > 0;
    int rc = know_tokens(l, job, err);
    if (!rc) rc = render(l, job, &r, err);
    if (!rc) rc = check_begin(job, &r, has_ids, err);
    size_t limit = ox_engine_info(l->engine)->max_tokens;
    if (!rc && r.tok.n >= limit)
        rc = ox_err_set(err, OX_EFIT, "the prompt has %zu tokens, the context holds %zu", r.tok.n,
                        limit);
    struct progress prog = {l, post, job->id, r.tok.n, clock_s(), -1};
    struct ox_sync_opts opts = {.borders = r.borders,
                                .n_borders = r.n_borders,
                                .io = keep_io(l->keep, job),
                                .user = &prog,
                                .progress = report};
    if (!rc)
        rc = post->stopped(post->user)
                 ? OX_ECANCELLED
                 : ox_session_sync(l->session, (struct ox_prefix){r.tok.v, r.tok.n}, &opts, &plan,
                                   err);
    double synced = clock_s();
    if (!rc) {
        struct ox_sampling how = job->how;
        how.reply_at = reply_start(job, &r);
        done->plan = plan;
        done->n_prompt = done->n_done = r.tok.n;
        done->ledger = (struct chat_ledger){.n_in = r.tok.n,
                                            .n_reused = plan.live + plan.restored,
                                            .n_replayed = plan.replay,
                                            .seed = how.seed,
                                            .exact = plan.exact,
                                            .load_s = prog.load_s > 0 ? prog.load_s : 0,
                                            .prefill_s = synced - prog.start_s};
        rc = draw(l, job, &how, limit - r.tok.n, post, done, err);
        done->ledger.decode_s = clock_s() - synced;
        keep_speed(l->keep, &done->ledger, plan.deepening);
    }
    rendered_deinit(&r);
    return rc;
}

/* --- dispatch --- */

static int run_loaded(struct local *l, struct work *job, const struct worker_post *post,
                      struct news *done, ox_err *err) {
    switch (job->kind) {
    case WORK_ENCODE:
        return ox_encode(l->engine, job->text ? job->text : "", job->n_bytes, &done->tok, err);
    case WORK_PLAN: return make_plan(l, job, done, err);
    case WORK_ANSWER: return answer(l, job, post, done, err);
    case WORK_STATES: return keep_order(l->keep, job, err);
    case WORK_AHEAD: keep_ahead(l->keep, job); return 0;
    case WORK_NONE:
    case WORK_LOAD: break;
    }
    return ox_err_set(err, OX_EFAIL, "a job without a kind");
}

void local_run(struct local *l, struct work *job, const struct worker_post *post) {
    struct news n = {.id = job->id};
    int rc;
    if (job->kind == WORK_LOAD) {
        rc = load(l, job, &n.err);
        l->load_err = n.err;
        n.kind = NEWS_LOADED;
    } else if (!l->engine && job->kind != WORK_STATES) {
        n.err = l->load_err;
        rc = n.err.code ? n.err.code : ox_err_set(&n.err, OX_EFAIL, "no model is loaded");
        n.kind = NEWS_DONE;
    } else if (post->stopped(post->user)) {
        rc = ox_err_set(&n.err, OX_ECANCELLED, "stopped");
    } else {
        rc = run_loaded(l, job, post, &n, &n.err);
        n.kind = NEWS_DONE;
    }
    if (rc) {
        ox_err err = n.err;
        err.code = rc;
        news_deinit(&n);
        n = (struct news){.kind = NEWS_FAILED, .id = job->id, .err = err};
    }
    bool ends_turn = n.kind == NEWS_DONE && job->kind == WORK_ANSWER;
    enum chat_end end = n.end;
    size_t n_prompt = n.n_prompt;
    post->send(post->user, &n);
    if (!ends_turn) return;
    /* The person has the answer; what is kept of it is not to be cancelled with the next one. */
    atomic_store(&l->target, NULL);
    keep_turn(l->keep, l->engine, l->session, job, end, n_prompt);
    atomic_store(&l->target, l->session);
}
