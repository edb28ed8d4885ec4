/* loop.c - see loop.h. One wake-up is one turn: read what came, update, carry out, draw at most
 * once. Keys are drawn at once; an answer is drawn at most 30 times a second. Idle, poll waits for
 * ever. */
#include "app/loop.h"

#include "app/effects.h"
#include "app/signals.h"
#include "app/core/text.h"
#include "app/ui/layout.h"
#include "app/ui/view.h"

#include <fcntl.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double FRAME_S = 1.0 / 30, DRAFT_S = 1.0, CLOCK_S = 0.25;

struct loop {
    const struct loop_opts *opts;
    struct app_state s;
    struct effects fx;
    term *term;
    int tty; /* -1: stdin */
    struct keys keys;
    struct frame frame;
    double drawn_at, typed_at; /* typed_at: a draft not saved yet; 0: none */
    bool draws_now;            /* a key came: do not wait for the next frame */
    int signo;
};

/* ---- drawing ------------------------------------------------------------------------------------
 */

static void draw(struct loop *l) {
    if (l->frame.w != l->s.w || l->frame.h != l->s.h)
        if (frame_init(&l->frame, l->s.w, l->s.h, NULL)) return;
    view_screen(&l->s, &l->frame);
    term_draw(l->term, &l->frame, NULL);
    l->s.dirty = false;
    l->draws_now = false;
    l->drawn_at = effects_clock();
}

static void draw_if_due(struct loop *l) {
    if (l->s.dirty && (l->draws_now || effects_clock() - l->drawn_at >= FRAME_S)) draw(l);
}

static void take_size(struct loop *l) {
    struct event ev = {.kind = EV_RESIZE};
    term_size(l->term, &ev.x, &ev.y);
    if (ev.x > 1000) ev.x = 1000;
    if (ev.y > 500) ev.y = 500;
    effects_event(&l->fx, &ev);
    l->draws_now = true;
}

/* ---- input --------------------------------------------------------------------------------------
 */

static void take_input(struct loop *l, struct input *in) {
    struct event ev = {0};
    layout_screen(&l->s);
    switch (in->kind) {
    case INPUT_NONE: return;
    case INPUT_KEY:
        ev.kind = EV_KEY;
        ev.key = in->key;
        l->typed_at = effects_clock();
        break;
    case INPUT_PASTE:
        ev.kind = EV_PASTE;
        ev.text = buf_str(&in->paste);
        ev.n = in->paste.n;
        l->typed_at = effects_clock();
        break;
    case INPUT_MOUSE:
        ev.kind = EV_MOUSE;
        ev.mouse = (int)in->mouse;
        ev.x = in->x;
        ev.y = in->y;
        break;
    }
    effects_event(&l->fx, &ev);
    buf_deinit(&in->paste);
    l->draws_now = true;
}

static void read_keys(struct loop *l) {
    struct input in;
    ox_err err = {0};
    if (term_read(l->term, &l->keys, &err)) {
        l->signo = SIGHUP;
        l->s.quits = true;
        return;
    }
    while (!l->s.quits && keys_next(&l->keys, &in))
        take_input(l, &in);
}

static void expire_keys(struct loop *l, double since) {
    struct input in;
    int wait = keys_wait_ms(&l->keys);
    if (wait < 0 || (effects_clock() - since) * 1000 < wait) return;
    keys_expire(&l->keys, &in);
    take_input(l, &in);
}

static void read_signals(struct loop *l) {
    for (int signo; (signo = signals_next()) != 0;) {
        if (signo == SIGWINCH)
            take_size(l);
        else if (signo == SIGCONT)
            term_resume(l->term), take_size(l);
        else if (signo == SIGTSTP) {
            struct event ev = {.kind = EV_KEY, .key = KEY_CTRL | 'z'};
            effects_event(&l->fx, &ev);
        } else if (signo == SIGTERM || signo == SIGHUP || signo == SIGINT) {
            l->signo = signo;
            l->s.quits = true;
        }
    }
}

/* ---- time ---------------------------------------------------------------------------------------
 */

static double sooner(double a, double b) {
    return a < b ? a : b;
}

/* Seconds until something has to happen without a wake-up; < 0: never. */
static double next_wait(const struct loop *l, double keys_since) {
    enum { LONG_S = 3600 };
    double now = effects_clock(), wait = LONG_S;
    const struct app_state *s = &l->s;
    int keys = keys_wait_ms(&l->keys);
    if (keys >= 0) wait = sooner(wait, keys_since + keys / 1000.0 - now);
    if (s->dirty) wait = sooner(wait, l->drawn_at + FRAME_S - now);
    if (l->typed_at > 0 && s->job.busy != BUSY_WAITING)
        wait = sooner(wait, l->typed_at + DRAFT_S - now);
    if (s->notice.text[0]) wait = sooner(wait, s->notice.until - now);
    if (s->job.busy == BUSY_READING || s->job.busy == BUSY_WRITING || state_is_reading(s))
        wait = sooner(wait, CLOCK_S);
    double tend_at = effects_tend_at(&l->fx);
    if (tend_at > 0) wait = sooner(wait, tend_at - now);
    double title_at = effects_title_at(&l->fx);
    if (title_at > 0) wait = sooner(wait, title_at - now);
    double ahead_at = effects_ahead_at(&l->fx);
    if (ahead_at > 0) wait = sooner(wait, ahead_at - now);
    double follow_at = effects_follow_at(&l->fx);
    if (follow_at > 0) wait = sooner(wait, follow_at - now);
    return wait >= LONG_S ? -1 : wait < 0 ? 0 : wait;
}

static void save_draft(struct loop *l) {
    struct buf text = {0};
    if (l->typed_at == 0 || effects_clock() - l->typed_at < DRAFT_S) return;
    if (l->s.job.busy == BUSY_WAITING)
        return; /* the draft is what was sent, until it is committed */
    l->typed_at = 0;
    const struct buf *queued = &l->s.queued; /* typed too, and nowhere else yet */
    int rc = buf_add(&text, queued->p, queued->n, NULL);
    if (!rc && queued->n > 0 && !edit_is_empty(&l->s.input)) rc = buf_putc(&text, '\n', NULL);
    size_t before = text.n;
    if (l->fx.st && !rc && edit_copy(&l->s.input, &text, NULL) == 0) {
        effects_draft(&l->fx, buf_str(&text), text.n, before + l->s.input.cursor);
        if (l->fx.st) store_idle(l->fx.st, NULL);
    }
    buf_deinit(&text);
}

/* ---- start --------------------------------------------------------------------------------------
 */

static int64_t utc_offset(void) {
    time_t now = time(NULL);
    struct tm local;
    return localtime_r(&now, &local) ? (int64_t)local.tm_gmtoff : 0;
}

static int take_line(void *user, const char *text) {
    struct {
        char **v;
        size_t n, cap;
    } *lines = user;
    int rc = ox_grow(&lines->v, &lines->cap, lines->n + 1, sizeof *lines->v, NULL);
    if (rc) return rc;
    lines->v[lines->n++] = ox_strdup(text, "history", NULL);
    return 0;
}

/* The store lists newest first, the editor wants oldest first. */
static void bring_history(struct loop *l) {
    struct {
        char **v;
        size_t n, cap;
    } lines = {0};
    if (l->fx.st) store_input_list(l->fx.st, 500, take_line, &lines, NULL);
    while (lines.n > 0) {
        char *text = lines.v[--lines.n];
        struct event ev = {.kind = EV_HISTORY, .text = text ? text : ""};
        effects_event(&l->fx, &ev);
        ox_free(text);
    }
    ox_free(lines.v);
}

/* What the command line asked for. A session that is not found is an error on the screen, which is
 * a new session's then. */
static void show_first(struct loop *l) {
    const struct loop_opts *o = l->opts;
    int64_t chat = 0, leaf = 0;
    if (o->is_continue && l->fx.st && store_chat_last(l->fx.st, &chat, &leaf, NULL) == 0)
        effects_do(&l->fx, FX_OPEN, chat, NULL);
    else if (o->resume && o->resume[0])
        effects_do(&l->fx, FX_OPEN, 0, o->resume);
    else if (!o->resume)
        effects_do(&l->fx, FX_NEW, 0, NULL);
    if (o->resume && !o->resume[0]) {
        struct event ev = {.kind = EV_KEY, .key = KEY_CTRL | 's'};
        effects_event(&l->fx, &ev);
    }
    if (o->draft && o->draft[0]) {
        struct event ev = {.kind = EV_EDITED, .text = o->draft, .n = strlen(o->draft)};
        effects_event(&l->fx, &ev);
    }
}

static void bind_keys(struct loop *l) {
    const struct config *c = l->opts->conf;
    for (size_t i = 0; i < c->n_more; i++) {
        ox_err err = {0};
        if (strncmp(c->more[i].key, "key.", 4) != 0) continue;
        if (keymap_bind(&l->s.keymap, c->more[i].key + 4, c->more[i].value, &err))
            effects_fail(&l->fx, &err);
    }
}

static int open_terminal(struct loop *l, ox_err *err) {
    const struct config *c = l->opts->conf;
    const struct term_opts opts = {
        .name = c->term,
        .no_mouse = !c->mouse,
        .no_color = c->no_color || c->color == WHEN_NEVER,
        .is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .theme = c->theme ? theme_find(c->theme) : THEME_INHERIT,
    };
    l->tty = open("/dev/tty", O_RDWR | O_CLOEXEC); /* stdin may be a document */
    int rc = term_open(&opts, l->tty >= 0 ? l->tty : STDIN_FILENO, &l->term, err);
    if (rc) return rc;
    l->s.is_utf8 = opts.is_utf8 && c->ambiguous_width == 1; /* box characters are ambiguous */
    l->s.keeps = c->save;
    l->s.utc_offset_s = utc_offset();
    if (c->theme && strlen(c->theme) < sizeof l->s.theme)
        memcpy(l->s.theme, c->theme, strlen(c->theme) + 1);
    l->fx.term = l->term;
    const struct signals_opts sig = {.restore = term_restore, .watch_size = true};
    return signals_open(&sig, err);
}

static int start(struct loop *l, ox_err *err) {
    int rc = state_init(&l->s, err);
    l->fx.conf = l->opts->conf;
    l->fx.s = &l->s;
    if (!rc && l->opts->system) rc = buf_puts(&l->s.system, l->opts->system, err);
    if (!rc) rc = open_terminal(l, err);
    if (rc) return rc;
    take_size(l);
    bool resumes = l->opts->is_continue || l->opts->resume;
    if (!resumes) draw(l); /* before a database is made or opened */
    rc = effects_open_store(&l->fx, err);
    if (rc) return rc;
    bind_keys(l);
    show_first(l);
    draw(l); /* before a weight is read */
    bring_history(l);
    rc = effects_start_engine(&l->fx, err);
    for (size_t i = 0; i < l->opts->n_docs && !rc; i++)
        effects_document(&l->fx, &l->opts->doc[i]);
    return rc;
}

/* ---- the loop -----------------------------------------------------------------------------------
 */

static void turn(struct loop *l, double *keys_since) {
    struct pollfd p[] = {{term_fd(l->term), POLLIN, 0},
                         {worker_fd(l->fx.w), POLLIN, 0},
                         {signals_fd(), POLLIN, 0},
                         {effects_file_fd(&l->fx), POLLIN, 0}};
    bool more = effects_idle(&l->fx);
    double wait = more ? 0 : next_wait(l, *keys_since);
    poll(p, 4, wait < 0 ? -1 : (int)(wait * 1000 + 0.999));
    if (p[2].revents) read_signals(l);
    if (p[0].revents) {
        *keys_since = effects_clock();
        read_keys(l);
    }
    expire_keys(l, *keys_since);
    draw_if_due(l); /* a key is on the screen before a burst of news is looked at */
    if (p[3].revents && effects_file_fd(&l->fx) == p[3].fd) effects_file_news(&l->fx);
    if (p[1].revents) effects_news(&l->fx);
    struct event tick = {.kind = EV_TICK};
    effects_event(&l->fx, &tick);
    save_draft(l);
    effects_tend(&l->fx);
    effects_title_tend(&l->fx);
    effects_ahead_tend(&l->fx);
    effects_follow_tend(&l->fx);
    draw_if_due(l);
}

static void say_text(struct buf *out, const char *text, size_t n) {
    if (n > 0 && text_show(out, text, n, TEXT_LINES, NULL) == 0) buf_puts(out, "\n\n", NULL);
}

/* The last answer and how to come back stand in the normal scrollback; with a disk that is still
 * full also the question and what was typed: nowhere else are they kept. */
static void say_last_words(const struct app_state *s, const ox_err *unsaved) {
    struct buf out = {0}, typed = {0};
    size_t i = s->sheet.n;
    while (i > 0 &&
           (s->sheet.path[i - 1]->role != OX_ROLE_ASSISTANT || !s->sheet.path[i - 1]->n_bytes))
        i--;
    const struct chat_node *answer = i > 0 ? s->sheet.path[i - 1] : NULL;
    const struct chat_node *question = i > 1 ? s->sheet.path[i - 2] : NULL;
    if (unsaved->code && question) say_text(&out, question->text, question->n_bytes);
    if (answer) say_text(&out, answer->text, answer->n_bytes);
    if (unsaved->code && edit_copy(&s->input, &typed, NULL) == 0)
        say_text(&out, buf_str(&typed), typed.n);
    if (unsaved->code) say_text(&out, unsaved->what, strlen(unsaved->what));
    buf_deinit(&typed);
    if (s->uid[0]) {
        buf_printf(&out, NULL, "oxbow -r %.4s   ", s->uid);
        text_show(&out, s->title, strlen(s->title), TEXT_LINE, NULL);
        buf_putc(&out, '\n', NULL);
    }
    if (out.n > 0) fwrite(out.p, 1, out.n, stdout);
    fflush(stdout);
    buf_deinit(&out);
}

int loop_run(const struct loop_opts *opts, int *signo, ox_err *err) {
    struct loop *l = ox_alloc(1, sizeof *l, "the interface", err);
    if (!l) return OX_ENOMEM;
    l->opts = opts;
    l->tty = -1;
    double keys_since = 0;
    int rc = start(l, err);
    while (!rc && !l->s.quits)
        turn(l, &keys_since);
    effects_finish(&l->fx);
    l->typed_at = l->typed_at > 0 ? 1 : 0; /* long ago: due */
    save_draft(l);
    ox_err unsaved = {0};
    effects_save_again(&l->fx, &unsaved);
    bool was_shown = l->term != NULL;
    term_close(l->term);
    effects_close(&l->fx);
    signals_close();
    if (l->tty >= 0) close(l->tty);
    if (was_shown && !rc) say_last_words(&l->s, &unsaved);
    *signo = l->signo;
    keys_deinit(&l->keys);
    frame_deinit(&l->frame);
    state_deinit(&l->s);
    ox_free(l);
    return rc;
}
