/* test_quant.c - which module is quantised, and the tensors of one as a part. */
#include "engine/quant.h"
#include "kernels/base/ox_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static char *linear[] = {"Linear"};
static char *names[] = {"model.embed_tokens", "re:.*down_proj"};
static char *late[] = {"model.layers.0.mlp.up_proj", "re:model\\.layers\\.1\\."};
static char *ignore[] = {"lm_head", "re:.*linear_attn\\.[ab]_proj$", "re:model\\.layers\\.9"};

static struct ox_quant_group groups[] = {
    {.bits = 4, .group = 64, .symmetric = true, .targets = linear, .n_targets = 1},
    {.bits = 8, .symmetric = true, .targets = names, .n_targets = 2},
    {.bits = 8, .group = 32, .symmetric = false, .targets = late, .n_targets = 2},
};
static const struct ox_quant quant = {groups, 3, ignore, 3};

static const struct {
    const char *module;
    int group; /* index, or -1 */
} cases[] = {
    {"model.layers.0.self_attn.q_proj", 0}, /* the class */
    {"model.layers.0.mlp.up_proj", 2},      /* a name wins over the class */
    {"model.layers.0.mlp.up_proj_2", 0},    /* a name is matched to its end */
    {"model.layers.0.mlp.down_proj", 1},
    {"model.layers.1.mlp.down_proj", 1}, /* the earlier group wins */
    {"model.layers.1.mlp.up_proj", 2},   /* a pattern needs no end */
    {"model.layers.10.mlp.up_proj", 0},
    {"x.model.layers.1.mlp.up_proj", 0}, /* but it starts at the start */
    {"model.embed_tokens", 1},
    {"lm_head", -1},
    {"lm_head2", 0},
    {"model.layers.0.linear_attn.a_proj", -1},
    {"model.layers.0.linear_attn.g_proj", 0},
    {"model.layers.9.mlp.up_proj", -1}, /* an ignored module stays so */
    {"model.layers.91.mlp.up_proj", -1},
};

static void test_quant__rules(void **state) {
    struct quant_rules *r = NULL;
    ox_err err = {0};
    assert_int_equal(quant_rules_open(&quant, &r, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ox_quant_group *g = NULL;
        assert_int_equal(quant_find(r, cases[i].module, &g, &err), 0);
        int got = g ? (int)(g - groups) : -1;
        if (got != cases[i].group) fail_msg("%s: group %d", cases[i].module, got);
    }
    quant_rules_close(r);
}

/* The embedding is no Linear; its own class is Embedding. */
static void test_quant__embedding_class(void **state) {
    static char *embedding[] = {"Embedding"};
    struct ox_quant_group both[] = {groups[0], {.bits = 8, .targets = embedding, .n_targets = 1}};
    const struct ox_quant q = {.groups = both, .n_groups = 1}, q2 = {.groups = both, .n_groups = 2};
    const struct ox_quant_group *g = NULL;
    struct quant_rules *r = NULL;
    assert_int_equal(quant_rules_open(&q, &r, NULL), 0);
    assert_int_equal(quant_find(r, "model.embed_tokens", &g, NULL), 0);
    assert_null(g);
    quant_rules_close(r);
    assert_int_equal(quant_rules_open(&q2, &r, NULL), 0);
    assert_int_equal(quant_find(r, "model.embed_tokens", &g, NULL), 0);
    assert_ptr_equal(g, &both[1]);
    quant_rules_close(r);
}

static void test_quant__no_rules(void **state) {
    const struct ox_quant none = {0};
    const struct ox_quant_group *g = &groups[0];
    struct quant_rules *r = NULL;
    assert_int_equal(quant_rules_open(&none, &r, NULL), 0);
    assert_int_equal(quant_find(r, "lm_head", &g, NULL), 0);
    assert_null(g);
    quant_rules_close(r);
    quant_rules_close(NULL);
}

/* [5,70] at 4 bits, group 35: nine words a row, the last with padding; zero points fill one word.
 */
static void test_quant__asymmetric_part(void **state) {
    static unsigned char words[5 * 9 * 4], scales[5 * 2 * 4], zeros[4 * 2];
    static const int32_t shape[2] = {5, 70};
    struct st_tensor v[] = {
        {"m.weight_packed", ST_I32, 2, {5, 9}, words, sizeof words, "f"},
        {"m.weight_scale", ST_F32, 2, {5, 2}, scales, sizeof scales, "f"},
        {"m.weight_shape", ST_I32, 1, {2}, (const unsigned char *)shape, sizeof shape, "f"},
        {"m.weight_zero_point", ST_I32, 2, {1, 2}, zeros, sizeof zeros, "f"},
    };
    const struct st_set s = {.v = v, .n = 4};
    const struct ox_quant_group g = {.bits = 4, .group = 35, .symmetric = false};
    struct kn_part part = {0};
    ox_err err = {0};
    assert_int_equal(quant_part(&s, "m", &g, 5, 70, &part, &err), 0);
    assert_int_equal(part.dtype, KN_I4);
    assert_int_equal(part.scale_dtype, KN_F32);
    assert_int_equal(part.group, 35);
    assert_int_equal(part.rows, 5);
    assert_int_equal(part.cols, 70);
    assert_ptr_equal(part.data, words);
    assert_ptr_equal(part.scale, scales);
    assert_ptr_equal(part.zero, zeros);
    assert_int_equal(quant_part(&s, "m", &g, 9, 70, &part, &err), OX_EMODEL);
    v[3].dim[0] = 2;
    assert_int_equal(quant_part(&s, "m", &g, 5, 70, &part, &err), OX_EMODEL);
    assert_non_null(strstr(err.what, "weight_zero_point"));
}

/* Numbers whose scale is a power of two come back exactly; words are those of docs/MODEL.md 11,
 * with -7 for -8, which symmetric scales do not use. Ties go to even; a row of zeros has scale 1.
 */
static void test_quant__writes_fields(void **state) {
    static const struct {
        const char *name;
        int bits, group;
        int64_t cols;
        float w[8];
        uint32_t word;
        uint16_t scale[2]; /* bf16 */
    } cases_w[] = {
        {"four bits", 4, 0, 8, {-7, -1, 0, 1, 7, 2, -3, 4}, 0xC5AF9871, {0x3f80}},
        {"eight bits", 8, 0, 4, {1, -1, 127, -127}, 0x01FF7F81, {0x3f80}},
        {"ties to even",
         4,
         0,
         8,
         {7, 0.5F, 1.5F, 2.5F, -0.5F, -1.5F, -2.5F, 3.5F},
         0xC668AA8F,
         {0x3f80}},
        {"scaled", 4, 0, 8, {-14, -2, 0, 2, 14, 4, -6, 8}, 0xC5AF9871, {0x4000}},
        {"zeros", 4, 0, 8, {0}, 0x88888888, {0x3f80}},
        {"two groups", 4, 4, 8, {7, 1, 0, 1, 14, 2, 0, 2}, 0x989F989F, {0x3f80, 0x4000}},
        {"part of a word", 4, 0, 3, {7, -7, 1}, 0x0000091F, {0x3f80}},
    };
    for (size_t i = 0; i < sizeof cases_w / sizeof cases_w[0]; i++) {
        uint32_t word = 0xDEADBEEF;
        uint16_t scale[2] = {0};
        float row[8];
        struct quant_error e = {0};
        const struct st_tensor t = {
            .name = "w", .type = ST_F32, .n_dims = 2, .data = (const unsigned char *)cases_w[i].w};
        const struct quant_rows r = {
            &t, 0, 1, cases_w[i].cols, cases_w[i].bits, cases_w[i].group, row, &word, scale};
        assert_int_equal(quant_write(&r, &e, NULL), 0);
        if (word != cases_w[i].word || scale[0] != cases_w[i].scale[0] ||
            scale[1] != cases_w[i].scale[1])
            fail_msg("%s: 0x%08x, scales 0x%04x 0x%04x", cases_w[i].name, word, scale[0], scale[1]);
        if (strcmp(cases_w[i].name, "ties to even") != 0)
            assert_true(e.error == 0);
        else
            assert_true(e.error == 7 * 0.25 && e.worst == 0.5 / 7);
    }
}

static void test_quant__refuses_what_is_not_finite(void **state) {
    const uint16_t bits[4] = {0x3f80, 0x7f80, 0, 0}; /* 1, infinity in bf16 */
    const struct st_tensor t = {.name = "w", .type = ST_BF16, .data = (const unsigned char *)bits};
    uint32_t word;
    uint16_t scale;
    float row[4];
    struct quant_error e = {0};
    ox_err err = {0};
    const struct quant_rows r = {&t, 0, 1, 4, 8, 0, row, &word, &scale};
    assert_int_equal(quant_write(&r, &e, &err), OX_EMODEL);
    assert_non_null(strstr(err.what, "w: row 0"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quant__rules),
        cmocka_unit_test(test_quant__embedding_class),
        cmocka_unit_test(test_quant__no_rules),
        cmocka_unit_test(test_quant__asymmetric_part),
        cmocka_unit_test(test_quant__writes_fields),
        cmocka_unit_test(test_quant__refuses_what_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
