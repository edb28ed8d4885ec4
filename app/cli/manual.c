/* manual.c - the manual page in roff, written from the tables of verbs, flags, commands, keys and
 * settings, so that it cannot say anything else than the program does. */
#include "app/cli/manual.h"

#include "app/core/command.h"
#include "app/core/keymap.h"
#include "build_id.h"

#include <stdio.h>
#include <string.h>

/* Words as roff text: a hyphen stays one character to search and copy, a leading dot is no order.
 */
static void words(const char *s) {
    if (*s == '.' || *s == '\'') printf("\\&");
    for (; *s; s++) {
        if (*s == '\\' || *s == '-') putchar('\\');
        putchar(*s == '\\' ? 'e' : *s);
    }
}

/* One entry of a list: a bold name, what it takes, and a line of help. */
static void entry(const char *name, const char *rest, const char *help) {
    printf(".TP\n\\fB");
    words(name);
    printf("\\fR ");
    words(rest ? rest : "");
    printf("\n");
    words(help);
    printf("\n");
}

static void section(const char *name, const char *text) {
    printf(".SH %s\n%s", name, text);
}

static void verb(const struct verb *v) {
    printf(".SS ");
    words(v->name);
    printf(" ");
    words(v->args);
    printf("\n");
    words(v->brief);
    printf(".\n.PP\n.nf\n");
    for (const char *p = v->examples; *p;) {
        size_t n = strcspn(p, "\n");
        char line[256];
        snprintf(line, sizeof line, "%.*s", (int)n, p);
        char *tab = strchr(line, '\t');
        if (tab) *tab = '\0';
        words(line);
        if (tab) printf("    # ");
        if (tab) words(tab + 1);
        printf("\n");
        p += n + (p[n] == '\n');
    }
    printf(".fi\n.PP\nFlags:");
    for (const struct flag *f = flag_table; f->name; f++) {
        if (!flags_allows(v->flags, f->name)) continue;
        printf(" \\fB");
        words(f->name);
        printf("\\fR");
    }
    printf("\n");
}

static void flags(void) {
    for (const struct flag *f = flag_table; f->name; f++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s%s", f->name, f->twin ? ", " : "", f->twin ? f->twin : "");
        entry(name, f->arg, f->help);
        for (size_t i = 0; flags_special(f, i); i++) {
            printf(".br\n");
            words(flags_special(f, i));
            printf(": ");
            words(flags_help(f, flags_special(f, i)));
            printf("\n");
        }
    }
}

static void commands(void) {
    size_t n;
    const struct command *c = command_table(&n);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "/%s", c[i].name);
        entry(name, c[i].args, c[i].help);
    }
}

static void keys(void) {
    size_t n;
    const struct key_row *row = keymap_rows(&n);
    for (size_t i = 0; i < n; i++) {
        struct buf all = {0};
        size_t k = i;
        for (; k < n && strcmp(row[k].name, row[i].name) == 0; k++)
            if (k == i || strcmp(row[k].keys, row[k - 1].keys) != 0)
                buf_printf(&all, NULL, "%s%s", k > i ? ", " : "", row[k].keys);
        entry(buf_str(&all), row[i].name, row[i].help);
        buf_deinit(&all);
        i = k - 1;
    }
}

static void settings(void) {
    for (const struct config_key *k = config_keys; k->name; k++)
        entry(k->name, k->env ? k->env : "", k->help);
    entry("remote.NAME.url", "",
          "a server for -m remote:NAME, https://HOST/v1; beside it remote.NAME.model (needed), "
          ".key_file (mode 0600) or .key_env (a variable), .ctx (tokens, 65536)");
    entry("key.PLACE.NAME", "",
          "another key for a request, as KEYS names it: key.chat.fork = F5; "
          "none takes it away");
}

void manual_print(const struct cli *c) {
    printf(".TH OXBOW 1 \"\" \"oxbow %s\"\n", OXBOW_VERSION);
    section("NAME", "oxbow \\- chat with a language model and read long files with it\n");
    section("SYNOPSIS", ".B oxbow\n[flags] [draft]\n.br\n.B oxbow\nverb [flags] [words]\n");
    section("DESCRIPTION",
            "Without a verb, on a terminal, oxbow opens its screen; text becomes the draft of a "
            "question.\nThe model is part of the program. Conversations are saved, and a "
            "conversation or a file that was read once is not read again.\nA session is named by "
            "the start of its id (4 digits or more), its title or its number in\n.BR \"oxbow "
            "sessions\" .\nA flag goes before the environment, that before the configuration "
            "file.\nQuotations in an answer about a file are looked up in it: a mark says that the "
            "words stand there, not that the conclusion is right.\n");
    section("VERBS", "");
    for (const struct verb *const *v = c->verbs; *v; v++)
        verb(*v);
    section("FLAGS", "");
    flags();
    section("COMMANDS", "Lines of a conversation that begin with a slash; // sends one.\n");
    commands();
    section("KEYS", "The name behind a key is for the configuration.\n");
    keys();
    section("CONFIGURATION", "Lines \\fIkey = value\\fR; # begins a comment.\n");
    settings();
    section("ENVIRONMENT", "");
    entry("OXBOW_CONFIG, OXBOW_MODEL, OXBOW_DB, OXBOW_CACHE_DIR", "",
          "the configuration file, and what the settings of these names say");
    entry("NO_COLOR, ACCESSIBLE, TERM, VISUAL, EDITOR", "",
          "no colours; plain lines; the terminal; the editor of a draft");
    section("FILES", "");
    entry("$XDG_CONFIG_HOME/oxbow/config", "", "settings; ~/.config where the variable is unset");
    entry("$XDG_CONFIG_HOME/oxbow/prompts/NAME.md", "", "prompts for -t");
    entry("$XDG_DATA_HOME/oxbow/oxbow.db", "", "conversations and documents; ~/.local/share");
    entry("$XDG_CACHE_HOME/oxbow/", "", "saved states, may be deleted at any time; ~/.cache");
    section("EXIT STATUS", "");
    static const char *const status[][2] = {
        {"0", "done"},
        {"1", "failed"},
        {"2", "wrong use"},
        {"3", "the model is missing, damaged or unfit; the device is lost or too small"},
        {"4", "not found"},
        {"5", "does not fit the context"},
        {"6", "the database is busy or damaged"},
        {"128 + n", "after signal n; 141: the reader of a pipe has gone"}};
    for (size_t i = 0; i < sizeof status / sizeof status[0]; i++)
        entry(status[i][0], "", status[i][1]);
}
