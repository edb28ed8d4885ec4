/* command.c - see command.h. */
#include "app/core/command.h"

#include "app/core/text.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct command commands[] = {
    {"help",      "",          CMD_HELP,      false, "keys and commands"},
    {"quit",      "",          CMD_QUIT,      false, "leave; everything is saved"},
    {"new",       "",          CMD_NEW,       false, "start a new session"},
    {"sessions",  "",          CMD_SESSIONS,  false, "list of sessions"},
    {"resume",    "ID",        CMD_RESUME,    true,  "open a session by id or title"},
    {"title",     "TEXT",      CMD_TITLE,     true,  "name this session"},
    {"fork",      "[N]",       CMD_FORK,      false, "new session that ends at turn N"},
    {"edit",      "[N]",       CMD_EDIT,      false, "edit question N in a new branch"},
    {"regen",     "[SEED]",    CMD_REGEN,     false, "another answer to the last question"},
    {"seeds",     "[N]",       CMD_SEEDS,     false, "N more answers (3), each with its own seed"},
    {"compare",   "[N [M]]",   CMD_COMPARE,   false, "answers N and M side by side"},
    {"answer",    "N",         CMD_ANSWER,    true,  "go on with answer N to the last question"},
    {"undo",      "[N]",       CMD_UNDO,      false, "go back N turns; the branch stays"},
    {"continue",  "",          CMD_CONTINUE,  false, "go on with a stopped answer"},
    {"file",      "PATH",      CMD_FILE,      true,  "add a document to the next question"},
    {"docs",      "",          CMD_DOCS,      false, "documents of this session"},
    {"doc",       "N",         CMD_DOC,       true,  "show document N"},
    {"drop",      "N",         CMD_DROP,      true,  "take document N out of the next question"},
    {"cite",      "on|off",    CMD_CITE,      true,  "check quotations against the documents"},
    {"summarize", "[N]",       CMD_SUMMARIZE, false, "summarise document N"},
    {"system",    "[TEXT]",    CMD_SYSTEM,    false, "show or set the system prompt"},
    {"model",     "[NAME]",    CMD_MODEL,     false, "show or change the model; says the price first"},
    {"set",       "KEY VALUE", CMD_SET,       true,  "temperature, top-p, top-k, min-p, repeat-penalty, seed, max-new"},
    {"think",     "on|off",    CMD_THINK,     true,  "thoughts of models that think"},
    {"prompt",    "NAME",      CMD_PROMPT,    true,  "put a named prompt into the input"},
    {"context",   "",          CMD_CONTEXT,   false, "map of the context, with prices"},
    {"tokens",    "[TEXT]",    CMD_TOKENS,    false, "count tokens"},
    {"stats",     "",          CMD_STATS,     false, "what the last answer took"},
    {"states",    "",          CMD_STATES,    false, "saved states on disk"},
    {"compact",   "",          CMD_COMPACT,   false, "summarise earlier turns into a new branch"},
    {"copy",      "[N]",       CMD_COPY,      false, "copy the last answer, or message N"},
    {"export",    "[FILE]",    CMD_EXPORT,    false, "write this session as Markdown"},
    {"search",    "WORDS",     CMD_SEARCH,    true,  "search in this session"},
    {"theme",     "NAME",      CMD_THEME,     true,  "inherit, light, dark or mono"},
};
static const struct { const char *alias, *name; } aliases[] = {
    {"exit", "quit"}, {"bye", "quit"}, {"retry", "regen"}, {"branch", "fork"}, {"read", "file"}, {"load", "resume"},
};
/* clang-format on */

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

const struct command *command_table(size_t *n) {
    *n = N_COMMANDS;
    return commands;
}

static bool is_name(const char *name, const char *s, size_t n) {
    return strlen(name) == n && memcmp(name, s, n) == 0;
}

const struct command *command_find(const char *name, size_t n) {
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (is_name(aliases[i].alias, name, n)) name = aliases[i].name, n = strlen(name);
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (is_name(commands[i].name, name, n)) return &commands[i];
    return NULL;
}

static int refuse_unknown(const char *name, size_t n, ox_err *err) {
    char typed[32] = {0};
    memcpy(typed, name, n < sizeof typed ? n : sizeof typed - 1);
    ox_err_set(err, OX_EUSAGE, "unknown command /%s", typed);
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (text_is_near(commands[i].name, typed) ||
            (n >= 2 && strncmp(commands[i].name, typed, n) == 0)) {
            ox_err_fix(err, "did you mean /%s?", commands[i].name);
            return OX_EUSAGE;
        }
    ox_err_fix(err, "/help lists them; // sends a slash");
    return OX_EUSAGE;
}

int command_parse(const char *line, struct command_line *out, ox_err *err) {
    *out = (struct command_line){.rest = line};
    if (line[0] != '/') return 0;
    if (line[1] == '/') {
        out->rest = line + 1;
        return 0;
    }
    size_t n = strcspn(line + 1, " \n");
    const struct command *c = command_find(line + 1, n);
    if (!c) return refuse_unknown(line + 1, n, err);
    const char *rest = line + 1 + n;
    rest += strspn(rest, " \n");
    if (c->is_needed && rest[0] == 0) {
        ox_err_set(err, OX_EUSAGE, "/%s needs %s", c->name, c->args);
        ox_err_fix(err, "/%s %s: %s", c->name, c->args, c->help);
        return OX_EUSAGE;
    }
    *out = (struct command_line){c, rest};
    return 0;
}

const struct command *command_complete(const char *prefix, size_t n, size_t i) {
    for (size_t k = 0; k < N_COMMANDS; k++)
        if (strncmp(commands[k].name, prefix, n) == 0 && i-- == 0) return &commands[k];
    return NULL;
}

/* ---- arguments ----------------------------------------------------------------------------------
 */

int command_count(const char *arg, size_t absent, size_t *out, ox_err *err) {
    char *end = NULL;
    *out = *arg ? strtoul(arg, &end, 10) : absent;
    if (!*arg || (*out >= 1 && *out < 1000000 && !*end && arg[0] != '-')) return 0;
    return ox_err_set(err, OX_EUSAGE, "\"%.40s\" is not a number from 1 on", arg);
}

int command_switch(const char *arg, bool *on, ox_err *err) {
    *on = strcmp(arg, "on") == 0;
    if (*on || strcmp(arg, "off") == 0) return 0;
    return ox_err_set(err, OX_EUSAGE, "\"%.40s\" is not on or off", arg);
}

int command_setting(const char *arg, const char **key, const char **value, ox_err *err) {
    static const char *const keys[] = {"temperature",    "top_p", "top_k",  "min_p",
                                       "repeat_penalty", "seed",  "max_new"};
    char typed[32] = {0};
    size_t n = strcspn(arg, " =");
    for (size_t i = 0; i < n && i < sizeof typed - 1; i++)
        typed[i] = arg[i] == '-' ? '_' : arg[i];
    *value = arg + n + strspn(arg + n, " =");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        *key = keys[i];
        if (strcmp(keys[i], typed) == 0) return 0;
    }
    ox_err_set(err, OX_EUSAGE, "/set does not know \"%.30s\"", typed);
    return ox_err_fix(err, "temperature, top-p, top-k, min-p, repeat-penalty, seed, max-new");
}
