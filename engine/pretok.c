/* pretok.c - see pretok.h. Apart, because everything that is particular to PCRE2 is in here. */
#include "engine/pretok.h"

#include "kernels/base/ox_mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

const char pretok_cl100k[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+"
    "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char pretok_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const char pretok_digits[] = "\\p{N}";

/* PCRE2's \s also takes U+180E inside a class (docs/MODEL.md 6.3), so it never sees \s. */
#define WHITE_SPACE                                                                                \
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"    \
    "\\x{205f}\\x{3000}"

enum {
    MAX_PATTERN_BYTES = 4096, /* cl100k has 120; a pattern is a line, not a program */
    JIT_STACK_START = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024,
    HEAP_LIMIT_KIB = 512 * 1024 /* of the interpreter, for patterns that keep a place a byte */
};

struct pretok_stage {
    pcre2_code *code;
    bool is_jit, keep_gaps;
};
struct pretok_run {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void *regex_alloc(size_t n, void *user) {
    (void)user;
    return ox_alloc(n, 1, "a regular expression", NULL);
}

static void regex_free(void *p, void *user) {
    (void)user;
    ox_free(p);
}

static int no_memory(ox_err *err) {
    return ox_err_set(err, OX_ENOMEM, "no memory for the split pattern");
}

/* Copies the pattern with \s and \S spelled out. out has room for the worst case. */
static int spell_out_space(const char *pattern, size_t n, char *out, size_t *n_out, ox_err *err) {
    bool in_class = false;
    size_t at = 0, to = 0;
    while (at < n) {
        const char *put = pattern + at;
        size_t n_put = 1, n_read = 1;
        if (pattern[at] == '\\' && at + 1 < n) {
            n_put = n_read = 2;
            char c = pattern[at + 1];
            if (c == 'S' && in_class)
                return ox_err_set(err, OX_EMODEL, "split pattern: \\S inside a class");
            if (c == 's' || c == 'S') {
                put = c == 'S' ? "[^" WHITE_SPACE "]"
                               : (in_class ? WHITE_SPACE : "[" WHITE_SPACE "]");
                n_put = strlen(put);
            }
        } else if (in_class && pattern[at] == '[' && at + 1 < n && pattern[at + 1] == ':') {
            const char *end = memchr(put, ']', n - at); /* [:name:] */
            if (end) n_put = n_read = (size_t)(end - put) + 1;
        } else if (in_class) {
            in_class = pattern[at] != ']';
        } else if (pattern[at] == '[') {
            in_class = true;
            if (at + 1 < n && pattern[at + 1] == '^') n_put = n_read = 2;
            if (at + n_read < n && put[n_read] == ']') n_put = n_read += 1; /* []..] is a literal */
        }
        memcpy(out + to, put, n_put);
        to += n_put;
        at += n_read;
    }
    *n_out = to;
    return 0;
}

static int compile(struct pretok_stage *s, const char *pattern, size_t n, ox_err *err) {
    pcre2_general_context *general = pcre2_general_context_create(regex_alloc, regex_free, NULL);
    pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
    char *spelled = ox_alloc(n + 1, sizeof WHITE_SPACE + 3, "a split pattern", err);
    int rc = general && context && spelled ? 0 : no_memory(err);
    size_t n_spelled = 0;
    if (!rc) rc = spell_out_space(pattern, n, spelled, &n_spelled, err);
    if (rc) goto out;
    int code = 0;
    PCRE2_SIZE where = 0;
    s->code = pcre2_compile((PCRE2_SPTR)spelled, n_spelled, PCRE2_UTF | PCRE2_UCP, &code, &where,
                            context);
    if (!s->code && code == 121) { /* "failed to allocate heap memory" of pcre2_compile */
        rc = no_memory(err);
    } else if (!s->code) {
        PCRE2_UCHAR8 text[128] = "";
        pcre2_get_error_message(code, text, sizeof text);
        rc = ox_err_set(err, OX_EMODEL, "split pattern does not compile: %s", (char *)text);
        ox_err_fix(err, "the pattern of tokenizer.json must be understood by PCRE2");
    } else {
        s->is_jit = pcre2_jit_compile(s->code, PCRE2_JIT_COMPLETE) == 0; /* else: interpreter */
    }
out:
    ox_free(spelled);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return rc;
}

static void stage_free(struct pretok_stage *s) {
    if (!s) return;
    pcre2_code_free(s->code);
    ox_free(s);
}

int pretok_run_new(struct pretok_run **out, ox_err *err) {
    struct pretok_run *r = ox_alloc(1, sizeof *r, "a text splitter", err);
    if (!r) return OX_ENOMEM;
    pcre2_general_context *general = pcre2_general_context_create(regex_alloc, regex_free, NULL);
    if (general) {
        r->data = pcre2_match_data_create(1, general);
        r->context = pcre2_match_context_create(general);
        r->stack = pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, general);
    }
    pcre2_general_context_free(general);
    if (!r->data || !r->context || !r->stack) {
        pretok_run_free(r);
        return no_memory(err);
    }
    pcre2_set_heap_limit(r->context, HEAP_LIMIT_KIB);
    pcre2_jit_stack_assign(r->context, NULL, r->stack);
    *out = r;
    return 0;
}

void pretok_run_free(struct pretok_run *r) {
    if (!r) return;
    pcre2_match_data_free(r->data);
    pcre2_match_context_free(r->context);
    pcre2_jit_stack_free(r->stack);
    ox_free(r);
}

/* Matches somewhere in text[from, n). 1: found in [*at, *end), 0: no match, else an error. The text
 * was validated by the caller: PCRE2 would check all of it again on every call. */
static int find(const struct pretok_stage *s, struct pretok_run *r, const char *text, size_t n,
                size_t from, size_t *at, size_t *end, ox_err *err) {
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (s->is_jit) rc = pcre2_jit_match(s->code, subject, n, from, 0, r->data, r->context);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT || rc == PCRE2_ERROR_JIT_BADOPTION) /* or no JIT at all */
        rc = pcre2_match(s->code, subject, n, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, r->data,
                         r->context);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc == PCRE2_ERROR_NOMEMORY) return no_memory(err);
    if (rc < 0) {
        PCRE2_UCHAR8 why[128] = "";
        pcre2_get_error_message(rc, why, sizeof why);
        return ox_err_set(err, OX_EMODEL, "split pattern fails on the text: %s", (char *)why);
    }
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(r->data);
    if (span[1] <= span[0] || span[0] < from || span[1] > n)
        return ox_err_set(err, OX_EMODEL, "split pattern matches the empty string");
    *at = span[0];
    *end = span[1];
    return 1;
}

int pretok_add(struct pretok *p, const char *pattern, size_t n, bool keep_gaps, ox_err *err) {
    if (p->n_stages == PRETOK_STAGES)
        return ox_err_set(err, OX_EMODEL, "more than %d split stages", PRETOK_STAGES);
    if (n > MAX_PATTERN_BYTES)
        return ox_err_set(err, OX_EMODEL, "split pattern of %zu bytes, at most %d", n,
                          MAX_PATTERN_BYTES);
    struct pretok_stage *s = ox_alloc(1, sizeof *s, "a split stage", err);
    struct pretok_run *r = NULL;
    if (!s) return OX_ENOMEM;
    s->keep_gaps = keep_gaps;
    int rc = compile(s, pattern, n, err);
    if (!rc) rc = pretok_run_new(&r, err);
    size_t at, end;
    if (!rc) rc = find(s, r, "", 0, 0, &at, &end, err); /* refuses what matches nothing at all */
    pretok_run_free(r);
    if (rc) {
        stage_free(s);
        return rc;
    }
    p->stage[p->n_stages++] = s;
    return 0;
}

void pretok_deinit(struct pretok *p) {
    for (int i = 0; i < p->n_stages; i++)
        stage_free(p->stage[i]);
    *p = (struct pretok){0};
}

struct cut {
    const struct pretok *p;
    struct pretok_run *r;
    int (*each)(void *user, const char *piece, size_t n, ox_err *err);
    void *user;
};

static int cut_stage(const struct cut *c, int stage, const char *text, size_t n, ox_err *err) {
    if (!n) return 0;
    if (stage == c->p->n_stages) return c->each(c->user, text, n, err);
    const struct pretok_stage *s = c->p->stage[stage];
    size_t done = 0;
    while (done < n) {
        size_t at = n, end = n;
        int rc = find(s, c->r, text, n, done, &at, &end, err);
        if (rc < 0) return rc;
        rc = 0;
        if (s->keep_gaps) rc = cut_stage(c, stage + 1, text + done, at - done, err);
        if (!rc) rc = cut_stage(c, stage + 1, text + at, end - at, err);
        if (rc) return rc;
        done = end;
    }
    return 0;
}

int pretok_cut(const struct pretok *p, struct pretok_run *r, const char *text, size_t n,
               int (*each)(void *user, const char *piece, size_t n, ox_err *err), void *user,
               ox_err *err) {
    if (n >= (size_t)1 << 31)
        return ox_err_set(err, OX_EFIT, "a text of %zu bytes, at most 2 GB at once", n);
    /* Backtracking over a run of spaces costs a step a byte; anything much beyond that is a pattern
     * that would hang. The number is a limit of PCRE2's, counted per match. */
    pcre2_set_match_limit(r->context, (uint32_t)(10000000 + n));
    const struct cut c = {p, r, each, user};
    return cut_stage(&c, 0, text, n, err);
}
