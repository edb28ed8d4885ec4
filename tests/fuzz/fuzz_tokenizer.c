/* fuzz_tokenizer - a tokenizer.json and a text behind its first zero byte. Whatever opens must
 * encode any text; ids must exist, data must give no added token, both must give the text back as
 * far as the vocabulary has bytes for it. Without a zero byte all is JSON. */
#include "engine/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX_TEXT = 4096 }; /* a pattern may cost seconds on more; that is its limit, not a fault */

static void check_ids(const tokenizer *t, const struct ox_tokens *ids, int is_data) {
    struct ox_decoder d = {0};
    char *text = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < ids->n; i++) {
        size_t n_bytes = 0;
        if (!tokenizer_bytes(t, ids->v[i], &n_bytes) || !n_bytes) abort();
        if (is_data && tokenizer_is_added(t, ids->v[i])) abort();
        if (tokenizer_stream(t, &d, ids->v[i], &text, &n, &cap, NULL)) abort();
    }
    if (tokenizer_stream(t, &d, -1, &text, &n, &cap, NULL)) abort();
    ox_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    size_t n_json = zero ? (size_t)(zero - data) : n;
    const char *text = zero ? (const char *)zero + 1 : "";
    size_t n_text = zero ? n - n_json - 1 : 0;
    if (n_text > MAX_TEXT) n_text = MAX_TEXT;
    tokenizer *t = NULL;
    ox_err err = {0};
    if (tokenizer_open(data, n_json, &t, &err)) {
        if (!err.what[0] || (err.code == OX_EMODEL && !err.fix[0])) abort();
        return 0;
    }
    struct ox_tokens ids = {0};
    if (!tokenizer_encode(t, text, n_text, &ids, NULL)) check_ids(t, &ids, 1);
    ids.n = 0;
    if (!tokenizer_encode_special(t, text, n_text, &ids, NULL)) check_ids(t, &ids, 0);
    ox_free(ids.v);
    tokenizer_close(t);
    return 0;
}
