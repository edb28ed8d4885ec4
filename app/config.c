/* config.c - see config.h. The only reader of the environment. */
#include "app/config.h"

#include <errno.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define AT(field) offsetof(struct config, field)
enum { MAX_FILE_BYTES = 1 << 20 };

/* clang-format off */
const struct config_key config_keys[] = {
    /* name            environment        type           place                  min  max     choices  help */
    {"model",          "OXBOW_MODEL",     CONFIG_PATH,   AT(model),              0,  0,       NULL, "model folder, or remote:NAME; without it the built-in model"},
    {"backend",        NULL,              CONFIG_TEXT,   AT(backend),            0,  0,       NULL, "auto, cpu, cpu-ref, cpu-avx2, cpu-avx512, cpu-avx512bf16, cuda, cuda:N"},
    {"kv",             NULL,              CONFIG_TEXT,   AT(kv),                 0,  0,       NULL, "format of the KV cache: bf16, int8, f32"},
    {"threads",        NULL,              CONFIG_INT,    AT(threads),            0,  1024,    NULL, "threads of the CPU backend; 0: physical cores, or the quota"},
    {"ctx",            NULL,              CONFIG_TOKENS, AT(ctx),                0,  65536,   NULL, "context limit in tokens, as 32k or 32768"},
    {"temperature",    NULL,              CONFIG_NUMBER, AT(temperature),        0,  100,     NULL, "sampling: 0 takes the best token"},
    {"top_p",          NULL,              CONFIG_NUMBER, AT(top_p),              0,  1,       NULL, "sampling: smallest set of tokens with this probability"},
    {"top_k",          NULL,              CONFIG_INT,    AT(top_k),              0,  1000000, NULL, "sampling: best K tokens; 0: all"},
    {"min_p",          NULL,              CONFIG_NUMBER, AT(min_p),              0,  1,       NULL, "sampling: at least this share of the best token's probability"},
    {"repeat_penalty", NULL,              CONFIG_NUMBER, AT(repeat_penalty),     0.01, 100,   NULL, "sampling: divides scores of tokens already in the reply; 1: off"},
    {"seed",           NULL,              CONFIG_INT,    AT(seed),               0,  9e15,    NULL, "sampling: the same seed gives the same answer"},
    {"max_new",        NULL,              CONFIG_TOKENS, AT(max_new),            1,  65536,   NULL, "at most this many new tokens an answer"},
    {"no_think",       NULL,              CONFIG_BOOL,   AT(no_think),           0,  0,       NULL, "Think models answer without thoughts"},
    {"db",             "OXBOW_DB",        CONFIG_PATH,   AT(db),                 0,  0,       NULL, "the database of conversations and documents"},
    {"cache_dir",      "OXBOW_CACHE_DIR", CONFIG_PATH,   AT(cache_dir),          0,  0,       NULL, "folder of saved states"},
    {"states.quota",   NULL,              CONFIG_BYTES,  AT(states_quota_bytes), 0,  1e15,    NULL, "most bytes of saved states, as 20G; 0: none"},
    {"save",           NULL,              CONFIG_BOOL,   AT(save),               0,  0,       NULL, "keep conversations on disk"},
    {"plain",          NULL,              CONFIG_BOOL,   AT(plain),              0,  0,       NULL, "append-only lines instead of the full screen"},
    {"color",          NULL,              CONFIG_CHOICE, AT(color),              0,  0,       "auto always never", "auto, always, never"},
    {"mouse",          NULL,              CONFIG_BOOL,   AT(mouse),              0,  0,       NULL, "wheel, click and drag"},
    {"clipboard",      NULL,              CONFIG_CHOICE, AT(clipboard),          0,  0,       "auto terminal program", "by OSC 52, by wl-copy or xclip, or what works"},
    {"titles",         NULL,              CONFIG_BOOL,   AT(titles),             0,  0,       NULL, "better titles when idle, by models of 1 GiB and more"},
    {"bell",           NULL,              CONFIG_BOOL,   AT(bell),               0,  0,       NULL, "ring when a long read or an answer ends"},
    {"theme",          NULL,              CONFIG_TEXT,   AT(theme),              0,  0,       "inherit light dark mono", "inherit, light, dark, mono"},
    {"width.ambiguous",NULL,              CONFIG_INT,    AT(ambiguous_width),    1,  2,       NULL, "cells of East Asian ambiguous characters"},
    {NULL,             NULL,              CONFIG_TEXT,   0,                      0,  0,       NULL, NULL},
};
/* Keys with a free part, and variables that are no keys. */
static const char *const free_keys[] = {"key.", "remote."};
/* clang-format on */

static const struct config_key *find_key(const char *name) {
    for (const struct config_key *k = config_keys; k->name; k++)
        if (strcmp(k->name, name) == 0) return k;
    return NULL;
}

static const char *get_env(char *const *env, const char *name) {
    if (!env) return getenv(name);
    size_t n = strlen(name);
    for (; *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') return *env + n + 1;
    return NULL;
}

/* --- one value -----------------------------------------------------------------------------------
 */

static int refuse(const char *origin, const char *value, const char *want, ox_err *err) {
    ox_err_set(err, OX_EUSAGE, "%s: \"%.80s\" is not %s", origin, value, want);
    return OX_EUSAGE;
}

static int parse_number(const struct config_key *k, const char *value, const char *origin,
                        double *out, ox_err *err) {
    char want[96], *end;
    bool whole = k->type != CONFIG_NUMBER;
    char plain[32];
    size_t n = strlen(value);
    bool in_k = k->type == CONFIG_TOKENS && n > 1 && n < sizeof plain && value[n - 1] == 'k';
    if (whole && k->max >= 1e15)
        snprintf(want, sizeof want, "a whole number from %.0f on", k->min);
    else
        snprintf(want, sizeof want, "a %snumber from %g to %g", whole ? "whole " : "", k->min,
                 k->max);
    const char *digits = value;
    if (in_k) { /* as the meter and model bench write it */
        snprintf(plain, sizeof plain, "%.*s", (int)n - 1, value);
        digits = plain;
    }
    errno = 0;
    *out = strtod(digits, &end) * (in_k ? 1024 : 1);
    /* strtod knows hex, inf, nan and spaces; people who type them mean something else. */
    if (end == digits || *end || errno || strspn(digits, "0123456789.eE+-") != strlen(digits) ||
        !(*out >= k->min && *out <= k->max))
        return refuse(origin, value, want, err);
    if (whole && (floor(*out) != *out || strspn(digits, "0123456789") != strlen(digits)))
        return refuse(origin, value, want, err);
    return 0;
}

static int parse_bytes(const struct config_key *k, const char *value, const char *origin,
                       int64_t *out, ox_err *err) {
    static const char units[] = "KMGT";
    char *end;
    double v = strtod(value, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    for (const char *u = units; unit && u <= unit; u++)
        v *= 1024;
    if (end == value || strspn(value, "0123456789.") != (size_t)(end - value) ||
        (*end && (!unit || (end[1] && strcmp(end + 1, "iB") != 0 && strcmp(end + 1, "B") != 0))) ||
        !(v >= k->min && v <= k->max))
        return refuse(origin, value, "a size such as 500M or 20G", err);
    *out = (int64_t)v;
    return 0;
}

static int parse_bool(const char *value, const char *origin, bool *out, ox_err *err) {
    static const char *const yes[] = {"on", "yes", "true", "1"}, *const no[] = {"off", "no",
                                                                                "false", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(value, yes[i]) == 0)
            *out = true;
        else if (strcmp(value, no[i]) == 0)
            *out = false;
        else
            continue;
        return 0;
    }
    return refuse(origin, value, "on or off", err);
}

static int parse_choice(const struct config_key *k, const char *value, const char *origin, int *out,
                        ox_err *err) {
    size_t n = strlen(value);
    const char *p = k->choices;
    for (int i = 0; *p; i++) {
        size_t len = strcspn(p, " ");
        if (len == n && memcmp(p, value, n) == 0) {
            *out = i;
            return 0;
        }
        p += len + (p[len] == ' ');
    }
    char want[96];
    snprintf(want, sizeof want, "one of %s", k->choices);
    return refuse(origin, value, want, err);
}

/* "~/x" in a file: no shell has seen it. */
static char *dup_path(struct config *c, const char *value, ox_err *err) {
    if (value[0] != '~' || value[1] != '/')
        return ox_arena_strdup(&c->mem, value, strlen(value), err);
    const char *home = c->home;
    size_t n = strlen(home), m = strlen(value + 1);
    char *p = ox_arena_alloc(&c->mem, n + m + 1, 1, "a path", err);
    if (p) {
        memcpy(p, home, n);
        memcpy(p + n, value + 1, m);
    }
    return p;
}

static int set_key(struct config *c, const struct config_key *k, const char *value,
                   const char *origin, ox_err *err) {
    void *at = (char *)c + k->offset;
    double number;
    int choice, rc = 0;
    switch (k->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH: {
        if (!*value) return refuse(origin, value, "a value (it is empty)", err);
        if (k->choices) rc = parse_choice(k, value, origin, &choice, err);
        if (rc) return rc;
        char *s = dup_path(c, value, err);
        if (!s) return OX_ENOMEM;
        *(const char **)at = s;
        return 0;
    }
    case CONFIG_INT:
    case CONFIG_TOKENS:
        rc = parse_number(k, value, origin, &number, err);
        if (!rc) *(int64_t *)at = (int64_t)number;
        return rc;
    case CONFIG_NUMBER:
        rc = parse_number(k, value, origin, &number, err);
        if (!rc) *(double *)at = number;
        return rc;
    case CONFIG_BYTES: return parse_bytes(k, value, origin, (int64_t *)at, err);
    case CONFIG_BOOL: return parse_bool(value, origin, (bool *)at, err);
    case CONFIG_CHOICE:
        rc = parse_choice(k, value, origin, &choice, err);
        if (!rc) *(enum config_when *)at = (enum config_when)choice;
        return rc;
    }
    return rc;
}

/* --- the file ------------------------------------------------------------------------------------
 */

static int add_more(struct config *c, const char *key, const char *value, ox_err *err) {
    struct config_more *all =
        ox_arena_alloc(&c->mem, c->n_more + 1, sizeof *all, "settings", err); /* few, read once */
    char *k = ox_arena_strdup(&c->mem, key, strlen(key), err);
    char *v = ox_arena_strdup(&c->mem, value, strlen(value), err);
    if (!all || !k || !v) return OX_ENOMEM;
    if (c->n_more) memcpy(all, c->more, c->n_more * sizeof *all);
    all[c->n_more++] = (struct config_more){k, v, NULL};
    c->more = all;
    return 0;
}

int conf_set(struct config *c, const char *key, const char *value, const char *origin,
             ox_err *err) {
    const struct config_key *k = find_key(key);
    if (k) return set_key(c, k, value, origin, err);
    for (size_t i = 0; i < sizeof free_keys / sizeof free_keys[0]; i++) {
        size_t n = strlen(free_keys[i]);
        if (strncmp(key, free_keys[i], n) == 0 && key[n]) return add_more(c, key, value, err);
    }
    ox_err_set(err, OX_EUSAGE, "%s: unknown key \"%.80s\"", origin, key);
    return OX_EUSAGE;
}

static char *trim(char *s) {
    s += strspn(s, " \t");
    size_t n = strlen(s);
    while (n && strchr(" \t\r\n", s[n - 1]))
        s[--n] = '\0';
    return s;
}

static int read_line(struct config *c, char *line, int n, ox_err *err) {
    char *key = trim(line), *eq = strchr(key, '=');
    if (!*key || *key == '#') return 0;
    char origin[400];
    snprintf(origin, sizeof origin, "%.300s line %d", c->file, n);
    if (!eq) {
        ox_err_set(err, OX_EUSAGE, "%s: expected key = value, found \"%.60s\"", origin, key);
        return ox_err_fix(err, "comments begin with #");
    }
    *eq = '\0';
    char *value = trim(eq + 1);
    char *comment = strstr(value, " #");
    if (comment) {
        *comment = '\0';
        value = trim(value);
    }
    int rc = conf_set(c, trim(key), value, origin, err);
    if (rc == OX_EUSAGE)
        ox_err_fix(err, "correct that line; `oxbow completion man | man -l -` lists the keys");
    return rc;
}

static int read_file(struct config *c, bool must_exist, ox_err *err) {
    FILE *f = fopen(c->file, "r");
    if (!f && errno == ENOENT && !must_exist) return 0;
    struct stat st;
    if (!f || fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE_BYTES) {
        ox_err_set(err, OX_EUSAGE, "cannot read config file %s: %s", c->file,
                   !f                    ? strerror(errno)
                   : S_ISREG(st.st_mode) ? "larger than 1 MiB"
                                         : "not a file");
        ox_err_fix(err, must_exist ? "correct OXBOW_CONFIG, or remove it from the environment"
                                   : "make it a file that you can read, or remove it");
        if (f) fclose(f);
        return OX_EUSAGE;
    }
    char *line = NULL;
    size_t cap = 0;
    int rc = 0;
    for (int n = 1; !rc && getline(&line, &cap, f) >= 0; n++)
        rc = read_line(c, line, n, err);
    free(line); /* getline's own */
    fclose(f);
    return rc;
}

/* --- folders and environment ---------------------------------------------------------------------
 */

/* $VAR/oxbow if VAR is an absolute path, else $HOME/rest/oxbow. */
static const char *own_dir(struct config *c, char *const *env, const char *var, const char *rest,
                           ox_err *err) {
    const char *base = get_env(env, var);
    bool given = base && base[0] == '/';
    struct buf b = {0};
    int rc = given ? buf_printf(&b, err, "%s/oxbow", base)
                   : buf_printf(&b, err, "%s/%s/oxbow", c->home, rest);
    char *s = rc ? NULL : ox_arena_strdup(&c->mem, b.p, b.n, err);
    buf_deinit(&b);
    return s;
}

static const char *under(struct config *c, const char *dir, const char *name, ox_err *err) {
    struct buf b = {0};
    int rc = buf_printf(&b, err, "%s/%s", dir, name);
    char *s = rc ? NULL : ox_arena_strdup(&c->mem, b.p, b.n, err);
    buf_deinit(&b);
    return s;
}

static int find_places(struct config *c, char *const *env, ox_err *err) {
    const char *home = get_env(env, "HOME");
    if (!home || !*home) { /* a bare environment, as some services have: never a shared folder */
        const struct passwd *me = getpwuid(getuid());
        home = me && me->pw_dir && *me->pw_dir ? me->pw_dir : "/";
    }
    c->home = ox_arena_strdup(&c->mem, home, strlen(home), err);
    if (!c->home) return OX_ENOMEM;
    c->config_dir = own_dir(c, env, "XDG_CONFIG_HOME", ".config", err);
    c->data_dir = own_dir(c, env, "XDG_DATA_HOME", ".local/share", err);
    c->cache_dir = own_dir(c, env, "XDG_CACHE_HOME", ".cache", err);
    c->state_dir = own_dir(c, env, "XDG_STATE_HOME", ".local/state", err);
    if (!c->config_dir || !c->data_dir || !c->cache_dir || !c->state_dir) return OX_ENOMEM;
    const char *named = get_env(env, "OXBOW_CONFIG");
    c->file = named && *named ? ox_arena_strdup(&c->mem, named, strlen(named), err)
                              : under(c, c->config_dir, "config", err);
    c->db = under(c, c->data_dir, "oxbow.db", err);
    return c->file && c->db ? 0 : OX_ENOMEM;
}

static const char *first_of(char *const *env, const char *a, const char *b) {
    const char *v = get_env(env, a);
    return v && *v ? v : b ? get_env(env, b) : NULL;
}

static int copy_env(struct config *c, const char **field, const char *value, ox_err *err) {
    if (!value || !*value) return 0;
    *field = ox_arena_strdup(&c->mem, value, strlen(value), err);
    return *field ? 0 : OX_ENOMEM;
}

/* What a program needs to reach the clipboard, and nothing else. */
static int read_clip_env(struct config *c, char *const *env, ox_err *err) {
    static const char *const names[CONFIG_CLIP_ENV] = {"PATH", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR",
                                                       "DISPLAY", "XAUTHORITY"};
    struct buf pair = {0};
    int rc = 0;
    for (size_t i = 0, n = 0; i < CONFIG_CLIP_ENV && !rc; i++) {
        const char *v = get_env(env, names[i]);
        buf_cut(&pair, 0);
        if (!v || !*v) continue;
        rc = buf_printf(&pair, err, "%s=%s", names[i], v);
        if (!rc) rc = copy_env(c, &c->clip_env[n++], pair.p, err);
    }
    buf_deinit(&pair);
    return rc;
}

/* Variables that the file names. */
static int read_named_env(struct config *c, char *const *env, ox_err *err) {
    static const char tail[] = ".key_env";
    int rc = 0;
    for (size_t i = 0; i < c->n_more && !rc; i++) {
        struct config_more *m = &c->more[i];
        size_t n = strlen(m->key), n_tail = sizeof tail - 1;
        if (strncmp(m->key, "remote.", 7) == 0 && n > n_tail &&
            strcmp(m->key + n - n_tail, tail) == 0)
            rc = copy_env(c, &m->env, get_env(env, m->value), err);
    }
    return rc;
}

static int read_env(struct config *c, char *const *env, ox_err *err) {
    int rc = read_named_env(c, env, err);
    for (const struct config_key *k = config_keys; !rc && k->name; k++) {
        const char *v = k->env ? get_env(env, k->env) : NULL;
        if (v && *v) rc = set_key(c, k, v, k->env, err);
    }
    const char *level = get_env(env, "OXBOW_CPU"); /* tests: a vector level by name */
    if (!rc && level && *level) {
        char name[40];
        snprintf(name, sizeof name, "cpu-%.30s", level);
        rc = copy_env(c, &c->backend, name, err);
    }
    if (!rc) rc = copy_env(c, &c->editor, first_of(env, "VISUAL", "EDITOR"), err);
    if (!rc) rc = read_clip_env(c, env, err);
    if (!rc) rc = copy_env(c, &c->api_url, get_env(env, "OPENAI_BASE_URL"), err);
    if (!rc) rc = copy_env(c, &c->api_key, get_env(env, "OPENAI_API_KEY"), err);
    c->term = "";
    if (!rc) rc = copy_env(c, &c->term, get_env(env, "TERM"), err);
    const char *bare = get_env(env, "NO_COLOR"), *simple = get_env(env, "ACCESSIBLE");
    c->no_color = bare && *bare;
    c->accessible = simple && *simple && strcmp(simple, "0") != 0;
    if (c->accessible) c->plain = true;
    return rc;
}

static int load(char *const *env, bool with_file, struct config *out, ox_err *err) {
    struct config c = {.temperature = (double)NAN,
                       .top_p = (double)NAN,
                       .min_p = (double)NAN,
                       .repeat_penalty = (double)NAN,
                       .top_k = -1,
                       .seed = -1,
                       .max_new = -1,
                       .states_quota_bytes = -1,
                       .ambiguous_width = 1,
                       .mouse = true,
                       .titles = true,
                       .save = true};
    const char *named = get_env(env, "OXBOW_CONFIG");
    int rc = find_places(&c, env, err);
    if (!rc && with_file) rc = read_file(&c, named && *named, err);
    if (!rc) rc = read_env(&c, env, err);
    if (rc) {
        conf_deinit(&c);
        return rc;
    }
    *out = c;
    return 0;
}

int conf_load(char *const *env, struct config *out, ox_err *err) {
    return load(env, true, out, err);
}

int conf_load_bare(char *const *env, struct config *out, ox_err *err) {
    return load(env, false, out, err);
}

/* --- what the rest of the program asks --- */

int conf_check_db(const struct config *c, ox_err *err) {
    size_t n = strlen(c->data_dir);
    const char *slash = strrchr(c->db, '/');
    struct stat st;
    if (!c->save || !slash || slash == c->db) return 0;
    if (strncmp(c->db, c->data_dir, n) == 0 && c->db + n == slash) return 0;
    char *folder = ox_memdup(c->db, (size_t)(slash - c->db), "path", err);
    if (!folder) return OX_ENOMEM;
    int rc = 0;
    if (stat(folder, &st) && errno == ENOENT) {
        ox_err_set(err, OX_ENOTFOUND, "no folder %.200s for the database", folder);
        rc = ox_err_fix(err, "make it, or correct the path (--db, OXBOW_DB, db in the config)");
    }
    ox_free(folder);
    return rc;
}

const char *conf_more(const struct config *c, const char *key) {
    for (size_t i = c->n_more; i-- > 0;) /* the last line wins, as with every key */
        if (strcmp(c->more[i].key, key) == 0) return c->more[i].value;
    return NULL;
}

static uint64_t draw_seed(void) {
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = (uint64_t)time(NULL);
    return seed & ((1ULL << 53) - 1); /* JSON numbers hold it exactly, --seed takes it back */
}

struct ox_sampling conf_sampling(const struct config *c, const struct ox_sampling *model) {
    struct ox_sampling s = *model;
    if (!isnan(c->temperature)) s.temperature = (float)c->temperature;
    if (!isnan(c->top_p)) s.top_p = (float)c->top_p;
    if (!isnan(c->min_p)) s.min_p = (float)c->min_p;
    if (!isnan(c->repeat_penalty)) s.repeat = (float)c->repeat_penalty;
    if (c->top_k >= 0) s.top_k = (int)c->top_k;
    s.seed = c->seed >= 0 ? (uint64_t)c->seed : draw_seed();
    return s;
}

void conf_deinit(struct config *c) {
    ox_arena_deinit(&c->mem);
    *c = (struct config){0};
}
