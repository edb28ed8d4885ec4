/* fake_engine.c - a scripted engine behind engine/ox.h, put in the engine's place at link time. It
 * lets tests of the application run in milliseconds, fail on demand and answer what the test
 * expects.
 *
 * A script file (named by model_dir) has lines "key value": answer TEXT, rule WHEN => TEXT,
 * token_us N, prefill_us N, open_us N, open_fails N, sync_fails N, next_fails N AFTER, ctx N,
 * weights N, thinks 1. \n in a text is a line feed, \e an escape byte, \x a byte that is no UTF-8.
 */
#include "tests/fake_engine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { CHUNK = 256 };

struct fake_script fake_script;

struct ox_engine {
    struct ox_info info;
    char name[64];
};

struct ox_session {
    ox_engine *engine;
    struct ox_tokens timeline;
    size_t reply_at; /* where the answer begins */
    _Atomic bool cancelled;
};

/* --- the script ----------------------------------------------------------------------------------
 */

static void unescape(char *dst, size_t cap, const char *src) {
    size_t n = 0;
    for (; *src && *src != '\n' && n + 1 < cap; src++) {
        char c = *src;
        if (c == '\\' && src[1]) {
            src++;
            c = *src == 'n' ? '\n' : *src == 'e' ? '\x1b' : *src == 'x' ? '\xff' : *src;
        }
        dst[n++] = c;
    }
    dst[n] = '\0';
}

static void read_script_line(struct fake_script *s, char *line) {
    char *value = strchr(line, ' ');
    if (line[0] == '#' || !value) return;
    *value++ = '\0';
    long n = strtol(value, &(char *){NULL}, 10);
    char *arrow = strstr(value, " => ");
    if (strcmp(line, "answer") == 0)
        unescape(s->answer, sizeof s->answer, value);
    else if (strcmp(line, "rule") == 0 && arrow && s->n_rules < FAKE_RULES) {
        *arrow = '\0';
        unescape(s->rule[s->n_rules].when, sizeof s->rule[0].when, value);
        unescape(s->rule[s->n_rules++].answer, sizeof s->rule[0].answer, arrow + 4);
    } else if (strcmp(line, "token_us") == 0)
        s->token_us = (unsigned)n;
    else if (strcmp(line, "prefill_us") == 0)
        s->prefill_us = (unsigned)n;
    else if (strcmp(line, "open_us") == 0)
        s->open_us = (unsigned)n;
    else if (strcmp(line, "open_fails") == 0)
        s->open_code = (int)n;
    else if (strcmp(line, "sync_fails") == 0)
        s->sync_code = (int)n;
    else if (strcmp(line, "next_fails") == 0) {
        char *rest;
        s->next_code = (int)strtol(value, &rest, 10);
        s->next_after = strtoul(rest, NULL, 10);
    } else if (strcmp(line, "ctx") == 0)
        s->max_tokens = (uint32_t)n;
    else if (strcmp(line, "weights") == 0)
        s->weight_bytes = strtoull(value, NULL, 10);
    else if (strcmp(line, "thinks") == 0)
        s->thinks = n != 0;
}

static int read_script(const char *path, struct fake_script *s, ox_err *err) {
    struct stat st;
    FILE *f = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "r") : NULL;
    if (!f) {
        ox_err_set(err, OX_EMODEL, "%s is not a model folder", path);
        ox_err_wrap(err, OX_EMODEL, "open model");
        return ox_err_fix(err, "check that -m names an Olmo Hybrid folder");
    }
    char line[4096];
    memset(s, 0, sizeof *s);
    while (fgets(line, sizeof line, f))
        read_script_line(s, line);
    fclose(f);
    return 0;
}

static void sleep_us(unsigned us) {
    struct timespec t = {us / 1000000, (long)(us % 1000000) * 1000};
    if (us) nanosleep(&t, NULL);
}

/* --- engine --------------------------------------------------------------------------------------
 */

int ox_engine_open(const struct ox_engine_opts *opts, ox_engine **out, ox_err *err) {
    int rc = opts->model_dir ? read_script(opts->model_dir, &fake_script, err) : 0;
    if (rc) return rc;
    sleep_us(fake_script.open_us);
    if (fake_script.open_code) {
        ox_err_set(err, fake_script.open_code, "the script says no");
        ox_err_wrap(err, fake_script.open_code, "open model");
        return ox_err_fix(err, "another script");
    }
    if (opts->backend && strcmp(opts->backend, "auto") != 0 &&
        strncmp(opts->backend, "cpu", 3) != 0) {
        ox_err_set(err, OX_EDEVICE, "no backend \"%s\"", opts->backend);
        return ox_err_fix(err, "--backend cpu");
    }
    ox_engine *e = ox_alloc(1, sizeof *e, "engine", err);
    if (!e) return OX_ENOMEM;
    snprintf(e->name, sizeof e->name, "scripted");
    uint32_t most = fake_script.max_tokens ? fake_script.max_tokens : 65536;
    if (opts->max_tokens && opts->max_tokens < most) most = opts->max_tokens;
    e->info =
        (struct ox_info){.name = e->name,
                         .backend = "cpu-fake",
                         .device = "no device",
                         .weights = {1, 2},
                         .vocab = {3, 4},
                         .template_id = {5, 6},
                         .space = {7, 8},
                         .numerics = 1,
                         .weight_bytes = fake_script.weight_bytes ? fake_script.weight_bytes : 1000,
                         .token_bytes = 10,
                         .state_bytes = 100,
                         .n_params = 500,
                         .defaults = {0, 1, 0, 1, 0, 0, 0},
                         .n_vocab = 258,
                         .trained_tokens = 65536,
                         .max_tokens = most,
                         .n_gdn_layers = 3,
                         .n_attn_layers = 1,
                         .thinks = fake_script.thinks,
                         .note = ""};
    *out = e;
    return 0;
}

void ox_engine_close(ox_engine *e) {
    ox_free(e);
}

const char *ox_backends(void) {
    return "none: scripted";
}

void ox_engine_speed(ox_engine *e, double s_per_token) {
    (void)e, (void)s_per_token;
}

const struct ox_info *ox_engine_info(const ox_engine *e) {
    return &e->info;
}

static int push(struct ox_tokens *t, int32_t tok, ox_err *err) {
    int rc = ox_grow(&t->v, &t->cap, t->n + 1, sizeof *t->v, err);
    if (!rc) t->v[t->n++] = tok;
    return rc;
}

int ox_encode(const ox_engine *e, const char *text, size_t n, struct ox_tokens *out, ox_err *err) {
    (void)e;
    int rc = ox_grow(&out->v, &out->cap, out->n + n, sizeof *out->v, err);
    for (size_t i = 0; !rc && i < n; i++)
        out->v[out->n++] = (unsigned char)text[i];
    return rc;
}

int ox_token_text(const ox_engine *e, int32_t tok, char *out, size_t cap) {
    (void)e;
    if (tok < 0 || tok > FAKE_CLOSE) return -1;
    if (tok > 255) return snprintf(out, cap, "%s", tok == FAKE_OPEN ? "<open>" : "<close>");
    if (cap) out[0] = (char)tok;
    return 1;
}

int ox_render(const ox_engine *e, const struct ox_msg *msg, size_t n, enum ox_reply reply,
              struct ox_tokens *out, size_t *ends, ox_err *err) {
    static const char *const names[] = {"none\n", "system\n", "user\n", "assistant\n"};
    size_t start = out->n;
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        if (!msg[i].joined) rc = push(out, FAKE_OPEN, err);
        if (!rc && !msg[i].joined)
            rc = ox_encode(e, names[msg[i].role], strlen(names[msg[i].role]), out, err);
        if (!rc && !msg[i].tok) rc = ox_encode(e, msg[i].text, msg[i].n_bytes, out, err);
        for (size_t k = 0; !rc && msg[i].tok && k < msg[i].n_tok; k++)
            rc = push(out, msg[i].tok[k], err);
        bool goes_on = i + 1 < n
                           ? msg[i + 1].joined
                           : reply == OX_REPLY_CONTINUE || reply == OX_REPLY_CONTINUE_NO_THINK;
        if (!rc && !goes_on) rc = push(out, FAKE_CLOSE, err);
        if (ends) ends[i] = out->n - start;
    }
    if (!rc && (reply == OX_REPLY_OPEN || reply == OX_REPLY_NO_THINK)) {
        rc = push(out, FAKE_OPEN, err);
        if (!rc)
            rc = ox_encode(e, names[OX_ROLE_ASSISTANT], strlen(names[OX_ROLE_ASSISTANT]), out, err);
    }
    return rc;
}

bool ox_is_stop(const ox_engine *e, int32_t tok) {
    (void)e;
    return tok == FAKE_CLOSE;
}

static int add_text(char **text, size_t *n, size_t *cap, const void *s, size_t len, ox_err *err) {
    int rc = ox_grow(text, cap, *n + len + 1, 1, err);
    if (rc) return rc;
    memcpy(*text + *n, s, len);
    *n += len;
    (*text)[*n] = '\0';
    return 0;
}

/* Whole characters by the lead byte alone: scripts hold well-formed text, or \x for one bad byte.
 */
int ox_decode(const ox_engine *e, struct ox_decoder *d, int32_t tok, char **text, size_t *n,
              size_t *cap, ox_err *err) {
    (void)e;
    int rc = 0;
    bool follows = tok >= 0 && (tok & 0xC0) == 0x80;
    if (d->n_held && !follows) {
        rc = add_text(text, n, cap, "\xEF\xBF\xBD", 3, err);
        d->n_held = 0;
    }
    if (rc || tok < 0 || tok > 255) return rc;
    if (tok < 0x80) return add_text(text, n, cap, &(char){(char)tok}, 1, err);
    if (!d->n_held && (tok < 0xC2 || tok > 0xF4))
        return add_text(text, n, cap, "\xEF\xBF\xBD", 3, err);
    d->held[d->n_held++] = (unsigned char)tok;
    int need = d->held[0] >= 0xF0 ? 4 : d->held[0] >= 0xE0 ? 3 : 2;
    if (d->n_held < need) return 0;
    rc = add_text(text, n, cap, d->held, (size_t)need, err);
    d->n_held = 0;
    return rc;
}

/* --- session -------------------------------------------------------------------------------------
 */

int ox_session_open(ox_engine *e, ox_session **out, ox_err *err) {
    ox_session *s = ox_alloc(1, sizeof *s, "session", err);
    if (!s) return OX_ENOMEM;
    s->engine = e;
    *out = s;
    return 0;
}

void ox_session_close(ox_session *s) {
    if (s) ox_free(s->timeline.v);
    ox_free(s);
}

static int check_fit(const ox_session *s, struct ox_prefix want, ox_err *err) {
    if (want.n <= s->engine->info.max_tokens) return 0;
    return ox_err_set(err, OX_EFIT, "%zu tokens in a context of %u", want.n,
                      s->engine->info.max_tokens);
}

int ox_session_plan(ox_session *s, struct ox_prefix want, const struct ox_sync_opts *opts,
                    struct ox_plan *out, ox_err *err) {
    (void)opts;
    int rc = check_fit(s, want, err);
    if (rc) return rc;
    *out = (struct ox_plan){0};
    bool extends = s->timeline.n <= want.n &&
                   (s->timeline.n == 0 ||
                    memcmp(s->timeline.v, want.tok, s->timeline.n * sizeof *want.tok) == 0);
    out->live = extends ? s->timeline.n : 0;
    out->fresh = want.n - out->live;
    out->time_s = (double)out->fresh * fake_script.prefill_us / 1e6;
    return 0;
}

static int break_prefill(ox_err *err) {
    ox_err_set(err, fake_script.sync_code, "the script breaks prefill");
    return ox_err_fix(err, "another script");
}

int ox_session_sync(ox_session *s, struct ox_prefix want, const struct ox_sync_opts *opts,
                    struct ox_plan *done, ox_err *err) {
    struct ox_plan plan;
    int rc = ox_session_plan(s, want, opts, &plan, err);
    if (!rc && fake_script.sync_code) rc = break_prefill(err);
    atomic_store(&s->cancelled, false);
    if (!rc) s->timeline.n = plan.live;
    while (!rc && s->timeline.n < want.n) {
        size_t n = want.n - s->timeline.n < CHUNK ? want.n - s->timeline.n : CHUNK;
        sleep_us((unsigned)n * fake_script.prefill_us);
        if (atomic_load(&s->cancelled)) return ox_err_set(err, OX_ECANCELLED, "stopped");
        rc = ox_grow(&s->timeline.v, &s->timeline.cap, s->timeline.n + n, sizeof *s->timeline.v,
                     err);
        if (rc) break;
        memcpy(s->timeline.v + s->timeline.n, want.tok + s->timeline.n, n * sizeof *want.tok);
        s->timeline.n += n;
        fake_script.n_forward += n;
        if (opts && opts->progress) opts->progress(opts->user, &plan, s->timeline.n);
    }
    s->reply_at = s->timeline.n;
    if (!rc && done) *done = plan;
    return rc;
}

/* The text of the last user turn, as the timeline has it. */
static size_t last_question(const ox_session *s, char *out, size_t cap) {
    static const char user[] = "user\n";
    size_t n = 0;
    for (size_t i = 0; i + 6 < s->reply_at; i++) {
        bool is_user = s->timeline.v[i] == FAKE_OPEN;
        for (size_t k = 0; is_user && k < 5; k++)
            is_user = s->timeline.v[i + 1 + k] == user[k];
        if (!is_user) continue;
        n = 0;
        for (size_t k = i + 6; k < s->reply_at && s->timeline.v[k] < 256; k++) {
            if (n + 1 == cap) { /* keep the end: the question stands behind the document */
                memmove(out, out + 1, n - 1);
                n--;
            }
            out[n++] = (char)s->timeline.v[k];
        }
    }
    out[n] = '\0';
    return n;
}

static void make_answer(const ox_session *s, uint64_t seed, char *out, size_t cap) {
    char asked[1024], seed_text[24];
    last_question(s, asked, sizeof asked);
    const char *form = fake_script.answer;
    for (size_t i = 0; i < fake_script.n_rules; i++)
        if (strstr(asked, fake_script.rule[i].when)) {
            form = fake_script.rule[i].answer;
            break;
        }
    if (!*form) {
        snprintf(out, cap, "You said: %s", asked);
        return;
    }
    const char *mark = strstr(form, "%seed");
    snprintf(seed_text, sizeof seed_text, "%llu", (unsigned long long)seed);
    snprintf(out, cap, "%.*s%s%s", (int)(mark ? mark - form : (long)strlen(form)), form,
             mark ? seed_text : "", mark ? mark + 5 : "");
}

/* How much of the answer is there: a reply that is continued goes on if it began with the same
 * bytes; one that was begun by the application is answered from the start. */
static size_t answer_at(const ox_session *s, size_t reply_at, const char *answer) {
    size_t n = s->reply_at - reply_at, i = 0;
    while (i < n && answer[i] && s->timeline.v[reply_at + i] == (unsigned char)answer[i])
        i++;
    return s->timeline.n - (i == n ? reply_at : s->reply_at);
}

int ox_session_next(ox_session *s, const struct ox_sampling *how, int32_t *tok, ox_err *err) {
    char answer[4096];
    make_answer(s, how->seed, answer, sizeof answer);
    size_t i = answer_at(s, how->reply_at, answer);
    sleep_us(fake_script.token_us);
    if (fake_script.next_code && i >= fake_script.next_after)
        return ox_err_set(err, fake_script.next_code, "the script breaks the answer");
    if (s->timeline.n >= s->engine->info.max_tokens)
        return ox_err_set(err, OX_EFIT, "the context is full");
    *tok = i < strlen(answer) ? (unsigned char)answer[i] : FAKE_CLOSE;
    if (*tok == FAKE_CLOSE) return 0;
    fake_script.n_forward++;
    return push(&s->timeline, *tok, err);
}

int ox_session_snapshot(ox_session *s, enum ox_why why, const struct ox_state_io *io, ox_err *err) {
    (void)s, (void)why, (void)io, (void)err;
    return 0; /* the scripted engine has no state worth a byte */
}

struct ox_prefix ox_session_timeline(const ox_session *s) {
    return (struct ox_prefix){s->timeline.v, s->timeline.n};
}

void ox_session_cancel(ox_session *s) {
    atomic_store(&s->cancelled, true);
}

int ox_offline(enum ox_task task, const struct ox_engine_opts *opts, const char *args,
               int (*line)(void *user, const char *json), void *user, ox_err *err) {
    (void)task, (void)args;
    ox_engine *e;
    int rc = ox_engine_open(opts, &e, err);
    if (rc) return rc;
    line(user, "{\"event\":\"model\",\"name\":\"scripted\",\"tensors\":3}");
    ox_engine_close(e);
    return 0;
}
