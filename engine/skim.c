/* skim.c - see skim.h. Apart, because it knows JSON and nothing of tokenizers but two names. */
#include "engine/skim.h"

#include "engine/text.h"

#include <string.h>

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static const char *skip_space(const char *p, const char *end) {
    while (p < end && is_space(*p))
        p++;
    return p;
}

/* ---- finding --------------------------------------------------------------------------------- */

/* p stands behind the opening quote; returns where the closing one is, or NULL. */
static const char *string_end(const char *p, const char *end) {
    for (; p < end && *p != '"'; p++)
        if (*p == '\\' && ++p == end) break;
    return p < end ? p : NULL;
}

/* Behind the object or list that starts at p, or NULL. */
static const char *value_end(const char *p, const char *end) {
    size_t depth = 0;
    for (; p < end; p++) {
        if (*p == '"') {
            p = string_end(p + 1, end);
            if (!p) return NULL;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if ((*p == '}' || *p == ']') && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

static bool is_key(const char *from, const char *to, const char *name) {
    return (size_t)(to - from) == strlen(name) && memcmp(from, name, strlen(name)) == 0;
}

struct splitter {
    const char *kept; /* up to here the text is in rest or left out */
    char *rest;
    size_t n_rest, cap_rest;
};

static int keep_until(struct splitter *s, const char *to, const char *more, ox_err *err) {
    size_t n = (size_t)(to - s->kept), n_more = strlen(more);
    int rc = ox_grow(&s->rest, &s->cap_rest, s->n_rest + n + n_more + 1, 1, err);
    if (rc) return rc;
    memcpy(s->rest + s->n_rest, s->kept, n);
    memcpy(s->rest + s->n_rest + n, more, n_more);
    s->n_rest += n + n_more;
    s->kept = to;
    return 0;
}

int skim_split(const char *json, size_t n, struct skim_part *vocab, struct skim_part *merges,
               char **rest, size_t *n_rest, ox_err *err) {
    const char *end = json + n;
    struct splitter s = {.kept = json};
    bool in_model = false;
    size_t depth = 0;
    int rc = 0;
    *vocab = *merges = (struct skim_part){0};
    for (const char *p = json; !rc && p < end; p++) {
        if (*p == '{' || *p == '[') depth++;
        if ((*p == '}' || *p == ']') && depth > 0 && --depth < 2) in_model = false;
        if (*p != '"') continue;
        const char *from = p + 1, *to = string_end(from, end);
        if (!to) {
            rc = ox_err_set(err, OX_EMODEL, "a string at byte %zu does not end", from - json);
            break;
        }
        p = to;
        const char *colon = skip_space(to + 1, end);
        if (colon == end || *colon != ':') continue; /* a value, not a name */
        const char *value = skip_space(colon + 1, end);
        if (depth == 1) in_model = is_key(from, to, "model") && value < end && *value == '{';
        if (depth != 2 || !in_model || value == end || (*value != '{' && *value != '[')) continue;
        struct skim_part *part = is_key(from, to, "vocab")    ? vocab
                                 : is_key(from, to, "merges") ? merges
                                                              : NULL;
        if (!part || part->from) continue;
        const char *behind = value_end(value, end);
        if (!behind) {
            rc = ox_err_set(err, OX_EMODEL, "the value at byte %zu does not end", value - json);
            break;
        }
        *part = (struct skim_part){value, (size_t)(behind - value)};
        rc = keep_until(&s, value, "null", err);
        s.kept = behind;
        p = behind - 1;
    }
    if (!rc) rc = keep_until(&s, end, "", err);
    if (rc) {
        ox_free(s.rest);
        return rc;
    }
    *rest = s.rest;
    *n_rest = s.n_rest;
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int unexpected(const struct skim *s, const char *wanted, ox_err *err) {
    if (s->at == s->end) return ox_err_set(err, OX_EMODEL, "ends where %s should be", wanted);
    return ox_err_set(err, OX_EMODEL, "byte %zu: 0x%02x where %s should be",
                      (size_t)(s->at - s->start), (unsigned)(unsigned char)*s->at, wanted);
}

bool skim_take(struct skim *s, char c) {
    s->at = skip_space(s->at, s->end);
    if (s->at == s->end || *s->at != c) return false;
    s->at++;
    return true;
}

int skim_expect(struct skim *s, char c, ox_err *err) {
    const char wanted[] = {'"', c, '"', 0};
    return skim_take(s, c) ? 0 : unexpected(s, wanted, err);
}

int skim_number(struct skim *s, uint32_t *number, ox_err *err) {
    s->at = skip_space(s->at, s->end);
    const char *from = s->at;
    uint64_t value = 0;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
        value = value * 10 + (uint64_t)(*s->at - '0');
        if (value > UINT32_MAX) return unexpected(s, "a smaller number", err);
    }
    if (s->at == from || (*from == '0' && s->at - from > 1)) return unexpected(s, "an id", err);
    *number = (uint32_t)value;
    return 0;
}

/* The four digits of \uXXXX, or -1. */
static int32_t read_hex4(const char *p, const char *end) {
    int32_t value = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *d;
        char c = p[i] >= 'A' && p[i] <= 'F' ? (char)(p[i] + ('a' - 'A')) : p[i];
        d = c ? strchr(digits, c) : NULL;
        if (!d) return -1;
        value = value * 16 + (int32_t)(d - digits);
    }
    return value;
}

static size_t put_utf8(char *out, int32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
    return n;
}

/* One escape; s->at stands behind the backslash. A surrogate must come as a pair. */
static int read_escape(struct skim *s, char *out, size_t *n_out, ox_err *err) {
    static const char name[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    const char *known = s->at < s->end && *s->at ? strchr(name, *s->at) : NULL;
    if (known) {
        out[(*n_out)++] = means[known - name];
        s->at++;
        return 0;
    }
    if (s->at == s->end || *s->at != 'u') return unexpected(s, "an escape", err);
    int32_t c = read_hex4(s->at + 1, s->end);
    if (c < 0) return unexpected(s, "\\u and four digits", err);
    s->at += 5;
    if (c >= 0xd800 && c <= 0xdfff) {
        int32_t low = -1;
        if (c < 0xdc00 && s->end - s->at > 6 && s->at[0] == '\\' && s->at[1] == 'u')
            low = read_hex4(s->at + 2, s->end);
        if (low < 0xdc00 || low > 0xdfff) return unexpected(s, "the other surrogate", err);
        s->at += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *n_out += put_utf8(out + *n_out, c);
    return 0;
}

int skim_string(struct skim *s, const char **text, size_t *n, ox_err *err) {
    if (!skim_take(s, '"')) return unexpected(s, "a string", err);
    const char *from = s->at, *to = string_end(from, s->end);
    if (!to) return ox_err_set(err, OX_EMODEL, "a string does not end");
    for (const char *p = from; p < to; p++)
        if ((unsigned char)*p < 0x20) {
            s->at = p;
            return unexpected(s, "an escape", err);
        }
    *text = from;
    *n = (size_t)(to - from);
    if (memchr(from, '\\', *n)) { /* an escape is never shorter than what it stands for */
        int rc = ox_grow(&s->buf, &s->cap_buf, *n, 1, err);
        size_t n_buf = 0;
        while (!rc && s->at < to) {
            char c = *s->at++;
            if (c == '\\')
                rc = read_escape(s, s->buf, &n_buf, err);
            else
                s->buf[n_buf++] = c;
        }
        if (rc) return rc;
        *text = s->buf;
        *n = n_buf;
    }
    if (ox_text_whole(*text, *n) != *n) return unexpected(s, "UTF-8", err);
    s->at = to + 1;
    return 0;
}

void skim_deinit(struct skim *s) {
    ox_free(s->buf);
    s->buf = NULL;
}
