/* vocab.c, skim.c: what of a tokenizer.json is read, and that all else is refused with what and
 * fix. */
#include "engine/skim.h"
#include "engine/vocab.h"
#include "tests/support/tok_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The fixture with the first `find` replaced; owned. */
static char *change(const char *find, const char *replace) {
    const char *at = strstr(tok_fixture_json, find);
    if (!at) fail_msg("the fixture has no %s", find);
    size_t n = strlen(tok_fixture_json) + strlen(replace) + 1;
    char *json = ox_alloc(n, 1, "JSON", NULL);
    snprintf(json, n, "%.*s%s%s", (int)(at - tok_fixture_json), tok_fixture_json, replace,
             at + strlen(find));
    return json;
}

static int open_json(const char *json, size_t n, tokenizer **t, ox_err *err) {
    /* In a block of exactly n bytes, so that a sanitizer sees one byte too far. */
    char *copy = ox_alloc(n, 1, "JSON", NULL);
    memcpy(copy, json, n);
    int rc = tokenizer_open((const unsigned char *)copy, n, t, err);
    ox_free(copy);
    return rc;
}

static const struct {
    const char *name, *find, *replace, *what;
} refused[] = {
    {"not an object", "{\"version\"", "[{\"version\"", "end"},
    {"not JSON", "\"version\":", "\"version\"", "':' expected"},
    {"a member twice", "\"version\":\"1.0\"", "\"version\":1,\"version\":2", "duplicate"},
    {"normalizer", "\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}",
     "normalizer: type \"NFC\""},
    {"post-processor", "\"post_processor\":null",
     "\"post_processor\":{\"type\":\"BertProcessing\"}", "post_processor: type \"BertProcessing\""},
    {"a template that adds", "\"post_processor\":null",
     "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<"
     "s>\"}},"
     "{\"Sequence\":{\"id\":\"A\"}}]}",
     "TemplateProcessing"},
    {"decoder", "\"decoder\":{\"type\":\"ByteLevel\"}", "\"decoder\":{\"type\":\"WordPiece\"}",
     "decoder: type \"WordPiece\""},
    {"no decoder", "\"decoder\":{\"type\":\"ByteLevel\"}", "\"decoder\":null",
     "decoder: type absent"},
    {"no pre-tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\"",
     "{\"type\":\"Sequence\",\"nothing\"", "no ByteLevel"},
    {"unknown pre-tokenizer", "{\"type\":\"Digits\"", "{\"type\":\"Metaspace\"", "Metaspace"},
    {"digits in threes", "\"individual_digits\":true", "\"individual_digits\":false",
     "individual_digits"},
    {"prefix space", "\"add_prefix_space\":false", "\"add_prefix_space\":true", "add_prefix_space"},
    {"prefix space by default", "\"add_prefix_space\":false,", "", "add_prefix_space"},
    {"use_regex", "\"use_regex\":true", "\"use_regex\":7", "use_regex"},
    {"behind ByteLevel", "\"use_regex\":true}", "\"use_regex\":true},{\"type\":\"Digits\"}",
     "behind ByteLevel"},
    {"split without a pattern", "{\"type\":\"Digits\"",
     "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"}", "pattern.Regex"},
    {"split merged with", "{\"type\":\"Digits\"",
     "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"MergedWithNext\"",
     "Isolated"},
    {"split isolated inverted", "{\"type\":\"Digits\"",
     "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a\"},\"behavior\":\"Isolated\",\"invert\":true",
     "Isolated"},
    {"regex", "{\"type\":\"Digits\"",
     "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(((\"}",
     "does not compile"},
    {"regex of nothing", "{\"type\":\"Digits\"",
     "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"x*\"}",
     "empty string"},
    {"too many stages", "{\"type\":\"Digits\",",
     "{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"Digits\",\"individual_digits\":"
     "true},"
     "{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"Digits\",",
     "more than 4"},
    {"no model", "\"model\":{", "\"models\":{", "model: not an object"},
    {"model is a list", "\"model\":{", "\"model\":[],\"x\":{", "model: not an object"},
    {"model type", "{\"type\":\"BPE\"", "{\"type\":\"Unigram\"", "model: type \"Unigram\""},
    {"dropout", "\"dropout\":null", "\"dropout\":0.1", "dropout"},
    {"byte fallback", "\"byte_fallback\":false", "\"byte_fallback\":true", "byte_fallback"},
    {"prefix", "\"continuing_subword_prefix\":\"\"", "\"continuing_subword_prefix\":\"##\"",
     "continuing_subword_prefix"},
    {"unknown token", "\"unk_token\":null", "\"unk_token\":\"<s>\"", "unk_token"},
    {"ignore_merges", "\"ignore_merges\":false", "\"ignore_merges\":\"no\"", "ignore_merges"},
    {"no vocabulary", "\"vocab\":{", "\"vocabs\":{", "no vocab"},
    {"vocabulary is null", "\"vocab\":{", "\"vocab\":null,\"x\":{", "no vocab"},
    {"vocabulary is a list", "\"vocab\":{\"a\":0", "\"vocab\":[[\"a\",0]],\"x\":{\"a\":0", "\"{\""},
    {"vocabulary twice", "\"vocab\":{", "\"vocab\":{},\"vocab\":{", "duplicate"},
    {"no merges", "\"merges\":[", "\"rules\":[", "no merges"},
    {"id of text", "\"a\":0", "\"a\":\"0\"", "an id"},
    {"negative id", "\"a\":0", "\"a\":-1", "an id"},
    {"fraction", "\"a\":0", "\"a\":0.5", "\"}\""},
    {"leading zero", "\"a\":0", "\"a\":00", "an id"},
    {"id beyond 20 bits", "\"a\":0", "\"a\":1048575", "at most"},
    {"id beyond 32 bits", "\"a\":0", "\"a\":4294967296", "a smaller number"},
    {"id beyond 64 bits", "\"a\":0", "\"a\":99999999999999999999999", "a smaller number"},
    {"id twice", "\"b\":1", "\"b\":0", "id 0 is given twice"},
    {"piece twice", "\"b\":1", "\"a\":1", "id 1: same piece as id 0"},
    {"piece of nothing", "\"b\":1", "\"\":1", "a piece of 0 bytes"},
    {"piece with a space", "\"b\":1", "\"b b\":1", "byte-level"},
    {"piece beyond the byte map", "\"b\":1", "\"\xe6\xb2\xb3\":1", "byte-level"},
    {"id of an added token", "\"b\":1", "\"b\":12", "id 12 is given twice"},
    {"added token with another id", "\"b\":1", "\"<s>\":1", "another id"},
    {"control character", "\"b\":1", "\"b\n\":1", "an escape"},
    {"bad escape", "\"b\":1", "\"\\x62\":1", "an escape"},
    {"short escape", "\"b\":1", "\"\\u12\":1", "four digits"},
    {"half a surrogate", "\"b\":1", "\"\\ud83d\":1", "surrogate"},
    {"low surrogate first", "\"b\":1", "\"\\ude00\\ud83d\":1", "surrogate"},
    {"ill-formed UTF-8", "\"b\":1", "\"\xff\":1", "UTF-8"},
    {"no comma", "\"a\":0,", "\"a\":0 ", "\"}\""},
    {"no colon", "\"a\":0,", "\"a\" 0,", "\":\""},
    {"trailing comma", "\"bc\":11}", "\"bc\":11,}", "a string"},
    {"merge of an unknown piece", "\"a b\"", "\"a x\"", "merges[0]: \"x\" is not"},
    {"merge without a space", "\"a b\"", "\"ab\"", "merges[0]: no space"},
    {"merge with an unknown result", "\"a b\"", "\"b a\"", "merges[0]: its result"},
    {"merge that makes an added token", "\"a b\"", "\"< s\"", "its result"},
    {"merge twice", "\"b c\"", "\"a b\"", "merges[3]: same pair as merges[0]"},
    {"merge of numbers", "\"a b\"", "7", "a string"},
    {"merge of three", "[\"ab\",\"c\"]", "[\"a\",\"b\",\"c\"]", "\"]\""},
    {"merge of one", "[\"ab\",\"c\"]", "[\"ab\"]", "\",\""},
    {"added tokens are no list", "\"added_tokens\":[", "\"added_tokens\":{},\"x\":[",
     "added_tokens: not"},
    {"added token without an id", "{\"id\":12,", "{", "added_tokens[0]"},
    {"added token with an id of text", "\"id\":12", "\"id\":\"12\"", "added_tokens[0]"},
    {"added token with a huge id", "\"id\":12", "\"id\":99999999999", "added_tokens[0]"},
    {"added token with a negative id", "\"id\":12", "\"id\":-1", "added_tokens[0]"},
    {"added token without content", "\"content\":\"<s>\",", "", "added_tokens[0]"},
    {"added token of nothing", "\"content\":\"<s>\",", "\"content\":\"\",", "a piece of 0 bytes"},
    {"added token with the same id", "{\"id\":13", "{\"id\":12", "id 12 is given twice"},
    {"added token with the same content", "\"<s>!\"", "\"<s>\"", "the same content"},
    {"single word", "\"single_word\":false", "\"single_word\":true", "single_word"},
    {"lstrip", "\"lstrip\":false", "\"lstrip\":true", "lstrip"},
    {"normalized", "\"normalized\":false", "\"normalized\":true", "normalized"},
};

static void test_vocab__refuses_by_name(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char *json = change(refused[i].find, refused[i].replace);
        tokenizer *t = NULL;
        ox_err err = {0};
        int rc = open_json(json, strlen(json), &t, &err);
        if (rc != OX_EMODEL || !strstr(err.what, refused[i].what) || t)
            fail_msg("%s: %d \"%s\", wanted \"%s\"", refused[i].name, rc, err.what,
                     refused[i].what);
        if (!err.fix[0] || !strstr(err.where, "tokenizer.json"))
            fail_msg("%s: where \"%s\", fix \"%s\"", refused[i].name, err.where, err.fix);
        ox_free(json);
    }
}

static const struct {
    const char *name, *find, *replace;
} accepted[] = {
    {"as it is", "\"version\"", "\"version\""},
    {"a template that adds nothing", "\"post_processor\":null",
     "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}}"
     "]}"},
    {"ByteLevel behind", "\"post_processor\":null", "\"post_processor\":{\"type\":\"ByteLevel\"}"},
    {"the added token in the vocabulary too", "\"b\":1", "\"<s>\":12,\"b\":1"},
    {"an escape", "\"b\":1", "\"\\u0062\":1"},
    {"truncation is ignored", "\"truncation\":null", "\"truncation\":{\"max_length\":3}"},
    {"spaces", "\"a\":0,", " \"a\" :\n\t0 ,"},
    {"no post-processor at all", "\"post_processor\":null,", ""},
    {"another vocab elsewhere", "\"version\":\"1.0\"",
     "\"version\":{\"vocab\":{\"q\":1},\"merges\":[]}"},
    {"a model elsewhere", "\"version\":\"1.0\"", "\"x\":{\"model\":{\"vocab\":{\"q\":1}}}"},
    {"brackets in strings", "\"version\":\"1.0\"", "\"version\":\"}]\\\"{[\""},
};

static void test_vocab__accepts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        char *json = change(accepted[i].find, accepted[i].replace);
        tokenizer *t = NULL;
        ox_err err = {0};
        if (open_json(json, strlen(json), &t, &err)) fail_msg("%s: %s", accepted[i].name, err.what);
        struct ox_tokens got = {0};
        static const int32_t want[] = {9, 10, 12};
        assert_int_equal(tokenizer_encode_special(t, "abc ab<s>", 9, &got, NULL), 0);
        assert_int_equal(got.n, 3);
        assert_memory_equal(got.v, want, sizeof want);
        ox_free(got.v);
        tokenizer_close(t);
        ox_free(json);
    }
}

static void test_vocab__ignore_merges(void **state) {
    (void)state;
    for (int ignore = 0; ignore < 2; ignore++) { /* "bc" has a rule; take it away */
        char *json = change(",\"b c\"]", "]");
        if (ignore) memcpy(strstr(json, "\"ignore_merges\":false"), "\"ignore_merges\":true ", 21);
        tokenizer *t = NULL;
        struct ox_tokens got = {0};
        assert_int_equal(open_json(json, strlen(json), &t, NULL), 0);
        assert_int_equal(tokenizer_encode(t, "bc", 2, &got, NULL), 0);
        assert_int_equal(got.n, ignore ? 1 : 2);
        ox_free(got.v);
        tokenizer_close(t);
        ox_free(json);
    }
}

/* Cut off anywhere, it is refused; with any byte changed, it is read or refused. */
static void test_vocab__damaged_files(void **state) {
    (void)state;
    size_t n = strlen(tok_fixture_json), n_read = 0;
    uint64_t seed = 17;
    for (size_t i = 0; i < n; i++) {
        tokenizer *t = NULL;
        ox_err err = {0};
        if (open_json(tok_fixture_json, i, &t, &err) != OX_EMODEL)
            fail_msg("%zu bytes are read", i);
        assert_true(err.what[0] && err.fix[0]);
    }
    for (int round = 0; round < 20000; round++) {
        static const char pool[] = "{}[]\",:\\u0aĠ \n\t-1.nul\x01\xff";
        char json[2048];
        tokenizer *t = NULL;
        ox_err err = {0};
        memcpy(json, tok_fixture_json, n);
        for (uint64_t k = 1 + tok_fixture_random(&seed) % 3; k; k--)
            json[tok_fixture_random(&seed) % n] =
                pool[tok_fixture_random(&seed) % (sizeof pool - 1)];
        int rc = open_json(json, n, &t, &err);
        if (rc && rc != OX_EMODEL) fail_msg("round %d: %d %s", round, rc, err.what);
        if (rc) assert_true(err.what[0] && err.fix[0]);
        n_read += !rc;
        tokenizer_close(t);
    }
    assert_true(n_read > 100 && n_read < 19000);
}

/* The base folder's accident: a GPT-2 split for the dolma2 vocabulary (docs/MODEL.md 6.2). */
static void test_vocab__dolma2_is_split_as_it_was_trained(void **state) {
    (void)state;
    static const char split[] = "{\"type\":\"Split\",\"pattern\"",
                      use_regex[] = "\"use_regex\":false}";
    size_t n, n_back;
    char *json = tok_fixture_file(OXBOW_TEST_DIR "/golden/tokenizer-dolma2/tokenizer.json", &n);
    assert_non_null(json);
    tokenizer *as_released = NULL, *as_converted = NULL;
    assert_int_equal(open_json(json, n, &as_released, NULL), 0);
    assert_string_equal(tokenizer_note(as_released), "");
    char *from = strstr(json, split), *to = strstr(json, "{\"type\":\"ByteLevel\"");
    assert_true(from && to && from < to);
    memmove(from, to, strlen(to) + 1); /* the Split is gone */
    char *flag = strstr(json, use_regex);
    assert_non_null(flag);
    memcpy(flag, "\"use_regex\": true}", strlen(use_regex));
    assert_int_equal(open_json(json, strlen(json), &as_converted, NULL), 0);
    assert_non_null(strstr(tokenizer_note(as_converted), "cl100k"));
    static const char text[] = "<think>\nOkay 12345 I'LL";
    struct ox_tokens a = {0}, b = {0};
    assert_int_equal(tokenizer_encode(as_released, text, strlen(text), &a, NULL), 0);
    assert_int_equal(tokenizer_encode(as_converted, text, strlen(text), &b, NULL), 0);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.v, b.v, a.n * sizeof *a.v);
    char *back = tok_fixture_decode(as_converted, b.v, b.n, &n_back);
    assert_int_equal(n_back, strlen(text));
    ox_free(back);
    ox_free(a.v);
    ox_free(b.v);
    tokenizer_close(as_released);
    tokenizer_close(as_converted);
    ox_free(json);
}

static void test_vocab__no_memory_while_opening(void **state) {
    (void)state;
    uint64_t n_failed = 0;
    for (uint64_t i = 1;; i++) {
        tokenizer *t = NULL;
        ox_err err = {0};
        ox_mem_fail_at(i);
        int rc = tokenizer_open((const unsigned char *)tok_fixture_json, strlen(tok_fixture_json),
                                &t, &err);
        bool was_reached = ox_mem_fail_at(0) >= i;
        if (rc && (rc != OX_ENOMEM || t)) fail_msg("allocation %d: %d %s", (int)i, rc, err.what);
        tokenizer_close(t);
        if (!was_reached) {
            assert_int_equal(rc, 0);
            break;
        }
        n_failed += rc != 0;
    }
    assert_true(n_failed > 20);
}

static void test_vocab__skims(void **state) {
    (void)state;
    static const char json[] =
        "{\"a\":[1,{\"vocab\":{}}],\"model\": {\"x\":{\"merges\":[1]},\"vocab\" : "
        "{\"}\":1},\"merges\":[\"]\"]},\"vocab\":{}}";
    struct skim_part vocab, merges;
    char *rest;
    size_t n;
    assert_int_equal(skim_split(json, strlen(json), &vocab, &merges, &rest, &n, NULL), 0);
    assert_int_equal(vocab.n, 7);
    assert_memory_equal(vocab.from, "{\"}\":1}", 7);
    assert_int_equal(merges.n, 5);
    assert_memory_equal(merges.from, "[\"]\"]", 5);
    static const char want[] =
        "{\"a\":[1,{\"vocab\":{}}],\"model\": {\"x\":{\"merges\":[1]},\"vocab\" : "
        "null,\"merges\":null},\"vocab\":{}}";
    assert_int_equal(n, strlen(want));
    assert_memory_equal(rest, want, n);
    ox_free(rest);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vocab__skims),
        cmocka_unit_test(test_vocab__accepts),
        cmocka_unit_test(test_vocab__refuses_by_name),
        cmocka_unit_test(test_vocab__ignore_merges),
        cmocka_unit_test(test_vocab__damaged_files),
        cmocka_unit_test(test_vocab__dolma2_is_split_as_it_was_trained),
        cmocka_unit_test(test_vocab__no_memory_while_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
