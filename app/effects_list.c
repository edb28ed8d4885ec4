/* effects_list.c - the list of sessions with what going on with each costs, their last answers, and
 * the search in all texts. See effects.h.
 *
 * A thousand sessions take 50 ms to list, a common word as long to rank, and a key must never wait
 * for either: the list comes in slices, the search when nothing else is to be done. */
#include "app/effects.h"

#include "app/core/text.h"
#include "app/remote_conf.h"
#include "app/store/search.h"

#include <stdio.h>
#include <string.h>

enum { SLICE_ROWS = 100, HITS = 20 /* of each kind: snippets are what a search costs */ };

/* ---- list ---------------------------------------------------------------------------------------
 */

struct rows {
    struct effects *fx;
    struct session_row *v;
    size_t n, cap;
};

static void add_state(struct effects *fx, const struct store_chat *c, struct session_row *row) {
    const struct states_want want = {store_uid(fx->st), c->uid, c->leaf, c->n_tokens};
    struct states_saved saved;
    if (remote_conf_name(c->model) || (fx->info && fx->info->is_remote)) {
        snprintf(row->state, sizeof row->state, "remote"); /* the last answer's; the next one's */
        return;
    }
    if (states_saved(fx->list.cache, &want, &saved, NULL)) return;
    snprintf(row->state, sizeof row->state, "%s", saved.word);
    row->n_saved = saved.n_tokens;
    row->load_s = saved.load_s;
    row->us_per_token = saved.us_per_token;
}

static int add_session(void *user, const struct store_chat *c) {
    struct rows *rows = user;
    int rc = ox_grow(&rows->v, &rows->cap, rows->n + 1, sizeof *rows->v, NULL);
    if (rc) return rc;
    struct session_row row = {.id = c->id,
                              .when_us = c->updated_us,
                              .n_turns = c->n_turns,
                              .n_tokens = c->n_tokens,
                              .n_branches = c->n_branches,
                              .n_docs = c->n_docs,
                              .is_pinned = c->pinned};
    memcpy(row.uid, c->uid, sizeof row.uid);
    memcpy(row.title, c->title, sizeof row.title);
    add_state(rows->fx, c, &row);
    rows->v[rows->n++] = row;
    return 0;
}

static int tell_slice(struct effects *fx, ox_err *err) {
    struct fx_list *l = &fx->list;
    struct rows rows = {.fx = fx};
    const struct store_filter part = {.skip = l->n_told, .limit = SLICE_ROWS};
    int rc = fx->st ? store_chat_list(fx->st, &part, add_session, &rows, err) : 0;
    struct event ev = {.kind = EV_SESSIONS, .rows = rows.v, .n = rows.n, .flag = l->n_told > 0};
    l->n_told += rows.n;
    l->is_going = !rc && rows.n == SLICE_ROWS;
    if (!rc) effects_event(fx, &ev);
    ox_free(rows.v);
    if (l->is_going) return 0;
    states_close(l->cache);
    l->cache = NULL;
    return rc;
}

/* States of another model than the one in use are no help; before one is loaded any counts. */
static void look_at_states(struct effects *fx) {
    struct fx_list *l = &fx->list;
    const struct config *c = fx->conf;
    const struct states_opts opts = {
        .folder = c->cache_dir, .read_only = true, .is_off = c->states_quota_bytes == 0};
    states_close(l->cache);
    l->cache = NULL;
    if (!c->save || states_open(&opts, &l->cache, NULL) || !fx->info) return;
    const struct states_space space = {.compat = fx->info->space};
    states_use(l->cache, &space, NULL);
}

int effects_list(struct effects *fx, ox_err *err) {
    look_at_states(fx);
    fx->list.n_told = 0;
    return tell_slice(fx, err);
}

static int keep_answer(void *user, const struct chat_node *row) {
    struct buf *last = user;
    if (row->role != OX_ROLE_ASSISTANT || !row->text) return 0;
    buf_cut(last, 0);
    return buf_add(last, row->text,
                   row->n_bytes < 2000 ? row->n_bytes : text_floor(row->text, row->n_bytes, 2000),
                   NULL);
}

/* ---- reading ahead ------------------------------------------------------------------------------
 */

/* A row that is passed over costs nothing, one that is looked at is warm before Enter comes. */
static const double REST_S = 0.25;

void effects_ahead(struct effects *fx, const struct store_chat *c) {
    struct fx_list *l = &fx->list;
    l->ahead = (struct work){.kind = WORK_AHEAD, .leaf = c->leaf, .n_path = c->n_tokens};
    memcpy(l->ahead.chat_uid, c->uid, sizeof l->ahead.chat_uid);
    l->ahead_next = c->id;
    l->ahead_at = effects_clock() + REST_S;
}

double effects_ahead_at(const struct effects *fx) {
    return fx->list.ahead_at;
}

/* The engine thread only looks the files up; while it writes an answer no other session can be
 * opened anyway. What was read stays with the system, which takes it back when it needs the room;
 * what was not read yet is given up here. */
void effects_ahead_tend(struct effects *fx) {
    struct fx_list *l = &fx->list;
    int64_t shown = fx->s->screen == SCREEN_SESSIONS ? fx->s->picker.preview_id : fx->s->chat_id;
    if (l->ahead_next != shown) l->ahead_at = 0;
    if (l->ahead_for && l->ahead_for != shown) {
        struct work none = {.kind = WORK_AHEAD};
        l->ahead_for = 0;
        worker_send(fx->w, &none, NULL);
    }
    if (l->ahead_at == 0 || effects_clock() < l->ahead_at) return;
    l->ahead_at = 0;
    if (!fx->w || !fx->conf->save || l->ahead_for == shown || state_is_busy(fx->s)) return;
    l->ahead_for = shown;
    worker_send(fx->w, &l->ahead, NULL);
}

int effects_preview(struct effects *fx, int64_t chat, ox_err *err) {
    struct store_chat row = {0};
    struct buf last = {0};
    if (!fx->st) return 0;
    int rc = store_chat_get(fx->st, chat, &row, err);
    if (!rc) rc = store_msg_path(fx->st, row.leaf, keep_answer, &last, err);
    for (size_t i = 0; i < last.n; i++)
        if (last.p[i] == '\n') last.p[i] = ' ';
    struct event ev = {.kind = EV_PREVIEW, .id = chat, .text = buf_str(&last), .n = last.n};
    if (!rc) effects_event(fx, &ev);
    if (!rc) effects_ahead(fx, &row);
    buf_deinit(&last);
    return rc;
}

/* ---- search -------------------------------------------------------------------------------------
 */

struct hits {
    struct search_hit v[2 * HITS];
    size_t n;
};

/* As one line that may be shown; the store's marks become brackets. */
static void put_line(char *out, size_t cap, const char *s) {
    struct buf plain = {0}, shown = {0};
    int rc = 0;
    for (; !rc && *s; s++)
        rc = buf_putc(&plain, *s == 1 ? '[' : *s == 2 ? ']' : *s, NULL);
    if (!rc) rc = text_show(&shown, buf_str(&plain), plain.n, TEXT_LINE, NULL);
    snprintf(out, cap, "%s", rc ? "" : buf_str(&shown));
    out[text_valid(out, strlen(out))] = 0;
    buf_deinit(&plain);
    buf_deinit(&shown);
}

static int add_hit(void *user, const struct store_hit *h) {
    struct hits *all = user;
    if (all->n == sizeof all->v / sizeof all->v[0]) return 0;
    struct search_hit *hit = &all->v[all->n++];
    *hit = (struct search_hit){.chat = h->chat,
                               .message = h->message,
                               .doc = h->doc,
                               .turn = h->turn,
                               .line = h->line,
                               .from = h->from};
    memcpy(hit->uid, h->uid, sizeof hit->uid);
    put_line(hit->title, sizeof hit->title, h->title);
    put_line(hit->snippet, sizeof hit->snippet, h->snippet);
    return 0;
}

int effects_search(struct effects *fx, const char *words, ox_err *err) {
    buf_cut(&fx->list.words, 0);
    fx->list.is_wanted = true;
    return buf_puts(&fx->list.words, words, err);
}

static void search_now(struct effects *fx) {
    struct hits *all = ox_alloc(1, sizeof *all, "what was found", NULL);
    const char *words = buf_str(&fx->list.words);
    const struct store_search how = {.words = words, .is_typed = true, .limit = HITS};
    fx->list.is_wanted = false;
    if (!all) return;
    ox_err e = {0};
    int rc = fx->st ? store_search(fx->st, &how, add_hit, all, &e) : 0;
    struct event ev = {.kind = EV_HITS, .text = words, .hits = all->v, .n = all->n};
    effects_event(fx, &ev);
    if (rc && rc != OX_EUSAGE) effects_fail(fx, &e); /* only marks, no word yet: nothing found */
    ox_free(all);
}

bool effects_list_idle(struct effects *fx) {
    ox_err e = {0};
    if (fx->list.is_wanted) {
        search_now(fx);
        return true;
    }
    if (!fx->list.is_going) return false;
    if (tell_slice(fx, &e)) effects_fail(fx, &e);
    return true;
}

void effects_list_close(struct effects *fx) {
    states_close(fx->list.cache);
    buf_deinit(&fx->list.words);
    fx->list = (struct fx_list){0};
}
