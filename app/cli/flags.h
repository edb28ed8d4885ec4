/* flags.h - one table of command-line flags: parser, --help and completion read it.
 *
 * A flag either sets a key of the configuration, checked by the table of config.h, or is kept for
 * its verb to ask for. Long flags take "--flag VALUE" or "--flag=VALUE"; one-letter flags may be
 * joined. Strings are borrowed from argv. */
#ifndef FLAGS_H
#define FLAGS_H

#include "app/config.h"

enum flag_value {
    FLAG_NONE,
    FLAG_NEEDS,
    FLAG_MAY
}; /* MAY: the next word unless it begins with - */
struct flag {
    const char *name; /* "--temp" or "-f" */
    const char *twin; /* the other spelling, or NULL */
    enum flag_value takes;
    const char *arg;   /* "FILE" in help */
    const char *key;   /* key of the configuration it sets, or NULL */
    const char *value; /* FLAG_NONE with a key: what it sets */
    const char *help;
};
extern const struct flag flag_table[]; /* ends with name NULL */

struct flag_use {
    const struct flag *flag;
    const char *value;
};
struct flags {
    struct flag_use *use;
    size_t n_use; /* owned list, in the order given */
    const char **word;
    size_t n_word; /* what is no flag, the verb not counted; owned list */
    size_t n_bare; /* words before "--"; those behind it are never a verb */
};

/* Splits argv[1..]. OX_EUSAGE: unknown flag (with the closest one), value missing. */
int flags_parse(int argc, char **argv, struct flags *out, ox_err *err);
/* Writes the values of flags that set a key; errors say what they do for the verb. */
int flags_apply(const struct flags *f, const char *verb, struct config *conf, ox_err *err);
/* OX_EUSAGE if a flag was given that is not among `allowed` ("-f -s ..."); `verb` is named. */
int flags_check(const struct flags *f, const char *allowed, const char *verb, ox_err *err);
bool flags_allows(const char *allowed, const char *name);
/* What the flag does for this verb; verb NULL: for most. */
const char *flags_help(const struct flag *f, const char *verb);
/* The verbs for which it does something else, in order; NULL when there are no more. */
const char *flags_special(const struct flag *f, size_t i);
const struct flag *flags_find(const char *name); /* by either spelling, or NULL */
bool flags_has(const struct flags *f, const char *name);
const char *flags_get(const struct flags *f, const char *name); /* last value, or NULL */
/* The file of -o; NULL: stdout, also for -o - */
const char *flags_out(const struct flags *f);
/* The i-th use of a flag that may be repeated, in order; NULL when there are no more. */
const char *flags_nth(const struct flags *f, const char *name, size_t i);
void flags_deinit(struct flags *f);

#endif
