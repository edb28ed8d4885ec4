/* sessions.c - saved sessions at the shell: list, rename, fork, remove. */
#include "app/cli/stored.h"
#include "app/clock.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/remote_conf.h"
#include "app/store/check.h"
#include "app/store/states.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SHOWN_ROWS = 30, ID_DIGITS = 4 };

/* The cache of saved states, for a look only; NULL is fine everywhere it is used. */
static states *look_at_states(const struct cli *c, bool read_only) {
    const struct states_opts opts = {.folder = c->conf.cache_dir, .read_only = read_only};
    states *s = NULL;
    return states_open(&opts, &s, NULL) ? NULL : s;
}

/* --- sessions --- */

struct listing {
    struct store_chat *row;
    size_t n, cap;
};

static int each_row(void *user, const struct store_chat *row) {
    struct listing *l = user;
    int rc = ox_grow(&l->row, &l->cap, l->n + 1, sizeof *l->row, NULL);
    if (!rc) l->row[l->n++] = *row;
    return rc;
}

/* Digits that tell these sessions apart. */
static int id_digits(const struct listing *l) {
    int n = ID_DIGITS;
    for (size_t i = 0; i < l->n; i++)
        for (size_t k = 0; k < i; k++)
            while (n < 16 && strncmp(l->row[i].uid, l->row[k].uid, (size_t)n) == 0)
                n++;
    return n;
}

static const char *state_word(states *s, const char *db_uid, const struct store_chat *row) {
    const struct states_want want = {db_uid, row->uid, row->leaf, row->n_tokens};
    struct states_saved saved;
    if (remote_conf_name(row->model)) return "remote"; /* its last answer; there can be none */
    if (states_saved(s, &want, &saved, NULL)) return "none";
    return saved.word;
}

/* Cells for a title behind `used` others: what is left of the terminal's row. */
static size_t title_room(size_t used) {
    enum { ELSEWHERE = 60, LEAST = 12 };
    struct winsize w;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || w.ws_col == 0)
        return ELSEWHERE;
    return w.ws_col > used + LEAST ? w.ws_col - used : LEAST;
}

static int add_row(struct buf *b, const struct store_chat *r, const char *state, int digits,
                   ox_err *err) {
    size_t from = b->n;
    char n[SAY_BYTES];
    struct buf when = {0};
    int rc = stored_when(&when, r->updated_us, err);
    if (!rc)
        rc = buf_printf(b, err, "%.*s  %-12s %3zu turn%s  %6s  %-6s  ", digits, r->uid,
                        buf_str(&when), r->n_turns, r->n_turns == 1 ? " " : "s",
                        say_short(n, r->n_tokens), state);
    size_t room = rc ? 0 : title_room(text_cells(b->p + from, b->n - from));
    if (!rc) rc = text_brief(b, r->title, strlen(r->title), room, err);
    buf_deinit(&when);
    return rc ? rc : buf_putc(b, '\n', err);
}

static int add_json(struct buf *b, const struct store_chat *r, const char *state, ox_err *err) {
    int rc = buf_printf(b, err, "{\"id\":\"%s\",\"title\":", r->uid);
    if (!rc) rc = text_json(b, r->title, strlen(r->title), err);
    return rc ? rc
              : buf_printf(b, err, ",\"turns\":%zu,\"tokens\":%zu,\"state\":\"%s\"}\n", r->n_turns,
                           r->n_tokens, state);
}

static int print_list(struct cli *c, store *st, states *cache, struct store_filter f, ox_err *err) {
    struct listing l = {0};
    struct buf b = {0};
    bool json = flags_has(&c->flags, "--json");
    int rc = store_chat_list(st, &f, each_row, &l, err);
    int digits = id_digits(&l);
    for (size_t i = 0; !rc && i < l.n; i++) {
        const char *state = state_word(cache, store_uid(st), &l.row[i]);
        rc =
            json ? add_json(&b, &l.row[i], state, err) : add_row(&b, &l.row[i], state, digits, err);
    }
    if (!rc) rc = stored_flush(&b, err);
    size_t all = 0;
    if (!rc && f.limit && l.n == f.limit && store_chat_count(st, &all, NULL) == 0 && all > l.n &&
        !flags_has(&c->flags, "-q"))
        fprintf(stderr, "-- %zu of %zu; --all shows the rest\n", l.n, all);
    if (!rc && !l.n && !flags_has(&c->flags, "-q"))
        fprintf(stderr, "-- no sessions yet; `oxbow` starts one\n");
    ox_free(l.row);
    buf_deinit(&b);
    return rc;
}

static int run_sessions(struct cli *c, ox_err *err) {
    store *st = NULL;
    struct store_filter f = {.limit = flags_has(&c->flags, "--all") ? 0 : SHOWN_ROWS};
    const char *since = flags_get(&c->flags, "--since");
    int64_t span = 0;
    int rc = since ? stored_span(since, "--since", &span, err) : 0;
    if (rc) return rc;
    f.since_us = since ? clock_utc_us() - span : 0;
    rc = stored_open(c, true, &st, err);
    if (rc == OX_ENOTFOUND) { /* nobody has asked anything: that is no error */
        if (!flags_has(&c->flags, "-q"))
            fprintf(stderr, "-- no sessions yet; `oxbow` starts one\n");
        if (err) *err = (ox_err){0};
        return 0;
    }
    states *cache = rc ? NULL : look_at_states(c, true);
    if (!rc) rc = print_list(c, st, cache, f, err);
    states_close(cache);
    store_close(st);
    return rc;
}

const struct verb verb_sessions = {
    .name = "sessions",
    .args = "",
    .brief = "list saved sessions",
    .flags = "--all --since --json --db " FLAGS_ALWAYS,
    .examples = "oxbow sessions\tthe newest 30\noxbow sessions --all --since 30d --json",
    .run = run_sessions,
};

/* --- rename, fork --- */

static int print_chat(store *st, int64_t chat, const char *tail, ox_err *err) {
    struct store_chat row = {0};
    struct buf b = {0};
    int rc = store_chat_get(st, chat, &row, err);
    if (!rc) rc = buf_printf(&b, err, "%.4s  ", row.uid);
    if (!rc) rc = text_show(&b, row.title, strlen(row.title), TEXT_LINE, err);
    if (!rc) rc = buf_printf(&b, err, "%s\n", tail);
    if (!rc) rc = stored_flush(&b, err);
    buf_deinit(&b);
    return rc;
}

static int run_rename(struct cli *c, ox_err *err) {
    store *st = NULL;
    int64_t chat = 0;
    int rc = stored_open(c, false, &st, err);
    if (!rc) rc = stored_find(c, st, 0, &chat, err);
    if (!rc) rc = store_chat_title(st, chat, c->flags.word[1], STORE_TITLE_USER, err);
    if (!rc) rc = print_chat(st, chat, "", err);
    store_close(st);
    return rc;
}

const struct verb verb_rename = {
    .name = "rename",
    .args = "ID TITLE",
    .brief = "give a session a title",
    .flags = "--db " FLAGS_ALWAYS,
    .examples = "oxbow rename 3f2a \"Harbour log 1911\"",
    .min_words = 2,
    .max_words = 2,
    .run = run_rename,
};

struct turns { /* walks a path: the end of turn `want`, and how many there are */
    size_t n, want;
    int64_t at;
};

static int each_turn(void *user, const struct chat_node *row) {
    struct turns *t = user;
    t->n += row->role == OX_ROLE_USER;
    if (t->n && t->n <= t->want) t->at = row->id; /* the answer behind the question comes later */
    return 0;
}

/* What going on with the fork reads again, from the index of saved states: no model is loaded for
 * it. States belong to the session that the messages came from. */
static int print_fork(struct cli *c, store *st, const char *from_uid, int64_t made, ox_err *err) {
    struct store_chat row = {0};
    struct states_saved saved = {0};
    char price[SAY_PRICE_BYTES], tail[SAY_PRICE_BYTES + 4] = "";
    int rc = store_chat_get(st, made, &row, err);
    if (rc) return rc;
    const struct states_want want = {store_uid(st), from_uid, row.leaf, row.n_tokens};
    states *cache = look_at_states(c, true);
    states_saved(cache, &want, &saved, NULL);
    states_close(cache);
    size_t left = row.n_tokens > saved.n_tokens ? row.n_tokens - saved.n_tokens : 0;
    double seconds = saved.load_s + (double)left * saved.us_per_token / 1e6;
    if (left && saved.us_per_token <= 0.0) /* nothing saved, so no speed either */
        snprintf(tail, sizeof tail, "  restart %s tokens back", say_count(price, left));
    else if (row.n_tokens)
        snprintf(tail, sizeof tail, "  %s", say_restart(price, left, seconds));
    return print_chat(st, made, tail, err);
}

static int run_fork(struct cli *c, ox_err *err) {
    store *st = NULL;
    int64_t chat = 0, made = 0;
    struct store_chat row = {0};
    const char *at = flags_get(&c->flags, "--at"), *title = flags_get(&c->flags, "--title");
    struct turns t = {.want = SIZE_MAX};
    if (at) t.want = 0;
    for (const char *p = at; p && *p; p++)
        t.want =
            *p >= '0' && *p <= '9' && t.want < 100000 ? t.want * 10 + (size_t)(*p - '0') : 1000000;
    int rc = stored_open(c, false, &st, err);
    if (!rc) rc = stored_find(c, st, 0, &chat, err);
    if (!rc) rc = store_chat_get(st, chat, &row, err);
    if (!rc) rc = store_msg_path(st, row.leaf, each_turn, &t, err);
    if (!rc && (!t.at || (at && (t.want < 1 || t.want > t.n)))) {
        ox_err_set(err, OX_EUSAGE, "turn out of range: %.4s has %zu turn%s", row.uid, t.n,
                   t.n == 1 ? "" : "s");
        rc = ox_err_fix(err, "--at TURN, counted from 1");
    }
    if (!rc) rc = store_chat_fork(st, chat, t.at, title ? title : row.title, &made, err);
    if (!rc) rc = print_fork(c, st, row.uid, made, err);
    store_close(st);
    return rc;
}

const struct verb verb_fork = {
    .name = "fork",
    .args = "ID",
    .brief = "new session from an old one",
    .flags = "--at --title --db " FLAGS_ALWAYS,
    .examples =
        "oxbow fork 3f2a\noxbow fork 3f2a --at 4 --title \"another way\"\tends behind turn 4",
    .min_words = 1,
    .max_words = 1,
    .run = run_fork,
};

/* --- rm --- */

static bool is_listed(const struct listing *l, int64_t chat) {
    for (size_t i = 0; i < l->n; i++)
        if (l->row[i].id == chat) return true;
    return false;
}

/* Every name is looked up before anything goes: a number means the list as it is now, and a session
 * named twice, or named and old, counts once. */
static int gather(struct cli *c, store *st, struct listing *l, ox_err *err) {
    const char *older = flags_get(&c->flags, "--older-than");
    int64_t span = 0, chat = 0;
    int rc = 0;
    if (older) {
        rc = stored_span(older, "--older-than", &span, err);
        const struct store_filter f = {.before_us = clock_utc_us() - span};
        if (!rc) rc = store_chat_list(st, &f, each_row, l, err);
    }
    for (size_t i = 0; !rc && i < c->flags.n_word; i++) {
        struct store_chat row = {0};
        rc = stored_find(c, st, i, &chat, err);
        if (!rc && is_listed(l, chat)) continue;
        if (!rc) rc = store_chat_get(st, chat, &row, err);
        if (!rc) rc = each_row(l, &row);
    }
    return rc;
}

static bool confirm(const struct listing *l) {
    char answer[16] = "";
    fprintf(stderr, "delete %zu session%s with their states? [y/N] ", l->n, l->n == 1 ? "" : "s");
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int remove_one(store *st, states *cache, const struct store_chat *row, bool dry,
                      struct buf *b, ox_err *err) {
    char n[SAY_BYTES];
    size_t n_messages = 0;
    uint64_t freed = 0;
    int rc = dry ? 0 : store_chat_delete(st, row->id, &n_messages, err);
    if (!rc && !dry && cache) states_drop_chat(cache, row->uid, &freed, NULL);
    if (!rc) rc = buf_printf(b, err, "%s %.4s \"", dry ? "would delete" : "deleted", row->uid);
    if (!rc) rc = text_brief(b, row->title, strlen(row->title), 60, err);
    if (!rc && dry)
        return buf_printf(b, err, "\": %zu turn%s\n", row->n_turns, row->n_turns == 1 ? "" : "s");
    return rc ? rc
              : buf_printf(b, err, "\": %zu message%s, %s of states\n", n_messages,
                           n_messages == 1 ? "" : "s", say_bytes(n, freed));
}

static int remove_all(struct cli *c, store *st, states *cache, const struct listing *l,
                      ox_err *err) {
    struct buf b = {0};
    bool dry = flags_has(&c->flags, "--dry-run"), yes = flags_has(&c->flags, "--yes");
    int rc = 0;
    if (!l->n && !flags_has(&c->flags, "-q"))
        fprintf(stderr, "-- no session is older than that (pinned ones stay)\n");
    if (l->n && !dry && !yes && !isatty(STDIN_FILENO)) {
        ox_err_set(err, OX_EUSAGE, "rm asks on a terminal, and this is none");
        return ox_err_fix(err, "--yes deletes without asking, --dry-run lists");
    }
    if (l->n && !dry && !yes && !confirm(l)) return 0;
    for (size_t i = 0; !rc && i < l->n; i++)
        rc = remove_one(st, cache, &l->row[i], dry, &b, err);
    if (!dry && b.n) { /* also of those before one that failed */
        int scrubbed = store_scrub(st, flags_has(&c->flags, "--purge"), rc ? NULL : err);
        if (!rc) rc = scrubbed;
    }
    if (b.n) { /* what was done is said, also before a failure */
        int said = stored_flush(&b, rc ? NULL : err);
        if (!rc) rc = said;
    }
    buf_deinit(&b);
    return rc;
}

static int run_rm(struct cli *c, ox_err *err) {
    store *st = NULL;
    struct listing l = {0};
    if (!c->flags.n_word && !flags_has(&c->flags, "--older-than")) {
        ox_err_set(err, OX_EUSAGE, "rm needs an ID, or --older-than");
        return ox_err_fix(err, "oxbow sessions lists the ids");
    }
    int rc = stored_open(c, false, &st, err);
    if (!rc) rc = gather(c, st, &l, err);
    states *cache = rc ? NULL : look_at_states(c, false);
    if (!rc) rc = remove_all(c, st, cache, &l, err);
    states_close(cache);
    ox_free(l.row);
    store_close(st);
    return rc;
}

const struct verb verb_rm = {
    .name = "rm",
    .args = "[ID..]",
    .brief = "delete sessions and states",
    .flags = "--older-than --dry-run --purge --yes --db " FLAGS_ALWAYS,
    .examples = "oxbow rm 3f2a\noxbow rm --older-than 90d --dry-run\tlists; pinned ones stay",
    .max_words = -1,
    .run = run_rm,
};
