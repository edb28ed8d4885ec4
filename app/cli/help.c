/* help.c - --help and --version from the tables of verbs and flags. Examples come first: that is
 * what people look for. The program's help fits 24 lines of 80 columns. */
#include "app/cli/verb.h"

#include "app/core/text.h"
#include "app/core/version.h"
#include "app/store/version.h"
#include "build_id.h"

#include <stdio.h>
#include <string.h>

static const char intro[] =
    "oxbow - chat with a language model and read long files with it, in the terminal\n"
    "\n"
    "  oxbow                                   chat; the model is built in\n"
    "  oxbow ask \"Why is the sky blue?\"        one answer on stdout\n"
    "  oxbow ask -f act.txt \"Who signed it?\"   a question about a file\n"
    "  journalctl -b | oxbow ask \"What failed?\"\n"
    "  oxbow -c                                continue the last session\n"
    "\n";

const struct verb *verb_find(const struct verb *const *verbs, const char *name) {
    for (; *verbs; verbs++)
        if (strcmp((*verbs)->name, name) == 0) return *verbs;
    return NULL;
}

const char *verb_near(const struct verb *const *verbs, const char *name) {
    const char *best = NULL;
    for (; *verbs; verbs++)
        if (text_is_near(name, (*verbs)->name) &&
            (!best || text_distance(name, (*verbs)->name) < text_distance(name, best)))
            best = (*verbs)->name;
    return best;
}

/* Two columns, read downwards. */
static void print_verbs(const struct verb *const *verbs) {
    size_t n = 0;
    while (verbs[n])
        n++;
    size_t rows = (n + 1) / 2;
    for (size_t i = 0; i < rows; i++) {
        printf("  %-10s %-27.27s", verbs[i]->name, verbs[i]->brief);
        if (i + rows < n) printf(" %-10s %.27s", verbs[i + rows]->name, verbs[i + rows]->brief);
        printf("\n");
    }
}

static void print_flags(const struct verb *v) {
    for (const struct flag *f = flag_table; f->name; f++) {
        if (!flags_allows(v->flags, f->name)) continue;
        char left[48];
        snprintf(left, sizeof left, "%s%s%s%s%s", f->name, f->twin ? ", " : "",
                 f->twin ? f->twin : "", f->arg ? " " : "", f->arg ? f->arg : "");
        printf("  %-24s %s\n", left, flags_help(f, v->name));
    }
}

static void print_examples(const char *lines) {
    while (*lines) {
        size_t n = strcspn(lines, "\n"), tab = strcspn(lines, "\t");
        if (tab < n)
            printf("  %-50.*s %.*s\n", (int)tab, lines, (int)(n - tab - 1), lines + tab + 1);
        else
            printf("  %.*s\n", (int)n, lines);
        lines += n + (lines[n] == '\n');
    }
}

int help_print(const struct cli *c, const struct verb *verb, ox_err *err) {
    if (!verb) {
        printf("%sverbs:\n", intro);
        print_verbs(c->verbs);
        printf("\nflags: -f FILE  -s SYSTEM  -m MODEL  -n TOKENS  --temp X  --json  -q  --plain\n"
               "oxbow VERB -h shows a verb's own flags, -V the version. Nothing leaves this\n"
               "machine.\n");
    } else {
        printf("oxbow %s%s%s: %s\n\n", verb->name, verb->args[0] ? " " : "", verb->args,
               verb->brief);
        print_examples(verb->examples);
        printf("\n");
        print_flags(verb);
    }
    return fflush(stdout) ? ox_err_set(err, OX_EIO, "cannot write the help to stdout") : 0;
}

int help_version(ox_err *err) {
    struct buf libraries = {0};
    int rc = version_core(&libraries, err);
    if (!rc)
        printf("oxbow %s (%s)\nbackends: %s\nsqlite %s, %s\n", OXBOW_VERSION, OXBOW_COMMIT,
               ox_backends(), store_sqlite_version(), buf_str(&libraries));
    buf_deinit(&libraries);
    if (rc) return rc;
    return fflush(stdout) ? ox_err_set(err, OX_EIO, "cannot write the version to stdout") : 0;
}
