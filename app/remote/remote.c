/* remote.c - see remote.h. A turn: one request, its stream of events told as news, the end. */
#include "app/remote/remote.h"

#include "app/clock.h"
#include "app/remote/chat_json.h"
#include "app/remote/http.h"
#include "app/remote/sse.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { FIRST_BYTES = 120 }; /* kept of an answer that turns out to be no stream */

struct remote {
    struct remote_server server;
    struct http *http; /* NULL before the first LOAD */
    struct ox_info info;
    char name[72], note[512];
    bool is_loaded;
    ox_err load_err; /* why nothing is loaded */
};

int remote_open(struct remote **out, ox_err *err) {
    *out = ox_alloc(1, sizeof **out, "remote engine", err);
    return *out ? 0 : OX_ENOMEM;
}

void remote_unload(struct remote *r) {
    remote_server_deinit(&r->server);
    r->is_loaded = false;
}

void remote_close(struct remote *r) {
    if (!r) return;
    remote_unload(r);
    http_close(r->http);
    ox_free(r);
}

const struct ox_info *remote_info(const struct remote *r) {
    return r->is_loaded ? &r->info : NULL;
}

/* --- what there is instead of a model --- */

static struct ox_key hash_of(const char *a, const char *b) {
    struct buf all = {0};
    struct ox_key key = {0};
    if (buf_printf(&all, NULL, "%s\n%s", a, b) == 0) {
        XXH128_hash_t h = XXH3_128bits(all.p, all.n);
        key = (struct ox_key){h.high64, h.low64};
    }
    buf_deinit(&all);
    return key;
}

/* The first use of a name says where everything goes. */
static void fill_info(struct remote *r) {
    const struct remote_server *s = &r->server;
    snprintf(r->name, sizeof r->name, "remote:%s", s->name);
    snprintf(
        r->note, sizeof r->note,
        "all goes to %.200s, model %.80s: questions, documents, earlier turns; remote, no saved "
        "states%s%s",
        s->url, s->model, s->note ? "\n" : "", s->note ? s->note : "");
    r->info = (struct ox_info){
        .name = r->name,
        .backend = "remote",
        .device = s->url,
        .weights = hash_of(s->url, s->model),
        .template_id = hash_of("chat/completions", ""),
        .defaults = {.temperature = -1, .top_p = -1, .min_p = -1, .repeat = -1, .top_k = -1},
        .max_tokens = s->max_tokens,
        .is_remote = true,
        .note = r->note,
    };
}

static int load(struct remote *r, struct work *job, ox_err *err) {
    remote_unload(r);
    int rc = r->http ? 0 : http_open(&r->http, err);
    if (rc) return rc;
    r->server = job->server;
    job->server = (struct remote_server){0};
    fill_info(r);
    r->is_loaded = true;
    return 0;
}

static int make_plan(struct work *job, struct news *done, ox_err *err) {
    struct prompt *p = &job->prompt;
    size_t n_bytes;
    if (!p->n) return ox_err_set(err, OX_EUSAGE, "there is nothing to send");
    done->ends = ox_alloc(p->n, sizeof *done->ends, "message ends", err);
    if (!done->ends) return OX_ENOMEM;
    done->n_ends = p->n;
    size_t n = chat_estimate_prompt(p, done->ends, &n_bytes);
    done->n_prompt = job->n_upto ? done->ends[job->n_upto - 1] : n;
    done->plan = (struct ox_plan){.fresh = done->n_prompt, .bytes = n_bytes, .time_s = -1};
    done->prompt = *p;
    *p = (struct prompt){0};
    return 0;
}

/* --- an answer --- */

struct answer {
    struct remote *r;
    const struct work *job;
    const struct worker_post *post;
    struct sse sse;
    char first[FIRST_BYTES]; /* of the answer, for messages */
    size_t n_first, n_text;
    size_t n_about; /* tokens of the text so far, estimated */
    double first_s; /* clock when the first text came */
    bool has_usage, has_ended;
    enum chat_finish finish;
    size_t n_in, n_out; /* of usage */
};

static int take_event(void *user, const char *data, size_t n, ox_err *err) {
    struct answer *a = user;
    struct chat_event e;
    int rc = chat_event_parse(data, n, &e, err);
    if (rc) return rc;
    if (e.finish) a->finish = e.finish;
    if (e.has_usage) {
        a->has_usage = true;
        a->n_in = e.n_in;
        a->n_out = e.n_out;
    }
    if (e.text) {
        if (!a->n_text) a->first_s = clock_s();
        a->n_text += e.n_text;
        a->n_about += chat_estimate(e.text, e.n_text);
        struct news text = {
            .kind = NEWS_TEXT, .id = a->job->id, .text = e.text, .n_bytes = e.n_text};
        e.text = NULL;
        a->post->send(a->post->user, &text);
    }
    a->has_ended = e.is_last;
    chat_event_deinit(&e);
    return a->has_ended ? HTTP_ENOUGH : 0;
}

static int take_bytes(void *user, const char *p, size_t n, ox_err *err) {
    struct answer *a = user;
    size_t room = sizeof a->first - a->n_first;
    memcpy(a->first + a->n_first, p, n < room ? n : room);
    a->n_first += n < room ? n : room;
    return sse_feed(&a->sse, p, n, take_event, a, err);
}

static bool is_stopped(void *user) {
    const struct answer *a = user;
    return a->post->stopped(a->post->user);
}

/* --- refusals --- */

static const struct {
    long from, to;
    const char *what, *fix;
} refusals[] = {
    {300, 399, "the server sends us elsewhere, which is not followed",
     "if you trust that address, make it its url in the config"},
    {401, 401, "the server does not accept the key",
     "correct key_env or key_file of this server in the config"},
    {403, 403, "the server does not allow this", "ask who runs it what this key may do"},
    {404, 404, "the server knows no such address or model",
     "its url ends before /chat/completions, often with /v1; model is a name that it lists"},
    {413, 413, "this is too long for the server", "shorten it, or set ctx of this server lower"},
    {429, 429, "the server has too much to do", "wait, then ask again"},
    {400, 499, "the server refuses the request",
     "its words tell why; too long a prompt: set ctx of this server in the config"},
    {500, 599, "the server failed", "ask again later; its log knows more"},
    {0, 999, "the server gave an answer that is none", "is its url that of a chat server?"},
};

static int refuse(const struct http_reply *reply, ox_err *err) {
    struct buf words = {0};
    size_t i = 0;
    while (reply->status < refusals[i].from || reply->status > refusals[i].to)
        i++;
    if (reply->to[0])
        buf_puts(&words, reply->to, NULL);
    else
        chat_error_words(buf_str(&reply->refusal), reply->refusal.n, &words, NULL);
    ox_err_set(err, OX_EIO, "%s (%ld)%s%s", refusals[i].what, reply->status, words.n ? ": " : "",
               buf_str(&words));
    buf_deinit(&words);
    if (reply->retry_s) return ox_err_fix(err, "ask again in %ld s", reply->retry_s);
    return ox_err_fix(err, "%s", refusals[i].fix);
}

/* Status 200, and the transfer is over: was it a whole answer? */
static int check_end(const struct answer *a, const struct http_reply *reply, ox_err *err) {
    if (a->has_ended || a->finish) return 0;
    if (a->sse.n_events) {
        ox_err_set(err, OX_EIO, "the server ended its answer in the middle");
        return ox_err_fix(err, "what came is kept; ask again, or /regen");
    }
    struct buf words = {0};
    chat_error_words(a->first, a->n_first, &words, NULL);
    ox_err_set(err, OX_EFORMAT, "the server sent no stream of events but %s%s%s",
               !a->n_first      ? "an empty answer"
               : reply->type[0] ? reply->type
                                : "bytes without a type",
               words.n ? ": " : "", buf_str(&words));
    buf_deinit(&words);
    return ox_err_fix(err, "its url ends before /chat/completions, often with /v1; "
                           "the server must be able to stream");
}

static int ask(struct answer *a, const char *body, size_t n_body, ox_err *err) {
    struct remote_server *s = &a->r->server;
    struct http_reply reply = {0};
    struct buf url = {0};
    int rc = buf_printf(&url, err, "%s/chat/completions", s->url);
    const struct http_post post = {.url = url.p,
                                   .key = s->key,
                                   .body = body,
                                   .n_body = n_body,
                                   .user = a,
                                   .stopped = is_stopped,
                                   .bytes = take_bytes};
    if (!rc) rc = http_do(a->r->http, &post, &reply, err);
    if (!rc) rc = reply.status == 200 ? check_end(a, &reply, err) : refuse(&reply, err);
    /* All was said before the line went dead. */
    if (rc == OX_EIO && a->finish && reply.status == 200) rc = 0;
    if (rc && rc != OX_ECANCELLED && url.p) ox_err_wrap(err, rc, url.p);
    http_reply_deinit(&reply);
    buf_deinit(&url);
    return rc;
}

static void fill_ledger(const struct answer *a, size_t about_in, double start_s,
                        struct chat_ledger *l) {
    double now = clock_s(), first = a->n_text ? a->first_s : now;
    bool told = a->has_usage && a->n_in;
    *l = (struct chat_ledger){.n_in = told ? a->n_in : about_in,
                              .n_out = told ? a->n_out : a->n_about,
                              .ran = told ? CHAT_RAN_REMOTE : CHAT_RAN_REMOTE_ABOUT,
                              .seed = a->job->how.seed & 0x7fffffffu,
                              .prefill_s = first - start_s,
                              .decode_s = now - first};
}

static int check_wish(const struct work *job, ox_err *err) {
    if (!job->prompt.n) return ox_err_set(err, OX_EUSAGE, "there is nothing to send");
    if (job->reply != OX_REPLY_CONTINUE && job->reply != OX_REPLY_CONTINUE_NO_THINK) return 0;
    ox_err_set(err, OX_EUSAGE, "a remote server cannot write an answer on from its middle");
    return ox_err_fix(err, "/regen asks for another one; or ask for more in your words");
}

static int answer(struct remote *r, const struct work *job, const struct worker_post *post,
                  struct news *done, ox_err *err) {
    struct answer a = {.r = r, .job = job, .post = post};
    struct buf body = {0};
    size_t n_bytes, n_about = chat_estimate_prompt(&job->prompt, NULL, &n_bytes);
    double start_s = clock_s();
    int rc = check_wish(job, err);
    if (!rc)
        rc =
            chat_request(&job->prompt, r->server.model, &job->how, job->max_new_tokens, &body, err);
    if (!rc) rc = ask(&a, body.p, body.n, err);
    done->end = a.finish == CHAT_FINISH_LENGTH ? CHAT_LENGTH : CHAT_DONE;
    if (rc == OX_ECANCELLED &&
        a.n_text) { /* it had begun: what came is an answer that was stopped */
        done->end = CHAT_STOPPED;
        rc = 0;
    }
    fill_ledger(&a, n_about, start_s, &done->ledger);
    done->n_prompt = done->n_done = done->ledger.n_in;
    done->plan = (struct ox_plan){.fresh = done->ledger.n_in, .bytes = n_bytes, .time_s = -1};
    sse_deinit(&a.sse);
    buf_deinit(&body);
    return rc;
}

/* --- dispatch --- */

static int run_loaded(struct remote *r, struct work *job, const struct worker_post *post,
                      struct news *done, ox_err *err) {
    switch (job->kind) {
    case WORK_ENCODE:
        done->tok.n = chat_estimate(job->text ? job->text : "", job->n_bytes);
        return 0;
    case WORK_PLAN: return make_plan(job, done, err);
    case WORK_ANSWER: return answer(r, job, post, done, err);
    case WORK_AHEAD: return 0; /* there is no state to read */
    case WORK_STATES:
    case WORK_NONE:
    case WORK_LOAD: break;
    }
    return ox_err_set(err, OX_EFAIL, "a job without a kind");
}

void remote_run(struct remote *r, struct work *job, const struct worker_post *post) {
    struct news n = {.kind = NEWS_DONE, .id = job->id};
    int rc;
    if (job->kind == WORK_LOAD) {
        rc = load(r, job, &n.err);
        r->load_err = n.err;
        n.kind = NEWS_LOADED;
    } else if (!r->is_loaded) {
        n.err = r->load_err;
        rc = n.err.code ? n.err.code : ox_err_set(&n.err, OX_EFAIL, "no server is in use");
    } else if (post->stopped(post->user)) {
        rc = ox_err_set(&n.err, OX_ECANCELLED, "stopped");
    } else {
        rc = run_loaded(r, job, post, &n, &n.err);
    }
    if (rc) {
        ox_err err = n.err;
        err.code = rc;
        news_deinit(&n);
        n = (struct news){.kind = NEWS_FAILED, .id = job->id, .err = err};
    }
    post->send(post->user, &n);
}
