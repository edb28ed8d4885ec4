/* main.c - the table of verbs, errors for people, exit status: the only call of exit(). */
#include "app/cli/verb.h"
#include "app/core/text.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
static const struct verb *const verbs[] = {
    &verb_ask,    &verb_chat,   &verb_summarize, &verb_sessions, &verb_show,  &verb_search,  &verb_docs,
    &verb_export, &verb_import, &verb_rename,    &verb_fork,     &verb_rm,    &verb_states,
    &verb_doctor, &verb_model,  &verb_completion, NULL,
};
/* clang-format on */

/* docs/PRODUCT.md section 3. */
static int exit_status(int code) {
    static const struct {
        int code, status;
    } table[] = {
        {OX_EUSAGE, 2}, {OX_EMODEL, 3}, {OX_EDEVICE, 3}, {OX_ENOMEM, 3},       {OX_ENOTFOUND, 4},
        {OX_EFIT, 5},   {OX_EDB, 6},    {OX_EBUSY, 6},   {OX_ECANCELLED, 130},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].code == code) return table[i].status;
    return 1;
}

/* Words of an error may hold file names and model text: through the filter they go. */
static void print_part(const char *before, const char *text) {
    struct buf b = {0};
    if (text[0] && text_show(&b, text, strlen(text), TEXT_LINE, NULL) == 0)
        fprintf(stderr, "%s%s\n", before, buf_str(&b));
    buf_deinit(&b);
}

static void print_json_error(const ox_err *e, int status) {
    struct buf b = {0};
    int rc = buf_printf(&b, NULL, "{\"error\":{\"code\":%d", status);
    const char *const names[] = {"what", "where", "fix"}, *const texts[] = {e->what, e->where,
                                                                            e->fix};
    for (int i = 0; !rc && i < 3; i++) {
        rc = buf_printf(&b, NULL, ",\"%s\":", names[i]);
        if (!rc) rc = text_json(&b, texts[i], strlen(texts[i]), NULL);
    }
    if (!rc) fprintf(stderr, "%s}}\n", buf_str(&b));
    buf_deinit(&b);
}

static void report(const struct cli *c, const ox_err *e, int status) {
    if (!e->what[0]) return;
    if (flags_has(&c->flags, "--json")) {
        print_json_error(e, status);
        return;
    }
    char name[64];
    snprintf(name, sizeof name, "oxbow%s%s: ", c->is_named ? " " : "",
             c->is_named ? c->verb->name : "");
    print_part(name, e->what);
    print_part("  where: ", e->where);
    print_part("  fix:   ", e->fix);
}

/* "how do I leave vim" is no misspelt "show": it has more words than that verb takes. Where a verb
 * takes any number, two words are still looked at, and what is near "chat" only alone. */
static bool may_mean(const struct cli *c, const char *near) {
    const struct verb *v = near ? verb_find(c->verbs, near) : NULL;
    if (!v) return false;
    int most = v == &verb_chat ? 1 : v->max_words < 0 ? 2 : 1 + v->max_words;
    return (int)c->flags.n_word <= most;
}

/* The first word is a verb, or looks like one misspelt, or it is text for the chat. */
static int pick_verb(struct cli *c, ox_err *err) {
    struct flags *f = &c->flags;
    c->verb = flags_has(f, "-p") ? &verb_ask : &verb_chat;
    if (!f->n_bare) return 0;
    const struct verb *named = verb_find(c->verbs, f->word[0]);
    if (named) {
        c->verb = named;
        c->is_named = true;
        f->n_word--;
        memmove(f->word, f->word + 1, f->n_word * sizeof *f->word);
        return 0;
    }
    const char *near = verb_near(c->verbs, f->word[0]);
    if (!may_mean(c, near)) return 0;
    ox_err_set(err, OX_EUSAGE, "unknown verb \"%.60s\"; did you mean %s?", f->word[0], near);
    return ox_err_fix(err,
                      "oxbow --help lists the verbs; a prompt goes behind ask: oxbow ask \"..\"");
}

static int check_words(const struct cli *c, ox_err *err) {
    int n = (int)c->flags.n_word, max = c->verb->max_words;
    for (int i = 0; i < n; i++) {
        const char *w = c->flags.word[i];
        size_t len = strlen(w), ok = text_valid(w, len);
        if (ok == len) continue;
        ox_err_set(err, OX_EUSAGE, "argument %d is not UTF-8 (byte %zu)", i + 1, ok + 1);
        return ox_err_fix(err, "convert it (iconv), or put it in a file: -f FILE");
    }
    if (n >= c->verb->min_words && (max < 0 || n <= max)) return 0;
    bool too_few = n < c->verb->min_words, takes_some = c->verb->args[0] != 0;
    ox_err_set(err, OX_EUSAGE,
               too_few      ? "%s needs %s"
               : takes_some ? "%s takes %s, and no more words"
                            : "%s takes no words%s",
               c->verb->name, c->verb->args);
    return ox_err_fix(err, "oxbow %s -h shows how", c->verb->name);
}

/* "help", "help VERB": what people type first. More words are the draft of a question, and so is
 * one that looks like no verb. */
static bool asks_for_help(struct cli *c, ox_err *err) {
    const struct flags *f = &c->flags;
    if (c->is_named || !f->n_bare || strcmp(f->word[0], "help") != 0 || f->n_word > 2) return false;
    const struct verb *about = f->n_word == 2 ? verb_find(c->verbs, f->word[1]) : NULL;
    const char *near = f->n_word == 2 && !about ? verb_near(c->verbs, f->word[1]) : NULL;
    if (near) {
        ox_err_set(err, OX_EUSAGE, "unknown verb \"%.60s\"; did you mean %s?", f->word[1], near);
        ox_err_fix(err, "oxbow --help lists the verbs");
        return false;
    }
    if (f->n_word == 2 && !about) return false;
    if (about) c->verb = about;
    c->is_named = about != NULL;
    return true;
}

static int load_config(struct cli *c, ox_err *err) {
    int rc = conf_load(NULL, &c->conf, err);
    if (rc != OX_EUSAGE || !c->verb->examines) return rc;
    c->conf_err = *err;
    *err = (ox_err){0};
    return conf_load_bare(NULL, &c->conf, err);
}

static int run(int argc, char **argv, struct cli *c, ox_err *err) {
    int rc = flags_parse(argc, argv, &c->flags, err);
    if (!rc) rc = pick_verb(c, err);
    if (rc) return rc;
    bool is_help = asks_for_help(c, err);
    if (err->code) return err->code;
    if (is_help || flags_has(&c->flags, "-h"))
        return help_print(c, c->is_named ? c->verb : NULL, err);
    if (flags_has(&c->flags, "-V")) return help_version(err);
    rc = flags_check(&c->flags, c->verb->flags, c->verb->name, err);
    if (!rc) rc = check_words(c, err);
    if (!rc) rc = load_config(c, err);
    if (!rc) rc = flags_apply(&c->flags, c->verb->name, &c->conf, err);
    bool uses_db = flags_allows(c->verb->flags, "--db") && !c->verb->examines;
    if (!rc && uses_db) rc = conf_check_db(&c->conf, err);
    if (rc) return rc;
    text_set_ambiguous((int)c->conf.ambiguous_width);
    return c->verb->run(c, err);
}

/* A closed stdin, stdout or stderr would be taken by the next file that is opened, and written to.
 */
static void fill_streams(void) {
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO) close(fd);
}

int main(int argc, char **argv) {
    struct cli c = {.verbs = verbs, .verb = &verb_chat};
    ox_err err = {0};
    fill_streams();
    setlocale(LC_CTYPE, "");
    int rc = run(argc, argv, &c, &err);
    int status = c.status ? c.status : rc ? exit_status(rc) : 0;
    if (rc) report(&c, &err, status);
    if (fflush(stdout) && !status) status = 1;
    conf_deinit(&c.conf);
    flags_deinit(&c.flags);
    exit(status);
}
