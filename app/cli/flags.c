/* flags.c - see flags.h. */
#include "app/cli/flags.h"

#include "app/core/text.h"

#include <string.h>

/* clang-format off */
const struct flag flag_table[] = {
    {"-f", "--file",         FLAG_NEEDS, "FILE",   NULL,             NULL,  "document to read first; repeatable; FILE:FROM-TO takes lines; - is stdin"},
    {"-s", "--system",       FLAG_NEEDS, "TEXT",   NULL,             NULL,  "system prompt; @FILE reads one"},
    {"-p", "--prompt",       FLAG_NEEDS, "TEXT",   NULL,             NULL,  "prompt, same as ask TEXT"},
    {"-t", "--template",     FLAG_NEEDS, "NAME",   NULL,             NULL,  "named prompt; words NAME=VALUE fill its {{names}}"},
    {"-n", "--max-new",      FLAG_NEEDS, "N",      "max_new",        NULL,  "at most N new tokens"},
    {"-o", "--out",          FLAG_NEEDS, "FILE",   NULL,             NULL,  "write to FILE instead of stdout; - is stdout"},
    {"--force", NULL,        FLAG_NONE,  NULL,     NULL,             NULL,  "overwrite FILE"},
    {"-c", "--continue",     FLAG_NONE,  NULL,     NULL,             NULL,  "continue the last session"},
    {"-r", "--resume",       FLAG_MAY,   "ID",     NULL,             NULL,  "resume a session"},
    {"-m", "--model",        FLAG_NEEDS, "MODEL",  "model",          NULL,  "model folder, or remote:NAME"},
    {"--ctx", NULL,          FLAG_NEEDS, "N",      "ctx",            NULL,  "context limit in tokens, at most 65,536 (64k)"},
    {"--temp", NULL,         FLAG_NEEDS, "X",      "temperature",    NULL,  "temperature; 0 takes the best token"},
    {"--top-p", NULL,        FLAG_NEEDS, "X",      "top_p",          NULL,  "smallest set of tokens with probability X"},
    {"--top-k", NULL,        FLAG_NEEDS, "N",      "top_k",          NULL,  "best N tokens; 0: all"},
    {"--min-p", NULL,        FLAG_NEEDS, "X",      "min_p",          NULL,  "at least X of the best token's probability"},
    {"--repeat-penalty", NULL, FLAG_NEEDS, "X",    "repeat_penalty", NULL,  "penalty on tokens already in the reply; 1: off"},
    {"--seed", NULL,         FLAG_NEEDS, "N",      "seed",           NULL,  "same seed, same answer"},
    {"--think", NULL,        FLAG_NONE,  NULL,     "no_think",       "off", "show thoughts on stderr"},
    {"--no-think", NULL,     FLAG_NONE,  NULL,     "no_think",       "on",  "answer without thoughts"},
    {"--backend", NULL,      FLAG_NEEDS, "NAME",   "backend",        NULL,  "auto, cpu, cpu-ref, cpu-avx2, cpu-avx512, cpu-avx512bf16, cuda, cuda:N"},
    {"--kv", NULL,           FLAG_NEEDS, "FORMAT", "kv",             NULL,  "KV cache: bf16, int8"},
    {"--threads", NULL,      FLAG_NEEDS, "N",      "threads",        NULL,  "threads of the CPU backend"},
    {"-q", "--quiet",        FLAG_NONE,  NULL,     NULL,             NULL,  "no progress and no notices"},
    {"--json", NULL,         FLAG_NONE,  NULL,     NULL,             NULL,  "one JSON object; lists: one a line"},
    {"--plain", NULL,        FLAG_NONE,  NULL,     "plain",          "on",  "append-only lines"},
    {"--dry-run", NULL,      FLAG_NONE,  NULL,     NULL,             NULL,  "say what would happen; do nothing"},
    {"--no-save", NULL,      FLAG_NONE,  NULL,     "save",           "off", "keep nothing on disk"},
    {"--db", NULL,           FLAG_NEEDS, "FILE",   "db",             NULL,  "database file"},
    {"--cite", NULL,         FLAG_NONE,  NULL,     NULL,             NULL,  "checked citations after the answer"},
    {"--words", NULL,        FLAG_NEEDS, "N",      NULL,             NULL,  "length of the summary, about"},
    {"--style", NULL,        FLAG_NEEDS, "STYLE",  NULL,             NULL,  "prose or list"},
    {"--parts", NULL,        FLAG_NEEDS, "N",      NULL,             NULL,  "at least so many parts, about"},
    {"--restart", NULL,      FLAG_NONE,  NULL,     NULL,             NULL,  "use nothing that an earlier run kept"},
    {"--encoding", NULL,     FLAG_NEEDS, "NAME",   NULL,             NULL,  "utf-8, utf-16le, utf-16be, windows-1252"},
    {"--kind", NULL,         FLAG_NEEDS, "KIND",   NULL,             NULL,  "read it as text, markdown, html or source"},
    {"--follow", NULL,       FLAG_NONE,  NULL,     NULL,             NULL,  "the file has grown: go on from what is kept of it"},
    {"--raw", NULL,          FLAG_NONE,  NULL,     NULL,             NULL,  "model bytes unfiltered; not to a terminal"},
    {"--color", NULL,        FLAG_NEEDS, "WHEN",   "color",          NULL,  "auto, always, never"},
    {"--no-mouse", NULL,     FLAG_NONE,  NULL,     "mouse",          "off", "leave the mouse to the terminal"},
    {"--bits", NULL,         FLAG_NEEDS, "N",      NULL,             NULL,  "of the weights: 8 or 4; 16 with --shape"},
    {"--shape", NULL,        FLAG_NEEDS, "NAME",   NULL,             NULL,  "random weights of this shape: 7b"},
    {"--tensors", NULL,      FLAG_NONE,  NULL,     NULL,             NULL,  "list every tensor"},
    {"--all", NULL,          FLAG_NONE,  NULL,     NULL,             NULL,  "no limit on the list"},
    {"--since", NULL,        FLAG_NEEDS, "SPAN",   NULL,             NULL,  "used in this time: 30d, 12h, 2w"},
    {"--older-than", NULL,   FLAG_NEEDS, "SPAN",   NULL,             NULL,  "not used for this time: 90d"},
    {"--yes", NULL,          FLAG_NONE,  NULL,     NULL,             NULL,  "do not ask"},
    {"--purge", NULL,        FLAG_NONE,  NULL,     NULL,             NULL,  "overwrite free pages of the database too"},
    {"--at", NULL,           FLAG_NEEDS, "TURN",   NULL,             NULL,  "ends behind this turn"},
    {"--title", NULL,        FLAG_NEEDS, "TEXT",   NULL,             NULL,  "title of the new session"},
    {"--docs", NULL,         FLAG_NONE,  NULL,     NULL,             NULL,  "only documents"},
    {"--chats", NULL,        FLAG_NONE,  NULL,     NULL,             NULL,  "only conversations"},
    {"--fts", NULL,          FLAG_NONE,  NULL,     NULL,             NULL,  "the words are FTS5's own syntax"},
    {"-F", "--form",         FLAG_NEEDS, "FORM",   NULL,             NULL,  "jsonl, md or txt"},
    {"--branch", NULL,       FLAG_NEEDS, "N",      NULL,             NULL,  "the N-th branch, last used first"},
    {"--ledger", NULL,       FLAG_NONE,  NULL,     NULL,             NULL,  "what each answer took"},
    {"--tokens", NULL,       FLAG_NONE,  NULL,     NULL,             NULL,  "the ids of each message, in the model's vocabulary"},
    {"--replay", NULL,       FLAG_NONE,  NULL,     NULL,             NULL,  "the last answer again, token for token"},
    {"--from", NULL,         FLAG_NEEDS, "KIND",   NULL,             NULL,  "oxbow, llm (its logs.db) or chatgpt (conversations.json)"},
    {"--to", NULL,           FLAG_NEEDS, "SIZE",   NULL,             NULL,  "down to this size: 5G"},
    {"--db-only", NULL,      FLAG_NONE,  NULL,     NULL,             NULL,  "only the database"},
    {"--backup", NULL,       FLAG_NEEDS, "FILE",   NULL,             NULL,  "copy the database, safe while chatting"},
    {"--salvage", NULL,      FLAG_NEEDS, "FILE",   NULL,             NULL,  "copy what can be read of a damaged one"},
    {"--term", NULL,         FLAG_NONE,  NULL,     NULL,             NULL,  "only the terminal"},
    {"-h", "--help",         FLAG_NONE,  NULL,     NULL,             NULL,  "help; of a verb: oxbow VERB -h"},
    {"-V", "--version",      FLAG_NONE,  NULL,     NULL,             NULL,  "version and build"},
    {NULL, NULL,             FLAG_NONE,  NULL,     NULL,             NULL,  NULL},
};
/* clang-format on */

/* Flags that mean something else to one verb. */
static const struct {
    const char *verb, *flag, *help;
} special[] = {
    {"docs", "--force", "rm: also documents that sessions use"},
    {"export", "--docs", "with the text of its documents"},
    {"search", "-n", "at most N lines"},
};
enum { N_SPECIAL = sizeof special / sizeof special[0] };

const char *flags_help(const struct flag *f, const char *verb) {
    for (size_t i = 0; verb && i < N_SPECIAL; i++)
        if (strcmp(special[i].flag, f->name) == 0 && strcmp(special[i].verb, verb) == 0)
            return special[i].help;
    return f->help;
}

const char *flags_special(const struct flag *f, size_t i) {
    for (size_t k = 0; k < N_SPECIAL; k++)
        if (strcmp(special[k].flag, f->name) == 0 && i-- == 0) return special[k].verb;
    return NULL;
}

const struct flag *flags_find(const char *name) {
    for (const struct flag *f = flag_table; f->name; f++)
        if (strcmp(f->name, name) == 0 || (f->twin && strcmp(f->twin, name) == 0)) return f;
    return NULL;
}

static int unknown(const char *name, ox_err *err) {
    const char *best = NULL;
    size_t near = 3;
    for (const struct flag *f = flag_table; f->name; f++)
        for (int i = 0; i < 2; i++) {
            const char *s = i ? f->twin : f->name;
            if (!s || s[1] != '-' || text_distance(name, s) >= near) continue;
            near = text_distance(name, s);
            best = s;
        }
    ox_err_set(err, OX_EUSAGE, "unknown flag \"%.60s\"%s%s%s", name, best ? "; did you mean " : "",
               best ? best : "", best ? "?" : "");
    return ox_err_fix(err,
                      "oxbow VERB -h lists a verb's flags; text that begins with - goes behind --");
}

/* The list has room: flags_parse counted. */
static int add_use(struct flags *f, const struct flag *flag, const char *value) {
    f->use[f->n_use++] = (struct flag_use){flag, value};
    return 0;
}

/* A flag whose value, if it takes one, is `given` or the next word. Returns the words used or < 0.
 */
static int take(struct flags *f, const struct flag *flag, const char *spelled, const char *given,
                const char *next, ox_err *err) {
    if (flag->takes == FLAG_NONE) {
        if (!given) return add_use(f, flag, NULL);
        ox_err_set(err, OX_EUSAGE, "%s takes no value", spelled);
        return ox_err_fix(err, "leave \"=%.60s\" out", given);
    }
    if (given) return add_use(f, flag, given);
    bool usable = next && (flag->takes == FLAG_NEEDS || next[0] != '-');
    if (usable) {
        add_use(f, flag, next);
        return 1;
    }
    if (flag->takes == FLAG_MAY) return add_use(f, flag, NULL);
    ox_err_set(err, OX_EUSAGE, "%s needs a value: %s %s", spelled, spelled, flag->arg);
    return ox_err_fix(err, "%s: %s", flag->name, flag->help);
}

static int take_long(struct flags *f, const char *word, const char *next, ox_err *err) {
    char name[64];
    size_t n = strcspn(word, "=");
    if (n >= sizeof name) return unknown(word, err);
    memcpy(name, word, n);
    name[n] = '\0';
    const struct flag *flag = flags_find(name);
    if (!flag) return unknown(name, err);
    return take(f, flag, name, word[n] ? word + n + 1 : NULL, next, err);
}

/* -q, -qc, -n5, -n 5 */
static int take_short(struct flags *f, const char *word, const char *next, ox_err *err) {
    for (const char *p = word + 1; *p; p++) {
        char name[3] = {'-', *p, '\0'};
        const struct flag *flag = flags_find(name);
        if (!flag) return unknown(p == word + 1 ? word : name, err);
        const char *rest = p[1] ? p + 1 : NULL;
        if (flag->takes == FLAG_NONE) {
            add_use(f, flag, NULL);
            continue;
        }
        return take(f, flag, name, rest, next, err);
    }
    return 0;
}

int flags_parse(int argc, char **argv, struct flags *out, ox_err *err) {
    struct flags f = {0};
    bool dashes = false;
    size_t room = 1;
    for (int i = 1; i < argc; i++)
        room += strlen(argv[i]) + 1; /* joined letters: one use each */
    f.use = ox_alloc(room, sizeof *f.use, "flags", err);
    f.word = f.use ? ox_alloc((size_t)argc + 1, sizeof *f.word, "arguments", err) : NULL;
    int rc = f.word ? 0 : OX_ENOMEM;
    for (int i = 1; rc >= 0 && i < argc; i++) {
        const char *w = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (dashes || w[0] != '-' || !w[1]) {
            f.word[f.n_word++] = w;
            f.n_bare += !dashes;
            continue;
        }
        if (strcmp(w, "--") == 0) {
            dashes = true;
            continue;
        }
        rc = w[1] == '-' ? take_long(&f, w, next, err) : take_short(&f, w, next, err);
        if (rc > 0) i += rc;
    }
    if (rc < 0) {
        flags_deinit(&f);
        return rc;
    }
    *out = f;
    return 0;
}

int flags_apply(const struct flags *f, const char *verb, struct config *conf, ox_err *err) {
    for (size_t i = 0; i < f->n_use; i++) {
        const struct flag *flag = f->use[i].flag;
        if (!flag->key) continue;
        int rc = conf_set(conf, flag->key, f->use[i].value ? f->use[i].value : flag->value,
                          flag->name, err);
        if (rc)
            return rc == OX_EUSAGE ? ox_err_fix(err, "%s %s: %s", flag->name,
                                                flag->arg ? flag->arg : "", flags_help(flag, verb))
                                   : rc;
    }
    return 0;
}

bool flags_allows(const char *allowed, const char *name) {
    size_t n = strlen(name);
    for (const char *p = strstr(allowed, name); p; p = strstr(p + 1, name))
        if ((p == allowed || p[-1] == ' ') && (p[n] == ' ' || !p[n])) return true;
    return false;
}

int flags_check(const struct flags *f, const char *allowed, const char *verb, ox_err *err) {
    for (size_t i = 0; i < f->n_use; i++) {
        const char *name = f->use[i].flag->name;
        if (flags_allows(allowed, name)) continue;
        ox_err_set(err, OX_EUSAGE, "%s does not take %s", verb, name);
        return ox_err_fix(err, "oxbow %s -h lists what it takes", verb);
    }
    return 0;
}

bool flags_has(const struct flags *f, const char *name) {
    for (size_t i = 0; i < f->n_use; i++)
        if (strcmp(f->use[i].flag->name, name) == 0) return true;
    return false;
}

const char *flags_get(const struct flags *f, const char *name) {
    for (size_t i = f->n_use; i-- > 0;)
        if (strcmp(f->use[i].flag->name, name) == 0) return f->use[i].value;
    return NULL;
}

const char *flags_out(const struct flags *f) {
    const char *path = flags_get(f, "-o");
    return path && strcmp(path, "-") == 0 ? NULL : path;
}

const char *flags_nth(const struct flags *f, const char *name, size_t i) {
    for (size_t k = 0; k < f->n_use; k++)
        if (strcmp(f->use[k].flag->name, name) == 0 && i-- == 0) return f->use[k].value;
    return NULL;
}

void flags_deinit(struct flags *f) {
    ox_free(f->use);
    ox_free(f->word);
    *f = (struct flags){0};
}
