/* named_prompt.c - see named_prompt.h. */
#include "app/named_prompt.h"

#include "app/core/prompt.h"
#include "app/core/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 1024, NAME_BYTES = 64 };

/* ---- where they are ---------------------------------------------------------------------------
 */

/* Letters, digits, - and _: a name is never a path. */
static bool is_name(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return n > 0 && n < NAME_BYTES && !name[n];
}

/* The folder beside the config file. */
static bool own_folder(const struct config *conf, char out[PATH_BYTES]) {
    const char *slash = conf->file ? strrchr(conf->file, '/') : NULL;
    int n = slash ? snprintf(out, PATH_BYTES, "%.*s/prompts", (int)(slash - conf->file), conf->file)
                  : 0;
    return n > 0 && n < PATH_BYTES - NAME_BYTES - 8;
}

/* OX_ENOTFOUND: no such file. */
static int read_own(const struct config *conf, const char *name, struct buf *out, ox_err *err) {
    char path[PATH_BYTES], part[4096];
    if (!own_folder(conf, path)) return OX_ENOTFOUND;
    size_t n = strlen(path);
    snprintf(path + n, sizeof path - n, "/%s.md", name);
    FILE *f = fopen(path, "re");
    if (!f && errno == ENOENT) return OX_ENOTFOUND;
    if (!f) return ox_err_set(err, OX_EIO, "cannot open %s: %s", path, strerror(errno));
    int rc = 0;
    while (!rc && out->n <= NAMED_PROMPT_BYTES && (n = fread(part, 1, sizeof part, f)) > 0)
        rc = buf_add(out, part, n, err);
    fclose(f);
    if (rc) return rc;
    if (out->n <= NAMED_PROMPT_BYTES && text_valid(buf_str(out), out->n) == out->n &&
        strlen(buf_str(out)) == out->n)
        return 0;
    ox_err_set(err, OX_EUSAGE, "%s is no prompt: it is %s", path,
               out->n > NAMED_PROMPT_BYTES ? "longer than 64 KiB" : "not UTF-8");
    return ox_err_fix(err, "a prompt is a short text; a long one is a document: -f FILE");
}

/* What ships beside these are forms of the program itself, without a first line. */
static const char *built_in(const char *name) {
    const char *text = prompt_builtin(name);
    return text && strncmp(text, "# ", 2) == 0 ? text : NULL;
}

/* ---- the list ---------------------------------------------------------------------------------
 */

static int tell(const char *name, const char *text,
                int (*each)(void *user, const char *name, const char *brief), void *user) {
    char brief[160] = "";
    if (strncmp(text, "# ", 2) == 0)
        snprintf(brief, sizeof brief, "%.*s", (int)strcspn(text + 2, "\n"), text + 2);
    return each(user, name, brief);
}

static int list_own(const struct config *conf,
                    int (*each)(void *user, const char *name, const char *brief), void *user) {
    char path[PATH_BYTES];
    struct dirent **entry = NULL;
    int n = own_folder(conf, path) ? scandir(path, &entry, NULL, alphasort) : 0, rc = 0;
    for (int i = 0; i < n; i++) {
        char *dot = strrchr(entry[i]->d_name, '.');
        struct buf text = {0};
        if (dot && strcmp(dot, ".md") == 0) {
            *dot = '\0';
            if (!rc && is_name(entry[i]->d_name) &&
                read_own(conf, entry[i]->d_name, &text, NULL) == 0)
                rc = tell(entry[i]->d_name, buf_str(&text), each, user);
        }
        buf_deinit(&text);
        free(entry[i]); /* scandir's own */
    }
    if (n >= 0) free(entry);
    return rc;
}

int named_prompt_list(const struct config *conf,
                      int (*each)(void *user, const char *name, const char *brief), void *user,
                      ox_err *err) {
    const char *name;
    (void)err;
    int rc = list_own(conf, each, user);
    for (size_t i = 0; !rc && (name = prompt_builtin_name(i)); i++) {
        struct buf own = {0};
        if (built_in(name) && read_own(conf, name, &own, NULL) == OX_ENOTFOUND)
            rc = tell(name, built_in(name), each, user);
        buf_deinit(&own);
    }
    return rc;
}

/* ---- one of them ------------------------------------------------------------------------------
 */

static int add_name(void *user, const char *name, const char *brief) {
    struct buf *b = user;
    (void)brief;
    return buf_printf(b, NULL, "%s%s", b->n ? ", " : "", name);
}

int named_prompt_load(const struct config *conf, const char *name, char **text, ox_err *err) {
    struct buf own = {0}, names = {0};
    const char *found = NULL;
    int rc = is_name(name) ? read_own(conf, name, &own, err) : OX_ENOTFOUND;
    if (!rc) found = buf_str(&own);
    if (rc == OX_ENOTFOUND && is_name(name)) found = built_in(name);
    if (found) {
        if (strncmp(found, "# ", 2) == 0) found += strcspn(found, "\n");
        found += strspn(found, "\n");
        *text = ox_strdup(found, "a prompt", err);
        rc = *text ? 0 : OX_ENOMEM;
        size_t n = *text ? strlen(*text) : 0;
        while (n > 0 && (*text)[n - 1] == '\n')
            (*text)[--n] = '\0';
    } else if (rc == OX_ENOTFOUND) {
        named_prompt_list(conf, add_name, &names, NULL);
        ox_err_set(err, OX_ENOTFOUND, "no prompt is called \"%.60s\"", name);
        ox_err_fix(err, "there is %s; your own are prompts/NAME.md beside the config file",
                   buf_str(&names));
    }
    buf_deinit(&own);
    buf_deinit(&names);
    return rc;
}

/* ---- filling it -------------------------------------------------------------------------------
 */

/* Whether the form has {{name}} or {{name|..}}. */
static bool asks_for(const char *form, const char *name, size_t n) {
    for (const char *p = form; (p = strstr(p, "{{")); p += 2)
        if (strncmp(p + 2, name, n) == 0 && (p[2 + n] == '|' || p[2 + n] == '}')) return true;
    return false;
}

/* Whether what stands for a missing {{text}} points at a document: "{{text|.. the document
 * above.}}".
 */
static bool points_at_document(const char *form) {
    static const char words[] = "the document above";
    const char *p = strstr(form, "{{text|"), *end = p ? strstr(p, "}}") : NULL;
    const char *found = end ? strstr(p, words) : NULL;
    return found && found < end;
}

static int add_text(struct buf *text, const char *s, const char *between, ox_err *err) {
    return s && *s ? buf_printf(text, err, "%s%s", text->n ? between : "", s) : 0;
}

int named_prompt_fill(struct buf *out, const char *form, const struct named_prompt_given *given,
                      ox_err *err) {
    struct ox_arena mem = {0};
    struct buf text = {0};
    size_t n = 0;
    struct prompt_value *v = ox_alloc(given->n_word + 2, sizeof *v, "arguments of a prompt", err);
    int rc = v ? add_text(&text, given->text, "", err) : OX_ENOMEM;
    bool is_first = true;
    for (size_t i = 0; !rc && i < given->n_word; i++) {
        const char *w = given->word[i], *eq = strchr(w, '=');
        if (eq && asks_for(form, w, (size_t)(eq - w))) {
            const char *name = ox_arena_strdup(&mem, w, (size_t)(eq - w), err);
            v[n++] = (struct prompt_value){name, eq + 1};
            rc = name ? 0 : OX_ENOMEM;
            continue;
        }
        rc = add_text(&text, w, is_first ? "\n\n" : " ", err);
        is_first = false;
    }
    bool has_place = asks_for(form, "text", 4);
    if (!rc && text.n) v[n++] = (struct prompt_value){"text", buf_str(&text)};
    if (!rc && given->file) v[n++] = (struct prompt_value){"file", given->file};
    if (!rc && !given->file && asks_for(form, "file", 4)) {
        ox_err_set(err, OX_EUSAGE, "this prompt is about a document");
        rc = ox_err_fix(err, "give one: -f FILE");
    }
    if (!rc && !given->file && !text.n && points_at_document(form)) {
        ox_err_set(err, OX_EUSAGE, "this prompt is about a text or a document; there is none");
        rc = ox_err_fix(err, "give the text behind it or through a pipe, or -f FILE");
    }
    if (!rc) rc = prompt_fill(out, form, v, n, err);
    if (!rc && text.n && !has_place) rc = buf_printf(out, err, "\n\n%s", buf_str(&text));
    ox_arena_deinit(&mem);
    buf_deinit(&text);
    ox_free(v);
    return rc;
}

int named_prompt_line(const struct config *conf, const char *line, const char *file,
                      struct buf *out, ox_err *err) {
    enum { WORDS = 8 }; /* name=value; more of them are text */
    struct ox_arena mem = {0};
    const char *word[WORDS];
    struct named_prompt_given given = {.file = file, .word = word};
    char *form = NULL, *name = ox_arena_strdup(&mem, line, strcspn(line, " "), err);
    const char *rest = line + strcspn(line, " ");
    int rc = name ? named_prompt_load(conf, name, &form, err) : OX_ENOMEM;
    for (rest += strspn(rest, " "); !rc && given.n_word < WORDS; rest += strspn(rest, " ")) {
        size_t n = strcspn(rest, " "), eq = strcspn(rest, "=");
        if (eq == 0 || eq >= n || !asks_for(form, rest, eq)) break;
        word[given.n_word] = ox_arena_strdup(&mem, rest, n, err);
        rc = word[given.n_word] ? 0 : OX_ENOMEM;
        given.n_word++;
        rest += n;
    }
    given.text = rest;
    if (!rc) rc = named_prompt_fill(out, form, &given, err);
    if (rc == OX_EUSAGE && form) ox_err_fix(err, "/prompt %.40s TEXT, or /file PATH first", name);
    ox_free(form);
    ox_arena_deinit(&mem);
    return rc;
}
