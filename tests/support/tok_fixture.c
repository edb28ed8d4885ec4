/* tok_fixture.c - see tok_fixture.h. */
#include "tests/support/tok_fixture.h"

#include <stdio.h>
#include <string.h>

const char tok_fixture_json[] =
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,"
    "\"added_tokens\":[{\"id\":12,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,"
    "\"rstrip\":false,\"normalized\":false,\"special\":true},"
    "{\"id\":13,\"content\":\"<s>!\",\"special\":false}],"
    "\"normalizer\":null,"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Digits\",\"individual_digits\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}]},"
    "\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"
    "\"continuing_subword_prefix\":\"\",\"byte_fallback\":false,\"ignore_merges\":false,"
    "\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"\\u0120\":3,\"1\":4,\"\xc3\xa3\":5,\"<\":6,\"s\":7,"
    "\"ab\":8,\"abc\":9,\"\\u0120ab\":10,\"bc\":11},"
    "\"merges\":[\"a b\",[\"ab\",\"c\"],\"\\u0120 ab\",\"b c\"]}}";

char *tok_fixture_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *bytes = size < 0 ? NULL : ox_alloc((size_t)size + 1, 1, "a file", NULL);
    *n = bytes ? fread(bytes, 1, (size_t)size, f) : 0;
    fclose(f);
    return bytes;
}

tokenizer *tok_fixture_open(const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/golden/%s/tokenizer.json", OXBOW_TEST_DIR, name);
    size_t n = 0;
    char *json = tok_fixture_file(path, &n);
    tokenizer *t = NULL;
    ox_err err = {0};
    if (!json || tokenizer_open((unsigned char *)json, n, &t, &err))
        fprintf(stderr, "%s: %s\n", path, json ? err.what : "cannot be read");
    ox_free(json);
    return t;
}

char *tok_fixture_decode(const tokenizer *t, const int32_t *tok, size_t n_tok, size_t *n) {
    char *text = NULL;
    size_t cap = 0;
    *n = 0;
    for (size_t i = 0; i < n_tok; i++) {
        size_t n_bytes = 0;
        const char *bytes = tokenizer_bytes(t, tok[i], &n_bytes);
        if (!bytes || ox_grow(&text, &cap, *n + n_bytes + 1, 1, NULL)) continue;
        memcpy(text + *n, bytes, n_bytes);
        *n += n_bytes;
    }
    return text ? text : ox_alloc(1, 1, "text", NULL);
}

uint64_t tok_fixture_random(uint64_t *seed) { /* splitmix64 */
    uint64_t x = *seed += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static size_t put_character(char *out, uint32_t c) {
    if (c < 0x80) return out[0] = (char)c, 1;
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

char *tok_fixture_text(uint64_t *seed, size_t n, size_t *n_bytes) {
    static const struct {
        uint32_t from, n;
    } kinds[] = {{'a', 26},       {'a', 26},         {'A', 26},     {' ', 1},        {' ', 1},
                 {'0', 10},       {'!', 15},         {'\n', 1},     {9, 5},          {0, 32},
                 {0xa0, 96},      {0x370, 0x90},     {0x300, 0x40}, {0x4e00, 0x400}, {0x2000, 0x40},
                 {0x1f600, 0x50}, {0x10000, 0x1000}, {0x180e, 1},   {'\'', 1},       {0x17f, 1},
                 {0xe000, 8},     {0xfff8, 8}};
    char *text = ox_alloc(4 * n + 1, 1, "random text", NULL);
    size_t at = 0;
    for (size_t i = 0; text && i < n;) {
        size_t kind = tok_fixture_random(seed) % (sizeof kinds / sizeof kinds[0]);
        size_t run = 1 + tok_fixture_random(seed) % 9;
        for (; run && i < n; run--, i++)
            at += put_character(
                text + at, kinds[kind].from + (uint32_t)(tok_fixture_random(seed) % kinds[kind].n));
    }
    *n_bytes = at;
    return text;
}
