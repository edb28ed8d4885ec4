/* test_bad_models.c - malformed model folders: each is refused as a model error that says what,
 * where and how to go on, and none of them crashes. Every folder is a golden one with one fault. */
#include "engine/weights.h"
#include "kernels/base/ox_mem.h"

#include "tests/support/draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* config_read .. weights_check: all that the engine believes about a folder's weights. */
static int check_folder(const char *dir, ox_err *err) {
    struct folder *f = NULL;
    struct ox_config c = {0};
    struct st_set s = {0};
    int rc = folder_open(dir, &f, err);
    if (!rc) rc = config_read(f, false, &c, err);
    if (!rc) rc = st_open(f, &s, err);
    if (!rc) rc = weights_check(&s, &c, err);
    st_close(&s);
    config_deinit(&c);
    folder_close(f);
    return rc;
}

struct bad {
    const char *name;
    const char *config, *header;    /* patches, or NULL */
    void (*edit)(struct draft *d);  /* before writing, or NULL */
    void (*after)(struct draft *d); /* on the written folder, or NULL */
    const char *words[2];           /* that the message must contain */
};

static void check_bad(const struct bad *b, const char *base) {
    struct draft d;
    ox_err err = {0};
    draft_read(&d, base);
    draft_patch(d.config, b->config);
    draft_patch(d.header, b->header);
    if (b->edit) b->edit(&d);
    draft_write(&d);
    if (b->after) b->after(&d);
    int rc = check_folder(d.dir, &err);
    draft_remove(&d);
    if (rc != OX_EMODEL) fail_msg("%s: returned %d (%s)", b->name, rc, err.what);
    for (int i = 0; i < 2; i++)
        if (b->words[i] && !strstr(err.what, b->words[i]))
            fail_msg("%s: \"%s\" does not say %s", b->name, err.what, b->words[i]);
    if (!err.where[0]) fail_msg("%s: \"%s\" has no where", b->name, err.what);
    if (!err.fix[0]) fail_msg("%s: \"%s\" has no fix", b->name, err.what);
    if (getenv("OXBOW_SHOW")) print_message("%s | %s | %s\n", err.what, err.where, err.fix);
}

static void check_table(const struct bad *table, size_t n, const char *base) {
    for (size_t i = 0; i < n; i++)
        check_bad(&table[i], base);
}

/* ---- config.json ---- */

#define HUGE_INT "9223372036854775807"
static const struct bad configs[] = {
    {"another family", "{\"model_type\": \"llama\"}", .words = {"model_type", "llama"}},
    {"no model_type", "{\"model_type\": null}", .words = {"model_type", "absent"}},
    {"no hidden_size", "{\"hidden_size\": null}", .words = {"hidden_size", "missing"}},
    {"negative size", "{\"hidden_size\": -80}", .words = {"hidden_size", "-80"}},
    {"size as text", "{\"hidden_size\": \"80\"}", .words = {"hidden_size", "\"80\""}},
    {"size as fraction", "{\"intermediate_size\": 224.5}", .words = {"intermediate_size", "224.5"}},
    {"huge size", "{\"hidden_size\": " HUGE_INT "}", .words = {"hidden_size", HUGE_INT}},
    {"huge layers", "{\"num_hidden_layers\": 2000000000}", .words = {"num_hidden_layers"}},
    {"no words", "{\"vocab_size\": 0}", .words = {"vocab_size", "is 0"}},
    {"d % H", "{\"num_attention_heads\": 7}", .words = {"hidden_size", "multiple"}},
    {"H % Hkv", "{\"num_key_value_heads\": 2}", .words = {"num_attention_heads", "multiple"}},
    {"Hkv 0", "{\"num_key_value_heads\": 0}", .words = {"num_key_value_heads", "is 0"}},
    {"Hv % Hk", "{\"linear_num_key_heads\": 4, \"linear_num_value_heads\": 6}",
     .words = {"linear_num_value_heads 6", "multiple"}},
    {"head_dim", "{\"head_dim\": 32}", .words = {"head_dim is 32", "16"}},
    {"dk 0", "{\"linear_num_key_heads\": 65536, \"linear_num_value_heads\": 65536}",
     .words = {"linear_key_head_dim"}},
    {"dv product", "{\"linear_num_value_heads\": 65535, \"linear_value_head_dim\": 1048576}",
     .words = {"linear_value_head_dim"}},
    {"conv width", "{\"linear_conv_kernel_dim\": 3}", .words = {"linear_conv_kernel_dim", "is 3"}},
    {"gelu", "{\"hidden_act\": \"gelu\"}", .words = {"hidden_act", "gelu"}},
    {"bias", "{\"attention_bias\": true}", .words = {"attention_bias", "true"}},
    {"bias as text", "{\"attention_bias\": \"no\"}", .words = {"attention_bias", "\"no\""}},
    {"eps 0", "{\"rms_norm_eps\": 0}", .words = {"rms_norm_eps", "is 0"}},
    {"eps text", "{\"rms_norm_eps\": \"1e-6\"}", .words = {"rms_norm_eps", "1e-6"}},
    {"context", "{\"max_position_embeddings\": -1}", .words = {"max_position_embeddings"}},
    {"few layer_types", "{\"layer_types\": [\"full_attention\"]}",
     .words = {"layer_types", "list of 4"}},
    {"other layer kind",
     "{\"layer_types\": [\"linear_attention\", \"sliding_attention\", \"a\", \"b\"]}",
     .words = {"layer_types[1]", "sliding_attention"}},
    {"no attention",
     "{\"layer_types\": [\"linear_attention\", \"linear_attention\", \"linear_attention\", "
     "\"linear_attention\"]}",
     .words = {"4 linear", "0 attention"}},
    {"scaled rope", "{\"rope_parameters\": {\"rope_type\": \"yarn\", \"rope_theta\": 500000}}",
     .words = {"rope_type", "yarn"}},
    {"scaled rope, older spelling",
     "{\"rope_parameters\": {\"type\": \"linear\", \"rope_theta\": 500000}}",
     .words = {"type is \"linear\""}},
    {"rope_scaling",
     "{\"rope_parameters\": {\"rope_theta\": 500000}, \"rope_scaling\": {\"a\": 1}}",
     .words = {"rope_scaling"}},
    {"part of the head rotates",
     "{\"rope_parameters\": {\"partial_rotary_factor\": 0.5, \"rope_theta\": 500000}}",
     .words = {"partial_rotary_factor", "0.5"}},
    {"rope by layer", "{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 1}}}",
     .words = {"rope_parameters"}},
    {"theta text", "{\"rope_parameters\": {\"rope_theta\": \"5e5\"}}",
     .words = {"rope_theta", "5e5"}},
    {"theta negative", "{\"rope_parameters\": {\"rope_theta\": -1}}",
     .words = {"rope_theta", "-1"}},
    {"rope list", "{\"rope_parameters\": [1]}", .words = {"rope_parameters", "a list"}},
    {"eos text", "{\"eos_token_id\": \"</s>\"}", .words = {"eos_token_id", "</s>"}},
    {"eos bool", "{\"eos_token_id\": true}", .words = {"eos_token_id", "true"}},
    {"eos list", "{\"eos_token_id\": [1, [2]]}", .words = {"eos_token_id", "a list"}},
    {"eos beyond", "{\"eos_token_id\": 512}", .words = {"eos_token_id", "512"}},
    {"eos many", "{\"eos_token_id\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
     .words = {"eos_token_id", "16"}},
    {"pad", "{\"pad_token_id\": -5}", .words = {"pad_token_id", "-5"}},
    {"tied text", "{\"tie_word_embeddings\": 1}", .words = {"tie_word_embeddings", "is 1"}},
    {"not the weights' config", "{\"intermediate_size\": 225}",
     .words = {"mlp.gate_proj.weight", "[225,80]"}},
    {"layer kinds of another model",
     "{\"layer_types\": [\"full_attention\", \"linear_attention\", \"linear_attention\", "
     "\"linear_attention\"]}",
     .words = {"missing model.layers.0.self_attn.q_proj.weight",
               "not expected model.layers.0.input_layernorm.weight"}},
};

static void test_bad_models__config(void **state) {
    check_table(configs, sizeof configs / sizeof configs[0], "tiny-f16");
}

/* ---- generation_config.json ---- */

static void set_top_p(struct draft *d) {
    draft_patch(d->generation, "{\"top_p\": 2}");
}
static void set_hot(struct draft *d) {
    draft_patch(d->generation, "{\"temperature\": \"hot\"}");
}
static void set_top_k(struct draft *d) {
    draft_patch(d->generation, "{\"top_k\": -1}");
}
static void set_eos(struct draft *d) {
    draft_patch(d->generation, "{\"eos_token_id\": [1.5]}");
}

static const struct bad generations[] = {
    {"top_p", .edit = set_top_p, .words = {"generation_config.json", "top_p"}},
    {"temperature", .edit = set_hot, .words = {"temperature", "hot"}},
    {"top_k", .edit = set_top_k, .words = {"top_k", "-1"}},
    {"eos", .edit = set_eos, .words = {"generation_config.json", "eos_token_id"}},
};

static void test_bad_models__generation(void **state) {
    check_table(generations, sizeof generations / sizeof generations[0], "tiny-f16");
}

/* ---- texts that are no JSON objects, or only just ---- */

static char *repeat(const char *s, size_t n) {
    size_t len = strlen(s);
    char *out = ox_alloc(n * len + 1, 1, "a long text", NULL);
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * len, s, len);
    return out;
}

static const struct {
    const char *name, *text;
    size_t times;
    const char *word;
} raw[] = {
    {"empty", "", 1, "config.json line 1"},
    {"a list", "[1]", 1, "object"},
    {"cut off", "{\"hidden_size\": 8", 1, "config.json line 1"},
    {"twice", "{\"hidden_size\": 8,\n \"hidden_size\": 9}", 1, "duplicate"},
    {"nested", "[", 1000000, "nested"},
    {"nested objects", "{\"a\":", 200000, "nested"},
    {"many values", "[],", 9000000, "JSON values"},
    {"NaN", "{\"hidden_size\": NaN}", 1, "config.json line 1"},
    {"beyond double", "{\"rms_norm_eps\": 1e999}", 1, "overflow"},
    {"beyond int64", "{\"hidden_size\": 99999999999999999999}", 1, "too big"},
    {"bad UTF-8", "{\"a\": \"\xff\xfe\"}", 1, "config.json line 1"},
    {"U+0000", "{\"a\": \"\\u0000\"}", 1, "u0000"},
    {"two objects", "{} {}", 1, "end of file"},
    {"byte order mark", "\xef\xbb\xbf{}", 1, "config.json line 1"},
};

static void test_bad_models__json(void **state) {
    for (size_t i = 0; i < sizeof raw / sizeof raw[0]; i++) {
        struct draft d;
        ox_err err = {0};
        draft_read(&d, "tiny-f16");
        char *text = repeat(raw[i].text, raw[i].times);
        d.raw_config = text;
        draft_write(&d);
        int rc = check_folder(d.dir, &err);
        draft_remove(&d);
        ox_free(text);
        if (rc != OX_EMODEL || !strstr(err.what, raw[i].word) || !err.where[0] || !err.fix[0])
            fail_msg("%s: %d \"%s\" | %s | %s", raw[i].name, rc, err.what, err.where, err.fix);
    }
}

/* ---- safetensors ---- */

#define NORM "model.layers.0.linear_attn.o_norm.weight"
static void cut_one(struct draft *d) {
    d->n_more = -1;
}
static void add_one(struct draft *d) {
    d->n_more = 1;
}
static void cut_all(struct draft *d) {
    d->n_more = -(int64_t)d->n_data;
}
static void long_header(struct draft *d) {
    d->header_length = 90000000;
}
static void endless_header(struct draft *d) {
    d->header_length = UINT64_MAX;
}
static void short_header(struct draft *d) {
    d->header_length = 100;
}
static void no_tensors(struct draft *d) {
    d->raw_header = "{}";
}
static void list_header(struct draft *d) {
    d->raw_header = "[]";
}
static void text_header(struct draft *d) {
    d->raw_header = "hello";
}
static void number_entry(struct draft *d) {
    d->raw_header = "{\"a\": 7}";
}
static void twice(struct draft *d) {
    d->raw_header = "{\"a\": {\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[0,0]},"
                    "\"a\": {\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[0,0]}}";
}
static void bad_utf8(struct draft *d) {
    d->raw_header = "{\"\xc3\x28\": {\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[0,0]}}";
}
/* Shifts one tensor by two bytes, against its neighbours. */
static void shift(struct draft *d, int64_t by) {
    json_t *at = json_object_get(json_object_get(d->header, NORM), "data_offsets");
    for (size_t i = 0; i < 2; i++)
        json_array_set_new(at, i, json_integer(json_integer_value(json_array_get(at, i)) + by));
}
static void overlap(struct draft *d) {
    shift(d, -2);
}
static void hole(struct draft *d) {
    shift(d, 2);
}
static void drop_tensor(struct draft *d) {
    draft_rename(d, NORM, "rest");
}
static void extra_tensor(struct draft *d) {
    draft_add(d, "extra", "F16", "[1]", "ab", 2);
}
static void both_spellings(struct draft *d) {
    unsigned char zero[48] = {0};
    draft_add(d, "model.layers.0.linear_attn.norm.weight", "F16", "[24]", zero, sizeof zero);
}
static void both_convs(struct draft *d) {
    unsigned char *zero = ox_alloc(4 * 240 * 2, 1, "taps", NULL);
    draft_add(d, "model.layers.0.linear_attn.conv1d.weight", "F16", "[240,1,4]", zero, 4 * 240 * 2);
    ox_free(zero);
}

static const struct bad files[] = {
    {"one byte less", .edit = cut_one, .words = {"truncated", "model.safetensors"}},
    {"one byte more", .edit = add_one, .words = {"1 bytes behind the last tensor"}},
    {"no data", .edit = cut_all, .words = {"truncated"}},
    {"header past the end", .edit = long_header, .words = {"truncated", "90000000"}},
    {"endless header", .edit = endless_header, .words = {"100 MB"}},
    {"header cut short", .edit = short_header, .words = {"model.safetensors line 1"}},
    {"no tensors", .edit = no_tensors, .words = {"bytes behind the last tensor"}},
    {"header is a list", .edit = list_header, .words = {"object"}},
    {"header is text", .edit = text_header, .words = {"line 1"}},
    {"entry is a number", .edit = number_entry, .words = {"a has no dtype"}},
    {"a name twice", .edit = twice, .words = {"duplicate"}},
    {"name in bad UTF-8", .edit = bad_utf8, .words = {"model.safetensors line 1"}},
    {"overlap", .edit = overlap, .words = {"an overlap"}},
    {"hole", .edit = hole, .words = {"a hole"}},
    {"begin > end", .header = "{\"" NORM "\": {\"data_offsets\": [9, 8]}}",
     .words = {"data_offsets"}},
    {"negative begin", .header = "{\"" NORM "\": {\"data_offsets\": [-8, 40]}}",
     .words = {"data_offsets"}},
    {"offsets as text", .header = "{\"" NORM "\": {\"data_offsets\": [\"0\", 8]}}",
     .words = {"data_offsets"}},
    {"three offsets", .header = "{\"" NORM "\": {\"data_offsets\": [0, 8, 9]}}",
     .words = {"data_offsets"}},
    {"far end", .header = "{\"" NORM "\": {\"data_offsets\": [0, " HUGE_INT "]}}",
     .words = {"truncated", NORM}},
    {"shape against bytes", .header = "{\"" NORM "\": {\"shape\": [23]}}",
     .words = {NORM, "23 elements"}},
    {"dims overflow", .header = "{\"" NORM "\": {\"shape\": [" HUGE_INT "," HUGE_INT "]}}",
     .words = {NORM, "overflows"}},
    {"bytes overflow", .header = "{\"" NORM "\": {\"shape\": [" HUGE_INT ", 2]}}",
     .words = {NORM, "elements"}},
    {"dims overflow to the true size",
     .header = "{\"" NORM "\": {\"shape\": [4294967296, 4294967296, 24]}}",
     .words = {NORM, "overflows"}},
    {"nine dimensions", .header = "{\"" NORM "\": {\"shape\": [24,1,1,1,1,1,1,1,1]}}",
     .words = {NORM, "9 dimensions"}},
    {"negative dimension", .header = "{\"" NORM "\": {\"shape\": [-24]}}",
     .words = {NORM, "dimension"}},
    {"dimension 2.0", .header = "{\"" NORM "\": {\"shape\": [24.0]}}",
     .words = {NORM, "dimension"}},
    {"no shape", .header = "{\"" NORM "\": {\"shape\": null}}", .words = {NORM, "shape"}},
    {"no dtype", .header = "{\"" NORM "\": {\"dtype\": 3}}", .words = {NORM, "dtype"}},
    {"metadata", .header = "{\"__metadata__\": {\"n\": 3}}", .words = {"__metadata__", "n"}},
    {"shape of another model", .header = "{\"" NORM "\": {\"shape\": [4, 6]}}",
     .words = {NORM ": expected [24]", "[4,6]"}},
    {"integers for a norm", .header = "{\"" NORM "\": {\"dtype\": \"I32\", \"shape\": [12]}}",
     .words = {NORM, "I32"}},
    {"unknown type where needed", .header = "{\"" NORM "\": {\"dtype\": \"F9\"}}",
     .words = {NORM, "another type"}},
    {"missing and extra", .edit = drop_tensor, .words = {"missing " NORM, "not expected rest"}},
    {"extra tensor", .edit = extra_tensor, .words = {"not expected: extra"}},
    {"both spellings", .edit = both_spellings,
     .words = {"linear_attn.norm.weight", "two spellings"}},
    {"both convolutions", .edit = both_convs,
     .words = {"linear_attn.conv1d.weight", "two spellings"}},
};

static void test_bad_models__safetensors(void **state) {
    check_table(files, sizeof files / sizeof files[0], "tiny-f16");
}

/* ---- quantised folders ---- */

#define QUANT(x) "{\"quantization_config\": {" x "}}"
#define GROUP(x) QUANT("\"config_groups\": {\"group_0\": {" x "}}")
#define WEIGHTS(x) GROUP("\"weights\": {" x "}")
#define MODULE "model.layers.3.self_attn.q_proj"
static void drop_scale(struct draft *d) {
    draft_rename(d, MODULE ".weight_scale", "rest");
}
static void drop_packed(struct draft *d) {
    draft_rename(d, MODULE ".weight_packed", "rest");
}
static void drop_shape(struct draft *d) {
    draft_rename(d, MODULE ".weight_shape", "rest");
}
static void add_g_idx(struct draft *d) {
    unsigned char zero[640] = {0};
    draft_add(d, MODULE ".weight_g_idx", "I32", "[160]", zero, sizeof zero);
}
static void add_plain(struct draft *d) {
    unsigned char *zero = ox_alloc(2 * 160 * 160, 1, "weights", NULL);
    draft_add(d, MODULE ".weight", "BF16", "[160,160]", zero, 2 * 160 * 160);
    ox_free(zero);
}
static void lie_in_shape(struct draft *d) {
    json_t *at =
        json_object_get(json_object_get(d->header, MODULE ".weight_shape"), "data_offsets");
    d->data[json_integer_value(json_array_get(at, 0))] ^= 1;
}

static const struct bad quants[] = {
    {"not an object", "{\"quantization_config\": \"int4\"}",
     .words = {"quantization_config", "int4"}},
    {"gptq", QUANT("\"quant_method\": \"gptq\""), .words = {"quant_method", "gptq"}},
    {"no method", QUANT("\"quant_method\": null"), .words = {"quant_method", "absent"}},
    {"float format", QUANT("\"format\": \"float-quantized\""),
     .words = {"format", "float-quantized"}},
    {"kv cache", QUANT("\"kv_cache_scheme\": {\"num_bits\": 8}"), .words = {"kv_cache_scheme"}},
    {"sparse", QUANT("\"sparsity_config\": {\"format\": \"sparse-24\"}"),
     .words = {"sparsity_config"}},
    {"transformed", QUANT("\"transform_config\": {\"r1\": 1}"), .words = {"transform_config"}},
    {"no groups", QUANT("\"config_groups\": null"), .words = {"config_groups", "absent"}},
    {"groups by name", QUANT("\"config_groups\": [\"W4A16\"]"),
     .words = {"config_groups", "a list"}},
    {"group is text", QUANT("\"config_groups\": {\"group_0\": \"W4A16\"}"),
     .words = {"config_groups"}},
    {"ignore is text", QUANT("\"ignore\": \"lm_head\""), .words = {"ignore", "lm_head"}},
    {"ignore a number", QUANT("\"ignore\": [4]"), .words = {"ignore", "is 4"}},
    {"activations", GROUP("\"input_activations\": {\"num_bits\": 8}"),
     .words = {"input_activations"}},
    {"output activations", GROUP("\"output_activations\": {}"), .words = {"output_activations"}},
    {"no targets", GROUP("\"targets\": []"), .words = {"targets"}},
    {"no weights", GROUP("\"weights\": null"), .words = {"weights", "absent"}},
    {"float type", WEIGHTS("\"type\": \"float\""), .words = {"type", "float"}},
    {"3 bits", WEIGHTS("\"num_bits\": 3"), .words = {"num_bits", "3"}},
    {"5 bits", WEIGHTS("\"num_bits\": 5"), .words = {"num_bits", "5"}},
    {"no bits", WEIGHTS("\"num_bits\": null"), .words = {"num_bits", "absent"}},
    {"group of 48", WEIGHTS("\"group_size\": 48"), .words = {"group_size", "48"}},
    {"group of 0", WEIGHTS("\"group_size\": 0"), .words = {"group_size", "is 0"}},
    {"group does not divide", WEIGHTS("\"group_size\": 64"), .words = {"group_size 64", "160"}},
    {"tensor strategy", WEIGHTS("\"strategy\": \"tensor\""), .words = {"strategy", "tensor"}},
    {"channel with a group", WEIGHTS("\"strategy\": \"channel\""), .words = {"group_size", "32"}},
    {"dynamic", WEIGHTS("\"dynamic\": true"), .words = {"dynamic", "true"}},
    {"activation order", WEIGHTS("\"actorder\": \"group\""), .words = {"actorder"}},
    {"blocks", WEIGHTS("\"block_structure\": \"128x128\""), .words = {"block_structure"}},
    {"no zero points", WEIGHTS("\"symmetric\": false"), .words = {"weight_zero_point is missing"}},
    {"bits of another folder", WEIGHTS("\"num_bits\": 8"), .words = {"weight_packed", "expected"}},
    {"covered but plain", QUANT("\"ignore\": []"), .words = {"a_proj.weight", "is not quantised"}},
    {"packed but ignored", QUANT("\"ignore\": [\"re:.*\"]"),
     .words = {"weight_packed", "no target"}},
    {"no quantization_config", "{\"quantization_config\": null}",
     .words = {"weight_packed", "no target"}},
    {"broken pattern", QUANT("\"ignore\": [\"re:(\"]"), .words = {"re:(", "pattern"}},
    {"endless pattern", QUANT("\"ignore\": [\"re:(.*)*(.*)*(.*)*[!?]\"]"),
     .words = {"takes too long"}},
    {"g_idx", .edit = add_g_idx, .words = {"weight_g_idx", "activation order"}},
    {"packed without scale", .edit = drop_scale, .words = {MODULE ".weight_scale is missing"}},
    {"scale without packed", .edit = drop_packed,
     .words = {"missing " MODULE ".weight_packed", "not expected " MODULE ".weight_scale"}},
    {"packed without shape", .edit = drop_shape, .words = {MODULE ".weight_shape is missing"}},
    {"packed and plain", .edit = add_plain, .words = {MODULE ".weight", "both are there"}},
    {"lying shape", .edit = lie_in_shape, .words = {MODULE ".weight_shape", "160 x 160"}},
    {"scale as integers", .header = "{\"" MODULE ".weight_scale\": {\"dtype\": \"I16\"}}",
     .words = {MODULE ".weight_scale", "BF16"}},
    {"packed as floats", .header = "{\"" MODULE ".weight_packed\": {\"dtype\": \"F32\"}}",
     .words = {MODULE ".weight_packed", "F32"}},
    {"scale shape", .header = "{\"" MODULE ".weight_scale\": {\"shape\": [5, 160]}}",
     .words = {MODULE ".weight_scale", "[160,5]"}},
};

static void test_bad_models__quantised(void **state) {
    check_table(quants, sizeof quants / sizeof quants[0], "tiny-7b-shape-w4a16");
}

/* ---- files of the folder ---- */

static const char *in_dir(const struct draft *d, const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    return path;
}
static void leave_out(struct draft *d) {
    d->no_weights = true;
}
static void weights_are_a_folder(struct draft *d) {
    mkdir(in_dir(d, "model.safetensors"), 0700);
}
static void weights_are_a_fifo(struct draft *d) {
    mkfifo(in_dir(d, "model.safetensors"), 0600);
}
static void weights_are_empty(struct draft *d) {
    draft_put_file(d, "model.safetensors", "", 0);
}
static void weights_are_short(struct draft *d) {
    draft_put_file(d, "model.safetensors", "1234567", 7);
}
static void no_config(struct draft *d) {
    remove(in_dir(d, "config.json"));
}
static void config_is_a_fifo(struct draft *d) {
    no_config(d);
    mkfifo(in_dir(d, "config.json"), 0600);
}
static void weights_point_nowhere(struct draft *d) {
    if (symlink("/nonexistent/oxbow", in_dir(d, "model.safetensors"))) abort();
}

static void put_index(struct draft *d, const char *text) {
    draft_put_file(d, "model.safetensors.index.json", text, strlen(text));
}
/* All tensors in model.safetensors but one, which the index sees in `home`. */
static void index_to(struct draft *d, const char *home) {
    json_t *map = json_object();
    const char *key;
    json_t *v;
    json_object_foreach(d->header, key, v) {
        if (strcmp(key, "__metadata__") != 0)
            json_object_set_new(map, key,
                                json_string(strcmp(key, NORM) == 0 ? home : "model.safetensors"));
    }
    json_t *root = json_pack("{s:o}", "weight_map", map);
    char *text = json_dumps(root, 0);
    put_index(d, text);
    free(text);
    json_decref(root);
}
static void index_up(struct draft *d) {
    index_to(d, "../model.safetensors");
}
static void index_absolute(struct draft *d) {
    index_to(d, "/etc/passwd");
}
static void index_hidden(struct draft *d) {
    index_to(d, ".model");
}
static void index_nothing(struct draft *d) {
    index_to(d, "");
}
static void index_missing(struct draft *d) {
    index_to(d, "model-2.safetensors");
}
static void index_ghost(struct draft *d) {
    put_index(d, "{\"weight_map\": {\"ghost\": \"model.safetensors\"}}");
}
/* The second file holds all tensors once more. */
static void index_twice(struct draft *d) {
    char from[512];
    snprintf(from, sizeof from, "%s/model.safetensors", d->dir);
    if (link(from, in_dir(d, "model-2.safetensors"))) abort();
    index_to(d, "model-2.safetensors");
}
static void index_empty(struct draft *d) {
    put_index(d, "{\"weight_map\": {}}");
}
static void index_no_map(struct draft *d) {
    put_index(d, "{\"metadata\": {}}");
}
static void index_number(struct draft *d) {
    put_index(d, "{\"weight_map\": {\"a\": 1}}");
}
static void index_repeats(struct draft *d) {
    put_index(d, "{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}");
}
static void index_is_a_folder(struct draft *d) {
    mkdir(in_dir(d, "model.safetensors.index.json"), 0700);
}

static const struct bad places[] = {
    {"no weights", .edit = leave_out, .words = {"no model.safetensors"}},
    {"weights are a folder", .edit = leave_out, .after = weights_are_a_folder,
     .words = {"model.safetensors", "not a regular file"}},
    {"weights are a FIFO", .edit = leave_out, .after = weights_are_a_fifo,
     .words = {"model.safetensors", "not a regular file"}},
    {"weights are empty", .after = weights_are_empty, .words = {"0 bytes, too short"}},
    {"weights are 7 bytes", .after = weights_are_short, .words = {"7 bytes, too short"}},
    {"dangling link", .edit = leave_out, .after = weights_point_nowhere,
     .words = {"no model.safetensors"}},
    {"no config", .after = no_config, .words = {"no config.json"}},
    {"config is a FIFO", .after = config_is_a_fifo, .words = {"config.json", "not a regular file"}},
    {"shard above the folder", .after = index_up, .words = {"../model.safetensors", "plain names"}},
    {"absolute shard", .after = index_absolute, .words = {"/etc/passwd", "plain names"}},
    {"hidden shard", .after = index_hidden, .words = {".model", "plain names"}},
    {"shard without name", .after = index_nothing, .words = {"plain names"}},
    {"missing shard", .after = index_missing,
     .words = {"model-2.safetensors", "not in the folder"}},
    {"tensor not in its shard", .after = index_ghost, .words = {"ghost", "does not hold it"}},
    {"tensor in two shards", .after = index_twice,
     .words = {"model.safetensors", "model-2.safetensors"}},
    {"empty index", .after = index_empty, .words = {"weight_map"}},
    {"index without map", .after = index_no_map, .words = {"weight_map"}},
    {"index with a number", .after = index_number, .words = {"weight_map", "a"}},
    {"index repeats a name", .after = index_repeats, .words = {"duplicate"}},
    {"index is a folder", .after = index_is_a_folder,
     .words = {"index.json", "not a regular file"}},
};

static void test_bad_models__files(void **state) {
    check_table(places, sizeof places / sizeof places[0], "tiny-f16");
}

/* Names from files reach messages: they may be long and hold anything, messages may not. */
static void test_bad_models__hostile_names(void **state) {
    struct draft d;
    ox_err err = {0};
    char *name = repeat("\x1b[2J\xc3\xa9", 4000);
    draft_read(&d, "tiny-f16");
    draft_add(&d, name, "F16", "[1]", "ab", 2);
    draft_write(&d);
    assert_int_equal(check_folder(d.dir, &err), OX_EMODEL);
    assert_null(strchr(err.what, '\x1b'));
    draft_remove(&d);
    ox_free(name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_models__config),
        cmocka_unit_test(test_bad_models__generation),
        cmocka_unit_test(test_bad_models__json),
        cmocka_unit_test(test_bad_models__safetensors),
        cmocka_unit_test(test_bad_models__quantised),
        cmocka_unit_test(test_bad_models__files),
        cmocka_unit_test(test_bad_models__hostile_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
