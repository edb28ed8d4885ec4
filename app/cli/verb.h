/* verb.h - what a verb of the command line is. Help, completion, the manual and "did you mean" come
 * from this struct and from the table of flags; a verb is one file, and its line in the table of
 * main.c. */
#ifndef VERB_H
#define VERB_H

#include "app/cli/flags.h"
#include "app/config.h"

struct verb;
struct cli {                         /* what a verb is given; lives until the program ends */
    const struct verb *const *verbs; /* the table, ends with NULL */
    const struct verb *verb;
    bool is_named; /* the person typed the verb */
    struct config conf;
    ox_err conf_err; /* the config file was refused; only a verb that examines goes on then */
    struct flags flags;
    int status; /* exit status when run returns 0, or 128 + n after a signal */
};

struct verb {
    const char *name;         /* "ask"; "chat" is also what runs without a verb on a terminal */
    const char *args;         /* "PROMPT" */
    const char *words;        /* what may stand first behind the verb, for completion; or NULL */
    const char *brief;        /* one line */
    const char *flags;        /* "-f -s --temp": those it takes, by the names of the table */
    const char *examples;     /* lines of "command" or "command \t what it does" */
    int min_words, max_words; /* words besides flags; max -1: any number */
    bool examines;            /* runs also with a config file that is wrong */
    int (*run)(struct cli *c, ox_err *err); /* 0 or OX_E*; an err without `what` prints nothing */
};

/* Sets of flags that verbs share. */
#define FLAGS_MODEL "-m --ctx --backend --kv --threads "
#define FLAGS_SAMPLING "--temp --top-p --top-k --min-p --repeat-penalty --seed "
#define FLAGS_STORE "--db --no-save "
#define FLAGS_ALWAYS "-h -V -q --color "

extern const struct verb verb_ask, verb_chat, verb_completion, verb_doctor, verb_export, verb_fork,
    verb_import, verb_model, verb_rename, verb_rm, verb_search, verb_sessions, verb_show,
    verb_states, verb_summarize, verb_docs;

/* Nearest name in the table, or NULL. */
const struct verb *verb_find(const struct verb *const *verbs, const char *name);
const char *verb_near(const struct verb *const *verbs, const char *name);

/* Help on stdout: of the program (verb NULL, at most 24 lines) or of one verb. */
int help_print(const struct cli *c, const struct verb *verb, ox_err *err);
int help_version(ox_err *err);

#endif
