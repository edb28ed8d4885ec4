/* golden_tokens.c - see golden_tokens.h. Apart from golden_check.c, because the test of the
 * fixtures and `golden_check --tokens` must judge alike. */
#include "tests/golden/golden_tokens.h"

#include "engine/folder.h"
#include "engine/tokenizer.h"

#include <jansson.h>
#include <string.h>

enum { MAX_SHOWN = 20 };

struct judge {
    tokenizer *tok;
    FILE *to;
    size_t line, n_shown;
    struct golden_tokens *total;
};

/* Base64 of RFC 4648 with padding; bytes go to out, which has room. Returns their number, -1: not
 * so. */
static long decode_base64(const char *s, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0;
    int n_bits = 0;
    long n = 0;
    for (; *s && *s != '='; s++) {
        const char *d = strchr(digits, *s);
        if (!d) return -1;
        bits = (bits << 6 | (unsigned)(d - digits)) & 0xffffff;
        n_bits += 6;
        if (n_bits < 8) continue;
        n_bits -= 8;
        out[n++] = (char)(bits >> n_bits & 0xff);
    }
    return n;
}

static void show_difference(struct judge *j, const char *what, const json_t *want,
                            const struct ox_tokens *got) {
    if (j->n_shown++ >= MAX_SHOWN) return;
    size_t at = 0, n = json_array_size(want);
    while (at < n && at < got->n && json_integer_value(json_array_get(want, at)) == got->v[at])
        at++;
    fprintf(j->to, "line %zu: %s: %zu ids, wanted %zu; first difference at %zu (%d, wanted %d)\n",
            j->line, what, got->n, n, at, at < got->n ? got->v[at] : -1,
            at < n ? (int)json_integer_value(json_array_get(want, at)) : -1);
}

static int check_ids(struct judge *j, const char *what, const char *text, size_t n,
                     const json_t *want, ox_err *err) {
    struct ox_tokens got = {0};
    bool is_plain = strcmp(what, "ids_plain") == 0;
    int rc = is_plain ? tokenizer_encode(j->tok, text, n, &got, err)
                      : tokenizer_encode_special(j->tok, text, n, &got, err);
    bool is_equal = !rc && got.n == json_array_size(want);
    for (size_t i = 0; is_equal && i < got.n; i++)
        is_equal = json_integer_value(json_array_get(want, i)) == got.v[i];
    j->total->n_vectors++;
    if (!rc && !is_equal) {
        j->total->n_wrong++;
        show_difference(j, what, want, &got);
    }
    ox_free(got.v);
    return rc;
}

static int check_vector(struct judge *j, const json_t *line, ox_err *err) {
    const json_t *text = json_object_get(line, "text"), *ids = json_object_get(line, "ids");
    const json_t *plain = json_object_get(line, "ids_plain");
    const char *base64 = json_string_value(json_object_get(line, "base64"));
    if (!json_is_string(text) || !json_is_array(ids))
        return ox_err_set(err, OX_EFORMAT, "line %zu: no text and ids", j->line);
    const char *bytes = json_string_value(text);
    size_t n = json_string_length(text);
    char *raw = NULL;
    if (base64) {
        raw = ox_alloc(strlen(base64) + 1, 1, "raw bytes", err);
        if (!raw) return OX_ENOMEM;
        long n_raw = decode_base64(base64, raw);
        if (n_raw < 0) {
            ox_free(raw);
            return ox_err_set(err, OX_EFORMAT, "line %zu: not base64", j->line);
        }
        bytes = raw;
        n = (size_t)n_raw;
    }
    int rc = check_ids(j, "ids", bytes, n, ids, err);
    if (!rc) rc = check_ids(j, "ids_plain", bytes, n, plain ? plain : ids, err);
    ox_free(raw);
    return rc;
}

static int check_stream(struct judge *j, const json_t *line, ox_err *err) {
    const json_t *ids = json_object_get(line, "ids"), *emit = json_object_get(line, "emit");
    struct ox_decoder d = {0};
    char *text = NULL;
    size_t n = 0, cap = 0, n_ids = json_array_size(ids);
    bool is_equal = n_ids == json_array_size(emit);
    int rc = 0;
    for (size_t i = 0; !rc && is_equal && i <= n_ids; i++) {
        bool is_end = i == n_ids;
        const json_t *want = is_end ? json_object_get(line, "flush") : json_array_get(emit, i);
        int32_t id = is_end ? -1 : (int32_t)json_integer_value(json_array_get(ids, i));
        n = 0;
        rc = tokenizer_stream(j->tok, &d, id, &text, &n, &cap, err);
        is_equal = !rc && n == json_string_length(want) &&
                   (n == 0 || memcmp(text, json_string_value(want), n) == 0);
        if (!rc && !is_equal && j->n_shown++ < MAX_SHOWN)
            fprintf(j->to, "line %zu: emit[%zu] differs\n", j->line, i);
    }
    j->total->n_streams++;
    j->total->n_wrong_streams += !is_equal;
    ox_free(text);
    return rc;
}

static int check_lines(struct judge *j, FILE *f, ox_err *err) {
    int rc = 0;
    for (j->line = 1; !rc; j->line++) {
        json_error_t why;
        json_t *line = json_loadf(f, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &why);
        if (!line && feof(f)) return 0;
        if (!line) return ox_err_set(err, OX_EFORMAT, "line %zu: %s", j->line, why.text);
        rc =
            json_object_get(line, "emit") ? check_stream(j, line, err) : check_vector(j, line, err);
        json_decref(line);
    }
    return rc;
}

int golden_tokens(const char *folder, const char *vectors, FILE *to, struct golden_tokens *out,
                  ox_err *err) {
    struct judge j = {.to = to, .total = out};
    struct folder *dir = NULL;
    const unsigned char *json = NULL;
    size_t n = 0;
    FILE *f = NULL;
    *out = (struct golden_tokens){0};
    int rc = folder_open(folder, &dir, err);
    if (!rc) rc = folder_get(dir, "tokenizer.json", &json, &n, err);
    if (!rc) rc = tokenizer_open(json, n, &j.tok, err);
    if (!rc && !(f = fopen(vectors, "rb")))
        rc = ox_err_set(err, OX_ENOTFOUND, "%s: cannot be read", vectors);
    if (!rc) rc = check_lines(&j, f, err);
    if (!rc)
        fprintf(to, "%zu of %zu vectors and %zu of %zu streams equal\n",
                out->n_vectors - out->n_wrong, out->n_vectors,
                out->n_streams - out->n_wrong_streams, out->n_streams);
    if (f) fclose(f);
    tokenizer_close(j.tok);
    folder_close(dir);
    return rc;
}
