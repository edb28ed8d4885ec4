/* doctor.c - terminal, folders, model, database, cache: each with a verdict and a fix. What it
 * prints is safe to publish: no keys, titles or text. */
#include "app/cli/doctor_term.h"
#include "app/cli/stored.h"
#include "app/core/keymap.h"
#include "app/core/say.h"
#include "app/core/text.h"
#include "app/core/version.h"
#include "app/remote/http.h"
#include "app/remote_conf.h"
#include "app/store/check.h"
#include "app/store/states.h"
#include "app/store/version.h"

#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct report {
    struct buf b;
    bool is_bad;
    int rc; /* memory */
};

static void say(struct report *r, enum store_verdict v, const char *name, const char *text,
                const char *fix) {
    static const char *const words[] = {"ok", "warn", "bad"};
    if (!r->rc) r->rc = buf_printf(&r->b, NULL, "%-5s %-14s %s\n", words[v], name, text);
    if (!r->rc && v != STORE_OK && fix[0]) r->rc = buf_printf(&r->b, NULL, "      fix: %s\n", fix);
    r->is_bad = r->is_bad || v == STORE_BAD;
}

static void check_terminal(struct report *r, const struct cli *c) {
    struct winsize w;
    char text[128];
    bool sized =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 || ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0;
    snprintf(text, sizeof text, "TERM=%.40s", c->conf.term);
    if (sized) snprintf(text, sizeof text, "TERM=%.40s, %u x %u", c->conf.term, w.ws_col, w.ws_row);
    bool dumb = !c->conf.term[0] || strcmp(c->conf.term, "dumb") == 0;
    say(r, dumb ? STORE_WARN : STORE_OK, "terminal", text,
        "without cursor movement oxbow uses plain lines");
    const char *codeset = nl_langinfo(CODESET);
    bool utf8 = strcmp(codeset, "UTF-8") == 0;
    say(r, utf8 ? STORE_OK : STORE_WARN, "locale", codeset,
        "export LC_ALL=C.UTF-8, or a locale of your language");
}

/* A cluster that is drawn in other cells than we count does no harm beyond itself: the cursor is
 * moved behind it (ui/paint.c). The ambiguous ones are too many for that, so there is a setting. */
static void check_widths(struct report *r, const struct cli *c) {
    struct drawn_cluster seen[DRAWN_CLUSTERS];
    char text[160], fix[160] = "";
    bool dumb = !c->conf.term[0] || strcmp(c->conf.term, "dumb") == 0;
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0 || dumb || !doctor_ask_terminal(seen)) {
        say(r, STORE_WARN, "widths", "the terminal does not say how wide it draws characters",
            "nothing, unless rows look broken: then width.ambiguous = 2 may help");
        return;
    }
    for (int i = 0; i < DRAWN_CLUSTERS; i++) {
        int drawn = seen[i].drawn, counted = (int)text_cells(seen[i].bytes, strlen(seen[i].bytes));
        bool is_wrong = seen[i].is_ambiguous && drawn != counted;
        snprintf(text, sizeof text, "%s: %d cell%s%s", seen[i].name, drawn, drawn == 1 ? "" : "s",
                 drawn == counted ? ", as counted" : "");
        if (is_wrong)
            snprintf(fix, sizeof fix, "width.ambiguous = %d in %.100s", drawn, c->conf.file);
        if (drawn != counted && !is_wrong)
            snprintf(text, sizeof text, "%s: %d cell%s, counted %d; rows stay whole", seen[i].name,
                     drawn, drawn == 1 ? "" : "s", counted);
        say(r, is_wrong ? STORE_WARN : STORE_OK, "widths", text, fix);
    }
    snprintf(text, sizeof text, "width.ambiguous = %d", (int)c->conf.ambiguous_width);
    say(r, STORE_OK, "setting", text, "");
}

/* A file or folder that others may read. */
static void check_mode(struct report *r, const char *name, const char *path) {
    struct stat st;
    char text[64];
    if (stat(path, &st)) return;
    snprintf(text, sizeof text, "%s is %03o", S_ISDIR(st.st_mode) ? "folder" : "file",
             (unsigned)st.st_mode & 0777);
    say(r, st.st_mode & 077 ? STORE_WARN : STORE_OK, name, text,
        S_ISDIR(st.st_mode) ? "chmod 700" : "chmod 600");
}

static void check_disk(struct report *r, const char *name, const char *dir) {
    struct statvfs v;
    char text[96], n[SAY_BYTES];
    if (statvfs(dir, &v)) return;
    uint64_t bytes = (uint64_t)v.f_bavail * v.f_frsize;
    snprintf(text, sizeof text, "%s free", say_bytes(n, bytes));
    say(r,
        bytes < 64 << 20            ? STORE_BAD
        : bytes < (uint64_t)1 << 30 ? STORE_WARN
                                    : STORE_OK,
        name, text, "free some space, or oxbow states prune --to 1G");
}

/* The first folder up from `dir` that is there: if it is not a writable folder, nothing is kept. */
static void check_writable(struct report *r, const char *name, const char *dir) {
    char path[PATH_MAX], *cut;
    struct stat st;
    snprintf(path, sizeof path, "%s", dir);
    while (stat(path, &st) && errno != ENOTDIR && (cut = strrchr(path, '/')) && cut > path)
        *cut = '\0';
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (is_folder && access(path, W_OK | X_OK) == 0) return;
    say(r, STORE_WARN, name, is_folder ? "cannot be written" : "a file stands in its place",
        "oxbow answers but keeps nothing; correct the folder, or set XDG_DATA_HOME, "
        "XDG_CACHE_HOME");
}

/* Names of keys are known to the screen only, which starts also with wrong ones. */
static int try_keys(const struct cli *c, ox_err *err) {
    struct keymap map = {0};
    int rc = 0;
    for (size_t i = 0; !rc && i < c->conf.n_more; i++)
        if (strncmp(c->conf.more[i].key, "key.", 4) == 0)
            rc = keymap_bind(&map, c->conf.more[i].key + 4, c->conf.more[i].value, err);
    keymap_deinit(&map);
    return rc;
}

static void check_config(struct report *r, const struct cli *c) {
    ox_err e = {0};
    bool is_wrong = c->conf_err.code != 0;
    if (!is_wrong && try_keys(c, &e)) {
        say(r, STORE_WARN, "config", e.what, e.fix);
        return;
    }
    say(r, is_wrong ? STORE_BAD : STORE_OK, "config",
        is_wrong                          ? c->conf_err.what
        : access(c->conf.file, F_OK) == 0 ? "every line is understood"
                                          : "no file, defaults",
        c->conf_err.fix);
}

static int skip_line(void *user, const char *json) {
    (void)user, (void)json;
    return 0;
}

/* Nobody is asked: doctor opens no socket. */
static void check_server(struct report *r, const struct cli *c, const char *name) {
    struct remote_server s;
    ox_err e = {0};
    struct http *h = NULL;
    int rc = remote_conf(&c->conf, name, &s, &e);
    if (!rc) rc = http_open(&h, &e); /* is libcurl there? */
    http_close(h);
    say(r,
        rc       ? STORE_BAD
        : s.note ? STORE_WARN
                 : STORE_OK,
        "model",
        rc       ? e.what
        : s.note ? s.note
                 : "remote, no saved states; the server was not asked",
        rc ? e.fix : "url with https:// in the config");
    remote_server_deinit(&s);
}

static void check_model(struct report *r, const struct cli *c) {
    ox_err e = {0};
    const char *server = remote_conf_name(c->conf.model);
    if (server) {
        check_server(r, c, server);
        return;
    }
    const struct ox_engine_opts opts = {
        .model_dir = c->conf.model, .backend = c->conf.backend, .kv = c->conf.kv};
    int rc = ox_offline(OX_TASK_INSPECT, &opts, NULL, skip_line, NULL, &e);
    say(r, rc ? STORE_BAD : STORE_OK, "model",
        rc              ? e.what
        : c->conf.model ? "the folder is whole"
                        : "built in",
        e.fix);
}

static int each_finding(void *user, const struct store_finding *f) {
    say(user, f->verdict, f->name, f->text, f->fix);
    return 0;
}

static int check_database(struct report *r, const struct cli *c, ox_err *err) {
    store *st = NULL;
    ox_err e = {0};
    if (access(c->conf.db, F_OK) != 0) {
        say(r, STORE_OK, "database", "none yet", "");
        return 0;
    }
    check_mode(r, "database", c->conf.db);
    int rc = stored_open(c, true, &st, &e);
    if (rc)
        say(r, STORE_BAD, "database", e.what,
            e.fix[0] ? e.fix : "oxbow doctor --salvage FILE copies what can be read");
    else
        rc = store_check(st, each_finding, r, &e);
    store_close(st);
    if (rc == OX_EDB && err) { /* the lines have said it; the exit status says it too */
        *err = (ox_err){.code = OX_EDB};
        return OX_EDB;
    }
    return 0;
}

static void check_cache(struct report *r, const struct cli *c) {
    const struct states_opts opts = {.folder = c->conf.cache_dir, .read_only = true};
    struct states_usage u = {0};
    states *s = NULL;
    char text[128], used[SAY_BYTES], quota[SAY_BYTES];
    ox_err e = {0};
    int rc = states_open(&opts, &s, &e);
    if (!rc) rc = states_usage(s, &u, &e);
    snprintf(text, sizeof text, "%s of %s, %llu records", say_bytes(used, u.bytes),
             say_bytes(quota, u.quota_bytes), (unsigned long long)u.n_records);
    say(r, rc || u.full_by_pins ? STORE_WARN : STORE_OK, "saved states", rc ? e.what : text,
        u.full_by_pins ? "oxbow states unpin ID" : "it is a cache: deleting it costs time only");
    states_close(s);
}

static int examine(struct cli *c, ox_err *err) {
    struct report r = {0};
    struct buf libs = {0}, versions = {0};
    bool only_db = flags_has(&c->flags, "--db-only"), only_term = flags_has(&c->flags, "--term");
    int rc = version_core(&libs, err);
    if (!rc)
        rc = buf_printf(&versions, err, "sqlite %s, %s", store_sqlite_version(), buf_str(&libs));
    if (!rc && !only_db) check_terminal(&r, c);
    if (!rc && only_term) check_widths(&r, c);
    if (!rc && !only_db && !only_term) {
        say(&r, STORE_OK, "libraries", buf_str(&versions), "");
        check_config(&r, c);
        check_model(&r, c);
        check_mode(&r, "data folder", c->conf.data_dir);
        check_writable(&r, "data folder", c->conf.data_dir);
        check_writable(&r, "cache folder", c->conf.cache_dir);
        check_disk(&r, "disk",
                   access(c->conf.data_dir, F_OK) == 0 ? c->conf.data_dir : c->conf.home);
        check_cache(&r, c);
    }
    if (!rc && !only_term) rc = check_database(&r, c, err);
    int said = stored_flush(&r.b, rc ? NULL : err);
    if (!rc) rc = r.rc ? r.rc : said;
    if (!rc && r.is_bad) {
        rc = OX_EFAIL;
        if (err) *err = (ox_err){.code = rc};
    }
    buf_deinit(&r.b);
    buf_deinit(&libs);
    buf_deinit(&versions);
    return rc;
}

static int salvage(const struct cli *c, const char *file, ox_err *err) {
    struct store_salvaged s = {0};
    int rc = store_salvage(c->conf.db, file, &s, err);
    if (!rc) printf("%zu rows copied to the new file, %zu lost\n", s.n_rows, s.n_lost);
    return rc;
}

static int backup(const struct cli *c, const char *file, ox_err *err) {
    store *st = NULL;
    int rc = stored_open(c, true, &st, err);
    if (!rc) rc = store_backup(st, file, flags_has(&c->flags, "--force"), err);
    if (!rc) printf("the copy is whole and on disk\n");
    store_close(st);
    return rc;
}

static int run(struct cli *c, ox_err *err) {
    const char *to = flags_get(&c->flags, "--backup"), *rescued = flags_get(&c->flags, "--salvage");
    if (to) return backup(c, to, err);
    if (rescued) return salvage(c, rescued, err);
    return examine(c, err);
}

const struct verb verb_doctor = {
    .name = "doctor",
    .args = "",
    .brief = "checks, backup, rescue",
    .flags = "--db-only --term --backup --salvage --force --db " FLAGS_MODEL FLAGS_ALWAYS,
    .examples = "oxbow doctor\tok, warn or bad lines, safe to publish\n"
                "oxbow doctor --term\thow wide the terminal draws characters, and the setting\n"
                "oxbow doctor --backup oxbow-copy.db\tsafe while chatting\n"
                "oxbow doctor --salvage rescued.db\twhat can be read of a damaged database",
    .examines = true,
    .run = run,
};
