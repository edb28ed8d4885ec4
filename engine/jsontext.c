/* jsontext.c - see jsontext.h. Apart, so that every JSON file of a model meets the same limits. */
#include "engine/jsontext.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Counts nesting and values without building them: jansson spends up to 130 bytes on the two of
 * "[]", so 100 MB of brackets would take gigabytes. Says nothing about well-formedness. */
static int check_limits(const unsigned char *text, size_t n, const char *file, ox_err *err) {
    size_t depth = 0, n_values = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = text[i];
        if (in_string) {
            if (ch == '\\')
                i++;
            else if (ch == '"')
                in_string = false;
            continue;
        }
        if (ch == '"') in_string = true;
        if (ch == '{' || ch == '[') depth++;
        if ((ch == '}' || ch == ']') && depth > 0) depth--;
        if (ch == '{' || ch == '[' || ch == ',') n_values++;
        if (depth > JSONTEXT_DEPTH)
            return ox_err_set(err, OX_EMODEL, "%s: JSON nested more than %d levels deep", file,
                              JSONTEXT_DEPTH);
        if (n_values > JSONTEXT_VALUES)
            return ox_err_set(err, OX_EMODEL, "%s: more than %d JSON values", file,
                              JSONTEXT_VALUES);
    }
    return 0;
}

int jsontext_parse(const unsigned char *text, size_t n, const char *file, json_t **out,
                   ox_err *err) {
    int rc = check_limits(text, n, file, err);
    json_error_t why = {0};
    json_t *root = NULL;
    if (!rc) {
        root = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, &why);
        if (!root && json_error_code(&why) == json_error_out_of_memory)
            return ox_err_set(err, OX_ENOMEM, "no memory for the JSON of %s", file);
        if (!root)
            rc = ox_err_set(err, OX_EMODEL, "%s line %d: %s", file, why.line > 0 ? why.line : 1,
                            why.text);
        else if (!json_is_object(root))
            rc = ox_err_set(err, OX_EMODEL, "%s: expected a JSON object { .. }", file);
    }
    if (rc) {
        json_decref(root);
        ox_err_fix(err, "download %s again; it is not what its publisher wrote", file);
        return rc;
    }
    *out = root;
    return 0;
}

const json_t *jsontext_get(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

const char *jsontext_quote(const char *text, size_t n, char out[JSONTEXT_SHOWN]) {
    enum { SHOWN_TEXT = 40 };
    size_t shown = n < SHOWN_TEXT ? n : SHOWN_TEXT;
    while (shown < n && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--;
    snprintf(out, JSONTEXT_SHOWN, "\"%.*s%s\"", (int)shown, text, shown < n ? ".." : "");
    return out;
}

const char *jsontext_show(const json_t *v, char out[JSONTEXT_SHOWN]) {
    if (!v) {
        snprintf(out, JSONTEXT_SHOWN, "absent");
        return out;
    }
    switch (json_typeof(v)) {
    case JSON_OBJECT: snprintf(out, JSONTEXT_SHOWN, "an object"); break;
    case JSON_ARRAY: snprintf(out, JSONTEXT_SHOWN, "a list"); break;
    case JSON_TRUE: snprintf(out, JSONTEXT_SHOWN, "true"); break;
    case JSON_FALSE: snprintf(out, JSONTEXT_SHOWN, "false"); break;
    case JSON_NULL: snprintf(out, JSONTEXT_SHOWN, "null"); break;
    case JSON_REAL: snprintf(out, JSONTEXT_SHOWN, "%.9g", json_real_value(v)); break;
    case JSON_INTEGER:
        snprintf(out, JSONTEXT_SHOWN, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_STRING: jsontext_quote(json_string_value(v), json_string_length(v), out); break;
    }
    return out;
}
