/* plain_store.c - slash commands of the plain mode about saved sessions. */
#include "app/plain/plain.h"

#include "app/core/say.h"
#include "app/core/export.h"
#include "app/core/text.h"
#include "app/output.h"
#include "app/store/search.h"
#include "app/store/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_ROWS = 10, SHOWN_HITS = 10 };

static int need_store(const struct plain *p, ox_err *err) {
    if (p->talk.st) return 0;
    ox_err_set(err, OX_EUSAGE, "nothing is saved here");
    return ox_err_fix(err, "start without --no-save");
}

static int need_session(const struct plain *p, ox_err *err) {
    int rc = need_store(p, err);
    if (rc || p->talk.id) return rc;
    return ox_err_set(err, OX_EUSAGE, "this session begins with your first question");
}

static int each_row(void *user, const struct store_chat *row) {
    char n[SAY_BYTES];
    plain_note(user, "%.4s  %zu turn%s  %s tokens  %s", row->uid, row->n_turns,
               row->n_turns == 1 ? "" : "s", say_short(n, row->n_tokens), row->title);
    return 0;
}

int plain_sessions(struct plain *p, const char *arg, ox_err *err) {
    const struct store_filter f = {.title = *arg ? arg : NULL, .limit = SHOWN_ROWS};
    int rc = need_store(p, err);
    if (!rc) rc = store_chat_list(p->talk.st, &f, each_row, p, err);
    if (!rc) plain_note(p, "/resume ID opens one");
    return rc;
}

int plain_resume(struct plain *p, const char *arg, ox_err *err) {
    int64_t chat = 0;
    int rc = need_store(p, err);
    if (!rc) rc = store_chat_find(p->talk.st, arg, &chat, err);
    if (!rc) rc = talk_resume(&p->talk, chat, 0, err);
    if (!rc) rc = talk_ready(&p->talk, err);
    if (!rc) plain_transcript(p);
    p->used_before = talk_used(&p->talk);
    return rc;
}

int plain_title(struct plain *p, const char *arg, ox_err *err) {
    int rc = need_session(p, err);
    if (!rc) rc = store_chat_title(p->talk.st, p->talk.id, arg, STORE_TITLE_USER, err);
    if (!rc) plain_note(p, "this session is \"%s\"", arg);
    return rc;
}

/* The answer that ends turn n of the path on screen. */
static int64_t end_of_turn(const struct talk *t, size_t n) {
    int64_t at = 0, question = chat_turn(&t->chat, t->chat.leaf, n);
    struct chat_node **path = NULL;
    size_t len = 0;
    if (!question || chat_path(&t->chat, t->chat.leaf, &path, &len, NULL)) return 0;
    for (size_t i = 0; i < len; i++)
        if (path[i]->id == question) at = i + 1 < len ? path[i + 1]->id : question;
    ox_free(path);
    return at;
}

int plain_fork(struct plain *p, const char *arg, ox_err *err) {
    struct talk *t = &p->talk;
    struct store_chat row = {0};
    int64_t made = 0;
    int rc = need_session(p, err);
    if (rc) return rc;
    int64_t at = *arg ? end_of_turn(t, strtoul(arg, NULL, 10)) : t->chat.leaf;
    if (at <= 0)
        return ox_err_set(err, OX_EUSAGE,
                          *arg ? "there is no turn %.20s" : "there is no answer yet%s", arg);
    rc = store_chat_get(t->st, t->id, &row, err);
    if (!rc) rc = store_chat_fork(t->st, t->id, at, row.title, &made, err);
    if (!rc) rc = talk_resume(t, made, 0, err);
    if (!rc) rc = talk_ready(t, err);
    struct ox_plan plan = {0};
    char price[SAY_PRICE_BYTES];
    if (!rc) rc = talk_price(t, 0, &plan, err);
    if (!rc)
        plain_note(p, "a new session, %.4s; the old one stays as it is; %s", t->uid,
                   say_restart(price, plan.fresh + plan.replay, plan.time_s));
    return rc;
}

int plain_export(struct plain *p, const char *arg, ox_err *err) {
    struct buf b = {0};
    struct output out = {.fd = -1};
    const struct output_opts where = {*arg ? arg : NULL, false, false};
    const struct store_export how = {.form = STORE_MARKDOWN, .leaf = p->talk.chat.leaf};
    struct talk *t = &p->talk;
    bool is_saved = t->st && t->id;
    int rc = 0;
    if (!is_saved && !t->chat.leaf)
        rc = ox_err_set(err, OX_ENOTFOUND, "there is nothing to export yet");
    if (!rc)
        rc = is_saved
                 ? store_export(t->st, t->id, &how, &b, err)
                 : export_branch(&b, &t->chat, t->chat.leaf, "", t->info ? t->info->name : "", err);
    if (!rc) rc = output_open(&where, &out, err);
    if (rc == OX_EUSAGE && *arg) ox_err_fix(err, "/export FILE writes to another one");
    if (!rc)
        rc = *arg ? output_bytes(&out, buf_str(&b), b.n, err)
                  : output_text(&out, buf_str(&b), b.n, err);
    if (out.fd >= 0) {
        int closed = output_close(&out, !rc, rc ? NULL : err);
        if (!rc) rc = closed;
    }
    if (!rc && *arg) plain_note(p, "written to %s", arg);
    buf_deinit(&b);
    return rc;
}

static int each_hit(void *user, const struct store_hit *h) {
    char text[256];
    size_t n = 0;
    for (const char *s = h->snippet; *s && n + 1 < sizeof text; s++)
        text[n++] = *s == 1 ? '[' : *s == 2 ? ']' : *s;
    text[n] = '\0';
    if (h->chat)
        plain_note(user, "%.4s turn %zu  %s", h->uid, h->turn, text);
    else
        plain_note(user, "%.4s:%zu  %s", h->uid, h->line, text);
    return 0;
}

int plain_search(struct plain *p, const char *arg, ox_err *err) {
    const struct store_search how = {.words = arg, .limit = SHOWN_HITS};
    int rc = need_store(p, err);
    return rc ? rc : store_search(p->talk.st, &how, each_hit, p, err);
}
