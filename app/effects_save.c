/* effects_save.c - what is kept of an answer: the turn before its first token, parts while it
 * streams, its end, its citations; and how all of that waits for room on a full disk. See
 * effects.h. Transactions T1 to T3 are those of docs/STORE.md section 4. */
#include "app/effects.h"

#include "app/core/text.h"
#include "app/saved_turn.h"
#include "app/store/cites.h"

#include <poll.h>
#include <string.h>

enum { PART_TOKENS = 32, TITLE_CELLS = 60 };
static const double PART_S = 0.5, RETRY_S = 5;

void effects_not_saved(struct effects *fx, const ox_err *e) {
    if (!fx->writes) return; /* and was told */
    bool is_full = store_is_full(fx->st);
    if (!is_full || !fx->unsaved.is_full) effects_notice(fx, true, "NOT SAVED: %s", e->what);
    fx->unsaved.is_full = is_full;
    fx->unsaved.retry_at = effects_clock() + RETRY_S;
    if (!is_full) fx->writes = false;
}

/* ---- an answer ----------------------------------------------------------------------------------
 */

static void tell_saved(struct effects *fx, int64_t chat, int64_t from, int64_t to) {
    struct event ev = {.kind = EV_SAVED, .id = from, .id2 = to};
    struct store_chat row = {0};
    if (store_chat_get(fx->st, chat, &row, NULL) == 0) {
        ev.chat.id = row.id;
        memcpy(ev.chat.uid, row.uid, sizeof ev.chat.uid);
        memcpy(ev.chat.title, row.title, sizeof ev.chat.title);
        ev.chat.is_pinned = row.pinned;
    }
    effects_event(fx, &ev);
}

/* The turn that ends with `answer`: T1, or all of it at once. Ids of the tree follow after the
 * commit. *answer becomes the saved id. */
static int write_turn(struct effects *fx, int64_t *answer, const struct ox_sampling *how,
                      ox_err *err) {
    struct chat *c = &fx->s->chat;
    const struct chat_node *a = chat_find(c, *answer), *q = a ? chat_find(c, a->parent) : NULL;
    struct buf title = {0};
    const char *text = q && q->text ? q->text : "";
    struct saved_turn turn = {.tree = c,
                              .answer = *answer,
                              .chat = fx->s->chat_id,
                              .draft_place = fx->s->uid[0] ? fx->s->uid : "new",
                              .info = fx->info,
                              .how = *how,
                              .n_prompt = fx->answer.n_prompt};
    if (!q) return 0;
    int rc = text_brief(&title, text, strcspn(text, "\n"), TITLE_CELLS, err);
    turn.title = buf_str(&title);
    if (!rc) rc = saved_turn_write(fx->st, &turn, err);
    buf_deinit(&title);
    if (rc) return rc;
    fx->is_locked = true;
    for (size_t i = 0; i < turn.n; i++)
        tell_saved(fx, turn.chat, turn.id[i].from, turn.id[i].to);
    if (turn.n) *answer = turn.id[turn.n - 1].to;
    return 0;
}

/* T1 */
void effects_save_turn(struct effects *fx) {
    struct fx_answer *a = &fx->answer;
    ox_err e = {0};
    if (!fx->writes) return;
    if (store_is_tight(fx->st)) saved_turn_room(fx->st, fx->conf);
    int rc = write_turn(fx, &a->id, &a->how, &e);
    if (rc && store_is_full(fx->st) && saved_turn_room(fx->st, fx->conf))
        rc = write_turn(fx, &a->id, &a->how, &e);
    if (rc) effects_not_saved(fx, &e);
}

/* T2: what came since the last part. */
static void save_part(struct effects *fx, bool flush) {
    struct fx_answer *a = &fx->answer;
    size_t n_tok = a->tok.n - a->n_saved_tok;
    double now = effects_clock();
    if (!flush && n_tok < PART_TOKENS && now - a->saved_at < PART_S) return;
    if (fx->writes && a->id > 0 && (n_tok > 0 || a->text.n > 0 || a->thought.n > 0)) {
        struct chat_node more = {.text = a->text.p,
                                 .n_bytes = a->text.n,
                                 .thought = a->thought.p,
                                 .n_thought = a->thought.n,
                                 .tok = n_tok ? a->tok.v + a->n_saved_tok : NULL,
                                 .n_tok = n_tok};
        ox_err e = {0};
        if (store_msg_extend(fx->st, a->id, &more, &e))
            effects_not_saved(fx, &e); /* it has them, for later */
    }
    buf_cut(&a->text, 0);
    buf_cut(&a->thought, 0);
    a->n_saved_tok = a->tok.n;
    a->saved_at = now;
}

/* T3 */
static void save_finish(struct effects *fx, enum chat_end end, const struct chat_ledger *cost) {
    struct fx_answer *a = &fx->answer;
    ox_err e = {0};
    if (!fx->writes || a->id <= 0) return; /* not in the database: after the end, all at once */
    int rc = store_msg_finish(fx->st, a->id, end, cost, saved_turn_stop(end), &e);
    if (rc && store_is_full(fx->st)) fx->unsaved.answer = a->id;
    if (rc) effects_not_saved(fx, &e);
}

/* The answer ends, and T1 did not get in: all of it goes once there is room. */
static void note_unsaved(struct effects *fx) {
    const struct fx_answer *a = &fx->answer;
    if (!fx->writes || !a->job || a->id >= 0) return;
    fx->unsaved.answer = a->id;
    fx->unsaved.how = a->how;
}

void effects_save_part(struct effects *fx) {
    save_part(fx, false);
}

void effects_save_end(struct effects *fx, enum chat_end end, const struct chat_ledger *cost) {
    save_part(fx, true);
    save_finish(fx, end, cost);
    note_unsaved(fx);
}

/* The quotations were checked when the answer was laid out; what fails is found again next time. */
void effects_save_cites(struct effects *fx, int64_t answer) {
    struct app_state *s = fx->s;
    struct cited_source *src = ox_alloc(s->n_docs, sizeof *src, "documents", NULL);
    for (size_t i = 0; src && i < s->n_docs; i++)
        src[i] = (struct cited_source){{s->doc[i].d.index, s->doc[i].d.text, 1}, s->doc[i].d.id, 0};
    bool is_shown = false;
    for (size_t m = 0; src && fx->writes && m < s->sheet.n; m++) {
        const struct chat_node *node = s->sheet.path[m];
        is_shown = is_shown || node->id == answer;
        const struct sheet_item *item = node->id == answer ? sheet_get(&s->sheet, m) : NULL;
        if (item && item->cites.n)
            store_cites_found(fx->st, answer, node->text, item->cites.v, item->cites.n, src, NULL);
    }
    if (fx->writes && !is_shown)
        store_cites_check(fx->st, answer, NULL); /* the next seed has begun */
    ox_free(src);
}

/* ---- a full disk --------------------------------------------------------------------------------
 */

/* Called when nothing is being answered. */
int effects_save_again(struct effects *fx, ox_err *err) {
    struct fx_unsaved *u = &fx->unsaved;
    const struct chat_node *a = u->answer ? chat_find(&fx->s->chat, u->answer) : NULL;
    ox_err e = {0};
    if (!fx->writes || !u->is_full) return 0;
    u->retry_at = effects_clock() + RETRY_S;
    saved_turn_room(fx->st, fx->conf);
    int rc = 0;
    if (a && a->id > 0)
        rc = store_msg_finish(fx->st, a->id, a->end, &a->ledger, saved_turn_stop(a->end), &e);
    else if (a)
        rc = write_turn(fx, &u->answer, &u->how, &e);
    else /* a draft did not get in: whether a byte does is all there is to know */
        rc = store_fact_put(fx->st, "room", "1", &e);
    if (!rc) {
        if (a) store_cites_check(fx->st, a->id, NULL);
        *u = (struct fx_unsaved){0};
        effects_notice(fx, true, "%s", "");
        effects_notice(fx, false, "the disk has room again: all is saved");
        return 0;
    }
    if (!store_is_full(fx->st)) {
        effects_not_saved(fx, &e);
        return 0;
    }
    ox_err_set(err, OX_EIO, "NOT SAVED: %s", e.what);
    return ox_err_fix(err, "free some space there: the last answer is kept in memory until then");
}

int effects_answer_kept(struct effects *fx, ox_err *err) {
    const struct fx_answer *a = &fx->answer;
    if (state_is_busy(fx->s) || a->job || a->plan_job || a->asks || fx->summary)
        return ox_err_set(err, OX_EBUSY, "an answer is being written; Esc stops it first");
    return fx->unsaved.answer ? effects_save_again(fx, err) : 0;
}

void effects_finish(struct effects *fx) {
    static const double patience_s = 3;
    double until = effects_clock() + patience_s;
    effects_file_drop(fx);
    if (fx->w && state_is_busy(fx->s)) effects_stop(fx);
    while (fx->w && state_is_busy(fx->s) && effects_clock() < until) {
        poll(&(struct pollfd){.fd = worker_fd(fx->w), .events = POLLIN}, 1, 50);
        effects_news(fx);
    }
}

double effects_tend_at(const struct effects *fx) {
    bool waits = fx->writes && (fx->unsaved.is_full || store_is_tight(fx->st));
    return waits ? fx->unsaved.retry_at : 0;
}

void effects_tend(struct effects *fx) {
    double at = effects_tend_at(fx), now = effects_clock();
    if (!fx->writes || (!fx->unsaved.is_full && !store_is_tight(fx->st)) || now < at) return;
    fx->unsaved.retry_at = now + RETRY_S;
    if (fx->unsaved.is_full && !fx->answer.job)
        effects_save_again(fx, NULL);
    else
        saved_turn_room(fx->st, fx->conf);
}
