/* completion.c - completion scripts for bash, zsh and fish, written from the tables of verbs and
 * flags; beside them the manual page, which is installed in the same way. */
#include "app/cli/manual.h"
#include "app/core/buf.h"
#include "app/named_prompt.h"

#include <stdio.h>
#include <string.h>

static bool takes_path(const struct flag *f) {
    return f->arg && (strcmp(f->arg, "FILE") == 0 || strcmp(f->name, "-m") == 0);
}

static void print_names(const struct verb *v, bool paths_only) {
    for (const struct flag *f = flag_table; f->name; f++) {
        if ((v && !flags_allows(v->flags, f->name)) || (paths_only && !takes_path(f))) continue;
        const char *gap = paths_only ? "|" : " ";
        static bool first;
        if (f == flag_table) first = true;
        printf("%s%s", first && paths_only ? "" : gap, f->name);
        if (f->twin) printf("%s%s", gap, f->twin);
        first = false;
    }
}

/* What may stand behind a flag, if that is one of a few words. */
static const struct {
    const char *flag, *words;
} choices[] = {
    {"-F", "jsonl md txt"},
    {"--backend", "auto cpu cpu-ref cpu-avx2 cpu-avx512 cpu-avx512bf16 cuda"},
    {"--bits", "4 8 16"},
    {"--color", "auto always never"},
    {"--encoding", "utf-8 utf-16le utf-16be windows-1252"},
    {"--from", "oxbow llm chatgpt"},
    {"--kind", "text markdown html source"},
    {"--kv", "bf16 int8"},
    {"--shape", "7b"},
    {"--style", "prose list"},
};

static int add_prompt(void *user, const char *name, const char *brief) {
    struct buf *out = user;
    (void)brief;
    return buf_printf(out, NULL, "%s%s", out->n ? " " : "", name);
}

/* Appends them; nothing where any word will do. Prompts are those there are now. */
static void words_behind(const struct cli *c, const struct flag *f, struct buf *out) {
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
        if (strcmp(choices[i].flag, f->name) == 0) buf_puts(out, choices[i].words, NULL);
    if (strcmp(f->name, "-t") == 0) named_prompt_list(&c->conf, add_prompt, out, NULL);
}

static void print_verbs(const struct cli *c) {
    for (const struct verb *const *v = c->verbs; *v; v++)
        printf("%s%s", v == c->verbs ? "" : " ", (*v)->name);
}

/* The ids of saved sessions are asked of the program itself, when Tab is pressed. */
#define SESSION_IDS "oxbow sessions -q 2>/dev/null | cut -d ' ' -f 1"

static bool takes_session(const struct verb *v) {
    return strncmp(v->args, "ID", 2) == 0 || strncmp(v->args, "[ID", 3) == 0;
}

static void bash(const struct cli *c) {
    printf("# oxbow: source <(oxbow completion bash)\n"
           "_oxbow() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
           "    local verb= flags= words= w\n"
           "    for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "        case $w in ");
    for (const struct verb *const *v = c->verbs; *v; v++)
        printf("%s%s", v == c->verbs ? "" : "|", (*v)->name);
    printf(") verb=$w; break;; esac\n"
           "    done\n"
           "    case $prev in\n"
           "    -r|--resume) COMPREPLY=($(compgen -W \"$(" SESSION_IDS
           ")\" -- \"$cur\")); return;;\n"
           "    ");
    for (const struct flag *f = flag_table; f->name; f++) {
        struct buf words = {0};
        words_behind(c, f, &words);
        if (words.n)
            printf("%s%s%s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return;;\n    ", f->name,
                   f->twin ? "|" : "", f->twin ? f->twin : "", words.p);
        buf_deinit(&words);
    }
    print_names(NULL, true);
    printf(") COMPREPLY=($(compgen -f -- \"$cur\")); return;; esac\n"
           "    case $verb in\n");
    for (const struct verb *const *v = c->verbs; *v; v++) {
        printf("    %s) flags='", (*v)->name);
        print_names(*v, false);
        printf("'");
        if (takes_session(*v)) printf("; [[ $cur = -* ]] || words=$(" SESSION_IDS ")");
        if ((*v)->words) printf("; [ \"$prev\" != \"$verb\" ] || words='%s'", (*v)->words);
        printf(";;\n");
    }
    printf("    *) flags='");
    print_names(NULL, false);
    printf("'; words='");
    print_verbs(c);
    printf("';;\n    esac\n"
           "    case $cur in\n"
           "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"));;\n"
           "    *) if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
           "       else COMPREPLY=($(compgen -f -- \"$cur\")); fi;;\n"
           "    esac\n"
           "}\n"
           "complete -o filenames -F _oxbow oxbow\n");
}

/* Help texts stand in single quotes, in zsh between brackets too, where a colon has a meaning. */
static void print_quoted(const char *s, bool colons) {
    for (; *s; s++) {
        if (*s == ':' && !colons) putchar('\\');
        if (!strchr("'[]", *s)) putchar(*s);
    }
}

static void zsh_flags(const struct cli *c, const struct verb *v) {
    for (const struct flag *f = flag_table; f->name; f++) {
        struct buf words = {0};
        if (!flags_allows(v->flags, f->name)) continue;
        words_behind(c, f, &words);
        for (int i = 0; i < (f->twin ? 2 : 1); i++) {
            printf("        '*%s[", i ? f->twin : f->name);
            print_quoted(f->help, false);
            printf("]%s%s", f->arg ? ":" : "", f->arg ? f->arg : "");
            if (words.n) printf(":(%s)", words.p);
            printf("%s' \\\n", words.n || !f->arg ? "" : takes_path(f) ? ":_files" : ": ");
        }
        buf_deinit(&words);
    }
}

static void zsh(const struct cli *c) {
    printf("#compdef oxbow\n"
           "# oxbow completion zsh > ~/.zfunc/_oxbow\n"
           "_oxbow_sessions() { compadd -- ${(f)\"$(" SESSION_IDS ")\"} }\n"
           "_oxbow() {\n"
           "    local -a verbs\n"
           "    local verb w\n"
           "    verbs=(\n");
    for (const struct verb *const *v = c->verbs; *v; v++) {
        printf("        '%s:", (*v)->name);
        print_quoted((*v)->brief, false);
        printf("'\n");
    }
    printf("    )\n"
           "    for w in ${words[2,CURRENT-1]}; do\n"
           "        (( ${+verbs[(r)$w:*]} )) && verb=$w && break\n"
           "    done\n"
           "    if [[ -z $verb && $PREFIX != -* ]]; then _describe verb verbs; return; fi\n"
           "    case $verb in\n");
    for (const struct verb *const *v = c->verbs; *v; v++) {
        printf("    %s) _arguments \\\n", (*v)->name);
        zsh_flags(c, *v);
        printf("        '1:verb: ' ");
        if ((*v)->words) printf("'2:word:(%s)' ", (*v)->words);
        printf("'*:%s';;\n", takes_session(*v) ? "session:_oxbow_sessions" : "file:_files");
    }
    printf("    *) _arguments \\\n");
    zsh_flags(c, &verb_chat);
    printf("        '*:file:_files';;\n    esac\n}\n_oxbow \"$@\"\n");
}

static void fish_flags(const struct cli *c, const struct verb *v, const char *when) {
    for (const struct flag *f = flag_table; f->name; f++) {
        if (!flags_allows(v->flags, f->name)) continue;
        printf("complete -c oxbow -n '%s'", when);
        for (int i = 0; i < (f->twin ? 2 : 1); i++) {
            const char *name = i ? f->twin : f->name;
            printf(name[1] == '-' ? " -l %s" : " -s %s", name + 1 + (name[1] == '-'));
        }
        struct buf words = {0};
        words_behind(c, f, &words);
        if (words.n) printf(" -x -a '%s'", words.p);
        printf("%s -d '", words.n ? "" : takes_path(f) ? " -r" : f->arg ? " -x" : "");
        buf_deinit(&words);
        print_quoted(f->help, true);
        printf("'\n");
    }
}

static void fish(const struct cli *c) {
    char when[64];
    printf("# oxbow completion fish > ~/.config/fish/completions/oxbow.fish\n");
    fish_flags(c, &verb_chat, "__fish_use_subcommand");
    for (const struct verb *const *v = c->verbs; *v; v++) {
        const char *name = (*v)->name, *words = (*v)->words;
        printf("complete -c oxbow -n __fish_use_subcommand -f -a %s -d '", name);
        print_quoted((*v)->brief, true);
        printf("'\n");
        snprintf(when, sizeof when, "__fish_seen_subcommand_from %s", name);
        fish_flags(c, *v, when);
        if (words)
            printf("complete -c oxbow -n '%s; and not __fish_seen_subcommand_from %s' -f -a '%s'\n",
                   when, words, words);
        if (takes_session(*v))
            printf("complete -c oxbow -n '%s' -f -a \"(" SESSION_IDS ")\"\n", when);
    }
}

static const struct {
    const char *name;
    void (*print)(const struct cli *c);
} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}, {"man", manual_print}};

static int run(struct cli *c, ox_err *err) {
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shells[i].name, c->flags.word[0]) != 0) continue;
        shells[i].print(c);
        return fflush(stdout) ? ox_err_set(err, OX_EIO, "cannot write the script to stdout") : 0;
    }
    ox_err_set(err, OX_EUSAGE, "no completion for \"%.40s\"", c->flags.word[0]);
    return ox_err_fix(err, "bash, zsh or fish; man is the manual page");
}

const struct verb verb_completion = {
    .name = "completion",
    .args = "SHELL",
    .words = "bash zsh fish man",
    .brief = "script for bash, zsh, fish",
    .flags = FLAGS_ALWAYS,
    .examples = "source <(oxbow completion bash)\n"
                "oxbow completion zsh > ~/.zfunc/_oxbow\n"
                "oxbow completion fish > ~/.config/fish/completions/oxbow.fish\n"
                "oxbow completion man | man -l -\tthe manual page",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};
