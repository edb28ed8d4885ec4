/* effects.c - see effects.h: sessions, files, the terminal. */
#include "app/effects.h"

#include "app/child.h"
#include "app/core/command.h"
#include "app/core/text.h"
#include "app/core/update.h"
#include "app/named_prompt.h"
#include "app/open.h"
#include "app/store/check.h"
#include "app/store/docs.h"
#include "app/store/search.h"
#include "app/ui/theme.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

double effects_clock(void) {
    static double
        offset; /* wall clock minus monotonic clock, taken once: time on screen never jumps back */
    struct timespec mono, wall;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    if (offset == 0) {
        clock_gettime(CLOCK_REALTIME, &wall);
        offset = (double)(wall.tv_sec - mono.tv_sec) + (double)(wall.tv_nsec - mono.tv_nsec) / 1e9;
    }
    return (double)mono.tv_sec + (double)mono.tv_nsec / 1e9 + offset;
}

/* ---- telling ------------------------------------------------------------------------------------
 */

void effects_notice(struct effects *fx, bool stays, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct event ev = {.kind = EV_NOTICE, .text = text, .flag = stays};
    effects_event(fx, &ev);
}

void effects_fail(struct effects *fx, const ox_err *e) {
    struct event ev = {.kind = EV_FAILED, .err = *e, .flag = true};
    effects_event(fx, &ev);
}

/* Resident memory, from the system; 0 where it does not say. */
static uint64_t resident_bytes(void) {
    unsigned long long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%llu %llu", &pages, &resident) != 2) resident = 0;
    fclose(f);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void effects_usage(struct effects *fx) {
    struct event ev = {.kind = EV_USAGE, .number = resident_bytes()};
    effects_event(fx, &ev);
}

size_t effects_doc_end(const struct open_doc *d) {
    return d->d.to ? d->d.to : d->d.n_bytes;
}

struct open_doc *effects_find_doc(struct effects *fx, int64_t id) {
    for (size_t i = 0; i < fx->s->n_docs; i++)
        if (fx->s->doc[i].d.id == id) return &fx->s->doc[i];
    return NULL;
}

/* ---- sessions -----------------------------------------------------------------------------------
 */

void effects_documents(struct effects *fx) {
    for (size_t i = 0; i < fx->s->chat.n; i++) {
        const struct chat_node *node = &fx->s->chat.node[i];
        for (size_t d = 0; d < node->n_docs; d++) {
            const struct chat_doc *part = &node->docs[d];
            struct event ev = {.kind = EV_DOC,
                               .doc = {.id = part->doc, .from = part->from, .to = part->to}};
            if (!part->doc || effects_find_doc(fx, part->doc)) continue;
            if (store_doc_text(fx->st, part->doc, 0, 0, &ev.doc.text, &ev.doc.n_bytes, NULL))
                continue;
            ev.doc.name = ox_strdup(part->name ? part->name : "document", "name", NULL);
            cite_index_new(ev.doc.text, ev.doc.n_bytes, &ev.doc.index, NULL);
            store_doc_pages(fx->st, part->doc, &ev.doc.pages, &ev.doc.n_pages, NULL);
            int64_t id = part->doc; /* node may move when the event is handled */
            effects_event(fx, &ev);
            effects_count_doc(fx, id, NULL);
            node = &fx->s->chat.node[i];
        }
    }
}

static void bring_draft(struct effects *fx) {
    char *text = NULL;
    size_t n = 0, cursor = 0;
    const char *place = fx->s->uid[0] ? fx->s->uid : "new";
    if (!fx->st || store_draft_get(fx->st, place, &text, &n, &cursor, NULL)) return;
    struct event ev = {.kind = EV_DRAFT, .text = text, .n = n, .id = (int64_t)cursor};
    effects_event(fx, &ev);
    ox_free(text);
}

static void leave_session(struct effects *fx, bool keeps_docs) {
    if (fx->st && fx->s->chat_id && fx->is_locked) store_chat_unlock(fx->st, fx->s->chat_id);
    if (fx->writes && fx->s->chat_id && !fx->is_locked) effects_notice(fx, true, "%s", "");
    fx->is_locked = false;
    effects_tree_drop(fx);
    effects_file_drop(fx);
    if (!keeps_docs) effects_forget_docs(fx);
}

static int open_session(struct effects *fx, int64_t chat, ox_err *err) {
    struct store_chat row = {0};
    struct event ev = {.kind = EV_CHAT};
    ox_err busy = {0};
    int rc = effects_answer_kept(fx, err);
    if (!rc) rc = store_chat_get(fx->st, chat, &row, err);
    if (rc) return rc;
    leave_session(fx, false);
    rc = effects_tree(fx, chat, row.leaf, &ev.chat.tree, err);
    if (rc) return rc;
    ev.chat.tree.leaf = row.leaf;
    ev.chat.id = chat;
    ev.chat.is_pinned = row.pinned;
    memcpy(ev.chat.uid, row.uid, sizeof ev.chat.uid);
    memcpy(ev.chat.title, row.title, sizeof ev.chat.title);
    effects_event(fx, &ev);
    if (!fx->tree.is_going) effects_documents(fx);
    bring_draft(fx);
    effects_ahead(fx, &row); /* the first question is still to be typed */
    if (effects_claim(fx, &busy) == OX_EBUSY)
        effects_notice(fx, true, "in use by another oxbow; /fork goes on in a copy");
    return 0;
}

static int open_named(struct effects *fx, const struct effect *e, ox_err *err) {
    int64_t chat = e->id;
    if (!fx->st)
        return ox_err_set(err, OX_ENOTFOUND, "nothing is saved, so there is nothing to open");
    int rc = e->text ? store_chat_find(fx->st, e->text, &chat, err) : 0;
    return rc ? rc : open_session(fx, chat, err);
}

static int new_session(struct effects *fx, bool stays_in_list, bool keeps_docs, ox_err *err) {
    struct event ev = {.kind = EV_CHAT, .flag = stays_in_list, .number = keeps_docs};
    int rc = effects_answer_kept(fx, err);
    if (rc) return rc;
    leave_session(fx, keeps_docs);
    effects_event(fx, &ev);
    bring_draft(fx);
    return 0;
}

/* Titles and pins of the session on screen may have changed. */
int effects_changed(struct effects *fx, int64_t chat, ox_err *err) {
    struct store_chat row = {0};
    if (chat == fx->s->chat_id && store_chat_get(fx->st, chat, &row, err) == 0) {
        struct event ev = {.kind = EV_SAVED};
        ev.chat.id = row.id;
        ev.chat.is_pinned = row.pinned;
        memcpy(ev.chat.uid, row.uid, sizeof ev.chat.uid);
        memcpy(ev.chat.title, row.title, sizeof ev.chat.title);
        effects_event(fx, &ev);
    }
    return fx->s->screen == SCREEN_SESSIONS ? effects_list(fx, err) : 0;
}

/* The saved states of a session follow it: "drop", "pin", "unpin". Nobody waits for the job (id 0),
 * and without a cache there is nothing to do. */
static void order_states(struct effects *fx, const char *what, const struct store_chat *chat) {
    struct work job = {.kind = WORK_STATES, .leaf = chat->leaf, .n_path = chat->n_tokens};
    struct buf order = {0};
    if (!fx->w || !fx->conf->save || buf_printf(&order, NULL, "%s %s", what, chat->uid)) return;
    snprintf(job.chat_uid, sizeof job.chat_uid, "%s", chat->uid);
    job.text = buf_take(&order, NULL);
    worker_send(fx->w, &job, NULL);
}

static int not_saved(const struct effects *fx, ox_err *err) {
    ox_err_set(err, OX_ENOTFOUND, "this session is not saved%s", fx->conf->save ? " yet" : "");
    return ox_err_fix(err, fx->conf->save ? "it is from its first question on"
                                          : "start without --no-save (save = on in the config)");
}

static int change_session(struct effects *fx, const struct effect *e, ox_err *err) {
    struct store_chat was = {0};
    size_t n = 0;
    int64_t made = 0;
    int rc = 0;
    if (!fx->st || !e->id) return not_saved(fx, err);
    store_chat_get(fx->st, e->id, &was, NULL);
    switch ((int)e->kind) {
    case FX_RENAME: rc = store_chat_title(fx->st, e->id, e->text, STORE_TITLE_USER, err); break;
    case FX_PIN:
        rc = store_chat_pin(fx->st, e->id, e->id2 != 0, err);
        if (!rc) order_states(fx, e->id2 ? "pin" : "unpin", &was);
        break;
    case FX_BRANCH: return store_branch_show(fx->st, e->id, e->id2, err);
    case FX_FORK: {
        struct store_chat row = {0};
        rc = effects_answer_kept(fx, err); /* no copy that nobody sees */
        if (!rc) rc = store_chat_get(fx->st, e->id, &row, err);
        if (!rc) rc = store_chat_fork(fx->st, e->id, e->id2 ? e->id2 : row.leaf, NULL, &made, err);
        if (!rc) rc = open_session(fx, made, err);
        char words[64];
        snprintf(words, sizeof words, "a fork of %.4s; the other one is as it was", row.uid);
        if (!rc) effects_notice(fx, false, "%s", words);
        if (!rc) effects_price(fx, &(struct effect){.id2 = fx->s->chat.leaf, .text = words});
        return rc;
    }
    case FX_DELETE:
        if (e->id == fx->s->chat_id) rc = new_session(fx, true, false, err);
        if (!rc) rc = store_chat_delete(fx->st, e->id, &n, err);
        if (!rc) fx->has_deleted = true;
        if (!rc) order_states(fx, "drop", &was);
        if (!rc) effects_notice(fx, false, "deleted, %zu message%s", n, n == 1 ? "" : "s");
        break;
    default: break;
    }
    return rc ? rc : effects_changed(fx, e->id, err);
}

/* ---- files --------------------------------------------------------------------------------------
 */

/* What all entries of the folder that begin with `base` have in common; n_found counts them. */
static int common_entry(DIR *d, const char *base, struct buf *out, size_t *n_found, ox_err *err) {
    int rc = 0;
    *n_found = 0;
    for (struct dirent *e; !rc && (e = readdir(d)) != NULL;) {
        size_t n = strlen(base), same = 0, len = strlen(e->d_name);
        if (strncmp(e->d_name, base, n) != 0 || (e->d_name[0] == '.' && base[0] != '.')) continue;
        if (text_valid(e->d_name, len) != len) continue;
        if ((*n_found)++ == 0) rc = buf_puts(out, e->d_name, err);
        while (same < out->n && out->p[same] == e->d_name[same])
            same++;
        buf_cut(out, text_floor(buf_str(out), out->n, same));
    }
    return rc;
}

static int complete_path(struct effects *fx, const char *typed, ox_err *err) {
    const char *slash = strrchr(typed, '/'), *base = slash ? slash + 1 : typed;
    struct buf folder = {0}, entry = {0}, line = {0};
    struct stat st;
    size_t n_found = 0;
    int rc =
        slash ? buf_add(&folder, typed, (size_t)(base - typed), err) : buf_puts(&folder, "./", err);
    DIR *d = rc ? NULL : opendir(folder.p);
    if (d) rc = common_entry(d, base, &entry, &n_found, err);
    if (d) closedir(d);
    if (!rc && n_found > 0) {
        rc = buf_printf(&line, err, "/file %.*s%s", (int)(base - typed), typed, buf_str(&entry));
        if (!rc) rc = buf_puts(&folder, buf_str(&entry), err);
        if (!rc && n_found == 1 && stat(folder.p, &st) == 0 && S_ISDIR(st.st_mode))
            rc = buf_putc(&line, '/', err);
        struct event ev = {.kind = EV_EDITED, .text = buf_str(&line), .n = line.n};
        if (!rc) effects_event(fx, &ev);
    }
    if (!rc && n_found != 1) effects_notice(fx, false, "%zu files begin like this", n_found);
    buf_deinit(&folder);
    buf_deinit(&entry);
    buf_deinit(&line);
    return rc;
}

static int add_paste(struct effects *fx, const struct effect *e, ox_err *err) {
    struct buf raw = {0};
    struct ingest in = {0};
    const struct ingest_opts opts = {.stop_fd = -1, .kind = "text"};
    int rc = buf_add(&raw, e->text, e->n, err);
    if (!rc) rc = ingest_bytes(&raw, "pasted text", &opts, &in, err);
    if (!rc) rc = effects_take_document(fx, &in, NULL, err);
    ingest_deinit(&in);
    buf_deinit(&raw);
    return rc;
}

/* To what a search in all texts found. A document that no conversation uses starts one. */
static int jump(struct effects *fx, size_t i, ox_err *err) {
    if (!fx->st || i >= fx->s->picker.n_hits) return 0;
    struct search_hit hit = fx->s->picker.hit[i]; /* the list may change on the way */
    struct event ev = {.kind = EV_GOTO, .id = hit.message, .id2 = hit.doc, .number = hit.from};
    char word[sizeof hit.snippet] = "";
    const char *open = strchr(hit.snippet, '['), *close = open ? strchr(open, ']') : NULL;
    if (close) snprintf(word, sizeof word, "%.*s", (int)(close - open - 1), open + 1);
    ev.text = word;
    if (hit.doc) store_search_doc_chat(fx->st, hit.doc, &hit.chat, &hit.message, NULL);
    int rc = 0;
    if (hit.chat && hit.chat != fx->s->chat_id) rc = open_session(fx, hit.chat, err);
    if (!rc && hit.doc && !effects_find_doc(fx, hit.doc)) {
        rc = new_session(fx, false, false, err);
        if (!rc) rc = effects_kept_document(fx, hit.uid, err);
    }
    effects_tree_finish(fx);
    if (!rc) effects_event(fx, &ev);
    return rc;
}

/* ---- editor -------------------------------------------------------------------------------------
 */

static int write_file(const char *path, const char *s, size_t n, ox_err *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    bool ok = fd >= 0 && write(fd, s, n) == (ssize_t)n;
    int failed = errno;
    if (fd >= 0) close(fd);
    return ok ? 0 : ox_err_set(err, OX_EIO, "cannot write %.200s: %s", path, strerror(failed));
}

static int read_back(struct effects *fx, const char *path, ox_err *err) {
    struct buf text = {0};
    int fd = open(path, O_RDONLY);
    int rc = fd < 0 ? ox_err_set(err, OX_EIO, "cannot read %.200s back: %s", path, strerror(errno))
                    : ingest_read(fd, -1, path, &text, err);
    if (fd >= 0) close(fd);
    while (text.n > 0 && text.p[text.n - 1] == '\n')
        buf_cut(&text, text.n - 1); /* editors end files with one */
    struct event ev = {.kind = EV_EDITED, .text = buf_str(&text), .n = text.n};
    if (!rc) effects_event(fx, &ev);
    buf_deinit(&text);
    return rc;
}

/* $EDITOR may carry arguments ("code --wait"); no shell reads it, so it is parted at blanks. argv
 * has EDITOR_WORDS places and points into words. */
enum { EDITOR_WORDS = 16 };
static void make_command(char *words, const char *path, const char *argv[EDITOR_WORDS]) {
    size_t n = 0;
    for (char *w = words + strspn(words, " \t"); *w && n < EDITOR_WORDS - 2;) {
        size_t len = strcspn(w, " \t"), gap = strspn(w + len, " \t");
        argv[n++] = w;
        if (gap) w[len] = '\0';
        w += len + gap;
    }
    if (!n) argv[n++] = "vi";
    argv[n++] = path;
    argv[n] = NULL;
}

/* With whatever an editor left beside the text: a copy of it, most likely. */
static void remove_folder(const char *folder) {
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d) closedir(d);
    rmdir(folder);
}

/* A failed editor keeps the text: the event comes only after a good exit. */
static int edit_outside(struct effects *fx, const struct effect *e, ox_err *err) {
    char folder[] = "/tmp/oxbow-XXXXXX", path[64];
    const char *argv[EDITOR_WORDS];
    char *words = ox_strdup(fx->conf->editor ? fx->conf->editor : "", "the editor's command", err);
    if (!words) return OX_ENOMEM;
    if (!mkdtemp(folder)) {
        ox_free(words);
        return ox_err_set(err, OX_EIO, "cannot make a private folder: %s", strerror(errno));
    }
    snprintf(path, sizeof path, "%s/question.md", folder);
    make_command(words, path, argv);
    int rc = write_file(path, e->text, e->n, err);
    if (!rc) {
        term_pause(fx->term);
        rc = child_wait(argv, err);
        term_resume(fx->term);
    }
    if (!rc) rc = read_back(fx, path, err);
    remove_folder(folder);
    ox_free(words);
    return rc;
}

/* ---- the rest -----------------------------------------------------------------------------------
 */

static int set_value(struct effects *fx, const char *pair, ox_err *err) {
    const char *key, *value;
    int rc = command_setting(pair, &key, &value, err);
    if (!rc) rc = conf_set(fx->conf, key, value, "/set", err);
    if (!rc) effects_notice(fx, false, "%s is %s from the next answer on", key, value);
    return rc;
}

/* The document that a prompt is about: the first that waits, else the last that was sent. */
static const char *meant_doc(const struct app_state *s) {
    for (size_t i = 0; i < s->n_docs; i++)
        if (s->doc[i].is_pending) return s->doc[i].d.name;
    return s->n_docs ? s->doc[s->n_docs - 1].d.name : NULL;
}

static int use_prompt(struct effects *fx, const char *line, ox_err *err) {
    struct buf text = {0};
    int rc = named_prompt_line(fx->conf, line, meant_doc(fx->s), &text, err);
    struct event ev = {.kind = EV_EDITED, .text = buf_str(&text), .n = text.n};
    if (!rc) effects_event(fx, &ev);
    buf_deinit(&text);
    return rc;
}

static void suspend(struct effects *fx) {
    term_pause(fx->term);
    kill(0, SIGSTOP); /* the whole group, as the terminal's own Ctrl-Z does; goes on at SIGCONT */
    term_resume(fx->term);
}

void effects_draft(struct effects *fx, const char *text, size_t n, size_t cursor) {
    ox_err e = {0};
    const char *place = fx->s->uid[0] ? fx->s->uid : "new";
    if (!fx->writes || !store_draft_put(fx->st, place, text, n, cursor, &e)) return;
    if (store_is_full(fx->st)) effects_not_saved(fx, &e);
}

/* Which branch is shown is for the process to say that has the session. */
static bool is_ours(const struct effects *fx) {
    return fx->writes && fx->is_locked;
}

static int run(struct effects *fx, const struct effect *e, ox_err *err) {
    switch (e->kind) {
    case FX_NONE:
    case FX_QUIT: return 0;
    case FX_REDRAW: term_set_theme(fx->term, theme_find(fx->s->theme)); return 0;
    case FX_SUSPEND: suspend(fx); return 0;
    case FX_BELL:
        if (fx->conf->bell) term_bell(fx->term);
        return 0;
    case FX_COPY: return effects_copy(fx, e->text, e->n, err);
    case FX_EDITOR: return edit_outside(fx, e, err);
    case FX_ASK:
    case FX_CONTINUE:
    case FX_COMPACT: effects_ask(fx, e); return 0;
    case FX_SUMMARIZE: effects_summarize(fx, e); return 0;
    case FX_AGREE: effects_agree(fx); return 0;
    case FX_PRICE: effects_price(fx, e); return 0;
    case FX_STOP: effects_stop(fx); return 0;
    case FX_DRAFT: effects_draft(fx, e->text, e->n, (size_t)e->id); return 0;
    case FX_HISTORY:
        if (!fx->writes || e->n >= 65536 || fx->unsaved.is_full) return 0;
        return store_input_add(fx->st, fx->s->chat_id, e->text, err);
    case FX_LIST: return effects_list(fx, err);
    case FX_PREVIEW: return effects_preview(fx, e->id, err);
    case FX_SEARCH: return effects_search(fx, e->text, err);
    case FX_JUMP: return jump(fx, (size_t)e->id, err);
    case FX_OPEN: return open_named(fx, e, err);
    case FX_NEW: return new_session(fx, false, e->id == 1, err);
    case FX_RENAME:
    case FX_DELETE:
    case FX_PIN:
    case FX_FORK:
    case FX_BRANCH: return e->kind == FX_BRANCH && !is_ours(fx) ? 0 : change_session(fx, e, err);
    case FX_EXPORT: return effects_export(fx, e, err);
    case FX_FILE: return effects_file(fx, e->text, err);
    case FX_STOP_FILE: effects_file_stop(fx); return 0;
    case FX_PATH: return complete_path(fx, e->text, err);
    case FX_PASTE_DOC: return add_paste(fx, e, err);
    case FX_SET: return set_value(fx, e->text, err);
    case FX_THINK:
        fx->conf->no_think = e->id == 0;
        effects_notice(fx, false,
                       fx->info && !fx->info->thinks ? "thoughts are %s; this model has none"
                                                     : "thoughts are %s",
                       e->id ? "on" : "off");
        return 0;
    case FX_COUNT: return effects_count_text(fx, e, err);
    case FX_STATES: return effects_say_states(fx, err);
    case FX_MODEL: return effects_model(fx, e, err);
    case FX_PROMPT: return use_prompt(fx, e->text, err);
    }
    return 0;
}

void effects_do(struct effects *fx, enum effect_kind kind, int64_t id, const char *text) {
    ox_err failed = {0};
    struct effect e = {.kind = kind, .id = id};
    if (text) e.text = ox_strdup(text, "effect", &failed);
    e.n = e.text ? strlen(e.text) : 0;
    if (failed.code || run(fx, &e, &failed)) effects_fail(fx, &failed);
    ox_free(e.text);
}

/* Typing and scrolling go on while a long conversation is read in; keys that send, count turns or
 * change branches see all of it. */
static bool needs_all(const struct app_state *s, uint32_t key) {
    bool moves = key == 'j' || key == 'k' || key == ' ';
    return key == KEY_ENTER || (s->focus == FOCUS_CHAT && key < KEY_ENTER && !moves);
}

void effects_event(struct effects *fx, struct event *ev) {
    struct effect_list list = {0};
    ox_err err = {0};
    ev->now = effects_clock();
    if (fx->tree.is_going && ev->kind == EV_KEY && needs_all(fx->s, ev->key))
        effects_tree_finish(fx);
    update(fx->s, ev, &list, &err);
    for (size_t i = 0; i < list.n;
         i++) { /* an effect may come back here with an event of its own */
        ox_err failed = {0};
        if (run(fx, &list.v[i], &failed)) effects_fail(fx, &failed);
    }
    effect_list_deinit(&list);
}

/* ---- life ---------------------------------------------------------------------------------------
 */

int effects_open_store(struct effects *fx, ox_err *err) {
    if (!fx->conf->save) return 0;
    ox_err e = {0};
    int rc = store_open(fx->conf->db, false, &fx->st, &e);
    if (rc == OX_EDB) {
        if (err) *err = e;
        return ox_err_wrap(err, rc, "open the database");
    }
    if (rc)
        effects_notice(fx, true, "NOT SAVED: %s", e.what);
    else
        fx->writes = !store_is_read_only(fx->st);
    if (!rc && !fx->writes)
        effects_notice(fx, true, "NOT SAVED: the database is read-only");
    else if (!rc && store_note(fx->st)[0])
        effects_notice(fx, false, "%s", store_note(fx->st));
    return 0;
}

int effects_start_engine(struct effects *fx, ox_err *err) {
    const struct config *c = fx->conf;
    char log_path[OPEN_PATH_BYTES];
    struct worker_opts opts = open_options(c, fx->st ? store_uid(fx->st) : NULL, log_path);
    int rc = worker_start(&opts, &fx->w, err);
    if (rc) return rc;
    return effects_load(fx, err);
}

bool effects_idle(struct effects *fx) {
    if (effects_list_idle(fx) || effects_tree_idle(fx)) return true;
    for (size_t i = 0; i < fx->n_docs && fx->st; i++) {
        struct fx_doc *d = &fx->doc[i];
        bool ready = false;
        ox_err e = {0};
        if (!d->is_reading_in) continue;
        if (store_doc_step(fx->st, d->id, &ready, NULL, &e)) {
            d->is_reading_in = false;
            effects_fail(fx, &e);
        } else if (ready) {
            d->is_reading_in = false;
            const struct open_doc *open = effects_find_doc(fx, d->id);
            if (open && d->tok.n > 0)
                store_doc_tokens_put(fx->st, d->id, open->d.from, effects_doc_end(open), d->tok.v,
                                     d->tok.n, NULL);
        }
        return true;
    }
    return false;
}

void effects_close(struct effects *fx) {
    effects_file_close(fx);
    if (fx->w) worker_cancel(fx->w);
    worker_stop(fx->w);
    if (fx->st && fx->s->chat_id && fx->is_locked) store_chat_unlock(fx->st, fx->s->chat_id);
    if (fx->has_deleted) store_scrub(fx->st, false, NULL); /* takes too long while it is shown */
    store_close(fx->st);
    effects_forget_docs(fx);
    effects_list_close(fx);
    effects_tree_drop(fx);
    effects_drop_summary(fx);
    buf_deinit(&fx->title.text);
    ox_free(fx->doc);
    ox_free(fx->waiting.text);
    ox_free(fx->answer.tok.v);
    buf_deinit(&fx->answer.text);
    buf_deinit(&fx->answer.thought);
    *fx = (struct effects){0};
}
