/* prompt.c - see prompt.h. Apart, because the words around a document decide whether its ids, and
 * so its saved states, can be found again. */
#include "app/core/prompt.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name, *text;
} table[] = {
#include "prompt_table.inc"
    {NULL, NULL},
};

const char prompt_compact_words[] = "Our conversation so far, in short.";

const char *prompt_builtin(const char *name) {
    for (size_t i = 0; table[i].name; i++)
        if (strcmp(table[i].name, name) == 0) return table[i].text;
    return NULL;
}

const char *prompt_builtin_name(size_t i) {
    return i < sizeof table / sizeof table[0] ? table[i].name : NULL;
}

static const char *find_value(const struct prompt_value *v, size_t n, const char *name,
                              size_t len) {
    for (size_t i = 0; i < n; i++)
        if (strlen(v[i].name) == len && memcmp(v[i].name, name, len) == 0) return v[i].value;
    return NULL;
}

int prompt_fill(struct buf *out, const char *form, const struct prompt_value *values, size_t n,
                ox_err *err) {
    size_t start = out->n;
    int rc = 0;
    while (!rc && *form) {
        const char *open = strstr(form, "{{"), *close = open ? strstr(open, "}}") : NULL;
        if (!close) {
            rc = buf_puts(out, form, err);
            break;
        }
        rc = buf_add(out, form, (size_t)(open - form), err);
        const char *name = open + 2;
        const char *bar = memchr(name, '|', (size_t)(close - name));
        int len = (int)((bar ? bar : close) - name);
        const char *value = find_value(values, n, name, (size_t)len);
        if (!rc && !value && !bar) {
            ox_err_set(err, OX_EUSAGE, "the prompt asks for {{%.*s}}", len, name);
            rc = ox_err_fix(err, "give it: %.*s=..., or use another prompt", len, name);
        }
        if (!rc && value) rc = buf_puts(out, value, err);
        if (!rc && !value) rc = buf_add(out, bar + 1, (size_t)(close - bar - 1), err);
        form = close + 2;
    }
    if (rc) buf_cut(out, start);
    return rc;
}

/* --- messages ------------------------------------------------------------------------------------
 */

static int add(struct prompt *p, struct ox_msg m, enum ox_why why, ox_err *err) {
    int rc = ox_grow(&p->msg, &p->cap_msg, p->n + 1, sizeof *p->msg, err);
    if (!rc) rc = ox_grow(&p->why, &p->cap_why, p->n + 1, sizeof *p->why, err);
    if (rc) return rc;
    const char *text = ox_arena_strdup(&p->mem, m.text ? m.text : "", m.n_bytes, err);
    int32_t *tok = m.tok ? ox_arena_alloc(&p->mem, m.n_tok, sizeof *tok, "tokens", err) : NULL;
    if (!text || (m.tok && !tok)) return OX_ENOMEM;
    if (tok) memcpy(tok, m.tok, m.n_tok * sizeof *tok);
    m.text = text;
    m.tok = tok;
    p->msg[p->n] = m;
    p->why[p->n++] = why;
    return 0;
}

/* The parts of prompts/document.md around the two names. */
struct form {
    const char *open, *between, *tail;
    size_t n_open, n_between, n_tail;
};

static struct form document_form(void) {
    static const char doc[] = "{{document}}", question[] = "{{question}}";
    const char *text = prompt_builtin("document");
    const char *d = text ? strstr(text, doc) : NULL, *q = d ? strstr(d, question) : NULL;
    assert(q && "prompts/document.md names document and question, in this order");
    struct form f = {.open = text, .n_open = (size_t)(d - text)};
    f.between = d + strlen(doc);
    f.n_between = (size_t)(q - f.between);
    f.tail = q + strlen(question);
    f.n_tail = strlen(f.tail);
    if (f.n_tail && f.tail[f.n_tail - 1] == '\n') f.n_tail--; /* the end of the file's last line */
    return f;
}

int prompt_system(struct prompt *p, const char *text, size_t n, ox_err *err) {
    return add(p, (struct ox_msg){.role = OX_ROLE_SYSTEM, .text = text, .n_bytes = n},
               OX_WHY_SYSTEM, err);
}

int prompt_document(struct prompt *p, const char *text, size_t n, const int32_t *tok, size_t n_tok,
                    ox_err *err) {
    struct form f = document_form();
    struct buf open = {0};
    int rc = p->open_user ? buf_add(&open, f.between, f.n_between, err) : 0;
    if (!rc) rc = buf_add(&open, f.open, f.n_open, err);
    struct ox_msg before = {
        .role = OX_ROLE_USER, .joined = p->open_user, .text = open.p, .n_bytes = open.n};
    struct ox_msg body = {.role = OX_ROLE_USER,
                          .joined = true,
                          .text = text,
                          .n_bytes = n,
                          .tok = tok,
                          .n_tok = n_tok};
    if (!rc) rc = add(p, before, OX_WHY_NONE, err);
    if (!rc) rc = add(p, body, OX_WHY_DOCUMENT, err);
    if (!rc) p->open_user = true;
    buf_deinit(&open);
    return rc;
}

int prompt_user(struct prompt *p, const char *text, size_t n, ox_err *err) {
    struct form f = document_form();
    struct buf all = {0};
    int rc = p->open_user ? buf_add(&all, f.between, f.n_between, err) : 0;
    if (!rc) rc = buf_add(&all, text, n, err);
    if (!rc && p->open_user) rc = buf_add(&all, f.tail, f.n_tail, err);
    struct ox_msg m = {
        .role = OX_ROLE_USER, .joined = p->open_user, .text = all.p, .n_bytes = all.n};
    if (!rc) rc = add(p, m, OX_WHY_NONE, err);
    if (!rc) p->open_user = false;
    buf_deinit(&all);
    return rc;
}

int prompt_assistant(struct prompt *p, const char *text, size_t n, const int32_t *tok, size_t n_tok,
                     ox_err *err) {
    struct ox_msg m = {
        .role = OX_ROLE_ASSISTANT, .text = text, .n_bytes = n, .tok = tok, .n_tok = n_tok};
    return add(p, m, OX_WHY_TURN, err);
}

void prompt_deinit(struct prompt *p) {
    ox_free(p->msg);
    ox_free(p->why);
    ox_arena_deinit(&p->mem);
    *p = (struct prompt){0};
}
