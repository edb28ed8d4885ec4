/* test_model_config.c - config.json and generation_config.json: values, derived defaults, the rope
 * rules. What is refused is in test_bad_models.c. */
#include "engine/config.h"
#include "kernels/base/ox_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The five sizes that every config must say; d/H = 16. */
#define SIZES                                                                                      \
    "\"model_type\": \"olmo_hybrid\", \"hidden_size\": 80, \"intermediate_size\": 224, "           \
    "\"vocab_size\": 512, \"num_attention_heads\": 5, \"num_hidden_layers\": "

static int parse(const char *config, const char *generation, bool no_rope, struct ox_config *c) {
    ox_err err = {0};
    int rc = config_parse((const unsigned char *)config, strlen(config),
                          (const unsigned char *)generation, generation ? strlen(generation) : 0,
                          no_rope, c, &err);
    if (rc) print_message("%s\n", err.what);
    return rc;
}

static void test_model_config__defaults(void **state) {
    struct ox_config c = {0};
    assert_int_equal(parse("{" SIZES "8, \"unknown\": [1, {\"a\": null}]}", NULL, false, &c), 0);
    assert_int_equal(c.d, 80);
    assert_int_equal(c.f, 224);
    assert_int_equal(c.n_vocab, 512);
    assert_int_equal(c.n_kv_heads, 5);
    assert_int_equal(c.head_size, 16);
    assert_int_equal(c.n_k_heads, 5);
    assert_int_equal(c.n_v_heads, 5);
    assert_int_equal(c.k_size, 12); /* floor(0.75 * 80 / 5) */
    assert_int_equal(c.v_size, 24);
    assert_int_equal(c.n_taps, 4);
    assert_int_equal(c.n_gdn, 6);
    assert_int_equal(c.n_attn, 2);
    assert_int_equal(c.kind[3], OX_LAYER_ATTN);
    assert_int_equal(c.kind[7], OX_LAYER_ATTN);
    assert_true(c.neg_eigval);
    assert_false(c.tied);
    assert_float_equal(c.rms_eps, 1e-6F, 0);
    assert_true(c.rope_theta == 0);
    assert_int_equal(c.trained_tokens, 65536);
    assert_int_equal(c.n_stop, 0); /* 100257 is beyond this vocabulary */
    assert_int_equal(c.pad_id, -1);
    assert_false(c.has_sampling);
    assert_float_equal(c.temperature, -1, 0);
    assert_int_equal(c.top_k, -1);
    assert_int_equal(c.max_new_tokens, 0);
    assert_int_equal(c.quant.n_groups, 0);
    assert_string_equal(c.note, "");
    config_deinit(&c);
}

/* Everything said, null where null is a value of its own. */
static void test_model_config__all_keys(void **state) {
    struct ox_config c = {0};
    assert_int_equal(
        parse("{\"model_type\": \"olmo_hybrid\", \"hidden_size\": 96, \"intermediate_size\": 7, "
              "\"vocab_size\": 200000, \"num_attention_heads\": 6, \"num_hidden_layers\": 5, "
              "\"num_key_value_heads\": 2, \"head_dim\": 16, \"linear_num_key_heads\": 3, "
              "\"linear_num_value_heads\": 6, \"linear_key_head_dim\": 10, "
              "\"linear_value_head_dim\": 21, \"linear_conv_kernel_dim\": 4, "
              "\"linear_allow_neg_eigval\": false, \"tie_word_embeddings\": true, "
              "\"rms_norm_eps\": 1e-5, \"attention_bias\": false, \"hidden_act\": \"silu\", "
              "\"max_position_embeddings\": 32768, \"pad_token_id\": 0, \"eos_token_id\": null, "
              "\"layer_types\": [\"full_attention\", \"full_attention\", \"linear_attention\", "
              "\"full_attention\", \"linear_attention\"], \"quantization_config\": null}",
              "{\"temperature\": 0.6, \"top_p\": 0.95, \"min_p\": 0.05, \"top_k\": 20, "
              "\"repetition_penalty\": 1.1, \"max_new_tokens\": 100}",
              false, &c),
        0);
    assert_int_equal(c.n_kv_heads, 2);
    assert_int_equal(c.n_k_heads, 3);
    assert_int_equal(c.n_v_heads, 6);
    assert_int_equal(c.k_size, 10);
    assert_int_equal(c.v_size, 21);
    assert_false(c.neg_eigval);
    assert_true(c.tied);
    assert_float_equal(c.rms_eps, 1e-5F, 0);
    assert_int_equal(c.n_attn, 3);
    assert_int_equal(c.kind[0], OX_LAYER_ATTN);
    assert_int_equal(c.kind[4], OX_LAYER_GDN);
    assert_int_equal(c.trained_tokens, 32768);
    assert_int_equal(c.pad_id, 0);
    assert_int_equal(c.n_stop, 1);
    assert_int_equal(c.stop[0], 100257); /* named by neither file */
    assert_true(c.has_sampling);
    assert_float_equal(c.temperature, 0.6F, 0);
    assert_float_equal(c.top_p, 0.95F, 0);
    assert_float_equal(c.min_p, 0.05F, 0);
    assert_float_equal(c.repeat, 1.1F, 0);
    assert_int_equal(c.top_k, 20);
    assert_int_equal(c.max_new_tokens, 100);
    config_deinit(&c);
}

/* docs/MODEL.md 2.1: if the pattern gives no attention layer, the last one is. */
static void test_model_config__layer_pattern(void **state) {
    static const struct {
        const char *text, *kinds; /* g, a */
    } cases[] = {
        {"{" SIZES "2}", "ga"},
        {"{" SIZES "3}", "gga"},
        {"{" SIZES "4}", "ggga"},
        {"{" SIZES "6}", "gggagg"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ox_config c = {0};
        assert_int_equal(parse(cases[i].text, NULL, false, &c), 0);
        assert_int_equal(c.n_layers, strlen(cases[i].kinds));
        for (int32_t k = 0; k < c.n_layers; k++)
            assert_int_equal(c.kind[k], cases[i].kinds[k] == 'a' ? OX_LAYER_ATTN : OX_LAYER_GDN);
        config_deinit(&c);
    }
}

static const struct {
    const char *name, *rope; /* further keys of config.json */
    bool no_rope;
    double theta;
    const char *note; /* a word of the warning, or NULL for none */
} ropes[] = {
    {"absent", "", false, 0, NULL},
    {"null", ", \"rope_parameters\": null", false, 0, NULL},
    {"empty", ", \"rope_parameters\": {}", false, 0, NULL},
    {"theta null", ", \"rope_parameters\": {\"rope_theta\": null}", false, 0, NULL},
    {"the released form",
     ", \"rope_parameters\": {\"rope_theta\": null, \"rope_type\": \"default\"}", false, 0, NULL},
    {"stray theta", ", \"rope_theta\": 500000", false, 0, "top-level"},
    {"on", ", \"rope_parameters\": {\"rope_theta\": 500000}", false, 500000, NULL},
    {"on, typed", ", \"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"default\"}", false,
     500000, NULL},
    {"the trap", ", \"rope_parameters\": {\"rope_theta\": 10000}", false, 10000, "10000"},
    {"the trap as a real", ", \"rope_parameters\": {\"rope_theta\": 10000.0}", false, 10000,
     "10000"},
    {"overridden", ", \"rope_parameters\": {\"rope_theta\": 10000}", true, 0, "switched off"},
    {"overridden scaling", ", \"rope_parameters\": {\"rope_theta\": 1, \"rope_type\": \"yarn\"}",
     true, 0, "switched off"},
    {"nothing to override", "", true, 0, NULL},
};

static void test_model_config__rope(void **state) {
    for (size_t i = 0; i < sizeof ropes / sizeof ropes[0]; i++) {
        char text[512];
        struct ox_config c = {0};
        snprintf(text, sizeof text, "{" SIZES "4%s}", ropes[i].rope);
        assert_int_equal(parse(text, NULL, ropes[i].no_rope, &c), 0);
        if (c.rope_theta != ropes[i].theta) fail_msg("%s: theta %g", ropes[i].name, c.rope_theta);
        if (ropes[i].note ? !strstr(c.note, ropes[i].note) : c.note[0] != '\0')
            fail_msg("%s: note \"%s\"", ropes[i].name, c.note);
        config_deinit(&c);
    }
}

static void test_model_config__stop_ids(void **state) {
    static const struct {
        const char *config, *generation;
        int n, first, last;
    } cases[] = {
        {", \"eos_token_id\": 3", NULL, 1, 3, 3},
        {", \"eos_token_id\": [3, 4]", "{}", 2, 3, 4},
        {", \"eos_token_id\": [3, 4, 3]", "{\"eos_token_id\": [4, 5]}", 3, 3, 5},
        {"", "{\"eos_token_id\": 7}", 1, 7, 7},
        {", \"eos_token_id\": []", "{\"eos_token_id\": null}", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        struct ox_config c = {0};
        snprintf(text, sizeof text, "{" SIZES "4%s}", cases[i].config);
        assert_int_equal(parse(text, cases[i].generation, false, &c), 0);
        assert_int_equal(c.n_stop, cases[i].n);
        if (c.n_stop) {
            assert_int_equal(c.stop[0], cases[i].first);
            assert_int_equal(c.stop[c.n_stop - 1], cases[i].last);
        }
        config_deinit(&c);
    }
}

static void test_model_config__quantisation(void **state) {
    struct ox_config c = {0};
    assert_int_equal(
        parse(
            "{" SIZES "4, \"quantization_config\": {\"quant_method\": \"compressed-tensors\", "
            "\"format\": \"pack-quantized\", \"ignore\": [\"lm_head\", \"re:.*x$\"], "
            "\"kv_cache_scheme\": null, \"sparsity_config\": {}, \"transform_config\": {}, "
            "\"config_groups\": {"
            "\"a\": {\"targets\": [\"Linear\"], \"input_activations\": null, \"weights\": "
            "{\"num_bits\": 4, \"symmetric\": false, \"strategy\": \"group\", \"group_size\": 32, "
            "\"actorder\": null, \"observer\": \"mse\"}}, "
            "\"b\": {\"targets\": [\"model.embed_tokens\", \"y\"], \"format\": \"z\", \"weights\": "
            "{\"num_bits\": 8, \"type\": \"int\", \"strategy\": \"channel\", \"group_size\": -1}}, "
            "\"c\": {\"targets\": [\"re:q\"], \"weights\": {\"num_bits\": 8, "
            "\"group_size\": 128}}}}}",
            NULL, false, &c),
        0);
    assert_int_equal(c.quant.n_groups, 3);
    const struct ox_quant_group *g = c.quant.groups;
    assert_int_equal(g[0].bits, 4);
    assert_int_equal(g[0].group, 32);
    assert_false(g[0].symmetric);
    assert_int_equal(g[1].bits, 8);
    assert_int_equal(g[1].group, 0);
    assert_true(g[1].symmetric);
    assert_int_equal(g[1].n_targets, 2);
    assert_string_equal(g[1].targets[1], "y");
    assert_int_equal(g[2].group, 128); /* the strategy follows from group_size */
    assert_int_equal(c.quant.n_ignore, 2);
    assert_string_equal(c.quant.ignore[1], "re:.*x$");
    config_deinit(&c);
}

/* Each allocation of ours that fails is an error and leaks nothing (address sanitizer). */
static void test_model_config__out_of_memory(void **state) {
    static const char text[] =
        "{" SIZES "4, \"quantization_config\": {\"quant_method\": \"compressed-tensors\", "
        "\"ignore\": [\"a\", \"b\"], \"config_groups\": {\"a\": {\"targets\": [\"Linear\"], "
        "\"weights\": {\"num_bits\": 8}}}}}";
    int rc = OX_ENOMEM, n_failed = -1;
    for (uint64_t at = 1; rc == OX_ENOMEM; at++, n_failed++) {
        struct ox_config c = {0};
        ox_mem_fail_at(at);
        rc = parse(text, NULL, false, &c);
        ox_mem_fail_at(0);
        config_deinit(&c);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(n_failed, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_config__defaults),
        cmocka_unit_test(test_model_config__all_keys),
        cmocka_unit_test(test_model_config__layer_pattern),
        cmocka_unit_test(test_model_config__rope),
        cmocka_unit_test(test_model_config__stop_ids),
        cmocka_unit_test(test_model_config__quantisation),
        cmocka_unit_test(test_model_config__out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
