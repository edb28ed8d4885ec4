/* worker_keep.c - see worker_keep.h. Apart, because an answer must come out the same with and
 * without it. */
#include "app/worker_keep.h"

#include "app/store/states.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct keep {
    char *folder, *log_path; /* owned; folder NULL: nothing is kept */
    char db_uid[17], kv[8];
    uint64_t quota_bytes;
    bool is_off, was_tried;
    states *cache;
};

/* One line of $XDG_STATE_HOME/oxbow/oxbow.log; never text of conversations. */
static void write_log(void *user, const char *line) {
    struct keep *k = user;
    FILE *f = k->log_path ? fopen(k->log_path, "a") : NULL;
    char when[32] = "";
    struct tm tm;
    time_t now = time(NULL);
    if (!f) return;
    fchmod(fileno(f), 0600);
    if (gmtime_r(&now, &tm)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fprintf(f, "%s states: %s\n", when, line);
    fclose(f);
}

int keep_open(const struct worker_opts *opts, struct keep **out, ox_err *err) {
    struct keep *k = ox_alloc(1, sizeof *k, "state cache", err);
    if (!k) return OX_ENOMEM;
    k->quota_bytes = opts->quota_bytes;
    k->is_off = opts->states_off;
    snprintf(k->db_uid, sizeof k->db_uid, "%s", opts->db_uid ? opts->db_uid : "");
    snprintf(k->kv, sizeof k->kv, "%s", opts->engine.kv ? opts->engine.kv : "");
    if (opts->states_path) k->folder = ox_strdup(opts->states_path, "path of the state cache", err);
    if (opts->log_path) k->log_path = ox_strdup(opts->log_path, "path of the log", err);
    if ((opts->states_path && !k->folder) || (opts->log_path && !k->log_path)) {
        keep_close(k);
        return OX_ENOMEM;
    }
    *out = k;
    return 0;
}

void keep_close(struct keep *k) {
    if (!k) return;
    states_close(k->cache);
    ox_free(k->folder);
    ox_free(k->log_path);
    ox_free(k);
}

static int open_cache(struct keep *k, ox_err *err) {
    const struct states_opts opts = {
        .folder = k->folder, .quota_bytes = k->quota_bytes, .log = write_log, .user = k};
    if (!k->folder || k->is_off || k->cache || k->was_tried) return 0;
    k->was_tried = true;
    return states_open(&opts, &k->cache, err);
}

void keep_model(struct keep *k, const struct ox_info *info) {
    ox_err e = {0};
    if (!k->folder || k->is_off) return;
    int rc = open_cache(k, &e);
    const char *kv = k->kv[0] ? k->kv : strcmp(info->backend, "cpu-ref") == 0 ? "f32" : "bf16";
    const struct states_space space = {.compat = info->space,
                                       .weights = info->weights,
                                       .vocab = info->vocab,
                                       .backend = info->backend,
                                       .name = info->name,
                                       .numerics = info->numerics,
                                       .kv_type = kv,
                                       .n_linear = info->n_gdn_layers,
                                       .n_attn = info->n_attn_layers};
    if (!rc && k->cache) rc = states_use(k->cache, &space, &e);
    if (!rc) return;
    write_log(k, e.what);
    states_close(k->cache);
    k->cache = NULL;
}

const struct ox_state_io *keep_io(struct keep *k, const struct work *job) {
    bool looks = job->kind == WORK_PLAN; /* what is kept counts; a plan writes nothing */
    if (!k->cache || (!job->keep && !looks)) return NULL;
    const struct states_tip tip = {.db_uid = k->db_uid,
                                   .chat_uid = job->chat_uid,
                                   .want = job->leaf,
                                   .want_moment = job->leaf_moment,
                                   .made = job->answer};
    states_tip(k->cache, &tip);
    return states_io(k->cache);
}

double keep_known_speed(const struct keep *k) {
    return k->cache ? states_known_speed(k->cache) / 1e6 : 0;
}

/* Deep tokens cost more: what is kept is the cost of one at position 0. */
void keep_speed(struct keep *k, const struct chat_ledger *l, double deepening) {
    size_t n = l->n_in - l->n_reused;
    double depth = ((double)l->n_in + (double)l->n_reused) / 2;
    if (k->cache && n >= 256 && l->prefill_s > l->load_s)
        states_speed(k->cache,
                     (l->prefill_s - l->load_s) * 1e6 / ((double)n * (1 + deepening * depth)));
}

bool keep_settle(struct keep *k) {
    return k->cache && states_settle(k->cache) > 0;
}

/* Tokens of the prompt, and of them those of the answer that goes on. */
struct turn_place {
    size_t n_prompt, n_before;
};

/* The timeline so far and the marks that close the answer: what the next question will ask for. */
static int close_turn(const ox_engine *e, ox_session *s, const struct work *job,
                      struct turn_place at, ox_err *err) {
    const struct prompt *p = &job->prompt;
    size_t n_msg = p->n - (at.n_before > 0), from = at.n_prompt - at.n_before;
    struct ox_prefix now = ox_session_timeline(s);
    struct ox_tokens want = {0};
    struct ox_msg *msg = ox_alloc(n_msg + 1, sizeof *msg, "messages", err);
    int rc = msg ? 0 : OX_ENOMEM;
    if (!rc) {
        memcpy(msg, p->msg, n_msg * sizeof *msg);
        msg[n_msg] = (struct ox_msg){
            .role = OX_ROLE_ASSISTANT, .text = "", .tok = now.tok + from, .n_tok = now.n - from};
        rc = ox_render(e, msg, n_msg + 1, OX_REPLY_NONE, &want, NULL, err);
    }
    const struct ox_sync_opts opts = {
        .io = NULL}; /* the end is kept once, as a turn, not as a question */
    struct ox_plan plan;
    bool extends = !rc && want.n >= now.n && memcmp(want.v, now.tok, now.n * sizeof *want.v) == 0;
    if (extends)
        rc = ox_session_sync(s, (struct ox_prefix){want.v, want.n}, &opts, &plan, err);
    else if (!rc)
        rc = OX_EFAIL; /* the template closes this turn in another way: keep nothing that is not
                          asked for */
    ox_free(want.v);
    ox_free(msg);
    return rc;
}

void keep_turn(struct keep *k, const ox_engine *e, ox_session *s, const struct work *job,
               enum chat_end end, size_t n_prompt) {
    const struct ox_state_io *io = k->cache && job->keep ? states_io(k->cache) : NULL;
    ox_err err = {0};
    const struct ox_msg *last = job->prompt.n ? &job->prompt.msg[job->prompt.n - 1] : NULL;
    struct turn_place at = {n_prompt, job->reopens && last ? last->n_tok : 0};
    /* Else the answer was begun by us, for a question that nobody asks again. */
    bool is_begun = last && last->role == OX_ROLE_ASSISTANT && !job->reopens;
    if (!io || is_begun || ox_session_timeline(s).n <= n_prompt) return;
    if (end != CHAT_DONE) /* it may go on from here, so its turn stays open */
        ox_session_snapshot(s, OX_WHY_STOP, io, &err);
    else if (close_turn(e, s, job, at, &err) == 0)
        ox_session_snapshot(s, OX_WHY_TURN, io, &err);
    if (err.code) write_log(k, err.what);
}

void keep_ahead(struct keep *k, const struct work *job) {
    const struct states_want want = {k->db_uid, job->chat_uid, job->leaf, job->n_path};
    states_ahead(k->cache, job->chat_uid[0] ? &want : NULL, NULL);
}

static int pin(struct keep *k, const struct work *job, const char *what, bool pinned, ox_err *err) {
    const struct states_want want = {k->db_uid, job->chat_uid, job->leaf, job->n_path};
    int rc = job->chat_uid[0] ? states_join(k->cache, &want, err) : 0;
    return rc ? rc : states_pin(k->cache, what, pinned, err);
}

int keep_order(struct keep *k, const struct work *job, ox_err *err) {
    const char *order = job->text;
    const char *what = order ? strchr(order, ' ') : NULL;
    uint64_t freed;
    open_cache(k, NULL); /* the model may be on a server: states of others are there all the same */
    if (!k->cache) return ox_err_set(err, OX_EFAIL, "nothing is kept: the state cache is off");
    if (!what) return ox_err_set(err, OX_EUSAGE, "unknown order to the state cache");
    size_t n = (size_t)(what - order);
    what++;
    if (n == 3 && strncmp(order, "pin", n) == 0) return pin(k, job, what, true, err);
    if (n == 5 && strncmp(order, "unpin", n) == 0) return pin(k, job, what, false, err);
    if (n == 4 && strncmp(order, "drop", n) == 0)
        return states_drop_chat(k->cache, what, &freed, err);
    if (n == 4 && strncmp(order, "thin", n) == 0) return states_thin(k->cache, what, err);
    return ox_err_set(err, OX_EUSAGE, "unknown order to the state cache");
}
