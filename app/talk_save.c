/* talk_save.c - see talk_save.h. The transactions are those of docs/STORE.md section 4. */
#include "app/talk_save.h"

#include "app/clock.h"
#include "app/kept.h"
#include "app/saved_turn.h"
#include "app/store/cites.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PART_TOKENS = 32, WAIT_STEPS = 100 };
static const double PART_S = 0.5;

/* Nothing more is saved; people are told why. */
static void give_up(struct talk *t, const ox_err *e) {
    buf_cut(&t->save_note, 0);
    buf_printf(&t->save_note, NULL, "NOT SAVED: %s", e->what);
    store_close(t->st);
    t->st = NULL;
}

/* A full disk may have room again: the answer is kept in memory, and the next chance is taken. */
static void fail(struct talk *t, const ox_err *e) {
    if (!store_is_full(t->st)) {
        give_up(t, e);
        return;
    }
    if (!t->is_full) {
        buf_cut(&t->save_note, 0);
        buf_printf(&t->save_note, NULL, "NOT SAVED: %s", e->what);
    }
    t->is_full = true;
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
    const struct store_model m = saved_turn_model(t->conf, t->info);
    if (store_model_use(t->st, &m, &e)) give_up(t, &e);
}

int save_tokens(struct talk *t, ox_err *err) {
    for (size_t i = 0; t->st && i < t->chat.n; i++) {
        struct chat_node *n = &t->chat.node[i];
        struct ox_tokens tok = {0};
        if (n->role != OX_ROLE_ASSISTANT || n->n_tok || n->id <= 0 || !n->n_bytes) continue;
        int rc = store_msg_tokens(t->st, n->id, &tok, err);
        if (rc && rc != OX_ENOTFOUND) return rc;
        n->tok = tok.v;
        n->n_tok = tok.n;
    }
    return 0;
}

/* --- documents --- */

static int store_whole(struct talk *t, const struct ingest *in, int64_t *id, ox_err *err) {
    char *name = ox_memdup(buf_str(&in->name), in->n_base, "a name", err);
    if (!name) return OX_ENOMEM;
    const struct store_doc row = kept_row(in, name);
    bool ready = false;
    int rc = store_doc_add(t->st, &row, id, err);
    /* Another oxbow may be reading in the same file; it is done in a moment. */
    for (int i = 0; rc == OX_EBUSY && i < WAIT_STEPS; i++) {
        nanosleep(&(struct timespec){0, 50000000}, NULL);
        rc = store_doc_add(t->st, &row, id, err);
    }
    while (!rc && !ready)
        rc = store_doc_step(t->st, *id, &ready, NULL, err);
    ox_free(name);
    return rc;
}

void save_document(struct talk *t, const struct ingest *in, struct talk_doc *d) {
    ox_err e = {0};
    d->id = -(int64_t)t->n_docs - 1;
    if (!t->st) return;
    int64_t id = 0;
    int rc = store_whole(t, in, &id, &e);
    if (rc)
        give_up(t, &e);
    else
        d->id = id;
}

int save_count(struct talk *t, struct talk_doc *d, ox_err *err) {
    ox_err e = {0};
    bool known = t->st && d->id > 0;
    if (known && store_doc_tokens_get(t->st, d->id, d->from, d->to, &d->tok, &e) == 0) return 0;
    int rc = turn_encode(t->w, buf_str(&d->text), d->text.n, &d->tok, err);
    if (!rc && known && store_doc_tokens_put(t->st, d->id, d->from, d->to, d->tok.v, d->tok.n, &e))
        give_up(t, &e);
    return rc;
}

/* --- an earlier session --- */

static int take_name(void *user, const struct store_doc *row, ox_err *err) {
    struct talk_doc *d = user;
    d->n_lines = row->n_lines;
    d->charset = charset_find(row->encoding);
    int rc = buf_puts(&d->name, row->name, err);
    d->n_base = d->name.n;
    return rc ? rc : buf_puts(&d->path, row->source_path ? row->source_path : row->name, err);
}

static int each_name(void *user, const struct store_doc *row) {
    return take_name(user, row, NULL);
}

/* A part of a document that an earlier question stood behind. */
static int load_doc(struct talk *t, const struct chat_doc *part, ox_err *err) {
    struct talk_doc d = {.id = part->doc, .from = part->from, .to = part->to};
    size_t page, n = 0;
    char *text = NULL;
    if (!part->doc) return 0; /* deleted since: the words are gone, the talk stays */
    for (size_t i = 0; i < t->n_docs; i++)
        if (t->doc[i].id == d.id && t->doc[i].from == d.from && t->doc[i].to == d.to) return 0;
    int rc = ox_grow(&t->doc, &t->cap_docs, t->n_docs + 1, sizeof *t->doc, err);
    if (rc) return rc;
    rc = store_doc_get(t->st, d.id, each_name, &d, err);
    if (!rc) rc = store_doc_text(t->st, d.id, d.from, d.to, &text, &n, err);
    if (!rc) rc = store_doc_byte_at(t->st, d.id, d.from, &d.first_line, &page, err);
    if (!rc) rc = buf_add(&d.text, text, n, err);
    if (!rc) rc = store_doc_pages(t->st, d.id, &d.pages, &d.n_pages, err);
    ox_free(text);
    t->doc[t->n_docs++] = d; /* its parts are freed with the others, also half made */
    return rc;
}

static int each_message(void *user, const struct chat_node *row) {
    struct talk *t = user;
    struct chat_node copy;
    int rc = chat_node_dup(row, &copy, NULL);
    return rc ? rc : chat_add(&t->chat, &copy, NULL);
}

int talk_resume(struct talk *t, int64_t chat, int64_t leaf, ox_err *err) {
    int64_t last = 0;
    struct store_chat row = {0};
    ox_err busy = {0};
    if (!t->st) {
        ox_err_set(err, OX_ENOTFOUND, "no sessions: nothing is saved here");
        return ox_err_fix(err, "leave --no-save out");
    }
    int rc = chat ? 0 : store_chat_last(t->st, &chat, &last, err);
    if (rc == OX_ENOTFOUND) {
        ox_err_set(err, OX_ENOTFOUND, "no session yet");
        return ox_err_fix(err, "oxbow starts one");
    }
    if (!rc) rc = store_chat_get(t->st, chat, &row, err);
    if (rc) return rc;
    rc = store_chat_lock(t->st, chat, &busy);
    if (rc && rc != OX_EBUSY) {
        if (err) *err = busy;
        return rc;
    }
    talk_new(t);
    snprintf(t->held, sizeof t->held, "%.159s", busy.what);
    t->id = chat;
    memcpy(t->uid, row.uid, sizeof t->uid);
    rc = store_msg_path(t->st, leaf ? leaf : row.leaf, each_message, t, err);
    for (size_t i = 0; !rc && i < t->chat.n; i++) {
        const struct chat_node *n = &t->chat.node[i];
        if (n->role == OX_ROLE_ASSISTANT && n->ledger.n_in) t->ledger = n->ledger;
        for (size_t k = 0; !rc && k < n->n_docs; k++)
            rc = load_doc(t, &n->docs[k], err);
    }
    return rc;
}

/* --- T1 --- */

/* The turn that ends with `answer`, as far as it is not saved yet; T1, or all of it at once. */
static int write_turn(struct talk *t, int64_t answer, ox_err *err) {
    const struct chat_node *a = chat_find(&t->chat, answer);
    const struct chat_node *q = a ? chat_find(&t->chat, a->parent) : NULL;
    struct store_chat row = {0};
    struct saved_turn turn = {.tree = &t->chat,
                              .answer = answer,
                              .chat = t->id,
                              .title = q ? q->text : "",
                              .info = t->info,
                              .how = t->how,
                              .n_prompt = t->n_prompt};
    int rc = saved_turn_write(t->st, &turn, err);
    if (rc) return rc;
    for (size_t i = 0; i < turn.n; i++)
        chat_renumber(&t->chat, turn.id[i].from, turn.id[i].to);
    t->id = turn.chat;
    rc = store_chat_get(t->st, t->id, &row, err);
    if (!rc) memcpy(t->uid, row.uid, sizeof t->uid);
    return rc;
}

void save_turn(struct talk *t, int64_t *answer) {
    if (!t->st) return;
    ox_err e = {0};
    if (store_is_tight(t->st)) saved_turn_room(t->st, t->conf);
    int rc = write_turn(t, *answer, &e);
    if (rc && store_is_full(t->st) && saved_turn_room(t->st, t->conf))
        rc = write_turn(t, *answer, &e);
    if (rc) fail(t, &e);
    if (rc && t->st) t->unsaved = *answer;
    *answer = t->chat.leaf;
}

/* --- T2, T3 --- */

void save_start(struct save_stream *s) {
    *s = (struct save_stream){.at_s = clock_s()};
}

void save_part(struct talk *t, struct save_stream *s, const struct chat_node *node, bool flush) {
    size_t n_tok = node->n_tok - s->n_tok;
    if (!t->st || (!flush && n_tok < PART_TOKENS && clock_s() - s->at_s < PART_S)) return;
    struct chat_node more = {.text = t->answer.p ? t->answer.p + s->n_text : NULL,
                             .n_bytes = t->answer.n - s->n_text,
                             .thought = t->thoughts.p ? t->thoughts.p + s->n_thought : NULL,
                             .n_thought = t->thoughts.n - s->n_thought,
                             .tok = n_tok ? node->tok + s->n_tok : NULL,
                             .n_tok = n_tok};
    ox_err e = {0};
    if (node->id <= 0 || (!more.n_bytes && !more.n_thought && !n_tok)) return;
    if (store_msg_extend(t->st, node->id, &more, &e)) fail(t, &e); /* it has them, for later */
    *s = (struct save_stream){node->n_tok, t->answer.n, t->thoughts.n, clock_s()};
}

int save_reopen(struct talk *t, struct save_stream *s, const struct chat_node *node, ox_err *err) {
    const struct chat_node so_far = {.text = t->answer.p,
                                     .n_bytes = t->answer.n,
                                     .thought = t->thoughts.p,
                                     .n_thought = t->thoughts.n,
                                     .tok = node->tok,
                                     .n_tok = node->n_tok};
    int rc = t->st && node->id > 0 ? store_msg_reopen(t->st, t->id, node->id, &so_far, err) : 0;
    *s = (struct save_stream){node->n_tok, t->answer.n, t->thoughts.n, clock_s()};
    return rc;
}

void save_finish(struct talk *t, int64_t answer) {
    if (!t->st) return;
    t->unsaved = answer;
    save_again(t, NULL);
}

int save_again(struct talk *t, ox_err *err) {
    ox_err e = {0};
    int64_t id = t->unsaved;
    if (!t->st || !id) return 0;
    for (int tries = 0; tries < 2; tries++) {
        int rc = id > 0
                     ? store_msg_finish(t->st, id, t->end, &t->ledger, saved_turn_stop(t->end), &e)
                     : write_turn(t, id, &e);
        if (!rc) {
            if (t->is_full) store_cites_check(t->st, t->chat.leaf, NULL);
            t->unsaved = 0;
            if (t->is_full) buf_cut(&t->save_note, 0);
            t->is_full = false;
            return 0;
        }
        if (tries || !store_is_full(t->st) || !saved_turn_room(t->st, t->conf)) break;
    }
    fail(t, &e);
    if (!t->st) return 0; /* another reason than room: nothing more is saved, which was told */
    ox_err_set(err, OX_EIO, "NOT SAVED: %s", e.what);
    return ox_err_fix(err, "free some space there: the last answer is kept in memory until then");
}
