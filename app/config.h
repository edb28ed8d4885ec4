/* config.h - every setting in one table: defaults < file < environment < flags.
 *
 * A setting has a name (the key of the config file), a place in struct config, limits and one line
 * of help. Flags write through the same table, so a value is checked in one way wherever it comes
 * from. This is the only code that reads the environment, and it reads it once. Settings of a model
 * (sampling) start as "not said": the model's own generation_config stands until somebody says
 * otherwise. UI thread.
 * Functions begin with conf_, because the engine's config.c has config_. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "app/core/buf.h"

enum config_clipboard { CLIPBOARD_AUTO, CLIPBOARD_TERMINAL, CLIPBOARD_PROGRAM };
enum { CONFIG_CLIP_ENV = 5 };
enum config_when { WHEN_AUTO, WHEN_ALWAYS, WHEN_NEVER };

struct config_more { /* key.VIEW.REQUEST, remote.NAME.url .. */
    const char *key, *value;
    const char *env; /* remote.NAME.key_env: what the variable of this name holds; NULL: not set */
};

struct config { /* strings are borrowed until config_deinit; NULL: not said */
    const char *model, *backend, *kv;
    int64_t threads, ctx; /* 0: physical cores; 0: 65,536 or what the model has */
    double temperature, top_p, min_p, repeat_penalty; /* NAN: the model's own */
    int64_t top_k, seed,
        max_new; /* -1: the model's own; a fresh one each time; up to the context */
    bool no_think;
    const char *db;             /* path of oxbow.db */
    const char *cache_dir;      /* folder of states.db */
    int64_t states_quota_bytes; /* -1: the smaller of 20 GiB and 10 % of the free space */
    bool plain, mouse, titles, bell, accessible, save;
    enum config_when color;
    enum config_clipboard clipboard;
    const char *clip_env[CONFIG_CLIP_ENV + 1]; /* all that wl-copy and xclip get; ends with NULL */
    int64_t ambiguous_width;                   /* 1 or 2 cells */
    const char *theme, *editor, *api_url, *api_key;
    const char *term;                                     /* $TERM, "" if unset */
    bool no_color;                                        /* $NO_COLOR is set and not empty */
    const char *home, *config_dir, *data_dir, *state_dir; /* oxbow's own folders by the XDG rules */
    const char *file;                                     /* the config file that was looked for */
    struct config_more *more; /* keys with a free part, in the order of the file */
    size_t n_more;
    struct ox_arena mem;
};

enum config_type {
    CONFIG_TEXT,
    CONFIG_PATH,
    CONFIG_INT,
    CONFIG_TOKENS, /* a whole number, also in units of 1,024: 64k */
    CONFIG_NUMBER,
    CONFIG_BYTES,
    CONFIG_BOOL,
    CONFIG_CHOICE
};
struct config_key {
    const char *name, *env; /* env: the variable that sets it, or NULL */
    enum config_type type;
    size_t offset;       /* of the field in struct config */
    double min, max;     /* CONFIG_INT, _TOKENS, _NUMBER, _BYTES */
    const char *choices; /* CONFIG_CHOICE: "auto always never", in the order of the enum */
    const char *help;
};
/* The table, for the manual and completion; ends with name NULL. */
extern const struct config_key config_keys[];

/* env: NAME=VALUE strings as in environ, NULL: the process's own. Reads the file; a file that is
 * not there is fine unless OXBOW_CONFIG names it. OX_EUSAGE: file and line, or the variable, with
 * what was expected. */
int conf_load(char *const *env, struct config *out, ox_err *err);
/* The same without the file: for the program that has to say what is wrong with it. */
int conf_load_bare(char *const *env, struct config *out, ox_err *err);
/* Sets one key from text. origin is said in the error: "--temp", "config line 3". */
int conf_set(struct config *c, const char *key, const char *value, const char *origin, ox_err *err);
/* The default place of the database is made when it is needed; of another one, named by a flag, the
 * environment or the file, the folder must be there (a slip of the pen makes no folders).
 * OX_ENOTFOUND. */
int conf_check_db(const struct config *c, ox_err *err);
const char *conf_more(const struct config *c, const char *key); /* or NULL */
/* Sampling: the model's defaults with what was said on top. The seed is drawn if none was said. */
struct ox_sampling conf_sampling(const struct config *c, const struct ox_sampling *model);
void conf_deinit(struct config *c);

#endif
