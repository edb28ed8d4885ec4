/* talk_save.c - see talk_save.h. The transactions are those of docs/STORE.md section 4. */
#include "app/talk_save.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PART_TOKENS = 32 };
static const double PART_S = 0.5;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nothing more is saved; people are told why. */
static void give_up(struct talk *t, const ox_err *e) {
    buf_cut(&t->save_note, 0);
    buf_printf(&t->save_note, NULL, "NOT SAVED: %s", e->what);
    store_close(t->st);
    t->st = NULL;
}

int save_open(struct talk *t, ox_err *err) {
    if (!t->conf->save) return 0;
    int rc = store_open(t->conf->db, false, &t->st, err);
    if (rc == OX_EDB || rc == OX_EBUSY) return ox_err_wrap(err, rc, "open the database");
    if (rc) { /* a folder that cannot be written: talk all the same */
        ox_err e = err ? *err : (ox_err){.what = "the database cannot be opened"};
        give_up(t, &e);
        if (err) *err = (ox_err){0};
        return 0;
    }
    if (store_is_read_only(t->st)) {
        const ox_err e = {.what = "the database is read-only"};
        give_up(t, &e);
    } else if (store_note(t->st)[0])
        return buf_puts(&t->save_note, store_note(t->st), err);
    return 0;
}

void save_close(struct talk *t) {
    store_close(t->st);
    t->st = NULL;
}

void save_leave(struct talk *t) {
    if (t->st && t->id) store_chat_unlock(t->st, t->id);
}

void save_model(struct talk *t) {
    if (!t->st) return;
    ox_err e = {0};
    const struct ox_info *i = t->info;
    const struct store_model m = {.source = t->conf->model ? "folder" : "embedded",
                                  .name = i->name,
                                  .location = t->conf->model,
                                  .weights = i->weights,
                                  .template_id = i->template_id,
                                  .vocab = i->vocab};
    if (store_model_use(t->st, &m, &e)) give_up(t, &e);
}

void save_document(struct talk *t, const struct ingest *in, struct talk_doc *d) {
    (void)in;
    d->id = -(int64_t)t->n_docs - 1;
}

/* --- T1
 * -------------------------------------------------------------------------------------------- */

static int start_session(struct talk *t, ox_err *err) {
    if (t->id) return 0;
    struct store_chat row = {0};
    int rc = store_chat_new(t->st, t->has_question ? buf_str(&t->question) : "", &t->id, err);
    if (!rc) rc = store_chat_get(t->st, t->id, &row, err);
    if (!rc) memcpy(t->uid, row.uid, sizeof t->uid);
    return rc ? rc : store_chat_lock(t->st, t->id, err);
}

/* Messages of the path that the database does not know yet, root first. */
static int add_messages(struct talk *t, ox_err *err) {
    struct chat_node **path = NULL;
    size_t n = 0;
    int rc = chat_path(&t->chat, t->chat.leaf, &path, &n, err);
    for (size_t i = 0; !rc && i < n; i++) {
        int64_t old = path[i]->id, id = 0;
        if (old > 0) continue;
        rc = store_msg_add(t->st, t->id, path[i], &id, err);
        if (!rc) chat_renumber(&t->chat, old, id);
    }
    ox_free(path);
    return rc;
}

static int start_run(struct talk *t, const struct ox_sampling *how, ox_err *err) {
    char json[256];
    snprintf(json, sizeof json,
             "{\"temperature\":%g,\"top_p\":%g,\"top_k\":%d,\"min_p\":%g,\"repeat_penalty\":%g}",
             (double)how->temperature, (double)how->top_p, how->top_k, (double)how->min_p,
             (double)how->repeat);
    const struct store_run run = {t->info->backend, json, t->info->numerics, how->seed};
    return store_run_start(t->st, t->chat.leaf, &run, err);
}

void save_turn(struct talk *t, int64_t *answer, const struct ox_sampling *how) {
    if (!t->st) return;
    ox_err e = {0};
    int rc = store_begin(t->st, &e);
    if (!rc) {
        rc = start_session(t, &e);
        if (!rc) rc = add_messages(t, &e);
        if (!rc) rc = start_run(t, how, &e);
        rc = store_end(t->st, rc, &e);
    }
    if (rc) give_up(t, &e);
    *answer = t->chat.leaf;
}

/* --- T2, T3
 * ---------------------------------------------------------------------------------------- */

void save_start(struct save_stream *s) {
    *s = (struct save_stream){.at_s = now_s()};
}

void save_part(struct talk *t, struct save_stream *s, const struct chat_node *node, bool flush) {
    size_t n_tok = node->n_tok - s->n_tok;
    if (!t->st || (!flush && n_tok < PART_TOKENS && now_s() - s->at_s < PART_S)) return;
    struct chat_node more = {.text = t->answer.p ? t->answer.p + s->n_text : NULL,
                             .n_bytes = t->answer.n - s->n_text,
                             .thought = t->thoughts.p ? t->thoughts.p + s->n_thought : NULL,
                             .n_thought = t->thoughts.n - s->n_thought,
                             .tok = n_tok ? node->tok + s->n_tok : NULL,
                             .n_tok = n_tok};
    ox_err e = {0};
    if (!more.n_bytes && !more.n_thought && !n_tok) return;
    if (store_msg_extend(t->st, node->id, &more, &e)) give_up(t, &e);
    *s = (struct save_stream){node->n_tok, t->answer.n, t->thoughts.n, now_s()};
}

void save_finish(struct talk *t, int64_t answer) {
    static const char *const stops[] = {"open", "eos", "user", "length", "crashed", "error"};
    if (!t->st) return;
    ox_err e = {0};
    if (store_msg_finish(t->st, answer, t->end, &t->ledger, stops[t->end], &e)) give_up(t, &e);
}
