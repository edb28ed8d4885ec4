/* update.c - see update.h: the dispatcher, requests that work everywhere, slash commands. */
#include "app/core/update.h"

#include "app/core/command.h"
#include "app/core/say.h"
#include "app/core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int update_fx(struct update *u, enum effect_kind kind, int64_t id, int64_t id2, const char *text) {
    return effect_add(u->fx, kind, id, id2, text, text ? strlen(text) : 0, u->err);
}

void update_error(struct update *u, const ox_err *e) {
    u->s->error = *e;
    if (u->s->error.code == 0) u->s->error.code = OX_EFAIL;
    if (u->s->screen == SCREEN_SESSIONS) /* only the talk has rows for what failed */
        state_notice(u->s, false, "%s", u->s->error.what);
}

/* ---- slash commands -----------------------------------------------------------------------------
 */

static int start_new(struct update *u) {
    if (state_is_busy(u->s))
        state_notice(u->s, false, "the answer goes on in its session; Esc stops it first");
    return state_is_busy(u->s) ? 0 : update_fx(u, FX_NEW, 0, 0, NULL);
}

static int open_sessions(struct update *u) {
    u->s->screen = SCREEN_SESSIONS;
    u->s->overlay = OVERLAY_NONE;
    u->s->picker.renaming = false;
    buf_cut(&u->s->picker.filter, 0);
    return update_fx(u, FX_LIST, 0, 0, NULL);
}

/* Documents of a question that is taken back go with the next one. */
static void wait_again(struct app_state *s, const struct chat_node *question) {
    for (size_t k = 0; k < question->n_docs; k++)
        for (size_t i = 0; i < s->n_docs; i++)
            if (s->doc[i].d.id == question->docs[k].doc) s->doc[i].is_pending = true;
}

static int go_back(struct update *u, size_t turns) {
    struct app_state *s = u->s;
    int64_t leaf = 0, question = 0;
    size_t seen = 0, left = 0;
    char words[64];
    if (state_is_busy(s)) return update_show_leaf(u, s->chat.leaf); /* says why not */
    for (size_t i = s->sheet.n; i-- > 0;) {
        const struct chat_node *node = s->sheet.path[i];
        if (node->role != OX_ROLE_USER) continue;
        left++;
        if (seen == turns) continue;
        seen++;
        leaf = node->parent;
        question = node->id;
        wait_again(s, node);
    }
    if (seen == 0) return 0;
    int rc = update_show_leaf(u, leaf);
    snprintf(words, sizeof words, "back before turn %zu; the branch stays", left - seen + 1);
    state_notice(s, false, "%s", words);
    return rc ? rc : update_fx(u, FX_PRICE, question, 0, words);
}

static int edit_turn(struct update *u, size_t n) {
    struct app_state *s = u->s;
    int64_t id = n ? chat_turn(&s->chat, s->chat.leaf, n) : 0;
    for (size_t i = 0; i < s->sheet.n; i++)
        if (n ? s->sheet.path[i]->id == id : s->sheet.path[i]->role == OX_ROLE_USER) s->chosen = i;
    return update_chat_key(u, REQ_EDIT, 0);
}

static int show_doc(struct update *u, size_t n) {
    struct app_state *s = u->s;
    if (n == 0 || n > s->n_docs) {
        state_notice(s, false,
                     s->n_docs == 1 ? "there is %zu document here" : "there are %zu documents here",
                     s->n_docs);
        return 0;
    }
    s->docs.is_open = true;
    s->docs.doc = n - 1;
    s->docs.top = 0;
    s->focus = FOCUS_DOC;
    return 0;
}

static int drop_doc(struct update *u, size_t n) {
    struct app_state *s = u->s;
    if (n == 0 || n > s->n_docs || !s->doc[n - 1].is_pending)
        state_notice(s, false, "document %zu is not waiting for the next question", n);
    else
        s->doc[n - 1].is_pending = false;
    return 0;
}

static void say_documents(struct update *u) {
    struct app_state *s = u->s;
    char count[SAY_BYTES];
    if (s->n_docs == 0)
        state_notice(s, false, "no documents; /file PATH adds one");
    else
        state_notice(s, false, "%zu document%s; [%zu] %s, %s%s tokens", s->n_docs,
                     s->n_docs == 1 ? "" : "s", s->n_docs, s->doc[s->n_docs - 1].d.name,
                     s->model.is_remote ? "about " : "",
                     say_count(count, s->doc[s->n_docs - 1].d.n_tokens));
}

static void say_stats(struct update *u) {
    struct app_state *s = u->s;
    for (size_t i = s->sheet.n; i-- > 0;) {
        const struct chat_node *node = s->sheet.path[i];
        if (node->role != OX_ROLE_ASSISTANT || node->ledger.n_in == 0) continue;
        const struct chat_ledger *l = &node->ledger;
        if (l->ran != CHAT_RAN_HERE)
            state_notice(s, false,
                         "%s%zu in, %zu out; remote, no saved states; first word %.1f s, "
                         "all %.1f s",
                         l->ran == CHAT_RAN_REMOTE_ABOUT ? "about " : "", l->n_in, l->n_out,
                         l->prefill_s, l->prefill_s + l->decode_s);
        else
            state_notice(s, false,
                         "%zu in, %zu reused, %zu out; read %.1f s, wrote %.1f s; seed %llu%s",
                         l->n_in, l->n_reused, l->n_out, l->prefill_s, l->decode_s,
                         (unsigned long long)l->seed, l->exact ? ", exact" : "");
        return;
    }
    state_notice(s, false, "no answer yet");
}

static int set_theme(struct update *u, const char *name) {
    static const char *const known[] = {"inherit", "light", "dark", "mono"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], name) == 0) {
            memcpy(u->s->theme, name, strlen(name) + 1);
            return update_fx(u, FX_REDRAW, 0, 0, NULL);
        }
    ox_err e;
    ox_err_set(&e, OX_EUSAGE, "no theme \"%.40s\"", name);
    ox_err_fix(&e, "inherit, light, dark or mono");
    update_error(u, &e);
    return 0;
}

static int refuse(struct update *u, const ox_err *e) {
    update_error(u, e);
    return e->code; /* the line stays in the input */
}

static int set_cites(struct update *u, const char *rest) {
    struct app_state *s = u->s;
    bool on;
    ox_err e;
    if (command_switch(rest, &on, &e)) return refuse(u, &e);
    s->cites_off = !on;
    s->sheet.n_docs = s->cites_off ? 0 : s->n_docs;
    sheet_stale(&s->sheet);
    state_notice(s, false, s->cites_off ? "quotations are not checked" : "quotations are checked");
    return 0;
}

/* Turn n of the path, as it is counted on screen; the last one without a number. */
static int fork_at(struct update *u, size_t n) {
    struct app_state *s = u->s;
    int64_t question = n ? chat_turn(&s->chat, s->chat.leaf, n) : 0, at = 0;
    ox_err e;
    ox_err_set(&e, OX_EUSAGE, "there is no turn %zu", n);
    if (n && !question) return refuse(u, &e);
    for (size_t i = 0; question && i < s->sheet.n; i++) /* with its answer */
        if (s->sheet.path[i]->id == question)
            at = i + 1 < s->sheet.n ? s->sheet.path[i + 1]->id : question;
    return update_fx(u, FX_FORK, s->chat_id, at, NULL);
}

static int copy_numbered(struct update *u, size_t n) {
    struct app_state *s = u->s;
    ox_err e;
    ox_err_set(&e, OX_EUSAGE, n ? "there is no message %zu" : "there is no message yet", n);
    if (n > s->sheet.n || s->sheet.n == 0) return refuse(u, &e);
    return update_copy_message(u, n ? n - 1 : s->sheet.n - 1);
}

/* Bytes that end a number are part of the word: "7x" is no seed. */
static int regen(struct update *u, int64_t question, const char *seed) {
    ox_err e;
    ox_err_set(&e, OX_EUSAGE, "/regen SEED: \"%.40s\" is not a whole number", seed ? seed : "");
    if (seed && strspn(seed, "0123456789") != strlen(seed)) return refuse(u, &e);
    return update_regen(u, question, seed);
}

/* Tokens of the path as of its last answer, and in *seconds what reading them again would take; 0:
 * not known. */
static size_t reading_again(const struct app_state *s, double *seconds) {
    double rate = state_read_rate(s);
    size_t used = 0;
    for (size_t i = s->sheet.n; i-- > 0 && used == 0;)
        used = s->sheet.path[i]->ledger.n_in + s->sheet.path[i]->ledger.n_out;
    *seconds = rate > 0 ? (double)used / rate : 0;
    return used;
}

/* Another model reads everything again: the price comes first, and before it whether there is such
 * a model (EV_ASK then). */
static int change_model(struct update *u, const char *name) {
    struct app_state *s = u->s;
    double seconds;
    if (name && state_is_busy(s)) { /* what is under way goes on with what is loaded */
        state_notice(s, false, "Esc stops the answer first");
        return 0;
    }
    return update_fx(u, FX_MODEL, name && reading_again(s, &seconds) > 0, 0, name);
}

/* EV_ASK: a price; for a model that was found its name, and the price is that of this branch. */
static void ask_price(struct app_state *s, const struct event *ev) {
    char price[SAY_PRICE_BYTES];
    const char *words = ev->text;
    double seconds;
    s->overlay = OVERLAY_ASK;
    s->ask.then = (enum effect_kind)ev->id;
    s->ask.id = 0;
    s->ask.stops = s->ask.then != FX_MODEL;
    if (s->ask.then == FX_MODEL) {
        size_t used = reading_again(s, &seconds);
        snprintf(s->ask.text, sizeof s->ask.text, "%s", ev->text);
        words = say_price(price, used, seconds);
    }
    snprintf(s->ask.words, sizeof s->ask.words, "%s.  y yes   any other key no", words);
}

/* It stands before the first question and belongs to the session; plain lines refuse it behind that
 * as well. */
static int set_system(struct update *u, const char *text) {
    struct app_state *s = u->s;
    int64_t first = s->chat.leaf;
    for (const struct chat_node *at; (at = chat_find(&s->chat, first)) && at->parent;)
        first = at->parent;
    const struct chat_node *root = chat_find(&s->chat, first);
    bool is_kept = root && root->role == OX_ROLE_SYSTEM;
    if (!text) {
        const char *now = is_kept ? root->text : s->sheet.n ? "" : buf_str(&s->system);
        state_notice(s, false, now[0] ? "system prompt: %s" : "no system prompt%s", now);
        return 0;
    }
    if (s->sheet.n > 0) {
        ox_err e;
        ox_err_set(&e, OX_EUSAGE, "a system prompt stands before the first question");
        ox_err_fix(&e, "/new, then /system TEXT");
        return refuse(u, &e);
    }
    buf_cut(&s->system, 0);
    s->chat.leaf = 0; /* not below the one of before */
    state_notice(s, false, "the system prompt is set");
    return buf_puts(&s->system, text, u->err);
}

static int64_t last_question(const struct app_state *s) {
    for (size_t i = s->sheet.n; i-- > 0;)
        if (s->sheet.path[i]->role == OX_ROLE_USER) return s->sheet.path[i]->id;
    return 0;
}

static int run_command(struct update *u, const struct command *c, const char *rest) {
    struct app_state *s = u->s;
    const char *text = rest[0] ? rest : NULL;
    size_t n = 0;
    ox_err e;
    bool is_number = c->id == CMD_FORK || c->id == CMD_EDIT || c->id == CMD_ANSWER ||
                     c->id == CMD_UNDO || c->id == CMD_DOC || c->id == CMD_DROP ||
                     c->id == CMD_SUMMARIZE || c->id == CMD_COPY;
    if (is_number && command_count(rest, 0, &n, &e)) return refuse(u, &e);
    switch (c->id) {
    case CMD_NONE:
    case CMD_COUNT: return 0;
    case CMD_HELP:
        s->overlay = OVERLAY_HELP;
        s->list_top = 0;
        return 0;
    case CMD_QUIT: s->quits = true; return update_fx(u, FX_QUIT, 0, 0, NULL);
    case CMD_NEW: return start_new(u);
    case CMD_SESSIONS: return open_sessions(u);
    case CMD_RESUME: return update_fx(u, FX_OPEN, 0, 0, rest);
    case CMD_TITLE: return update_fx(u, FX_RENAME, s->chat_id, 0, rest);
    case CMD_FORK: return fork_at(u, n);
    case CMD_EDIT: return edit_turn(u, n);
    case CMD_REGEN: return regen(u, last_question(s), text);
    case CMD_SEEDS: return update_seeds(u, last_question(s), text);
    case CMD_COMPARE: return update_compare_numbers(u, rest);
    case CMD_ANSWER: return update_take_answer(u, n);
    case CMD_UNDO: return go_back(u, n ? n : 1);
    case CMD_CONTINUE: return update_continue(u);
    case CMD_FILE: return update_fx(u, FX_FILE, 0, 0, rest);
    case CMD_DOCS: say_documents(u); return 0;
    case CMD_DOC: return show_doc(u, n);
    case CMD_DROP: return drop_doc(u, n);
    case CMD_CITE: return set_cites(u, rest);
    case CMD_SUMMARIZE: return update_summarize(u, n);
    case CMD_COMPACT: return update_compact(u);
    case CMD_SYSTEM: return set_system(u, text);
    case CMD_MODEL: return change_model(u, text);
    case CMD_SET: {
        const char *key, *value;
        if (command_setting(rest, &key, &value, &e)) return refuse(u, &e);
        return update_fx(u, FX_SET, 0, 0, rest);
    }
    case CMD_THINK: {
        bool on;
        if (command_switch(rest, &on, &e)) return refuse(u, &e);
        return update_fx(u, FX_THINK, on, 0, NULL);
    }
    case CMD_PROMPT: return update_fx(u, FX_PROMPT, 0, 0, rest);
    case CMD_CONTEXT: s->docs.is_open = s->docs.show_map = true; return 0;
    case CMD_STATES: return update_fx(u, FX_STATES, 0, 0, NULL);
    case CMD_TOKENS: {
        if (text) return update_fx(u, FX_COUNT, 0, 0, text);
        char used[SAY_BYTES], limit[SAY_BYTES];
        state_notice(s, false, "%s%s of %s tokens are used", s->is_used_about ? "about " : "",
                     say_count(used, s->n_used), say_count(limit, s->model.limit));
        return 0;
    }
    case CMD_STATS: say_stats(u); return 0;
    case CMD_COPY: return copy_numbered(u, n);
    case CMD_EXPORT: return update_fx(u, FX_EXPORT, s->chat_id, 0, text);
    case CMD_SEARCH:
        buf_cut(&s->find.words, 0);
        s->find.is_on = true;
        s->focus = FOCUS_CHAT;
        if (buf_puts(&s->find.words, rest, u->err)) return OX_ENOMEM;
        return update_chat_key(u, REQ_FIND_PREV, 0);
    case CMD_THEME: return set_theme(u, rest);
    }
    return 0;
}

int update_command(struct update *u, const char *line, bool *is_text) {
    struct command_line parsed;
    ox_err e;
    *is_text = false;
    if (command_parse(line, &parsed, &e)) {
        update_error(u, &e);
        return OX_EUSAGE; /* the line stays in the input */
    }
    *is_text = parsed.command == NULL;
    return *is_text ? 0 : run_command(u, parsed.command, parsed.rest);
}

/* ---- requests that work everywhere --------------------------------------------------------------
 */

/* The file first: it was asked for last, and its line says so. */
int update_stop(struct update *u) {
    if (state_is_reading(u->s)) return update_fx(u, FX_STOP_FILE, 0, 0, NULL);
    return state_is_busy(u->s) ? update_fx(u, FX_STOP, 0, 0, NULL) : 0;
}

/* Esc: leave what lies on top; else stop; else back to the input; twice: edit the last question. */
static int go_out(struct update *u) {
    struct app_state *s = u->s;
    if (s->input.searching)
        edit_search_end(&s->input, false);
    else if (s->find.is_typing)
        s->find.is_typing = s->find.is_on = false;
    else if (s->overlay != OVERLAY_NONE)
        update_leave_overlay(s);
    else if (s->screen == SCREEN_SESSIONS && s->picker.renaming)
        s->picker.renaming = false, buf_cut(&s->picker.filter, 0);
    else if (s->screen == SCREEN_SESSIONS && s->picker.filter.n > 0)
        return update_list_key(u, REQ_KILL_START, 0);
    else if (s->screen == SCREEN_SESSIONS)
        s->screen = SCREEN_CHAT;
    else if (state_is_busy(s) || state_is_reading(s))
        return update_stop(u);
    else if (s->find.is_on)
        s->find.is_on = false;
    else if (state_is_covered(s))
        update_uncover(s);
    else if (s->editing)
        s->editing = 0, edit_set(&s->input, "", 0, u->err);
    else if (s->focus != FOCUS_INPUT)
        s->focus = FOCUS_INPUT, s->chosen = SIZE_MAX;
    else if (edit_is_empty(&s->input) && s->now < s->esc_until)
        return edit_turn(u, 0);
    else
        s->esc_until = s->now + QUIT_SECONDS;
    return 0;
}

/* Ctrl-C: stop; or put the text aside; or, twice on an empty input, quit. */
static int interrupt(struct update *u) {
    struct app_state *s = u->s;
    if (s->overlay != OVERLAY_NONE || s->input.searching || s->find.is_typing) return go_out(u);
    if (state_is_busy(s) || state_is_reading(s)) return update_stop(u);
    if (!edit_is_empty(&s->input)) {
        struct buf text = {0};
        int rc = edit_take(&s->input, &text, u->err);
        if (!rc) rc = edit_history_add(&s->input, buf_str(&text), u->err);
        buf_deinit(&text);
        s->editing = 0;
        state_notice(s, false, "put aside; Up brings it back");
        return rc;
    }
    if (s->now < s->quit_until) {
        s->quits = true;
        return update_fx(u, FX_QUIT, 0, 0, NULL);
    }
    s->quit_until = s->now + QUIT_SECONDS;
    state_notice(s, false, "Ctrl-C again to quit");
    return 0;
}

static void toggle_pane(struct app_state *s, bool map) {
    struct doc_pane *d = &s->docs;
    bool hides = d->is_open && (!map || d->show_map) && (map || !d->show_map || s->n_docs == 0);
    d->is_open = !hides;
    d->by_itself = false;
    d->was_closed = hides;
    d->show_map = map && !hides;
    if (hides && s->focus == FOCUS_DOC) s->focus = FOCUS_INPUT;
    if (!hides && !map && s->n_docs == 0)
        state_notice(s, false, "no document here; /file PATH adds one");
}

/* True if the request was one of these. */
static bool handle_anywhere(struct update *u, enum request r, int *rc) {
    struct app_state *s = u->s;
    switch ((int)r) {
    case REQ_BACK: *rc = go_out(u); return true;
    case REQ_LEAVE:
        if (s->overlay != OVERLAY_NONE)
            update_leave_overlay(s);
        else if (state_is_covered(s))
            update_uncover(s);
        else
            s->focus = FOCUS_INPUT, s->chosen = SIZE_MAX;
        return true;
    case REQ_STOP: *rc = interrupt(u); return true;
    case REQ_NEW: *rc = start_new(u); return true;
    case REQ_SESSIONS: *rc = open_sessions(u); return true;
    case REQ_PALETTE: *rc = update_palette(u); return true;
    case REQ_DOC_PANE: toggle_pane(s, false); return true;
    case REQ_CONTEXT_MAP: toggle_pane(s, true); return true;
    case REQ_REDRAW: *rc = update_fx(u, FX_REDRAW, 0, 0, NULL); return true;
    case REQ_SUSPEND: *rc = update_fx(u, FX_SUSPEND, 0, 0, NULL); return true;
    case REQ_HELP:
        s->overlay = s->overlay == OVERLAY_HELP ? OVERLAY_NONE : OVERLAY_HELP;
        s->list_top = 0;
        return true;
    default: return false;
    }
}

/* ---- dispatch -----------------------------------------------------------------------------------
 */

static int answer_question(struct update *u, uint32_t key) {
    struct app_state *s = u->s;
    s->overlay = OVERLAY_NONE;
    bool stops = s->ask.stops;
    s->ask.stops = false;
    if (key != 'y' && key != 'Y') return stops ? update_fx(u, FX_STOP, 0, 0, NULL) : 0;
    const char *text = s->ask.then == FX_MODEL ? s->ask.text : NULL;
    return update_fx(u, s->ask.then, s->ask.id, 0, text);
}

static int handle_key(struct update *u) {
    struct app_state *s = u->s;
    uint32_t key = u->ev->key;
    if (s->error.code) s->error = (ox_err){0};
    s->select = (struct selection){0};
    s->docs.drag = (struct doc_drag){0};
    bool is_plain = !(key & (KEY_CTRL | KEY_ALT)) && key < KEY_ENTER;
    if (s->overlay == OVERLAY_ASK) return answer_question(u, key);
    if (s->overlay == OVERLAY_CHOICE && is_plain) return update_choose(u, key);
    unsigned places = s->find.is_typing || s->input.searching ? PLACE_INPUT : state_places(s);
    uint32_t first = s->prefix;
    s->prefix = 0;
    enum request r = keymap_find(&s->keymap, places, first, key);
    if (r == REQ_PREFIX) {
        s->prefix = key;
        return 0;
    }
    if (r == REQ_NONE && !is_plain) return 0;
    int rc = 0;
    if (r != REQ_NONE && handle_anywhere(u, r, &rc)) return rc;
    if (s->overlay != OVERLAY_NONE || s->screen == SCREEN_SESSIONS)
        return update_list_key(u, r, key);
    if (s->focus == FOCUS_DOC && !s->find.is_typing) return update_doc_key(u, r, key);
    return update_chat_key(u, r, key);
}

static int handle_mouse(struct update *u) {
    struct app_state *s = u->s;
    if (s->overlay != OVERLAY_NONE || s->screen == SCREEN_SESSIONS) return update_list_mouse(u);
    return update_chat_mouse(u);
}

static void expire(struct app_state *s) {
    if (s->notice.text[0] && s->now >= s->notice.until) {
        s->notice.text[0] = 0;
        s->dirty = true;
    }
    if (state_is_busy(s) || state_is_reading(s)) s->dirty = true; /* times on screen move */
}

/* Of another vocabulary: answers go into prompts as text from now on. */
static void forget_ids(struct app_state *s) {
    for (size_t i = 0; i < s->chat.n; i++)
        if (s->chat.node[i].n_tok > 0) {
            ox_free(s->chat.node[i].tok);
            s->chat.node[i].tok = NULL;
            s->chat.node[i].n_tok = 0;
        }
    for (size_t i = 0; i < s->n_docs; i++)
        s->doc[i].d.n_tokens = 0;
}

int update(struct app_state *s, struct event *ev, struct effect_list *fx, ox_err *err) {
    struct update u = {s, ev, fx, err};
    int rc = 0;
    if (ev->now > 0) s->now = ev->now;
    if (ev->kind != EV_TICK && ev->kind != EV_NONE) s->dirty = true;
    switch (ev->kind) {
    case EV_NONE: break;
    case EV_TICK: expire(s); break;
    case EV_KEY: rc = handle_key(&u); break;
    case EV_MOUSE: rc = handle_mouse(&u); break;
    case EV_RESIZE: s->w = ev->x, s->h = ev->y; break;
    case EV_PASTE:
    case EV_EDITED:
    case EV_CHAT:
    case EV_TREE:
    case EV_GOTO:
    case EV_DRAFT:
    case EV_HISTORY:
    case EV_SAVED:
    case EV_PROGRESS:
    case EV_TEXT:
    case EV_DONE:
    case EV_FAILED: rc = update_chat_event(&u); break;
    case EV_SESSIONS:
    case EV_HITS:
    case EV_PREVIEW: rc = update_list_event(&u); break;
    case EV_DOC:
    case EV_FILE:
    case EV_COUNTED: rc = update_doc_event(&u); break;
    case EV_CONTEXT:
        context_deinit(&s->context);
        s->context = ev->context;
        ev->context = (struct context_map){0};
        break;
    case EV_LOADING:
        s->is_loaded = false;
        snprintf(s->loading, sizeof s->loading, "%s", ev->text);
        break;
    case EV_LOADED:
        s->model = ev->model;
        s->is_loaded = true;
        if (ev->flag) forget_ids(s);
        break;
    case EV_ASK: ask_price(s, ev); break;
    case EV_NOTICE: state_notice(s, ev->flag, "%s", ev->text); break;
    case EV_USAGE:
        s->memory_bytes = ev->number;
        s->states_bytes = ev->number2;
        s->states_quota = ev->number3;
        break;
    }
    if (rc == OX_ENOMEM && err) update_error(&u, err);
    return rc == OX_ENOMEM ? rc : 0;
}
