/* command.h - slash commands: one table for the TUI, the plain mode, completion, palette and
 * manual.
 *
 * A line that begins with "/" is a command, with "//" it is text that begins with one slash. Pure.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include "app/core/buf.h"

#include <stdbool.h>

enum command_id {
    CMD_NONE,
    CMD_HELP,
    CMD_QUIT,
    CMD_NEW,
    CMD_SESSIONS,
    CMD_RESUME,
    CMD_TITLE,
    CMD_FORK,
    CMD_EDIT,
    CMD_REGEN,
    CMD_SEEDS,
    CMD_COMPARE,
    CMD_ANSWER,
    CMD_UNDO,
    CMD_CONTINUE,
    CMD_FILE,
    CMD_DOCS,
    CMD_DOC,
    CMD_DROP,
    CMD_CITE,
    CMD_SUMMARIZE,
    CMD_SYSTEM,
    CMD_MODEL,
    CMD_SET,
    CMD_THINK,
    CMD_PROMPT,
    CMD_CONTEXT,
    CMD_TOKENS,
    CMD_STATS,
    CMD_STATES,
    CMD_COMPACT,
    CMD_COPY,
    CMD_EXPORT,
    CMD_SEARCH,
    CMD_THEME,
    CMD_COUNT
};

enum { COMMAND_SEEDS = 3, COMMAND_SEEDS_MOST = 9 }; /* answers that /seeds makes */

struct command {
    const char *name, *args; /* "fork", "[N]" */
    enum command_id id;
    bool is_needed; /* the argument cannot be left out */
    const char *help;
};
const struct command *command_table(size_t *n);
const struct command *command_find(const char *name, size_t n); /* aliases too; NULL */

struct command_line {
    const struct command *command; /* NULL: the line is text */
    const char *rest; /* text or argument, borrowed from the line; leading spaces gone */
};
/* Reads a typed line. OX_EUSAGE for an unknown command (with the closest name) or a missing
 * argument. */
int command_parse(const char *line, struct command_line *out, ox_err *err);
/* The i-th name (aliases left out) that begins with the n bytes behind the slash, or NULL. */
const struct command *command_complete(const char *prefix, size_t n, size_t i);

/* A number from 1 on, `absent` if there is no argument. OX_EUSAGE. */
int command_count(const char *arg, size_t absent, size_t *out, ox_err *err);
int command_switch(const char *arg, bool *on, ox_err *err); /* "on" or "off"; OX_EUSAGE */
/* "KEY VALUE" or "KEY=VALUE" of /set: the key as the configuration spells it, and the value,
 * borrowed from the line. OX_EUSAGE: a key that a conversation cannot change. */
int command_setting(const char *arg, const char **key, const char **value, ox_err *err);

#endif
