/* quant.c - see quant.h. Apart, so that the rules of a foreign format stand in one place. */
#include "engine/quant.h"

#include "kernels/base/ox_mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <inttypes.h>
#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_PATTERNS = 64,
    MAX_PATTERN_BYTES = 1000,
    MATCH_LIMIT = 10000 /* steps; real patterns need under a thousand on a module name */
};

struct rule {
    const char *text;
    pcre2_code *code; /* NULL: an exact name */
};
struct quant_rules {
    const struct ox_quant *q;
    struct rule *ignore;   /* [q->n_ignore] */
    struct rule **targets; /* [q->n_groups][n_targets] */
    pcre2_match_data *match;
    pcre2_match_context *limits;
    size_t n_patterns;
};

/* ---- rules ---- */

static int compile_rules(struct quant_rules *r, char *const *text, size_t n, struct rule **out,
                         ox_err *err) {
    *out = ox_alloc(n, sizeof **out, "quantisation rules", err);
    if (!*out) return OX_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        (*out)[i].text = text[i];
        if (strncmp(text[i], "re:", 3) != 0) continue;
        if (++r->n_patterns > MAX_PATTERNS || strlen(text[i]) > MAX_PATTERN_BYTES)
            return ox_err_set(err, OX_EMODEL,
                              "quantization_config: more than %d patterns, or one over %d bytes",
                              MAX_PATTERNS, MAX_PATTERN_BYTES);
        int code = 0;
        PCRE2_SIZE at = 0;
        (*out)[i].code =
            pcre2_compile((PCRE2_SPTR)text[i] + 3, PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_ANCHORED | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
        if (!(*out)[i].code) {
            PCRE2_UCHAR why[120] = {0};
            pcre2_get_error_message(code, why, sizeof why);
            return ox_err_set(err, OX_EMODEL, "quantization_config: pattern \"%.80s\": %s", text[i],
                              (const char *)why);
        }
    }
    return 0;
}

static void free_rules(struct rule *v, size_t n) {
    for (size_t i = 0; v && i < n; i++)
        pcre2_code_free(v[i].code);
    ox_free(v);
}

int quant_rules_open(const struct ox_quant *q, struct quant_rules **out, ox_err *err) {
    struct quant_rules *r = ox_alloc(1, sizeof *r, "quantisation rules", err);
    if (!r) return OX_ENOMEM;
    r->q = q;
    int rc = compile_rules(r, q->ignore, q->n_ignore, &r->ignore, err);
    if (!rc) {
        r->targets = ox_alloc(q->n_groups, sizeof *r->targets, "quantisation rules", err);
        rc = r->targets ? 0 : OX_ENOMEM;
    }
    for (size_t i = 0; !rc && i < q->n_groups; i++)
        rc = compile_rules(r, q->groups[i].targets, q->groups[i].n_targets, &r->targets[i], err);
    if (!rc) {
        r->match = pcre2_match_data_create(1, NULL);
        r->limits = pcre2_match_context_create(NULL);
        if (!r->match || !r->limits)
            rc = ox_err_set(err, OX_ENOMEM, "no memory for patterns of quantization_config");
        else
            pcre2_set_match_limit(r->limits, MATCH_LIMIT);
    }
    if (rc) {
        quant_rules_close(r);
        return rc;
    }
    *out = r;
    return 0;
}

void quant_rules_close(struct quant_rules *r) {
    if (!r) return;
    free_rules(r->ignore, r->q->n_ignore);
    for (size_t i = 0; r->targets && i < r->q->n_groups; i++)
        free_rules(r->targets[i], r->q->groups[i].n_targets);
    ox_free(r->targets);
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->limits);
    ox_free(r);
}

/* Patterns match from the start of the path, not to its end (Python's re.match). */
static int rule_hits(const struct quant_rules *r, const struct rule *rule, const char *module,
                     bool *hit, ox_err *err) {
    if (!rule->code) {
        *hit = strcmp(rule->text, module) == 0;
        return 0;
    }
    int n = pcre2_match(rule->code, (PCRE2_SPTR)module, strlen(module), 0, 0, r->match, r->limits);
    *hit = n >= 0;
    if (n >= 0 || n == PCRE2_ERROR_NOMATCH) return 0;
    return ox_err_set(err, OX_EMODEL, "quantization_config: pattern \"%.80s\" takes too long on %s",
                      rule->text, module);
}

int quant_find(const struct quant_rules *r, const char *module, const struct ox_quant_group **out,
               ox_err *err) {
    const struct ox_quant *q = r->q;
    const char *kind = strcmp(module, "model.embed_tokens") == 0 ? "Embedding" : "Linear";
    const struct ox_quant_group *by_class = NULL;
    bool hit = false;
    *out = NULL;
    for (size_t i = 0; i < q->n_ignore; i++) {
        int rc = rule_hits(r, &r->ignore[i], module, &hit, err);
        if (rc || hit) return rc;
    }
    for (size_t g = 0; g < q->n_groups; g++)
        for (size_t i = 0; i < q->groups[g].n_targets; i++) {
            if (!by_class && strcmp(q->groups[g].targets[i], kind) == 0) by_class = &q->groups[g];
            int rc = rule_hits(r, &r->targets[g][i], module, &hit, err);
            if (rc) return rc;
            if (!hit) continue;
            *out = &q->groups[g];
            return 0;
        }
    *out = by_class;
    return 0;
}

/* ---- reading ---- */

static int find_part_tensor(const struct st_set *s, const char *module, const char *suffix,
                            int64_t rows, int64_t cols, const struct st_tensor **out, ox_err *err) {
    char name[160];
    snprintf(name, sizeof name, "%s.%s", module, suffix);
    const struct st_tensor *t = st_find(s, name);
    if (!t) {
        ox_err_set(err, OX_EMODEL, "%s is missing; %s.weight_packed is there", name, module);
        return ox_err_fix(err, "download the folder again: a quantised matrix has all its tensors");
    }
    if (t->n_dims != 2 || t->dim[0] != rows || t->dim[1] != cols)
        return ox_err_set(err, OX_EMODEL,
                          "%s: expected [%" PRId64 ",%" PRId64 "], file has %d dimensions [%" PRId64
                          ",%" PRId64 "]",
                          name, rows, cols, t->n_dims, t->n_dims > 0 ? t->dim[0] : 0,
                          t->n_dims > 1 ? t->dim[1] : 0);
    *out = t;
    return 0;
}

static int want_type(const struct st_tensor *t, enum st_type want, ox_err *err) {
    if (t->type == want) return 0;
    return ox_err_set(err, OX_EMODEL, "%s: expected %s, file has %s", t->name, st_type_name(want),
                      st_type_name(t->type));
}

/* weight_shape holds [out, in] as numbers. */
static int check_stored_shape(const struct st_set *s, const char *module, int64_t rows,
                              int64_t cols, ox_err *err) {
    char name[160];
    snprintf(name, sizeof name, "%s.weight_shape", module);
    const struct st_tensor *t = st_find(s, name);
    if (!t) return ox_err_set(err, OX_EMODEL, "%s is missing", name);
    if (t->n_dims != 1 || t->dim[0] != 2 || (t->type != ST_I64 && t->type != ST_I32))
        return ox_err_set(err, OX_EMODEL, "%s: expected two numbers of I64", name);
    int64_t got[2];
    for (int i = 0; i < 2; i++) {
        int32_t narrow = 0;
        if (t->type == ST_I32)
            memcpy(&narrow, t->data + 4 * i, sizeof narrow);
        else
            memcpy(&got[i], t->data + 8 * i, sizeof got[i]);
        if (t->type == ST_I32) got[i] = narrow;
    }
    if (got[0] == rows && got[1] == cols) return 0;
    return ox_err_set(err, OX_EMODEL,
                      "%s: expected %" PRId64 " x %" PRId64 ", file says %" PRId64 " x %" PRId64,
                      name, rows, cols, got[0], got[1]);
}

int quant_part(const struct st_set *s, const char *module, const struct ox_quant_group *g,
               int64_t rows, int64_t cols, struct kn_part *out, ox_err *err) {
    if (g->group && cols % g->group)
        return ox_err_set(err, OX_EMODEL,
                          "%s: group_size %d does not divide its input width %" PRId64, module,
                          g->group, cols);
    int64_t n_groups = g->group ? cols / g->group : 1;
    const struct st_tensor *packed = NULL, *scale = NULL, *zero = NULL;
    int rc = find_part_tensor(s, module, "weight_packed", rows, (cols * g->bits + 31) / 32, &packed,
                              err);
    if (!rc) rc = want_type(packed, ST_I32, err);
    if (!rc) rc = find_part_tensor(s, module, "weight_scale", rows, n_groups, &scale, err);
    if (!rc && scale->type != ST_BF16 && scale->type != ST_F16 && scale->type != ST_F32)
        rc = want_type(scale, ST_BF16, err);
    if (!rc && !g->symmetric) {
        rc = find_part_tensor(s, module, "weight_zero_point", (rows * g->bits + 31) / 32, n_groups,
                              &zero, err);
        if (!rc) rc = want_type(zero, ST_I32, err);
    }
    if (!rc) rc = check_stored_shape(s, module, rows, cols, err);
    if (rc) return rc;
    *out = (struct kn_part){
        .data = packed->data,
        .scale = scale->data,
        .zero = zero ? zero->data : NULL,
        .rows = rows,
        .cols = cols,
        .group = g->group,
        .dtype = g->bits == 4 ? KN_I4 : KN_I8,
        .scale_dtype = scale->type == ST_BF16  ? KN_BF16
                       : scale->type == ST_F16 ? KN_F16
                                               : KN_F32,
    };
    return 0;
}

/* ---- writing ---- */

/* Nearest, ties to even. */
static uint16_t to_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static float from_bf16(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* To the nearest whole number, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no bits
 * behind the point. rintf is a call on processors without SSE 4.1 in the baseline, and half the
 * time. */
static float round_even(float x) {
    const float shift = 0x1.8p23F;
    return (x + shift) - shift;
}

static float largest(const float *w, int64_t n) {
    float max = 0;
    for (int64_t i = 0; i < n; i++)
        if (fabsf(w[i]) > max) max = fabsf(w[i]);
    return max;
}

/* One row; words are cleared, fields are offset binary from the lowest bits up. */
static void write_row(const struct quant_rows *r, uint32_t *packed, uint16_t *scale,
                      struct quant_error *sum) {
    const int offset = 1 << (r->bits - 1), bits = r->bits;
    const float top = (float)(offset - 1), bottom = (float)-offset;
    const int64_t group = r->group ? r->group : r->cols;
    double error = 0, weight = 0, worst = 0;
    memset(packed, 0, (size_t)((r->cols * bits + 31) / 32) * sizeof *packed);
    for (int64_t g = 0; g < r->cols / group; g++) {
        scale[g] = to_bf16(largest(r->row + g * group, group) / top);
        if (scale[g] == 0) scale[g] = to_bf16(1); /* nothing but zeros, or too small for bf16 */
        const float s = from_bf16(scale[g]);
        for (int64_t i = g * group; i < (g + 1) * group; i++) {
            const float w = r->row[i];
            float q = round_even(w / s);
            q = q < bottom ? bottom : q > top ? top : q;
            const double miss = fabs((double)w - (double)q * (double)s);
            error += miss * miss;
            weight += (double)w * (double)w;
            if (miss > worst) worst = miss;
            packed[i * bits / 32] |= (uint32_t)((int)q + offset) << (i * bits % 32);
        }
    }
    const double row_max = (double)largest(r->row, r->cols);
    sum->error += error;
    sum->weight += weight;
    if (row_max > 0 && worst / row_max > sum->worst) sum->worst = worst / row_max;
}

int quant_write(const struct quant_rows *r, struct quant_error *sum, ox_err *err) {
    const int64_t n_words = (r->cols * r->bits + 31) / 32,
                  n_scales = r->group ? r->cols / r->group : 1;
    for (int64_t i = 0; i < r->n; i++) {
        for (int64_t k = 0; k < r->cols; k++) {
            r->row[k] = st_f32(r->t, (size_t)((r->from + i) * r->cols + k));
            if (!isfinite(r->row[k]))
                return ox_err_set(err, OX_EMODEL,
                                  "%.200s: row %" PRId64 " holds a value that is not "
                                  "a finite number",
                                  r->t->name, r->from + i);
        }
        write_row(r, r->packed + i * n_words, r->scale + i * n_scales, sum);
    }
    return 0;
}
